"""What every reference of the schema may name, by the class tables of the standard: nothing dangles, and each names an element of the right kind.

What another check has said in its own words isn't said again. A process, choreography or collaboration that is called may stand in another file.
"""

from __future__ import annotations

from functools import cache
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
    "itemRef": ("itemDefinition",), "itemSubjectRef": ("itemDefinition",), "attachedToRef": ("activity", "choreographyActivity"), "activityRef": ("activity",),
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
_ENDS = frozenset(name for _, name in _OF)
_ALIASES = {"inputDataItem": "dataInput", "outputDataItem": "dataOutput"}


def check(r: Any) -> None:
    lines: dict[int, list[tuple[str, str]]] = {}
    for f in r.findings:
        lines.setdefault(f.line, []).append((f.element or "", f.message))
    start = len(x.B)
    for element in r.definitions.iter(x.B + "*"):
        tag = element.tag[start:]
        shape = grammar.of(tag)
        if shape is None:
            if tag in _KINDS or tag in _ENDS:
                _one(r, x.local(element.getparent()), tag, x.text_of(element), element, lines)
            continue
        for name, value in element.items():
            if (name[-3:] == "Ref" or name in ("default", "calledElement")) and name in shape.attributes:
                _one(r, tag, name, value.strip(), element, lines)


def _one(r: Any, tag: str, name: str, reference: str, at: Any, lines: dict[int, list[tuple[str, str]]]) -> None:
    kinds = _OF.get((tag, name)) or _KINDS.get(name)
    if kinds is None or ((tag, name) not in _OF and name == "calledElement" and not reference):
        return
    found = r.by_id.get(reference)
    if found is None:
        if imported(r, reference, at) or reference.startswith("##") or "WebService" in reference:
            return
        found = referenced(r, reference)
    if found is not None and _fits(kinds, found.tag):
        if name == "eventDefinitionRef" and x.local(found.getparent()) != "definitions":
            say(r, "EVENT_DEFINITION_NOT_ROOT", at, f"eventDefinitionRef '{reference}' names a definition that belongs to another event")
        return
    if _said(reference, at, lines):
        return
    what = f"{name} '{reference}' of {_title(at if at.get('id') or x.local(at) == tag else at.getparent())}"
    if found is not None:
        say(r, "REFERENCE_KIND", at, f"{what} names {kind_of(found)}: expected {_wanted(kinds)}")
    elif not reference or name not in _ELSEWHERE:
        say(r, "REFERENCE_DANGLING", at, f"{what} names nothing: expected {_wanted(kinds)}")


@cache
def _fits(kinds: tuple[str, ...], tag: str) -> bool:
    tag = tag.rsplit("}", 1)[-1]
    return any(kind == "" or tag == kind or grammar.is_a(_ALIASES.get(tag, tag), kind) for kind in kinds)


def _said(reference: str, at: Any, lines: dict[int, list[tuple[str, str]]]) -> bool:
    """On the same line of the same element, or what is around it: a file may have but one line."""
    near = lines.get(at.sourceline, ()) or lines.get(at.getparent().sourceline, ())
    return any(f"'{reference}'" in message and (not element or element in _around(at)) for element, message in near)


def _around(at: Any) -> set[str]:
    found = {at.get("id", "")}
    while at.getparent() is not None and x.local(at.getparent()) != "definitions":
        at = at.getparent()
        found.add(at.get("id", ""))
    return found


def _title(element: Any) -> str:
    return f"'{element.get('id')}'" if element.get("id") else f"<{x.local(element)}>"


def _wanted(kinds: tuple[str, ...]) -> str:
    return "data" if len(kinds) > 4 and "dataInput" in kinds else "one of " + ", ".join(kinds) if len(kinds) > 1 else f"a {kinds[0]}"
