"""A world of owners without a loop: several live machines for each partition, a log that answers when the dice say so, and clocks that step.

The machines are the real ones, and so are load, claim and fold. The log is a list of records for each topic; what a producer still has to
write outlives the owner's interest in it, as on Kafka.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from flowledger.events import commands as c
from flowledger.events import requests
from flowledger.events.heads import key_id
from flowledger.events.ledger import KeyIntroduced
from flowledger.kernel import Facts, limits
from flowledger.kernel import checkpoint as images
from flowledger.kernel.library import Library
from flowledger.processors import clock as times
from flowledger.processors import effects as do
from flowledger.processors import intake
from flowledger.processors.clock import LogClock
from flowledger.processors.flight import Dead, Flight, Pending
from flowledger.processors.heads import Signing
from flowledger.processors.log import COMMANDS, EVENTS, STATE, Appended, Conflict, Group, LogError, LogRecord
from flowledger.processors.machine import Claim, Fenced, Machine
from flowledger.processors.recovery import take_over
from flowledger.processors.sends import FROM
from flowledger.processors.settings import Settings

#: steps of expressions that a decision may take before it is made apart, and bytes of one event
HEAVY_STEPS, VALUE_MAX = 500, 20_000
AGAIN = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing but its turn."""
    while True:
        try:
            work.send(None)
        except StopIteration as done:
            return done.value


class Streams:
    """The log, as seen by everybody: it does at once what it is asked. Faults are the seats' and the producers'."""

    def __init__(self, world: World) -> None:
        self.world, self.partitions, self.compares = world, world.partitions, world.compares
        self.record_bytes_max = 16 * 1024 * 1024
        self.records: dict[tuple[str, int], list[LogRecord]] = {}

    def of(self, topic: str, partition: int) -> list[LogRecord]:
        return self.records.setdefault((topic, partition), [])

    def write(self, topic: str, partition: int, group: Group, start: int = 0, stop: int | None = None) -> int:
        stream = self.of(topic, partition)
        first = len(stream)
        for i in range(start, len(group) if stop is None else stop):
            stream.append(LogRecord(len(stream), group.keys[i], group.values[i] or b"", group.headers_of(i), group.timestamp_ms * 1000))
        return first

    async def begin(self, topic: str, partition: int) -> int:
        return 0

    async def end(self, topic: str, partition: int) -> int:
        return len(self.of(topic, partition))

    async def reopen(self, topic: str, partition: int) -> None:
        pass

    async def read(
        self, topic: str, partition: int, start: int, stop: int | None = None, *, follow: bool = False
    ) -> AsyncIterator[list[LogRecord]]:
        yield list(self.of(topic, partition)[start:stop])

    async def append(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> Appended:
        """Only claims come this way. Others may write between what was read and what is written."""
        self.world.interfere(partition)
        end = len(self.of(topic, partition))
        if self.compares and expected_end is not None and expected_end != end:
            raise Conflict(topic, partition, expected_end, end)
        first = self.write(topic, partition, group)
        return Appended(first, first + len(group), len(group))


class Signer:
    """Signs as the key file does, for what looks at the order of things only."""

    public = b"\x07" * 32
    id = key_id(public)

    def sign(self, message: bytes) -> bytes:
        return b"signed " + message

    def introductions(self, known: str) -> list[KeyIntroduced]:
        return [] if known == self.id else [KeyIntroduced(id=self.id, public=self.public)]


class Cargo:
    """A group between a producer and the log."""

    def __init__(self, partition: int, flight: Flight, group: Group) -> None:
        self.partition, self.flight, self.group = partition, flight, group
        self.written = 0
        self.first = -1


class Seat:
    """One node's owner of one partition: the machine, and all that a shell and a producer would hold for it."""

    def __init__(self, world: World, node: int, partition: int) -> None:
        self.world, self.node, self.partition = world, node, partition
        self.machine: Machine | None = None
        self.wire: deque[Cargo] = deque()
        self.acks: deque[tuple[Flight, int, int]] = deque()
        self.gaps: deque[do.ReadGap] = deque()
        self.images: deque[tuple[do.Checkpoint, int]] = deque()
        self.apart: deque[Pending] = deque()
        self.standing = images.Standing()
        self.frozen = self.blocked = False
        self.consumed = 0
        self.clocks = times.Clocks(lambda: world.wall(node), lambda: world.now, f"n{node}")

    def take_over(self) -> None:
        world = self.world
        name = f"{world.dice.getrandbits(64):016x}"
        notes: list[str] = []
        state, reader, position = at_once(
            take_over(world.log, self.partition, self.standing, name, f"n{self.node}", self.clocks, notes.append)  # type: ignore[arg-type]
        )
        clock = LogClock(*times.reading(state.meta, self.clocks))
        facts = Facts(
            clock.now_us,
            world.library.processes(state),
            world.library.decisions(state),
            world.library.read,
            feel_soft=HEAVY_STEPS,
            value_max=VALUE_MAX,
            steps_max=self.world.steps_max,
        )
        where = Claim(self.partition, reader.epoch, name, position, reader.place(), len(world.log.of(COMMANDS, self.partition)))
        self.machine = Machine(where, state, facts, clock, world.settings, self.standing)
        self.consumed = reader.source + 1
        self.blocked = False
        world.counts["claims"] += 1

    def crash(self) -> None:
        """What it still has on the wire may arrive some day, or never."""
        if self.wire:
            self.world.zombies.append(self.wire)
        self.machine = None
        self.wire, self.acks, self.gaps, self.images, self.apart = deque(), deque(), deque(), deque(), deque()
        self.frozen = False

    # --- what a shell does

    def step(self) -> None:
        machine, world = self.machine, self.world
        if machine is None or self.frozen:
            return
        self.consume(machine)
        machine.step(world.wall(self.node), world.now)
        self.pump()

    def consume(self, machine: Machine) -> None:
        records = self.world.log.of(COMMANDS, self.partition)[self.consumed : self.consumed + self.world.dice.randint(0, 20)]
        for record in records:
            request = requests.read(record.value, intake.number_of(record, FROM))
            if isinstance(request, requests.Unreadable):
                letter = intake.letter_of(record, request.reason)
                pending = Pending(c.Request(command=Dead(letter)), None, record.offset)  # type: ignore[arg-type]
            else:
                pending = Pending(request, self.world.replier(request), record.offset)
            machine.consumed([pending])
        self.consumed += len(records)

    def pump(self) -> None:
        machine = self.machine
        while machine is not None and machine.out:
            asked, machine.out = machine.out, []
            for effect in asked:
                self.perform(machine, effect)
            machine = self.machine

    def perform(self, machine: Machine, effect: do.Effect) -> None:
        match effect:
            case do.Append(flight, group):
                if self.blocked and self.world.sticky:
                    machine.failed(LogError("blocked"))
                else:
                    self.wire.append(Cargo(self.partition, flight, group))
            case do.Answer(replies):
                for reply, answer in replies:
                    reply(answer)
            case do.Send(to, group):
                self.world.post(to, group)
            case do.Store(group):
                self.world.contents[group.keys[0].decode()] = group.values[0].decode()  # type: ignore[union-attr]
            case do.ReadGap():
                self.gaps.append(effect)
            case do.Checkpoint():
                self.images.append((effect, 0))
            case do.DecideApart(pending):
                self.apart.append(pending)
            case do.StepDown(why):
                self.world.counts["fenced" if isinstance(why, Fenced) else "doubts"] += 1
                self.world.counts[type(why).__name__] = self.world.counts.get(type(why).__name__, 0) + 1
                if not isinstance(why, (Fenced, LogError)):
                    raise why
                self.crash()

    def hear(self) -> None:
        """One thing that came back reaches the machine."""
        machine = self.machine
        if machine is None or self.frozen:
            return
        if self.gaps and self.world.dice.random() < 0.5:
            gap = self.gaps.popleft()
            machine.gap_read(self.world.log.of(EVENTS, self.partition)[gap.start : gap.stop])
        elif self.acks:
            machine.acknowledged(*self.acks.popleft())
        elif self.apart and self.world.dice.random() < 0.5:
            self.world.counts["apart"] += 1
            pending = self.apart.popleft()
            machine.decided_apart(pending, machine.apart(pending))
        elif self.images:
            self.write_image(machine)
        self.pump()

    def write_image(self, machine: Machine) -> None:
        """A part of a checkpoint, or its mark."""
        e, at = self.images.popleft()
        if at < len(e.entries):
            stop = at + self.world.dice.randint(1, 10)
            part, own = e.entries[at:stop], e.digests[at:stop]
            self.world.log.write(STATE, self.partition, Group([k for k, _ in part], [v for _, v in part], e.tag, each=own))
            self.images.appendleft((e, stop))
        else:
            self.world.log.write(
                STATE, self.partition, Group([images.MARK], [e.mark], e.tag, ((images.DIGEST, images.digest_of(images.MARK, e.mark)),))
            )
            machine.checkpoints.done()
            self.world.counts["checkpoints"] += 1

    def transmit(self) -> None:
        """The producer writes one piece of its oldest group, or nobody knows."""
        if not self.wire:
            return
        world, machine = self.world, self.machine
        chance = world.dice.random() if world.faults else 1.0
        if chance < 0.03 and machine is not None and not self.frozen:  # no answer: lost, or to arrive some day
            if chance < 0.02:
                world.zombies.append(self.wire)
            self.wire = deque()
            self.blocked = True
            machine.failed(LogError("no answer"))
            self.pump()
            return
        done = arrive(world, self.wire)
        if done is None:
            return
        if isinstance(done, Conflict):
            self.blocked = True
            if machine is not None and not self.frozen:
                machine.failed(done)
                self.pump()
            else:
                self.crash()
        else:
            self.acks.append(done)


def arrive(world: World, wire: deque[Cargo]) -> tuple[Flight, int, int] | Conflict | None:
    """One piece is written (Kafka), or a whole group if its offset fits (a log that compares)."""
    cargo = wire[0]
    partition, end = cargo.partition, len(world.log.of(EVENTS, cargo.partition))
    if world.compares:
        if cargo.flight.expected != end:
            wire.clear()
            return Conflict(EVENTS, partition, cargo.flight.expected, end)
        stop = len(cargo.group)
    else:
        stop = min(len(cargo.group), cargo.written + world.piece)
    first = world.log.write(EVENTS, partition, cargo.group, cargo.written, stop)
    if not cargo.written:
        cargo.first = first
    cargo.written = stop
    if stop < len(cargo.group):
        return None
    wire.popleft()
    return cargo.flight, cargo.first, len(world.log.of(EVENTS, partition))


class World:
    """`sticky`: a log refuses what is submitted behind a doubt or a conflict. `steady`: all clocks are the same and never step."""

    steps_max = limits.STEPS_MAX

    def __init__(self, seed: int, *, nodes: int = 3, partitions: int = 0, steady: bool = False) -> None:
        self.dice = random.Random(seed)
        dice = self.dice
        self.partitions = partitions or dice.choice([1, 2, 2, 3])
        self.compares = dice.random() < 0.3
        self.piece = dice.choice([2, 5, 1000])
        self.sticky = self.faults = True
        self.now = 1_000_000_000
        self.steady = steady
        self.skew = [0 if steady else dice.choice([0, 0, -60_000_000, 3_000_000]) for _ in range(nodes)]
        self.log = Streams(self)
        self.contents: dict[str, str] = {}
        self.library = Library(self.contents.get)
        self.settings = Settings(
            batch_max=dice.choice([1, 4, 64]),
            checkpoint_changes=dice.choice([5, 50, 1000]),
            checkpoint_s=dice.choice([0.5, 5.0]),
            signing=dice.choice([None, Signing(Signer(), groups_max=dice.choice([2, 10]), seconds_max=2.0)]),
        )
        self.seats = [Seat(self, n, p) for n in range(nodes) for p in range(self.partitions)]
        self.zombies: list[deque[Cargo]] = []
        self.late: list[tuple[int, Group]] = []
        self.counts = {"claims": 0, "fenced": 0, "doubts": 0, "checkpoints": 0, "zombies": 0, "frozen": 0, "apart": 0}
        #: replies of commands that came through the topic, by id
        self.replies: dict[str, Any] = {}

    def wall(self, node: int) -> int:
        return self.now + self.skew[node]

    def replier(self, request: c.Request) -> Any:
        return self.replies.get(request.id) if request.id and request.sender < 0 else None

    def post(self, to: int, group: Group) -> None:
        """To `commands`: it may get lost, come late or twice."""
        chance = self.dice.random() if self.faults else 1.0
        if chance < 0.2:
            return
        if chance < 0.35:
            self.late.append((to, group))
        if chance < 0.27:
            return
        self.log.write(COMMANDS, to, group)

    def interfere(self, partition: int) -> None:
        for seat in self.seats:
            while seat.partition == partition and seat.wire and self.faults and self.dice.random() < 0.3:
                seat.transmit()

    def act(self) -> None:
        """Something happens."""
        dice, seat = self.dice, self.dice.choice(self.seats)
        self.now += dice.randint(0, 20_000)
        chance = dice.random()
        if self.faults and chance < 0.06:
            self.fault(seat, dice.random())
        elif seat.machine is None:
            if chance < 0.12 or not any(s.machine is not None for s in self.seats if s.partition == seat.partition):
                seat.take_over()
        elif chance < 0.4:
            seat.step()
        elif chance < 0.7:
            seat.transmit()
        else:
            seat.hear()

    def fault(self, seat: Seat, chance: float) -> None:
        dice = self.dice
        if chance < 0.1:
            seat.crash()
        elif chance < 0.25:
            seat.frozen = seat.machine is not None and not seat.frozen
            self.counts["frozen"] += seat.frozen
        elif chance < 0.35:
            self.skew[seat.node] += 0 if self.steady else dice.choice([-1, 1]) * dice.choice([1_000_000, 60_000_000, 600_000_000])
        elif chance < 0.5 and self.late:
            self.log.write(COMMANDS, *self.late.pop(dice.randrange(len(self.late))))
        elif chance < 0.8 and self.zombies:
            wire = dice.choice(self.zombies)
            self.zombie(wire)

    def zombie(self, wire: deque[Cargo]) -> None:
        if self.dice.random() < 0.2:
            wire.clear()
        else:
            self.counts["zombies"] += 1
            arrive(self, wire)
        self.zombies = [w for w in self.zombies if w]

    def heal(self) -> None:
        """No more faults: the first node owns everything."""
        self.faults = False
        for wire in self.zombies:
            wire.clear()
        self.zombies.clear()
        for to, group in self.late:
            self.log.write(COMMANDS, to, group)
        self.late.clear()
        for seat in self.seats:
            seat.frozen = False
            if seat.node:
                seat.crash()
        self.seats = [s for s in self.seats if not s.node]
        self.zombies.clear()
