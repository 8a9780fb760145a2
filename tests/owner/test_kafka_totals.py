"""Totals, epochs and long polls over two nodes on a real Kafka, one of which is killed."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kafka_load import MODEL, Owners, insist

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events import task as ta
from flowledger.events.base import Rejected
from flowledger.infra.log_kafka import KafkaLog
from flowledger.kernel import Partition, evolve
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS
from flowledger.processors.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(170)]
P, JOBS, TASKS, MOST = 3, 18, 9, 2
#: clocks of processes on one machine differ by less
JITTER_US = 50_000


class Seen:
    """What the log says of all partitions: (from, to) of each limited lease and of each task that ann held (microseconds), and what she holds at the end."""

    def __init__(self) -> None:
        self.leases: list[tuple[int, int]] = []
        self.held: list[tuple[int, int]] = []
        self.hers: list[int] = []
        #: claims of all partitions
        self.claims = 0


async def look(log: KafkaLog) -> Seen:
    seen = Seen()
    for p in range(P):
        state, reader, decoder = Partition(p, P), rules.GroupReader(), avro.Decoder()
        leased: dict[int, tuple[int, int]] = {}
        hers: dict[int, int] = {}
        async for batch in log.read(EVENTS, p, 0, await log.end(EVENTS, p)):
            for record in batch:
                group = reader.feed(record)
                for value in group.values if group is not None else ():
                    event, envelope = decoder.decode(value)
                    evolve(state, event, envelope)
                    now = envelope.time_us
                    if isinstance(event, ta.TaskLeased):
                        leased |= {k: (now, event.deadline_us) for k in event.tasks if state.tasks[k].job_type == "limited"}
                    for key in [k for k in leased if k not in state.tasks or not state.tasks[k].worker]:
                        begun, deadline = leased.pop(key)
                        seen.leases.append((begun, min(now, deadline)))
                    by_now = state.by_assignee.get("ann", {})
                    hers |= {k: now for k in by_now if k not in hers}
                    seen.held += [(hers.pop(k), now) for k in list(hers) if k not in by_now]
        seen.hers += hers
        seen.claims += state.meta.epoch
    return seen


def most_at_once(those: list[tuple[int, int]]) -> int:
    """Ends count a little earlier, beginnings as they are."""
    steps = sorted([(begin, 1) for begin, _ in those] + [(end - JITTER_US, -1) for _, end in those])
    at_once = most = 0
    for _, step in steps:
        at_once += step
        most = max(most, at_once)
    return most


async def good(node: Engine, command: c.AnyCommand, id: str = "", partition: int | None = None) -> dict[str, Any]:
    """Insisted on while a partition has no owner."""
    id = id or uuid.uuid4().hex
    end = time.monotonic() + 60
    while True:
        answer = await node.call(command, id=id, partition=partition, timeout_s=5.0)
        if isinstance(answer, dict):
            return answer
        assert isinstance(answer, Rejected) and answer.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"), answer
        assert time.monotonic() < end, answer
        await asyncio.sleep(0.1)


@pytest.mark.req("D-RES-005", "APG-ASG-001", "APG-HA-008", "WOS-ENG-016")
async def test_totals_epochs_and_polls_over_two_nodes_one_of_which_is_killed(kafka_bootstrap, tmp_path):
    prefix = f"totals-{uuid.uuid4().hex[:8]}"
    other = Owners(kafka_bootstrap, prefix, tmp_path)
    node = Engine(KafkaLog(kafka_bootstrap, prefix=prefix, session_s=2.0), partitions=P, settings=Settings(node="here"))
    stranger = Engine(KafkaLog(kafka_bootstrap, prefix=prefix), partitions=P, owns=False)
    try:
        other.start()
        await node.start()
        await stranger.start()
        await insist(node, c.Deploy(resources=[c.Resource("w1.bpmn", MODEL)]), "deploy", 0)
        async with asyncio.timeout(30):
            while not 0 < len(node.owners) < P or not all(o.ready.is_set() for o in node.owners.values()):
                await asyncio.sleep(0.1)
        # the next version is there everywhere when it is answered, also for a node that knows no epoch
        for version in (2, 3):
            text = MODEL.replace('retries="1000"', f'retries="{version}000"')
            answer = await good(node, c.Deploy(resources=[c.Resource("w1.bpmn", text)]), f"deploy-{version}", 0)
            assert answer["epoch"] == version and "waiting" not in answer
            for p in range(P):
                for asker in (node, stranger):
                    assert (await good(asker, c.StartInstance(id="w1"), partition=p))["version"] == version
        # a long poll with nothing there hears of a job, wherever it comes up
        for p in range(P):
            for asker in (node, stranger):
                poll = asyncio.create_task(asker.activate("late", "w", 5, 60_000, wait_ms=20_000))
                await asyncio.sleep(0.3)
                made, began = await good(node, c.CreateTask(job_type="late"), partition=p), time.monotonic()
                [job] = await poll
                assert job["key"] == made["task"] and time.monotonic() - began < 10
                await good(node, c.CompleteTask(task=job["key"], fence=job["fence"]))
        # one poll asks all until it has its number
        many = [(await good(node, c.CreateTask(job_type="many"), partition=n % P))["task"] for n in range(9)]
        found = await stranger.activate("many", "w", 8, 60_000, wait_ms=5_000)
        assert len(found) == 8
        found += await node.activate("many", "w", 8, 60_000, wait_ms=5_000)
        assert sorted(j["key"] for j in found) == sorted(many)
        for job in found:
            await good(node, c.CompleteTask(task=job["key"], fence=job["fence"]))
        # totals
        await good(node, c.StoreRecord(registry="limit", name="job:limited", value={"concurrency": MOST}))
        await good(node, c.StoreRecord(registry="directory", name="user:ann", value={"groups": ["clerks"], "max_concurrent": MOST}))
        await asyncio.sleep(1.0)
        details = {"settings": {"assignment": {"groups": ["clerks"]}}}
        for n in range(JOBS):
            await good(node, c.CreateTask(job_type="limited"), f"job-{n}", n % P)
        for n in range(TASKS):
            await good(node, c.CreateTask(name="x", details=details), f"task-{n}", n % P)
        done: set[int] = set()
        ended: set[int] = set()

        async def worker(asker: Engine, name: str) -> None:
            while len(done) < JOBS:
                for job in await asker.activate("limited", name, 2, 3_000, wait_ms=1_000):
                    await asyncio.sleep(0.05)
                    answer = await asker.call(c.CompleteTask(task=job["key"], fence=job["fence"]), timeout_s=5.0)
                    if isinstance(answer, dict) or answer.code == "NOT_FOUND":  # done before, and its answer was lost
                        done.add(job["key"])

        async def person() -> None:
            while len(ended) < TASKS:
                for key in (await look(stranger.log)).hers:
                    await good(node, c.CompleteTask(task=key), f"done-{key}")
                    ended.add(key)
                await asyncio.sleep(0.1)

        async def kill() -> None:
            while len(done) < JOBS // 3 or len(ended) < TASKS // 3:
                await asyncio.sleep(0.02)
            other.running[0].kill()
            other.running.clear()
            await asyncio.sleep(3.0)
            other.start()

        async with asyncio.timeout(120):
            await asyncio.gather(worker(node, "a"), worker(stranger, "b"), person(), kill())
        seen = await look(stranger.log)
        print(
            f"\n{len(seen.leases)} leases, at most {most_at_once(seen.leases)} at once; {len(seen.held)} tasks of hers, at most {most_at_once(seen.held)}"
        )
        assert len(seen.leases) >= JOBS and most_at_once(seen.leases) == MOST
        assert len(seen.held) == TASKS and most_at_once(seen.held) == MOST
        assert seen.claims > P, "what the killed one had moves: else the test shows nothing"
    finally:
        other.stop()
        await stranger.stop()
        await node.stop()
