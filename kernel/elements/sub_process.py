"""Sub-process, embedded or event: a scope of its own; it completes when its last token has ended.

Source: BPMN 2.0.2, chapters 10.3.5, 13.3.4 and 13.5.4.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.expressions import Failure
from flowledger.kernel.model.graph import Behaviour, Node, implicit_starts
from flowledger.kernel.moves.activity import close_activity


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """A token is made at its start event; where there is none, at each element without incoming flow (implicit start, 13.3.4)."""
    starts = [s for s in node.starts if not s.events] or implicit_starts(node)
    if not starts:
        raise Failure("SUB_PROCESS_WITHOUT_START", f"sub-process {node.id} has nothing to start with")
    d.record(fl.ElementActivated(key=i.key, token=token.key, scope=token.scope, element=node.id))
    for start in starts:
        kid = d.key()
        d.record(fl.ElementActivated(key=i.key, token=kid, scope=token.key, element=start.id))
        d.push(i, kid)


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    """The last token in it has ended."""
    if token.kids:
        return
    if not node.triggered_by_event:
        close_activity(d, i, token, node)
        return
    d.close_holds(i, token)
    d.record(fl.ElementCompleted(key=i.key, token=token.key, element=node.id))
    d.scope_ended(i, token.scope)


def check(node: Node, r: Any) -> None:
    if node.triggered_by_event:
        if node.incoming or node.outgoing:
            r.finding("EVENT_SUB_PROCESS_FLOWS", f"event sub-process '{node.id}' can't have incoming or outgoing flows", node)
        if len(node.starts) != 1:
            r.finding("EVENT_SUB_PROCESS_START", f"event sub-process '{node.id}' needs one start event, found {len(node.starts)}", node)
        elif not node.starts[0].events:
            r.finding(
                "EVENT_SUB_PROCESS_START_NONE",
                f"the start event of event sub-process '{node.id}' needs an event definition",
                node.starts[0],
            )
    elif any(s.events for s in node.starts):
        r.finding("SUB_PROCESS_START_EVENT", f"the start event of sub-process '{node.id}' can't have an event definition", node,
                  hint='only event sub-processes (triggeredByEvent="true") start by events')  # fmt: skip


BEHAVIOUR = Behaviour(enter, complete, None, check, activity=True)
