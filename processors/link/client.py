"""The client port over owners in other processes (`processors/client.py`), so that a door doesn't notice where they run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import routes
from flowledger.events.base import Recorded, Rejected, RejectionCode
from flowledger.kernel.limits import LEASE_MS_MAX
from flowledger.processors.client import ENGINE, NOBODY, Answer, Caller, request_of, within
from flowledger.processors.link import door as d
from flowledger.processors.link import wire as w
from flowledger.processors.log import Log
from flowledger.processors.pollers import Jobs
from flowledger.processors.tail import Tail

#: how much longer than it asked for a poll waits for the owners' word (seconds)
PATIENCE_S = 15.0


class LinkClient:
    """`Client` over the sockets at `paths`, one for each process of owners. Events are read from `log` itself.

    Args:
        partitions: until the owners have said how many there are.
        trouble, warned: what whoever runs the processes knows to be wrong, and what is no reason to stay away, for health.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        log: Log,
        partitions: int,
        trouble: Callable[[], list[str]] = list,
        warned: Callable[[], list[str]] = list,
    ) -> None:
        self.log, self.partitions = log, partitions
        self.tail = Tail(log)
        #: the owners have told how many partitions there are: the log is there
        self.known = asyncio.Event()
        #: `log` is open in this process
        self.opened = asyncio.Event()
        self.doors = [d.Door(path, self._unwanted, self._counted, log.nudge) for path in paths]
        self._trouble, self._warned = trouble, warned
        self._turn = 0
        self._opening = asyncio.Lock()
        self._background: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        for door in self.doors:
            door.start()

    async def open(self) -> None:
        """`log` in this process, where nobody has opened it yet: for who reads events. Raises: LogError."""
        async with self._opening:
            if not self.opened.is_set():
                await self.known.wait()
                await self.log.open()
                self.opened.set()

    async def stop(self) -> None:
        await self.tail.close()
        for door in self.doors:
            await door.close()

    def _counted(self, partitions: int) -> None:
        self.partitions = partitions
        self.known.set()

    def _door(self, partition: int | None) -> d.Door:
        """The one whose process owns the partition, else one that is up, in turn."""
        if len(self.doors) == 1:
            return self.doors[0]
        up = [door for door in self.doors if door.up.is_set()] or self.doors
        if partition is not None:
            for door in up:
                if partition in door.health.get("partitions", ()):
                    return door
        self._turn += 1
        return up[self._turn % len(up)]

    def late(self, kind: int, tenant: str | None = None) -> float:
        """What the next command of this class would wait at whichever owners are the quickest, when that is too long for its tenant (seconds)."""
        return min(door.admission.late(kind, tenant) for door in self.doors)

    # --- commands -------------------------------------------------------------------------------------------------------------

    def submit(
        self, command: c.AnyCommand, caller: Caller = NOBODY, id: str = "", partition: int | None = None, plan: str = ""
    ) -> asyncio.Future[Answer]:
        """As `call`, without waiting."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        request = request_of(command, caller, id, plan=plan)
        home = routes.home_of(command, id, self.partitions) if partition is None else partition
        self._door(home if home >= 0 else None).call(request, partition, future)
        return future

    async def call(
        self, command: c.AnyCommand, caller: Caller = NOBODY, *, id: str = "", partition: int | None = None, timeout_s: float = 30.0,
        plan: str = "",
    ) -> Answer:  # fmt: skip
        return await within(self.submit(command, caller, id, partition, plan), timeout_s)

    # --- jobs -----------------------------------------------------------------------------------------------------------------

    async def activate(
        self, job_type: str, worker: str, max_jobs: int, timeout_ms: int, wait_ms: int = 0, fetch: Sequence[str] | None = None,
        caller: Caller = NOBODY,
    ) -> Jobs:  # fmt: skip
        """A poll lasts through a restart of the owners. Raises: ValueError."""
        if not job_type or max_jobs < 1 or not 1 <= timeout_ms <= LEASE_MS_MAX:
            raise ValueError(f"expected a job type, at least one job and a timeout of 1 to {LEASE_MS_MAX} ms")
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_ms / 1000
        poll = w.poll_of(job_type, worker, max_jobs, timeout_ms, wait_ms, fetch, caller)
        while True:
            found = await self._door(None).poll(poll, PATIENCE_S)
            if isinstance(found, list) and (found or len(self.doors) == 1 or loop.time() >= end):
                return found
            if isinstance(found, Rejected) and found.code == RejectionCode.INVALID_ARGUMENT:
                raise ValueError(found.message)
            left = end - loop.time()
            if left <= 0:
                return []
            await asyncio.sleep(min(0.05, left))
            poll.wait_ms = max(0, int((end - loop.time()) * 1000))

    def stream(
        self, job_type: str, worker: str, timeout_ms: int, fetch: Sequence[str] | None = None, credit: int = 256, caller: Caller = NOBODY
    ) -> LinkStream:
        return LinkStream(self.doors, w.poll_of(job_type, worker, credit, timeout_ms, 0, fetch, caller))

    def _unwanted(self, jobs: Jobs) -> None:
        """They came to nobody: others may have them at once."""
        by_partition: dict[int, Jobs] = {}
        for job in jobs:
            by_partition.setdefault(c.partition_of_key(job["key"]), []).append(job)
        for p, those in by_partition.items():
            command = c.ReturnTasks(
                tasks=[j["key"] for j in those], fences=[j["fence"] for j in those], deadlines=[j["deadline_us"] for j in those]
            )
            self.submit(command, ENGINE, "", p)

    # --- looking --------------------------------------------------------------------------------------------------------------

    async def events(self, positions: dict[int, int] | None = None) -> AsyncGenerator[list[Recorded], None]:
        """Counted events of all partitions, live."""
        await self.opened.wait()
        async with contextlib.aclosing(self.tail.events(self.partitions, positions)) as batches:
            async for batch in batches:
                yield batch

    async def ends(self) -> dict[int, int]:
        await self.opened.wait()
        return await self.tail.ends(self.partitions)

    async def event(self, partition: int, offset: int) -> Recorded | None:
        await self.opened.wait()
        return await self.tail.one(partition, offset)

    def definition(self, key: int) -> dict[str, Any] | None:
        for door in self.doors:
            if (found := door.definitions.get(key)) is not None:
                return found
        return None

    def health(self) -> dict[str, Any]:
        """What the owners said last, and what is wrong with them or the way to them."""
        reasons = list(self._trouble())
        partitions: dict[int, dict[str, Any]] = {}
        warnings = self._warned()
        for door in self.doors:
            if not door.up.is_set():
                if not reasons:
                    reasons.append(door.why)
                continue
            warnings += door.health.get("warnings", [])
            reasons += door.health.get("reasons", ["the owners have not said yet how they are"])
            if (silent := door.silent_s()) > d.SILENT_S:
                reasons.append(f"the process of the owners has said nothing for {silent:.0f} s")
            for p, v in door.health.get("partitions", {}).items():
                partitions[p] = {**v, "position": door.positions.get(p, v["position"])}
        return {"ready": not reasons, "reasons": reasons, "warnings": warnings, "partitions": dict(sorted(partitions.items()))}

    async def figures(self, timeout_s: float = 1.0) -> list[Any]:
        """Metrics of each process that answers in time."""
        found = await asyncio.gather(*(door.figures(timeout_s) for door in self.doors))
        return [each for each in found if each is not None]


class LinkStream:
    """`JobStream` over all processes of owners; the credit is shared out, and given back to who has sent most."""

    def __init__(self, doors: Sequence[d.Door], poll: w.Poll) -> None:
        self._queue: asyncio.Queue[Jobs | None] = asyncio.Queue()
        share, rest = divmod(poll.credit, len(doors))
        self._parts: list[tuple[d.Door, d.Source]] = []
        for i, door in enumerate(doors):
            part = msgspec.structs.replace(poll, credit=share + (i < rest))
            self._parts.append((door, door.stream(part, self._queue.put_nowait)))

    def credit(self, more: int) -> None:
        if len(self._parts) == 1:
            self._parts[0][0].credit(self._parts[0][1], more)
            return
        for _ in range(more):
            door, source = min(self._parts, key=lambda part: part[1].credit)
            door.credit(source, 1)

    async def __aiter__(self) -> AsyncIterator[Jobs]:
        while (jobs := await self._queue.get()) is not None:
            yield jobs

    async def close(self) -> None:
        for door, source in self._parts:
            door.end(source)
        self._queue.put_nowait(None)
