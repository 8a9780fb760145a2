"""Inclusive gateways: split by conditions, join when nothing more can arrive, over loops and nested splits (BPMN 13.4.3)."""

import pytest
from scenario import play

from tests.counting import calls

PAIR = """
startEvent s
inclusiveGateway f
serviceTask a
serviceTask b
serviceTask c
inclusiveGateway j
serviceTask d
endEvent e
s > f
f > a ? x > 1
f > b ? x > 2
f > c !
a > j
b > j
c > j
j > d > e
"""
NO_DEFAULT = PAIR.replace("f > c !", "f > c ? x > 9")
ENDS = PAIR.replace("a > j", "a > y\ny > j ? on\ny > z !").replace("endEvent e", "exclusiveGateway y\nendEvent z\nendEvent e")
LOOP_INSIDE = PAIR.replace("a > j", "a > y\ny > a ? again\ny > j !").replace("serviceTask a", "exclusiveGateway y\nserviceTask a")
BOUNDARY = PAIR.replace("a > j", "a > z\nbb > j").replace(
    "serviceTask a\n", "serviceTask a\nboundaryEvent bb on=a cancel=false : signal S\nendEvent z\n"
)
NESTED = """
startEvent s
inclusiveGateway f
serviceTask a
inclusiveGateway f2
serviceTask b
serviceTask c
inclusiveGateway j2
inclusiveGateway j
serviceTask d
endEvent e
s > f
f > a ? true
f > f2 ? true
f2 > b ? true
f2 > c ? true
b > j2
c > j2
a > j
j2 > j > d > e
"""
LINK = """
startEvent s
parallelGateway f
serviceTask a
serviceTask b
intermediateThrowEvent lt : link L
intermediateCatchEvent lc : link L
inclusiveGateway j
serviceTask d
endEvent e
s > f
f > a > j
f > b > lt
lc > j > d > e
"""
# a token in a loop around the join could come to it again: it delays only until it has left the loop
AROUND = """
startEvent s
exclusiveGateway m
inclusiveGateway f
serviceTask a
serviceTask b
inclusiveGateway j
serviceTask d
exclusiveGateway x
endEvent e
s > m > f
f > a ? true
f > b ? true
a > j
b > j
j > d > x
x > m ? again
x > e !
"""


@pytest.mark.parametrize(
    ("model", "x", "moves", "tasks", "at"),
    [
        (PAIR, 0, "complete c", "c d", "d"),
        (PAIR, 2, "complete a", "a d", "d"),
        (PAIR, 3, "complete a", "a b", "b j"),
        (PAIR, 3, "complete a; complete b; complete d", "a b d", ""),
        (ENDS, 3, "complete b", "a b", "a j"),
        (ENDS, 3, "complete b; complete a on=false", "a b d", "d"),
        (ENDS, 3, "complete b; complete a on=true", "a b d", "d"),
        (ENDS, 3, "complete b; terminate a", "a b d", "d"),
        (LOOP_INSIDE, 3, "complete b; complete a again=true", "a b a", "a j"),
        (LOOP_INSIDE, 3, "complete b; complete a again=true; complete a again=false", "a b a d", "d"),
        (BOUNDARY, 3, "complete b", "a b", "a j"),
        (BOUNDARY, 3, "complete b; complete a", "a b d", "d"),
        (BOUNDARY, 3, "complete b; signal S", "a b d", "a d"),
        (NESTED, 0, "complete b; complete a", "a b c", "c j j2"),
        (NESTED, 0, "complete b; complete a; complete c", "a b c d", "d"),
        (LINK, 0, "complete a", "a b", "b j"),
        (LINK, 0, "complete a; complete b", "a b d", "d"),
        (AROUND, 0, "complete a; complete b; complete d again=true; complete b", "a b d a b", "a j"),
        (AROUND, 0, "complete a; complete b; complete d again=true; complete b; complete a; complete d again=false", "a b d a b d", ""),
    ],
)
@pytest.mark.req("APG-ELM-001", "D-ELM-001")
def test_joins(model, x, moves, tasks, at):
    s = play(model, moves, "p", x=x)
    assert (s.tasks, s.at) == (tasks, at)


def test_no_flow_is_an_incident():
    assert play(NO_DEFAULT, "", "p", x=0).words[-1] == "?NO_FLOW_CHOSEN"


def test_a_join_among_500_elements_is_quick():
    from notation import bpmn

    from flowledger.kernel.elements import joins
    from flowledger.kernel.model import bpmn as reader
    from flowledger.kernel.state import Instance, Token

    lines = ["startEvent s", "inclusiveGateway f", "inclusiveGateway j", "endEvent e", "s > f", "j > e"]
    for n in range(50):
        lines += [f"serviceTask t{n}_{k}" for k in range(10)]
        lines += ["f > " + " > ".join(f"t{n}_{k}" for k in range(10)) + " > j"]
    graph, _ = reader.read(bpmn("\n".join(lines)).encode(), "big.bpmn")
    nodes = graph.processes["p"].nodes
    i = Instance(key=1, process="p", definition=1, version=1, tokens={}, vars={})
    i.tokens = {k: Token(key=k, scope=1, element=f"t{k}_0") for k in range(2, 50)}
    i.kids = sorted(i.tokens)
    arrived = {nodes["j"].incoming[0].id: 2}
    joins.complete(i, 1, nodes["j"], arrived)
    found = []
    assert calls(lambda: found.append(joins.complete(i, 1, nodes["j"], arrived))) < 50 and found == [False]
