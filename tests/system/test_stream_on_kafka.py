"""Figures by Faust on a real Kafka: one worker is killed, others come, partitions move, and what they told is what was planned."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from flowledger.analytics.figures import COUNTED, NAMES
from flowledger.bench.histories import History
from flowledger.infra.log_kafka import KafkaLog
from flowledger.processors.log import EVENTS, Group, LogRecord

pytest.importorskip("faust", reason="the extra `analytics` isn't installed")
from flowledger.streaming import read_avro

sys.path.insert(0, str(Path(__file__).parent.parent / "analytics"))
from drawn_log import written
from truth import counted

PARTITIONS = 4


def groups(records: list[LogRecord]) -> list[Group]:
    out, part = [], list[LogRecord]()
    for r in records:
        part.append(r)
        if any(name == "last" for name, _ in r.headers):
            shared = r.headers[:3]
            out.append(Group([p.key for p in part], [p.value for p in part], shared, r.headers[3:], timestamp_ms=r.timestamp_us // 1000))
            part = []
    assert not part
    return out


def worker(kafka: str, dsn: str, prefix: str, folder: Path, name: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "FLOWLEDGER_PREFIX": prefix, "FLOWLEDGER_DATA": str(folder / name)}
    with (folder / f"{name}.log").open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "flowledger", "analytics", "stream", "--kafka", kafka, "--postgres", dsn],
            env=env,
            stdout=out,
            stderr=out,
        )


async def told(dsn: str) -> dict[int, int]:
    """Partition -> up to where the database was told."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db:
        try:
            return dict(await (await db.execute("SELECT partition, max(upto) FROM live.partitions GROUP BY 1")).fetchall())
        except psycopg.errors.UndefinedTable:
            return {}


async def rows(dsn: str) -> dict[tuple[Any, ...], dict[str, int]]:
    asked = "SELECT tenant_id, definition_id, element, job_type, (extract(epoch FROM at) * 1000000)::bigint, "
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db:
        found = await (await db.execute(f"{asked} {', '.join(COUNTED)} FROM live.measures_minute")).fetchall()
    return {tuple(r[:5]): kept for r in found if (kept := {n: int(v) for n, v in zip(COUNTED, r[5:], strict=True) if v})}


async def of_topic(kafka: str, prefix: str) -> dict[tuple[Any, ...], dict[str, int]]:
    """As whoever reads the topic sees it: the last record of each key."""
    newest: dict[bytes, dict[str, Any]] = {}
    async with AIOKafkaConsumer(bootstrap_servers=kafka, group_id=None, auto_offset_reset="earliest") as consumer:
        places = [TopicPartition(f"{prefix}.metrics", p) for p in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place, end in ends.items():
            await consumer.seek_to_beginning(place)
            while await consumer.position(place) < end:
                for r in (await consumer.getmany(place, timeout_ms=500)).get(place, ()):
                    newest[r.key] = read_avro(r.value)
    out: dict[tuple[Any, ...], dict[str, int]] = {}
    for row in newest.values():
        at = row["at"]
        key = (
            row["tenant"],
            row["definition"],
            row["element"],
            row["job_type"],
            at if isinstance(at, int) else round(at.timestamp() * 1_000_000),
        )
        sums = out.setdefault(key, {})
        for name in COUNTED:
            sums[name] = sums.get(name, 0) + row[name]
    assert {*NAMES} <= {*next(iter(newest.values()))}
    return {key: kept for key, sums in out.items() if (kept := {n: v for n, v in sums.items() if v})}


@pytest.mark.req("D-ANA-005")
@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_and_rebalanced_it_tells_what_was_planned(kafka_bootstrap, database, tmp_path):
    prefix = f"st-{uuid.uuid4().hex[:8]}"
    history = History(5, 260, 2, partitions=PARTITIONS)
    waiting = {p: groups(records) for p, records in written(history).items()}
    whole = {p: sum(len(g) for g in gs) for p, gs in waiting.items()}
    log = KafkaLog(kafka_bootstrap, prefix=prefix)
    await log.open()
    await log.create_topics(PARTITIONS)
    running: list[subprocess.Popen[bytes]] = []

    async def write(part: float) -> None:
        for p, gs in waiting.items():
            some = gs[: max(1, int(len(gs) * part))]
            for g in some:
                await log.append(EVENTS, p, g)
            del gs[: len(some)]

    def start(name: str) -> subprocess.Popen[bytes]:
        running.append(worker(kafka_bootstrap, database, prefix, tmp_path, name))
        return running[-1]

    async def until(reached) -> None:
        while not reached(await told(database)):
            for w in running:
                assert w.poll() is None, "\n".join(f.read_text(errors="replace")[-3000:] for f in tmp_path.glob("*.log"))
            await asyncio.sleep(0.2)

    try:
        await write(0.3)
        first = start("a")
        await until(lambda at: len(at) == PARTITIONS)
        second = start("b")  # takes some of its partitions over
        await write(0.4)
        at = await told(database)
        await until(lambda now: sum(now.values()) > sum(at.values()))
        first.send_signal(signal.SIGKILL)
        first.wait()
        running.remove(first)
        await write(0.4)
        start("c")
        await write(1.0)
        assert not any(waiting.values())
        await until(lambda now: all(now.get(p, 0) >= whole[p] - 1 for p in whole))
        planned = {k: v for k, v in counted(history.truth, "minute").items() if v}
        await until_equal(lambda: rows(database), planned)
        await until_equal(lambda: of_topic(kafka_bootstrap, prefix), planned)
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait, 60) == 0
    finally:
        for w in running:
            w.kill()
            w.wait()
        await log.close()


async def until_equal(found, planned) -> None:
    """What is told comes a moment after what was counted; what is too much never goes away, so the end of the wait shows the difference."""
    for _ in range(100):
        if await found() == planned:
            return
        await asyncio.sleep(0.2)
    assert await found() == planned
