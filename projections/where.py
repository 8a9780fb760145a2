"""`where` of a search: FEEL that a database can be asked, as alternatives of conditions.

    order.amount > 100 and (customer.tier in ["gold", "silver"] or run.status = "failed")

Names are variables of the instance, paths go into their values (`items.sku`: of any item; `items[1].sku`: of the first), `run.` has what the instance is
itself. It becomes a list of alternatives, each of conditions that all hold: so each is asked for by its own index, and a page is met from their heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import sql

from flowledger.events.avro import encode_json
from flowledger.kernel.feel import FeelSyntaxError, parse
from flowledger.kernel.feel import tree as t
from flowledger.projections import filters as fi
from flowledger.projections import lists
from flowledger.projections.reader import BadQuery, Senseless
from flowledger.projections.words import INSTANCE_STATUSES, SEARCH_CHARS

#: characters of a search; alternatives that it may come to; parts of a path
CHARS_MAX, ALTERNATIVES_MAX, PARTS_MAX = 2_000, 16, 20
#: what the instance is itself: its names begin with this word, so that no variable is hidden but one of this name
OWN = "run"
_FLIPPED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WORDS = {"=": "eq", "!=": "ne", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_JSONPATH = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_SQL = {"=": "=", "!=": "<>"}
#: of a range: whether its ends belong to it
_LOW, _HIGH = {True: ">=", False: ">"}, {True: "<=", False: "<"}

#: makes a condition part of a question
Condition = Callable[[fi.Where], None]
Alternatives = list[list[Condition]]


class _Place(NamedTuple):
    """A variable and the way into its value: names of entries, numbers of items from 0 (from the end: -1 and so on)."""

    name: str
    path: tuple[str | int, ...]
    pos: int


def parsed(text: str) -> Alternatives:
    """Raises: Senseless, which says where in the text."""
    if len(text) > CHARS_MAX:
        raise Senseless(f"where: expected at most {CHARS_MAX} characters, found {len(text)}")
    try:
        tree = parse(text)
    except FeelSyntaxError as e:
        raise Senseless(f'where: expected FEEL, like order.amount > 100 and status = "open"; {e}') from None
    return _alternatives(tree, text)


def _wrong(node: t.Node, expected: str, found: str = "") -> Senseless:
    return Senseless(f"where: {expected}{', found ' + found if found else ''} (column {node.pos + 1})")


def _alternatives(node: t.Node, text: str) -> Alternatives:
    if isinstance(node, t.Binary) and node.operator in ("and", "or"):
        left, right = _alternatives(node.left, text), _alternatives(node.right, text)
        out = [*left, *right] if node.operator == "or" else [[*a, *b] for a in left for b in right]
    elif isinstance(node, t.Binary) and node.operator in _FLIPPED:
        out = [[_compared(node)]]
    elif isinstance(node, t.Between):
        at = node.value
        out = [[_asked(at, ">=", _value(node.low)), _asked(at, "<=", _value(node.high))]]
    elif isinstance(node, t.In):
        out = _among(node)
    elif isinstance(node, t.Call):
        out = [[_called(node)]]
    elif isinstance(node, t.Name | t.Path | t.Filter):
        out = [[_asked(node, "=", True)]]
    else:
        raise _wrong(node, "expected comparisons joined by and, or", type(node).__name__.lower())
    if len(out) > ALTERNATIVES_MAX:
        raise Senseless(f"where: expected at most {ALTERNATIVES_MAX} alternatives, found more: ask for fewer at once")
    return out


def _compared(node: t.Binary) -> Condition:
    if isinstance(node.left, t.Literal) and not isinstance(node.right, t.Literal):
        return _asked(node.right, _FLIPPED[node.operator], _value(node.left))
    return _asked(node.left, node.operator, _value(node.right))


def _among(node: t.In) -> Alternatives:
    tests = [each for test in node.tests for each in (test.items if isinstance(test, t.List) else (test,))]
    own = _own(node.value)
    if own == "status" and all(isinstance(each, t.Literal) for each in tests):  # one index has them all
        return [[_status([_value(each) for each in tests], node)]]
    out: Alternatives = []
    for each in tests:
        if isinstance(each, t.RangeNode):
            low, high = _LOW[each.start_included], _HIGH[each.end_included]
            out.append([_asked(node.value, low, _value(each.start)), _asked(node.value, high, _value(each.end))])
        elif isinstance(each, t.UnaryRange):
            out.append([_asked(node.value, each.operator, _value(each.endpoint))])
        else:
            out.append([_asked(node.value, "=", _value(each))])
    if not out:
        raise _wrong(node, "expected values to be among, found none")
    return out


def _called(node: t.Call) -> Condition:
    name = node.function.name if isinstance(node.function, t.Name) else ""
    if node.names or name not in ("contains", "starts with", "is defined") or len(node.arguments) != (1 if name == "is defined" else 2):
        raise _wrong(node, "expected contains(name, text), starts with(name, text) or is defined(name)", f"{name or 'a call'}(...)")
    where = node.arguments[0]
    if name == "is defined":
        return _defined(_place(where))
    text = _value(node.arguments[1])
    if not isinstance(text, str) or not text:
        raise _wrong(node.arguments[1], "expected a text that isn't empty")
    own = _own(where)
    if own == "business_key" and name == "starts with":
        return key_starts(text)
    if own:
        raise _wrong(where, f"{name}() is for variables, and starts with() for {OWN}.business_key", f"{OWN}.{own}")
    return _within(_place(where), text, name == "starts with")


def _value(node: t.Node) -> Any:
    if not isinstance(node, t.Literal) or not (node.value is None or isinstance(node.value, str | bool | int | Decimal)):
        raise _wrong(node, "expected a number, a text in quotes, true, false or null to compare with")
    if not _sound(node.value):
        raise _wrong(node, "expected a value that a row can hold")
    return node.value


def _sound(value: Any) -> bool:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return fi.can_be_held(value)


# --- what is compared ---------------------------------------------------------------------------------------------------


def _own(node: t.Node) -> str:
    return node.name if isinstance(node, t.Path) and isinstance(node.base, t.Name) and node.base.name == OWN else ""


def _place(node: t.Node) -> _Place:
    path: list[str | int] = []
    at = node
    while not isinstance(at, t.Name):
        if isinstance(at, t.Path):
            path.append(at.name)
        elif isinstance(at, t.Filter) and isinstance(at.condition, t.Literal) and (n := _item(at.condition.value)) is not None:
            path.append(n)
        else:
            raise _wrong(at, "expected the name of a variable, or a path like order.items[1].sku; odd names in backticks")
        at = at.base
    if len(path) > PARTS_MAX or not all(_sound(part) for part in (at.name, *path)):
        raise _wrong(node, f"expected a path of at most {PARTS_MAX} parts that a row can hold")
    if len(at.name) > fi.WIDTH:
        raise _wrong(node, f"expected a name of at most {fi.WIDTH} characters, found {len(at.name)}")
    return _Place(at.name, tuple(reversed(path)), node.pos)


def _item(value: Any) -> int | None:
    """The number of an item, from 0. FEEL counts from 1, and from the end with -1."""
    if not isinstance(value, Decimal) or value != value.to_integral_value() or not 0 < abs(value) < 1_000_000:
        return None
    return int(value) - 1 if value > 0 else int(value)


def _asked(node: t.Node, operator: str, value: Any) -> Condition:
    own = _own(node)
    if own:
        return _of_instance(own, operator, value, node)
    place = _place(node)
    if operator not in ("=", "!=") and not (isinstance(value, str | int | Decimal) and not isinstance(value, bool)):
        raise _wrong(node, f"{operator} compares numbers and texts")
    if not place.path and value is None:
        return lambda w: w.variable(fi.Variable(place.name, sql.SQL(f"v.type {_SQL[operator]} 'null'").format(), []))
    if not place.path:
        return lambda w: w.variable(fi.variable(place.name, _WORDS[operator], value))
    return _matched(place, f"@ {_JSONPATH[operator]} $v", value)


def _matched(place: _Place, test: str, value: Any) -> Condition:
    """Any of what stands there passes; values of other types don't."""
    asked = sql.SQL("jsonb_path_exists(v.value, %s::jsonpath, jsonb_build_object('v', %s::jsonb), true)").format()
    values = [f"{_jsonpath(place)} ? ({test})", encode_json(value).decode()]
    return lambda w: w.variable(fi.Variable(place.name, asked, values))


def _jsonpath(place: _Place) -> str:
    return "$" + "".join(
        f"[{p}]" if isinstance(p, int) and p >= 0 else f"[last - {-p - 1}]" if isinstance(p, int) else f".{_quoted(p)}" for p in place.path
    )


def _quoted(text: str) -> str:
    return encode_json(text).decode()


def _defined(place: _Place) -> Condition:
    if not place.path:
        return lambda w: w.variable(fi.Variable(place.name, sql.SQL("TRUE").format(), []))
    asked = sql.SQL("jsonb_path_exists(v.value, %s::jsonpath, '{{}}', true)").format()
    return lambda w: w.variable(fi.Variable(place.name, asked, [_jsonpath(place)]))


def _within(place: _Place, text: str, begins: bool) -> Condition:
    if begins and not place.path:
        return lambda w: w.variable(begins_with(place.name, text))
    return _matched(place, "@ starts with $v" if begins else f'@ like_regex {_quoted(text)} flag "q"', text)


def begins_with(name: str, text: str) -> fi.Variable:
    """The order of the values has them one after the other, up to the last character that there is."""
    fi.unsealed(name, text)
    low = text[:SEARCH_CHARS]
    listed = sql.SQL("v.type = 'string' AND v.search >= %s AND v.search < %s").format(), [low, low + "\U0010ffff"]
    if len(text) < SEARCH_CHARS:
        return fi.Variable(name, *listed, True, listed)
    condition = sql.SQL("{} AND starts_with(v.value #>> '{{}}', %s)").format(listed[0])
    return fi.Variable(name, condition, [*listed[1], text], True, listed)


_STARTS = fi.starts("business_key")


def key_starts(text: str) -> Condition:
    return lambda w: _STARTS(w, text)


# --- what the instance is itself ----------------------------------------------------------------------------------------

_EQUAL = {
    "process": "definition", "version": "version", "business_key": "business_key", "has_incident": "has_incident", "paused": "paused",
    "initiator": "initiator", "correlation_id": "correlation_id", "parent": "parent", "priority": "priority", "project_id": "project_id",
    "environment": "environment",
}  # fmt: skip
_MORE = {("priority", ">="): "priority", ("started", ">="): "started_from", ("started", "<"): "started_to"}
_KNOWN = "status, process, version, business_key, has_incident, paused, priority, initiator, correlation_id, project_id, environment, parent, started"


def _status(values: Sequence[Any], node: t.Node) -> Condition:
    for value in values:
        if value not in INSTANCE_STATUSES:
            raise _wrong(node, f"{OWN}.status is one of {', '.join(INSTANCE_STATUSES)}", repr(value)[:40])
    return filtered("status", ",".join(dict.fromkeys(values)))


def _of_instance(name: str, operator: str, value: Any, node: t.Node) -> Condition:
    if name == "status" and operator in ("=", "!="):
        _status([value], node)
        return _status([s for s in INSTANCE_STATUSES if (s == value) == (operator == "=")], node)
    filter = _EQUAL.get(name) if operator == "=" else _MORE.get((name, operator))
    if filter is None:
        if name not in _KNOWN.split(", "):
            raise _wrong(node, f"expected one of {_KNOWN} after {OWN}.", name[:60])
        ways = ["=", "!="] if name == "status" else ["="] if name in _EQUAL else []
        ways += [way for (which, way) in _MORE if which == name]
        raise _wrong(node, f"{OWN}.{name} is compared by {' or '.join(ways)}", operator)
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, Decimal):
        text = format(value, "f")
    else:
        text = "" if value is None else value
    if filter != "definition" and not text:
        raise _wrong(node, f"expected a value of {OWN}.{name}, found none")
    try:
        lists.INSTANCES[filter](fi.Where("TRUE", tenant=""), text)
    except BadQuery as e:
        raise _wrong(node, str(e)) from None
    return filtered(filter, text)


def filtered(name: str, text: str) -> Condition:
    return lambda w: lists.INSTANCES[name](w, text)
