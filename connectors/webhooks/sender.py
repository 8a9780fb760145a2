"""One webhook is sent: events from its cursors on, what waits when it is due, and what became of each is said to its home.

Nothing is remembered here that the home doesn't know: who dies in the middle loses nothing, and whoever takes over sends again, with the same ids,
what wasn't reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from flowledger.api.instance_of import SAYS, Definitions
from flowledger.connectors.webhooks import told as t
from flowledger.connectors.webhooks.post import NotNow, Post, Result
from flowledger.events import webhooks as wh
from flowledger.events import wire
from flowledger.events.base import Recorded, Rejected, RejectionCode
from flowledger.kernel.webhooks.record import TEST, place_of
from flowledger.logs import log
from flowledger.processors.client import Caller, Client

log_ = log("webhooks")

#: the lease, and how often it is extended (seconds)
TTL_S, KEEP_S = 15.0, 5.0
#: requests of one webhook at a time; events that were read and are not told yet
CALLS, WINDOW = 16, 64
#: what is told together; how long cursors that moved past nothing of interest wait (seconds)
TELL_S, IDLE_S = 0.1, 10.0
#: after so many failures of the receiver in a row one request at a time is tried, with a pause before (seconds, doubled)
TROUBLE, PAUSE_S = 8, (5.0, 300.0)
#: how often what waits is looked at, and what can't be had is tried again (seconds)
LOOK_S, AGAIN_S = 0.2, 1.0
#: for its last words (seconds)
LAST_S = 2.0
#: instances of which it is remembered what they run
KNOWN_MAX = 20_000
#: what others like this one say of their progress is none: else each report would lead to the next
_QUIET = ("webhook.", "trigger.", "alert.claimed", "partition.", "ledger.")
#: codes of a home that is away for a moment
_AWAY = frozenset({RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED, RejectionCode.RESOURCE_EXHAUSTED})


class Lost(Exception):
    """It is sent by another, or not to be sent."""


class Changed(Exception):
    """Its record is another one: it begins anew."""


class Item:
    """An event that is to be sent. `attempt`: those that were made; `body`: None: it is still to be read."""

    __slots__ = ("asked", "at", "attempt", "body", "definition", "instance", "process", "type")

    def __init__(
        self, at: str, type: str = "", instance: int = 0, definition: int = 0, process: str = "", attempt: int = 0, asked: bool = False,
        body: bytes | None = None, **_: Any,
    ) -> None:  # fmt: skip
        self.at, self.type, self.instance, self.definition, self.process = at, type, instance, definition, process
        self.attempt, self.asked, self.body = attempt, asked, body

    @property
    def place(self) -> tuple[int, int]:
        return place_of(self.at) or (-1, 0)


class Sender:
    """`run` until cancelled, or until it is sent by another or not to be sent."""

    def __init__(self, client: Client, post: Post, tenant: str, name: str, node: str, revision: int = 0) -> None:
        self.client, self.post, self.tenant, self.name, self.node = client, post, tenant, name, node
        self.caller = Caller(actor=f"webhooks-{node}"[:200], tenant=tenant)
        self.sender, self.until = 0, 0.0
        self.revision = revision
        self.error = ""
        #: its record may be another one
        self.poked = asyncio.Event()
        self._lock = asyncio.Lock()
        #: receiver: failures in a row, not before, the next pause, and whether it is being tried
        self.failures, self.not_before, self.pause_s, self.trying = 0, 0.0, PAUSE_S[0], False

    # --- its home ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        try:
            while True:
                have = await self._claim()
                with contextlib.suppress(Changed):
                    await self._session(have)
        except Lost as why:
            log_.info("a webhook is sent no more", webhook=self.name, why=str(why))
        finally:
            if self.sender:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(LAST_S):
                        await self.client.call(wh.ClaimWebhook(name=self.name, node=self.node, sender=self.sender, ttl_ms=0), self.caller)

    async def _call(self, command: Any, until: float = 0.0) -> dict[str, Any]:
        """A home that is away is asked again. Raises: Lost."""
        id = uuid.uuid4().hex
        while True:
            answer = await self.client.call(command, self.caller, id=id)
            if not isinstance(answer, Rejected):
                return answer
            if answer.code not in _AWAY or (isinstance(command, wh.ClaimWebhook) and not command.sender):
                raise Lost(answer.message)
            if until and time.time() > until:
                raise Lost(f"its home does not answer: {answer.message}")
            await asyncio.sleep(AGAIN_S)

    async def _claim(self) -> dict[str, Any]:
        command = wh.ClaimWebhook(name=self.name, node=self.node, sender=self.sender, ttl_ms=int(TTL_S * 1000), error=self.error)
        have = await self._call(command, self.until)
        self.sender, self.until, self.revision = have["sender"], have["until_us"] / 1e6, have["revision"]
        return have

    async def _session(self, have: dict[str, Any]) -> None:
        """Raises: Lost, Changed; LogError."""
        self.have, self.key = have, have["webhook"]
        self.wanted = t.Wanted(self.tenant, have["types"], have["definitions"], have["filter"])
        self.ordered = have["order"] == "instance"
        begin = {int(p): n for p, n in have["cursors"].items()}
        self.definitions = Definitions(self.client, self.tenant, begin, KNOWN_MAX, self.wanted.by_definition)
        #: partition -> what was read, and what the home knows
        self.read, self.known = dict(begin), dict(begin)
        #: read and not told yet; what the home keeps; what is being sent; what is done and not told yet
        self.open: dict[str, Item] = {}
        self.waiting = {i["at"]: i for i in have["waiting"]}
        self.busy: set[str] = set()
        self.done: deque[wh.Attempt] = deque()
        #: instance -> what is sent one after the other
        self.chains: dict[int, deque[Item]] = {}
        self.room, self.passed = have["room"], False
        self.space, self.tell = asyncio.Event(), asyncio.Event()
        self.slots = asyncio.Semaphore(CALLS)
        try:
            async with asyncio.TaskGroup() as self.group:
                for work in (self._read(), self._retry(), self._tell(), self._keep()):
                    self.group.create_task(work)
        except BaseExceptionGroup as found:
            for kind in (Lost, Changed):
                if (those := found.subgroup(kind)) is not None:
                    raise kind(str(those.exceptions[0])) from None
            raise
        finally:
            # what is known is told, so that less is sent again
            with contextlib.suppress(Exception):
                async with asyncio.timeout(LAST_S):
                    while self.done:
                        await self._report()

    async def _keep(self) -> None:
        """The lease is kept, and its record looked at."""
        own = ("url", "types", "definitions", "filter", "secrets", "order", "rewinds")
        noted = self.error
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_S if noted == self.error else AGAIN_S):
                    await self.poked.wait()
            self.poked.clear()
            async with self._lock:
                have = await self._claim()
                noted = self.error
                if any(have[name] != self.have[name] for name in own):
                    raise Changed
                self._room(have)
                told = {a.at for a in self.done}
                self.waiting = {i["at"]: i for i in have["waiting"] if i["at"] not in told} | {
                    at: i for at, i in self.waiting.items() if at in self.busy or at in told
                }

    def _room(self, answer: dict[str, Any]) -> None:
        self.room = answer["room"]
        if answer["status"] != "active":
            raise Lost(f"it is {answer['status']}")
        if answer["revision"] != self.revision:
            self.poked.set()
        self.space.set()

    # --- telling the home -------------------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        last = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self.tell.wait()
            self.tell.clear()
            if not self.done and not (self.passed and time.monotonic() - last >= IDLE_S):
                continue
            await asyncio.sleep(TELL_S)
            async with self._lock:
                await self._report()
            last = time.monotonic()
            if self.done:
                self.tell.set()

    async def _report(self) -> None:
        """Raises: Lost."""
        attempts = [self.done[k] for k in range(min(len(self.done), wh.REPORT_MAX))]
        told = {a.at for a in attempts}
        left = [i.place for at, i in self.open.items() if at not in told]
        cursors = dict(self.read)
        for p, n in left:
            cursors[p] = min(cursors[p], n)
        moved = {str(p): n for p, n in cursors.items() if n > self.known[p]}
        self.passed = False
        answer = await self._call(
            wh.ReportWebhook(name=self.name, sender=self.sender, attempts=attempts, cursors=moved, rewinds=self.have["rewinds"]), self.until
        )
        self.known |= {int(p): n for p, n in moved.items()}
        for a in attempts:
            self.done.popleft()
            self.open.pop(a.at, None)
            if (due := answer["due"].get(a.at)) is None:
                self.waiting.pop(a.at, None)
            else:
                self.waiting[a.at] = {
                    "at": a.at, "type": a.type, "instance": a.instance, "definition": a.definition, "process": a.process, "attempt": a.attempt,
                    "due_us": due,
                }  # fmt: skip
        self._room(answer)

    def _done(self, item: Item, outcome: str, result: Result | None = None, attempt: int = 0) -> None:
        r = result or Result(outcome)
        self.done.append(wh.Attempt(
            at=item.at, outcome=outcome, type=item.type, instance=item.instance, definition=item.definition, process=item.process, attempt=attempt,
            code=r.code, status=r.status, ms=r.ms, after_ms=int(r.after_s * 1000),
        ))  # fmt: skip
        self.tell.set()

    # --- reading ----------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Events from the cursors on, no more at a time than there is room for. Raises: LogError."""
        async with contextlib.aclosing(self.client.events(dict(self.read))) as batches:  # type: ignore[type-var]
            async for batch in batches:
                about = [r for r in batch if r.envelope.tenant == self.tenant and self._of_instance(r)]
                while True:
                    try:
                        await self.definitions.learn(about)
                        break
                    except ConnectionError:  # the owner is on its way to another node
                        await asyncio.sleep(AGAIN_S)
                for r in batch:
                    if r.offset < self.read[r.partition]:
                        continue
                    await self._look(r)
                    self.read[r.partition] = r.offset + 1
                    self.passed = self.passed or not wire.NAMES[type(r.event)].startswith(_QUIET)

    def _of_instance(self, r: Recorded) -> bool:
        """Whether it must be known what its instance runs."""
        return isinstance(r.event, SAYS) or (self.wanted.of_type(r) and not wire.NAMES[type(r.event)].startswith("definition."))

    async def _look(self, r: Recorded) -> None:
        if r.envelope.tenant != self.tenant:
            return
        definition, process = self.definitions.of(r) if self._of_instance(r) else (0, "")
        if not self.wanted.of_type(r) or r.id in self.waiting:
            return
        if isinstance(r.event, _DEFINITIONS):
            definition, process = r.event.key, getattr(r.event, "id", "")
        told = t.told_of(r, definition, process)
        takes, why = self.wanted.takes(told)
        if takes == t.NO:
            return
        item = Item(r.id, told["type"], int(told["instance"] or 0), definition, process, body=t.body_of(told))
        while len(self.open) >= WINDOW or self.room < WINDOW:
            self.space.clear()
            await self.space.wait()
        self.open[r.id] = item
        if takes == t.BROKEN:
            log_.warning("the filter of a webhook is broken", webhook=self.name, position=r.id, why=why)
            self._done(item, "kept", Result("kept", "FILTER"), 1)
        elif not self.ordered or not item.instance:
            self._spawn(self._send(item))
        elif (chain := self.chains.get(item.instance)) is not None:
            chain.append(item)
        elif self._waits(item.instance):
            self._behind(item)
        else:
            self.chains[item.instance] = deque([item])
            self._spawn(self._chain(item.instance))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self.group.create_task(work)

    # --- order ------------------------------------------------------------------------------------------------------------

    def _waits(self, instance: int) -> bool:
        return any(i.get("instance") == instance for i in self.waiting.values())

    def _behind(self, item: Item) -> None:
        self.waiting[item.at] = {"at": item.at, "type": item.type, "instance": item.instance, "definition": item.definition, "process": item.process,
                                 "attempt": 0, "due_us": 0}  # fmt: skip
        self._done(item, "behind")

    async def _chain(self, instance: int) -> None:
        """What comes after an event that wasn't taken waits for it."""
        chain = self.chains[instance]
        while chain:
            taken = await self._send(chain[0])
            chain.popleft()
            if not taken:
                for item in chain:
                    self._behind(item)
                break
        del self.chains[instance]

    async def _retry(self) -> None:
        """What waits is sent when it is due."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.waiting:
                continue
            now_us = time.time_ns() // 1000
            told = {a.at for a in self.done}
            heads: dict[int, tuple[int, int]] = {}
            if self.ordered:
                for i in self.waiting.values():
                    if i.get("instance") and (found := place_of(i["at"])) is not None:
                        heads[i["instance"]] = min(found, heads.get(i["instance"], found))
            for at, i in list(self.waiting.items()):
                if at in self.busy or at in told or i["due_us"] > now_us or len(self.busy) >= CALLS:
                    continue
                instance = i.get("instance", 0)
                if instance in heads and (heads[instance] != place_of(at) or instance in self.chains):
                    continue
                self.busy.add(at)
                self._spawn(self._again(Item(**i)))

    async def _again(self, item: Item) -> None:
        try:
            if item.body is None and not await self._fetch(item):
                self._done(item, "kept", Result("kept", "NOT_ON_LOG"), item.attempt + 1)
                return
            await self._send(item)
        finally:
            self.busy.discard(item.at)

    async def _fetch(self, item: Item) -> bool:
        """The event as it stands on the log; False: it isn't there, or isn't one that may be told."""
        if item.type == TEST:
            item.body = t.test_body(self.name, item.at, time.time_ns() // 1000)
            return True
        partition, offset = item.place
        r = await self.client.event(partition, offset) if item.type else await self._counted(partition, offset)
        if r is None or not self.wanted.of_type(r):
            return False
        if not item.type:
            await self.definitions.learn([r])
            item.definition, item.process = self.definitions.of(r)
        told = t.told_of(r, item.definition, item.process)
        item.type, item.instance, item.body = told["type"], int(told["instance"] or 0), t.body_of(told)
        return True

    async def _counted(self, partition: int, offset: int) -> Recorded | None:
        """An event that was asked for by its id: whether it counts is known by those before it only."""
        if offset >= self.read.get(partition, 0) and offset >= (await self.client.ends()).get(partition, 0):
            return None
        wanted = {p: (offset if p == partition else 1 << 62) for p in range(self.client.partitions)}
        async with contextlib.aclosing(self.client.events(wanted)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                for r in batch:
                    if r.partition == partition and r.offset >= offset:
                        return r if r.offset == offset else None
        return None

    # --- sending ----------------------------------------------------------------------------------------------------------

    async def _send(self, item: Item) -> bool:
        """Whether it was taken, or will never be."""
        assert item.body is not None
        while True:
            async with self._turn(item.asked):
                try:
                    result = await self.post(self.have["url"], self.have["secrets"], f"{self.key}-{item.at}", item.body)
                except NotNow as why:
                    if self.error != why.message:
                        self.error = why.message
                        self.poked.set()
                    if not item.asked:
                        self._after_trouble(TROUBLE)
                        continue
                    result = Result("failed", why.code)
                else:
                    self._after(result)
            break
        if result.outcome != "delivered":
            self.waiting.setdefault(item.at, {"at": item.at, "instance": item.instance, "due_us": 1 << 62})
        self._done(item, result.outcome, result, item.attempt + 1)
        return result.outcome == "delivered"

    @contextlib.asynccontextmanager
    async def _turn(self, asked: bool) -> AsyncIterator[None]:
        """A receiver in trouble gets one request at a time, after a pause. What somebody asked for goes at once."""
        if asked:
            yield
            return
        async with self.slots:
            while True:
                left = self.not_before - time.monotonic()
                if left <= 0 and not (self.failures >= TROUBLE and self.trying):
                    break
                await asyncio.sleep(min(max(left, 0.05), AGAIN_S))
            mine = self.failures >= TROUBLE
            self.trying = self.trying or mine
            try:
                yield
            finally:
                if mine:
                    self.trying = False

    def _after(self, result: Result) -> None:
        if result.outcome == "delivered":
            self.failures, self.pause_s, self.not_before = 0, PAUSE_S[0], 0.0
            if self.error:
                self.error = ""
                self.poked.set()
            return
        if result.after_s:
            self.not_before = max(self.not_before, time.monotonic() + result.after_s)
        if result.trouble:
            self._after_trouble(1)

    def _after_trouble(self, failures: int) -> None:
        self.failures += failures
        if self.failures >= TROUBLE and time.monotonic() >= self.not_before:
            self.not_before = time.monotonic() + self.pause_s
            self.pause_s = min(self.pause_s * 2, PAUSE_S[1])


_DEFINITIONS = tuple(cls for cls, name in wire.NAMES.items() if name.startswith("definition."))
