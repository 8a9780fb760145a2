"""What arrives for what is suspended (or quarantined) is kept on the log and applied at its release, in the order in which it came (C-14, D-API-009).

A timer that is due is kept as well: so it has its place among what else came. What belongs to a worker's lease is answered at once: its result is safe.
What is kept is applied one by one, each with all that comes of it; where that is too much for one step, what arrives meanwhile goes behind it.
"""

from __future__ import annotations

from functools import partial

import msgspec

from flowledger.events import commands as c
from flowledger.events import holds as ho
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import causes, holding, values
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import conditional, loops
from flowledger.kernel.expressions import Failure
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.state import Instance, Partition, Timer
from flowledger.kernel.undo import put

#: commands kept for one instance
KEPT_MAX = 10_000


def keep(d: Decision, i: Instance | None, command: c.AnyCommand, token: int = 0, element: str = "") -> bool:
    """True when its token (or the instance) is suspended: the command is kept, and nothing is to be done now. Asked only where something is held.
    `element`: of the event that waits on behalf of the token."""
    if i is None or d.applying == i.key or not (holding.frozen(d.state, i, token, element) or _draining(d.state, i)):
        return False
    if getattr(command, "row_version", None) is not None:  # it was compared
        command = msgspec.structs.replace(command, row_version=None)
    d.record(wf.WorkflowKept(key=i.key, command=msgspec.to_builtins(command)))
    return True


def full(p: Partition, i: Instance, token: int) -> Rejected | None:
    if len(i.kept or ()) >= KEPT_MAX and holding.frozen(p, i, token):
        return Rejected(RejectionCode.RESOURCE_EXHAUSTED, f"instance {i.key} is held and keeps {KEPT_MAX} commands, which is the most")
    return None


def keep_timer(d: Decision, i: Instance, t: Timer) -> bool:
    """One that is due. It is brought again after a take-over, and is kept once."""
    p = d.state
    if d.applying == i.key or not (holding.frozen(p, i, t.token, t.element) or _draining(p, i)):
        return False
    command = c.FireTimers(timers=[t.key])
    kept = msgspec.to_builtins(command)
    if i.status != "quarantined" and kept not in (i.kept or ()):
        d.because(f"timer:{t.key}")
        d.record(wf.WorkflowKept(key=i.key, command=kept))
    return True


def commands(i: Instance) -> list[c.AnyCommand]:
    return [msgspec.convert(kept, c.AnyCommand) for kept in i.kept or ()]


def about(p: Partition, command: c.AnyCommand) -> tuple[int, str]:
    """The token that something kept is about, and the element of its event; 0: of none that is still there."""
    if isinstance(command, (c.CompleteTask, c.FailTask, c.ThrowTaskError)):
        task = p.tasks.get(command.task)
        return (task.token, "") if task is not None else (0, "")
    if isinstance(command, (c.Correlate, c.CatchSignal)):
        s = p.subscriptions.get(command.subscription)
        return (s.token, s.element) if s is not None else (0, "")
    if isinstance(command, c.FireTimers):
        t = p.timers.get(command.timers[0])
        return (t.token, t.element) if t is not None else (0, "")
    return (command.parent_token, "") if isinstance(command, c.ChildEnded) else (0, "")


def _next(p: Partition, i: Instance) -> tuple[int, c.AnyCommand] | None:
    """The first of what is kept that nothing holds any more, and its place."""
    if i.kept and not holding.frozen(p, i):
        for at, kept in enumerate(i.kept):
            command = msgspec.convert(kept, c.AnyCommand)
            if not holding.frozen(p, i, *about(p, command)):
                return at, command
    return None


def _draining(p: Partition, i: Instance) -> bool:
    return _next(p, i) is not None


def go_on(d: Decision, i: Instance) -> None:
    """It is free, as far as no other hold is on it: from where it stood, then with what was kept."""
    p, key = d.state, i.key
    if holding.frozen(p, i):
        return
    d.speak_as(causes.about(i, d.asked))  # what its first step says may name no instance
    d.settle(i)
    loops.spawn_more(d, i)
    conditional.look_at_all(d, i)
    d.run()
    if key in p.instances and key not in p.unsettled:
        drain(d, i)


def drain(d: Decision, i: Instance) -> None:
    """Apply what is kept and free; what is too much for this step goes on in a later one."""
    p, key = d.state, i.key
    while key in p.instances and (found := _next(p, i)) is not None:
        if d.spent() or key in p.unsettled:
            if key not in p.unsettled:
                put(p, p.unsettled, key, True)
                d.follow(c.Continue(key=key))
            return
        d.applying = key
        refused, asked = [""], d.asked
        _speak_for(d, i, found[0])
        try:
            ok = d.alone(key, partial(_apply, d, found[1], refused))
        finally:
            d.ask_as(asked)
        d.applying = 0
        if not ok and (key not in p.instances or i.status == "quarantined"):
            return  # a defect: it is kept for when the instance is released
        if key in p.instances:
            d.record(ho.WorkflowApplied(key=key, at=found[0], refused=refused[-1] if ok else "a defect"))
    if key not in p.instances:
        give_up(d, i)


def _speak_for(d: Decision, i: Instance, at: int) -> None:
    """What comes of it is said in the name of whoever asked for it, and for that reason: the one who releases only lets it go on."""
    by = i.kept_for[at] if i.kept_for is not None else None
    if by is not None and (by.actor or by.cause):
        d.ask_as(msgspec.structs.replace(d.asked, actor=by.actor, cause=by.cause, correlation=by.correlation, trace=by.trace))


def _apply(d: Decision, command: c.AnyCommand, refused: list[str]) -> None:
    """What can't be any more, by what was applied before it, is not."""
    mark = d.mark()
    try:
        found = HOOKS.handle(d, command)
    except Failure as failure:
        found = Rejected(RejectionCode.INVALID_ARGUMENT, failure.message)
    if found is not None:
        d.back(mark)
        refused.append(values.clean(f"{found.code}: {found.message}"))


def give_up(d: Decision, i: Instance) -> None:
    """What is kept is dropped: a message that it has not taken looks for another receiver."""
    for kept in commands(i):
        if isinstance(kept, c.Correlate):
            d.send(kept.home, c.MessageTaken(message=kept.message, subscription=kept.subscription, taken=False))
