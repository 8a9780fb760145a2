"""Conditional events are looked at when a variable that they read has changed in a scope that they see.

Source: BPMN 2.0.2, chapter 10.5.5. Choices: a condition that is true when it is armed occurs at once; after it occurred without
interrupting, it must become false before it can occur again. A null or an error of FEEL counts as false. A conditional start event of a
process is looked at when a data store that it reads is written, and when a caller asks (`EvaluateConditions`, as Camunda's API does).
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.kernel import holding
from flowledger.kernel.elements import events
from flowledger.kernel.expressions import Failure
from flowledger.kernel.hooks import HOOKS


def watch(d: Any) -> None:
    """Look at the events since the last look; conditions that they made true occur."""
    log = d.events
    while d.seen < len(log):
        names: dict[int, set[str]] = {}
        fresh: dict[int, None] = {}
        while d.seen < len(log):
            e = log[d.seen]
            d.seen += 1
            kind = type(e)
            if kind is wf.VariableSet or kind is fl.ElementActivated or (kind is ta.TaskCompleted and e.merged):
                if e.variables:
                    names.setdefault(e.key, set()).update(e.variables)
            elif kind is wa.SubscriptionOpened and e.kind == "conditional" and e.key:
                fresh[e.subscription] = None
                names.setdefault(e.key, set())
        for key, changed in names.items():
            for subscription in list(d.state.by_condition.get(key) or ()):
                _look(d, subscription, changed, subscription in fresh)


def look_at_all(d: Any, i: Any) -> None:
    """An instance goes on after a suspension, in which variables may have changed."""
    for subscription in list(d.state.by_condition.get(i.key) or ()):
        _look(d, subscription, set(), True)


def _look(d: Any, subscription: int, changed: set[str], fresh: bool) -> None:
    s = d.state.subscriptions.get(subscription)
    i = d.state.instances.get(s.instance) if s is not None else None
    if s is None or i is None or (d.state.holding and holding.frozen(d.state, i, s.token, s.element)):
        return
    event = d.process(i).nodes[s.element].events[s.which]
    if event.condition is None or not (fresh or event.reads & changed):
        return
    value = event.condition(d.variables(i, s.token), d.facts) is True
    if value and s.armed:
        occurred(d, i, s)
    elif not value and not s.armed:
        d.record(
            wa.SubscriptionOpened(
                key=i.key,
                subscription=d.key(),
                token=s.token,
                element=s.element,
                kind=s.kind,
                name=s.name,
                interrupting=False,
                which=s.which,
            )
        )
        d.record(wa.SubscriptionClosed(key=i.key, subscription=s.key, token=s.token))


def occurred(d: Any, i: Any, s: Any) -> None:
    def fact(token: int, element: str) -> None:
        d.record(wa.ConditionTriggered(key=i.key, subscription=s.key, token=token, element=element))

    try:
        if s.interrupting:
            d.record(wa.SubscriptionClosed(key=i.key, subscription=s.key, token=s.token))
        events.occurred(d, i, s.token, s.element, None, fact, s.which)
    except Failure as failure:
        if (token := i.tokens.get(s.token)) is not None:
            d.incident(i, token, failure)


def start_by(d: Any, variables: dict[str, Any], changed: set[str] | None = None, definition: int = 0) -> list[int]:
    """Start instances of processes whose conditional start event is true for `variables`. Returns their keys.

    `changed`: only those that read one of these names; None: all.
    """
    p, started = d.state, []
    for key in list(p.by_start.get((d.envelope.tenant, "conditional", "")) or ()):
        s = p.subscriptions[key]
        if definition and s.definition != definition:
            continue
        event = d.facts.processes[s.definition].nodes[s.element].events[s.which]
        if changed is not None and not event.reads & changed:
            continue
        if event.condition(variables, d.facts) is not True:
            continue
        d.record(le.TriggerFired(definition=s.definition, element=s.element, kind="conditional"))
        answer, d.answer = d.answer, {}
        if key := HOOKS.start_by_event(d, s, variables):
            started.append(key)
        d.answer = answer
    return started
