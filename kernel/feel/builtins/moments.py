"""Date and time functions (DMN 1.5, 10.3.4.6, 10.3.4.8, 10.3.4.11). `now` and `today` come from the facts, never from a clock."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flowledger.kernel.feel.builtins.registry import builtin
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.temporal import FeelDate, FeelDateTime, FeelTime, days_from_civil
from flowledger.kernel.feel.values import Range, equal

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def _date(value: FeelDate | FeelDateTime) -> FeelDate:
    return value.date if isinstance(value, FeelDateTime) else value


@builtin("is", "value1: any, value2: any", work=8)
def is_(r: Runtime, a: Any, b: Any) -> bool:
    """Whether both are the same value: two texts of one instant with different offsets, or an offset and a zone, aren't."""
    return _same(a, b, r, 0)


def _same(a: Any, b: Any, r: Runtime, depth: int) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, (FeelTime, FeelDateTime)):
        day = not isinstance(a, FeelDateTime) or a.date == b.date
        return day and (a.nanos, a.offset, a.zone) == (b.nanos, b.offset, b.zone)
    if type(a) is list:
        r.take(len(a), depth)
        return len(a) == len(b) and all(_same(x, y, r, depth + 1) for x, y in zip(a, b, strict=True))
    if type(a) is dict:
        r.take(len(a), depth)
        return a.keys() == b.keys() and all(_same(v, b[k], r, depth + 1) for k, v in a.items())
    if type(a) is Range:
        ends = _same(a.start, b.start, r, depth + 1) and _same(a.end, b.end, r, depth + 1)
        return ends and (a.operator, a.start_included, a.end_included) == (b.operator, b.start_included, b.end_included)
    return equal(a, b, r) is True


@builtin("day of year", "date: day")
def day_of_year(r: Runtime, date: Any) -> Decimal:
    """Number of the day in its year, from 1."""
    day = _date(date)
    return Decimal(day.days - days_from_civil(day.year, 1, 1) + 1)


@builtin("day of week", "date: day")
def day_of_week(r: Runtime, date: Any) -> str:
    """Name of the day, in English."""
    return DAYS[_date(date).weekday - 1]


@builtin("month of year", "date: day")
def month_of_year(r: Runtime, date: Any) -> str:
    """Name of the month, in English."""
    return MONTHS[_date(date).month - 1]


@builtin("week of year", "date: day", work=20)
def week_of_year(r: Runtime, date: Any) -> Decimal:
    """Number of the week by ISO 8601."""
    day = _date(date)
    # The week belongs to the year of its Thursday.
    thursday = FeelDate.from_days(day.days - day.weekday + 4)
    return Decimal((thursday.days - days_from_civil(thursday.year, 1, 1)) // 7 + 1)


def _now(r: Runtime) -> FeelDateTime:
    now_us = getattr(r.facts, "now_us", None)
    if type(now_us) is not int:
        raise ValueError("the facts of this evaluation have no time")
    return FeelDateTime.from_epoch_us(now_us)


@builtin("now", "")
def now(r: Runtime) -> FeelDateTime:
    """The time of the facts, in UTC."""
    return _now(r)


@builtin("today", "")
def today(r: Runtime) -> FeelDate:
    """The day of the facts, in UTC."""
    return _now(r).date
