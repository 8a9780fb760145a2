"""The simplified JSON is written from a drawing, and does the same: by the hash of the graph, over XML, JSON and back. What it has no words for is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flowledger.kernel.model import read
from flowledger.kernel.model.canonical import graph_hash
from flowledger.kernel.model.drawn import as_bpmn, as_json

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from notation import bpmn

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(p for p in (ROOT / "examples").rglob("*") if p.suffix in (".bpmn", ".json", ".yaml", ".bpml") and "tests" not in p.parts)


def hashes(data: bytes, name: str) -> list[str]:
    graph, findings = read(data, name)
    assert graph is not None, findings
    return [graph_hash(p) for p in graph.processes.values() if p.executable]


@pytest.mark.req("APG-MOD-004", "D-MOD-002")
@pytest.mark.parametrize("name", ["order.bpmn", "document-approval.bpmn", "purchase-order-approval.bpmn", "employee-onboarding.json", "incident-response.json",
                                  "connectors/bill-order.bpmn", "connectors/book-transport.bpmn"])  # fmt: skip
def test_the_examples_do_the_same_written_as_json(name: str) -> None:
    data = (ROOT / "examples" / name).read_bytes()
    text, left, same = as_json(data, name)
    assert text is not None and same and all(f.severity == "info" for f in left), left
    assert hashes(text.encode(), "x.json") == hashes(data, name)
    drawn, _ = as_bpmn(text.encode(), "x.json")  # and as BPMN again
    assert drawn is not None and hashes(drawn, "x.bpmn") == hashes(data, name)
    again, _, same = as_json(drawn, "x.bpmn")
    assert same and again is not None and json.loads(again)["flows"] == json.loads(text)["flows"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_what_is_not_the_same_says_so(path: Path) -> None:
    """Never silently: either the hashes are equal, or something is named."""
    if as_bpmn(path.read_bytes(), path.name)[0] is None:
        assert as_json(path.read_bytes(), path.name)[0] is None
        return
    text, left, same = as_json(path.read_bytes(), path.name)
    assert text is not None and (same or any(f.code.startswith("WRITE_") and f.severity == "warning" for f in left)), left


KEPT = {
    "job": '<zeebe:taskDefinition type="charge" retries="4"/>\n<zeebe:taskHeaders><zeebe:header key="id" value="1"/></zeebe:taskHeaders>',
    "mappings": "<zeebe:taskDefinition type='a'/>\n<zeebe:ioMapping><zeebe:input source='= 1 + x' target='a'/><zeebe:input source='plain' target='b'/>"
    "<zeebe:output source='= r' target='c'/></zeebe:ioMapping>",
    "priority": "<zeebe:taskDefinition type='a'/>\n<zeebe:jobPriorityDefinition priority='70'/>",
    "retry": "<zeebe:taskDefinition type='a' retries='3'/>\n<flowledger:retry maxAttempts='3' strategy='exponential' initialMs='100' maxMs='5000' multiplier='2'/>",
    "sla": "<zeebe:taskDefinition type='a'/>\n<flowledger:task sla='PT1H'/>",
    "loop": "<zeebe:taskDefinition type='a'/>\n.<multiInstanceLoopCharacteristics isSequential='true'><extensionElements><zeebe:loopCharacteristics "
    "inputCollection='= xs' inputElement='x' outputCollection='ys' outputElement='= y'/></extensionElements><completionCondition>= done</completionCondition>"
    "</multiInstanceLoopCharacteristics>",
}  # fmt: skip
FLOWS = {
    "timer boundary": "serviceTask t\n<zeebe:taskDefinition type='a'/>\nboundaryEvent b on=t : timer PT5M\nendEvent e2\nb > e2",
    "message boundary": "serviceTask t\n<zeebe:taskDefinition type='a'/>\nboundaryEvent b on=t cancelActivity=false : message paid key = k\nendEvent e2\nb > e2",
    "error": "serviceTask t\n<zeebe:taskDefinition type='a'/>\nboundaryEvent b on=t : error OUT\nendEvent e2 : error FAILED\nb > e2",
    "any error": "serviceTask t\n<zeebe:taskDefinition type='a'/>\nboundaryEvent b on=t : error\nendEvent e2\nb > e2",
    "signal": "intermediateCatchEvent t : signal go",
    "condition": "intermediateCatchEvent t : conditional x > 1",
    "terminate": "exclusiveGateway t\nendEvent e2 : terminate\nt > e2 ? x > 1\nt > e !",
    "user": "userTask t\n<zeebe:userTask/>\n<zeebe:assignmentDefinition candidateGroups='a, b' candidateUsers='c,d' assignee='= who'/>"
    "\n<zeebe:taskSchedule dueDate='= now() + duration(\"P1D\")'/>"
    "\n<zeebe:formDefinition formId='f'/>\n<zeebe:priorityDefinition priority='50'/>",
    "script": "scriptTask t\n<zeebe:script expression='= 1 + 1' resultVariable='x'/>",
    "decision": "businessRuleTask t\n<zeebe:calledDecision decisionId='d' resultVariable='x'/>",
    "call": "callActivity t\n<zeebe:calledElement processId='other' propagateAllChildVariables='true' bindingType='versionTag' versionTag='v1'/>",
    "sub-process": "subProcess t {\nstartEvent ts\nserviceTask tt\n<zeebe:taskDefinition type='a'/>\nendEvent te\nts > tt > te\n}",
}


@pytest.mark.parametrize("name", KEPT)
def test_what_a_task_says_is_kept(name: str) -> None:
    _kept(f"startEvent s\nserviceTask t\n{KEPT[name]}\nendEvent e\ns > t > e")


@pytest.mark.parametrize("name", FLOWS)
def test_what_stands_in_the_flow_is_kept(name: str) -> None:
    ends = "s > t" if "t > e" in FLOWS[name] else "s > t > e"
    _kept(f"startEvent s\n{FLOWS[name]}\nendEvent e\n{ends}")


def _kept(text: str) -> None:
    data = bpmn(text).encode()
    written, left, same = as_json(data, "a.bpmn")
    assert written is not None and same and not left, (left, written)
    assert hashes(written.encode(), "a.json") == hashes(data, "a.bpmn")


LOST = {
    "odd numbers": ("serviceTask t\n<zeebe:taskDefinition type='a' retries='²'/>\n<flowledger:retry maxAttempts='1e9' initialMs='x'/>\n"
                    "<zeebe:jobPriorityDefinition priority='99999999999999999999999'/>", "taskDefinition"),
    "listeners": ("serviceTask t\n<zeebe:executionListeners><zeebe:executionListener eventType='start' type='l'/></zeebe:executionListeners>", "executionListeners"),
    "ad-hoc": ("adHocSubProcess t {\ntask a\n}", "adHocSubProcess"),
    "standard loop": ("serviceTask t\n.<standardLoopCharacteristics testBefore='true'><loopCondition>= x</loopCondition></standardLoopCharacteristics>", "standardLoop"),
    "variables of a call": ("callActivity t\n<zeebe:calledElement processId='a' propagateAllChildVariables='false'/>", "calledElement"),
    "several events": ("serviceTask t\n<zeebe:taskDefinition type='a'/>\nboundaryEvent b on=t : signal A + signal B\nendEvent e2\nb > e2", "more than one"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_has_no_words_is_said_with_its_element(name: str) -> None:
    flow, word = LOST[name]
    text, left, same = as_json(bpmn(f"startEvent s\n{flow}\nendEvent e\ns > t > e").encode(), "a.bpmn")
    assert not same and any(word in f.message and f.element for f in left), left
    assert all(f.severity == "warning" for f in left)


def test_two_processes_are_no_file_of_this_format() -> None:
    one = bpmn("startEvent s\nendEvent e\ns > e")
    body = one[one.index("<process") if "<process" in one else one.index("<bpmn:process") : one.rindex("</")]
    two = (
        one[: one.rindex("</")]
        + body.replace('id="p"', 'id="p2"').replace('"s"', '"s2"').replace('"e"', '"e2"').replace('id="f', 'id="g')
        + one[one.rindex("</") :]
    )
    text, left, same = as_json(two.encode(), "a.bpmn")
    assert text is None and not same and left


YES_AND_NO = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="sketch" isExecutable="false"><startEvent id="s0"/></process><process id="p" isExecutable="true"><startEvent id="s"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="a"/><serviceTask id="a"><extensionElements><zeebe:taskDefinition type="work"/></extensionElements>
<multiInstanceLoopCharacteristics isSequential="true"><extensionElements><zeebe:loopCharacteristics inputCollection="= xs" inputElement="x"/>
</extensionElements></multiInstanceLoopCharacteristics></serviceTask><sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/>
<boundaryEvent id="b" attachedToRef="a" cancelActivity="false"><timerEventDefinition><timeDuration>PT1H</timeDuration></timerEventDefinition></boundaryEvent>
<sequenceFlow id="f3" sourceRef="b" targetRef="e2"/><endEvent id="e2"/><subProcess id="sub" triggeredByEvent="true"><startEvent id="ss" isInterrupting="false">
<signalEventDefinition signalRef="m"/></startEvent><sequenceFlow id="f4" sourceRef="ss" targetRef="ee"/><endEvent id="ee"/></subProcess></process>
<signal id="m" name="m"/></definitions>"""


def test_yes_and_no_are_read_however_xml_schema_has_them() -> None:
    digits = YES_AND_NO.replace('"true"', '" 1 "').replace('"false"', '"0"')
    text, left, same = as_json(digits.encode(), "a.bpmn")
    assert same and not left and text == as_json(YES_AND_NO.encode(), "a.bpmn")[0]


def test_what_a_classic_model_loses_on_its_way_is_said_here_too() -> None:
    classic = YES_AND_NO.replace(
        '<startEvent id="s"', '<startEvent xmlns:c="http://camunda.org/schema/1.0/bpmn" c:formHandlerClass="a.B" id="s"'
    )
    text, left, _ = as_json(classic.encode(), "a.bpmn")
    assert text is not None and [f.code for f in left if f.severity == "warning"] == ["CLASSIC_FORM_HANDLER"], left
    kept = YES_AND_NO.replace('<startEvent id="s"', '<startEvent xmlns:c="http://camunda.org/schema/1.0/bpmn" c:initiator="who" id="s"')
    _, left, _ = as_json(kept.encode(), "a.bpmn")
    assert [f.code for f in left if f.severity == "warning"] == ["WRITE_OTHER"], left  # the drawing keeps it, and JSON has no word for it
