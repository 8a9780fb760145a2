"""Brings the indexes of an existing database to what this release's SQL files say, while rows are read and written.

A view's `VERSION` says what is in its rows; indexes change without it, since to fold the whole log for them would take hours. What the files
make is found out by making it, in a transaction that is rolled back. An index that is missing or different is built beside
(`CREATE INDEX CONCURRENTLY`, partition by partition), and takes the name of the old one when it is whole. Indexes that nobody here made stay.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

import psycopg
from psycopg import sql

from flowledger.logs import log
from flowledger.projections import schema as sc
from flowledger.projections.fold import View
from flowledger.projections.store import Connection
from flowledger.projections.views import VIEWS

log_ = log("projections")

#: made by earlier releases, and of no use any more
RETIRED = ("workflow_instances_by_start",)
#: the name under which an index is built that takes the place of another one
NEW = "_new"
_SHAPE = "_shape"
#: To change places, nobody may read or write for a moment. Who reads on for longer than this (seconds) is waited for without the others.
LOCK_S, LOCK_TRIES = 2, 60
#: from USING on; and a statement of a file: name, table, and the same as it was written
_STATEMENT = re.compile(r"^CREATE INDEX (\w+) ON \w+ ([^;]*);", re.M)
_TEXT = re.compile(r"CREATE INDEX \S+ ON (?:ONLY )?\S+ (USING .*)", re.S)
_FOUND = """
SELECT c.relname, t.relname, pg_get_indexdef(c.oid), i.indisvalid, t.relkind = 'p'
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
WHERE c.relnamespace = to_regnamespace(%s) AND NOT t.relispartition AND NOT i.indisunique
ORDER BY c.relname
"""
#: partitions of a table and their index below an index of the table, if it is whole
_PARTS = """
SELECT p.relname, (SELECT c.relname FROM pg_inherits h JOIN pg_index x ON x.indexrelid = h.inhrelid JOIN pg_class c ON c.oid = h.inhrelid
    WHERE h.inhparent = to_regclass(%(index)s) AND x.indrelid = p.oid AND x.indisvalid)
FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid WHERE i.inhparent = to_regclass(%(table)s) ORDER BY p.relname DESC
"""


class Index(NamedTuple):
    """`text`: from USING on, as PostgreSQL writes it. `valid`: it is whole, and queries use it."""

    table: str
    text: str
    valid: bool
    partitioned: bool


async def found(conn: Connection, schema: str) -> dict[str, Index]:
    rows = await (await conn.execute(_FOUND, (schema,))).fetchall()
    return {
        name: Index(table, text[1], valid, partitioned) for name, table, made, valid, partitioned in rows if (text := _TEXT.fullmatch(made))
    }


async def expected(
    conn: Connection, schema: str, views: Mapping[str, View] = VIEWS
) -> tuple[dict[str, Index], dict[str, dict[str, list[str]]]]:
    """What the files of the views make: indexes, and what the planner is told of the columns of each table."""
    beside = schema + _SHAPE
    async with conn.transaction(force_rollback=True):
        await conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(beside)))
        await conn.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(beside)))
        for view in views.values():
            await conn.execute(sc.sql_file(view.sql))
        names = [table.name for view in views.values() for table in view.tables]
        return await found(conn, beside), {name: told for name in names if (told := await sc.options_of(conn, name))}


async def fit(conn: Connection, views: Mapping[str, View] = VIEWS) -> bool:
    """Whether the indexes are those of this release; the schema is the connection's."""
    return await (await conn.execute("SELECT 1 FROM migrations WHERE name = %s", (sc.mark(views),))).fetchone() is not None


async def bring(dsn: str, schema: str = sc.SCHEMA, views: Mapping[str, View] = VIEWS) -> list[str]:
    """Make, replace and drop what is to be. Returns the names; none when another process is at it. What was begun and cut off is begun anew.

    Raises: psycopg.Error.
    """
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, application_name=f"indexes of {schema}") as conn:
        await sc.use_schema(conn, schema)
        row = await (
            await conn.execute("SELECT pg_try_advisory_lock(hashtextextended('flowledger.indexes.' || %s, 0))", (schema,))
        ).fetchone()
        if not row or not row[0] or await fit(conn, views):
            return []
        written = {m[1]: m[2] for view in views.values() for m in _STATEMENT.finditer(sc.sql_file(view.sql))}
        (wanted, options), has = await expected(conn, schema, views), await found(conn, schema)
        changed = [name for name, index in wanted.items() if has.get(name) != index]
        for name in changed:
            await _build(conn, schema, name, wanted[name], written[name], has)
        for name in RETIRED:
            if name in has and name not in wanted:
                await _in_its_place(conn, name)
        told = [table for table, columns in options.items() if await _tell(conn, schema, table, columns)]
        for table in {*told, *(wanted[name].table for name in changed)}:  # the planner knows of an expression what was seen in its index
            await conn.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
        await conn.execute("INSERT INTO migrations (name) VALUES (%s) ON CONFLICT DO NOTHING", (sc.mark(views),))
        return changed


async def _tell(conn: Connection, schema: str, table: str, columns: Mapping[str, list[str]]) -> bool:
    """The table and its months. False: there was nothing new."""
    if await sc.options_of(conn, f"{schema}.{table}") == columns:
        return False
    for name in (table, *[partition for partition, _ in await sc.partitions_of(conn, schema, table)]):
        await sc.set_options(conn, sql.Identifier(name), columns)
    return True


async def _build(conn: Connection, schema: str, name: str, index: Index, written: str, has: Mapping[str, Index]) -> None:
    """First `<name>_new`, then both change places at once. `written`: as the file has it; PostgreSQL's own text of it would make another one."""
    log_.info("an index is made anew", schema=schema, index=name)
    if name in has and has[name].text == index.text:  # it was never whole
        await _in_its_place(conn, name)
    new = name + NEW
    begun, table = has.get(new), sql.Identifier(index.table)
    if index.partitioned:
        if begun is None or begun.text != index.text:
            await conn.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(new)))
            await conn.execute(sql.SQL("CREATE INDEX {} ON ONLY {} ").format(sql.Identifier(new), table) + sql.SQL(written))
        await _build_parts(conn, schema, name, index, written)
    elif begun != index:
        await conn.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(new)))
        await conn.execute(sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ").format(sql.Identifier(new), table) + sql.SQL(written))
    await _in_its_place(conn, name, new)


async def _in_its_place(conn: Connection, name: str, new: str = "") -> None:
    """`name` goes, and `new` is called so from now on."""
    for left in reversed(range(LOCK_TRIES)):
        try:
            async with conn.transaction():
                await conn.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{LOCK_S * 1000:.0f}ms")))
                await conn.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(name)))
                if new:
                    await conn.execute(sql.SQL("ALTER INDEX {} RENAME TO {}").format(sql.Identifier(new), sql.Identifier(name)))
            return
        except psycopg.errors.LockNotAvailable:
            if not left:
                raise
            await asyncio.sleep(LOCK_S)


async def _build_parts(conn: Connection, schema: str, name: str, index: Index, written: str) -> None:
    """One partition after the other, the newest first. The index of the table is whole as soon as that of each partition hangs below it."""
    new = name + NEW
    asked = {"index": f"{schema}.{new}", "table": f"{schema}.{index.table}"}
    for partition, done in await (await conn.execute(_PARTS, asked)).fetchall():
        if done:
            continue
        part = sql.Identifier(f"{name}_{short(index)}{partition[len(index.table) :]}")
        await conn.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(part))
        await conn.execute(sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ").format(part, sql.Identifier(partition)) + sql.SQL(written))
        await conn.execute(sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(sql.Identifier(new), part))


def short(index: Index) -> str:
    """Keeps the index of a partition apart from that of an earlier shape under the same name."""
    return hashlib.sha256(index.text.encode()).hexdigest()[:4]
