"""What compiled expressions do at each step of an iteration, a filter, a comparison or a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from flowledger.kernel.feel.numbers import CONTEXT, to_int
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.temporal import FeelDate
from flowledger.kernel.feel.values import Range, compare, contains, equal, kind

MISSING: Any = object()


class NoIteration(Exception):
    """What stands behind `in` can't be iterated: the whole expression is null."""


def items_of(start: Any, end: Any, r: Runtime, pos: int) -> Any:
    """What `for`, `some` and `every` walk over: a list, a range of whole numbers or dates, or a single value.

    `a..b` may descend; a range as a value has its start first, so one that is the other way round is no range (10.3.2.7).
    """
    if end is MISSING:
        if type(start) is list:
            return start
        if type(start) is Range and not start.operator and (compare(start.start, start.end) or 0) <= 0:
            return _steps(start.start, start.end, r, pos, start.start_included, start.end_included)
        if start is None or type(start) is Range:
            r.warn("NOT_A_LIST", f"can't iterate over a {kind(start)}", pos)
            raise NoIteration
        return (start,)
    return _steps(start, end, r, pos)


def _steps(start: Any, end: Any, r: Runtime, pos: int, low: bool = True, high: bool = True) -> Iterator[Any]:
    if type(start) is Decimal and type(end) is Decimal:
        a, b, make = to_int(start), to_int(end), CONTEXT.create_decimal
    elif type(start) is FeelDate and type(end) is FeelDate:
        a, b, make = start.days, end.days, FeelDate.from_days  # type: ignore[assignment]
    else:
        a = b = None
    if a is None or b is None:
        r.warn("NOT_A_LIST", f"can't iterate from a {kind(start)} to a {kind(end)}: two integers are needed", pos)
        raise NoIteration
    step = 1 if a <= b else -1
    return (make(n) for n in range(a + (0 if low else step), b + (step if high else 0), step))


def index_of(value: Any, index: Decimal, r: Runtime, pos: int) -> Any:
    if value is None:
        return None
    items = value if type(value) is list else [value]
    n = to_int(index) if abs(index) <= len(items) else None
    if not n:
        r.warn("OUT_OF_RANGE", f"no item {index} in a list of {len(items)}", pos)
        return None
    return items[n - 1 if n > 0 else n]


def ordered(operation: Callable[[Any, Any], Any], symbol: str, a: Any, b: Any, r: Runtime, pos: int) -> Any:
    order = compare(a, b)
    if order is None:
        r.warn("OPERAND_TYPES", f"{kind(a)} {symbol} {kind(b)} is not defined", pos)
        return None
    return operation(order, 0)


def matches(value: Any, tested: Any, cell: bool, r: Runtime, pos: int) -> Any:
    """Whether a value fits what a test without `?` and operator evaluates to."""
    if type(tested) is Range:
        if type(value) is Range:
            return equal(value, tested, r)
        return contains(tested, value, r)
    if type(tested) is list:
        r.tick(len(tested))
        if type(value) is list and equal(value, tested, r):
            return True
        return any((contains(i, value, r) if type(i) is Range and type(value) is not Range else equal(i, value, r)) is True for i in tested)
    if cell and type(tested) is bool and type(value) is not bool:
        return tested
    return equal(value, tested, r)
