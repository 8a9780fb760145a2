# ruff: noqa: E501 - a row is a model
"""Values of attributes as XML Schema's types write them (part 2, 3.3 and 4.3.6): each spelling of a value means the same, what is none is a finding."""

import pytest
from notation import NAMESPACES

from flowledger.kernel import model
from flowledger.sdk.testing import Engine

SIGNAL = '<signal id="S" name="S"/>'
TIMER = '<startEvent id="s2" {}><signalEventDefinition signalRef="S"/></startEvent><userTask id="u"/><endEvent id="e2"/><sequenceFlow id="h" sourceRef="s2" targetRef="u"/><sequenceFlow id="i" sourceRef="u" targetRef="e2"/>'
BOUNDARY = '<userTask id="t"/><boundaryEvent id="b" attachedToRef="t" {}><signalEventDefinition signalRef="S"/></boundaryEvent><userTask id="u"/><sequenceFlow id="h" sourceRef="b" targetRef="u"/>'
LOOP = '<userTask id="t"><multiInstanceLoopCharacteristics {}><loopCardinality xsi:type="tFormalExpression">2</loopCardinality></multiInstanceLoopCharacteristics></userTask>'
STANDARD = '<userTask id="t"><standardLoopCharacteristics {}><loopCondition xsi:type="tFormalExpression">= false</loopCondition></standardLoopCharacteristics></userTask>'
EVENT_SUB = '<userTask id="t"/><subProcess id="es" {}>' + TIMER + "</subProcess>"


def file(body: str) -> bytes:
    inside = f'<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="t"/>{body}<sequenceFlow id="g" sourceRef="t" targetRef="e"/><endEvent id="e"/>'
    return f'<definitions {NAMESPACES} id="d" targetNamespace="t">{SIGNAL}<process id="p" isExecutable="true">{inside}</process></definitions>'.encode()


def stands(body: str) -> list[str]:
    """Where the instance stands once a signal has come."""
    engine = Engine()
    engine.deploy({"m.bpmn": file(body)})
    instance = engine.start("p")
    engine.signal("S")
    return sorted(instance.active)


#: a model with a place for an attribute, the attribute, where tokens stand when it is true and when it is false
BOOLEANS = [
    (BOUNDARY, 'cancelActivity="{}"', ["u"], ["t", "u"]),
    (EVENT_SUB.replace("{}", 'triggeredByEvent="true"', 1), 'isInterrupting="{}"', ["es", "u"], ["es", "t", "u"]),
    (EVENT_SUB.replace("{}", "{} ", 1).replace("<startEvent id=\"s2\" {}", '<startEvent id="s2" isInterrupting="false"'), 'triggeredByEvent="{}"', ["es", "t", "u"], None),
    (LOOP, 'isSequential="{}"', ["t", "t"], ["t", "t", "t"]),
    (STANDARD, 'testBefore="{}"', [], ["t", "t"]),
]  # fmt: skip


@pytest.mark.req("D-MOD-004")
@pytest.mark.parametrize(("body", "attribute", "yes", "no"), BOOLEANS, ids=[row[1][:14] for row in BOOLEANS])
def test_yes_and_no_have_two_words_each(body, attribute, yes, no):
    for words, there in ((("true", "1", " true ", "&#9;1&#10;"), yes), (("false", "0", " false", "0 "), no)):
        for word in words if there is not None else ():
            assert stands(body.format(attribute.format(word))) == there, word


@pytest.mark.parametrize("word", ["1", "true ", "\t1"])
def test_what_is_executable_says_so_in_any_spelling(word):
    data = file('<task id="t"/>').replace(b'isExecutable="true"', f'isExecutable="{word}"'.encode())
    graph, findings = model.read(data, "m.bpmn")
    assert graph is not None and graph.processes["p"].executable and not [f for f in findings if f.standard]


def test_names_and_references_have_no_white_space_around_them():
    data = (
        file('<task id="t"/>')
        .replace(b'sourceRef="s"', b'sourceRef=" s "')
        .replace(b'targetRef="e"', b'targetRef="e&#10;"')
        .replace(b'id="t"', b'id="t "')
    )
    _, findings = model.read(data, "m.bpmn")
    assert [f.message for f in findings if f.severity == "error" or f.standard] == []


#: a model, and the codes that tell a number which is none
NUMBERS = [
    ('<task id="t" startQuantity="{}"/>', {"QUANTITY_INVALID"}),
    ('<task id="t" completionQuantity="{}"/>', {"QUANTITY_INVALID"}),
    ('<task id="t"/></process><collaboration id="c"><participant id="a"><participantMultiplicity minimum="1" maximum="{}"/></participant></collaboration><process id="q" isExecutable="false">', {"PARTICIPANT_MULTIPLICITY"}),
    ('<task id="t"/></process><dataStore id="ds" name="d" capacity="{}"/><process id="q" isExecutable="false">', {"DATA_STORE_CAPACITY", "SCHEMA_VALUE"}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "codes"), NUMBERS, ids=["start", "completion", "multiplicity", "capacity"])
def test_whole_numbers(body, codes):
    every = {"QUANTITY_INVALID", "PARTICIPANT_MULTIPLICITY", "DATA_STORE_CAPACITY", "SCHEMA_VALUE"}
    for number in ("2", "+2", "002", " 2 ", "0" * 40 + "2"):
        assert not {f.code for f in model.read(file(body.format(number)), "m.bpmn")[1]} & every, number
    for number in ("²", "1_0", "1e3", "-1", "two", "", "9" * 5_000, "2.0", "0x2", "٣"):
        found = {f.code for f in model.read(file(body.format(number)), "m.bpmn")[1]} & every
        assert found and found <= codes | {"SCHEMA_VALUE"}, number


def test_an_instance_that_begins_with_an_event_needs_no_start_event():
    """Either an event-based gateway that starts instances or a receive task; a parallel one has all of its events, so that a parallel join fits."""
    message = '<message id="M{0}" name="M{0}"/>'
    catch = '<intermediateCatchEvent id="{0}"><messageEventDefinition messageRef="M{0}"/></intermediateCatchEvent><sequenceFlow id="g{0}" sourceRef="g" targetRef="{0}"/><sequenceFlow id="j{0}" sourceRef="{0}" targetRef="j"/>'
    for kind, join, suspected in (
        ("Parallel", "parallelGateway", False),
        ("Exclusive", "exclusiveGateway", False),
        ("Exclusive", "parallelGateway", True),
    ):
        inside = f'<eventBasedGateway id="g" instantiate="1" eventGatewayType="{kind}"/>{catch.format("a")}{catch.format("b")}<{join} id="j"/><sequenceFlow id="e1" sourceRef="j" targetRef="e"/><endEvent id="e"/>'
        data = f'<definitions {NAMESPACES} id="d" targetNamespace="t">{message.format("a")}{message.format("b")}<process id="p" isExecutable="true">{inside}</process></definitions>'
        _, findings = model.read(data.encode(), "m.bpmn")
        assert not [f for f in findings if f.severity == "error" or f.standard], findings
        assert ("DEADLOCK" in {f.code for f in findings}) is suspected
