"""Assertions: each passes when it should, and fails with what was expected, the path and what the instance waits for."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from flowledger.sdk.flows import Flow
from flowledger.sdk.testing import Engine, JobFailed, UnknownElement, assert_that
from flowledger.sdk.testing.assertions import same

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def run():
    """Waits at a person's task after one job; a side branch was withdrawn and one has an incident."""
    flow = (
        Flow("p")
        .start("s")
        .service("a", job="work")
        .exclusive("x")
        .when("n > 1")
        .parallel("fork")
        .user("t", name="Look", groups=["g"])
        .end("e")
    )
    flow.at("x").otherwise().end("small")
    flow.at("fork").service("broken", job="broken").end("e2")
    flow.at("fork").wait("m", message="paid", key="id").end("e3")
    engine = Engine()
    engine.deploy(flow)
    engine.on_job("work", {"price": 1.5})
    engine.on_job("broken", JobFailed("no bank", code="BANK", retries=0))
    return engine.start("p", {"n": 2, "id": "7", "list": [1, {"a": None}]})


def flow_id(run, source, target):
    return next(f.id for f in run.model.flows.values() if (f.source.id, f.target.id) == (source, target))


HOLDS = {
    "passed": lambda a: a.has_passed("x", "a"),
    "in order": lambda a: a.has_passed_in_order("s", "a", "x", "fork"),
    "times": lambda a: a.has_passed_times("fork", 1).has_passed_times("t", 0),
    "not passed": lambda a: a.has_not_passed("t", "e", "small"),
    "not entered": lambda a: a.has_not_entered("small", "e"),
    "taken": lambda a: a.has_taken(flow_id(a.instance, "x", "fork")),
    "not taken": lambda a: a.has_not_taken(flow_id(a.instance, "x", "small")),
    "waiting": lambda a: a.is_waiting_at("t").is_waiting_only_at("m", "t", "broken").is_not_waiting_at("a"),
    "message": lambda a: a.is_waiting_for_message("paid").is_waiting_for_message("paid", 7),
    "variables": lambda a: (
        a.has_variables(n=2.0, price=Decimal("1.50")).has_variables({"list": [1, {"a": None}]}).has_variables(n=lambda n: n > 1)
    ),
    "no variables": lambda a: a.has_no_variables("nope"),
    "status": lambda a: a.is_running().has_status("running"),
    "incident": lambda a: a.has_incident().has_incident(element="broken", message="no bank").has_incident(message=lambda m: "bank" in m),
}
FAILS = {
    "passed": (lambda a: a.has_passed("a", "t", "e"), "to have passed 't', 'e', it has not"),
    "in order": (lambda a: a.has_passed_in_order("x", "a"), "to have passed 'a' after 'x'"),
    "times": (lambda a: a.has_passed_times("a", 2), "to have passed 'a' 2 times, found 1"),
    "not passed": (lambda a: a.has_not_passed("a"), "not to have passed 'a', it has"),
    "not entered": (lambda a: a.has_not_entered("t"), "not to have entered 't', it has"),
    "taken": (lambda a: a.has_taken(flow_id(a.instance, "x", "small")), "to have taken the flow"),
    "not taken": (lambda a: a.has_not_taken(flow_id(a.instance, "x", "fork")), "not to have taken the flow"),
    "withdrawn": (lambda a: a.has_withdrawn("t"), "to have withdrawn 't'"),
    "waiting": (lambda a: a.is_waiting_at("a"), "to wait at 'a', it waits at"),
    "waiting only": (lambda a: a.is_waiting_only_at("t"), "to wait only at 't', it waits at"),
    "not waiting": (lambda a: a.is_not_waiting_at("t"), "not to wait at 't', it does"),
    "message": (lambda a: a.is_waiting_for_message("paid", "8"), "to wait for message 'paid' with key '8'"),
    "signal": (lambda a: a.is_waiting_for_signal("paid"), "to wait for signal 'paid'"),
    "value": (lambda a: a.has_variables(n=3), "'n': expected 3, found 2"),
    "truth": (lambda a: a.has_variables(n=True), "'n': expected true, found 2"),
    "missing": (lambda a: a.has_variables(other=1), "'other' is missing"),
    "predicate": (lambda a: a.has_variables(n=lambda n: n > 5), "'n' = 2 doesn't hold"),
    "no variables": (lambda a: a.has_no_variables("n"), "not to have the variables 'n'"),
    "local": (lambda a: a.has_local_variables("t", q=1), "other local variables at 't': 'q' is missing"),
    "completed": (lambda a: a.is_completed(), "to be completed, it is running"),
    "terminated": (lambda a: a.is_terminated(), "to be terminated"),
    "failed": (lambda a: a.is_failed(), "to be failed"),
    "cancelled": (lambda a: a.is_cancelled(), "to be cancelled"),
    "incident": (lambda a: a.has_incident("OTHER", element="t"), "an incident OTHER at 't', found"),
    "no incident": (lambda a: a.has_no_incident(), "no incident, found"),
    "called": (lambda a: a.has_called("child"), "to have called 'child' 1 times, found 0"),
}


@pytest.mark.parametrize("name", HOLDS)
def test_it_holds(run, name):
    a = assert_that(run)
    assert HOLDS[name](a) is a


@pytest.mark.parametrize("name", FAILS)
def test_it_fails_and_says_why(run, name):
    wrong, message = FAILS[name]
    with pytest.raises(AssertionError) as e:
        wrong(assert_that(run))
    text = str(e.value)
    assert f"p (instance {run.key}): expected " in text and message in text
    assert (
        "path:      s a " in text and "task 'Look' created (g)" in text and "message 'paid' with key '7'" in text and '"price":1.5' in text
    )
    assert "no bank" in text


@pytest.mark.parametrize("wrong", [
    lambda a: a.has_not_passed("aa"), lambda a: a.has_not_entered("tt"), lambda a: a.is_not_waiting_at("tt"), lambda a: a.has_not_taken("a"),
    lambda a: a.has_withdrawn("tt"), lambda a: a.has_passed("tt"),
])  # fmt: skip
def test_ids_that_the_process_does_not_have_never_pass(run, wrong):
    with pytest.raises(UnknownElement, match="process 'p' has no"):
        wrong(assert_that(run))


def test_the_path_in_one_line(run):
    run.task().complete()
    run.receive("paid")
    run.resolve()
    text = run.path_text()
    assert text.startswith("s a x -") and "!!JOB_NO_RETRIES" in text and "<t e" in text
    run.cancel()
    assert run.path_text().endswith("~broken =cancelled")
    assert run.path_text(2) == "... ~broken =cancelled"


def test_jobs():
    engine = Engine()
    engine.deploy(Flow("p").start("s").service("a", job="work").end("e"))
    work = engine.on_job("work")
    assert_that(work).was_not_called()
    for wrong in (lambda a: a.was_called(), lambda a: a.was_called_with(x=1), lambda a: a.was_called(2)):
        with pytest.raises(AssertionError, match="expected job 'work'"):
            wrong(assert_that(work))
    engine.start("p", {"x": 1, "y": 2})
    assert_that(work).was_called().was_called(1).was_called_with(x=1).was_called_with({"y": 2})
    with pytest.raises(AssertionError, match="'x': expected 2, found 1"):
        assert_that(work).was_called_with(x=2)
    with pytest.raises(TypeError):
        assert_that("p")


def test_runs_of_a_loop_are_told_apart_from_the_whole():
    engine = Engine()
    engine.deploy(Flow("p").start("s").service("a", job="work").each("list").end("e"))
    engine.on_job("work")
    run = engine.start("p", {"list": [1, 2]})
    assert_that(run).is_completed().has_passed_times("a", 1)
    assert "a#1" in run.path_text() and "a#2" in run.path_text()


@pytest.mark.parametrize(("a", "b", "equal"), [
    (1, Decimal("1.0"), True), (0.1, Decimal("0.1"), True), (1, True, False), (None, None, True), (None, 0, False), ("1", 1, False),
    ([1, 2], [1, 2.0], True), ([1], [1, 2], False), ({"a": 1}, {"a": 1.0}, True), ({"a": 1}, {"a": 1, "b": 2}, False),
])  # fmt: skip
def test_equal_as_json(a, b, equal):
    assert same(a, b) is equal
