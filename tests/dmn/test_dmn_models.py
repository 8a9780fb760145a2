"""Reading models, the requirement graph, types, imports, services and knowledge models."""

from decimal import Decimal

import pytest

from flowledger.kernel import dmn
from flowledger.kernel.dmn.reader import NAMESPACES, parse

D = Decimal
SPACE = "https://www.omg.org/spec/DMN/20230324/MODEL/"


def model(body, namespace="urn:m", space=SPACE, attributes=""):
    return f'<definitions xmlns="{space}" name="m" namespace="{namespace}" {attributes}>{body}</definitions>'


def decision(name, logic, needs=(), type_=""):
    """`needs` are hrefs: `in:#i` for an input, `de:#d` for a decision, `kn:#k` for knowledge."""
    kinds = {
        "in": ("informationRequirement", "requiredInput"),
        "de": ("informationRequirement", "requiredDecision"),
        "kn": ("knowledgeRequirement", "requiredKnowledge"),
    }
    refs = "".join(f'<{kinds[n[:2]][0]}><{kinds[n[:2]][1]} href="{n[3:]}"/></{kinds[n[:2]][0]}>' for n in needs)
    logic = logic if logic.startswith("<") else f"<literalExpression><text>{logic}</text></literalExpression>"
    ref = f'typeRef="{type_}"' if type_ else ""
    return f'<decision id="{name.replace(" ", "_")}" name="{name}"><variable name="{name}" {ref}/>{refs}{logic}</decision>'


def data(name, type_="Any"):
    return f'<inputData id="{name}" name="{name}"><variable name="{name}" typeRef="{type_}"/></inputData>'


def value(body, name="d", inputs=None, **more):
    return dmn.evaluate(model(body), name, inputs or {}, **more)


@pytest.mark.parametrize(("space", "version"), [(s, v) for s, v in NAMESPACES.items()])
def test_every_version_is_read(space, version):
    xml = model(data("x", "number") + decision("d", "x + 1", ["in:#x"]), space=space)
    assert parse(xml).version == version
    assert dmn.evaluate(xml, "d", {"x": 1}) == D(2)


def test_dmn_1_1_types_with_a_prefix():
    body = data("x", "feel:number") + decision("d", "x + 1", ["in:#x"], "feel:number")
    xml = model(body, space="http://www.omg.org/spec/DMN/20151101/dmn.xsd", attributes='xmlns:feel="http://www.omg.org/spec/FEEL/20140401"')
    assert dmn.evaluate(xml, "d", {"x": 1}) == D(2)
    assert dmn.evaluate(xml, "d", {"x": "text"}) is None


@pytest.mark.parametrize(
    ("xml", "part"),
    [
        (b"", "well-formed"),
        (b"<a/>", "definitions"),
        (b"<definitions", "well-formed"),
        (b"\xff\xfe\x00", "well-formed"),
        (f'<!DOCTYPE x><definitions xmlns="{SPACE}"/>'.encode(), "DOCTYPE"),
        (f'<!DOCTYPE x [<!ENTITY e "1">]><definitions xmlns="{SPACE}" name="&e;"/>'.encode(), "DOCTYPE"),
    ],
)
def test_what_cannot_be_read_raises(xml, part):
    with pytest.raises(dmn.DmnError, match=part):
        dmn.read(xml)


def test_too_deep_and_too_large_are_refused(monkeypatch):
    from flowledger.kernel.dmn import reader

    deep = "<list>" * 100 + "</list>" * 100
    with pytest.raises(dmn.DmnError, match="nested"):
        dmn.read(model(decision("d", deep)))
    monkeypatch.setattr(reader, "MODEL_BYTES_MAX", 100)
    with pytest.raises(dmn.DmnError, match="bytes"):
        dmn.read(model(decision("d", "1" * 200)))


def test_an_unknown_name_raises():
    with pytest.raises(dmn.DmnError, match="no decision nothing"):
        value(decision("d", "1"), "nothing")


def test_by_name_and_by_id():
    body = decision("two words", "2")
    assert value(body, "two words") == value(body, "two_words") == D(2)


def test_a_decision_sees_only_what_it_requires():
    body = data("x", "number") + decision("a", "x", ["in:#x"]) + decision("d", "a", [])
    assert value(body, "d", {"x": 1}) is None


def test_each_decision_is_evaluated_once_and_given_values_take_its_place():
    body = (
        data("x", "number")
        + decision("a", "x * 2", ["in:#x"])
        + decision("b", "a + 1", ["de:#a"])
        + decision("d", "a + b", ["de:#a", "de:#b"])
    )
    m = dmn.read(model(body))
    evaluation = m.evaluate("d", {"x": 5})
    assert evaluation.value == D(21)
    assert [r["name"] for r in evaluation.trace] == ["a", "b", "d"]
    assert m.evaluate("d", {"a": 1}).value == D(3)
    assert m.evaluate("d", {"x": 5, "a": 1}, replace_decisions=False).value == D(21)
    assert m.evaluate("d", {"a": 1, "d": 99}).value == D(3), "the decision that is asked for is always evaluated"


def test_a_circle_is_null_with_a_warning():
    m = dmn.read(model(decision("a", "d", ["de:#d"]) + decision("d", "a", ["de:#a"])))
    evaluation = m.evaluate("d")
    assert evaluation.value is None and "CIRCULAR" in {w.code for w in evaluation.warnings}


def test_a_missing_input_is_null_with_a_warning():
    evaluation = dmn.read(model(data("x", "number") + decision("d", "x = null", ["in:#x"]))).evaluate("d")
    assert evaluation.value is True
    assert [w.code for w in evaluation.warnings] == ["INPUT_MISSING"]


@pytest.mark.parametrize(
    ("type_", "given", "feel", "result"),
    [
        ("number", 5, "x + 1", D(6)),
        ("number", 1.1, "x", D("1.1")),
        ("number", "5", "x", None),
        ("string", ["a"], "x", "a"),
        ("string", ["a", "b"], "x", None),
        ("date", "2024-02-29", "x.year", D(2024)),
        ("date", "no date", "x", None),
        ("date and time", "2024-02-29T10:00:00Z", "x.hour", D(10)),
        ("time", "10:30:00", "x.minute", D(30)),
        ("days and time duration", "P1DT2H", "x.hours", D(2)),
        ("years and months duration", "P1Y2M", "x.months", D(2)),
        ("boolean", True, "not(x)", False),
        ("boolean", 1, "x", None),
        ("Any", {"a": [1, {"b": 2}]}, "x.a[2].b", D(2)),
        ("tGrade", "A", "x", "A"),
        ("tGrade", "Z", "x", None),
        ("tGrades", ["A", "B"], "count(x)", D(2)),
        ("tGrades", "A", "count(x)", D(1)),
        ("tGrades", ["A", "Z"], "x", None),
        ("tPair", ["A", "B"], "x[2]", "B"),
        ("tPair", ["A"], "x", None),
        ("tSmall", 5, "x", D(5)),
        ("tSmall", 11, "x", None),
        ("tPerson", {"name": "Ann", "born": "2000-01-01", "marks": ["A"]}, "x.born.year", D(2000)),
        ("tPerson", {"name": "Ann"}, "x.marks = null", True),
        ("tPerson", {"name": 5}, "x", None),
        ("tPerson", {"name": "Ann", "address": {"zip code": "1"}}, "x.address.zip code", "1"),
        ("tPeople", [{"name": "A"}, {"name": "B"}], "x[2].name", "B"),
        ("unknown", 5, "x", D(5)),
    ],
)
def test_inputs_are_read_by_their_types(type_, given, feel, result):
    types = """
      <itemDefinition name="tGrade"><typeRef>string</typeRef><allowedValues><text>"A", "B", "C"</text></allowedValues></itemDefinition>
      <itemDefinition name="tGrades" isCollection="true"><typeRef>tGrade</typeRef></itemDefinition>
      <itemDefinition name="tPair" isCollection="true"><typeRef>tGrade</typeRef>
        <typeConstraint><text>count(?) = 2</text></typeConstraint></itemDefinition>
      <itemDefinition name="tSmall"><typeRef>number</typeRef><allowedValues><text>[0..10]</text></allowedValues></itemDefinition>
      <itemDefinition name="tPerson">
        <itemComponent name="name"><typeRef>string</typeRef></itemComponent>
        <itemComponent name="born"><typeRef>date</typeRef></itemComponent>
        <itemComponent name="marks" isCollection="true"><typeRef>tGrade</typeRef></itemComponent>
        <itemComponent name="address"><itemComponent name="zip code"><typeRef>string</typeRef></itemComponent></itemComponent>
      </itemDefinition>
      <itemDefinition name="tPeople" isCollection="true"><typeRef>tPerson</typeRef></itemDefinition>"""
    assert value(types + data("x", type_) + decision("d", feel, ["in:#x"]), "d", {"x": given}) == result


@pytest.mark.parametrize(
    ("feel", "type_", "result"),
    [
        ('"a"', "string", "a"),
        ("1", "string", None),
        ('["a"]', "string", "a"),
        ('["a", "b"]', "string", None),
        ("1", "tNumbers", [D(1)]),
        ("[1, 2]", "tNumbers", [D(1), D(2)]),
        ('["a"]', "tNumbers", None),
        ('string(date("2024-01-01"))', "string", "2024-01-01"),
        ("{a: 1, b: 2}", "tA", {"a": D(1), "b": D(2)}),
        ("{b: 2}", "tA", None),
        ('{a: "x"}', "tA", None),
    ],
)
def test_results_are_converted_or_null(feel, type_, result):
    types = (
        '<itemDefinition name="tNumbers" isCollection="true"><typeRef>number</typeRef></itemDefinition>'
        '<itemDefinition name="tA"><itemComponent name="a"><typeRef>number</typeRef></itemComponent></itemDefinition>'
    )
    assert value(types + decision("d", feel, type_=type_)) == result


def test_a_date_becomes_a_date_and_time():
    assert value(decision("a", 'date("2024-05-06")', type_="date and time") + decision("d", "a.hour", ["de:#a"])) == D(0)


BKM = (
    '<businessKnowledgeModel id="k" name="k"><variable name="k"/><encapsulatedLogic><formalParameter name="n" typeRef="number"/>'
    "<literalExpression><text>if n &lt; 2 then 1 else n * k(n - 1)</text></literalExpression></encapsulatedLogic></businessKnowledgeModel>"
)


@pytest.mark.parametrize(
    ("feel", "result"),
    [("k(5)", D(120)), ("k(n: 4)", D(24)), ("k(m: 4)", None), ("k()", None), ("k(1, 2)", None), ('k("x")', None), ("k([3])", D(6))],
)
def test_knowledge_models_are_functions(feel, result):
    assert value(BKM + decision("d", feel, ["kn:#k"])) == result


def test_a_knowledge_model_by_itself():
    assert value(BKM, "k", {"n": 4}, kind="bkm") == D(24)


def test_endless_recursion_ends_in_null():
    body = BKM.replace("if n &lt; 2 then 1 else n * k(n - 1)", "k(n + 1)")
    evaluation = dmn.read(model(body)).evaluate("k", {"n": 1}, "bkm")
    assert evaluation.value is None and evaluation.warnings


def test_boxed_invocation():
    body = BKM + decision(
        "d",
        "<invocation><literalExpression><text>k</text></literalExpression><binding><parameter name='n'/>"
        "<literalExpression><text>1 + 2</text></literalExpression></binding></invocation>",
        ["kn:#k"],
    )
    assert value(body) == D(6)


def test_external_functions_are_null():
    logic = (
        '<context><contextEntry><variable name="f"/><functionDefinition kind="Java">'
        '<formalParameter name="a"/><literalExpression><text>x</text>'
        "</literalExpression></functionDefinition></contextEntry><contextEntry><literalExpression><text>f(1)</text></literalExpression></contextEntry></context>"
    )
    evaluation = dmn.read(model(decision("d", logic))).evaluate("d")
    assert evaluation.value is None and "EXTERNAL_FUNCTION" in {w.code for w in evaluation.warnings}


def test_context_function_list_relation():
    logic = """<context>
      <contextEntry><variable name="twice"/><functionDefinition><formalParameter name="n" typeRef="number"/>
        <literalExpression><text>n * 2</text></literalExpression></functionDefinition></contextEntry>
      <contextEntry><variable name="two numbers"/><list><literalExpression><text>1</text></literalExpression>
        <literalExpression><text>twice(1)</text></literalExpression></list></contextEntry>
      <contextEntry><variable name="rows"/><relation><column name="a b"/><column name="c"/>
        <row><literalExpression><text>1</text></literalExpression><literalExpression><text>2</text></literalExpression></row></relation></contextEntry>
      <contextEntry><literalExpression><text>sum(two numbers) + rows[1].a b</text></literalExpression></contextEntry></context>"""
    evaluation = dmn.read(model(decision("d", logic))).evaluate("d")
    assert evaluation.value == D(4)
    assert [e["name"] for e in evaluation.trace[0]["entries"]] == ["twice", "two numbers", "rows"]


def test_partial_results_in_a_boxed_for():
    logic = (
        '<for iteratorVariable="i"><in><literalExpression><text>[1, 2, 3]</text></literalExpression></in>'
        "<return><literalExpression><text>i + sum(partial)</text></literalExpression></return></for>"
    )
    assert value(decision("d", logic)) in ([D(1), D(3), D(7)], [None, None, None]) and value(decision("d", logic))[-1] in (D(7), None)


@pytest.mark.parametrize(
    ("feel", "result"),
    [
        ('"A" instance of tGrade', True),
        ('"Z" instance of tGrade', True),
        ('["Z"] instance of list&lt;tGrade&gt;', True),
        ('{g: "Z"} instance of context&lt;g: tGrade&gt;', True),
        ('["a".."z"] instance of range&lt;tGrade&gt;', True),
        ("1 instance of tGrade", False),
        ("1 instance of a number", True),
        ('["A", "B"] instance of list&lt;tGrade&gt;', True),
        ("(function(g: tGrade) g)(1) = null", True),
        ('(function(g: tGrade) g)("A")', "A"),
        ("{x: 1} instance of tNo", None),
    ],
)
def test_item_definitions_are_types_in_feel(feel, result):
    types = (
        '<itemDefinition name="tGrade"><typeRef>string</typeRef><allowedValues><text>"A", "B"</text></allowedValues></itemDefinition>'
        '<itemDefinition name="a number"><typeRef>number</typeRef></itemDefinition>'
    )
    assert value(types + decision("d", feel)) == result


@pytest.mark.parametrize(
    ("type_", "given", "result"), [("list&lt;number&gt;", 1, [D(1)]), ("feel:string", "a", "a"), ("feel:string", 1, None)]
)
def test_unusual_type_references(type_, given, result):
    assert value(data("x", type_) + decision("d", "x", ["in:#x"]), "d", {"x": given}) == result


def test_types_may_refer_to_themselves():
    types = (
        '<itemDefinition name="tTree"><itemComponent name="label"><typeRef>string</typeRef></itemComponent>'
        '<itemComponent name="children" isCollection="true"><typeRef>tTree</typeRef></itemComponent></itemDefinition>'
        '<itemDefinition name="tLoop"><typeRef>tLoop</typeRef></itemDefinition>'
        '<itemDefinition name="tTight"><typeRef>tTight</typeRef><allowedValues><text>1</text></allowedValues></itemDefinition>'
        '<itemDefinition name="tLists" isCollection="true"><typeRef>tLists</typeRef></itemDefinition>'
    )
    tree = {"label": "a", "children": [{"label": "b", "children": [{"label": "c"}]}]}
    body = types + data("x", "tTree") + data("y", "tLoop") + decision("d", "x.children[1].children[1].label", ["in:#x", "in:#y"])
    assert value(body, "d", {"x": tree, "y": 1}) == "c"
    table = '<decisionTable hitPolicy="PRIORITY"><output typeRef="{}"/>'
    table += "<rule><outputEntry><text>1</text></outputEntry></rule></decisionTable>"
    assert value(types + decision("d", table.format("tLists"))) == [D(1)]
    assert value(types + decision("d", table.format("tTight"))) == D(1)
    found = dmn.findings(model(types + decision("d", table.format("tTight"))))
    assert [f.code for f in found].count("TYPE_CIRCULAR") == 3
    tree["children"][0]["children"][0]["label"] = 5
    assert value(body, "d", {"x": tree, "y": 1}) is None


def test_a_trace_has_an_end():
    evaluation = dmn.read(model(BKM + decision("d", "sum(for i in 1..3000 return k(1))", ["kn:#k"]))).evaluate("d")
    assert evaluation.value == D(3000)
    assert len(evaluation.trace) == 2001 and evaluation.trace[-1] == {"kind": "truncated", "dropped": 1001}


def test_now_comes_from_the_facts():
    class Facts:
        now_us = 86_400_000_000

    m = dmn.read(model(decision("d", "string(today())")))
    assert m.evaluate("d", facts=Facts).value == "1970-01-02"
    assert m.evaluate("d").value is None


SERVICE = (
    data("x", "number")
    + decision("pre", "x + 1", ["in:#x"], "number")
    + decision("out 1", "pre * 10", ["de:#pre"])
    + decision("out 2", "pre", ["de:#pre"])
    + '<decisionService id="s" name="s"><variable name="s"/><outputDecision href="#out_1"/><inputDecision href="#pre"/></decisionService>'
    + '<decisionService id="s2" name="s2"><variable name="s2"/><outputDecision href="#out_1"/><outputDecision href="#out_2"/>'
    '<encapsulatedDecision href="#pre"/><inputData href="#x"/></decisionService>'
)


def test_decision_services():
    assert value(SERVICE, "s", {"pre": 5}, kind="service") == D(50)
    assert value(SERVICE, "s2", {"x": 5}, kind="service") == {"out 1": D(60), "out 2": D(6)}
    assert value(SERVICE + decision("d", "s(2) + s2(x: 3).out 2", ["kn:#s", "kn:#s2"]), "d") == D(24)
    assert value(SERVICE + decision("d", 's("no number")', ["kn:#s"]), "d") is None


INNER = model(
    data("a name", "string")
    + decision("greet", '"Hello " + a name', ["in:#a name"])
    + '<itemDefinition name="tShort"><typeRef>string</typeRef>'
    "<allowedValues><text>string length(?) &lt; 4</text></allowedValues></itemDefinition>" + BKM,
    "urn:inner",
)
MIDDLE = model(
    '<import namespace="urn:inner" name="inner" importType="'
    + SPACE
    + '"/>'
    + decision("more", 'inner.greet + "!"', ["de:urn:inner#greet"]),
    "urn:middle",
)


def outer(name, body):
    return model(
        f'<import namespace="urn:inner" name="{name}" importType="{SPACE}"/>'
        f'<import namespace="urn:middle" name="mid model" importType="{SPACE}"/>{body}'
    )


def test_imports_over_several_levels():
    xml = outer(
        "inner",
        decision("d", "inner.greet + mid model.more + string(inner.k(3))", ["de:urn:inner#greet", "de:urn:middle#more", "kn:urn:inner#k"]),
    )
    models = [INNER, MIDDLE]
    assert dmn.evaluate(xml, "d", {"a name": "A"}, models=models) == "Hello AHello A!6"
    assert dmn.evaluate(xml, "d", {("urn:inner", "a name"): "B"}, models=models) == "Hello BHello B!6"
    assert dmn.evaluate(xml, "d", {"{urn:inner}a name": "B"}, models=models) == "Hello BHello B!6"
    assert dmn.evaluate(xml, "d", {"inner": {"a name": "B"}}, models=models) == "Hello BHello B!6"


def test_an_import_without_a_name_brings_its_names_in():
    xml = outer("", data("s", "tShort") + decision("d", "greet + s + string(k(3))", ["de:urn:inner#greet", "kn:urn:inner#k", "in:#s"]))
    assert dmn.evaluate(xml, "d", {"a name": "A", "s": "abc"}, models=[INNER, MIDDLE]) == "Hello Aabc6"
    assert dmn.evaluate(xml, "d", {"a name": "A", "s": "abcd"}, models=[INNER, MIDDLE]) is None


def test_types_of_an_import_have_its_name_before():
    xml = outer("inner", data("s", "inner.tShort") + decision("d", "s", ["in:#s"]))
    assert dmn.evaluate(xml, "d", {"s": "abc"}, models=[INNER]) == "abc"
    assert dmn.evaluate(xml, "d", {"s": "abcd"}, models=[INNER]) is None


def imports(*pairs):
    return "".join(f'<import namespace="urn:{namespace}" name="{name}" importType="{SPACE}"/>' for namespace, name in pairs)


GREET, NOBODY = ["de:urn:inner#greet"], "IMPORT_MISSING"
OTHER = model(decision("greet", '"other"') + decision("more", '"more"'), "urn:other")
A, B = "urn:a", "urn:b"
ODD = {
    "one model under two names": (
        model(imports(("inner", "a"), ("inner", "b")) + decision("d", "a.greet + b.greet", GREET)), [INNER], "Hello XHello X", [],
    ),
    "types under both of its names": (
        model(imports(("inner", "a"), ("inner", "b")) + data("s", "a.tShort") + data("t", "b.tShort") + decision("d", "s + t", ["in:#s", "in:#t"])),
        [INNER], "abcde", [],
    ),
    "two models under one name": (
        model(imports(("inner", "a"), ("other", "a")) + decision("d", "a.greet + a.more", [*GREET, "de:urn:other#more"])), [INNER, OTHER],
        "Hello Xmore", ["IMPORT_NAME"],
    ),
    "the name of a decision": (
        model(imports(("inner", "a")) + decision("a", '"own"') + decision("d", '"x"', ["de:#a"])), [INNER], "x", ["IMPORT_NAME"],
    ),
    "the name of a type": (
        model(imports(("inner", "t")) + '<itemDefinition name="t"><typeRef>string</typeRef></itemDefinition>' + decision("d", "t.greet", GREET)),
        [INNER], "Hello X", ["IMPORT_NAME"],
    ),
    "without a name, beside an own decision": (
        model(imports(("inner", "")) + decision("greet", '"own"') + decision("d", "greet", ["de:#greet"])), [INNER], "own", ["IMPORT_HIDES"],
    ),
    "two without a name": (
        model(imports(("inner", ""), ("other", "")) + decision("d", "more + string(k(1))", ["de:urn:other#more", "kn:urn:inner#k"])), [INNER, OTHER],
        "more1", ["IMPORT_HIDES"],
    ),
    "models that import each other": (
        model(imports(("b", "b")) + decision("x", '"x"') + decision("d", 'b.y + "!"', ["de:urn:b#y"]), A),
        [model(imports(("a", "a")) + decision("y", 'a.x + "y"', ["de:urn:a#x"]), B)], "xy!", [],
    ),
    "a circle of decisions over models": (
        model(imports(("b", "b")) + decision("d", "b.y", ["de:urn:b#y"]), A),
        [model(imports(("a", "a")) + decision("y", "a.d", ["de:urn:a#d"]), B)], None, ["CIRCULAR"],
    ),
    "a circle of others": (
        model(imports(("b", "b")) + decision("d", '"d"', ["de:urn:b#y"]), A),
        [model(decision("y", "z", ["de:#z"]) + decision("z", "y", ["de:#y"]), B)], "d", [],
    ),
    "a circle of types over models": (
        model(imports(("b", "b")) + '<itemDefinition name="t"><typeRef>b.u</typeRef></itemDefinition>' + data("s", "t") + decision("d", "s", ["in:#s"]), A),
        [model(imports(("a", "a")) + '<itemDefinition name="u"><typeRef>a.t</typeRef></itemDefinition>', B)], "abc", ["TYPE_CIRCULAR"],
    ),
    "a record that holds its own kind over models": (
        model(imports(("b", "b")) + '<itemDefinition name="t"><typeRef>b.u</typeRef></itemDefinition>' + decision("d", '"d"'), A),
        [model(imports(("a", "a")) + '<itemDefinition name="u"><itemComponent name="n"><typeRef>a.t</typeRef></itemComponent></itemDefinition>', B)],
        "d", [],
    ),
    "itself": (model(imports(("a", "me")) + decision("x", '"x"') + decision("d", "me.x", ["de:urn:a#x"]), A), [], "x", ["IMPORT_ITSELF"]),
    "a model that isn't given": (model(imports(("none", "n")) + decision("d", "n.x", ["de:urn:none#x"])), [], None, [NOBODY]),
    "a model that isn't imported": (model(decision("d", "inner.greet", GREET)), [INNER], None, [NOBODY]),
    "what an import imports": (model(imports(("middle", "m")) + decision("d", "m.inner.greet", GREET)), [INNER, MIDDLE], None, [NOBODY]),
    "two models of one namespace": (
        model(imports(("inner", "i")) + decision("d", "i.greet", GREET)), [INNER, model(decision("greet", '"second"'), "urn:inner")], "Hello X",
        ["IMPORT_TWICE"],
    ),
    "a name with a dot": (model(imports(("inner", "my.in")) + decision("d", "my.in.greet", GREET)), [INNER], "Hello X", []),
    "a name with blanks": (model(imports(("inner", "my  in")) + decision("d", "my in.greet", GREET)), [INNER], "Hello X", []),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_imports_mean_what_they_say_and_are_told(name):
    xml, models, wanted, codes = ODD[name]
    assert dmn.evaluate(xml, "d", {"a name": "X", "s": "abc", "t": "de"}, models=models) == wanted
    assert [f.code for f in dmn.findings(xml, models)] == codes


def test_another_expression_language_is_null_with_a_warning():
    body = (
        '<decision id="d" name="d"><variable name="d"/><literalExpression expressionLanguage="javascript">'
        "<text>1</text></literalExpression></decision>"
    )
    evaluation = dmn.read(model(body)).evaluate("d")
    assert evaluation.value is None and [w.code for w in evaluation.warnings] == ["LANGUAGE_UNKNOWN"]
