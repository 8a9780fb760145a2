"""The ways in: `read` a model once, `DecisionModel.evaluate` it often, `evaluate` for both at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from flowledger.kernel.dmn import bridge, reader
from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.errors import DmnError
from flowledger.kernel.dmn.graph import KINDS, DecisionNode, FunctionNode, Graph
from flowledger.kernel.dmn.run import Run, TableRecord, Trace
from flowledger.kernel.dmn.trace import trace_of
from flowledger.kernel.dmn.unit import Unit


class Evaluation:
    """What an evaluation gave. `trace` is made when it is asked for, so that those who don't want it don't pay for it."""

    __slots__ = ("steps", "value", "warnings", "_raw", "_trace")

    def __init__(self, value: Any, warnings: list[Any], raw: Trace, steps: int = 0) -> None:
        self.value = value
        #: Steps of expressions that it took.
        self.steps = steps
        #: Why something became null, in the order in which it happened.
        self.warnings = warnings
        self._raw = raw
        self._trace: list[dict[str, Any]] | None = None

    @property
    def trace(self) -> list[dict[str, Any]]:
        """The decisions, models and services in the order in which they were finished, as plain values that JSON can hold."""
        if self._trace is None:
            self._trace = trace_of(self._raw)
        return self._trace

    def table(self, table: m.Table) -> TableRecord | None:
        """How the table of the decision that was asked for went; None: it wasn't looked at, or beyond what a trace holds."""
        last = self._raw.records[-1] if self._raw.records else None
        return next((t for t in last.tables if t.table.table is table), None) if last is not None else None


class DecisionModel:
    """A model with its imports, ready to be evaluated. It holds no state of evaluations and can be shared.

    `imported`: what it and these import, one for each namespace. `bound`: what it imports itself, by namespace, each with what that is bound to: so
    two that it imports can be bound to two versions of one model.
    """

    root: Unit
    graph: Graph

    def __init__(
        self,
        definitions: m.Definitions,
        imported: Iterable[m.Definitions] = (),
        bound: Mapping[str, DecisionModel] | None = None,
        size: int = 0,
    ) -> None:
        self.definitions = definitions
        self.bound: Mapping[str, DecisionModel] = bound or {}
        #: bytes of its file; how many models stand one above the other, itself the topmost
        self.size = size
        self.depth: int = 1 + max((other.depth for other in (bound or {}).values()), default=0)
        if not bound:
            self._ready(*_flat(definitions, imported))

    def __getattr__(self, name: str) -> Any:
        """Of one that is bound to others its units are made when it is looked into: most stand below another one only, which has its own of them."""
        if name not in ("root", "graph"):
            raise AttributeError(name)
        units: list[Unit] = []
        self._ready(_unit(self, {}, units), units)
        return self.__dict__[name]

    def _ready(self, root: Unit, units: list[Unit]) -> None:
        for unit in units:
            unit.link()
        for unit in units:
            unit.build_types()
        self.__dict__.update(root=root, graph=Graph(root))  # both at once, whoever else does it meanwhile

    @property
    def decisions(self) -> list[m.Decision]:
        return self.definitions.decisions

    def evaluate(
        self,
        name_or_id: str,
        inputs: Mapping[Any, Any] | None = None,
        kind: str = "decision",
        facts: Any = None,
        replace_decisions: bool = True,
    ) -> Evaluation:
        """Evaluate one decision, service or business knowledge model, named by name or id.

        `inputs` are by name; an input of an imported model by `(namespace, name)`, or by name when the own model has no such name.
        A value given for a decision takes its place (not for the one that is asked for), unless `replace_decisions` is false: for callers
        whose inputs are variables that may have a decision's name by chance. Values may be plain JSON values: where a type
        asks for a date, time or duration, an ISO text is read as one.
        `facts.now_us` is the time for `now()` and `today()`, in microseconds since the epoch; without it they are null.

        Raises:
            DmnError: no element of that name.
        """
        inputs = inputs or {}
        element = self.root.element(name_or_id, KINDS.get(kind, m.Decision))
        if element is None:
            # Asked as a decision, but it is a service or knowledge model: the name says enough.
            element = next((e for k in KINDS.values() if (e := self.root.element(name_or_id, k)) is not None), None)
        if element is None:
            raise DmnError(f"the model {self.definitions.name} has no {kind} {name_or_id}")
        node = self.graph.node(self.root, element)
        run = Run(inputs, facts)
        most = run.runtime.steps
        run.target, run.replace_decisions = node, replace_decisions
        try:
            if isinstance(node, DecisionNode):
                value = node.evaluate(run)
            else:
                assert isinstance(node, FunctionNode)
                value = node.direct(run)
        except RecursionError:
            run.warn("nested too deep", element.id, "TOO_DEEP")
            value = None
        except bridge.LimitReached as limit:
            run.runtime.stopped(limit.code, str(limit))
            value = None
        return Evaluation(value, run.warnings, run.trace, most - max(0, run.runtime.steps))


def _flat(definitions: m.Definitions, imported: Iterable[m.Definitions]) -> tuple[Unit, list[Unit]]:
    units: dict[str, Unit] = {}
    root = units[definitions.namespace] = Unit(definitions, units)
    for other in imported:
        if other.namespace not in units:
            units[other.namespace] = Unit(other, units)
    return root, [*units.values()]


def _unit(model: DecisionModel, made: dict[int, Unit], units: list[Unit]) -> Unit:
    """Of a model that is bound to others; one that several are bound to is one unit. Without circles, since what is bound was made before."""
    if (unit := made.get(id(model))) is None:
        known: dict[str, Unit] = {}
        unit = made[id(model)] = Unit(model.definitions, known)
        units.append(unit)
        known.update({namespace: _unit(other, made, units) for namespace, other in model.bound.items()})
        known[unit.namespace] = unit
    return unit


def read(xml: bytes | str, models: Iterable[bytes | str] = ()) -> DecisionModel:
    """Read a model and those that it imports. Expressions are compiled when they are first evaluated, then kept.

    Raises:
        DmnError: one of the texts can't be read.
    """
    return DecisionModel(reader.parse(xml), [reader.parse(other) for other in models], size=len(xml))


@lru_cache(maxsize=32)
def _read_cached(xml: bytes | str, models: tuple[bytes | str, ...]) -> DecisionModel:
    return read(xml, models)


class _Epoch:
    """Facts of an evaluation by itself: the kernel has no clock, so the time is the epoch and equal calls give equal values."""

    now_us = 0


def evaluate(
    xml: bytes | str,
    name: str,
    inputs: Mapping[Any, Any] | None = None,
    kind: str = "decision",
    models: Iterable[bytes | str] = (),
    facts: Any = _Epoch,
) -> Any:
    """The value of a decision, service or bkm (`kind`), named by name or id; an error in FEEL is null. The last models read are kept.

    `facts.now_us` is the time for `now()` and `today()`, in microseconds since the epoch; left out, it is the epoch itself.

    Raises:
        DmnError: the model can't be read, or has no such element.
    """
    return _read_cached(xml, tuple(models)).evaluate(name, inputs, kind, facts).value
