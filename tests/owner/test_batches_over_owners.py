"""A batch while its owners are killed: each item once, whoever owns what meanwhile. In memory, and on a real Kafka.

With more items, and what it took: BATCH_ITEMS=100000 pytest -s -k kafka tests/owner/test_batches_over_owners.py
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections import Counter
from typing import Any

import pytest

from flowledger.events import batch as ba
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.infra.log_kafka import KafkaLog
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import limits
from flowledger.processors.engine import Engine
from flowledger.processors.recovery import counted
from flowledger.sdk import Flow

MODEL = Flow("p").start().service("t", job="w").end().xml().decode()
PARTITIONS = 3
ITEMS = int(os.environ.get("BATCH_ITEMS", "240"))


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def connect(request):
    if request.param == "memory":
        store = MemoryStore(PARTITIONS)
        return lambda: MemoryLog(store)
    address, prefix = request.getfixturevalue("kafka_bootstrap"), f"batch-{uuid.uuid4().hex[:8]}"
    return lambda: KafkaLog(address, prefix=prefix, session_s=2.0)


class Cluster:
    """Nodes of owners that come and go, and one that asks."""

    def __init__(self, connect: Any) -> None:
        self.connect = connect
        self.nodes: list[Engine] = []
        self.asking = Engine(connect(), partitions=PARTITIONS, owns=False)
        self.killed = 0

    async def start(self) -> None:
        self.nodes = [await self.node(), await self.node()]
        await self.asking.start()

    async def node(self) -> Engine:
        engine = Engine(self.connect(), partitions=PARTITIONS)
        await engine.start()
        return engine

    async def kill(self) -> None:
        """The node that owns the most, as by SIGKILL; another comes in its place."""
        victim = max(self.nodes, key=lambda n: len(n.owners))
        self.nodes.remove(victim)
        await victim.kill()
        self.killed += 1
        self.nodes.append(await self.node())

    async def ask(self, command: Any, id: str = "") -> Any:
        """Until somebody knows: as a caller would."""
        id = id or uuid.uuid4().hex
        while True:
            answer = await self.asking.call(command, id=id, timeout_s=20)
            if not isinstance(answer, Rejected) or answer.code not in (
                RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED, RejectionCode.RESOURCE_EXHAUSTED,
            ):  # fmt: skip
                return answer
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        for node in [*self.nodes, self.asking]:
            await node.stop()

    async def events(self) -> list[Any]:
        log = self.connect()
        await log.open()
        found = [r.event for p in range(PARTITIONS) async for batch in counted(log, p) for r in batch]
        await log.close()
        return found


def order(key: int) -> tuple[int, int]:
    return key & ((1 << c.PARTITION_BITS) - 1), key >> c.PARTITION_BITS


async def filled(cluster: Cluster, keys: list[int], action: str, rate: int = 0) -> int:
    made = await cluster.ask(co.CreateBatch(action=action, total=len(keys), rate=rate))
    for at in range(0, len(keys), limits.LIST_MAX):
        answer = await cluster.ask(co.AddBatchItems(batch=made["key"], at=at, items=keys[at : at + limits.LIST_MAX]))
        assert isinstance(answer, dict) or answer.code == "NOT_FOUND", answer
    return int(made["key"])


async def started(cluster: Cluster, count: int) -> list[int]:
    await cluster.ask(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
    found: list[int] = []
    for at in range(0, count, 400):
        answers = await asyncio.gather(*(cluster.ask(c.StartInstance(id="p")) for _ in range(at, min(count, at + 400))))
        found += [a["key"] for a in answers]
    return found


async def over(cluster: Cluster, batch: int) -> bool:
    answer = await cluster.ask(co.AddBatchItems(batch=batch, at=0, items=[]))
    return isinstance(answer, Rejected) and answer.code == "NOT_FOUND"


async def run(connect: Any, count: int, kills: int, rate: int = 0) -> tuple[float, int]:
    cluster = Cluster(connect)
    await cluster.start()
    keys = await started(cluster, count)
    gone = keys[::10]
    await asyncio.gather(*(cluster.ask(c.CancelInstance(key=key)) for key in gone))
    alive = {*keys} - {*gone}
    ghosts = [(n % PARTITIONS << c.PARTITION_BITS) + 10_000_000 + n for n in range(20)]
    items = sorted([*keys, *ghosts], key=order)
    assert len({c.partition_of_key(k) for k in keys}) == PARTITIONS
    began = time.monotonic()
    batch = await filled(cluster, items, "suspend", rate)
    while not await over(cluster, batch):
        if cluster.killed < kills:
            await cluster.kill()
        await asyncio.sleep(0.2)
    took = time.monotonic() - began
    await cluster.stop()
    events = await cluster.events()
    assert Counter(e.key for e in events if isinstance(e, wf.WorkflowSuspended)) == Counter(alive), "each once, and no other"
    outcomes: dict[int, str] = {}
    for e in events:
        if isinstance(e, ba.BatchItemsDone):
            for number, outcome in zip(e.numbers, e.outcomes, strict=True):
                assert number not in outcomes, "one result for each"
                outcomes[number] = outcome
    assert {items[n] for n, o in outcomes.items() if o == "succeeded"} == alive and len(outcomes) == len(items)
    [end] = [e for e in events if isinstance(e, ba.BatchEnded)]
    assert (end.status, end.succeeded, end.skipped) == ("completed", len(alive), len(items) - len(alive))
    return took, cluster.killed


@pytest.mark.req("D-API-009")
@pytest.mark.timeout(280 if ITEMS < 1_000 else 3_000)
async def test_each_item_once_while_owners_are_killed(connect):
    """A short one is paced, so that it is not over before the owners are killed."""
    took, killed = await run(connect, ITEMS, 3, rate=60 if ITEMS < 1_000 else 0)
    assert killed == 3 or ITEMS >= 1_000
    print(f"\n{ITEMS} items, {killed} nodes killed: {took:.1f} s, {ITEMS / took:.0f} items/s")
