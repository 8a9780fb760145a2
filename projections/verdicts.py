"""What rule packs said in a period, and what they are to be asked about now: instances with their variables and the work of people in them."""

from __future__ import annotations

from datetime import datetime

from flowledger.projections.evidence import _WHO, ROWS_MAX
from flowledger.projections.reader import Reader, Row, plain, position_of

#: states of instances that have not ended
OPEN = ("pending", "running", "suspended", "quarantined")
#: variables and tasks of one page of instances that are looked at
VARIABLES_MAX, TASKS_MAX = 200_000, 50_000
_OF = (
    "v.tenant_id = %s AND v.occurred_at >= %s AND v.occurred_at < %s AND (%s = '' OR v.pack = %s) AND (%s = '' OR v.actor = %s) "
    "AND (%s = '' OR v.process_id = %s)"
)


async def verdicts(r: Reader, tenant: str, since: datetime, until: datetime, pack: str = "", actor: str = "", definition: str = "") -> Row:
    """`{rules, items, cut, position}`: counts by rule, and the verdicts, the oldest first."""
    position = await r.position()
    given = (tenant, since, until, pack, pack, actor, actor, definition, definition)
    rules = await r.rows(
        "SELECT v.pack, v.rule, v.severity, count(*) FILTER (WHERE v.outcome = 'violated')::int AS violated, "  # noqa: S608
        "count(*) FILTER (WHERE v.outcome = 'broken')::int AS broken, count(*) FILTER (WHERE v.outcome = 'held')::int AS held, "
        f"count(*) FILTER (WHERE v.refused)::int AS refused, max(v.occurred_at) AS last_at FROM verdicts v WHERE {_OF} "
        "GROUP BY v.pack, v.rule, v.severity ORDER BY v.pack, v.rule LIMIT %s",
        (*given, ROWS_MAX),
    )
    rows = await r.rows(
        "SELECT v.id, v.occurred_at, v.actor, v.pack, v.version, v.rule, v.severity, v.outcome, v.refused, v.moment, v.process_id AS process, "  # noqa: S608
        f"v.workflow_instance_id, v.task_id, v.element, v.message, v.why FROM verdicts v WHERE {_OF} ORDER BY v.occurred_at, v.id LIMIT %s",
        (*given, ROWS_MAX + 1),
    )
    items = []
    for row in rows[:ROWS_MAX]:
        told = plain(row)
        told["task"] = str(row["task_id"]) if row["task_id"] else None
        told["position"] = position_of(row["id"])
        del told["id"]
        items.append(told)
    return {"rules": [plain(x) for x in rules], "items": items, "cut": len(rows) > ROWS_MAX, "position": position}


async def subjects(r: Reader, tenant: str, after: int, limit: int, definition: str = "", ended: bool = False) -> list[Row]:
    """Instances by key, after one of them: `{id, process_id, version, definition, business_key, initiator, parent, variables, tasks}`."""
    rows = await r.rows(
        "SELECT i.id, i.process_id, i.version, i.definition_id AS definition, i.business_key, i.initiator, i.parent_id AS parent, i.status "
        "FROM workflow_instances i WHERE i.tenant_id = %s AND i.id > %s AND (%s = '' OR i.process_id = %s) AND (%s OR i.status = ANY(%s)) "
        "ORDER BY i.id LIMIT %s",
        (tenant, after, definition, definition, ended, list(OPEN), limit),
    )
    keys = [row["id"] for row in rows]
    found: dict[int, Row] = {row["id"]: {**row, "variables": {}, "tasks": []} for row in rows}
    if not keys:
        return []
    for row in await r.rows(
        "SELECT workflow_instance_id AS i, name, value FROM variables WHERE tenant_id = %s AND workflow_instance_id = ANY(%s) "
        "AND scope_id = workflow_instance_id ORDER BY 1, 2 LIMIT %s",
        (tenant, keys, VARIABLES_MAX),
    ):
        found[row["i"]]["variables"][row["name"]] = row["value"]
    for row in await r.rows(
        "SELECT t.id, t.workflow_instance_id AS i, t.definition_key AS element, t.name, t.type, t.job_type, t.priority_value AS priority, t.status, "  # noqa: S608
        "t.assignee, t.candidate_groups, t.candidate_users, t.created_at, t.completed_at, t.output, "
        f"CASE WHEN t.status = 'completed' THEN (SELECT array_agg(DISTINCT y.who) FROM ({_WHO.format(t='t')}) y WHERE y.who <> '') END AS who "
        "FROM tasks t WHERE t.tenant_id = %s AND t.workflow_instance_id = ANY(%s) AND t.type IN ('human_task', 'user_task') AND t.listener = '' "
        "ORDER BY t.workflow_instance_id, coalesce(t.completed_at, 'infinity'), t.id LIMIT %s",
        (tenant, keys, TASKS_MAX),
    ):
        found[row["i"]]["tasks"].append(row)
    return list(found.values())
