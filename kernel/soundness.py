"""Whether an instance at rest can go on: each token waits for something that can come. Asked of what operators have changed by hand.

A token that waits holds what it waits for (a task, a timer, a subscription), has tokens in its scope, or calls an instance. A token before a join (or an
activity that needs several tokens) needs a flow on which another can still arrive. An incident says by itself what its token waits for.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel import holding
from flowledger.kernel.elements import ad_hoc_sub_process, joins
from flowledger.kernel.model.graph import Node
from flowledger.kernel.state import ARRIVED, WAITING, Instance, Token


def problems(d: Any, i: Instance) -> list[str]:
    """What would never go on, in words."""
    return [why for _, why in unsound(d, i)]


def unsound(d: Any, i: Instance) -> list[tuple[Token, str]]:
    """The tokens that would never go on, and why. Those that have still to be looked at (the step limit, whatever is held) are passed over.
    `d`: anything with `state` and `process(instance)`."""
    nodes, found = d.process(i).nodes, []
    p = d.state
    settled = i.status == "running" and i.key not in p.unsettled
    for token in i.tokens.values():
        if token.incident:
            continue
        rests = settled and not (p.holding and holding.frozen(p, i, token.key))
        node = nodes[token.element]
        if token.phase == WAITING:
            if not _waits(d, i, token, node):
                what = "the scope" if node.is_scope and not node.triggered_by_event else "the token"
                found.append((token, f"{what} {token.key} at '{node.id}' {'is empty' if what == 'the scope' else 'waits for nothing'}"))
        elif rests and token.phase == ARRIVED:
            if why := _stuck(i, token, node):
                found.append((token, why))
        elif rests:
            found.append((token, f"nobody looks at the token {token.key} at '{node.id}'"))
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
    if node.kind == "adHocSubProcess" and not ad_hoc_sub_process.is_inner(token) and _chooses(token, node):
        return True
    p = d.state
    own = {node.id, *(f.target.id for f in node.outgoing)} if node.kind == "eventBasedGateway" else {node.id}
    return any(
        (held := p.tasks.get(k) or p.timers.get(k) or p.subscriptions.get(k)) is not None and held.element in own for k in token.holds or ()
    )


def _chooses(token: Token, node: Node) -> bool:
    """More of an ad-hoc sub-process may be chosen: by a caller, a job, its queue, or because its condition isn't met yet."""
    config = node.config
    return bool(config.chosen or config.work or config.condition is not None or (token.data or {}).get("queue"))


def _stuck(i: Instance, token: Token, node: Node) -> str:
    if node.kind == "complexGateway":  # by its own condition
        return ""
    if (choice := i.tokens.get(token.scope)) is not None and ad_hoc_sub_process.is_inner(choice):
        outer = i.tokens[choice.scope]
        if not (outer.data or {}).get("closing") and _chooses(outer, node.process.nodes[outer.element]):
            return ""  # what is chosen later comes to the same joins
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
