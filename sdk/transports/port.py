"""What a worker and its transport ask of each other."""

from __future__ import annotations

import asyncio
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
    #: its protocol has no place for what a result or a failure tells beside variables
    variables_only: bool

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
