"""Intermediate catching event: the token waits until it occurs.

Source: BPMN 2.0.2, chapters 10.5.4 and 13.5.2.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.elements import triggers
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.moves import data
from flowledger.kernel.moves.activity import apply_mappings


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.inputs:
        d.set_variables(i, token.key, apply_mappings(d, i, token.key, node.inputs), local=True)
    if node.event is not None and node.event.kind == "link":
        d.leave(i, token, node)
        return
    d.record(fl.ElementActivated(key=i.key, token=token.key, scope=token.scope, element=node.id))
    for which, event in enumerate(node.events):
        triggers.arm(d, i, token.key, node, event, True, which)


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    """It occurred; its payload stands in the token's locals."""
    if not triggers.all_caught(d, i, token, node):
        return
    if node.extra is not None and node.extra.data_out:
        data.leave(d, i, token, node)
    if node.outputs:
        results = apply_mappings(d, i, token.key, node.outputs, token.scope)
        d.set_variables(i, token.scope, results)
    elif token.vars:
        d.set_variables(i, token.scope, dict(token.vars))
    d.close_holds(i, token)
    d.leave(i, token, node)


def read(node: Node, element: Any, r: Any) -> None:
    triggers.read(node, element, r)


def check(node: Node, r: Any) -> None:
    if not node.events:
        r.finding("CATCH_WITHOUT_EVENT", f"catching event '{node.id}' has no event definition: it could never occur", node,
                  hint="give it a message, timer, signal, condition or link")  # fmt: skip
    for event in node.events:
        if event.kind in ("error", "cancel", "terminate", "compensate", "escalation"):
            r.finding("CATCH_EVENT_KIND", f"'{node.id}': {event.kind} can't be caught by an intermediate event", node,
                      hint="catch it at a boundary event or an event sub-process")  # fmt: skip


BEHAVIOUR = Behaviour(enter, complete, read, check)
