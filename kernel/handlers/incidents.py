"""Incidents: resolved by an operator, after which the token or task is tried again."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import ad_hoc_sub_process, call_activity
from flowledger.kernel.expressions import Failure
from flowledger.kernel.state import WAITING, Instance, Token


def resolve(d: Decision, e: c.ResolveIncident) -> Rejected | None:
    p = d.state
    incident = p.incidents.get(e.key)
    if incident is None:
        return Rejected(RejectionCode.NOT_FOUND, f"expected an open incident with key {e.key}, found none")
    if incident.code == "QUARANTINED":
        return Rejected(RejectionCode.INVALID_STATE, f"instance {incident.instance} is quarantined: release it, or cancel it")
    task = p.tasks.get(incident.task) if incident.task else None
    if task is not None and task.retries <= 0 and incident.code == "JOB_NO_RETRIES":
        d.record(ta.TaskRetried(key=incident.instance, task=task.key, retries=1))
    d.record(wa.IncidentResolved(key=incident.instance, incident=e.key, token=incident.token, task=incident.task))
    d.answer = {"key": e.key}
    i = p.instances.get(incident.instance)
    if i is not None and incident.code == "TASK_CANCELLED" and incident.token in i.tokens:
        _anew(d, i, i.tokens[incident.token])
    elif i is not None and incident.code == "SEND_REJECTED":
        _send_again(d, i, i.tokens.get(incident.token))
    elif i is not None and incident.token in i.tokens:
        token = i.tokens[incident.token]
        if incident.code == "WATCHDOG" or _uncalled(d, i, token):
            try_again(d, i, token)
        else:
            d.push(i, token.key)
    return None


def _send_again(d: Decision, i: Instance, token: Token | None) -> None:
    """What was refused is sent anew where somebody still waits for what follows from it. A receiver who has it already takes it once."""
    for s in [s for s in d.state.subscriptions.values() if s.instance == i.key and s.kind == "message"]:
        d.send(
            s.partition,
            c.AwaitMessage(subscription=s.key, key=i.key, name=s.name, correlation=s.correlation, process=i.process, once=s.interrupting),
        )
    if token is None:
        return
    if _uncalled(d, i, token):
        _anew(d, i, token)
    else:
        d.push(i, token.key)


def _uncalled(d: Decision, i: Instance, token: Token) -> bool:
    """A call that came to nothing: what it called has ended badly, or was never started."""
    calls = d.process(i).nodes[token.element].behaviour is call_activity.BEHAVIOUR
    works = any(k in d.state.tasks for k in token.holds or ())  # a listener's job
    return calls and token.phase == WAITING and not works and not (token.data or {}).get("child")


def try_again(d: Decision, i: Instance, token: Token) -> None:
    """A token that waits for nothing: its element is entered anew, the body of a loop looks at its runs."""
    node = d.process(i).nodes[token.element]
    if token.phase != WAITING:
        d.push(i, token.key)
    elif node.loop is not None and not token.index and not ad_hoc_sub_process.is_inner(token):
        d.record(fl.TokenNoted(key=i.key, token=token.key, data={"ready": True}))
        d.push(i, token.key)
    else:
        if (token.data or {}).get("child"):
            d.record(fl.TokenNoted(key=i.key, token=token.key, data={"child": None}))
        _anew(d, i, token)


def _anew(d: Decision, i: Instance, token: Token) -> None:
    """It is entered again: a task that was cancelled, a call that came to nothing."""
    node = d.process(i).nodes[token.element]
    try:
        node.behaviour.enter(d, i, token, node)
    except Failure as failure:
        d.incident(i, token, failure)
