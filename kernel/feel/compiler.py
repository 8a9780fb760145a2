"""Tree to closures, once. A closure takes `(c, l, r)`: the context as the caller gave it, the local names (a small dict that is never
changed after it was handed on), and the Runtime; it returns a value and raises nothing but LimitReached and ArithmeticError.

Names are resolved here: a local one is a look-up in `l`, a name inside of a filter may belong to the item, all others are in `c` or built
in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel import types
from flowledger.kernel.feel.limits import LOCALS
from flowledger.kernel.feel.operations import Operations
from flowledger.kernel.feel.resolving import Code, Scope
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.steps import MISSING, NoIteration, items_of
from flowledger.kernel.feel.values import ORDERED, FeelFunction, Range, convert, kind


class Compiler(Operations):
    def if_(self, node: t.If, scope: Scope | None) -> Code:
        condition, then, otherwise = (self.compile(n, scope) for n in (node.condition, node.then, node.otherwise))
        return lambda c, l, r: then(c, l, r) if condition(c, l, r) is True else otherwise(c, l, r)

    def iterations(
        self, nodes: tuple[t.Iteration, ...], body: t.Node, scope: Scope | None
    ) -> tuple[Callable[..., Iterator[Any]], Scope | None]:
        work = t.work(body)
        steps: list[tuple[str, Code, Code | None, int]] = []
        for n in nodes:
            steps.append((n.name, self.compile(n.start, scope), None if n.end is None else self.compile(n.end, scope), n.start.pos))
            scope = Scope(scope, frozenset((n.name,)))

        def walk(c: Any, l: Any, r: Runtime, at: int = 0) -> Iterator[Any]:
            """The local names of each iteration. Raises NoIteration."""
            name, start, end, pos = steps[at]
            items = items_of(start(c, l, r), MISSING if end is None else end(c, l, r), r, pos)
            last = at == len(steps) - 1
            each = 1 + len(l) // LOCALS + (work if last else 0)
            for item in items:
                r.tick(each)
                inner = {**l, name: item}
                if last:
                    yield inner
                else:
                    yield from walk(c, inner, r, at + 1)

        return walk, scope

    def for_(self, node: t.For, scope: Scope | None) -> Code:
        walk, scope = self.iterations(node.iterations, node.body, scope)
        if not node.uses_partial:
            body = self.compile(node.body, scope)

            def for_(c: Any, l: Any, r: Runtime) -> Any:
                try:
                    return [body(c, inner, r) for inner in walk(c, l, r)]
                except NoIteration:
                    return None

            return for_
        body = self.compile(node.body, Scope(scope, frozenset(("partial",))))
        copied = t.escapes(node.body)

        def for_partial(c: Any, l: Any, r: Runtime) -> Any:
            out: list[Any] = []
            try:
                for inner in walk(c, l, r):
                    if copied:
                        r.tick(len(out) // 16)
                    inner["partial"] = out.copy() if copied else out
                    out.append(body(c, inner, r))
            except NoIteration:
                return None
            return out

        return for_partial

    def quantified(self, node: t.Quantified, scope: Scope | None) -> Code:
        walk, scope = self.iterations(node.iterations, node.body, scope)
        body = self.compile(node.body, scope)
        # `some` is a disjunction that starts with false, `every` a conjunction that starts with true.
        decides = not node.every

        def quantified(c: Any, l: Any, r: Runtime) -> Any:
            result: Any = not decides
            try:
                for inner in walk(c, l, r):
                    holds = body(c, inner, r)
                    if holds is decides:
                        return decides
                    if type(holds) is not bool:
                        result = None
            except NoIteration:
                return None
            return result

        return quantified

    # Boxed values

    def list(self, node: t.List, scope: Scope | None) -> Code:
        items = [self.compile(i, scope) for i in node.items]
        return lambda c, l, r: [i(c, l, r) for i in items]

    def context(self, node: t.Context, scope: Scope | None) -> Code:
        entries: list[tuple[str, Code, bool]] = []
        for key, value in node.entries:
            # A function may call itself by the name of its entry.
            is_function = isinstance(value, t.FunctionNode)
            inner = Scope(scope, frozenset((key,)))
            entries.append((key, self.compile(value, inner if is_function else scope), is_function))
            scope = inner

        def context(c: Any, l: Any, r: Runtime) -> Any:
            out: dict[str, Any] = {}
            for key, code, is_function in entries:
                if is_function:
                    l = dict(l)
                    out[key] = l[key] = code(c, l, r)
                else:
                    out[key] = value = code(c, l, r)
                    l = {**l, key: value}
                if len(l) > LOCALS:
                    r.tick(len(l) // LOCALS)
            return out

        return context

    def range(self, node: t.RangeNode, scope: Scope | None) -> Code:
        start, end, pos = self.compile(node.start, scope), self.compile(node.end, scope), node.pos
        low, high = node.start_included, node.end_included

        def range_(c: Any, l: Any, r: Runtime) -> Any:
            a, b = start(c, l, r), end(c, l, r)
            if (
                (a is not None and type(a) not in ORDERED)
                or (b is not None and type(b) not in ORDERED)
                or (a is not None and b is not None and type(a) is not type(b))
            ):
                r.warn("OPERAND_TYPES", f"no range from a {kind(a)} to a {kind(b)}", pos)
                return None
            return Range(a, b, low, high)

        if isinstance(node.start, t.Literal) and isinstance(node.end, t.Literal):
            value = range_(None, None, Runtime())
            return range_ if value is None else lambda c, l, r: value
        return range_

    def unary_range(self, node: t.UnaryRange, scope: Scope | None) -> Code:
        endpoint, symbol, pos = self.compile(node.endpoint, scope), node.operator, node.pos

        def unary_range(c: Any, l: Any, r: Runtime) -> Any:
            value = endpoint(c, l, r)
            if value is None or (symbol not in ("=", "!=") and type(value) not in ORDERED):
                r.warn("OPERAND_TYPES", f"no range {symbol} a {kind(value)}", pos)
                return None
            return Range.unary(symbol, value)

        return unary_range

    def function(self, node: t.FunctionNode, scope: Scope | None) -> Code:
        parameters = tuple(name for name, _ in node.parameters)
        kinds = tuple(None if n is None else types.resolve(n, self.named_types) or types.ANY for _, n in node.parameters)
        if node.external:

            def refused(c: Any, l: Any, r: Runtime) -> Any:
                function = FeelFunction(parameters, lambda *a: None, kinds, node=node)

                def inner(runtime: Runtime, arguments: list[Any]) -> None:
                    runtime.warn("EXTERNAL_FUNCTION", "external functions are refused: nothing outside of FEEL is run", node.pos)

                function.inner = inner
                return function

            return refused
        body = self.compile(node.body, Scope(scope, frozenset(parameters)))
        levels, work = t.height(node.body), t.work(node.body)

        def function(c: Any, l: Any, r: Runtime) -> Any:
            def inner(runtime: Runtime, arguments: list[Any]) -> Any:
                runtime.deeper(levels)
                if cost := work + len(l) // LOCALS:
                    runtime.tick(cost)
                try:
                    return body(c, {**l, **dict(zip(parameters, arguments, strict=True))}, runtime)
                finally:
                    runtime.depth -= levels

            value = FeelFunction(parameters, lambda *arguments: inner(Runtime(r.facts), [convert(a) for a in arguments]), kinds, node=node)
            value.inner = inner
            return value

        return function


Compiler.compilers = {
    t.Literal: Compiler.literal,
    t.BadLiteral: Compiler.bad_literal,
    t.Name: Compiler.name,
    t.Path: Compiler.path,
    t.Filter: Compiler.filter,
    t.Call: Compiler.call,
    t.Negate: Compiler.negate,
    t.Binary: Compiler.binary,
    t.Between: Compiler.between,
    t.In: Compiler.in_,
    t.InstanceOf: Compiler.instance_of,
    t.If: Compiler.if_,
    t.For: Compiler.for_,
    t.Quantified: Compiler.quantified,
    t.List: Compiler.list,
    t.Context: Compiler.context,
    t.RangeNode: Compiler.range,
    t.UnaryRange: Compiler.unary_range,
    t.FunctionNode: Compiler.function,
}
