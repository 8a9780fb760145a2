"""Protected variables that are found by equality: rows get a keyed digest of what is sealed in them, where a model says so (docs/privacy.md).

The digest stands in no event, only in the row's `search` (`projections/found_by.py`), so it goes with the row, and what is erased is not found any more:
the rows of a destroyed key lose theirs. The projector knows nothing of it: a row that it writes says again that it is sealed, and is looked at here, within
a second. One process does it at a time; what was cut off is done again, and keys that are away are waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from flowledger.api.services import Services
from flowledger.events.avro import encode_json
from flowledger.kernel.protection import Erased, KeysAway, sealed
from flowledger.logs import log
from flowledger.projections import found_by as fb
from flowledger.projections import schema as sc

#: between two looks, and between two questions which names are found (seconds)
STEP_S, NAMES_S = 1.0, 5.0
#: after keys or the database were away
AGAIN_S = 5.0
ROWS_MAX = 500
#: a key that was destroyed is looked at again for so long: who had it in memory may have gone on with it
AFTER_US = 120 * 1_000_000
_LOCK = 0x666C7366
log_ = log("finding")


class Finding:
    """`run` until cancelled; `dsn`: of the rows, as their owner."""

    def __init__(self, s: Services, dsn: str) -> None:
        self.s, self._dsn = s, dsn
        #: tenant -> names of variables that are found by equality
        self.names: Mapping[str, frozenset[str]] = {}
        self._asked_at = float("-inf")
        #: keys that were destroyed up to then (microseconds), and up to that one, have been seen
        self._gone: tuple[int, str] = 0, ""

    async def run(self) -> None:
        """A server without keys has nothing to find."""
        if self.s.vault is None:
            return
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, application_name="flowledger finding") as conn:
                    await sc.use_schema(conn, sc.SCHEMA)
                    while True:
                        await self._step(conn)
                        await asyncio.sleep(STEP_S)
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):  # the first start: the projector hasn't made them yet
                await asyncio.sleep(STEP_S)
            except (KeysAway, psycopg.Error, OSError) as e:
                log_.warning("protected values can't be made findable now", why=str(e))
                await asyncio.sleep(AGAIN_S)

    async def _step(self, conn: Any) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._asked_at >= NAMES_S:
            self.names, self._asked_at = await fb.names(conn), now
        if not self.names:
            return
        row = await (await conn.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))).fetchone()
        if not row or not row[0]:
            return
        try:
            await self._lose(conn)
            for tenant, names in self.names.items():
                while await self._find(conn, tenant, sorted(names)) == ROWS_MAX:
                    pass
        finally:
            await conn.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))

    async def _find(self, conn: Any, tenant: str, names: Sequence[str]) -> int:
        rows = await fb.sealed_rows(conn, tenant, names, ROWS_MAX)
        if rows:
            digests = await asyncio.to_thread(self._digests, tenant, rows)
            for row, digest in zip(rows, digests, strict=True):
                await fb.put(conn, tenant, row, digest)
        return len(rows)

    def _digests(self, tenant: str, rows: Sequence[fb.Place]) -> list[str]:
        """Empty: it isn't found. Raises: KeysAway."""
        out = []
        for row in rows:
            try:
                value = self.s.vault.open(tenant, row.text, False)
            except Erased:
                out.append("")
                continue
            out.append("" if value == row.text or sealed(row.text) is None else self.s.vault.digest(tenant, row.name, value))
        return out

    async def _lose(self, conn: Any) -> None:
        """Of keys that were destroyed since the last look."""
        now_us = time.time_ns() // 1000
        gone: list[tuple[str, str, int]] = await asyncio.to_thread(self.s.vault.asked, "destroyed_since", self._gone, ROWS_MAX)
        for id, tenant, _ in gone:
            await fb.lose(conn, tenant, [id])
        self._gone = (gone[-1][2], gone[-1][0]) if len(gone) == ROWS_MAX else max(self._gone, (now_us - AFTER_US, ""))

    async def erased(self, tenant: str, keys: Sequence[str]) -> None:
        """At once, where somebody has erased a subject here. Raises: psycopg.Error."""
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, application_name="flowledger finding") as conn:
            await sc.use_schema(conn, sc.SCHEMA)
            await fb.lose(conn, tenant, list(keys))

    async def asked(self, tenant: str, filters: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
        """Filters of a list, with those that are about such a name as the rows can be asked for; and these names. Raises: KeysAway."""
        names = self.names.get(tenant, frozenset())
        out, seen = dict(filters), []
        for key, text in filters.items():
            name = fb.equal_to(key)
            if name is None or name not in names:
                continue
            value = fb.value_of(text)
            digest = await asyncio.to_thread(self.s.vault.digest, tenant, name, value)
            if digest:
                del out[key]
                out[fb.filter_of(name)] = f"{digest} {encode_json(value).decode()}"
                seen.append(name)
        return out, seen
