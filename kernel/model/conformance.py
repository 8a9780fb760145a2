"""Conformance classes of BPMN 2.0.2, chapter 2: which of them a file stays within, and which elements are beyond one (docs/conformance.md).

The tables 2.1 to 2.4 name elements and attributes. What no picture shows takes no model beyond Descriptive or Analytic, which are about what is
visible (2.2.1): input and output, operations, resources; and an attribute with its default is as one that isn't there. Common Executable is
about what is needed to run, so there the attributes count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.xml import B

DESCRIPTIVE, ANALYTIC, FULL, CHOREOGRAPHY = "descriptive", "analytic", "process modeling", "choreography modeling"
EXECUTABLE = "common executable"
#: each stays within those behind it
ORDER = (DESCRIPTIVE, ANALYTIC, FULL, CHOREOGRAPHY)
NAMES = {
    DESCRIPTIVE: "Descriptive (table 2.1)",
    ANALYTIC: "Analytic (table 2.2)",
    FULL: "Process Modeling (2.2)",
    CHOREOGRAPHY: "Choreography Modeling (2.5)",
    EXECUTABLE: "Common Executable (tables 2.3 and 2.4)",
}

#: table 2.1; an event's kind is its position and its trigger
TABLE_2_1 = frozenset(
    "participant laneSet,lane sequenceFlow messageFlow exclusiveGateway parallelGateway task userTask serviceTask subProcess callActivity dataObject "
    "textAnnotation association dataAssociation dataStoreReference start:none end:none start:message end:message start:timer end:terminate "
    "documentation group".split()
)
#: table 2.2: what Analytic has beyond table 2.1
TABLE_2_2 = frozenset(
    "sequenceFlow:conditional sequenceFlow:default sendTask receiveTask loop:standard loop:multi-instance exclusiveGateway:default inclusiveGateway "
    "eventBasedGateway catch:link throw:link start:signal end:signal catch:message throw:message boundary:message boundary-non-interrupting:message "
    "catch:timer boundary:timer boundary-non-interrupting:timer boundary:error end:error boundary-non-interrupting:escalation throw:escalation "
    "end:escalation catch:signal throw:signal boundary:signal boundary-non-interrupting:signal start:conditional catch:conditional "
    "boundary:conditional boundary-non-interrupting:conditional message".split()
)
#: table 2.3
TABLE_2_3 = frozenset(
    "sequenceFlow sequenceFlow:conditional sequenceFlow:default subProcess exclusiveGateway exclusiveGateway:default parallelGateway start:none end:none "
    "eventBasedGateway userTask serviceTask callActivity dataObject textAnnotation dataAssociation start:message end:message end:terminate "
    "end:message,terminate catch:message throw:message catch:timer boundary:error".split()
)
#: table 2.4: classes that those of table 2.3 need, with what may stand in them beside their id
TABLE_2_4: dict[str, frozenset[str]] = {
    "loop:standard": frozenset({"loopCondition"}),
    "loop:multi-instance": frozenset({"isSequential", "loopDataInputRef", "inputDataItem"}),
    "rendering": frozenset(),
    "resource": frozenset({"name"}),
    "resourceRole": frozenset({"name", "resourceRef", "resourceAssignmentExpression"}),
    "ioSpecification": frozenset({"dataInput", "dataOutput", "inputSet", "outputSet"}),
    "dataInput": frozenset({"name", "isCollection", "itemSubjectRef"}),
    "dataOutput": frozenset({"name", "isCollection", "itemSubjectRef"}),
    "itemDefinition": frozenset({"structureRef", "import", "isCollection"}),
    "operation": frozenset({"name", "inMessageRef", "outMessageRef", "errorRef"}),
    "message": frozenset({"name", "itemRef"}),
    "error": frozenset({"name", "structureRef", "errorCode"}),
    "assignment": frozenset({"from", "to"}),
    "messageEventDefinition": frozenset({"messageRef", "operationRef"}),
    "terminateEventDefinition": frozenset(),
    "timerEventDefinition": frozenset({"timeDate"}),
}
CLASSES = {DESCRIPTIVE: TABLE_2_1, ANALYTIC: TABLE_2_1 | TABLE_2_2, EXECUTABLE: TABLE_2_3 | frozenset(TABLE_2_4)}

#: tag -> kind, of what needs no look; "": it only serves others, or isn't seen
_PLAIN = {
    "laneSet": "laneSet,lane", "childLaneSet": "laneSet,lane", "lane": "laneSet,lane", "dataObjectReference": "dataObject",
    "dataInputAssociation": "dataAssociation", "dataOutputAssociation": "dataAssociation", "transaction": "transaction",
    "standardLoopCharacteristics": "loop:standard", "multiInstanceLoopCharacteristics": "loop:multi-instance",
    "performer": "resourceRole", "humanPerformer": "resourceRole", "potentialOwner": "resourceRole",
}  # fmt: skip
_SELF = frozenset(
    "participant sequenceFlow messageFlow exclusiveGateway parallelGateway inclusiveGateway complexGateway eventBasedGateway task userTask serviceTask "
    "sendTask receiveTask scriptTask manualTask businessRuleTask subProcess adHocSubProcess callActivity dataObject dataStoreReference textAnnotation "
    "association group conversation subConversation callConversation conversationLink dataState participantMultiplicity choreography "
    "choreographyTask subChoreography callChoreography globalChoreographyTask globalConversation".split()
)
_EVENTS = {
    "startEvent": "start",
    "endEvent": "end",
    "intermediateCatchEvent": "catch",
    "intermediateThrowEvent": "throw",
    "boundaryEvent": "boundary",
}
_GATEWAYS = frozenset("exclusiveGateway parallelGateway inclusiveGateway eventBasedGateway complexGateway".split())
_CHOREOGRAPHIES = frozenset("choreography choreographyTask subChoreography callChoreography globalChoreographyTask".split())
#: what is beyond each sub-class by the table only where it runs: the first two are about what is seen
_UNSEEN = frozenset(TABLE_2_4) - {"loop:standard", "loop:multi-instance", "message"}
_SUPPORTS = frozenset(TABLE_2_4) - {"loop:standard", "loop:multi-instance"}
#: attributes that a picture shows, or that make another element of one: name -> the value that says nothing
_MARKS = {
    "isForCompensation": "false", "startQuantity": "1", "completionQuantity": "1", "triggeredByEvent": "false", "instantiate": "false",
    "parallelMultiple": "false",
}  # fmt: skip


class Beyond(NamedTuple):
    """An element that a class doesn't have. `what`: in words."""

    element: str
    line: int
    what: str


class Conformance(NamedTuple):
    """`within`: the smallest class of `ORDER`. `beyond`: class -> elements that it hasn't, for those that the file isn't within."""

    within: str
    executable: bool
    beyond: dict[str, list[Beyond]]


class _Seen(NamedTuple):
    element: Any
    kind: str
    #: attributes or children by which it is more than its kind; `!`: in Common Executable alone, `?`: in the others
    more: tuple[str, ...] = ()


def of_file(root: Any) -> Conformance:
    """Of a `definitions` element."""
    seen = [*_seen(root)]
    beyond: dict[str, list[Beyond]] = {}
    for name in (DESCRIPTIVE, ANALYTIC, EXECUTABLE):
        found = [b for s in seen for b in _beyond(s, name)]
        if found:
            beyond[name] = found
    others = [_told(s) for s in seen if x.local(s.element) in _CHOREOGRAPHIES]
    if others:
        beyond[FULL] = others
    within = next(name for name in ORDER if name not in beyond)
    return Conformance(within, EXECUTABLE not in beyond, beyond)


def _beyond(s: _Seen, name: str) -> Iterator[Beyond]:
    if name != EXECUTABLE and s.kind in _UNSEEN:
        return
    if name == DESCRIPTIVE and s.kind == "message":
        return
    if s.kind not in CLASSES[name]:
        yield _told(s)
        return
    for more in s.more:
        if not more.startswith("?" if name == EXECUTABLE else "!"):
            yield _told(s, more.lstrip("!?"))


def _told(s: _Seen, more: str = "") -> Beyond:
    words = s.kind.replace("boundary-non-interrupting:", "non-interrupting boundary event: ")
    for place in ("start", "end", "catch", "throw", "boundary"):
        words = words.replace(f"{place}:", f"{place} event: ")
    return Beyond(s.element.get("id") or "", s.element.sourceline or 0, f"{words} with {more}" if more else words)


def _seen(root: Any) -> Iterator[_Seen]:
    defined = {e.get("id"): x.local(e) for e in root if x.local(e).endswith("EventDefinition")}
    drawn = {e.get("bpmnElement", "").rpartition(":")[2] for e in root.iter("{*}BPMNShape")}
    defaults = {e.get("default", "").strip(): e for e in root.iter(B + "*") if e.get("default")}
    ids = {e.get("id"): e for e in root.iter(B + "*") if e.get("id")}
    for e in root.iter(B + "*"):
        name = x.local(e)
        if any(x.local(above) == "extensionElements" for above in e.iterancestors()):
            continue
        if name in _EVENTS:
            yield _event(e, name, defined)
        elif name == "sequenceFlow":
            yield _flow(e, defaults, ids)
        elif name in _GATEWAYS:
            yield _gateway(e, name)
        elif name == "message":
            if e.get("id") in drawn:
                yield _Seen(e, "message")
        elif name in ("dataInput", "dataOutput") and e.get("id") in drawn:
            yield _Seen(e, f"{name} with a shape")
        elif name in _SELF or name in _PLAIN:
            yield _Seen(e, _PLAIN.get(name, name), (*_marks(e), *_attributes(e, name)))
        elif name in _SUPPORTS:
            yield _Seen(e, name, tuple(_foreign(e, name)))


def _marks(e: Any) -> Iterator[str]:
    for name, plain in _MARKS.items():
        value = (e.get(name) or plain).strip()
        if value != plain:
            yield f"{name}={value!r}"


def _attributes(e: Any, name: str) -> Iterator[str]:
    if name == "dataObject" and (e.get("isCollection") or "false").strip() in ("true", "1"):
        yield "?isCollection"
    kind = _PLAIN.get(name, name)
    if kind in TABLE_2_4:
        yield from _foreign(e, kind)
    if x.child(e, "property") is not None:
        yield "!a property"


def _foreign(e: Any, kind: str) -> Iterator[str]:
    """What table 2.4 doesn't have of it."""
    known = TABLE_2_4[kind] | {"id", "documentation", "extensionElements"}
    plain = {"testBefore": "false", "behavior": "All", "itemKind": "Information", "isCollection": "false", "optional": "false"}
    for name, value in e.items():
        if "}" not in name and name not in known and plain.get(name) != value.strip():
            yield f"!{name}"
    for kid in x.bpmn_children(e):
        if x.local(kid) not in known:
            yield f"!{x.local(kid)}"


def _event(e: Any, name: str, defined: dict[Any, str]) -> _Seen:
    place = _EVENTS[name]
    found = [x.local(kid) for kid in x.bpmn_children(e) if x.local(kid).endswith("EventDefinition")]
    found += [
        defined.get((kid.text or "").strip().rpartition(":")[2], "") for kid in x.bpmn_children(e) if x.local(kid) == "eventDefinitionRef"
    ]
    triggers = sorted(f.removesuffix("EventDefinition") for f in found if f)
    if place == "boundary" and (e.get("cancelActivity") or "true").strip() in ("false", "0"):
        place = "boundary-non-interrupting"
    above = e.getparent()
    if place == "start" and above is not None and (above.get("triggeredByEvent") or "").strip() in ("true", "1"):
        place = "event sub-process start"
    return _Seen(
        e, f"{place}:{','.join(triggers) or 'none'}", (*_marks(e), *(("!a property",) if x.child(e, "property") is not None else ()))
    )


def _flow(e: Any, defaults: dict[str, Any], ids: dict[Any, Any]) -> _Seen:
    """Conditions and defaults belong to gateways (notes of the tables); at an activity they are of the full class."""
    source = ids.get((e.get("sourceRef") or "").strip())
    gateway = source is not None and x.local(source) in _GATEWAYS
    if e.get("id") in defaults:
        return _Seen(e, "sequenceFlow:default", () if gateway else ("an activity as its source",))
    if x.child(e, "conditionExpression") is not None:
        return _Seen(e, "sequenceFlow:conditional", () if gateway else ("an activity as its source",))
    return _Seen(e, "sequenceFlow")


def _gateway(e: Any, name: str) -> _Seen:
    """A mixed one is beyond Common Executable alone (table 2.3)."""
    kids = [x.local(kid) for kid in x.bpmn_children(e)]
    mixed = (e.get("gatewayDirection") or "").strip() == "Mixed" or (kids.count("incoming") > 1 and kids.count("outgoing") > 1)
    kind = f"{name}:default" if name == "exclusiveGateway" and e.get("default") else name
    return _Seen(
        e, kind, (*_marks(e), *(("!gatewayDirection Mixed",) if mixed and name in ("exclusiveGateway", "parallelGateway") else ()))
    )
