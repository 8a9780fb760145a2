"""What elements that hand out work share: the job's type, headers, retries, and its task.

Source: BPMN 2.0.2, chapter 13.3.3; `zeebe:taskDefinition`, `zeebe:taskHeaders`; Camunda 7's external tasks.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import task as ta
from flowledger.events.avro import encode_json
from flowledger.kernel import limits, times, values
from flowledger.kernel.expressions import Failure, literal
from flowledger.kernel.model import connectors
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import unkept
from flowledger.kernel.model.graph import Node, Work
from flowledger.kernel.retries import normalise
from flowledger.kernel.tasks import clock, duties, registry, rules

_DEFAULT_RETRIES = literal(3)


def read_work(type: str, node: Node, element: Any, r: Any) -> Work | None:
    """The job definition of an element; None when it names no job type."""
    work = Work(type)
    definition = x.ext(element, "taskDefinition")
    if definition is not None:
        work.job_type = r.expression(definition.get("type", ""), node, "job type")
        if definition.get("retries"):
            work.retries = r.expression(definition.get("retries"), node, "retries")
    elif x.classic_attr(element, "topic"):
        work.job_type = r.expression(x.classic_attr(element, "topic"), node, "topic")
        attempts, pause = unkept.retry_of(node, element, r)
        if attempts:
            work.retries = literal(int(attempts))
        if pause:
            work.details = {"retry": {"strategy": "fixed", "initial": pause}}
        if priority := x.classic_attr(element, "taskPriority") or x.classic_attr(element, "jobPriority"):
            work.priority = r.expression(priority, node, "priority")
    else:
        return None
    if work.job_type is not None and work.job_type.compiled is None and not work.job_type.static:
        r.finding("JOB_TYPE_EMPTY", f"'{node.id}' has an empty job type", node, hint='<zeebe:taskDefinition type="..."/>')
    headers = {h.get("key", ""): h.get("value", "") for h in x.ext_all(element, "taskHeaders", "header")}
    work.headers = headers or fields_of(element) or None
    if connectors.type_of(element):
        work.details = {"retry": dict(connectors.RETRY)}
        if told := connectors.header(element):
            work.headers = {**headers, connectors.SECRETS_HEADER: told}
    policy = x.ext(element, "retryPolicy")
    own = element.find(f"{x.B}extensionElements/{x.OWN}retry")
    if own is None:
        own = policy
    if own is not None:
        made, problems = normalise(dict(own.attrib))
        for problem in problems:
            r.finding(
                "RETRY_INVALID",
                f"the retry policy of '{node.id}': {problem}",
                node,
                hint='<flowledger:retry maxAttempts="5" strategy="exponential" initialMs="1000"/>',
            )
        work.details = {**(work.details or {}), "retry": dict(own.attrib)}
        if made.max_attempts and work.retries is None:
            work.retries = literal(made.max_attempts)
    read_settings(work, node, element, r)
    priority = x.ext(element, "jobPriorityDefinition")
    if priority is not None and priority.get("priority"):
        work.priority = r.expression(priority.get("priority"), node, "priority")
    return work


def read_settings(work: Work, node: Node, element: Any, r: Any) -> None:
    """`flowledger:task`: assignment, clock, schema and definition of a task, as attributes and children."""
    own = element.find(f"{x.B}extensionElements/{x.OWN}task")
    if own is None:
        return
    settings: dict[str, Any] = dict(own.attrib)
    for kid in own:
        settings[x.local(kid)] = [*settings.get(x.local(kid), []), dict(kid.attrib)]
    condition = settings.pop("condition", "")
    if condition:
        work.dynamic = {**(work.dynamic or {}), "condition": r.expression(condition, node, "condition")}
    reference = settings.pop("reference", "")
    if reference:
        work.dynamic = {**(work.dynamic or {}), "reference": r.expression(reference, node, "reference")}
    plain = rules.grouped(settings)
    problems = clock.problems(plain) + (registry.assignment_problems(plain["assignment"]) if "assignment" in plain else [])
    for problem in problems:
        r.finding(
            "TASK_SETTINGS",
            f"flowledger:task of '{node.id}': {problem}",
            node,
            hint='<flowledger:task sla="PT8H" strategy="least_loaded" groups="clerks"/>',
        )
    if duties.ATTRIBUTE in settings:
        node.process.watched |= frozenset(x.names_in(settings[duties.ATTRIBUTE]))
    if settings:
        work.details = {**(work.details or {}), "settings": settings}


def fields_of(element: Any) -> dict[str, str]:
    """Flowable's and Activiti's `field`s: what a task is told, as headers."""
    found = {}
    for field in x.classic_ext(element, "field"):
        text = next((x.text_of(kid) for kid in field if x.local(kid) in ("string", "expression")), "")
        found[field.get("name", "")] = field.get("stringValue") or field.get("expression") or text
    return found


def _normalise(d: Any, node: Node, details: dict[str, Any]) -> None:
    """Groups and users as lists; dates as microseconds; what the work is about as a text to show, cut where it is too long for a row."""
    if "reference" in details:
        shown = details["reference"]
        text = shown if isinstance(shown, str) else encode_json(shown).decode()
        details["reference"] = text if len(text) <= limits.REFERENCE_MAX else text[: limits.REFERENCE_MAX - 1] + "…"
    for name in ("candidate_groups", "candidate_users"):
        value = details.get(name)
        if isinstance(value, str):
            details[name] = [part.strip() for part in value.split(",") if part.strip()]
    for name in ("due", "follow_up"):
        if name in details:
            details[f"{name}_us"] = times.instant_us(details.pop(name), d.facts.now_us, f"{name} date of {node.id}")


def create_task(d: Any, i: Any, token: Any, node: Node, work: Work, listener: str = "") -> None:
    """Raises: Failure EXTRACT_VALUE_ERROR when type, retries or a detail can't be had."""
    job_type = ""
    if work.job_type is not None:
        job_type = work.job_type.static if work.job_type.compiled is None else d.text(work.job_type, i, token.key, "job type")
    retries = 3
    if work.retries is not None:
        value = d.evaluate(work.retries, i, token.key)
        retries = values.whole(value, f"retries of {node.id}, '{work.retries.text}'", 0, limits.RETRIES_MAX)
    priority = i.priority
    if work.priority is not None:
        value = d.evaluate(work.priority, i, token.key)
        priority = max(0, min(100, values.whole(value, f"priority of {node.id}, '{work.priority.text}'")))
    details = work.details
    if work.dynamic:
        details = dict(details or {})
        for name, e in work.dynamic.items():
            value = e.json(d.variables(i, token.key), d.facts)
            if value is not None and value != "" and value != []:
                details[name] = value
        _normalise(d, node, details)
    headers = work.headers
    special = not listener and (
        details or (i.stores is not None and i.stores.get("next_assignee")) or "task_definition" in d.state.registry or d.facts.retry
    )
    if special:
        try:
            details, definition = rules.prepare(d.state, i.tenant, job_type, details, d.facts.now_us)
        except ValueError as e:
            raise Failure("EXTRACT_VALUE_ERROR", f"settings of {node.id}: {e}") from None
        if definition:
            if work.retries is None:
                retries = definition.get("retries") or retries
            if work.priority is None and definition.get("priority") is not None:
                priority = definition["priority"]
            if definition.get("headers"):
                headers = {**definition["headers"], **(headers or {})}
        if (
            (policy := d.facts.retry)
            and job_type
            and work.retries is None
            and not definition.get("retries")
            and "retry" not in (details or {})
        ):
            details = {**(details or {}), "retry": dict(policy)}
            retries = normalise(details["retry"])[0].max_attempts or retries
        if wrong := rules.check_input(d.state, i.tenant, definition, details, d.variables(i, token.key), d.facts):
            raise rules.input_failure(wrong, node.id)
    key = d.key()
    d.record(
        ta.TaskCreated(
            key=i.key, task=key, token=token.key, element=node.id, type=work.type, job_type=job_type, retries=retries, priority=priority,
            headers=headers, details=details or None, listener=listener,
        )
    )  # fmt: skip
    if special:
        rules.created(d, d.state.tasks[key], node.lanes, i)
