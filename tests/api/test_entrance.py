"""Under overload requests are refused when their head was read, before they cost anything."""

import asyncio
import json
import socket
import time
from math import ceil

import pytest
import uvicorn

from flowledger.api.acceptor import Acceptor
from flowledger.api.entrance import Entered, HttpServer, entrance
from flowledger.api.queue import LoopQueue
from flowledger.infra.telemetry import Telemetry


async def hello(scope, receive, send):
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Door:
    def __init__(self, app=hello):
        self.queue, self.telemetry = LoopQueue(), Telemetry()
        self.app = app

    async def __aenter__(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            Entered(self.app, self.queue, self.telemetry), log_config=None, lifespan="off", http=entrance(self.queue, self.telemetry), timeout_graceful_shutdown=1
        )  # fmt: skip
        self.server = HttpServer(config)
        self.task = asyncio.create_task(self.server.serve([listener]))
        while not self.server.started:
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_):
        self.server.should_exit = True
        await self.task

    def busy(self, wait_s):
        """So long the next one would wait."""
        self.queue.cost_s, self.queue.waiting = wait_s / 100, 100

    async def connect(self):
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def hear(self):
        async with asyncio.timeout(10):
            status = int((await self.reader.readline()).split()[1])
            headers = {}
            while (line := await self.reader.readline()) != b"\r\n":
                name, _, value = line.decode().strip().partition(": ")
                headers[name.lower()] = value
            return status, headers, await self.reader.readexactly(int(headers["content-length"]))

    async def ask(self, method="POST", path="/v1/instances", headers="", body=b"{}", version="1.1"):
        head = f"{method} {path} HTTP/{version}\r\nhost: x\r\n{headers}content-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        return await self.hear()

    async def closed(self):
        async with asyncio.timeout(5):
            return await self.reader.read() == b""


@pytest.mark.req("WOS-RES-010", "WOS-PER-002")
@pytest.mark.parametrize(
    ("what", "wait_s", "status"),
    [
        (dict(), 0.0, 201),
        (dict(), 0.08, 201),
        (dict(headers="Priority: u=5\r\n"), 0.08, 429),
        (dict(headers="priority: i, u=7\r\n"), 0.08, 429),
        (dict(headers="priority: u=1\r\n"), 0.08, 201),
        (dict(), 0.3, 429),
        (dict(path="/v1/instances?wait=true"), 0.3, 429),
        (dict(path="/v1/messages"), 0.3, 429),
        (dict(path="/v1/jobs/7/complete"), 0.3, 201),
        (dict(method="GET"), 0.3, 201),
        (dict(path="/v1/jobs/7/complete"), 1.5, 429),
        (dict(method="GET"), 1.5, 429),
        (dict(path="/health/ready", method="GET"), 9, 201),
        (dict(path="/metrics", method="GET"), 9, 201),
    ],
)
async def test_new_work_is_shed_first_and_health_never(what, wait_s, status):
    async with Door() as door:
        door.busy(wait_s)
        client = await door.connect()
        found, headers, body = await client.ask(**what)
        assert found == status
        if status == 429:
            told = json.loads(body)
            assert (told["status"], told["code"], headers["content-type"]) == (429, "RESOURCE_EXHAUSTED", "application/problem+json")
            assert 1 <= int(headers["retry-after"]) <= 5 and told["retry_after_ms"] >= 1000
            assert "busy" in told["detail"] and f"wait {ceil(wait_s * 10) / 10:.2f} s" in told["detail"]
            assert door.telemetry.metrics.http.labels(what.get("method", "POST"), "refused", "429")._value.get() == 1


async def test_what_is_taken_later_is_taken_whole_and_in_its_order(monkeypatch):
    monkeypatch.setattr("flowledger.api.slices.SLICE_S", -1.0)  # all is
    async with Door() as door:
        client = await door.connect()
        big = b"x" * 3_000_000
        found = await client.ask(body=big)
        assert found[0] == 201 and found[2] == big
        client.writer.write(b"".join(b"POST /v1/instances HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n%02d" % n for n in range(20)))
        assert [(await client.hear())[2] for _ in range(20)] == [b"%02d" % n for n in range(20)]
        client.writer.write(b"POST /v1/instances HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n")
        client.writer.close()  # nobody listens any more
        assert (await (await door.connect()).ask(body=b"on"))[0] == 201


async def test_who_waited_too_long_for_its_turn_in_a_crowd_is_refused_then(monkeypatch):
    async with Door() as door:
        client = await door.connect()
        monkeypatch.setattr(door.queue, "entered", lambda since: 0.3)
        for what, status in ((dict(), 429), (dict(path="/v1/jobs/7/complete"), 201), (dict(headers="priority: u=5\r\n"), 429)):
            found, headers, body = await client.ask(**what)
            assert found == status
            if status == 429:
                assert "0.30 s" in json.loads(body)["detail"] and int(headers["retry-after"]) >= 1
        monkeypatch.setattr(door.queue, "entered", lambda since: 0.1)
        assert (await client.ask())[0] == 201
        assert (await client.ask(headers="priority: u=5\r\n"))[0] == 429


async def test_a_connection_goes_on_after_a_refusal_also_when_the_body_comes_late():
    async with Door() as door:
        client = await door.connect()
        door.busy(0.3)
        client.writer.write(b"POST /v1/instances HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n")
        assert (await client.hear())[0] == 429, "nobody waits for the body"
        for _ in range(20):
            client.writer.write(b"x" * 10_000)
            await client.writer.drain()
        assert (await client.ask())[0] == 429
        door.busy(0)
        door.queue.waiting = 0
        found, _, body = await client.ask(body=b"hello")
        assert (found, body, door.queue.waiting) == (201, b"hello", 0)


@pytest.mark.parametrize("what", [dict(version="1.0"), dict(headers="connection: close\r\n"), dict(headers="expect: 100-continue\r\n")])
async def test_where_nobody_can_tell_what_comes_next_the_connection_is_closed(what):
    async with Door() as door:
        door.busy(0.3)
        client = await door.connect()
        found, headers, _ = await client.ask(**what)
        assert (found, headers["connection"]) == (429, "close") and await client.closed()


async def test_what_came_behind_another_on_its_connection_is_let_in_so_that_answers_keep_their_order():
    async def slow(scope, receive, send):
        await asyncio.sleep(0.2)
        await hello(scope, receive, send)

    async with Door(slow) as door:
        client = await door.connect()
        request = b"POST /v1/instances HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n"
        client.writer.write(request + b"1")
        await asyncio.sleep(0.05)
        door.busy(0.3)
        client.writer.write(request + b"2")
        assert [(await client.hear())[::2] for _ in range(2)] == [(201, b"1"), (201, b"2")]
        assert (await client.ask())[0] == 429


async def test_a_slow_application_answers_those_it_lets_in_soon_and_refuses_the_rest():
    """Each request costs 10 ms of the loop; 100 come at once, twice: without a door the last would wait a second each time."""

    async def slow(scope, receive, send):
        await receive()
        time.sleep(0.01)
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with Door(slow) as door:

        async def caller():
            client = await door.connect()
            return [(await client.ask())[0] for _ in range(6)]

        found = [s for each in await asyncio.gather(*(caller() for _ in range(100))) for s in each]
        assert set(found) == {201, 429} and found.count(201) >= 3
        assert door.queue.waiting == 0, "whoever was let in has left"


async def test_many_connections_are_taken_in_one_turn_of_the_loop_and_a_limit_of_files_is_a_pause(monkeypatch):
    made = []

    class Taken(asyncio.Protocol):
        def connection_made(self, transport):
            made.append(transport)

    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    port = listener.getsockname()[1]
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    acceptor = Acceptor(listener, Taken)
    acceptor._accept()
    await acceptor.wait_closed()
    assert len(made) == 60

    class Spent:
        def __init__(self, inner):
            self.inner, self.left = inner, 1

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def accept(self):
            if self.left:
                self.left -= 1
                raise OSError(24, "Too many open files")
            return self.inner.accept()

    monkeypatch.setattr("flowledger.api.acceptor.PAUSE_S", 0.1)
    acceptor._listener = Spent(listener)
    clients.append(socket.create_connection(("127.0.0.1", port)))
    await asyncio.sleep(0.05)
    assert len(made) == 60, "it rests"
    async with asyncio.timeout(5):
        while len(made) < 61:
            await asyncio.sleep(0.02)
    acceptor.close()
    await acceptor.wait_closed()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    for each in (*clients, *made):
        each.close()
