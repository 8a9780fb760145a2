"""What a setting changes on this machine: the same load under the settings as they are, and with one of them changed, in turns.

Nothing of the installation is touched: the log is a file in a folder of its own, or, with KAFKA_BOOTSTRAP, topics of their own in that cluster,
which are deleted
afterwards. The load is W1 (start, service task, end), started and worked on in this process, in turns so that a slow minute of the machine meets
both. `before` and `after`
are medians of the rounds; a change is proposed where in each round it was
quicker and took less of the processor (which tells on a machine that others use, too), and by 5 % at least.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowledger import logs
from flowledger.bench.heart import W1, accepted, throughput
from flowledger.events import commands as c
from flowledger.infra.settings import load
from flowledger.processors.engine import Engine
from flowledger.processors.log import Log
from flowledger.processors.owner import Settings

ROUNDS, INSTANCES = 3, 3_000
BETTER = 0.05
#: setting -> what is tried beside what it is
TRIED: dict[str, tuple[int, ...]] = {"batch_max": (1, 32, 128, 512, 2_048), "partitions": (1, 2, 4, 8)}


async def _once(log: Log, partitions: int, batch_max: int, instances: int) -> tuple[float, float]:
    """(instances a second, microseconds of the processor for an instance)."""
    engine = Engine(log, partitions=partitions, settings=Settings(batch_max=batch_max))
    await engine.start()
    try:
        answer = await engine.call(c.Deploy(resources=[c.Resource("w1.bpmn", W1)]))
        assert isinstance(answer, dict), answer
        await _known(engine, 4 * partitions)
        await throughput(engine, 100)
        cpu = time.process_time()
        rate = await throughput(engine, instances)
        return rate, (time.process_time() - cpu) / instances * 1e6
    finally:
        await engine.stop()


async def _known(engine: Engine, starts: int) -> None:
    """Each partition has heard of the model, and has nothing to do."""
    done = 0
    while done < starts:
        answer = await engine.call(c.StartInstance(id="w1"))
        if not isinstance(answer, dict):
            await asyncio.sleep(0.02)
            continue
        done += 1
        [job] = await engine.activate("w1", "warm", 1, 60_000, wait_ms=5_000)
        await accepted(engine, [c.CompleteTask(task=job["key"], fence=job["fence"])])


def plans(now: dict[str, int]) -> list[tuple[str, int]]:
    """(setting, what it is tried as); what it is by now isn't tried."""
    return [(name, value) for name, values in TRIED.items() for value in values if value != now[name]]


def judged(name: str, was: int, tried: int, rounds: list[tuple[tuple[float, float], tuple[float, float]]]) -> dict[str, Any]:
    """A row, from (before, after) of each round."""
    before, after = (statistics.median(r[side][0] for r in rounds) for side in (0, 1))
    shares = [b[0] / a[0] - 1 for a, b in rounds]
    return {
        "name": f"tuning.{name}", "was": was, "tried": tried, "before": round(before, 1), "after": round(after, 1), "unit": "instances/s",
        "change": round(after / before - 1, 4), "from": round(min(shares), 4), "to": round(max(shares), 4),
        "cpu_us_before": round(statistics.median(a[1] for a, _ in rounds), 1), "cpu_us_after": round(statistics.median(b[1] for _, b in rounds), 1),
        "proposed": min(shares) > 0 and after / before - 1 >= BETTER and all(b[1] < a[1] for a, b in rounds),
    }  # fmt: skip


async def _run(rounds: int, instances: int, make: Callable[[], Log], now: dict[str, int]) -> list[dict[str, Any]]:
    rows = []
    for name, value in plans(now):
        pairs = []
        for n in range(rounds):
            sides = [now, {**now, name: value}]
            found = {}
            for side in (0, 1) if n % 2 == 0 else (1, 0):
                found[side] = await _once(make(), sides[side]["partitions"], sides[side]["batch_max"], instances)
            pairs.append((found[0], found[1]))
        rows.append(judged(name, now[name], value, pairs))
    best = max((r for r in rows if r["proposed"]), key=lambda r: r["change"], default=None)
    whole = {"name": "tuning.proposal", "setting": None, "value": None, "change": 0.0}
    return [
        *rows,
        whole
        if best is None
        else {**whole, "setting": best["name"].removeprefix("tuning."), "value": best["tried"], "change": best["change"]},
    ]


def run(rounds: int = ROUNDS, instances: int = INSTANCES) -> list[dict[str, Any]]:
    logs.configure("warning", "console")
    settings = load()
    now = {"batch_max": settings.batch_max, "partitions": settings.partitions}
    with tempfile.TemporaryDirectory(prefix="flowledger-tuning-") as folder:
        if not (address := os.environ.get("KAFKA_BOOTSTRAP", "")):
            from flowledger.infra.log_sqlite import SqliteLog

            return asyncio.run(_run(rounds, instances, lambda: SqliteLog(Path(folder) / f"{uuid.uuid4().hex}.sqlite3"), now))
        from flowledger.infra.log_kafka import KafkaLog

        prefix = f"flowledger-tuning-{uuid.uuid4().hex[:8]}"
        try:
            return asyncio.run(_run(rounds, instances, lambda: KafkaLog(address, prefix=f"{prefix}-{uuid.uuid4().hex[:8]}"), now))
        finally:
            asyncio.run(_deleted(address, prefix))


async def _deleted(address: str, prefix: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        if mine := [t for t in await admin.list_topics() if t.startswith(prefix)]:
            await admin.delete_topics(mine)
    finally:
        await admin.close()
