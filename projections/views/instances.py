"""Runs of processes: table `workflow_instances` (and `instance_scopes`, which the tracker fills)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import task as ta
from flowledger.events import versions
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Event
from flowledger.projections.changes import Ended
from flowledger.projections.context import Incident
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table
from flowledger.projections.words import int4, priority_word

VERSION = 5
TABLE = Table(
    "workflow_instances",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "definition_id": "bigint", "process_id": "varchar(255)", "version": "integer",
        "name": "varchar(255)", "description": "text", "business_key": "varchar(255)", "status": "varchar(20)", "paused": "boolean",
        "incidents": "integer", "priority": "varchar(20)", "priority_value": "integer", "initiator": "varchar(255)",
        "created_at": "timestamptz", "started_at": "timestamptz", "completed_at": "timestamptz", "cancelled_at": "timestamptz",
        "parent_id": "bigint", "parent_token": "bigint", "root_id": "bigint", "input": "jsonb", "variables": "jsonb",
        "execution_context": "jsonb", "metadata": "jsonb", "error_code": "varchar(255)", "error_message": "text", "reason": "text",
        "correlation_id": "varchar(255)", "row_version": "integer",
    },
    ("tenant_id", "id", "created_at"),
    "created_at",
)  # fmt: skip
SCOPES = Table(
    "instance_scopes",
    {"tenant_id": "varchar(255)", "instance_id": "bigint", "token_id": "bigint", "scope_id": "bigint"},
    ("instance_id", "token_id"),
)
NAME = TABLE.name


def _row(f: Fold, e: wf.WorkflowCreated | wf.WorkflowStarted, status: str, metadata: Any) -> dict[str, Any]:
    about = metadata if isinstance(metadata, dict) else {}
    description = about.get("description") or f.context.descriptions.get(e.definition)
    return {
        "tenant_id": f.tenant, "id": e.key, "definition_id": e.definition, "process_id": e.process, "version": int4(e.version),
        "name": str(about.get("name") or f.context.names.get(e.definition) or e.process), "description": str(description or ""), "business_key": e.business_key,
        "status": status, "paused": False, "incidents": 0, "priority": priority_word(e.priority), "priority_value": int4(e.priority),
        "initiator": f.env.actor, "created_at": f.now, "input": e.variables, "variables": e.variables or {},
        "execution_context": about.get("options"), "metadata": metadata, "correlation_id": f.env.correlation, "root_id": e.key, "row_version": 0,
    }  # fmt: skip


def created(f: Fold, e: wf.WorkflowCreated) -> None:
    request = e.request if isinstance(e.request, dict) else {}
    f.changes.insert(NAME, e.key, _row(f, e, "pending", request.get("metadata")))


def started(f: Fold, e: wf.WorkflowStarted) -> None:
    ref = f.ref
    assert ref is not None, "the tracker makes it"
    row = _row(f, e, "running", e.metadata)
    row["started_at"] = f.now
    row["root_id"] = e.root or e.key
    if e.parent:
        row["parent_id"], row["parent_token"] = e.parent, e.parent_token
    if ref.fresh:
        f.changes.insert(NAME, e.key, row)
    else:  # it was pending before
        f.changes.update(NAME, e.key, ref.ident, {k: v for k, v in row.items() if k not in (*TABLE.key, "row_version")})
        _changed(f)


def _changed(f: Fold) -> None:
    if f.ref is not None:
        f.changes.add(NAME, f.ref.key, f.ref.ident, "row_version", 1)


def _counted(handler: Callable[[Fold, Any], None] | None) -> Callable[[Fold, Any], None]:
    def and_version(f: Fold, e: Event) -> None:
        if handler is not None:
            handler(f, e)
        if versions.changes(e):
            _changed(f)

    return and_version


def _set(f: Fold, columns: dict[str, Any]) -> None:
    if f.ref is not None:
        f.changes.update(NAME, f.ref.key, f.ref.ident, columns)


def _over(f: Fold, status: str, columns: dict[str, Any]) -> None:
    _set(f, {"status": status, "incidents": 0, **columns})
    if f.ref is not None:
        f.changes.ended.append(Ended(f.ref.process, "", status, (f.us - f.ref.started_us) / 1e6))


def completed(f: Fold, e: wf.WorkflowCompleted) -> None:
    _over(f, "completed", {"completed_at": f.now})


def failed(f: Fold, e: wf.WorkflowFailed) -> None:
    _over(f, "failed", {"completed_at": f.now, "error_code": e.code, "error_message": e.message})


def cancelled(f: Fold, e: wf.WorkflowCancelled) -> None:
    _over(f, "cancelled", {"cancelled_at": f.now, "reason": e.reason})


def terminated(f: Fold, e: wf.WorkflowTerminated) -> None:
    _over(f, "terminated", {"cancelled_at": f.now, "reason": e.reason})


def paused(f: Fold, e: wf.WorkflowPaused) -> None:
    _set(f, {"paused": True, "reason": e.reason})


def unpaused(f: Fold, e: wf.WorkflowUnpaused) -> None:
    _set(f, {"paused": False, "reason": e.reason})


def suspended(f: Fold, e: wf.WorkflowSuspended) -> None:
    _set(f, {"status": "suspended", "reason": e.reason})


def resumed(f: Fold, e: wf.WorkflowResumed) -> None:
    _set(f, {"status": "running", "reason": e.reason})


def quarantined(f: Fold, e: wf.WorkflowQuarantined) -> None:
    _set(f, {"status": "quarantined", "reason": f"{e.defect}: {e.message}"})


def released(f: Fold, e: wf.WorkflowReleased) -> None:
    _set(f, {"status": e.status, "reason": e.reason})


def migrated(f: Fold, e: wf.WorkflowMigrated) -> None:
    _set(f, {"definition_id": e.definition, "process_id": e.process, "version": int4(e.version)})


def rolled_back(f: Fold, e: wf.WorkflowRolledBack) -> None:
    _set(f, {"definition_id": e.definition, "process_id": e.process, "version": int4(e.version), "variables": e.variables or {}})


def merged(f: Fold, scope: int, variables: Any) -> None:
    """Variables of the root scope are part of the instance's row."""
    ref = f.ref
    if ref is not None and scope == ref.key and isinstance(variables, dict) and variables:
        f.changes.merge(NAME, ref.key, ref.ident, "variables", variables)


def variable_set(f: Fold, e: wf.VariableSet) -> None:
    merged(f, e.scope, e.variables)


def task_completed(f: Fold, e: ta.TaskCompleted) -> None:
    if e.merged:
        merged(f, e.merged, e.variables)


def incident_raised(f: Fold, e: wa.IncidentRaised) -> None:
    if f.ref is not None:
        f.changes.add(NAME, f.ref.key, f.ref.ident, "incidents", 1)


def incident_resolved(f: Fold, e: wa.IncidentResolved) -> None:
    if f.ref is not None:
        f.changes.add(NAME, f.ref.key, f.ref.ident, "incidents", -1)


def incident_gone(f: Fold, item: Incident) -> None:
    instance = item.instance
    if instance is not None and not instance.over:
        f.changes.add(NAME, instance.key, instance.ident, "incidents", -1)


ROWS: dict[type[Event], Any] = {
    wf.WorkflowCreated: created,
    wf.WorkflowStarted: started,
    wf.WorkflowCompleted: completed,
    wf.WorkflowFailed: failed,
    wf.WorkflowCancelled: cancelled,
    wf.WorkflowTerminated: terminated,
    wf.WorkflowPaused: paused,
    wf.WorkflowUnpaused: unpaused,
    wf.WorkflowSuspended: suspended,
    wf.WorkflowResumed: resumed,
    wf.WorkflowQuarantined: quarantined,
    wf.WorkflowReleased: released,
    wf.WorkflowMigrated: migrated,
    wf.WorkflowRolledBack: rolled_back,
    wf.VariableSet: variable_set,
    ta.TaskCompleted: task_completed,
    wa.IncidentRaised: incident_raised,
    wa.IncidentResolved: incident_resolved,
}
ROWS |= {cls: _counted(ROWS.get(cls)) for cls in versions.CHANGES}
REMOVED = ("DELETE FROM workflow_instances t USING gone WHERE t.tenant_id = gone.tenant_id AND t.id = gone.id",)
VIEW = View("instances", VERSION, "020_instances.sql", (TABLE, SCOPES), ROWS, {"incident": incident_gone}, removed=REMOVED)
