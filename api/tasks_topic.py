"""Jobs to the `tasks` topic, for services that consume Kafka rather than call the API.

Each job is leased first, so a record carries a fencing number and a deadline like any other delivery: a consumer that dies, or never
looks, costs nothing but the lease, after which the job is published again with a higher number. Answers come over the API.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from flowledger.api.leases import close_source, give_back
from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.logs import log
from flowledger.processors.client import ENGINE, Caller, Client
from flowledger.processors.log import LogError
from flowledger.sdk.job_avro import encode

WORKER = "tasks-topic"
LEASE_MS = 300_000
#: jobs of a type that may be on the topic and unanswered
CREDIT = 10_000
#: seconds between two looks for leases that ran out, and until what failed is tried again
LOOK_S, AGAIN_S = 1.0, 1.0

#: key and value of a record
Publish = Callable[[bytes, bytes], Awaitable[Any]]


class Unpublishable(Exception):
    """The topic will never take this record."""


class TasksTopic:
    """Publishes the jobs of `types`: `TYPE`, or `TENANT/TYPE` for those of a tenant. `publish` returns when the record is on the log, and raises
    Unpublishable for one that can't be, ConnectionError or TimeoutError when it is to be tried again."""

    def __init__(self, client: Client, publish: Publish, types: Sequence[str], lease_ms: int = LEASE_MS, credit: int = CREDIT) -> None:
        self.client, self.publish, self.types, self.lease_ms, self._credit = client, publish, list(dict.fromkeys(types)), lease_ms, credit
        #: job -> (its entry of `types`, when its lease ends on this machine's clock): what is on the topic and unanswered
        self.out: dict[int, tuple[str, float]] = {}
        self._sources: dict[str, Any] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._settle())
            group.create_task(self._expire())
            for name in self.types:
                group.create_task(self._pump(name))

    async def _pump(self, name: str) -> None:
        tenant, _, type_ = name.rpartition("/")
        while True:
            left = max(1, self._credit - sum(n == name for n, _ in self.out.values()))
            source = self._sources[name] = self.client.stream(type_, WORKER, self.lease_ms, None, left, Caller(tenant=tenant))
            try:
                async for jobs in source:
                    await asyncio.gather(*(self._send(name, job) for job in jobs))
            except (ConnectionError, TimeoutError, LogError) as error:
                log("tasks topic").warning("a stream of jobs ended, and is opened again", type=name, why=str(error))
            finally:
                del self._sources[name]
                await close_source(self.client, source)
            await asyncio.sleep(AGAIN_S)

    async def _send(self, name: str, job: dict[str, Any]) -> None:
        key = job["key"]
        self._forget([key])  # its lease ran out before anybody answered: one place of the credit, not two
        self.out[key] = (name, time.monotonic() + self.lease_ms / 1000)
        try:
            await self.publish(job["type"].encode(), encode(job))
        except Unpublishable as error:
            text = f"the job can't be published to the tasks topic: {error}"
            await self.client.call(c.FailTask(task=key, retries=0, code="UNPUBLISHABLE", message=text, fence=job["fence"]), ENGINE)
        except (ConnectionError, TimeoutError) as error:
            log("tasks topic").warning("a job was not published, and is tried again", job=key, why=repr(error))
            await asyncio.sleep(AGAIN_S)
            await give_back(self.client, [job])
            self._forget([key])

    async def _settle(self) -> None:
        """Credit comes back when a job is answered, or its lease is over."""
        while True:
            try:
                async for batch in self.client.events():
                    for recorded in batch:
                        if (over := _OVER.get(type(recorded.event))) is not None:
                            self._forget(over(recorded.event))
            except (ConnectionError, TimeoutError, LogError) as error:
                log("tasks topic").warning("the events of jobs can't be read, and are tried again", why=str(error))
            await asyncio.sleep(AGAIN_S)

    async def _expire(self) -> None:
        """And with the lease at the latest: of a job that went with its element no event tells."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            self._forget([key for key, (_, end) in self.out.items() if end <= now])

    def _forget(self, keys: Iterable[int]) -> None:
        freed = Counter(found[0] for key in keys if (found := self.out.pop(key, None)) is not None)
        for name, n in freed.items():
            if (source := self._sources.get(name)) is not None:
                source.credit(n)


#: event -> jobs that are over, or free again
_OVER: dict[type, Callable[[Any], Iterable[int]]] = {
    ta.TaskCompleted: lambda e: (e.task,),
    ta.TaskFailed: lambda e: (e.task,),
    ta.TaskCancelled: lambda e: (e.task,),
    ta.TaskSkipped: lambda e: (e.task,),
    ta.TaskTimedOut: lambda e: e.tasks,
    ta.TaskReturned: lambda e: e.tasks,
}


async def publish_to_kafka(
    client: Client, bootstrap: str, types: Sequence[str], prefix: str = "flowledger", lease_ms: int = LEASE_MS, *,
    record_bytes_max: int = 16 * 1024 * 1024, credit: int = CREDIT, **settings: Any,
) -> None:  # fmt: skip
    """Until cancelled. `settings` go to the producer (security ...)."""
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordTooLargeError

    topic = f"{prefix}.tasks"

    async def publish(key: bytes, value: bytes) -> None:
        try:
            await producer.send_and_wait(topic, value, key)
        except (MessageSizeTooLargeError, RecordTooLargeError) as error:
            raise Unpublishable(f"{len(value)} bytes: {error}") from error
        except KafkaError as error:
            raise ConnectionError(repr(error)) from error

    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, linger_ms=2, max_request_size=record_bytes_max, **settings
    )
    await producer.start()
    try:
        await TasksTopic(client, publish, types, lease_ms, credit).run()
    finally:
        await producer.stop()
