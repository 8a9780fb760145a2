"""Numbers of FEEL: 34 decimal digits, ties to even (DMN 1.5, 10.3.2.3.1)."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow

#: IEEE 754-2008 decimal128. An operation that has no result raises, which the callers turn into null.
CONTEXT = Context(
    prec=34, rounding=ROUND_HALF_EVEN, Emin=-6143, Emax=6144, capitals=1, clamp=0, traps=[InvalidOperation, DivisionByZero, Overflow]
)

#: Scales that a rounding function takes.
SCALE_MIN, SCALE_MAX = -6111, 6176


def number_text(value: Decimal) -> str:
    """Plain digits, never an exponent."""
    return format(value if value else value.copy_abs(), "f")


def to_int(value: Decimal) -> int | None:
    """The integer that it is, None if it isn't one."""
    whole = int(value)
    return whole if whole == value else None
