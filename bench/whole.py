"""W1 with everything on two cores: owner and workers in this process, the projector in its own, Kafka and PostgreSQL beside them.

Instances are started as fast as they go for some seconds; the figure counts until the projections hold the last of them, so that keeping up
is part of it. One JSON line per figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from flowledger import logs
from flowledger.bench.heart import deployed, throughput
from flowledger.infra import postgres_server
from flowledger.infra.kafka_broker import Broker
from flowledger.infra.log_kafka import KafkaLog

INSTANCES = 40_000


async def measure(address: str, dsn: str) -> dict[str, Any]:
    import psycopg

    prefix = f"whole-{uuid.uuid4().hex[:8]}"
    engine = await deployed(KafkaLog(address, prefix=prefix))
    env = {
        **os.environ,
        "FLOWLEDGER_ROLES": "projector",
        "FLOWLEDGER_KAFKA": address,
        "FLOWLEDGER_PREFIX": prefix,
        "FLOWLEDGER_POSTGRES": dsn,
    }
    projector = subprocess.Popen(
        [sys.executable, "-m", "flowledger", "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as db:
            await _until(db, 1, 60)
            start = time.perf_counter()
            rate = await throughput(engine, INSTANCES)
            executed = time.perf_counter() - start
            await _until(db, engine.owners[0].acked, 120)
            projected = time.perf_counter() - start
            row = await (await db.execute("select count(*) from flowledger.workflow_instances where status = 'completed'")).fetchone()
            assert row == (INSTANCES,), f"{row} of {INSTANCES} instances are projected as completed"
    finally:
        projector.terminate()
        projector.wait()
        await engine.stop()
    return {"rate": rate, "executed": executed, "projected": projected}


async def _until(db: Any, offset: int, seconds: float) -> None:
    import psycopg

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(psycopg.Error):  # no table yet
            row = await (await db.execute("select min(next_offset) from flowledger.positions")).fetchone()
            if row and row[0] is not None and row[0] >= offset:
                return
        await asyncio.sleep(0.02)
    raise TimeoutError(f"the projections did not reach {offset}")


def run() -> list[dict[str, Any]]:
    logs.configure("error")
    with tempfile.TemporaryDirectory() as folder:
        dsn = os.environ.get("POSTGRES_URL") or postgres_server.start(Path(folder) / "postgres")
        broker = None if os.environ.get("KAFKA_BOOTSTRAP") else Broker(Path(folder) / "kafka")
        try:
            found = asyncio.run(measure(os.environ.get("KAFKA_BOOTSTRAP") or broker.up(), dsn))  # type: ignore[union-attr]
        finally:
            if broker is not None:
                broker.down()
            if not os.environ.get("POSTGRES_URL"):
                postgres_server.stop(Path(folder) / "postgres")
    return [
        {"name": "whole.w1.executed", "value": round(found["rate"]), "unit": "instances/s", "instances": INSTANCES},
        {
            "name": "whole.w1.projected",
            "value": round(INSTANCES / found["projected"]),
            "unit": "instances/s",
            "behind_s": round(found["projected"] - found["executed"], 2),
        },
    ]


if __name__ == "__main__":
    for each in run():
        print(json.dumps(each), flush=True)
