"""When a schedule is due, and what is made up for after a stop. Microseconds UTC; pure.

A time that a zone skips comes as much later; one that it has twice comes once, but twice where each hour fits (`kernel/cron.py`). `every` counts in UTC from
`starting` (from 1970 where it isn't said), so that a new version keeps the same times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flowledger.kernel import cron
from flowledger.kernel.model.trigger_sources import DAY_US, duration_us, zone_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: late by so much is still in time
GRACE_US = 60_000_000
MOST, WITHIN_US = 100, 366 * DAY_US


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def local(config: Mapping[str, Any], us: int) -> datetime:
    return (_EPOCH + timedelta(microseconds=us)).astimezone(zone_of(config))


def next_after(config: Mapping[str, Any], after_us: int) -> int:
    """The first time after a moment; 0: there is none."""
    closed = frozenset(config.get("except") or ())
    while True:
        try:
            at = _next(config, after_us)
        except (ValueError, OverflowError):
            return 0
        if not closed or (day := local(config, at)).date().isoformat() not in closed:
            return at
        midnight = datetime(day.year, day.month, day.day, tzinfo=day.tzinfo) + timedelta(days=1)
        after_us = max(at, _us(midnight.astimezone(UTC)) - 1)


def _next(config: Mapping[str, Any], after_us: int) -> int:
    if "cron" in config:
        zone = config.get("zone")
        return cron.next_us(f"CRON_TZ={zone} {config['cron']}" if zone else config["cron"], after_us)
    anchor = _us(datetime.fromisoformat(config["starting"])) if config.get("starting") else 0
    period = duration_us(config["every"])
    return anchor + max(0, (after_us - anchor) // period + 1) * period


def due(config: Mapping[str, Any], first_us: int, now_us: int) -> tuple[list[int], int]:
    """Of the times from `first_us` (itself one) to now: those that are to be fired, and the first of those that nobody makes up for (0: none).

    `catch_up`: none (only what is late by less than a minute), last (the default), all (the last `most`); of those within `within`.
    """
    policy = config.get("catch_up", "last")
    most = config.get("most", MOST) if policy == "all" else 1
    within = GRACE_US if policy == "none" else duration_us(config["within"]) if "within" in config else WITHIN_US
    low, span = max(first_us, now_us - within), GRACE_US
    while True:
        start = max(low, now_us - span)
        found: deque[int] = deque(maxlen=most)
        at = next_after(config, start - 1)
        while at and at <= now_us:
            found.append(at)
            at = next_after(config, at)
        if len(found) >= most or start == low:
            break
        span *= 4
    return list(found), 0 if found and found[0] == first_us else first_us


def coming(config: Mapping[str, Any], now_us: int, count: int) -> list[str]:
    """The next times, as people read them."""
    out: list[str] = []
    at = next_after(config, now_us)
    while at and len(out) < count:
        out.append(local(config, at).isoformat())
        at = next_after(config, at)
    return out


def context(config: Mapping[str, Any], nominal_us: int, now_us: int) -> dict[str, Any]:
    """What expressions see."""
    return {"scheduled": local(config, nominal_us).isoformat(), "now": local(config, now_us).isoformat()}
