"""Subscribers of a node share one reader of the log: from any position, late, slow, many; nothing is missing and nothing comes twice."""

from __future__ import annotations

import asyncio
import random

import pytest

from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors import tail as t
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS
from flowledger.processors.recovery import counted

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t"><process id="p" isExecutable="true">
<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/><manualTask id="t"/><sequenceFlow id="f2" sourceRef="t" targetRef="e"/>
<endEvent id="e"/></process></definitions>"""


class CountedLog(MemoryLog):
    """Counts who reads events live, and on their own up to the end."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.live = self.own = 0

    def read(self, topic, partition, start, end=None, follow=False, **more):
        if topic == EVENTS and follow:
            self.live += 1
        elif topic == EVENTS:
            self.own += 1
        return super().read(topic, partition, start, end, follow=follow, **more)


@pytest.fixture
async def engine():
    engine = Engine(CountedLog(MemoryStore(2)), partitions=2)
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
    # the other partition hears of it and that is confirmed, a moment later: after that only a test makes events
    await until(lambda: not engine.owners[0].state.outbox and engine.owners[1].state.definitions)
    await until(lambda: all(o.acked == o.end for o in engine.owners.values()))
    yield engine
    await engine.stop()


async def run_some(engine: Engine, count: int) -> None:
    await asyncio.gather(*(engine.call(c.StartInstance(id="p")) for _ in range(count)))


async def whole(engine: Engine, start: int = 0) -> list[tuple[int, int]]:
    out = []
    for p in range(engine.partitions):
        async for batch in counted(engine.log, p, start):
            out += [(r.partition, r.offset) for r in batch]
    return out


class Listener:
    def __init__(self, engine: Engine, positions: dict[int, int] | None, pause_s: float = 0.0) -> None:
        self.seen: list[tuple[int, int]] = []
        self.start, self.pause_s = positions or {}, pause_s
        self.stream = engine.events(positions)
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for batch in self.stream:
            assert len({r.partition for r in batch}) == 1
            self.seen += [(r.partition, r.offset) for r in batch]
            if self.pause_s:
                await asyncio.sleep(self.pause_s)

    def of(self, partition: int) -> list[int]:
        return [o for p, o in self.seen if p == partition]

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.stream.aclose()


async def until(condition, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def test_many_listeners_cost_one_reader(engine):
    before = engine.log.live
    listeners = [Listener(engine, None) for _ in range(50)]
    await until(lambda: len(engine.tail.lines) == 2 and all(len(line.seats) == 50 for line in engine.tail.lines.values()))
    own = engine.log.own
    ends = {p: await engine.log.end(EVENTS, p) for p in range(2)}
    await run_some(engine, 40)
    expected = [(p, o) for p, o in await whole(engine) if o >= ends[p]]
    own += 2  # those of `whole`
    await until(lambda: all(len(x.seen) == len(expected) for x in listeners))
    for x in listeners:
        assert sorted(x.seen) == expected and all(x.of(p) == sorted(x.of(p)) for p in range(2))
    assert engine.log.live == before + 2 and engine.log.own == own, "one live reader for each partition, and nobody read by itself"
    for x in listeners:
        await x.leave()
    assert not engine.tail.lines, "nobody listens: nothing is read"


async def test_from_any_position_while_it_goes_on(engine, monkeypatch):
    """Late joiners, some from positions that only the log has, while groups are appended: no gap, no double."""
    monkeypatch.setattr(t, "RECENT_EVENTS", 40)
    rng, listeners = random.Random(5), []
    for _ in range(60):
        await run_some(engine, rng.randrange(1, 6))
        ends = {p: await engine.log.end(EVENTS, p) for p in range(2)}
        listeners.append(Listener(engine, {p: rng.choice((0, ends[p], max(0, ends[p] - 30), rng.randrange(ends[p]))) for p in range(2)}))
        if rng.random() < 0.5:
            await asyncio.sleep(0)
        if len(listeners) > 8:
            await listeners.pop(rng.randrange(8)).leave()
    everything = await whole(engine)
    for x in listeners:
        expected = [(p, o) for p, o in everything if o >= x.start[p]]
        await until(lambda x=x, expected=expected: len(x.seen) >= len(expected))
    await asyncio.sleep(0.05)
    for x in listeners:
        assert sorted(x.seen) == [(p, o) for p, o in everything if o >= x.start[p]] and all(x.of(p) == sorted(x.of(p)) for p in range(2))
        await x.leave()


async def test_a_slow_listener_holds_up_nobody_and_misses_nothing(engine, monkeypatch):
    monkeypatch.setattr(t, "RECENT_EVENTS", 20)
    monkeypatch.setattr(t, "WAITING_EVENTS", 20)
    monkeypatch.setattr(t, "WAITING_BATCHES", 1)
    slow, quick = Listener(engine, {0: 0, 1: 0}, pause_s=0.01), Listener(engine, {0: 0, 1: 0})
    await until(lambda: slow.seen and quick.seen)
    own = engine.log.own
    for _ in range(40):
        await run_some(engine, 8)
        for line in engine.tail.lines.values():
            assert all(seat._count <= max(20, 8 * 8) for seat in line.seats), "what waits for a listener is bounded"
    everything = await whole(engine)
    await until(lambda: len(quick.seen) == len(everything))
    assert len(slow.seen) < len(everything) and engine.log.own > own + 2, "it was cut off and reads by itself"
    await until(lambda: len(slow.seen) >= len(everything))
    assert sorted(slow.seen) == sorted(quick.seen) == everything
    assert all(slow.of(p) == sorted(slow.of(p)) for p in range(2))
    await run_some(engine, 4)  # it has joined again
    await until(lambda: len(slow.seen) == len(quick.seen) > len(everything))
    await slow.leave()
    await quick.leave()


async def test_the_end_of_the_engine_ends_the_listeners():
    engine = Engine(MemoryLog(MemoryStore(1)), partitions=1)
    await engine.start()
    listener = Listener(engine, None)
    await until(lambda: engine.tail.lines and engine.tail.lines[0].seats)
    await engine.stop()
    await asyncio.wait_for(listener.task, 5)
