"""Sequence flows: conditions, default flows, what refers to them.

Source: BPMN 2.0.2, 8.4.13 and table 7.3.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks.common import declare, say
from flowledger.kernel.model.graph import Flow, Node, Process

declare(
    {
        "FLOW_ID_MISSING": ("warning", "A sequence flow has no id: history can't name it", "8.3.1", "give it one"),
        "FLOW_TWICE": ("warning", "Two flows without condition join the same two nodes: two tokens go", "8.4.13", "remove one of the two"),
        "FLOW_CONDITION_AFTER_EVENT": ("warning", "A flow out of an event has a condition", "10.5.2, 10.5.4", "put an exclusive gateway after the event"),
        "FLOW_CONDITION_AFTER_PARALLEL": (
            "warning", "A flow out of a parallel gateway has a condition: all flows are taken", "10.6.4", "use an inclusive gateway"),
        "FLOW_CONDITION_ALONE": ("warning", "The only flow out of an activity has a condition: an incident when it is false", "8.4.13",
                                 "add a default flow"),
        "FLOW_CONDITIONS_WITHOUT_DEFAULT": ("info", "All flows out of an activity have conditions, and there is no default flow", "8.4.13",
                                            "make one the default flow"),
        "FLOW_CONDITION_CONSTANT": ("warning", "A condition is always true or always false", "8.4.13", "let it read a variable, or remove it"),
        "FLOW_NOT_IMMEDIATE": ("warning", "A flow of an executable process says isImmediate=\"false\"", "8.4.13", "remove isImmediate"),
        "FLOW_REFERENCE_WRONG": ("warning", "<incoming> or <outgoing> disagrees with the flow's own ends, which count", "8.4.13", "correct or remove it"),
        "DEFAULT_FLOW_KIND": ("warning", "What can have no default flow names one; it is ignored", "8.4.13",
                              "only exclusive, inclusive and complex gateways and activities have a default flow"),
        "DEFAULT_FLOW_CONDITION": ("warning", "The default flow has a condition, which is ignored", "8.4.13", "remove the condition"),
        "DEFAULT_FLOW_USELESS": ("warning", "An activity has a default flow, but another flow out of it is always taken", "8.4.13",
                                 "give the other flows conditions"),
    }
)  # fmt: skip

_WITH_DEFAULT = {"exclusiveGateway", "inclusiveGateway", "complexGateway"}
_EVENTS = {"startEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent"}


def check(r: Any, process: Process) -> None:
    for flow in process.flows.values():
        if flow.condition is not None:
            _condition(r, flow)
    for node in process.nodes.values():
        flows = node.outgoing
        if len(flows) > 1:
            _several(r, node, flows)
        elif flows and flows[0].condition is not None and node.behaviour.activity:
            say(r, "FLOW_CONDITION_ALONE", flows[0], f"the only flow out of '{node.id}' has a condition")
        if node.default is not None:
            _default(r, node, node.default)
    element = process.root.xml
    if element is None:
        return
    for xml in element.iter(x.B + "sequenceFlow"):
        if xml.get("id") in r.made_ids:
            say(r, "FLOW_ID_MISSING", xml, f"the flow from '{xml.get('sourceRef', '')}' to '{xml.get('targetRef', '')}' has no id")
        if process.executable and xml.get("isImmediate") == "false":
            say(r, "FLOW_NOT_IMMEDIATE", xml, f"flow '{xml.get('id', '')}' is not immediate")
    for kid in element.iter(x.B + "incoming", x.B + "outgoing"):
        owner = process.nodes.get(kid.getparent().get("id", ""))
        if owner is not None:
            _reference(r, process, owner, kid)


def _reference(r: Any, process: Process, node: Node, kid: Any) -> None:
    text = (kid.text or "").strip()
    flow = process.flows.get(text.rsplit(":", 1)[-1])
    incoming = kid.tag.endswith("incoming")
    if flow is None and text in r.by_id and x.local(r.by_id[text]) == "sequenceFlow":
        return  # the flow itself has a finding
    if flow is None or (flow.target if incoming else flow.source) is not node:
        say(
            r,
            "FLOW_REFERENCE_WRONG",
            node,
            f"'{node.id}' names '{text}' as {'incoming' if incoming else 'outgoing'}, which is no such flow of it",
        )


def _condition(r: Any, flow: Flow) -> None:
    source = flow.source
    if source.kind in _EVENTS:
        say(r, "FLOW_CONDITION_AFTER_EVENT", flow, f"flow '{flow.id}' out of event '{source.id}' has a condition")
    elif source.kind == "parallelGateway":
        say(r, "FLOW_CONDITION_AFTER_PARALLEL", flow, f"flow '{flow.id}' out of parallel gateway '{source.id}' has a condition")
    assert flow.condition is not None
    if flow.condition.text.strip().lower() in ("true", "false"):
        say(r, "FLOW_CONDITION_CONSTANT", flow, f"the condition of flow '{flow.id}' is always {flow.condition.text.strip().lower()}")


def _several(r: Any, node: Node, flows: list[Flow]) -> None:
    seen: set[str] = set()
    for flow in flows:
        if flow.condition is None:
            if flow.target.id in seen:
                say(r, "FLOW_TWICE", flow, f"flow '{flow.id}' joins '{node.id}' and '{flow.target.id}', as another flow does")
            seen.add(flow.target.id)
    if node.behaviour.activity and node.default is None and all(f.condition is not None for f in flows):
        say(r, "FLOW_CONDITIONS_WITHOUT_DEFAULT", node, f"all flows out of '{node.id}' have conditions, and none is the default")


def _default(r: Any, node: Node, default: Flow) -> None:
    if node.kind not in _WITH_DEFAULT and not node.behaviour.activity:
        say(r, "DEFAULT_FLOW_KIND", node, f"a {node.tag} can't have a default flow ('{default.id}')")
    if default.condition is not None:
        say(r, "DEFAULT_FLOW_CONDITION", default, f"the default flow '{default.id}' has a condition")
    if node.behaviour.activity and any(f.condition is None for f in node.outgoing if f is not default):
        say(r, "DEFAULT_FLOW_USELESS", node, f"the default flow '{default.id}' of '{node.id}' is never taken")
