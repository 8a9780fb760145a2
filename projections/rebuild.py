"""Builds views anew from the log, beside the live ones, and swaps them in one transaction; and compares rows with the fold.

Readers and the projector go on meanwhile. Only the last few events are folded while the projector's positions are locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import psycopg
from psycopg import sql

from flowledger.projections import schema as sc
from flowledger.projections.context import Context
from flowledger.projections.fold import View
from flowledger.projections.projector import BATCH_EVENTS, Batch, Projector, Source
from flowledger.projections.store import Connection
from flowledger.projections.views import VIEWS

#: With fewer events than this left to fold, the positions are locked and the rest is folded under the lock.
CLOSE_EVENTS = 5_000
ROUNDS_MAX = 20


class Busy(Exception):
    """Another rebuild is going on."""


async def rebuild(
    dsn: str, source: Source, partitions: Iterable[int], names: Sequence[str] | None = None, *, schema: str = sc.SCHEMA,
    views: Mapping[str, View] = VIEWS,
) -> dict[str, int]:  # fmt: skip
    """Build the views `names` (None: all) anew, over all partitions that the database knows, and swap them in.

    Returns {view: version}. Raises: KeyError (no such view), Busy.
    """
    chosen = [views[name] for name in names] if names else list(views.values())
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await sc.migrate(conn, schema, views)
        await _build(conn, source, tuple(partitions), chosen, schema, swap=True)
    return {v.name: v.version for v in chosen}


async def verify(
    dsn: str, source: Source, partitions: Iterable[int], names: Sequence[str] | None = None, *, schema: str = sc.SCHEMA,
    views: Mapping[str, View] = VIEWS,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Fold the log up to the live positions beside the live rows, and compare: {table: {live, fold, equal}}, each `rows:hash`."""
    chosen = [views[name] for name in names] if names else list(views.values())
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await sc.migrate(conn, schema, views)
        found: dict[str, dict[str, Any]] = await _build(conn, source, tuple(partitions), chosen, schema, swap=False)
        return found


async def rebuild_stale(
    conn: Connection, source: Source, partitions: Sequence[int], schema: str = sc.SCHEMA, views: Mapping[str, View] = VIEWS
) -> list[str]:
    """Views whose rows are of another version, or stand at another position than the rest (new in this release), are built anew."""
    await sc.use_schema(conn, schema)
    live: dict[str, int] = dict(await (await conn.execute("SELECT name, version FROM views")).fetchall())
    at: dict[str, dict[int, int]] = {}
    for view, partition, offset in await (await conn.execute("SELECT view, partition, next_offset FROM positions")).fetchall():
        at.setdefault(view, {})[partition] = offset
    top = {p: max(offsets.get(p, 0) for offsets in at.values()) for p in {p for offsets in at.values() for p in offsets}}
    stale = [v for v in views.values() if live.get(v.name) != v.version or any(at.get(v.name, {}).get(p, 0) != n for p, n in top.items())]
    if stale:
        await _build(conn, source, partitions, stale, schema, swap=True)
    return [v.name for v in stale]


#: what is compared of a table's rows, where that isn't all: a sealed value may have been made findable since (`found_by.py`), which the log doesn't say
_TEXTS = {"variables": sql.SQL(r"regexp_replace(t::text, ',flk1[.][^,]*', ',flk1.')")}


async def checksums(conn: Connection, tables: Iterable[str], schema: str = sc.SCHEMA) -> dict[str, str]:
    """`rows:hash` of each table; the hash doesn't depend on the order of rows."""
    out = {}
    for name in tables:
        query = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended({}, 0)::numeric), 0) FROM {} t")
        row = await (await conn.execute(query.format(_TEXTS.get(name, sql.SQL("t::text")), sql.Identifier(schema, name)))).fetchone()
        assert row is not None
        out[name] = f"{row[0]}:{row[1]}"
    return out


async def _build(conn: Connection, source: Source, partitions: Sequence[int], views: Sequence[View], schema: str, *, swap: bool) -> Any:
    beside = schema + sc.NEXT
    name = f"flowledger.rebuild.{schema}"
    row = await (await conn.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))).fetchone()
    if not row or not row[0]:
        raise Busy("another rebuild is going on")
    try:
        await conn.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(beside)))
        await conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(beside)))
        await sc.use_schema(conn, beside)
        for view in views:
            await sc.make_view(conn, view)
        builder = _Builder(Projector(conn, views, Context(bounded=False), lookup=False), source)
        for _ in range(ROUNDS_MAX):
            target = await _top(conn, schema, partitions)
            if sum(max(0, end - builder.at.get(p, 0)) for p, end in target.items()) <= CLOSE_EVENTS:
                break
            await builder.up_to(target)
        async with conn.transaction():
            await conn.execute(sql.SQL("SELECT 1 FROM {} FOR UPDATE").format(sql.Identifier(schema, "positions")))
            target = await _top(conn, schema, partitions)
            await builder.up_to(target)
            if not swap:
                return await _compare(conn, views, schema)
            for view in views:
                await sc.swap_in(conn, schema, view)
                for partition, end in target.items():
                    await conn.execute(
                        sql.SQL(
                            "INSERT INTO {} (view, partition, version, next_offset) VALUES (%s, %s, %s, %s) "
                            "ON CONFLICT (view, partition) DO UPDATE SET version = excluded.version, next_offset = excluded.next_offset"
                        ).format(sql.Identifier(schema, "positions")),
                        (view.name, partition, view.version, end),
                    )
        return None
    finally:
        if not conn.closed:
            await conn.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(beside)))
            await conn.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (name,))


async def _top(conn: Connection, schema: str, partitions: Sequence[int]) -> dict[int, int]:
    query = sql.SQL("SELECT partition, max(next_offset) FROM {} GROUP BY partition").format(sql.Identifier(schema, "positions"))
    found = dict(await (await conn.execute(query)).fetchall())
    return {p: found.get(p, 0) for p in {*partitions, *found}}


async def _compare(conn: Connection, views: Sequence[View], schema: str) -> dict[str, dict[str, Any]]:
    tables = [t.name for v in views for t in v.tables]
    live, fold = await checksums(conn, tables, schema), await checksums(conn, tables, schema + sc.NEXT)
    return {t: {"live": live[t], "fold": fold[t], "equal": live[t] == fold[t]} for t in tables}


class _Builder:
    """`at`: partition -> offset up to which it has folded."""

    def __init__(self, projector: Projector, source: Source) -> None:
        self.projector, self.source = projector, source
        self.at: dict[int, int] = {}

    async def up_to(self, target: Mapping[int, int]) -> None:
        for partition, end in target.items():
            start = self.at.get(partition, 0)
            if start >= end:
                continue
            batches: list[Batch] = []
            count = 0
            async with aclosing(self.source(partition, start)) as stream:  # type: ignore[type-var]
                async for records, next_offset in stream:
                    if next_offset > end:
                        records = [r for r in records if r.offset < end]
                    batches.append((partition, records, min(next_offset, end)))
                    count += len(records)
                    if count >= BATCH_EVENTS or next_offset >= end:
                        await self.projector.apply(batches, ())
                        self.at[partition] = batches[-1][2]
                        batches, count = [], 0
                    if next_offset >= end:
                        break
