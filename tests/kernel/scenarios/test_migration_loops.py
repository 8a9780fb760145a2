# ruff: noqa: E501 - models are lines
"""Migration where the target has another kind of loop: what can be carried goes on, what can't is told before (docs/control.md). Each is asked first."""

from __future__ import annotations

import itertools

import pytest
from notation import bpmn
from scenario import Refused, Scenario, asked_first, moment
from scenario import migrate as move

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.kernel.handlers.rollback import seen

pytestmark = pytest.mark.req("D-MOD-005", "APG-ENG-004")
MULTI = '.<multiInstanceLoopCharacteristics{}><extensionElements><zeebe:loopCharacteristics inputCollection="= {}" inputElement="item" outputCollection="out" outputElement="= item"/></extensionElements></multiInstanceLoopCharacteristics>\n'
#: kind -> what stands under the activity
KINDS = {
    "none": "",
    "parallel": MULTI.format("", "[1,2,3]"),
    "sequential": MULTI.format(' isSequential="true"', "[1,2,3]"),
    "standard": '.<standardLoopCharacteristics loopMaximum="3"/>\n',
}
TASK = "startEvent s\nserviceTask w\n{}serviceTask z\nendEvent e\ns > w > z > e"
SUB = "startEvent s\nsubProcess sp {{\nstartEvent i\nserviceTask w\nserviceTask v\nendEvent x\ni > w > v > x\n}}\n{}serviceTask z\nendEvent e\ns > sp > z > e"
PAIRS = [p for p in itertools.product(KINDS, KINDS) if p[0] != p[1]]


def begun(model: str, crash: bool = False) -> Scenario:
    return Scenario(model, crash=crash).start("p", k=7)


def finish(s: Scenario) -> list[str]:
    """Job types in the order in which they were completed."""
    done = []
    while s.p.tasks:
        key = min(s.p.tasks)
        done.append(s.p.tasks[key].job_type)
        s.do(c.CompleteTask(task=key))
    assert s.empty, s.at
    return done


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(("model", "first"), [(TASK, "w"), (SUB, "w v")])
@pytest.mark.parametrize(("source", "target", "done"), [(*p, n) for p in PAIRS for n in range(3) if p[0] != "none" or not n])
def test_another_kind_of_loop(source: str, target: str, model: str, first: str, done: int, crash: bool) -> None:
    """`done` runs were done before. Each run that the target still has is done once, and the step behind is reached once."""
    s = begun(model.format(KINDS[source]), crash)
    for job in first.split() * done:
        s.do(c.CompleteTask(task=min(t.key for t in s.p.tasks.values() if t.job_type == job)))
    active = {"none": 1, "parallel": 3 - done, "sequential": 1, "standard": 1}[source]
    jobs = set(s.p.tasks)
    if target == "none" and active > 1:
        with pytest.raises(Refused, match=f"{active} runs of .* are active, .* is no loop, with room for one"):
            move(s, model.format(KINDS[target]))
        return
    plan = move(s, model.format(KINDS[target]))
    assert jobs <= set(s.p.tasks), "what is in hand keeps its job"
    assert plan["warnings"], "it is told"
    if target == "parallel":
        assert sum(t.index > 0 for t in s.i.tokens.values()) == 3 - done, "what had not begun begins"
    elif target == "none":
        assert not any(t.index for t in s.i.tokens.values())
    left = {"none": 1}.get(target, 3 - done) if source != "none" else {"none": 1}.get(target, 3)
    assert [t for t in finish(s) if t in "wv"].count("w") == left
    assert sum(isinstance(e, fl.FlowTaken) and e.target == "z" for e, _ in s.log) == 1


@pytest.mark.parametrize(("source", "target"), [p for p in PAIRS if p[1] in ("parallel", "sequential")])
def test_results_and_items_of_runs_are_whole(source: str, target: str) -> None:
    s = begun(TASK.format(KINDS[source]))
    if source == "sequential":
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    move(s, TASK.format(KINDS[target]))
    first = min(s.p.tasks)
    run = s.i.tokens[s.p.tasks[first].token]
    assert (run.vars["item"], run.vars["loopCounter"]) == (run.index, run.index)
    while s.at != "z":
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert s.vars["out"] == [1, 2, 3]


def test_the_results_that_there_are_stay_when_the_last_run_goes_on_alone() -> None:
    s = begun(TASK.format(KINDS["sequential"]))
    s.do(c.CompleteTask(task=min(s.p.tasks)))
    plan = move(s, TASK.format(""))
    assert s.vars["out"] == [1, None] and "its run 2 goes on alone, and 1 that had not begun are not done" in "".join(plan["warnings"])
    assert s.i.tokens[s.token("w")].vars["item"] == 2
    assert finish(s) == ["w", "z"]


def test_more_runs_than_the_targets_collection_has_items_end_with_those_that_there_are() -> None:
    s = begun(TASK.format(KINDS["standard"]))
    s.moves("complete w")
    move(s, TASK.format(MULTI.format(' isSequential="true"', "[1]")))
    assert finish(s) == ["w", "z"]


@pytest.mark.parametrize("text", ["k", "nothing", '\\"a\\"'])
def test_what_is_no_list_is_refused_before_anything_happens(text: str) -> None:
    s = begun(TASK.format(""))
    with pytest.raises(Refused, match="expected a list"):
        move(s, TASK.format(MULTI.format("", text.replace('\\"', "&quot;"))))
    assert s.at == "w" and finish(s) == ["w", "z"]


def due(s: Scenario) -> list[tuple[str, int]]:
    return sorted((t.element, round((t.due_us - s.now_us) / 60_000_000)) for t in s.p.timers.values())


BOUND = "\nboundaryEvent t on={0} cancel=false : timer PT{1}H\nserviceTask late\nt > late\nboundaryEvent g on={0} : signal S\ng > z"


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(("model", "host"), [(TASK, "w"), (SUB, "sp")])
@pytest.mark.parametrize(("source", "target"), [("none", "parallel"), ("none", "standard"), ("sequential", "none"), ("standard", "none")])
@pytest.mark.parametrize(("timers", "after"), [("keep", 30), ("restart", 180), ("recount", 150)])
def test_boundary_events_go_over_to_whoever_has_them_now(
    source: str, target: str, model: str, host: str, timers: str, after: int, crash: bool
) -> None:
    """Of a loop they belong to its body, else to the activity itself: armed once, at their moments, and they still take effect."""
    s = begun(model.format(KINDS[source]) + BOUND.format(host, 1), crash)
    s.now_us += 30 * 60_000_000
    move(s, model.format(KINDS[target]) + BOUND.format(host, 3), elements={"t": "t"}, timers=timers)
    assert due(s) == [("t", after)] and len([x for x in s.p.subscriptions.values() if x.element == "g"]) == 1
    s.moves("tick", "signal S")
    assert sorted(s.at.split()) == ["late", "z"] and not s.p.timers and not s.p.subscriptions
    finish(s)


@pytest.mark.parametrize(("source", "target"), [("none", "parallel"), ("sequential", "none")])
def test_a_timer_that_has_fired_stays_fired(source: str, target: str) -> None:
    s = begun(TASK.format(KINDS[source]) + BOUND.format("w", 1))
    s.move("tick")
    assert "late" in s.at
    move(s, TASK.format(KINDS[target]) + BOUND.format("w", 1))
    assert not s.p.timers


@pytest.mark.parametrize("crash", [False, True])
def test_a_boundary_that_is_new_is_armed_once(crash: bool) -> None:
    for source, target in (("none", "parallel"), ("sequential", "none")):
        s = begun(TASK.format(KINDS[source]), crash)
        move(s, TASK.format(KINDS[target]) + BOUND.format("w", 1))
        assert due(s) == [("t", 60)]
        s.moves("tick", "signal S")
        finish(s)


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("target", ["parallel", "sequential", "standard"])
def test_in_a_scope_that_is_opened_along(target: str, crash: bool) -> None:
    into = (
        "startEvent s\nsubProcess o {{\nstartEvent i\nserviceTask w\n{}endEvent x\ni > w > x\n}}\nserviceTask z\nendEvent e\ns > o > z > e"
    )
    s = begun(TASK.format(""), crash)
    move(s, into.format(KINDS[target]))
    assert finish(s) == ["w", "w", "w", "z"]
    s = begun(into.format(KINDS["sequential"]), crash)
    move(s, TASK.format(""), elements={"o": ""})
    assert finish(s) == ["w", "z"]


@pytest.mark.parametrize("target", ["parallel", "sequential", "standard"])
def test_a_task_made_anew_is_the_first_run(target: str) -> None:
    s = begun(TASK.format(""))
    move(s, TASK.format(KINDS[target]).replace("serviceTask w", "userTask w"), tasks="renew")
    while s.at != "z":
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert sum(type(e).__name__ == "TaskCompleted" for e, _ in s.log) == 3


@pytest.mark.parametrize(("target", "jobs"), [("none", 1), ("sequential", 3), ("standard", 3)])
def test_one_that_stands_before_its_element_enters_the_targets(target: str, jobs: int) -> None:
    s = begun(TASK.format(MULTI.format("", "nothing")))
    [incident] = s.p.incidents
    move(s, TASK.format(KINDS[target]))
    s.do(c.ResolveIncident(key=incident))
    assert finish(s) == [*["w"] * jobs, "z"]


@pytest.mark.parametrize("crash", [False, True])
def test_a_called_instance_goes_on_as_it_is(crash: bool) -> None:
    model = 'startEvent s\ncallActivity w\n<zeebe:calledElement processId="child"/>\n{}serviceTask z\nendEvent e\ns > w > z > e'
    child = bpmn("startEvent cs\nserviceTask ct\nendEvent ce\ncs > ct > ce", "child")
    s = Scenario(model.format(""), child, crash=crash).start("p")
    called = [k for k, i in s.p.instances.items() if i.parent]
    move(s, model.format(KINDS["sequential"]))
    assert [k for k, i in s.p.instances.items() if i.parent] == called
    assert finish(s) == ["ct", "ct", "ct", "z"]


@pytest.mark.parametrize(("source", "target"), [p for p in PAIRS if p[0] != "parallel" or p[1] != "none"])
def test_there_and_back_again_for_each_pair(source: str, target: str) -> None:
    s = begun(SUB.format(KINDS[source]))
    move(s, SUB.format(KINDS[target]))
    if (source, target) != ("none", "parallel"):
        move(s, SUB.format(KINDS[source]))
    assert finish(s)[-1] == "z"


@pytest.mark.parametrize(("source", "target"), [p for p in PAIRS if p[0] != "parallel" or p[1] != "none"])
def test_a_migration_to_another_loop_is_undone(source: str, target: str) -> None:
    s = begun(SUB.format(KINDS[source]) + BOUND.format("sp", 1))
    at = len(s.log)

    def state() -> object:
        return s.at, sorted((t.element, t.index) for t in s.i.tokens.values()), due(s), [x.element for x in s.p.subscriptions.values()]

    was = state()
    move(s, SUB.format(KINDS[target]) + BOUND.format("sp", 1))
    asked_first(s, c.RollBackInstance(key=s.key, image=moment(s, at), position=f"0-{at}", seen=seen(s.i)))
    assert state() == was
    assert finish(s)[-1] == "z"
