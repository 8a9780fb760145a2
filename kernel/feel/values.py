"""Values of FEEL in Python, how they compare, and how they become text and JSON.

    number   Decimal          boolean  bool       date           FeelDate        years and months duration  YearsMonthsDuration
    string   str              null     None       time           FeelTime        days and time duration     DaysTimeDuration
    list     list             context  dict       date and time  FeelDateTime    range  Range               function  FeelFunction

Inputs may also hold int, float, tuple and the types of `datetime`: `convert` makes values of them.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flowledger.kernel.feel import limits
from flowledger.kernel.feel.errors import LimitReached
from flowledger.kernel.feel.lexer import NAME, tokens
from flowledger.kernel.feel.numbers import CONTEXT, number_text
from flowledger.kernel.feel.temporal import (
    SECOND_NS,
    DaysTimeDuration,
    FeelDate,
    FeelDateTime,
    FeelTime,
    Value,
    YearsMonthsDuration,
)

__all__ = [
    "DaysTimeDuration",
    "FeelDate",
    "FeelDateTime",
    "FeelFunction",
    "FeelTime",
    "Range",
    "YearsMonthsDuration",
    "compare",
    "contains",
    "convert",
    "equal",
    "from_json",
    "kind",
    "text",
    "to_json",
]


class Range(Value):
    """An interval, or with `operator` (one of < <= > >= = !=) a comparison as a value. Unbounded ends of comparisons are None."""

    __slots__ = ("start", "end", "start_included", "end_included", "operator")
    start: Any
    end: Any
    start_included: bool
    end_included: bool
    operator: str

    def __init__(self, start: Any, end: Any, start_included: bool = True, end_included: bool = True, operator: str = "") -> None:
        for name, value in zip(self.__slots__, (start, end, start_included, end_included, operator), strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def unary(cls, operator: str, endpoint: Any) -> Range:
        if operator in ("<", "<="):
            return cls(None, endpoint, False, operator == "<=", operator)
        if operator in (">", ">="):
            return cls(endpoint, None, operator == ">=", False, operator)
        return cls(endpoint, endpoint, operator == "=", operator == "=", operator)

    def _key(self) -> Any:
        return self.operator, self.start, self.end, self.start_included, self.end_included

    def __hash__(self) -> int:
        return hash((self.operator, str(self.start), self.start_included, self.end_included))

    def __reduce__(self) -> Any:
        return Range, (self.start, self.end, self.start_included, self.end_included, self.operator)

    def __str__(self) -> str:
        return text(self)


class FeelFunction:
    """A function value, whoever implements it: `call` takes one argument for each parameter, in order, and never raises.

    `parameters`: names; `types`: what the arguments are converted to (None: anything), an object with `coerce(value)` as `types.Type`.
    """

    __slots__ = ("name", "parameters", "types", "call", "result", "node", "inner", "least")

    def __init__(
        self,
        parameters: Sequence[str],
        call: Callable[..., Any],
        types: Sequence[Any] = (),
        name: str = "",
        result: Any = None,
        node: Any = None,
        least: int = -1,
    ) -> None:
        self.name = name
        self.parameters = tuple(parameters)
        #: arguments that must be given; the others are null when they aren't
        self.least = len(self.parameters) if least < 0 else least
        self.types = tuple(types) or (None,) * len(self.parameters)
        self.call = call
        self.result = result
        #: The tree it was made from, if FEEL made it.
        self.node = node
        #: For functions made by FEEL: `inner(runtime, arguments)`, so that the caller's bounds hold.
        self.inner: Callable[[Any, list[Any]], Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        return self.call(*arguments)

    def __repr__(self) -> str:
        return f"<{text(self)} {self.name}>" if self.name else f"<{text(self)}>"


ORDERED = frozenset((Decimal, str, FeelDate, FeelTime, FeelDateTime, DaysTimeDuration, YearsMonthsDuration))
_ZONED = frozenset((FeelTime, FeelDateTime))
_SIMPLE = (ORDERED | {bool, type(None)}) - _ZONED

_KINDS: dict[type, str] = {
    Decimal: "number",
    str: "string",
    bool: "boolean",
    type(None): "null",
    list: "list",
    dict: "context",
    FeelDate: "date",
    FeelTime: "time",
    FeelDateTime: "date and time",
    DaysTimeDuration: "days and time duration",
    YearsMonthsDuration: "years and months duration",
    Range: "range",
    FeelFunction: "function",
}


def kind(value: Any) -> str:
    """The name of the kind of a value."""
    found = _KINDS.get(type(value))
    return found if found is not None else "function" if callable(value) else "unknown"


# Comparing


def weigh(value: Any, budget: Budget, depth: int = 0) -> None:
    """Count the parts of a value that is about to be walked through. Raises LimitReached."""
    if type(value) is list or type(value) is dict:
        budget.take(len(value), depth)
        for v in value.values() if isinstance(value, dict) else value:
            if type(v) is list or type(v) is dict:
                weigh(v, budget, depth + 1)


class Budget:
    """Counts what a walk over nested values touches: shared parts could make it endless. A Runtime is one too."""

    __slots__ = ("steps",)

    def __init__(self, steps: int = limits.steps_max) -> None:
        self.steps = steps

    def take(self, count: int, depth: int) -> None:
        self.steps -= count
        if self.steps < 0:
            raise LimitReached("LIMIT_STEPS", "a value is too large to be walked through")
        if depth > limits.value_depth_max:
            raise LimitReached("LIMIT_DEPTH", f"a value is nested deeper than {limits.value_depth_max}")


def equal(a: Any, b: Any, budget: Budget | None = None) -> bool | None:
    """`a = b`: None if they are of different kinds (10.3.2.15). Raises LimitReached."""
    if a is None or b is None:
        return a is b
    if type(a) is not type(b):
        return None
    if type(a) in _SIMPLE:
        same: bool = a == b
        return same
    return _equal(a, b, Budget() if budget is None else budget, 0)


def _same_second(a: Any, b: Any) -> bool:
    """Times are compared by their number of seconds (10.3.2.3.4), which has no fraction: TCK 0068-feel-equality has it so."""
    x, y = a._key(), b._key()
    same: bool = x[0] == y[0] and x[1] // SECOND_NS == y[1] // SECOND_NS
    return same


def _equal(a: Any, b: Any, budget: Budget, depth: int) -> bool | None:
    if a is None or b is None:
        return a is b
    kind_ = type(a)
    if kind_ is not type(b):
        return None
    if kind_ in _SIMPLE:
        same: bool = a == b
        return same
    if kind_ in _ZONED:
        return _same_second(a, b)
    if kind_ is list:
        if len(a) != len(b):
            return False
        budget.take(len(a), depth)
        return all(_equal(x, y, budget, depth + 1) is True for x, y in zip(a, b, strict=True))
    if kind_ is dict:
        if a.keys() != b.keys():
            return False
        budget.take(len(a), depth)
        return all(_equal(v, b[k], budget, depth + 1) is True for k, v in a.items())
    if kind_ is Range:
        return (
            a.operator == b.operator
            and a.start_included == b.start_included
            and a.end_included == b.end_included
            and _equal(a.start, b.start, budget, depth + 1) is True
            and _equal(a.end, b.end, budget, depth + 1) is True
        )
    return a is b


def compare(a: Any, b: Any) -> int | None:
    """-1, 0 or 1 for values that have an order, None for others."""
    if type(a) is not type(b) or type(a) not in ORDERED:
        return None
    if type(a) in _ZONED and (a.utc_offset is None) != (b.utc_offset is None):
        # A local value takes the offset of the other one (Table 54), so the wall clocks decide.
        a, b = (a.nanos, b.nanos) if type(a) is FeelTime else (a.local_nanos, b.local_nanos)
    order: int = (a > b) - (a < b)
    return order


def contains(r: Range, value: Any, budget: Budget | None = None) -> bool | None:
    """Whether a value is in a range."""
    if r.operator == "=":
        return equal(value, r.start, budget)
    if r.operator == "!=":
        same = equal(value, r.start, budget)
        return None if same is None else not same
    if value is None:
        return None
    low: bool | None = True
    if r.operator not in ("<", "<="):
        order = compare(value, r.start)
        low = None if order is None else order > 0 or (order == 0 and r.start_included)
    high: bool | None = True
    if r.operator not in (">", ">="):
        order = compare(value, r.end)
        high = None if order is None else order < 0 or (order == 0 and r.end_included)
    return None if low is None or high is None else low and high


# From Python


def _from_timedelta(value: datetime.timedelta) -> DaysTimeDuration:
    return DaysTimeDuration(((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds) * 1000)


def _offset(value: datetime.datetime | datetime.time) -> tuple[int | None, str | None]:
    key = getattr(value.tzinfo, "key", None)
    if key:
        return None, key
    offset = value.utcoffset()
    return (None if offset is None else offset.days * 86_400 + offset.seconds), None


def _nanos(value: datetime.datetime | datetime.time) -> int:
    return (value.hour * 3600 + value.minute * 60 + value.second) * SECOND_NS + value.microsecond * 1000


def _from_float(value: float) -> Decimal | None:
    return CONTEXT.create_decimal(repr(value)) if math.isfinite(value) else None


def _from_decimal(value: Decimal) -> Decimal | None:
    return value if value.is_finite() else None


_CONVERTERS: dict[type, Callable[[Any], Any]] = {
    int: CONTEXT.create_decimal,
    float: _from_float,
    datetime.date: lambda v: FeelDate(v.year, v.month, v.day),
    datetime.time: lambda v: FeelTime(_nanos(v), *_offset(v)),
    datetime.datetime: lambda v: FeelDateTime(FeelDate(v.year, v.month, v.day), _nanos(v), *_offset(v)),
    datetime.timedelta: _from_timedelta,
}
NATIVE = frozenset(
    (str, Decimal, bool, type(None), FeelDate, FeelTime, FeelDateTime, DaysTimeDuration, YearsMonthsDuration, Range, FeelFunction)
)


def convert(value: Any, budget: Budget | None = None) -> Any:
    """A value from outside as a value of FEEL; what is none already is copied. Unknown types become null. Raises LimitReached."""
    if type(value) in NATIVE:
        return value
    one = _CONVERTERS.get(type(value))
    return one(value) if one is not None else _convert(value, Budget() if budget is None else budget, 0)


def _convert(value: Any, budget: Budget, depth: int) -> Any:
    kind_ = type(value)
    if kind_ in NATIVE:
        return value
    one = _CONVERTERS.get(kind_)
    if one is not None:
        return one(value)
    if kind_ is list:
        budget.take(len(value) + 1, depth)
        out = [v if type(v) in NATIVE else _convert(v, budget, depth + 1) for v in value]
        return value if all(map(_is, out, value)) else out
    if kind_ is dict:
        budget.take(len(value) + 1, depth)
        fresh = {k: v if type(v) in NATIVE else _convert(v, budget, depth + 1) for k, v in value.items()}
        return value if all(map(_is, fresh.values(), value.values())) else fresh
    if isinstance(value, Mapping):
        return _convert(dict(value), budget, depth)
    if isinstance(value, (tuple, set, frozenset)):
        return _convert(list(value) if isinstance(value, tuple) else sorted(value, key=repr), budget, depth)
    for base, convert_base in _BASES:
        if isinstance(value, base):
            made = convert_base(value)
            return made if base not in (list, dict) else _convert(made, budget, depth)
    return value if callable(value) else None


#: What values of a subclass are taken as.
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (bool, bool),
    (int, lambda v: CONTEXT.create_decimal(int(v))),
    (str, str.__str__),
    (float, _from_float),
    (Decimal, _from_decimal),
    (list, list),
    (dict, dict),
)


def _is(a: Any, b: Any) -> bool:
    return a is b


# Text


def text(value: Any, budget: Budget | None = None) -> str:
    """What `string()` gives. Raises LimitReached."""
    if type(value) is str:
        return value
    parts: list[str] = []
    _text(value, parts, Budget() if budget is None else budget, 0)
    return "".join(parts)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


def _key_text(key: str) -> str:
    parts = tokens(key[:1000])[:-1]
    plain = parts and all(p.kind == NAME and p.text[0] != "?" for p in parts) and " ".join(p.text for p in parts) == key
    return key if plain else _quoted(key)


def _text(value: Any, out: list[str], budget: Budget, depth: int) -> None:
    budget.take(1, depth)
    kind_ = type(value)
    if kind_ is str:
        out.append(_quoted(value))
        budget.take(len(value), depth)
    elif kind_ is Decimal:
        out.append(number_text(value))
    elif kind_ is bool or value is None:
        out.append({True: "true", False: "false", None: "null"}[value])
    elif kind_ is list:
        out.append("[")
        for i, v in enumerate(value):
            if i:
                out.append(", ")
            _text(v, out, budget, depth + 1)
        out.append("]")
    elif kind_ is dict:
        out.append("{")
        for i, (k, v) in enumerate(value.items()):
            out.append((", " if i else "") + _key_text(str(k)) + ": ")
            _text(v, out, budget, depth + 1)
        out.append("}")
    elif kind_ is Range:
        if value.operator:
            out.append(f"({value.operator} ")
            _text(value.end if value.start is None else value.start, out, budget, depth + 1)
            out.append(")")
        else:
            out.append("[" if value.start_included else "(")
            _text(value.start, out, budget, depth + 1)
            out.append("..")
            _text(value.end, out, budget, depth + 1)
            out.append("]" if value.end_included else ")")
    elif kind_ is FeelFunction:
        out.append(f"function({', '.join(value.parameters)})")
    else:
        out.append(str(value))


# JSON

#: Integers of JSON readers and writers end here; beyond, a number stays Decimal, which is written with its digits.
_INT_MAX = 2**63 - 1


def to_json(value: Any, budget: Budget | None = None) -> Any:
    """A value for JSON: whole numbers are int, others Decimal (write them as numbers), temporal values and ranges texts, functions null.

    Raises ValueError for a value that is too large or too deep; with the steps that are left (`budget`) LimitReached.
    """
    if budget is not None:
        return _to_json(value, budget, 0)
    try:
        return _to_json(value, Budget(), 0)
    except LimitReached as limit:
        raise ValueError(str(limit)) from limit


def _to_json(value: Any, budget: Budget, depth: int) -> Any:
    kind_ = type(value)
    if kind_ is str or kind_ is bool or value is None:
        return value
    if kind_ is Decimal:
        if not value.is_finite():
            return None
        if value.copy_abs() <= _INT_MAX:
            whole = int(value)
            if whole == value:
                return whole
        return value
    if kind_ is list:
        budget.take(len(value) + 4, depth)
        return [_to_json(v, budget, depth + 1) for v in value]
    if kind_ is dict:
        budget.take(len(value) + 4, depth)
        return {str(k): _to_json(v, budget, depth + 1) for k, v in value.items()}
    if kind_ is FeelFunction:
        return None
    if isinstance(value, Value):
        return text(value)
    converted = _convert(value, budget, depth)
    return None if converted is value else _to_json(converted, budget, depth)


def from_json(value: Any, type_: Any = None) -> Any:
    """A value read from JSON: numbers become Decimal. Texts stay texts unless a `types.Type` says what they are; null if they aren't that.

    Read JSON with Decimal for its fractions (`msgspec.json.Decoder(float_hook=Decimal)`, `json.loads(..., parse_float=Decimal)`): a
    float has
    lost digits before it gets here.
    """
    try:
        converted = convert(value)
    except LimitReached as limit:
        raise ValueError(str(limit)) from limit
    return converted if type_ is None else type_.read(converted)
