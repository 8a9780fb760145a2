"""Intermediate throwing event: throws, and the token goes on.

Source: BPMN 2.0.2, chapters 10.5.4 and 13.5.2.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import triggers
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.moves import data
from flowledger.kernel.moves.activity import apply_mappings


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.extra is not None and node.extra.data_in:
        data.enter(d, i, token, node)
    if node.inputs:
        d.set_variables(i, token.key, apply_mappings(d, i, token.key, node.inputs), local=True)
    if triggers.throw_all(d, i, token, node):
        _done(d, i, token, node)


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    """A throw that waits (a send job, a compensation) has something new."""
    if triggers.throw_more(d, i, token, node):
        _done(d, i, token, node)


def _done(d: Any, i: Any, token: Any, node: Node) -> None:
    if token.handler_of:  # it only carried a compensation that nobody waits for
        d.end(i, token, node)
        return
    if node.outputs:
        d.set_variables(i, token.scope, apply_mappings(d, i, token.key, node.outputs, token.scope))
    if token.holds:
        d.close_holds(i, token)
    if node.event is not None and node.event.kind == "link":
        return
    d.leave(i, token, node)


def read(node: Node, element: Any, r: Any) -> None:
    triggers.read(node, element, r)


def check(node: Node, r: Any) -> None:
    for event in node.events:
        if event.kind in ("error", "cancel", "terminate", "timer", "conditional"):
            r.finding("THROW_EVENT_KIND", f"'{node.id}': {event.kind} can't be thrown by an intermediate event", node)


BEHAVIOUR = Behaviour(enter, complete, read, check)
