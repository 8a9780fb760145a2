"""`value.name` for values that aren't contexts (DMN 1.5, Tables 65 to 67), and for lists, item by item."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from flowledger.kernel.feel.numbers import CONTEXT
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.temporal import SECOND_NS, DaysTimeDuration, FeelDate, FeelDateTime, FeelTime, YearsMonthsDuration
from flowledger.kernel.feel.values import Range, kind


def _number(name: str) -> Callable[[Any], Decimal]:
    return lambda v: Decimal(getattr(v, name))


def _second(v: FeelTime | FeelDateTime) -> Decimal:
    whole, fraction = divmod(v.nanos % (60 * SECOND_NS), SECOND_NS)
    return Decimal(whole) if not fraction else CONTEXT.divide(Decimal(v.nanos % (60 * SECOND_NS)), Decimal(SECOND_NS))


def _offset(v: FeelTime | FeelDateTime) -> DaysTimeDuration | None:
    offset = v.utc_offset
    return None if offset is None else DaysTimeDuration(offset * SECOND_NS)


_DATE = {n: _number(n) for n in ("year", "month", "day", "weekday")}
_TIME: dict[str, Callable[[Any], Any]] = {
    "hour": _number("hour"),
    "minute": _number("minute"),
    "second": _second,
    "time offset": _offset,
    "timezone": lambda v: v.zone,
}
PROPERTIES: dict[type, dict[str, Callable[[Any], Any]]] = {
    FeelDate: {**_DATE},
    FeelTime: _TIME,
    FeelDateTime: {**_DATE, **_TIME},
    YearsMonthsDuration: {n: _number(n) for n in ("years", "months")},
    DaysTimeDuration: {**{n: _number(n) for n in ("days", "hours", "minutes")}, "seconds": lambda v: v.seconds},
    Range: {
        "start": lambda v: v.start,
        "end": lambda v: v.end,
        "start included": lambda v: v.start_included,
        "end included": lambda v: v.end_included,
    },
}


def member(value: Any, name: str, r: Runtime, pos: int) -> Any:
    if type(value) is dict:
        if name in value:
            return value[name]
        r.warn("NAME_UNKNOWN", f"no entry {name!r}", pos)
        return None
    if type(value) is list:
        r.tick(len(value))
        r.deeper(2)
        out = [member(v, name, r, pos) for v in value]
        r.depth -= 2
        return out
    own = PROPERTIES.get(type(value))
    found = own.get(name) if own is not None else None
    if found is None:
        r.warn("NAME_UNKNOWN", f"a {kind(value)} has no {name!r}", pos)
        return None
    return found(value)
