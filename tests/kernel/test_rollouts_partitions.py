"""Rollouts over several partitions: decided on the first, told to all as deployments are, in whatever order sends arrive."""

import random

import pytest
from test_partitions import SEEDS, Cluster

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events.base import Rejected
from flowledger.kernel import checkpoint, rollouts
from flowledger.kernel.state import Partition

MODEL = "startEvent s\nserviceTask t{0}\nstartEvent e : message M\nserviceTask et\ns > t{0}\ne > et"
CALLER = ['process q {\nstartEvent a\ncallActivity b\n<zeebe:calledElement processId="p"/>\na > b\n}']
pytestmark = pytest.mark.req("APG-HA-012", "D-MOD-005")


class Versions(Cluster):
    def __init__(self, n, seed, *more, spread=False):
        super().__init__(n, seed, MODEL.format(1), *more, spread=spread)
        self.deploy(2)

    def deploy(self, n):
        from notation import bpmn

        self.do(0, c.Deploy(resources=[c.Resource("m0.bpmn", bpmn(MODEL.format(n)))]))

    def roll(self, **fields):
        key = next(d.key for d in self.parts[0].definitions.values() if d.id == "p")
        return self.do(0, co.ChangeRollout(key=key, **fields))

    def started(self, k, **fields):
        return self.do(k, c.StartInstance(id="p", **fields))["version"]

    @property
    def told(self):
        """What each partition knows, where it is the same everywhere."""
        first = self.parts[0].rollouts
        assert all(p.rollouts == first and p.meta.definitions == self.parts[0].meta.definitions for p in self.parts)
        return first


@SEEDS
def test_all_partitions_mean_the_same_version(seed):
    x = Versions(3, seed)
    assert [x.started(k) for k in range(3)] == [2, 2, 2]
    x.roll(version=1, default=True)
    assert x.told and [x.started(k) for k in range(3)] == [1, 1, 1]
    x.deploy(3)
    assert [x.started(k) for k in range(3)] == [1, 1, 1]
    x.roll(version=3, share=30)
    for n in range(30):
        assert len({x.started(k, business_key=f"k{n}") for k in range(3)}) == 1, "the side is the key's, not the partition's"
        assert x.started(n % 3, business_key=f"k{n}") == (3 if rollouts.bucket("p", 3, f"k{n}") < 3_000 else 1)
    x.roll(stop_starts=True)
    assert all(x.do(k, c.StartInstance(id="p")).code == "INVALID_STATE" for k in range(3))
    x.roll(version=0, stop_starts=False)
    x.roll(default=False)
    assert not x.told and [x.started(k) for k in range(3)] == [3, 3, 3]


@SEEDS
def test_messages_start_the_version_in_force_wherever_they_arrive(seed):
    x = Versions(3, seed)
    for rolled, version in ((dict(version=1, default=True), 1), (dict(version=2, share=100), 1), (dict(default=False), 2)):
        x.roll(**rolled)
        before = {k for p in x.parts for k in p.instances}
        for n in range(6):
            x.message("M", f"{version}-{n}-{seed}-{len(before)}")
        assert [i.version for p in x.parts for k, i in p.instances.items() if k not in before] == [version] * 6
    x.roll(stop_starts=True)
    before = {k for p in x.parts for k in p.instances}
    for n in range(6):
        x.message("M", f"late-{n}")
    assert before == {k for p in x.parts for k in p.instances}


@SEEDS
def test_a_called_instance_elsewhere_is_what_its_caller_meant(seed):
    x = Versions(3, seed, *CALLER, spread=True)
    x.roll(version=1, default=True)
    for k in range(3):
        x.do(k, c.StartInstance(id="q"))
    assert [i.version for p in x.parts for i in p.instances.values() if i.process == "p"] == [1, 1, 1]
    x.roll(stop_starts=True)
    for k in range(3):
        x.do(k, c.StartInstance(id="q"))
    assert [y.code for p in x.parts for y in p.incidents.values()] == ["CALLED_ELEMENT_STOPPED"] * 3


@SEEDS
def test_it_stands_in_the_checkpoint_of_each(seed):
    x = Versions(3, seed)
    x.roll(version=1, default=True)
    x.roll(version=2, share=12.34)
    for p in x.parts:
        records = {k: v for k, v in checkpoint.fingerprint(p, placed=True).items() if v is not None}
        fresh = Partition(p.meta.partition, 3)
        checkpoint.restore(fresh, records, checkpoint.Mark(end=0, chain=b"", source=0, live=len(records), meta=p.meta))
        assert fresh.rollouts == p.rollouts and len(fresh.rollouts) == 1
    x.roll(default=False)
    assert not x.told and all(("rollout", ("", "process", "p")) in p.changed for p in x.parts), "its record is taken away"


@SEEDS
def test_random_rollouts_are_the_same_everywhere(seed):
    x, rng, newest = Versions(3, seed), random.Random(seed), 2
    for n in range(30):
        if rng.random() < 0.1 and newest < 5:
            newest += 1
            x.deploy(newest)
        x.roll(
            version=rng.randint(0, newest), share=rng.choice([-1, 0, rng.randint(0, 10_000) / 100]), default=rng.choice([None, None, True, False]),
            stop_starts=rng.choice([None, None, True, False]),
        )  # fmt: skip
        assert x.told is x.parts[0].rollouts
        meant = [x.do(k, c.StartInstance(id="p", business_key=f"k{n}")) for k in range(3)]
        assert len({m.message if isinstance(m, Rejected) else m["version"] for m in meant}) == 1
        heard = {p.definitions[y.definition].version for p in x.parts for y in p.subscriptions.values() if y.definition}
        assert len(heard) <= 1
