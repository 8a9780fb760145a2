"""Work that keeps a processor busy and comes from callers: a few at a time, a few of one caller, and not without end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from flowledger.api.problems import Problem
from flowledger.events.base import RejectionCode

T = TypeVar("T")
#: at a time in a process: those that work, those that wait for it; and of one caller
AT_ONCE, WAITING_MAX, CALLERS_MAX = 2, 32, 4


class Room:
    """A few at a time work in threads of their own, a few more wait; who finds no room is told to come again."""

    def __init__(
        self, at_once: int = AT_ONCE, waiting: int = WAITING_MAX, of_one: int = CALLERS_MAX, what: str = "models are looked at"
    ) -> None:
        """`what`: of people's texts."""
        self._what = what
        self._places = asyncio.Semaphore(at_once)
        self._most, self._of_one = at_once + waiting, of_one
        self._by: Counter[tuple[str, str]] = Counter()

    @contextlib.asynccontextmanager
    async def place(self, who: tuple[str, str]) -> AsyncIterator[None]:
        if self._by[who] >= self._of_one:
            raise Problem(RejectionCode.RESOURCE_EXHAUSTED, f"at most {self._of_one} at a time of one caller: {self._what}")
        if self._by.total() >= self._most:
            raise Problem(RejectionCode.RESOURCE_EXHAUSTED, f"{self._most} {self._what} already")
        self._by[who] += 1
        try:
            async with self._places:
                yield
        finally:
            self._by[who] -= 1
            if not self._by[who]:
                del self._by[who]

    async def work(self, who: tuple[str, str], work: Callable[..., T], *values: Any) -> T:
        """Raises: Problem (429)."""
        async with self.place(who):
            return await asyncio.to_thread(work, *values)
