"""The embedded log on a full disk (SQLite's own answer, by a bound on its pages): a doubt that says so, and it goes on with space."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.infra import sqlite_writing
from flowledger.infra.log_sqlite import SqliteLog
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS, Doubt, Group


@pytest.fixture
def bounds(monkeypatch):
    """`bounds(pages)`: how large the file may become for each connection that writes."""
    made: list[sqlite3.Connection] = []
    real = sqlite_writing.connect

    def connect(path, *args, **more):
        db = real(path, *args, **more)
        if not more.get("readonly"):
            made.append(db)
        return db

    def bound(pages: int) -> None:
        for db in made:
            db.execute(f"PRAGMA max_page_count={pages}")

    monkeypatch.setattr(sqlite_writing, "connect", connect)
    return bound


def big(text: bytes) -> Group:
    return Group([b"k"], [text * 50_000])


async def test_nothing_of_a_group_is_written_and_the_next_ones_are_when_there_is_space(bounds, tmp_path):
    log = SqliteLog(tmp_path / "log.db")
    await log.open()
    await log.create_topics(1)
    await log.append(EVENTS, 0, big(b"a"), expected_end=0)
    bounds(1)  # SQLite takes the present size for the least
    with pytest.raises(Doubt, match="full"):
        await log.append(EVENTS, 0, big(b"b"), expected_end=1)
    with pytest.raises(Doubt):
        await log.append(EVENTS, 0, big(b"c"), expected_end=1)
    assert await log.end(EVENTS, 0) == 1
    bounds(1 << 30)
    await log.reopen(EVENTS, 0)
    appended = await log.append(EVENTS, 0, big(b"d"), expected_end=1)
    assert (appended.first, await log.end(EVENTS, 0)) == (1, 2)
    await log.close()


async def test_callers_hear_of_it_and_health_says_it(bounds, tmp_path):
    engine = Engine(SqliteLog(tmp_path / "log.db"), partitions=1)
    await engine.start()
    bounds(1)
    record = c.Deploy(resources=[c.Resource("x.bpmn", "<definitions/>")])
    answer = await engine.call(record)  # refused for what it is, before anything is written
    assert isinstance(answer, Rejected) and answer.code != RejectionCode.UNAVAILABLE
    task = c.CreateTask(job_type="w", variables={"text": "x" * 100_000})
    answer = await engine.call(task, id="t", timeout_s=5)
    assert isinstance(answer, Rejected) and answer.code == RejectionCode.UNAVAILABLE and "full" in answer.message, answer
    health = engine.health()
    assert not health["ready"] and "full" in health["reasons"][0], health
    bounds(1 << 30)
    for _ in range(200):
        answer = await engine.call(task, id="t", timeout_s=5)
        if not isinstance(answer, Rejected):
            break
        await asyncio.sleep(0.05)
    assert not isinstance(answer, Rejected), answer
    assert len(engine.owners[0].state.tasks) == 1 and engine.health()["ready"]
    await engine.stop()
