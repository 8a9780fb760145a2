"""One connection of a door to a process of owners. It is made again for as long as the door lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.logs import log
from flowledger.processors.admission import Admission, counts
from flowledger.processors.client import Answer
from flowledger.processors.link import wire as w
from flowledger.processors.pollers import Jobs
from flowledger.processors.windows import Windows

log_ = log("link")

BACK_OFF_S = (0.01, 0.5)
#: the owners say every quarter of a second how they are; after this silence they count as stuck (seconds)
SILENT_S = 3.0
AGAIN = "the process of the owners is away for the moment: send it again, with the same id"
_decode_rejected = msgspec.json.Decoder(Rejected).decode


def _mono_us() -> int:
    return time.monotonic_ns() // 1000


class Source:
    """A stream of jobs as the door keeps it, so that it can be opened again. `take` gets jobs."""

    __slots__ = ("credit", "number", "poll", "take")

    def __init__(self, number: int, poll: w.Poll, take: Callable[[Jobs], None]) -> None:
        self.number, self.poll, self.take = number, poll, take
        #: jobs that may still come
        self.credit = poll.credit


class Door:
    """Attributes:
    up: connected and greeted.
    why: what is wrong when it isn't.
    health: what the owners said last; `heard` when (monotonic seconds).
    positions: `{partition: next offset}`, not older than any answer that came.
    """

    def __init__(
        self, path: Path, unwanted: Callable[[Jobs], None], known: Callable[[int], None] = lambda partitions: None, moved: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`moved`: the log has grown."""
        self.path = path
        self.up = asyncio.Event()
        self.why = "not connected yet"
        self.health: dict[str, Any] = {}
        self.heard = 0.0
        self.positions: dict[int, int] = {}
        self.definitions: dict[int, dict[str, Any]] = {}
        self._unwanted, self._known, self._moved = unwanted, known, moved
        self._wire: w.Wire | None = None
        self._number = 0
        #: number -> who waits, and its tenant where it counts for `admission`
        self._calls: dict[int, tuple[asyncio.Future[Answer], str | None]] = {}
        #: of the whole way to the owners and back, as this process meets it
        self.admission = Admission(_mono_us)
        #: how much of one tenant is under way while several are about; the rest waits here (partition, number, body)
        self.windows: Windows[tuple[int, int, bytes]] = Windows()
        self._polls: dict[int, asyncio.Future[Jobs | Rejected | None]] = {}
        self._part: dict[int, Jobs] = {}
        self._sources: dict[int, Source] = {}
        self._figures: dict[int, asyncio.Future[Any]] = {}
        self._lost_event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"link {self.path.name}")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._wire is not None:
            self._wire.close()
        self._gone("the door is closed")

    async def _keep(self) -> None:
        delay = BACK_OFF_S[0]
        loop = asyncio.get_running_loop()
        while True:
            self._lost_event.clear()
            wire = w.Wire(self._take, self._gone)
            try:
                await loop.create_unix_connection(lambda wire=wire: wire, str(self.path))  # type: ignore[misc]
            except OSError as e:
                if self.heard:
                    self.why = f"no owners answer at {self.path} ({e.strerror})"
                await asyncio.sleep(delay)
                delay = min(delay * 1.5, BACK_OFF_S[1])
                continue
            self._wire = wire
            wire.send(w.HELLO, 0, 0, w.encode({"version": w.VERSION}))
            await self._lost_event.wait()
            if self.up.is_set():
                delay = BACK_OFF_S[0]
            self.up.clear()
            await asyncio.sleep(delay)

    def _gone(self, why: str) -> None:
        """Whoever waits is told; streams wait for the next connection."""
        self.up.clear()
        self.why = f"the owners at {self.path.name} are gone: {why}"
        self._wire = None
        self._part.clear()
        calls, self._calls = self._calls, {}
        self.admission = Admission(_mono_us)
        self.windows.clear()
        gone = Rejected(RejectionCode.UNAVAILABLE, AGAIN, 200)
        for future, _ in calls.values():
            if not future.done():
                future.set_result(gone)
        polls, self._polls = self._polls, {}
        for poll in polls.values():
            if not poll.done():
                poll.set_result(None)
        figures, self._figures = self._figures, {}
        for each in figures.values():
            each.cancel()
        self._lost_event.set()

    def silent_s(self) -> float:
        """For how long nothing has been heard, in seconds."""
        return time.monotonic() - self.heard if self.heard else 0.0

    # --- in -------------------------------------------------------------------------------------------------------------------

    def _take(self, kind: int, partition: int, number: int, body: bytes) -> None:
        if kind == w.ANSWER:
            if (future := self._answered(number)) is not None and not future.done():
                future.set_result(w.decode(body))
        elif kind == w.REFUSED:
            self._refused(number, _decode_rejected(body))
        elif kind == w.JOBS:
            self._jobs(number, partition, w.decode(body))
        elif kind == w.HEADS:
            self.positions.update((int(p), at) for p, at in w.decode(body).items())
            self._moved()
        elif kind == w.HEALTH:
            self._healthy(w.decode(body))
        elif kind == w.DEFINITION:
            self.definitions[number] = w.decode(body)
        elif kind == w.FIGURES:
            if (waiting := self._figures.pop(number, None)) is not None and not waiting.done():
                waiting.set_result(w.decode(body))
        elif kind == w.WELCOME:
            self._welcomed()
        else:
            raise ValueError(f"unknown kind {kind}")

    def _welcomed(self) -> None:
        self.heard = time.monotonic()
        self.health, self.why = {}, ""
        for source in self._sources.values():
            self._open(source)
        self.up.set()

    def _healthy(self, found: dict[str, Any]) -> None:
        self.heard = time.monotonic()
        found["partitions"] = {int(p): v for p, v in found["partitions"].items()}
        self.health = found
        if found.get("log_partitions"):
            self._known(found["log_partitions"])
        for p, v in found["partitions"].items():
            self.positions[p] = max(v["position"], self.positions.get(p, 0))

    def _refused(self, number: int, why: Rejected) -> None:
        if (future := self._answered(number)) is not None:
            if not future.done():
                future.set_result(why)
        elif (poll := self._polls.pop(number, None)) is not None:
            if not poll.done():
                poll.set_result(why)
        elif not number:
            log_.error("the owners refuse this door", why=why.message)

    def _answered(self, number: int) -> asyncio.Future[Answer] | None:
        future, tenant = self._calls.pop(number, (None, None))
        if tenant is not None:
            queue = self.admission
            queue.ended(tenant)
            if queue.of:
                self._goes_on(number, tenant)
        return future

    def _goes_on(self, number: int, tenant: str) -> None:
        """One of several tenants was answered: what of it waited here may go."""
        windows, queue = self.windows, self.admission
        now = queue.clock()
        windows.answered(number, tenant, now)
        while windows.count and (found := windows.next(tenant, queue.of.get(tenant, 0), now)) is not None:
            if self._calls[found[1]][0].done():  # whoever asked has left, and nothing has begun
                del self._calls[found[1]]
                queue.ended(tenant)
                continue
            windows.sent(found[1], now)
            if self._wire is not None:
                self._wire.send(w.CALL, *found)

    def _jobs(self, number: int, more: int, jobs: Jobs) -> None:
        assert self._wire is not None
        self._wire.send(w.TOOK, 0, number)
        if (source := self._sources.get(number)) is not None:
            source.credit -= len(jobs)
            if jobs:
                source.take(jobs)
            return
        jobs = self._part.pop(number, []) + jobs
        if more:
            self._part[number] = jobs
        elif (poll := self._polls.pop(number, None)) is not None and not poll.done():
            poll.set_result(jobs)
        elif jobs:  # whoever asked has left
            self._unwanted(jobs)

    # --- out ------------------------------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._number += 1
        return self._number

    def call(self, request: c.Request, partition: int | None, future: asyncio.Future[Answer]) -> None:
        """The answer goes to `future`."""
        if self._wire is None or not self.up.is_set():
            future.set_result(Rejected(RejectionCode.UNAVAILABLE, AGAIN, 200))
            return
        command = request.command
        counted = counts(command)
        queue, now = self.admission, self.admission.clock()
        if counted and (refused := queue.refuses(command, "the server", now, tenant=request.tenant)) is not None:
            future.set_result(refused)
            return
        if len(self._calls) >= w.IN_FLIGHT_MAX:
            future.set_result(Rejected(RejectionCode.RESOURCE_EXHAUSTED, f"{len(self._calls)} calls are in flight: send slower", 500))
            return
        try:
            body = w.encode(request)
        except w.UNSAYABLE as e:
            future.set_result(Rejected(RejectionCode.INVALID_ARGUMENT, f"expected values that JSON can say: {e}"))
            return
        if len(body) > w.BODY_BYTES_MAX:
            future.set_result(
                Rejected(RejectionCode.INVALID_ARGUMENT, f"a command of {len(body)} bytes; at most {w.BODY_BYTES_MAX} are taken")
            )
            return
        number = self._next()
        self._calls[number] = future, request.tenant if counted else None
        to = -1 if partition is None else partition
        if counted:
            queue.began(now, tenant := request.tenant)
            if queue.of:
                if self.windows.holds(tenant, queue.of.get(tenant, 0), now):
                    self.windows.hold(tenant, (to, number, body))
                    return
                self.windows.sent(number, now)
        self._wire.send(w.CALL, to, number, body)

    async def poll(self, poll: w.Poll, patience_s: float) -> Jobs | Rejected | None:
        """The jobs of one long poll; None: the connection was lost meanwhile. A caller that is cancelled leaves no lease behind."""
        if self._wire is None or not self.up.is_set():
            return None
        number = self._next()
        future = self._polls[number] = asyncio.get_running_loop().create_future()
        self._wire.send(w.ACTIVATE, 0, number, w.encode(poll))
        try:
            await asyncio.wait((future,), timeout=poll.wait_ms / 1000 + patience_s)
        except asyncio.CancelledError:
            if future.done() and isinstance(jobs := future.result(), list):
                self._unwanted(jobs)
            raise
        finally:
            if self._polls.pop(number, None) is not None and self._wire is not None:
                self._wire.send(w.CANCEL, 0, number)
        return future.result() if future.done() else []

    def stream(self, poll: w.Poll, take: Callable[[Jobs], None]) -> Source:
        source = Source(self._next(), poll, take)
        self._sources[source.number] = source
        if self.up.is_set():
            self._open(source)
        return source

    def _open(self, source: Source) -> None:
        if self._wire is not None:
            source.poll.credit = source.credit
            self._wire.send(w.STREAM, 0, source.number, w.encode(source.poll))

    def credit(self, source: Source, more: int) -> None:
        source.credit += more
        if self._wire is not None and self.up.is_set():
            self._wire.send(w.CREDIT, more, source.number)

    def end(self, source: Source) -> None:
        """Jobs that come after this go back."""
        if self._sources.pop(source.number, None) is not None and self._wire is not None:
            self._wire.send(w.CLOSE, 0, source.number)

    async def figures(self, timeout_s: float) -> Any:
        """Metrics of the process; None when it doesn't answer in time."""
        if self._wire is None or not self.up.is_set():
            return None
        number = self._next()
        future = self._figures[number] = asyncio.get_running_loop().create_future()
        self._wire.send(w.FIGURES, 0, number)
        await asyncio.wait((future,), timeout=timeout_s)
        self._figures.pop(number, None)
        return future.result() if future.done() and not future.cancelled() else None
