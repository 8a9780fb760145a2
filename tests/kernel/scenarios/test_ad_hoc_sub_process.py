"""Ad-hoc sub-process: chosen by a collection, a job or a caller; parallel and sequential; completion (BPMN 13.3.5)."""

import pytest
from scenario import Refused, play

from flowledger.events import commands as c

A = """
startEvent s
adHocSubProcess ah {attrs} {{
  serviceTask a
  serviceTask b
  serviceTask c
  c > c2
  serviceTask c2
}}
{more}
endEvent e
s > ah > e
"""
BY_CALLER = A.format(attrs="", more="")
BY_LIST = A.format(attrs="", more='<zeebe:adHoc activeElementsCollection="= chosen" outputCollection="results" outputElement="= r"/>')
SEQUENTIAL = A.format(attrs="ordering=Sequential", more='<zeebe:adHoc activeElementsCollection="= chosen"/>')
CONDITION = A.format(
    attrs="", more='<zeebe:adHoc activeElementsCollection="= chosen"/>\n.<completionCondition>enough</completionCondition>'
)
WAITS = CONDITION.replace("adHocSubProcess ah ", "adHocSubProcess ah cancelRemainingInstances=false ")
BY_JOB = A.format(attrs="", more='<zeebe:taskDefinition type="agent"/>')
BOUNDARY = A.format(attrs="", more="boundaryEvent bd on=ah : signal S\nendEvent z\nbd > z")
MULTI = A.format(
    attrs="",
    more='.<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>\n<zeebe:adHoc activeElementsCollection="= chosen"/>',
)
NESTED = "startEvent s0\nendEvent e0\ns0 > sp > e0\nsubProcess sp {\n" + BY_LIST + "\n}"
LOOP = BY_LIST.replace("ah > e", "ah > y\ny > ah ? again\ny > e !").replace("endEvent e", "exclusiveGateway y\nendEvent e")


@pytest.mark.parametrize(
    ("model", "moves", "tasks", "at"),
    [
        (BY_CALLER, "", "", "ah"),
        (BY_CALLER, "activate ah a,b", "a b", "a ah ah ah b"),
        (BY_CALLER, "activate ah a,b; complete a; complete b", "a b", ""),
        (BY_CALLER, "activate ah c; complete c", "c c2", "ah ah c2"),
        (BY_CALLER, "activate ah a; cancel", "a", ""),
        (BY_LIST, "complete a r=1; complete b r=2", "a b", ""),
        (SEQUENTIAL, "complete a", "a b", "ah ah b"),
        (SEQUENTIAL, "complete a; complete b", "a b", ""),
        (CONDITION, "complete a enough=false", "a b", "ah ah b"),
        (CONDITION, "complete a enough=true", "a b", ""),
        (CONDITION, "complete a enough=false; complete b; activate ah c; complete c; complete c2 enough=true", "a b c c2", ""),
        (WAITS, "complete a enough=true", "a b", "ah ah b"),
        (WAITS, "complete a enough=true; complete b", "a b", ""),
        (BOUNDARY, "activate ah a; signal S", "a", ""),
        (MULTI, "complete a; complete a; complete b; complete b", "a b a b", ""),
        (NESTED, "complete a r=1; complete b r=1", "a b", ""),
        (LOOP, "complete a again=true; complete b; complete a again=false; complete b", "a b a b", ""),
    ],
)
def test_runs(model, moves, tasks, at):
    s = play(model, moves, "p", chosen=["a", "b"])
    assert (s.tasks, s.at) == (tasks, at)


def test_results_are_collected():
    s = play(BY_LIST, "complete b r=2; complete a r=1", "p", chosen=["a", "b"])
    assert s.vars["results"] == [2, 1] and s.empty


def test_a_job_chooses_until_it_says_that_all_is_done():
    s = play(BY_JOB, "")
    s.do(c.CompleteTask(task=s.task("agent").key, result={"activateElements": [{"elementId": "a", "variables": {"v": 1}}]}))
    assert s.at == "a ah ah" and s.i.tokens[s.i.tokens[s.token("a")].scope].vars == {"v": 1}
    s.move("complete a")
    s.do(c.CompleteTask(task=s.task("agent").key, result={"isCompletionConditionFulfilled": True}))
    assert s.empty


def test_a_job_that_says_nothing_has_chosen_nothing_and_is_not_asked_again_at_once():
    s = play(BY_JOB, "")
    s.do(c.CompleteTask(task=s.task("agent").key, variables={"seen": True}))
    assert (s.at, s.tasks, s.vars) == ("ah", "ah", {"seen": True}) and not s.p.tasks
    s.move("activate ah a")
    s.move("complete a")
    s.do(c.CompleteTask(task=s.task("agent").key, result={"isCompletionConditionFulfilled": True}))
    assert s.empty


def test_unknown_elements():
    assert play(BY_LIST, "", "p", chosen=["nix"]).words[-1] == "?EXTRACT_VALUE_ERROR"
    with pytest.raises(Refused, match="nix"):
        play(BY_CALLER, "activate ah nix")
    with pytest.raises(Refused, match="c2"):
        play(BY_CALLER, "activate ah c2")
