"""Compiled expressions: names, what they read, warnings, bounds, functions of others."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from flowledger.kernel import feel
from flowledger.kernel.feel import types, values
from flowledger.kernel.feel.errors import LimitReached

D = Decimal


def test_numbers_of_results_are_decimals_whatever_went_in():
    assert feel.evaluate("x", {"x": {"a": [1, 2.5, True, "s", None]}}) == {"a": [D(1), D("2.5"), True, "s", None]}
    assert type(feel.evaluate("x.a[1]", {"x": {"a": [1]}})) is D
    assert feel.evaluate("0.1 + x", {"x": 0.2}) == D("0.3")
    assert feel.evaluate("x", {"x": float("nan")}) is None


def test_inputs_are_not_changed():
    inputs = {"x": {"a": [1]}}
    assert feel.evaluate("append(x.a, 2)", inputs) == [1, 2]
    assert inputs == {"x": {"a": [1]}} and type(inputs["x"]["a"][0]) is int


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ('amount > 1000 and status = "open"', {"amount", "status"}),
        ("order.total + sum(items.price)", {"order", "items"}),
        ("for i in xs return i + y", {"xs", "y"}),
        ("{a: b, c: a}.c", {"b"}),
        ("xs[price > limit]", {"xs", "price", "limit"}),
        ("function(a) a + b", {"b"}),
        ("count(xs)", {"xs"}),
        ("count > 3 and date = today()", {"count", "date"}),
        ("1 + 2", set()),
    ],
)
def test_reads(text, reads):
    assert feel.compile(text).reads == reads


def test_reads_of_unary_tests_are_without_the_value():
    assert feel.compile_unary("> limit, ? < low").reads == {"limit", "low"}


@pytest.mark.parametrize(
    ("text", "context", "value"),
    [
        ("Full Name", {"Full Name": "J"}, "J"),
        ("Full   Name", {"Full Name": "J"}, "J"),
        ("a - b", {"a": 5, "b": 3}, D(2)),
        ("a - b", {"a": 5, "b": 3, "a-b": 9}, D(9)),
        ("(a)-(b)", {"a": 5, "b": 3, "a-b": 9}, D(2)),
        ("a b + c", {"a b": 1, "a b + c": 7, "c": 1}, D(7)),
        ("Profit and loss", {"Profit and loss": 3, "Profit": True, "loss": True}, D(3)),
        ("Student's name", {"Student's name": "x"}, "x"),
        ("loan.monthly payment * 2", {"loan": {"monthly payment": 3}}, D(6)),
        ("loan.pay-back", {"loan": {"pay-back": 3}}, D(3)),
        ("loans[pay-back > 1].pay-back", {"loans": [{"pay-back": 1}, {"pay-back": 2}]}, [D(2)]),
        ("date and time", {"date": True, "time": True}, True),
        ('date and time("2020-01-01").year', {"date": 1}, D(2020)),
        ("count(count)", {"count": [1, 2]}, D(2)),
        ("for count in [[1], [2, 3]] return count(count)", {}, [D(1), D(2)]),
        ("xs[count(item) = 2]", {"xs": [[1], [2, 3]], "count": 5}, [[D(2), D(3)]]),
        ("if x then y else z", {"x": True, "y": 1, "z": 2}, D(1)),
        ("横綱 + 1", {"横綱": 1}, D(2)),
        ("🐎.a", {"🐎": {"a": 1}}, D(1)),
    ],
)
def test_names(text, context, value):
    assert feel.evaluate(text, context) == value
    assert feel.compile(text, context)(context) == value
    if "'" not in text:
        assert feel.compile(text)(context) == value


def test_one_expression_is_read_anew_for_each_set_of_names():
    both = feel.compile("a-b")
    assert both({"a": 5, "b": 3}) == 2
    assert both({"a": 5, "b": 3, "a-b": 9}) == 9
    assert both({"a": 6, "b": 3}) == 3


def test_the_item_of_a_filter_hides_variables():
    items = [{"x": 1}, {"x": 2}, {"item": 5}]
    assert feel.evaluate("items[x = 2]", {"items": items, "x": 9}) == [{"x": 2}]
    assert feel.evaluate("items[item = 5]", {"items": items}) == [{"item": 5}]
    assert feel.evaluate("a[b[item > x] = [3]]", {"a": [{"x": 2}], "b": [1, 3]}) == [{"x": 2}]


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("1 + missing", "NAME_UNKNOWN", 4),
        ('1 + "a"', "OPERAND_TYPES", 2),
        ("1 / 0", "OUT_OF_RANGE", 2),
        ("[1][2]", "OUT_OF_RANGE", 3),
        ('@"x"', "BAD_LITERAL", 0),
        ("substring(1)", "FUNCTION_ARGUMENTS", 9),
        ('date("x")', "FUNCTION_FAILED", 4),
        ("1(2)", "NOT_A_FUNCTION", 1),
        ("(function(a: string) a)(1)", "TYPE_MISMATCH", 23),
        ("(function(a) external {java: 1})(1)", "EXTERNAL_FUNCTION", 1),
        ("for i in 1..1000000000 return i", "LIMIT_STEPS", -1),
        ("{f: function(n) f(n + 1), r: f(1)}.r", "LIMIT_DEPTH", -1),
        ('for i in 1..40 return if i = 1 then "a" else partial[-1] + partial[-1]', "LIMIT_SIZE", -1),
        ("string(for i in 1..60 return [partial, partial])", "LIMIT_STEPS", -1),
    ],
)
def test_null_is_explained(text, code, position):
    warnings = []
    feel.evaluate(text, {}, warnings=warnings)
    assert (warnings[0].code, warnings[0].position) == (code, position)
    assert warnings[0].message


@pytest.mark.parametrize(
    "text",
    [
        "1 +",
        "(1",
        "[1,",
        "if a then b",
        "for x return 1",
        '"abc',
        "{a: }",
        "a..b",
        "f(a:1, 2)",
        "1 2",
        "",
        "instance of",
        "x instance of",
        "[1..2",
        "@",
        "{a: 1, a: 2}",
        "(" * 200 + "1" + ")" * 200,
        "1" + " + 1" * 1001,
        "\u0000",
    ],
)
def test_what_can_t_be_parsed(text):
    with pytest.raises(feel.FeelSyntaxError) as caught:
        feel.compile(text)
    assert 0 <= caught.value.position <= len(text)


def test_a_syntax_error_tells_where():
    with pytest.raises(feel.FeelSyntaxError) as caught:
        feel.compile("1 +\n  2 +* 3")
    assert (caught.value.position, caught.value.line, caught.value.column) == (9, 2, 6)


def test_whether_it_is_too_deep_does_not_depend_on_the_caller():
    deep = feel.compile("{f: function(n) if n = 0 then 0 else 1 + f(n - 1), r: f(x)}.r")
    most = max(n for n in range(100, 400, 10) if deep({"x": n}) is not None)

    def below(levels):
        return (deep({"x": most}), deep({"x": most + 10})) if levels == 0 else below(levels - 1)

    assert below(0) == (most, None)
    assert below(800) == (most, None)


def test_the_clock_is_in_the_facts():
    facts = SimpleNamespace(now_us=1_772_353_800_123_456)
    assert str(feel.evaluate("now()", {}, facts=facts)) == "2026-03-01T08:30:00.123456Z"
    assert str(feel.evaluate("today()", {}, facts=facts)) == "2026-03-01"
    warnings = []
    assert feel.evaluate("now()", {}, warnings=warnings) is None
    assert warnings[0].code == "FUNCTION_FAILED"


@pytest.mark.parametrize(
    ("tests", "value", "holds"),
    [
        ("-", None, True),
        ("", 1, True),
        ("5", 5, True),
        ("< 5", 4, True),
        ("< 5", "a", False),
        ("[1..5), 9", 9, True),
        ("not(1, 2)", 3, True),
        ("not(1, 2)", 2, False),
        ("not(< 5)", None, False),
        ('"a", "b"', "b", True),
        ("null", None, True),
        ("? > 3 and ? < 9", 5, True),
        ("? > 3 and ? < 9", 9, False),
        ("xs", 2, True),
        ("not(xs)", 2, False),
        ("limit", 7, True),
        ("> limit - 1", 7, True),
        ("true", False, False),
        ("limit > 5", 1, True),
        ("not(limit > 5)", 1, False),
        ("string length(?) = 3", "abc", True),
        ("[1, 2]", [1, 2], True),
        ('date("2020-01-01")', values.FeelDate(2020, 1, 1), True),
        ("not(?) ", True, False),
    ],
)
def test_unary_tests(tests, value, holds):
    context = {"xs": [1, 2], "limit": 7}
    assert feel.unary_test(tests, value, context) is holds
    assert feel.compile_unary(tests)(value, context) is holds


def test_functions_of_others_are_called_positionally_and_by_name():
    area = values.FeelFunction(["width", "side length"], lambda w, s: w * s, [types.NUMBER, None], "area")
    assert feel.evaluate("area(2, 3)", {"area": area}) == 6
    assert feel.evaluate("area(side length: 3, width: 2)", {"area": area}) == 6
    assert feel.evaluate("area([2], 3)", {"area": area}) == 6
    warnings = []
    assert feel.evaluate('area("2", 3)', {"area": area}, warnings=warnings) is None
    assert feel.evaluate("area(2)", {"area": area}, warnings=warnings) is None
    assert feel.evaluate("area(x: 2)", {"area": area}, warnings=warnings) is None
    assert [w.code for w in warnings] == ["TYPE_MISMATCH", "FUNCTION_ARGUMENTS", "FUNCTION_ARGUMENTS"]


def test_a_function_of_feel_can_be_called_from_outside():
    add = feel.evaluate("function(a, b) a + b + c", {"c": 1})
    assert add(1, 2) == 4


def test_a_shared_runtime_bounds_all_expressions_together():
    runtime = feel.Runtime()
    some = feel.compile("count(for i in 1..400000 return i)")
    assert some({}, runtime=runtime) == 400_000
    assert some({}, runtime=runtime) == 400_000
    with pytest.raises(LimitReached):
        some({}, runtime=runtime)


def test_named_types():
    class Adult:
        name = "tAdult"

        def conforms(self, value):
            return isinstance(value, Decimal) and value >= 18

    expression = feel.compile("[18 instance of tAdult, 3 instance of tAdult, 3 instance of tChild]", types={"tAdult": Adult()})
    assert expression({}) == [True, False, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null instance of Null", True),
        ("null instance of string", False),
        ("1 instance of Any", True),
        ("[] instance of list<string>", True),
        ('[1, "a"] instance of list<number>', False),
        ("{a: 1} instance of context<a: number>", True),
        ("{} instance of context<a: number>", False),
        ("[1..2] instance of range<number>", True),
        ("(< 2) instance of range<string>", False),
        ("abs instance of function<number> -> number", True),
        ("(function(a: string) a) instance of function<number> -> Any", False),
        ("(function(a: Any) a) instance of function<number> -> Any", True),
        ('@"P1D" instance of days and time duration', True),
        ('@"P1Y" instance of days and time duration', False),
        ("1 instance of list", None),
    ],
)
def test_instance_of(text, expected):
    assert feel.evaluate(text, {}) is expected


@pytest.mark.parametrize(
    ("type_", "value", "made"),
    [
        (types.NUMBER, [D(1)], D(1)),
        (types.NUMBER, "1", types.BAD),
        (types.ListType(types.NUMBER), D(1), [D(1)]),
        (types.STRING, None, None),
        (types.DATE_TIME, values.FeelDate(2020, 1, 1), values.FeelDateTime(values.FeelDate(2020, 1, 1), 0, 0)),
        (types.ListType(types.NUMBER), ["a"], types.BAD),
        (types.ANY, [D(1)], [D(1)]),
    ],
)
def test_coercion(type_, value, made):
    assert types.coerce(value, type_) == made
