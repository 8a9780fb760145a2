"""KPIs counted: what each of them says of a start, a piece of work, a stay at an element, an end. As `fold.py`, which calls it: no clock, no rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from flowledger.analytics.figures import HOUR_US, Broken, Named, Place
from flowledger.analytics.terms import MICRO, Kpi
from flowledger.analytics.trace import Trace, Visit, Work
from flowledger.events.avro import encode_json
from flowledger.kernel import kpis
from flowledger.kernel.expressions import Expression, Failure
from flowledger.kernel.protection import sealed

#: what a value is told by that is none of those that are told apart, and one that isn't there
OTHER, NONE = "other", "none"
#: a value beyond it is no figure; a variable beyond it is taken for none (as JSON)
VALUE_MAX, BYTES_MAX = 10**12, 16_384
#: steps of one expression
STEPS_MAX = 20_000


class _Facts:
    """What an expression may know of the world: the time of the event."""

    def __init__(self, us: int) -> None:
        self.now_us, self.feel_left = us, STEPS_MAX


def _told(expression: Expression, values: Mapping[str, Any], us: int) -> Any:
    try:
        return expression.json(dict(values), _Facts(us))
    except Failure:
        return None


def _by(k: Kpi, values: Mapping[str, Any]) -> str:
    if not k.by:
        return ""
    value = values.get(k.by)
    if value is None:
        return NONE
    found = kpis.value_text(value) if type(value) in (str, int, bool, Decimal) else OTHER
    return found if found in k.values else OTHER


# --- variables


def took(t: Trace, variables: Any) -> None:
    """Variables of the instance were set: those that KPIs read are remembered, as JSON, of instances that began with KPIs in force."""
    if t.values is None or not isinstance(variables, dict):
        return
    plan = t.terms.plan(t.process)
    for name in plan.wanted if plan is not None else ():
        if name in variables:
            value = variables[name]
            told = encode_json(None if type(value) is str and sealed(value) is not None else value)
            t.values[name] = told.decode() if len(told) <= BYTES_MAX else "null"


def _facts_of(t: Trace, us: int, outcome: str = "") -> dict[str, Any]:
    """What expressions find under `this`; times in seconds."""
    return {
        "outcome": outcome, "process": t.process, "version": t.version, "duration": _s(us - t.started_us), "waiting": _s(t.wait_us),
        "working": _s(t.work_us), "attempts": t.attempts, "errors": t.errors, "retries": t.retries, "incidents": t.incidents,
        "reworked": t.reworked, "costs": {name: Decimal(n) / MICRO for name, n in (t.costs or {}).items()},
    }  # fmt: skip


def _s(us: int) -> Decimal:
    return Decimal(max(0, us)) / MICRO


# --- what is judged


def started(t: Trace, variables: Any, us: int, named: Named) -> None:
    plan = t.terms.plan(t.process)
    if plan is None:
        return
    t.values = {}
    took(t, variables)
    _values(t, plan.starts, t.known(), us, named, t.places.whole)


def ended(t: Trace, outcome: str, us: int, named: Named) -> None:
    plan = t.terms.plan(t.process)
    if plan is None:
        return
    values = t.known()
    known: dict[str, Any] | None = None
    for k in plan.ends:
        if k.kind == "value":
            if k.told:
                known = known or {**values, "this": _facts_of(t, us, outcome)}
            _values(t, (k,), known if k.told and known else values, us, named, t.places.whole)
        elif outcome == "completed" and _applies(t, k, values, us):
            _time(t, k, t.places.whole, values, us, _lasted(k, t, us), named)
    for k in plan.costs:
        if _applies(t, k, values, us):
            named.add(t.places.whole, k.name, _by(k, values), us, (t.costs or {}).get(k.name, 0))


def _lasted(k: Kpi, t: Trace, us: int) -> int:
    if k.of == "cycle":
        return k.lasted(t.started_us, us)
    return t.wait_us if k.of == "waiting" else t.work_us


def left(t: Trace, v: Visit, us: int, named: Named) -> None:
    """A stay at an element was completed."""
    plan = t.terms.plan(t.process)
    if plan is None or v.element not in plan.visits:
        return
    values = t.known()
    for k in plan.visits[v.element]:
        if _applies(t, k, values, us):
            _time(t, k, v.place, values, us, k.lasted(v.since_us, us), named)


def worked(t: Trace, w: Work, variables: Any, us: int, wait_us: int, named: Named) -> None:
    """A piece of work, no listener's, was completed."""
    place = w.places[1]
    if w.due_us:
        kept = us <= w.due_us
        named.add(place, kpis.DUE, "", us, us - w.created_us, kept)
        if not kept:
            named.broken.append(Broken(place, kpis.DUE, t.key, us, us - w.due_us))
    plan = t.terms.plan(t.process)
    if plan is None or not (plan.costs or w.element in plan.works):
        return
    values = t.known()
    _paid(t, w, plan.costs, values, us, named, done=True)
    for k in plan.works.get(w.element, ()):
        if not _applies(t, k, values, us):
            continue
        if k.kind == "value":
            result = (
                {n: None if type(v) is str and sealed(v) is not None else v for n, v in variables.items()}
                if isinstance(variables, dict)
                else {}
            )
            about: dict[str, Any] = {}
            if k.told:
                task = {
                    "element": w.element, "job_type": w.job_type, "duration": _s(us - w.created_us), "waiting": _s(wait_us), "working": _s(w.worked_us),
                }  # fmt: skip
                about = {"task": task, "this": _facts_of(t, us)}
            _values(t, (k,), {**values, **result, **about}, us, named, place)
            continue
        if k.calendar is not None and w.hands is None:  # it began before it was known that this is to be known
            continue
        working = w.worked_us if k.calendar is None else sum(k.lasted(a, b) for a, b in w.hands or ())
        lasted = working if k.of == "working" else max(0, k.lasted(w.created_us, us) - working)
        _time(t, k, place, values, us, lasted, named)


def withdrawn(t: Trace, w: Work, us: int, named: Named) -> None:
    """A piece of work, no listener's, was taken back: it cost what was done of it."""
    plan = t.terms.plan(t.process)
    if plan is not None and plan.costs and (w.worked_us or w.hand_us):
        _paid(t, w, plan.costs, t.known(), us, named, done=False)


def _paid(t: Trace, w: Work, costs: Iterable[Kpi], values: Mapping[str, Any], us: int, named: Named, *, done: bool) -> None:
    """Work has come to its end: what it cost is the time that it was in hand, and, where it was done, so much for each."""
    worked_us = w.worked_us + (max(0, us - w.hand_us) if w.hand_us else 0)
    if not worked_us and not done:
        return
    for k in costs:
        if not _applies(t, k, values, us):
            continue
        cost = -(-worked_us * k.rate_of(w.job_type, w.who, w.groups) // HOUR_US) + (k.rates["each"].get(w.job_type, 0) if done else 0)
        t.costs = t.costs or {}
        t.costs[k.name] = t.costs.get(k.name, 0) + cost
        named.add(w.places[1], k.name, _by(k, values), us, cost)


def timed(t: Trace, element: str) -> bool:
    """Whether it must be remembered when work at it was in hand."""
    plan = t.terms.plan(t.process)
    return plan is not None and element in plan.timed


# --- parts


def _applies(t: Trace, k: Kpi, values: Mapping[str, Any], us: int) -> bool:
    """What reads variables counts where they were remembered from the start on."""
    if k.when is None and not k.by:
        return True
    return t.values is not None and (k.when is None or _told(k.when, values, us) is True)


def _time(t: Trace, k: Kpi, place: Place, values: Mapping[str, Any], us: int, lasted_us: int, named: Named) -> None:
    kept = k.kind == "sla" and lasted_us <= k.within_us
    named.add(place, k.name, _by(k, values), us, lasted_us, kept)
    if k.kind == "sla" and not kept:
        named.broken.append(Broken(place, k.name, t.key, us, lasted_us - k.within_us))


def _values(t: Trace, found: Iterable[Kpi], values: Mapping[str, Any], us: int, named: Named, place: Place) -> None:
    if t.values is None:
        return
    for k in found:
        if k.value is None or (k.when is not None and _told(k.when, values, us) is not True):
            continue
        value = _told(k.value, values, us)
        if type(value) is bool:
            value = int(value)
        if type(value) in (int, Decimal) and abs(value) <= VALUE_MAX:
            named.add(place, k.name, _by(k, values), us, int((Decimal(value) * MICRO).to_integral_value()))
