"""Owners in several processes on a real Kafka: killed, frozen and woken up as zombies, the broker killed and stalled, all under load.

Each acknowledged start is on the log once, each instance completes once, the chain verifies, and folding gives an empty state.
FAULT_SECONDS: how long the load lasts; FAULT_SEED: who is hit and when.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kafka_load import MODEL, Owners, insist, look, start_many, work

from flowledger.events import commands as c
from flowledger.infra.kafka_broker import Broker
from flowledger.infra.log_kafka import KafkaLog
from flowledger.processors.engine import Engine

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(280)]
SECONDS = float(os.environ.get("FAULT_SECONDS", "30"))
SEED = int(os.environ.get("FAULT_SEED", "7"))


@pytest.mark.req("WOS-ENG-004", "APG-HA-008", "WOS-ENG-016")
async def test_killed_frozen_and_restarted_nothing_is_lost_or_doubled(own_broker, tmp_path):
    broker = own_broker
    prefix = f"faults-{uuid.uuid4().hex[:8]}"
    address = broker.address
    owners = Owners(address, prefix, tmp_path)
    client = Engine(KafkaLog(address, prefix=prefix, timeout_s=5.0), partitions=3, owns=False)
    await client.start()
    acknowledged: dict[str, int] = {}
    counts = {"killed": 0, "frozen": 0, "broker killed": 0, "broker stalled": 0}
    stop_at = time.monotonic() + SECONDS
    try:
        for _ in range(3):
            owners.start()
        await insist(client, c.Deploy(resources=[c.Resource("w1.bpmn", MODEL)]), "deploy", 0)
        load = [asyncio.create_task(start_many(client, n, stop_at, acknowledged)) for n in range(6)]
        workers = [asyncio.create_task(work(client, n)) for n in range(2)]
        await asyncio.to_thread(chaos, owners, broker, stop_at, counts)
        await asyncio.gather(*load)
        owners.wake()
        while len(owners.running) < 2:
            owners.start()
        deadline = time.monotonic() + 120
        while (seen := await look(address, prefix)).left and time.monotonic() < deadline:
            await asyncio.sleep(1)
        for task in workers:
            task.cancel()
        begun, ended, left = seen.begun, seen.ended, seen.left
        assert left == 0, f"{left} instances are still open"
        assert len(acknowledged) > 50, "hardly any load: the test shows nothing"
        for id, key in acknowledged.items():
            assert begun.get(id) == [key], f"{id}: acknowledged as {key}, on the log {begun.get(id)}"
        assert sorted(ended) == sorted(k for keys in begun.values() for k in keys), "each instance completes once"
        print(
            f"\n{len(acknowledged)} starts acknowledged, {len(ended)} instances completed; {counts}; {owners.woken} woken as zombies; "
            f"{seen.claims} claims counted; {owners.said('fenced  ')} fenced; {seen.void} void records"
        )
        assert min(counts.values()) > 0 and owners.woken > 0, "each kind of fault is to happen: raise FAULT_SECONDS"
        assert seen.claims > 3 + counts["killed"], "hardly any partition moved: the test shows nothing"
    finally:
        owners.stop()
        await client.stop()


def chaos(owners: Owners, broker: Broker, stop_at: float, counts: dict[str, int]) -> None:
    rng = random.Random(SEED)
    stall_at, kill_at = stop_at - SECONDS * 0.6, stop_at - SECONDS * 0.4
    while time.monotonic() < stop_at:
        time.sleep(rng.uniform(1.0, 2.5))
        victims = [p for p in owners.running if p not in owners.frozen]
        if time.monotonic() > stall_at and not counts["broker stalled"]:
            counts["broker stalled"] += 1
            broker.pause()
            time.sleep(6.0)  # longer than the owners' patience with an append
            broker.resume()
        elif time.monotonic() > kill_at and not counts["broker killed"]:
            counts["broker killed"] += 1
            broker.kill()
            broker.up()
        elif rng.random() < 0.5 and len(victims) > 1:
            counts["killed"] += 1
            owners.kill(rng.choice(victims))
            owners.start()
        elif not owners.frozen and len(victims) > 1:
            counts["frozen"] += 1
            owners.freeze(rng.choice(victims))
        elif owners.frozen and min(owners.frozen.values()) < time.monotonic() - 3.5:  # its session has run out: others claimed
            owners.wake()
