"""Straight from the `tasks` topic: jobs come by Kafka, answers and heartbeats go over the HTTP API. Needs the extra `kafka`.

Workers with the same handlers form a consumer group by themselves and share the partitions; others are a group of their own, since each
group passes over the records of types that it has no handler for. A record is not waited for: what a worker that died had taken comes
again when its lease ends.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from flowledger.sdk.job_avro import decode
from flowledger.sdk.transports.poll import PollTransport

log = logging.getLogger("flowledger.worker")


class TasksTopicTransport(PollTransport):
    """`kafka://HOST:PORT[,HOST:PORT]/PREFIX?api=URL[&group=NAME]`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        super().__init__(query.get("api", ["http://127.0.0.1:8080"])[0])
        self.bootstrap = parts.netloc
        self.topic = f"{parts.path.strip('/') or 'flowledger'}.tasks"
        self.group = query.get("group", [""])[0]

    def _work(self) -> list[Any]:
        return [self._consume()]

    async def _consume(self) -> None:
        types = {s[0] for s in self._link.subscriptions}
        group = self.group or "flowledger-" + hashlib.sha256("\0".join(sorted(types)).encode()).hexdigest()[:12]
        consumer = AIOKafkaConsumer(self.topic, bootstrap_servers=self.bootstrap, group_id=group, auto_offset_reset="earliest")
        try:
            await consumer.start()
            async for record in consumer:
                if (record.key or b"").decode() not in types:
                    continue
                try:
                    job = decode(record.value or b"")
                except ValueError as e:
                    log.error("record %d-%d of %s is no job: %s", record.partition, record.offset, self.topic, e)
                    continue
                while self._link.free(job.type) <= 0:
                    self._freed.clear()
                    await self._freed.wait()
                if job.deadline_us > time.time() * 1e6:  # else it comes again, with a new lease
                    self._link.deliver([job])
        except KafkaError as e:
            raise ConnectionResetError(f"the broker: {e}") from None
        finally:
            await consumer.stop()
