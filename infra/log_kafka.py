"""The log on Kafka, by aiokafka. How it is written to: `infra/kafka_writing.py`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, for_code

from flowledger.infra.kafka_writing import ABANDON_S, KafkaWriting
from flowledger.infra.lease_kafka import KafkaOwnership
from flowledger.processors.log import (
    BATCH_BYTES_MAX,
    EVENTS,
    RECORD_BYTES_MAX,
    TOPICS,
    Appended,
    Group,
    LogClosed,
    LogError,
    LogRecord,
    OutOfRange,
    TopicsMissing,
    partitions_of,
)

#: How long an append may take before its outcome is in doubt.
TIMEOUT_S = 30.0
FETCH_BYTES = 4 * 1024 * 1024
#: after so long a silence a reader looks whether there is something that it should have got (seconds)
STALL_S = 15.0
DAY_MS = 86_400_000
#: What a batch costs beyond its records, and room for what the size estimate can't know.
BATCH_OVERHEAD_BYTES = 1024

#: Topic settings. Nothing on `events` may go by age unless an operator decides so.
CONFIGS: Mapping[str, Mapping[str, str]] = {
    "commands": {"retention.ms": str(7 * DAY_MS)},
    "events": {"retention.ms": "-1"},
    "state": {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2", "segment.bytes": str(64 * 1024 * 1024)},
    "definitions": {"cleanup.policy": "compact"},
    "tasks": {"retention.ms": str(7 * DAY_MS)},
    "dead-letter": {"retention.ms": "-1"},
    "replies": {"retention.ms": str(3_600_000)},
}


class KafkaLog:
    """One client of a Kafka cluster.

    Args:
        security: further settings of every aiokafka client (`security_protocol`, `ssl_context`, `sasl_mechanism`, ...).
        compression: None, "zstd", "lz4", "snappy" or "gzip", for every batch. zstd is faster than none (`bench/log.py`: 470 against 350
            thousand records a second in groups of 500, the same for small groups), since the broker has less to write.
    """

    compares = False

    def __init__(
        self,
        bootstrap: str,
        *,
        prefix: str = "flowledger",
        replication: int = 1,
        compression: str | None = "zstd",
        batch_bytes_max: int = BATCH_BYTES_MAX,
        record_bytes_max: int = RECORD_BYTES_MAX,
        timeout_s: float = TIMEOUT_S,
        session_s: float = 10.0,
        client: str = "flowledger",
        security: Mapping[str, Any] | None = None,
    ) -> None:
        self.partitions = 0
        self._prefix, self._replication, self._session_s = prefix, replication, session_s
        self._batch_bytes_max, self.record_bytes_max = batch_bytes_max, record_bytes_max
        self._patience_ms = int(max(timeout_s, 5.0) * 1000)
        self._settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap, "client_id": client, "retry_backoff_ms": 50, **(security or {}),
        }  # fmt: skip
        self._producers = functools.partial(
            KafkaWriting, self._name, self._settings, compression=compression, batch_bytes_max=batch_bytes_max,
            record_bytes_max=record_bytes_max, timeout_s=timeout_s,
        )  # fmt: skip
        self._offsets: AIOKafkaConsumer | None = None
        self._closed = True

    def _name(self, topic: str) -> str:
        return f"{self._prefix}.{topic}"

    def _tp(self, topic: str, partition: int) -> TopicPartition:
        return TopicPartition(self._name(topic), partition)

    async def open(self) -> None:
        if not self._closed:
            return
        consumer = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, request_timeout_ms=self._patience_ms, **self._settings)
        try:
            await consumer.start()
        except KafkaError as error:
            await consumer.stop()
            raise LogError(f"no Kafka at {self._settings['bootstrap_servers']}: {error}") from error
        self._offsets = consumer
        self._writing = self._producers()
        self._closed = False
        await self._count()

    async def _count(self) -> None:
        assert self._offsets is not None
        await self._offsets._client.force_metadata_update()
        self.partitions = len(self._offsets.partitions_for_topic(self._name(EVENTS)) or ())

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._writing.close()
        if self._offsets is not None:
            await self._offsets.stop()

    # -- topics -------------------------------------------------------------------------------------------------------------------------

    async def create_topics(self, partitions: int) -> None:
        async with self._admin() as admin:
            have = {d["topic"]: len(d["partitions"]) for d in await admin.describe_topics() if not d["error_code"]}
            count = have.get(self._name(EVENTS)) or partitions
            wanted = [
                NewTopic(self._name(topic), partitions_of(topic, count), self._replication, topic_configs=self._configs(topic))
                for topic in TOPICS
                if self._name(topic) not in have
            ]
            if wanted:
                answer = await admin.create_topics(wanted)
                for name, code, *message in answer.topic_errors:
                    if code not in (0, 36):  # 36: somebody else has just created it
                        raise LogError(f"topic {name} can't be created: {(message or [''])[0] or for_code(code).__name__}")
        for _ in range(100):  # brokers learn of new topics with a delay
            await self._count()
            if not self._missing():
                return
            await asyncio.sleep(0.05)
        raise TopicsMissing(f"created, but not to be seen: {', '.join(self._missing())}")

    def _configs(self, topic: str) -> dict[str, str]:
        return {
            **CONFIGS[topic],
            "max.message.bytes": str(max(self.record_bytes_max, self._batch_bytes_max) + BATCH_OVERHEAD_BYTES),
            # `now` of a simulation or a machine whose clock is wrong must not make an append fail.
            "message.timestamp.after.max.ms": str(2**63 - 1),
            "min.insync.replicas": str(max(1, self._replication - 1)),
        }

    def _missing(self) -> list[str]:
        assert self._offsets is not None
        return [
            f"topic {self._name(topic)} has {have} partitions, expected {partitions_of(topic, self.partitions or 1)}"
            for topic in TOPICS
            if (have := len(self._offsets.partitions_for_topic(self._name(topic)) or ())) != partitions_of(topic, self.partitions or 1)
        ]

    async def check_topics(self) -> list[str]:
        self._check_open()
        await self._count()
        return self._missing() or await self._unfit()

    async def _unfit(self) -> list[str]:
        """Topics that somebody else made, with settings by which records would be refused or lost."""
        resources = {topic: ConfigResource(ConfigResourceType.TOPIC, self._name(topic)) for topic in TOPICS}
        async with self._admin() as admin:
            answers = await admin.describe_configs(list(resources.values()))
        found = {r[3]: {c[0]: c[1] for c in r[4]} for answer in answers for r in answer.resources}
        wrong = []
        for topic, kept in TOPICS.items():
            name, settings = self._name(topic), found.get(self._name(topic), {})
            policy, size = settings.get("cleanup.policy", ""), int(settings.get("max.message.bytes") or 0)
            if (policy == "compact") != kept.compacted:
                wrong.append(f"topic {name} has cleanup.policy {policy}, expected {'compact' if kept.compacted else 'delete'}")
            if topic == EVENTS and settings.get("message.timestamp.type", "CreateTime") != "CreateTime":
                wrong.append(
                    f"topic {name} has message.timestamp.type {settings['message.timestamp.type']}, expected CreateTime: times are under the hash"
                )
            if size < self.record_bytes_max:
                wrong.append(f"topic {name} has max.message.bytes {size}, expected at least {self.record_bytes_max}")
        return wrong

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self._settings)
        try:
            await admin.start()
            yield admin
        except KafkaError as error:
            raise LogError(f"Kafka at {self._settings['bootstrap_servers']}: {error!r}") from error
        finally:
            await admin.close()

    async def trim(self, topic: str, partition: int, before: int) -> None:
        self._check_open()
        if TOPICS[topic].compacted or before <= await self.begin(topic, partition):
            return
        async with self._admin() as admin:
            await admin.delete_records({self._tp(topic, partition): RecordsToDelete(before_offset=before)})

    # -- writing ------------------------------------------------------------------------------------------------------------------------

    def submit(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> asyncio.Future[Appended]:
        self._check_open()
        return self._writing.submit(topic, partition, group, expected_end=expected_end)

    async def append(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> Appended:
        return await self.submit(topic, partition, group, expected_end=expected_end)

    async def reopen(self, topic: str, partition: int) -> None:
        self._check_open()
        await self._writing.reopen(topic, partition)

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosed("the log was closed")

    # -- reading ------------------------------------------------------------------------------------------------------------------------

    async def _bounds(self, topic: str, partition: int) -> tuple[int, int]:
        self._check_open()
        assert self._offsets is not None
        tp = self._tp(topic, partition)
        if partition not in (self._offsets.partitions_for_topic(tp.topic) or ()):
            await self._count()
            if partition not in (self._offsets.partitions_for_topic(tp.topic) or ()):
                raise TopicsMissing(f"no {tp.topic}[{partition}]")
        try:
            begin, end = await asyncio.gather(self._offsets.beginning_offsets([tp]), self._offsets.end_offsets([tp]))
        except KafkaError as error:
            raise LogError(f"{tp.topic}[{partition}]: {error!r}") from error
        return begin[tp], end[tp]

    def nudge(self) -> None:
        """Brokers tell followers themselves."""

    async def begin(self, topic: str, partition: int) -> int:
        return (await self._bounds(topic, partition))[0]

    async def end(self, topic: str, partition: int) -> int:
        return (await self._bounds(topic, partition))[1]

    async def read(
        self, topic: str, partition: int, start: int, stop: int | None = None, *, follow: bool = False
    ) -> AsyncIterator[list[LogRecord]]:
        begin, end = await self._bounds(topic, partition)
        compacted = TOPICS[topic].compacted
        if start > end or (start < begin and not compacted):
            raise OutOfRange(topic, partition, start, end, begin)
        start = max(start, begin)
        last = stop if follow else end if stop is None else min(stop, end)
        if last is not None and start >= last:
            return
        tp = self._tp(topic, partition)
        # No reset: what is out of range is an error, else a lost tail would begin again at 0 and trimmed records be passed over.
        consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=500,
            max_partition_fetch_bytes=FETCH_BYTES, request_timeout_ms=self._patience_ms, **self._settings,
        )  # fmt: skip
        try:
            await consumer.start()
            consumer.assign([tp])
            consumer.seek(tp, start)
            quiet_since = time.monotonic()
            while not self._closed and (last is None or start < last):
                found = await consumer.getmany(tp, timeout_ms=500)
                records = [
                    LogRecord(r.offset, r.key, r.value if r.value is not None else b"", tuple(r.headers), r.timestamp * 1000)
                    for r in found.get(tp, ())
                    if last is None or r.offset < last
                ]
                if records:
                    self._in_order(topic, partition, start, records, compacted, end)
                    start = records[-1].offset + 1
                    yield records
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since > STALL_S:
                    await self._not_stalled(topic, partition, start)
                    quiet_since = time.monotonic()
                # Compaction leaves holes, at the end too: the position knows.
                start = max(start, await consumer.position(tp)) if compacted else start
        except OffsetOutOfRangeError as error:
            begin, end = await self._bounds(topic, partition)
            raise OutOfRange(topic, partition, start, end, begin) from error
        except KafkaError as error:
            raise LogError(f"{tp.topic}[{partition}]: {error!r}") from error
        finally:
            await self._stopped(consumer)

    async def _stopped(self, consumer: AIOKafkaConsumer) -> None:
        """Whoever reads waits for its end for so long only: what is left of it ends when its broker is back."""
        await asyncio.wait((self._writing.spawn(consumer.stop()),), timeout=ABANDON_S)

    async def _not_stalled(self, topic: str, partition: int, start: int) -> None:
        """A consumer that lost its broker may go on asking nobody, and be silent for ever. Raises: LogError, when there is something to read."""
        end = await self.end(topic, partition)
        if end > start:
            raise LogError(f"{self._name(topic)}[{partition}]: nothing came for {STALL_S} s from {start} on, though it ends at {end}")

    def _in_order(self, topic: str, partition: int, start: int, records: list[LogRecord], compacted: bool, end: int) -> None:
        """Offsets grow, and without compaction by one: Kafka numbers what an idempotent producer writes without holes.

        Raises: OutOfRange, LogError."""
        next_ = start
        for record in records:
            if record.offset < next_:
                raise LogError(f"{self._name(topic)}[{partition}]: record {record.offset} came where {next_} was due: the log went back")
            if record.offset > next_ and not compacted:
                raise OutOfRange(topic, partition, next_, max(end, record.offset + 1), record.offset)
            next_ = record.offset + 1

    async def load(self, topic: str, partition: int) -> dict[bytes, bytes]:
        latest: dict[bytes, bytes] = {}
        async for records in self.read(topic, partition, await self.begin(topic, partition)):
            for record in records:
                assert record.key is not None, f"{topic} has a record without a key at {record.offset}"
                latest.pop(record.key, None)
                if record.value:
                    latest[record.key] = record.value
        return latest

    def ownership(self, member: str = "") -> KafkaOwnership:
        return KafkaOwnership(self._settings, self._name("commands"), f"{self._prefix}.owners", member, self._session_s)
