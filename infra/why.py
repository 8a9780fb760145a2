"""From any event back to the request that it all began with, by the causes that stand on the log (`kernel/causes.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import wire
from flowledger.events import workflow as wf
from flowledger.events.base import Event, Recorded
from flowledger.events.commands import partition_of_key
from flowledger.processors.log import Log
from flowledger.processors.recovery import counted

STEPS_MAX = 10_000

#: event -> what it is the cause of, as others name it
_NAMES: dict[type[Event], Callable[[Any, int], str]] = {
    ta.TaskCreated: lambda e, p: f"task:{e.task}",
    wa.TimerScheduled: lambda e, p: f"timer:{e.timer}",
    wa.IncidentRaised: lambda e, p: f"incident:{e.incident}",
    wa.MessageReceived: lambda e, p: f"message:{e.message}",
    wf.WorkflowCreated: lambda e, p: f"instance:{e.key}",
    wf.WorkflowStarted: lambda e, p: f"instance:{e.key}",
    le.Outbound: lambda e, p: f"send:{p}-{e.to}-{e.seq}",
}


class Step(msgspec.Struct, frozen=True):
    """`position` is empty for what is no event: the request at the end."""

    position: str
    type: str
    instance: int
    time_us: int
    actor: str
    correlation: str
    cause: str


async def why(log: Log, partition: int, offset: int) -> list[Step]:
    """The event at a position, then what it came of, and so on; the last one has no event as its cause.

    Raises: LookupError (no event counts there), LogError, RecordsMissing.
    """
    causes: dict[int, dict[str, Recorded]] = {}
    start = await _read(log, partition, offset, causes)
    if start is None:
        raise LookupError(f"no event counts at {partition}-{offset}")
    steps = [_step(start)]
    seen = {start.id}
    cause = start.envelope.cause
    while len(steps) < STEPS_MAX:
        kind, _, name = cause.partition(":")
        home = (
            int(name.partition("-")[0])
            if kind == "send"
            else partition_of_key(int(name))
            if name.isascii() and name.isdigit()
            else partition
        )
        if home not in causes:
            await _read(log, home, -1, causes)
        found = causes[home].get(cause)
        if found is None or found.id in seen:
            break
        seen.add(found.id)
        steps.append(_step(found))
        cause = found.envelope.cause
    return steps


async def _read(log: Log, partition: int, offset: int, causes: dict[int, dict[str, Recorded]]) -> Recorded | None:
    """Reads a partition once: what can be a cause in it, and the event that is asked for."""
    known = causes.setdefault(partition, {})
    wanted = None
    async for batch in counted(log, partition):
        for r in batch:
            if r.offset == offset:
                wanted = r
            if (name := _NAMES.get(type(r.event))) is not None:
                known.setdefault(name(r.event, partition), r)
    return wanted


def _step(r: Recorded) -> Step:
    v = r.envelope
    return Step(r.id, wire.NAMES[type(r.event)], r.event.key, v.time_us, v.actor, v.correlation, v.cause)
