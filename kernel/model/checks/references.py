"""What every reference of the schema may name, by the class tables of the standard: nothing dangles, and each names an element of the right kind.

What another check has said in its own words isn't said again. A process, choreography or collaboration that is called may stand in another file.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks import grammar
from flowledger.kernel.model.checks.common import declare, imported, kind_of, referenced, say

declare(
    {
        "REFERENCE_DANGLING": ("warning", "A reference names nothing", "8.3.1, class tables", "name an element of this file"),
        "REFERENCE_KIND": ("warning", "A reference names an element of another kind", "8.3.1, class tables", "name an element of the kind that is wanted"),
        "EVENT_DEFINITION_NOT_ROOT": (
            "warning",
            "eventDefinitionRef names a definition inside of another event",
            "10.5.1, tables 10.82, 10.83",
            "put the definition into <definitions>",
        ),
    }
)  # fmt: skip

_ITEM_AWARE = (
    "dataObject",
    "dataObjectReference",
    "dataStoreReference",
    "dataStore",
    "property",
    "dataInput",
    "dataOutput",
    "inputDataItem",
    "outputDataItem",
)
_INTERACTION = ("participant", "activity", "event", "conversationNode", "choreographyActivity")
#: attribute or child -> kinds; a kind is an element or a class of the schema
_KINDS: dict[str, tuple[str, ...]] = {
    "incoming": ("sequenceFlow",), "outgoing": ("sequenceFlow",), "default": ("sequenceFlow",),
    "supportedInterfaceRef": ("interface",), "interfaceRef": ("interface",), "operationRef": ("operation",),
    "eventDefinitionRef": ("eventDefinition",), "oneBehaviorEventRef": ("eventDefinition",), "noneBehaviorEventRef": ("eventDefinition",),
    "participantRef": ("participant",), "initiatingParticipantRef": ("participant",), "innerParticipantRef": ("participant",),
    "outerParticipantRef": ("participant",), "messageFlowRef": ("messageFlow",), "innerMessageFlowRef": ("messageFlow",),
    "outerMessageFlowRef": ("messageFlow",), "innerConversationNodeRef": ("conversationNode",), "outerConversationNodeRef": ("conversationNode",),
    "choreographyRef": ("choreography",), "calledChoreographyRef": ("choreography",), "calledCollaborationRef": ("collaboration",),
    "definitionalCollaborationRef": ("collaboration",), "processRef": ("process",), "supports": ("process",), "calledElement": ("callableElement",),
    "correlationPropertyRef": ("correlationProperty",), "correlationKeyRef": ("correlationKey",), "categoryValueRef": ("categoryValue",),
    "dataInputRefs": ("dataInput",), "optionalInputRefs": ("dataInput",), "whileExecutingInputRefs": ("dataInput",),
    "dataOutputRefs": ("dataOutput",), "optionalOutputRefs": ("dataOutput",), "whileExecutingOutputRefs": ("dataOutput",),
    "outputSetRefs": ("outputSet",), "inputSetRefs": ("inputSet",), "inputDataRef": ("inputSet", "dataInput"), "outputDataRef": ("outputSet", "dataOutput"),
    "loopDataInputRef": _ITEM_AWARE, "loopDataOutputRef": _ITEM_AWARE, "dataObjectRef": ("dataObject",), "dataStoreRef": ("dataStore",),
    "inMessageRef": ("message",), "outMessageRef": ("message",), "messageRef": ("message",), "errorRef": ("error",), "escalationRef": ("escalation",),
    "signalRef": ("signal",), "endPointRef": ("endPoint",), "resourceRef": ("resource",), "parameterRef": ("resourceParameter",),
    "itemRef": ("itemDefinition",), "itemSubjectRef": ("itemDefinition",), "attachedToRef": ("activity",), "activityRef": ("activity",),
}  # fmt: skip
#: the same where the element decides
_OF = {
    ("sequenceFlow", "sourceRef"): ("flowNode",), ("sequenceFlow", "targetRef"): ("flowNode",),
    ("messageFlow", "sourceRef"): _INTERACTION, ("messageFlow", "targetRef"): _INTERACTION,
    ("conversationLink", "sourceRef"): _INTERACTION, ("conversationLink", "targetRef"): _INTERACTION,
    ("association", "sourceRef"): ("",), ("association", "targetRef"): ("",),
    ("dataInputAssociation", "sourceRef"): _ITEM_AWARE, ("dataInputAssociation", "targetRef"): _ITEM_AWARE,
    ("dataOutputAssociation", "sourceRef"): _ITEM_AWARE, ("dataOutputAssociation", "targetRef"): _ITEM_AWARE,
    ("error", "structureRef"): ("itemDefinition",), ("escalation", "structureRef"): ("itemDefinition",), ("signal", "structureRef"): ("itemDefinition",),
    ("linkEventDefinition", "source"): ("linkEventDefinition", "event"), ("linkEventDefinition", "target"): ("linkEventDefinition", "event"),
}  # fmt: skip
#: may be found elsewhere, among what is deployed
_ELSEWHERE = frozenset(("calledElement", "calledChoreographyRef", "calledCollaborationRef"))
_ALIASES = {"inputDataItem": "dataInput", "outputDataItem": "dataOutput"}


def check(r: Any) -> None:
    said = [(f.line, f.message) for f in r.findings]
    lines: dict[int, list[str]] = {}
    for line, message in said:
        lines.setdefault(line, []).append(message)
    for element in r.definitions.iter():
        tag = x.local(element)
        shape = grammar.of(tag) if isinstance(element.tag, str) and element.tag.startswith(x.B) else None
        if shape is None:
            continue
        for name, (_, holds) in shape.attributes.items():
            value = element.get(name)
            if holds == "ref" and value:
                _one(r, tag, name, value.strip(), element, lines)
        for kid in x.bpmn_children(element):
            name = x.local(kid)
            if name in _KINDS or (tag, name) in _OF:
                _one(r, tag, name, x.text_of(kid), kid, lines)


def _one(r: Any, tag: str, name: str, reference: str, at: Any, lines: dict[int, list[str]]) -> None:
    kinds = _OF.get((tag, name)) or _KINDS.get(name)
    if kinds is None or imported(r, reference, at) or reference.startswith("##") or "WebService" in reference:
        return
    found = referenced(r, reference)
    what = f"{name} '{reference}' of {_title(at if at.get('id') or x.local(at) == tag else at.getparent())}"
    if found is None:
        missing = not reference or name not in _ELSEWHERE
        if missing and not _said(reference, at, lines):
            say(r, "REFERENCE_DANGLING", at, f"{what} names nothing: expected {_wanted(kinds)}")
    elif not any(
        kind == "" or x.local(found) == kind or grammar.is_a(_ALIASES.get(x.local(found), x.local(found)), kind) for kind in kinds
    ):
        if not _said(reference, at, lines):
            say(r, "REFERENCE_KIND", at, f"{what} names {kind_of(found)}: expected {_wanted(kinds)}")
    elif name == "eventDefinitionRef" and x.local(found.getparent()) != "definitions":
        say(r, "EVENT_DEFINITION_NOT_ROOT", at, f"{what} names a definition that belongs to another event")


def _said(reference: str, at: Any, lines: dict[int, list[str]]) -> bool:
    near = lines.get(at.sourceline, ()) or lines.get(at.getparent().sourceline, ())
    return any(f"'{reference}'" in message for message in near)


def _title(element: Any) -> str:
    return f"'{element.get('id')}'" if element.get("id") else f"<{x.local(element)}>"


def _wanted(kinds: tuple[str, ...]) -> str:
    return "data" if len(kinds) > 4 and "dataInput" in kinds else "one of " + ", ".join(kinds) if len(kinds) > 1 else f"a {kinds[0]}"
