"""Conformance classes of BPMN 2.0.2, chapter 2: each row of the tables 2.1 to 2.4 with a model, the reference models, and the page about them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flowledger.infra.cli.main import app
from flowledger.kernel.model import conformance as cf
from flowledger.kernel.model import read
from flowledger.kernel.model import xml as x

ROOT = Path(__file__).resolve().parents[2]
MIWG = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared")) / "bpmn-miwg" / "Reference"
pytestmark = pytest.mark.req("APG-MOD-006")
NAMESPACES = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
ENDS = {
    "message": '<messageEventDefinition messageRef="m"/>', "signal": '<signalEventDefinition signalRef="sg"/>', "link": '<linkEventDefinition name="l"/>',
    "timer": '<timerEventDefinition><timeDate xsi:type="tFormalExpression">2031-01-01T00:00:00Z</timeDate></timerEventDefinition>',
    "error": '<errorEventDefinition errorRef="er"/>', "escalation": '<escalationEventDefinition escalationRef="es"/>',
    "conditional": '<conditionalEventDefinition><condition xsi:type="tFormalExpression">=a</condition></conditionalEventDefinition>',
    "terminate": "<terminateEventDefinition/>", "none": "",
}  # fmt: skip
ROOTS = (
    '<message id="m" name="M"/><signal id="sg" name="S"/><error id="er" name="E" errorCode="e"/><escalation id="es" name="E" escalationCode="e"/>'
    '<category id="cat"><categoryValue id="v" value="V"/></category><dataStore id="ds" name="D"/>'
)
LOOP = {
    "loop:standard": '<standardLoopCharacteristics><loopCondition xsi:type="tFormalExpression">=a</loopCondition></standardLoopCharacteristics>',
    "loop:multi-instance": '<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality xsi:type="tFormalExpression">3</loopCardinality>'
    "</multiInstanceLoopCharacteristics>",
}
IO = (
    '<ioSpecification><dataInput id="i"/><dataOutput id="o"/><inputSet><dataInputRefs>i</dataInputRefs></inputSet>'
    "<outputSet><dataOutputRefs>o</dataOutputRefs></outputSet></ioSpecification>"
)


def model(body: str, roots: str = "", executable: bool = True) -> str:
    run = ' isExecutable="true"' if executable else ""
    return f'<definitions {NAMESPACES} id="d" targetNamespace="t">{ROOTS}{roots}<process id="p"{run}>{body}</process></definitions>'


def flow(id: str, source: str, target: str, inside: str = "") -> str:
    return f'<sequenceFlow id="{id}" sourceRef="{source}" targetRef="{target}">{inside}</sequenceFlow>'


def between(element: str) -> str:
    return f'<startEvent id="s"/>{flow("f", "s", "x")}{element}{flow("g", "x", "e")}<endEvent id="e"/>'


def of_kind(kind: str) -> str:
    """The smallest file with one."""
    place, _, what = kind.partition(":")
    if kind in ("start:none", "end:none"):
        return model(between('<task id="x"/>'))
    if place == "start":
        return model(f'<startEvent id="x">{ENDS[what]}</startEvent>{flow("g", "x", "e")}<endEvent id="e"/>')
    if place == "end":
        return model(f'<startEvent id="s"/>{flow("f", "s", "x")}<endEvent id="x">{"".join(ENDS[w] for w in what.split(","))}</endEvent>')
    if what == "link":
        body = f'<intermediateThrowEvent id="t">{ENDS["link"]}</intermediateThrowEvent><intermediateCatchEvent id="x">{ENDS["link"]}</intermediateCatchEvent>'
        return model(f'<startEvent id="s"/>{flow("f", "s", "t")}{body}{flow("g", "x", "e")}<endEvent id="e"/>')
    if place in ("catch", "throw"):
        tag = "intermediateCatchEvent" if place == "catch" else "intermediateThrowEvent"
        return model(between(f'<{tag} id="x">{ENDS[what]}</{tag}>'))
    if place.startswith("boundary"):
        cancel = ' cancelActivity="false"' if place != "boundary" else ""
        at = f'<boundaryEvent id="b" attachedToRef="x"{cancel}>{ENDS[what]}</boundaryEvent>{flow("h", "b", "e")}'
        return model(between('<userTask id="x"/>' + at))
    if kind in LOOP:
        return model(between(f'<userTask id="x">{LOOP[kind]}</userTask>'))
    return BODIES[kind] if kind in BODIES else model(between(f'<{kind} id="x"/>'))


IF_A, IF_B = ("<conditionExpression>=%s</conditionExpression>".replace("%s", v) for v in "ab")
SPLIT = f'<startEvent id="s"/>{flow("f", "s", "x")}%s<endEvent id="e"/><endEvent id="e2"/>'
TWO_POOLS = model(
    between(f'<intermediateThrowEvent id="x">{ENDS["message"]}</intermediateThrowEvent>'),
    '<collaboration id="co"><participant id="a" name="A" processRef="p"/><participant id="b" name="B"/>'
    '<messageFlow id="mf" sourceRef="x" targetRef="b"/></collaboration>',
)  # fmt: skip
BODIES = {
    "participant": TWO_POOLS, "messageFlow": TWO_POOLS,
    "message": TWO_POOLS.replace('id="mf"', 'id="mf" messageRef="m"'),
    "laneSet,lane": model('<laneSet id="ls"><lane id="l" name="L"><flowNodeRef>s</flowNodeRef></lane></laneSet>' + between('<task id="x"/>')),
    "sequenceFlow": model(between('<task id="x"/>')),
    "sequenceFlow:conditional": model(
        SPLIT % f'<inclusiveGateway id="x"/>{flow("g", "x", "e", IF_A)}{flow("h", "x", "e2", IF_B)}'
    ),
    "sequenceFlow:default": model(
        SPLIT % f'<exclusiveGateway id="x" default="h"/>{flow("g", "x", "e", IF_A)}{flow("h", "x", "e2")}'
    ),
    "exclusiveGateway:default": model(
        SPLIT % f'<exclusiveGateway id="x" default="h"/>{flow("g", "x", "e", IF_A)}{flow("h", "x", "e2")}'
    ),
    "exclusiveGateway": model('<startEvent id="s2"/>' + flow("h", "s2", "x") + between('<exclusiveGateway id="x"/>')),
    "inclusiveGateway": model(
        SPLIT % f'<inclusiveGateway id="x" default="h"/>{flow("g", "x", "e", IF_A)}{flow("h", "x", "e2")}'
    ),
    "parallelGateway": model(SPLIT % f'<parallelGateway id="x"/>{flow("g", "x", "e")}{flow("h", "x", "e2")}'),
    "eventBasedGateway": model(
        SPLIT % f'<eventBasedGateway id="x"/>{flow("g", "x", "c")}{flow("h", "x", "c2")}<intermediateCatchEvent id="c">{ENDS["message"]}</intermediateCatchEvent>'
        f'<intermediateCatchEvent id="c2">{ENDS["timer"]}</intermediateCatchEvent>{flow("i", "c", "e")}{flow("j", "c2", "e2")}'
    ),
    "subProcess": model(between(f'<subProcess id="x"><startEvent id="s1"/>{flow("f1", "s1", "e1")}<endEvent id="e1"/></subProcess>')),
    "callActivity": model(between('<callActivity id="x" calledElement="q"/>')),
    "receiveTask": model(between('<receiveTask id="x" messageRef="m"/>')),
    "dataObject": model('<dataObject id="do"/><dataObjectReference id="dr" dataObjectRef="do"/>' + between('<task id="x"/>')),
    "dataStoreReference": model('<dataStoreReference id="dr" dataStoreRef="ds"/>' + between('<task id="x"/>')),
    "dataAssociation": model(
        '<dataObject id="do"/><dataObjectReference id="dr" dataObjectRef="do"/>'
        + between(f'<userTask id="x">{IO}<dataInputAssociation><sourceRef>dr</sourceRef><targetRef>i</targetRef></dataInputAssociation>'
                  '<dataOutputAssociation><sourceRef>o</sourceRef><targetRef>dr</targetRef></dataOutputAssociation></userTask>')
    ),
    "textAnnotation": model(between('<task id="x"/>') + '<textAnnotation id="ta"><text>T</text></textAnnotation>'),
    "association": model(between('<task id="x"/>') + '<textAnnotation id="ta"><text>T</text></textAnnotation><association id="as" sourceRef="x" targetRef="ta"/>'),
    "group": model(between('<task id="x"/>') + '<group id="gr" categoryValueRef="v"/>'),
    "documentation": model(between('<task id="x"><documentation>what</documentation></task>')),
}  # fmt: skip


def look(text: str) -> cf.Conformance:
    return cf.of_file(x.parse(text.encode()))


@pytest.mark.parametrize("kind", sorted(cf.TABLE_2_1))
def test_what_table_2_1_names_is_descriptive_and_read(kind):
    text = of_kind(kind)
    graph, findings = read(text.encode(), "m.bpmn")
    assert graph is not None and not [f for f in findings if f.severity == "error"]
    found = look(text).beyond.get(cf.DESCRIPTIVE, [])
    helps = {"messageFlow", "participant"}  # a pool that sends needs a throwing event
    assert not [b for b in found if not (kind in helps and b.element == "x")], found


@pytest.mark.parametrize("kind", sorted(cf.TABLE_2_2))
def test_what_table_2_2_names_is_analytic_beyond_descriptive_and_read(kind):
    text = of_kind(kind)
    graph, findings = read(text.encode(), "m.bpmn")
    assert graph is not None and not [f for f in findings if f.severity == "error"], findings
    assert look(text).within == cf.ANALYTIC


@pytest.mark.parametrize("kind", sorted(cf.TABLE_2_3))
def test_what_table_2_3_names_is_common_executable(kind):
    text = of_kind(kind)
    helps = {"sequenceFlow:conditional": "inclusiveGateway"}
    if kind in helps:
        text = text.replace(helps[kind], "exclusiveGateway")
    if 'task id="x"' in text.lower():
        text = text.replace("<task ", "<userTask ").replace("</task>", "</userTask>")
    assert look(text).beyond.get(cf.EXECUTABLE) is None


ITEM = '<itemDefinition id="it" structureRef="xs:string" isCollection="true"/>'
SUPPORTING = {
    "loop:multi-instance": (
        '<userTask id="x"><multiInstanceLoopCharacteristics isSequential="true">%s<loopDataInputRef>q</loopDataInputRef><inputDataItem id="n"/>'
        "</multiInstanceLoopCharacteristics></userTask>",
        "", "<completionCondition>=a</completionCondition>",
    ),
    "loop:standard": (
        '<userTask id="x"><standardLoopCharacteristics%s><loopCondition>=a</loopCondition></standardLoopCharacteristics></userTask>', "",
        ' testBefore="true"',
    ),
    "timerEventDefinition": (
        "<intermediateCatchEvent id='x'><timerEventDefinition><%s>=a</%s></timerEventDefinition></intermediateCatchEvent>", "timeDate", "timeDuration",
    ),
    "gateway": ('<exclusiveGateway id="x" gatewayDirection="%s"/>', "Diverging", "Mixed"),
    "property": ('<userTask id="x">%s</userTask>', "", '<property id="pr"/>'),
    "resourceRole": ('<userTask id="x"><potentialOwner><resourceRef>r</resourceRef>%s</potentialOwner></userTask>', "", "<resourceParameterBinding/>"),
    "event": ('<intermediateCatchEvent id="x">%s</intermediateCatchEvent>', ENDS["message"], ENDS["signal"]),
    "boundary": ('<userTask id="x"/><boundaryEvent id="b" attachedToRef="x">%s</boundaryEvent>', ENDS["error"], ENDS["timer"]),
    "task": ("<%s id='x'/>", "serviceTask", "scriptTask"),
    "compensation": ('<userTask id="x"%s/>', ' isForCompensation="false"', ' isForCompensation="true"'),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SUPPORTING))
def test_common_executable_has_the_attributes_of_table_2_4_and_no_more(name):
    body, inside, beyond = SUPPORTING[name]
    assert look(model(between(body.replace("%s", inside)), ITEM)).executable
    found = look(model(between(body.replace("%s", beyond)), ITEM))
    assert not found.executable and len(found.beyond[cf.EXECUTABLE]) == 1


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ('<task id="x" isForCompensation="true"/>', "isForCompensation"),
        ('<subProcess id="x" triggeredByEvent="true"/>', "triggeredByEvent"),
        ('<transaction id="x"/>', "transaction"),
        ('<adHocSubProcess id="x"/>', "adHocSubProcess"),
        ('<complexGateway id="x"/>', "complexGateway"),
        ('<scriptTask id="x"/>', "scriptTask"),
        ('<businessRuleTask id="x"/>', "businessRuleTask"),
        ('<manualTask id="x"/>', "manualTask"),
        ('<receiveTask id="x" instantiate="true"/>', "instantiate"),
        ('<eventBasedGateway id="x" instantiate="true"/>', "instantiate"),
        ('<dataObject id="x" isCollection="true"/>', "isCollection"),
        ('<userTask id="u"/><boundaryEvent id="x" attachedToRef="u"><escalationEventDefinition/></boundaryEvent>', "boundary event: escalation"),
        ('<intermediateThrowEvent id="x"><compensateEventDefinition/></intermediateThrowEvent>', "throw event: compensate"),
        (f'<intermediateCatchEvent id="x">{ENDS["message"]}{ENDS["timer"]}</intermediateCatchEvent>', "catch event: message,timer"),
        ('<intermediateCatchEvent id="x"><eventDefinitionRef>cd</eventDefinitionRef></intermediateCatchEvent>', "catch event: compensate"),
        ('<task id="t"/><sequenceFlow id="x" sourceRef="t" targetRef="t"><conditionExpression>=a</conditionExpression></sequenceFlow>', "an activity as its source"),
    ],
)  # fmt: skip
def test_what_is_beyond_analytic_is_told_with_its_element(body, what):
    found = look(model(body, '<compensateEventDefinition id="cd"/>'))
    assert found.within == cf.FULL
    (one,) = found.beyond[cf.ANALYTIC]
    assert one.element == "x" and what in one.what and one.line == 1


def test_choreographies_are_a_class_of_their_own():
    text = (
        f'<definitions {NAMESPACES} id="d" targetNamespace="t"><choreography id="c"><choreographyTask id="x"/></choreography></definitions>'
    )
    found = look(text)
    assert found.within == cf.CHOREOGRAPHY and [b.element for b in found.beyond[cf.FULL]] == ["c", "x"]
    conversation = '<collaboration id="co"><participant id="a"/><conversation id="x"/></collaboration>'
    assert look(f'<definitions {NAMESPACES} id="d" targetNamespace="t">{conversation}</definitions>').within == cf.FULL


@pytest.mark.parametrize(("name", "within"), [("B.1.0", cf.DESCRIPTIVE), ("B.2.0", cf.ANALYTIC)])
def test_the_reference_models_of_the_sub_classes(name, within):
    """The interchange working group made one with every element of Descriptive, one with every element of Analytic."""
    root = x.parse((MIWG / f"{name}.bpmn").read_bytes())
    assert cf.of_file(root).within == within
    wanted = cf.TABLE_2_1 if within == cf.DESCRIPTIVE else cf.TABLE_2_2
    there = {s.kind for s in cf._seen(root)}
    # what the drawing of one leaves out, and the other way round
    assert wanted - there <= {"documentation", "sequenceFlow:conditional", "message", "sequenceFlow:default"}


def test_the_page_has_the_rows_of_the_tables():
    page = (ROOT / "docs" / "conformance.md").read_text()
    parts = re.split(r"^## ", page, flags=re.M)[1:]
    rows = [set(re.findall(r"^\| (\S+) \| ", part, re.M)) - {"Kind"} for part in parts]
    assert rows == [cf.TABLE_2_1, cf.TABLE_2_2, cf.TABLE_2_3, set(cf.TABLE_2_4)]
    for kind, attributes in cf.TABLE_2_4.items():
        assert f"| {kind} | {', '.join(f'`{a}`' for a in sorted(attributes)) or '–'} |" in page


def test_the_command_line_tells_the_class_and_holds_to_one(tmp_path):
    file = tmp_path / "m.bpmn"
    file.write_text(of_kind("boundary:timer"))
    run = CliRunner()
    told = run.invoke(app, ["validate", "--conformance", str(file)])
    assert told.exit_code == 0 and "within the conformance class Analytic (table 2.2)" in told.output
    assert "beyond Descriptive (table 2.1): 'b' (boundary event: timer)" in told.output
    strict = run.invoke(app, ["validate", "--class", "descriptive", str(file)])
    assert strict.exit_code == 1 and "CLASS_EXCEEDED" in strict.output and " b boundary event: timer" in strict.output
    assert run.invoke(app, ["validate", "--class", "analytic", str(file)]).exit_code == 0
    assert run.invoke(app, ["validate", "--class", "none-such", str(file)]).exit_code == 2
