"""Random models, random work, and in between something is lost or torn: each time it is found, repaired as usual, and in the end nothing is left.

After every command of the work the watchdog finds nothing (`Scenario.watched`). `FLOWLEDGER_RANDOM_WATCHDOG` seeds (60).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from scenario import Scenario
from test_random_control import values, work
from test_random_models import Model
from test_watchdog import LATER, found, gone, operate, repair_all

from flowledger.kernel.state import Instance, Partition, Token

RUNS = int(os.environ.get("FLOWLEDGER_RANDOM_WATCHDOG", "60"))
BASE = int(os.environ.get("FLOWLEDGER_RANDOM_BASE", "0"))
#: (partition, instance, dice) -> what to do to each copy; None: there is nothing of the kind now
Plan = Callable[[Partition, Instance, random.Random], "Callable[[Partition, Instance], None] | None"]


def _holders(p: Partition, i: Instance, table: str) -> list[tuple[int, int]]:
    """(token or instance, what it holds), of those that no incident explains."""
    tokens: list[Token] = [t for t in i.tokens.values() if not t.incident]
    things = getattr(p, table)
    found = [(t.key, k) for t in tokens for k in t.holds or () if k in things]
    return found + [(i.key, k) for k in i.holds or () if k in things]


def _loses(table: str, forgets: bool) -> Plan:
    """What a token holds is gone; `forgets`: the token doesn't count on it either."""

    def plan(p: Partition, i: Instance, rng: random.Random) -> Callable[[Partition, Instance], None] | None:
        some = [(h, k) for h, k in _holders(p, i, table) if not forgets or (h in i.tokens and _own_work(p, i.tokens[h], k))]
        if not some:
            return None
        holder, key = rng.choice(some)

        def cut(q: Partition, j: Instance) -> None:
            gone(q, key)
            if forgets:
                token = j.tokens[holder]
                token.holds = [k for k in token.holds or () if k != key] or None

        return cut

    return plan


def _own_work(p: Partition, t: Token, key: int) -> bool:
    """It is all that the token waits for at its own element."""
    mine = [
        k
        for k in t.holds or ()
        if (x := p.tasks.get(k) or p.timers.get(k) or p.subscriptions.get(k)) is not None and x.element == t.element
    ]
    return mine == [key] and not t.kids


def _tears(p: Partition, i: Instance, rng: random.Random) -> Callable[[Partition, Instance], None] | None:
    """A task names another token."""
    some = [k for _, k in _holders(p, i, "tasks")]
    key = rng.choice(some) if some else 0
    return (lambda q, j: setattr(q.tasks[key], "token", 1)) if some else None


def _unqueues(p: Partition, i: Instance, rng: random.Random) -> Callable[[Partition, Instance], None] | None:
    return (lambda q, j: q.ready.clear()) if any(lane for lanes in p.ready.values() for lane in lanes.values()) else None


def _unheaps(p: Partition, i: Instance, rng: random.Random) -> Callable[[Partition, Instance], None] | None:
    return (lambda q, j: q.due.clear()) if p.timers else None


PLANS: dict[str, Plan] = {
    "a task is lost": _loses("tasks", False), "a task was never made": _loses("tasks", True), "a timer is lost": _loses("timers", False),
    "a subscription is lost": _loses("subscriptions", False), "a timer was never set": _loses("timers", True),
    "a subscription was never opened": _loses("subscriptions", True), "a task is torn off": _tears, "a job is in no queue": _unqueues,
    "a timer is never due": _unheaps,
}  # fmt: skip
PLANTED: dict[str, int] = {}


@pytest.mark.req("APG-ENG-002", "WSM-ENG-003")
@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS))
def test_whatever_is_lost_or_torn_is_found_and_nothing_is_left(seed: int) -> None:
    rng = random.Random(seed)
    model = Model(rng)
    model.scope(rng.choice((1, 2, 2, 3)))
    s = Scenario("\n".join(model.lines), steps_max=rng.choice([7, 1_000]))
    s.start("p", **values(rng, False))
    for n in range(600):
        if s.key not in s.p.instances:
            break
        if n % 3 == 1 and n < 40 and not s.p.incidents:
            name = rng.choice(list(PLANS))
            if (cut := PLANS[name](s.p, s.i, rng)) is not None:
                operate(s, cut)
                if cut is not None and name == "a timer is never due":
                    s.now_us += LATER * 24
                assert found(s), f"{name}: nothing is found at {s.at}"
                repair_all(s)
                PLANTED[name] = PLANTED.get(name, 0) + 1
                s.watched = True
                continue
        work(s, rng, late=n > 40)
    assert s.key not in s.p.instances, f"stuck at {s.at} after {s.line[-400:]}"
    assert s.empty


def test_each_was_planted() -> None:
    """Of the runs of this process, where those were many."""
    if sum(PLANTED.values()) > 300:
        assert set(PLANTED) == set(PLANS), set(PLANS) - set(PLANTED)
