"""Simulations against what is known without them: queues of which the theory tells the wait, histories of which later weeks are held out, and the engine's own ways."""

from __future__ import annotations

import math
import time

import pytest
from drawn_courses import courses
from order_model import ORDER, events_of

from flowledger.analytics.simulate import draws
from flowledger.analytics.simulate import plan as pl
from flowledger.analytics.simulate.compared import band, simulate
from flowledger.analytics.simulate.learned import History as Past
from flowledger.analytics.simulate.run import CannotRun, Run
from flowledger.bench.histories import DAY, START_US, History
from flowledger.sdk import Flow

QUEUE = {"q.bpmn": Flow("q").start().service("work", job="w").end().xml().decode()}


def queue(load: float, size: int = 1, instances: int = 4_000, **more) -> dict:
    work = {"work": {"exponential": 600}, "resource": "desk"}
    every = {"every": {"exponential": 600 / load / size}}
    return {"instances": instances, "arrival": every, "elements": {"work": work}, "resources": {"desk": {"count": size, **more}}}


def erlang_c(size: int, load: float) -> float:
    """Mean wait in service times of a queue with `size` desks, each busy for the share `load`."""
    a = size * load
    top = a**size / math.factorial(size) / (1 - load)
    return top / (sum(a**k / math.factorial(k) for k in range(size)) + top) / (size * (1 - load))


@pytest.mark.parametrize(("load", "size"), [(0.5, 1), (0.7, 1), (0.8, 1), (0.8, 3), (0.7, 2)])
def test_a_queue_waits_as_the_theory_says(load, size):
    runs = [Run(QUEUE, "q", pl.read(queue(load, size)), seed).go() for seed in range(8)]
    waits = band([r["waiting"]["work"] / 600_000 for r in runs])
    assert waits["from"] <= erlang_c(size, load) <= waits["to"], (erlang_c(size, load), waits)
    assert band([r["use"]["desk"] for r in runs])["mean"] == pytest.approx(load, abs=0.03)
    assert all(r["unfinished"] == 0 and not r["stuck"] for r in runs)


def test_the_same_seed_gives_the_same_and_another_another():
    plan = pl.read(queue(0.7, instances=300))
    assert Run(QUEUE, "q", plan, 5).go() == Run(QUEUE, "q", plan, 5).go() != Run(QUEUE, "q", plan, 6).go()


def test_one_more_at_the_desk_is_found_to_help_and_no_change_is_none():
    scenarios = [{"name": "two", "changes": {"resources": {"desk": {"count": 2}}}}, {"name": "the same", "changes": {}}]
    found = simulate(QUEUE, "q", queue(0.8, instances=1_000), scenarios, runs=8, seed=3)
    _, two, same = found["scenarios"]
    gain = two["against_base_ms"]["mean"]
    assert gain["sure"] and gain["to"] < 0
    truth = (erlang_c(2, 0.4) - erlang_c(1, 0.8)) * 600_000
    assert gain["least"] < truth < gain["most"]
    assert same["against_base_ms"]["mean"] == {"mean": 0, "from": 0, "to": 0, "least": 0, "most": 0, "sure": False}


def test_thousands_of_instances_a_second():
    """On the real kernel; a busy machine gets a tenth of it."""
    began = time.process_time()
    Run(QUEUE, "q", pl.read(queue(0.7)), 1).go()
    assert 4_000 / (time.process_time() - began) > 500


def test_nobody_begins_out_of_hours_and_what_was_begun_is_ended():
    run = Run(
        QUEUE, "q", pl.read({**queue(0.3, instances=300, days=["monday", "tuesday"], **{"from": "08:00", "to": "12:00"}), "warmup": 0}), 2
    )
    begun = []
    first = run._begin
    run._begin = lambda task: (begun.append(run.facts.now_us), first(task))[1]
    found = run.go()
    assert len(begun) == 300 == found["completed"]
    for us in begun:
        day, rest = divmod(us - START_US, DAY)
        assert day % 7 in (0, 1) and 8 <= rest / (DAY / 24) < 12


HEAD = '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t"><process id="w" isExecutable="true"><startEvent id="s"/><endEvent id="e"/>'
TAIL = "</process></definitions>"


def flow(id: str, source: str, target: str, condition: str = "") -> str:
    inner = f"<conditionExpression>{condition}</conditionExpression>" if condition else ""
    return f'<sequenceFlow id="{id}" sourceRef="{source}" targetRef="{target}">{inner}</sequenceFlow>'


WAYS = (
    HEAD + '<exclusiveGateway id="g" default="small"/><userTask id="look"/>' + flow("f", "s", "g") + flow("big", "g", "look", "=amount &gt; 100")
    + flow("small", "g", "e") + flow("f2", "look", "e") + TAIL
)  # fmt: skip
LATE = (
    HEAD + '<userTask id="look"/><endEvent id="e2"/><boundaryEvent id="late" attachedToRef="look"><timerEventDefinition><timeDuration>PT1H</timeDuration>'
    "</timerEventDefinition></boundaryEvent>" + flow("f", "s", "look") + flow("f2", "look", "e") + flow("f3", "late", "e2") + TAIL
)  # fmt: skip
ROUND = (
    HEAD + '<userTask id="a"/><exclusiveGateway id="g" default="f3"/>' + flow("f", "s", "a") + flow("f1", "a", "g") + flow("f2", "g", "a", "=true")
    + flow("f3", "g", "e") + TAIL
)  # fmt: skip


def test_ways_are_the_models_own_or_as_often_as_is_said():
    base = {"instances": 400, "arrival": {"every": 60}, "warmup": 0, "variables": {"amount": 150}}
    assert Run({"w.bpmn": WAYS}, "w", pl.read(base), 1).go()["counts"] == {"look": 400}
    assert Run({"w.bpmn": WAYS}, "w", pl.read({**base, "variables": {"amount": 5}}), 1).go()["counts"] == {}
    counts = [Run({"w.bpmn": WAYS}, "w", pl.read({**base, "branches": {"big": 0.3}}), s).go()["counts"]["look"] for s in range(5)]
    assert band(counts)["mean"] == pytest.approx(120, abs=15) and len(set(counts)) > 1


def test_a_timer_at_work_withdraws_it_and_frees_whoever_had_it():
    base = {"instances": 200, "arrival": {"every": 36_000}, "elements": {"look": {"work": {"uniform": [0, 7200]}, "resource": "desk"}}}
    found = Run({"w.bpmn": LATE}, "w", pl.read({**base, "resources": {"desk": {"count": 1}}, "warmup": 0}), 1).go()
    assert found["completed"] == 200 and found["cycle"]["p95"] <= 3_600_000
    assert found["use"]["desk"] == pytest.approx(2_700 / 36_000, rel=0.1)  # half of them an hour, the others half an hour by the mean


@pytest.fixture(scope="module")
def weeks():
    """Eight weeks of orders; the first six are learned from."""
    history = History(8, 4_000, 56, steady=False, alike=True, open_share=0, tenants=("",))
    return list(events_of(history).values()), courses(History(8, 4_000, 56, alike=True, open_share=0, tenants=("",)))


def test_weeks_that_were_held_out_are_as_the_simulation_says(weeks):
    """Learned from six weeks, held against the last two: the means and percentiles are off by no more than real weeks are from each other."""
    events, known = weeks
    cut = START_US + 42 * DAY
    past = Past()
    for each in events:
        if each[0][1] < cut:
            past.add(each)
    later = sorted(c.lasted_us / 1000 for c in known if c.started_us >= cut and c.outcome == "completed")
    before = sorted(c.lasted_us / 1000 for c in known if c.started_us < cut and c.outcome == "completed")
    base = past.plan(1_000)
    assert base["branches"]["fine-mend"] == pytest.approx(0.15, abs=0.02)
    assert not pl.problem(base)
    found = simulate({"order.bpmn": ORDER}, "order", base, [], runs=5, seed=1)["scenarios"][0]
    assert not found["stuck"] and found["unfinished"] == 0

    def off(a: list[float]) -> dict[str, float]:
        return {name: a[int(len(a) * p)] / later[int(len(later) * p)] - 1 for name, p in (("p50", 0.5), ("p90", 0.9))} | {
            "mean": sum(a) / len(a) / (sum(later) / len(later)) - 1
        }

    floor = max(map(abs, off(before).values()))
    for name in ("mean", "p50", "p90"):
        told = found["cycle_ms"][name]["mean"]
        real = sum(later) / len(later) if name == "mean" else later[int(len(later) * float(name[1:]) / 100)]
        assert abs(told / real - 1) < max(0.08, 2 * floor), (name, told, real, floor)
    per_hour = len([c for c in known if c.started_us >= cut]) / ((max(c.started_us for c in known) - cut) / 3_600_000_000)
    assert found["throughput"]["mean"] == pytest.approx(per_hour, rel=0.2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"arrival": None}, "arrival"),
        ({"arrival": {"profile": [1, 2]}}, "168 numbers"),
        ({"arrival": {"every": 0}}, "more than no time"),
        ({"instances": 0}, "1 to 5000"),
        ({"instances": pl.INSTANCES_MAX + 1}, "1 to 5000"),
        ({"branches": {"f": 1.5}}, "a share from 0 to 1"),
        ({"elements": {"work": {"work": "soon"}}}, "a duration"),
        ({"elements": {"work": {"work": {"uniform": [5, 1]}}}}, "ascending"),
        ({"elements": {"work": {"resource": "nobody"}}}, "one of resources"),
        ({"resources": {"desk": {"count": 0}}}, "1 to 10000"),
        ({"resources": {"desk": {"count": 1, "from": "17:00", "to": "08:00"}}}, "the one before the other"),
        ({"resources": {"desk": {"count": 1, "days": ["someday"]}}}, "monday"),
        ({"speed": 2}, "unknown"),
        ({"warmup": 1}, "share from 0 to 0.9"),
    ],
)
def test_a_plan_that_makes_no_sense_is_said(change, says):
    assert not pl.problem(queue(0.5))
    assert says in pl.problem({**queue(0.5), **change})


def test_null_takes_away_what_is_there_and_nothing_of_what_is_not():
    """People are named at an element whether or not the history has it: `wait` is then not learned."""
    people = {
        "elements": {"seen": {"wait": None, "resource": "x"}, "never": {"wait": None, "resource": "x"}},
        "resources": {"x": {"count": 1}},
    }
    found = pl.changed({"elements": {"seen": {"wait": "PT1H", "work": "PT1M"}}}, people)
    assert found["elements"] == {"seen": {"work": "PT1M", "resource": "x"}, "never": {"resource": "x"}}
    assert pl.read({"arrival": {"every": "PT1M"}, **found}).elements["never"].resource == "x"


def test_what_goes_round_without_end_and_what_is_no_model_are_said():
    with pytest.raises(CannotRun, match="without end"):
        Run({"w.bpmn": ROUND}, "w", pl.read({"instances": 1, "arrival": {"every": 1}}), 1).go()
    with pytest.raises(CannotRun):
        Run({"x.bpmn": "<x/>"}, "x", pl.read({"instances": 1, "arrival": {"every": 1}}), 1)
    with pytest.raises(CannotRun, match="can't be started"):
        Run(QUEUE, "other", pl.read({"instances": 1, "arrival": {"every": 1}}), 1).go()


@pytest.mark.parametrize(
    ("given", "mean"),
    [("PT10M", 600), (30, 30), ({"exponential": 60}, 60), ({"uniform": [10, 30]}, 20), ({"triangular": [0, 30, 60]}, 30),
     ({"normal": [600, 60]}, 600), ({"lognormal": [60, 0.5]}, 60 * math.exp(0.125)), ({"sample": [10, 20, 30]}, 20)],
)  # fmt: skip
def test_spreads_have_the_means_they_should(given, mean):
    assert draws.problem(given) == ""
    spread = draws.read(given)
    drawn = [spread.at(draws.uniform(1, "x", n)) / 1_000_000 for n in range(4_000)]
    assert sum(drawn) / 4_000 == pytest.approx(mean, rel=0.05)
