"""A model as JSON, as `flowledger inspect` and the differences of versions show it."""

import json

from notation import bpmn

from flowledger.kernel import model
from flowledger.kernel.model import shown

MODEL = """
startEvent s : message M = k
exclusiveGateway g
subProcess sp {
  startEvent i
  task a
  i > a
}
.<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics>
boundaryEvent late on=sp cancel=false : timer PT1H
serviceTask t
<zeebe:taskDefinition type="x"/>
<zeebe:ioMapping><zeebe:input source="= y" target="in"/><zeebe:output source="= out" target="z"/></zeebe:ioMapping>
endEvent e
s > g
g > sp ? x > 1
g > t !
sp > e
t > e
late > e
"""


def test_a_process_with_its_elements_and_flows():
    graph, _ = model.read(bpmn(MODEL).encode(), "m.bpmn")
    found = shown.graph_view(graph, "m.bpmn")
    assert json.loads(json.dumps(found)) == found, "plain JSON"
    (process,) = found["processes"]
    assert (found["file"], found["format"], process["id"], process["executable"]) == ("m.bpmn", "bpmn", "p", True)
    by_id = {e["id"]: e for e in process["elements"]}
    assert by_id["a"]["scope"] == "sp" and by_id["sp"]["loop"].endswith(" sequential") and by_id["g"]["default"] == "g-t"
    assert by_id["late"]["attached_to"] == "sp" and by_id["late"]["interrupting"] is False
    assert by_id["t"]["inputs"] == {"in": "y"} and by_id["t"]["outputs"] == {"z": "out"}
    flows = {f["id"]: f for f in process["flows"]}
    assert flows["g-sp"]["condition"] == "x > 1" and flows["g-sp"]["target"] == "sp" and "condition" not in flows["g-t"]
    assert set(shown.elements_of(bpmn(MODEL).encode(), "m.bpmn")) == {f"p/{id}" for id in (*by_id, *flows)}


def test_decisions_by_what_decides_them():
    text = (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="n">'
        '<decision id="level" name="Level"><literalExpression><text>1</text></literalExpression></decision></definitions>'
    )
    graph, _ = model.read(text.encode(), "d.dmn")
    (decision,) = shown.graph_view(graph)["decisions"]
    assert (decision["id"], decision["name"]) == ("level", "Level") and decision["logic"]
