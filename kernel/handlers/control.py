"""Pause, suspend and their ends; cancel. Called instances follow.

Source: requirements C-14, C-15, D-API-008 to 010, D-API-019, D-STA-002. Choices: a called instance that was paused or suspended by itself stays so when
its caller goes on. Cancel withdraws what is active, then compensates what has completed in any scope, newest first, as the model's handlers say;
the instance runs on while they do, and is cancelled when the last has ended. Without handlers, or with `force`, it ends at once.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import workflow as wf
from flowledger.events.base import Heavy, Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import cancelling, conditional, loops
from flowledger.kernel.handlers import keeping, quarantine
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.kernel.state import Instance

_CONTROL: dict[str, tuple[Any, Any]] = {
    "pause": (wf.WorkflowPaused, lambda i: not i.paused and i.status == "running"),
    "unpause": (wf.WorkflowUnpaused, lambda i: i.paused),
    "suspend": (wf.WorkflowSuspended, lambda i: i.status == "running"),
    "resume": (wf.WorkflowResumed, lambda i: i.status == "suspended"),
}
#: what a caller's move asks of its called instances first: (note, set or asked for)
_NOTES = {
    "pause": ("paused_with", True),
    "unpause": ("paused_with", False),
    "suspend": ("suspended_with", True),
    "resume": ("suspended_with", False),
}


def control(d: Decision, e: c.ControlInstance) -> Rejected | None:
    i = d.state.instances.get(e.key)
    if i is None:  # a called instance may end before its caller's word comes
        return not_found("a running instance with key", e.key) if not e.followed else None
    row = _CONTROL.get(e.move)
    if row is None:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one of {', '.join(_CONTROL)}, found '{e.move}'")
    event, allowed = row
    note, sets = _NOTES[e.move]
    noted = bool((i.stores or {}).get(note))
    if e.followed and (not allowed(i) or not (sets or noted)):
        return None  # it is so by itself
    if not allowed(i):
        return Rejected(RejectionCode.INVALID_STATE, f"can't {e.move} instance {e.key}: it is {i.status}{', paused' if i.paused else ''}")
    kept, due = (keeping.commands(i), keeping.due(d, i)) if e.move == "resume" else ([], [])
    d.record(event(key=i.key, reason=e.reason))
    if (e.followed and sets) or noted:
        d.record(fl.TokenNoted(key=i.key, token=i.key, data={note: True if sets else None}))
    if e.move == "resume":
        d.settle(i)
        loops.spawn_more(d, i)
        conditional.look_at_all(d, i)
        for command in (*kept, *([c.FireTimers(timers=due)] if due else ())):
            d.follow(command)
    if e.children:
        for child in called(d, i):
            tell(d, child, e.move, i, e.reason)
    d.answer = {"key": e.key, "status": i.status, "paused": i.paused}
    return None


def called(d: Decision, i: Instance) -> list[int]:
    """Instances that call activities of `i` wait for."""
    nodes = d.process(i).nodes
    return [t.data["child"] for t in i.tokens.values() if t.data and t.data.get("child") and nodes[t.element].kind == "callActivity"]


def tell(d: Decision, child: int, move: str, caller: Instance, reason: str) -> None:
    d.send(
        c.partition_of_key(child),
        c.ControlInstance(key=child, move=move, reason=reason or f"its caller {caller.key}: {move}", followed=True),
    )


def cancel(d: Decision, e: c.CancelInstance) -> Rejected | None:
    i = d.state.instances.get(e.key)
    if i is None:
        return not_found("a running instance with key", e.key)
    by_caller = cancelling.by_caller(e.reason)
    if i.parent and not e.force and d.request is not None and d.request.sender < 0 and not by_caller:
        return Rejected(
            RejectionCode.INVALID_STATE,
            f"instance {e.key} was called by instance {i.parent}: cancel its root instance {i.root} instead (or force)",
        )
    for kept in keeping.commands(i):  # a message that it has not taken looks for another receiver
        if isinstance(kept, c.Correlate):
            d.send(kept.home, c.MessageTaken(message=kept.message, subscription=kept.subscription, taken=False))
    if i.status == "quarantined" or e.force:  # no compensation runs; and should its end break as well, it is taken away
        mark = d.mark()
        try:
            cancelling.end(d, i, e.reason, e.force)
        except (Heavy, NotAtHand):
            raise
        except Exception:  # a defect is why it is cancelled
            d.back(mark)
            quarantine.away(d, i, e.reason)
            d.answer = {"key": e.key, "status": "terminated"}
            return None
    if not e.force and e.key in d.state.instances:
        if cancelling.is_one(i):
            return Rejected(
                RejectionCode.INVALID_STATE, f"instance {e.key} is being cancelled: its compensation runs (force ends it at once)"
            )
        if i.status == "suspended":
            d.record(wf.WorkflowResumed(key=i.key, reason="it is cancelled"))
        if cancelling.begin(d, i, e.reason):
            d.answer = {"key": e.key, "status": "cancelling"}
            return None
    if e.key in d.state.instances:
        cancelling.end(d, i, e.reason, e.force)
    d.answer = {"key": e.key, "status": "terminated" if e.force else "cancelled"}
    return None
