"""The owners' side of the link: takes commands and polls of the doors that connect, answers when the log has it.

A door that dies gives up its polls and streams, and jobs on their way to it go back to the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import lookup
from flowledger.logs import log
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.processors.link import wire as w
from flowledger.processors.pollers import Jobs, Poller

log_ = log("link")

#: how often a door hears how the owners are (seconds)
TELL_S = 0.25


class Host:
    """Listens at `path`.

    Args:
        health: what the process says of itself, in place of the engine's own word.
        figures: metrics of this process, as JSON bytes, made when a door asks.
    """

    def __init__(
        self, engine: Engine, path: Path, health: Callable[[], dict[str, Any]] | None = None, figures: Callable[[], bytes] = lambda: b"[]"
    ) -> None:
        self.engine, self.path = engine, path
        self.health = health or engine.health
        self.figures = figures
        self.sessions: set[Session] = set()
        self.closing = False
        self._server: Any = None
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises: OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        was = os.umask(0o177)  # from its first moment on nobody else can connect
        try:
            listener.bind(str(self.path))
        finally:
            os.umask(was)
        self._inode = self.path.stat().st_ino
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: Session(self).wire, sock=listener)
        self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            if self.sessions:
                health = w.encode(self.health())
                for session in list(self.sessions):
                    session.tell(health)

    async def close(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        for session in list(self.sessions):
            session.wire.close()
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:  # another process may listen there by now
                self.path.unlink()


def _foreign(transport: Any) -> bool:
    """Somebody else's process is at the other end."""
    found = transport.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid not in (os.geteuid(), 0)


class Session:
    """One door."""

    def __init__(self, host: Host) -> None:
        self.host, self.engine = host, host.engine
        self.wire = w.Wire(self._take, self._lost)
        self.wire.before = self._heads
        self._greeted = False
        self._in_flight = 0
        self._polls: dict[int, asyncio.Task[None]] = {}
        self._streams: dict[int, Poller] = {}
        #: jobs that were written and of which the door has not said that they came to their taker
        self._under_way: deque[Jobs] = deque()
        self._positions: dict[int, int] = {}
        self._defined: dict[int, tuple[int, str]] = {}

    # --- what the door hears without asking ---------------------------------------------------------------------------------

    def tell(self, health: bytes) -> None:
        if self._greeted:
            self._definitions()
            self.wire.send(w.HEALTH, 0, 0, health)

    def _heads(self) -> None:
        """Before answers, how far the log is: who asks after them knows no less than they say."""
        moved = {p: o.acked for p, o in self.engine.owners.items() if self._positions.get(p) != o.acked}
        if moved and self._greeted:
            self._positions.update(moved)
            self.wire.send(w.HEADS, 0, 0, w.encode(moved))

    def _definitions(self) -> None:
        for owner in list(self.engine.owners.values()):
            for key, found in owner.state.definitions.items():
                seen = (id(found), found.status)
                if self._defined.get(key) != seen:
                    self._defined[key] = seen
                    fields = {**lookup.fields(found), "metadata": found.metadata, "tenant": found.tenant}
                    self.wire.send(w.DEFINITION, 0, key, w.encode(fields))

    # --- what the door wants --------------------------------------------------------------------------------------------------

    def _take(self, kind: int, partition: int, number: int, body: bytes) -> None:
        if not self._greeted and kind != w.HELLO:
            raise ValueError("expected HELLO first")
        if kind == w.CALL:
            self._call(partition, number, body)
        elif kind == w.ACTIVATE:
            self._activate(number, w.decode_poll(body))
        elif kind == w.CANCEL:
            if (task := self._polls.get(number)) is not None:
                task.cancel()
        elif kind == w.STREAM:
            self._stream(number, w.decode_poll(body))
        elif kind == w.CREDIT:
            if (poller := self._streams.get(number)) is not None:
                self.engine.pollers.credit(poller, partition)
        elif kind == w.CLOSE:
            if (poller := self._streams.pop(number, None)) is not None:
                self.engine.pollers.remove(poller)
        elif kind == w.TOOK:
            self._under_way.popleft()
        elif kind == w.FIGURES:
            self.wire.send(w.FIGURES, 0, number, self.host.figures())
        elif kind == w.HELLO:
            self._hello(body)
        else:
            raise ValueError(f"unknown kind {kind}")

    def _hello(self, body: bytes) -> None:
        found = w.decode(body).get("version")
        if _foreign(self.wire._transport):
            self.wire.abort("a process of another user")
        elif found != w.VERSION or len(self.host.sessions) >= w.CONNECTIONS_MAX:
            self._refuse(
                0, Rejected(RejectionCode.UNAVAILABLE, f"expected version {w.VERSION} and at most {w.CONNECTIONS_MAX} doors, found {found}")
            )
            self.wire.close()
        else:
            self._greeted = True
            self.host.sessions.add(self)
            self.wire.send(w.WELCOME, 0, 0, w.encode({"version": w.VERSION, "partitions": self.engine.partitions, "pid": os.getpid()}))
            self.tell(w.encode(self.host.health()))

    def _refuse(self, number: int, why: Rejected) -> None:
        self.wire.send(w.REFUSED, 0, number, w.encode(why))

    def _full(self, number: int) -> bool:
        if self.host.closing:
            self._refuse(number, Rejected(RejectionCode.UNAVAILABLE, "the owners go down: send it again, with the same id", 500))
        elif self._in_flight >= w.IN_FLIGHT_MAX:
            self._refuse(number, Rejected(RejectionCode.RESOURCE_EXHAUSTED, f"{self._in_flight} calls are in flight: send slower", 500))
        else:
            return False
        return True

    def _call(self, partition: int, number: int, body: bytes) -> None:
        try:
            request = w.decode_request(body)
        except (msgspec.DecodeError, RecursionError, ValueError) as e:
            self._refuse(number, Rejected(RejectionCode.INVALID_ARGUMENT, f"expected a command, found one that can't be read: {e}"))
            return
        if self._full(number):
            return
        caller = Caller(
            request.actor, request.tenant, request.correlation, request.trace, request.groups, request.rights, origin=request.origin
        )
        self._in_flight += 1
        future = self.engine.submit(request.command, caller, request.id, None if partition < 0 else partition, request.plan)
        changes = type(request.command) in c.CHANGES

        def settle(f: asyncio.Future[Any]) -> None:
            self._in_flight -= 1
            if changes:
                self._definitions()
            answer = Rejected(RejectionCode.UNAVAILABLE, "the owners go down") if f.cancelled() else f.result()
            if type(answer) is Rejected:
                self._refuse(number, answer)
                return
            try:
                said = w.encode(answer)
                if len(said) > w.BODY_BYTES_MAX:
                    raise ValueError(f"an answer of {len(said)} bytes, at most {w.BODY_BYTES_MAX} can be sent")
            except w.UNSAYABLE as e:
                self._refuse(number, Rejected("INTERNAL", f"it was done, but the answer can't be sent: {e}"))
                return
            self.wire.send(w.ANSWER, 0, number, said)

        if future.done():
            settle(future)
        else:
            future.add_done_callback(settle)

    # --- jobs -----------------------------------------------------------------------------------------------------------------

    def _activate(self, number: int, poll: w.Poll) -> None:
        if not self._full(number):
            self._in_flight += 1
            self._polls[number] = asyncio.get_running_loop().create_task(self._poll(number, poll))

    async def _poll(self, number: int, p: w.Poll) -> None:
        try:
            jobs = await self.engine.activate(p.job_type, p.worker, p.credit, p.timeout_ms, p.wait_ms, p.fetch, p.caller)
            self._hand(number, jobs)
        except ValueError as e:
            self._refuse(number, Rejected(RejectionCode.INVALID_ARGUMENT, str(e)))
        except Exception as e:
            log_.error("a poll failed", exc_info=e)
            self._refuse(number, Rejected(RejectionCode.UNAVAILABLE, f"the poll failed: {e!r}", 500))
        finally:
            self._in_flight -= 1
            self._polls.pop(number, None)

    def _stream(self, number: int, p: w.Poll) -> None:
        if self._full(number):
            return
        poller = Poller(p.job_type, p.worker, p.credit, p.timeout_ms, p.fetch, p.caller, False, lambda jobs: self._hand(number, jobs))
        self._streams[number] = poller
        self.engine.pollers.add(poller)

    def _hand(self, number: int, jobs: Jobs) -> None:
        """As many messages as the jobs need; the last one ends a poll."""
        if self.wire.closed:
            self.engine.pollers.unwanted(jobs)
            return
        parts: list[tuple[Jobs, bytes]] = []
        self._cut(jobs, parts)
        for i, (part, body) in enumerate(parts):
            self._under_way.append(part)
            self.wire.send(w.JOBS, len(parts) - 1 - i, number, body)

    def _cut(self, jobs: Jobs, parts: list[tuple[Jobs, bytes]]) -> None:
        try:
            body = w.encode(jobs)
        except w.UNSAYABLE as e:
            body = b""
            if len(jobs) == 1:
                log_.error("a job can't be sent", job=jobs[0]["key"], why=str(e))
                parts.append(([], b"[]"))
                return
        if body and (len(body) <= w.BODY_BYTES_MAX or len(jobs) < 2):
            parts.append((jobs, body))
        else:
            self._cut(jobs[: len(jobs) // 2], parts)
            self._cut(jobs[len(jobs) // 2 :], parts)

    def _lost(self, why: str) -> None:
        """The door is gone, and whoever stood behind it."""
        self.host.sessions.discard(self)
        for task in list(self._polls.values()):
            task.cancel()
        for poller in self._streams.values():
            self.engine.pollers.remove(poller)
        self._streams.clear()
        if jobs := [job for part in self._under_way for job in part]:
            self.engine.pollers.unwanted(jobs)
        self._under_way.clear()
        if not self.host.closing:
            log_.info("a door is gone", why=why, jobs_back=len(jobs))
