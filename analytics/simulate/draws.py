"""Chance that is none: each draw is a function of a seed and of what is drawn for, so two scenarios draw the same for the same piece of work of the same instance,
and a run can be done again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

_NORMAL = NormalDist()
KINDS = ("fixed", "exponential", "uniform", "triangular", "normal", "lognormal", "sample")


def uniform(seed: int, *what: str | int) -> float:
    """From 0 to 1, neither of them."""
    text = "\0".join(map(str, (seed, *what)))
    n = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    return ((n >> 11) + 0.5) / (1 << 53)


class Spread(NamedTuple):
    """How a time is spread; `values` in microseconds (of `lognormal` the median, and sigma)."""

    kind: str
    values: tuple[float, ...]

    def at(self, u: float) -> int:
        """The time below which the share `u` is."""
        v = self.values
        if self.kind == "fixed":
            found = v[0]
        elif self.kind == "exponential":
            found = -v[0] * math.log1p(-u)
        elif self.kind == "uniform":
            found = v[0] + (v[1] - v[0]) * u
        elif self.kind == "triangular":
            low, mode, high = v
            cut = (mode - low) / (high - low) if high > low else 0.0
            found = (
                low + math.sqrt(u * (high - low) * (mode - low)) if u < cut else high - math.sqrt((1 - u) * (high - low) * (high - mode))
            )
        elif self.kind == "normal":
            found = v[0] + v[1] * _NORMAL.inv_cdf(u)
        elif self.kind == "lognormal":
            found = v[0] * math.exp(v[1] * _NORMAL.inv_cdf(u))
        else:
            found = between(v, u)
        return max(0, round(found))

    @property
    def mean(self) -> float:
        return sum(self.at((n + 0.5) / 200) for n in range(200)) / 200


def between(ordered: Sequence[float], u: float) -> float:
    """Of a sample: what lies between two is as likely as they are."""
    place = u * (len(ordered) - 1)
    n = min(len(ordered) - 2, int(place)) if len(ordered) > 1 else 0
    return ordered[0] if len(ordered) == 1 else ordered[n] + (ordered[n + 1] - ordered[n]) * (place - n)


def sampled(times: Sequence[int], most: int = 101) -> Spread:
    """As they were: at most so many points of them, in order."""
    ordered = sorted(times)
    if len(ordered) > most:
        ordered = [ordered[n * (len(ordered) - 1) // (most - 1)] for n in range(most)]
    return Spread("sample", tuple(ordered))


NOTHING = Spread("fixed", (0.0,))


def problem(given: Any) -> str:
    """What is wrong with a spread as it is given; empty: nothing."""
    if isinstance(given, (str, int, float)) and not isinstance(given, bool):
        return "" if _us(given) is not None else "a duration such as PT5M, or seconds"
    if not isinstance(given, dict) or len(given) != 1 or (kind := next(iter(given))) not in KINDS:
        return f"a duration, or an object with one of {', '.join(KINDS)}"
    value = given[kind]
    wanted = {"uniform": 2, "triangular": 3, "normal": 2, "lognormal": 2}.get(kind)
    if wanted is None and kind != "sample":
        return "" if _us(value) is not None else f"{kind}: a duration such as PT5M, or seconds"
    if not isinstance(value, list) or (wanted and len(value) != wanted) or not 1 <= len(value) <= 1_000:
        return f"{kind}: a list of {wanted or '1 to 1,000'} times"
    times = value[:1] if kind == "lognormal" else value
    if any(_us(v) is None for v in times):
        return f"{kind}: durations such as PT5M, or seconds"
    if kind == "lognormal" and not (type(value[1]) in (int, float) and 0 <= value[1] <= 5):
        return "lognormal: a median, and sigma from 0 to 5"
    if kind in ("uniform", "triangular") and sorted(map(_sure, value)) != [_sure(v) for v in value]:
        return f"{kind}: times in ascending order"
    return ""


def read(given: Any) -> Spread:
    """One without a problem."""
    if not isinstance(given, dict):
        return Spread("fixed", (_sure(given),))
    ((kind, value),) = given.items()
    if not isinstance(value, list):
        return Spread(kind, (_sure(value),))
    if kind == "lognormal":
        return Spread(kind, (_sure(value[0]), float(value[1])))
    return Spread(kind, tuple(sorted(map(_sure, value)) if kind == "sample" else map(_sure, value)))


#: a hundred years
_MOST_US = 100 * 366 * 86_400 * 1_000_000


def _us(value: Any) -> float | None:
    from flowledger.kernel import times

    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        us = float(value) * 1_000_000
    elif isinstance(value, str):
        try:
            months, days_us = times.duration(value)
        except ValueError:
            return None
        us = float(months * 30 * 86_400_000_000 + days_us)
    else:
        return None
    return us if 0 <= us <= _MOST_US else None


def _sure(value: Any) -> float:
    us = _us(value)
    assert us is not None
    return us
