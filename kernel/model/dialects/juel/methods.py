"""Methods that these expressions call on texts, numbers, lists, maps and moments, with Java's meaning (`java.lang.String`, `java.util`).

A method is found by its name and count of arguments at deployment; what it is called on is known when it runs.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import re2

from flowledger.kernel.model.dialects.juel.coerce import Wrong, exact, is_number, said, to_number, to_text

#: characters that `concat`, `replace` and the like may make
TEXT_MAX = 1_000_000
#: places at which one call may part or change a text
PLACES_MAX = 10_000


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
        raise Wrong(f"expected an index from 0 to {len(items) - 1}, found {at}" if items else "nothing is in it")
    return items[at]


def _equals(a: Any, b: Any) -> bool:
    """Java's `equals`, which converts nothing: a text is no number, and nothing is wrong with asking. Numbers are by their values, since JSON has one kind."""
    if is_number(a) and is_number(b):
        return exact(a) == exact(b)
    return type(a) is type(b) and bool(a == b)


def _place(items: list[Any], wanted: Any) -> int:
    return next((n for n, v in enumerate(items) if _equals(v, wanted)), -1)


def _part(items: list[Any], begin: Any, end: Any) -> list[Any]:
    a, b = _index(begin, len(items)), _index(end, len(items))
    if a > b:
        raise Wrong(f"expected an end from {a}, found {b}")
    return items[a:b]


def _repeated(s: str, n: Any) -> str:
    times = int(to_number(n))
    if times < 0 or len(s) * times > TEXT_MAX:
        raise Wrong(f"expected a text of at most {TEXT_MAX} characters, and a count of at least 0, found {times}")
    return s * times


_QUIET = re2.Options()
_QUIET.log_errors = False


@lru_cache(maxsize=256)
def _pattern(text: str) -> Any:
    """Java's regular expressions, but those that look around or refer back: each takes a time that grows with the text only."""
    try:
        return re2.compile(text, _QUIET)
    except re2.error as e:
        raise Wrong(f"the regular expression {text[:80]!r} can't be used (neither look-around nor back references): {e}") from e


def _places(s: str, pattern: Any) -> Iterator[Any]:
    for n, found in enumerate(_pattern(to_text(pattern)).finditer(s)):
        if n == PLACES_MAX:
            raise Wrong(f"expected at most {PLACES_MAX} places that {to_text(pattern)[:80]!r} matches")
        yield found


def _split(s: str, pattern: Any, most: Any = 0) -> list[str]:
    """As Java does: a match of nothing at the beginning parts nothing; without a limit, empty texts at the end are left out."""
    limit, at = int(to_number(most)), 0
    parts: list[str] = []
    for found in _places(s, pattern):
        if 0 < limit <= len(parts) + 1:
            break
        if found.end() > 0:
            parts.append(s[at : found.start()])
            at = found.end()
    parts.append(s[at:])
    while limit == 0 and len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def _replaced(s: str, pattern: Any, new: Any, count: int = 0) -> str:
    """`$1` in `new` is a group, a backslash takes the next character as it is."""
    text, at, size = to_text(new), 0, 0
    out: list[str] = []
    for n, found in enumerate(_places(s, pattern)):
        if count and n == count:
            break
        out += [s[at : found.start()], _filled(text, found)]
        at, size = found.end(), size + sum(map(len, out[-2:]))
        if size > TEXT_MAX:
            raise Wrong(f"expected a text of at most {TEXT_MAX} characters")
    return _bounded("".join([*out, s[at:]]))


def _filled(text: str, found: Any) -> str:
    if "$" not in text and "\\" not in text:
        return text
    out, i = "", 0
    while i < len(text):
        c, following = text[i], text[i + 1 : i + 2]
        if c == "\\" and following:
            out, i = out + following, i + 2
        elif c == "$":
            if not ("0" <= following <= "9") or int(following) > found.re.groups:
                raise Wrong(f"expected a group of the regular expression behind $, found {text[i : i + 2]!r}")
            out, i = out + (found.group(int(following)) or ""), i + 2
        else:
            out, i = out + c, i + 1
    return out


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
    ("strip", 0): str.strip,
    ("repeat", 1): _repeated,
    ("matches", 1): lambda s, p: _pattern(to_text(p)).fullmatch(s) is not None,
    ("split", 1): _split,
    ("split", 2): _split,
    ("replaceAll", 2): _replaced,
    ("replaceFirst", 2): lambda s, p, new: _replaced(s, p, new, 1),
    ("compareTo", 1): lambda s, o: _compared(s, to_text(o)),
    ("toString", 0): lambda s: s,
}


def _only(rows: list[Any]) -> Any:
    if len(rows) > 1:
        raise Wrong(f"expected one row at most, found {len(rows)}")
    return rows[0] if rows else None


def _entry(row: Any) -> Any:
    if isinstance(row, dict) and len(row) > 1:
        raise Wrong(f"expected one entry, found {len(row)}")
    return _first_entry(row)


def _first_entry(row: Any) -> Any:
    return next(iter(row.values()), None) if isinstance(row, dict) else None


#: of `DmnDecisionResult`, which is a list of maps
_OF_RESULTS: dict[tuple[str, int], Method] = {
    ("getSingleResult", 0): _only,
    ("getFirstResult", 0): lambda v: v[0] if v else None,
    ("getSingleEntry", 0): lambda v: _entry(_only(v)),
    ("collectEntries", 1): lambda v, k: [row[to_text(k)] for row in v if to_text(k) in row],
    ("getResultList", 0): lambda v: v,
}
#: of its `DmnDecisionResultEntries`
_OF_ENTRIES: dict[tuple[str, int], Method] = {
    ("getFirstEntry", 0): _first_entry,
    ("getSingleEntry", 0): _entry,
    ("getEntry", 1): lambda v, k: v.get(to_text(k)),
    ("getEntryMap", 0): lambda v: v,
}
LIST: dict[tuple[str, int], Method] = {
    **_OF_RESULTS,
    ("size", 0): len,
    ("isEmpty", 0): lambda v: not v,
    ("contains", 1): lambda v, o: _place(v, o) >= 0,
    ("containsAll", 1): lambda v, o: all(_place(v, x) >= 0 for x in o),
    ("get", 1): _get,
    ("indexOf", 1): _place,
    ("lastIndexOf", 1): lambda v, o: len(v) - 1 - at if (at := _place(v[::-1], o)) >= 0 else -1,
    ("subList", 2): _part,
    ("getFirst", 0): lambda v: _get(v, 0),
    ("getLast", 0): lambda v: _get(v, len(v) - 1),
    ("equals", 1): lambda v, o: v == o,
    ("toString", 0): to_text,
}
MAP: dict[tuple[str, int], Method] = {
    **_OF_ENTRIES,
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
