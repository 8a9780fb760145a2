"""The owner of one partition as a machine: commands, acknowledgements, gaps and time go in, effects come out.

No clock, no log, no loop: the shell (`owner.py`) brings them, and a simulation may as well. One machine lives for one claim.
Source: `docs/log-protocol.md`, "The owner".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events.base import Broken, Envelope, Event, Rejected, RejectionCode
from flowledger.events.definition import DefinitionCreated
from flowledger.kernel import Facts, Partition, decide, evolve, record_broken
from flowledger.kernel import checkpoint as images
from flowledger.kernel.decision import Decision
from flowledger.kernel.folds import answers
from flowledger.processors import due
from flowledger.processors.checkpoints import Checkpoints
from flowledger.processors.clock import LogClock
from flowledger.processors.effects import Answer, Append, Effect, ReadGap, StepDown, Store, WakeAt
from flowledger.processors.flight import Dead, Flight, Pending, Reply, Told
from flowledger.processors.heads import Heads
from flowledger.processors.log import RECORD_BYTES_MAX, Group, LogRecord
from flowledger.processors.ports import Observer, Pollers
from flowledger.processors.sends import Sends
from flowledger.processors.settings import BYTES_MAX, CAREFUL_US, DUE_MAX, EVENTS_MAX, IN_FLIGHT_MAX, Settings
from flowledger.processors.waiting import Waiting

#: what key, headers and framing of a record may take beside its value (bytes)
OVERHEAD_BYTES = 1_024


class Fenced(Exception):
    """Another owner claimed the partition."""


class Defect(Exception):
    """A decision failed in a way that leaves the state in doubt. `offset`: of the command, when it was alone in its group; else -1."""

    def __init__(self, why: Exception, offset: int = -1) -> None:
        super().__init__(f"a decision failed: {why!r}")
        self.why, self.offset = why, offset


class TooLarge(Exception):
    """A decision's event is larger than the log takes."""


class Claim(NamedTuple):
    """Where an owner begins: behind its own claim."""

    partition: int
    epoch: int
    owner: str
    #: offset behind all that was read
    position: int
    #: where the log stands there
    place: rules.Place
    #: largest value of a record that the log takes, in bytes
    value_max: int = RECORD_BYTES_MAX - OVERHEAD_BYTES


class Machine:
    """`out` gets the effects; the shell takes them away after each call. `hungry`: it has work for another `step` at once."""

    def __init__(
        self, claim: Claim, state: Partition, facts: Facts, clock: LogClock, settings: Settings | None = None, standing: images.Standing | None = None,
        pollers: Pollers | None = None, observer: Observer | None = None, careful: bool = False,
    ) -> None:  # fmt: skip
        self.claim, self.state, self.facts, self.clock = claim, state, facts, clock
        self.settings = settings or Settings()
        self._pollers, self._observer = pollers, observer
        self._tracing = observer is not None and observer.tracing
        self.out: list[Effect] = []
        self.stopped: BaseException | None = None
        self.hungry = True
        self.inbox: deque[Pending] = deque()
        self.flights: deque[Flight] = deque()
        self.source, self._seal = claim.place.source, rules.Seal(claim.place)
        signing = self.settings.signing
        self._heads = Heads(signing, claim.partition, claim.epoch, claim.place.number, state.meta.signer) if signing is not None else None
        #: the end of the log with all that is in flight, and without
        self.end = self.acked = claim.position
        self.refused = 0
        now = clock.now_us
        #: after a group that failed, commands are taken one by one up to this time, to find the one that did it
        self._careful_to = now + CAREFUL_US if careful else 0
        #: follow-ups of this step, for the next one
        self._put_by: list[Pending] = []
        self._waiting = Waiting()
        self.sends = Sends(state)
        s = self.settings
        self.checkpoints = Checkpoints(
            claim.epoch, standing if standing is not None else images.Standing(), s.checkpoint_changes, int(s.checkpoint_s * 1e6), now
        )
        #: a checkpoint waits until nothing is in flight
        self._resting = False
        #: the first flight waits until what somebody else wrote before it was read
        self._gap = False
        #: records that others wrote since the claim
        self._shift = 0
        #: a step was due while too much was in flight
        self._put_off = False
        for key in images.unsettled(state):
            self._internal(c.Continue(key=key))

    # --- commands in ----------------------------------------------------------------------------------------------------------

    def offer(self, request: c.Request, reply: Reply) -> None:
        """A command by direct call. Refused with a hint when too many wait."""
        waiting = len(self.inbox)
        if waiting >= self.settings.inbox_max:
            self.refused += 1
            text = f"{waiting} commands wait on partition {self.claim.partition}: send slower"
            self.out.append(Answer([(reply, Rejected(RejectionCode.RESOURCE_EXHAUSTED, text, 20 + waiting // 100))]))
            return
        self.inbox.append(Pending(request, reply))
        self.hungry = True

    def consumed(self, pending: Iterable[Pending]) -> None:
        """Commands from the topic, in order."""
        self.inbox.extend(pending)
        self.hungry = True

    def _internal(self, command: c.Command) -> None:
        self.inbox.append(Pending(c.Request(command=command)))  # type: ignore[arg-type]

    # --- deciding -------------------------------------------------------------------------------------------------------------

    def step(self, wall_us: int, mono_us: int) -> None:
        """Decide on what waits and what is due, and hand it to the log as one group."""
        self.hungry = False
        if self.stopped is not None:
            return
        now = self.facts.now_us = self.clock.read(wall_us, mono_us)
        self.out += self.sends.due(now)
        if self._resting:
            return
        if len(self.flights) >= IN_FLIGHT_MAX:
            self._put_off = True  # an acknowledgement wakes it
            return
        state, inbox = self.state, self.inbox
        for command in due.collect(state, now, DUE_MAX):
            self._internal(command)
        if self._heads is not None and self._heads.at_us <= now and (told := self._heads.collect(now)):
            self._internal(Told(told))  # type: ignore[arg-type]
        if inbox or (state.job_listener and self._pollers is not None):
            self._group(now)
            if self.stopped is not None:
                return
            if self.checkpoints.due(state, now):
                self.checkpoint()
        if (at := min(due.next_at(state), self.sends.next_at(), self._heads.at_us if self._heads is not None else due.NEVER)) < due.NEVER:
            self.out.append(WakeAt(at))

    def _group(self, now: int) -> None:
        inbox, flight = self.inbox, Flight()
        values: list[bytes] = []
        keys: list[bytes] = []
        source = self.source
        taken = 0
        pending: Pending | None = None
        most = 1 if now < self._careful_to else self.settings.batch_max
        try:
            while inbox and taken < most and len(values) < EVENTS_MAX and flight.size < BYTES_MAX:
                pending = inbox.popleft()
                taken += 1
                self._decide(pending, flight, keys, values)
                if pending.offset >= 0:
                    source = pending.offset
            if self._put_by:  # what goes on lets everybody else have a turn first
                inbox.extend(self._put_by)
                self._put_by.clear()
            if self._pollers is not None and self.state.job_listener:
                self._hand_out(self._pollers, flight, keys, values)
        except Exception as bug:  # noqa: BLE001 - a defect of ours: what it did to the state nobody knows
            self._defect(bug, flight, pending if taken == 1 else None)
            return
        self.hungry = bool(inbox)
        if flight.kinds and self._observer is not None:
            self._observer.decided(flight.kinds)
        self.source = source
        if values:
            self._append(flight, keys, values, taken, now)
        elif flight.answers:  # refusals, and answers that say what is already decided: after all that is in flight
            self.flights.append(flight)
            self._settle()

    def _append(self, flight: Flight, keys: list[bytes], values: list[bytes], taken: int, now: int) -> None:
        claim = self.claim
        self.state.meta.now_us = now  # as any reader folds it; a checkpoint keeps it
        stamp_ms = max(1, now // 1000)
        shared, last = self._seal.group(keys, values, self.source, stamp_ms)
        flight.number, flight.chain = self._seal.number, self._seal.chain
        if self._heads is not None and flight.own < len(values):
            self._heads.sealed(now)
        flight.count, flight.expected = len(values), self.end
        self.end += len(values)
        self.flights.append(flight)
        self.out.append(Append(flight, Group(keys, values, shared, last, timestamp_ms=stamp_ms)))
        if self._observer is not None:
            self._observer.group(claim.partition, taken, len(values), flight.size)

    def _decide(self, pending: Pending, flight: Flight, keys: list[bytes], values: list[bytes]) -> None:
        request, state = pending.request, self.state
        command: Any = request.command
        if type(command) is Dead:
            dead: list[Event] = [le.DeadLettered(source=command.source, reason=command.reason)]
            self._record(dead, avro.encode(dead, Envelope(self.facts.now_us)), "", flight, keys, values)
            return
        if type(command) is Told:
            envelope = Envelope(self.facts.now_us)
            for event in command.events:
                evolve(state, event, envelope)
            flight.own += len(command.events)
            self._record(command.events, avro.encode(command.events, envelope), "", flight, keys, values)
            return
        confirmed = state.meta.confirmed.get(command.to, 0) if type(command) is c.Confirm else 0
        made = decide(state, request, self.facts)
        if type(made) is Broken:
            self._broken(made, pending, flight, keys, values)
            return
        if type(made) is Rejected:
            if request.sender >= 0:
                self.sends.asked(request.sender, self.facts.now_us)
            if pending.reply is not None:
                flight.answers.append((pending.reply, made, -1))
            if self._observer is not None:
                self._observer.rejected(type(command).__name__, made.code)
            return
        assert isinstance(made, Decision)
        if type(command) is c.Confirm and request.sender < 0:
            self.out += self.sends.confirmed(command, confirmed, self.facts.now_us)
        if self._observer is not None:
            self._seen(request, flight)
        if made.events:
            self._record(made.events, made.values, made.envelope.tenant, flight, keys, values)
            if type(command) is c.Deploy:
                self._store(made.events)
            if request.sender >= 0:
                flight.inbound[request.sender] = request.seq
        for later, (instance, token) in zip(made.later, made.causes, strict=True):
            self._put_by.append(Pending(c.Request(command=later, tenant=request.tenant, actor=request.actor, id=request.id and f"{request.id}/+",  # type: ignore[arg-type]
                                                 correlation=request.correlation, trace=request.trace, instance=instance, token=token)))  # fmt: skip
        if made.repeats and pending.reply is not None and "position" not in made.answer:
            pending.reply = self._with_position(pending.reply, made.envelope.tenant, made.repeats)
        index = len(values) - 1
        if made.finished and self._waiting:
            flight.answers += self._waiting.ended(made.finished, index)
        if pending.reply is not None and not self._waiting.waits(state, command, made, pending.reply):
            flight.answers.append((pending.reply, made.answer, index if made.events else -1))

    def _with_position(self, reply: Reply, tenant: str, id: str) -> Reply:
        """The first answer is not on the log yet; by the time of this one it is."""

        def say(answer: Any) -> None:
            kept = self.state.answers.get(answers.name_of(tenant, id))
            if isinstance(answer, dict) and kept is not None and kept.offset >= 0:
                answer = {**answer, "position": f"{self.claim.partition}-{kept.offset}"}
            reply(answer)

        return say

    def _broken(self, broken: Broken, pending: Pending, flight: Flight, keys: list[bytes], values: list[bytes]) -> None:
        """A defect of ours: the state is as before. The instance is quarantined, its caller has one error, everybody else goes on."""
        request = pending.request
        held = record_broken(self.state, request, self.facts, broken)
        self._record(held.events, held.values, held.envelope.tenant, flight, keys, values)
        if request.sender >= 0:
            flight.inbound[request.sender] = request.seq
        if self._observer is not None:
            self._observer.broken(type(request.command).__name__, broken)
        if pending.reply is not None:
            text = f"a defect of the engine stopped this command, and to send it again does not help: tell operators the reference {broken.reference}"
            flight.answers.append((pending.reply, Rejected(RejectionCode.INTERNAL, text), len(values) - 1))

    def _record(self, events: list[Event], made: list[bytes], tenant: str, flight: Flight, keys: list[bytes], values: list[bytes]) -> None:
        if not events:
            return
        sizes = list(map(len, made))
        if max(sizes) > self.claim.value_max:
            raise TooLarge(f"an event of {max(sizes)} bytes; at most {self.claim.value_max} are taken")
        values += made
        flight.size += sum(sizes)
        for event in events:
            keys.append(event.key.to_bytes(8, "big"))
            if type(event) is le.Outbound:
                flight.sends.append((event.to, event.seq, event.command))
            elif type(event) is le.Answered:
                flight.answered.append((tenant, event.id, len(keys) - 1))
        if self._observer is not None:
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

    def _store(self, events: list[Event]) -> None:
        """The deployed resources go to `definitions` before anybody hears of them."""
        for e in events:
            if type(e) is DefinitionCreated and e.content:
                self.out.append(Store(Group([e.hash.encode()], [e.content.encode()], (("name", e.resource.encode()),))))

    def _hand_out(self, pollers: Pollers, flight: Flight, keys: list[bytes], values: list[bytes]) -> None:
        """Jobs that became ready go to the workers that wait, in the same group that made them."""
        state = self.state
        for lane in list(state.job_listener):
            while state.ready.get(lane):
                poller = pollers.next_for(lane)
                if poller is None:
                    break
                request = poller.request()
                made = decide(state, request, self.facts)
                if type(made) is Broken:
                    self._broken(made, Pending(request, poller.deliver), flight, keys, values)
                    break
                if isinstance(made, Decision) and made.events and not made.answer["jobs"]:  # it set a timer, or asked for permits
                    self._record(made.events, made.values, made.envelope.tenant, flight, keys, values)
                if not isinstance(made, Decision) or not made.answer.get("jobs"):
                    pollers.give_back(poller)
                    break
                if self._observer is not None:
                    self._seen(request, flight)
                self._record(made.events, made.values, made.envelope.tenant, flight, keys, values)
                pollers.taken(poller, made.answer["jobs"])
                flight.answers.append((poller.deliver, made.answer, len(values) - 1))
            state.job_listener.discard(lane)

    # --- after the append -----------------------------------------------------------------------------------------------------

    def acknowledged(self, flight: Flight, first: int, end: int) -> None:
        """The group was written, from offset `first` up to `end`."""
        flight.first, flight.end = first, end
        if self.stopped is None:
            self._settle()

    def failed(self, why: BaseException) -> None:
        """The log doesn't take it, or nobody knows: the log says what happened, to the next machine."""
        self.step_down(why)

    def _settle(self) -> None:
        """Acknowledged groups, in order: nobody else wrote, so answer and send."""
        replies: list[tuple[Reply, Any]] = []
        flights = self.flights
        while flights and not self._gap:
            flight = flights[0]
            if flight.count:
                if flight.end < 0:
                    break
                expected = flight.expected + self._shift
                if flight.first != expected or flight.end != expected + flight.count:
                    self._gap = True  # it is read first; who lands meanwhile waits behind it
                    self.out.append(ReadGap(expected, flight.end))
                    break
            flights.popleft()
            self._finish(flight, replies)
        if replies:
            self.out.append(Answer(replies))
        if self._resting and not flights:
            self._write_checkpoint()
        if self.inbox or self._put_off:
            self._put_off, self.hungry = False, True

    def gap_read(self, records: Sequence[LogRecord]) -> None:
        """What stands where only the first flight should: a claim behind ours means fenced, void records mean carry on."""
        if self.stopped is not None:
            return
        decoder = avro.Decoder()
        for record in records:
            if record.value.startswith(rules.CLAIM_HEADS):
                event, _ = decoder.decode(record.value)
                assert isinstance(event, le.PartitionClaimed)
                if event.epoch == self.claim.epoch + 1:
                    self.step_down(Fenced(f"claimed by {event.owner} with epoch {event.epoch}"))
                    return
        flight = self.flights.popleft()
        self._shift += flight.end - (flight.expected + self._shift) - flight.count
        flight.first = flight.end - flight.count  # its last record stands there
        self._gap = False
        replies: list[tuple[Reply, Any]] = []
        self._finish(flight, replies)
        if replies:
            self.out.append(Answer(replies))
        self._settle()

    def _finish(self, flight: Flight, replies: list[tuple[Reply, Any]]) -> None:
        first = flight.first
        if flight.count:
            self.acked = flight.end
            if self._heads is not None and flight.own < flight.count:
                self._heads.acked(flight.number, flight.end, flight.chain, self.clock.now_us)
                self.hungry |= self._heads.at_us <= self.clock.now_us
        place = f"{self.claim.partition}-"
        for tenant, id, index in flight.answered:
            answers.placed(self.state, tenant, id, first + index)
        for reply, answer, index in flight.answers:
            if index >= 0 and type(answer) is dict:
                answer = {**answer, "position": f"{place}{first + index}"}
            replies.append((reply, answer))
        now = self.clock.now_us
        if flight.sends:
            self.out += self.sends.landed(flight.sends, now)
        if flight.inbound:
            self.sends.took(flight.inbound, now)
        if flight.sends or flight.inbound:
            self.out.append(WakeAt(self.sends.next_at()))

    # --- checkpoints ----------------------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """As soon as nothing is in flight; deciding rests until then."""
        if self.stopped is None and not self.checkpoints.writing:
            self._resting = True
            if not self.flights:
                self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        self._resting = False
        claim, seal = self.claim, self._seal
        at = rules.Place(claim.epoch, claim.owner, seal.chain, self.acked, self.source, seal.number, rules.VERSION)
        self.out.append(self.checkpoints.make(self.state, self.clock.now_us, at))
        self.hungry = True

    # --- the end --------------------------------------------------------------------------------------------------------------

    def step_down(self, why: BaseException) -> None:
        """Stop. Nobody was answered for what isn't on the log; whoever waits is told so, each once."""
        if self.stopped is not None:
            return
        self.stopped = why
        text = "the owner of this partition changes" if isinstance(why, Fenced) else f"the log does not take it at the moment ({why})"
        gone = Rejected(RejectionCode.UNAVAILABLE, f"{text}: send it again, with the same id", 50)
        replies = [(reply, gone) for flight in self.flights for reply, _, _ in flight.answers]
        replies += [(p.reply, gone) for p in (*self.inbox, *self._put_by) if p.reply is not None and p.offset < 0]
        replies += [(reply, gone) for reply in self._waiting.all()]
        self.flights.clear()
        self.inbox.clear()
        self._put_by.clear()
        self.out.append(Answer(replies))
        self.out.append(StepDown(why))

    def _defect(self, bug: Exception, flight: Flight, alone: Pending | None) -> None:
        """What a failed decision recorded is only in memory: the state is made anew from the log, and commands are taken one by one for a while."""
        self.flights.append(flight)
        if alone is not None and alone.reply is not None:
            if isinstance(bug, TooLarge):
                self.out.append(
                    Answer([(alone.reply, Rejected(RejectionCode.INVALID_ARGUMENT, f"what it would write is too large: {bug}"))])
                )
            else:
                flight.answers.append((alone.reply, None, -1))
        self.step_down(Defect(bug, alone.offset if alone is not None else -1))
