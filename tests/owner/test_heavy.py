"""Heavy decisions are made beside the loop: their partition rests, every other goes on."""

from __future__ import annotations

import asyncio
import statistics
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
#: so many times each of the others is asked
ROUNDS = 30
#: then it gives up, and the test fails
PATIENCE_S = 100


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


class Busy:
    """It computes until it is told that enough was seen."""

    def __init__(self) -> None:
        self.enough = threading.Event()

    def __call__(self) -> None:
        end = time.perf_counter() + PATIENCE_S
        while not self.enough.is_set() and time.perf_counter() < end:
            sum(range(1000))


async def answers(engine: Engine, partitions: list[int], rounds: int) -> list[float]:
    """How long each answer took, in seconds."""
    took = []
    for _ in range(rounds):
        for p in partitions:
            began = time.perf_counter()
            assert isinstance(await engine.call(c.StartInstance(id="p"), partition=p), dict)
            took.append(time.perf_counter() - began)
        await asyncio.sleep(0.01)
    return took


@pytest.mark.req("WOS-PER-002")
async def test_a_decision_without_end_delays_no_other_partition(monkeypatch):
    busy = Busy()
    engine = await running(monkeypatch, 4, busy)
    usual = statistics.median(await answers(engine, [1, 2, 3], ROUNDS))  # what this machine does at the moment
    heavy = asyncio.create_task(engine.call(c.StartInstance(id="p"), id="heavy", partition=0))
    await asyncio.sleep(0)
    own = asyncio.create_task(engine.call(c.StartInstance(id="p"), partition=0))
    seen = statistics.median(await answers(engine, [1, 2, 3], ROUNDS))
    assert not heavy.done() and not own.done(), "all of it was answered while it computed"
    busy.enough.set()
    assert seen < max(0.1, 3 * usual), f"{seen:.3f} s; without it {usual:.3f} s"
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
