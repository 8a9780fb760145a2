"""Limits under several live owners of each partition: zombies, kills at any point, lost and late acknowledgements, lost, late and doubled sends.

What is on the log at each moment never exceeds a limit, and once the faults are over all work gets done: nobody is kept back for ever. One seed again:
LIMITS_SEED=<seed> LIMITS_RUNS=1. More: LIMITS_RUNS=2000.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from machine_world import AGAIN, World

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.kernel import Partition, evolve, tenants
from flowledger.kernel.tasks import quotas
from flowledger.processors import intake
from flowledger.processors.log import COMMANDS, EVENTS, Group
from flowledger.sdk import Flow

_request = msgspec.json.Decoder(c.Request)
BASE = int(os.environ.get("LIMITS_SEED", "1"))
RUNS = int(os.environ.get("LIMITS_RUNS", "4"))
TASKS, STEPS, HEALED_STEPS, LEASE_MS = 12, 3_000, 60_000, 2_500
#: polls are let in while so many commands at most wait for an owner
CROWDED = 16

#: kind -> (registry, name, value)
LIMITS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "concurrency": ("limit", "job:work", {"concurrency": 3}),
    "mutex": ("limit", "endpoint:x", {"concurrency": 1}),
    "tenant": ("limit", "tenant:acme", {"concurrency": 2}),
    "rate": ("limit", "job:work", {"rate": {"max": 3, "per_ms": 3_000}}),
    "breaker": ("limit", "job:work", {"circuit_breaker": {"failures": 2, "min_calls": 1_000, "open_ms": 500, "probes": 1, "full": 2}}),
    "person": ("directory", "user:ann", {"groups": ["clerks"], "max_concurrent": 2}),
    "instances": (tenants.REGISTRY, "acme", {"instances": 2}),
    "starts": (tenants.REGISTRY, "acme", {"starts": {"max": 3, "per_ms": 3_000}}),
}
#: of a tenant's instances: each has one task, and ends with it
QUOTAS = ("instances", "starts")
MODEL = Flow("p").start().service("work", job="work", retries=1_000).end().xml().decode()


class Watch:
    """Each partition as the log has it, and what must hold of all of them together."""

    def __init__(self, world: World, kind: str) -> None:
        self.world, self.kind = world, kind
        self.value = LIMITS[kind][2]
        self.states = [Partition(p, world.partitions) for p in range(world.partitions)]
        self.readers = [rules.GroupReader() for _ in self.states]
        self.decoders = [avro.Decoder() for _ in self.states]
        self.read = [0] * world.partitions
        #: of what a rate counts (leases, a tenant's starts): when the home began so many or let others begin them; how many others were let and did
        self.spent: list[tuple[int, int]] = []
        self.given = self.begun = self.ended = 0
        self.home = c.partition_of_text(quotas.PREFIX + "acme" if kind in QUOTAS else LIMITS[kind][1], world.partitions)
        self.most = self.bad_in_a_row = 0

    def look(self) -> None:
        for p, state in enumerate(self.states):
            records = self.world.log.of(EVENTS, p)
            for record in records[self.read[p] :]:
                group = self.readers[p].feed(record)
                for value in group.values if group is not None else ():
                    event, envelope = self.decoders[p].decode(value)
                    evolve(state, event, envelope)
                    if number := self.begins(event):
                        if p == self.home:
                            self.spent.append((envelope.time_us, number))
                        else:
                            self.begun += number
                    elif isinstance(event, le.Outbound) and isinstance(gift := _request.decode(event.command).command, c.GivePermits):
                        self.spent.append((envelope.time_us, gift.number))
                        self.given += gift.number
                    self.ended += isinstance(event, wf.WorkflowCompleted)
            self.read[p] = len(records)
        if self.kind == "instances":
            self.within(sum(i.status == "running" for s in self.states for i in s.instances.values()), self.value["instances"])
        elif self.kind == "person":
            self.within(sum(len(s.by_assignee.get("ann", ())) for s in self.states), self.value["max_concurrent"])
        elif "concurrency" in self.value:
            out = sum(1 for s in self.states for t in s.tasks.values() if t.worker and t.deadline_us > self.world.now)
            self.within(out, self.value["concurrency"])

    def within(self, found: int, most: int) -> None:
        self.most = max(self.most, found)
        assert found <= most, f"over-granted: {found} of {most}"

    def done(self) -> int:
        return self.ended if self.kind in QUOTAS else TASKS - sum(len(s.tasks) for s in self.states)

    def ready(self) -> bool:
        """All know of the limit, and of the model."""
        registry, name, value = LIMITS[self.kind]
        if self.kind in QUOTAS:
            return all((tenants.of(s, name) or {}).get("quotas") == value and s.definitions for s in self.states)
        return all(s.records.get((registry, name)) == value for s in self.states)

    def begins(self, event: Any) -> int:
        """Leases or, under quotas, instances."""
        if self.kind in QUOTAS:
            return int(isinstance(event, wf.WorkflowStarted))
        return len(event.tasks) if isinstance(event, ta.TaskLeased) else 0

    def check_rate(self, rate: dict[str, int]) -> None:
        """What the home begins or lets begin fits the bucket to the microsecond; who begins elsewhere was let, though it may have taken its while to get
        there."""
        burst = rate["max"]
        interval = rate["per_ms"] * 1000 // burst
        tat = 0
        for now, number in self.spent:
            tat = max(tat, now) + number * interval
            assert tat - now <= burst * interval, f"over-granted: {(tat - now) / interval:g} tokens of {burst}"
        assert self.begun <= self.given, f"{self.begun} began elsewhere, {self.given} might"


class Crowd:
    """Those who create tasks, take them and complete them. An id is insisted on until there is an answer."""

    def __init__(self, world: World, watch: Watch) -> None:
        self.world, self.watch = world, watch
        self.open: dict[str, tuple[int, c.AnyCommand, int]] = {}
        self.answers: dict[str, Any] = {}
        self.polls = 0
        self.tenant = "acme" if watch.kind in ("tenant", *QUOTAS) else ""

    def wish(self, id: str, command: c.AnyCommand, partition: int) -> None:
        if id not in self.answers and id not in self.open:
            self.open[id] = (partition, command, 0)

    def heard(self, id: str, answer: Any) -> None:
        again = (*AGAIN, "NOT_FOUND") if id.startswith("task-") else AGAIN  # of an owner that was one before the model came
        if id in self.open and not (isinstance(answer, Rejected) and answer.code in again):
            self.answers[id] = answer
            del self.open[id]

    def ask(self, id: str) -> None:
        world = self.world
        partition, command, next_us = self.open[id]
        if world.now < next_us:
            return
        self.open[id] = (partition, command, world.now + world.dice.randint(200_000, 900_000))
        request = c.Request(command=command, id=id, tenant=self.tenant if id != "limit" else "")
        seats = [s.machine for s in world.seats if s.partition == partition and s.machine is not None and not s.frozen]
        if seats and world.dice.random() < 0.7:
            machine = world.dice.choice(seats)
            assert machine is not None
            machine.offer(request, lambda answer: self.heard(id, answer))
        else:
            world.replies[id] = lambda answer: self.heard(id, answer)
            world.log.write(COMMANDS, partition, Group([None], [intake.encode_request(request)]))

    def act(self) -> None:
        world, dice = self.world, self.world.dice
        registry, name, value = LIMITS[self.watch.kind]
        for id in list(self.open):
            self.ask(id)
        if self.watch.kind in QUOTAS:
            self.wish("limit", co.ControlTenant(name=name, move="create", quotas=value), 0)
            self.wish("deploy", c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]), 0)
        else:
            self.wish("limit", c.StoreRecord(registry=registry, name=name, value=value), 0)
        if not self.watch.ready():
            return
        for n in range(TASKS):
            self.wish(f"task-{n}", self.task(), n % world.partitions)
        if self.watch.kind == "person":
            for state in self.watch.states:
                for key in list(state.by_assignee.get("ann", ())):
                    if dice.random() < 0.01:
                        self.wish(f"done-{key}", c.CompleteTask(task=key), c.partition_of_key(key))
        elif dice.random() < 0.2:
            self.poll()

    def task(self) -> c.AnyCommand:
        if self.watch.kind in QUOTAS:
            return c.StartInstance(id="p")
        if self.watch.kind == "person":
            return c.CreateTask(name="x", details={"settings": {"assignment": {"groups": ["clerks"]}}})
        return c.CreateTask(job_type="work", headers={"endpoint": "x"}, retries=1_000)

    def poll(self) -> None:
        world, dice = self.world, self.world.dice
        self.polls += 1
        partition = dice.randrange(world.partitions)
        seats = [s.machine for s in world.seats if s.partition == partition and s.machine is not None and not s.frozen]
        if seats:
            poll = c.ActivateTasks(job_type="work", worker=f"w{self.polls}", max=dice.choice([1, 4]), timeout_ms=LEASE_MS)
            machine = dice.choice(seats)
            assert machine is not None
            if len(machine.inbox) > CROWDED:
                return  # as doors do; else a slow owner (`batch_max` 1) falls behind for ever, and what it is given is stale when its turn comes
            machine.offer(c.Request(command=poll, tenant=self.tenant), self.work)

    def work(self, answer: Any) -> None:
        for job in answer["jobs"] if isinstance(answer, dict) else ():
            chance, key, fence = self.world.dice.random(), job["key"], job["fence"]
            if chance < 0.2 and self.world.faults:
                continue  # the worker died with it
            command: c.AnyCommand = c.CompleteTask(task=key, fence=fence)
            if chance < (0.5 if self.watch.kind == "breaker" else 0.3) and self.world.faults:
                command = c.FailTask(task=key, fence=fence, retries=999, backoff_ms=0)
            self.wish(f"end-{key}-{fence}", command, c.partition_of_key(key))


def simulate(seed: int, kind: str) -> tuple[World, Watch]:
    world = World(seed, partitions=2 + seed % 2, steady=kind != "person")
    watch = Watch(world, kind)
    crowd = Crowd(world, watch)
    for n in range(STEPS + HEALED_STEPS):
        if n == STEPS:
            world.heal()
        world.act()
        if n % 4 == 0:
            watch.look()
        if n % 10 == 0:
            crowd.act()
        created = sum(id.startswith("task-") for id in crowd.answers)
        if n > STEPS and n % 200 == 0 and created == TASKS and watch.done() == TASKS:
            break
    else:
        left = [(t.key >> 51, t.status, t.worker, t.details) for s in watch.states for t in s.tasks.values()]
        limited = [{k: v for k, v in s.records.items() if k[0].startswith(("permits", "breaker"))} for s in watch.states]
        raise AssertionError(f"kept back for ever: {left}; {limited}; {list(crowd.open)[:20]}, {world.counts}")
    refused = [a for id, a in crowd.answers.items() if id.startswith("task-") and isinstance(a, Rejected)]
    assert not refused, refused
    if rate := watch.value.get("rate") or watch.value.get("starts"):
        watch.check_rate(rate)
    assert not any(s.instances for s in watch.states)
    return world, watch


@pytest.mark.req("D-RES-005", "APG-RES-002", "APG-HA-008")
@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS))
@pytest.mark.parametrize("kind", LIMITS)
def test_a_limit_is_never_exceeded_and_never_stuck(kind, seed):
    world, watch = simulate(seed, kind)
    if kind in ("concurrency", "person", "tenant", "mutex", "instances"):
        assert watch.most > 0
    assert world.counts["claims"] > world.partitions
