"""Where a model may name a secret, and what its job is told of it. Each place a row."""

from __future__ import annotations

import json

import pytest

from flowledger.kernel.model import read
from flowledger.kernel.model.connectors import REFERENCES_MAX, in_feel, placed

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" targetNamespace="x"><process id="p" isExecutable="true">
  <startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>{task}<sequenceFlow id="f2" sourceRef="t" targetRef="e"/>
  <endEvent id="e"/></process></definitions>"""


def task(inner: str, type: str = "flowledger:http", more: str = "") -> str:
    return f'<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="{type}"/>{inner}</extensionElements>{more}</serviceTask>'


def inputs(**given: str) -> str:
    rows = "".join(f"<zeebe:input source='{source}' target='{target.replace('__', '.')}'/>" for target, source in given.items())
    return f"<zeebe:ioMapping>{rows}</zeebe:ioMapping>"


def header(key: str, value: str) -> str:
    return f"<zeebe:taskHeaders><zeebe:header key='{key}' value='{value}'/></zeebe:taskHeaders>"


def found(model: str) -> set[tuple[str, str]]:
    return {(f.code, f.severity) for f in read(MODEL.replace("{task}", model).encode(), "m.bpmn")[1] if "SECRET" in f.code}


@pytest.mark.parametrize(
    "model,codes",
    [
        (task(inputs(url="https://{{secrets.HOST}}/x")), set()),
        (task(inputs(url='= "https://" + secrets.HOST')), set()),
        (task(inputs(headers='= {"a": "{{secrets.A}}"}')), set()),
        (task(inputs(url="{{ secrets.HOST }}"), "io.camunda:http-json:1"), set()),
        (task(header("x", "{{secrets.A}}")), set()),
        (task(header("resultExpression", "= {a: secrets.A}")), {("SECRET_IN_RESULT", "error")}),
        (task(header("errorExpression", "= bpmnError(secrets.A)")), {("SECRET_IN_RESULT", "error")}),
        (task(header("resultExpression", '= {a: "{{secrets.A}}"}')), {("SECRET_IN_RESULT", "error")}),
        (task("<zeebe:ioMapping><zeebe:output source='= secrets.A' target='a'/></zeebe:ioMapping>"), {("SECRET_OUTSIDE_CONNECTOR", "error")}),
        (task(inputs(a="{{secrets.A}}"), "pay"), {("SECRET_NOT_RESOLVED", "warning")}),
        (task(inputs(a="= secrets.A"), "pay"), {("SECRET_NOT_RESOLVED", "warning")}),
        (task("", "= secrets.A"), {("SECRET_OUTSIDE_CONNECTOR", "error")}),
        ('<scriptTask id="t"><extensionElements><zeebe:script expression="= secrets.A" resultVariable="x"/></extensionElements></scriptTask>',
         {("SECRET_OUTSIDE_CONNECTOR", "error")}),
        ('<scriptTask id="t" scriptFormat="javascript"><script>secrets.A</script></scriptTask>', {("SECRET_OUTSIDE_CONNECTOR", "error")}),
        ('<userTask id="t"><extensionElements><zeebe:assignmentDefinition assignee="{{secrets.A}}"/></extensionElements></userTask>',
         {("SECRET_OUTSIDE_CONNECTOR", "error")}),
        (task("", more="<multiInstanceLoopCharacteristics><loopCardinality>= secrets.A</loopCardinality></multiInstanceLoopCharacteristics>"),
         {("SECRET_OUTSIDE_CONNECTOR", "error")}),
        # no references: prose, texts that only look alike, a variable of that name
        ('<task id="t"><documentation>put {{secrets.A}} into an input</documentation></task>', set()),
        ('<scriptTask id="t"><extensionElements><zeebe:script expression="= order.secrets.A" resultVariable="x"/></extensionElements></scriptTask>', set()),
        ("<scriptTask id='t'><extensionElements><zeebe:script expression='= \"secrets.A\"' resultVariable='x'/></extensionElements></scriptTask>", set()),
        (task("<zeebe:ioMapping><zeebe:input source='= {A: 1}' target='secrets'/><zeebe:output source='= secrets.A' target='a'/></zeebe:ioMapping>", "pay"), set()),
        (task(inputs(a="= " + " + ".join(f"secrets.N{n}" for n in range(REFERENCES_MAX)))), set()),
        (task(inputs(a="= " + " + ".join(f"secrets.N{n}" for n in range(REFERENCES_MAX + 1)))), {("SECRETS_TOO_MANY", "error")}),
    ],
)  # fmt: skip
def test_places(model: str, codes: set[tuple[str, str]]):
    assert found(model) == codes


def test_the_job_is_told_which_inputs_name_which_secrets():
    model = task(inputs(url='= "https://" + secrets.HOST + "/" + path', authentication__token="{{secrets.TOKEN}}", body="= order"))
    graph, findings = read(MODEL.replace("{task}", model).encode(), "m.bpmn")
    assert not [f for f in findings if f.severity == "error"]
    node = graph.processes["p"].nodes["t"]
    assert json.loads(node.config.headers["flowledger:secrets"]) == {"url": ["HOST"], "authentication.token": ["TOKEN"]}
    assert node.inputs[0].source.json({"path": "a"}, None) == "https://{{secrets.HOST}}/a"
    assert node.config.details["retry"]["strategy"] == "exponential"


@pytest.mark.parametrize(
    "text,made",
    [
        ("= secrets.A", '= "{{secrets.A}}"'), ("= secrets . A + x", '= "{{secrets.A}}" + x'), ("= x.secrets.A", "= x.secrets.A"),
        ('= "secrets.A"', '= "secrets.A"'), ("secrets.A", "secrets.A"), ("= [secrets.A, secrets.B]", '= ["{{secrets.A}}", "{{secrets.B}}"]'),
        ("= // secrets.A\n1", "= // secrets.A\n1"), ("= secrets", "= secrets"),
    ],
)  # fmt: skip
def test_in_feel_a_reference_becomes_its_text(text: str, made: str):
    assert placed(text) == made
    assert bool(in_feel(text)) == (made != text or text == "secrets.A")
