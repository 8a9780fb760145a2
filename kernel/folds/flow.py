"""Folds of `flow.taken`, `element.*`, loops, compensation, data stores."""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events.base import Envelope
from flowledger.kernel.folds.tokens import add_token, clear_stay, holder_of, remove_token, seen_key, spawned
from flowledger.kernel.state import ARRIVED, READY, WAITING, Compensable, Instance, Partition, Token
from flowledger.kernel.undo import append, drop_placed, keep, nest, put


def element_activated(p: Partition, e: fl.ElementActivated, v: Envelope) -> None:
    i = p.instances[e.key]
    token = i.tokens.get(e.token)
    if token is None:
        seen_key(p, e.token)
        add_token(
            p,
            i,
            Token(
                key=e.token, scope=e.scope, element=e.element, index=e.index, handler_of=e.handler_of,
                vars=dict(e.variables) if e.variables else None,
            ),
        )  # fmt: skip
        if e.index and (body := i.tokens.get(e.scope)) is not None and body.data is not None:
            put(p, body.data, "spawned", e.index)
            if body.phase != WAITING:
                keep(p, body)
                body.phase = WAITING
        return
    keep(p, token)
    token.phase = WAITING
    if e.variables:
        token.vars = {**(token.vars or {}), **e.variables}


def flow_taken(p: Partition, e: fl.FlowTaken, v: Envelope) -> None:
    i = p.instances[e.key]
    token = i.tokens[e.token]
    if e.spawned:
        seen_key(p, e.spawned)
        add_token(p, i, Token(key=e.spawned, scope=token.scope, element=e.target, flow=e.flow))
        return
    if p.undo is not None:
        p.undo.append((_untaken, token, token.element, (token.flow, token.phase, token.handler_of)))
    if token.holds is not None or token.vars is not None or token.data is not None or token.results is not None or token.incident:
        keep(p, token)
        clear_stay(p, i, token)
    token.element, token.flow = e.target, e.flow
    if token.phase:
        token.phase = ARRIVED
    if token.handler_of:
        token.handler_of = 0


def _untaken(token: Token, element: str, others: tuple[str, int, int]) -> None:
    token.element = element
    token.flow, token.phase, token.handler_of = others


def gateway_reached(p: Partition, e: fl.GatewayReached, v: Envelope) -> None:
    i = p.instances[e.key]
    for key in e.consumed:
        remove_token(p, i, key)
    token = i.tokens[e.token]
    keep(p, token)
    token.phase = READY
    if e.state is not None:
        holder = holder_of(i, token.scope)
        if holder is not None:
            keep(p, holder)
        if holder is i:
            i.stores = {**(i.stores or {}), f"gateway:{e.element}": e.state}
        elif holder is not None:
            holder.data = {**(holder.data or {}), f"gateway:{e.element}": e.state}


def element_completed(p: Partition, e: fl.ElementCompleted, v: Envelope) -> None:
    i = p.instances.get(e.key)
    if i is not None:
        remove_token(p, i, e.token)


def element_terminated(p: Partition, e: fl.ElementTerminated, v: Envelope) -> None:
    i = p.instances.get(e.key)
    if i is not None:
        remove_token(p, i, e.token)


def token_noted(p: Partition, e: fl.TokenNoted, v: Envelope) -> None:
    i = p.instances[e.key]
    holder = holder_of(i, e.token)
    if holder is not None:
        keep(p, holder)
    if isinstance(holder, Token):
        holder.data = {**(holder.data or {}), **e.data}
        if holder.data.pop("ready", False):
            holder.phase = READY
        if holder.data.pop("waiting", False):
            holder.phase = WAITING
        if holder.data.pop("spawned_all", False):
            spawned(p, i, e.token)
    elif holder is not None:
        holder.stores = {**(holder.stores or {}), **e.data}


def loop_started(p: Partition, e: fl.LoopStarted, v: Envelope) -> None:
    i = p.instances[e.key]
    token = i.tokens[e.token]
    keep(p, token)
    token.phase = WAITING
    token.data = {**(token.data or {}), "total": e.total, "sequential": e.sequential, "items": e.items, "spawned": 0}
    token.results = {}
    token.done = 0
    if not e.sequential:
        keep(p, i)
        i.spawning = [*(i.spawning or ()), e.token]


def loop_item_completed(p: Partition, e: fl.LoopItemCompleted, v: Envelope) -> None:
    i = p.instances[e.key]
    body = i.tokens[e.token]
    keep(p, body)
    body.done += 1
    if e.result is not None:
        if body.results is None:
            body.results = {}
        put(p, body.results, e.index, e.result)
    remove_token(p, i, e.item)
    if 0 <= (body.data or {}).get("total", -1) <= body.done:
        body.phase = READY


def error_occurred(p: Partition, e: fl.ErrorOccurred, v: Envelope) -> None:
    """A fact for readers; what it does follows as events of its own."""


def compensation_recorded(p: Partition, e: fl.CompensationRecorded, v: Envelope) -> None:
    seen_key(p, e.record)
    i = p.instances[e.key]
    kept = i.compensable
    if kept is None:
        keep(p, i)
        kept = i.compensable = {}
    if (inside := drop_placed(p, kept, e.token)) is not None:
        put(p, kept, e.record, inside)
    append(p, nest(p, kept, e.scope, list), Compensable(record=e.record, element=e.element, handler=e.handler, vars=e.variables))


def compensation_started(p: Partition, e: fl.CompensationStarted, v: Envelope) -> None:
    """What is to be undone stands in the token from now on, as `[record, element, handler, variables]`."""
    i = p.instances[e.key]
    taken: dict[int, Compensable | None] = dict.fromkeys(e.activities)
    keep(p, i)
    kept = dict(i.compensable or {})
    seen = {record: _seen(i, kept, record, e.token) for record in taken}
    for scope in list(kept):
        for c in kept[scope]:
            if c.record in taken:
                taken[c.record] = c
        kept[scope] = [c for c in kept[scope] if c.record not in taken]
        if not kept[scope]:
            del kept[scope]
    i.compensable = kept or None
    if (token := i.tokens.get(e.token)) is not None:
        keep(p, token)
        token.phase = WAITING
        undo = [
            [c.record, c.element, c.handler, {**seen[c.record], **(c.vars or {})} or None]
            for c in taken.values()
            if c is not None and c.handler
        ]
        token.data = {**(token.data or {}), "undo": undo, "undone": 0}


def _seen(i: Instance, kept: dict[int, list[Compensable]], record: int, token: int) -> dict[str, Any]:
    """The locals of the scopes around a completed activity, as they were or are, that the handler's own place doesn't see."""
    around = {c.record: (scope, c.vars) for scope, cs in kept.items() for c in cs}
    own = set()
    at = i.tokens.get(token)
    while at is not None:
        own.add(at.scope)
        at = i.tokens.get(at.scope)
    layers = []
    scope = around[record][0] if record in around else i.key
    while scope not in own and scope != i.key:
        if scope in around:
            scope, local = around[scope]
        elif (live := i.tokens.get(scope)) is not None:
            scope, local = live.scope, live.vars
        else:
            break
        layers.append(local or {})
    return {name: value for layer in reversed(layers) for name, value in layer.items()}


def compensation_completed(p: Partition, e: fl.CompensationCompleted, v: Envelope) -> None:
    if (token := p.instances[e.key].tokens.get(e.token)) is not None:
        keep(p, token)
        token.phase = READY


def data_written(p: Partition, e: fl.DataWritten, v: Envelope) -> None:
    put(p, p.records, ("data_store", f"{v.tenant}/{e.store}"), {"value": e.value})
    p.changed.add(("record", ("data_store", f"{v.tenant}/{e.store}")))
