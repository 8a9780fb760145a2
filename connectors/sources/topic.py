"""A Kafka topic as a source. A part is a partition, a place an offset: both stand on the trigger's home, so no consumer group is joined, and none is committed to.

Every address that the cluster names passes the gate before anything is fetched from it. Topics of this server's own log are not read: they have all tenants.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from flowledger.connectors.sources.frame import Away, Got, Opening, beginning, begun
from flowledger.connectors.sources.shared import addresses, secret, text, value_of
from flowledger.events.triggers import TriggerItem
from flowledger.infra.egress import Gate
from flowledger.logs import log

#: how long a look lasts, how many records it takes at most, and how often partitions and addresses are looked at again (seconds)
LOOK_MS, RECORDS_MAX, AGAIN_S = 500, 500, 30.0
PATIENCE_MS = 10_000
FETCH_BYTES = 2 * 1024 * 1024
log_ = log("sources")


async def open_topic(opening: Opening) -> Topic:
    config, s = opening.config, opening.settings
    topic = config["topic"]
    if topic.startswith(f"{s.prefix}."):
        raise Away(f"topics that begin with '{s.prefix}.' may be this server's own log, and aren't read")
    servers = config["servers"] if isinstance(config["servers"], list) else [config["servers"]]
    await _checked(opening.gate, [_place(each) for each in servers])
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, client_id=f"flowledger-{s.node}", group_id=None, enable_auto_commit=False, auto_offset_reset="none",
        max_partition_fetch_bytes=FETCH_BYTES, request_timeout_ms=PATIENCE_MS,
        isolation_level="read_uncommitted" if config.get("uncommitted") else "read_committed", **await _security(opening),
    )  # fmt: skip
    found = Topic(opening, consumer)
    try:
        await found.start()
    except BaseException as e:
        await found.close()
        if isinstance(e, (KafkaError, OSError)):
            raise Away(f"Kafka can't be read: {_why(e)}") from None
        raise
    return found


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


async def _checked(gate: Gate, places: Iterable[tuple[str, int]]) -> None:
    """Raises: Away."""
    for host, port in places:
        await addresses(gate, "kafka", host, port)


async def _security(opening: Opening) -> dict[str, Any]:
    told = opening.config.get("security") or {"protocol": "PLAINTEXT"}
    out: dict[str, Any] = {"security_protocol": told["protocol"]}
    if told["protocol"].endswith("SSL"):
        out["ssl_context"] = opening.gate.tls
    if told["protocol"].startswith("SASL"):
        password = await secret(opening, told["password"])
        out |= {"sasl_mechanism": told["mechanism"], "sasl_plain_username": told["username"], "sasl_plain_password": password}
    return out


class Topic:
    def __init__(self, opening: Opening, consumer: AIOKafkaConsumer) -> None:
        self.opening, self.consumer = opening, consumer
        self.topic: str = opening.config["topic"]
        self._value: str = opening.config.get("value", "json")
        #: partition -> next offset
        self.next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._first: list[Got] = []

    async def start(self) -> None:
        await self.consumer.start()
        partitions = await self._partitions()
        tps = [TopicPartition(self.topic, p) for p in partitions]
        self.consumer.assign(tps)
        ends = {tp.partition: n for tp, n in (await self.consumer.end_offsets(tps)).items()}
        starts = {tp.partition: n for tp, n in (await self.consumer.beginning_offsets(tps)).items()}
        from_now = self.opening.config.get("from") != "start" and not begun(self.opening)
        for p in partitions:
            place = self.opening.places.get(str(p))
            at = place + 1 if place is not None else ends[p] if from_now else starts[p]
            if at > ends[p]:
                raise Away(
                    f"partition {p} of {self.topic} ends at {ends[p]}, and was read up to {at}: it was made anew, or has lost records; "
                    "delete the trigger and put it again to read what is there now"
                )
            if at < starts[p]:
                if place is not None:
                    log_.warning("records were gone before they were read", topic=self.topic, partition=p, first=at, last=starts[p] - 1)
                at = starts[p]
            self.next[p] = at
            self.consumer.seek(TopicPartition(self.topic, p), at)
        self._ends = ends
        self._first = beginning({str(p): n for p, n in self.next.items()}) if from_now else []

    async def _partitions(self) -> list[int]:
        """Of the topic, when all its brokers may be asked. Raises: Away."""
        cluster = await self.consumer._client.fetch_all_metadata()
        await _checked(self.opening.gate, {(b.host, b.port) for b in cluster.brokers()})
        found = cluster.partitions_for_topic(self.topic)
        if not found:
            raise Away(f"there is no topic {self.topic}, or it may not be seen")
        return sorted(found)

    async def batches(self) -> AsyncIterator[Got]:
        for got in self._first:
            yield got
        looked = time.monotonic()
        try:
            while True:
                found = await self.consumer.getmany(timeout_ms=LOOK_MS, max_records=RECORDS_MAX)
                for tp, records in found.items():
                    yield Got(str(tp.partition), [self._item(r) for r in records])
                    self.next[tp.partition] = records[-1].offset + 1
                if time.monotonic() - looked > AGAIN_S:
                    looked = time.monotonic()
                    if await self._partitions() != sorted(self.next):
                        raise Away("it has other partitions now; all of them are read from here on")
        except (KafkaError, OSError) as e:
            raise Away(f"Kafka can't be read: {_why(e)}") from None

    def _item(self, record: Any) -> TriggerItem:
        headers: dict[str, Any] = {}
        for name, raw in record.headers:
            headers[name] = _text(raw)
        context: dict[str, Any] = {
            "payload": None, "key": _text(record.key), "headers": headers, "topic": self.topic, "partition": record.partition,
            "offset": record.offset, "timestamp": record.timestamp,
        }  # fmt: skip
        reason = ""
        if record.value is not None:
            try:
                context["payload"] = value_of(record.value, self._value)
            except (ValueError, RecursionError) as e:  # what it was is kept as text, for a version that takes it so
                context["payload"], reason = text(record.value), f"its value can't be read as {self._value}: {str(e)[:200]}"
        return TriggerItem(context=context, place=record.offset, reason=reason)

    async def acknowledge(self, got: Got) -> None:
        """The topic keeps what was read."""

    def lag(self) -> int:
        total = 0
        for p, at in self.next.items():
            end = self.consumer.highwater(TopicPartition(self.topic, p))
            total += max(0, (self._ends[p] if end is None else end) - at)
        return total

    async def close(self) -> None:
        with contextlib.suppress(KafkaError, OSError, asyncio.TimeoutError):
            await self.consumer.stop()


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else text(raw)


def _why(e: BaseException) -> str:
    return f"{type(e).__name__}: {e}".splitlines()[0][:300]
