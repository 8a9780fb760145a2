"""Folds of `hold.*`, and of what is kept for instances that are held; the index of what is held."""

from __future__ import annotations

from collections import OrderedDict
from itertools import takewhile
from typing import Any

from flowledger.events import commands as c
from flowledger.events import holds as ho
from flowledger.events.base import Envelope
from flowledger.kernel import holding
from flowledger.kernel.folds.holds import offer
from flowledger.kernel.folds.tokens import seen_key
from flowledger.kernel.state import Asker, Hold, Instance, Partition
from flowledger.kernel.undo import drop, drop_queued, keep, nest, put


def hold_placed(p: Partition, e: ho.HoldPlaced, v: Envelope) -> None:
    if e.hold != c.START_HOLD:
        seen_key(p, e.hold)
    h = Hold(
        id=e.hold, scope=e.scope, subject=e.subject, mode=e.mode, tenant=v.tenant, starts=e.starts, children=e.children,
        since_us=v.time_us, until_us=e.until_us, reason=e.reason, by=v.actor, of=e.of,
    )  # fmt: skip
    put(p, p.holds, h.id, h)
    drop(p, p.releasing, h.id)
    put(p, nest(p, nest(p, p.holding, h.scope), h.subject), h.id, h)
    p.changed.add(("hold", h.id))


def hold_releasing(p: Partition, e: ho.HoldReleasing, v: Envelope) -> None:
    h = p.holds[e.hold]
    keep(p, h)
    h.rate, h.reason = e.rate, e.reason or h.reason
    if not h.upto:  # else only the rate is another
        h.upto, h.others = e.upto, e.others
        put(p, p.releasing, h.id, OrderedDict.fromkeys(holding.covered(p, h)))
    p.changed.add(("hold", h.id))


def hold_advanced(p: Partition, e: ho.HoldAdvanced, v: Envelope) -> None:
    h = p.holds[e.hold]
    keep(p, h)
    if e.done >= 0:
        h.others = [x for x in h.others if x != e.done]
    else:
        h.cursor = e.cursor
        queue = p.releasing[h.id]
        for key in list(takewhile(lambda key: key <= e.cursor, queue)):
            drop_queued(p, queue, key)
            offer_again(p, key)
        p.job_listener.update(p.ready)
    p.changed.add(("hold", h.id))


def hold_released(p: Partition, e: ho.HoldReleased, v: Envelope) -> None:
    if (h := p.holds.get(e.hold)) is not None:
        forget(p, h)
        p.job_listener.update(p.ready)


def forget(p: Partition, h: Hold) -> None:
    drop(p, p.holds, h.id)
    drop(p, p.releasing, h.id)
    subjects = p.holding[h.scope]
    drop(p, subjects[h.subject], h.id)
    if not subjects[h.subject]:
        drop(p, subjects, h.subject)
        if not subjects:
            drop(p, p.holding, h.scope)
    p.changed.add(("hold", h.id))


def offer_again(p: Partition, key: int) -> None:
    """Work of an instance (or the task itself) that a hold kept back."""
    tasks = drop(p, p.kept_back, key)
    for task in tasks or ():
        offer(p, p.tasks[task])


def still(p: Partition, i: Instance) -> None:
    """The instance has another status, or something else is kept: is it to be asked for?"""
    if i.status in holding.STATUSES or i.kept:
        if i.key not in p.holding.get(holding.STILL, ()):
            put(p, nest(p, p.holding, holding.STILL), i.key, True)
    elif p.holding:
        _moves(p, i.key)


def _moves(p: Partition, key: int) -> None:
    if (found := p.holding.get(holding.STILL)) is not None and key in found:
        drop(p, found, key)
        if not found:
            drop(p, p.holding, holding.STILL)


def ended(p: Partition, i: Instance) -> None:
    """The instance is gone, and what was about it alone."""
    _moves(p, i.key)
    for h in list((p.holding.get("instance") or {}).get(str(i.key), {}).values()):
        forget(p, h)
    drop(p, p.kept_back, i.key)


def kept(p: Partition, i: Instance, command: Any, v: Envelope) -> None:
    keep(p, i)
    i.kept_for = [*_kept_for(i), Asker(actor=v.actor, cause=v.cause, correlation=v.correlation, trace=v.trace)]
    i.kept = [*(i.kept or ()), command]
    still(p, i)


def _kept_for(i: Instance) -> list[Asker]:
    return i.kept_for if i.kept_for is not None else [Asker()] * len(i.kept or ())


def workflow_applied(p: Partition, e: ho.WorkflowApplied, v: Envelope) -> None:
    i = p.instances.get(e.key)
    if i is not None and i.kept:
        keep(p, i)
        askers = _kept_for(i)
        i.kept_for = ([*askers[: e.at], *askers[e.at + 1 :]] or None) if e.at >= 0 else None
        i.kept = ([*i.kept[: e.at], *i.kept[e.at + 1 :]] or None) if e.at >= 0 else None
        still(p, i)


def rebuild(p: Partition) -> None:
    """After a checkpoint was loaded, before tasks are offered."""
    for h in p.holds.values():
        p.holding.setdefault(h.scope, {}).setdefault(h.subject, {})[h.id] = h
    for i in p.instances.values():
        still(p, i)
    for h in p.holds.values():
        if h.upto:
            p.releasing[h.id] = OrderedDict.fromkeys(k for k in holding.covered(p, h) if h.cursor < k <= h.upto)
