"""One instance, looked at closely: status, metrics, tree, events, and its state at any moment."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar, cast

from litestar import Response, get
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api import moments
from flowledger.api.edge import ApiRequest, KeyPath, position_of, reply, time_of
from flowledger.api.instances import find
from flowledger.api.lists import ONE_POSITION_PATTERN, POSITION_PATTERN, Limit, WaitFor, text_of
from flowledger.api.problems import Problem, malformed
from flowledger.api.replay import Replay, micros
from flowledger.api.services import Services, services_of
from flowledger.api.story import Story
from flowledger.api.view import row_event_view
from flowledger.events import wire
from flowledger.events.base import RejectionCode
from flowledger.events.commands import partition_of_key

#: events that are folded for one answer
REPLAY_MAX = 200_000
PAGE = 1_000

After = Annotated[
    str | None,
    Parameter(schema_extra={"pattern": ONE_POSITION_PATTERN}, description="Position of the last event seen; the same as `cursor`"),
]
EventCursor = Annotated[str | None, Parameter(schema_extra={"pattern": ONE_POSITION_PATTERN}, description="`cursor` of the page before")]
_KINDS = sorted({n.partition(".")[0] for n in wire.CURRENT})
_TYPE = "|".join([*(re.escape(n) for n in wire.CURRENT), *(rf"{k}\.\*" for k in _KINDS)])
Types = Annotated[
    str | None,
    Parameter(
        schema_extra={"pattern": f"^({_TYPE})(,({_TYPE}))*$"},
        description="Event types, separated by commas; `task.*` is all of a kind; old words are known",
    ),
]
Moment = Annotated[
    str | None,
    Parameter(
        schema_extra={"anyOf": [{"format": "date-time", "minLength": 20}, {"pattern": POSITION_PATTERN}, {"pattern": "^[0-9]{1,15}$"}]},
        description="A time (RFC 3339), a position, or an offset in the instance's partition; none: now",
    ),
]
Element = Annotated[str | None, Parameter(description="Where it happened")]
Since = Annotated[datetime | None, Parameter(description="At or after this time")]
Until = Annotated[datetime | None, Parameter(description="Before this time")]


def types_of(text: str | None) -> list[str]:
    """Names of the catalogue; None: []. Raises: Problem: an unknown one."""
    found: list[str] = []
    for part in [] if text is None else (p.strip() for p in text.split(",")):
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
    request: ApiRequest,
    id: KeyPath,
    after: After = None,
    cursor: EventCursor = None,
    type: Types = None,
    element: Element = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.Event]]:
    """In order, oldest first; `after` and `cursor` say from where."""
    row = await find(services_of(request), request, id, wait_for)
    return await event_page(request, "instances", int(row["id"]), after if cursor is None else cursor, limit, type, element, since, until)


async def event_page(
    request: ApiRequest, noun: str, key: int, after: str | None, limit: int, type: str | None, element: str | None, begin: datetime | None,
    end: datetime | None,
) -> Response[a.Page[a.Event]]:  # fmt: skip
    s = services_of(request)
    if limit > s.settings.page_max:
        raise malformed(f"at most {s.settings.page_max}, found {limit}", "query limit")
    if after is not None:
        if len(position_of(after, "query after")) != 1:
            raise malformed(f"one position like 0-123 was expected, found {after[:80]!r}", "query after")
    filters = {"type": types_of(type) or None, "element": element, "from": begin, "to": end}
    wanted = {k: text_of(v) for k, v in filters.items() if v is not None}
    page = await s.reads.events(noun, key, wanted, after or "", limit, s.identify(request).tenant)
    return reply({**page, "items": [row_event_view(r) for r in page["items"]]})


R = TypeVar("R", bound=Replay)


async def replay(s: Services, found: R, tenant: str, at: str = "") -> R:
    """The fold of an instance's events up to and including `at` (a time, a position, or an offset in its partition; `""`: all), begun with `found`."""
    instance = found.instance
    whose, size = (tenant, instance), PAGE
    after, until_us, until = "", None, None
    if at:
        if at.isascii() and at.isdigit():
            until = int(at)
        elif re.fullmatch(POSITION_PATTERN, at) is None:
            until_us = micros(time_of(at, "query at").astimezone(UTC).isoformat())
        else:
            positions = position_of(at, "query at")
            until = positions.get(partition_of_key(instance))
            if until is None:
                wanted = f"a position in partition {partition_of_key(instance)}, where the instance is, was expected, found {at}"
                raise Problem(RejectionCode.INVALID_ARGUMENT, wanted, where="query at")
    if type(found) is Replay and (known := s.moments.before(whose, until, until_us)) is not None:
        found, after, size = cast(R, known), known.position, moments.EVERY
    while True:
        page = await s.reads.events("instances", instance, {}, after, size, tenant)
        for row in page["items"]:
            offset = int(row["position"].partition("-")[2])
            if (until is not None and offset > until) or (until_us is not None and micros(row["time"]) > until_us):
                return found
            found.add(row)
            s.moments.keep(whose, found)
        after = page["cursor"]
        if not after:
            return found
        if found.events > REPLAY_MAX:
            raise Problem(RejectionCode.INVALID_ARGUMENT, f"more than {REPLAY_MAX} events can't be folded for one answer; give `at`")
        await asyncio.sleep(0)


@get("/instances/{id:str}/state", summary="The state at any moment")
async def state(
    request: ApiRequest,
    id: KeyPath,
    at: Moment = None,
    wait_for: WaitFor = None,
) -> Response[a.State]:
    """Folded from the events: tokens, variables, tasks, timers, subscriptions and incidents as they were then."""
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    read_to = {} if at else await s.reads.positions()
    found = (await replay(s, Replay(int(row["id"])), s.identify(request).tenant, at or "")).state()
    return reply({**found, "read_to": ",".join(f"{p}-{offset}" for p, offset in sorted(read_to.items()) if offset >= 0) or None})


@get("/instances/{id:str}/context", summary="The execution context")
async def context(
    request: ApiRequest,
    id: KeyPath,
    at: Moment = None,
    limit: Limit = 100,
    wait_for: WaitFor = None,
) -> Response[a.Context]:
    """What it did and does, at any moment and after its end: where tokens stand and what each waits for, the path taken, its tasks, its errors.
    Of each list the last `limit`, or as many as the setting `history_max` lets."""
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    key, tenant = int(row["id"]), s.identify(request).tenant
    story = await replay(s, Story(key, min(limit, s.settings.history_max)), tenant, at or "")
    outline = await s.reads.report("outline", key, tenant)
    return reply(story.context(outline or {}, await s.reads.report("metrics", key, tenant) or {}))


async def _report(request: ApiRequest, name: str, id: str, wait_for: str | None) -> Response[Any]:
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    return reply(await s.reads.report(name, int(row["id"]), s.identify(request).tenant))


@get("/instances/{id:str}/status", summary="Progress")
async def status(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.Progress]:
    """Progress in per cent, active tasks, counts, estimated end (by earlier runs) and bottlenecks."""
    return await _report(request, "status", id, wait_for)


@get("/instances/{id:str}/metrics", summary="Durations and counts")
async def metrics(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.InstanceMetrics]:
    """How long it took, by element: waiting and work, attempts and failures; milliseconds."""
    return await _report(request, "metrics", id, wait_for)


@get("/instances/{id:str}/tree", summary="An instance and all that it called")
async def tree(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.Tree]:
    """Called instances as nested `children`."""
    return await _report(request, "tree", id, wait_for)


HANDLERS: list[Any] = [events, state, context, status, metrics, tree]
