"""Dates, times and durations of FEEL (DMN 1.5, 10.3.2.3).

Python's own fall short: years here are -999,999,999 to 999,999,999, times have nanoseconds, and a value knows whether it is local, has an
offset or a zone name. All are immutable and hashable; `str()` gives the text that FEEL's `string()` gives.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flowledger.kernel.feel.numbers import CONTEXT

YEAR_MAX = 999_999_999
DAY_NS = 86_400_000_000_000
SECOND_NS = 1_000_000_000
MONTHS_MAX = YEAR_MAX * 24
DURATION_NS_MAX = YEAR_MAX * 2 * 366 * DAY_NS
#: Largest offset, in seconds (18 hours).
OFFSET_MAX = 64_800


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar."""
    year -= month <= 2
    era, yoe = divmod(year, 400)
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719_468


def civil_from_days(days: int) -> tuple[int, int, int]:
    era, doe = divmod(days + 719_468, 146_097)
    yoe = (doe - doe // 1460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) // 5 + 1


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_length(year: int, month: int) -> int:
    return 29 if month == 2 and is_leap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The zone of that name in the time zone database, None if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_offset(name: str, days: int, nanos: int) -> int:
    """Offset in seconds of a zone at a local time. A time that occurs twice is the first, one that is skipped counts as before the gap."""
    return _offset(_clock(days, nanos, zone(name)))


def zone_offset_at(name: str, days: int, nanos: int) -> int:
    """Offset in seconds of a zone at an instant, which is given by its day and time in UTC."""
    return _offset(_clock(days, nanos, UTC).astimezone(zone(name)))


def _clock(days: int, nanos: int, tz: tzinfo | None) -> datetime:
    year, month, day = civil_from_days(days)
    if not 2 <= year <= 9998:
        # Rules repeat with the calendar, every 400 years; before all rules stands the local mean time.
        year = 2 if year < 2 else 2000 + year % 400
    seconds = nanos // SECOND_NS
    return datetime(year, month, min(day, month_length(year, month)), seconds // 3600, seconds // 60 % 60, seconds % 60, tzinfo=tz)


def _offset(moment: datetime) -> int:
    offset = moment.utcoffset()
    return 0 if offset is None else offset.days * 86_400 + offset.seconds


def offset_text(offset: int) -> str:
    if offset == 0:
        return "Z"
    sign, rest = ("-", -offset) if offset < 0 else ("+", offset)
    text = f"{sign}{rest // 3600:02}:{rest // 60 % 60:02}"
    return text + f":{rest % 60:02}" if rest % 60 else text


def time_text(nanos: int) -> str:
    seconds, fraction = divmod(nanos, SECOND_NS)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return text + "." + f"{fraction:09}".rstrip("0") if fraction else text


class Value:
    """Base: immutable, equal and ordered by `_key()`."""

    __slots__ = ()

    def _key(self) -> Any:
        raise TypeError

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._key()))

    def __lt__(self, other: Any) -> bool:
        found: bool = self._key() < self._same(other)._key()
        return found

    def __le__(self, other: Any) -> bool:
        found: bool = self._key() <= self._same(other)._key()
        return found

    def __gt__(self, other: Any) -> bool:
        found: bool = self._key() > self._same(other)._key()
        return found

    def __ge__(self, other: Any) -> bool:
        found: bool = self._key() >= self._same(other)._key()
        return found

    def _same(self, other: Any) -> Value:
        if type(other) is not type(self):
            raise TypeError(f"{type(self).__name__} and {type(other).__name__} have no order")
        return other

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __copy__(self) -> Value:
        return self

    def __deepcopy__(self, memo: Any) -> Value:
        return self


_set = object.__setattr__


class FeelDate(Value):
    """A day of the proleptic Gregorian calendar. Raises ValueError for a day that isn't in it."""

    __slots__ = ("year", "month", "day")
    year: int
    month: int
    day: int

    def __init__(self, year: int, month: int, day: int) -> None:
        if not (-YEAR_MAX <= year <= YEAR_MAX and 1 <= month <= 12 and 1 <= day <= month_length(year, month)):
            raise ValueError(f"no such day: {year}-{month}-{day}")
        _set(self, "year", year)
        _set(self, "month", month)
        _set(self, "day", day)

    @classmethod
    def from_days(cls, days: int) -> FeelDate:
        return cls(*civil_from_days(days))

    def _key(self) -> tuple[int, int, int]:
        return self.year, self.month, self.day

    @property
    def days(self) -> int:
        """Days since 1970-01-01."""
        return days_from_civil(self.year, self.month, self.day)

    @property
    def weekday(self) -> int:
        """1 is Monday, 7 is Sunday."""
        return (self.days + 3) % 7 + 1

    def plus_months(self, months: int) -> FeelDate:
        """The same day of another month, or its last day if it is shorter."""
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return FeelDate(year, month + 1, min(self.day, month_length(year, month + 1)))

    def __reduce__(self) -> Any:
        return FeelDate, (self.year, self.month, self.day)

    def __str__(self) -> str:
        return f"{'-' if self.year < 0 else ''}{abs(self.year):04}-{self.month:02}-{self.day:02}"


class FeelTime(Value):
    """A time of day: local, with an offset (seconds east of UTC), or in a named zone."""

    __slots__ = ("nanos", "offset", "zone")
    #: Nanoseconds since midnight.
    nanos: int
    offset: int | None
    zone: str | None

    def __init__(self, nanos: int, offset: int | None = None, zone: str | None = None) -> None:
        if not (0 <= nanos < DAY_NS and (offset is None or -OFFSET_MAX <= offset <= OFFSET_MAX)):
            raise ValueError("no such time")
        _set(self, "nanos", nanos)
        _set(self, "offset", offset)
        _set(self, "zone", zone)

    @property
    def hour(self) -> int:
        return self.nanos // (3600 * SECOND_NS)

    @property
    def minute(self) -> int:
        return self.nanos // (60 * SECOND_NS) % 60

    @property
    def second(self) -> int:
        return self.nanos // SECOND_NS % 60

    @property
    def utc_offset(self) -> int | None:
        """Seconds, None if local. A zone without a day has the offset that it had on 2000-01-01."""
        return self.offset if self.zone is None else zone_offset(self.zone, 10_957, self.nanos)

    def _key(self) -> tuple[int, int]:
        offset = self.utc_offset
        return (0, self.nanos) if offset is None else (1, self.nanos - offset * SECOND_NS)

    def __reduce__(self) -> Any:
        return FeelTime, (self.nanos, self.offset, self.zone)

    def __str__(self) -> str:
        return time_text(self.nanos) + _suffix(self)


class FeelDateTime(Value):
    """A day and a time on it: local, with an offset (seconds east of UTC), or in a named zone. Equal when they are the same instant."""

    __slots__ = ("date", "nanos", "offset", "zone")
    date: FeelDate
    nanos: int
    offset: int | None
    zone: str | None

    def __init__(self, date: FeelDate, nanos: int = 0, offset: int | None = None, zone: str | None = None) -> None:
        if not (0 <= nanos < DAY_NS and (offset is None or -OFFSET_MAX <= offset <= OFFSET_MAX)):
            raise ValueError("no such time")
        _set(self, "date", date)
        _set(self, "nanos", nanos)
        _set(self, "offset", offset)
        _set(self, "zone", zone)

    @classmethod
    def from_epoch_us(cls, us: int) -> FeelDateTime:
        """In UTC, from microseconds since 1970-01-01."""
        days, rest = divmod(us, 86_400_000_000)
        return cls(FeelDate.from_days(days), rest * 1000, 0)

    year = property(lambda self: self.date.year)
    month = property(lambda self: self.date.month)
    day = property(lambda self: self.date.day)
    weekday = property(lambda self: self.date.weekday)
    hour = FeelTime.hour
    minute = FeelTime.minute
    second = FeelTime.second

    @property
    def time(self) -> FeelTime:
        return FeelTime(self.nanos, self.offset, self.zone)

    @property
    def utc_offset(self) -> int | None:
        """Seconds, None if local."""
        return self.offset if self.zone is None else zone_offset(self.zone, self.date.days, self.nanos)

    @property
    def local_nanos(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00 by the same wall clock."""
        return self.date.days * DAY_NS + self.nanos

    @property
    def epoch_nanos(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z; a local value counts as UTC."""
        return self.local_nanos - (self.utc_offset or 0) * SECOND_NS

    @property
    def epoch_us(self) -> int:
        return self.epoch_nanos // 1000

    def _key(self) -> tuple[int, int]:
        offset = self.utc_offset
        return (0, self.local_nanos) if offset is None else (1, self.local_nanos - offset * SECOND_NS)

    def plus_nanos(self, nanos: int) -> FeelDateTime:
        """That much later. In a named zone the clock follows the zone, so a day of 24 hours may end at another hour."""
        if self.zone is not None:
            return FeelDateTime.in_zone(self.epoch_nanos + nanos, self.zone)
        days, rest = divmod(self.local_nanos + nanos, DAY_NS)
        return FeelDateTime(FeelDate.from_days(days), rest, self.offset)

    @classmethod
    def in_zone(cls, epoch_nanos: int, name: str) -> FeelDateTime:
        """An instant (nanoseconds since 1970-01-01T00:00:00Z) by the clock of a zone."""
        offset = zone_offset_at(name, *divmod(epoch_nanos, DAY_NS))
        days, rest = divmod(epoch_nanos + offset * SECOND_NS, DAY_NS)
        return cls(FeelDate.from_days(days), rest, None, name)

    def plus_months(self, months: int) -> FeelDateTime:
        return FeelDateTime(self.date.plus_months(months), self.nanos, self.offset, self.zone)

    def __reduce__(self) -> Any:
        return FeelDateTime, (self.date, self.nanos, self.offset, self.zone)

    def __str__(self) -> str:
        return f"{self.date}T{time_text(self.nanos)}{_suffix(self)}"


def _suffix(value: FeelTime | FeelDateTime) -> str:
    if value.zone is not None:
        return "@" + value.zone
    return "" if value.offset is None else offset_text(value.offset)


class YearsMonthsDuration(Value):
    """A duration of whole months, which may be negative."""

    __slots__ = ("months_total",)
    months_total: int

    def __init__(self, months: int) -> None:
        if abs(months) > MONTHS_MAX:
            raise ValueError("duration too long")
        _set(self, "months_total", months)

    def _key(self) -> int:
        return self.months_total

    years = property(lambda self: _trunc(self.months_total, 12))
    months = property(lambda self: _rem(self.months_total, 12))

    def __neg__(self) -> YearsMonthsDuration:
        return YearsMonthsDuration(-self.months_total)

    def __reduce__(self) -> Any:
        return YearsMonthsDuration, (self.months_total,)

    def __str__(self) -> str:
        years, months = divmod(abs(self.months_total), 12)
        if not (years or months):
            return "P0M"
        return ("-P" if self.months_total < 0 else "P") + (f"{years}Y" if years else "") + (f"{months}M" if months else "")


class DaysTimeDuration(Value):
    """A duration in nanoseconds, which may be negative."""

    __slots__ = ("nanos",)
    nanos: int

    def __init__(self, nanos: int) -> None:
        if abs(nanos) > DURATION_NS_MAX:
            raise ValueError("duration too long")
        _set(self, "nanos", nanos)

    def _key(self) -> int:
        return self.nanos

    days = property(lambda self: _trunc(self.nanos, DAY_NS))
    hours = property(lambda self: _trunc(_rem(self.nanos, DAY_NS), 3600 * SECOND_NS))
    minutes = property(lambda self: _trunc(_rem(self.nanos, 3600 * SECOND_NS), 60 * SECOND_NS))

    @property
    def seconds(self) -> Decimal:
        rest = _rem(self.nanos, 60 * SECOND_NS)
        whole, fraction = _trunc(rest, SECOND_NS), _rem(rest, SECOND_NS)
        return Decimal(whole) if not fraction else Decimal(rest).scaleb(-9, CONTEXT).normalize(CONTEXT)

    def __neg__(self) -> DaysTimeDuration:
        return DaysTimeDuration(-self.nanos)

    def __reduce__(self) -> Any:
        return DaysTimeDuration, (self.nanos,)

    def __str__(self) -> str:
        days, rest = divmod(abs(self.nanos), DAY_NS)
        seconds, fraction = divmod(rest, SECOND_NS)
        h, m, s = seconds // 3600, seconds // 60 % 60, seconds % 60
        tail = (f"{h}H" if h else "") + (f"{m}M" if m else "")
        if s or fraction:
            tail += f"{s}" + ("." + f"{fraction:09}".rstrip("0") if fraction else "") + "S"
        if not days and not tail:
            return "PT0S"
        return ("-P" if self.nanos < 0 else "P") + (f"{days}D" if days else "") + ("T" + tail if tail else "")


def _trunc(a: int, b: int) -> int:
    """Quotient towards zero: the parts of a negative duration are negative."""
    return -(-a // b) if a < 0 else a // b


def _rem(a: int, b: int) -> int:
    return a - b * _trunc(a, b)


# Reading. Each gives None for a text that isn't one (XML Schema Part 2: Datatypes; the zone names are FEEL's own).

_DATE = r"(-?(?:[1-9][0-9]{4,8}|[0-9]{4}))-([0-9]{2})-([0-9]{2})"
_TIME = r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:(Z|z)|([+-])([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?|@([A-Za-z0-9_+\-/]+))?"
_DATE_RE = re.compile(_DATE)
_TIME_RE = re.compile(_TIME)
_DATE_TIME_RE = re.compile(f"{_DATE}T(.*)", re.DOTALL)
_YM_RE = re.compile(r"(-?)P(?:([0-9]{1,12})Y)?(?:([0-9]{1,12})M)?")
#: `PT0.S`, which XML Schema has not, is one by the official suite (1120, case 011)
_DT_RE = re.compile(r"(-?)P(?:([0-9]{1,15})D)?(?:(T)(?:([0-9]{1,18})H)?(?:([0-9]{1,18})M)?(?:([0-9]{1,18})(?:\.([0-9]*))?S)?)?")


def parse_date(text: str) -> FeelDate | None:
    m = _DATE_RE.fullmatch(text)
    return _date(m) if m else None


def _date(m: re.Match[str]) -> FeelDate | None:
    try:
        return FeelDate(int(m[1]), int(m[2]), int(m[3]))
    except ValueError:
        return None


def parse_time(text: str) -> FeelTime | None:
    parts = _time(text)
    if parts is None or parts[0] > DAY_NS:
        return None
    return FeelTime(parts[0] % DAY_NS, parts[1], parts[2])


def _time(text: str) -> tuple[int, int | None, str | None] | None:
    m = _TIME_RE.fullmatch(text)
    if not m:
        return None
    h, mi, s = int(m[1]), int(m[2]), int(m[3])
    fraction = int(((m[4] or "") + "000000000")[:9])
    if mi > 59 or s > 59 or h > 24 or (h == 24 and (mi or s or fraction)):
        return None
    offset: int | None = None
    if m[5]:
        offset = 0
    elif m[6]:
        oh, om, os = int(m[7]), int(m[8]), int(m[9] or 0)
        offset = oh * 3600 + om * 60 + os
        if om > 59 or os > 59 or offset > OFFSET_MAX:
            return None
        if m[6] == "-":
            offset = -offset
    elif m[10] and zone(m[10]) is None:
        return None
    return (h * 3600 + mi * 60 + s) * SECOND_NS + fraction, offset, m[10]


def parse_date_time(text: str) -> FeelDateTime | None:
    """With a time, or a day alone, which is its midnight."""
    m = _DATE_TIME_RE.fullmatch(text)
    if m is None:
        date = parse_date(text)
        return FeelDateTime(date) if date else None
    date, parts = _date(m), _time(m[4])
    if date is None or parts is None:
        return None
    if parts[0] == DAY_NS:
        try:
            return FeelDateTime(FeelDate.from_days(date.days + 1), 0, parts[1], parts[2])
        except ValueError:
            return None
    return FeelDateTime(date, *parts)


def parse_duration(text: str) -> YearsMonthsDuration | DaysTimeDuration | None:
    try:
        m = _YM_RE.fullmatch(text)
        if m and (m[2] or m[3]):
            months = int(m[2] or 0) * 12 + int(m[3] or 0)
            return YearsMonthsDuration(-months if m[1] else months)
        m = _DT_RE.fullmatch(text)
        if not m or not (m[2] or m[4] or m[5] or m[6]) or (m[3] and not (m[4] or m[5] or m[6])):
            return None
        seconds = int(m[2] or 0) * 86_400 + int(m[4] or 0) * 3600 + int(m[5] or 0) * 60 + int(m[6] or 0)
        nanos = seconds * SECOND_NS + int(((m[7] or "") + "000000000")[:9])
        return DaysTimeDuration(-nanos if m[1] else nanos)
    except ValueError:
        return None


def parse_temporal(text: str) -> Value | None:
    """The value of an at-literal `@"..."`."""
    return parse_date(text) or parse_date_time(text) or parse_time(text) or parse_duration(text)
