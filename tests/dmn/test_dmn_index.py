"""The index over a column against FEEL, cell by cell."""

import random
from decimal import Decimal
from functools import cache

import pytest

from flowledger.kernel import feel
from flowledger.kernel.dmn.index import ANY, Column, Not, Point, Span, parse_cell, simple_value
from flowledger.kernel.feel.temporal import FeelDate

D = Decimal


@pytest.mark.parametrize(
    ("text", "atoms"),
    [
        ("-", ANY),
        ("", ANY),
        ('"a"', [Point("a")]),
        ('"a", "b"', [Point("a"), Point("b")]),
        ("-5", [Point(D(-5))]),
        ("< 5", [Span(None, False, D(5), False)]),
        (">=5, null", [Span(D(5), True, None, False), Point(None)]),
        ("[1..5)", [Span(D(1), True, D(5), False)]),
        ("]1 .. 5]", [Span(D(1), False, D(5), True)]),
        ("true,false", [Point(True), Point(False)]),
        ("not(5)", [Not((Point(D(5)),))]),
        ("not(true)", None),
        ('not("a", 5)', None),
        ("not(null)", [Not((Point(None),))]),
        ("x", None),
        ("5 + 1", None),
        ('["a"..5]', None),
        ('"a\\n"', None),
        ("1,", None),
        ("1.5.2", None),
        ("trueish", None),
        ('< date("2024-02-29")', [Span(None, False, FeelDate(2024, 2, 29), False)]),
        ('@"2024-01-01"', [Point(FeelDate(2024, 1, 1))]),
        ('date("2024-02-30")', None),
        ('< @"2024-02-30"', None),
    ],
)
def test_simple_cells_are_recognised(text, atoms):
    assert parse_cell(text) == atoms


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('"x"', (True, "x")),
        ("-1.50", (True, D("-1.50"))),
        ("null", (True, None)),
        ("1,2", (False, None)),
        (">1", (False, None)),
        ("a", (False, None)),
    ],
)
def test_simple_values(text, result):
    assert simple_value(text) == result


def scan(cells: list[list[str]], value) -> int:
    """What FEEL says of each cell; those that only it can test stay in."""
    found = 0
    for i, atoms in enumerate(cells):
        # A constant true is a value here, so it fits no number; FEEL by itself takes it for a condition that holds.
        open_ = atoms == ["-"] or parse_cell(", ".join(atoms)) is None
        if open_ or any(feel_says(a, value) and (a != "true" or isinstance(value, bool)) for a in atoms):
            found |= 1 << i
    return found


@cache
def compiled(text: str):
    return feel.compile_unary(text)


def feel_says(text: str, value) -> bool:
    return compiled(text)(value)


@pytest.mark.parametrize("seed", range(40))
def test_lookup_is_a_scan(seed):
    rng = random.Random(seed)

    def atom():
        kind = rng.randrange(7)
        a, b = sorted(rng.choices(range(-3, 8), k=2)) if rng.random() < 0.9 else rng.choices(range(9), k=2)
        if kind == 0:
            return f"{rng.choice(['<', '<=', '>', '>='])} {a}"
        if kind == 1:
            return f"{rng.choice('[](')}{a}..{b}{rng.choice('[])')}"
        if kind == 2:
            return f'["{chr(100 + a)}".."{chr(100 + b)}"]'
        if kind == 3:
            return f'{rng.choice(["", "< ", ">= "])}date("2024-01-{10 + a}")'
        return rng.choice([str(a), f'"{chr(100 + a)}"', "true", "null", f'> "{chr(100 + a)}"'])

    def cell():
        if rng.random() < 0.1:
            return [rng.choice(["-", "f(?)"])]
        if rng.random() < 0.3:
            forms = rng.choice([["{0}", "> {0}", "[{0}..{1}]"], ['"{0}"', '< "{0}"', '["{0}".."{1}"]']])
            ends = [sorted(rng.choices("123456789", k=2)) for _ in range(rng.randint(1, 3))]
            inner = ", ".join(rng.choice(forms).format(*e) for e in ends)
            return [f"not({inner})"] if rng.random() < 0.8 else ["not(null)"]
        return [atom() for _ in range(rng.randint(1, 4))]

    cells = [cell() for _ in range(30)]
    column = Column([", ".join(atoms) for atoms in cells])
    values = (
        [D(n) / 2 for n in range(-10, 20)]
        + [chr(c) for c in range(95, 112)]
        + ["1", "5", "55", True, False, None, "dd"]
        + [FeelDate(2024, 1, d) for d in range(1, 22)]
    )
    for value in values:
        assert column.lookup(value) == scan(cells, value), (value, cells)
    assert column.lookup([1]) is None
