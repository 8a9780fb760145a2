"""The type of an expression, whatever its kind, converts its value (DMN 1.5, 10.3.2.9.4); what has a null by the standard deploys."""

import pytest

from flowledger.kernel import dmn, feel

DEFINITIONS = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="urn:m">
<itemDefinition name="tNumbers" isCollection="true"><typeRef>number</typeRef></itemDefinition>
<itemDefinition name="tSmall"><typeRef>number</typeRef><allowedValues><text>[0..9]</text></allowedValues></itemDefinition>
<itemDefinition name="tX"><itemComponent name="x"><typeRef>number</typeRef></itemComponent></itemDefinition>
<itemDefinition name="tXs" isCollection="true"><typeRef>tX</typeRef></itemDefinition>
<itemDefinition name="tF"><functionItem outputTypeRef="number"><parameters name="a" typeRef="number"/></functionItem></itemDefinition>
%s</definitions>"""


def literal(text, ref=""):
    return f"<literalExpression{ref}><text>{text}</text></literalExpression>"


#: kinds of expressions, each as a function of the attribute and a text whose value it passes on
KINDS = {
    "literal": lambda ref, text: literal(text, ref),
    "context": lambda ref, text: f"<context{ref}><contextEntry>{literal(text)}</contextEntry></context>",
    "result entry": lambda ref, text: f"<context><contextEntry><variable name=''{ref}/>{literal(text)}</contextEntry></context>",
    "entry": lambda ref, text: (
        f"<context><contextEntry><variable name='e'{ref}/>{literal(text)}</contextEntry><contextEntry>{literal('e')}</contextEntry></context>"
    ),
    "conditional": lambda ref, text: (
        f"<conditional{ref}><if>{literal('true')}</if><then>{literal(text)}</then><else>{literal('1')}</else></conditional>"
    ),
    "branch": lambda ref, text: (
        f"<conditional><if>{literal('true')}</if><then>{literal(text, ref)}</then><else>{literal('1')}</else></conditional>"
    ),
    "invocation": lambda ref, text: (
        f"<invocation{ref}>{literal('function(a) a')}<binding><parameter name='a'/>{literal(text)}</binding></invocation>"
    ),
    "argument": lambda ref, text: (
        f"<invocation>{literal('function(a) a')}<binding><parameter name='a'{ref}/>{literal(text)}</binding></invocation>"
    ),
    "function body": lambda ref, text: f"<invocation><functionDefinition>{literal(text, ref)}</functionDefinition></invocation>",
    "function": lambda ref, text: f"<invocation><functionDefinition{ref}>{literal(text)}</functionDefinition></invocation>",
    "table": lambda ref, text: (
        f"<decisionTable{ref}><input><inputExpression><text>1</text></inputExpression></input><output/>"
        f"<rule><inputEntry><text>-</text></inputEntry><outputEntry><text>{text}</text></outputEntry></rule></decisionTable>"
    ),
    "output": lambda ref, text: (
        f"<decisionTable><input><inputExpression><text>1</text></inputExpression></input><output{ref}/>"
        f"<rule><inputEntry><text>-</text></inputEntry><outputEntry><text>{text}</text></outputEntry></rule></decisionTable>"
    ),
}
VALUES = [
    ("number", "[3]", 3),
    ("number", '"3"', None),
    ("number", "[3, 4]", None),
    ("tNumbers", "3", [3]),
    ("tNumbers", '["a"]', None),
    ("tSmall", "[5]", 5),
    ("tSmall", "12", None),
    ("tX", "[{x: 1}]", {"x": 1}),
    ("tX", "{y: 1}", None),
    ("string", '["a"]', "a"),
    ("date and time", 'date("2025-01-01")', feel.evaluate('@"2025-01-01T00:00:00Z"')),
    ("Any", "[3]", [3]),
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_type_of_every_kind_of_expression_converts(kind):
    for ref, text, value in VALUES:
        body = KINDS[kind](f' typeRef="{ref}"', text.replace('"', "&quot;"))
        model = DEFINITIONS % f'<decision id="d" name="d"><variable name="d"/>{body}</decision>'
        assert dmn.evaluate(model, "d") == value, (kind, ref, text)


COLLECTIONS = {
    "list": "<list{}>" + literal("1") + "</list>",
    "relation": "<relation{}><column name='x'/><row>" + literal("1") + "</row></relation>",
    "filter": "<filter{}><in>" + literal("[{x: 1}, {x: 2}]") + "</in><match>" + literal("x = 1") + "</match></filter>",
    "for": "<for{} iteratorVariable='i'><in>" + literal("[1]") + "</in><return>" + literal("{x: i}") + "</return></for>",
}


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_a_collection_of_one_item_becomes_the_item(kind):
    def value(ref):
        body = COLLECTIONS[kind].replace("{}", f' typeRef="{ref}"' if ref else "")
        return dmn.evaluate(DEFINITIONS % f'<decision id="d" name="d"><variable name="d"/>{body}</decision>', "d")

    one = 1 if kind == "list" else {"x": 1}
    assert value("") == [one] == value("tNumbers" if kind == "list" else "tXs")
    assert value("number" if kind == "list" else "tX") == one
    assert value("string") is None


def test_quantifiers_convert_too():
    for kind in ("some", "every"):
        for ref, expected in ((' typeRef="boolean"', True), (' typeRef="number"', None), ("", True)):
            body = f"<{kind}{ref} iteratorVariable='i'><in>{literal('[1]')}</in><satisfies>{literal('i = 1')}</satisfies></{kind}>"
            assert dmn.evaluate(DEFINITIONS % f'<decision id="d" name="d"><variable name="d"/>{body}</decision>', "d") is expected


@pytest.mark.parametrize(
    ("in_", "expected"), [("3..1", [3, 2, 1]), ("[1..3]", [1, 2, 3]), ("(1..3)", [2]), ("[3..1]", None), ("(&lt; 3)", None), ("5", [5])]
)
def test_a_boxed_iterator_walks_ranges_as_feel_does(in_, expected):
    if in_ == "3..1":
        body = literal("for i in 3..1 return i")
    else:
        body = f"<for iteratorVariable='i'><in>{literal(in_)}</in><return>{literal('i')}</return></for>"
    assert dmn.evaluate(DEFINITIONS % f'<decision id="d" name="d"><variable name="d"/>{body}</decision>', "d") == expected


@pytest.mark.parametrize(
    ("ref", "text", "expected"), [("number", "[4]", 4), ("number", '"a"', None), ("tF", "[4]", 4), ("tSmall", "44", None)]
)
def test_a_knowledge_model_converts_what_its_body_gives(ref, text, expected):
    logic = f'<encapsulatedLogic typeRef="{ref}"><formalParameter name="a"/>{literal(text.replace(chr(34), "&quot;"))}</encapsulatedLogic>'
    model = DEFINITIONS % f'<businessKnowledgeModel id="b" name="b"><variable name="b"/>{logic}</businessKnowledgeModel>'
    assert dmn.evaluate(model, "b", {"a": 1}, kind="bkm") == expected


def table(type_, cell, output='"hit"', out_type="string", values="", text="v"):
    return DEFINITIONS % (
        f'<decision id="d" name="d"><variable name="d"/><decisionTable hitPolicy="FIRST"><input><inputExpression typeRef="{type_}"><text>{text}</text>'
        f'</inputExpression></input><output name="o" typeRef="{out_type}">{values}</output>'
        f"<rule><inputEntry><text>{cell}</text></inputEntry><outputEntry><text>{output}</text></outputEntry></rule>"
        f'<rule><inputEntry><text>-</text></inputEntry><outputEntry><text>"else"</text></outputEntry></rule></decisionTable></decision>'
    )


ALLOWED = '<outputValues><text>"a", "else"</text></outputValues>'


@pytest.mark.req("D-MOD-004")
@pytest.mark.parametrize(
    ("model", "given", "value", "code"),
    [
        (table("string", "3"), "3", "else", "TYPE_CONFLICT"),
        (table("number", '"a"'), 1, "else", "TYPE_CONFLICT"),
        (table("boolean", '"true"'), True, "else", "TYPE_CONFLICT"),
        (table("string", '"x"', output="3"), "x", None, "TYPE_CONFLICT"),
        (table("string", '"x"', output='"b"', values=ALLOWED), "x", None, "OUTPUT_NOT_ALLOWED"),
        (table("string", '"x"', output='"a"', values=ALLOWED), "x", "a", None),
        (table("tNoSuch", '"x"', out_type="tNoSuch"), "x", "hit", "TYPE_UNKNOWN"),
    ],
)
def test_what_has_a_value_by_the_standard_is_at_most_a_warning(model, given, value, code):
    found = [f for f in dmn.findings(model) if f.code not in ("NAME_UNKNOWN", "TABLE_GAP", "RULE_UNREACHABLE")]
    assert [f.severity for f in found if f.severity == "error"] == []
    assert code is None or code in {f.code for f in found}
    assert dmn.read(model).evaluate("d", {"v": given}, replace_decisions=False).value == value


@pytest.mark.parametrize(
    ("type_", "cell", "given", "value"),
    [
        ("date", '&lt; date("2026-02-01")', "2026-01-15", "hit"),
        ("date", '&lt; date("2026-02-01")', "2026-03-15", "else"),
        ("date", '&lt; date("2026-02-01")', "soon", "else"),
        ("time", '&lt; time("10:00:00")', "09:00:00", "hit"),
        ("date and time", '&lt; @"2026-02-01T00:00:00Z"', "2026-01-15T00:00:00Z", "hit"),
        ("days and time duration", '&lt; @"P1D"', "PT1H", "hit"),
        ("years and months duration", '&lt; @"P2Y"', "P1Y", "hit"),
        ("string", '"x"', "x", "hit"),
    ],
)
def test_a_temporal_column_reads_texts_of_variables_that_nothing_declares(type_, cell, given, value):
    assert dmn.read(table(type_, cell)).evaluate("d", {"v": given}, replace_decisions=False).value == value
    # an expression is no variable: its value is what it is
    computed = table(type_, cell, text="if true then v else v")
    assert dmn.read(computed).evaluate("d", {"v": given}, replace_decisions=False).value == ("hit" if type_ == "string" else "else")


def test_a_service_without_output_is_legal():
    model = DEFINITIONS % (
        '<decisionService id="s" name="s"/><decision id="d" name="d"><variable name="d"/>' + literal("1 + 1") + "</decision>"
    )
    assert [(f.code, f.severity) for f in dmn.findings(model)] == [("SERVICE_WITHOUT_OUTPUT", "info")]
    assert dmn.evaluate(model, "d") == 2 and dmn.evaluate(model, "s", kind="service") == {}
