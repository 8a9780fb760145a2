"""A definition with 100,000 parked instances is held and released, on Kafka: one record each, whatever it is over. Then a batch suspends some of them one by one.

`held_s`: until every partition hands out nothing of it. `released_per_s`: how fast instances go on when the release asks for 1,000 a second. `batch_per_s`: items
of a batch without a rate. Meanwhile another definition's instances go on: the slowest one in twenty of their starts, before and while it is held, released
and suspended by the batch.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from flowledger.bench.heart import W1, accepted
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.infra.kafka_broker import Broker, BrokerUnavailable
from flowledger.infra.log_kafka import KafkaLog
from flowledger.kernel import limits
from flowledger.processors.engine import Engine

INSTANCES, RATE, PARTITIONS, ITEMS = 100_000, 1_000, 2, 20_000
#: when nothing happens for so long, something is wrong (seconds)
PATIENCE_S = 600.0
OTHER = W1.replace("w1", "other")


async def others(engine: Engine, until: asyncio.Event) -> list[float]:
    """How long starts of another definition take, 50 a second; milliseconds."""
    took = []
    while not until.is_set():
        began = time.perf_counter()
        answer = await engine.call(c.StartInstance(id="other"))
        assert isinstance(answer, dict), answer
        took.append((time.perf_counter() - began) * 1e3)
        await asyncio.sleep(0.02)
    return took


def p95(took: list[float]) -> float:
    return statistics.quantiles(took, n=20)[-1]


async def beside(engine: Engine, work: Any) -> tuple[Any, float]:
    over = asyncio.Event()
    measured = asyncio.create_task(others(engine, over))
    found = await work
    over.set()
    return found, p95(await measured)


async def until(look: Any) -> float:
    """Seconds until it is so."""
    began = time.perf_counter()
    while not look():
        if time.perf_counter() - began > PATIENCE_S:
            raise TimeoutError("it did not come about")
        await asyncio.sleep(0.005)
    return time.perf_counter() - began


async def placed(engine: Engine) -> tuple[int, float]:
    began = time.perf_counter()
    answer = await engine.call(co.PlaceHold(scope="definition", subject="w1", reason="bench"))
    assert isinstance(answer, dict), answer
    key = int(answer["key"])
    await until(lambda: all(key in o.state.holds for o in engine.owners.values()))
    assert not await engine.activate("w1", "bench", 100, 60_000, 0), "nothing of it is handed out"
    return key, time.perf_counter() - began


async def released(engine: Engine, key: int) -> float:
    answer = await engine.call(co.ReleaseHold(key=key, rate=RATE))
    assert isinstance(answer, dict), answer
    return await until(lambda: not any(key in o.state.holds for o in engine.owners.values()))


async def batched(engine: Engine) -> float:
    """Seconds until a batch has suspended `ITEMS` of them."""
    found = [i.key for o in engine.owners.values() for i in o.state.instances.values() if i.process == "w1"]
    keys = sorted(found, key=lambda k: (k & ((1 << c.PARTITION_BITS) - 1), k >> c.PARTITION_BITS))[:ITEMS]
    made = await engine.call(co.CreateBatch(action="suspend", total=len(keys), reason="bench"))
    assert isinstance(made, dict), made
    for at in range(0, len(keys), limits.LIST_MAX):
        command = co.AddBatchItems(batch=made["key"], at=at, items=keys[at : at + limits.LIST_MAX])
        assert isinstance(await engine.call(command), dict)
    home = engine.owners[c.partition_of_key(made["key"])]
    return await until(lambda: made["key"] not in home.state.batches)


async def measure(bootstrap: str) -> list[dict[str, Any]]:
    log = KafkaLog(bootstrap, prefix=f"bench-{uuid.uuid4().hex[:8]}")
    engine = Engine(log, partitions=PARTITIONS)
    await engine.start()
    resources = [c.Resource("w1.bpmn", W1), c.Resource("other.bpmn", OTHER)]
    assert isinstance(await engine.call(c.Deploy(resources=resources)), dict)
    for _ in range(0, INSTANCES, 1_000):
        await accepted(engine, [c.StartInstance(id="w1") for _ in range(1_000)])
    _, before = await beside(engine, asyncio.sleep(10))
    (key, held_s), _ = await beside(engine, placed(engine))
    _, while_held = await beside(engine, asyncio.sleep(10))
    seconds, while_released = await beside(engine, released(engine, key))
    batch_s, while_batched = await beside(engine, batched(engine))
    left = sum(o.state.open for o in engine.owners.values())
    await engine.stop()
    return [
        {"name": "holds.held_s", "value": round(held_s, 3), "unit": "s", "instances": INSTANCES, "partitions": PARTITIONS},
        {"name": "holds.released_per_s", "value": round(INSTANCES / seconds), "unit": "1/s", "asked": RATE, "open": left},
        {"name": "holds.batch_per_s", "value": round(min(ITEMS, INSTANCES) / batch_s), "unit": "1/s", "items": min(ITEMS, INSTANCES)},
        {
            "name": "holds.other_start_p95_ms",
            "value": round(before, 2),
            "unit": "ms",
            "held": round(while_held, 2),
            "released": round(while_released, 2),
            "batch": round(while_batched, 2),
        },
    ]


def run() -> list[dict[str, Any]]:
    if given := os.environ.get("KAFKA_BOOTSTRAP"):
        return asyncio.run(measure(given))
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "kafka")
        try:
            return asyncio.run(measure(broker.up()))
        except BrokerUnavailable as e:
            return [{"name": "holds.held_s", "value": 0, "unit": "s", "skipped": str(e)}]
        finally:
            broker.down()
