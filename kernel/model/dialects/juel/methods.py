"""Methods that these expressions call on texts, numbers, lists, maps and moments, with Java's meaning (`java.lang.String`, `java.util`).

A method is found by its name and count of arguments at deployment; what it is called on is known when it runs.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from flowledger.kernel.model.dialects.juel.coerce import Wrong, equal, exact, is_number, said, to_number, to_text

#: characters that `concat`, `replace` and the like may make
TEXT_MAX = 1_000_000


def _index(value: Any, size: int) -> int:
    i = int(to_number(value))
    if not 0 <= i <= size:
        raise Wrong(f"expected an index from 0 to {size}, found {i}")
    return i


def _bounded(text: str) -> str:
    if len(text) > TEXT_MAX:
        raise Wrong(f"expected a text of at most {TEXT_MAX} characters, found {len(text)}")
    return text


def _replace(s: str, old: Any, new: Any) -> str:
    a, b = to_text(old), to_text(new)
    if len(s) + s.count(a) * max(0, len(b) - len(a)) > TEXT_MAX:
        raise Wrong(f"expected a text of at most {TEXT_MAX} characters")
    return s.replace(a, b)


def _get(items: list[Any], i: Any) -> Any:
    at = int(to_number(i))
    if not 0 <= at < len(items):
        raise Wrong(f"expected an index from 0 to {len(items) - 1}, found {at}")
    return items[at]


def _place(items: list[Any], wanted: Any) -> int:
    return next((n for n, v in enumerate(items) if equal(v, wanted)), -1)


def _compared(a: Any, b: Any) -> int:
    order: int = (a > b) - (a < b)
    return order


def _moved(unit: str, sign: int) -> Callable[..., Any]:
    def move(at: datetime.datetime, n: Any) -> datetime.datetime:
        amount = sign * int(to_number(n))
        try:
            if unit in ("months", "years"):
                months = at.year * 12 + at.month - 1 + amount * (12 if unit == "years" else 1)
                year, month = divmod(months, 12)
                last = (datetime.date(year + month // 11, (month + 1) % 12 + 1, 1) - datetime.timedelta(days=1)).day
                return at.replace(year=year, month=month + 1, day=min(at.day, last))
            return at + datetime.timedelta(**{unit: amount})
        except (OverflowError, ValueError) as e:
            raise Wrong(f"{at.isoformat()} can't be moved by {amount} {unit}") from e

    return move


Method = Callable[..., Any]
TEXT: dict[tuple[str, int], Method] = {
    ("length", 0): len,
    ("isEmpty", 0): lambda s: not s,
    ("isBlank", 0): lambda s: not s.strip(),
    ("equals", 1): lambda s, o: s == o,
    ("equalsIgnoreCase", 1): lambda s, o: isinstance(o, str) and s.casefold() == o.casefold(),
    ("contains", 1): lambda s, o: to_text(o) in s,
    ("startsWith", 1): lambda s, o: s.startswith(to_text(o)),
    ("endsWith", 1): lambda s, o: s.endswith(to_text(o)),
    ("indexOf", 1): lambda s, o: s.find(to_text(o)),
    ("lastIndexOf", 1): lambda s, o: s.rfind(to_text(o)),
    ("substring", 1): lambda s, a: s[_index(a, len(s)) :],
    ("substring", 2): lambda s, a, b: s[_index(a, len(s)) : _index(b, len(s))],
    ("charAt", 1): lambda s, i: _get(list(s), i),
    ("toLowerCase", 0): str.lower,
    ("toUpperCase", 0): str.upper,
    ("trim", 0): str.strip,
    ("concat", 1): lambda s, o: _bounded(s + to_text(o)),
    ("replace", 2): _replace,
    ("compareTo", 1): lambda s, o: _compared(s, to_text(o)),
    ("toString", 0): lambda s: s,
}
LIST: dict[tuple[str, int], Method] = {
    ("size", 0): len,
    ("isEmpty", 0): lambda v: not v,
    ("contains", 1): lambda v, o: _place(v, o) >= 0,
    ("containsAll", 1): lambda v, o: all(_place(v, x) >= 0 for x in o),
    ("get", 1): _get,
    ("indexOf", 1): _place,
    ("equals", 1): lambda v, o: v == o,
    ("toString", 0): to_text,
}
MAP: dict[tuple[str, int], Method] = {
    ("size", 0): len,
    ("isEmpty", 0): lambda v: not v,
    ("get", 1): lambda v, k: v.get(to_text(k)),
    ("getOrDefault", 2): lambda v, k, d: v.get(to_text(k), d),
    ("containsKey", 1): lambda v, k: to_text(k) in v,
    ("containsValue", 1): lambda v, o: _place(list(v.values()), o) >= 0,
    ("keySet", 0): list,
    ("values", 0): lambda v: list(v.values()),
    ("equals", 1): lambda v, o: v == o,
    ("toString", 0): to_text,
}
NUMBER: dict[tuple[str, int], Method] = {
    ("intValue", 0): int,
    ("longValue", 0): int,
    ("doubleValue", 0): exact,
    ("equals", 1): lambda v, o: is_number(o) and exact(v) == exact(o),
    ("compareTo", 1): lambda v, o: _compared(exact(v), to_number(o)),
    ("toString", 0): to_text,
}
BOOLEAN: dict[tuple[str, int], Method] = {
    ("booleanValue", 0): bool,
    ("equals", 1): lambda v, o: v is o,
    ("toString", 0): to_text,
}
MOMENT: dict[tuple[str, int], Method] = {
    **{(f"plus{u.capitalize()}", 1): _moved(u, 1) for u in ("seconds", "minutes", "hours", "days", "weeks", "months", "years")},
    **{(f"minus{u.capitalize()}", 1): _moved(u, -1) for u in ("seconds", "minutes", "hours", "days", "weeks", "months", "years")},
    ("toDate", 0): lambda v: v,
    ("toString", 0): to_text,
    ("isBefore", 1): lambda v, o: v < o,
    ("isAfter", 1): lambda v, o: v > o,
    ("equals", 1): lambda v, o: v == o,
}
_BY_TYPE: tuple[tuple[type | tuple[type, ...], dict[tuple[str, int], Method], str], ...] = (
    (str, TEXT, "text"), (bool, BOOLEAN, "true or false"), (list, LIST, "list"), (dict, MAP, "map"), (datetime.datetime, MOMENT, "moment"),
)  # fmt: skip
KNOWN = {key for _, table, _ in _BY_TYPE for key in table} | set(NUMBER)


def call(on: Any, name: str, arguments: list[Any]) -> Any:
    """Raises: Wrong."""
    if on is None:
        raise Wrong(f"{name}() is called on null")
    table, what = (
        (NUMBER, "number") if is_number(on) else next(((t, w) for kind, t, w in _BY_TYPE if isinstance(on, kind)), ({}, type(on).__name__))
    )
    method = table.get((name, len(arguments)))
    if method is None:
        raise Wrong(f"a {what} has no method {name} with {len(arguments)} arguments: {said(on)}")
    try:
        return method(on, *arguments)
    except (TypeError, AttributeError) as e:
        raise Wrong(f"{name}({', '.join(map(said, arguments))}) on {said(on)}: {e}") from e
