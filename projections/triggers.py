"""Answers about triggers, see `queries.py`."""

from __future__ import annotations

from collections.abc import Mapping

from flowledger.projections import filters as fi
from flowledger.projections import lists
from flowledger.projections.pages import newest
from flowledger.projections.reader import Reader, Row, plain


async def page_of(r: Reader, table: str, w: fi.Where, limit: str | int | None, cursor: str | None) -> Row:
    count = fi.limit_of(limit)
    fi.after(w, cursor)
    text, values = newest("*", table, w, count + 1)
    position = await r.position()
    rows = await r.rows(text, values)
    following = fi.next_cursor(rows, count)
    return {"items": [plain(row) for row in rows], "cursor": following, "position": position}


async def list_triggers(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    """The newest first; `name`: those of it, deleted ones too, else only those that are there. `rate`: items that did something in the last minute."""
    w = fi.where(tenant, given, lists.TRIGGERS)
    if "name" not in given:
        w.add("status <> 'deleted'")
    page = await page_of(r, "triggers", w, limit, cursor)
    keys = [int(row["id"]) for row in page["items"]]
    counted = await r.rows(
        "SELECT trigger_id, count(*) AS n FROM trigger_runs WHERE tenant_id = %s AND trigger_id = ANY(%s) AND created_at > now() - interval '1 minute' "
        "GROUP BY trigger_id",
        (tenant, keys),
    )
    rates = {str(row["trigger_id"]): row["n"] for row in counted}
    for row in page["items"]:
        row["rate"] = rates.get(row["id"], 0)
    return page


async def list_runs(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    return await page_of(r, "trigger_runs", fi.where(tenant, given, lists.TRIGGER_RUNS), limit, cursor)


async def list_letters(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    return await page_of(r, "trigger_letters", fi.where(tenant, given, lists.TRIGGER_LETTERS), limit, cursor)
