"""Whether two groups differ, from counts alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

#: below it a difference is told as one
ALPHA = 0.05
#: with fewer than this expected in a cell, shares are compared exactly
EXPECTED_MIN = 5.0


class Ranks(NamedTuple):
    """Of all pairs of one before and one after, `longer` is the share in which the one after took longer (ties count half)."""

    longer: float
    p_value: float


def ranks(before: Mapping[int, int], after: Mapping[int, int]) -> Ranks | None:
    """The rank test of Mann and Whitney over buckets, two-sided, with corrections for ties (what shares a bucket) and continuity. None: one side is empty."""
    n, m = sum(before.values()), sum(after.values())
    if not n or not m:
        return None
    passed, twice_u, ties = 0, 0, 0
    for bucket in sorted({*before, *after}):
        a, b = before.get(bucket, 0), after.get(bucket, 0)
        twice_u += b * (2 * passed + a)
        passed += a
        ties += (a + b) ** 3 - (a + b)
    u, total = twice_u / 2, n + m
    variance = n * m / 12 * (total + 1 - (ties / (total * (total - 1)) if total > 1 else 0))
    if variance <= 0:
        return Ranks(0.5, 1.0)
    z = max(0.0, abs(u - n * m / 2) - 0.5) / math.sqrt(variance)
    return Ranks(u / (n * m), math.erfc(z / math.sqrt(2)))


def shares(k: int, n: int, l: int, m: int) -> float | None:
    """The p-value of `k` of `n` against `l` of `m` being of one share: Fisher's exact test where few are expected, else the pooled z-test. None: one side is empty."""
    if not n or not m:
        return None
    total, hits = n + m, k + l
    if min(hits, total - hits) * min(n, m) / total < EXPECTED_MIN:
        return _exact(k, n, m, hits)
    pooled = hits / total
    z = abs(k / n - l / m) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return math.erfc(z / math.sqrt(2))


def _exact(k: int, n: int, m: int, hits: int) -> float:
    """The probability of all tables with these margins that are as unlikely as this one, or more."""

    def log(a: int, b: int) -> float:
        return math.lgamma(a + 1) - math.lgamma(b + 1) - math.lgamma(a - b + 1)

    whole = log(n + m, hits)

    def of(i: int) -> float:
        return math.exp(log(n, i) + log(m, hits - i) - whole)

    here = of(k) * (1 + 1e-7)
    return min(1.0, math.fsum(p for i in range(max(0, hits - m), min(n, hits) + 1) if (p := of(i)) <= here))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """For so many questions at once (Benjamini and Hochberg): the share of false ones among those that are told as differences stays below ALPHA."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    out, least = [1.0] * len(p_values), 1.0
    for place, i in enumerate(order):
        least = min(least, p_values[i] * len(p_values) / (len(p_values) - place))
        out[i] = least
    return out
