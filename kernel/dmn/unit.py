"""One model file with its names resolved: elements by id and name, types by name, imports.

Source: DMN 1.5, 6.3 (requirements), 7.3.2 (item definitions), 7.3.6 (imports; an import without a name brings its names in directly).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flowledger.kernel.dmn import boxed, bridge
from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.index import simple_value
from flowledger.kernel.dmn.run import Run
from flowledger.kernel.dmn.types import ANY, BUILT_IN, Constrained, Lazy, Scope, Structure, Tests, Type, items
from flowledger.kernel.feel.types import FunctionType


class Unit:
    """A model file within a set of models. `units`: those that it can name, by namespace, itself among them."""

    def __init__(self, definitions: m.Definitions, units: Mapping[str, Unit]) -> None:
        self.definitions, self.units = definitions, units
        self.namespace = definitions.namespace
        self.language = definitions.expression_language
        self.by_id: dict[str, m.Element] = {}
        self.by_name: dict[str, list[m.Element]] = {}
        for element in definitions.elements():
            if element.id:
                self.by_id.setdefault(element.id, element)
            self.by_name.setdefault(element.name, []).append(element)
        self._definitions = {t.name: t for t in definitions.types}
        self._types: dict[str, Type | None] = {}
        self._named: dict[str, Type] | None = None
        self.members = frozenset(_member_names(definitions))
        self.compiler = boxed.Compiler(self)
        #: namespace -> the names that it is imported under; more than one is odd, and each is one
        self.prefixes: dict[str, tuple[str, ...]] = {}
        for i in definitions.imports:
            self.prefixes[i.namespace] = tuple(dict.fromkeys((*self.prefixes.get(i.namespace, ()), i.name)))

    def imported(self) -> list[Unit]:
        return [unit for i in self.definitions.imports if (unit := self.units.get(i.namespace)) is not None]

    def link(self) -> None:
        """Take the member names of imported models over; called when all units are there."""
        seen, todo = {id(self)}, self.imported()
        names = set(self.members)
        while todo:
            unit = todo.pop()
            if id(unit) in seen:
                continue
            seen.add(id(unit))
            names |= unit.members | unit.by_name.keys() | {e.variable.name for e in unit.definitions.elements()}
            todo.extend(unit.imported())
        self.members = frozenset(names)

    def build_types(self) -> None:
        """Build all types at once, so that evaluations in several threads find them ready."""
        for name in self._definitions:
            self.type_of(name)

    # References

    def find(self, ref: m.Ref) -> tuple[Unit, m.Element] | None:
        """The element that a reference names, with the unit it stands in."""
        unit = self if ref.namespace is None or ref.namespace == self.namespace else self.units.get(ref.namespace)
        if unit is None:
            return None
        element = unit.by_id.get(ref.target)
        return (unit, element) if element is not None else None

    def seen_as(self, unit: Unit) -> tuple[str, ...]:
        """The names under which the things of a unit are seen here; empty for one's own and for a nameless import."""
        named = self.prefixes.get(unit.namespace, ())
        return ("", *named) if unit is self else named or ("",)

    def element(self, name: str, kind: type[m.Element]) -> m.Element | None:
        """By name, then by id."""
        for element in self.by_name.get(" ".join(name.split()), ()):
            if isinstance(element, kind):
                return element
        found = self.by_id.get(name)
        return found if isinstance(found, kind) else None

    # Types

    def has_type(self, ref: str) -> bool:
        if ref in BUILT_IN or ref.rpartition(":")[2] in BUILT_IN or self._owner(ref) is not None:
            return True
        return bridge.type_of_text(ref, self.named_types) is not None

    def _owner(self, ref: str) -> tuple[Unit, m.ItemDefinition] | None:
        if ref in self._definitions:
            return self, self._definitions[ref]
        for imported in self.definitions.imports:
            unit = self.units.get(imported.namespace)
            if unit is None:
                continue
            if imported.name and ref.startswith(imported.name + "."):
                found = unit._definitions.get(ref[len(imported.name) + 1 :])
            else:
                found = unit._definitions.get(ref) if not imported.name else None
            if found is not None:
                return unit, found
        return None

    def type_of(self, ref: str | None) -> Type | None:
        """The type of a name; None for Any, and for a name that nobody knows (a finding tells of it)."""
        if not ref:
            return None
        if ref in self._types:
            return self._types[ref]
        self._types[ref] = None  # a definition that refers to itself and to nothing else is Any
        owner = self._owner(ref)
        if owner is None:
            # A prefix that nobody declared, as in feel:string, hides a built-in name at most.
            plain = ref if ref in BUILT_IN else ref.rpartition(":")[2]
            found = BUILT_IN.get(plain)
            if found is None and plain not in BUILT_IN:
                found = bridge.type_of_text(ref, self.named_types)
        else:
            unit, definition = owner
            found = unit.build(definition) if unit is self else unit.type_of(definition.name)
        self._types[ref] = found
        return found

    def build(self, d: m.ItemDefinition, path: str = "") -> Type | None:
        name = path + d.name
        base: Type | None
        if d.components:
            base = Structure(name, {c.name: self.build(c, name + ".") or ANY for c in d.components})
        elif d.function is not None:
            base = FunctionType([self._reference(p.type_ref) or ANY for p in d.function.parameters], self._reference(d.function.output))
        else:
            base = None if self.is_circle(d) else self._reference(d.type_ref)
        allowed, whole = self.tests(d.allowed_values), self.tests(d.type_constraint)
        if allowed is not None:
            base = Constrained(name, base or ANY, allowed, d.allowed_values.text if d.allowed_values is not None else "")
        if d.is_collection:
            base = items(name, base or ANY)
        if whole is not None:
            base = Constrained(name, base or ANY, whole, d.type_constraint.text if d.type_constraint is not None else "")
        return base

    def is_circle(self, d: m.ItemDefinition) -> bool:
        """Whether a definition's type leads back to it and to nothing else, by way of other models too; then it is Any with its constraints."""
        unit, ref, seen = self, d.type_ref, set[int]()
        while ref is not None and (owner := unit._owner(ref)) is not None:
            unit, definition = owner
            if definition is d:
                return True
            if id(definition) in seen or definition.components:
                return False
            seen.add(id(definition))
            ref = definition.type_ref
        return False

    def _reference(self, ref: str | None) -> Type | None:
        if not ref:
            return None
        if ref in BUILT_IN and ref not in self._definitions:
            return BUILT_IN[ref]
        return Lazy(ref, lambda: self.type_of(ref))

    def tests(self, text: m.Text | None) -> Tests | None:
        if text is None:
            return None
        out: Tests = []
        for part in boxed.split(text.text):
            simple, only = simple_value(part)
            if simple:
                out.append(_equals(only))
                continue
            test = self.compiler.test(m.Text(text=part, language=text.language, id=text.id, line=text.line), frozenset())
            out.append(_passes(test))
        return out or None

    @property
    def named_types(self) -> Mapping[str, Type]:
        """Types by the names that FEEL texts can use: the model's own and, behind their import's name, the imported ones."""
        if self._named is None:
            self._named = {name: Lazy(name, partial(self.type_of, name)) for name in self._definitions}
            for i in self.definitions.imports:
                unit = self.units.get(i.namespace)
                for name in unit._definitions if unit is not None else ():
                    full = f"{i.name}.{name}" if i.name else name
                    self._named.setdefault(full, Lazy(full, partial(self.type_of, full)))
        return self._named


def _equals(only: Any) -> Callable[[Any], bool]:
    return lambda value: type(value) is type(only) and value == only


def _passes(test: Callable[[Any, Scope, Run], bool]) -> Callable[[Any], bool]:
    return lambda value: test(value, {}, Run({}, None))


def _member_names(d: m.Definitions) -> set[str]:
    """Every name that can stand after a dot: components, entries of boxed contexts, columns, outputs of tables."""
    names: set[str] = {t.name for t in d.types}
    todo: list[Any] = list(d.types)
    while todo:
        item = todo.pop()
        names.update(c.name for c in item.components)
        todo.extend(item.components)
    for expression in [*(e.expression for e in d.decisions), *(b.logic for b in d.bkms)]:
        walk(expression, lambda e: names.update(_own_names(e)))
    for service in d.services:
        names.update(e.name for ref in service.outputs for e in d.decisions if e.id == ref.target)
    return {n for n in names if n}


def _own_names(e: m.Expression) -> list[str]:
    if isinstance(e, m.Context):
        return [entry.variable.name for entry in e.entries if entry.variable is not None]
    if isinstance(e, m.Relation):
        return [c.name for c in e.columns]
    if isinstance(e, m.Table):
        return [o.name or o.label or "" for o in e.outputs]
    return []


def children(e: m.Expression) -> list[m.Expression | None]:
    """The expressions directly inside a boxed one."""
    return _CHILDREN[type(e)](e)


def walk(e: m.Expression | None, visit: Callable[[m.Expression], Any]) -> None:
    todo = [e]
    while todo:
        current = todo.pop()
        if current is not None:
            visit(current)
            todo.extend(children(current))


_CHILDREN: dict[type[m.Expression], Callable[[Any], list[m.Expression | None]]] = {
    m.Literal: lambda e: [],
    m.Context: lambda e: [entry.value for entry in e.entries],
    m.Invocation: lambda e: [e.function, *(b.value for b in e.bindings)],
    m.Function: lambda e: [e.body],
    m.ListOf: lambda e: e.items,
    m.Relation: lambda e: [cell for row in e.rows for cell in row],
    m.Conditional: lambda e: [e.test, e.then, e.otherwise],
    m.Iterator: lambda e: [e.over, e.body],
    m.Filter: lambda e: [e.over, e.match],
    m.Table: lambda e: [i.expression for i in e.inputs],
}
