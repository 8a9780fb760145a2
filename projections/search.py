"""Instances by a search: `where` (alternatives of conditions, `where.py`) and `text` (wherever it stands).

Each alternative is a list of its own, in the same order and found by its own index; a page is made of their heads. So a search costs as much as
its alternatives together, and no alternative makes another one slow. All of it has `SEARCH_S` at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from psycopg import sql

from flowledger.projections import by_variables, lists, where
from flowledger.projections import filters as fi
from flowledger.projections.pages import newest
from flowledger.projections.reader import Reader, Row, Senseless, within
from flowledger.projections.words import INSTANCE_STATUSES, SEARCH_CHARS

#: how long a search may take; what it looks for can be in no index (`contains`, paths)
SEARCH_S = 5.0
#: characters of a text; names of variables, by the alphabet, whose values it is looked for in; alternatives of both together
TEXT_MAX, NAMES_MAX, LISTS_MAX = 200, 300, 48
#: a value that so many instances have is met by looking through the instances; one that fewer have leads to them
COMMON = 1_000

_NAMES = (
    "WITH RECURSIVE names AS ((SELECT name, 1 AS n FROM variables WHERE tenant_id = %s AND scope = 'workflow' ORDER BY name LIMIT 1) UNION ALL "
    "SELECT s.name, names.n + 1 FROM names CROSS JOIN LATERAL (SELECT name FROM variables WHERE tenant_id = %s AND scope = 'workflow' "
    "AND name > names.name ORDER BY name LIMIT 1) s WHERE names.n < {}) "
)
_VALUES = (
    "SELECT v.instance_created_at, v.workflow_instance_id FROM names CROSS JOIN LATERAL (SELECT * FROM variables v WHERE v.tenant_id = %s "
    "AND v.scope = 'workflow' AND v.name = names.name AND v.search = %s AND v.search IS NOT NULL AND {before} "
    "ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC LIMIT {most}) v WHERE {whole} "
    "ORDER BY v.instance_created_at DESC, v.workflow_instance_id DESC LIMIT {most}"
)
#: how many have the value, in each row, and where they are few the page of their instances (else one row without)
_FOUND = (
    "WITH told AS MATERIALIZED ({values}), n AS (SELECT count(*) AS n_told FROM told) SELECT n.n_told, f.* FROM n LEFT JOIN LATERAL ("
    "SELECT {columns} FROM (SELECT DISTINCT * FROM told) k CROSS JOIN LATERAL (SELECT i.* FROM workflow_instances i "
    "WHERE i.id = k.workflow_instance_id AND i.created_at = k.instance_created_at AND {where} OFFSET 0) i "
    "WHERE n.n_told < {most} ORDER BY i.created_at DESC, i.id DESC LIMIT %s) f ON TRUE"
)
_HAS = (
    "EXISTS (SELECT 1 FROM variables v WHERE v.tenant_id = i.tenant_id AND v.workflow_instance_id = i.id AND v.scope_id = i.id "
    "AND v.instance_created_at = i.created_at AND v.search = %s AND {} OFFSET 0)"
)


async def listed(
    r: Reader, columns: str, tenant: str, given: Mapping[str, str], count: int, cursor: str | None, plainly: Callable[[Row], Row]
) -> Row:
    """`{items, cursor, position}`, the newest first. Raises: BadQuery, Senseless, TookTooLong."""
    given = dict(given)
    asked, text = given.pop("where", None), given.pop("text", None)
    ways: where.Alternatives = where.parsed(asked) if asked is not None else [[]]
    stands = _stands(text) if text is not None else [None]
    if len(ways) * len(stands) > LISTS_MAX:
        raise Senseless(f"where: expected at most {LISTS_MAX // len(stands)} alternatives beside a text, found {len(ways)}")
    found: dict[Any, Row] = {}
    with within(SEARCH_S):
        position = await r.position()
        for way in ways:
            for stand in stands:
                w = fi.where(tenant, given, lists.INSTANCES, variables=True)
                for condition in way if stand is None or stand is _VALUE else [*way, stand]:
                    condition(w)
                await by_variables.bound_start(r, w)
                rows = await (
                    _with_value(r, columns, w, text or "", count, cursor) if stand is _VALUE else _page(r, columns, w, count, cursor)
                )
                found |= {row["id"]: row for row in rows}
    rows = sorted(found.values(), key=lambda row: (row["created_at"], row["id"]), reverse=True)[: count + 1]
    following = fi.next_cursor(rows, count)
    return {"items": [plainly(row) for row in rows], "cursor": following, "position": position}


async def _page(r: Reader, columns: str, w: fi.Where, count: int, cursor: str | None) -> list[Row]:
    if w.variables:
        return await by_variables.page(r, columns, w, count, cursor)
    fi.after(w, cursor, "i.")
    return await r.rows(
        *newest(columns, "workflow_instances i", w, count + 1, prefix="i.", statuses=INSTANCE_STATUSES), sorts=not w.in_order
    )


# --- a text, wherever it stands -----------------------------------------------------------------------------------------


def _VALUE(_: fi.Where) -> None:
    """Any variable has it as its value."""


def _stands(text: str) -> list[where.Condition]:
    """Where a text may stand."""
    if not text.strip() or len(text) > TEXT_MAX or "\0" in text:
        raise Senseless(f"text: expected 1 to {TEXT_MAX} characters, found {text[:40]!r}")
    fi.unsealed("text", text)
    out: list[where.Condition] = [where.key_starts(text), _VALUE]
    for name in ("definition", "initiator", "correlation_id"):
        out.append(where.filtered(name, text))
    if text.isascii() and text.isdigit() and len(text) < 20:
        out.append(lambda w: w.add("i.id = %s", fi.key("text", text)))
    return out


async def _with_value(r: Reader, columns: str, w: fi.Where, text: str, count: int, cursor: str | None) -> list[Row]:
    """Those with the value are counted, the newest of each name: few lead to their instances; where they are many, a look through the instances
    soon meets some."""
    cut = text[:SEARCH_CHARS]
    whole: sql.Composable = sql.SQL("TRUE") if len(text) < SEARCH_CHARS else sql.SQL("v.value #>> '{{}}' = {}").format(sql.Literal(text))
    before = fi.Where("TRUE", tenant="")
    before.values.clear()
    fi.after(before, cursor, "v.", "instance_created_at", "workflow_instance_id")
    bound, moments = before.joined()
    values = sql.SQL(_NAMES + _VALUES).format(sql.Literal(NAMES_MAX), before=bound, most=sql.Literal(COMMON), whole=whole)
    told = [w.tenant, w.tenant, w.tenant, cut, *moments]
    if not w.variables:
        where_, more = w.joined(w.sets)
        text_ = sql.SQL(_FOUND).format(columns=sql.SQL(columns), values=values, where=where_, most=sql.Literal(COMMON))
        rows = await r.rows(text_, [*told, *more, count + 1])
        if rows[0].pop("n_told") < COMMON:
            for row in rows[1:]:
                del row["n_told"]
            return [row for row in rows if row["id"] is not None]
    w.add(sql.SQL(_HAS).format(whole), cut)
    return await _page(r, columns, w, count, cursor)
