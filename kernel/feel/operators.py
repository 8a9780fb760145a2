"""Arithmetic by the types of the operands (DMN 1.5, Tables 56 to 62). A pair that isn't in a table is null."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Any

from flowledger.kernel.feel import limits
from flowledger.kernel.feel.errors import LimitReached
from flowledger.kernel.feel.numbers import CONTEXT
from flowledger.kernel.feel.temporal import (
    DAY_NS,
    DaysTimeDuration,
    FeelDate,
    FeelDateTime,
    FeelTime,
    YearsMonthsDuration,
)

D, S = Decimal, str
Operation = Callable[[Any, Any], Any]
#: Products of nanoseconds need more digits than a FEEL number has.
_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)


def _scaled(value: int, factor: Decimal) -> int:
    """value * factor, rounded to a whole number. Raises ValueError if it is absurdly large."""
    product = _WIDE.multiply(D(value), factor)
    if product.adjusted() > 40:
        raise ValueError("duration too long")
    return int(product.to_integral_value(ROUND_HALF_UP))


def _months(value: YearsMonthsDuration, factor: Decimal) -> YearsMonthsDuration:
    """A duration has whole months, so a fraction is cut off."""
    product = _WIDE.multiply(D(value.months_total), factor)
    if product.adjusted() > 40:
        raise ValueError("duration too long")
    return YearsMonthsDuration(int(product))


def _nanos(value: DaysTimeDuration, factor: Decimal) -> DaysTimeDuration:
    return DaysTimeDuration(_scaled(value.nanos, factor))


def _concat(a: str, b: str) -> str:
    if len(a) + len(b) > limits.string_chars_max:
        raise LimitReached("LIMIT_SIZE", f"a string of more than {limits.string_chars_max} characters")
    return a + b


def _time_plus(a: FeelTime, nanos: int) -> FeelTime:
    return FeelTime((a.nanos + nanos) % DAY_NS, a.offset, a.zone)


def _date_plus(a: FeelDate, nanos: int) -> FeelDate:
    return FeelDate.from_days(a.days + nanos // DAY_NS)


def _between(a: Any, b: Any) -> DaysTimeDuration | None:
    """Both with an offset or both without; a date is its midnight in UTC."""
    a = FeelDateTime(a, 0, 0) if type(a) is FeelDate else a
    b = FeelDateTime(b, 0, 0) if type(b) is FeelDate else b
    if (a.utc_offset is None) != (b.utc_offset is None):
        return None
    return DaysTimeDuration(a.epoch_nanos - b.epoch_nanos)


def _time_between(a: FeelTime, b: FeelTime) -> DaysTimeDuration | None:
    if (a.utc_offset is None) != (b.utc_offset is None):
        return None
    return DaysTimeDuration(a._key()[1] - b._key()[1])


def _swap(f: Operation) -> Operation:
    return lambda a, b: f(b, a)


YM, DT = YearsMonthsDuration, DaysTimeDuration
Table = dict[tuple[type, type], Operation]

ADD: Table = {
    (D, D): CONTEXT.add,
    (S, S): _concat,
    (YM, YM): lambda a, b: YM(a.months_total + b.months_total),
    (DT, DT): lambda a, b: DT(a.nanos + b.nanos),
    (FeelDateTime, YM): lambda a, b: a.plus_months(b.months_total),
    (FeelDate, YM): lambda a, b: a.plus_months(b.months_total),
    (FeelDateTime, DT): lambda a, b: a.plus_nanos(b.nanos),
    (FeelDate, DT): lambda a, b: _date_plus(a, b.nanos),
    (FeelTime, DT): lambda a, b: _time_plus(a, b.nanos),
}
ADD |= {(b, a): _swap(f) for (a, b), f in list(ADD.items()) if a is not b}

SUBTRACT: Table = {
    (D, D): CONTEXT.subtract,
    (YM, YM): lambda a, b: YM(a.months_total - b.months_total),
    (DT, DT): lambda a, b: DT(a.nanos - b.nanos),
    (FeelDateTime, YM): lambda a, b: a.plus_months(-b.months_total),
    (FeelDate, YM): lambda a, b: a.plus_months(-b.months_total),
    (FeelDateTime, DT): lambda a, b: a.plus_nanos(-b.nanos),
    (FeelDate, DT): lambda a, b: _date_plus(a, -b.nanos),
    (FeelTime, DT): lambda a, b: _time_plus(a, -b.nanos),
    (FeelTime, FeelTime): _time_between,
    **{(a, b): _between for a in (FeelDate, FeelDateTime) for b in (FeelDate, FeelDateTime)},
}

MULTIPLY: Table = {(D, D): CONTEXT.multiply, (YM, D): _months, (D, YM): _swap(_months), (DT, D): _nanos, (D, DT): _swap(_nanos)}


def _divide(a: Decimal, b: Decimal) -> Decimal | None:
    return CONTEXT.divide(a, b) if b else None


DIVIDE: Table = {
    (D, D): _divide,
    (YM, D): lambda a, b: YM(int(_WIDE.divide(D(a.months_total), b))) if b else None,
    (DT, D): lambda a, b: DT(int(_WIDE.divide(D(a.nanos), b).to_integral_value(ROUND_HALF_UP))) if b else None,
    (YM, YM): lambda a, b: _divide(D(a.months_total), D(b.months_total)),
    (DT, DT): lambda a, b: CONTEXT.create_decimal(_WIDE.divide(D(a.nanos), D(b.nanos))) if b.nanos else None,
}


def _power(a: Decimal, b: Decimal) -> Decimal | None:
    if abs(b) > 999_999_999:
        return None
    if not b:
        return D(1)
    return CONTEXT.power(a, b)


POWER: Table = {(D, D): _power}

TABLES: dict[str, Table] = {"+": ADD, "-": SUBTRACT, "*": MULTIPLY, "/": DIVIDE, "**": POWER}


def negate(value: Any) -> Any:
    """`-e`; None if it has no negative."""
    if type(value) is Decimal:
        return CONTEXT.minus(value)
    return -value if type(value) in (YM, DT) else None
