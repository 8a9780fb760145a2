"""Data keys in PostgreSQL, wrapped, in a schema of their own: no view of the log, so a rebuild of the views leaves them alone.

All owners and doors share them. A subject stands there as a digest. What destroys a key overwrites it, keeps that it was there, and has PostgreSQL clear away
the old row version; backups of the database and its write-ahead log end when their owner says so (docs/privacy.md). Calls block.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any, LiteralString, NamedTuple

import psycopg

CONNECT_S = 4
STATEMENT_MS = 4_000
_TABLES: tuple[LiteralString, ...] = (
    "CREATE SCHEMA IF NOT EXISTS flowledger_keys",
    "CREATE TABLE IF NOT EXISTS flowledger_keys.data_keys ("
    " id text PRIMARY KEY, tenant text NOT NULL, subject text NOT NULL, wrapped_by text NOT NULL, wrapped bytea NOT NULL,"
    " made_us bigint NOT NULL, destroyed_us bigint NOT NULL DEFAULT 0)",
    "CREATE UNIQUE INDEX IF NOT EXISTS data_keys_of ON flowledger_keys.data_keys (tenant, subject) WHERE destroyed_us = 0",
    "CREATE INDEX IF NOT EXISTS data_keys_by ON flowledger_keys.data_keys (wrapped_by) WHERE destroyed_us = 0",
)
_LOCK = 0x666C6B31


class Away(Exception):
    """The database can't be asked."""


class Row(NamedTuple):
    id: str
    tenant: str
    wrapped_by: str
    wrapped: bytes
    destroyed_us: int


def digest_of(tenant: str, subject: str) -> str:
    return hashlib.sha256(b"\x00".join((b"flowledger.subject.1", tenant.encode(), subject.encode()))).hexdigest()


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

    def of_subject(self, tenant: str, subject: str) -> Row | None:
        found = self._ask(
            "SELECT id, tenant, wrapped_by, wrapped, destroyed_us FROM flowledger_keys.data_keys"
            " WHERE tenant = %s AND subject = %s AND destroyed_us = 0",
            (tenant, digest_of(tenant, subject)),
        )
        return Row(*found[0]) if found else None

    def get(self, id: str) -> Row | None:
        found = self._ask("SELECT id, tenant, wrapped_by, wrapped, destroyed_us FROM flowledger_keys.data_keys WHERE id = %s", (id,))
        return Row(*found[0]) if found else None

    def put(self, id: str, tenant: str, subject: str, wrapped_by: str, wrapped: bytes, now_us: int) -> None:
        """Of two that make the key of a subject at once the first one stays."""
        self._ask(
            "INSERT INTO flowledger_keys.data_keys (id, tenant, subject, wrapped_by, wrapped, made_us) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (tenant, subject) WHERE destroyed_us = 0 DO NOTHING",
            (id, tenant, digest_of(tenant, subject), wrapped_by, wrapped, now_us),
        )

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
            "SELECT id, tenant, wrapped_by, wrapped, destroyed_us FROM flowledger_keys.data_keys"
            " WHERE destroyed_us = 0 AND wrapped_by <> %s ORDER BY id LIMIT %s",
            (newest, many),
        )
        return [Row(*row) for row in found]

    def wrapped_anew(self, id: str, before: str, wrapped_by: str, wrapped: bytes) -> None:
        self._ask(
            "UPDATE flowledger_keys.data_keys SET wrapped_by = %s, wrapped = %s WHERE id = %s AND wrapped_by = %s AND destroyed_us = 0",
            (wrapped_by, wrapped, id, before),
        )
