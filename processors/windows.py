"""How much of one tenant is at the owners at once, while several tenants are about. Pure.

What was sent to the owners is in front of whoever comes next, in whatever order they take it. So of a tenant that sends more than the others only so much is
sent as keeps the owners at work, and the rest waits at the door: the next of another tenant goes past it. How much that is depends on how long a group takes to
be on the log, so it is found as TCP Vegas finds its window (Brakmo and Peterson, 1995): what an answer takes beyond the least that one took was spent behind
others, and of those there should be neither more than a few nor none. A lone tenant has no window.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

#: a window is at least and at most so large (commands)
LEAST, MOST = 16, 1_024
#: so many of one's commands shall wait at the owners: below that the window grows, above it shrinks, by one part of so many
FEW, MANY, PART = 8, 16, 8
#: several tenants are about for so long after one came behind another's (microseconds)
SHARED_US = 1_000_000
#: the least that an answer took is of the last two spans of this length (microseconds)
SPAN_US = 5_000_000


class Windows(Generic[T]):
    """Of one way to the owners. `holds` for each command while several tenants are in hand, `next` for each answer while there are some held."""

    __slots__ = ("_before", "_flow", "_held", "_least", "_sample", "_span_to", "_until", "count", "size")

    def __init__(self) -> None:
        self.size = LEAST
        #: how many are held
        self.count = 0
        self._held: dict[str, deque[T]] = {}
        #: whose the last one was, and up to when several are about
        self._flow, self._until = "", 0
        #: number and time of the one whose answer is waited for to know how long that takes (0: none is)
        self._sample = (0, 0)
        #: the least that one took in this span and in the one before it (0: none was seen), and when this one ends
        self._least, self._before, self._span_to = 0, 0, 0

    def clear(self) -> None:
        self._held.clear()
        self.count, self._sample = 0, (0, 0)

    def holds(self, tenant: str, in_hand: int, now: int) -> bool:
        """Whether one more has to wait here. `in_hand`: of this tenant, with those that are held and this one."""
        if tenant != self._flow:
            self._flow, self._until = tenant, now + SHARED_US
        mine = self._held.get(tenant)
        return mine is not None or (now < self._until and in_hand > self.size)

    def hold(self, tenant: str, item: T) -> None:
        self._held.setdefault(tenant, deque()).append(item)
        self.count += 1

    def next(self, tenant: str, in_hand: int, now: int) -> T | None:
        """What may go now. `in_hand`: of this tenant, with those that are held."""
        if (mine := self._held.get(tenant)) is None or (now < self._until and in_hand - len(mine) >= self.size):
            return None
        self.count -= 1
        found = mine.popleft()
        if not mine:
            del self._held[tenant]
        return found

    # --- how large ------------------------------------------------------------------------------------------------------------

    def sent(self, number: int, now: int) -> None:
        """One is on its way. Of those that are, one at a time is looked at: that is once in a round trip."""
        if not self._sample[0]:
            self._sample = number, now

    def answered(self, number: int, tenant: str, now: int) -> None:
        if number != self._sample[0]:
            return
        took = max(1, now - self._sample[1])
        self._sample = (0, 0)
        if now >= self._span_to:
            self._before, self._least, self._span_to = self._least, 0, now + SPAN_US
        self._least = min(self._least or took, took)
        if tenant not in self._held:  # the window is not what keeps this one
            return
        waits = self.size * (took - min(self._before or took, self._least)) // took
        if waits < FEW:
            self.size = min(MOST, self.size + self.size // PART)
        elif waits > MANY:
            self.size = max(LEAST, self.size - self.size // PART)
