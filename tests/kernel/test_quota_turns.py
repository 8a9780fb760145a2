"""Where a tenant's instances wait for a place on several partitions, all have their turn, the home as well, also while one of them never stops to ask."""

import pytest
from notation import bpmn
from test_batches import WORK, World

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.kernel.tasks import quotas, stock

TARGET = quotas.PREFIX


def world(partitions, seed, **value):
    w = World(partitions, seed)
    w.ask(0, co.ControlTenant(name="default", move="change", quotas=value))
    w.settle()
    return w, stock.home(w.parts[0], TARGET)


def end_one(w):
    """The partition on which an instance ended."""
    k, task = w.rng.choice([(k, key) for k, p in enumerate(w.parts) for key in p.tasks])
    w.ask(k, c.CompleteTask(task=task))
    return k


def end(w, k):
    """One instance of a partition ends."""
    task = w.parts[k].tasks[min(w.parts[k].tasks)]
    w.ask(k, c.CompleteTask(task=task.key), tenant=task.tenant)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("partitions", [2, 3])
@pytest.mark.parametrize("greedy", ["home", "another"])
def test_none_is_kept_back_by_one_that_always_asks(partitions, seed, greedy):
    w, home = world(partitions, seed, instances=1)
    always = home if greedy == "home" else (home + 1) % partitions
    for _ in range(5):
        for k in range(partitions):
            w.ask(k, c.StartInstance(id="p"))
    w.settle()
    ended = dict.fromkeys(range(partitions), 0)
    for _ in range(12 * partitions):
        assert sum(len(p.quotas[TARGET].open) for p in w.parts) == 1
        for _ in range(2):
            w.ask(always, c.StartInstance(id="p"))
        ended[end_one(w)] += 1
        w.settle()
    assert all(n >= 5 for n in ended.values()), ended


def test_what_is_left_to_the_home_is_the_others_when_it_has_nothing_to_begin():
    w, home = world(2, 0, instances=1)
    other = 1 - home
    w.ask(other, c.StartInstance(id="p"))
    w.settle()
    w.ask(other, c.StartInstance(id="p"))
    waits = w.ask(home, c.StartInstance(id="p"))["key"]
    w.settle()
    assert w.parts[home].records[stock.HOME, TARGET]["own"]
    w.ask(home, c.CancelInstance(key=waits))
    assert end_one(w) == other
    w.settle()
    assert len(w.parts[other].quotas[TARGET].open) == 1 and not w.parts[other].pending


class Narrow(World):
    """Two instances at once in a partition."""

    def facts(self, p):
        facts = super().facts(p)
        facts.instances_max = 2
        return facts


def test_one_that_may_not_begin_after_all_lets_the_next_one_of_the_partition_begin():
    w = Narrow(1)
    for tenant in ("a", "b"):
        w.ask(0, c.Deploy(resources=[c.Resource("p.bpmn", bpmn(WORK))]), tenant=tenant)
    first, _, held, last = [w.ask(0, c.StartInstance(id="p"), tenant=tenant)["key"] for tenant in "aaba"]
    w.ask(0, c.CancelInstance(key=first), tenant="a")
    w.ask(0, c.PlaceHold(scope="tenant", subject="b"), tenant="b")  # before its turn, which has been told
    w.settle()
    assert {k: i.status for k, i in w.parts[0].instances.items() if k in (held, last)} == {held: "pending", last: "running"}


def test_a_home_without_a_place_for_its_own_lets_the_others_begin():
    w = Narrow(2)
    home = stock.home(w.parts[0], TARGET)
    other = 1 - home
    w.ask(0, co.ControlTenant(name="default", move="change", quotas={"instances": 1}))
    w.settle()
    w.ask(0, c.Deploy(resources=[c.Resource("p.bpmn", bpmn(WORK))]), tenant="a")
    w.settle()
    w.ask(other, c.StartInstance(id="p"))
    for _ in range(2):
        w.ask(home, c.StartInstance(id="p"), tenant="a")
    w.settle()
    assert w.parts[home].open == 2
    w.ask(home, c.StartInstance(id="p"))
    w.ask(other, c.StartInstance(id="p"))
    w.settle()
    end(w, other)
    w.settle()
    assert [len(p.quotas[TARGET].open) for p in (w.parts[home], w.parts[other])] == [0, 1] and not w.parts[other].pending
    end(w, home)
    end(w, other)
    w.settle()
    assert [len(p.quotas[TARGET].open) for p in (w.parts[home], w.parts[other])] == [1, 0]
