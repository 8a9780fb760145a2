"""Commands of control: what operators ask of instances that run. They are part of `events/commands.py`, whose words they share."""

from __future__ import annotations

from typing import Any

from flowledger.events.base import Command


class ModifyInstance(Command, frozen=True):
    """Tokens moved by hand, all or none. `instructions`, each one of: `{activate: element, scope?, variables?, scopes?}`, `{cancel: token or element}`,
    `{move: {from: token or element, to: element}, scope?, variables?, scopes?}`; `activate` and `terminate` are Zeebe's form. `force`: though it leaves
    what never goes on. Answer: `{key, warnings}`."""

    key: int
    activate: list[dict[str, Any]] | None = None
    terminate: list[int] | None = None
    reason: str = ""
    row_version: int | None = None
    instructions: list[dict[str, Any]] | None = None
    force: bool = False


class MigrateInstance(Command, frozen=True):
    """`elements`: id in the instance's version -> id in the other, `""`: what stands there is withdrawn. `same_ids`: elements that stand in both need not be
    named. `timers`: keep (their moments), restart (by the other version, from now). `tasks`: keep, renew (made anew by the other version; then elements may
    change their kind). `force`: though it leaves what never goes on. Answer: `{key, warnings}`."""

    key: int
    definition: int
    elements: dict[str, str]
    row_version: int | None = None
    reason: str = ""
    same_ids: bool = False
    timers: str = "keep"
    tasks: str = "keep"
    force: bool = False
