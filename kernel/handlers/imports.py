"""What the decision models of a deployment import, and what keeps an imported one from going away (docs/dmn.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.dmn.linking import File, Known, Linked, link
from flowledger.kernel.state import Definition

#: importers that a refusal names
NAMED_MAX = 10


def linked(d: Decision, resources: Iterable[c.Resource], graphs: Iterable[Any]) -> dict[int, Linked]:
    """Of those resources that are decision models and import some, by their numbers; each stands behind what it imports."""
    files = {
        n: File(graph.decisions, graph.source, resource.name)
        for n, (resource, graph) in enumerate(zip(resources, graphs, strict=True))
        if graph is not None and graph.format == "dmn"
    }
    return link(files, _known(d)) if files else {}


def _known(d: Decision) -> Callable[[str], list[Known]]:
    """Published models of the tenant by namespace: of each the newest version that has it."""
    found: dict[str, dict[str, Definition]] | None = None

    def of(namespace: str) -> list[Known]:
        nonlocal found
        if found is None:
            found = {}
            for one in d.state.definitions.values():
                if one.kind == "drg" and one.tenant == d.envelope.tenant and one.status == "published" and not one.deleted:
                    same = found.setdefault(namespace_of(d, one), {})
                    if one.id not in same or same[one.id].version < one.version:
                        same[one.id] = one
        return [Known(d.facts.decisions[x.key], x.id, x.resource, x.version, x.key) for x in found.get(namespace, {}).values()]

    return of


def namespace_of(d: Decision, drg: Definition) -> str:
    """Earlier releases did not write it down."""
    return drg.namespace if drg.namespace is not None else str(d.facts.decisions[drg.key].definitions.namespace)


def keys(of: Linked, drgs: dict[int, Definition]) -> dict[str, int]:
    """Those that it is bound to; 0: one that isn't there yet."""
    return {namespace: one.key if isinstance(one, Known) else drgs[one].key if one in drgs else 0 for namespace, one in of.bound.items()}


def bound(d: Decision, of: Linked | None, drgs: dict[int, Definition]) -> dict[str, Definition]:
    return {namespace: d.state.definitions[key] for namespace, key in keys(of, drgs).items()} if of is not None else {}


def told(graph: Any, kind: str, bound: dict[str, Definition]) -> dict[str, Any] | None:
    """What the outline of a requirements graph or a decision says."""
    found: dict[str, Any] = {}
    if kind == "drg":
        found["namespace"] = graph.decisions.definitions.namespace
    if bound:
        found["imports"] = {namespace: {"key": one.key, "id": one.id, "version": one.version} for namespace, one in bound.items()}
    return {"": found} if found else None


def still_used(d: Decision, drg: Definition, verb: str) -> Rejected | None:
    """What others are bound to stays as it is."""
    if drg.kind != "drg":
        return None
    using = [x for x in d.state.definitions.values() if x.imports and not x.deleted and drg.key in x.imports.values()]
    if not using:
        return None
    by = [x for x in using if x.kind == "drg"] or using  # a decision alone: its graph was edited, and is bound to another one
    names = ", ".join(f"'{x.id}' version {x.version}" for x in by[:NAMED_MAX])
    return Rejected(RejectionCode.INVALID_STATE, f"can't {verb} definition {drg.key}: it is imported by {names}")
