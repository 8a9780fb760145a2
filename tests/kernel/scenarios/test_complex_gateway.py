"""Complex gateway: activation by condition, reset by stragglers (BPMN 13.4.5)."""

import pytest
from scenario import play

TWO_OF_THREE = """
startEvent s
parallelGateway f
serviceTask a
serviceTask b
serviceTask c
complexGateway g
.<activationCondition>{condition}</activationCondition>
serviceTask d
endEvent e
s > f
f > a > g
f > b > g
f > c > g
g > d > e
"""
BY_COUNT = TWO_OF_THREE.format(condition="activationCount >= 2")
BY_FLOW = TWO_OF_THREE.format(condition="a-g".replace("-", "_") + " = 1").replace(
    "f > a > g\n", "f > a\n~<sequenceFlow id='a_g' sourceRef='a' targetRef='g'/>\n"
)
LATE = BY_COUNT + "serviceTask late\nendEvent z\ng > late ? not(waitingForStart)\nlate > z"
NO_CONDITION = BY_COUNT.replace(".<activationCondition>activationCount >= 2</activationCondition>\n", "")
BAD = TWO_OF_THREE.format(condition="threshold")
IN_LOOP = (
    BY_COUNT.replace("g > d > e", "g > d > x\nx > f ? again\nx > e !")
    .replace("endEvent e", "exclusiveGateway x\nendEvent e")
    .replace("s > f", "s > m > f")
    .replace("parallelGateway f", "exclusiveGateway m\nparallelGateway f")
    .replace("x > f", "x > m")
)
ENDS = BY_COUNT.replace("endEvent e", "exclusiveGateway y\nendEvent e\nendEvent q").replace("f > c > g", "f > c > y\ny > g ? on\ny > q !")


@pytest.mark.parametrize(
    ("model", "moves", "tasks", "at"),
    [
        (BY_COUNT, "complete a", "a b c", "b c g"),
        (BY_COUNT, "complete a; complete c", "a b c d", "b d"),
        (BY_COUNT, "complete a; complete c; complete d", "a b c d", "b"),
        (BY_COUNT, "complete a; complete c; complete d; complete b", "a b c d", ""),
        (BY_COUNT, "complete a; complete c; complete b", "a b c d", "d"),
        (BY_FLOW, "complete b", "a b c", "a c g"),
        (BY_FLOW, "complete b; complete a", "a b c d", "c d"),
        (LATE, "complete a; complete c", "a b c d", "b d"),
        (LATE, "complete a; complete c; complete b", "a b c d late", "d late"),
        (NO_CONDITION, "complete a; complete b", "a b c", "c g g"),
        (NO_CONDITION, "complete a; complete b; complete c", "a b c d", "d"),
        (IN_LOOP, "complete a; complete b; complete c; complete d again=true; complete a; complete b", "a b c d a b c d", "c d"),
        (ENDS, "complete a; complete b; complete c on=false; complete d", "a b c d", ""),
        (ENDS, "complete a; complete c on=false; complete b", "a b c d", "d"),
    ],
)
def test_tokens(model, moves, tasks, at):
    s = play(model, moves)
    assert (s.tasks, s.at) == (tasks, at)


def test_the_condition_must_be_true_or_false():
    assert play(BAD, "complete a").words[-1] == "?CONDITION_NOT_BOOLEAN"
