"""Moments of long histories, kept in memory: whoever slides through time folds only what lies between one of them and the moment asked for.

Events never change, so what was folded once stays true. Only who was allowed to see the instance comes here (`instances.find`), and a tenant finds its own alone.
"""

from __future__ import annotations

import pickle
from bisect import bisect_right
from collections import OrderedDict

from flowledger.api.replay import Replay, micros

#: one is kept each so many events of a history
EVERY = 500
#: bytes of all that are kept, and of one
BYTES_MAX, ONE_MAX = 32 << 20, 1 << 20

Whose = tuple[str, int]


class _Line:
    """Of one history, in order: offsets, times (microseconds), and the folds up to and including them."""

    __slots__ = ("folds", "offsets", "size", "times")

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.times: list[int] = []
        self.folds: list[bytes] = []
        self.size = 0


class Moments:
    """`hits`: how often one was of use."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._lines: OrderedDict[Whose, _Line] = OrderedDict()
        self._max, self.size, self.hits = bytes_max, 0, 0

    def before(self, whose: Whose, offset: int | None, time_us: int | None) -> Replay | None:
        """The last one that is not after `offset` or `time_us` (both None: the newest), for the caller to go on with."""
        line = self._lines.get(whose)
        if line is None:
            return None
        n = len(line.folds)
        if offset is not None:
            n = bisect_right(line.offsets, offset)
        elif time_us is not None:
            # of several events of one time the fold may end at any; one before them all is true for each
            n = bisect_right(line.times, time_us - 1)
        if n == 0:
            return None
        self._lines.move_to_end(whose)
        self.hits += 1
        found: Replay = pickle.loads(line.folds[n - 1])  # noqa: S301 - our own, from this process's memory
        return found

    def keep(self, whose: Whose, fold: Replay) -> None:
        """At every `EVERY` events; what is known, or is too large, is passed over."""
        if fold.events % EVERY or type(fold) is not Replay:
            return
        offset = int(fold.position.partition("-")[2])
        line = self._lines.setdefault(whose, _Line())
        self._lines.move_to_end(whose)
        if line.offsets and offset <= line.offsets[-1]:
            return
        image = pickle.dumps(fold, pickle.HIGHEST_PROTOCOL)
        if len(image) > ONE_MAX:
            return
        line.offsets.append(offset)
        line.times.append(micros(fold.time))
        line.folds.append(image)
        line.size += len(image)
        self.size += len(image)
        while self.size > self._max:
            _, gone = self._lines.popitem(last=False)
            self.size -= gone.size
