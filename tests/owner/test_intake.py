"""Which commands of the topic an owner takes: all behind its source, each once, and what is gone is said."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.engine import Engine
from flowledger.processors.flight import Pending
from flowledger.processors.intake import Intake, encode_request
from flowledger.processors.log import COMMANDS, Group


def request(n: int) -> bytes:
    """Without an id: nothing else knows it again."""
    return encode_request(c.Request(command=c.CreateTask(job_type="w", variables={"n": n})))


async def taken(log: MemoryLog, source: int) -> tuple[list[int], list[str]]:
    found: list[int] = []
    notes: list[str] = []

    async def take(pending: list[Pending]) -> None:
        found.extend(p.offset for p in pending)

    following = asyncio.create_task(Intake(log, 0, None, None).follow(source, take, notes.append))
    await asyncio.sleep(0.05)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    return found, notes


@pytest.mark.parametrize(
    ("source", "trimmed", "offsets", "gone"),
    [
        (-1, 0, [0, 1, 2, 3, 4], ""),
        (0, 0, [1, 2, 3, 4], ""),
        (3, 0, [4], ""),
        (4, 0, [], ""),
        (1, 2, [2, 3, 4], ""),
        (1, 3, [3, 4], "commands 2 to 2"),
        (-1, 3, [3, 4], ""),
    ],
)
async def test_it_goes_on_right_behind_the_source(source, trimmed, offsets, gone):
    log = MemoryLog(MemoryStore(1))
    for n in range(5):
        await log.append(COMMANDS, 0, Group([None], [request(n)]))
    await log.trim(COMMANDS, 0, trimmed)
    found, notes = await taken(log, source)
    assert found == offsets
    assert [n[: len(gone)] for n in notes] == ([gone] if gone else []), notes


@pytest.mark.req("WOS-ENG-016")
async def test_over_restarts_each_command_of_the_topic_is_done_once():
    store = MemoryStore(1)
    for n in range(6):
        await MemoryLog(store).append(COMMANDS, 0, Group([None], [request(n)]))
        engine = Engine(MemoryLog(store), partitions=1)
        await asyncio.wait_for(engine.start(), 10)
        for _ in range(100):
            if len(engine.owners[0].state.tasks) > n:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        assert sorted(t.vars["n"] for t in engine.owners[0].state.tasks.values() if t.vars) == list(range(n + 1))
        await (engine.stop() if n % 2 else engine.kill())
