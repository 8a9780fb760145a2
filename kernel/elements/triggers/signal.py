"""Signal: to all that wait for it, on all partitions.

Source: BPMN 2.0.2, chapter 10.5.5.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import waiting as wa
from flowledger.kernel.elements.triggers.carried import PROPERTY, carried
from flowledger.kernel.expressions import literal
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Mapping, Node


def read(event: Any, xml: Any, node: Node, r: Any) -> None:
    reference = xml.get("signalRef", "")
    found = r.root(reference, "signal", node) if reference else None
    if not reference:
        r.finding(
            "SIGNAL_MISSING",
            f"signal event '{node.id}' names no signal: it takes its own name",
            node,
            severity="warning",
            hint='signalRef="..." of a <signal>',
        )
    event.ref = reference
    event.name = r.expression(
        (found.get("name") or found.get("id", "")) if found is not None else reference or node.name or node.id, node, "signal name"
    )
    throws = node.kind in ("intermediateThrowEvent", "endEvent")
    for given in x.classic_ext(xml, "in") if throws else ():  # Camunda 7: what is thrown carries what is named
        if given.get("variables") == "all":
            node.properties = {**node.properties, PROPERTY: "all"}
        elif given.get("target"):
            source = given.get("sourceExpression") or ("=" + given.get("source", "null"))
            node.inputs.append(Mapping(r.expression(source, node, "in"), given.get("target")))


def arm(d: Any, i: Any, holder: int, node: Node, event: Any, interrupting: bool, which: int = 0) -> None:
    name = d.text(event.name or literal(node.id), i, holder, f"signal name of {node.id}")
    d.record(
        wa.SubscriptionOpened(
            key=i.key, subscription=d.key(), token=holder, element=node.id, kind="signal", name=name, interrupting=interrupting, which=which
        )
    )


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    name = d.text(event.name, i, token.key, f"signal name of {node.id}")
    variables = carried(d, i, token, node)
    HOOKS.throw_signal(d, i, name, variables)
    return token.key in i.tokens and i.key in d.state.instances
