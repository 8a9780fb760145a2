"""Partitions are shared out among members, with the least movement; each adapter in its own way, by the same contract."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.processors.log import Change, Log, Ownership, share_out


class Member:
    """One process: takes what it is given; counts what moved."""

    def __init__(self, log: Log, name: str) -> None:
        self.held: frozenset[int] = frozenset()
        self.changes: list[Change] = []
        self._ready = asyncio.Event()
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._run(log, name))

    async def _run(self, log: Log, name: str) -> None:
        async with log.ownership(name) as ownership:
            watch = asyncio.create_task(self._watch(ownership))
            await self._leave.wait()
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        self.held = frozenset()

    async def _watch(self, ownership: Ownership) -> None:
        async for change in ownership:
            assert change.held == (self.held | change.assigned) - change.revoked
            self.changes.append(change)
            self.held = change.held

    async def leave(self) -> None:
        self._leave.set()
        await self.task


async def settled(members: list[Member], sizes: list[int], within_s: float = 15.0) -> None:
    """Everything has one holder, and the shares are these."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        held = [m.held for m in members]
        whole = sorted(itertools.chain(*held)) == [0, 1, 2, 3]
        if whole and sorted(map(len, held)) == sorted(sizes):
            return
        assert asyncio.get_running_loop().time() < deadline, f"not shared out as {sizes}: {held}"
        await asyncio.sleep(0.02)


async def test_members_come_and_go_and_only_the_surplus_moves(connect):
    members = [Member(await connect(), "a")]
    try:
        await settled(members, [4])
        members.append(Member(await connect(), "b"))
        await settled(members, [2, 2])
        a, b = members
        assert sum(len(c.revoked) for c in a.changes) == 2, "two partitions move, once"
        kept = a.held
        await b.leave()
        await settled(members[:1], [4])
        assert kept <= a.held and sum(len(c.revoked) for c in a.changes) == 2, "what was held stays"
    finally:
        for member in members:
            await member.leave()


@pytest.mark.parametrize("connect", ["sqlite"], indirect=True)
async def test_a_member_that_vanishes_loses_its_lease(connect):
    """SIGKILL leaves the lease behind; it runs out. (Kafka's session time-out does the same; it takes six seconds at least.)"""
    log = await connect()
    dead = log.ownership("dead")
    await dead.__aenter__()
    async for change in dead:
        assert len(change.held) == 4
        break
    dead._beat.cancel()  # its process is no more
    alive = Member(await connect(), "alive")
    try:
        await asyncio.sleep(0.5)
        assert alive.held == frozenset() or len(alive.held) < 4, "not before the lease has run out"
        await settled([alive], [4])
        frozen = dead._changes()
        woken = await asyncio.wait_for(anext(frozen), 5)
        assert woken.revoked, "one that wakes up learns what it has lost"
    finally:
        await alive.leave()
        await dead.__aexit__()


shares = st.dictionaries(st.sampled_from("abcdefg"), st.just(frozenset()), min_size=1)


@given(shares, st.integers(1, 40), st.lists(st.sampled_from("abcdefg"), max_size=12))
def test_any_history_of_members_ends_even_and_moves_only_what_it_must(holders, partitions, history):
    held = share_out(holders, partitions)
    for name in history:
        members = {m: h for m, h in held.items() if m != name} if name in held and len(held) > 1 else {**held, name: frozenset()}
        now = share_out(members, partitions)
        sizes = [len(h) for h in now.values()]
        assert sorted(itertools.chain(*now.values())) == list(range(partitions))
        assert max(sizes) - min(sizes) <= 1
        lost = sum(len(members[m] - now[m]) for m in members)
        floor = partitions // len(members)
        assert lost <= (floor + 1 if name in now and name not in held else 0), "only a newcomer's share moves"
        held = now
