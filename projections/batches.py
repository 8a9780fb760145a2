"""Answers about batches, see `queries.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from flowledger.projections import filters as fi
from flowledger.projections import lists
from flowledger.projections.pages import newest
from flowledger.projections.reader import BadQuery, Reader, Row, plain

ITEM_STATUSES = ("pending", "succeeded", "failed", "skipped", "aborted")


async def list_batches(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    """The newest first. Filters: `filters.BATCHES`."""
    count = fi.limit_of(limit)
    w = fi.where(tenant, given, lists.BATCHES)
    fi.after(w, cursor)
    text, values = newest("*", "batches", w, count + 1)
    position = await r.position()
    rows = await r.rows(text, values)
    following = fi.next_cursor(rows, count)
    return {"items": [plain(row) for row in rows], "cursor": following, "position": position}


async def get_batch(r: Reader, tenant: str, key: int) -> Row | None:
    position = await r.position()
    rows = await r.rows("SELECT * FROM batches WHERE tenant_id = %s AND id = %s", (tenant, key))
    return {**plain(rows[0]), "position": position} if rows else None


async def unprepared(r: Reader) -> list[int]:
    """Of all tenants, those whose items a door prepares, and that have not ended; some of them."""
    rows = await r.rows("SELECT id FROM batches WHERE ended_at IS NULL AND action = 'roll_back' ORDER BY id LIMIT 100")
    return [row["id"] for row in rows]


async def known(r: Reader, tenant: str, keys: list[int]) -> set[int]:
    """Those of `keys` that are instances of the tenant."""
    rows = await r.rows("SELECT id FROM workflow_instances WHERE tenant_id = %s AND id = ANY(%s)", (tenant, keys))
    return {row["id"] for row in rows}


async def list_items(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    """Of the batch `batch`, by their number; `status`: those that are so. What an aborted batch has not done is `aborted`."""
    count = fi.limit_of(limit)
    batch = fi.key("batch", given["batch"])
    position = await r.position()
    found = await r.rows("SELECT status FROM batches WHERE tenant_id = %s AND id = %s", (tenant, batch))
    aborted = bool(found) and found[0]["status"] == "aborted"
    w = fi.Where("tenant_id = %s", tenant=tenant)
    w.add("batch_id = %s", batch)
    if status := given.get("status"):
        wanted = status.split(",")
        if unknown := sorted({*wanted} - {*ITEM_STATUSES}):
            raise BadQuery(f"status: expected {', '.join(ITEM_STATUSES)}, found {unknown[0][:40]!r}")
        undone = "aborted" if aborted else "pending"
        kept = [s for s in wanted if s not in ("pending", "aborted")] + ["pending"] * (undone in wanted)
        w.add("status = ANY(%s::text[])", kept)
    if cursor:
        w.add("number >= %s", fi.key("cursor", cursor))
    where, values = w.joined()
    query = sql.SQL("SELECT number, item, status, code, message, done_at FROM batch_items WHERE {} ORDER BY number LIMIT %s")
    rows = await r.rows(query.format(where), [*values, count + 1])
    following = str(rows[count]["number"]) if len(rows) > count else None
    return {"items": [_item(row, aborted) for row in rows[:count]], "cursor": following, "position": position}


def _item(row: Row, aborted: bool) -> dict[str, Any]:
    out = plain(row)
    out["id"] = str(out.pop("item"))
    if aborted and out["status"] == "pending":
        out["status"] = "aborted"
    return out
