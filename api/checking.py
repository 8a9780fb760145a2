"""What is found in a model, as its deployment would find it: beside files that go with it, and what is deployed already (docs/dmn.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from flowledger.api.edge import position_of
from flowledger.api.services import Services
from flowledger.kernel.dmn import DecisionModel
from flowledger.kernel.dmn.linking import File, Known, imports_of, link
from flowledger.kernel.findings import Finding
from flowledger.kernel.model import read
from flowledger.kernel.model.encodings import utf8

Row = dict[str, Any]


class Looked(NamedTuple):
    """A model as it was read; `wanted`: the namespaces that it and the files beside it import, and that none of them has."""

    graph: Any
    findings: list[Finding]
    files: dict[int, File]
    wanted: list[str]


def look(name: str, content: str, beside: Sequence[tuple[str, str]]) -> Looked:
    """`beside`: names and texts; what is wrong with one of them is told when it is looked at by itself."""
    graph, findings = read(utf8(content), name)
    if graph is None or graph.format != "dmn":
        return Looked(graph, [*findings], {}, [])
    files = {0: File(graph.decisions, graph.source, name)}
    for n, (other, text) in enumerate(beside, 1):
        near, _ = read(utf8(text), other)
        if near is not None and near.format == "dmn":
            files[n] = File(near.decisions, near.source, other)
    here = {file.model.definitions.namespace for file in files.values()}
    wanted = {namespace for file in files.values() for namespace in imports_of(file.model.definitions)} - here
    return Looked(graph, [*findings], files, sorted(wanted))


async def deployed(s: Services, tenant: str, namespaces: Sequence[str]) -> Sequence[Row]:
    """What a deployment by now would find of them. Raises: Problem (503)."""
    if not namespaces:
        return ()
    await settled(s, tenant)
    return await s.reads.decision_models(namespaces, tenant)


async def settled(s: Services, tenant: str) -> None:
    """What was deployed through this node just now the projection may not have seen yet. Raises: Problem (503)."""
    if position := s.deployed_last.get(tenant):
        await s.reads.wait_for(position_of(position), s.settings.fresh_ms / 1000)


def told(looked: Looked, rows: Sequence[Row]) -> list[Finding]:
    """All findings of it, by what its imports mean."""
    if not looked.files:
        return looked.findings
    known = _known(rows)
    linked = link(looked.files, lambda namespace: known.get(namespace, []))
    found = [*linked[0].findings] if 0 in linked else looked.findings
    # a circle is told at one of its files, and refuses them all
    near = [f for n, one in linked.items() if n for f in one.findings if f.code == "IMPORT_CIRCULAR"]
    return found + [msgspec.structs.replace(f, element=None, line=0, column=0) for f in near]


def _known(rows: Sequence[Row]) -> dict[str, list[Known]]:
    """By namespace, each bound to what it was bound to."""
    by_key = {row["key"]: row for row in rows}
    made: dict[int, DecisionModel | None] = {}

    def model(key: int) -> DecisionModel | None:
        if key not in made:
            made[key] = None
            row = by_key.get(key)
            if row is None:
                return None
            graph, _ = read(utf8(row["content"]), row["resource"])
            if graph is None or graph.format != "dmn":
                return None
            bound = {namespace: other for namespace, below in row["imports"].items() if (other := model(below)) is not None}
            plain = graph.decisions
            made[key] = DecisionModel(plain.definitions, bound=bound, size=plain.size) if bound else plain
        return made[key]

    newest: dict[tuple[str, str], Known] = {}
    for row in rows:
        if row["asked"] and (found := model(row["key"])) is not None:
            place = (found.definitions.namespace, row["id"])
            if place not in newest or newest[place].version < row["version"]:
                newest[place] = Known(found, row["id"], row["resource"], row["version"], row["key"])
    by_namespace: dict[str, list[Known]] = {}
    for (namespace, _), one in newest.items():
        by_namespace.setdefault(namespace, []).append(one)
    return by_namespace
