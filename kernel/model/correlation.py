"""Correlation by the standard's means: message flows between pools, correlation properties, keys and subscriptions.

Source: BPMN 2.0.2, chapters 8.4.2 and 9.3. A correlation key is the values of its properties, joined by `|` when there are several.
Choices: who sends evaluates each property's `messagePath` over the variables that it sends; who waits evaluates the `dataPath` of its process'
`correlationSubscription` over its own variables, and without a subscription the `messagePath`s over them. Events of a message flow that say no key use
the business key of their instance; an instance that a message starts takes the message's key as its business key. A message event without message
takes its name from its message flow: that of the flow's message, of the other end's message, of the flow, or its id.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.expressions import literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node


def read(r: Any) -> None:
    """Message flows and correlation properties of a file, once all its processes are read."""
    nodes = {n.id: n for p in r.graph.processes.values() for n in p.nodes.values()}
    flows = list(r.definitions.iter(x.B + "messageFlow"))
    r.graph.collaboration["message_flows"] = [
        {"id": f.get("id", ""), "name": f.get("name", ""), "source": f.get("sourceRef", ""), "target": f.get("targetRef", "")}
        for f in flows
    ]
    r.graph.collaboration["participants"] = [
        {"id": p.get("id", ""), "name": p.get("name", ""), "process": p.get("processRef", "").rsplit(":", 1)[-1]}
        for p in r.definitions.iter(x.B + "participant")
    ]
    for flow in flows:
        ends = [nodes.get(flow.get(a, "").rsplit(":", 1)[-1]) for a in ("sourceRef", "targetRef")]
        events = [(n, e) for n in ends if n is not None for e in n.events if e.kind == "message"]
        for node, _ in events:
            node.process.notes[("message_flow", node.id)] = True
        message = r.by_id.get(flow.get("messageRef", "").rsplit(":", 1)[-1])
        name = message.get("name") or message.get("id", "") if message is not None else ""
        given = next((e.name for _, e in events if e.named and e.name is not None), None)
        for _, event in events:
            if not event.named:
                event.name = literal(name) if name else given if given is not None else literal(flow.get("name") or flow.get("id", ""))
    _properties(r, nodes)


def _properties(r: Any, nodes: dict[str, Node]) -> None:
    #: property -> message id -> path
    paths: dict[str, dict[str, Any]] = {}
    for element in r.definitions.iter(x.B + "correlationProperty"):
        for retrieval in element.findall(x.B + "correlationPropertyRetrievalExpression"):
            text = x.text_of(x.child(retrieval, "messagePath"))
            if text:
                message = (retrieval.get("messageRef") or x.text_of(x.child(retrieval, "messageRef"))).rsplit(":", 1)[-1]
                paths.setdefault(element.get("id", ""), {})[message] = r.condition(text, element, "message path")
    keys = {e.get("id", ""): _refs(e, "correlationPropertyRef") for e in r.definitions.iter(x.B + "correlationKey")}
    order = [p for properties in keys.values() for p in properties] or list(paths)
    bindings: dict[str, dict[str, Any]] = {}
    for subscription in r.definitions.iter(x.B + "correlationSubscription"):
        process = subscription.getparent().get("id", "")
        for binding in subscription.findall(x.B + "correlationPropertyBinding"):
            reference = (binding.get("correlationPropertyRef") or x.text_of(x.child(binding, "correlationPropertyRef"))).rsplit(":", 1)[-1]
            if reference not in paths:
                r.finding("CORRELATION_PROPERTY_MISSING", f"no correlation property has the id '{reference}'", binding)
            elif text := x.text_of(x.child(binding, "dataPath")):
                bindings.setdefault(process, {})[reference] = r.condition(text, binding, "data path")
    if not paths:
        return
    for node in nodes.values():
        for event in node.events:
            if event.kind == "message" and event.correlation is None and event.ref:
                mine = [p for p in order if event.ref in paths.get(p, {})]
                if mine:
                    own = bindings.get(node.process.id, {})
                    node.process.notes[("correlation", node.id, event.ref)] = (
                        [paths[p][event.ref] for p in mine],
                        [own.get(p) for p in mine],
                    )


def _refs(element: Any, tag: str) -> list[str]:
    return [x.text_of(e).rsplit(":", 1)[-1] for e in element.findall(x.B + tag)]


def key_of(d: Any, i: Any, holder: int, node: Node, event: Any) -> str:
    """The correlation key of a message event without `zeebe:subscription`; `""` when the model names none."""
    notes = node.process.notes
    found = notes.get(("correlation", node.id, event.ref))
    if found is None:
        return str(i.business_key) if ("message_flow", node.id) in notes else ""
    sent, awaited = found
    sending = node.kind in ("intermediateThrowEvent", "endEvent", "sendTask")
    variables = d.variables(i, holder)
    values = []
    for message_path, data_path in zip(sent, awaited, strict=True):
        expression = message_path if sending or data_path is None else data_path
        value = expression(variables, d.facts)
        values.append("" if value is None else str(value))
    return "|".join(values)
