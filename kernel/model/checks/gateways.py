"""Gateways: directions, and what an event-based gateway may be followed by.

Source: BPMN 2.0.2, 10.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.kernel.model.checks.common import declare, say
from flowledger.kernel.model.graph import Node, Process

declare(
    {
        "GATEWAY_NOT_CONVERGING": ("warning", "A gateway is marked Converging, but splits or has nothing to join", "8.4.9", "correct gatewayDirection"),
        "GATEWAY_NOT_DIVERGING": ("warning", "A gateway is marked Diverging, but joins or has nothing to split", "8.4.9", "correct gatewayDirection"),
        "GATEWAY_NOT_MIXED": ("warning", "A gateway is marked Mixed, but doesn't both join and split", "8.4.9", "correct gatewayDirection"),
        "GATEWAY_LEADS_NOWHERE": ("warning", "A gateway has no outgoing flow: its tokens end there", "8.4.9, 10.6.1", "join it to an end event"),
        "GATEWAY_USELESS": ("info", "A gateway with one flow in and one flow out", "8.4.9", "remove it"),
        "EXCLUSIVE_WITHOUT_DEFAULT": ("info", "An exclusive gateway has no default flow: when no condition is true it is an incident", "10.6.2",
                                      "make one of its flows the default"),
        "COMPLEX_WITHOUT_DEFAULT": ("info", "A complex gateway has no default flow: when no condition is true it is an incident", "10.6.5",
                                    "make one of its flows the default"),
        "COMPLEX_WITHOUT_CONDITION": ("info", "A complex join has no activation condition: it joins like an inclusive gateway", "10.6.5",
                                      "<activationCondition>= activationCount &gt;= 2</activationCondition>"),
        "EVENT_GATEWAY_EVENT_KIND": ("error", "An event-based gateway is followed by an event that it can't wait for", "10.6.6",
                                     "message, signal, timer or condition"),
        "EVENT_GATEWAY_TARGET_INCOMING": ("warning", "What follows an event-based gateway has another incoming flow", "10.6.6",
                                          "an event of its own for the other flow"),
        "EVENT_GATEWAY_MESSAGE_AND_TASK": ("warning", "An event-based gateway is followed by message events and by receive tasks", "10.6.6",
                                           "use one of the two"),
        "EVENT_GATEWAY_TASK_BOUNDARY": ("error", "A receive task after an event-based gateway has a boundary event", "10.6.6",
                                        "put the event behind the gateway instead"),
        "EVENT_GATEWAY_PARALLEL": ("error", "A parallel event-based gateway that doesn't start instances", "10.6.6",
                                   'instantiate="true", or eventGatewayType="Exclusive"'),
        "EVENT_GATEWAY_START_INCOMING": ("error", "An event-based gateway that starts instances has an incoming flow", "10.6.6",
                                         "remove the flow: it may come from a start event without trigger only"),
        "EVENT_GATEWAY_START_NESTED": ("warning", "An event-based gateway in a sub-process can't start instances", "10.6.6", "put it into the process itself"),
        "EVENT_GATEWAY_START_MESSAGES": ("warning", "A parallel event-based gateway that starts instances is followed by something other than messages",
                                         "10.6.6", "messages only: they are correlated with each other"),
    }
)  # fmt: skip

_GATEWAYS = {"exclusiveGateway", "parallelGateway", "inclusiveGateway", "complexGateway", "eventBasedGateway"}
_AWAITED = {"message", "signal", "timer", "conditional"}
#: marked as -> (finding, whether so many flows in and out fit)
_DIRECTIONS: dict[str, tuple[str, Callable[[int, int], bool]]] = {
    "Converging": ("GATEWAY_NOT_CONVERGING", lambda i, o: i > 1 and o <= 1),
    "Diverging": ("GATEWAY_NOT_DIVERGING", lambda i, o: i <= 1 and o > 1),
    "Mixed": ("GATEWAY_NOT_MIXED", lambda i, o: i > 1 and o > 1),
}
_NO_DEFAULT = {"exclusiveGateway": "EXCLUSIVE_WITHOUT_DEFAULT", "complexGateway": "COMPLEX_WITHOUT_DEFAULT"}


def check(r: Any, process: Process) -> None:
    for node in process.nodes.values():
        if node.kind not in _GATEWAYS:
            continue
        came, goes = len(node.incoming), len(node.outgoing)
        direction = node.xml.get("gatewayDirection")
        if direction in _DIRECTIONS:
            code, right = _DIRECTIONS[direction]
            if not right(came, goes):
                say(r, code, node, f"gateway '{node.id}' is marked {direction}, but has {came} flows in and {goes} out")
        if node.kind == "eventBasedGateway":
            _event_based(r, node)
        elif not goes:
            say(r, "GATEWAY_LEADS_NOWHERE", node, f"gateway '{node.id}' has no outgoing flow")
        elif goes == 1 and came == 1 and node.outgoing[0].condition is None:
            say(r, "GATEWAY_USELESS", node, f"gateway '{node.id}' neither splits nor joins")
        if node.kind in _NO_DEFAULT and goes > 1 and node.default is None and all(f.condition is not None for f in node.outgoing):
            say(r, _NO_DEFAULT[node.kind], node, f"gateway '{node.id}' has no default flow")
        if node.kind == "complexGateway" and came > 1 and node.config is None:
            say(r, "COMPLEX_WITHOUT_CONDITION", node, f"complex gateway '{node.id}' has no activation condition")


def _event_based(r: Any, node: Node) -> None:
    starts = node.xml.get("instantiate") == "true"
    parallel = node.xml.get("eventGatewayType") == "Parallel"
    if parallel and not starts:
        say(r, "EVENT_GATEWAY_PARALLEL", node, f"event-based gateway '{node.id}' is parallel, but doesn't start instances")
    if starts:
        if any(f.source.kind != "startEvent" or f.source.events for f in node.incoming):
            say(r, "EVENT_GATEWAY_START_INCOMING", node, f"event-based gateway '{node.id}' starts instances, but has an incoming flow")
        if node.scope is not None:
            say(r, "EVENT_GATEWAY_START_NESTED", node, f"event-based gateway '{node.id}' stands in a sub-process")
    messages = tasks = False
    for flow in node.outgoing:
        target = flow.target
        if len(target.incoming) > 1:
            say(r, "EVENT_GATEWAY_TARGET_INCOMING", target, f"'{target.id}' after event-based gateway '{node.id}' has other incoming flows")
        if target.kind == "receiveTask":
            tasks = True
            if target.attached:
                say(
                    r,
                    "EVENT_GATEWAY_TASK_BOUNDARY",
                    target.attached[0],
                    f"receive task '{target.id}' after event-based gateway '{node.id}' has a boundary event",
                )
            continue
        for event in target.events:
            messages = messages or event.kind == "message"
            if target.kind == "intermediateCatchEvent" and event.kind not in _AWAITED:
                say(r, "EVENT_GATEWAY_EVENT_KIND", target, f"event-based gateway '{node.id}' can't wait for {event.kind} ('{target.id}')")
            if starts and parallel and event.kind != "message":
                say(r, "EVENT_GATEWAY_START_MESSAGES", target, f"'{target.id}' after the parallel gateway '{node.id}' is no message")
    if messages and tasks:
        say(
            r, "EVENT_GATEWAY_MESSAGE_AND_TASK", node, f"event-based gateway '{node.id}' is followed by message events and by receive tasks"
        )
