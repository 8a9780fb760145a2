"""Parallel gateway: waits for a token on each incoming flow, then sends one out on each outgoing flow.

Source: BPMN 2.0.2, chapter 13.4.1, "Parallel Gateway (Fork and Join)".
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.elements import listeners
from flowledger.kernel.fold import holder_of
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.state import ARRIVED


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """One token of each incoming flow is consumed; a second one on a flow stays for the next round."""
    if len(node.incoming) > 1:
        found: dict[str, int] = {}
        holder = holder_of(i, token.scope)
        for key in sorted(holder.kids):
            other = i.tokens[key]
            if other.element == node.id and other.phase == ARRIVED:
                found.setdefault(other.flow, key)
        if len(found) < len(node.incoming):
            return
        own = found.pop(token.flow, token.key)
        goes_on = i.tokens[own]
        d.record(fl.GatewayReached(key=i.key, token=own, element=node.id, consumed=sorted(found.values())))
        token = goes_on
        if node.listeners and listeners.next_one(d, i, token, node, "start"):
            return
    if node.outgoing:
        d.take(i, token, node.outgoing)
    else:
        d.end(i, token, node)


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    """The join fired, but the step ended before the token went on."""
    if node.outgoing:
        d.take(i, token, node.outgoing)
    else:
        d.end(i, token, node)


BEHAVIOUR = Behaviour(enter, complete)
