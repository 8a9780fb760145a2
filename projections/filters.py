"""Filters of lists as SQL with parameters; and cursors, which say after which row to go on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from psycopg import sql

from flowledger.events.avro import decode_json, encode_json
from flowledger.events.base import PRIORITIES
from flowledger.kernel import times
from flowledger.projections.context import ACTIVITY
from flowledger.projections.reader import BadQuery
from flowledger.projections.tables import micros, stamp
from flowledger.projections.words import INT_MAX, SEARCH_CHARS, pieces_of, priority_word, search_text

LIMIT, LIMIT_MAX = 50, 1_000
_KEY_MAX = 2**63 - 1
_CURSOR = re.compile(r"([0-9]{1,17})-([1-9][0-9]{0,18})")
VARIABLE = re.compile(r"var\.(?P<name>[^\[\]]+)(?:\[(?P<op>\w+)\])?")
PRIORITY_MAX = 100
#: digits of a number that is compared; what is beyond is in no row as a number
DIGITS_MAX = 1_000
#: ranges of an index that one page reads at most, each to its own limit
BRANCHES_MAX = 101
#: of a task that somebody has to do something about yet; indexes of open work have this very condition
OPEN = "status NOT IN ('completed', 'cancelled', 'skipped')"
DONE = frozenset(("completed", "cancelled", "skipped"))
_OPERATORS = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Several(NamedTuple):
    """One of several values; `kind` is the SQL type."""

    column: str
    kind: str
    values: list[Any]


class Where:
    """Conditions joined by AND, with their parameters in order.

    Attributes:
        sets: `branches` says how each is asked.
        status, open: a status is asked for; of open work only.
        leads: one value is wanted of a column whose index goes on with the status and then in the order of the list.
        few: small indexes, in the order of the list, have all that is wanted.
        gathered: an index finds the rows in no order, so they are sorted.
        walked: one index, in the order of the list, has all that can be wanted, and no more is known of it: its rows are looked through.
        dated: asked for by the time at which something is due.
        prefixed: of a key only the beginning is known; as many rows as there are have it, in no order.
        candidates: conditions on names; `find_candidates` makes them ordinary ones.
        variables: conditions on variables of the instance.
        started_from: as asked for; the list is in the order of creation, which comes before.
        since, until: all that is wanted was created in between.
    """

    def __init__(self, *conditions: str, tenant: str) -> None:
        """The first of `conditions` compares the tenant."""
        self.conditions: list[sql.Composable] = [sql.SQL(c) for c in conditions]
        self.tenant = tenant
        self.values: list[Any] = [tenant]
        self.sets: list[Several] = []
        self.leads = self.few = self.gathered = self.walked = self.dated = self.prefixed = False
        self.status = self.open = False
        self.variables: list[Variable] = []
        self.candidates: list[Candidate] = []
        self.started_from: datetime | None = None
        self.since: datetime | None = None
        self.until: datetime | None = None

    def among(self, column: str, kind: str, values: list[Any], *, leads: bool = False) -> None:
        """One of `values`. `leads`: as above, when it is one only. Asked for twice: one of those that are in both."""
        self.status |= column == "status"
        for n, other in enumerate(self.sets):
            if other.column == column:
                self.sets[n] = Several(column, kind, [v for v in other.values if v in values])
                return
        if len(values) == 1:
            self.leads |= leads
            self.add(sql.SQL("{} = %s").format(sql.Identifier(column)), values[0])
        else:
            self.sets.append(Several(column, kind, values))

    def branches(self, statuses: Sequence[str] = ()) -> tuple[list[Several], list[Several]]:
        """Of the sets those whose values are each read from an index in the order of the list, so that the heads are merged and a page costs
        as much as it shows however many rows there are; and those that are conditions.

        `statuses`: all that there are. An index that goes on with the status is in order within each of them.
        """
        if self.walked:
            return [], [*self.sets]
        sets = list(self.sets)
        led = self.leads or any(each.column == "type" for each in sets)
        if led and statuses and not (self.status or self.gathered or self.few):
            sets.append(Several("status", "text", list(statuses)))
        ranked = any(each.column == "priority_value" for each in sets) and (self.open or not self.status)
        apart: list[Several] = []
        ways = 1
        for each in sets:
            ordered = each.column == "status" if self.leads else (each.column == "priority_value") == ranked
            if ordered and not self.gathered and ways * len(each.values) <= BRANCHES_MAX:
                apart.append(each)
                ways *= len(each.values)
        return apart, [each for each in sets if each not in apart]

    @property
    def in_order(self) -> bool:
        """Each condition by itself has an index in the order of the list."""
        return not (self.gathered or self.prefixed)

    def copy(self) -> Where:
        twin = copy(self)
        twin.conditions, twin.values, twin.sets = [*self.conditions], [*self.values], [*self.sets]
        return twin

    def joined(self, sets: Iterable[Several] = ()) -> tuple[sql.Composed, list[Any]]:
        """All conditions and that of each of `sets`, with their values."""
        more = [sql.SQL("{} = ANY(%s::{}[])").format(sql.Identifier(each.column), sql.SQL(each.kind)) for each in sets]
        return sql.SQL(" AND ").join([*self.conditions, *more]), [*self.values, *[each.values for each in sets]]

    def variable(self, asked: Variable) -> None:
        """Conditions on one name are of the same row: both ends of a range."""
        for n, other in enumerate(self.variables):
            if other.name == asked.name:
                self.variables[n] = _both(sql.SQL("{} AND {}").format(other.condition, asked.condition), other, asked)
                return
        self.variables.append(asked)

    def add(self, condition: sql.Composable | str, *values: Any) -> None:
        self.conditions.append(sql.SQL(condition) if isinstance(condition, str) else condition)
        self.values += values


Apply = Callable[[Where, str], None]


def key(name: str, text: str) -> int:
    """A key from a request. Raises: BadQuery."""
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _KEY_MAX:
        raise BadQuery(f"{name}: expected a key (a number), found {text[:40]!r}")
    return int(text)


def moment(name: str, text: str) -> datetime:
    """ISO 8601; without offset it is UTC. Raises: BadQuery."""
    try:
        found = times.instant(text)
    except ValueError:
        raise BadQuery(f"{name}: expected a time like 2026-01-31T12:00:00Z, found {text[:40]!r}") from None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found)


def truth(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise BadQuery(f"{name}: expected true or false, found {text[:40]!r}")
    return text.lower() == "true"


def limit_of(text: str | int | None) -> int:
    if text in (None, ""):
        return LIMIT
    if not str(text).isascii() or not str(text).isdigit() or not 1 <= int(str(text)[:9]) <= LIMIT_MAX:
        raise BadQuery(f"limit: expected 1 to {LIMIT_MAX}, found {str(text)[:40]!r}")
    return int(text)


def cursor_of(us: int, id: int) -> str:
    return f"{us}-{id}"


def parse_cursor(text: str) -> tuple[int, int]:
    """Time (microseconds since 1970) and key of the last row of the page before. Raises: BadQuery."""
    found = _CURSOR.fullmatch(text)
    if not found or not 0 < int(found[2]) <= _KEY_MAX:
        raise BadQuery(f"cursor: expected one from an earlier answer, like 1793000000000000-17, found {text[:40]!r}")
    return int(found[1]), int(found[2])


# --- kinds of filters ---------------------------------------------------------------------------------------------------


#: width of the columns that hold ids and names: what is longer is in no row, and is not found by its beginning
WIDTH = 255


def equal(column: str, *, sparse: bool = False, leads: bool = False) -> Apply:
    """`sparse`: only rows that have something there are indexed. `leads`: see `Where`."""
    condition = "{} = %s AND {} <> ''" if sparse else "{} = %s"

    def apply(w: Where, v: str) -> None:
        w.leads |= leads
        if len(v) > WIDTH or "\0" in v:
            w.add("FALSE")
        else:
            w.add(sql.SQL(condition).format(*[sql.Identifier(column)] * condition.count("{}")), v)

    return apply


def starts(column: str) -> Apply:
    """By the index's own operators, which a wall between tenants lets through (LIKE it doesn't)."""
    condition = sql.SQL("{0} ~>=~ %s AND {0} ~<~ %s AND {0} <> ''").format(sql.Identifier(column))

    def apply(w: Where, v: str) -> None:
        w.prefixed = True
        if not v or len(v) > WIDTH or "\0" in v:
            w.add("FALSE")
        else:
            w.add(condition, v, v + "\U0010ffff")

    return apply


def of_metadata(name: str) -> Apply:
    """What the caller said at the start. The index has the beginning."""
    condition = sql.SQL("left(metadata ->> {name}, {width}) = %s AND metadata ->> {name} = %s").format(
        name=sql.Literal(name), width=sql.Literal(WIDTH)
    )

    def apply(w: Where, v: str) -> None:
        if "\0" in v:
            w.add("FALSE")
        else:
            w.add(condition, v[:WIDTH], v)

    return apply


def key_equal(column: str, name: str, *, leads: bool = False) -> Apply:
    def apply(w: Where, v: str) -> None:
        w.leads |= leads
        w.add(sql.SQL("{} = %s").format(sql.Identifier(column)), key(name, v))

    return apply


def one_of(column: str, *, spread: bool = True, leads: bool = False) -> Apply:
    """One value, or several with commas. `spread`: the list is in the order of its time, as `queries._list` reads it."""

    def apply(w: Where, v: str) -> None:
        values = list(dict.fromkeys(v.split(",")))
        if spread:
            w.among(column, "text", values, leads=leads)
        else:
            w.add(sql.SQL("{} = ANY(%s)").format(sql.Identifier(column)), values)

    return apply


def time_at(column: str, operator: str, name: str) -> Apply:
    return lambda w, v: w.add(sql.SQL("{} " + operator + " %s").format(sql.Identifier(column)), moment(name, v))


def whole(column: str, name: str) -> Apply:
    def apply(w: Where, v: str) -> None:
        if not v.isascii() or not v.isdigit() or int(v[:11]) > INT_MAX:
            raise BadQuery(f"{name}: expected a number, found {v[:40]!r}")
        w.add(sql.SQL("{} = %s").format(sql.Identifier(column)), int(v))

    return apply


def at_least(what: str, name: str) -> Apply:
    return _bound(what, name, ">=")


def at_most(what: str, name: str) -> Apply:
    return _bound(what, name, "<=")


def _bound(what: str, name: str, way: str) -> Apply:
    """`what`: an expression of SQL that is a number."""

    def apply(w: Where, v: str) -> None:
        if len(v) > 15 or not v.isascii() or not v.isdigit():
            raise BadQuery(f"{name}: expected a whole number of at most 15 digits, found {v[:40]!r}")
        w.add(sql.SQL("({}) {} %s").format(sql.SQL(what), sql.SQL(way)), int(v))

    return apply


def priority(w: Where, v: str) -> None:
    """A word (low, normal, high, critical, urgent), or a number: that or more urgent."""
    if v.isascii() and v.isdigit() and int(v[:9]) <= PRIORITY_MAX:
        w.among("priority_value", "int", list(range(int(v), PRIORITY_MAX + 1)))
    elif v in PRIORITIES:
        word = "normal" if v == "medium" else v
        w.among("priority_value", "int", [n for n in range(PRIORITY_MAX + 1) if priority_word(n) == word])
    else:
        raise BadQuery(f"priority: expected {', '.join(PRIORITIES)} or a number, found {v[:40]!r}")


def definition(column: str) -> Apply:
    """A definition's key, which stands in `column`, or a process id."""

    def apply(w: Where, v: str) -> None:
        w.leads = True
        if v.isascii() and v.isdigit():
            w.add(sql.SQL("{} = %s").format(sql.Identifier(column)), key("definition", v))
        else:
            equal("process_id")(w, v)

    return apply


def has_incident(w: Where, v: str) -> None:
    w.few = truth("has_incident", v)
    w.add("incidents > 0" if w.few else "incidents = 0")


def overdue(w: Where, v: str) -> None:
    if truth("overdue", v):
        w.dated = True
        w.add(f"due_at < now() AND due_at IS NOT NULL AND {OPEN}")
    else:
        w.add(f"(due_at IS NULL OR due_at >= now() OR NOT ({OPEN}))")


def due(operator: str, name: str) -> Apply:
    def apply(w: Where, v: str) -> None:
        w.dated = True
        time_at("due_at", operator, name)(w, v)

    return apply


def task_status(w: Where, v: str) -> None:
    one_of("status")(w, v)
    w.open = DONE.isdisjoint(v.split(","))


def result_status(w: Where, v: str) -> None:
    one_of("result_status")(w, v)
    if "success" not in v.split(","):  # the usual one isn't indexed
        w.add("result_status <> 'success'")


class Candidate(NamedTuple):
    """A condition on names of people or groups, as each row has it, and as an index has it that finds the rows in no order."""

    column: str
    plain: str
    indexed: str
    names: list[str]


def candidate(column: str, *, several: bool = False) -> Apply:
    """A candidate of each of the names with commas; `several`: of at least one. Names recur in all tenants, so the index of the names has each
    row's tenant among them, with `@` before it."""
    operator = "&&" if several else "@>"

    def apply(w: Where, v: str) -> None:
        w.candidates.append(
            Candidate(
                column,
                f"{column} {operator} %s::text[]",
                f"{column} IS NOT NULL AND array_append({column}, '@' || tenant_id)",
                v.split(","),
            )
        )

    return apply


def find_candidates(w: Where, *, gathered: bool) -> None:
    """`gathered`: by the index of the names; else in the order of the list."""
    own = "@" + w.tenant
    for _, plain, indexed, names in w.candidates:
        if not gathered or own in names:
            w.add(plain, names)
        if gathered:
            w.add(f"{indexed} @> %s::text[]", [own] if "&&" in plain else [*names, own])
            if "&&" in plain:
                w.add(f"{indexed} && %s::text[]", names)
    w.gathered = gathered and bool(w.candidates)
    w.walked = bool(w.candidates) and not gathered and not w.status
    w.candidates = []


def activities(w: Where, v: str) -> None:
    """false: jobs and people's work only; true: the activities that the engine does itself as well."""
    if not truth("activities", v):
        w.add("id < %s", ACTIVITY)


#: what a protected row's `search` begins with where it can be found by equality (`found_by.py`), and a filter by that, whose value is `DIGEST JSON`
DIGEST, FOUND = "flk1.=", "found."


class Found(str):
    """The name of such a filter. It is made in this process only: what a caller has named so is a filter that there isn't."""

    __slots__ = ()


class Variable(NamedTuple):
    """A condition on the row of a variable (alias `v`), beside its name. `ranged`: an index has what passes by the order of the values.
    `listed`: what an index alone says of it, with its values: all that passes, and at times a few more. Empty: no index has it.
    `kept`: what an instance's own row (alias `i`) says of it, where its variables are few: the same. Empty: nothing."""

    name: str
    condition: sql.Composed
    values: list[Any]
    ranged: bool = False
    listed: tuple[sql.Composable, list[Any]] | None = None
    kept: tuple[sql.Composable, list[Any]] | None = None


#: of rows whose variables take more bytes, reading one value may cost more than looking it up
KEPT_BYTES = 2_000
_KEPT = "(pg_column_size(i.variables) > {} OR {})"
#: what compares values of one type only; of another type it is null
_KEPT_NUMBER = "CASE WHEN jsonb_typeof(i.variables -> %s::text) = 'number' THEN (i.variables ->> %s::text)::numeric {} %s END"
_KEPT_TEXT = "CASE WHEN jsonb_typeof(i.variables -> %s::text) = 'string' THEN left(i.variables ->> %s::text, {}) COLLATE \"C\" {} %s END"


def _kept(name: str, condition: str, value: Any) -> tuple[sql.Composable, list[Any]] | None:
    """A row's variables have the whole name, where the table of variables has its beginning."""
    if len(name) >= WIDTH:
        return None
    return sql.SQL(_KEPT).format(sql.SQL(str(KEPT_BYTES)), sql.SQL(condition)), [*[name] * (condition.count("%s") - 1), value]


def variable(name: str, operator: str, value: Any) -> Variable:
    """A root variable compared with a JSON value; only values of the same type compare, texts by code points."""
    unsealed(name, value)
    text = encode_json(value).decode()
    search, op = search_text(value), _OPERATORS[operator]
    values: list[Any]
    ranged = False
    listed: tuple[sql.Composable, list[Any]] | None = None
    kept: tuple[sql.Composable, list[Any]] | None = None
    if operator == "eq" and search is not None:
        listed = sql.SQL("v.search = %s"), [search]
        kept = _kept(name, "i.variables @> %s::jsonb", encode_json({name: value}).decode())
        condition, values = "v.search = %s AND v.value = %s::jsonb", [search, text]
    elif operator in ("eq", "ne"):
        condition, values = f"v.value {op} %s::jsonb", [text]
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        condition, values, ranged = f"v.number {op} %s", [value if isinstance(value, int) else Decimal(str(value))], True
        kept = _kept(name, _KEPT_NUMBER.format(op), values[0])
    elif isinstance(value, str):
        condition, values, ranged = f"v.type = 'string' AND v.search {op} %s", [value], True
        kept = _kept(name, _KEPT_TEXT.format(SEARCH_CHARS, op), value)
        if len(value) >= SEARCH_CHARS:  # `search` has the beginning only
            condition = f"v.type = 'string' AND v.search {op[0]}= %s AND (v.value #>> '{{{{}}}}') COLLATE \"C\" {op} %s"
            values = [value[:SEARCH_CHARS], value]
            kept = _kept(name, _KEPT_TEXT.format(SEARCH_CHARS, op[0] + "="), values[0])
    else:
        condition, values = f"jsonb_typeof(v.value) = jsonb_typeof(%s::jsonb) AND v.value {op} %s::jsonb", [text, text]
    composed = sql.SQL(condition).format()
    return Variable(name, composed, values, ranged, (composed, values) if ranged else listed, kept)


def unsealed(name: str, value: Any) -> None:
    """Nobody feels his way along what is sealed. Raises: BadQuery."""
    if isinstance(value, str) and value.startswith("flk1."):
        raise BadQuery(f"{name[:60]}: expected a value, found what looks like a sealed one")


def found_by_digest(w: Where, name: str, text: str) -> None:
    """What has this digest; and what stood there in the clear before the name was protected. `text`: the digest, and the value as JSON."""
    digest, _, value = text.partition(" ")
    try:
        search = search_text(decode_json(value))
    except (msgspec.DecodeError, ValueError):
        raise BadQuery(f"{name[:60]}: expected a digest and a value as JSON") from None
    condition = sql.SQL("(v.search = %s OR (v.search = %s AND v.value = %s::jsonb))").format()
    listed = sql.SQL("v.search = ANY(%s)"), [[f"{DIGEST}{digest}", search]]
    w.variable(Variable(name, condition, [f"{DIGEST}{digest}", search, value], False, listed))


def variable_filter(w: Where, name: str, text: str) -> bool:
    """`var.NAME` or `var.NAME[op]`; the value is JSON, or a text when it isn't. False: another filter."""
    found = VARIABLE.fullmatch(name)
    if not found:
        return False
    operator = found["op"] or "eq"
    if operator not in _OPERATORS:
        raise BadQuery(f"{name[:60]}: expected one of {', '.join(_OPERATORS)}, found {operator!r}")
    try:
        value = decode_json(text)
    except (msgspec.DecodeError, ValueError):
        value = text
    if len(found["name"]) > WIDTH or "\0" in text or not can_be_held(value):
        raise BadQuery(f"{name[:60]}: expected a value that a row can hold, found {text[:40]!r}")
    w.variable(variable(found["name"], operator, value))
    return True


def _both(condition: sql.Composed, one: Variable, other: Variable) -> Variable:
    values = [*one.values, *other.values]
    kept = one.kept or other.kept
    if one.kept and other.kept:
        kept = sql.SQL("{} AND {}").format(one.kept[0], other.kept[0]), [*one.kept[1], *other.kept[1]]
    if one.ranged and other.ranged:
        return Variable(one.name, condition, values, True, (condition, values), kept)
    best = next((each for each in (one, other) if each.listed and not each.ranged), one if one.listed else other)
    return Variable(one.name, condition, values, best.ranged, best.listed, kept)


def can_be_held(value: Any) -> bool:
    """Whether it could be in a row: `numeric` and `jsonb` have their limits, and no row has more."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        exponent = number.as_tuple().exponent
        return isinstance(exponent, int) and abs(exponent) + len(number.as_tuple().digits) <= DIGITS_MAX
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, dict):
        return all(can_be_held(k) and can_be_held(v) for k, v in value.items())
    return all(can_be_held(v) for v in value) if isinstance(value, list | tuple) else True


def started_from(w: Where, v: str) -> None:
    w.started_from = moment("started_from", v)
    w.add("started_at >= %s", w.started_from)


def started_to(w: Where, v: str) -> None:
    """Before this time; so it was created before it as well, and the index by time begins there."""
    moment_ = moment("started_to", v)
    w.until = moment_
    w.add("started_at < %s AND i.created_at < %s", moment_, moment_)


def part_of_name(w: Where, v: str) -> None:
    """A part of the name, in small or capital letters, or the id. The pieces of the name are in an index; the name itself decides."""
    like = "%" + re.sub(r"([%_#])", r"#\1", v) + "%"
    w.add("((name_parts @> %s AND name ILIKE %s ESCAPE '#') OR definition_id = %s)", pieces_of(v), like, v)


def where(tenant: str, given: Mapping[str, str], known: Mapping[str, Apply], *, variables: bool = False) -> Where:
    """Raises: BadQuery for a filter that isn't known or can't be read."""
    w = Where("tenant_id = %s" if not variables else "i.tenant_id = %s", tenant=tenant)
    for name, value in given.items():
        apply = known.get(name)
        if apply is not None:
            apply(w, value)
        elif variables and isinstance(name, Found):
            found_by_digest(w, name.removeprefix(FOUND), value)
        elif not (variables and variable_filter(w, name, value)):
            expected = ", ".join(known) + (", var.NAME[op]" if variables else "")
            raise BadQuery(f"expected the filters {expected}; found {name[:60]!r}")
    return w


def after(w: Where, cursor: str | None, prefix: str = "", column: str = "created_at", id: str = "id") -> None:
    """Newest first: rows before (time, id) of the cursor."""
    if cursor:
        us, id_ = parse_cursor(cursor)
        w.add(f"({prefix}{column}, {prefix}{id}) < (%s, %s)", stamp(us), id_)


def next_cursor(rows: list[dict[str, Any]], limit: int, column: str = "created_at") -> str | None:
    """`rows` were read with one more than `limit`, which is cut off here."""
    if len(rows) <= limit:
        return None
    del rows[limit:]
    return cursor_of(micros(rows[-1][column]), rows[-1]["id"])
