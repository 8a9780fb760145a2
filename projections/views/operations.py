"""Who asked for what, granted and refused: table `operations`, append-only.

What services ask for all day has no row here: its own events name the caller, and `projections/asked.py` reads them from the history.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import operations as op
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table
from flowledger.projections.words import int4

VERSION = 1
TABLE = Table(
    "operations",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "first_id": "bigint", "occurred_at": "timestamptz", "actor": "varchar(255)",
        "operation": "varchar(255)", "kind": "varchar(255)", "subject": "varchar(255)", "workflow_instance_id": "bigint",
        "outcome": "varchar(20)", "code": "varchar(255)", "message": "text", "reason": "text", "names": "text[]", "details": "jsonb",
        "door": "varchar(255)", "address": "varchar(255)", "agent": "varchar(255)", "roles": "text[]", "credential": "varchar(255)",
        "skipped": "integer", "correlation_id": "varchar(255)", "causation_id": "varchar(255)", "trace": "varchar(255)",
    },
    ("tenant_id", "id", "occurred_at"),
    "occurred_at",
)  # fmt: skip


def _row(f: Fold, e: op.Operation, first: int, **more: Any) -> None:
    v = f.env
    row: dict[str, Any] = {
        "tenant_id": f.tenant, "id": f.id, "first_id": first, "occurred_at": f.now, "actor": v.actor, "operation": e.operation, "kind": e.kind,
        "subject": e.subject, "workflow_instance_id": e.instance or None, "outcome": "granted", "code": "", "message": "", "reason": e.reason,
        "names": e.names or None, "details": e.details, "door": e.door, "address": e.address, "agent": e.agent, "roles": e.roles or None,
        "credential": e.credential, "skipped": 0, "correlation_id": v.correlation, "causation_id": v.cause, "trace": v.trace, **more,
    }  # fmt: skip
    f.changes.insert(TABLE.name, f.id, row)


def asked(f: Fold, e: op.OperationAsked) -> None:
    _row(f, e, f.id - e.events)


def refused(f: Fold, e: op.OperationRefused) -> None:
    _row(f, e, f.id, outcome="refused", code=e.code, message=e.message, skipped=int4(e.skipped))


VIEW = View("operations", VERSION, "087_operations.sql", (TABLE,), {op.OperationAsked: asked, op.OperationRefused: refused})
