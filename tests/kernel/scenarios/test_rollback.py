# ruff: noqa: E501 - models are lines
"""Roll-back to a moment of the history, and the re-run of a step. The moment is folded from the log, as the door does it."""

from __future__ import annotations

from typing import Any

import pytest
from notation import bpmn
from scenario import Refused, Scenario, asked_first, moment

from flowledger.events import commands as c
from flowledger.events import workflow as wf
from flowledger.events.base import Envelope
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers.rollback import seen
from flowledger.kernel.soundness import problems

pytestmark = pytest.mark.req("WSM-DAG-006", "WSM-RES-005")
CHAIN = "startEvent s\nserviceTask a\nserviceTask b\nserviceTask z\nendEvent e\ns > a > b > z > e"
FORK = "startEvent s\nparallelGateway f\nserviceTask a\nserviceTask a2\nuserTask u\nparallelGateway j\nserviceTask z\nendEvent e\ns > f\nf > a > a2 > j\nf > u > j\nj > z > e"


def begun(model: str, crash: bool = False, **variables: Any) -> Scenario:
    return Scenario(model, crash=crash).start("p", **variables)


def back(s: Scenario, at: int, **more: Any) -> dict[str, Any]:
    """Asked first. Returns the plan."""
    command = c.RollBackInstance(key=s.key, image=moment(s, at), position=f"0-{at}", **more)
    return asked_first(s, command, may_end=True)


def state(s: Scenario) -> Any:
    """What is to be as it was: without keys."""
    i = s.i
    return (
        s.at, dict(i.vars), i.definition, sorted((t.element, t.job_type, str((t.details or {}).get("assignee"))) for t in s.p.tasks.values()),
        sorted((t.element, t.due_us) for t in s.p.timers.values()),
        sorted((x.element, x.kind, x.name, x.correlation) for x in s.p.subscriptions.values() if not x.definition),
        sorted((t.element, str(t.vars), t.index, t.done, str(t.results)) for t in i.tokens.values()),
    )  # fmt: skip


def finish(s: Scenario) -> None:
    for _ in range(200):
        if s.key not in s.p.instances:
            break
        if s.p.tasks:
            s.do(c.CompleteTask(task=min(s.p.tasks), variables={"n": 2}))
        elif s.p.timers:
            s.move("tick")
        else:
            s.moves("signal S", "message M 7")
    assert s.empty, s.at


MODELS = {
    "chain": (CHAIN, ["complete a x=1", "complete b x=2"]),
    "fork": (FORK, ["complete a", "complete u", "complete a2"]),
    "sub": ("startEvent s\nsubProcess sp {\nstartEvent i\nserviceTask a\nserviceTask b\nendEvent x\ni > a > b > x\n}\nboundaryEvent t on=sp : timer PT1H\nserviceTask z\nendEvent e\ns > sp > z > e\nt > z", ["complete a", "complete b"]),
    "loop": ('startEvent s\nserviceTask a\n.<multiInstanceLoopCharacteristics><extensionElements><zeebe:loopCharacteristics inputCollection="= [1,2,3]" inputElement="item" outputCollection="out" outputElement="= item"/></extensionElements></multiInstanceLoopCharacteristics>\nserviceTask z\nendEvent e\ns > a > z > e', ["complete a", "complete a", "complete a"]),
    "sequential": ('startEvent s\nserviceTask a\n.<multiInstanceLoopCharacteristics isSequential="true"><extensionElements><zeebe:loopCharacteristics inputCollection="= [1,2,3]" inputElement="item" outputCollection="out" outputElement="= item"/></extensionElements></multiInstanceLoopCharacteristics>\nserviceTask z\nendEvent e\ns > a > z > e', ["complete a", "complete a", "complete a"]),
    "events": ("startEvent s\nserviceTask a\nboundaryEvent b on=a cancel=false : signal S\nserviceTask h\nintermediateCatchEvent c : timer PT1H\nintermediateCatchEvent m : message M = k\nserviceTask z\nendEvent e\ns > a > c > m > z > e\nb > h > e", ["signal S", "complete a", "tick", "message M 7"]),
    "again": ("startEvent s\nexclusiveGateway g\nserviceTask a\nexclusiveGateway x\nserviceTask z\nendEvent e\ns > g > a > x\nx > g ? n = 1\nx > z !\nz > e", ["complete a n=1", "complete a n=2"]),
    "event sub": ("startEvent s\nserviceTask a\nendEvent e\ns > a > e\nsubProcess h event=true {\nstartEvent hs : signal S\nserviceTask k\nendEvent x\nhs > k > x\n}", ["signal S"]),
    "gateway": ("startEvent s\neventBasedGateway g\nintermediateCatchEvent c : timer PT1H\nintermediateCatchEvent d : signal S\nserviceTask z\nendEvent e\ns > g\ng > c > z\ng > d > z\nz > e", ["signal S"]),
    "user": ('startEvent s\nuserTask a\n<zeebe:userTask/>\n<zeebe:assignmentDefinition assignee="ann"/>\nserviceTask z\nendEvent e\ns > a > z > e', ["complete a"]),
}  # fmt: skip


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_to_each_moment_and_it_is_as_it_was(name: str, crash: bool) -> None:
    model, moves = MODELS[name]
    for target in range(len(moves)):
        s = begun(model, crash, k="7")
        marks, states = [], []
        for text in moves:
            marks.append(len(s.log))
            states.append(state(s))
            s.move(text)
        back(s, marks[target])
        assert state(s) == states[target], (name, moves[target])
        finish(s)


def test_what_stands_still_keeps_its_keys() -> None:
    s = begun(FORK)
    at, task, token = len(s.log), s.task("u").key, s.token("u")
    s.move("complete a")
    back(s, at)
    assert s.task("u").key == task and s.token("u") == token and s.at == "a u"
    assert s.task("a").details == {"restores": s.task("a").details["restores"]}, "the new task names the old one"
    finish(s)


def test_history_stays_and_what_was_done_outside_is_told() -> None:
    s = begun(CHAIN)
    at = len(s.log)
    s.move("complete a")
    plan = back(s, at, outside=["task 5 at 'a' was completed by me (0-7)"], reason="wrong")
    assert plan["warnings"] == ["task 5 at 'a' was completed by me (0-7)"]
    e = next(e for e, _ in s.log if isinstance(e, wf.WorkflowRolledBack))
    assert e.outside == plan["warnings"] and e.reason == "wrong" and e.position == f"0-{at}"
    assert "a]" in s.line


def test_a_migration_and_a_modification_are_undone_while_nothing_has_moved() -> None:
    s = begun(CHAIN)
    at, was = len(s.log), state(s)
    target = s.do(c.Deploy(resources=[c.Resource("m1.bpmn", bpmn(CHAIN.replace(" a", " aa")))]))["definitions"][0]["key"]
    s.do(c.MigrateInstance(key=s.key, definition=target, elements={"a": "aa"}))
    back(s, at, seen=seen(s.i))
    assert state(s) == was
    at = len(s.log)
    s.do(c.ModifyInstance(key=s.key, instructions=[{"move": {"from": "a", "to": "z"}}]))
    stand = seen(s.i)
    back(s, at, seen=stand)
    assert state(s) == was
    s.do(c.ModifyInstance(key=s.key, instructions=[{"move": {"from": "a", "to": "z"}}]))
    stand = seen(s.i)
    s.do(c.ModifyInstance(key=s.key, instructions=[{"activate": "b"}]))
    with pytest.raises(Refused, match="has moved since"):
        back(s, at, seen=stand)


CALLS = 'startEvent s\ncallActivity w\n<zeebe:calledElement processId="q"/>\nserviceTask z\nendEvent e\ns > w > z > e'


def test_a_called_instance_that_runs_goes_on_and_one_that_ended_is_called_anew() -> None:
    s = Scenario(
        CALLS + "\nboundaryEvent b on=w cancel=false : signal S\nserviceTask h\nb > h",
        bpmn("startEvent s\nserviceTask kk\nendEvent e\ns > kk > e", "q"),
    )
    s.start("p")
    at, child = len(s.log), next(k for k in s.p.instances if k != s.key)
    s.move("signal S")
    back(s, at)
    assert s.at == "kk w" and child in s.p.instances, "it is not touched"
    s.move("complete kk")
    assert s.at == "z"
    back(s, at)
    assert s.at == "kk w" and child not in s.p.instances
    s.moves("complete kk", "complete z")
    assert s.empty


UNDO = 'startEvent s\nserviceTask a\nboundaryEvent cb on=a : compensate\nserviceTask undo comp=true\nserviceTask b\nserviceTask z\nendEvent e\ns > a > b > z > e\n~<association id="as" sourceRef="cb" targetRef="undo"/>'


@pytest.mark.parametrize("crash", [False, True])
def test_with_the_handlers_of_what_has_completed_since(crash: bool) -> None:
    s = begun(UNDO, crash)
    at, was = len(s.log), state(s)
    s.moves("complete a", "complete b")
    back(s, at, compensate=True)
    assert sorted(t.element for t in s.p.tasks.values()) == ["undo"]
    s.move("complete undo")
    assert state(s) == was
    finish(s)
    s = begun(UNDO, crash)
    s.move("complete a")
    at = len(s.log)
    s.move("complete b")
    back(s, at, compensate=True)  # nothing that can be compensated has completed since
    assert s.at == "b"
    finish(s)


def test_what_is_no_state_of_the_instance_is_refused() -> None:
    s = begun(CHAIN)
    good = moment(s, len(s.log))
    other = begun(CHAIN)
    other.do(c.StartInstance(id="p"))
    for bad, says in (
        ({"a": 1}, "expected the state of an instance"),
        (5, "expected the state of an instance"),
        ([[99, *good[0][1:]], *good[1:]], f"a state of instance {s.key}"),
        ([[*good[0][:2], 77, *good[0][3:]], *good[1:]], "process definition with key 77"),
    ):
        with pytest.raises(Refused, match=says):
            s.do(c.RollBackInstance(key=s.key, image=bad))
    assert s.at == "a"


# --- re-run


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(
    ("model", "moves", "element", "at", "then"),
    [
        (CHAIN, "complete a; complete b", "a", "a", "complete a"),
        (CHAIN, "complete a", "b", "b", "complete b"),
        (FORK, "complete a; complete a2; complete u", "a", "a", "complete a; complete a2"),  # it has joined: the sibling keeps its result
        (FORK, "complete a", "a", "a u", "complete a; complete a2"),
        (FORK, "complete a; complete a2", "a", "a u", "complete a; complete a2; complete u"),
        (MODELS["sub"][0], "complete a; complete b", "b", "b sp", "complete b"),
        (MODELS["sub"][0], "complete a", "a", "a sp", "complete a; complete b"),
    ],
)
def test_a_step_with_its_dependants(model: str, moves: str, element: str, at: str, then: str, crash: bool) -> None:
    s = begun(model, crash)
    s.moves(*moves.split("; "))
    s.do(c.RerunElement(key=s.key, element=element))
    assert s.at == at
    s.moves(*then.split("; "))
    assert not problems(Decision(s.p, s.facts(s.p), Envelope(), None), s.i)
    finish(s)


def test_a_rerun_refuses_what_can_not_run() -> None:
    s = begun(CHAIN)
    for element, says in (("nobody", "expected an element"), ("s", None)):
        if says:
            with pytest.raises(Refused, match=says):
                s.do(c.RerunElement(key=s.key, element=element))
