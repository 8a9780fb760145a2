"""What is known of states: how long instances stayed in one, how long they took after it, how they ended. Predictions are read from those that had stayed as
long as the one in question: so time that has passed is not hoped for again, and an estimate may well grow.

`fit` counts, `look` reads. A state of which too few are known is looked for without the version, without the hands, and at last as any at that age.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flowledger.analytics.predict.course import Course, without_hands

#: stays that are needed to read from
STAYS_MIN = 30
#: stays of a state that are kept, spread evenly over how long they took; states that are kept, the most frequent
STAYS_MAX, STATES_MAX = 300, 300
#: share of cases that an interval is to hold
INTERVAL = 0.8
#: cases that the share of all counts for in the share of a few
WEIGHT = 5


class Stay(NamedTuple):
    """Times in ms. `dwell`: in the state; `rest`: after it, to the end. `next`: the element that came next; empty: none did."""

    dwell: int
    rest: int
    completed: int
    next: str


class Seen(NamedTuple):
    """What is like the instance in question. `left_ms`: how long each still took, in order of length. `key`: of which state it is. `beyond`: none of them
    had stayed as long, so nothing is known."""

    key: str
    left_ms: list[int]
    completed: int
    next: Counter[str]
    beyond: bool = False

    @property
    def n(self) -> int:
        return len(self.left_ms)

    def quantile(self, share: float) -> int:
        return quantile(self.left_ms, share)

    def later_than(self, ms: float) -> float:
        """The share of those that took longer than that, a case more on either side, so that it is never told for sure."""
        return (self.n - bisect_right(self.left_ms, ms) + 0.5) / (self.n + 1)

    def success(self, rate: float) -> float:
        return (self.completed + WEIGHT * rate) / (self.n + WEIGHT)


def quantile(ordered: Sequence[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, max(0, int(share * len(ordered))))]


def keys_of(version: int, state: str) -> tuple[str, ...]:
    """From the closest to the widest."""
    return f"{version}|{state}", f"|{state}", f"|{without_hands(state)}", ""


class Model(NamedTuple):
    """`stays`: of each state by length. `rate`: the share of completed of all. `widen`: by which factors an interval is to be wider, of a state ("": of any)."""

    stays: dict[str, list[Stay]]
    rate: float
    widen: dict[str, float]

    def look(self, version: int, state: str, since_ms: int, age_ms: int) -> Seen:
        """Of an instance that has been in the state for `since_ms` and is `age_ms` old."""
        for key in keys_of(version, state):
            stays, had = self.stays.get(key, ()), since_ms if key else age_ms
            if len(stays) >= STAYS_MIN or (not key and stays):
                break
        else:
            return Seen("", [0], 0, Counter())
        first = bisect_left(stays, had, key=lambda s: s.dwell)
        alike = stays[min(first, max(0, len(stays) - STAYS_MIN)) :]  # older than nearly all before it: as the oldest
        left = sorted(max(0, s.dwell - had) + s.rest for s in alike)
        return Seen(key, left, sum(s.completed for s in alike), Counter(s.next for s in alike if s.next), first == len(stays))

    def between(self, seen: Seen) -> tuple[int, int]:
        """The interval, by the factor that was found on cases which were not learned from."""
        by = self.widen.get(without_hands(seen.key.partition("|")[2]), self.widen.get("", 1.0))
        low, high = seen.quantile((1 - INTERVAL) / 2), seen.quantile((1 + INTERVAL) / 2)
        return max(0, int((low + 1000) / by) - 1000), max(0, int((high + 1000) * by) - 1000)

    def dump(self) -> dict[str, Any]:
        return {"stays": {k: [list(s) for s in v] for k, v in self.stays.items()}, "rate": self.rate, "widen": self.widen}

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Model:
        stays = {k: [Stay(*s) for s in v] for k, v in row["stays"].items()}
        return cls(stays, float(row["rate"]), {k: float(v) for k, v in row["widen"].items()})


def fit(courses: Iterable[Course]) -> Model:
    """Of ended ones."""
    stays: dict[str, list[Stay]] = defaultdict(list)
    done = n = 0
    for c in courses:
        completed = int(c.outcome == "completed")
        done, n = done + completed, n + 1
        for i, step in enumerate(c.steps):
            last = i + 1 == len(c.steps)
            until = c.ended_us if last else c.steps[i + 1].us
            stay = Stay((until - step.us) // 1000, (c.ended_us - until) // 1000, completed, following(c, i))
            for key in keys_of(c.version, step.state)[:-1]:
                stays[key].append(stay)
        stays[""].append(Stay(c.lasted_us // 1000, 0, completed, ""))
    kept = sorted(stays, key=lambda k: (k != "", -len(stays[k]), k))[:STATES_MAX]
    return Model({k: _thinned(stays[k]) for k in kept}, done / n if n else 0.0, {})


def following(c: Course, i: int) -> str:
    """The first element that came after the step and wasn't there before; of several at once the first by name."""
    here = set(without_hands(c.steps[i].state).split("+"))
    for step in c.steps[i + 1 :]:
        for element in without_hands(step.state).split("+"):
            if element not in here:
                return element
    return ""


def _thinned(stays: list[Stay]) -> list[Stay]:
    ordered = sorted(stays)
    n = len(ordered)
    return ordered if n <= STAYS_MAX else [ordered[(2 * i + 1) * n // (2 * STAYS_MAX)] for i in range(STAYS_MAX)]
