"""Points in time, durations and cycles of timers; all in microseconds UTC, from values and never from a clock.

Source: ISO 8601 (dates, times, durations, `Rn/...` repetitions) as BPMN 2.0.2 10.5.5 uses them; RFC 9557 (`[Zone]` behind a time); cron texts
(`kernel/cron.py`). `@Zone` is FEEL's way to name a zone. Choices:
- The smallest part of a time may have a fraction (`T10.5`). Calendars are the Gregorian one: `[!u-ca=...]` of another is refused (RFC 9557).
- A time without zone is UTC. `Z[Zone]` and `+01:00[Zone]` are the moment of the offset; with `[!Zone]` the offset must be the zone's own.
- A time that a zone skips comes as much later, one that it has twice is the first (as in Java).
- A cycle with a start fires at the start and each period after it; those that are past at the beginning are passed over, and count. With an
  end (`R3/PT1H/END`) the periods count back from the end. Days, months and years of a cycle keep the local time of the zone that its start names.
- `Rn` fires n times, `R0` once (as in Zeebe), `R` and `R-1` for ever.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, NamedTuple

from flowledger.kernel import cron
from flowledger.kernel.expressions import Failure
from flowledger.kernel.values import shown

_DURATION = re.compile(
    r"([-+])?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)W)?(?:(\d+(?:[.,]\d+)?)D)?"
    r"(?:T(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?$",
    re.ASCII,
)
_INSTANT = re.compile(
    r"(?P<date>\d{4}(?:-\d\d-\d\d|\d{4}|-?W\d\d-?[1-7]|-\d{3}|\d{3}))"
    r"(?:[Tt](?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d))?)?(?:[.,](?P<part>\d{1,18}))?)?"
    r"(?P<offset>[Zz]|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?"
    r"(?:@(?P<at>[\w/+-]+))?(?P<tags>(?:\[!?[\w/+:=.-]+\])*)$",
    re.ASCII,
)
_ORDINAL = re.compile(r"\d{4}-?\d{3}")
#: what all times are computed in
_CALENDARS = ("u-ca=gregory", "u-ca=iso8601")
_TAG = re.compile(r"\[(!?)([^\]]+)\]")
_CYCLE = re.compile(r"R(-1|[0-9]*)/(.+)$")
#: parts of a cycle; names of zones have slashes as well
_PARTS = re.compile(r"/(?=[+-]?P[\dT]|[+-]?\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000
#: 0001-01-02 to 9999-12-30: the calendar that can be computed in any zone
MIN_US, MAX_US = -62_135_510_400_000_000, 253_402_128_000_000_000
#: digits of a number in a duration
_DIGITS_MAX = 18


def duration(text: str) -> tuple[int, int]:
    """(months, microseconds) of an ISO 8601 duration. The smallest part may have a fraction. Raises: ValueError."""
    months, days, us = _parts(text)
    return months, days * _DAY_US + us


def _parts(text: str) -> tuple[int, int, int]:
    """(months, days, microseconds)."""
    m = _DURATION.match(text)
    parts = m.groups()[1:] if m else ()
    given = [p for p in parts if p is not None]
    fractions = [p for p in given if not p.isdigit()]
    if not m or text.endswith("T") or not given or (fractions and (len(fractions) > 1 or given[-1] is not fractions[0])):
        raise ValueError(f"'{text[:60]}' is no ISO 8601 duration (such as PT30S, P1DT2H, P1M)")
    if any(len(p) > _DIGITS_MAX for p in given):
        raise ValueError(f"the duration '{text[:60]}' is longer than the calendar")
    months = int(m[2] or 0) * 12 + int(m[3] or 0)
    whole_days, us = divmod(_us(m[4], 7 * 86400) + _us(m[5], 86400), _DAY_US)
    us += _us(m[6], 3600) + _us(m[7], 60) + _us(m[8], 1)
    if months > 120_000 or whole_days * _DAY_US + us > MAX_US - MIN_US:
        raise ValueError(f"the duration '{text}' is longer than the calendar")
    sign = -1 if m[1] == "-" else 1
    return sign * months, sign * whole_days, sign * us


def _us(text: str | None, seconds: int) -> int:
    if text is None:
        return 0
    whole, _, part = text.replace(",", ".").partition(".")
    return int(whole) * seconds * 1_000_000 + (int(part) * seconds * 1_000_000 // 10 ** len(part) if part else 0)


def after(start_us: int, months: int, us: int, days: int = 0, zone: tzinfo = UTC) -> int:
    """`start_us` plus calendar months (clipped to the month's last day), days by the local time of `zone`, and microseconds.

    Raises: ValueError outside of the years 1 to 9999.
    """
    try:
        if months or (days and zone is not UTC):
            at = (_EPOCH + timedelta(microseconds=start_us)).astimezone(zone).replace(tzinfo=None)
            year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
            at = at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1])) + timedelta(days=days)
            found = _to_us(at.replace(tzinfo=zone)) + us
        else:
            found = start_us + days * _DAY_US + us
    except (ValueError, OverflowError):
        found = MAX_US + 1
    if not MIN_US <= found <= MAX_US:
        raise ValueError("the time lies outside of the years 1 to 9999")
    return found


def _to_us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def zone_of(name: str) -> tzinfo:
    """A zone by name, or an offset. Raises: ValueError."""
    if re.fullmatch(r"[+-]\d\d:?\d\d", name):
        return _offset(name)
    return cron.zone(name)


def _offset(text: str) -> tzinfo:
    if text in "Zz":
        return UTC
    digits = text[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > 18 or minutes > 59 or seconds > 59:
        raise ValueError(f"'{text}' is no offset from UTC")
    return timezone(timedelta(hours=hours, minutes=minutes, seconds=seconds) * (-1 if text[0] == "-" else 1))


def moment(text: str) -> tuple[int, tzinfo]:
    """(microseconds, the zone or offset that it names) of a date or date-time. Raises: ValueError."""
    m = _INSTANT.match(text.strip())
    if not m or (m["offset"] and m["hour"] is None) or (m["at"] and (m["offset"] or m["tags"])):
        raise ValueError(f"'{text}' is no ISO 8601 date-time (such as 2026-01-31T12:00:00Z)")
    try:
        day = _ordinal(m["date"]) if _ORDINAL.fullmatch(m["date"]) else date.fromisoformat(m["date"])
        hour, minute, second = int(m["hour"] or 0), int(m["minute"] or 0), int(m["second"] or 0)
        unit = 1 if m["second"] else 60 if m["minute"] else 3600  # the smallest part may have a fraction
        more, part = divmod(int(m["part"] or 0) * unit * 1_000_000 // 10 ** len(m["part"] or ""), 1_000_000)
        if hour == 24 and not (minute or second or more or part):
            day, hour = day + timedelta(days=1), 0
        if second == 60:  # a leap second is the next one
            local = datetime(day.year, day.month, day.day, hour, minute, 59) + timedelta(seconds=1)
        else:
            local = datetime(day.year, day.month, day.day, hour, minute, second, part) + timedelta(seconds=more)
    except (ValueError, OverflowError) as e:
        raise ValueError(f"'{text}' is no date-time: {e}") from None
    zone, strict = _named(m["at"], m["tags"], text)
    if m["offset"]:
        offset = _offset(m["offset"])
        found = _to_us(local.replace(tzinfo=offset))
        at = local.replace(tzinfo=offset)
        told = m["offset"] not in ("Z", "z") and not (
            m["offset"][0] == "-" and offset.utcoffset(None) == timedelta()
        )  # -00:00 is Z (RFC 9557, 2)
        if zone is not None and strict and told and at.astimezone(zone).utcoffset() != at.utcoffset():
            raise ValueError(f"'{text}': {m['offset']} is not the offset of the zone at that time")
        zone = zone or offset
    else:
        zone = zone or UTC
        found = _to_us(local.replace(tzinfo=zone))
    if not MIN_US <= found <= MAX_US:
        raise ValueError(f"'{text}' lies outside of the years 1 to 9999")
    return found, zone


def _ordinal(text: str) -> date:
    year, day = int(text[:4]), int(text[4:].lstrip("-"))
    found = date(year, 1, 1) + timedelta(days=day - 1)
    if day < 1 or found.year != year:
        raise ValueError(f"the year {year} has no day {day}")
    return found


def _named(at: str | None, tags: str, text: str) -> tuple[tzinfo | None, bool]:
    """The zone that a time names, and whether it must be honoured (RFC 9557: `!`). Other tags are passed over unless they must be honoured."""
    if at:
        return zone_of(at), True
    zone, strict = None, False
    calendar, must = "", False
    for mark, name in _TAG.findall(tags):
        if name.startswith("u-ca="):  # of several the first counts, unless one of them must be honoured
            must = must or bool(mark)
            if must and (calendar or name) != name:
                raise ValueError(f"'{text}' names two calendars")
            calendar = calendar or name
            if must and calendar not in _CALENDARS:
                raise ValueError(f"'{text}': expected the Gregorian calendar, found [!{calendar}]")
        elif "=" in name:
            if mark:
                raise ValueError(f"'{text}': the tag [{mark}{name}] is not understood")
        elif zone is not None:
            raise ValueError(f"'{text}' names two zones")
        else:
            zone, strict = zone_of(name), bool(mark)
    return zone, strict


def instant(text: str) -> int:
    """Microseconds of an ISO 8601 date or date-time with offset, `Z`, `[Zone/Name]` or `@Zone/Name`; none means UTC. Raises: ValueError."""
    return moment(text)[0]


def instant_us(value: Any, now_us: int, what: str) -> int:
    """A date given as text or FEEL value. Raises: Failure."""
    try:
        return instant(str(value))
    except ValueError as e:
        try:
            months, us = duration(str(value))
            return after(now_us, months, us)
        except ValueError:
            raise Failure("EXTRACT_VALUE_ERROR", f"{what}: {e}") from None


def cron_next(text: str, after_us: int) -> int:
    """The next time of a cron text after `after_us`. Raises: ValueError."""
    try:
        return cron.next_us(text.strip(), after_us)
    except ValueError as e:
        raise ValueError(f"'{text}' is neither a cycle (R3/PT10S) nor a cron text (0 9 * * MON-FRI): {e}") from None


class _Grid(NamedTuple):
    """A cycle's points: `anchor_us` plus whole periods, in `zone`; backwards from an end when `back`. `text` is the period."""

    anchor_us: int
    period: tuple[int, int, int]
    zone: tzinfo
    text: str
    back: bool = False

    def at(self, n: int) -> int:
        if self.back:
            n = -n
        months, days, us = self.period
        return after(self.anchor_us, months * n, us * n, days * n, self.zone)

    @property
    def longest_us(self) -> int:
        months, days, us = self.period
        return (months * 31 + days) * _DAY_US + us

    def first_after(self, moment_us: int) -> int:
        """The number of the first point after a moment."""
        n = max(0, (moment_us - self.anchor_us) // self.longest_us - 2)
        while self.at(n) <= moment_us:
            n += 1
        return n

    def last_before_end(self, moment_us: int) -> int:
        """Backwards: the number of the first point after a moment, which lies before the end."""
        n = max(0, (self.anchor_us - moment_us) // self.longest_us - 2)
        while self.at(n + 1) > moment_us:
            n += 1
        return n

    def __str__(self) -> str:
        at = (_EPOCH + timedelta(microseconds=self.anchor_us)).astimezone(self.zone)
        name = getattr(self.zone, "key", None)
        start = at.isoformat() + (f"[{name}]" if name else "")
        return f"R/{self.text}/{start}" if self.back else f"R/{start}/{self.text}"


def _period(text: str) -> tuple[int, int, int]:
    found = _parts(text)
    if min(found) < 0 or not any(found):
        raise ValueError(f"expected a period longer than nothing, found '{text}'")
    return found


def _grid(first: str, second: str) -> _Grid:
    """The grid of `START/PERIOD`, `START/END` or `PERIOD/END`. Raises: ValueError."""
    if first.lstrip("+-").startswith("P"):
        end_us, zone = moment(second)
        return _Grid(end_us, _period(first), zone, first, back=True)
    start_us, zone = moment(first)
    if second.lstrip("+-").startswith("P"):
        return _Grid(start_us, _period(second), zone, second)
    length = instant(second) - start_us
    if length <= 0:
        raise ValueError(f"expected an end after the start, found '{second}'")
    return _Grid(start_us, (0, 0, length), UTC, f"PT{_seconds(length)}S")


def _seconds(us: int) -> str:
    return f"{us // 1_000_000}" + (f".{us % 1_000_000:06}" if us % 1_000_000 else "")


def cycle(text: str, now_us: int) -> tuple[int, str, int]:
    """(first due, repeat text, further firings; -1: endless) of `R/PT1H`, `R3/2026-01-01T00:00:00Z/P1D` or a cron text.

    The first due is -1 when all firings are past. Raises: ValueError.
    """
    m = _CYCLE.match(text.strip())
    if not m:
        try:
            return cron_next(text, now_us), text.strip(), -1
        except ValueError:
            cron_next(text, 0)  # it never comes at all, or is no cron text
            return -1, "", 0  # of years that are over
    if len(m[1]) > _DIGITS_MAX:
        raise ValueError(f"expected at most {_DIGITS_MAX} digits of repetitions, found {len(m[1])}")
    #: 0: for ever
    times = 0 if m[1] in ("", "-1") else max(1, int(m[1]))
    parts = _PARTS.split(m[2].removeprefix("/"))
    if len(parts) == 1:
        months, days, us = _period(parts[0])
        due = after(now_us, months, us, days)
        # months count from the beginning: 31, 28, 31
        return due, str(_Grid(now_us, (months, days, us), UTC, parts[0])) if months else parts[0], times - 1
    if len(parts) != 2:
        raise ValueError(f"expected a start and a period in '{text}'")
    grid = _grid(*parts)
    if grid.back:
        if grid.anchor_us < now_us:
            return -1, "", 0
        left = grid.last_before_end(now_us - 1)
        left = min(left, times - 1) if times else left
        return grid.at(left), str(grid), left
    n = grid.first_after(now_us - 1)
    if times and n >= times:
        return -1, "", 0
    return grid.at(n), str(grid), times - 1 - n if times else -1


def next_due(repeat: str, due_us: int, now_us: int) -> int:
    """When a repeating timer that was due at `due_us` is due again: never in the past twice, so that a long stop fires once. Raises: ValueError."""
    behind_us = max(due_us, now_us - 1)
    if (m := _CYCLE.match(repeat)) is not None:
        first, second = _PARTS.split(m[2])
        grid = _grid(first, second)
        if not grid.back:
            return grid.at(grid.first_after(behind_us))
        if grid.anchor_us <= behind_us:
            raise ValueError("the cycle has ended")
        return grid.at(grid.last_before_end(behind_us))
    if repeat.startswith("P"):
        months, us = duration(repeat)
        if months:  # as older logs have it: from one firing to the next
            due = after(due_us, months, us)
            while due < now_us:
                due = after(due, months, us)
            return due
        return after(due_us, 0, us * max(1, -((due_us - now_us) // us))) if us > 0 else due_us
    return cron_next(repeat, max(due_us, now_us))


def schedule(kind: str, value: Any, now_us: int, what: str) -> tuple[int, str, int]:
    """(due, repeat, further firings) of a timer's evaluated value; due -1: never. Kind: date, duration, cycle, or quartz (a cycle of a classic
    model, whose cron texts are Quartz's). Raises: Failure EXTRACT_VALUE_ERROR."""
    if value is None or isinstance(value, (bool, list, dict)):
        raise Failure("EXTRACT_VALUE_ERROR", f"{what}: expected a {kind if kind != 'quartz' else 'cycle'}, found {shown(value)}")
    text = str(value).strip()
    try:
        if kind == "date":
            return instant(text), "", 0
        if kind == "duration":
            months, us = duration(text)
            return after(now_us, months, us), "", 0
        if kind == "quartz" and not _CYCLE.match(text) and len(text.split()) == 6:
            text = f"QUARTZ {text}"
        return cycle(text, now_us)
    except (ValueError, OverflowError) as e:
        raise Failure("EXTRACT_VALUE_ERROR", f"{what}: {e}") from None


def problem(kind: str, text: str) -> str:
    """What is wrong with a literal timer, `""` when nothing."""
    try:
        schedule(kind, text, 0, kind)
    except Failure as e:
        return e.message
    return ""
