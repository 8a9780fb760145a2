"""How many pieces of a queue are in hand at a time, and how much of its waiting falls into times in which all who are there have something in hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from flowledger.analytics.advise.seen import Piece
from flowledger.analytics.simulate.plan import DAY_US, MINUTE_US

#: 1970-01-01 was a Thursday
_FIRST_DAY = 3
#: that many at once must have been seen for this share of the time in which something was in hand, to count as the most there are
SEEN_FOR = 0.01


def weekday(us: int) -> int:
    """0: Monday; UTC."""
    return (us // DAY_US + _FIRST_DAY) % 7


def minute_of_day(us: int) -> int:
    return us % DAY_US // MINUTE_US


class Load(NamedTuple):
    """`most`: how many were in hand at once, by weekday (7: of all days). `waited_us`: while something was in hand, and `full_us`: while `most` were."""

    most: tuple[int, ...]
    waited_us: int
    full_us: int

    @property
    def full(self) -> float:
        """Share of the waiting that falls into times in which nobody is free."""
        return self.full_us / self.waited_us if self.waited_us else 0.0


def _sweep(pieces: Sequence[Piece], look: Callable[[int, int, int, int], None]) -> None:
    """`look(from, to, in hand, waiting)` of each time in which neither changes; nights are cut at midnight."""
    changes: Counter[tuple[int, int]] = Counter()
    for p in pieces:
        changes[p.created_us, 1] += 1
        changes[p.begun_us, 1] -= 1
        for since, to in p.hands:
            changes[since, 0] += 1
            changes[to, 0] -= 1
    hand = waits = 0
    before: int | None = None
    for (us, kind), n in sorted(changes.items()):
        while before is not None and before < us:
            to = min(us, (before // DAY_US + 1) * DAY_US)
            look(before, to, hand, waits)
            before = to
        before = us
        hand, waits = (hand, waits + n) if kind else (hand + n, waits)


def load(pieces: Sequence[Piece], limit: int = 0) -> Load:
    """`limit`: how many may be in hand at once, where that is known; else the most that were seen for some time on that weekday."""
    times: Counter[tuple[int, int]] = Counter()
    waiting: Counter[tuple[int, int]] = Counter()

    def look(since: int, to: int, hand: int, waits: int) -> None:
        if hand:
            times[weekday(since), hand] += to - since
            waiting[weekday(since), hand] += (to - since) * waits

    _sweep(pieces, look)
    most = [limit or _most({hand: us for (d, hand), us in times.items() if d == day}) for day in range(7)]
    whole: Counter[int] = Counter()
    for (_, hand), us in times.items():
        whole[hand] += us
    most.append(limit or _most(whole))
    full = sum(us for (day, hand), us in waiting.items() if hand >= most[day] > 0)
    return Load(tuple(most), sum(waiting.values()), full)


def _most(times: dict[int, int] | Counter[int]) -> int:
    """The largest number that was seen for a share of the time."""
    whole, found = sum(times.values()), 0
    above = 0
    for hand in sorted(times, reverse=True):
        above += times[hand]
        if above >= SEEN_FOR * whole:
            found = hand
            break
    return found
