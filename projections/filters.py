"""Filters of lists as SQL with parameters; and cursors, which say after which row to go on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from psycopg import sql

from flowledger.events.avro import decode_json, encode_json
from flowledger.kernel import times
from flowledger.projections.context import ACTIVITY
from flowledger.projections.reader import BadQuery
from flowledger.projections.tables import micros, stamp
from flowledger.projections.words import INT_MAX, PRIORITIES, SEARCH_CHARS, pieces_of, priority_word, search_text

LIMIT, LIMIT_MAX = 50, 1_000
_KEY_MAX = 2**63 - 1
_CURSOR = re.compile(r"([0-9]{1,17})-([1-9][0-9]{0,18})")
_VARIABLE = re.compile(r"var\.(?P<name>[^\[\]]+)(?:\[(?P<op>\w+)\])?")
PRIORITY_MAX = 100
#: digits of a number that is compared; what is beyond is in no row as a number
DIGITS_MAX = 1_000
_OPERATORS = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Where:
    """Conditions joined by AND, with their parameters in order.

    Attributes:
        spread: (column, SQL type, values): one of several values. Each is read from the index in the order of the list, and the heads are
            merged, so that a page costs as much as it shows however many rows there are.
        variable: conditions on the row of a variable (alias `v`) that leads the query: its index has the order of the list, too.
    """

    def __init__(self, *conditions: str, values: tuple[Any, ...] = ()) -> None:
        self.conditions: list[sql.Composable] = [sql.SQL(c) for c in conditions]
        self.values: list[Any] = list(values)
        self.spread: tuple[str, str, list[Any]] | None = None
        self.variable: tuple[sql.Composable, list[Any]] | None = None

    def among(self, column: str, kind: str, values: list[Any]) -> None:
        """One of `values`."""
        if len(values) == 1:
            self.add(sql.SQL("{} = %s").format(sql.Identifier(column)), values[0])
        elif self.spread is None:
            self.spread = (column, kind, values)
        else:
            self.add(sql.SQL("{} = ANY(%s)").format(sql.Identifier(column)), values)

    def add(self, condition: sql.Composable | str, *values: Any) -> None:
        self.conditions.append(sql.SQL(condition) if isinstance(condition, str) else condition)
        self.values += values

    @property
    def sql(self) -> sql.Composed:
        return sql.SQL(" AND ").join(self.conditions)


Apply = Callable[[Where, str], None]


def key(name: str, text: str) -> int:
    """A key from a request. Raises: BadQuery."""
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _KEY_MAX:
        raise BadQuery(f"{name}: expected a key (a number), found {text[:40]!r}")
    return int(text)


def by_definition(w: Where, text: str) -> None:
    """A definition's key, or a process id."""
    if text.isascii() and text.isdigit():
        w.add("definition_id = %s", key("definition", text))
    else:
        w.add("process_id = %s", text)


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


def equal(column: str, *, sparse: bool = False) -> Apply:
    """`sparse`: only rows that have something there are indexed."""
    condition = "{} = %s AND {} <> ''" if sparse else "{} = %s"

    def apply(w: Where, v: str) -> None:
        if len(v) > WIDTH or "\0" in v:
            w.add("FALSE")
        else:
            w.add(sql.SQL(condition).format(*[sql.Identifier(column)] * condition.count("{}")), v)

    return apply


def key_equal(column: str, name: str) -> Apply:
    return lambda w, v: w.add(sql.SQL("{} = %s").format(sql.Identifier(column)), key(name, v))


def one_of(column: str, *, spread: bool = True) -> Apply:
    """One value, or several with commas. `spread`: the list is in the order of its time, as `queries._list` reads it."""

    def apply(w: Where, v: str) -> None:
        values = list(dict.fromkeys(v.split(",")))
        if spread:
            w.among(column, "text", values)
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


def priority(w: Where, v: str) -> None:
    """A word (low, normal, high, critical, urgent), or a number: that or more urgent."""
    if v.isascii() and v.isdigit() and int(v[:9]) <= PRIORITY_MAX:
        w.among("priority_value", "int", list(range(int(v), PRIORITY_MAX + 1)))
    elif v in PRIORITIES:
        word = "normal" if v == "medium" else v
        w.among("priority_value", "int", [n for n in range(PRIORITY_MAX + 1) if priority_word(n) == word])
    else:
        raise BadQuery(f"priority: expected {', '.join(PRIORITIES)} or a number, found {v[:40]!r}")


def instance_definition(w: Where, v: str) -> None:
    """A definition key, or a process id."""
    if v.isascii() and v.isdigit():
        w.add("definition_id = %s", key("definition", v))
    else:
        w.add("process_id = %s", v)


def task_definition(w: Where, v: str) -> None:
    if v.isascii() and v.isdigit():
        w.add("workflow_definition_id = %s", key("definition", v))
    else:
        w.add("process_id = %s", v)


def has_incident(w: Where, v: str) -> None:
    w.add("incidents > 0" if truth("has_incident", v) else "incidents = 0")


def overdue(w: Where, v: str) -> None:
    open_ = "status NOT IN ('completed', 'cancelled', 'skipped')"
    w.add(
        f"(due_at < now() AND due_at IS NOT NULL AND {open_})"
        if truth("overdue", v)
        else f"(due_at IS NULL OR due_at >= now() OR NOT {open_})"
    )


def activities(w: Where, v: str) -> None:
    """false: jobs and people's work only; true: the activities that the engine does itself as well."""
    if not truth("activities", v):
        w.add("id < %s", ACTIVITY)


def variable(name: str, operator: str, value: Any) -> tuple[sql.Composed, list[Any]]:
    """A root variable (alias `v`) compared with a JSON value; only values of the same type compare, texts by code points."""
    text = encode_json(value).decode()
    search, op = search_text(value), _OPERATORS[operator]
    values: list[Any]
    if operator == "eq" and search is not None:
        condition, values = "v.search = %s AND v.value = %s::jsonb", [search, text]
    elif operator in ("eq", "ne"):
        condition, values = f"v.value {op} %s::jsonb", [text]
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        condition, values = f"v.number {op} %s", [value if isinstance(value, int) else Decimal(str(value))]
    elif isinstance(value, str):
        condition = f"v.type = 'string' AND v.search {op[0]}= %s AND (v.value #>> '{{{{}}}}') COLLATE \"C\" {op} %s"
        values = [value[:SEARCH_CHARS], value]
    else:
        condition, values = f"jsonb_typeof(v.value) = jsonb_typeof(%s::jsonb) AND v.value {op} %s::jsonb", [text, text]
    return sql.SQL("v.name = %s AND " + condition).format(), [name, *values]


#: the row of another variable of the same instance
_ALSO = (
    "EXISTS (SELECT 1 FROM variables v WHERE v.tenant_id = i.tenant_id AND v.workflow_instance_id = i.id AND v.scope_id = i.id "
    "AND v.instance_created_at = i.created_at AND "
)


def variable_filter(w: Where, name: str, text: str) -> bool:
    """`var.NAME` or `var.NAME[op]`; the value is JSON, or a text when it isn't. False: another filter."""
    found = _VARIABLE.fullmatch(name)
    if not found:
        return False
    operator = found["op"] or "eq"
    if operator not in _OPERATORS:
        raise BadQuery(f"{name[:60]}: expected one of {', '.join(_OPERATORS)}, found {operator!r}")
    try:
        value = decode_json(text)
    except (msgspec.DecodeError, ValueError):
        value = text
    if len(found["name"]) > WIDTH or "\0" in text or not _can_be_held(value):
        raise BadQuery(f"{name[:60]}: expected a value that a row can hold, found {text[:40]!r}")
    condition, values = variable(found["name"], operator, value)
    if w.variable is None:
        w.variable = condition, values
    else:
        w.add(sql.SQL(_ALSO) + condition + sql.SQL(")"), *values)
    return True


def _can_be_held(value: Any) -> bool:
    """Whether it could be in a row: `numeric` and `jsonb` have their limits, and no row has more."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        exponent = number.as_tuple().exponent
        return isinstance(exponent, int) and abs(exponent) + len(number.as_tuple().digits) <= DIGITS_MAX
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, dict):
        return all(_can_be_held(k) and _can_be_held(v) for k, v in value.items())
    return all(_can_be_held(v) for v in value) if isinstance(value, list | tuple) else True


def started_to(w: Where, v: str) -> None:
    """Before this time; so it was created before it as well, and the index by time begins there."""
    moment_ = moment("started_to", v)
    w.add("started_at < %s AND i.created_at < %s", moment_, moment_)


def part_of_name(w: Where, v: str) -> None:
    """A part of the name, in small or capital letters, or the id. The pieces of the name are in an index; the name itself decides."""
    like = "%" + re.sub(r"([%_#])", r"#\1", v) + "%"
    w.add("((name_parts @> %s AND name ILIKE %s ESCAPE '#') OR definition_id = %s)", pieces_of(v), like, v)


INSTANCES: dict[str, Apply] = {
    "definition": instance_definition,
    "version": whole("version", "version"),
    "status": one_of("status"),
    "business_key": equal("business_key", sparse=True),
    "has_incident": has_incident,
    "started_from": time_at("started_at", ">=", "started_from"),
    "started_to": started_to,
    "parent": key_equal("parent_id", "parent"),
    "initiator": equal("initiator", sparse=True),
    "correlation_id": equal("correlation_id", sparse=True),
    "paused": lambda w, v: w.add("paused" if truth("paused", v) else "NOT paused"),
    "priority": priority,
}
TASKS: dict[str, Apply] = {
    "assignee": equal("assignee"),
    "candidate_group": lambda w, v: w.add("candidate_groups @> %s", v.split(",")),
    "any_group": lambda w, v: w.add("candidate_groups && %s::text[]", v.split(",")),
    "candidate_user": lambda w, v: w.add("candidate_users @> %s", v.split(",")),
    "status": one_of("status"),
    "due_before": time_at("due_at", "<", "due_before"),
    "due_after": time_at("due_at", ">=", "due_after"),
    "due": time_at("due_at", "<=", "due"),
    "overdue": overdue,
    "priority": priority,
    "type": one_of("type"),
    "job_type": equal("job_type", sparse=True),
    "category": equal("category"),
    "instance": key_equal("workflow_instance_id", "instance"),
    "definition": task_definition,
    "element": equal("definition_key", sparse=True),
    "parent": key_equal("parent_id", "parent"),
    "result_status": one_of("result_status", spread=False),
    "activities": activities,
}
INCIDENTS: dict[str, Apply] = {
    "status": equal("status"),
    "instance": key_equal("workflow_instance_id", "instance"),
    "definition": by_definition,
    "code": equal("code"),
    "element": equal("element"),
}
DEAD_LETTERS: dict[str, Apply] = {
    "status": one_of("status"),
    "partition": whole("partition", "partition"),
    "instance": key_equal("workflow_instance_id", "instance"),
    "created_from": time_at("created_at", ">=", "created_from"),
    "created_to": time_at("created_at", "<", "created_to"),
}
MESSAGES: dict[str, Apply] = {
    "name": equal("name"),
    "correlation_key": equal("correlation_key"),
    "message_id": equal("message_id"),
    "status": lambda w, v: w.add(
        "(CASE WHEN status = 'received' AND expired_at IS NOT NULL THEN 'expired' ELSE status END) = %s", v
    ),
    "instance": key_equal("workflow_instance_id", "instance"),
}  # fmt: skip
TIMERS: dict[str, Apply] = {
    "instance": key_equal("workflow_instance_id", "instance"),
    "definition": by_definition,
    "status": equal("status"),
    "due_before": time_at("due_at", "<", "due_before"),
    "element": equal("element"),
}
EVENTS: dict[str, Apply] = {
    "type": one_of("event_type", spread=False),
    "element": equal("source"),
    "from": time_at("occurred_at", ">=", "from"),
    "to": time_at("occurred_at", "<", "to"),
}
EVALUATIONS: dict[str, Apply] = {
    "decision": lambda w, v: w.add("data ->> 'decision' = %s", v),
    "version": lambda w, v: w.add("data ->> 'version' = %s", v),
    "instance": key_equal("workflow_instance_id", "instance"),
}
DEFINITIONS: dict[str, Apply] = {
    "id": lambda w, v: w.add("id = %s", key("id", v)) if v.isascii() and v.isdigit() else equal("definition_id")(w, v),
    "definition_id": equal("definition_id"),
    "kind": equal("kind"),
    "status": one_of("status", spread=False),
    "version": whole("version", "version"),
    "name": part_of_name,
    "tag": lambda w, v: w.add("metadata -> 'tags' @> %s::jsonb", encode_json([v]).decode()),
    "category": lambda w, v: w.add("metadata ->> 'category' = %s", v),
    "creator": equal("created_by"),
    "format": equal("format"),
}


def where(tenant: str, given: Mapping[str, str], known: Mapping[str, Apply], *, variables: bool = False) -> Where:
    """Raises: BadQuery for a filter that isn't known or can't be read."""
    w = Where("tenant_id = %s" if not variables else "i.tenant_id = %s", values=(tenant,))
    for name, value in given.items():
        apply = known.get(name)
        if apply is not None:
            apply(w, value)
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
