"""Reading rows for answers: a pool, positions, `wait_for`, and rows as JSON values (keys as texts, times as ISO 8601 in UTC)."""

from __future__ import annotations

import asyncio
import copy
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from flowledger.events.avro import decode_json
from flowledger.events.commands import PARTITION_BITS
from flowledger.logs import log
from flowledger.projections import schema as sc
from flowledger.projections import wall
from flowledger.projections.views import TABLES

log_ = log("projections")
Row = dict[str, Any]
#: what is asked: SQL that this code wrote, with values apart
Query = LiteralString | sql.SQL | sql.Composed

_POSITION = re.compile(r"(\d{1,9})-(\d{1,18})")
_OFFSET_MASK = (1 << PARTITION_BITS) - 1
#: between two looks at the positions while waiting
_POLL_S = (0.005, 0.05)
_SETTINGS = {
    "plan_cache_mode": "force_custom_plan", "jit": "off", "enable_seqscan": "off", "max_parallel_workers_per_gather": "0",
}  # fmt: skip
#: how long a query waits for a connection before its caller hears that the database is away (seconds)
CONNECTION_S = 4.0

_POSITIONS = "SELECT partition, min(next_offset) AS n FROM positions GROUP BY partition ORDER BY partition"
#: `_Connection.stands`, where it isn't `=` and a tenant
OWNER, UNKNOWN = "owner", "unknown"
_STAND = "SELECT set_config('role', %s, false), set_config(%s, %s, false), set_config('search_path', %s, false)"
#: between two looks for the role where it isn't there (seconds), and a table that it must be able to read
LOOK_S, _LAST = 5.0, "positions"

#: columns that hold keys, which JSON carries as texts
KEYS = frozenset(
    c for t in TABLES.values() for c, kind in t.columns.items() if kind == "bigint" and c not in t.adds and not c.endswith("_us")
) - {"duration_ms", "repeats_left"}
#: column -> its name in answers
NAMES = {
    "workflow_instance_id": "instance", "workflow_definition_id": "definition", "definition_key": "element", "scope_id": "scope_key",
    "token_id": "token", "incident_id": "incident", "parent_id": "parent", "root_id": "root", "deployment_id": "deployment",
    "task_id": "task", "event_type": "type", "occurred_at": "time",
}  # fmt: skip


class BadQuery(ValueError):
    """A filter, cursor or position that can't be read. The message says what was expected and what was found."""


class Senseless(BadQuery):
    """What can be read and can't be meant: an end before its beginning, a name that nothing has."""


class GoneCursor(BadQuery):
    """A cursor of the right form whose row is not there, or is not there any more."""


class TookTooLong(BadQuery):
    """What was asked for can't be found in the time that there is: fewer are to be looked through."""


class NotProjected(TimeoutError):
    """The projection didn't reach the position in time. `position` is where it is."""

    def __init__(self, wanted: str, position: str) -> None:
        super().__init__(f"the projection is at {position or 'the start'}, not yet past {wanted}")
        self.position = position


def parse_position(text: str) -> dict[int, int]:
    """`p-offset`, or several with commas, as {partition: offset}. Raises: BadQuery."""
    out: dict[int, int] = {}
    for part in text.split(","):
        found = _POSITION.fullmatch(part.strip())
        if not found:
            raise BadQuery(f"expected a position like 0-123, found {part.strip()[:40]!r}")
        out[int(found[1])] = max(int(found[2]), out.get(int(found[1]), -1))
    return out


def position_of(number: int) -> str:
    """The text of an event's position from its number in rows."""
    return f"{number >> PARTITION_BITS}-{number & _OFFSET_MASK}"


def number_of(text: str) -> int:
    """The reverse. Raises: BadQuery."""
    found = parse_position(text)
    if len(found) != 1:
        raise BadQuery(f"expected one position like 0-123, found {text[:40]!r}")
    ((partition, offset),) = found.items()
    return partition << PARTITION_BITS | offset


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC, microseconds only when there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(row: Mapping[str, Any]) -> Row:
    """A row as JSON values under the names of answers; the tenant is left out."""
    out: Row = {}
    for name, value in row.items():
        if name == "tenant_id":
            continue
        if isinstance(value, datetime):
            value = iso(value)
        elif value is not None and name in KEYS:
            value = str(value)
        out[NAMES.get(name, name)] = value
    return out


def plain_event(row: Mapping[str, Any]) -> Row:
    """An event with its position; `data` has its fields as the log has them."""
    out = plain(row)
    out["id"] = out["position"] = position_of(row["id"])
    out["metadata"] = {**(row.get("metadata") or {}), "tenant": row["tenant_id"], "position": out["position"]}
    out["data"] = row["data"] or {}
    return out


#: until when what is read now has time (`time.monotonic`), and of what length its steps are; None: it has
_UNTIL: ContextVar[tuple[float, float] | None] = ContextVar("until", default=None)
#: Time that is left is told to the database in so many steps of the whole: each time would be a question more, before each of some.
STEPS = 16


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All that is read inside takes so long together at most, or a step more; then the database ends it. Raises: TookTooLong."""
    token = _UNTIL.set((time.monotonic() + seconds, seconds / STEPS))
    try:
        yield
    except psycopg.errors.QueryCanceled:
        raise TookTooLong(
            f"the search took longer than {seconds:g} s: ask for less, by a process, a status, or a time (started_from)"
        ) from None
    finally:
        _UNTIL.reset(token)


def _left_ms() -> str:
    """Of the time of `within`, in whole steps, as a setting of the database; 0: without end."""
    if (until := _UNTIL.get()) is None:
        return "0"
    end, step = until
    return str(max(1, math.ceil(max(1, math.ceil((end - time.monotonic()) / step)) * step * 1000)))


#: what a query may want to be otherwise: sorting, loops over rows, merges of what is in order, milliseconds that it has, and how long its plan is of use
_USUAL = ("on", "on", "on", "0", _SETTINGS["plan_cache_mode"])
KEPT = "force_generic_plan"
_TELL = (
    "SELECT set_config('enable_sort', %s, false), set_config('enable_nestloop', %s, false), set_config('enable_mergejoin', %s, false), "
    "set_config('statement_timeout', %s, false), set_config('plan_cache_mode', %s, false)"
)


class _Connection(psycopg.AsyncConnection[Row]):
    """Of the pool. `stands`: for which tenant it reads by now (`""`: that without name; `OWNER`, `UNKNOWN`). `told`: its settings, as in `_USUAL`; None:
    unknown."""

    stands: str = OWNER
    told: tuple[str, ...] | None = _USUAL

    async def tell(self, wanted: tuple[str, ...]) -> None:
        """All that differs in one question, and none where nothing does."""
        if self.told != wanted:
            self.told = None
            await self.execute(_TELL, wanted)
            self.told = wanted

    async def tell_time(self, left_ms: str) -> None:
        """All else stays as it is: what is asked next has one way only, or isn't done."""
        sorts, nested, merged, _, plans = self.told or _USUAL
        await self.tell((sorts, nested, merged, left_ms, plans))


class _Wall:
    """What all readers of a pool know: whether the role of `wall.py` can be taken on, and when to look again where it can't."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.up = False
        self.look_at = 0.0


class NoWall(psycopg.OperationalError):
    """Tenants can't be kept apart by the database, and are to be."""


class Reader:
    """A pool of connections that read the projections of one schema. `of(tenant)` reads for one tenant: the database shows it no other's rows. By itself it
    reads as the owner does, for what is of no tenant or of all.

    `wall`: auto (where the role is there), required (nothing is read without), off.
    """

    #: whose rows; None: everybody's
    tenant: str | None = None

    def __init__(self, dsn: str, schema: str = sc.SCHEMA, *, size: int = 8, wall: str = "auto") -> None:
        self.schema = schema
        self.wall = _Wall(wall)
        #: called while somebody waits for a position: whoever writes the rows, in this process, needn't be patient
        self.hurry: Callable[[], None] = lambda: None
        self.pool: AsyncConnectionPool[_Connection] = AsyncConnectionPool(
            dsn, connection_class=_Connection, min_size=1, max_size=size, open=False, configure=self._configure, timeout=CONNECTION_S,
            kwargs={"autocommit": True, "row_factory": dict_row},
        )  # fmt: skip

    def of(self, tenant: str) -> Reader:
        """The same pool, for one tenant."""
        made = copy.copy(self)
        made.tenant = tenant
        return made

    async def _configure(self, conn: _Connection) -> None:
        await conn.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(self.schema)))
        await conn.execute("SET timezone = 'UTC'")
        await conn.execute("SET default_transaction_read_only = on")
        # A page is a few rows of many: which index finds them depends on the values (partial indexes even more), so each query is planned with
        # them; tables are never read as a whole, nor by several processes, nor is a plan worth a compiler. Most blocks are in memory.
        for setting, value in _SETTINGS.items():
            await conn.execute(sql.SQL("SET {} = {}").format(sql.Identifier(setting), sql.Literal(value)))
        await conn.execute("SELECT set_config(%s, %s, false)", (wall.SETTING, wall.NOBODY))
        set_json_loads(decode_json, conn)

    async def _stand(self, conn: _Connection) -> None:
        """The connection reads for our tenant from now on. What it was is forgotten first: who is cut off in between leaves nothing to trust.

        Raises: NoWall.
        """
        wanted = OWNER if self.tenant is None or not await self._up(conn) else f"={self.tenant}"
        if conn.stands == wanted:
            return
        conn.stands = UNKNOWN
        if wanted == OWNER:
            await conn.execute(_STAND, ("none", wall.SETTING, wall.NOBODY, wall.path(self.schema, tenant=False)))
        else:
            await conn.execute(_STAND, (wall.ROLE, wall.SETTING, self.tenant, wall.path(self.schema, tenant=True)))
        conn.stands = wanted

    async def _up(self, conn: _Connection) -> bool:
        w = self.wall
        if w.up or w.wanted == "off":
            return w.up
        if time.monotonic() >= w.look_at:
            w.up = await wall.stands(conn, self.schema, _LAST)
            if not w.up:
                if not w.look_at:
                    log_.warning("tenants are kept apart by queries alone: the database has no role for readers yet", role=wall.ROLE)
                w.look_at = time.monotonic() + LOOK_S
        if not w.up and w.wanted == "required":
            raise NoWall(f"the role {wall.ROLE} can't be taken on, and is required: see docs/security.md")
        return w.up

    async def __aenter__(self) -> Reader:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def open(self) -> None:
        await self.pool.open()

    async def close(self) -> None:
        await self.pool.close()

    async def rows(
        self, query: Query, values: Any = (), *, nested: bool = True, merged: bool = True, sorts: bool = True, kept: bool = False
    ) -> list[Row]:
        """`nested`: False, lists are met by reading both, and not by looking one's rows up in the other. `merged`: False, by a table of one of them, and
        not by bringing both in order. `sorts`: False, rows come from indexes that
        have the order of the list, a page of them and no more. Where the planner expects few rows (of a month that just began it has seen none), it
        finds it as good to read all of them and sort, however many there are. `kept`: planned once for a connection, whatever the values: of what
        has one good plan only, and takes longer to be planned than to be read.

        Raises: psycopg.OperationalError, psycopg_pool.PoolTimeout when the database is away.
        """
        async with self.pool.connection() as conn:
            await self._prepare(conn, nested=nested, merged=merged, sorts=sorts, kept=kept)
            return await (await conn.execute(query, values, prepare=True if kept else None)).fetchall()

    async def _prepare(self, conn: _Connection, *, nested: bool, merged: bool, sorts: bool, kept: bool) -> None:
        await self._stand(conn)
        await conn.tell(
            ("on" if sorts else "off", "on" if nested else "off", "on" if merged else "off", _left_ms(), KEPT if kept else _USUAL[4])
        )

    async def estimate(self, query: Query, values: Any = ()) -> float:
        """How many rows the planner expects; nothing is read for it."""
        text = sql.SQL(query) if isinstance(query, str) else query
        async with self.pool.connection() as conn:
            await self._stand(conn)
            await conn.tell_time(_left_ms())
            row = await (await conn.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(text), values)).fetchone()
        return float(row["QUERY PLAN"][0]["Plan"]["Plan Rows"]) if row else 0.0

    async def positions(self) -> dict[int, int]:
        """{partition: offset after the last event that all views have}."""
        async with self.pool.connection() as conn:  # of no tenant: whoever it read for last
            await conn.tell_time(_left_ms())
            found = await (await conn.execute(_POSITIONS)).fetchall()
        return {r["partition"]: r["n"] for r in found}

    async def end_projectors(self) -> int:
        """Ends the sessions of projectors of this schema; they begin anew, from where the database is. Returns how many there were."""
        found = await self.rows(
            "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE application_name = %s AND datname = current_database() "
            "AND usename = current_user",
            (f"projector of {self.schema}",),
        )
        return sum(bool(r["ended"]) for r in found)

    async def position(self) -> str:
        """As text, as answers tell it and `wait_for` takes it: the last projected event of each partition."""
        return ",".join(f"{p}-{n - 1}" for p, n in (await self.positions()).items() if n > 0)

    async def wait_for(self, position: str, timeout_s: float = 5.0) -> None:
        """Until all views have the events up to `position`. Raises: NotProjected, BadQuery."""
        wanted = parse_position(position)
        deadline = time.monotonic() + timeout_s
        pause_s = _POLL_S[0]
        while True:
            at = await self.positions()
            if all(at.get(p, 0) > offset for p, offset in wanted.items()):
                return
            if time.monotonic() + pause_s > deadline:
                raise NotProjected(position, ",".join(f"{p}-{n - 1}" for p, n in at.items() if n > 0))
            self.hurry()
            await asyncio.sleep(pause_s)
            pause_s = min(_POLL_S[1], pause_s * 2)

    async def status(self) -> list[Row]:
        """Each view with its versions and positions."""
        live = await self.rows("SELECT name, version, built_at FROM views ORDER BY name")
        at: dict[str, dict[str, Row]] = {}
        for r in await self.rows("SELECT *, extract(epoch FROM now() - updated_at)::float8 AS age FROM positions ORDER BY view, partition"):
            last = {
                "position": r["next_offset"] - 1,
                "event_time": iso(r["event_time"]) if r["event_time"] else None,
                "age_s": round(r["age"], 3),
            }
            at.setdefault(r["view"], {})[str(r["partition"])] = last
        return [
            {"view": r["name"], "version": r["version"], "built_at": iso(r["built_at"]), "partitions": at.get(r["name"], {})} for r in live
        ]

    async def answers(self) -> None:
        """The database does, whatever is in it. Raises: psycopg.Error, OSError, TimeoutError."""
        async with asyncio.timeout(2.0):
            await self.rows("SELECT 1")

    async def ready(self) -> str:
        """`""` when the database answers and has its tables, else why not."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await self.rows("SELECT 1 FROM positions LIMIT 1")
                    return ""
        except psycopg.errors.UndefinedTable:
            return "the projector hasn't made the tables yet"
        except (psycopg.Error, OSError) as error:
            return f"{type(error).__name__}: {error}"
        return "the database doesn't answer"
