"""Work for people and machines: tables `tasks` and `task_results` (and `task_assignments`, see `assignments.py`).

A leased task shows as `started`. A row's `attempts` are those that have ended, each with a row in `task_results`.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import PRIORITIES, Event
from flowledger.projections.changes import Ended
from flowledger.projections.context import Instance, Task
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, stamp
from flowledger.projections.views import assignments
from flowledger.projections.words import (
    CATEGORIES,
    RESULT_STATUSES,
    TASK_STATUSES,
    TASK_TYPES,
    int4,
    priority_word,
    texts,
    word,
)

VERSION = 7
TABLE = Table(
    "tasks",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "workflow_instance_id": "bigint", "workflow_definition_id": "bigint",
        "process_id": "varchar(255)", "token_id": "bigint", "definition_key": "varchar(255)", "name": "varchar(255)", "reference": "varchar(255)",
        "description": "text", "type": "varchar(30)", "job_type": "varchar(255)", "listener": "varchar(30)", "category": "varchar(30)", "status": "varchar(20)",
        "priority": "varchar(20)", "priority_value": "integer", "created_at": "timestamptz", "started_at": "timestamptz",
        "completed_at": "timestamptz", "cancelled_at": "timestamptz", "updated_at": "timestamptz", "due_at": "timestamptz",
        "follow_up_at": "timestamptz", "assignee": "varchar(255)", "candidate_groups": "text[]", "candidate_users": "text[]",
        "worker": "varchar(255)", "lease_until": "timestamptz", "fence": "integer", "attempts": "integer", "retries": "integer",
        "retry_at": "timestamptz", "incident_id": "bigint", "input": "jsonb", "output": "jsonb", "execution_config": "jsonb",
        "retry_config": "jsonb", "dependencies": "text[]", "form": "jsonb", "progress": "jsonb", "attempt_at": "timestamptz",
        "error_code": "varchar(255)", "error_message": "text", "duration_ms": "bigint", "metadata": "jsonb", "row_version": "integer",
        "parent_id": "bigint", "sequence_number": "integer", "result_status": "varchar(20)",
    },
    ("tenant_id", "id", "created_at"),
    "created_at",
)  # fmt: skip
RESULTS = Table(
    "task_results",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "task_id": "bigint", "execution_id": "varchar(64)", "status": "varchar(20)",
        "worker": "varchar(255)", "started_at": "timestamptz", "ended_at": "timestamptz", "duration_ms": "bigint", "output": "jsonb",
        "metrics": "jsonb", "errors": "jsonb", "logs": "jsonb", "artifacts": "jsonb",
    },
    ("tenant_id", "task_id", "id", "ended_at"),
    "ended_at",
)  # fmt: skip
NAME = TABLE.name


def _moment(value: Any) -> str | None:
    return stamp(value) if isinstance(value, int) and value > 0 else None


def _object(value: Any) -> Any:
    return None if value in (None, "") else value


#: key of a task's details -> (column, how its value becomes the column's). Other keys stand in `metadata`.
DETAILS = {
    "assignee": ("assignee", word),
    "candidate_groups": ("candidate_groups", texts),
    "candidate_users": ("candidate_users", texts),
    "due_us": ("due_at", _moment),
    "follow_up_us": ("follow_up_at", _moment),
    "dependencies": ("dependencies", texts),
    "form": ("form", _object),
    "progress": ("progress", _object),
    "execution": ("execution_config", _object),
    "retry": ("retry_config", _object),
}
TEXT_DETAILS = {"name": "name", "reference": "reference", "description": "description", "category": "category"}


def _details(details: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Known keys into columns of `row`; the rest is returned."""
    rest: dict[str, Any] = {}
    for key, value in details.items() if isinstance(details, dict) else ():
        if (known := DETAILS.get(key)) is not None:
            row[known[0]] = known[1](value)
        elif (column := TEXT_DETAILS.get(key)) is not None:
            row[column] = str(value) if value is not None else ""
        elif key == "priority" and isinstance(value, int):
            row["priority"], row["priority_value"] = priority_word(value), int4(value)
        else:
            rest[key] = value
    return rest


def created(f: Fold, e: ta.TaskCreated) -> None:
    task, ref = f.task, f.ref
    assert task is not None, "the tracker makes it"
    kind = e.type
    row: dict[str, Any] = {
        "tenant_id": f.tenant, "id": e.task, "process_id": "", "token_id": e.token, "definition_key": e.element, "name": e.element,
        "reference": "", "description": "", "type": kind if kind in TASK_TYPES else "service_task", "job_type": e.job_type, "listener": e.listener,
        "category": CATEGORIES.get(kind, "automated"), "status": "created", "priority": priority_word(e.priority),
        "priority_value": int4(e.priority), "created_at": f.now, "updated_at": f.now, "fence": 0, "attempts": 0, "retries": int4(e.retries),
        "input": e.variables, "row_version": 0,
    }  # fmt: skip
    if ref is not None:
        row |= _place(ref, task, ref.activity_at(e.token) if ref.own is not None else None)
        if row["category"] == "manual":
            row["reference"] = ref.business_key  # unless the model says another
    if e.details or e.headers or kind not in TASK_TYPES:
        metadata = _details(e.details, row)
        if e.headers:
            metadata["headers"] = e.headers
        if kind not in TASK_TYPES:
            metadata["type"] = kind
        row["metadata"] = metadata or None
        if row.get("assignee"):
            row["status"] = task.status = "assigned"
    task.category = row["category"]
    f.changes.insert(NAME, e.task, row)
    if row.get("assignee"):
        assignments.assigned(f, task, row["assignee"], e.details)


def _place(ref: Instance, task: Task, here: Task | None = None) -> dict[str, Any]:
    """Where in its instance a row stands: `parent_id` is the row of the activity around it, `sequence_number` counts from 1."""
    ref.rows += 1
    parent = here or (ref.activity_around(task.token) if ref.scopes and ref.own is not None else None)
    return {
        "workflow_instance_id": ref.key, "workflow_definition_id": ref.definition, "process_id": ref.process,
        "parent_id": parent.key if parent is not None else None, "sequence_number": ref.rows,
    }  # fmt: skip


def begun(f: Fold, e: wf.WorkflowStarted | fl.FlowTaken | fl.ElementActivated) -> None:
    """An activity that the engine does itself: its row, and nobody's to claim."""
    task, ref = f.task, f.ref
    if task is None or ref is None:
        return
    about = (ref.own or {}).get(task.element, {})
    run = e.index if type(e) is fl.ElementActivated else 0
    kind = "sub_process" if about.get("loop") and not run else about.get("type")
    task.category = CATEGORIES.get(str(kind), "automated")
    row: dict[str, Any] = {
        "tenant_id": task.tenant, "id": task.key, "token_id": task.token, "definition_key": task.element,
        "name": about.get("name") or task.element, "description": about.get("description") or "",
        "type": kind if kind in TASK_TYPES else "sub_process", "reference": "", "job_type": "", "listener": "", "category": task.category,
        "status": "started", "priority": "normal", "priority_value": PRIORITIES["normal"], "created_at": f.now, "started_at": f.now,
        "updated_at": f.now, "fence": 0, "attempts": 0, "retries": 0, "row_version": 0, **_place(ref, task),
    }  # fmt: skip
    if type(e) is fl.ElementActivated:
        row["input"] = e.variables
        if run:
            row["metadata"] = {"run": run}
    f.changes.insert(NAME, task.key, row)


def loop_started(f: Fold, e: fl.LoopStarted) -> None:
    if f.ref is not None and (task := f.ref.activity_at(e.token)) is not None:
        f.changes.merge(NAME, task.key, task.ident, "metadata", {"loop": {"total": e.total, "sequential": e.sequential}})


def decided(f: Fold, e: fl.DecisionEvaluated) -> None:
    if f.ref is not None and (task := f.ref.activity_at(e.token)) is not None and task.element == e.element:
        _set(f, task, {"output": e.result})


def error_occurred(f: Fold, e: fl.ErrorOccurred) -> None:
    if f.task is not None:
        _set(f, f.task, {"error_code": e.code or None, "error_message": e.message or None})


def _set(f: Fold, task: Task, columns: dict[str, Any]) -> None:
    columns["updated_at"] = f.now
    f.changes.update(NAME, task.key, task.ident, columns)


def _shown(task: Task) -> str:
    """The status that the row shows: a lease is a start."""
    return "started" if task.worker and task.status in ("created", "assigned") else task.status


def leased(f: Fold, e: ta.TaskLeased) -> None:
    until = stamp(e.deadline_us)
    for task in f.each:
        task.worker, task.attempt_us = e.worker, f.us
        task.fence += 1
        columns = {"status": _shown(task), "worker": e.worker, "lease_until": until, "fence": task.fence, "attempt_at": f.now}
        if not task.started:
            task.started = True
            columns["started_at"] = f.now
        _set(f, task, columns)


def lease_extended(f: Fold, e: ta.TaskLeaseExtended) -> None:
    if f.task is not None:
        _set(f, f.task, {"lease_until": stamp(e.deadline_us)})


def _result(f: Fold, task: Task, status: str, output: Any = None, **more: Any) -> int | None:
    """A row for the attempt that ends. Returns its duration in ms."""
    duration = (f.us - task.attempt_us) // 1000 if task.attempt_us else None
    row = {
        "tenant_id": task.tenant, "id": f.id, "task_id": task.key, "execution_id": f"{task.key}-{task.fence or 1}", "status": status,
        "worker": task.worker or task.assignee or f.env.actor, "started_at": stamp(task.attempt_us) if task.attempt_us else None,
        "ended_at": f.now, "duration_ms": duration, "output": output, **more,
    }  # fmt: skip
    f.changes.insert("task_results", (f.id, task.key), row)
    f.changes.add(NAME, task.key, task.ident, "attempts", 1)
    if task.attempt_us:
        task.attempt_us = 0
        f.changes.update(NAME, task.key, task.ident, {"attempt_at": None})
    return duration


def _over(f: Fold, task: Task, outcome: str, ms: int | None) -> None:
    process = task.instance.process if task.instance is not None else ""
    f.changes.ended.append(Ended(process, task.element, outcome, ms / 1000 if ms is not None else None))


def timed_out(f: Fold, e: ta.TaskTimedOut) -> None:
    left = dict(zip(e.tasks, e.retries, strict=False))
    for task in f.each:
        _over(f, task, "timed_out", _result(f, task, "timeout", errors={"code": "TIMEOUT", "message": "the lease ran out"}))
        task.worker = ""
        columns: dict[str, Any] = {"worker": None, "lease_until": None}
        if (retries := left.get(task.key)) is not None:
            columns["retries"] = int4(retries)
            if retries <= 0:
                task.status = "timed_out"
        _set(f, task, {"status": task.status, **columns})


def returned(f: Fold, e: ta.TaskReturned) -> None:
    """No attempt was made of it: there is no result."""
    for task in f.each:
        task.worker, task.attempt_us = "", 0
        _set(f, task, {"status": task.status, "worker": None, "lease_until": None, "attempt_at": None})


def completed(f: Fold, e: ta.TaskCompleted) -> None:
    task = f.task
    if task is None:
        return
    begun = task.attempt_us or task.created_us
    result = e.result
    more = {}
    if isinstance(result, dict):
        more = {name: result.get(name) for name in ("metrics", "errors", "logs", "artifacts")}
    status = e.status if e.status in RESULT_STATUSES else "success"
    duration = _result(f, task, status, e.variables, **more)
    if duration is None:
        duration = (f.us - begun) // 1000
    _over(f, task, "completed", duration)
    columns = {
        "status": "completed", "result_status": status, "completed_at": f.now, "output": e.variables, "lease_until": None,
        "duration_ms": duration,
    }  # fmt: skip
    if isinstance(result, dict) and (summary := {k: v for k, v in result.items() if k not in ("metrics", "errors", "logs", "artifacts")}):
        f.changes.merge(NAME, task.key, task.ident, "metadata", {"result": summary})
    _set(f, task, columns)
    if task.hop:
        assignments.ended(f, task, "completed_at")


def failed(f: Fold, e: ta.TaskFailed) -> None:
    task = f.task
    if task is None:
        return
    details, more = e.details, {}
    if isinstance(details, dict) and "metrics" in details:  # figures of the attempt stand where those of one that succeeded do
        more = {"metrics": details["metrics"]}
        details = {k: v for k, v in details.items() if k != "metrics"} or None
    errors = {"code": e.code, "message": e.message, **({"details": details} if details is not None else {})}
    _over(f, task, "failed", _result(f, task, "failure", e.variables, errors=errors, **more))
    task.worker = ""
    columns = {
        "status": "failed" if e.retries <= 0 else task.status, "retries": int4(e.retries), "worker": None, "lease_until": None,
        "retry_at": stamp(e.retry_at_us) if e.retry_at_us else None, "error_code": e.code or None, "error_message": e.message or None,
    }  # fmt: skip
    _set(f, task, columns)
    f.changes.add(NAME, task.key, task.ident, "row_version", 1)


def retried(f: Fold, e: ta.TaskRetried) -> None:
    task = f.task
    if task is not None:
        if task.status in ("failed", "timed_out"):
            task.status = "created"
        _set(f, task, {"status": _shown(task), "retries": int4(e.retries), "retry_at": None})
        f.changes.add(NAME, task.key, task.ident, "row_version", 1)


def _ended(f: Fold, task: Task, status: str, reason: str = "") -> None:
    _over(f, task, status, _result(f, task, "cancelled") if task.attempt_us else None)
    columns: dict[str, Any] = {"status": status, "cancelled_at": f.now, "lease_until": None}
    if status == "skipped":
        columns["completed_at"] = columns.pop("cancelled_at")
    _set(f, task, columns)
    if reason:
        f.changes.merge(NAME, task.key, task.ident, "metadata", {"reason": reason})
    if task.hop:
        assignments.ended(f, task, "ended_at")


def cancelled(f: Fold, e: ta.TaskCancelled) -> None:
    if f.task is not None:
        _ended(f, f.task, "cancelled", e.reason)


def skipped(f: Fold, e: ta.TaskSkipped) -> None:
    if f.task is not None:
        _ended(f, f.task, "skipped", e.reason)


def gone(f: Fold, task: Task) -> None:
    """Withdrawn with its token, by a boundary event, a terminated scope or the end of the instance. An activity of the engine's ends so in any
    case; `ending` says how."""
    if not task.own:
        _ended(f, task, "cancelled")
        return
    at = "cancelled_at" if task.ending == "cancelled" else "completed_at"
    duration = (f.us - task.created_us) // 1000
    _over(f, task, task.ending, duration)
    _set(f, task, {"status": task.ending, at: f.now, "duration_ms": duration, "incident_id": None})


def changed(f: Fold, e: ta.TaskChanged) -> None:
    task = f.task
    if task is None:
        return
    status = e.status
    if status in TASK_STATUSES:
        task.status = status
    columns: dict[str, Any] = {"status": _shown(task)}
    rest = _details(e.details, columns)
    assignments.moved(f, task, e)
    if "assignee" in columns:
        task.assignee = columns["assignee"] or ""
    if status == "started" and not task.started:
        task.started = True
        columns["started_at"] = f.now
    if status in ("started", "in_progress") and not task.attempt_us:
        task.attempt_us = f.us
        columns["attempt_at"] = f.now
    _set(f, task, columns)
    if rest or e.reason:
        if e.reason:
            rest = {**rest, "reason": e.reason}
        f.changes.merge(NAME, task.key, task.ident, "metadata", rest)
    f.changes.add(NAME, task.key, task.ident, "row_version", 1)


def sla_breached(f: Fold, e: ta.SlaBreached) -> None:
    if f.task is not None and isinstance(e.details, dict):
        f.changes.merge(NAME, f.task.key, f.task.ident, "metadata", {"sla": e.details})


def _troubled(f: Fold, e: wa.IncidentRaised | wa.IncidentResolved) -> Task | None:
    """The task that an incident is about, or the activity of the engine's at its token."""
    if e.task:
        return f.context.tasks.get(e.task)
    return f.ref.activity_at(e.token) if f.ref is not None and f.ref.own is not None else None


def incident_raised(f: Fold, e: wa.IncidentRaised) -> None:
    if (task := _troubled(f, e)) is not None:
        _set(f, task, {"incident_id": e.incident})


def incident_resolved(f: Fold, e: wa.IncidentResolved) -> None:
    if (task := _troubled(f, e)) is not None:
        _set(f, task, {"incident_id": None})


def migrated(f: Fold, e: wf.WorkflowMigrated) -> None:
    """Open tasks follow their instance to the other version, under their new element ids."""
    renamed = e.elements if isinstance(e.elements, dict) else {}
    for items in list((f.ref.held or {}).values()) if f.ref is not None else ():
        for task in items:
            if isinstance(task, Task):
                task.element = renamed.get(task.element, task.element)
                _set(f, task, {"definition_key": task.element, "workflow_definition_id": e.definition, "process_id": e.process})


ROWS: dict[type[Event], Any] = {
    ta.TaskCreated: created,
    ta.TaskLeased: leased,
    ta.TaskLeaseExtended: lease_extended,
    ta.TaskTimedOut: timed_out,
    ta.TaskReturned: returned,
    ta.TaskCompleted: completed,
    ta.TaskFailed: failed,
    ta.TaskRetried: retried,
    ta.TaskCancelled: cancelled,
    ta.TaskSkipped: skipped,
    **dict.fromkeys(ta.TaskChanged.__subclasses__(), changed),
    ta.SlaBreached: sla_breached,
    wa.IncidentRaised: incident_raised,
    wa.IncidentResolved: incident_resolved,
    wf.WorkflowMigrated: migrated,
    wf.WorkflowStarted: begun,
    fl.FlowTaken: begun,
    fl.ElementActivated: begun,
    fl.LoopStarted: loop_started,
    fl.DecisionEvaluated: decided,
    fl.ErrorOccurred: error_occurred,
}
_OF_TASKS = (
    "DELETE FROM {} t USING gone, tasks k WHERE k.workflow_instance_id = gone.id AND k.tenant_id = gone.tenant_id "
    "AND t.tenant_id = k.tenant_id AND t.task_id = k.id"
)
REMOVED = (
    _OF_TASKS.format(RESULTS.name), _OF_TASKS.format(assignments.TABLE.name),
    "DELETE FROM tasks t USING gone WHERE t.tenant_id = gone.tenant_id AND t.workflow_instance_id = gone.id",
)  # fmt: skip
VIEW = View("tasks", VERSION, "040_tasks.sql", (TABLE, assignments.TABLE, RESULTS), ROWS, {"task": gone}, removed=REMOVED)
