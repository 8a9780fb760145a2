"""Steps bound the work of an evaluation, whatever stands inside of what is iterated or called: the work itself is counted, not the time."""

from __future__ import annotations

import pytest

from flowledger.kernel.feel import evaluate, limits
from tests.counting import calls

STEPS = 5_000
#: calls of functions that a step may cost on average
CALLS = 10

MANY = "1..1000000"
LONG = {
    "a long sum": f"for i in {MANY} return " + "+".join(["i"] * 900),
    "a long conjunction": f"for i in {MANY} return " + " and ".join(["i > 0"] * 400),
    "a large context": f"for i in {MANY} return {{" + ",".join(f"a{n}: i" for n in range(400)) + "}",
    "a large list": f"for i in {MANY} return [" + ",".join(["i"] * 2_000) + "]",
    "nested choices": f"for i in {MANY} return " + "if i > 0 then (" * 60 + "i" + ") else 0" * 60,
    "a quantifier": f"every i in {MANY} satisfies " + " and ".join(["i > 0"] * 400),
    "a filter": "list[" + " and ".join(["item > -1"] * 400) + "]",
    "a called function": "{f: function(n) " + "+".join(["n"] * 400) + f", r: for i in {MANY} return f(i)}}.r",
    "a function that sorts": "sort(list, function(a, b) " + "+".join(["a"] * 400) + " < b)",
    "a recursion": "{f: function(n) if n <= 1 then 1 else f(n - 1) + f(n - 2), r: f(40)}.r",
    "tests": f"for i in {MANY} return i in (" + ",".join(f"[{n}..{n + 1}]" for n in range(-400, 0)) + ")",
    "many local names": "{" + ",".join(f"a{n}: {n}" for n in range(600)) + f", r: for i in {MANY} return i}}.r",
    "many local names of a filter": "{" + ",".join(f"a{n}: {n}" for n in range(600)) + ", r: list[item > -1]}.r",
    "types": f"for i in {MANY} return " + " and ".join(["i instance of number"] * 300),
    "built-ins": f"for i in {MANY} return " + "abs(" * 60 + "i" + ")" * 60,
}
CONTEXT = {"list": list(range(100_000))}


@pytest.mark.parametrize("name", LONG)
def test_what_is_repeated_counts_as_much_as_it_does(name, monkeypatch):
    monkeypatch.setattr(limits, "steps_max", STEPS)
    evaluate(LONG[name], CONTEXT)  # compiled, and what `convert` keeps
    warnings, found = [], []
    made = calls(lambda: found.append(evaluate(LONG[name], CONTEXT, warnings=warnings)))
    assert found == [None]
    assert [w.code for w in warnings] == ["LIMIT_STEPS"]
    assert made < CALLS * STEPS, f"{made / STEPS:.1f} calls a step"


def test_plain_iterations_cost_one_step_each(monkeypatch):
    monkeypatch.setattr(limits, "steps_max", STEPS)
    n = STEPS // 2 - 10
    for text in (f"count(for i in 1..{n} return i * 2)", f"count((1..{n})[item + 1 > 0])", f"every i in 1..{n} satisfies i + 1 > 0"):
        warnings = []
        evaluate(text, {}, warnings=warnings)
        assert "LIMIT_STEPS" not in [w.code for w in warnings], text


@pytest.mark.parametrize(
    "costly",
    ["exp(i / 7)", "log(i)", "2.5 ** (i / 7)", 'date and time("2024-01-01T00:00:00@Europe/Berlin") + duration("P" + string(i) + "D")'],
)
def test_costly_functions_and_operators_count_for_more(costly, monkeypatch):
    """A logarithm of 34 digits takes as long as some sixty iterations."""
    monkeypatch.setattr(limits, "steps_max", STEPS)
    warnings = []
    evaluate(f"for i in 1..{STEPS // 20} return {costly}", {}, warnings=warnings)
    assert [w.code for w in warnings] == ["LIMIT_STEPS"]
