"""One cluster per test, as a factory of clients: each client is what another process would be."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from flowledger.infra.log_kafka import KafkaLog
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.log_sqlite import SqliteLog
from flowledger.processors.log import Log

PARTITIONS = 4
#: Largest record of the logs under test, in bytes; batches are smaller still.
RECORD_BYTES_MAX = 200_000
Connect = Callable[[], Awaitable[Log]]


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connect]:
    logs: list[Log] = []
    store, prefix = MemoryStore(PARTITIONS), f"t{uuid.uuid4().hex[:8]}"
    address = request.getfixturevalue("kafka_bootstrap") if request.param == "kafka" else ""

    async def one() -> Log:
        if request.param == "memory":
            log: Log = MemoryLog(store, record_bytes_max=RECORD_BYTES_MAX)
        elif request.param == "sqlite":
            log = SqliteLog(tmp_path / "log.db", record_bytes_max=RECORD_BYTES_MAX, lease_s=2.0)
        else:
            log = KafkaLog(address, prefix=prefix, record_bytes_max=RECORD_BYTES_MAX, batch_bytes_max=50_000, session_s=3.0)
        logs.append(log)
        await log.open()
        if len(logs) == 1:
            await log.create_topics(PARTITIONS)
        return log

    yield one
    for log in reversed(logs):
        await log.close()


@pytest.fixture
async def log(connect: Connect) -> Log:
    return await connect()
