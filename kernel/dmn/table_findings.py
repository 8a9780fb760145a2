"""Findings of decision tables: form, types of the cells, rules that overlap, that never match, and gaps. The geometry: `table_checks`."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.dmn import boxed
from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.evaluation import DecisionModel
from flowledger.kernel.dmn.index import simple_value
from flowledger.kernel.dmn.standard import STANDARD
from flowledger.kernel.dmn.table import AGGREGATIONS, POLICIES
from flowledger.kernel.dmn.table_checks import PAIRS_MAX, SHOWN_MAX, STEPS_ALL_MAX, Budget, Geometry, allowed_literals
from flowledger.kernel.dmn.types import BAD, Type, allowed_text, base_of, component, ranks
from flowledger.kernel.dmn.unit import walk
from flowledger.kernel.feel.types import Primitive
from flowledger.kernel.findings import Finding

_PYTHON = {"string", "number", "boolean", "date"}


def _kind(value: Any) -> str:
    return (
        "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number" if isinstance(value, Decimal) else "date"
    )


def _base(type_: Type | None) -> str | None:
    """The name of the built-in type below a named one, None for structures and collections."""
    type_ = base_of(type_)
    return type_.name if isinstance(type_, Primitive) else None


def _constant(text: str) -> tuple[bool, Any]:
    """Whether an expression reads nothing, and its value."""
    try:
        code = feel.compile(text)
    except feel.FeelSyntaxError:
        return False, None
    return (True, code({})) if not code.reads else (False, None)


class TableFindings:
    """Collects findings of one model; `checks` goes on from here."""

    def __init__(self, model: DecisionModel, lines: list[str], file: str) -> None:
        self.model, self.unit, self.lines, self.file = model, model.root, lines, file
        self.found: list[Finding] = []

    def add(self, node: m.Node, code: str, message: str, severity: str = "error", hint: str = "", column: int = 0, line: int = 0) -> None:
        self.found.append(
            Finding(
                code=code,
                message=message,
                severity=severity,
                element=node.id,
                line=line or node.line,
                column=column,
                hint=hint,
                file=self.file,
                standard=code in STANDARD,
                chapter=STANDARD.get(code, ""),
            )
        )

    def place(self, node: m.Node, position: int) -> tuple[int, int]:
        """Line and column in the file of a position in a node's text, as well as they can be told: 0 when not."""
        text = getattr(node, "text", "")
        before = text[: max(position, 0)]
        first = text.splitlines()[0].strip() if text.strip() else ""
        forms = {
            first,
            first.replace("&", "&amp;").replace("<", "&lt;"),
            first.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        }
        for number in range(max(node.line - 1, 0), min(node.line + 12, len(self.lines))):
            for form in forms:
                at = self.lines[number].find(form) if form else -1
                if at >= 0:
                    extra = before.count("\n")
                    column = at + 1 + max(position, 0) if not extra else len(before) - before.rfind("\n")
                    return number + 1 + extra, column
        return node.line, 0

    def tables(self, owner: m.Element, e: m.Expression, decision: m.Decision | None) -> None:
        def visit(inner: m.Expression) -> None:
            if isinstance(inner, m.Table):
                self.table(owner, inner, self.unit.type_of(decision.variable.type_ref) if decision is not None and inner is e else None)

        walk(e, visit)

    def table(self, owner: m.Element, t: m.Table, result: Type | None) -> None:
        node: m.Node = t if t.id else owner
        self.table_form(node, t)
        allowed: list[list[Any] | None] = []
        types: list[str | None] = []
        for clause in t.inputs:
            ref = clause.expression.type_ref if clause.expression is not None else None
            named = self._type_of_name(owner, clause)
            type_ = self.unit.type_of(ref) or named
            types.append(_base(type_))
            allowed.append(allowed_literals(clause.values.text) if clause.values is not None else self._allowed(type_))
        self.cell_types(t, types)
        self.output_types(t, result)
        if not t.rules or t.hit_policy not in POLICIES or len(t.rules) > 5000:
            return
        geometry = Geometry(t, types, allowed)
        self.rules_that_never_match(geometry)
        self.overlaps(node, geometry)
        self.gaps(node, geometry)

    def table_form(self, node: m.Node, t: m.Table) -> None:
        if t.hit_policy not in POLICIES:
            self.add(node, "HIT_POLICY_UNKNOWN", f"the hit policy {t.hit_policy} is unknown", hint="one of " + ", ".join(POLICIES))
        if t.aggregation and t.aggregation not in (*AGGREGATIONS, "COUNT"):
            self.add(node, "AGGREGATION_UNKNOWN", f"the aggregation {t.aggregation} is unknown", hint="SUM, MIN, MAX or COUNT")
        if t.aggregation and t.hit_policy != "COLLECT":
            self.add(
                node, "AGGREGATION_UNUSED", f"the aggregation {t.aggregation} has no meaning with hit policy {t.hit_policy}", "warning"
            )
        if t.hit_policy in ("PRIORITY", "OUTPUT ORDER") and not any(o.values for o in t.outputs):
            types = [self.unit.type_of(o.type_ref) for o in t.outputs] + [self.unit.type_of(t.type_ref)]
            if not any(type_ is not None and (ranks(type_) or any(ranks(component(type_, o.name)) for o in t.outputs)) for type_ in types):
                self.add(
                    node,
                    "PRIORITY_MISSING",
                    f"hit policy {t.hit_policy} without output values: the order of the rules decides",
                    "warning",
                    "give the outputs their allowed values, highest priority first",
                )
        if not t.outputs:
            self.add(node, "OUTPUT_MISSING", "the table has no output")
        names = [o.name for o in t.outputs]
        if len(names) > 1:
            for o in t.outputs:
                if not o.name:
                    self.add(
                        o if o.id else node, "OUTPUT_UNNAMED", "a table with several outputs needs a name for each", "warning", line=o.line
                    )
        for rule in t.rules:
            if len(rule.inputs) != len(t.inputs) or len(rule.outputs) != len(t.outputs):
                self.add(
                    rule if rule.id else node,
                    "RULE_MALFORMED",
                    f"the rule has {len(rule.inputs)} inputs and {len(rule.outputs)} outputs, "
                    f"the table {len(t.inputs)} and {len(t.outputs)}",
                    line=rule.line,
                )

    def _type_of_name(self, owner: m.Element, clause: m.Input) -> Type | None:
        """The declared type of an input expression that is just the name of something required."""
        text = clause.expression.text if clause.expression is not None else ""
        if isinstance(owner, m.Bkm) and owner.logic is not None:
            return next((self.unit.type_of(p.type_ref) for p in owner.logic.parameters if p.name == text), None)
        for ref in getattr(owner, "requires", ()):
            found = self.unit.find(ref)
            if found is not None and found[1].variable.name == text and "" in self.unit.seen_as(found[0]):
                type_ = found[0].type_of(found[1].variable.type_ref)
                declared = self.unit.type_of(clause.expression.type_ref) if clause.expression is not None else None
                if declared is not None and type_ is not None and _base(declared) and _base(type_) and _base(declared) != _base(type_):
                    self.add(
                        clause if clause.id else owner,
                        "TYPE_CONFLICT",
                        f"the input {text} is a {_base(type_)}, its clause says {_base(declared)}",
                        "warning",
                        line=clause.line,
                    )
                return type_
        return None

    @staticmethod
    def _allowed(type_: Type | None) -> list[Any] | None:
        text = allowed_text(type_)
        return allowed_literals(text) if text else None

    def cell_types(self, t: m.Table, types: list[str | None]) -> None:
        for rule in t.rules:
            for clause_type, cell in zip(types, rule.inputs, strict=False):
                if clause_type not in _PYTHON:
                    continue
                for part in boxed.split(cell.text):
                    text = part.lstrip("<>= ")
                    simple, value = simple_value(text)
                    if simple and value is not None and _kind(value) != clause_type:
                        line, column = self.place(cell, 0)
                        self.add(
                            cell if cell.id else rule,
                            "TYPE_CONFLICT",
                            f"the cell {part} compares a {_kind(value)} with a {clause_type}",
                            "warning",
                            line=line,
                            column=column,
                            hint="it never matches",
                        )

    def output_types(self, t: m.Table, result: Type | None) -> None:
        for number, clause in enumerate(t.outputs):
            type_ = self.unit.type_of(clause.type_ref)
            single = t.hit_policy not in ("COLLECT", "RULE ORDER", "OUTPUT ORDER")
            if type_ is None and len(t.outputs) == 1 and single:
                type_ = result
            allowed = allowed_literals(clause.values.text) if clause.values is not None else None
            entries = [r.outputs[number] for r in t.rules if number < len(r.outputs)] + ([clause.default] if clause.default else [])
            for entry in entries:
                simple, value = simple_value(entry.text)
                if not simple or value is None:
                    continue
                line, column = self.place(entry, 0)
                name = clause.name or clause.label or "the output"
                if type_ is not None and type_.coerce(value) is BAD:
                    self.add(
                        entry if entry.id else clause,
                        "TYPE_CONFLICT",
                        f"{entry.text} is not a {type_.name}, which {name} is",
                        "warning",
                        line=line,
                        column=column,
                        hint="the output is null",
                    )
                elif allowed is not None and value not in allowed:
                    self.add(
                        entry if entry.id else clause,
                        "OUTPUT_NOT_ALLOWED",
                        f"{entry.text} is not one of the output values of {name}",
                        "warning",
                        line=line,
                        column=column,
                        hint="the output is null",
                    )

    def rules_that_never_match(self, g: Geometry) -> None:
        dead: set[int] = set()
        for i, c in g.impossible():
            rule = g.table.rules[i]
            dead.add(i)
            self.add(
                rule,
                "RULE_UNREACHABLE",
                f"rule {i + 1} can never match: no value of {g.columns[c].label} fits {rule.inputs[c].text}",
                "warning",
                line=rule.inputs[c].line or rule.line,
            )
        # Later rules of a FIRST table can be hidden; in any table a rule after one that only FEEL can test is left alone.
        if g.table.hit_policy != "FIRST":
            return
        for i, rule in enumerate(g.table.rules):
            before = ((1 << i) - 1) & ~g.unknown
            if i in dead or not before:
                continue
            try:
                hidden = next(g.gaps(before, g.masks[i]), None) is None
            except Budget:
                if g.left > 0:
                    continue
                self.add(rule, "CHECK_INCOMPLETE", "the table is too large to be searched for all hidden rules", "info")
                break
            if hidden:
                self.add(
                    rule,
                    "RULE_UNREACHABLE",
                    f"rule {i + 1} can never be the first: earlier rules match all that it matches",
                    "warning",
                    "remove it, or move it up",
                )

    def overlaps(self, node: m.Node, g: Geometry) -> None:
        policy = g.table.hit_policy
        if policy not in ("UNIQUE", "ANY"):
            return

        known: dict[str, tuple[bool, Any]] = {}

        def differ(a: int, b: int) -> bool:
            """Whether an output of one is surely another value than that of the other: what depends on variables may be the same."""
            for one, other in zip(g.table.rules[a].outputs, g.table.rules[b].outputs, strict=False):
                (fixed, x), (fixed_too, y) = (known.get(o.text) or known.setdefault(o.text, _constant(o.text)) for o in (one, other))
                if fixed and fixed_too and (type(x) is not type(y) or x != y):
                    return True
            return False

        pairs = (p for p in itertools.islice(g.overlaps(), PAIRS_MAX) if policy == "UNIQUE" or differ(*p))
        for a, b in itertools.islice(pairs, SHOWN_MAX):
            region = g.describe([x & y for x, y in zip(g.masks[a], g.masks[b], strict=True)])
            what = "give different outputs" if policy == "ANY" else "match both"
            self.add(
                g.table.rules[b],
                "RULES_OVERLAP",
                f"rules {a + 1} and {b + 1} {what} for {region}",
                "warning",
                f"hit policy {policy} makes the result null there",
                line=g.table.rules[b].line,
            )
        if next(pairs, None) is not None:
            self.add(node, "RULES_OVERLAP", f"more than {SHOWN_MAX} pairs of rules overlap", "warning", line=g.table.line)

    def gaps(self, node: m.Node, g: Geometry) -> None:
        t = g.table
        if (
            t.hit_policy == "COLLECT"
            or any(o.default is not None for o in t.outputs)
            or not all(c.known for c in g.columns)
            or not t.inputs
        ):
            return
        g.left = STEPS_ALL_MAX
        try:
            for region in itertools.islice(g.gaps((1 << len(t.rules)) - 1), SHOWN_MAX):
                self.add(
                    node,
                    "TABLE_GAP",
                    f"no rule matches {g.describe(region)}",
                    "warning",
                    "the result is null there; add a rule or a default output",
                    line=t.line,
                )
        except Budget:
            self.add(node, "CHECK_INCOMPLETE", "the table is too large to be searched for all gaps", "info", line=t.line)
