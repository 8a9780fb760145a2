"""How often who may ask: buckets at their edges, addresses behind proxies, and each door with one request too many."""

from __future__ import annotations

import asyncio
import socket

import grpc
import httpx2
import pytest
import uvicorn

from flowledger.api.app import create_app
from flowledger.api.entrance import Entered, HttpServer, entrance
from flowledger.api.grpc.gateway import Gateway
from flowledger.api.grpc.http2 import listen
from flowledger.api.queue import LoopQueue
from flowledger.api.rates import Buckets, Rates, network_of
from flowledger.api.services import Services
from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry
from flowledger.sdk.zeebe_stubs import load
from tests.api.conftest import RowsInMemory, ScriptedClient
from tests.api.test_entrance import Client, hello

pb = load()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def rates(clock: Clock | None = None, **settings) -> Rates:
    return Rates(Settings(**settings), Telemetry().metrics, clock or Clock())


def test_a_bucket_lets_so_many_at_once_and_then_as_its_rate_is():
    clock = Clock()
    b = Buckets(10, clock=clock)
    assert [b.take("a") for _ in range(20)] == [0.0] * 20
    assert b.take("a") == pytest.approx(0.1) and b.take("b") == 0.0, "each has its own"
    clock.now += 0.0999
    assert b.take("a") > 0
    clock.now += 0.0002
    assert b.take("a") == 0.0 and b.take("a") > 0
    clock.now += 3_600
    assert [b.take("a") == 0.0 for _ in range(21)] == [True] * 20 + [False], "it holds no more, however long it rests"


def test_a_slow_rate_lets_one_at_least():
    clock = Clock()
    b = Buckets(0.1, clock=clock)
    assert b.take("a") == 0.0 and b.take("a") == pytest.approx(10)


def test_what_is_remembered_is_bounded_and_the_oldest_is_forgotten_first():
    clock = Clock()
    b = Buckets(0.5, most=100, clock=clock)
    for n in range(1_000):
        assert b.take(n) == 0.0
        b.take(0)
    assert len(b) == 100 and b.take(999) > 0 and b.take(1) == 0.0
    b = Buckets(1, 1, clock=clock)
    assert b.take("a") == 0.0
    b.give("a")
    b.give("a")
    assert b.take("a") == 0.0 and b.take("a") > 0, "no more comes back than it holds"


@pytest.mark.parametrize(
    ("given", "network"),
    [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("fe80::1%eth0", "fe80::/64"), ("", ""),
        ("no address", "no address"),
    ],
)  # fmt: skip
def test_of_ipv6_a_network_is_one_address(given, network):
    assert network_of(given) == network


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "counts"),
    [
        ((), "192.0.2.1", "198.51.100.9", "192.0.2.1"),
        (("10.0.0.0/8",), "192.0.2.1", "198.51.100.9", "192.0.2.1"),
        (("10.0.0.0/8",), "10.1.1.1", "", "10.1.1.1"),
        (("10.0.0.0/8",), "10.1.1.1", "198.51.100.9", "198.51.100.9"),
        (("10.0.0.0/8",), "10.1.1.1", "203.0.113.5, 198.51.100.9", "198.51.100.9"),
        (("10.0.0.0/8",), "10.1.1.1", "203.0.113.5, 198.51.100.9, 10.2.2.2", "198.51.100.9"),
        (("10.0.0.0/8",), "10.1.1.1", "198.51.100.9:4711", "198.51.100.9"),
        (("10.0.0.0/8",), "10.1.1.1", '[2001:db8:1:2::9]:80', "2001:db8:1:2::/64"),
        (("10.0.0.0/8",), "10.1.1.1", "198.51.100.9, unknown", "10.1.1.1"),
        (("10.0.0.0/8",), "10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        (("2001:db8::/32", "10.0.0.0/8"), "2001:db8::1", ", ".join(["198.51.100.9"] + ["10.0.0.1"] * 50), "10.0.0.1"),
    ],
)  # fmt: skip
def test_only_what_trusted_proxies_have_added_is_believed(trusted, peer, forwarded, counts):
    assert rates(trusted_proxies=trusted).address_of(peer, forwarded) == counts


def test_a_network_that_is_none_is_told():
    with pytest.raises(ValueError, match="expected addresses and networks like 10.0.0.0/8"):
        Settings(trusted_proxies=("proxy.example",))


class At:
    """An HTTP door with its limits."""

    def __init__(self, clock: Clock, app=hello, believed: bool = True, **settings) -> None:
        self.rates, self.queue, self.telemetry = rates(clock, **settings), LoopQueue(), Telemetry()
        self.app, self.believed = app, believed

    async def __aenter__(self) -> At:
        listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = listener.getsockname()[1]
        http = entrance(self.queue, self.telemetry, self.rates, self.believed)
        app = Entered(self.app, self.queue, self.telemetry)
        self.server = HttpServer(uvicorn.Config(app, log_config=None, lifespan="off", http=http, timeout_graceful_shutdown=1))
        self.task = asyncio.create_task(self.server.serve([listener]))
        while not self.server.started:
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.should_exit = True
        await self.task

    async def connect(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))


async def test_one_address_asks_too_often_and_is_told_when_to_come_again():
    clock = Clock()
    async with At(clock, rate_per_address=1) as door:
        client, other = await door.connect(), await door.connect()
        assert [(await c.ask())[0] for c in (client, other)] == [201, 201], "two at once, over all connections"
        for _ in range(3):
            status, headers, body = await client.ask()
            assert (
                (status, headers["retry-after"]) == (429, "2")
                and b"one address" in body
                and headers["content-type"] == "application/problem+json"
            )
        assert (await client.ask(path="/health/live"))[0] == 201, "probes are answered always"
        clock.now += 1.0
        assert (await client.ask())[0] == 201 and (await other.ask())[0] == 429
        assert door.rates._metrics.rate_limited.labels("address", "http")._value.get() == 4


async def test_who_is_refused_and_waits_for_a_100_or_comes_by_an_older_http_is_done():
    async with At(Clock(), rate_per_address=0.5) as door:
        client = await door.connect()
        assert (await client.ask())[0] == 201
        for how in ({"headers": "expect: 100-continue\r\n"}, {"version": "1.0"}):
            client = await door.connect()
            status, headers, _ = await client.ask(**how)
            assert (status, headers["connection"]) == (429, "close")
            assert await client.reader.read() == b""


async def test_what_stands_behind_another_on_a_connection_is_no_way_around():
    async with At(Clock(), rate_per_address=1) as door:
        client = await door.connect()
        client.writer.write(b"POST /v1/instances HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}" * 10)
        async with asyncio.timeout(30):
            heard = await client.reader.read()
        assert heard.count(b" 201 ") <= 2 and heard.count(b" 429 ") == 1, heard


async def test_each_address_behind_a_trusted_proxy_counts_for_itself():
    async with At(Clock(), rate_per_address=0.5, trusted_proxies=("127.0.0.1",)) as door:
        client = await door.connect()
        told = [
            (await client.ask(headers=f"x-forwarded-for: {spoofed}, 198.51.100.{n}\r\n"))[0]
            for n, spoofed in ((1, 7), (2, 7), (1, 8), (1, 9))
        ]
        assert told == [201, 201, 429, 429]
        # several lines are one list
        assert (await client.ask(headers="x-forwarded-for: 198.51.100.1\r\nx-forwarded-for: 198.51.100.3\r\n"))[0] == 201


async def test_one_address_has_so_many_connections_and_each_that_ends_makes_room():
    async with At(Clock(), connections_per_address=2) as door:
        first, second = await door.connect(), await door.connect()
        assert [(await c.ask())[0] for c in (first, second)] == [201, 201]
        third = await door.connect()
        status, headers, body = await third.hear()
        assert (status, headers["connection"], headers["retry-after"]) == (429, "close", "2") and b"2 connections of one address" in body
        assert await third.reader.read() == b""
        first.writer.close()
        async with asyncio.timeout(30):
            while door.rates.connections.get("127.0.0.1") != 1:
                await asyncio.sleep(0.01)
        again = await door.connect()
        assert (await again.ask())[0] == 201
        for each in (second, again):
            each.writer.close()
        async with asyncio.timeout(30):
            while door.rates.connections:
                await asyncio.sleep(0.01)


async def test_without_sign_in_a_name_counts_for_itself():
    services = Services(ScriptedClient(), RowsInMemory(), Settings())  # type: ignore[arg-type]
    clock = Clock()
    services.rates = rates(clock, rate_per_caller=0.5)
    app = create_app(services)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8080") as web:
        said = [await web.get("/v1/me", headers={"x-actor": name} if name else {}) for name in ("ann", "bob", "ann", "", "")]
        assert [r.status_code for r in said] == [200, 200, 429, 200, 200]
        assert said[2].headers["retry-after"] == "3" and said[2].json()["code"] == "RESOURCE_EXHAUSTED"
        assert (await web.get("/health/live", headers={"x-actor": "ann"})).status_code == 200
        clock.now += 2.0
        assert (await web.get("/v1/me", headers={"x-actor": "ann"})).status_code == 200


async def test_without_sign_in_a_tenant_counts_with_all_its_callers():
    services = Services(ScriptedClient(), RowsInMemory(), Settings())  # type: ignore[arg-type]
    services.rates = rates(Clock(), rate_per_tenant=0.5)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(services)), base_url="http://127.0.0.1:8080") as web:
        asked = [("ann", "acme"), ("bob", "acme"), ("ann", "beta")]
        said = [await web.get("/v1/me", headers={"x-actor": name, "x-tenant": tenant}) for name, tenant in asked]
        assert [r.status_code for r in said] == [200, 429, 200]


async def test_a_tenant_that_has_sent_too_much_is_turned_away_before_it_costs_anything():
    """Whom a caller names without sign-in; nothing is taken from its bucket here, the guard does that."""
    begun = []

    async def app(scope, receive, send):
        begun.append(scope["path"])
        door.rates.for_tenant(dict(scope["headers"]).get(b"x-tenant", b"").decode(), "http")
        await hello(scope, receive, send)

    clock = Clock()
    async with At(clock, app, rate_per_tenant=0.5) as door:
        client = await door.connect()
        asked = (("/v1/a", "f"), ("/v1/b", "f"), ("/v1/c", "f"), ("/v1/d", "g"), ("/health/live", "f"))
        said = [await client.ask(path=path, headers=f"x-tenant: {tenant}\r\n") for path, tenant in asked]
        assert [status for status, _, _ in said] == [201, 429, 429, 201, 201]
        assert said[1][1]["retry-after"] == "3" and b"more requests than one tenant may send" in said[1][2]
        clock.now += 2.0
        assert (await client.ask(path="/v1/e", headers="x-tenant: f\r\n"))[0] == 201
        assert begun == ["/v1/a", "/v1/d", "/health/live", "/v1/e"]


async def test_a_tenant_that_is_only_said_is_not_believed_where_callers_sign_in():
    async with At(Clock(), believed=False, rate_per_tenant=0.5) as door:
        client = await door.connect()
        door.rates.for_tenant("f", "http")
        assert (await client.ask(headers="x-tenant: f\r\n"))[0] == 201


class Engine:
    partitions = 1

    def health(self) -> dict:
        return {"ready": True, "partitions": {}}


async def test_the_gateway_counts_calls_and_connections_of_an_address():
    clock = Clock()
    gateway = Gateway(Engine(), rates=rates(clock, rate_per_address=1, connections_per_address=1))  # type: ignore[arg-type]
    server = await listen(gateway, port=0)
    topology = "/gateway_protocol.Gateway/Topology"

    async def ask(channel: grpc.aio.Channel) -> grpc.StatusCode:
        call = channel.unary_unary(topology, pb.TopologyRequest.SerializeToString, pb.TopologyResponse.FromString)
        try:
            await call(pb.TopologyRequest(), timeout=30)
        except grpc.aio.AioRpcError as e:
            return e.code()
        return grpc.StatusCode.OK

    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}", options=options) as channel:
        code = grpc.StatusCode
        assert [await ask(channel) for _ in range(3)] == [code.OK, code.OK, code.RESOURCE_EXHAUSTED]
        clock.now += 1.0
        assert await ask(channel) == code.OK
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}", options=options) as second:
            clock.now += 10.0
            assert await ask(second) == code.UNAVAILABLE, "a second connection is closed"
    async with asyncio.timeout(30):
        while gateway.rates is not None and gateway.rates.connections:
            await asyncio.sleep(0.01)
    await server.close(0.1)
