"""What is unlike before: hours in which more or fewer came than the weeks before let one expect, and hours in which an element took longer or shorter than at that
time of the day before. Among what is told one in twenty is chance at most (Benjamini and Hochberg over all questions of a look).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flowledger.analytics import compare
from flowledger.analytics.forecast import FADES, SEASONS, SEASONS_MAX, expected
from flowledger.analytics.spread import percentile_ms

#: share of chance among what is told
FALSE_SHARE = 0.05
#: cases in an hour, and before it, without which nothing is asked of times; by how much they must differ
CASES_MIN, BEFORE_MIN, FACTOR = 5, 30, 1.5
HOURS_OF_DAY = 24
#: how far back times are looked at
DURATION_HOURS = 28 * HOURS_OF_DAY
#: of counts: how much more or less than expected, so that it is worth telling
TIMES = 1.5


class Found(NamedTuple):
    """`kind` volume or duration. `hour`: which of those asked for. `value`, `usual`: counts, or times in ms by the median."""

    kind: str
    element: str
    hour: int
    value: float
    usual: float
    p_value: float


def _tails(k: int, mean: float, phi: float) -> float:
    """Two-sided, of a count with this mean, whose variance is `phi` times it: Poisson, or negative binomial where it spreads more."""
    if mean <= 0:
        return 1.0 if k == 0 else 1e-12
    if phi <= 1.01:
        logs = [-mean + n * math.log(mean) - math.lgamma(n + 1) for n in range(k + 1)]
    else:
        r = mean / (phi - 1)
        q = math.log(1 - 1 / phi)
        logs = [math.lgamma(n + r) - math.lgamma(r) - math.lgamma(n + 1) - r * math.log(phi) + n * q for n in range(k + 1)]
    below = min(1.0, math.fsum(map(math.exp, logs)))
    above = min(1.0, max(0.0, 1 - below + math.exp(logs[-1])))
    return min(1.0, 2 * min(below, above))


def volumes(counts: Sequence[int], asked: int) -> list[Found]:
    """Of the last `asked` hours of a series, against the weeks before them; each with its p, told or not. Nothing with less than three weeks before."""
    season = SEASONS["hour"]
    before, now = counts[: len(counts) - asked], counts[len(counts) - asked :]
    if len(before) < 3 * season:
        return []
    usual = expected(before, season, asked)
    # how much counts spread beyond chance: of the last week before, by those before it; the middle, so that an incident in it doesn't count
    earlier, last = before[:-season], before[-season:]
    off = sorted((a - m) ** 2 / m for a, m in zip(last, expected(earlier, season, season), strict=True) if m >= 1)
    phi = max(1.0, off[len(off) // 2] / 0.455) if off else 1.0  # 0.455: the median of chi-square with one degree of freedom
    weights = [FADES**n for n in range(min(len(before) // season, SEASONS_MAX))]
    phi *= 1 + sum(w * w for w in weights) / sum(weights) ** 2  # what is expected is not known for sure either
    return [Found("volume", "", n, float(k), m, _tails(k, m, phi)) for n, (k, m) in enumerate(zip(now, usual, strict=True))]


def durations(
    before: Mapping[str, Mapping[int, Mapping[int, int]]], now: Mapping[str, Mapping[int, Mapping[int, int]]], first_hour: int
) -> list[Found]:
    """Element -> hour -> buckets (`spread.py`). `before` by hour of the day, `now` by hour of those asked for, the first of which is `first_hour` of its day."""
    out = []
    for element, hours in sorted(now.items()):
        known = before.get(element, {})
        around = _around(known)
        for hour, buckets in sorted(hours.items()):
            at = (first_hour + hour) % HOURS_OF_DAY
            usual = own if sum((own := known.get(at, {})).values()) >= BEFORE_MIN else around.get(at, {})
            n, m = sum(buckets.values()), sum(usual.values())
            if n < CASES_MIN or m < BEFORE_MIN or (ranks := compare.ranks(usual, buckets)) is None:
                continue
            value, middle = percentile_ms(buckets, n, 0.5) or 0.0, percentile_ms(usual, m, 0.5) or 0.0
            out.append(Found("duration", element, hour, value, middle, ranks.p_value))
    return out


def by_hour(
    counts: Sequence[int], spreads: Mapping[str, Mapping[int, Mapping[int, int]]], asked: int, first_hour: int
) -> list[list[Found]]:
    """Questions of each of the last `asked` hours of a series, each held against what was before it alone: as it could be asked when the hour was over.
    `spreads`: element -> place in the series -> buckets; `first_hour`: of its day, that of the series' first. Hours before the first count are none of its."""
    known: dict[str, dict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    begin = len(counts) - asked
    began = next((n for n, n_began in enumerate(counts) if n_began), len(counts))

    def count(place: int, sign: int) -> None:
        for element, hours in spreads.items():
            for bucket, n in hours.get(place, {}).items():
                mine = known[element][(first_hour + place) % HOURS_OF_DAY]
                mine[bucket] += sign * n
                if not mine[bucket]:
                    del mine[bucket]

    for place in range(max(0, begin - DURATION_HOURS), begin):
        count(place, 1)
    out = []
    for place in range(begin, len(counts)):
        mine = {element: {0: hours[place]} for element, hours in spreads.items() if place in hours}
        out.append([*volumes(counts[began : place + 1], min(1, max(0, place + 1 - began))), *durations(known, mine, first_hour + place)])
        count(place, 1)
        count(place - DURATION_HOURS, -1)
    return out


def told_by_hour(questions: Sequence[Sequence[Found]]) -> list[list[Found]]:
    """Of each hour what is told of it when it is over: its questions are adjusted together with those of the day before it, so that looking each hour
    makes no more of chance than looking once a day."""
    out = []
    for place, mine in enumerate(questions):
        day = [f for hour in questions[max(0, place - HOURS_OF_DAY + 1) : place] for f in hour]
        sure = compare.adjusted([f.p_value for f in [*day, *mine]])[len(day) :]
        out.append([f._replace(p_value=p) for f, p in zip(mine, sure, strict=True) if p < FALSE_SHARE and _differs(f)])
    return out


def _around(hours: Mapping[int, Mapping[int, int]]) -> dict[int, Counter[int]]:
    """With the hour before and after, where an hour has too few of its own."""
    out: dict[int, Counter[int]] = defaultdict(Counter)
    for hour, buckets in hours.items():
        for near in (-1, 0, 1):
            out[(hour + near) % HOURS_OF_DAY].update(buckets)
    return out


def told(found: Sequence[Found]) -> list[Found]:
    """Those that are no chance and worth telling; the least likely first."""
    sure = compare.adjusted([f.p_value for f in found])
    worth = [f._replace(p_value=p) for f, p in zip(found, sure, strict=True) if p < FALSE_SHARE and _differs(f)]
    return sorted(worth, key=lambda f: (f.p_value, f.hour, f.element))


def _differs(f: Found) -> bool:
    by = TIMES if f.kind == "volume" else FACTOR
    return f.value > by * f.usual or f.value * by < f.usual
