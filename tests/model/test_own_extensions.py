# ruff: noqa: E501 - models are lines
"""What nothing reads of our own extension elements is told, never lost in silence."""

import pytest

from flowledger.kernel import model

HEAD = '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:flowledger="urn:flowledger:bpmn:1"><process id="p" isExecutable="true"><startEvent id="s"/>'
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
