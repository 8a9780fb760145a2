"""What connections got, taken in slices of time, so that the loop's turns stay short and what was begun goes on in between.

Unlike a queue of one order this one keeps its promises when more comes than can be done: connections that carry work on what runs come
first, tenants have their turns (`processors/turns.py`), and of a tenant's crowd the newest is taken in turn with the oldest. In one order all would be too
late, and nobody be let in (an adaptive LIFO, as in Maurer, "Fail at Scale", ACM Queue 13-8, 2015); the oldest hears soon that it was too late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from flowledger.processors.turns import Turns

#: so long is read in one turn of the loop; what came with it comes in the next ones (seconds)
SLICE_S = 0.008
#: and of so many connections while several tenants are about: what one of them has begun is in front of what another sends next, and costs ten
#: times the reading
SHARED = 4
#: they are, for so long after one came behind another's (seconds)
MIXED_S = 1.0
#: in the scope of a request: its connection, which remembers for whom it was (`Peer.whose`)
PEER = "flowledger_peer"
#: so many connections at once are no crowd
FEW = 32
#: in a crowd every so-manieth is one of it, whatever work on what runs waits
CROWD_EVERY = 4


class Peer(Protocol):
    """A connection. `running`: it last carried work on what runs; `whose`: for whom (the tenant; an address until that is known); `take` is what
    `data_received` would be; `pause`, `resume`: reading."""

    running: bool

    @property
    def whose(self) -> str: ...
    def take(self, data: bytes) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class _Waiting:
    __slots__ = ("data", "more", "peer", "since")

    def __init__(self, peer: Peer, data: bytes, since: float) -> None:
        self.peer, self.data, self.since = peer, data, since
        #: a second part; nothing more is read then
        self.more = b""


class Slices:
    """Of one event loop: `defer` for all that was read."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._running: Turns[_Waiting] = Turns()
        self._others: Turns[_Waiting] = Turns()
        self._waiting: dict[Peer, _Waiting] = {}
        self._count = 0
        #: whose the last was, and up to when several tenants are about
        self._flow, self._mixed_until = "", 0.0
        #: several are, as far as was looked; and of how many was read in this turn meanwhile
        self._shared, self._taken = False, 0
        #: many waited at once, and since then there was always one
        self.crowd = False
        #: how long what is taken at the moment has waited for that (seconds)
        self.lag_s = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def defer(self, peer: Peer, data: bytes, busy_s: float) -> bool:
        """Whether it is taken later, because this turn has taken for `busy_s` already, or others wait. Of one peer all comes in its order."""
        if peer.whose != self._flow:
            self._flow, self._mixed_until = peer.whose, self._clock() + MIXED_S
            self._shared = True
        if not self._waiting:
            if busy_s <= SLICE_S and not self._shared:
                return False
            if busy_s <= SLICE_S and (not busy_s or self._taken < SHARED):
                self._taken = self._taken + 1 if busy_s else 1
                return False
            asyncio.get_running_loop().call_soon(self._drain)
        waiting = self._waiting.get(peer)
        if waiting is None:
            waiting = self._waiting[peer] = _Waiting(peer, data, self._clock())
            (self._running if peer.running else self._others).add(peer.whose, waiting)
            self.crowd = self.crowd or len(self._waiting) >= FEW
        else:
            waiting.more += data
            peer.pause()
        return True

    def oldest_s(self) -> float:
        """How long the oldest of that tenant has waited that isn't work on what runs (seconds)."""
        oldest = self._others.oldest()
        return self._clock() - oldest.since if oldest is not None else self.lag_s

    def _drain(self) -> None:
        now = self._clock()
        self._shared = now < self._mixed_until
        end, left = now + SLICE_S, SHARED if self._shared else 0
        while self._waiting:
            waiting = self._next()
            peer = waiting.peer
            self.lag_s = now - waiting.since
            if waiting.more:
                peer.resume()  # before: what is taken may pause it
            peer.take(waiting.data)
            if waiting.more:
                peer.take(waiting.more)
            left -= 1
            if (now := self._clock()) > end or not left:
                break
        self.lag_s = 0.0
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._drain)
        else:
            self.crowd = False

    def _next(self) -> _Waiting:
        self._count += 1
        lane, spread = self._others, self.crowd
        if self._running.count and (not lane.count or self._count % CROWD_EVERY):
            lane, spread = self._running, False
        found = lane.take(spread)
        lane.pay(1)
        del self._waiting[found.peer]
        return found
