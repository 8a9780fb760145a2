"""A queue of a real RabbitMQ as a source: the contract, and what is its own: acknowledgements, messages that come again, what waits, queues that go."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiormq
import pytest

from flowledger.connectors.sources import rabbit_queue as source
from flowledger.connectors.sources.frame import Opening
from flowledger.kernel.model import read
from tests.connectors.conftest import bench, rabbitmq_server  # noqa: F401 - fixtures
from tests.connectors.wire import Wire
from tests.triggers.conftest import place_of
from tests.triggers.contract import HandedOutContract, TlsContract, Wired, opened, quick  # noqa: F401 - a fixture for all

pytestmark = [pytest.mark.req("APG-TRG-002", "APG-CON-018"), pytest.mark.timeout(300)]


class Rabbit(Wired):
    NUMBER, TLS = "number(payload.n)", ""

    def __init__(self, place: Any, port: int, wire: Wire) -> None:
        super().__init__(place, wire)
        self.port, self.more, self.tls = port, "", ', tls: "off"'
        self.queue, self.host = f"in.{uuid.uuid4().hex[:10]}", "127.0.0.1"

    async def start(self) -> None:
        self.place.secret("RABBIT", "guest")
        self.connection = await aiormq.connect(f"amqp://guest:guest@127.0.0.1:{self.port}/")
        self.channel = await self.connection.channel()
        await self.channel.queue_declare(self.queue, durable=True)

    def source(self) -> str:
        who = 'username: guest, password: "{{secrets.RABBIT}}"'
        return f"{{rabbitmq: {{host: {self.host}, port: {self.wire.port}{self.tls}, {who}, queue: {self.queue}{self.more}}}}}"

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            await self.send({"n": n, **more}, message_id=f"m{n}")

    async def send(self, body: Any, **properties: Any) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.channel.basic_publish(raw, routing_key=self.queue, properties=aiormq.spec.Basic.Properties(**properties))

    async def waits(self) -> int:
        """Messages that nobody has been handed."""
        return (await self.channel.queue_declare(self.queue, passive=True)).message_count

    async def empty(self) -> None:
        """Nothing waits, and nothing is handed out without being acknowledged: it would come back when nobody reads. What came again, and had begun
        before, is acknowledged a moment later than what it began is seen: a reader that stops in between leaves it to the next."""
        deadline = time.monotonic() + 60
        while True:
            for node in self.nodes:
                await node.stop()
            if await self.waits() == 0:
                return
            assert time.monotonic() < deadline, f"{await self.waits()} come back"
            await self.node(f"n{uuid.uuid4().hex[:4]}")
            await asyncio.sleep(1)

    async def gone(self) -> None:
        channel = await self.connection.channel()
        await channel.queue_delete(self.queue)
        await self.connection.close()


@pytest.fixture
async def world(tmp_path: Path, rabbitmq_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rabbit]:  # noqa: F811
    monkeypatch.setattr(source, "ASK_S", 0.05)
    port = int(rabbitmq_server["port"])
    wire = await Wire(("127.0.0.1", port)).start()
    async with place_of(tmp_path, egress_private=("127.0.0.1", "server.example")) as place, opened(Rabbit(place, port, wire)) as found:
        await found.start()
        yield found
    await found.gone()
    await wire.close()


class TestRabbit(TlsContract, HandedOutContract):
    async def test_what_stands_in_a_message(self, world):
        await world.deploy("start: {process: p, variables: {n: =payload.n, all: '={a: headers, b: message_id, c: correlation_id, d: type, e: content_type, "
                           "f: routing_key, g: queue, h: redelivered, i: app_id}'}}\n")  # fmt: skip
        await world.node()
        await world.reading()
        headers = {"text": "t", "n": 3, "deep": {"list": [1, "x"]}, "raw": bytearray(b"\xff"), "none": None}
        await world.send(
            {"n": 1},
            message_id="m-1",
            correlation_id="c-1",
            message_type="paid",
            content_type="application/json",
            app_id="shop",
            headers=headers,
        )
        await world.come(1)
        [found] = await world.place.started()
        assert found["all"] == {
            "a": {"text": "t", "n": 3, "deep": {"list": [1, "x"]}, "raw": "/w==", "none": None}, "b": "m-1", "c": "c-1", "d": "paid",
            "e": "application/json", "f": world.queue, "g": world.queue, "h": False, "i": "shop",
        }  # fmt: skip

    async def test_what_cannot_be_read_is_parked_acknowledged_and_taken_as_text_by_another_version(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        for raw in (b"{", b"\xff\xfe", b'{"n":1,"n":2}', b""):
            await world.send(raw, message_id=uuid.uuid4().hex)
        await world.put(7)
        await world.come(7)
        assert len(world.place.parked("t")) == 4
        await world.empty()

    async def test_the_same_id_and_the_same_key_count_once(self, world):
        await world.deploy()
        first = await world.node()
        await world.reading()
        for _ in range(3):
            await world.send({"n": 1}, message_id="same")
        await world.send({"n": 2}, message_id="other")
        await world.come(1, 2)
        await first.stop()
        await world.deploy(key="=string(payload.n)")
        await world.node("n2")
        for n in (5, 5, 6):
            await world.send({"n": n})
        await world.come(1, 2, 5, 6)
        await world.empty()

    async def test_what_waits_is_told(self, world):
        await world.deploy()
        await world.place.pause("t")
        await world.put(*range(40))
        await world.place.pause("t", "resume")
        await world.node("n1")
        await world.come(*range(40))

        async def none_left() -> bool:
            return world.place.trigger("t").lag == 0

        await world.place.until(none_left)

    async def test_a_queue_that_goes_is_told_and_one_that_comes_is_read(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        await world.channel.queue_delete(world.queue)
        await world.tells("NOT_FOUND")
        await world.channel.queue_declare(world.queue, durable=True)
        await world.put(2)
        await world.come(1, 2)

    @pytest.mark.parametrize(
        ("more", "secret", "words"),
        [
            ("", None, "no secret 'RABBIT'"), ("", "wrong", "does not let us in"), (", virtual_host: none", "guest", "into the virtual host"),
        ],
    )  # fmt: skip
    async def test_what_cannot_be_read_is_told(self, world, more, secret, words, tmp_path):
        world.more = more
        (tmp_path / "secrets" / "RABBIT").unlink()
        if secret is not None:
            world.place.secret("RABBIT", secret)
        await world.deploy()
        await world.node()
        await world.tells(words)
        world.place.secret("RABBIT", "guest")
        if not more:  # a secret that is mended needs no restart
            await world.put(1)
            await world.come(1)


@pytest.mark.parametrize(
    ("id", "again", "more", "key", "reason"),
    [
        (None, False, {}, "", ""), (None, True, {}, "", ""), (None, False, {"redelivered": "park"}, "", ""),
        (None, True, {"redelivered": "park"}, "", source.AGAIN), ("m", True, {"redelivered": "park"}, "m", ""), ("m", True, {}, "m", ""),
    ],
)  # fmt: skip
async def test_what_comes_again_without_an_id_is_taken_again_or_parked(tmp_path, id, again, more, key, reason):
    """By hand: the library that sends here makes ids where there are none."""
    async with place_of(tmp_path) as place:
        opening = Opening("", "t", {"queue": "q", **more}, {}, place.engine, place.settings, None, None)  # type: ignore[arg-type]
        spec = aiormq.spec.Basic
        header = SimpleNamespace(properties=spec.Properties(message_id=id))
        message = SimpleNamespace(delivery=spec.Deliver("c", 1, again, "", "q"), header=header, body=b'{"n":1}')
        item = source.RabbitQueue(opening, None)._item(message)
    assert (item.key, item.reason, item.context["payload"], item.context["redelivered"]) == (key, reason, {"n": 1}, again)


async def test_both_ways(world, bench):  # noqa: F811
    """What the connector sends starts an instance by the source, once, though the connector is called twice with the key of the same work."""
    await world.deploy()
    await world.node()
    await world.reading()
    send = bench("rabbitmq", secrets=(f"folder:{world.place.folder}/secrets",))
    call = {
        "host": "127.0.0.1", "port": world.port, "tls": "off", "username": "guest", "password": "guest", "routingKey": world.queue, "message": {"n": 4},
    }  # fmt: skip
    for _ in range(2):
        await send(call, key="4711")
    await world.come(4)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{host: a, username: u, queue: q}", "password: expected it"), ("{host: a, username: u, password: p, queue: q}", "a reference"),
        ('{host: a, username: u, password: "{{secrets.P}}"}', "queue: expected it"),
        ('{host: a, username: u, password: "{{secrets.P}}", queue: q, prefetch: 0}', "a whole number from 1 to 1000"),
        ('{host: a, username: u, password: "{{secrets.P}}", queue: q, redelivered: drop}', "one of take, park"),
        ('{host: a, username: u, password: "{{secrets.P}}", queue: q, ack: auto}', "one of host"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{rabbitmq: {config}}}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert "TRIGGER_SOURCE" in {f.code for f in found} and any(words in f.message for f in found), found
