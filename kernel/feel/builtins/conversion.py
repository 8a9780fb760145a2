"""Conversion functions (DMN 1.5, 10.3.4.1) and `not`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, TypeVar

from flowledger.kernel.feel import temporal
from flowledger.kernel.feel.builtins.registry import builtin
from flowledger.kernel.feel.numbers import CONTEXT, to_int
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.temporal import SECOND_NS, DaysTimeDuration, FeelDate, FeelDateTime, FeelTime, YearsMonthsDuration
from flowledger.kernel.feel.values import text

T = TypeVar("T")

_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def _whole(value: Decimal) -> int:
    """A component of a date: a fraction is no such component."""
    whole = to_int(value) if abs(value) < 10**12 else None
    if whole is None:
        raise ValueError(f"{value} is no whole number")
    return whole


def _or_fail(value: T | None, what: str, given: str) -> T:
    if value is None:
        raise ValueError(f"{given!r} is no {what}")
    return value


@builtin("date", "from: string")
def date_from_text(r: Runtime, from_: str) -> FeelDate:
    """The date of a text, of a date and time, or of its parts."""
    return _or_fail(temporal.parse_date(from_), "date", from_)


@builtin("date", "from: date and time")
def date_of(r: Runtime, from_: FeelDateTime) -> FeelDate:
    return from_.date


@builtin("date", "from: date")
def same_date(r: Runtime, from_: FeelDate) -> FeelDate:
    return from_


@builtin("date", "year: number, month: number, day: number")
def date_from_parts(r: Runtime, year: Decimal, month: Decimal, day: Decimal) -> FeelDate:
    return FeelDate(_whole(year), _whole(month), _whole(day))


@builtin("date and time", "from: string")
def date_time_from_text(r: Runtime, from_: str) -> FeelDateTime:
    """The date and time of a text, or of a date and a time."""
    return _or_fail(temporal.parse_date_time(from_), "date and time", from_)


@builtin("date and time", "from: date and time")
def same_date_time(r: Runtime, from_: FeelDateTime) -> FeelDateTime:
    return from_


@builtin("date and time", "date: day, time: time")
def date_time_from_parts(r: Runtime, date: FeelDate | FeelDateTime, time: FeelTime) -> FeelDateTime:
    return FeelDateTime(date.date if isinstance(date, FeelDateTime) else date, time.nanos, time.offset, time.zone)


@builtin("time", "from: string")
def time_from_text(r: Runtime, from_: str) -> FeelTime:
    """The time of a text, of a date and time, or of its parts."""
    return _or_fail(temporal.parse_time(from_), "time", from_)


@builtin("time", "from: moment")
def time_of(r: Runtime, from_: FeelTime | FeelDateTime | FeelDate) -> FeelTime:
    if isinstance(from_, FeelTime):
        return from_
    return from_.time if isinstance(from_, FeelDateTime) else FeelTime(0, 0)


@builtin("time", "hour: number, minute: number, second: number, offset??: days and time duration")
def time_from_parts(r: Runtime, hour: Decimal, minute: Decimal, second: Decimal, offset: DaysTimeDuration | None) -> FeelTime:
    h, m = _whole(hour), _whole(minute)
    if not (0 <= h < 24 and 0 <= m < 60 and 0 <= second < 60):
        raise ValueError("no such time")
    shift = None if offset is None else offset.nanos // SECOND_NS
    return FeelTime((h * 60 + m) * 60 * SECOND_NS + int(CONTEXT.multiply(second, Decimal(SECOND_NS))), shift)


@builtin("number", "from: string, grouping separator: string|null, decimal separator: string|null")
def number(r: Runtime, from_: str, grouping: str | None, point: str | None) -> Decimal:
    """The number of a text, after its separators were taken out."""
    if grouping not in (None, " ", ",", ".") or point not in (None, ",", ".") or (grouping is not None and grouping == point):
        raise ValueError("no such separators")
    plain = from_ if grouping is None else from_.replace(grouping, "")
    if point == ",":
        plain = plain.replace(".", "!").replace(",", ".")
    if not _NUMBER.fullmatch(plain):
        raise ValueError(f"{from_!r} is no number")
    return CONTEXT.create_decimal(plain)


@builtin("number", "from: string")
def plain_number(r: Runtime, from_: str) -> Decimal:
    return number(r, from_, None, None)


@builtin("number", "from: number")
def same_number(r: Runtime, from_: Decimal) -> Decimal:
    return from_


@builtin("string", "from: any")
def string(r: Runtime, from_: Any) -> str | None:
    """The text of a value."""
    if from_ is None:
        return None
    out = text(from_, r)
    r.text(len(out))
    return out


@builtin("duration", "from: string")
def duration(r: Runtime, from_: str) -> Any:
    """The duration of a text, of either kind."""
    return _or_fail(temporal.parse_duration(from_), "duration", from_)


@builtin("duration", "from: duration")
def same_duration(r: Runtime, from_: Any) -> Any:
    return from_


@builtin("years and months duration", "from: day, to: day")
def years_and_months(r: Runtime, from_: Any, to: Any) -> YearsMonthsDuration:
    """The whole months between two days."""
    start = from_ if isinstance(from_, FeelDate) else from_.date
    end = to if isinstance(to, FeelDate) else to.date
    months = (end.year - start.year) * 12 + end.month - start.month
    # A month that isn't over doesn't count. The time of day has no part in it.
    rest = end.day - start.day
    if months > 0 and rest < 0:
        months -= 1
    elif months < 0 and rest > 0:
        months += 1
    return YearsMonthsDuration(months)


@builtin("not", "negand: any")
def not_(r: Runtime, negand: Any) -> bool | None:
    """Negation: null unless it is given true or false."""
    if type(negand) is list and len(negand) == 1:
        negand = negand[0]
    return None if type(negand) is not bool else not negand
