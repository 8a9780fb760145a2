"""How fields of a trigger's source are checked: each check says what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from flowledger.kernel import cron
from flowledger.kernel.model.connectors import REFERENCE

#: -> what was expected; `""`: it fits
Check = Callable[[Any], str]
#: items of a list
LIST_MAX = 400
TEXT_MAX = 500
_DURATION = re.compile(r"P(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?")


class Field(NamedTuple):
    check: Check
    needed: bool = False


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


def duration_us(text: Any) -> int:
    """Microseconds of days, hours, minutes and seconds (`P1DT2H`), which are of the same length always. Raises: ValueError."""
    m = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if m is None or not any(m.groups()):
        raise ValueError(f"expected a duration of days, hours, minutes and seconds such as PT15M, found {text!r}")
    days, hours, minutes, seconds = (int(g or 0) for g in m.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000


def one_of(*words: str) -> Check:
    return lambda value: "" if value in words and isinstance(value, str) else f"one of {', '.join(words)}"


def whole(low: int, high: int) -> Check:
    return lambda value: "" if type(value) is int and low <= value <= high else f"a whole number from {low} to {high}"


def flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false"


def text(pattern: str, what: str, longest: int = TEXT_MAX) -> Check:
    found = re.compile(pattern)
    return lambda value: "" if isinstance(value, str) and len(value) <= longest and found.fullmatch(value) else what


def several(check: Check, most: int = LIST_MAX) -> Check:
    """One, or a list of some."""

    def all_fit(value: Any) -> str:
        if not isinstance(value, list):
            return check(value)
        if not 1 <= len(value) <= most:
            return f"1 to {most} in the list"
        return next((what for each in value if (what := check(each))), "")

    return all_fit


def secret(value: Any) -> str:
    """Secrets are named, never written."""
    return "" if isinstance(value, str) and REFERENCE.fullmatch(value) else "a reference such as {{secrets.NAME}}"


def secret_name(value: str) -> str:
    """Of a reference."""
    m = REFERENCE.fullmatch(value)
    assert m is not None, "checked when it was read"
    return m[1]


def within(low: str, high: str) -> Check:
    def check(value: Any) -> str:
        try:
            found = duration_us(value)
        except ValueError:
            found = -1
        return "" if duration_us(low) <= found <= duration_us(high) else f"a duration from {low} to {high}"

    return check


def cron_text(value: Any) -> str:
    try:
        cron.Cron(value if isinstance(value, str) else "")
    except (ValueError, OverflowError) as e:
        return f"a cron text ({e})"
    return (
        "" if not value.lstrip().startswith(("CRON_TZ", "QUARTZ")) else "a cron text without CRON_TZ and QUARTZ (there is the field zone)"
    )


def zone(value: Any) -> str:
    try:
        cron.zone(value if isinstance(value, str) else "")
    except ValueError:
        return "a time zone such as Europe/Berlin"
    return ""


def moment(value: Any) -> str:
    try:
        return "" if datetime.fromisoformat(value).tzinfo is not None else "a time with its offset, such as 2026-01-31T12:00:00Z"
    except (ValueError, TypeError):
        return "a time such as 2026-01-31T12:00:00Z"


def dates(value: Any) -> str:
    try:
        fits = isinstance(value, list) and len(value) <= LIST_MAX and all(date.fromisoformat(d) for d in value)
    except (ValueError, TypeError):
        fits = False
    return "" if fits else f"a list of at most {LIST_MAX} dates such as 2026-12-24"
