"""Courses of instances from their events, for what is learned from them; and where a running one stands."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from flowledger.analytics import fold
from flowledger.analytics.advise.seen import Seen
from flowledger.analytics.predict.course import Course, course_of, since_of, state_of
from flowledger.analytics.simulate.learned import History
from flowledger.analytics.trace import Trace
from flowledger.events.base import Event
from flowledger.events.wire import NAMES
from flowledger.events.workflow import WorkflowStarted
from flowledger.projections.reader import Reader, Row
from flowledger.projections.tables import EPOCH, micros

#: instances that one model is learned from, the last that ended; events of them that are looked through at once
CASES_MAX, AT_ONCE = 2_000, 100
#: events of one instance: what has more isn't learned from
EVENTS_MAX = 5_000
_KINDS: tuple[type[Event], ...] = (WorkflowStarted, *fold.MEASURED, *fold.OF_TASKS)
#: values of variables: nothing is learned from them, and they may be large
_LEFT_OUT = ("variables", "output")
_CLASSES: dict[str, type[Event]] = {NAMES[cls]: cls for cls in _KINDS}


async def ended(r: Reader, tenant: str | None, process: str) -> list[Row]:
    """How many instances of which process have ended in a year; of all tenants, or of one."""
    return await r.rows(
        "SELECT tenant_id, process_id, sum(completed + failed + cancelled + terminated)::bigint AS ended FROM measures_day WHERE element = ''"
        " AND job_type = '' AND at >= now() - interval '365 days' AND (%s::text IS NULL OR tenant_id = %s) AND (%s = '' OR process_id = %s)"
        " GROUP BY tenant_id, process_id HAVING sum(completed + failed + cancelled + terminated) > 0",
        (tenant, tenant, process, process),
    )


async def courses(r: Reader, tenant: str, process: str, after: datetime | None = None, most: int = CASES_MAX) -> list[Course]:
    """Of the last that ended; `after`: of those that began later than that."""
    out = list[Course]()
    async for events in _last(r, tenant, process, after, most):
        out += await asyncio.to_thread(_courses, events)
    return out


async def _last(r: Reader, tenant: str, process: str, after: datetime | None = None, most: int = CASES_MAX) -> AsyncIterator[list[Row]]:
    """What is measured of the last that ended, in order, some instances at a time."""
    rows = await r.rows(
        "SELECT id FROM traces WHERE tenant_id = %s AND process_id = %s AND ended_at IS NOT NULL AND (%s::timestamptz IS NULL OR started_at > %s)"
        " ORDER BY ended_at DESC, id DESC LIMIT %s",
        (tenant, process, after, after, most),
    )
    keys = [row["id"] for row in rows]
    for n in range(0, len(keys), AT_ONCE):
        yield await r.rows(
            "SELECT workflow_instance_id AS key, id, event_type, occurred_at, data - %s::text[] AS data FROM workflow_events"
            " WHERE tenant_id = %s AND workflow_instance_id = ANY(%s) AND event_type = ANY(%s) ORDER BY workflow_instance_id, id",
            (list(_LEFT_OUT), tenant, keys[n : n + AT_ONCE], list(_CLASSES)),
        )


async def past(r: Reader, tenant: str, process: str) -> History:
    """What simulations are made from: the last instances that ended."""
    history = History()
    async for events in _last(r, tenant, process):
        await asyncio.to_thread(_remembered, history, events)
    return history


async def seen(r: Reader, tenant: str, process: str) -> Seen:
    """What advice is read from: the last instances that ended."""
    found = Seen()
    async for events in _last(r, tenant, process):
        await asyncio.to_thread(_remembered, found, events)
    return found


def _remembered(history: History, rows: list[Row]) -> None:
    for events in _by_key(rows):
        history.add(events)


def _by_key(rows: list[Row]) -> list[list[tuple[Event, int]]]:
    by_key: dict[int, list[tuple[Event, int]]] = defaultdict(list)
    for row in rows:
        by_key[row["key"]].append((_event(row), micros(row["occurred_at"])))
    return [events for events in by_key.values() if len(events) <= EVENTS_MAX]


def _courses(rows: list[Row]) -> list[Course]:
    found = (course_of(events) for events in _by_key(rows))
    return [c for c in found if c is not None and c.outcome]


def _event(row: Row) -> Event:
    cls = _CLASSES[row["event_type"]]
    given: dict[str, Any] = {name: {} for name in _LEFT_OUT if name in cls.__struct_fields__}
    given |= {k: v for k, v in (row["data"] or {}).items() if k in cls.__struct_fields__}
    if "key" in cls.__struct_fields__:
        given["key"] = row["key"]
    found: Event = msgspec.convert(given, cls, strict=False)
    return found


async def standing(r: Reader, tenant: str, key: int) -> Row | None:
    """Where an instance stands: `{process, version, state, started_us, since_us, outcome}`. None: there is none, or it hasn't begun."""
    rows = await r.rows(
        "SELECT process_id, version, outcome, started_at, state FROM traces WHERE tenant_id = %s AND id = %s", (tenant, key)
    )
    if not rows:
        return None
    row = rows[0]
    found: dict[str, Any] = {
        "process": row["process_id"], "version": row["version"], "outcome": row["outcome"], "started_us": micros(row["started_at"]), "state": "",
        "since_us": 0,
    }  # fmt: skip
    if row["state"] is not None:
        t = Trace.load(key, tenant, row["state"])
        found |= {"state": state_of(t), "since_us": since_of(t)}
    return found


def moment(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)
