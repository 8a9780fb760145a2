"""Answers from the roll-ups: measures by group and window. What they mean: docs/insight.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, NamedTuple

from psycopg import sql

from flowledger.analytics.figures import CYCLE_TIME, WAIT_TIME, WORK_TIME
from flowledger.analytics.spread import percentile_ms
from flowledger.projections import filters as fi
from flowledger.projections.reader import Reader, Row, Senseless, iso

GRAINS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
#: window -> the grain that it is read from, and how far back is looked where nothing else is said
WINDOWS = {
    "minute": ("minute", timedelta(hours=1)), "hour": ("hour", timedelta(days=1)), "day": ("day", timedelta(days=30)),
    "week": ("day", timedelta(weeks=12)), "month": ("day", timedelta(days=365)), "all": ("", timedelta(days=30)),
}  # fmt: skip
#: groups in their order -> column
GROUPS = {"process": "process_id", "version": "version", "definition": "definition_id", "element": "element", "job_type": "job_type"}
#: what one answer has at most
ITEMS_MAX = 5_000
#: a time as a whole (`all`) is read by hour up to this long, and by day beyond
BY_HOUR_MAX = timedelta(days=14)
#: that can be asked for: windows around them are years, too
YEARS = (1900, 9000)
PERCENTILES = {"p50_ms": 0.5, "p75_ms": 0.75, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99}
_COUNTS = ("started", "completed", "failed", "cancelled", "terminated")
#: what was begun and is not over
_OPEN = "started + moved_in - moved_out - completed - failed - cancelled - terminated"
#: measure -> which spread, count, sum
TIMES = {
    "cycle_time": (CYCLE_TIME, "completed", "cycle_us"), "waiting_time": (WAIT_TIME, "worked", "wait_us"),
    "working_time": (WORK_TIME, "worked", "work_us"),
}  # fmt: skip
DEFAULT = (*_COUNTS, "wip", "success_rate", "cycle_time")
MEASURES = (
    *_COUNTS, "ended", "throughput", "wip", "success_rate", "cycle_time", "waiting_time", "working_time", "working_share", "attempts", "retries",
    "errors", "error_rate", "recovered_share", "incidents", "reworked",
)  # fmt: skip
SUMMED = (*_COUNTS, "attempts", "retries", "errors", "incidents", "reworked", "worked", "cycle_us", "wait_us", "work_us")


class Asked(NamedTuple):
    """A question, read. `start` and `end` lie on the grain."""

    measures: tuple[str, ...]
    groups: tuple[str, ...]
    window: str
    grain: str
    start: datetime
    end: datetime
    filters: dict[str, Any]

    @property
    def of_jobs(self) -> bool:
        return "job_type" in {*self.groups, *self.filters}

    @property
    def level(self) -> LiteralString:
        names = {*self.groups, *self.filters}
        return "job_type <> ''" if "job_type" in names else "element <> '' AND job_type = ''" if "element" in names else "element = ''"

    @property
    def columns(self) -> list[str]:
        return [GROUPS[g] for g in self.groups]


def _names(what: str, given: str | None, known: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    if not given:
        return tuple(default)
    wanted = [name.strip() for name in given.split(",")]
    for name in wanted:
        if name not in known:
            raise Senseless(f"{what}: expected {', '.join(known)}, found {name[:40]!r}")
    return tuple(name for name in known if name in wanted)


def read(given: Mapping[str, str], now: datetime) -> Asked:
    """Raises: BadQuery, Senseless among it."""
    window = given.get("window") or "all"
    if window not in WINDOWS:
        raise Senseless(f"window: expected {', '.join(WINDOWS)}, found {window[:40]!r}")
    grain, back = WINDOWS[window]
    start, end = span_of(given, now, back)
    grain = grain or ("hour" if end - start <= BY_HOUR_MAX else "day")
    start, end = begin_of(window if window != "all" else grain, start), _up(grain, end)
    groups = _names("group", given.get("group"), tuple(GROUPS), ())
    filters: dict[str, Any] = {k: given[k] for k in ("process", "element", "job_type") if given.get(k)}
    if given.get("version"):
        filters["version"] = int(given["version"])
    if definition := given.get("definition"):
        filters |= {"definition": int(definition)} if definition.isdecimal() else {"process": definition}
    if {"version", "element"} & {*groups} and "process" not in groups:
        groups = ("process", *groups)  # a version and an element are those of a process
    return Asked(_names("measure", given.get("measure"), MEASURES, DEFAULT), groups, window, grain, start, end, filters)


def span_of(given: Mapping[str, str], now: datetime, back: timedelta = WINDOWS["all"][1]) -> tuple[datetime, datetime]:
    """`from` and `to`. Raises: BadQuery, Senseless among it."""
    end = _moment("to", given) or now
    start = _moment("from", given) or end - back
    if start >= end:
        raise Senseless(f"from: expected a time before {iso(end)}, found {iso(start)}")
    return start, end


def _moment(name: str, given: Mapping[str, str]) -> datetime | None:
    if not given.get(name):
        return None
    found = fi.moment(name, given[name])
    if not YEARS[0] <= found.year <= YEARS[1]:
        raise Senseless(f"{name}: expected a year from {YEARS[0]} to {YEARS[1]}, found {found.year}")
    return found


def begin_of(window: str, at: datetime) -> datetime:
    """The start of the window that has this moment, in UTC; weeks begin on Mondays."""
    if window == "minute":
        return at.replace(second=0, microsecond=0)
    if window == "hour":
        return at.replace(minute=0, second=0, microsecond=0)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if window == "month" else day


def after(window: str, at: datetime) -> datetime:
    """The start of the next window."""
    if window == "month":
        return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return at + (timedelta(weeks=1) if window == "week" else GRAINS[window])


def _up(grain: str, at: datetime) -> datetime:
    low = begin_of(grain, at)
    return low if low == at else low + GRAINS[grain]


def windows(asked: Asked) -> Iterator[tuple[datetime, datetime]]:
    if asked.window == "all":
        yield asked.start, asked.end
        return
    at = asked.start
    while at < asked.end:
        following = after(asked.window, at)
        yield at, following
        at = following


def where(tenant: str, asked: Asked, *, level: bool = True) -> tuple[sql.Composable, list[Any]]:
    parts: list[sql.Composable] = [sql.SQL("tenant_id = %s"), *([sql.SQL(asked.level)] if level else [])]
    values: list[Any] = [tenant]
    for name, value in asked.filters.items():
        parts.append(sql.SQL("{} = %s").format(sql.Identifier(GROUPS[name])))
        values.append(value)
    return sql.SQL(" AND ").join(parts), values


async def measures(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """`{items, window, from, to, group, measures, position}`. Each group has an item for each window, also for those in which nothing happened."""
    asked = read(given, datetime.now(UTC))
    spans = _spans(asked)
    position = await r.position()
    found = await sums(r, tenant, asked)
    opened = await opened_before(r, tenant, asked) if "wip" in asked.measures else {}
    groups = sorted({key for key, _ in found} | {key for key, n in opened.items() if n})
    if not groups and not asked.groups:
        groups = [()]
    if len(groups) * len(spans) > ITEMS_MAX:
        raise Senseless(f"group: expected {ITEMS_MAX} items at most, found {len(groups)} groups in {len(spans)} windows: ask for less")
    wanted = [name for name in asked.measures if name in TIMES]
    spread = await spreads(r, tenant, asked) if wanted and asked.grain != "minute" else None
    items = []
    for group in groups:
        wip = opened.get(group, 0)
        for start, end in spans:
            row = found.get((group, start)) or dict.fromkeys((*SUMMED, "moved", "cycle_min_us", "cycle_max_us"), 0)
            wip += row["started"] + row["moved"] - sum(row[n] for n in _COUNTS[1:])
            item: Row = {"from": iso(start), "to": iso(end), **_dimensions(asked, group)}
            for name in asked.measures:
                if name == "recovered_share" and asked.of_jobs:  # incidents are not counted by job type
                    item[name] = None
                    continue
                item[name] = (
                    time_of(row, name, None if spread is None else spread.get((group, start, TIMES[name][0]), {}))
                    if name in TIMES
                    else VALUES[name](row, (end - start).total_seconds(), wip)
                )
            items.append(item)
    return {
        "items": items, "window": asked.window, "from": iso(asked.start), "to": iso(spans[-1][1]), "group": list(asked.groups),
        "measures": list(asked.measures), "position": position,
    }  # fmt: skip


def _spans(asked: Asked) -> list[tuple[datetime, datetime]]:
    found = []
    for span in windows(asked):
        found.append(span)
        if len(found) > ITEMS_MAX:
            raise Senseless(f"window: expected {ITEMS_MAX} windows at most between from and to, found more: take a larger window")
    return found


def _dimensions(asked: Asked, group: tuple[Any, ...]) -> Row:
    return {name: str(value) if name == "definition" else value for name, value in zip(asked.groups, group, strict=True)}


def at_of(asked: Asked) -> sql.Composable:
    """The start of a row's window."""
    if asked.window == "all":
        return sql.SQL("{}::timestamptz").format(sql.Literal(asked.start.isoformat()))
    return sql.SQL("date_trunc({}, at, 'UTC')").format(sql.Literal(asked.window))


async def sums(r: Reader, tenant: str, asked: Asked, most: int = ITEMS_MAX) -> dict[tuple[tuple[Any, ...], datetime], Row]:
    conditions, values = where(tenant, asked)
    columns = sql.SQL("").join(sql.SQL("{}, ").format(sql.Identifier(c)) for c in asked.columns)
    summed = sql.SQL(", ").join(sql.SQL("sum({0})::bigint AS {0}").format(sql.Identifier(c)) for c in SUMMED)
    query = sql.SQL(
        "SELECT {}{} AS window_at, {}, sum(moved_in - moved_out)::bigint AS moved, min(cycle_min_us) AS cycle_min_us, max(cycle_max_us) AS cycle_max_us "
        "FROM {} WHERE {} AND at >= %s AND at < %s GROUP BY {}window_at LIMIT %s"
    ).format(columns, at_of(asked), summed, sql.Identifier(f"measures_{asked.grain}"), conditions, columns)
    rows = await r.rows(query, [*values, asked.start, asked.end, most + 1])
    if len(rows) > most:
        raise Senseless(f"group: expected {most} items at most, found more: ask for less")
    return {(tuple(row[c] for c in asked.columns), row["window_at"]): row for row in rows}


async def opened_before(r: Reader, tenant: str, asked: Asked) -> dict[tuple[Any, ...], int]:
    """What was open when the first window began: whole days before it, hours of its day, minutes of its hour."""
    conditions, values = where(tenant, asked)
    columns = sql.SQL("").join(sql.SQL("{}, ").format(sql.Identifier(c)) for c in asked.columns)
    day, hour = begin_of("day", asked.start), begin_of("hour", asked.start)
    parts, given = [], []
    for grain, since, until in (("day", None, day), ("hour", day, hour), ("minute", hour, asked.start)):
        if since == until:
            continue
        parts.append(
            sql.SQL("SELECT {}{} AS n FROM {} WHERE {} AND at < %s{}").format(
                columns, sql.SQL(_OPEN), sql.Identifier(f"measures_{grain}"), conditions, sql.SQL(" AND at >= %s" if since else "")
            )
        )
        given += [*values, until, *([since] if since else [])]
    query = sql.SQL("SELECT {}sum(n)::bigint AS n FROM ({}) open{}").format(
        columns, sql.SQL(" UNION ALL ").join(parts), sql.SQL(" GROUP BY {}").format(_listed(asked)) if asked.groups else sql.SQL("")
    )
    return {tuple(row[c] for c in asked.columns): row["n"] or 0 for row in await r.rows(query, given)}


def _listed(asked: Asked) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(c) for c in asked.columns)


async def spreads(
    r: Reader, tenant: str, asked: Asked, most: int | None = None
) -> dict[tuple[tuple[Any, ...], datetime, int], dict[int, int]]:
    conditions, values = where(tenant, asked)
    columns = sql.SQL("").join(sql.SQL("{}, ").format(sql.Identifier(c)) for c in asked.columns)
    query = sql.SQL(
        "SELECT {}{} AS window_at, which, bucket, sum(n)::bigint AS n FROM {} WHERE {} AND at >= %s AND at < %s AND which = ANY(%s) "
        "GROUP BY {}window_at, which, bucket LIMIT %s"
    ).format(columns, at_of(asked), sql.Identifier(f"spreads_{asked.grain}"), conditions, columns)
    kinds = [TIMES[name][0] for name in asked.measures if name in TIMES]
    out: dict[tuple[tuple[Any, ...], datetime, int], dict[int, int]] = {}
    rows = await r.rows(query, [*values, asked.start, asked.end, kinds, None if most is None else most + 1])
    if most is not None and len(rows) > most:
        raise Senseless(f"from: expected at most {most} counts of times, found more: ask for less time")
    for row in rows:
        out.setdefault((tuple(row[c] for c in asked.columns), row["window_at"], row["which"]), {})[row["bucket"]] = row["n"]
    return out


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000


def time_of(row: Row, name: str, buckets: dict[int, int] | None) -> Row:
    """`buckets`: None, minutes are asked for, of which it is not kept how times are spread."""
    _, count, total = TIMES[name]
    n = row[count]
    cycle = name == "cycle_time" and n
    out: Row = {
        "count": n, "mean_ms": round(row[total] / n / 1000, 3) if n else None,
        "min_ms": _ms(row["cycle_min_us"]) if cycle else None, "max_ms": _ms(row["cycle_max_us"]) if cycle else None,
    }  # fmt: skip
    for percentile, share in PERCENTILES.items():
        out[percentile] = None if buckets is None else percentile_ms(buckets, n, share)
    return out


def _ended(row: Row) -> int:
    return sum(row[n] for n in _COUNTS[1:])


def _share(part: int, of: int) -> float | None:
    return round(part / of, 6) if of else None


VALUES: dict[str, Callable[[Row, float, int], Any]] = {
    **{name: (lambda row, s, wip, name=name: row[name]) for name in (*_COUNTS, "attempts", "retries", "errors", "incidents", "reworked")},  # type: ignore[misc]
    "ended": lambda row, s, wip: _ended(row),
    "throughput": lambda row, s, wip: round(row["completed"] * 3600 / s, 6),
    "wip": lambda row, s, wip: wip,
    "success_rate": lambda row, s, wip: _share(row["completed"], _ended(row)),
    "working_share": lambda row, s, wip: _share(row["work_us"], row["work_us"] + row["wait_us"]),
    "error_rate": lambda row, s, wip: _share(row["errors"], row["attempts"]),
    "recovered_share": lambda row, s, wip: _share(row["errors"] - min(row["errors"], row["incidents"]), row["errors"]),
}
