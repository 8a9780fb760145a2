"""Constraints of the standard that make a model wrong, and lint advice."""

from __future__ import annotations

from typing import Any


def run(r: Any) -> None:
    """All checks over what was read; findings go to the reader."""
