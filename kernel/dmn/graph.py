"""The requirement graph: decisions, inputs, business knowledge models and decision services, compiled and evaluated.

Source: DMN 1.5, 6.3 and 10.4 (execution semantics). A decision sees only what it requires: the values of inputs and decisions, and
the functions of its business knowledge models and services, each under its name, an imported one inside the context that its import
names. Every node is evaluated at most once in an evaluation. A required circle is null with a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowledger.kernel.dmn import boxed, bridge
from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.run import Record, Run
from flowledger.kernel.dmn.table import Code
from flowledger.kernel.dmn.types import BAD, Type, base_of
from flowledger.kernel.dmn.unit import Unit
from flowledger.kernel.feel.types import FunctionType

_NONE = object()


class Slot:
    """Where a requirement's value goes in a scope: `prefix` names an import's context, empty for none."""

    __slots__ = ("prefix", "name", "node")

    def __init__(self, prefix: str, name: str, node: Node) -> None:
        self.prefix, self.name, self.node = prefix, name, node


class Node:
    """One element of the graph, linked on first use."""

    kind = ""

    def __init__(self, graph: Graph, unit: Unit, element: m.Element) -> None:
        self.graph, self.unit, self.element = graph, unit, element
        self.name = element.variable.name or element.name
        self.type = unit.type_of(element.variable.type_ref)
        own = unit is graph.root
        keys: list[Any] = [element.name, self.name] if own else []
        keys += [(unit.namespace, element.name), f"{{{unit.namespace}}}{element.name}"]
        if not own and element.name not in graph.root.by_name:
            keys.append(element.name)
        if element.id and own:
            keys.append(element.id)
        #: Keys under which a caller may give this node's value, in the order in which they are looked for.
        self.keys = tuple(dict.fromkeys(keys))

    def value(self, run: Run) -> Any:
        raise AssertionError(self.kind)

    def given(self, run: Run) -> Any:
        """The value that the caller gave for this node, or _NONE."""
        inputs = run.inputs
        for key in self.keys:
            if key in inputs:
                return inputs[key]
        if self.unit is not self.graph.root:
            for name in self.graph.root.seen_as(self.unit):
                inside = inputs.get(name or _NONE)
                if isinstance(inside, Mapping) and self.element.name in inside:
                    return inside[self.element.name]
        return _NONE

    def read(self, value: Any, run: Run) -> Any:
        """A given value made to fit this node's type; null when it doesn't."""
        value = bridge.value(value)
        if self.type is None:
            return value
        out = self.type.read(value)
        if out is None and value is not None:
            run.warn(f"{self.element.name}: the given value is not a {self.type.name}", self.element.id, "TYPE_MISMATCH")
            return None
        return out

    def slots(self, refs: list[m.Ref]) -> list[Slot]:
        out = []
        for ref in refs:
            found = self.unit.find(ref)
            if found is not None:
                node = self.graph.node(*found)
                out += [Slot(name, node.name, node) for name in self.unit.seen_as(node.unit)]
        return out

    @staticmethod
    def names(slots: list[Slot]) -> set[str]:
        return {s.name for s in slots if not s.prefix} | {s.prefix for s in slots if s.prefix}


class InputNode(Node):
    kind = "input"

    def value(self, run: Run) -> Any:
        value = run.memo.get(self, _NONE)
        if value is _NONE:
            given = self.given(run)
            if given is _NONE:
                run.warn(f"input {self.element.name} is missing, null is used", self.element.id, "INPUT_MISSING")
                value = None
            else:
                value = self.read(given, run)
            run.memo[self] = value
        return value


class DecisionNode(Node):
    kind = "decision"

    def __init__(self, graph: Graph, unit: Unit, element: m.Decision) -> None:
        super().__init__(graph, unit, element)
        self.linked = False

    def link(self) -> None:
        element: Any = self.element
        self.requires = self.slots(element.requires)
        self.functions = self.slots(element.knowledge)
        self.plain = not any(s.prefix for s in self.requires) and not self.functions
        names = self.names(self.requires) | self.names(self.functions)
        self.code = self.unit.compiler.compile(element.expression, frozenset(names))
        self.linked = True

    def value(self, run: Run) -> Any:
        value = run.memo.get(self, _NONE)
        return self.evaluate(run) if value is _NONE else value

    def evaluate(self, run: Run) -> Any:
        if run.inputs and run.replace_decisions and run.target is not self:
            given = self.given(run)
            if given is not _NONE:
                value = run.memo[self] = self.read(given, run)
                record = Record(self.kind, self.element.id, self.element.name, self.unit.namespace, {})
                record.given, record.value = True, value
                run.trace.finish(record)
                return value
        if self in run.active:
            run.warn(f"decision {self.element.name} requires itself", self.element.id, "CIRCULAR")
            return None
        if not self.linked:
            self.link()
        run.active.add(self)
        if self.plain:
            scope = {slot.name: slot.node.value(run) for slot in self.requires}
            record = Record(self.kind, self.element.id, self.element.name, self.unit.namespace, scope)
        else:
            scope = {}
            bind(scope, self.requires, run)
            record = Record(self.kind, self.element.id, self.element.name, self.unit.namespace, dict(scope))
            bind(scope, self.functions, run)
        if run.inputs and not run.replace_decisions:
            # models made for Zeebe read variables that no input declares; what the model does declare hides them
            scope = {**{k: bridge.value(v) for k, v in run.inputs.items() if isinstance(k, str)}, **scope}
        run.trace.open.append(record)
        try:
            value = self.code(scope, run)
        except bridge.LimitReached as limit:
            run.runtime.stopped(limit.code, str(limit))
            value = None
        finally:
            run.trace.open.pop()
            run.active.discard(self)
        if self.type is not None:
            fitted = self.type.coerce(value)
            if fitted is BAD:
                run.warn(f"decision {self.element.name}: the result is not a {self.type.name}", self.element.id, "TYPE_MISMATCH")
                fitted = None
            value = fitted
        run.memo[self] = record.value = value
        run.trace.finish(record)
        return value


class FunctionNode(Node):
    """What can be called: its value is a FEEL function."""

    def __init__(self, graph: Graph, unit: Unit, element: m.Element) -> None:
        super().__init__(graph, unit, element)
        # The variable's type is that of the function (1.3 and later) or of its result (older models).
        type_ = base_of(self.type)
        self.result = type_.result if isinstance(type_, FunctionType) else self.type

    def value(self, run: Run) -> Any:
        value = run.memo.get(self, _NONE)
        if value is _NONE:
            value = run.memo[self] = bridge.function(self.name, self.parameters(), lambda *arguments: self.call(arguments, run))
        return value

    def parameters(self) -> list[tuple[str, Type | None]]:
        raise AssertionError

    def call(self, arguments: tuple[Any, ...], run: Run) -> Any:
        """Evaluate with arguments that have been made to fit already."""
        raise AssertionError

    def direct(self, run: Run) -> Any:
        raise AssertionError

    def fit(self, value: Any, run: Run) -> Any:
        if self.result is None:
            return value
        out = self.result.coerce(value)
        if out is BAD:
            run.warn(f"{self.element.name}: the result is not a {self.result.name}", self.element.id, "TYPE_MISMATCH")
            return None
        return out

    def given_argument(self, name: str, type_: Type | None, run: Run) -> Any:
        if name not in run.inputs:
            run.warn(f"argument {name} is missing, null is used", self.element.id, "INPUT_MISSING")
            return None
        value = bridge.value(run.inputs[name])
        out = value if type_ is None else type_.read(value)
        if out is None and value is not None:
            run.warn(f"argument {name}: the given value doesn't fit its type", self.element.id, "TYPE_MISMATCH")
            return None
        return out


class BkmNode(FunctionNode):
    kind = "bkm"

    def __init__(self, graph: Graph, unit: Unit, element: m.Bkm) -> None:
        super().__init__(graph, unit, element)
        self.linked = False
        logic = element.logic
        self._parameters = [(p.name, unit.type_of(p.type_ref)) for p in logic.parameters] if logic is not None else []
        self.parameter_names = [name for name, _ in self._parameters]

    def parameters(self) -> list[tuple[str, Type | None]]:
        return self._parameters

    def link(self) -> None:
        element: Any = self.element
        self.functions = self.slots(element.knowledge)
        names = self.names(self.functions) | set(self.parameter_names) | {self.name}
        logic = element.logic
        if logic is not None and logic.kind.upper() != "FEEL":
            message = f"external functions ({logic.kind}) are refused"
            self.code: Code = lambda scope, run: run.warn(message, element.id, "EXTERNAL_FUNCTION")
        else:
            compiler = self.unit.compiler
            self.code = compiler.compile(None, frozenset()) if logic is None else compiler.body(logic, frozenset(names))
        self.linked = True

    def call(self, arguments: tuple[Any, ...], run: Run) -> Any:
        if not self.linked:
            self.link()
        run.runtime.tick(1 + len(self.functions) // 4)
        scope: dict[str, Any] = {self.name: self.value(run)}
        bind(scope, self.functions, run)
        own = dict(zip(self.parameter_names, arguments, strict=True))
        scope.update(own)
        record = Record(self.kind, self.element.id, self.element.name, self.unit.namespace, own)
        run.trace.open.append(record)
        try:
            value = self.fit(boxed.limited(run, self.element.id, self.code, scope), run)
        finally:
            run.trace.open.pop()
        record.value = value
        run.trace.finish(record)
        return value

    def direct(self, run: Run) -> Any:
        return self.call(tuple(self.given_argument(name, type_, run) for name, type_ in self._parameters), run)


class ServiceNode(FunctionNode):
    """Inputs come first, then the input decisions, each in the order of the model (10.4, decision service as a function)."""

    kind = "service"

    def __init__(self, graph: Graph, unit: Unit, element: m.Service) -> None:
        super().__init__(graph, unit, element)
        self._slots: list[Slot] | None = None

    @property
    def inputs(self) -> list[Slot]:
        if self._slots is None:
            element: Any = self.element
            self._slots = self.slots(element.input_data) + self.slots(element.input_decisions)
            self.outputs = self.slots(element.outputs)
        return self._slots

    def parameters(self) -> list[tuple[str, Type | None]]:
        return [(s.name, s.node.type) for s in self.inputs]

    def call(self, arguments: tuple[Any, ...], run: Run) -> Any:
        return self._evaluate(dict(zip((s.node for s in self.inputs), arguments, strict=True)), Run({}, run.runtime.facts, run))

    def _evaluate(self, memo: dict[Node, Any], run: Run) -> Any:
        run.memo.update(memo)
        record = Record(self.kind, self.element.id, self.element.name, self.unit.namespace, {n.name: v for n, v in memo.items()})
        values = boxed.limited(run, self.element.id, lambda scope, run: {s.name: s.node.value(run) for s in self.outputs}, {})
        if values is None:
            return None
        value = next(iter(values.values())) if len(self.outputs) == 1 else values
        record.value = value = self.fit(value, run)
        run.trace.finish(record)
        return value

    def direct(self, run: Run) -> Any:
        memo: dict[Node, Any] = {}
        for slot in self.inputs:
            given = slot.node.given(run)
            if given is _NONE:
                run.warn(f"input {slot.name} is missing, null is used", slot.node.element.id, "INPUT_MISSING")
                memo[slot.node] = None
            else:
                memo[slot.node] = slot.node.read(given, run)
        return self._evaluate(memo, run)


def bind(scope: dict[str, Any], slots: list[Slot], run: Run) -> None:
    """Put the values of slots into a scope. An import's context is copied before it grows: a record may hold the shorter one."""
    fresh: set[str] = set()
    for slot in slots:
        value = slot.node.value(run)
        if not slot.prefix:
            scope[slot.name] = value
            continue
        if slot.prefix not in fresh:
            fresh.add(slot.prefix)
            known = scope.get(slot.prefix)
            scope[slot.prefix] = dict(known) if isinstance(known, dict) else {}
        scope[slot.prefix][slot.name] = value


_NODES: dict[type[m.Element], Callable[[Graph, Unit, Any], Node]] = {
    m.InputData: InputNode,
    m.Decision: DecisionNode,
    m.Bkm: BkmNode,
    m.Service: ServiceNode,
}
KINDS: dict[str, type[m.Element]] = {"decision": m.Decision, "service": m.Service, "bkm": m.Bkm}


class Graph:
    """The nodes of a model and of what it imports, as far as they were needed. Two versions of one model may be among its units."""

    def __init__(self, root: Unit) -> None:
        self.root = root
        self._nodes: dict[tuple[int, int], Node] = {}

    def node(self, unit: Unit, element: m.Element) -> Node:
        key = (id(unit), id(element))
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = _NODES[type(element)](self, unit, element)
        return node
