"""Owners that crash, freeze, lose acknowledgements and are fenced, against the log in memory; the real code, in virtual time.

Reproduce one seed: SIM_SEED=<seed> SIM_RUNS=1 pytest tests/owner/test_simulation.py
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from virtual import run

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events.base import Rejected
from flowledger.events.workflow import WorkflowCompleted, WorkflowStarted
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import Partition, evolve
from flowledger.kernel.checkpoint import fingerprint
from flowledger.processors import watchdog, watching
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS
from flowledger.processors.owner import Settings, load

BASE = int(os.environ.get("SIM_SEED", "1"))
RUNS = int(os.environ.get("SIM_RUNS", "60"))

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="sim"'
MODEL = f"""<definitions {NS}>
<message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="= order"/></extensionElements></message>
<process id="sim" isExecutable="true">
 <startEvent id="s"/><sequenceFlow id="f0" sourceRef="s" targetRef="fork"/>
 <parallelGateway id="fork"/>
 <sequenceFlow id="f1" sourceRef="fork" targetRef="work"/><sequenceFlow id="f2" sourceRef="fork" targetRef="paid"/>
 <sequenceFlow id="f3" sourceRef="fork" targetRef="pause"/>
 <serviceTask id="work"><extensionElements><zeebe:taskDefinition type="work" retries="1000"/></extensionElements></serviceTask>
 <intermediateCatchEvent id="paid"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
 <intermediateCatchEvent id="pause"><timerEventDefinition><timeDuration>PT2S</timeDuration></timerEventDefinition></intermediateCatchEvent>
 <sequenceFlow id="f4" sourceRef="work" targetRef="join"/><sequenceFlow id="f5" sourceRef="paid" targetRef="join"/>
 <sequenceFlow id="f6" sourceRef="pause" targetRef="join"/>
 <parallelGateway id="join"/><sequenceFlow id="f7" sourceRef="join" targetRef="e"/><endEvent id="e"/>
</process></definitions>"""


class World:
    """Several processes over one store. `rng` decides what goes wrong and when."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.partitions = self.rng.choice([1, 1, 2, 3])
        self.store = MemoryStore(self.partitions)
        self.compares = self.rng.random() < 0.5
        self.batch = self.rng.choice([None, None, 2, 5])
        self.faults = True
        self.engines: list[Engine] = []
        self.settings = Settings(
            checkpoint_changes=self.rng.choice([5, 50, 1000]),
            checkpoint_s=self.rng.choice([0.5, 5.0]),
            batch_max=self.rng.choice([1, 4, 64]),
        )
        self.skew = 0

    def fault(self, topic: str, partition: int, group: object) -> str:
        if not self.faults or topic not in ("events", "state", "commands") or self.rng.random() > 0.02:
            return ""
        if topic == "commands":  # a caller's send in doubt may be written or not; both are retried by the sender
            return self.rng.choice(["lost", "unacknowledged"])
        return self.rng.choice(["lost", "unacknowledged", "late"])

    def clock(self) -> int:
        """Differs between readings by more than the loop's time: clocks jump, also back."""
        if self.faults and self.rng.random() < 0.01:
            self.skew = self.rng.randint(-3_000_000, 3_000_000)
        return int(asyncio.get_event_loop().time() * 1_000_000) + 1_000_000_000 + self.skew

    async def start(self) -> Engine:
        log = MemoryLog(self.store, compares=self.compares, batch_records=self.batch, fault=self.fault)
        engine = Engine(
            log, partitions=self.partitions, settings=self.settings, clock=self.clock, token=lambda: f"{self.rng.getrandbits(64):016x}"
        )
        await engine.start()
        self.engines.append(engine)
        return engine

    async def crash(self, engine: Engine) -> None:
        self.engines.remove(engine)
        engine.log.crash()
        await engine.kill()

    async def chaos(self) -> None:
        while self.faults:
            await asyncio.sleep(self.rng.uniform(0.05, 1.0))
            what = self.rng.random()
            if what < 0.3:
                self.store.release()
            elif what < 0.55 and len(self.engines) > 1:
                await self.crash(self.rng.choice(self.engines))
            elif what < 0.8 and len(self.engines) < 3:
                await self.start()

    async def insist(self, command: c.AnyCommand, id: str) -> dict | Rejected:
        """As a careful client: the same id until there is an answer that says yes or no."""
        while True:
            if not self.engines:
                await asyncio.sleep(0.05)
                continue
            answer = await self.rng.choice(self.engines).call(command, id=id, timeout_s=1.5, partition=self.route(command, id))
            if isinstance(answer, Rejected) and answer.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"):
                await asyncio.sleep(0.05)
                continue
            return answer

    def route(self, command: c.AnyCommand, id: str) -> int | None:
        """A start that is repeated goes to the partition that may know it."""
        return sum(id.encode()) % self.partitions if isinstance(command, c.StartInstance) else None


async def worker(world: World, name: str, done: set[int]) -> None:
    while True:
        if not world.engines:
            await asyncio.sleep(0.05)
            continue
        engine = world.rng.choice(world.engines)
        try:
            jobs = await engine.activate("work", name, 5, 700, wait_ms=200)
        except Exception:
            jobs = []
        for job in jobs:
            if world.rng.random() < 0.1:
                continue  # the worker died with the job: its lease runs out
            answer = await world.insist(c.CompleteTask(task=job["key"], variables={"done": job["attempt"]}), f"done-{job['key']}")
            if isinstance(answer, dict):
                done.add(job["key"])
            else:
                assert answer.code in ("NOT_FOUND", "STALE", "ID_REUSED"), answer  # another attempt was completed under this id
        await asyncio.sleep(0.02)


async def simulate(seed: int) -> None:
    world = World(seed)
    await world.start()
    await world.start()
    deployed = await world.insist(c.Deploy(resources=[c.Resource("sim.bpmn", MODEL)]), "deploy")
    assert isinstance(deployed, dict), deployed
    chaos = asyncio.create_task(world.chaos())
    done: set[int] = set()
    workers = [asyncio.create_task(worker(world, f"w{n}", done)) for n in range(2)]
    started: dict[str, int] = {}

    async def one(n: int) -> None:
        await asyncio.sleep(world.rng.uniform(0, 3))
        while True:
            answer = await world.insist(c.StartInstance(id="sim", variables={"order": f"o{n}"}), f"start-{n}")
            if isinstance(answer, dict):
                break
            assert answer.code == "NOT_FOUND", answer  # the definition has not reached that partition yet
            await asyncio.sleep(0.1)
        started[f"start-{n}"] = answer["key"]
        await asyncio.sleep(world.rng.uniform(0, 2))
        answer = await world.insist(
            c.PublishMessage(name="paid", correlation_key=f"o{n}", ttl_ms=3_600_000, message_id=f"pay{n}"), f"pay-{n}"
        )
        assert isinstance(answer, dict) or answer.code == "ALREADY_EXISTS", answer

    await asyncio.gather(*(one(n) for n in range(12)))
    world.faults = False
    chaos.cancel()
    world.store.release()
    for engine in world.engines[1:]:
        await world.crash(engine)
    for _ in range(600):
        await asyncio.sleep(0.2)
        owners = world.engines[0].owners
        if len(owners) == world.partitions and all(o.ready.is_set() and not o.state.instances for o in owners.values()):
            break
    for w in workers:
        if w.done():
            w.result()
        w.cancel()
    await asyncio.sleep(5)
    await check(world, started)


def differences(a: Partition, b: Partition) -> list[tuple[bytes, object, object]]:
    left, right = fingerprint(a), fingerprint(b)
    return [(k, left.get(k), right.get(k)) for k in sorted(left.keys() | right.keys()) if left.get(k) != right.get(k)]


async def check(world: World, started: dict[str, int]) -> None:
    """What must hold of the log, whatever happened."""
    log = MemoryLog(world.store)
    begun: dict[str, list[int]] = {}
    ended: list[int] = []
    for p in range(world.partitions):
        reader, state, decoder = rules.GroupReader(), Partition(p, world.partitions), avro.Decoder()
        async for batch in log.read(EVENTS, p, 0):
            for record in batch:
                group = reader.feed(record)
                for value in group.values if group else ():
                    assert group.computed == group.chain, "the chain breaks"
                    event, envelope = decoder.decode(value)
                    evolve(state, event, envelope)
                    if isinstance(event, WorkflowStarted):
                        begun.setdefault(envelope.cause.removeprefix("request:"), []).append(event.key)
                    elif isinstance(event, WorkflowCompleted):
                        ended.append(event.key)
        owner = world.engines[0].owners[p]
        assert differences(owner.state, state) == [], "live state and replay differ"
        left = [state.instances, state.tasks, state.timers, state.subscriptions, state.awaited]
        assert left == [{}, {}, {}, {}, {}], f"something is left behind: {left}"
        restored, tail, position = await load(log, p)
        async for batch in log.read(EVENTS, p, position):
            for record in batch:
                group = tail.feed(record)
                for value in group.values if group else ():
                    event, envelope = decoder.decode(value)
                    evolve(restored, event, envelope)
        assert differences(restored, state) == [], "checkpoint and tail give another state than the whole log"
    for id, key in started.items():
        assert begun.get(id) == [key], f"{id}: acknowledged as {key}, on the log {begun.get(id)}"
    assert sorted(ended) == sorted(started.values()), "each instance completes once"


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the watchdogs of all owners find, which look much more often than usual."""
    found: list[object] = []
    for name, value in (("REST_S", 0.2), ("ROUND_S", 0.5), ("CONFIRM_US", 300_000)):
        monkeypatch.setattr(watchdog, name, value)
    monkeypatch.setattr(watching, "ASK_S", 0.2)
    monkeypatch.setattr(watchdog.Watchdog, "_add", lambda self, s: found.append(s.found))
    return found


@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS))
@pytest.mark.req("WOS-ENG-014", "WSM-ENG-003")
def test_whatever_fails_each_instance_runs_once(seed, alarms):
    run(asyncio.wait_for(simulate(seed), 900))  # virtual seconds: a hang is a failure
    assert not alarms, "a false alarm"
