"""What a command becomes: a decision, its events in the group that is being made, and answers for when that is on the log. Pure."""

from __future__ import annotations

from collections import Counter, deque
from operator import attrgetter
from struct import Struct
from typing import Any

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events.base import Broken, Envelope, Event, Heavy, Rejected, RejectionCode
from flowledger.events.definition import DefinitionCreated
from flowledger.kernel import Facts, Partition, decide, evolve, operations, record_broken, record_unreadable
from flowledger.kernel.decision import Decision
from flowledger.kernel.folds import answers
from flowledger.kernel.handlers import removal
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.kernel.packs.judge import Refused
from flowledger.processors.effects import Effect, Store
from flowledger.processors.epochs import Epochs
from flowledger.processors.flight import Dead, Flight, Pending, Reply, Told
from flowledger.processors.log import Group
from flowledger.processors.ports import Observer, Pollers
from flowledger.processors.sends import Sends
from flowledger.processors.settings import RESOURCES_SOFT
from flowledger.processors.sparing import Sparing
from flowledger.processors.waiting import WAITED, Waiting

#: what may bring definitions
_DEPLOYS = frozenset({c.Deploy, c.ReplayDeadLetter, c.DecideDeadLetter})
_LOOKED_AT = _DEPLOYS | {c.Confirm}
#: what is looked at before it is decided on
_APART = frozenset({Dead, Told, c.Deploy, c.Confirm})
#: commands of which more may follow than their answer, beside sends
_TOLD = c.CHANGES | WAITED
Made = Decision | Rejected | Broken
#: events of which something follows once they are on the log
_FOLLOWED = frozenset({le.Outbound, le.Answered})
#: the key of a record, by the event
_key_of, _KEY = attrgetter("key"), Struct(">q").pack


class Batch:
    """The group that is being made."""

    __slots__ = ("events", "feel", "flight", "tenant", "tenants", "values")

    def __init__(self) -> None:
        #: steps that its decisions' expressions took
        self.feel = 0
        self.flight = Flight()
        self.events: list[Event] = []
        #: the events as they go to the log
        self.values: list[bytes] = []
        #: whose the last event is; (number of an event, whose it and those behind it are)
        self.tenant = ""
        self.tenants: list[tuple[int, str]] = []


class Desk:
    """Of one claim. `put_by`: what goes on in the next step; `out`: gets effects."""

    def __init__(self, state: Partition, facts: Facts, sends: Sends, epochs: Epochs, observer: Observer | None) -> None:
        self.state, self.facts, self.sends, self.epochs, self._observer = state, facts, sends, epochs, observer
        self._tracing = observer is not None and observer.tracing
        self.waiting = Waiting()
        self._told = Sparing()
        self.put_by: list[Pending] = []
        self.out: list[Effect] = []

    def decide(self, pending: Pending, b: Batch) -> bool:
        """False: not here, it takes too long for the loop."""
        request, state = pending.request, self.state
        command: Any = request.command
        kind = type(command)
        confirmed = 0
        if kind in _APART:
            if kind is Dead:
                self._dead(command, b)
                return True
            if kind is Told:
                envelope = Envelope(self.facts.now_us, cause=f"owner:{state.meta.owner}")
                for event in command.events:
                    evolve(state, event, envelope)
                b.flight.own += len(command.events)
                self.record(command.events, avro.encode(command.events, envelope), "", b)
                return True
            if kind is c.Deploy and sum(len(r.content) for r in command.resources) > RESOURCES_SOFT:
                return False
            if kind is c.Confirm:
                confirmed = state.meta.confirmed.get(command.to, 0)
        try:
            made = decide(state, request, self.facts)
        except (Heavy, NotAtHand):
            return False
        facts = self.facts
        if facts.feel_left != facts.feel_soft:  # it looked at expressions; with another bound the difference says how much
            b.feel += facts.feel_taken
        self.outcome(made, pending, b, confirmed)
        return True

    def _dead(self, dead: Dead, b: Batch) -> None:
        letter = dead.letter
        made = record_unreadable(self.state, self.facts, letter, dead.tenant)
        if made is None:
            self.sends.asked(letter.sender, self.facts.now_us)
            return
        self.record(made.events, made.values, dead.tenant, b)
        if letter.sender >= 0:
            b.flight.inbound[letter.sender] = letter.seq

    def apart(self, pending: Pending) -> Made | Exception:
        """A heavy decision, on any thread; nobody else may touch the state meanwhile."""
        try:
            return decide(self.state, pending.request, self.facts)
        except Exception as why:  # noqa: BLE001 - it is looked at where the machine goes on
            return why

    def outcome(self, made: Made, pending: Pending, b: Batch, confirmed: int = 0) -> None:
        if not isinstance(made, Decision):
            self._refused(made, pending, b)
            return
        request = pending.request
        command: Any = request.command
        kind, flight, reply = type(command), b.flight, pending.reply
        if self._observer is not None:
            self._seen(request, b)
        index = self.record(made.events, made.values, made.asked.tenant, b, made.bytes)
        if request.sender >= 0 or kind in _LOOKED_AT:
            self._more(made, request, b, index, confirmed)
        if made.later:
            self._put_by(made, request)
        if made.finished and self.waiting:
            flight.answers += self.waiting.ended(made.finished, index)
        if reply is None:
            return
        if made.repeats and "position" not in made.answer:
            reply = self._with_position(reply, made.asked.tenant, made.repeats)
        if kind in _TOLD:
            if kind in WAITED:
                if command.wait and self.waiting.waits(self.state, command, made, reply):
                    return
            elif (told := self.epochs.tells(command, made, reply)) is not None:
                flight.told.append((told, index))
                return
        flight.answers.append((reply, made.answer, index))

    def _more(self, made: Decision, request: c.Request, b: Batch, index: int, confirmed: int) -> None:
        """What follows from a send of another partition, and from one of `_LOOKED_AT`."""
        command: Any = request.command
        kind, flight, sent = type(command), b.flight, request.sender >= 0
        if kind is c.Confirm and not sent:
            self.out += self.sends.confirmed(command, confirmed, self.facts.now_us)
        if index < 0:
            return
        if kind in _DEPLOYS:
            self._store(made.events)
        if sent:
            flight.inbound[request.sender] = request.seq
            if kind is c.DefineElsewhere:
                flight.urgent.add(request.sender)
            elif kind is c.InstancesCounted and removal.under_way(self.state, command.definition) is None:
                flight.removals.append((command.definition, made.finished[0][3] if made.finished else "", index))

    def _put_by(self, made: Decision, request: c.Request) -> None:
        """`Continue`s for the next step."""
        for later in made.later:
            self.put_by.append(Pending(c.Request(command=later, tenant=request.tenant, actor=request.actor, id=request.id and f"{request.id}/+",
                                                 correlation=made.asked.correlation, trace=made.asked.trace, cause=made.asked.cause)))  # fmt: skip

    def _refused(self, made: Rejected | Broken, pending: Pending, b: Batch) -> None:
        request = pending.request
        if isinstance(made, Broken):
            self._broken(made, pending, b)
            return
        if request.sender >= 0:
            self.sends.asked(request.sender, self.facts.now_us)
        self._tell(request, made, b)
        if pending.reply is not None:
            b.flight.answers.append((pending.reply, made.plain() if isinstance(made, Refused) else made, -1))
        if self._observer is not None:
            self._observer.rejected(type(request.command).__name__, made.code)

    def _tell(self, request: c.Request, rejected: Rejected, b: Batch) -> None:
        """The log of operations has what was refused as well, as far as one caller may write."""
        if (
            operations.worth_telling(request, rejected)
            and (skipped := self._told.take((request.tenant, request.actor), self.facts.now_us)) >= 0
        ):
            made = operations.refused(self.state, request, self.facts, rejected, skipped)
            if made is not None:
                self.record(made.events, made.values, made.asked.tenant, b)

    def _with_position(self, reply: Reply, tenant: str, id: str) -> Reply:
        """The first answer is not on the log yet; by the time of this one it is."""

        def say(answer: Any) -> None:
            kept = self.state.answers.get(answers.name_of(tenant, id))
            if isinstance(answer, dict) and kept is not None and kept.offset >= 0:
                answer = {**answer, "position": f"{self.state.meta.partition}-{kept.offset}"}
            reply(answer)

        return say

    def _broken(self, broken: Broken, pending: Pending, b: Batch) -> None:
        """A defect of ours: the state is as before. The instance is quarantined, its caller has one error, everybody else goes on."""
        request = pending.request
        held = record_broken(self.state, request, self.facts, broken)
        self.record(held.events, held.values, held.asked.tenant, b)
        if request.sender >= 0:
            b.flight.inbound[request.sender] = request.seq
        if self._observer is not None:
            self._observer.broken(type(request.command).__name__, broken)
        self._tell(request, Rejected(RejectionCode.INTERNAL, f"a defect of the engine, reference {broken.reference}"), b)
        if pending.reply is not None:
            text = f"a defect of the engine stopped this command, and to send it again does not help: tell operators the reference {broken.reference}"
            b.flight.answers.append((pending.reply, Rejected(RejectionCode.INTERNAL, text), len(b.values) - 1))

    def record(self, events: list[Event], made: list[bytes], tenant: str, b: Batch, size: int = -1) -> int:
        """To the group. Returns the place of the last event there, -1 when there is none. `size`: bytes of them, as a decision counts (what it asked
        for beside may count twice: the group closes the sooner); -1: to be found out."""
        if not events:
            return -1
        values = b.values
        if tenant != b.tenant:
            b.tenant = tenant
            b.tenants.append((len(values), tenant))
        b.events += events
        values += made
        b.flight.size += size if size >= 0 else sum(map(len, made))
        return len(values) - 1

    def complete(self, b: Batch) -> list[bytes]:
        """What is looked up of all events of a group at once: what follows from them once they are on the log, and for the observer. Returns their keys."""
        events, flight = b.events, b.flight
        if not _FOLLOWED.isdisjoint(map(type, events)):
            tenant, later = "", deque(b.tenants)
            for n, event in enumerate(events):
                while later and later[0][0] <= n:
                    tenant = later.popleft()[1]
                if type(event) is le.Outbound:
                    flight.sends.append((event.to, event.seq, event.command))
                elif type(event) is le.Answered:
                    flight.answered.append((tenant, event.id, n))
        if self._observer is not None:
            flight.names = {kind.__name__: n for kind, n in Counter(map(type, events)).items()}
        return [*map(_KEY, map(_key_of, events))]  # signed: whatever a command says

    def _seen(self, request: c.Request, b: Batch) -> None:
        """For the observer, which is told once for each group."""
        kind = type(request.command).__name__
        b.flight.kinds[kind] = b.flight.kinds.get(kind, 0) + 1
        if self._tracing and request.trace:
            b.flight.traces.append(request.trace)

    def _store(self, events: list[Event]) -> None:
        """The deployed resources go to `definitions` before anybody hears of them."""
        for e in events:
            if type(e) is DefinitionCreated and e.content:
                self.out.append(Store(Group([e.hash.encode()], [e.content.encode()], (("name", e.resource.encode()),))))

    def hand_out(self, pollers: Pollers, b: Batch) -> None:
        """Jobs that became ready go to the workers that wait, in the same group that made them."""
        state = self.state
        for lane in list(state.job_listener):
            passed = 0
            while state.ready.get(lane):
                poller = pollers.next_for(lane)
                if poller is None:
                    break
                request = poller.request()
                made = decide(state, request, self.facts)
                if type(made) is Broken:  # nothing was leased: whoever waits goes on waiting
                    self._broken(made, Pending(request), b)
                    break
                if isinstance(made, Decision) and made.events and not made.answer["jobs"]:  # it set a timer, or asked for permits
                    self.record(made.events, made.values, made.asked.tenant, b)
                if not isinstance(made, Decision) or not made.answer.get("jobs"):
                    passed += 1
                    if isinstance(made, Decision) and made.answer.get("others") and passed < pollers.waiting(lane):
                        continue  # these jobs aren't for this worker: the next in turn is asked
                    break
                passed = 0
                if self._observer is not None:
                    self._seen(request, b)
                self.record(made.events, made.values, made.asked.tenant, b)
                pollers.taken(poller, made.answer["jobs"])
                b.flight.answers.append((poller.deliver, made.answer, len(b.values) - 1))
            state.job_listener.discard(lane)
