"""Optimistic locking: a command that says which version its caller has seen is refused when that isn't the version any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.lookup import holder
from flowledger.kernel.state import Partition


class Versioned(Protocol):
    row_version: int


ON_INSTANCES: frozenset[type[c.AnyCommand]] = frozenset({
    c.CancelInstance, c.ControlInstance, c.ReleaseInstance, c.SetVariables, c.ModifyInstance, c.MigrateInstance, c.RollBackInstance, c.RerunElement,
})  # fmt: skip
_THINGS: dict[type[c.AnyCommand], tuple[str, Callable[[Partition, Any], Versioned | None]]] = {
    **dict.fromkeys(ON_INSTANCES, ("instance", lambda p, e: holder(p, e.key))),
    **dict.fromkeys((c.CompleteTask, c.FailTask, c.MoveTask), ("task", lambda p, e: p.tasks.get(e.task))),
    c.ChangeDefinition: ("definition", lambda p, e: p.definitions.get(e.key)),
}


#: commands with a `row_version`
LOCKING = frozenset(_THINGS)


def stale(p: Partition, command: Any) -> Rejected | None:
    """Of one of `LOCKING` that says what its caller saw. What isn't there is its handler's to say."""
    seen = command.row_version
    what, find = _THINGS[type(command)]
    thing = find(p, command)
    if thing is None or thing.row_version == seen:
        return None
    key = command.task if isinstance(command, (c.CompleteTask, c.FailTask, c.MoveTask)) else getattr(command, "key", 0)
    return Rejected(RejectionCode.STALE, f"{what} {key} has changed: expected row_version {thing.row_version}, found {seen}")


def tell(p: Partition, key: int, subject: int, answer: dict[str, Any]) -> None:
    """Which version a command on an instance (`ON_INSTANCES`) has made: that with its key, or, where that is a token's, the one that it changed."""
    i = p.instances.get(key)
    if i is None and (changed := p.instances.get(subject)) is not None and key in changed.tokens:
        i = changed
    if i is not None:
        answer["row_version"] = i.row_version
