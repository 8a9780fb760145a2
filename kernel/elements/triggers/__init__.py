"""Event definitions: what an event is about. One module per kind; this table lists them.

A module has any of: `read(event, xml, node, reader)`, `arm(d, i, holder, node, event, interrupting, which)` for catching (`which`: its place among
the node's definitions), `throw(d, i, token, node, event)` for throwing (True: done at once; False: it waits, or the token is gone), and `resume`,
of the same shape, for a throw that waited.
Source: BPMN 2.0.2, chapter 10.5.5.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node


class EventDefinition:
    """`kind` is a row of `KINDS`; `ref` its name or code; the rest as its module reads it."""

    __slots__ = ("condition", "correlation", "id", "kind", "name", "named", "reads", "ref", "timer", "wait", "work", "xml")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.id = ""
        self.ref = ""
        #: message or signal name, error or escalation code: an Expression
        self.name: Any = None
        self.correlation: Any = None
        #: (type, Expression) of a timer
        self.timer: Any = None
        self.condition: Any = None
        #: variables whose change makes a condition be looked at
        self.reads: frozenset[str] = frozenset()
        #: a message that the model names (else a message flow may name it)
        self.named = True
        #: a throwing message event as a job
        self.work: Any = None
        #: compensation: waitForCompletion
        self.wait = True
        self.xml: Any = None


#: XML tag of the definition -> its module; each is put in here by `kernel/elements/__init__.py`
KINDS: dict[str, ModuleType] = {}
BY_KIND: dict[str, ModuleType] = {}


def register(kind: str, module: ModuleType) -> None:
    KINDS[kind + "EventDefinition"] = BY_KIND[kind] = module


def definitions_of(node: Node, element: Any, r: Any) -> list[Any]:
    """The XML of all event definitions of an event, its own and those that it refers to."""
    definitions = [kid for kid in x.bpmn_children(element) if x.local(kid) in KINDS]
    for reference in element.findall(x.B + "eventDefinitionRef"):
        found = r.by_id.get(x.text_of(reference).rsplit(":", 1)[-1])
        if found is None or x.local(found) not in KINDS:
            r.finding(
                "EVENT_DEFINITION_MISSING", f"eventDefinitionRef '{x.text_of(reference)}' of '{node.id}' names no event definition", node
            )
        else:
            definitions.append(found)
    return definitions


def _one(node: Node, definition: Any, r: Any) -> EventDefinition:
    event = EventDefinition(x.local(definition)[: -len("EventDefinition")])
    event.id = definition.get("id", "")
    event.xml = definition
    module = KINDS[x.local(definition)]
    if hasattr(module, "read"):
        module.read(event, definition, node, r)
    return event


def read(node: Node, element: Any, r: Any) -> None:
    """All event definitions of an event."""
    node.events += [_one(node, definition, r) for definition in definitions_of(node, element, r)]
    node.event = node.events[0] if node.events else None
    node.config = {"parallel": element.get("parallelMultiple") == "true"}
    if node.config["parallel"] and len(node.events) > 1:
        for event in node.events:
            if event.kind in ("error", "escalation", "cancel", "compensate", "link", "terminate"):
                r.finding("PARALLEL_MULTIPLE_KIND", f"'{node.id}': {event.kind} can't be one of several events that must all occur", node)


def thrown_by(node: Node, definition: Any, r: Any) -> EventDefinition:
    """An event that an activity throws (behaviour of a multi-instance loop)."""
    event = _one(node, definition, r)
    if event.kind not in ("signal", "message", "escalation", "error"):
        r.finding("LOOP_EVENT_KIND", f"a run of '{node.id}' can't throw a {event.kind}", node, hint="signal, message, escalation or error")
    return event


def message_of(node: Node, reference: str, element: Any, r: Any) -> EventDefinition | None:
    """The message event of a send or receive task."""
    event = EventDefinition("message")
    event.xml = element
    BY_KIND["message"].read_reference(event, reference, node, r)
    return event


def arm(d: Any, i: Any, holder: int, node: Node, event: EventDefinition, interrupting: bool, which: int = 0) -> None:
    """`holder` (a token or the instance) waits for `event` in the name of `node`. Raises: Failure."""
    module = BY_KIND[event.kind]
    if hasattr(module, "arm"):
        module.arm(d, i, holder, node, event, interrupting, which)


def throw(d: Any, i: Any, token: Any, node: Node, event: EventDefinition) -> bool:
    """True when done at once; False when it waits, or when the token is gone."""
    return bool(BY_KIND[event.kind].throw(d, i, token, node, event))


def throw_all(d: Any, i: Any, token: Any, node: Node, start: int = 0) -> bool:
    """Throw each in turn; False when one waits (`throw_more` goes on) or ended the token."""
    for n in range(start, len(node.events)):
        done = throw(d, i, token, node, node.events[n])
        if token.key not in i.tokens or i.key not in d.state.instances:
            return False
        if not done:
            if n + 1 < len(node.events):
                d.record(fl.TokenNoted(key=i.key, token=token.key, data={"thrown": n + 1}))
            return False
    return True


def throw_more(d: Any, i: Any, token: Any, node: Node) -> bool:
    """A throw that waited has something new; after it the ones behind it."""
    after = (token.data or {}).get("thrown", len(node.events))
    event = node.events[after - 1]
    module = BY_KIND[event.kind]
    if hasattr(module, "resume") and not module.resume(d, i, token, node, event):
        return False
    return throw_all(d, i, token, node, after)


def all_caught(d: Any, i: Any, token: Any, node: Node) -> bool:
    """A parallel multiple event has caught all of its kinds; any other at least one."""
    if len(node.events) < 2 or not node.config["parallel"]:
        return True
    if any(k in d.state.timers or k in d.state.subscriptions for k in token.holds or ()):
        d.record(fl.TokenNoted(key=i.key, token=token.key, data={"waiting": True}))
        return False
    return True
