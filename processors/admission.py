"""Who is let in when more comes than can be done: by the time that a command would wait, not by how many wait.

As CoDel looks at the time in a queue rather than its length (RFC 8289), so does this: the age of the oldest in hand is the delay that is
measured, and those in hand over the rate is the delay that the next one meets. Both must be too long. The rate is what the answered met: how
many were before each, over how long it took; answers come by whole groups, so counting them in slices of time would measure the slicing.
A burst that comes to an idle queue has no age yet; it is bounded by what a usual rate would do in the time. What begins something
new is refused first, the unimportant before the rest; what goes on with running work (completions, leases, resolutions) goes last.
Of several tenants those are refused that have their share of what is in hand or more: who sends little is let in beside one that floods.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import get_args

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode

#: classes of work, the first to be shed last
RUNNING, NEW, LOW = 0, 1, 2
#: the longest expected wait at which each class is let in (seconds)
LIMITS_S = (2.0, 0.4, 0.1)
#: who has less than its share is let in up to so many times that
SHARED = 2
#: in hand up to so many are always let in: an estimate on few says little
FEW = 64
#: answers in a second that are thought possible until more is known
USUAL_RATE = 2_500.0
#: the rate is over the last answers, old ones weigh half once those before them were so many
MEMORY = 100_000
RETRY_MS = (50, 5_000)
#: priorities below this are unimportant (`kernel/business.py`: normal is 40)
NORMAL_PRIORITY = 40

BEGINS = frozenset({c.StartInstance, c.PublishMessage, c.BroadcastSignal, c.CreateTask, c.Deploy, c.EvaluateDecision})


def class_of(command: object) -> int:
    """What kind of work a command is."""
    if type(command) not in BEGINS:
        return RUNNING
    priority = getattr(command, "priority", None)
    return LOW if isinstance(priority, int) and 0 <= priority < NORMAL_PRIORITY else NEW


#: commands whose answers may wait for something else than the queue
MAY_WAIT = c.CHANGES | {kind for kind in get_args(c.AnyCommand) if "wait" in kind.__struct_fields__}


def counts(command: object) -> bool:
    """Whether its answer tells how long the queue is. A change of definitions waits for other partitions, and some wait for what they begin."""
    return type(command) not in c.CHANGES and not getattr(command, "wait", False)


class Admission:
    """Of one queue. `began` and `ended` frame each command in hand; `refusal` says whether the next one may come."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """`clock`: microseconds, monotonic."""
        self.clock = clock
        self.refused = 0
        #: when each in hand came and how many were before it, the oldest first; answers come nearly in that order
        self._in: deque[tuple[int, int]] = deque()
        #: whose all of them are; or, where they are of several, how many are whose (`of`; empty: they are of one)
        self._alone, self.of = "", dict[str, int]()
        #: of answered commands that came to many: the sum of those before them, themselves included, and of the microseconds that they took
        self._served = self._took_us = 0

    @property
    def in_hand(self) -> int:
        return len(self._in)

    @property
    def known(self) -> bool:
        """Enough was answered while many waited to tell the rate."""
        return self._served > 0

    def began(self, now: int, tenant: str = "") -> None:
        if tenant != self._alone or self.of:
            self._another(tenant)
        self._in.append((now, len(self._in)))

    def _another(self, tenant: str) -> None:
        """One more, where not all are of one tenant."""
        if not self._in:
            self._alone = tenant
            self.of.clear()
            return
        if not self.of:
            self.of[self._alone] = len(self._in)
        self.of[tenant] = self.of.get(tenant, 0) + 1

    def _gone(self, tenant: str) -> None:
        if (left := self.of.get(tenant, 0) - 1) > 0:
            self.of[tenant] = left
        else:
            self.of.pop(tenant, None)

    def ended(self, tenant: str = "") -> None:
        if not self._in:
            return
        if self.of:
            self._gone(tenant)
        came, before = self._in.popleft()
        if before < FEW:  # only a queue that is never short shows what can be done
            return
        served = self._served = self._served + before + 1
        self._took_us += self.clock() - came
        if served > MEMORY:
            self._served, self._took_us = served // 2, self._took_us // 2

    def rate(self) -> float:
        """Answers in a second while many wait."""
        return max(self._served / self._took_us * 1e6, 1.0) if self._took_us else USUAL_RATE

    def refuses(self, command: object, what: str, now: int, begins: bool = False, tenant: str = "") -> Rejected | None:
        """As `refusal`, which is asked only where it might say no: most of a busy queue may come in, and hear so at little cost. `begins`: who may has
        `began` by that."""
        waiting = self._in
        if (many := len(waiting)) >= FEW:
            kind = RUNNING if type(command) not in BEGINS else class_of(command)
            limit = LIMITS_S[kind]
            if now - waiting[0][0] > limit * 250_000 or (
                kind != RUNNING and not (self._took_us and many * self._took_us <= self._served * limit * 1.25e6)
            ):  # fmt: skip
                if (refused := self.refusal(kind, what, tenant)) is not None:
                    return refused
        if begins:
            if tenant != self._alone or self.of:
                self._another(tenant)
            waiting.append((now, many))
        return None

    def _has_its_share(self, tenant: str) -> bool:
        """Of what is in hand, with one more."""
        of = self.of or {self._alone: len(self._in)}
        mine, tenants = of.get(tenant, 0), len(of)
        return (mine + 1) * (tenants if mine else tenants + 1) > len(self._in) + 1 or (tenants == 1 and mine > 0)

    def late(self, kind: int, tenant: str | None = None) -> float:
        """What the next one of this class would wait, in seconds, when that is too long; 0: it may come in, as does a tenant's that has less than its
        share, up to twice the time. None: whose it is isn't known."""
        many = len(self._in)
        if many < FEW:
            return 0.0
        limit, rate, age = LIMITS_S[kind], self.rate(), (self.clock() - self._in[0][0]) / 1e6
        wait = max(many / rate, age)
        late = wait > limit and age > limit / 4
        burst = kind != RUNNING and many > (1.25 * rate if self.known else USUAL_RATE) * limit
        if not (late or burst):
            return 0.0
        return 0.0 if tenant is not None and many / rate <= limit * SHARED and not self._has_its_share(tenant) else wait

    def refusal(self, kind: int, what: str, tenant: str = "") -> Rejected | None:
        """None: it may come in."""
        wait, limit = self.late(kind, tenant), LIMITS_S[kind]
        if not wait:
            return None
        self.refused += 1
        low, high = RETRY_MS
        after = min(high, max(low, int((wait - limit) * 1000)))
        whose = (
            f" and tenant '{tenant or 'default'}' has {mine} of {self.in_hand} in hand"
            if len(self.of) > 1 and (mine := self.of.get(tenant))
            else ""
        )
        text = f"{what} is busy{whose}: it would wait {wait:.1f} s, work of this kind is taken up to {limit} s; send it again in {after} ms"
        return Rejected(RejectionCode.RESOURCE_EXHAUSTED, text, after)
