"""Commands of control: what operators ask of instances that run. They are part of `events/commands.py`, whose words they share."""

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


class ModifyInstance(Command, frozen=True):
    """Zeebe's ModifyProcessInstance: activate elements (with variables), terminate tokens."""

    key: int
    activate: list[dict[str, Any]] | None = None
    terminate: list[int] | None = None
    reason: str = ""
    row_version: int | None = None


class MigrateInstance(Command, frozen=True):
    """`elements`: id in the instance's version -> id in the other. `same_ids`: elements that stand in both need not be named."""

    key: int
    definition: int
    elements: dict[str, str]
    row_version: int | None = None
    reason: str = ""
    same_ids: bool = False
