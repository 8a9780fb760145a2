"""Makes and changes the database's schema: migrations, monthly partitions, swapping a rebuilt view in, letting old months go.

Each SQL file is applied once, in the order of its number. A view's file says the view's present shape; a change of it comes with a higher
`VERSION`, and the view is built anew beside the old one. All takes place under one advisory lock, so several processes may start at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from importlib import resources
from typing import Any

from psycopg import sql

from flowledger.projections import analysts, wall
from flowledger.projections.fold import View
from flowledger.projections.store import Connection
from flowledger.projections.tables import Table
from flowledger.projections.views import VIEWS

SCHEMA = "flowledger"
NEXT = "_next"
ARCHIVE = "_archive"
#: months for which partitions are made ahead, the present one included
MONTHS_AHEAD = 3
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('flowledger.schema.' || %s, 0))"
_MONTH = re.compile(r"_m(\d{6})$")


class NewerSchema(Exception):
    """The rows were made by a newer release."""


def sql_file(name: str) -> str:
    return resources.files("flowledger.projections").joinpath("sql", name).read_text("utf-8")


def mark(views: Mapping[str, View] = VIEWS) -> str:
    """The name under which `migrations` knows that the indexes are those of these views' files."""
    texts = "\0".join(sql_file(v.sql) for v in views.values())
    return "indexes " + hashlib.sha256(texts.encode()).hexdigest()[:16]


async def use_schema(conn: Connection, schema: str, *more: str) -> None:
    """Session settings of the projections: UTC, their schema. Positions are written with the rows, so a commit that is lost
    in a crash of the database is projected again: no need to wait for the disk."""
    path = sql.SQL(", ").join(sql.Identifier(s) for s in (schema, *more))
    await conn.execute(sql.SQL("SET search_path = {}").format(path))
    await conn.execute("SET timezone = 'UTC'")
    await conn.execute("SET synchronous_commit = off")
    # Rows are looked up by key, a few of many: a plan that reads a table as a whole is never right here, though the planner takes one for
    # as long as a young table has no statistics.
    for setting in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan", "enable_bitmapscan", "enable_material", "jit"):
        await conn.execute(sql.SQL("SET {} = off").format(sql.Identifier(setting)))
    await conn.execute("SET client_min_messages = warning")


async def migrate(conn: Connection, schema: str = SCHEMA, views: Mapping[str, View] = VIEWS) -> dict[str, int]:
    """Make what is missing. Returns {view: the version that is live}; a view whose version differs is to be rebuilt.

    Raises: NewerSchema.
    """
    async with conn.transaction():
        await conn.execute(_LOCK, (schema,))
        await conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        table = sql.SQL("CREATE TABLE IF NOT EXISTS {} (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())")
        await conn.execute(table.format(sql.Identifier(schema, "migrations")))
        await use_schema(conn, schema)
        done = {row[0] for row in await (await conn.execute("SELECT name FROM migrations")).fetchall()}
        if "001_base.sql" not in done:
            await conn.execute(sql_file("001_base.sql"))
            await conn.execute("INSERT INTO migrations (name) VALUES ('001_base.sql')")
            await conn.execute("INSERT INTO migrations (name) VALUES (%s)", (mark(views),))
        live: dict[str, int] = dict(await (await conn.execute("SELECT name, version FROM views")).fetchall())
        for view in views.values():
            if view.name not in live:
                await make_view(conn, view)
                await conn.execute("INSERT INTO views (name, version) VALUES (%s, %s)", (view.name, view.version))
                await conn.execute("INSERT INTO migrations (name) VALUES (%s) ON CONFLICT DO NOTHING", (view.sql,))
                live[view.name] = view.version
            elif live[view.name] > view.version:
                raise NewerSchema(f"view {view.name} is of version {live[view.name]}, this release writes {view.version}")
        await wall.build(conn, schema)
        await analysts.mend(conn, schema)
    return live


async def make_view(conn: Connection, view: View) -> None:
    """Its tables in the first schema of the search path, with partitions for the months ahead, and each tenant's rows to itself."""
    await conn.execute(sql_file(view.sql))
    today = datetime.now(UTC).date()
    for table in view.tables:
        name = sql.Identifier(table.name)
        await wall.policies(conn, name, table.name)
        if table.month:
            for month in months_from(today, MONTHS_AHEAD):
                await make_partition(conn, table, month)


def months_from(day: date, count: int) -> list[str]:
    first = day.year * 12 + day.month - 1
    return [f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(first, first + count)]


async def make_partition(conn: Connection, table: Table, month: str, schema: str | None = None) -> None:
    """The partition of `month` (YYYY-MM). Attached, not created in place: that locks out neither readers nor writers."""
    year, number = int(month[:4]), int(month[5:7])
    after = f"{year + number // 12:04d}-{number % 12 + 1:02d}-01 00:00:00+00" if (year, number) < (9999, 12) else "infinity"
    name = f"{table.name}_m{year:04d}{number:02d}"
    place = (schema,) if schema else ()
    child, parent = sql.Identifier(*place, name), sql.Identifier(*place, table.name)
    found = await (await conn.execute("SELECT to_regclass(%s)", (f"{schema}.{name}" if schema else name,))).fetchone()
    if found and found[0] is not None:
        return
    like = sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED)")
    await conn.execute(like.format(child, parent))
    await wall.policies(conn, child, table.name)
    await set_options(conn, child, await options_of(conn, f"{schema}.{table.name}" if schema else table.name))
    await conn.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            parent, child, sql.Literal(f"{month}-01 00:00:00+00"), sql.Literal(after)
        )
    )


async def options_of(conn: Connection, table: str) -> dict[str, list[str]]:
    """What the planner is told of a table's columns, as `name=value`."""
    query = "SELECT attname, attoptions FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attoptions IS NOT NULL AND NOT attisdropped"
    return dict(await (await conn.execute(query, (table,))).fetchall())


async def set_options(conn: Connection, table: sql.Identifier, options: Mapping[str, list[str]]) -> None:
    for column, pairs in options.items():
        what = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.SQL(n), sql.SQL(v)) for n, _, v in (p.partition("=") for p in pairs))
        await conn.execute(sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET ({})").format(table, sql.Identifier(column), what))


async def make_partitions(conn: Connection, tables: Mapping[str, Table], needs: Iterable[tuple[str, str]]) -> None:
    """(table, month) pairs."""
    needs = sorted(needs)
    if needs:
        async with conn.transaction():
            row = await (await conn.execute("SELECT current_schema()")).fetchone()
            await conn.execute(_LOCK, (row[0] if row else "",))
            for name, month in needs:
                await make_partition(conn, tables[name], month)


async def partitions_of(conn: Connection, schema: str, table: str) -> list[tuple[str, str]]:
    """(partition, month as YYYY-MM), oldest first."""
    query = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(%s) ORDER BY 1"
    rows = await (await conn.execute(query, (f"{schema}.{table}",))).fetchall()
    return [(name, f"{m[1][:4]}-{m[1][4:]}") for (name,) in rows if (m := _MONTH.search(name))]


async def swap_in(conn: Connection, schema: str, view: View) -> None:
    """Within the caller's transaction: the view's tables in `<schema>_next` take the place of the old ones."""
    for table in view.tables:
        await conn.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(schema, table.name)))
    beside = schema + NEXT
    for table in view.tables:
        children = [name for name, _ in await partitions_of(conn, beside, table.name)] if table.month else []
        for name in (table.name, *children):
            await conn.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.Identifier(beside, name), sql.Identifier(schema)))
    await conn.execute(
        sql.SQL("UPDATE {} SET version = %s, built_at = now() WHERE name = %s").format(sql.Identifier(schema, "views")),
        (view.version, view.name),
    )
    await wall.let_in(conn, schema)
    await analysts.mend(conn, schema)


#: where a partition still holds open rows it stays
_OPEN: dict[str, sql.SQL] = {
    "tasks": sql.SQL("status NOT IN ('completed', 'failed', 'cancelled', 'skipped')"),
    "workflow_instances": sql.SQL("status IN ('pending', 'running', 'suspended', 'quarantined')"),
}
#: partitioned with another table: leaves with it
_FOLLOWS = {"variables": "workflow_instances"}


async def detach_before(conn: Connection, month: str, schema: str = SCHEMA, views: Mapping[str, View] = VIEWS) -> list[str]:
    """Months before `month` (YYYY-MM) leave the live tables for `<schema>_archive`, at once and without copying. Returns what moved.

    A month in which an instance or a task is still open stays.
    """
    archive = schema + ARCHIVE
    moved: list[str] = []
    async with conn.transaction():
        await conn.execute(_LOCK, (schema,))
        await conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(archive)))
        kept: set[tuple[str, str]] = set()
        tables = sorted((t for v in views.values() for t in v.tables if t.month), key=lambda t: t.name in _FOLLOWS)
        for table in tables:
            for name, its_month in await partitions_of(conn, schema, table.name):
                if its_month >= month or (_FOLLOWS.get(table.name, ""), its_month) in kept:
                    continue
                child = sql.Identifier(schema, name)
                if table.name in _OPEN:
                    query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {} WHERE {})").format(child, _OPEN[table.name])
                    row = await (await conn.execute(query)).fetchone()
                    if row and row[0]:
                        kept.add((table.name, its_month))
                        continue
                await conn.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(sql.Identifier(schema, table.name), child))
                await conn.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(child, sql.Identifier(archive)))
                moved.append(name)
        await wall.build(conn, schema)
    return moved


async def positions(conn: Connection, schema: str = SCHEMA) -> list[dict[str, Any]]:
    """Rows of `positions`, as plain values."""
    query = sql.SQL(
        "SELECT view, partition, version, next_offset, event_time, extract(epoch FROM now() - updated_at) FROM {} ORDER BY view, partition"
    ).format(sql.Identifier(schema, "positions"))
    names = ("view", "partition", "version", "next_offset", "event_time", "age_s")
    return [dict(zip(names, row, strict=True)) for row in await (await conn.execute(query)).fetchall()]
