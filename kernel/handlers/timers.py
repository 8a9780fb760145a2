"""Timers that are due come in as commands, in bounded batches."""

from __future__ import annotations

from functools import partial
from typing import Any

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected
from flowledger.kernel import times
from flowledger.kernel.batches import home as batches
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import events
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers import holds, instances, keeping
from flowledger.kernel.state import Timer
from flowledger.kernel.tasks import clock, guards, permits
from flowledger.kernel.triggers import home as triggers


def fire(d: Decision, e: c.FireTimers) -> Rejected | None:
    """Each stands alone. What a quarantined instance waits for stays with it; its release looks at what is due."""
    d.batch(len(e.timers))
    for key in e.timers:
        t = d.state.timers.get(key)
        if t is None or t.due_us > d.facts.now_us:
            continue
        i = d.state.instances.get(t.instance)
        if d.state.holding and i is not None and keeping.keep_timer(d, i, t):
            continue  # it is due, and fires when the instance goes on
        if (
            not d.alone(t.instance, partial(_fire, d, t)) and i is None and key in d.state.timers
        ):  # no instance that could be held: once is enough
            d.record(wa.TimerCancelled(timer=key, token=0, element=t.element))
    return None


def _fire(d: Decision, t: Timer) -> None:
    d.because(f"timer:{t.key}")
    next_us = 0
    if t.repeat and t.left != 0:
        try:
            next_us = times.next_due(t.repeat, t.due_us, d.facts.now_us)
        except (ValueError, OverflowError):
            next_us = 0
    if t.definition:
        _start(d, t, next_us)
    else:
        _occur(d, t, next_us)


def _start(d: Decision, t: Any, next_us: int) -> None:
    d.record(wa.TimerTriggered(timer=t.key, token=0, element=t.element, next_us=next_us))
    definition = d.state.definitions.get(t.definition)
    if definition is None or definition.deleted:
        return
    d.record(le.TriggerFired(definition=t.definition, element=t.element, kind="timer"))
    instances.start_by_event(d, t, None)


#: timers of no element (no element's id has a colon): a task's clock, a limit, a breaker, a batch, a hold, a trigger
_FIRED = {
    "task": clock.fired, "wake": guards.timer_fired, "breaker": guards.timer_fired, "permit": permits.fired, "batch": batches.fired, "hold": holds.fired,
    "trigger": triggers.fired,
}  # fmt: skip


def _occur(d: Decision, t: Any, next_us: int) -> None:
    fired = _FIRED.get(t.element.partition(":")[0]) if ":" in t.element else None
    if fired is not None:
        fired(d, t)
        return
    i = d.state.instances.get(t.instance)
    if i is None:
        d.record(wa.TimerCancelled(timer=t.key, token=t.token, element=t.element))
        return

    def fact(token: int, element: str) -> None:
        d.record(wa.TimerTriggered(key=i.key, timer=t.key, token=token, element=element, next_us=next_us))

    try:
        events.occurred(d, i, t.token, t.element, None, fact, t.which)
    except Failure as failure:
        token = i.tokens.get(t.token)
        if token is not None:
            d.incident(i, token, failure)
