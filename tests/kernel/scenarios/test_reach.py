# ruff: noqa: E501 - models are lines
"""Whom a signal or an escalation reaches: what is open at the throw, in the same instance, in others, through calls; and nobody else."""

import pytest
from scenario import Scenario, play

#: a model whose thrower and catcher stand in one instance; what is caught; jobs in order when each is completed at once
SIGNALS = {
    "boundary of the scope, end event throws": (
        "startEvent s\nsubProcess sp {\nstartEvent i\nendEvent t : signal S\ni > t\n}\nboundaryEvent b on=sp : signal S\nserviceTask caught\nserviceTask after\nendEvent e\ns > sp > after > e\nb > caught",
        "caught",
    ),
    "boundary of the scope that does not interrupt": (
        "startEvent s\nsubProcess sp {\nstartEvent i\nintermediateThrowEvent t : signal S\nendEvent x\ni > t > x\n}\nboundaryEvent b on=sp cancel=false : signal S\nserviceTask caught\nserviceTask after\nendEvent e\ns > sp > after > e\nb > caught",
        "caught after",
    ),
    "event sub-process of the process, end event throws": (
        "startEvent s\nendEvent t : signal S\ns > t\nsubProcess h event=true {\nstartEvent hs : signal S\nserviceTask caught\nhs > caught\n}",
        "caught",
    ),
    "event sub-process of a scope, that does not interrupt": (
        "startEvent s\nsubProcess sp {\nstartEvent i\nendEvent t : signal S\ni > t\nsubProcess h event=true {\nstartEvent hs interrupting=false : signal S\nserviceTask caught\nhs > caught\n}\n}\nserviceTask after\ns > sp > after",
        "caught",
    ),
    "a parallel catcher that waits": (
        "startEvent s\nintermediateCatchEvent c : signal S\nserviceTask caught\nserviceTask go\nintermediateThrowEvent t : signal S\nserviceTask after\ns > c > caught\ns > go > t > after",
        "caught go after",
    ),
    "a catcher behind the throw": (
        "startEvent s\nintermediateThrowEvent t : signal S\nintermediateCatchEvent c : signal S\nserviceTask caught\ns > t > c > caught",
        "",
    ),
    "a boundary that opens behind the throw": (
        "startEvent s\nintermediateThrowEvent t : signal S\nserviceTask w\nboundaryEvent b on=w : signal S\nserviceTask caught\ns > t > w\nb > caught",
        "w",
    ),
    "a gateway behind the throw": (
        "startEvent s\nintermediateThrowEvent t : signal S\neventBasedGateway g\nintermediateCatchEvent c : signal S\nintermediateCatchEvent o : signal O\nserviceTask caught\ns > t > g\ng > c > caught\ng > o",
        "",
    ),
    "another signal's catcher": (
        "startEvent s\nintermediateCatchEvent c : signal O\nserviceTask caught\nintermediateThrowEvent t : signal S\nserviceTask after\ns > c > caught\ns > t > after",
        "after",
    ),
    "two boundaries at once": (
        "startEvent s\nserviceTask a\nboundaryEvent b on=a cancel=false : signal S\nserviceTask one\nboundaryEvent b2 on=a cancel=false : signal S\nserviceTask two\nserviceTask go\nintermediateThrowEvent t : signal S\ns > a\ns > go > t\nb > one\nb2 > two",
        "a go one two",
    ),
}


@pytest.mark.req("D-EVT-005")
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_reaches_what_is_open_when_it_is_thrown(name):
    model, tasks = SIGNALS[name]
    assert sorted(play(model, "complete go" if " go " in model else "").tasks.split()) == sorted(tasks.split())


def test_a_signal_starts_instances_and_reaches_others_but_not_those_that_it_started():
    starter = "process q {\nstartEvent qs : signal S\nintermediateCatchEvent qc : signal S\nserviceTask late\nqs > qc > late\n}"
    waiter = "process w {\nstartEvent ws\nintermediateCatchEvent wc : signal S\nserviceTask caught\nws > wc > caught\n}"
    s = Scenario("startEvent s\nendEvent t : signal S\ns > t", starter, waiter)
    s.start("w").start("w").start("p")
    assert s.tasks == "caught caught" and s.at == "caught caught qc"


CALLED = "process q {{\nstartEvent qs\n{throw}\nserviceTask w\nendEvent qe\n{flows}\n}}"
THROWS = {
    "throw": CALLED.format(throw="intermediateThrowEvent t : escalation X", flows="qs > t > w > qe"),
    "end": CALLED.format(throw="endEvent t : escalation X", flows="qs > t\nqs > w > qe"),
    "own sub-process": CALLED.format(throw="subProcess sp {\nstartEvent i\nendEvent t : escalation X\ni > t\n}", flows="qs > sp > w > qe"),
}
CALL = '.<extensionElements><zeebe:calledElement processId="q"/></extensionElements>'
CALL_MIDDLE = CALL.replace("q", "m")
CALLERS = {
    "boundary": f"startEvent s\ncallActivity ca\n{CALL}\nboundaryEvent b on=ca : escalation X\nserviceTask caught\nserviceTask after\ns > ca > after\nb > caught",
    "boundary for all": f"startEvent s\ncallActivity ca\n{CALL}\nboundaryEvent b on=ca : escalation\nserviceTask caught\nserviceTask after\ns > ca > after\nb > caught",
    "sub": f"startEvent s\ncallActivity ca\n{CALL}\nserviceTask after\ns > ca > after\nsubProcess h event=true {{\nstartEvent hs : escalation X\nserviceTask caught\nhs > caught\n}}",
    "scope": f"startEvent s\nsubProcess box {{\nstartEvent i\ncallActivity ca\n{CALL}\ni > ca\n}}\nboundaryEvent b on=box : escalation X\nserviceTask caught\nserviceTask after\ns > box > after\nb > caught",
    "two calls": f"startEvent s\ncallActivity ca\n{CALL_MIDDLE}\nboundaryEvent b on=ca : escalation X\nserviceTask caught\nserviceTask after\ns > ca > after\nb > caught",
}
MIDDLE = f"process m {{\nstartEvent ms\ncallActivity mc\n{CALL}\nms > mc\n}}"


@pytest.mark.req("D-EVT-005")
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("thrower", THROWS)
@pytest.mark.parametrize("interrupting", [True, False])
@pytest.mark.parametrize("crash", [False, True])
def test_an_escalation_leaves_the_called_process(caller, thrower, interrupting, crash):
    model = CALLERS[caller]
    if not interrupting:
        model = (
            model.replace("b on=ca", "b on=ca cancel=false")
            .replace("b on=box", "b on=box cancel=false")
            .replace("hs :", "hs interrupting=false :")
        )
    s = Scenario(model, THROWS[thrower], MIDDLE, crash=crash).start("p")
    if not interrupting:
        s.move("complete w")
    assert s.at.split().count("caught") == 1
    if interrupting:  # the called instances are withdrawn
        assert s.at == ("caught h" if caller == "sub" else "caught") and len(s.p.instances) == 1
    else:
        assert s.at.split().count("after") == 1 and len(s.p.instances) == 1


def test_an_escalation_that_no_caller_catches_does_nothing():
    model = CALLERS["boundary"].replace("escalation X", "escalation Y")
    assert play([model, THROWS["throw"]], "complete w").at == "after"


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        ("g > a ? x = 1\ng > b\ng > c !", "b c"),
        ("g > a ? x = 2\ng > b\ng > c !", "a b"),
        ("g > a ? x = 1\ng > b ? x = 3\ng > c !", "c"),
        ("g > b\ng > c !", "b c"),
    ],
)
@pytest.mark.parametrize("kind", ["serviceTask", "task", "inclusiveGateway"])
def test_the_default_flow_is_taken_when_no_condition_is_true(kind, model, taken):
    """Also beside a flow without condition: that is no condition that is true (BPMN tables 10.3 and 10.108)."""
    s = play(
        f"startEvent s\n{kind} g\ns > g\nserviceTask a\nserviceTask b\nserviceTask c\n{model}",
        "complete g" if kind == "serviceTask" else "",
        "p",
        x=2,
    )
    assert s.at == taken


MAPPED = 'serviceTask w\n<zeebe:ioMapping>{0}</zeebe:ioMapping>\n<zeebe:taskDefinition type="w"/>'


@pytest.mark.parametrize(
    ("targets", "before", "after"),
    [
        (["a.b"], {"a": {"c": 1}}, {"c": 1, "b": 2}),
        (["a.b", "a.d.e"], {"a": {"c": 1, "d": {"f": 3}}}, {"c": 1, "d": {"f": 3, "e": 2}, "b": 2}),
        (["a.b"], {}, {"b": 2}),
        (["a.b"], {"a": 5}, {"b": 2}),
        (["a.b.c"], {"a": {"b": [1]}}, {"b": {"c": 2}}),
        (["a", "a.b"], {"a": {"c": 1}}, {"b": 2}),
    ],
)
def test_an_output_mapping_keeps_what_stands_beside_its_target(targets, before, after):
    mappings = "".join(f'<zeebe:output source="= x" target="{t}"/>' for t in targets)
    s = play("startEvent s\n" + MAPPED.format(mappings) + "\nserviceTask z\ns > w > z", "complete w x=2", "p", **before)
    assert s.vars["a"] == after
