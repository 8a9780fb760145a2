"""Incidents: resolved by an operator, after which the token or task is tried again."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.expressions import Failure
from flowledger.kernel.state import Instance, Token


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
        _task_anew(d, i, i.tokens[incident.token])
    elif i is not None and incident.token in i.tokens:
        d.push(i, incident.token)
    return None


def _task_anew(d: Decision, i: Instance, token: Token) -> None:
    """A task that was cancelled is made again."""
    node = d.process(i).nodes[token.element]
    try:
        node.behaviour.enter(d, i, token, node)
    except Failure as failure:
        d.incident(i, token, failure)
