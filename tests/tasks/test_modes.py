"""Execution modes on the engine: synchronous over a change of owner, batches and limits that wake whoever waits."""

from __future__ import annotations

import asyncio

import pytest
from workbench import one, service

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.engine import Engine


async def engine(store: MemoryStore) -> Engine:
    made = Engine(MemoryLog(store))
    await made.start()
    return made


async def deployed(store: MemoryStore, *records: c.StoreRecord) -> Engine:
    made = await engine(store)
    assert isinstance(await made.call(c.Deploy(resources=[c.Resource("m.bpmn", one(service()))])), dict)
    for record in records:
        assert isinstance(await made.call(record), dict)
    return made


async def test_a_call_that_waits_finds_its_result_after_the_owner_changed():
    store = MemoryStore(1)
    first = await deployed(store)
    start, create = c.StartInstance(id="p", wait=True, fetch=["sum"]), c.CreateTask(job_type="other", wait=True)
    waiting = [asyncio.create_task(first.call(start, id="order-1")), asyncio.create_task(first.call(create, id="task-1"))]
    await asyncio.sleep(0.05)
    assert not any(w.done() for w in waiting)
    await first.stop()
    for lost in await asyncio.gather(*waiting):
        assert isinstance(lost, Rejected) and lost.code == "UNAVAILABLE", "the answer says to send it again"

    second = await engine(store)
    again = [asyncio.create_task(second.call(start, id="order-1")), asyncio.create_task(second.call(create, id="task-1"))]
    await asyncio.sleep(0.05)
    for type, result in (("work", {"sum": 3, "more": 4}), ("other", {"done": True})):
        (job,) = await second.activate(type, "w", 1, 60_000)
        assert isinstance(await second.call(c.CompleteTask(task=job["key"], variables=result)), dict)
    instance, task = await asyncio.gather(*again)
    assert (instance["status"], instance["variables"]) == ("completed", {"sum": 3})
    assert (task["status"], task["variables"]) == ("completed", {"done": True})

    # and once more, after the end: the same outcome, and nothing happens twice
    late, late_task = await second.call(start, id="order-1"), await second.call(create, id="task-1")
    assert (late["key"], late["status"], late["variables"]) == (instance["key"], "completed", {"sum": 3})
    assert (late_task["task"], late_task["status"]) == (task["task"], "completed")
    assert second.owners[0].figures()["instances"] == 0
    await second.stop()


async def test_what_ends_at_once_is_remembered_with_its_outcome():
    store = MemoryStore(1)
    e = await deployed(store)
    script = '<extensionElements><zeebe:script expression="=1+1" resultVariable="two"/></extensionElements>'
    model = one(f'<scriptTask id="t">{script}</scriptTask>').replace('id="p"', 'id="q"')
    await e.call(c.Deploy(resources=[c.Resource("q.bpmn", model)]))
    answers = [await e.call(c.StartInstance(id="q", wait=True), id="x") for _ in range(2)]
    assert [a["status"] for a in answers] == ["completed"] * 2 and answers[0]["variables"] == answers[1]["variables"] == {"two": 2}
    assert answers[0]["key"] == answers[1]["key"]
    await e.stop()


@pytest.mark.req("D-STA-007")
async def test_a_batch_reaches_a_worker_that_waits_by_size_and_by_time():
    store = MemoryStore(1)
    e = await deployed(store, c.StoreRecord(registry="limit", name="job:mail", value={"batch": {"size": 3, "wait_ms": 150}}))
    poll = asyncio.create_task(e.activate("mail", "w", 10, 60_000, wait_ms=30_000))
    for _ in range(3):
        await asyncio.sleep(0.02)
        assert not poll.done()
        await e.call(c.CreateTask(job_type="mail"))
    assert len(await poll) == 3
    await e.call(c.CreateTask(job_type="mail"))
    started = asyncio.get_running_loop().time()
    assert len(await e.activate("mail", "w", 10, 60_000, wait_ms=30_000)) == 1
    assert 0.05 < asyncio.get_running_loop().time() - started < 20
    await e.stop()


async def test_a_stream_gets_work_as_the_rate_allows():
    store = MemoryStore(1)
    e = await deployed(store, c.StoreRecord(registry="limit", name="job:mail", value={"rate": {"max": 2, "per_ms": 100}}))
    stream = e.stream("mail", "w", 60_000)
    for _ in range(5):
        await e.call(c.CreateTask(job_type="mail"))
    started, got = asyncio.get_running_loop().time(), 0
    async with asyncio.timeout(5):
        async for jobs in stream:
            got += len(jobs)
            if got == 5:
                break
    assert asyncio.get_running_loop().time() - started > 0.1
    await stream.close()
    await e.stop()


async def test_an_open_breaker_wakes_the_stream_when_it_half_opens():
    store = MemoryStore(1)
    e = await deployed(store, c.StoreRecord(registry="limit", name="job:mail", value={"circuit_breaker": {"failures": 1, "open_ms": 100}}))
    stream = e.stream("mail", "w", 60_000)
    for _ in range(3):
        await e.call(c.CreateTask(job_type="mail", retries=5))
    seen: list[int] = []
    async with asyncio.timeout(5):
        async for jobs in stream:
            for job in jobs:
                command = c.CompleteTask(task=job["key"]) if seen else c.FailTask(task=job["key"], backoff_ms=1)
                seen.append(job["key"])
                await e.call(command)
            if not e.owners[0].state.tasks:
                break
    assert len(set(seen)) == 3
    await stream.close()
    await e.stop()
