"""Expressions of the DMN TCK that stand alone: decisions that are one literal expression and require nothing. The whole TCK runs in
tests/dmn."""

import os
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from lxml import etree

from flowledger.kernel import feel

TCK = Path(os.environ.get("SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared")) / "dmn-tck"
if not TCK.is_dir():
    pytest.skip(f"the TCK data isn't at {TCK}", allow_module_level=True)
NS = "{http://www.omg.org/spec/DMN/20160719/testcase}"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
FACTS = SimpleNamespace(now_us=1_750_000_000_000_000)
TEMPORAL = {"date", "time", "dateTime", "duration"}


def value_of(e):
    children = [c for c in e if isinstance(c.tag, str)]
    components = [c for c in children if c.tag == NS + "component"]
    if components:
        return {c.get("name"): value_of(c) for c in components}
    lists = [c for c in children if c.tag == NS + "list"]
    if lists:
        return [value_of(i) for i in lists[0].findall(NS + "item")]
    values = [c for c in children if c.tag == NS + "value"]
    if not values or values[0].get(XSI + "nil") == "true":
        return None
    text, kind = values[0].text or "", (values[0].get(XSI + "type") or "string").split(":")[-1]
    if kind in TEMPORAL:
        value = feel.evaluate(f'@"{text}"', {})
        return feel.evaluate("date and time(x)", {"x": value}) if kind == "dateTime" and feel.values.kind(value) == "date" else value
    if kind == "boolean":
        return text == "true"
    return Decimal(text) if kind in ("decimal", "double", "integer") else text


def same(actual, expected):
    if isinstance(expected, Decimal):
        return isinstance(actual, Decimal) and abs(actual - expected) < Decimal("1e-8")
    if isinstance(expected, list):
        return isinstance(actual, list) and len(actual) == len(expected) and all(map(same, actual, expected))
    if isinstance(expected, dict):
        return isinstance(actual, dict) and actual.keys() == expected.keys() and all(same(actual[k], v) for k, v in expected.items())
    return type(actual) is type(expected) and actual == expected


def cases(path):
    root = etree.parse(path).getroot()
    model = etree.parse(path.parent / root.findtext(NS + "modelName")).getroot()
    texts = {}
    for decision in model.iter("{*}decision"):
        literal = decision.find("{*}literalExpression")
        needs = decision.find("{*}informationRequirement") is not None or decision.find("{*}knowledgeRequirement") is not None
        variable = decision.find("{*}variable")
        if literal is None or needs or (variable is not None and variable.get("typeRef") not in (None, "Any")):
            continue
        texts[decision.get("name")] = literal.findtext("{*}text")
    for case in root.iter(NS + "testCase"):
        for result in case.findall(NS + "resultNode"):
            expected = result.find(NS + "expected")
            if result.get("name") in texts and expected is not None and not case.get("type") == "decisionService":
                yield texts[result.get("name")], value_of(expected), {n.get("name"): value_of(n) for n in case.findall(NS + "inputNode")}


FILES = [f for f in sorted(TCK.glob("*/*/*-test-*.xml")) if next(cases(f), None) is not None]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_literal_expressions(path):
    failed, count = [], 0
    for text, expected, context in cases(path):
        count += 1
        try:
            actual = feel.evaluate(text, context, facts=FACTS)
        except feel.FeelSyntaxError as error:
            actual = None if expected is None else error
        if not same(actual, expected):
            failed.append(f"{text} => {actual!r}, expected {expected!r}")
    assert not failed, f"{len(failed)} of {count} failed\n" + "\n".join(failed)


def test_the_data_is_there():
    assert sum(1 for f in FILES for _ in cases(f)) > 1_500
