"""Figures of workers: table `execution_metrics`, from `metrics` of a task's result, of its failures and of its progress."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flowledger.events import task as ta
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table

VERSION = 3
TABLE = Table(
    "execution_metrics",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "entity_type": "varchar(20)", "entity_id": "bigint", "workflow_instance_id": "bigint", "metric_name": "varchar(100)",
        "value": "numeric(15,6)", "occurred_at": "timestamptz", "labels": "jsonb",
    },
    ("tenant_id", "id", "entity_id", "metric_name"),
    "occurred_at",
)  # fmt: skip
#: numeric(15,6) has nine digits before the point
VALUE_LIMIT = 10**9


def _metrics(f: Fold, metrics: Any, worker: str = "") -> None:
    task = f.task
    if task is None or not isinstance(metrics, dict):
        return
    worker = worker or task.worker
    labels = {"element": task.element, **({"worker": worker} if worker else {})}
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            continue
        fits = -VALUE_LIMIT < value < VALUE_LIMIT
        row = {
            "tenant_id": task.tenant, "id": f.id, "entity_type": "task", "entity_id": task.key, "metric_name": name,
            "value": Decimal(str(value)) if fits else None, "occurred_at": f.now,
            "labels": labels if fits else {**labels, "value": str(value)},
            "workflow_instance_id": task.instance.key if task.instance is not None else None,
        }  # fmt: skip
        f.changes.insert(TABLE.name, (f.id, task.key, name), row)


def completed(f: Fold, e: ta.TaskCompleted) -> None:
    if isinstance(e.result, dict):
        _metrics(f, e.result.get("metrics"))


def told(f: Fold, e: ta.TaskProgress | ta.TaskFailed) -> None:
    if isinstance(e.details, dict):
        _metrics(f, e.details.get("metrics"), e.worker if isinstance(e, ta.TaskFailed) else "")


VIEW = View(
    "metrics", VERSION, "090_metrics.sql", (TABLE,), {ta.TaskCompleted: completed, ta.TaskProgress: told, ta.TaskFailed: told},
    removed=("DELETE FROM execution_metrics t USING gone WHERE t.tenant_id = gone.tenant_id AND t.workflow_instance_id = gone.id",),
)  # fmt: skip
