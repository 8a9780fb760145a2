"""What tokens hold: tasks that can be handed out, subscriptions and their indexes."""

from __future__ import annotations

from collections import OrderedDict

from flowledger.kernel import holding
from flowledger.kernel.state import Instance, Partition, Subscription, Task
from flowledger.kernel.tasks import guards, index, people
from flowledger.kernel.undo import drop, drop_ordered, drop_queued, nest, put


def tasks_of(p: Partition, i: Instance) -> list[Task]:
    return [p.tasks[k] for t in i.tokens.values() for k in t.holds or () if k in p.tasks]


def offer(p: Partition, task: Task) -> None:
    """The task can be handed out, unless something is in the way."""
    job_type = task.job_type
    if not job_type or task.worker or task.incident or task.retry_at_us or task.retries <= 0:
        return
    if task.status != "created" and not (task.status == "assigned" and (task.details or {}).get("kind") in MACHINES):
        return
    i = p.instances.get(task.instance)
    if i is not None and (i.paused or i.status != "running"):
        return
    if p.holding and holding.of_task(p, i, task):
        put(p, nest(p, p.kept_back, task.instance or task.key), task.key, None)
        return
    if p.guards and (target := guards.parks(p, task)):
        put(p, nest(p, p.parked, target), task.key, None)
        return
    # a plain dict from whose front much was taken is slow to find its first key
    lane = (task.tenant, job_type)
    lanes = p.ready.get(lane)
    if lanes is None:
        lanes = nest(p, p.ready, lane)
    queue = lanes.get(task.priority)
    if queue is None:
        queue = nest(p, lanes, task.priority, OrderedDict)
    put(p, queue, task.key, None)
    p.job_listener.add(lane)


#: kinds of assignees whose work is handed out as a job
MACHINES = frozenset({"ai_agent", "service", "tool", "external_api", "hybrid"})


def withhold(p: Partition, task: Task) -> None:
    if p.guards:
        guards.withdrawn(p, task)
    if p.kept_back and (mine := p.kept_back.get(task.instance or task.key)) is not None and drop_queued(p, mine, task.key):
        if not mine:
            drop(p, p.kept_back, task.instance or task.key)
        return
    name = (task.tenant, task.job_type)
    lanes = p.ready.get(name)
    if lanes is None:
        return
    lane = lanes.get(task.priority)
    if lane is not None and drop_queued(p, lane, task.key) and not lane:
        drop(p, lanes, task.priority)
        if not lanes:
            drop(p, p.ready, name)


def unqueue(p: Partition, key: int) -> None:
    """Of a job whose task is gone: out of whatever queue."""
    for name, lanes in list(p.ready.items()):
        for priority, lane in list(lanes.items()):
            if drop_queued(p, lane, key) and not lane:
                drop(p, lanes, priority)
        if not lanes:
            drop(p, p.ready, name)


def remove_task(p: Partition, task: Task) -> None:
    drop(p, p.tasks, task.key)
    if not task.worker:
        withhold(p, task)
    elif p.guards:
        guards.unleased(p, task)
    if task.details is not None:
        index.unheld(p, task)
        people.changed(p, task.tenant, index.assignee_of(task))


def index_subscription(p: Partition, s: Subscription, tenant: str) -> None:
    if s.definition:
        put(p, nest(p, p.by_start, (tenant, s.kind, s.name)), s.key, None)
    elif s.kind == "signal":
        put(p, nest(p, p.by_signal, (tenant, s.name)), s.key, None)
    elif s.kind == "conditional":
        put(p, nest(p, p.by_condition, s.instance), s.key, None)


def remove_subscription(p: Partition, s: Subscription) -> None:
    drop(p, p.subscriptions, s.key)
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
            drop(p, p.by_condition, s.instance)
            return
    else:
        return
    if found is not None:
        drop_ordered(p, found, s.key)
