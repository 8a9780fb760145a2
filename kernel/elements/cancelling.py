"""The end of an instance on request: what is active is withdrawn, what has completed is compensated, then it is cancelled.

Source: requirements C-15, D-STA-002, D-API-010. A token of its own, at the first element of the process, carries the compensation; its note
`cancelling` says why. Called instances that still run are cancelled alike, in their own time.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import workflow as wf
from flowledger.kernel.elements import compensation
from flowledger.kernel.hooks import HOOKS

_BY_CALLER = "its caller"


def by_caller(reason: str) -> bool:
    """The caller has withdrawn its call: it does not wait for the end."""
    return reason.startswith(_BY_CALLER)


def is_one(i: Any) -> bool:
    return any(t.data is not None and "cancelling" in t.data for t in i.tokens.values())


def begin(d: Any, i: Any, reason: str, but: frozenset[int] | set[int] = frozenset(), rollback: dict[str, Any] | None = None) -> bool:
    """False when there is nothing to compensate. `but`: records that stay. `rollback`: what is to be restored then, instead of the end."""
    records = [r for r in _all_records(d, i) if r not in but]
    if not any(c.handler and c.record not in but for kept in (i.compensable or {}).values() for c in kept):
        return False
    carrier = d.key()
    children = d.process(i).root.children
    first = next((n.id for n in children if not n.behaviour.activity and n.kind != "boundaryEvent"), children[0].id)
    d.record(fl.ElementActivated(key=i.key, token=carrier, scope=i.key, element=first, handler_of=carrier))
    d.record(
        fl.TokenNoted(
            key=i.key, token=carrier, data={"cancelling": reason, "waiting": True, **({"rollback": rollback} if rollback else {})}
        )
    )
    token = i.tokens[carrier]
    d.record(fl.CompensationStarted(key=i.key, token=carrier, element=first, activities=records))
    _withdraw(d, i, but=carrier)
    if compensation.next_handler(d, i, token):
        return True
    if rollback is None:
        d.terminate(i, token)
    return False


def look(d: Any, i: Any, token: Any) -> None:
    """A handler has ended: the next one, or the end."""
    if token.kids or compensation.next_handler(d, i, token):
        return
    if (rollback := token.data.get("rollback")) is not None:
        HOOKS.compensated(d, i, token.data["cancelling"], rollback)
        return
    end(d, i, token.data["cancelling"], force=False)


def end(d: Any, i: Any, reason: str, force: bool) -> None:
    _withdraw(d, i, but=0, force=force)
    d.close_holds(i, i)
    d.record(wf.WorkflowTerminated(key=i.key, reason=reason) if force else wf.WorkflowCancelled(key=i.key, reason=reason))
    if by_caller(reason):
        d.finish(i.key, "terminated" if force else "cancelled", i.vars, reason)
    else:
        d.ended(i, "terminated" if force else "cancelled", message=reason)


def _withdraw(d: Any, i: Any, but: int, force: bool = False) -> None:
    """All tokens but one. Called instances are cancelled as this one is."""
    nodes = d.process(i).nodes
    if not force:
        for token in list(i.tokens.values()):
            if token.data and (child := token.data.get("child")) and nodes[token.element].kind == "callActivity":
                d.send(c.partition_of_key(child), c.CancelInstance(key=child, reason=f"{_BY_CALLER} {i.key} was cancelled"))
                d.record(fl.TokenNoted(key=i.key, token=token.key, data={"child": None}))
    for kid in sorted(i.kids or ()):
        if kid in i.tokens and kid != but:
            d.terminate(i, i.tokens[kid])
    if but:
        d.close_holds(i, i)


def _all_records(d: Any, i: Any) -> list[int]:
    """What completed in any scope that still is, newest first."""
    kept = i.compensable or {}
    records = {c.record: scope for scope, cs in kept.items() for c in cs}
    tops = [r for r, scope in records.items() if scope not in records]
    found: list[int] = []
    for scope in {records[r] for r in tops}:
        found += compensation.collect(d, i, scope)
    return sorted(found, reverse=True) if len({records[r] for r in tops}) > 1 else found
