"""Commands that wait at a partition, in the order in which they are decided on. Pure.

Mostly that is the order in which they came (`lane`). Once commands of several tenants wait, those of callers are taken by turns (`turns.py`), and what
one costs is what its decision came to: events, and steps of expressions. So a tenant that sends as much as it can waits for itself, and the others for a
round. What comes by the topic is consumed in its order, since how far it was read is one number (`docs/log-protocol.md`); it and what is due have every
second turn. Only the order in which things are appended depends on this: what follows from the log doesn't.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from flowledger.events.base import Rejected, RejectionCode
from flowledger.processors.flight import Pending
from flowledger.processors.turns import Turns

#: so few wait for a moment only, in whatever order
FEW = 32
#: what a tenant may spend in one turn (events)
QUANTUM = 8
#: so many steps of expressions are as costly as one event
STEPS = 16
#: of who comes when several tenants are about, groups are no larger than so, so that nobody waits for a large one of another
SHARED_MAX = 64
#: they are, for so long after one came behind another's (microseconds)
SHARED_US = 1_000_000
#: of all that may wait, the part from which on no tenant has more than its share of it
CROWDED = 2


class Inbox:
    """`lane`: what waits in one order; `turns`: what waits by tenant, empty unless several have much."""

    __slots__ = ("_before", "_paying", "_side", "alone", "lane", "mixed_us", "most", "turns")

    def __init__(self, most: int, weight: Callable[[str], int] = lambda tenant: 1) -> None:
        """`most`: how many may wait."""
        self.most = most
        self.lane: deque[Pending] = deque()
        self.turns: Turns[Pending] = Turns(QUANTUM, weight)
        #: whose the last command of a caller was: more of that one simply go to the lane; None while they are taken by turns
        self.alone: str | None = ""
        #: when one was last another's than the one before it
        self.mixed_us = -SHARED_US
        #: what this group has come to when the last one was taken, whether that is for its tenant to pay, and whose turn it was
        self._before, self._paying, self._side = 0, False, False

    def __len__(self) -> int:
        return len(self.lane) + self.turns.count

    def __iter__(self) -> Iterator[Pending]:
        yield from self.lane
        yield from self.turns

    def clear(self) -> None:
        self.lane.clear()
        self.turns.clear()
        self.alone = ""

    def offer(self, pending: Pending, now: int) -> Rejected | None:
        """A command of another tenant than the one before, or while they are taken by turns; or why it can't wait here."""
        tenant, turns = pending.request.tenant, self.turns
        if turns.flows != 1 or not turns.waiting(tenant):
            self.mixed_us = now
        if not turns.count:
            if len(self.lane) < FEW:
                self.lane.append(pending)
                self.alone = tenant
                return None
            self._part()
            self.alone = None
        elif (mine := turns.waiting(tenant)) and len(self) * CROWDED >= self.most:
            share = max(1, self.most // CROWDED // turns.flows)
            if mine >= share:
                text = f"{mine} commands of tenant '{tenant or 'default'}' wait, which is its share of {len(self)} while it is crowded: send slower"
                return Rejected(RejectionCode.RESOURCE_EXHAUSTED, text, 20 + mine // 100)
        turns.add(tenant, pending)
        return None

    def later(self, more: Iterable[Pending]) -> None:
        """What goes on with work that was taken already: behind the others of its tenant."""
        if not self.turns.count:
            self.lane.extend(more)
            return
        for pending in more:
            self.turns.add(pending.request.tenant, pending)

    def _part(self) -> None:
        """What callers have sent is by tenant from now on, each in its order."""
        rest = [p for p in self.lane if not self._sent(p)]
        for pending in self.lane:
            if self._sent(pending):
                self.turns.add(pending.request.tenant, pending)
        self.lane.clear()
        self.lane.extend(rest)

    @staticmethod
    def _sent(pending: Pending) -> bool:
        return pending.offset == -1 and (pending.reply is not None or bool(pending.request.tenant))

    # --- out ------------------------------------------------------------------------------------------------------------------

    def begins(self, now: int, batch_max: int) -> int:
        """A group begins: how many it may take."""
        self._before = 0
        return batch_max if now - self.mixed_us > SHARED_US else min(batch_max, SHARED_MAX)

    def next(self, events: int, steps: int) -> Pending | None:
        """The next one; None: nothing waits. `events`, `steps`: what the group has come to so far."""
        self.paid(events, steps)
        if self.turns.count and (self._side or not self.lane):
            self._side, self._paying = False, True
            found = self.turns.take()
            if not self.turns.count:
                self.alone = found.request.tenant
            return found
        self._side = True
        return self.lane.popleft() if self.lane else None

    def paid(self, events: int, steps: int) -> None:
        """What was taken by turns last is done, and its tenant pays for it."""
        spent = events + steps // STEPS
        if self._paying:
            self._paying = False
            self.turns.pay(max(1, spent - self._before))
        self._before = spent
