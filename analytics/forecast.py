"""How many will come: counts by hour or day with the season of the week, with bands, and beside it what the same time last week says. Told only where it was better than
that on times that were held out, from several origins.

The level of the last weeks, times the share that each hour (or day) of the week had in them, recent weeks counting more. Bands are as wide as errors were on held-out
times, measured in the root of what was expected, since counts spread so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

#: steps of a season: a week of hours, a week of days
SEASONS = {"hour": 168, "day": 7}
#: seasons that are needed, and that are looked back; of a season, how much less it counts than the one after
SEASONS_MIN, SEASONS_MAX, FADES = 5, 12, 0.8
#: seasons that are held out, one after the other, each forecast from those before
HELD_OUT = 3
INTERVAL = 0.8
#: how much better than last week it must be
BETTER = 0.02


def expected(counts: Sequence[float], season: int, steps: int) -> list[float]:
    """What comes next, of a series that ends now and begins at the start of a season's step."""
    whole = len(counts) // season
    seasons = [counts[len(counts) - (n + 1) * season : len(counts) - n * season] for n in range(min(whole, SEASONS_MAX))]
    weights = [FADES**n for n in range(len(seasons))]
    total = sum(weights)
    return [sum(w * s[i % season] for w, s in zip(weights, seasons, strict=True)) / total for i in range(steps)]


def naive(counts: Sequence[float], season: int, steps: int) -> list[float]:
    """The same time last week."""
    return [counts[len(counts) - season + i % season] for i in range(steps)]


def _scaled(error: float, mean: float) -> float:
    return abs(error) / math.sqrt(mean + 1)


def forecast(counts: Sequence[int], window: str, steps: int) -> dict[str, Any] | None:
    """`counts`: of whole steps, the oldest first, up to now. None: there are fewer than five weeks."""
    season = SEASONS[window]
    if len(counts) < SEASONS_MIN * season:
        return None
    errors: list[float] = []
    simple: list[float] = []
    scaled: list[list[float]] = []
    signed: list[float] = []
    for n in range(HELD_OUT, 0, -1):
        before, after = counts[: len(counts) - n * season], counts[len(counts) - n * season : len(counts) - (n - 1) * season]
        ours, theirs = expected(before, season, season), naive(before, season, season)
        errors += [abs(a - o) for a, o in zip(after, ours, strict=True)]
        signed += [o - a for a, o in zip(after, ours, strict=True)]
        simple += [abs(a - t) for a, t in zip(after, theirs, strict=True)]
        scaled.append([_scaled(a - o, o) for a, o in zip(after, ours, strict=True)])
    error, base = fmean(errors), fmean(simple)
    offered = base > 0 and error < (1 - BETTER) * base
    # how wide: by the earlier held-out weeks; whether that holds: on the last one
    width, held = _width([x for week in scaled[:-1] for x in week]), scaled[-1]
    wide = _width([x for week in scaled for x in week])
    told = expected(counts, season, steps) if offered else naive(counts, season, steps)
    return {
        "by": "model" if offered else "last_week",
        "items": [
            {"expected": round(m, 3), "low": round(max(0.0, m - wide * math.sqrt(m + 1)), 3), "high": round(m + wide * math.sqrt(m + 1), 3)}
            for m in told
        ],
        "last_week": naive(counts, season, steps),
        "error": round(error, 4),
        "last_week_error": round(base, 4),
        "bias": round(fmean(signed), 4),
        "interval": {"says": INTERVAL, "holds": round(fmean([x <= width for x in held]), 4)},
        "weeks": len(counts) // season,
    }


def _width(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil((len(ordered) + 1) * INTERVAL) - 1)]
