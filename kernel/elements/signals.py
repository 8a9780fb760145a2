"""Whom a signal reaches: all that wait for it at the moment it is thrown, in the thrower's own instance as in any other; nobody who comes later.

Source: BPMN 2.0.2, chapters 10.5.1 and 13.5.1 (publication). The other partitions hear of it by numbered sends: what the thrower causes there
afterwards comes after the signal.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events import waiting as wa
from flowledger.kernel import limits
from flowledger.kernel.elements import events
from flowledger.kernel.expressions import Failure
from flowledger.kernel.hooks import HOOKS


def throw(d: Any, i: Any, name: str, variables: dict[str, Any]) -> None:
    """Instance `i` throws it, here and everywhere."""
    d.record(wa.SignalReceived(name=name, variables=variables, signal=d.key()))
    tell_others(d, name, variables)
    reach(d, i.tenant, name, variables, thrown=True)


def tell_others(d: Any, name: str, variables: dict[str, Any] | None) -> None:
    meta = d.state.meta
    for to in range(meta.partitions):
        if to != meta.partition:
            d.send(to, c.BroadcastSignal(name=name, variables=variables, relayed=True))


def reach(d: Any, tenant: str, name: str, variables: dict[str, Any] | None, thrown: bool = False) -> None:
    """All of this partition that wait for it now, those who start first."""
    p = d.state
    waiting = [*(p.by_start.get((tenant, "signal", name)) or ()), *(p.by_signal.get((tenant, name)) or ())]
    go_through(d, waiting, name, variables, thrown)


def go_through(d: Any, subscriptions: list[int], name: str, variables: dict[str, Any] | None, thrown: bool = False) -> None:
    """Each of them, as far as the budget of the decision goes; the rest is put off with what the signal carries, which is written once.
    What breaks is held against who catches it; against the thrower where it is part of that one's step."""
    p = d.state
    for n, key in enumerate(subscriptions):
        if n and (len(d.events) > limits.EVENTS_MAX or d.bytes > limits.BYTES_MAX):
            d.follow(c.CatchSignal(subscription=key, name=name, variables=variables, more=subscriptions[n + 1 :]))
            return
        if thrown or (s := p.subscriptions.get(key)) is None:  # one may close others: what it interrupts
            catch(d, key, name, variables)
        else:
            d.alone(s.instance, partial(catch, d, key, name, variables), run=False)


def _start(d: Any, s: Any, name: str, variables: dict[str, Any] | None) -> None:
    d.record(le.TriggerFired(definition=s.definition, element=s.element, kind="signal", name=name))
    answer, d.answer = d.answer, {}
    HOOKS.start_by_event(d, s, variables)
    d.answer = answer


def catch(d: Any, subscription: int, name: str, variables: dict[str, Any] | None) -> None:
    """Subscription `subscription` takes the signal, if it still is; a suspended instance takes it at resume."""
    s = d.state.subscriptions.get(subscription)
    if s is not None and s.definition:
        _start(d, s, name, variables)
        return
    i = d.state.instances.get(s.instance) if s is not None else None
    if s is None or i is None:
        return
    if d.state.holding and HOOKS.keep(d, i, c.CatchSignal(subscription=s.key, name=name, variables=variables), s.token, s.element):
        return

    def fact(token: int, element: str) -> None:
        d.record(wa.SignalReceived(key=i.key, name=name, token=token, element=element, variables=variables))

    if s.interrupting:
        d.record(wa.SubscriptionClosed(key=i.key, subscription=s.key, token=s.token))
    try:
        events.occurred(d, i, s.token, s.element, variables, fact, s.which)
    except Failure as failure:
        token = i.tokens.get(s.token)
        if token is not None:
            d.incident(i, token, failure)
