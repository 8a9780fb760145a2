# ruff: noqa: E501 - a row is a model
"""The second mark of findings: what the standard forbids is told, and no valid model is so marked, nor refused."""

import json
import os
from pathlib import Path

import pytest
from notation import NAMESPACES
from typer.testing import CliRunner

from flowledger.infra.cli import watch
from flowledger.infra.cli.main import app
from flowledger.kernel import model
from flowledger.kernel.dmn.standard import STANDARD as OF_DMN
from flowledger.kernel.library import Library
from flowledger.kernel.model import checks
from flowledger.kernel.model.checks.standard import FORBIDDEN, chapter_of
from flowledger.kernel.model.encodings import decode, utf8

ROOT = Path(__file__).resolve().parents[2]
MIWG = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared")) / "bpmn-miwg" / "Reference"
#: reference models of the interchange group that break a rule of the standard: looked at one by one
BROKEN = {
    "C.1.0.bpmn": {"TIMER_EMPTY"},  # executable, and a timer without expression
    "C.7.0.bpmn": {"DATA_COLLECTION_DISAGREES"},
    "C.8.0.bpmn": {"ID_NOT_NCNAME"},  # ids in braces
    "C.8.1.bpmn": {
        "FLOW_NOT_IMMEDIATE",
        "IO_NUMBER",
        "ITEM_DIFFERS",
    },  # executable flows that aren't immediate; inputs beside the operation's
    "C.9.0.bpmn": {"MESSAGE_THROWN_MISSING"},  # executable, and thrown messages without messageRef
}


def read(body: str) -> list[model.Finding]:
    return model.read(f'<definitions {NAMESPACES} id="d" targetNamespace="t">{body}</definitions>'.encode(), "m.bpmn")[1]


def test_valid_models_have_no_mark():
    files = sorted(MIWG.glob("*.bpmn")) if MIWG.is_dir() else []
    for file in [*files, *sorted(ROOT.glob("examples/*.bpmn"))]:
        marked = {f.code for f in model.read(file.read_bytes(), file.name)[1] if f.standard}
        assert marked <= BROKEN.get(file.name, set()), file.name


def test_every_mark_has_a_code_and_a_chapter():
    for code in FORBIDDEN:
        assert chapter_of(code), code
    assert {c for c in FORBIDDEN if c in checks.CODES and "lint" in checks.CODES[c].source} == set()
    assert all(OF_DMN.values())


START = '<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="t"/>'
END = '<sequenceFlow id="g" sourceRef="t" targetRef="e"/><endEvent id="e"/>'


def p(before: str, inside: str) -> str:
    return f'<process id="p" isExecutable="true">{before}{START}{inside}{END}</process>'


#: valid by the schema and the text: each was refused or suspected once, or might be
VALID = {
    "every optional element of a task": p("", '<task id="t"><documentation textFormat="text/html">d</documentation><extensionElements/><auditing/><monitoring/>'
        '<categoryValueRef>cv</categoryValueRef><incoming>f</incoming><outgoing>g</outgoing><property id="pr"/>'
        '<resourceRole id="rr"><resourceRef>res</resourceRef></resourceRole></task>').replace('<startEvent id="s"/>', '<startEvent id="s"><outgoing>f</outgoing></startEvent>')
        .replace('<endEvent id="e"/>', '<endEvent id="e"><incoming>g</incoming></endEvent>')
        + '<category id="c"><categoryValue id="cv" value="v"/></category><resource id="res" name="r"/>',
    "a category of a sub-process": p("", '<subProcess id="t"><categoryValueRef>cv</categoryValueRef><task id="i"/></subProcess>')
        + '<category id="c"><categoryValue id="cv" value="v"/></category>',
    "a service": '<itemDefinition id="I"/><message id="M" itemRef="I"/><interface id="if" name="i"><operation id="O" name="o"><inMessageRef>M</inMessageRef></operation></interface>'
        + p('<supportedInterfaceRef>if</supportedInterfaceRef><ioSpecification><dataInput id="di" itemSubjectRef="I"/><inputSet id="is"><dataInputRefs>di</dataInputRefs>'
        '</inputSet><outputSet id="os"/></ioSpecification><ioBinding operationRef="O" inputDataRef="is" outputDataRef="os"/>', '<task id="t"/>'),
    "conditions behind a parallel gateway": p("", '<parallelGateway id="t"/><task id="a"/><sequenceFlow id="h" sourceRef="t" targetRef="a">'
        '<conditionExpression xsi:type="tFormalExpression">= x</conditionExpression></sequenceFlow><sequenceFlow id="i" sourceRef="a" targetRef="e"/>'),
    "links joined by source and target": p("", '<intermediateThrowEvent id="t"><linkEventDefinition id="l1" name="one"><target>l2</target></linkEventDefinition>'
        '</intermediateThrowEvent><intermediateCatchEvent id="k"><linkEventDefinition id="l2" name="two"><source>l1</source></linkEventDefinition></intermediateCatchEvent>')
        .replace('sourceRef="t" targetRef="e"', 'sourceRef="k" targetRef="e"'),
    "data in a lane": p('<laneSet id="ls"><lane id="l"><flowNodeRef>s</flowNodeRef><flowNodeRef>t</flowNodeRef><flowNodeRef>e</flowNodeRef><flowNodeRef>dr</flowNodeRef>'
        "</lane></laneSet>", '<task id="t"/><dataObject id="do"/><dataObjectReference id="dr" dataObjectRef="do"/>'),
    "no ids": '<process id="p" isExecutable="true"><startEvent/><dataObject id="o"/></process>'.replace("<startEvent/>", '<startEvent id="s"/>')
        .replace("</process>", '<sequenceFlow sourceRef="s" targetRef="e"/><endEvent id="e"/><textAnnotation><text>x</text></textAnnotation></process>'),
    "another process that isn't executable": p("", '<task id="t"/>') + '<process id="q"><startEvent id="qs"><errorEventDefinition/></startEvent>'
        '<sequenceFlow id="qf" sourceRef="qs" targetRef="qe"/><endEvent id="qe"/></process>',
    "imported references": '<import namespace="urn:o" location="o.bpmn" importType="http://www.omg.org/spec/BPMN/20100524/MODEL"/>'
        + (p("", '<intermediateCatchEvent id="t"><signalEventDefinition signalRef="o:S"/></intermediateCatchEvent>')).replace("<process ", '<process xmlns:o="urn:o" '),
    "a choreography": '<choreography id="c"><participant id="X"/><participant id="Y"/><messageFlow id="m" sourceRef="X" targetRef="Y"/>' + START
        + '<choreographyTask id="t" initiatingParticipantRef="X"><participantRef>X</participantRef><participantRef>Y</participantRef><messageFlowRef>m</messageFlowRef>'
        "</choreographyTask>" + END + "</choreography>",
    "a conversation": '<collaboration id="c"><participant id="X"/><participant id="Y"/><conversation id="n"><participantRef>X</participantRef>'
        '<participantRef>Y</participantRef></conversation><conversationLink id="l" sourceRef="X" targetRef="n"/></collaboration>',
    "a call into another file": p("", '<callActivity id="t" calledElement="elsewhere"/>'),
    "relations and partners": p("", '<task id="t"/>') + '<relationship id="r" type="x" direction="Forward"><source>s</source><target>t</target></relationship>'
        '<partnerRole id="pr" name="r"/><endPoint id="ep"/>',
}  # fmt: skip


@pytest.mark.req("D-MOD-004")
@pytest.mark.parametrize("body", VALID.values(), ids=VALID)
def test_valid_models_are_neither_refused_nor_marked(body):
    allowed = {"START_EVENT_KIND"}  # of the process that isn't executable, whose start event no process has
    found = read(body)
    assert [f.message for f in found if f.severity == "error"] == []
    assert [(f.code, f.message) for f in found if f.standard and f.code not in allowed] == []


CONDITIONS = [
    ('= "yes"', True), ("= 23", True), ("= 1 + 2", True), ("= count(x)", True), ('= "a" + b', True), ("= [1, 2]", True), ("= {a: 1}", True), ("= if a then 1 else 2", True),
    ("= string(a)", True), ("= [1..2]", True), ("= function(x) x", True), ("= -x", True), ("= for i in x return i", True),
    ("= a", False), ("= a.b", False), ("= a = 1", False), ("= not(a)", False), ("= [a]", False), ("= null", False), ("= a[1]", False), ("= if a then b else 2", False),
    ("= contains(a, b)", False), ("= min(a)", False), ("= f(x)", False), ("= a in [1..2]", False), ("= some i in a satisfies i", False), ("= true", False),
]  # fmt: skip


def test_conditions_that_can_only_be_something_else():
    for text, wrong in CONDITIONS:
        flow = (
            '<task id="a"/><sequenceFlow id="h" sourceRef="t" targetRef="a"><conditionExpression xsi:type="tFormalExpression">'
            f"{text}</conditionExpression></sequenceFlow>"
        )
        loop = f'<task id="t"><standardLoopCharacteristics><loopCondition xsi:type="tFormalExpression">{text}</loopCondition></standardLoopCharacteristics></task>'
        for body in (p("", '<exclusiveGateway id="t" default="g"/>' + flow), p("", loop)):
            found = [f for f in read(body) if f.code == "CONDITION_NOT_BOOLEAN"]
            assert bool(found) is wrong, text
            assert all(f.severity == "error" and f.standard and f.chapter for f in found)


def test_the_command_line_tells_them(tmp_path):
    file = tmp_path / "m.bpmn"
    body = p("", '<task id="t" colour="red"/>')
    file.write_text(f'<definitions {NAMESPACES} id="d" targetNamespace="t">{body}</definitions>')
    run = CliRunner()
    assert run.invoke(app, ["validate", str(file)]).exit_code == 0
    strict = run.invoke(app, ["validate", "--conformance", str(file)])
    assert strict.exit_code == 1 and "1 finding that the standard forbids" in strict.output and "BPMN20.xsd" in strict.output
    found = json.loads(run.invoke(app, ["validate", "--json", str(file)]).stdout)
    assert {(f["code"], f["standard"], f["chapter"]) for f in found if f["standard"]} == {("SCHEMA_ATTRIBUTE_UNKNOWN", True, "BPMN20.xsd")}
    file.write_text(file.read_text().replace(' colour="red"', ""))
    assert run.invoke(app, ["validate", "--conformance", str(file)]).exit_code == 0


TEXT = (
    '<?xml version="1.0"{}?><definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">'
    '<process id="p" name="Prüfung §" isExecutable="true"><startEvent id="s"/></process></definitions>'
)
ENCODINGS = [
    ("utf-8", ""), ("utf-8", "UTF-8"), ("utf-8-sig", ""), ("utf-8-sig", "UTF-8"), ("iso-8859-1", "ISO-8859-1"), ("cp1252", "windows-1252"), ("iso-8859-15", "ISO-8859-15"),
    ("utf-16", ""), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("utf-8", "UTF-16"),
    ("utf-32", "UTF-32"), ("utf-32", ""), ("utf-32-le", "UTF-32"), ("utf-32-be", "UTF-32BE"), ("cp037", "IBM037"), ("cp500", "IBM500"), ("gb18030", "GB18030"),
]  # fmt: skip


@pytest.mark.parametrize(("encoding", "declared"), ENCODINGS)
def test_files_are_read_by_their_encoding(encoding, declared):
    data = TEXT.format(f' encoding="{declared}"' if declared else "").encode(encoding)
    text = decode(data)
    for content in (text, TEXT.format(' encoding="' + (declared or "UTF-8") + '"')):  # JSON text is Unicode already, whatever it declares
        graph, findings = Library().read("m.bpmn", content)
        assert graph is not None, findings
        assert graph.processes["p"].name == "Prüfung §"
    if (encoding, declared) != ("utf-8", "UTF-16"):
        graph, _ = model.read(data, "m.bpmn")
        assert graph is not None and graph.processes["p"].name == "Prüfung §"


@pytest.mark.parametrize(("version", "read"), [("1.0", True), ("1.1", True), ("1.7", True), ("2.0", False), ("x", False)])
def test_other_versions_of_xml_1_are_read_as_1_0(version, read):
    """XML 1.0, fifth edition, 2.8."""
    graph, findings = model.read(TEXT.format("").replace('version="1.0"', f'version="{version}"').encode(), "m.bpmn")
    assert (graph is not None) is read and (read or findings[0].code == "XML_NOT_WELL_FORMED")


def test_encodings_that_only_python_knows_are_unknown():
    for name in ("unicode_escape", "raw_unicode_escape", "idna", "punycode", "undefined", "UTF-7", "rot13", "base64", "zlib"):
        with pytest.raises(ValueError, match=f"{name} is unknown"):
            decode(TEXT.format(f' encoding="{name}"').encode("ascii", "ignore"))


def test_what_is_no_text_says_so():
    for data, words in ((b"<a>\xfc</a>", "UTF-8: byte 3"), (b'<?xml version="1.0" encoding="nope"?><a/>', "nope is unknown")):
        with pytest.raises(ValueError, match=words):
            decode(data)
    assert utf8('<?xml version="1.0" encoding="UTF-8"?><a/>') == b'<?xml version="1.0" encoding="UTF-8"?><a/>'
    assert utf8('<?xml version="1.0" encoding="GBK" standalone="yes"?><a/>') == b'<?xml version="1.0" standalone="yes"?><a/>'


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ('xmlns:x="http://a/Initial Import/Process"', True),
        ('xmlns:x="urn:%ZZ"', True),
        ('xmlns:x="über uns"', True),
        ('xmlns:x=""', False),
        ('y:z="1"', False),
        ('id="a" id="b"', False),
    ],
)
def test_the_name_of_a_namespace_need_be_no_uri(text, fine):
    graph, findings = model.read(TEXT.format("").replace("<definitions ", f"<definitions {text} ").encode(), "m.bpmn")
    assert (graph is not None) is fine
    assert fine or (findings[0].code, findings[0].standard) == ("XML_NOT_WELL_FORMED", True)


@pytest.mark.parametrize(
    ("text", "whole"),
    [("", False), ("<a", False), ("<a>", False), ("<a/>", True), ('<a xmlns:q="no uri"/>', True), ('<?xml version="1.1"?><a/>', True), ("<!DOCTYPE a><a/>", True), ("<a b=c>\n</a>", True)],
)  # fmt: skip
def test_a_file_that_is_being_saved_is_waited_for_and_no_other(text, whole):
    for data in (text.encode(), text.encode("utf-16")):
        assert watch._whole(Path("m.bpmn"), data if text else b"") is whole
