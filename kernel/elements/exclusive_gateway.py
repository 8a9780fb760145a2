"""Exclusive gateway: one token in, one token out.

Source: BPMN 2.0.2, chapter 13.4.2, "Exclusive Gateway (Exclusive Decision and Merge)".
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import joins
from flowledger.kernel.expressions import Failure
from flowledger.kernel.model.graph import Behaviour, Node


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """Conditions are tried in diagram order, the default flow last. A sole flow without condition is simply taken.

    Raises: Failure CONDITION_NOT_BOOLEAN, NO_FLOW_CHOSEN.
    """
    joins.passed(d, i, token, node)
    for flow in node.outgoing:
        if flow is node.default:
            continue
        if flow.condition is None or d.condition(flow.condition, i, token.scope, f"flow {flow.id}"):
            d.take(i, token, [flow])
            return
    if node.default is not None:
        d.take(i, token, [node.default])
    elif node.outgoing:
        raise Failure("NO_FLOW_CHOSEN", f"no condition of a flow out of {node.id} is true, and it has no default flow")
    else:
        d.end(i, token, node)


def check(node: Node, r: Any) -> None:
    if len(node.outgoing) > 1:
        for flow in node.outgoing:
            if flow.condition is None and flow is not node.default:
                r.finding("GATEWAY_FLOW_WITHOUT_CONDITION", f"flow '{flow.id}' out of exclusive gateway '{node.id}' has no condition and is not the default", flow,
                          severity="warning", hint="give it a condition, or make it the default flow")  # fmt: skip


BEHAVIOUR = Behaviour(enter, check=check)
