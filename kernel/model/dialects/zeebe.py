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
