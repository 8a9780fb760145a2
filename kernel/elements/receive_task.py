"""Receive task: waits for its message. An instantiating one also starts instances (see `triggers/message.py`).

Source: BPMN 2.0.2, chapter 13.3.3.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.elements import loops, triggers
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.moves.activity import apply_mappings, close_activity


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.event is None or (token.data or {}).get("received"):
        close_activity(d, i, token, node)
        return
    d.record(fl.ElementActivated(key=i.key, token=token.key, scope=token.scope, element=node.id))
    triggers.arm(d, i, token.key, node, node.event, interrupting=True)


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    if not node.outputs and token.vars:
        own = set(apply_mappings(d, i, token.key, node.inputs)) if node.inputs else set()
        if node.loop is not None:  # a run's item, number and result stay its own
            own |= loops.own_names(node.loop)
        d.set_variables(i, token.scope, {k: v for k, v in token.vars.items() if k not in own})
    close_activity(d, i, token, node)


def read(node: Node, element: Any, r: Any) -> None:
    reference = element.get("messageRef")
    if reference:
        node.event = triggers.message_of(node, reference, element, r)
        node.events = [node.event] if node.event is not None else []
    node.config = {"instantiate": element.get("instantiate") == "true"}


def check(node: Node, r: Any) -> None:
    if node.event is None:
        r.finding("RECEIVE_WITHOUT_MESSAGE", f"receive task '{node.id}' names no message: it could never receive one", node, hint='messageRef="..."',
                  severity="warning")  # fmt: skip


BEHAVIOUR = Behaviour(enter, complete, read, check, activity=True)
