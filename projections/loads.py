"""What came and what was done by hour, of the workers of each job type and of people at each element; and how many steps the log took
(`analytics/capacity.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from psycopg import sql

from flowledger.analytics.capacity import RECENT, WEEK, WEEKS_MAX, Hours
from flowledger.projections import measures as me
from flowledger.projections.reader import Reader, Row, iso

HOUR = timedelta(hours=1)
BACK = timedelta(weeks=WEEKS_MAX)
#: of which there was the most work, of each kind
RESOURCES_MAX = 50
#: hours whose minutes are looked at
BUSIEST_HOURS = 3
_LEFT = "completed + failed + cancelled + terminated + moved_out"
_JOBS = "job_type <> ''"
_PEOPLE = "element <> '' AND job_type = ''"
#: people work where no jobs are made
_BY_PEOPLE = (
    "SELECT process_id, element FROM measures_day WHERE tenant_id = %s AND element <> '' AND at >= %s AND at < %s GROUP BY process_id, element "
    "HAVING sum(worked) FILTER (WHERE job_type = '') > 0 AND count(*) FILTER (WHERE job_type <> '') = 0 "
    "ORDER BY sum(work_us) FILTER (WHERE job_type = '') DESC LIMIT %s"
)
_BY_TYPE = (
    "SELECT job_type FROM measures_day WHERE tenant_id = %s AND job_type <> '' AND at >= %s AND at < %s GROUP BY job_type HAVING sum(worked) > 0 "
    "ORDER BY sum(work_us) DESC LIMIT %s"
)
#: process by process: the rows have no index by time alone
_STEPS = (
    "SELECT m.at, sum(m.started)::bigint AS n FROM (SELECT DISTINCT tenant_id, definition_id FROM workflow_definitions WHERE kind = 'process') d "
    "JOIN measures_{} m ON m.tenant_id = d.tenant_id AND m.process_id = d.definition_id "
    "WHERE m.element <> '' AND m.job_type = '' AND m.at >= %s AND m.at < %s GROUP BY m.at"
)
_GROUPS = (
    "SELECT candidate_groups FROM tasks WHERE tenant_id = %s AND definition_key = %s AND status = %s AND process_id = %s "
    "ORDER BY created_at DESC, id DESC LIMIT 1"
)
#: one after the other: each is found at the end of an index
_STATUSES = ("completed", "assigned", "created")


async def loads(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """`from`: as of then [now]. Whole hours that are over. Items: `kind` job_type or people, `name` or `process` and `element` with the `groups`
    that its last work was for,
    and `hours`."""
    asked = me.span_of({"to": given["from"]} if "from" in given else {}, datetime.now(UTC))[1]
    end = me.begin_of("hour", min(asked, datetime.now(UTC)))
    start, recent = end - BACK, end - timedelta(weeks=RECENT)
    position = await r.position()
    items: list[Row] = []
    top = (tenant, me.begin_of("day", recent), end, RESOURCES_MAX)
    types = [row["job_type"] for row in await r.rows(_BY_TYPE, top)]
    for (name,), hours in (await _hours(r, tenant, ("job_type",), [(t,) for t in types], _JOBS, start, end)).items():
        items.append({"kind": "job_type", "name": name, "process": None, "element": None, "groups": [], "hours": hours})
    places = [(row["process_id"], row["element"]) for row in await r.rows(_BY_PEOPLE, top)]
    for (process, element), hours in (await _hours(r, tenant, ("process_id", "element"), places, _PEOPLE, start, end)).items():
        groups: list[str] = []
        for status in _STATUSES:
            if found := await r.rows(_GROUPS, (tenant, element, status, process)):
                groups = found[0]["candidate_groups"] or []
                break
        items.append({"kind": "people", "name": element, "process": process, "element": element, "groups": groups, "hours": hours})
    return {"items": items, "at": iso(end), "position": position}


async def _hours(
    r: Reader, tenant: str, columns: Sequence[str], names: Sequence[tuple[str, ...]], level: str, start: datetime, end: datetime
) -> dict[tuple[str, ...], Hours]:
    if not names:
        return {}
    listed = sql.SQL(", ").join(sql.Identifier(c) for c in columns)
    chosen = sql.SQL("({}) IN ({})").format(
        listed, sql.SQL(", ").join(sql.SQL("({})").format(sql.SQL(", ").join(sql.Placeholder() for _ in columns)) for _ in names)
    )
    given = [value for name in names for value in name]
    query = sql.SQL(
        "SELECT {0}, at, sum(started + moved_in)::bigint AS came, sum({1})::bigint AS left_n, sum(worked)::bigint AS worked, sum(work_us)::bigint AS work_us "
        "FROM measures_hour WHERE tenant_id = %s AND {2} AND {3} AND at >= %s AND at < %s GROUP BY {0}, at"
    ).format(listed, sql.SQL(_LEFT), sql.SQL(level), chosen)
    n = int((end - start) / HOUR)
    found: dict[tuple[str, ...], tuple[list[int], list[int], list[int], list[int]]] = {
        name: ([0] * n, [0] * n, [0] * n, [0] * n) for name in names
    }
    for row in await r.rows(query, [tenant, *given, start, end]):
        series, at = found[tuple(row[c] for c in columns)], int((row["at"] - start) / HOUR)
        for into, name in zip(series, ("came", "left_n", "worked", "work_us"), strict=True):
            into[at] = row[name]
    day = me.begin_of("day", start)
    opened = sql.SQL(
        "SELECT {0}, sum(n)::bigint AS n FROM (SELECT {0}, started + moved_in - ({1}) AS n FROM measures_day WHERE tenant_id = %s AND {2} AND {3} AND at < %s "
        "UNION ALL SELECT {0}, started + moved_in - ({1}) FROM measures_hour WHERE tenant_id = %s AND {2} AND {3} AND at >= %s AND at < %s) o GROUP BY {0}"
    ).format(listed, sql.SQL(_LEFT), sql.SQL(level), chosen)
    before = {tuple(row[c] for c in columns): row["n"] for row in await r.rows(opened, [tenant, *given, day, tenant, *given, day, start])}
    return {name: Hours(*series, max(0, int(before.get(name) or 0))) for name, series in found.items()}


async def steps(r: Reader, until: datetime) -> Row:
    """Of all tenants: visits of elements by hour, and the minute with the most of them in the recent weeks."""
    end = me.begin_of("hour", until)
    start = end - BACK
    counts = [0] * int(BACK / HOUR)
    for row in await r.rows(_STEPS.format("hour"), (start, end)):
        counts[int((row["at"] - start) / HOUR)] = row["n"]
    recent = sorted(range(len(counts) - RECENT * WEEK, len(counts)), key=lambda n: -counts[n])[:BUSIEST_HOURS]
    busiest: Row | None = None
    for n in recent:
        if not counts[n]:
            continue
        at = start + n * HOUR
        for row in await r.rows(_STEPS.format("minute") + " ORDER BY n DESC, at LIMIT 1", (at, at + HOUR)):
            if busiest is None or row["n"] / 60 > busiest["steps_s"]:
                busiest = {"at": iso(row["at"]), "steps_s": row["n"] / 60}
    return {"hours": counts, "busiest": busiest}
