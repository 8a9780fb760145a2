"""Each element valid, nested in a sub-process, in a loop, in multi-instance; interrupted and cancelled after every move. Nothing may be left behind."""

import pytest
from scenario import Scenario, play

FLOW = "startEvent s\nendEvent e\n"
COMP = 'boundaryEvent ac on=a : compensate\nserviceTask un comp=true\n~<association id="as" sourceRef="ac" targetRef="un"/>\n'
SPLIT = "parallelGateway f\nserviceTask a\nserviceTask b\n{0}\nserviceTask d\ns > f\nf > a > j\nf > b > j\nj > d > e"
#: element -> (model, moves to its end)
ELEMENTS = {
    "serviceTask": (FLOW + "serviceTask a\ns > a > e", "complete a"),
    "userTask": (FLOW + "userTask a\ns > a > e", "complete a"),
    "receiveTask": (FLOW + '^<message id="rm" name="R"/>\nreceiveTask r messageRef=rm\ns > r > e', "message R"),
    "exclusiveGateway": (FLOW + "exclusiveGateway g\nserviceTask a\ns > g\ng > a ? x > 0\ng > e !\na > e", "complete a"),
    "parallelGateway": (FLOW + SPLIT.format("parallelGateway j"), "complete a; complete b; complete d"),
    "inclusiveGateway": (FLOW + SPLIT.format("inclusiveGateway j"), "complete a; complete b; complete d"),
    "complexGateway": (
        FLOW
        + SPLIT.format("complexGateway j\n.<activationCondition>activationCount > 0</activationCondition>").replace(
            "Count > 0", "Count &gt; 0"
        ),
        "complete a; complete d; complete b",
    ),
    "eventBasedGateway": (
        FLOW
        + "eventBasedGateway g\nintermediateCatchEvent w : signal S\nintermediateCatchEvent t : timer PT1H\ns > g\ng > w > e\ng > t > e",
        "signal S",
    ),
    "intermediateCatchEvent": (FLOW + "intermediateCatchEvent w : message M = x\ns > w > e", "message M 1"),
    "parallel multiple catch": (FLOW + "intermediateCatchEvent w parallel=true : signal S + timer PT1H\ns > w > e", "signal S; tick"),
    "conditional boundary": (
        FLOW + "serviceTask a\nboundaryEvent b on=a cancel=false : conditional x > 5\nserviceTask h\ns > a > e\nb > h",
        "set x=6; set x=1; complete a; complete h",
    ),
    "timer boundary": (FLOW + "serviceTask a\nboundaryEvent b on=a : timer PT1H\nserviceTask h\ns > a > e\nb > h", "tick; complete h"),
    "error boundary": (FLOW + "serviceTask a\nboundaryEvent b on=a : error E\nserviceTask h\ns > a > e\nb > h", "error a E; complete h"),
    "escalation": (
        FLOW
        + "intermediateThrowEvent t : escalation X\ns > t > e\nsubProcess h event=true {\nstartEvent hs interrupting=false : escalation X\nserviceTask ht\nhs > ht\n}",
        "complete ht",
    ),
    "event sub-process": (
        FLOW + "serviceTask a\ns > a > e\nsubProcess h event=true {\nstartEvent hs : signal S\nserviceTask ht\nhs > ht\n}",
        "signal S; complete ht",
    ),
    "compensation": (FLOW + COMP + "serviceTask a\nintermediateThrowEvent t : compensate\ns > a > t > e", "complete a; complete un"),
    "transaction": (
        FLOW
        + "transaction tx {\nstartEvent i\nendEvent no : cancel\n"
        + COMP
        + "serviceTask a\ni > a > no\n}\nboundaryEvent cb on=tx : cancel\ns > tx > e\nserviceTask h\ncb > h",
        "complete a; complete un; complete h",
    ),
    "adHocSubProcess": (
        FLOW
        + 'adHocSubProcess ah {\nserviceTask a\nserviceTask b\n}\n<zeebe:adHoc activeElementsCollection="= [&quot;a&quot;,&quot;b&quot;]"/>\ns > ah > e',
        "complete a; complete b",
    ),
    "standard loop": (FLOW + 'serviceTask a\n.<standardLoopCharacteristics loopMaximum="2"/>\ns > a > e', "complete a; complete a"),
    "multi-instance": (
        FLOW
        + "serviceTask a\n.<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>\ns > a > e",
        "complete a; complete a",
    ),
    "startQuantity": (FLOW + "parallelGateway f\nserviceTask a startQuantity=2\ns > f\nf > a\nf > a\na > e", "complete a"),
    "link": (FLOW + "intermediateThrowEvent t : link L\nintermediateCatchEvent c : link L\nserviceTask a\ns > t\nc > a > e", "complete a"),
    "terminate": (
        FLOW.replace("endEvent e", "endEvent e : terminate") + "parallelGateway f\nserviceTask a\nserviceTask b\ns > f\nf > a > e\nf > b",
        "complete a",
    ),
    "listeners": (
        FLOW
        + 'serviceTask a\n<zeebe:executionListeners><zeebe:executionListener eventType="end" type="l"/></zeebe:executionListeners>\ns > a > e',
        "complete a; complete l",
    ),
}
TWICE = '.<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>'
LOOP = '.<standardLoopCharacteristics loopMaximum="2"/>'


def box(model: str, loop: str = "") -> str:
    return f"startEvent s0\nendEvent e0\nendEvent x0\ns0 > box > e0\nsubProcess box {{\n{model}\n}}\n{loop}\nboundaryEvent stop on=box : signal STOP\nstop > x0"


@pytest.mark.parametrize("name", ELEMENTS)
def test_valid_nested_in_a_loop_and_in_multi_instance(name):
    model, moves = ELEMENTS[name]
    assert play(model, moves, "p", x=1).empty
    assert play(box(model), moves, "p", x=1).empty
    for loop in (TWICE, LOOP):
        s = play(box(model, loop), f"{moves}; {moves}", "p", x=1)
        assert s.empty and s.line.endswith("box>e0 done")


@pytest.mark.parametrize("name", ELEMENTS)
@pytest.mark.parametrize("end", ["signal STOP", "cancel", "terminate box"])
@pytest.mark.req("APG-ENG-002")
def test_interrupted_and_cancelled_after_every_move(name, end):
    model, moves = ELEMENTS[name]
    steps = moves.split("; ")
    for loop in ("", TWICE):
        for count in range(len(steps)):
            s = Scenario(box(model, loop), crash=count % 2 == 1).start("p", x=1).moves(*steps[:count], end)
            assert s.empty, f"left after {count} moves: {s.at}"


@pytest.mark.parametrize("name", ELEMENTS)
def test_in_parallel_runs(name):
    """Two runs beside each other in one multi-instance body don't take each other's tokens."""
    model, moves = ELEMENTS[name]
    if any(w in moves for w in ("message", "signal", "tick", "set")):
        moves_of_both = "; ".join(m for m in moves.split("; ") for _ in range(2 if m.startswith(("complete", "error", "tick")) else 1))
    else:
        moves_of_both = "; ".join(m for m in moves.split("; ") for _ in range(2))
    if name == "receiveTask" or "message" in moves:
        moves_of_both += f"; {moves}"
    s = play(box(model, TWICE.replace(' isSequential="true"', "")), moves_of_both, "p", x=1)
    assert s.empty
