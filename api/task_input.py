"""The input of a task: the variables that it saw when it was made (requirement D-TSK-001), folded from its instance's events."""

from __future__ import annotations

from typing import Any

from flowledger.api.replay import Replay
from flowledger.api.services import Services
from flowledger.projections.context import ACTIVITY
from flowledger.projections.reader import position_of

__all__ = ["ACTIVITY", "input_of"]

#: events that are folded for it; of an instance that had more before, the task's own locals are told alone
EVENTS_MAX = 2_000


async def input_of(s: Services, row: dict[str, Any], tenant: str) -> Any:
    """Its locals over what is around them."""
    own = row.get("input")
    made, instance = row.pop("created_by_event", None), row.get("instance")
    if made is None or not instance:
        return own
    replay, last = Replay(int(instance)), position_of(made)
    page = await s.reads.events("instances", int(instance), {}, "", EVENTS_MAX // 2, tenant)
    while True:
        for event in page["items"]:
            replay.add(event)
            if event["position"] == last:
                return replay.seen(int(row["token"])) if own is None else {**(replay.seen(int(row["token"])) or {}), **own}
        if replay.events >= EVENTS_MAX or not page["cursor"]:
            return own
        page = await s.reads.events("instances", int(instance), {}, page["cursor"], EVENTS_MAX // 2, tenant)
