"""Ids of requests: remembered in time and bytes, bound to the command, the same answer with its place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.events.group import START
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import checkpoint, limits
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Decision, Facts
from flowledger.kernel.folds import answers
from flowledger.kernel.state import Partition
from flowledger.processors.engine import Engine
from flowledger.processors.owner import Settings

HOUR = 3_600_000_000
NOW = 1_790_000_000_000_000
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 targetNamespace="t"><process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="work"/></extensionElements></serviceTask></process></definitions>"""


class Clock:
    def __init__(self) -> None:
        self.p, self.now = Partition(0, 1), NOW

    def ask(self, name: str, id: str, tenant: str = "", day_us: int = 24 * HOUR) -> Decision | Rejected:
        return decide(self.p, c.Request(command=c.CreateTask(name=name), id=id, tenant=tenant), Facts(self.now, answers_us=day_us))

    def task(self, name: str, id: str, tenant: str = "") -> int:
        made = self.ask(name, id, tenant)
        assert isinstance(made, Decision), made
        return int(made.answer["task"])


def restored(p: Partition) -> Partition:
    live = {k: v for k, v in checkpoint.fingerprint(p).items() if v is not None}
    back = Partition(0, 1)
    checkpoint.restore(back, live, checkpoint.decode_state(checkpoint.mark(p, START, checkpoint.Standing()), checkpoint.Mark))
    return back


@pytest.mark.req("D-API-006")
def test_the_same_id_a_moment_and_10_500_others_later_makes_nothing_new():
    w = Clock()
    first = w.task("x", "once")
    for n in range(10_500):
        w.task("x", f"other-{n}")
    w.now += 1_500_000
    assert w.task("x", "once") == first
    w.p = restored(w.p)
    assert w.task("x", "once") == first, "a checkpoint keeps it"


def test_a_day_is_a_day():
    w = Clock()
    first = w.task("x", "once")
    w.now += 24 * HOUR - 1
    assert w.task("x", "once") == first
    w.now += 1
    assert w.task("x", "once") != first, "after its time an id is free"
    assert w.task("x", "once") != first


def test_what_is_over_goes_oldest_first_and_without_a_search():
    w = Clock()
    for n in range(1_000):
        w.now += 1_000
        w.task("x", f"{n}")
    assert len(w.p.answers) == 1_000 and w.p.meta.answers_bytes == sum(answers.size(k, v) for k, v in w.p.answers.items())
    w.now += 24 * HOUR - 500 * 1_000
    w.task("x", "new")
    assert [*w.p.answers][0] == "500" and len(w.p.answers) == 501
    assert w.p.meta.answers_bytes == sum(answers.size(k, v) for k, v in w.p.answers.items())
    back = restored(w.p)
    assert [*back.answers] == [*w.p.answers], "in the same order after a checkpoint"


def test_the_cap_in_bytes(monkeypatch):
    w = Clock()
    w.task("x", "0000")
    one = w.p.meta.answers_bytes
    monkeypatch.setattr(limits, "ANSWERS_BYTES_MAX", one * 10 + 9)
    for n in range(1, 10):
        w.task("x", f"{n:04}")
    assert len(w.p.answers) == 10 and answers.reach_us(w.p, w.now) == 0 and w.p.meta.answers_bytes <= one * 10 + 9
    w.task("x", "0010")
    assert [*w.p.answers][0] == "0001", "above the cap the oldest goes before its time"
    monkeypatch.setattr(limits, "ANSWERS_BYTES_MAX", 10)
    last = w.task("x", "last")
    assert [*w.p.answers] == ["last"] and w.task("x", "last") == last, "the newest always stays"


def test_an_id_is_bound_to_its_command():
    w = Clock()
    w.task("x", "once")
    made = w.ask("y", "once")
    assert isinstance(made, Rejected) and made.code == "ID_REUSED" and "once" in made.message
    one, two = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    requests = [c.Request(command=c.CreateTask(name="z", variables=v), id="order") for v in (one, two)]
    found = [decide(w.p, r, Facts(w.now)) for r in requests]
    assert found[0].answer["task"] == found[1].answer["task"], "the order of names says nothing"  # type: ignore[union-attr]


def test_tenants_have_their_own_ids():
    w = Clock()
    assert len({w.task("x", "once", t) for t in ("", "a", "b")}) == 3
    assert w.task("x", "once", "a") == w.task("x", "once", "a")


def test_a_refused_request_may_be_tried_again():
    w = Clock()
    start = c.Request(command=c.CompleteTask(task=1), id="r")
    assert isinstance(decide(w.p, start, Facts(w.now)), Rejected) and not w.p.answers
    key = w.task("x", "t")
    assert key == 1, "the counter begins at 1"
    assert isinstance(decide(w.p, start, Facts(w.now)), Decision)


def test_an_answer_of_an_older_release_is_read():
    kept = answers.of_checkpoint(b'{"key":5}')
    assert kept.value() == {"key": 5} and not kept.digest


# --- the engine -------------------------------------------------------------------------------------------------------


async def running(partitions: int, **settings: Any) -> Engine:
    engine = Engine(MemoryLog(MemoryStore(partitions)), partitions=partitions, settings=Settings(**settings))
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
    return engine


#: commands without a key that make something: each with an id, twice, makes it once
MAKE = {
    "StartInstance": c.StartInstance(id="p"),
    "CreateTask": c.CreateTask(name="x"),
    "PublishMessage": c.PublishMessage(name="m", ttl_ms=60_000),
    "PublishMessage with a key": c.PublishMessage(name="m", correlation_key="k", ttl_ms=60_000),
    "BroadcastSignal": c.BroadcastSignal(name="s"),
    "Deploy": c.Deploy(resources=[c.Resource("p.bpmn", MODEL)], force=True),
    "StoreRecord": c.StoreRecord(registry="directory", name="user:ann", value={"groups": []}),
}


@pytest.mark.parametrize("kind", MAKE)
async def test_a_command_without_a_key_is_done_once_whatever_the_number_of_partitions(kind):
    engine = await running(4)
    first = await engine.call(MAKE[kind], id="once")
    made = sum(o.end for o in engine.owners.values())
    for _ in range(9):
        assert await engine.call(MAKE[kind], id="once") == first, "with its position"
    await asyncio.sleep(0.05)
    assert not isinstance(first, Rejected) and first["position"]
    assert sum(o.state.meta.answered for o in engine.owners.values()) == 1, made
    await engine.stop()


async def test_repeated_at_once_and_after_a_new_owner_it_keeps_its_position():
    engine = await running(2)
    first, again = await asyncio.gather(*(engine.call(c.StartInstance(id="p"), id="once") for _ in range(2)))
    assert first == again and first["position"]
    await engine.stop()
    for log in (engine.log.store,):  # type: ignore[attr-defined]
        engine = Engine(MemoryLog(log), partitions=2)
        await engine.start()
        assert await engine.call(c.StartInstance(id="p"), id="once") == first
        await engine.kill()
        engine = Engine(MemoryLog(log), partitions=2)
        await engine.start()
        assert await engine.call(c.StartInstance(id="p"), id="once") == first
        await engine.stop()


async def test_the_window_is_a_setting():
    engine = await running(1, answers_us=200_000)
    first = await engine.call(c.CreateTask(name="x"), id="once")
    assert (await engine.call(c.CreateTask(name="x"), id="once"))["task"] == first["task"]
    await asyncio.sleep(0.3)
    assert (await engine.call(c.CreateTask(name="x"), id="once"))["task"] != first["task"]
    await engine.stop()
