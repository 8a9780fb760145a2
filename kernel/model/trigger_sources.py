"""What each kind of source of a trigger is told: its fields, and how each is checked. A new source is a row here and a module that reads it
(`flowledger.connectors.triggers`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from flowledger.kernel import cron

#: -> what was expected; `""`: it fits
Check = Callable[[Any], str]
DAY_US = 86_400_000_000
#: items of a list
LIST_MAX = 400
_DURATION = re.compile(r"P(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?")


def duration_us(text: Any) -> int:
    """Microseconds of days, hours, minutes and seconds (`P1DT2H`), which are of the same length always. Raises: ValueError."""
    m = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if m is None or not any(m.groups()):
        raise ValueError(f"expected a duration of days, hours, minutes and seconds such as PT15M, found {text!r}")
    days, hours, minutes, seconds = (int(g or 0) for g in m.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000


def _one_of(*words: str) -> Check:
    return lambda value: "" if value in words and isinstance(value, str) else f"one of {', '.join(words)}"


def _whole(low: int, high: int) -> Check:
    return lambda value: "" if type(value) is int and low <= value <= high else f"a whole number from {low} to {high}"


def _within(low: str, high: str) -> Check:
    def check(value: Any) -> str:
        try:
            found = duration_us(value)
        except ValueError:
            found = -1
        return "" if duration_us(low) <= found <= duration_us(high) else f"a duration from {low} to {high}"

    return check


def _cron(value: Any) -> str:
    try:
        cron.Cron(value if isinstance(value, str) else "")
    except (ValueError, OverflowError) as e:
        return f"a cron text ({e})"
    return (
        "" if not value.lstrip().startswith(("CRON_TZ", "QUARTZ")) else "a cron text without CRON_TZ and QUARTZ (there is the field zone)"
    )


def _zone(value: Any) -> str:
    try:
        cron.zone(value if isinstance(value, str) else "")
    except ValueError:
        return "a time zone such as Europe/Berlin"
    return ""


def _moment(value: Any) -> str:
    try:
        return "" if datetime.fromisoformat(value).tzinfo is not None else "a time with its offset, such as 2026-01-31T12:00:00Z"
    except (ValueError, TypeError):
        return "a time such as 2026-01-31T12:00:00Z"


def _dates(value: Any) -> str:
    try:
        fits = isinstance(value, list) and len(value) <= LIST_MAX and all(date.fromisoformat(d) for d in value)
    except (ValueError, TypeError):
        fits = False
    return "" if fits else f"a list of at most {LIST_MAX} dates such as 2026-12-24"


class Field(NamedTuple):
    check: Check
    needed: bool = False


class Source(NamedTuple):
    """`whole`: what is wrong with all fields together. `read`: by one reader with a lease; else it is the home's own, or comes by a door."""

    fields: Mapping[str, Field]
    whole: Callable[[Mapping[str, Any]], str] = lambda config: ""
    read: bool = True


# --- schedule ---------------------------------------------------------------------------------------------------------------


def _schedule(config: Mapping[str, Any]) -> str:
    if ("cron" in config) == ("every" in config):
        return "expected cron or every, one of them"
    if "zone" in config and "every" in config:
        return "zone is for cron: every counts in UTC"
    if config.get("starting") and "cron" in config:
        return "starting is for every"
    if "most" in config and config.get("catch_up") != "all":
        return "most is for catch_up all"
    return ""


def problems(fields: Mapping[str, Field], config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, what was expected) of what doesn't fit."""
    found = [(name, f"one of {', '.join(fields)}") for name in config if name not in fields]
    for name, field in fields.items():
        if name in config:
            if what := field.check(config[name]):
                found.append((name, what))
        elif field.needed:
            found.append((name, "it: it is missing"))
    return found


SOURCES: dict[str, Source] = {
    "schedule": Source(
        {
            "cron": Field(_cron), "zone": Field(_zone), "every": Field(_within("PT1S", "P366D")), "starting": Field(_moment), "except": Field(_dates),
            "catch_up": Field(_one_of("none", "last", "all")), "most": Field(_whole(1, 1_000)), "within": Field(_within("PT1S", "P3660D")),
        },
        _schedule, read=False,
    ),
}  # fmt: skip


def zone_of(config: Mapping[str, Any]) -> Any:
    return cron.zone(config.get("zone") or "UTC")


__all__ = ["DAY_US", "SOURCES", "Source", "duration_us", "problems", "zone_of"]
