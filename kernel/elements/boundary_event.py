"""Boundary event: occurs while its activity is active; interrupting ones end the activity.

Source: BPMN 2.0.2, chapters 10.5.4 and 13.5.3.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import triggers
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.moves import data
from flowledger.kernel.moves.activity import apply_mappings


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """A new token stands here because the event occurred; its payload is in the token's locals."""
    if node.extra is not None and node.extra.data_out:
        data.leave(d, i, token, node)
    if node.outputs:
        d.set_variables(i, token.scope, apply_mappings(d, i, token.key, node.outputs, token.scope))
    elif token.vars:
        d.set_variables(i, token.scope, dict(token.vars))
    d.leave(i, token, node)


def read(node: Node, element: Any, r: Any) -> None:
    triggers.read(node, element, r)


def check(node: Node, r: Any) -> None:
    if node.incoming:
        r.finding("BOUNDARY_HAS_INCOMING", f"boundary event '{node.id}' can't have incoming flows", node)
    if not node.events:
        r.finding("BOUNDARY_WITHOUT_EVENT", f"boundary event '{node.id}' has no event definition: it could never occur", node)
    for event in node.events:
        if event.kind in ("terminate", "link", "none"):
            r.finding("BOUNDARY_EVENT_KIND", f"'{node.id}': {event.kind} can't stand on a boundary", node)
        if event.kind in ("error", "cancel", "compensate") and not node.interrupting and event.kind != "compensate":
            r.finding(
                "BOUNDARY_MUST_INTERRUPT",
                f"'{node.id}': a boundary {event.kind} event always interrupts",
                node,
                hint='remove cancelActivity="false"',
            )


BEHAVIOUR = Behaviour(enter, None, read, check)
