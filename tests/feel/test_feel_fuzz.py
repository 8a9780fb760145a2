"""Expressions made from the grammar, and broken ones: no crash but FeelSyntaxError, no hang, the same answer twice.

`FEEL_FUZZ=100000 pytest tests/feel/test_feel_fuzz.py` runs longer.
"""

import os
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowledger.kernel import feel
from flowledger.kernel.feel import values
from flowledger.kernel.feel.builtins import BUILTINS

EXAMPLES = int(os.environ.get("FEEL_FUZZ", "150"))
#: no deadline: the machine may be busy; what bounds an expression is its steps (test_feel_steps.py)
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
CONTEXT = {
    "a": 1,
    "b": "text",
    "a-b": [1, 2.5, None],
    "Full Name": {"first name": "x", "n": [1]},
    "d": values.FeelDate(2020, 2, 29),
    "n": None,
    "xs": [{"p": 1}, {"p": "2"}],
    "t": True,
}

ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "a-b",
        "Full Name",
        "d",
        "n",
        "xs",
        "t",
        "item",
        "?",
        "partial",
        "x y",
        "1",
        "0",
        "-1",
        "2.50",
        "1e3",
        "99999999999",
        '"s"',
        '""',
        '"\\u0041"',
        "true",
        "false",
        "null",
        '@"2020-01-31"',
        '@"10:00:00@Europe/Paris"',
        '@"P1D"',
        '@"P1Y"',
        '@"2020-01-01T10:00:00Z"',
        '@"bad"',
        "[]",
        "{}",
        "(< 1)",
        "[1..3]",
        "(a..5[",
        "abs",
        "sum",
    ]
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "**", "=", "!=", "<", "<=", ">", ">=", "and", "or", "in", "between 1 and"])
TYPES = st.sampled_from(
    ["number", "string", "list<Any>", "context<a: number>", "date and time", "function<number> -> Any", "range<number>", "nope"]
)
NAMES = st.sampled_from(sorted(BUILTINS))
MEMBERS = st.sampled_from(["year", "first name", "p", "start", "time offset", "days", "a-b"])
TOKENS = '( ) [ ] { } . , : " @ ? - + * / < > = ! a b1 in if then else for some not function null \\ .. return'.split()


def grow(e):
    return st.one_of(
        st.tuples(e, OPERATORS, e).map(" ".join),
        e.map("({})".format),
        e.map("-{}".format),
        e.map("not({})".format),
        st.tuples(e, e, e).map(lambda x: "if {} then {} else {}".format(*x)),
        st.tuples(e, e).map(lambda x: "for i in {} return {}".format(*x)),
        st.tuples(e, e, e).map(lambda x: "for i in {}..{} return {}".format(*x)),
        st.tuples(st.sampled_from(["some", "every"]), e, e).map(lambda x: "{} i in {} satisfies {}".format(*x)),
        st.tuples(e, e).map(lambda x: "({})[{}]".format(*x)),
        st.tuples(e, MEMBERS).map(lambda x: "({}).{}".format(*x)),
        st.tuples(e, TYPES).map(lambda x: "{} instance of {}".format(*x)),
        st.lists(e, max_size=3).map(lambda x: f"[{', '.join(x)}]"),
        st.tuples(e, e).map(lambda x: "{{a: {}, x y: {}}}".format(*x)),
        st.tuples(e, e).map(lambda x: "(function(i, x y) {})({}, 1)".format(*x)),
        st.tuples(NAMES, st.lists(e, max_size=4)).map(lambda x: f"{x[0]}({', '.join(x[1])})"),
        st.tuples(e, e, st.sampled_from(["[]", "()", "][", "[)", "(]"])).map(lambda x: f"{x[2][0]}{x[0]}..{x[1]}{x[2][1]}"),
    )


EXPRESSIONS = st.recursive(ATOMS, grow, max_leaves=10)


def check(text):
    try:
        compiled = feel.compile(text)
    except feel.FeelSyntaxError as error:
        assert 0 <= error.position <= len(text)
        return
    warnings = []
    value = compiled(CONTEXT, None, warnings)
    assert values.kind(value) != "unknown"
    if not (values.kind(value) == "number" and not value.is_finite()):
        try:
            assert _json(values.to_json(value)) == _json(values.to_json(compiled(CONTEXT)))
        except ValueError:
            pass
    assert all(isinstance(w.position, int) and -1 <= w.position <= len(text) for w in warnings)


def _json(value):
    assert isinstance(value, (str, int, Decimal, list, dict, type(None)))
    return value


@SETTINGS
@given(EXPRESSIONS)
def test_expressions_of_the_grammar(text):
    check(text)


@SETTINGS
@given(EXPRESSIONS, st.integers(0, 200), st.integers(0, 5), st.text(max_size=3))
def test_damaged_expressions(text, at, length, patch):
    check(text[:at] + patch + text[at + length :])


@SETTINGS
@given(st.text(max_size=30) | st.lists(st.sampled_from(TOKENS), max_size=20).map(" ".join))
def test_any_text(text):
    check(text)


@SETTINGS
@given(EXPRESSIONS | st.lists(EXPRESSIONS, max_size=3).map(lambda x: f"not({', '.join(x)})"), st.sampled_from(list(CONTEXT.values())))
def test_unary_tests_give_booleans(text, value):
    try:
        tests = feel.compile_unary(text)
    except feel.FeelSyntaxError:
        return
    assert type(tests(value, CONTEXT)) is bool


@SETTINGS
@given(NAMES, st.lists(ATOMS, max_size=5))
def test_every_function_takes_anything(name, arguments):
    check(f"{name}({', '.join(arguments)})")
