"""Overlaps, gaps and hidden rules of random small tables against trying all kinds of inputs."""

import itertools
import random
from decimal import Decimal

import pytest

from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.index import Column
from flowledger.kernel.dmn.table_checks import Geometry

NUMBERS = [Decimal(n) / 2 for n in range(-1, 14)]
TEXTS = ["a", "b", "c", "other"]


def number_cell(rng):
    a, b = sorted(rng.sample(range(6), 2))
    forms = ["-", f"< {a}", f">= {a}", f"[{a}..{b})", f"({a}..{b}]", str(a), f"{a}, > {b}", f"not({a})", f"not([{a}..{b}])"]
    return rng.choice(forms)


def text_cell(rng):
    return rng.choice(["-", "-", '"a"', '"b", "c"', 'not("a")', 'not("a", "b")', '"c"'])


@pytest.mark.parametrize("seed", range(60))
def test_geometry_is_what_inputs_show(seed):
    rng = random.Random(seed)
    cells = [[number_cell(rng), text_cell(rng), number_cell(rng)] for _ in range(rng.randint(2, 6))]
    table = m.Table(
        inputs=[m.Input(label=str(n), expression=None) for n in range(3)],
        outputs=[],
        rules=[m.Rule(inputs=[m.Text(text=t) for t in row], outputs=[]) for row in cells],
    )
    geometry = Geometry(table, ["number", "string", "number"], [None, None, None])
    columns = [Column([row[n] for row in cells]) for n in range(3)]
    found = [columns[0].lookup(x) & columns[1].lookup(t) & columns[2].lookup(y) for x, t, y in itertools.product(NUMBERS, TEXTS, NUMBERS)]

    every = range(len(cells))
    pairs = {(a, b) for a, b in itertools.combinations(every, 2) if any(s >> a & 1 and s >> b & 1 for s in found)}
    assert set(geometry.overlaps()) == pairs
    assert (next(geometry.gaps((1 << len(cells)) - 1), None) is None) == all(found)
    for rule in every:
        before = (1 << rule) - 1
        hidden = all(s & before for s in found if s >> rule & 1)
        assert (next(geometry.gaps(before, geometry.masks[rule]), None) is None) == hidden or not any(s >> rule & 1 for s in found)
