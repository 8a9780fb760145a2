"""Jobs are handed out under a lease. Source: interfaces.md `/jobs`; Zeebe's gateway protocol for what a worker gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Any

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import holding, limits, protection
from flowledger.kernel.access.gate import tenants_of
from flowledger.kernel.decision import Decision
from flowledger.kernel.folds.holds import offer, withhold
from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import clearance, guards, index, permits, stock


def activate(d: Decision, e: c.ActivateTasks) -> Rejected | None:
    """Highest priority first, oldest first within one, and long waiting counts as priority, so that nothing starves. The cost does not grow with
    the number of waiting tasks."""
    if not e.job_type or e.max < 1 or not 1 <= e.timeout_ms <= limits.LEASE_MS_MAX:
        expected = f"expected a job type, max of 1 or more and a timeout of 1 to {limits.LEASE_MS_MAX} ms"
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"{expected}, found {e.job_type[:60]!r}, {e.max}, {e.timeout_ms}")
    p = d.state
    assert d.request is not None
    tenants = tenants_of(d.request, e.tenants)
    if p.holding:
        _set_aside(p, tenants, e.job_type, e.max)
    lanes = p.ready.get((tenants[0], e.job_type)) if len(tenants) == 1 else _together(p, tenants, e.job_type)
    if not lanes:
        d.answer = {"jobs": []}
        return None
    wanted, picker, wake_us = e.max, None, 0
    if p.guards:
        wanted, wake_us = guards.room(p, e.job_type, lanes, wanted, d.facts.now_us)
        picker = guards.Picker(p, d.facts.now_us)
    #: where task definitions say what a job asks of its worker
    worker = clearance.Worker(p, d.envelope.actor) if "task_definition" in p.registry else None
    keys: list[int] = []
    others = worker is not None and len(tenants) == 1 and bool(worker.lacks(tenants[0], e.job_type))
    if wanted > 0 and not others:
        scanned, looks = 0, bool(p.holding) or picker is not None or worker is not None
        for key in next(iter(lanes.values())) if len(lanes) == 1 else _by_priority(p, lanes, e.job_type, d.facts.now_us):
            if looks and not _goes(p, p.tasks[key], picker, worker):
                others = others or (worker is not None and worker.refused)
                scanned += 1
                if scanned >= guards.SCAN_MAX:
                    break
                continue
            keys.append(key)
            if len(keys) >= wanted:
                break
    if p.guards and p.meta.partitions > 1 and not others:
        _ask(d, e, lanes, keys, picker)
    if not keys:
        d.answer = {"jobs": [], "others": True} if others else {"jobs": []}  # another worker may get them
        if wake_us:
            guards.wake(d, f"job:{e.job_type}", e.job_type, wake_us)
        elif picker is not None and picker.wake_us:
            guards.wake(d, picker.limited, e.job_type, picker.wake_us)
        return None
    timeout_ms, most = e.timeout_ms, d.facts.attempt_ms
    if "task_definition" in p.registry:  # no attempt takes longer than its definition allows
        definition = index.record(p, "task_definition", d.envelope.tenant, e.job_type) or {}
        most = definition.get("timeout_ms") or most
    if most:
        timeout_ms = min(timeout_ms, most)
    deadline = d.facts.now_us + timeout_ms * 1000
    if p.guards and p.meta.partitions > 1:  # no lease outlives the permits that it needs
        ends = [x for k in keys for t in guards.targets(p.tasks[k]) if (x := stock.until(p, t))]
        deadline = min([deadline, *ends])
    d.record(ta.TaskLeased(worker=e.worker, tasks=keys, deadline_us=deadline))
    d.answer = {"jobs": [job(d, p, p.tasks[k], e.fetch) for k in keys]}
    return None


def _goes(p: Partition, task: Task, picker: guards.Picker | None, worker: clearance.Worker | None) -> bool:
    """Whether it may be handed out now, and to this worker."""
    if p.holding and holding.of_task(p, p.instances.get(task.instance), task):
        return False
    if worker is not None and not worker.takes(task):
        return False
    return picker is None or picker.takes(task)


def peek(d: Decision, e: c.PeekTasks) -> Rejected | None:
    assert d.request is not None
    p, now = d.state, d.facts.now_us
    tenants = tenants_of(d.request, e.tenants)
    if p.holding:
        _set_aside(p, tenants, e.job_type, min(e.max, PEEK_MAX))
    lanes = p.ready.get((tenants[0], e.job_type)) if len(tenants) == 1 else _together(p, tenants, e.job_type)
    waiting: list[list[int]] = []
    left = min(e.max, PEEK_MAX)
    guard = p.guards.get(f"job:{e.job_type}")
    ageing_us = guard.ageing_us if guard is not None else guards.AGEING_US
    for key in _by_priority(p, lanes, e.job_type, now) if lanes else ():
        if left <= 0:
            break
        left -= 1
        task = p.tasks[key]
        urgency = task.priority + (now - task.created_us) // ageing_us
        if waiting and waiting[-1][0] <= urgency:
            waiting[-1][1] += 1
        else:
            waiting.append([urgency, 1])
    d.answer = {"waiting": waiting}
    return None


#: tasks looked at for one `PeekTasks`
PEEK_MAX = 1_000


#: tasks that one hand-out puts aside
ASIDE_MAX = 10_000


def _set_aside(p: Partition, tenants: Sequence[str], job_type: str, wanted: int) -> None:
    """What a hold keeps back is put where its release finds it, until so many at the front of each lane are free: nobody passes over it again.
    No event says so: it follows from the holds."""
    left = ASIDE_MAX
    for tenant in tenants:
        for lane in list(p.ready.get((tenant, job_type), {}).values()):
            held: list[Task] = []
            free = 0
            for key in lane:
                task = p.tasks[key]
                if not holding.of_task(p, p.instances.get(task.instance), task):
                    free += 1
                    if free >= wanted:
                        break
                elif len(held) >= left:
                    p.job_listener.add((tenant, job_type))  # whoever waits asks again
                    break
                else:
                    held.append(task)
            for task in held:
                withhold(p, task)
                offer(p, task)
            left -= len(held)


def _ask(d: Decision, e: c.ActivateTasks, lanes: dict[int, dict[int, None]], keys: list[int], picker: guards.Picker | None) -> None:
    """Limits kept tasks back: their homes are asked for permits, or at the home its turn is noted."""
    short = dict(picker.short) if picker is not None else {}
    missing = min(e.max, sum(map(len, lanes.values()))) - len(keys)
    if missing > 0:
        short.setdefault(f"job:{e.job_type}", missing)
    for target, number in short.items():
        guard = d.state.guards.get(target)
        if guard is None:
            continue
        if not stock.away(d.state, target):
            permits.own(d, guard, max(lanes))
        elif guard.needs(d.state) and not guard.open(d.state):
            permits.ask(d, guard, number, e.timeout_ms * 1000, max(lanes))


def _together(p: Partition, tenants: Sequence[str], job_type: str) -> dict[int, dict[int, None]]:
    """The lanes of several tenants, one behind the other."""
    out: dict[int, dict[int, None]] = {}
    for tenant in tenants:
        for priority, lane in p.ready.get((tenant, job_type), {}).items():
            out[priority] = {**out[priority], **lane} if priority in out else lane
    return out


def _by_priority(p: Partition, lanes: dict[int, dict[int, None]], job_type: str, now_us: int) -> Iterator[int]:
    """Heads of the lanes, the most urgent first: priority plus a point for each so much time that it has waited."""
    guard = p.guards.get(f"job:{job_type}")
    ageing_us = guard.ageing_us if guard is not None else guards.AGEING_US
    heap: list[tuple[float, int, int, Iterator[int]]] = []

    def push(priority: int, lane: Iterator[int]) -> None:
        for key in lane:
            waited = (now_us - p.tasks[key].created_us) / ageing_us
            heappush(heap, (-priority - waited, -priority, key, lane))
            return

    for priority, lane in lanes.items():
        push(priority, iter(lane))
    while heap:
        _, priority, key, lane_ = heappop(heap)
        yield key
        push(-priority, lane_)


def job(d: Decision, p: Partition, task: Task, fetch: list[str] | None) -> dict[str, Any]:
    """What a worker gets (interfaces.md, `/jobs/activate`); keys are integers here, texts at the API."""
    i = p.instances.get(task.instance)
    variables = d.variables(i, task.token) if i is not None else (protection.opened_values(d, task.vars) if task.vars else {})
    if fetch:
        variables = {name: variables[name] for name in fetch if name in variables}
    key = task.key
    told = {
        "key": key, "type": task.job_type, "instance": task.instance, "process": "", "definition": 0, "version": 0, "element": task.element,
        "token": task.token, "headers": task.headers or {}, "variables": variables, "attempt": task.attempt + 1, "retries": task.retries,
        "deadline_us": task.deadline_us, "worker": task.worker, "fence": task.fence,
    }  # fmt: skip
    if i is not None:
        told["process"], told["definition"], told["version"] = i.process, i.definition, i.version
    # a dict of more than 15 is made item by item (CPython): these come behind
    told["tenant"], told["idempotency_key"], told["trace"], told["priority"] = task.tenant, str(key), task.trace, task.priority
    told["kind"], told["details"] = task.listener or task.type, task.details or {}
    return told
