"""Functions that aren't in the standard but that users of other engines know; each is marked as an extension in the list of functions."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from flowledger.kernel.feel import limits, regex
from flowledger.kernel.feel.builtins.lists import distinct
from flowledger.kernel.feel.builtins.registry import builtin
from flowledger.kernel.feel.numbers import to_int
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.temporal import FeelDate, FeelDateTime, zone
from flowledger.kernel.feel.values import equal, text

extension = partial(builtin, extension=True)


@extension("get or else", "value: any, default: any")
def get_or_else(r: Runtime, value: Any, default: Any) -> Any:
    """The value, or the default if it is null."""
    return default if value is None else value


@extension("fromAi", "value: any, description??: string, type??: string, schema??: context, options??: context")
def from_ai(r: Runtime, value: Any, description: str | None, type: str | None, schema: Any, options: Any) -> Any:
    """The value. What else is said tells a language model what to give there."""
    return value


@extension("is defined", "value: any")
def is_defined(r: Runtime, value: Any) -> bool:
    """Whether the value isn't null."""
    return value is not None


@extension("consented", "purpose: string, subject: string", work=20)
def consented(r: Runtime, purpose: str, subject: str) -> bool:
    """Whether a data subject has agreed to a purpose: given, not over, not withdrawn. Null in a trial, where nobody knows."""
    asked = getattr(r.facts, "consented", None)
    if asked is None:
        raise ValueError("the facts of this evaluation have no consents")
    found: bool = asked(purpose, subject)
    return found


@extension("assert", "value: any, condition: any, cause??: string")
def assert_(r: Runtime, value: Any, condition: Any, cause: str | None) -> Any:
    """The value if the condition is true, else null with the cause as a warning; in a mapping that is an incident."""
    if condition is True:
        return value
    if r.warnings is not None and len(r.warnings) >= limits.warnings_max:
        r.warnings.pop()  # what fails the whole matters more than the last of many
    r.warn("ASSERTION_FAILED", cause or "the condition isn't true")
    return None


@extension("get or else", "list: pure list, index: number, default: any")
def item_or_else(r: Runtime, items: list[Any], index: Decimal, default: Any) -> Any:
    n = to_int(index) if abs(index) <= len(items) else None
    value = items[n - 1 if n > 0 else n] if n else None
    return default if value is None else value


@extension("get value", "m: context, keys: pure list")
def get_nested(r: Runtime, m: dict[str, Any], keys: list[Any]) -> Any:
    value: Any = m
    for key in keys:
        value = value.get(key) if type(value) is dict and type(key) is str else None
    return value


@extension("string format", "template: string, values: any")
def string_format(r: Runtime, template: str, values: Any) -> str:
    """The template with each `{name}` replaced by that entry of a context, or `{}` by the next item of a list."""
    out: list[str] = []
    rest, used, size = template, 0, len(template)
    while True:
        before, brace, rest = rest.partition("{")
        out.append(before)
        if not brace:
            break
        name, closed, after = rest.partition("}")
        if not closed:
            raise ValueError("a '{' without '}'")
        if type(values) is dict:
            value = values.get(name.strip())
        else:
            items = values if type(values) is list else [values]
            place = int(name) - 1 if name.isascii() and name.strip().isdigit() and len(name) < 9 else used
            value = items[place] if 0 <= place < len(items) else None
            used += 1
        out.append(text(value, r))
        size += len(out[-1])
        if size > limits.string_chars_max:
            r.text(size)
        rest = after
    return "".join(out)


@extension("trim", "string: string")
def trim(r: Runtime, string: str) -> str:
    """The text without white space at its ends."""
    return string.strip()


@extension("is blank", "string: string")
def is_blank(r: Runtime, string: str) -> bool:
    """Whether the text has nothing but white space."""
    return not string.strip()


@extension("is empty", "list: pure list")
def is_empty(r: Runtime, items: list[Any]) -> bool:
    """Whether a list, context or text is empty."""
    return not items


@extension("is empty", "context: context")
def is_empty_context(r: Runtime, m: dict[str, Any]) -> bool:
    return not m


@extension("is empty", "string: string")
def is_empty_text(r: Runtime, string: str) -> bool:
    return not string


@extension("extract", "string: string, pattern: string")
def extract(r: Runtime, string: str, pattern: str) -> list[str]:
    """All parts of the text that match the pattern."""
    return [m.group() for m in regex.compiled(pattern, "").find(r, string) if m.group()]


@extension("to base64", "value: string")
def to_base64(r: Runtime, value: str) -> str:
    """The text in Base64 (UTF-8)."""
    import base64

    return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()


@extension("duplicate values", "list: list")
def duplicate_values(r: Runtime, items: list[Any]) -> list[Any]:
    """The items that are there more than once, each once."""
    out = []
    for item in distinct(r, items):
        r.tick(len(items))
        if sum(equal(i, item, r) is True for i in items) > 1:
            out.append(item)
    return out


@extension("partition", "list: list, size: number")
def partition(r: Runtime, items: list[Any], size: Decimal) -> list[list[Any]]:
    """The list in parts of `size` items."""
    n = to_int(size) if abs(size) < 10**9 else None
    if n is None or n < 1:
        raise ValueError(f"no size {size}")
    r.room(len(items))
    return [items[i : i + n] for i in range(0, len(items), n)]


@extension("last day of month", "date: day")
def last_day_of_month(r: Runtime, date: Any) -> FeelDate:
    """The last day of the month of a date."""
    day = date.date if isinstance(date, FeelDateTime) else date
    return FeelDate.from_days(FeelDate(day.year, day.month, 1).plus_months(1).days - 1)


@extension("date and time", "date: date and time, timezone: string")
def in_zone(r: Runtime, date: FeelDateTime, timezone: str) -> FeelDateTime:
    """The same instant in another zone."""
    if zone(timezone) is None:
        raise ValueError(f"no time zone {timezone!r}")
    if date.utc_offset is None:
        return FeelDateTime(date.date, date.nanos, None, timezone)
    return FeelDateTime.in_zone(date.epoch_nanos, timezone)


@extension("cycle", "repetitions: number|null, interval: duration")
def cycle(r: Runtime, repetitions: Decimal | None, interval: Any) -> Any:
    """The text of a timer's cycle (ISO 8601): every `interval`, so many times; for ever without a number."""
    if repetitions is not None and repetitions != to_int(repetitions):
        raise ValueError(f"expected a whole number of repetitions, found {repetitions}")
    return f"R{'' if repetitions is None else to_int(repetitions)}/{text(interval)}"


@extension("cycle", "interval: duration")
def cycle_without_end(r: Runtime, interval: Any) -> Any:
    return cycle(r, None, interval)
