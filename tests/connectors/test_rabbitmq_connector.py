"""The connector of RabbitMQ against a real broker: what stands in the message, where it goes, and what the broker refuses."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiormq
import pytest

from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure


class RabbitRig(Rig):
    connector = "rabbitmq"
    secret_at = "password"

    def __init__(self, server: dict[str, str]) -> None:
        self.server, self.to = server, ("127.0.0.1", int(server["port"]))
        self.queue, self.user = f"q{uuid.uuid4().hex[:10]}", f"u{uuid.uuid4().hex[:10]}"

    def control(self, *words: str) -> None:
        """In the broker's own words, by its node."""
        env = {k: v for k, v in self.server.items() if k.isupper()}
        done = subprocess.run([self.server["control"], *words], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    async def opened(self) -> None:
        await asyncio.to_thread(self.control, "eval", f"""
            U = <<"{self.user}">>, rabbit_auth_backend_internal:add_user(U, <<"{SECRET}">>, <<"t">>),
            rabbit_auth_backend_internal:set_permissions(U, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"t">>).""")  # fmt: skip
        async with self.channel() as channel:
            await channel.queue_declare(self.queue, durable=True)

    def channel(self) -> Any:
        return _Channel(f"amqp://guest:guest@127.0.0.1:{self.to[1]}/")

    async def messages(self) -> list[Any]:
        async with self.channel() as channel:
            found = []
            while (one := await channel.basic_get(self.queue, no_ack=True)).delivery.name == "Basic.GetOk":
                found.append(one)
            return found

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "host": host, "port": port, "tls": "verify" if tls else "off", "username": self.user, "password": "{{secrets.KEY}}",
            "routingKey": self.queue, "message": {"weight": 7},
        }  # fmt: skip

    def checked(self, answer: Any) -> None:
        assert answer["messageId"]

    async def rotate(self, value: str) -> None:
        await asyncio.to_thread(self.control, "change_password", self.user, value)

    async def effects(self) -> list[str]:
        return [m.header.properties.message_id for m in await self.messages()]


class _Channel:
    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Any:
        self._connection = await aiormq.connect(self._url)
        return await self._connection.channel()

    async def __aexit__(self, *error: object) -> None:
        await self._connection.close()


@pytest.fixture(scope="module")
def users(rabbitmq_server: dict[str, str]) -> RabbitRig:
    """One user for the module: to make one takes a second."""
    rig = RabbitRig(rabbitmq_server)
    asyncio.run(rig.opened())
    return rig


@pytest.fixture
async def rabbit_rig(users: RabbitRig) -> RabbitRig:
    await users.messages()
    return users


class TestContract(Contract):
    @pytest.fixture
    def rig(self, rabbit_rig: RabbitRig) -> Rig:
        return rabbit_rig


@pytest.fixture
async def send(rabbit_rig: RabbitRig, bench) -> AsyncIterator[Any]:
    run = bench("rabbitmq")

    async def call(**more: Any) -> Any:
        variables = {**rabbit_rig.call(*rabbit_rig.to), "password": SECRET, **more}
        return (await run(variables, OUT, key="4711"))["out"]

    yield call


@pytest.mark.parametrize(
    ("message", "body", "kind"),
    [
        ({"n": Decimal("1.10")}, b'{"n":1.10}', "application/json"),
        ("text \u00fc", "text \u00fc".encode(), "text/plain"),
        ([1], b"[1]", "application/json"),
        ("x" * 300_000, b"x" * 300_000, "text/plain"),
    ],
)
async def test_what_stands_in_the_message(rabbit_rig: RabbitRig, send, message: Any, body: bytes, kind: str):
    assert await send(message=message, headers={"n": 1, "none": None}, correlationId="c", replyTo="r") == {"messageId": "4711"}
    (found,) = await rabbit_rig.messages()
    p = found.header.properties
    assert found.body == body
    assert (p.content_type, p.headers, p.message_id, p.correlation_id, p.reply_to, p.delivery_mode) == (
        kind,
        {"n": "1"},
        "4711",
        "c",
        "r",
        2,
    )


async def test_by_way_of_an_exchange(rabbit_rig: RabbitRig, send):
    exchange = f"x{uuid.uuid4().hex[:8]}"
    async with rabbit_rig.channel() as channel:
        await channel.exchange_declare(exchange, exchange_type="topic", auto_delete=True)
        await channel.queue_bind(rabbit_rig.queue, exchange, "orders.*")
        await send(exchange=exchange, routingKey="orders.new", persistent=False, contentType="application/x")
        (found,) = await rabbit_rig.messages()
        assert (found.header.properties.delivery_mode, found.header.properties.content_type) == (1, "application/x")
        unrouted = await failure(send(exchange=exchange, routingKey="other"))
        assert (unrouted.code, unrouted.retries) == ("UNROUTABLE", 0)
        assert await send(exchange=exchange, routingKey="other", routed=False) == {"messageId": "4711"}


@pytest.mark.parametrize(
    ("more", "code"),
    [({"exchange": "none"}, "404"), ({"virtualHost": "none"}, "AUTHENTICATION"), ({"username": "nobody"}, "AUTHENTICATION")],
)
async def test_what_the_broker_refuses(send, more: dict[str, Any], code: str):
    found = await failure(send(**more))
    assert (found.code, found.retries) == (code, 0), found.message


@pytest.mark.parametrize(
    "wrong", [{"message": "x" * (4 * 1024 * 1024 + 1)}, {"routingKey": "\u00fc" * 200}, {"tls": "no"}, {"username": ""}]
)
async def test_configurations_that_are_refused(send, wrong):
    assert (await failure(send(**wrong))).code == "CONFIGURATION"


GOOD = {"host": "mq", "username": "u", "password": "{{secrets.P}}", "routingKey": "= q", "message": "= m"}


@pytest.mark.parametrize(
    ("inputs", "words"), [(GOOD, ""), ({**GOOD, "persistent": "perhaps"}, "persistent"), ({"host": "mq", "username": "u"}, "password")]
)
def test_findings(inputs, words: str):
    found = said(inputs, {}, "flowledger:rabbitmq")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found
