"""What was asked of many things at once, and what came of each: tables `batches` and `batch_items`."""

from __future__ import annotations

from typing import Any

from flowledger.events import batch as ba
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table

VERSION = 1
TABLE = Table(
    "batches",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "action": "varchar(40)", "list": "varchar(40)", "params": "jsonb", "filter": "jsonb",
        "reason": "text", "rate": "integer", "status": "varchar(20)", "total": "integer", "collected": "integer", "sent": "integer",
        "succeeded": "integer", "failed": "integer", "skipped": "integer", "created_by": "varchar(255)", "created_at": "timestamptz",
        "updated_at": "timestamptz", "ended_at": "timestamptz", "controlled_by": "varchar(255)", "note": "text",
    },
)  # fmt: skip
ITEMS = Table(
    "batch_items",
    {
        "tenant_id": "varchar(255)", "batch_id": "bigint", "number": "integer", "item": "bigint", "status": "varchar(20)",
        "code": "varchar(255)", "message": "text", "done_at": "timestamptz",
    },
    ("tenant_id", "batch_id", "number"),
)  # fmt: skip
NAME = TABLE.name


def created(f: Fold, e: ba.BatchCreated) -> None:
    f.changes.insert(NAME, e.batch, {
        "tenant_id": f.tenant, "id": e.batch, "action": e.action, "list": e.of, "params": e.params, "filter": e.filter, "reason": e.reason,
        "rate": e.rate, "status": "collecting", "total": e.total, "collected": 0, "sent": 0, "succeeded": 0, "failed": 0, "skipped": 0,
        "created_by": f.env.actor, "created_at": f.now, "updated_at": f.now, "controlled_by": "", "note": "",
    })  # fmt: skip


def _update(f: Fold, batch: int, columns: dict[str, Any]) -> None:
    f.changes.update(NAME, batch, (f.tenant, batch), {"updated_at": f.now, **columns})


def items_added(f: Fold, e: ba.BatchItemsAdded) -> None:
    for number, item in enumerate(e.items, e.at):
        row = {"tenant_id": f.tenant, "batch_id": e.batch, "number": number, "item": item, "status": "pending", "code": "", "message": ""}
        f.changes.insert(ITEMS.name, (e.batch, number), row)
    _update(f, e.batch, {"collected": e.at + len(e.items)})


def items_sent(f: Fold, e: ba.BatchItemsSent) -> None:
    """It has begun."""
    if e.count:
        _update(f, e.batch, {"status": "running", "sent": e.first + e.count})


def items_done(f: Fold, e: ba.BatchItemsDone) -> None:
    why = e.why or {}
    for number, outcome in zip(e.numbers, e.outcomes, strict=True):
        code, message = why.get(str(number)) or ("", "")
        columns = {"status": outcome, "code": code, "message": message, "done_at": f.now}
        f.changes.update(ITEMS.name, (e.batch, number), (f.tenant, e.batch, number), columns)
    _update(f, e.batch, {"succeeded": e.succeeded, "failed": e.failed, "skipped": e.skipped})


def _controlled(status: str) -> Any:
    def handler(f: Fold, e: ba.BatchPaused | ba.BatchResumed | ba.BatchAborted) -> None:
        _update(f, e.batch, {"status": status, "controlled_by": f.env.actor, "note": e.reason})

    return handler


def ended(f: Fold, e: ba.BatchEnded) -> None:
    columns: dict[str, Any] = {"status": e.status, "succeeded": e.succeeded, "failed": e.failed, "skipped": e.skipped, "ended_at": f.now}
    if e.reason:
        columns["note"] = e.reason
    _update(f, e.batch, columns)


VIEW = View(
    "batches",
    VERSION,
    "086_batches.sql",
    (TABLE, ITEMS),
    {
        ba.BatchCreated: created, ba.BatchItemsAdded: items_added, ba.BatchItemsSent: items_sent, ba.BatchItemsDone: items_done,
        ba.BatchPaused: _controlled("paused"), ba.BatchResumed: _controlled("running"), ba.BatchAborted: _controlled("aborting"),
        ba.BatchEnded: ended,
    },
)  # fmt: skip
