"""Findings of the watchdog: told to whoever asks, and repaired by events that there are anyway. What is found no more is not repaired.

A repair looks first whether its finding still holds, on the state as it is now; those of which only another partition could tell are taken from the
watchdog's own list (`Facts.watch`). What it does is decided like any other command, so it can be asked first, and replay gives the same state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import putoff, soundness
from flowledger.kernel.access.rights import ANY_TENANT, may
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import cancelling, events, placing, triggers
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers import incidents, instances, leases, messages, timers
from flowledger.kernel.state import Instance, Token
from flowledger.kernel.watchdog import looking, peers
from flowledger.kernel.watchdog.kinds import KINDS, OF_PARTITION, REPAIRS, Found, no_finding, parts_of

#: registry whose record `commands` says when an operator let the owner take over anew; it is told to nobody else
REGISTRY = "watchdog"


def listing(d: Decision, e: co.ListFindings) -> Rejected | None:
    watch, tenant = d.facts.watch, d.envelope.tenant
    everybody = not tenant and d.request is not None and may(d.request, ANY_TENANT)
    d.answer = watch.report(None if everybody else tenant) if watch is not None else {"findings": [], "partition": d.state.meta.partition}
    return None


def asked(d: Decision, e: co.AskPeers) -> Rejected | None:
    if len(e.questions) > peers.ASKED_MAX:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected at most {peers.ASKED_MAX} questions, found {len(e.questions)}")
    meta = d.state.meta
    d.answer = {  # while something waits that was put off, nothing is known for certain
        "missing": [] if putoff.waiting(d.state) else peers.missing(d.state, e.questions), "taken": meta.taken.get(e.partition, 0), "sent": meta.sent.get(e.partition, 0),
    }  # fmt: skip
    return None


def repair(d: Decision, e: co.RepairFinding) -> Rejected | None:
    """Raises: Failure."""
    parts = parts_of(e.id)
    if parts is None or parts[0] != d.state.meta.partition:
        return no_finding(e.id)
    f = _holds(d, parts[1], int(parts[2]))
    if f is None:
        return no_finding(e.id)
    how = e.repair or f.repairs[0]
    if how not in f.repairs:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one of {', '.join(f.repairs)} for {e.id}, found '{how[:80]}'")
    i = d.state.instances.get(f.instance)
    if i is not None and i.status == "quarantined":
        return Rejected(RejectionCode.INVALID_STATE, f"instance {i.key} is quarantined: release it, or cancel it")
    refused = _DO[f.kind](d, f, how, e.reason or f"a repair: {f.says}")
    if refused is not None:
        return refused
    if d.work or d.touched:
        d.run()
    d.answer = {"id": e.id, "repair": how, "did": REPAIRS[how]}
    return None


def _holds(d: Decision, kind: str, subject: int) -> Found | None:
    if kind not in OF_PARTITION:
        own = looking.again(looking.Look(d.state, d.facts.processes, d.facts.now_us, d.facts.instances_max), kind, subject)
        if own is not None:
            return own
    elif kind == "projection_lag":  # the door has seen it
        return Found(kind, subject, KINDS[kind].says, repairs=KINDS[kind].repairs)
    watch = d.facts.watch
    return watch.known(kind, subject) if watch is not None else None


# --- tokens


def _token(d: Decision, f: Found) -> tuple[Instance, Token]:
    i = d.state.instances[f.instance]
    return i, i.tokens[f.token]


def _stuck(d: Decision, f: Found, how: str, why: str) -> None:
    i, token = _token(d, f)
    if how == "withdraw":
        placing.withdraw(d, i, token)
        _emptied(d, i, why)
    elif how == "incident":
        d.incident(i, token, Failure("WATCHDOG", f.says))
    elif how == "let_go":
        placing.changed(d, i)
    else:  # enter, look: as its phase says
        _enter(d, i, token)


def _enter(d: Decision, i: Instance, token: Token) -> None:
    """Its own work is made again; its boundary events are armed already. Raises: Failure when it waits for nothing again."""
    incidents.try_again(d, i, token)
    still = i.tokens.get(token.key)
    if still is not None and not d.work and i.key in d.state.instances and _unsound(d, i, still):
        raise Failure(
            "NOTHING_AWAITED", f"'{token.element}' was entered again and waits for nothing: withdraw its token, or raise an incident"
        )


def _unsound(d: Decision, i: Instance, token: Token) -> bool:
    return any(t is token for t, _ in soundness.unsound(d, i))


def _lost(d: Decision, f: Found, how: str, why: str) -> Rejected | None:
    """What was lost is forgotten. It was the element's own work, or an event beside it: which one is only sure where as many aren't armed as were lost."""
    i = d.state.instances[f.instance]
    p = d.state
    holder: Any = i.tokens.get(f.token, i)
    gone = [k for k in holder.holds or () if k not in p.tasks and k not in p.timers and k not in p.subscriptions and k not in p.incidents]
    for key in gone:
        d.record(wa.TimerCancelled(key=i.key, timer=key, token=holder.key, element=f.element))
    process = d.process(i)
    if holder is not i and _unsound(d, i, holder):
        if how == "incident":
            d.incident(i, holder, Failure("WATCHDOG", f.says))
        else:
            _enter(d, i, holder)
        return None
    first: Token | None = next(iter(i.tokens.values())) if holder is i else holder
    node = process.root if holder is i else process.nodes[holder.element]
    events_of = [*node.attached, *(s for sub in node.event_subs for s in sub.starts)]
    armed = {(x.element, x.which) for k in holder.holds or () if (x := p.timers.get(k) or p.subscriptions.get(k)) is not None}
    open_ = [(n, w, x) for n in events_of for w, x in enumerate(n.events) if x.kind not in events.THROWN and (n.id, w) not in armed]
    if how == "arm" and len(open_) <= len(gone):
        for element, which, event in open_:
            triggers.arm(d, i, holder.key, element, event, element.interrupting, which)
    elif first is not None and not first.incident:
        d.incident(
            i, first, Failure("WATCHDOG", f"{f.says}; armed may be again: {', '.join(sorted({n.id for n, _, _ in open_})) or 'nothing'}")
        )
    return None


def _outside(d: Decision, f: Found, how: str, why: str) -> None:
    i, token = _token(d, f)
    d.terminate(i, token)
    _emptied(d, i, why)


def _emptied(d: Decision, i: Instance, why: str) -> None:
    """Nothing is left: it ends, as after a modification."""
    if not i.tokens:
        cancelling.end(d, i, why, True)


def _end(d: Decision, f: Found, how: str, why: str) -> None:
    cancelling.end(d, d.state.instances[int(f.subject)], why, True)


def _go_on(d: Decision, f: Found, how: str, why: str) -> Rejected | None:
    return instances.go_on(d, c.Continue(key=int(f.subject)))


def _orphan(d: Decision, f: Found, how: str, why: str) -> None:
    """Its caller, who may have called anew, hears nothing of this end."""
    i = d.state.instances[int(f.subject)]
    cancelling.end(d, i, f"its caller {i.parent} does not wait for it: {why}", True)


# --- what tokens wait for


def _cancel_task(d: Decision, f: Found, how: str, why: str) -> None:
    t = d.state.tasks[int(f.subject)]
    d.record(ta.TaskCancelled(key=t.instance, task=t.key, token=t.token, element=t.element))


def _cancel_timer(d: Decision, f: Found, how: str, why: str) -> None:
    t = d.state.timers[int(f.subject)]
    d.record(wa.TimerCancelled(key=t.instance, timer=t.key, token=t.token, element=t.element))


def _close(d: Decision, f: Found, how: str, why: str) -> None:
    s = d.state.subscriptions[int(f.subject)]
    d.record(wa.SubscriptionClosed(key=s.instance, subscription=s.key, token=s.token))
    if s.kind == "message":
        d.send(s.partition, c.UnawaitMessage(subscription=s.key))


def _await(d: Decision, f: Found, how: str, why: str) -> None:
    s = d.state.subscriptions[int(f.subject)]
    i = d.state.instances[s.instance]
    wanted = c.AwaitMessage(subscription=s.key, key=i.key, name=s.name, correlation=s.correlation, process=i.process, once=s.interrupting)
    d.send(s.partition, wanted)


def _unawait(d: Decision, f: Found, how: str, why: str) -> None:
    d.record(wa.MessageUnawaited(subscription=int(f.subject)))


def _resolve(d: Decision, f: Found, how: str, why: str) -> None:
    x = d.state.incidents[int(f.subject)]
    d.record(wa.IncidentResolved(key=x.instance, incident=x.key, token=x.token, task=x.task))


def _offer(d: Decision, f: Found, how: str, why: str) -> None:
    d.record(ta.TaskReturned(tasks=[int(f.subject)]))


# --- what is due


def _fire(d: Decision, f: Found, how: str, why: str) -> Rejected | None:
    key = int(f.subject)
    if f.kind == "timer_overdue":
        return timers.fire(d, c.FireTimers(timers=[key]))
    if f.kind == "lease_overdue":
        return leases.expire(d, c.ExpireLeases(tasks=[key]))
    if f.kind == "retry_overdue":
        return leases.ready(d, c.ReadyTasks(tasks=[key]))
    return messages.expire(d, c.ExpireMessages(messages=[key]))


# --- partitions


def _resend(d: Decision, f: Found, how: str, why: str) -> None:
    """Lost numbers are filled with what does nothing; a send of no meaning sets the resending off."""
    p, to = d.state, int(f.subject)
    me = p.meta.partition
    for seq in range(p.meta.confirmed.get(to, 0) + 1, p.meta.sent.get(to, 0) + 1):
        if (to, seq) not in p.outbox:
            filler = c.Request(command=c.Confirm(to=to, seq=0), sender=me, seq=seq)
            d.record(le.Outbound(seq=seq, to=to, command=msgspec.json.encode(filler)))
    d.send(to, c.Confirm(to=to, seq=0))


def _take_over(d: Decision, f: Found, how: str, why: str) -> None:
    """The owner sees it, answers, and steps down (`processors/watchdog.py`)."""
    d.record(le.RecordStored(registry=REGISTRY, name="commands", value={"at_us": d.facts.now_us}))


def _nothing(d: Decision, f: Found, how: str, why: str) -> None:
    """What is to be done is the door's."""


_DO: dict[str, Callable[[Decision, Found, str, str], Rejected | None]] = {
    "token_stuck": _stuck, "wait_lost": _lost, "token_without_scope": _outside, "instance_without_token": _end, "child_without_parent": _orphan, "instance_idle": _go_on,
    "call_without_child": _stuck, "task_without_token": _cancel_task, "job_without_task": _offer, "job_not_offered": _offer,
    "timer_without_token": _cancel_timer, "subscription_without_token": _close, "subscription_unheard": _await, "awaited_without_subscription": _unawait,
    "incident_without_token": _resolve, "timer_overdue": _fire, "lease_overdue": _fire, "retry_overdue": _fire, "message_overdue": _fire,
    "send_unconfirmed": _resend, "commands_lag": _take_over, "projection_lag": _nothing,
}  # fmt: skip
