"""What a permit costs: CPU and events per task under each kind of limit, one process, four partitions, log in memory.

python -m flowledger.bench.limits [TASKS]
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS

PARTITIONS, BATCH = 4, 64
#: of people, tasks that wait are looked at whenever somebody is freed: few, so that the permits are what is measured
PEOPLE_TASKS = 200
ROWS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("none", "", "", {}),
    ("concurrency 100", "limit", "job:work", {"concurrency": 100}),
    ("concurrency 8", "limit", "job:work", {"concurrency": 8}),
    ("rate", "limit", "job:work", {"rate": {"max": 1_000_000, "per_ms": 1000}}),
    ("breaker", "limit", "job:work", {"circuit_breaker": {"failures": 1_000}}),
    ("person without a maximum", "directory", "user:ann", {"groups": ["clerks"]}),
    ("person, at most 100", "directory", "user:ann", {"groups": ["clerks"], "max_concurrent": 100}),
    ("person, at most 8", "directory", "user:ann", {"groups": ["clerks"], "max_concurrent": 8}),
]


def _good(answer: Any) -> dict[str, Any]:
    if isinstance(answer, Rejected):
        raise RuntimeError(f"expected an answer, found {answer}")
    return dict(answer)


async def _end(engine: Engine) -> int:
    return sum([await engine.log.end(EVENTS, p) for p in range(PARTITIONS)])


async def _jobs(engine: Engine, tasks: int) -> None:
    done = 0
    while done < tasks:
        found = await engine.activate("work", "w", BATCH, 60_000, wait_ms=1_000)
        for job in found:
            _good(await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"])))
        done += len(found)


async def _hers(engine: Engine, tasks: int) -> None:
    done = 0
    while done < tasks:
        keys = [k for o in engine.owners.values() for k in o.state.by_assignee.get("ann", ())]
        for key in keys:
            _good(await engine.call(c.CompleteTask(task=key)))
        done += len(keys)
        await asyncio.sleep(0)


async def measure(registry: str, name: str, value: dict[str, Any], tasks: int) -> tuple[float, float]:
    """(microseconds of CPU, events) per task; creating them is not counted, but for people, who are chosen then."""
    engine = Engine(MemoryLog(MemoryStore(PARTITIONS)), partitions=PARTITIONS)
    await engine.start()
    try:
        if name:
            _good(await engine.call(c.StoreRecord(registry=registry, name=name, value=value)))
            while not all(o.state.records.get((registry, name)) for o in engine.owners.values()):
                await asyncio.sleep(0.01)
        people = registry == "directory"
        details = {"settings": {"assignment": {"groups": ["clerks"]}}}
        create = c.CreateTask(name="x", details=details) if people else c.CreateTask(job_type="work")
        events, cpu = await _end(engine), time.process_time()
        for n in range(tasks):
            _good(await engine.call(create, partition=n % PARTITIONS))
        if not people:
            events, cpu = await _end(engine), time.process_time()
        await (_hers if people else _jobs)(engine, tasks)
        used = time.process_time() - cpu
        return used / tasks * 1e6, (await _end(engine) - events) / tasks
    finally:
        await engine.stop()


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    print(f"{'limit':26} {'CPU us per task':>16} {'events per task':>16}")
    for label, registry, name, value in ROWS:
        cpu, events = asyncio.run(measure(registry, name, value, min(tasks, PEOPLE_TASKS) if registry == "directory" else tasks))
        print(f"{label:26} {cpu:16.0f} {events:16.1f}", flush=True)


if __name__ == "__main__":
    main()
