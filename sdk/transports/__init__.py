"""How a worker gets jobs and hands back what became of them. Each transport is one module; `make` chooses by URL.

| URL | transport |
|---|---|
| `http://host:8080`, `https://…` | the job stream (WebSocket, batches); the default |
| `poll+http://…`, `poll+https://…` | HTTP long polling: through any proxy |
| `zeebe://host:26500`, `zeebes://…` (TLS) | the Zeebe protocol: `StreamActivatedJobs`, also of other Zeebe gateways |
| `kafka://host:9092/PREFIX?api=http://host:8080` | straight from the `tasks` topic; leases and answers over the API |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from flowledger.sdk.frames import Job, Outcome


class Link(Protocol):
    """What a transport asks of its worker. All methods are called from the event loop."""

    name: str
    token: str
    tenant: str

    @property
    def subscriptions(self) -> list[Any]:
        """(type, timeout_ms, credit, fetch) of each handler."""

    def deliver(self, jobs: list[Job]) -> None:
        """These are ours now."""

    def settled(self, keys: list[int]) -> None:
        """The outcomes of these are on the log."""

    def refused(self, key: int, code: str, message: str) -> None:
        """The outcome of this one will never count, or (UNAVAILABLE and the like) has to be said again."""

    def lost(self, keys: list[int]) -> None:
        """Stop working on these."""

    def connected(self) -> list[Outcome]:
        """A connection stands; answers the outcomes that were not acknowledged before it."""

    def free(self, type: str) -> int:
        """How many more jobs of the type the worker can take."""


class Transport(Protocol):
    async def run(self, link: Link) -> None:
        """Connect and work until cancelled, or until the connection ends (raises ConnectionError; the worker comes again)."""

    def send(self, outcomes: list[Outcome]) -> None:
        """Say what became of jobs; doesn't wait. What is not acknowledged before the connection ends is said again later."""

    def extend(self, jobs: list[tuple[int, int]], timeout_ms: int) -> None:
        """Heartbeat of (key, fence)."""

    async def drain(self) -> None:
        """Let no more jobs come."""

    def give_back(self, jobs: list[tuple[int, int]]) -> None:
        """Jobs that were not begun."""


def make(url: str) -> Transport:
    """Raises: ValueError, ImportError (the transport's library isn't installed)."""
    scheme, separator, rest = url.partition("://")
    maker = MAKERS.get(scheme)
    if maker is None or not separator or not rest:
        raise ValueError(f"expected a URL with one of {', '.join(MAKERS)}, found '{url}'")
    return maker(url)


def _stream(url: str) -> Transport:
    from flowledger.sdk.transports.stream import StreamTransport

    return StreamTransport(url)


def _poll(url: str) -> Transport:
    from flowledger.sdk.transports.poll import PollTransport

    return PollTransport(url.removeprefix("poll+"))


def _zeebe(url: str) -> Transport:
    from flowledger.sdk.transports.zeebe import ZeebeTransport

    return ZeebeTransport(url)


def _kafka(url: str) -> Transport:
    from flowledger.sdk.transports.tasks_topic import TasksTopicTransport

    return TasksTopicTransport(url)


MAKERS: dict[str, Callable[[str], Transport]] = {
    "http": _stream,
    "https": _stream,
    "poll+http": _poll,
    "poll+https": _poll,
    "zeebe": _zeebe,
    "zeebes": _zeebe,
    "kafka": _kafka,
}


class Tasks:
    """Background tasks of a transport that end with it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def cancel(self) -> None:
        tasks = [t for t in self._tasks if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
