"""The one way by which a value gets into an event: it is encoded there and then, field by field, and what a field can't hold is said at once.

What is checked: whole numbers have 64 bits, moments lie within the calendar (years 1 to 9999), texts are UTF-8 without lone surrogates, JSON is
neither nested too deep nor too large. A value that doesn't fit is a `Failure`: an incident of the token that was being moved, or the answer to the
caller who sent it. So nothing that can't be written, or read again, is ever in a group.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flowledger.events import avro
from flowledger.events.base import Event
from flowledger.events.wire import CURRENT, NAMES
from flowledger.kernel import limits
from flowledger.kernel.expressions import Failure

#: an incident's or rejection's text shows so much of a value
SHOWN_MAX = 200
#: characters of the message of an incident
MESSAGE_MAX = 4_000


def unfit(event: Event, e: Exception) -> Failure:
    """Why the event could not be encoded: the field that doesn't fit, and what it was given."""
    for name, kind in avro.coded(type(event)):
        try:
            avro.CODES[kind](getattr(event, name))
        except Exception as own:
            code = "VALUE_TOO_DEEP" if isinstance(own, RecursionError) else "VALUE_INVALID"
            what, colon = (name[:-3], "") if kind == "moment" else (name, ":")
            return Failure(code, f"{_name(event)}: {what}{colon} {_why(own)}, found {shown(getattr(event, name))}")
    return Failure("VALUE_INVALID", f"{_name(event)}: {_why(e)}")


def bounded(event: Event, value: bytes, value_max: int) -> None:
    """The encoded event keeps the bounds of size, also of what the log takes (`value_max`, bytes), and depth.

    Raises: Failure VALUE_INVALID, VALUE_TOO_LARGE, VALUE_TOO_DEEP.
    """
    kind, size = type(event), len(value)
    nested, most = _BOUNDS[kind]
    if size > most:
        raise Failure("VALUE_TOO_LARGE", f"{_name(event)}: expected at most {most} bytes, found {size}")
    if size > value_max:
        raise Failure("VALUE_INVALID", f"{kind.__name__}: an event of {size} bytes is too large; at most {value_max} are taken")
    # a value nested deeper than the bound has more brackets than that
    if nested and value.count(b"[") + value.count(b"{") > limits.DEPTH_MAX:
        for name in nested:
            check_depth(getattr(event, name), _name(event))


#: events that carry resources or what is sent on, whose parts have bounds of their own
_LARGE = {CURRENT[name][0] for name in ("definition.created", "partition.outbound", "partition.answered")}


#: per event: its fields of JSON, and the bytes that it may have
_BOUNDS: dict[type[Event], tuple[tuple[str, ...], int]] = {
    cls: (tuple(n for n, kind in avro.fields_of(cls) if kind == "json"), 1 << 62 if cls in _LARGE else limits.PAYLOAD_BYTES_MAX)
    for cls in avro.ENCODERS
}
#: a value of no more bytes keeps every bound: it has no room for so many levels, each of which has two brackets
SMALL = 2 * limits.DEPTH_MAX


def check_depth(value: Any, what: str) -> None:
    """Raises: Failure VALUE_TOO_DEEP."""
    level: list[Any] = [value]
    for _ in range(limits.DEPTH_MAX + 1):
        level = [
            x
            for v in level
            if isinstance(v, (dict, list))
            for x in (v.values() if isinstance(v, dict) else v)
            if isinstance(x, (dict, list))
        ]
        if not level:
            return
    raise Failure("VALUE_TOO_DEEP", f"{what}: expected at most {limits.DEPTH_MAX} levels of nesting")


def check(value: Any, what: str) -> None:
    """A JSON value that is kept. Raises: Failure VALUE_INVALID, VALUE_TOO_LARGE, VALUE_TOO_DEEP."""
    check_depth(value, what)
    try:
        size = len(avro.encode_json(value))
    except Exception as e:
        raise Failure("VALUE_INVALID", f"{what}: {_why(e)}") from None
    if size > limits.PAYLOAD_BYTES_MAX:
        raise Failure("VALUE_TOO_LARGE", f"{what}: expected at most {limits.PAYLOAD_BYTES_MAX} bytes, found {size}")


def whole(value: Any, what: str, least: int = -(2**63), most: int = 2**63 - 1) -> int:
    """A whole number of the model or a caller. Raises: Failure EXTRACT_VALUE_ERROR."""
    number: int | None = None
    try:
        if isinstance(value, str):
            value = Decimal(value.strip())
        if not isinstance(value, bool) and least <= value <= most and int(value) == value:
            number = int(value)
    except (TypeError, ValueError, ArithmeticError):
        pass
    if number is None:
        raise Failure("EXTRACT_VALUE_ERROR", f"{what}: expected a whole number from {least} to {most}, found {shown(value)}")
    return number


def text(value: str, what: str, most: int) -> str:
    """Raises: Failure VALUE_INVALID, VALUE_TOO_LARGE."""
    if len(value) > most:
        raise Failure("VALUE_TOO_LARGE", f"{what}: expected at most {most} characters, found {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as e:
        raise Failure("VALUE_INVALID", f"{what}: {_why(e)}, found {shown(value)}") from None
    return value


def shown(value: Any) -> str:
    """What a message shows of a value: short, as JSON has it (texts in single quotes), and text that can be written anywhere."""
    try:
        if value is None or isinstance(value, bool | list | dict):
            said = avro.encode_json(value).decode()
        else:
            said = str(value) if isinstance(value, Decimal) else repr(value)
        if len(said) > SHOWN_MAX:
            return f"{clean(said, SHOWN_MAX)} ({len(said)} characters)"
    except Exception:  # a value nested too deep, or a number of too many digits
        said = f"a {type(value).__name__}"
    return clean(said)


def clean(message: str, most: int = MESSAGE_MAX) -> str:
    """A text for people that any field can hold."""
    if len(message) > most:
        message = message[: most - 1] + "…"
    return message if message.isascii() else message.encode("utf-8", "backslashreplace").decode()


def _name(event: Event) -> str:
    name = NAMES[type(event)]
    element = getattr(event, "element", "")
    return f"{name} of {clean(element, SHOWN_MAX)}" if element else name


def _why(e: Exception) -> str:
    if isinstance(e, UnicodeEncodeError):
        return "expected a text of Unicode characters, without lone surrogates"
    if isinstance(e, RecursionError):
        return f"expected at most {limits.DEPTH_MAX} levels of nesting"
    return clean(str(e) or type(e).__name__, SHOWN_MAX)
