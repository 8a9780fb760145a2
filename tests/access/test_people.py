"""A person's maximum is a total over all partitions: by permits of a home, through crashes; and the most urgent goes first, wherever it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel.tasks import people, permits, stock
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine

pytestmark = pytest.mark.req("APG-ASG-001", "D-ASG-003")

P = 4
HOME = c.partition_of_text("person:user:ann", P)
AWAY, THIRD = (HOME + 1) % P, (HOME + 2) % P


async def running(store: MemoryStore | None = None) -> Engine:
    engine = Engine(MemoryLog(store or MemoryStore(P)), partitions=P)
    await engine.start()
    return engine


async def until(what: Callable[[], bool], text: str = "") -> None:
    for _ in range(500):
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(text or "it did not come")


async def store(engine: Engine, name: str, **value: Any) -> None:
    answer = await engine.call(c.StoreRecord(registry="directory", name=name, value=value))
    assert not isinstance(answer, Rejected), answer
    await until(lambda: all(o.state.records.get(("directory", name)) == value for o in engine.owners.values()))


async def task(engine: Engine, p: int, tenant: str = "", priority: int = 0, **assignment: Any) -> int:
    details = {"settings": {"assignment": assignment or {"groups": ["clerks"]}}}
    made = await engine.call(c.CreateTask(name="x", priority=priority, details=details), Caller(tenant=tenant), partition=p)
    assert not isinstance(made, Rejected), made
    return int(made["task"])


def held(engine: Engine, name: str = "ann") -> list[int]:
    return sorted(k for o in engine.owners.values() for k in o.state.by_assignee.get(name, ()))


def who(engine: Engine, key: int) -> str | None:
    return (engine.owners[c.partition_of_key(key)].state.tasks[key].details or {}).get("assignee")


def total(engine: Engine, target: str = "person:user:ann") -> int:
    """As the home counts."""
    state = engine.owners[stock.home(engine.owners[0].state, target)].state
    person = people.of_target(state, target)
    return person.total(state) if person is not None else -1


async def settled(engine: Engine) -> None:
    await until(lambda: not any(o.state.outbox for o in engine.owners.values()))


@pytest.mark.parametrize("most", [1, 2, 3, 7])
async def test_at_most_so_many_over_all_partitions_and_each_has_its_turn(most):
    engine = await running()
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=most)
    keys = [await task(engine, p) for _ in range(3) for p in range(P)]
    done = []
    while keys:
        await until(lambda: len(held(engine)) >= min(most, len(keys)), f"under-granted: {len(held(engine))} of {most}, {len(keys)} left")
        now = held(engine)
        assert len(now) <= most
        key = now[len(done) % len(now)]
        assert not isinstance(await engine.call(c.CompleteTask(task=key)), Rejected)
        keys.remove(key)
        done.append(c.partition_of_key(key))
    await settled(engine)
    await until(lambda: total(engine) == 0, "all permits are home again")
    if most == 1:  # nobody is starved by a neighbour's queue: the fourth turns come before anybody's last
        assert len(set(done[:6])) == P, done
    await engine.stop()


async def test_what_was_given_by_hand_counts():
    engine = await running()
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=2)
    for p in (AWAY, THIRD):
        made = await engine.call(c.CreateTask(name="by hand", details={"assignee": "ann"}), partition=p)
        assert not isinstance(made, Rejected)
    await settled(engine)
    assert total(engine) == 2
    waiting = [await task(engine, p) for p in range(P)]
    await asyncio.sleep(0.15)
    assert len(held(engine)) == 2 and not any(who(engine, k) for k in waiting)
    third = await engine.call(c.CreateTask(name="by hand", details={"assignee": "ann"}), partition=AWAY)
    assert not isinstance(third, Rejected), "by hand it is over the maximum"
    for key in [k for k in held(engine) if k not in waiting]:
        await engine.call(c.CompleteTask(task=key))
    await until(lambda: len(held(engine)) == 2)
    await asyncio.sleep(0.1)
    assert len(held(engine)) == 2
    await engine.stop()


@pytest.mark.parametrize("ends", ["complete", "cancel", "release", "delegate", "skip"])
async def test_each_way_in_which_somebody_is_freed(ends):
    engine = await running()
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=1)
    first = await task(engine, AWAY)
    await until(lambda: held(engine) == [first])
    second = await task(engine, THIRD)
    await asyncio.sleep(0.1)
    assert who(engine, second) is None
    if ends == "complete":
        answer = await engine.call(c.CompleteTask(task=first))
    else:
        details = {"assignee": "somebody"} if ends == "delegate" else None
        answer = await engine.call(c.MoveTask(task=first, move=ends, details=details))
    assert not isinstance(answer, Rejected), answer
    await until(lambda: who(engine, second) == "ann" or held(engine) == [first])
    assert len(held(engine)) == 1
    await engine.stop()


async def test_the_best_is_asked_although_their_home_is_elsewhere():
    """Not the next best, who happens to be counted here."""
    engine = await running()
    bob = next(n for n in (f"bob{i}" for i in range(99)) if c.partition_of_text(f"person:user:{n}", P) == AWAY)
    await store(engine, "user:ann", groups=["clerks"], capabilities=["sql:9"], max_concurrent=1)
    await store(engine, f"user:{bob}", groups=["clerks"], capabilities=["sql:1"], max_concurrent=5)
    wanted = {"strategy": "skill", "groups": ["clerks"], "required_capabilities": ["sql"]}
    first = await task(engine, AWAY, **wanted)
    await until(lambda: who(engine, first) is not None)
    assert who(engine, first) == "ann"
    second = await task(engine, AWAY, **wanted)
    await until(lambda: who(engine, second) is not None)
    assert who(engine, second) == bob, "she has no room, so the choice is made anew"
    excluded = engine.owners[AWAY].state.tasks[second].details["assignment"]["excluded"]
    assert excluded == {"ann": "has no room for more, at most 1 at once"}
    await engine.stop()


async def test_a_maximum_comes_grows_and_goes():
    engine = await running()
    await store(engine, "user:ann", groups=["clerks"])
    first = [await task(engine, p) for p in range(P)]
    await until(lambda: held(engine) == sorted(first))
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=P)
    await settled(engine)
    await until(lambda: total(engine) == P, "those of before count")
    more = [await task(engine, p) for p in range(P)]
    await asyncio.sleep(0.1)
    assert held(engine) == sorted(first)
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=P + 2)
    await until(lambda: len(held(engine)) == P + 2)
    await store(engine, "user:ann", groups=["clerks"])
    await until(lambda: held(engine) == sorted(first + more))
    await engine.stop()


async def test_a_tenant_s_own_record_is_somebody_else():
    engine = await running()
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=1)
    await store(engine, "acme/user:ann", groups=["clerks"], max_concurrent=2)
    for p in range(P):
        await task(engine, p)
        await task(engine, p, "acme")
    await until(lambda: len(held(engine)) == 3)
    await asyncio.sleep(0.1)
    tenants = sorted(o.state.tasks[k].tenant for o in engine.owners.values() for k in o.state.by_assignee.get("ann", ()))
    assert tenants == ["", "acme", "acme"]
    await engine.stop()


@pytest.mark.req("APG-HA-008")
async def test_it_survives_the_owners_loss():
    memory = MemoryStore(P)
    engine = await running(memory)
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=2)
    keys = [await task(engine, p) for _ in range(2) for p in range(P)]
    for n in range(2 * P):
        for _ in range(500):
            if len(held(engine)) >= min(2, len(keys)):
                break
            await asyncio.sleep(0.01)
        assert len(held(engine)) == min(2, len(keys)), f"{held(engine)} of {keys}"
        await engine.kill() if n % 2 else await engine.stop()
        engine = await running(memory)
        assert len(held(engine)) <= 2
        key = held(engine)[n % 2 - 1]
        assert not isinstance(await engine.call(c.CompleteTask(task=key)), Rejected)
        keys.remove(key)
    assert not keys
    await until(lambda: total(engine) == 0)
    await engine.stop()


async def test_a_partition_that_nobody_owns_keeps_what_she_holds_there():
    engine = await running()
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=1)
    first = await task(engine, AWAY)
    await until(lambda: held(engine) == [first])
    await engine._give_up(AWAY)
    other = await task(engine, THIRD)
    await asyncio.sleep(0.3)
    assert who(engine, other) is None, "a permit for a person has no end"
    await engine.stop()


async def test_a_permit_that_is_not_used_goes_back(monkeypatch):
    monkeypatch.setattr(permits, "IDLE_US", 200_000)
    engine = await running()
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=1)
    held_by = await task(engine, HOME)
    gone = await task(engine, AWAY)
    await until(lambda: who(engine, held_by) == "ann")
    await asyncio.sleep(0.05)
    await engine.call(c.MoveTask(task=gone, move="cancel"))  # it waits no more, and a permit for it comes all the same
    await engine.call(c.CompleteTask(task=held_by))
    other = await task(engine, THIRD)
    await until(lambda: who(engine, other) == "ann")
    await engine.stop()


# --- priority ---------------------------------------------------------------------------------------------------------------


async def test_the_most_urgent_gets_the_next_permit_wherever_it_waits():
    engine = await running()
    await store(engine, "user:ann", groups=["clerks"], max_concurrent=1)
    held_by = await task(engine, HOME)
    low = await task(engine, AWAY, priority=1)
    await asyncio.sleep(0.05)
    high = await task(engine, THIRD, priority=50)
    mine = await task(engine, HOME, priority=20)
    await asyncio.sleep(0.05)
    order = []
    for key in (held_by, high, mine):
        await engine.call(c.CompleteTask(task=key))
        await until(lambda: len(held(engine)) == 1)
        order += held(engine)
    assert order == [high, mine, low]
    await engine.stop()


async def test_a_limited_job_type_hands_out_the_most_urgent_of_all_partitions():
    target = "job:work"
    home = c.partition_of_text(target, P)
    engine = await running()
    await engine.call(c.StoreRecord(registry="limit", name=target, value={"concurrency": 1}))
    await until(lambda: all(target in o.state.guards for o in engine.owners.values()))
    urgent = {}
    for p in range(P):
        made = await engine.call(c.CreateTask(job_type="work", priority=10 * ((p - home) % P)), partition=p)
        urgent[made["task"]] = 10 * ((p - home) % P)
    order = []
    for _ in range(P):
        [job] = await engine.activate("work", "w", 1, 60_000, wait_ms=5_000)
        order.append(urgent[job["key"]])
        await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"]))
    assert order == [30, 20, 10, 0]
    await engine.stop()
