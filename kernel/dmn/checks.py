"""Findings of a decision model for `flowledger validate`: what can't be read, found or compiled, and what its tables leave open.

Severities: error - the standard gives the model no meaning; warning - it has one, often null, which is probably not meant; info - worth knowing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from flowledger.kernel.dmn import boxed, bridge, reader
from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.errors import DmnError
from flowledger.kernel.dmn.evaluation import DecisionModel
from flowledger.kernel.dmn.index import simple_value
from flowledger.kernel.dmn.standard import STANDARD
from flowledger.kernel.dmn.table import AGGREGATIONS, POLICIES, Code
from flowledger.kernel.dmn.table_checks import PAIRS_MAX, SHOWN_MAX, STEPS_ALL_MAX, Budget, Geometry, allowed_literals
from flowledger.kernel.dmn.types import BAD, Type, allowed_text, base_of, component, ranks
from flowledger.kernel.dmn.unit import Unit, walk
from flowledger.kernel.feel.types import Primitive
from flowledger.kernel.findings import Finding


def findings(xml: bytes | str, models: Iterable[bytes | str] = (), file: str = "") -> list[Finding]:
    """All findings of a model, in the order of its lines. Never raises for a model; one that can't be read is a finding too."""
    try:
        definitions = reader.parse(xml)
    except DmnError as error:
        return [Finding(code="DMN_UNREADABLE", message=str(error), line=error.line, file=file)]
    imported, found = [], []
    for other in models:
        try:
            imported.append(reader.parse(other))
        except DmnError as error:
            found.append(Finding(code="IMPORT_UNREADABLE", message=f"an imported model can't be read: {error}", file=file))
    source = xml if isinstance(xml, str) else xml.decode("utf-8", "replace")
    checker = Checker(DecisionModel(definitions, imported), source.splitlines(), file)
    try:
        checker.run()
    except RecursionError:
        found.append(Finding(code="CHECK_INCOMPLETE", message="the model is nested too deep to be checked", severity="info", file=file))
    found += checker.found
    return sorted(found, key=lambda f: f.line)


class Checker:
    def __init__(self, model: DecisionModel, lines: list[str], file: str) -> None:
        self.model, self.unit, self.lines, self.file = model, model.root, lines, file
        self.found: list[Finding] = []
        self.compiler = boxed.Compiler(self.unit, strict=True)

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

    def run(self) -> None:
        d = self.unit.definitions
        self.names(d)
        self.imports(d)
        self.types(d)
        self.references(d)
        self.circles(d)
        for decision in d.decisions:
            self.decision(decision)
        for bkm in d.bkms:
            self.bkm(bkm)

    # The model as a whole

    def names(self, d: m.Definitions) -> None:
        ids: dict[str, m.Node] = {}
        for element in d.elements():
            if not element.name:
                self.add(element, "NAME_MISSING", "the element has no name, so no expression can use it")
            if element.id and element.id in ids:
                self.add(element, "ID_TWICE", f"the id {element.id} is used twice", hint="references find the first one")
            ids.setdefault(element.id or "", element)
        for name, same in self.unit.by_name.items():
            for element in same[1:]:
                self.add(
                    element, "NAME_TWICE", f"the name {name} is used twice", "warning", "an evaluation by name takes the first one; use ids"
                )
        seen: set[str] = set()
        for item in d.types:
            if item.name in seen:
                self.add(item, "TYPE_TWICE", f"the type {item.name} is defined twice", "warning")
            seen.add(item.name)

    def imports(self, d: m.Definitions) -> None:
        for i in d.imports:
            if "/DMN/" in i.import_type and i.namespace not in self.unit.units:
                self.add(
                    i,
                    "IMPORT_MISSING",
                    f"the imported model {i.name or i.namespace} wasn't given",
                    "warning",
                    f"deploy the model with namespace {i.namespace} together with this one",
                )

    def types(self, d: m.Definitions) -> None:
        def item(t: m.ItemDefinition) -> None:
            self.type_ref(t, t.type_ref)
            if self.unit.is_circle(t):
                self.add(t, "TYPE_CIRCULAR", f"the type {t.name} is defined by itself", hint="values are taken as they are (Any)")
            if t.function is not None:
                self.type_ref(t, t.function.output)
                for p in t.function.parameters:
                    self.type_ref(p, p.type_ref)
            for constraint in (t.allowed_values, t.type_constraint):
                if constraint is not None:
                    self.tests(constraint, frozenset())
            for c in t.components:
                item(c)

        for t in d.types:
            item(t)
        for element in d.elements():
            self.type_ref(element.variable, element.variable.type_ref, element)

    def type_ref(self, node: m.Node, ref: str | None, owner: m.Node | None = None) -> None:
        if ref and not self.unit.has_type(ref):
            target = node if node.id else owner or node
            self.add(
                target,
                "TYPE_UNKNOWN",
                f"the type {ref} is not defined",
                "warning",
                hint="values are taken as they are (Any)",
                line=node.line,
            )

    def references(self, d: m.Definitions) -> None:
        wanted: list[tuple[m.Element, list[m.Ref], tuple[type[m.Element], ...], str]] = []
        for decision in d.decisions:
            wanted += [
                (decision, decision.requires, (m.InputData, m.Decision), "an input or a decision"),
                (decision, decision.knowledge, (m.Bkm, m.Service), "a business knowledge model or a decision service"),
            ]
        for bkm in d.bkms:
            wanted.append((bkm, bkm.knowledge, (m.Bkm, m.Service), "a business knowledge model or a decision service"))
        for s in d.services:
            wanted += [
                (s, s.outputs + s.encapsulated + s.input_decisions, (m.Decision,), "a decision"),
                (s, s.input_data, (m.InputData,), "an input"),
            ]
            if not s.outputs:
                self.add(
                    s,
                    "SERVICE_WITHOUT_OUTPUT",
                    f"the decision service {s.name} has no output decision: its result is an empty context",
                    "info",
                )
        for element, refs, kinds, what in wanted:
            for ref in refs:
                self.reference(element, ref, kinds, what)

    def reference(self, element: m.Element, ref: m.Ref, kinds: tuple[type[m.Element], ...], what: str) -> None:
        foreign = ref.namespace is not None and ref.namespace != self.unit.namespace
        if foreign and ref.namespace not in self.unit.units:
            return  # IMPORT_MISSING has said so
        found = self.unit.find(ref)
        if found is None:
            self.add(
                element,
                "REFERENCE_MISSING",
                f"{element.name} refers to {ref.target}, which is not in the model",
                line=ref.line,
                hint="the requirement is left out: expressions that use it are null",
            )
        elif not isinstance(found[1], kinds):
            self.add(element, "REFERENCE_WRONG", f"{element.name} refers to {found[1].name}, which is not {what}", line=ref.line)
        elif foreign and ref.namespace not in self.unit.prefixes:
            self.add(element, "IMPORT_MISSING", f"{element.name} refers to a model that is not imported", line=ref.line)

    def circles(self, d: m.Definitions) -> None:
        state: dict[int, int] = {}
        for start in d.decisions:
            stack: list[tuple[m.Element, Iterator[m.Ref]]] = [(start, iter(start.requires))] if id(start) not in state else []
            if stack:
                state[id(start)] = 1
            while stack:
                element, refs = stack[-1]
                ref = next(refs, None)
                if ref is None:
                    state[id(element)] = 2
                    stack.pop()
                    continue
                found = self.unit.find(ref)
                if found is None or found[0] is not self.unit or not isinstance(found[1], m.Decision):
                    continue
                target = found[1]
                if state.get(id(target)) == 1:
                    self.add(
                        element,
                        "CIRCULAR",
                        f"{element.name} requires {target.name}, which requires it",
                        line=ref.line,
                        hint="a decision in a circle is null",
                    )
                elif id(target) not in state:
                    state[id(target)] = 1
                    stack.append((target, iter(target.requires)))

    # Expressions

    def scope(self, refs: list[m.Ref]) -> frozenset[str]:
        names = set()
        for ref in refs:
            found = self.unit.find(ref)
            if found is not None:
                names.add(self.unit.prefix(found[0]) or found[1].variable.name)
            elif ref.namespace in self.unit.prefixes:
                names.add(self.unit.prefixes[ref.namespace])
        return frozenset(names)

    def decision(self, decision: m.Decision) -> None:
        if decision.expression is None:
            self.add(decision, "NO_LOGIC", f"the decision {decision.name} has no logic; it is null unless its value is given", "info")
            return
        self.expression(decision, decision.expression, self.scope(decision.requires + decision.knowledge))
        self.tables(decision, decision.expression, decision)

    def bkm(self, bkm: m.Bkm) -> None:
        if bkm.logic is None or bkm.logic.body is None:
            self.add(bkm, "NO_LOGIC", f"the business knowledge model {bkm.name} has no logic; calling it is null", "info")
            return
        if bkm.logic.kind.upper() != "FEEL":
            self.add(
                bkm,
                "EXTERNAL_FUNCTION",
                f"{bkm.name} is an external function ({bkm.logic.kind}), which is refused",
                "warning",
                hint="calling it is null",
            )
            return
        names = self.scope(bkm.knowledge) | {p.name for p in bkm.logic.parameters} | {bkm.name}
        for p in bkm.logic.parameters:
            self.type_ref(p, p.type_ref, bkm)
        self.expression(bkm, bkm.logic.body, names)
        self.tables(bkm, bkm.logic.body, None)

    def expression(self, owner: m.Element, e: m.Expression, names: frozenset[str]) -> None:
        """Compile with each broken part in turn replaced by nothing, so that one doesn't hide the others."""
        checker = _Collecting(self.unit, lambda broken: self.broken(owner, broken))
        checker.compile(e, names)

        def visit(inner: m.Expression) -> None:
            self.type_ref(inner, inner.type_ref, owner)
            if isinstance(inner, m.Function) and inner.kind.upper() != "FEEL":
                self.add(
                    inner if inner.id else owner,
                    "EXTERNAL_FUNCTION",
                    f"external functions ({inner.kind}) are refused",
                    "warning",
                    hint="calling it is null",
                    line=inner.line,
                )
            if isinstance(inner, m.Table):
                for clause in inner.outputs:
                    self.type_ref(clause, clause.type_ref, owner)

        walk(e, visit)

    def tests(self, text: m.Text, names: frozenset[str]) -> None:
        try:
            self.compiler.test(text, names)
        except boxed.Broken as broken:
            self.broken(text, broken)

    def broken(self, owner: m.Node, broken: boxed.Broken) -> None:
        line, column = self.place(broken.node, broken.position)
        hint, severity = "it is null when evaluated", "error"
        if broken.code == "NAME_UNKNOWN":
            hint, severity = "require the input, decision or knowledge model of that name", "warning"
        self.add(broken.node if broken.node.id else owner, broken.code, str(broken), severity, hint, column, line)

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

    # Tables

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
            if found is not None and found[1].variable.name == text and not self.unit.prefix(found[0]):
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

        def outputs(i: int) -> list[str]:
            return [o.text for o in g.table.rules[i].outputs]

        pairs = (p for p in itertools.islice(g.overlaps(), PAIRS_MAX) if policy == "UNIQUE" or outputs(p[0]) != outputs(p[1]))
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


class _Collecting(boxed.Compiler):
    """A compiler that reports each broken part and goes on."""

    def __init__(self, unit: Unit, report: Callable[[boxed.Broken], None]) -> None:
        super().__init__(unit, strict=True)
        self.report = report

    def compile(self, e: m.Expression | None, names: boxed.Names) -> Code:
        try:
            return super().compile(e, names)
        except boxed.Broken as broken:
            self.report(broken)
            return lambda scope, run: None

    def literal(self, e: m.Literal, names: boxed.Names) -> Code:
        code = super().literal(e, names)
        # Inside of a filter any name may be one of the items' entries, so a text with one is left alone.
        if e.text and "[" not in e.text and e.text not in names and not simple_value(e.text)[0]:
            for name in sorted(bridge.reads(e.text, names, self.place.members) - names - self.place.members - {"item", "partial"}):
                self.report(boxed.Broken(f"{name} is not known here", e, e.text.find(name), "NAME_UNKNOWN"))
        return code

    def test(self, node: m.Text, names: boxed.Names) -> Any:
        if node.text.strip() in ("", "-"):
            return lambda value, scope, run: True
        try:
            return super().test(node, names)
        except boxed.Broken as broken:
            self.report(broken)
            return lambda value, scope, run: False


_PYTHON = {"string", "number", "boolean", "date"}


def _kind(value: Any) -> str:
    return (
        "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number" if isinstance(value, Decimal) else "date"
    )


def _base(type_: Type | None) -> str | None:
    """The name of the built-in type below a named one, None for structures and collections."""
    type_ = base_of(type_)
    return type_.name if isinstance(type_, Primitive) else None
