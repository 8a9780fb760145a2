"""Cron texts: `Cron.read(text)`, then `after(moment)` gives the next time.

Source: Spring's CronExpression (which Zeebe uses) and Quartz. Fields: minute hour day month weekday; six have seconds in front, seven a year
behind. `*`, `?`, lists, ranges, steps, names (MON, JAN); day `L`, `L-3`, `LW`, `15W`; weekday `5L` (the month's last), `MON#2` (its second);
`@daily` and its kin; `CRON_TZ=Europe/Berlin` in front counts in that zone, else UTC.
Choices: day and weekday must both fit, as in Spring (Unix joins them by OR). Weekdays are 0 to 7 from Sunday; with seven fields, or `QUARTZ` in
front, they are Quartz's 1 to 7 from Sunday, and what Quartz has beside Spring is read: ranges over the end (`22-2`), `/5` for `*/5`, `L-3W`.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import product
from zoneinfo import ZoneInfo

#: days and weekdays that fit at all do so within the calendar's cycle of 28 years, or 40 across a century without a leap day
YEARS_MAX = 40
TEXT_MAX = 500
_HOURS = 24
WORDS = {"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
         "@midnight": "0 0 * * *", "@hourly": "0 * * * *"}  # fmt: skip
_DAYS = "SUN MON TUE WED THU FRI SAT".split()
_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_LIMITS = {"second": (0, 59), "minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6), "year": (1970, 2199)}
_PART = re.compile(r"(\*|\?|\w+)(?:-(\w+))?(?:/(\d+))?$")


class Cron:
    """A cron text, read. `days` and `weekdays` may hold marks beside numbers: ("L", back), ("LW", back), ("W", day), ("last", weekday, 0), ("nth", weekday, n)."""

    __slots__ = ("day_marks", "days", "hours", "minutes", "months", "seconds", "weekday_marks", "weekdays", "years", "zone")

    def __init__(self, text: str) -> None:
        """Raises: ValueError."""
        fields = text.strip().split()
        self.zone: tzinfo = UTC
        quartz = False
        if fields and fields[0].startswith("CRON_TZ="):
            self.zone = zone(fields.pop(0)[8:])
        if fields and fields[0] == "QUARTZ":
            quartz = bool(fields.pop(0))
        if len(fields) == 1:
            fields = WORDS.get(fields[0].lower(), fields[0]).split()
        if len(text) > TEXT_MAX or not 5 <= len(fields) <= 7:
            raise ValueError(f"expected 5 to 7 fields, found {len(fields)}")
        if len(fields) == 5:
            fields.insert(0, "0")
        quartz = quartz or len(fields) == 7
        if len(fields) == 6:
            fields.append("*")
        self.seconds, self.minutes, self.hours = (
            sorted(_plain(f, n, quartz)) for f, n in zip(fields, ("second", "minute", "hour"), strict=False)
        )
        self.days, self.day_marks = _days(fields[3], quartz)
        self.months = _plain(fields[4], "month", quartz)
        self.weekdays, self.weekday_marks = _weekdays(fields[5], quartz)
        self.years = None if fields[6] in ("*", "?") else _plain(fields[6], "year")

    def after(self, moment: datetime) -> datetime | None:
        """The first time after `moment` (aware); None when there is none.

        A time that the zone skips comes as much later; one that it has twice comes once, but twice where each hour fits.
        """
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        before, after = (self._offset(moment + timedelta(hours=h)) for h in (-4, 4))
        low = local if before == after else local - timedelta(hours=3)
        folds = (0, 1) if before > after and len(self.hours) == _HOURS else (0,)
        for day in self._dates(low):
            for hour, fold in product(self.hours, folds):
                if day + timedelta(hours=hour + 1) <= low:
                    continue
                for minute in self.minutes:
                    if day + timedelta(hours=hour, minutes=minute + 1) <= low:
                        continue
                    for second in self.seconds:
                        at = day.replace(hour=hour, minute=minute, second=second, tzinfo=self.zone, fold=fold).astimezone(UTC)
                        if at > moment:
                            return at
        return None

    def _offset(self, moment: datetime) -> timedelta:
        return (moment.astimezone(self.zone).utcoffset() if self.zone is not UTC else None) or timedelta()

    def _dates(self, start: datetime) -> Iterator[datetime]:
        year, month = start.year, start.month
        last = min(start.year + YEARS_MAX if self.years is None else max(self.years), 2199)
        while year <= last:
            if month in self.months and (self.years is None or year in self.years):
                fitting = self._of_month(year, month)
                for day in range(start.day if (year, month) == (start.year, start.month) else 1, monthrange(year, month)[1] + 1):
                    if day in fitting:
                        yield datetime(year, month, day)
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)

    def _of_month(self, year: int, month: int) -> set[int]:
        first, last = monthrange(year, month)

        def weekday(day: int) -> int:  # 0 is Sunday
            return (first + day) % 7

        days = set(self.days)
        for mark in self.day_marks:
            if mark[0] == "L":
                days.add(last - mark[1])
            else:
                days.add(_workday(last - mark[1] if mark[0] == "LW" else min(mark[1], last), last, weekday))
        weekdays = {day for day in range(1, last + 1) if weekday(day) in self.weekdays}
        for kind, wanted, nth in self.weekday_marks:
            same = [day for day in range(1, last + 1) if weekday(day) == wanted]
            if kind == "last":
                weekdays.add(same[-1])
            elif nth <= len(same):
                weekdays.add(same[nth - 1])
        return days & weekdays


def _workday(day: int, last: int, weekday: Callable[[int], int]) -> int:
    """The Monday to Friday nearest to a day, in its month."""
    at = weekday(day)
    if at == 6:
        return day - 1 if day > 1 else day + 2
    if at == 0:
        return day + 1 if day < last else day - 2
    return day


def zone(name: str) -> tzinfo:
    """A time zone by its name. Raises: ValueError."""
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):  # no name, none of this name, no file of a zone
        raise ValueError(f"'{name}' is no time zone") from None


def _number(text: str, field: str, quartz: bool = False) -> int:
    names = _MONTHS if field == "month" else _DAYS if field == "weekday" else []
    if text.upper() in names:
        return names.index(text.upper()) + (1 if field == "month" else 0)
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"expected a {field}, found '{text}'")
    number = int(text[:6])
    low, high = _LIMITS[field]
    if field == "weekday":
        low, high = (1, 7) if quartz else (0, 7)
    if not low <= number <= high:
        raise ValueError(f"expected a {field} from {low} to {high}, found {text}")
    if field == "weekday":
        number = number - 1 if quartz else number % 7
    return number


def _plain(text: str, field: str, quartz: bool = False) -> set[int]:
    found: set[int] = set()
    low, high = _LIMITS[field]
    for part in text.split(","):
        m = _PART.match("*" + part if quartz and part.startswith("/") else part)
        if not m:
            raise ValueError(f"expected a {field}, found '{part}'")
        begin, end, step = m[1], m[2], m[3]
        if step is not None and not 1 <= int(step[:6]) <= 10_000:
            raise ValueError(f"expected a step of 1 or more, found '{part}'")
        if begin in ("*", "?"):
            if end or (begin == "?" and (field not in ("day", "weekday") or step)):
                raise ValueError(f"expected a {field}, found '{part}'")
            a, b = low, high
        else:
            a = _number(begin, field, quartz)
            b = _number(end, field, quartz) if end else high if step else a
            if field == "weekday" and end and not quartz:  # Sunday at either end of a range
                a, b = 7 if begin == "7" else a, 7 if end == "7" else b
        size = high - low + 1 if field in ("month", "weekday") or (quartz and field != "year") else 0
        if b < a and not (end and size):
            raise ValueError(f"expected a range upwards, found '{part}'")
        for n in range(a, (b if b >= a else b + size) + 1, int((step or "1")[:6])):
            found.add(low + (n - low) % size if size else n)
    return found


def _days(text: str, quartz: bool) -> tuple[set[int], list[tuple[str, int]]]:
    days: set[int] = set()
    marks: list[tuple[str, int]] = []
    for part in text.upper().split(","):
        if part == "L":
            marks.append(("L", 0))
        elif part in ("LW", "WL"):
            marks.append(("LW", 0))
        elif (m := re.match(r"L-(\d{1,2})(W?)$", part)) and int(m[1]) <= 30 and (quartz or not m[2]):
            marks.append(("LW" if m[2] else "L", int(m[1])))
        elif m := re.match(r"(\d{1,2})W$", part):
            marks.append(("W", _number(m[1], "day")))
        else:
            days |= _plain(part, "day", quartz)
    return days, marks


def _weekdays(text: str, quartz: bool) -> tuple[set[int], list[tuple[str, int, int]]]:
    days: set[int] = set()
    marks: list[tuple[str, int, int]] = []
    for part in text.upper().split(","):
        if part == "L":  # alone: Saturday, the week's last day
            days.add(6)
        elif m := re.match(r"(\w+)L$", part):
            marks.append(("last", _number(m[1], "weekday", quartz), 0))
        elif m := re.match(r"(\w+)#([1-5])$", part):
            marks.append(("nth", _number(m[1], "weekday", quartz), int(m[2])))
        else:
            days |= _plain(part, "weekday", quartz)
    return days, marks


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1_000)
def _read(text: str) -> Cron:
    return Cron(text)


def next_us(text: str, after_us: int) -> int:
    """Microseconds UTC of the next time after `after_us`. Raises: ValueError (no cron text, or it never comes)."""
    at = _read(text).after(_EPOCH + timedelta(microseconds=after_us))
    if at is None:
        raise ValueError("it never comes")
    return (at - _EPOCH) // timedelta(microseconds=1)
