"""Pools, message flows, lanes and correlation.

Source: BPMN 2.0.2, chapter 9, table 7.4, 10.8 and 8.4.2.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks.common import declare, imported, kind_of, process_of, referenced, say

declare(
    {
        "PARTICIPANT_PROCESS_MISSING": ("warning", "A pool refers to a process that doesn't exist", "9.3, table 9.2", 'processRef="..." of a <process>'),
        "PROCESS_IN_TWO_POOLS": ("warning", "Two pools of a collaboration refer to the same process", "9.3", "one pool for each process"),
        "PARTICIPANT_MULTIPLICITY": ("warning", "The multiplicity of a pool is no range", "9.3, table 9.3", "minimum of 0 or more, maximum of 2 or more"),
        "MESSAGE_FLOW_DANGLING": ("warning", "A message flow has no source or target", "9.4, table 9.11", "join it to a pool, activity or event"),
        "MESSAGE_FLOW_WITHIN_POOL": ("warning", "A message flow within one pool", "9.4, 7.6.2", "use a sequence flow, or throw and catch the message"),
        "MESSAGE_FLOW_SOURCE": ("warning", "A message flow begins at something that can't send", "table 7.4", "a pool, an activity, or a throwing message event"),
        "MESSAGE_FLOW_TARGET": ("warning", "A message flow ends at something that can't receive", "table 7.4",
                                "a pool, an activity, or a catching message event"),
        "MESSAGE_FLOW_MESSAGE_MISSING": ("warning", "The message of a message flow doesn't exist", "9.4, table 9.11", 'messageRef="..." of a <message>'),
        "MESSAGE_FLOW_MESSAGES_DIFFER": ("warning", "What a message flow joins sends one message and awaits another", "9.4", "name the same message at both ends"),
        "LANE_NODE_MISSING": ("warning", "A lane names an element that isn't in its process", "10.8, table 10.135", "correct or remove flowNodeRef"),
        "LANE_NODE_TWICE": ("warning", "An element is in two lanes of one set", "10.8", "keep it in one"),
        "LANE_EMPTY": ("info", "A lane has no element", "10.8", "remove it"),
        "LANE_NODE_NONE": ("info", "Elements are in no lane, although the process has lanes", "10.8", "put them into a lane"),
        "CORRELATION_KEY_EMPTY": ("warning", "A correlation key has no property", "8.4.2, table 8.32", "<correlationPropertyRef>"),
        "CORRELATION_KEY_PROPERTY": ("warning", "A property of a correlation key doesn't exist", "8.4.2, table 8.32", "<correlationProperty>"),
        "CORRELATION_KEY_MISSING": ("warning", "A correlation subscription names no correlation key", "8.4.2, table 8.35", 'correlationKeyRef="..."'),
        "CORRELATION_RETRIEVAL_NONE": ("warning", "A correlation property is retrieved from no message", "8.4.2, table 8.33",
                                       "<correlationPropertyRetrievalExpression>"),
        "CORRELATION_RETRIEVAL_MESSAGE": ("warning", "A correlation property is retrieved from a message that doesn't exist", "8.4.2, table 8.34",
                                          'messageRef="..." of a <message>'),
        "CORRELATION_RETRIEVAL_PATH": ("warning", "A correlation property is retrieved from a message without a path", "8.4.2, table 8.34", "<messagePath>"),
        "CORRELATION_RETRIEVAL_TWICE": ("warning", "A correlation property is retrieved from a message twice", "8.4.2, table 8.34", "remove one"),
        "CORRELATION_BINDING_PATH": ("warning", "A binding of a correlation subscription has no path", "8.4.2, table 8.36", "<dataPath>"),
        "CORRELATION_BINDING_FOREIGN": ("warning", "A binding is for a property that isn't in the subscription's key", "8.4.2", "name a property of the key"),
        "CORRELATION_BINDING_MISSING": ("warning", "A property of the key has no binding in the subscription", "8.4.2", "<correlationPropertyBinding>"),
    }
)  # fmt: skip

_ACTIVITIES = {"task", "serviceTask", "sendTask", "receiveTask", "userTask", "manualTask", "scriptTask", "businessRuleTask", "callActivity", "subProcess",
               "transaction", "adHocSubProcess"}  # fmt: skip
#: no elements of a lane by the schema, but tools list what they draw in it
_DRAWN_IN_LANES = {"dataObject", "dataObjectReference", "dataStoreReference", "textAnnotation", "group", "association", "sequenceFlow"}
_SOURCES = _ACTIVITIES - {"receiveTask"} | {"participant", "endEvent", "intermediateThrowEvent"}
_TARGETS = _ACTIVITIES - {"sendTask"} | {"participant", "startEvent", "intermediateCatchEvent", "boundaryEvent"}


def check(r: Any) -> None:
    for element in r.definitions.iter(*(x.B + tag for tag in _CHECKS)):
        _CHECKS[x.local(element)](r, element)


def _collaboration(r: Any, element: Any) -> None:
    seen: dict[str, str] = {}
    for pool in element.iterchildren(x.B + "participant"):
        reference, id = pool.get("processRef", ""), pool.get("id", "")
        if reference and not imported(r, reference, pool):
            found = referenced(r, reference)
            if found is None or x.local(found) != "process":
                say(
                    r,
                    "PARTICIPANT_PROCESS_MISSING",
                    pool,
                    f"pool '{id}' refers to '{reference}': expected a process, found {kind_of(found)}",
                )
            elif reference in seen:
                say(r, "PROCESS_IN_TWO_POOLS", pool, f"pools '{seen[reference]}' and '{id}' refer to process '{reference}'")
            seen.setdefault(reference, id)
        many = x.child(pool, "participantMultiplicity")
        if many is not None:
            low, high = many.get("minimum", "0"), many.get("maximum", "1")
            least, most = x.whole(low), x.whole(high)
            if least is None or most is None or not 0 <= least <= most or most == 0:
                say(r, "PARTICIPANT_MULTIPLICITY", many, f"multiplicity of pool '{id}': found {low} to {high}")


def _message_flow(r: Any, element: Any) -> None:
    id = element.get("id", "")
    ends = []
    for attribute, allowed, code in (("sourceRef", _SOURCES, "MESSAGE_FLOW_SOURCE"), ("targetRef", _TARGETS, "MESSAGE_FLOW_TARGET")):
        reference = element.get(attribute, "")
        if reference and imported(r, reference, element):
            return
        found = referenced(r, reference)
        ends.append(found)
        if found is None:
            say(r, "MESSAGE_FLOW_DANGLING", element, f"{attribute} '{reference}' of message flow '{id}' does not exist")
        elif x.local(found) not in allowed or _not_message(r, found):
            say(r, code, element, f"{attribute} of message flow '{id}' is {kind_of(found)} ('{reference}')")
    message = element.get("messageRef", "")
    if message and not imported(r, message, element) and (referenced(r, message) is None or x.local(referenced(r, message)) != "message"):
        say(
            r,
            "MESSAGE_FLOW_MESSAGE_MISSING",
            element,
            f"messageRef '{message}' of message flow '{id}' names {kind_of(referenced(r, message))}",
        )
    source, target = ends
    if source is None or target is None:
        return
    pools = [_pool(r, e) for e in ends]
    if pools[0] is not None and pools[0] is pools[1]:
        say(
            r,
            "MESSAGE_FLOW_WITHIN_POOL",
            element,
            f"message flow '{id}' joins '{source.get('id', '')}' and '{target.get('id', '')}' of the same pool",
        )
    sent, awaited = _message(source), _message(target)
    if sent and awaited and sent != awaited:
        say(r, "MESSAGE_FLOW_MESSAGES_DIFFER", element, f"message flow '{id}': '{sent}' is sent, '{awaited}' is awaited")


def _not_message(r: Any, event: Any) -> bool:
    """An event that has no definition of a message, itself or by reference."""
    if not x.local(event).endswith("Event"):
        return False
    found = [referenced(r, x.text_of(kid)) if x.local(kid) == "eventDefinitionRef" else kid for kid in x.bpmn_children(event)]
    return not any(kid is None or x.local(kid) == "messageEventDefinition" for kid in found)


def _pool(r: Any, element: Any) -> Any:
    """The process of a node, or of a pool that has one."""
    if x.local(element) == "participant":
        return referenced(r, element.get("processRef", "")) if element.get("processRef") else element
    return process_of(element)


def _message(element: Any) -> str:
    found = element.get("messageRef", "")
    definition = x.child(element, "messageEventDefinition")
    return found or (definition.get("messageRef", "") if definition is not None else "")


def _lanes(r: Any, element: Any) -> None:
    owner = element.getparent()
    process = process_of(element)
    outer = x.local(owner) != "lane"
    seen: dict[str, str] = {}
    for lane in element.iterchildren(x.B + "lane"):
        mine: set[str] = set()
        for reference in lane.iter(x.B + "flowNodeRef"):
            text = x.text_of(reference)
            direct = reference.getparent() is lane
            found = referenced(r, text)
            if direct and found is not None and x.local(found) in _DRAWN_IN_LANES:
                continue
            if direct and (found is None or process_of(found) is not process or not _is_node(found)):
                say(r, "LANE_NODE_MISSING", lane, f"lane '{lane.get('id', '')}' names '{text}', which is no element of its process")
            elif text not in mine:
                if text in seen:
                    say(r, "LANE_NODE_TWICE", lane, f"'{text}' is in the lanes '{seen[text]}' and '{lane.get('id', '')}'")
                seen[text] = lane.get("id", "")
                mine.add(text)
        if not mine:
            say(r, "LANE_EMPTY", lane, f"lane '{lane.get('id', '')}' has no element")
    if outer and seen:
        missing = [kid.get("id", "") for kid in owner if isinstance(kid.tag, str) and _is_node(kid) and kid.get("id", "") not in seen
                   and x.local(kid) != "boundaryEvent"]  # fmt: skip
        if missing:
            say(
                r,
                "LANE_NODE_NONE",
                element,
                f"'{missing[0]}'" + (f" and {len(missing) - 1} others are" if missing[1:] else " is") + " in no lane",
            )


def _is_node(element: Any) -> bool:
    tag = x.local(element)
    return tag in _ACTIVITIES or tag.endswith(("Event", "Gateway"))


def _key(r: Any, element: Any) -> None:
    properties = element.findall(x.B + "correlationPropertyRef")
    if not properties:
        say(r, "CORRELATION_KEY_EMPTY", element, f"correlation key '{element.get('id', '')}' has no property")
    for reference in properties:
        found = referenced(r, x.text_of(reference))
        if found is None or x.local(found) != "correlationProperty":
            say(
                r,
                "CORRELATION_KEY_PROPERTY",
                element,
                f"'{x.text_of(reference)}' of correlation key '{element.get('id', '')}' is {kind_of(found)}",
            )


def _property(r: Any, element: Any) -> None:
    id = element.get("id", "")
    seen: set[str] = set()
    retrievals = element.findall(x.B + "correlationPropertyRetrievalExpression")
    if not retrievals:
        say(r, "CORRELATION_RETRIEVAL_NONE", element, f"correlation property '{id}' is retrieved from no message")
    for retrieval in retrievals:
        message = retrieval.get("messageRef", "")
        found = referenced(r, message)
        if not imported(r, message, element) and (found is None or x.local(found) != "message"):
            say(
                r,
                "CORRELATION_RETRIEVAL_MESSAGE",
                retrieval,
                f"correlation property '{id}' is retrieved from '{message}', which is {kind_of(found)}",
            )
        if not x.text_of(x.child(retrieval, "messagePath")):
            say(r, "CORRELATION_RETRIEVAL_PATH", retrieval, f"correlation property '{id}' has no path into message '{message}'")
        if message in seen:
            say(r, "CORRELATION_RETRIEVAL_TWICE", retrieval, f"correlation property '{id}' is retrieved from message '{message}' twice")
        seen.add(message)


def _subscription(r: Any, element: Any) -> None:
    reference = element.get("correlationKeyRef", "")
    key = referenced(r, reference)
    if key is None or x.local(key) != "correlationKey":
        say(r, "CORRELATION_KEY_MISSING", element, f"correlationKeyRef '{reference}' names {kind_of(key)}")
        key = None
    wanted = {x.text_of(e) for e in key.findall(x.B + "correlationPropertyRef")} if key is not None else set()
    bound: set[str] = set()
    for binding in element.findall(x.B + "correlationPropertyBinding"):
        name = binding.get("correlationPropertyRef", "")
        bound.add(name)
        if not x.text_of(x.child(binding, "dataPath")):
            say(r, "CORRELATION_BINDING_PATH", binding, f"the binding of '{name}' has no path")
        if key is not None and name not in wanted:
            say(r, "CORRELATION_BINDING_FOREIGN", binding, f"'{name}' is no property of correlation key '{reference}'")
    for name in sorted(wanted - bound):
        say(r, "CORRELATION_BINDING_MISSING", element, f"property '{name}' of correlation key '{reference}' has no binding")


_CHECKS: dict[str, Any] = {
    "collaboration": _collaboration,
    "messageFlow": _message_flow,
    "laneSet": _lanes,
    "childLaneSet": _lanes,
    "correlationKey": _key,
    "correlationProperty": _property,
    "correlationSubscription": _subscription,
}
