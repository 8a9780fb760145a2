"""Tree to closures, once. A closure takes `(c, l, r)`: the context as the caller gave it, the local names (a small dict that is never
changed after it was handed on), and the Runtime; it returns a value and raises nothing but LimitReached and ArithmeticError.

Names are resolved here: a local one is a look-up in `l`, a name inside of a filter may belong to the item, all others are in `c` or built
in.
"""

from __future__ import annotations

import operator as op
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, DecimalException
from typing import Any

from flowledger.kernel.feel import operators, properties, types
from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel.builtins.registry import Builtin
from flowledger.kernel.feel.limits import LOCALS
from flowledger.kernel.feel.numbers import to_int
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.steps import MISSING, NoIteration, index_of, items_of, matches, ordered
from flowledger.kernel.feel.temporal import FeelDate
from flowledger.kernel.feel.values import NATIVE, ORDERED, FeelFunction, Range, convert, equal, kind, weigh

Code = Callable[[Any, Any, Runtime], Any]
Test = Callable[[Any, Any, Any, Runtime], Any]
#: Types whose values of one type are ordered by Python's own operators.
_DIRECT = frozenset((Decimal, str, FeelDate))
_EQUAL = frozenset((Decimal, str, bool, FeelDate))
#: Steps of a power whose exponent isn't whole, and of arithmetic with dates, times and durations.
ROOT, TEMPORAL = 110, 32
#: Built-ins that are evaluated at once when their arguments are constants.
_FOLDED = frozenset(("date", "time", "date and time", "duration"))


class Scope:
    """Names bound by the expression itself; `item` is the key in `l` of a filter's item."""

    __slots__ = ("parent", "names", "item")

    def __init__(self, parent: Scope | None, names: frozenset[str], item: Any = None) -> None:
        self.parent, self.names, self.item = parent, names, item


class Compiler:
    def __init__(self, builtins: Mapping[str, Any], named_types: Mapping[str, Any] | None, names: frozenset[str]) -> None:
        self.builtins, self.named_types, self.names = builtins, named_types, names
        self.reads: set[str] = set()
        self.filters = 0

    def compile(self, node: t.Node, scope: Scope | None) -> Code:
        return _COMPILERS[type(node)](self, node, scope)

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

    # Operators

    def negate(self, node: t.Negate, scope: Scope | None) -> Code:
        operand, pos = self.compile(node.operand, scope), node.pos

        def negate(c: Any, l: Any, r: Runtime) -> Any:
            value = operand(c, l, r)
            result = operators.negate(value)
            if result is None:
                r.warn("OPERAND_TYPES", f"no negative of a {kind(value)}", pos)
            return result

        return negate

    def binary(self, node: t.Binary, scope: Scope | None) -> Code:
        return _BINARY[node.operator](self, node, scope)

    def arithmetic(self, node: t.Binary, scope: Scope | None) -> Code:
        left, right, pos, symbol = self.compile(node.left, scope), self.compile(node.right, scope), node.pos, node.operator
        table = operators.TABLES[symbol]
        numbers, root = table[Decimal, Decimal], symbol == "**"

        def arithmetic(c: Any, l: Any, r: Runtime) -> Any:
            a, b = left(c, l, r), right(c, l, r)
            try:
                if type(a) is Decimal and type(b) is Decimal:
                    if root and b != b.to_integral_value():
                        r.tick(ROOT)
                    result = numbers(a, b)
                else:
                    operation = table.get((type(a), type(b)))
                    if operation is None:
                        r.warn("OPERAND_TYPES", f"{kind(a)} {symbol} {kind(b)} is not defined", pos)
                        return None
                    if symbol == "+" and type(a) is str:
                        r.text(len(a) + len(b))
                    else:
                        r.tick(TEMPORAL)
                    result = operation(a, b)
            except (DecimalException, ValueError, OverflowError) as error:
                r.warn("OUT_OF_RANGE", f"{kind(a)} {symbol} {kind(b)} has no result: {error}", pos)
                return None
            if result is None:
                r.warn("OUT_OF_RANGE", f"this {kind(a)} {symbol} this {kind(b)} has no result", pos)
            return result

        return arithmetic

    def comparison(self, node: t.Binary, scope: Scope | None) -> Code:
        left, right, pos, symbol = self.compile(node.left, scope), self.compile(node.right, scope), node.pos, node.operator
        operation = _ORDER[symbol]

        def comparison(c: Any, l: Any, r: Runtime) -> Any:
            a, b = left(c, l, r), right(c, l, r)
            if type(a) is type(b) and type(a) in _DIRECT:
                return operation(a, b)
            return ordered(operation, symbol, a, b, r, pos)

        if self.is_free(node.left, scope) and isinstance(node.right, t.Literal) and type(node.right.value) is Decimal:
            return self.compare_free(node.left.name, node.right.value, operation, comparison)  # type: ignore[attr-defined]
        return comparison

    def compare_free(self, name: str, constant: Decimal, operation: Callable[[Any, Any], Any], slow: Code) -> Code:
        """A variable with a number: the commonest condition, without a call for either side."""
        whole = to_int(constant) if abs(constant) < 10**18 else None
        for_int: Any = constant if whole is None else whole

        def compare_free(c: Any, l: Any, r: Runtime) -> Any:
            value = c.get(name)
            if type(value) is int:
                return operation(value, for_int)
            if type(value) is Decimal:
                return operation(value, constant)
            return slow(c, l, r)

        return compare_free

    def equality(self, node: t.Binary, scope: Scope | None) -> Code:
        left, right, pos = self.compile(node.left, scope), self.compile(node.right, scope), node.pos
        negated = node.operator == "!="

        def equality(c: Any, l: Any, r: Runtime) -> Any:
            a, b = left(c, l, r), right(c, l, r)
            if type(a) is type(b) and type(a) in _EQUAL:
                return (a == b) is not negated
            same = equal(a, b, r)
            if same is None:
                r.warn("OPERAND_TYPES", f"a {kind(a)} and a {kind(b)} can't be equal", pos)
                return None
            return same is not negated

        if self.is_free(node.left, scope) and isinstance(node.right, t.Literal) and type(node.right.value) is str:
            name, text = node.left.name, node.right.value  # type: ignore[attr-defined]

            def equals_text(c: Any, l: Any, r: Runtime) -> Any:
                value = c.get(name)
                return (value == text) is not negated if type(value) is str else equality(c, l, r)

            return equals_text
        return equality

    def conjunction(self, node: t.Binary, scope: Scope | None) -> Code:
        left, right = self.compile(node.left, scope), self.compile(node.right, scope)

        def conjunction(c: Any, l: Any, r: Runtime) -> Any:
            a = left(c, l, r)
            if a is False:
                return False
            b = right(c, l, r)
            if b is False:
                return False
            return True if a is True and b is True else None

        return conjunction

    def disjunction(self, node: t.Binary, scope: Scope | None) -> Code:
        left, right = self.compile(node.left, scope), self.compile(node.right, scope)

        def disjunction(c: Any, l: Any, r: Runtime) -> Any:
            a = left(c, l, r)
            if a is True:
                return True
            b = right(c, l, r)
            if b is True:
                return True
            return False if a is False and b is False else None

        return disjunction

    def between(self, node: t.Between, scope: Scope | None) -> Code:
        value, low, high, pos = self.compile(node.value, scope), self.compile(node.low, scope), self.compile(node.high, scope), node.pos

        def between(c: Any, l: Any, r: Runtime) -> Any:
            v = value(c, l, r)
            above = ordered(op.ge, ">=", v, low(c, l, r), r, pos)
            below = ordered(op.le, "<=", v, high(c, l, r), r, pos)
            if above is False or below is False:
                return False
            return True if above and below else None

        return between

    def in_(self, node: t.In, scope: Scope | None) -> Code:
        value = self.compile(node.value, scope)
        test = self.tests(node.tests, scope, False)
        return lambda c, l, r: test(value(c, l, r), c, l, r)

    # Tests

    def tests(self, nodes: tuple[t.Node, ...], scope: Scope | None, cell: bool) -> Test:
        """The disjunction of tests, as a function of the value. `cell`: in a table a test may also be a condition that is true or false."""
        tests = [self.test(n, scope, cell) for n in nodes]
        if len(tests) == 1:
            return tests[0]

        def any_of(v: Any, c: Any, l: Any, r: Runtime) -> Any:
            result: Any = False
            for test in tests:
                holds = test(v, c, l, r)
                if holds is True:
                    return True
                if holds is not False:
                    result = None
            return result

        return any_of

    def test(self, node: t.Node, scope: Scope | None, cell: bool) -> Test:
        inner = Scope(scope, frozenset(("?",)))
        if isinstance(node, t.UnaryRange):
            return self.operator_test(node, scope if not t.uses_question(node) else inner)
        code = self.compile(node, inner)
        pos = node.pos
        if t.uses_question(node):

            def condition(v: Any, c: Any, l: Any, r: Runtime) -> Any:
                result = code(c, {**l, "?": v}, r)
                # `? > 5` says whether it holds, `[? .. 9]` is a range or value like any other.
                return result if type(result) is bool else None if result is None else matches(v, result, cell, r, pos)

            return condition
        if isinstance(node, t.Literal) and type(node.value) in _EQUAL:
            constant, kind_ = node.value, type(node.value)

            def equals(v: Any, c: Any, l: Any, r: Runtime) -> Any:
                return v == constant if type(v) is kind_ else matches(v, constant, cell, r, pos)

            return equals
        return lambda v, c, l, r: matches(v, code(c, l, r), cell, r, pos)

    def operator_test(self, node: t.UnaryRange, scope: Scope | None) -> Test:
        endpoint, symbol, pos = self.compile(node.endpoint, scope), node.operator, node.pos
        question = t.uses_question(node)
        operation = _ORDER.get(symbol)

        def in_order(v: Any, c: Any, l: Any, r: Runtime) -> Any:
            b = endpoint(c, {**l, "?": v} if question else l, r)
            if type(v) is type(b) and type(v) in _DIRECT:
                return operation(v, b)  # type: ignore[misc]
            return ordered(operation, symbol, v, b, r, pos)  # type: ignore[arg-type]

        def equality(v: Any, c: Any, l: Any, r: Runtime) -> Any:
            same = equal(v, endpoint(c, {**l, "?": v} if question else l, r), r)
            return None if same is None else same is (symbol == "=")

        return equality if operation is None else in_order

    def unary_tests(self, node: t.UnaryTests, scope: Scope | None) -> Test:
        if not node.tests:
            return lambda v, c, l, r: True
        test = self.tests(node.tests, scope, True)
        wanted = not node.negated
        return lambda v, c, l, r: test(v, c, l, r) is wanted

    def instance_of(self, node: t.InstanceOf, scope: Scope | None) -> Code:
        value, pos = self.compile(node.value, scope), node.pos
        type_ = types.resolve(node.type, self.named_types)
        if type_ is None:
            return self.always_null("TYPE_UNKNOWN", f"no type {node.type.name!r}", pos)

        def instance_of(c: Any, l: Any, r: Runtime) -> bool:
            v = value(c, l, r)
            weigh(v, r)
            return types.instance_of(v, type_)

        return instance_of

    # Control

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


_ORDER: dict[str, Callable[[Any, Any], Any]] = {"<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge}
_BINARY = {
    **dict.fromkeys(operators.TABLES, Compiler.arithmetic),
    **dict.fromkeys(_ORDER, Compiler.comparison),
    "=": Compiler.equality,
    "!=": Compiler.equality,
    "and": Compiler.conjunction,
    "or": Compiler.disjunction,
}
_COMPILERS: dict[type, Callable[[Compiler, Any, Scope | None], Code]] = {
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
