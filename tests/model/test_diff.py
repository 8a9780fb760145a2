"""What changed between two versions of a model."""

import json

from notation import bpmn

from flowledger.kernel import model
from flowledger.kernel.model.diff import diff

BASE = """
startEvent s
serviceTask t
<zeebe:taskDefinition type="charge"/>
<zeebe:taskHeaders><zeebe:header key="a" value="1"/><zeebe:header key="b" value="2"/></zeebe:taskHeaders>
subProcess sp {
  startEvent i
  userTask u
  i > u
}
boundaryEvent b on=sp : timer PT1H
endEvent e
s > t > sp > e
"""


def graph(text: str):
    found, findings = model.read(bpmn(text).encode(), "m.bpmn")
    assert not [f for f in findings if f.severity == "error"]
    return found


def changes(old: str, new: str) -> list[tuple]:
    return [
        (r["change"], r["id"], *((f["field"], f["from"], f["to"]) for f in r.get("fields", ())))
        for r in diff(graph(old), graph(new))
        if r["type"] != "sequenceFlow"
    ]


def test_nothing_changed():
    assert diff(graph(BASE), graph(BASE)) == []


def test_extension_elements_are_fields():
    assert changes(BASE, BASE.replace("charge", "pay")) == [("changed", "t", ("taskDefinition@type", "charge", "pay"))]
    assert changes(BASE, BASE.replace('key="b" value="2"', 'key="b" value="3"')) == [
        ("changed", "t", ("taskHeaders/header[b]@value", "2", "3"))
    ]


def test_event_definitions_are_fields():
    assert changes(BASE, BASE.replace("PT1H", "PT2H")) == [("changed", "b", ("timerEventDefinition/timeDuration", "PT1H", "PT2H"))]


def test_elements_and_flows_come_and_go():
    new = BASE.replace("endEvent e", "task n\nendEvent e").replace("sp > e", "sp > n > e")
    rows = [(r["change"], r["id"], r["type"]) for r in diff(graph(BASE), graph(new))]
    assert sorted(rows) == [
        ("added", "n", "task"),
        ("added", "n-e", "sequenceFlow"),
        ("added", "sp-n", "sequenceFlow"),
        ("removed", "sp-e", "sequenceFlow"),
    ]
    back = [(r["change"], r["id"]) for r in diff(graph(new), graph(BASE))]
    assert ("removed", "n") in back and ("added", "sp-e") in back


def test_inside_a_sub_process_belongs_to_the_inner_element():
    rows = diff(graph(BASE), graph(BASE.replace("userTask u", 'userTask u name="Look"')))
    assert [(r["change"], r["id"], r["scope"], r["process"]) for r in rows] == [("changed", "u", "sp", "p")]
    assert rows[0]["line"] > 0


def test_an_element_moves_between_scopes():
    old = BASE.replace("userTask u\n", "userTask u\n  task k\n")
    rows = [r for r in diff(graph(old), graph(BASE.replace("endEvent e", "task k\nendEvent e"))) if r["id"] == "k"]
    assert [(r["change"], r["fields"]) for r in rows] == [("moved", [{"field": "scope", "from": "sp", "to": "p"}])]


def test_conditions_and_defaults():
    gateway = "startEvent s\nexclusiveGateway x\nendEvent a\nendEvent b\ns > x\nx > a ? y\nx > b !"
    rows = diff(graph(gateway), graph(gateway.replace("? y", "? z")))
    assert [(r["id"], r["fields"]) for r in rows] == [("x-a", [{"field": "conditionExpression", "from": "y", "to": "z"}])]


def test_root_elements():
    rows = changes("startEvent s : message M = k", "startEvent s : message M = j")
    assert rows == [("changed", "msg_M", ("subscription@correlationKey", "= k", "= j"))]


def test_other_formats():
    def steps(kind: str):
        found, _ = model.read(json.dumps({"id": "p", "steps": [{"id": "a", "type": kind}]}).encode(), "p.json")
        return found

    rows = diff(steps("x"), steps("y"))
    assert [r["id"] for r in rows] == ["a"] and {"field": "taskDefinition@type", "from": "x", "to": "y"} in rows[0]["fields"]
