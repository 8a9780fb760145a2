"""Instances that a defect holds: released by an operator after a repair, or cancelled. And what the receiver of a send refused."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import values
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import keeping
from flowledger.kernel.state import Instance, Partition


def subject(p: Partition, command: c.AnyCommand) -> int:
    """The instance that a command is about; 0 when that can't be said."""
    for name in ("key", "parent", "instance"):
        if (key := getattr(command, name, 0)) in p.instances:
            return int(key)
    for name, table in (("task", p.tasks), ("subscription", p.subscriptions), ("key", p.incidents)):
        if (found := table.get(getattr(command, name, 0))) is not None:
            return int(found.instance)
    return 0


def release(d: Decision, e: c.ReleaseInstance) -> Rejected | None:
    """It goes on from where it was; should the defect still be there, it is quarantined again."""
    i = d.state.instances.get(e.key)
    if i is None:
        return Rejected(RejectionCode.NOT_FOUND, f"expected a running instance with key {e.key}, found none")
    if i.status != "quarantined":
        return Rejected(RejectionCode.INVALID_STATE, f"expected a quarantined instance, found {e.key} {i.status}")
    d.record(wa.IncidentResolved(key=i.key, incident=i.quarantine, token=0))
    d.record(wf.WorkflowReleased(key=i.key, status=i.before or "running", reason=e.reason, drains=True))
    d.answer = {"key": i.key, "status": i.status}
    if i.status == "running":
        keeping.go_on(d, i)
    return None


def away(d: Decision, i: Instance, reason: str) -> None:
    """End an instance without looking at its model, which may be what is wrong with it."""
    for s in [s for s in d.state.subscriptions.values() if s.instance == i.key and s.kind == "message"]:
        d.send(s.partition, c.UnawaitMessage(subscription=s.key))
    for token in i.tokens.values():
        child = (token.data or {}).get("child")
        if isinstance(child, int) and child:
            d.send(c.partition_of_key(child), c.CancelInstance(key=child, reason=f"its caller {i.key} was withdrawn", force=True))
    d.record(wf.WorkflowTerminated(key=i.key, reason=reason))
    d.ended(i, "terminated", message=reason)


def send_rejected(d: Decision, e: c.SendRejected) -> Rejected | None:
    """Another partition (or a follow-up) refused what a token of ours sent: an incident where it stands."""
    message = values.clean(f"{e.command} was refused: {e.code}: {e.message}")
    i = d.state.instances.get(e.instance)
    token = i.tokens.get(e.token) if i is not None else None
    if token is not None and token.incident:
        return None
    d.record(
        wa.IncidentRaised(
            key=e.instance if i is not None else 0, incident=d.key(), token=token.key if token is not None else 0,
            element=token.element if token is not None else "", code="SEND_REJECTED", message=message,
        )
    )  # fmt: skip
    return None
