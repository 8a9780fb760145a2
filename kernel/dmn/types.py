"""Types of item definitions, beside the built-in ones of `feel.types`, and how values are made to fit them.

Source: DMN 1.5, 7.3.2 (item definitions), 10.3.2.9 (conformance), 10.3.2.9.4 (implicit conversions: to and from singleton lists,
date to date and time; what doesn't conform becomes null).

As all types of FEEL, these have `conforms` (null does to every type), `coerce` (the value converted, or BAD) and `read` (a value from JSON,
temporal texts included; null when it can't be one of the type).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowledger.kernel.feel import types as ft
from flowledger.kernel.feel.types import ANY, BAD, Type

#: the names that compiled code sees, with their values
Scope = dict[str, Any]

__all__ = [
    "ANY",
    "BAD",
    "BUILT_IN",
    "Constrained",
    "Lazy",
    "Structure",
    "Tests",
    "Type",
    "allowed_text",
    "base_of",
    "component",
    "items",
    "ranks",
]

#: Allowed values: one test for each, in the order of the model.
Tests = list[Callable[[Any], bool]]

#: Names of built-in types besides those of FEEL: those of collections without a parameter, and of the older versions and widely used tools.
BUILT_IN: dict[str, Type | None] = {
    **ft.NAMED,
    "Any": None,
    "any": None,
    "duration": None,
    "list": ft.ListType(ANY),
    "context": ft.ContextType({}),
    "function": ft.FunctionType(),
    "range": ft.RangeType(ANY),
    "integer": ft.NUMBER,
    "long": ft.NUMBER,
    "double": ft.NUMBER,
    "decimal": ft.NUMBER,
    "float": ft.NUMBER,
    "int": ft.NUMBER,
}


class Constrained(Type):
    """A named type: another one, with tests of which one must hold for each value."""

    def __init__(self, name: str, base: Type, tests: Tests, text: str = "") -> None:
        self.name, self.base, self.tests, self.text = name, base, tests, text

    def has(self, value: Any) -> bool:
        return self.base.conforms(value) and self.allows(value)

    def is_instance(self, value: Any) -> bool:
        return bool(self.base.is_instance(value))

    def allows(self, value: Any) -> bool:
        return any(test(value) for test in self.tests)

    def coerce(self, value: Any) -> Any:
        made = self.base.coerce(value)
        return made if made is None or made is BAD or self.allows(made) else BAD

    def read(self, value: Any) -> Any:
        made = self.base.read(value)
        return made if made is None or self.allows(made) else None

    def below(self, other: Type) -> bool:
        return other is self or super().below(other) or self.base.below(other)


class Structure(ft.ContextType):
    """A context with at least these entries. Read from JSON, an absent entry is null: JSON says both alike."""

    def __init__(self, name: str, entries: Mapping[str, Any]) -> None:
        super().__init__({})
        self.entries, self.name = dict(entries), name

    def read(self, value: Any) -> Any:
        if type(value) is list and len(value) == 1:
            value = value[0]
        if type(value) is not dict:
            return None
        out = dict(value)
        for name, type_ in self.entries.items():
            given = value.get(name)
            out[name] = made = None if given is None else type_.read(given)
            if made is None and given is not None:
                return None
        return out


def items(name: str, item: Type) -> ft.ListType:
    """The type of collections of `item`."""
    out = ft.ListType(ANY)
    out.item, out.name = item, name
    return out


class Lazy(Type):
    """A reference by name, found when it is first needed: item definitions may stand in any order, and may refer to themselves."""

    def __init__(self, name: str, find: Callable[[], Type | None]) -> None:
        self.name, self._find = name, find
        self._found: Type | None = None

    @property
    def target(self) -> Type:
        if self._found is None:
            found, seen = self._find(), {id(self)}
            while isinstance(found, Lazy) and id(found) not in seen:
                seen.add(id(found))
                found = found._find()
            if isinstance(found, Lazy):
                found = None  # a definition that leads to itself and to nothing else is Any
            self._found = found or ANY
        return self._found

    def has(self, value: Any) -> bool:
        return self.target.has(value)

    def conforms(self, value: Any) -> bool:
        return self.target.conforms(value)

    def is_instance(self, value: Any) -> bool:
        return self.target.is_instance(value)

    def coerce(self, value: Any) -> Any:
        return self.target.coerce(value)

    def read(self, value: Any) -> Any:
        return self.target.read(value)

    def below(self, other: Type) -> bool:
        return self.target.below(other)


#: Constraints and collections around each other: more are a circle.
_DEPTH_MAX = 50


def solid(type_: Any) -> Any:
    """The type itself behind a reference."""
    return type_.target if isinstance(type_, Lazy) else type_


def base_of(type_: Any) -> Any:
    """The type below all constraints."""
    type_ = solid(type_)
    for _ in range(_DEPTH_MAX):
        if not isinstance(type_, Constrained):
            return type_
        type_ = solid(type_.base)
    return ANY


def ranks(type_: Any, depth: int = 0) -> list[Callable[[Any, Scope, Any], bool]] | None:
    """The allowed values in order of priority for hit policies PRIORITY and OUTPUT ORDER, as tests of table cells."""
    type_ = solid(type_)
    if isinstance(type_, Constrained):
        return [_of_value(test) for test in type_.tests]
    # A collection's allowed values are those of its items (7.3.2.2).
    return ranks(type_.item, depth + 1) if isinstance(type_, ft.ListType) and depth < _DEPTH_MAX else None


def _of_value(test: Callable[[Any], bool]) -> Callable[[Any, Scope, Any], bool]:
    return lambda value, scope, run: test(value)


def component(type_: Any, name: str | None, depth: int = 0) -> Any:
    """The type of a component of a structure, or of a collection of structures."""
    type_ = base_of(type_)
    if isinstance(type_, ft.ListType) and depth < _DEPTH_MAX:
        return component(type_.item, name, depth + 1)
    return type_.entries.get(name or "") if isinstance(type_, ft.ContextType) else None


def allowed_text(type_: Any) -> str:
    """The text of the allowed values, as the model has them."""
    type_ = solid(type_)
    return type_.text if isinstance(type_, Constrained) else ""
