"""The owner of one partition as a machine: commands, acknowledgements, gaps and time go in, effects come out.

No clock, no log, no loop: the shell (`owner.py`) brings them, and a simulation may as well. One machine lives for one claim.
Source: `docs/log-protocol.md`, "The owner".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from flowledger.events import avro, requests
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events.base import Broken, Rejected, RejectionCode
from flowledger.kernel import Facts, Partition, holding, putoff, tenants
from flowledger.kernel import checkpoint as images
from flowledger.kernel.folds import answers
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.processors import due
from flowledger.processors.checkpoints import Checkpoints
from flowledger.processors.clock import LogClock
from flowledger.processors.desk import Batch, Desk, Made
from flowledger.processors.effects import Answer, Append, DecideApart, Effect, ReadGap, StepDown, WakeAt
from flowledger.processors.epochs import Epochs
from flowledger.processors.flight import Dead, Flight, Pending, Reply, Told
from flowledger.processors.heads import Heads
from flowledger.processors.inbox import STEPS, Inbox
from flowledger.processors.log import Group, LogRecord
from flowledger.processors.ports import Observer, Pollers
from flowledger.processors.sends import Sends
from flowledger.processors.settings import (
    BRING_S,
    BRING_TRIES,
    BYTES_MAX,
    CAREFUL_US,
    DUE_MAX,
    EVENTS_MAX,
    FEEL_MAX,
    IN_FLIGHT_MAX,
    PUT_OFF_MANY,
    PUT_OFF_TURNS,
    PUT_OFF_TURNS_MANY,
    Settings,
)
from flowledger.processors.watchdog import Watchdog

#: what key, headers and framing of a record may take beside its value (bytes)
OVERHEAD_BYTES = 1_024


class Fenced(Exception):
    """Another owner claimed the partition."""


class Defect(Exception):
    """A decision failed in a way that leaves the state in doubt. `offset`: of the command, when it was alone in its group (-1 less the number of what was
    put off); else -1."""

    def __init__(self, why: Exception, offset: int = -1) -> None:
        super().__init__(f"a decision failed: {why!r}")
        self.why, self.offset = why, offset


class Claim(NamedTuple):
    """Where an owner begins: behind its own claim."""

    partition: int
    epoch: int
    owner: str
    #: offset behind all that was read
    position: int
    #: where the log stands there
    place: rules.Place
    #: the end of `commands` then
    commands: int = 0


#: of a server that starts in hold: the first thing that is decided on each partition
START_HELD = c.SetHold(hold=c.START_HOLD, scope="tenant", subject="*", mode="suspend", reason="the server was started in hold")


class Machine:
    """`out` gets the effects; the shell takes them away after each call. `hungry`: it has work for another `step` at once."""

    def __init__(
        self, claim: Claim, state: Partition, facts: Facts, clock: LogClock, settings: Settings | None = None, standing: images.Standing | None = None,
        pollers: Pollers | None = None, observer: Observer | None = None, careful: bool = False, near: Callable[[int], bool] = lambda partition: True,
        poison: Collection[int] = (),
    ) -> None:  # fmt: skip
        """`near`: whether the owner of a partition is in this process; `poison`: as the offset of a `Defect`, what failed alone in its group before."""
        self.claim, self.state, self.facts, self.clock = claim, state, facts, clock
        self.settings = settings or Settings()
        self._pollers, self._observer = pollers, observer
        self.out: list[Effect] = []
        self.stopped: BaseException | None = None
        self.hungry = True
        #: commands that wait, and of them those that are taken in the order in which they came
        self.waits = Inbox(self.settings.inbox_max, partial(tenants.share, state))
        self.inbox = self.waits.lane
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
        self.sends = Sends(state)
        self.epochs = Epochs(state, self.source, claim.commands, now)
        self.desk = Desk(state, facts, self.sends, self.epochs, observer)
        self.watchdog = Watchdog(state, facts, near)
        s = self.settings
        self.checkpoints = Checkpoints(
            claim.epoch, standing if standing is not None else images.Standing(), s.checkpoint_changes, int(s.checkpoint_s * 1e6), now
        )
        #: the heavy decision that is being made, and how often it was tried
        self._apart: Pending | None = None
        self._tries = 0
        self._feel_soft = facts.feel_soft
        #: a checkpoint waits until nothing is in flight
        self._resting = False
        #: the first flight waits until what somebody else wrote before it was read
        self._gap = False
        #: records that others wrote since the claim
        self._shift = 0
        #: a step was due while too much was in flight
        self._missed = False
        #: how many wait that were put off, and how many of them were taken since another command had its turn
        self._own, self._turns = putoff.waiting(state), 0
        self._poison = poison
        if self.settings.hold:
            self._internal(START_HELD)
        for key in images.unsettled(state):
            self._internal(c.Continue(key=key))
        for key in self._let_in():
            self._internal(c.Continue(key=key))

    def _let_in(self) -> Iterable[int]:
        """Instances whose turn it was when the owner before ended: they wait for a place, and one is free. With a limit each lets the next one in."""
        state, most = self.state, self.facts.instances_max
        if most:
            first = holding.next_pending(state, self.facts.now_us) if state.open < most else 0
            return (first,) if first else ()
        return [k for k in state.pending if holding.may_begin(state, k, self.facts.now_us)]

    # --- commands in ----------------------------------------------------------------------------------------------------------

    def offer(self, request: c.Request, reply: Reply) -> None:
        """A command by direct call. Refused with a hint when too many wait."""
        alone = request.tenant == self.waits.alone
        # `self.waiting`, of which each command would pay the call: nothing waits by turns then
        waiting = len(self.inbox) + len(self.epochs.held) + self._own if alone else self.waiting
        if waiting >= self.settings.inbox_max:
            self.refused += 1
            text = f"{waiting} commands wait on partition {self.claim.partition}: send slower"
            self.out.append(Answer([(reply, Rejected(RejectionCode.RESOURCE_EXHAUSTED, text, 20 + waiting // 100))]))
            return
        if alone:
            self.inbox.append(Pending(request, reply))
        elif (refused := self.waits.offer(Pending(request, reply), self.clock.now_us)) is not None:
            self.refused += 1
            self.out.append(Answer([(reply, refused)]))
        self.hungry = True

    def consumed(self, pending: Iterable[Pending]) -> None:
        """Commands from the topic, in order."""
        self.inbox.extend(pending)
        self.hungry = True

    @property
    def waiting(self) -> int:
        """Commands that are not decided on yet."""
        return len(self.waits) + len(self.epochs.held) + self._own

    def _internal(self, command: c.AnyCommand | Told) -> None:
        self.inbox.append(Pending(c.Request(command=command)))  # type: ignore[arg-type]  # `Told` is of this process and never on the log

    # --- deciding -------------------------------------------------------------------------------------------------------------

    def step(self, wall_us: int, mono_us: int) -> None:
        """Decide on what waits and what is due, and hand it to the log as one group."""
        self.hungry = False
        if self.stopped is not None:
            return
        now = self.clock.read(wall_us, mono_us)
        self.out += self.sends.due(now)
        if self._resting or self._apart is not None:
            return
        self.facts.now_us = now
        if len(self.flights) >= IN_FLIGHT_MAX:
            self._missed = True  # an acknowledgement wakes it
            return
        state, inbox = self.state, self.inbox
        self._go_on(now)
        for command in due.collect(state, now, DUE_MAX):
            self._internal(command)
        if self._heads is not None and self._heads.at_us <= now and (told := self._heads.collect(now)):
            self._internal(Told(told))
        if inbox or self._own or self.waits.turns.count or (state.job_listener and self._pollers is not None):
            self._group(now)
            if self.stopped is not None or self._apart is not None:
                return
            if self.checkpoints.due(state, now):
                self.checkpoint() if self.settings.snapshots else self.checkpoints.skip(state, now)
        heads_at = self._heads.at_us if self._heads is not None else due.NEVER
        if (at := min(due.next_at(state), self.sends.next_at(), self.epochs.next_at(), heads_at)) < due.NEVER:
            self.out.append(WakeAt(at))

    def _go_on(self, now: int) -> None:
        """What has waited for an epoch of definitions, and for others to hear of one."""
        if held := self.epochs.go_on(now):
            self.inbox.extendleft(reversed(held))
            self.hungry = True
        if told := self.epochs.answers(now):
            self.out.append(Answer(told))

    def _own_turn(self) -> bool:
        """Something waits that was put off, and can be taken: its number is not lost."""
        return self._own > 0 and putoff.first(self.state) is not None

    def _next(self, batch: Batch) -> Pending | None:
        """The next command where tenants have their turns, or something waits that was put off: that mostly, so that all is soon in order again;
        others have their turns."""
        events, steps = len(batch.values), batch.feel
        if not self._own:
            return self.waits.next(events, steps)
        if self.waits and self._turns >= (PUT_OFF_TURNS if self._own <= PUT_OFF_MANY else PUT_OFF_TURNS_MANY) - 1:
            self._turns = 0
            return self.waits.next(events, steps)
        if (found := putoff.first(self.state)) is None:
            return self.waits.next(events, steps)
        self.waits.paid(events, steps)
        self._turns += 1
        seq, encoded = found
        request = putoff.read(self.state, encoded)
        if (place := -1 - seq) in self._poison:
            request = requests.Unreadable("it failed in the engine itself; its log tells why")
        if isinstance(request, requests.Unreadable):
            instance, token = requests.asks_of(encoded)
            letter = le.DeadLettered(source=-1, reason=request.reason, sender=self.claim.partition, seq=seq, instance=instance, token=token)
            request = c.Request(command=Dead(letter, requests.tenant_of(encoded)))  # type: ignore[arg-type]
        return Pending(request, None, place)

    def _group(self, now: int) -> None:
        inbox, desk, batch = self.inbox, self.desk, Batch()
        values, flight = batch.values, batch.flight
        source, epochs, meta = self.source, self.epochs, self.state.meta
        taken, gated = 0, epochs.gated
        pending: Pending | None = None
        most = self.waits.begins(now, 1 if now < self._careful_to else self.settings.batch_max)
        odd = self._own or self.waits.turns.count  # not simply the first of the inbox
        try:
            while (inbox or odd) and taken < most and len(values) < EVENTS_MAX and flight.size < BYTES_MAX and batch.feel < FEEL_MAX:
                if not odd:
                    pending = inbox.popleft()
                elif (pending := self._next(batch)) is None:
                    break
                taken += 1
                if not gated and pending.request.epoch <= meta.definitions:
                    decided = desk.decide(pending, batch)
                else:
                    waits, gated = epochs.holds(pending, now), epochs.gated
                    if waits is True:
                        continue
                    if isinstance(waits, Rejected):
                        desk.outcome(waits, pending, batch)
                        decided = True
                    else:
                        decided = desk.decide(pending, batch)
                if not decided:
                    self._apart, self._tries = pending, 0
                    break
                if pending.offset >= 0:
                    source = max(source, min(pending.offset, epochs.floor))
            if self._apart is None and self._pollers is not None and self.state.job_listener:
                desk.hand_out(self._pollers, batch)
        except Exception as bug:  # noqa: BLE001 - as in `_group`
            self._defect(bug, flight, pending if taken == 1 else None)
            return
        if odd:
            self.waits.paid(len(values), batch.feel)
        self._close(batch, taken, source, now)
        self._go_on(now)
        if self._apart is not None:
            self.facts.feel_soft = 0
            self.out.append(DecideApart(self._apart))

    def _close(self, batch: Batch, taken: int, source: int, now: int) -> None:
        """The group is complete."""
        desk, flight = self.desk, batch.flight
        if desk.put_by:  # what goes on lets everybody else have a turn first
            self.waits.later(desk.put_by)
            desk.put_by.clear()
        self._own = putoff.waiting(self.state)
        self.hungry = bool(self.inbox) or self.waits.turns.count > 0 or self._own_turn()
        self.out += desk.out
        desk.out.clear()
        if flight.kinds and self._observer is not None:
            self._observer.decided(flight.kinds)
        self.source = source
        if batch.values:
            self._append(batch, taken, now)
        elif flight.answers or flight.told:  # refusals, and answers that say what is already decided: after all that is in flight
            self.flights.append(flight)
            self._settle()

    # --- heavy decisions ------------------------------------------------------------------------------------------------------

    def apart(self, pending: Pending) -> Made | Exception:
        """Make a heavy decision, on any thread: this partition rests until `decided_apart` is told."""
        return self.desk.apart(pending)

    def decided_apart(self, pending: Pending, made: Made | Exception) -> None:
        """What came of it becomes a group of its own, and the partition goes on."""
        if self.stopped is not None:
            return
        if isinstance(made, NotAtHand):
            self._tries += 1
            if self._tries < BRING_TRIES:
                self.out.append(DecideApart(pending, BRING_S))
                return
            made = Broken(0, type(made).__name__, str(made), f"p{self.claim.partition}-{self.facts.now_us}")
        self._apart = None
        self.facts.feel_soft = self._feel_soft
        batch = Batch()
        try:
            if isinstance(made, Exception):
                raise made
            self.desk.outcome(made, pending, batch)
        except Exception as bug:  # noqa: BLE001 - as in `_group`
            self._defect(bug, batch.flight, pending)
            return
        self.waits.turns.pay(len(batch.values) + batch.feel // STEPS, pending.request.tenant)
        self._close(batch, 1, max(self.source, min(pending.offset, self.epochs.floor)), self.facts.now_us)
        self._go_on(self.facts.now_us)
        if self._resting and not self.flights:
            self._write_checkpoint()
        self.hungry = True

    def _append(self, batch: Batch, taken: int, now: int) -> None:
        claim, flight, keys, values = self.claim, batch.flight, self.desk.complete(batch), batch.values
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
        if self._resting and not flights and self._apart is None:
            self._write_checkpoint()
        if self._missed or self.waits:
            self._missed, self.hungry = False, True

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
        for told, index in flight.told:
            self.epochs.landed(told, f"{place}{first + index}" if index >= 0 else "", now)
        for definition, refused, index in flight.removals:
            self.epochs.counted(definition, refused, f"{place}{first + index}")
        if flight.told or flight.removals:
            replies += self.epochs.answers(now)
            self.out.append(WakeAt(self.epochs.next_at()))
        if flight.sends:
            self.out += self.sends.landed(flight.sends, now)
        if flight.inbound:
            self.sends.took(flight.inbound, now, flight.urgent)
        if flight.sends or flight.inbound:
            self.out.append(WakeAt(self.sends.next_at()))

    # --- checkpoints ----------------------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """As soon as nothing is in flight; deciding rests until then."""
        if self.stopped is None and not self.checkpoints.writing:
            self._resting = True
            if not self.flights and self._apart is None:
                self._write_checkpoint()

    def head_due(self) -> bool:
        """At an orderly end the head of what is acknowledged is signed by the next `step`, however young it is."""
        if self.stopped is None and self._heads is not None and self._heads.wanted:
            self._heads.at_us = 0
            return True
        return False

    def _write_checkpoint(self) -> None:
        self._resting = False
        claim, seal = self.claim, self._seal
        at = rules.Place(claim.epoch, claim.owner, seal.chain, self.acked, self.source, seal.number, rules.VERSION)
        self.watchdog.note()
        self.out.append(self.checkpoints.make(self.state, self.clock.now_us, at))
        self.hungry = True

    # --- the watchdog ---------------------------------------------------------------------------------------------------------

    def watch(self, wall_us: int, mono_us: int) -> None:
        """A slice of its round, between two steps."""
        if self.stopped is None and not self._resting and self._apart is None:
            self.watchdog.end = self.acked
            self.watchdog.look(self.clock.read(wall_us, mono_us), self._follows)

    def _follows(self) -> bool:
        """Something follows from what was decided, and waits for its turn."""
        return bool(self.desk.put_by) or self._own_turn() or any(p.reply is None and p.offset < 0 for p in self.waits)

    # --- the end --------------------------------------------------------------------------------------------------------------

    def step_down(self, why: BaseException) -> None:
        """Stop. Nobody was answered for what isn't on the log; whoever waits is told so, each once."""
        if self.stopped is not None:
            return
        self.stopped = why
        text = "the owner of this partition changes" if isinstance(why, Fenced) else f"the log does not take it at the moment ({why})"
        gone = Rejected(RejectionCode.UNAVAILABLE, f"{text}: send it again, with the same id", 50)
        replies = [(reply, gone) for flight in self.flights for reply, _, _ in flight.answers]
        replies += [(told.reply, gone) for flight in self.flights for told, _ in flight.told]
        waiting = (*self.waits, *self.desk.put_by, *((self._apart,) if self._apart is not None else ()))
        replies += [(p.reply, gone) for p in waiting if p.reply is not None and p.offset < 0]
        replies += [(reply, gone) for reply in (*self.desk.waiting.all(), *self.epochs.ended())]
        self.flights.clear()
        self.waits.clear()
        self.desk.put_by.clear()
        self.out.append(Answer(replies))
        self.out.append(StepDown(why))

    def _defect(self, bug: Exception, flight: Flight, alone: Pending | None) -> None:
        """What a failed decision recorded is only in memory: the state is made anew from the log, and commands are taken one by one for a while."""
        self.flights.append(flight)
        if alone is not None and alone.reply is not None:
            flight.answers.append((alone.reply, None, -1))
        self.step_down(Defect(bug, alone.offset if alone is not None else -1))
