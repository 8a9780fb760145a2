"""The floor of the compiler: names resolved, literals, paths, filters and calls. What a closure is: `compiler`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from flowledger.kernel.feel import properties
from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel.builtins.registry import Builtin
from flowledger.kernel.feel.limits import LOCALS
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.steps import MISSING, index_of
from flowledger.kernel.feel.temporal import FeelDate
from flowledger.kernel.feel.values import NATIVE, FeelFunction, kind

Code = Callable[[Any, Any, Runtime], Any]
Test = Callable[[Any, Any, Any, Runtime], Any]
#: Types whose values of one type are ordered by Python's own operators.
DIRECT = frozenset((Decimal, str, FeelDate))
EQUAL = frozenset((Decimal, str, bool, FeelDate))
#: Built-ins that are evaluated at once when their arguments are constants.
_FOLDED = frozenset(("date", "time", "date and time", "duration"))


class Scope:
    """Names bound by the expression itself; `item` is the key in `l` of a filter's item."""

    __slots__ = ("parent", "names", "item")

    def __init__(self, parent: Scope | None, names: frozenset[str], item: Any = None) -> None:
        self.parent, self.names, self.item = parent, names, item


class Resolving:
    #: kind of a node -> the method that compiles it; set by `compiler`, which has them all
    compilers: ClassVar[Mapping[type, Callable[..., Code]]] = {}

    def __init__(self, builtins: Mapping[str, Any], named_types: Mapping[str, Any] | None, names: frozenset[str]) -> None:
        self.builtins, self.named_types, self.names = builtins, named_types, names
        self.reads: set[str] = set()
        self.filters = 0

    def compile(self, node: t.Node, scope: Scope | None) -> Code:
        return self.compilers[type(node)](self, node, scope)

    # Names and literals

    def literal(self, node: t.Literal, scope: Scope | None) -> Code:
        value = node.value
        return lambda c, l, r: value

    def bad_literal(self, node: t.BadLiteral, scope: Scope | None) -> Code:
        text, pos = node.text, node.pos

        def bad(c: Any, l: Any, r: Runtime) -> None:
            r.warn("BAD_LITERAL", f'@"{text}" is no date, time or duration', pos)

        return bad

    def name(self, node: t.Name, scope: Scope | None) -> Code:
        return self.resolve(node.name, scope, node.pos)

    def resolve(self, name: str, scope: Scope | None, pos: int) -> Code:
        while scope is not None:
            if name in scope.names:
                return lambda c, l, r: l[name]
            if scope.item is not None:
                return self.of_item(name, scope.item, self.resolve(name, scope.parent, pos))
            scope = scope.parent
        return self.free(name, pos)

    def of_item(self, name: str, key: Any, outer: Code) -> Code:
        is_item = name == "item"

        def of_item(c: Any, l: Any, r: Runtime) -> Any:
            item = l[key]
            if type(item) is dict and name in item:
                return item[name]
            return item if is_item else outer(c, l, r)

        return of_item

    def free(self, name: str, pos: int) -> Code:
        builtin = self.builtins.get(name)
        self.reads.add(name)

        def free(c: Any, l: Any, r: Runtime) -> Any:
            value = c.get(name, MISSING)
            if type(value) in NATIVE:
                return value
            if value is MISSING:
                if builtin is None:
                    r.warn("NAME_UNKNOWN", f"no variable {name!r}", pos)
                return builtin
            return r.convert(value)

        return free

    def is_free(self, node: t.Node, scope: Scope | None) -> bool:
        """Whether a node is a name that can only be in the context."""
        if not isinstance(node, t.Name) or node.name in self.builtins:
            return False
        while scope is not None:
            if scope.item is not None or node.name in scope.names:
                return False
            scope = scope.parent
        return True

    # Paths, filters, calls

    def path(self, node: t.Path, scope: Scope | None) -> Code:
        name, pos = node.name, node.pos
        if self.is_free(node.base, scope):
            return self.path_of_free(node.base.name, name, self.compile(node.base, scope), pos)  # type: ignore[attr-defined]
        base = self.compile(node.base, scope)
        member = properties.member

        def path(c: Any, l: Any, r: Runtime) -> Any:
            value = base(c, l, r)
            if type(value) is dict and name in value:
                return value[name]
            return member(value, name, r, pos)

        return path

    def path_of_free(self, base: str, name: str, slow: Code, pos: int) -> Code:
        """`order.total`, without converting all of `order`."""
        member = properties.member

        def path(c: Any, l: Any, r: Runtime) -> Any:
            value = c.get(base)
            if type(value) is dict and name in value:
                value = value[name]
                return value if type(value) in NATIVE else r.convert(value)
            return member(slow(c, l, r), name, r, pos)

        return path

    def filter(self, node: t.Filter, scope: Scope | None) -> Code:
        base, pos = self.compile(node.base, scope), node.pos
        if isinstance(node.condition, t.Literal) and type(node.condition.value) is Decimal:
            index = node.condition.value
            return lambda c, l, r: index_of(base(c, l, r), index, r, pos)
        self.filters += 1
        key = self.filters
        condition = self.compile(node.condition, Scope(scope, frozenset(), key))
        work = 1 + t.work(node.condition)

        def filter_(c: Any, l: Any, r: Runtime) -> Any:
            value = base(c, l, r)
            if value is None:
                return None
            items = value if type(value) is list else [value]
            if not items:
                first = condition(c, {**l, key: None}, Runtime(r.facts))
                return None if type(first) is Decimal else []
            out: list[Any] = []
            each = work + len(l) // LOCALS
            for n, item in enumerate(items):
                r.tick(each)
                holds = condition(c, {**l, key: item}, r)
                if holds is True:
                    out.append(item)
                elif holds is False or holds is None:
                    continue
                elif n == 0 and type(holds) is Decimal:
                    return index_of(items, holds, r, pos)
                else:
                    r.warn("NOT_A_BOOLEAN", f"the filter is a {kind(holds)}", pos)
                    return None
            return out

        return filter_

    def call(self, node: t.Call, scope: Scope | None) -> Code:
        pos = node.pos
        arguments = [self.compile(a, scope) for a in node.arguments]
        names = node.names
        if len(set(names)) != len(names):
            return self.always_null("FUNCTION_ARGUMENTS", "a parameter is named twice", pos)
        builtin = self.static_builtin(node.function)
        if builtin is not None:
            name = node.function.name  # type: ignore[attr-defined]
            shadowed = self.is_shadowed(name, scope)
            if (
                name in _FOLDED
                and not names
                and not shadowed
                and name not in self.names
                and all(isinstance(a, t.Literal) for a in node.arguments)
            ):
                value = builtin.invoke(Runtime(), [a.value for a in node.arguments], pos)  # type: ignore[attr-defined]
                if value is not None:
                    return lambda c, l, r: value
            return self.call_builtin(name, builtin, self.resolve(name, scope, pos) if shadowed else None, arguments, names, pos)
        function = self.compile(node.function, scope)
        if names:
            pairs = list(zip(names, arguments, strict=True))
            return lambda c, l, r: r.invoke_named(function(c, l, r), {n: a(c, l, r) for n, a in pairs}, pos)
        return lambda c, l, r: r.invoke(function(c, l, r), [a(c, l, r) for a in arguments], pos)

    def static_builtin(self, node: t.Node) -> Any:
        return self.builtins.get(node.name) if isinstance(node, t.Name) else None

    def is_shadowed(self, name: str, scope: Scope | None) -> bool:
        """Whether a name may be bound within the expression."""
        while scope is not None:
            if scope.item is not None or name in scope.names:
                return True
            scope = scope.parent
        return False

    def call_builtin(self, name: str, builtin: Any, local: Code | None, arguments: list[Code], names: tuple[str, ...], pos: int) -> Code:
        """A variable of that name is only called if it is a function: data such as `count` or `date` doesn't hide a built-in."""

        def function(c: Any, l: Any, r: Runtime) -> Any:
            value = c.get(name) if local is None else local(c, l, r)
            return value if isinstance(value, (FeelFunction, Builtin)) else builtin

        if names:
            pairs = list(zip(names, arguments, strict=True))
            return lambda c, l, r: r.invoke_named(function(c, l, r), {n: a(c, l, r) for n, a in pairs}, pos)
        return lambda c, l, r: r.invoke(function(c, l, r), [a(c, l, r) for a in arguments], pos)

    def always_null(self, code: str, message: str, pos: int) -> Code:
        def null(c: Any, l: Any, r: Runtime) -> None:
            r.warn(code, message, pos)

        return null
