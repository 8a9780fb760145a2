"""Patterns: XPath's rules, and that the automaton finds what backtracking finds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowledger.kernel import feel
from flowledger.kernel.feel import automaton, regex
from flowledger.kernel.feel.runtime import Runtime


@pytest.mark.parametrize(
    ("text", "pattern", "flags", "expected"),
    [
        ("abc", "b", "", True),
        ("abc", "^b", "", False),
        ("a\nb", "^b$", "m", True),
        ("a\nb", "^b$", "", False),
        ("a\n", "^$", "m", False),
        ("a\nb", "a.b", "", False),
        ("a\nb", "a.b", "s", True),
        ("_", r"\w", "", False),
        ("é", r"\w", "", True),
        ("٣", r"\d", "", True),
        ("\u00a0", r"\s", "", False),
        ("A", r"\p{Lu}", "", True),
        ("a", r"\p{Lu}", "i", False),
        ("λ", r"\p{IsGreek}", "", True),
        ("λ", r"\P{L}", "", False),
        ("b", "[a-z-[aeiou]]", "", True),
        ("e", "[a-z-[aeiou]]", "", False),
        ("-", "[a-]", "", True),
        ("^", "[a^]", "", True),
        ("x", r"[^\d]", "", True),
        ("5", r"[^\d]", "", False),
        ("aa", r"(a)\1", "", True),
        ("ab", r"(a)\1", "", False),
        ("a b", "a b", "x", False),
        ("ab", "a b", "x", True),
        ("a b", "a[ ]b", "x", True),
        ("aXb", "ax", "i", True),
        ("a1", r"\i\c", "", True),
        ("b", r"(a)|b\1", "", True),
        ("ab", "(?:ab)", "", True),
        ("a{", r"a\{", "", True),
        ("", "", "", True),
        ("é", "\\u00e9", "", None),
        ("a", "a**", "", None),
        ("a", "[b-a]", "", None),
        ("a", "(", "", None),
        ("a", ")", "", None),
        ("a", "[]", "", None),
        ("a", r"\p{Xx}", "", None),
        ("a", "a{2,1}", "", None),
        ("a", "{", "", None),
        ("a", "]", "", None),
        ("a", r"(a\1)", "", None),
        ("a", "a", "g", None),
        ("a", "(?=a)", "", None),
        ("a", r"\b", "", None),
        ("a", "a{99999}", "", None),
        ("a", "[a[b]]", "", None),
        ("a", "\\", "", None),
        ("a", "+", "", None),
    ],
)
def test_matches(text, pattern, flags, expected):
    assert feel.evaluate("matches(t, p, f)", {"t": text, "p": pattern, "f": flags}) is expected


@pytest.mark.parametrize(
    ("text", "pattern", "replacement", "expected"),
    [
        ("banana", "a", "o", "bonono"),
        ("abracadabra", "a(.)", "a$1$1", "abbraccaddabbra"),
        ("abc", "(b)", "[$0|$1|$2]", "a[b|b|]c"),
        ("abc", "b", r"\$\\", r"a$\c"),
        ("abc", "b", "$", None),
        ("abc", "b", r"\x", None),
        ("abc", ".?", "x", None),
        ("abc", "(b)", "$10", "ab0c"),
        ("AAAA", "A+?", "b", "bbbb"),
        ("darted", "^(.*?)d(.*)$", "$1c$2", "carted"),
    ],
)
def test_replace(text, pattern, replacement, expected):
    assert feel.evaluate("replace(t, p, r)", {"t": text, "p": pattern, "r": replacement}) == expected


PIECES = st.sampled_from(
    ["a", "b", "[ab]", ".", "(a)", "(b|a)", "a*", "b+", "a?", "(ab)*", "(a*)b", "a*?", "(a|b)+?", "(ab|a)(b?)", "^", "$", "a{1,2}"]
)


@given(st.lists(PIECES, min_size=1, max_size=4).map("".join), st.text("abc\n", max_size=8), st.booleans())
@settings(max_examples=300)
def test_the_automaton_finds_what_backtracking_finds(pattern, text, multiline):
    p = regex.Pattern(pattern, "m" if multiline else "")
    program = automaton.Program(p.node, p.groups, False, multiline)
    mine = next(program.find(Runtime(), text), None)
    other = p.python.search(text)
    assert (mine is None) == (other is None)
    if mine is not None:
        assert (mine.start(), mine.end()) == other.span()
        if "*)" not in pattern and ")*" not in pattern and ")+" not in pattern:
            # Which turn of a repetition a group keeps is not the same for empty turns.
            assert [mine.group(i) for i in range(p.groups + 1)] == [other.group(i) for i in range(p.groups + 1)]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*c",
        "(a*)*b",
        "(.*)(.*)(.*)(.*)(.*)x",
        "(a|aa)+$",
        "((a+)b?)+$",
        "(a?){30}a{30}b",
        "a?" * 40 + "a" * 40,
        "(a|a)" * 40 + "b",
        "(a?|b?){40}c",
        "(x?y?)*z",
    ],
)
def test_no_pattern_takes_long(pattern):
    warnings = []
    feel.evaluate("matches(t, p)", {"t": "a" * 3000 + "!", "p": pattern}, warnings=warnings)
    feel.evaluate("count(split(t, p))", {"t": "a" * 300 + "!", "p": pattern}, warnings=warnings)
    assert all(w.code in ("LIMIT_STEPS", "FUNCTION_FAILED") for w in warnings)


def test_the_automaton_is_used_where_backtracking_could_take_ages():
    assert regex.Pattern("(a+)+", "").power == 99
    assert regex.Pattern("^[a-z]+@[a-z]+$", "").power == 2
    assert regex.Pattern("a?b?(c|d)", "").ways == 8


@pytest.mark.parametrize("pattern", ["", "a*", "(a|)", "^$", "a?b?", "(a*)+", "a", "a|b", "(a)b*", "a{0}", "a{1,2}", "^a", "[^a]"])
def test_which_patterns_match_nothing_at_all(pattern):
    p = regex.Pattern(pattern, "")
    assert p.matches_empty == (p.python.search("") is not None)
