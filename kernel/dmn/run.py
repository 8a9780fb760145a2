"""What one evaluation carries along: values found so far, the facts, warnings and the raw trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from flowledger.kernel.feel.runtime import Runtime

#: Deepest nesting of calls of business knowledge models, services and boxed functions in one evaluation.
CALLS_MAX = 250
#: Records, tables and context entries in one trace.
TRACE_ITEMS_MAX = 2_000


class Warning(msgspec.Struct, frozen=True):
    """Why something became null. `element` is the id of the model's element; `position` counts characters of its text, -1 unknown."""

    message: str
    element: str | None = None
    position: int = -1
    code: str = ""


class Hit:
    """A rule that matched: its number from 1 and the outputs it gave."""

    __slots__ = ("index", "id", "outputs", "annotations")

    def __init__(self, index: int, id: str | None, outputs: list[Any], annotations: list[str]) -> None:
        self.index, self.id, self.outputs, self.annotations = index, id, outputs, annotations


class TableRecord:
    __slots__ = ("table", "values", "hits", "defaulted", "value")

    def __init__(self, table: Any, values: list[Any]) -> None:
        self.table, self.values = table, values
        self.hits: list[Hit] = []
        self.defaulted = False
        self.value: Any = None


class Record:
    """One decision, service or business knowledge model that was evaluated."""

    __slots__ = ("kind", "id", "name", "namespace", "inputs", "value", "tables", "entries", "given")

    def __init__(self, kind: str, id: str | None, name: str, namespace: str, inputs: Mapping[str, Any]) -> None:
        self.kind, self.id, self.name, self.namespace, self.inputs = kind, id, name, namespace, inputs
        self.value: Any = None
        self.tables: list[TableRecord] = []
        #: Entries of boxed contexts in the order of their evaluation: (id, name, value).
        self.entries: list[tuple[str | None, str, Any]] = []
        #: Whether the value was given as an input instead of being evaluated.
        self.given = False


class Trace:
    """What was evaluated, as far as TRACE_ITEMS_MAX goes: a call for each of a million items must not fill an event."""

    __slots__ = ("records", "open", "left", "dropped")

    def __init__(self) -> None:
        self.records: list[Record] = []
        #: Records that are being filled, innermost last.
        self.open: list[Record] = []
        self.left = TRACE_ITEMS_MAX
        self.dropped = 0

    def _room(self) -> bool:
        if self.left > 0:
            self.left -= 1
            return True
        self.dropped += 1
        return False

    def finish(self, record: Record) -> None:
        if self._room():
            self.records.append(record)

    def table(self, record: TableRecord) -> None:
        if self.open and self._room():
            self.open[-1].tables.append(record)

    def entry(self, id: str | None, name: str, value: Any) -> None:
        if self.open and self._room():
            self.open[-1].entries.append((id, name, value))


class Run:
    """One evaluation. A call of a decision service makes a child with its own values, but the same warnings and trace."""

    __slots__ = ("runtime", "inputs", "memo", "active", "warnings", "trace", "depth", "target", "replace_decisions")

    def __init__(self, inputs: Mapping[Any, Any], facts: Any, parent: Run | None = None) -> None:
        self.inputs = inputs
        #: Node -> value, for decisions, inputs and functions.
        self.memo: dict[Any, Any] = {}
        self.active: set[Any] = set()
        #: The node that was asked for; a value given for it is not taken.
        self.target: Any = None
        self.replace_decisions = True
        if parent is None:
            self.warnings: list[Any] = []
            self.trace = Trace()
            self.depth = 0
            #: Bounds of FEEL, shared by all expressions of the evaluation.
            self.runtime = Runtime(facts, self.warnings)
            self.runtime.steps = min(self.runtime.steps, getattr(facts, "feel_left", self.runtime.steps))
        else:
            self.warnings, self.trace = parent.warnings, parent.trace
            self.runtime = parent.runtime
            self.depth = parent.depth + 1

    def warn(self, message: str, element: str | None = None, code: str = "", position: int = -1) -> None:
        if len(self.warnings) < 1000:
            self.warnings.append(Warning(message, element, position, code))

    def annotate(self, start: int, element: str | None) -> None:
        """Say of FEEL's warnings from `start` on in which element's text they arose."""
        warnings = self.warnings
        for i in range(start, len(warnings)):
            w = warnings[i]
            if not isinstance(w, Warning):
                warnings[i] = Warning(w.message, element, w.position, w.code)
