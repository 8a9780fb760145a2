"""What operators must look at: table `incidents`."""

from __future__ import annotations

from typing import Any

from flowledger.events import waiting as wa
from flowledger.projections.changes import Ended
from flowledger.projections.context import Incident
from flowledger.projections.fold import Fold, View
from flowledger.projections.grouping import cause_of, group_of
from flowledger.projections.tables import Table

VERSION = 3
TABLE = Table(
    "incidents",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "workflow_instance_id": "bigint", "definition_id": "bigint",
        "process_id": "varchar(255)", "task_id": "bigint", "token_id": "bigint", "element": "varchar(255)", "code": "varchar(255)",
        "message": "text", "status": "varchar(20)", "created_at": "timestamptz",
        "resolved_at": "timestamptz", "resolved_by": "varchar(255)",
        "cause": "text", "group_id": "varchar(24)",
    },
)  # fmt: skip


def raised(f: Fold, e: wa.IncidentRaised) -> None:
    row: dict[str, Any] = {
        "tenant_id": f.tenant, "id": e.incident, "token_id": e.token, "element": e.element, "code": e.code, "message": e.message,
        "status": "open", "created_at": f.now, "resolved_by": "", "process_id": "", "task_id": e.task or None,
    }  # fmt: skip
    if (ref := f.ref) is not None:
        row["workflow_instance_id"], row["definition_id"], row["process_id"] = ref.key, ref.definition, ref.process
    row["cause"] = cause = cause_of(e.message)
    row["group_id"] = group_of(row["process_id"], e.element, e.code, cause)
    f.changes.insert(TABLE.name, e.incident, row)
    f.changes.ended.append(Ended(ref.process if ref is not None else "", e.element, "incident", None))


def resolved(f: Fold, e: wa.IncidentResolved) -> None:
    columns = {"status": "resolved", "resolved_at": f.now, "resolved_by": f.env.actor}
    tenant = f.item.tenant if f.item is not None else f.tenant
    f.changes.update(TABLE.name, e.incident, (tenant, e.incident), columns)


def gone(f: Fold, item: Incident) -> None:
    """What was in the way is gone with its token."""
    f.changes.update(TABLE.name, item.key, (item.tenant, item.key), {"status": "resolved", "resolved_at": f.now})


VIEW = View(
    "incidents", VERSION, "050_incidents.sql", (TABLE,), {wa.IncidentRaised: raised, wa.IncidentResolved: resolved}, {"incident": gone},
    removed=("DELETE FROM incidents t USING gone WHERE t.tenant_id = gone.tenant_id AND t.workflow_instance_id = gone.id",),
)  # fmt: skip
