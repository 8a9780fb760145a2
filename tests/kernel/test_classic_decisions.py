"""What business rule tasks of Camunda 7 and decision tasks of Flowable keep of a result, by hit policy and shape; and other words of theirs that run."""

import json

import pytest
from notation import bpmn
from scenario import Scenario

from flowledger.kernel import model
from flowledger.kernel.model.dialects import to_zeebe
from flowledger.kernel.model.xml import parse
from flowledger.sdk.testing import Engine

HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn" '
    'xmlns:flowable="http://flowable.org/bpmn" targetNamespace="t"><process id="p" isExecutable="true"><startEvent id="s"{start}/>{task}<endEvent id="e"/>'
    '<sequenceFlow id="f" sourceRef="s" targetRef="t"/><sequenceFlow id="g" sourceRef="t" targetRef="e"/></process></definitions>'
)
DMN = (
    '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="m" name="m" namespace="n"><decision id="d" name="D">'
    '<variable name="D" typeRef="string"/>{}</decision></definitions>'
)


def table(policy, outputs, rules):
    """`rules`: (test of x, its outputs)."""
    clauses = "".join(f'<output id="o{n}" name="{name}"/>' for n, name in enumerate(outputs))
    rows = "".join(
        f'<rule id="r{n}"><inputEntry><text>{test}</text></inputEntry>'
        + "".join(f"<outputEntry><text>{value}</text></outputEntry>" for value in values)
        + "</rule>"
        for n, (test, values) in enumerate(rules)
    )
    return DMN.format(
        f'<decisionTable {policy}><input id="i"><inputExpression><text>x</text></inputExpression></input>{clauses}{rows}</decisionTable>'
    )


LITERAL = DMN.format('<literalExpression><text>if x = null then null else "v" + string(x)</text></literalExpression>')
ONE = table('hitPolicy="UNIQUE"', ["a"], [("1", ["10"]), ("2", ["null"])])
TWO = table('hitPolicy="FIRST"', ["a", "b"], [("1", ["10", "20"]), ("&gt; 0", ["11", "21"])])
MANY = table('hitPolicy="COLLECT"', ["a"], [("&gt;= 1", ["10"]), ("&gt;= 2", ["20"])])
PAIRS = table('hitPolicy="RULE ORDER"', ["a", "b"], [("&gt;= 1", ["10", "1"]), ("&gt;= 2", ["20", "2"])])
SUM = table('hitPolicy="COLLECT" aggregation="SUM"', ["a"], [("&gt;= 1", ["10"]), ("&gt;= 2", ["20"])])
COUNT = table('hitPolicy="COLLECT" aggregation="COUNT"', ["a"], [("&gt;= 1", ["10"]), ("&gt;= 2", ["20"])])
TWICE = table('hitPolicy="UNIQUE"', ["a"], [("1", ["10"]), ("&gt; 0", ["20"])])
FAILS = object()
#: decision, x, then what is kept as singleEntry, singleResult, collectEntries, resultList
KEPT = [
    (ONE, 1, 10, {"a": 10}, [10], [{"a": 10}]),
    (ONE, 2, None, {"a": None}, [None], [{"a": None}]),
    (ONE, 3, None, None, [], []),
    (TWO, 1, FAILS, {"a": 10, "b": 20}, FAILS, [{"a": 10, "b": 20}]),
    (TWO, 2, FAILS, {"a": 11, "b": 21}, FAILS, [{"a": 11, "b": 21}]),
    (TWO, 0, None, None, [], []),
    (MANY, 0, None, None, [], []),
    (MANY, 1, 10, {"a": 10}, [10], [{"a": 10}]),
    (MANY, 2, FAILS, FAILS, [10, 20], [{"a": 10}, {"a": 20}]),
    (PAIRS, 1, FAILS, {"a": 10, "b": 1}, FAILS, [{"a": 10, "b": 1}]),
    (PAIRS, 2, FAILS, FAILS, FAILS, [{"a": 10, "b": 1}, {"a": 20, "b": 2}]),
    (SUM, 2, 30, {"a": 30}, [30], [{"a": 30}]),
    (SUM, 0, None, {"a": None}, [None], [{"a": None}]),
    (COUNT, 2, 2, {"a": 2}, [2], [{"a": 2}]),
    (COUNT, 0, 0, {"a": 0}, [0], [{"a": 0}]),
    (LITERAL, 1, "v1", {"D": "v1"}, ["v1"], [{"D": "v1"}]),
    (LITERAL, None, None, {"D": None}, [None], [{"D": None}]),
    (TWICE, 1, FAILS, FAILS, FAILS, FAILS),
]
SHAPES = ("singleEntry", "singleResult", "collectEntries", "resultList")


def converted(text):
    from lxml import etree

    return etree.tostring(to_zeebe.convert(parse(text.encode()))).decode()


def run(task, dmn="", start="", convert=False, **variables):
    text = HEAD.format(task=task, start=start)
    engine = Engine()
    if dmn:
        engine.deploy({"d.dmn": dmn})
    engine.deploy({"p.bpmn": converted(text) if convert else text})
    return engine.start("p", variables)


@pytest.mark.parametrize("convert", [False, True], ids=["as it is", "converted"])
@pytest.mark.parametrize("row", range(len(KEPT)))
def test_a_result_is_kept_in_the_shape_that_is_asked_for(row, convert):
    dmn, given, *kept = KEPT[row]
    for shape, wanted in zip(SHAPES, kept, strict=True):
        task = f'<businessRuleTask id="t" camunda:decisionRef="d" camunda:resultVariable="r" camunda:mapDecisionResult="{shape}"/>'
        instance = run(task, dmn, convert=convert, x=given)
        if wanted is FAILS:
            assert instance.status == "running" and "r" not in instance.variables and len(instance.incidents) == 1
        else:
            assert json.loads(json.dumps(instance.variables["r"], default=float)) == wanted, shape


@pytest.mark.parametrize("convert", [False, True], ids=["as it is", "converted"])
@pytest.mark.parametrize(
    ("words", "inside", "wanted"),
    [
        ('camunda:resultVariable="r"', "", {"x": 2, "r": [{"a": 10}, {"a": 20}]}),
        ("", "", {"x": 2}),
        ("", '<camunda:outputParameter name="n">${decisionResult.size()}</camunda:outputParameter>', {"x": 2, "n": 2}),
        ("", '<camunda:outputParameter name="n">${decisionResult[1].a}</camunda:outputParameter>', {"x": 2, "n": 20}),
        ("", '<camunda:outputParameter name="n">${decisionResult.collectEntries("a")}</camunda:outputParameter>', {"x": 2, "n": [10, 20]}),
        (
            "",
            '<camunda:outputParameter name="n">${decisionResult.getFirstResult().getEntry("a")}</camunda:outputParameter>',
            {"x": 2, "n": 10},
        ),
        (
            'camunda:resultVariable="r" camunda:mapDecisionResult="collectEntries"',
            '<camunda:outputParameter name="n">${r[0]}</camunda:outputParameter>',
            {"x": 2, "r": [10, 20], "n": 10},
        ),
    ],
)
def test_without_a_shape_all_rows_are_kept_and_mappings_see_them(words, inside, wanted, convert):
    holder = f"<extensionElements><camunda:inputOutput>{inside}</camunda:inputOutput></extensionElements>" if inside else ""
    instance = run(f'<businessRuleTask id="t" camunda:decisionRef="d" {words}>{holder}</businessRuleTask>', MANY, convert=convert, x=2)
    assert instance.status == "completed" and instance.variables == wanted


def test_one_entry_is_asked_of_the_result_by_its_methods():
    inside = '<camunda:outputParameter name="n">${decisionResult.getSingleResult().getSingleEntry()}</camunda:outputParameter>'
    inside += '<camunda:outputParameter name="m">${decisionResult.getSingleEntry() + 1}</camunda:outputParameter>'
    holder = f"<extensionElements><camunda:inputOutput>{inside}</camunda:inputOutput></extensionElements>"
    task = f'<businessRuleTask id="t" camunda:decisionRef="d">{holder}</businessRuleTask>'
    assert run(task, ONE, x=1).variables == {"x": 1, "n": 10, "m": 11}
    assert run(task, MANY, x=2).status == "running"  # two rows are an incident


def test_a_shape_that_there_is_not_is_refused():
    text = HEAD.format(task='<businessRuleTask id="t" camunda:decisionRef="d" camunda:mapDecisionResult="first"/>', start="")
    assert "DECISION_RESULT_SHAPE" in [f.code for f in model.read(text.encode(), "m.bpmn")[1] if f.severity == "error"]


@pytest.mark.parametrize(
    ("dmn", "x", "fields", "wanted"),
    [
        (TWO, 1, "", {"x": 1, "a": 10, "b": 20}),
        (ONE, 1, "", {"x": 1, "a": 10}),
        (ONE, 3, "", {"x": 3}),
        (ONE, 3, '<flowable:field name="decisionTaskThrowErrorOnNoHits"><flowable:string>true</flowable:string></flowable:field>', None),
        (MANY, 2, "", {"x": 2, "d": [{"a": 10}, {"a": 20}]}),
        (MANY, 1, "", {"x": 1, "d": [{"a": 10}]}),
        (SUM, 2, "", {"x": 2, "a": 30}),
    ],
)
def test_a_decision_task_of_flowable_keeps_outputs_by_their_names(dmn, x, fields, wanted):
    key = '<flowable:field name="decisionTableReferenceKey"><flowable:string><![CDATA[d]]></flowable:string></flowable:field>'
    task = f'<serviceTask id="t" flowable:type="dmn"><extensionElements>{key}{fields}</extensionElements></serviceTask>'
    assert not [f for f in model.read(HEAD.format(task=task, start="").encode(), "m.bpmn")[1] if f.code.startswith("CLASSIC_")]
    instance = run(task, dmn, x=x)
    assert (instance.status, instance.variables) == (("completed", wanted) if wanted is not None else ("running", {"x": x}))


LOOP = (
    '<scriptTask id="t" scriptFormat="juel"><extensionElements><camunda:inputOutput><camunda:inputParameter name="at">${%s}</camunda:inputParameter>'
    '</camunda:inputOutput></extensionElements><multiInstanceLoopCharacteristics isSequential="true" camunda:collection="${items}" '
    'camunda:elementVariable="item"%s/><script>${at}</script></scriptTask>'
)


@pytest.mark.parametrize("convert", [False, True], ids=["as it is", "converted"])
@pytest.mark.parametrize(("name", "word"), [("loopCounter", ""), ("i", ' flowable:elementIndexVariable="i"')])
def test_runs_of_a_loop_count_from_0(name, word, convert):
    loop = LOOP % (name, word)
    instance = run(
        loop.replace('scriptFormat="juel"', 'scriptFormat="juel" camunda:resultVariable="r"'), convert=convert, items=["a", "b", "c"]
    )
    assert instance.status == "completed" and instance.variables["r"] == 2


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ('camunda:expression="${x * 2}" camunda:resultVariable="r"', {"x": 3, "r": 6}),
        ('flowable:expression="#{x > 2 ? &quot;much&quot; : &quot;little&quot;}" flowable:resultVariableName="r"', {"x": 3, "r": "much"}),
        ('camunda:expression="${x}"', {"x": 3}),
    ],
)
def test_an_expression_that_asks_nothing_of_java_is_evaluated(words, wanted):
    task = f'<serviceTask id="t" {words}/>'
    assert not [f for f in model.read(HEAD.format(task=task, start="").encode(), "m.bpmn")[1] if f.code.startswith("CLASSIC_")]
    instance = run(task, x=3)
    assert (instance.status, instance.variables) == ("completed", wanted)


@pytest.mark.parametrize(
    "words", ['camunda:expression="${bean.send(x)}"', 'camunda:expression="${bean.send(x)}" camunda:resultVariable="r"']
)
def test_an_expression_that_calls_java_is_a_job_and_told(words):
    task = f'<serviceTask id="t" {words}/>'
    assert "CLASSIC_DELEGATE" in [f.code for f in model.read(HEAD.format(task=task, start="").encode(), "m.bpmn")[1]]
    assert run(task, x=3).active == ["t"]


def test_who_started_the_instance_is_kept():
    instance = run('<userTask id="t" camunda:assignee="${starter}"/>', start=' camunda:initiator="starter"')
    assert instance.variables == {"starter": None} and instance.active == ["t"]


@pytest.mark.parametrize("events", ["", ' camunda:variableEvents="create, update"'])
def test_a_condition_is_looked_at_when_its_variable_changes(events):
    text = (
        "startEvent s\nparallelGateway g\nuserTask w\nintermediateCatchEvent c\n"
        f'.<conditionalEventDefinition camunda:variableName="b"{events}><condition>${{a == 1}}</condition></conditionalEventDefinition>\n'
        "userTask u\nendEvent e\ns > g\ng > w > e\ng > c > u"
    )
    s = Scenario(text).start("p", a=0, b=0)
    s.move("set a=1")
    assert "u" not in s.words[-1:]
    graph, findings = model.read(bpmn(text).encode(), "m.bpmn")
    assert graph is not None and graph.processes["p"].nodes["c"].event.reads == {"b"}
    assert not [f for f in findings if f.code.startswith("CLASSIC_")]
