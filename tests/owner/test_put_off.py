"""What a decision can't do any more within its budget is put off, and neither lost nor done twice: an owner that dies at any step between the decision
and what was put off, zombies, lost and late acknowledgements, checkpoints, and what is refused, breaks or can't be read when its turn comes.

One seed again: PUT_OFF_SEED=<seed> PUT_OFF_RUNS=1. More: PUT_OFF_RUNS=2000.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from machine_world import AGAIN, Seat, World, at_once
from notation import bpmn

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.kernel import Partition, evolve, limits
from flowledger.kernel.checkpoint import fingerprint
from flowledger.processors.log import EVENTS
from flowledger.processors.recovery import load
from flowledger.processors.settings import Settings

BASE = int(os.environ.get("PUT_OFF_SEED", "1"))
RUNS = int(os.environ.get("PUT_OFF_RUNS", "25"))
CHILDREN = 7

#: a call of several children at once; each waits for work, for a signal and for a message; the signal ends it, and it throws a message that starts another
EACH = f'<zeebe:loopCharacteristics inputCollection="= for i in 1..{CHILDREN} return i" inputElement="item"/>'
MANY = f"""startEvent s
callActivity a
<zeebe:calledElement processId="q"/>
.<multiInstanceLoopCharacteristics><extensionElements>{EACH}</extensionElements></multiInstanceLoopCharacteristics>
endEvent e
s > a > e"""
CHILD = """process q {
startEvent qs
serviceTask t
boundaryEvent b on=t : signal S
boundaryEvent m on=t : message M = string join([order, string(item)])
intermediateThrowEvent d : message D = string join([order, string(item)])
endEvent qe
endEvent qm
qs > t > qe
b > d > qe
m > qm
}"""
THEN = "process r {\nstartEvent rs : message D\nendEvent re\nrs > re\n}"
FILES = [c.Resource(f"m{n}.bpmn", bpmn(text)) for n, text in enumerate((MANY, CHILD, THEN))]


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets that nearly every decision spends."""
    monkeypatch.setattr(limits, "EVENTS_MAX", 12)
    monkeypatch.setattr(limits, "FOLLOW_UPS_MAX", 3, raising=False)


class Seen:
    """What the log of a partition says, folded by the rules for every reader."""

    def __init__(self, world: World, p: int) -> None:
        self.state, self.words = Partition(p, world.partitions), Counter[str]()
        self.sent, self.refused = 0, 0
        reader, decoder = rules.GroupReader(), avro.Decoder()
        for record in world.log.of(EVENTS, p):
            group = reader.feed(record)
            assert group is None or group.whole, "the chain breaks"
            for value in group.values if group is not None else ():
                event, envelope = decoder.decode(value)
                if isinstance(event, wf.WorkflowStarted):
                    self.words[event.process] += 1
                elif isinstance(event, wf.WorkflowCompleted):
                    self.words[f"{self.state.instances[event.key].process} ended"] += 1
                elif isinstance(event, wa.IncidentRaised):
                    self.words[event.code] += 1
                elif isinstance(event, le.Outbound):
                    assert event.seq == self.state.meta.sent.get(event.to, 0) + 1, "numbers of sends have a gap"
                    self.sent += event.to == p
                elif isinstance(event, le.Inbound):
                    assert event.seq == self.state.meta.taken.get(event.sender, 0) + 1, "a send is taken twice or out of turn"
                    self.refused += bool(event.reason)
                evolve(self.state, event, envelope)


def check(world: World, parents: int) -> Counter[str]:
    """All happened, each once; live state, replay, and checkpoint with its tail are the same, and nothing is left."""
    words, own = Counter[str](), 0
    for p in range(world.partitions):
        seen = Seen(world, p)
        words += seen.words
        own += seen.sent
        [owner] = [s.machine for s in world.seats if s.partition == p]
        assert owner is not None
        replayed = fingerprint(seen.state)
        assert fingerprint(owner.state) == replayed, "live state and replay differ"
        state = seen.state
        left = [state.instances, state.tasks, state.timers, state.awaited, state.outbox, state.incidents]
        assert left == [{}] * 6, f"something is left behind: {left}"
        restored, tail, position = at_once(load(world.log, p))  # type: ignore[arg-type]
        decoder = avro.Decoder()
        for record in world.log.of(EVENTS, p)[position:]:
            group = tail.feed(record)
            for value in group.values if group else ():
                evolve(restored, *decoder.decode(value))
        assert fingerprint(restored) == replayed, "checkpoint and tail give another state than the whole log"
    children = parents * CHILDREN
    expected = {"p": parents, "q": children, "r": children}
    assert words == Counter({**expected, **{f"{name} ended": n for name, n in expected.items()}}), words
    words["own"] = own
    return words


# --- one owner, which dies at each step -----------------------------------------------------------------------------------------


class One:
    """The only owner of the only partition. `step` decides and lands; at step `dies` it dies: before its group is on the log, before it hears so, or after."""

    def __init__(self, dies: int = -1, how: str = "", **settings: Any) -> None:
        self.world = World(1)
        self.world.partitions = self.world.log.partitions = 1
        self.world.faults = self.world.compares = False
        self.world.settings = Settings(**{"checkpoint_s": 1e6, **settings})
        self.seat = Seat(self.world, 0, 0)
        self.world.seats = [self.seat]
        self.steps, self.dies, self.how = 0, dies, how
        self.died = False
        self.answers: dict[str, Any] = {}
        self.seat.take_over()

    @property
    def state(self) -> Partition:
        assert self.seat.machine is not None
        return self.seat.machine.state

    def step(self) -> None:
        seat, world = self.seat, self.world
        assert seat.machine is not None
        world.now += 1_000
        seat.machine.step(world.now, world.now)
        seat.pump()
        dies = self.steps == self.dies
        self.steps += 1
        if dies and self.how == "lost":
            self.die()
        while seat.wire:
            seat.transmit()
        if dies and self.how == "unheard":
            self.die()
        while seat.acks or seat.gaps or seat.images or seat.apart:
            seat.hear()
        if dies and self.how == "heard":
            self.die()

    def die(self) -> None:
        self.died = True
        self.seat.crash()
        self.seat.world.zombies.clear()
        self.seat.take_over()

    def ask(self, id: str, command: c.AnyCommand, steps: int = 2_000) -> Any:
        """Insists, and goes on until all rests."""
        for _ in range(steps):
            assert self.seat.machine is not None
            if id not in self.answers and not self.seat.machine.inbox:
                self.seat.machine.offer(c.Request(command=command, id=id), lambda answer: self._hear(id, answer))  # type: ignore[arg-type]
            self.step()
            if id in self.answers and not self.seat.machine.hungry:
                return self.answers[id]
        raise AssertionError(f"no rest: {id}")

    def _hear(self, id: str, answer: Any) -> None:
        if not (isinstance(answer, Rejected) and answer.code in AGAIN):
            self.answers[id] = answer


def run(one: One, parents: int = 1) -> None:
    one.ask("deploy", c.Deploy(resources=FILES))
    for n in range(parents):
        one.ask(f"start{n}", c.StartInstance(id="p", variables={"order": f"o{n}"}))
    assert len(one.state.tasks) == len(one.state.awaited) == parents * CHILDREN
    one.ask("signal", c.BroadcastSignal(name="S"))
    check(one.world, parents)


@pytest.mark.req("WOS-ENG-014", "APG-HA-008")
@pytest.mark.parametrize("how", ["lost", "unheard", "heard"])
def test_an_owner_that_dies_at_any_step_loses_nothing_that_was_put_off(little, how):
    plain = One()
    run(plain, 2)
    words = check(plain.world, 2)
    assert words["own"] > 30, "it puts off"
    for dies in range(plain.steps):
        one = One(dies, how, checkpoint_changes=10 if dies % 2 else 1_000_000)
        run(one, 2)
        assert one.died or dies > one.steps - 5


# --- several owners, and all that can happen to them ------------------------------------------------------------------------------


class Client:
    """Insists on an answer, by the same id."""

    def __init__(self, world: World, id: str, command: c.AnyCommand, partition: int, epoch: int = 0) -> None:
        self.world, self.partition, self.next_us, self.answer = world, partition, 0, None
        self.request = c.Request(command=command, id=id, epoch=epoch)  # type: ignore[arg-type]

    def ask(self) -> bool:
        """False: it has its answer."""
        world = self.world
        if self.answer is None and world.now >= self.next_us:
            self.next_us = world.now + world.dice.randint(200_000, 900_000)
            if seats := [s for s in world.seats if s.partition == self.partition and s.machine is not None and not s.frozen]:
                world.dice.choice(seats).machine.offer(self.request, self.hear)
        return self.answer is None

    def hear(self, answer: Any) -> None:
        """An owner that has not heard yet that it is none may say that it knows nothing of the model."""
        if not (isinstance(answer, Rejected) and answer.code in (*AGAIN, "NOT_FOUND")):
            self.answer = answer


PARENTS = 3


def simulate(seed: int) -> Counter[str]:
    world = World(seed, nodes=2 + seed % 2)
    if world.partitions > 1:  # one command at a time is slower than what is sent again
        world.settings.batch_max = max(4, world.settings.batch_max)
    deploy = Client(world, "deploy", c.Deploy(resources=FILES), 0)
    go(world, lambda: not deploy.ask())
    epoch = deploy.answer["epoch"] if world.partitions > 1 else 0
    wishes = [
        Client(world, f"start{n}", c.StartInstance(id="p", variables={"order": f"o{n}"}), n % world.partitions, epoch)
        for n in range(PARENTS)
    ]
    go(world, lambda: not any([w.ask() for w in wishes]))
    go(world, lambda: waiting(world) == PARENTS * CHILDREN, heal=world.dice.random() < 0.3)
    signal = Client(world, "signal", c.BroadcastSignal(name="S"), 0)
    go(world, lambda: not signal.ask())
    for _ in range(world.dice.choice([0, 100, 1_000])):
        world.act()
    world.heal()
    for seat in world.seats:  # it may not have heard yet that somebody else took over
        seat.crash()
    world.zombies.clear()
    go(world, lambda: settled(world))
    return check(world, PARENTS) + Counter(world.counts)


def go(world: World, done: Any, heal: bool = False) -> None:
    """Until it is so; after a while without faults, and with one node."""
    for n in range(60_000):
        world.act()
        if n % 20 == 0 and done():
            return
        if n == 3_000 or heal:
            world.faults, heal = False, False
            for seat in world.seats:
                seat.frozen = False
        if n == 6_000:  # they may go on to fence each other for ever
            world.heal()
    raise AssertionError(f"it hangs: {world.counts}")


def waiting(world: World) -> int:
    """Children that wait for the signal, as far as that is on the log."""
    found = leaders(world)
    return 0 if any(s.machine.flights for s in found) else sum(len(s.machine.state.tasks) for s in found)


def leaders(world: World) -> list[Seat]:
    """Of each partition the owner whose claim is the newest."""
    found: dict[int, Seat] = {}
    for s in world.seats:
        if s.machine is not None and (s.partition not in found or s.machine.claim.epoch > found[s.partition].machine.claim.epoch):
            found[s.partition] = s
    return list(found.values())


def settled(world: World) -> bool:
    machines = [s.machine for s in world.seats if s.machine is not None]
    return len(machines) == world.partitions and not any(
        m.state.instances or m.state.outbox or m.state.awaited or m.flights for m in machines
    )


@pytest.mark.req("WOS-ENG-014", "APG-HA-008")
@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS))
def test_with_several_live_owners_what_is_put_off_is_done_once(little, seed):
    assert simulate(seed)["own"] > 30
