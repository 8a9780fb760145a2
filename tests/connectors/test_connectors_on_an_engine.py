"""The connectors over the client port of an engine in this process: breakers by target, tenants, and an orderly end in the middle of calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from flowledger.connectors import serve
from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from tests.connectors.conftest import running

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="p" isExecutable="true"><startEvent id="s"/><serviceTask id="call"><extensionElements><zeebe:taskDefinition type="flowledger:http" retries="9"/>
<zeebe:ioMapping><zeebe:input source="=address" target="url"/><zeebe:input source="POST" target="method"/></zeebe:ioMapping><zeebe:taskHeaders>
<zeebe:header key="endpoint" value="shaky"/><zeebe:header key="resultExpression" value="={status: response.status}"/></zeebe:taskHeaders>
</extensionElements></serviceTask><endEvent id="e"/><sequenceFlow id="a" sourceRef="s" targetRef="call"/><sequenceFlow id="b" sourceRef="call"
 targetRef="e"/></process></definitions>"""


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine(MemoryLog(MemoryStore(1)))
    await made.start()
    for tenant in ("", "acme"):
        done = await made.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]), Caller(tenant=tenant))
        assert isinstance(done, dict), done
    yield made
    await made.stop()


@pytest.mark.req("WOS-RES-008", "D-RES-005")
async def test_a_breaker_parks_the_calls_of_its_target(engine, target):
    limit = c.StoreRecord(
        registry="limit", name="endpoint:shaky", value={"circuit_breaker": {"failures": 2, "open_ms": 300, "probes": 1, "full": 1}}
    )
    assert isinstance(await engine.call(limit), dict)
    well = asyncio.Event()
    target.routes["/x"] = lambda request: (200 if well.is_set() else 503, {"retry-after": "0"}, b"")
    state = engine.owners[0].state.records
    async with running(engine):
        start = c.StartInstance(id="p", variables={"address": f"{target.url}/x"}, wait=True)
        calls = [asyncio.ensure_future(engine.call(start, timeout_s=120)) for _ in range(5)]
        async with asyncio.timeout(60):
            while (state.get(("breaker", "endpoint:shaky")) or {}).get("state") != "open":
                await asyncio.sleep(0.01)
            well.set()
            done = await asyncio.gather(*calls)
        assert [answer["variables"] for answer in done] == [{"address": f"{target.url}/x", "status": 200}] * 5
        assert state[("breaker", "endpoint:shaky")]["state"] == "closed"


async def test_jobs_of_tenants_are_taken_for_those_that_are_named(engine, target):
    start = c.StartInstance(id="p", variables={"address": f"{target.url}/echo"}, wait=True)
    async with running(engine):
        waiting = asyncio.ensure_future(engine.call(start, Caller(tenant="acme"), timeout_s=120))
        await engine.call(start, timeout_s=120)
        assert not waiting.done()
    async with running(engine, connector_tenants=("acme",)):
        assert (await waiting)["variables"]["status"] == 200


async def test_who_is_told_to_end_finishes_its_calls(engine, target, monkeypatch):
    monkeypatch.setattr(serve, "GRACE_S", 60.0)
    held, let_go = asyncio.Event(), asyncio.Event()

    async def hold(request, writer) -> None:
        held.set()
        await let_go.wait()
        writer.write(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n")

    target.routes["/hold"] = hold
    call = asyncio.ensure_future(
        engine.call(c.StartInstance(id="p", variables={"address": f"{target.url}/hold"}, wait=True), timeout_s=120)
    )
    async with asyncio.timeout(60):
        async with running(engine):
            await held.wait()
            asyncio.get_running_loop().call_later(0.2, let_go.set)
        assert (await call)["variables"]["status"] == 200
    assert len(target.seen) == 1


async def test_a_cancelled_instance_ends_its_call(engine, target):
    held = asyncio.Event()

    async def gone(request, writer) -> None:
        held.set()
        await asyncio.sleep(3600)

    target.routes["/gone"] = gone
    async with running(engine) as work:
        started = await engine.call(c.StartInstance(id="p", variables={"address": f"{target.url}/gone"}))
        async with asyncio.timeout(60):
            await held.wait()
            assert isinstance(await engine.call(c.CancelInstance(key=started["key"])), dict)
            while work.workers[0].running:  # told with the next heartbeat
                await asyncio.sleep(0.05)
