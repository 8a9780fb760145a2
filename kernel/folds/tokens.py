"""Tokens and their scopes: who stands where, and what goes with whom."""

from __future__ import annotations

from typing import Any

from flowledger.events.commands import PARTITION_BITS
from flowledger.kernel.folds.holds import remove_subscription, remove_task
from flowledger.kernel.state import READY, WAITING, Instance, Partition, Token
from flowledger.kernel.undo import drop, drop_ordered, drop_placed, keep, put

_COUNTER_MASK = (1 << PARTITION_BITS) - 1


#: more kids than this are kept as a dict (an ordered set)
_KIDS_LIST_MAX = 8


def seen_key(p: Partition, key: int) -> None:
    """The counter never gives a key twice."""
    meta = p.meta
    if (n := key & _COUNTER_MASK) > meta.counter and key >> PARTITION_BITS == meta.partition:
        meta.counter = n


def kid_added(p: Partition, holder: Any, key: int) -> None:
    kids = holder.kids
    if type(kids) is dict:
        put(p, kids, key, None)
        return
    keep(p, holder)
    kids = [*(kids or ()), key]
    holder.kids = kids if len(kids) <= _KIDS_LIST_MAX else dict.fromkeys(kids)


def kid_removed(p: Partition, holder: Any, key: int) -> None:
    kids = holder.kids
    if type(kids) is dict:
        drop_ordered(p, kids, key)
        if kids:
            return
    keep(p, holder)
    holder.kids = [k for k in kids or () if k != key] or None


def holder_of(i: Instance, scope: int) -> Any:
    """The token of a scope, or the instance for the root scope; None when it is gone."""
    return i if scope == i.key else i.tokens.get(scope)


def add_token(p: Partition, i: Instance, token: Token) -> None:
    put(p, i.tokens, token.key, token)
    holder = holder_of(i, token.scope)
    if holder is not None:
        kid_added(p, holder, token.key)


def move_token(p: Partition, i: Instance, key: int, scope: int) -> None:
    """The token goes on in another scope, with all below it."""
    token = i.tokens[key]
    if (holder := holder_of(i, token.scope)) is not None:
        kid_removed(p, holder, key)
    keep(p, token)
    token.scope = scope
    kid_added(p, holder_of(i, scope), key)


def remove_token(p: Partition, i: Instance, key: int) -> None:
    """The token, all below it and all that they hold are gone. A scope whose last token ended is to be looked at."""
    token = drop_ordered(p, i.tokens, key)
    if token is None:
        return
    for kid in list(token.kids or ()):
        remove_token(p, i, kid)
    for held in token.holds or ():
        drop_held(p, i, held)
    if i.compensable:
        forget(p, i, key)
        if token.data is not None and "record" in token.data:
            forget(p, i, token.data["record"])
    spawned(p, i, key)
    holder = holder_of(i, token.scope)
    if holder is not None:
        kid_removed(p, holder, key)
        if holder.kids is None and holder is not i and holder.phase == WAITING:
            holder.phase = READY


def spawned(p: Partition, i: Instance, body: int) -> None:
    """The multi-instance body has spawned all its runs, or is gone."""
    if i.spawning is not None and body in i.spawning:
        keep(p, i)
        i.spawning = [k for k in i.spawning if k != body] or None


def forget(p: Partition, i: Instance, scope: int) -> None:
    """What could be compensated in a scope can't be any more."""
    assert i.compensable is not None
    for kept in drop_placed(p, i.compensable, scope) or ():
        forget(p, i, kept.record)


def drop_held(p: Partition, i: Instance, key: int) -> None:
    if key in p.tasks:
        remove_task(p, p.tasks[key])
    elif key in p.timers:
        drop(p, p.timers, key)
    elif key in p.subscriptions:
        remove_subscription(p, p.subscriptions[key])
    elif key in p.incidents:
        drop(p, p.incidents, key)
        if i.incidents and key in i.incidents:
            keep(p, i)
            i.incidents = [k for k in i.incidents if k != key] or None


def clear_stay(p: Partition, i: Instance, token: Token) -> None:
    """The token leaves its element: what belonged to that stay is gone. The caller has kept the token."""
    if token.holds:
        for held in token.holds:
            drop_held(p, i, held)
        token.holds = None
    spawned(p, i, token.key)
    token.vars = token.data = token.results = None
    token.done = token.incident = token.handler_of = 0


def hold(p: Partition, i: Instance, token_key: int, key: int, element: str) -> None:
    """`key` is something that the token waits for; at its own element that makes it WAITING."""
    holder = holder_of(i, token_key)
    if holder is None:
        return
    keep(p, holder)
    holder.holds = [*(holder.holds or ()), key]
    if holder is not i and holder.element == element:
        holder.phase = WAITING


def unhold(p: Partition, i: Instance | None, token_key: int, key: int) -> Any:
    """The holder; what it holds and its phase are kept, and may be given other values."""
    if i is None:
        return None
    holder = holder_of(i, token_key)
    if holder is not None:
        holds = holder.holds
        keep_stay(p, holder)
        if holds and key in holds:
            holder.holds = None if len(holds) == 1 else [k for k in holds if k != key]
    return holder


def keep_stay(p: Partition, holder: Any) -> None:
    """What a token or an instance holds, and a token's phase, are about to be given other values."""
    if p.undo is not None:
        p.undo.append((_restay, holder, holder.holds, holder.phase) if type(holder) is Token else (_rehold, holder, holder.holds, None))


def _restay(token: Token, holds: Any, phase: int) -> None:
    token.holds, token.phase = holds, phase


def _rehold(i: Instance, holds: Any, _: None) -> None:
    i.holds = holds
