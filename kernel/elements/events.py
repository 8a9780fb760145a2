"""How events that are caught outside of the normal flow take effect: boundary events, event sub-processes, event-based gateways.

Source: BPMN 2.0.2, chapters 13.5.2 to 13.5.4. Choices: an interrupting event sub-process ends what is active in its scope and closes the
scope's other event sub-processes; boundary events of that scope stay armed. An error or escalation goes to the innermost catching place
outwards; at one place the one with its code wins over the one without. A parallel multiple event occurs when each of its definitions
has occurred, in any order; one that doesn't interrupt then begins to gather anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import flow as fl
from flowledger.events import workflow as wf
from flowledger.kernel.elements import triggers
from flowledger.kernel.fold import holder_of
from flowledger.kernel.model.graph import Node

#: caught when thrown, by looking for a handler: nothing is armed for them
THROWN = frozenset({"error", "escalation", "compensate", "cancel"})


def open_boundary(d: Any, i: Any, holder: int, node: Node) -> None:
    """Arm the boundary events of an activity. Raises: Failure."""
    for boundary in node.attached:
        arm_all(d, i, holder, boundary)


def open_event_subs(d: Any, i: Any, holder: int, scope: Node) -> None:
    """Arm the start events of the event sub-processes in a scope (`holder`: its token, or the instance). Raises: Failure."""
    for sub in scope.event_subs:
        for start in sub.starts:
            arm_all(d, i, holder, start)


def open_attached(d: Any, i: Any, token: Any, node: Node) -> None:
    open_boundary(d, i, token.key, node)
    open_event_subs(d, i, token.key, node)


def arm_all(d: Any, i: Any, holder: int, node: Node) -> None:
    for which, event in enumerate(node.events):
        if event.kind not in THROWN:
            triggers.arm(d, i, holder, node, event, node.interrupting, which)


def close_event_subs(d: Any, i: Any, holder: int) -> None:
    """Withdraw what the event sub-processes of a scope wait for."""
    nodes = d.process(i).nodes
    held = holder_of(i, holder)
    p = d.state
    keep = []
    for key in held.holds or ():
        owner = p.timers.get(key) or p.subscriptions.get(key) or p.tasks.get(key)
        node = nodes.get(owner.element) if owner is not None else None
        if node is None or node.kind != "startEvent":
            keep.append(key)
    d.close_holds(i, held, keep)


def occurred(
    d: Any, i: Any, holder: int, element: str, variables: dict[str, Any] | None, fact: Callable[[int, str], None], which: int = 0
) -> None:
    """A timer, message, signal or condition (definition number `which`) occurred for `element`, held by token (or instance) `holder`.

    `fact(token, element)` records the event that says so.
    """
    node = d.process(i).nodes[element]
    token = i.tokens.get(holder)
    if node.kind == "boundaryEvent" or node.kind == "startEvent":
        fact(holder, element)
        if len(node.events) > 1 and node.config["parallel"]:
            gathered = _gather(d, i, holder, node, which, variables)
            if gathered is None:
                return
            variables = gathered
        fire(d, i, holder, node, variables, node.interrupting)
        return
    assert token is not None, "an event without its token"
    if token.element != element:  # an event-based gateway
        gateway = d.process(i).nodes[token.element]
        flow = next(f for f in gateway.outgoing if f.target is node)
        d.close_holds(i, token)
        d.record(fl.FlowTaken(key=i.key, token=token.key, flow=flow.id, source=gateway.id, target=element))
    if variables:
        d.set_variables(i, token.key, variables, local=True)
    fact(token.key, element)
    d.push(i, token.key)


def _gather(d: Any, i: Any, holder: int, node: Node, which: int, variables: dict[str, Any] | None) -> dict[str, Any] | None:
    """A parallel multiple event: the payload of all once each has occurred, None before."""
    name = f"gathered:{node.id}"
    held = holder_of(i, holder)
    noted = (i.stores if held is i else held.data) or {}
    before = noted.get(name) or {"which": [], "variables": {}}
    seen = sorted({*before["which"], which})
    payload = {**before["variables"], **(variables or {})}
    complete = len(seen) == len(node.events)
    d.record(fl.TokenNoted(key=i.key, token=holder, data={name: None if complete else {"which": seen, "variables": payload}}))
    return payload if complete else None


def fire(d: Any, i: Any, holder: int, node: Node, variables: dict[str, Any] | None, interrupting: bool) -> None:
    """`node` is a boundary event of the activity at token `holder`, or the start event of an event sub-process in that scope."""
    if node.kind == "boundaryEvent":
        host = i.tokens[holder]
        new = d.key()
        d.record(fl.ElementActivated(key=i.key, token=new, scope=host.scope, element=node.id, variables=variables or None))
        if interrupting:
            d.terminate(i, host)
        d.push(i, new)
        return
    sub = node.scope
    assert sub is not None, "an event sub-process has a scope"
    new = d.key()
    d.record(fl.ElementActivated(key=i.key, token=new, scope=holder, element=sub.id, variables=variables or None))
    if interrupting:
        d.terminate_scope(i, holder, but=(new,))
        close_event_subs(d, i, holder)
    enter_event_sub(d, i, new, node)


def enter_event_sub(d: Any, i: Any, token: int, start: Node) -> None:
    """The event sub-process at `token` runs from its start event."""
    sub = start.scope
    assert sub is not None
    d.record(fl.ElementActivated(key=i.key, token=token, scope=i.tokens[token].scope, element=sub.id))
    kid = d.key()
    d.record(fl.ElementActivated(key=i.key, token=kid, scope=token, element=start.id))
    d.push(i, kid)
    if sub.event_subs:
        open_event_subs(d, i, token, sub)


def find_handler(d: Any, i: Any, token: Any, kind: str, code: str) -> tuple[int, Node] | None:
    """The innermost boundary event or event sub-process outwards from `token` that catches `kind` with `code`.

    Returns: (holder, catching node): the holder is the activity's token, or the scope's for an event sub-process.
    """
    process = d.process(i)
    at = token
    while at is not None:
        node = process.nodes[at.element]
        # a token of an event (a throwing one with compensation handlers below it) catches nothing
        if node.behaviour.activity and not (at.data is not None and "inner" in at.data):
            # the subs inside a scope come before the boundary of that scope
            if node.is_scope and (at is not token or at.kids) and not (node.loop is not None and not at.index):
                found = _match([s for sub in node.event_subs for s in sub.starts], kind, code, d, i, at.key)
                if found is not None and not _inside(i, token, at, found):
                    return at.key, found
            if not (at.index and node.loop is not None):
                found = _match(node.attached, kind, code, d, i, at.key)
                if found is not None:
                    return at.key, found
        if at.scope == i.key:
            break
        at = i.tokens.get(at.scope)
    found = _match([s for sub in process.root.event_subs for s in sub.starts], kind, code, d, i, i.key)
    if found is not None and not _inside(i, token, None, found):
        return i.key, found
    return None


def _inside(i: Any, token: Any, scope: Any, start: Node) -> bool:
    """The thrower stands in that very event sub-process: it doesn't catch itself."""
    at = token
    while at is not None and at is not scope:
        if start.scope is not None and at.element == start.scope.id:
            return True
        at = i.tokens.get(at.scope) if at.scope != i.key else None
    return False


def _match(candidates: list[Node], kind: str, code: str, d: Any, i: Any, scope: int) -> Node | None:
    catch_all = None
    for node in candidates:
        for event in node.events:
            if event.kind != kind:
                continue
            if event.name is None:
                catch_all = catch_all or node
                continue
            name = d.evaluate(event.name, i, scope)
            if name == code:
                return node
            if not name:
                catch_all = catch_all or node
    return catch_all


def end_instance_with_error(d: Any, i: Any, code: str, message: str, variables: dict[str, Any] | None = None) -> None:
    """A called instance ends by an error that its caller is to catch, with what the error carries."""
    for kid in sorted(i.kids or ()):
        if kid in i.tokens:
            d.terminate(i, i.tokens[kid])
    d.close_holds(i, i)
    d.record(wf.WorkflowFailed(key=i.key, code=code, message=message))
    d.ended(i, "failed", error=code, message=message, thrown=variables)
