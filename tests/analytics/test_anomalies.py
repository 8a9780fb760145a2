"""Anomalies that were planted are found, and few others are told: precision and recall over drawn weeks."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from test_forecast import poisson, rate

from flowledger.analytics.anomalies import BEFORE_MIN, CASES_MIN, FALSE_SHARE, by_hour, durations, told, told_by_hour, volumes
from flowledger.analytics.spread import bucket_of

ASKED = 168


def counted(seed: int, planted: dict[int, float]) -> list[int]:
    """Nine weeks, and one in which the rate of planted hours is so many times as high."""
    rng = random.Random(seed)
    return [poisson(rng, rate(h) * (planted.get(h - 9 * 168, 1.0) if h >= 9 * 168 else 1.0)) for h in range(10 * 168)]


def busy(hour: int) -> bool:
    return rate(hour) >= 10


@pytest.mark.req("APG-AI-007")
def test_floods_and_outages_that_were_planted_are_found_and_few_others():
    right = wrong = missed = 0
    for seed in range(20):
        rng = random.Random(seed + 500)
        hours = rng.sample([h for h in range(ASKED) if busy(h)], 4)
        planted = {h: (0.0 if n % 2 else 3.0) for n, h in enumerate(hours)}
        found = {f.hour for f in told(volumes(counted(seed, planted), ASKED))}
        right += len(found & set(planted))
        wrong += len(found - set(planted))
        missed += len(set(planted) - found)
    precision, recall = right / (right + wrong), right / (right + missed)
    assert precision >= 0.93 and recall >= 0.95, (precision, recall)


@pytest.mark.req("APG-AI-007")
def test_without_any_planted_few_weeks_have_an_alarm():
    alarms = [len(told(volumes(counted(seed, {}), ASKED))) for seed in range(200, 260)]
    assert sum(map(bool, alarms)) / len(alarms) <= 0.1 and sum(alarms) / (len(alarms) * ASKED) < 0.001


def spreads(rng: random.Random, hours: int, slow: set[int], n: int = 12) -> dict[int, Counter[int]]:
    """Half an hour by the median, at night twice that; in slow hours three times that."""
    out = {}
    for hour in range(hours):
        night = 2 if hour % 24 < 6 else 1
        out[hour] = Counter(bucket_of(int(rng.lognormvariate(0, 0.6) * 1_800e6 * night * (3 if hour in slow else 1))) for _ in range(n))
    return out


@pytest.mark.req("APG-AI-007")
def test_slow_hours_of_an_element_are_found_and_few_others():
    right = wrong = missed = 0
    for seed in range(20):
        rng = random.Random(seed)
        past: dict[int, Counter[int]] = {}
        for hour, buckets in spreads(rng, 24 * 28, set()).items():
            past.setdefault(hour % 24, Counter()).update(buckets)
        slow = set(rng.sample(range(72), 3))
        now = {"approve": spreads(rng, 72, slow), "check": spreads(rng, 72, set())}
        found = {(f.element, f.hour) for f in told(durations({"approve": past, "check": past}, now, 0))}
        planted = {("approve", h) for h in slow}
        right, wrong, missed = right + len(found & planted), wrong + len(found - planted), missed + len(planted - found)
    assert right / (right + wrong) >= 1 - 2 * FALSE_SHARE and right / (right + missed) >= 0.9, (right, wrong, missed)


def test_too_little_is_no_anomaly():
    assert volumes([1] * (3 * 168 + 5), 6) == [] and len(volumes([1] * (3 * 168 + 6), 6)) == 6
    few, much = {0: Counter({50: CASES_MIN - 1})}, {0: Counter({50: BEFORE_MIN})}
    assert durations({"a": much}, {"a": few}, 0) == []
    assert durations({"a": {0: Counter({50: BEFORE_MIN - 1})}}, {"a": {0: Counter({90: CASES_MIN})}}, 0) == []
    (found,) = told(durations({"a": much}, {"a": {0: Counter({90: 30})}}, 0))
    assert (found.element, found.hour) == ("a", 0) and found.value > found.usual


@pytest.mark.req("APG-AI-007")
def test_looked_at_hour_by_hour_planted_ones_are_found_when_they_are_over_and_others_seldom_are():
    """As an alert asks: each hour when it is over, by what was before it alone, in a week of which four hours of starts and three of times are planted."""
    right = wrong = missed = hours = 0
    for seed in range(12):
        rng = random.Random(seed + 900)
        floods = rng.sample([h for h in range(ASKED) if busy(h)], 4)
        slow = set(rng.sample(range(ASKED), 3))
        planted = {("", h): (0.0 if n % 2 else 3.0) for n, h in enumerate(floods)} | {("approve", h): 1.0 for h in slow}
        counts = counted(seed, {h: by for (element, h), by in planted.items() if not element})
        times = {e: spreads(rng, len(counts), {9 * 168 + h for h in slow} if e == "approve" else set()) for e in ("approve", "check")}
        told_at = told_by_hour(by_hour(counts, times, ASKED, 0))
        found = {(f.element, n) for n, hour in enumerate(told_at) for f in hour}
        right, wrong, missed = right + len(found & set(planted)), wrong + len(found - set(planted)), missed + len(set(planted) - found)
        hours += ASKED
    assert len(told_at) == ASKED and right / (right + missed) >= 0.9 and wrong / hours <= 0.005, (right, wrong, missed, hours)


def test_of_an_hour_nothing_is_known_that_came_after_it():
    rng = random.Random(4)
    counts, times = counted(3, {}), {"approve": spreads(rng, 10 * 168, {10 * 168 - 5})}
    whole = by_hour(counts, times, 48, 0)
    before = by_hour(counts[:-24], {"approve": {h: b for h, b in times["approve"].items() if h < 10 * 168 - 24}}, 24, 0)
    assert whole[:24] == before and len(whole) == 48
    assert told_by_hour(whole)[:24] == told_by_hour(before)
