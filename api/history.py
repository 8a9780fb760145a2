"""Which moment of an instance's history a roll-back means, what it was like then, and what was done outside since."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from flowledger.api.edge import position_of
from flowledger.api.instance_views import PAGE, REPLAY_MAX
from flowledger.api.problems import Problem, malformed
from flowledger.api.replay import Replay
from flowledger.api.services import Services
from flowledger.events.base import RejectionCode
from flowledger.events.commands import partition_of_key

#: what a step is: a decision in which a token went on, or ended
MOVES = frozenset(
    {
        "flow.taken",
        "element.completed",
        "element.terminated",
        "loop.item_completed",
        "workflow.modified",
        "workflow.migrated",
        "workflow.rolled_back",
    }
)
#: what an operator did, that can be undone while nothing has moved since
OPERATIONS = frozenset({"workflow.modified", "workflow.migrated", "workflow.rolled_back"})
Row = dict[str, Any]


class Then:
    """`image`: the state, as JSON. `outside`: what can't be taken back, as texts. `seen`: where tokens stand now."""

    def __init__(self, image: Any, position: str, outside: list[str], seen: str) -> None:
        self.image, self.position, self.outside, self.seen = image, position, outside, seen


async def rows_of(s: Services, instance: int, tenant: str) -> list[Row]:
    """Its whole history. Raises: Problem: it is too long."""
    rows: list[Row] = []
    after = ""
    while True:
        page = await s.reads.events("instances", instance, {}, after, PAGE, tenant)
        rows += page["items"]
        if not (after := page["cursor"]):
            return rows
        if len(rows) > REPLAY_MAX:
            raise Problem(RejectionCode.INVALID_ARGUMENT, f"more than {REPLAY_MAX} events can't be folded for one roll-back")
        await asyncio.sleep(0)


async def then_of(s: Services, key: int, tenant: str, steps: int, to: str, undo: bool) -> Then:
    """From the rows, which have to be up to date. Raises: Problem."""
    rows = await rows_of(s, key, tenant)
    return await asyncio.to_thread(find, key, rows, steps, to, undo)


def find(instance: int, rows: list[Row], steps: int = 0, to: str = "", undo: bool = False) -> Then:
    """Raises: Problem: there is no such moment."""
    if undo:
        at = _before_operation(rows)
    elif steps:
        at = _before_steps(rows, steps)
    elif "-" in to and to.isascii() and to.replace("-", "").isdigit():
        at = _at_position(instance, rows, to)
    else:
        at = _at_element(instance, rows, to)
    replay = Replay(instance)
    for row in rows[: at + 1]:
        replay.add(row)
    i = replay.partition.instances.get(instance)
    if i is None or not i.tokens:
        raise Problem(RejectionCode.INVALID_STATE, "no token stood anywhere then: there is nothing to go back to")
    from flowledger.kernel.checkpoint import image
    from flowledger.kernel.handlers.rollback import seen

    then = msgspec.to_builtins(image(replay.partition, i))
    for row in rows[at + 1 :]:
        replay.add(row)
    now = replay.partition.instances.get(instance)
    return Then(
        then,
        str(rows[at]["position"]),
        _outside(rows[at + 1 :]),
        seen(now) if now is not None else "",
    )


def _decision(row: Row) -> tuple[Any, Any]:
    return row["time"], row.get("causation_id")


def _begin(rows: list[Row], at: int) -> int:
    """The first event of the decision of row `at`."""
    while at > 0 and _decision(rows[at - 1]) == _decision(rows[at]):
        at -= 1
    return at


def _before_steps(rows: list[Row], steps: int) -> int:
    at, left = len(rows), steps
    while left and at > 0:
        begin = _begin(rows, at - 1)
        if any(r["type"] in MOVES for r in rows[begin:at]):
            left -= 1
        at = begin
    if left or at == 0:
        raise Problem(RejectionCode.INVALID_ARGUMENT, f"it has not gone {steps} steps since its start: expected fewer", where="body steps")
    return at - 1


def _before_operation(rows: list[Row]) -> int:
    at = next((n for n in range(len(rows) - 1, -1, -1) if rows[n]["type"] in OPERATIONS), None)
    if at is None:
        raise Problem(RejectionCode.INVALID_STATE, "nobody has changed it by hand: there is nothing to undo")
    later = [r for r in rows[at:] if _decision(r) != _decision(rows[at])]
    if later:
        told = "; ".join(f"{r['type']} at {r['position']}" for r in later[:10])
        raise Problem(
            RejectionCode.INVALID_STATE, f"it has moved since, so that can't be undone: {told}{' ...' if len(later) > 10 else ''}"
        )
    begin = _begin(rows, at)
    if begin == 0:
        raise Problem(RejectionCode.INVALID_STATE, "there is nothing before it")
    return begin - 1


def _at_position(instance: int, rows: list[Row], to: str) -> int:
    offset = position_of(to, "body to").get(partition_of_key(instance))
    found = [n for n, r in enumerate(rows) if offset is not None and int(r["position"].partition("-")[2]) <= offset]
    if not found:
        raise malformed(f"a position of its history was expected ({rows[0]['position']} is the first), found {to}", "body to")
    return found[-1]


def _at_element(instance: int, rows: list[Row], element: str) -> int:
    """The last moment at which a token waited there and then went on."""
    from flowledger.kernel.state import WAITING

    replay, last, there = Replay(instance), -1, False
    for n, row in enumerate(rows):
        replay.add(row)
        if n + 1 < len(rows) and _decision(rows[n + 1]) == _decision(row):
            continue  # in the middle of a decision nothing stands still: its task may be withdrawn, and the token is not moved yet
        i = replay.partition.instances.get(instance)
        there = i is not None and any(t.element == element and t.phase == WAITING for t in i.tokens.values())
        if there:
            last = n
    if last < 0:
        raise Problem(RejectionCode.INVALID_ARGUMENT, f"no token has ever waited at '{element}'", where="body to")
    if there:
        raise Problem(RejectionCode.INVALID_STATE, f"a token waits at '{element}' now: expected an element that was left", where="body to")
    return last


def _outside(rows: list[Row]) -> list[str]:
    found: list[str] = []
    for row in rows:
        data, type = row.get("data") or {}, row["type"]
        element, at = data.get("element", ""), f"({row['position']})"
        if type == "task.completed":
            who = data.get("worker") or (row.get("metadata") or {}).get("actor") or "somebody"
            found.append(f"task {data.get('task')} at '{element}' was completed by {who} {at}")
        elif type == "message.correlated":
            found.append(f"message '{data.get('name')}' was taken at '{element}' {at}")
        elif type == "decision.evaluated":
            found.append(f"decision '{data.get('decision')}' was made at '{element}' {at}")
        elif type == "data.written":
            found.append(f"data store '{data.get('store')}' was written {at}")
        elif type == "element.noted" and (child := (data.get("data") or {}).get("child")):
            found.append(f"instance {child} was called {at}")
    return found
