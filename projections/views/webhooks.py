"""Webhooks, their last attempts, and their dead letters: tables `webhooks`, `webhook_deliveries`, `webhook_letters`."""

from __future__ import annotations

from typing import Any

from flowledger.events import webhooks as wh
from flowledger.kernel import limits
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, stamp
from flowledger.projections.words import int4

VERSION = 1
TABLE = Table(
    "webhooks",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "name": "varchar(255)", "status": "varchar(20)", "url": "text", "types": "jsonb", "definitions": "jsonb",
        "filter": "text", "secrets": "jsonb", "ordering": "varchar(20)", "cursors": "jsonb", "delivered_count": "bigint", "failed_count": "bigint",
        "dead_count": "integer", "node": "varchar(500)", "sender": "integer", "sent_until": "timestamptz", "error": "text", "last_at": "timestamptz", "reason": "text",
        "changed_by": "varchar(255)", "created_at": "timestamptz",
    },
)  # fmt: skip
DELIVERIES = Table(
    "webhook_deliveries",
    {
        "tenant_id": "varchar(255)", "webhook_id": "bigint", "slot": "integer", "id": "bigint", "event": "varchar(60)", "type": "varchar(255)",
        "workflow_instance_id": "bigint", "process_id": "varchar(255)", "attempt": "integer", "outcome": "varchar(20)", "code": "varchar(255)",
        "status": "integer", "ms": "integer", "next_at": "timestamptz", "created_at": "timestamptz",
    },
    key=("tenant_id", "webhook_id", "slot"),
)  # fmt: skip
LETTERS = Table(
    "webhook_letters",
    {
        "tenant_id": "varchar(255)", "webhook_id": "bigint", "event": "varchar(60)", "id": "bigint", "status": "varchar(20)", "type": "varchar(255)",
        "workflow_instance_id": "bigint", "process_id": "varchar(255)", "attempt": "integer", "code": "varchar(255)", "created_at": "timestamptz",
        "closed_at": "timestamptz", "closed_by": "varchar(255)", "reason": "text",
    },
    key=("tenant_id", "webhook_id", "event"),
)  # fmt: skip
NAME = TABLE.name
_BY = {"": "paused", "gone": "disabled"}


def _update(f: Fold, webhook: int, columns: dict[str, Any]) -> None:
    f.changes.update(NAME, webhook, (f.tenant, webhook), columns)


def _add(f: Fold, webhook: int, column: str, amount: int) -> None:
    if amount:
        f.changes.add(NAME, webhook, (f.tenant, webhook), column, amount)


def put(f: Fold, e: wh.WebhookPut) -> None:
    own = {
        "url": e.url, "types": e.types, "definitions": e.definitions, "filter": e.filter, "secrets": e.secrets, "ordering": e.order,
        "changed_by": f.env.actor,
    }  # fmt: skip
    if e.cursors is None:
        _update(f, e.webhook, own)
        return
    f.changes.insert(NAME, e.webhook, {
        "tenant_id": f.tenant, "id": e.webhook, "name": e.name, "status": "active", "cursors": e.cursors, "delivered_count": 0, "failed_count": 0,
        "dead_count": 0, "node": "",
        "sender": 0, "error": "", "reason": "", "created_at": f.now, **own,
    })  # fmt: skip


def deleted(f: Fold, e: wh.WebhookDeleted) -> None:
    _update(f, e.webhook, {"status": "deleted", "reason": e.reason, "changed_by": f.env.actor})


def paused(f: Fold, e: wh.WebhookPaused) -> None:
    _update(f, e.webhook, {"status": _BY.get(e.by, e.by), "reason": e.reason, "changed_by": f.env.actor})


def resumed(f: Fold, e: wh.WebhookResumed) -> None:
    _update(f, e.webhook, {"status": "active", "reason": e.reason, "changed_by": f.env.actor})


def claimed(f: Fold, e: wh.WebhookClaimed) -> None:
    _update(f, e.webhook, {"sender": int4(e.sender), "node": e.node, "sent_until": stamp(e.until_us) if e.until_us else None})


def noted(f: Fold, e: wh.WebhookNoted) -> None:
    _update(f, e.webhook, {"error": e.error})


def progressed(f: Fold, e: wh.WebhookProgressed) -> None:
    if e.cursors:
        f.changes.merge(NAME, e.webhook, (f.tenant, e.webhook), "cursors", e.cursors)
    for n, row in enumerate(wh.rows(e.attempts), e.first):
        slot = n % limits.WEBHOOK_LOG_MAX
        about = {
            "type": row.get("type", ""), "workflow_instance_id": row.get("instance") or None, "process_id": row.get("process", ""),
            "attempt": int4(row.get("attempt", 0)), "code": row.get("code", ""), "created_at": f.now,
        }  # fmt: skip
        f.changes.upsert(DELIVERIES.name, (e.webhook, slot), {
            "tenant_id": f.tenant, "webhook_id": e.webhook, "slot": slot, "id": n, "event": row["at"], "outcome": row.get("outcome", ""),
            "status": row.get("status") or None, "ms": int4(row.get("ms", 0)), "next_at": stamp(row["due_us"]) if row.get("due_us") else None, **about,
        })  # fmt: skip
        if row.get("outcome", "") == "dead":
            f.changes.upsert(LETTERS.name, (e.webhook, row["at"]), {
                "tenant_id": f.tenant, "webhook_id": e.webhook, "event": row["at"], "id": n, "status": "open", "closed_at": None, "closed_by": "",
                "reason": "", **about,
            })  # fmt: skip
    if e.attempts:
        _update(f, e.webhook, {"last_at": f.now})
    for column in ("delivered", "failed", "dead"):
        _add(f, e.webhook, f"{column}_count", getattr(e, column))


def _close(f: Fold, webhook: int, events: list[str], status: str, reason: str) -> None:
    for at in events:
        columns = {"status": status, "closed_at": f.now, "closed_by": f.env.actor, "reason": reason}
        f.changes.update(LETTERS.name, (webhook, at), (f.tenant, webhook, at), columns)
    _add(f, webhook, "dead_count", -len(events))


def asked(f: Fold, e: wh.WebhookAsked) -> None:
    _close(f, e.webhook, e.settled, "redelivered", e.reason)
    if e.cursors:
        f.changes.merge(NAME, e.webhook, (f.tenant, e.webhook), "cursors", e.cursors)


def settled(f: Fold, e: wh.WebhookSettled) -> None:
    _close(f, e.webhook, e.settled, "discarded", e.reason)


VIEW = View(
    "webhooks",
    VERSION,
    "092_webhooks.sql",
    (TABLE, DELIVERIES, LETTERS),
    {
        wh.WebhookPut: put, wh.WebhookDeleted: deleted, wh.WebhookPaused: paused, wh.WebhookResumed: resumed, wh.WebhookClaimed: claimed,
        wh.WebhookNoted: noted, wh.WebhookProgressed: progressed, wh.WebhookAsked: asked, wh.WebhookSettled: settled,
    },
)  # fmt: skip
