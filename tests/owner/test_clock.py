"""The time of the log: steps of the wall clock, back and forward, by seconds to a day, on one node and over take-overs by others."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from virtual import run

from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel.state import Meta
from flowledger.processors.clock import SLEW_PPM, Clocks, LogClock, Reading, begin, reading, system
from flowledger.processors.engine import Engine

S = 1_000_000
STEPS = [sign * s for s in (1, 60, 600, 86_400) for sign in (-1, 1)]
NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'
TIMER = f"""<definitions {NS}><process id="timer" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<intermediateCatchEvent id="t"><timerEventDefinition><timeDuration>PT10S</timeDuration></timerEventDefinition></intermediateCatchEvent>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process>
<process id="job" isExecutable="true"><startEvent id="s2"/><sequenceFlow id="f3" sourceRef="s2" targetRef="t2"/>
<serviceTask id="t2"><extensionElements><zeebe:taskDefinition type="w"/></extensionElements></serviceTask>
<sequenceFlow id="f4" sourceRef="t2" targetRef="e2"/><endEvent id="e2"/></process></definitions>"""


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_the_wall_clock_does_not_move_the_log(step):
    clock = LogClock(100 * S, 7)
    for second in range(1, 61):
        now = clock.read(100 * S + second * S + (step * S if second > 20 else 0), 7 + second * S)
        assert abs(now - (100 + second) * S) <= 40 * SLEW_PPM + 1


def test_it_is_slewed_towards_the_wall_clock_and_no_faster_than_that():
    clock = LogClock(0, 0)
    assert [clock.read(10 * n * S + S, 10 * n * S) for n in (1, 2, 3)] == [10 * n * (S + SLEW_PPM) for n in (1, 2, 3)]
    clock = LogClock(0, 0)
    assert clock.read(900 * S, 1000 * S) == 1000 * S - 1000 * SLEW_PPM
    clock = LogClock(0, 0)
    assert clock.read(1000 * S + 30, 1000 * S) == 1000 * S + 30, "a small error is gone at once"


def test_it_never_goes_back_whatever_is_read():
    clock, last = LogClock(50 * S, 50 * S), 50 * S
    for wall, mono in ((0, 50 * S), (10**15, 49 * S), (0, 0), (-5, 1), (0, 2), (0, 10 * S), (1, 10 * S)):
        now = clock.read(wall, mono)
        assert now >= last
        last = now
    assert last <= 50 * S + 10 * S + 1, "and only as far as the monotonic clock went"


@pytest.mark.parametrize("step", STEPS)
def test_on_the_same_machine_a_take_over_goes_by_the_monotonic_clock(step):
    before = Reading(100 * S, "boot", 5 * S)
    now = begin(100 * S, before, 130 * S + step * S, 35 * S, "boot")
    assert abs(now - 130 * S) <= 30 * SLEW_PPM


def test_on_another_machine_it_goes_by_the_wall_clock_and_not_back():
    before = Reading(100 * S, "boot", 5 * S)
    assert begin(100 * S, before, 130 * S, 2 * S, "other") == 130 * S
    assert begin(100 * S, before, 70 * S, 2 * S, "other") == 100 * S
    assert begin(100 * S, Reading(), 130 * S, 2 * S, "") == 130 * S
    assert begin(100 * S, before, 130 * S, 2 * S, "boot") == 130 * S, "the monotonic clock began anew: not the same one"


class Node:
    """A wall clock that steps, and a monotonic one."""

    def __init__(self, boot: str = "boot", skew_s: int = 0) -> None:
        self.skew = skew_s * S
        self.clocks = Clocks(lambda: self.mono() + 1_000_000 * S + self.skew, self.mono, boot)

    @staticmethod
    def mono() -> int:
        return int(asyncio.get_event_loop().time() * S)


async def started(store: MemoryStore, node: Node) -> Engine:
    engine = Engine(MemoryLog(store), partitions=1, clock=node.clocks)
    await engine.start()
    return engine


async def until(what) -> float:
    while not what():
        await asyncio.sleep(0.05)
    return asyncio.get_running_loop().time()


async def waits_and_leases(step: int, over: str) -> tuple[float, float]:
    """Seconds until a timer of 10 s fired and a lease of 10 s ran out; after 4 s the clock steps, and perhaps another owner takes over."""
    store, node = MemoryStore(1), Node()
    engine = await started(store, node)
    await engine.call(c.Deploy(resources=[c.Resource("t.bpmn", TIMER)]))
    await engine.call(c.StartInstance(id="job"))
    [job] = await engine.activate("w", "a", 1, 10_000, wait_ms=1000)
    began = asyncio.get_running_loop().time()
    await engine.call(c.StartInstance(id="timer"))
    for n in range(8):  # the log's time is as fresh as its last record
        await asyncio.sleep(0.5)
        if over == "another node":
            await engine.call(c.PublishMessage(name="m", correlation_key=f"{n}", ttl_ms=60_000))
    if over:
        await engine.kill()
        if over == "another node":
            node = Node("elsewhere", step)
        else:
            node.skew += step * S
        await asyncio.sleep(0.2)
        engine = await started(store, node)
    else:
        node.skew += step * S
    fired = asyncio.create_task(until(lambda: not engine.owners[0].state.timers))
    out = asyncio.create_task(until(lambda: not engine.owners[0].state.tasks[job["key"]].worker))
    found = await asyncio.wait_for(asyncio.gather(fired, out), 200)
    await engine.stop()
    return found[0] - began, found[1] - began


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("over", ["", "a restart"])
def test_timers_and_leases_are_right_within_a_second(step, over):
    timer, lease = run(waits_and_leases(step, over))
    assert abs(timer - 10) < 1 and abs(lease - 10) < 1


@pytest.mark.parametrize("step", [s for s in STEPS if s < 0])
def test_also_when_a_node_takes_over_whose_clock_is_behind(step):
    timer, lease = run(waits_and_leases(step, "another node"))
    assert abs(timer - 10) < 1 and abs(lease - 10) < 1


def test_a_real_owner_goes_by_the_clocks_of_its_machine(monkeypatch):
    """What nobody turns by hand has a monotonic clock of its own, known by the start of the machine."""
    clocks = Engine(MemoryLog(MemoryStore(1)), partitions=1).clock
    wall, mono, stepped = clocks.wall(), clocks.mono(), time.time_ns() - 86_400 * 1000 * S
    monkeypatch.setattr(time, "time_ns", lambda: stepped)
    assert clocks.wall() == stepped // 1000 < wall and 0 <= clocks.mono() - mono < 10 * S
    assert clocks.boot == system().boot


def test_a_pause_between_the_two_clocks_does_not_put_the_time_ahead():
    """A process that is paused for 32 ms after it has read one clock reads both again."""
    times = iter([0, 32_000, 32_100, 32_150])  # monotonic: before, after; again before, after
    walls = iter([1_032_000, 1_032_120])
    clocks = Clocks(lambda: next(walls), lambda: next(times))
    now_us, mono_us = reading(Meta(), clocks)
    assert (now_us, mono_us) == (1_032_120, 32_100)
