"""Operators and tests as closures, with short ways for what is common. What a closure is: `compiler`."""

from __future__ import annotations

import operator as op
from collections.abc import Callable
from decimal import Decimal, DecimalException
from typing import Any

from flowledger.kernel.feel import operators, types
from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel.numbers import to_int
from flowledger.kernel.feel.resolving import DIRECT, EQUAL, Code, Resolving, Scope, Test
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.steps import matches, ordered
from flowledger.kernel.feel.values import equal, kind, weigh

_ORDER: dict[str, Callable[[Any, Any], Any]] = {"<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge}

#: Steps of a power whose exponent isn't whole, and of arithmetic with dates, times and durations.
ROOT, TEMPORAL = 110, 32


class Operations(Resolving):
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
            if type(a) is type(b) and type(a) in DIRECT:
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
            if type(a) is type(b) and type(a) in EQUAL:
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

    def junction(self, node: t.Binary, scope: Scope | None, decides: bool) -> Code:
        """`and` (false decides) and `or` (true decides), three-valued (10.3.2.6)."""
        left, right, other = self.compile(node.left, scope), self.compile(node.right, scope), not decides

        def junction(c: Any, l: Any, r: Runtime) -> Any:
            a = left(c, l, r)
            if a is decides:
                return decides
            b = right(c, l, r)
            if b is decides:
                return decides
            return other if a is other and b is other else None

        return junction

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
        if isinstance(node, t.Literal) and type(node.value) in EQUAL:
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
            if type(v) is type(b) and type(v) in DIRECT:
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


_BINARY: dict[str, Callable[[Operations, t.Binary, Scope | None], Code]] = {
    **dict.fromkeys(operators.TABLES, Operations.arithmetic),
    **dict.fromkeys(_ORDER, Operations.comparison),
    "=": Operations.equality,
    "!=": Operations.equality,
    "and": lambda o, node, scope: o.junction(node, scope, False),
    "or": lambda o, node, scope: o.junction(node, scope, True),
}
