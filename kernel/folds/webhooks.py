"""Folds of webhooks, at their home."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowledger.events import webhooks as wh
from flowledger.events.base import Envelope
from flowledger.kernel.folds.tokens import seen_key
from flowledger.kernel.nouns import Webhook, WebhookItem
from flowledger.kernel.state import Partition
from flowledger.kernel.undo import drop, keep, put

#: fields of an item in an event
_FIELDS = ("at", "type", "instance", "definition", "process", "attempt", "code", "due_us", "asked")


def _of(p: Partition, key: int) -> Webhook | None:
    """It is about to change."""
    w = p.webhooks.get(key)
    if w is not None:
        keep(p, w)
        p.changed.add(("webhook", key))
    return w


def _item(row: wh.Row) -> WebhookItem:
    return WebhookItem(**{name: row[name] for name in _FIELDS if name in row})


def put_(p: Partition, e: wh.WebhookPut, v: Envelope) -> None:
    seen_key(p, e.webhook)
    w = _of(p, e.webhook)
    if w is None:
        w = Webhook(key=e.webhook, tenant=v.tenant, name=e.name, cursors=dict(e.cursors or {}))
        put(p, p.webhooks, e.webhook, w)
        put(p, p.webhook_names, (v.tenant, e.name), e.webhook)
        p.changed.add(("webhook", e.webhook))
    w.url, w.types, w.definitions, w.filter, w.secrets, w.order = e.url, e.types, e.definitions, e.filter, e.secrets, e.order
    w.revision += 1


def deleted(p: Partition, e: wh.WebhookDeleted, v: Envelope) -> None:
    if (w := _of(p, e.webhook)) is not None:
        drop(p, p.webhook_names, (w.tenant, w.name))
        drop(p, p.webhooks, e.webhook)


def paused(p: Partition, e: wh.WebhookPaused, v: Envelope) -> None:
    if (w := _of(p, e.webhook)) is not None:
        w.paused = e.by or "asked"
        w.revision += 1


def resumed(p: Partition, e: wh.WebhookResumed, v: Envelope) -> None:
    if (w := _of(p, e.webhook)) is not None:
        w.paused = ""
        w.revision += 1


def claimed(p: Partition, e: wh.WebhookClaimed, v: Envelope) -> None:
    if (w := _of(p, e.webhook)) is not None:
        w.sender, w.node, w.until_us = e.sender, e.node, e.until_us


def noted(p: Partition, e: wh.WebhookNoted, v: Envelope) -> None:
    if (w := _of(p, e.webhook)) is not None:
        w.error = e.error


def _cursors(p: Partition, w: Webhook, cursors: Any) -> None:
    for partition, offset in (cursors or {}).items():
        put(p, w.cursors, partition, int(offset))


def _forget(p: Partition, of: dict[str, WebhookItem], ats: Iterable[str]) -> None:
    for at in ats:
        drop(p, of, at)


def progressed(p: Partition, e: wh.WebhookProgressed, v: Envelope) -> None:
    if (w := _of(p, e.webhook)) is None:
        return
    _cursors(p, w, e.cursors)
    for row in wh.rows(e.behind):
        put(p, w.waiting, row["at"], _item(row))
    for row in wh.rows(e.attempts):
        if row.get("outcome") == "waits":
            put(p, w.waiting, row["at"], _item(row))
            continue
        drop(p, w.waiting, row["at"])
        if row.get("outcome") == "dead":
            put(p, w.dead, row["at"], _item(row))
        elif row.get("outcome") == "delivered":
            drop(p, w.dead, row["at"])
    w.count += len(wh.rows(e.attempts))


def asked(p: Partition, e: wh.WebhookAsked, v: Envelope) -> None:
    if (w := _of(p, e.webhook)) is None:
        return
    _forget(p, w.dead, e.settled)
    for row in wh.rows(e.items):
        put(p, w.waiting, row["at"], _item(row))
    if e.cursors:
        _cursors(p, w, e.cursors)
        w.rewinds += 1
    w.revision += 1


def settled(p: Partition, e: wh.WebhookSettled, v: Envelope) -> None:
    if (w := _of(p, e.webhook)) is not None:
        _forget(p, w.dead, e.settled)
        w.revision += 1


def rebuild(p: Partition) -> None:
    """After a checkpoint was loaded."""
    for w in p.webhooks.values():
        p.webhook_names[w.tenant, w.name] = w.key
