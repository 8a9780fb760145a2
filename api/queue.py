"""The queue that an event loop is: what was read and waits for its turn, how long that will be, and who is refused at once instead.

Under overload the doors' queue is in the loop itself: requests are read as they come, and handled one after the other. The next one will
wait for as many as are in front of it, times what one costs: the time that the loop was at work, over the requests that it began. Of the
last such figures the least counts, so that one slow moment is no overload (CoDel looks at the minimum over an interval for the same reason,
RFC 8289). Where something else fills the loop, the length of its turns tells: such a delay must stand for a whole interval, over several
turns, before the first is refused, and for a while after that none is waited for (RFC 8289, 4.2 and 5.4). Where nobody came for a while
there is no queue, and what was before says nothing. What begins something new goes first, before that the unimportant; work on what runs
goes last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

from flowledger.api.slices import FEW, Peer, Slices
from flowledger.processors.admission import LOW, NEW, RETRY_MS, RUNNING, USUAL_RATE

#: the longest delay at which each class is let in (seconds)
LIMITS_S = {RUNNING: 1.0, NEW: 0.2, LOW: 0.07}
#: so long every turn of the loop must have been too long before one is refused for that (seconds)
INTERVAL_S = 0.1
#: and at least so many of them one after the other
TURNS = 3
#: nobody came for so long: the queue was empty (seconds)
IDLE_S = 1.0
#: and so long after one was refused the next is refused at once (seconds)
MEMORY_S = 2.0
#: a figure of what a request costs is taken over so long a time at work (seconds) and so many requests; the least of the last ones counts
WORK_S, BEGUN_MIN, FIGURES = 0.1, 8, 8


class LoopQueue:
    """Of one event loop. `read` for each request that came, then `refusal`; `waits` and `entered` frame the wait of one that is let in."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        #: what the next one would wait behind this loop, by class and tenant (None: whoever it is), when that is too long (seconds)
        self.behind: Callable[[int, str | None], float] = lambda kind, tenant: 0.0
        #: let in, and not begun yet
        self.waiting = 0
        #: how long the last turn of the loop took, from the first request that it read (seconds)
        self.turn_s = 0.0
        #: what a request costs (seconds)
        self.cost_s = 1 / USUAL_RATE
        self._costs: deque[float] = deque([self.cost_s], maxlen=FIGURES)
        self._begun, self._worked = 0, 0.0
        self._began = 0.0
        self._turning = False
        self.slices = Slices(clock)
        #: class -> since when each turn was too long (0: the last one wasn't), how many that were, and up to when that needs not stand again
        self._since, self._until = dict.fromkeys(LIMITS_S, 0.0), dict.fromkeys(LIMITS_S, 0.0)
        self._long = dict.fromkeys(LIMITS_S, 0)
        self._ended = 0.0

    def defer(self, peer: Peer, data: bytes) -> bool:
        """Whether what a connection got is taken later (`Slices`)."""
        return self.slices.defer(peer, data, self._clock() - self._began if self._turning else 0.0)

    def read(self) -> None:
        """A request was read."""
        if not self._turning:
            self._turning = True
            self._began = self._clock()
            if self._began - self._ended > IDLE_S:
                self._forget()
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self.turned)  # behind what this turn reads, and behind what that begins

    def turned(self) -> None:
        """A turn of the loop is over."""
        now = self._ended = self._clock()
        self._turning = False
        self.turn_s = now - self._began
        self._worked += self.turn_s
        if self._worked >= WORK_S and self._begun >= BEGUN_MIN:
            self._costs.append(self._worked / self._begun)
            self.cost_s = min(self._costs)
            self._begun, self._worked = 0, 0.0
        for kind, limit in LIMITS_S.items():
            if self.turn_s <= limit:
                self._since[kind], self._long[kind] = 0.0, 0
                continue
            self._long[kind] += 1
            self._since[kind] = self._since[kind] or now

    def _forget(self) -> None:
        self.turn_s = 0.0
        for kind in LIMITS_S:
            self._since[kind], self._long[kind], self._until[kind] = 0.0, 0, 0.0

    def waits(self) -> float:
        """Since when, for `entered`."""
        self.waiting += 1
        return self._clock()

    def entered(self, since: float) -> float:
        """What waited has begun. How long it did, when that was too long for something and it stands in a crowd; else 0."""
        crowd = self.waiting >= FEW
        self.waiting -= 1
        self._begun += 1
        if not crowd:
            return 0.0
        waited = self._clock() - since
        return waited if waited > LIMITS_S[LOW] else 0.0

    @property
    def tight(self) -> bool:
        """Somebody may have to be refused: nothing needs to be looked at before."""
        return self.slices.crowd or self.turn_s > LIMITS_S[LOW] or self.waiting >= FEW or self.behind(LOW, None) > 0

    def refusal(self, kind: int, tenant: str | None = None) -> float:
        """The delay for which one of this class, and tenant where that is known, is refused now (seconds); 0: it may come in."""
        limit = LIMITS_S[kind]
        ahead, slices = 0.0, self.slices
        if slices.crowd or self.waiting >= FEW:  # the unimportant overtakes nobody
            ahead = (slices.oldest_s() if kind == LOW else slices.lag_s) + self.waiting * self.cost_s
        if ahead > limit:
            return ahead
        if behind := self.behind(kind, tenant):
            return behind
        if not self._since[kind]:
            return 0.0
        now = self._clock()
        if now >= self._until[kind] and (now - self._since[kind] < INTERVAL_S or self._long[kind] < TURNS):
            return 0.0
        self._until[kind] = now + MEMORY_S
        return self.turn_s


def unimportant(priority: str) -> bool:
    """Whether a `Priority` says so: `u=4` to `u=7` (RFC 9218; `u=3` is what counts without one)."""
    return any(part.strip()[:2] == "u=" and part.strip()[2:3] in ("4", "5", "6", "7") for part in priority.split(","))


def told(waited_s: float, kind: int) -> str:
    """For the one who is refused."""
    return f"the server is busy: the request would wait {waited_s:.2f} s for its turn, requests of this kind are taken up to {LIMITS_S[kind]} s"


def retry_ms(waited_s: float) -> int:
    """When to come again, for one that was refused for such a delay."""
    return min(RETRY_MS[1], max(1000, int(waited_s * 2000)))
