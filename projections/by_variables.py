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

_ROOT = "v.tenant_id = %s AND v.scope = 'workflow' AND "
_OF_INSTANCE = (
    "EXISTS (SELECT 1 FROM variables v WHERE v.tenant_id = i.tenant_id AND v.workflow_instance_id = i.id AND v.scope_id = i.id "
    "AND v.instance_created_at = i.created_at AND {} OFFSET 0)"
)
_LED = (
    "SELECT {columns} FROM (SELECT v.instance_created_at, v.workflow_instance_id FROM variables v WHERE {variable} "
    "ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC{first}) v CROSS JOIN LATERAL (SELECT i.* FROM workflow_instances i "
    "WHERE i.id = v.workflow_instance_id AND i.created_at = v.instance_created_at AND {where} OFFSET 0) i "
    "ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC LIMIT %s"
)
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
    others = [v for n, v in enumerate(w.variables) if n != leader]
    for condition, values in others:
        w.add(sql.SQL(_OF_INSTANCE).format(condition), *values)
    if leader is None:
        fi.after(w, cursor, "i.")
        text, values = newest(columns, "workflow_instances i", w, count + 1, prefix="i.", statuses=INSTANCE_STATUSES)
    else:
        text, values = _led(columns, w, leader, count + 1, cursor, alone=len(w.conditions) == 1 and not w.sets)
    rows = await r.rows(text, values)
    following = fi.next_cursor(rows, count)
    return {"items": [plainly(row) for row in rows], "cursor": following, "position": position}


async def _leader(r: Reader, w: fi.Where) -> int | None:
    """Which of the variables; None: the instances themselves. By what the planner expects, which costs no reading."""
    others = len(w.conditions) > 1 or bool(w.sets)
    if len(w.variables) == 1 and not others:
        return 0
    expected: list[tuple[float, int | None]] = []
    for n, (condition, values) in enumerate(w.variables):
        text = sql.SQL("SELECT 1 FROM variables v WHERE ") + sql.SQL(_ROOT) + condition
        expected.append((await r.estimate(text, [w.tenant, *values]), n))
    if others:
        where, values = w.joined(w.sets)
        expected.append((await r.estimate(sql.SQL("SELECT 1 FROM workflow_instances i WHERE {}").format(where), values), None))
    return min(expected, key=lambda e: e[0])[1]


def _led(columns: str, w: fi.Where, leader: int, limit: int, cursor: str | None, *, alone: bool) -> tuple[sql.Composed, list[Any]]:
    condition, asked = w.variables[leader]
    v = fi.Where(_ROOT.removesuffix(" AND "), tenant=w.tenant)
    v.add(condition, *asked)
    fi.after(v, cursor, "v.", "instance_created_at", "workflow_instance_id")
    variable, first = v.joined()
    where, values = w.joined(w.sets)
    text = sql.SQL(_LED).format(columns=sql.SQL(columns), variable=variable, first=sql.SQL(" LIMIT %s" if alone else ""), where=where)
    return text, [*first, *([limit] if alone else []), *values, limit]
