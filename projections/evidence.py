"""Evidence from the log of operations and the tasks: who asked for what in a period, who did both halves of a separation of duties, who was last seen when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flowledger.projections.reader import Reader, Row, plain, position_of

#: rows of each kind
ROWS_MAX = 10_000
_OF = (
    "o.tenant_id = %s AND o.occurred_at >= %s AND o.occurred_at < %s AND (%s = '' OR o.actor = %s) AND (%s = '' OR o.workflow_instance_id IN "
    "(SELECT i.id FROM workflow_instances i WHERE i.tenant_id = o.tenant_id AND i.process_id = %s) OR (o.kind = 'definition' AND (o.subject = %s OR o.subject IN "
    "(SELECT d.id::text FROM workflow_definitions d WHERE d.tenant_id = o.tenant_id AND d.definition_id = %s))))"
)

#: as the kernel takes it (`kernel/tasks/duties.py`): whoever completed a task, and who held it then
_WHO = (
    "SELECT e.metadata ->> 'actor' AS who FROM task_events e WHERE e.tenant_id = {t}.tenant_id AND e.task_id = {t}.id AND e.event_type = 'task.completed' "
    "UNION SELECT regexp_replace({t}.assignee, '^user:', '')"
)


async def report(r: Reader, tenant: str, since: datetime, until: datetime, actor: str = "", definition: str = "") -> Row:
    """`{actors, operations, items, cut, position}`: counts by actor and by operation, and the operations themselves, the oldest first."""
    position = await r.position()
    given = (tenant, since, until, actor, actor, *[definition] * 4)
    sums = (
        "count(*) FILTER (WHERE o.outcome = 'granted')::int AS granted, (count(*) FILTER (WHERE o.outcome = 'refused') + coalesce(sum(o.skipped), 0))::int AS refused, "
        "count(*) FILTER (WHERE o.operation = 'read_protected')::int AS readings, max(o.occurred_at) AS last_at"
    )
    by_actor = f"SELECT o.actor, {sums} FROM operations o WHERE {_OF} GROUP BY o.actor ORDER BY o.actor LIMIT %s"  # noqa: S608
    actors = await r.rows(by_actor, (*given, ROWS_MAX))
    operations = await r.rows(
        f"SELECT o.operation, o.kind, {sums} FROM operations o WHERE {_OF} GROUP BY o.operation, o.kind ORDER BY o.operation LIMIT %s",  # noqa: S608
        (*given, ROWS_MAX),
    )
    rows = await r.rows(
        "SELECT o.id, o.occurred_at, o.actor, o.operation, o.kind, o.subject, o.workflow_instance_id, o.outcome, o.code, o.reason, o.names, o.door, o.address, "  # noqa: S608
        f"o.credential, o.roles FROM operations o WHERE {_OF} ORDER BY o.occurred_at, o.id LIMIT %s",
        (*given, ROWS_MAX + 1),
    )
    items = [{**plain(row), "position": position_of(row["id"])} for row in rows[:ROWS_MAX]]
    for item in items:
        del item["id"]
    return {
        "actors": [plain(a) for a in actors], "operations": [plain(o) for o in operations], "items": items, "cut": len(rows) > ROWS_MAX, "position": position,
    }  # fmt: skip


async def both(r: Reader, tenant: str, since: datetime, until: datetime, pairs: list[tuple[str, str, str]]) -> list[Row]:
    """Who completed both elements of a pair (process, one, other) in one instance, the second of them in the period."""
    found: list[Row] = []
    for process, one, other in pairs:
        rows = await r.rows(
            "SELECT a.workflow_instance_id, y.who AS actor, a.id AS first_task, b.id AS second_task, a.completed_at AS first_at, b.completed_at AS second_at "  # noqa: S608
            "FROM tasks b JOIN tasks a ON a.tenant_id = b.tenant_id AND a.workflow_instance_id = b.workflow_instance_id AND a.id <> b.id "
            f"CROSS JOIN LATERAL ({_WHO.format(t='a')}) x CROSS JOIN LATERAL ({_WHO.format(t='b')}) y "
            "WHERE b.tenant_id = %s AND b.process_id = %s AND b.definition_key = %s AND b.status = 'completed' AND b.completed_at >= %s AND b.completed_at < %s "
            "AND a.definition_key = %s AND a.status = 'completed' AND x.who = y.who AND x.who <> '' ORDER BY b.completed_at, b.id LIMIT %s",
            (tenant, process, other, since, until, one, ROWS_MAX + 1 - len(found)),
        )
        for row in rows:
            told: dict[str, Any] = plain(row)
            told["first_task"], told["second_task"] = str(row["first_task"]), str(row["second_task"])
            found.append({"definition": process, "first": one, "second": other, **told})
        if len(found) > ROWS_MAX:
            break
    return found


async def last_seen(r: Reader, tenant: str | None, since: datetime) -> dict[str, Row]:
    """Actor -> `{last_at, last_operation, operations}` of those who asked for something since then."""
    rows = await r.rows(
        "SELECT actor, count(*)::int AS operations, max(occurred_at) AS last_at, (array_agg(operation ORDER BY occurred_at DESC))[1] AS last_operation "
        "FROM operations WHERE (%s::text IS NULL OR tenant_id = %s) AND occurred_at >= %s AND outcome = 'granted' GROUP BY actor LIMIT %s",
        (tenant, tenant, since, ROWS_MAX),
    )
    return {row["actor"]: plain(row) for row in rows}
