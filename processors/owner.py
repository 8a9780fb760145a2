"""The shell around the machine of a partition: takes it over, brings commands, acknowledgements and time to it, and does what it asks for.

Source: `docs/log-protocol.md`, "The owner". What is decided, answered and sent, and when, is in `machine.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import Facts, Partition
from flowledger.kernel import checkpoint as images
from flowledger.kernel.library import Library
from flowledger.kernel.tasks import guards
from flowledger.logs import log
from flowledger.processors import beside, watching
from flowledger.processors import clock as times
from flowledger.processors import effects as do
from flowledger.processors.clock import Clocks, LogClock
from flowledger.processors.flight import Flight, Pending, Reply
from flowledger.processors.intake import Intake
from flowledger.processors.log import COMMANDS, DEFINITIONS, EVENTS, STATE, Appended, Group, Log, LogError, LogRecord
from flowledger.processors.machine import OVERHEAD_BYTES, Claim, Defect, Fenced, Machine
from flowledger.processors.ports import Observer, Pollers
from flowledger.processors.recovery import Unservable, counted, load, quiet, take_over
from flowledger.processors.settings import BACK_OFF_S, FEEL_SOFT, FENCED_S, Settings

log_ = log("owner")
#: records of a checkpoint that are written as one group
CHECKPOINT_PART = 2_000


class Owner:
    """One partition. `run` until cancelled; `offer` gives it commands. `reason` says for health what stops it from serving."""

    def __init__(
        self, log: Log, partition: int, library: Library, settings: Settings | None = None, clock: Callable[[], int] | None = None,
        observer: Observer | None = None, pollers: Pollers | None = None,
        reply_to: Callable[[c.Request], Reply] | None = None, token: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        """`clock`: the clocks of this node, or microseconds UTC of one that is turned by hand; `token`: makes the random id of a claim."""
        self.log, self.partition, self.library = log, partition, library
        self.settings, self.observer, self.pollers = settings or Settings(), observer, pollers
        self.clocks: Clocks = times.clocks_of(clock)
        self._token = token or (lambda: secrets.token_hex(8))
        self.state = Partition(partition, log.partitions)
        self.ready = asyncio.Event()
        self.reason = "not started"
        self.epoch, self.owner_id = 0, ""
        self.machine: Machine | None = None
        self._intake = Intake(log, partition, observer, reply_to)
        self._standing = images.Standing()
        #: how other partitions are asked what only they know (None: nobody is), and whether an owner is in this process
        self.ask: Callable[[int, c.AnyCommand], Awaitable[Any]] | None = None
        self.near: Callable[[int], bool] = lambda partition: partition == self.partition
        #: what recovery found and mended, and what was lost, for health
        self.notes: list[str] = []
        self._careful = False
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._stopped = asyncio.Event()
        self._space = asyncio.Event()
        self._checkpointed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._perform: dict[type[Any], Callable[[Machine, Any], None]] = {
            do.Append: self._append, do.Answer: self._answer, do.Send: self._send, do.Store: self._store, do.ReadGap: self._read_gap,
            do.Checkpoint: self._checkpoint, do.DecideApart: self._decide_apart, do.WakeAt: self._wake_at, do.StepDown: self._step_down,
        }  # fmt: skip

    # --- life -----------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take over and serve; when fenced or in doubt, again, until cancelled (the assignment decides). Raises: CancelledError, Unservable."""
        delay = 0.05
        while True:
            served = time.monotonic()
            try:
                await self._serve(await self._take_over())
            except asyncio.CancelledError:
                await self._end(Fenced("stopped"))
                raise
            except Fenced as fenced:
                log_.warning("fenced", partition=self.partition, epoch=self.epoch, why=str(fenced))
                if self.observer is not None:
                    self.observer.fenced(self.partition)
                await self._end(fenced)
                await asyncio.sleep(FENCED_S)
            except Unservable:
                raise
            except Exception as doubt:
                known = isinstance(doubt, LogError)
                log_.warning("stepped down", partition=self.partition, why=str(doubt), exc_info=None if known else doubt)
                if isinstance(doubt, Defect):
                    self._careful = True
                    self._intake.poison |= {doubt.offset} - {-1}
                await self._end(doubt)
                if time.monotonic() - served > BACK_OFF_S:
                    delay = 0.05
                await asyncio.sleep(delay)
                delay = min(delay * 2, BACK_OFF_S)

    async def _take_over(self) -> Machine:
        """Load the last checkpoint, fold the tail, claim, fold up to the own claim. Raises: LogError, Unservable."""
        started = time.perf_counter()
        if not self.reason.startswith("stepped down"):
            self.reason = "taking over"
        self.owner_id, self.notes = self._token(), []
        state, reader, position = await take_over(
            self.log, self.partition, self._standing, self.owner_id, self.settings.node, self.clocks, self.notes.append
        )
        if state.protection and self.settings.vault is None:
            raise Unservable(f"partition {self.partition} has protected variables, and there is no key: set protect_key (docs/privacy.md)")
        self.state, self.epoch = state, reader.epoch
        clock = LogClock(*times.reading(state.meta, self.clocks))
        library = self.library
        facts = Facts(
            clock.now_us, library.processes(state), library.decisions(state), quiet(library.read, self.settings.look), self.settings.instances_max,
            spread=self.settings.spread, feel_soft=FEEL_SOFT, value_max=self.log.record_bytes_max - OVERHEAD_BYTES,
            answers_us=self.settings.answers_us, javascript=self.settings.javascript, forms=library.forms(state), triggers=library.triggers(state),
            rules=library.rules(state),
            stack_traces=self.settings.stack_traces, vault=self.settings.vault, retry=self.settings.retry, attempt_ms=self.settings.attempt_ms,
            state_validation=self.settings.state_validation,
        )  # fmt: skip
        begin, end = await self.log.begin(COMMANDS, self.partition), await self.log.end(COMMANDS, self.partition)
        where = Claim(self.partition, self.epoch, self.owner_id, position, reader.place(), end if begin < end else 0)
        machine = self.machine = Machine(
            where, state, facts, clock, self.settings, self._standing, self.pollers, self.observer, self._careful, self.near, self._intake.poison,
        )  # fmt: skip
        self._careful = False
        log_.info("took over", partition=self.partition, epoch=self.epoch, position=position, instances=len(state.instances),
                  seconds=round(time.perf_counter() - started, 3))  # fmt: skip
        if self.observer is not None:
            self.observer.took_over(self.partition, time.perf_counter() - started)
        return machine

    async def _serve(self, machine: Machine) -> None:
        """Until something stops it. Raises: LogError, Fenced, Defect."""
        self._stopped = asyncio.Event()
        self.reason = ""
        self.ready.set()
        if self.pollers is not None:
            self.pollers.attach(self)
        self.wake()
        reading = self._spawn(self._intake.follow(machine.source, partial(self._consumed, machine), self.notes.append))
        stopped = self._spawn(self._stopped.wait())
        self._spawn(watching.watch(self, machine))
        await asyncio.wait([reading, stopped], return_when=asyncio.FIRST_COMPLETED)
        if machine.stopped is None:
            why = reading.exception() or Fenced("the commands ended")
            machine.step_down(why)
            self._pump(machine)
        assert machine.stopped is not None
        raise machine.stopped

    async def _end(self, why: BaseException) -> None:
        """Whoever waits is told; nothing of this claim goes on."""
        self.ready.clear()
        self.reason = f"stepped down: {why}"
        if self.machine is not None:
            self.machine.step_down(why)
            self._pump(self.machine)
        for task in self._tasks:
            task.cancel()
        if self._tasks:  # `wait`, since awaiting them one by one would take our own cancellation for theirs
            await asyncio.wait(self._tasks)
        self._cancel_timer()
        if self.pollers is not None:
            self.pollers.detach(self)
        with contextlib.suppress(LogError):
            await self.log.reopen(EVENTS, self.partition)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- in -------------------------------------------------------------------------------------------------------------------

    def offer(self, request: c.Request, reply: Reply) -> None:
        """A command by direct call. Refused with a hint when the partition is not served, or too many wait."""
        if (machine := self.machine) is None or not self.ready.is_set():
            reply(Rejected(RejectionCode.UNAVAILABLE, f"partition {self.partition} is {self.reason or 'not ready'}", 100))
            return
        machine.offer(request, reply)
        if not self._scheduled:
            self.wake()

    def wake(self) -> None:
        """There is something to do."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._step)

    _wake = wake

    def _step(self) -> None:
        self._scheduled = False
        machine = self.machine
        if machine is None or machine.stopped is not None:
            return
        self._cancel_timer()
        machine.step(self.clocks.wall(), self.clocks.mono())
        self._pump(machine)
        if not self._space.is_set() and machine.waiting < self.settings.inbox_max // 2:
            self._space.set()

    async def _consumed(self, machine: Machine, pending: list[Pending]) -> None:
        machine.consumed(pending)
        self.wake()
        while machine.waiting > self.settings.inbox_max:
            self._space.clear()
            await self._space.wait()

    # --- out ------------------------------------------------------------------------------------------------------------------

    def _pump(self, machine: Machine) -> None:
        """Do what the machine asks for, also what it asks for because of that."""
        perform = self._perform
        while machine.out:
            asked, machine.out = machine.out, []
            for effect in asked:
                perform[type(effect)](machine, effect)
        if machine.hungry:
            self.wake()

    def _append(self, machine: Machine, e: do.Append) -> None:
        e.flight.started = time.perf_counter()
        try:
            future = self.log.submit(EVENTS, self.partition, e.group, expected_end=e.flight.expected)
        except LogError as why:
            machine.failed(why)
            return
        future.add_done_callback(partial(self._landed, machine, e.flight))

    def _landed(self, machine: Machine, flight: Flight, future: asyncio.Future[Appended]) -> None:
        if future.cancelled():
            machine.failed(LogError("append cancelled"))
        elif (why := future.exception()) is not None:
            machine.failed(why)
        else:
            first, end, _ = future.result()
            machine.acknowledged(flight, first, end)
            if self.observer is not None and machine.stopped is None:
                self.observer.appended(self.partition, time.perf_counter() - flight.started, flight.names, flight.traces)
        self._pump(machine)

    def _answer(self, machine: Machine, e: do.Answer) -> None:
        for reply, answer in e.replies:
            try:
                reply(answer)
            except Exception as bug:
                log_.error("an answer could not be given", partition=self.partition, exc_info=bug)

    def _send(self, machine: Machine, e: do.Send) -> None:
        self._submit(COMMANDS, e.to, e.group)

    def _store(self, machine: Machine, e: do.Store) -> None:
        self._submit(DEFINITIONS, 0, e.group)

    def _submit(self, topic: str, partition: int, group: Group) -> None:
        """What gets lost is sent again, or found missing and asked for."""
        try:
            future = self.log.submit(topic, partition, group)
        except LogError as why:
            log_.warning("not sent", topic=topic, to=partition, why=str(why))
            return
        future.add_done_callback(lambda f: f.cancelled() or f.exception())

    def _read_gap(self, machine: Machine, e: do.ReadGap) -> None:
        self._spawn(self._gap(machine, e))

    async def _gap(self, machine: Machine, e: do.ReadGap) -> None:
        found: list[LogRecord] = []
        try:
            async for batch in self.log.read(EVENTS, self.partition, e.start, e.stop):
                found += batch
        except LogError as why:
            machine.failed(why)
        else:
            machine.gap_read(found)
        self._pump(machine)

    def _decide_apart(self, machine: Machine, e: do.DecideApart) -> None:
        self._spawn(self._apart(machine, e))

    async def _apart(self, machine: Machine, e: do.DecideApart) -> None:
        await asyncio.sleep(e.delay_s)
        machine.decided_apart(e.pending, await beside.run(partial(machine.apart, e.pending)))
        self._pump(machine)

    def _checkpoint(self, machine: Machine, e: do.Checkpoint) -> None:
        self._spawn(self._write(machine, e))

    async def _write(self, machine: Machine, e: do.Checkpoint) -> None:
        try:
            for at in range(0, len(e.entries), CHECKPOINT_PART):
                part, own = e.entries[at : at + CHECKPOINT_PART], e.digests[at : at + CHECKPOINT_PART]
                await self.log.append(STATE, self.partition, Group([k for k, _ in part], [v for _, v in part], e.tag, each=own))
            seal = ((images.DIGEST, images.digest_of(images.MARK, e.mark)),)
            await self.log.append(STATE, self.partition, Group([images.MARK], [e.mark], e.tag, seal))
            machine.checkpoints.done()
        except LogError as why:
            log_.warning("checkpoint failed", partition=self.partition, why=str(why))
            machine.checkpoints.failed()
        finally:
            self._checkpointed.set()

    def _wake_at(self, machine: Machine, e: do.WakeAt) -> None:
        if self._timer is not None and self._timer_at <= e.at_us:
            return
        self._cancel_timer()
        delay = max(0.0, (e.at_us - machine.clock.now_us) / 1_000_000)
        self._timer_at = e.at_us
        self._timer = asyncio.get_running_loop().call_later(min(delay, 3600.0) + 0.0005, self.wake)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step_down(self, machine: Machine, e: do.StepDown) -> None:
        self.ready.clear()
        self.reason = f"stepped down: {e.why}"  # it stands until the log takes a claim again
        self._stopped.set()

    def doubt(self, why: BaseException) -> None:
        """Step down, as after an append of which nobody knows; the log says what happened."""
        if self.machine is not None:
            self.machine.failed(why)
            self._pump(self.machine)

    # --- looking --------------------------------------------------------------------------------------------------------------

    async def checkpoint(self) -> None:
        """Now (tests, orderly shutdown)."""
        machine = self.machine
        if machine is None or not self.ready.is_set():
            return
        if machine.checkpoints.writing:
            await self._checkpointed.wait()
        self._checkpointed.clear()
        if machine.head_due():
            self._step()
        if not self.settings.snapshots:  # what is in flight gets to the log all the same
            while machine.flights and machine.stopped is None:
                await asyncio.sleep(0.005)
            return
        machine.checkpoint()
        self._pump(machine)
        waits = [self._spawn(self._checkpointed.wait()), self._spawn(self._stopped.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()

    @property
    def acked(self) -> int:
        """The end of what of this partition is known to be on the log."""
        return self.machine.acked if self.machine is not None else 0

    @property
    def end(self) -> int:
        """As `acked`, with what is in flight."""
        return self.machine.end if self.machine is not None else 0

    def unacknowledged_s(self) -> float:
        """How long the oldest group in flight has waited for the log, in seconds."""
        flights = self.machine.flights if self.machine is not None else ()
        return max(0.0, time.perf_counter() - flights[0].started) if flights and flights[0].started else 0.0

    def figures(self) -> dict[str, int]:
        """For metrics and health."""
        s, m = self.state, self.machine
        return {
            "epoch": self.epoch, "position": self.acked, "instances": s.open, "pending": len(s.pending), "tasks": len(s.tasks), "timers": len(s.timers),
            "leases": sum(1 for t in list(s.tasks.values()) if t.worker) if len(s.tasks) < 10_000 else len(s.leases), "incidents": len(s.incidents),
            "breakers": guards.tripped(s), "inbox": len(m.waits) if m else 0, "in_flight": len(m.flights) if m else 0, "refused": m.refused if m else 0,
        }  # fmt: skip


__all__ = ["Fenced", "Owner", "Pending", "Settings", "counted", "load"]
