"""What is sealed under keys: for whoever exports the data of a person."""

from __future__ import annotations

from collections.abc import Sequence

from flowledger.projections.reader import Reader, Row, plain, plain_event

#: rows of each kind
ROWS_MAX = 10_000
#: instances that are told of
PLACES_MAX = 100
#: of rows of variables, by an index: that it is sealed, and under which key (the third part of the text)
SEALED, KEY = "search LIKE 'flk1.%%'", "split_part(value #>> '{}', '.', 3)"


def sealed_like(key: str) -> str:
    """A pattern for LIKE of what is sealed under a key."""
    return "flk1.%." + key.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%") + ".%"


async def places_of(r: Reader, tenant: str, keys: Sequence[str]) -> Row:
    """Instances that have something sealed under these keys, and the names of the variables; nothing of their values. The last changed first."""
    rows = await r.rows(
        "SELECT v.workflow_instance_id::text AS instance, i.process_id AS process, i.business_key, i.status, array_agg(DISTINCT v.name ORDER BY v.name) AS names,"  # noqa: S608
        " max(v.updated_at) AS updated_at FROM variables v JOIN workflow_instances i ON i.tenant_id = v.tenant_id AND i.id = v.workflow_instance_id"
        f" WHERE v.tenant_id = %s AND v.{SEALED} AND {KEY.replace('value', 'v.value')} = ANY(%s)"
        " GROUP BY v.workflow_instance_id, i.process_id, i.business_key, i.status ORDER BY max(v.updated_at) DESC, v.workflow_instance_id LIMIT %s",
        (tenant, list(keys), PLACES_MAX + 1),
    )
    return {"places": [plain(row) for row in rows[:PLACES_MAX]], "more": len(rows) > PLACES_MAX}


async def of_keys(r: Reader, tenant: str, keys: Sequence[str]) -> Row:
    """Variables as they are, and the events of their instances that have something sealed under these keys, in order."""
    position = await r.position()
    like = [sealed_like(key) for key in keys]
    variables = await r.rows(
        "SELECT tenant_id, workflow_instance_id, scope_id, name, value, updated_at FROM variables WHERE tenant_id = %s"  # noqa: S608
        f" AND {SEALED} AND {KEY} = ANY(%s) ORDER BY workflow_instance_id, scope_id, name LIMIT %s",
        (tenant, list(keys), ROWS_MAX + 1),
    )
    instances = sorted({row["workflow_instance_id"] for row in variables})
    events = await r.rows(
        "SELECT tenant_id, id, workflow_instance_id, event_type, occurred_at, data FROM workflow_events WHERE tenant_id = %s"
        " AND workflow_instance_id = ANY(%s) AND data::text LIKE ANY(%s) ORDER BY occurred_at, id LIMIT %s",
        (tenant, instances, [f"%{each}" for each in like], ROWS_MAX + 1),
    )
    return {
        "variables": [plain(row) for row in variables[:ROWS_MAX]], "events": [plain_event(row) for row in events[:ROWS_MAX]],
        "cut": max(len(variables), len(events)) > ROWS_MAX, "position": position,
    }  # fmt: skip
