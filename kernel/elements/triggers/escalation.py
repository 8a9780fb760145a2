"""Escalation: told to the innermost handler outwards; it need not interrupt, and without a handler nothing happens.

Source: BPMN 2.0.2, chapters 10.5.5 and 13.5.7.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.elements import events
from flowledger.kernel.expressions import literal
from flowledger.kernel.model.graph import Node


def read(event: Any, xml: Any, node: Node, r: Any) -> None:
    reference = xml.get("escalationRef", "")
    if reference:
        found = r.root(reference, "escalation", node)
        code = (found.get("escalationCode") or found.get("name") or found.get("id", "")) if found is not None else reference
        event.ref = reference
        event.name = r.expression(code, node, "escalation code")
    elif node.kind in ("endEvent", "intermediateThrowEvent"):
        r.finding(
            "ESCALATION_MISSING",
            f"escalation event '{node.id}' names no escalation: its id is the code",
            node,
            severity="warning",
            hint='escalationRef="..." of an <escalation>',
        )
        event.name = literal(node.id)


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    code = d.text(event.name, i, token.key, f"escalation code of {node.id}")
    found = events.find_handler(d, i, token, "escalation", code)
    d.record(fl.EscalationTriggered(key=i.key, token=token.key, element=node.id, code=code, caught_by=found[1].id if found else ""))
    if found is None:
        return True
    holder, handler = found
    events.fire(d, i, holder, handler, dict(token.vars or {}), interrupting=handler.interrupting)
    return token.key in i.tokens and i.key in d.state.instances
