"""How connectors get their jobs: the frames of the job stream (`sdk/frames.py`), without a socket between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from flowledger.api.job_stream import JobSession
from flowledger.api.workers import Workers
from flowledger.processors.client import Caller, Client
from flowledger.sdk import frames as f
from flowledger.sdk.transports.port import Link
from flowledger.sdk.transports.stream import StreamTransport

#: how long one look for jobs through the log lasts, and the pause after a look that failed (seconds)
LOOK_S, AGAIN_S = 10.0, 1.0


class DirectTransport(StreamTransport):
    """A worker's transport over the client port of this process."""

    def __init__(self, client: Client, workers: Workers) -> None:
        super().__init__("http://in-process")
        self._client, self._workers = client, workers

    async def run(self, link: Link) -> None:
        async def arrived(message: bytes) -> None:
            self._read(link, message)

        session = JobSession(self._client, self._workers, arrived, Caller(actor=link.name, tenant=link.tenant), "connectors")
        self._drained.clear()
        session.receive(f.encode(f.Hello(link.name, [f.Subscription(*s) for s in link.subscriptions])))
        self._out, self._outcomes, self._open = [], link.connected(), True
        self._wake.set()
        try:
            await self._write(_Socket(session))
        finally:
            self._open = False
            self._drained.set()
            await session.close()


class _Socket:
    """What the transport writes to."""

    def __init__(self, session: JobSession) -> None:
        self._session = session

    async def send(self, message: bytes) -> None:
        self._session.receive(message)


#: who can only ask by the log, where each question stands for a while, looks for work so often (seconds)
LOOK_BY_LOG_S = 10.0


class Looking:
    """A client whose streams look for jobs through the log: for a node beside which no owners run."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def stream(
        self,
        job_type: str,
        worker: str,
        timeout_ms: int,
        fetch: Sequence[str] | None = None,
        credit: int = 256,
        caller: Caller | None = None,
    ) -> Looks:
        return Looks(self._client, job_type, worker, timeout_ms, fetch, credit, caller or Caller())


class Looks:
    """`JobStream` made of one look after the other."""

    def __init__(
        self, client: Any, job_type: str, worker: str, timeout_ms: int, fetch: Sequence[str] | None, credit: int, caller: Caller
    ) -> None:
        self._client, self._asked = client, (job_type, worker, timeout_ms, fetch, caller)
        self._credit = credit
        self._more = asyncio.Event()
        self._closed = False

    def credit(self, more: int) -> None:
        self._credit += more
        self._more.set()

    async def __aiter__(self) -> AsyncIterator[list[dict[str, Any]]]:
        job_type, worker, timeout_ms, fetch, caller = self._asked
        while not self._closed:
            if self._credit <= 0:
                self._more.clear()
                await self._more.wait()
                continue
            try:
                jobs = await self._client.activate(job_type, worker, self._credit, timeout_ms, int(LOOK_S * 1000), fetch, caller)
            except (ConnectionError, TimeoutError):
                await asyncio.sleep(AGAIN_S)
                continue
            if jobs:
                self._credit -= len(jobs)
                yield jobs

    async def close(self) -> None:
        self._closed = True
        self._more.set()
