"""Processes and sub-processes: where they start and end, what event sub-processes, transactions and ad-hoc sub-processes may hold.

Source: BPMN 2.0.2, 10.3.5, 10.5.2, 10.5.3.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks.common import at_scope, declare, say, scopes, title
from flowledger.kernel.model.graph import Node, Process, implicit_starts

declare(
    {
        "PROCESS_EMPTY": ("warning", "A process has no flow element", "10.2", "begin with a start event"),
        "PROCESS_WITHOUT_START": ("error", "A process has nothing to start with: no start event, and each element has an incoming flow", "10.5.2",
                                  "add a start event"),
        "SUB_PROCESS_WITHOUT_START": ("error", "A sub-process has nothing to start with", "10.3.5, 10.5.2", "add a start event without trigger"),
        "SUB_PROCESS_EMPTY": ("warning", "A sub-process has no flow element: an incident when it is entered", "10.3.5", "give it content, or make it a task"),
        "START_NONE_SEVERAL": ("warning", "A process has several start events without trigger: the first one starts it", "10.5.2",
                               "one start event and a parallel gateway behind it"),
        "SUB_PROCESS_START_SEVERAL": ("warning", "A sub-process has several start events: all of them start", "10.5.2",
                                      "one start event and a parallel gateway behind it"),
        "END_WITHOUT_START": ("warning", "A scope has an end event, but no start event", "10.5.3", "add a start event"),
        "START_WITHOUT_END": ("info", "A scope has a start event, but no end event", "10.5.2", "add an end event"),
        "NODE_WITHOUT_INCOMING": ("warning", "An element has no incoming flow, although its scope has a start event", "10.5.2", "join it to the flow"),
        "NODE_WITHOUT_OUTGOING": ("info", "An element has no outgoing flow, although its scope has an end event: its token ends there", "10.5.3",
                                  "join it to an end event"),
        "EVENT_SUB_PROCESS_LOOP": ("warning", "An event sub-process is a loop", "10.3.5", "put the loop inside"),
        "EVENT_SUB_PROCESS_FOR_COMPENSATION": ("warning", "An event sub-process is marked as compensation handler", "10.3.5, 10.7",
                                               "start it by a compensation event instead"),
        "EVENT_SUB_PROCESS_COMPENSATION_ROOT": ("warning", "A compensation event sub-process directly in a process: nothing compensates a process", "10.7",
                                                "put it into a sub-process"),
        "EVENT_SUB_PROCESS_COMPENSATION_TWICE": ("warning", "A scope has two compensation event sub-processes: only the first is used", "10.7", "remove one"),
        "TRANSACTION_BY_EVENT": ("error", "A transaction can't be an event sub-process", "10.3.5", 'remove triggeredByEvent="true"'),
        "TRANSACTION_METHOD": ("warning", "A transaction has a method that the standard doesn't name", "10.3.5", "##Compensate"),
        "TRANSACTION_METHOD_NOT_SPOKEN": ("info", "A transaction asks for another method than compensation: it is compensated all the same", "10.3.5",
                                          "##Compensate"),
        "TRANSACTION_CANCEL_NOT_CAUGHT": ("warning", "A transaction can be cancelled, but nothing follows then", "10.3.5", "a cancel boundary event"),
        "TRANSACTION_NEVER_CANCELLED": ("warning", "A transaction has a cancel boundary event, but no cancel end event", "10.3.5", "a cancel end event inside"),
        "AD_HOC_BY_EVENT": ("error", "An ad-hoc sub-process can't be an event sub-process", "10.3.5", 'remove triggeredByEvent="true"'),
        "AD_HOC_WITHOUT_CONDITION": ("info", "An ad-hoc sub-process has no completion condition: it ends when what was chosen has ended", "10.3.5",
                                     "<completionCondition>"),
    }
)  # fmt: skip

_INSTANTIATING = ("receiveTask", "eventBasedGateway")
_METHODS = ("##Compensate", "##Image", "##Store", "compensate", "image", "store")


def check(r: Any, process: Process) -> None:
    for scope in scopes(process):
        ad_hoc = scope.kind == "adHocSubProcess"
        if not scope.children:
            if scope.kind == "process":
                say(r, "PROCESS_EMPTY", at_scope(scope), f"{title(scope)} has no flow element")
            elif not ad_hoc and not scope.triggered_by_event:
                say(r, "SUB_PROCESS_EMPTY", scope, f"sub-process '{scope.id}' has no flow element")
        elif ad_hoc:
            _ad_hoc(r, scope)
        else:
            _ends(r, scope)
        if scope.event_subs:
            _event_subs(r, scope)
        if scope.triggered_by_event:
            _event_sub(r, scope)
        if scope.kind == "transaction":
            _transaction(r, scope)


def _ends(r: Any, scope: Node) -> None:
    where = at_scope(scope)
    ends = [n for n in scope.children if n.kind == "endEvent"]
    if scope.starts:
        if not scope.triggered_by_event:
            none = [s for s in scope.starts if not s.events]
            if len(none) > 1:
                code = "START_NONE_SEVERAL" if scope.kind == "process" else "SUB_PROCESS_START_SEVERAL"
                say(r, code, none[1], f"{title(scope)} has {len(none)} start events without trigger")
        if not ends:
            say(r, "START_WITHOUT_END", where, f"{title(scope)} has a start event, but no end event")
        for node in implicit_starts(scope):
            if not (node.kind in _INSTANTIATING and node.xml.get("instantiate") == "true"):
                say(r, "NODE_WITHOUT_INCOMING", node, f"'{node.id}' has no incoming flow")
    else:
        # 10.5.3 asks for a start event, but 10.3.3 and 10.6.6 let a task or gateway that starts instances stand in its place
        if (
            ends
            and not scope.triggered_by_event
            and not any(n.kind in _INSTANTIATING and n.xml.get("instantiate") == "true" for n in scope.children)
        ):
            say(r, "END_WITHOUT_START", where, f"{title(scope)} has an end event, but no start event")
        if not scope.triggered_by_event and not implicit_starts(scope):
            if scope.kind == "process":
                if any(not n.triggered_by_event for n in scope.children):
                    say(r, "PROCESS_WITHOUT_START", where, f"{title(scope)} has nothing to start with")
            else:
                say(r, "SUB_PROCESS_WITHOUT_START", scope, f"sub-process '{scope.id}' has nothing to start with")
    if ends:
        for node in scope.children:
            if not node.outgoing and node.behaviour.activity and not node.for_compensation and not node.triggered_by_event:
                say(r, "NODE_WITHOUT_OUTGOING", node, f"'{node.id}' has no outgoing flow")


def _event_subs(r: Any, scope: Node) -> None:
    undo = [sub for sub in scope.event_subs if any(e.kind == "compensate" for s in sub.starts for e in s.events)]
    if undo and scope.kind == "process":
        say(r, "EVENT_SUB_PROCESS_COMPENSATION_ROOT", undo[0], f"'{undo[0].id}' would compensate {title(scope)}")
    if len(undo) > 1:
        say(
            r,
            "EVENT_SUB_PROCESS_COMPENSATION_TWICE",
            undo[1],
            f"{title(scope)} has two compensation event sub-processes: '{undo[0].id}' and '{undo[1].id}'",
        )


def _event_sub(r: Any, node: Node) -> None:
    if node.loop is not None:
        say(r, "EVENT_SUB_PROCESS_LOOP", node, f"event sub-process '{node.id}' is a loop")
    if node.for_compensation:
        say(r, "EVENT_SUB_PROCESS_FOR_COMPENSATION", node, f"event sub-process '{node.id}' is marked isForCompensation")
    if node.kind == "transaction":
        say(r, "TRANSACTION_BY_EVENT", node, f"transaction '{node.id}' is marked triggeredByEvent")
    if node.kind == "adHocSubProcess":
        say(r, "AD_HOC_BY_EVENT", node, f"ad-hoc sub-process '{node.id}' is marked triggeredByEvent")


def _transaction(r: Any, node: Node) -> None:
    method = node.xml.get("method", "")
    if method and method not in _METHODS and ":" not in method:
        say(r, "TRANSACTION_METHOD", node, f"transaction '{node.id}' has the method '{method}'")
    elif method.lstrip("#").lower() in ("image", "store"):
        say(r, "TRANSACTION_METHOD_NOT_SPOKEN", node, f"transaction '{node.id}' has the method '{method}'")
    throws = _cancels(node)
    catches = any(e.kind == "cancel" for b in node.attached for e in b.events)
    if throws and not catches:
        say(r, "TRANSACTION_CANCEL_NOT_CAUGHT", node, f"transaction '{node.id}' has a cancel end event, but no cancel boundary event")
    if catches and not throws:
        say(r, "TRANSACTION_NEVER_CANCELLED", node, f"transaction '{node.id}' has a cancel boundary event, but no cancel end event")


def _cancels(scope: Node) -> bool:
    todo = list(scope.children)
    while todo:
        node = todo.pop()
        if node.kind == "endEvent" and any(e.kind == "cancel" for e in node.events):
            return True
        if node.kind != "transaction":
            todo += node.children
    return False


def _ad_hoc(r: Any, node: Node) -> None:
    if x.child(node.xml, "completionCondition") is None and x.ext(node.xml, "adHoc") is None and node.config.work is None:
        say(r, "AD_HOC_WITHOUT_CONDITION", node, f"ad-hoc sub-process '{node.id}' has no completion condition")
