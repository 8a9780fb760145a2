"""A hold over a definition, and its release, while owners are killed: nothing moves while it holds, and what came meanwhile is applied once, in order.
In memory, and on a real Kafka.

With more instances, and what it took: HOLD_INSTANCES=100000 pytest -s -k kafka tests/owner/test_holds_over_owners.py
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_batches_over_owners import PARTITIONS, Cluster, connect

from flowledger.events import commands as c
from flowledger.events import holds as ho
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.processors.recovery import counted

__all__ = ["connect"]
WAITS = """<?xml version="1.0"?><definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<message id="m" name="m"><extensionElements><zeebe:subscription correlationKey="= k"/></extensionElements></message>
<process id="p" isExecutable="true"><startEvent id="s"/><receiveTask id="r" messageRef="m"/><endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="r"/><sequenceFlow id="f2" sourceRef="r" targetRef="e"/></process></definitions>"""
INSTANCES = int(os.environ.get("HOLD_INSTANCES", "240"))
#: what arrives for held instances, and new ones that are held
KEPT, NEW, KILLS = min(INSTANCES // 2, 2_000), 30, 3
AT_ONCE = 400


async def logs(cluster: Cluster) -> list[list[Any]]:
    """The events of each partition, in order."""
    log = cluster.connect()
    await log.open()
    found = [[r.event async for batch in counted(log, p) for r in batch] for p in range(PARTITIONS)]
    await log.close()
    return found


async def everywhere(cluster: Cluster, event: type) -> None:
    """Until each partition has said so of its own."""
    while not all(any(isinstance(e, event) for e in events) for events in await logs(cluster)):
        await asyncio.sleep(0.3)


async def begun(cluster: Cluster, numbers: range) -> list[int]:
    found: list[int] = []
    for at in range(numbers.start, numbers.stop, AT_ONCE):
        some = range(at, min(numbers.stop, at + AT_ONCE))
        answers = await asyncio.gather(*(cluster.ask(c.StartInstance(id="p", variables={"k": f"k{n}"})) for n in some))
        found += [a["key"] for a in answers]
    return found


async def run(connect: Any, count: int, rate: int) -> dict[str, float]:
    cluster = Cluster(connect)
    await cluster.start()
    await cluster.ask(c.Deploy(resources=[c.Resource("p.bpmn", WAITS)]))
    keys = await begun(cluster, range(count))
    assert len({c.partition_of_key(k) for k in keys}) == PARTITIONS
    while sum(isinstance(e, wa.MessageAwaited) for events in await logs(cluster) for e in events) < count:  # where their messages come to
        await asyncio.sleep(0.3)

    clock = time.monotonic()
    placed = await cluster.ask(c.PlaceHold(scope="definition", subject="p", reason="look"))
    took = {"answered": time.monotonic() - clock}
    await everywhere(cluster, ho.HoldPlaced)
    took["held everywhere"] = time.monotonic() - clock

    came = list(range(0, count, max(1, count // KEPT)))[:KEPT]
    for at in range(0, len(came), AT_ONCE):  # a node dies while it comes
        asked = [asyncio.create_task(cluster.ask(c.PublishMessage(name="m", correlation_key=f"k{n}"))) for n in came[at : at + AT_ONCE]]
        if cluster.killed < KILLS:
            await cluster.kill()
        assert not [a for a in await asyncio.gather(*asked) if isinstance(a, Rejected)]
    new = await begun(cluster, range(count, count + NEW))
    await cluster.kill()

    clock = time.monotonic()
    released = await cluster.ask(c.ReleaseHold(key=placed["key"], rate=rate))
    assert not isinstance(released, Rejected), released
    killed = cluster.killed
    while cluster.killed < killed + KILLS:
        await cluster.kill()
        await asyncio.sleep(0.5)
    while True:
        again = await cluster.ask(c.ReleaseHold(key=placed["key"], rate=rate))
        if isinstance(again, Rejected):
            assert again.code == "NOT_FOUND", again
            break
        await asyncio.sleep(0.3)
    took["released"] = time.monotonic() - clock
    await cluster.stop()

    found = await logs(cluster)
    for events in found:
        marks = [n for n, e in enumerate(events) if isinstance(e, ho.HoldPlaced | ho.HoldReleasing)]
        kinds = [type(events[n]) for n in marks]
        assert kinds[0] is ho.HoldPlaced and kinds.count(ho.HoldPlaced) == 1 and len(marks) > 1
        still = events[marks[0] : marks[1]]
        assert not [e for e in still if isinstance(e, wf.WorkflowCompleted | wf.WorkflowStarted)], "nothing moved while it held"
        assert sum(isinstance(e, ho.HoldReleased) for e in events) == 1
    every = [e for events in found for e in events]
    done = Counter(e.key for e in every if isinstance(e, wf.WorkflowCompleted))
    assert done == Counter(keys[n] for n in came), "each once, and no other"
    assert Counter(e.key for e in every if isinstance(e, wf.WorkflowStarted)) == Counter([*keys, *new]), (
        "what was held at its start began once"
    )
    took["killed"] = cluster.killed
    return took


@pytest.mark.timeout(280 if INSTANCES < 1_000 else 3_000)
async def test_nothing_moves_while_held_and_what_came_is_applied_once(connect):
    """A short one is released slowly, so that it is not over before the owners are killed."""
    took = await run(connect, INSTANCES, rate=60 if INSTANCES < 1_000 else 1_000)
    print(f"\n{INSTANCES} instances: " + ", ".join(f"{what} {n:.1f}" for what, n in took.items()))
