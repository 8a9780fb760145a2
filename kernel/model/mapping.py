"""A migration's plan: which element of one version goes on as which of another, proposed by id, kind, name and place, to be edited. Pure.

An element keeps its id where the other version has it in the same kind. Else it is looked for by its kind and name, by its kind and place (the neighbours by
flow, the scope, the host), in the scope that its own scope becomes. What is found twice is found by nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.kernel.model.graph import Node, Process


def propose(source: Process, target: Process) -> list[dict[str, Any]]:
    """Rows `{from, to, kind, by, note}` for each element and each flow into a join; `to` is empty where nothing was found."""
    found: dict[str, tuple[str, str]] = {}
    taken: set[str] = set()
    nodes = [n for n in source.nodes.values() if n.kind != "process"]
    for node in nodes:
        other = target.nodes.get(node.id)
        if other is not None and other.kind == node.kind and other.triggered_by_event == node.triggered_by_event:
            found[node.id] = node.id, "id"
            taken.add(node.id)
    rules: list[tuple[str, Callable[[Node], Any], Callable[[Node], Any]]] = [
        ("name", lambda n: n.name and (n.kind, n.name), lambda n: n.name and (n.kind, n.name)),
        ("place", lambda n: _place(n, lambda id: found.get(id, (id, ""))[0]), lambda n: _place(n, lambda id: id)),
    ]
    for by, old_key, new_key in rules:
        there: dict[Any, list[Node]] = {}
        for node in target.nodes.values():
            if node.id not in taken and node.kind != "process" and (key := new_key(node)):
                there.setdefault(key, []).append(node)
        wanted: dict[Any, list[Node]] = {}
        for node in nodes:
            if node.id not in found and (key := old_key(node)):
                wanted.setdefault(key, []).append(node)
        for key, olds in wanted.items():
            news = there.get(key, [])
            if len(olds) == 1 and len(news) == 1:
                found[olds[0].id] = news[0].id, by
                taken.add(news[0].id)
    rows = [_row(node, target, *found.get(node.id, ("", ""))) for node in nodes]
    return rows + _flows(source, target, {old: new for old, (new, _) in found.items()})


def _place(node: Node, name: Callable[[str], str]) -> tuple[Any, ...]:
    """Where it stands, by the other version's names."""
    scope = name(node.scope.id) if node.scope is not None else ""
    host = name(node.host.id) if node.host is not None else ""
    before, behind = (
        tuple(sorted(name(n.id) for n in near)) for near in ([f.source for f in node.incoming], [f.target for f in node.outgoing])
    )
    return (node.kind, tuple(e.kind for e in node.events), scope, host, before, behind) if host or before or behind else ()


def _row(node: Node, target: Process, to: str, by: str) -> dict[str, Any]:
    row: dict[str, Any] = {"from": node.id, "to": to, "kind": node.kind, "name": node.name or "", "by": by, "note": ""}
    if not to:
        row["note"] = "nothing like it: tokens there need an element to go on, or to be dropped"
        if (other := target.nodes.get(node.id)) is not None:
            row["note"] = f"is a {other.kind} there: tasks must be made anew"
        return row
    new = target.nodes[to]
    if (node.loop is None) != (new.loop is None) or (
        node.loop is not None and new.loop is not None and (node.loop.kind, node.loop.sequential) != (new.loop.kind, new.loop.sequential)
    ):
        row["note"] = "loops otherwise there: its runs have no place"
    elif (node.scope.id if node.scope else "") != (new.scope.id if new.scope else ""):
        row["note"] = f"stands in '{new.scope.id}' there" if new.scope else "stands in no sub-process there"
    return row


def _flows(source: Process, target: Process, names: dict[str, str]) -> list[dict[str, Any]]:
    """Flows into joins: a token that waits there waits on its flow."""
    rows = []
    for node in source.nodes.values():
        join = target.nodes.get(names.get(node.id, ""))
        if join is None or len(node.incoming) < 2 or not node.kind.endswith("Gateway"):
            continue
        ids = {f.id for f in join.incoming}
        for flow in node.incoming:
            by_place = [f.id for f in join.incoming if f.source.id == names.get(flow.source.id)]
            to = flow.id if flow.id in ids else by_place[0] if len(by_place) == 1 else ""
            note = "" if to else "nothing like it: a token that waits there on it has no place"
            rows.append(
                {
                    "from": flow.id,
                    "to": to,
                    "kind": "sequenceFlow",
                    "name": "",
                    "by": "id" if to == flow.id else "place" if to else "",
                    "note": note,
                }
            )
    return rows
