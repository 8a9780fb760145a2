"""The checks of one partition: each looks at one thing of a table and says what doesn't hold. Pure; the state is at rest between two decisions.

What stands still on purpose is no finding: what is suspended, held or quarantined, has something kept, has to be looked at still (the step limit), or has
an incident. Things that are due are told from things that are lost by the heaps of the partition: what stands there comes in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowledger.events import commands as c
from flowledger.kernel import holding, soundness
from flowledger.kernel.elements import ad_hoc_sub_process, cancelling
from flowledger.kernel.fold import holder_of
from flowledger.kernel.model.graph import Node, Process
from flowledger.kernel.state import WAITING, Awaited, Incident, Instance, Message, Partition, Subscription, Task, Timer, Token
from flowledger.kernel.tasks import guards, quotas
from flowledger.kernel.watchdog.kinds import Found, found

#: what is due for less than this is on its way (microseconds)
LATE_US = 10_000_000


class Look:
    """The state, the models, and the time of a look. It stands in for a `Decision` where only these are asked for."""

    __slots__ = ("_called", "_leases", "_retrying", "_timed", "now_us", "processes", "room", "state")

    def __init__(self, state: Partition, processes: Mapping[int, Process], now_us: int, instances_max: int = 0) -> None:
        self.state, self.processes, self.now_us = state, processes, now_us
        #: one more instance may run
        self.room = not instances_max or state.open < instances_max
        self._timed: set[tuple[int, int]] | None = None
        self._leases: set[tuple[int, int, int]] | None = None
        self._retrying: set[tuple[int, int]] | None = None
        self._called: set[int] | None = None

    def process(self, i: Instance) -> Process:
        return self.processes[i.definition]

    def timed(self, at: int, key: int) -> bool:
        """It stands among what comes by its time."""
        if self._timed is None:
            self._timed = set(self.state.due)
        return (at, key) in self._timed

    def leased(self, t: Task) -> bool:
        if self._leases is None:
            self._leases = set(self.state.leases)
        return (t.deadline_us, t.key, t.fence) in self._leases

    def retried(self, t: Task) -> bool:
        if self._retrying is None:
            self._retrying = set(self.state.retrying)
        return (t.retry_at_us, t.key) in self._retrying

    def waits_for_place(self, token: int) -> bool:
        """What the call `token` asked for is pending (held, or there is no room), or has not said yet that it runs."""
        if self._called is None:
            p = self.state
            self._called = {(p.instances[k].request or {}).get("parent_token", 0) for k in p.pending}
            self._called.update(i.parent_token for i in p.instances.values())
        return token in self._called

    def late(self, at: int) -> bool:
        return at + LATE_US < self.now_us


def of_instance(look: Look, i: Instance) -> Iterator[Found]:
    p = look.state
    if (why := _idle(look, i)) and not p.holds:
        yield found("instance_idle", i.key, f"instance {i.key} of '{i.process}' {why}", i)
    if i.status == "pending" or i.status == "quarantined":
        return
    settled = i.key not in p.unsettled and not i.spawning
    if not i.tokens:
        if settled and not i.kept:
            yield found("instance_without_token", i.key, f"instance {i.key} of '{i.process}' has no token", i)
        return
    outside = [t for t in i.tokens.values() if t.scope != i.key and t.scope not in i.tokens]
    for token in outside:
        says = f"the token {token.key} at '{token.element}' stands in scope {token.scope}, which is gone"
        yield found("token_without_scope", token.key, says, i, token.element, token.key)
    if outside:
        return  # what is in it, and what waits for it, is judged once that is mended
    lost = set()
    holders: list[Instance | Token] = [i, *i.tokens.values()]
    for holder in holders:
        for key in holder.holds or ():
            if key not in p.tasks and key not in p.timers and key not in p.subscriptions and key not in p.incidents:
                lost.add(holder.key)
                at = getattr(holder, "element", "")
                who = f"the token {holder.key} at '{at}'" if at else f"instance {i.key}"
                says = f"{who} counts on {key}, which is gone"
                yield found("wait_lost", key, says, i, at, holder.key if at else 0)
    if not settled:
        return
    nodes = look.process(i).nodes
    for token, why in soundness.unsound(look, i):
        if token.key not in lost:
            yield found("token_stuck", token.key, why, i, token.element, token.key, _repairs(token, nodes[token.element]))
    yield from _calls(look, i, nodes)


def _idle(look: Look, i: Instance) -> str:
    """Where nothing is held at all: what it has to do at once, `""` when nothing. A follow-up that does it is on its way, or was lost."""
    p = look.state
    if i.status == "pending":
        return "waits to begin, though there is room" if look.room and quotas.has_place(p, i, look.now_us) else ""
    if i.status != "running":
        return ""
    if i.key in p.unsettled:
        return "was to go on after the limit of steps"
    return f"keeps {len(i.kept)} commands that nothing holds any more" if i.kept else ""


def _repairs(token: Token, node: Node) -> tuple[str, ...]:
    last = ("withdraw", "incident")
    if token.phase != WAITING:
        joins = len(node.incoming) > 1 and node.kind.endswith("Gateway") and token.flow
        return ("let_go" if joins else "look", *last)
    return (("look" if node.loop is not None and not token.index and not ad_hoc_sub_process.is_inner(token) else "enter"), *last)


def is_call(token: Token, node: Node) -> bool:
    """It waits for the instance that it called: no body of a loop, no job of a listener, nothing of a cancellation."""
    if token.phase != WAITING or token.incident or node.kind != "callActivity" or "cancelling" in (token.data or {}):
        return False
    return node.loop is None or bool(token.index)


def related(look: Look, i: Instance) -> bool:
    """It was called, or has called: what breaks that may happen elsewhere."""
    nodes = look.process(i).nodes
    return bool(i.parent) or any(nodes[t.element].kind == "callActivity" for t in i.tokens.values())


def _calls(look: Look, i: Instance, nodes: Mapping[str, Node]) -> Iterator[Found]:
    """Calls of this partition whose instance is gone; of those elsewhere `peers` asks."""
    p = look.state
    if i.kept or i.status != "running" or (p.holding and holding.frozen(p, i)):
        return
    for token in i.tokens.values():
        if not is_call(token, nodes[token.element]) or any(k in p.tasks for k in token.holds or ()):
            continue
        child = (token.data or {}).get("child")
        if child:
            if c.partition_of_key(child) == p.meta.partition and child not in p.instances:
                says = f"the token {token.key} at '{token.element}' waits for instance {child}, which is gone"
                yield found("call_without_child", token.key, says, i, token.element, token.key)
        elif p.meta.partitions == 1 and not look.waits_for_place(token.key):
            says = f"the token {token.key} at '{token.element}' waits for an instance that was never started"
            yield found("call_without_child", token.key, says, i, token.element, token.key)


def of_child(look: Look, i: Instance) -> Iterator[Found]:
    """A called instance whose caller is on this partition, too."""
    p = look.state
    if not i.parent or c.partition_of_key(i.parent) != p.meta.partition or i.status == "quarantined" or cancelling.is_one(i):
        return
    if not has_call(p, i.parent, i.parent_token, i.key):
        says = (
            f"instance {i.key} of '{i.process}' was called by the token {i.parent_token} of instance {i.parent}, which does not wait for it"
        )
        yield found("child_without_parent", i.key, says, i)


def has_call(p: Partition, parent: int, token: int, child: int) -> bool:
    """The call waits for this instance; what is held may have heard of it and not looked yet."""
    caller = p.instances.get(parent)
    if caller is None:
        return False
    if caller.status == "quarantined" or caller.kept:
        return True
    at = caller.tokens.get(token)
    return at is not None and (at.data or {}).get("child") == child


def of_task(look: Look, t: Task) -> Iterator[Found]:
    p = look.state
    i = p.instances.get(t.instance)
    if t.instance:
        token = i.tokens.get(t.token) if i is not None else None
        if token is None or t.key not in (token.holds or ()):
            says = f"the task {t.key} at '{t.element}' belongs to the token {t.token} of instance {t.instance}, which does not know of it"
            yield found("task_without_token", t.key, says, i, t.element, tenant=t.tenant, instance=t.instance)
            return
    if i is not None and i.status == "quarantined":
        return
    if t.worker:
        if look.late(t.deadline_us) and not look.leased(t):
            yield found(
                "lease_overdue", t.key, f"the lease of '{t.worker}' on task {t.key} has run out", i, t.element, t.token, tenant=t.tenant
            )
    elif t.retry_at_us and t.retries > 0:
        if look.late(t.retry_at_us) and not look.retried(t):
            yield found("retry_overdue", t.key, f"the task {t.key} was to be tried again", i, t.element, t.token, tenant=t.tenant)
    elif t.job_type and not _queued(p, i, t):
        says = f"the job {t.key} of type '{t.job_type}' at '{t.element}' is free, and in no queue"
        yield found("job_not_offered", t.key, says, i, t.element, t.token, tenant=t.tenant)


def _queued(p: Partition, i: Instance | None, t: Task) -> bool:
    """It waits where it should, or something is in its way (`folds/holds.offer`)."""
    lane = p.ready.get((t.tenant, t.job_type))
    if lane is not None and (queue := lane.get(t.priority)) is not None and t.key in queue:
        return True
    if t.incident or t.retries <= 0:
        return True
    if t.status != "created" and not (t.status == "assigned" and (t.details or {}).get("kind") in _MACHINES):
        return True
    if i is not None and (i.paused or i.status != "running"):
        return True
    if p.holding and holding.of_task(p, i, t):
        return True
    if p.guards and any(t.key in (p.parked.get(target) or ()) for target in guards.targets(t)):
        return True
    return lane is not None and any(t.key in queue for queue in lane.values())


#: as in `folds/holds.py`
_MACHINES = frozenset({"ai_agent", "service", "tool", "external_api", "hybrid"})


def of_timer(look: Look, t: Timer) -> Iterator[Found]:
    p = look.state
    i = p.instances.get(t.instance)
    if t.instance and not _held(i, t.token, t.key):
        says = f"the timer {t.key} of '{t.element}' belongs to the token {t.token} of instance {t.instance}, which does not know of it"
        yield found("timer_without_token", t.key, says, i, t.element, instance=t.instance)
        return
    if not look.late(t.due_us):
        return
    if i is not None and (i.status == "quarantined" or i.kept or (p.holding and holding.frozen(p, i, t.token, t.element))):
        return
    if look.timed(t.due_us, t.key):
        return
    yield found("timer_overdue", t.key, f"the timer {t.key} of '{t.element}' was due", i, t.element, t.token)


def _held(i: Instance | None, token: int, key: int) -> bool:
    holder = holder_of(i, token) if i is not None else None
    return holder is not None and key in (holder.holds or ())


def of_subscription(look: Look, s: Subscription) -> Iterator[Found]:
    p = look.state
    if s.definition:
        return
    i = p.instances.get(s.instance)
    if not _held(i, s.token, s.key):
        says = (
            f"the subscription {s.key} of '{s.element}' belongs to the token {s.token} of instance {s.instance}, which does not know of it"
        )
        yield found("subscription_without_token", s.key, says, i, s.element, instance=s.instance)
    elif (
        s.kind == "message"
        and s.partition == p.meta.partition
        and s.key not in p.awaited
        and not (i is not None and i.status == "quarantined")
    ):
        yield unheard(s, i)


def unheard(s: Subscription, i: Instance | None) -> Found:
    says = f"the message '{s.name}' with key '{s.correlation}' is not awaited on partition {s.partition} for the subscription {s.key} of '{s.element}'"
    return found("subscription_unheard", s.key, says, i, s.element, s.token)


def of_awaited(look: Look, a: Awaited) -> Iterator[Found]:
    p = look.state
    if a.home == p.meta.partition and a.subscription not in p.subscriptions:
        yield for_nobody(a)


def for_nobody(a: Awaited) -> Found:
    says = f"the message '{a.name}' with key '{a.correlation}' is awaited for the subscription {a.subscription} of instance {a.instance}, which is gone"
    return found("awaited_without_subscription", a.subscription, says, tenant=a.tenant, instance=a.instance)


def of_message(look: Look, m: Message) -> Iterator[Found]:
    if look.late(m.expires_us) and not look.timed(m.expires_us, m.key):
        yield found("message_overdue", m.key, f"the message {m.key} named '{m.name}' should have gone", tenant=m.tenant)


def of_incident(look: Look, x: Incident) -> Iterator[Found]:
    if not x.instance:
        return
    i = look.state.instances.get(x.instance)
    if i is None or (x.token and x.token not in i.tokens):
        what = f"the token {x.token} of instance {x.instance}" if i is not None else f"instance {x.instance}"
        says = f"the incident {x.key} ({x.code}) is about {what}, which is gone"
        yield found("incident_without_token", x.key, says, i, x.element, instance=x.instance)


def of_lane(look: Look, lane: tuple[str, str]) -> Iterator[Found]:
    """Of the queues of a job type: what stands in them and is no task."""
    p = look.state
    for queue in list((p.ready.get(lane) or {}).values()):
        for key in queue:
            if key not in p.tasks:
                yield found("job_without_task", key, f"the job {key} stands in the queue of type '{lane[1]}'", tenant=lane[0])


#: table of a partition -> its checks
CHECKS: dict[str, tuple[Callable[[Look, Any], Iterator[Found]], ...]] = {
    "instances": (of_instance, of_child), "tasks": (of_task,), "timers": (of_timer,), "subscriptions": (of_subscription,), "awaited": (of_awaited,),
    "messages": (of_message,), "incidents": (of_incident,),
}  # fmt: skip


def everything(look: Look) -> list[Found]:
    """One look at all of a partition."""
    p = look.state
    out = [f for name, checks in CHECKS.items() for x in list(getattr(p, name).values()) for check in checks for f in check(look, x)]
    return out + [f for lane in list(p.ready) for f in of_lane(look, lane)]


#: kind -> the table in which its subject stands
TABLES: dict[str, str] = {
    **dict.fromkeys(("task_without_token", "job_not_offered", "lease_overdue", "retry_overdue"), "tasks"),
    **dict.fromkeys(("timer_without_token", "timer_overdue"), "timers"),
    **dict.fromkeys(("subscription_without_token", "subscription_unheard"), "subscriptions"),
    "awaited_without_subscription": "awaited", "message_overdue": "messages", "incident_without_token": "incidents",
}  # fmt: skip


def again(look: Look, kind: str, subject: int, instance: int = 0) -> Found | None:
    """Whether it still doesn't hold; None: it does, or what it is about is gone. `instance`: where a token is looked for first."""
    p = look.state
    if (table := TABLES.get(kind)) is not None:
        x = getattr(p, table).get(subject)
        seen = [f for check in CHECKS[table] for f in check(look, x)] if x is not None else []
    elif kind == "job_without_task":
        seen = [f for lane in list(p.ready) for f in of_lane(look, lane)]
    else:
        own = p.instances.get(instance) or p.instances.get(subject)
        some = [own] if own is not None else [i for i in p.instances.values() if subject in i.tokens or kind == "wait_lost"]
        seen = [f for i in some for check in CHECKS["instances"] for f in check(look, i)]
    return next((f for f in seen if f.kind == kind and f.subject == subject), None)
