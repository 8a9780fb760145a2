"""Who draws a draft together on this node: one shared document each, kept in PostgreSQL within a moment, acknowledged when it is there.

Other nodes may have people at the same draft: each merges what the others have written, when it writes and once a second. Nothing is lost by that, whatever
comes first: changes to a Yjs document give the same in any order.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from contextlib import suppress
from typing import Any

import msgspec

from flowledger.api.drafts import desk
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import Services
from flowledger.api.together import flat
from flowledger.api.together.merging import document, seeded, values
from flowledger.events.base import RejectionCode
from flowledger.infra.drafts import Drafts
from flowledger.infra.own_tables import Row
from flowledger.kernel.limits import MODEL_BYTES_MAX
from flowledger.kernel.markup import BadXml

#: people at one draft on one node
PEOPLE_MAX = 50
#: bytes of the document with what it remembers of its history
STATE_MAX = 4 * MODEL_BYTES_MAX
#: how far behind a browser may be before it has to come again (messages)
BEHIND_MAX = 500
#: what is drawn is written when it has been waiting for so long; others' nodes are looked at as often (seconds)
WRITE_S, LOOK_S = 0.2, 1.0
Key = tuple[str, str]


class Told(msgspec.Struct, kw_only=True):
    """What a browser says. `have`: what it knows of the document (first, and once); `edit`: a change, the `n`-th of it; `save`: as a version."""

    type: str
    epoch: str | None = None
    state: str = ""
    update: str = ""
    n: int = 0
    comment: str = ""


class Person:
    __slots__ = ("actor", "behind", "may", "out", "waits")

    def __init__(self, actor: str, may: bool) -> None:
        self.actor, self.may = actor, may
        self.out: asyncio.Queue[dict[str, Any]] = asyncio.Queue(BEHIND_MAX)
        #: the last of its changes that is not kept yet
        self.waits = 0
        #: it has missed something, and comes again
        self.behind = asyncio.Event()

    def tell(self, message: dict[str, Any]) -> None:
        try:
            self.out.put_nowait(message)
        except asyncio.QueueFull:
            self.behind.set()


class Room:
    """All methods are called from the event loop's thread, which alone touches the document."""

    def __init__(self, s: Services, key: Key, row: Row) -> None:
        self.s, self.key = s, key
        self.epoch: str = row["epoch"]
        self.seq: int = row["seq"]
        self.version: int = row["version"]
        self.dirty: bool = row["dirty"]
        self.row_version: int = row["row_version"]
        self.doc = document(bytes(row["state"]))
        self.people: set[Person] = set()
        #: it is another document now, or too large: all come again
        self.over = asyncio.Event()
        self.problem: Problem | None = None
        self._edits = self._kept = 0
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._work = asyncio.ensure_future(self._run())

    def enter(self, person: Person) -> None:
        """Raises: Problem: it is full."""
        if len(self.people) >= PEOPLE_MAX:
            raise Problem(
                RejectionCode.RESOURCE_EXHAUSTED, f"{len(self.people)} draw this draft, more can't at once", retry_after_ms=10_000
            )
        self.people.add(person)

    def begin(self, told: Told) -> dict[str, Any]:
        """What a browser lacks. Raises: ValueError: what it knows is none."""
        known = base64.b64decode(told.state) if told.epoch == self.epoch and told.state else None
        update = self.doc.get_update(known)
        return {
            "type": "begin", "epoch": self.epoch, "update": _text(update), "state": _text(self.doc.get_state()), "version": self.version,
            "row_version": self.row_version, "dirty": self.dirty,
        }  # fmt: skip

    def edit(self, person: Person, update: bytes, n: int) -> None:
        """Raises: ValueError: it is no change of a document."""
        self.doc.apply_update(update)
        self._edits += 1
        self.dirty = True
        person.waits = n
        self._tell({"type": "edit", "update": _text(update)}, person)
        self._wake.set()

    def look(self) -> None:
        """Somebody has written past this room."""
        self._wake.set()

    async def save(self, person: Person, comment: str) -> None:
        """As a version, by who asks; all that was drawn until now is in it. Raises: Problem."""
        await self.write()
        seen = self._edits
        try:
            content = await asyncio.to_thread(flat.write, flat.fields(values(self.doc)))
        except flat.NotDrawn as e:
            raise senseless(str(e)) from None
        if len(content.encode()) > MODEL_BYTES_MAX:
            raise senseless(f"at most {MODEL_BYTES_MAX} bytes were expected")
        tenant, id = self.key
        async with desk(self.s) as drafts:
            row = await drafts.save(tenant, person.actor, id, content, None, comment, None)
        if row is None:
            raise Problem(RejectionCode.NOT_FOUND, f"no draft {id}")
        self.version, self.row_version = row["version"], row["row_version"]
        if seen == self._edits:
            self.dirty = False
        self._edits += 1
        await self.write()
        self._saved(person.actor)

    def _saved(self, by: str) -> None:
        self._tell({"type": "saved", "version": self.version, "row_version": self.row_version, "by": by, "dirty": self.dirty})

    def _tell(self, message: dict[str, Any], but: Person | None = None) -> None:
        for person in self.people:
            if person is not but:
                person.tell(message)

    # --- keeping ---------------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Writes what was drawn, reads what others wrote, until it is told to end."""
        while not self.over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            began = time.monotonic()
            try:
                if self._wake.is_set():
                    await asyncio.sleep(WRITE_S)
                    self._wake.clear()
                    await self.write()
                await self._read()
            except Problem:  # the database is away: what was drawn waits, and is not acknowledged
                self._wake.set()
                await asyncio.sleep(LOOK_S)
            # a large document on a slow database: not all of the time
            await asyncio.sleep(min(5.0, (time.monotonic() - began - WRITE_S) * 2))

    async def write(self) -> None:
        """Raises: Problem: the database is away."""
        async with self._writing:
            if self._edits == self._kept or self.over.is_set():
                return
            seen = self._edits
            waiting = [(p, p.waits) for p in self.people if p.waits]

            def state(theirs: bytes | None) -> tuple[bytes, bool]:
                if theirs is not None:
                    self._take(theirs)
                mine = self.doc.get_update()
                if len(mine) > STATE_MAX:
                    raise _TooLarge
                return mine, self.dirty

            try:
                async with desk(self.s) as drafts:
                    seq = await drafts.share(self.key[1], self.epoch, self.seq, state)
            except _TooLarge:
                self.end(
                    Problem(
                        RejectionCode.RESOURCE_EXHAUSTED,
                        f"a shared drawing may have {STATE_MAX} bytes with its history, more isn't kept: save it",
                    )
                )
                return
            if seq is None:
                self.end()
                return
            self.seq, self._kept = seq, seen
            for person, n in waiting:
                person.tell({"type": "kept", "n": n})
                if person.waits == n:
                    person.waits = 0

    def _take(self, theirs: bytes) -> None:
        before = self.doc.get_state()
        self.doc.apply_update(theirs)
        self._tell({"type": "edit", "update": _text(self.doc.get_update(before))})

    async def _read(self) -> None:
        """Raises: Problem: the database is away."""
        async with self._writing, desk(self.s) as drafts:
            row = await drafts.shared(*self.key, self.seq)
            if row is None or row["epoch"] != self.epoch:
                self.end()
                return
            if row["state"] is not None:
                self._take(bytes(row["state"]))
                self.seq = row["seq"]
            if self._edits == self._kept:
                self.dirty = row["dirty"]
            if row["row_version"] != self.row_version:
                self.version, self.row_version = row["version"], row["row_version"]
                self._saved(row["updated_by"])

    def end(self, problem: Problem | None = None) -> None:
        self.problem = problem
        self.over.set()

    async def close(self) -> None:
        """The last one has gone: what is not kept yet is, as well as it can be; what all is in a version needs no history."""
        with suppress(Problem):
            await self.write()
            if not self.people and not self.dirty and not self.over.is_set():
                async with desk(self.s) as drafts:
                    await drafts.unshare(self.key[1], self.epoch, self.seq)
        self._work.cancel()
        with suppress(asyncio.CancelledError):
            await self._work


class _TooLarge(Exception):
    pass


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Rooms:
    """The rooms of this node."""

    def __init__(self, s: Services) -> None:
        self.s = s
        self.of: dict[Key, Room] = {}
        self._doors: dict[Key, asyncio.Lock] = {}

    async def enter(self, key: Key, person: Person) -> Room:
        """Raises: Problem: there is no such draft, it is no drawing, it is full."""
        async with self._door(key):
            room = self.of.get(key)
            if room is None or room.over.is_set():
                row = await self._row(key)
                room = self.of[key] = Room(self.s, key, row)
            room.enter(person)
            return room

    async def leave(self, room: Room, person: Person) -> None:
        async with self._door(room.key):
            room.people.discard(person)
            if not room.people:
                await room.close()
                if self.of.get(room.key) is room:
                    del self.of[room.key]
        if room.key not in self.of:
            self._doors.pop(room.key, None)

    def _door(self, key: Key) -> asyncio.Lock:
        return self._doors.setdefault(key, asyncio.Lock())

    def look(self, key: Key) -> None:
        if (room := self.of.get(key)) is not None:
            room.look()

    async def _row(self, key: Key) -> Row:
        async with desk(self.s) as drafts:
            for _ in range(5):
                row = await drafts.shared(*key)
                if row is None:
                    raise Problem(RejectionCode.NOT_FOUND, f"no draft {key[1][:100]}")
                if row["epoch"] is not None:
                    return row
                await self._seed(drafts, key)
        raise Problem(RejectionCode.UNAVAILABLE, "the draft is saved again and again at the moment", retry_after_ms=1000)

    async def _seed(self, drafts: Drafts, key: Key) -> None:
        found = await drafts.get(*key)
        if found is None:
            return
        try:
            state = await asyncio.to_thread(seeded, found["content"], found["kind"])
        except (flat.NotDrawn, BadXml) as e:
            raise senseless(f"this draft can't be drawn together: {e}") from None
        await drafts.begin_shared(*key, found["version"], secrets.token_hex(8), state)
