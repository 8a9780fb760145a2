"""Points in time, durations and cycles of timers; all in microseconds UTC, from values and never from a clock.

Source: ISO 8601 (durations, date-times, `Rn/...` repetitions) as BPMN 2.0.2 10.5.5 uses them; cron texts of 5 or 6 fields.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flowledger.kernel.expressions import Failure

_DURATION = re.compile(r"(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?)?$")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?(?:\[([\w/+-]+)\])?|@([\w/+-]+))?$")
_CYCLE = re.compile(r"R(-1|\d*)/(.+)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def duration(text: str) -> tuple[int, int]:
    """(months, microseconds) of an ISO 8601 duration. Raises: ValueError."""
    m = _DURATION.match(text)
    if not m or text.rstrip("T") != text or not any(m.groups()[1:]):
        raise ValueError(f"'{text}' is no ISO 8601 duration (such as PT30S, P1DT2H, P1M)")
    sign = -1 if m[1] else 1
    years, months, weeks, days, hours, minutes = (int(m[n] or 0) for n in range(2, 8))
    seconds = float((m[8] or "0").replace(",", "."))
    us = ((weeks * 7 + days) * 86400 + hours * 3600 + minutes * 60) * 1_000_000 + round(seconds * 1_000_000)
    return sign * (years * 12 + months), sign * us


def after(start_us: int, months: int, us: int) -> int:
    """`start_us` plus calendar months (clipped to the month's last day) plus microseconds."""
    if months:
        at = _EPOCH + timedelta(microseconds=start_us)
        total = at.year * 12 + at.month - 1 + months
        year, month = divmod(total, 12)
        month += 1
        last = (datetime(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
        at = at.replace(year=year, month=month, day=min(at.day, last))
        start_us = round((at - _EPOCH) / timedelta(microseconds=1))
    return start_us + us


def instant(text: str) -> int:
    """Microseconds of an ISO 8601 date or date-time with offset, `Z`, `[Zone/Name]` or `@Zone/Name`; none means UTC. Raises: ValueError."""
    m = _INSTANT.match(text.strip())
    if not m:
        raise ValueError(f"'{text}' is no ISO 8601 date-time (such as 2026-01-31T12:00:00Z)")
    day, clock, offset, zone, zone2 = m.groups()
    clock = clock or "00:00:00"
    if len(clock) == 5:
        clock += ":00"
    if "." in clock:
        whole, fraction = clock.split(".")
        clock = f"{whole}.{fraction[:6].ljust(6, '0')}"
    at = datetime.fromisoformat(f"{day}T{clock}")
    if zone or zone2:
        try:
            at = at.replace(tzinfo=ZoneInfo(zone or zone2))
        except Exception:
            raise ValueError(f"'{zone or zone2}' is no time zone") from None
    else:
        at = datetime.fromisoformat(
            f"{day}T{clock}{'+00:00' if offset in (None, 'Z') else offset if ':' in offset else offset[:3] + ':' + offset[3:]}"
        )
    return (at - _EPOCH) // timedelta(microseconds=1)


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
    """The next time of a cron text after `after_us`, in UTC. Quartz's `?` and `@daily` and its kin are understood. Raises: ValueError."""
    from cronsim import CronSim, CronSimError

    words = {"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
             "@midnight": "0 0 * * *", "@hourly": "0 * * * *"}  # fmt: skip
    source = words.get(text.strip(), text.strip()).replace("?", "*")
    try:
        at = next(CronSim(source, _EPOCH + timedelta(microseconds=after_us)))
    except (CronSimError, StopIteration):
        raise ValueError(f"'{text}' is neither a cycle (R3/PT10S) nor a cron text (0 9 * * MON-FRI)") from None
    return (at - _EPOCH) // timedelta(microseconds=1)


def cycle(text: str, now_us: int) -> tuple[int, str, int]:
    """(first due, repeat text, further firings; -1: endless) of `R/PT1H`, `R3/2026-01-01T00:00:00Z/P1D` or a cron text. Raises: ValueError."""
    m = _CYCLE.match(text.strip())
    if not m:
        return cron_next(text, now_us), text.strip(), -1
    left = -1 if m[1] in ("", "-1") else int(m[1]) - 1
    parts = m[2].split("/")
    if len(parts) == 1:
        months, us = duration(parts[0])
        return after(now_us, months, us), parts[0], left
    start_text, period = parts[0], parts[1]
    if start_text.startswith("P"):  # R3/PT1H/end: counted from now, as without the end
        start_text, period = "", start_text
    months, us = duration(period)
    return max(instant(start_text), now_us) if start_text else after(now_us, months, us), period, left


def next_due(repeat: str, due_us: int, now_us: int) -> int:
    """When a repeating timer that was due at `due_us` is due again: never in the past twice, so that a long stop fires once."""
    if repeat.startswith("P"):
        months, us = duration(repeat)
        due = after(due_us, months, us)
        if due < now_us and (months or us) > 0:
            if months == 0:
                due += (now_us - due) // us * us
            else:
                while (later := after(due, months, us)) <= now_us:
                    due = later
        return due
    return cron_next(repeat, max(due_us, now_us))


def schedule(kind: str, value: Any, now_us: int, what: str) -> tuple[int, str, int]:
    """(due, repeat, further firings) of a timer's evaluated value. Raises: Failure EXTRACT_VALUE_ERROR."""
    if value is None or isinstance(value, (bool, list, dict)):
        raise Failure("EXTRACT_VALUE_ERROR", f"{what}: expected a {kind}, found {value!r}")
    text = str(value).strip()
    try:
        if kind == "date":
            return instant(text), "", 0
        if kind == "duration":
            months, us = duration(text)
            return after(now_us, months, us), "", 0
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
