"""Which triggers there are that something is handed to (webhooks, events of capabilities), as this node knows it: asked of the triggers' homes when one is
missed, and when a home says that what was known is of before.

A home takes items of the version in force only, so what is old here lets nobody in; it is asked again.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any, NamedTuple

from flowledger.events import triggers as tr
from flowledger.events.base import Rejected
from flowledger.kernel.triggers.paths import HOOK
from flowledger.processors.client import ENGINE, Client

#: not more often than this (seconds): strangers may ask for what isn't there as often as they like
AGAIN_S = 0.25
#: who waits for that at once; all others are told what is known
WAITING_MAX = 200
ASK_S = 5.0


class Hook(NamedTuple):
    tenant: str
    name: str
    definition: int
    paused: bool
    config: dict[str, Any]


class Known:
    """`source`: which ones."""

    def __init__(self, client: Client, source: str) -> None:
        self._client, self._source = client, source
        #: of each partition, as it was last told
        self._of: dict[int, list[Hook]] = {}
        #: in the order of their deployment
        self.all: list[Hook] = []
        self._began, self._waiting = -math.inf, 0
        self._asking: asyncio.Task[None] | None = None
        #: partitions that could not be asked the last time
        self.away = True

    async def again(self) -> None:
        """What was so when this was called is known afterwards, as far as partitions answer."""
        since = time.monotonic()
        if self._waiting >= WAITING_MAX:
            return
        self._waiting += 1
        try:
            while self._began < since:
                if self._asking is None or self._asking.done():
                    self._asking = asyncio.create_task(self._ask(), name=f"triggers-{self._source}")
                await asyncio.shield(self._asking)
        finally:
            self._waiting -= 1

    async def _ask(self) -> None:
        await asyncio.sleep(max(0.0, self._began + AGAIN_S - time.monotonic()))
        self._began = time.monotonic()
        self.away = not all(await self._partitions())
        self.all = sorted((h for hooks in self._of.values() for h in hooks), key=lambda h: h.definition)
        self._settle()

    async def _partitions(self) -> list[bool]:
        """Asks them: whether each has answered."""
        return await asyncio.gather(*(self._listed(p) for p in range(self._client.partitions)))

    def _settle(self) -> None:
        """All were told anew."""

    async def _listed(self, partition: int, **more: Any) -> bool:
        after: list[str] = []
        found: list[Hook] = []
        while True:
            command = tr.ListTriggers(sources=[self._source], after=after, **more)
            answer = await self._client.call(command, ENGINE, partition=partition, timeout_s=ASK_S)
            if isinstance(answer, Rejected):
                return False
            found += [Hook(i["tenant"], i["name"], i["definition"], i.get("paused", False), i["config"]) for i in answer["items"]]
            if not (after := answer["more"]):
                break
        self._of[partition] = found
        return True


class Deployed(Known):
    """As the first partition has them, by which every definition comes: one question, however many partitions there are. What is paused only a home knows, and
    refuses what it is handed."""

    async def _partitions(self) -> list[bool]:
        return [await self._listed(0, deployed=True)]


class Paths(Known):
    """Webhooks, by their paths."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, HOOK)
        self._by_path: dict[str, Hook] = {}

    def get(self, path: str) -> Hook | None:
        return self._by_path.get(path)

    def _settle(self) -> None:
        # of two with one path (an older version came into force again) the one that was deployed last
        self._by_path = {h.config["path"]: h for h in self.all}
