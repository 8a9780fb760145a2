"""Business states as they move: the root variable `businessState`, changed only along declared moves.

Source: requirements WSM-STA-001 to 006, C-06, C-07. A move that isn't declared is the incident ILLEGAL_STATE_MOVE, the state stays as it is; to resolve
the incident tries the move again. A step whose state is named already makes no move. A step that failed and is tried again moves back first
(C-07: a failure state may lead to a retry of its step). Called for models with states only. Where the setting `state_validation` is off, every move is made.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import workflow as wf
from flowledger.kernel.expressions import Failure
from flowledger.kernel.model.graph import Flow, Node
from flowledger.kernel.values import shown

VARIABLE = "businessState"
_LATER = "business_state"


def start(d: Any, i: Any, process: Any) -> None:
    """A new instance is in the initial state."""
    d.record(wf.VariableSet(key=i.key, scope=i.key, variables={VARIABLE: process.states.initial}))


def move(d: Any, i: Any, states: Any, target: str, what: str) -> None:
    """Raises: Failure ILLEGAL_STATE_MOVE, before anything was recorded."""
    now = i.vars.get(VARIABLE, states.initial)
    if now == target:
        return
    if not d.facts.state_validation:
        d.record(wf.VariableSet(key=i.key, scope=i.key, variables={VARIABLE: target}))
        return
    allowed = states.moves.get(now) if isinstance(now, str) else None
    if allowed is None:
        raise Failure(
            "ILLEGAL_STATE_MOVE", f"{what}: expected one of the states {', '.join(states.moves)} to move from, found {shown(now)}"
        )
    if target not in allowed:
        expected = f"a move from {now} to {' or '.join(allowed)}" if allowed else f"no move from {now}"
        raise Failure("ILLEGAL_STATE_MOVE", f"{what}: expected {expected}, found {target}")
    d.record(wf.VariableSet(key=i.key, scope=i.key, variables={VARIABLE: target}))


def check(d: Any, i: Any, variables: dict[str, Any]) -> None:
    """Values from outside and from mappings keep to the table as well. Raises: Failure ILLEGAL_STATE_MOVE."""
    process = d.process(i)
    if process.states is None or VARIABLE not in variables or not d.facts.state_validation:
        return
    now, target = i.vars.get(VARIABLE, process.states.initial), variables[VARIABLE]
    allowed = process.states.moves.get(now, ()) if isinstance(now, str) else ()
    if target != now and (not isinstance(target, str) or target not in allowed):
        raise Failure("ILLEGAL_STATE_MOVE", f"{VARIABLE}: expected {' or '.join([str(now), *allowed])}, found {shown(target)}")


def arrived(d: Any, i: Any, token: Any, node: Node, states: Any) -> None:
    """The token enters an element; runs of a loop make no moves of their own."""
    if token.data is not None and (late := token.data.get(_LATER)):
        move(d, i, states, late, f"the way to {node.id}")
        d.record(fl.TokenNoted(key=i.key, token=token.key, data={_LATER: ""}))
    target = states.enter.get(node.id)
    if target and not token.index:
        move(d, i, states, target, f"{node.id} is entered")


def closed(d: Any, i: Any, node: Node, states: Any) -> None:
    """An activity is done."""
    target = states.success.get(node.id)
    if not target:
        return
    again = states.enter.get(node.id)
    now = i.vars.get(VARIABLE)
    if again and now == states.failure.get(node.id) and target not in states.moves.get(now, ()) and target in states.moves.get(again, ()):
        move(d, i, states, again, f"{node.id} is tried again")
    move(d, i, states, target, f"{node.id} is done")


def failed(d: Any, i: Any, node: Node, states: Any, handler: Node | None = None) -> None:
    """An activity ends in an error that another element handles, or in an incident; its own boundary events move when they are entered."""
    target = states.failure.get(node.id)
    if target and (handler is None or handler.host is not node):
        move(d, i, states, target, f"{node.id} has failed")


def taken(d: Any, i: Any, token: int, flow: Flow, states: Any) -> bool:
    """The token took the flow. A refused move waits at the flow's target, with an incident; False then."""
    target = states.flows.get(flow.id)
    if not target:
        return True
    try:
        move(d, i, states, target, f"the way {flow.id}")
    except Failure as failure:
        d.record(fl.TokenNoted(key=i.key, token=token, data={_LATER: target}))
        d.incident(i, i.tokens[token], failure)
        return False
    return True
