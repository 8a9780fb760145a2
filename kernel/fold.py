"""How each event changes the state: the only place where state changes. Folding never fails, and looks at nothing but event and state.

A token's phase follows from the events: arriving by a flow or being activated anew makes it ARRIVED; an event that says what it waits
for makes it WAITING; the coming of what it waited for, and the end of the last token in its scope, make it READY.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from heapq import heappush
from typing import Any

from flowledger.events import definition as de
from flowledger.events import flow as fl
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Envelope, Event
from flowledger.events.commands import PARTITION_BITS
from flowledger.kernel.state import (
    ANSWERS_MAX,
    READY,
    WAITING,
    Awaited,
    Compensable,
    Definition,
    Incident,
    Instance,
    Message,
    Partition,
    Subscription,
    Task,
    Timer,
    Token,
)
from flowledger.kernel.tasks import guards, index

_COUNTER_MASK = (1 << PARTITION_BITS) - 1
#: more kids than this are kept as a dict (an ordered set)
_KIDS_LIST_MAX = 8


def seen_key(p: Partition, key: int) -> None:
    """The counter never gives a key twice."""
    if key >> PARTITION_BITS == p.meta.partition and (n := key & _COUNTER_MASK) > p.meta.counter:
        p.meta.counter = n


# --- tokens -----------------------------------------------------------------------------------------------------------


def _kid_added(holder: Any, key: int) -> None:
    kids = holder.kids
    if kids is None:
        holder.kids = [key]
    elif type(kids) is list:
        kids.append(key)
        if len(kids) > _KIDS_LIST_MAX:
            holder.kids = dict.fromkeys(kids)
    else:
        kids[key] = None


def _kid_removed(holder: Any, key: int) -> None:
    kids = holder.kids
    if kids is not None:
        if type(kids) is list:
            if key in kids:
                kids.remove(key)
        else:
            kids.pop(key, None)
        if not kids:
            holder.kids = None


def holder_of(i: Instance, scope: int) -> Any:
    """The token of a scope, or the instance for the root scope; None when it is gone."""
    return i if scope == i.key else i.tokens.get(scope)


def _add_token(i: Instance, token: Token) -> None:
    i.tokens[token.key] = token
    holder = holder_of(i, token.scope)
    if holder is not None:
        _kid_added(holder, token.key)


def _remove_token(p: Partition, i: Instance, key: int) -> None:
    """The token, all below it and all that they hold are gone. A scope whose last token ended is to be looked at."""
    token = i.tokens.pop(key, None)
    if token is None:
        return
    for kid in list(token.kids or ()):
        _remove_token(p, i, kid)
    for held in token.holds or ():
        _drop_held(p, i, held)
    if i.compensable:
        _forget(i, key)
        if token.data is not None and "record" in token.data:
            _forget(i, token.data["record"])
    if i.spawning is not None and key in i.spawning:
        i.spawning.remove(key)
    holder = holder_of(i, token.scope)
    if holder is not None:
        _kid_removed(holder, key)
        if holder.kids is None and holder is not i and holder.phase == WAITING:
            holder.phase = READY


def _forget(i: Instance, scope: int) -> None:
    """What could be compensated in a scope can't be any more."""
    assert i.compensable is not None
    for kept in i.compensable.pop(scope, ()):
        _forget(i, kept.record)


def _drop_held(p: Partition, i: Instance, key: int) -> None:
    if key in p.tasks:
        _remove_task(p, p.tasks[key])
    elif key in p.timers:
        del p.timers[key]
    elif key in p.subscriptions:
        _remove_subscription(p, p.subscriptions[key])
    elif key in p.incidents:
        del p.incidents[key]
        if i.incidents and key in i.incidents:
            i.incidents.remove(key)


def _clear(p: Partition, i: Instance, token: Token) -> None:
    """The token leaves its element: what belonged to that stay is gone."""
    if token.holds:
        for held in token.holds:
            _drop_held(p, i, held)
        token.holds = None
    if i.spawning is not None and token.key in i.spawning:
        i.spawning.remove(token.key)
    token.vars = token.data = token.results = None
    token.done = token.incident = token.handler_of = 0


def _hold(p: Partition, i: Instance, token_key: int, key: int, element: str) -> None:
    """`key` is something that the token waits for; at its own element that makes it WAITING."""
    holder = holder_of(i, token_key)
    if holder is None:
        return
    if holder.holds is None:
        holder.holds = [key]
    else:
        holder.holds.append(key)
    if holder is not i and holder.element == element:
        holder.phase = WAITING


def _unhold(i: Instance | None, token_key: int, key: int) -> Any:
    if i is None:
        return None
    holder = holder_of(i, token_key)
    if holder is not None and holder.holds and key in holder.holds:
        holder.holds.remove(key)
        if not holder.holds:
            holder.holds = None
    return holder


# --- workflow.* -------------------------------------------------------------------------------------------------------


def workflow_created(p: Partition, e: wf.WorkflowCreated, v: Envelope) -> None:
    seen_key(p, e.key)
    p.instances[e.key] = Instance(
        key=e.key, process=e.process, definition=e.definition, version=e.version, business_key=e.business_key, status="pending",
        priority=e.priority, vars=dict(e.variables or {}), tokens={}, tenant=v.tenant, correlation=v.correlation, trace=v.trace,
        request=e.request, root=e.key,
    )  # fmt: skip
    p.pending[e.key] = None


def workflow_started(p: Partition, e: wf.WorkflowStarted, v: Envelope) -> None:
    seen_key(p, e.key)
    p.pending.pop(e.key, None)
    variables = e.variables
    i = p.instances[e.key] = Instance(
        key=e.key, process=e.process, definition=e.definition, version=e.version, business_key=e.business_key, priority=e.priority,
        parent=e.parent, parent_token=e.parent_token, root=e.root or e.key, tenant=v.tenant, correlation=v.correlation, trace=v.trace,
        started_us=v.time_us, vars=dict(variables) if variables else {}, tokens={}, metadata=e.metadata,
    )  # fmt: skip
    p.open += 1
    if e.token:
        seen_key(p, e.token)
        i.tokens[e.token] = Token(key=e.token, scope=e.key, element=e.element)
        i.kids = [e.token]


def workflow_ended(p: Partition, e: Any, v: Envelope) -> None:
    i = p.instances.pop(e.key, None)
    if i is None:
        return
    for kid in list(i.kids or ()):
        _remove_token(p, i, kid)
    for held in i.holds or ():
        _drop_held(p, i, held)
    p.unsettled.pop(e.key, None)
    if i.status == "pending":
        p.pending.pop(e.key, None)
    else:
        p.open -= 1


def workflow_paused(p: Partition, e: Any, v: Envelope) -> None:
    i = p.instances[e.key]
    i.paused = True
    for task in tasks_of(p, i):
        _unready(p, task)


def workflow_unpaused(p: Partition, e: Any, v: Envelope) -> None:
    i = p.instances[e.key]
    i.paused = False
    for task in tasks_of(p, i):
        _offer(p, task)


def workflow_suspended(p: Partition, e: Any, v: Envelope) -> None:
    i = p.instances[e.key]
    i.status = "suspended"
    for task in tasks_of(p, i):
        _unready(p, task)


def workflow_resumed(p: Partition, e: Any, v: Envelope) -> None:
    i = p.instances[e.key]
    i.status = "running"
    for task in tasks_of(p, i):
        _offer(p, task)


def workflow_migrated(p: Partition, e: wf.WorkflowMigrated, v: Envelope) -> None:
    i = p.instances[e.key]
    i.definition, i.process, i.version = e.definition, e.process, e.version
    renamed = e.elements or {}
    for token in i.tokens.values():
        token.element = renamed.get(token.element, token.element)
        for held in token.holds or ():
            for table in (p.tasks, p.timers, p.subscriptions, p.incidents):
                if held in table:
                    table[held].element = renamed.get(table[held].element, table[held].element)


def workflow_modified(p: Partition, e: wf.WorkflowModified, v: Envelope) -> None:
    """Says why; the tokens' events follow."""


def variable_set(p: Partition, e: wf.VariableSet, v: Envelope) -> None:
    i = p.instances.get(e.key)
    if i is None:
        return
    if e.scope == i.key:
        i.vars.update(e.variables)
    elif (token := i.tokens.get(e.scope)) is not None:
        if token.vars is None:
            token.vars = dict(e.variables)
        else:
            token.vars.update(e.variables)


# --- flow.* and element.* ---------------------------------------------------------------------------------------------


def element_activated(p: Partition, e: fl.ElementActivated, v: Envelope) -> None:
    i = p.instances[e.key]
    token = i.tokens.get(e.token)
    if token is None:
        seen_key(p, e.token)
        _add_token(
            i,
            Token(
                key=e.token, scope=e.scope, element=e.element, index=e.index, handler_of=e.handler_of,
                vars=dict(e.variables) if e.variables else None,
            ),
        )  # fmt: skip
        if e.index and (body := i.tokens.get(e.scope)) is not None and body.data is not None:
            body.data["spawned"] = e.index
            body.phase = WAITING
        return
    token.phase = WAITING
    if e.variables:
        token.vars = {**(token.vars or {}), **e.variables}


def flow_taken(p: Partition, e: fl.FlowTaken, v: Envelope) -> None:
    i = p.instances[e.key]
    token = i.tokens[e.token]
    if e.spawned:
        seen_key(p, e.spawned)
        _add_token(i, Token(key=e.spawned, scope=token.scope, element=e.target, flow=e.flow))
        return
    if token.holds is not None or token.vars is not None or token.data is not None or token.results is not None or token.incident:
        _clear(p, i, token)
    token.element, token.flow, token.phase, token.handler_of = e.target, e.flow, 0, 0


def gateway_reached(p: Partition, e: fl.GatewayReached, v: Envelope) -> None:
    i = p.instances[e.key]
    for key in e.consumed:
        _remove_token(p, i, key)
    token = i.tokens[e.token]
    token.phase = READY
    if e.state is not None:
        holder = holder_of(i, token.scope)
        if holder is i:
            i.stores = {**(i.stores or {}), f"gateway:{e.element}": e.state}
        elif holder is not None:
            holder.data = {**(holder.data or {}), f"gateway:{e.element}": e.state}


def element_completed(p: Partition, e: fl.ElementCompleted, v: Envelope) -> None:
    i = p.instances.get(e.key)
    if i is not None:
        _remove_token(p, i, e.token)


def element_terminated(p: Partition, e: fl.ElementTerminated, v: Envelope) -> None:
    i = p.instances.get(e.key)
    if i is not None:
        _remove_token(p, i, e.token)


def token_noted(p: Partition, e: fl.TokenNoted, v: Envelope) -> None:
    holder = holder_of(p.instances[e.key], e.token)
    if isinstance(holder, Token):
        holder.data = {**(holder.data or {}), **e.data}
        if holder.data.pop("ready", False):
            holder.phase = READY
        if holder.data.pop("waiting", False):
            holder.phase = WAITING
        if holder.data.pop("spawned_all", False):
            i = p.instances[e.key]
            i.spawning = [k for k in i.spawning or () if k != e.token] or None
    elif holder is not None:
        holder.stores = {**(holder.stores or {}), **e.data}


def loop_started(p: Partition, e: fl.LoopStarted, v: Envelope) -> None:
    token = p.instances[e.key].tokens[e.token]
    token.phase = WAITING
    token.data = {**(token.data or {}), "total": e.total, "sequential": e.sequential, "items": e.items, "spawned": 0}
    token.results = {}
    token.done = 0
    if not e.sequential:
        i = p.instances[e.key]
        i.spawning = [*(i.spawning or ()), e.token]


def loop_item_completed(p: Partition, e: fl.LoopItemCompleted, v: Envelope) -> None:
    i = p.instances[e.key]
    body = i.tokens[e.token]
    body.done += 1
    if e.result is not None:
        if body.results is None:
            body.results = {}
        body.results[e.index] = e.result
    _remove_token(p, i, e.item)
    if 0 <= (body.data or {}).get("total", -1) <= body.done:
        body.phase = READY


def error_occurred(p: Partition, e: fl.ErrorOccurred, v: Envelope) -> None:
    """A fact for readers; what it does follows as events of its own."""


def nothing(p: Partition, e: Event, v: Envelope) -> None:
    """A fact for readers; it changes no state."""


def compensation_recorded(p: Partition, e: fl.CompensationRecorded, v: Envelope) -> None:
    seen_key(p, e.record)
    i = p.instances[e.key]
    kept = i.compensable
    if kept is None:
        kept = i.compensable = {}
    if (inside := kept.pop(e.token, None)) is not None:
        kept[e.record] = inside
    kept.setdefault(e.scope, []).append(Compensable(record=e.record, element=e.element, handler=e.handler, vars=e.variables))


def compensation_started(p: Partition, e: fl.CompensationStarted, v: Envelope) -> None:
    """What is to be undone stands in the token from now on, as `[record, element, handler, variables]`."""
    i = p.instances[e.key]
    taken: dict[int, Compensable | None] = dict.fromkeys(e.activities)
    kept = i.compensable or {}
    for scope in list(kept):
        for c in kept[scope]:
            if c.record in taken:
                taken[c.record] = c
        kept[scope] = [c for c in kept[scope] if c.record not in taken]
        if not kept[scope]:
            del kept[scope]
    i.compensable = kept or None
    if (token := i.tokens.get(e.token)) is not None:
        token.phase = WAITING
        undo = [[c.record, c.element, c.handler, c.vars] for c in taken.values() if c is not None and c.handler]
        token.data = {**(token.data or {}), "undo": undo, "undone": 0}


def compensation_completed(p: Partition, e: fl.CompensationCompleted, v: Envelope) -> None:
    if (token := p.instances[e.key].tokens.get(e.token)) is not None:
        token.phase = READY


def data_written(p: Partition, e: fl.DataWritten, v: Envelope) -> None:
    p.records[("data_store", f"{v.tenant}/{e.store}")] = {"value": e.value}
    p.changed.add(("record", ("data_store", f"{v.tenant}/{e.store}")))


# --- task.* -----------------------------------------------------------------------------------------------------------


def tasks_of(p: Partition, i: Instance) -> list[Task]:
    return [p.tasks[k] for t in i.tokens.values() for k in t.holds or () if k in p.tasks]


def _offer(p: Partition, task: Task) -> None:
    """The task can be handed out, unless something is in the way."""
    if not task.job_type or task.worker or task.incident or task.retry_at_us or task.retries <= 0:
        return
    if task.status != "created" and not (task.status == "assigned" and (task.details or {}).get("kind") in _MACHINES):
        return
    i = p.instances.get(task.instance)
    if i is not None and (i.paused or i.status != "running"):
        return
    if p.guards and (target := guards.parks(p, task)):
        p.parked.setdefault(target, {})[task.key] = None
        return
    lanes = p.ready.get(task.job_type)
    if lanes is None:
        lanes = p.ready[task.job_type] = {}
    lane = lanes.get(task.priority)
    if lane is None:  # a plain dict from whose front much was taken is slow to find its first key
        lane = lanes[task.priority] = OrderedDict()
    lane[task.key] = None
    p.job_listener.add(task.job_type)


#: kinds of assignees whose work is handed out as a job
_MACHINES = frozenset({"ai_agent", "service", "tool", "external_api", "hybrid"})


def _unready(p: Partition, task: Task) -> None:
    if p.guards:
        guards.withdrawn(p, task)
    lanes = p.ready.get(task.job_type)
    if lanes is None:
        return
    lane = lanes.get(task.priority)
    if lane is not None and task.key in lane:
        del lane[task.key]
        if not lane:
            del lanes[task.priority]
            if not lanes:
                del p.ready[task.job_type]


def _remove_task(p: Partition, task: Task) -> None:
    p.tasks.pop(task.key, None)
    if not task.worker:
        _unready(p, task)
    elif p.guards:
        guards.unleased(p, task)
    if task.details is not None:
        index.unheld(p, task)


def task_created(p: Partition, e: ta.TaskCreated, v: Envelope) -> None:
    seen_key(p, e.task)
    task = p.tasks[e.task] = Task(
        key=e.task, instance=e.key, token=e.token, element=e.element, type=e.type, job_type=e.job_type, retries=e.retries,
        priority=e.priority, headers=e.headers, details=e.details, listener=e.listener, created_us=v.time_us, tenant=v.tenant, trace=v.trace,
    )  # fmt: skip
    i = p.instances.get(e.key)
    if i is not None:
        token = i.tokens[e.token]
        if token.holds is None:
            token.holds = [e.task]
        else:
            token.holds.append(e.task)
        if e.listener not in _TELLING:
            token.phase = WAITING
        if e.variables:
            token.vars = {**(token.vars or {}), **e.variables}
    else:
        task.vars = e.variables
        p.changed.add(("task", e.task))
    if e.details is not None:
        if not e.job_type and e.details.get("assignee"):
            task.status = "assigned"
        index.held(p, task)
    _offer(p, task)


def task_leased(p: Partition, e: ta.TaskLeased, v: Envelope) -> None:
    for key in e.tasks:
        task = p.tasks.get(key)
        if task is not None:
            _unready(p, task)
            task.worker, task.deadline_us = e.worker, e.deadline_us
            task.fence += 1
            heappush(p.leases, (e.deadline_us, key, task.fence))
            if p.guards:
                guards.leased(p, task, v.time_us)
            p.changed.add(("instance", task.instance) if task.instance else ("task", key))


def task_lease_extended(p: Partition, e: ta.TaskLeaseExtended, v: Envelope) -> None:
    task = p.tasks[e.task]
    task.deadline_us = e.deadline_us
    heappush(p.leases, (e.deadline_us, e.task, task.fence))


def task_timed_out(p: Partition, e: ta.TaskTimedOut, v: Envelope) -> None:
    for key in e.tasks:
        task = p.tasks.get(key)
        if task is not None:
            if p.guards and task.worker:
                guards.unleased(p, task)
                guards.counted(p, task, ok=False, code="TIMEOUT")
            task.worker, task.deadline_us = "", 0
            _offer(p, task)
            p.changed.add(("instance", task.instance) if task.instance else ("task", key))


def task_completed(p: Partition, e: ta.TaskCompleted, v: Envelope) -> None:
    task = p.tasks.get(e.task)
    if task is not None:
        _remove_task(p, task)
        if p.guards:
            guards.counted(p, task, ok=True)
        if task.details is not None:
            index.learned(p, task, v.time_us, ok=True)
    i = p.instances.get(e.key)
    if i is None:
        p.changed.add(("task", e.task))
        return
    if e.result is not None and isinstance(e.result, dict) and e.result.get("next_assignee"):
        i.stores = {**(i.stores or {}), "next_assignee": e.result["next_assignee"]}
    if e.merged and e.variables:
        if e.merged == i.key:
            i.vars.update(e.variables)
        elif (scope := i.tokens.get(e.merged)) is not None:
            scope.vars = {**(scope.vars or {}), **e.variables}
    token = _unhold(i, e.token, e.task)
    if token is not None:
        if task is not None and task.listener in _TELLING:
            return
        token.phase = READY
        if e.result is not None and task is not None and task.type == "ad_hoc_sub_process":
            token.data = {**(token.data or {}), "result": e.result}
        if task is not None and task.listener:
            token.data = {**(token.data or {}), "listened": (token.data or {}).get("listened", 0) + 1}


#: listeners that are told of a change and hold nobody up
_TELLING = {"assigning", "updating", "canceling"}


def task_failed(p: Partition, e: ta.TaskFailed, v: Envelope) -> None:
    task = p.tasks[e.task]
    if not task.worker:
        _unready(p, task)
    if p.guards:
        if task.worker:
            guards.unleased(p, task)
        guards.counted(p, task, ok=False, code=e.code)
    if task.details is not None:
        index.learned(p, task, v.time_us, ok=False)
    if e.retries <= 0:
        task.status = "failed"
    elif task.status in ("started", "in_progress"):
        task.status = _waiting_status(task)
    task.worker, task.deadline_us = "", 0
    task.retries, task.retry_at_us = e.retries, e.retry_at_us
    task.attempt += 1
    task.row_version += 1
    if e.retries > 0 and e.retry_at_us:
        heappush(p.retrying, (e.retry_at_us, e.task))
    if e.variables and (i := p.instances.get(e.key)) is not None and (token := i.tokens.get(e.token)) is not None:
        token.vars = {**(token.vars or {}), **e.variables}
    if not task.instance:
        p.changed.add(("task", e.task))
    _offer(p, task)


def task_retried(p: Partition, e: ta.TaskRetried, v: Envelope) -> None:
    """Also says that a back-off is over."""
    task = p.tasks.get(e.task)
    if task is not None:
        task.retries, task.retry_at_us = e.retries, 0
        task.row_version += 1
        if task.status in ("failed", "timed_out"):
            task.status = _waiting_status(task)
        if not task.instance:
            p.changed.add(("task", e.task))
        _offer(p, task)


def task_gone(p: Partition, e: Any, v: Envelope) -> None:
    task = p.tasks.get(e.task)
    if task is not None:
        _remove_task(p, task)
        i = p.instances.get(e.key)
        if i is None:
            p.changed.add(("task", e.task))
        else:
            _unhold(i, e.token, e.task)


def task_skipped(p: Partition, e: ta.TaskSkipped, v: Envelope) -> None:
    task_gone(p, e, v)
    i = p.instances.get(e.key)
    if i is not None and (token := i.tokens.get(e.token)) is not None:
        token.phase = READY


def task_changed(p: Partition, e: ta.TaskChanged, v: Envelope) -> None:
    task = p.tasks.get(e.task)
    if task is None:
        return
    _unready(p, task)
    task.status = e.status
    task.row_version += 1
    if e.details:
        if task.worker and ("lease" in e.details or ("assignee" in e.details and e.details["assignee"] != (task.details or {}).get("assignee"))):
            if p.guards:
                guards.unleased(p, task)
            task.worker, task.deadline_us = "", 0  # in other hands: what the worker still sends is refused
            task.fence += 1
        index.unheld(p, task)
        details = {**(task.details or {}), **e.details}
        task.details = {k: x for k, x in details.items() if x is not None} or None
        if "priority" in e.details and isinstance(e.details["priority"], int):
            task.priority = e.details["priority"]
        if isinstance(e.details.get("job_type"), str):
            task.job_type = e.details["job_type"]
        index.held(p, task)
        if isinstance(how := e.details.get("assignment"), dict) and how.get("pool") and how.get("assignee"):
            name = ("round_robin", how["pool"])
            p.records[name] = {"last": how["assignee"]}
            p.changed.add(("record", name))
    if not task.instance:
        p.changed.add(("task", e.task))
    _offer(p, task)


def _waiting_status(task: Task) -> str:
    """Of a task that nobody works on."""
    return (
        "assigned"
        if (task.details or {}).get("assignee") and (not task.job_type or (task.details or {}).get("kind") in _MACHINES)
        else "created"
    )


def sla_breached(p: Partition, e: ta.SlaBreached, v: Envelope) -> None:
    task = p.tasks.get(e.task)
    if task is not None and e.details:
        task.details = {**(task.details or {}), **e.details}
        if not task.instance:
            p.changed.add(("task", e.task))


def breaker_changed(p: Partition, e: ta.BreakerChanged, v: Envelope) -> None:
    p.records[("breaker", e.target)] = {"state": e.state, "until_us": e.until_us, **(e.details or {})}
    p.changed.add(("record", ("breaker", e.target)))
    guards.changed(p, e.target, _offer, _unready)


# --- timers, subscriptions, messages, signals, incidents --------------------------------------------------------------


def timer_scheduled(p: Partition, e: wa.TimerScheduled, v: Envelope) -> None:
    seen_key(p, e.timer)
    p.timers[e.timer] = Timer(
        key=e.timer,
        instance=e.key,
        token=e.token,
        element=e.element,
        due_us=e.due_us,
        repeat=e.repeat,
        left=e.left,
        definition=e.definition,
        which=e.which,
    )
    heappush(p.due, (e.due_us, e.timer))
    i = p.instances.get(e.key)
    if i is not None:
        _hold(p, i, e.token, e.timer, e.element)
    else:
        p.changed.add(("timer", e.timer))
        if not e.key:
            _own_timer(p, e.element, e.timer, e.due_us)


def _own_timer(p: Partition, element: str, timer: int, due_us: int) -> None:
    """A timer of a task without workflow (`task:KIND:LEVEL:TASK`), or of a limit (`wake:...`); `due_us` 0: it is gone."""
    if element.startswith("task:"):
        task = p.tasks.get(int(element.rsplit(":", 1)[1]))
        if task is not None:
            held = [k for k in task.holds or () if k != timer]
            task.holds = ([*held, timer] if due_us else held) or None
            p.changed.add(("task", task.key))
    elif element.startswith("wake:"):
        guards.timer_set(p, element, due_us)


def timer_triggered(p: Partition, e: wa.TimerTriggered, v: Envelope) -> None:
    timer = p.timers.get(e.timer)
    i = p.instances.get(e.key)
    if timer is not None:
        if e.next_us:
            timer.due_us = e.next_us
            if timer.left > 0:
                timer.left -= 1
            heappush(p.due, (e.next_us, e.timer))
        else:
            del p.timers[e.timer]
            _unhold(i, e.token, e.timer)
    if i is None:
        p.changed.add(("timer", e.timer))
        if not e.key and not e.next_us:
            _own_timer(p, e.element, e.timer, 0)
    elif (token := i.tokens.get(e.token)) is not None and token.element == e.element:
        token.phase = READY


def timer_cancelled(p: Partition, e: wa.TimerCancelled, v: Envelope) -> None:
    p.timers.pop(e.timer, None)
    i = p.instances.get(e.key)
    _unhold(i, e.token, e.timer)
    if i is None:
        p.changed.add(("timer", e.timer))
        if not e.key:
            _own_timer(p, e.element, e.timer, 0)


def subscription_opened(p: Partition, e: wa.SubscriptionOpened, v: Envelope) -> None:
    seen_key(p, e.subscription)
    s = p.subscriptions[e.subscription] = Subscription(
        key=e.subscription, instance=e.key, token=e.token, element=e.element, kind=e.kind, name=e.name, correlation=e.correlation,
        partition=e.partition, interrupting=e.interrupting, definition=e.definition, which=e.which,
    )  # fmt: skip
    index_subscription(p, s, v.tenant)
    i = p.instances.get(e.key)
    if i is not None:
        _hold(p, i, e.token, e.subscription, e.element)
    else:
        p.changed.add(("subscription", e.subscription))


def index_subscription(p: Partition, s: Subscription, tenant: str) -> None:
    if s.definition:
        p.by_start.setdefault((tenant, s.kind, s.name), {})[s.key] = None
    elif s.kind == "signal":
        p.by_signal.setdefault((tenant, s.name), {})[s.key] = None
    elif s.kind == "conditional":
        p.by_condition.setdefault(s.instance, {})[s.key] = None


def _remove_subscription(p: Partition, s: Subscription) -> None:
    p.subscriptions.pop(s.key, None)
    if s.definition:
        d = p.definitions.get(s.definition)
        tenant, index, name = (d.tenant if d else ""), p.by_start, (d.tenant if d else "", s.kind, s.name)
        found = index.get(name)
    elif s.kind == "signal":
        i = p.instances.get(s.instance)
        tenant = i.tenant if i else ""
        found = p.by_signal.get((tenant, s.name))
        if found is None or s.key not in found:  # the instance went first
            found = next((x for (_, n), x in p.by_signal.items() if n == s.name and s.key in x), None)
    elif s.kind == "conditional":
        found = p.by_condition.get(s.instance)
        if found is not None and len(found) == 1 and s.key in found:
            del p.by_condition[s.instance]
            return
    else:
        return
    if found is not None:
        found.pop(s.key, None)


def subscription_closed(p: Partition, e: wa.SubscriptionClosed, v: Envelope) -> None:
    s = p.subscriptions.get(e.subscription)
    if s is None:
        return
    _remove_subscription(p, s)
    i = p.instances.get(e.key)
    _unhold(i, s.token, s.key)
    if i is None:
        p.changed.add(("subscription", e.subscription))


def message_received(p: Partition, e: wa.MessageReceived, v: Envelope) -> None:
    seen_key(p, e.message)
    p.messages[e.message] = Message(
        key=e.message,
        name=e.name,
        correlation=e.correlation,
        vars=e.variables,
        message_id=e.message_id,
        expires_us=e.expires_us,
        tenant=v.tenant,
    )
    p.by_message.setdefault((v.tenant, e.name, e.correlation), {})[e.message] = None
    if e.message_id:
        p.by_message_id.add((v.tenant, e.name, e.correlation, e.message_id))
    heappush(p.due, (e.expires_us, e.message))
    p.changed.add(("message", e.message))


def message_expired(p: Partition, e: wa.MessageExpired, v: Envelope) -> None:
    m = p.messages.pop(e.message, None)
    p.changed.add(("message", e.message))
    if m is None:
        return
    found = p.by_message.get((m.tenant, m.name, m.correlation))
    if found is not None:
        found.pop(m.key, None)
        if not found:
            del p.by_message[(m.tenant, m.name, m.correlation)]
    p.by_message_id.discard((m.tenant, m.name, m.correlation, m.message_id))


def message_awaited(p: Partition, e: wa.MessageAwaited, v: Envelope) -> None:
    p.awaited[e.subscription] = Awaited(
        subscription=e.subscription, instance=e.key, name=e.name, correlation=e.correlation, home=e.home, process=e.process, once=e.once,
        tenant=v.tenant,
    )  # fmt: skip
    p.by_awaited.setdefault((v.tenant, e.name, e.correlation), {})[e.subscription] = None
    p.changed.add(("awaited", e.subscription))


def message_unawaited(p: Partition, e: wa.MessageUnawaited, v: Envelope) -> None:
    a = p.awaited.pop(e.subscription, None)
    p.changed.add(("awaited", e.subscription))
    if a is not None:
        found = p.by_awaited.get((a.tenant, a.name, a.correlation))
        if found is not None:
            found.pop(e.subscription, None)
            if not found:
                del p.by_awaited[(a.tenant, a.name, a.correlation)]


def message_assigned(p: Partition, e: wa.MessageAssigned, v: Envelope) -> None:
    m = p.messages.get(e.message)
    if m is not None and e.process:
        m.taken_by = [*(m.taken_by or ()), e.process]
        p.changed.add(("message", e.message))
    a = p.awaited.get(e.subscription)
    if a is not None:
        a.message = e.message
        p.changed.add(("awaited", e.subscription))


def message_correlated(p: Partition, e: wa.MessageCorrelated, v: Envelope) -> None:
    i = p.instances.get(e.key)
    if i is not None and (token := i.tokens.get(e.token)) is not None and token.element == e.element:
        token.phase = READY


def signal_received(p: Partition, e: wa.SignalReceived, v: Envelope) -> None:
    if e.signal:
        seen_key(p, e.signal)
    i = p.instances.get(e.key)
    if i is not None and (token := i.tokens.get(e.token)) is not None and token.element == e.element:
        token.phase = READY


def condition_triggered(p: Partition, e: wa.ConditionTriggered, v: Envelope) -> None:
    s = p.subscriptions.get(e.subscription)
    if s is not None:
        s.armed = False
    i = p.instances.get(e.key)
    if i is not None and (token := i.tokens.get(e.token)) is not None and token.element == e.element:
        token.phase = READY


def incident_raised(p: Partition, e: wa.IncidentRaised, v: Envelope) -> None:
    seen_key(p, e.incident)
    p.incidents[e.incident] = Incident(
        key=e.incident, instance=e.key, token=e.token, element=e.element, code=e.code, message=e.message, task=e.task, created_us=v.time_us
    )
    if e.task and (task := p.tasks.get(e.task)) is not None:
        _unready(p, task)
        task.incident = e.incident
    i = p.instances.get(e.key)
    if i is None:
        p.changed.add(("incident", e.incident))
        return
    i.incidents = [*(i.incidents or ()), e.incident]
    if (token := i.tokens.get(e.token)) is not None:
        token.holds = [*(token.holds or ()), e.incident]
        if not e.task:
            token.incident = e.incident


def incident_resolved(p: Partition, e: wa.IncidentResolved, v: Envelope) -> None:
    p.incidents.pop(e.incident, None)
    if e.task and (task := p.tasks.get(e.task)) is not None:
        task.incident = 0
        _offer(p, task)
    i = p.instances.get(e.key)
    if i is None:
        p.changed.add(("incident", e.incident))
        return
    if i.incidents and e.incident in i.incidents:
        i.incidents = [k for k in i.incidents if k != e.incident] or None
    token = _unhold(i, e.token, e.incident)
    if token is not None and token is not i and token.incident == e.incident:
        token.incident = 0


# --- definitions, ledger ----------------------------------------------------------------------------------------------


def definition_created(p: Partition, e: de.DefinitionCreated, v: Envelope) -> None:
    seen_key(p, e.key)
    seen_key(p, e.deployment)
    p.definitions[e.key] = Definition(
        key=e.key, id=e.id, kind=e.kind, version=e.version, hash=e.hash, name=e.name, version_tag=e.version_tag, resource=e.resource,
        format=e.format, deployment=e.deployment, status=e.status, metadata=e.metadata, tenant=v.tenant,
    )  # fmt: skip
    p.process_versions.setdefault((v.tenant, e.kind, e.id), {})[e.version] = e.key
    p.changed.add(("definition", e.key))


def definition_status_changed(p: Partition, e: de.DefinitionStatusChanged, v: Envelope) -> None:
    if (d := p.definitions.get(e.key)) is not None:
        d.status = e.status
        p.changed.add(("definition", e.key))


def definition_updated(p: Partition, e: de.DefinitionUpdated, v: Envelope) -> None:
    if (d := p.definitions.get(e.key)) is not None:
        d.hash, d.name = e.hash, e.name or d.name
        if e.metadata is not None:
            d.metadata = e.metadata
        p.changed.add(("definition", e.key))


def definition_deleted(p: Partition, e: de.DefinitionDeleted, v: Envelope) -> None:
    if (d := p.definitions.get(e.key)) is not None:
        d.deleted = True
        versions = p.process_versions.get((d.tenant, d.kind, d.id))
        if versions:
            versions.pop(d.version, None)
        p.changed.add(("definition", e.key))


def partition_claimed(p: Partition, e: le.PartitionClaimed, v: Envelope) -> None:
    p.meta.epoch, p.meta.owner = e.epoch, e.owner


def outbound(p: Partition, e: le.Outbound, v: Envelope) -> None:
    p.meta.sent[e.to] = e.seq
    p.outbox[(e.to, e.seq)] = e.command


def outbound_confirmed(p: Partition, e: le.OutboundConfirmed, v: Envelope) -> None:
    for seq in range(p.meta.confirmed.get(e.to, 0) + 1, e.seq + 1):
        p.outbox.pop((e.to, seq), None)
    p.meta.confirmed[e.to] = max(e.seq, p.meta.confirmed.get(e.to, 0))


def inbound(p: Partition, e: le.Inbound, v: Envelope) -> None:
    p.meta.taken[e.sender] = max(e.seq, p.meta.taken.get(e.sender, 0))


def answered(p: Partition, e: le.Answered, v: Envelope) -> None:
    p.answers[e.id] = e.answer
    p.changed.add(("answer", e.id))
    if len(p.answers) > ANSWERS_MAX:
        oldest = next(iter(p.answers))
        del p.answers[oldest]
        p.changed.add(("answer", oldest))


def record_stored(p: Partition, e: le.RecordStored, v: Envelope) -> None:
    name = (e.registry, e.name)
    if e.value is None:
        p.records.pop(name, None)
    else:
        p.records[name] = e.value
    p.changed.add(("record", name))
    if e.registry in index.REGISTRIES:
        index.stored(p, e.registry, e.name)
        guards.stored(p, e.registry, e.name, _offer)


TRANSITIONS: dict[type[Event], Callable[[Partition, Any, Envelope], None]] = {
    le.PartitionClaimed: partition_claimed,
    le.Outbound: outbound,
    le.OutboundConfirmed: outbound_confirmed,
    le.Inbound: inbound,
    le.Answered: answered,
    le.DeadLettered: nothing,
    le.TriggerFired: nothing,
    le.RecordStored: record_stored,
    de.DefinitionCreated: definition_created,
    de.DefinitionStatusChanged: definition_status_changed,
    de.DefinitionUpdated: definition_updated,
    de.DefinitionDeleted: definition_deleted,
    wf.WorkflowCreated: workflow_created,
    wf.WorkflowStarted: workflow_started,
    wf.WorkflowCompleted: workflow_ended,
    wf.WorkflowFailed: workflow_ended,
    wf.WorkflowCancelled: workflow_ended,
    wf.WorkflowTerminated: workflow_ended,
    wf.WorkflowPaused: workflow_paused,
    wf.WorkflowUnpaused: workflow_unpaused,
    wf.WorkflowSuspended: workflow_suspended,
    wf.WorkflowResumed: workflow_resumed,
    wf.WorkflowMigrated: workflow_migrated,
    wf.WorkflowModified: workflow_modified,
    wf.VariableSet: variable_set,
    fl.ElementActivated: element_activated,
    fl.FlowTaken: flow_taken,
    fl.GatewayReached: gateway_reached,
    fl.ElementCompleted: element_completed,
    fl.ElementTerminated: element_terminated,
    fl.TokenNoted: token_noted,
    fl.LoopStarted: loop_started,
    fl.LoopItemCompleted: loop_item_completed,
    fl.ErrorOccurred: error_occurred,
    fl.EscalationTriggered: nothing,
    fl.CompensationRecorded: compensation_recorded,
    fl.CompensationStarted: compensation_started,
    fl.CompensationCompleted: compensation_completed,
    fl.DataWritten: data_written,
    fl.DecisionEvaluated: nothing,
    ta.TaskCreated: task_created,
    ta.TaskLeased: task_leased,
    ta.TaskLeaseExtended: task_lease_extended,
    ta.TaskTimedOut: task_timed_out,
    ta.TaskCompleted: task_completed,
    ta.TaskFailed: task_failed,
    ta.TaskRetried: task_retried,
    ta.TaskCancelled: task_gone,
    ta.TaskAssigned: task_changed,
    ta.TaskAccepted: task_changed,
    ta.TaskReleased: task_changed,
    ta.TaskStarted: task_changed,
    ta.TaskProgress: task_changed,
    ta.TaskSuspended: task_changed,
    ta.TaskResumed: task_changed,
    ta.TaskDelegated: task_changed,
    ta.TaskRecalled: task_changed,
    ta.TaskTransferred: task_changed,
    ta.TaskEscalated: task_changed,
    ta.TaskCommented: task_changed,
    ta.TaskUpdated: task_changed,
    ta.TaskSkipped: task_skipped,
    ta.SlaBreached: sla_breached,
    ta.BreakerChanged: breaker_changed,
    wa.TimerScheduled: timer_scheduled,
    wa.TimerTriggered: timer_triggered,
    wa.TimerCancelled: timer_cancelled,
    wa.SubscriptionOpened: subscription_opened,
    wa.SubscriptionClosed: subscription_closed,
    wa.MessageReceived: message_received,
    wa.MessageExpired: message_expired,
    wa.MessageAwaited: message_awaited,
    wa.MessageUnawaited: message_unawaited,
    wa.MessageAssigned: message_assigned,
    wa.MessageCorrelated: message_correlated,
    wa.SignalReceived: signal_received,
    wa.ConditionTriggered: condition_triggered,
    wa.IncidentRaised: incident_raised,
    wa.IncidentResolved: incident_resolved,
}


def evolve(p: Partition, event: Event, envelope: Envelope) -> None:
    """Fold one event. Time never goes back; the instance is marked as changed for the next checkpoint."""
    if envelope.time_us > p.meta.now_us:
        p.meta.now_us = envelope.time_us
    TRANSITIONS[type(event)](p, event, envelope)
    if event.key:
        p.changed.add(("instance", event.key))
