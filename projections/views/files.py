"""Files of tasks and instances: table `workflow_files`. The events bring all files of one of these each time, so a row is written whole."""

from __future__ import annotations

from typing import Any

from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.events.files import area, hash_in
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table

VERSION = 1
TABLE = Table(
    "workflow_files",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "workflow_instance_id": "bigint", "files": "jsonb", "hashes": "text[]", "updated_at": "timestamptz",
    },
)  # fmt: skip


def _put(f: Fold, holder: int, instance: int | None, files: Any) -> None:
    tenant = f.task.tenant if f.task is not None else f.tenant
    found = [x for x in files or () if isinstance(x, dict)]
    kept = [f"{area(tenant)}/{sha256}" for x in found if (sha256 := hash_in(x.get("uri")))]
    row = {
        "tenant_id": tenant, "id": holder, "workflow_instance_id": instance, "files": found or None, "hashes": kept or None, "updated_at": f.now,
    }  # fmt: skip
    f.changes.upsert(TABLE.name, (tenant, holder), row)


def updated(f: Fold, e: ta.TaskUpdated) -> None:
    if isinstance(e.details, dict) and "attachments" in e.details:
        _put(f, e.task, e.key or None, e.details["attachments"])


def changed(f: Fold, e: wf.WorkflowFilesChanged) -> None:
    _put(f, e.key, e.key, e.files)


VIEW = View(
    "files", VERSION, "088_files.sql", (TABLE,), {ta.TaskUpdated: updated, wf.WorkflowFilesChanged: changed},
    removed=("DELETE FROM workflow_files t USING gone WHERE t.tenant_id = gone.tenant_id AND t.workflow_instance_id = gone.id",),
)  # fmt: skip
