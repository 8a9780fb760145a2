"""A lease is given only to one who still waits: long polls that end by their own time, workers that leave, appends that fail."""

import asyncio
import random

import pytest

from flowledger.events import commands as c
from flowledger.infra.log_memory import LOST, MemoryLog, MemoryStore
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS, Doubt

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'
MODEL = f"""<definitions {NS}><process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="job"/></extensionElements></serviceTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class SlowLog(MemoryLog):
    """Each append to `events` is acknowledged `delay` seconds later."""

    delay = 0.0
    #: the next append is written, and nobody is told so
    doubt = False

    def submit(self, topic, partition, group, *, expected_end=None):
        inner = super().submit(topic, partition, group, expected_end=expected_end)
        if topic != EVENTS or not (self.delay or self.doubt):
            return inner
        doubt, self.doubt = self.doubt, False
        loop = asyncio.get_running_loop()
        outer = loop.create_future()

        def settle():
            if doubt and not outer.done():
                outer.set_exception(Doubt("no answer"))
            if not outer.done():
                outer.set_exception(e) if (e := inner.exception()) else outer.set_result(inner.result())

        inner.add_done_callback(lambda _: loop.call_later(self.delay, settle))
        return outer


async def running(partitions=1, delay=0.0, fault=None):
    log = SlowLog(MemoryStore(partitions), fault=fault)
    engine = Engine(log, partitions=partitions)
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
    log.delay = delay
    return engine


@pytest.mark.req("WOS-RES-002")
@pytest.mark.parametrize("wait_ms", [1, 20, 50])
async def test_each_job_reaches_somebody_although_polls_end_by_their_own_time(wait_ms):
    """60 jobs, polls that are shorter than an append takes: all are delivered long before a lease could end."""
    engine = await running(2, delay=0.03)
    got = []

    async def worker(name):
        while len(got) < 60:
            got.extend(j["key"] for j in await engine.activate("job", name, 3, 600_000, wait_ms=wait_ms))

    workers = [asyncio.create_task(worker(f"w{n}")) for n in range(4)]
    dice = random.Random(5)
    for _ in range(60):
        engine.submit(c.StartInstance(id="p"))
        await asyncio.sleep(dice.random() * 0.01)
    await asyncio.wait_for(asyncio.gather(*workers), 20)
    assert len(got) == len(set(got)) == 60
    await engine.stop()


async def test_what_was_leased_to_a_caller_who_hung_up_goes_back_at_once_without_an_attempt():
    engine = await running(delay=0.1)
    poll = asyncio.create_task(engine.activate("job", "left", 5, 600_000, wait_ms=10_000))
    await asyncio.sleep(0)
    await engine.call(c.StartInstance(id="p"))  # answered when its group, with the lease, is on the log ...
    engine.submit(c.StartInstance(id="p"))
    late = asyncio.create_task(engine.activate("job", "left", 5, 600_000, wait_ms=10_000))
    await asyncio.sleep(0.05)  # ... and this lease is under way
    late.cancel()
    assert [j["attempt"] for j in await poll] == [1]
    [job] = await engine.activate("job", "stays", 5, 600_000, wait_ms=2000)
    assert job["worker"] == "stays" and job["fence"] == 2 and job["attempt"] == 1 and job["retries"] == 3
    await engine.stop()


async def test_a_refused_hand_out_keeps_the_credit_of_a_stream_and_the_place_of_a_poll():
    """The append with the lease is lost: nobody was told, and after the step-down the job comes to the same stream."""
    lose = []
    engine = await running(fault=lambda topic, p, group: LOST if topic == EVENTS and lose and lose.pop() else "")
    stream = engine.stream("job", "w", 600_000, None, credit=1)
    jobs = aiter(stream)
    for _ in range(3):
        lose.append(True)
        engine.submit(c.StartInstance(id="p"), id=f"s{_}")
        await asyncio.sleep(0.05)
    for n in range(3):
        while not isinstance(await engine.call(c.StartInstance(id="p"), id=f"s{n}"), dict):
            await asyncio.sleep(0.05)
    for _ in range(3):
        [job] = await asyncio.wait_for(anext(jobs), 5)
        await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"]))
        stream.credit(1)
    assert stream._poller.credit_left == 1
    await stream.close()
    await engine.stop()


async def test_a_poll_whose_hand_out_was_refused_goes_on_waiting():
    """The lease is on the log and nobody was told: it goes back, and the job comes to whoever waits."""
    engine = await running()
    poll = asyncio.create_task(engine.activate("job", "w", 1, 600_000, wait_ms=8_000))
    await asyncio.sleep(0.01)
    engine.log.doubt = True
    engine.submit(c.StartInstance(id="p"), id="one")
    [job] = await asyncio.wait_for(poll, 8)
    assert job["worker"] == "w"
    await engine.stop()


async def test_a_stream_that_closes_while_jobs_are_under_way_leaves_them_to_others():
    engine = await running(delay=0.1)
    stream = engine.stream("job", "closes", 600_000, None, credit=10)
    for _ in range(3):
        engine.submit(c.StartInstance(id="p"))
    await asyncio.sleep(0.03)
    await stream.close()
    got = []
    while len(got) < 3:
        got += await asyncio.wait_for(engine.activate("job", "stays", 3, 600_000, wait_ms=3000), 5)
    assert {j["worker"] for j in got} == {"stays"} and len({j["key"] for j in got}) == 3
    await engine.stop()


async def test_only_the_holder_can_give_a_job_back():
    engine = await running()
    await engine.call(c.StartInstance(id="p"))
    [job] = await engine.activate("job", "a", 1, 600_000, wait_ms=2000)
    stale = c.ReturnTasks(tasks=[job["key"]], fences=[job["fence"] - 1])
    assert (await engine.call(stale, partition=0))["returned"] == []
    assert (await engine.call(c.ReturnTasks(tasks=[job["key"], 12345], fences=[job["fence"], 1]), partition=0))["returned"] == [job["key"]]
    again = await engine.call(c.ReturnTasks(tasks=[job["key"]], fences=[job["fence"]]), partition=0)
    assert again["returned"] == []
    wrong = await engine.call(c.ReturnTasks(tasks=[1], fences=[]), partition=0)
    assert wrong.code == "INVALID_ARGUMENT"
    await engine.stop()


async def test_a_defect_while_jobs_are_handed_out_leaves_those_who_wait_in_their_place(monkeypatch):
    """One broken hand-out is no answer to the poll: it waits on, once, and gets the next job."""
    from flowledger.events.base import Broken
    from flowledger.processors import desk

    engine = await running()
    real, broken = desk.decide, []

    def decide(state, request, facts):
        if type(request.command) is c.ActivateTasks and not broken:
            broken.append(request)
            return Broken(0, "AssertionError", "a defect of ours", "ref")
        return real(state, request, facts)

    monkeypatch.setattr(desk, "decide", decide)
    waiting = asyncio.ensure_future(engine.activate("job", "w", 1, 60_000, 5_000))
    await asyncio.sleep(0.05)
    await engine.call(c.StartInstance(id="p"))
    await asyncio.sleep(0.05)
    assert broken and not waiting.done()
    [queue] = engine.pollers.by_lane.values()
    assert len(queue) == 1 and queue[0].under_way == 0
    await engine.call(c.StartInstance(id="p"))
    assert len(await waiting) == 1
    await engine.stop()
