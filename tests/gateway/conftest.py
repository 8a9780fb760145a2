"""A scripted engine: answers what a test tells it, hands out the jobs that it is given, and remembers what was asked."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from flowledger.api.grpc.gateway import Gateway
from flowledger.api.grpc.http2 import listen
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.processors.client import NOBODY

sys.path.insert(0, str(Path(__file__).parent))


class FakeClient:
    partitions = 3

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any]] = []
        self.answers: dict[type, Any] = {
            c.CompleteTask: self.complete,
            c.FailTask: self.complete,
            c.ThrowTaskError: self.complete,
            c.ExtendLease: self.extend,
            c.MoveTask: self.move,
            c.ReturnTasks: self.take_back,
        }
        self.waiting: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self.held: dict[int, dict[str, Any]] = {}
        self.changed = asyncio.Event()
        self.definitions: dict[int, dict[str, Any]] = {}
        self.log: asyncio.Queue[Any] = asyncio.Queue()
        self.ready = True
        self.streams = 0

    def add(self, n: int = 1, type: str = "pay", **more: Any) -> list[int]:
        """Jobs that wait for a worker; their keys."""
        keys = []
        for _ in range(n):
            key = (1 << 51) + len(self.waiting) + int(time.monotonic_ns() % 10**9) * 1000 + len(keys)
            job = {
                "key": key,
                "type": type,
                "instance": 7,
                "process": "order",
                "definition": 5,
                "version": 2,
                "element": "e1",
                "token": 9,
                "headers": {"h": "1"},
                "variables": {"a": 1},
                "attempt": 1,
                "retries": 3,
                "deadline_us": 0,
                "worker": "",
                "fence": 0,
                "tenant": "",
                "idempotency_key": f"{key}-1",
                "trace": "",
            }
            job.update(more)
            self.waiting[type].append(job)
            keys.append(key)
        self.wake()
        return keys

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def lease(self, type: str, worker: str, most: int, timeout_ms: int, tenant: str) -> list[dict[str, Any]]:
        found = []
        queue = self.waiting[type]
        for _ in range(len(queue)):
            job = queue.popleft()
            if len(found) < most and job["tenant"] == tenant:
                job = {**job, "worker": worker, "fence": job["fence"] + 1, "deadline_us": int(time.time() * 1e6) + timeout_ms * 1000}
                self.held[job["key"]] = job
                found.append(job)
            else:
                queue.append(job)
        return found

    def expire(self, key: int) -> None:
        """The lease of a job runs out."""
        job = self.held.pop(key)
        self.waiting[job["type"]].append(job)
        self.wake()

    def complete(self, command: Any) -> Any:
        job = self.held.get(command.task)
        if job is None:
            return Rejected("NOT_FOUND", f"no task {command.task}")
        if command.fence and command.fence != job["fence"]:
            return Rejected("STALE", f"task {command.task} went to another worker")
        del self.held[command.task]
        if isinstance(command, c.FailTask) and command.retries != 0 and command.backoff_ms <= 0:
            self.waiting[job["type"]].append({**job, "retries": job["retries"] - 1, "attempt": job["attempt"] + 1})
            self.wake()
        return {"position": "0-1"}

    def extend(self, command: Any) -> Any:
        job = self.held.get(command.task)
        if job is None:
            return Rejected("NOT_FOUND", f"no task {command.task}")
        job["deadline_us"] = int(time.time() * 1e6) + command.timeout_ms * 1000
        if command.timeout_ms == 1:
            self.expire(command.task)
        return {"position": "0-1"}

    def move(self, command: Any) -> Any:
        job = self.held.get(command.task)
        if job is None:
            return Rejected("NOT_FOUND", f"no task {command.task}")
        if command.move == "release":
            self.expire(command.task)
        return {"task": command.task, "status": "created", "row_version": 1}

    def take_back(self, command: Any) -> Any:
        for task, fence in zip(command.tasks, command.fences, strict=True):
            if (job := self.held.get(task)) is not None and job["fence"] == fence:
                self.expire(task)
        return {"returned": list(command.tasks)}

    def asked(self, cls: type) -> list[Any]:
        return [command for command, _ in self.calls if isinstance(command, cls)]

    # --- the port -------------------------------------------------------------------------------------------------------

    async def call(self, command: Any, caller: Any = NOBODY, *, id: str = "", partition: int | None = None, timeout_s: float = 30.0) -> Any:
        self.calls.append((command, caller))
        answer = self.answers.get(type(command), {"position": ""})
        if callable(answer):
            answer = answer(command)
        if asyncio.iscoroutine(answer):
            answer = await answer
        else:
            await asyncio.sleep(0)
        return answer

    async def activate(
        self, job_type: str, worker: str, max_jobs: int, timeout_ms: int, wait_ms: int = 0, fetch: Any = None, caller: Any = NOBODY
    ) -> list[dict[str, Any]]:
        end = time.monotonic() + wait_ms / 1000
        while True:
            if jobs := self.lease(job_type, worker, max_jobs, timeout_ms, caller.tenant):
                return jobs
            left = end - time.monotonic()
            if left <= 0:
                return []
            try:
                await asyncio.wait_for(self.changed.wait(), left)
            except TimeoutError:
                return []

    def stream(self, job_type: str, worker: str, timeout_ms: int, fetch: Any = None, credit: int = 256, caller: Any = NOBODY) -> Any:
        return FakeStream(self, job_type, worker, timeout_ms, credit, caller)

    async def events(self, positions: Any = None) -> Any:
        while True:
            yield await self.log.get()

    def definition(self, key: int) -> dict[str, Any] | None:
        return self.definitions.get(key)

    def health(self) -> dict[str, Any]:
        return {"ready": self.ready, "reasons": [], "partitions": {p: {"epoch": 1, "position": 0} for p in range(self.partitions)}}


class FakeStream:
    def __init__(self, client: FakeClient, type: str, worker: str, timeout_ms: int, credit: int, caller: Any) -> None:
        self.client, self.type, self.worker, self.timeout_ms, self.left, self.caller = client, type, worker, timeout_ms, credit, caller
        client.streams += 1
        self.closed = False

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> list[dict[str, Any]]:
        while True:
            if self.closed:
                raise StopAsyncIteration
            jobs = self.client.lease(self.type, self.worker, self.left, self.timeout_ms, self.caller.tenant) if self.left > 0 else []
            if jobs:
                self.left -= len(jobs)
                return jobs
            await self.client.changed.wait()

    def credit(self, more: int) -> None:
        self.left += more
        self.client.wake()

    async def close(self) -> None:
        self.closed = True
        self.client.streams -= 1


def pytest_asyncio_loop_factories() -> dict[str, Any]:
    """The server's loop; its transports differ in details from asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def engine() -> FakeClient:
    return FakeClient()


@pytest.fixture
async def gateway(engine: FakeClient) -> AsyncIterator[Gateway]:
    g = Gateway(engine)
    server = await listen(g, port=0)
    yield g
    await server.close(0.1)
