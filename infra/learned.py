"""What was learned from the log, and what people decided about it, in PostgreSQL in a schema of its own: no view of the log, so a rebuild leaves it alone.

Models of a process are numbered and stay as they were made (the last `MODELS_MAX`); which is in use is a list of choices, the last of which holds. All API nodes
share it. Times are microseconds UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from psycopg.types.json import Jsonb

from flowledger.infra.own_tables import OwnTables, Row

#: models of a process and choices between them that are kept, the oldest go
MODELS_MAX, CHOICES_MAX = 20, 200
_TABLES = (
    "CREATE TABLE IF NOT EXISTS models ("
    " tenant text NOT NULL, process text NOT NULL, number integer NOT NULL, made_us bigint NOT NULL, made_by text NOT NULL, ended bigint NOT NULL,"
    " card jsonb NOT NULL, model jsonb NOT NULL, drift jsonb, looked_us bigint NOT NULL DEFAULT 0, PRIMARY KEY (tenant, process, number))",
    "CREATE TABLE IF NOT EXISTS choices ("
    " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text NOT NULL, process text NOT NULL, number integer NOT NULL, at_us bigint NOT NULL,"
    " actor text NOT NULL, reason text NOT NULL)",
    "CREATE INDEX IF NOT EXISTS choices_of ON choices (tenant, process, id DESC)",
)


class Learned(OwnTables):
    """Raises in all: one of `AWAY`."""

    def __init__(self, dsn: str, now_us: Callable[[], int]) -> None:
        self.now_us = now_us
        super().__init__(dsn, "flowledger_insight", _TABLES, 3)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Whether nobody else learns by now; others are kept out as long as it lasts."""
        pool = await self.prepared()
        async with pool.connection() as conn:
            row = await (await conn.execute("SELECT pg_try_advisory_lock(hashtext('flowledger_insight.learning')) AS got")).fetchone()
            got = bool(row and row["got"])
            try:
                yield got
            finally:
                if got:
                    await conn.execute("SELECT pg_advisory_unlock(hashtext('flowledger_insight.learning'))")

    async def keep(self, tenant: str, process: str, actor: str, ended: int, card: Row, model: Row) -> int:
        """A new model; its number. `ended`: how many instances had ended by then."""
        pool = await self.prepared()
        async with pool.connection() as conn, conn.transaction():
            await conn.execute("SELECT pg_advisory_xact_lock(hashtext('flowledger_insight'), hashtext(%s))", (f"{tenant}/{process}",))
            found = await (
                await conn.execute(
                    "SELECT coalesce(max(number), 0) + 1 AS n FROM models WHERE tenant = %s AND process = %s", (tenant, process)
                )
            ).fetchone()
            number = int(found["n"]) if found else 1
            await conn.execute(
                "INSERT INTO models (tenant, process, number, made_us, made_by, ended, card, model) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (tenant, process, number, self.now_us(), actor, ended, Jsonb(card), Jsonb(model)),
            )
            await conn.execute(
                "DELETE FROM models m WHERE tenant = %s AND process = %s AND number <= %s AND number <> coalesce("
                "(SELECT number FROM choices c WHERE c.tenant = m.tenant AND c.process = m.process ORDER BY id DESC LIMIT 1), 0)",
                (tenant, process, number - MODELS_MAX),
            )
        return number

    async def models(self, tenant: str, process: str = "") -> list[Row]:
        """With their cards, the newest first; `chosen` of each: the number that somebody chose for its process, 0: the newest is in use."""
        return await self.rows(
            "SELECT process, number, made_us, made_by, ended, card, drift, looked_us, coalesce((SELECT c.number FROM choices c WHERE c.tenant = m.tenant"
            " AND c.process = m.process ORDER BY c.id DESC LIMIT 1), 0) AS chosen FROM models m"
            " WHERE tenant = %s AND (%s = '' OR process = %s) ORDER BY process, number DESC LIMIT 1000",
            tenant, process, process,
        )  # fmt: skip

    async def in_use(self, tenant: str, process: str, number: int | None = None) -> Row | None:
        """The chosen one, or the newest. `number`: that one."""
        found = await self.rows(
            "SELECT process, number, made_us, made_by, ended, card, drift, looked_us FROM models m WHERE tenant = %s AND process = %s AND (%s::int IS NULL OR"
            " number = %s) ORDER BY number = coalesce((SELECT c.number FROM choices c WHERE c.tenant = m.tenant AND c.process = m.process"
            " ORDER BY c.id DESC LIMIT 1), 0) DESC, number DESC LIMIT 1",
            tenant, process, number, number,
        )  # fmt: skip
        return found[0] if found else None

    async def model(self, tenant: str, process: str, number: int) -> Row | None:
        """What was learned itself."""
        found = await self.rows("SELECT model FROM models WHERE tenant = %s AND process = %s AND number = %s", tenant, process, number)
        return found[0]["model"] if found else None

    async def note(self, tenant: str, process: str, number: int, drift: Row) -> None:
        """How it does on what came since."""
        await self.rows(
            "UPDATE models SET drift = %s, looked_us = %s WHERE tenant = %s AND process = %s AND number = %s RETURNING number",
            Jsonb(drift), self.now_us(), tenant, process, number,
        )  # fmt: skip

    async def choose(self, tenant: str, process: str, number: int, actor: str, reason: str) -> bool:
        """0: the newest, whichever it is. False: there is no such model."""
        if number and not await self.rows(
            "SELECT 1 FROM models WHERE tenant = %s AND process = %s AND number = %s", tenant, process, number
        ):
            return False
        await self.rows(
            "INSERT INTO choices (tenant, process, number, at_us, actor, reason) VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
            tenant, process, number, self.now_us(), actor, reason,
        )  # fmt: skip
        return True

    async def choices(self, tenant: str, process: str) -> list[Row]:
        """The newest first."""
        return await self.rows(
            "SELECT number, at_us, actor, reason FROM choices WHERE tenant = %s AND process = %s ORDER BY id DESC LIMIT %s",
            tenant, process, CHOICES_MAX,
        )  # fmt: skip
