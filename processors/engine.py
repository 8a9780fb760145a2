"""Owners, pollers and the client port in one process.

`Engine` runs the owners of the partitions that the group gives it; commands for its own partitions go to them directly, others through the
`commands` topic with the answer on `replies`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from itertools import islice
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import routes
from flowledger.events.avro import decode_json
from flowledger.events.base import Recorded, Rejected, RejectionCode
from flowledger.kernel import lookup
from flowledger.kernel.library import Library
from flowledger.kernel.limits import LEASE_MS_MAX
from flowledger.logs import log
from flowledger.processors import activation
from flowledger.processors.admission import MAY_WAIT, Admission, counts
from flowledger.processors.background import BACK_OFF_MAX_S, BACK_OFF_MIN_S, Follower, for_ever
from flowledger.processors.client import ENGINE, NOBODY, Answer, Caller, request_of, within
from flowledger.processors.clock import clocks_of
from flowledger.processors.intake import decode_request as _decode_request
from flowledger.processors.intake import encode_request as _encode_request
from flowledger.processors.log import COMMANDS, DEFINITIONS, REPLIES, Group, Log, LogError, LogRecord
from flowledger.processors.owner import Owner, Settings
from flowledger.processors.pollers import Jobs, Poller, Pollers, Stream, once
from flowledger.processors.tail import Tail

log_ = log("engine")
_encode_answer = msgspec.json.Encoder(decimal_format="number").encode


#: how long a checkpoint may hold up giving a partition away (seconds)
GIVE_UP_S = 5.0
#: a group that is not acknowledged for so long makes a node unready (seconds)
STALLED_S = 5.0
#: how long one partition is waited for when all are asked for jobs (seconds)
FOREIGN_S = 2.0
#: for how long jobs that reached nobody are given back again and again (seconds)
RETURN_S = 60.0


class Engine:
    """Runs owners; is the `Client` of its process.

    Args:
        log: opened by `start`.
        partitions: used when the topics do not exist yet.
        owns: False: a node without owners (an API node); all commands go through the log.
        clock: microseconds UTC; a test turns it by hand.
    """

    def __init__(
        self, log: Log, *, partitions: int = 1, settings: Settings | None = None, owns: bool = True, clock: Callable[[], int] | None = None,
        observer: Any = None, token: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        self._token = token or (lambda: secrets.token_hex(8))
        self.log, self.settings, self.owns, self.observer = log, settings or Settings(), owns, observer
        self.partitions = partitions
        self.clock = clocks_of(clock)
        self.library = Library(self._content)
        self.pollers = Pollers(self._unwanted)
        self.tail = Tail(log)
        self.owners: dict[int, Owner] = {}
        #: partition -> its owner's epoch, who is let in to it, and how it is called
        self.admission: dict[int, tuple[int, Admission, str]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._contents: dict[str, str] = {}
        self._running: dict[int, asyncio.Task[Any]] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._next = self._round = 0
        self._node = f"{self.settings.node or 'node'}-{self._token()}"
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._reply_number = 0
        #: what begins the cause of a request without an id of its own
        self._cause = f"request:{self._node}/"
        #: of definitions, of which this node's callers have heard
        self._epoch = 0
        #: requests without an id of their own
        self._asked = 0
        self._reply_partition = 0
        self._ends: dict[int, int] = {}
        self._closing = False
        self._joined = asyncio.Event()
        self._opened = False
        #: what of the background doesn't work at the moment, and why, for health
        self._broken: dict[str, str] = {}
        #: it counts as working again when it has not failed for a while
        self._hopes: dict[str, asyncio.TimerHandle] = {}
        self._background: set[asyncio.Task[Any]] = set()

    # --- life

    async def start(self) -> None:
        """Open the log, make its topics, join the group; returns when the first assignment is being served (or at once without owners)."""
        self._loop = asyncio.get_running_loop()
        await self.log.open()
        await self.log.create_topics(self.partitions)
        self.partitions, self._opened = self.log.partitions, True
        for hash, text in (await self.log.load(DEFINITIONS, 0)).items():
            self._contents[hash.decode()] = text.decode()
        self._reply_partition = sum(self._node.encode()) % self.partitions
        start = await self.log.end(REPLIES, self._reply_partition)
        self._keep("answers can't be read", Follower(self.log, REPLIES, self._reply_partition, start, self._take_replies))
        self._keep(
            "definitions can't be read", Follower(self.log, DEFINITIONS, 0, await self.log.end(DEFINITIONS, 0), self._take_definitions)
        )
        if self.owns:
            self._keep("the group of owners can't be joined", self._membership)
            await self._joined.wait()
            await asyncio.gather(*(self._serving(p) for p in list(self.owners)))
            self.settings.hold = False  # what comes later is no start

    async def _serving(self, p: int) -> None:
        """Until the owner is ready, or has stopped for good (health says why)."""
        ready, running = asyncio.ensure_future(self.owners[p].ready.wait()), self._running[p]
        await asyncio.wait([ready, running], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()

    async def stop(self) -> None:
        """Orderly: a checkpoint, so that the next owner folds little; then leave the group."""
        self._closing = True
        # of what it holds now: the group goes on giving and taking meanwhile
        await asyncio.gather(*(self._last_checkpoint(owner) for owner in self.owners.values()))
        await self._shut()
        with contextlib.suppress(LogError):
            await self.log.close()

    async def kill(self) -> None:
        """As after SIGKILL: nothing is said to anybody (tests)."""
        await self._shut()

    async def _shut(self) -> None:
        for hope in self._hopes.values():
            hope.cancel()
        tasks = [*self._tasks, *self._running.values(), *self._background]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._tasks.clear()
        self._running.clear()
        self.owners.clear()
        await self.tail.close()

    def _keep(self, what: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` for as long as the engine lives. `what` is said by health while it doesn't work."""
        self._tasks.append(asyncio.create_task(for_ever(what, work, self._broken, self._hopes)))

    async def _membership(self) -> None:
        """Owners for the partitions that the group gives this node. Without the group they go on: the claims keep that safe."""
        async with self.log.ownership(self._node) as members:
            self._broken.pop("the group of owners can't be joined", None)
            async for change in members:
                lost = [p for p in self._running if p not in change.held]
                await asyncio.gather(*(self._give_up(p) for p in lost))
                for p in sorted(change.held - self._running.keys()):
                    owner = self.owners[p] = Owner(
                        self.log,
                        p,
                        self.library,
                        self.settings,
                        self.clock,
                        self.observer,
                        self.pollers,
                        self._replier,
                        self._token,
                    )
                    owner.ask, owner.near = self._ask_peer, self.owners.__contains__
                    self._running[p] = asyncio.create_task(self._own(p, owner))
                self._joined.set()

    async def _give_up(self, p: int) -> None:
        """Another node gets this partition: a checkpoint, so that it folds little, then no more."""
        task, owner = self._running.pop(p), self.owners.get(p)
        if owner is not None:
            await self._last_checkpoint(owner)
        task.cancel()
        await asyncio.wait([task])
        self.owners.pop(p, None)

    async def _last_checkpoint(self, owner: Owner) -> None:
        """Sparing the next owner the fold, if it can be had in time."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(GIVE_UP_S):
                await owner.checkpoint()

    async def _own(self, p: int, owner: Owner) -> None:
        try:
            await owner.run()
        except asyncio.CancelledError:
            raise
        except BaseException as e:
            owner.reason = f"stopped: {e!r}"
            owner.ready.clear()
            log_.error("owner stopped", partition=p, exc_info=e)

    # --- contents of definitions

    def _content(self, hash: str) -> str | None:
        return self._contents.get(hash)

    def _take_definitions(self, batch: Sequence[LogRecord]) -> None:
        for record in batch:
            if record.key is not None and record.value:
                self._contents[record.key.decode()] = record.value.decode()

    # --- commands

    def route(self, command: c.AnyCommand, id: str = "") -> int:
        """The partition that a command belongs to. One without a key goes by its id, so that the same id always meets the same partition."""
        if (home := routes.home_of(command, id, self.partitions)) >= 0:
            return home
        self._next = (self._next + 1) % self.partitions
        if type(command) is c.StartInstance and self.owners and self._next not in self.owners:
            local = sorted(self.owners)
            return local[self._next % len(local)]
        return self._next

    def submit(
        self, command: c.AnyCommand, caller: Caller = NOBODY, id: str = "", partition: int | None = None, plan: str = ""
    ) -> asyncio.Future[Answer]:
        """As `call`, without waiting."""
        # the loop is asked for once: to find out which one runs, Python asks the system which process this is
        future: asyncio.Future[Answer] = (self._loop or asyncio.get_running_loop()).create_future()
        kind, owners, partitions = type(command), self.owners, self.partitions
        p = self.route(command, id) if partition is None else partition
        if not 0 <= p < partitions:
            future.set_result(
                Rejected(RejectionCode.NOT_FOUND, f"expected a key of one of {partitions} partitions, found one of partition {p}")
            )
            return future
        if id:
            cause = f"request:{id}"
        else:  # a name of our own for who gave none: where the walk from an event to its first cause ends
            self._asked = asked = self._asked + 1
            cause = f"{self._cause}{asked}"
        epoch = self.epoch() if kind in c.BY_DEFINITION else 0
        if caller is NOBODY and not plan:
            request = c.Request(command=command, id=id, cause=cause, epoch=epoch)
        else:
            request = request_of(command, caller, id, cause, epoch, plan)
        if kind in c.CHANGES:
            future.add_done_callback(self._changed)
        owner = owners.get(p)
        if owner is not None and ((self.owns and not self._closing and len(owners) == partitions) or owner.ready.is_set()):
            self._admit(p, owner, request, future)
        else:
            self._send_remote(p, request, future)
        return future

    def _admit(self, p: int, owner: Owner, request: c.Request, future: asyncio.Future[Answer]) -> None:
        """To the owner, unless more waits there than it can do in time."""
        found, command = self.admission.get(p), request.command
        if found is None or found[0] != owner.epoch:  # what an earlier epoch had in hand was answered when it ended
            found = self.admission[p] = (owner.epoch, Admission(self.clock.mono), f"partition {p}")
        _, queue, name = found
        counted = type(command) not in MAY_WAIT or counts(command)
        if (refused := queue.refuses(command, name, queue.clock(), counted, tenant := request.tenant)) is not None:
            if self.observer is not None:
                self.observer.rejected(type(command).__name__, refused.code)
            if not future.done():
                future.set_result(refused)
        elif counted:

            def reply(answer: Answer) -> None:
                queue.ended(tenant)
                if not future.done():
                    future.set_result(answer)

            owner.offer(request, reply)
        else:
            owner.offer(request, lambda answer: None if future.done() else future.set_result(answer))

    def _changed(self, future: asyncio.Future[Answer]) -> None:
        """A change of definitions was answered: what is asked of this node from now on is by its epoch at the least."""
        if not future.cancelled() and isinstance(answer := future.result(), dict):
            self._epoch = max(self._epoch, answer.get("epoch", 0))

    def epoch(self) -> int:
        """Of definitions, that this node knows of: by its own callers, or by its partitions, which hear of what is on the log only."""
        epoch = self._epoch
        if self.partitions > 1:
            for p, owner in self.owners.items():
                if p and (heard := owner.state.meta.definitions) > epoch:
                    epoch = heard
        return epoch

    async def call(
        self, command: c.AnyCommand, caller: Caller = NOBODY, *, id: str = "", partition: int | None = None, timeout_s: float = 30.0,
        plan: str = "",
    ) -> Answer:  # fmt: skip
        return await within(self.submit(command, caller, id, partition, plan), timeout_s)

    async def _ask_peer(self, p: int, command: c.AnyCommand) -> Answer:
        return await self.call(command, ENGINE, partition=p, timeout_s=FOREIGN_S)

    def _send_remote(self, p: int, request: c.Request, future: asyncio.Future[Any]) -> None:
        self._reply_number += 1
        number = self._reply_number
        self._replies[number] = future
        future.add_done_callback(lambda _: self._replies.pop(number, None))
        sent = msgspec.structs.replace(request, reply_to=f"{self._node}|{self._reply_partition}|{number}", time_us=self.clock())
        try:
            appended = self.log.submit(COMMANDS, p, Group([None], [_encode_request(sent)]))
        except LogError as e:
            future.set_result(Rejected(RejectionCode.UNAVAILABLE, str(e), 200))
            return

        def failed(f: asyncio.Future[Any]) -> None:
            if not f.cancelled() and f.exception() is not None and not future.done():
                future.set_result(Rejected(RejectionCode.UNAVAILABLE, f"the log doesn't answer: {f.exception()}", 500))

        appended.add_done_callback(failed)

    def _replier(self, request: c.Request) -> Callable[[Any], None]:
        """For a command that came through the topic: its answer goes to `replies`."""
        node, partition, number = request.reply_to.split("|")

        def reply(answer: Any) -> None:
            body = {"rejected": msgspec.to_builtins(answer)} if isinstance(answer, Rejected) else {"answer": answer}
            with contextlib.suppress(LogError, LookupError, ValueError):  # an address that leads nowhere: nobody waits there
                self.log.submit(REPLIES, int(partition), Group([node.encode()], [_encode_answer(body)], (("number", number.encode()),)))

        return reply

    def _take_replies(self, batch: Sequence[LogRecord]) -> None:
        me = self._node.encode()
        for record in batch:
            if record.key != me:
                continue
            future = self._replies.get(int(record.header("number") or b"0"))
            if future is not None and not future.done():
                body = decode_json(record.value)
                future.set_result(Rejected(**body["rejected"]) if "rejected" in body else body["answer"])

    # --- jobs

    async def activate(
        self, job_type: str, worker: str, max_jobs: int, timeout_ms: int, wait_ms: int = 0, fetch: Sequence[str] | None = None,
        caller: Caller = NOBODY,
    ) -> list[dict[str, Any]]:  # fmt: skip
        if not job_type or max_jobs < 1 or not 1 <= timeout_ms <= LEASE_MS_MAX:
            raise ValueError(f"expected a job type, at least one job and a timeout of 1 to {LEASE_MS_MAX} ms")
        wanted = c.ActivateTasks(
            job_type=job_type, worker=worker, max=max_jobs, timeout_ms=timeout_ms, fetch=list(fetch) if fetch else None
        )
        deadline = self._now() + wait_ms / 1000
        pause = 0.02
        while True:
            if jobs := await self._all_over(wanted, caller):
                return jobs
            left = deadline - self._now()
            if left <= 0:
                return jobs
            if len(self.owners) == self.partitions:  # all are here: whoever gets a job says so
                jobs = await once(self.pollers, job_type, worker, max_jobs, timeout_ms, left, fetch, caller)
                return sorted(jobs, key=_urgency)
            jobs = await self._local(job_type, worker, max_jobs, timeout_ms, min(pause, left), fetch, caller)
            if jobs:
                return sorted(jobs, key=_urgency)
            pause = min(pause * 1.5, 0.5)

    async def _all_over(self, wanted: c.ActivateTasks, caller: Caller) -> Jobs:
        """One round over all partitions, until the number is reached. All are asked first what waits there, so that the most urgent come from
        wherever they are; those of the same priority by turns, each round beginning at another partition."""
        if self.partitions == len(self.owners) == 1:
            return await self._local(wanted.job_type, wanted.worker, wanted.max, wanted.timeout_ms, 0, wanted.fetch, caller)
        self._round += 1
        turn = [(p + self._round) % self.partitions for p in range(self.partitions)]
        peek = c.PeekTasks(job_type=wanted.job_type, max=wanted.max, tenants=wanted.tenants)
        seen = await asyncio.gather(*(self.call(peek, caller, partition=p, timeout_s=FOREIGN_S) for p in turn))
        shares = activation.shares({p: a["waiting"] for p, a in zip(turn, seen, strict=True) if not isinstance(a, Rejected)}, wanted.max)
        asked = [msgspec.structs.replace(wanted, max=n) for n in shares.values()]
        found = await asyncio.gather(*(self._foreign(p, w, caller) for p, w in zip(shares, asked, strict=True)))
        return sorted((job for jobs in found for job in jobs), key=_urgency)

    async def _local(
        self, job_type: str, worker: str, max_jobs: int, timeout_ms: int, wait_s: float, fetch: Sequence[str] | None, caller: Caller
    ) -> Jobs:
        if not wait_s and not any((caller.tenant, job_type) in o.state.ready for o in self.owners.values()):
            return []
        return await once(self.pollers, job_type, worker, max_jobs, timeout_ms, wait_s or 1.0, fetch, caller)

    async def _foreign(self, p: int, command: c.ActivateTasks, caller: Caller, timeout_s: float = 5.0) -> Jobs:
        """Jobs of a partition of another node. An answer that comes too late, or to nobody, gives them back."""
        future = self.submit(command, caller, "", p)

        def late(f: asyncio.Future[Answer]) -> None:
            if not f.cancelled() and isinstance(answer := f.result(), dict):
                self._unwanted(answer["jobs"])

        try:
            await asyncio.wait((future,), timeout=timeout_s)
        except asyncio.CancelledError:
            future.add_done_callback(late)
            raise
        if not future.done():
            future.add_done_callback(late)
            return []
        answer = future.result()
        return [] if isinstance(answer, Rejected) else answer["jobs"]

    def _unwanted(self, jobs: Jobs) -> None:
        """They were leased to one who has left, or perhaps: others may have them at once."""
        by_partition: dict[int, list[dict[str, Any]]] = {}
        for job in jobs if not self._closing else ():
            by_partition.setdefault(c.partition_of_key(job["key"]), []).append(job)
        for p, those in by_partition.items():
            self._background.add(task := asyncio.ensure_future(self._return(p, those)))
            task.add_done_callback(self._background.discard)

    async def _return(self, p: int, jobs: Jobs) -> None:
        """Said until it is heard: without it they rest until their leases end."""
        command = c.ReturnTasks(
            tasks=[j["key"] for j in jobs], fences=[j["fence"] for j in jobs], deadlines=[j["deadline_us"] for j in jobs]
        )
        delay, end = BACK_OFF_MIN_S, self._now() + RETURN_S
        while (answer := await self.call(command, ENGINE, partition=p, timeout_s=5.0)) and self._now() < end:
            if not isinstance(answer, Rejected) or answer.code not in _AGAIN:
                return
            await asyncio.sleep(delay)
            delay = min(delay * 2, BACK_OFF_MAX_S)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def stream(
        self, job_type: str, worker: str, timeout_ms: int, fetch: Sequence[str] | None = None, credit: int = 256, caller: Caller = NOBODY
    ) -> Stream:
        return Stream(self.pollers, lambda deliver: Poller(job_type, worker, credit, timeout_ms, fetch, caller, False, deliver))

    # --- looking

    def events(self, positions: dict[int, int] | None = None) -> AsyncIterator[list[Recorded]]:
        """Counted events of all partitions, live."""
        return self.tail.events(self.partitions, positions)

    async def ends(self) -> dict[int, int]:
        return await self.tail.ends(self.partitions)

    async def event(self, partition: int, offset: int) -> Recorded | None:
        return await self.tail.one(partition, offset)

    def definition(self, key: int) -> dict[str, Any] | None:
        for owner in self.owners.values():
            found = owner.state.definitions.get(key)
            if found is not None:
                return {**lookup.fields(found), "metadata": found.metadata, "tenant": found.tenant}
        return None

    def health(self) -> dict[str, Any]:
        reasons = [f"partition {p}: {o.reason}" for p, o in sorted(self.owners.items()) if not o.ready.is_set()]
        if not self._opened:
            reasons.append("the log is not open yet")
        elif self.owns and not self.owners:
            reasons.append("no partition is assigned to this node yet")
        for p, owner in sorted(self.owners.items()):
            if owner.ready.is_set() and (waiting := owner.unacknowledged_s()) > STALLED_S:
                reasons.append(f"partition {p}: the log has not acknowledged for {waiting:.0f} s")
        reasons += [f"{what}: {why}" for what, why in self._broken.items()]
        warnings = [note for _, owner in sorted(self.owners.items()) for note in owner.notes]
        for _, owner in sorted(self.owners.items()):
            defects = (x for x in owner.state.incidents.values() if x.code in ("QUARANTINED", "ENGINE_DEFECT"))
            warnings += [f"{x.code} {f'instance {x.instance}: ' if x.instance else ''}{x.message[:300]}" for x in islice(defects, 20)]
        if (signing := self.settings.signing) is not None and signing.anchors is not None:
            warnings += signing.anchors.errors
        return {
            "ready": not reasons,
            "reasons": reasons,
            "warnings": warnings,
            "partitions": {p: {"epoch": o.epoch, "position": o.acked} for p, o in sorted(self.owners.items())},
        }


def _urgency(job: dict[str, Any]) -> tuple[int, int]:
    return -job.get("priority", 0), job["key"]


_AGAIN = {RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED, RejectionCode.RESOURCE_EXHAUSTED}
__all__ = ["Engine", "Poller", "Pollers", "Stream", "_decode_request"]
