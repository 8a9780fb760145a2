"""An operator's change of an instance: tokens put before elements, tokens withdrawn. See `elements/placing.py` for what may go where."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import placing
from flowledger.kernel.handlers.instances import not_found


def modify(d: Decision, e: c.ModifyInstance) -> Rejected | None:
    """All instructions or none: tokens are put first, then others are withdrawn, so that a token can be moved in one command."""
    i = d.state.instances.get(e.key)
    if i is None or i.status == "pending":
        return not_found("a running instance with key", e.key)
    process = d.process(i)
    opened: set[str] = set()
    for instruction in e.activate or ():
        element, ancestor = instruction.get("element", ""), int(instruction.get("ancestor") or 0)
        if wrong := placing.problem(process, element):
            return Rejected(RejectionCode.INVALID_ARGUMENT, wrong)
        if wrong := placing.unknown_scope(process.nodes[element], instruction.get("variables") or {}):
            return Rejected(RejectionCode.INVALID_ARGUMENT, wrong)
        scope = placing.scope_of(i, process.nodes[element], ancestor, opened)
        if isinstance(scope, str):
            return Rejected(RejectionCode.INVALID_ARGUMENT, scope)
        if not ancestor:
            opened |= placing.to_open(i, process.nodes[element])
    for key in e.terminate or ():
        if key not in i.tokens:
            return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected a token of instance {e.key}, found {key}")
    d.record(wf.WorkflowModified(key=i.key, reason=e.reason, instructions={"activate": e.activate, "terminate": e.terminate}))
    for instruction in e.activate or ():
        variables = instruction.get("variables") or {}
        if root := variables.get(""):
            d.set_variables(i, i.key, root)
        placing.place(d, i, process.nodes[instruction["element"]], variables, int(instruction.get("ancestor") or 0))
    for key in e.terminate or ():
        if (token := i.tokens.get(key)) is not None:
            placing.withdraw(d, i, token)
    d.answer = {"key": e.key}
    if i.tokens:
        placing.changed(d, i)
        return None
    d.close_holds(i, i)
    d.record(wf.WorkflowTerminated(key=i.key, reason=e.reason or "its last token was withdrawn"))
    d.ended(i, "terminated", message=e.reason)
    return None
