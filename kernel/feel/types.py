"""Types of FEEL (DMN 1.5, 10.3.2.9): the lattice, conformance of values, and the implicit conversions.

A type is any object with `name`, `conforms(value)`, `coerce(value)` and `read(value)`; item definitions of DMN bring their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel.temporal import (
    DaysTimeDuration,
    FeelDate,
    FeelDateTime,
    FeelTime,
    YearsMonthsDuration,
    parse_date,
    parse_date_time,
    parse_duration,
    parse_time,
)
from flowledger.kernel.feel.values import FeelFunction, Range

#: What `coerce` gives for a value that doesn't conform; null itself conforms to every type.
BAD: Any = type("Bad", (), {"__repr__": lambda self: "BAD", "__bool__": lambda self: False})()


class Type:
    """Base; by itself it is Any."""

    name = "Any"

    def conforms(self, value: Any) -> bool:
        """Whether a value belongs to the type; null does to every type."""
        return value is None or self.has(value)

    def has(self, value: Any) -> bool:
        """Whether a value other than null belongs to the type."""
        return True

    def is_instance(self, value: Any) -> bool:
        """As `conforms`, by the type alone: what `instance of` asks; allowed values are no part of a type."""
        return value is None or self.has(value)

    def coerce(self, value: Any) -> Any:
        """The value converted as the standard allows (10.3.2.9.4), or BAD: to and from singleton lists, date to date and time."""
        if value is None or self.has(value):
            return value
        if type(value) is list and len(value) == 1 and value[0] is not None:
            return self._single(value[0])
        return BAD

    def _single(self, value: Any) -> Any:
        return value if self.has(value) else BAD

    def read(self, value: Any) -> Any:
        """A value from JSON (numbers already Decimal): texts become temporal values; null if it can't be one of the type."""
        made = self.coerce(value)
        return None if made is BAD else made

    def below(self, other: Type) -> bool:
        """Conformance of types: whether every value of this one belongs to `other`."""
        return type(other) is Type or self.name == other.name

    def __repr__(self) -> str:
        return self.name


class Primitive(Type):
    def __init__(self, name: str, python: type, reader: Callable[[str], Any] | None = None) -> None:
        self.name, self.python, self.reader = name, python, reader

    def has(self, value: Any) -> bool:
        return type(value) is self.python

    def coerce(self, value: Any) -> Any:
        if self.python is FeelDateTime and type(value) is FeelDate:
            return FeelDateTime(value, 0, 0)
        return super().coerce(value)

    def read(self, value: Any) -> Any:
        if self.reader is not None and type(value) is str:
            return self.reader(value)
        return super().read(value)


class NullType(Type):
    name = "Null"

    def has(self, value: Any) -> bool:
        return value is None

    def below(self, other: Type) -> bool:
        return True


class ListType(Type):
    def __init__(self, item: Any) -> None:
        self.item = item
        self.name = f"list<{item.name}>"

    def has(self, value: Any) -> bool:
        return type(value) is list and all(self.item.conforms(v) for v in value)

    def is_instance(self, value: Any) -> bool:
        return value is None or (type(value) is list and all(self.item.is_instance(v) for v in value))

    def coerce(self, value: Any) -> Any:
        if value is None or self.has(value):
            return value
        if type(value) is not list:
            made = self.item.coerce(value)
            return BAD if made is BAD else [made]
        return BAD

    def read(self, value: Any) -> Any:
        if type(value) is not list:
            return super().read(value)
        out = [self.item.read(v) for v in value]
        return out if all(o is not None or v is None for o, v in zip(out, value, strict=True)) else None

    def below(self, other: Type) -> bool:
        return type(other) is Type or (isinstance(other, ListType) and _below(self.item, other.item))


class ContextType(Type):
    """With no entries: any context."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self.entries = dict(entries)
        self.name = "context<" + ", ".join(f"{k}: {v.name}" for k, v in self.entries.items()) + ">"

    def has(self, value: Any) -> bool:
        return type(value) is dict and all(k in value and v.conforms(value[k]) for k, v in self.entries.items())

    def is_instance(self, value: Any) -> bool:
        return value is None or (type(value) is dict and all(k in value and v.is_instance(value[k]) for k, v in self.entries.items()))

    def read(self, value: Any) -> Any:
        if type(value) is not dict:
            return super().read(value)
        out = {k: self.entries[k].read(v) if k in self.entries else v for k, v in value.items()}
        return out if self.has(out) and all(out[k] is not None or value[k] is None for k in out) else None

    def below(self, other: Type) -> bool:
        return type(other) is Type or (
            isinstance(other, ContextType) and all(k in self.entries and _below(self.entries[k], v) for k, v in other.entries.items())
        )


class RangeType(Type):
    def __init__(self, item: Any) -> None:
        self.item = item
        self.name = f"range<{item.name}>"

    def has(self, value: Any) -> bool:
        return type(value) is Range and self.item.conforms(value.start) and self.item.conforms(value.end)

    def is_instance(self, value: Any) -> bool:
        return value is None or (type(value) is Range and self.item.is_instance(value.start) and self.item.is_instance(value.end))

    def below(self, other: Type) -> bool:
        return type(other) is Type or (isinstance(other, RangeType) and _below(self.item, other.item))


class FunctionType(Type):
    """With `arguments` None: any function."""

    def __init__(self, arguments: list[Any] | None = None, result: Any = None) -> None:
        self.arguments, self.result = arguments, result
        self.name = "function"
        if arguments is not None:
            self.name += f"<{', '.join(a.name for a in arguments)}> -> {result.name if result else 'Any'}"

    def has(self, value: Any) -> bool:
        if not (isinstance(value, FeelFunction) or hasattr(value, "invoke_named")):
            return False
        if self.arguments is None:
            return True
        parameters = getattr(value, "types", None)
        if parameters is None:
            return getattr(value, "arity", len(self.arguments)) == len(self.arguments)
        # Contravariant in the arguments, covariant in the result; a parameter without a type takes anything.
        return (
            len(parameters) == len(self.arguments)
            and all(p is None or _below(a, p) for p, a in zip(parameters, self.arguments, strict=True))
            and (self.result is None or value.result is None or _below(value.result, self.result))
        )

    def below(self, other: Type) -> bool:
        if type(other) is Type:
            return True
        if not isinstance(other, FunctionType):
            return False
        if other.arguments is None or self.arguments is None:
            return other.arguments is None
        return (
            len(self.arguments) == len(other.arguments)
            and all(_below(o, s) for s, o in zip(self.arguments, other.arguments, strict=True))
            and (other.result is None or (self.result is not None and _below(self.result, other.result)))
        )


def _below(a: Any, b: Any) -> bool:
    if a is b or type(b) is Type:
        return True
    return a.below(b) if hasattr(a, "below") else getattr(a, "name", None) == getattr(b, "name", None)


ANY = Type()
NULL = NullType()
NUMBER = Primitive("number", Decimal)
STRING = Primitive("string", str)
BOOLEAN = Primitive("boolean", bool)
DATE = Primitive("date", FeelDate, parse_date)
TIME = Primitive("time", FeelTime, parse_time)
DATE_TIME = Primitive("date and time", FeelDateTime, parse_date_time)


def _read_days(text: str) -> DaysTimeDuration | None:
    value = parse_duration(text)
    return value if isinstance(value, DaysTimeDuration) else None


def _read_months(text: str) -> YearsMonthsDuration | None:
    value = parse_duration(text)
    return value if isinstance(value, YearsMonthsDuration) else None


DAYS_TIME = Primitive("days and time duration", DaysTimeDuration, _read_days)
YEARS_MONTHS = Primitive("years and months duration", YearsMonthsDuration, _read_months)

#: Types by the names that expressions and models use; the short names of durations are those of DMN 1.1.
NAMED: dict[str, Type] = {
    **{x.name: x for x in (ANY, NULL, NUMBER, STRING, BOOLEAN, DATE, TIME, DATE_TIME, DAYS_TIME, YEARS_MONTHS)},
    "dateTime": DATE_TIME,
    "dayTimeDuration": DAYS_TIME,
    "yearMonthDuration": YEARS_MONTHS,
    "day time duration": DAYS_TIME,
    "year month duration": YEARS_MONTHS,
}


def resolve(node: t.TypeNode, named: Mapping[str, Any] | None = None) -> Any:
    """The type that a type expression means, None if it means none: then `instance of` is null. `list` needs its parameter (Table 61)."""
    if not node.generic:
        return (named or {}).get(node.name) or NAMED.get(node.name)
    arguments = [resolve(a, named) for a in node.arguments]
    result = resolve(node.result, named) if node.result is not None else None
    if None in arguments or (node.result is not None and result is None):
        return None
    if node.name == "list":
        return ListType(arguments[0])
    if node.name == "range":
        return RangeType(arguments[0])
    if node.name == "context":
        return ContextType(dict(zip(node.names, arguments, strict=True)))
    return FunctionType(arguments, result)


def instance_of(value: Any, type_: Any) -> bool:
    """Null is an instance of Null alone (Table 61)."""
    if value is None:
        return isinstance(type_, NullType)
    return bool(getattr(type_, "is_instance", type_.conforms)(value))


def conforms(value: Any, type_: Any) -> bool:
    return bool(type_.conforms(value))


def coerce(value: Any, type_: Any) -> Any:
    """The value converted to a type, or BAD."""
    return type_.coerce(value)
