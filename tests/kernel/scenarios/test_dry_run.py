"""Dry runs: any command decided in full and taken back; the plan says what the act then does, and the act by another plan is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from scenario import Scenario, image

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.operations import OperationAsked
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Decision

MODEL = """startEvent s
parallelGateway f
userTask u
serviceTask a
boundaryEvent b on=a cancel=false : timer PT1H
serviceTask h
boundaryEvent m on=u cancel=false : message M = k
serviceTask n
parallelGateway j
serviceTask z
endEvent e
s > f
f > u
f > a
b > h
m > n
u > j
a > j
j > z > e"""


def asked(s: Scenario, command: Any, **more: Any) -> Any:
    """The answer of a request on the live state, which a dry run must leave as it was."""
    before = image(s.p)
    found = decide(s.p, c.Request(command=command, **{"plan": c.DRY_RUN, **more}), s.facts(s.p))
    dry = "plan" not in more
    if dry or isinstance(found, Rejected):
        assert image(s.p) == before and s.p.undo is None
    if isinstance(found, Decision):
        assert found.events == [] == found.values == found.later == found.finished or not dry
        return found.answer
    return found


def begun() -> Scenario:
    return Scenario(MODEL).start("p", k="7")


def commands(s: Scenario) -> dict[str, Any]:
    return {
        "complete": c.CompleteTask(task=s.task("a").key, variables={"x": 1}),
        "fail": c.FailTask(task=s.task("a").key, message="no"),
        "error": c.ThrowTaskError(task=s.task("a").key, code="E"),
        "assign": c.MoveTask(task=s.task("u").key, move="assign", details={"assignee": "ann"}),
        "cancel": c.CancelInstance(key=s.key),
        "force": c.CancelInstance(key=s.key, force=True),
        "suspend": c.ControlInstance(key=s.key, move="suspend"),
        "set": c.SetVariables(key=s.key, variables={"k": "8"}),
        "modify": c.ModifyInstance(key=s.key, activate=[{"element": "z"}], terminate=[s.token("a")]),
        "message": c.PublishMessage(name="M", correlation_key="7"),
        "signal": c.BroadcastSignal(name="S"),
        "start": c.StartInstance(id="p", variables={"k": "9"}, wait=True),
        "jobs": c.ActivateTasks(job_type="a", worker="w"),
        "deploy": c.Deploy(resources=[c.Resource("n.form", "{}")]),
        "record": c.StoreRecord(registry="directory", name="x", value={"a": 1}),
        "timers": c.FireTimers(timers=list(s.p.timers)),
    }


@pytest.mark.parametrize("name", commands(begun()))
def test_a_question_leaves_nothing_and_the_act_does_what_was_said(name: str) -> None:
    s = begun()
    command = commands(s)[name]
    plan = asked(s, command, id="once")
    if isinstance(plan, Rejected):
        again = decide(copy.deepcopy(s.p), c.Request(command=command), s.facts(s.p))
        assert again == plan
        return
    assert plan["dry_run"] is True and len(plan["plan"]) == 24
    assert asked(s, command, id="once")["plan"] == plan["plan"], "asked twice, nothing is remembered"
    found = decide(s.p, c.Request(command=command, plan=plan["plan"]), s.facts(s.p))
    assert isinstance(found, Decision)
    kinds: dict[str, int] = {}
    from flowledger.events import wire

    for e in found.events:
        if isinstance(e, OperationAsked):  # that it was asked is no part of what it does
            continue
        kinds[wire.NAMES[type(e)]] = kinds.get(wire.NAMES[type(e)], 0) + 1
    assert kinds == plan["events"]
    assert found.answer.keys() == plan["outcome"].keys() | ({"warnings"} & found.answer.keys())


def test_what_a_plan_says() -> None:
    s = begun()
    plan = asked(s, c.ModifyInstance(key=s.key, activate=[{"element": "h"}, {"element": "a"}], terminate=[s.token("a")]))
    rows = {
        name: sorted((r["kind"], r.get("element", "")) for r in plan[name]) for name in ("cancelled", "created", "armed", "ended", "moved")
    }
    assert rows == {
        "cancelled": [("task", "a"), ("timer", "b"), ("token", "a")],
        "created": [("task", "a"), ("task", "h"), ("token", "a"), ("token", "h")],
        "armed": [("timer", "b")],
        "ended": [],
        "moved": [],
    }
    assert {r["key"] for r in plan["created"]} <= {f"+{n}" for n in range(1, 20)}
    assert {(r["element"], *r["waits"]) for r in plan["left"]} == {
        ("u", "task", "subscription"), ("u", "subscription", "task"), ("a", "task", "timer"), ("a", "timer", "task"), ("h", "task")
    } & {(r["element"], *r["waits"]) for r in plan["left"]}  # fmt: skip
    assert {r["element"] for r in plan["left"]} == {"u", "a", "h"}


def test_a_token_that_goes_on_and_one_that_ends() -> None:
    s = begun()
    plan = asked(s, c.CompleteTask(task=s.task("a").key, variables={"x": 1}))
    assert [(r["element"][0], r["element"][1]) if isinstance(r["element"], list) else r["element"] for r in plan["moved"]] == [("a", "j")]
    assert [(r["kind"], r["by"]) for r in plan["ended"]] == [("task", "task.completed")]
    assert [r["kind"] for r in plan["cancelled"]] == ["timer"]
    assert any(r["waits"] == ["join"] and r["element"] == "j" for r in plan["left"])


def test_an_act_by_another_plan_is_refused_and_by_the_same_it_is_not() -> None:
    s = begun()
    command = c.CancelInstance(key=s.key)
    plan = asked(s, command)["plan"]
    s.move("set k=1")  # changes nothing that the plan says
    assert asked(s, command)["plan"] == plan
    s.move("complete a")
    refused = asked(s, command, plan=plan)
    assert isinstance(refused, Rejected) and refused.code == RejectionCode.STALE
    assert s.key in s.p.instances
    now = asked(s, command)["plan"]
    assert isinstance(decide(s.p, c.Request(command=command, plan=now), s.facts(s.p)), Decision) and s.key not in s.p.instances


def test_other_traffic_makes_no_plan_stale() -> None:
    s = begun()
    command = c.ModifyInstance(key=s.key, activate=[{"element": "z"}])
    plan = asked(s, command)["plan"]
    s.do(c.StartInstance(id="p", variables={"k": "other"}))
    assert asked(s, command)["plan"] == plan, "new keys are counted from where the counter stands"


def test_a_repeated_id_has_its_first_answer_whatever_the_plan() -> None:
    s = begun()
    command = c.CancelInstance(key=s.key)
    plan = asked(s, command)["plan"]
    facts = s.facts(s.p)
    first = decide(s.p, c.Request(command=command, id="x", plan=plan), facts)
    again = decide(s.p, c.Request(command=command, id="x", plan=plan), facts)
    assert isinstance(first, Decision) and isinstance(again, Decision) and again.repeats == "x" and again.events == []


def test_a_defect_in_a_question_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    s = begun()
    monkeypatch.setattr("flowledger.kernel.handlers.control.cancelling.begin", lambda *_: 1 / 0)
    found = asked(s, c.CancelInstance(key=s.key))
    assert isinstance(found, Rejected) and found.code == RejectionCode.INTERNAL and s.i.status == "running"


def test_lists_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowledger.kernel import plans

    monkeypatch.setattr(plans, "LISTED_MAX", 2)
    s = begun()
    plan = asked(s, c.CancelInstance(key=s.key))
    assert len(plan["cancelled"]) == 2 < plan["counts"]["cancelled"]
