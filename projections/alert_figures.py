"""What rules of alerts on KPIs and on anomalies are held against: the figure of each group at the ends of steps. Of measures: `projections/alerts.py`."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg import sql

from flowledger.analytics import anomalies as an
from flowledger.analytics.terms import MICRO
from flowledger.kernel.alerts import rule as ar
from flowledger.projections import kpis, odd_cases
from flowledger.projections import measures as me
from flowledger.projections.reader import Reader, Row, Senseless, iso

#: rows of the roll-ups that one rule reads at most, and groups that are looked at
ROWS_MAX, GROUPS_MAX = 250_000, 500
#: weeks before, of which starts are forecast (as `projections/anomalies.py`)
BACK_HOURS = 8 * 7 * 24
#: cases of a time that a rule judges
CASES_MAX = 20_000
#: rows may be behind the log: an hour is judged so long after its end (µs)
SETTLE_US = 60_000_000


class Point(NamedTuple):
    """A figure as it was at `us`, the end of a step; `cases`: on how many it stands, None: it is a count itself."""

    us: int
    value: float | None
    cases: int | None


Series = list[tuple[dict[str, Any], list[Point]]]


def moment(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC)


def last_step(rule: ar.Rule, us: int) -> int:
    """The end of the step that is under way; of anomalies, of the last hour that is over."""
    if rule.measure == ar.ANOMALIES:
        return (us - SETTLE_US) // rule.step_us * rule.step_us
    return us // rule.step_us * rule.step_us + rule.step_us


# --- KPIs ------------------------------------------------------------------------------------------------------------------------


async def of_kpi(r: Reader, tenant: str, rule: ar.Rule, first: int, last: int) -> Series:
    """Of each group, at the ends of steps from `first` to `last` (µs, both included). Raises: Senseless."""
    record = await kpis.record_of(r, tenant, rule.kpi)
    _fits(rule, record)
    begin = first - (rule.steps + 1) * rule.step_us  # whole steps, and the one under way beside, as measures
    groups = [g for g in kpis.GROUPS if g in rule.groups]
    if "version" in groups and "process" not in groups:
        groups.insert(0, "process")
    rows = await _rows(r, tenant, rule, record, groups, begin, last)
    series: dict[tuple[Any, ...], dict[int, Row]] = {} if groups else {(): {}}
    for row in rows:
        series.setdefault(tuple(row[kpis.GROUPS[g]] for g in groups), {})[round(row["at"].timestamp()) * 1_000_000] = row
    if len(series) > GROUPS_MAX:
        raise Senseless(f"group: expected {GROUPS_MAX} groups at most, found {len(series)}: filter by process, element or value")
    unit = 1000 if record["kind"] in kpis.TIMES else MICRO
    return [
        (dict(zip(groups, key, strict=True)), list(_sliding(rule, series[key], begin, first, last, unit)))
        for key in sorted(series, key=str)
    ]


def _fits(rule: ar.Rule, record: Row) -> None:
    """Raises: Senseless."""
    kind = record["kind"]
    if rule.figure in ("kept_share", "broken") and kind != "sla":
        raise Senseless(f"figure: {rule.figure} is of promises (kind sla), and {rule.kpi} is of kind {kind}")
    timed = kind in kpis.TIMES and rule.figure in ar.AMOUNTS
    if timed != rule.timed:
        expected = "a duration such as PT2H" if timed else "a number"
        raise Senseless(
            f"above, below: expected {expected}, as {rule.figure} of {rule.kpi} (kind {kind}) is {'a time' if timed else 'none'}"
        )


async def _rows(r: Reader, tenant: str, rule: ar.Rule, record: Row, groups: list[str], begin: int, last: int) -> list[Row]:
    where: list[sql.Composable] = [sql.SQL("tenant_id = %s AND name = %s AND at >= %s AND at < %s")]
    values: list[Any] = [tenant, rule.kpi, moment(begin), moment(last)]
    for name, column in kpis.GROUPS.items():
        if name in rule.filters:
            where.append(sql.SQL("{} = %s").format(sql.Identifier(column)))
            values.append(int(rule.filters[name]) if name == "version" else rule.filters[name])
        elif name == "element" and record["kind"] == "cost":  # of work and of instances: never both together
            where.append(sql.SQL("element <> ''" if "element" in groups else "element = ''"))
    columns = sql.SQL("").join(sql.SQL("{}, ").format(sql.Identifier(kpis.GROUPS[g])) for g in groups)
    query = sql.SQL(
        "SELECT {}at, sum(n)::bigint AS n, sum(kept)::bigint AS kept, sum(total) AS total FROM {} WHERE {} GROUP BY {}at LIMIT %s"
    ).format(columns, sql.Identifier("kpis_hour" if rule.step_us == ar.HOUR_US else "kpis_minute"), sql.SQL(" AND ").join(where), columns)
    rows = list(await r.rows(query, [*values, ROWS_MAX + 1]))
    if len(rows) > ROWS_MAX:
        raise Senseless(f"group: expected {ROWS_MAX} figures at most, found more: ask for less")
    return rows


def _sliding(rule: ar.Rule, rows: dict[int, Row], begin: int, first: int, last: int, unit: int) -> Iterator[Point]:
    step, length = rule.step_us, (rule.steps + 1) * rule.step_us
    n = kept = total = 0
    for at in range(begin, last, step):
        for place, sign in ((at, 1), (at - length, -1)):
            if row := rows.get(place):
                n, kept, total = n + sign * row["n"], kept + sign * row["kept"], total + sign * row["total"]
        if at + step >= first:
            yield _point(rule.figure, at + step, n, kept, float(total) / unit)


def _point(figure: str, us: int, n: int, kept: int, total: float) -> Point:
    if figure in ("mean", "kept_share"):
        return Point(us, (total / n if figure == "mean" else kept / n) if n else None, n)
    return Point(us, {"total": total, "count": float(n), "broken": float(n - kept)}[figure], None)


# --- anomalies -------------------------------------------------------------------------------------------------------------------


async def of_anomalies(r: Reader, tenant: str, rule: ar.Rule, first: int, last: int) -> Series:
    """How many hours of the window (and elements in them), and cases that completed in it, were told to be unlike before, each by what was before it alone.
    Raises: Senseless."""
    found: dict[str, list[int]] = defaultdict(list)
    if {*rule.kinds} & {*ar.OF_HOURS}:
        for element, us in await _hours(r, tenant, rule, first, last):
            found[element].append(us)
    if {*rule.kinds} & {*ar.OF_CASES}:
        start, end = moment(first - rule.steps * rule.step_us), moment(last)
        cases, _, whole = await odd_cases.judged(r, tenant, rule.process, start, end, rule.kinds, CASES_MAX)
        if not whole:
            raise Senseless(f"from: expected at most {CASES_MAX} cases that completed, found more: ask for less time")
        for odd in cases:
            if rule.filters.get("element") in (None, odd.element):
                found[odd.element].append(odd.us + 1)  # at a full step it belongs to the one that begins
    if "element" not in rule.groups:
        found = {"": [us for times in found.values() for us in times]}
    if len(found) > GROUPS_MAX:
        raise Senseless(f"group: expected {GROUPS_MAX} elements at most, found {len(found)}")
    out: Series = []
    for key in sorted(found):
        names = {"process": rule.process, "element": key}
        group: dict[str, Any] = {g: v for g, v in names.items() if g in rule.groups}
        out.append((group, list(_counted(rule, sorted(found[key]), first, last))))
    return out


async def _hours(r: Reader, tenant: str, rule: ar.Rule, first: int, last: int) -> list[tuple[str, int]]:
    """(element, the end of an hour that was told), by volume or duration."""
    begin = first - rule.steps * rule.step_us
    judged = begin - an.HOURS_OF_DAY * ar.HOUR_US  # an hour is told beside those of the day before it
    start, end = judged - BACK_HOURS * ar.HOUR_US, last
    places, asked_hours = (end - start) // ar.HOUR_US, (end - judged) // ar.HOUR_US
    span = {"process": rule.process, "from": iso(moment(start)), "to": iso(moment(end)), "window": "hour"}
    element = rule.filters.get("element")
    counts = [0] * places
    if "volume" in rule.kinds and element is None:
        sums = await me.sums(r, tenant, me.read({**span, "measure": "started"}, moment(end)), ROWS_MAX)
        for (_, at), row in sums.items():
            counts[(round(at.timestamp()) * 1_000_000 - start) // ar.HOUR_US] = row["started"]
    spreads = await _spreads(r, tenant, span, element, start) if "duration" in rule.kinds else {}
    first_hour = start // ar.HOUR_US % an.HOURS_OF_DAY
    told = await asyncio.to_thread(
        lambda: an.told_by_hour(an.by_hour(counts, spreads, asked_hours, first_hour))
    )  # a month's hours: seconds
    return [(f.element, judged + (n + 1) * ar.HOUR_US) for n, hour in enumerate(told) for f in hour]


async def _spreads(r: Reader, tenant: str, span: dict[str, str], element: str | None, start: int) -> dict[str, dict[int, dict[int, int]]]:
    given = {**span, "measure": "cycle_time", "group": "element", **({} if element is None else {"element": element})}
    asked = me.read(given, moment(start))
    place = asked.columns.index("element")
    asked = asked._replace(start=asked.start + timedelta(hours=BACK_HOURS - an.DURATION_HOURS))
    out: dict[str, dict[int, dict[int, int]]] = defaultdict(dict)
    for (group, at, _), buckets in (await me.spreads(r, tenant, asked, ROWS_MAX)).items():
        out[group[place]][(round(at.timestamp()) * 1_000_000 - start) // ar.HOUR_US] = buckets
    return out


def _counted(rule: ar.Rule, times: list[int], first: int, last: int) -> Iterator[Point]:
    for us in range(first, last + 1, rule.step_us):
        since = us - rule.steps * rule.step_us
        yield Point(us, float(bisect_right(times, us) - bisect_right(times, since)), None)
