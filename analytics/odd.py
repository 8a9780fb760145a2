"""Cases that are unlike those before: a step from one element to the next that is never or seldom gone, an element that nearly all pass and this one
didn't, a value that none, or hardly any, had.

Each completed case is held against the cases of the same version that completed before it. How unlikely it is follows from ranks alone: so many of the cases
before were as rare as this one, or rarer, each counted without itself. So of cases that are like those before no more than `RARE` are told, for each
question, whatever the figures look like. What is asked of a way is its steps and not its order as a whole, which is another for each case where branches go
side by side or in loops.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

KINDS = ("path", "skipped", "value")
#: share of the cases before that may be as rare, so that a case is told
RARE = 0.005
#: cases of a version before it without which nothing is asked, and that are looked back
BEFORE_MIN, BEFORE_MAX = 200, 2_000
#: values of a variable that are told apart: one that has more is no category
VALUES_MAX = 50
#: how far beyond the quartiles a number must lie, in distances between them; below, of what can't be negative, in its logarithm
FENCE, FENCE_BELOW = 3.0, 6.0


class Case(NamedTuple):
    """A completed one. `path`: elements as it arrived at them; `values`: numbers, texts, true and false by their names."""

    key: int
    definition: int
    us: int
    path: tuple[str, ...]
    values: Mapping[str, Any]


class Odd(NamedTuple):
    """`kind` path (the step that ends at `element`), skipped (`element`) or value (of variable `name`; `value`, `usual`: of a number, it and the median).
    `before`: of how many."""

    kind: str
    key: int
    us: int
    element: str
    name: str
    value: float | None
    usual: float | None
    p_value: float
    before: int


def judge(cases: Iterable[Case], since_us: int) -> list[Odd]:
    """Of those that completed at `since_us` or later. `cases`: in the order in which they completed."""
    known: dict[int, _Before] = defaultdict(_Before)
    out: list[Odd] = []
    for case in cases:
        before = known[case.definition]
        if case.us >= since_us and len(before.cases) >= BEFORE_MIN:
            out += before.odd(case)
        before.add(case)
    return out


class _Before:
    """The last cases of a version."""

    def __init__(self) -> None:
        self.cases: deque[Case] = deque()
        self.paths: Counter[tuple[str, ...]] = Counter()
        #: step -> the cases in which it was gone
        self.steps: dict[tuple[str, str], set[int]] = defaultdict(set)
        self.elements: Counter[str] = Counter()
        self.texts: dict[str, Counter[Any]] = defaultdict(Counter)
        self.numbers: dict[str, list[float]] = defaultdict(list)

    def add(self, case: Case) -> None:
        self.cases.append(case)
        self._count(case, 1)
        if len(self.cases) > BEFORE_MAX:
            self._count(self.cases.popleft(), -1)

    def _count(self, case: Case, sign: int) -> None:
        _add(self.paths, case.path, sign)
        for element in set(case.path):
            _add(self.elements, element, sign)
        for step in pairwise(case.path):
            if sign > 0:
                self.steps[step].add(case.key)
            else:
                self.steps[step].discard(case.key)
        for name, value in case.values.items():
            if not _number(value):
                _add(self.texts[name], value, sign)
            elif sign > 0:
                insort(self.numbers[name], float(value))
            else:
                del self.numbers[name][bisect_left(self.numbers[name], float(value))]

    def odd(self, case: Case) -> list[Odd]:
        n = len(self.cases)
        out = []
        skipped, p = self._skipped(case, n)
        kind, element = "skipped", skipped
        if not skipped:
            kind, (element, p) = "path", self._step(case, n)
        if p <= RARE:
            out.append(Odd(kind, case.key, case.us, element, "", None, None, p, n))
        for name, value in case.values.items():
            if _number(value):
                ordered = self.numbers.get(name, [])
                if len(ordered) >= BEFORE_MIN and (p := _far(ordered, float(value))) <= RARE:
                    out.append(Odd("value", case.key, case.us, "", name, float(value), ordered[len(ordered) // 2], p, len(ordered)))
            else:
                seen = self.texts.get(name, Counter())
                had = sum(seen.values()) if len(seen) <= VALUES_MAX else 0
                if had >= BEFORE_MIN and (p := _rarity(seen, value, had)) <= RARE:
                    out.append(Odd("value", case.key, case.us, "", name, None, None, p, had))
        return out

    def _skipped(self, case: Case, n: int) -> tuple[str, float]:
        """The first element of the usual way that nearly all before passed and this one didn't, and how unlikely that is."""
        ((usual, _),) = self.paths.most_common(1)
        passed = set(case.path)
        for element in usual:
            p = (1 + n - self.elements[element]) / (n + 1)
            if element not in passed and p <= RARE:
                return element, p
        return "", 1.0

    def _step(self, case: Case, n: int) -> tuple[str, float]:
        """Where the rarest step of its way leads, and how likely a case has one as rare."""
        rarest = min(pairwise(case.path), key=lambda step: len(self.steps.get(step, ())), default=None)
        if rarest is None:
            return "", 1.0
        own = len(self.steps.get(rarest, ()))
        if own > RARE * (n + 1):
            return rarest[1], 1.0
        as_rare = set[int]().union(*(keys for keys in self.steps.values() if len(keys) - 1 <= own))
        return rarest[1], (1 + len(as_rare)) / (n + 1)


def _number(value: Any) -> bool:
    return not isinstance(value, bool | str)


def _add(counts: Counter[Any], key: Any, sign: int) -> None:
    counts[key] += sign
    if not counts[key]:
        del counts[key]


def _rarity(counts: Counter[Any], key: Any, n: int) -> float:
    """How likely one is as rare as this, or rarer."""
    own = counts.get(key, 0)
    return (1 + sum(c for c in counts.values() if c - 1 <= own)) / (n + 1)


def _far(ordered: Sequence[float], x: float) -> float:
    """How likely one is as extreme on its side; 1 where it lies within the fences, which are far from the quartiles: of numbers that are all positive on both
    scales, since many such are spread as products are."""
    n = len(ordered)
    low, high = ordered[n // 4], ordered[(3 * n) // 4]
    above = (1 + n - bisect_left(ordered, x)) / (n + 1)
    below = (1 + bisect_right(ordered, x)) / (n + 1)
    if low == high:  # most have one value
        return 1.0 if x == low else (1 + n - ordered.count(low)) / (n + 1)
    positive = ordered[int(RARE * n)] > 0  # a few that are odd themselves don't count
    if x > high:
        beyond = x > high + FENCE * (high - low)
        if positive and beyond:
            beyond = math.log(x) > math.log(high) + FENCE * (math.log(high) - math.log(low))
        return above if beyond else 1.0
    if positive and x > 0:
        beyond = math.log(x) < math.log(low) - FENCE_BELOW * (math.log(high) - math.log(low))
    else:
        beyond = positive or x < low - FENCE * (high - low)
    return below if beyond else 1.0
