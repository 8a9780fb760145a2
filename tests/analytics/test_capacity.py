"""Capacity against drawn queues of which the hands, the growth, and so the day they are full, are known."""

from __future__ import annotations

import heapq
import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from full_press import HANDS as PRESSES
from full_press import pressed

from flowledger.analytics import capacity as ca
from flowledger.analytics import carries

HANDS, MEAN_S, BUSY = 8, 600.0, 0.5


def queue(
    seed: int,
    weeks: int,
    *,
    grow: float = 0.04,
    line: bool = False,
    hands: int = HANDS,
    busy: float = BUSY,
    wait_h: float = 0.0,
    monday: float = 1.0,
) -> ca.Hours:
    """First come, first served, by so many hands; `busy` in the first week, more by `grow` each week. `wait_h`: nobody stands in line, and each waits for so long."""
    rng = random.Random(seed)
    n = weeks * ca.WEEK
    rate = busy * hands * 3600 / MEAN_S

    def level(t: float) -> float:
        day = monday if int(t) // 24 % 7 == 0 else 1.0
        return (1.5 if 8 <= t % 24 < 18 else 9 / 14) * day * (1 + grow * t / ca.WEEK if line else (1 + grow) ** (t / ca.WEEK))

    came, left, worked, work = ([0] * n for _ in range(4))
    free = [0.0] * hands
    most = rate * 1.5 * max(monday, 1.0) * (1 + grow) ** weeks
    t = 0.0
    while (t := t + rng.expovariate(most)) < n:
        if rng.random() * most > rate * level(t):
            continue
        came[int(t)] += 1
        lasts = rng.expovariate(1) * MEAN_S / 3600
        if wait_h:
            ends = t + rng.expovariate(1 / wait_h) + lasts
        else:
            ends = max(t, heapq.heappop(free)) + lasts
            heapq.heappush(free, ends)
        if ends < n:
            left[int(ends)] += 1
            worked[int(ends)] += 1
            work[int(ends)] += int(lasts * ca.HOUR_US)
    return ca.Hours(came, left, worked, work)


def full_in(weeks: int, grow: float, line: bool) -> float:
    """In how many weeks as much comes as can be done."""
    return (1 / BUSY - 1) / grow - weeks if line else math.log(1 / BUSY) / math.log(1 + grow) - weeks


@pytest.mark.req("D-ANA-001", "D-ANA-007")
@pytest.mark.parametrize(("line", "grow"), [(False, 0.04), (True, 0.06)])
def test_the_day_it_is_full_lies_in_the_band_that_is_told(line, grow):
    held, measured, truth = 0, 0, full_in(10, grow, line)
    for seed in range(20):
        told = carries.resource(queue(seed, 10, grow=grow, line=line), True)
        if told["by"] == "measured":
            measured += 1
            assert abs(told["hands"].value - HANDS) < 0.06 * HANDS
        found = told["full"]
        held += found["from"] <= truth <= (math.inf if found["to"] is None else found["to"])
        assert found["from"] <= found["at"] and told["tight"]["at"] < found["at"]
    assert measured >= 17 and held >= 18, "90 of 100 are promised"


@pytest.mark.req("D-ANA-001", "D-AI-002")
@pytest.mark.parametrize("hour", range(24))
def test_whoever_asks_at_any_hour_of_any_day_is_told_the_same(hour):
    """Somebody asks by night, when nothing waits, and by day, when much does: how many hands there are doesn't depend on that."""
    for day in range(7):
        rows = pressed(datetime(2026, 11, 28, hour, 15, tzinfo=UTC) + timedelta(days=day))
        done = [r.done for r in rows]
        told = carries.resource(ca.Hours([r.came for r in rows], done, done, [r.work_us for r in rows]), True)
        assert (told["by"], told["hands"].value) == ("measured", pytest.approx(PRESSES, abs=0.01)), rows[-1].at
        full = told["full"]
        assert 0 < full["from"] <= full["at"] <= full["to"] and told["advice"]["proposed"] > PRESSES, rows[-1].at


def test_without_growth_it_is_never_full_and_what_is_full_is_full_by_now():
    for seed in range(5):
        told = carries.resource(queue(seed, 8, grow=0.0), True)
        assert told["full"]["at"] is None and told["advice"] is None
        assert abs(told["growth"]["weekly"]) < 0.02
    told = carries.resource(queue(1, 12, grow=0.09), True)
    assert told["full"]["at"] == 0 and told["busy"] > 1


def test_what_waits_although_nobody_is_busy_is_no_lack_of_hands():
    """Approvals lie for two hours: the more there are, the more are done, so nothing shows how many hands there are."""
    for seed in range(5):
        told = carries.resource(queue(seed, 8, wait_h=2.0), False)
        assert told["by"] == "seen" and told["full"]["to"] is None and told["advice"] is None


@pytest.mark.req("D-ANA-001")
def test_a_limit_and_a_calendar_stand_for_what_was_never_reached():
    calm = queue(2, 6, busy=0.2, grow=0.0)
    assert carries.resource(calm, True)["by"] == "seen"
    limited = carries.resource(calm, True, limit=20)
    assert limited["by"] == "limit" and limited["carries"].value == pytest.approx(20 * ca.WEEK * 3600 / MEAN_S, rel=0.05)
    shifts = [2.0 if 8 <= n % 24 < 16 else 0.0 for n in range(ca.WEEK)]
    people = carries.resource(calm, False, people=2, calendar=shifts)
    assert (people["by"], people["people"], people["open_hours"]) == ("calendar", 2, 56.0)
    assert people["carries"].value == pytest.approx(2 * 56 * 3600 / MEAN_S, rel=0.05)
    assert people["advice"] is not None and people["advice"]["what"] == "hands", "more comes by night than two can do by day"


@pytest.mark.req("D-AI-002", "D-ANA-007")
def test_what_will_wait_is_foreseen_and_more_hands_are_asked_for_before_the_peak():
    """Mondays have half as much again, and from the tenth week on it is too much: told on the Sunday before."""
    asked = warned = held = 0
    off = []
    for seed in range(12):
        whole = queue(seed, 12, grow=0.05, busy=0.4, monday=1.5)
        now = 10 * ca.WEEK  # a Sunday's midnight: the week begins on Monday
        then = ca.Hours(*(series[:now] for series in whole[:4]), 0)
        told = carries.resource(then, True)
        waits = [max(0, o - HANDS) for o in whole.open_at()[now + 1 : now + 1 + ca.WEEK]]
        peak = max(range(24), key=lambda n: waits[n])
        if waits[peak] < HANDS * 3600 / MEAN_S * carries.WAIT_MAX_H:
            continue
        asked += 1
        found = told["ahead"][peak].waits
        held += found.low <= waits[peak] <= found.high
        off.append(abs(found.value - waits[peak]) / waits[peak])
        advice = told["advice"]
        if advice is not None and advice["why"] == "peak":
            warned += advice["hour"] < peak and told["peak"]["hour"] < 24
            came = [whole.came[now + n] * MEAN_S / 3600 for n in range(8, 18)]
            assert HANDS < advice["proposed"] <= 1.5 * sum(came) / len(came)
    assert asked >= 9 and warned >= asked - 1 and held >= 0.6 * asked and sum(off) < 0.2 * asked, (asked, warned, held, off)


def test_so_many_weeks_are_needed():
    assert ca.grown([1] * (ca.WEEKS_MIN * ca.WEEK - 1)) is None and ca.grown([1] * (ca.WEEKS_MIN * ca.WEEK)) is not None
    told = carries.resource(queue(1, 3), True)
    assert (told["growth"], told["full"], told["ahead"], told["peak"]) == (None, None, [], None)
    nothing = carries.resource(ca.Hours([0] * 2016, [0] * 2016, [0] * 2016, [0] * 2016), True)
    assert nothing["busy"] is None and nothing["advice"] is None


@pytest.mark.req("D-ANA-001")
def test_what_a_step_costs_is_told_from_hours_with_much_and_with_little_to_do():
    rng = random.Random(3)
    samples = [(10.0, r * 10, 10 * (0.05 + r * 0.0004)) for r in (rng.uniform(10, 800) for _ in range(60))]
    cost, idle = ca.marginal(samples)
    assert cost == pytest.approx(0.0004, rel=1e-6) and idle == pytest.approx(0.05, rel=1e-6)
    assert ca.marginal(samples[:5]) is None and ca.marginal([(10.0, 500.0, 1.0)] * 60) is None
    hours = queue(4, 8, grow=0.05).came
    told = carries.server(hours, 1.0, {"owner-0": (cost, idle), "main": (0.001, 0.1), "young": None}, None)
    assert (told["narrow"], told["carries_s"], told["by"]) == ("main", 900.0, "samples") and told["full"]["at"] is None
    busy = carries.server(hours, 600.0, {"main": (0.001, 0.1)}, None)
    assert busy["full"]["from"] <= math.log(1.5) / math.log(1.05) - 0.0 <= busy["full"]["to"]
    assert carries.server(hours, 600.0, {}, 2000.0)["by"] == "given" and carries.server(hours, 600.0, {}, None)["carries_s"] is None
