"""SQL for analysts: documented views in a schema of their own (`<schema>_insight`), and roles that log in and read nothing else (docs/sql.md).

Which rows a role sees hangs on who logged in (`session_user`), which a session can't change, and on a table that no analyst can read: a setting such as
`flowledger.tenant` (`wall.py`) is for the server's own readers, since whoever writes SQL could set it. The views are barriers: a function of a query sees no row that
the view doesn't let through. Nobody has a right on the tables below.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from flowledger.kernel.protection import MASKED
from flowledger.projections.store import Connection

#: who may read the views: analysts are its members
GROUP = "flowledger_analyst"
INSIGHT = "_insight"
NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")
#: of a role: connections at once, and how long an idle transaction may stand (it keeps old rows alive)
CONNECTIONS, IDLE = 5, "10min"
#: how long a session that is ended may take (ms)
END_MS = 10_000
TIMEOUT_S, TIMEOUT_S_MAX, TENANTS_MAX = 60, 3600, 100
PASSWORD_BYTES = 24
_SEALED = r"flk1\.[a-z][a-z0-9_-]*\.[A-Za-z0-9_-]+\.[0-9]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+"


class Refused(ValueError):
    """It can't be made as asked; the message says why."""


def _masked(column: str) -> str:
    """A text in which what is sealed can't be read."""
    return f"CASE WHEN {column} LIKE '%flk1.%' THEN regexp_replace({column}, '{_SEALED}', '{MASKED}', 'g') ELSE {column} END"


def _seconds(name: str, column: str = "") -> str:
    return f"{column or name + '_us'} / 1000000.0 AS {name}_s"


_OF_FIGURES = (
    "process_id AS process, version, at, nullif(element, '') AS element, nullif(job_type, '') AS job_type, started, completed, failed, cancelled, "
    "terminated, reworked, worked, attempts, retries, errors, incidents, " + ", ".join(map(_seconds, ("cycle", "wait", "work")))
)
_OF_KPIS = (
    "name, process_id AS process, version, at, nullif(element, '') AS element, nullif(value, '') AS value, n, kept, total / 1000000.0 AS total, "
    "least / 1000000.0 AS least, most / 1000000.0 AS most"
)
#: view -> (table, whose rows are told, what is told of them); `a` is the table
VIEWS: dict[str, tuple[str, str]] = {
    "definitions": (
        "workflow_definitions a",
        "a.id, a.definition_id AS name, a.kind, a.name AS title, a.version, a.version_tag, a.status, a.created_at",
    ),
    "instances": (
        "workflow_instances a LEFT JOIN {schema}.traces t ON t.tenant_id = a.tenant_id AND t.id = a.id AND t.created_at = a.created_at",
        f"a.id, a.process_id AS process, a.version, {_masked('a.business_key')} AS business_key, a.status, a.priority, a.created_at, t.started_at, t.ended_at, "
        f"a.parent_id AS parent, {', '.join(_seconds(n, f't.{n}_us') for n in ('cycle', 'wait', 'work'))}, t.worked, t.attempts, t.retries, t.errors, "
        "t.incidents, t.reworked, t.variant",
    ),
    "tasks": (
        "tasks a",
        "a.id, a.workflow_instance_id AS instance, a.process_id AS process, a.definition_key AS element, a.type, a.job_type, a.status, a.priority, "
        "a.candidate_groups AS groups, a.created_at, a.started_at, a.completed_at, a.due_at, a.attempts, a.error_code, a.duration_ms / 1000.0 AS duration_s",
    ),
    "incidents": (
        "incidents a",
        "a.id, a.workflow_instance_id AS instance, a.process_id AS process, a.element, a.code, a.status, a.created_at, a.resolved_at",
    ),
    "variables": (
        "variables a",
        "a.workflow_instance_id AS instance, nullif(a.scope_id, a.workflow_instance_id) AS scope, a.name, a.type, "
        f"({_masked('a.value::text')})::jsonb AS value, a.number, a.value::text LIKE '%flk1.%' AS protected, a.updated_at",
    ),
    **{f"measures_{grain}": (f"measures_{grain} a", _OF_FIGURES) for grain in ("minute", "hour", "day")},
    **{f"kpis_{grain}": (f"kpis_{grain} a", _OF_KPIS) for grain in ("minute", "hour", "day")},
    "promises_broken": (
        "kpis_broken a", "name, process_id AS process, version, at, instance_id AS instance, nullif(element, '') AS element, " + _seconds("over"),
    ),
    "variants_day": (
        "variants_day a",
        "process_id AS process, version, at, variant, completed, failed, cancelled, terminated, " + _seconds("cycle"),
    ),
    "variants": ("variants a", "process_id AS process, variant, path, more"),
}  # fmt: skip
#: of each role, in seconds: `overtime.py` holds it
_LIMITED = f"ALTER TABLE {{}} ADD COLUMN IF NOT EXISTS timeout_s integer NOT NULL DEFAULT {TIMEOUT_S}"
_MARK = hashlib.sha256(repr((GROUP, VIEWS)).encode()).hexdigest()[:16]


async def mend(conn: Connection, schema: str) -> None:
    """Views that are missing (their table was built anew) or of another release, where there are analysts; in the caller's transaction. A dump has the
    table and not the role: then nobody can look, and rows are served all the same; `add` makes both."""
    query = "SELECT to_regclass(%s) IS NULL OR to_regrole(%s) IS NULL"
    if (await _one(conn, query, (f"{schema}{INSIGHT}.analysts", GROUP)))[0]:
        return
    await conn.execute(sql.SQL(_LIMITED).format(sql.Identifier(schema + INSIGHT, "analysts")))
    await _views(conn, schema)


async def _views(conn: Connection, schema: str) -> None:
    place, group = schema + INSIGHT, sql.Identifier(GROUP)
    query = (
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind = 'v' AND obj_description(oid, 'pg_class') = %s"
    )
    there = {row[0] for row in await (await conn.execute(query, (place, _MARK))).fetchall()}
    for name, (tables, told) in VIEWS.items():
        if name in there:
            continue
        view = sql.Identifier(place, name)
        await conn.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
        text = sql.SQL(
            "CREATE VIEW {view} WITH (security_barrier) AS SELECT a.tenant_id AS tenant, {told} FROM {schema}.{tables} "
            "WHERE a.tenant_id = ANY (ARRAY(SELECT tenant FROM {place}.analysts WHERE role = session_user))"
        )
        home = sql.Identifier(schema)
        rows = sql.SQL(tables).format(schema=home)
        await conn.execute(text.format(view=view, told=sql.SQL(told), schema=home, tables=rows, place=sql.Identifier(place)))
        await conn.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(_MARK)))
        await conn.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(view, group))


async def add(conn: Connection, schema: str, name: str, tenants: Sequence[str], timeout_s: int = TIMEOUT_S) -> str:
    """A role that may log in, or one that is there with other tenants, time and password. Returns its password, which is kept nowhere. Raises: Refused."""
    if not NAME.fullmatch(name):
        raise Refused(f"name: expected 3 to 40 small letters, digits and _, a letter first, found {name[:60]!r}")
    if not 1 <= len(tenants) <= TENANTS_MAX:
        raise Refused(f"tenant: expected 1 to {TENANTS_MAX}, found {len(tenants)}")
    if not 1 <= timeout_s <= TIMEOUT_S_MAX:
        raise Refused(f"timeout: expected 1 to {TIMEOUT_S_MAX} seconds, found {timeout_s}")
    password, role = secrets.token_urlsafe(PASSWORD_BYTES), sql.Identifier(name)
    digest = conn.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    try:
        async with conn.transaction():
            await _place(conn, schema)
            if not (await _one(conn, "SELECT to_regrole(%s) IS NOT NULL", (name,)))[0]:
                make = sql.SQL("CREATE ROLE {} NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION IN ROLE {}")
                await conn.execute(make.format(role, sql.Identifier(GROUP)))
            elif not await _ours(conn, name):
                raise Refused(f"name: the database has a role {name} already that is no analyst's: expected another name")
            login = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT {}").format(
                role, sql.Literal(digest), sql.Literal(CONNECTIONS)
            )
            await conn.execute(login)
            await conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))  # so that its sessions can be seen and ended
            for setting, value in _settings(timeout_s, schema).items():
                await conn.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(setting), sql.SQL(value)))
            table = sql.Identifier(schema + INSIGHT, "analysts")
            await conn.execute(sql.SQL("DELETE FROM {} WHERE role = %s").format(table), (name,))
            for tenant in dict.fromkeys(tenants):
                row = (name, tenant, timeout_s)
                await conn.execute(sql.SQL("INSERT INTO {} (role, tenant, timeout_s) VALUES (%s, %s, %s)").format(table), row)
    except psycopg.errors.InsufficientPrivilege as e:
        raise Refused(f"the database user may not make roles (CREATEROLE): {e.diag.message_primary}") from None
    return password


def _settings(timeout_s: int, schema: str) -> dict[str, str]:
    return {
        "statement_timeout": f"'{timeout_s}s'", "default_transaction_read_only": "on", "idle_in_transaction_session_timeout": f"'{IDLE}'",
        "search_path": sql.Identifier(schema + INSIGHT).as_string(None), "timezone": "'UTC'",
    }  # fmt: skip


async def _place(conn: Connection, schema: str) -> None:
    place, group = sql.Identifier(schema + INSIGHT), sql.Identifier(GROUP)
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (schema + INSIGHT,))
    if (await _one(conn, "SELECT to_regclass(%s) IS NULL", (f"{schema}.traces",)))[0]:
        raise Refused(f"there are no rows in schema {schema} yet: start the projector once")
    if (await _one(conn, "SELECT to_regrole(%s) IS NULL", (GROUP,)))[0]:
        await conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE").format(group))
    await conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(place))
    await conn.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {} (role name NOT NULL, tenant varchar(255) NOT NULL, PRIMARY KEY (role, tenant))").format(
            sql.Identifier(schema + INSIGHT, "analysts")
        )
    )
    await conn.execute(sql.SQL(_LIMITED).format(sql.Identifier(schema + INSIGHT, "analysts")))
    await conn.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(place, group))
    await _views(conn, schema)
    for name in VIEWS:  # those that a dump has brought without their rights as well
        await conn.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(schema + INSIGHT, name), group))


async def _ours(conn: Connection, name: str) -> bool:
    query = (
        "SELECT EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid "
        "WHERE r.rolname = %s AND g.rolname = %s) AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = %s)"
    )
    return bool((await _one(conn, query, (name, GROUP, name)))[0])


async def remove(conn: Connection, schema: str, name: str) -> None:
    """It may not log in any more, and what it has open is ended. Raises: Refused."""
    listed = [each for each in await analysts(conn, schema) if each["name"] == name]
    if not listed or not await _ours(conn, name):
        raise Refused(f"name: expected that of an analyst, found {name[:60]!r}")
    role = sql.Identifier(name)
    async with conn.transaction():
        await conn.execute(sql.SQL("DELETE FROM {} WHERE role = %s").format(sql.Identifier(schema + INSIGHT, "analysts")), (name,))
        await conn.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(role))
    # what a session has made for itself (temporary tables, functions) goes with it: it is waited for
    await conn.execute("SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE usename = %s", (END_MS, name))
    try:
        await conn.execute(sql.SQL("DROP ROLE {}").format(role))
    except psycopg.errors.DependentObjectsStillExist as e:
        raise Refused(f"{name} may not log in any more; its role stays, as it owns something: {e.diag.message_detail}") from None


async def analysts(conn: Connection, schema: str) -> list[dict[str, Any]]:
    if (await _one(conn, "SELECT to_regclass(%s) IS NULL", (f"{schema}{INSIGHT}.analysts",)))[0]:
        return []
    table = sql.Identifier(schema + INSIGHT, "analysts")
    rows = await (await conn.execute(sql.SQL("SELECT role, array_agg(tenant ORDER BY tenant) FROM {} GROUP BY role ORDER BY role").format(table))).fetchall()  # fmt: skip
    return [{"name": role, "tenants": tenants} for role, tenants in rows]


async def _one(conn: Connection, query: Any, values: Any = ()) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = await (await conn.execute(query, values)).fetchone()
    assert row is not None
    return row
