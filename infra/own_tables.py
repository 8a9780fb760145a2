"""Tables in PostgreSQL that are no views of the log, in a schema of their own, so that a rebuild of the views leaves them alone. All API nodes share them."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

#: how long is waited for a connection (seconds)
CONNECTION_S = 4.0
#: what is raised when the database is away
AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]


class OwnTables:
    """`schema`, made with `tables` (statements that do nothing where it is done). `least`, `most`: connections. Raises in all: one of `AWAY`."""

    def __init__(self, dsn: str, schema: LiteralString, tables: tuple[LiteralString, ...], most: int, least: int = 0) -> None:
        self._schema, self._tables = schema, tables
        self._ready = False
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn, min_size=least, max_size=most, open=False, timeout=CONNECTION_S, kwargs={"autocommit": True, "row_factory": dict_row},
            configure=self._configure,
        )  # fmt: skip

    async def _configure(self, conn: psycopg.AsyncConnection[Any]) -> None:
        await conn.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(self._schema)))

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def prepared(self) -> AsyncConnectionPool[Connection]:
        """The tables, when they aren't there yet: made by who needs them first, since the database may come late."""
        if not self._ready:
            async with self._pool.connection() as conn, conn.transaction():
                await conn.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self._schema,))  # several nodes may start at once
                await conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self._schema)))
                for statement in self._tables:
                    await conn.execute(statement)
            self._ready = True
        return self._pool

    async def rows(self, query: LiteralString, *values: Any) -> list[Row]:
        """Of one statement; nothing where it answers none."""
        pool = await self.prepared()
        async with pool.connection() as conn:
            found = await conn.execute(query, values)
            return await found.fetchall() if found.description else []
