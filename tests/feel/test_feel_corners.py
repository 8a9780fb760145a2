"""Corners of FEEL that models rely on and the TCK leaves out: ranges from texts, back references, arithmetic of durations, types of functions."""

import pytest

from flowledger.kernel import feel


def value(text, **variables):
    return feel.evaluate(text, variables)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("[1..10]", "[1..10]"), ("(1..10)", "(1..10)"), ("]1..10[", "]1..10["), ("[ 1 .. 10 )", "[1..10)"), ("[-5..-1]", "[-5..-1]"), ('["a".."c"]', '["a".."c"]'),
        ('["a..b".."c"]', '["a..b".."c"]'), ('[@"2026-01-01"..@"2026-02-01"]', '[@"2026-01-01"..@"2026-02-01"]'),
        ('[date("2026-01-01")..date("2026-02-01")]', '[@"2026-01-01"..@"2026-02-01"]'), ('[duration("P1D")..duration("P2D")]', '[@"P1D"..@"P2D"]'),
        ("(..10]", "(<=10)"), ("(..10)", "(<10)"), ("[1..)", "(>=1)"), ("(1..)", "(>1)"),
    ],
)  # fmt: skip
def test_a_range_from_a_text(text, same):
    assert value("range(t) = " + same, t=text) is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1..2",
        "[1.2]",
        "[..]",
        "(..)",
        "[..5]",
        "[1..]",
        "[5..1]",
        '[1.."a"]',
        "[x..2]",
        "[1+1..3]",
        "[null..2]",
        "[true..false]",
        "{1..2}",
        "[1..2",
        "[foo(1)..2]",
    ],
)
def test_a_text_that_is_no_range_gives_null_and_a_warning(text):
    warnings: list[object] = []
    assert feel.evaluate("range(t)", {"t": text}, warnings=warnings) is None and warnings


@pytest.mark.parametrize(
    ("text", "pattern", "flags", "fits"),
    [
        ("abab", r"^(ab)\\1$", "", True), ("abac", r"^(ab)\\1$", "", False), ("aXa", r"(.)X\\1", "", True), ("aXb", r"(.)X\\1", "", False),
        ("abAB", r"^(ab)\\1$", "i", True), ("abAB", r"^(ab)\\1$", "", False), ("xx yy", r"(\\w)\\1 (\\w)\\2", "", True), ("xx yz", r"(\\w)\\1 (\\w)\\2", "", False),
        ("aaa", r"^(a*)\\1a$", "", True), ("b", r"^(a)?b$", "", True), ("a\nb", r"^(.)$", "m", True), ("aab", r"(a{1,2}?)\\1b", "", True),
    ],
)  # fmt: skip
def test_a_pattern_refers_to_its_groups(text, pattern, flags, fits):
    assert value(f'matches(t, "{pattern}"' + (f', "{flags}")' if flags else ")"), t=text) is fits


@pytest.mark.parametrize(
    ("text", "pattern", "flags", "fits"),
    [
        ("ab" * 31, r"^(ab|a|b)*(\\w*)\\1$", "", True), ("x" * 300 + "yx", r"^(x*)*y\\1$", "", True),
        ("abc" * 40, r"^((abc)*)*\\2$", "", True), ("aA" * 50, r"^(a|A)*\\1$", "", False), ("aA" * 50, r"^(a|A)*\\1$", "i", True),
        ("x" * 100 + "\n" + "x" * 100, r"^((x+)+)$\\s^\\1$", "m", True), ("ab" * 30, r"^(a|b)*c\\1$", "", False),
    ],
)  # fmt: skip
def test_references_to_groups_where_backtracking_could_take_ages(text, pattern, flags, fits):
    assert value(f'matches(t, "{pattern}"' + (f', "{flags}")' if flags else ")"), t=text) is fits


def test_a_pattern_that_takes_too_long_ends_with_a_warning():
    warnings: list[object] = []
    assert feel.evaluate(r'matches(t, "^(a+)(a+)(a+)(a+)b\\1$")', {"t": "a" * 40 + "b"}, warnings=warnings) is None
    assert "more than" in str(warnings[0])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('@"PT1H" * 1.5', '@"PT1H30M"'), ('1.5 * @"PT1H"', '@"PT1H30M"'), ('@"PT1H" / 4', '@"PT15M"'), ('@"PT1H" / @"PT15M"', "4"), ('@"P1Y" * 1.5', '@"P18M"'),
        ('@"P1Y" / 5', '@"P2M"'), ('@"P1Y" / @"P6M"', "2"), ('-@"P1D"', '@"-P1D"'), ('@"10:00:00" + @"PT15H"', '@"01:00:00"'),
        ('@"2026-01-31" + @"P1M"', '@"2026-02-28"'),
        ('@"2026-01-01" + @"PT36H"', '@"2026-01-02"'), ('@"2026-01-01T00:00:00Z" - @"2025-12-31T23:00:00Z"', '@"PT1H"'), ('"a" + "b"', '"ab"'), ("2 ** 10", "1024"),
        ("-2 ** 2", "4"), ('@"PT1H" * 1E+40', "null"), ('@"P1Y" * 1E+40', "null"), ('@"PT1H" / 0', "null"), ('@"P1Y" / @"P0M"', "null"), ('"a" - "b"', "null"),
        ('1 + "a"', "null"), ("10 ** 1E+10", "null"),
    ],
)  # fmt: skip
def test_arithmetic(text, wanted):
    assert value(f"is({text}, {wanted})") is True


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[1, 2] instance of list<number>", True), ('[1, "a"] instance of list<number>', False), ('[1, "a"] instance of list<Any>', True),
        ("[1..2] instance of range<number>", True), ("[1..2] instance of range<string>", False), ("{a: 1} instance of context<a: number>", True),
        ('{a: "x"} instance of context<a: number>', False), ("{a: 1, b: 2} instance of context<a: number>", True), ("{} instance of context<a: number>", False),
        ("(function(x: number) x) instance of function<number> -> Any", True), ("(function(x: string) x) instance of function<number> -> Any", False),
        ("(function(x) x) instance of function<number, number> -> Any", False), ("(function(x: Any) x) instance of function<number> -> Any", True),
        ("(function(x: list<number>) x) instance of function<list<number>> -> Any", True), ("null instance of Null", True), ("null instance of number", False),
        ("(function(x: context<a: number>) x) instance of function<context<a: number, b: string>> -> Any", True),
        ("(function(x: context<a: number, b: string>) x) instance of function<context<a: number>> -> Any", False),
        ("(function(x: range<number>) x) instance of function<range<number>> -> Any", True),
        ("(function(x: range<string>) x) instance of function<range<number>> -> Any", False),
    ],
)  # fmt: skip
def test_instance_of_looks_into_types(text, wanted):
    assert value(text) is wanted
