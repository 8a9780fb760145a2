"""Every given case of the DMN TCK, levels 2 and 3 (shared/dmn-tck), one test for each folder.

Numbers may differ by less than 1e-8, as upstream's runners allow; all else is exact. A failing test prints each failed case in one line.
"""

import os
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree

from flowledger.kernel import dmn, feel

TCK = Path(os.environ.get("SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared")) / "dmn-tck"
if not TCK.is_dir() and os.environ.get("CI") != "true":
    pytest.skip(f"the TCK data isn't at {TCK}", allow_module_level=True)
FILES = sorted(TCK.glob("compliance-level-[23]/*/*-test-*.xml"))
NS = "{http://www.omg.org/spec/DMN/20160719/testcase}"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
#: Calls Java classes: null without a JVM (the README of the data says to count it apart).
JVM = "0076-feel-external-java"

#: xsd type -> FEEL function that reads its text.
READERS = {"date": "date", "time": "time", "dateTime": "date and time", "duration": "duration"}


def value_of(e):
    """The FEEL value below an inputNode, expected, item or component element."""
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
    text, kind = values[0].text or "", (values[0].get(XSI + "type") or "xsd:string").split(":")[-1]
    if kind in READERS:
        value = feel.evaluate(f'{READERS[kind]}("{text.strip()}")', {})
        assert value is not None, f"{kind} {text} isn't read"
        return value
    if kind == "boolean":
        return text.strip() in ("true", "1")
    if kind in ("decimal", "double", "integer", "int", "long", "float"):
        return Decimal(text.strip())
    return text


def same(actual, expected) -> bool:
    if isinstance(expected, bool) or expected is None:
        return actual is expected
    if isinstance(expected, Decimal):
        return isinstance(actual, (Decimal, int)) and not isinstance(actual, bool) and abs(actual - expected) < Decimal("1e-8")
    if isinstance(expected, list):
        return isinstance(actual, list) and len(actual) == len(expected) and all(map(same, actual, expected))
    if isinstance(expected, dict):
        return isinstance(actual, dict) and actual.keys() == expected.keys() and all(same(actual[k], v) for k, v in expected.items())
    return type(actual) is type(expected) and actual == expected


def cases(path: Path):
    """(id, kind, name, result name, inputs, expected) of every result node of a test file."""
    for case in etree.parse(path).getroot().findall(NS + "testCase"):
        inputs = {}
        for node in case.findall(NS + "inputNode"):
            key = (node.get("namespace"), node.get("name")) if node.get("namespace") else node.get("name")
            inputs[key] = value_of(node)
        for result in case.findall(NS + "resultNode"):
            expected = result.find(NS + "expected")
            yield (
                case.get("id"),
                case.get("type") or "decision",
                case.get("invocableName"),
                result.get("name"),
                inputs,
                value_of(expected) if expected is not None else None,
            )


def model_of(path: Path):
    name = etree.parse(path).getroot().findtext(NS + "modelName")
    others = [p.read_bytes() for p in sorted(path.parent.glob("*.dmn")) if p.name != name]
    return dmn.read((path.parent / name).read_bytes(), others)


class Noon:
    """2026-01-02T12:00:00Z: some cases ask for the time."""

    now_us = 1_767_355_200_000_000


def run(model, kind, invocable, name, inputs):
    if kind == "decision":
        return model.evaluate(name, inputs, "decision", Noon).value
    value = model.evaluate(invocable, inputs, {"decisionService": "service"}.get(kind, kind), Noon).value
    several = kind == "decisionService" and isinstance(value, dict) and name in value
    return value[name] if several else value


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.parent.name[-1]}/{p.parent.name}")
def test_tck(path):
    model = model_of(path)
    failed, count = [], 0
    for id_, kind, invocable, name, inputs, expected in cases(path):
        count += 1
        if path.parent.name == JVM:
            expected = None
        try:
            actual = run(model, kind, invocable, name, inputs)
        except Exception as e:
            actual = e
        if isinstance(actual, Exception) or not same(actual, expected):
            failed.append(f"{id_} {name}: expected {expected!r}, got {actual!r}")
    assert count
    assert not failed, f"{len(failed)} of {count} failed\n" + "\n".join(failed)


def test_all_the_data_is_there():
    assert len(FILES) == 88
