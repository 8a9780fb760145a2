"""Leases: extended, given back, run out; attempts set anew, and due again after a pause."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import holding, limits
from flowledger.kernel import retries as policy
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import tasks
from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import guards, permits, stock


def extend(d: Decision, e: c.ExtendLease) -> Rejected | None:
    task = tasks.find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    if not task.worker:
        return Rejected(RejectionCode.INVALID_STATE, f"nobody has the lease of task {e.task}")
    if not 1 <= e.timeout_ms <= limits.LEASE_MS_MAX:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected a timeout of 1 to {limits.LEASE_MS_MAX} ms, found {e.timeout_ms}")
    deadline = d.facts.now_us + e.timeout_ms * 1000
    if d.state.guards and d.state.meta.partitions > 1:
        deadline = _within_permits(d, task, deadline, e.timeout_ms)
    d.record(ta.TaskLeaseExtended(key=task.instance, task=task.key, deadline_us=deadline))
    d.answer = {"deadline_us": deadline}
    return None


def _within_permits(d: Decision, task: Task, deadline: int, timeout_ms: int) -> int:
    """A lease under a permit is extended as far as that holds, and the permit is asked to hold for longer."""
    for target in guards.targets(task):
        end = stock.until(d.state, target)
        if end and (guard := d.state.guards.get(target)) is not None:
            if deadline + timeout_ms * 500 > end:
                permits.renew(d, guard, deadline + timeout_ms * 1000)
            deadline = min(deadline, end)
    return deadline


def give_back(d: Decision, e: c.ReturnTasks) -> Rejected | None:
    ends = e.deadlines if e.deadlines is not None else [0] * len(e.tasks)
    if len(e.tasks) != len(e.fences) or len(e.tasks) != len(ends):
        text = f"expected a fencing number for each task, and a deadline if any, found {len(e.fences)} and {len(ends)} for {len(e.tasks)}"
        return Rejected(RejectionCode.INVALID_ARGUMENT, text)
    p, held = d.state, []
    for key, fence, end in zip(e.tasks, e.fences, ends, strict=True):
        task = p.tasks.get(key)
        if task is not None and task.worker and task.fence == fence and (not end or end == task.deadline_us) and key not in held:
            held.append(key)
    if held:
        counts = [name for k in held for name in guards.names_of(p, p.tasks[k])] if p.guards else None
        d.record(ta.TaskReturned(tasks=held))
        if counts:
            guards.after(d, counts)
    d.answer = {"returned": held}
    return None


def update_retries(d: Decision, e: c.UpdateRetries) -> Rejected | None:
    task = tasks.find(d, e.task, 0)
    if isinstance(task, Rejected):
        return task
    if e.retries < 1:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one retry or more, found {e.retries}")
    d.record(ta.TaskRetried(key=task.instance, task=task.key, retries=e.retries))
    return None


def expire(d: Decision, e: c.ExpireLeases) -> Rejected | None:
    """A lease that runs out ends an attempt (WOS-RES-002): with the last one the task is `timed_out`, and what its policy says follows. Of a suspended
    instance the lease alone ends: the worker's result may be kept already."""
    p, now = d.state, d.facts.now_us
    over = [t for k in e.tasks if (t := p.tasks.get(k)) is not None and t.worker and t.deadline_us <= now]
    if not over:
        return None
    counts = [name for t in over for name in guards.names_of(p, t)] if p.guards else None
    workers = {t.key: t.worker for t in over}
    left = [t.retries if _stands_still(p, t) else max(0, t.retries - 1) for t in over]
    d.because(f"task:{over[0].key}")  # one event tells of all that ran out together, and names them
    d.record(ta.TaskTimedOut(tasks=[t.key for t in over], retries=left))
    if counts:
        guards.after(d, counts)
    for task, n in zip(over, left, strict=True):
        if n == 0 and task.key in p.tasks and not _stands_still(p, task):
            d.because(f"task:{task.key}")
            message = f"the lease of worker '{workers[task.key]}' ran out, and no attempt is left"
            policy.exhausted(d, task, c.FailTask(task=task.key, code=TIMEOUT, message=message))
    return None


#: error code of an attempt that ended by time
TIMEOUT = "TIMEOUT"


def _stands_still(p: Partition, task: Task) -> bool:
    i = p.instances.get(task.instance)
    return i is not None and i.status != "quarantined" and holding.frozen(p, i, task.token)


def ready(d: Decision, e: c.ReadyTasks) -> Rejected | None:
    p, now = d.state, d.facts.now_us
    for key in e.tasks:
        task = p.tasks.get(key)
        if task is not None and task.retry_at_us and task.retry_at_us <= now:
            d.because(f"task:{key}")
            d.record(ta.TaskRetried(key=task.instance, task=key, retries=task.retries))
    return None
