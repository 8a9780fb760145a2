"""Tokens and their scopes: who stands where, and what goes with whom."""

from __future__ import annotations

from typing import Any

from flowledger.events.commands import PARTITION_BITS
from flowledger.kernel.folds.holds import remove_subscription, remove_task
from flowledger.kernel.state import READY, WAITING, Instance, Partition, Token

_COUNTER_MASK = (1 << PARTITION_BITS) - 1


#: more kids than this are kept as a dict (an ordered set)
_KIDS_LIST_MAX = 8


def seen_key(p: Partition, key: int) -> None:
    """The counter never gives a key twice."""
    if key >> PARTITION_BITS == p.meta.partition and (n := key & _COUNTER_MASK) > p.meta.counter:
        p.meta.counter = n


def kid_added(holder: Any, key: int) -> None:
    kids = holder.kids
    if kids is None:
        holder.kids = [key]
    elif type(kids) is list:
        kids.append(key)
        if len(kids) > _KIDS_LIST_MAX:
            holder.kids = dict.fromkeys(kids)
    else:
        kids[key] = None


def kid_removed(holder: Any, key: int) -> None:
    kids = holder.kids
    if kids is not None:
        if type(kids) is list:
            if key in kids:
                kids.remove(key)
        else:
            kids.pop(key, None)
        if not kids:
            holder.kids = None


def holder_of(i: Instance, scope: int) -> Any:
    """The token of a scope, or the instance for the root scope; None when it is gone."""
    return i if scope == i.key else i.tokens.get(scope)


def add_token(i: Instance, token: Token) -> None:
    i.tokens[token.key] = token
    holder = holder_of(i, token.scope)
    if holder is not None:
        kid_added(holder, token.key)


def remove_token(p: Partition, i: Instance, key: int) -> None:
    """The token, all below it and all that they hold are gone. A scope whose last token ended is to be looked at."""
    token = i.tokens.pop(key, None)
    if token is None:
        return
    for kid in list(token.kids or ()):
        remove_token(p, i, kid)
    for held in token.holds or ():
        drop_held(p, i, held)
    if i.compensable:
        forget(i, key)
        if token.data is not None and "record" in token.data:
            forget(i, token.data["record"])
    if i.spawning is not None and key in i.spawning:
        i.spawning.remove(key)
    holder = holder_of(i, token.scope)
    if holder is not None:
        kid_removed(holder, key)
        if holder.kids is None and holder is not i and holder.phase == WAITING:
            holder.phase = READY


def forget(i: Instance, scope: int) -> None:
    """What could be compensated in a scope can't be any more."""
    assert i.compensable is not None
    for kept in i.compensable.pop(scope, ()):
        forget(i, kept.record)


def drop_held(p: Partition, i: Instance, key: int) -> None:
    if key in p.tasks:
        remove_task(p, p.tasks[key])
    elif key in p.timers:
        del p.timers[key]
    elif key in p.subscriptions:
        remove_subscription(p, p.subscriptions[key])
    elif key in p.incidents:
        del p.incidents[key]
        if i.incidents and key in i.incidents:
            i.incidents.remove(key)


def clear_stay(p: Partition, i: Instance, token: Token) -> None:
    """The token leaves its element: what belonged to that stay is gone."""
    if token.holds:
        for held in token.holds:
            drop_held(p, i, held)
        token.holds = None
    if i.spawning is not None and token.key in i.spawning:
        i.spawning.remove(token.key)
    token.vars = token.data = token.results = None
    token.done = token.incident = token.handler_of = 0


def hold(p: Partition, i: Instance, token_key: int, key: int, element: str) -> None:
    """`key` is something that the token waits for; at its own element that makes it WAITING."""
    holder = holder_of(i, token_key)
    if holder is None:
        return
    if holder.holds is None:
        holder.holds = [key]
    else:
        holder.holds.append(key)
    if holder is not i and holder.element == element:
        holder.phase = WAITING


def unhold(i: Instance | None, token_key: int, key: int) -> Any:
    if i is None:
        return None
    holder = holder_of(i, token_key)
    if holder is not None and holder.holds and key in holder.holds:
        holder.holds.remove(key)
        if not holder.holds:
            holder.holds = None
    return holder
