"""Migration: an instance goes on under another version of its process.

Source: Zeebe's process instance migration, requirement D-ENG-005 and its kin. Each active element needs an element of the same kind in the target,
in the scope that its scope becomes, with the same kind of loop. What waits outside of the flow (boundary events, event sub-processes, the events
behind an event-based gateway) follows: by the mapping, else by its id. It is kept as it is (a timer keeps its moment) when it was mapped, or when
the target says the same of it; else it is withdrawn, and armed anew as the target says. What only the target has is armed. What has fired already
and is the same in the target stays fired.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import rollouts
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import ad_hoc_sub_process, compensation, conditional, events, placing, triggers
from flowledger.kernel.elements.triggers import timer
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers import carrying, loop_kinds, modify, notices
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.model.graph import Node, Process
from flowledger.kernel.state import ARRIVED, Instance, Timer, Token
from flowledger.kernel.tasks import duties

#: the token itself waits for its event
_CATCHING = frozenset({"intermediateCatchEvent", "receiveTask"})
_ATTACHED = frozenset({"boundaryEvent", "startEvent"})


TIMERS, TASKS = ("keep", "restart", "recount"), ("keep", "renew")


def migrate(d: Decision, e: c.MigrateInstance) -> Rejected | None:
    """All tokens or none. Raises: Failure: an element that is entered anew, or a scope that is opened, can't be."""
    i = d.state.instances.get(e.key)
    if i is None or i.status == "pending":
        return not_found("a running instance with key", e.key)
    target = d.state.definitions.get(e.definition)
    if target is None or target.kind != "process" or target.deleted or target.status == "deleting":
        return not_found("a process definition with key", e.definition)
    for word, known, found in (("timers", TIMERS, e.timers), ("tasks", TASKS, e.tasks)):
        if found not in known:
            return Rejected(RejectionCode.INVALID_ARGUMENT, f"{word}: expected {' or '.join(known)}, found '{found}'")
    source, process = d.process(i), d.facts.processes[e.definition]
    for old_id, new_id in e.elements.items():
        for id, where in ((old_id, source), (new_id, process)):
            if id not in where.nodes and id not in where.flows and not (where is process and not id):
                return Rejected(
                    RejectionCode.INVALID_ARGUMENT, f"expected an element of '{where.id}' version {_version(d, i, where)}, found '{id}'"
                )
    elements = e.elements
    if e.same_ids:
        elements = {**{t.element: t.element for t in i.tokens.values() if t.element in process.nodes}, **elements}
    dissolved = _withdraw(d, i, source, elements)
    if not i.tokens:
        return Rejected(RejectionCode.INVALID_STATE, f"nothing of instance {i.key} would be left: cancel it instead")
    for token in i.tokens.values():
        if token.key not in dissolved and (wrong := _problem(i, token, source, process, elements)):
            return Rejected(RejectionCode.INVALID_STATE, wrong)
    looped = loop_kinds.look(i, source, process, elements, dissolved)
    carried = carrying.look(d, i, source, process, elements, dissolved, e.tasks == "renew", looped)
    if carried.problem:
        return Rejected(RejectionCode.INVALID_STATE, carried.problem)
    before: dict[str, Any] = {"definition": i.definition, "process": i.process, "version": i.version}
    mapping = _Mapping(source, process, elements, e.timers != "keep", e.timers == "recount")
    for holder in _holders(i):
        _follow(holder, mapping)
    _follow_handlers(i, mapping)
    loop_kinds.prepare(d, i, looped, mapping)
    for holder in _holders(i):
        _disarm(d, i, holder, mapping)
    carrying.keep_variables(d, i, carried)
    kept = {k for holder in _holders(i) for k in holder.holds or ()}
    d.record(
        wf.WorkflowMigrated(
            key=i.key, definition=target.key, process=target.id, version=target.version, elements=mapping.names(), reason=e.reason, before=before,
            opened=[list(row) for row in carried.opened] or None, moved={str(k): v for k, v in carried.moved.items()} or None,
            loops=looped.rows or None,
        )
    )  # fmt: skip
    warnings = carrying.open_scopes(d, i, process, carried)
    opened = {key for key, _, _ in carried.opened}
    for holder in _holders(i):
        if holder.key not in opened:
            _arm(d, i, holder, mapping)
    loop_kinds.arm(d, i, looped, mapping)
    warnings += [*looped.told, *duties.follow(d, i, mapping.names(), source.watched, process.watched)]
    if mapping.restart:
        _restart_own(d, i, mapping, carried.renewed)
    carrying.renew(d, i, process, carried)
    if process.conditional:
        conditional.look_at_all(d, i)
        conditional.watch(d)
    placing.changed(d, i)  # a branch that was dropped, or that only the target has, would be waited for at its join for ever
    if rollouts.is_stopped(d.state, target):
        warnings.append(f"new starts of version {target.version} are stopped by its rollout: it is to run dry, and gets one more")
    warnings += [*_other_lock(d, i, before["process"]), *notices.of(d, i, source, process, mapping.names(), kept)]
    return modify.settled(d, e.key, e.force, list(dict.fromkeys(warnings)))


def _withdraw(d: Decision, i: Instance, source: Process, elements: dict[str, str]) -> list[int]:
    """What the plan drops goes. Returns scopes that go without their inside, outer ones first."""
    dissolved: list[int] = []
    for token in list(i.tokens.values()):
        if token.key not in i.tokens or elements.get(token.element, "?"):
            continue
        node = source.nodes[token.element]
        plain = node.kind == "subProcess" and node.loop is None and not node.triggered_by_event
        if plain and any(elements.get(inner.element) for inner in _below(i, token)):
            dissolved.append(token.key)
        else:
            placing.withdraw(d, i, token)
    return [k for k in dissolved if k in i.tokens]


def _below(i: Instance, token: Token) -> Iterator[Token]:
    for key in token.kids or ():
        yield i.tokens[key]
        yield from _below(i, i.tokens[key])


def _restart_own(d: Decision, i: Instance, mapping: _Mapping, renewed: Collection[int]) -> None:
    """Timers for which tokens themselves wait, from now on, or from their beginning; not those of tokens that enter anew. Raises: Failure."""
    for token in [t for t in i.tokens.values() if t.key not in renewed]:
        node = mapping.process.nodes[token.element]
        for held in [
            t for k in token.holds or () if (t := d.state.timers.get(k)) is not None and t.element == node.id and node.kind in _CATCHING
        ]:
            since = mapping.since(d, i, token.key, mapping.old(node.id), held)
            d.record(wa.TimerCancelled(key=i.key, timer=held.key, token=held.token, element=held.element))
            timer.arm(d, i, token.key, node, node.events[held.which], True, held.which, since)


def _other_lock(d: Decision, i: Instance, before: str) -> list[str]:
    """One instance per correlation key that a message started: the lock goes with it to another process."""
    if i.process == before or not i.business_key:
        return []
    old, new = (("message_start", f"{i.tenant}/{name}/{i.business_key}") for name in (before, i.process))
    records = d.state.records
    if (held := records.get(old)) is None or held["instance"] != i.key:
        return []
    d.record(le.RecordStored(registry=old[0], name=old[1], value=None))
    if (other := records.get(new)) is not None and other["instance"] in d.state.instances:
        return [f"instance {other['instance']} of '{i.process}' was started for '{i.business_key}', too"]
    d.record(le.RecordStored(registry=new[0], name=new[1], value={"instance": i.key}))
    return []


def _version(d: Decision, i: Instance, process: Process) -> int:
    return i.version if process is d.process(i) else next((x.version for x in d.state.definitions.values() if x.id == process.id), 0)


def _problem(i: Instance, token: Token, source: Process, process: Process, elements: dict[str, str]) -> str:
    """Why a token can't go on in the target, `""` when it can."""
    old = source.nodes[token.element]
    if token.element not in elements:
        return f"expected a mapping for the active element '{token.element}', found none"
    new = process.nodes[elements[token.element]]
    if wrong := loop_kinds.problem(i, token, old, new):
        return wrong
    if (
        token.phase == ARRIVED
        and len(new.incoming) > 1
        and token.flow
        and elements.get(token.flow, token.flow) not in {f.id for f in new.incoming}
    ):
        return f"a token waits at '{old.id}' on flow '{token.flow}', which does not lead to '{new.id}': expected a mapping for the flow"
    return ""


def _holders(i: Instance) -> list[Any]:
    return [i, *i.tokens.values()]


class _Mapping:
    """What becomes of each element that waits outside of the flow."""

    def __init__(self, source: Process, process: Process, elements: dict[str, str], restart: bool, recount: bool) -> None:
        """`recount`: timers begin anew at the moment at which they have begun."""
        self.source, self.process, self.elements, self.restart, self.recount = source, process, elements, restart, recount
        #: (holder, catching event of the target) whose timer runs, and begins anew -> since when (0: from now)
        self.again: dict[tuple[int, str], int] = {}
        #: catching events of the target that have their source's subscriptions, or had them; handlers of what was done that are called otherwise there
        self.followed: dict[str, str] = {}

    def names(self) -> dict[str, str]:
        return {**{old: new for old, new in self.elements.items() if new}, **self.followed}

    def new(self, element: str) -> str:
        return self.elements.get(element, element)

    def old(self, element: str) -> Node:
        return self.source.nodes[next((old for old, new in self.elements.items() if new == element), element)]

    def since(self, d: Decision, i: Instance, holder: int, old: Node, held: Timer) -> int:
        """Raises: Failure: the model that armed it can't be asked any more."""
        return timer.began(d, i, holder, old, old.events[held.which], held.due_us) if self.recount else 0

    def same(self, old: Node) -> Node | None:
        """The event of the target that goes on for `old`; None when there is none, or another."""
        new = self.process.nodes.get(self.new(old.id))
        if new is None or new.kind != old.kind or [e.kind for e in new.events] != [e.kind for e in old.events]:
            return None
        if _place(old, self.new) != _place(new, lambda id: id) or new.interrupting != old.interrupting:
            return None
        return new if old.id in self.elements or _told(old) == _told(new) else None


def _place(node: Node, new: Any) -> tuple[str, str]:
    """Where an event is attached: (host, scope) by their names in the target."""
    host = node.host.id if node.host is not None else ""
    around = node.scope.scope if node.scope is not None and node.scope.triggered_by_event else node.scope
    return new(host) if host else "", new(around.id) if around is not None else ""


def _told(node: Node) -> list[tuple[str, ...]]:
    """What the model says of an event."""
    return [
        (e.kind, getattr(e.name, "text", ""), getattr(e.correlation, "text", ""), getattr(e.condition, "text", ""), *(e.timer or ("",))[:1],
         e.timer[1].text if e.timer else "")
        for e in node.events
    ]  # fmt: skip


def _outside(holder: Any, process: Process, element: str) -> list[Node]:
    """Catching events that wait at `holder` (the instance or a token at `element`) outside of the flow."""
    if isinstance(holder, Instance):
        return [s for sub in process.root.event_subs for s in sub.starts]
    node = process.nodes[element]
    if ad_hoc_sub_process.is_inner(holder):
        return []  # one choice of it: the whole waits
    if node.kind == "eventBasedGateway":
        return [f.target for f in node.outgoing]
    subs = [s for sub in node.event_subs for s in sub.starts]
    if node.loop is not None:  # the boundary belongs to the body, the inside to each run
        return subs if holder.index else list(node.attached)
    return [*node.attached, *subs]


def _follow(holder: Any, mapping: _Mapping) -> None:
    for old in _outside(holder, mapping.source, getattr(holder, "element", "")):
        if (new := mapping.same(old)) is not None:
            mapping.followed[old.id] = new.id


def _follow_handlers(i: Instance, mapping: _Mapping) -> None:
    """What was done is undone as the target does it: by the handler that its activity has there, when the one that it had isn't there."""
    for kept in (i.compensable or {}).values():
        for done in kept:
            new = mapping.process.nodes.get(mapping.new(done.element))
            if done.handler and new is not None and mapping.new(done.handler) not in mapping.process.nodes:
                handler = compensation.handler_of(new)
                if handler is not None:
                    mapping.followed[done.handler] = handler.id


def _disarm(d: Decision, i: Instance, holder: Any, mapping: _Mapping) -> None:
    p = d.state
    outside = {n.id: n for n in _outside(holder, mapping.source, getattr(holder, "element", ""))}
    for key in list(holder.holds or ()):
        if (
            (held := p.timers.get(key)) is not None
            and held.element in outside
            and (mapping.restart or held.element not in mapping.followed)
        ):
            if held.element in mapping.followed:
                mapping.again[holder.key, mapping.followed[held.element]] = mapping.since(d, i, holder.key, outside[held.element], held)
            d.record(wa.TimerCancelled(key=i.key, timer=key, token=held.token, element=held.element))
        elif (s := p.subscriptions.get(key)) is not None and s.element in outside and s.element not in mapping.followed:
            d.close_subscription(i, s)


def _arm(d: Decision, i: Instance, holder: Any, mapping: _Mapping) -> None:
    """What the target has at this place and the source had not."""
    token = holder if isinstance(holder, Token) else next(iter(i.tokens.values()), None)
    if isinstance(holder, Token) and holder.phase == ARRIVED:
        return  # it arms when it enters
    process = mapping.process
    had = set(mapping.followed.values())
    scope = process.root if isinstance(holder, Instance) else process.nodes[holder.element]
    if not isinstance(holder, Instance) and not scope.behaviour.activity and scope.kind != "eventBasedGateway":
        return
    taken = _interrupted(i, holder, process)
    for node in _outside(holder, process, getattr(holder, "element", "")):
        if (node.id in had and (holder.key, node.id) not in mapping.again) or (taken and node.kind == "startEvent"):
            continue
        try:
            for which, event in enumerate(node.events):
                if event.kind not in events.THROWN and (node.id not in had or event.kind == "timer"):
                    stops = node.interrupting if node.kind in _ATTACHED else True
                    if since := mapping.again.get((holder.key, node.id), 0):
                        timer.arm(d, i, holder.key, node, event, stops, which, since)
                    else:
                        triggers.arm(d, i, holder.key, node, event, stops, which)
        except Failure as failure:
            if token is not None and not token.incident:
                d.incident(i, token, failure)


def _interrupted(i: Instance, holder: Any, process: Process) -> bool:
    """An interrupting event sub-process runs in this scope: the scope's others are closed."""
    for key in holder.kids or ():
        node = process.nodes[i.tokens[key].element]
        if node.triggered_by_event and any(s.interrupting for s in node.starts):
            return True
    return False
