"""The figures are what was planned: histories are drawn, and each number is counted a second time from the plan."""

from __future__ import annotations

import random

import pytest
from truth import SIZES, counted

from flowledger.analytics import fold as af
from flowledger.analytics.figures import COUNTED, LEAST, MOST, Figures, plus
from flowledger.analytics.spread import BUCKET_MAX, bounds_ms, bucket_of, percentile_ms
from flowledger.analytics.trace import OPEN_MAX, Trace
from flowledger.bench.histories import History
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import workflow as wf


def measured(records, figures: Figures, traces: dict[int, Trace], *, keep: bool = True) -> None:
    """The shell of a test: traces by instance. `keep` false: each trace goes to a row and back before each event."""
    of_task: dict[int, int] = {}
    for log in records.values():
        for r in log:
            e, us = r.event, r.envelope.time_us
            if type(e) is ta.TaskCreated:
                of_task[e.task] = e.key
            if type(e) is wf.WorkflowStarted:
                traces[e.key] = af.started(e, r.envelope.tenant, us, figures)
            elif type(e) in af.OF_TASKS:
                for task in e.tasks:
                    af.apply_task(traces[of_task[task]], task, e, us, figures)
            elif (t := traces.get(e.key)) is not None:
                if not keep and not t.outcome:
                    t = traces[e.key] = Trace.load(t.key, t.tenant, t.dump())
                af.apply(t, e, us, figures)


def rows(figures: Figures, grain: str) -> dict:
    return {
        (s.tenant, s.definition, s.element, s.job_type, at): {n: v for n, v in zip(COUNTED, numbers, strict=False) if v}
        for (s, at), numbers in figures.rolled(grain).items()
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("grain", SIZES)
def test_each_number_is_what_was_planned(seed, grain):
    history = History(seed, 250, 3, partitions=1 + seed)
    records, figures = history.records(), Figures()
    measured(records, figures, {})
    assert rows(figures, grain) == {k: v for k, v in counted(history.truth, grain).items() if v}
    assert (
        any(c.incidents for c in history.truth)
        and any(c.reworked for c in history.truth)
        and any(c.outcome == "failed" for c in history.truth)
    )


def test_a_trace_that_was_put_away_goes_on_as_it_was():
    history = History(5, 120, 1)
    records = history.records()
    one, other = Figures(), Figures()
    kept, stored = {}, {}
    measured(records, one, kept)
    measured(records, other, stored, keep=False)
    assert one.minutes == other.minutes and one.spreads == other.spreads
    assert {k: (t.outcome, t.variant, t.work_us, t.reworked) for k, t in kept.items()} == {
        k: (t.outcome, t.variant, t.work_us, t.reworked) for k, t in stored.items()
    }
    assert {k: sorted(t.path) for k, t in kept.items()} == {c.key: sorted(c.path) for c in history.truth}


def test_shortest_and_longest_and_percentiles():
    history = History(6, 400, 3, tenants=("",))
    figures = Figures()
    measured(history.records(), figures, {})
    times = sorted(c.ended - c.started for c in history.truth if c.outcome == "completed" and c.version == 1)
    definition = next(c.definition for c in history.truth if c.version == 1)
    total = None
    for (s, _), numbers in figures.rolled("day").items():
        if s.definition == definition and not s.element:
            total = numbers if total is None else plus(total, numbers)
    assert (total[LEAST], total[MOST]) == (times[0], times[-1])
    buckets: dict[int, int] = {}
    for (s, _, which, bucket), n in figures.spread("day").items():
        if s.definition == definition and not s.element and which == 0:
            buckets[bucket] = buckets.get(bucket, 0) + n
    for share in (0.01, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0):
        exact = times[max(0, -(-int(share * 1000) * len(times) // 1000) - 1)] / 1000
        assert percentile_ms(buckets, len(times), share) == pytest.approx(exact, rel=1 / 31)


def test_buckets_hold_what_falls_into_them_and_are_a_sixteenth_wide():
    rng = random.Random(1)
    for us in [0, 999, 1_000, 15_999, 16_000, 31_999, 32_000, *(int(10 ** rng.uniform(0, 16)) for _ in range(2_000))]:
        low, high = bounds_ms(bucket_of(us))
        assert low <= us // 1000 < high and (high - low) * 16 <= max(16, low)
    assert bucket_of(1 << 80) == BUCKET_MAX
    assert percentile_ms({}, 0, 0.5) is None and percentile_ms({}, 3, 0.5) == 0.0


def started(key: int = 1, token: int = 2) -> tuple[Trace, Figures]:
    figures = Figures()
    return af.started(wf.WorkflowStarted(key=key, process="p", definition=7, version=1, token=token, element="s"), "", 0, figures), figures


def numbers(figures: Figures, element: str, job: str = "") -> dict[str, int]:
    out: dict[str, int] = {}
    for (s, _), row in figures.rolled("minute").items():
        if (s.element, s.job_type) == (element, job):
            for n, v in zip(COUNTED, row, strict=False):
                if v:
                    out[n] = out.get(n, 0) + v
    return out


def test_a_loop_is_one_visit_with_the_work_of_its_runs():
    t, figures = started()
    af.apply(t, fl.FlowTaken(key=1, token=2, flow="f", source="s", target="many"), 0, figures)
    af.apply(t, fl.LoopStarted(key=1, token=2, element="many", total=3), 0, figures)
    for run in (1, 2, 3):
        token = 10 + run
        af.apply(t, fl.ElementActivated(key=1, token=token, scope=2, element="many", index=run), 0, figures)
        af.apply(t, ta.TaskCreated(key=1, task=20 + run, token=token, element="many", type="service_task", job_type="j"), 0, figures)
    for run in (1, 2, 3):
        af.apply_task(t, 20 + run, ta.TaskLeased(worker="w", tasks=[20 + run], deadline_us=9), 10, figures)
        af.apply(t, ta.TaskCompleted(key=1, task=20 + run, token=10 + run, element="many"), 100 * run, figures)
        af.apply(t, fl.LoopItemCompleted(key=1, token=2, item=10 + run, index=run), 100 * run, figures)
    af.apply(t, fl.FlowTaken(key=1, token=2, flow="g", source="many", target="e"), 300, figures)
    assert numbers(figures, "many") == {
        "started": 1,
        "completed": 1,
        "cycle_us": 300,
        "worked": 3,
        "attempts": 3,
        "wait_us": 30,
        "work_us": 570,
    }
    assert numbers(figures, "many", "j") == {
        "started": 3,
        "completed": 3,
        "cycle_us": 600,
        "worked": 3,
        "attempts": 3,
        "wait_us": 30,
        "work_us": 570,
    }
    assert list(t.visits) == [2] and not t.work and not t.kids


def test_what_goes_with_its_scope_is_cancelled_and_an_error_is_a_failure():
    t, figures = started()
    af.apply(t, fl.FlowTaken(key=1, token=2, flow="f", source="s", target="sub"), 0, figures)
    af.apply(t, fl.ElementActivated(key=1, token=3, scope=2, element="inner"), 0, figures)
    af.apply(t, ta.TaskCreated(key=1, task=4, token=3, element="inner", type="service_task", job_type="j"), 0, figures)
    af.apply(t, fl.ErrorOccurred(key=1, token=2, element="sub", code="X"), 50, figures)
    af.apply(t, fl.ElementTerminated(key=1, token=2, element="sub"), 50, figures)
    assert numbers(figures, "sub") == {"started": 1, "failed": 1}
    assert numbers(figures, "inner") == {"started": 1, "cancelled": 1}
    assert numbers(figures, "inner", "j") == {"started": 1, "cancelled": 1}
    assert not t.visits and not t.work and not t.kids


def test_a_migration_moves_what_is_under_way_to_the_other_version():
    t, figures = started()
    af.apply(t, fl.FlowTaken(key=1, token=2, flow="f", source="s", target="a"), 0, figures)
    af.apply(t, ta.TaskCreated(key=1, task=4, token=2, element="a", type="service_task", job_type="j"), 0, figures)
    af.apply(t, wf.WorkflowMigrated(key=1, definition=8, process="p", version=2, elements={"a": "b"}), 10, figures)
    af.apply(t, ta.TaskCompleted(key=1, task=4, token=2, element="b"), 20, figures)
    af.apply(t, wf.WorkflowCompleted(key=1, token=2, element="b"), 20, figures)
    left = {}
    for (s, _), row in figures.rolled("minute").items():
        n = dict(zip(COUNTED, row, strict=False))
        open_ = n["started"] + n["moved_in"] - n["moved_out"] - n["completed"] - n["failed"] - n["cancelled"] - n["terminated"]
        left[s] = left.get(s, 0) + open_
    assert set(left.values()) == {0} and {s.definition for s in left} == {7, 8}
    assert numbers(figures, "b", "j")["completed"] == 1


def test_so_many_stays_are_followed_and_no_more():
    t, figures = started()
    af.apply(t, fl.FlowTaken(key=1, token=2, flow="f", source="s", target="many"), 0, figures)
    for n in range(OPEN_MAX + 9):
        af.apply(t, fl.ElementActivated(key=1, token=100 + n, scope=2, element="many", index=n + 1), 0, figures)
    assert len(t.visits) == OPEN_MAX and t.left_out == 10
    for n in range(OPEN_MAX + 9):
        af.apply(t, fl.LoopItemCompleted(key=1, token=2, item=100 + n, index=n + 1), 5, figures)
    af.apply(t, wf.WorkflowCompleted(key=1, token=2, element="many"), 5, figures)
    assert not t.visits and not t.kids and t.outcome == "completed"


def test_nothing_counts_after_the_end():
    t, figures = started()
    af.apply(t, wf.WorkflowCancelled(key=1), 5, figures)
    before = {k: list(v) for k, v in figures.minutes.items()}
    assert not af.apply(t, fl.FlowTaken(key=1, token=2, flow="f", source="s", target="a"), 6, figures)
    assert figures.minutes == before and numbers(figures, "") == {"started": 1, "cancelled": 1}
