"""A door prepares items of batches: it goes on where another stopped, waits for what is away, and says why an item can't be prepared."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from flowledger.api import history, preparing
from flowledger.api.preparing import Preparing
from flowledger.api.problems import Problem
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits

BATCH = 3 << 51 | 9


class Home:
    """The owner's part, and the rows'."""

    partitions = 4

    def __init__(self, keys: list[int], at_once: int = 4) -> None:
        self.keys, self.next, self.at_once = keys, 0, at_once
        self.status = "running"
        self.brought: dict[int, Any] = {}
        self.away = 0
        self.behind = 0
        self.refuses = ""

    async def call(self, command: Any, caller: Any, **more: Any) -> Any:
        if self.away:
            self.away -= 1
            return Rejected(RejectionCode.UNAVAILABLE, "no owner")
        if self.refuses:
            return Rejected(self.refuses, "no")
        for number, item in enumerate(command.items, command.at):
            if number == self.next and self.status == "running":
                assert item[0] == self.keys[number] and number not in self.brought
                self.brought[number] = item
                self.next += 1
        if self.next == len(self.keys):
            return Rejected(RejectionCode.NOT_FOUND, "it has ended")
        ready = self.keys[self.next : self.next + self.at_once] if self.status == "running" else []
        return {
            "status": self.status,
            "next": self.next,
            "items": ready,
            "params": {"steps": 1},
            "tenant": "t",
            "wait_ms": 0 if ready else 1,
        }

    async def wait_for(self, positions: dict[int, int], timeout_s: float) -> bool:
        assert positions == {0: 11}
        self.behind = max(0, self.behind - 1)
        return not self.behind

    async def get(self, noun: str, key: str, tenant: str) -> Any:
        assert (noun, tenant) == ("instances", "t")
        return {"status": "completed"} if key == "2" else None if key == "3" else {"status": "running"}

    async def unprepared(self) -> list[int]:
        return [BATCH] if self.next < len(self.keys) else []


@pytest.fixture
def door(monkeypatch):
    monkeypatch.setattr(preparing, "LOOK_S", 0.02)
    monkeypatch.setattr(preparing, "AGAIN_S", 0.005)

    async def then_of(s, key, tenant, steps, to, undo):
        assert (tenant, steps, to, undo) == ("t", 1, "", False)
        if key == 4:
            raise Problem(RejectionCode.INVALID_ARGUMENT, "it has not gone 1 steps")
        if key == 5:
            raise ZeroDivisionError("a defect of ours")
        return SimpleNamespace(
            image="x" * (limits.BATCH_PREPARED_BYTES_MAX if key == 6 else 5), position="0-1", outside=["a"] * 200, seen="s"
        )

    monkeypatch.setattr(history, "then_of", then_of)

    def made(home: Home) -> Preparing:
        settings = SimpleNamespace(command_timeout_ms=1_000, fresh_ms=1_000)
        return Preparing(SimpleNamespace(client=home, reads=home, settings=settings, ends=lambda: {0: 11}))

    return made


async def run_until(home: Home, work: Preparing, seconds: float = 10.0) -> None:
    task = asyncio.create_task(work.run())
    async with asyncio.timeout(seconds):
        while home.next < len(home.keys):
            await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_each_is_brought_with_what_it_needs_or_with_why_not(door):
    home = Home([1, 2, 3, 4, 5, 6, 7])
    work = door(home)
    work.soon(BATCH)
    await run_until(home, work)
    found = [item[1:] if item[1] is None else item[1]["image"] for item in home.brought.values()]
    assert (
        found[0] == found[6] == "xxxxx" and len(home.brought[0][1]["outside"]) == preparing.OUTSIDE_MAX and home.brought[0][1]["seen"] == ""
    )
    assert [x[1] for x in found[1:6]] == ["NOT_FOUND", "NOT_FOUND", "INVALID_ARGUMENT", "INTERNAL", "INVALID_ARGUMENT"]
    assert "not gone" in found[3][2] and "defect" in found[4][2] and "roll it back by itself" in found[5][2]


async def test_what_another_door_left_is_gone_on_with_and_what_it_brings_on_is_left_to_it(door):
    home = Home(list(range(10, 30)))
    work = door(home)
    home.next = 5
    await work._look()
    home.next = 6  # another door works on it
    await work._look()
    assert not work._work, "it moves"
    await work._look()
    assert list(work._work) == [BATCH], "it stands still"
    await run_until(home, work)
    assert sorted(home.brought) == list(range(6, 20))


async def test_owners_and_rows_that_are_away_are_waited_for(door, monkeypatch):
    home = Home([10, 11, 12])
    home.away, home.behind = 3, 3
    work = door(home)
    work.soon(BATCH)
    await run_until(home, work)
    assert all(item[1] for item in home.brought.values()), "none has failed for it"
    gets = home.get
    calls = []

    async def get(noun, key, tenant):
        calls.append(key)
        if len(calls) < 3:
            raise Problem(RejectionCode.UNAVAILABLE, "no database")
        return await gets(noun, key, tenant)

    home = Home([10, 11, 12])
    monkeypatch.setattr(home, "get", get)
    work = door(home)
    work.soon(BATCH)
    await run_until(home, work)
    assert all(item[1] for item in home.brought.values()) and len(home.brought) == 3


async def test_a_paused_one_is_left_alone_and_one_that_is_refused_is_tried_at_the_next_look(door):
    home = Home([10, 11])
    home.status = "paused"
    work = door(home)
    work.soon(BATCH)
    task = asyncio.create_task(work.run())
    await asyncio.sleep(0.1)
    assert not home.brought and not [t for t in work._work.values() if not t.done()]
    home.status, home.refuses = "running", RejectionCode.INVALID_ARGUMENT
    await asyncio.sleep(0.1)
    home.refuses = ""
    async with asyncio.timeout(10):
        while home.next < 2:
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(home.brought) == 2


def test_one_command_takes_so_many_bytes(monkeypatch):
    monkeypatch.setattr(preparing, "BYTES_MAX", 100)
    ready = {n: ([n, {"image": "x" * 60}], 80) for n in range(5, 9)} | {10: ([10, None, "A", "b"], 0)}
    assert [i[0] for i in preparing._some(ready, 5)] == [5]
    assert preparing._some(ready, 10) == [ready[10][0]] and preparing._some(ready, 9) == []
    monkeypatch.setattr(preparing, "BYTES_MAX", 10_000)
    assert [i[0] for i in preparing._some(ready, 5)] == [5, 6, 7, 8]
