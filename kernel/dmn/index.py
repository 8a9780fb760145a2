"""An index over one column of a decision table: from an input value to the set of rules that it can match.

A set of rules is a Python int with one bit for each rule, so that the columns of a row are joined by `&`. Simple cells (values,
comparisons and intervals of numbers, strings or dates) go into the index and need no further test; all other cells stay in the set for
every value and are tested one by one (`Column.open`). Most tables have few of them.

Looking up costs one hash and one binary search, whatever the number of rules. Memory: one int of R bits for each distinct
boundary, R rules; 3,700 rules with as many boundaries take 3.5 MB for a column.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from decimal import Decimal
from typing import Any, NamedTuple

from flowledger.kernel.feel import temporal

#: The cell that matches everything.
ANY = "any"


class Span(NamedTuple):
    """Values between two ends; None is no end. With both ends equal and closed it is one value."""

    low: Any
    low_closed: bool
    high: Any
    high_closed: bool


class Point(NamedTuple):
    """Exactly one value: a string, number, date, boolean or null."""

    value: Any


class Not(NamedTuple):
    """All values but these: of the atoms' type, and null when they are values only (`equal` to null is false, `<` null is null)."""

    atoms: tuple[Span | Point, ...]


Atom = Span | Point | Not

_NUMBER = r"-?\s*(?:\d+(?:\.\d+)?|\.\d+)"
_STRING = r'"[^"\\\r\n]*"'
_DATE = r'date\(\s*"[0-9-]{10}"\s*\)|@"[0-9]{4}-[0-9]{2}-[0-9]{2}"'
_ENDPOINT = rf"{_NUMBER}|{_STRING}|{_DATE}"
_ATOM = re.compile(
    rf"\s*(?:(?P<op><=|>=|<|>)\s*(?P<arg>{_ENDPOINT})"
    rf"|(?P<open>[\[\](])\s*(?P<low>{_ENDPOINT})\s*\.\.\s*(?P<high>{_ENDPOINT})\s*(?P<close>[\]\[)])"
    rf"|(?P<value>{_ENDPOINT}|true\b|false\b|null\b))\s*(?P<sep>,|$)"
)
_NOT = re.compile(r"not\s*\((.*)\)", re.DOTALL)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}


#: Types of values that the index can hold; each has an order of its own.
_KINDS: tuple[type, ...] = (Decimal, str, temporal.FeelDate)


def _constant(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == '"':
        return text[1:-1]
    if text[0] in "d@":
        return temporal.parse_date(text[text.index('"') + 1 : text.rindex('"')])
    return Decimal("".join(text.split()))


def simple_value(text: str) -> tuple[bool, Any]:
    """Whether the whole text is one literal that needs no FEEL (string without escapes, number, date, true, false, null), and its value."""
    match = _ATOM.fullmatch(text)
    if match is None or match["value"] is None or match["sep"]:
        return False, None
    value = _constant(match["value"])
    return (False, None) if value is None and match["value"] != "null" else (True, value)


def parse_cell(text: str) -> list[Atom] | str | None:
    """The alternatives of a simple cell, ANY for `-` or an empty one, None when only FEEL can tell."""
    text = text.strip()
    if text in ("", "-"):
        return ANY
    negated = _NOT.fullmatch(text)
    if negated is None:
        plain = _parse_atoms(text)
        return None if plain is None else list(plain)
    atoms = _parse_atoms(negated[1].strip())
    if not atoms:
        return None
    kinds = {type(a.value if isinstance(a, Point) else a.high if a.low is None else a.low) for a in atoms}
    simple = len(kinds) == 1 and (kinds <= set(_KINDS) or atoms == [Point(None)])
    return [Not(tuple(atoms))] if simple else None


def _parse_atoms(text: str) -> list[Span | Point] | None:
    atoms: list[Span | Point] = []
    at = 0
    while True:
        match = _ATOM.match(text, at)
        if match is None:
            return None
        if match["op"]:
            value, op = _constant(match["arg"]), match["op"]
            if value is None:
                return None
            atoms.append(Span(None, False, value, op == "<=") if op[0] == "<" else Span(value, op == ">=", None, False))
        elif match["open"]:
            low, high = _constant(match["low"]), _constant(match["high"])
            if type(low) is not type(high) or low is None:
                return None
            atoms.append(Span(low, match["open"] == "[", high, match["close"] == "]"))
        else:
            value = _constant(match["value"])
            if value is None and match["value"] != "null":
                return None  # such as date("2024-02-30"): FEEL says what it is
            atoms.append(Point(value))
        at = match.end()
        if not match["sep"]:
            return atoms if at == len(text) else None


class _Ordered:
    """Values of one ordered type. `segments[2*i]` is the open stretch before `points[i]`, `segments[2*i+1]` that point itself."""

    __slots__ = ("equal", "points", "segments", "base")

    def __init__(self, base: int) -> None:
        self.base = base
        self.equal: dict[Any, int] = {}
        self.points: list[Any] = []
        self.segments: list[int] = [base]

    def build(self, spans: list[tuple[Span, int]]) -> None:
        self.points = points = sorted({end for span, _ in spans for end in (span.low, span.high) if end is not None})
        size = 2 * len(points) + 1
        starts: list[int] = [0] * size
        stops: list[int] = [0] * (size + 1)
        for span, bit in spans:
            first = 0 if span.low is None else 2 * bisect_left(points, span.low) + (1 if span.low_closed else 2)
            last = size - 1 if span.high is None else 2 * bisect_left(points, span.high) + (1 if span.high_closed else 0)
            if first <= last:
                starts[first] ^= bit
                stops[last + 1] ^= bit
        # `live` counts by parity, so the spans of one rule must not overlap: `Column` joins them beforehand.
        live = 0
        segments = []
        for i in range(size):
            live ^= stops[i] ^ starts[i]
            segments.append(live | self.base)
        self.segments = segments

    def lookup(self, value: Any) -> int:
        points = self.points
        i = bisect_left(points, value)
        found = self.segments[2 * i + 1 if i < len(points) and points[i] == value else 2 * i]
        equal = self.equal
        if equal:
            return found | equal.get(value, 0)
        return found


def _joined(spans: list[Span]) -> list[Span]:
    """The same values as spans that don't overlap, so that parity is membership."""
    if len(spans) < 2:
        return spans
    # A closed start comes before an open one at the same value.
    ordered = sorted(spans, key=lambda s: (False,) if s.low is None else (True, s.low, not s.low_closed))
    out = [ordered[0]]
    for span in ordered[1:]:
        last = out[-1]
        apart = (
            last.high is not None
            and span.low is not None
            and (span.low > last.high or (span.low == last.high and not (span.low_closed and last.high_closed)))
        )
        if apart:
            out.append(span)
            continue
        further = last.high is not None and (
            span.high is None or span.high > last.high or (span.high == last.high and span.high_closed and not last.high_closed)
        )
        if further:
            out[-1] = Span(last.low, last.low_closed, span.high, span.high_closed)
    return out


def _complement(spans: list[Span]) -> list[Span]:
    """All values outside of spans that are in order and don't overlap."""
    out = []
    low, low_closed = None, False
    for span in spans:
        if span.low is not None:
            out.append(Span(low, low_closed, span.low, not span.low_closed))
        low, low_closed = span.high, not span.high_closed
        if low is None:
            return out
    return [*out, Span(low, low_closed, None, False)]


class Column:
    """Index of one input column. `any` are the rules whose cell is `-`; `open` those that only FEEL can test."""

    __slots__ = ("any", "open", "kinds", "words", "base")

    def __init__(self, cells: list[str]) -> None:
        self.any = self.open = 0
        parsed: list[tuple[int, list[Atom]]] = []
        for i, text in enumerate(cells):
            bit = 1 << i
            atoms = parse_cell(text)
            if atoms is None:
                self.open |= bit
            elif isinstance(atoms, str):
                self.any |= bit
            else:
                parsed.append((bit, atoms))
        self.base = base = self.any | self.open
        self.kinds = {kind: _Ordered(base) for kind in _KINDS}
        #: true, false and null: in Python `True == 1`, so they can't share a dict with numbers.
        self.words: dict[Any, int] = {}
        spans: dict[type, list[tuple[Span, int]]] = {kind: [] for kind in _KINDS}
        for bit, atoms in parsed:
            own: dict[type, list[Span]] = {kind: [] for kind in _KINDS}
            for atom in atoms:
                if isinstance(atom, Not):
                    self._exclude(atom, bit, own)
                elif isinstance(atom, Span):
                    own[type(atom.low if atom.low is not None else atom.high)].append(atom)
                elif type(atom.value) in _KINDS:
                    equal = self.kinds[type(atom.value)].equal
                    equal[atom.value] = equal.get(atom.value, 0) | bit
                else:
                    self.words[atom.value] = self.words.get(atom.value, base) | bit
            for kind, found in own.items():
                usable = [s for s in found if s.low is None or s.high is None or s.low <= s.high]
                spans[kind].extend((s, bit) for s in _joined(usable))
        for kind, ordered in self.kinds.items():
            ordered.build(spans[kind])

    def _exclude(self, atom: Not, bit: int, own: dict[type, list[Span]]) -> None:
        if atom.atoms == (Point(None),):
            for spans in own.values():
                spans.append(Span(None, False, None, False))
            for word in (True, False):
                self.words[word] = self.words.get(word, self.base) | bit
            return
        spans = [Span(a.value, True, a.value, True) if isinstance(a, Point) else a for a in atom.atoms]
        kind = type(spans[0].low if spans[0].low is not None else spans[0].high)
        own[kind].extend(_complement(_joined([s for s in spans if s.low is None or s.high is None or s.low <= s.high])))
        if all(isinstance(a, Point) for a in atom.atoms):
            self.words[None] = self.words.get(None, self.base) | bit

    def lookup(self, value: Any) -> int | None:
        """Rules that `value` matches as far as the index knows, with every open one; None when it can't say (lists, contexts)."""
        ordered = self.kinds.get(type(value))
        if ordered is not None:
            return ordered.lookup(value)
        if value is None or value is True or value is False:
            return self.words.get(value, self.base)
        return None
