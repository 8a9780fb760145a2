"""Commands of control: what an operator asks of everything that runs. Part of the catalogue in `events/commands.py`, and as those."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events.base import Command


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """From where, and as whom, something is asked: see `events/operations.py`. Doors set it for what is an operation."""

    door: str = ""
    address: str = ""
    agent: str = ""
    roles: list[str] = []
    credential: str = ""


class NoteRefusal(Command, frozen=True):
    """A door has refused an operation before it became a command (no right to it, or nothing that it could be about). Answer: `{}`.

    `subject` is a text from the request; `skipped` are refusals since the last one noted that were too many."""

    operation: str
    kind: str = ""
    subject: str = ""
    code: str = ""
    message: str = ""
    details: dict[str, Any] | None = None
    skipped: int = 0
