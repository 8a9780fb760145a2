"""Kinds that users found wrong: each as a table over all its members (DMN 1.5, 10.3)."""

import itertools

import pytest

from flowledger.kernel import feel
from flowledger.kernel.feel import values
from flowledger.kernel.feel.builtins import BUILTINS

#: one text of a value for each kind, zones and offsets apart; texts in one row are the same value
SAME = [
    ["null"],
    ["true", "not(false)"],
    ["1", "1.0", "2 - 1"],
    ['"1"'],
    ['@"2025-01-01"', "date(2025, 1, 1)"],
    ['@"2025-01-01T00:00:00"'],
    ['@"2025-01-01T00:00:00Z"', '@"2025-01-01T00:00:00+00:00"'],
    ['@"2025-01-01T01:00:00+01:00"'],
    ['@"2025-01-01T00:00:00@Etc/UTC"'],
    ['@"2025-01-01T01:00:00@Europe/Berlin"'],
    ['@"2025-01-01T01:00:00@Europe/Paris"'],
    ['@"10:00:00"'],
    ['@"10:00:00.5"'],
    ['@"10:00:00Z"', '@"10:00:00+00:00"', 'time(10, 0, 0, @"PT0S")'],
    ['@"10:00:00@Etc/UTC"'],
    ['@"10:00:00+01:00"', 'time(10, 0, 0, @"PT1H")'],
    ['@"10:00:00@Europe/Berlin"'],
    ['@"10:00:00@Europe/Paris"'],
    ['@"P1D"', '@"PT24H"'],
    ['@"P1Y"', '@"P12M"'],
    ["[1]", "[1.0]"],
    ['[@"10:00:00Z"]'],
    ['[@"10:00:00@Etc/UTC"]'],
    ["{a: 1}"],
    ['{a: @"10:00:00Z"}'],
    ['{a: @"10:00:00@Etc/UTC"}'],
    ["[1..2]"],
    ["[1..2)"],
    ["(< 2)"],
]


@pytest.mark.parametrize("n", range(len(SAME)))
def test_is_by_every_pair_of_kinds(n):
    for m in range(n, len(SAME)):
        for a, b in itertools.product(SAME[n], SAME[m]):
            assert feel.evaluate(f"is({a}, {b})") is (n == m), (a, b)
            assert feel.evaluate(f"is(value2: {a}, value1: {b})") is (n == m), (a, b)


#: an argument of each kind of parameter
OF = {
    "number": "1", "string": '"a"', "boolean": "true", "context": "{}", "date": '@"2025-01-01"', "time": '@"10:00:00"', "date and time": '@"2025-01-01T10:00:00"',
    "day": '@"2025-01-01"', "moment": '@"10:00:00"', "days and time duration": '@"PT1H"', "duration": '@"P1Y"', "range": "[1..2]", "point": "1",
    "measure": "1", "any": "1", "not null": "1", "list": "[1]", "function": "function(a, b) a < b", "pure list": '["a"]',
}  # fmt: skip


def parameters(text):
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, kind = (x.strip() for x in part.partition(":"))
        if not name.startswith("*"):
            yield name.rstrip("?"), kind.removesuffix("|null"), name.endswith("?") or kind.endswith("|null")


@pytest.mark.parametrize("name", sorted(BUILTINS))
def test_every_function_by_the_names_of_its_parameters(name):
    """By names as by position; an unknown or superfluous one is null, a missing one is a null, too many or few by position are null."""
    function = BUILTINS[name]
    for signature in function.signatures:
        own = list(parameters(signature.text))
        if not own:
            continue
        arguments = [(n, feel.evaluate(OF[kind])) for n, kind, _ in own]
        scope = {f"v{k}": v for k, (_, v) in enumerate(arguments)}
        by_name = ", ".join(f"{n}: v{k}" for k, (n, _) in enumerate(arguments))
        by_place = ", ".join(scope)
        a, b = feel.evaluate(f"{name}({by_name})", scope), feel.evaluate(f"{name}({by_place})", scope)
        assert values.text(a) == values.text(b)
        warnings = []
        assert feel.evaluate(f"{name}({by_name}, no such: 1)", scope, warnings=warnings) is None
        assert warnings[-1].code == "FUNCTION_ARGUMENTS"
        for left_out, (parameter, kind, optional) in enumerate(own):
            rest = ", ".join(f"{n}: v{k}" for k, (n, _) in enumerate(arguments) if k != left_out)
            as_null = ", ".join(f"{n}: null" if k == left_out else f"{n}: v{k}" for k, (n, _) in enumerate(arguments))
            if len(function.signatures) > 1 or optional or len(own) == 1:
                continue  # another signature may fit what is left; no argument at all has no names
            missing = feel.evaluate(f"{name}({rest})", scope)
            assert values.text(missing) == values.text(feel.evaluate(f"{name}({as_null})", scope)), (parameter, kind)
        if signature.rest is None:
            warnings = []
            most = max(len(s.names) for s in function.signatures)
            if not any(s.rest for s in function.signatures):
                assert feel.evaluate(f"{name}({', '.join(['1'] * (most + 1))})", scope, warnings=warnings) is None
                assert warnings[-1].code == "FUNCTION_ARGUMENTS"


#: what takes a null by its meaning
_TAKES_NULL = {
    "is", "string", "not", "append", "list contains", "index of", "insert before", "list replace", "context put", "get or else", "fromAi", "is defined", "assert",
    "concatenate", "union", "min", "max", "sum", "mean", "all", "any", "product", "median", "stddev", "mode",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BUILTINS))
def test_every_function_with_null_and_with_other_kinds(name):
    """A null or a value of the wrong kind where the function wants another is null, never an exception, and says why."""
    for signature in BUILTINS[name].signatures:
        own = list(parameters(signature.text))
        for k, (_, kind, optional) in enumerate(own):
            for odd in ("null", '"?"', "-1", "{q: 1}", "[[]]", "true", "function(x) x", '@"P1Y"', "[1..2)"):
                arguments = ", ".join(odd if j == k else OF[kd] for j, (_, kd, _) in enumerate(own))
                warnings = []
                value = feel.evaluate(f"{name}({arguments})", warnings=warnings)
                assert value is None or warnings == []
                if odd == "null" and not optional and kind != "any" and name not in _TAKES_NULL:
                    assert value is None and warnings, (arguments, kind)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("for i in 3..1 return i", [3, 2, 1]),
        ("for i in a..b return i", [3, 2, 1]),
        ("for i in 1..1 return i", [1]),
        ("for i in [1..3] return i", [1, 2, 3]),
        ("for i in (1..3) return i", [2]),
        ("for i in [1..1) return i", []),
        ("for i in [3..1] return i", None),
        ("for i in [a..b] return i", None),
        ("for i in (< 3) return i", None),
        ('for i in ["a".."c"] return i', None),
        ("for i in [1.5..3] return i", None),
        ('count(for d in @"2025-01-03"..@"2025-01-01" return d)', 3),
        ('for d in [@"2025-01-03"..@"2025-01-01"] return d', None),
        ("some i in 3..1 satisfies i = 1", True),
        ("some i in [3..1] satisfies i = 1", None),
        ("every i in [3..1] satisfies i = 1", None),
        ("2 in [3..1]", False),
        ("`a` + `odd name!`", 8),
        ("`steady-state`.`p 1`[1]", 7),
        ("{`x y`: 1, z: `x y` + 1}.z", 2),
        ("for `an item` in [1] return `an item`", [1]),
        ("`if`", 9),
        ("assert(a, a > 1)", 3),
        ("assert(a, a > 3)", None),
    ],
)
def test_iterations_ranges_and_names_in_backticks(text, value):
    scope = {"a": 3, "b": 1, "odd name!": 5, "steady-state": {"p 1": [7]}, "if": 9}
    assert feel.evaluate(text, scope) == value


def test_a_key_that_is_no_name_is_quoted():
    assert values.text({"ª": 1, "a b": 2, "?x": 3}) == '{"ª": 1, a b: 2, "?x": 3}'
