"""Jobs: leased, completed, failed, retried. Source: interfaces.md `/jobs`; Zeebe's gateway protocol for the meaning of each answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Any

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import business
from flowledger.kernel import retries as policy
from flowledger.kernel.access import holders
from flowledger.kernel.access.gate import tenants_of
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements.triggers import error
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers import keeping
from flowledger.kernel.handlers.instances import asked, not_found
from flowledger.kernel.state import Instance, Partition, Task
from flowledger.kernel.tasks import assignment, clock, guards, index, permits, registry, rules, stock

#: statuses from which a result is taken
OPEN = frozenset({"created", "assigned", "started", "in_progress"})
RESULTS = ("success", "partial_success")


def activate(d: Decision, e: c.ActivateTasks) -> Rejected | None:
    """Highest priority first, oldest first within one, and long waiting counts as priority, so that nothing starves. The cost does not grow with
    the number of waiting tasks."""
    if not e.job_type or e.max < 1 or e.timeout_ms < 1:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected a job type, max of 1 or more and a timeout of 1 ms or more")
    p = d.state
    assert d.request is not None
    tenants = tenants_of(d.request, e.tenants)
    lanes = p.ready.get((tenants[0], e.job_type)) if len(tenants) == 1 else _together(p, tenants, e.job_type)
    if not lanes:
        d.answer = {"jobs": []}
        return None
    wanted, picker, wake_us = e.max, None, 0
    if p.guards:
        wanted, wake_us = guards.room(p, e.job_type, lanes, wanted, d.facts.now_us)
        picker = guards.Picker(p, d.facts.now_us)
    keys: list[int] = []
    if wanted > 0:
        scanned = 0
        for key in next(iter(lanes.values())) if len(lanes) == 1 else _by_priority(p, lanes, e.job_type, d.facts.now_us):
            if picker is not None and not picker.takes(p.tasks[key]):
                scanned += 1
                if scanned >= guards.SCAN_MAX:
                    break
                continue
            keys.append(key)
            if len(keys) >= wanted:
                break
    if p.guards and p.meta.partitions > 1:
        _ask(d, e, lanes, keys, picker)
    if not keys:
        d.answer = {"jobs": []}
        if wake_us:
            guards.wake(d, f"job:{e.job_type}", e.job_type, wake_us)
        elif picker is not None and picker.wake_us:
            guards.wake(d, picker.limited, e.job_type, picker.wake_us)
        return None
    timeout_ms = e.timeout_ms
    if "task_definition" in p.registry:  # no attempt takes longer than its definition allows
        definition = index.record(p, "task_definition", d.envelope.tenant, e.job_type) or {}
        timeout_ms = min(timeout_ms, definition.get("timeout_ms") or timeout_ms)
    deadline = d.facts.now_us + timeout_ms * 1000
    if p.guards and p.meta.partitions > 1:  # no lease outlives the permits that it needs
        ends = [x for k in keys for t in guards.targets(p.tasks[k]) if (x := stock.until(p, t))]
        deadline = min([deadline, *ends])
    d.record(ta.TaskLeased(worker=e.worker, tasks=keys, deadline_us=deadline))
    d.answer = {"jobs": [job(d, p, p.tasks[k], e.fetch) for k in keys]}
    return None


def peek(d: Decision, e: c.PeekTasks) -> Rejected | None:
    assert d.request is not None
    p, now = d.state, d.facts.now_us
    tenants = tenants_of(d.request, e.tenants)
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
            permits.ask(d, guard, number, d.facts.now_us + e.timeout_ms * 1000, max(lanes))


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
    variables = d.variables(i, task.token) if i is not None else (task.vars or {})
    if fetch:
        variables = {name: variables[name] for name in fetch if name in variables}
    return {
        "key": task.key,
        "type": task.job_type,
        "instance": task.instance,
        "process": i.process if i is not None else "",
        "definition": i.definition if i is not None else 0,
        "version": i.version if i is not None else 0,
        "element": task.element,
        "token": task.token,
        "headers": task.headers or {},
        "variables": variables,
        "attempt": task.attempt + 1,
        "retries": task.retries,
        "deadline_us": task.deadline_us,
        "worker": task.worker,
        "fence": task.fence,
        "tenant": task.tenant,
        "idempotency_key": f"{task.key}",
        "trace": task.trace,
        "priority": task.priority,
        "kind": task.listener or task.type,
        "details": task.details or {},
    }


def find(d: Decision, key: int, fence: int) -> Task | Rejected:
    task = d.state.tasks.get(key)
    if task is None:
        return not_found("an open task with key", key)
    if fence and task.fence != fence:
        return Rejected(
            RejectionCode.STALE, f"task {key} was handed to another worker since: expected fencing number {task.fence}, found {fence}"
        )
    i = d.state.instances.get(task.instance)
    if i is not None and i.status in keeping.STILL:
        if not task.worker:  # what a worker has in hand is kept
            return Rejected(RejectionCode.INVALID_STATE, f"instance {i.key} of task {key} is {i.status}")
        return keeping.full(i) or task
    return task


def complete(d: Decision, e: c.CompleteTask) -> Rejected | None:
    task = find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    if not (e.fence and task.worker) and (refused := holders.refuse(d, task, "complete")) is not None:  # else it shows its lease
        return refused
    if e.variables is not None and not isinstance(e.variables, dict):
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected variables to be an object")
    if task.status not in OPEN:
        return Rejected(
            RejectionCode.INVALID_STATE, f"can't complete task {e.task}: it is {task.status}, expected {' or '.join(sorted(OPEN))}"
        )
    status = e.status if e.result is None and e.status in RESULTS else _status(e)
    if isinstance(status, Rejected):
        return status
    if task.details is not None:
        if (refused := rules.check_output(d, task, e.variables)) is not None:
            return refused
    i = d.state.instances.get(task.instance)
    if e.variables and business.VARIABLE in e.variables and i is not None and (refused := _state_refused(d, i, e.variables)) is not None:
        return refused
    if i is not None and i.status in keeping.STILL and keeping.keep(d, i, e):
        d.answer = {"kept": True}
        return None
    if task.details is not None and task.details.get("kind") == "hybrid" and task.worker:
        _drafted(d, task, e)
        return None
    counts = guards.names_of(d.state, task) if d.state.guards else None
    if i is None:
        _tidy(d, task)
        d.record(
            ta.TaskCompleted(
                task=task.key, token=0, element=task.element, variables=e.variables, status=status, result=e.result, worker=task.worker
            )
        )
        if counts:
            guards.after(d, counts)
        ended(d, task, "completed", e.variables or {})
        return None
    token = i.tokens[task.token]
    merged = 0
    spread: dict[str, Any] | None = None
    variables = e.variables
    if task.details is not None and isinstance(settings := task.details.get("settings"), dict) and settings.get("statusVariable"):
        variables = {**(variables or {}), settings["statusVariable"]: status}  # so that a partial success may take its own flow
    if variables:
        node = d.facts.processes[i.definition].nodes[token.element]
        whole = node.properties.get("flowledger:result")
        if whole and whole not in variables and not task.listener:  # steps keep a step's result together
            variables = {whole: variables}
        if node.outputs or task.listener:
            merged = token.key
        elif token.vars is None and token.scope == i.key:
            merged = i.key
        else:
            homes = {d.home_of(i, token.key, name) for name in variables}
            if len(homes) == 1:
                merged = homes.pop()
            else:
                spread = variables
    d.record(
        ta.TaskCompleted(
            key=i.key,
            task=task.key,
            token=token.key,
            element=token.element,
            variables=variables,
            merged=merged,
            status=status,
            result=e.result,
            worker=task.worker,
        )
    )
    if counts:
        guards.after(d, counts)
    if spread:
        d.set_variables(i, token.key, spread)
    d.work.append((i.key, token.key))
    return None


def _status(e: c.CompleteTask) -> str | Rejected:
    """The word of the result, by itself or in the result."""
    told = e.result.get("status") if isinstance(e.result, dict) else None
    for word in (e.status, told):
        if word is not None and word not in RESULTS:
            return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected the status {' or '.join(RESULTS)}, found {word!r}")
    if told is not None and e.status != "success" and told != e.status:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one status, found '{e.status}' and '{told}' in the result")
    return told or e.status


def _state_refused(d: Decision, i: Instance, variables: dict[str, Any]) -> Rejected | None:
    """A result can't set the business state past its table."""
    try:
        business.check(d.process(i), i, variables)
    except Failure as failure:
        return Rejected(RejectionCode.INVALID_STATE, failure.message)
    return None


def _drafted(d: Decision, task: Task, e: c.CompleteTask) -> None:
    """Of a hybrid task the agent's part is done: a person confirms it, with the agent's result as the draft."""
    details = task.details or {}
    to = assignment.settings_of(task) or {}
    person = to.get("assignee") if to.get("assignee") != details.get("assignee") else None
    changes: dict[str, Any] = {
        "draft": e.variables or {}, "drafted_by": details.get("assignee") or task.worker, "kind": "human", "job_type": "", "lease": None, "assignee": person,
        "assignment": {"type": "hybrid", "why": "the agent's draft is to be confirmed", "drafted_by": details.get("assignee") or task.worker},
    }  # fmt: skip
    status = "assigned" if person else "created"
    d.record(ta.TaskProgress(key=task.instance, task=task.key, status=status, reason="drafted, to be confirmed", details=changes))
    d.answer = {"status": status, "to_be_confirmed": True}


def ended(d: Decision, task: Task, status: str, variables: dict[str, Any], message: str = "") -> None:
    """Of a task without workflow: whoever waits for it is answered."""
    d.finish(task.key, status, variables, message)
    if task.details and (by := task.details.get("request")):
        d.outcome(by, {"task": task.key}, status, variables, message)


def _tidy(d: Decision, task: Task) -> None:
    """A task without workflow ends: what it holds goes before it."""
    if task.holds:
        clock.stop(d, task)
    if task.incident:
        resolve_incident(d, task)


def resolve_incident(d: Decision, task: Task) -> None:
    """What kept it from being handed out is over."""
    d.record(wa.IncidentResolved(key=task.instance, incident=task.incident, token=task.token, task=task.key))


def fail(d: Decision, e: c.FailTask) -> Rejected | None:
    task = find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    if (refused := holders.refuse(d, task, "fail", e.fence)) is not None:
        return refused
    if task.status in ("suspended", "failed", "timed_out"):
        return Rejected(RejectionCode.INVALID_STATE, f"can't fail task {e.task}: it is {task.status}")
    if keeping.keep(d, d.state.instances.get(task.instance), e):
        d.answer = {"kept": True}
        return None
    counts = guards.names_of(d.state, task) if d.state.guards else None
    left, backoff_ms = policy.after_failure(task, e, d.facts.now_us)
    retry_at = d.facts.now_us + backoff_ms * 1000 if left > 0 and backoff_ms > 0 else 0
    d.record(
        ta.TaskFailed(
            key=task.instance, task=task.key, token=task.token, element=task.element, retries=left, retry_at_us=retry_at, code=e.code,
            message=e.message, details=e.details, variables=e.variables, worker=task.worker,
        )
    )  # fmt: skip
    if counts:
        guards.after(d, counts)
    d.answer = {"retries": left, "retry_at_us": retry_at}
    if isinstance(e.details, dict) and e.details.get("escalation_required") is True:
        _escalation_required(d, task, e)
    elif left <= 0:
        policy.exhausted(d, task, e)
    return None


def _escalation_required(d: Decision, task: Task, e: c.FailTask) -> None:
    """Whoever failed asks for it: the next level of the path; without one a person gets the task (C-32)."""
    reason = e.message or e.code or "asked for by the failure"
    if task.retries <= 0:
        d.record(ta.TaskRetried(key=task.instance, task=task.key, retries=1))
    if (found := clock.next_level(task)) is not None:
        clock.escalate(d, task, found[1], found[0], reason)
    else:
        details: dict[str, Any] = {"job_type": "", "kind": "human", "assignee": None, "error": {"code": e.code, "message": e.message},
                   "escalation": {"level": 1, "to": [], "from": (task.details or {}).get("assignee")}}  # fmt: skip
        d.record(ta.TaskEscalated(key=task.instance, task=task.key, status="created", reason=reason, details=details))


def throw_error(d: Decision, e: c.ThrowTaskError) -> Rejected | None:
    task = find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    if (refused := holders.refuse(d, task, "fail", e.fence)) is not None:
        return refused
    i = d.state.instances.get(task.instance)
    if i is None:
        return Rejected(RejectionCode.INVALID_STATE, f"task {e.task} belongs to no workflow: nothing could catch the error")
    if keeping.keep(d, i, e):
        d.answer = {"kept": True}
        return None
    token = i.tokens[task.token]
    try:
        error.throw_code(d, i, token, e.code, e.message, e.variables)
    except Failure as failure:
        d.incident(i, token, failure, task=task.key)
    return None


def extend(d: Decision, e: c.ExtendLease) -> Rejected | None:
    task = find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    if not task.worker:
        return Rejected(RejectionCode.INVALID_STATE, f"nobody has the lease of task {e.task}")
    if e.timeout_ms < 1:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected a timeout of 1 ms or more, found {e.timeout_ms}")
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
    task = find(d, e.task, 0)
    if isinstance(task, Rejected):
        return task
    if e.retries < 1:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one retry or more, found {e.retries}")
    d.record(ta.TaskRetried(key=task.instance, task=task.key, retries=e.retries))
    return None


def create(d: Decision, e: c.CreateTask) -> Rejected | None:
    tenant = d.envelope.tenant
    details: dict[str, Any] | None = {**(e.details or {}), **({"name": e.name} if e.name else {})} or None
    retries, priority, headers = e.retries, e.priority, e.headers
    variables, kind, job_type = e.variables, e.type, e.job_type
    if details is not None or "task_definition" in d.state.registry:
        settings = rules.grouped((details or {}).get("settings") or {}) if isinstance((details or {}).get("settings") or {}, dict) else None
        if settings is None:
            return Rejected(RejectionCode.INVALID_ARGUMENT, "expected `settings` to be an object")
        wrong = clock.problems(settings) + (registry.assignment_problems(settings["assignment"]) if "assignment" in settings else [])
        if wrong:
            return Rejected(RejectionCode.INVALID_ARGUMENT, "; ".join(wrong))
        named = (details or {}).get("definition")
        details, definition = rules.prepare(d.state, tenant, job_type, details, d.facts.now_us)
        if named and not definition:
            return not_found("a task definition", f"'{named}'")
        if definition:
            fresh = c.CreateTask()
            retries = definition.get("retries", retries) if retries == fresh.retries else retries
            priority = definition.get("priority", priority) if priority == fresh.priority else priority
            kind = definition.get("type", kind) if kind == fresh.type else kind
            job_type = job_type or definition.get("job_type", "")
            headers = {**definition["headers"], **(headers or {})} if definition.get("headers") else headers
            variables = {**definition["variables"], **(variables or {})} if definition.get("variables") else variables
        if wrong := rules.check_input(d.state, tenant, definition, details, variables, d.facts):
            return Rejected(RejectionCode.INVALID_ARGUMENT, f"INPUT_INVALID: {'; '.join(wrong)}")
    if e.wait and d.request is not None and d.request.id:
        details = {**(details or {}), "request": asked(d.request, e.fetch)}
    key = d.key()
    d.record(
        ta.TaskCreated(
            task=key, token=0, element="", type=kind, job_type=job_type, retries=retries, priority=priority, headers=headers,
            variables=variables, details=details,
        )
    )  # fmt: skip
    if details is not None:
        rules.created(d, d.state.tasks[key], [], None)
    d.answer = {"task": key}
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
    return i is not None and i.status == "suspended"


def ready(d: Decision, e: c.ReadyTasks) -> Rejected | None:
    p, now = d.state, d.facts.now_us
    for key in e.tasks:
        task = p.tasks.get(key)
        if task is not None and task.retry_at_us and task.retry_at_us <= now:
            d.because(f"task:{key}")
            d.record(ta.TaskRetried(key=task.instance, task=key, retries=task.retries))
    return None
