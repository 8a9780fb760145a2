"""Which commands of the topic an owner takes: all behind its source, each once, and what is gone is said."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events import task as ta
from flowledger.infra.log_memory import LATE, LOST, UNACKNOWLEDGED, MemoryLog, MemoryStore
from flowledger.processors.engine import Engine
from flowledger.processors.flight import Pending
from flowledger.processors.intake import Intake, encode_request
from flowledger.processors.log import COMMANDS, EVENTS, Group


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


@pytest.mark.req("WOS-ENG-015")
@pytest.mark.parametrize("fault", ["", LOST, UNACKNOWLEDGED, LATE])
async def test_what_a_command_did_and_that_it_was_read_are_one_group(fault):
    """A group of the log has the events, and how far the commands had been read; whoever died before it was there has done neither, and who died
    behind it both."""
    store, faults = MemoryStore(1), [fault] if fault else []

    def meets(topic: str, partition: int, group: Group) -> str:
        made = topic == EVENTS and any(b"work" in value for value in group.values if value)
        return faults.pop() if made and faults else ""

    for n in range(4):
        await MemoryLog(store).append(COMMANDS, 0, Group([None], [encode_request(c.Request(command=c.CreateTask(job_type=f"work{n}")))]))
    first = Engine(MemoryLog(store, fault=meets), partitions=1)
    await asyncio.wait_for(first.start(), 60)
    while fault and faults:
        await asyncio.sleep(0.01)
    await first.kill()
    second = Engine(MemoryLog(store), partitions=1)
    await asyncio.wait_for(second.start(), 60)
    store.release()
    while len(second.owners[0].state.tasks) < 4:
        await asyncio.sleep(0.01)
    await second.stop()

    log, reader, decoder = MemoryLog(store), rules.GroupReader(), avro.Decoder()
    made: dict[str, int] = {}
    async for records in log.read(EVENTS, 0, 0):
        for record in records:
            if (group := reader.feed(record)) is None:
                continue
            for event in rules.events_of(group, decoder):
                if isinstance(event, ta.TaskCreated):
                    assert event.job_type not in made, "once"
                    made[event.job_type] = group.source
            assert group.source == max([-1, *(int(name[4:]) for name in made)]), "read as far as done, in the same group"
    assert sorted(made) == [f"work{n}" for n in range(4)]
