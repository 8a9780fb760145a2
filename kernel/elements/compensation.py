"""Compensation: undoing completed activities by their handlers, newest first.

Source: BPMN 2.0.2, chapters 10.7 and 13.5.5.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.model.graph import Node


def keep(d: Any, i: Any, token: Any, node: Node) -> None:
    """The activity has completed and can be compensated later, with the variables of this moment."""
    if node.compensation is not None:
        d.record(
            fl.CompensationRecorded(
                key=i.key, token=token.key, scope=token.scope, element=node.id, handler=node.compensation.id,
                variables=dict(d.variables(i, token.key)) if token.vars else None,
            )
        )  # fmt: skip


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    """Compensate what has completed in this scope (or the one activity named). True when there is nothing to do or nobody waits."""
    chosen = [c for c in reversed(i.compensable or ()) if c.scope == token.scope and (not event.ref or c.element == event.ref)]
    if not chosen:
        return True
    d.record(fl.CompensationStarted(key=i.key, token=token.key, element=node.id, activities=[c.token for c in chosen]))
    for c in chosen:
        kid = d.key()
        d.record(fl.ElementActivated(key=i.key, token=kid, scope=token.scope, element=c.handler, variables=c.vars, handler_of=token.key))
        d.push(i, kid)
    return not event.wait


def cancel_transaction(d: Any, i: Any, token: Any, node: Node) -> bool:
    return True
