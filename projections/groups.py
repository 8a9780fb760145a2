"""Answers about groups of incidents, and about the way from an incident up to its root instance. See `queries.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from flowledger.projections import filters as fi
from flowledger.projections import lists, names
from flowledger.projections.reader import Reader, Row, plain
from flowledger.projections.reports import TREE_DEPTH
from flowledger.projections.tables import stamp

#: incidents of a group that are shown
EXAMPLES = 3
_GROUPS = (
    "SELECT group_id, process_id, element, code, min(cause) AS cause, count(*)::int AS count, "
    "count(DISTINCT workflow_instance_id)::int AS instances, count(*) FILTER (WHERE status = 'open')::int AS open, "
    "(array_agg(DISTINCT definition_id))[1:100] AS definitions, min(created_at) AS first_at, max(created_at) AS last_at, max(id) AS id, "
    "(array_agg(id ORDER BY created_at DESC, id DESC))[1:{}] AS examples FROM incidents WHERE {} "
    "GROUP BY group_id, process_id, element, code {} ORDER BY max(created_at) DESC, max(id) DESC LIMIT %s"
)
_CHAIN = (
    "WITH RECURSIVE up AS (SELECT i.*, 0 AS depth FROM workflow_instances i WHERE tenant_id = %s AND id = %s UNION ALL "
    "SELECT p.*, up.depth + 1 FROM up JOIN workflow_instances p ON p.tenant_id = up.tenant_id AND p.id = up.parent_id WHERE up.depth < %s) "
    "SELECT id, process_id, definition_id, version, business_key, status, parent_id, parent_token, depth FROM up ORDER BY depth DESC"
)


async def list_groups(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    """The one with the newest incident first. Filters: `filters.INCIDENTS`."""
    count = fi.limit_of(limit)
    w = fi.where(tenant, given, lists.INCIDENTS)
    where, values = w.joined(w.sets)
    behind = sql.SQL("")
    if cursor:
        us, id = fi.parse_cursor(cursor)
        behind = sql.SQL("HAVING (max(created_at), max(id)) < (%s, %s)")
        values = [*values, stamp(us), id]
    position = await r.position()
    rows = await r.rows(sql.SQL(_GROUPS).format(sql.SQL(str(EXAMPLES)), where, behind), [*values, count + 1])
    following = fi.next_cursor(rows, count, "last_at")
    keys = [key for row in rows for key in row["examples"]]
    shown = {}
    if keys:
        query = "SELECT id, workflow_instance_id, message, status, created_at FROM incidents WHERE tenant_id = %s AND id = ANY(%s)"
        shown = {row["id"]: plain(row) for row in await r.rows(query, (tenant, keys))}
    items = [_group(row, shown) for row in rows]
    await names.put(r, tenant, items)
    return {"items": items, "cursor": following, "position": position}


def _group(row: Row, shown: Mapping[int, Row]) -> dict[str, Any]:
    out = plain({k: v for k, v in row.items() if k not in ("id", "group_id", "examples", "definitions")})
    return {
        "id": row["group_id"], **out, "definitions": [str(k) for k in row["definitions"] if k is not None],
        "examples": [shown[key] for key in row["examples"] if key in shown],
    }  # fmt: skip


async def incident_chain(r: Reader, tenant: str, key: int) -> Row | None:
    """`items`: the instances from the root down to the one with the incident; each has the element at which it waits for the next, the last the
    incident's own. None: no such incident."""
    position = await r.position()
    found = await r.rows("SELECT * FROM incidents WHERE tenant_id = %s AND id = %s", (tenant, key))
    if not found:
        return None
    incident = found[0]
    rows = await r.rows(_CHAIN, (tenant, incident["workflow_instance_id"], TREE_DEPTH)) if incident["workflow_instance_id"] else []
    items: list[dict[str, Any]] = []
    for n, row in enumerate(rows):
        below = rows[n + 1] if n + 1 < len(rows) else None
        element = incident["element"] if below is None else await _calling(r, tenant, row["id"], below["parent_token"])
        shown = {k: v for k, v in row.items() if k not in ("depth", "parent_token")}
        items.append({**_named(plain(shown)), "element": element})
    return {"incident": _named(plain(incident)), "items": items, "position": position}


def _named(row: Row) -> Row:
    """Under the names of JSON."""
    return {{"process_id": "process", "definition_id": "definition"}.get(k, k): v for k, v in row.items()}


async def _calling(r: Reader, tenant: str, instance: int, token: int) -> str:
    """The call activity at which a token of an instance stands; `""`: not known."""
    query = "SELECT definition_key FROM tasks WHERE tenant_id = %s AND workflow_instance_id = %s AND token_id = %s AND type = 'call_activity' LIMIT 1"
    rows = await r.rows(query, (tenant, instance, token))
    return rows[0]["definition_key"] if rows else ""
