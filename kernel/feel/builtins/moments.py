"""Date and time functions (DMN 1.5, 10.3.4.6, 10.3.4.8, 10.3.4.11). `now` and `today` come from the facts, never from a clock."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flowledger.kernel.feel.builtins.registry import builtin
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.temporal import FeelDate, FeelDateTime, FeelTime, days_from_civil
from flowledger.kernel.feel.values import equal, kind

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def _date(value: FeelDate | FeelDateTime) -> FeelDate:
    return value.date if isinstance(value, FeelDateTime) else value


@builtin("is", "value1: any, value2: any")
def is_(r: Runtime, a: Any, b: Any) -> bool:
    """Whether both are the same value: two texts of one instant with different offsets aren't."""
    if isinstance(a, (FeelTime, FeelDateTime)) and type(a) is type(b):
        return a == b and a.nanos == b.nanos and a.utc_offset == b.utc_offset
    return kind(a) == kind(b) and equal(a, b, r) is True


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


@builtin("week of year", "date: day")
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
