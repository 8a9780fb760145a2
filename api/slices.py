"""What connections got, taken in slices of time, so that the loop's turns stay short and what was begun goes on in between.

Unlike a queue of one order this one keeps its promises when more comes than can be done: connections that carry work on what runs come
first, and of a crowd the newest is taken in turn with the oldest. In one order all would be too late, and nobody be let in (an adaptive
LIFO, as in Maurer, "Fail at Scale", ACM Queue 13-8, 2015); the oldest hears soon that it was too late.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

#: so long is read in one turn of the loop; what came with it comes in the next ones (seconds)
SLICE_S = 0.008
#: so many connections at once are no crowd
FEW = 32
#: in a crowd every so-manieth is one of it, whatever work on what runs waits
CROWD_EVERY = 4


class Peer(Protocol):
    """A connection. `running`: it last carried work on what runs; `take` is what `data_received` would be; `pause`, `resume`: reading."""

    running: bool

    def take(self, data: bytes) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class _Waiting:
    __slots__ = ("data", "more", "since")

    def __init__(self, data: bytes, since: float) -> None:
        self.data, self.since = data, since
        #: a second part; nothing more is read then
        self.more = b""


class Slices:
    """Of one event loop: `defer` for all that was read."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        #: the oldest first
        self._running: OrderedDict[Peer, _Waiting] = OrderedDict()
        self._others: OrderedDict[Peer, _Waiting] = OrderedDict()
        self._count, self._newest = 0, False
        #: many waited at once, and since then there was always one
        self.crowd = False
        #: how long what is taken at the moment has waited for that (seconds)
        self.lag_s = 0.0

    def __len__(self) -> int:
        return len(self._running) + len(self._others)

    def defer(self, peer: Peer, data: bytes, busy_s: float) -> bool:
        """Whether it is taken later, because this turn has taken for `busy_s` already, or others wait. Of one peer all comes in its order."""
        if not self._running and not self._others:
            if busy_s <= SLICE_S:
                return False
            asyncio.get_running_loop().call_soon(self._drain)
        waiting = self._running.get(peer) or self._others.get(peer)
        if waiting is None:
            (self._running if peer.running else self._others)[peer] = _Waiting(data, self._clock())
            self.crowd = self.crowd or len(self) >= FEW
        else:
            waiting.more += data
            peer.pause()
        return True

    def oldest_s(self) -> float:
        """How long the oldest that isn't work on what runs has waited (seconds)."""
        return self._clock() - next(iter(self._others.values())).since if self._others else self.lag_s

    def _drain(self) -> None:
        now = self._clock()
        end = now + SLICE_S
        while self._running or self._others:
            peer, waiting = self._next()
            self.lag_s = now - waiting.since
            if waiting.more:
                peer.resume()  # before: what is taken may pause it
            peer.take(waiting.data)
            if waiting.more:
                peer.take(waiting.more)
            if (now := self._clock()) > end:
                break
        self.lag_s = 0.0
        if self._running or self._others:
            asyncio.get_running_loop().call_soon(self._drain)
        else:
            self.crowd = False

    def _next(self) -> tuple[Peer, _Waiting]:
        self._count += 1
        if self._running and (not self._others or self._count % CROWD_EVERY):
            return self._running.popitem(last=False)
        self._newest = self.crowd and not self._newest
        return self._others.popitem(last=self._newest)
