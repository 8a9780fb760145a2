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
        ('<flowledger:protect names="a" search="equality"/>', []),
        ('<flowledger:states initial="A"><flowledger:state name="A" description="it begins" final="true"/></flowledger:states>', []),
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


#: what stands in the process instead of the task, what is told of it
PLACES = [
    ('<exclusiveGateway id="t"><extensionElements><zeebe:ioMapping><zeebe:output source="= 1" target="x"/></zeebe:ioMapping></extensionElements></exclusiveGateway>', "ioMapping of <exclusiveGateway>"),
    ('<task id="t"><extensionElements><zeebe:taskDefinition type="x"/></extensionElements></task>', "taskDefinition of <task>"),
    ('<serviceTask id="t"><extensionElements><zeebe:assignmentDefinition assignee="a"/></extensionElements></serviceTask>', "assignmentDefinition of <serviceTask>"),
    ('<userTask id="t"><extensionElements><zeebe:script expression="= 1" resultVariable="r"/></extensionElements></userTask>', "script of <userTask>"),
    ('<subProcess id="t"><extensionElements><zeebe:loopCharacteristics inputCollection="= x"/></extensionElements><task id="u"/></subProcess>', "loopCharacteristics of <subProcess>"),
    ('<receiveTask id="t" messageRef="M"><extensionElements><zeebe:subscription correlationKey="= x"/></extensionElements></receiveTask>', "subscription of <receiveTask>"),
    ('<intermediateThrowEvent id="t"><extensionElements><zeebe:taskDefinition type="x"/></extensionElements></intermediateThrowEvent>', "taskDefinition of <intermediateThrowEvent>: only one that sends a message"),
    ('<intermediateCatchEvent id="t"><extensionElements><zeebe:ioMapping><zeebe:input source="= 1" target="x"/></zeebe:ioMapping></extensionElements><messageEventDefinition messageRef="M"/></intermediateCatchEvent>', "ioMapping of <intermediateCatchEvent>: what catches has outputs only"),
    ('<intermediateThrowEvent id="t"><extensionElements><zeebe:taskDefinition type="x"/></extensionElements><messageEventDefinition messageRef="M"/></intermediateThrowEvent>', ""),
    ('<intermediateCatchEvent id="t"><extensionElements><zeebe:ioMapping><zeebe:output source="= 1" target="x"/></zeebe:ioMapping></extensionElements><messageEventDefinition messageRef="M"/></intermediateCatchEvent>', ""),
    ('<userTask id="t"><extensionElements><zeebe:userTask/><zeebe:formDefinition formId="f"/><zeebe:taskSchedule dueDate="= x"/><zeebe:taskListeners><zeebe:taskListener eventType="creating" type="l"><zeebe:taskHeaders/></zeebe:taskListener></zeebe:taskListeners></extensionElements></userTask>', ""),
    ('<subProcess id="t"><extensionElements><zeebe:ioMapping><zeebe:input source="= 1" target="x"/></zeebe:ioMapping></extensionElements><multiInstanceLoopCharacteristics><extensionElements><zeebe:loopCharacteristics inputCollection="= x"/></extensionElements></multiInstanceLoopCharacteristics><task id="u"/></subProcess>', ""),
]  # fmt: skip


@pytest.mark.parametrize(("element", "told"), PLACES)
def test_a_setting_where_nothing_reads_it_is_told(element, told):
    text = f"{HEAD}{element}{TAIL}".replace(
        "<process ",
        '<message id="M" name="M"><extensionElements><zeebe:subscription correlationKey="= k"/></extensionElements></message><process ',
    )
    _, findings = model.read(text.encode(), "m.bpmn")
    found = [f for f in findings if f.code == "ZEEBE_ELEMENT_UNKNOWN"]
    assert [f.element for f in found] == (["t"] if told else []) and all(f"nothing reads zeebe:{told}" in f.message for f in found)
