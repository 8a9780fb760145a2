"""Transaction: a sub-process that can be cancelled. A cancel end event in it withdraws what is active, compensates what has completed, and
goes on through the cancel boundary event.

Source: BPMN 2.0.2, chapters 10.3.5 and 13.3.4. Choices: the transaction protocol (`method`) is not spoken, since nobody beside the engine
takes part; an error that leaves the transaction (a hazard) ends it without compensation; cancelling one run of a multi-instance transaction
withdraws the other runs and compensates all that completed in any; without a cancel boundary event the transaction just ends there.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import compensation, events, sub_process
from flowledger.kernel.model.graph import Behaviour, Node


def cancel(d: Any, i: Any, token: Any, node: Node) -> bool:
    """A cancel end event at `token`: True when it waits for nothing and is to end."""
    outer = _around(d, i, token)
    if outer is None:
        return True
    inner = token
    while True:
        d.terminate_scope(i, inner.scope, but=(inner.key,))
        scope = i.tokens[inner.scope]
        events.close_event_subs(d, i, scope.key)
        if scope is outer:
            break
        inner = scope
    records = compensation.collect(d, i, outer.key)
    inside = token
    while inside is not outer:
        records = compensation.collect(d, i, inside.scope) + records if inside.scope != outer.key else records
        inside = i.tokens[inside.scope]
    if records and compensation.begin(d, i, token, node, records):
        return False
    _leave(d, i, outer)
    return False


def resume(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    """A compensation handler has ended; after the last one the transaction is left."""
    if compensation.resume(d, i, token, node, event):
        outer = _around(d, i, token)
        assert outer is not None, "a cancel end event outside of a transaction"
        _leave(d, i, outer)
    return False


def _around(d: Any, i: Any, token: Any) -> Any:
    """The token of the innermost transaction (of a multi-instance one: of its body)."""
    nodes = d.process(i).nodes
    at = i.tokens.get(token.scope)
    while at is not None and nodes[at.element].kind != "transaction":
        at = i.tokens.get(at.scope)
    while at is not None and at.index and nodes[at.element].loop is not None:
        at = i.tokens[at.scope]
    return at


def _leave(d: Any, i: Any, outer: Any) -> None:
    node = d.process(i).nodes[outer.element]
    boundary = next((b for b in node.attached for e in b.events if e.kind == "cancel"), None)
    if boundary is not None:
        events.fire(d, i, outer.key, boundary, None, interrupting=True)
        return
    scope = outer.scope
    d.terminate(i, outer)
    d.scope_ended(i, scope)


def check(node: Node, r: Any) -> None:
    sub_process.check(node, r)
    boundaries = [b for b in node.attached for e in b.events if e.kind == "cancel"]
    if len(boundaries) > 1:
        r.finding(
            "TRANSACTION_CANCEL_TWICE",
            f"transaction '{node.id}' has {len(boundaries)} cancel boundary events: only one can be taken",
            boundaries[1],
        )


BEHAVIOUR = Behaviour(sub_process.enter, sub_process.complete, None, check, activity=True)
