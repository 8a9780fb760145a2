"""Decision tables: which rules match, and what becomes of their outputs by the hit policy.

Source: DMN 1.5, chapter 8. What the standard leaves open is decided like this, and listed in docs/dmn.md:
- no rule matches and there is no default: null; COLLECT gives an empty list and COLLECT with count 0;
- an input that isn't one of its clause's allowed values makes the result null, null itself is let through;
- an output outside its allowed values is null.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterator
from typing import Any

from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.index import Column
from flowledger.kernel.dmn.run import Hit, Run, TableRecord
from flowledger.kernel.dmn.types import Scope

Code = Callable[[Scope, Run], Any]
#: A unary test: value, scope, run -> whether it holds.
Test = Callable[[Any, Scope, Run], bool]

#: Sums are decimals of 34 digits, as all of FEEL (10.3.2.3.1).
_SUMS = decimal.Context(prec=34, rounding=decimal.ROUND_HALF_EVEN)
_MISSING = object()


class InputClause:
    __slots__ = ("label", "code", "coerce", "allowed", "id")

    def __init__(self, label: str, code: Code, coerce: Callable[[Any], Any] | None, allowed: Test | None, id: str | None) -> None:
        self.label, self.code, self.coerce, self.allowed, self.id = label, code, coerce, allowed, id


class OutputClause:
    __slots__ = ("name", "coerce", "allowed", "ranks", "default", "id")

    def __init__(
        self, name: str, coerce: Callable[[Any], Any] | None, ranks: list[Test] | None, default: Code | None, id: str | None
    ) -> None:
        self.name, self.coerce, self.ranks, self.default, self.id = name, coerce, ranks, default, id

    def finish(self, value: Any, scope: Scope, run: Run) -> Any:
        """The value as the clause's type and allowed values want it; null when it doesn't fit."""
        if self.coerce is not None:
            value = self.coerce(value)
        if self.ranks and value is not None and self.rank(value, scope, run) == len(self.ranks):
            items_fit = isinstance(value, list) and all(self.rank(v, scope, run) < len(self.ranks) for v in value)
            if not items_fit:
                run.warn(f"output {self.name}: the value is not one of the allowed output values", self.id, "OUTPUT_NOT_ALLOWED")
                return None
        return value

    def rank(self, value: Any, scope: Scope, run: Run) -> int:
        """Position of the value among the output values, which is its priority; their number when it isn't there."""
        for i, test in enumerate(self.ranks or ()):
            if test(value, scope, run):
                return i
        return len(self.ranks or ())


class CompiledTable:
    """A table ready to run. Cells are compiled when first needed; the index answers for the simple ones without that."""

    def __init__(
        self,
        table: m.Table,
        inputs: list[InputClause],
        outputs: list[OutputClause],
        cell: Callable[[m.Text], Test],
        output: Callable[[m.Literal], tuple[bool, Any]],
    ) -> None:
        self.table, self.inputs, self.outputs = table, inputs, outputs
        self.rules = table.rules
        self.columns = [Column([r.inputs[c].text if c < len(r.inputs) else "-" for r in table.rules]) for c in range(len(inputs))]
        self.every = (1 << len(self.rules)) - 1
        self.open = 0
        for column in self.columns:
            self.open |= column.open
        self._cell, self._output = cell, output
        self._cells: dict[tuple[str, str | None], Test] = {}
        self._groups: dict[int, dict[str, int]] = {}
        self._outputs: list[list[tuple[bool, Any]] | None] = [None] * len(self.rules)
        self.policy = POLICIES.get(table.hit_policy)
        self.names = [o.name for o in outputs]
        self.empty: Any = _MISSING
        if table.hit_policy == "COLLECT":
            self.empty = {None: list, "COUNT": lambda: decimal.Decimal(0)}.get(table.aggregation, _MISSING)

    # Matching

    def cell(self, rule: int, column: int) -> Test:
        """The test of a cell; cells of one text share it, so a warning names the first of them."""
        entry = self.rules[rule].inputs[column]
        test = self._cells.get((entry.text, entry.language))
        if test is None:
            test = self._cells[entry.text, entry.language] = self._cell(entry)
        return test

    def _alike(self, column: int, text: str) -> int:
        """The rules whose cell in a column has this text."""
        groups = self._groups.get(column)
        if groups is None:
            groups = self._groups[column] = {}
            for i, rule in enumerate(self.rules):
                if column < len(rule.inputs):
                    groups[rule.inputs[column].text] = groups.get(rule.inputs[column].text, 0) | 1 << i
        return groups[text]

    def matching(self, values: list[Any], scope: Scope, run: Run) -> Iterator[int]:
        """Numbers from 0 of the rules that match, in the order of the table, found as they are asked for."""
        candidates = self.every
        slow: list[int] = []
        for number, column in enumerate(self.columns):
            found = column.lookup(values[number])
            if found is None:
                slow.append(number)
            else:
                candidates &= found
        open_ = self.open
        holding: set[tuple[int, str]] = set()
        while candidates:
            bit = candidates & -candidates
            rule = bit.bit_length() - 1
            if not (slow or bit & open_):
                candidates ^= bit
                yield rule
                continue
            failed = self._failing(rule, bit, slow, holding, values, scope, run)
            if failed is None:
                candidates ^= bit
                yield rule
            else:
                # What this cell refuses, all cells with its text refuse.
                candidates &= ~self._alike(failed, self.rules[rule].inputs[failed].text)

    def _failing(
        self, rule: int, bit: int, slow: list[int], holding: set[tuple[int, str]], values: list[Any], scope: Scope, run: Run
    ) -> int | None:
        """The first column whose cell FEEL refuses, None if all hold; a text that has held for its column isn't tested again."""
        for n, column in enumerate(self.columns):
            if bit & column.open or (n in slow and not bit & column.any):
                key = n, self.rules[rule].inputs[n].text
                if key in holding:
                    continue
                if not self.cell(rule, n)(values[n], scope, run):
                    return n
                holding.add(key)
        return None

    # Outputs

    def outputs_of(self, rule: int, scope: Scope, run: Run) -> list[Any]:
        cells = self._outputs[rule]
        if cells is None:
            cells = [self._output(o) for o in self.rules[rule].outputs]
            cells += [(True, None)] * (len(self.outputs) - len(cells))
            self._outputs[rule] = cells
        return [
            clause.finish(value if constant else value(scope, run), scope, run)
            for clause, (constant, value) in zip(self.outputs, cells, strict=False)
        ]

    def compose(self, outputs: list[Any]) -> Any:
        """One output is its value, several are a context of their names (8.2.8)."""
        return outputs[0] if len(self.names) == 1 else dict(zip(self.names, outputs, strict=True))

    # Evaluation

    def __call__(self, scope: Scope, run: Run) -> Any:
        values = []
        for clause in self.inputs:
            value = clause.code(scope, run)
            if clause.coerce is not None:
                value = clause.coerce(value)
            values.append(value)
        record = TableRecord(self, values)
        run.trace.table(record)
        for clause, value in zip(self.inputs, values, strict=True):
            if clause.allowed is not None and value is not None and not clause.allowed(value, scope, run):
                if not (isinstance(value, list) and all(clause.allowed(v, scope, run) for v in value)):
                    run.warn(f"input {clause.label}: the value is not one of the allowed input values", clause.id, "INPUT_NOT_ALLOWED")
                    return None
        if self.policy is None or not self.outputs:
            run.warn(
                f"hit policy {self.table.hit_policy} is unknown" if self.policy is None else "the table has no output",
                self.table.id,
                "TABLE_INVALID",
            )
            return None
        for rule in self.matching(values, scope, run):
            source = self.rules[rule]
            record.hits.append(Hit(rule + 1, source.id, self.outputs_of(rule, scope, run), source.annotations))
            if self.policy is _first:
                break
        if record.hits:
            record.value = self.policy(self, record.hits, scope, run)
        else:
            record.defaulted = any(o.default is not None for o in self.outputs)
            record.value = self.default(scope, run)
        return record.value

    def default(self, scope: Scope, run: Run) -> Any:
        if any(o.default is not None for o in self.outputs):
            return self.compose([o.finish(o.default(scope, run), scope, run) if o.default is not None else None for o in self.outputs])
        return None if self.empty is _MISSING else self.empty()

    def by_priority(self, hits: list[Hit], scope: Scope, run: Run) -> list[Hit]:
        """Hits by the priority of their outputs, the first output clause counting most; equal ones in the order of the table."""
        ranked = [(i, o) for i, o in enumerate(self.outputs) if o.ranks]
        return sorted(hits, key=lambda hit: [o.rank(hit.outputs[i], scope, run) for i, o in ranked])


# Hit policies (8.2.10, 8.2.11): table, hits (at least one), scope, run -> value


def _unique(t: CompiledTable, hits: list[Hit], scope: Scope, run: Run) -> Any:
    if len(hits) > 1:
        run.warn(f"hit policy UNIQUE, but rules {_numbers(hits)} match", t.table.id, "SEVERAL_RULES")
        return None
    return t.compose(hits[0].outputs)


def _any(t: CompiledTable, hits: list[Hit], scope: Scope, run: Run) -> Any:
    if any(hit.outputs != hits[0].outputs for hit in hits[1:]):
        run.warn(f"hit policy ANY, but rules {_numbers(hits)} have different outputs", t.table.id, "OUTPUTS_DIFFER")
        return None
    return t.compose(hits[0].outputs)


def _first(t: CompiledTable, hits: list[Hit], scope: Scope, run: Run) -> Any:
    return t.compose(hits[0].outputs)


def _priority(t: CompiledTable, hits: list[Hit], scope: Scope, run: Run) -> Any:
    return t.compose(t.by_priority(hits, scope, run)[0].outputs)


def _rule_order(t: CompiledTable, hits: list[Hit], scope: Scope, run: Run) -> Any:
    return [t.compose(hit.outputs) for hit in hits]


def _output_order(t: CompiledTable, hits: list[Hit], scope: Scope, run: Run) -> Any:
    return [t.compose(hit.outputs) for hit in t.by_priority(hits, scope, run)]


def _collect(t: CompiledTable, hits: list[Hit], scope: Scope, run: Run) -> Any:
    operator = t.table.aggregation
    if operator is None:
        return _rule_order(t, hits, scope, run)
    if operator == "COUNT":
        return decimal.Decimal(len(hits))
    aggregate = AGGREGATIONS.get(operator)
    if aggregate is None:
        run.warn(f"aggregation {operator} is unknown", t.table.id, "TABLE_INVALID")
        return None
    out = []
    for i, clause in enumerate(t.outputs):
        value = aggregate([hit.outputs[i] for hit in hits])
        if value is None:
            run.warn(f"aggregation {operator}: the values of output {clause.name} can't be put together", t.table.id, "NOT_AGGREGATED")
        out.append(value)
    return t.compose(out)


def _numbers(hits: list[Hit]) -> str:
    return ", ".join(str(hit.index) for hit in hits)


def _sum(values: list[Any]) -> Any:
    total = decimal.Decimal(0)
    for value in values:
        if type(value) is not decimal.Decimal:
            return _sum_of_others(values)
        total = _SUMS.add(total, value)
    return total


def _sum_of_others(values: list[Any]) -> Any:
    """Durations can be added too; anything else, or a mixture, has no sum."""
    total = values[0]
    if isinstance(total, (str, list, dict, bool)) or any(type(v) is not type(total) for v in values):
        return None
    try:
        for value in values[1:]:
            total = total + value
    except (TypeError, ArithmeticError, ValueError):
        return None
    return total


def _extreme(pick: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    def aggregate(values: list[Any]) -> Any:
        if any(v is None or isinstance(v, (bool, list, dict)) or type(v) is not type(values[0]) for v in values):
            return None
        try:
            return pick(values)
        except TypeError:
            return None

    return aggregate


AGGREGATIONS: dict[str, Callable[[list[Any]], Any]] = {"SUM": _sum, "MIN": _extreme(min), "MAX": _extreme(max)}
POLICIES: dict[str, Callable[[CompiledTable, list[Hit], Scope, Run], Any]] = {
    "UNIQUE": _unique,
    "ANY": _any,
    "FIRST": _first,
    "PRIORITY": _priority,
    "RULE ORDER": _rule_order,
    "OUTPUT ORDER": _output_order,
    "COLLECT": _collect,
}
