"""Owner processes join and leave under load on a real Kafka: nothing is lost, and only what must move does."""

from __future__ import annotations

import asyncio
import re
import sys
import time
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kafka_load import MODEL, Owners, insist, look, start_many, work

from flowledger.events import commands as c
from flowledger.infra.log_kafka import KafkaLog
from flowledger.processors.engine import Engine

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(120)]


async def test_a_second_owner_joins_and_leaves_under_load(kafka_bootstrap, tmp_path):
    prefix = f"moves-{uuid.uuid4().hex[:8]}"
    owners = Owners(kafka_bootstrap, prefix, tmp_path)
    client = Engine(KafkaLog(kafka_bootstrap, prefix=prefix), partitions=3, owns=False)
    await client.start()
    acknowledged: dict[str, int] = {}

    def taken(owner: int) -> list[int]:
        log = tmp_path / f"owner{owner}.log"
        return [int(p) for p in re.findall(r"took over.*?partition=(\d)", log.read_text())] if log.exists() else []

    async def until(condition) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.05)

    try:
        owners.start()
        await insist(client, c.Deploy(resources=[c.Resource("w1.bpmn", MODEL)]), "deploy", 0)
        load = [asyncio.create_task(start_many(client, n, asyncio.Event(), acknowledged)) for n in range(6)]
        workers = [asyncio.create_task(work(client, n)) for n in range(2)]
        await until(lambda: len(acknowledged) > 30)
        assert sorted(taken(1)) == [0, 1, 2]
        owners.start()
        await until(lambda: len(taken(2)) == 1)
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before + 60)
        moved = taken(2)
        assert (len(moved), len(taken(1))) == (1, 3), "three among two: one moves, nobody else takes over anew"
        await asyncio.to_thread(owners.leave, owners.running[1])
        await until(lambda: len(taken(1)) == 4)
        assert taken(1)[3:] == moved, "what the second one had comes back"
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before + 60)
        for task in load:
            task.cancel()
        begun_at = time.monotonic()
        while (seen := await look(kafka_bootstrap, prefix)).left and time.monotonic() < begun_at + 40:
            await asyncio.sleep(0.3)
        for task in workers:
            assert not task.done(), task
            task.cancel()
        assert seen.left == 0, seen.open
        assert seen.claims == 5, "3 at first, one for each move"
        for id, key in acknowledged.items():
            assert seen.begun.get(id) == [key], f"{id}: acknowledged as {key}, on the log {seen.begun.get(id)}"
        assert sorted(seen.ended) == sorted(k for keys in seen.begun.values() for k in keys), "each instance completes once"
        print(f"\n{len(acknowledged)} starts acknowledged; partition {moved} moved and came back; {seen.void} void records")
    finally:
        owners.stop()
        await client.stop()
