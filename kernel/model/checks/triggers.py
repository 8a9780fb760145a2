"""What an event definition says: timers, messages and their correlation, errors and who catches them, compensation.

Source: BPMN 2.0.2, 10.5.5 and 10.7.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks import structure
from flowledger.kernel.model.checks.common import declare, say, static
from flowledger.kernel.model.checks.events import codes_of
from flowledger.kernel.model.graph import Node, Process

declare(
    {
        "TIMER_SEVERAL": ("error", "A timer has more than one of timeDate, timeDuration and timeCycle", "10.5.5, table 10.101", "keep one of them"),
        "TIMER_CYCLE_ONCE": ("warning", "A cycle where only its first time counts", "10.5.5", "use timeDuration or timeDate"),
        "TIMER_DURATION_START": ("info", "A start event with a duration starts one instance, so long after the deployment", "10.5.2", "a cycle, R/PT1H"),
        "MESSAGE_CORRELATION_MISSING": ("warning", "An awaited message has no correlation key: any message of that name is taken", "8.4.2",
                                        '<zeebe:subscription correlationKey="= ..."/> in the <message>, or a correlation property'),
        "CONDITION_READS_NOTHING": ("warning", "The condition of an event reads no variable: it can't become true later", "10.5.5", "let it read a variable"),
        "ERROR_NOT_CAUGHT": ("info", "An error that is thrown is caught nowhere in the process", "10.5.6", "a boundary event or an event sub-process"),
        "ESCALATION_NOT_CAUGHT": ("info", "An escalation that is thrown is caught nowhere in the process", "10.5.6",
                                  "a boundary event or an event sub-process"),
        "ERROR_NEVER_THROWN": ("info", "An error is caught at a sub-process in which nothing can throw it", "10.5.6", "throw it inside, or remove the handler"),
        "COMPENSATE_KIND": ("error", "activityRef of a compensation event names no activity", "10.5.5, table 10.95", "name an activity"),
        "COMPENSATE_WITHOUT_HANDLER": ("warning", "The activity that is to be compensated has no compensation handler", "10.7",
                                       "a compensation boundary event with a handler"),
        "COMPENSATE_OUT_OF_SIGHT": ("warning", "The activity that is to be compensated can't be seen from the event", "10.7",
                                    "compensate it from its own scope or from around it"),
        "COMPENSATE_NOTHING": ("warning", "Compensation is thrown where nothing has a handler", "10.7", "a compensation boundary event with a handler"),
        "COMPENSATE_CAUGHT_REF": ("warning", "activityRef at a catching compensation event has no meaning", "10.5.5", "remove activityRef"),
    }
)  # fmt: skip

_THROWS = ("endEvent", "intermediateThrowEvent")
#: can throw errors that the model doesn't name: a job or a called process
_UNKNOWN = {"serviceTask", "sendTask", "userTask", "businessRuleTask", "scriptTask", "callActivity", "receiveTask"}


def check(r: Any, process: Process) -> None:
    correlated = None
    for node in process.nodes.values():
        if not node.events and node.kind not in ("serviceTask", "sendTask", "receiveTask"):
            continue
        message = ""
        for event in node.events:
            kind = event.kind
            if kind == "timer":
                _timer(r, node, event)
            elif kind == "message":
                message = event.ref
                if correlated is None:
                    correlated = _correlated(r)
                _message(r, node, event, correlated)
                if event.xml is not None and event.xml is not node.xml:
                    structure.operation(r, node, event.xml, event.ref)
            elif kind == "conditional":
                if event.condition is not None and event.condition.compiled is not None and not event.condition.reads:
                    say(r, "CONDITION_READS_NOTHING", node, f"the condition of '{node.id}' reads no variable")
            elif kind == "compensate":
                _compensate(r, process, node, event)
            elif kind in ("error", "escalation") and node.kind in _THROWS:
                _caught(r, node, event, kind)
            elif kind == "error" and node.kind == "boundaryEvent":
                _thrown(r, node, event)
        if node.kind in ("serviceTask", "sendTask", "receiveTask"):
            structure.operation(r, node, node.xml, message)


def _timer(r: Any, node: Node, event: Any) -> None:
    found = [tag for tag in ("timeDate", "timeDuration", "timeCycle") if event.xml.find(x.B + tag) is not None]
    if len(found) > 1:
        say(r, "TIMER_SEVERAL", node, f"the timer of '{node.id}' has {' and '.join(found)}")
    kind = event.timer[0] if event.timer else ""
    if kind == "cycle":
        in_sub = node.kind == "startEvent" and node.scope is not None
        if node.kind == "intermediateCatchEvent" or ((node.kind == "boundaryEvent" or in_sub) and node.interrupting):
            say(r, "TIMER_CYCLE_ONCE", node, f"'{node.id}' occurs once, its timer is a cycle")
    elif kind == "duration" and node.kind == "startEvent" and node.scope is None and found:
        say(r, "TIMER_DURATION_START", node, f"'{node.id}' starts one instance only")


def _correlated(r: Any) -> set[str]:
    """Messages that a correlation property says how to correlate."""
    return {e.get("messageRef", "").rsplit(":", 1)[-1] for e in r.definitions.iter(x.B + "correlationPropertyRetrievalExpression")}


def _message(r: Any, node: Node, event: Any, correlated: set[str]) -> None:
    if node.kind in _THROWS or node.kind == "sendTask" or (node.kind == "startEvent" and node.scope is None):
        return
    if node.kind == "receiveTask" and node.xml.get("instantiate") == "true":
        return
    if node.kind == "intermediateCatchEvent" and any(
        f.source.kind == "eventBasedGateway" and f.source.xml.get("instantiate") == "true" for f in node.incoming
    ):
        return
    if event.named and event.correlation is None and event.ref not in correlated:
        say(
            r,
            "MESSAGE_CORRELATION_MISSING",
            node,
            f"the message '{event.name.text if event.name else event.ref}' of '{node.id}' has no correlation key",
        )


def _compensate(r: Any, process: Process, node: Node, event: Any) -> None:
    if node.kind not in _THROWS:
        if event.ref:
            say(r, "COMPENSATE_CAUGHT_REF", node, f"'{node.id}' catches: activityRef '{event.ref}' has no meaning")
        return
    if not event.ref:
        if not any(_compensable(n) for n in process.nodes.values()):
            say(r, "COMPENSATE_NOTHING", node, f"'{node.id}' throws compensation, but no activity of the process has a handler")
        return
    target = process.nodes.get(event.ref)
    if target is None:
        if event.ref in r.by_id:
            say(r, "COMPENSATE_KIND", node, f"activityRef '{event.ref}' of '{node.id}' is no activity of this process")
        return
    if not target.behaviour.activity or target.triggered_by_event:
        say(r, "COMPENSATE_KIND", node, f"activityRef '{event.ref}' of '{node.id}' is a {target.tag}")
        return
    if not _compensable(target) and not any(_compensable(n) for n in _inside(target)):
        say(r, "COMPENSATE_WITHOUT_HANDLER", node, f"'{event.ref}', which '{node.id}' compensates, has no handler")
    around = {id(node.scope)}
    scope = node.scope
    while scope is not None:
        scope = scope.scope
        around.add(id(scope))
    seen = target.scope
    while id(seen) not in around and seen is not None:
        seen = seen.scope
    if id(target.scope) not in around and not (seen is node.scope or (node.scope is not None and node.scope.triggered_by_event)):
        say(r, "COMPENSATE_OUT_OF_SIGHT", node, f"'{event.ref}' can't be seen from '{node.id}'")


def _compensable(node: Node) -> bool:
    return node.compensation is not None or any(e.kind == "compensate" for sub in node.event_subs for s in sub.starts for e in s.events)


def _inside(node: Node) -> list[Node]:
    found: list[Node] = []
    todo = list(node.children)
    while todo:
        kid = todo.pop()
        found.append(kid)
        todo += kid.children
    return found


def _caught(r: Any, node: Node, event: Any, kind: str) -> None:
    """Is there a handler from the thrower outwards?"""
    code = static(event.name)
    if not isinstance(code, str):
        return
    at: Node | None = node
    while True:
        scope = at.scope if at is not None else None
        subs = scope.event_subs if scope is not None else node.process.root.event_subs
        handlers = [s for sub in subs if sub is not at for s in sub.starts] + (scope.attached if scope is not None else [])
        if any(c is None or c == code for h in handlers for c in codes_of(h, kind)):
            return
        if scope is None:
            break
        at = scope
    say(
        r,
        "ERROR_NOT_CAUGHT" if kind == "error" else "ESCALATION_NOT_CAUGHT",
        node,
        f"{kind} '{code}' of '{node.id}' is caught nowhere in the process",
    )


def _thrown(r: Any, node: Node, event: Any) -> None:
    """Can anything in the sub-process throw what its boundary catches?"""
    host = node.host
    if host is None or not host.is_scope or not host.children:
        return
    inside = _inside(host)
    if any(n.kind in _UNKNOWN for n in inside):
        return
    codes = [c for n in inside if n.kind in _THROWS for c in codes_of(n, "error")]
    wanted = static(event.name)
    if not any(c is None or wanted is None or c == wanted for c in codes):
        say(r, "ERROR_NEVER_THROWN", node, f"nothing in '{host.id}' throws the error that '{node.id}' catches")
