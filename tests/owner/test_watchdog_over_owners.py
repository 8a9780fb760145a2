"""What only another node can tell: a defect that is made there while it is looked at is found within a minute, and its repair lets all go on. On a real Kafka."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events.base import Rejected
from flowledger.infra.log_kafka import KafkaLog

sys.path.insert(0, str(Path(__file__).parent))

from test_batches_over_owners import PARTITIONS, Cluster

WAITS = """<?xml version="1.0"?><definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="= k"/></extensionElements></message>
<process id="p" isExecutable="true"><startEvent id="s"/><receiveTask id="r" messageRef="m"/><endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="r"/><sequenceFlow id="f2" sourceRef="r" targetRef="e"/></process></definitions>"""
INSTANCES = 30


def owners(cluster: Cluster) -> dict[int, tuple[int, Any]]:
    """Partition -> the number of its node, its owner."""
    return {p: (n, owner) for n, node in enumerate(cluster.nodes) for p, owner in node.owners.items() if owner.machine is not None}


def found(cluster: Cluster) -> dict[str, Any]:
    return {name: s.found for _, owner in owners(cluster).values() for name, s in owner.machine.watchdog.findings.items()}


async def until(look: Any, seconds: float) -> float:
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.kafka
@pytest.mark.timeout(280)
async def test_what_another_node_has_lost_is_found_within_a_minute(kafka_bootstrap):
    prefix = f"watch-{uuid.uuid4().hex[:8]}"
    cluster = Cluster(lambda: KafkaLog(kafka_bootstrap, prefix=prefix, session_s=6.0))
    await cluster.start()
    await until(lambda: len(owners(cluster)) == PARTITIONS and len({n for n, _ in owners(cluster).values()}) == 2, 60)
    await cluster.ask(c.Deploy(resources=[c.Resource("p.bpmn", WAITS)]))
    for n in range(INSTANCES):
        await cluster.ask(c.StartInstance(id="p", variables={"k": f"k{n}"}))
    there = owners(cluster)
    await until(lambda: sum(len(o.state.awaited) for _, o in there.values()) == INSTANCES, 30)
    far = [
        (s, p, s.partition)
        for p, (n, owner) in there.items()
        for s in owner.state.subscriptions.values()
        if s.kind == "message" and s.partition != p and there[s.partition][0] != n
    ]
    assert far, "a message is awaited on another node"
    # they have been asked there, and nothing was wrong
    await asyncio.sleep(20)
    assert found(cluster) == {}, "no false alarm"
    lost, home, asked = far[0]
    state = there[asked][1].state
    keys = [k for k, a in state.awaited.items() if a.subscription == lost.key]
    assert keys, "it is awaited there"
    for key in keys:
        gone = state.awaited.pop(key)
        for those in state.by_awaited.values():
            those.pop(key, None) if isinstance(those, dict) else those.remove(key) if key in those else None
    took = await until(lambda: found(cluster), 60)
    assert {(f.kind, f.instance) for f in found(cluster).values()} == {("subscription_unheard", lost.instance)}
    print(f"\nfound {took:.1f} s after it was lost on another node ({gone.name} '{gone.correlation}')")

    [name] = found(cluster)
    answer = await cluster.ask(co.RepairFinding(id=f"{home}-{name}", reason="told by the watchdog"))
    assert not isinstance(answer, Rejected), answer
    await until(lambda: not found(cluster), 30)
    for n in range(INSTANCES):
        await cluster.ask(c.PublishMessage(name="paid", correlation_key=f"k{n}", ttl_ms=60_000))
    await until(lambda: not any(o.state.instances for _, o in there.values()), 30)
    await cluster.stop()
