"""Keeps the projections up to the log: reads batches, folds them, writes them with their positions.

It runs apart from the owner and never holds it up: when PostgreSQL or the log is away, it waits, longer each time, then reads on from
the positions that the database has. One projector works on a partition at a time; others stand by.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from flowledger.logs import log
from flowledger.projections import indexes
from flowledger.projections import schema as sc
from flowledger.projections.changes import Ended
from flowledger.projections.context import Context
from flowledger.projections.fold import View
from flowledger.projections.load import load_pending, load_terms
from flowledger.projections.projector import BATCH_EVENTS, Batch, Folded, Projector, Source
from flowledger.projections.rebuild import rebuild_stale
from flowledger.projections.store import Connection, Move, Overtaken
from flowledger.projections.tables import stamp
from flowledger.projections.views import VIEWS

log_ = log("projections")

#: The end of a partition's log, for the lag.
End = Callable[[int], Awaitable[int]]

#: A write begins at the earliest this long after the one before, and later under load (when the one before had many events): more in each, since a write
#: costs some milliseconds however little it has; and work that is made and done in between is one row and no update.
INTERVAL_S, INTERVAL_LOAD_S = 0.2, 0.5
#: the same where somebody waits for what is not written yet (`Runner.hurry`), or where nobody could say so
HURRY_S = 0.05
LOAD_EVENTS = 400
#: Events that are read ahead.
AHEAD_EVENTS = 40_000
BACKOFF_S = (0.1, 10.0)
PARTITIONS_CHECK_S = 3600.0
#: so long a session waits for its readers to end
ENDING_S = 15.0
#: until indexes are tried again
INDEXES_S = 30.0


class AnotherLog(Exception):
    """The database's rows were folded from another log (or the log lost its tail): what is on this one would be taken for known."""


class Runner:
    """Projects `partitions` of `source` into the database at `dsn`.

    Attributes:
        position: partition -> offset after the last projected event.
        connected: whether the database can be written just now; `error` says why not.
        events, writes, sessions: counters since the start, for metrics; a session is one connection to the database.
    """

    def __init__(
        self, source: Source, dsn: str, partitions: Iterable[int] = (0,), *, schema: str = sc.SCHEMA, views: Mapping[str, View] = VIEWS,
        end: End | None = None, interval_s: float = INTERVAL_S, tracer: Any = None, ended: Callable[[Sequence[Ended]], None] | None = None,
    ) -> None:  # fmt: skip
        """`tracer`: gets a span for each transaction, by `done(name, seconds, traces, **attributes)`, while its `on` is true.
        `ended`: is told what came to its end, once it is written."""
        self._ended = ended
        self.tracer = tracer if tracer is not None and tracer.on else None
        self.source, self.dsn, self.partitions = source, dsn, tuple(partitions)
        self.schema, self.views, self.end, self.interval_s = schema, views, end, interval_s
        self.position: dict[int, int] = {}
        self.connected = False
        self.error = ""
        self.events = self.writes = self.sessions = 0
        self._ends: dict[int, int] = {}
        self._event_us: dict[int, int] = {}
        self._queue: deque[Batch] = deque()
        self._queued = 0
        self._writing: asyncio.Task[None] | None = None
        self._arrived, self._room, self.moved = asyncio.Event(), asyncio.Event(), asyncio.Condition()
        self._hurry = asyncio.Event()

    def lag(self) -> dict[int, dict[str, float]]:
        """Per partition: events behind the log's end, and how old the last projected one is, in seconds (0: nothing is behind)."""
        out: dict[int, dict[str, float]] = {}
        now_us = time.time_ns() // 1000
        for p in self.partitions:
            position = self.position.get(p, 0)
            behind = max(0, self._ends.get(p, position) - position)
            seconds = max(0.0, (now_us - self._event_us[p]) / 1e6) if behind and p in self._event_us else 0.0
            out[p] = {"position": position, "events": behind, "seconds": round(seconds, 3)}
        return out

    def hurry(self) -> None:
        """Somebody waits for what is not in the rows yet."""
        self._hurry.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises: NewerSchema (a newer release has taken over), AnotherLog; everything else is tried again."""
        wait_s = BACKOFF_S[0]
        while not stop.is_set():
            began, before = time.monotonic(), self.writes
            try:
                await self._session(stop)
            except (sc.NewerSchema, AnotherLog) as error:
                self.error = str(error)
                raise
            except Overtaken as error:
                self.error = str(error)
                log_.warning("projector was overtaken, starts again from the database's positions", why=str(error))
            except (psycopg.Error, OSError) as error:
                self.error = f"{type(error).__name__}: {error}"
                log_.warning("projections wait for the database", why=self.error)
            except Exception as error:
                self.error = f"{type(error).__name__}: {error}"
                log_.exception("projections failed, and are tried again")
            finally:
                self.connected = False
            if self.writes > before or time.monotonic() - began > BACKOFF_S[1]:
                wait_s = BACKOFF_S[0]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stop.wait()
            wait_s = min(BACKOFF_S[1], wait_s * 2)

    async def _session(self, stop: asyncio.Event) -> None:
        name = f"projector of {self.schema}"
        conn = await psycopg.AsyncConnection.connect(self.dsn, autocommit=True, connect_timeout=5, application_name=name)
        tasks: list[asyncio.Task[None]] = []
        indexing: list[asyncio.Task[None]] = []
        try:
            if not await self._alone(conn, stop):
                return
            await sc.migrate(conn, self.schema, self.views)
            await sc.use_schema(conn, self.schema)
            await self._same_log(conn)
            await rebuild_stale(conn, self.source, self.partitions, self.schema, self.views)
            await self._positions(conn)
            context = Context()
            await load_terms(conn, context)
            await load_pending(conn, context)
            projector = Projector(conn, self.views.values(), context)
            self._queue, self._queued = deque(), 0
            tasks = [asyncio.create_task(self._read(p, self.position[p])) for p in self.partitions]
            if self.end is not None:
                tasks.append(asyncio.create_task(self._watch_ends(self.end)))
            if not await indexes.fit(conn, self.views):
                indexing.append(asyncio.create_task(self._indexes()))
            self.sessions += 1
            self.connected, self.error = True, ""
            await self._write(projector, tasks, stop)
        finally:
            await conn.close()
            await _ended([*tasks, *indexing])

    async def _indexes(self) -> None:
        """Of an earlier release: brought to this one's beside the projector's work."""
        while True:
            try:
                await indexes.bring(self.dsn, self.schema, self.views)
                return
            except (psycopg.Error, OSError) as error:
                log_.warning("indexes are not all made yet, and are tried again", why=f"{type(error).__name__}: {error}")
                await asyncio.sleep(INDEXES_S)

    async def _alone(self, conn: Connection, stop: asyncio.Event) -> bool:
        """Wait until no other projector works on these partitions. The lock goes with the connection."""
        for partition in self.partitions:
            name = f"flowledger.projector.{self.schema}.{partition}"
            while not stop.is_set():
                row = await (await conn.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))).fetchone()
                if row and row[0]:
                    break
                self.error = f"another projector works on partition {partition}"
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await stop.wait()
        return not stop.is_set()

    async def _same_log(self, conn: Connection) -> None:
        """Raises: AnotherLog. Only where the log's end can be asked for."""
        if self.end is None:
            return
        for partition, position in await (
            await conn.execute("SELECT partition, max(next_offset) FROM positions GROUP BY partition")
        ).fetchall():
            if partition in self.partitions and position > (end := await self.end(partition)):
                raise AnotherLog(
                    f"the database has partition {partition} up to {position}, but the log ends at {end}: its rows are of another log"
                )

    async def _positions(self, conn: Connection) -> None:
        async with conn.transaction():
            for partition in self.partitions:
                for view in self.views.values():
                    await conn.execute(
                        "INSERT INTO positions (view, partition, version) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                        (view.name, partition, view.version),
                    )
        rows = await (await conn.execute("SELECT partition, min(next_offset) FROM positions GROUP BY partition")).fetchall()
        self.position = {p: n for p, n in rows if p in self.partitions}

    async def _read(self, partition: int, offset: int) -> None:
        queue = self._queue
        while True:
            async for records, next_offset in self.source(partition, offset):
                while self._queued >= AHEAD_EVENTS:
                    self._room.clear()
                    await self._room.wait()
                if queue is not self._queue:  # another session goes on since, and has its own readers
                    return
                offset = next_offset
                queue.append((partition, records, next_offset))
                self._queued += len(records)
                self._ends[partition] = max(self._ends.get(partition, 0), next_offset)
                self._arrived.set()
            await asyncio.sleep(self.interval_s)  # a source that ends is asked again

    async def _watch_ends(self, end: End) -> None:
        while True:
            for partition in self.partitions:
                self._ends[partition] = await end(partition)
            await asyncio.sleep(1.0)

    async def _write(self, projector: Projector, tasks: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
        last = checked = 0.0
        count = 0
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                if not self._queue:
                    self._arrived.clear()
                    await self._written()
                    arriving = asyncio.create_task(self._arrived.wait())
                    await asyncio.wait((arriving, stopping, *tasks), return_when=asyncio.FIRST_COMPLETED, timeout=60)
                    arriving.cancel()
                for task in tasks:
                    if task.done():
                        task.result()
                now = time.monotonic()
                if now - checked > PARTITIONS_CHECK_S:
                    checked = now
                    await self._written()
                    await self._months_ahead(projector)
                interval = self.interval_s if count < LOAD_EVENTS else max(self.interval_s, INTERVAL_LOAD_S)
                if last + interval > now and self._queued < BATCH_EVENTS:
                    await self._pause(last, interval, stopping)
                last = time.monotonic()
                batches = self._take()
                count = sum(len(records) for _, records, _ in batches)
                if batches:
                    await self._apply(projector, batches)
            await self._written()
        finally:
            stopping.cancel()
            if self._writing is not None:
                self._writing.cancel()
                await asyncio.gather(self._writing, return_exceptions=True)
                self._writing = None

    async def _pause(self, last: float, interval: float, stopping: asyncio.Task[Any]) -> None:
        """Until so long after the write at `last`; `HURRY_S` after it once somebody waits."""
        self._hurry.clear()
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait((hurried, stopping), timeout=last + interval - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
        if hurried.done():
            await asyncio.sleep(last + min(HURRY_S, interval) - time.monotonic())
        hurried.cancel()

    def _take(self) -> list[Batch]:
        batches: list[Batch] = []
        count = 0
        while self._queue and (not batches or count + len(self._queue[0][1]) <= BATCH_EVENTS):
            batches.append(self._queue.popleft())
            count += len(batches[-1][1])
        self._queued -= count
        self._room.set()
        return batches

    async def _apply(self, projector: Projector, batches: list[Batch]) -> None:
        """Fold while the batch before is being written, then hand over."""
        folded = await projector.fold(batches, self._written)
        await self._written()
        self._writing = asyncio.create_task(self._finish(projector, batches, folded))

    async def _written(self) -> None:
        """The write under way, if any, is done. Raises what it raised."""
        if (writing := self._writing) is not None:
            self._writing = None
            await writing

    async def _finish(self, projector: Projector, batches: list[Batch], folded: Folded) -> None:
        to: dict[int, tuple[int, int | None]] = {}
        for partition, records, next_offset in batches:
            event_us = records[-1].envelope.time_us if records else to.get(partition, (0, None))[1]
            to[partition] = (next_offset, event_us)
        moves = [
            Move(v.name, p, v.version, self.position[p], n, stamp(us) if us is not None else None)
            for p, (n, us) in to.items()
            if n != self.position[p]
            for v in self.views.values()
        ]
        began = time.perf_counter()
        await projector.write(folded, moves)
        if self.tracer is not None:
            traces = dict.fromkeys(r.envelope.trace for _, records, _ in batches for r in records if r.envelope.trace)
            self.tracer.done("project", time.perf_counter() - began, traces, events=folded.events, partitions=sorted(to))
        for partition, (next_offset, us) in to.items():
            self.position[partition] = next_offset
            if us is not None:
                self._event_us[partition] = us
        if self._ended is not None and folded.changes.ended:
            self._ended(folded.changes.ended)
        self.events += folded.events
        self.writes += 1
        async with self.moved:
            self.moved.notify_all()

    async def _months_ahead(self, projector: Projector) -> None:
        months = sc.months_from(datetime.now(UTC).date(), sc.MONTHS_AHEAD)
        needs = {(t.name, m) for t in projector.tables.values() if t.month for m in months}
        await sc.make_partitions(projector.conn, projector.tables, needs)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """They are asked to end. One that doesn't is left behind and said: the next session has its own, and must not wait for it."""
    for task in tasks:
        task.cancel()
    if not tasks:
        return
    done, still = await asyncio.wait(tasks, timeout=ENDING_S)
    for task in done:
        if not task.cancelled():
            task.exception()  # it was looked at, or what ended the session is the reason
    if still:
        log_.warning("readers of the log do not end, and are left behind", readers=len(still))


async def run(source: Source, dsn: str, stop: asyncio.Event, partitions: Iterable[int] = (0,), **settings: Any) -> None:
    """Project until `stop` is set; settings as for `Runner`."""
    await Runner(source, dsn, partitions, **settings).run(stop)
