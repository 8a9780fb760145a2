"""The SQL of a page of a list, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from flowledger.projections.filters import Where

_ONE = "SELECT {columns} FROM {table} WHERE {where} ORDER BY {order} LIMIT %s"
_EACH = (
    "SELECT {columns} FROM {wanted} CROSS JOIN LATERAL (SELECT {whole}.* FROM {table} WHERE {each} AND {where} ORDER BY {order} LIMIT %s) {whole} "
    "ORDER BY {order} LIMIT %s"
)


def newest(
    columns: str, table: str, w: Where, count: int, time: str = "created_at", prefix: str = "", statuses: Sequence[str] = ()
) -> tuple[sql.Composed, list[Any]]:
    """The first `count` rows by time and key, and the values of the text.

    `statuses`: all that there are, where indexes go on with them.
    """
    order = f"{prefix}{time} DESC, {prefix}id DESC"
    alias = prefix.rstrip(".") or table.split(maxsplit=1)[0]
    apart, others = w.branches(statuses)
    where, values = w.joined(others)
    wanted = [sql.SQL("unnest(%s::{}[]) AS {}(value)").format(sql.SQL(s.kind), sql.Identifier("of_" + s.column)) for s in apart]
    each = [sql.SQL("{} = {}").format(sql.Identifier(alias, s.column), sql.Identifier("of_" + s.column, "value")) for s in apart]
    text = sql.SQL(_EACH if apart else _ONE).format(
        columns=sql.SQL(columns), table=sql.SQL(table), where=where, order=sql.SQL(order), whole=sql.Identifier(alias),
        wanted=sql.SQL(" CROSS JOIN ").join(wanted), each=sql.SQL(" AND ").join(each),
    )  # fmt: skip
    return text, [*[s.values for s in apart], *values, *[count] * (2 if apart else 1)]
