"""The webhooks that one process sends: those that no other does."""

from __future__ import annotations

import asyncio
import os
import time

from flowledger.connectors.webhooks.post import Post
from flowledger.connectors.webhooks.sender import Sender
from flowledger.events import webhooks as wh
from flowledger.events.base import Rejected
from flowledger.infra.egress import Gate
from flowledger.infra.egress_transport import client_of
from flowledger.infra.secrets import secrets_of
from flowledger.infra.settings import Settings
from flowledger.logs import log
from flowledger.processors.client import ENGINE, Client

#: how often homes are asked what is to be sent, and how long one may take (seconds)
LOOK_S, ASK_S = 2.0, 10.0
#: before a sender that failed is started again (seconds)
AGAIN_S = 2.0
#: webhooks that one process sends
SENDERS_MAX = 1_000


class Webhooks:
    """`run` until cancelled. Raises: SettingsError."""

    def __init__(self, client: Client, settings: Settings, gate: Gate | None = None) -> None:
        gate = gate or Gate.of(settings)
        self.client, self.node = client, f"{settings.node}-{os.getpid()}"
        self._http = client_of(gate)
        self.post = Post(self._http, gate, secrets_of(settings))
        #: key of a webhook -> who sends it
        self.senders: dict[int, Sender] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._not_before: dict[int, float] = {}

    async def run(self) -> None:
        try:
            while True:
                for partition in range(self.client.partitions):
                    await self._look(partition)
                await asyncio.sleep(LOOK_S)
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            await self._http.aclose()

    async def _look(self, partition: int) -> None:
        after: list[str] = []
        while True:
            answer = await self.client.call(wh.ListWebhooks(after=after), ENGINE, partition=partition, timeout_s=ASK_S)
            if isinstance(answer, Rejected):
                return
            for row in answer["items"]:
                self._seen(row)
            if not (after := answer["more"]):
                return

    def _seen(self, row: dict[str, object]) -> None:
        key, now = int(str(row["webhook"])), time.time()
        sender = self.senders.get(key)
        if sender is not None:
            if row["revision"] != sender.revision:
                sender.poked.set()
            return
        elsewhere = int(str(row["until_us"])) / 1e6 > now
        if row["paused"] or elsewhere or len(self.senders) >= SENDERS_MAX or self._not_before.get(key, 0.0) > now:
            return
        sender = self.senders[key] = Sender(self.client, self.post, str(row["tenant"]), str(row["name"]), self.node)
        self._tasks[key] = asyncio.create_task(self._send(key, sender), name=f"webhook {row['name']}")

    async def _send(self, key: int, sender: Sender) -> None:
        try:
            await sender.run()
            self._not_before.pop(key, None)
        except asyncio.CancelledError:
            raise
        except BaseException as e:  # noqa: BLE001 - one webhook doesn't end the others
            log("webhooks").error("a webhook can't be sent; it is tried again", webhook=sender.name, exc_info=e)
            self._not_before[key] = time.time() + AGAIN_S
        finally:
            self.senders.pop(key, None)
            self._tasks.pop(key, None)
