"""Boxed expressions (DMN 1.5, 10.2) compiled to closures `(scope, run) -> value`.

An expression that can't be compiled becomes null with a warning, and spoils nothing but what uses it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from flowledger.kernel.dmn import bridge
from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.index import simple_value
from flowledger.kernel.dmn.run import CALLS_MAX, Run
from flowledger.kernel.dmn.table import Code, CompiledTable, InputClause, OutputClause, Test
from flowledger.kernel.dmn.types import BAD, Scope, Type, base_of, component, ranks
from flowledger.kernel.feel.types import FunctionType

Names = frozenset[str]


class Place(Protocol):
    """What an expression needs to know of the model it stands in."""

    #: Language of expressions that name none.
    language: str | None
    #: Names of components anywhere in the model, for paths such as `Loan.monthly payment`.
    members: Names

    def type_of(self, ref: str | None) -> Type | None:
        """The type of that name, None for Any or an unknown name."""

    @property
    def named_types(self) -> Mapping[str, Type]:
        """The types for `instance of` and parameters inside FEEL texts."""


class Broken(Exception):
    """An expression that can't be compiled: message, element id, line, position in its text."""

    def __init__(self, message: str, node: m.Node, position: int = -1, code: str = "BAD_EXPRESSION") -> None:
        super().__init__(message)
        self.node, self.position, self.code = node, position, code


def is_feel(language: str | None) -> bool:
    return not language or "feel" in language.lower()


class Compiler:
    """Compiles expressions of one place. With `strict` a broken expression raises Broken, else it is null with a warning."""

    def __init__(self, place: Place, strict: bool = False) -> None:
        self.place, self.strict = place, strict

    def compile(self, e: m.Expression | None, names: Names) -> Code:
        if e is None:
            return lambda scope, run: None
        try:
            code = _COMPILERS[type(e)](self, e, names)
            own = isinstance(e, (m.Literal, m.Function))
            return code if own else self._typed(code, e.type_ref, "expression", e.id)
        except Broken as broken:
            if self.strict:
                raise
            return self._null(broken)

    def _null(self, broken: Broken) -> Code:
        message, element, code, position = str(broken), broken.node.id, broken.code, broken.position

        def null(scope: Scope, run: Run) -> None:
            run.warn(message, element, code, position)

        return null

    def _typed(self, code: Code, ref: str | None, what: str, element: str | None) -> Code:
        """`code` with its value converted to a type; a value that doesn't conform is null (10.3.2.9.4)."""
        type_ = self.place.type_of(ref)
        return code if type_ is None else self._coerced(code, type_, what, element)

    @staticmethod
    def _coerced(code: Code, type_: Type, what: str, element: str | None) -> Code:
        def typed(scope: Scope, run: Run) -> Any:
            value = code(scope, run)
            out = type_.coerce(value)
            if out is BAD:
                run.warn(f"{what}: the value is not a {type_.name}", element, "TYPE_MISMATCH")
                return None
            return out

        return typed

    # Literal expressions and unary tests

    def literal(self, e: m.Literal, names: Names) -> Code:
        text = e.text
        if not text:
            return lambda scope, run: None
        constant, value = self.constant(e)
        if constant:
            return lambda scope, run: value
        self._language(e)
        if text in names:
            return self._typed(lambda scope, run: scope.get(text), e.type_ref, "expression", e.id)
        try:
            code = bridge.expression(text, names, self.place.members, self.place.named_types, e.id)
        except bridge.SyntaxError_ as error:
            raise Broken(f"{text!r}: {error}", e, bridge.position(error)) from error
        return self._typed(code, e.type_ref, "expression", e.id)

    def constant(self, e: m.Literal) -> tuple[bool, Any]:
        if not is_feel(e.language or self.place.language) or e.type_ref is not None:
            return False, None
        return simple_value(e.text) if e.text else (True, None)

    def _language(self, node: m.Literal | m.Text) -> None:
        language = node.language or self.place.language
        if not is_feel(language):
            raise Broken(f"expression language {language} is not FEEL", node, code="LANGUAGE_UNKNOWN")

    def test(self, node: m.Text, names: Names) -> Test:
        """A unary test; a broken one never holds."""
        try:
            self._language(node)
            try:
                return bridge.test(node.text, names, self.place.members, self.place.named_types, node.id)
            except bridge.SyntaxError_ as error:
                raise Broken(f"{node.text!r}: {error}", node, bridge.position(error)) from error
        except Broken as broken:
            if self.strict:
                raise
            null = self._null(broken)

            def never(value: Any, scope: Scope, run: Run) -> bool:
                null(scope, run)
                return False

            return never

    # Other boxed expressions

    def context(self, e: m.Context, names: Names) -> Code:
        steps: list[tuple[str, Code, str | None]] = []
        result: Code | None = None
        for entry in e.entries:
            v = entry.variable
            if v is None or not v.name:
                result = self._typed(self.compile(entry.value, names), v.type_ref if v else None, "result", entry.id)
                continue
            # A boxed function may call itself, so it sees its own name; no other entry does.
            own = names | {v.name} if isinstance(entry.value, m.Function) else names
            steps.append(
                (v.name, self._typed(self.compile(entry.value, own), v.type_ref, f"entry {v.name}", entry.id or v.id), entry.id or v.id)
            )
            names = names | {v.name}

        def context(scope: Scope, run: Run) -> Any:
            run.runtime.tick(len(steps) + _scope(scope))
            inner, out = dict(scope), {}
            for name, code, element in steps:
                inner[name] = out[name] = value = code(inner, run)
                run.trace.entry(element, name, value)
            return out if result is None else result(inner, run)

        return context

    def invocation(self, e: m.Invocation, names: Names) -> Code:
        function = self.compile(e.function, names)
        bindings = [
            (b.parameter.name, self._typed(self.compile(b.value, names), b.parameter.type_ref, f"argument {b.parameter.name}", b.id))
            for b in e.bindings
        ]
        element = e.id
        text = e.function.text if isinstance(e.function, m.Literal) else "the expression"

        def invocation(scope: Scope, run: Run) -> Any:
            target = function(scope, run)
            if not bridge.is_function(target):
                run.warn(f"{text} is not a function", element, "NOT_A_FUNCTION")
                return None
            return bridge.invoke(target, {name: code(scope, run) for name, code in bindings}, run, element)

        return invocation

    def function(self, e: m.Function, names: Names) -> Code:
        parameters = [(p.name, self.place.type_of(p.type_ref)) for p in e.parameters]
        own = frozenset(p.name for p in e.parameters)
        if e.kind.upper() != "FEEL":
            message, element = f"external functions ({e.kind}) are refused", e.id

            def refused(scope: Scope, run: Run) -> Any:
                def call(*arguments: Any) -> None:
                    run.warn(message, element, "EXTERNAL_FUNCTION")

                return bridge.function("", parameters, call)

            return refused
        body = self.body(e, names | own)
        keys = [p.name for p in e.parameters]
        element = e.id

        def function(scope: Scope, run: Run) -> Any:
            def call(*arguments: Any) -> Any:
                return limited(run, element, body, {**scope, **dict(zip(keys, arguments, strict=True))})

            return bridge.function("", parameters, call)

        return function

    def body(self, e: m.Function, names: Names) -> Code:
        """A function's body; its type is that of the function (1.3 and later) or of its result (older models)."""
        declared = base_of(self.place.type_of(e.type_ref)) if e.type_ref else None
        code = self.compile(e.body, names)
        if isinstance(declared, FunctionType):
            return code if declared.result is None else self._coerced(code, declared.result, "function", e.id)
        return self._typed(code, e.type_ref, "function", e.id)

    def list_(self, e: m.ListOf, names: Names) -> Code:
        items = [self.compile(i, names) for i in e.items]

        def list_(scope: Scope, run: Run) -> list[Any]:
            run.runtime.tick(len(items))
            return [code(scope, run) for code in items]

        return list_

    def relation(self, e: m.Relation, names: Names) -> Code:
        rows = [
            [
                (c.name, self._typed(self.compile(cell, names), c.type_ref, f"column {c.name}", c.id))
                for c, cell in itertools.zip_longest(e.columns, row[: len(e.columns)])
            ]
            for row in e.rows
        ]
        cells = sum(map(len, rows))

        def relation(scope: Scope, run: Run) -> list[dict[str, Any]]:
            run.runtime.tick(cells)
            return [{name: code(scope, run) for name, code in row} for row in rows]

        return relation

    def conditional(self, e: m.Conditional, names: Names) -> Code:
        test, then, otherwise = self.compile(e.test, names), self.compile(e.then, names), self.compile(e.otherwise, names)
        element = e.id

        def conditional(scope: Scope, run: Run) -> Any:
            holds = test(scope, run)
            if holds is True:
                return then(scope, run)
            if holds is False or holds is None:
                return otherwise(scope, run)
            run.warn("the condition gave no boolean", element, "NOT_BOOLEAN")
            return None

        return conditional

    def iterator(self, e: m.Iterator, names: Names) -> Code:
        over = self._typed(self.compile(e.over, names), e.over_type_ref, "in", e.id)
        body = self.compile(e.body, names | {e.variable, "partial"} if e.kind == "for" else names | {e.variable})
        # `partial` is the list of the results so far; a copy each time, so only for bodies that name it.
        uses_partial = e.kind == "for" and b"partial" in msgspec.json.encode(e.body)
        return _ITERATORS[e.kind](e.variable, over, body, uses_partial)

    def filter(self, e: m.Filter, names: Names) -> Code:
        over = self.compile(e.over, names)
        match = self.compile(e.match, names | {"item"} | self.place.members)
        element = e.id

        def filter_(scope: Scope, run: Run) -> Any:
            items = as_items(over(scope, run))
            if items is None:
                return None
            out = []
            each = _scope(scope)
            for item in items:
                run.runtime.tick(each + (len(item) // bridge.LOCALS if isinstance(item, dict) else 0))
                inner = {**scope, **item, "item": item} if isinstance(item, dict) else {**scope, "item": item}
                holds = match(inner, run)
                if holds is True:
                    out.append(item)
                elif holds is not False and holds is not None:
                    run.warn("match gave no boolean", element, "NOT_BOOLEAN")
                    return None
            return out

        return filter_

    def table(self, e: m.Table, names: Names) -> Code:
        inputs = []
        for clause in e.inputs:
            expression = clause.expression
            label = clause.label or (expression.text if expression is not None else "")
            type_ = self.place.type_of(expression.type_ref) if expression is not None else None
            # A name that nothing required has is a variable from outside: JSON, which has no dates.
            outside = expression is not None and expression.text.isidentifier() and expression.text not in names
            plain = (
                m.Literal(text=expression.text, language=expression.language, id=expression.id or clause.id, line=expression.line)
                if expression is not None
                else None
            )
            inputs.append(
                InputClause(
                    label,
                    self.compile(plain, names),
                    nulled(type_, outside),
                    self.test(clause.values, names) if clause.values else None,
                    clause.id,
                )
            )
        own = self.place.type_of(e.type_ref)
        outputs = []
        names_of_outputs = output_names(e)
        for number, out in enumerate(e.outputs):
            name = names_of_outputs[number]
            type_ = self.place.type_of(out.type_ref)
            inner = component(own, out.name) if own is not None and out.name else None
            if inner is None and len(e.outputs) == 1:
                inner = own
            default = self.compile(out.default, names) if out.default is not None else None
            outputs.append(OutputClause(name, nulled(type_), self._ranks(out, type_ or inner, names), default, out.id))

        def cell(node: m.Text) -> Test:
            return self.test(node, names)

        def output(node: m.Literal) -> tuple[bool, Any]:
            plain = m.Literal(text=node.text, language=node.language, id=node.id, line=node.line)
            constant, value = self.constant(plain)
            return (True, value) if constant else (False, self.compile(plain, names))

        table = CompiledTable(e, inputs, outputs, cell, output)
        if self.strict:
            for number, rule in enumerate(e.rules):
                for column in range(min(len(inputs), len(rule.inputs))):
                    table.cell(number, column)
                for entry in rule.outputs:
                    output(entry)
        return table

    def _ranks(self, clause: m.Output, type_: Type | None, names: Names) -> list[Test] | None:
        """Output values in order of priority: those of the clause, else the allowed values of its type (8.2.10)."""
        values = clause.values
        if values is not None:
            return [self.test(m.Text(text=t, language=values.language, id=values.id, line=values.line), names) for t in split(values.text)]
        return ranks(type_) if type_ is not None else None


def output_names(e: m.Table) -> list[str]:
    """Of an output without name, its label or the table's."""
    only = len(e.outputs) == 1
    return [o.name or o.label or (e.label or "output" if only else f"output {n}") for n, o in enumerate(e.outputs, 1)]


def limited(run: Run, element: str | None, body: Code, scope: Scope) -> Any:
    """Call a body one level deeper; too deep is null."""
    if run.depth >= CALLS_MAX:
        run.warn(f"calls nested deeper than {CALLS_MAX}", element, "CALLS_TOO_DEEP")
        return None
    run.depth += 1
    try:
        return body(scope, run)
    finally:
        run.depth -= 1


def nulled(type_: Type | None, outside: bool = False) -> Callable[[Any], Any] | None:
    """A value made to fit, else null. `outside`: it may be JSON, where dates and times are texts."""
    if type_ is None:
        return None
    if outside:
        return type_.read

    def coerce(value: Any) -> Any:
        out = type_.coerce(value)
        return None if out is BAD else out

    return coerce


def split(text: str) -> list[str]:
    """The parts of a list of unary tests: cut at commas outside of strings and brackets."""
    parts, depth, start, quoted, i = [], 0, 0, False, 0
    while i < len(text):
        c = text[i]
        if quoted:
            if c == "\\":
                i += 1
            elif c == '"':
                quoted = False
        elif c == '"':
            quoted = True
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth <= 0:
            parts.append(text[start:i].strip())
            start = i + 1
        i += 1
    parts.append(text[start:].strip())
    return [p for p in parts if p]


def _scope(scope: Scope) -> int:
    """Steps of an iteration: its scope is a copy."""
    return 1 + len(scope) // bridge.LOCALS


def as_items(value: Any) -> list[Any] | None:
    """The items to go through: a list's, those of a range of whole numbers or dates, or the single value itself; None for null and other ranges."""
    if isinstance(value, list):
        return value
    if value is None:
        return None
    return bridge.range_items(value) if bridge.is_range(value) else [value]


def _for(variable: str, over: Code, body: Code, uses_partial: bool) -> Code:
    def iterate(scope: Scope, run: Run) -> Any:
        items = as_items(over(scope, run))
        if items is None:
            return None
        out: list[Any] = []
        each = _scope(scope)
        for item in items:
            run.runtime.tick(each + (len(out) // 16 if uses_partial else 0))
            inner = {**scope, variable: item}
            if uses_partial:
                inner["partial"] = list(out)
            out.append(body(inner, run))
        return out

    return iterate


def _quantified(decisive: bool) -> Callable[[str, Code, Code, bool], Code]:
    """some (a true decides) and every (a false decides), three-valued; a result that is neither boolean nor null makes it null."""

    def make(variable: str, over: Code, body: Code, _uses_partial: bool) -> Code:
        def quantify(scope: Scope, run: Run) -> Any:
            items = as_items(over(scope, run))
            if items is None:
                return None
            results, each = [], _scope(scope)
            for item in items:
                run.runtime.tick(each)
                results.append(body({**scope, variable: item}, run))
            if any(r is not None and not isinstance(r, bool) for r in results):
                run.warn("satisfies gave no boolean", None, "NOT_BOOLEAN")
                return None
            if decisive in results:
                return decisive
            return None if None in results else not decisive

        return quantify

    return make


_ITERATORS: dict[str, Callable[[str, Code, Code, bool], Code]] = {"for": _for, "some": _quantified(True), "every": _quantified(False)}
_COMPILERS: dict[type[m.Expression], Callable[[Compiler, Any, Names], Code]] = {
    m.Literal: Compiler.literal,
    m.Context: Compiler.context,
    m.Invocation: Compiler.invocation,
    m.Function: Compiler.function,
    m.ListOf: Compiler.list_,
    m.Relation: Compiler.relation,
    m.Conditional: Compiler.conditional,
    m.Iterator: Compiler.iterator,
    m.Filter: Compiler.filter,
    m.Table: Compiler.table,
}
