"""Subscriptions by definition never need the projection: with PostgreSQL away, with a projection that lags for ever, and from an old place."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from flowledger.api import events, instance_of
from flowledger.api.events import Subscription, filter_of
from flowledger.api.problems import Problem
from flowledger.api.services import Services
from flowledger.events import commands as c
from flowledger.events.base import Envelope, Recorded, RejectionCode
from flowledger.events.workflow import WorkflowCompleted
from flowledger.infra.log_memory import MemoryLog
from flowledger.infra.settings import Settings
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.processors.log import OutOfRange

pytestmark = pytest.mark.req("D-API-029", "APG-API-004")


def model(process: str) -> str:
    return f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t"><process id="{process}" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/>
 <serviceTask id="a"><extensionElements><zeebe:taskDefinition type="{process}"/></extensionElements></serviceTask>
 <sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Away:
    """PostgreSQL is away: whoever asks it is told so."""

    def __getattr__(self, name: str) -> Any:
        async def refused(*_: object, **__: object) -> None:
            raise Problem(RejectionCode.UNAVAILABLE, f"{name} was asked, the database is away")

        return refused


@pytest.fixture
async def engine():
    engine = Engine(MemoryLog(), partitions=2)
    await engine.start()
    for process in ("one", "two"):
        await engine.call(c.Deploy(resources=[c.Resource(f"{process}.bpmn", model(process))]))
    yield engine
    await engine.kill()


async def start(engine: Engine, process: str, partition: int) -> int:
    return (await engine.call(c.StartInstance(id=process), partition=partition))["key"]


async def complete(engine: Engine, process: str, count: int) -> None:
    done = 0
    while done < count:
        for job in await engine.activate(process, "w", 10, 60_000, 2_000):
            await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"]))
            done += 1


async def seen(subscription: Subscription, last: int, seconds: float = 10.0) -> list[dict[str, Any]]:
    """What it gives until `last` instances have completed."""
    found: list[dict[str, Any]] = []

    async def read() -> None:
        async for batch in subscription.batches():
            found.extend(json.loads(json.dumps(batch, default=str)))
            if sum(e["type"] == "workflow.completed" for e in found) >= last:
                return

    await asyncio.wait_for(read(), seconds)
    return found


@pytest.mark.parametrize("by_key", [True, False])
async def test_what_was_begun_before_is_known_from_the_owner(engine, by_key):
    keys = {str(await start(engine, "one", p)) for p in (0, 1)}
    await start(engine, "two", 0)
    wanted = "one"
    if by_key:
        wanted = str(next(d.key for d in engine.owners[0].state.definitions.values() if d.id == "one"))
    services = Services(engine, Away(), Settings())  # type: ignore[arg-type]
    subscription = Subscription(services, filter_of("", wanted, "", "", None), "")
    reading = asyncio.ensure_future(seen(subscription, 2))
    await asyncio.sleep(0.05)
    await complete(engine, "two", 1)
    await complete(engine, "one", 2)
    found = await reading
    assert {e["instance"] for e in found if e["instance"]} == keys
    assert [e["type"] for e in found if e["type"] == "workflow.completed"] == ["workflow.completed"] * 2


async def test_from_an_old_place_what_has_ended_since_is_known_from_the_log(engine):
    keys = {str(await start(engine, "one", p)) for p in (0, 1)}
    await start(engine, "two", 1)
    place = ",".join(f"{p}-{v['position'] - 1}" for p, v in engine.health()["partitions"].items())
    await complete(engine, "two", 1)
    await complete(engine, "one", 2)
    services = Services(engine, Away(), Settings())  # type: ignore[arg-type]
    found = await seen(Subscription(services, filter_of("", "one", "", "", None), place), 2)
    assert {e["instance"] for e in found if e["instance"]} == keys
    everything = await seen(Subscription(services, filter_of("", "one", "", "", None), "start"), 2)
    assert {e["instance"] for e in everything if e["instance"]} == keys and len(everything) > len(found)


async def test_the_log_is_looked_back_through_as_far_as_the_oldest_of_those_began(engine, monkeypatch):
    """Stretch by stretch, each twice as long; the next one that is missing goes on from there; whoever has no room is looked for again."""
    old = await start(engine, "one", 0)
    for _ in range(30):
        await start(engine, "two", 0)
    new = await start(engine, "one", 0)
    begin = engine.health()["partitions"][0]["position"]
    await complete(engine, "two", 30)
    await complete(engine, "one", 2)
    monkeypatch.setattr(instance_of, "BACK", 10)
    told = [Recorded(WorkflowCompleted(key=key), Envelope(0), 0, begin + n) for n, key in enumerate((new, old))]
    for most in (200_000, 1):
        known, read = instance_of.Definitions(engine, "", {0: begin}, most), []
        stretch = known._stretch

        async def noted(partition: int, start: int, end: int, read=read, stretch=stretch) -> Any:
            read.append((start, end))
            return await stretch(partition, start, end)

        known._stretch = noted  # type: ignore[method-assign]
        await known.learn(told[:1])
        assert known.of(told[0])[1] == "one" and len(read) == 1 and read[0] == (begin - 10, begin)
        await known.learn(told[1:])
        assert known.of(told[1])[1] == "one"
        assert [b - a for a, b in read[1:-1]] == [10 * 2**n for n in range(len(read) - 2)] and len(read) > 3 and read[-1][0] == 0
        assert read[1][1] == (begin - 10 if most > 1 else begin), "it goes on where it was, or begins again where not all had room"
        before = len(read)
        await known.learn([Recorded(WorkflowCompleted(key=1 << 40), Envelope(0), 0, begin + 3)])
        assert known._known[1 << 40] == (0, "") and (len(read) == before) == (most > 1)


async def test_what_was_trimmed_is_not_looked_for(engine, monkeypatch):
    """What is left before its place is, and what began before that is not to be known."""
    old, *_, new = [await start(engine, "one", 0) for _ in range(11)]
    begin = engine.health()["partitions"][0]["position"]
    await complete(engine, "one", 11)
    trimmed = begin - 6
    known, stretch = instance_of.Definitions(engine, "", {0: begin}), instance_of.Definitions._stretch

    async def cut(self: Any, partition: int, start: int, end: int) -> Any:
        if start < trimmed:
            raise OutOfRange("events", 0, start, end, trimmed)
        return await stretch(self, partition, start, end)

    monkeypatch.setattr(instance_of.Definitions, "_stretch", cut)
    await known.learn([Recorded(WorkflowCompleted(key=key), Envelope(0), 0, begin + n) for n, key in enumerate((old, new))])
    assert known._known[old] == (0, "") and known._known[new][1] == "one" and known._back == {0: 0}


async def test_a_long_look_back_gives_signs_of_life(engine, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    looked = asyncio.Event()

    async def slow(self: Any, batch: Any) -> None:
        await looked.wait()

    monkeypatch.setattr(instance_of.Definitions, "learn", slow)
    services = Services(engine, Away(), Settings())  # type: ignore[arg-type]
    signs = 0
    async for batch in Subscription(services, filter_of("", "one", "", "", None), "start").batches():
        signs += not batch
        if signs == 3:
            looked.set()
        if batch:
            break
        if signs > 3 and services.closing is not None:
            services.closing.set()
    assert signs >= 3


async def test_another_tenants_instances_are_not_told_of(engine):
    key = await start(engine, "one", 0)
    answer = await engine.call(c.ListRecords(registry="instance", prefix=f"{key},x,{10**30}"), Caller(tenant="b"), partition=0)
    assert answer["records"] == []
    answer = await engine.call(c.ListRecords(registry="instance", prefix=f"{key},x,{10**30}"), partition=0)
    assert [r["name"] for r in answer["records"]] == [str(key)] and answer["records"][0]["value"]["process"] == "one"
