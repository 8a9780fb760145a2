"""The server goes down: long polls and subscriptions end, and who is still sending a body is told so instead of being cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flowledger.api.problems import Problem
from flowledger.events.base import RejectionCode


def going_down(**extra: Any) -> Problem:
    return Problem(RejectionCode.UNAVAILABLE, "the server is going down; send it again", retry_after_ms=1000, **extra)


async def first(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    waiting = [asyncio.ensure_future(e.wait()) for e in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


class Closing(asyncio.Event):
    """Set once, at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._listening: set[asyncio.Task[Any]] = set()

    def set(self) -> None:
        super().set()
        for task in self._listening:
            task.cancel()

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """What waits in here, in the present task, ends with a Problem (503) when the server goes down."""
        task = asyncio.current_task()
        if task is None or self.is_set():
            yield
            return
        self._listening.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self.is_set() or task.cancelling() > 1:
                raise
            task.uncancel()
            raise going_down() from None
        finally:
            self._listening.discard(task)
