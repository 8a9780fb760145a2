"""Who works right now: the live list of workers of this node, with the jobs that each holds.

Fed by whatever hands jobs out (HTTP long poll, the job stream, the Zeebe gateway). Answers `GET /v1/workers` and finds the worker that
must be told when its job is cancelled. Nothing here is durable: leases are on the log, this is what the node saw since it started.
A worker that polls leaves no connection open, so it is listed until it has been silent for `silence_s`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from flowledger.events import flow, task, workflow
from flowledger.processors.client import Client
from flowledger.processors.log import LogError

#: jobs remembered for one worker; the oldest is forgotten first (its lease is long over by then)
HELD_MAX = 100_000
#: types of jobs listed of one worker, and workers that poll: whoever makes up names must not fill the memory; what was heard of last is kept
TYPES_MAX = 200
POLLING_MAX = 10_000
#: seconds after which a polling worker that asks for nothing is no longer listed
SILENCE_S = 120.0


class Held:
    """A job in a worker's hands. `deadline_us`: end of the lease, microseconds UTC."""

    __slots__ = ("deadline_us", "fence", "instance", "token", "type")

    def __init__(self, job: dict[str, Any]) -> None:
        self.type = job["type"]
        self.instance = job.get("instance", 0)
        self.token = job.get("token", 0)
        self.fence = job.get("fence", 0)
        self.deadline_us = job.get("deadline_us", 0)


class WorkerSession:
    """One worker on one connection (or, when it polls, under one name)."""

    __slots__ = (
        "address", "completed", "connected", "failed", "heard", "held", "id", "last_seen", "name", "on_cancel", "since", "tenant", "transport",
        "types",
    )  # fmt: skip

    def __init__(
        self, id: str, name: str, transport: str, address: str, tenant: str, on_cancel: Callable[[dict[int, Held]], None] | None
    ) -> None:
        self.id, self.name, self.transport, self.address, self.tenant = id, name, transport, address, tenant
        self.seen()
        self.since = self.last_seen
        self.connected = on_cancel is not None
        self.on_cancel = on_cancel
        self.types: dict[str, None] = {}
        self.held: dict[int, Held] = {}
        self.completed = self.failed = 0

    def seen(self) -> None:
        """It said something. `last_seen` is for people, `heard` says how long ago, whatever the wall clock does."""
        self.last_seen, self.heard = time.time(), time.monotonic()

    def asks_for(self, type: str) -> None:
        self.types.pop(type, None)
        self.types[type] = None
        if len(self.types) > TYPES_MAX:
            del self.types[next(iter(self.types))]

    def listing(self, now: float, held_max: int) -> dict[str, Any]:
        return {
            "id": self.id,
            "worker": self.name,
            "transport": self.transport,
            "address": self.address,
            "tenant": self.tenant,
            "types": sorted(self.types),
            "since_us": int(self.since * 1e6),
            "last_seen_us": int(self.last_seen * 1e6),
            "connected": self.connected,
            "completed": self.completed,
            "failed": self.failed,
            "holds_count": len(self.held),
            "holds": [
                {
                    "key": str(key),
                    "type": h.type,
                    "instance": str(h.instance),
                    "deadline_us": h.deadline_us,
                    "overdue": h.deadline_us < now * 1e6,
                }
                for key, h in list(self.held.items())[:held_max]
            ],
        }


class Workers:
    """The registry. All methods are called from the event loop's thread."""

    def __init__(self, silence_s: float = SILENCE_S) -> None:
        self.sessions: dict[str, WorkerSession] = {}
        #: those that poll, whoever was heard of last at the end
        self._polling: dict[str, WorkerSession] = {}
        self._by_job: dict[int, WorkerSession] = {}
        self._silence_s = silence_s
        self._count = 0

    def connect(
        self, name: str, transport: str, address: str = "", tenant: str = "", on_cancel: Callable[[dict[int, Held]], None] | None = None
    ) -> WorkerSession:
        """A worker with a connection; `gone` ends it. `on_cancel` is called with jobs that it need not go on with, by key."""
        self._count += 1
        session = WorkerSession(f"{transport}-{self._count}", name, transport, address, tenant, on_cancel or _nothing)
        self.sessions[session.id] = session
        return session

    def polled(self, name: str, transport: str, address: str = "", tenant: str = "") -> WorkerSession:
        """The session of a worker that polls, known by name, transport and tenant."""
        id = f"{transport}:{tenant}:{name}"
        session = self._polling.pop(id, None)
        if session is None:
            self._forget_silent()
            if len(self._polling) >= POLLING_MAX:
                self.gone(next(iter(self._polling.values())))
            session = self.sessions[id] = WorkerSession(id, name, transport, address, tenant, None)
        self._polling[id] = session
        session.seen()
        return session

    def handed(self, session: WorkerSession, jobs: Iterable[dict[str, Any]]) -> None:
        """`session` has these jobs now; whoever had them before has lost them."""
        held, by_job = session.held, self._by_job
        for job in jobs:
            key = job["key"]
            if by_job.get(key, session) is not session:
                self.cancel((key,))
            held[key] = Held(job)
            by_job[key] = session
        while len(held) > HELD_MAX:
            key = next(iter(held))
            del held[key]
            by_job.pop(key, None)

    def rests(self, key: int) -> None:
        """Nobody works on the job, though its lease goes on: somebody else ends it."""
        session = self._by_job.pop(key, None)
        if session is not None:
            session.held.pop(key, None)

    def settled(self, key: int, completed: bool = True) -> None:
        """The job is completed, failed, or known to be gone."""
        session = self._by_job.pop(key, None)
        if session is not None:
            session.held.pop(key, None)
            if completed:
                session.completed += 1
            else:
                session.failed += 1

    def fence(self, key: int) -> int:
        """The fencing number under which the job was last handed out here; 0: not known."""
        session = self._by_job.get(key)
        held = session.held.get(key) if session is not None else None
        return held.fence if held is not None else 0

    def extended(self, key: int, deadline_us: int) -> None:
        session = self._by_job.get(key)
        held = session.held.get(key) if session is not None else None
        if held is not None:
            held.deadline_us = deadline_us

    def gone(self, session: WorkerSession) -> list[int]:
        """The connection has ended. Answers the keys that it still held; their leases run out by themselves."""
        self.sessions.pop(session.id, None)
        self._polling.pop(session.id, None)
        keys = list(session.held)
        for key in keys:
            if self._by_job.get(key) is session:
                del self._by_job[key]
        session.held.clear()
        return keys

    def listing(self, held_max: int = 100) -> list[dict[str, Any]]:
        """The answer of `GET /v1/workers`: workers by name, each with up to `held_max` of the jobs that it holds."""
        self._forget_silent()
        now = time.time()
        return [s.listing(now, held_max) for s in sorted(self.sessions.values(), key=lambda s: (s.name, s.id))]

    def _forget_silent(self) -> None:
        edge = time.monotonic() - self._silence_s
        while (session := next(iter(self._polling.values()), None)) is not None and session.heard < edge:
            self.gone(session)

    # --- cancellation ---------------------------------------------------------------------------------------------------

    def cancel(self, keys: Iterable[int]) -> None:
        """Tell the holders of these jobs that nobody waits for them any more."""
        told: dict[str, tuple[WorkerSession, dict[int, Held]]] = {}
        for key in keys:
            session = self._by_job.pop(key, None)
            if session is not None and (held := session.held.pop(key, None)) is not None:
                told.setdefault(session.id, (session, {}))[1][key] = held
        for session, gone in told.values():
            if session.on_cancel is not None:
                session.on_cancel(gone)

    def of_instance(self, instance: int) -> list[int]:
        return [key for key, session in self._by_job.items() if (h := session.held.get(key)) is not None and h.instance == instance]

    def of_token(self, token: int) -> list[int]:
        return [key for key, session in self._by_job.items() if (h := session.held.get(key)) is not None and h.token == token]

    def see(self, event: Any) -> None:
        """One counted event: does it take a job away from its holder?"""
        lost = _TAKES_AWAY.get(type(event))
        if lost is not None and self._by_job:
            self.cancel(lost(self, event))

    async def watch(self, client: Client) -> None:
        """Follow the log and tell workers of jobs that were cancelled, timed out or lost their element. Runs until cancelled."""
        while True:
            with suppress(ConnectionError, TimeoutError, LogError):
                async for batch in client.events():
                    takes = _TAKES_AWAY
                    for recorded in batch:
                        if type(recorded.event) in takes:
                            self.see(recorded.event)
            await asyncio.sleep(0.5)


def _nothing(jobs: dict[int, Held]) -> None:
    """A connection over which nothing can be told."""


#: event -> keys of the jobs whose holder need not go on
_TAKES_AWAY: dict[type, Callable[[Workers, Any], Iterable[int]]] = {
    task.TaskCancelled: lambda w, e: (e.task,),
    task.TaskSkipped: lambda w, e: (e.task,),
    task.TaskTimedOut: lambda w, e: e.tasks,
    task.TaskReturned: lambda w, e: e.tasks,
    flow.ElementTerminated: lambda w, e: w.of_token(e.token),
    workflow.WorkflowCancelled: lambda w, e: w.of_instance(e.key),
    workflow.WorkflowTerminated: lambda w, e: w.of_instance(e.key),
    workflow.WorkflowFailed: lambda w, e: w.of_instance(e.key),
}
