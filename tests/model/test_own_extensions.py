# ruff: noqa: E501 - models are lines
"""What nothing reads of our own extension elements is told, never lost in silence."""

import pytest

from flowledger.kernel import model

HEAD = '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:flowledger="urn:flowledger:bpmn:1" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"><process id="p" isExecutable="true"><startEvent id="s"/>'
TAIL = '<endEvent id="e"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/><sequenceFlow id="f2" sourceRef="t" targetRef="e"/></process></definitions>'


@pytest.mark.req("D-TSK-004")
@pytest.mark.parametrize(
    ("own", "told"),
    [
        ('<flowledger:task sla="PT8H" groups="a"/>', []),
        (
            '<flowledger:task sla="PT8H"><flowledger:escalation afterDue="PT1H" to="bob"/><flowledger:reminder before="PT1H"/></flowledger:task>',
            [],
        ),
        ('<flowledger:task executionMode="batch"/>', ['OWN_ATTRIBUTE_UNKNOWN nothing reads executionMode="batch"']),
        ('<flowledger:task resources="cpu=4" sla="PT1H"/>', ['OWN_ATTRIBUTE_UNKNOWN nothing reads resources="cpu=4"']),
        ('<flowledger:task><flowledger:escalate after="PT1H"/></flowledger:task>', ["OWN_ELEMENT_UNKNOWN nothing reads escalate"]),
        ('<flowledger:task><flowledger:reminder after="PT1H"/></flowledger:task>', ['OWN_ATTRIBUTE_UNKNOWN nothing reads after="PT1H"']),
        ("<flowledger:tasks/>", ["OWN_ELEMENT_UNKNOWN nothing reads flowledger:tasks"]),
        ('<flowledger:businessState enter="A"/>', []),
    ],
)
def test_what_nothing_reads_is_told(own, told):
    text = f'{HEAD}<userTask id="t"><extensionElements>{own}</extensionElements></userTask>{TAIL}'
    _, findings = model.read(text.encode(), "m.bpmn")
    found = [f for f in findings if f.code.startswith("OWN_")]
    assert len(found) == len(told) and all(f"{f.code} {f.message}".startswith(t) for f, t in zip(found, told, strict=True))
    assert all(f.severity == "warning" and f.element == "t" for f in found)


@pytest.mark.req("D-TSK-004")
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('<zeebe:taskDefinition type="t" retries="3"/>', []),
        (
            '<zeebe:taskDefinition type="t" retrys="3"/>',
            ['ZEEBE_ATTRIBUTE_UNKNOWN nothing reads retrys="3" of zeebe:taskDefinition; did you mean retries?'],
        ),
        ('<zeebe:taskDefinitions type="t"/>', ["ZEEBE_ELEMENT_UNKNOWN nothing reads zeebe:taskDefinitions; did you mean taskDefinition?"]),
        (
            '<zeebe:ioMapping><zeebe:inputs source="= 1" target="x"/></zeebe:ioMapping>',
            ["ZEEBE_ELEMENT_UNKNOWN nothing reads inputs in zeebe:ioMapping; did you mean input?"],
        ),
        (
            '<zeebe:linkedResources><zeebe:linkedResource resourceId="r"/></zeebe:linkedResources>',
            ["ZEEBE_ELEMENT_UNKNOWN nothing reads zeebe:linkedResources"],
        ),
        ('<zeebe:executionListeners><zeebe:executionListener eventType="start" type="l" retries="1"/></zeebe:executionListeners>', []),
        ('<zeebe:properties><zeebe:property name="anything" value="1"/></zeebe:properties>', []),
        ('<zeebe:properties><zeebe:property name="flowledger:fails" value="true"/></zeebe:properties>', []),
        (
            '<zeebe:properties><zeebe:property name="flowledger:failz" value="true"/></zeebe:properties>',
            ["OWN_ATTRIBUTE_UNKNOWN nothing reads the property flowledger:failz; did you mean flowledger:fails?"],
        ),
    ],
)
def test_what_nothing_reads_of_zeebe_s_elements_is_told(said, told):
    text = f'{HEAD}<serviceTask id="t"><extensionElements>{said}</extensionElements></serviceTask>{TAIL}'
    _, findings = model.read(text.encode(), "m.bpmn")
    found = [f"{f.code} {f.message}" for f in findings if f.code.startswith(("OWN_", "ZEEBE_"))]
    assert len(found) == len(told) and all(f.startswith(t) for f, t in zip(found, told, strict=True))


@pytest.mark.parametrize("where", ["serviceTask", "process"])
def test_an_attribute_of_ours_on_an_element_of_bpmn_is_told(where):
    text = f'{HEAD}<serviceTask id="t"/>{TAIL}'.replace(f"<{where} ", f'<{where} flowledger:sla="PT1H" ')
    _, findings = model.read(text.encode(), "m.bpmn")
    assert [f.message for f in findings if f.code == "OWN_ATTRIBUTE_UNKNOWN"] == [
        "nothing reads flowledger:sla='PT1H' outside of an element of its own"
    ]
