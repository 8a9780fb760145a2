"""Which elements and flows of which process were entered and passed, over one engine or a whole session of tests."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
from lxml import etree

from flowledger.kernel.model import formats
from flowledger.sdk.testing.path import Step

#: how names of stand-ins for called processes end
STAND_IN = ".mock.bpmn"


class Covered(msgspec.Struct):
    """One version of a process. `elements` and `flows`: id -> what it is (tag and name; name, source, target)."""

    process: str
    name: str
    resource: str
    hash: str
    #: the BPMN document, base64, so that a report can be sent as JSON
    source: str
    elements: dict[str, tuple[str, str]]
    flows: dict[str, tuple[str, str, str]]
    entered: dict[str, int] = {}
    passed: dict[str, int] = {}
    taken: dict[str, int] = {}
    instances: int = 0

    @property
    def covered(self) -> int:
        return sum(1 for e in self.elements if e in self.entered) + sum(1 for f in self.flows if f in self.taken)

    @property
    def total(self) -> int:
        return len(self.elements) + len(self.flows)

    @property
    def percent(self) -> float:
        return 100.0 * self.covered / self.total if self.total else 100.0

    @property
    def missing(self) -> list[str]:
        """Elements never entered, then flows never taken; in the order of the model."""
        return [e for e in self.elements if e not in self.entered] + [f for f in self.flows if f not in self.taken]


class Coverage:
    """By process id and content: two versions of a model are two rows."""

    def __init__(self) -> None:
        self.processes: dict[tuple[str, str], Covered] = {}

    def deployed(self, engine: Any, definition: int) -> Covered | None:
        """The row of a process, which is there from its deployment on; None for stand-ins, which are no models of the author."""
        d = engine.state.definitions[definition]
        if d.resource.endswith(STAND_IN):
            return None
        row = self.processes.get((d.id, d.hash))
        if row is None:
            model, graph = engine.facts.processes[definition], engine.library.graphs[d.hash]
            row = self.processes[d.id, d.hash] = Covered(
                d.id, model.name, d.resource, d.hash, base64.b64encode(_bpmn(graph, d.resource)).decode(),
                {n.id: (n.tag, n.name) for n in model.nodes.values()},
                {f.id: (f.name, f.source.id, f.target.id) for f in model.flows.values()}, {}, {}, {},
            )  # fmt: skip
        return row

    def add(self, instance: Any, steps: Iterable[Step]) -> None:
        """What an instance just did."""
        row = self.deployed(instance.engine, instance.definition)
        if row is None:
            return
        if not instance.counted:
            instance.counted = True
            row.instances += 1
        for s in steps:
            table = _TABLES.get(s.what)
            if table is not None and s.name in (row.flows if s.what == "flow" else row.elements):
                counts = getattr(row, table)
                counts[s.name] = counts.get(s.name, 0) + 1

    # --- many sessions

    def merge(self, rows: Iterable[Covered]) -> None:
        for other in rows:
            row = self.processes.setdefault((other.process, other.hash), other)
            if row is not other:
                for table in ("entered", "passed", "taken"):
                    setattr(row, table, dict(Counter(getattr(row, table)) + Counter(getattr(other, table))))
                row.instances += other.instances

    @property
    def rows(self) -> list[Covered]:
        return [self.processes[k] for k in sorted(self.processes)]

    @property
    def percent(self) -> float:
        """Of all elements and flows together."""
        total = sum(r.total for r in self.processes.values())
        return 100.0 * sum(r.covered for r in self.processes.values()) / total if total else 100.0

    def to_json(self) -> str:
        return msgspec.json.encode(self.rows).decode()

    @staticmethod
    def rows_of(text: str | bytes) -> list[Covered]:
        return msgspec.json.decode(text, type=list[Covered])


def _bpmn(graph: Any, name: str) -> bytes:
    """The BPMN document of a model in any format."""
    if graph.format == "bpmn":
        source: bytes = graph.source
        return source
    tree, _ = formats.to_bpmn(graph.format, graph.source, name)
    return etree.tostring(tree) if tree is not None else b""


_TABLES = {"enter": "entered", "run": "entered", "leave": "passed", "ran": "passed", "flow": "taken"}
