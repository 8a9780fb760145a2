"""The owner of one partition: takes it over, decides on batches of commands, appends each batch as one group, and only then answers.

Source: `docs/log-protocol.md`, "The owner". Deciding is synchronous and pure; this shell brings commands, time and the log to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events.base import Envelope, Event, Rejected, RejectionCode
from flowledger.events.definition import DefinitionCreated
from flowledger.kernel import Facts, Partition, decide
from flowledger.kernel import checkpoint as images
from flowledger.kernel.decision import Decision
from flowledger.kernel.model.library import Library
from flowledger.processors import due
from flowledger.processors.flight import Dead, Flight, Pending
from flowledger.processors.log import COMMANDS, DEAD_LETTER, DEFINITIONS, EVENTS, STATE, Group, Log, LogError, RecordTooLarge
from flowledger.processors.recovery import ChainBroken, claim, counted, load, quiet
from flowledger.processors.sends import Sends

log_ = structlog.get_logger("flowledger.owner")

#: commands that one group is made of at the most
BATCH_MAX = 512
#: events after which a group is closed, so that a reader's memory stays bounded
EVENTS_MAX = 20_000
#: groups in flight
IN_FLIGHT_MAX = 6
#: commands that may wait before callers are told to come again
INBOX_MAX = 20_000
#: due timers, leases and retries that one step takes
DUE_MAX = 500
#: a checkpoint is written when this many things changed, or after this time (seconds)
CHECKPOINT_CHANGES = 20_000
CHECKPOINT_S = 30.0
#: whom another owner fenced waits this long before it claims again: the group's news that the partition moved come meanwhile (seconds)
FENCED_S = 1.0
#: the longest that an owner waits between two attempts, and the time after which one counts as having gone well (seconds)
BACK_OFF_S = 2.0
#: after a group that failed, commands are taken one by one for so long, to find the one that did it (seconds)
CAREFUL_S = 5.0

_encode_request = msgspec.json.Encoder(decimal_format="number").encode
_decode_request = msgspec.json.Decoder(c.Request, float_hook=avro._exact).decode


class Settings:
    """What an owner may be told. All have defaults that suit."""

    __slots__ = ("batch_max", "checkpoint_changes", "checkpoint_s", "inbox_max", "instances_max", "node", "spread")

    def __init__(
        self,
        batch_max: int = BATCH_MAX,
        inbox_max: int = INBOX_MAX,
        instances_max: int = 0,
        checkpoint_changes: int = CHECKPOINT_CHANGES,
        checkpoint_s: float = CHECKPOINT_S,
        node: str = "",
        spread: bool = False,
    ) -> None:
        self.batch_max, self.inbox_max, self.instances_max = batch_max, inbox_max, instances_max
        self.checkpoint_changes, self.checkpoint_s, self.node, self.spread = checkpoint_changes, checkpoint_s, node, spread


class Fenced(Exception):
    """Another owner claimed the partition."""


class Owner:
    """One partition. `run` until cancelled or fenced; `offer` gives it commands."""

    def __init__(
        self, log: Log, partition: int, library: Library, settings: Settings | None = None, clock: Callable[[], int] | None = None,
        observer: Any = None, pollers: Any = None, ensure: Any = None, reply_to: Any = None, token: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        #: makes the random id of a claim; a simulation gives its own
        self._token = token or (lambda: secrets.token_hex(8))
        self.log, self.partition, self.library = log, partition, library
        self.settings = settings or Settings()
        self.clock = clock or (lambda: time.time_ns() // 1000)
        self.observer = observer
        self._tracing = bool(getattr(observer, "tracing", False))
        self.pollers = pollers
        self._ensure = ensure
        self._reply_to = reply_to
        self.state = Partition(partition, log.partitions)
        self.facts = Facts()
        self.ready = asyncio.Event()
        #: what stops it from serving, for health
        self.reason = "not started"
        self.epoch = 0
        self.owner_id = ""
        self.end = 0
        self.acked = 0
        self.source = -1
        self.chain = rules.GENESIS
        self._void = 0
        self._inbox: deque[Pending] = deque()
        #: follow-ups of this step, for the next one
        self._put_by: list[Pending] = []
        self._flights: deque[Flight] = deque()
        self._acks: asyncio.Queue[Flight] = asyncio.Queue()
        self._scheduled = False
        self._stopping: BaseException | None = None
        self._stopped = asyncio.Event()
        self._waiting: dict[int, list[tuple[Callable[[Any], None], dict[str, Any], list[str] | None]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._checkpoint_at = 0.0
        self._written: set[bytes] = set()
        self._checkpointing = False
        self._checkpoints = 0
        self._sends = Sends(log, partition, self.state, self._confirm)
        #: offsets of commands that failed in the engine itself, alone in their group
        self._poison: set[int] = set()
        #: after a group that failed, commands are taken one by one up to this time of the loop, to find the one that did it
        self._careful_to = 0.0
        self._space = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []
        self._refused = 0

    # --- life -----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take over and serve; when fenced or in doubt, again, until cancelled (the assignment decides). Raises: CancelledError, ChainBroken."""
        delay = 0.05
        while True:
            try:
                await self._take_over()
                served = time.monotonic()
                try:
                    await self._serve()
                finally:
                    if time.monotonic() - served > BACK_OFF_S:
                        delay = 0.05
            except asyncio.CancelledError:
                await self._step_down(Fenced("stopped"))
                raise
            except Fenced as fenced:
                log_.warning("fenced", partition=self.partition, epoch=self.epoch, why=str(fenced))
                if self.observer is not None:
                    self.observer.fenced(self.partition)
                await self._step_down(fenced)
                await asyncio.sleep(FENCED_S)
            except ChainBroken:
                raise
            except (
                Exception
            ) as doubt:  # what a log or its client raises, and defects of ours: the log says what happened, from there it goes on
                known = isinstance(doubt, LogError)
                log_.warning(
                    "stepped down", partition=self.partition, why=str(doubt) if known else repr(doubt), exc_info=None if known else doubt
                )
                await self._step_down(doubt)
                await asyncio.sleep(delay)
                delay = min(delay * 2, BACK_OFF_S)

    async def _step_down(self, why: BaseException) -> None:
        """Drop the state; nobody was answered for what isn't on the log."""
        self.ready.clear()
        self.reason = f"stepped down: {why}"  # it stands until the log takes a claim again
        self._stopping = why
        self._sends.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:  # `wait`, since awaiting them one by one would take our own cancellation for theirs
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        text = "the owner of this partition changes" if isinstance(why, Fenced) else f"the log does not take it at the moment ({why})"
        gone = Rejected(RejectionCode.UNAVAILABLE, f"{text}: send it again, with the same id", 50)
        while self._flights:
            flight = self._flights.popleft()
            if flight.future is not None:  # its outcome is read from the log, if at all
                flight.future.add_done_callback(lambda f: f.cancelled() or f.exception())
            for reply, _, _ in flight.answers:
                reply(gone)
        self._acks = asyncio.Queue()
        while self._inbox:
            waiting = self._inbox.popleft()
            if waiting.reply is not None and waiting.offset < 0:
                waiting.reply(gone)
        for waiters in self._waiting.values():
            for reply, _, _ in waiters:
                reply(gone)
        self._waiting.clear()
        self._put_by.clear()
        if self.pollers is not None:
            self.pollers.detach(self)
        with contextlib.suppress(LogError):
            await self.log.reopen(EVENTS, self.partition)

    async def _take_over(self) -> None:
        """Load the last checkpoint, fold the tail, claim, fold up to the own claim. Raises: LogError, Fenced."""
        started = time.perf_counter()
        if self._stopping is None:
            self.reason = "taking over"
        self._loop = asyncio.get_running_loop()
        self._stopping = None
        state, reader, position = await load(self.log, self.partition, self._written)
        self.state = state
        owner_id = self._token()
        position = await claim(self.log, self.partition, state, reader, position, owner_id, self.settings.node, self.clock)
        self.epoch, self.owner_id = reader.epoch, owner_id
        self.end = self.acked = position
        self.source, self.chain = reader.source, reader.chain
        self._void = reader.void
        self.facts = Facts(
            0,
            self.library.processes(state),
            self.library.decisions(state),
            quiet(self.library.read),
            self.settings.instances_max,
            spread=self.settings.spread,
        )
        self._sends = Sends(self.log, self.partition, state, self._confirm)
        self._checkpoint_at = asyncio.get_running_loop().time()
        log_.info("took over", partition=self.partition, epoch=self.epoch, position=position, instances=len(state.instances),
                  seconds=round(time.perf_counter() - started, 3))  # fmt: skip
        if self.observer is not None:
            self.observer.took_over(self.partition, time.perf_counter() - started)

    async def _serve(self) -> None:
        """Until something stops it. Raises: LogError, Fenced."""
        self._stopped = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._acknowledge()),
            asyncio.create_task(self._consume()),
            asyncio.create_task(self._sends.resend()),
        ]
        self.ready.set()
        self.reason = ""
        for key in images.unsettled(self.state):
            self._inbox.append(Pending(self._internal(c.Continue(key=key))))
        if self.pollers is not None:
            self.pollers.attach(self)
        self._wake()
        waiting = asyncio.create_task(self._stopped.wait())
        try:
            done, _ = await asyncio.wait([waiting, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        for task in done:
            if task is not waiting and task.exception() is not None:
                raise task.exception()  # type: ignore[misc]
        if self._stopping is not None:
            raise self._stopping
        raise Fenced("a task of the owner ended")

    # --- commands in ------------------------------------------------------------------------------------------------------

    def offer(self, request: c.Request, reply: Callable[[Any], None]) -> None:
        """A command by direct call. Refused with a hint when too many wait."""
        if not self.ready.is_set():
            reply(Rejected(RejectionCode.UNAVAILABLE, f"partition {self.partition} is {self.reason or 'not ready'}", 100))
            return
        if len(self._inbox) >= self.settings.inbox_max:
            self._refused += 1
            reply(
                Rejected(
                    RejectionCode.RESOURCE_EXHAUSTED,
                    f"{len(self._inbox)} commands wait on partition {self.partition}: send slower", 20 + len(self._inbox) // 100,
                )
            )  # fmt: skip
            return
        self._inbox.append(Pending(request, reply))
        if not self._scheduled:
            self._wake()

    def _confirm(self, to: int, seq: int) -> None:
        self._inbox.append(Pending(self._internal(c.Confirm(to=to, seq=seq))))
        self._wake()

    def _internal(self, command: c.Command) -> c.Request:
        return c.Request(command=command)  # type: ignore[arg-type]

    def _wake(self) -> None:
        if not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._step)

    async def _consume(self) -> None:
        """Commands from the topic, from behind the last one that a counted group consumed."""
        start = max(self.source + 1, await self.log.begin(COMMANDS, self.partition))
        async for batch in self.log.read(COMMANDS, self.partition, start, follow=True):
            for record in batch:
                try:
                    request = _decode_request(record.value)
                    if record.offset in self._poison:
                        raise ValueError("it failed in the engine itself; its log tells why")
                    if self._ensure is not None and isinstance(request.command, (c.DefineElsewhere, c.StartInstance)):
                        await self._ensure(request.command)
                except (msgspec.DecodeError, ValueError) as e:
                    await self._dead_letter(record, str(e))
                    continue
                reply = self._reply_to(request) if request.reply_to and self._reply_to is not None else None
                self._inbox.append(Pending(request, reply, record.offset))
            self._wake()
            while len(self._inbox) > self.settings.inbox_max:
                self._space.clear()
                await self._space.wait()

    async def _dead_letter(self, record: Any, reason: str) -> None:
        log_.error("dead letter", partition=self.partition, offset=record.offset, reason=reason)
        if self.observer is not None:
            self.observer.dead_letter(reason)
        await self.log.append(
            DEAD_LETTER, self.partition,
            Group([record.key], [record.value], (("reason", reason.encode()[:1000]), ("source", b"%d" % record.offset), *record.headers)),
        )  # fmt: skip
        self._inbox.append(Pending(c.Request(command=Dead(record.offset, reason)), None, record.offset))  # type: ignore[arg-type]

    # --- deciding ---------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Decide on what waits, append what happened as one group."""
        self._scheduled = False
        if self._stopping is not None or not self.ready.is_set() or self._checkpointing:
            return
        if len(self._flights) >= IN_FLIGHT_MAX:
            self._put_off = True
            return  # an acknowledgement wakes it
        state, facts, inbox = self.state, self.facts, self._inbox
        now = max(self.clock(), state.meta.now_us, facts.now_us)  # never back, also where nothing was recorded
        facts.now_us = now
        self._collect_due(now)
        if not inbox and not (state.job_listener and self.pollers is not None):
            self._sleep(now)
            return
        pending: Pending | None = None
        flight = Flight()
        flight.started = time.perf_counter()
        values: list[bytes] = []
        keys: list[bytes] = []
        source = self.source
        taken = 0
        try:
            most = self.settings.batch_max if not self._careful_to or self._loop.time() > self._careful_to else 1  # type: ignore[union-attr]
            while inbox and taken < most and len(values) < EVENTS_MAX:
                pending = inbox.popleft()
                taken += 1
                self._decide(pending, flight, keys, values)
                if pending.offset >= 0:
                    source = pending.offset
            if self._put_by:  # what goes on lets everybody else have a turn first
                inbox.extend(self._put_by)
                self._put_by.clear()
            if self.pollers is not None and state.job_listener:
                self._hand_out(flight, keys, values)
        except Exception as bug:
            self._bug(bug, flight, pending, taken)
            return
        if flight.kinds:
            self.observer.decided(flight.kinds)
        if inbox:
            self._wake()
        if not self._space.is_set() and len(inbox) < self.settings.inbox_max // 2:
            self._space.set()
        if not values:
            if flight.answers:  # refusals, and answers that say what is already decided: after all that is in flight
                self._submit(flight)
            self.source = source
            self._sleep(now)
            return
        self.source = source
        self.chain = rules.chain_of(self.chain, values)
        flight.chain = self.chain
        flight.count = len(values)
        flight.expected = self.end
        self.end += len(values)
        group = Group(
            keys, values, rules.headers(self.epoch, self.owner_id, source), rules.last_headers(self.chain), timestamp_ms=now // 1000
        )
        try:
            flight.future = self.log.submit(EVENTS, self.partition, group, expected_end=flight.expected)
        except RecordTooLarge as e:
            self._bug(e, flight, pending, taken)
            return
        except LogError as e:
            self._stop(e)
            for reply, _, _ in flight.answers:
                reply(Rejected(RejectionCode.UNAVAILABLE, str(e), 100))
            return
        self._submit(flight)
        if self.observer is not None:
            self.observer.group(self.partition, taken, len(values), sum(map(len, values)))
        self._sleep(now)
        if (
            len(state.changed) >= self.settings.checkpoint_changes
            or asyncio.get_running_loop().time() - self._checkpoint_at > self.settings.checkpoint_s
        ):
            self._checkpointing = True
            asyncio.create_task(self._checkpoint())

    def _decide(self, pending: Pending, flight: Flight, keys: list[bytes], values: list[bytes]) -> None:
        request = pending.request
        command = request.command
        if type(command) is Dead:
            self._record([le.DeadLettered(source=command.source, reason=command.reason)], Envelope(self.facts.now_us), keys, values, flight)
            return
        made = decide(self.state, request, self.facts)
        if type(made) is Rejected:
            if pending.reply is not None:
                flight.answers.append((pending.reply, made, -1))
            if self.observer is not None:
                self.observer.rejected(type(command).__name__, made.code)
            return
        assert isinstance(made, Decision)
        if self.observer is not None:
            self._seen(request, flight)
        if made.events:
            self._record(made.events, made.envelope, keys, values, flight)
            if type(command) is c.Deploy:
                self._store_contents(made.events)
        for later in made.later:
            self._put_by.append(Pending(c.Request(command=later, tenant=request.tenant, actor=request.actor, id=request.id and f"{request.id}/+",  # type: ignore[arg-type]
                                                 correlation=request.correlation, trace=request.trace)))  # fmt: skip
        reply = pending.reply
        waits = type(command) in _WAITED and command.wait  # type: ignore[union-attr]
        if waits and reply is not None:
            key = made.answer.get("key") or made.answer.get("task")
            if key in self.state.instances or key in self.state.tasks:
                self._waiting.setdefault(key, []).append((reply, made.answer, command.fetch))  # type: ignore[union-attr]
                reply = None
        if made.finished and self._waiting:
            self._answer_waiting(made, flight, len(values) - 1)
        if reply is not None:
            if waits and made.finished:
                for key, status, variables, message in made.finished:
                    if key == (made.answer.get("key") or made.answer.get("task")):
                        made.answer = {**made.answer, **_outcome(status, variables, message, command.fetch)}  # type: ignore[union-attr]
            flight.answers.append((reply, made.answer, len(values) - 1 if made.events else -1))

    def _answer_waiting(self, made: Decision, flight: Flight, index: int) -> None:
        for key, status, variables, message in made.finished:
            for reply, answer, fetch in self._waiting.pop(key, ()):
                flight.answers.append((reply, {**answer, **_outcome(status, variables, message, fetch)}, index))

    def _record(self, events: list[Event], envelope: Envelope, keys: list[bytes], values: list[bytes], flight: Flight) -> None:
        values += avro.encode(events, envelope)
        for event in events:
            keys.append(event.key.to_bytes(8, "big"))
            if type(event) is le.Outbound:
                flight.sends.append((event.to, event.seq, event.command))
        if self.observer is not None:
            names = flight.names
            for event in events:
                name = type(event).__name__
                names[name] = names.get(name, 0) + 1

    def _seen(self, request: c.Request, flight: Flight) -> None:
        """For the observer, which is told once for each group."""
        kind = type(request.command).__name__
        flight.kinds[kind] = flight.kinds.get(kind, 0) + 1
        if self._tracing and request.trace:
            flight.traces.append(request.trace)

    def _hand_out(self, flight: Flight, keys: list[bytes], values: list[bytes]) -> None:
        """Jobs that became ready go to the workers that wait, in the same group that made them."""
        state = self.state
        for job_type in list(state.job_listener):
            while state.ready.get(job_type):
                poller = self.pollers.next_for(job_type)
                if poller is None:
                    break
                request = poller.request()
                made = decide(state, request, self.facts)
                if not isinstance(made, Decision) or not made.events:
                    self.pollers.give_back(poller)
                    break
                if self.observer is not None:
                    self._seen(request, flight)
                self._record(made.events, made.envelope, keys, values, flight)
                self.pollers.taken(poller, made.answer["jobs"])
                flight.answers.append((poller.deliver, made.answer, len(values) - 1))
            state.job_listener.discard(job_type)

    def _collect_due(self, now: int) -> None:
        """What is due comes in as commands, a bounded number at a time; the rest waits for the next step."""
        for command in due.collect(self.state, now, DUE_MAX):
            self._inbox.append(Pending(self._internal(command)))

    def _sleep(self, now: int) -> None:
        """Wake when the next thing is due."""
        next_at = due.next_at(self.state)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if next_at < due.NEVER and self._loop is not None:
            delay = max(0.0, (next_at - now) / 1_000_000)
            self._timer = self._loop.call_later(min(delay, 3600.0) + 0.0005, self._wake)

    def _bug(self, bug: Exception, flight: Flight, last: Pending | None, taken: int) -> None:
        """A defect of ours in a decision, or an event larger than the log takes. What it recorded is only in memory: the state is made anew
        from the log, and commands are taken one by one for a while. One that fails alone is refused for good, from the topic to the dead letters."""
        log_.error("a decision failed", partition=self.partition, exc_info=bug)
        alone = taken == 1 and last is not None
        if alone and last.offset >= 0:  # type: ignore[union-attr]
            self._poison.add(last.offset)  # type: ignore[union-attr]
        code = RejectionCode.UNAVAILABLE
        text = "the partition is being rebuilt: send it again, with the same id"
        if alone and isinstance(bug, RecordTooLarge):
            code, text = RejectionCode.INVALID_ARGUMENT, f"what it would write is too large: {bug}"
        refused = Rejected(code, text, 100 if code == RejectionCode.UNAVAILABLE else 0)
        replies = [reply for reply, _, _ in flight.answers]
        if last is not None and last.reply is not None and last.reply not in replies:
            replies.append(last.reply)
        for reply in replies:
            reply(refused)
        assert self._loop is not None
        self._careful_to = self._loop.time() + CAREFUL_S
        self._stop(LogError(f"a decision failed: {bug!r}"))

    def _stop(self, why: BaseException) -> None:
        self._stopping = self._stopping or why
        self.ready.clear()
        self._stopped.set()

    # --- after the append -------------------------------------------------------------------------------------------------

    def _submit(self, flight: Flight) -> None:
        self._flights.append(flight)
        if flight.future is not None:
            flight.future.add_done_callback(self._landed)
        elif len(self._flights) == 1:
            self._settle()

    def _landed(self, future: asyncio.Future[Any]) -> None:
        if self._stopping is None:
            self._settle()

    def _settle(self) -> None:
        """Acknowledged groups, in order: check that nobody else wrote, then answer and send."""
        while self._flights and not self._gap:
            flight = self._flights[0]
            future = flight.future
            first = -1
            if future is not None:
                if not future.done():
                    break
                if future.cancelled() or future.exception() is not None:
                    self._stop(future.exception() if not future.cancelled() else LogError("append cancelled"))  # type: ignore[arg-type]
                    return
                appended = future.result()
                if not appended.alone(flight.expected + self._shift):
                    self._gap = True  # it is read first; who lands meanwhile waits behind it
                    self._acks.put_nowait(flight)
                    return
                first = appended.first
            self._flights.popleft()
            self._finish(flight, first)
        if self._inbox or self._put_off:
            self._put_off = False
            self._wake()

    _shift = 0
    #: the first flight waits until what somebody else wrote before it was read
    _gap = False
    #: a step was due while too much was in flight
    _put_off = False

    async def _acknowledge(self) -> None:
        """Somebody else wrote in between: read what. A claim means fenced; only void records mean carry on."""
        self._shift, self._gap = 0, False
        while True:
            flight = await self._acks.get()
            assert flight.future is not None
            appended = flight.future.result()
            expected = flight.expected + self._shift
            async for batch in self.log.read(EVENTS, self.partition, expected, appended.end):
                for record in batch:
                    if record.value.startswith(rules._CLAIM_HEAD):
                        event, _ = avro.Decoder().decode(record.value)
                        if event.epoch == self.epoch + 1:  # type: ignore[attr-defined]
                            raise Fenced(f"claimed by {event.owner} with epoch {event.epoch}")  # type: ignore[attr-defined]
            self._shift += appended.end - expected - flight.count
            self._flights.popleft()
            self._finish(flight, appended.end - flight.count)
            self._gap = False
            self._settle()

    def _finish(self, flight: Flight, first: int) -> None:
        if first >= 0:
            self.acked = first + flight.count
            if self.observer is not None:
                self.observer.appended(self.partition, time.perf_counter() - flight.started, flight.names, flight.traces)
        for reply, answer, index in flight.answers:
            if index >= 0 and type(answer) is dict:
                answer = {**answer, "position": f"{self.partition}-{first + index}"}
            reply(answer)
        for to, seq, command in flight.sends:
            self._sends.send(to, seq, command)

    # --- contents and checkpoints -----------------------------------------------------------------------------------------

    def _store_contents(self, events: list[Event]) -> None:
        """The deployed resources go to `definitions` before anybody hears of them."""
        for event in events:
            if type(event) is DefinitionCreated and event.content:
                self.log.submit(
                    DEFINITIONS, 0, Group([event.hash.encode()], [event.content.encode()], (("name", event.resource.encode()),))
                )

    async def _checkpoint(self) -> None:
        """Write what changed, then a mark. Deciding rests meanwhile only until what is in flight has landed."""
        try:
            while self._flights and self._stopping is None:
                await asyncio.sleep(0.001)
            if self._stopping is not None:
                return
            state = self.state
            changed = set(state.changed)
            entries = [(k, v) for k, v in images.records(state, changed) if v is not None or k in self._written]
            state.changed.clear()
            end, chain, source = self.acked, self.chain, self.source
            self._checkpoints += 1
            tag = (("epoch", b"%d" % self.epoch), ("checkpoint", b"%d" % self._checkpoints))
            for k, v in entries:
                (self._written.add if v is not None else self._written.discard)(k)
            mark = images.mark(state, end, chain, source, len(self._written))
            self._checkpoint_at = asyncio.get_running_loop().time()
            self._checkpointing = False
            self._wake()
            try:
                for at in range(0, len(entries), 2000):
                    part = entries[at : at + 2000]
                    await self.log.append(STATE, self.partition, Group([k for k, _ in part], [v for _, v in part], tag))
                await self.log.append(STATE, self.partition, Group([images.MARK], [mark], tag))
            except LogError:  # without its mark it never was: the next one says it all again
                state.changed |= changed
                self._written.update(k for k, _ in entries)
                raise
        except LogError as e:
            log_.warning("checkpoint failed", partition=self.partition, why=str(e))
        finally:
            self._checkpointing = False
            self._wake()

    async def checkpoint(self) -> None:
        """Now (tests, orderly shutdown)."""
        if self.ready.is_set():
            self._checkpointing = True
            await self._checkpoint()

    def unacknowledged_s(self) -> float:
        """How long the oldest group in flight has waited for the log, in seconds."""
        return time.perf_counter() - self._flights[0].started if self._flights else 0.0

    def figures(self) -> dict[str, int]:
        """For metrics and health."""
        s = self.state
        return {
            "epoch": self.epoch, "position": self.acked, "instances": s.open, "tasks": len(s.tasks), "timers": len(s.timers),
            "leases": sum(1 for t in s.tasks.values() if t.worker) if len(s.tasks) < 10_000 else len(s.leases), "incidents": len(s.incidents),
            "inbox": len(self._inbox), "in_flight": len(self._flights), "refused": self._refused,
        }  # fmt: skip


#: commands whose answer can wait for the end of what they began
_WAITED = frozenset({c.StartInstance, c.CreateTask})


def _outcome(status: str, variables: dict[str, Any], message: str, fetch: list[str] | None) -> dict[str, Any]:
    if fetch:
        variables = {name: variables[name] for name in fetch if name in variables}
    out: dict[str, Any] = {"status": status, "variables": variables}
    if message:
        out["message"] = message
    return out


__all__ = ["Fenced", "Owner", "Pending", "Settings", "counted", "load"]
