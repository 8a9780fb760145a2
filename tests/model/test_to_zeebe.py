"""Models of Camunda 7 and Flowable, converted: the same nodes and flows, said in Zeebe's words, and no classic words left."""

import pytest
from lxml import etree

from flowledger.kernel.model import bpmn
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import to_zeebe

CAMUNDA = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:c="%s" targetNamespace="t">
<process id="p" isExecutable="true" c:versionTag="v3"><startEvent id="s"/>
<serviceTask id="a" c:type="external" c:topic="charge"><extensionElements><c:failedJobRetryTimeCycle>R5/PT1M</c:failedJobRetryTimeCycle>
<c:inputOutput><c:inputParameter name="sum">${order.total}</c:inputParameter><c:inputParameter name="text">a "b"</c:inputParameter>
<c:inputParameter name="l"><c:list><c:value>x</c:value><c:value>${y}</c:value></c:list></c:inputParameter>
<c:outputParameter name="paid">${ok &amp;&amp; sum &gt; 1}</c:outputParameter></c:inputOutput></extensionElements></serviceTask>
<userTask id="u" c:assignee="${owner}" c:candidateGroups="a,b" c:formKey="f"><multiInstanceLoopCharacteristics c:collection="items" c:elementVariable="item"/></userTask>
<exclusiveGateway id="g" default="g_e"/><callActivity id="k" calledElement="child"><extensionElements><c:in source="m" target="n"/></extensionElements></callActivity>
<businessRuleTask id="r" c:decisionRef="rate" c:resultVariable="rated"/><endEvent id="e"/>
<sequenceFlow id="s_a" sourceRef="s" targetRef="a"/><sequenceFlow id="a_u" sourceRef="a" targetRef="u"/><sequenceFlow id="u_g" sourceRef="u" targetRef="g"/>
<sequenceFlow id="g_k" sourceRef="g" targetRef="k"><conditionExpression>${paid == true}</conditionExpression></sequenceFlow>
<sequenceFlow id="g_e" sourceRef="g" targetRef="e"/><sequenceFlow id="k_r" sourceRef="k" targetRef="r"/><sequenceFlow id="r_e" sourceRef="r" targetRef="e"/>
</process></definitions>"""


def shape(data: bytes, *but: str) -> tuple:
    graph, findings = bpmn.read(data)
    assert not [f for f in findings if f.severity == "error" and f.code not in but], findings
    p = graph.processes["p"]
    nodes = {
        n.id: (n.kind, [(m.source.text, m.target) for m in n.inputs], [(m.source.text, m.target) for m in n.outputs])
        for n in p.nodes.values()
    }
    values = {"paid": True, "amount": 5}
    flows = {f.id: (f.source.id, f.target.id, f.condition and f.condition(values, None)) for f in p.flows.values()}
    return nodes, flows, p.version_tag, graph


@pytest.mark.parametrize("ns", [x.CAMUNDA_NS, x.FLOWABLE_NS])
def test_the_converted_model_is_the_same_in_other_words(ns):
    before = (CAMUNDA % ns).encode()
    tree = to_zeebe.convert(x.parse(before))
    assert not to_zeebe.is_classic(tree)
    after = etree.tostring(tree)
    nodes, flows, tag, _ = shape(before)
    nodes2, flows2, tag2, new = shape(after)
    assert (flows, tag) == (flows2, tag2)
    assert {id: n[0] for id, n in nodes.items()} == {id: n[0] for id, n in nodes2.items()}
    assert nodes2["a"][1] == [("order.total", "sum"), ('"a \\"b\\""', "text"), ('["x", y]', "l")]
    assert nodes2["k"][1] == [("m", "n")]
    a, u = (new.processes["p"].nodes[id] for id in "au")
    assert (a.config.job_type.static, a.config.retries.static) == ("charge", "5")
    assert (u.loop.collection.text, u.loop.element) == ("items", "item")
    for name in ("zeebe:assignmentDefinition", "zeebe:formDefinition", "zeebe:calledDecision", "zeebe:calledElement"):
        assert f"<{name}".encode() in after
    assert etree.tostring(to_zeebe.convert(x.parse(after))) == after, "converting again changes nothing"


def test_what_has_no_counterpart_stays_and_is_told():
    text = (CAMUNDA % x.CAMUNDA_NS).replace('c:type="external" c:topic="charge"', 'c:class="org.Charge"').encode()
    after = etree.tostring(to_zeebe.convert(x.parse(text)))
    assert b"org.Charge" in after
    assert "CLASSIC_DELEGATE" in {f.code for f in bpmn.read(after)[1]}
