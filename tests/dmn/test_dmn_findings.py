"""Findings: what a check of a model tells, and that good models get none."""

import pytest

from flowledger.kernel import dmn

SPACE = "https://www.omg.org/spec/DMN/20230324/MODEL/"


def model(body):
    return f'<definitions xmlns="{SPACE}" name="m" namespace="urn:m">\n{body}\n</definitions>'


def table(rules, policy="UNIQUE", type_="number", output="", more="", values=""):
    rows = "\n".join(
        f'<rule id="r{n}">'
        + "".join(f"<inputEntry><text>{c}</text></inputEntry>" for c in cells)
        + f"<outputEntry><text>{out}</text></outputEntry></rule>"
        for n, (cells, out) in enumerate(rules, 1)
    )
    second = '<input><inputExpression typeRef="string"><text>s</text></inputExpression></input>' if rules and len(rules[0][0]) == 2 else ""
    return model(f"""<inputData id="x" name="x"><variable name="x" typeRef="{type_}"/></inputData>
<inputData id="s" name="s"><variable name="s" typeRef="string"/></inputData>
<decision id="d" name="d"><variable name="d"/><informationRequirement><requiredInput href="#x"/></informationRequirement>
<informationRequirement><requiredInput href="#s"/></informationRequirement>
<decisionTable id="t" hitPolicy="{policy}" {more}><input id="in"><inputExpression typeRef="number"><text>x</text></inputExpression>\
{values}</input>{second}
<output id="o">{output}</output>
{rows}
</decisionTable></decision>""")


def codes(xml, **more):
    return [f.code for f in dmn.findings(xml, **more)]


def test_a_good_table_has_no_findings():
    assert codes(table([(["&lt; 5", "-"], "1"), (["[5..10]", '"a"'], "2"), (["[5..10]", 'not("a")'], "3"), (["&gt; 10", "-"], "4")])) == []


def test_overlap():
    (found,) = dmn.findings(table([(["&lt; 5"], "1"), (["[3..10]"], "2"), (["&gt; 10"], "3")]))
    assert (found.code, found.element, found.line) == ("RULES_OVERLAP", "r2", 9)
    assert "rules 1 and 2" in found.message and "[3..5)" in found.message


def test_overlap_matters_only_where_it_is_forbidden():
    rules = [(["&lt; 5"], "1"), (["-"], "2")]
    assert codes(table(rules, "FIRST")) == []
    assert codes(table(rules, "RULE ORDER")) == []
    assert codes(table(rules, "ANY")) == ["RULES_OVERLAP"]
    assert codes(table([(["&lt; 5"], "1"), (["-"], "1")], "ANY")) == []


@pytest.mark.parametrize(
    ("outputs", "differ"),
    [(("1", "1.0"), False), (("[1, 2]", "[1,2.0]"), False), (("x * 2", "x + x"), False), (("1", "2"), True), (("1", '"1"'), True), (("1", "1 + 1"), True),
     (('@"2025-01-01"', "date(2025, 1, 1)"), False), (('@"2025-01-01"', 'date("2025-01-02")'), True), (("null", "0"), True), (("x", "1"), False)],
)  # fmt: skip
def test_outputs_of_any_differ_by_value_where_that_is_known(outputs, differ):
    found = codes(table([(["&lt; 9"], outputs[0]), (["-"], outputs[1])], "ANY").replace("<output ", '<output typeRef="Any" '))
    assert found == (["RULES_OVERLAP"] if differ else [])


def test_gap():
    (found,) = dmn.findings(table([(["&lt; 5", "-"], "1"), (["&gt; 5", '"a"'], "2"), (["5", "-"], "3")]))
    assert found.code == "TABLE_GAP" and "x: > 5" in found.message and "any other text" in found.message
    assert codes(table([(["&lt; 5"], "1")], output="<defaultOutputEntry><text>0</text></defaultOutputEntry>")) == []


def test_gap_of_enumerated_values():
    xml = table([(["-", '"a"'], "1")]).replace(
        "<text>s</text></inputExpression>", '<text>s</text></inputExpression><inputValues><text>"a", "b"</text></inputValues>'
    )
    (found,) = dmn.findings(xml)
    assert found.message == 'no rule matches s: "b"'


def test_unreachable_rules():
    assert [(f.code, f.element) for f in dmn.findings(table([(["&lt; 10"], "1"), (["[2..5]"], "2"), (["-"], "3")], "FIRST"))] == [
        ("RULE_UNREACHABLE", "r2")
    ]
    assert codes(table([(["[9..2]"], "1"), (["-"], "2")])) == ["RULE_UNREACHABLE"]


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([(["null"], "1"), (["not(null)"], "2")], []),
        ([(["null"], "1"), (["&lt; 5"], "2"), (["&gt;= 5"], "3")], []),
        ([(["null, &lt; 5"], "1"), (["&gt;= 5"], "2")], []),
        ([(["null"], "1"), (["&lt; 5"], "2")], ["TABLE_GAP"]),
        ([(["null"], "1"), (["-"], "2")], ["RULES_OVERLAP"]),
        ([(["null"], "1"), (["not(5)"], "2"), (["5"], "3")], ["RULES_OVERLAP"]),  # null isn't 5
        ([(["null"], "1"), (["not(&lt; 5)"], "2"), (["&lt; 5"], "3")], []),  # not(null &lt; 5) is null
        ([(["null"], "1"), (["null"], "2"), (["not(null)"], "3")], ["RULES_OVERLAP"]),
        ([(["not(null)"], "1")], ["TABLE_GAP"]),
    ],
)
def test_null_is_a_value_that_cells_may_name(rules, found):
    """A cell `null` matches null and nothing else: never told to match nothing, and part of gaps and overlaps."""
    assert codes(table(rules)) == found
    untyped = table(rules).replace(' typeRef="number"', "")
    assert codes(untyped) == found
    if found == ["TABLE_GAP"] and "not(null)" in rules[0][0]:
        assert "x: null" in dmn.findings(table(rules))[0].message


def test_type_conflicts():
    assert codes(table([(['"a"'], "1"), (["-"], "2")], "FIRST")) == ["TYPE_CONFLICT"]
    assert codes(table([(["-"], "1")], type_="string")) == ["TYPE_CONFLICT"]
    values = '<outputValues><text>"a"</text></outputValues>'
    assert codes(table([(["-"], '"b"')], output=values)) == ["OUTPUT_NOT_ALLOWED"]


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        (
            '<decision id="d" name="d"><variable name="d"/>\n<literalExpression><text>1 +</text></literalExpression></decision>',
            "BAD_EXPRESSION",
            3,
        ),
        (
            '<decision id="d" name="d"><variable name="d"/>\n<informationRequirement><requiredInput href="#no"/></informationRequirement>'
            "<literalExpression><text>1</text></literalExpression></decision>",
            "REFERENCE_MISSING",
            3,
        ),
        (
            '<decision id="d" name="d"><variable name="d" typeRef="tNo"/><literalExpression><text>1</text></literalExpression></decision>',
            "TYPE_UNKNOWN",
            2,
        ),
        ('<decision id="d" name="d"><variable name="d"/></decision>', "NO_LOGIC", 2),
        (
            '<decision id="d" name="d"><variable name="d"/><informationRequirement><requiredDecision href="#d"/></informationRequirement>'
            "<literalExpression><text>1</text></literalExpression></decision>",
            "CIRCULAR",
            2,
        ),
        ('<inputData id="a" name="a"/>\n<inputData id="a" name="b"/>', "ID_TWICE", 3),
        ('<inputData id="a" name="a"/>\n<inputData id="b" name="a"/>', "NAME_TWICE", 3),
        (f'<import name="i" namespace="urn:other" importType="{SPACE}"/>', "IMPORT_MISSING", 2),
        (
            '<businessKnowledgeModel id="b" name="b"><variable name="b"/><encapsulatedLogic kind="Java">'
            "<literalExpression><text>x</text></literalExpression>"
            "</encapsulatedLogic></businessKnowledgeModel>",
            "EXTERNAL_FUNCTION",
            2,
        ),
        (
            '<itemDefinition name="t"><typeRef>string</typeRef>\n<allowedValues><text>"a", ((</text></allowedValues></itemDefinition>',
            "BAD_EXPRESSION",
            3,
        ),
    ],
)
def test_findings_of_models(body, code, line):
    found = dmn.findings(model(body), file="m.dmn")
    assert [(f.code, f.line, f.file) for f in found] == [(code, line, "m.dmn")]


def test_one_broken_expression_does_not_hide_another():
    xml = table([(["(("], "1 +"), (["-"], "2")], "FIRST")
    assert codes(xml) == ["BAD_EXPRESSION", "BAD_EXPRESSION"]
    columns = [f.column for f in dmn.findings(xml)]
    assert all(c > 0 for c in columns)


def test_what_cannot_be_read_is_a_finding():
    for text in ("<a/>", "", "x", "<a>", model("<a b=c/>"), model("&x;"), model('<a x="1" x="2"/>'), f"<!DOCTYPE a>{model('')}"):
        assert codes(text) == codes(text.encode()) == ["DMN_UNREADABLE"], text


@pytest.mark.parametrize("space", ["urn:a b", "http://a/Initial Import/Process", "über uns", "urn:%ZZ"])
def test_the_name_of_a_namespace_need_be_no_uri(space):
    good = table([(["&lt; 5"], "1"), (["&gt;= 5"], "2")])
    for text in (good.replace("<definitions ", f'<definitions xmlns:q="{space}" '), '<?xml version="1.1"?>' + good):
        assert codes(text) == codes(text.encode()) == []


def test_form_of_tables():
    xml = table([(["-"], "1")], "SOMETHING", more='aggregation="SUM"')
    assert codes(xml) == ["HIT_POLICY_UNKNOWN", "AGGREGATION_UNUSED"]
    assert codes(table([(["-"], "1")], "PRIORITY")) == ["PRIORITY_MISSING"]
