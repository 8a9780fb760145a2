"""Instances by what their variables are: whichever of the conditions the fewest rows pass leads the query, the others are asked of its rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from flowledger.projections import filters as fi
from flowledger.projections.pages import newest
from flowledger.projections.reader import Reader, Row
from flowledger.projections.words import INSTANCE_STATUSES

_ROOT = "v.tenant_id = %s AND v.scope = 'workflow' AND v.name = %s"
_OF_INSTANCE = (
    "EXISTS (SELECT 1 FROM variables v WHERE v.tenant_id = i.tenant_id AND v.workflow_instance_id = i.id AND v.scope_id = i.id "
    "AND v.instance_created_at = i.created_at AND v.name = %s AND {} OFFSET 0)"
)
_LED = (
    "SELECT {columns} FROM ({keys}) v CROSS JOIN LATERAL (SELECT i.* FROM workflow_instances i "
    "WHERE i.id = v.workflow_instance_id AND i.created_at = v.instance_created_at AND {where} OFFSET 0) i {order} LIMIT %s"
)
_ORDER = sql.SQL("ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC")
#: keys of the instances whose variable passes: in the order of the list; among the newest that have one of that name
_BY_TIME = "SELECT v.instance_created_at, v.workflow_instance_id FROM variables v WHERE {root} AND {condition} {order}"
_AMONG_NEWEST = (
    "SELECT v.instance_created_at, v.workflow_instance_id FROM (SELECT * FROM variables v WHERE {root} {order} LIMIT %s) v "
    "WHERE {condition} {order}"
)
#: By the order of the values, within a month, and there within one slice of time after the other, the newest first, until there are enough. Each
#: slice needs the one before (LATERAL), so they are read in this order, which the planner doesn't know: it isn't asked for again.
_BY_VALUE = (
    "SELECT v.instance_created_at, v.workflow_instance_id FROM generate_series(date_bin('3 days', {end}, '2000-01-01 00:00:00+00'), "
    "date_bin('3 days', {begin}, '2000-01-01 00:00:00+00'), interval '-3 days') AS slice CROSS JOIN LATERAL (SELECT v.* FROM variables v "
    "WHERE {root} AND {condition} AND date_bin('3 days', v.instance_created_at, '2000-01-01 00:00:00+00') = slice "
    "AND v.instance_created_at >= {begin} AND v.instance_created_at < {end} {order} OFFSET 0) v"
)
#: How many of the newest those are. When few rows pass, a page isn't among them, and then few pass in each slice, too. The planner, who knows the
#: values of all variables together, can't tell how many rows it will be.
LOOK = 1_500
_WAIT = timedelta(minutes=1)


async def bound_start(r: Reader, w: fi.Where) -> None:
    """Who asks for those that started from a time on gets a bound in the order of the list: nothing waited for its start longer than this."""
    if w.started_from is None:
        return
    found = await r.rows(
        "SELECT started_at - created_at AS wait FROM workflow_instances WHERE tenant_id = %s AND started_at - created_at > interval '1 minute' "
        "ORDER BY started_at - created_at DESC LIMIT 1",
        (w.tenant,),
    )
    try:
        w.add("i.created_at >= %s", w.started_from - (found[0]["wait"] if found else _WAIT))
    except OverflowError:  # before the first year: no bound
        return


async def listed(r: Reader, columns: str, w: fi.Where, count: int, cursor: str | None, plainly: Callable[[Row], Row]) -> Row:
    """`{items, cursor, position}`, the newest first."""
    position = await r.position()
    leader = await _leader(r, w)
    for other in w.variables:
        if other is not leader:
            w.add(sql.SQL(_OF_INSTANCE).format(other.condition), other.name, *other.values)
    if leader is None:
        fi.after(w, cursor, "i.")
        rows = await r.rows(*newest(columns, "workflow_instances i", w, count + 1, prefix="i.", statuses=INSTANCE_STATUSES))
    else:
        rows = await r.rows(*_led(columns, w, leader, _AMONG_NEWEST if leader.ranged else _BY_TIME, count + 1, cursor))
        if leader.ranged and len(rows) <= count:
            rows = []
            for month in await _months(r, w, leader, cursor):
                rows += await r.rows(*_led(columns, w, leader, _BY_VALUE, count + 1 - len(rows), cursor, month))
                if len(rows) > count:
                    break
    following = fi.next_cursor(rows, count)
    return {"items": [plainly(row) for row in rows], "cursor": following, "position": position}


async def _leader(r: Reader, w: fi.Where) -> fi.Variable | None:
    """None: the instances themselves. By what the planner expects, which costs no reading."""
    if len(w.variables) == 1 and _alone(w):
        return w.variables[0]
    expected: list[tuple[float, fi.Variable | None]] = []
    for variable in w.variables:
        text = sql.SQL("SELECT 1 FROM variables v WHERE {} AND {}").format(sql.SQL(_ROOT), variable.condition)
        expected.append((await r.estimate(text, [w.tenant, variable.name, *variable.values]), variable))
    if not _alone(w):
        where, values = w.joined(w.sets)
        expected.append((await r.estimate(sql.SQL("SELECT 1 FROM workflow_instances i WHERE {}").format(where), values), None))
    return min(expected, key=lambda e: e[0])[1]


def _alone(w: fi.Where) -> bool:
    """Nothing but the tenant is asked of the instance."""
    return len(w.conditions) == 1 and not w.sets


def _root(w: fi.Where, leader: fi.Variable, cursor: str | None) -> fi.Where:
    v = fi.Where(_ROOT, tenant=w.tenant)
    v.values.append(leader.name)
    fi.after(v, cursor, "v.", "instance_created_at", "workflow_instance_id")
    return v


async def _months(r: Reader, w: fi.Where, leader: fi.Variable, cursor: str | None) -> list[datetime]:
    """The beginnings of those in which an instance has the variable, of the first to the last, the newest first. They are partitions."""
    root, values = _root(w, leader, cursor).joined()
    text = sql.SQL(
        "SELECT month FROM (SELECT min(instance_created_at) AS first, max(instance_created_at) AS last FROM variables v WHERE {}) a, "
        "generate_series(date_trunc('month', a.last), date_trunc('month', a.first), interval '-1 month') AS month"
    )
    return [row["month"] for row in await r.rows(text.format(root), values)]


def _led(
    columns: str, w: fi.Where, leader: fi.Variable, keys: str, limit: int, cursor: str | None, month: datetime | None = None
) -> tuple[sql.Composed, list[Any]]:
    (root, asked), (where, values) = _root(w, leader, cursor).joined(), w.joined(w.sets)
    bounds = {}
    if month is not None:
        following = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
        bounds = {"begin": sql.Literal(month), "end": sql.Literal(following)}
    elif keys is _AMONG_NEWEST:
        asked = [*asked, LOOK]
    enough = [limit] if _alone(w) else []
    found = sql.SQL(keys + (" LIMIT %s" if enough else "")).format(root=root, condition=leader.condition, order=_ORDER, **bounds)
    order = sql.SQL("") if bounds else _ORDER
    text = sql.SQL(_LED).format(columns=sql.SQL(columns), keys=found, where=where, order=order)
    return text, [*asked, *leader.values, *enough, *values, limit]
