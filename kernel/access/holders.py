"""Who may move a task: the one who holds it, and those who answer for it.

A task that a person holds (its assignee) is completed, failed, released, delegated ... by that person, by a lead of one of its candidate groups
(`leads` of `group:NAME` in the directory), or by whoever has the operator's right. A task that nobody holds is worked on by its candidates, where it names
some and the directory knows who asks. A machine shows its lease instead: who gives the fencing number of the lease holds the task. Whoever doesn't say
who it is (no actor) is not asked: without sign-in a door that needs names asks for them.
Source: requirements APG-HUM-001 to 008, D-ASG-002; findings D2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.access.rights import OPERATOR, may
from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import assignment, index

if TYPE_CHECKING:
    from flowledger.kernel.ledger.recording import Recording

#: what only the holder does, or who answers for the task
HOLDERS = frozenset({"complete", "fail", "start", "progress", "draft", "release", "refuse", "delegate", "transfer", "suspend", "resume", "update", "skip", "cancel",
                     "retry", "assign", "escalate"})  # fmt: skip
#: who allots work to others without being one of them may also do this: somebody who stands in no directory
ALLOTTED = frozenset({"assign", "escalate"})
#: what may also be done to a task that nobody holds, by its candidates
WORK = frozenset({"complete", "fail", "start", "progress", "draft"})


def refuse(d: Recording, task: Task, move: str, fence: int = 0) -> Rejected | None:
    """Why the actor may not. `fence`: the lease's number that was shown (it was compared already); 0: none."""
    actor = d.envelope.actor
    if d.request is None or getattr(d.request.command, "task", 0) != task.key:
        return None  # it was asked before, and kept until now (a suspended instance)
    if not actor or move not in HOLDERS or (fence and task.worker):
        return None
    details = task.details or {}
    kind = details.get("kind")
    if kind in assignment.MACHINES and task.worker:
        return None
    holder = str(details.get("assignee") or "")
    if holder == actor or may(d.request, OPERATOR):
        return None
    if holder:
        if leads(d.state, task, actor):
            return None
        if move in ALLOTTED and assignment.entry(d.state, task.tenant, actor) is None:
            return None
        return Rejected(RejectionCode.FORBIDDEN, f"'{actor}' can't {move} task {task.key}: it is held by '{holder}'")
    return None if move not in WORK else _no_candidate(d.state, task, actor, move)


def _no_candidate(p: Partition, task: Task, actor: str, move: str) -> Rejected | None:
    users, groups = (assignment.texts((task.details or {}).get(k)) for k in ("candidate_users", "candidate_groups"))
    record = assignment.entry(p, task.tenant, actor)
    if record is None or not (users or groups) or actor in users or assignment.groups_of(record) & set(groups) or leads(p, task, actor):
        return None
    text = f"'{actor}' can't {move} task {task.key}: expected one of {', '.join([*groups, *users])}"
    return Rejected(RejectionCode.FORBIDDEN, text)


def leads(p: Partition, task: Task, actor: str) -> bool:
    """Whether `actor` leads one of the task's candidate groups."""
    for group in assignment.texts((task.details or {}).get("candidate_groups")):
        record = index.record(p, "directory", task.tenant, f"group:{group}")
        if record is not None and actor in assignment.texts(record.get("leads")):
            return True
    return False
