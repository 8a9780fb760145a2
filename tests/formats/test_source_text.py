"""JSON and YAML with places: values, refusals, and bounds against hostile input."""

from decimal import Decimal

import pytest

from flowledger.kernel.model.formats.source import DEPTH_MAX, BadText, parse


def test_values_know_their_place():
    for text in ('{\n  "a": [1, {"b": "x"}]\n}', "\na: [1, {b: x}]\n"):
        inner = parse(text.encode()).get("a").data[1].get("b")
        assert (inner.data, inner.line) == ("x", 2)
    assert parse(b'{"a":\n   7}').get("a").column == 4
    assert parse(b'{"a": 1}').keys["a"] == (1, 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"n": 1.10, "big": 12345678901234567890}', {"n": Decimal("1.10"), "big": 12345678901234567890}),
        (r'{"s": "\u00e4\ud83d\ude00\/\n"}', {"s": "ä😀/\n"}),
        ('{\t"a":\t[]}', {"a": []}),
        ("country: no\nswitch: on\nok: true\nnothing: ~\n", {"country": "no", "switch": "on", "ok": True, "nothing": None}),
        ("a: '1'\nb: 1\nc: 1.5\nd: 0x10\n", {"a": "1", "b": 1, "c": Decimal("1.5"), "d": "0x10"}),
        ("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}),
        ("{a: 1, b: [c]}", {"a": 1, "b": ["c"]}),
        ('{"a": {}, "b": [[], {}]}', {"a": {}, "b": [[], {}]}),
    ],
)
def test_values(text, value):
    assert parse(text.encode()).plain() == value


@pytest.mark.parametrize(
    ("text", "says", "line", "column"),
    [
        ('{"a": 1,\n "a": 2}', "given twice", 2, 2),
        ("a: 1\na: 2\n", "given twice", 2, 1),
        ('{"a": 1,}', "a key in quotes", 1, 9),
        ('{"a" 1}', "':'", 1, 6),
        ('{"a": 1', "the file ends", 1, 8),
        ('{"a": 1}}', "end of the file", 1, 9),
        ('{"a": [1}', "',' or the closing bracket", 1, 9),
        ('{"a": 01}', "',' or the closing bracket", 1, 8),
        ('{"a": "\\x"}', "not JSON", 1, 7),
        ("a: [1\n", "not YAML", 2, 1),
        ("a: 1\n---\nb: 2\n", "one document", 2, 1),
        ("? [a]\n: 1\n", "expected a text as key", 1, 3),
        ("a: &x [*x]\n", "no complete value", 1, 8),
        ("", "empty", 0, 0),
    ],
)
def test_refusals_say_where(text, says, line, column):
    with pytest.raises(BadText) as e:
        parse(text.encode())
    assert says in e.value.message
    assert (e.value.line, e.value.column) == (line, column)


@pytest.mark.parametrize("make", [lambda n: "[" * n + "]" * n, lambda n: "- " * n + "x", lambda n: "{a: " * n + "x" + "}" * n])
def test_depth_is_bounded(make):
    parse(make(DEPTH_MAX - 1).encode())
    with pytest.raises(BadText, match="levels of nesting"):
        parse(make(100_000).encode())


def test_aliases_do_not_multiply():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    with pytest.raises(BadText, match="values"):
        parse(bomb.encode())


def test_bytes_that_are_no_text():
    with pytest.raises(BadText, match="UTF-8"):
        parse(b"\xff\xfe{}")
