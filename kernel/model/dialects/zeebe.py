"""Zeebe's extension elements that this engine reads, with their attributes. Source: zeebe-bpmn-moddle, its descriptor."""

from __future__ import annotations

_BOUND = "bindingType versionTag"


def _says(attributes: str = "", children: str = "") -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(attributes.split()), frozenset(children.split())


#: element -> (attributes, children); None: any attribute
KNOWN: dict[str, tuple[frozenset[str] | None, frozenset[str]]] = {
    "taskDefinition": _says("type retries"),
    "taskHeaders": _says(children="header"),
    "header": _says("key value"),
    "ioMapping": _says("propagateAll", "input output"),
    "input": _says("source target"),
    "output": _says("source target"),
    "loopCharacteristics": _says("inputCollection inputElement outputCollection outputElement"),
    "calledElement": _says(f"processId propagateAllChildVariables propagateAllParentVariables {_BOUND}"),
    "subscription": _says("correlationKey"),
    "formDefinition": _says(f"formKey formId externalReference {_BOUND}"),
    "userTask": _says(),
    "userTaskForm": _says("id"),
    "assignmentDefinition": _says("assignee candidateGroups candidateUsers"),
    "taskSchedule": _says("dueDate followUpDate"),
    "priorityDefinition": _says("priority"),
    "jobPriorityDefinition": _says("priority"),
    "calledDecision": _says(f"decisionId resultVariable {_BOUND}"),
    "script": _says("expression resultVariable"),
    "properties": _says(children="property"),
    "property": _says("name value"),
    "executionListeners": _says(children="executionListener"),
    "executionListener": _says("eventType type retries", "taskHeaders"),
    "taskListeners": _says(children="taskListener"),
    "taskListener": _says("eventType type retries", "taskHeaders"),
    "versionTag": _says("value"),
    "adHoc": _says("activeElementsCollection outputCollection outputElement"),
    "conditionalFilter": _says("variableNames"),
    "retryPolicy": (None, frozenset()),
}

_WORK = frozenset(
    "serviceTask sendTask businessRuleTask scriptTask userTask adHocSubProcess intermediateThrowEvent endEvent messageEventDefinition "
    "globalUserTask globalScriptTask globalBusinessRuleTask".split()
)
_USER = frozenset(("userTask", "globalUserTask"))
_ACTIVITIES = frozenset(
    "task serviceTask sendTask receiveTask userTask manualTask businessRuleTask scriptTask callActivity subProcess transaction adHocSubProcess globalTask "
    "globalUserTask globalScriptTask globalManualTask globalBusinessRuleTask".split()
)
#: a definition of the root may be one of a message
_SENDS = frozenset(("messageEventDefinition", "eventDefinitionRef"))
_THROWING, _CATCHING = (
    frozenset(("intermediateThrowEvent", "endEvent")),
    frozenset(("startEvent", "boundaryEvent", "intermediateCatchEvent")),
)
#: element -> whose extension elements it is read from
PLACES: dict[str, frozenset[str]] = {
    "taskDefinition": _WORK,
    "taskHeaders": _WORK,
    "jobPriorityDefinition": _WORK,
    "retryPolicy": _WORK,
    "ioMapping": _ACTIVITIES | _THROWING | _CATCHING,
    "loopCharacteristics": frozenset({"multiInstanceLoopCharacteristics"}),
    "calledElement": frozenset({"callActivity"}),
    "subscription": frozenset({"message"}),
    "formDefinition": _USER | {"startEvent"},
    **dict.fromkeys(("userTask", "assignmentDefinition", "taskSchedule", "priorityDefinition", "taskListeners"), _USER),
    "calledDecision": frozenset(("businessRuleTask", "globalBusinessRuleTask")),
    "script": frozenset(("scriptTask", "globalScriptTask")),
    "adHoc": frozenset({"adHocSubProcess"}),
    "conditionalFilter": frozenset({"conditionalEventDefinition"}),
    "versionTag": frozenset({"process"}),
    "userTaskForm": frozenset({"process"}),
}


def misplaced(name: str, host: str, definitions: frozenset[str], children: frozenset[str]) -> str:
    """Why nothing reads element `name` at `host`, an element with these event definitions; `children`: what stands in it. `""`: it is read."""
    places = PLACES.get(name)
    if places is None:
        return ""
    if host not in places:
        return f"it is read at {', '.join(sorted(places))}"
    if host in _THROWING and name in ("taskDefinition", "taskHeaders", "jobPriorityDefinition", "retryPolicy") and not definitions & _SENDS:
        return "only one that sends a message is work"
    if name == "ioMapping" and "linkEventDefinition" in definitions:
        return "a link has no variables of its own"
    if name == "ioMapping" and host in _CATCHING and "input" in children:
        return "what catches has outputs only"
    return ""
