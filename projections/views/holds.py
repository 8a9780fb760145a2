"""What operators keep from going on, and kept: table `holds`. A hold is told by its home; what other partitions say of it is passed over."""

from __future__ import annotations

from typing import Any

from flowledger.events import holds as ho
from flowledger.events.commands import partition_of_key
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, stamp
from flowledger.projections.words import int4

VERSION = 1
TABLE = Table(
    "holds",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "scope": "varchar(20)", "subject": "varchar(512)", "mode": "varchar(20)", "starts": "varchar(20)",
        "children": "boolean", "follows": "bigint", "status": "varchar(20)", "reason": "text", "rate": "integer", "workflow_instance_id": "bigint",
        "created_at": "timestamptz", "created_by": "varchar(255)", "until_at": "timestamptz", "released_at": "timestamptz", "released_by": "varchar(255)",
        "released_why": "text",
    },
    key=("id",),
    keep=("created_at",),
)  # fmt: skip
NAME = TABLE.name


def _set(f: Fold, hold: int, columns: dict[str, Any]) -> None:
    if partition_of_key(hold) == f.partition:
        f.changes.update(NAME, hold, (hold,), columns)


def placed(f: Fold, e: ho.HoldPlaced) -> None:
    if partition_of_key(e.hold) != f.partition:
        return
    row: dict[str, Any] = {
        "tenant_id": f.tenant, "id": e.hold, "scope": e.scope, "subject": e.subject, "mode": e.mode, "starts": e.starts, "children": e.children,
        "follows": e.of or None, "status": "held", "reason": e.reason, "workflow_instance_id": e.key or None, "created_at": f.now,
        "created_by": f.env.actor, "until_at": stamp(e.until_us) if e.until_us else None, "released_at": None, "released_by": "", "released_why": "",
        "rate": None,
    }  # fmt: skip
    f.changes.upsert(NAME, e.hold, row)


def releasing(f: Fold, e: ho.HoldReleasing) -> None:
    _set(f, e.hold, {"status": "resuming", "rate": int4(e.rate) or None, "released_by": f.env.actor, "released_why": e.reason})


def released(f: Fold, e: ho.HoldReleased) -> None:
    columns = {"status": "released", "released_at": f.now}
    if e.key:  # over one instance: at once
        columns |= {"released_by": f.env.actor, "released_why": e.reason}
    _set(f, e.hold, columns)


VIEW = View(
    "holds", VERSION, "087_holds.sql", (TABLE,), {ho.HoldPlaced: placed, ho.HoldReleasing: releasing, ho.HoldReleased: released},
    removed=("DELETE FROM holds t USING gone WHERE t.tenant_id = gone.tenant_id AND t.workflow_instance_id = gone.id",),
)  # fmt: skip
