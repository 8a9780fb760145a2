"""Folds of `task.*`: leases, attempts, the moves of people."""

from __future__ import annotations

from heapq import heappush
from typing import Any

from flowledger.events import task as ta
from flowledger.events.base import Envelope
from flowledger.kernel.folds.holds import MACHINES, offer, remove_task, unqueue, withhold
from flowledger.kernel.folds.tokens import keep_stay, seen_key, unhold
from flowledger.kernel.state import READY, WAITING, Partition, Task
from flowledger.kernel.tasks import guards, index, people
from flowledger.kernel.undo import keep, new, put, update


def task_created(p: Partition, e: ta.TaskCreated, v: Envelope) -> None:
    seen_key(p, e.task)
    i = p.instances.get(e.key)
    task = Task(
        key=e.task, instance=e.key, token=e.token, element=e.element, type=e.type, job_type=e.job_type, retries=e.retries,
        priority=e.priority, headers=e.headers, details=e.details, listener=e.listener, created_us=v.time_us,
        tenant=i.tenant if i is not None else v.tenant, trace=v.trace,
    )  # fmt: skip
    new(p, p.tasks, e.task, task)
    if i is not None:
        token = i.tokens[e.token]
        keep_stay(p, token)
        token.holds = [*(token.holds or ()), e.task]
        if e.listener not in _TELLING:
            token.phase = WAITING
        if e.variables:
            keep(p, token)
            token.vars = {**(token.vars or {}), **e.variables}
    else:
        task.vars = e.variables
        p.changed.add(("task", e.task))
    if e.details is not None:
        if not e.job_type and e.details.get("assignee"):
            task.status = "assigned"
        index.held(p, task)
        people.changed(p, task.tenant, index.assignee_of(task))
    offer(p, task)


def task_leased(p: Partition, e: ta.TaskLeased, v: Envelope) -> None:
    for key in e.tasks:
        task = p.tasks.get(key)
        if task is not None:
            withhold(p, task)
            keep(p, task)
            task.worker, task.deadline_us = e.worker, e.deadline_us
            task.fence += 1
            heappush(p.leases, (e.deadline_us, key, task.fence))
            if p.guards:
                guards.leased(p, task, v.time_us)
            p.changed.add(("instance", task.instance) if task.instance else ("task", key))


def task_lease_extended(p: Partition, e: ta.TaskLeaseExtended, v: Envelope) -> None:
    task = p.tasks[e.task]
    keep(p, task)
    task.deadline_us = e.deadline_us
    heappush(p.leases, (e.deadline_us, e.task, task.fence))


def task_timed_out(p: Partition, e: ta.TaskTimedOut, v: Envelope) -> None:
    for n, key in enumerate(e.tasks):
        task = p.tasks.get(key)
        if task is not None:
            if p.guards and task.worker:
                guards.unleased(p, task)
                guards.counted(p, task, ok=False, code="TIMEOUT")
            keep(p, task)
            task.worker, task.deadline_us = "", 0
            if e.retries and e.retries[n] < task.retries:
                task.retries = e.retries[n]
                task.attempt += 1
                if task.retries <= 0:
                    task.status = "timed_out"
                elif task.status in ("started", "in_progress"):
                    task.status = waiting_status(task)
            offer(p, task)
            p.changed.add(("instance", task.instance) if task.instance else ("task", key))


def task_returned(p: Partition, e: ta.TaskReturned, v: Envelope) -> None:
    for key in e.tasks:
        task = p.tasks.get(key)
        if task is not None:
            if p.guards and task.worker:
                guards.unleased(p, task)
            keep(p, task)
            task.worker, task.deadline_us = "", 0
            offer(p, task)
            p.changed.add(("instance", task.instance) if task.instance else ("task", key))
        else:
            unqueue(p, key)


def task_completed(p: Partition, e: ta.TaskCompleted, v: Envelope) -> None:
    task = p.tasks.get(e.task)
    if task is not None:
        remove_task(p, task)
        if p.guards:
            guards.counted(p, task, ok=True)
        if task.details is not None:
            index.learned(p, task, v.time_us, ok=True)
    i = p.instances.get(e.key)
    if i is None:
        p.changed.add(("task", e.task))
        return
    if e.result is not None and isinstance(e.result, dict) and e.result.get("next_assignee"):
        keep(p, i)
        i.stores = {**(i.stores or {}), "next_assignee": e.result["next_assignee"]}
    if e.merged and e.variables:
        if e.merged == i.key:
            update(p, i.vars, e.variables)
        elif (scope := i.tokens.get(e.merged)) is not None:
            keep(p, scope)
            scope.vars = {**(scope.vars or {}), **e.variables}
    token = unhold(p, i, e.token, e.task)
    if token is not None:
        if task is not None and task.listener in _TELLING:
            return
        token.phase = READY
        if e.result is not None and task is not None and task.type == "ad_hoc_sub_process":
            keep(p, token)
            token.data = {**(token.data or {}), "result": e.result}
        if task is not None and task.listener:
            keep(p, token)
            token.data = {**(token.data or {}), "listened": (token.data or {}).get("listened", 0) + 1}


#: listeners that are told of a change and hold nobody up
_TELLING = {"assigning", "updating", "canceling"}


def task_failed(p: Partition, e: ta.TaskFailed, v: Envelope) -> None:
    task = p.tasks[e.task]
    if not task.worker:
        withhold(p, task)
    if p.guards:
        if task.worker:
            guards.unleased(p, task)
        guards.counted(p, task, ok=False, code=e.code)
    if task.details is not None:
        index.learned(p, task, v.time_us, ok=False)
    keep(p, task)
    if e.retries <= 0:
        task.status = "failed"
    elif task.status in ("started", "in_progress"):
        task.status = waiting_status(task)
    task.worker, task.deadline_us = "", 0
    task.retries, task.retry_at_us = e.retries, e.retry_at_us
    task.attempt += 1
    task.row_version += 1
    if e.retries > 0 and e.retry_at_us:
        heappush(p.retrying, (e.retry_at_us, e.task))
    if e.variables and (i := p.instances.get(e.key)) is not None and (token := i.tokens.get(e.token)) is not None:
        keep(p, token)
        token.vars = {**(token.vars or {}), **e.variables}
    if not task.instance:
        p.changed.add(("task", e.task))
    offer(p, task)


def task_retried(p: Partition, e: ta.TaskRetried, v: Envelope) -> None:
    """Also says that a back-off is over."""
    task = p.tasks.get(e.task)
    if task is not None:
        keep(p, task)
        task.retries, task.retry_at_us = e.retries, 0
        task.row_version += 1
        if task.status in ("failed", "timed_out"):
            task.status = waiting_status(task)
        if not task.instance:
            p.changed.add(("task", e.task))
        offer(p, task)


def task_gone(p: Partition, e: Any, v: Envelope) -> None:
    task = p.tasks.get(e.task)
    if task is not None:
        remove_task(p, task)
        i = p.instances.get(e.key)
        if i is None:
            p.changed.add(("task", e.task))
        else:
            unhold(p, i, e.token, e.task)


def task_skipped(p: Partition, e: ta.TaskSkipped, v: Envelope) -> None:
    task_gone(p, e, v)
    i = p.instances.get(e.key)
    if i is not None and (token := i.tokens.get(e.token)) is not None:
        keep(p, token)
        token.phase = READY


def task_changed(p: Partition, e: ta.TaskChanged, v: Envelope) -> None:
    task = p.tasks.get(e.task)
    if task is None:
        return
    withhold(p, task)
    keep(p, task)
    task.status = e.status
    task.row_version += 1
    if e.details:
        if task.worker and (
            "lease" in e.details or ("assignee" in e.details and e.details["assignee"] != (task.details or {}).get("assignee"))
        ):
            if p.guards:
                guards.unleased(p, task)
            task.worker, task.deadline_us = "", 0  # in other hands: what the worker still sends is refused
            task.fence += 1
        index.unheld(p, task)
        people.changed(p, task.tenant, index.assignee_of(task))
        details = {**(task.details or {}), **e.details}
        task.details = {k: x for k, x in details.items() if x is not None} or None
        if "priority" in e.details and isinstance(e.details["priority"], int):
            task.priority = e.details["priority"]
        if isinstance(e.details.get("job_type"), str):
            task.job_type = e.details["job_type"]
        index.held(p, task)
        people.changed(p, task.tenant, index.assignee_of(task))
        if isinstance(how := e.details.get("assignment"), dict) and how.get("pool") and how.get("assignee"):
            name = ("round_robin", how["pool"])
            put(p, p.records, name, {"last": how["assignee"]})
            p.changed.add(("record", name))
    if not task.instance:
        p.changed.add(("task", e.task))
    offer(p, task)


def waiting_status(task: Task) -> str:
    """Of a task that nobody works on."""
    return (
        "assigned"
        if (task.details or {}).get("assignee") and (not task.job_type or (task.details or {}).get("kind") in MACHINES)
        else "created"
    )


def sla_breached(p: Partition, e: ta.SlaBreached, v: Envelope) -> None:
    task = p.tasks.get(e.task)
    if task is not None and e.details:
        keep(p, task)
        task.details = {**(task.details or {}), **e.details}
        if not task.instance:
            p.changed.add(("task", e.task))


def breaker_changed(p: Partition, e: ta.BreakerChanged, v: Envelope) -> None:
    put(p, p.records, ("breaker", e.target), {"state": e.state, "until_us": e.until_us, **(e.details or {})})
    p.changed.add(("record", ("breaker", e.target)))
    guards.changed(p, e.target, offer, withhold)
