"""Data keys in PostgreSQL, wrapped, in a schema of their own: no view of the log, so a rebuild of the views leaves them alone.

All owners and doors share them. A subject stands there as a digest. What destroys a key overwrites it, keeps that it was there, and has PostgreSQL clear away
the old row version; backups of the database and its write-ahead log end when their owner says so (docs/privacy.md). Calls block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, LiteralString, NamedTuple

import psycopg

from flowledger.kernel.tasks.privacy import digest_of

CONNECT_S = 4
STATEMENT_MS = 4_000
_TABLES: tuple[LiteralString, ...] = (
    "CREATE SCHEMA IF NOT EXISTS flowledger_keys",
    "CREATE TABLE IF NOT EXISTS flowledger_keys.data_keys ("
    " id text PRIMARY KEY, tenant text NOT NULL, subject text NOT NULL, wrapped_by text NOT NULL, wrapped bytea NOT NULL,"
    " made_us bigint NOT NULL, destroyed_us bigint NOT NULL DEFAULT 0)",
    # a key is of one class, and one that is retired opens what it has sealed: what comes is sealed under the next one
    "ALTER TABLE flowledger_keys.data_keys ADD COLUMN IF NOT EXISTS class text NOT NULL DEFAULT ''",
    "ALTER TABLE flowledger_keys.data_keys ADD COLUMN IF NOT EXISTS retired_us bigint NOT NULL DEFAULT 0",
    "CREATE UNIQUE INDEX IF NOT EXISTS data_keys_in_use ON flowledger_keys.data_keys (tenant, subject, class) WHERE destroyed_us = 0 AND retired_us = 0",
    "DROP INDEX IF EXISTS flowledger_keys.data_keys_of",
    "CREATE INDEX IF NOT EXISTS data_keys_of_subject ON flowledger_keys.data_keys (tenant, subject)",
    "CREATE INDEX IF NOT EXISTS data_keys_of_tenant ON flowledger_keys.data_keys (tenant, id) WHERE destroyed_us = 0",
    "CREATE INDEX IF NOT EXISTS data_keys_destroyed ON flowledger_keys.data_keys (destroyed_us, id) WHERE destroyed_us > 0",
    "CREATE INDEX IF NOT EXISTS data_keys_by ON flowledger_keys.data_keys (wrapped_by) WHERE destroyed_us = 0",
)
_LOCK = 0x666C6B31
#: class of the key by which a tenant's protected values are found: it seals nothing, and no model's class has this name
SEARCH = "search:"


class Away(Exception):
    """The database can't be asked."""


class Row(NamedTuple):
    id: str
    tenant: str
    wrapped_by: str
    wrapped: bytes
    destroyed_us: int
    #: digest, and the class of what it seals (empty: any, of a key that was made before keys had one)
    subject: str = ""
    cls: str = ""


class Kept(NamedTuple):
    """A key that is there, for whoever asks how long it is to be."""

    id: str
    subject: str
    cls: str
    made_us: int
    retired_us: int


_ROW: LiteralString = "id, tenant, wrapped_by, wrapped, destroyed_us, subject, class"
_IN_USE: LiteralString = "destroyed_us = 0 AND retired_us = 0"


class PostgresKeys:
    """`dsn` is asked for at the first need. One connection, one caller at a time."""

    def __init__(self, dsn: Callable[[], str]) -> None:
        self._dsn, self._lock = dsn, threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _ask(self, statement: LiteralString, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Raises: Away."""
        with self._lock:
            for left in (1, 0):
                try:
                    found = self._connected().execute(statement, values)
                    return found.fetchall() if found.description is not None else []
                except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                    self._connection = None  # one that broke since the last time is made anew
                    if not left:
                        raise Away(str(e).strip().split("\n")[0]) from None
        raise AssertionError("unreachable")

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            try:
                made = psycopg.connect(
                    self._dsn(), autocommit=True, connect_timeout=CONNECT_S, options=f"-c statement_timeout={STATEMENT_MS}",
                    application_name="flowledger keys",
                )  # fmt: skip
            except (OSError, RuntimeError) as e:
                raise psycopg.OperationalError(str(e)) from None
            with made.transaction():
                made.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))  # two that create the same thing at once would fail
                for statement in _TABLES:
                    made.execute(statement)
            self._connection = made
        return self._connection

    def of_subject(self, tenant: str, subject: str, cls: str) -> Row | None:
        """By its digest: the key that seals now."""
        found = self._ask(
            f"SELECT {_ROW} FROM flowledger_keys.data_keys WHERE tenant = %s AND subject = %s AND class = %s AND {_IN_USE}",  # noqa: S608
            (tenant, subject, cls),
        )
        return Row(*found[0]) if found else None

    def get(self, id: str) -> Row | None:
        found = self._ask(f"SELECT {_ROW} FROM flowledger_keys.data_keys WHERE id = %s", (id,))  # noqa: S608
        return Row(*found[0]) if found else None

    def put(self, id: str, tenant: str, subject: str, cls: str, wrapped_by: str, wrapped: bytes, now_us: int) -> None:
        """Of two that make the key of a subject at once the first one stays."""
        self._ask(
            "INSERT INTO flowledger_keys.data_keys (id, tenant, subject, class, wrapped_by, wrapped, made_us) VALUES (%s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (id, tenant, subject, cls, wrapped_by, wrapped, now_us),
        )

    def of_tenant(self, tenant: str, after: str, many: int) -> list[Kept]:
        """Keys that are there, in the order of their ids."""
        found = self._ask(
            "SELECT id, subject, class, made_us, retired_us FROM flowledger_keys.data_keys WHERE tenant = %s AND destroyed_us = 0 AND id > %s"
            " AND class <> %s ORDER BY id LIMIT %s",
            (tenant, after, SEARCH, many),
        )
        return [Kept(*row) for row in found]

    def destroyed_since(self, since: tuple[int, str], many: int) -> list[tuple[str, str, int]]:
        """(id, tenant, when), in the order of time and then of ids; `since`: when, and the last id of then."""
        found = self._ask(
            "SELECT id, tenant, destroyed_us FROM flowledger_keys.data_keys WHERE destroyed_us > 0 AND (destroyed_us, id) > (%s, %s) ORDER BY destroyed_us, id LIMIT %s",
            (*since, many),
        )
        return [(str(id), str(tenant), int(at)) for id, tenant, at in found]

    def subjects_of(self, ids: list[str]) -> dict[str, str]:
        """Key -> the digest of its subject."""
        return dict(self._ask("SELECT id, subject FROM flowledger_keys.data_keys WHERE id = ANY(%s)", (ids,)))

    def retire(self, ids: list[str], now_us: int) -> None:
        """They open what they have sealed; what comes is sealed under new ones."""
        self._ask(f"UPDATE flowledger_keys.data_keys SET retired_us = %s WHERE id = ANY(%s) AND {_IN_USE}", (now_us, ids))  # noqa: S608

    def destroy_keys(self, ids: list[str], now_us: int) -> list[str]:
        """As `destroy`, of single ones that are retired."""
        found = self._ask(
            "UPDATE flowledger_keys.data_keys SET wrapped = '', wrapped_by = '', destroyed_us = %s"
            " WHERE id = ANY(%s) AND destroyed_us = 0 AND retired_us > 0 RETURNING id",
            (now_us, ids),
        )
        if found:
            self._ask("VACUUM flowledger_keys.data_keys")
        return sorted(str(id) for (id,) in found)

    def all_of(self, tenant: str, subject: str) -> list[tuple[str, int]]:
        """(id, when it was destroyed or 0) of every key that the subject has had."""
        return [
            (str(id), int(at))
            for id, at in self._ask(
                "SELECT id, destroyed_us FROM flowledger_keys.data_keys WHERE tenant = %s AND subject = %s ORDER BY made_us, id",
                (tenant, digest_of(tenant, subject)),
            )
        ]

    def destroy(self, tenant: str, subject: str, now_us: int) -> list[str]:
        """The ids of keys that were there. Nothing of them is left but that."""
        found = self._ask(
            "UPDATE flowledger_keys.data_keys SET wrapped = '', wrapped_by = '', destroyed_us = %s"
            " WHERE tenant = %s AND subject = %s AND destroyed_us = 0 RETURNING id",
            (now_us, tenant, digest_of(tenant, subject)),
        )
        if found:
            self._ask("VACUUM flowledger_keys.data_keys")
        return [str(id) for (id,) in found]

    def not_wrapped_by(self, newest: str, many: int) -> list[Row]:
        found = self._ask(
            f"SELECT {_ROW} FROM flowledger_keys.data_keys WHERE destroyed_us = 0 AND wrapped_by <> %s ORDER BY id LIMIT %s",  # noqa: S608
            (newest, many),
        )
        return [Row(*row) for row in found]

    def wrapped_anew(self, id: str, before: str, wrapped_by: str, wrapped: bytes) -> None:
        self._ask(
            "UPDATE flowledger_keys.data_keys SET wrapped_by = %s, wrapped = %s WHERE id = %s AND wrapped_by = %s AND destroyed_us = 0",
            (wrapped_by, wrapped, id, before),
        )
