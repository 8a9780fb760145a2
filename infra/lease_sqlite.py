"""Sharing out partitions among the processes of one SQLite file: a table of members with heartbeats and one of leases.

A heartbeat is told by the monotonic clock, which all of them share: a step of the wall clock makes nobody seem gone. One from before the
machine was started again lies ahead of it. Leases only say who works. That nobody writes beside the owner is held by the compare-and-append of the log.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from flowledger.processors.clock import since_boot_us
from flowledger.processors.log import Change, share_out

#: A member that has not been heard of for so long is gone.
LEASE_S = 5.0
#: How often a member looks whether its share changed.
TICK_S = 0.25


class SqliteOwnership:
    def __init__(self, path: Path, member: str, partitions: int, lease_s: float = LEASE_S) -> None:
        self.member = f"{member or 'member'}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.held: frozenset[int] = frozenset()
        self._path, self._partitions, self._lease_s = path, partitions, lease_s
        self._beat: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SqliteOwnership:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "flowledger-lease")
        await self._run(self._connect)
        await self._run(self._seen)
        self._beat = self._loop.create_task(self._heartbeat())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._beat is not None:
            self._beat.cancel()
        try:
            await self._run(self._leave)
        finally:
            self.held = frozenset()
            self._thread.shutdown()

    def __aiter__(self) -> AsyncIterator[Change]:
        return self._changes()

    async def _changes(self) -> AsyncIterator[Change]:
        first = True
        while True:
            now = await self._run(self._tick, self.held)
            if now is not None and (first or now != self.held):
                change = Change(now - self.held, self.held - now, now)
                first, self.held = False, now
                yield change
            else:
                await asyncio.sleep(TICK_S)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 4)
            await self._run(self._seen)

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        return await self._loop.run_in_executor(self._thread, function, *args)

    def _connect(self) -> None:
        self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=self._lease_s / 2)
        # A lease lost with the machine is no harm, so heartbeats don't wait for the disk.
        self._db.execute("PRAGMA synchronous=OFF")

    def _seen(self) -> None:
        """Still there; unless the others have given this member up, which `_tick` then finds."""
        try:
            self._db.execute("INSERT OR REPLACE INTO members VALUES (?, ?)", (self.member, since_boot_us()))
        except sqlite3.OperationalError:  # locked or full: the next beat may pass
            pass

    def _leave(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM leases WHERE member = ?", (self.member,))
            self._db.execute("DELETE FROM members WHERE member = ?", (self.member,))
            self._db.execute("COMMIT")
        except sqlite3.OperationalError:  # the lease runs out by itself
            pass
        finally:
            self._db.close()

    def _tables(self) -> tuple[dict[str, int], dict[int, str]]:
        return dict(self._db.execute("SELECT member, seen_us FROM members")), dict(self._db.execute("SELECT partition, member FROM leases"))

    def _tick(self, held: frozenset[int]) -> frozenset[int] | None:
        """What this member may hold now; `held` is what it still works on. None: the file was busy."""
        try:
            if self._settled(held, *self._tables()):
                return held
            self._db.execute("BEGIN IMMEDIATE")
            try:
                return self._settle(held)
            finally:
                self._db.execute("COMMIT")
        except sqlite3.OperationalError:
            return None

    def _target(self, members: dict[str, int], leases: dict[int, str]) -> tuple[frozenset[int], frozenset[int], set[str]]:
        """This member's fair share, what others (alive) hold, and who is alive."""
        now = since_boot_us()
        alive = {m for m, seen in members.items() if now - int(self._lease_s * 1e6) < seen <= now} | {self.member}
        holders = {m: frozenset(p for p, holder in leases.items() if holder == m) for m in alive}
        elsewhere = frozenset(p for p, holder in leases.items() if holder != self.member and holder in alive)
        return share_out(holders, self._partitions)[self.member], elsewhere, alive

    def _settled(self, held: frozenset[int], members: dict[str, int], leases: dict[int, str]) -> bool:
        target, elsewhere, alive = self._target(members, leases)
        mine = frozenset(p for p, holder in leases.items() if holder == self.member)
        return alive == set(members) and mine == held and held <= target and not (target - held - elsewhere)

    def _settle(self, held: frozenset[int]) -> frozenset[int]:
        db = self._db
        members, leases = self._tables()
        taken = {p for p in held if leases.get(p, self.member) != self.member}  # given up on by the others while it was away
        for partition, holder in list(leases.items()):
            if holder == self.member and partition not in held:
                db.execute("DELETE FROM leases WHERE partition = ?", (partition,))
                del leases[partition]
        target, elsewhere, alive = self._target(members, leases)
        for gone in set(members) - alive:
            db.execute("DELETE FROM members WHERE member = ?", (gone,))
            db.execute("DELETE FROM leases WHERE member = ?", (gone,))
        kept = (held & target) - taken
        now = kept | (target - elsewhere)
        for partition in now:
            db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?)", (partition, self.member))
        if self.member not in members:
            db.execute("INSERT OR REPLACE INTO members VALUES (?, ?)", (self.member, since_boot_us()))
        return now
