"""An operator's change of an instance: tokens put before elements, moved, withdrawn. See `elements/placing.py` for what may go where.

All instructions or none. What they name is made into keys first; then tokens are put, then others are withdrawn, so that a token can be moved in one
command and a scope doesn't die in between. The tokens run until they rest; when one would then wait for what can't come, nothing has happened.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import soundness
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import events, loops, placing
from flowledger.kernel.fold import holder_of
from flowledger.kernel.handlers import instructions
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.state import Instance

#: problems that a refusal tells
TOLD_MAX = 20


def modify(d: Decision, e: c.ModifyInstance) -> Rejected | None:
    """Raises: Failure: a scope can't arm its events."""
    i = d.state.instances.get(e.key)
    if i is None or i.status == "pending":
        return not_found("a running instance with key", e.key)
    process = d.process(i)
    resolved = instructions.resolve(i, process, e)
    if isinstance(resolved, Rejected):
        return resolved
    nodes = process.nodes
    skipped = dict.fromkeys(
        name
        for p in resolved.activate
        if not p.body and isinstance(scope := placing.scope_of(i, nodes[p.element], p.scope, within=p.within), int)
        for name in placing.unheard(process, i, nodes[p.element], scope)
    )
    d.record(wf.WorkflowModified(key=i.key, reason=e.reason, instructions=instructions.said(resolved, e, skipped)))
    for p in resolved.activate:
        if root := p.variables.get(""):
            d.set_variables(i, i.key, root)
        if p.body:
            loops.add_run(d, i, i.tokens[p.scope], nodes[p.element], p.variables.get(p.element) or {})
        else:
            placing.place(d, i, nodes[p.element], p.variables, p.scope, strict=True, within=p.within)
    for key in resolved.terminate:
        if (token := i.tokens.get(key)) is not None:
            scope, element = token.scope, token.element
            placing.withdraw(d, i, token)
            if nodes[element].triggered_by_event:
                _listen_again(d, i, scope)
    if not i.tokens:
        return _emptied(d, i, e)
    placing.changed(d, i)
    warnings = [f"'{name}' was opened without its input mappings" for name in skipped]
    return settled(d, e.key, e.force, warnings)


def settled(d: Decision, key: int, force: bool, warnings: list[str]) -> Rejected | None:
    """The tokens run until they rest: can each go on? Sets the answer."""
    d.run()
    i = d.state.instances.get(key)
    d.answer = {"key": key}
    if i is not None and (found := soundness.problems(d, i)):
        told = [*found[:TOLD_MAX], *([f"and {len(found) - TOLD_MAX} more"] if len(found) > TOLD_MAX else [])]
        if not force:
            return Rejected(
                RejectionCode.INVALID_STATE, f"this would leave what never goes on (force does it all the same): {'; '.join(told)}"
            )
        warnings = [*warnings, *told]
    if warnings:
        d.answer["warnings"] = warnings
    return None


def _listen_again(d: Decision, i: Instance, scope: int) -> None:
    """An event sub-process that had interrupted its scope is withdrawn: what goes on there can be interrupted again. Raises: Failure."""
    holder, process = holder_of(i, scope), d.process(i)
    if holder is None or not holder.kids:
        return
    kids = [process.nodes[i.tokens[k].element] for k in holder.kids]
    if any(s.interrupting for kid in kids if kid.triggered_by_event for s in kid.starts):
        return
    node = process.root if holder is i else process.nodes[holder.element]
    armed = {x.element for k in holder.holds or () if (x := _held(d, k)) is not None}
    for sub in node.event_subs:
        for start in sub.starts:
            if start.id not in armed:
                events.arm_all(d, i, scope, start)


def _held(d: Decision, key: int) -> Any:
    return d.state.timers.get(key) or d.state.subscriptions.get(key)


def _emptied(d: Decision, i: Instance, e: c.ModifyInstance) -> Rejected | None:
    """Nothing is left: it ends. A called one is its caller's to withdraw."""
    if i.parent and not e.force:
        text = f"instance {i.key} was called by instance {i.parent} and would be empty: cancel its call activity, token {i.parent_token}, there (or force)"
        return Rejected(RejectionCode.INVALID_STATE, text)
    d.answer = {"key": i.key, "status": "terminated"}
    d.close_holds(i, i)
    d.record(wf.WorkflowTerminated(key=i.key, reason=e.reason or "its last token was withdrawn"))
    d.ended(i, "terminated", message=e.reason)
    return None
