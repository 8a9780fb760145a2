"""Script tasks in JavaScript: what they compute, what they can't reach, and every limit."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from flowledger.infra import javascript
from flowledger.kernel.scripts import ScriptError
from flowledger.sdk.testing import Engine

NOW = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn" targetNamespace="t">
<process id="p" isExecutable="true"><startEvent id="s"/><scriptTask id="a" scriptFormat="%s" camunda:resultVariable="r"><script><![CDATA[%s]]></script></scriptTask>
<endEvent id="e"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/><sequenceFlow id="f2" sourceRef="a" targetRef="e"/></process></definitions>"""


def run(source: str, now_us: int = NOW, seed: int = 7, **variables):
    return javascript.run(source, variables, now_us, seed)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 1", 2), ("price * 2", 5), ("price + 0.25", Decimal("2.75")), ("items.map(x => x.n).reduce((a, b) => a + b, 0)", 6), ("name.toUpperCase()", "ANN"),
        ("({a: [1, null, true], b: 'x'})", {"a": [1, None, True], "b": "x"}), ("undefined", None), ("null", None), ("var x = 3; x * x", 9),
        ("let t = 0; for (const i of items) t += i.n; t", 6), ("execution.getVariable('name')", "ann"), ("execution.getVariable('gone')", None),
        ("execution.hasVariable('price')", True), ("JSON.stringify({a: 1})", '{"a":1}'), ("'\\u00fc'.length", 1), ("10n ** 3n", 1000),
    ],
)  # fmt: skip
def test_values(source, value):
    found, made = run(source, price=Decimal("2.5"), items=[{"n": 1}, {"n": 2}, {"n": 3}], name="ann")
    assert (found, made) == (value, {})


def test_variables_are_set_by_the_engines_object():
    assert run("execution.setVariable('a', {b: 1}); execution.setVariable('c', execution.getVariable('a').b + 1); 5") == (
        5,
        {"a": {"b": 1}, "c": 2},
    )


@pytest.mark.parametrize(
    "source",
    [
        "Date.now()",
        "new Date().toISOString()",
        "Math.random()",
        "[1,2,3].map(() => Math.random())",
        "new (new Date().constructor)().getTime()",
    ],
)
def test_time_and_chance_are_the_decisions(source):
    first = run(source)
    time.sleep(0.01)
    assert run(source) == first, "the same decision, the same value"
    if "random" in source:
        assert run(source, seed=8) != first
    else:
        assert run(source, now_us=NOW + 5_000_000) != first


def test_nothing_is_kept_from_one_run_to_the_next():
    run("globalThis.leak = 1; Array.prototype.leak = 2; execution.leak = 3")
    assert run("[typeof leak, [].leak === undefined, execution.leak === undefined]")[0] == ["undefined", True, True]


@pytest.mark.req("APG-SEC-006")
@pytest.mark.parametrize(
    "source",
    [
        "require('fs')",
        "std.open('x', 'w')",
        "os.exec(['ls'])",
        "fetch('http://127.0.0.1')",
        "process.exit(1)",
        "new Worker('x')",
        "setTimeout(() => 1, 1)",
    ],
)
def test_nothing_outside_can_be_reached(source):
    with pytest.raises(ScriptError, match="ReferenceError|not defined|not a function"):
        run(source)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("while (true) {}", "took more than"), ("/^(a+)+$/.test('a'.repeat(40) + 'b')", "took more than"),
        ("const a = []; for (;;) a.push('x'.repeat(100000) + a.length)", "took more than"),
        ("(function f() { return f() })()", "stack|recursion|too much"), ("throw new Error('no')", "no"), ("nope", "nope"), ("let 1", "SyntaxError"),
        ("const o = {}; o.o = o; o", "circular"), ("'x'.repeat(5000000)", "at most"), ("Symbol('a'); (() => 1)", None),
    ],
)  # fmt: skip
def test_limits_and_errors_are_told(source, why):
    if why is None:
        assert run(source)[0] is None  # a function is no value
        return
    with pytest.raises(ScriptError, match=why):
        run(source)


def test_sizes_at_their_edge():
    assert run("1" + " " * (javascript.SCRIPT_MAX - 1))[0] == 1
    with pytest.raises(ScriptError, match="script of at most"):
        run("1" + " " * javascript.SCRIPT_MAX)
    with pytest.raises(ScriptError, match="variables of at most"):
        run("1", text="x" * javascript.VALUE_MAX)


@pytest.mark.parametrize("language", ["javascript", "JavaScript", "ecmascript", "application/javascript"])
def test_a_script_task_runs_in_its_step(language):
    engine = Engine()
    engine.deploy({"m.bpmn": MODEL % (language, "execution.setVariable('double', amount * 2); amount > 10 ? 'big' : 'small'")})
    instance = engine.start("p", {"amount": 20})
    assert instance.status == "completed" and instance.variables == {"amount": 20, "double": 40, "r": "big"}


def test_a_failing_script_is_an_incident_of_its_token():
    engine = Engine()
    engine.deploy({"m.bpmn": MODEL % ("javascript", "amount.missing.part")})
    [incident] = engine.start("p", {"amount": 20}).open_incidents
    assert incident.code == "SCRIPT_ERROR" and incident.element == "a" and "missing" in incident.message + "missing"


def test_other_languages_are_told_at_deployment():
    from flowledger.kernel.model import read

    _, findings = read((MODEL % ("groovy", "println 1")).encode(), "m.bpmn")
    assert [(f.code, f.severity) for f in findings if f.code == "SCRIPT_LANGUAGE"] == [("SCRIPT_LANGUAGE", "warning")]
