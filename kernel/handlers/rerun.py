"""Re-run of one step with what depends on it: the tokens behind it are withdrawn, and it begins anew; what its siblings have brought stays.

What is behind a step is what its flows lead to, in its scope and in those around it, without coming through the step itself. Joins wait for what can still
come, as in any instance that was changed by hand, so a branch that has been there need not come again.
"""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import placing
from flowledger.kernel.handlers import modify
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.model.graph import Node
from flowledger.kernel.state import Instance


def rerun(d: Decision, e: c.RerunElement) -> Rejected | None:
    """Raises: Failure."""
    i = d.state.instances.get(e.key)
    if i is None or i.status == "pending":
        return not_found("a running instance with key", e.key)
    process = d.process(i)
    if wrong := placing.problem(process, e.element):
        return Rejected(RejectionCode.INVALID_ARGUMENT, wrong)
    node = process.nodes[e.element]
    scope = placing.scope_of(i, node, e.scope)
    if isinstance(scope, str):
        return Rejected(RejectionCode.INVALID_ARGUMENT, scope)
    around = {scope, *placing.scopes_of(i, scope)} if scope != i.key else set()
    gone = _behind(i, node, around | {i.key}, scope)
    instructions: list[dict[str, object]] = [{"activate": e.element, "scope": e.scope or 0, "variables": e.variables or {}}]
    instructions += [{"cancel": key} for key in gone]
    return modify.modify(
        d, c.ModifyInstance(key=e.key, instructions=instructions, reason=e.reason or f"'{e.element}' runs again", force=e.force)
    )


def _behind(i: Instance, node: Node, scopes: set[int], own: int) -> list[int]:
    """Tokens at the step, or behind it: in its own scope by its flows, in those around by the flows of the sub-process that it stands in."""
    ways: dict[str, set[str]] = {}
    at: Node | None = node
    while at is not None:
        level = at.scope.id if at.scope is not None else ""
        ways[level] = _reached(at, itself=at is node)
        at = at.scope
    nodes = node.process.nodes
    found = []
    for token in i.tokens.values():
        if token.scope not in scopes or token.index:
            continue
        outer = nodes[token.element].scope
        if token.element in ways.get(outer.id if outer is not None else "", ()) and token.key not in scopes:
            found.append(token.key)
    return found


def _reached(start: Node, itself: bool) -> set[str]:
    """Elements that its flows lead to, and those of its boundary events; with the step itself where it stands there still."""
    found: set[str] = {start.id} if itself else set()
    todo = [f.target for f in start.outgoing]
    todo += [f.target for b in start.attached for f in b.outgoing]
    while todo:
        at = todo.pop()
        if at.id in found or at is start:
            continue
        found.add(at.id)
        todo += [f.target for f in at.outgoing]
        todo += [f.target for b in at.attached for f in b.outgoing]
    return found
