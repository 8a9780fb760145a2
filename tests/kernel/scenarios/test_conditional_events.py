"""Conditional events in every position; looked at only when a variable that they read changes (BPMN 10.5.5)."""

import pytest
from scenario import Scenario, play

from flowledger.events import commands as c

CATCH = "startEvent s\nintermediateCatchEvent w : conditional x > 1\nserviceTask a\nendEvent e\ns > w > a > e"
BOUNDARY = """
startEvent s
serviceTask a
boundaryEvent b on=a {cancel} : conditional x > 1
serviceTask h
endEvent e
endEvent z
s > a > e
b > h > z
"""
INTERRUPTING = BOUNDARY.format(cancel="")
NON_INTERRUPTING = BOUNDARY.format(cancel="cancel=false")
SUB = """
startEvent s
serviceTask a
endEvent e
s > a > e
subProcess h event=true {{
  startEvent hs {how} : conditional x > 1
  serviceTask ht
  endEvent he
  hs > ht > he
}}
"""
GATEWAY = """
startEvent s
eventBasedGateway g
intermediateCatchEvent w1 : conditional x > 1
intermediateCatchEvent w2 : conditional y > 1
serviceTask a
serviceTask b
endEvent e
s > g
g > w1 > a > e
g > w2 > b > e
"""
IN_LOOP = CATCH.replace("a > e", "a > y\ny > w ? again\ny > e !").replace("endEvent e", "exclusiveGateway y\nendEvent e")
IN_MULTI = """
startEvent s
subProcess sp {
  startEvent i
  intermediateCatchEvent w : conditional x > loopCounter
  endEvent q
  i > w > q
}
.<multiInstanceLoopCharacteristics><loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics>
endEvent e
s > sp > e
"""


@pytest.mark.parametrize(
    ("model", "moves", "tasks", "at"),
    [
        (CATCH, "", "", "w"),
        (CATCH, "set x=1", "", "w"),
        (CATCH, "set x=2", "a", "a"),
        (CATCH, "cancel", "", ""),
        (IN_LOOP, "set x=2; complete a again=true", "a a", "a"),
        (INTERRUPTING, "set x=2", "a h", "h"),
        (INTERRUPTING, "complete a x=2", "a", ""),
        (NON_INTERRUPTING, "set x=2", "a h", "a h"),
        (NON_INTERRUPTING, "set x=2; set x=3", "a h", "a h"),
        (NON_INTERRUPTING, "set x=2; set x=1; set x=3", "a h h", "a h h"),
        (SUB.format(how=""), "set x=2", "a ht", "h ht"),
        (SUB.format(how="interrupting=false"), "set x=2; complete a", "a ht", "h ht"),
        (GATEWAY, "set y=2", "b", "b"),
        (GATEWAY, "set x=2", "a", "a"),
        (IN_MULTI, "set x=2", "", "sp sp sp w w"),
        (IN_MULTI, "set x=4", "", ""),
    ],
)
def test_occurs(model, moves, tasks, at):
    s = play(model, moves)
    assert (s.tasks, s.at) == (tasks, at)


def test_true_when_armed_occurs_at_once():
    assert play(CATCH, "", "p", x=5).at == "a"


def test_a_local_variable_counts():
    model = (
        CATCH.replace("intermediateCatchEvent w", "subProcess sp {\nstartEvent i\nendEvent q\nintermediateCatchEvent w")
        .replace("x > 1\n", 'x > 1\ni > w > q\n}\n<zeebe:ioMapping><zeebe:input source="= 2" target="x"/></zeebe:ioMapping>\n')
        .replace("s > w > a", "s > sp > a")
    )
    assert play(model, "").at == "a"


def test_only_looked_at_when_what_it_reads_changes(monkeypatch):
    s = Scenario(CATCH)
    s.start("p", x=0)
    condition = s.library.graphs[next(iter(s.library.graphs))].processes["p"].nodes["w"].events[0].condition
    looks = []
    inner = condition.compiled
    monkeypatch.setattr(condition, "compiled", lambda *a: looks.append(1) or inner(*a))
    s.check = False
    s.moves("set y=1", "set z=2", "set x=1")
    assert len(looks) == 1


def test_a_start_event_starts_by_variables_that_a_caller_gives():
    s = Scenario("startEvent s : conditional x > 1\nserviceTask a\nendEvent e\ns > a > e")
    assert s.do(c.EvaluateConditions(variables={"x": 1}))["instances"] == []
    keys = s.do(c.EvaluateConditions(variables={"x": 2}))["instances"]
    assert len(keys) == 1 and s.p.instances[keys[0]].vars == {"x": 2}


def test_what_changed_in_a_suspension_is_looked_at_after_it():
    s = Scenario(CATCH).start("p")
    s.do(c.ControlInstance(key=s.key, move="suspend"))
    s.move("set x=2")
    assert s.at == "w"
    s.do(c.ControlInstance(key=s.key, move="resume"))
    assert s.at == "a"
