"""A queue of a real broker read by AMQP 1.0 (RabbitMQ by its plug-in): the contract, and what is its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors import reach
from flowledger.connectors.amqp10 import client
from flowledger.connectors.amqp10.message import written
from flowledger.connectors.amqp10.types import Described, Symbol, ULong, encode
from flowledger.connectors.sources import amqp_queue as source
from flowledger.connectors.sources.frame import Opening
from flowledger.events import triggers as tr
from flowledger.kernel.model import read
from tests.connectors.conftest import bench, rabbitmq_server  # noqa: F401 - fixtures
from tests.connectors.wire import Wire
from tests.triggers.conftest import place_of
from tests.triggers.contract import HandedOutContract, TlsContract, opened, quick  # noqa: F401 - a fixture for all
from tests.triggers.test_rabbitmq_source import Rabbit

pytestmark = [pytest.mark.req("APG-TRG-002", "APG-CON-018"), pytest.mark.timeout(300)]


class Amqp(Rabbit):
    def source(self) -> str:
        who = 'hostname: "vhost:/", username: guest, password: "{{secrets.RABBIT}}"'
        return f"{{amqp: {{host: {self.host}, port: {self.wire.port}{self.tls}, {who}, address: /amq/queue/{self.queue}{self.more}}}}}"

    async def sends(self, *payloads: bytes) -> None:
        """By AMQP 1.0."""
        connected = await reach.socket_to("127.0.0.1", self.port)
        connection = await client.Connection.over(connected, None, "h", "vhost:/", "guest", "guest")
        link = await connection.attach(f"/amq/queue/{self.queue}", receives=False)
        for payload in payloads:
            assert await connection.send(link, payload) == ("accepted", None)
        await connection.close()


@pytest.fixture
async def world(tmp_path: Path, rabbitmq_server: dict[str, str]) -> AsyncIterator[Amqp]:  # noqa: F811
    port = int(rabbitmq_server["port"])
    wire = await Wire(("127.0.0.1", port)).start()
    async with place_of(tmp_path, egress_private=("127.0.0.1", "server.example")) as place, opened(Amqp(place, port, wire)) as found:
        await found.start()
        yield found
    await found.gone()
    await wire.close()


class TestAmqp(TlsContract, HandedOutContract):
    async def test_what_stands_in_a_message(self, world):
        await world.deploy("start: {process: p, variables: {n: =payload.n, all: '={a: properties, b: message_id, c: correlation_id, d: subject, e: content_type, "
                           "f: address, g: redelivered, h: reply_to}'}}\n")  # fmt: skip
        await world.node()
        await world.reading()
        properties = {"message_id": "m-1", "correlation_id": "c-1", "content_type": "application/json", "reply_to": "/queue/r"}
        await world.sends(written(b'{"n": 1}', properties, {"text": "t", "n": 3, "yes": True, "part": Decimal("1.5")}))
        await world.come(1)
        [found] = await world.place.started()
        assert found["all"] == {
            "a": {"text": "t", "n": 3, "yes": True, "part": Decimal("1.5")}, "b": "m-1", "c": "c-1", "d": None, "e": "application/json",
            "f": f"/amq/queue/{world.queue}", "g": False, "h": "/queue/r",
        }  # fmt: skip

    async def test_what_waits_is_told(self, world):
        """RabbitMQ says how many wait when it is given credit: beyond what is handed out, too."""
        world.more = ", prefetch: 2"
        await world.deploy()
        for n in range(7):
            await world.send(b'{"n": %d}' % n, message_id=f"m{n}")
        connected = await reach.socket_to("127.0.0.1", world.port)
        connection = await client.Connection.over(connected, None, "h", "vhost:/", "guest", "guest")
        link = await connection.attach(f"/amq/queue/{world.queue}", receives=True)
        assert connection.waiting(link) == -1
        await connection.allow(link, 2)
        await connection._until(lambda: True if connection.waiting(link) == 5 and len(link.come) == 2 else None, link)
        first, last = link.come[0][0], link.come[1][0]
        link.come.clear()
        await connection.accept(first, last)
        await connection.allow(link, 2)
        await connection._until(lambda: True if connection.waiting(link) == 3 and len(link.come) == 2 else None, link)
        await connection.close()
        await world.node()
        await world.come(*range(2, 7))  # the first two were accepted above

        async def none() -> bool:
            return world.place.trigger("t").lag == 0

        await world.place.until(none)

    async def test_a_large_message_comes_in_pieces_and_one_that_is_too_large_is_parked(self, world, monkeypatch):
        monkeypatch.setattr(client, "MESSAGE_BYTES_MAX", 500_000)
        await world.deploy()
        await world.node()
        await world.reading()
        for n, size in ((1, 300_000), (2, 500_000), (3, 10)):
            await world.send(b'{"n": %d, "of": "%s"}' % (n, b"x" * size), message_id=f"m{n}")
        await world.come(1, 3)
        (parked,) = await world.place.events(tr.TriggerParked)
        assert "more than" in parked.reason and not parked.context["payload"]
        await world.empty()

    async def test_what_cannot_be_read_is_parked_settled_and_the_next_passes(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.sends(*(written(raw, {"message_id": uuid.uuid4().hex}, {}) for raw in (b"{", b"\xff\xfe", b'{"n":1,"n":2}')))
        await world.put(7)
        await world.come(7)
        assert len(world.place.parked("t")) == 3
        await world.empty()

    async def test_the_same_id_counts_once(self, world):
        await world.deploy()
        first = await world.node()
        await world.reading()
        await world.sends(*(written(b'{"n": %d}' % n, {"message_id": name}, {}) for n, name in ((1, "same"), (1, "same"), (2, "other"))))
        await world.come(1, 2)
        await first.stop()
        await world.node("n2")
        await world.sends(written(b'{"n": 1}', {"message_id": "same"}, {}))
        await world.put(3)
        await world.come(1, 2, 3)

    async def test_a_queue_that_is_not_there_is_told_and_one_that_comes_is_read(self, world):
        await world.channel.queue_delete(world.queue)
        await world.deploy()
        await world.node()
        await world.tells("not-found")
        await world.channel.queue_declare(world.queue, durable=True)
        await world.put(2)
        await world.come(2)

    @pytest.mark.parametrize(("secret", "words"), [(None, "no secret 'RABBIT'"), ("wrong", "does not let us in")])
    async def test_what_cannot_be_read_is_told(self, world, secret, words, tmp_path):
        (tmp_path / "secrets" / "RABBIT").unlink()
        if secret is not None:
            world.place.secret("RABBIT", secret)
        await world.deploy()
        await world.node()
        await world.tells(words)
        world.place.secret("RABBIT", "guest")  # a secret that is mended needs no restart
        await world.put(1)
        await world.come(1)


def _message(code: int, value: Any) -> bytes:
    return encode(Described(ULong(code), value))


@pytest.mark.parametrize(
    ("raw", "kind", "payload", "reason"),
    [
        (_message(0x77, '{"n": 1}'), "json", {"n": 1}, ""),  # as JMS sends a TextMessage
        (_message(0x77, "text"), "text", "text", ""),
        (_message(0x75, b'{"n"') + _message(0x75, b": 1}"), "json", {"n": 1}, ""),
        (_message(0x75, b"\xff"), "base64", "/w==", ""),
        (
            _message(0x77, {"n": 1, "deep": [Symbol("s"), b"\xff", 2.5]}),
            "json",
            {"n": 1, "deep": ["s", "/w==", Decimal("2.5")]},
            "",
        ),  # a MapMessage
        (_message(0x76, [1, 2]), "json", [1, 2], ""),
        (_message(0x76, [1]) + _message(0x76, [2]), "json", [[1], [2]], ""),
        (_message(0x77, None), "json", None, ""),
        (_message(0x73, ["m"]), "json", None, ""),
        (_message(0x75, b"\xff"), "json", "/w==", "can't be read as json"),
        (b"\x00\x53", "json", "\x00S", "can't be read as a message"),
        (b"\x40", "json", "@", "no section"),
        (_message(0x73, {"a": 1})[:-1], "json", None, "ends too early"),
        (_message(0x70, [True, None, None, None, "x"]), "json", None, "can't be read as a message"),
        (_message(0x70, [True, None, None, None, float("inf")]), "json", None, "can't be read as a message"),
        (_message(0x75, "no bytes"), "json", None, "can't be read as a message"),
        (
            2 * (b"\x00\x53\x76\xf0\x00\x00\x00\x05\x00\x01\x00\x00\x40"),
            "json",
            None,
            "too many entries",
        ),  # together more than one may have
        (60_000 * _message(0x75, b""), "base64", "", ""),
        (110_000 * _message(0x75, b""), "base64", None, "too many entries"),
    ],
)
def test_bodies(raw: bytes, kind: str, payload: Any, reason: str):
    from flowledger.connectors.amqp10.message import read as read_message

    found, why = read_message(raw, kind)
    assert reason in why and bool(reason) == bool(why), why
    assert payload is None or found["payload"] == payload, found


@pytest.mark.parametrize(
    ("id", "again", "more", "key", "reason"),
    [
        (None, 0, {"redelivered": "park"}, "", ""), (None, 1, {}, "", ""), (None, 1, {"redelivered": "park"}, "", source.AGAIN),
        ("m", 1, {"redelivered": "park"}, "m", ""),
    ],
)  # fmt: skip
async def test_what_comes_again_without_an_id_is_taken_again_or_parked(tmp_path, id, again, more, key, reason):
    async with place_of(tmp_path) as place:
        opening = Opening("", "t", {"address": "q", **more}, {}, place.engine, place.settings, None, None)  # type: ignore[arg-type]
        raw = _message(0x70, [True, None, None, None, again]) + _message(0x73, [id]) + _message(0x75, b'{"n":1}')
        item = source.AmqpQueue(opening, "q")._item(raw)
    assert (item.key, item.reason, item.context["payload"], item.context["deliveries"]) == (key, reason, {"n": 1}, again)


async def test_many_large_messages_are_not_read_in_one_go(tmp_path):
    async def waits(link: object) -> None:
        return

    async with place_of(tmp_path) as place:
        opening = Opening("", "t", {"address": "q"}, {"": 0}, place.engine, place.settings, None, None)  # type: ignore[arg-type]
        queue = source.AmqpQueue(opening, "q")
        queue.connection, queue.link = client.Connection("h"), client.Link("l", 0, True)
        queue.connection.come = waits  # type: ignore[method-assign]
        large = _message(0x75, b'"' + b"x" * (source.BYTES_MAX // 2) + b'"')
        queue.link.come.extend((n, large) for n in range(3))
        batches = queue.batches()
        told = [(len((await anext(batches)).items), queue._held) for _ in range(3)]
    assert told == [(1, (n, n, 1)) for n in range(3)]


async def test_both_ways(world, bench):  # noqa: F811
    """What the connector sends starts an instance by the source, once, though the connector is called twice with the key of the same work."""
    await world.deploy()
    await world.node()
    await world.reading()
    send = bench("amqp", secrets=(f"folder:{world.place.folder}/secrets",))
    call = {
        "host": "127.0.0.1", "port": world.port, "tls": "off", "hostname": "vhost:/", "username": "guest", "password": "guest",
        "address": f"/amq/queue/{world.queue}", "message": {"n": 4},
    }  # fmt: skip
    for _ in range(2):
        await send(call, key="4711")
    await world.come(4)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{amqp: {host: a}}", "address: expected it"), ("{amqp: {host: a, address: q, password: p}}", "a reference"),
        ("{amqp: {host: a, address: q, username: u}}", "both or none"), ("{amqp: {host: a, address: q, prefetch: 1001}}", "a whole number from 1 to 1000"),
        ("{servicebus: {namespace: n, entity: q, key_name: k}}", "key: expected it"),
        ('{servicebus: {namespace: n, entity: q, key_name: k, key: "{{secrets.K}}", subscription: a/b}}', "its name"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {config}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert "TRIGGER_SOURCE" in {f.code for f in found} and any(words in f.message for f in found), found
