"""The real machine with two and three live owners of each partition: zombies that go on after they were fenced, frozen and woken ones, lost and
late acknowledgements, raced claims, stepped clocks, crashes, checkpoints, signed heads, sends that get lost, come late or twice, and poison of every
kind: records that can't be read, values that can't be, commands that break the engine in the middle of what they do, decisions that take too
long for the loop, events that are too large, sends that nobody sent.

One seed again: MACHINE_SEED=<seed> MACHINE_RUNS=1. More: MACHINE_RUNS=20000.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from machine_world import AGAIN, VALUE_MAX, World, at_once

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.events.control import ChangeRollout
from flowledger.kernel import Partition, evolve, limits
from flowledger.kernel.checkpoint import fingerprint
from flowledger.kernel.handlers import HANDLERS
from flowledger.processors import intake
from flowledger.processors.log import COMMANDS, EVENTS, Group
from flowledger.processors.recovery import load
from flowledger.processors.sends import FROM

BASE = int(os.environ.get("MACHINE_SEED", "1"))
RUNS = int(os.environ.get("MACHINE_RUNS", "40"))
INSTANCES, STEPS, HEALED_STEPS = 8, 2_500, 60_000


def _start(text: str, id: str = "") -> bytes:
    return (f'{{"command":{{"$":"StartInstance","id":"plain","variables":{{"x":{text}}}}},"id":"{id}"}}').encode()


#: what is no request at all: a dead letter each
BAD = [
    b"\xff no JSON", b"[]", b'{"command": {"$": "NoSuch"}}', b"", b"null", b"{", b'{"command":{"$":"NoSuch"}}', _start("[" * 120 + "]" * 120),
    _start("1e9999"), _start('"?"').replace(b"?", b"\xed\xa0\x80"),
    b'{"command":{"$":"Confirm","to":0,"seq":1},"sender":0,"seq":0}', b'{"command":{"$":"CompleteTask","task":1e400}}',
    b'{"command":{"$":"PublishMessage","name":"m"},"reply_to":"\\u0000"}', b'{"command":{"$":"PublishMessage","name":"m"},"seq":-1}',
]  # fmt: skip
#: what can be read, and is decided in some way or refused: it leaves nothing behind
ODD = [
    _start("9" * 400), _start('"\\u0000"'), _start('"' + "x" * (VALUE_MAX + 1) + '"'), _start('"' + "x" * (VALUE_MAX // 2) + '"'),
    _start("[" * 90 + "]" * 90), b'{"command":{"$":"CompleteTask","task":77}}', b'{"command":{"$":"CancelInstance","key":9223372036854775807}}',
]  # fmt: skip
#: under the header of an owner (partition, record): a confirmation of what was never sent; sends far ahead, long ago, of a partition that is not there
FORGED = [
    (1, b'{"command":{"$":"Confirm","to":1,"seq":4611686018427387904}}'), (0, b'{"command":{"$":"Confirm","to":0,"seq":1000}}'),
    (0, b'{"command":{"$":"Correlate","subscription":5,"message":3,"name":"m","correlation":"c"},"sender":0,"seq":900000}'),
    (1, b'{"command":{"$":"Confirm","to":0,"seq":0},"sender":1,"seq":800000}'),
    (999, b'{"command":{"$":"PublishMessage","name":"m"},"sender":999,"seq":7}'),
]  # fmt: skip
#: what only the engine says, without that header
BAD += [b'{"command":{"$":"Continue","key":1}}', b'{"command":{"$":"FireTimers","timers":[1,2]}}', *(record for _, record in FORGED)]
#: the command of this name breaks the engine after it has recorded something
BREAK = "break"

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="sim"'
MODEL = f"""<definitions {NS}>
<message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="= order"/></extensionElements></message>
<process id="plain" isExecutable="true"><startEvent id="s0"/><sequenceFlow id="f00" sourceRef="s0" targetRef="e0"/><endEvent id="e0"/></process>
<process id="sim" isExecutable="true">
 <startEvent id="s"/><sequenceFlow id="f0" sourceRef="s" targetRef="fork"/><parallelGateway id="fork"/>
 <sequenceFlow id="f1" sourceRef="fork" targetRef="work"/><sequenceFlow id="f2" sourceRef="fork" targetRef="paid"/>
 <sequenceFlow id="f3" sourceRef="fork" targetRef="pause"/>
 <serviceTask id="work"><extensionElements><zeebe:taskDefinition type="work" retries="1000"/>
  <zeebe:ioMapping><zeebe:input source="=if heavy then sum(for i in 1..1000 return i) else 0" target="sum"/></zeebe:ioMapping></extensionElements></serviceTask>
 <intermediateCatchEvent id="paid"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
 <intermediateCatchEvent id="pause"><timerEventDefinition><timeDuration>PT1S</timeDuration></timerEventDefinition></intermediateCatchEvent>
 <sequenceFlow id="f4" sourceRef="work" targetRef="join"/><sequenceFlow id="f5" sourceRef="paid" targetRef="join"/>
 <sequenceFlow id="f6" sourceRef="pause" targetRef="join"/>
 <parallelGateway id="join"/><sequenceFlow id="f7" sourceRef="join" targetRef="e"/><endEvent id="e"/>
</process></definitions>"""


class Wish:
    """What a client insists on: the same id again, until there is an answer that says yes or no."""

    def __init__(self, clients: Clients, id: str, command: c.AnyCommand, partition: int) -> None:
        self.clients, self.id, self.command, self.partition = clients, id, command, partition
        self.answer: Any = None
        self.next_us = 0

    def ask(self, world: World) -> None:
        if world.now < self.next_us:
            return
        self.next_us = world.now + world.dice.randint(200_000, 900_000)
        request = c.Request(command=self.command, id=self.id, actor=self.id, epoch=self.clients.epoch)  # type: ignore[arg-type]
        seats = [s for s in world.seats if s.partition == self.partition and s.machine is not None and not s.frozen]
        if seats and world.dice.random() < 0.7:
            seat = world.dice.choice(seats)
            seat.machine.offer(request, self.hear)
        else:
            world.replies[self.id] = self.hear
            world.log.write(COMMANDS, self.partition, Group([None], [intake.encode_request(request)]))

    def hear(self, answer: Any) -> None:
        # with one partition there are no epochs: a zombie may say that it knows nothing
        unheard = not self.clients.epoch and isinstance(answer, Rejected) and answer.code == "NOT_FOUND" and self.id[0] == "s"
        if self.answer is None and not unheard and not (isinstance(answer, Rejected) and answer.code in AGAIN):
            self.answer = answer
            self.clients.done.append(self)


class Clients:
    def __init__(self, world: World) -> None:
        self.world = world
        self.wishes: dict[str, Wish] = {}
        self.done: list[Wish] = []
        self.started: dict[str, int] = {}
        self.polls = 0
        self.bad = self.odd = self.broken = 0
        #: instances that a command broke, and that were released again
        self.quarantined: set[int] = set()
        #: of definitions, and the key of one, as the deployment was answered
        self.epoch = self.definition = 0

    def wish(self, id: str, command: c.AnyCommand, partition: int) -> None:
        if id not in self.wishes:
            self.wishes[id] = Wish(self, id, command, partition)

    def act(self) -> None:
        world = self.world
        for wish in list(self.wishes.values()):
            if wish.answer is None:
                wish.ask(world)
        done, self.done = self.done, []
        for wish in done:
            if wish.id == "deploy":
                self.epoch = wish.answer["epoch"] if world.partitions > 1 else 0
                self.definition = next(d["key"] for d in wish.answer["definitions"] if d["id"] == "sim")
                for n in range(INSTANCES):
                    start = c.StartInstance(id="sim", variables={"order": f"o{n}", "heavy": n % 4 == 1})
                    self.wish(f"start-{n}", start, n % world.partitions)
            elif wish.id.startswith("start-"):
                n = wish.id[6:]
                assert isinstance(wish.answer, dict), f"a start after its deployment was answered is refused: {wish.answer}"
                self.started[wish.id] = wish.answer["key"]
                pay = c.PublishMessage(name="paid", correlation_key=f"o{n}", ttl_ms=3_600_000, message_id=f"pay{n}")
                self.wish(f"pay-{n}", pay, c.partition_of_text(f"o{n}", world.partitions))
                self.wish(f"set-{n}", ChangeRollout(key=self.definition, version=1, default=int(n) % 3 > 0, reason=n), 0)
            elif wish.id.startswith("set-"):
                assert isinstance(wish.answer, dict), f"a rollout of what was deployed is refused: {wish.answer}"
            elif wish.id.startswith("poll-") and isinstance(wish.answer, dict):
                self.work(wish.answer["jobs"])
        if world.dice.random() < 0.2:
            self.polls += 1
            poll = c.ActivateTasks(job_type="work", worker=f"w{self.polls % 3}", max=3, timeout_ms=700)
            wish = Wish(self, f"poll-{self.polls}", poll, world.dice.randrange(world.partitions))
            seats = [s for s in world.seats if s.partition == wish.partition and s.machine is not None and not s.frozen]
            if seats:
                world.dice.choice(seats).machine.offer(c.Request(command=poll), wish.hear)  # type: ignore[arg-type]
        if world.faults and world.dice.random() < 0.04:
            self.poison()
        for seat in world.seats:  # an operator looks at health now and then
            if seat.machine is not None and not seat.frozen and world.dice.random() < 0.1:
                for i in seat.machine.state.instances.values():
                    if i.status == "quarantined":
                        self.quarantined.add(i.key)
                        name = f"free-{i.key}-"  # a zombie may show what never counts, under keys that come again
                        if not any(w.answer is None for id, w in self.wishes.items() if id.startswith(name)):
                            self.wish(f"{name}{len(self.wishes)}", c.ReleaseInstance(key=i.key, reason="mended"), seat.partition)

    def poison(self) -> None:
        world, chance, origin = self.world, self.world.dice.random(), -1
        if chance < 0.4:
            self.bad += 1
            record = world.dice.choice(BAD)
        elif chance < 0.8:
            self.odd += 1
            origin, record = world.dice.choice([*((-1, r) for r in ODD), *FORGED])
        else:
            self.broken += 1
            record = intake.encode_request(c.Request(command=c.PublishMessage(name=BREAK, ttl_ms=1000)))
        headers = ((FROM, b"%d" % origin),) if origin >= 0 else ()
        world.log.write(COMMANDS, world.dice.randrange(world.partitions), Group([None], [record], headers))

    def work(self, jobs: list[dict[str, Any]]) -> None:
        for job in jobs:
            if self.world.dice.random() > 0.1:  # else the worker died with the job: its lease runs out
                key, fence = job["key"], job["fence"]
                if self.world.faults and self.world.dice.random() < 0.4:
                    self.wish(f"break-{key}-{fence}", c.CompleteTask(task=key, fence=fence, variables={BREAK: 1}), c.partition_of_key(key))
                self.wish(f"done-{key}-{fence}", c.CompleteTask(task=key, fence=fence), c.partition_of_key(key))


@pytest.fixture(autouse=True)
def defects(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Messages named so, and jobs completed so, break the engine when all is recorded already: it has to be taken back."""

    def breaks(cls: type[Any], broken: Callable[[Any], bool]) -> None:
        handler = HANDLERS[cls]

        def handle(d: Any, e: Any) -> Rejected | None:
            rejected = handler(d, e)
            if broken(e) and rejected is None:
                raise RuntimeError("a defect")
            return rejected

        monkeypatch.setitem(HANDLERS, cls, handle)

    breaks(c.PublishMessage, lambda e: e.name == BREAK)
    breaks(c.CompleteTask, lambda e: BREAK in (e.variables or {}))
    yield


def simulate(seed: int) -> dict[str, int]:
    world = World(seed, nodes=2 + seed % 2)
    clients = Clients(world)
    clients.wish("deploy", c.Deploy(resources=[c.Resource("sim.bpmn", MODEL)]), 0)
    for n in range(STEPS):
        world.act()
        if n % 10 == 0:
            clients.act()
    world.heal()
    for n in range(HEALED_STEPS):
        world.act()
        if n % 10 == 0:
            clients.act()
        if n % 500 == 0 and settled(world, clients):
            break
    else:
        raise AssertionError(f"it hangs: {[w.id for w in clients.wishes.values() if w.answer is None]}, {world.counts}")
    check(world, clients)
    return world.counts


def settled(world: World, clients: Clients) -> bool:
    if len(clients.started) < INSTANCES or any(w.answer is None for w in clients.wishes.values()):
        return False
    seats = [s for s in world.seats if s.machine is not None]
    return len(seats) == world.partitions and all(
        not s.machine.state.instances
        and not s.machine.state.outbox
        and not s.machine.flights
        and not s.machine.inbox
        and not s.wire
        and s.consumed == len(world.log.of(COMMANDS, s.partition))
        for s in seats
        if s.machine is not None
    )


def check(world: World, clients: Clients) -> None:
    """What must hold of the log, whatever happened."""
    begun: dict[str, list[int]] = {}
    ended: list[int] = []
    letters = broken = 0
    plain: set[int] = set()
    rollouts = []
    for p in range(world.partitions):
        reader, state, decoder = rules.GroupReader(), Partition(p, world.partitions), avro.Decoder()
        now = consumed = 0
        sent: dict[int, int] = {}
        chains: dict[int, bytes] = {}
        for record in world.log.of(EVENTS, p):
            group = reader.feed(record)
            if group is None:
                continue
            assert group.whole, "the chain breaks"
            chains[group.number] = group.chain
            assert group.source >= consumed - 1, "a command is consumed twice"
            consumed = group.source + 1
            for value in group.values:
                event, envelope = decoder.decode(value)
                # a claim that was raced is older than what got in before it
                assert envelope.time_us >= now or isinstance(event, le.PartitionClaimed), (
                    f"time goes back {envelope.time_us - now} {event} {reader.epoch}"
                )
                now = max(now, envelope.time_us)
                if isinstance(event, le.HeadSigned):
                    assert chains[event.number] == event.chain and event.number < group.number, "a head of what is not on the log"
                elif isinstance(event, wa.IncidentRaised) and event.code == "ENGINE_DEFECT":
                    broken += 1
                if isinstance(event, wf.WorkflowStarted) and event.process == "plain":
                    plain.add(event.key)
                elif isinstance(event, wf.WorkflowCompleted) and event.key in plain:
                    plain.remove(event.key)
                elif isinstance(event, wf.WorkflowStarted):
                    begun.setdefault(envelope.cause.removeprefix("request:"), []).append(event.key)
                elif isinstance(event, wf.WorkflowCompleted):
                    ended.append(event.key)
                elif isinstance(event, ta.TaskCompleted):
                    # also what came while the instance was quarantined, and is done when that ends
                    holder = f"done-{event.task}-{state.tasks[event.task].fence}"
                    assert envelope.actor == holder, f"completed by one whose lease was over, or said of another: {envelope.actor}"
                elif isinstance(event, le.Outbound):
                    assert event.seq == sent.get(event.to, 0) + 1, "numbers of sends have a gap"
                    sent[event.to] = event.seq
                elif isinstance(event, le.Inbound):
                    assert event.seq == state.meta.taken.get(event.sender, 0) + 1, "a send is taken twice or out of turn"
                letters += isinstance(event, le.DeadLettered)
                evolve(state, event, envelope)
        rollouts.append((state.rollouts, state.meta.definitions))
        [owner] = [s.machine for s in world.seats if s.partition == p]
        assert owner is not None
        live, replayed = fingerprint(owner.state), fingerprint(state)
        assert live == replayed, "live state and replay differ"
        left = [state.instances, state.tasks, state.timers, state.subscriptions, state.awaited, state.outbox, dict.fromkeys(plain)]
        assert left == [{}] * 7, f"something is left behind: {left}"
        restored, tail, position = at_once(load(world.log, p))  # type: ignore[arg-type]
        for record in world.log.of(EVENTS, p)[position:]:
            group = tail.feed(record)
            for value in group.values if group else ():
                evolve(restored, *decoder.decode(value))
        assert fingerprint(restored) == replayed, "checkpoint and tail give another state than the whole log"
    assert all(r == rollouts[0] for r in rollouts), "partitions mean different versions"
    for id, key in clients.started.items():
        assert begun.get(id) == [key], f"{id}: acknowledged as {key}, on the log {begun.get(id)}"
    assert sorted(ended) == sorted(clients.started.values()), "each instance completes once"
    assert letters == clients.bad, f"{clients.bad} records can't be read, {letters} dead letters"
    assert broken == clients.broken, f"{clients.broken} commands broke the engine, {broken} incidents say so"
    assert clients.quarantined <= set(clients.started.values()), "nothing but what was broken suffers"
    world.counts["quarantined"] = len(clients.quarantined)


@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS))
@pytest.mark.req("WOS-ENG-016", "APG-HA-008")
def test_with_several_live_owners_each_instance_runs_once(seed):
    simulate(seed)


@pytest.mark.parametrize("seed", range(BASE, BASE + max(1, RUNS // 4)))
@pytest.mark.req("WOS-ENG-016", "D-EVT-002")
def test_with_tiny_budgets_it_is_the_same(seed, monkeypatch):
    """Nearly all is put off, and what was kept is applied in many steps; each is said of whoever asked for it."""
    for name, budget in (("EVENTS_MAX", 5), ("FOLLOW_UPS_MAX", 1), ("FOLLOW_UPS_FREE", 0)):
        monkeypatch.setattr(limits, name, budget)
    monkeypatch.setattr(World, "steps_max", 2)
    simulate(seed)


def test_the_schedules_are_worth_something():
    seen: dict[str, int] = {}
    for seed in range(BASE, BASE + 12):
        for name, count in simulate(seed).items():
            seen[name] = seen.get(name, 0) + count
    assert seen["claims"] > 60 and seen["fenced"] > 25 and seen["doubts"] > 10 and seen["zombies"] > 10 and seen["checkpoints"] > 30, seen
    assert seen["apart"] > 20 and seen["quarantined"] > 5, seen
