"""Whether an instance at rest can go on: each token waits for something that can come. Asked of what operators have changed by hand.

A token that waits holds what it waits for (a task, a timer, a subscription), has tokens in its scope, or calls an instance. A token before a join (or an
activity that needs several tokens) needs a flow on which another can still arrive. An incident says by itself what its token waits for.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import ad_hoc_sub_process, joins
from flowledger.kernel.model.graph import Node
from flowledger.kernel.state import ARRIVED, WAITING, Instance, Token


def problems(d: Any, i: Instance) -> list[str]:
    """What would never go on. Tokens that have still to be looked at (the step limit, a suspended instance) are passed over."""
    nodes, found = d.process(i).nodes, []
    rests = i.status == "running" and i.key not in d.state.unsettled
    for token in i.tokens.values():
        if token.incident:
            continue
        node = nodes[token.element]
        if token.phase == WAITING:
            if not _waits(d, i, token, node):
                what = "the scope" if node.is_scope and not node.triggered_by_event else "the token"
                found.append(f"{what} {token.key} at '{node.id}' {'is empty' if what == 'the scope' else 'waits for nothing'}")
        elif rests and token.phase == ARRIVED:
            if why := _stuck(i, token, node):
                found.append(why)
        elif rests:
            found.append(f"nobody looks at the token {token.key} at '{node.id}'")
    return found


def awaited(i: Instance, token: Token, node: Node) -> list[str]:
    """Of a token that waits at a join: the flows on which another can still arrive."""
    arrived = joins.arrived(i, token.scope, node)
    return [f.id for f in node.incoming if f.id not in arrived and joins.could_arrive(i, token.scope, node, [f.id], {})]


def _waits(d: Any, i: Instance, token: Token, node: Node) -> bool:
    if token.kids or node.kind == "callActivity":
        return True
    if node.loop is not None and not token.index and not ad_hoc_sub_process.is_inner(token):
        data = token.data or {}
        return bool(data.get("spawned", 0) < data.get("total", 0))
    if node.kind == "adHocSubProcess" and (node.config.chosen or node.config.work or (token.data or {}).get("queue")):
        return True
    p = d.state
    own = {node.id, *(f.target.id for f in node.outgoing)} if node.kind == "eventBasedGateway" else {node.id}
    return any(
        (held := p.tasks.get(k) or p.timers.get(k) or p.subscriptions.get(k)) is not None and held.element in own for k in token.holds or ()
    )


def _stuck(i: Instance, token: Token, node: Node) -> str:
    if node.kind == "complexGateway":  # by its own condition
        return ""
    if node.kind in joins.SYNCHRONISE and len(node.incoming) > 1:
        if node.kind == "parallelGateway" and not joins.modified(i):
            arrived = joins.arrived(i, token.scope, node)
            lost = [f.id for f in node.incoming if f.id not in arrived and not joins.could_arrive(i, token.scope, node, [f.id], {})]
            return f"the token {token.key} at join '{node.id}' waits for flow {', '.join(lost)}, on which nothing can come" if lost else ""
        return "" if awaited(i, token, node) else f"the token {token.key} at join '{node.id}' waits for nothing"
    needed = node.extra.start_quantity if node.extra is not None else 1
    if needed > 1 and not token.index:
        if any(joins.could_arrive(i, token.scope, node, [f.id], {}) for f in node.incoming):
            return ""
        return f"the token {token.key} waits at '{node.id}', which needs {needed} tokens, and no other can come"
    return f"nobody looks at the token {token.key} at '{node.id}'"
