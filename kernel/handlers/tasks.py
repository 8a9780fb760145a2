"""Jobs: leased, completed, failed, retried. Source: interfaces.md `/jobs`; Zeebe's gateway protocol for the meaning of each answer."""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import retries as policy
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements.triggers import error
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.state import Partition, Task


def activate(d: Decision, e: c.ActivateTasks) -> Rejected | None:
    """Highest priority first, oldest first within one; cost does not grow with the number of waiting tasks."""
    if not e.job_type or e.max < 1 or e.timeout_ms < 1:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected a job type, max of 1 or more and a timeout of 1 ms or more")
    p = d.state
    lanes = p.ready.get(e.job_type)
    if not lanes:
        d.answer = {"jobs": []}
        return None
    keys: list[int] = []
    for priority in sorted(lanes, reverse=True) if len(lanes) > 1 else list(lanes):
        for key in lanes[priority]:
            if e.tenants is not None and p.tasks[key].tenant not in e.tenants:
                continue
            keys.append(key)
            if len(keys) >= e.max:
                break
        if len(keys) >= e.max:
            break
    if not keys:
        d.answer = {"jobs": []}
        return None
    d.record(ta.TaskLeased(worker=e.worker, tasks=keys, deadline_us=d.facts.now_us + e.timeout_ms * 1000))
    d.answer = {"jobs": [job(d, p, p.tasks[k], e.fetch) for k in keys]}
    return None


def job(d: Decision, p: Partition, task: Task, fetch: list[str] | None) -> dict[str, Any]:
    """What a worker gets (interfaces.md, `/jobs/activate`); keys are integers here, texts at the API."""
    i = p.instances.get(task.instance)
    variables = d.variables(i, task.token) if i is not None else (task.vars or {})
    if fetch:
        variables = {name: variables[name] for name in fetch if name in variables}
    return {
        "key": task.key,
        "type": task.job_type,
        "instance": task.instance,
        "process": i.process if i is not None else "",
        "definition": i.definition if i is not None else 0,
        "version": i.version if i is not None else 0,
        "element": task.element,
        "token": task.token,
        "headers": task.headers or {},
        "variables": variables,
        "attempt": task.attempt + 1,
        "retries": task.retries,
        "deadline_us": task.deadline_us,
        "worker": task.worker,
        "fence": task.fence,
        "tenant": task.tenant,
        "idempotency_key": f"{task.key}",
        "trace": task.trace,
        "priority": task.priority,
        "kind": task.listener or task.type,
        "details": task.details or {},
    }


def find(d: Decision, key: int, fence: int) -> Task | Rejected:
    task = d.state.tasks.get(key)
    if task is None:
        return not_found("an open task with key", key)
    if fence and task.fence != fence:
        return Rejected(RejectionCode.STALE, f"task {key} was handed to another worker since: expected fencing number {task.fence}, found {fence}")
    i = d.state.instances.get(task.instance)
    if i is not None and i.status == "suspended":
        return Rejected(RejectionCode.INVALID_STATE, f"instance {i.key} of task {key} is suspended")
    return task


def complete(d: Decision, e: c.CompleteTask) -> Rejected | None:
    task = find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    if e.variables is not None and not isinstance(e.variables, dict):
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected variables to be an object")
    if e.row_version and e.row_version != task.row_version:
        return Rejected(RejectionCode.STALE, f"task {e.task} has changed: expected row_version {task.row_version}, found {e.row_version}")
    i = d.state.instances.get(task.instance)
    if i is None:
        d.record(ta.TaskCompleted(task=task.key, token=0, element=task.element, variables=e.variables, status=e.status, result=e.result))
        return None
    token = i.tokens[task.token]
    merged = 0
    spread: dict[str, Any] | None = None
    variables = e.variables
    if variables:
        node = d.facts.processes[i.definition].nodes[token.element]
        whole = node.properties.get("flowledger:result")
        if whole and whole not in variables and not task.listener:  # steps keep a step's result together
            variables = {whole: variables}
        if node.outputs or task.listener:
            merged = token.key
        elif token.vars is None and token.scope == i.key:
            merged = i.key
        else:
            homes = {d.home_of(i, token.key, name) for name in variables}
            if len(homes) == 1:
                merged = homes.pop()
            else:
                spread = variables
    d.record(
        ta.TaskCompleted(
            key=i.key, task=task.key, token=token.key, element=token.element, variables=variables, merged=merged, status=e.status, result=e.result
        )
    )
    if spread:
        d.set_variables(i, token.key, spread)
    d.work.append((i.key, token.key))
    return None


def fail(d: Decision, e: c.FailTask) -> Rejected | None:
    task = find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    left, backoff_ms = policy.after_failure(task, e, d.facts.now_us)
    retry_at = d.facts.now_us + backoff_ms * 1000 if left > 0 and backoff_ms > 0 else 0
    d.record(
        ta.TaskFailed(
            key=task.instance, task=task.key, token=task.token, element=task.element, retries=left, retry_at_us=retry_at, code=e.code,
            message=e.message, details=e.details, variables=e.variables,
        )
    )  # fmt: skip
    if left <= 0:
        policy.exhausted(d, task, e)
    d.answer = {"retries": left, "retry_at_us": retry_at}
    return None


def throw_error(d: Decision, e: c.ThrowTaskError) -> Rejected | None:
    task = find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    i = d.state.instances.get(task.instance)
    if i is None:
        return Rejected(RejectionCode.INVALID_STATE, f"task {e.task} belongs to no workflow: nothing could catch the error")
    token = i.tokens[task.token]
    try:
        error.throw_code(d, i, token, e.code, e.message, e.variables)
    except Failure as failure:
        d.incident(i, token, failure, task=task.key)
    return None


def extend(d: Decision, e: c.ExtendLease) -> Rejected | None:
    task = find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    if not task.worker:
        return Rejected(RejectionCode.INVALID_STATE, f"nobody has the lease of task {e.task}")
    if e.timeout_ms < 1:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected a timeout of 1 ms or more, found {e.timeout_ms}")
    deadline = d.facts.now_us + e.timeout_ms * 1000
    d.record(ta.TaskLeaseExtended(key=task.instance, task=task.key, deadline_us=deadline))
    d.answer = {"deadline_us": deadline}
    return None


def update_retries(d: Decision, e: c.UpdateRetries) -> Rejected | None:
    task = find(d, e.task, 0)
    if isinstance(task, Rejected):
        return task
    if e.retries < 1:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one retry or more, found {e.retries}")
    d.record(ta.TaskRetried(key=task.instance, task=task.key, retries=e.retries))
    return None


def create(d: Decision, e: c.CreateTask) -> Rejected | None:
    key = d.key()
    d.record(
        ta.TaskCreated(
            task=key, token=0, element="", type=e.type, job_type=e.job_type, retries=e.retries, priority=e.priority, headers=e.headers,
            variables=e.variables, details={**(e.details or {}), **({"name": e.name} if e.name else {})} or None,
        )
    )  # fmt: skip
    d.answer = {"task": key}
    return None


def expire(d: Decision, e: c.ExpireLeases) -> Rejected | None:
    p, now = d.state, d.facts.now_us
    over = [k for k in e.tasks if (t := p.tasks.get(k)) is not None and t.worker and t.deadline_us <= now]
    if over:
        d.record(ta.TaskTimedOut(tasks=over))
    return None


def ready(d: Decision, e: c.ReadyTasks) -> Rejected | None:
    p, now = d.state, d.facts.now_us
    for key in e.tasks:
        task = p.tasks.get(key)
        if task is not None and task.retry_at_us and task.retry_at_us <= now:
            d.record(ta.TaskRetried(key=task.instance, task=key, retries=task.retries))
    return None
