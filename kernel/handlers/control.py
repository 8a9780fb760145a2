"""Pause, suspend and their ends; cancel. Called instances follow.

Source: requirements C-14, C-15, D-API-008 to 010, D-API-019, D-STA-002. Choices: pausing and suspending are holds on the one instance (`holds.py`), so a
called instance that was paused or suspended by itself stays so when its caller goes on. Cancel withdraws what is active, then compensates what has
completed in any scope, newest first, as the model's handlers say; the instance runs on while they do, held by nothing, and is cancelled when the last has
ended. Without handlers, or with `force`, it ends at once.
"""

from __future__ import annotations

from collections.abc import Callable

from flowledger.events import commands as c
from flowledger.events import holds as ho
from flowledger.events.base import Heavy, Rejected, RejectionCode
from flowledger.kernel import holding
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import cancelling
from flowledger.kernel.handlers import holds, keeping, quarantine
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.kernel.state import Instance

#: move -> (mode of the hold, whether it is placed, when it can be)
_MOVES: dict[str, tuple[str, bool, Callable[[Instance], bool]]] = {
    "pause": (holding.PAUSE, True, lambda i: not i.paused and i.status == "running"),
    "unpause": (holding.PAUSE, False, lambda i: i.paused),
    "suspend": (holding.SUSPEND, True, lambda i: i.status == "running"),
    "resume": (holding.SUSPEND, False, lambda i: i.status == "suspended"),
}
#: what releases before this one noted of a called instance that followed its caller
_NOTES = {"unpause": "paused_with", "resume": "suspended_with"}


def control(d: Decision, e: c.ControlInstance) -> Rejected | None:
    """A hold on one instance by a word of its own: its end is the end of all such holds on it, but for a caller's word only of that which it follows."""
    i = d.state.instances.get(e.key)
    if i is None:  # a called instance may end before its caller's word comes
        return not_found("a running instance with key", e.key) if not e.followed else None
    row = _MOVES.get(e.move)
    if row is None:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one of {', '.join(_MOVES)}, found '{e.move}'")
    mode, placed, allowed = row
    if not e.followed and not allowed(i):
        return Rejected(RejectionCode.INVALID_STATE, f"can't {e.move} instance {e.key}: it is {i.status}{', paused' if i.paused else ''}")
    if placed:
        holds.place_on(d, i, mode, e.reason, e.children, of=e.hold)
    else:
        over = [h for h in holds.on(d, i) if h.mode == mode and (not e.followed or h.of == e.hold)]
        if over or not e.followed or (i.stores or {}).get(_NOTES[e.move]):
            holds.release_on(d, i, over, e.reason)
    d.answer = {"key": e.key, "status": i.status, "paused": i.paused}
    return None


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
    if i.kept:
        keeping.give_up(d, i)
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
        if d.state.holding:
            holds.release_on(d, i, holds.on(d, i), "it is cancelled", go_on=False)
            if i.kept:
                d.record(ho.WorkflowApplied(key=i.key, at=-1, refused="it is cancelled"))
        if cancelling.begin(d, i, e.reason):
            d.answer = {"key": e.key, "status": "cancelling"}
            return None
    if e.key in d.state.instances:
        cancelling.end(d, i, e.reason, e.force)
    d.answer = {"key": e.key, "status": "terminated" if e.force else "cancelled"}
    return None
