"""Which webhooks there are, as this node knows it: asked of the triggers' homes when one is missed, and when a home says that what was known is of before.

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
    def __init__(self, client: Client) -> None:
        self._client = client
        #: of each partition, as it was last told
        self._of: dict[int, list[Hook]] = {}
        self._by_path: dict[str, Hook] = {}
        self._began, self._waiting = -math.inf, 0
        self._asking: asyncio.Task[None] | None = None
        #: partitions that could not be asked the last time
        self.away = True

    def get(self, path: str) -> Hook | None:
        return self._by_path.get(path)

    async def again(self) -> None:
        """What was so when this was called is known afterwards, as far as partitions answer."""
        since = time.monotonic()
        if self._waiting >= WAITING_MAX:
            return
        self._waiting += 1
        try:
            while self._began < since:
                if self._asking is None or self._asking.done():
                    self._asking = asyncio.create_task(self._ask(), name="webhooks")
                await asyncio.shield(self._asking)
        finally:
            self._waiting -= 1

    async def _ask(self) -> None:
        await asyncio.sleep(max(0.0, self._began + AGAIN_S - time.monotonic()))
        self._began = time.monotonic()
        told = await asyncio.gather(*(self._listed(p) for p in range(self._client.partitions)))
        self.away = not all(told)
        found: dict[str, Hook] = {}
        for hook in sorted((h for hooks in self._of.values() for h in hooks), key=lambda h: h.definition):
            found[hook.config["path"]] = (
                hook  # of two with one path (an older version came into force again) the one that was deployed last
            )
        self._by_path = found

    async def _listed(self, partition: int) -> bool:
        after: list[str] = []
        found: list[Hook] = []
        while True:
            command = tr.ListTriggers(sources=[HOOK], after=after)
            answer = await self._client.call(command, ENGINE, partition=partition, timeout_s=ASK_S)
            if isinstance(answer, Rejected):
                return False
            found += [Hook(i["tenant"], i["name"], i["definition"], i["paused"], i["config"]) for i in answer["items"]]
            if not (after := answer["more"]):
                break
        self._of[partition] = found
        return True
