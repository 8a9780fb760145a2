"""What the version of an instance counts: changes of its status, definition, variables and incidents. State and rows count by the same rule, so that
whoever has read a row can say which one it was (`If-Match`). A token that moves on is no change: it would make every row stale at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Event

#: a start is version 0, of one that was pending it is the next
CHANGES: frozenset[type[Event]] = frozenset({
    wf.WorkflowPaused, wf.WorkflowUnpaused, wf.WorkflowSuspended, wf.WorkflowResumed, wf.WorkflowQuarantined, wf.WorkflowReleased, wf.WorkflowMigrated,
    wf.WorkflowModified, wf.WorkflowRolledBack, wf.WorkflowCompleted, wf.WorkflowFailed, wf.WorkflowCancelled, wf.WorkflowTerminated, wf.VariableSet, ta.TaskCompleted,
    wa.IncidentRaised, wa.IncidentResolved,
})  # fmt: skip


#: of these only some do
SOMETIMES: dict[type[Event], Callable[[Any], object]] = {ta.TaskCompleted: lambda e: e.merged and e.variables}


def changes(event: Event) -> bool:
    """Of one of `CHANGES`."""
    sometimes = SOMETIMES.get(type(event))
    return sometimes is None or bool(sometimes(event))
