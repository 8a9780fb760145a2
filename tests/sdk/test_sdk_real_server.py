"""Client and worker against the real engine behind the real HTTP application, on a socket: the stream and long polling side by side."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import uvicorn
from pydantic import BaseModel
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from flowledger.api import job_stream
from flowledger.api.app import create_app
from flowledger.api.services import Services
from flowledger.api.workers import Workers
from flowledger.infra.log_memory import MemoryLog
from flowledger.infra.settings import Settings
from flowledger.kernel.limits import LEASE_MS_MAX
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.sdk import BpmnError, Client, Job, JobFailed, Worker, frames
from flowledger.sdk.client import ApiError

MODEL = """<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 targetNamespace="t" id="d"><bpmn:error id="err" errorCode="NO_MONEY"/>
<bpmn:process id="order" isExecutable="true"><bpmn:startEvent id="s"/>
<bpmn:serviceTask id="price"><bpmn:extensionElements><zeebe:taskDefinition type="price"/>
</bpmn:extensionElements></bpmn:serviceTask>
<bpmn:serviceTask id="pay"><bpmn:extensionElements><zeebe:taskDefinition type="pay" retries="2"/>
</bpmn:extensionElements></bpmn:serviceTask>
<bpmn:boundaryEvent id="b" attachedToRef="pay"><bpmn:errorEventDefinition errorRef="err"/></bpmn:boundaryEvent>
<bpmn:endEvent id="e"/><bpmn:endEvent id="e2"/><bpmn:sequenceFlow id="f1" sourceRef="s" targetRef="price"/>
<bpmn:sequenceFlow id="f2" sourceRef="price" targetRef="pay"/><bpmn:sequenceFlow id="f3" sourceRef="pay" targetRef="e"/>
<bpmn:sequenceFlow id="f4" sourceRef="b" targetRef="e2"/></bpmn:process></bpmn:definitions>"""


class Order(msgspec.Struct):
    items: list[str]
    total: Decimal


class Paid(BaseModel):
    paid: Decimal
    by: str = "card"


@dataclass
class Priced:
    total: Decimal


async def until(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        await asyncio.sleep(0.01)


class World:
    def __init__(self, url: str, engine: Engine, registry: Workers, watch: Any) -> None:
        self.url, self.engine, self.registry, self.watch = url, engine, registry, watch


@pytest.fixture
async def world():
    engine = Engine(MemoryLog(), partitions=2)
    await engine.start()
    registry = Workers()
    services = Services(engine, None, Settings())
    app = create_app(services, more=job_stream.handlers(engine, registry, lambda scope: Caller("worker")))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off", ws="websockets-sansio")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    watching = asyncio.create_task(registry.watch(engine))
    yield World(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", engine, registry, watching)
    watching.cancel()
    services.closing.set()
    server.should_exit = True
    await serving
    await engine.kill()


@pytest.fixture(params=["", "poll+"])
def transport(request):
    return request.param


@pytest.mark.req("WOS-EVT-001")
async def test_deploy_start_work_answer(world, transport):
    worker = Worker(transport + world.url, name="w1", max_jobs=10)
    attempts, traces = [], []

    @worker.job("price")
    def price(items: list[str]) -> Priced:
        return Priced(Decimal("1.10") * len(items))

    @worker.job("pay")
    async def pay(order: Order, job: Job) -> Paid:
        attempts.append((job.instance, job.attempt))
        traces.append(job.trace)
        if order.items[0] == "none":
            raise BpmnError("NO_MONEY")
        if order.items[0] == "again" and job.attempt == 1:
            raise JobFailed("not yet", retries=1, backoff_s=0.05)
        return Paid(paid=order.total)

    working = asyncio.create_task(worker.run())
    async with Client(world.url, actor="ann") as client:
        deployed = await client.deploy(("order.bpmn", MODEL))
        assert len(deployed["definitions"]) == 1
        done = await client.start("order", {"items": ["a", "b", "c"]}, wait_s=15)
        assert Decimal(str(done["variables"]["paid"])) == Decimal("3.30") and done["variables"]["by"] == "card"
        caught = await client.start("order", {"items": ["none"]}, wait_s=15)
        assert "paid" not in caught["variables"]
        again = await client.start("order", {"items": ["again"]}, wait_s=15)
        assert Decimal(str(again["variables"]["paid"])) == Decimal("1.10")
        assert [n for i, n in attempts if str(i) == again["id"]] == [1, 2]
        first = await client.start("order", {"items": ["a"]}, id="same")
        second = await client.start("order", {"items": ["a"]}, id="same")
        assert first["id"] == second["id"]
        with pytest.raises(ApiError) as e:
            await client.start("nobody")
        assert e.value.code == "NOT_FOUND" and e.value.status == 404
        if not transport:
            (shown,) = await client.workers(["pay"])
            assert shown["worker"] == "w1" and shown["transport"] == "stream" and shown["completed"] >= 5
    await worker.stop(2)
    await working
    assert worker.metrics.of("pay").received == len(attempts)


async def test_bad_variables_raise_an_incident_at_once(world, transport):
    worker = Worker(transport + world.url)

    @worker.job("price")
    async def price(items: list[str]) -> dict:
        return {}

    working = asyncio.create_task(worker.run())
    async with Client(world.url) as client:
        await client.deploy(("order.bpmn", MODEL))
        await client.start("order", {"items": 7})
        await until(lambda: [i for o in world.engine.owners.values() for i in o.state.incidents.values()])
    (incident,) = [i for o in world.engine.owners.values() for i in o.state.incidents.values()]
    assert "variable 'items'" in incident.message
    await worker.stop(1)
    await working


async def test_cancelling_the_instance_stops_the_handler(world):
    worker, told = Worker(world.url, lease_s=600), []

    @worker.job("price")
    async def price(job: Job) -> dict:
        try:
            await asyncio.sleep(60)
        finally:
            told.append(job.cancelled)
        return {}

    working = asyncio.create_task(worker.run())
    async with Client(world.url) as client:
        await client.deploy(("order.bpmn", MODEL))
        started = await client.start("order", {"items": []})
        await until(lambda: worker.running)
        await client.cancel(started["id"], "changed my mind")
        await until(lambda: told == [True])
    await worker.stop(1)
    await working


async def test_many_tasks_over_one_stream_are_done_once_each(world):
    worker, seen = Worker(world.url, max_jobs=100), []

    @worker.job("price", inline=True)
    def price(job: Job) -> dict:
        seen.append(job.key)
        return {"total": 1}

    @worker.job("pay", inline=True)
    def pay(job: Job) -> None:
        seen.append(job.key)

    async with Client(world.url) as client:
        await client.deploy(("order.bpmn", MODEL))
        await asyncio.gather(*(client.start("order", {"items": []}) for _ in range(100)))
    working = asyncio.create_task(worker.run())
    await until(lambda: len(seen) == 200 and not any(o.state.instances for o in world.engine.owners.values()), 10)
    assert len(set(seen)) == 200
    await worker.stop(1)
    await working
    assert not worker._pending and worker.metrics.refused == 0


async def test_a_trace_goes_through_from_the_caller_to_what_the_handler_starts(world):
    worker, traces = Worker(world.url, traces=True), []
    parent = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"

    @worker.job("price")
    async def price(job: Job) -> dict:
        from flowledger.sdk.tracing import traceparent

        traces.append((job.trace, traceparent()))
        return {}

    working = asyncio.create_task(worker.run())
    from flowledger.events.commands import StartInstance

    async with Client(world.url) as client:
        await client.deploy(("order.bpmn", MODEL))
    await world.engine.call(StartInstance(id="order", variables={}), Caller("x", trace=parent))
    await until(lambda: traces)
    assert traces[0][0] == parent and "ab" * 16 in traces[0][1]
    await worker.stop(1)
    await working


@pytest.mark.parametrize("timeout_ms", [0, LEASE_MS_MAX + 1, 2**62])
async def test_a_stream_is_told_that_nothing_can_be_leased_so_long(world, timeout_ms):
    hello = frames.Hello(worker="w", subscriptions=[frames.Subscription(type="pay", timeout_ms=timeout_ms, credit=5)])
    async with connect(world.url.replace("http", "ws") + "/v1/jobs/stream") as ws:
        await ws.send(frames.encode(hello))
        with pytest.raises(ConnectionClosed, match=f"time-out of 1 to {LEASE_MS_MAX} ms"):
            await asyncio.wait_for(ws.recv(), 30)
    with pytest.raises(ValueError, match=f"a timeout of 1 to {LEASE_MS_MAX} ms"):
        await world.engine.activate("pay", "w", 1, timeout_ms)
