"""End event: throws what it has to throw and ends its token.

Source: BPMN 2.0.2, chapters 10.5.3 and 13.5.6.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import listeners, triggers
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.moves import data
from flowledger.kernel.moves.activity import apply_mappings


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.extra is not None and node.extra.data_in:
        data.enter(d, i, token, node)
    if node.inputs:
        d.set_variables(i, token.key, apply_mappings(d, i, token.key, node.inputs), local=True)
    if not node.events or triggers.throw_all(d, i, token, node):
        _done(d, i, token, node)


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    """A throw that waits (a send job, a compensation) has something new."""
    if triggers.throw_more(d, i, token, node):
        _done(d, i, token, node)


def _done(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.listeners and not token.handler_of and listeners.next_one(d, i, token, node, "end"):
        return
    if node.outputs and not token.handler_of:
        d.set_variables(i, token.scope, apply_mappings(d, i, token.key, node.outputs, token.scope))
    if token.holds:
        d.close_holds(i, token)
    d.end(i, token, node)


def read(node: Node, element: Any, r: Any) -> None:
    triggers.read(node, element, r)


def check(node: Node, r: Any) -> None:
    if node.outgoing:
        r.finding("END_HAS_OUTGOING", f"end event '{node.id}' can't have outgoing flows", node)


BEHAVIOUR = Behaviour(enter, complete, read, check)
