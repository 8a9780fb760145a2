"""Who had a task when: table `task_assignments`, one row for each hop. Part of the view `tasks`."""

from __future__ import annotations

from typing import Any

from flowledger.events import task as ta
from flowledger.projections.context import Task
from flowledger.projections.fold import Fold
from flowledger.projections.tables import Table
from flowledger.projections.words import ASSIGNMENT_TYPES, texts

TABLE = Table(
    "task_assignments",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "task_id": "bigint", "type": "varchar(20)", "assignee": "varchar(255)",
        "assigned_by": "varchar(255)", "reason": "text", "assigned_at": "timestamptz", "accepted_at": "timestamptz",
        "started_at": "timestamptz", "completed_at": "timestamptz", "ended_at": "timestamptz", "delegation_history": "jsonb",
        "required_capabilities": "text[]", "constraints": "jsonb",
    },
)  # fmt: skip
NAME = TABLE.name
#: moves that are kept as the hop's history of delegation
PASSED_ON = {ta.TaskDelegated: "delegated", ta.TaskTransferred: "transferred", ta.TaskRecalled: "recalled", ta.TaskEscalated: "escalated"}


def assigned(f: Fold, task: Task, assignee: str, details: Any, reason: str = "", passed: dict[str, Any] | None = None) -> None:
    """A new hop. It becomes the task's current one."""
    details = details if isinstance(details, dict) else {}
    how = details.get("assignment")
    how = how if isinstance(how, dict) else {}
    kind = how.get("type", details.get("kind"))
    task.hop, task.assignee = f.id, assignee
    row = {
        "tenant_id": task.tenant, "id": f.id, "task_id": task.key, "type": kind if kind in ASSIGNMENT_TYPES else "human",
        "assignee": assignee, "assigned_by": f.env.actor, "reason": reason or str(how.get("why") or how.get("reason") or ""),
        "assigned_at": f.now, "required_capabilities": texts(how.get("required_capabilities", details.get("required_capabilities"))),
        "constraints": {k: v for k, v in how.items() if k != "type"} or None, "delegation_history": [passed] if passed else None,
    }  # fmt: skip
    f.changes.insert(NAME, f.id, row)


def ended(f: Fold, task: Task, column: str) -> None:
    """The hop is over: `completed_at` with the task, `ended_at` in any case."""
    f.changes.update(NAME, task.hop, (task.tenant, task.hop), {column: f.now, "ended_at": f.now})
    task.hop = 0


def moved(f: Fold, task: Task, e: ta.TaskChanged) -> None:
    """Before the task takes over the new assignee."""
    details = e.details if isinstance(e.details, dict) else {}
    assignee = details.get("assignee") if "assignee" in details else None
    cls = type(e)
    if cls is ta.TaskReleased or ("assignee" in details and not assignee):
        if task.hop:
            ended(f, task, "ended_at")
        return
    if (assignee and str(assignee) != task.assignee) or (assignee and not task.hop):
        passed = None
        if cls in PASSED_ON:
            passed = {"move": PASSED_ON[cls], "from": task.assignee, "to": str(assignee), "by": f.env.actor, "reason": e.reason}
            passed["at"] = f.now.replace(" ", "T").replace("+00:00", "Z")  # in JSON, as everywhere in the API
        if task.hop:
            ended(f, task, "ended_at")
        assigned(f, task, str(assignee), details, e.reason, passed)
    if cls is ta.TaskAccepted:
        if not task.hop:
            assigned(f, task, str(assignee or task.assignee or f.env.actor), details, e.reason)
        f.changes.update(NAME, task.hop, (task.tenant, task.hop), {"accepted_at": f.now})
    elif cls is ta.TaskStarted and task.hop:
        f.changes.update(NAME, task.hop, (task.tenant, task.hop), {"started_at": f.now})
