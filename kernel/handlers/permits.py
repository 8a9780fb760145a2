"""Permits between partitions: see `kernel/tasks/permits.py`."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events.base import Rejected
from flowledger.kernel import undo
from flowledger.kernel.decision import Decision
from flowledger.kernel.tasks import again, guards, people, permits, stock
from flowledger.kernel.tasks.people import Person


def _sender(d: Decision) -> int:
    """The partition that asks; a follow-up of this one comes from itself."""
    assert d.request is not None
    return d.request.sender if d.request.sender >= 0 else d.state.meta.partition


def ask(d: Decision, e: c.AskPermits) -> Rejected | None:
    """A home that has not heard of the limit yet keeps it until it has."""
    permits.asked(d, _sender(d), e)
    return None


def give(d: Decision, e: c.GivePermits) -> Rejected | None:
    permits.given(d, e)
    if e.target.startswith(stock.INSTANCES):
        undo.add(d.state, d.state.unsettled_limits, e.target)
    if e.target.startswith(people.PREFIX):  # the choice that waited for it is made anew
        d.state.freed.add(people.name_of(e.target))
    return None


def take_back(d: Decision, e: c.ReturnPermits) -> Rejected | None:
    permits.returned(d, e.target, _sender(d), e)
    if d.state.unassigned:
        again.turns(d, [e.target])
    if e.target.startswith(stock.INSTANCES):  # served when the decision ends
        undo.add(d.state, d.state.unsettled_limits, e.target)
    elif (limit := permits.limit_of(d.state, e.target)) is not None:
        permits.serve(d, limit)
        if isinstance(limit, Person):
            d.state.freed.add(people.name_of(e.target))
        else:
            guards.listen(d.state, e.target)
    return None


def report(d: Decision, e: c.ReportOutcomes) -> Rejected | None:
    """Outcomes elsewhere. Within one report what went well counts as the earlier."""
    p = d.state
    guard = p.guards.get(e.target)
    if guard is None or guard.breaker is None:
        return None
    value = p.records.get(("breaker", e.target)) or {"state": "closed", "until_us": 0}
    for ok in [True] * min(e.good, guard.breaker["window"]) + [False] * min(e.bad, guard.breaker["window"]):
        value = guards.one_more(guard, value, ok)
    d.record(le.RecordStored(registry="breaker", name=e.target, value=value))
    guards.after(d, [e.target])
    return None


def set_breaker(d: Decision, e: c.SetBreaker) -> Rejected | None:
    d.record(ta.BreakerChanged(target=e.target, state=e.state, until_us=e.until_us, details=e.details))
    return None
