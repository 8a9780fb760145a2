"""Jobs to the `tasks` topic, for services that consume Kafka rather than call the API.

Each job is leased first, so a record carries a fencing number and a deadline like any other delivery: a consumer that dies, or never
looks, costs nothing but the lease, after which the job is published again with a higher number. Answers come over the API.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from flowledger.api.leases import close_source
from flowledger.events import task as ta
from flowledger.processors.client import Client
from flowledger.sdk.job_avro import encode

WORKER = "tasks-topic"
LEASE_MS = 300_000
#: jobs of a type that may be on the topic and unanswered
CREDIT = 10_000

#: key and value of a record
Publish = Callable[[bytes, bytes], Awaitable[Any]]


class TasksTopic:
    """Publishes the jobs of `types`. `publish` returns when the record is on the log."""

    def __init__(self, client: Client, publish: Publish, types: Sequence[str], lease_ms: int = LEASE_MS, credit: int = CREDIT) -> None:
        self.client, self.publish, self.types, self.lease_ms, self._credit = client, publish, list(types), lease_ms, credit
        self.out: dict[int, str] = {}
        self._sources: dict[str, Any] = {}

    async def run(self) -> None:
        """Until cancelled."""
        for type_ in self.types:
            self._sources[type_] = self.client.stream(type_, WORKER, self.lease_ms, None, self._credit)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._settle())
                for type_, source in self._sources.items():
                    group.create_task(self._pump(type_, source))
        finally:
            await asyncio.gather(*(close_source(self.client, s) for s in self._sources.values()))

    async def _pump(self, type_: str, source: Any) -> None:
        key = type_.encode()
        async for jobs in source:
            for job in jobs:
                if job["key"] in self.out:  # its lease ran out before anybody answered: one place of the credit, not two
                    source.credit(1)
                self.out[job["key"]] = type_
            await asyncio.gather(*(self.publish(key, encode(job)) for job in jobs))

    async def _settle(self) -> None:
        """Credit comes back when a job is answered."""
        async for batch in self.client.events():
            freed: Counter[str] = Counter()
            for recorded in batch:
                if type(recorded.event) in _ENDS and (type_ := self.out.pop(getattr(recorded.event, "task", 0), None)) is not None:
                    freed[type_] += 1
            for type_, n in freed.items():
                self._sources[type_].credit(n)


_ENDS = (ta.TaskCompleted, ta.TaskFailed, ta.TaskCancelled, ta.TaskSkipped)


async def publish_to_kafka(
    client: Client, bootstrap: str, types: Sequence[str], prefix: str = "flowledger", lease_ms: int = LEASE_MS, **settings: Any
) -> None:
    """Until cancelled. `settings` go to the producer (security ...)."""
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, linger_ms=2, **settings)
    await producer.start()
    topic = f"{prefix}.tasks"

    async def publish(key: bytes, value: bytes) -> None:
        await producer.send_and_wait(topic, value, key)

    try:
        await TasksTopic(client, publish, types, lease_ms).run()
    finally:
        await producer.stop()
