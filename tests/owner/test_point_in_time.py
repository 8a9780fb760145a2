"""Histories of several partitions that crash and are fenced, cut at any moment: no partition speaks of what another lacks, nothing is cut without need,
and the engine goes on from there and finishes.

Reproduce one seed: CUT_SEED=<seed> CUT_RUNS=1 pytest tests/owner/test_point_in_time.py
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_simulation import MODEL, World, check, worker
from virtual import run

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events.base import Rejected
from flowledger.infra import audit
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.point_in_time import CONFIRMED, SENT, TAKEN, NoSuchMoment, Numbers, Plan, plan, settle
from flowledger.kernel import Partition, evolve
from flowledger.processors.log import COMMANDS, DEFINITIONS, EVENTS, TOPICS, Group

BASE = int(os.environ.get("CUT_SEED", "1"))
RUNS = int(os.environ.get("CUT_RUNS", "12"))
MOMENTS = 5
INSTANCES = 10


class Moment(NamedTuple):
    end: int
    time_us: int
    sent: dict[int, int]
    confirmed: dict[int, int]
    taken: dict[int, int]


def courses(store: MemoryStore) -> list[list[Moment]]:
    """What each partition had sent, heard confirmed and taken behind each of its groups, as its owner folds it."""
    out = []
    for p in range(store.partitions):
        reader, state, decoder, course = rules.GroupReader(), Partition(p, store.partitions), avro.Decoder(), []
        for record in store.stream(EVENTS, p).records:
            if (group := reader.feed(record)) is not None:
                for value in group.values:
                    evolve(state, *decoder.decode(value))
                m = state.meta
                course.append(Moment(group.end, record.timestamp_us, dict(m.sent), dict(m.confirmed), dict(m.taken)))
        out.append(course)
    return out


def by_trying(histories: list[list[Moment]], until_us: int) -> list[int]:
    """One group back at a time, for as long as two don't agree."""
    at = [max(1, next((n for n, m in enumerate(h) if n and m.time_us > until_us), len(h))) - 1 for h in histories]
    while True:
        for s, r in permutations(range(len(histories)), 2):
            sender, receiver = histories[s][at[s]], histories[r][at[r]]
            if receiver.taken.get(s, 0) > sender.sent.get(r, 0):
                at[r] -= 1
                break
            if sender.confirmed.get(r, 0) > receiver.taken.get(s, 0):
                at[s] -= 1
                break
        else:
            return [h[n].end for h, n in zip(histories, at, strict=True)]


def cut(store: MemoryStore, plan: Plan) -> MemoryStore:
    out = MemoryStore(store.partitions)
    for (topic, p), stream in store.streams.items():
        for r in stream.latest.values() if TOPICS[topic].compacted else stream.records:
            if plan.stays(topic, p, r):
                out.stream(topic, p).write(Group([r.key], [r.value], r.headers, timestamp_ms=r.timestamp_us // 1000), 0, 1)
            elif not TOPICS[topic].compacted:
                break
    return out


async def busy(seed: int) -> World:
    """A world in which everything is under way: what fails still fails when it ends."""
    world = World(seed)
    world.partitions = world.rng.choice([2, 3, 4])
    world.store = MemoryStore(world.partitions)
    await world.start()
    await world.start()
    assert isinstance(await world.insist(c.Deploy(resources=[c.Resource("sim.bpmn", MODEL)]), "deploy"), dict)
    jobs = [asyncio.create_task(world.chaos()), *(asyncio.create_task(worker(world, f"w{n}", set())) for n in range(2))]

    async def one(n: int) -> None:
        await asyncio.sleep(world.rng.uniform(0, 3))
        await start(world, n)
        await asyncio.sleep(world.rng.uniform(0, 2))
        await pay(world, n)

    await asyncio.gather(*(one(n) for n in range(INSTANCES)))
    await asyncio.sleep(world.rng.uniform(0, 3))
    for job in jobs:
        job.cancel()
    world.faults = False
    world.store.release()
    for engine in list(world.engines):
        await world.crash(engine)
    return world


async def start(world: World, n: int) -> int:
    while True:
        answer = await world.insist(c.StartInstance(id="sim", variables={"order": f"o{n}"}), f"start-{n}")
        if isinstance(answer, dict):
            return int(answer["key"])
        assert answer.code == "NOT_FOUND", answer
        await asyncio.sleep(0.1)


async def pay(world: World, n: int) -> None:
    command = c.PublishMessage(name="paid", correlation_key=f"o{n}", ttl_ms=3_600_000, message_id=f"pay{n}")
    answer = await world.insist(command, f"pay-{n}")
    assert not isinstance(answer, Rejected) or answer.code == "ALREADY_EXISTS", answer


async def goes_on(world: World, store: MemoryStore, late_us: int) -> None:
    """All that callers did is asked for again, with the same ids, as by careful clients: each instance runs once, whether the cut has it or not."""
    again = World(1)
    again.partitions, again.store, again.faults, again.compares, again.settings = (
        world.partitions,
        store,
        False,
        world.compares,
        world.settings,
    )
    again.skew = late_us
    await again.start()
    assert isinstance(await again.insist(c.Deploy(resources=[c.Resource("sim.bpmn", MODEL)]), "deploy"), dict)
    jobs = [asyncio.create_task(worker(again, "w", set()))]
    started = {f"start-{n}": await start(again, n) for n in range(INSTANCES)}
    for n in range(INSTANCES):
        await pay(again, n)
    for _ in range(600):
        await asyncio.sleep(0.2)
        owners = again.engines[0].owners
        if len(owners) == again.partitions and all(o.ready.is_set() and not o.state.instances for o in owners.values()):
            break
    for job in jobs:
        job.cancel()
    await asyncio.sleep(5)
    await check(again, started)
    await again.crash(again.engines[0])


async def simulate(seed: int) -> int:
    world = await busy(seed)
    rng, log = random.Random(seed), MemoryLog(world.store)
    histories = courses(world.store)
    first, last = min(h[0].time_us for h in histories), max(h[-1].time_us for h in histories)
    with pytest.raises(NoSuchMoment, match="the log begins at"):
        await plan(log, first - 1)
    moved = 0
    for n in range(MOMENTS):
        until_us = first if n == 0 else rng.randint(first, last)
        found = await plan(log, until_us)
        assert [x.end for x in found.cuts] == by_trying(histories, until_us), until_us
        assert all(x.time_us <= until_us or x.number == 1 for x in found.cuts), "only a first claim may be later"
        moved += sum(x.end < x.by_time for x in found.cuts)
        store = cut(world.store, found)
        reports = await audit.verify(MemoryLog(store, compares=False))  # groups that a fault brings late are void
        assert [f for r in reports for f in r.findings] == []
        assert [(r.end, r.number, r.chain) for r in reports] == [(x.end, x.number, x.chain) for x in found.cuts]
        models = [r for r in store.stream(DEFINITIONS, 0).latest.values() if r.key != b"none"]
        told = any(b"sim.bpmn" in r.value for r in store.stream(EVENTS, 0).records)
        assert bool(models) == told, "a model is there from when it was deployed"
        assert all(store.stream(COMMANDS, x.partition).end == x.source + 1 for x in found.cuts)
        await goes_on(world, store, rng.choice([0, 3_600_000_000]))
    whole = await plan(log, last)
    assert sum(x.end < x.by_time for x in whole.cuts) == 0, "a log as it stands is consistent"
    return moved


@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS))
@pytest.mark.req("D-HA-001", "APG-HA-005")
def test_a_history_cut_at_any_moment_is_consistent_and_goes_on(seed):
    run(asyncio.wait_for(simulate(seed), 20_000))  # virtual seconds


def random_courses(rng: random.Random) -> tuple[list[list[Moment]], list[Numbers]]:
    """Sends between partitions whose clocks differ by more than a send takes, so that cuts by time often don't fit."""
    parts = rng.randint(2, 4)
    skew = [rng.randint(0, 40) for _ in range(parts)]
    histories = [[Moment(1, skew[p], {}, {}, {})] for p in range(parts)]
    now = 0
    for _ in range(rng.randint(5, 120)):
        now += rng.randint(0, 2)
        p = rng.randrange(parts)
        last = histories[p][-1]
        sent, confirmed, taken = dict(last.sent), dict(last.confirmed), dict(last.taken)
        for peer in rng.sample([q for q in range(parts) if q != p], rng.randint(1, parts - 1)):
            there = histories[peer][-1]
            match rng.randrange(3):
                case 0:
                    sent[peer] = sent.get(peer, 0) + rng.randint(1, 3)
                case 1:
                    taken[peer] = rng.randint(taken.get(peer, 0), there.sent.get(p, 0))
                case 2:
                    confirmed[peer] = rng.randint(confirmed.get(peer, 0), there.taken.get(p, 0))
        histories[p].append(Moment(last.end + rng.randint(1, 5), max(last.time_us, now + skew[p]), sent, confirmed, taken))
    return histories, [Numbers(p) for p in range(parts)]


def noted(histories: list[list[Moment]], numbers: list[Numbers], until_us: int) -> Iterator[int]:
    for p, history in enumerate(histories):
        before = 0
        for n, m in enumerate(history):
            if n and m.time_us > until_us:
                break
            for what, values in ((SENT, m.sent), (CONFIRMED, m.confirmed), (TAKEN, m.taken)):
                for peer, value in values.items():
                    numbers[p].note(before, what, peer, value)
            before = numbers[p].cut = m.end
        yield before


@pytest.mark.req("D-HA-001")
def test_cuts_go_back_as_far_as_they_must_and_no_further():
    """Against the slow way, one group at a time; and in many of these histories cuts do have to go back, also by way of a third partition."""
    some = several = 0
    for seed in range(600):
        rng = random.Random(seed)
        histories, numbers = random_courses(rng)
        until_us = rng.randint(0, max(h[-1].time_us for h in histories))
        by_time = list(noted(histories, numbers, until_us))
        settle(numbers)
        ends = [n.cut for n in numbers]
        assert ends == by_trying(histories, until_us), seed
        moved = sum(a < b for a, b in zip(ends, by_time, strict=True))
        some, several = some + (moved > 0), several + (moved > 1)
    assert some > 100 and several > 20, "too few histories in which this says anything"
