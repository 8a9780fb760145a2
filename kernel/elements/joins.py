"""When an inclusive or complex join is complete: no token could still arrive at a flow that has none yet.

Source: BPMN 2.0.2, 13.4.3: a token that can come to an empty incoming flow delays the join, unless it can also come to a flow that has a
token; both on paths that don't visit the gateway. Paths go along sequence flows, from an activity to its boundary events, and from a link
to its target. Sets of nodes are bits of an integer by `Node.order`, made once per gateway.
Choices: an activity whose boundary event does not interrupt can come both ways, so that way excuses nothing; what is queued in a sequential ad-hoc
sub-process is still to come. The join is looked at when a token arrives, and again when the tokens of its scope have come to rest. In an instance whose
tokens were moved by hand (`modified`) parallel joins wait so as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.fold import holder_of
from flowledger.kernel.model.graph import Node
from flowledger.kernel.state import ARRIVED

KINDS = frozenset({"inclusiveGateway", "complexGateway"})
SYNCHRONISE = KINDS | {"parallelGateway"}
#: kind of gateway, or of scope -> what it does when the tokens of its scope have come to rest: (decision, instance, scope, node)
RESTED: dict[str, Callable[[Any, Any, int, Node], None]] = {}


def read(r: Any, process: Any, element: Any) -> None:
    """Which gateways wait, per scope."""
    for node in process.nodes.values():
        if node.kind in KINDS and len(node.incoming) > 1:
            (node.scope or process.root).joins.append(node)
            process.joins = True


def modified(i: Any) -> bool:
    """An operator has moved tokens: see `placing.changed`."""
    return i.stores is not None and "modified" in i.stores


def _waiting(i: Any, scope: Node) -> list[Node]:
    if not modified(i):
        return scope.joins
    return scope.joins + [n for n in scope.children if n.kind == "parallelGateway" and len(n.incoming) > 1]


def kids_of(i: Any, scope: int) -> Iterable[int]:
    """The tokens that meet in a scope. The choices of an ad-hoc sub-process have scopes of their own, but what they lead to is one flow."""
    holder = holder_of(i, scope)
    if holder is i or holder.data is None or "inner" not in holder.data:
        return holder.kids or ()
    choices = [i.tokens[k] for k in i.tokens[holder.scope].kids]
    return [kid for choice in choices for kid in choice.kids or () if choice.data is not None and "inner" in choice.data]


def _queued(i: Any, scope: int) -> list[str]:
    """What is chosen in a sequential ad-hoc sub-process and has not begun."""
    holder = holder_of(i, scope)
    if holder is i or holder.data is None or "inner" not in holder.data:
        return []
    return [element for element, _ in (i.tokens[holder.scope].data or {}).get("queue") or ()]


def passed(d: Any, i: Any, token: Any, node: Node) -> None:
    """Token `token` comes through a gateway where nothing is joined."""
    d.record(fl.GatewayReached(key=i.key, token=token.key, element=node.id, consumed=[]))


def fire(d: Any, i: Any, own: int, node: Node, consumed: list[int], state: dict[str, Any] | None = None) -> Any:
    """Token `own` goes on, the others end in the gateway; choices of an ad-hoc sub-process that are left empty thereby end as well."""
    token = i.tokens[own]
    scopes = {i.tokens[k].scope for k in consumed} - {token.scope}
    d.record(fl.GatewayReached(key=i.key, token=own, element=node.id, consumed=sorted(consumed), state=state))
    for scope in sorted(scopes):
        d.scope_ended(i, scope)
    return token


def reach(node: Node, instead: bool = False) -> dict[str, int]:
    """For each incoming flow: the nodes from which it is reached without visiting the gateway; `instead` of another way, not beside it."""
    found = node.process.notes.get(("reach", node.id, instead))
    if found is None:
        found = {}
        scope = node.scope or node.process.root
        throws: dict[int, list[Node]] = {}
        for kid in scope.children:
            for event in kid.events:
                if event.kind == "link" and kid.kind in ("intermediateThrowEvent", "endEvent") and event.ref in scope.links:
                    throws.setdefault(scope.links[event.ref].order, []).append(kid)
        for flow in node.incoming:
            seen = 0
            todo = [flow.source]
            while todo:
                at = todo.pop()
                if at is node or seen >> at.order & 1:
                    continue
                seen |= 1 << at.order
                todo += [f.source for f in at.incoming]
                if at.host is not None and (at.interrupting or not instead):
                    todo.append(at.host)
                todo += throws.get(at.order, ())
            found[flow.id] = seen
        node.process.notes[("reach", node.id, instead)] = found
    return found


def could_arrive(i: Any, scope: int, node: Node, flows: list[str], arrived: dict[str, int]) -> bool:
    """A token of the scope can still come to one of `flows`, and to none of those in `arrived` (incoming flow -> a token that waits there)."""
    ways = reach(node)
    mask = 0
    for flow in flows:
        mask |= ways[flow]
    instead = reach(node, instead=True)
    for flow in arrived:
        mask &= ~instead[flow]
    if not mask:
        return False
    nodes = node.process.nodes
    tokens = i.tokens
    own = node.id
    if any(mask >> nodes[element].order & 1 for element in _queued(i, scope)):
        return True
    for key in kids_of(i, scope):
        token = tokens[key]
        if token.element != own and mask >> nodes[token.element].order & 1 and not token.handler_of:
            return True
    return False


def complete(i: Any, scope: int, node: Node, arrived: dict[str, int]) -> bool:
    if not arrived:
        return False
    empty = [f.id for f in node.incoming if f.id not in arrived]
    return not empty or not could_arrive(i, scope, node, empty, arrived)


def arrived(i: Any, scope: int, node: Node) -> dict[str, int]:
    """The first token on each incoming flow that waits at the gateway."""
    found: dict[str, int] = {}
    for key in sorted(kids_of(i, scope)):
        token = i.tokens[key]
        if at_join(token, node):
            found.setdefault(token.flow, key)
    return found


def spare(i: Any, scope: int, node: Node, taken: Iterable[int]) -> list[int]:
    """Further tokens that wait at the gateway; only in an instance whose tokens were moved by hand are they taken as well."""
    taken = set(taken)
    return [k for k in kids_of(i, scope) if k not in taken and at_join(i.tokens[k], node)] if modified(i) else []


def at_join(token: Any, node: Node) -> bool:
    """It came by a flow and waits; what was put at a join by hand goes through."""
    return bool(token.element == node.id and token.phase == ARRIVED and token.flow)


def look_again(d: Any) -> bool:
    """Tokens have come to rest: push the joins that wait in the scopes where any moved. True when there is one to look at."""
    touched, d.touched = d.touched, {}
    for i_key, scope in touched:
        i = d.state.instances.get(i_key)
        holder = holder_of(i, scope) if i is not None else None
        if i is None or holder is None or not holder.kids:
            continue
        process = d.facts.processes[i.definition]
        node = process.root if holder is i else process.nodes[holder.element]
        if holder is not i and (rested := RESTED.get(node.kind)) is not None:
            rested(d, i, scope, node)
        found = _waiting(i, node)
        if not found or (holder is not i and node.loop is not None and not holder.index):
            continue
        for gateway in found:
            if (rested := RESTED.get(gateway.kind)) is not None:
                rested(d, i, scope, gateway)
        waiting = {n.id for n in found}
        for key in sorted(kids_of(i, scope)):
            token = i.tokens[key]
            if token.phase == ARRIVED and token.element in waiting and not token.incident:
                waiting.discard(token.element)
                d.push(i, key)
    return bool(d.work)
