"""Working time: when somebody works, and when so much working time will have passed. Pure; all in microseconds UTC.

A calendar is `{zone, days: {mon: ["09:00-12:00", "13:00-17:00"], ...}, holidays: ["2026-12-25", ...]}`. A day that is not named has no hours.
Hours are wall clock in the zone: a day on which the clocks change is as long as they make it. Without a calendar all time is working time.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from flowledger.kernel import cron

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)$")
#: days looked ahead for working time
DAYS_MAX = 3_660


def spans(text: Any) -> list[tuple[int, int]]:
    """Minutes of the day from "09:00-12:00" or a list of such. Raises: ValueError."""
    out = []
    for part in [p.strip() for p in text.split(",")] if isinstance(text, str) else text:
        m = _SPAN.match(str(part))
        if m is None:
            raise ValueError(f"'{part}' is no span of a day (such as 09:00-17:30)")
        start, end = int(m[1]) * 60 + int(m[2]), int(m[3]) * 60 + int(m[4])
        if not 0 <= start < end <= 24 * 60:
            raise ValueError(f"'{part}' does not end after it begins")
        out.append((start, end))
    out.sort()
    if any(a[1] > b[0] for a, b in itertools.pairwise(out)):
        raise ValueError(f"spans overlap: {text}")
    return out


def problems(calendar: dict[str, Any]) -> list[str]:
    """What is wrong with it."""
    out = []
    if not isinstance(calendar.get("days"), dict) or not calendar["days"]:
        out.append("days: expected the hours of at least one day, such as {'mon': ['09:00-17:00']}")
    for day, hours in calendar["days"].items() if isinstance(calendar.get("days"), dict) else ():
        if day not in DAYS:
            out.append(f"days.{day}: expected one of {', '.join(DAYS)}")
        try:
            spans(hours)
        except (ValueError, TypeError) as e:
            out.append(f"days.{day}: {e}")
    for day in calendar.get("holidays") or ():
        try:
            date.fromisoformat(str(day))
        except ValueError:
            out.append(f"holidays: '{day}' is no date (such as 2026-12-25)")
    try:
        cron.zone(str(calendar.get("zone") or "UTC"))
    except ValueError as e:
        out.append(f"zone: {e}")
    return out


def _windows(calendar: dict[str, Any], from_us: int) -> Iterator[tuple[int, int]]:
    """Working windows that end after `from_us`, in order."""
    name = str(calendar.get("zone") or "UTC")
    free = {str(day) for day in calendar.get("holidays") or ()}
    days = calendar["days"]
    day = (_EPOCH + timedelta(microseconds=from_us)).astimezone(ZoneInfo(name)).date()
    for _ in range(DAYS_MAX):
        hours = days.get(DAYS[day.weekday()])
        if hours and not (free and day.isoformat() in free):
            for window in _of_day(name, day, hours if isinstance(hours, str) else tuple(hours)):
                if window[1] > from_us:
                    yield window
        day += timedelta(days=1)


@lru_cache(maxsize=10_000)  # a few years of some calendars
def _of_day(zone_name: str, day: date, hours: str | tuple[Any, ...]) -> tuple[tuple[int, int], ...]:
    """What is asked for again and again: by each KPI of each instance, and by a search for a moment."""
    zone = ZoneInfo(zone_name)
    found = ((_us(day, start, zone), _us(day, end, zone)) for start, end in spans(hours))
    return tuple(window for window in found if window[1] > window[0])


def _us(day: date, minutes: int, zone: ZoneInfo) -> int:
    at = datetime.combine(day, time(), zone) if minutes < 24 * 60 else datetime.combine(day + timedelta(days=1), time(), zone)
    at = at.replace(hour=minutes % (24 * 60) // 60, minute=minutes % 60)
    return (at - _EPOCH) // timedelta(microseconds=1)


def open_at(calendar: dict[str, Any] | None, at_us: int) -> bool:
    """Is `at_us` working time?"""
    if calendar is None:
        return True
    first = next(_windows(calendar, at_us), None)
    return first is not None and first[0] <= at_us


def add(calendar: dict[str, Any] | None, from_us: int, working_us: int) -> int:
    """When `working_us` of working time will have passed since `from_us`. Calendar time where it never opens again."""
    if calendar is None or working_us <= 0:
        return from_us + max(0, working_us)
    left = working_us
    for start, end in _windows(calendar, from_us):
        start = max(start, from_us)
        if end - start >= left:
            return start + left
        left -= end - start
    return from_us + working_us


def between(calendar: dict[str, Any] | None, from_us: int, to_us: int) -> int:
    """How much of the time is working time."""
    if calendar is None or to_us <= from_us:
        return max(0, to_us - from_us)
    found = 0
    for start, end in _windows(calendar, from_us):
        if start >= to_us:
            break
        found += min(end, to_us) - max(start, from_us)
    return found


def before(calendar: dict[str, Any] | None, to_us: int, working_us: int) -> int:
    """The last moment since which `working_us` of working time have passed at `to_us`: what began then or earlier has had them."""
    if calendar is None or working_us <= 0:
        return to_us - max(0, working_us)
    low, high = to_us - DAYS_MAX * 86_400_000_000, to_us
    span = 2 * working_us  # mostly it lies near: the search begins there and not ten years ago
    while high - span > low:
        if between(calendar, high - span, to_us) >= working_us:
            low = high - span
            break
        span *= 2
    if between(calendar, low, to_us) < working_us:
        return low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if between(calendar, middle, to_us) >= working_us else (low, middle)
    return low
