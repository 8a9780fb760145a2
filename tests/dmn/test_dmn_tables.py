"""Hit policies, outputs, defaults, allowed values and traces of decision tables (DMN 1.5, chapter 8)."""

import json
from decimal import Decimal
from xml.sax.saxutils import escape

import pytest

from flowledger.kernel import dmn

D = Decimal


def table(policy="UNIQUE", rules=(), outputs=("",), inputs=(("x", "number"),), aggregation="", types="", variable=""):
    """A model with one decision `d`. Outputs are `name`, or `name|attributes|children`; rules are (cells, outputs)."""
    data = "".join(f'<inputData id="i_{n}" name="{n}"><variable name="{n}" typeRef="{t}"/></inputData>' for n, t, *_ in inputs)
    needs = "".join(f'<informationRequirement><requiredInput href="#i_{n}"/></informationRequirement>' for n, *_ in inputs)
    columns = "".join(
        f'<input><inputExpression typeRef="{t}"><text>{n}</text></inputExpression>{"".join(v)}</input>' for n, t, *v in inputs
    )
    outs = ""
    for o in outputs:
        name, attributes, children = (*o.split("|"), "", "")[:3]
        outs += f'<output name="{name}" {attributes}>{children}</output>' if name else f"<output {attributes}>{children}</output>"
    rows = "".join(
        f'<rule id="r{n}">'
        + "".join(f"<inputEntry><text>{escape(c)}</text></inputEntry>" for c in cells)
        + "".join(f"<outputEntry><text>{escape(o)}</text></outputEntry>" for o in values)
        + "</rule>"
        for n, (cells, values) in enumerate(rules, 1)
    )
    agg = f'aggregation="{aggregation}"' if aggregation else ""
    return (
        f'<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="t" namespace="urn:t">{types}{data}'
        f'<decision id="d1" name="d"><variable name="d" {variable}/>{needs}'
        f'<decisionTable id="t1" hitPolicy="{policy}" {agg}>{columns}{outs}{rows}'
        "</decisionTable></decision></definitions>"
    )


def values(text):
    return f"<outputValues><text>{escape(text)}</text></outputValues>"


STEPS = [(["< 10"], ['"low"']), (["[5..20]"], ['"mid"']), (["> 15"], ['"high"'])]
RANKED = ["||" + values('"high", "mid", "low"')]
NUMBERS = [(["< 10"], ["1"]), (["[5..20]"], ["2.5"]), (["> 15"], ["2.5"])]


@pytest.mark.parametrize(
    ("policy", "x", "value"),
    [
        ("UNIQUE", 1, "low"),
        ("UNIQUE", 7, None),
        ("UNIQUE", 12, "mid"),
        ("ANY", 7, None),
        ("ANY", 12, "mid"),
        ("FIRST", 7, "low"),
        ("FIRST", 17, "mid"),
        ("PRIORITY", 7, "mid"),
        ("PRIORITY", 17, "high"),
        ("RULE ORDER", 7, ["low", "mid"]),
        ("RULE ORDER", 17, ["mid", "high"]),
        ("OUTPUT ORDER", 7, ["mid", "low"]),
        ("OUTPUT ORDER", 17, ["high", "mid"]),
        ("COLLECT", 7, ["low", "mid"]),
        ("FIRST", None, None),
        ("COLLECT", None, []),
    ],
)
def test_hit_policies(policy, x, value):
    assert dmn.evaluate(table(policy, STEPS, RANKED), "d", {"x": x}) == value


@pytest.mark.parametrize(
    ("aggregation", "x", "value"),
    [("SUM", 7, D("3.5")), ("MIN", 7, D(1)), ("MAX", 7, D("2.5")), ("COUNT", 17, D(2)), ("COUNT", None, D(0)), ("SUM", None, None)],
)
def test_aggregations(aggregation, x, value):
    assert dmn.evaluate(table("COLLECT", NUMBERS, aggregation=aggregation), "d", {"x": x}) == value


def test_any_with_equal_outputs():
    rules = [(["< 10"], ['"a"']), (["> 5"], ['"a"'])]
    assert dmn.evaluate(table("ANY", rules), "d", {"x": 7}) == "a"


def test_several_outputs_are_a_context_and_priority_goes_by_the_first_output():
    outputs = ["kind||" + values('"A", "B"'), "rate||" + values("3, 2, 1")]
    rules = [(["-"], ['"B"', "3"]), (["-"], ['"A"', "1"]), (["-"], ['"A"', "2"])]
    assert dmn.evaluate(table("PRIORITY", rules, outputs), "d", {"x": 1}) == {"kind": "A", "rate": D(2)}
    assert [r["rate"] for r in dmn.evaluate(table("OUTPUT ORDER", rules, outputs), "d", {"x": 1})] == [D(2), D(1), D(3)]


def test_default_outputs():
    outputs = ["a||<defaultOutputEntry><text>1 + 1</text></defaultOutputEntry>", "b"]
    xml = table("UNIQUE", [(["> 5"], ["1", "x"])], outputs)
    assert dmn.evaluate(xml, "d", {"x": 1}) == {"a": D(2), "b": None}
    assert dmn.evaluate(xml, "d", {"x": 6}) == {"a": D(1), "b": D(6)}


def test_output_values_come_from_the_type_when_the_clause_has_none():
    types = (
        '<itemDefinition name="tLevel"><typeRef>string</typeRef><allowedValues><text>"high", "mid", "low"</text></allowedValues>'
        "</itemDefinition>"
    )
    xml = table("PRIORITY", STEPS, ['|typeRef="tLevel"|'], types=types)
    assert dmn.evaluate(xml, "d", {"x": 7}) == "mid"


def test_an_input_outside_of_its_allowed_values():
    inputs = (("x", "number", "<inputValues><text>[0..100]</text></inputValues>"),)
    evaluation = dmn.read(table("COLLECT", STEPS, inputs=inputs)).evaluate("d", {"x": 200})
    assert evaluation.value is None
    assert [w.code for w in evaluation.warnings] == ["INPUT_NOT_ALLOWED"]


def test_an_output_outside_of_its_allowed_values_is_null():
    assert dmn.evaluate(table("UNIQUE", [(["-"], ['"z"'])], RANKED), "d", {"x": 1}) is None


def test_cells_that_only_feel_can_test():
    inputs = (("x", "number"), ("y", "number"), ("when", "date"))
    rules = [
        (["> y", "-", "-"], ['"above"']),
        (["not(5, 6)", "not(null)", '< date("2024-02-01")'], ['"early"']),
        (["-", "? * 2 > 7", "-"], ['"big"']),
    ]
    xml = table("FIRST", rules, inputs=inputs)
    assert dmn.evaluate(xml, "d", {"x": 3, "y": 2, "when": "2024-01-05"}) == "above"
    assert dmn.evaluate(xml, "d", {"x": 1, "y": 2, "when": "2024-01-05"}) == "early"
    assert dmn.evaluate(xml, "d", {"x": 5, "y": 5, "when": "2024-01-05"}) == "big"
    assert dmn.evaluate(xml, "d", {"x": 1, "y": 3, "when": "2024-03-05"}) is None


def test_index_and_feel_agree_on_values_that_the_index_cannot_hold():
    xml = table("COLLECT", [(['"a"'], ['"text"']), (["[1..5]"], ['"number"']), (["-"], ['"any"'])], inputs=(("x", "Any"),))
    assert dmn.evaluate(xml, "d", {"x": "a"}) == ["text", "any"]
    assert dmn.evaluate(xml, "d", {"x": 3}) == ["number", "any"]
    assert dmn.evaluate(xml, "d", {"x": {"a": 1}}) == ["any"]


def test_the_result_becomes_the_type_of_the_variable():
    assert dmn.evaluate(table("COLLECT", STEPS, variable='typeRef="string"'), "d", {"x": 1}) == "low"
    assert dmn.evaluate(table("COLLECT", STEPS, variable='typeRef="string"'), "d", {"x": 7}) is None


def test_a_broken_cell_spoils_only_its_rule():
    xml = table("FIRST", [(["(("], ['"broken"']), (["-"], ['"fine"'])])
    evaluation = dmn.read(xml).evaluate("d", {"x": 1})
    assert evaluation.value == "fine"
    assert [w.code for w in evaluation.warnings] == ["BAD_EXPRESSION"]


def test_the_trace_tells_inputs_rules_and_outputs_as_json():
    evaluation = dmn.read(table("OUTPUT ORDER", STEPS, RANKED)).evaluate("d", {"x": 17})
    (record,) = json.loads(json.dumps(evaluation.trace))
    assert record["kind"] == "decision" and record["id"] == "d1" and record["value"] == ["high", "mid"]
    (found,) = record["tables"]
    assert found["hit_policy"] == "OUTPUT ORDER" and found["inputs"][0]["value"] == 17
    assert [(h["index"], h["id"]) for h in found["matched"]] == [(2, "r2"), (3, "r3")]


@pytest.mark.parametrize("seed", range(3))
def test_a_large_table_matches_like_a_scan(seed):
    import random

    rng = random.Random(seed)
    rules = []
    for n in range(300):
        a = rng.randrange(50)
        rules.append(
            (
                [
                    rng.choice([f"[{a}..{a + rng.randrange(9)})", f"> {a}", str(a), "-", f"{a}, {a + 3}"]),
                    rng.choice(['"a"', '"b", "c"', "-", 'not("a")']),
                ],
                [str(n)],
            )
        )
    xml = table("RULE ORDER", rules, inputs=(("x", "number"), ("s", "string")))
    model = dmn.read(xml)
    slow = dmn.read(
        table(
            "RULE ORDER",
            [([f"? in ({c[0]})" if c[0] != "-" else "-", c[1]], o) for c, o in rules],
            inputs=(("x", "number"), ("s", "string")),
        )
    )
    for x in (0, 7, 23, 49, D("12.5")):
        for s in ("a", "b", "z"):
            assert model.evaluate("d", {"x": x, "s": s}).value == slow.evaluate("d", {"x": x, "s": s}).value
