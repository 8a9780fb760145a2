"""Changes of rows in a PostgreSQL database as a source, by logical replication: a slot of the database's own keeps what was not taken yet.

A place is the transaction's commit (its LSN) and the number of the change in it; so many changes of one transaction have further parts. What comes is looked at
(`pg_logical_slot_peek_binary_changes`), told to the home, and only then the slot is moved on: whoever dies between has it told again, and the home has seen it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import ssl
import time
from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any

import psycopg

from flowledger.connectors.sources import pgoutput
from flowledger.connectors.sources.frame import BEGUN, Away, Got, Opening, begun
from flowledger.connectors.sources.shared import addresses, secret, why
from flowledger.events.triggers import TriggerItem

#: between two looks, and between two times that a slot is moved on though nothing came (seconds)
LOOK_S, ON_S = 0.1, 10.0
#: changes of one look, if its transactions are not larger; how long a statement may take
CHANGES_MAX, PATIENCE_S = 1_000, 60
#: a place is a commit and a number below 2^15
NUMBER_BITS = 15
OPERATIONS = ("insert", "update", "delete")


def slot_of(tenant: str, name: str) -> str:
    return f"flowledger_{hashlib.sha256(f'{tenant}/{name}'.encode()).hexdigest()[:16]}"


async def open_changes(opening: Opening) -> Changes:
    config = opening.config
    host, port = config["host"], config.get("port", 5432)
    places = await addresses(opening.gate, "postgresql", host, port)
    password = await secret(opening, config["password"])
    tls: dict[str, Any] = {"sslmode": "disable", "require_auth": "!password"}
    if config.get("tls", "verify") == "verify":
        paths = ssl.get_default_verify_paths()
        tls = {"sslmode": "verify-full", "sslrootcert": opening.gate.ca_file or paths.cafile or "system", "sslcert": "", "sslkey": ""}
    try:
        connection = await psycopg.AsyncConnection.connect(
            host=host, hostaddr=places[0], port=port, dbname=config["database"], user=config["username"], password=password, autocommit=True,
            passfile=os.devnull, connect_timeout=10, gssencmode="disable", application_name=f"flowledger-{opening.settings.node}"[:60],
            options=f"-c statement_timeout={PATIENCE_S * 1000}", keepalives_idle=10, keepalives_interval=5, keepalives_count=3, **tls,
        )  # fmt: skip
    except (psycopg.Error, OSError) as e:
        raise Away(f"PostgreSQL can't be read: {why(e)}") from None
    found = Changes(opening, connection)
    try:
        await found.start()
    except BaseException as e:
        await found.close()
        if isinstance(e, (psycopg.Error, OSError)):
            raise Away(f"PostgreSQL can't be read: {why(e)}") from None
        raise
    return found


class Changes:
    def __init__(self, opening: Opening, connection: psycopg.AsyncConnection[Any]) -> None:
        config = opening.config
        self.connection = connection
        self.publication: str = config["publication"]
        self.slot: str = config.get("slot") or slot_of(opening.tenant, opening.name)
        tables, told = config.get("tables"), config.get("operations", list(OPERATIONS))
        self._tables = None if tables is None else frozenset(tables if isinstance(tables, list) else [tables])
        self._told = frozenset(told if isinstance(told, list) else [told])
        self._begun = begun(opening)
        self._read = max((p >> NUMBER_BITS for part, p in opening.places.items() if part != BEGUN.part), default=0)
        self._moved = time.monotonic()

    async def _one(self, query: str, *values: Any) -> Any:
        row = await (await self.connection.execute(query, values)).fetchone()
        return row[0] if row is not None else None

    async def start(self) -> None:
        """Raises: Away."""
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):  # each look is four lines of the server's log otherwise
            await self.connection.execute("SET log_min_messages = 'warning'")
        if (level := await self._one("SHOW wal_level")) != "logical":
            raise Away(f"the server's wal_level is {level}: expected logical")
        if await self._one("SELECT 1 FROM pg_publication WHERE pubname = %s", self.publication) is None:
            raise Away(f"there is no publication {self.publication}: expected one by CREATE PUBLICATION")
        at = int(await self._one("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn"))
        if self._read > at:
            raise Away(
                "the server's log ends before what was read of it: it is another server, or was made anew; delete the trigger and put it again to read "
                "what changes from now on"
            )
        status = await self._one("SELECT coalesce(wal_status, '') FROM pg_replication_slots WHERE slot_name = %s", self.slot)
        if status is None and self._begun:
            raise Away(
                f"the slot {self.slot} is gone, and with it what has changed since: delete the trigger and put it again to read what changes from now on"
            )
        if status == "lost":
            raise Away(
                f"the slot {self.slot} has lost what has changed since (max_slot_wal_keep_size): drop it, delete the trigger and put it again"
            )
        if status is None:
            await self._one("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", self.slot)
        elif not self._begun:
            await self._move(at)  # it was another trigger's of that name: what is told begins now

    async def _move(self, lsn: int) -> None:
        """What was before is not kept any more."""
        await self.connection.execute(
            "SELECT pg_replication_slot_advance(slot_name, '0/0'::pg_lsn + %s::numeric) FROM pg_replication_slots "
            "WHERE slot_name = %s AND confirmed_flush_lsn < '0/0'::pg_lsn + %s::numeric",
            (lsn, self.slot, lsn),
        )
        self._moved = time.monotonic()

    async def batches(self) -> AsyncIterator[Got]:
        try:
            if not self._begun:
                yield BEGUN
            looked = -1
            while True:
                before = int(await self._one("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn"))
                if before == looked:  # nobody has written: each look is four lines of the server's log
                    await asyncio.sleep(LOOK_S)
                    continue
                looked = before
                transactions = await self._look()
                for transaction in transactions:
                    for got in self._items(transaction):
                        yield got
                if transactions:  # the log has them; there may be more
                    await self._move(transactions[-1].end)
                    looked = -1
                    continue
                if time.monotonic() - self._moved > ON_S:  # others write: the server need not keep that for us
                    await self._move(before)
                await asyncio.sleep(LOOK_S)
        except (psycopg.Error, OSError) as e:
            raise Away(f"PostgreSQL can't be read: {why(e)}") from None
        except pgoutput.Unreadable as e:
            raise Away(str(e)) from None

    async def _look(self) -> list[pgoutput.Transaction]:
        """Whole transactions, in the order of their commits. Raises: psycopg.Error, pgoutput.Unreadable."""
        decoder = pgoutput.Decoder()
        rows = await self.connection.execute(
            "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, %s, 'proto_version', '1', 'publication_names', %s)",
            (self.slot, CHANGES_MAX, '"' + self.publication.replace('"', '""') + '"'), binary=True,
        )  # fmt: skip
        async for (data,) in rows:
            decoder.add(data)
        return decoder.transactions

    def _items(self, t: pgoutput.Transaction) -> list[Got]:
        about = {
            "transaction": t.xid,
            "lsn": f"{t.lsn >> 32:X}/{t.lsn & 0xFFFFFFFF:X}",
            "committed": t.committed.isoformat().replace("+00:00", "Z"),
        }
        numbered = [(n, c) for n, c in enumerate(t.changes) if self._wanted(c)]
        found = []
        for part, some in groupby(numbered, key=lambda x: x[0] >> NUMBER_BITS):
            items = [
                TriggerItem(
                    context={
                        "operation": c.operation, "schema": c.schema, "table": c.table, "new": c.new, "old": c.old, "unchanged": c.unchanged, **about,
                    },
                    place=t.lsn << NUMBER_BITS | n & ((1 << NUMBER_BITS) - 1),
                )
                for n, c in some
            ]  # fmt: skip
            found.append(Got(f"lsn{part or ''}", items))
        return found

    def _wanted(self, c: pgoutput.Change) -> bool:
        return c.operation in self._told and (self._tables is None or c.table in self._tables or f"{c.schema}.{c.table}" in self._tables)

    async def acknowledge(self, got: Got) -> None:
        """The slot is moved on when all of a look is told."""

    def lag(self) -> int:
        return -1

    async def close(self) -> None:
        with contextlib.suppress(psycopg.Error, OSError):
            await self.connection.close()
