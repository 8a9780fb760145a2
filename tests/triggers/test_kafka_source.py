"""Kafka topics as a source, on a real broker: the contract, and what is theirs alone: keys and headers, values that can't be read, partitions that come,
topics made anew, the gate, the server's own log."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import KafkaConnectionError

from flowledger.connectors.sources import topic as source
from flowledger.connectors.sources.catalogue import KINDS
from flowledger.infra.egress import Refused
from flowledger.kernel.model import read
from tests.triggers.conftest import place_of
from tests.triggers.contract import Contract, World, opened, quick  # noqa: F401 - a fixture for all

pytestmark = [pytest.mark.kafka, pytest.mark.req("APG-TRG-002", "WOS-TRG-001")]


class Topics(World):
    NUMBER = "payload.n"

    def __init__(self, place: Any, address: str, producer: Any) -> None:
        super().__init__(place)
        self.address, self.producer = address, producer
        self.topic = f"in.{uuid.uuid4().hex[:10]}"
        self.is_away = False
        self.kinds = {**KINDS, "kafka": self._open}

    async def _open(self, opening: Any) -> Any:
        if self.is_away:
            raise source.Away("Kafka can't be read: it is away")
        return await source.open_topic(opening)

    async def admin(self, *topics: Any, **more: Any) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            if topics:
                await admin.create_topics(list(topics))
            if more.get("delete"):
                await admin.delete_topics([self.topic])
            if more.get("partitions"):
                await admin.create_partitions({self.topic: NewPartitions(more["partitions"])})
        finally:
            await admin.close()

    def source(self) -> str:
        return f'{{kafka: {{servers: "{self.address}", topic: {self.topic}}}}}'

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            await self.send(json.dumps({"n": n, **more}).encode(), partition=n % 2)
        await self.producer.flush()

    async def send(self, value: bytes | None, **more: Any) -> None:
        await (await self.producer.send(self.topic, value, **more))

    async def away(self, is_away: bool) -> None:
        self.is_away = is_away
        for node in self.nodes:
            for reader in node.readers.held.values():
                if is_away and reader.source is not None:
                    reader.source.consumer.getmany = self._cut  # type: ignore[attr-defined]

    async def _cut(self, **_: Any) -> Any:
        raise KafkaConnectionError("cut\noff")


@pytest.fixture
async def world(tmp_path: Any, kafka_bootstrap: str) -> AsyncIterator[Topics]:
    async with (
        place_of(tmp_path, egress_private=("127.0.0.1", "localhost")) as place,
        AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer,
    ):
        world = Topics(place, kafka_bootstrap, producer)
        await world.admin(NewTopic(world.topic, 2, 1))
        async with opened(world):
            yield world


class TestKafka(Contract):
    async def test_keys_headers_and_times_and_exact_numbers(self, world):
        await world.deploy(
            "start: {process: p, variables: {n: =payload.n, k: =key, h: =headers, where: '=topic + \"/\" + string(partition)'}}\n"
        )
        await world.node()
        await world.reading()
        await world.send(b'{"n": 1, "x": 1.10}', partition=1, key=b"k\xc3\xa9", headers=[("a", b"1"), ("b", b"\xff"), ("c", None)])
        await world.send(None, partition=1, key=b"\xff")
        await world.come_any(2)
        first, second = await world.place.started()
        assert (first["k"], first["h"], first["where"]) == ("ké", {"a": "1", "b": "/w==", "c": None}, f"{world.topic}/1")
        assert second["n"] is None and second["k"] == "/w=="

    async def test_a_value_that_cannot_be_read_is_parked_and_taken_as_text_by_another_version(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        for value in (b"{", b'{"a":1,"a":2}', b"[" * 200 + b"]" * 200, b"\xff\xfe"):
            await world.send(value, partition=0)
        await world.put(2)
        await world.come(2)
        letters = world.place.parked("t")
        assert len(letters) == 4 and letters[0].context["payload"] == "{" and letters[3].context["payload"] == "//4="

    async def test_partitions_that_come_are_read_from_their_first_record(self, world, monkeypatch):
        monkeypatch.setattr(source, "AGAIN_S", 0.5)
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        await world.admin(partitions=3)
        await world.producer.client.force_metadata_update()
        for _ in range(50):
            if len(await world.producer.partitions_for(world.topic)) == 3:
                break
            await asyncio.sleep(0.1)
            await world.producer.client.force_metadata_update()
        await world.send(b'{"n": 7}', partition=2)
        await world.come(1, 7)

    async def test_a_topic_that_was_made_anew_is_told(self, world):
        await world.deploy()
        first = await world.node()
        await world.reading()
        await world.put(1, 2, 3, 4)
        await world.come(1, 2, 3, 4)
        await first.stop()
        await world.admin(delete=True)
        await asyncio.sleep(1)
        await world.admin(NewTopic(world.topic, 2, 1))
        await world.node("n2")

        async def told() -> bool:
            return "made anew" in world.place.trigger("t").error

        await world.place.until(told)

    async def test_from_the_start(self, world):
        await world.put(1, 2)
        text = f"format: flowledger/trigger@1\nname: t\nsource: {world.source()[:-2]}, from: start}}}}\nstart: {{process: p, variables: {{n: =payload.n}}}}\n"
        assert isinstance(await world.place.deploy(text), dict)
        await world.node()
        await world.come(1, 2)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda w: {"topic": f"{w.place.settings.prefix}.events"}, "may be this server's own log"),
            (lambda w: {"servers": "169.254.169.254:9092"}, "never called"), (lambda w: {"servers": "10.1.2.3:9092"}, "private"),
            (lambda w: {"topic": "nowhere"}, "no topic nowhere"), (lambda w: {"servers": "127.0.0.1:1"}, "can't be read"),
            (
                lambda w: {"security": {"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "username": "a", "password": "{{secrets.GONE}}"}},
                "no secret 'GONE'",
            ),
        ],
    )  # fmt: skip
    async def test_what_may_not_or_cannot_be_read_is_told(self, world, change, words):
        config = {"servers": world.address, "topic": world.topic, **change(world)}
        text = json.dumps({"format": "flowledger/trigger@1", "name": "t", "source": {"kafka": config}, "signal": {"name": "s"}})
        assert isinstance(await world.place.deploy(text), dict)
        await world.node()

        async def told() -> bool:
            return words in world.place.trigger("t").error

        await world.place.until(told)

    async def test_addresses_that_the_cluster_names_pass_the_gate_too(self, world):
        asked: list[str] = []

        class Gate:
            tls = None

            async def direct(self, service: str, host: str, port: int) -> list[str]:
                asked.append(f"{service} {host}:{port}")
                if len(asked) > 1:
                    raise Refused(f"{host} is a private address")
                return [host]

        opening = source.Opening(
            "", "t", {"servers": world.address, "topic": world.topic}, {}, world.place.engine, world.place.settings, Gate(), None
        )  # type: ignore[arg-type]
        with pytest.raises(source.Away, match="private address"):
            await source.open_topic(opening)
        assert asked[0] == f"kafka {world.address}"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{topic: a}", "servers: expected it"), ("{servers: 'a:9092'}", "topic: expected it"), ("{servers: a, topic: a}", "host:port"),
        ("{servers: ['a:1', b], topic: a}", "host:port"), ("{servers: 'a:1', topic: 'a b'}", "the name of a topic"),
        ("{servers: 'a:1', topic: a, value: avro}", "json, text, base64"), ("{servers: 'a:1', topic: a, security: {protocol: X}}", "the protocol"),
        ("{servers: 'a:1', topic: a, security: {protocol: SASL_SSL, mechanism: PLAIN, username: a, password: b}}", "a reference"),
        ("{servers: 'a:1', topic: a, security: {protocol: SSL, username: a}}", "one of protocol"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{kafka: {config}}}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert [f.code for f in found] == ["TRIGGER_SOURCE"] and words in found[0].message, found
