"""Tasks in another order than the newest first: by urgency, or by when they are due (those without a time come last, the newest first)."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from flowledger.projections import filters as fi
from flowledger.projections.pages import newest
from flowledger.projections.reader import BadQuery, GoneCursor, Reader, Row, plain
from flowledger.projections.tables import micros, stamp
from flowledger.projections.words import TASK_STATUSES

ORDERS = ("created", "due", "priority")
#: so many rows are found by what is asked of them, and sorted; where there are more, the index of the order is walked
FEW = 1_000
_BY_PRIORITY = "priority_value DESC, created_at DESC, id DESC"
_BY_DUE = "due_at, id"


async def listed(r: Reader, tenant: str, columns: str, w: fi.Where, order: str, limit: str | int | None, cursor: str | None) -> Row:
    """`{items, cursor, position}` by `order`: due or priority. Raises: BadQuery.

    The number before the key in a cursor is, by priority, the urgency that the row had (the time is read from it: it never changes); by due
    time twice the microseconds, and one more where it is due at no time.
    """
    if order not in ORDERS[1:]:
        raise BadQuery(f"sort: expected one of {', '.join(ORDERS)}, found {order[:40]!r}")
    count = fi.limit_of(limit)
    position = await r.position()
    rows, following = await (_due(r, columns, w, count, cursor) if order == "due" else _urgent(r, tenant, columns, w, count, cursor))
    return {"items": [plain(row) for row in rows], "cursor": following, "position": position}


async def _read(r: Reader, columns: str, w: fi.Where, order: str, limit: int, after: str, *place: Any) -> list[Row]:
    """`after`: a condition, where the page begins; `place`: its values."""
    where, values = w.joined(w.sets)  # these orders have indexes of their own: one walk, not one for each value
    text, sorts = "SELECT {} FROM tasks WHERE {} AND {} ORDER BY {} LIMIT %s", False
    if w.gathered or ((w.leads or w.prefixed) and await r.estimate(sql.SQL("SELECT 1 FROM tasks WHERE {}").format(where), values) <= FEW):
        sorts = True
        text = "SELECT {} FROM (SELECT * FROM tasks WHERE {} OFFSET 0) tasks WHERE {} ORDER BY {} LIMIT %s"
    query = sql.SQL(text).format(sql.SQL(columns), where, sql.SQL(after), sql.SQL(order))
    return await r.rows(query, [*values, *place, limit], sorts=sorts)


async def _urgent(r: Reader, tenant: str, columns: str, w: fi.Where, count: int, cursor: str | None) -> tuple[list[Row], str | None]:
    after: tuple[Any, ...] = ("TRUE",)
    if cursor:
        level, id = fi.parse_cursor(cursor)
        last = await r.rows("SELECT created_at FROM tasks WHERE tenant_id = %s AND id = %s", (tenant, id))
        if not last or level > fi.PRIORITY_MAX:
            raise GoneCursor(f"cursor: expected one from an earlier answer, found {cursor[:40]!r}; begin with the first page")
        after = ("(priority_value, created_at, id) < (%s, %s, %s)", level, last[0]["created_at"], id)
    rows = await _read(r, columns, w, _BY_PRIORITY, count + 1, *after)
    if len(rows) <= count:
        return rows, None
    del rows[count:]
    return rows, fi.cursor_of(rows[-1]["priority_value"], rows[-1]["id"])


async def _due(r: Reader, columns: str, w: fi.Where, count: int, cursor: str | None) -> tuple[list[Row], str | None]:
    """Two walks, one after the other: over those that are due at a time, then over the others."""
    place, id = fi.parse_cursor(cursor) if cursor else (0, 0)
    us, timed = place // 2, place % 2 == 0
    rows: list[Row] = []
    if timed:
        due = w.copy()
        due.add("due_at IS NOT NULL")
        rows = await _read(r, columns, due, _BY_DUE, count + 1, *(("(due_at, id) > (%s, %s)", stamp(us), id) if cursor else ("TRUE",)))
    if len(rows) <= count and not w.dated:
        w.add("due_at IS NULL")
        if not timed:
            w.add("(created_at, id) < (%s, %s)", stamp(us), id)
        rows += await r.rows(*newest(columns, "tasks", w, count + 1 - len(rows), statuses=sorted(TASK_STATUSES)), sorts=not w.in_order)
    if len(rows) <= count:
        return rows, None
    del rows[count:]
    last = rows[-1]
    return rows, fi.cursor_of(2 * micros(last["due_at"] or last["created_at"]) + (last["due_at"] is None), last["id"])
