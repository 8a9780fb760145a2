"""A tenant's instances at once and starts in a time hold over all partitions: nothing is lost, others don't notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from gate_world import MODEL as WIDE
from gate_world import World

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import checkpoint
from flowledger.kernel.tasks import quotas
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.sdk import Flow

P = 4
ACME = Caller(tenant="acme")
MODEL = Flow("order").start().service("pack", job="pack").end().xml().decode()


async def running(store: MemoryStore | None = None) -> Engine:
    engine = Engine(MemoryLog(store or MemoryStore(P)), partitions=P)
    await engine.start()
    return engine


async def until(look: Callable[[], Any], seconds: float = 10.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := look()):
            await asyncio.sleep(0.005)
    return found


async def good(engine: Engine, command: Any, caller: Caller, **more: Any) -> dict[str, Any]:
    made = await engine.call(command, caller, **more)
    assert not isinstance(made, Rejected), made
    return made


async def quota(engine: Engine, move: str = "create", name: str = "acme", **value: Any) -> None:
    await good(engine, co.ControlTenant(name=name, move=move, quotas=value), Caller())
    await until(lambda: all((quotas.PREFIX + name in o.state.quotas) == bool(value) for o in engine.owners.values()))


async def deployed(engine: Engine, *tenants: str) -> None:
    for tenant in tenants:
        await good(engine, c.Deploy(resources=[c.Resource("order.bpmn", MODEL)]), Caller(tenant=tenant))


async def start(engine: Engine, count: int, tenant: str = "acme") -> list[str]:
    return [(await good(engine, c.StartInstance(id="order"), Caller(tenant=tenant), partition=n % P))["status"] for n in range(count)]


def those(engine: Engine, status: str, tenant: str = "acme") -> list[int]:
    return [k for o in engine.owners.values() for k, i in o.state.instances.items() if i.tenant == tenant and i.status == status]


async def work(engine: Engine, most: int, tenant: str = "acme", seen: list[int] | None = None) -> None:
    """All that runs is done, one after the other, until nothing is left. At no moment run more than `most`."""
    async with asyncio.timeout(60):
        while those(engine, "running", tenant) or those(engine, "pending", tenant):
            for p in range(P):
                jobs = (await good(engine, c.ActivateTasks(job_type="pack", worker="w", max=1), Caller(tenant=tenant), partition=p))["jobs"]
                for job in jobs:
                    now = len(those(engine, "running", tenant))
                    if seen is not None:
                        seen.append(now)
                    assert now <= most
                    await good(engine, c.CompleteTask(task=int(job["key"])), Caller(tenant=tenant))
            await asyncio.sleep(0.002)


@pytest.mark.req("APG-TEN-001")
@pytest.mark.parametrize("most", [1, 3, 8])
async def test_instances_at_once_over_all_partitions(most):
    engine = await running()
    await deployed(engine, "acme", "zeta")
    await quota(engine, instances=most)
    await start(engine, 24)
    await until(lambda: len(those(engine, "running")) == most)
    await asyncio.sleep(0.1)
    assert len(those(engine, "running")) == most and len(those(engine, "pending")) == 24 - most
    assert set(await start(engine, 8, "zeta")) == {"running"}, "another tenant doesn't notice"
    seen: list[int] = []
    await work(engine, most, seen=seen)
    assert len(seen) == 24 and max(seen) == most, "all have begun, and as many at once as may be"
    assert not any(o.state.quotas[quotas.PREFIX + "acme"].open for o in engine.owners.values())
    await engine.stop()


async def test_so_many_starts_in_a_time():
    engine = await running()
    await deployed(engine, "acme")
    await quota(engine, starts={"max": 4, "per_ms": 2_000})
    begun = asyncio.get_running_loop().time()
    await start(engine, 10)
    await until(lambda: len(those(engine, "running")) == 4)
    assert len(those(engine, "pending")) == 6
    await until(lambda: not those(engine, "pending"), 20)
    took = asyncio.get_running_loop().time() - begun
    assert took > 2.5, f"six more need three seconds, one each half second; found {took:.1f} s"
    await engine.stop()


async def test_where_too_many_wait_callers_hear_so_and_events_are_kept():
    model = Flow("order").start(message="came").service("pack", job="pack").end().xml().decode()
    engine = await running()
    await deployed(engine, "acme")
    await good(engine, c.Deploy(resources=[c.Resource("by-message.bpmn", model.replace('"order"', '"told"'))]), ACME)
    await quota(engine, instances=1, waiting=2)
    for _ in range(3):
        await good(engine, c.StartInstance(id="order"), ACME, partition=0)
        await until(lambda: len(those(engine, "running")) == 1)
    made = await engine.call(c.StartInstance(id="order"), ACME, partition=0)
    assert isinstance(made, Rejected) and made.code == "RESOURCE_EXHAUSTED" and made.retry_after_ms == 1_000 and "quota" in made.message
    for n in range(4):  # of the same key: all on one partition
        await good(engine, c.PublishMessage(name="came", correlation_key="k", message_id=f"m{n}"), ACME)
    await until(lambda: len(those(engine, "pending")) + len(those(engine, "running")) >= 4)
    await work(engine, 1)
    await engine.stop()


async def test_it_is_raised_lowered_and_taken_away():
    engine = await running()
    await deployed(engine, "acme")
    await start(engine, 6)
    await quota(engine, instances=2)
    assert set(await start(engine, 6)) == {"pending"}, "those that ran before count"
    await asyncio.sleep(0.05)
    assert len(those(engine, "running")) == 6
    await quota(engine, "change", instances=9)
    await until(lambda: len(those(engine, "running")) == 9)
    await quota(engine, "change")
    await until(lambda: len(those(engine, "running")) == 12)
    await engine.stop()


async def test_the_tenant_without_name_has_quotas_too():
    engine = await running()
    await deployed(engine, "")
    await good(engine, co.ControlTenant(name="default", move="change", quotas={"instances": 2}), Caller())
    await until(lambda: all(quotas.PREFIX in o.state.quotas for o in engine.owners.values()))
    await start(engine, 8, "")
    await until(lambda: len(those(engine, "running", "")) == 2)
    await work(engine, 2, "")
    await engine.stop()


async def test_over_the_death_of_an_owner_nothing_is_lost():
    store = MemoryStore(P)
    engine = await running(store)
    await deployed(engine, "acme")
    await quota(engine, instances=3)
    await start(engine, 16)
    await until(lambda: len(those(engine, "running")) == 3)
    await engine.stop()
    engine = await running(store)
    assert len(those(engine, "running")) == 3 and len(those(engine, "pending")) == 13
    await work(engine, 3)
    await engine.stop()


async def test_of_a_suspended_tenant_those_that_wait_go_on_waiting():
    engine = await running()
    await deployed(engine, "acme")
    await quota(engine, instances=2)
    await start(engine, 6)
    await until(lambda: len(those(engine, "running")) == 2)
    await good(engine, co.ControlTenant(name="acme", move="suspend", reason="x"), Caller())
    await until(lambda: all(o.state.holding.get("tenant") for o in engine.owners.values()))
    await quota(engine, "change", instances=5)
    await asyncio.sleep(0.1)
    assert len(those(engine, "running")) == 2
    await good(engine, co.ControlTenant(name="acme", move="resume"), Caller())
    await until(lambda: len(those(engine, "running")) == 5)
    await work(engine, 5)
    await engine.stop()


def test_called_instances_are_part_of_their_callers_work_and_replay_equals_live():
    w = World()
    w.do(co.ControlTenant(name="b", move="create", quotas={"instances": 3}), "")
    assert [w.do(c.StartInstance(id="p"), "b")["status"] for _ in range(3)] == ["running", "pending", "pending"]
    made = w.p.quotas[quotas.PREFIX + "b"]
    assert (len(made.open), len(made.waiting)) == (3, 2)
    before = checkpoint.fingerprint(w.p)
    quotas.rebuild(w.p)
    again = w.p.quotas[quotas.PREFIX + "b"]
    assert (again.open, again.waiting) == (made.open, made.waiting) and checkpoint.fingerprint(w.p) == before
    w.do(c.CancelInstance(key=w.instance), "b")
    refused = w.ask(c.Deploy(resources=[c.Resource("p.bpmn", WIDE + "x")]), "b")
    assert isinstance(refused, Rejected)
    assert len(w.p.quotas[quotas.PREFIX + "b"].open) == 2, "the next begins in its own step"


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"instances": 0}, "instances"), ({"starts": {"max": 0}}, "max"), ({"starts": {"speed": 1}}, "speed"), ({"waiting": 10_001}, "10000"), ({"x": 1}, "x")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words(value, expected):
    made = World().ask(co.ControlTenant(name="b", move="create", quotas=value), "")
    assert isinstance(made, Rejected) and expected in made.message
