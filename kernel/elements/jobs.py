"""What elements that hand out work share: the job's type, headers, retries, and its task.

Source: BPMN 2.0.2, chapter 13.3.3; `zeebe:taskDefinition`, `zeebe:taskHeaders`; Camunda 7's external tasks.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import task as ta
from flowledger.kernel.expressions import Expression, Failure, literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node


class Work:
    """What an element asks for. Expressions are evaluated when the token enters."""

    __slots__ = ("details", "dynamic", "headers", "job_type", "priority", "retries", "type")

    def __init__(
        self,
        type: str,
        job_type: Expression | None = None,
        retries: Expression | None = None,
        headers: dict[str, str] | None = None,
        details: dict[str, Any] | None = None,
        dynamic: dict[str, Expression] | None = None,
        priority: Expression | None = None,
    ) -> None:
        self.type, self.job_type, self.retries, self.headers = type, job_type, retries, headers or None
        self.details, self.dynamic, self.priority = details, dynamic, priority


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
    else:
        return None
    if work.job_type is not None and work.job_type.compiled is None and not work.job_type.static:
        r.finding("JOB_TYPE_EMPTY", f"'{node.id}' has an empty job type", node, hint='<zeebe:taskDefinition type="..."/>')
    headers = {h.get("key", ""): h.get("value", "") for h in x.ext_all(element, "taskHeaders", "header")}
    work.headers = headers or None
    policy = x.ext(element, "retryPolicy")
    own = element.find(f"{x.B}extensionElements/{x.OWN}retry")
    if own is not None:
        work.details = {**(work.details or {}), "retry": dict(own.attrib)}
    elif policy is not None:
        work.details = {**(work.details or {}), "retry": dict(policy.attrib)}
    priority = x.ext(element, "jobPriorityDefinition")
    if priority is not None and priority.get("priority"):
        work.priority = r.expression(priority.get("priority"), node, "priority")
    return work


def create_task(d: Any, i: Any, token: Any, node: Node, work: Work, listener: str = "") -> None:
    """Raises: Failure EXTRACT_VALUE_ERROR when type, retries or a detail can't be had."""
    job_type = ""
    if work.job_type is not None:
        job_type = work.job_type.static if work.job_type.compiled is None else d.text(work.job_type, i, token.key, "job type")
    retries = 3
    if work.retries is not None:
        value = d.evaluate(work.retries, i, token.key)
        try:
            retries = int(value)
        except (TypeError, ValueError):
            raise Failure("EXTRACT_VALUE_ERROR", f"retries of {node.id}: expected a whole number from '{work.retries.text}', found {value!r}") from None
    priority = i.priority
    if work.priority is not None:
        value = d.evaluate(work.priority, i, token.key)
        try:
            priority = max(0, min(100, int(value)))
        except (TypeError, ValueError):
            raise Failure("EXTRACT_VALUE_ERROR", f"priority of {node.id}: expected 0 to 100 from '{work.priority.text}', found {value!r}") from None
    details = work.details
    if work.dynamic:
        details = dict(details or {})
        for name, e in work.dynamic.items():
            value = e.json(d.variables(i, token.key), d.facts)
            if value is not None and value != "" and value != []:
                details[name] = value
        from flowledger.kernel.elements import user_task

        user_task.normalise(d, node, details)
    d.record(
        ta.TaskCreated(
            key=i.key, task=d.key(), token=token.key, element=node.id, type=work.type, job_type=job_type, retries=retries, priority=priority,
            headers=work.headers, details=details or None, listener=listener,
        )
    )  # fmt: skip
