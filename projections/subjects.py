"""What is sealed under keys: for whoever exports the data of a person."""

from __future__ import annotations

from collections.abc import Sequence

from flowledger.projections.reader import Reader, Row, plain, plain_event

#: rows of each kind
ROWS_MAX = 10_000


async def of_keys(r: Reader, tenant: str, keys: Sequence[str]) -> Row:
    """Variables as they are, and the events of their instances that have something sealed under these keys, in order."""
    position = await r.position()
    like = ["flk1.%." + key.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%") + ".%" for key in keys]
    variables = await r.rows(
        "SELECT tenant_id, workflow_instance_id, scope_id, name, value, updated_at FROM variables WHERE tenant_id = %s AND type = 'string'"
        " AND value #>> '{}' LIKE ANY(%s) ORDER BY workflow_instance_id, scope_id, name LIMIT %s",
        (tenant, like, ROWS_MAX + 1),
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
