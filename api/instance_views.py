"""One instance, looked at closely: status, metrics, tree, events, and its state at any moment."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Annotated, Any

from litestar import Response, get
from litestar.params import Parameter

from flowledger.api.edge import UTC, ApiRequest, keyed, page, position_of, reply, time_of, time_text
from flowledger.api.instances import find
from flowledger.api.lists import Limit, WaitFor
from flowledger.api.models import nodes_of
from flowledger.api.problems import Problem, malformed
from flowledger.api.replay import Replay, micros
from flowledger.api.services import Services, services_of
from flowledger.api.view import row_event_view
from flowledger.events import wire
from flowledger.events.base import RejectionCode
from flowledger.events.commands import partition_of_key

#: events that are folded for one answer
REPLAY_MAX = 200_000
PAGE = 5_000
BOTTLENECKS_MAX = 5
TREE_FIELDS = ("id", "process", "definition", "version", "status", "business_key", "parent")
ENDED = ("completed", "failed", "cancelled", "terminated")

After = Annotated[str, Parameter(description="Position of the last event seen")]
Types = Annotated[str, Parameter(description="Event types, separated by commas; `task.*` is all of a kind; old words are known")]


def types_of(text: str) -> list[str]:
    """Names of the catalogue. Raises: Problem: an unknown one."""
    found = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        name = wire.canonical(part)
        if name.endswith(".*") and any(n.startswith(name[:-1]) for n in wire.CURRENT):
            found += [n for n in wire.CURRENT if n.startswith(name[:-1])]
        elif name in wire.CURRENT:
            found.append(name)
        else:
            raise malformed(f"an event type such as task.completed or task.* was expected, found {part!r}", "query type")
    return found


@get("/instances/{id:str}/events", summary="History of an instance")
async def events(
    request: ApiRequest, id: str, after: After = "", type: Types = "", limit: Limit = 100, wait_for: WaitFor = None
) -> Response[Any]:
    """In order, oldest first. `next` is the `after` of the next page."""
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    return await event_page(request, row["id"], 0, after, type, limit)


async def event_page(request: ApiRequest, instance: int, task: int, after: str, type: str, limit: int) -> Response[Any]:
    s = services_of(request)
    if limit > s.settings.page_max:
        raise malformed(f"at most {s.settings.page_max}, found {limit}", "query limit")
    if after:
        position_of(after, "query after")
    rows, following = await s.reads.events(instance, task, after, limit, types_of(type), s.identify(request).tenant)
    return reply({**page([], following), "items": [row_event_view(r) for r in rows]})


async def replay(s: Services, instance: int, tenant: str, at: str = "") -> Replay:
    """The fold of an instance's events up to and including `at` (a time, a position, or an offset in its partition; `""`: all)."""
    found, after, until_us, until = Replay(instance), "", None, None
    if at:
        if at.isdigit():
            until = int(at)
        elif ":" in at or len(at.split("-")) > 2:
            until_us = micros(time_of(at, "query at").astimezone(UTC))
        else:
            positions = position_of(at, "query at")
            until = positions.get(partition_of_key(instance))
            if until is None:
                raise malformed(f"a position in partition {partition_of_key(instance)} was expected, found {at}", "query at")
    while True:
        rows, after = await s.reads.events(instance, 0, after, PAGE, [], tenant)
        for row in rows:
            if (until is not None and row["offset"] > until) or (until_us is not None and micros(row["time"]) > until_us):
                return found
            found.add(row)
        if not after:
            return found
        if found.events > REPLAY_MAX:
            raise Problem(RejectionCode.INVALID_ARGUMENT, f"more than {REPLAY_MAX} events: fold them from the log (flowledger history)")
        await asyncio.sleep(0)


@get("/instances/{id:str}/state", summary="The state at any moment")
async def state(
    request: ApiRequest,
    id: str,
    at: Annotated[str, Parameter(description="A time (RFC 3339) or a position; none: now")] = "",
    wait_for: WaitFor = None,
) -> Response[Any]:
    """Folded from the events: tokens, variables, tasks, timers, subscriptions and incidents as they were then."""
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    return reply((await replay(s, row["id"], s.identify(request).tenant, at)).state())


@get("/instances/{id:str}/status", summary="Progress")
async def status(request: ApiRequest, id: str, wait_for: WaitFor = None) -> Response[Any]:
    """Progress is the share of the model's elements that have been left at least once (100 when it has completed). The estimate is the
    start plus the mean duration of completed instances. `bottlenecks` are the elements at which tokens have stood longest."""
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    tenant = s.identify(request).tenant
    folded = await replay(s, row["id"], tenant)
    now = folded.state()
    source = await s.reads.source(row["definition"], tenant)
    nodes = await asyncio.to_thread(nodes_of, source[0], source[1], row["process"]) if source else ()
    left = {n for n, _ in nodes if n in folded.stays}
    progress = 100 if row["status"] == "completed" else min(99, len(left) * 100 // len(nodes)) if nodes else None
    estimate = None
    if row["status"] in ("running", "suspended", "pending") and row.get("started_at") is not None:
        mean = await s.reads.mean_duration_s(row["definition"], tenant)
        if mean is not None:
            estimate = row["started_at"] + timedelta(seconds=mean)
    standing = sorted(folded.entered.values(), key=lambda e: e[1])
    here, now_us = {e for e, _ in standing}, time.time_ns() // 1000
    return reply(
        {
            "id": str(row["id"]),
            "status": row["status"],
            "progress_percent": progress,
            "active_tasks": now["tasks"],
            "active_elements": sorted(here),
            "completed_elements": sum(n for n, _ in folded.stays.values()),
            "pending_elements": [] if row["status"] in ENDED else [n for n, _ in nodes if n not in left and n not in here],
            "failed_attempts": folded.failed,
            "incidents": len(now["incidents"]),
            "started_at": row.get("started_at"),
            "estimated_end": estimate,
            "bottlenecks": [
                {"element": e, "waiting_ms": max(0, now_us - since) // 1000, "since": time_text(since)}
                for e, since in standing[:BOTTLENECKS_MAX]
            ],
        }
    )


@get("/instances/{id:str}/metrics", summary="Durations and counts")
async def metrics(request: ApiRequest, id: str, wait_for: WaitFor = None) -> Response[Any]:
    """Microsecond-exact, from the events: how long tokens stood at each element, how long tasks waited and were worked on."""
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    tenant = s.identify(request).tenant
    folded = await replay(s, row["id"], tenant)
    tasks, cursor, work, wait = [], "", 0.0, 0.0
    while True:
        rows, cursor = await s.reads.list("tasks", {"instance": row["id"]}, 1000, cursor, tenant)
        tasks += rows
        if not cursor:
            break
    for t in tasks:
        begun, done = t.get("started_at"), t.get("completed_at")
        if begun and t.get("created_at"):
            wait += (begun - t["created_at"]).total_seconds()
        if begun and done:
            work += (done - begun).total_seconds()
    return reply(
        {
            "id": str(row["id"]),
            "duration_ms": (folded.time_us - folded.started_us) // 1000,
            "events": folded.events,
            "steps_completed": sum(n for n, _ in folded.stays.values()),
            "steps_failed": folded.failed,
            "retries": folded.retried,
            "tasks": len(tasks),
            "task_wait_ms": round(wait * 1000),
            "task_work_ms": round(work * 1000),
            "elements": [
                {"element": e, "count": n, "total_ms": us / 1000, "mean_ms": us / n / 1000}
                for e, (n, us) in sorted(folded.stays.items(), key=lambda x: -x[1][1])
            ],
        }
    )


@get("/instances/{id:str}/tree", summary="An instance and all that it called")
async def tree(request: ApiRequest, id: str, wait_for: WaitFor = None) -> Response[Any]:
    """Called instances below the one that called them, each with the elements at which it stands."""
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    tenant = s.identify(request).tenant
    rows: dict[int, dict[str, Any]] = {row["id"]: row}
    frontier = [row["id"]]
    limit = s.settings.page_max
    while frontier and len(rows) <= limit:
        parent, cursor = frontier.pop(), ""
        while len(rows) <= limit:
            found, cursor = await s.reads.list("instances", {"parent": parent}, limit, cursor, tenant)
            fresh = [r for r in found if r["id"] not in rows]
            rows |= {r["id"]: r for r in fresh}
            frontier += [r["id"] for r in fresh]
            if not cursor:
                break
    shown = {}
    for key, r in rows.items():
        shown[key] = keyed({k: r.get(k) for k in TREE_FIELDS}) | {"children": []}
        tokens = (await replay(s, key, tenant)).state()["tokens"] if r["status"] in ("running", "suspended") else []
        shown[key]["tokens"] = [{k: t[k] for k in ("token", "element", "phase")} for t in tokens]
    for key, r in rows.items():
        if key != row["id"] and r.get("parent") in shown:
            shown[r["parent"]]["children"].append(shown[key])
    return reply({**shown[row["id"]], "complete": len(rows) <= limit})


HANDLERS: list[Any] = [events, state, status, metrics, tree]
