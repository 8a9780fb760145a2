"""Which event may stand where.

Source: BPMN 2.0.2, 10.5 and table 10.93 (types of events and their markers by position).
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.checks.common import declare, say, static
from flowledger.kernel.model.graph import Node, Process

declare(
    {
        "START_EVENT_KIND": ("error", "The start event of a process is of a kind that can't start one", "table 10.93",
                             "message, timer, condition or signal; others start event sub-processes"),
        "START_NOT_INTERRUPTING": ("warning", "isInterrupting=\"false\" outside of an event sub-process has no meaning", "10.5.2", "remove isInterrupting"),
        "EVENT_SUB_PROCESS_START_KIND": ("error", "The start event of an event sub-process is of a kind that can't start one", "table 10.93",
                                         "message, timer, escalation, error, compensation, condition or signal"),
        "EVENT_SUB_PROCESS_MUST_INTERRUPT": ("error", "An error start event that doesn't interrupt", "table 10.93, 10.5.6", "remove isInterrupting=\"false\""),
        "END_EVENT_KIND": ("error", "An end event is of a kind that can't be thrown", "table 10.93",
                           "message, error, escalation, cancel, compensation, signal or terminate"),
        "END_EVENT_LINK": ("warning", "An end event is a link: only intermediate events are", "table 10.93", "use an intermediate throwing event"),
        "CANCEL_OUTSIDE_TRANSACTION": ("error", "A cancel end event outside of a transaction", "10.5.3, 10.3.5", "make the sub-process a <transaction>"),
        "BOUNDARY_CANCEL_HOST": ("error", "A cancel boundary event at something other than a transaction", "10.5.4, 10.3.5", "attach it to a <transaction>"),
        "BOUNDARY_HOST_KIND": ("error", "A boundary event is attached to something other than an activity", "10.5.4", "attach it to an activity"),
        "BOUNDARY_HOST_SCOPE": ("error", "A boundary event is attached to an activity of another scope", "10.5.4", "put both into the same sub-process"),
        "BOUNDARY_ON_EVENT_SUB_PROCESS": ("error", "A boundary event at an event sub-process", "10.3.5", "attach it to an activity within, or around"),
        "BOUNDARY_NO_OUTGOING": ("warning", "A boundary event leads nowhere", "10.5.4", "join it to what is to be done then"),
        "BOUNDARY_ON_HANDLER": ("warning", "A compensation boundary event at a compensation handler", "10.7", "handlers aren't compensated themselves"),
        "BOUNDARY_COMPENSATION_FLOW": ("warning", "A compensation boundary event has a sequence flow", "10.5.4, 10.7", "use an <association>"),
        "BOUNDARY_ERROR_TWICE": ("warning", "Two error boundary events of an activity have the same code: only the first catches", "10.5.6", "remove one"),
        "BOUNDARY_ESCALATION_TWICE": ("warning", "Two escalation boundary events of an activity have the same code: only the first catches", "10.5.6",
                                      "remove one"),
        "BOUNDARY_MESSAGE_TWICE": ("warning", "Two boundary events of an activity await the same message", "10.5.4", "remove one"),
        "EVENT_SUB_PROCESS_ERROR_TWICE": ("warning", "Two event sub-processes of a scope catch the same error", "10.5.6", "remove one"),
        "EVENT_SUB_PROCESS_ESCALATION_TWICE": ("warning", "Two event sub-processes of a scope catch the same escalation", "10.5.6", "remove one"),
        "EVENT_SUB_PROCESS_MESSAGE_TWICE": ("warning", "Two event sub-processes of a scope await the same message", "10.5.6", "remove one"),
        "START_MESSAGE_TWICE": ("warning", "Two start events of a process await the same message: it starts two instances", "10.5.2", "remove one"),
        "START_SIGNAL_TWICE": ("warning", "Two start events of a process await the same signal: it starts two instances", "10.5.2", "remove one"),
        "LINK_TARGET_MISSING": ("error", "A link leads nowhere: no catching link of that name in its scope", "10.5.4, 10.5.5",
                                "a catching link event of the same name"),
        "LINK_SOURCE_MISSING": ("warning", "Nothing leads to a catching link event", "10.5.4, 10.5.5", "a throwing link event of the same name"),
        "LINK_NAME_MISSING": ("error", "A link has no name", "10.5.5", '<linkEventDefinition name="...">'),
        "LINK_TARGET_HAS_INCOMING": ("warning", "A catching link event has an incoming flow", "10.5.4", "join the flow to what follows the link"),
        "LINK_SOURCE_HAS_OUTGOING": ("warning", "A throwing link event has an outgoing flow, which is never taken", "10.5.4", "remove the flow"),
        "LINK_AMONG_OTHERS": ("warning", "A link is one of several definitions of an event", "10.5.5", "give the link an event of its own"),
        "TERMINATE_AMONG_OTHERS": ("warning", "Terminate is one of several definitions of an end event", "10.5.3", "give it an event of its own"),
        "PARALLEL_MULTIPLE_ALONE": ("warning", "parallelMultiple with less than two event definitions", "10.5.4", "remove parallelMultiple"),
        "PARALLEL_MULTIPLE_THROWN": ("warning", "parallelMultiple at a throwing event has no meaning: it throws all", "10.5.1", "remove parallelMultiple"),
        "EVENT_DEFINITION_TWICE": ("warning", "An event has the same definition twice", "10.5.5", "remove one"),
    }
)  # fmt: skip

_STARTS = {"message", "timer", "conditional", "signal"}
_SUB_STARTS = _STARTS | {"escalation", "error", "compensate"}
_END_NEVER = {"timer", "conditional"}


def check(r: Any, process: Process) -> None:
    for node in process.nodes.values():
        if node.kind in _CHECKS:
            _CHECKS[node.kind](r, node)
            if len(node.events) > 1:
                _several(r, node)
            elif node.xml.get("parallelMultiple") == "true":
                say(r, "PARALLEL_MULTIPLE_ALONE", node, f"'{node.id}' is parallel multiple, but has {len(node.events)} event definitions")
        if node.attached:
            _twice(r, node.attached, {"error": "BOUNDARY_ERROR_TWICE", "escalation": "BOUNDARY_ESCALATION_TWICE", "message": "BOUNDARY_MESSAGE_TWICE"},
                   f"boundary events of '{node.id}'")  # fmt: skip
        if node.event_subs:
            _subs(r, node, f"sub-process '{node.id}'")
    _subs(r, process.root, f"process '{process.id}'")
    _twice(
        r,
        process.root.starts,
        {"message": "START_MESSAGE_TWICE", "signal": "START_SIGNAL_TWICE"},
        f"start events of process '{process.id}'",
    )
    links(r, process)


def _subs(r: Any, scope: Node, what: str) -> None:
    starts = [s for sub in scope.event_subs for s in sub.starts]
    _twice(r, starts, {"error": "EVENT_SUB_PROCESS_ERROR_TWICE", "escalation": "EVENT_SUB_PROCESS_ESCALATION_TWICE",
                       "message": "EVENT_SUB_PROCESS_MESSAGE_TWICE"}, f"event sub-processes of {what}")  # fmt: skip


def _twice(r: Any, nodes: list[Node], codes: dict[str, str], what: str) -> None:
    seen: dict[tuple[str, str], Node] = {}
    for node in nodes:
        for event in node.events:
            if event.kind not in codes or (event.name is None and event.kind == "message"):
                continue
            name = "" if event.name is None else event.name.text
            other = seen.setdefault((event.kind, name), node)
            if other is not node:
                say(r, codes[event.kind], node, f"{what} catch {event.kind} '{name}' twice: '{other.id}' and '{node.id}'")


def _start(r: Any, node: Node) -> None:
    if node.scope is None:
        for event in node.events:
            if event.kind not in _STARTS:
                say(r, "START_EVENT_KIND", node, f"a process can't be started by {event.kind} ('{node.id}')")
    if node.scope is None or not node.scope.triggered_by_event:
        if not node.interrupting:
            say(r, "START_NOT_INTERRUPTING", node, f"start event '{node.id}' has nothing to interrupt")
        return
    for event in node.events:
        if event.kind not in _SUB_STARTS:
            say(r, "EVENT_SUB_PROCESS_START_KIND", node, f"an event sub-process can't be started by {event.kind} ('{node.id}')")
        elif event.kind == "error" and not node.interrupting:
            say(r, "EVENT_SUB_PROCESS_MUST_INTERRUPT", node, f"'{node.id}': an event sub-process for an error always interrupts")


def _end(r: Any, node: Node) -> None:
    for event in node.events:
        if event.kind in _END_NEVER:
            say(r, "END_EVENT_KIND", node, f"an end event can't throw a {event.kind} ('{node.id}')")
        elif event.kind == "link":
            say(r, "END_EVENT_LINK", node, f"end event '{node.id}' is a link")
        elif event.kind == "cancel":
            scope = node.scope
            while scope is not None and scope.kind != "transaction":
                scope = scope.scope
            if scope is None:
                say(r, "CANCEL_OUTSIDE_TRANSACTION", node, f"cancel end event '{node.id}' stands in no transaction")
    _thrown(r, node)


def _thrown(r: Any, node: Node) -> None:
    if node.xml.get("parallelMultiple") == "true":
        say(r, "PARALLEL_MULTIPLE_THROWN", node, f"'{node.id}' throws; parallelMultiple is for catching")


def _catch(r: Any, node: Node) -> None:
    return None


def _boundary(r: Any, node: Node) -> None:
    host = node.host
    kinds = {e.kind for e in node.events}
    if "compensate" in kinds:
        if node.outgoing:
            say(r, "BOUNDARY_COMPENSATION_FLOW", node, f"compensation boundary event '{node.id}' has a sequence flow")
        if host is not None and host.xml.get("isForCompensation") == "true":
            say(r, "BOUNDARY_ON_HANDLER", node, f"'{host.id}' is a compensation handler itself")
    elif not node.outgoing:
        say(r, "BOUNDARY_NO_OUTGOING", node, f"boundary event '{node.id}' leads nowhere")
    if host is None:
        return
    if not host.behaviour.activity:
        say(r, "BOUNDARY_HOST_KIND", node, f"boundary event '{node.id}' is attached to the {host.tag} '{host.id}'")
        return
    if host.scope is not node.scope:
        say(r, "BOUNDARY_HOST_SCOPE", node, f"boundary event '{node.id}' and its activity '{host.id}' stand in different scopes")
    if host.triggered_by_event:
        say(r, "BOUNDARY_ON_EVENT_SUB_PROCESS", node, f"event sub-process '{host.id}' can't have the boundary event '{node.id}'")
    if "cancel" in kinds and host.kind != "transaction":
        say(r, "BOUNDARY_CANCEL_HOST", node, f"'{node.id}' catches a cancel, but '{host.id}' is no transaction")


def _several(r: Any, node: Node) -> None:
    seen: set[tuple[str, str]] = set()
    for event in node.events:
        if event.kind == "link":
            say(r, "LINK_AMONG_OTHERS", node, f"'{node.id}' is a link and something else")
        elif event.kind == "terminate":
            say(r, "TERMINATE_AMONG_OTHERS", node, f"'{node.id}' terminates, and throws something else")
        name = event.name.text if event.name is not None else event.ref
        if event.kind in ("message", "signal", "error", "escalation") and (event.kind, name) in seen:
            say(r, "EVENT_DEFINITION_TWICE", node, f"'{node.id}' has {event.kind} '{name}' twice")
        seen.add((event.kind, name))


def links(r: Any, process: Process) -> None:
    thrown: set[tuple[Any, str]] = set()
    targets: list[tuple[Node, str]] = []
    for node in process.nodes.values():
        for event in node.events:
            if event.kind != "link":
                continue
            if not event.ref:
                say(r, "LINK_NAME_MISSING", node, f"link event '{node.id}' has no name")
            elif node.kind == "intermediateCatchEvent":
                targets.append((node, event.ref))
                if node.incoming:
                    say(r, "LINK_TARGET_HAS_INCOMING", node, f"catching link event '{node.id}' has an incoming flow")
            elif node.kind in ("intermediateThrowEvent", "endEvent"):
                thrown.add((node.scope, event.ref))
                if event.ref not in (node.scope or process.root).links:
                    say(r, "LINK_TARGET_MISSING", node, f"no catching link event '{event.ref}' in the scope of '{node.id}'")
                if node.outgoing:
                    say(r, "LINK_SOURCE_HAS_OUTGOING", node, f"throwing link event '{node.id}' has an outgoing flow")
    for node, name in targets:
        if (node.scope, name) not in thrown:
            say(r, "LINK_SOURCE_MISSING", node, f"no throwing link event '{name}' in the scope of '{node.id}'")


def codes_of(node: Node, kind: str) -> list[str | None]:
    """The codes that an event catches; None: all."""
    return [
        None if e.name is None or not e.name.text else str(static(e.name)) if static(e.name) else None
        for e in node.events
        if e.kind == kind
    ]


_CHECKS: dict[str, Any] = {
    "startEvent": _start,
    "endEvent": _end,
    "intermediateThrowEvent": _thrown,
    "intermediateCatchEvent": _catch,
    "boundaryEvent": _boundary,
}
