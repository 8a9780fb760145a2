"""What a migration carries: into which scopes tokens go, which elements become other ones, what is made anew (docs/control.md).

A token moves only within its nearest ancestor that stays: sub-processes that only the target has around its element are opened there, without their input
mappings; a sub-process that the plan drops, whose inside it maps, is dissolved, and its variables go with its tokens. A task or a waiting event may
become another kind where the caller says that tasks are made anew.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import ad_hoc_sub_process, events, placing
from flowledger.kernel.handlers.loop_kinds import Loops
from flowledger.kernel.model.graph import Node, Process
from flowledger.kernel.moves.activity import apply_mappings
from flowledger.kernel.state import WAITING, Instance, Token

#: elements that can become one another: a token at one waits for one thing, and is in no scope of its own
KINDS = frozenset("task serviceTask userTask scriptTask sendTask receiveTask businessRuleTask manualTask intermediateCatchEvent".split())


class Carried:
    """`problem`: why it can't be, `""`: it can. `opened`: (key, scope, element) of new scopes, outer ones first; `moved`: token -> its scope;
    `dissolved`: scopes that go; `renewed`: tokens that become another kind, or are entered anew."""

    def __init__(self) -> None:
        self.problem = ""
        self.opened: list[tuple[int, int, str]] = []
        self.moved: dict[int, int] = {}
        self.dissolved: list[int] = []
        self.renewed: dict[int, None] = {}
        self._made: dict[tuple[int, str], int] = {}

    def scope_under(self, d: Decision, outer: int, missing: list[Node]) -> int:
        """The innermost of `missing` (the innermost first) under `outer`; one for all tokens that need it."""
        for node in reversed(missing):
            if (made := self._made.get((outer, node.id))) is None:
                made = self._made[outer, node.id] = d.key()
                self.opened.append((made, outer, node.id))
            outer = made
        return outer


def look(
    d: Decision, i: Instance, source: Process, process: Process, elements: dict[str, str], dissolved: list[int], renew: bool, looped: Loops
) -> Carried:
    """Nothing is changed."""
    found = Carried()
    found.dissolved = dissolved = [*dissolved, *looped.gone]
    for token in i.tokens.values():
        if token.key in dissolved:
            continue
        old, new = source.nodes[token.element], process.nodes[elements[token.element]]
        found.problem = _kind(found, token, old, new, renew) or _scope(d, i, found, token, old, new, elements, looped)
        if found.problem:
            return found
        if token.key in looped.wrapped:  # its body, around it
            body = looped.wrapped[token.key] = d.key()
            found.opened.append((body, found.moved.get(token.key, token.scope), new.id))
            found.moved[token.key] = body
    return found


def _kind(found: Carried, token: Token, old: Node, new: Node, renew: bool) -> str:
    other = new.kind != old.kind or (
        [e.kind for e in old.events] != [e.kind for e in new.events] and old.kind in ("intermediateCatchEvent", "receiveTask")
    )
    body = old.loop is not None and not token.index
    if new.triggered_by_event != old.triggered_by_event or (other and not (old.kind in KINDS and new.kind in KINDS)):
        return f"'{old.id}' is a {old.kind}, '{new.id}' a {new.kind}: a token can't change its kind"
    if other and not renew:
        if new.kind != old.kind:
            return f"'{old.id}' is a {old.kind}, '{new.id}' a {new.kind}: a token can't change its kind (unless tasks are made anew)"
        return f"'{old.id}' waits for {_kinds(old)}, '{new.id}' for {_kinds(new)} (unless tasks are made anew)"
    if renew and not body and old.kind in KINDS and (token.phase == WAITING or token.incident):
        found.renewed[token.key] = None
    return ""


def _kinds(node: Node) -> str:
    return " and ".join(e.kind for e in node.events) or "nothing"


def _scope(d: Decision, i: Instance, found: Carried, token: Token, old: Node, new: Node, elements: dict[str, str], looped: Loops) -> str:
    if (token.index and not looped.outer(token.key)) or token.handler_of or ad_hoc_sub_process.is_inner(token):
        outer, inner = (old.scope.id if old.scope else ""), (new.scope.id if new.scope else "")
        same = elements.get(outer, outer) == inner or token.index
        return "" if same else f"'{new.id}' stands in another scope than '{old.id}'"
    around = placing.subs_around(new)
    names = [n.id for n in around]
    at = token.scope
    while at in found.dissolved:
        at = i.tokens[at].scope
    stays = i.tokens.get(at)
    if stays is not None and elements[stays.element] not in names:
        return f"'{new.id}' stands in another scope than '{old.id}'"
    missing = around if stays is None else around[: names.index(elements[stays.element])]
    if odd := next((n for n in missing if n.kind != "subProcess" or n.loop is not None or n.triggered_by_event), None):
        return f"'{new.id}' stands in '{odd.id}', which can't be opened for it: expected plain sub-processes around it"
    scope = found.scope_under(d, at, missing)
    if scope != token.scope:
        found.moved[token.key] = scope
    return ""


def open_scopes(d: Decision, i: Instance, process: Process, found: Carried) -> list[str]:
    """New scopes are armed, dissolved ones end. Returns what is to be told. Raises: Failure."""
    told = []
    for key, scope, element in found.opened:
        node = process.nodes[element]
        d.record(fl.ElementActivated(key=i.key, token=key, scope=scope, element=element))
        if node.loop is not None:  # the body of a loop around what runs
            continue
        events.open_attached(d, i, i.tokens[key], node)
        if node.inputs:
            told.append(f"'{element}' was opened without its input mappings")
    for key in reversed(found.dissolved):
        token = i.tokens[key]
        d.close_holds(i, token)
        d.record(fl.ElementTerminated(key=i.key, token=key, element=token.element))
    return told


def keep_variables(d: Decision, i: Instance, found: Carried) -> None:
    """The variables of a scope that goes, for the tokens that were in it."""
    for key in found.dissolved:
        lost = i.tokens[key].vars or {}
        for kid in i.tokens[key].kids or ():
            own = i.tokens[kid].vars or {}
            if local := {name: value for name, value in lost.items() if name not in own}:
                d.record(wf.VariableSet(key=i.key, scope=kid, variables=local))


def renew(d: Decision, i: Instance, process: Process, found: Carried) -> None:
    """What the tokens waited for goes, and they enter their elements again. Raises: Failure."""
    for key in found.renewed:
        token = i.tokens[key]
        node = process.nodes[token.element]
        near = {b.id for b in node.attached} | {s.id for sub in node.event_subs for s in sub.starts}
        for incident in [k for k in token.holds or () if k in d.state.incidents]:
            d.record(wa.IncidentResolved(key=i.key, incident=incident, token=key, task=d.state.incidents[incident].task))
        d.close_holds(i, token, [k for k in token.holds or () if (x := _held(d, k)) is not None and x.element in near])
        if node.inputs:
            d.set_variables(i, key, apply_mappings(d, i, key, node.inputs), local=True)
        if node.attached or node.event_subs:
            _arm_missing(d, i, token, node)
        node.behaviour.enter(d, i, token, node)


def _held(d: Decision, key: int) -> Any:
    return d.state.timers.get(key) or d.state.subscriptions.get(key)


def _arm_missing(d: Decision, i: Instance, token: Token, node: Node) -> None:
    """One that stood before its element (an incident) has armed nothing yet."""
    if token.phase != WAITING:
        events.open_attached(d, i, token, node)
