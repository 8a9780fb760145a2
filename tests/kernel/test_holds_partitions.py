"""Holds over several partitions: told to all by numbered sends, released by each at its share of the rate; a family over partitions."""

import pytest
from test_partitions import SEEDS, Cluster

from flowledger.events import commands as c

MODEL = "startEvent s\nserviceTask w\nboundaryEvent b on=w cancel=false : signal S\nserviceTask x\ns > w\nb > x"
CALLED = [
    'startEvent s\ncallActivity a\n<zeebe:calledElement processId="q"/>\nserviceTask h\ns > a > h',
    "process q {\nstartEvent qs\nserviceTask w\nendEvent qe\nqs > w > qe\n}",
]


class Held(Cluster):
    def due(self, seconds=0):
        self.now_us += int(seconds * 1_000_000)
        fired = True
        while fired:
            fired = False
            for k, p in enumerate(self.parts):
                for key in [t.key for t in p.timers.values() if t.due_us <= self.now_us]:
                    self.do(k, c.FireTimers(timers=[key]))
                    fired = True

    def handed_out(self, job_type="w"):
        command = c.ActivateTasks(job_type=job_type, worker="x", max=99, timeout_ms=60_000)
        return [len(self.do(k, command)["jobs"]) for k in range(len(self.parts))]

    @property
    def holds(self):
        return [len(p.holds) for p in self.parts]


@SEEDS
@pytest.mark.parametrize("mode", ["pause", "suspend"])
@pytest.mark.parametrize(
    ("scope", "subject"), [("definition", "p"), ("element", "p/w"), ("job_type", "w"), ("target", "job:w"), ("tenant", "*")]
)
def test_one_record_on_each_partition_and_one_release(scope, subject, mode, seed):
    x = Held(3, seed, MODEL)
    for k in range(3):
        x.do(k, c.StartInstance(id="p"))
    key = x.do(0, c.PlaceHold(scope=scope, subject=subject, mode=mode))["key"]
    assert x.holds == [1, 1, 1] and x.handed_out() == [0, 0, 0]
    x.do(1, c.BroadcastSignal(name="S"))
    assert [sum(t.element == "x" for t in p.tasks.values()) for p in x.parts] == ([1, 1, 1] if mode == "pause" else [0, 0, 0])
    assert x.do(0, c.ReleaseHold(key=key))["state"] == "resuming", "the others are still to say that they have"
    x.due()
    assert x.holds == [0, 0, 0] and x.handed_out() == [1, 1, 1] and x.handed_out("x") == [1, 1, 1]
    assert not any(p.holding or p.releasing or p.kept_back for p in x.parts)


@SEEDS
def test_a_rate_is_shared_by_the_partitions_and_the_home_waits_for_all(seed):
    x = Held(3, seed, MODEL)
    for k in range(3):
        for _ in range(1 + k):
            x.do(k, c.StartInstance(id="p"))
    key = x.do(0, c.PlaceHold(scope="definition", subject="p"))["key"]
    x.do(0, c.ReleaseHold(key=key, rate=3))
    freed = x.handed_out()
    assert freed == [1, 1, 1] and x.holds == [1, 1, 1]
    x.due(1.1)
    assert x.handed_out() == [0, 1, 1] and x.holds == [1, 0, 1], "the first keeps its record until all have released"
    x.due(1.1)
    assert x.handed_out() == [0, 0, 1] and x.holds == [0, 0, 0]


@SEEDS
@pytest.mark.parametrize("scope", ["definition", "instance", "element"])
def test_a_family_over_partitions(scope, seed):
    x = Held(3, seed, *CALLED, spread=True)
    root = x.do(1, c.StartInstance(id="p"))["key"]
    subject = {"definition": "p", "instance": str(root), "element": "p/a"}[scope]
    home = 1 if scope == "instance" else 0
    key = x.do(home, c.PlaceHold(scope=scope, subject=subject))["key"]
    assert sum(x.handed_out()) == 0, "the called instance follows"
    x.do(home, c.ReleaseHold(key=key))
    x.due()
    assert sum(x.handed_out()) == 1
    key = x.do(home, c.PlaceHold(scope=scope, subject=subject, children=False))["key"]
    x.complete("w")
    assert x.instances() == ["p"] and sum(x.handed_out("h")) == 0
    x.do(home, c.ReleaseHold(key=key))
    x.due()
    x.complete("h")
    assert x.empty and x.holds == [0, 0, 0]


@SEEDS
def test_the_end_of_a_hold_comes_everywhere(seed):
    x = Held(3, seed, MODEL)
    for k in range(3):
        x.do(k, c.StartInstance(id="p"))
    x.do(0, c.PlaceHold(scope="job_type", subject="w", mode="pause", until_us=x.now_us + 60_000_000))
    x.due(59)
    assert sum(x.handed_out()) == 0
    x.due(2)
    assert x.holds == [0, 0, 0] and sum(x.handed_out()) == 3


def test_what_partitions_tell_each_other_twice_changes_nothing():
    x = Held(2, 0, MODEL)
    key = x.do(0, c.PlaceHold(scope="definition", subject="p"))["key"]
    x.do(1, c.SetHold(hold=key, scope="definition", subject="p", mode="suspend"))
    x.do(1, c.SetHold(hold=key + 1, rate=0))
    x.do(0, c.HoldDone(hold=key + 1, partition=1))
    assert x.holds == [1, 1]
    x.do(0, c.ReleaseHold(key=key))
    assert x.holds == [0, 0]
