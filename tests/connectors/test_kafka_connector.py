"""The connector of Kafka against a real broker: what stands in the record, what is refused, and that no server is reached past the gate."""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.connectors.contract import OUT, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure
from tests.connectors.wire import Certificates, Wire


def _named(port: int) -> bytes:
    return b"127.0.0.1" + struct.pack(">i", port)


class KafkaWire(Wire):
    """The broker names itself, and whoever asks goes there: on this wire it has the wire's name."""

    def changed(self, data: bytes) -> bytes:
        return data.replace(_named(self.to[1]), _named(self.port))


class KafkaRig(Rig):
    connector = "kafka"
    patience_s = 2

    def __init__(self, bootstrap: str) -> None:
        host, _, port = bootstrap.rpartition(":")
        self.to, self.bootstrap, self.topic = (
            ("127.0.0.1" if host == "localhost" else host, int(port)),
            bootstrap,
            f"connector-{uuid.uuid4().hex[:10]}",
        )

    def wire(self, tls: Any = None) -> Wire:
        return KafkaWire(self.to, tls)

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "bootstrapServers": f"{host}:{port}",
            "tls": "verify" if tls else "off",
            "topic": self.topic,
            "key": "k",
            "value": {"weight": 7},
        }

    def checked(self, answer: Any) -> None:
        assert answer["topic"] == self.topic and answer["partition"] == 0 and answer["offset"] >= 0

    async def records(self) -> list[Any]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            place = TopicPartition(self.topic, 0)
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            (end,) = (await consumer.end_offsets([place])).values()
            found: list[Any] = []
            while not found or found[-1].offset < end - 1:
                found.append(await asyncio.wait_for(consumer.getone(), 10))
            return found
        finally:
            await consumer.stop()

    async def effects(self) -> list[str]:
        return [dict(r.headers)["idempotency-key"].decode() for r in await self.records()]

    async def tls_wire(self, folder: Path) -> tuple[Wire, str]:
        authority = Certificates(folder)
        return await self.wire(authority.server("server.example", "127.0.0.1")).start(), str(authority.file)


@pytest.fixture
async def kafka_rig(kafka_bootstrap: str) -> KafkaRig:
    rig = KafkaRig(kafka_bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(rig.topic, 1, 1)])
    await admin.close()
    return rig


class TestContract(Contract):
    @pytest.fixture
    def rig(self, kafka_rig: KafkaRig) -> Rig:
        return kafka_rig


@pytest.fixture
async def write(kafka_rig: KafkaRig, bench) -> AsyncIterator[Any]:
    run = bench("kafka")

    async def call(**more: Any) -> Any:
        variables = {**kafka_rig.call(*kafka_rig.to), **more}
        return (await run({k: v for k, v in variables.items() if v is not None}, OUT, key="4711"))["out"]

    yield call


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        ({}, b"k", b'{"weight":7}'),
        ({"key": None, "value": "text \u00fc"}, None, "text \u00fc".encode()),
        ({"key": {"a": 1}, "value": [Decimal("1.10")]}, b'{"a":1}', b"[1.10]"),
        ({"value": None}, b"k", None),
    ],
)
async def test_what_stands_in_the_record(kafka_rig: KafkaRig, write, given: dict[str, Any], key: Any, value: Any):
    await write(**given, headers={"n": 1, "none": None, "t": "\u00fc"})
    (record,) = await kafka_rig.records()
    assert (record.key, record.value) == (key, value)
    assert dict(record.headers) == {"n": b"1", "t": "\u00fc".encode(), "idempotency-key": b"4711"}


async def test_headers_of_the_key_may_have_another_name_or_none(kafka_rig: KafkaRig, write):
    await write(idempotencyHeader="ce_id")
    await write(idempotencyHeader="")
    assert [dict(r.headers) for r in await kafka_rig.records()] == [{"ce_id": b"4711"}, {}]


async def test_the_ledgers_own_topics_are_not_written(write):
    found = await failure(write(topic="flowledger.events"))
    assert (found.code, found.retries) == ("CONFIGURATION", 0) and "ledger" in found.message


@pytest.mark.req("APG-SEC-007")
async def test_a_server_that_names_a_private_one_leads_nowhere(kafka_rig: KafkaRig, bench):
    """The first server may be called; the address that it names itself by may not."""
    wire = await Wire(kafka_rig.to).start()  # tells the broker's own address, which no rule opens
    found = await failure(bench("kafka", egress_private=(f"127.0.0.1:{wire.port}",))(kafka_rig.call("127.0.0.1", wire.port)))
    assert (found.code, found.retries) == ("EGRESS_REFUSED", 0), found.message
    await wire.close()


async def test_records_that_are_too_large(write):
    for size in (1024 * 1024 + 1, 1024 * 1024 - 10):  # ours, then the broker's
        found = await failure(write(value="x" * size))
        assert (found.code, found.retries) == ("CONFIGURATION", 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bootstrapServers": "host"},
        {"topic": "a b"},
        {"mechanism": "PLAIN"},
        {"partition": -1},
        {"bootstrapServers": ",".join(["a:1"] * 11)},
    ],
)
async def test_configurations_that_are_refused(bench, wrong):
    found = await failure(bench("kafka")({"bootstrapServers": "127.0.0.1:1", "topic": "t", **wrong}))
    assert (found.code, found.retries) == ("CONFIGURATION", 0)


async def test_a_topic_that_is_not_there(write):
    found = await failure(write(topic="none-of-these", timeoutInSeconds=1))
    assert (found.code, found.retries) == ("TOPIC_UNKNOWN", None)


async def test_a_partition_that_is_not_there(write):
    found = await failure(write(partition=99, timeoutInSeconds=3))
    assert found.code in ("CONFIGURATION", "TOPIC_UNKNOWN", "TIMEOUT")


GOOD = {"bootstrapServers": "k:9092", "topic": "= t", "value": "= v"}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [(GOOD, ""), ({**GOOD, "tls": "some"}, "tls"), ({"topic": "t"}, "bootstrapServers")],
)
def test_findings(inputs, words: str):
    found = said(inputs, {}, "flowledger:kafka")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found
