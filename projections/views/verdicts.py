"""What rules of rule packs said of instances and tasks: table `verdicts`, append-only. What they said of models stands with the definition."""

from __future__ import annotations

from typing import Any

from flowledger.events import rules as ru
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table
from flowledger.projections.words import int4

VERSION = 1
TABLE = Table(
    "verdicts",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "occurred_at": "timestamptz", "pack": "varchar(255)", "version": "integer", "rule": "varchar(255)",
        "severity": "varchar(20)", "outcome": "varchar(20)", "refused": "boolean", "moment": "varchar(20)", "process_id": "varchar(255)",
        "workflow_instance_id": "bigint", "task_id": "bigint", "element": "varchar(255)", "actor": "varchar(255)", "message": "text", "why": "text",
    },
)  # fmt: skip


def judged(f: Fold, e: ru.RuleJudged) -> None:
    row: dict[str, Any] = {
        "tenant_id": f.tenant, "id": f.id, "occurred_at": f.now, "pack": e.pack, "version": int4(e.version), "rule": e.rule, "severity": e.severity,
        "outcome": e.outcome, "refused": e.refused, "moment": e.at, "process_id": e.process, "workflow_instance_id": e.key or None,
        "task_id": e.task or None, "element": e.element, "actor": f.env.actor, "message": e.message, "why": e.why,
    }  # fmt: skip
    f.changes.insert(TABLE.name, f.id, row)


REMOVED = ("DELETE FROM verdicts t USING gone WHERE t.tenant_id = gone.tenant_id AND t.workflow_instance_id = gone.id",)
VIEW = View("verdicts", VERSION, "094_verdicts.sql", (TABLE,), {ru.RuleJudged: judged}, removed=REMOVED)
