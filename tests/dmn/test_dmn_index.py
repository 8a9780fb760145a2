"""The index over a column against a plain scan of its cells."""

import random
from decimal import Decimal

import pytest

from flowledger.kernel.dmn.index import ANY, Column, Point, Span, parse_cell, simple_value
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
        ("not(5)", None),
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


def scan(cells: list[str], value) -> int:
    found = 0
    for i, cell in enumerate(cells):
        atoms = parse_cell(cell)
        if atoms is None or atoms == ANY or any(holds(a, value) for a in atoms):
            found |= 1 << i
    return found


def holds(atom, value) -> bool:
    if isinstance(atom, Point):
        return type(atom.value) is type(value) and atom.value == value
    end = atom.low if atom.low is not None else atom.high
    if type(end) is not type(value):
        return False
    low = atom.low is None or value > atom.low or (atom.low_closed and value == atom.low)
    return low and (atom.high is None or value < atom.high or (atom.high_closed and value == atom.high))


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

    cells = [rng.choice(["-", "f(?)"]) if rng.random() < 0.1 else ", ".join(atom() for _ in range(rng.randint(1, 4))) for _ in range(30)]
    column = Column(cells)
    values = (
        [D(n) / 2 for n in range(-10, 20)]
        + [chr(c) for c in range(95, 112)]
        + [True, False, None, "dd"]
        + [FeelDate(2024, 1, d) for d in range(1, 22)]
    )
    for value in values:
        assert column.lookup(value) == scan(cells, value), (value, cells)
    assert column.lookup([1]) is None
