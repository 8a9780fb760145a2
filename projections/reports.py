"""Answers that are computed: progress, durations, the tree of called instances, counts, and the check for orphans."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import sql

from flowledger.projections import filters as fi
from flowledger.projections.context import ACTIVITY
from flowledger.projections.reader import Reader, Row, iso, plain

#: how many finished runs an estimate looks back
HISTORY = 100
#: an open task is a bottleneck when it is older than this many times the usual duration of its element
SLOW_FACTOR = 2.0
TREE_DEPTH, TREE_MAX = 20, 1_000
ENDED = ("completed", "failed", "cancelled", "terminated")
#: of tasks that somebody still has to do something with
OPEN = ("created", "assigned", "started", "in_progress", "suspended", "failed", "timed_out")
#: elements that a status names at most
STEPS_MAX = 1_000


async def instance_status(r: Reader, tenant: str, key: int) -> Row | None:
    """Progress, active tasks, counts, estimated end and bottlenecks.

    Progress is the share of finished tasks in those to be expected: as many as the last completed runs of the definition had, or those
    known so far. It never reaches 100 before the instance has completed.
    """
    position = await r.position()
    found = await r.rows("SELECT * FROM workflow_instances WHERE tenant_id = %s AND id = %s", (tenant, key))
    if not found:
        return None
    i = found[0]
    by_status = {
        row["status"]: row["n"]
        for row in await r.rows(
            "SELECT status, count(*)::int AS n FROM tasks WHERE tenant_id = %s AND workflow_instance_id = %s AND id < %s GROUP BY status",
            (tenant, key, ACTIVITY),
        )
    }
    active = await r.rows(
        "SELECT tenant_id, id, definition_key, name, type, status, assignee, worker, created_at, due_at FROM tasks "
        "WHERE tenant_id = %s AND workflow_instance_id = %s AND id < %s "
        "AND status = ANY(%s) ORDER BY created_at, id LIMIT 100",
        (tenant, key, ACTIVITY, list(OPEN)),
    )
    steps = await r.rows(
        "SELECT definition_key AS element, bool_or(status = ANY(%s)) AS open FROM tasks WHERE tenant_id = %s AND workflow_instance_id = %s AND id < %s "
        "AND (status = ANY(%s) OR status IN ('completed', 'skipped')) GROUP BY 1 ORDER BY min(created_at), 1 LIMIT %s",
        (list(OPEN), tenant, key, ACTIVITY, list(OPEN), STEPS_MAX),
    )
    usual = await _usual(r, tenant, i) if i["status"] not in ENDED else {}
    done = by_status.get("completed", 0) + by_status.get("skipped", 0)
    known = sum(by_status.values())
    if i["status"] == "completed":
        progress = 100
    else:
        expected = max(usual.get("tasks") or 0, known, 1)
        progress = min(99, int(100 * done / expected))
    now = datetime.now(UTC)
    end = None
    if usual.get("seconds") and i["started_at"]:
        end = max(now, i["started_at"] + timedelta(seconds=float(usual["seconds"])))
    slow = []
    elements: Mapping[str, float] = usual.get("elements", {})
    for task in active:
        age = (now - task["created_at"]).total_seconds()
        typical = elements.get(task["definition_key"])
        if typical is not None and age > SLOW_FACTOR * typical:
            slow.append({"element": task["definition_key"], "task": str(task["id"]), "age_s": round(age, 3), "usual_s": round(typical, 3)})
    slow.sort(key=lambda b: -b["age_s"])
    return {
        "id": str(key), "status": i["status"], "paused": i["paused"], "incidents": i["incidents"], "progress": progress,
        "active_tasks": [plain(task) for task in active], "tasks": by_status, "completed": done, "failed": by_status.get("failed", 0),
        "completed_steps": [x["element"] for x in steps if not x["open"]], "pending_steps": [x["element"] for x in steps if x["open"]],
        "started_at": iso(i["started_at"]) if i["started_at"] else None, "estimated_end": iso(end) if end else None, "bottlenecks": slow,
        "position": position,
    }  # fmt: skip


async def _usual(r: Reader, tenant: str, i: Row) -> Row:
    """What the last completed runs of the same definition were like: {tasks, seconds, elements: {element: seconds}}."""
    rows = await r.rows(
        "WITH runs AS (SELECT id, started_at, completed_at FROM workflow_instances WHERE tenant_id = %s AND process_id = %s "
        "  AND status = 'completed' AND definition_id = %s ORDER BY created_at DESC LIMIT %s), "
        "work AS (SELECT t.workflow_instance_id, t.definition_key, extract(epoch FROM t.completed_at - t.created_at)::float8 AS s "
        "  FROM runs JOIN tasks t ON t.tenant_id = %s AND t.workflow_instance_id = runs.id AND t.status = 'completed' AND t.id < %s) "
        "SELECT (SELECT avg(extract(epoch FROM completed_at - started_at))::float8 FROM runs) AS seconds, "
        "  (SELECT round(count(*)::numeric / nullif((SELECT count(*) FROM runs), 0))::int FROM work) AS tasks, "
        "  (SELECT json_object_agg(definition_key, s) FROM (SELECT definition_key, avg(s) AS s FROM work GROUP BY 1) e) AS elements",
        (tenant, i["process_id"], i["definition_id"], HISTORY, tenant, ACTIVITY),
    )
    row = rows[0]
    return {"seconds": row["seconds"], "tasks": row["tasks"], "elements": {k: float(v) for k, v in (row["elements"] or {}).items()}}


async def instance_metrics(r: Reader, tenant: str, key: int) -> Row | None:
    """Durations in ms by element: `wait` until work began, `work` from there to the end; attempts and failures.

    `activity`: the engine does it itself. The sums are over the others, since a scope lasts as long as what is in it.
    """
    position = await r.position()
    found = await r.rows(
        "SELECT extract(epoch FROM coalesce(completed_at, cancelled_at, now()) - started_at)::float8 AS s, status "
        "FROM workflow_instances WHERE tenant_id = %s AND id = %s",
        (tenant, key),
    )
    if not found:
        return None
    rows = await r.rows(
        "SELECT definition_key AS element, (id >= %s) AS activity, count(*)::int AS tasks, sum(attempts)::int AS attempts, "
        "count(*) FILTER (WHERE status = 'failed')::int AS failed, count(*) FILTER (WHERE status = 'completed')::int AS completed, "
        "sum(greatest(attempts - 1, 0))::int AS again, avg(extract(epoch FROM started_at - created_at) * 1000)::float8 AS wait_ms, "
        "avg(extract(epoch FROM completed_at - coalesce(started_at, created_at)) * 1000)::float8 AS work_ms "
        "FROM tasks WHERE tenant_id = %s AND workflow_instance_id = %s GROUP BY 1, 2 ORDER BY min(created_at), 1",
        (ACTIVITY, tenant, key),
    )
    work = [row for row in rows if not row["activity"]]
    sums = {
        "steps_completed": sum(row["completed"] for row in work),
        "steps_failed": sum(row["failed"] for row in work),
        "retries": sum(row["again"] for row in work),
    }
    items = [
        {
            **{k: v for k, v in row.items() if k not in ("completed", "again")},
            "wait_ms": _ms(row["wait_ms"]),
            "work_ms": _ms(row["work_ms"]),
        }
        for row in rows
    ]
    duration = found[0]["s"]
    return {
        "id": str(key), "status": found[0]["status"], "duration_ms": _ms(duration * 1000 if duration is not None else None),
        "wait_ms": _ms(sum(e["wait_ms"] or 0 for e in items if not e["activity"])),
        "work_ms": _ms(sum(e["work_ms"] or 0 for e in items if not e["activity"])),
        **sums, "elements": items, "position": position,
    }  # fmt: skip


def _ms(value: float | None) -> float | None:
    return round(value, 3) if value is not None else None


async def task_metrics(r: Reader, tenant: str, key: int) -> Row | None:
    """Durations (the whole is the wait and the work, from the first attempt to the end), attempts, and the figures that workers reported."""
    position = await r.position()
    found = await r.rows(
        "SELECT id, attempts, retries, extract(epoch FROM completed_at - created_at)::float8 * 1000 AS duration_ms, "
        "extract(epoch FROM started_at - created_at)::float8 * 1000 AS wait_ms, "
        "extract(epoch FROM completed_at - coalesce(started_at, created_at))::float8 * 1000 AS work_ms "
        "FROM tasks WHERE tenant_id = %s AND id = %s",
        (tenant, key),
    )
    if not found:
        return None
    results = await r.rows(
        "SELECT execution_id, status, worker, duration_ms, metrics FROM task_results WHERE tenant_id = %s AND task_id = %s ORDER BY id",
        (tenant, key),
    )
    return {**plain(found[0]), "results": results, "metrics": await execution_metrics(r, tenant, "task", key), "position": position}


async def execution_metrics(r: Reader, tenant: str, entity_type: str, key: int, name: str | None = None, limit: Any = None) -> list[Row]:
    """Newest first."""
    w = fi.Where("tenant_id = %s", tenant=tenant)
    w.add("entity_type = %s AND entity_id = %s", entity_type, key)
    if name:
        w.add("metric_name = %s", name)
    query = sql.SQL(
        "SELECT metric_name, value, occurred_at, labels FROM execution_metrics WHERE {} ORDER BY occurred_at DESC, id DESC LIMIT %s"
    )
    where, values = w.joined()
    return [plain(row) for row in await r.rows(query.format(where), [*values, fi.limit_of(limit)])]


async def instance_tree(r: Reader, tenant: str, key: int) -> Row | None:
    """The instance with the instances that it called, as nested `children`."""
    position = await r.position()
    rows = await r.rows(
        "WITH RECURSIVE tree AS (SELECT tenant_id, id, parent_id, definition_id, process_id, version, status, started_at, completed_at, "
        "0 AS depth FROM workflow_instances WHERE tenant_id = %s AND id = %s UNION ALL "
        "SELECT c.tenant_id, c.id, c.parent_id, c.definition_id, c.process_id, c.version, c.status, c.started_at, c.completed_at, "
        "t.depth + 1 FROM tree t JOIN workflow_instances c ON c.tenant_id = t.tenant_id AND c.parent_id = t.id WHERE t.depth < %s) "
        "SELECT * FROM tree ORDER BY depth, id LIMIT %s",
        (tenant, key, TREE_DEPTH, TREE_MAX),
    )
    if not rows:
        return None
    nodes: dict[int, Row] = {}
    for row in rows:
        node = nodes[row["id"]] = {**plain(row), "children": []}
        del node["depth"]
        if row["depth"] and row["parent_id"] in nodes:
            nodes[row["parent_id"]]["children"].append(node)
    return {**nodes[key], "truncated": len(rows) == TREE_MAX, "position": position}


async def counts(r: Reader, tenant: str) -> Row:
    """How many instances and tasks are in each status, open incidents, and what ended in the last minute."""
    position = await r.position()
    instances = await r.rows("SELECT status, count(*)::int AS n FROM workflow_instances WHERE tenant_id = %s GROUP BY status", (tenant,))
    tasks = await r.rows(
        "SELECT status, count(*)::int AS n FROM tasks WHERE tenant_id = %s AND id < %s GROUP BY status", (tenant, ACTIVITY)
    )
    incidents = await r.rows("SELECT count(*)::int AS n FROM incidents WHERE tenant_id = %s AND status = 'open'", (tenant,))
    recent = await r.rows(
        "SELECT count(*) FILTER (WHERE event_type = 'workflow.completed')::int AS completed, "
        "count(*) FILTER (WHERE event_type = 'workflow.started')::int AS started, "
        "count(*) FILTER (WHERE event_type = 'task.failed')::int AS task_failures FROM workflow_events "
        "WHERE tenant_id = %s AND event_type IN ('workflow.completed', 'workflow.started', 'task.failed') "
        "AND occurred_at > now() - interval '1 minute'",
        (tenant,),
    )
    return {
        "instances": {row["status"]: row["n"] for row in instances}, "tasks": {row["status"]: row["n"] for row in tasks},
        "incidents": incidents[0]["n"], "last_minute": recent[0], "position": position,
    }  # fmt: skip


#: (child, parent) -> rows of the child whose parent is missing
_ORPHANS = {
    "workflow_instances -> workflow_definitions": (
        "SELECT c.id FROM workflow_instances c LEFT JOIN workflow_definitions p ON p.id = c.definition_id WHERE p.id IS NULL"
    ),
    "tasks -> workflow_instances": (
        "SELECT c.id FROM tasks c LEFT JOIN workflow_instances p ON p.tenant_id = c.tenant_id AND p.id = c.workflow_instance_id "
        "WHERE c.workflow_instance_id IS NOT NULL AND p.id IS NULL"
    ),
    "task_assignments -> tasks": (
        "SELECT c.id FROM task_assignments c LEFT JOIN tasks p ON p.tenant_id = c.tenant_id AND p.id = c.task_id WHERE p.id IS NULL"
    ),
    "task_results -> tasks": (
        "SELECT c.id FROM task_results c LEFT JOIN tasks p ON p.tenant_id = c.tenant_id AND p.id = c.task_id WHERE p.id IS NULL"
    ),
    "task_events -> tasks": (
        "SELECT c.id FROM task_events c LEFT JOIN tasks p ON p.tenant_id = c.tenant_id AND p.id = c.task_id WHERE p.id IS NULL"
    ),
    "workflow_events -> workflow_instances": (
        "SELECT c.id FROM workflow_events c LEFT JOIN workflow_instances p ON p.tenant_id = c.tenant_id AND p.id = c.workflow_instance_id "
        "WHERE p.id IS NULL AND c.event_type <> 'workflow.removed_from_views'"
    ),
    "variables -> workflow_instances": (
        "SELECT c.workflow_instance_id AS id FROM variables c LEFT JOIN workflow_instances p "
        "ON p.tenant_id = c.tenant_id AND p.id = c.workflow_instance_id WHERE p.id IS NULL"
    ),
    "incidents -> workflow_instances": (
        "SELECT c.id FROM incidents c LEFT JOIN workflow_instances p ON p.tenant_id = c.tenant_id AND p.id = c.workflow_instance_id "
        "WHERE c.workflow_instance_id IS NOT NULL AND p.id IS NULL"
    ),
}  # fmt: skip


async def orphans(r: Reader, limit: int = 10) -> dict[str, list[str]]:
    """Rows whose parent is missing, up to `limit` keys for each relation. Empty lists: the rows are consistent.

    Relations are checked here and not by foreign keys, which partitions that come and go can't keep. With several partitions a row may
    be ahead of a parent on another partition for as long as that one lags.
    """
    out = {}
    for name, query in _ORPHANS.items():
        out[name] = [str(row["id"]) for row in await r.rows(query + " LIMIT %s", (limit,))]
    return out
