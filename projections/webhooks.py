"""Answers about webhooks, see `queries.py`."""

from __future__ import annotations

from collections.abc import Mapping

from flowledger.projections import filters as fi
from flowledger.projections import lists
from flowledger.projections.reader import Reader, Row
from flowledger.projections.triggers import page_of


async def list_webhooks(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    """The newest first; `name`: those of it, deleted ones too, else only those that are there."""
    w = fi.where(tenant, given, lists.WEBHOOKS)
    if "name" not in given:
        w.add("status <> 'deleted'")
    return await page_of(r, "webhooks", w, limit, cursor)


async def list_deliveries(
    r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None
) -> Row:
    return await page_of(r, "webhook_deliveries", fi.where(tenant, given, lists.WEBHOOK_DELIVERIES), limit, cursor)


async def list_letters(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    return await page_of(r, "webhook_letters", fi.where(tenant, given, lists.WEBHOOK_LETTERS), limit, cursor)
