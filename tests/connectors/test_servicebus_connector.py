"""Azure Service Bus against a stub of its protocol (`servicebus.py`): tokens, what stands in a message, how it is taken; and as a source."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from flowledger.connectors import reach
from flowledger.connectors.amqp10 import client, servicebus
from flowledger.connectors.amqp10.message import written
from flowledger.connectors.sources import figures
from flowledger.connectors.sources.amqp_queue import ServiceBusQueue
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.servicebus import ServiceBus
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure
from tests.connectors.wire import Wire
from tests.triggers.conftest import place_of
from tests.triggers.contract import QueueContract, Wired, opened, quick  # noqa: F401 - a fixture for all

pytestmark = pytest.mark.req("APG-CON-018")


class BusRig(Rig):
    connector = "servicebus"
    secret_at = "key"

    def __init__(self, server: ServiceBus) -> None:
        self.server, self.to = server, ("127.0.0.1", server.port)

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "namespace": host, "port": port, "tls": "verify" if tls else "off", "entity": "orders", "keyName": "sender", "key": "{{secrets.KEY}}",
            "message": {"weight": 7},
        }  # fmt: skip

    def checked(self, answer: Any) -> None:
        assert answer["messageId"]

    async def rotate(self, value: str) -> None:
        self.server.key = value

    async def effects(self) -> list[str]:
        return [m.properties.message_id.decode() for m in self.server.sent]


@pytest.fixture
async def bus() -> AsyncIterator[ServiceBus]:
    made = await ServiceBus("sender", SECRET, "orders").start()
    yield made
    await made.close()


class TestContract(Contract):
    @pytest.fixture
    def rig(self, bus: ServiceBus) -> Rig:
        return BusRig(bus)


@pytest.fixture
async def send(bus: ServiceBus, bench) -> AsyncIterator[Any]:
    run = bench("servicebus")

    async def call(**more: Any) -> Any:
        return (await run({**BusRig(bus).call("127.0.0.1", bus.port), "key": SECRET, **more}, OUT, key="4711"))["out"]

    yield call


async def test_what_stands_in_the_message_as_microsofts_library_reads_it(bus: ServiceBus, send):
    more = {"n": 3, "big": 2**40, "yes": True, "text": "ü", "none": None}
    assert await send(applicationProperties=more, subject="paid", correlationId="c", replyTo="r", sessionId="s", timeToLiveSeconds=60) == {
        "messageId": "4711"
    }
    await send(message="x" * 300_000)
    first, second = bus.sent
    assert first.data == [b'{"weight":7}'] and second.data == [b"x" * 300_000]
    assert first.application_properties == {b"n": 3, b"big": 2**40, b"yes": True, b"text": "ü".encode()}
    assert (first.header.durable, first.header.ttl) == (True, 60_000)
    q = first.properties
    assert (q.message_id, q.subject, q.correlation_id, q.reply_to, q.group_id, q.content_type) == (
        b"4711",
        b"paid",
        b"c",
        b"r",
        b"s",
        b"application/json",
    )
    assert second.properties.content_type == b"text/plain"


def test_a_token_is_the_one_that_microsofts_library_makes():
    from azure.servicebus._pyamqp.utils import generate_sas_token

    uri = "amqps://shop.servicebus.windows.net/a-b/Subscriptions/ü"
    for key, until in (("k" * 44, 1_900_000_000), ("+/=", 1)):
        theirs = generate_sas_token(uri, "policy", key, until)
        assert sorted(servicebus.token(uri, "policy", key, until).partition(" ")[2].split("&")) == sorted(
            theirs.partition(" ")[2].split("&")
        )


@pytest.mark.parametrize(
    ("condition", "code", "again"),
    [("com.microsoft:server-busy", "BUSY", True), ("amqp:resource-limit-exceeded", "BUSY", True), ("amqp:not-allowed", "REJECTED", False)],
)
async def test_what_the_broker_does_not_take(bus: ServiceBus, send, condition: str, code: str, again: bool):
    bus.refuse = condition
    found = await failure(send())
    assert (found.code, found.retries) == (code, None if again else 0), found.message


@pytest.mark.parametrize(
    ("more", "code"),
    [({"entity": "none"}, "AUTHENTICATION"), ({"keyName": "other"}, "AUTHENTICATION"), ({"message": "x" * 1_048_577}, "413")],
)
async def test_what_is_refused(send, more: dict[str, Any], code: str):
    found = await failure(send(**more))
    assert (found.code, found.retries) == (code, 0), found.message


@pytest.mark.parametrize("wrong", [{"message": "x" * (4 * 1024 * 1024 + 1)}, {"entity": ""}, {"tls": "no"}, {"applicationProperties": {"a": [1]}},
                                   {"applicationProperties": {"a": 2**63}}, {"sessionId": "x" * 129}])  # fmt: skip
async def test_configurations_that_are_refused(bus: ServiceBus, send, wrong):
    assert (await failure(send(**wrong))).code == "CONFIGURATION" and not bus.sent


GOOD = {"namespace": "n.servicebus.windows.net", "entity": "q", "keyName": "k", "key": "{{secrets.K}}", "message": "= m"}


@pytest.mark.parametrize(
    ("inputs", "words"), [(GOOD, ""), ({**GOOD, "entity": ""}, "entity"), ({"namespace": "n", "entity": "q", "keyName": "k"}, "key")]
)
def test_findings(inputs, words: str):
    found = said(inputs, {}, "flowledger:servicebus")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found


async def test_links_that_are_done_with_leave_their_handles_to_others(bus: ServiceBus):
    """A server takes so many handles (255), and a source that is read for weeks puts token after token."""
    connection = await client.Connection.over(await reach.socket_to("127.0.0.1", bus.port), None, "h", "", "", "")
    for _ in range(3):
        await servicebus.let_in(connection, "127.0.0.1", "orders", "sender", SECRET, int(time.time()))
        assert not connection._links
    assert (await connection.attach("orders", receives=True)).handle == 0
    assert (await connection.attach("orders", receives=True)).handle == 1
    await connection.close()


async def test_a_token_is_renewed_where_there_is_always_something(monkeypatch):
    queue, done = object.__new__(ServiceBusQueue), []
    monkeypatch.setattr(queue, "connection", SimpleNamespace(come=lambda link: asyncio.sleep(0)), raising=False)
    monkeypatch.setattr(queue, "link", None, raising=False)
    queue._again_s = 0.0

    async def let_in() -> None:
        done.append(1)
        queue._again_s = time.monotonic() + 1800

    monkeypatch.setattr(queue, "let_in", let_in)
    await queue._come()
    await queue._come()
    assert len(done) == 1


# --- as a source --------------------------------------------------------------------------------------------------------


class Bus(Wired):
    NUMBER, LAG = "number(payload.n)", False

    def __init__(self, place: Any, bus: ServiceBus, wire: Wire) -> None:
        super().__init__(place, wire)
        self.bus = bus

    def source(self) -> str:
        return f'{{servicebus: {{namespace: 127.0.0.1, port: {self.wire.port}, tls: "off", entity: orders, key_name: sender, key: "{{{{secrets.BUS}}}}", prefetch: 5}}}}'

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            self.bus.put("orders", written(json.dumps({"n": n, **more}).encode(), {"message_id": f"m{n}"}, {}))

    async def empty(self) -> None:
        """Nothing waits, and nothing is handed out without being settled."""
        await self.place.until(lambda: _is(self.bus.empty))


@pytest.fixture
async def world(tmp_path, bus: ServiceBus) -> AsyncIterator[Bus]:
    wire = await Wire(("127.0.0.1", bus.port)).start()
    async with place_of(tmp_path, egress_private=("127.0.0.1",)) as place, opened(Bus(place, bus, wire)) as found:
        place.secret("BUS", SECRET)
        yield found
    await wire.close()


class TestSource(QueueContract):
    """As any queue."""


@pytest.mark.req("APG-TRG-002")
async def test_a_queue_is_read_once_each_whoever_dies_and_with_tokens_that_are_renewed(world, bus: ServiceBus, monkeypatch):
    monkeypatch.setattr(servicebus, "AGAIN_S", 0.2)
    await world.put(*range(10))
    await world.deploy()
    first = await world.node("n1", 3)
    await world.place.until(lambda: _is(first.client.dead.is_set()))
    await first.kill()
    world.nodes.remove(first)
    await world.node("n2")
    await world.come(*range(10))
    came = len(bus.tokens)
    await world.place.until(lambda: _is(len(bus.tokens) > came + 1))
    assert not bus.entities["orders"]
    bus.key = "another-key-of-the-policy"
    await world.tells("the key of the policy is not taken")
    world.place.secret("BUS", bus.key)
    began = time.monotonic()
    await world.put(11)
    await world.come(*range(10), 11)
    assert time.monotonic() - began < 60


async def _is(value: bool) -> bool:
    return value


async def test_a_subscription_of_a_topic(world, bus: ServiceBus, monkeypatch):
    bus.entities["topic/Subscriptions/mine"] = bus.entities["mine"] = bus.entities["orders"]
    source = world.source().replace("entity: orders", "entity: topic, subscription: mine")
    monkeypatch.setattr(world, "source", lambda: source)
    await world.put(1)
    await world.deploy()
    await world.node()
    await world.come(1)


def described(count: int) -> bytes:
    """A queue, as the service describes it (its own library reads it so, see below)."""
    return f"""<entry xmlns="http://www.w3.org/2005/Atom"><id>x</id><title type="text">orders</title><content type="application/xml">
<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<LockDuration>PT1M</LockDuration><MessageCount>{count + 2}</MessageCount>
<CountDetails xmlns:d2p1="http://schemas.microsoft.com/netservices/2011/06/servicebus"><d2p1:ActiveMessageCount>{count}</d2p1:ActiveMessageCount>
<d2p1:DeadLetterMessageCount>2</d2p1:DeadLetterMessageCount></CountDetails></QueueDescription></content></entry>""".encode()


def test_the_description_is_one_that_microsofts_library_reads():
    from azure.servicebus.management import QueueRuntimeProperties
    from azure.servicebus.management._generated.models import QueueDescriptionEntry

    entry = QueueDescriptionEntry.deserialize(ElementTree.fromstring(described(7)))
    assert QueueRuntimeProperties._from_internal_entity("orders", entry.content.queue_description).active_message_count == 7


async def test_what_waits_is_told_where_the_policy_may(world, bus: ServiceBus, target, monkeypatch):
    async def lag(n: int) -> None:
        await world.place.until(lambda: _is(world.place.trigger("t").lag == n), 60)

    monkeypatch.setattr(figures, "EVERY_S", 0.05)
    plain = world.source()
    monkeypatch.setattr(world, "source", lambda: plain.replace("entity:", f'figures: "{target.url}", entity:'))
    target.routes["/orders"] = 200, {"content-type": "application/atom+xml"}, described(12)
    await world.deploy()
    await world.node()
    await lag(12)
    asked = target.seen[-1]
    assert asked.method == "GET" and asked.path == "/orders?api-version=2021-05"
    assert bus.status(asked.headers["authorization"], "https://127.0.0.1/orders")[0] == 202
    for n, told in enumerate(((401, {}, b""), (503, {}, b""), (200, {}, b"<entry/>"), (200, {}, b"no xml"))):
        target.routes["/orders"] = told
        await lag(-1)
        await world.put(n + 1)
        await world.come(*range(1, n + 2))
        assert world.place.trigger("t").error == ""
        target.routes["/orders"] = 200, {}, described(n)
        await lag(n)
