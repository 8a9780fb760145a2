"""What a process reads of the log for all who listen: the projector and the rest get the same events, and hear of what can't be read."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from flowledger.events import commands as c
from flowledger.events.avro import encode
from flowledger.events.base import Recorded
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors import tail as tails
from flowledger.processors.engine import Engine
from flowledger.processors.log import LogError
from flowledger.processors.recovery import ChainBroken
from flowledger.projections.context import Context
from flowledger.projections.fold import Fold
from flowledger.projections.tracker import Folder
from flowledger.projections.views import VIEWS
from flowledger.stores import source_of


async def work(engine: Engine, count: int) -> None:
    for n in range(count):
        assert isinstance(await engine.call(c.CreateTask(job_type="w", variables={"n": n})), dict)


async def taken(source, start: int, end: int) -> list[Recorded]:
    found: list[Recorded] = []
    async with asyncio.timeout(30), aclosing(source(0, start)) as batches:
        async for records, following in batches:
            found += records
            assert following == records[-1].offset + 1
            if following >= end:
                break
    return found


async def test_the_projector_gets_what_is_on_the_log_from_wherever_it_stands():
    engine = Engine(MemoryLog(MemoryStore(1)), partitions=1)
    await engine.start()
    try:
        await work(engine, 20)
        until = engine.owners[0].acked
        for start in (0, 7, until - 1):
            assert await taken(engine.tail.source, start, until) == await taken(source_of(engine.log), start, until)
        live = asyncio.create_task(taken(engine.tail.source, until, until + 20))
        other = asyncio.create_task(taken(engine.tail.source, until + 3, until + 20))
        await asyncio.sleep(0)
        await work(engine, 25)
        expected = await taken(source_of(engine.log), until, until + 20)
        a, b = await live, await other
        assert a[:20] == expected[:20] and b[:17] == expected[3:20]
        assert a[10] is b[7], "decoded once"
    finally:
        await engine.stop()


async def test_folding_changes_no_event_that_others_hold():
    engine = Engine(MemoryLog(MemoryStore(1)), partitions=1)
    await engine.start()
    try:
        await work(engine, 10)
        for job in (await engine.call(c.ActivateTasks(job_type="w", worker="a", max=10, timeout_ms=60_000)))["jobs"]:
            await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"], variables={"list": [1], "map": {"a": 1}}))
        events = await taken(source_of(engine.log), 0, engine.owners[0].acked)
    finally:
        await engine.stop()
    before = [encode([r.event], r.envelope) for r in events]
    Folder(VIEWS.values()).fold(events, Fold(Context()))
    assert [encode([r.event], r.envelope) for r in events] == before


@pytest.mark.req("APG-CMP-001")
async def test_who_listens_is_told_of_what_cannot_be_read(monkeypatch):
    """Waiting for a broken chain to mend would be for ever, and nobody would know."""
    engine = Engine(MemoryLog(MemoryStore(1)), partitions=1)
    await engine.start()
    read = tails.counted

    async def breaks(log, partition, start=0, **how):
        async for batch in read(log, partition, start, **how):
            yield batch
            if how.get("follow"):
                raise ChainBroken("the chain of partition 0 breaks at 0-5")

    monkeypatch.setattr(tails, "counted", breaks)
    try:
        listening = asyncio.create_task(taken(engine.tail.source, engine.owners[0].acked, 1_000))
        await asyncio.sleep(0)
        await work(engine, 3)
        with pytest.raises(LogError, match="breaks at 0-5"):
            await listening
    finally:
        await engine.stop()
