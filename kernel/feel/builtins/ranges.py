"""Range functions (DMN 1.5, 10.3.4.7): each by its definition in Table 78; a point counts as a range of one point."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.feel.builtins.registry import builtin
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.values import Range, compare


def _order(a: Any, b: Any) -> int:
    order = compare(a, b)
    if order is None:
        raise ValueError("the values have no order")
    return order


def _starts(x: Range, y: Range) -> int:
    """Order of two starts: an open one is later. An unbounded start is the earliest."""
    if x.start is None or y.start is None:
        return (x.start is not None) - (y.start is not None)
    return _order(x.start, y.start) or y.start_included - x.start_included


def _ends(x: Range, y: Range) -> int:
    if x.end is None or y.end is None:
        return (x.end is None) - (y.end is None)
    return _order(x.end, y.end) or x.end_included - y.end_included


def _gap(x: Range, y: Range) -> int:
    """Order of the end of x and the start of y: -1 if x ends before y starts, 0 if they touch in one point, 1 if they overlap."""
    if x.end is None or y.start is None:
        return 1
    order = _order(x.end, y.start)
    return order if order else (0 if x.end_included and y.start_included else -1)


def _as_range(value: Any) -> Range:
    return value if isinstance(value, Range) else Range(value, value)


def _check(*ranges: Range) -> None:
    for x in ranges:
        if x.operator == "!=":
            raise ValueError("not a continuous range")


def _two(x: Any, y: Any) -> tuple[Range, Range]:
    a, b = _as_range(x), _as_range(y)
    _check(a, b)
    return a, b


_ALL = ("point1: point, point2: point", "point: point, range: range", "range: range, point: point", "range1: range, range2: range")


@builtin("before", *_ALL)
def before(r: Runtime, x: Any, y: Any) -> bool:
    """Whether the first ends before the second starts."""
    a, b = _two(x, y)
    return _gap(a, b) < 0


@builtin("after", *_ALL)
def after(r: Runtime, x: Any, y: Any) -> bool:
    """Whether the first starts after the second ends."""
    a, b = _two(x, y)
    return _gap(b, a) < 0


@builtin("meets", "range1: range, range2: range")
def meets(r: Runtime, x: Range, y: Range) -> bool:
    """Whether the first ends where the second starts, in one common point."""
    a, b = _two(x, y)
    return _gap(a, b) == 0


@builtin("met by", "range1: range, range2: range")
def met_by(r: Runtime, x: Range, y: Range) -> bool:
    """Whether the first starts where the second ends, in one common point."""
    a, b = _two(x, y)
    return _gap(b, a) == 0


@builtin("overlaps", "range1: range, range2: range")
def overlaps(r: Runtime, x: Range, y: Range) -> bool:
    """Whether they have a point in common."""
    a, b = _two(x, y)
    return _gap(a, b) >= 0 and _gap(b, a) >= 0


@builtin("overlaps before", "range1: range, range2: range")
def overlaps_before(r: Runtime, x: Range, y: Range) -> bool:
    """Whether the first starts before the second and ends inside of it."""
    a, b = _two(x, y)
    return _starts(a, b) < 0 and _gap(a, b) >= 0 and _ends(a, b) <= 0


@builtin("overlaps after", "range1: range, range2: range")
def overlaps_after(r: Runtime, x: Range, y: Range) -> bool:
    """Whether the first starts inside of the second and ends after it."""
    return overlaps_before(r, y, x)


@builtin("finishes", "point: point, range: range", "range1: range, range2: range")
def finishes(r: Runtime, x: Any, y: Range) -> bool:
    """Whether the first ends with the second and starts not before it."""
    a, b = _two(x, y)
    return a.end is not None and b.end is not None and _ends(a, b) == 0 and (_starts(a, b) >= 0 or not isinstance(x, Range))


@builtin("finished by", "range: range, point: point", "range1: range, range2: range")
def finished_by(r: Runtime, x: Range, y: Any) -> bool:
    """Whether the second ends with the first and starts not before it."""
    return finishes(r, y, x)


@builtin("includes", "range: range, point: point", "range1: range, range2: range")
def includes(r: Runtime, x: Range, y: Any) -> bool:
    """Whether the second lies within the first."""
    a, b = _two(x, y)
    return _starts(a, b) <= 0 and _ends(a, b) >= 0


@builtin("during", "point: point, range: range", "range1: range, range2: range")
def during(r: Runtime, x: Any, y: Range) -> bool:
    """Whether the first lies within the second."""
    return includes(r, y, x)


@builtin("starts", "point: point, range: range", "range1: range, range2: range")
def starts(r: Runtime, x: Any, y: Range) -> bool:
    """Whether the first starts with the second and ends not after it."""
    a, b = _two(x, y)
    return a.start is not None and b.start is not None and _starts(a, b) == 0 and (_ends(a, b) <= 0 or not isinstance(x, Range))


@builtin("started by", "range: range, point: point", "range1: range, range2: range")
def started_by(r: Runtime, x: Range, y: Any) -> bool:
    """Whether the second starts with the first and ends not after it."""
    return starts(r, y, x)


@builtin("coincides", "point1: point, point2: point", "range1: range, range2: range")
def coincides(r: Runtime, x: Any, y: Any) -> bool:
    """Whether both are the same point or range."""
    a, b = _two(x, y)
    return _starts(a, b) == 0 and _ends(a, b) == 0
