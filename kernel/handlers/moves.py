"""A person's (or agent's) moves of a task, as one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.state import Task

#: move -> (event, allowed from, status after; None: unchanged)
MOVES: dict[str, tuple[type[ta.TaskChanged], frozenset[str], str | None]] = {
    "assign": (ta.TaskAssigned, frozenset({"created", "assigned"}), "assigned"),
    "claim": (ta.TaskAccepted, frozenset({"created", "assigned"}), "assigned"),
    "release": (ta.TaskReleased, frozenset({"assigned", "started", "in_progress"}), "created"),
    "start": (ta.TaskStarted, frozenset({"created", "assigned"}), "started"),
    "progress": (ta.TaskProgress, frozenset({"assigned", "started", "in_progress"}), "in_progress"),
    "comment": (ta.TaskCommented, frozenset({"created", "assigned", "started", "in_progress", "suspended"}), None),
    "update": (ta.TaskUpdated, frozenset({"created", "assigned", "started", "in_progress", "suspended"}), None),
}


def move(d: Decision, e: c.MoveTask) -> Rejected | None:
    task = d.state.tasks.get(e.task)
    if task is None:
        return not_found("an open task with key", e.task)
    row = MOVES.get(e.move)
    if row is None:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one of {', '.join(MOVES)}, found '{e.move}'")
    if e.row_version and e.row_version != task.row_version:
        return Rejected(RejectionCode.STALE, f"task {e.task} has changed: expected row_version {task.row_version}, found {e.row_version}")
    event, allowed, status = row
    if task.status not in allowed:
        return Rejected(RejectionCode.INVALID_STATE, f"can't {e.move} task {e.task}: it is {task.status}, expected {' or '.join(sorted(allowed))}")
    details = dict(e.details or {})
    if (prepare := PREPARE.get(e.move)) is not None and (refused := prepare(d, task, details)) is not None:
        return refused
    d.record(event(key=task.instance, task=e.task, status=status or task.status, reason=e.reason, details=details or None))
    d.answer = {"task": e.task, "status": task.status, "row_version": task.row_version}
    return None


def _assignee(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    details.setdefault("assignee", d.envelope.actor)
    if not details["assignee"]:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected an assignee")
    return None


def _claim(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    refused = _assignee(d, task, details)
    holder = (task.details or {}).get("assignee")
    if refused is None and holder and holder != details["assignee"]:
        return Rejected(RejectionCode.INVALID_STATE, f"task {task.key} is held by '{holder}'")
    return refused


def _release(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    details["assignee"] = None
    return None


PREPARE: dict[str, Callable[[Decision, Task, dict[str, Any]], Rejected | None]] = {"assign": _assignee, "claim": _claim, "release": _release}


def timer_fired(d: Decision, i: Any, t: Any) -> None:
    """A timer of a task (reminder, due date, escalation)."""
