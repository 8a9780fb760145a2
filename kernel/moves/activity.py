"""The life of an activity: loop, mappings, boundary events, listeners, its own work, and out again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.kernel import business, protection
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.model.graph import LEAVES, Node, quick_of
from flowledger.kernel.moves import data
from flowledger.kernel.moves.verbs import Verbs
from flowledger.kernel.state import Instance, Token


def open_activity(d: Verbs, i: Instance, token: Token, node: Node) -> None:
    """An activity begins: loop, input mappings, boundary events, listeners, then its own work (Zeebe's order)."""
    extra = node.extra
    if extra is not None and extra.start_quantity > 1 and not token.index and not HOOKS.quantities.gathered(d, i, token, node):
        return
    if node.loop is not None and not token.index:
        HOOKS.loops.start(d, i, token, node)
        return
    if token.data is None or "opened" not in token.data:
        if extra is not None and extra.data_in:
            data.enter(d, i, token, node)
        if node.inputs:
            local = apply_mappings(d, i, token.key, node.inputs)
            if local:
                d.set_variables(i, token.key, local, local=True)
    if node.listeners and HOOKS.listeners.next_one(d, i, token, node, "start"):
        return
    if node.attached or node.event_subs:
        if token.index and node.loop is not None:  # the boundary belongs to the body
            HOOKS.events.open_event_subs(d, i, token.key, node)
        else:
            HOOKS.events.open_attached(d, i, token, node)
    node.behaviour.enter(d, i, token, node)


def look(d: Verbs, i: Instance, token: Token, node: Node) -> None:
    """What the token waited for has come."""
    if token.data is not None and "cancelling" in token.data:
        HOOKS.cancelling.look(d, i, token)
        return
    if node.loop is not None and not token.index and not (token.data is not None and "inner" in token.data):
        HOOKS.loops.advance(d, i, token, node)
        return
    if token.data is not None and "listened" in token.data and HOOKS.listeners.resume(d, i, token, node):
        return
    complete = node.behaviour.complete
    if complete is not None:
        complete(d, i, token, node)
    else:
        close_activity(d, i, token, node)


def close_activity(d: Verbs, i: Instance, token: Token, node: Node) -> None:
    """An activity's work is done: output mappings, end listeners, compensation is kept, boundary events end, on it goes."""
    if (node.quick if node.quick >= 0 else quick_of(node)) & LEAVES and not i.compensable:
        go_on(d, i, token, node)
        return
    extra = node.extra
    if node.process.states is not None and not (token.index and node.loop is not None):
        business.closed(d, i, node, node.process.states)
    if token.data is None or "listened_end" not in token.data:
        if extra is not None and extra.data_out:
            data.leave(d, i, token, node)
        if node.outputs:
            # a run of multi-instance keeps what is its own (its item, its result, its inputs), as in Zeebe
            into = token.key if token.index and node.loop is not None and node.loop.kind == "multi" else token.scope
            results = apply_mappings(d, i, token.key, node.outputs, into)
            if results:
                d.set_variables(i, into, results)
    if node.listeners and HOOKS.listeners.next_one(d, i, token, node, "end"):
        return
    if node.compensation is not None or node.event_subs or i.compensable:
        HOOKS.compensation.keep(d, i, token, node)
    if token.index and node.loop is not None:
        HOOKS.loops.item_done(d, i, token, node)
        return
    go_on(d, i, token, node)


def go_on(d: Verbs, i: Instance, token: Token, node: Node) -> None:
    """Out of an activity that is done."""
    outgoing = node.outgoing
    flows = outgoing if len(outgoing) == 1 and outgoing[0].condition is None else d.chosen(i, token, node)
    if token.holds:
        d.close_holds(i, token)
    if flows:
        if node.extra is not None and node.extra.completion_quantity > 1:
            flows = [f for f in flows for _ in range(node.extra.completion_quantity)]
        d.take(i, token, flows)
    else:
        d.end(i, token, node)


def apply_mappings(d: Verbs, i: Instance, scope: int, mappings: list[Any], into: int = 0) -> dict[str, Any]:
    """Evaluate in order; later mappings see the results of earlier ones. A dotted target builds nested contexts; it keeps what stands there already,
    for an output in the scope `into` that it goes to, for an input (0) in the element's own.

    Raises: Failure IO_MAPPING_ERROR is never raised for null (a null is a value); errors of FEEL are nulls.
    """
    variables = d.variables(i, scope)
    hidden = bool(d.state.protection)
    before: Mapping[str, Any] | None = d.variables(i, into) if into else (i.tokens[scope].vars if scope in i.tokens else None)
    if hidden and before and not into:  # as it stands in the state; `variables` has opened it
        before = protection.opened_values(d, before)
    results: dict[str, Any] = {}
    #: name of a result -> the variables that it was made of, where any are protected
    reads: dict[str, frozenset[str]] = {}
    for m in mappings:
        seen = {**variables, **results} if results else variables
        value = m.source.json(seen, d.facts)
        path = m.target.split(".")
        if hidden:
            reads[path[0]] = reads.get(path[0], frozenset()) | m.source.reads | ({path[0]} if len(path) > 1 else frozenset())
        if len(path) == 1:
            results[m.target] = value
            continue
        top = results[path[0]] if path[0] in results else (before or {}).get(path[0])
        holder = results[path[0]] = dict(top) if isinstance(top, dict) else {}
        for name in path[1:-1]:
            inner = holder.get(name)
            holder[name] = dict(inner) if isinstance(inner, dict) else {}
            holder = holder[name]
        holder[path[-1]] = value
    return _following(d, i, scope, results, reads) if hidden else results


def _following(d: Verbs, i: Instance, scope: int, results: dict[str, Any], reads: dict[str, frozenset[str]]) -> dict[str, Any]:
    """What was made of protected variables is protected; later mappings may have read what earlier ones made."""
    made: dict[str, Any] = {}
    for name, value in results.items():
        made |= d.following(i, scope, _made_of(name, reads), {name: value})
    return made


def _made_of(name: str, reads: dict[str, frozenset[str]]) -> set[str]:
    """The variables behind a result, through earlier results."""
    found: set[str] = set()
    todo = [name]
    while todo:
        new = reads.get(todo.pop(), frozenset()) - found
        found |= new
        todo += new
    return found
