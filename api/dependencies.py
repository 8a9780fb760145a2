"""What a server stands on beside its owners: the log, PostgreSQL, the store of files, and how each is. Nobody who asks for health waits long for one that is
away: a look lasts on in the background, and what it found is believed for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from flowledger.api.reads import Reads
from flowledger.infra.blobs import Blobs
from flowledger.processors.client import Client

#: how long a look is believed, and how long one who asks waits for it (seconds)
FRESH_S, WAIT_S = 5.0, 1.0
#: an area of the store of files that no tenant has: a look at it moves no file
NOWHERE = "health"


class Watched:
    """`look` raises what is wrong."""

    def __init__(self, look: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._look, self._clock = look, clock
        self._task: asyncio.Task[str] | None = None
        self._said, self._until = "", float("-inf")

    async def why(self) -> str:
        """What is wrong; empty: nothing."""
        if self._clock() < self._until:
            return self._said
        if self._task is None:
            self._task = asyncio.create_task(self._looked())
        await asyncio.wait({self._task}, timeout=WAIT_S)
        return self._said if self._task is None else self._said or f"it has not answered within {WAIT_S:g} s"

    async def _looked(self) -> str:
        try:
            await self._look()
            self._said = ""
        except Exception as e:  # noqa: BLE001 - whatever it is, it is told
            self._said = str(e) or type(e).__name__
        self._until, self._task = self._clock() + FRESH_S, None
        return self._said


class Dependencies:
    """Of one process."""

    def __init__(self, client: Callable[[], Client], reads: Callable[[], Reads], blobs: Callable[[], Blobs | None]) -> None:
        self.log = Watched(lambda: client().ends())
        self.database = Watched(lambda: reads().database())
        self.files = Watched(lambda: asyncio.to_thread(self._files))
        self._blobs = blobs

    def _files(self) -> None:
        if (blobs := self._blobs()) is not None:
            next(iter(blobs.store.kept(NOWHERE)), None)


def part(why: str, kind: str) -> dict[str, Any]:
    return {"ok": not why, "why": why, "kind": kind}
