"""Instances by what their variables are: whichever of the conditions the fewest rows pass leads the query, the others are asked of its rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
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
    "WHERE i.id = v.workflow_instance_id AND i.created_at = v.instance_created_at AND {where} OFFSET 0) i "
    "ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC LIMIT %s"
)
_KEYS = "SELECT v.instance_created_at, v.workflow_instance_id FROM {} ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC"
#: keys of the instances whose variable passes: in the order of the list; among the newest that have one of that name; by the order of the values
_BY_TIME = _KEYS.format("variables v WHERE {root} AND {condition}")
_AMONG_NEWEST = _KEYS.format(
    "(SELECT * FROM variables v WHERE {root} ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC LIMIT %s) v WHERE {condition}"
)
_BY_VALUE = _KEYS.format("(SELECT * FROM variables v WHERE {root} AND {condition} ORDER BY v.{ranged} OFFSET 0) v")
#: how many of the newest those are. When few rows pass, a page isn't among them, and the index of the values has it soon; no index has both
#: orders, and the planner, who knows the values of all variables together, can't tell how many rows it will be.
LOOK = 4_000
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
        rows = []
        for keys in (_AMONG_NEWEST, _BY_VALUE) if leader.ranged else (_BY_TIME,):
            if len(rows) <= count:
                rows = await r.rows(*_led(columns, w, leader, keys, count + 1, cursor))
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


def _led(columns: str, w: fi.Where, leader: fi.Variable, keys: str, limit: int, cursor: str | None) -> tuple[sql.Composed, list[Any]]:
    v = fi.Where(_ROOT, tenant=w.tenant)
    v.values.append(leader.name)
    fi.after(v, cursor, "v.", "instance_created_at", "workflow_instance_id")
    (root, asked), (where, values) = v.joined(), w.joined(w.sets)
    more = [LOOK] if keys is _AMONG_NEWEST else []
    enough = [limit] if _alone(w) else []
    found = sql.SQL(keys + (" LIMIT %s" if enough else "")).format(
        root=root, condition=leader.condition, ranged=sql.Identifier(leader.ranged or "name")
    )
    text = sql.SQL(_LED).format(columns=sql.SQL(columns), keys=found, where=where)
    return text, [*asked, *more, *leader.values, *enough, *values, limit]
