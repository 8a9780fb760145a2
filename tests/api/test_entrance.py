"""Requests that have waited too long for their turn are refused before they cost anything."""

import asyncio
import json
import time

import pytest

from flowledger.api.entrance import ARRIVED, INTERVAL_S, LIMITS_S, Arrivals, Entrance
from flowledger.infra.telemetry import Telemetry


def scope(path="/v1/instances", method="POST", waited=0.0, priority=b""):
    headers = [(b"priority", priority)] if priority else []
    return {"type": "http", "method": method, "path": path, "headers": headers, ARRIVED: time.perf_counter() - waited}


async def ask(what, entrance_since=1.0):
    """`entrance_since`: for so many seconds each request of every class has waited too long."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 201, "headers": []})

    async def send(message):
        sent.append(message)

    entrance = Entrance(app, Telemetry())
    if entrance_since:
        entrance._since = dict.fromkeys(LIMITS_S, time.perf_counter() - entrance_since)
    await entrance(what, None, send)
    return sent


@pytest.mark.parametrize(("since", "status"), [(0, 201), (INTERVAL_S - 0.1, 201), (INTERVAL_S + 0.1, 429)])
async def test_one_slow_moment_is_no_overload(since, status):
    assert (await ask(scope(waited=0.5), since))[0]["status"] == status


@pytest.mark.req("WOS-RES-010", "WOS-PER-002")
@pytest.mark.parametrize(
    ("what", "status"),
    [
        (dict(waited=0.0), 201),
        (dict(waited=0.12), 201),
        (dict(waited=0.12, priority=b"u=5"), 429),
        (dict(waited=0.12, priority=b"i, u=7"), 429),
        (dict(waited=0.12, priority=b"u=1"), 201),
        (dict(waited=0.3), 429),
        (dict(path="/v1/messages", waited=0.3), 429),
        (dict(path="/v1/jobs/7/complete", waited=0.3), 201),
        (dict(path="/v1/instances", method="GET", waited=0.3), 201),
        (dict(path="/v1/jobs/7/complete", waited=1.5), 429),
        (dict(path="/health/ready", method="GET", waited=9), 201),
        (dict(path="/metrics", method="GET", waited=9), 201),
    ],
)
async def test_new_work_is_shed_first_and_health_never(what, status):
    sent = await ask(scope(**what))
    assert sent[0]["status"] == status
    if status == 429:
        headers = dict(sent[0]["headers"])
        body = json.loads(sent[1]["body"])
        assert int(headers[b"retry-after"]) >= 1 and body["code"] == "RESOURCE_EXHAUSTED" and "busy" in body["detail"]
        assert int(headers[b"content-length"]) == len(sent[1]["body"])


async def test_a_slow_application_answers_those_it_lets_in_soon_and_refuses_the_rest():
    """Each request costs 10 ms of the loop; 100 come at once: without a door the last would wait a second."""
    import uvicorn

    async def app(scope, receive, send):
        await receive()
        time.sleep(0.01)
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    server = uvicorn.Server(uvicorn.Config(Entrance(app, Telemetry()), port=0, log_config=None, lifespan="off", http=Arrivals))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    request = b"POST /v1/instances HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"

    async def caller():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        statuses = []
        for _ in range(2):  # the connection can be used again after a refusal
            writer.write(request)
            statuses.append(int((await reader.readline()).split()[1]))
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length"):
                    length = int(line.split(b":")[1])
            await reader.readexactly(length)
        writer.close()
        return statuses

    found = [s for each in await asyncio.gather(*(caller() for _ in range(100))) for s in each]
    assert set(found) == {201, 429} and found.count(201) >= 3
    server.should_exit = True
    await task
