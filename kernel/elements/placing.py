"""Where a token may be put from outside (a start before an element, a modification), and what then stands around it.

Source: requirements WSM-DAG-006, WSM-RES-005; Zeebe's process instance modification. Scopes that don't run yet are opened; of several that run the
caller names one. A loop's body is made by the loop alone: its inside can be entered only while a run of it is there. A step that runs again takes
back what it has brought to a join that still waits. A token put before a join goes through it. In an instance that was changed so, a parallel join
waits for what can still come, as an inclusive one does, and takes all that came: so none is left behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel import limits
from flowledger.kernel.elements import ad_hoc_sub_process, events, joins, loops
from flowledger.kernel.expressions import Failure
from flowledger.kernel.fold import holder_of
from flowledger.kernel.model.graph import Node, Process
from flowledger.kernel.state import WAITING, Instance, Token

#: told when several scopes are possible; more are counted
CHOICES_MAX = 20


def problem(process: Process, element: str) -> str:
    """Why no token can be put before `element`, `""` when one can."""
    node = process.nodes.get(element)
    if node is None:
        return f"expected an element of '{process.id}', found '{element}'"
    if node.kind == "boundaryEvent":
        return f"a token can't be put before the boundary event '{element}': it begins by its event"
    if node.kind == "startEvent" and node.scope is not None:
        return f"a token can't be put before the start event '{element}': activate its sub-process"
    if node.triggered_by_event:
        return f"a token can't be put before the event sub-process '{element}': activate an element in it"
    if node.for_compensation:
        return f"a token can't be put before '{element}': it runs as compensation only"
    return ""


def unknown_scope(node: Node, variables: Iterable[str]) -> str:
    """Why variables can't be set in one of these scopes (`""`: the instance) with a token before `node`; `""`: they can."""
    known = ["", node.id, *(outer.id for outer in subs_around(node))]
    wrong = next((name for name in variables if name not in known), None)
    return "" if wrong is None else f"expected variables for '{node.id}' or a scope around it, found the scope '{wrong}'"


def subs_around(node: Node) -> list[Node]:
    """The sub-processes around a node, the innermost first."""
    found = []
    at = node.scope
    while at is not None:
        found.append(at)
        at = at.scope
    return found


def _runs(i: Instance, outer: Node) -> list[Token]:
    """Tokens in whose scope the elements of `outer` run: of a loop its runs, of an ad-hoc sub-process itself."""
    return [
        t
        for t in i.tokens.values()
        if t.element == outer.id and (outer.loop is None or t.index) and not ad_hoc_sub_process.is_inner(t)
        and (t.kids is not None or (outer.kind == "adHocSubProcess" and t.phase == WAITING))
    ]  # fmt: skip


def scopes_of(i: Instance, key: int) -> Iterator[int]:
    """The tokens around a token, the innermost first."""
    token = i.tokens.get(key)
    while token is not None and token.scope in i.tokens:
        yield token.scope
        token = i.tokens[token.scope]


def is_run_around(i: Instance, key: int, node: Node) -> bool:
    """Elements like `node` run in the scope of this token."""
    token = i.tokens[key]
    return any(outer.id == token.element and token in _runs(i, outer) for outer in subs_around(node))


def is_body(token: Token, node: Node) -> bool:
    """The token is the body of the multi-instance activity `node`."""
    return (
        token.element == node.id
        and not token.index
        and node.loop is not None
        and node.loop.kind == "multi"
        and not ad_hoc_sub_process.is_inner(token)
    )


def no_further_run(i: Instance, body: Token, node: Node, variables: dict[str, Any]) -> str:
    """Why a multi-instance body can't get one run more with these variables, `""` when it can."""
    loop, data = node.loop, body.data or {}
    assert loop is not None
    if "total" not in data:
        return f"the body {body.key} of '{node.id}' has not begun"
    if data["total"] >= limits.ITEMS_MAX or not (loops.runs_later(i, body, node) or loops.room(body)):
        return f"the body {body.key} of '{node.id}' has as many runs as one may have"
    if loop.element and loop.collection is not None and loop.element not in variables:
        return f"'{node.id}' runs over a collection: expected the variable '{loop.element}' for the further run, found none"
    if loops.runs_later(i, body, node) and (others := sorted(variables.keys() - {loop.element})):
        return f"the further run of '{node.id}' comes in its turn, with '{loop.element or 'no variable'}' alone: found {', '.join(others)}"
    return ""


def scope_of(i: Instance, node: Node, ancestor: int, opened: frozenset[str] | set[str] = frozenset(), within: int = 0) -> int | str:
    """The scope (a token's key, or the instance's) from which on scopes are to be opened for `node`; a text says why there is none.

    `opened`: sub-processes that an earlier instruction opens. `within`: what is found is this scope, or one in it.
    """
    around = subs_around(node)
    if ancestor == i.key:
        to_make, found = around, i.key
    elif ancestor:
        token = i.tokens.get(ancestor)
        level = next((n for n, outer in enumerate(around) if token is not None and outer.id == token.element), None)
        if token is None or level is None or token not in _runs(i, around[level]):
            return f"expected the key of a running scope around '{node.id}', found {ancestor}"
        to_make, found = around[:level], ancestor
    else:
        to_make, found = around, i.key
        for level, outer in enumerate(around):
            if outer.id in opened:
                to_make = around[:level]
                break
            runs = [t for t in _runs(i, outer) if not within or within in (t.key, *scopes_of(i, t.key))]
            if len(runs) > 1:
                keys = ", ".join(str(t.key) for t in runs[:CHOICES_MAX])
                return f"'{outer.id}' runs {len(runs)} times: expected one of its scopes to be named, found none; choices: {keys}"
            if runs:
                to_make, found = around[:level], runs[0].key
                break
    if looped := next((outer for outer in to_make if outer.loop is not None), None):
        return f"'{node.id}' stands in the loop '{looped.id}', of which nothing runs: activate '{looped.id}' itself"
    return found


def unheard(process: Process, i: Instance, node: Node, scope: int) -> list[str]:
    """Sub-processes that are opened for `node` under `scope` without their input mappings."""
    around = subs_around(node)
    names = [outer.id for outer in around]
    begin = names.index(i.tokens[scope].element) if scope != i.key else len(around)
    return [outer.id for outer in around[:begin] if outer.inputs]


def to_open(i: Instance, node: Node) -> set[str]:
    """Sub-processes around a node that do not run yet."""
    found = set()
    for outer in subs_around(node):
        if _runs(i, outer):
            break
        found.add(outer.id)
    return found


def place(
    d: Any, i: Instance, node: Node, variables: dict[str, dict[str, Any]], ancestor: int = 0, strict: bool = False, within: int = 0
) -> int:
    """A new token before `node`; scopes around it that don't run yet are opened. Returns the token.

    `strict`: a scope that can't arm its events is no incident of its own. Raises: Failure then.
    """
    found = scope_of(i, node, ancestor, within=within)
    assert not isinstance(found, str), found
    scope = found
    running, left = found, dict(variables)
    while running != i.key:  # scopes that run already
        token = i.tokens[running]
        if given := left.pop(token.element, None):
            d.set_variables(i, running, given, local=True)
        running = token.scope
    around = subs_around(node)
    names = [outer.id for outer in around]
    begin = names.index(i.tokens[scope].element) if scope != i.key else len(around)
    for outer in reversed(around[:begin]):
        scope = _inside(d, i, scope, outer.scope, outer.id)
        kid = d.key()
        d.record(fl.ElementActivated(key=i.key, token=kid, scope=scope, element=outer.id))
        d.record(fl.ElementActivated(key=i.key, token=kid, scope=scope, element=outer.id, variables=variables.get(outer.id)))
        try:
            events.open_attached(d, i, i.tokens[kid], outer)
        except Failure as failure:
            if strict:
                raise Failure(failure.code, f"'{outer.id}' can't be opened: {failure.message}") from None
            d.incident(i, i.tokens[kid], failure)
        scope = kid
    scope = _inside(d, i, scope, node.scope, node.id)
    _reopen(d, i, scope, node)
    kid = d.key()
    d.record(fl.ElementActivated(key=i.key, token=kid, scope=scope, element=node.id, variables=variables.get(node.id)))
    d.push(i, kid)
    return int(kid)


def _reopen(d: Any, i: Instance, scope: int, node: Node) -> None:
    """What this step has brought to joins before is brought anew: the tokens that wait there on its ways are withdrawn."""
    for join in (node.scope or node.process.root).children:
        if join is node or len(join.incoming) < 2 or join.kind not in joins.SYNCHRONISE:
            continue
        reach = joins.reach(join)
        for key in list(holder_of(i, scope).kids or ()):
            token = i.tokens[key]
            if joins.at_join(token, join) and reach.get(token.flow, 0) >> node.order & 1:
                d.terminate(i, token)


def _inside(d: Any, i: Instance, scope: int, outer: Node | None, element: str) -> int:
    """In an ad-hoc sub-process each choice has a scope of its own."""
    if outer is None or outer.kind != "adHocSubProcess" or scope == i.key or ad_hoc_sub_process.is_inner(i.tokens[scope]):
        return scope
    return int(ad_hoc_sub_process.open_choice(d, i, i.tokens[scope], outer, None))


def changed(d: Any, i: Instance) -> None:
    """Tokens of the instance were moved by hand: its joins are looked at anew, now and from now on."""
    d.record(fl.TokenNoted(key=i.key, token=i.key, data={"modified": True}))
    for scope in {t.scope for t in i.tokens.values()}:
        d.touched[i.key, scope] = None


def withdraw(d: Any, i: Instance, token: Token) -> None:
    """A token is terminated, and with it each scope around it in which nothing is left; the flow does not go on behind them."""
    nodes = d.process(i).nodes
    while True:
        scope = token.scope
        d.terminate(i, token)
        outer = i.tokens.get(scope)
        if outer is None or outer.kids:
            return
        node = nodes[outer.element]
        holds_others = node.is_scope or (node.loop is not None and not outer.index)  # else it only carries handlers
        if not holds_others or _goes_on(outer, node, outer.data or {}):
            d.push(i, scope)
            return
        token = outer


def _goes_on(outer: Token, node: Node, data: dict[str, Any]) -> bool:
    """A loop with runs that were done or are to come; an ad-hoc sub-process of which more is to be chosen."""
    if node.loop is not None and not outer.index:
        return bool(outer.done or data.get("spawned", 0) < data.get("total", 0))
    return node.kind == "adHocSubProcess" and "inner" not in data and bool(node.config.chosen or node.config.work or data.get("queue"))
