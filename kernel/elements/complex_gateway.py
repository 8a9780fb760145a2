"""Complex gateway: joins by a condition of its own, then waits for the stragglers; splits like an inclusive gateway.

Source: BPMN 2.0.2, chapter 13.4.5, "Complex Gateway". It waits for start: at each token its `activationCondition` is evaluated over the process'
variables, `activationCount` (incoming flows that have a token), `waitingForStart` and, under the id of each incoming flow, the number of its tokens.
When it is true one token of each flow is consumed and the outgoing conditions choose. Then it waits for reset: until each flow that had no token has
one, or none can come any more (the rule of the inclusive join); these tokens are consumed, and it waits for start again.
Choices: without `activationCondition` it fires when all that could arrive have arrived (an inclusive join). In the reset only flows whose condition reads
`waitingForStart` can be taken: an unconditional flow would otherwise send a second token for each round. A condition over the count is looked at again
when the other tokens have come to rest; if nothing more can arrive and it is still false, the gateway goes on waiting.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.elements import joins, listeners
from flowledger.kernel.expressions import Failure
from flowledger.kernel.fold import holder_of
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Behaviour, Flow, Node
from flowledger.kernel.state import ARRIVED
from flowledger.kernel.values import shown


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """Raises: Failure CONDITION_NOT_BOOLEAN, NO_FLOW_CHOSEN."""
    if len(node.incoming) < 2 or not token.flow:  # nothing to join, or put here by hand
        joins.passed(d, i, token, node)
        complete(d, i, token, node)
        return
    arrived = joins.arrived(i, token.scope, node)
    if not arrived:
        return
    awaited = _state(i, token.scope, node).get("awaited")
    if awaited is None:
        _start(d, i, token, node, arrived)
    else:
        _reset(d, i, token, node, arrived, awaited)


def _state(i: Any, scope: int, node: Node) -> dict[str, Any]:
    holder = holder_of(i, scope)
    noted = (i.stores if holder is i else holder.data) or {}
    return noted.get(f"gateway:{node.id}") or {}


def _seen(d: Any, i: Any, scope: int, node: Node, starting: bool) -> dict[str, Any]:
    counts = {f.id: 0 for f in node.incoming}
    for key in joins.kids_of(i, scope):
        other = i.tokens[key]
        if other.element == node.id and other.phase == ARRIVED and other.flow in counts:
            counts[other.flow] += 1
    return {
        **d.variables(i, scope), **counts, "activationCount": sum(1 for n in counts.values() if n), "waitingForStart": starting,
    }  # fmt: skip


def _start(d: Any, i: Any, token: Any, node: Node, arrived: dict[str, int]) -> None:
    condition = node.config
    if condition is None:
        if not joins.complete(i, token.scope, node, arrived):
            return
    else:
        value = condition(_seen(d, i, token.scope, node, True), d.facts)
        if value is not True and value is not False:
            raise Failure(
                "CONDITION_NOT_BOOLEAN",
                f"activation condition of {node.id}: expected true or false from '{condition.text}', found {shown(value)}",
            )
        if not value:
            return
    awaited: list[str] | None = [f.id for f in node.incoming if f.id not in arrived]
    if not awaited or not joins.could_arrive(i, token.scope, node, awaited, {}):
        awaited = None
    own = arrived.pop(token.flow, token.key)
    token = joins.fire(d, i, own, node, [*arrived.values()], {"awaited": awaited} if awaited else {})
    if node.listeners and listeners.next_one(d, i, token, node, "start"):
        return
    complete(d, i, token, node)


def _reset(d: Any, i: Any, token: Any, node: Node, arrived: dict[str, int], awaited: list[str]) -> None:
    late = {f: key for f, key in arrived.items() if f in awaited}
    missing = [f for f in awaited if f not in late]
    if not late or (missing and joins.could_arrive(i, token.scope, node, missing, {})):
        return
    own = min(late.values())
    joins.fire(d, i, own, node, [k for k in late.values() if k != own], {})
    scope = i.tokens[own].scope
    seen = {**d.variables(i, scope), "waitingForStart": False}
    asking = [f for f in node.outgoing if f.condition is not None and "waitingForStart" in f.condition.reads]
    flows = [f for f in asking if f.condition is not None and f.condition(seen, d.facts) is True]
    if flows:
        d.take(i, i.tokens[own], flows)
    else:
        d.end(i, i.tokens[own], node)
    # a token that came early for the next round
    rest = (
        joins.arrived(i, scope, node) if i.key in d.state.instances and holder_of(i, scope) is not None and holder_of(i, scope).kids else {}
    )
    for key in rest.values():
        d.push(i, key)
        break


def look(d: Any, i: Any, scope: int, node: Node) -> None:
    """Tokens have come to rest: a gateway that waits for stragglers, of which none can come any more, waits for start again."""
    awaited = _state(i, scope, node).get("awaited")
    if awaited and not any(f in awaited for f in joins.arrived(i, scope, node)) and not joins.could_arrive(i, scope, node, awaited, {}):
        d.record(fl.TokenNoted(key=i.key, token=scope, data={f"gateway:{node.id}": None}))


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    _leave(d, i, token, node, {"waitingForStart": True})


def _leave(d: Any, i: Any, token: Any, node: Node, more: dict[str, Any]) -> None:
    if not node.outgoing:
        d.end(i, token, node)
        return
    seen = {**d.variables(i, token.scope), "waitingForStart": True, **more}
    flows: list[Flow] = []
    for f in node.outgoing:
        if f is node.default:
            continue
        value = True if f.condition is None else f.condition(seen, d.facts)
        if value is True:
            flows.append(f)
        elif value is not False and f.condition is not None:
            raise Failure("CONDITION_NOT_BOOLEAN", f"flow {f.id}: expected true or false from '{f.condition.text}', found {shown(value)}")
    if not flows and node.default is not None:
        flows = [node.default]
    if not flows:
        raise Failure("NO_FLOW_CHOSEN", f"no condition of a flow out of {node.id} is true, and it has no default flow")
    d.take(i, token, flows)


def read(node: Node, element: Any, r: Any) -> None:
    condition = x.child(element, "activationCondition")
    if condition is not None and x.text_of(condition):
        node.config = r.condition(x.text_of(condition), node, "activation condition")


def check(node: Node, r: Any) -> None:
    if node.config is not None and len(node.incoming) < 2:
        r.finding(
            "ACTIVATION_WITHOUT_JOIN",
            f"complex gateway '{node.id}' has an activation condition but nothing to join",
            node,
            severity="warning",
        )


joins.RESTED["complexGateway"] = look
BEHAVIOUR = Behaviour(enter, complete, read, check)
