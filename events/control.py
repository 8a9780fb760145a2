"""Commands of control: what operators ask of instances that run. They are part of `events/commands.py`, whose words they share."""

from __future__ import annotations

from typing import Any

from flowledger.events.base import Command


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


# --- holds (docs/decisions/0009) --------------------------------------------------------------------------------


class PlaceHold(Command, frozen=True):
    """Keep from going on: `subject` is a key of an instance or a version, the id of a process, `PROCESS/ELEMENT` (process id or version key), a job
    type, the target of a limit (`job:`, `tenant:`, `endpoint:`, `assignee:`), or a tenant (`*`: all).

    `mode`: pause (no new work is handed out) or suspend (nothing moves, what arrives is kept). `starts`: new instances are held as pending (hold), or
    refused; of scopes tenant, definition and version. Answer: `{key, scope, subject, mode, state}`.
    """

    scope: str
    subject: str
    mode: str = "suspend"
    starts: str = "hold"
    children: bool = True
    until_us: int = 0
    reason: str = ""


class ReleaseHold(Command, frozen=True):
    """What it held goes on, `rate` instances a second over all partitions (0: as fast as it goes). Answer: `{key, state}`: resuming, or released."""

    key: int
    rate: int = 0
    reason: str = ""


class SetHold(Command, frozen=True):
    """The home of hold `hold` tells all others: of a new one by its fields, of a release by `rate` (-1: none)."""

    hold: int
    scope: str = ""
    subject: str = ""
    mode: str = ""
    starts: str = "hold"
    children: bool = True
    until_us: int = 0
    reason: str = ""
    rate: int = -1


class HoldDone(Command, frozen=True):
    """To the home of `hold`: this partition has released all of its own."""

    hold: int
    partition: int
