"""While nothing happens a follower looks seldom; who knows that another process has written says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from flowledger.infra import log_sqlite
from flowledger.infra.log_sqlite import SqliteLog
from flowledger.processors.log import EVENTS, Group


@asynccontextmanager
async def following(folder: Path, monkeypatch: Any, idle_s: float) -> AsyncIterator[tuple[SqliteLog, SqliteLog, asyncio.Future[Any]]]:
    """A writer, a reader that rests for so long, and what comes to it next."""
    monkeypatch.setattr(log_sqlite, "POLL_IDLE_S", idle_s)
    writer, reader = SqliteLog(folder / "log.sqlite3"), SqliteLog(folder / "log.sqlite3", poll_s=0.001)
    reader.nudge()  # by an owner that was quicker than this process
    for log in (writer, reader):
        await log.open()
        await log.create_topics(1)
    follower = reader.read(EVENTS, 0, 0, follow=True)
    coming = asyncio.ensure_future(anext(follower))
    async with asyncio.timeout(20):
        while not reader._rests_long:
            await asyncio.sleep(0.001)
        yield writer, reader, coming
    await follower.aclose()
    for log in (reader, writer):
        await log.close()


async def test_a_follower_at_rest_is_woken_by_a_nudge(tmp_path, monkeypatch):
    async with following(tmp_path, monkeypatch, idle_s=3600) as (writer, reader, coming):
        for _ in range(40):  # 1.5 times as long each: the 38th is an hour
            reader.nudge()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await writer.append(EVENTS, 0, Group([b"k"], [b"new"]))
        assert not coming.done(), "it rests for an hour"
        reader.nudge()
        assert [r.value for r in await coming] == [b"new"]
        assert not reader._rests_long, "what is busy is looked at often"


async def test_without_a_nudge_it_is_found_at_the_next_look(tmp_path, monkeypatch):
    async with following(tmp_path, monkeypatch, idle_s=0.05) as (writer, _, coming):
        await writer.append(EVENTS, 0, Group([b"k"], [b"new"]))
        assert [r.value for r in await coming] == [b"new"]
