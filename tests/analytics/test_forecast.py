"""Forecasts against drawn weeks of which the rates are known."""

from __future__ import annotations

import math
import random

import pytest

from flowledger.analytics.forecast import INTERVAL, SEASONS, SEASONS_MIN, forecast


def rate(hour: int) -> float:
    day = hour // 24 % 7
    return (12 if 8 <= hour % 24 < 18 else 2) * (1.5 if day == 0 else 0.3 if day >= 5 else 1)


def poisson(rng: random.Random, mean: float) -> int:
    limit, k, p = math.exp(-mean), 0, 1.0
    while (p := p * rng.random()) > limit:
        k += 1
    return k


def weeks(seed: int, n: int, grow: float = 0.0) -> list[int]:
    rng = random.Random(seed)
    return [poisson(rng, rate(h) * (1 + grow * h / 168)) for h in range(n * 168)]


@pytest.mark.req("APG-AI-011")
@pytest.mark.parametrize("seed", range(4))
def test_it_is_better_than_last_week_and_the_bands_hold(seed):
    found = forecast(weeks(seed, 10), "hour", 168)
    assert found["by"] == "model" and found["error"] < 0.85 * found["last_week_error"]
    assert abs(found["interval"]["holds"] - INTERVAL) < 0.12 and abs(found["bias"]) < 0.5
    truth = [rate(h) for h in range(168)]
    off = sum(abs(i["expected"] - t) for i, t in zip(found["items"], truth, strict=True)) / 168
    assert off < 0.15 * sum(truth) / 168
    rng = random.Random(seed + 100)
    later = [poisson(rng, t) for t in truth]  # a week that nobody has seen
    held = sum(i["low"] <= x <= i["high"] for i, x in zip(found["items"], later, strict=True)) / 168
    assert 0.7 < held < 0.95


def test_where_last_week_is_as_good_it_is_told_and_not_a_model():
    same = [int(rate(h)) for h in range(168)] * 6
    found = forecast(same, "hour", 24)
    assert found["by"] == "last_week" and [i["expected"] for i in found["items"]] == same[:24] and found["last_week_error"] == 0
    steep = [
        round(rate(h % 168) * 3 ** (h // 168)) for h in range(6 * 168)
    ]  # three times as many each week: the last one says more than those before
    assert forecast(steep, "hour", 168)["by"] == "last_week"


def test_days_and_what_is_too_short():
    counts = [10, 8, 8, 8, 8, 2, 1] * 8
    assert [i["expected"] for i in forecast(counts, "day", 9)["items"]] == [10, 8, 8, 8, 8, 2, 1, 10, 8]
    for window, season in SEASONS.items():
        assert forecast([1] * (SEASONS_MIN * season - 1), window, 1) is None
        assert forecast([1] * (SEASONS_MIN * season), window, 1) is not None
    assert forecast([0] * 168 * 5, "hour", 3)["items"][0] == {"expected": 0, "low": 0.0, "high": 0.0}
