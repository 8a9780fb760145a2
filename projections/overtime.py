"""Queries of analysts that take longer than they may are ended from outside: a time limit of a role is a setting, which its sessions can change.

First a query is cancelled; one that goes on all the same (a block of PL/pgSQL can catch that) loses its session, and so does a transaction in which nobody does
anything. How long each may is in a table that no analyst can write.
"""

from __future__ import annotations

import asyncio

import psycopg
from psycopg import sql

from flowledger.logs import log
from flowledger.projections.analysts import IDLE, INSIGHT
from flowledger.projections.schema import SCHEMA
from flowledger.projections.store import Connection

log_ = log("projections")
#: between two looks; what is over the limit by so much is cancelled (the role's own setting comes first), and by so much more loses its session (seconds)
LOOK_S, GRACE_S, INSIST_S = 2.0, 1.0, 5.0
#: until a database that is away is tried again (seconds)
AGAIN_S = 10.0
_LATE = """
    SELECT a.usename, a.pid, CASE WHEN a.state = 'active' AND a.query_start > now() - make_interval(secs => l.timeout_s + %(insist)s)
        THEN pg_cancel_backend(a.pid) ELSE pg_terminate_backend(a.pid) END
    FROM pg_stat_activity a JOIN (SELECT role, max(timeout_s) AS timeout_s FROM {} GROUP BY role) l ON l.role = a.usename
    WHERE a.datname = current_database() AND (
        (a.state = 'active' AND a.query_start < now() - make_interval(secs => l.timeout_s + %(grace)s))
        OR (a.state LIKE 'idle in transaction%%' AND a.state_change < now() - %(idle)s::interval - make_interval(secs => %(grace)s)))
"""


async def look(conn: Connection, schema: str) -> int:
    """Once. How many were ended."""
    place = sql.Identifier(schema + INSIGHT, "analysts")
    row = await (await conn.execute("SELECT to_regclass(%s) IS NULL", (f"{schema}{INSIGHT}.analysts",))).fetchone()
    if row is None or row[0]:
        return 0
    found = await (
        await conn.execute(sql.SQL(_LATE).format(place), {"insist": GRACE_S + INSIST_S, "grace": GRACE_S, "idle": IDLE})
    ).fetchall()
    for role, pid, done in found:
        log_.warning("an analyst's query was over its time", role=role, pid=pid, ended=done)
    return len(found)


async def watch(dsn: str, schema: str = SCHEMA) -> None:
    """For ever. A database that is away is waited for; who may not end other sessions hears of it once."""
    told = ""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
                while True:
                    await look(conn, schema)
                    await asyncio.sleep(LOOK_S)
        except psycopg.Error as why:
            if str(why) != told and not isinstance(why, psycopg.OperationalError):
                log_.error("queries of analysts can't be ended when their time is over", why=str(why))
                told = str(why)
        await asyncio.sleep(AGAIN_S)
