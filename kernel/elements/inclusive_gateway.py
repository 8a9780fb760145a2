"""Inclusive gateway: takes each flow whose condition is true; joins when no token could still arrive.

Source: BPMN 2.0.2, chapter 13.4.3, "Inclusive Gateway (Inclusive Decision and Merge)".
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.elements import joins
from flowledger.kernel.fold import holder_of
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.state import ARRIVED


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if len(node.incoming) > 1:
        found = _arrived(i, token.scope, node)
        if not joins.complete(i, token.scope, node, found):
            return
        own = found.pop(token.flow, token.key)
        d.record(fl.GatewayReached(key=i.key, token=own, element=node.id, consumed=sorted(found.values())))
        token = i.tokens[own]
    complete(d, i, token, node)


def _arrived(i: Any, scope: int, node: Node) -> dict[str, int]:
    """The first token on each incoming flow that waits at the gateway."""
    found: dict[str, int] = {}
    for key in sorted(holder_of(i, scope).kids):
        other = i.tokens[key]
        if other.element == node.id and other.phase == ARRIVED:
            found.setdefault(other.flow, key)
    return found


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    """Raises: Failure CONDITION_NOT_BOOLEAN, NO_FLOW_CHOSEN."""
    if node.outgoing:
        d.take(i, token, d.chosen(i, token, node))
    else:
        d.end(i, token, node)


BEHAVIOUR = Behaviour(enter, complete)
