"""Predictions against histories of which the truth is known: of one whose waits can be foreseen, of one whose waits have no memory, and of one that drifts."""

from __future__ import annotations

import json
import random

import pytest
from drawn_courses import courses, planned, stretches

from flowledger.analytics.predict import measured
from flowledger.analytics.predict.course import Course, without_hands
from flowledger.analytics.predict.measured import CASES_MIN, asked, drift, learn
from flowledger.analytics.predict.model import STATES_MAX, STAYS_MAX, STAYS_MIN, Model
from flowledger.analytics.predict.told import told
from flowledger.bench.histories import DAY, HOUR, MINUTE, START_US, History

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def drawn():
    return {(seed, steady): courses(History(seed, 1_500, 28, steady=steady)) for seed in SEEDS for steady in (True, False)}


def test_a_course_stands_where_the_plan_says():
    history = History(5, 200, 5)
    found, rng = {c.key: c for c in courses(history)}, random.Random(5)
    for case in history.truth:
        course = found[case.key]
        assert (course.started_us, course.ended_us, course.outcome) == (case.started, case.ended, case.outcome)
        for (since, until), step in zip(stretches(course, case.started + 1_000), course.steps, strict=True):
            if until > since + 1:
                us = rng.randrange(since, until)
                assert course.at(us) == (step.state, since)
                assert set(without_hands(step.state).split("+")) == planned(case, us)


def test_what_is_in_hand_is_told_apart():
    history = History(6, 60, 2)
    found = {c.key: c for c in courses(history)}
    for case in history.truth:
        for element, _, made, until, wait, worked in case.work:
            if element == "approve" and worked + wait == until - made:
                states = {s.state for s in found[case.key].steps if made <= s.us < until}
                assert states <= {"approve", "approve*"} and "approve" in states


@pytest.mark.req("APG-AI-002", "D-AI-004")
@pytest.mark.parametrize("seed", SEEDS)
def test_where_waits_can_be_foreseen_errors_fall_and_intervals_hold_what_they_say(drawn, seed):
    _, _, card = learn(drawn[seed, True])
    left = card["remaining"]
    assert left["offered"] and left["gain"] > 0.35 and left["error_ms"] < 0.65 * min(left["baseline_error_ms"].values())
    assert left["interval"]["offered"] and 0.75 <= left["interval"]["holds"] <= 0.85
    # an interval of everything would hold as well
    assert left["interval"]["width_ms"] < 2 * min(left["baseline_error_ms"].values())
    assert abs(left["bias_ms"]) < 0.2 * left["error_ms"]
    assert card["late"]["score"] < card["late"]["baseline_score"] and card["next"]["right"] > 0.98
    for b in card["late"]["calibration"]:
        if b["count"] >= 200:
            assert abs(b["told"] - b["came_true"]) < 0.12


@pytest.mark.req("D-AI-004")
@pytest.mark.parametrize("seed", SEEDS)
def test_where_waits_have_no_memory_nothing_is_offered_and_the_baseline_is_told(drawn, seed):
    """Nobody can do better than the median there, and the card doesn't say so. How orders end is drawn alike for all, so no more is told of it than of all."""
    model, before, card = learn(drawn[seed, False])
    assert not card["remaining"]["offered"] and card["remaining"]["why"] in ("no_better", "not_sure")
    assert not card["outcome"]["offered"]
    standing = {"version": 1, "state": "approve", "since_us": 0, "started_us": 0}
    found = told(model, before, card, False, standing, 2 * HOUR)
    assert found["by"] == "baseline" and found["remaining"]["low_ms"] is None
    assert found["remaining"]["ms"] == found["remaining"]["baseline_ms"] == round(before.left("approve"))
    assert found["remaining"]["error_ms"] == found["remaining"]["baseline_error_ms"]
    assert found["success"] == {"by": "baseline", "share": round(model.rate, 4), "baseline": round(model.rate, 4)}


def test_errors_and_coverage_of_the_card_are_those_counted_here(drawn):
    """A second time, from the newest quarter, without what the card is made by."""
    found = drawn[1, True]
    model, before, card = learn(found)
    ended = sorted((c for c in found if c.outcome), key=lambda c: (c.started_us, c.key))
    known = ended[: sum(n for k, n in card["cases"].items() if k != "left_out")]
    new = known[-card["cases"]["tested"] :]
    errors, held = [], []
    for c in new:
        us = (c.started_us // before.mark_us + 1) * before.mark_us
        while us < c.ended_us:
            state, since = c.at(us)
            seen = model.look(c.version, state, (us - since) // 1000, (us - c.started_us) // 1000)
            left = (c.ended_us - us) // 1000
            low, high = model.between(seen)
            errors.append(abs(left - seen.quantile(0.5)))
            held.append(low <= left <= high)
            us += before.mark_us
    assert card["remaining"]["error_ms"] == round(sum(errors) / len(errors))
    assert card["remaining"]["interval"]["holds"] == pytest.approx(sum(held) / len(held), abs=1e-4)
    learned = known[: card["cases"]["learned"]]
    assert max(c.started_us for c in learned) < min(c.started_us for c in new)


@pytest.mark.req("APG-AI-005")
def test_a_drift_is_seen_and_takes_the_model_back():
    """From the middle on approvals wait twice as long: the model of the first half no longer holds, one that has seen both does better."""
    found = courses(History(4, 3_000, 56, steady=True, later=0.5))
    half = START_US + 28 * DAY
    model, before, card = learn([c for c in found if c.started_us < half and c.ended_us < half])
    assert card["remaining"]["offered"]
    quiet = drift(
        model, before, card, [c for c in courses(History(9, 1_500, 28, steady=True)) if c.started_us > card["to_us"] - 7 * 24 * HOUR]
    )
    assert not quiet["drifted"]
    since = drift(model, before, card, found)
    assert since["drifted"] and since["why"] and since["holds"] < 0.6 and since["cases"] > 1_000
    standing = {"version": 2, "state": "approve", "since_us": 0, "started_us": 0}
    assert told(model, before, card, True, standing, MINUTE)["why"] == "drifted"
    again = learn([c for c in found if c.started_us > half])
    assert again is not None and again[2]["remaining"]["offered"] and again[2]["remaining"]["interval"]["offered"]


def test_time_that_has_passed_is_not_hoped_for_again(drawn):
    model, _, _ = learn(drawn[1, True])
    early, late = model.look(2, "approve", 0, 0), model.look(2, "approve", 2 * HOUR // 1000, 2 * HOUR // 1000)
    assert early.quantile(0.5) > 100 * 60_000 > late.quantile(0.5)
    assert early.later_than(90 * 60_000) > 0.8
    assert late.later_than(90 * 60_000) < 0.2
    beyond = model.look(2, "approve", 500 * HOUR // 1000, 500 * HOUR // 1000)
    assert beyond.n == STAYS_MIN and beyond.beyond and not late.beyond
    unknown = model.look(7, "nowhere", 0, 0)
    assert unknown.key == "" and unknown.n >= STAYS_MIN


@pytest.mark.req("D-AI-004")
def test_of_what_stands_longer_than_all_before_nothing_is_guessed(drawn):
    """None of those that were learned from tells what becomes of it: it may be stuck."""
    model, before, card = learn(drawn[1, True])
    standing = {"version": 2, "state": "approve", "since_us": 0, "started_us": 0}
    longest_us = max(s.dwell for s in model.stays["2|approve"]) * 1000
    there, past = (told(model, before, card, False, standing, us) for us in (longest_us, longest_us + 1000))
    assert (there["by"], there["why"]) == ("model", "") and there["next"]
    assert (past["by"], past["why"], past["next"]) == ("baseline", "beyond", [])
    assert past["remaining"]["low_ms"] is None and past["remaining"]["says"] is None
    assert past["success"]["by"] == past["late"]["by"] == "baseline"


def test_a_model_that_was_put_away_says_the_same(drawn):
    model, before, card = learn(drawn[2, True])
    again, basis = Model.load(json.loads(json.dumps(model.dump()))), measured.Baseline(*json.loads(json.dumps(list(before))))
    standing = {"version": 2, "state": "approve", "since_us": 0, "started_us": 0}
    for us in (0, HOUR, 5 * HOUR):
        assert told(again, basis, card, False, standing, us) == told(model, before, card, False, standing, us)
    assert len(model.stays) <= STATES_MAX and max(map(len, model.stays.values())) <= STAYS_MAX


def test_too_few_cases_teach_nothing(drawn):
    found = [c for c in drawn[3, True] if c.outcome]
    assert learn(found[: CASES_MIN - 1]) is None
    assert learn([]) is None
    assert learn(found[: CASES_MIN * 2]) is not None


def slower(c: Course, times: int) -> Course:
    steps = tuple(s._replace(us=c.started_us + (s.us - c.started_us) * times) for s in c.steps)
    return c._replace(ended_us=c.started_us + c.lasted_us * times, steps=steps)


def test_nothing_that_was_asked_was_learned_from(drawn):
    """The newest quarter is made to last ten times as long: what it is measured by changes, and nothing of that was learned."""
    found = sorted((c for c in drawn[1, True] if c.outcome), key=lambda c: c.started_us)
    model, _, card = learn(found)
    first = found[: card["cases"]["learned"]]
    assert measured.fit(first).stays == model.stays
    three = len(found) * 3 // 4
    again, _, worse = learn([*found[:three], *(slower(c, 10) for c in found[three:])])
    assert worse["remaining"]["error_ms"] > 2 * card["remaining"]["error_ms"]
    assert measured.fit(found[: worse["cases"]["learned"]]).stays == again.stays
    assert asked(model, first[:1], 1 << 60) == []
