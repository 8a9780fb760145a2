"""Instances that wait for a place in their tenant's quota begin (`kernel/tasks/quotas.py`): looked at when a decision ends, where one had to do with it."""

from __future__ import annotations

from collections.abc import Iterable

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
    away = stock.away(p, target)
    full = not away and 0 < d.facts.instances_max <= p.open  # at home none could begin now: the others take what there is
    waiting = _free(d, quota.waiting) if quota.waiting and not full else []
    if not waiting:
        permits.yielded(d, quota)
        return
    n, wake_us = quota.room(p, now, len(waiting))
    for key in waiting[:n]:
        d.follow(c.Continue(key=key))
    if n >= len(waiting):
        return
    if away:
        permits.ask(d, quota, len(waiting) - n, people.NEVER)
    else:
        permits.own(d, quota)
        if wake_us:
            permits.look_again(d, quota)


def _free(d: Decision, keys: Iterable[int]) -> list[int]:
    """Those of one tenant that nothing holds."""
    p = d.state
    if not p.holding:
        return list(keys)
    held: dict[int, bool] = {}
    found = []
    for key in keys:
        i = p.instances[key]
        if i.definition not in held:
            held[i.definition] = holding.of_start(p, i.tenant, p.definitions[i.definition]) is not None
        if not held[i.definition]:
            found.append(key)
    return found
