"""What models of Camunda 7, Flowable and Activiti say that nothing reads: told once for each word, so that nothing is lost in silence.

`READ` and `ELEMENTS` say what is read, and where; `unkept` tells the things that have an answer of their own. Whatever else stands in their namespaces is
found by being in neither. Source: camunda-bpmn-moddle, its descriptor; the BPMN extensions of Flowable 7 and Activiti 6.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import unkept

_WORK = frozenset(
    "serviceTask sendTask businessRuleTask scriptTask userTask adHocSubProcess messageEventDefinition intermediateThrowEvent endEvent".split()
)
_USER, _CALL, _LOOP, _RULE = (
    frozenset({"userTask"}),
    frozenset({"callActivity"}),
    frozenset({"multiInstanceLoopCharacteristics"}),
    frozenset({"businessRuleTask"}),
)
_FORMS = frozenset(("userTask", "startEvent"))
#: attribute -> where it is read
READ: dict[str, frozenset[str]] = {
    **dict.fromkeys("assignee candidateUsers candidateGroups dueDate followUpDate priority".split(), _USER),
    **dict.fromkeys(("formKey", "formRef", "formRefBinding"), _FORMS),
    **dict.fromkeys(("type", "topic", "taskPriority", "jobPriority"), _WORK),
    **dict.fromkeys(("decisionRef", "decisionRefBinding", "decisionRefVersionTag", "mapDecisionResult"), _RULE),
    "resultVariable": _RULE | {"scriptTask", "serviceTask"},
    "resultVariableName": frozenset({"serviceTask"}),
    **dict.fromkeys("calledElementBinding calledElementVersionTag inheritVariables businessKey".split(), _CALL),
    **dict.fromkeys(("collection", "elementVariable", "elementIndexVariable"), _LOOP),
    "initiator": frozenset({"startEvent"}),
    **dict.fromkeys(("variableName", "variableEvents"), frozenset({"conditionalEventDefinition"})),
    **dict.fromkeys(("errorCodeVariable", "errorMessageVariable"), frozenset({"errorEventDefinition"})),
    "escalationCodeVariable": frozenset({"escalationEventDefinition"}),
    "versionTag": frozenset({"process"}),
    "expression": frozenset({"sequenceFlow", "serviceTask"}),
}
#: extension element -> where it is read, or its fields are told by `unkept.form_of`
ELEMENTS: dict[str, frozenset[str] | None] = {
    "inputOutput": None,
    "properties": None,
    "in": _CALL | {"signalEventDefinition"},
    "out": _CALL,
    "field": _WORK,
    "failedJobRetryTimeCycle": _WORK,
    "formData": _FORMS,
    "formProperty": _FORMS,
}
#: what a modeler notes for itself
_OF_TOOLS = frozenset("modelerTemplate modelerTemplateVersion modelerTemplateIcon diagramRelationId diagramRef".split())
#: what needs nothing here -> why
NO_NEED = {
    **dict.fromkeys(
        "async asyncBefore asyncAfter asyncLeave completeAsync noWaitStatesAsyncLeave exclusive".split(),
        "each step is on the log before the next begins, and steps of one instance never run beside each other",
    ),
    **dict.fromkeys(
        "historyTimeToLive historyLevel includeInHistory isEagerExecutionFetching lazyLoaded".split(),
        "history is kept and forgotten by settings of the server",
    ),
}


def check(r: Any) -> None:
    """One finding for each word, naming the first of its places."""
    if not r.speaks_classic:
        return
    words: dict[str, list[Any]] = {}
    for element in r.definitions.iter(x.B + "*"):
        host = x.local(element)
        for name, value in element.items():
            if name.startswith(x.CLASSIC) and not _read(r, element, host, name.rpartition("}")[2], value):
                words.setdefault(f"{_prefix(element, name)}{name.rpartition('}')[2]}", []).append(element)
        around = element.getparent()
        for kid in element if host == "extensionElements" else ():
            if isinstance(kid.tag, str) and kid.tag.startswith(x.CLASSIC) and not _element_read(r, around, kid):
                words.setdefault(f"<{_prefix(kid, kid.tag)}{x.local(kid)}>", []).append(around)
    for word, places in words.items():
        where = f"at <{x.local(places[0])}> '{r._id_around(places[0])}'" + (f" and {len(places) - 1} more" if len(places) > 1 else "")
        if why := NO_NEED.get(word.rpartition(":")[2]):
            r.finding("CLASSIC_NO_NEED", f"{word} {where} is passed over: {why}", places[0], severity="info")
        else:
            r.finding(
                "CLASSIC_UNREAD",
                f"nothing reads {word} {where}",
                places[0],
                severity="warning",
                hint="see docs/formats.md for what is kept",
            )


def _read(r: Any, element: Any, host: str, name: str, value: str) -> bool:
    if name in _OF_TOOLS or (host in READ.get(name, ()) and not _half(element, name, value)):
        return True
    told = name in unkept.ATTRIBUTES and (_is_node(r, host) or "EventDefinition" in host or "LoopCharacteristics" in host)
    return told and (name, host) not in unkept.MEANT_ELSEWHERE


def _half(element: Any, name: str, value: str) -> bool:
    """Read where it is, but not with this value, or not beside what else is said."""
    if name == "formRefBinding":
        return value not in ("latest", "deployment")
    if x.local(element) == "serviceTask" and name in ("resultVariable", "resultVariableName", "expression"):
        return unkept.value_of(element) is None
    if name == "variableEvents":
        return not unkept.is_kept(element, name)
    return name in ("taskPriority", "jobPriority") and not x.classic_attr(element, "topic")


def _element_read(r: Any, around: Any, kid: Any) -> bool:
    host, name = x.local(around), x.local(kid)
    if name in ELEMENTS:
        places = ELEMENTS[name]
        if name == "in" and host == "signalEventDefinition":  # what is thrown carries what `in` names
            return x.local(around.getparent()) in ("intermediateThrowEvent", "endEvent") and kid.get("businessKey") is None
        return (places is None or host in places) and not (name == "failedJobRetryTimeCycle" and not x.classic_attr(around, "topic"))
    return _is_node(r, host) and bool(unkept.ELEMENTS.get(name, ("",))[0])


def _is_node(r: Any, host: str) -> bool:
    from flowledger.kernel.model.checks import grammar

    return grammar.is_a(host, "flowNode") if grammar.of(host) is not None else False


def _prefix(element: Any, name: str) -> str:
    space = name[1:].partition("}")[0]
    return next((f"{prefix}:" for prefix, uri in element.nsmap.items() if uri == space and prefix), "")
