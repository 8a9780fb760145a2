"""The journal of a decision: what folds change in a partition can be taken back, so that a decision is whole or never was.

Folds change state through these verbs only. While a decision runs, `Partition.undo` is a list, and each change leaves the step that takes it
back; while a log is read it is None, and nothing is kept. `roll_back` takes the steps in reverse order. Choices: the heaps of due times are
no part of it, since what looks at them passes over entries that are not true (any more); sets of what changed may only be too large.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

K = TypeVar("K")
V = TypeVar("V")
#: (function, three arguments): one step back
Step = tuple[Callable[[Any, Any, Any], object], Any, Any, Any]


class Journaled(Protocol):
    """A partition (`kernel/state.py`), as far as it is needed here."""

    undo: list[Step] | None


def keep(p: Journaled, thing: Any) -> None:
    """Fields of `thing` (a struct) are about to be given other values. What its containers hold is not kept: replace or journal them."""
    if p.undo is not None:
        p.undo.append((_restore, thing, thing.__copy__(), None))


def put(p: Journaled, table: dict[K, V], key: K, value: V) -> None:
    if p.undo is not None:
        p.undo.append((_set, table, key, table[key]) if key in table else (_unset, table, key, None))
    table[key] = value


def new(p: Journaled, table: dict[K, V], key: K, value: V) -> None:
    """`put` where nothing stands yet."""
    if p.undo is not None:
        p.undo.append((_unset, table, key, None))
    table[key] = value


def update(p: Journaled, table: dict[K, V], values: dict[K, V]) -> None:
    if p.undo is None:
        table.update(values)
    else:
        for key, value in values.items():
            put(p, table, key, value)


def drop(p: Journaled, table: dict[K, V], key: K) -> V | None:
    """Take it out, if it is there. Where the order of a table means something: `drop_first`, `drop_ordered`."""
    if key not in table:
        return None
    value = table.pop(key)
    if p.undo is not None:
        p.undo.append((_set, table, key, value))
    return value


def drop_ordered(p: Journaled, table: dict[int, V], key: int) -> V | None:
    """Out of a table whose keys grow (tokens of an instance): taken back, it stands at its place."""
    if key not in table:
        return None
    value = table.pop(key)
    if p.undo is not None:
        p.undo.append((_set_ordered, table, key, value))
    return value


def drop_placed(p: Journaled, table: dict[K, V], key: K) -> V | None:
    """Out of a small table that is written in its order: taken back, it stands where it stood."""
    if key not in table:
        return None
    place = list(table).index(key) if p.undo is not None else 0
    value = table.pop(key)
    if p.undo is not None:
        p.undo.append((_set_placed, table, place, (key, value)))
    return value


def drop_queued(p: Journaled, lane: dict[K, V], key: K) -> bool:
    """Out of a queue: taken back, the first is the first again; any other is the last. True when it was there."""
    if key not in lane:
        return False
    first = p.undo is not None and next(iter(lane)) == key
    value = lane.pop(key)
    if p.undo is not None:
        p.undo.append((_set_first if first else _set, lane, key, value))
    return True


def nest(p: Journaled, table: dict[K, Any], key: K, make: Callable[[], Any] = dict) -> Any:
    """The container at `key`, made when there is none."""
    found = table.get(key)
    if found is None:
        found = make()
        put(p, table, key, found)
    return found


def append(p: Journaled, to: list[V], value: V) -> None:
    to.append(value)
    if p.undo is not None:
        p.undo.append((_pop, to, None, None))


def add(p: Journaled, to: set[V], value: V) -> None:
    if value not in to:
        to.add(value)
        if p.undo is not None:
            p.undo.append((_discard, to, value, None))


def insort(p: Journaled, to: list[int], value: int) -> None:
    """Into a list that is sorted."""
    bisect.insort(to, value)
    if p.undo is not None:
        p.undo.append((_unsort, to, value, None))


def drop_sorted(p: Journaled, out_of: list[int], value: int) -> bool:
    """Out of a list that is sorted. True when it was there."""
    if not _unsort(out_of, value, None):
        return False
    if p.undo is not None:
        p.undo.append((_insort, out_of, value, None))
    return True


def discard(p: Journaled, out_of: set[V], value: V) -> None:
    if value in out_of:
        out_of.remove(value)
        if p.undo is not None:
            p.undo.append((_add, out_of, value, None))


def roll_back(p: Journaled, to: int = 0) -> None:
    """Back to the mark `to`, a former length of the journal."""
    undo = p.undo
    assert undo is not None, "nothing is kept outside of a decision"
    while len(undo) > to:
        step, a, b, c = undo.pop()
        step(a, b, c)


def _restore(thing: Any, saved: Any, _: None) -> None:
    for name in thing.__struct_fields__:
        setattr(thing, name, getattr(saved, name))


def _set(table: dict[Any, Any], key: Any, value: Any) -> None:
    table[key] = value


def _set_placed(table: dict[Any, Any], place: int, item: tuple[Any, Any]) -> None:
    items = list(table.items())
    items.insert(place, item)
    table.clear()
    table.update(items)


def _unset(table: dict[Any, Any], key: Any, _: None) -> None:
    table.pop(key, None)


def _set_ordered(table: dict[int, Any], key: int, value: Any) -> None:
    last = next(reversed(table), key)
    table[key] = value
    if last > key:
        _replace(table, sorted(table.items()))


def _set_first(table: dict[Any, Any], key: Any, value: Any) -> None:
    _replace(table, [(key, value), *table.items()])


def _replace(table: dict[Any, Any], items: Iterable[tuple[Any, Any]]) -> None:
    found = list(items)
    table.clear()
    table.update(found)


def _pop(to: list[Any], _: None, __: None) -> None:
    to.pop()


def _insort(to: list[int], value: int, _: None) -> None:
    bisect.insort(to, value)


def _unsort(out_of: list[int], value: int, _: None) -> bool:
    at = bisect.bisect_left(out_of, value)
    found = at < len(out_of) and out_of[at] == value
    if found:
        del out_of[at]
    return found


def _discard(to: set[Any], value: Any, _: None) -> None:
    to.discard(value)


def _add(to: set[Any], value: Any, _: None) -> None:
    to.add(value)
