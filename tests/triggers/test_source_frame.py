"""The frame of sources with a queue in memory, which can be away: what each source has to pass, and what is large, foreign or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowledger.connectors.sources.frame import Away, Got, Opening, beginning, begun, commands, fitting
from flowledger.events.triggers import TriggerItem
from flowledger.kernel import limits
from flowledger.kernel.model.trigger_sources import SOURCES, Source
from tests.triggers.contract import Contract, World, opened, quick  # noqa: F401 - a fixture for all

pytestmark = pytest.mark.req("APG-TRG-002")


class Queue:
    """Two parts, taken in turn."""

    def __init__(self) -> None:
        self.parts: dict[str, list[dict[str, Any]]] = {"a": [], "b": []}
        self.more = asyncio.Event()
        self.is_away = self.broken = False

    async def __call__(self, opening: Opening) -> Queued:
        if self.is_away:
            raise Away("the queue is away")
        return Queued(self, opening)


class Queued:
    def __init__(self, queue: Queue, opening: Opening) -> None:
        self.queue = queue
        self.next = {p: opening.places.get(p, -1 if begun(opening) else len(items) - 1) + 1 for p, items in queue.parts.items()}
        self.first = [] if begun(opening) else beginning(self.next)

    async def batches(self) -> AsyncIterator[Got]:
        for got in self.first:
            yield got
        while True:
            self.queue.more.clear()
            for part, items in self.queue.parts.items():
                at = self.next[part]
                if some := items[at : at + 4]:
                    self.next[part] = at + len(some)
                    yield Got(part, [TriggerItem(context=v, place=at + k) for k, v in enumerate(some)])
            if self.queue.is_away:
                raise Away("the queue is away")
            if self.queue.broken:
                raise ZeroDivisionError
            if all(self.next[p] >= len(items) for p, items in self.queue.parts.items()):
                await self.queue.more.wait()

    async def acknowledge(self, got: Got) -> None:
        pass

    def lag(self) -> int:
        return sum(len(items) - self.next[p] for p, items in self.queue.parts.items())

    async def close(self) -> None:
        pass


class Queues(World):
    NUMBER = "payload.n"

    def __init__(self, place: Any) -> None:
        super().__init__(place)
        self.queue = Queue()
        self.kinds = {"queue": self.queue}

    def source(self) -> str:
        return "{queue: {}}"

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            self.queue.parts["ab"[n % 2]].append({"payload": {"n": n, **more}})
        self.queue.more.set()

    async def away(self, is_away: bool) -> None:
        self.queue.is_away = is_away
        self.queue.more.set()


@pytest.fixture
async def world(place: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setitem(SOURCES, "queue", Source({}))
    async with opened(Queues(place)) as found:
        yield found


class TestQueue(Contract):
    async def test_what_is_too_large_is_parked_by_what_it_is_known_by(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        world.queue.parts["a"] += [
            {"payload": {"n": 1}}, {"topic": "x" * 300, "payload": "y" * limits.TRIGGER_ITEM_BYTES_MAX}, {"payload": {"n": 2}}
        ]  # fmt: skip
        world.queue.more.set()
        await world.come(1, 2)
        (letter,) = world.place.parked("t")
        assert len(letter.context["topic"]) == 200 and len(letter.context["payload"]) == 200

    async def test_a_reader_that_fails_goes_on(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        world.queue.parts["a"].append({"payload": {"n": 1}})
        world.queue.broken = True
        world.queue.more.set()

        async def told() -> bool:
            return "ZeroDivisionError" in world.place.trigger("t").error

        await world.place.until(told)
        world.queue.broken = False
        world.queue.parts["a"].append({"payload": {"n": 2}})
        world.queue.more.set()
        await world.come(1, 2)

    async def test_an_engine_that_cannot_be_asked_for_a_while_stops_no_reader_for_good(self, world, monkeypatch):
        await world.deploy()
        node = await world.node()
        await world.reading()

        async def broken(*_: Any, **__: Any) -> Any:
            raise ConnectionError("the log is away")

        monkeypatch.setattr(node.client, "_client", type("Broken", (), {"call": staticmethod(broken), "partitions": 2})())
        await world.put(1)
        await asyncio.sleep(1.0)
        assert not node.task.done() and await world.numbers() == []
        monkeypatch.setattr(node.client, "_client", world.place.engine)
        await world.come(1)

    async def test_a_trigger_that_is_deleted_is_read_no_more(self, world):
        from flowledger.events import commands as c

        await world.deploy()
        node = await world.node()
        await world.reading()
        answer = await world.place.call(c.ChangeDefinition(key=world.place.trigger("t").definition, move="delete"))
        assert isinstance(answer, dict)

        async def gone() -> bool:
            return not node.readers.held

        await world.place.until(gone)


def test_items_are_sent_as_far_as_one_command_has_room():
    items = [TriggerItem(context={"x": "y" * 500_000}) for _ in range(9)]
    assert [len(c) for c in commands(items)] == [4, 4, 1]
    assert [len(c) for c in commands([TriggerItem(context={})] * 250)] == [100, 100, 50]
    assert fitting(items[0])[0] is items[0]
    assert "1100014 bytes" in fitting(TriggerItem(context={"x": "y" * 1_100_006}))[0].reason
