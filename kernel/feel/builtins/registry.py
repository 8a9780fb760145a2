"""How built-in functions are declared and called.

A function has one or more signatures. A signature is a text such as `"string: string, start position: number, length?: number"`: a `?`
marks a parameter that may be left out, `??` one that may also be null, `|null` one that may be null but not left out, and a leading `*`
takes all arguments that are left. The first signature that fits the arguments, after the implicit conversions (singleton list to value,
value to singleton list), is called; if none fits the result is null with a warning. Missing arguments are None.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from decimal import Decimal, DecimalException
from typing import Any, TypeVar

from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.temporal import DaysTimeDuration, FeelDate, FeelDateTime, FeelTime, YearsMonthsDuration
from flowledger.kernel.feel.values import FeelFunction, Range, kind

#: what `builtin` is put on stays what it was
F = TypeVar("F", bound=Callable[..., Any])

_BAD: Any = object()
Check = Callable[[Any], Any]

_KINDS: dict[str, tuple[type, ...]] = {
    "number": (Decimal,),
    "string": (str,),
    "boolean": (bool,),
    "context": (dict,),
    "date": (FeelDate,),
    "time": (FeelTime,),
    "date and time": (FeelDateTime,),
    "day": (FeelDate, FeelDateTime),
    "moment": (FeelTime, FeelDateTime, FeelDate),
    "days and time duration": (DaysTimeDuration,),
    "duration": (DaysTimeDuration, YearsMonthsDuration),
    "range": (Range,),
    "point": (Decimal, str, FeelDate, FeelTime, FeelDateTime, DaysTimeDuration, YearsMonthsDuration),
    "measure": (Decimal, DaysTimeDuration, YearsMonthsDuration),
}


def _one_of(types: tuple[type, ...]) -> Check:
    allowed = frozenset(types)

    def check(value: Any) -> Any:
        if type(value) in allowed:
            return value
        if type(value) is list and len(value) == 1 and type(value[0]) in allowed:
            return value[0]
        return _BAD

    return check


def _list(value: Any) -> Any:
    return value if type(value) is list else _BAD if value is None else [value]


def _function(value: Any) -> Any:
    return value if isinstance(value, (FeelFunction, Builtin)) else _BAD


_CHECKS: dict[str, Check] = {
    **{name: _one_of(types) for name, types in _KINDS.items()},
    "any": lambda v: v,
    "not null": lambda v: _BAD if v is None else v,
    "list": _list,
    "function": _function,
    "pure list": lambda v: v if type(v) is list else _BAD,
}


class Signature:
    __slots__ = ("names", "checks", "nullable", "required", "rest", "rest_name", "call", "text")

    def __init__(self, text: str, call: Callable[..., Any]) -> None:
        self.text, self.call = text, call
        self.names: list[str] = []
        self.checks: list[Check] = []
        self.nullable: list[bool] = []
        self.required = 0
        #: Check of a `*` parameter, which is the last one.
        self.rest: Check | None = None
        self.rest_name = ""
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, _, type_ = (x.strip() for x in part.partition(":"))
            if name.startswith("*"):
                self.rest, self.rest_name = _CHECKS[type_], name[1:]
                continue
            bare = name.rstrip("?")
            self.names.append(bare)
            self.checks.append(_CHECKS[type_.removesuffix("|null")])
            self.nullable.append(name.endswith("??") or type_.endswith("|null"))
            if name == bare:
                self.required += 1

    def bind(self, arguments: list[Any]) -> list[Any] | None:
        count = len(arguments)
        if count < self.required or (count > len(self.names) and self.rest is None):
            return None
        out: list[Any] = []
        for value, check, nullable in zip(arguments, self.checks, self.nullable, strict=False):
            made = None if value is None and nullable else check(value)
            if made is _BAD:
                return None
            out.append(made)
        out += [None] * (len(self.names) - len(out))
        if self.rest is not None:
            others = [self.rest(v) for v in arguments[len(self.names) :]]
            if (not others and not self.names) or _BAD in map(_bad_or_none, others):
                return None
            out.append(others)
        return out

    def bind_named(self, arguments: dict[str, Any]) -> list[Any] | None:
        """Parameters that are left out are null (10.3.2.8), so a required one must allow that."""
        if (self.rest is not None and not self.names) or any(n not in self.names and n != self.rest_name for n in arguments):
            return None
        out: list[Any] = []
        for i, name in enumerate(self.names):
            if name not in arguments and i >= self.required:
                out.append(None)
                continue
            value = arguments.get(name)
            made = None if value is None and self.nullable[i] else self.checks[i](value)
            if made is _BAD:
                return None
            out.append(made)
        if self.rest is not None:
            # A named argument is the only one of its kind.
            out.append([self.rest(arguments[self.rest_name])] if self.rest_name in arguments else [])
        return out


def _bad_or_none(value: Any) -> Any:
    return _BAD if value is _BAD else None


class Builtin:
    """A built-in function as a value of FEEL."""

    __slots__ = ("name", "signatures", "extension", "doc")

    def __init__(self, name: str, extension: bool, doc: str) -> None:
        self.name, self.extension, self.doc = name, extension, doc
        self.signatures: list[Signature] = []

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self.signatures[0].names)

    def invoke(self, r: Runtime, arguments: list[Any], pos: int = -1) -> Any:
        for s in self.signatures:
            bound = s.bind(arguments)
            if bound is not None:
                return self._run(s, r, bound, pos)
        return self._misfit(r, list(map(kind, arguments)), pos)

    def invoke_named(self, r: Runtime, arguments: dict[str, Any], pos: int = -1) -> Any:
        for s in self.signatures:
            bound = s.bind_named(arguments)
            if bound is not None:
                return self._run(s, r, bound, pos)
        return self._misfit(r, [f"{n}: {kind(v)}" for n, v in arguments.items()], pos)

    def _run(self, s: Signature, r: Runtime, bound: list[Any], pos: int) -> Any:
        work = 1
        for value in bound:
            if type(value) is str or type(value) is list:
                work += len(value) // 256
        r.tick(work)
        try:
            return s.call(r, *bound)
        except (ValueError, DecimalException, OverflowError) as error:
            r.warn("FUNCTION_FAILED", f"{self.name}: {error}", pos)
            return None

    def _misfit(self, r: Runtime, given: list[str], pos: int) -> None:
        r.warn(
            "FUNCTION_ARGUMENTS",
            f"{self.name}({', '.join(given)}) doesn't fit {self.name}" + " or ".join(f"({s.text})" for s in self.signatures),
            pos,
        )

    def __call__(self, *arguments: Any) -> Any:
        return self.invoke(Runtime(), list(arguments))

    def __repr__(self) -> str:
        return f"<built-in {self.name}>"


BUILTINS: dict[str, Builtin] = {}


def builtin(name: str, *signatures: str, extension: bool = False) -> Callable[[F], F]:
    """Declare a function: it is called with the Runtime and the bound arguments; ValueError and the errors of numbers make it null."""

    def declare(call: F) -> F:
        entry = BUILTINS.get(name)
        if entry is None:
            entry = BUILTINS[name] = Builtin(name, extension, inspect.getdoc(call) or "")
        entry.signatures += [Signature(s, call) for s in signatures]
        return call

    return declare
