"""Fair shares by tenant: turns, the inbox of a partition, and who is let in; each limit at its edge. Positions are counted, no time is measured."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from counting import calls
from test_machine import Alone

from flowledger.events import commands as c
from flowledger.processors import admission as a
from flowledger.processors import inbox as i
from flowledger.processors.flight import Pending
from flowledger.processors.inbox import Inbox
from flowledger.processors.log import LogError
from flowledger.processors.turns import DEBT_MAX, Turns


def taken(turns: Turns[str], many: int, cost: int | dict[str, int] = 1) -> list[str]:
    out = []
    for _ in range(many):
        out.append(turns.take())
        turns.pay(cost if isinstance(cost, int) else cost[out[-1][0]])
    return out


@pytest.mark.req("APG-TEN-004")
def test_a_flood_waits_for_itself_and_each_other_for_a_round():
    turns: Turns[str] = Turns()
    for n in range(1_000):
        turns.add("f", f"f{n}")
    for name in "abc":
        turns.add(name, f"{name}0")
    assert taken(turns, 6) == ["f0", "a0", "b0", "c0", "f1", "f2"], "then it has all that is left"
    assert len(turns) == 997


def test_within_one_the_order_is_kept():
    rng, turns, sent = random.Random(7), Turns[tuple[str, int]](3), {}
    seen: dict[str, list[int]] = {}
    for _ in range(5_000):
        if rng.random() < 0.5 or not turns:
            name = rng.choice("abcdef")
            sent[name] = sent.get(name, 0) + 1
            turns.add(name, (name, sent[name]))
        else:
            name, number = turns.take()
            turns.pay(rng.choice([1, 1, 2, 9, 400]))
            seen.setdefault(name, []).append(number)
    while turns:
        name, number = turns.take()
        turns.pay(1)
        seen[name].append(number)
    assert all(numbers == list(range(1, sent[name] + 1)) for name, numbers in seen.items()) and seen.keys() == sent.keys()
    assert turns.flows == 0, "nothing is remembered of who wants nothing"


def test_shares_are_of_what_it_costs_not_of_how_many():
    """Each of `e` costs as much as ten of `c`."""
    turns: Turns[str] = Turns(8)
    for n in range(1_000):
        turns.add("c", f"c{n}")
        turns.add("e", f"e{n}")
    found = "".join(t[0] for t in taken(turns, 660, {"c": 1, "e": 10}))
    assert found.count("c") == pytest.approx(10 * found.count("e"), rel=0.05)


def test_who_sends_one_costly_thing_after_the_other_gains_nothing_by_it():
    """It has never two that wait, and none for a moment, so that it would have no debt if its flow were forgotten each time."""
    turns: Turns[str] = Turns(8)
    for n in range(2_000):
        turns.add("c", f"c{n}")
    turns.add("e", "e")
    found, again = {"c": 0, "e": 0}, 0
    for _ in range(880):
        one = turns.take()[0]
        found[one] += 1
        turns.pay(80 if one == "e" else 1)
        if one == "e":
            again = 3
        elif again and (again := again - 1) == 0:
            turns.add("e", "e")
    assert found["c"] / found["e"] == pytest.approx(80, rel=0.15)


def test_a_debt_is_bounded():
    turns: Turns[str] = Turns(1)
    turns.add("e", "e1")
    turns.add("e", "e2")
    turns.add("c", "c")
    assert turns.take() == "e1"
    turns.pay(10**9)
    waits = 0
    while (one := turns.take()) == "c":
        turns.pay(1)
        turns.add("c", "c")
        waits += 1
    assert one == "e2" and waits in (DEBT_MAX, DEBT_MAX + 1)


def test_who_is_alone_owes_nobody():
    turns: Turns[str] = Turns(1)
    for n in range(3):
        turns.add("e", f"e{n}")
    for n in range(3):
        assert turns.take() == f"e{n}"
        turns.pay(10**9)


@pytest.mark.parametrize("weight", [1, 3])
def test_a_weight_is_so_many_shares(weight):
    turns: Turns[str] = Turns(4, lambda name: weight if name == "w" else 1)
    for n in range(400):
        turns.add("c", f"c{n}")
        turns.add("w", f"w{n}")
    found = [t[0] for t in taken(turns, 400)]
    assert found.count("w") == weight * found.count("c")


def test_nothing_waits():
    with pytest.raises(IndexError):
        Turns[str]().take()


# --- the inbox of a partition ---------------------------------------------------------------------------------------------


def pending(tenant: str, n: int = 0, offset: int = -1, reply: bool = True) -> Pending:
    return Pending(c.Request(command=c.Continue(key=n), tenant=tenant), (lambda answer: None) if reply else None, offset)


def names(inbox: Inbox) -> list[tuple[str, int]]:
    out = []
    inbox.begins(0, 512)
    while (found := inbox.next(len(out), 0)) is not None:
        out.append((found.request.tenant, found.request.command.key))  # type: ignore[union-attr]
    return out


@pytest.mark.parametrize(("before", "parted"), [(i.FEW - 1, False), (i.FEW, True)])
def test_few_are_taken_as_they_came(before, parted):
    inbox = Inbox(20_000)
    inbox.lane.extend(pending("", n) for n in range(before))
    assert inbox.offer(pending("other"), 1) is None
    assert bool(inbox.turns) is parted
    assert names(inbox).index(("other", 0)) == (i.QUANTUM if parted else before)


def test_what_came_by_the_topic_keeps_its_order_and_every_second_turn():
    """How far the topic was read is one number: whoever overtook there would be lost at the next owner."""
    inbox = Inbox(20_000)
    inbox.alone = "f"
    inbox.lane.extend(pending("f", n) for n in range(40))
    inbox.lane.extend(pending(t, n, offset=n) for n, t in enumerate("xyxyxyxyxy"))
    inbox.lane.append(pending("", 99, reply=False))
    inbox.offer(pending("other"), 1)
    found = names(inbox)
    topic = [n for t, n in found if t in ("x", "y") or n == 99]
    assert topic == [*range(10), 99] and [n for t, n in found if t == "f"] == list(range(40))
    assert sorted(topic[:5]) == sorted(n for t, n in found[:10] if t in "xy")
    assert found.index(("other", 0)) <= 2 * i.QUANTUM + 1


def test_what_goes_on_stands_behind_its_tenants_others():
    inbox = Inbox(20_000)
    inbox.lane.extend(pending("f", n) for n in range(i.FEW))
    inbox.alone = "f"
    inbox.offer(pending("o"), 1)
    inbox.later([pending("f", 100, reply=False), pending("o", 101, reply=False)])
    found = names(inbox)
    assert found.index(("f", 100)) == len(found) - 1 and found.index(("o", 101)) < i.QUANTUM + 2
    inbox.later([pending("f", 102, reply=False)])
    assert [p.request.tenant for p in inbox.lane] == ["f"], "one alone has no turns"


@pytest.mark.req("APG-TEN-004")
def test_while_it_is_crowded_no_tenant_has_more_than_its_share_and_another_comes_in():
    inbox = Inbox(200)
    inbox.alone = "f"
    inbox.lane.extend(pending("f", n) for n in range(i.FEW))
    assert inbox.offer(pending("o"), 1) is None
    let_in = i.FEW
    while (refused := inbox.offer(pending("f"), 1)) is None:
        let_in += 1
    assert let_in == 99 and len(inbox) == 100, "half of all that may wait; a half of that would be its share"
    assert refused.code == "RESOURCE_EXHAUSTED" and "99 commands of tenant 'f'" in refused.message and refused.retry_after_ms > 0
    others = 1
    while inbox.offer(pending("o"), 1) is None:
        others += 1
    assert others == 50


@pytest.mark.parametrize(("after_us", "most"), [(i.SHARED_US, i.SHARED_MAX), (i.SHARED_US + 1, 512)])
def test_groups_are_small_while_several_tenants_are_about(after_us, most):
    inbox = Inbox(20_000)
    assert inbox.begins(10**9, 512) == 512
    inbox.offer(pending("a"), 10**9)
    for n in range(i.FEW):
        inbox.offer(pending("b", n), 10**9)
    assert names(inbox)[-1] == ("b", i.FEW - 1) and not inbox.turns and inbox.alone == "b"
    assert inbox.begins(10**9 + after_us, 512) == most
    assert inbox.begins(10**9, 7) == 7


# --- the owner ------------------------------------------------------------------------------------------------------------


def offer(one: Alone, id: str, tenant: str) -> None:
    command = c.CreateTask(job_type="w")
    one.machine.offer(c.Request(command=command, id=id, tenant=tenant), lambda answer: one.answers.__setitem__(id, answer))  # type: ignore[arg-type]
    one.seat.pump()


def order(one: Alone) -> list[str]:
    one.steps()
    for _ in range(100):
        one.land()
        if not one.steps():
            break
    one.land()
    return list(one.answers)


@pytest.mark.req("APG-TEN-004")
def test_a_tenants_command_stands_near_the_front_however_many_of_another_wait():
    one = Alone(batch_max=10)
    for n in range(300):
        offer(one, f"f{n}", "f")
    for name in ("a", "b"):
        offer(one, name, name)
    offer(one, "f300", "f")
    found = order(one)
    assert {found.index("a"), found.index("b")} < set(range(3 * i.QUANTUM)), found[:40]
    assert [x for x in found if x[0] == "f"] == [f"f{n}" for n in range(301)], "of one tenant all as it came"
    assert one.machine.waiting == 0 and len(found) == 303
    assert all(isinstance(x, dict) for x in one.answers.values())


def test_who_waits_by_turns_is_told_when_the_owner_steps_down():
    one = Alone()
    for n in range(40):
        offer(one, f"f{n}", "f")
    offer(one, "a", "a")
    assert one.machine.waiting == 41 and one.machine.waits.turns.count == 41
    one.machine.step_down(LogError("away"))
    one.seat.pump()
    assert len(one.answers) == 41 and {x.code for x in one.answers.values()} == {"UNAVAILABLE"} and not one.machine.waits


def test_a_record_says_how_many_shares():
    one = Alone(batch_max=10)
    one.machine.state.registry["tenant"] = {"w": {"status": "active", "quotas": {"share": 3}}}
    offer(one, "first", "c")
    for n in range(300):
        offer(one, f"c{n}", "c")
    for n in range(300):
        offer(one, f"w{n}", "w")
    found = order(one)[:200]
    assert sum(x[0] == "w" for x in found) == pytest.approx(3 * sum(x[0] == "c" for x in found), rel=0.1)


def test_one_tenant_alone_pays_next_to_nothing():
    """Calls of functions for a command that is offered and decided on: with one tenant none of them is of turns."""

    def work(tenants: list[str]) -> int:
        one = Alone(batch_max=1_000)
        offer(one, "first", tenants[0])
        one.steps()
        one.world.now += 2 * i.SHARED_US

        def run() -> None:
            for n in range(200):
                offer(one, f"t{n}", tenants[n % len(tenants)])
            one.steps()

        return calls(run)

    work(["a", "b"])  # what is kept of the first of all
    alone, named, many = work([""]), work(["a"]), work(["a", "b"])
    assert alone == named
    assert (many - alone) / 200 < 25


# --- who is let in --------------------------------------------------------------------------------------------------------


def busy(of: dict[str, int]) -> a.Admission:
    """A second of work at 1,000 answers a second, and so many of each in hand."""
    now = [10**8]
    found = a.Admission(lambda: now[0])
    for tenant, many in of.items():
        for _ in range(many):
            found.began(now[0], tenant)
    for _ in range(1_000):
        now[0] += 1_000
        first = next(iter(of))
        found.ended(first)
        found.began(now[0], first)
    return found


@pytest.mark.req("APG-TEN-004")
@pytest.mark.parametrize(
    ("of", "refused"),
    [
        ({"f": 600}, {"f"}),
        ({"f": 600, "a": 1}, {"f"}),
        ({"f": 300, "g": 300, "a": 1}, {"f", "g"}),
        ({"f": 300, "a": 300}, {"f", "a"}),
        ({"f": 390, "a": 1}, set()),
        ({"f": 810, "a": 1}, {"f", "a", "new"}),
        ({f"t{n}": 6 for n in range(100)}, {"t0", "t1", "t99"}),
    ],
)
def test_who_has_its_share_is_refused_and_others_are_let_in(of, refused):
    """At 1,000 answers a second 400 in hand are the wait at which new work is refused; at twice that nobody is let in."""
    queue = busy(of)
    asked = {*refused, *list(of)[:2], "new"}
    found = {t for t in asked if queue.refusal(a.NEW, "it", t) is not None}
    assert found == refused
    assert (queue.late(a.NEW) > 0) is bool(refused), "whoever it is"
    command = c.StartInstance(id="p")
    assert {t for t in asked if queue.refuses(command, "it", queue.clock(), tenant=t) is not None} == refused


def test_the_one_who_is_refused_hears_why_and_when():
    why = busy({"f": 600, "a": 1}).refusal(a.NEW, "partition 3", "f")
    assert why is not None and why.code == "RESOURCE_EXHAUSTED" and why.retry_after_ms >= 50
    assert "partition 3 is busy and tenant 'f' has 600 of 601 in hand" in why.message
