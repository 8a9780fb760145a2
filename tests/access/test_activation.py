"""One request for jobs, answered from all partitions."""

from __future__ import annotations

import asyncio

from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.activation import shares
from flowledger.processors.engine import Engine


def test_the_most_urgent_first_and_by_turns():
    assert shares({}, 5) == {} and shares({0: [[40, 3]]}, 0) == {}
    assert shares({0: [[40, 3]], 1: [[90, 1], [10, 5]]}, 1) == {1: 1}
    assert shares({0: [[40, 3]], 1: [[90, 1], [10, 5]]}, 5) == {1: 2, 0: 3}
    assert shares({2: [[40, 9]], 0: [[40, 9]], 1: [[40, 9]]}, 7) == {2: 3, 0: 2, 1: 2}
    assert shares({0: [[40, 1]], 1: [[40, 9]]}, 99) == {0: 1, 1: 9}


async def running() -> Engine:
    engine = Engine(MemoryLog(MemoryStore(4)), partitions=4)
    await engine.start()
    return engine


async def test_all_partitions_are_asked_until_the_number_is_reached():
    engine = await running()
    for n in range(20):
        await engine.call(c.CreateTask(job_type="work", priority=n), partition=n % 4)
    got = await engine.activate("work", "w", 100, 60_000, 0)
    assert len(got) == 20 and [j["priority"] for j in got] == sorted((j["priority"] for j in got), reverse=True)
    await engine.stop()


async def test_the_highest_priorities_of_all_partitions_come_first():
    engine = await running()
    for n in range(20):
        await engine.call(c.CreateTask(job_type="work", priority=n), partition=n // 5)
    assert [j["priority"] for j in await engine.activate("work", "w", 6, 60_000, 0)] == [19, 18, 17, 16, 15, 14]
    assert [j["priority"] for j in await engine.activate("work", "w", 1, 60_000, 0)] == [13]
    assert sum(1 for o in engine.owners.values() for t in o.state.tasks.values() if t.worker) == 7, "only what is returned is leased"
    await engine.stop()


async def test_a_poll_waits_for_a_job_anywhere():
    engine = await running()
    waiting = asyncio.create_task(engine.activate("work", "w", 5, 60_000, 60_000))
    await asyncio.sleep(0.1)
    await engine.call(c.CreateTask(job_type="work"), partition=3)
    assert len(await asyncio.wait_for(waiting, 30)) == 1
    assert await engine.activate("work", "w", 5, 60_000, 50) == []
    await engine.stop()


async def test_partitions_of_another_node_are_asked_too():
    store = MemoryStore(4)
    owning = Engine(MemoryLog(store), partitions=4)
    await owning.start()
    door = Engine(MemoryLog(store), partitions=4, owns=False)
    await door.start()
    for n in range(12):
        await owning.call(c.CreateTask(job_type="work"), partition=n % 4)
    assert len(await door.activate("work", "w", 100, 60_000, 0)) == 12
    await door.stop()
    await owning.stop()
