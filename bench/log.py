"""How fast a bare append loop is on each log, and how late an acknowledgement is: one JSON line for each figure, median of three runs.

`python bench/log.py`. Kafka at KAFKA_BOOTSTRAP, else our own one-node broker for the time of the run. Groups of 500 and of 10 records of
120 bytes with three headers, 8 groups in flight, one partition, checked (`expected_end`), in one Python process.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Any

from flowledger.infra.kafka_broker import Broker, BrokerUnavailable
from flowledger.infra.log_kafka import KafkaLog
from flowledger.infra.log_memory import MemoryLog
from flowledger.infra.log_sqlite import SqliteLog
from flowledger.processors.log import EVENTS, Group, Log

RUNS = 3
IN_FLIGHT = 8
HEADERS = (("epoch", b"12"), ("owner", b"0123456789abcdef"), ("source", b"123456"))
LAST = (("last", b"1"), ("chain", b"\x01" * 32))
#: About what an event looks like, so that compression has something to work on.
VALUE = b'{"type":"job.created","token":%012d,"job_type":"ship-order","deadline_us":%016d,"retries":3,"element":"ship"}'


async def appended(log: Log, groups: int, size: int) -> float:
    """Records a second."""
    values = [VALUE % (i, i * 7919) for i in range(size)]
    keys: list[bytes | None] = [b"%08d" % i for i in range(size)]
    end = await log.end(EVENTS, 0)
    flying: deque[asyncio.Future[Any]] = deque()
    start = time.perf_counter()
    for _ in range(groups):
        flying.append(log.submit(EVENTS, 0, Group(keys, values, HEADERS, LAST), expected_end=end))
        end += size
        if len(flying) >= IN_FLIGHT:
            await flying.popleft()
    for future in flying:
        await future
    return groups * size / (time.perf_counter() - start)


async def acknowledged_us(log: Log, times: int) -> list[float]:
    """One group of ten at a time: microseconds from the submission to the acknowledgement."""
    end = await log.end(EVENTS, 0)
    waits = []
    for _ in range(times):
        start = time.perf_counter()
        end = (await log.append(EVENTS, 0, Group([b"k"] * 10, [VALUE % (1, 2)] * 10, HEADERS, LAST), expected_end=end)).end
        waits.append((time.perf_counter() - start) * 1e6)
    return sorted(waits)


async def read(log: Log) -> float:
    """Records a second, from the beginning."""
    start, count = time.perf_counter(), 0
    async for batch in log.read(EVENTS, 0, 0):
        count += len(batch)
    return count / (time.perf_counter() - start)


async def measure(name: str, log: Log, groups: int) -> list[dict[str, Any]]:
    await log.open()
    try:
        await log.create_topics(1)
        await appended(log, 10, 500)  # connections, leaders, caches
        large = [await appended(log, groups, 500) for _ in range(RUNS)]
        small = [await appended(log, groups, 10) for _ in range(RUNS)]
        waits = [await acknowledged_us(log, 200) for _ in range(RUNS)]
        reads = [await read(log) for _ in range(RUNS)]
    finally:
        await log.close()
    figures = {
        "append.500": (large, "records/s"),
        "append.10": (small, "records/s"),
        "ack.p50": ([w[len(w) // 2] for w in waits], "us"),
        "ack.p99": ([w[len(w) * 99 // 100] for w in waits], "us"),
        "read": (reads, "records/s"),
    }
    return [{"name": f"log.{name}.{what}", "value": round(statistics.median(v)), "unit": unit} for what, (v, unit) in figures.items()]


def run() -> list[dict[str, Any]]:
    """The figures; each is also printed as a line."""
    out: list[dict[str, Any]] = []

    def add(figures: list[dict[str, Any]]) -> None:
        for figure in figures:
            print(json.dumps(figure), flush=True)
            out.append(figure)

    add(asyncio.run(measure("memory", MemoryLog(), 100)))
    with tempfile.TemporaryDirectory(prefix="flowledger-bench-") as folder:
        for synchronous in ("FULL", "NORMAL"):
            log: Log = SqliteLog(Path(folder) / f"{synchronous}.db", synchronous=synchronous)
            add(asyncio.run(measure(f"sqlite.{synchronous.lower()}", log, 200)))
        broker = Broker(Path(folder) / "kafka")
        try:
            address = os.environ.get("KAFKA_BOOTSTRAP") or broker.up(progress=lambda line: None)
            for compression in (None, "zstd", "snappy"):
                log = KafkaLog(address, prefix=f"bench-{uuid.uuid4().hex[:8]}", compression=compression)
                add(asyncio.run(measure(f"kafka.{compression or 'plain'}", log, 200)))
        except BrokerUnavailable as error:
            print(json.dumps({"name": "log.kafka", "skipped": str(error)}))
        finally:
            broker.kill()
    return out


if __name__ == "__main__":
    run()
