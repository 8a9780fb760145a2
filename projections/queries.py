"""Answers from the projections. Functions take a `Reader` and a tenant, and give JSON values; lists give `{items, cursor, position}`.

`position` is read before the rows: they are at least as new. Nothing of another tenant is ever found. Raises in all: `BadQuery`
(a filter, cursor or key can't be read) and the database's errors. What isn't found is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import sql

from flowledger.events import task as ta
from flowledger.events.wire import NAMES
from flowledger.projections import about, by_variables, held, lists, names, search, task_order
from flowledger.projections import filters as fi
from flowledger.projections.pages import newest
from flowledger.projections.reader import Reader, Row, iso, number_of, plain, plain_event
from flowledger.projections.reports import (
    counts,
    execution_metrics,
    instance_metrics,
    instance_status,
    instance_tree,
    orphans,
    task_metrics,
)
from flowledger.projections.words import INCIDENT_STATUSES, INSTANCE_STATUSES, TASK_STATUSES

__all__ = [
    "counts", "execution_metrics", "get_dead_letter", "get_definition", "get_definition_source", "get_hold", "get_incident", "get_instance", "get_message",
    "get_task", "get_timer", "instance_events", "instance_metrics", "instance_status", "instance_tasks", "instance_tree", "instance_variables",
    "list_dead_letters", "list_definitions", "list_evaluations", "list_holds", "list_incidents", "list_instances", "list_messages", "list_tasks",
    "list_timers", "orphans",
    "task_events",
    "task_metrics",
]  # fmt: skip

Filters = Mapping[str, str]

INSTANCE_SUMMARY = (
    "i.tenant_id, i.id, i.definition_id, i.process_id, i.version, i.name, i.business_key, i.status, i.paused, i.incidents, i.priority, "
    "i.priority_value, i.initiator, i.created_at, i.started_at, i.completed_at, i.cancelled_at, i.parent_id, i.root_id, i.row_version"
)
TASK_SUMMARY = (
    "tenant_id, id, workflow_instance_id, workflow_definition_id, process_id, definition_key, name, reference, type, job_type, category, status, "
    "priority, priority_value, created_at, started_at, completed_at, cancelled_at, updated_at, due_at, follow_up_at, assignee, "
    "candidate_groups, candidate_users, worker, attempts, retries, incident_id, row_version, parent_id, sequence_number, result_status, "
    "duration_ms"
)
MESSAGE = (
    "tenant_id, id, name, correlation_key, message_id, variables, "
    "CASE WHEN status = 'received' AND expired_at IS NOT NULL THEN 'expired' ELSE status END AS status, "
    "workflow_instance_id, correlations, received_at, correlated_at, expires_at, expired_at"
)
DEFINITION_SUMMARY = (
    "tenant_id, id, definition_id, kind, name, description, version, version_tag, content_hash, resource, format, notation, status, "
    "deployment_id, created_at, updated_at, created_by, validation_result, graph_hash, metadata, row_version, "
    "outline -> '' -> 'imports' AS imports, CASE WHEN jsonb_typeof(metadata -> 'complexity_score') = 'number' "
    "THEN metadata -> 'complexity_score' ELSE outline -> '' -> 'complexity' END AS complexity_score"
)

_DEFINITIONS = "SELECT {} FROM workflow_definitions d WHERE {} ORDER BY definition_id, version DESC, id LIMIT %s"
_LATEST = (
    "SELECT {} FROM workflow_definitions d WHERE {} AND NOT EXISTS (SELECT 1 FROM workflow_definitions n WHERE n.tenant_id = d.tenant_id "
    "AND n.kind = d.kind AND n.definition_id = d.definition_id AND n.version > d.version AND n.deleted_at IS NULL) "
    "ORDER BY definition_id, version DESC, id LIMIT %s"
)
#: brought into order first: so only those of the page are asked whether they are the latest
_LATEST_GATHERED = _LATEST.replace(
    "workflow_definitions d WHERE {} AND",
    "(SELECT * FROM workflow_definitions WHERE {} ORDER BY definition_id, version DESC, id OFFSET 0) d WHERE",
)
#: what an index finds in no order
_GATHERED = frozenset(("name", "tag"))


async def _list(
    r: Reader,
    columns: str,
    table: str,
    w: fi.Where,
    limit: str | int | None,
    cursor: str | None,
    time: str = "created_at",
    prefix: str = "",
    plainly: Callable[[Row], Row] | None = None,
    statuses: Sequence[str] = (),
) -> Row:
    """Newest first, by time and key. `plainly`: a row as JSON. `statuses`: all that there are, where indexes go on with them and each filter
    has one in the order of the list."""
    count = fi.limit_of(limit)
    fi.after(w, cursor, prefix, time)
    composed, values = newest(columns, table, w, count + 1, time, prefix, statuses)
    position = await r.position()
    rows = await r.rows(composed, values, sorts=not (statuses and w.in_order))
    following = fi.next_cursor(rows, count, time)
    return {"items": [(plainly or _named)(row) for row in rows], "cursor": following, "position": position}


def _named(row: Row) -> Row:
    out = plain(row)
    if "incidents" in out:
        out["incident"] = out["incidents"] > 0
    return out


async def _one(r: Reader, columns: str, table: str, tenant: str, key: int) -> Row | None:
    query = sql.SQL("SELECT {} FROM {} WHERE tenant_id = %s AND id = %s").format(sql.SQL(columns), sql.SQL(table))
    position = await r.position()
    rows = await r.rows(query, (tenant, key))
    return {**_named(rows[0]), "position": position} if rows else None


async def _archived(r: Reader, table: str, tenant: str, key: int) -> Row | None:
    """The row in a month that has left the live table."""
    names = await r.rows(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = %s AND tablename ~ %s ORDER BY 2 DESC",
        (r.schema + "_archive", f"^{table}_m[0-9]{{6}}$"),
    )
    for name in names:
        place = sql.Identifier(name["schemaname"], name["tablename"])
        rows = await r.rows(sql.SQL("SELECT * FROM {} WHERE tenant_id = %s AND id = %s").format(place), (tenant, key))
        if rows:
            return {**_named(rows[0]), "archived": True, "position": await r.position()}
    return None


# --- instances ----------------------------------------------------------------------------------------------------------


async def list_instances(r: Reader, tenant: str, given: Filters, limit: str | int | None = None, cursor: str | None = None) -> Row:
    """Filters: `lists.INSTANCES` and `var.NAME[op]`; and `where`, `text`: a search (`search.py`)."""
    if "where" in given or "text" in given:
        return await search.listed(r, INSTANCE_SUMMARY, tenant, given, fi.limit_of(limit), cursor, _named)
    w = fi.where(tenant, given, lists.INSTANCES, variables=True)
    await by_variables.bound_start(r, w)
    if w.variables:
        return await by_variables.listed(r, INSTANCE_SUMMARY, w, fi.limit_of(limit), cursor, _named)
    return await _list(r, INSTANCE_SUMMARY, "workflow_instances i", w, limit, cursor, prefix="i.", statuses=INSTANCE_STATUSES)


async def get_instance(r: Reader, tenant: str, key: int) -> Row | None:
    """With input, output, metadata and root variables."""
    return await _one(r, "*", "workflow_instances", tenant, key) or await _archived(r, "workflow_instances", tenant, key)


async def instance_tasks(r: Reader, tenant: str, key: int, limit: str | int | None = None, cursor: str | None = None) -> Row:
    return await list_tasks(r, tenant, {"instance": str(key)}, limit, cursor)


async def instance_variables(r: Reader, tenant: str, key: int) -> Row | None:
    """`{variables: {name: value} of the root scope, items: [all scopes], position}`; None: no such instance."""
    position = await r.position()
    if not await r.rows("SELECT 1 FROM workflow_instances WHERE tenant_id = %s AND id = %s", (tenant, key)):
        return None
    rows = await r.rows(
        "SELECT scope_id, name, scope, type, value, created_at, updated_at FROM variables "
        "WHERE tenant_id = %s AND workflow_instance_id = %s ORDER BY scope_id, name",
        (tenant, key),
    )
    root = {row["name"]: row["value"] for row in rows if row["scope_id"] == key}
    return {"variables": root, "items": [plain(row) for row in rows], "position": position}


async def _events(r: Reader, table: str, column: str, tenant: str, key: int, given: Filters, after: str | None, limit: Any) -> Row:
    count = fi.limit_of(limit)
    w = fi.where(tenant, given, lists.EVENTS)
    w.add(sql.SQL("{} = %s").format(sql.Identifier(column)), key)
    if after:
        w.add("id > %s", number_of(after))
    where, values = w.joined()
    query = sql.SQL("SELECT * FROM {} WHERE {} ORDER BY {}, id LIMIT %s").format(sql.Identifier(table), where, sql.Identifier(column))
    position = await r.position()
    rows = await r.rows(query, [*values, count + 1])
    more = len(rows) > count
    await _traced(r, rows, table, column, tenant, key)
    items = [plain_event(row) for row in rows[:count]]
    return {"items": items, "cursor": items[-1]["position"] if more else None, "position": position}


#: said of many at once: their envelope is that of whoever polled
_OF_MANY = frozenset((NAMES[ta.TaskLeased], NAMES[ta.TaskTimedOut], NAMES[ta.TaskReturned]))


async def _traced(r: Reader, rows: list[Row], table: str, column: str, tenant: str, key: int) -> None:
    """Where whoever polled had no trace, its lease is under that of what was leased, which the first event has."""
    without = [row for row in rows if row["event_type"] in _OF_MANY and not (row["metadata"] or {}).get("trace")]
    if without:
        query = sql.SQL("SELECT metadata ->> 'trace' AS trace FROM {0} WHERE tenant_id = %s AND {1} = %s ORDER BY {1}, id LIMIT 1")
        for first in await r.rows(query.format(sql.Identifier(table), sql.Identifier(column)), [tenant, key]):
            if first["trace"]:
                for row in without:
                    row["metadata"] = {**(row["metadata"] or {}), "trace": first["trace"]}


async def instance_events(
    r: Reader, tenant: str, key: int, given: Filters | None = None, after: str | None = None, limit: str | int | None = None
) -> Row:
    """In log order, after position `after`; filters `type`, `element`, `from`, `to`. The cursor is the last position."""
    return await _events(r, "workflow_events", "workflow_instance_id", tenant, key, given or {}, after, limit)


async def list_evaluations(r: Reader, tenant: str, given: Filters, limit: str | int | None = None, cursor: str | None = None) -> Row:
    """Events of evaluations that instances asked for, the newest first. Filters: `filters.EVALUATIONS`."""
    w = fi.where(tenant, given, lists.EVALUATIONS)
    w.add("event_type = 'decision.evaluated'")
    return await _list(r, "*", "workflow_events", w, limit, cursor, "occurred_at", plainly=plain_event)


# --- tasks --------------------------------------------------------------------------------------------------------------


async def list_tasks(r: Reader, tenant: str, given: Filters, limit: str | int | None = None, cursor: str | None = None) -> Row:
    """Filters: `lists.TASKS`. One table is read. Activities that the engine does itself are in it when `activities` or `type` asks for them.
    `sort`: another order (`task_order.ORDERS`)."""
    given = dict(given)
    order = given.pop("sort", "")
    w = fi.where(tenant, given, lists.TASKS)
    order = order or ("due" if w.dated else "created")
    if "activities" not in given and "type" not in given:
        fi.activities(w, "false")
    await _find_candidates(r, w, fi.limit_of(limit))
    if order != "created":
        return await task_order.listed(r, tenant, TASK_SUMMARY, w, order, limit, cursor)
    return await _list(r, TASK_SUMMARY, "tasks", w, limit, cursor, statuses=sorted(TASK_STATUSES))


#: Rows that are found by names lie apart; on a walk over those that have candidates so many are met in a block.
APART = 4


async def _find_candidates(r: Reader, w: fi.Where, count: int) -> None:
    """Found by their names and sorted where they are few, else met on a walk in the order of the list: whichever reads less by what the planner
    expects, since no index has both."""
    if not w.candidates:
        return
    theirs = w.copy()
    fi.find_candidates(theirs, gathered=False)
    walked = w.copy()
    for asked in w.candidates:
        walked.add(f"{asked.column} IS NOT NULL")
    expected = []
    for each in (walked, theirs):
        where, values = each.joined(each.sets)
        expected.append(await r.estimate(sql.SQL("SELECT 1 FROM tasks WHERE {}").format(where), values))
    fi.find_candidates(w, gathered=(1 if w.status else APART) * expected[1] ** 2 <= count * expected[0])


async def get_task(r: Reader, tenant: str, key: int) -> Row | None:
    """With its assignments (hops) and results (attempts), oldest first, and what its definition says of it. Archived tasks are found as well."""
    task = await _one(r, "*", "tasks", tenant, key) or await _archived(r, "tasks", tenant, key)
    if task is None:
        return None
    task |= await about.of_task(r, tenant, task, key)
    hops = await r.rows("SELECT * FROM task_assignments WHERE tenant_id = %s AND task_id = %s ORDER BY id", (tenant, key))
    results = await r.rows("SELECT * FROM task_results WHERE tenant_id = %s AND task_id = %s ORDER BY task_id, id", (tenant, key))
    task["assignments"] = [plain(row) for row in hops]
    task["results"] = [plain(row) for row in results]
    return task


async def task_events(
    r: Reader, tenant: str, key: int, given: Filters | None = None, after: str | None = None, limit: str | int | None = None
) -> Row:
    return await _events(r, "task_events", "task_id", tenant, key, given or {}, after, limit)


# --- definitions --------------------------------------------------------------------------------------------------------


async def list_definitions(
    r: Reader, tenant: str, given: Filters, limit: str | int | None = None, cursor: str | None = None, *, latest: bool = False
) -> Row:
    """By id and version, newest version first. Filters: `filters.DEFINITIONS`; `latest`: only the highest version of each."""
    count = fi.limit_of(limit)
    w = fi.where(tenant, given, lists.DEFINITIONS)
    w.add("deleted_at IS NULL")
    if cursor:
        w.add(
            "(definition_id, -version, id) > (SELECT definition_id, -version, id FROM workflow_definitions WHERE tenant_id = %s AND id = %s)",
            tenant, fi.key("cursor", cursor),
        )  # fmt: skip
    query = sql.SQL(_DEFINITIONS if not latest else _LATEST if _GATHERED.isdisjoint(given) else _LATEST_GATHERED)
    where, values = w.joined()
    position = await r.position()
    rows = await r.rows(query.format(sql.SQL(DEFINITION_SUMMARY), where), [*values, count + 1])
    more = len(rows) > count
    del rows[count:]
    following = str(rows[-1]["id"]) if more else None
    return {"items": [_definition(row) for row in rows], "cursor": following, "position": position}


def _definition(row: Row) -> Row:
    """`key` is the definition's key, `id` its process (decision, form) id."""
    out = plain(row)
    out["key"], out["id"] = out["id"], row["definition_id"]
    del out["definition_id"]
    return out


async def _definition_row(r: Reader, columns: str, tenant: str, ref: str, version: int | None) -> Row | None:
    w = fi.Where("tenant_id = %s", tenant=tenant)
    if ref.isascii() and ref.isdigit():
        w.add("id = %s", fi.key("definition", ref))
    else:
        w.add("definition_id = %s AND deleted_at IS NULL", ref)
        if version:
            w.add("version = %s", version)
    query = sql.SQL("SELECT {} FROM workflow_definitions WHERE {} ORDER BY version DESC LIMIT 1")
    where, values = w.joined()
    rows = await r.rows(query.format(sql.SQL(columns), where), values)
    return rows[0] if rows else None


async def get_definition(r: Reader, tenant: str, ref: str, version: int | None = None) -> Row | None:
    """By key, or by id (the latest version, or `version`), with all its versions. A deleted one is found by key only."""
    position = await r.position()
    row = await _definition_row(r, DEFINITION_SUMMARY + ", deleted_at", tenant, ref, version)
    if row is None:
        return None
    versions = await r.rows(
        "SELECT id, version, version_tag, status, created_at FROM workflow_definitions "
        "WHERE tenant_id = %s AND kind = %s AND definition_id = %s AND deleted_at IS NULL ORDER BY version DESC LIMIT 1000",
        (tenant, row["kind"], row["definition_id"]),
    )
    listed = [{("key" if k == "id" else k): v for k, v in plain(v).items()} for v in versions]
    return {**_definition(row), "versions": listed, "position": position}


async def get_definition_source(r: Reader, tenant: str, ref: str, version: int | None = None) -> Row | None:
    """`{name, format, notation, hash, content}`: the resource as it was deployed. One resource may hold several definitions."""
    row = await _definition_row(r, "resource, format, notation, content_hash, content", tenant, ref, version)
    if row is None:
        return None
    content = row["content"]
    if not content:
        query = "SELECT content FROM workflow_definitions WHERE tenant_id = %s AND content_hash = %s AND content <> '' LIMIT 1"
        found = await r.rows(query, (tenant, row["content_hash"]))
        if not found:
            return None
        content = found[0]["content"]
    return {"name": row["resource"], "format": row["format"], "notation": row["notation"], "hash": row["content_hash"], "content": content}


# --- incidents, dead letters, messages, timers ----------------------------------------------------------------------------------------


async def list_incidents(r: Reader, tenant: str, given: Filters, limit: str | int | None = None, cursor: str | None = None) -> Row:
    """With what their elements are called (`element_name`)."""
    page = await _list(r, "*", "incidents", fi.where(tenant, given, lists.INCIDENTS), limit, cursor, statuses=INCIDENT_STATUSES)
    await names.put(r, tenant, page["items"])
    return page


async def get_incident(r: Reader, tenant: str, key: int) -> Row | None:
    """With the last failure of its task, when it has one."""
    found = await _one(r, "*", "incidents", tenant, key)
    if found is not None and found["task"]:
        query = (
            "SELECT errors, ended_at FROM task_results WHERE tenant_id = %s AND task_id = %s AND errors IS NOT NULL AND ended_at <= %s "
            "ORDER BY task_id DESC, id DESC LIMIT 1"
        )
        for last in await r.rows(query, [tenant, int(found["task"]), found["created_at"]]):
            found["error"] = {**last["errors"], "at": iso(last["ended_at"])}
    if found is not None:
        await names.put(r, tenant, [found])
    return found


async def list_dead_letters(r: Reader, tenant: str, given: Filters, limit: str | int | None = None, cursor: str | None = None) -> Row:
    return await _list(r, "*", "dead_letters", fi.where(tenant, given, lists.DEAD_LETTERS), limit, cursor)


async def get_dead_letter(r: Reader, tenant: str, key: int) -> Row | None:
    return await _one(r, "*", "dead_letters", tenant, key)


async def list_holds(r: Reader, tenant: str, given: Filters, limit: str | int | None = None, cursor: str | None = None) -> Row:
    """Filters: `filters.HOLDS`. One over an instance that has ended is over, too."""
    w = fi.where(tenant, given, lists.HOLDS)
    if "released" not in given.get("status", "released"):
        w.add(
            "NOT EXISTS (SELECT 1 FROM workflow_instances i WHERE i.tenant_id = holds.tenant_id AND i.id = holds.workflow_instance_id "
            "AND i.status IN ('completed', 'failed', 'cancelled', 'terminated'))"
        )
    return await _list(r, "*", "holds", w, limit, cursor, plainly=held.view)


async def get_hold(r: Reader, tenant: str, key: int) -> Row | None:
    position = await r.position()
    rows = await r.rows("SELECT * FROM holds WHERE tenant_id = %s AND id = %s", (tenant, key))
    return {**held.view(rows[0]), "position": position} if rows else None


async def list_messages(r: Reader, tenant: str, given: Filters, limit: str | int | None = None, cursor: str | None = None) -> Row:
    return await _list(r, MESSAGE, "messages", fi.where(tenant, given, lists.MESSAGES), limit, cursor, "received_at")


async def get_message(r: Reader, tenant: str, key: int) -> Row | None:
    return await _one(r, MESSAGE, "messages", tenant, key)


async def list_timers(r: Reader, tenant: str, given: Filters, limit: str | int | None = None, cursor: str | None = None) -> Row:
    return await _list(r, "*", "timers", fi.where(tenant, given, lists.TIMERS), limit, cursor)


async def get_timer(r: Reader, tenant: str, key: int) -> Row | None:
    return await _one(r, "*", "timers", tenant, key)
