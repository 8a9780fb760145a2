"""Reports: heatmap, bottlenecks, variants, two versions compared. What they mean: docs/insight.md."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from psycopg import sql

from flowledger.analytics import compare
from flowledger.analytics.spread import percentile_ms
from flowledger.projections import measures as me
from flowledger.projections.reader import Reader, Row, Senseless, iso

#: what holds others: its time is theirs
CONTAINERS = frozenset({"sub_process"})
VARIANTS, VARIANTS_MAX = 20, 200
BOTTLENECKS_MAX = 50
_HEAT = (
    "started", "completed", "failed", "cancelled", "wip", "cycle_time", "waiting_time", "working_time", "attempts", "errors", "retries",
    "incidents", "reworked",
)  # fmt: skip


def _process(given: Mapping[str, str]) -> None:
    if not given.get("process") and not given.get("definition"):
        raise Senseless("process: expected the id of a process, found none")


async def _about(r: Reader, tenant: str, process: str) -> dict[str, Row]:
    """Element -> what its definitions say of it, the newest version last."""
    query = (
        "SELECT outline FROM workflow_definitions WHERE tenant_id = %s AND kind = 'process' AND definition_id = %s AND outline IS NOT NULL "
        "ORDER BY version DESC LIMIT 20"
    )
    found: dict[str, Row] = {}
    for row in reversed(await r.rows(query, (tenant, process))):
        found |= {k: v for k, v in row["outline"].items() if isinstance(v, dict)}
    return found


async def _elements(r: Reader, tenant: str, given: Mapping[str, str]) -> tuple[Row, dict[str, Row]]:
    asked = {k: given[k] for k in ("process", "definition", "version", "from", "to") if given.get(k)}
    told = await me.measures(r, tenant, {**asked, "group": "element", "window": "all", "measure": ",".join(_HEAT)})
    processes = {item["process"] for item in told["items"]}
    about: dict[str, Row] = {}
    for process in sorted(processes):
        about |= await _about(r, tenant, process)
    return told, about


async def heatmap(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """Each element with its figures, and how hot it is: `heat`, from 0 to 1 (the hottest of this answer) by frequency, duration, waiting and errors."""
    _process(given)
    told, about = await _elements(r, tenant, given)
    for item in told["items"]:
        known = about.get(item["element"], {})
        item["name"], item["type"] = known.get("name") or item["element"], known.get("type")
        item["heat"] = {
            "frequency": item["started"], "duration": item["cycle_time"]["mean_ms"] or 0, "waiting": _waits(item, known),
            "errors": item["errors"] + item["failed"] + item["incidents"],
        }  # fmt: skip
    for kind in ("frequency", "duration", "waiting", "errors"):
        most = max((item["heat"][kind] for item in told["items"]), default=0)
        for item in told["items"]:
            item["heat"][kind] = round(item["heat"][kind] / most, 4) if most else 0.0
    return {k: told[k] for k in ("items", "from", "to", "position")}


def _waits(item: Row, about: Row) -> float:
    """On average, in ms."""
    _, times = _waited(item, about)
    return float(times["mean_ms"] or 0) if times["count"] else 0.0


def _waited(item: Row, about: Row) -> tuple[str, Row]:
    """Which of its times is waiting, and that time: of work until it is in hand; what has no work (a timer, a message, a join) does nothing but wait."""
    if item["waiting_time"]["count"]:
        return "work", item["waiting_time"]
    return ("container", {**item["cycle_time"], "count": 0}) if about.get("type") in CONTAINERS else ("wait", item["cycle_time"])


async def bottlenecks(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """Elements by their share of all waiting in the process, the largest first, with what speaks for it."""
    _process(given)
    told, about = await _elements(r, tenant, given)
    start, end = (datetime.fromisoformat(told[k]) for k in ("from", "to"))
    span = {"from": iso(max(start - (end - start), datetime(me.YEARS[0], 1, 1, tzinfo=UTC))), "to": told["from"]}
    earlier = {}
    if span["from"] < span["to"]:
        before, _ = await _elements(r, tenant, {**given, **span})
        earlier = {(i["process"], i["element"]): i for i in before["items"]}
    items = []
    for item in told["items"]:
        kind, times = _waited(item, about.get(item["element"], {}))
        if not times["count"]:
            continue
        known = about.get(item["element"], {})
        then = earlier.get((item["process"], item["element"]))
        _, past = _waited(then, known) if then is not None else ("", {"count": 0, "mean_ms": None})
        change = round(times["mean_ms"] / past["mean_ms"] - 1, 4) if past["count"] and past["mean_ms"] else None
        items.append({
            "process": item["process"], "element": item["element"], "name": known.get("name") or item["element"], "type": known.get("type"), "kind": kind,
            "waited_ms": round(times["mean_ms"] * times["count"], 3), "count": times["count"], "mean_ms": times["mean_ms"], "p95_ms": times["p95_ms"],
            "wip": item["wip"], "errors": item["errors"], "retries": item["retries"], "reworked": item["reworked"], "change": change,
        })  # fmt: skip
    whole = sum(i["waited_ms"] for i in items)
    for item in items:
        item["share"] = round(item["waited_ms"] / whole, 6) if whole else 0.0
        item["says"] = _says(item)
    items.sort(key=lambda i: (-i["waited_ms"], i["process"], i["element"]))
    kept = [{"rank": n, **i} for n, i in enumerate(items[:BOTTLENECKS_MAX], 1) if i["waited_ms"]]
    return {"items": kept, "waited_ms": round(whole, 3), "from": told["from"], "to": told["to"], "position": told["position"]}


def _says(item: Row) -> str:
    parts = [f"{item['share']:.0%} of all waiting: {item['count']} times {_long(item['mean_ms'])}"]
    if item["wip"] > 0:
        parts.append(f"{item['wip']} there at the end")
    if item["change"] is not None and abs(item["change"]) >= 0.1:
        parts.append(f"{abs(item['change']):.0%} {'longer' if item['change'] > 0 else 'shorter'} than in the time before")
    if item["errors"]:
        parts.append(f"{item['errors']} attempts failed")
    if item["reworked"]:
        parts.append(f"{item['reworked']} times done again")
    return ", ".join(parts)


def _long(ms: float) -> str:
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if ms >= size:
            return f"{ms / size:.1f} {unit}"
    return f"{ms:.0f} ms"


async def variants(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """The ways that instances went which ended in the time, the most frequent first; by whole days (UTC)."""
    _process(given)
    limit = int(given.get("limit") or VARIANTS)
    asked = me.read(
        {**{k: given[k] for k in ("process", "definition", "version", "from", "to") if given.get(k)}, "window": "day"}, datetime.now(UTC)
    )
    where, values = me.where(tenant, asked, level=False)
    position = await r.position()
    query = sql.SQL(
        "WITH found AS (SELECT process_id, variant, sum(completed + failed + cancelled + terminated)::bigint AS n, sum(completed)::bigint AS completed, "
        "sum(failed)::bigint AS failed, sum(cancelled)::bigint AS cancelled, sum(terminated)::bigint AS terminated, sum(cycle_us)::bigint AS cycle_us, "
        "min(cycle_min_us) AS cycle_min_us, max(cycle_max_us) AS cycle_max_us, array_agg(DISTINCT version ORDER BY version) AS versions "
        "FROM variants_day WHERE {} AND at >= %s AND at < %s GROUP BY process_id, variant) "
        "SELECT f.*, v.path, v.more, sum(n) OVER () AS instances, count(*) OVER () AS variants FROM found f "
        "JOIN variants v ON v.tenant_id = %s AND v.process_id = f.process_id AND v.variant = f.variant ORDER BY n DESC, f.variant LIMIT %s"
    ).format(where)
    rows = await r.rows(query, [*values, asked.start, asked.end, tenant, limit])
    instances = int(rows[0]["instances"]) if rows else 0
    items, so_far = [], 0
    for row in rows:
        so_far += row["n"]
        done = row["completed"]
        items.append({
            "process": row["process_id"], "variant": row["variant"], "path": row["path"], "more": row["more"], "versions": row["versions"], "count": row["n"],
            "share": round(row["n"] / instances, 6), "cumulated": round(so_far / instances, 6), "completed": done, "failed": row["failed"],
            "cancelled": row["cancelled"], "terminated": row["terminated"],
            "cycle_time": {
                "count": done, "mean_ms": round(row["cycle_us"] / done / 1000, 3) if done else None,
                "min_ms": row["cycle_min_us"] / 1000 if done else None, "max_ms": row["cycle_max_us"] / 1000 if done else None,
            },
        })  # fmt: skip
    return {
        "items": items, "variants": rows[0]["variants"] if rows else 0, "instances": instances, "from": iso(asked.start), "to": iso(asked.end),
        "position": position,
    }  # fmt: skip


async def comparison(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """Two versions: how long they take, as a whole and element by element, and how often they succeed; a difference is told where chance hardly explains it."""
    _process(given)
    before, after = int(given["before"]), int(given["after"])
    if before == after:
        raise Senseless(f"after: expected another version than {before}, found the same")
    asked = {k: given[k] for k in ("process", "definition", "from", "to") if given.get(k)}
    position = await r.position()
    whole = await _of_versions(r, tenant, {**asked, "group": "version", "measure": "cycle_time,waiting_time,working_time"})
    parts = await _of_versions(r, tenant, {**asked, "group": "version,element", "measure": "cycle_time,working_time,waiting_time"})
    process = given.get("process") or next((key[0] for key in whole.rows), given.get("definition", ""))
    sides = {name: whole.rows.get((process, v)) for name, v in (("before", before), ("after", after))}
    out: Row = {"process": process, "from": iso(whole.asked.start), "to": iso(whole.asked.end), "position": position}
    for name, v in (("before", before), ("after", after)):
        row = sides[name] or {}
        counts = {k: row.get(k, 0) for k in ("started", "completed", "failed", "cancelled", "terminated")}
        out[name] = {"version": v, **counts, "cycle_time": whole.times((process, v), "cycle_time")}
    out["cycle_time"] = whole.differ((process, before), (process, after), "cycle_time")
    out["success_rate"] = _success(out["before"], out["after"])
    about = await _about(r, tenant, process)
    elements = []
    for element in sorted({key[2] for key in parts.rows if key[0] == process}):
        one, other = (process, before, element), (process, after, element)
        if about.get(element, {}).get("type") in CONTAINERS:
            continue
        for measure in (
            ("working_time", "waiting_time") if parts.count(one, "working_time") or parts.count(other, "working_time") else ("cycle_time",)
        ):
            found = parts.differ(one, other, measure)
            elements.append({
                "element": element, "name": about.get(element, {}).get("name") or element, "measure": measure,
                "before": parts.times(one, measure), "after": parts.times(other, measure), **found,
            })  # fmt: skip
    tested = [e for e in elements if e["p_value"] is not None]
    for e, p in zip(tested, compare.adjusted([e["p_value"] for e in tested]), strict=True):
        e["p_value"] = _p(p)
        e["verdict"] = _verdict(p, e["longer"])
    out["items"] = sorted(elements, key=lambda e: (e["p_value"] is None, e["p_value"] or 0.0, e["element"], e["measure"]))
    return out


def _p(p: float) -> float:
    return float(f"{p:.4g}")


def _verdict(p: float, longer: float) -> str:
    return "same" if p >= compare.ALPHA else "slower" if longer > 0.5 else "faster"


def _success(before: Row, after: Row) -> Row:
    ended = [sum(side[k] for k in ("completed", "failed", "cancelled", "terminated")) for side in (before, after)]
    p = compare.shares(before["completed"], ended[0], after["completed"], ended[1])
    rates = [round(side["completed"] / n, 6) if n else None for side, n in zip((before, after), ended, strict=True)]
    worse = rates[0] is not None and rates[1] is not None and rates[1] < rates[0]
    verdict = None if p is None else "same" if p >= compare.ALPHA else "worse" if worse else "better"
    return {"before": rates[0], "after": rates[1], "p_value": None if p is None else _p(p), "verdict": verdict}


class _Versions:
    """Sums and spreads of versions, to be compared."""

    def __init__(self, asked: me.Asked, rows: dict[Any, Row], spreads: dict[Any, dict[int, int]]) -> None:
        self.asked = asked
        self.rows = {key: row for (key, _), row in rows.items()}
        self._spreads = {(key, which): buckets for (key, _, which), buckets in spreads.items()}

    def count(self, key: Any, measure: str) -> int:
        row = self.rows.get(key)
        return int(row[me.TIMES[measure][1]]) if row else 0

    def _buckets(self, key: Any, measure: str) -> dict[int, int]:
        """With those that took no time."""
        found = self._spreads.get((key, me.TIMES[measure][0]), {})
        rest = self.count(key, measure) - sum(found.values())
        return {**found, 0: rest} if rest else found

    def times(self, key: Any, measure: str) -> Row:
        row = self.rows.get(key)
        return me.time_of(row, measure, self._spreads.get((key, me.TIMES[measure][0]), {})) if row else {"count": 0}

    def differ(self, one: Any, other: Any, measure: str) -> Row:
        a, b = self._buckets(one, measure), self._buckets(other, measure)
        found = compare.ranks(a, b)
        if found is None:
            return {"change": None, "longer": None, "p_value": None, "verdict": None}
        middle = [percentile_ms(x, sum(x.values()), 0.5) or 0.0 for x in (a, b)]
        change = round(middle[1] / middle[0] - 1, 4) if middle[0] else None
        return {"change": change, "longer": round(found.longer, 4), "p_value": _p(found.p_value), "verdict": _verdict(*reversed(found))}


async def _of_versions(r: Reader, tenant: str, given: Mapping[str, str]) -> _Versions:
    asked = me.read({**given, "window": "all"}, datetime.now(UTC))
    return _Versions(asked, await me.sums(r, tenant, asked), await me.spreads(r, tenant, asked))
