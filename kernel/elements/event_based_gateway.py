"""Event-based gateway: arms all that follow it; the first to occur wins.

Source: BPMN 2.0.2, chapter 13.4.4, "Event-Based Gateway (Exclusive Decision)"; 10.6.6 for those that start instances.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.elements import joins, triggers
from flowledger.kernel.model.graph import Behaviour, Node


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """The subscriptions are held by the gateway's token, in the name of the events that follow it."""
    joins.passed(d, i, token, node)
    d.record(fl.ElementActivated(key=i.key, token=token.key, scope=token.scope, element=node.id))
    for flow in node.outgoing:
        for which, event in enumerate(flow.target.events):
            triggers.arm(d, i, token.key, flow.target, event, True, which)


def read(node: Node, element: Any, r: Any) -> None:
    node.config = {"type": element.get("eventGatewayType", "Exclusive"), "instantiate": element.get("instantiate") == "true"}


def check(node: Node, r: Any) -> None:
    if len(node.outgoing) < 2:
        r.finding(
            "EVENT_GATEWAY_FLOWS", f"event-based gateway '{node.id}' needs at least two outgoing flows, found {len(node.outgoing)}", node
        )
    for flow in node.outgoing:
        if flow.target.kind not in ("intermediateCatchEvent", "receiveTask"):
            r.finding("EVENT_GATEWAY_TARGET", f"expected a catching event or receive task after '{node.id}', found {flow.target.kind} '{flow.target.id}'",
                      flow)  # fmt: skip
        if flow.condition is not None:
            r.finding("EVENT_GATEWAY_CONDITION", f"flow '{flow.id}' out of an event-based gateway can't have a condition", flow)


BEHAVIOUR = Behaviour(enter, None, read, check)
