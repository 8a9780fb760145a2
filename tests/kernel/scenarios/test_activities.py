# ruff: noqa: E501 - models are lines
"""Tasks, sub-processes, call activities, gateways, token quantities and listeners (BPMN 13.3, 13.4; Zeebe's listeners)."""

import pytest
from scenario import Scenario, play

from flowledger.events import commands as c

TASKS = {
    "serviceTask": "a", "sendTask": "a", "userTask": "a", "businessRuleTask": "a", "scriptTask": "a",
}  # fmt: skip


@pytest.mark.parametrize("tag", ["serviceTask", "sendTask", "userTask", "businessRuleTask", "scriptTask"])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.req("APG-ELM-004", "D-STA-003")
def test_a_task_waits_for_its_work(tag, nested):
    flow = f"startEvent s\n{tag} a\nboundaryEvent b on=a : signal S\nendEvent e\nendEvent z\ns > a > e\nb > z"
    model = f"startEvent s0\nsubProcess sp {{\n{flow}\n}}\nendEvent e0\ns0 > sp > e0" if nested else flow
    assert play(model, "complete a x=1").empty
    assert "~a" in play(model, "signal S").words
    assert play(model, "cancel").empty


@pytest.mark.parametrize("tag", ["task", "manualTask"])
def test_a_task_without_work_is_passed(tag):
    assert play(f"startEvent s\n{tag} a\nendEvent e\ns > a > e", "").line == "+s s>a a>e done"


def test_a_receive_task_waits_for_its_message():
    model = '^<message id="mm" name="M"><extensionElements><zeebe:subscription correlationKey="= k"/></extensionElements></message>\nstartEvent s\nreceiveTask r messageRef=mm\nendEvent e\ns > r > e'
    s = play(model, "message M 1 v=2", "p", k=1)
    assert s.empty and s.vars["v"] == 2
    assert play(model, "cancel", "p", k=1).empty


def test_a_script_is_feel():
    s = play('startEvent s\nscriptTask a\n<zeebe:script expression="= x + 1" resultVariable="y"/>\nendEvent e\ns > a > e', "", "p", x=1)
    assert s.vars["y"] == 2 and s.empty


DMN = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="drg" name="drg" namespace="n"><decision id="d1" name="d1"><variable name="d1"/>
<literalExpression><text>x * 2</text></literalExpression></decision></definitions>"""


def test_a_business_rule_task_evaluates_its_decision():
    model = 'startEvent s\nbusinessRuleTask a\n<zeebe:calledDecision decisionId="d1" resultVariable="y"/>\nendEvent e\ns > a > e'
    s = Scenario(model, resources=[("m.dmn", DMN)]).start("p", x=4)
    assert s.vars["y"] == 8 and s.empty
    assert play(model, "").words[-1] == "?DECISION_NOT_FOUND"


CALL = ["startEvent s\ncallActivity a\n<zeebe:calledElement processId=\"q\"/>\nboundaryEvent b on=a : error E\nserviceTask h\nendEvent e\ns > a > e\nb > h",
        "process q {\nstartEvent qs\nserviceTask t\nendEvent qe\nqs > t > qe\n}"]  # fmt: skip


@pytest.mark.req("APG-ENG-006")
def test_a_call_activity_waits_for_the_called():
    s = play(CALL, "complete t r=1")
    assert s.empty
    s = play(CALL, "error t E; complete h")
    assert s.empty and "failed E" in s.words
    assert play(CALL, "cancel").empty
    assert play(CALL[:1], "").words[-1] == "?CALLED_ELEMENT_NOT_FOUND"


def test_a_call_activity_in_a_loop():
    model = CALL[0].replace(
        "boundaryEvent",
        '.<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>\nboundaryEvent',
        1,
    )
    assert play([model, CALL[1]], "complete t; complete t").empty


@pytest.mark.parametrize(
    ("x", "line"),
    [(101, "+s s>g g>b b>e done"), (1, "+s s>g g>d d>e done"), (None, "+s s>g ?CONDITION_NOT_BOOLEAN")],
)
@pytest.mark.req("APG-ELM-001", "WOS-ENG-006", "WOS-ENG-007")
def test_exclusive_gateway(x, line):
    s = play("startEvent s\nexclusiveGateway g\ntask b\ntask d\nendEvent e\ns > g\ng > b ? x > 100\ng > d !\nb > e\nd > e", "", "p", x=x)
    assert s.line == line


def test_an_exclusive_gateway_without_a_way_is_an_incident_that_can_be_resolved():
    s = play(
        "startEvent s\nexclusiveGateway g\ntask b\ntask d\nendEvent e\ns > g\ng > b ? x > 100\ng > d ? x < 10\nb > e\nd > e",
        "set x=1; resolve",
        "p",
        x=50,
    )
    assert s.line == "+s s>g ?NO_FLOW_CHOSEN g>d d>e done"


@pytest.mark.req("APG-ELM-001", "D-ELM-001")
def test_parallel_gateway_keeps_a_second_token_for_the_next_round():
    model = "startEvent s\nparallelGateway f\nserviceTask a\nserviceTask b\nparallelGateway j\nserviceTask c\nendEvent e\ns > f\nf > a > j\nf > b > j\nj > c > e"
    s = play(model, "complete a; complete b; complete c")
    assert s.said("join") == "join j" and s.empty


@pytest.mark.req("WOS-ENG-008")
def test_implicit_split_and_merge():
    model = (
        "startEvent s\nserviceTask a\nserviceTask b\nserviceTask d\nserviceTask c\nendEvent e\ns > a\na > b\na > d ? x\nb > c\nd > c\nc > e"
    )
    assert play(model, "complete a; complete b; complete d; complete c; complete c", "p", x=True).tasks == "a b d c c"
    assert play(model, "complete a; complete b; complete c", "p", x=False).tasks == "a b c"


def test_several_starts_and_none():
    assert play("startEvent s1\nstartEvent s2\ntask a\nendEvent e\ns1 > a\ns2 > a\na > e", "").empty
    assert play("serviceTask a\nserviceTask b\na > b", "complete a; complete b").empty


@pytest.mark.parametrize(
    ("attrs", "moves", "tasks"),
    [
        ("startQuantity=2", "complete x; complete y; complete a", "x y a"),
        ("startQuantity=2", "complete x", "x y"),
        (
            "completionQuantity=2",
            "complete x; complete y; complete a; complete a; complete z; complete z; complete z; complete z",
            "x y a a z z z z",
        ),
    ],
)
def test_token_quantities(attrs, moves, tasks):
    model = f"startEvent s\nparallelGateway f\nserviceTask x\nserviceTask y\nserviceTask a {attrs}\nserviceTask z\nendEvent e\ns > f\nf > x > a\nf > y > a\na > z > e"
    if "start" in attrs:
        model = model.replace("\na > z > e", "\na > e").replace("serviceTask z\n", "")
    s = play(model, moves)
    assert s.tasks == tasks
    if not s.at:
        assert s.empty


EXECUTION = '<zeebe:executionListeners><zeebe:executionListener eventType="start" type="l1"/><zeebe:executionListener eventType="start" type="l2"/><zeebe:executionListener eventType="end" type="l3"/></zeebe:executionListeners>'
TASK = '<zeebe:userTask/>\n<zeebe:taskListeners><zeebe:taskListener eventType="creating" type="l1"/><zeebe:taskListener eventType="assigning" type="l2"/><zeebe:taskListener eventType="completing" type="l3"/><zeebe:taskListener eventType="canceling" type="l4"/></zeebe:taskListeners>'


@pytest.mark.parametrize(
    ("element", "moves", "said"),
    [
        (f"serviceTask a\n{EXECUTION}", "complete l1; complete l2; complete a; complete l3", "[a:start [a:start [a [a:end"),
        (f"task a\n{EXECUTION}", "complete l1; complete l2; complete l3", "[a:start [a:start [a:end"),
        (f"intermediateThrowEvent a\n{EXECUTION}", "complete l1; complete l2; complete l3", "[a:start [a:start [a:end"),
        (f"exclusiveGateway a\n{EXECUTION}", "complete l1; complete l2", "[a:start [a:start"),
        (f"userTask a\n{TASK}", "complete l1; complete a; complete l3", "[a:creating [a [a:completing"),
    ],
    ids=["task", "abstract", "event", "gateway", "user-task"],
)
def test_listeners(element, moves, said):
    s = play(f"startEvent s\n{element}\nendEvent e\ns > a > e", moves)
    assert s.said("[") == said and s.empty


def test_listeners_of_the_process():
    model = (
        "startEvent s\ntask a\nendEvent e\ns > a > e\n~<extensionElements><zeebe:executionListeners><zeebe:executionListener type='l1'/>"
        "<zeebe:executionListener eventType='end' type='l2'/></zeebe:executionListeners></extensionElements>"
    )
    s = play(model, "complete l1; complete l2")
    assert s.said("[") == "[s:start [e:end" and s.empty


def test_listeners_that_only_hear():
    s = Scenario(f"startEvent s\nuserTask a\n{TASK}\nendEvent e\ns > a > e").start("p").move("complete l1")
    key = min(t.key for t in s.p.tasks.values())
    s.do(c.MoveTask(task=key, move="assign", details={"assignee": "anna"}))
    assert s.task("l2").listener == "assigning"
    s.moves("complete l2")
    assert s.at == "a"
    s.move("cancel")
    assert s.task("l4").listener == "canceling" and not s.p.instances
    s.move("complete l4")
    assert s.empty
