"""All that decision models need of FEEL, in one place: compiling texts, telling values apart, functions, and values from and to JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.feel import limits, temporal, values
from flowledger.kernel.feel.errors import LimitReached

SyntaxError_ = feel.FeelSyntaxError


def position(error: feel.FeelSyntaxError) -> int:
    return error.position


# Telling values apart


def is_number(value: Any) -> bool:
    return type(value) is Decimal


def is_date(value: Any) -> bool:
    return type(value) is temporal.FeelDate


# Values from outside and to it


def value(v: Any) -> Any:
    """A plain value as a FEEL value: int and float become decimals, Python's dates FEEL's; one too large to be walked through is null."""
    try:
        return values.convert(v)
    except LimitReached:
        return None


def plain(v: Any) -> Any:
    """A FEEL value as JSON; one that is too large for it by its kind alone."""
    try:
        return values.to_json(v)
    except ValueError:
        return f"<{values.kind(v)}, too large>"


# Functions and ranges


def is_function(v: Any) -> bool:
    return values.kind(v) == "function"


def is_range(v: Any) -> bool:
    return isinstance(v, values.Range)


def range_items(v: Any) -> list[Any] | None:
    """The whole numbers or days of a range, None for anything else and for an endless range. At most `list_items_max` of them."""
    if not isinstance(v, values.Range) or v.operator:
        return None
    if is_number(v.start) and is_number(v.end) and v.start == int(v.start) and v.end == int(v.end):
        make: Callable[[int], Any] = Decimal
        first, last = int(v.start), int(v.end)
    elif is_date(v.start) and is_date(v.end):
        make, first, last = temporal.FeelDate.from_days, v.start.days, v.end.days
    else:
        return None
    step = 1 if first <= last else -1
    first, last = first + (0 if v.start_included else step), last - (0 if v.end_included else step)
    if abs(last - first) >= limits.list_items_max:
        return None
    return [make(n) for n in range(first, last + step, step)]


def function(name: str, parameters: Sequence[tuple[str, Any]], call: Callable[..., Any]) -> values.FeelFunction:
    """A function value; `parameters` are (name, type or None). Arguments are converted to the types before `call` gets them."""
    return values.FeelFunction([p for p, _ in parameters], call, [t for _, t in parameters], name)


def invoke(target: Any, arguments: dict[str, Any], run: Any, element: str | None) -> Any:
    """Call by the names of the parameters; those that are missing are null."""
    try:
        return run.runtime.invoke_named(target, arguments)
    except LimitReached as limit:
        run.warn(str(limit), element, limit.code)
        return None


# Compiling


def expression(
    text: str, names: frozenset[str], members: frozenset[str], types: Mapping[str, Any], element: str | None
) -> Callable[[dict, Any], Any]:
    raise feel.FeelSyntaxError("x", text, 0)


def test(
    text: str, names: frozenset[str], members: frozenset[str], types: Mapping[str, Any], element: str | None
) -> Callable[[Any, dict, Any], bool]:
    raise feel.FeelSyntaxError("x", text, 0)


def constant_run() -> Any:
    """What tests of allowed values are evaluated with: no inputs, no facts."""
    from flowledger.kernel.dmn.run import Run

    return Run({}, None)


def type_of_text(text: str, named: Mapping[str, Any]) -> Any:
    return None
