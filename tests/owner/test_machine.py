"""The owner as a machine, one guard at a time: what goes in, what comes out, and each limit at its edge. Many at once: `test_machine_simulation.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from machine_world import Seat, Signer, World

from flowledger.events import commands as c
from flowledger.events.heads import Head
from flowledger.processors import effects as do
from flowledger.processors import machine as machines
from flowledger.processors.heads import Signing
from flowledger.processors.log import EVENTS, LogError
from flowledger.processors.machine import Machine
from flowledger.processors.settings import IN_FLIGHT_MAX, Settings


class Alone:
    """One machine that owns partition 0 of one; `step` decides, `land` acknowledges."""

    def __init__(self, **settings: Any) -> None:
        self.world = World(1)
        self.world.partitions = self.world.log.partitions = 1
        self.world.faults = self.world.compares = False
        self.world.settings = Settings(**{"checkpoint_s": 1e6, **settings})
        self.seat = Seat(self.world, 0, 0)
        self.seat.take_over()
        assert self.seat.machine is not None
        self.machine: Machine = self.seat.machine
        self.answers: dict[str, Any] = {}

    def offer(self, id: str, command: c.AnyCommand | None = None) -> None:
        command = command or c.CreateTask(job_type="w", variables={"n": id})
        self.machine.offer(c.Request(command=command, id=id), lambda answer: self.answers.__setitem__(id, answer))  # type: ignore[arg-type]
        self.seat.pump()

    def step(self) -> list[do.Append]:
        """The groups that it hands to the log."""
        before = len(self.seat.wire)
        self.world.now += 1
        self.machine.step(self.world.now, self.world.now)
        self.seat.pump()
        return [do.Append(x.flight, x.group) for x in list(self.seat.wire)[before:]]

    def steps(self) -> list[do.Append]:
        out = self.step()
        while self.machine.hungry:
            out += self.step()
        return out

    def land(self, groups: int = 1_000) -> None:
        left = max(0, len(self.seat.wire) - groups)
        while len(self.seat.wire) > left:
            self.seat.transmit()
        while self.seat.acks or self.seat.gaps:
            self.seat.hear()


def test_a_group_takes_so_many_commands_and_the_rest_comes_next():
    one = Alone(batch_max=3)
    for n in range(7):
        one.offer(f"t{n}")
    assert [len(a.flight.answers) for a in one.steps()] == [3, 3, 1]


@pytest.mark.parametrize(("most", "groups"), [(1, [1] * 4), (2, [1] * 4), (3, [2, 2]), (4, [2, 2]), (5, [3, 1]), (100, [4])])
def test_a_group_is_closed_when_its_events_are_spent(monkeypatch, most, groups):
    """A task of its own is two events: that it is there, and the answer that is remembered."""
    monkeypatch.setattr(machines, "EVENTS_MAX", most)
    one = Alone()
    for n in range(4):
        one.offer(f"t{n}")
    assert [len(a.flight.answers) for a in one.steps()] == groups


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_group_is_closed_when_its_bytes_are_spent(monkeypatch, more):
    one = Alone()
    one.offer("t0")
    [first] = one.steps()
    monkeypatch.setattr(machines, "BYTES_MAX", first.flight.size + more)
    for n in range(1, 4):
        one.offer(f"t{n}")
    sizes = [len(a.flight.answers) for a in one.steps()]
    assert sizes == ([1, 1, 1] if more < 1 else [2, 1])


def test_so_many_groups_are_in_flight_and_the_next_goes_when_one_has_landed():
    one = Alone(batch_max=1)
    for n in range(IN_FLIGHT_MAX + 2):
        one.offer(f"t{n}")
    assert len(one.steps()) == IN_FLIGHT_MAX == len(one.machine.flights)
    one.land(1)
    assert one.machine.hungry and len(one.steps()) == 1
    one.land()
    one.steps()
    one.land()
    assert len(one.answers) == IN_FLIGHT_MAX + 2


@pytest.mark.parametrize(("waiting", "let_in"), [(4, True), (5, False)])
def test_so_many_commands_wait_and_no_more(waiting, let_in):
    one = Alone(inbox_max=5)
    for n in range(waiting):
        one.offer(f"t{n}")
    one.offer("last")
    assert ("last" not in one.answers) is let_in
    if not let_in:
        assert one.answers["last"].code == "RESOURCE_EXHAUSTED" and one.answers["last"].retry_after_ms


def test_a_refusal_waits_for_what_it_was_decided_on():
    """The second caller is refused for what the first one did: should that get lost, the refusal was wrong."""
    one = Alone(batch_max=1)
    one.offer("start", c.CreateTask(job_type="w"))
    one.steps()
    one.land()
    key = one.answers["start"]["task"]
    one.offer("first", c.CompleteTask(task=key))
    one.offer("second", c.CompleteTask(task=key))
    one.offer("first", c.CompleteTask(task=key))
    assert len(one.steps()) == 1 and one.answers.keys() == {"start"}, "nobody is told before it is on the log"
    one.land()
    assert one.answers["second"].code == "NOT_FOUND" and isinstance(one.answers["first"], dict)


def test_whoever_waits_is_told_once_when_the_owner_steps_down():
    one = Alone(batch_max=1)
    one.offer("waits for its end", c.CreateTask(job_type="w", wait=True))
    one.steps()
    one.land()
    one.offer("in flight")
    one.step()
    one.offer("in the inbox")
    one.machine.failed(LogError("no answer"))
    one.seat.pump()
    assert {k: v.code for k, v in one.answers.items()} == dict.fromkeys(("waits for its end", "in flight", "in the inbox"), "UNAVAILABLE")


def test_what_lands_after_the_end_is_answered_by_nobody():
    one = Alone()
    one.offer("t")
    [group] = one.steps()
    machine = one.machine
    machine.checkpoint()
    machine.failed(LogError("no answer"))
    one.answers.clear()
    machine.out.clear()
    machine.acknowledged(group.flight, group.flight.expected, group.flight.expected + group.flight.count)
    machine.gap_read([])
    machine.step(one.world.now + 5, one.world.now + 5)
    machine.checkpoint()
    assert machine.out == [] and one.answers == {}


def test_one_checkpoint_is_written_at_a_time_and_what_failed_is_said_anew():
    one = Alone(checkpoint_changes=2)
    written: list[do.Checkpoint] = []

    def more(name: str) -> None:
        for n in range(3):
            one.offer(f"{name}{n}")
        one.steps()
        one.land()
        one.steps()
        written.extend(e for e, _ in one.seat.images)
        one.seat.images.clear()

    more("a")
    assert len(written) == 1
    whole = len(written[0].entries)
    more("b")
    one.machine.checkpoint()
    one.seat.pump()
    assert len(written) == 1 and not one.seat.images, "the first one is being written"
    one.machine.checkpoints.done()
    more("c")
    assert len(written) == 2 and len(written[1].entries) < 2 * whole + 2, "only what changed"
    one.machine.checkpoints.failed()
    more("d")
    assert len(written) == 3
    assert {k for k, _ in written[2].entries} >= {k for e in written for k, v in e.entries if v is not None}, (
        "what stands nobody knows: all of it"
    )


def test_a_checkpoint_waits_until_nothing_is_in_flight_and_deciding_rests():
    one = Alone()
    one.offer("t")
    one.steps()
    one.machine.checkpoint()
    one.offer("u")
    assert one.steps() == [] and not one.seat.images
    one.land()
    [(image, _)] = one.seat.images
    assert len(one.steps()) == 1, "it goes on"
    assert b'"t"' in b"".join(v or b"" for _, v in image.entries) and b'"u"' not in b"".join(v or b"" for _, v in image.entries)


def test_after_a_group_that_failed_commands_are_taken_one_by_one_for_a_while():
    one = Alone()
    m = one.machine
    careful = Machine(m.claim, m.state, m.facts, m.clock, m.settings, careful=True)
    one.machine = one.seat.machine = careful
    for n in range(4):
        one.offer(f"t{n}")
    assert [len(a.flight.answers) for a in one.steps()] == [1] * 4
    one.land()
    one.world.now += machines.CAREFUL_US
    for n in range(4, 8):
        one.offer(f"t{n}")
    assert [len(a.flight.answers) for a in one.steps()] == [4]


def test_void_records_between_its_own_are_read_and_it_goes_on():
    one = Alone(batch_max=1)
    for n in range(3):
        one.offer(f"t{n}")
    [first, *_] = one.steps()
    of_a_zombie = tuple((name, b"0" if name == "epoch" else value) for name, value in first.group.headers)
    one.world.log.write(EVENTS, 0, msgspec.structs.replace(first.group, headers=of_a_zombie))
    one.land()
    assert [type(one.answers[f"t{n}"]) for n in range(3)] == [dict] * 3
    assert one.machine.acked == one.machine.end + len(first.group)


LOOP = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="loop" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/><scriptTask id="t"><extensionElements>
<zeebe:script expression="= item" resultVariable="r"/></extensionElements><multiInstanceLoopCharacteristics isSequential="true"><extensionElements>
<zeebe:loopCharacteristics inputCollection="= items" inputElement="item"/></extensionElements></multiInstanceLoopCharacteristics></scriptTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


def test_what_was_put_off_goes_on_under_the_next_owner():
    """A long loop goes on in follow-ups that stand nowhere but in the machine."""
    one = Alone()
    one.offer("deploy", c.Deploy(resources=[c.Resource("loop.bpmn", LOOP)]))
    one.steps()
    one.land()
    one.machine.facts.feel_soft = 0
    one.offer("start", c.StartInstance(id="loop", variables={"items": list(range(1_000))}))
    one.step()
    one.land()
    assert one.machine.inbox and one.machine.state.instances
    one.seat.crash()
    one.seat.take_over()
    assert one.seat.machine is not None and one.seat.machine.state.instances
    one.machine = one.seat.machine
    one.machine.facts.feel_soft = 0
    for _ in range(50):
        one.steps()
        one.land()
    assert not one.machine.state.instances


@pytest.mark.req("APG-CMP-001")
def test_no_anchor_hears_of_what_may_never_count():
    """A head leaves the process as it is signed: of what is on the log, and not a group earlier."""

    class Kept:
        errors: list[str] = []

        def __init__(self) -> None:
            self.heads: list[Head] = []

        def put(self, head: Head) -> None:
            self.heads.append(head)

    kept = Kept()
    one = Alone(signing=Signing(Signer(), kept, groups_max=1, seconds_max=0.0))
    one.steps()  # it names its key
    one.land()
    for n in range(3):
        one.offer(f"a{n}")
        one.steps()
        assert kept.heads == [], "nothing of this is acknowledged"
    one.land()
    one.steps()
    ends = {len(one.world.log.of(EVENTS, 0))}
    assert [h.end for h in kept.heads] == sorted(ends)
