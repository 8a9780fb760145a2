"""How JUEL makes one type of another. Source: EL 2.2, chapter 1.18; comparison and arithmetic: chapters 1.7 to 1.9.

Values are JSON's, with exact numbers (int, Decimal), and moments (aware datetimes) that `now()` gives.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Any

#: digits of the largest number that a text may become
DIGITS_MAX = 400


class Wrong(Exception):
    """What JUEL refuses to do with these values."""


def said(value: Any) -> str:
    """A value in an error."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal, float)) and not isinstance(value, bool)


def exact(value: Any) -> int | Decimal:
    """A number as int or Decimal."""
    if isinstance(value, float):
        return Decimal(repr(value))
    return value  # type: ignore[no-any-return]


def to_number(value: Any) -> int | Decimal:
    """1.18.3: null and the empty text are 0. Raises: Wrong."""
    if is_number(value):
        return exact(value)
    if value is None or value == "":
        return 0
    if isinstance(value, str) and len(value) <= DIGITS_MAX:
        text = value.strip()
        try:
            return int(text) if text.isascii() and text.lstrip("+-").isdigit() else _finite(Decimal(text))
        except (ValueError, InvalidOperation):
            pass
    raise Wrong(f"expected a number, found {said(value)}")


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite() or abs(value.adjusted()) > DIGITS_MAX:
        raise Wrong(f"expected a number, found {value}")
    return value


def to_text(value: Any) -> str:
    """1.18.2: null is the empty text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f") if -20 < value.adjusted() < 20 else str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, list):
        return "[" + ", ".join("null" if v is None else to_text(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}={'null' if v is None else to_text(v)}" for k, v in value.items()) + "}"
    return str(value)


def to_boolean(value: Any) -> bool:
    """1.18.5: null and the empty text are false; of texts, only `true` in any case is true. Raises: Wrong."""
    if isinstance(value, bool):
        return value
    if value is None or value == "":
        return False
    if isinstance(value, str):
        return value.lower() == "true"
    raise Wrong(f"expected true or false, found {said(value)}")


def is_empty(value: Any) -> bool:
    """1.10."""
    return value is None or (isinstance(value, (str, list, dict)) and not value)


def equal(a: Any, b: Any) -> bool:
    """1.8.2. Raises: Wrong."""
    if a is None or b is None:
        return a is b
    if is_number(a) or is_number(b):
        return to_number(a) == to_number(b)
    if isinstance(a, bool) or isinstance(b, bool):
        return to_boolean(a) == to_boolean(b)
    if isinstance(a, str) or isinstance(b, str):
        return to_text(a) == to_text(b)
    return bool(a == b)


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: bool(a < b), ">": lambda a, b: bool(a > b), "<=": lambda a, b: bool(a <= b), ">=": lambda a, b: bool(a >= b),
}  # fmt: skip


def ordered(op: str, a: Any, b: Any) -> bool:
    """1.8.1. Raises: Wrong."""
    if a is None and b is None:
        return op in ("<=", ">=")
    if a is None or b is None:
        return False
    if is_number(a) or is_number(b):
        return _ORDER[op](to_number(a), to_number(b))
    if isinstance(a, str) or isinstance(b, str):
        return _ORDER[op](to_text(a), to_text(b))
    if isinstance(a, datetime.datetime) and isinstance(b, datetime.datetime):
        return _ORDER[op](a, b)
    raise Wrong(f"{said(a)} and {said(b)} can't be ordered")


def arithmetic(op: str, a: Any, b: Any) -> int | Decimal:
    """1.7: two nulls give 0; `/` always gives a fraction. Raises: Wrong."""
    x, y = to_number(a), to_number(b)
    try:
        if op == "+":
            found: int | Decimal = x + y
        elif op == "-":
            found = x - y
        elif op == "*":
            found = x * y
        elif op == "/":
            found = Decimal(x) / Decimal(y)
            found = int(found) if found == found.to_integral_value() and abs(found.adjusted()) < 28 else found
        elif isinstance(x, int) and isinstance(y, int):
            found = abs(x) % abs(y) * (1 if x >= 0 else -1)  # the sign of the dividend, as Java's
        else:
            found = Decimal(x) % Decimal(y)
    except (ZeroDivisionError, DivisionByZero, InvalidOperation) as e:
        raise Wrong(f"{said(x)} {op} {said(y)} has no value") from e
    if isinstance(found, int) and found.bit_length() > DIGITS_MAX * 3.32:
        raise Wrong(f"expected a number of at most {DIGITS_MAX} digits")
    return _finite(found) if isinstance(found, Decimal) else found
