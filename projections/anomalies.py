"""What will come, and what is unlike before, from the roll-ups (`analytics/forecast.py`, `analytics/anomalies.py`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from flowledger.analytics import anomalies as an
from flowledger.analytics.forecast import SEASONS, SEASONS_MAX, forecast
from flowledger.projections import measures as me
from flowledger.projections import odd_cases
from flowledger.projections.reader import Reader, Row, Senseless, iso

#: how far back is looked; hours that are asked for at most
BACK, HOURS_MAX = timedelta(weeks=8), 168
HOUR = timedelta(hours=1)
#: cases that are told, the newest
CASES_TOLD_MAX = 500
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = {"hour": HOUR, "day": timedelta(days=1)}


async def anomalies(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """Of whole hours that are over, and of cases that completed, up to now; without a time the last 24 hours."""
    process, now = given["process"], datetime.now(UTC)
    start, until = me.span_of(given, now, timedelta(hours=24))
    start, end = me.begin_of("hour", start), me.begin_of("hour", min(until, now))  # an hour to come isn't silent yet
    hours = max(0, int((end - start) / HOUR))
    if not 1 <= hours <= HOURS_MAX:
        raise Senseless(f"from, to: expected 1 to {HOURS_MAX} whole hours that are over, found {hours}")
    position = await r.position()
    series = await me.measures(r, tenant, {
        "process": process, "measure": "started", "window": "hour", "from": (start - BACK).isoformat(), "to": end.isoformat(),
    })  # fmt: skip
    counts = [int(item["started"] or 0) for item in series["items"]]
    first = next((n for n, count in enumerate(counts) if count), len(counts))
    asked = {"process": process, "measure": "cycle_time", "group": "element", "window": "hour"}
    found_now = await _spreads(r, tenant, asked, start, end)
    before = await _spreads(r, tenant, asked, start - BACK / 2, start)
    by_hour: dict[str, dict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    for element, found in before.items():
        for at, buckets in found.items():
            by_hour[element][at.hour].update(buckets)
    mine = {e: {int((at - start) / HOUR): b for at, b in found.items()} for e, found in found_now.items()}
    questions = [*an.volumes(counts[min(first, len(counts) - hours) :], hours), *an.durations(by_hour, mine, start.hour)]
    odd, judged, whole = await odd_cases.judged(r, tenant, process, start, until)
    items: list[Row] = [
        {
            "kind": f.kind, "element": f.element or None, "instance": None, "variable": None, "from": iso(start + f.hour * HOUR),
            "to": iso(start + (f.hour + 1) * HOUR), "value": f.value, "usual": round(f.usual, 3), "p_value": f.p_value,
        }
        for f in an.told(questions)
    ]  # fmt: skip
    for o in sorted(odd, key=lambda o: (-o.us, o.key, o.name))[:CASES_TOLD_MAX]:
        ended = iso(EPOCH + timedelta(microseconds=o.us))
        items.append({
            "kind": o.kind, "element": o.element or None, "instance": str(o.key), "variable": o.name or None, "from": ended, "to": ended, "value": o.value,
            "usual": o.usual, "p_value": o.p_value,
        })  # fmt: skip
    return {
        "items": items, "from": iso(start), "to": iso(end), "asked": len(questions), "cases": {"judged": judged, "odd": len({o.key for o in odd}), "whole": whole},
        "position": position, "cursor": None,
    }  # fmt: skip


async def _spreads(
    r: Reader, tenant: str, given: Mapping[str, str], start: datetime, end: datetime
) -> dict[str, dict[datetime, dict[int, int]]]:
    asked = me.read({**given, "from": start.isoformat(), "to": end.isoformat()}, end)
    place = asked.columns.index("element")
    out: dict[str, dict[datetime, dict[int, int]]] = defaultdict(dict)
    for (group, at, _), buckets in (await me.spreads(r, tenant, asked)).items():
        out[group[place]][at] = buckets
    return out


async def coming(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """From `from` on (now), of whole steps; `by` nothing: there is too little before."""
    window, measure, steps = given["window"], given["measure"], int(given["steps"])
    begins = me.begin_of(window, me.span_of({"to": given["from"]} if "from" in given else {}, datetime.now(UTC))[1])
    step = _STEP[window]
    asked = {"process": given["process"], "measure": measure, "window": window, "to": begins.isoformat()}
    asked["from"] = (begins - SEASONS_MAX * SEASONS[window] * step).isoformat()
    told = await me.measures(r, tenant, {**asked, **({"element": given["element"]} if "element" in given else {})})
    counts = [int(item[measure] or 0) for item in told["items"]]
    first = next((n for n, count in enumerate(counts) if count), len(counts))
    found = forecast(counts[first:], window, steps)
    about = {"process": given["process"], "measure": measure, "window": window, "position": told["position"], "cursor": None}
    if found is None:
        return {**about, "by": "nothing", "items": [], "weeks": (len(counts) - first) // SEASONS[window]}
    items = [
        {"from": iso(begins + n * step), "to": iso(begins + (n + 1) * step), **item, "last_week": last}
        for n, (item, last) in enumerate(zip(found.pop("items"), found.pop("last_week"), strict=True))
    ]
    return {**about, "items": items, **found}
