"""Transactions: cancel withdraws, compensates, and goes on through the cancel boundary event (BPMN 10.3.5)."""

import pytest
from scenario import play

T = """
startEvent s
transaction tx {{
  startEvent i
  serviceTask a
  boundaryEvent a_c on=a : compensate
  serviceTask una comp=true
  ~<association id="as" sourceRef="a_c" targetRef="una"/>
  parallelGateway f
  serviceTask b
  serviceTask c
  exclusiveGateway g
  endEvent ok
  endEvent no : cancel
  endEvent ok2
  i > a > f > b > g
  f > c > ok2
  g > no ? bad
  g > ok !
}}
{multi}
{boundary}
endEvent e
endEvent z
s > tx > e
{after}
"""
PLAIN = T.format(multi="", boundary="boundaryEvent cb on=tx : cancel", after="cb > z")
HAZARD = T.format(multi="", boundary="boundaryEvent cb on=tx : cancel\nboundaryEvent er on=tx : error E", after="cb > z\ner > z")
BARE = T.format(multi="", boundary="", after="")
MULTI = T.format(
    multi=".<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>",
    boundary="boundaryEvent cb on=tx : cancel", after="cb > z",
)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "moves", "tasks", "last"),
    [
        (PLAIN, "complete a; complete b bad=false; complete c", "a b c", "tx>e done"),
        (PLAIN, "complete a; complete b bad=true; complete una", "a b c una", "cb>z done"),
        (HAZARD, "complete a; error b E", "a b c", "er>z done"),
        (BARE, "complete a; complete b bad=true; complete una", "a b c una", "~tx done"),
        (MULTI, "complete a; complete b bad=true; complete una", "a a b c una", "cb>z done"),
    ],
    ids=["success", "cancel", "hazard", "no-boundary", "multi-instance"],
)
def test_ends(model, moves, tasks, last):
    s = play(model, moves)
    assert s.tasks == tasks
    assert s.line.endswith(last) and s.empty


def test_cancel_withdraws_before_it_compensates():
    s = play(PLAIN, "complete a; complete b bad=true")
    assert s.at == "no tx una"
    assert s.words.index("~c") < s.words.index("[una")
