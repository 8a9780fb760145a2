"""What is wrong with a decision table as a whole: overlaps, gaps, rules that can never match.

Each column is cut at every value that a cell names; the pieces between the cuts are the smallest stretches that no cell tells apart.
A rule is then a product of sets of pieces, and all questions are about sets. Cells that only FEEL can test (functions, other inputs,
dates) make their rule unknown: it takes no part in overlaps, and a gap is not claimed where it might match.
The search is bounded by STEPS_MAX; a table beyond it gets the remark CHECK_INCOMPLETE instead of a wrong answer.
"""

from __future__ import annotations

import itertools
import operator
from bisect import bisect_left
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.boxed import split
from flowledger.kernel.dmn.index import ANY, Atom, Not, Point, Span, parse_cell, simple_value

#: Pieces looked at in one search for a gap or a cover, and in all searches of one table.
STEPS_MAX, STEPS_ALL_MAX = 500_000, 2_000_000
#: Overlapping pairs of rules that are looked at.
PAIRS_MAX = 100_000
#: Findings of one kind for one table; the rest is counted in the last one.
SHOWN_MAX = 20

Atoms = list[Atom]
_NULL = Point(None)


class Pieces:
    """The pieces of one column: what they are called, and which of them a cell covers (a bit for each piece)."""

    def __init__(self, label: str, cells: list[Atoms | str | None], type_name: str | None, allowed: list[Any] | None) -> None:
        self.label = label
        atoms = [a for cell in cells if isinstance(cell, list) for atom in cell for a in (atom.atoms if isinstance(atom, Not) else (atom,))]
        ends = [e for a in atoms for e in ((a.value,) if isinstance(a, Point) else (a.low, a.high)) if e is not None]
        kinds = {type(e) for e in ends}
        #: Whether the pieces are all there is; else the column can't be part of a claim about gaps.
        self.known = len(kinds) <= 1
        self.kind = kinds.pop() if len(kinds) == 1 else None
        #: (label, test point or Span) in order.
        self.pieces: list[tuple[str, Span | Point | None]] = []
        #: Whether neighbouring pieces are neighbouring values.
        self.ordered = False
        if not self.known:
            self.pieces = [("any value", None)]
        elif allowed is not None and all(isinstance(v, (str, Decimal, bool)) for v in allowed):
            self.pieces = [(literal(v), Point(v)) for v in allowed]
        elif self.kind is bool or type_name == "boolean":
            self.pieces = [("true", Point(True)), ("false", Point(False))]
        elif self.kind is None:
            self.pieces = [("any value", None)]
        elif self.kind is str and not any(isinstance(a, Span) for a in atoms):
            self.pieces = [(literal(v), Point(v)) for v in sorted(set(ends))] + [("any other text", None)]
        else:
            self._cut(sorted(set(ends)))
        #: how many pieces are values; null is one more behind them where a cell names it
        self.values = len(self.pieces)
        if self.known and any(a == _NULL for a in atoms):
            self.pieces.append(("null", _NULL))
        self.every = (1 << len(self.pieces)) - 1
        self._masks: dict[int, int] = {}

    def _cut(self, points: list[Any]) -> None:
        self.ordered, self.points = True, points
        low: Any = None
        for p in points:
            name = f"< {literal(p)}" if low is None else f"({literal(low)}..{literal(p)})"
            self.pieces += [(name, Span(low, False, p, False)), (literal(p), Point(p))]
            low = p
        self.pieces.append((f"> {literal(low)}", Span(low, False, None, False)))

    def mask(self, cell: Atoms | str | None) -> int:
        """The pieces that a cell covers; all of them for `-` and for a cell that only FEEL can test."""
        if not isinstance(cell, list):
            return self.every
        if not self.known:
            return self.every
        mask = 0
        if self.ordered:
            for atom in cell:
                mask |= self._ordered_mask(atom)
        else:
            for i, (_, piece) in enumerate(self.pieces[: self.values]):
                if any(_covers(atom, piece) for atom in cell):
                    mask |= 1 << i
        if any(_takes_null(atom) for atom in cell):
            mask |= self.every & 1 << self.values
        return mask

    def _ordered_mask(self, atom: Atom) -> int:
        """As `_covers` for each piece, by binary search: pieces stand in order, point 2 * i + 1 is `points[i]`."""
        if isinstance(atom, Not):
            mask = 0
            for a in atom.atoms:
                mask |= self._ordered_mask(a)
            return (1 << self.values) - 1 & ~mask
        if isinstance(atom, Point):
            return 2 << 2 * bisect_left(self.points, atom.value) if type(atom.value) is self.kind else 0
        first = 0 if atom.low is None else 2 * bisect_left(self.points, atom.low) + (1 if atom.low_closed else 2)
        last = 2 * len(self.points) if atom.high is None else 2 * bisect_left(self.points, atom.high) + (1 if atom.high_closed else 0)
        return (1 << last + 1) - (1 << first) if first <= last else 0

    def names(self, mask: int) -> str:
        parts: list[str] = []
        run: list[int] = []
        for i in range(self.values + 1):
            if mask >> i & 1 and i < self.values:
                run.append(i)
            elif run:
                parts += [self._stretch(run[0], run[-1])] if self.ordered else [self.pieces[n][0] for n in run]
                run = []
        if mask >> self.values & 1:
            parts.append("null")
        return " or ".join(parts)

    def _stretch(self, first: int, last: int) -> str:
        """Neighbouring pieces as one interval."""
        if first == last:
            return self.pieces[first][0]
        low, high = self.pieces[first][1], self.pieces[last][1]
        start = (low.value, True) if isinstance(low, Point) else (low.low if low else None, False)
        end = (high.value, True) if isinstance(high, Point) else (high.high if high else None, False)
        if start[0] is None:
            return f"<{'=' * end[1]} {literal(end[0])}"
        if end[0] is None:
            return f">{'=' * start[1]} {literal(start[0])}"
        return f"{'[' if start[1] else '('}{literal(start[0])}..{literal(end[0])}{']' if end[1] else ')'}"


def literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value) if isinstance(value, Decimal) else f'date("{value}")'


def _takes_null(atom: Atom) -> bool:
    """As `index.Not` says it: null equals no value, and a comparison with null is null, which `not` leaves null."""
    return _NULL not in atom.atoms and all(isinstance(a, Point) for a in atom.atoms) if isinstance(atom, Not) else atom == _NULL


def _covers(atom: Atom, piece: Span | Point | None) -> bool:
    """Whether a piece is inside an atom; the piece None is all that no cell names."""
    if isinstance(atom, Not):
        return not any(_covers(a, piece) for a in atom.atoms)
    if piece is None:
        return False
    if isinstance(atom, Point):
        return isinstance(piece, Point) and type(piece.value) is type(atom.value) and piece.value == atom.value
    if isinstance(piece, Point):
        v, end = piece.value, atom.low if atom.low is not None else atom.high
        if type(v) is not type(end):
            return False
        return (atom.low is None or v > atom.low or (atom.low_closed and v == atom.low)) and (
            atom.high is None or v < atom.high or (atom.high_closed and v == atom.high)
        )
    # A piece lies between neighbouring cuts, so it is inside an atom or outside, never half.
    return (atom.low is None or (piece.low is not None and piece.low >= atom.low)) and (
        atom.high is None or (piece.high is not None and piece.high <= atom.high)
    )


class Budget(Exception):
    """The search took more than STEPS_MAX steps."""


class Geometry:
    """A table as products of pieces."""

    def __init__(self, table: m.Table, types: list[str | None], allowed: list[list[Any] | None]) -> None:
        self.table = table
        self.left = STEPS_ALL_MAX
        width = len(table.inputs)
        rows = [[parse_cell(r.inputs[c].text) if c < len(r.inputs) else ANY for c in range(width)] for r in table.rules]
        self.columns = []
        for c, clause in enumerate(table.inputs):
            label = clause.label or (clause.expression.text if clause.expression is not None else f"input {c + 1}")
            self.columns.append(Pieces(label, [row[c] for row in rows], types[c], allowed[c]))
        cache: list[dict[str, int]] = [{} for _ in range(width)]
        self.masks: list[list[int]] = []
        #: Rules with a cell that only FEEL can test, as a bit set.
        self.unknown = 0
        for i, (rule, row) in enumerate(zip(table.rules, rows, strict=True)):
            masks = []
            for c, cell in enumerate(row):
                key = rule.inputs[c].text if c < len(rule.inputs) else "-"
                if key not in cache[c]:
                    cache[c][key] = self.columns[c].mask(cell)
                masks.append(cache[c][key])
                if cell is None or not (self.columns[c].known or cell == ANY):
                    self.unknown |= 1 << i
            self.masks.append(masks)
        #: For each column and piece the rules that cover it.
        self.rules_of: list[list[int]] = []
        for c, column in enumerate(self.columns):
            # Rules start and stop at the ends of each stretch of pieces; a rule has one mask, so parity is membership.
            turns = [0] * (len(column.pieces) + 1)
            for mask, rules in self._by_mask(c).items():
                while mask:
                    start = (mask & -mask).bit_length() - 1
                    rest = mask >> start
                    length = (rest + 1 & ~rest).bit_length() - 1
                    turns[start] ^= rules
                    turns[start + length] ^= rules
                    mask &= ~((1 << length) - 1 << start)
            self.rules_of.append(list(itertools.accumulate(turns[:-1], operator.xor)))

    def _by_mask(self, column: int) -> dict[int, int]:
        out: dict[int, int] = {}
        for i, masks in enumerate(self.masks):
            out[masks[column]] = out.get(masks[column], 0) | 1 << i
        return out

    def impossible(self) -> Iterator[tuple[int, int]]:
        """(rule, column) of cells that no value of the column can match."""
        for i, masks in enumerate(self.masks):
            for c, mask in enumerate(masks):
                if mask == 0:
                    yield i, c

    def overlaps(self) -> Iterator[tuple[int, int]]:
        """Pairs of rules that some inputs match both, in order; rules with unknown cells take no part."""
        known = ~self.unknown
        cache: list[dict[int, int]] = [{} for _ in self.columns]
        for i, masks in enumerate(self.masks):
            if self.unknown >> i & 1:
                continue
            others = known & ((1 << i) - 1)
            for c, mask in enumerate(masks):
                if mask not in cache[c]:
                    union, rest, piece = 0, mask, 0
                    while rest:
                        if rest & 1:
                            union |= self.rules_of[c][piece]
                        rest >>= 1
                        piece += 1
                    cache[c][mask] = union
                others &= cache[c][mask]
                if not others:
                    break
            while others:
                bit = others & -others
                others ^= bit
                yield bit.bit_length() - 1, i

    def gaps(self, rules: int, within: list[int] | None = None) -> Iterator[list[int]]:
        """Regions (a mask for each column) inside `within` that none of `rules` covers.

        Raises:
            Budget: the search is too long.
        """
        within = within or [c.every for c in self.columns]
        self._steps = 0
        yield from self._gaps(0, rules, within, [], set())

    def _gaps(self, column: int, rules: int, within: list[int], path: list[int], covered: set[tuple[int, int]]) -> Iterator[list[int]]:
        size = len(self.rules_of[column]) if column < len(within) else 1
        self._steps += size
        self.left -= size
        if self._steps > STEPS_MAX or self.left < 0:
            raise Budget
        if not rules:
            yield path + within[column:]
            return
        if column == len(within) or (column, rules) in covered:
            return
        # Pieces covered by the same rules are one group.
        groups: dict[int, int] = {}
        for i, of_piece in enumerate(self.rules_of[column]):
            if within[column] >> i & 1:
                left = rules & of_piece
                groups[left] = groups.get(left, 0) | 1 << i
        found = False
        for left, pieces in groups.items():
            for gap in self._gaps(column + 1, left, within, [*path, pieces], covered):
                found = True
                yield gap
        if not found:
            covered.add((column, rules))

    def describe(self, region: list[int]) -> str:
        """Where a region lies, columns of which everything belongs to it left out."""
        parts = [f"{c.label}: {c.names(mask)}" for c, mask in zip(self.columns, region, strict=True) if mask != c.every]
        return "; ".join(parts) or "any inputs"


def allowed_literals(text: str) -> list[Any] | None:
    """Allowed values that are all literals, else None."""
    out = []
    for part in split(text):
        simple, value = simple_value(part)
        if not simple:
            return None
        out.append(value)
    return out or None
