"""List functions (DMN 1.5, 10.3.4.4) and `sort` (10.3.4.9). Lists are never changed: each function makes a new one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from flowledger.kernel.feel.builtins.registry import builtin
from flowledger.kernel.feel.builtins.strings import span
from flowledger.kernel.feel.numbers import CONTEXT
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.values import ORDERED, compare, equal, kind

_HASHED = frozenset((str, Decimal, bool, type(None)))


def numbers(items: list[Any]) -> list[Decimal]:
    """The items, if all are numbers. Raises ValueError otherwise."""
    for item in items:
        if type(item) is not Decimal:
            raise ValueError(f"a {kind(item)} among the numbers")
    return items


@builtin("list contains", "list: list, element: any")
def list_contains(r: Runtime, items: list[Any], element: Any) -> bool:
    """Whether an item equals `element`."""
    r.tick(len(items))
    return any(equal(i, element, r) is True for i in items)


@builtin("count", "list: list")
def count(r: Runtime, items: list[Any]) -> Decimal:
    """Number of items."""
    return Decimal(len(items))


def _extreme(r: Runtime, items: list[Any], sign: int) -> Any:
    r.tick(len(items))
    if not items:
        return None
    if type(items[0]) not in ORDERED:
        raise ValueError(f"a {kind(items[0])} has no order")
    best = items[0]
    for item in items[1:]:
        order = compare(item, best)
        if order is None:
            raise ValueError(f"a {kind(item)} and a {kind(best)} have no order")
        if order == sign:
            best = item
    return best


@builtin("min", "list: list", "*c: any")
def min_(r: Runtime, items: list[Any]) -> Any:
    """The least item, null if there is none."""
    return _extreme(r, items, -1)


@builtin("max", "list: list", "*c: any")
def max_(r: Runtime, items: list[Any]) -> Any:
    """The greatest item, null if there is none."""
    return _extreme(r, items, 1)


@builtin("sum", "list: list", "*n: any")
def sum_(r: Runtime, items: list[Any]) -> Decimal | None:
    """The sum of numbers, null if there are none."""
    r.tick(len(items))
    if not items:
        return None
    total = Decimal(0)
    for n in numbers(items):
        total = CONTEXT.add(total, n)
    return total


@builtin("mean", "list: list", "*n: any")
def mean(r: Runtime, items: list[Any]) -> Decimal | None:
    """The arithmetic mean of numbers, null if there are none."""
    total = sum_(r, items)
    return None if total is None else CONTEXT.divide(total, Decimal(len(items)))


def _all(items: list[Any], decides: bool) -> bool | None:
    """`decides` if it is among the items; else null if something is no boolean."""
    if any(i is decides for i in items):
        return decides
    return (not decides) if all(type(i) is bool for i in items) else None


@builtin("all", "list: list", "*b: any")
def all_(r: Runtime, items: list[Any]) -> bool | None:
    """Whether all items are true."""
    return _all(items, False)


@builtin("any", "list: list", "*b: any")
def any_(r: Runtime, items: list[Any]) -> bool | None:
    """Whether an item is true."""
    return _all(items, True)


@builtin("sublist", "list: list, start position: number, length??: number")
def sublist(r: Runtime, items: list[Any], start: Decimal, length: Decimal | None) -> list[Any]:
    """`length` (or all) items from `start position` on."""
    begin, end = span(len(items), start, length, "list")
    if length is not None and end - begin < int(length):
        raise ValueError(f"no {length} items from {start} on")
    r.room(end - begin)
    return items[begin:end]


@builtin("append", "list: list, *item: any")
def append(r: Runtime, items: list[Any], more: list[Any]) -> list[Any]:
    """The list with the items at its end."""
    r.room(len(items) + len(more))
    return items + more


@builtin("concatenate", "*list: list")
def concatenate(r: Runtime, lists: list[list[Any]]) -> list[Any]:
    """The items of all lists."""
    r.room(sum(map(len, lists)))
    return [item for items in lists for item in items]


def _at(items: list[Any], position: Decimal) -> int:
    return span(len(items), position, None, "list")[0]


@builtin("insert before", "list: list, position: number, newItem: any")
def insert_before(r: Runtime, items: list[Any], position: Decimal, item: Any) -> list[Any]:
    """The list with a new item before the one at `position`."""
    r.room(len(items) + 1)
    at = _at(items, position)
    return [*items[:at], item, *items[at:]]


@builtin("remove", "list: list, position: number")
def remove(r: Runtime, items: list[Any], position: Decimal) -> list[Any]:
    """The list without the item at `position`."""
    r.room(len(items))
    at = _at(items, position)
    return items[:at] + items[at + 1 :]


@builtin("list replace", "list: list, position: number, newItem: any")
def list_replace(r: Runtime, items: list[Any], position: Decimal, item: Any) -> list[Any]:
    """The list with another item at `position`, or wherever `match(item, newItem)` is true."""
    r.room(len(items))
    at = _at(items, position)
    return [*items[:at], item, *items[at + 1 :]]


@builtin("list replace", "list: list, match: function, newItem: any")
def list_replace_matching(r: Runtime, items: list[Any], match: Any, new: Any) -> list[Any]:
    if len(match.parameters) != 2:
        raise ValueError("the function must take an item and the new item")
    r.room(len(items))
    out = []
    for item in items:
        holds = r.invoke(match, [item, new])
        if type(holds) is not bool:
            raise ValueError(f"the function gave a {kind(holds)}")
        out.append(new if holds else item)
    return out


@builtin("reverse", "list: list")
def reverse(r: Runtime, items: list[Any]) -> list[Any]:
    """The items from last to first."""
    r.room(len(items))
    return items[::-1]


@builtin("index of", "list: list, match: any")
def index_of(r: Runtime, items: list[Any], match: Any) -> list[Decimal]:
    """The positions of all items that equal `match`."""
    r.tick(len(items))
    return [Decimal(i) for i, item in enumerate(items, 1) if equal(item, match, r) is True]


def distinct(r: Runtime, items: list[Any]) -> list[Any]:
    """Each item once, in the order of their first places."""
    seen: set[Any] = set()
    out: list[Any] = []
    others: list[Any] = []
    r.room(len(items))
    for item in items:
        if type(item) in _HASHED:
            key = (type(item), item)
            if key not in seen:
                seen.add(key)
                out.append(item)
        else:
            r.tick(len(others))
            if not any(equal(item, o, r) is True for o in others):
                others.append(item)
                out.append(item)
    return out


@builtin("union", "*list: list")
def union(r: Runtime, lists: list[list[Any]]) -> list[Any]:
    """The items of all lists, each once."""
    return distinct(r, concatenate(r, lists))


@builtin("distinct values", "list: list")
def distinct_values(r: Runtime, items: list[Any]) -> list[Any]:
    """The items, each once."""
    return distinct(r, items)


@builtin("flatten", "list: list")
def flatten(r: Runtime, items: list[Any]) -> list[Any]:
    """The items of nested lists in one list."""
    out: list[Any] = []
    stack: list[Any] = [iter(items)]
    while stack:
        for item in stack[-1]:
            r.tick()
            if type(item) is list:
                stack.append(iter(item))
                break
            out.append(item)
        else:
            stack.pop()
    return out


@builtin("product", "list: list", "*n: any")
def product(r: Runtime, items: list[Any]) -> Decimal | None:
    """The product of numbers, null if there are none."""
    r.tick(len(items))
    if not items:
        return None
    total = Decimal(1)
    for n in numbers(items):
        total = CONTEXT.multiply(total, n)
    return total


@builtin("median", "list: list", "*n: any")
def median(r: Runtime, items: list[Any]) -> Decimal | None:
    """The middle number, or the mean of the two in the middle."""
    r.tick(len(items))
    ordered = sorted(numbers(items))
    if not ordered:
        return None
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return CONTEXT.divide(CONTEXT.add(ordered[middle - 1], ordered[middle]), Decimal(2))


@builtin("stddev", "list: list", "*n: any")
def stddev(r: Runtime, items: list[Any]) -> Decimal | None:
    """The standard deviation of a sample, null for less than two numbers."""
    average = mean(r, items)
    if average is None or len(items) < 2:
        return None
    squares = Decimal(0)
    for n in items:
        distance = CONTEXT.subtract(n, average)
        squares = CONTEXT.add(squares, CONTEXT.multiply(distance, distance))
    return CONTEXT.sqrt(CONTEXT.divide(squares, Decimal(len(items) - 1)))


@builtin("mode", "list: list", "*n: any")
def mode(r: Runtime, items: list[Any]) -> list[Decimal]:
    """The most frequent numbers, in ascending order."""
    r.tick(len(items))
    counts: dict[Decimal, int] = {}
    for n in numbers(items):
        counts[n] = counts.get(n, 0) + 1
    most = max(counts.values(), default=0)
    return sorted(n for n, times in counts.items() if times == most)


class _NoOrder(Exception):
    pass


@builtin("sort", "list: list, precedes: function")
def sort(r: Runtime, items: list[Any], precedes: Any) -> list[Any]:
    """The list in the order that `precedes(x, y)` tells; equal items stay as they are."""
    if len(precedes.parameters) != 2 and not hasattr(precedes, "signatures"):
        raise ValueError("the function must take two items")
    r.room(len(items))

    def order(a: Any, b: Any) -> int:
        before = r.invoke(precedes, [a, b])
        if type(before) is not bool:
            raise _NoOrder
        return -1 if before else 1 if r.invoke(precedes, [b, a]) is True else 0

    return _sorted(items, cmp_to_key(order))


def _sorted(items: list[Any], key: Callable[[Any], Any]) -> list[Any]:
    try:
        return sorted(items, key=key)
    except _NoOrder:
        raise ValueError("the function gave no boolean") from None


@builtin("sort", "list: list")
def sort_natural(r: Runtime, items: list[Any]) -> list[Any]:
    r.room(len(items))

    def order(a: Any, b: Any) -> int:
        result = compare(a, b)
        if result is None:
            raise _NoOrder
        return result

    try:
        return sorted(items, key=cmp_to_key(order))
    except _NoOrder:
        raise ValueError("the items have no order") from None
