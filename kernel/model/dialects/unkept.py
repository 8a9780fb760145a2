"""What models of Camunda 7, Flowable and Activiti say that can't be kept, and what to write instead: one finding each, as two tables.

What is kept is read where it belongs: job types and headers in `elements/jobs.py`, people in `user_task.py`, loops in `loops.py`, calls in
`call_activity.py`, decisions in `business_rule_task.py`, mappings and `${...}` in `classic.py`.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects.juel import JuelError, compile_template, parse
from flowledger.kernel.model.graph import Node

_JOB = 'make it a job: <zeebe:taskDefinition type="{id}"/> and a worker of that type'

#: attribute -> (code, what it is, what to write instead)
ATTRIBUTES: dict[str, tuple[str, str, str]] = {
    "class": ("CLASSIC_DELEGATE", "calls a Java class", _JOB),
    "delegateExpression": ("CLASSIC_DELEGATE", "calls a Java bean", _JOB),
    "expression": ("CLASSIC_DELEGATE", "calls Java by an expression", _JOB),
    "resource": ("CLASSIC_SCRIPT_FILE", "runs a script from a file", _JOB),
    "caseRef": ("CLASSIC_CASE", "calls a case (CMMN)", "call a process: <zeebe:calledElement processId=\"...\"/>, or an ad-hoc sub-process"),
    "caseBinding": ("CLASSIC_CASE", "calls a case (CMMN)", "call a process, or use an ad-hoc sub-process"),
    "variableMappingClass": ("CLASSIC_MAPPING_CLASS", "maps variables by a Java class", "<zeebe:ioMapping> with FEEL"),
    "variableMappingDelegateExpression": ("CLASSIC_MAPPING_CLASS", "maps variables by a Java bean", "<zeebe:ioMapping> with FEEL"),
    "formHandlerClass": ("CLASSIC_FORM_HANDLER", "reads its form by a Java class", '<zeebe:formDefinition formId="..."/>'),
    "skipExpression": ("CLASSIC_SKIP", "is skipped by an expression", "a gateway with a condition before it"),
    "triggerable": ("CLASSIC_TRIGGERABLE", "waits after it has sent", "a receive task after it"),
    "parallelInSameTransaction": ("CLASSIC_PARALLEL", "asks for threads of the engine", "a parallel multi-instance of jobs: workers run beside each other"),
    "variableEvents": ("CLASSIC_VARIABLE_FILTER", "tells creation from update of a variable", "a condition over the value"),
}  # fmt: skip

#: extension element -> (code, what it is, what to write instead)
ELEMENTS: dict[str, tuple[str, str, str]] = {
    "executionListener": ("CLASSIC_LISTENER", "has an execution listener in Java or a script", '<zeebe:executionListener eventType="start" type="..."/> and a worker'),
    "taskListener": ("CLASSIC_LISTENER", "has a task listener in Java or a script", '<zeebe:taskListener eventType="creating" type="..."/> and a worker'),
    "eventListener": ("CLASSIC_LISTENER", "has an event listener of the engine", "subscribe to the event stream (/v1/events)"),
    "connector": ("CLASSIC_CONNECTOR", "uses a connector of Camunda 7", _JOB),
    "errorEventDefinition": ("CLASSIC_ERROR_MAPPING", "maps failures of an external task to errors", "throw the error from the worker (/v1/jobs/{{key}}/error)"),
    "variableAggregation": ("CLASSIC_AGGREGATION", "aggregates variables of its runs", '<zeebe:loopCharacteristics outputCollection="..." outputElement="= ..."/>'),
    "validation": ("CLASSIC_VALIDATION", "validates form fields by Java", "constraints of the form"),
    "mapException": ("CLASSIC_ERROR_MAPPING", "maps Java exceptions to errors", "throw the error from the worker (/v1/jobs/{{key}}/error)"),
    "failedJobRetryTimeCycle": ("", "", ""),
}  # fmt: skip

#: where the attribute means something that is kept (or nothing)
MEANT_ELSEWHERE = {
    ("expression", "sequenceFlow"), ("class", "executionListener"), ("class", "taskListener"), ("expression", "executionListener"),
    ("resource", "script"),
}  # fmt: skip
#: Flowable's and Activiti's own kinds of service task
_OWN_KINDS = {"http", "mail", "shell", "camel", "mule", "dmn", "case", "send-event", "external-worker", "groovy"}


def is_kept(element: Any, attribute: str) -> bool:
    """What can be kept with some values only: a service task's expression that asks nothing of Java, events of a variable that are all there are."""
    value = x.classic_attr(element, attribute)
    if attribute == "expression" and x.local(element) == "serviceTask":
        return value_of(element) is not None
    return attribute == "variableEvents" and {"create", "update"} <= {each.strip() for each in value.split(",")}


def is_decision(element: Any) -> bool:
    """Flowable's decision task, which names its decision."""
    named = {f.get("name") for f in x.classic_ext(element, "field")}
    return x.classic_attr(element, "type") == "dmn" and not named.isdisjoint(("decisionTableReferenceKey", "decisionServiceReferenceKey"))


def value_of(element: Any) -> str | None:
    """The expression of a service task that is a value and no call of Java; None: there is none, or it is a job all the same."""
    text = x.classic_attr(element, "expression").strip()
    if not ("${" in text or "#{" in text) or any(x.classic_attr(element, a) for a in ("topic", "class", "delegateExpression", "type")):
        return None
    try:
        compile_template(text, parse(text))
    except JuelError:
        return None
    return text


def check(node: Node, element: Any, r: Any) -> None:
    """One finding for each thing that the node says in a classic dialect and that is not kept."""
    said: set[tuple[str, str]] = set()
    for at in (
        element,
        *(kid for kid in x.bpmn_children(element) if "EventDefinition" in x.local(kid) or "LoopCharacteristics" in x.local(kid)),
    ):
        for name in at.attrib:
            if not name.startswith(x.CLASSIC):
                continue
            attribute = name.rpartition("}")[2]
            if is_kept(at, attribute):
                continue
            if attribute in ATTRIBUTES and (attribute, x.local(at)) not in MEANT_ELSEWHERE:
                said.add((*ATTRIBUTES[attribute][:1], attribute))
            elif attribute == "type" and at.get(name) in _OWN_KINDS and not is_decision(element):
                r.finding("CLASSIC_TASK_KIND", f"'{node.id}' is a task of kind '{at.get(name)}', which the engine doesn't do itself", node,
                          severity="warning", hint=_JOB.format(id=at.get(name)))  # fmt: skip
    for code, attribute in sorted(said):
        what, instead = ATTRIBUTES[attribute][1:]
        r.finding(code, f"'{node.id}' {what} ({attribute}), which can't be kept", node, severity="warning", hint=instead.format(id=node.id))
    holder = element.find(x.B + "extensionElements")
    for kid in holder if holder is not None else ():
        tag = kid.tag if isinstance(kid.tag, str) else ""
        if tag.startswith(x.CLASSIC) and (row := ELEMENTS.get(x.local(kid))) is not None and row[0]:
            r.finding(row[0], f"'{node.id}' {row[1]}, which can't be kept", kid, severity="warning", hint=row[2].format(id=node.id))


_CYCLE = re.compile(r"R(\d{1,9})/(P\S+)\Z")


def retry_of(node: Node | None, element: Any, r: Any) -> tuple[str, str]:
    """`failedJobRetryTimeCycle`: the number of attempts and the time between them (ISO 8601), `""` where it says none.

    Without a reader `r` nothing is found. `R3/PT10S` is kept whole; of a list of times (`PT1M,PT5M`) the number is kept, and a finding names the rest.
    """
    for cycle in x.classic_ext(element, "failedJobRetryTimeCycle"):
        text = x.text_of(cycle).strip()
        if found := _CYCLE.match(text):
            return found[1], found[2]
        times = [part.strip() for part in text.split(",")]
        if text and all(part.startswith("P") for part in times):
            if len(set(times)) > 1 and r is not None:
                r.finding(
                    "CLASSIC_RETRY", f"the times between the attempts of '{_id(node)}' ({text}) differ: the first is taken for all", node,
                    severity="warning", hint='<flowledger:retry maxAttempts="4" strategy="exponential" initialMs="60000"/>',
                )  # fmt: skip
            return str(len(times) + 1), times[0]
        if r is not None:
            r.finding(
                "CLASSIC_RETRY", f"the retry cycle of '{_id(node)}' ('{text}') can't be kept", node, severity="warning",
                hint='<flowledger:retry maxAttempts="4" strategy="fixed" initialMs="60000"/>',
            )  # fmt: skip
    return "", ""


def _id(node: Node | None) -> str:
    return node.id if node is not None else ""


def form_of(node: Node, element: Any, r: Any) -> dict[str, str] | None:
    """The form of a task or a start: `formRef` (a deployed form) and plain keys are kept; what is told inside of the model is a finding."""
    if reference := x.classic_attr(element, "formRef"):
        binding = x.classic_attr(element, "formRefBinding")
        return {"formId": reference, **({"bindingType": binding} if binding in ("latest", "deployment") else {})}
    fields = [f.get("id", "") for f in (*x.classic_ext(element, "formData", "formField"), *x.classic_ext(element, "formProperty"))]
    if fields:
        r.finding(
            "CLASSIC_FORM_FIELDS", f"'{node.id}' describes form fields ({', '.join(fields[:8])}{' ...' if len(fields) > 8 else ''}), which can't be kept",
            node, severity="warning", hint='deploy a form (form-js) and name it: <zeebe:formDefinition formId="..."/>',
        )  # fmt: skip
    key = x.classic_attr(element, "formKey")
    if not key:
        return None
    if key.split(":")[0] in ("embedded", "app", "camunda-forms"):
        r.finding(
            "CLASSIC_FORM_KEY", f"the form of '{node.id}' ({key}) is a file of a web application, which can't be shown", node, severity="warning",
            hint='deploy a form (form-js) and name it: <zeebe:formDefinition formId="..."/>',
        )  # fmt: skip
    return {"formKey": key}
