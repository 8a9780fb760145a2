"""Heavy decisions are made beside the loop: their partition rests, every other goes on."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Heavy, Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.processors import desk as desk_module
from flowledger.processors.engine import Engine

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'
MODEL = f"""<definitions {NS}><process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="w"/></extensionElements></serviceTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""
SECONDS = 1.5


async def running(monkeypatch, partitions: int, heavy) -> Engine:
    engine = Engine(MemoryLog(MemoryStore(partitions)), partitions=partitions)
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
    real = desk_module.decide

    def decide(state, request, facts):
        if request.id.startswith("heavy"):
            if facts.feel_soft:
                raise Heavy("too many steps")
            heavy()
        return real(state, request, facts)

    monkeypatch.setattr(desk_module, "decide", decide)
    return engine


def busy() -> None:
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        sum(range(1000))


async def slowest(engine: Engine, partitions: list[int], until) -> float:
    """The longest that an answer took, in seconds."""
    worst = 0.0
    while not until():
        for p in partitions:
            began = time.perf_counter()
            assert isinstance(await engine.call(c.StartInstance(id="p"), partition=p), dict)
            worst = max(worst, time.perf_counter() - began)
        await asyncio.sleep(0.01)
    return worst


@pytest.mark.req("WOS-PER-002")
async def test_a_decision_of_seconds_delays_no_other_partition(monkeypatch):
    engine = await running(monkeypatch, 4, busy)
    stop = time.perf_counter() + SECONDS
    usual = await slowest(engine, [1, 2, 3], lambda: time.perf_counter() > stop)  # what this machine does at the moment
    heavy = asyncio.create_task(engine.call(c.StartInstance(id="p"), id="heavy", partition=0))
    await asyncio.sleep(0)
    own = asyncio.create_task(engine.call(c.StartInstance(id="p"), partition=0))
    began = time.perf_counter()
    worst = await slowest(engine, [1, 2, 3], heavy.done)
    assert time.perf_counter() - began > SECONDS * 0.9, "it was not heavy: the test shows nothing"
    assert worst < max(0.1, 3 * usual), f"{worst:.3f} s; without it {usual:.3f} s"
    assert isinstance(await heavy, dict) and isinstance(await own, dict), "its partition goes on behind it"
    await engine.stop()


async def test_what_comes_meanwhile_waits_its_turn_and_nothing_is_lost(monkeypatch):
    gate = threading.Event()
    engine = await running(monkeypatch, 1, lambda: gate.wait(10))
    heavy = [engine.submit(c.StartInstance(id="p", variables={"n": n}), id=f"heavy{n}") for n in range(2)]
    later = [engine.submit(c.StartInstance(id="p")) for _ in range(20)]
    await asyncio.sleep(0.2)
    owner = engine.owners[0]
    assert not any(f.done() for f in (*heavy, *later)) and owner.figures()["inbox"] == 21
    gate.set()
    answers = await asyncio.gather(*heavy, *later)
    assert len({a["key"] for a in answers}) == 22 and owner.state.open == 22
    await owner.checkpoint()
    await engine.stop()


async def test_an_owner_that_steps_down_meanwhile_tells_the_caller_and_begins_anew(monkeypatch):
    gate = threading.Event()
    engine = await running(monkeypatch, 1, lambda: gate.wait(10))
    heavy = engine.submit(c.StartInstance(id="p"), id="heavy")
    await asyncio.sleep(0.1)
    engine.owners[0].doubt(RuntimeError("a doubt"))
    answer = await asyncio.wait_for(heavy, 5)
    assert isinstance(answer, Rejected) and answer.code == "UNAVAILABLE"
    gate.set()
    while isinstance(await engine.call(c.StartInstance(id="p"), id="heavy"), Rejected):
        await asyncio.sleep(0.02)
    assert engine.owners[0].state.open == 1
    await engine.stop()


async def test_what_is_not_at_hand_is_waited_for_and_then_an_incident(monkeypatch):
    tries = []

    def missing() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise NotAtHand("the content of 'x' is not at hand")

    engine = await running(monkeypatch, 1, missing)
    assert isinstance(await engine.call(c.StartInstance(id="p"), id="heavy"), dict) and len(tries) == 3
    monkeypatch.setattr("flowledger.processors.machine.BRING_TRIES", 2)
    tries[:] = [-9]
    monkeypatch.setattr(desk_module, "decide", lambda *a: (_ for _ in ()).throw(NotAtHand("never")))
    answer = await engine.call(c.StartInstance(id="p"), id="never")
    assert isinstance(answer, Rejected) and answer.code == "INTERNAL"
    monkeypatch.undo()
    assert isinstance(await engine.call(c.StartInstance(id="p")), dict), "and the partition goes on"
    await engine.stop()
