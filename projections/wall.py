"""A second wall between tenants, in the database: readers have a role of their own, which sees the rows of one tenant and none where nobody says of which.

Each table has a policy (`schema.make_view`); policies hold for everybody but the owner, so what reads for a tenant takes on the role `flowledger_reader`
(no login, no BYPASSRLS, nothing but SELECT) and says its tenant in `flowledger.tenant`. A query that forgets its `tenant_id = ...` finds nothing foreign.
A reader sees views of the tables (`<schema>_rows`), each of its tenant's rows: behind a policy PostgreSQL uses an index only for operators that are leakproof, and
neither numbers nor arrays have such; behind a view it uses all. The policies stay below: the tables themselves are as closed.

Whoever runs the projector makes the role and grants it to itself; where the database doesn't let it, an operator does (docs/security.md#the-second-wall).
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from flowledger.logs import log
from flowledger.projections.store import Connection

log_ = log("projections")
ROLE = "flowledger_reader"
SETTING = "flowledger.tenant"
#: what is said between two readers: no tenant's name has it, so no policy lets a row through
NOBODY = "\x01"
#: tables whose rows without tenant are there for all: holds of the operator are over everybody's
COMMON = ("holds",)
_MINE = f"tenant_id = current_setting('{SETTING}', true)"
#: beside the schema, its tables as the role reads them
ROWS = "_rows"
#: tables of the schema that lack something: the right to be read, or a policy (partitions are read by themselves only once they are archived)
_LACKING = """
SELECT c.relname, has_table_privilege(%(role)s, c.oid, 'SELECT'),
    EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_rows') OR NOT c.relrowsecurity OR c.relispartition,
    EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'common_rows') OR c.relname <> ALL(%(common)s)
FROM pg_class c WHERE c.relnamespace = to_regnamespace(%(schema)s) AND c.relkind IN ('r', 'p') ORDER BY 1
"""
#: tables that have a tenant and no view of its rows, or one that lacks columns or may not be read
_UNSEEN = """
SELECT c.relname FROM pg_class c LEFT JOIN pg_class v ON v.relnamespace = to_regnamespace(%(rows)s) AND v.relname = c.relname AND v.relkind = 'v'
WHERE c.relnamespace = to_regnamespace(%(schema)s) AND c.relkind IN ('r', 'p') AND c.relrowsecurity AND NOT c.relispartition AND NOT (
    coalesce(has_table_privilege(%(role)s, v.oid, 'SELECT'), FALSE)
    AND (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
    = (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = v.oid AND attnum > 0 AND NOT attisdropped))
ORDER BY 1
"""
#: whether the role is there, may do no more than it is to do, is ours to take on, and has been let in here
_STANDS = """
SELECT NOT r.rolsuper AND NOT r.rolbypassrls AND pg_has_role(current_user, r.oid, %(as)s) AND has_schema_privilege(r.oid, to_regnamespace(%(schema)s), 'USAGE')
    AND has_table_privilege(r.oid, to_regclass(%(last)s), 'SELECT')
FROM pg_roles r WHERE r.rolname = %(role)s AND to_regnamespace(%(schema)s) IS NOT NULL AND to_regclass(%(last)s) IS NOT NULL
"""


async def policies(conn: Connection, table: sql.Identifier, name: str) -> None:
    """Of a table that was just made."""
    await conn.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(table))
    await conn.execute(sql.SQL("CREATE POLICY tenant_rows ON {} USING (" + _MINE + ")").format(table))
    if name in COMMON:
        await _common(conn, table)


async def _common(conn: Connection, table: sql.Identifier) -> None:
    await conn.execute(sql.SQL("CREATE POLICY common_rows ON {} FOR SELECT USING (tenant_id = '')").format(table))


async def build(conn: Connection, schema: str) -> bool:
    """Make what is missing, in the caller's transaction; in a database that stands already nothing is changed. False: there is no role, and none can be made."""
    if not await _role(conn):
        return False
    for place in (schema, f"{schema}_archive"):
        if (await _one(conn, "SELECT to_regnamespace(%s) IS NULL", (place,)))[0]:
            continue
        if not (await _one(conn, "SELECT has_schema_privilege(%s, %s, 'USAGE')", (ROLE, place)))[0]:
            await conn.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(place), sql.Identifier(ROLE)))
        await let_in(conn, place, views=place == schema)
    return True


async def let_in(conn: Connection, schema: str, *, views: bool = True) -> None:
    """What was made there since: the role may read it, and sees of it what is its tenant's."""
    if not (await _one(conn, "SELECT to_regrole(%s) IS NOT NULL", (ROLE,)))[0]:
        return
    asked = {"role": ROLE, "schema": schema, "common": list(COMMON)}
    for name, readable, own, common in await (await conn.execute(_LACKING, asked)).fetchall():
        table = sql.Identifier(schema, name)
        if not own:
            await conn.execute(sql.SQL("CREATE POLICY tenant_rows ON {} USING (" + _MINE + ")").format(table))
        if not common:
            await _common(conn, table)
        if not readable:
            await conn.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(table, sql.Identifier(ROLE)))
    if views:
        await _views(conn, schema)


async def _views(conn: Connection, schema: str) -> None:
    """Of the tables that have a tenant, each of its rows. Where there can't be any, the tables are read behind their policies."""
    place, role = schema + ROWS, sql.Identifier(ROLE)
    unseen = await (await conn.execute(_UNSEEN, {"schema": schema, "rows": place, "role": ROLE})).fetchall()
    if not unseen:
        return
    try:
        async with conn.transaction():
            if (await _one(conn, "SELECT to_regnamespace(%s) IS NULL", (place,)))[0]:
                await conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(place)))
            await conn.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(place), role))
            for (name,) in unseen:
                view, mine = sql.Identifier(place, name), _MINE + (" OR tenant_id = ''" if name in COMMON else "")
                await conn.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
                text = sql.SQL("CREATE VIEW {} AS SELECT * FROM {} WHERE {}")
                await conn.execute(text.format(view, sql.Identifier(schema, name), sql.SQL(mine)))
                await conn.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(view, role))
    except psycopg.errors.InsufficientPrivilege:
        log_.warning(
            "views of each tenant's rows can't be made here: their schema is somebody else's; lists are slower without", schema=place
        )


def path(schema: str, *, tenant: bool) -> str:
    """Where a reader looks for tables: who reads for a tenant at the views first, if there are any."""
    return ", ".join(sql.Identifier(name).as_string(None) for name in ((schema + ROWS, schema) if tenant else (schema,)))


async def _role(conn: Connection) -> bool:
    role = sql.Identifier(ROLE)
    if not (await _one(conn, "SELECT to_regrole(%s) IS NOT NULL", (ROLE,)))[0]:
        try:
            async with conn.transaction():
                await conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE").format(role))
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            pass  # another database of this server is just at it
        except psycopg.errors.InsufficientPrivilege:
            log_.warning("the role that keeps tenants apart in the database can't be made here: an operator can", role=ROLE)
            return False
    if not (await _one(conn, "SELECT pg_has_role(current_user, %s, %s)", (ROLE, _taking_on(conn))))[0]:
        try:
            async with conn.transaction():
                await conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        except psycopg.errors.InsufficientPrivilege:
            log_.warning("the role that keeps tenants apart in the database isn't ours: an operator can grant it", role=ROLE)
    return True


def _taking_on(conn: psycopg.AsyncConnection[Any]) -> str:
    """What one needs of a role to take it on: since PostgreSQL 16 who makes one isn't given that."""
    return "SET" if conn.info.server_version >= 160_000 else "MEMBER"


async def _one(conn: Connection, query: str, values: Any = ()) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = await (await conn.execute(query, values)).fetchone()
    assert row is not None
    return row


async def stands(conn: psycopg.AsyncConnection[Any], schema: str, last: str) -> bool:
    """Whether readers can take on the role. `last`: a table that must be readable."""
    row = await (
        await conn.execute(_STANDS, {"role": ROLE, "schema": schema, "last": f"{schema}.{last}", "as": _taking_on(conn)})
    ).fetchone()
    return bool(row and next(iter(row.values() if isinstance(row, dict) else row)))
