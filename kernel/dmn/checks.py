"""Findings of a decision model for `flowledger validate`: what can't be read, found or compiled, and what its tables leave open.

Severities: error - the standard gives the model no meaning; warning - it has one, often null, which is probably not meant; info - worth knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from flowledger.kernel.dmn import boxed, bridge, reader
from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.errors import DmnError
from flowledger.kernel.dmn.evaluation import DecisionModel
from flowledger.kernel.dmn.index import simple_value
from flowledger.kernel.dmn.table import Code
from flowledger.kernel.dmn.table_findings import TableFindings
from flowledger.kernel.dmn.unit import Unit, walk
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
    found += _twice(definitions, imported, file)
    return sorted(found + findings_of(DecisionModel(definitions, imported), xml, file), key=lambda f: f.line)


def findings_of(model: DecisionModel, xml: bytes | str, file: str = "", told: Collection[str] = ()) -> list[Finding]:
    """Those of a model that was read, with what it imports. `told`: namespaces that are missing, as something else says already."""
    source = xml if isinstance(xml, str) else xml.decode("utf-8", "replace")
    checker, found = Checker(model, source.splitlines(), file), list[Finding]()
    checker.told = told
    try:
        checker.run()
    except RecursionError:
        found.append(Finding(code="CHECK_INCOMPLETE", message="the model is nested too deep to be checked", severity="info", file=file))
    found += checker.found
    return sorted(found, key=lambda f: f.line)


def _twice(definitions: m.Definitions, given: list[m.Definitions], file: str) -> list[Finding]:
    """Models that are imported by a namespace that several of those have which were given."""
    out = []
    for i in {i.namespace: i for i in definitions.imports}.values():
        if sum(other.namespace == i.namespace for other in given) > 1 and i.namespace != definitions.namespace:
            text = f"several models with the namespace {i.namespace} were given; the first one is used"
            out.append(Finding(code="IMPORT_TWICE", message=text, severity="warning", element=i.id or "", line=i.line, file=file))
    return out


class _Step:
    """A decision on a way of requirements, and the one that is followed from it."""

    __slots__ = ("element", "ref", "refs", "unit")

    def __init__(self, unit: Unit, element: m.Decision) -> None:
        self.unit, self.element, self.refs = unit, element, iter(element.requires)
        self.ref: m.Ref | None = None


class Checker(TableFindings):
    #: namespaces of imports that are missing, of which something else tells
    told: Collection[str] = ()

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
        own = {element.name for element in d.elements()} | {t.name for t in d.types}
        names: set[str] = set()
        #: what nameless imports have brought in -> from where
        brought: dict[str, str] = {}
        for i in d.imports:
            place = f" (locationURI '{i.location}')" if i.location else ""
            if "/DMN/" in i.import_type and i.namespace not in self.unit.units and i.namespace not in self.told:
                self.add(
                    i,
                    "IMPORT_MISSING",
                    f"the imported model {i.name or i.namespace} wasn't found: a model with the namespace '{i.namespace}'{place} was looked for",
                    "warning",
                    "what is used of it is null; deploy or check it together with this file, or deploy it before",
                )
            if i.name and (i.name in own or i.name in names):
                other = "of another import" if i.name in names else "of something of this model"
                hint = "expressions can't tell them apart: give the import a name of its own"
                self.add(i, "IMPORT_NAME", f"the import's name {i.name} is the name {other}, too", "warning", hint)
            names.add(i.name)
            if i.namespace == self.unit.namespace:
                self.add(i, "IMPORT_ITSELF", "the model imports itself", "warning", "its own things are known by their names alone")
            elif not i.name and (unit := self.unit.units.get(i.namespace)) is not None:
                self.nameless(i, unit.definitions, own, brought)

    def nameless(self, i: m.Import, other: m.Definitions, own: set[str], brought: dict[str, str]) -> None:
        """What an import without a name brings in stands beside what is there; of two with one name only one is seen."""
        for name in dict.fromkeys([element.name for element in other.elements()] + [t.name for t in other.types]):
            if name in own or brought.get(name, i.namespace) != i.namespace:
                where = "this model" if name in own else f"the model {brought[name]}"
                self.add(
                    i,
                    "IMPORT_HIDES",
                    f"the import without a name brings {name}, which {where} has as well",
                    "warning",
                    "give the import a name",
                )
            brought.setdefault(name, i.namespace)

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
        if foreign and ref.namespace not in self.unit.units and ref.namespace in self.unit.prefixes:
            return  # IMPORT_MISSING has said so
        found = self.unit.find(ref)
        if foreign and ref.namespace not in self.unit.prefixes:
            text = f"{element.name} refers to a model that is not imported: '{ref.namespace}'"
            self.add(
                element,
                "IMPORT_MISSING",
                text,
                "warning",
                line=ref.line,
                hint="the requirement is left out: expressions that use it are null",
            )
        elif found is None:
            self.add(
                element,
                "REFERENCE_MISSING",
                f"{element.name} refers to {ref.target}, which is not in the model",
                line=ref.line,
                hint="the requirement is left out: expressions that use it are null",
            )
        elif not isinstance(found[1], kinds):
            self.add(element, "REFERENCE_WRONG", f"{element.name} refers to {found[1].name}, which is not {what}", line=ref.line)

    def circles(self, d: m.Definitions) -> None:
        """Also those that lead through other models; told where they leave this one. One that is of others alone is told with them."""
        state: dict[int, int] = {}
        for start in d.decisions:
            stack = [_Step(self.unit, start)] if id(start) not in state else []
            if stack:
                state[id(start)] = 1
            while stack:
                step = stack[-1]
                ref = next(step.refs, None)
                if ref is None:
                    state[id(step.element)] = 2
                    stack.pop()
                    continue
                step.ref = ref
                found = step.unit.find(ref)
                if found is None or not isinstance(target := found[1], m.Decision):
                    continue
                if state.get(id(target)) == 1:
                    self.circle(stack[next(n for n, s in enumerate(stack) if s.element is target) :])
                elif id(target) not in state:
                    state[id(target)] = 1
                    stack.append(_Step(found[0], target))

    def circle(self, steps: list[_Step]) -> None:
        own = [n for n, step in enumerate(steps) if step.unit is self.unit]
        if not own:
            return
        at, target = steps[own[-1]], steps[(own[-1] + 1) % len(steps)].element
        self.add(
            at.element,
            "CIRCULAR",
            f"{at.element.name} requires {target.name}, which requires it",
            line=at.ref.line if at.ref is not None else at.element.line,
            hint="a decision in a circle is null",
        )

    # Expressions

    def scope(self, refs: list[m.Ref]) -> frozenset[str]:
        names: set[str] = set()
        for ref in refs:
            found = self.unit.find(ref)
            if found is not None:
                names.update(prefix or found[1].variable.name for prefix in self.unit.seen_as(found[0]))
            elif ref.namespace in self.unit.prefixes:
                names.update(self.unit.prefixes[ref.namespace])
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
            boxed.Compiler(self.unit, strict=True).test(text, names)
        except boxed.Broken as broken:
            self.broken(text, broken)

    def broken(self, owner: m.Node, broken: boxed.Broken) -> None:
        line, column = self.place(broken.node, broken.position)
        hint, severity = "it is null when evaluated", "error"
        if broken.code == "NAME_UNKNOWN":
            hint, severity = "require the input, decision or knowledge model of that name", "warning"
        self.add(broken.node if broken.node.id else owner, broken.code, str(broken), severity, hint, column, line)


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
