"""Types of a decision model: the built-in ones, item definitions, and how values are made to fit them.

Source: DMN 1.5, 7.3.2 (item definitions), 10.3.2.9 (conformance), 10.3.2.9.4 (implicit conversions: to and from singleton lists,
date to date and time; what doesn't conform becomes null).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.kernel.dmn import bridge

#: What `coerce` gives when a value doesn't conform; null (None) itself conforms to every type.
BAD: Any = type("Bad", (), {"__repr__": lambda self: "BAD"})()

#: Allowed values: one test for each, in the order of the model.
Tests = list[Callable[[Any], bool]]


class Type:
    """Base of all types; by itself it is Any."""

    name = "Any"
    #: Tests of which one must hold (allowedValues, or typeConstraint).
    tests: Tests | None = None

    def conforms(self, value: Any) -> bool:
        return value is None or (self.has_shape(value) and self.is_allowed(value))

    def has_shape(self, value: Any) -> bool:
        return True

    def is_allowed(self, value: Any) -> bool:
        return self.tests is None or any(test(value) for test in self.tests)

    def coerce(self, value: Any) -> Any:
        """The value converted as the standard allows, or BAD."""
        if value is None:
            return None
        if self.conforms(value):
            return value
        if isinstance(value, list) and len(value) == 1 and self.takes_single:
            return self._or_bad(value[0])
        return self._or_bad(value)

    takes_single = True

    def _or_bad(self, value: Any) -> Any:
        return value if self.conforms(value) else BAD

    def read(self, value: Any) -> Any:
        """A value from outside (JSON): numbers and temporal texts become FEEL values; then as `coerce`."""
        return self.coerce(bridge.value(value))

    def ranks(self) -> Tests | None:
        """The tests in order of priority for hit policies PRIORITY and OUTPUT ORDER, adapted to table cells."""
        if self.tests is None:
            return None
        return [lambda value, scope, run, test=test: test(value) for test in self.tests]

    def component(self, name: str | None) -> Type | None:
        return None


class Primitive(Type):
    """string, number, boolean, the temporal types and durations. `reader` makes a temporal value from its ISO text."""

    def __init__(self, name: str, is_one: Callable[[Any], bool], reader: Callable[[str], Any] | None = None) -> None:
        self.name, self.has_shape, self.reader = name, is_one, reader

    def coerce(self, value: Any) -> Any:
        if value is None or (self.has_shape(value)):
            return value
        if self.name == "date and time" and bridge.is_date(value):
            return bridge.midnight(value)
        if isinstance(value, list) and len(value) == 1:
            return BAD if isinstance(value[0], list) else self.coerce(value[0])
        return BAD

    def read(self, value: Any) -> Any:
        if self.reader is not None and isinstance(value, str):
            found = self.reader(value)
            return BAD if found is None else found
        return self.coerce(bridge.value(value))


class Shape(Type):
    """A type of values that are told apart by a check alone: context, list, range, function."""

    def __init__(self, name: str, is_one: Callable[[Any], bool], takes_single: bool = True) -> None:
        self.name, self.has_shape, self.takes_single = name, is_one, takes_single


class Constrained(Type):
    """A named type: another one with allowed values."""

    def __init__(self, name: str, base: Type, tests: Tests | None, allowed_text: str = "") -> None:
        self.allowed_text = allowed_text
        self.name, self.base, self.tests, self.takes_single = name, base, tests, base.takes_single

    def has_shape(self, value: Any) -> bool:
        return self.base.conforms(value)

    def _checked(self, value: Any) -> Any:
        return value if value is None or value is BAD or self.is_allowed(value) else BAD

    def coerce(self, value: Any) -> Any:
        return self._checked(self.base.coerce(value))

    def read(self, value: Any) -> Any:
        return self._checked(self.base.read(value))

    def ranks(self) -> Tests | None:
        return super().ranks() or self.base.ranks()

    def component(self, name: str | None) -> Type | None:
        return self.base.component(name)


class ListType(Type):
    takes_single = False

    def __init__(self, name: str, item: Type) -> None:
        self.name, self.item = name, item

    def has_shape(self, value: Any) -> bool:
        return isinstance(value, list) and all(self.item.conforms(v) for v in value)

    def coerce(self, value: Any) -> Any:
        if value is None or self.has_shape(value):
            return value
        if not isinstance(value, list) and self.item.conforms(value):
            return [value]
        return BAD

    def read(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            items = [self.item.read(v) for v in value]
            return BAD if any(i is BAD for i in items) else items
        return self.coerce(bridge.value(value)) if value is None else self._single(self.item.read(value))

    @staticmethod
    def _single(value: Any) -> Any:
        return BAD if value is BAD else [value]

    def ranks(self) -> Tests | None:
        # A collection's allowed values are those of its items (7.3.2.2).
        return self.item.ranks()

    def component(self, name: str | None) -> Type | None:
        return self.item.component(name)


class ContextType(Type):
    """A context with at least these entries; more are let through."""

    def __init__(self, name: str, components: dict[str, Type]) -> None:
        self.name, self.components = name, components

    def has_shape(self, value: Any) -> bool:
        return isinstance(value, dict) and all(k in value and t.conforms(value[k]) for k, t in self.components.items())

    def read(self, value: Any) -> Any:
        """As `coerce`, but an absent entry is null: JSON says both alike."""
        if not isinstance(value, dict):
            return self.coerce(bridge.value(value))
        out = {k: bridge.value(v) if k not in self.components else v for k, v in value.items()}
        for name, type_ in self.components.items():
            out[name] = found = type_.read(out.get(name))
            if found is BAD:
                return BAD
        return out

    def component(self, name: str | None) -> Type | None:
        return self.components.get(name or "")


class FunctionType(Type):
    """A function. Any function conforms that can be called with so many arguments: what its body needs shows only when it is called."""

    def __init__(self, name: str, parameters: list[tuple[str, Type | None]], output: Type | None) -> None:
        self.name, self.parameters, self.output = name, parameters, output

    def has_shape(self, value: Any) -> bool:
        return bridge.is_function(value)


class Lazy(Type):
    """A reference by name, found when it is first needed: item definitions may stand in any order, and may refer to themselves."""

    def __init__(self, name: str, find: Callable[[], Type | None]) -> None:
        self.name, self._find, self._found = name, find, None

    @property
    def target(self) -> Type:
        if self._found is None:
            self._found = self._find() or Type()
        return self._found

    @property
    def takes_single(self) -> bool:  # type: ignore[override]
        return self.target.takes_single

    def conforms(self, value: Any) -> bool:
        return self.target.conforms(value)

    def has_shape(self, value: Any) -> bool:
        return self.target.has_shape(value)

    def coerce(self, value: Any) -> Any:
        return self.target.coerce(value)

    def read(self, value: Any) -> Any:
        return self.target.read(value)

    def ranks(self) -> Tests | None:
        return self.target.ranks()

    def component(self, name: str | None) -> Type | None:
        return self.target.component(name)
