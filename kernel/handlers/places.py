"""Instances that wait for a place in their tenant's quota begin (`kernel/tasks/quotas.py`): looked at when a decision ends, where one had to do with it."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.kernel import holding
from flowledger.kernel.decision import Decision
from flowledger.kernel.tasks import people, permits, quotas, stock


def let_in(d: Decision, target: str) -> None:
    """As far as there is room, in order; what is held waits for its release. For the others the home is asked, or the time is."""
    p, now = d.state, d.facts.now_us
    quota = p.quotas.get(target)
    if quota is None:  # there is no quota any more
        for key in _free(d, [k for k in p.pending if p.instances[k].tenant == target[len(quotas.PREFIX) :]]):
            d.follow(c.Continue(key=key))
        return
    if not quota.waiting or not (waiting := _free(d, quota.waiting)):
        return
    n, wake_us = quota.room(p, now, len(waiting))
    for key in waiting[:n]:
        d.follow(c.Continue(key=key))
    if n >= len(waiting):
        return
    if stock.away(p, target):
        permits.ask(d, quota, len(waiting) - n, people.NEVER)
    else:
        permits.own(d, quota)
        if wake_us:
            permits.look_again(d, quota)


def _free(d: Decision, keys: object) -> list[int]:
    p = d.state
    found: list[int] = list(keys)  # type: ignore[call-overload]
    if not p.holding:
        return found
    return [k for k in found if holding.of_start(p, p.instances[k].tenant, p.definitions[p.instances[k].definition]) is None]
