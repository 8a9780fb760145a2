"""Owners in several processes on a real Kafka, a projector on a real PostgreSQL, and all that may befall them, under load (`kafka_chaos.py`).

Each acknowledged start is on the log once, each instance completes once, the chain verifies, folding gives an empty state, and the rows say
the same. FAULTS: how many there are (the long profile: FAULTS=1000 FAULT_PATIENCE_S=7200); FAULT_SEED: who is hit and when.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
import uuid
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kafka_chaos import Chaos
from kafka_load import MODEL, Owners, insist, look, start_many, work

from flowledger.events import commands as c
from flowledger.infra.log_kafka import KafkaLog
from flowledger.processors.engine import Engine
from flowledger.processors.log import COMMANDS, EVENTS, REPLIES, LogError
from flowledger.processors.recovery import load
from flowledger.projections.runner import Runner
from flowledger.stores import source_of

FAULTS = int(os.environ.get("FAULTS", "20"))
#: so long it may take until they have all happened (seconds)
PATIENCE_S = float(os.environ.get("FAULT_PATIENCE_S", "300"))
pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(int(PATIENCE_S) + 300)]
SEED = int(os.environ.get("FAULT_SEED", "7"))


@pytest.mark.req("WOS-ENG-004", "APG-HA-008", "WOS-ENG-016")
async def test_whatever_befalls_them_nothing_is_lost_or_doubled(own_broker, database, tmp_path):
    broker, loop = own_broker, asyncio.get_running_loop()
    prefix = f"faults-{uuid.uuid4().hex[:8]}"
    address = broker.address
    owners = Owners(address, prefix, tmp_path)
    client = Engine(KafkaLog(address, prefix=prefix, timeout_s=5.0), partitions=3, owns=False)
    await client.start()
    enough, ended_projecting = asyncio.Event(), asyncio.Event()
    rows = asyncio.create_task(project(client.log, database, ended_projecting))

    def trim() -> None:
        asyncio.run_coroutine_threadsafe(trimmed(client.log), loop).result(60)

    def cut() -> None:
        with psycopg.connect(database, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    chaos = Chaos(owners, broker, SEED, trim, cut)
    acknowledged: dict[str, int] = {}
    try:
        for _ in range(3):
            owners.start()
        await insist(client, c.Deploy(resources=[c.Resource("w1.bpmn", MODEL)]), "deploy", 0)
        starting = [asyncio.create_task(start_many(client, n, enough, acknowledged)) for n in range(6)]
        workers = [asyncio.create_task(work(client, n)) for n in range(2)]
        await asyncio.to_thread(chaos.run, FAULTS, PATIENCE_S)
        enough.set()
        owners.wake()
        while len(owners.running) < 2:
            owners.start()
        await asyncio.gather(*starting)
        deadline = time.monotonic() + 120
        while (seen := await look(address, prefix)).left and time.monotonic() < deadline:
            await asyncio.sleep(1)
        for task in workers:
            task.cancel()
        begun, ended, left = seen.begun, seen.ended, seen.left
        print(
            f"\n{chaos.total} faults: {chaos.counts}, {owners.woken} woken as zombies; {len(acknowledged)} starts acknowledged, "
            f"{len(ended)} instances completed; {seen.claims} claims counted, {owners.said('fenced  ')} fenced, {seen.void} void records"
        )
        assert left == 0, f"{left} instances are still open: {seen.open[:5]}"
        assert len(acknowledged) > 50, "hardly any load: the test shows nothing"
        for id, key in acknowledged.items():
            assert begun.get(id) == [key], f"{id}: acknowledged as {key}, on the log {begun.get(id)}"
        assert sorted(ended) == sorted(k for keys in begun.values() for k in keys), "each instance completes once"
        assert await projected(database, len(ended)) == {(key, "completed") for key in ended}, "the rows say the same"
        assert chaos.total >= FAULTS, f"only {chaos.total} faults in {PATIENCE_S:.0f} s: raise FAULT_PATIENCE_S"
        assert min(chaos.counts.values()) > 0 and owners.woken > 0, "each kind of fault is to happen: raise FAULTS"
        # who is killed before a rebalance gave it anything moves nothing: on a slow machine that may be every other one
        assert seen.claims > 3 + chaos.counts["owner killed"] // 2, "hardly any partition moved: the test shows nothing"
    finally:
        owners.stop()
        ended_projecting.set()
        await asyncio.wait([rows], timeout=10)
        await client.stop()


async def project(log: KafkaLog, dsn: str, stop: asyncio.Event) -> None:
    await Runner(source_of(log), dsn, range(3), end=lambda partition: log.end(EVENTS, partition)).run(stop)


async def projected(dsn: str, count: int) -> set[tuple[int, str]]:
    """Key and status of each row, once there are so many that are done."""
    for _ in range(300):
        async with await psycopg.AsyncConnection.connect(dsn) as conn:
            found = await (await conn.execute("SELECT id, status FROM flowledger.workflow_instances")).fetchall()
        if sum(status == "completed" for _, status in found) >= count:
            break
        await asyncio.sleep(0.2)
    assert len(found) == len(set(found))
    return set(found)


async def trimmed(log: KafkaLog) -> None:
    """What is consumed and in a checkpoint goes from `commands`, as retention may do; and all answers that may not have been read yet."""
    for p in range(3):
        with contextlib.suppress(LogError):  # the broker is away
            _, reader, _ = await load(log, p)
            await log.trim(COMMANDS, p, reader.source + 1)
            await log.trim(REPLIES, p, await log.end(REPLIES, p))
