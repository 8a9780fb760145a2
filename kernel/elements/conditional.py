"""Conditional events are looked at when a variable that they read may have changed.

Source: BPMN 2.0.2, chapter 10.5.5. Choice: a condition that is true when it is armed occurs at once; after it occurred without
interrupting, it must become false before it can occur again.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import waiting as wa
from flowledger.kernel.elements import events


def watch(d: Any, i: Any) -> None:
    """Evaluate the armed conditions of an instance; those that became true occur."""
    if i.key not in d.state.instances:
        return
    holders = [(i.key, i), *((t.key, t) for t in list(i.tokens.values()))]
    process = d.process(i)
    for key, holder in holders:
        for held in list(holder.holds or ()):
            s = d.state.subscriptions.get(held)
            if s is None or s.kind != "conditional" or (key != i.key and key not in i.tokens):
                continue
            node = process.nodes[s.element]
            condition = next((e.condition for e in node.events if e.kind == "conditional" and e.condition is not None and e.condition.text == s.name), None)
            if condition is None:
                continue
            value = condition(d.variables(i, key), d.facts) is True
            if value and s.armed:
                occurred(d, i, s)
            elif not value and not s.armed:
                d.record(wa.SubscriptionOpened(key=i.key, subscription=d.key(), token=s.token, element=s.element, kind=s.kind, name=s.name, interrupting=False))
                d.record(wa.SubscriptionClosed(key=i.key, subscription=s.key, token=s.token))


def occurred(d: Any, i: Any, s: Any) -> None:
    def fact(token: int, element: str) -> None:
        d.record(wa.ConditionTriggered(key=i.key, subscription=s.key, token=token, element=element))

    events.occurred(d, i, s.token, s.element, None, fact)
