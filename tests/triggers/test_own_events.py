"""Our own events as a source: the contract, and what is theirs alone: a process that ends starts another, foreign tenants, loops, where it begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowledger.connectors.sources import own_events
from flowledger.events import commands as c
from flowledger.events import triggers as tr
from flowledger.kernel.model import read
from flowledger.processors.client import Caller
from flowledger.processors.log import LogError
from flowledger.sdk import Flow
from tests.triggers.conftest import WORK
from tests.triggers.contract import Contract, World, opened, quick  # noqa: F401 - a fixture for all

pytestmark = pytest.mark.req("APG-TRG-002", "APG-TRG-004", "WOS-TRG-001")
#: it begins and ends at once
SHORT = Flow("short").start().end().xml().decode()


class Events(World):
    NUMBER = "event.data.variables.n"

    def source(self) -> str:
        return "{events: {types: [workflow.started], definitions: [short]}}"

    async def put(self, *numbers: int, **more: Any) -> None:
        commands = [c.StartInstance(id="short", variables={"n": n, "of": "source", **more}) for n in numbers]
        answers = await asyncio.gather(*(self.place.call(command) for command in commands))
        assert all(isinstance(a, dict) for a in answers)

    async def away(self, is_away: bool) -> None:
        self.is_away = is_away
        for node in self.nodes:
            for reader in node.readers.held.values():
                if is_away and reader.source is not None:
                    reader.source._learn = self._refused  # type: ignore[attr-defined]
        if is_away:
            await self.put(1000)

    async def _refused(self, batch: Any) -> None:
        raise LogError("the log is\naway")


@pytest.fixture
async def world(place: Any) -> AsyncIterator[World]:
    answer = await place.engine.call(c.Deploy(resources=[c.Resource("s.bpmn", SHORT)]))
    assert isinstance(answer, dict)
    async with opened(Events(place)) as found:
        yield found


class TestEvents(Contract):
    async def test_a_source_that_is_away_is_told_and_comes_back_by_itself(self, world):
        """The log that is read is the log that is written: here only the reader can't read it."""
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        await world.away(True)

        async def told() -> bool:
            return "the log can't be read" in world.place.trigger("t").error

        await world.place.until(told)
        await world.come(1, 1000)

    async def test_a_process_that_ends_starts_another_and_only_of_its_tenant(self, world):
        for tenant in ("", "b"):
            files = [c.Resource("s.bpmn", SHORT), c.Resource("p.bpmn", WORK)]
            assert isinstance(await world.place.engine.call(c.Deploy(resources=files), Caller(tenant=tenant)), dict)
        text = (
            "format: flowledger/trigger@1\nname: t\nsource: {events: {types: [workflow.completed], definitions: [short]}}\n"
            "start: {process: p, business_key: =event.instance, variables: {n: 1, from: =process, type: =event.type, d: =definition}}\n"
        )
        assert isinstance(await world.place.deploy(text, tenant="b"), dict)
        await world.node()
        await world.reading()
        mine = await world.place.call(c.StartInstance(id="short", variables={}), "b")
        await world.place.call(c.StartInstance(id="short", variables={}))
        await world.come(1)
        (found,) = (i for s in world.place.states() for i in s.instances.values())
        assert (found.tenant, found.business_key) == ("b", str(mine["key"]))
        (started,) = [v for v in await world.place.started() if v]
        assert started["from"] == "short" and started["type"] == "workflow.completed" and started["d"].isdigit()

    async def test_from_the_start_it_reads_what_was_before(self, world):
        await world.put(1, 2)
        await world.place.deploy(
            "format: flowledger/trigger@1\nname: t\nsource: {events: {types: [workflow.started], definitions: [short], from: start}}\n"
            "start: {process: p, variables: {n: =event.data.variables.n}}\n"
        )
        await world.node()
        await world.come(1, 2)

    async def test_what_nobody_wants_moves_the_place_and_a_quiet_server_stays_quiet(self, world, monkeypatch):
        monkeypatch.setattr(own_events, "PASS_EVENTS", 30)
        await world.place.deploy(
            "format: flowledger/trigger@1\nname: t\nsource: {events: {types: [task.failed], definitions: [short]}}\nsignal: {name: s}\n"
        )
        await world.node()
        await world.reading()
        before = dict(world.place.trigger("t").places)
        await world.put(*range(60))

        async def moved() -> bool:
            places = world.place.trigger("t").places
            return all(places[p] > before[p] for p in before if p)

        await world.place.until(moved)
        await asyncio.sleep(1.0)
        taken = len(await world.place.events(tr.TriggerTaken))
        await asyncio.sleep(1.0)
        assert len(await world.place.events(tr.TriggerTaken)) == taken


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("{types: [record.stored], definitions: [a]}", "TRIGGER_SOURCE", "events of instances"),
        ("{types: workflow.completed, definitions: [a]}", "TRIGGER_SOURCE", "a list"),
        ("{types: [], definitions: [a]}", "TRIGGER_SOURCE", "1 to"), ("{types: [workflow.completed]}", "TRIGGER_SOURCE", "definitions: expected it"),
        ("{types: [workflow.completed], definitions: [a], from: here}", "TRIGGER_SOURCE", "now, start"),
        ("{types: [workflow.completed], definitions: [a, p]}", "TRIGGER_LOOP", "another process than 'p'"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(source, code, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{events: {source}}}\nstart: {{process: p}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert [f.code for f in found] == [code] and words in found[0].message, found
