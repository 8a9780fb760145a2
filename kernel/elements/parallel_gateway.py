"""Parallel gateway: waits for a token on each incoming flow, then sends one out on each outgoing flow.

Source: BPMN 2.0.2, chapter 13.4.1, "Parallel Gateway (Fork and Join)".
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import joins, listeners
from flowledger.kernel.model.graph import Behaviour, Node


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """One token of each incoming flow is consumed; a second one on a flow stays for the next round. One that was put here by hand goes through."""
    if len(node.incoming) > 1 and token.flow:
        found = joins.arrived(i, token.scope, node)
        if len(found) < len(node.incoming) and not (joins.modified(i) and joins.complete(i, token.scope, node, found)):
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
    """The join fired, but the step ended before the token went on."""
    if node.outgoing:
        d.take(i, token, node.outgoing)
    else:
        d.end(i, token, node)


BEHAVIOUR = Behaviour(enter, complete)
