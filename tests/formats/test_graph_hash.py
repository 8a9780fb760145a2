# ruff: noqa: E501 - models are lines
"""The hash of a graph: equal over the notations and over what only names, places or orders; another for what is done otherwise (D-MOD-002)."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from converted import xml

from flowledger.kernel import model
from flowledger.kernel.model.canonical import graph_hash
from flowledger.sdk.flows import Flow

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from notation import bpmn

pytestmark = pytest.mark.req("D-MOD-002", "APG-MOD-004")

XML = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"><message id="m" name="paid"><extensionElements>
<zeebe:subscription correlationKey="= k"/></extensionElements></message>
<process id="p" isExecutable="true"><startEvent id="s"/>
<serviceTask id="x1" name="First"><extensionElements><zeebe:taskDefinition type="a" retries="3"/></extensionElements></serviceTask>
<boundaryEvent id="late" attachedToRef="x1"><timerEventDefinition><timeDuration>PT5M</timeDuration></timerEventDefinition></boundaryEvent>
<exclusiveGateway id="g" default="d"/>
<serviceTask id="x2"><extensionElements><zeebe:taskDefinition type="b"/></extensionElements></serviceTask>
<intermediateCatchEvent id="wait"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
<exclusiveGateway id="j"/><endEvent id="e"/><endEvent id="e2"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="x1"/><sequenceFlow id="f2" sourceRef="x1" targetRef="g"/>
<sequenceFlow id="f3" sourceRef="g" targetRef="x2"><conditionExpression xsi:type="tFormalExpression">=x &gt; 1</conditionExpression></sequenceFlow>
<sequenceFlow id="f6" sourceRef="g" targetRef="wait"><conditionExpression xsi:type="tFormalExpression">=x &lt; 0</conditionExpression></sequenceFlow>
<sequenceFlow id="d" sourceRef="g" targetRef="j"/><sequenceFlow id="f4" sourceRef="x2" targetRef="j"/>
<sequenceFlow id="f7" sourceRef="wait" targetRef="j"/><sequenceFlow id="f5" sourceRef="j" targetRef="e"/><sequenceFlow id="f8" sourceRef="late" targetRef="e2"/>
</process></definitions>"""

STEPS = [
    "id: p\nsteps:\n  - {id: a, type: x}\n  - {id: b, type: y, parameters: {n: '= a.output.n + 1'}}\n",
    "id: p\nsteps:\n  - {id: a, type: x, dependencies: []}\n  - {id: b, type: y, dependencies: [a]}\n  - {id: c, type: y, dependencies: [a]}\n"
    "  - {id: d, type: y, dependencies: [b, c]}\n",
]


def of(text: str, name: str = "") -> str:
    graph, findings = model.read(text.encode(), name)
    assert graph is not None, findings
    return next(graph_hash(p) for p in graph.processes.values() if p.executable)


@pytest.mark.req("APG-POS-002")
def test_drawn_and_written_as_code():
    flow = Flow("p", name="As code").start("begin").service("first", job="a", retries=3).exclusive("which")
    flow.at("which").when("x > 1").service("second", job="b").exclusive("together").end("done")
    flow.at("which").when("x < 0").wait("payment", message="paid", key="= k").to("together")
    flow.at("which").otherwise().to("together")
    flow.on("first", "too_late", timeout="PT5M").end("given_up")
    coded = flow.xml().decode()
    assert of(coded, "c.bpmn") == of(XML, "d.bpmn"), "the same process"
    assert of(coded.replace("PT5M", "PT6M"), "c.bpmn") != of(XML, "d.bpmn")


def test_written_by_hand_in_xml_and_in_json():
    by_json = json.dumps({"id": "p", "flow": [{"task": "a"}, {"if": "x > 1", "then": [{"task": "b"}]}]})
    kept = [line for line in XML.split("\n") if not line.startswith(("<boundaryEvent", "<intermediate")) and 'id="f6"' not in line]
    by_xml = re.sub(r'<endEvent id="e2"/>|<sequenceFlow id="f[78]"[^>]*/>', "", "\n".join(kept))
    assert of(by_xml.replace(' retries="3"', ""), "a.bpmn") == of(by_json, "a.json")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"id": "p", "flow": flow})
        for flow in (
            [{"task": "a"}, {"parallel": [[{"task": "b"}], [{"task": "c"}]]}],
            [{"for_each": "= xs", "as": "x", "do": [{"task": "a"}]}, {"wait": "5m"}],
            [{"wait": {"message": "m", "key": "= k"}}, {"switch": [{"when": "x = 1", "do": [{"task": "a"}]}, {"do": [{"task": "b"}]}]}],
            [{"while": "n < 2", "do": [{"task": "a", "output": {"n": "= n + 1"}}]}],
        )
    ]
    + STEPS,
)
def test_a_model_and_its_bpmn(text):
    """And with other ids, names and order of elements."""
    exported = xml(text)
    assert of(text) == of(exported, "a.bpmn")


SAME = {
    "ids": lambda t: re.sub(r'\b(id|sourceRef|targetRef|default|attachedToRef)="(x1|x2|f\d|g|j|d|late|wait)"', r'\1="n-\2"', t),
    "names": lambda t: t.replace('name="First"', 'name="Another"'),
    "documentation": lambda t: t.replace('<startEvent id="s"/>', '<startEvent id="s"><documentation>why</documentation></startEvent>'),
    "blanks in an expression": lambda t: t.replace("=x &gt; 1", "= x&gt;1"),
    "order of elements": lambda t: t.replace('<startEvent id="s"/>', "").replace("</process>", '<startEvent id="s"/></process>'),
    "order of flows of one gateway that have no turn": lambda t: re.sub(
        r'(<sequenceFlow id="d".*?/>)(<sequenceFlow id="f4".*?/>)', r"\2\1", t
    ),
    "prefixes": lambda t: t.replace("zeebe:", "z:").replace("xmlns:zeebe", "xmlns:z"),
}
OTHER = {
    "job type": lambda t: t.replace('type="a"', 'type="c"'),
    "retries": lambda t: t.replace('retries="3"', 'retries="4"'),
    "condition": lambda t: t.replace("x &gt; 1", "x &gt; 2"),
    "text in an expression": lambda t: t.replace("x &gt; 1", 'x = "a b"'),
    "turn of the conditions": lambda t: re.sub(
        r'(<sequenceFlow id="f3".*?</sequenceFlow>)\n(<sequenceFlow id="f6".*?</sequenceFlow>)', r"\2\1", t
    ),
    "default": lambda t: t.replace(' default="d"', ""),
    "target": lambda t: t.replace('sourceRef="wait" targetRef="j"', 'sourceRef="wait" targetRef="e"'),
    "timer": lambda t: t.replace("PT5M", "PT6M"),
    "interrupting": lambda t: t.replace('attachedToRef="x1"', 'attachedToRef="x1" cancelActivity="false"'),
    "message": lambda t: t.replace('name="paid"', 'name="sent"'),
    "correlation": lambda t: t.replace('"= k"', '"= l"'),
    "kind of gateway": lambda t: t.replace('<exclusiveGateway id="j"/>', '<parallelGateway id="j"/>'),
    "kind of task": lambda t: t.replace("serviceTask", "sendTask"),
    "host of an event": lambda t: t.replace('attachedToRef="x1"', 'attachedToRef="x2"'),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_only_names_places_or_orders(change):
    assert change(XML) != XML and of(change(XML), "a.bpmn") == of(XML, "a.bpmn")


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_what_is_done_otherwise(change):
    assert change(XML) != XML and of(change(XML), "a.bpmn") != of(XML, "a.bpmn")


#: what an element says: (element t, or the whole model; two values that do otherwise)
SAYS = {
    "called process": ('callActivity t\n<zeebe:calledElement processId="{}"/>', "a", "b"),
    "binding of a call": ('callActivity t\n<zeebe:calledElement processId="a" bindingType="{}"/>', "latest", "deployment"),
    "variables of a call": ('callActivity t\n<zeebe:calledElement processId="a" propagateAllChildVariables="{}"/>', "true", "false"),
    "collection of a loop": ('serviceTask t\n.<multiInstanceLoopCharacteristics><extensionElements><zeebe:loopCharacteristics inputCollection="= {}"/></extensionElements></multiInstanceLoopCharacteristics>', "a", "b"),
    "turn of a loop": ('serviceTask t\n.<multiInstanceLoopCharacteristics isSequential="{}"><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>', "true", "false"),
    "end of a loop": ('serviceTask t\n.<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality><completionCondition>= {}</completionCondition></multiInstanceLoopCharacteristics>', "a", "b"),
    "standard loop": ('serviceTask t\n.<standardLoopCharacteristics testBefore="{}"><loopCondition>= x</loopCondition></standardLoopCharacteristics>', "true", "false"),
    "input": ("serviceTask t\n<zeebe:ioMapping><zeebe:input source='= {}' target='x'/></zeebe:ioMapping>", "1", "2"),
    "output": ("serviceTask t\n<zeebe:ioMapping><zeebe:output source='= 1' target='{}'/></zeebe:ioMapping>", "a", "b"),
    "script": ("scriptTask t\n<zeebe:script expression='= {}' resultVariable='x'/>", "1", "2"),
    "decision": ("businessRuleTask t\n<zeebe:calledDecision decisionId='{}' resultVariable='x'/>", "a", "b"),
    "form": ("userTask t\n<zeebe:userTask/>\n<zeebe:formDefinition formId='{}'/>", "a", "b"),
    "candidates": ("userTask t\n<zeebe:userTask/>\n<zeebe:assignmentDefinition candidateGroups='{}'/>", "a", "b"),
    "due date": ("userTask t\n<zeebe:userTask/>\n<zeebe:taskSchedule dueDate='{}'/>", "P1D", "P2D"),
    "header": ("serviceTask t\n<zeebe:taskHeaders><zeebe:header key='{}' value='1'/></zeebe:taskHeaders>\n<zeebe:taskDefinition type='x'/>", "id", "line"),
    "value of a header that is called id": ("serviceTask t\n<zeebe:taskHeaders><zeebe:header key='id' value='{}'/></zeebe:taskHeaders>\n<zeebe:taskDefinition type='x'/>", "1", "2"),
    "property that is called process": ("serviceTask t\n<zeebe:properties><zeebe:property name='process' value='{}'/></zeebe:properties>", "1", "2"),
    "listener": ("serviceTask t\n<zeebe:executionListeners><zeebe:executionListener eventType='{}' type='l'/></zeebe:executionListeners>", "start", "end"),
    "our settings": ("userTask t\n<zeebe:userTask/>\n<flowledger:task sla='{}'/>", "PT1H", "PT2H"),
    "error code": ("serviceTask t\nboundaryEvent b on=t : error {}", "A", "B"),
    "escalation code": ("serviceTask t\nboundaryEvent b on=t : escalation {}", "A", "B"),
    "signal": ("serviceTask t\nboundaryEvent b on=t : signal {}", "A", "B"),
    "condition of an event": ("serviceTask t\nboundaryEvent b on=t : conditional x > {}", "1", "2"),
    "variables of a conditional event": ('serviceTask t\nboundaryEvent b on=t\n.<conditionalEventDefinition><extensionElements><zeebe:conditionalFilter variableNames="{}"/></extensionElements><condition>= x > 1</condition></conditionalEventDefinition>', "x", "y"),
    "all of several events": ("serviceTask t\nboundaryEvent b on=t parallel={} : signal A + signal B", "true", "false"),
    "event sub-process": ("task t\nsubProcess x event=true (\nstartEvent xs interrupting={} : signal A\ntask y\nxs > y\n)", "true", "false"),
    "ad-hoc sub-process": ("adHocSubProcess t ordering={} (\ntask a\n)", "Parallel", "Sequential"),
    "transaction": ("{} t (\ntask a\n)", "transaction", "subProcess"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAYS)
def test_what_an_element_says(name):
    element, one, other = SAYS[name]
    hashes = {
        of(bpmn(f"startEvent s\n{element.format(said)}\nendEvent e\ns > t > e".replace("(\n", "{\n").replace("\n)", "\n}")), "a.bpmn")
        for said in (one, other)
    }
    assert len(hashes) == 2


NAMED = {
    "user": "userTask a{}\n<zeebe:userTask/>", "user as a job": "userTask a{}", "service": 'serviceTask a{}\n<zeebe:taskDefinition type="t"/>',
    "manual": "manualTask a{}", "none": "task a{}", "receive": "receiveTask a{}", "script": 'scriptTask a{}\n<zeebe:script expression="= 1" resultVariable="r"/>',
    "call": 'callActivity a{}\n<zeebe:calledElement processId="q"/>', "decision": 'businessRuleTask a{}\n<zeebe:calledDecision decisionId="d" resultVariable="r"/>',
    "throw": "intermediateThrowEvent a{}", "signal": "intermediateCatchEvent a{} : signal S", "timer": "intermediateCatchEvent a{} : timer PT1H",
    "message": "intermediateCatchEvent a{} : message M = k", "condition": "intermediateCatchEvent a{} : conditional x > 1",
    "sub-process": "subProcess a{} {{\nstartEvent i\n}}", "gateway": "exclusiveGateway a{}",
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMED)
def test_a_name_or_none_is_the_same_for_each_kind(kind):
    frame = f"startEvent s\n{NAMED[kind]}\nendEvent e\ns > a > e"
    assert of(bpmn(frame.format("")), "m.bpmn") == of(bpmn(frame.format(' name="Its name"')), "m.bpmn")
