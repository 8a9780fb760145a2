"""What one evaluation carries along: values found so far, the facts, warnings and the raw trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from flowledger.kernel.feel.runtime import Runtime

#: Deepest nesting of calls of business knowledge models, services and boxed functions in one evaluation.
CALLS_MAX = 250


class Warning(msgspec.Struct, frozen=True):  # noqa: A001 - the word of the domain
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


class Run:
    """One evaluation. A call of a decision service makes a child with its own values, but the same warnings and trace."""

    __slots__ = ("runtime", "inputs", "memo", "active", "warnings", "records", "open", "depth", "target")

    def __init__(self, inputs: Mapping[Any, Any], facts: Any, parent: Run | None = None) -> None:
        self.inputs = inputs
        #: Node -> value, for decisions, inputs and functions.
        self.memo: dict[Any, Any] = {}
        self.active: set[Any] = set()
        #: Records that are being filled, innermost last.
        self.target: Any = None
        if parent is None:
            self.warnings: list[Any] = []
            self.records: list[Record] = []
            self.open: list[Record] = []
            self.depth = 0
            #: Bounds of FEEL, shared by all expressions of the evaluation.
            self.runtime = Runtime(facts, self.warnings)
        else:
            self.warnings, self.records, self.open = parent.warnings, parent.records, parent.open
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
