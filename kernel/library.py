"""Resources compiled once, found by definition key. Pure: what a definition is stands in the state, its content is given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowledger.kernel import model
from flowledger.kernel.dmn import DecisionModel
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.kernel.model import encodings
from flowledger.kernel.state import Definition, Partition


class Library:
    """`content(hash)` gives the text of a resource that is not compiled yet."""

    def __init__(self, content: Callable[[str], str | None] | None = None) -> None:
        self.content = content or (lambda hash: None)
        self.graphs: dict[str, Any] = {}
        self._findings: dict[tuple[str, str], list[Any]] = {}
        #: decision models with what they are bound to, by the hash of their text and by that (which they keep alive, so that its ids stay its own)
        self._linked: dict[tuple[str, frozenset[tuple[str, int]]], DecisionModel] = {}

    def read(self, name: str, content: str) -> tuple[Any, list[Any]]:
        """As `Facts.read`. The same text is compiled once."""
        data = encodings.utf8(content)
        seen = (hashlib.sha256(data).hexdigest(), name)
        findings = self._findings.get(seen)
        if findings is not None:
            return self.graphs[seen[0]], findings
        graph, findings = model.read(data, name)
        if graph is not None:
            graph = self.graphs.setdefault(graph.hash, graph)
            if graph.hash == seen[0]:
                self._findings[seen] = findings
        return graph, findings

    def graph(self, hash: str, name: str) -> Any:
        found = self.graphs.get(hash)
        if found is None:
            text = self.content(hash)
            if text is None:
                raise NotAtHand(f"the content of resource '{name}' ({hash}) is not at hand")
            found, _ = self.read(name, text)
            self.graphs[hash] = found
        return found

    def processes(self, state: Partition) -> Mapping[int, Any]:
        return _ByKey(state, self, lambda graph, definition: graph.processes[definition.id])

    def decisions(self, state: Partition) -> Mapping[int, Any]:
        return _ByKey(
            state, self, lambda graph, definition: self.linked(graph, definition, state) if definition.imports else graph.decisions
        )

    def linked(self, graph: Any, definition: Definition, state: Partition, seen: dict[int, DecisionModel] | None = None) -> DecisionModel:
        """A decision model with those that it was bound to when it was deployed, and what these were bound to then. `seen`: those of this look, by key:
        each is looked at once, however many ways lead to it."""
        seen = {} if seen is None else seen
        bound: dict[str, DecisionModel] = {}
        for namespace, key in (definition.imports or {}).items():
            if key not in seen:
                other = state.definitions[key]
                theirs = self.graph(other.hash, other.resource)
                seen[key] = self.linked(theirs, other, state, seen) if other.imports else theirs.decisions
            bound[namespace] = seen[key]
        name = (definition.hash, frozenset((namespace, id(model)) for namespace, model in bound.items()))
        found = self._linked.get(name)
        if found is None:
            found = self._linked[name] = DecisionModel(graph.decisions.definitions, bound=bound, size=graph.decisions.size)
        return found

    def forms(self, state: Partition) -> Mapping[int, Any]:
        return _ByKey(state, self, lambda graph, definition: graph.form)

    def triggers(self, state: Partition) -> Mapping[int, Any]:
        return _ByKey(state, self, lambda graph, definition: graph.trigger)

    def rules(self, state: Partition) -> Mapping[int, Any]:
        return _ByKey(state, self, lambda graph, definition: graph.rules)


class _ByKey(dict[int, Any], Mapping[int, Any]):
    """Definition key -> compiled thing; made on the first look."""

    def __init__(self, state: Partition, library: Library, pick: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.state, self.library, self.pick = state, library, pick

    def __missing__(self, key: int) -> Any:
        definition = self.state.definitions[key]
        found = self.pick(self.library.graph(definition.hash, definition.resource), definition)
        if definition.status in ("published", "deprecated", "archived"):
            self[key] = found
        return found

    def __iter__(self) -> Iterator[int]:
        return super().__iter__()
