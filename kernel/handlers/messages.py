"""Messages and signals: who waits, who takes, what is kept.

Source: BPMN 2.0.2, 10.5.5. A message goes to one waiting instance of each process, and starts at most one instance of each; it is kept for its
time to live (Zeebe's rules).
"""

from __future__ import annotations

from typing import Any

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits, lookup
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import conditional, events, signals
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers import instances, keeping
from flowledger.kernel.handlers.arming import start_nodes
from flowledger.kernel.state import Instance, Message


def publish(d: Decision, e: c.PublishMessage) -> Rejected | None:
    p, tenant = d.state, d.envelope.tenant
    if not e.name:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected a message name, found none")
    if not 0 <= e.ttl_ms <= limits.TTL_MS_MAX:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected a time to live of 0 to {limits.TTL_MS_MAX} ms, found {e.ttl_ms}")
    if e.message_id and (tenant, e.name, e.correlation_key, e.message_id) in p.by_message_id:
        same = [
            p.messages[k] for k in p.by_message.get((tenant, e.name, e.correlation_key)) or () if p.messages[k].message_id == e.message_id
        ]
        if any(m.expires_us > d.facts.now_us for m in same):
            return Rejected(RejectionCode.ALREADY_EXISTS, f"a message '{e.name}' with id '{e.message_id}' was published before")
        for m in same:  # its time was over, and nobody has looked yet
            d.record(wa.MessageExpired(message=m.key))
    starts = len(p.by_start.get((tenant, "message", e.name)) or ())
    _bounded(e.variables, starts + len(p.by_awaited.get((tenant, e.name, e.correlation_key)) or ()))
    key = d.key()
    d.record(
        wa.MessageReceived(
            message=key, name=e.name, correlation=e.correlation_key, variables=e.variables, message_id=e.message_id,
            expires_us=d.facts.now_us + e.ttl_ms * 1000,
        )
    )  # fmt: skip
    d.answer = {"key": key}
    m = p.messages[key]
    _start_by(d, m)
    for subscription in list(p.by_awaited.get((tenant, e.name, e.correlation_key)) or ()):
        _assign(d, m, subscription)
    if e.ttl_ms == 0:
        d.record(wa.MessageExpired(message=key))
    return None


def _bounded(variables: dict[str, Any] | None, receivers: int) -> None:
    """What a command gives to many is made in one decision. Raises: Failure VALUE_TOO_LARGE."""
    if receivers > 1 and variables:
        try:
            size = len(avro.encode_json(variables))
        except Exception:  # noqa: BLE001 - the event that is to hold it says so
            return
        if size * receivers > limits.FAN_OUT_BYTES_MAX:
            most = limits.FAN_OUT_BYTES_MAX // receivers
            raise Failure("VALUE_TOO_LARGE", f"variables: expected at most {most} bytes for {receivers} receivers, found {size}")


def next_start(d: Decision, i: Instance) -> None:
    """An instance that a message started has ended: the oldest message of its correlation key that is still kept starts the next."""
    p = d.state
    lock = _lock(i.tenant, i.process, i.business_key)
    if not i.business_key or (held := p.records.get(lock)) is None or held["instance"] != i.key:
        return
    d.record(le.RecordStored(registry=lock[0], name=lock[1], value=None))
    newest = lookup.latest(p, i.tenant, "process", i.process)
    if newest is None:
        return
    names = {str(e.name.static) for n in start_nodes(d.facts.processes[newest.key]) for e in n.events if e.kind == "message"}
    waiting = sorted(key for name in names for key in p.by_message.get((i.tenant, name, i.business_key)) or ())
    for key in waiting:
        m = p.messages[key]
        if m.expires_us > d.facts.now_us and i.process not in (m.taken_by or ()):
            _start_by(d, m, i.process)
            if lock in p.records:
                return


def _lock(tenant: str, process: str, correlation: str) -> tuple[str, str]:
    return "message_start", f"{tenant}/{process}/{correlation}"


def _start_by(d: Decision, m: Message, process: str = "") -> None:
    p = d.state
    for key in list(p.by_start.get((m.tenant, "message", m.name)) or ()):
        s = p.subscriptions[key]
        definition = p.definitions[s.definition]
        if process and definition.id != process:
            continue
        if definition.id in (m.taken_by or ()):
            continue
        lock = _lock(m.tenant, definition.id, m.correlation)
        if m.correlation and (held := p.records.get(lock)) and held["instance"] in p.instances:
            continue  # one instance of a process per correlation key at a time
        d.record(wa.MessageAssigned(message=m.key, subscription=key, process=definition.id))
        d.record(le.TriggerFired(definition=definition.key, element=s.element, kind="message", name=m.name))
        answer, d.answer = d.answer, {}
        started = instances.start_by_event(d, s, m.vars, m.correlation)
        d.answer = answer
        if m.correlation and started:
            d.record(le.RecordStored(registry=lock[0], name=lock[1], value={"instance": started}))


def _assign(d: Decision, m: Message, subscription: int) -> bool:
    """Send the message to an instance that waits for it, unless one of its process has it or another is on its way there."""
    a = d.state.awaited.get(subscription)
    if a is None or a.message or a.process in (m.taken_by or ()):
        return False
    d.record(wa.MessageAssigned(message=m.key, subscription=subscription, process=a.process))
    d.send(
        a.home,
        c.Correlate(
            message=m.key, subscription=subscription, name=m.name, correlation=m.correlation, variables=m.vars, home=d.state.meta.partition
        ),
    )
    return True


def wait_for(d: Decision, e: c.AwaitMessage) -> Rejected | None:
    tenant = d.envelope.tenant
    if e.subscription in d.state.awaited:  # asked again, since the sender did not know that this had arrived
        return None
    d.record(
        wa.MessageAwaited(
            key=e.key, subscription=e.subscription, name=e.name, correlation=e.correlation, home=c.partition_of_key(e.key), process=e.process,
            once=e.once,
        )
    )  # fmt: skip
    _take_buffered(d, e.subscription, tenant, e.name, e.correlation)
    return None


def _take_buffered(d: Decision, subscription: int, tenant: str, name: str, correlation: str) -> None:
    for key in list(d.state.by_message.get((tenant, name, correlation)) or ()):
        m = d.state.messages[key]
        if m.expires_us > d.facts.now_us and _assign(d, m, subscription):
            return


def stop_waiting(d: Decision, e: c.UnawaitMessage) -> Rejected | None:
    if e.subscription in d.state.awaited:
        d.record(wa.MessageUnawaited(subscription=e.subscription))
    return None


def correlate(d: Decision, e: c.Correlate) -> Rejected | None:
    p = d.state
    s = p.subscriptions.get(e.subscription)
    i = p.instances.get(s.instance) if s is not None else None
    if s is None or i is None:
        d.send(e.home, c.MessageTaken(message=e.message, subscription=e.subscription, taken=False))
        return None

    if p.holding and keeping.keep(d, i, e, s.token, s.element):
        if not s.interrupting:  # it is safe here, and its subscription waits for more
            d.send(e.home, c.MessageTaken(message=e.message, subscription=e.subscription, taken=True))
        return None
    told = d.applying == i.key and not s.interrupting

    def fact(token: int, element: str) -> None:
        d.record(
            wa.MessageCorrelated(
                key=i.key, message=e.message, subscription=e.subscription, token=token, element=element, name=e.name, variables=e.variables
            )
        )

    if s.interrupting:
        d.record(wa.SubscriptionClosed(key=i.key, subscription=s.key, token=s.token))
    try:
        events.occurred(d, i, s.token, s.element, e.variables, fact, s.which)
    except Failure as failure:
        token = i.tokens.get(s.token)
        if token is not None:
            d.incident(i, token, failure)
    if not told:
        d.send(e.home, c.MessageTaken(message=e.message, subscription=e.subscription, taken=True))
    return None


def taken(d: Decision, e: c.MessageTaken) -> Rejected | None:
    p = d.state
    a = p.awaited.get(e.subscription)
    if a is not None and e.taken and not a.once:
        d.record(
            wa.MessageAwaited(
                key=a.instance,
                subscription=a.subscription,
                name=a.name,
                correlation=a.correlation,
                home=a.home,
                process=a.process,
                once=False,
            )
        )
        _take_buffered(d, a.subscription, a.tenant, a.name, a.correlation)
        return None
    if a is not None:
        d.record(wa.MessageUnawaited(subscription=e.subscription))
    m = p.messages.get(e.message)
    if not e.taken and m is not None and a is not None:
        m_process = a.process
        for other in list(p.by_awaited.get((m.tenant, m.name, m.correlation)) or ()):
            waiting = p.awaited[other]
            if waiting.process == m_process and not waiting.message:
                d.record(wa.MessageAssigned(message=m.key, subscription=other, process=""))
                d.send(
                    waiting.home,
                    c.Correlate(
                        message=m.key, subscription=other, name=m.name, correlation=m.correlation, variables=m.vars, home=p.meta.partition
                    ),
                )
                break
    return None


def expire(d: Decision, e: c.ExpireMessages) -> Rejected | None:
    for key in e.messages:
        m = d.state.messages.get(key)
        if m is not None and m.expires_us <= d.facts.now_us:
            d.because(f"message:{key}")
            d.record(wa.MessageExpired(message=key))
    return None


def broadcast(d: Decision, e: c.BroadcastSignal) -> Rejected | None:
    tenant = d.envelope.tenant
    if not e.name:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected a signal name, found none")
    key = 0 if e.relayed else d.key()
    d.record(wa.SignalReceived(name=e.name, variables=e.variables, signal=key))
    if not e.relayed:
        d.answer = {"key": key}
        signals.tell_others(d, e.name, e.variables)
    signals.reach(d, tenant, e.name, e.variables)
    return None


def catch_signal(d: Decision, e: c.CatchSignal) -> Rejected | None:
    signals.go_through(d, [e.subscription, *e.more], e.name, e.variables)
    return None


def evaluate_conditions(d: Decision, e: c.EvaluateConditions) -> Rejected | None:
    """Starts an instance for each conditional start event that is true."""
    if e.definition and e.definition not in d.state.definitions:
        return instances.not_found("a process definition with key", e.definition)
    _bounded(e.variables, len(d.state.by_start.get((d.envelope.tenant, "conditional", "")) or ()))
    d.answer = {"instances": conditional.start_by(d, e.variables, None, e.definition)}
    return None
