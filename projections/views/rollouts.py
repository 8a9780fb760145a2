"""Which version new work is for: table `rollouts`. Partition 0 decides it; what the others say of it is passed over."""

from __future__ import annotations

from flowledger.events import definition as de
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table

VERSION = 1
TABLE = Table(
    "rollouts",
    {
        "tenant_id": "varchar(255)", "kind": "varchar(30)", "definition_id": "varchar(255)", "default_key": "bigint", "ramp_key": "bigint",
        "share": "integer", "stopped": "jsonb", "reason": "text", "changed_at": "timestamptz", "changed_by": "varchar(255)",
    },
    key=("tenant_id", "kind", "definition_id"),
)  # fmt: skip


def changed(f: Fold, e: de.RolloutChanged) -> None:
    if f.partition == 0:
        f.changes.upsert(TABLE.name, (f.tenant, e.kind, e.id), {
            "tenant_id": f.tenant, "kind": e.kind, "definition_id": e.id, "default_key": e.default_key or None, "ramp_key": e.ramp_key or None,
            "share": e.share, "stopped": e.stopped_keys, "reason": e.reason, "changed_at": f.now, "changed_by": f.env.actor,
        })  # fmt: skip


VIEW = View("rollouts", VERSION, "011_rollouts.sql", (TABLE,), {de.RolloutChanged: changed})
