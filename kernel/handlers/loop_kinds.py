"""An activity whose loop is another in the target: none, parallel, sequential or standard (docs/control.md, "Migrate").

From one loop to another the body stays with its runs and counters; what hasn't begun follows the target's kind. Where only the target has a loop the work in
hand becomes its first run, in a body that is made around it. Where only the source has one its last active run goes on by itself, in the place of the
body; with several there is no place for them, which is told.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.kernel import protection
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import ad_hoc_sub_process, loops, triggers
from flowledger.kernel.elements.events import THROWN
from flowledger.kernel.elements.triggers import timer
from flowledger.kernel.model.graph import Node, Process
from flowledger.kernel.state import ARRIVED, Instance, Timer, Token


class Timed(NamedTuple):
    """A timer that goes over to another token. `since`: it begins anew then; -1: it keeps its moment."""

    held: Timer
    since: int


class Loops:
    """`bodies`: body -> its kind changes; `wrapped`: token -> its body, which is made; `bare`: body -> its one run, which takes its place.
    `rows`: as in `workflow.migrated`. `told`: warnings."""

    def __init__(self) -> None:
        self.bodies: list[int] = []
        self.wrapped: dict[int, int] = {}
        self.bare: dict[int, int] = {}
        self.rows: list[list[Any]] = []
        self.told: list[str] = []
        #: body -> what its runs have as their item
        self._items: dict[int, list[Any] | None] = {}
        self._timers: dict[tuple[int, str, int], Timed] = {}

    @property
    def gone(self) -> list[int]:
        return list(self.bare)

    def outer(self, key: int) -> bool:
        """The token's place is not in its body."""
        return key in self.bare.values()


def kind(node: Node) -> str:
    if node.loop is None:
        return "no loop"
    return f"a {'sequential' if node.loop.sequential else 'parallel'} loop" if node.loop.kind == "multi" else "a standard loop"


def problem(i: Instance, token: Token, old: Node, new: Node) -> str:
    """Why the token can't go on in another kind of loop, `""` when it can."""
    if kind(old) == kind(new) or not _begun(token) or token.index or ad_hoc_sub_process.is_inner(token):
        return ""
    if token.handler_of:
        return f"'{old.id}' is {kind(old)}, '{new.id}' {kind(new)}: what compensates keeps its loop"
    if new.loop is None and token.incident:
        return f"'{old.id}' is {kind(old)}, '{new.id}' none: resolve the incident of its body first"
    if new.loop is None and (count := len(token.kids or ())) != 1:
        runs = f"{count} runs of '{old.id}' are active" if count else f"no run of '{old.id}' is active"
        return (
            f"{runs}, '{new.id}' is no loop, with room for one: withdraw the others or let them end first, or keep the loop in the target"
        )
    return ""


def _begun(token: Token) -> bool:
    """One that stands before its element (an incident) enters the target's."""
    return token.phase != ARRIVED or (token.data is not None and ("total" in token.data or "opened" in token.data))


def look(i: Instance, source: Process, process: Process, elements: dict[str, str], dissolved: list[int]) -> Loops:
    """Nothing is changed."""
    found = Loops()
    for token in i.tokens.values():
        if token.key in dissolved or token.index or ad_hoc_sub_process.is_inner(token):
            continue
        old, new = source.nodes[token.element], process.nodes[elements[token.element]]
        if kind(old) == kind(new) or not _begun(token):
            continue
        if old.loop is None:
            found.wrapped[token.key] = 0
        elif new.loop is None:
            found.bare[token.key] = next(iter(token.kids or ()))
        else:
            found.bodies.append(token.key)
    return found


def prepare(d: Decision, i: Instance, found: Loops, mapping: Any) -> None:
    """Before the event: what the target's loops are over, and what waits at a token whose place another takes. Raises: Failure."""
    process = mapping.process
    for key in found.bodies:
        body = i.tokens[key]
        old, new = mapping.source.nodes[body.element], process.nodes[mapping.new(body.element)]
        was = body.data or {}
        data: dict[str, Any] = {"sequential": new.loop.sequential}
        if old.loop.kind != new.loop.kind:
            total, items = loops.asked_for(d, i, body.scope, new, new.loop)
            data |= {"total": _total(total, was["spawned"]), "items": items}
            found._items[key] = items
        found.rows.append([key, 0, data, _spawns(new, data.get("total", was["total"]), was["spawned"])])
        found.told.append(f"'{new.id}': {kind(old)} becomes {kind(new)}; what has begun goes on as it is")
    for key, made in found.wrapped.items():
        token = i.tokens[key]
        new = process.nodes[mapping.new(token.element)]
        total, items = loops.asked_for(d, i, token.scope, new, new.loop)
        data = {"total": _total(total, 1), "sequential": new.loop.sequential, "items": items, "spawned": 1}
        found._items[made] = items
        found.rows += [[made, 0, data, _spawns(new, data["total"], 1)], [key, 1, None, False]]
        found.told.append(f"'{new.id}' is {kind(new)}: the work in hand is its first run{f' of {total}' if total >= 0 else ''}")
        _take(d, i, found, mapping, token, made)
    for gone, run in found.bare.items():
        token = i.tokens[gone]
        old = mapping.source.nodes[token.element]
        found.rows.append([run, 0, None, False])
        _results(d, i, found, token, old)
        _take(d, i, found, mapping, token, run)


def _total(asked: int, spawned: int) -> int:
    return max(asked, spawned) if asked >= 0 else -1


def _spawns(node: Node, total: int, spawned: int) -> bool:
    return node.loop is not None and not node.loop.sequential and spawned < total


def _results(d: Decision, i: Instance, found: Loops, body: Token, old: Node) -> None:
    loop, data = old.loop, body.data
    assert loop is not None and data is not None
    left = data["total"] - data["spawned"]
    rest = f", and {left} that had not begun are not done any more" if left > 0 else ""
    found.told.append(f"'{old.id}' is no loop any more: its run {data['spawned']} goes on alone{rest}")
    if body.key in (i.compensable or {}):
        found.told.append(f"what runs of '{old.id}' have done before can't be compensated any more")
    if loop.output and body.results:
        collected = [body.results.get(n) for n in range(1, data["spawned"] + 1)]
        d.set_variables(i, d.home_of(i, body.scope, loop.output), protection.collected(d, i, loop.output, collected), local=True)


def _take(d: Decision, i: Instance, found: Loops, mapping: Any, holder: Token, to: int) -> None:
    """Boundary events wait at `to` from now on: they are withdrawn here, and armed there."""
    attached = {n.id: n for n in mapping.source.nodes[holder.element].attached}
    for key in list(holder.holds or ()):
        if (t := d.state.timers.get(key)) is not None and t.element in attached:
            if (new := mapping.same(attached[t.element])) is not None:
                since = mapping.since(d, i, holder.key, attached[t.element], t) if mapping.restart else -1
                found._timers[to, new.id, t.which] = Timed(t, since)
            d.record(wa.TimerCancelled(key=i.key, timer=key, token=t.token, element=t.element))
        elif (s := d.state.subscriptions.get(key)) is not None and s.element in attached:
            d.close_subscription(i, s)


def arm(d: Decision, i: Instance, found: Loops, mapping: Any) -> None:
    """After the event. Raises: Failure."""
    process, had = mapping.process, set(mapping.followed.values())
    for holder in (*found.wrapped.values(), *found.bare.values()):
        for node in process.nodes[i.tokens[holder].element].attached:
            if node.id not in had and holder in found.bare.values():
                continue  # it is armed with all else that is new
            for which, event in enumerate(node.events):
                if event.kind != "timer" and event.kind not in THROWN:
                    triggers.arm(d, i, holder, node, event, node.interrupting, which)
                elif event.kind == "timer":
                    _time(d, i, found, had, holder, node, which)
    for body, items in found._items.items():
        loop = process.nodes[i.tokens[body].element].loop
        assert loop is not None
        own = loops.own_result(loop)
        for key in i.tokens[body].kids or ():
            run = i.tokens[key]
            local = loops.numbered(loop, run.index)
            if items is not None and loop.element and run.index <= len(items):
                local[loop.element] = items[run.index - 1]
            if own and own not in (run.vars or {}):
                local.setdefault(own, None)
            d.record(wf.VariableSet(key=i.key, scope=key, variables=local))
    for key, _, _, spawns in found.rows:
        if spawns:
            loops.spawn(d, i, i.tokens[key])


def _time(d: Decision, i: Instance, found: Loops, had: set[str], holder: int, node: Node, which: int) -> None:
    """Raises: Failure."""
    timed = found._timers.get((holder, node.id, which))
    if timed is None and node.id in had:
        return  # it has fired
    if timed is None or timed.since >= 0:
        timer.arm(d, i, holder, node, node.events[which], node.interrupting, which, timed.since if timed is not None else 0)
        return
    t = timed.held
    d.record(
        wa.TimerScheduled(
            key=i.key, timer=d.key(), token=holder, element=node.id, due_us=t.due_us, repeat=t.repeat, left=t.left, which=which
        )
    )
