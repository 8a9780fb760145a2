"""One live reader of each partition for all subscribers of a node: the log is read and decoded once, however many listen.

A subscriber that comes late reads the log by itself up to where the tail is, then joins. One that can't keep up is cut off from the tail,
reads the log by itself again from where it is, and joins again: it holds up nobody, and what waits for it is bounded. Either way it
gets each counted event from its position on, in order, once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator

from flowledger.events import avro
from flowledger.events.base import Recorded
from flowledger.logs import log
from flowledger.processors.log import EVENTS, Log, LogError, OutOfRange
from flowledger.processors.recovery import counted

log_ = log("tail")

#: events of a partition that are kept for those who come a little late
RECENT_EVENTS = 4_096
#: events of a partition that may wait for a subscriber before it is cut off
WAITING_EVENTS = 8_192
#: batches, of all partitions, that may wait for a subscriber to take the next one
WAITING_BATCHES = 64
BACK_OFF_S = (0.1, 3.0)


class Seat:
    """What waits for one subscriber of one partition."""

    __slots__ = ("_batches", "_count", "_wake", "cut", "why")

    def __init__(self) -> None:
        self._batches: deque[list[Recorded]] = deque()
        self._count = 0
        self._wake = asyncio.Event()
        #: too much waited: what is here is still taken, nothing is added
        self.cut = False
        #: why nothing more comes
        self.why: Exception | None = None

    def put(self, batch: list[Recorded]) -> None:
        if self.cut or (self._count and self._count + len(batch) > WAITING_EVENTS):
            self.cut = True
        else:
            self._batches.append(batch)
            self._count += len(batch)
        self._wake.set()

    def end(self, why: Exception | None = None) -> None:
        self.cut, self.why = True, why
        self._wake.set()

    async def get(self) -> list[Recorded] | None:
        """The next batch; None: it was cut off, and has taken all that was there. Raises: LogError: the line can't be read past that."""
        while not self._batches:
            if self.why is not None:
                raise LogError(str(self.why)) from self.why
            if self.cut:
                return None
            self._wake.clear()
            await self._wake.wait()
        batch = self._batches.popleft()
        self._count -= len(batch)
        return batch


class Line:
    """The live end of one partition.

    Attributes:
        position: offset after the last event that was given to the seats.
        recent_from: all counted events from this offset up to `position` are in `recent`, and so are earlier ones of a group that was
            still being written when the line began.
    """

    def __init__(self, log: Log, partition: int) -> None:
        self._log, self._partition = log, partition
        self.position = self.recent_from = 0
        self.recent: deque[list[Recorded]] = deque()
        self._recent = 0
        self.seats: set[Seat] = set()
        #: subscribers, seated or still reading by themselves
        self.users = 0
        self.ready = asyncio.Event()
        self.closed = False
        self.task = asyncio.create_task(self._run(), name=f"tail of partition {partition}")

    async def _run(self) -> None:
        pause = BACK_OFF_S[0]
        while True:
            try:
                if not self.ready.is_set():
                    self.position = self.recent_from = await self._log.end(EVENTS, self._partition)
                    self.ready.set()
                async for batch in counted(self._log, self._partition, self.position, follow=True, whole=True):
                    self._publish(batch)
                    pause = BACK_OFF_S[0]
            except LogError as e:
                log_.warning("subscribers wait for the log", partition=self._partition, why=str(e), again_s=pause)
            except Exception as e:  # noqa: BLE001 - waiting is no help: a broken chain, records that are gone or of a newer release
                log_.warning("subscribers are told that the log can't be read", partition=self._partition, why=str(e), again_s=pause)
                for seat in self.seats:
                    seat.end(e)
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACK_OFF_S[1])

    def _publish(self, batch: list[Recorded]) -> None:
        self.position = batch[-1].offset + 1
        self.recent.append(batch)
        self._recent += len(batch)
        while self._recent > RECENT_EVENTS:
            old = self.recent.popleft()
            self._recent -= len(old)
            self.recent_from = old[-1].offset + 1
        for seat in self.seats:
            seat.put(batch)

    def close(self) -> None:
        """Whoever listens is told that it is over, after what it has in hand."""
        self.closed = True
        self.task.cancel()
        self.ready.set()
        for seat in self.seats:
            seat.end()

    def sit(self, start: int) -> Seat:
        """From `start` on, which is not before `recent_from`."""
        seat = Seat()
        for batch in self.recent:
            if batch[-1].offset >= start:
                seat.put(batch)
        self.seats.add(seat)
        return seat


class Tail:
    """The lines of a node. A line lives while somebody listens."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.lines: dict[int, Line] = {}

    async def partition(self, partition: int, start: int | None = None) -> AsyncGenerator[list[Recorded], None]:
        """Counted events of one partition from offset `start` (None: from now on), live, until `close`. Batches are shared: not to be changed.
        Raises: LogError."""
        line = self.lines.get(partition)
        if line is None:
            line = self.lines[partition] = Line(self.log, partition)
        line.users += 1
        try:
            await line.ready.wait()
            at = await self.log.end(EVENTS, partition) if start is None else start
            while not line.closed:
                seen = at  # all that counts before it has been given, or isn't asked for
                while seen < line.recent_from:
                    end = await self.log.end(EVENTS, partition)
                    async for read in counted(self.log, partition, at):
                        at = read[-1].offset + 1
                        yield read
                    seen = max(at, end)
                seat = line.sit(at)
                try:
                    while (batch := await seat.get()) is not None:
                        if batch[0].offset < at:
                            batch = [r for r in batch if r.offset >= at]
                        if batch:
                            at = batch[-1].offset + 1
                            yield batch
                finally:
                    line.seats.discard(seat)
        finally:
            line.users -= 1
            if not line.users and self.lines.get(partition) is line:
                del self.lines[partition]
                line.close()

    async def source(self, partition: int, start: int) -> AsyncGenerator[tuple[list[Recorded], int], None]:
        """As `partition`, with the offset behind each batch: what the projector reads, so that what is new is fetched, checked and decoded once."""
        async with contextlib.aclosing(self.partition(partition, start)) as batches:
            async for batch in batches:
                yield batch, batch[-1].offset + 1

    async def events(self, partitions: int, positions: dict[int, int] | None = None) -> AsyncGenerator[list[Recorded], None]:
        """As `partition`, of all of them; a batch is of one partition. Raises: LogError."""
        queue: asyncio.Queue[list[Recorded]] = asyncio.Queue(maxsize=WAITING_BATCHES)

        async def follow(p: int) -> None:
            async with contextlib.aclosing(self.partition(p, (positions or {}).get(p))) as batches:
                async for batch in batches:
                    await queue.put(batch)

        tasks = [asyncio.create_task(follow(p)) for p in range(partitions)]
        getter: asyncio.Future[list[Recorded]] | None = None
        try:
            while True:
                getter = asyncio.ensure_future(queue.get())
                done, _ = await asyncio.wait([getter, *tasks], return_when=asyncio.FIRST_COMPLETED)
                if getter not in done:
                    for task in done:
                        task.result()
                    return
                yield getter.result()
        finally:
            if getter is not None:
                getter.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def ends(self, partitions: int) -> dict[int, int]:
        """partition -> the offset of its next event. Raises: LogError."""
        return {p: await self.log.end(EVENTS, p) for p in range(partitions)}

    async def one(self, partition: int, offset: int) -> Recorded | None:
        """The event there, of whom it is known that it counts; None: it is on the log no more. Raises: LogError."""
        try:
            async for batch in self.log.read(EVENTS, partition, offset, offset + 1):
                for record in batch:
                    if record.offset == offset:
                        return avro.Decoder().recorded(record.value, partition, offset)
        except OutOfRange:
            return None
        return None

    async def close(self) -> None:
        lines, self.lines = list(self.lines.values()), {}
        for line in lines:
            line.close()
        await asyncio.gather(*(line.task for line in lines), return_exceptions=True)
