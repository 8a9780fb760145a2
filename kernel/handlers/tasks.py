"""Tasks without a workflow are made; what each command about a task looks at first, and leaves behind."""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import holding
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import keeping
from flowledger.kernel.handlers.instances import asked, not_found
from flowledger.kernel.state import Task
from flowledger.kernel.tasks import clock, registry, rules

#: statuses from which a result is taken
OPEN = frozenset({"created", "assigned", "started", "in_progress"})


def create(d: Decision, e: c.CreateTask) -> Rejected | None:
    tenant = d.envelope.tenant
    details: dict[str, Any] | None = {**(e.details or {}), **({"name": e.name} if e.name else {})} or None
    retries, priority, headers = e.retries, e.priority, e.headers
    variables, kind, job_type = e.variables, e.type, e.job_type
    if details is not None or "task_definition" in d.state.registry:
        settings = rules.grouped((details or {}).get("settings") or {}) if isinstance((details or {}).get("settings") or {}, dict) else None
        if settings is None:
            return Rejected(RejectionCode.INVALID_ARGUMENT, "expected `settings` to be an object")
        wrong = clock.problems(settings) + (registry.assignment_problems(settings["assignment"]) if "assignment" in settings else [])
        if wrong:
            return Rejected(RejectionCode.INVALID_ARGUMENT, "; ".join(wrong))
        named = (details or {}).get("definition")
        details, definition = rules.prepare(d.state, tenant, job_type, details, d.facts.now_us)
        if named and not definition:
            return not_found("a task definition", f"'{named}'")
        if definition:
            fresh = c.CreateTask()
            retries = definition.get("retries", retries) if retries == fresh.retries else retries
            priority = definition.get("priority", priority) if priority == fresh.priority else priority
            kind = definition.get("type", kind) if kind == fresh.type else kind
            job_type = job_type or definition.get("job_type", "")
            headers = {**definition["headers"], **(headers or {})} if definition.get("headers") else headers
            variables = {**definition["variables"], **(variables or {})} if definition.get("variables") else variables
        if wrong := rules.check_input(d.state, tenant, definition, details, variables, d.facts):
            return Rejected(RejectionCode.INVALID_ARGUMENT, f"INPUT_INVALID: {'; '.join(wrong)}")
    if e.wait and d.request is not None and d.request.id:
        details = {**(details or {}), "request": asked(d.request, e.fetch)}
    key = d.key()
    d.record(
        ta.TaskCreated(
            task=key, token=0, element="", type=kind, job_type=job_type, retries=retries, priority=priority, headers=headers,
            variables=variables, details=details,
        )
    )  # fmt: skip
    if details is not None:
        rules.created(d, d.state.tasks[key], [], None)
    d.answer = {"task": key}
    return None


def find(d: Decision, key: int, fence: int) -> Task | Rejected:
    task = d.state.tasks.get(key)
    if task is None:
        return not_found("an open task with key", key)
    if fence and task.fence != fence:
        return Rejected(
            RejectionCode.STALE, f"task {key} was handed to another worker since: expected fencing number {task.fence}, found {fence}"
        )
    if d.state.holding and (i := d.state.instances.get(task.instance)) is not None and d.applying != i.key:
        if not task.worker and not fence and holding.frozen(d.state, i, task.token):  # what a worker has in hand is kept
            return Rejected(RejectionCode.INVALID_STATE, f"instance {i.key} of task {key} is {holding.words(d.state, i, task)}")
        return keeping.full(d.state, i, task.token) or task
    return task


def ended(d: Decision, task: Task, status: str, variables: dict[str, Any], message: str = "") -> None:
    """Of a task without workflow: whoever waits for it is answered."""
    d.finish(task.key, status, variables, message)
    if task.details and (by := task.details.get("request")):
        d.outcome(by, {"task": task.key}, status, variables, message)


def tidy(d: Decision, task: Task) -> None:
    """A task without workflow ends: what it holds goes before it."""
    if task.holds:
        clock.stop(d, task)
    if task.incident:
        resolve_incident(d, task)


def resolve_incident(d: Decision, task: Task) -> None:
    """What kept it from being handed out is over."""
    d.record(wa.IncidentResolved(key=task.instance, incident=task.incident, token=task.token, task=task.key))
