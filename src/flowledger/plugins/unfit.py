"""How a part says that it can't be taken."""

from __future__ import annotations

#: of a text that foreign code gave
TEXT_MAX = 300


class Unfit(Exception):
    """A plug-in that can't be taken, and why."""
