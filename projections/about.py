"""What a task's row doesn't say itself: what its definition and its first event say of it."""

from __future__ import annotations

from typing import Any

from flowledger.projections.context import ACTIVITY
from flowledger.projections.reader import Reader, Row

#: finished runs of an element that the usual duration is made of
HISTORY = 50


async def of_task(r: Reader, tenant: str, task: Row, key: int) -> Row:
    """`description`, `dependencies`, `parallel_group`, `estimated_duration_ms` by the model (the duration else by earlier runs), and
    `execution_config`: how it is executed. `created`: its first event's position as a number, None when that isn't known."""
    outline = await _outline(r, tenant, task)
    known = outline.get(task["element"], {})
    first: Row = await _first_event(r, tenant, key) if key < ACTIVITY else {"id": key & ~ACTIVITY, "data": {}}
    estimated = known.get("estimated_ms") or await _usual(r, tenant, task)
    return {
        "name": task["name"] if task["name"] != task["element"] else known.get("name") or task["name"],
        "description": task["description"] or known.get("description") or "",
        "dependencies": task["dependencies"] or known.get("after") or [],
        "parallel_group": known.get("group"),
        "estimated_duration_ms": estimated,
        "execution_config": _execution(task, first["data"]) if key < ACTIVITY else None,
        "created_by_event": first["id"],
    }


async def of_instance(r: Reader, tenant: str, key: int) -> Row | None:
    """What an instance has, in numbers, and what its definition says: `{tasks: {status: n}, activities, events, errors, outline}`. Events are
    counted up to `COUNT_MAX`."""
    query = (
        "SELECT (SELECT json_object_agg(status, n) FROM (SELECT status, count(*) AS n FROM tasks WHERE tenant_id = i.tenant_id "
        "    AND workflow_instance_id = i.id AND id < %s GROUP BY status) t) AS tasks, "
        "  (SELECT count(*) FROM tasks WHERE tenant_id = i.tenant_id AND workflow_instance_id = i.id AND id >= %s) AS activities, "
        "  (SELECT count(*) FROM (SELECT 1 FROM workflow_events WHERE tenant_id = i.tenant_id AND workflow_instance_id = i.id LIMIT %s) e) "
        "    AS events, "
        "  (SELECT count(*) FROM incidents WHERE tenant_id = i.tenant_id AND workflow_instance_id = i.id) AS incidents, "
        "  i.definition_id AS definition FROM workflow_instances i WHERE i.tenant_id = %s AND i.id = %s"
    )
    rows = await r.rows(query, (ACTIVITY, ACTIVITY, COUNT_MAX, tenant, key))
    if not rows:
        return None
    return {**rows[0], "tasks": rows[0]["tasks"] or {}}


#: events of an instance that are counted for its resource
COUNT_MAX = 10_000


async def outline_of(r: Reader, tenant: str, key: int) -> Row | None:
    """What the definition of an instance says of its elements."""
    query = (
        "SELECT d.outline FROM workflow_instances i JOIN workflow_definitions d ON d.tenant_id = i.tenant_id AND d.id = i.definition_id "
        "WHERE i.tenant_id = %s AND i.id = %s"
    )
    rows = await r.rows(query, (tenant, key))
    return (rows[0]["outline"] or {}) if rows else None


async def _outline(r: Reader, tenant: str, task: Row) -> Row:
    if not task["definition"]:
        return {}
    query = "SELECT outline FROM workflow_definitions WHERE tenant_id = %s AND id = %s"
    rows = await r.rows(query, (tenant, int(task["definition"])))
    return (rows[0]["outline"] or {}) if rows else {}


async def _first_event(r: Reader, tenant: str, key: int) -> Row:
    query = "SELECT id, data FROM task_events WHERE tenant_id = %s AND task_id = %s ORDER BY id LIMIT 1"
    rows = await r.rows(query, (tenant, key))
    return rows[0] if rows else {"id": None, "data": {}}


async def _usual(r: Reader, tenant: str, task: Row) -> int | None:
    """The mean of the last runs of the same element that completed, in ms."""
    query = (
        "SELECT avg(duration_ms)::bigint AS ms FROM (SELECT duration_ms FROM tasks WHERE tenant_id = %s AND definition_key = %s "
        "AND definition_key <> '' AND process_id = %s AND status = 'completed' AND (id >= %s) = %s ORDER BY created_at DESC, id DESC LIMIT %s) t"
    )
    values = (tenant, task["element"], task["process_id"], ACTIVITY, int(task["id"]) >= ACTIVITY, HISTORY)
    rows = await r.rows(query, values) if task["element"] else []
    return rows[0]["ms"] if rows else None


def _object(value: Any) -> Row:
    return value if isinstance(value, dict) else {}


def _execution(task: Row, data: dict[str, Any]) -> Row:
    """Of the settings of D-TSK-004 those that it has: attempts and their pauses, time limit, mode."""
    retry, given, details = _object(task["retry_config"]), _object(task["execution_config"]), _object(data.get("details"))
    settings = _object(details.get("settings"))
    found = {
        "executor": "worker" if task["job_type"] else "person", "job_type": task["job_type"] or None,
        "max_retries": data.get("retries", task["retries"]), "retry_policy": retry or None, "resources": details.get("resources"),
        "definition": details.get("definition"), **{k: settings.get(k) for k in ("sla", "calendar", "escalation", "reminders")},
        **given,
    }  # fmt: skip
    return {k: v for k, v in found.items() if v is not None}
