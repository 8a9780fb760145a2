"""Inclusive gateway: takes each flow whose condition is true; joins when no token could still arrive (`joins.py`).

Source: BPMN 2.0.2, chapter 13.4.3, "Inclusive Gateway (Inclusive Decision and Merge)". One token of each flow that has any is consumed.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import joins, listeners
from flowledger.kernel.model.graph import Behaviour, Node


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if len(node.incoming) > 1 and token.flow:
        found = joins.arrived(i, token.scope, node)
        if not joins.complete(i, token.scope, node, found):
            return
        rest = joins.spare(i, token.scope, node, found.values())
        own = found.pop(token.flow, token.key)
        token = joins.fire(d, i, own, node, [*found.values(), *rest])
        if node.listeners and listeners.next_one(d, i, token, node, "start"):
            return
    else:
        joins.passed(d, i, token, node)
    complete(d, i, token, node)


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    """Raises: Failure CONDITION_NOT_BOOLEAN, NO_FLOW_CHOSEN."""
    if node.outgoing:
        d.take(i, token, d.chosen(i, token, node))
    else:
        d.end(i, token, node)


def check(node: Node, r: Any) -> None:
    if len(node.outgoing) > 1 and all(f.condition is not None for f in node.outgoing) and node.default is None:
        r.finding("INCLUSIVE_WITHOUT_DEFAULT", f"inclusive gateway '{node.id}' has no default flow: when no condition is true it is an incident", node,
                  severity="info", hint="make one of its flows the default")  # fmt: skip


BEHAVIOUR = Behaviour(enter, complete, check=check)
