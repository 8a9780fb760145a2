"""The file as a whole: ids, attributes with few words, references between root elements, the diagram.

Source: BPMN 2.0.2, chapters 8 and 12, and BPMN20.xsd.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks import grammar
from flowledger.kernel.model.checks.common import declare, imported, kind_of, referenced, say

declare(
    {
        "ID_NOT_NCNAME": (
            "warning",
            "An id is no XML name",
            "BPMN20.xsd, xsd:ID",
            "begin with a letter or _, go on with letters, digits, _ - .",
        ),
        "PROCESS_ID_MISSING": (
            "warning",
            "A process has no id: it is called by its name",
            "8.4.1, 10.2",
            'give it an id: <process id="...">',
        ),
        "NOTHING_EXECUTABLE": ("info", "No process of the file is executable", "10.2.1", 'isExecutable="true" on a <process>'),
        "PROCESS_NOT_RUN": (
            "warning",
            "A process doesn't say that it is executable, and has what can't be run as drawn: it is documentation",
            "10.2.1",
            'isExecutable="true", once the findings are mended',
        ),
        "TARGET_NAMESPACE_MISSING": ("warning", "<definitions> has no targetNamespace", "8.2.1", 'targetNamespace="..." of your own'),
        "IMPORT_NOT_FOLLOWED": (
            "info",
            "An import names another file; what it defines is looked up among what is deployed",
            "8.2.2",
            "deploy that file too",
        ),
        "EXPRESSION_LANGUAGE": (
            "warning",
            "Expressions are in a language that the engine doesn't speak",
            "8.4.6",
            "write them in FEEL (docs/feel.md)",
        ),
        "EXTENSION_MUST_UNDERSTAND": (
            "error",
            "An extension that must be understood is unknown",
            "8.3.3",
            'remove it, or say mustUnderstand="false"',
        ),
        "ATTRIBUTE_NOT_BOOLEAN": (
            "warning",
            "A yes-or-no attribute has another value; it counts as its default",
            "BPMN20.xsd, xsd:boolean",
            "true or false",
        ),
        "ATTRIBUTE_WORD": (
            "warning",
            "An attribute has a word that the standard doesn't know",
            "BPMN20.xsd, enumerations",
            "choose one of the words named",
        ),
        "DIAGRAM_REFERENCE": ("warning", "A shape or edge shows an element that doesn't exist", "12.2.3", "remove it from the diagram"),
        "DIAGRAM_FORM": (
            "warning",
            "A shape without bounds, an edge with less than two points or for what is no edge, or a plane of nothing",
            "12.2.3, BPMNDI.xsd",
            "<dc:Bounds> for a shape, two <di:waypoint> for an edge",
        ),
        "DIAGRAM_TWICE": ("info", "An element has two shapes in one plane", "12.2.3", "remove one of the two"),
        "MESSAGE_NAME_MISSING": ("warning", "A message has no name: its id is used", "8.4.11", '<message name="...">'),
        "MESSAGE_NAME_TWICE": ("warning", "Two messages have the same name", "8.4.11", "let both events refer to one <message>"),
        "MESSAGE_ITEM_MISSING": ("warning", "The item of a message doesn't exist", "8.4.11", "itemRef names an <itemDefinition>"),
        "SIGNAL_NAME_MISSING": ("warning", "A signal has no name: its id is used", "10.5.5", '<signal name="...">'),
        "SIGNAL_NAME_TWICE": ("info", "Two signals have the same name", "10.5.5", "let both events refer to one <signal>"),
        "SIGNAL_ITEM_MISSING": ("warning", "The structure of a signal doesn't exist", "10.5.5", "structureRef names an <itemDefinition>"),
        "ERROR_CODE_MISSING": ("warning", "An error has no code: its name or id is used", "8.4.3", '<error errorCode="...">'),
        "ERROR_CODE_TWICE": (
            "warning",
            "Two errors have the same code: a handler of one catches the other as well",
            "8.4.3",
            "use one <error>",
        ),
        "ERROR_ITEM_MISSING": ("warning", "The structure of an error doesn't exist", "8.4.3", "structureRef names an <itemDefinition>"),
        "ESCALATION_CODE_MISSING": (
            "warning",
            "An escalation has no code: its name or id is used",
            "8.4.4",
            '<escalation escalationCode="...">',
        ),
        "ESCALATION_CODE_TWICE": (
            "warning",
            "Two escalations have the same code: a handler of one catches the other as well",
            "8.4.4",
            "use one <escalation>",
        ),
        "ESCALATION_ITEM_MISSING": (
            "warning",
            "The structure of an escalation doesn't exist",
            "8.4.4",
            "structureRef names an <itemDefinition>",
        ),
        "INTERFACE_EMPTY": ("warning", "An interface has no operation", "8.5.1", "<operation> within it"),
        "OPERATION_WITHOUT_MESSAGE": ("warning", "An operation has no input message", "8.5.3", "<inMessageRef>"),
        "OPERATION_MESSAGE_MISSING": ("warning", "A message of an operation doesn't exist", "8.5.3", "name a <message> of this file"),
        "OPERATION_ERROR_MISSING": ("warning", "An error of an operation doesn't exist", "8.5.3", "name an <error> of this file"),
        "OPERATION_MISSING": ("warning", "operationRef names no operation", "10.3.3", "name an <operation> of an <interface>"),
        "OPERATION_MESSAGE_DIFFERS": (
            "warning",
            "A task's message isn't the one of its operation",
            "10.3.3",
            "name the message of the operation",
        ),
        "INTERFACE_MISSING": ("warning", "supportedInterfaceRef names no interface", "8.5.1", "name an <interface> of this file"),
        "RESOURCE_MISSING": ("warning", "A role refers to a resource that doesn't exist", "10.3.2", "<resource id=...>"),
        "RESOURCE_AND_ASSIGNMENT": (
            "warning",
            "A role names a resource and an assignment expression: only one is allowed",
            "10.3.2",
            "keep one of the two",
        ),
        "RESOURCE_PARAMETER_MISSING": (
            "warning",
            "A binding names a parameter that the resource doesn't have",
            "10.3.2",
            "<resourceParameter> of the resource",
        ),
        "RESOURCE_BINDING_ALONE": (
            "warning",
            "A role binds parameters, but names no resource",
            "10.3.2, table 10.5",
            "<resourceRef>",
        ),
        "ASSOCIATION_END_MISSING": ("warning", "An association joins something that doesn't exist", "8.4.1", "remove it"),
    }
)

_NAME = re.compile(r"[^\W\d][\w.\-]*\Z").match
_WORDS = {
    "gatewayDirection": ("Unspecified", "Converging", "Diverging", "Mixed"),
    "eventGatewayType": ("Exclusive", "Parallel"),
    "processType": ("None", "Public", "Private"),
    "associationDirection": ("None", "One", "Both"),
    "ordering": ("Parallel", "Sequential"),
    "behavior": ("None", "One", "All", "Complex"),
    "itemKind": ("Information", "Physical"),
}
#: tag -> its attributes of the two kinds
_ACTIVITY = ("isForCompensation",)
_EVENT = ("parallelMultiple",)
_GATEWAY = ("gatewayDirection",)
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("task", "serviceTask", "sendTask", "userTask", "manualTask", "scriptTask", "businessRuleTask", "callActivity", "transaction"),
        _ACTIVITY,
    ),
    "receiveTask": ("isForCompensation", "instantiate"),
    "subProcess": ("isForCompensation", "triggeredByEvent"),
    "adHocSubProcess": ("isForCompensation", "triggeredByEvent", "ordering", "cancelRemainingInstances"),
    "startEvent": ("parallelMultiple", "isInterrupting"),
    "boundaryEvent": ("parallelMultiple", "cancelActivity"),
    "intermediateCatchEvent": _EVENT,
    **dict.fromkeys(("exclusiveGateway", "parallelGateway", "inclusiveGateway", "complexGateway"), _GATEWAY),
    "eventBasedGateway": ("gatewayDirection", "instantiate", "eventGatewayType"),
    "process": ("isExecutable", "isClosed", "processType"),
    "sequenceFlow": ("isImmediate",),
    "association": ("associationDirection",),
    "multiInstanceLoopCharacteristics": ("isSequential", "behavior"),
    "standardLoopCharacteristics": ("testBefore",),
    "compensateEventDefinition": ("waitForCompletion",),
    "itemDefinition": ("isCollection", "itemKind"),
    "dataObject": ("isCollection",),
    "dataInput": ("isCollection",),
    "dataOutput": ("isCollection",),
    "dataStore": ("isUnlimited",),
}
_HAVE_ATTRIBUTES = {x.B + tag: names for tag, names in _ATTRIBUTES.items()}
_LANGUAGES = ("feel", "xpath", "juel", "dmn")
_DI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
_ROOT_TAGS = ("message", "signal", "error", "escalation", "interface", "operation", "import", "extension", "resourceRole", "performer", "humanPerformer",
              "potentialOwner", "resourceParameterBinding", "association", "supportedInterfaceRef", "conditionExpression")  # fmt: skip
_TAGS = tuple(x.B + tag for tag in _ROOT_TAGS)
_UNDERSTOOD = (x.BPMN_NS, x.ZEEBE_NS, x.CAMUNDA_NS, x.FLOWABLE_NS, x.ACTIVITI_NS, x.OWN_NS)


def check(r: Any) -> None:
    root = r.definitions
    for key, element in r.by_id.items():
        if not _NAME(key):
            say(r, "ID_NOT_NCNAME", element, f"the id '{key}' is no XML name")
    for element in root.iterchildren(x.B + "process"):
        if element.get("id") in r.made_ids:
            say(r, "PROCESS_ID_MISSING", element, f"a process has no id: it is called '{element.get('id')}'")
    if not any(p.executable for p in r.graph.processes.values()):
        say(r, "NOTHING_EXECUTABLE", root, "no process of this file is executable")
    if not root.get("targetNamespace"):
        say(r, "TARGET_NAMESPACE_MISSING", root, "<definitions> has no targetNamespace")
    _language(r, root.get("expressionLanguage", ""), root)
    _attributes(r, root)
    seen: dict[tuple[str, str], Any] = {}
    for element in root.iter(*_TAGS):
        _CHECKS[x.local(element)](r, element, seen)
    _diagram(r, root)


def _language(r: Any, language: str, at: Any) -> None:
    if language and not any(word in language.lower() for word in _LANGUAGES):
        say(r, "EXPRESSION_LANGUAGE", at, f"the expression language '{language}' is unknown")


def _attributes(r: Any, root: Any) -> None:
    for element in root.iter(*_HAVE_ATTRIBUTES):
        for name in _HAVE_ATTRIBUTES[element.tag]:
            value = element.get(name)
            if value is None:
                continue
            words = _WORDS.get(name)
            if words is None:
                if value not in ("true", "false", "1", "0"):
                    say(r, "ATTRIBUTE_NOT_BOOLEAN", element, f"{name}: expected true or false, found '{value}'")
            elif value not in words:
                say(r, "ATTRIBUTE_WORD", element, f"{name}: expected one of {', '.join(words)}, found '{value}'")


def _named(kind: str, attribute: str, missing: str, twice: str, item: str, item_code: str) -> Any:
    def check_it(r: Any, element: Any, seen: dict[tuple[str, str], Any]) -> None:
        value = element.get(attribute, "")
        if not value:
            say(r, missing, element, f"{kind} '{element.get('id', '')}' has no {attribute}")
        elif (kind, value) in seen:
            say(
                r,
                twice,
                element,
                f"{kind} '{element.get('id', '')}' has the {attribute} '{value}', as '{seen[(kind, value)].get('id', '')}' has",
            )
        seen.setdefault((kind, value), element)
        reference = element.get(item, "")
        if reference:
            _wants(r, item_code, element, reference, "itemDefinition", f"{item} '{reference}' of {kind} '{element.get('id', '')}'")

    return check_it


def _interface(r: Any, element: Any, seen: Any) -> None:
    if x.child(element, "operation") is None:
        say(r, "INTERFACE_EMPTY", element, f"interface '{element.get('id', '')}' has no operation")


def _operation(r: Any, element: Any, seen: Any) -> None:
    name = element.get("id", "")
    if x.child(element, "inMessageRef") is None:
        say(r, "OPERATION_WITHOUT_MESSAGE", element, f"operation '{name}' has no inMessageRef")
    for tag, kind, code in (("inMessageRef", "message", "OPERATION_MESSAGE_MISSING"), ("outMessageRef", "message", "OPERATION_MESSAGE_MISSING"),
                            ("errorRef", "error", "OPERATION_ERROR_MISSING")):  # fmt: skip
        for reference in element.findall(x.B + tag):
            text = x.text_of(reference)
            _wants(r, code, reference, text, kind, f"{tag} '{text}' of operation '{name}'")


def _wants(r: Any, code: str, at: Any, reference: str, kind: str, what: str) -> Any:
    """The referenced element when it is of that kind; else a finding."""
    if imported(r, reference, at):
        return None
    found = referenced(r, reference)
    if found is None or x.local(found) != kind:
        say(r, code, at, f"{what}: expected a {kind}, found {kind_of(found)}")
        return None
    return found


def _import(r: Any, element: Any, seen: Any) -> None:
    say(r, "IMPORT_NOT_FOLLOWED", element, f"the import of '{element.get('location') or element.get('namespace', '')}' is not followed")


def _extension(r: Any, element: Any, seen: Any) -> None:
    prefix, colon, _ = element.get("definition", "").partition(":")
    if element.get("mustUnderstand") in ("true", "1") and not (colon and element.nsmap.get(prefix) in _UNDERSTOOD):
        say(r, "EXTENSION_MUST_UNDERSTAND", element, f"the extension '{element.get('definition', '')}' must be understood, and is not")


def _role(r: Any, element: Any, seen: Any) -> None:
    reference = x.child(element, "resourceRef")
    if reference is None:
        if x.child(element, "resourceParameterBinding") is not None:
            say(
                r,
                "RESOURCE_BINDING_ALONE",
                element,
                f"role '{element.get('name') or element.get('id', '')}' binds parameters of no resource",
            )
        return
    text = x.text_of(reference)
    _wants(r, "RESOURCE_MISSING", element, text, "resource", f"resourceRef '{text}'")
    if x.child(element, "resourceAssignmentExpression") is not None:
        say(
            r,
            "RESOURCE_AND_ASSIGNMENT",
            element,
            f"role '{element.get('name') or element.get('id', '')}' has a resource and an assignment expression",
        )


def _binding(r: Any, element: Any, seen: Any) -> None:
    reference = element.get("parameterRef", "")
    _wants(r, "RESOURCE_PARAMETER_MISSING", element, reference, "resourceParameter", f"parameterRef '{reference}'")


def _association(r: Any, element: Any, seen: Any) -> None:
    for attribute in ("sourceRef", "targetRef"):
        reference = element.get(attribute, "")
        if not imported(r, reference, element) and referenced(r, reference) is None:
            say(r, "ASSOCIATION_END_MISSING", element, f"{attribute} '{reference}' of association '{element.get('id', '')}' does not exist")


def _interface_ref(r: Any, element: Any, seen: Any) -> None:
    text = x.text_of(element)
    _wants(r, "INTERFACE_MISSING", element, text, "interface", f"supportedInterfaceRef '{text}'")


def _condition(r: Any, element: Any, seen: Any) -> None:
    _language(r, element.get("language", ""), element)


_CHECKS: dict[str, Any] = {
    "message": _named("message", "name", "MESSAGE_NAME_MISSING", "MESSAGE_NAME_TWICE", "itemRef", "MESSAGE_ITEM_MISSING"),
    "signal": _named("signal", "name", "SIGNAL_NAME_MISSING", "SIGNAL_NAME_TWICE", "structureRef", "SIGNAL_ITEM_MISSING"),
    "error": _named("error", "errorCode", "ERROR_CODE_MISSING", "ERROR_CODE_TWICE", "structureRef", "ERROR_ITEM_MISSING"),
    "escalation": _named(
        "escalation", "escalationCode", "ESCALATION_CODE_MISSING", "ESCALATION_CODE_TWICE", "structureRef", "ESCALATION_ITEM_MISSING"
    ),
    "interface": _interface,
    "operation": _operation,
    "import": _import,
    "extension": _extension,
    "resourceRole": _role,
    "performer": _role,
    "humanPerformer": _role,
    "potentialOwner": _role,
    "resourceParameterBinding": _binding,
    "association": _association,
    "supportedInterfaceRef": _interface_ref,
    "conditionExpression": _condition,
}


def operation(r: Any, at: Any, element: Any, message: str) -> None:
    """The operation of a task or of a message event definition."""
    reference = element.get("operationRef") or x.text_of(x.child(element, "operationRef"))
    if not reference:
        return
    if "WebService" in reference or imported(r, reference, element):
        return
    found = referenced(r, reference)
    if found is None or x.local(found) != "operation":
        say(r, "OPERATION_MISSING", at, f"operationRef '{reference}': expected an operation, found {kind_of(found)}")
        return
    own = [x.text_of(kid) for tag in ("inMessageRef", "outMessageRef") for kid in found.findall(x.B + tag)]
    if message and own and message not in own:
        say(r, "OPERATION_MESSAGE_DIFFERS", at, f"the message '{message}' is none of operation '{reference}'")


_PLANES = frozenset(("process", "subProcess", "collaboration", "choreography", "subChoreography"))
_EDGES = frozenset(("sequenceFlow", "messageFlow", "association", "dataInputAssociation", "dataOutputAssociation", "conversationLink"))


def _drawn(r: Any, shape: Any, subject: Any) -> None:
    if shape.tag == _DI + "BPMNShape":
        if not any(x.local(kid) == "Bounds" for kid in shape):
            say(r, "DIAGRAM_FORM", shape, f"the shape of '{shape.get('bpmnElement', '')}' has no bounds")
        elif subject is not None and x.local(subject) in _EDGES:
            say(r, "DIAGRAM_FORM", shape, f"'{shape.get('bpmnElement', '')}' is {kind_of(subject)}, which is drawn as an edge")
    elif sum(x.local(kid) == "waypoint" for kid in shape) < 2:
        say(r, "DIAGRAM_FORM", shape, f"the edge of '{shape.get('bpmnElement', '')}' has less than two points")
    elif subject is not None and x.local(subject) not in _EDGES and x.local(subject) != "extensionElements":
        say(r, "DIAGRAM_FORM", shape, f"'{shape.get('bpmnElement', '')}' is {kind_of(subject)}, which is drawn as a shape")


def _diagram(r: Any, root: Any) -> None:
    for plane in root.iter(_DI + "BPMNPlane"):
        seen: set[str] = set()
        subject = referenced(r, plane.get("bpmnElement", "") or "?")
        if subject is None or not _PLANES & getattr(grammar.of(x.local(subject)), "types", frozenset()):
            if not imported(r, plane.get("bpmnElement", ""), plane):
                say(
                    r,
                    "DIAGRAM_FORM",
                    plane,
                    f"the diagram shows {kind_of(subject)}: expected a process, sub-process, collaboration or choreography",
                )
        for shape in plane.iterchildren(_DI + "BPMNShape", _DI + "BPMNEdge"):
            reference = shape.get("bpmnElement", "")
            _drawn(r, shape, referenced(r, reference or "?"))
            if not reference:
                continue
            if referenced(r, reference) is None and not imported(r, reference, shape):
                say(r, "DIAGRAM_REFERENCE", shape, f"the diagram shows '{reference}', which does not exist")
            elif reference in seen:
                say(r, "DIAGRAM_TWICE", shape, f"the diagram shows '{reference}' twice")
            seen.add(reference)
