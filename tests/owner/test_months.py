"""An instance that lives for a quarter of a year: over restarts, orderly ones and kills, and over a new version to which it is migrated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.engine import Engine
from flowledger.sdk import Flow

DAY_US = 86_400_000_000
BEGAN_US = 1_772_000_000 * 1_000_000


def version(last: str) -> str:
    """A month of waiting, work, a month, work, and the version's own last work."""
    return (
        Flow("long")
        .start()
        .wait("t1", duration="P30D")
        .service("a", job="a")
        .wait("t2", duration="P30D")
        .service(last, job=last)
        .end()
        .xml()
        .decode()
    )


async def until(look: Callable[[], Any]) -> Any:
    for _ in range(500):
        if found := look():
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"it does not come about: {look}")


@pytest.mark.req("APG-ENG-005")
async def test_an_instance_of_ninety_days_outlives_restarts_and_a_new_version():
    store, now = MemoryStore(1), BEGAN_US

    async def up() -> Engine:
        engine = Engine(MemoryLog(store), clock=lambda: now)
        await engine.start()
        return engine

    async def done(type: str) -> None:
        [job] = await engine.activate(type, "w", 1, 60_000, wait_ms=5_000)
        assert isinstance(await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"])), dict)

    engine = await up()
    assert isinstance(await engine.call(c.Deploy(resources=[c.Resource("long.bpmn", version("b"))])), dict)
    key = (await engine.call(c.StartInstance(id="long", variables={"n": 1})))["key"]
    seen = []
    for day in range(1, 91):
        now += DAY_US
        if day % 7 == 0:  # each other time without a word
            await (engine.kill() if day % 14 else engine.stop())
            engine = await up()
        engine.owners[0].wake()  # which it does by itself within an hour of its own clock
        await asyncio.sleep(0.02)
        i = engine.owners[0].state.instances[key]
        if day == 20:
            new = await engine.call(c.Deploy(resources=[c.Resource("long.bpmn", version("c"))]))
        if day == 30:
            await done("a")
        if day == 45:
            [definition] = [d["key"] for d in new["definitions"]]
            moved = await engine.call(co.MigrateInstance(key=key, definition=definition, elements={}, same_ids=True))
            assert isinstance(moved, dict), moved
        if day % 10 == 5:
            seen.append((day, [t.element for t in i.tokens.values()]))
    assert seen == [
        (5, ["t1"]),
        (15, ["t1"]),
        (25, ["t1"]),
        (35, ["t2"]),
        (45, ["t2"]),
        (55, ["t2"]),
        (65, ["c"]),
        (75, ["c"]),
        (85, ["c"]),
    ]
    await done("c")
    await until(lambda: key not in engine.owners[0].state.instances)
    await engine.stop()
