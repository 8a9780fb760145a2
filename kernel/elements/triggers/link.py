"""Link: a jump within one scope, from a throwing to the catching event of the same name.

Source: BPMN 2.0.2, chapter 10.5.5.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node


def read(event: Any, xml: Any, node: Node, r: Any) -> None:
    event.ref = (_target(xml, r) if node.kind != "intermediateCatchEvent" else "") or xml.get("name") or node.name
    scope = node.scope or node.process.root
    if node.kind == "intermediateCatchEvent":
        if event.ref in scope.links and scope.links[event.ref] is not node:
            r.finding("LINK_TARGET_TWICE", f"two link targets are named '{event.ref}' in one scope", node)
        scope.links[event.ref] = node


def _named(definition: Any) -> str:
    """By its own name, or that of the event around it."""
    name: str = definition.get("name") or definition.getparent().get("name", "")
    return name


def _target(xml: Any, r: Any) -> str:
    """The name of the definition that `target` names, or that names this one as its `source` (table 10.96); `""` when neither is said."""
    for found in [r.by_id.get(x.text_of(e)) for e in xml.iterchildren(x.B + "target")]:
        if found is not None and x.local(found) != "linkEventDefinition":
            found = x.child(found, "linkEventDefinition")
        if found is not None:
            return _named(found)
    id, own = xml.get("id"), xml.getparent().get("id")
    for other in r.definitions.iter(x.B + "linkEventDefinition") if id or own else ():
        if any(x.text_of(e) in (id, own) for e in other.iterchildren(x.B + "source")):
            return _named(other)
    return ""


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    """The token jumps; like a flow, its name on the log is `link:<name>`."""
    target = (node.scope or node.process.root).links[event.ref]
    d.record(fl.FlowTaken(key=i.key, token=token.key, flow=f"link:{event.ref}", source=node.id, target=target.id))
    d.push(i, token.key)
    return False
