"""Accounts in PostgreSQL, in a schema of their own: no view of the log, so a rebuild of the views leaves them alone.

All API nodes share it. `version` counts the changes of users and keys: whoever keeps them in memory looks at it to know whether to read
again. A change happens in one transaction that holds the counter's row, so changes come one after the other. Times are microseconds UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import msgspec
import psycopg

from flowledger.infra.accounts import people
from flowledger.infra.own_tables import OwnTables

_TABLES = (
    "CREATE TABLE IF NOT EXISTS state (one boolean PRIMARY KEY DEFAULT true CHECK (one), version bigint NOT NULL)",
    "INSERT INTO state VALUES (true, 1) ON CONFLICT DO NOTHING",
    "CREATE TABLE IF NOT EXISTS users ("
    " name text PRIMARY KEY, roles text[] NOT NULL, tenants text[] NOT NULL, active boolean NOT NULL, password text NOT NULL DEFAULT '',"
    " failures integer NOT NULL DEFAULT 0, locked_us bigint NOT NULL DEFAULT 0, link bytea UNIQUE, link_us bigint NOT NULL DEFAULT 0,"
    " created_us bigint NOT NULL, created_by text NOT NULL, signed_in_us bigint NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS api_keys ("
    " id text PRIMARY KEY, verifier bytea UNIQUE NOT NULL, name text NOT NULL, actor text NOT NULL, roles text[] NOT NULL,"
    " tenant text NOT NULL, created_us bigint NOT NULL, created_by text NOT NULL, expires_us bigint NOT NULL,"
    " revoked_us bigint NOT NULL DEFAULT 0, revoked_by text NOT NULL DEFAULT '', used_us bigint NOT NULL DEFAULT 0)",
    "CREATE INDEX IF NOT EXISTS api_keys_of ON api_keys (actor)",
    "CREATE TABLE IF NOT EXISTS sessions ("
    " verifier bytea PRIMARY KEY, name text NOT NULL REFERENCES users ON DELETE CASCADE, csrf text NOT NULL,"
    " began_us bigint NOT NULL, seen_us bigint NOT NULL, expires_us bigint NOT NULL)",
    "CREATE INDEX IF NOT EXISTS sessions_of ON sessions (name, began_us)",
    "CREATE TABLE IF NOT EXISTS guests ("
    " verifier bytea PRIMARY KEY, name text NOT NULL, csrf text NOT NULL, began_us bigint NOT NULL, seen_us bigint NOT NULL,"
    " expires_us bigint NOT NULL, issuer text NOT NULL, subject text NOT NULL, sid text NOT NULL, roles text[] NOT NULL,"
    " groups text[] NOT NULL, tenants text[] NOT NULL)",
    "CREATE INDEX IF NOT EXISTS guests_of ON guests (issuer, subject, began_us)",
    "CREATE TABLE IF NOT EXISTS passkeys ("
    " id text PRIMARY KEY, issuer text NOT NULL, name text NOT NULL, title text NOT NULL, public_key bytea NOT NULL, sign_count bigint NOT NULL,"
    " transports text[] NOT NULL, rp_id text NOT NULL, backed_up boolean NOT NULL, created_us bigint NOT NULL, used_us bigint NOT NULL DEFAULT 0)",
    "CREATE INDEX IF NOT EXISTS passkeys_of ON passkeys (issuer, name)",
    "CREATE TABLE IF NOT EXISTS challenges ("
    " id text PRIMARY KEY, purpose text NOT NULL, issuer text NOT NULL, name text NOT NULL, nonce bytea NOT NULL, request bytea NOT NULL,"
    " operation text NOT NULL, path text NOT NULL, begun_us bigint NOT NULL, until_us bigint NOT NULL, proof jsonb, used_by text)",
    "CREATE INDEX IF NOT EXISTS challenges_of ON challenges (purpose, issuer, name, begun_us)",
    *people.TABLES,
)


class User(msgspec.Struct, frozen=True, kw_only=True):
    """`password`: its Argon2id hash; empty: none is set. `link_us`: until when the one-time link is good. `managed`: by whom they are provisioned
    (`scim`; empty: made here); then `groups` say what they may do (`infra/people.py`)."""

    name: str
    roles: list[str]
    tenants: list[str]
    active: bool
    password: str
    locked_us: int
    link: bytes | None
    link_us: int
    created_us: int
    created_by: str
    signed_in_us: int
    managed: str = ""
    groups: list[str] = []


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """`actor`: whose name stands on what is done with it."""

    id: str
    verifier: bytes
    name: str
    actor: str
    roles: list[str]
    tenant: str
    created_us: int
    created_by: str
    expires_us: int
    revoked_us: int
    revoked_by: str
    used_us: int


class Session(msgspec.Struct, frozen=True, kw_only=True):
    verifier: bytes
    name: str
    csrf: str
    began_us: int
    seen_us: int
    expires_us: int


class Guest(Session, frozen=True, kw_only=True):
    """A session that an issuer has vouched for: `subject` is its `sub`, `sid` that of the sign-in there (empty: it gave none)."""

    issuer: str
    subject: str
    sid: str
    roles: list[str]
    groups: list[str]
    tenants: list[str]


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    """`issuer`: empty: of a user here. `sign_count`: how often it has signed, as it says itself (0: it doesn't count). `rp_id`: the name of the server that it is for."""

    id: str
    issuer: str
    name: str
    title: str
    public_key: bytes
    sign_count: int
    transports: list[str]
    rp_id: str
    backed_up: bool
    created_us: int
    used_us: int


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """`purpose`: `add`, `sign-in`, `step-up`. `request`: the hash of what it is for; empty: of nothing but itself. `proof`: of a step-up, once it was shown;
    `used_by`: the id of the request that has used it (empty: it had none)."""

    id: str
    purpose: str
    issuer: str
    name: str
    nonce: bytes
    request: bytes
    operation: str
    path: str
    begun_us: int
    until_us: int
    proof: dict[str, Any] | None = None
    used_by: str | None = None


class Change:
    """What is done within one change, all or nothing."""

    def __init__(self, conn: psycopg.AsyncConnection[dict[str, Any]]) -> None:
        self._conn = conn

    async def rows(self, query: LiteralString, *values: Any) -> list[dict[str, Any]]:
        found = await self._conn.execute(query, values)
        return await found.fetchall() if found.description else []


class Store(OwnTables):
    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, "flowledger_accounts", _TABLES, 4, least=1)

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        """Of users or keys. When its block raises, nothing has happened."""
        async with self._pool.connection() as conn, conn.transaction():
            await conn.execute("UPDATE state SET version = version + 1")
            yield Change(conn)

    async def version(self) -> int:
        return int((await self.rows("SELECT version FROM state"))[0]["version"])

    async def load(self) -> tuple[int, list[User], list[Key]]:
        async with self._pool.connection() as conn, conn.transaction():
            await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            at = await (await conn.execute("SELECT version FROM state")).fetchall()
            users = await (await conn.execute(people.USERS)).fetchall()
            keys = await (await conn.execute("SELECT * FROM api_keys")).fetchall()
        return int(at[0]["version"]), msgspec.convert(users, list[User]), msgspec.convert(keys, list[Key])

    # --- sign-in -----------------------------------------------------------------------------------------------------------

    async def attempt(self, name: str, now_us: int, attempts_max: int, locked_until_us: int) -> str | None:
        """The kept password of somebody who may try one now, and the attempt is counted, before it is looked at: many at once are counted
        too. The last that is free locks. None: nobody of that name, or not now."""
        found = await self.rows(
            "UPDATE users SET failures = failures + 1, locked_us = CASE WHEN failures + 1 >= %s THEN %s ELSE 0 END "
            "WHERE name = %s AND active AND locked_us <= %s RETURNING password",
            attempts_max, locked_until_us, name, now_us,
        )  # fmt: skip
        return str(found[0]["password"]) if found else None

    async def succeeded(self, name: str, now_us: int) -> None:
        await self.rows("UPDATE users SET failures = 0, locked_us = 0, signed_in_us = %s WHERE name = %s", now_us, name)

    async def begin(self, session: Session, most: int) -> None:
        """Of the sessions of one person the newest `most` stay; those that are over go."""
        async with self._pool.connection() as conn, conn.transaction():
            await conn.execute("DELETE FROM sessions WHERE expires_us <= %s", (session.began_us,))
            await conn.execute(
                "INSERT INTO sessions (verifier, name, csrf, began_us, seen_us, expires_us) VALUES (%s, %s, %s, %s, %s, %s)",
                msgspec.structs.astuple(session),
            )
            await conn.execute(
                "DELETE FROM sessions WHERE name = %s AND verifier NOT IN "
                "(SELECT verifier FROM sessions WHERE name = %s ORDER BY began_us DESC, verifier LIMIT %s)",
                (session.name, session.name, most),
            )

    async def begin_guest(self, guest: Guest, most: int) -> None:
        """As `begin`."""
        async with self._pool.connection() as conn, conn.transaction():
            await conn.execute("DELETE FROM guests WHERE expires_us <= %s", (guest.began_us,))
            await conn.execute(
                "INSERT INTO guests (verifier, name, csrf, began_us, seen_us, expires_us, issuer, subject, sid, roles, groups, tenants)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                msgspec.structs.astuple(guest),
            )
            await conn.execute(
                "DELETE FROM guests WHERE issuer = %s AND subject = %s AND verifier NOT IN "
                "(SELECT verifier FROM guests WHERE issuer = %s AND subject = %s ORDER BY began_us DESC, verifier LIMIT %s)",
                (guest.issuer, guest.subject, guest.issuer, guest.subject, most),
            )

    async def session(self, verifier: bytes) -> Session | None:
        if found := await self.rows("SELECT * FROM sessions WHERE verifier = %s", verifier):
            return msgspec.convert(found[0], Session)
        found = await self.rows("SELECT * FROM guests WHERE verifier = %s", verifier)
        return msgspec.convert(found[0], Guest) if found else None

    async def end(self, name: str, verifier: bytes | None = None) -> None:
        """One session, or all of a person; other nodes hear of it as of a change."""
        async with self.change() as c:
            await c.rows("DELETE FROM sessions WHERE name = %s AND (%s::bytea IS NULL OR verifier = %s)", name, verifier, verifier)
            await c.rows("DELETE FROM guests WHERE name = %s AND (%s::bytea IS NULL OR verifier = %s)", name, verifier, verifier)

    async def end_guests(self, issuer: str, subject: str, sid: str) -> None:
        """Those of a person, or of one sign-in of theirs, as the issuer says; what is empty isn't looked at, one of them isn't."""
        async with self.change() as c:
            await c.rows(
                "DELETE FROM guests WHERE issuer = %s AND (%s = '' OR subject = %s) AND (%s = '' OR sid = %s) AND (%s || %s) <> ''",
                issuer, subject, subject, sid, sid, subject, sid,
            )  # fmt: skip

    async def seen(self, sessions: Sequence[tuple[bytes, int]], keys: Sequence[tuple[str, int]]) -> None:
        """When each was last used."""
        async with self._pool.connection() as conn, conn.transaction():
            cursor = conn.cursor()
            if sessions:
                await cursor.executemany(
                    "UPDATE sessions SET seen_us = greatest(seen_us, %s) WHERE verifier = %s", [(t, v) for v, t in sessions]
                )
                await cursor.executemany(
                    "UPDATE guests SET seen_us = greatest(seen_us, %s) WHERE verifier = %s", [(t, v) for v, t in sessions]
                )
            if keys:
                await cursor.executemany("UPDATE api_keys SET used_us = greatest(used_us, %s) WHERE id = %s", [(t, k) for k, t in keys])
