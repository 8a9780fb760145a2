"""Numeric functions (DMN 1.5, 10.3.4.5)."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from typing import Any

from flowledger.kernel.feel.builtins.registry import builtin
from flowledger.kernel.feel.numbers import CONTEXT, SCALE_MAX, SCALE_MIN, to_int
from flowledger.kernel.feel.runtime import Runtime


def rounded(n: Decimal, scale: Decimal, mode: str) -> Decimal:
    """`n` with `scale` digits after the point. A fraction of the scale is cut off. Raises ValueError for a scale outside of its range."""
    digits = int(scale) if abs(scale) <= SCALE_MAX else SCALE_MAX + 1
    if not SCALE_MIN <= digits <= SCALE_MAX:
        raise ValueError(f"scale {scale} isn't between {SCALE_MIN} and {SCALE_MAX}")
    if not isinstance(n.as_tuple().exponent, int) or -n.as_tuple().exponent <= digits:  # type: ignore[operator]
        # It has no more digits than that; zeros are only added where 34 digits have room for them.
        try:
            return n.quantize(Decimal(1).scaleb(-digits), context=CONTEXT)
        except ArithmeticError:
            return n
    result = n.quantize(Decimal(1).scaleb(-digits), rounding=mode, context=Context(prec=60, Emin=-20000, Emax=20000))
    result = CONTEXT.plus(result)
    return abs(result) if not result else result


@builtin("decimal", "n: number, scale: number", work=8)
def decimal(r: Runtime, n: Decimal, scale: Decimal) -> Decimal:
    """`n` with `scale` digits after the point, ties to the even digit."""
    return rounded(n, scale, ROUND_HALF_EVEN)


@builtin("floor", "n: number, scale?: number", work=6)
def floor(r: Runtime, n: Decimal, scale: Decimal | None) -> Decimal:
    """Rounded towards minus infinity."""
    return rounded(n, scale or Decimal(0), ROUND_FLOOR)


@builtin("ceiling", "n: number, scale?: number", work=6)
def ceiling(r: Runtime, n: Decimal, scale: Decimal | None) -> Decimal:
    """Rounded towards plus infinity."""
    return rounded(n, scale or Decimal(0), ROUND_CEILING)


@builtin("round up", "n: number, scale: number", work=8)
def round_up(r: Runtime, n: Decimal, scale: Decimal) -> Decimal:
    """Rounded away from zero."""
    return rounded(n, scale, ROUND_UP)


@builtin("round down", "n: number, scale: number", work=8)
def round_down(r: Runtime, n: Decimal, scale: Decimal) -> Decimal:
    """Rounded towards zero."""
    return rounded(n, scale, ROUND_DOWN)


@builtin("round half up", "n: number, scale: number", work=8)
def round_half_up(r: Runtime, n: Decimal, scale: Decimal) -> Decimal:
    """Rounded to the nearest, ties away from zero."""
    return rounded(n, scale, ROUND_HALF_UP)


@builtin("round half down", "n: number, scale: number", work=8)
def round_half_down(r: Runtime, n: Decimal, scale: Decimal) -> Decimal:
    """Rounded to the nearest, ties towards zero."""
    return rounded(n, scale, ROUND_HALF_DOWN)


@builtin("abs", "n: measure")
def abs_(r: Runtime, n: Any) -> Any:
    """The absolute value of a number or duration."""
    if type(n) is Decimal:
        return CONTEXT.abs(n)
    return -n if n < type(n)(0) else n


@builtin("modulo", "dividend: number, divisor: number", work=6)
def modulo(r: Runtime, dividend: Decimal, divisor: Decimal) -> Decimal:
    """The remainder of a division, with the sign of the divisor."""
    if not divisor:
        raise ValueError("division by zero")
    wide = Context(prec=6200, Emin=-20000, Emax=20000)
    rest = wide.remainder(dividend, divisor)
    if rest and (rest < 0) != (divisor < 0):
        rest = wide.add(rest, divisor)
    return CONTEXT.plus(rest)


@builtin("sqrt", "number: number", work=6)
def sqrt(r: Runtime, number: Decimal) -> Decimal:
    """The square root."""
    return CONTEXT.sqrt(number)


@builtin("log", "number: number", work=60)
def log(r: Runtime, number: Decimal) -> Decimal:
    """The natural logarithm."""
    if number <= 0:
        raise ValueError("no logarithm")
    return CONTEXT.ln(number)


@builtin("exp", "number: number", work=25)
def exp(r: Runtime, number: Decimal) -> Decimal:
    """Euler's number to the power of `number`."""
    return CONTEXT.exp(number)


def _parity(number: Decimal) -> int:
    whole = to_int(number)
    if whole is None:
        raise ValueError(f"{number} is no whole number")
    return whole % 2


@builtin("odd", "number: number")
def odd(r: Runtime, number: Decimal) -> bool:
    """Whether a whole number is odd."""
    return _parity(number) == 1


@builtin("even", "number: number")
def even(r: Runtime, number: Decimal) -> bool:
    """Whether a whole number is even."""
    return _parity(number) == 0
