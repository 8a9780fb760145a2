"""The report of what an installation carries, from what `capacity` reads of hours: each resource with its hands, how busy it is, when it is full,
what waits before that and what to change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from flowledger.analytics import capacity as ca

#: what waits is told as a lack where it takes longer than this to be done with, in hours; for how many weeks of growth a proposal is enough
WAIT_MAX_H, ENOUGH_WEEKS = 0.5, 4
MINUTE_S = 60


def resource(
    hours: ca.Hours, machines: bool, limit: int | None = None, people: int | None = None, calendar: Sequence[float] | None = None
) -> dict[str, Any]:
    """`machines`: workers, who are there at all hours. `limit`: how many of it may be in hand at once. `people`, `calendar`: so many could do it,
    and how many of them are there in
    each hour of the week, counted from now. Times in weeks from now; hours of `ahead` one after the other, from now on."""
    each = ca.mean_work_us(hours)
    found, measured = ca.hands(hours)
    by = "measured" if measured else "seen"
    present = [1.0 if t else 0.0 for t in ca.there(hours, machines)]
    if not measured and limit is not None and limit > found.value:
        found, by = ca.Told(*[float(limit)] * 3), "limit"
    elif not measured and calendar is not None and any(calendar):
        most = max(calendar)
        found, by = ca.Told(*[float(most)] * 3), "calendar"
        present = [c / most for c in calendar]
    per_hour = ca.HOUR_US / each if each else 0.0
    open_hours = sum(present)
    carries = ca.Told(*(h * per_hour * open_hours for h in found))
    came = sum(hours.came[-ca.WEEK :])
    growth = ca.grown(hours.came)
    demand = growth.at(0).value if growth is not None else float(came)
    carried = [found.value * per_hour * p for p in present]
    ahead = ca.ahead(hours, carried, (found.high - found.low) / (2 * 1.645 * found.value) if found.value else 0.0, growth)
    told: dict[str, Any] = {
        "hands": found, "by": by, "limit": limit, "people": people, "mean_work_us": round(each), "open_hours": round(open_hours, 1), "came": came,
        "carries": carries, "busy": demand / carries.value if carries.value else None, "open": hours.open_at()[-1],
        "growth": None if growth is None else {"by": growth.by, "weekly": growth.weekly},
        "tight": None, "full": None, "weeks": [], "ahead": ahead,
    }  # fmt: skip
    if growth is not None and carries.value:
        told["tight"], told["full"] = ca.full(growth, carries, ca.TIGHT), ca.full(growth, carries)
        if by == "seen":  # there are so many at least: it isn't full before, and nobody knows until when
            told["tight"]["to"] = told["full"]["to"] = None
        told["weeks"] = [growth.at(n) for n in range(27)]
    told["peak"] = _peak(ahead, carried)
    told["advice"] = _advice(told, growth, ahead, present)
    return told


def _peak(ahead: Sequence[ca.Ahead], carried: Sequence[float]) -> dict[str, Any] | None:
    """The hour at whose end the most waits, and for how long it does."""
    if not ahead:
        return None
    n = max(range(len(ahead)), key=lambda i: (ahead[i].waits.value, -i))
    waits, left, hours = ahead[n].waits, ahead[n].waits.value, 0.0
    for later in range(1, ca.WEEK + 1):
        can = carried[(n + later) % ca.WEEK]
        if left <= can:
            hours += left / can if can else 0.0
            break
        left, hours = left - can, hours + 1
    return {"hour": n, "waits": waits, "wait_h": round(hours, 3)}


def _advice(told: dict[str, Any], growth: ca.Growth | None, ahead: Sequence[ca.Ahead], present: Sequence[float]) -> dict[str, Any] | None:
    """More hands: as many as the fullest hours of the next week and the growth of four weeks need. None: there are enough, or it isn't known that
    there are too few."""
    each, hands = told["mean_work_us"], told["hands"].value
    if not each or told["by"] == "seen":
        return None
    needed = 0.0
    peak = told["peak"]
    why = ""
    begins = 0
    if peak is not None and peak["wait_h"] > WAIT_MAX_H:
        why = "peak"
        first = next((n for n, a in enumerate(ahead) if a.waits.value > 0), peak["hour"])
        begins = first
        stretch = [a.came.value for n, a in enumerate(ahead) if first <= n <= peak["hour"] and present[n % ca.WEEK]]
        needed = max(needed, sum(stretch) / len(stretch) * each / ca.HOUR_US / ca.TIGHT) if stretch else needed
    tight = told["tight"]
    if growth is not None and tight is not None and tight["at"] is not None and tight["at"] <= ENOUGH_WEEKS:
        why = why or "growth"
        needed = max(needed, growth.at(ENOUGH_WEEKS).value * each / (told["open_hours"] * ca.HOUR_US) / ca.TIGHT)
    proposed = math.ceil(needed - 1e-9)
    if not why or proposed <= hands:
        return None
    bound = told["limit"] is not None and hands > 0.9 * told["limit"]
    return {"what": "limit" if bound else "hands", "was": round(hands, 2), "proposed": proposed, "why": why, "hour": begins}


def server(hours: Sequence[int], busiest_s: float, costs: dict[str, tuple[float, float] | None], given_s: float | None) -> dict[str, Any]:
    """The log and its owners: steps of all processes by hour, the busiest minute (steps a second), of each process of this node what a step costs
    it, and how many a second it can by a
    measurement that somebody brings."""
    processes: list[dict[str, Any]] = [
        {"process": name, "step_us": round(cost[0] * 1e6, 3), "idle": round(min(cost[1], 1.0), 4), "carries_s": round(max(0.0, 1 - cost[1]) / cost[0], 1)}
        for name, cost in sorted(costs.items())
        if cost is not None
    ]  # fmt: skip
    least = min(processes, key=lambda p: p["carries_s"], default=None)
    can = given_s if given_s is not None else least["carries_s"] if least is not None else None
    by = "given" if given_s is not None else "samples" if can is not None else "nothing"
    told: dict[str, Any] = {
        "steps_week": sum(hours[-ca.WEEK :]), "busiest_s": busiest_s, "carries_s": can, "by": by,
        "narrow": least["process"] if least is not None and given_s is None else None, "processes": processes, "busy": busiest_s / can if can else None,
        "growth": None, "tight": None, "full": None,
    }  # fmt: skip
    growth = ca.grown(hours)
    recent = hours[-ca.RECENT * ca.WEEK :]
    if growth is not None:
        told["growth"] = {"by": growth.by, "weekly": growth.weekly}
        if can and busiest_s and sum(recent):
            mean_s = sum(recent) / len(recent) / 3600
            # so many a week come when the busiest minute has all that can be done
            most = can * mean_s / busiest_s * 604_800
            told["tight"], told["full"] = (ca.full(growth, ca.Told(most, most, most), share) for share in (ca.TIGHT, 1.0))
    return told
