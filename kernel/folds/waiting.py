"""Folds of timers, subscriptions, messages, signals, conditions and incidents."""

from __future__ import annotations

from heapq import heappush

from flowledger.events import waiting as wa
from flowledger.events.base import Envelope
from flowledger.kernel.folds.holds import index_subscription, offer, remove_subscription, withhold
from flowledger.kernel.folds.tokens import hold, seen_key, unhold
from flowledger.kernel.state import READY, Awaited, Incident, Message, Partition, Subscription, Timer
from flowledger.kernel.tasks import guards
from flowledger.kernel.undo import add, discard, drop, drop_queued, keep, nest, put


def timer_scheduled(p: Partition, e: wa.TimerScheduled, v: Envelope) -> None:
    seen_key(p, e.timer)
    put(
        p,
        p.timers,
        e.timer,
        Timer(
            key=e.timer,
            instance=e.key,
            token=e.token,
            element=e.element,
            due_us=e.due_us,
            repeat=e.repeat,
            left=e.left,
            definition=e.definition,
            which=e.which,
        ),
    )
    heappush(p.due, (e.due_us, e.timer))
    i = p.instances.get(e.key)
    if i is not None:
        hold(p, i, e.token, e.timer, e.element)
    else:
        p.changed.add(("timer", e.timer))
        if not e.key:
            own_timer(p, e.element, e.timer, e.due_us)


def own_timer(p: Partition, element: str, timer: int, due_us: int) -> None:
    """A timer of a task without workflow (`task:KIND:LEVEL:TASK`), or of a limit (`wake:...`); `due_us` 0: it is gone."""
    if element.startswith("task:"):
        task = p.tasks.get(int(element.rsplit(":", 1)[1]))
        if task is not None:
            held = [k for k in task.holds or () if k != timer]
            keep(p, task)
            task.holds = ([*held, timer] if due_us else held) or None
            p.changed.add(("task", task.key))
    elif element.startswith("wake:"):
        guards.timer_set(p, element, due_us)


def timer_triggered(p: Partition, e: wa.TimerTriggered, v: Envelope) -> None:
    timer = p.timers.get(e.timer)
    i = p.instances.get(e.key)
    if timer is not None:
        if e.next_us:
            keep(p, timer)
            timer.due_us = e.next_us
            if timer.left > 0:
                timer.left -= 1
            heappush(p.due, (e.next_us, e.timer))
        else:
            drop(p, p.timers, e.timer)
            unhold(p, i, e.token, e.timer)
    if i is None:
        p.changed.add(("timer", e.timer))
        if not e.key and not e.next_us:
            own_timer(p, e.element, e.timer, 0)
    elif (token := i.tokens.get(e.token)) is not None and token.element == e.element:
        keep(p, token)
        token.phase = READY


def timer_cancelled(p: Partition, e: wa.TimerCancelled, v: Envelope) -> None:
    drop(p, p.timers, e.timer)
    i = p.instances.get(e.key)
    unhold(p, i, e.token, e.timer)
    if i is None:
        p.changed.add(("timer", e.timer))
        if not e.key:
            own_timer(p, e.element, e.timer, 0)


def subscription_opened(p: Partition, e: wa.SubscriptionOpened, v: Envelope) -> None:
    seen_key(p, e.subscription)
    s = Subscription(
        key=e.subscription, instance=e.key, token=e.token, element=e.element, kind=e.kind, name=e.name, correlation=e.correlation,
        partition=e.partition, interrupting=e.interrupting, definition=e.definition, which=e.which,
    )  # fmt: skip
    put(p, p.subscriptions, e.subscription, s)
    index_subscription(p, s, v.tenant)
    i = p.instances.get(e.key)
    if i is not None:
        hold(p, i, e.token, e.subscription, e.element)
    else:
        p.changed.add(("subscription", e.subscription))


def subscription_closed(p: Partition, e: wa.SubscriptionClosed, v: Envelope) -> None:
    s = p.subscriptions.get(e.subscription)
    if s is None:
        return
    remove_subscription(p, s)
    i = p.instances.get(e.key)
    unhold(p, i, s.token, s.key)
    if i is None:
        p.changed.add(("subscription", e.subscription))


def message_received(p: Partition, e: wa.MessageReceived, v: Envelope) -> None:
    seen_key(p, e.message)
    put(
        p,
        p.messages,
        e.message,
        Message(
            key=e.message,
            name=e.name,
            correlation=e.correlation,
            vars=e.variables,
            message_id=e.message_id,
            expires_us=e.expires_us,
            tenant=v.tenant,
        ),
    )
    put(p, nest(p, p.by_message, (v.tenant, e.name, e.correlation)), e.message, None)
    if e.message_id:
        add(p, p.by_message_id, (v.tenant, e.name, e.correlation, e.message_id))
    heappush(p.due, (e.expires_us, e.message))
    p.changed.add(("message", e.message))


def message_expired(p: Partition, e: wa.MessageExpired, v: Envelope) -> None:
    m = drop(p, p.messages, e.message)
    p.changed.add(("message", e.message))
    if m is None:
        return
    found = p.by_message.get((m.tenant, m.name, m.correlation))
    if found is not None:
        drop_queued(p, found, m.key)
        if not found:
            drop(p, p.by_message, (m.tenant, m.name, m.correlation))
    discard(p, p.by_message_id, (m.tenant, m.name, m.correlation, m.message_id))


def message_awaited(p: Partition, e: wa.MessageAwaited, v: Envelope) -> None:
    put(p, p.awaited, e.subscription, Awaited(
        subscription=e.subscription, instance=e.key, name=e.name, correlation=e.correlation, home=e.home, process=e.process, once=e.once,
        tenant=v.tenant,
    ))  # fmt: skip
    put(p, nest(p, p.by_awaited, (v.tenant, e.name, e.correlation)), e.subscription, None)
    p.changed.add(("awaited", e.subscription))


def message_unawaited(p: Partition, e: wa.MessageUnawaited, v: Envelope) -> None:
    a = drop(p, p.awaited, e.subscription)
    p.changed.add(("awaited", e.subscription))
    if a is not None:
        found = p.by_awaited.get((a.tenant, a.name, a.correlation))
        if found is not None:
            drop_queued(p, found, e.subscription)
            if not found:
                drop(p, p.by_awaited, (a.tenant, a.name, a.correlation))


def message_assigned(p: Partition, e: wa.MessageAssigned, v: Envelope) -> None:
    m = p.messages.get(e.message)
    if m is not None and e.process:
        keep(p, m)
        m.taken_by = [*(m.taken_by or ()), e.process]
        p.changed.add(("message", e.message))
    a = p.awaited.get(e.subscription)
    if a is not None:
        keep(p, a)
        a.message = e.message
        p.changed.add(("awaited", e.subscription))


def message_correlated(p: Partition, e: wa.MessageCorrelated, v: Envelope) -> None:
    i = p.instances.get(e.key)
    if i is not None and (token := i.tokens.get(e.token)) is not None and token.element == e.element:
        keep(p, token)
        token.phase = READY


def signal_received(p: Partition, e: wa.SignalReceived, v: Envelope) -> None:
    if e.signal:
        seen_key(p, e.signal)
    i = p.instances.get(e.key)
    if i is not None and (token := i.tokens.get(e.token)) is not None and token.element == e.element:
        keep(p, token)
        token.phase = READY


def condition_triggered(p: Partition, e: wa.ConditionTriggered, v: Envelope) -> None:
    s = p.subscriptions.get(e.subscription)
    if s is not None:
        keep(p, s)
        s.armed = False
    i = p.instances.get(e.key)
    if i is not None and (token := i.tokens.get(e.token)) is not None and token.element == e.element:
        keep(p, token)
        token.phase = READY


def incident_raised(p: Partition, e: wa.IncidentRaised, v: Envelope) -> None:
    seen_key(p, e.incident)
    put(
        p,
        p.incidents,
        e.incident,
        Incident(
            key=e.incident,
            instance=e.key,
            token=e.token,
            element=e.element,
            code=e.code,
            message=e.message,
            task=e.task,
            created_us=v.time_us,
        ),
    )
    if e.task and (task := p.tasks.get(e.task)) is not None:
        withhold(p, task)
        keep(p, task)
        task.incident = e.incident
    i = p.instances.get(e.key)
    if i is None:
        p.changed.add(("incident", e.incident))
        return
    keep(p, i)
    i.incidents = [*(i.incidents or ()), e.incident]
    if (token := i.tokens.get(e.token)) is not None:
        keep(p, token)
        token.holds = [*(token.holds or ()), e.incident]
        if not e.task:
            token.incident = e.incident
    else:
        i.holds = [*(i.holds or ()), e.incident]


def incident_resolved(p: Partition, e: wa.IncidentResolved, v: Envelope) -> None:
    drop(p, p.incidents, e.incident)
    if e.task and (task := p.tasks.get(e.task)) is not None:
        keep(p, task)
        task.incident = 0
        offer(p, task)
    i = p.instances.get(e.key)
    if i is None:
        p.changed.add(("incident", e.incident))
        return
    if i.incidents and e.incident in i.incidents:
        keep(p, i)
        i.incidents = [k for k in i.incidents if k != e.incident] or None
    token = unhold(p, i, e.token or e.key, e.incident)
    if token is not None and token is not i and token.incident == e.incident:
        keep(p, token)
        token.incident = 0
