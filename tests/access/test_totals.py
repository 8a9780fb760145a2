"""Limits hold over all partitions: table of findings E1 on four partitions, and under crashes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine

P = 4


async def running(store: MemoryStore | None = None) -> Engine:
    engine = Engine(MemoryLog(store or MemoryStore(P)), partitions=P)
    await engine.start()
    return engine


async def limit(engine: Engine, target: str, **value: Any) -> None:
    await engine.call(c.StoreRecord(registry="limit", name=target, value=value))
    while not all(target in o.state.guards for o in engine.owners.values()):
        await asyncio.sleep(0.005)


async def jobs(engine: Engine, each: int, tenant: str = "", **fields: Any) -> None:
    for p in range(P):
        for _ in range(each):
            made = await engine.call(c.CreateTask(job_type="work", **fields), Caller(tenant=tenant), partition=p)
            assert not isinstance(made, Rejected), made


async def lease(engine: Engine, rounds: int = 6, tenant: str = "", timeout_ms: int = 60_000) -> list[dict[str, Any]]:
    """All that one gets who asks each partition again and again."""
    got: list[dict[str, Any]] = []
    for _ in range(rounds):
        for p in range(P):
            command = c.ActivateTasks(job_type="work", worker="w", max=100, timeout_ms=timeout_ms)
            answer = await engine.call(command, Caller(tenant=tenant), partition=p)
            assert not isinstance(answer, Rejected), answer
            got += answer["jobs"]
        await asyncio.sleep(0.02)
    return got


TABLE = [
    ("job:work", {"concurrency": 2}, "", 2),
    ("job:work", {"concurrency": 1}, "", 1),
    ("job:work", {"concurrency": 7}, "", 7),
    ("job:work", {"rate": {"max": 2, "per_ms": 60_000}}, "", 2),
    ("job:work", {"rate": {"max": 5, "per_ms": 3_600_000}, "concurrency": 3}, "", 3),
    ("tenant:acme", {"concurrency": 1}, "acme", 1),
    ("tenant:acme", {"rate": {"max": 3, "per_ms": 600_000}}, "acme", 3),
    ("endpoint:x", {"concurrency": 2}, "", 2),
]


@pytest.mark.req("D-RES-005")
@pytest.mark.parametrize(("target", "value", "tenant", "wanted"), TABLE, ids=lambda x: str(x)[:40])
async def test_a_limit_is_a_total(target, value, tenant, wanted):
    engine = await running()
    await limit(engine, target, **value)
    await jobs(engine, 3, tenant, headers={"endpoint": "x"})
    got = await lease(engine, tenant=tenant)
    assert len(got) == wanted, [j["key"] >> 51 for j in got]
    if "rate" not in value:  # each that ends lets another go, wherever it waits
        done = set()
        for _ in range(60):
            for job in got:
                await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"]), Caller(tenant=tenant))
                done.add(job["key"])
            got = await lease(engine, 2, tenant)
            assert len(got) <= wanted
            if len(done) == 3 * P:
                break
        assert len(done) == 3 * P
    await engine.stop()


@pytest.mark.req("APG-RES-002")
async def test_a_breaker_counts_failures_everywhere():
    for failures in (3, 4):
        engine = await running()
        await limit(engine, "job:work", circuit_breaker={"failures": failures, "min_calls": 1000, "open_ms": 600_000})
        await jobs(engine, 1)
        got = await lease(engine, 1)
        assert len(got) == P
        for job in got[:3]:
            await engine.call(c.FailTask(task=job["key"], retries=3, backoff_ms=600_000))
        await asyncio.sleep(0.1)
        await jobs(engine, 1)
        states = {(o.state.records.get(("breaker", "job:work")) or {"state": "closed"})["state"] for o in engine.owners.values()}
        assert states == ({"open"} if failures == 3 else {"closed"})
        assert (await lease(engine, 1) == []) is (failures == 3)
        await engine.stop()


async def test_a_breaker_that_probes_lets_one_through_in_all():
    engine = await running()
    await limit(engine, "job:work", circuit_breaker={"failures": 2, "min_calls": 1000, "open_ms": 100, "probes": 1, "full": 2})
    await jobs(engine, 2)
    got = await lease(engine, 1)
    for job in got[:2]:
        await engine.call(c.FailTask(task=job["key"], retries=3, backoff_ms=600_000))
    for job in got[2:]:
        await engine.call(c.CompleteTask(task=job["key"]))
    await jobs(engine, 2)
    await asyncio.sleep(0.3)
    got = await lease(engine)
    assert len(got) == 1
    await engine.call(c.CompleteTask(task=got[0]["key"]))
    assert len(await lease(engine)) == 2, "twice as many after a success"
    await engine.stop()


async def test_an_unlimited_type_pays_nothing():
    engine = await running()
    await jobs(engine, 5)
    assert len(await lease(engine, 1)) == 5 * P
    for o in engine.owners.values():
        assert not o.state.outbox and not o.state.unsettled_limits and not [k for k in o.state.records if k[0].startswith("permits")]
    await engine.stop()


async def test_permits_survive_the_owners_loss():
    store = MemoryStore(P)
    engine = await running(store)
    await limit(engine, "job:work", concurrency=3)
    await jobs(engine, 4)
    got = await lease(engine, 3)
    assert len(got) == 3
    done: set[int] = set()
    for n in range(12):
        await engine.kill() if n % 2 else await engine.stop()
        engine = await running(store)
        assert len(await lease(engine, 2)) == 0, "those that are out are remembered"
        for job in got:
            await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"]))
            done.add(job["key"])
        got = []
        for _ in range(10):
            got += await lease(engine, 1)
            assert len(got) <= 3
        if len(done) == 4 * P:
            break
        assert got, "and those that ended are free"
    assert len(done) == 4 * P
    await engine.stop()


async def test_a_partition_that_is_gone_loses_its_permits(monkeypatch):
    from flowledger.kernel.tasks import permits

    monkeypatch.setattr(permits, "SKEW_US", 200_000)
    engine = await running()
    await limit(engine, "job:work", concurrency=1)
    home = c.partition_of_text("job:work", P)
    away = (home + 1) % P
    await engine.call(c.CreateTask(job_type="work"), partition=away)
    [job] = await lease(engine, timeout_ms=300)
    assert job["key"] >> 51 == away
    await engine._give_up(away)
    await engine.call(c.CreateTask(job_type="work"), partition=(home + 2) % P)
    ask = c.ActivateTasks(job_type="work", worker="w", timeout_ms=300)
    assert (await engine.call(ask, partition=(home + 2) % P))["jobs"] == []
    for _ in range(60):
        await asyncio.sleep(0.1)
        if found := (await engine.call(ask, partition=(home + 2) % P))["jobs"]:
            break
    assert len(found) == 1
    await engine.stop()
