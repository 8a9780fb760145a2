"""Escalation: told to the innermost handler outwards; it need not interrupt, and without a handler nothing happens.

Source: BPMN 2.0.2, chapters 10.5.5 and 13.5.7.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.kernel.elements import events
from flowledger.kernel.expressions import literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node


def read(event: Any, xml: Any, node: Node, r: Any) -> None:
    reference = xml.get("escalationRef", "")
    if variable := x.classic_attr(xml, "escalationCodeVariable"):
        node.properties = {**node.properties, "escalationCodeVariable": variable}
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
    throw_code(d, i, token, node.id, code, dict(token.vars or {}))
    return token.key in i.tokens and i.key in d.state.instances


def throw_code(d: Any, i: Any, token: Any, element: str, code: str, variables: dict[str, Any] | None) -> None:
    """Find the handler from `token` outwards, through the call activities that wait for the instance, and let it catch."""
    found = events.find_handler(d, i, token, "escalation", code)
    d.record(fl.EscalationTriggered(key=i.key, token=token.key, element=element, code=code, caught_by=found[1].id if found else ""))
    if found is not None:
        if name := found[1].properties.get("escalationCodeVariable"):
            variables = {**(variables or {}), name: code}
        events.fire(d, i, found[0], found[1], variables, interrupting=found[1].interrupting)
    elif i.parent:
        d.send(
            c.partition_of_key(i.parent),
            c.ChildEnded(parent=i.parent, parent_token=i.parent_token, child=i.key, status="escalated", variables=variables, error=code),
        )
