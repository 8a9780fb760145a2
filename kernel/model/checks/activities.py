"""Activities: loops, compensation handlers, what tasks and call activities name, the words of the Zeebe dialect.

Source: BPMN 2.0.2, 10.3 and 10.7; `zeebe:` extension elements.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks.common import declare, say, static
from flowledger.kernel.model.graph import Loop, Mapping, Node, Process

declare(
    {
        "LOOP_BOTH": ("error", "An activity is multi-instance and a standard loop", "10.3.8", "put one into a sub-process around the other"),
        "LOOP_MAXIMUM_INVALID": ("error", "loopMaximum is no whole number of 0 or more", "10.3.8, table 10.28", "a whole number or an expression"),
        "LOOP_MAXIMUM_ZERO": ("warning", "loopMaximum is 0: the activity never runs", "10.3.8, table 10.28", "1 or more"),
        "LOOP_CARDINALITY_INVALID": ("error", "The loop cardinality is no whole number of 0 or more", "10.3.8, table 10.29", "a whole number or an expression"),
        "LOOP_CONDITION_CONSTANT": ("warning", "A loop's condition is always true or always false, and it has no maximum", "10.3.8",
                                    "let it read a variable, or give a loopMaximum"),
        "LOOP_COMPLETION_CONSTANT": ("warning", "The completion condition of a multi-instance activity is always true or always false", "10.3.8",
                                     "let it read a variable"),
        "LOOP_ITEMS_TWICE": ("warning", "A multi-instance activity has a collection and a cardinality: the collection counts", "10.3.8", "keep one of the two"),
        "LOOP_ELEMENT_MISSING": ("info", "The runs of a multi-instance activity don't get their item", "10.3.8", 'inputElement="item"'),
        "LOOP_OUTPUT_HALF": ("warning", "Of output collection and output element only one is given", "10.3.8", "give both"),
        "LOOP_BEHAVIOR_EVENT_MISSING": ("warning", "The behaviour of a multi-instance activity asks for events that the model doesn't define", "table 10.29",
                                        "noneBehaviorEventRef, oneBehaviorEventRef or <complexBehaviorDefinition>"),
        "LOOP_BEHAVIOR_EVENT_UNUSED": ("warning", "A multi-instance activity defines an event that its behaviour never throws", "table 10.29",
                                       "set behavior to the kind of event"),
        "COMPENSATION_HANDLER_FLOWS": ("error", "A compensation handler has sequence flows", "10.7", "only the association from the boundary event"),
        "COMPENSATION_HANDLER_UNUSED": ("warning", "An activity is marked as compensation handler, but nothing refers to it", "10.7",
                                        "associate a compensation boundary event with it"),
        "COMPENSATION_HANDLER_SEVERAL": ("warning", "A compensation boundary event has several handlers: the first is used", "10.7",
                                         "a sub-process with all of them"),
        "COMPENSATION_BOUNDARY_TWICE": ("warning", "An activity has two compensation boundary events", "10.7", "remove one"),
        "RECEIVE_START_INCOMING": ("error", "A receive task that starts instances has an incoming flow", "10.3.3",
                                   "remove the flow: it may come from a start event without trigger only"),
        "RECEIVE_START_NESTED": ("warning", "A receive task in a sub-process can't start instances", "10.3.3", "put it into the process itself"),
        "RECEIVE_START_LOOP": ("warning", "A receive task that starts instances is a loop", "10.3.3", "put the loop behind it"),
        "SEND_WITHOUT_MESSAGE": ("warning", "A send task names neither a message nor a job type: it becomes a job named like it", "10.3.3",
                                 'messageRef="..." or <zeebe:taskDefinition type="..."/>'),
        "SERVICE_WITHOUT_TYPE": ("warning", "A service task names neither a job type nor an operation: it becomes a job named like it", "10.3.3",
                                 '<zeebe:taskDefinition type="..."/>'),
        "SCRIPT_MISSING": ("warning", "A script task has no script", "10.3.3", "<zeebe:script expression=\"= ...\" resultVariable=\"...\"/>"),
        "SCRIPT_FORMAT_MISSING": ("info", "A script names no format: it is read as FEEL", "10.3.3, table 10.13", 'scriptFormat="feel"'),
        "SCRIPT_RESULT_MISSING": ("info", "A script has no result variable: only a context is kept", "zeebe:script", 'resultVariable="..."'),
        "CALLED_ELSEWHERE": ("info", "A call activity calls a process that isn't in this file", "10.3.6", "deploy it before the first call"),
        "CALLED_NOT_EXECUTABLE": ("warning", "A call activity calls a process that isn't executable", "10.3.6", 'isExecutable="true"'),
        "CALLED_WITHOUT_NONE_START": ("warning", "A call activity calls a process without a start event of no trigger", "10.3.6, 10.5.2",
                                      "add a start event without trigger to it"),
        "CALLED_ITSELF": ("warning", "A process calls itself", "10.3.6", "make sure that a condition ends it"),
        "BINDING_INVALID": ("error", "An unknown binding", "zeebe:calledElement, zeebe:calledDecision, zeebe:formDefinition", "latest, deployment or versionTag"),
        "BINDING_TAG_MISSING": ("error", "The binding versionTag without a tag", "zeebe:calledElement, zeebe:calledDecision", 'versionTag="..."'),
        "BINDING_TAG_UNUSED": ("warning", "A version tag is given, but the binding doesn't use it", "zeebe:calledElement, zeebe:calledDecision",
                               'bindingType="versionTag"'),
        "VERSION_TAG_EMPTY": ("warning", "A version tag is empty", "zeebe:versionTag", '<zeebe:versionTag value="..."/>'),
        "RETRIES_INVALID": ("error", "Retries are no whole number of 0 or more", "zeebe:taskDefinition", "a whole number or an expression"),
        "NOT_BY_UNKNOWN": ("error", "A separation of duties names what is no work of people of this process", "flowledger:task", "notBy names user tasks by their ids"),
        "STEP_UP_INVALID": ("error", "A step-up is neither true nor false, or is on what no person does", "flowledger:task", 'stepUp="true" on a user task'),
        "HEADER_WITHOUT_KEY": ("warning", "A task header has no key", "zeebe:taskHeaders", 'key="..."'),
        "HEADER_TWICE": ("warning", "Two task headers have the same key: the last counts", "zeebe:taskHeaders", "remove one"),
        "MAPPING_TWICE": ("warning", "Two mappings have the same target: the last counts", "zeebe:ioMapping", "remove one"),
        "DECISION_RESULT_LOST": ("info", "The result of a decision goes to no variable: only a context is kept", "zeebe:calledDecision",
                                 'resultVariable="..."'),
    }
)  # fmt: skip

_BINDINGS = ("latest", "deployment", "versionTag", "version")
_WHOLE = re.compile(r"\d+\Z").match
_Z_TAGS = tuple(x.Z + tag for tag in ("calledElement", "calledDecision", "formDefinition", "versionTag", "taskDefinition", "taskHeaders"))


def check(r: Any, process: Process) -> None:
    called = _handled(process)
    for node in process.nodes.values():
        if node.behaviour.activity:
            if node.loop is not None:
                _loop(r, node, node.loop)
            if node.xml.get("isForCompensation") == "true":
                _handler(r, node, called)
            _duties(r, process, node)
            special = _BY_KIND.get(node.kind)
            if special is not None:
                special(r, node)
        elif node.kind == "boundaryEvent" and called.get(node.id, 0) > 1:
            say(r, "COMPENSATION_HANDLER_SEVERAL", node, f"compensation boundary event '{node.id}' has {called[node.id]} handlers")
        if len(node.attached) > 1 and sum(any(e.kind == "compensate" for e in b.events) for b in node.attached) > 1:
            say(r, "COMPENSATION_BOUNDARY_TWICE", node, f"'{node.id}' has several compensation boundary events")
        for mappings in (node.inputs, node.outputs):
            if len(mappings) > 1:
                _mappings(r, node, mappings)
    if process.root.xml is not None:
        for element in process.root.xml.iter(*_Z_TAGS):
            _ZEEBE[x.local(element)](r, element)


def _duties(r: Any, process: Process, node: Node) -> None:
    own = node.xml.find(f"{x.B}extensionElements/{x.OWN}task")
    for name in x.names_in(own.get("notBy", "")) if own is not None else ():
        if name not in process.nodes or process.nodes[name].kind != "userTask":
            say(r, "NOT_BY_UNKNOWN", node, f"'{node.id}' is not for who did '{name}', which is no user task of the process")
        elif node.kind != "userTask":
            say(r, "NOT_BY_UNKNOWN", node, f"'{node.id}' is a {node.kind}: a separation of duties is between user tasks")
    if own is not None and (given := own.get("stepUp")) is not None:
        if given not in ("true", "false"):
            say(r, "STEP_UP_INVALID", node, f"stepUp of '{node.id}': expected true or false, found {given[:40]!r}")
        elif node.kind != "userTask":
            say(r, "STEP_UP_INVALID", node, f"'{node.id}' is a {node.kind}: a step-up is for user tasks")


def _handled(process: Process) -> dict[str, int]:
    """Ids of handlers, and of boundary events with how many handlers they have."""
    found: dict[str, int] = {}
    for node in process.nodes.values():
        if node.compensation is not None:
            found[node.compensation.id] = 1
            for boundary in node.attached:
                if any(e.kind == "compensate" for e in boundary.events):
                    found[boundary.id] = _handlers(process, boundary)
    return found


def _handlers(process: Process, boundary: Node) -> int:
    definitions = boundary.xml.getroottree().getroot()
    ends = [(a.get("sourceRef", ""), a.get("targetRef", "")) for a in definitions.iter(x.B + "association")]
    others = {b if a == boundary.id else a for a, b in ends if boundary.id in (a, b)}
    return sum(o in process.nodes and process.nodes[o].behaviour.activity for o in others)


def _handler(r: Any, node: Node, called: dict[str, int]) -> None:
    flows = [f for f in node.incoming if not any(e.kind == "compensate" for e in f.source.events)] + node.outgoing
    if flows:
        say(r, "COMPENSATION_HANDLER_FLOWS", node, f"compensation handler '{node.id}' has the sequence flow '{flows[0].id}'")
    if node.id not in called:
        say(r, "COMPENSATION_HANDLER_UNUSED", node, f"'{node.id}' is marked isForCompensation, but handles nothing")


def _constant(expression: Any) -> str:
    """`true` or `false` when that is all that it says, else `""`."""
    text = expression.text.strip().lower() if expression is not None else ""
    return text if text in ("true", "false") else ""


def _negative(text: str) -> bool:
    """A number that is no count; other texts are expressions and can't be told."""
    return bool(re.match(r"-\s*\d|\d*\.\d", text.strip())) and not re.search(r"[A-Za-z(]", text)


def _loop(r: Any, node: Node, loop: Loop) -> None:
    if x.child(node.xml, "multiInstanceLoopCharacteristics") is not None and x.child(node.xml, "standardLoopCharacteristics") is not None:
        say(r, "LOOP_BOTH", node, f"'{node.id}' is multi-instance and a standard loop")
    if loop.kind == "standard":
        text = loop.maximum.text if loop.maximum is not None else ""
        if text and _negative(text):
            say(r, "LOOP_MAXIMUM_INVALID", node, f"loopMaximum of '{node.id}': expected a whole number of 0 or more, found '{text}'")
        elif text.strip() == "0":
            say(r, "LOOP_MAXIMUM_ZERO", node, f"loopMaximum of '{node.id}' is 0")
        if loop.maximum is None and (always := _constant(loop.while_)):
            say(r, "LOOP_CONDITION_CONSTANT", node, f"the condition of the loop '{node.id}' is always {always}")
        return
    if loop.cardinality is not None and _negative(loop.cardinality.text):
        say(
            r,
            "LOOP_CARDINALITY_INVALID",
            node,
            f"cardinality of '{node.id}': expected a whole number of 0 or more, found '{loop.cardinality.text}'",
        )
    if always := _constant(loop.completion):
        say(r, "LOOP_COMPLETION_CONSTANT", node, f"the completion condition of '{node.id}' is always {always}")
    if loop.collection is not None and loop.cardinality is not None:
        say(r, "LOOP_ITEMS_TWICE", node, f"'{node.id}' has a collection and a cardinality")
    if loop.collection is not None and not loop.element and "item" not in node.xml.attrib:
        say(r, "LOOP_ELEMENT_MISSING", node, f"the runs of '{node.id}' have no input element")
    if bool(loop.output) != (loop.output_element is not None):
        say(
            r,
            "LOOP_OUTPUT_HALF",
            node,
            f"'{node.id}' has an output {'collection, but no element' if loop.output else 'element, but no collection'}",
        )
    given = {"None": loop.none_event is not None, "One": loop.one_event is not None, "Complex": bool(loop.complex_events)}
    if loop.behavior in given and not given[loop.behavior]:
        say(r, "LOOP_BEHAVIOR_EVENT_MISSING", node, f"'{node.id}' has the behaviour {loop.behavior}, but no event for it")
    for behavior, there in given.items():
        if there and loop.behavior != behavior:
            say(
                r,
                "LOOP_BEHAVIOR_EVENT_UNUSED",
                node,
                f"'{node.id}' has an event for the behaviour {behavior}, but its behaviour is {loop.behavior}",
            )


def _mappings(r: Any, node: Node, mappings: list[Mapping]) -> None:
    seen: set[str] = set()
    for mapping in mappings:
        if mapping.target in seen:
            say(r, "MAPPING_TWICE", node, f"'{node.id}' has two mappings to '{mapping.target}'")
        seen.add(mapping.target)


# --- kinds of activities ----------------------------------------------------------------------------------------------


def _receive(r: Any, node: Node) -> None:
    if node.xml.get("instantiate") != "true":
        return
    if any(f.source.kind != "startEvent" or f.source.events for f in node.incoming):
        say(r, "RECEIVE_START_INCOMING", node, f"receive task '{node.id}' starts instances, but has an incoming flow")
    if node.scope is not None:
        say(r, "RECEIVE_START_NESTED", node, f"receive task '{node.id}' stands in a sub-process")
    if node.loop is not None:
        say(r, "RECEIVE_START_LOOP", node, f"receive task '{node.id}' starts instances, and is a loop")


def _typed(node: Node) -> bool:
    words = ("topic", "class", "delegateExpression", "expression", "type")
    return (
        x.ext(node.xml, "taskDefinition") is not None
        or any(x.classic_attr(node.xml, w) for w in words)
        or bool(node.xml.get("operationRef"))
    )


def _send(r: Any, node: Node) -> None:
    if not node.events and not _typed(node):
        say(r, "SEND_WITHOUT_MESSAGE", node, f"send task '{node.id}' names neither a message nor a job type")


def _service(r: Any, node: Node) -> None:
    if not _typed(node):
        say(r, "SERVICE_WITHOUT_TYPE", node, f"service task '{node.id}' names neither a job type nor an operation")


def _script(r: Any, node: Node) -> None:
    own = x.ext(node.xml, "script")
    if own is not None:
        if not own.get("resultVariable") and not node.outputs:
            say(r, "SCRIPT_RESULT_MISSING", node, f"script task '{node.id}' has no result variable")
    elif not _typed(node):
        script = x.text_of(x.child(node.xml, "script"))
        if not script:
            say(r, "SCRIPT_MISSING", node, f"script task '{node.id}' has no script")
        elif not node.xml.get("scriptFormat"):
            say(r, "SCRIPT_FORMAT_MISSING", node, f"script task '{node.id}' names no format")


def _rule(r: Any, node: Node) -> None:
    if isinstance(node.config, dict) and not node.config["variable"] and not node.outputs and node.config.get("shape") != "variables":
        say(r, "DECISION_RESULT_LOST", node, f"the result of '{node.id}' goes to no variable")


def _call(r: Any, node: Node) -> None:
    id = static(node.config["process"])
    if not isinstance(id, str) or not id:
        return
    target = r.graph.processes.get(id)
    if target is None:
        say(r, "CALLED_ELSEWHERE", node, f"'{node.id}' calls process '{id}', which is not in this file")
    elif target is node.process:
        say(r, "CALLED_ITSELF", node, f"'{node.id}' calls its own process '{id}'")
    elif not target.executable:
        say(r, "CALLED_NOT_EXECUTABLE", node, f"'{node.id}' calls process '{id}', which is not executable")
    elif target.root.starts and all(s.events for s in target.root.starts):
        say(r, "CALLED_WITHOUT_NONE_START", node, f"'{node.id}' calls process '{id}', which only events start")


_BY_KIND: dict[str, Any] = {
    "receiveTask": _receive,
    "sendTask": _send,
    "serviceTask": _service,
    "scriptTask": _script,
    "businessRuleTask": _rule,
    "callActivity": _call,
}

# --- the words of the dialect -----------------------------------------------------------------------------------------


def _bound(r: Any, element: Any) -> None:
    binding, tag = element.get("bindingType", "latest"), element.get("versionTag", "")
    if binding not in _BINDINGS:
        say(r, "BINDING_INVALID", element, f"expected the binding latest, deployment or versionTag, found '{binding}'")
    elif binding == "versionTag" and not tag:
        say(r, "BINDING_TAG_MISSING", element, "the binding is versionTag, but there is no tag")
    elif tag and binding != "versionTag":
        say(r, "BINDING_TAG_UNUSED", element, f"the tag '{tag}' is not used by the binding {binding}")


def _version_tag(r: Any, element: Any) -> None:
    if not element.get("value", "").strip():
        say(r, "VERSION_TAG_EMPTY", element, "the version tag is empty")


def _job(r: Any, element: Any) -> None:
    retries = element.get("retries", "")
    if retries and not _WHOLE(retries.strip()) and not retries.lstrip().startswith(("=", "${", "#{")):
        say(r, "RETRIES_INVALID", element, f"retries: expected a whole number of 0 or more, or an expression, found '{retries}'")


def _headers(r: Any, element: Any) -> None:
    seen: set[str] = set()
    for header in element.findall(x.Z + "header"):
        key = header.get("key", "")
        if not key:
            say(r, "HEADER_WITHOUT_KEY", element, "a task header has no key")
        elif key in seen:
            say(r, "HEADER_TWICE", element, f"two task headers have the key '{key}'")
        seen.add(key)


_ZEEBE: dict[str, Any] = {
    "calledElement": _bound,
    "calledDecision": _bound,
    "formDefinition": _bound,
    "versionTag": _version_tag,
    "taskDefinition": _job,
    "taskHeaders": _headers,
}
