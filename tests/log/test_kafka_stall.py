"""A consumer that goes on without asking its broker: whoever reads hears of it, instead of being silent for ever."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaConsumer

from flowledger.infra import log_kafka
from flowledger.infra.log_kafka import KafkaLog
from flowledger.processors.log import EVENTS, Group, LogError


@pytest.fixture
async def log(kafka_bootstrap, monkeypatch):
    monkeypatch.setattr(log_kafka, "STALL_S", 1.0)
    log = KafkaLog(kafka_bootstrap, prefix=f"stall-{uuid.uuid4().hex[:8]}")
    await log.open()
    await log.create_topics(1)
    await log.append(EVENTS, 0, Group([b"k"], [b"1"]))
    yield log
    await log.close()


async def test_one_that_gets_nothing_though_there_is_something_is_told(log, monkeypatch):
    async def nothing(self, *partitions, timeout_ms=0, max_records=None):
        await asyncio.sleep(timeout_ms / 1000)
        return {}

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", nothing)
    async with asyncio.timeout(30):
        with pytest.raises(LogError, match=r"nothing came for 1.0 s from 0 on, though it ends at 1"):
            async for _ in log.read(EVENTS, 0, 0, follow=True):
                pass


async def test_one_at_the_end_waits_for_as_long_as_nothing_comes(log):
    found: list[bytes] = []

    async def follow():
        async for records in log.read(EVENTS, 0, 0, follow=True):
            found.extend(r.value for r in records)

    reader = asyncio.create_task(follow())
    await asyncio.sleep(3.5)  # several looks
    assert found == [b"1"] and not reader.done()
    await log.append(EVENTS, 0, Group([b"k"], [b"2"]))
    async with asyncio.timeout(30):
        while found != [b"1", b"2"]:
            await asyncio.sleep(0.05)
    reader.cancel()
