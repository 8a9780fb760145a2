"""Who may move a task: the one who holds it, and those who answer for it.

A task that a person holds (its assignee) is completed, failed, released, delegated ... by that person, by a lead of one of its candidate groups
(`leads` of `group:NAME` in the directory), or by whoever has the operator's right. A task that nobody holds is worked on by its candidates, where it names
some and the directory knows who asks. A machine shows its lease instead: who gives the fencing number of the lease holds the task. Whoever doesn't say
who it is (no actor) is not asked: without sign-in a door that needs names asks for them. Whoever has signed in is known by name: they claim for themselves, and who is in
no directory is a candidate only where the task names them, or a group that came with their sign-in.
Source: requirements APG-HUM-001 to 008, D-ASG-002; findings D2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.commands import Request
from flowledger.kernel.access.rights import OPERATOR, SIGNED_IN, may
from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import assignment, clearance, duties, index

if TYPE_CHECKING:
    from flowledger.kernel.ledger.recording import Recording

#: what only the holder does, or who answers for the task
HOLDERS = frozenset({"complete", "fail", "start", "progress", "draft", "release", "refuse", "delegate", "transfer", "suspend", "resume", "update", "skip", "cancel",
                     "retry", "assign", "escalate"})  # fmt: skip
#: who allots work to others without being one of them may also do this: somebody who stands in no directory
ALLOTTED = frozenset({"assign", "escalate"})
#: what one does in one's own name
OWN = frozenset({"claim", "start"})
#: what may also be done to a task that nobody holds, by its candidates
WORK = frozenset({"complete", "fail", "start", "progress", "draft"})


def refuse(d: Recording, task: Task, move: str, fence: int = 0) -> Rejected | None:
    """Why the actor may not. `fence`: the lease's number that was shown (it was compared already); 0: none."""
    actor = d.envelope.actor
    if d.request is None or getattr(d.request.command, "task", 0) != task.key:
        return None  # it was asked before, and kept until now (a suspended instance)
    if move != "complete" and (refused := duties.refuse(d, task, move)) is not None:
        return refused
    if move in OWN and may(d.request, SIGNED_IN) and (refused := _not_for_oneself(d, task, move)) is not None:
        return refused
    if move in WORK and not (fence and task.worker) and (why := clearance.refusal(d.state, task, actor)):
        return Rejected(RejectionCode.FORBIDDEN, why)
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
        if move in ALLOTTED and not may(d.request, SIGNED_IN) and assignment.entry(d.state, task.tenant, actor) is None:
            return None
        return Rejected(RejectionCode.FORBIDDEN, f"'{actor}' can't {move} task {task.key}: it is held by '{holder}'")
    return None if move not in WORK else _no_candidate(d.state, d.request, task, actor, move)


def _not_for_oneself(d: Recording, task: Task, move: str) -> Rejected | None:
    assert d.request is not None
    actor, details = d.envelope.actor, getattr(d.request.command, "details", None) or {}
    if may(d.request, OPERATOR):
        return None
    if (name := details.get("assignee")) is not None and name != actor:
        return Rejected(RejectionCode.FORBIDDEN, f"'{actor}' can't {move} task {task.key} for '{name}': expected '{actor}'")
    held = (task.details or {}).get("assignee")
    return None if held else _no_candidate(d.state, d.request, task, actor, move)


def _no_candidate(p: Partition, request: Request, task: Task, actor: str, move: str) -> Rejected | None:
    users, groups = (assignment.texts((task.details or {}).get(k)) for k in ("candidate_users", "candidate_groups"))
    record = assignment.entry(p, task.tenant, actor)
    if not (users or groups) or actor in users or (record is None and not may(request, SIGNED_IN)):
        return None
    own = assignment.groups_of(record) if record is not None else set()
    if (own | set(request.groups or ())) & set(groups) or leads(p, task, actor):
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
