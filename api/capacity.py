"""What the installation carries, when it is full, and what to change (docs/capacity.md)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.params import Parameter

from flowledger.analytics import carries
from flowledger.analytics.capacity import WEEK, Ahead, Told
from flowledger.api import answers as a
from flowledger.api.directory import _list
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.lists import WaitFor
from flowledger.api.services import services_of
from flowledger.events import commands as c
from flowledger.kernel.tasks import calendars

HOUR = timedelta(hours=1)
HOUR_US = 3_600_000_000
#: people and calendars that are read at most
DIRECTORY_MAX = 5_000


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Band(msgspec.Struct, kw_only=True):
    """The truth lies between `low` and `high` in 90 of 100 cases."""

    value: float
    low: float
    high: float


class Reached(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """When so much comes: `at`, and between `from` and `to`. Null: not within two years, or, of `to`, nobody knows."""

    at: a.Time | None
    from_: a.Time | None
    to: a.Time | None


class Growing(msgspec.Struct, kw_only=True):
    """`weekly`: by which share in a week, now; `by` line: as much each week; rate: as large a share."""

    by: Literal["line", "rate"]
    weekly: float


class Week(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    from_: a.Time
    came: Band


class Hour(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """Of an hour to come: how many come (80 of 100 between `low` and `high`), how many wait at its end, how many can be done in it."""

    from_: a.Time
    came: Band
    waits: Band
    can: float


class Peak(msgspec.Struct, kw_only=True):
    """When the most will wait, and how many hours the last of them does."""

    at: a.Time
    waits: Band
    wait_h: float


class Change(msgspec.Struct, kw_only=True):
    """`what`: limit, the limit of the job type; hands: workers or people. `why`: peak, of the next week; growth, of the next four. `at`: by when."""

    what: Literal["limit", "hands"]
    was: float
    proposed: int
    why: Literal["peak", "growth"]
    at: a.Time


class Resource(msgspec.Struct, kw_only=True):
    """`hands`: how many work on it at once; `by` measured: more waited and no more was done; limit: that of the job type; calendar: of the
    directory; seen: so many at least, so
    `carries` is the least and it is not full before. `came`: in the last seven days; `carries`: in a week; `busy`: what comes now by what can be done."""

    kind: Literal["job_type", "people"]
    name: str
    process: str | None
    element: str | None
    groups: list[str]
    hands: Band
    by: Literal["measured", "limit", "calendar", "seen"]
    limit: int | None
    people: int | None
    mean_work_ms: float
    open_hours: float
    came: int
    carries: Band
    busy: float | None
    open: int
    growth: Growing | None
    tight: Reached | None
    full: Reached | None
    weeks: list[Week]
    ahead: list[Hour]
    peak: Peak | None
    advice: Change | None


class Process(msgspec.Struct, kw_only=True):
    """Of this node: what a step costs it, the share of a processor that it uses without any, and how many steps a second then fill one."""

    process: str
    step_us: float
    idle: float
    carries_s: float


class Busiest(msgspec.Struct, kw_only=True):
    at: a.Time
    steps_s: float


class Server(msgspec.Struct, kw_only=True):
    """Steps are arrivals of tokens at elements, of all tenants. `by` samples: of the last hour of this node's processes, `narrow` the one that is
    full first; given: by the parameter;
    nothing: there was too little to measure by. `lag_s`: how far rows are behind the log, now."""

    steps_week: int
    busiest: Busiest | None
    carries_s: float | None
    by: Literal["samples", "given", "nothing"]
    narrow: str | None
    processes: list[Process]
    busy: float | None
    growth: Growing | None
    tight: Reached | None
    full: Reached | None
    lag_s: float | None


class Capacity(msgspec.Struct, kw_only=True):
    """The fullest first. `server`: of the installation as a whole, for whoever is of no tenant."""

    at: a.Time
    items: list[Resource]
    server: Server | None
    cursor: str | None = None
    position: str | None = None


@get("/reports/capacity", summary="What can be carried, and when it is full")
async def capacity(
    request: ApiRequest,
    since: Annotated[
        datetime | None, Parameter(query="from", description="As of this time, as it would have been told then [default: now]")
    ] = None,
    steps_s: Annotated[
        float | None,
        Parameter(
            gt=0, le=1e9, schema_extra={"exclusiveMinimum": 0}, description="So many steps a second it can by a measurement of one's own"
        ),
    ] = None,
    wait_for: WaitFor = None,
) -> Response[Capacity]:
    """Workers by job type, people by element, and the server: what each carries by the busiest hours of the last four weeks, what comes by the
    growth of up to twelve, when it is tight
    (85 %) and full, and what waits in the hours of the next week. Without five weeks nothing is said of hours, without four nothing of growth."""
    s = services_of(request)
    await s.wait_for(wait_for)
    tenant = s.identify(request).tenant
    given = {} if since is None else {"from": since.isoformat()}
    found = await s.reads.insight("loads", given, tenant)
    at = datetime.fromisoformat(found["at"])
    limits = await limits_of(request)
    staff = await _staff(request, {g for i in found["items"] for g in i["groups"]}, at) if found["items"] else []
    server = None
    if not tenant:
        past = await s.reads.steps(at)
        costs = s.loads.costs() if s.loads is not None else {}
        busiest = past["busiest"]
        server = carries.server(past["hours"], busiest["steps_s"] if busiest else 0.0, costs, steps_s)
        server |= {"busiest": busiest, "lag_s": s.lag.behind_s() if s.lag is not None else None}
        del server["busiest_s"]
        _dated(server, at)
    items = await asyncio.to_thread(_resources, found["items"], limits, staff, at)
    return reply({"at": iso(at), "items": items, "server": server, "cursor": None, "position": found["position"]})


def _resources(
    rows: list[dict[str, Any]], limits: dict[str, int], staff: list[tuple[set[str], list[float]]], at: datetime
) -> list[dict[str, Any]]:
    """A thousand hours and more of each: beside the loop."""
    items = []
    for row in rows:
        machines = row["kind"] == "job_type"
        found = [hours for groups, hours in staff if groups.intersection(row["groups"])]  # who is in several of them is there once
        people, calendar = (len(found), [sum(h) for h in zip(*found, strict=True)]) if found else (None, None)
        told = carries.resource(row["hours"], machines, limits.get(row["name"]) if machines else None, people, calendar)
        items.append({**{k: row[k] for k in ("kind", "name", "process", "element", "groups")}, **_dated(told, at)})
    return sorted(items, key=lambda i: (-(i["busy"] or 0.0), i["kind"], i["name"], i["process"] or ""))


def _band(told: Told) -> dict[str, float]:
    return {"value": round(told.value, 4), "low": round(told.low, 4), "high": round(told.high, 4)}


def _dated(told: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Weeks and hours from now as times, in place."""
    for name in ("tight", "full"):
        if told[name] is not None:
            told[name] = {k: None if weeks is None else iso(at + timedelta(weeks=weeks)) for k, weeks in told[name].items()}
    if told["growth"] is not None:
        told["growth"]["weekly"] = round(told["growth"]["weekly"], 5)
    if "hands" not in told:
        return told
    per_hour = [told["carries"].value / told["open_hours"] if told["open_hours"] else 0.0] * WEEK
    ahead: list[Ahead] = told["ahead"]
    told["ahead"] = [
        {"from": iso(at + n * HOUR), "came": _band(i.came), "waits": _band(i.waits), "can": round(per_hour[n % WEEK], 3)}
        for n, i in enumerate(ahead)
    ]
    told["weeks"] = [{"from": iso(at + timedelta(weeks=n)), "came": _band(w)} for n, w in enumerate(told["weeks"])]
    if told["peak"] is not None:
        told["peak"] = {
            "at": iso(at + (told["peak"]["hour"] + 1) * HOUR),
            "waits": _band(told["peak"]["waits"]),
            "wait_h": told["peak"]["wait_h"],
        }
    if told["advice"] is not None:
        told["advice"] = {**{k: v for k, v in told["advice"].items() if k != "hour"}, "at": iso(at + told["advice"]["hour"] * HOUR)}
    told["hands"], told["carries"] = _band(told["hands"]), _band(told["carries"])
    told["mean_work_ms"] = told.pop("mean_work_us") / 1000
    return told


async def limits_of(request: ApiRequest) -> dict[str, int]:
    """Job type -> how many of it may be in hand at once."""
    found: dict[str, int] = {}
    for item in (await _list(request, "task_definition", "", "", 1000))["items"]:
        n = (item.get("execution") or {}).get("concurrency")
        if isinstance(n, int) and "@" not in item["name"]:
            found[item["name"]] = n
    for item in (await _list(request, "limit", "job:", "", 1000))["items"]:
        if isinstance(item.get("concurrency"), int):
            found[item["name"]] = item["concurrency"]
    return found


async def _staff(request: ApiRequest, groups: set[str], at: datetime) -> list[tuple[set[str], list[float]]]:
    """Each active person of them: the groups, and the share of each hour of the week that begins `at` in which they are there."""
    people, known = await _entries(request, "user:"), await _entries(request, "calendar:")
    begin = int(at.timestamp()) * 1_000_000
    shares: dict[str, list[float]] = {}
    found: list[tuple[set[str], list[float]]] = []
    for entry in people.values():
        own = groups & {*(entry.get("groups") or ()), *(entry.get("roles") or ())}
        if not own or not entry.get("active", True):
            continue
        name = str(entry.get("calendar") or "")
        name = name if name in known else ""
        if name not in shares:
            spans = (begin + n * HOUR_US for n in range(WEEK))
            shares[name] = [calendars.between(known.get(name), start, start + HOUR_US) / HOUR_US for start in spans]
        found.append((own, shares[name]))
    return found


async def _entries(request: ApiRequest, prefix: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    after = ""
    while len(found) < DIRECTORY_MAX:
        page = await services_of(request).call(
            c.ListRecords(registry="directory", prefix=prefix, after=after, limit=1000), request, partition=0
        )
        rows = page.get("records") or ()
        found |= {r["name"].removeprefix(prefix): r["value"] for r in rows}
        if not page.get("more") or not rows:
            break
        after = rows[-1]["name"]
    return found


HANDLERS: list[Any] = [capacity]
