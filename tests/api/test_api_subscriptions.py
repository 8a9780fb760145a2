"""Subscriptions by definition never need the projection: with PostgreSQL away, with a projection that lags for ever, and from an old place."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from flowledger.api.events import Subscription, filter_of
from flowledger.api.problems import Problem
from flowledger.api.services import Services
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.infra.log_memory import MemoryLog
from flowledger.infra.settings import Settings
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine

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


async def test_another_tenants_instances_are_not_told_of(engine):
    key = await start(engine, "one", 0)
    answer = await engine.call(c.ListRecords(registry="instance", prefix=f"{key},x,{10**30}"), Caller(tenant="b"), partition=0)
    assert answer["records"] == []
    answer = await engine.call(c.ListRecords(registry="instance", prefix=f"{key},x,{10**30}"), partition=0)
    assert [r["name"] for r in answer["records"]] == [str(key)] and answer["records"][0]["value"]["process"] == "one"
