"""When an inclusive join is complete: no token could still arrive at a flow that has none yet.

Source: BPMN 2.0.2, table 13.3: a token "upstream" of an empty incoming flow delays the join, unless it is also upstream of a flow that
has a token, on a path that does not visit the gateway.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.fold import holder_of
from flowledger.kernel.model.graph import Node


def _reach(node: Node) -> dict[str, frozenset[str]]:
    """For each incoming flow: the nodes from which it is reached without visiting the gateway. Made once per gateway."""
    found = node.process.notes.get(("reach", node.id))
    if found is None:
        found = {}
        for flow in node.incoming:
            seen: set[str] = set()
            todo = [flow.source]
            while todo:
                at = todo.pop()
                if at is node or at.id in seen:
                    continue
                seen.add(at.id)
                todo += [f.source for f in at.incoming]
                if at.host is not None:
                    todo.append(at.host)
            found[flow.id] = frozenset(seen)
        node.process.notes[("reach", node.id)] = found
    return found


def complete(i: Any, scope: int, node: Node, arrived: dict[str, int]) -> bool:
    """`arrived`: incoming flow id -> a token that waits there."""
    if not arrived:
        return False
    empty = [f.id for f in node.incoming if f.id not in arrived]
    if not empty:
        return True
    reach = _reach(node)
    waiting = set(arrived.values())
    for key in holder_of(i, scope).kids:
        if key in waiting:
            continue
        at = i.tokens[key].element
        if at == node.id:
            continue
        if any(at in reach[f] for f in empty) and not any(at in reach[f] for f in arrived):
            return False
    return True
