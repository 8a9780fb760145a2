"""Who is let in under overload: by the expected wait, the unimportant refused first, running work last."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from virtual import run

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors import admission as a
from flowledger.processors.engine import Engine
from flowledger.processors.settings import Settings


class Clock:
    now = 100.0

    def __call__(self):
        return round(self.now * 1e6)


def busy(rate, in_hand, seconds=1.0):
    """An admission that was busy for so long at `rate` answers a second, with so many in hand."""
    clock = Clock()
    found = a.Admission(clock)
    for _ in range(in_hand):
        found.began(clock())
    for _ in range(int(rate * seconds)):
        clock.now += 1 / rate
        found.ended()
        found.began(clock())
    return found


@pytest.mark.req("WOS-RES-010", "WOS-PER-002")
@pytest.mark.parametrize(
    ("in_hand", "let_in"),
    [
        (63, {a.RUNNING, a.NEW, a.LOW}),
        (95, {a.RUNNING, a.NEW, a.LOW}),
        (120, {a.RUNNING, a.NEW}),
        (390, {a.RUNNING, a.NEW}),
        (450, {a.RUNNING}),
        (1900, {a.RUNNING}),
        (2200, set()),
    ],
)
def test_the_unimportant_is_shed_first_and_running_work_last(in_hand, let_in):
    """At 1,000 answers a second, 100 in hand are a wait of 0.1 s."""
    queue = busy(1000, in_hand)
    refused = {kind: queue.refusal(kind, "partition 3") for kind in (a.RUNNING, a.NEW, a.LOW)}
    assert {kind for kind, why in refused.items() if why is None} == let_in
    for why in refused.values():
        if why is not None:
            assert why.code == "RESOURCE_EXHAUSTED" and 50 <= why.retry_after_ms <= 5000 and "partition 3" in why.message


@pytest.mark.parametrize("seed", range(200))
def test_the_quick_look_lets_in_what_the_long_one_does(seed):
    rng = random.Random(seed)
    queue = busy(rng.choice([0, 0.5, 30, 1000, 5000]), rng.choice([0, 1, 63, 64, 65, 90, 130, 400, 2000, 6000]), rng.choice([0.2, 1.0]))
    queue.clock.now += rng.choice([0, 0.02, 0.026, 0.09, 0.11, 0.4, 0.6, 3])
    for command in (c.StartInstance(id="p"), c.StartInstance(id="p", priority=1), c.CompleteTask(task=1, fence=1)):
        long, quick = queue.refusal(a.class_of(command), "it"), queue.refuses(command, "it", queue.clock())
        assert (long is None) == (quick is None), (command, long, quick)


def test_a_queue_that_stands_still_lets_nobody_in_after_a_while():
    queue = busy(1000, 100)
    queue.clock.now += 20  # nothing is answered
    assert queue.refusal(a.NEW, "it") is not None and queue.refusal(a.LOW, "it") is not None


def test_idle_time_is_no_slow_time():
    queue = busy(1000, 100)
    for _ in range(100):
        queue.ended()
    queue.clock.now += 3600
    for _ in range(80):
        queue.began(queue.clock())
    assert queue.refusal(a.LOW, "it") is None


@pytest.mark.parametrize("group", [65, 100, 500])
def test_answers_that_come_by_whole_groups_are_no_slow_ones(group):
    """All that was sent at once is answered at once, 0.15 s later: the next such burst is let in."""
    clock = Clock()
    queue = a.Admission(clock)
    for _ in range(5):
        for _ in range(group):
            assert queue.refusal(a.NEW, "it") is None
            queue.began(queue.clock())
        clock.now += 0.15
        for _ in range(group):
            queue.ended()
        clock.now += 1e-4


def test_a_burst_to_an_idle_queue_is_bounded_by_what_is_usual():
    """It has no age yet, and nothing is known of the rate: answers one by one, 5 ms each, say nothing of what a group can do."""
    clock = Clock()
    queue = a.Admission(clock)
    for _ in range(200):
        queue.began(queue.clock())
        clock.now += 0.005
        queue.ended()
    let_in = 0
    while queue.refusal(a.NEW, "it") is None:
        queue.began(queue.clock())
        let_in += 1
    assert let_in == a.USUAL_RATE * a.LIMITS_S[a.NEW] + 1


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (c.StartInstance(id="p"), a.NEW), (c.StartInstance(id="p", priority=10), a.LOW), (c.StartInstance(id="p", priority=90), a.NEW),
        (c.CreateTask(priority=39), a.LOW), (c.PublishMessage(name="m"), a.NEW), (c.CompleteTask(task=1), a.RUNNING),
        (c.ResolveIncident(key=1), a.RUNNING), (c.ActivateTasks(job_type="j", worker="w", max=1, timeout_ms=1), a.RUNNING),
    ],
)  # fmt: skip
def test_what_kind_of_work_a_command_is(command, kind):
    assert a.class_of(command) == kind


MODEL = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="p" isExecutable="true">'
    '<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process></definitions>'
)


class Slow(MemoryLog):
    """Acknowledges 50 ms after it was written."""

    def submit(self, topic, partition, group, *, expected_end=None):
        inner = super().submit(topic, partition, group, expected_end=expected_end)
        if topic != "events":
            return inner
        loop = asyncio.get_running_loop()
        outer = loop.create_future()
        inner.add_done_callback(lambda f: loop.call_later(0.05, lambda: outer.done() or outer.set_result(f.result())))
        return outer


@pytest.mark.req("WOS-PER-002")
def test_far_more_starts_than_it_can_do():
    """Groups of 7, six of them in 50 ms: some 840 a second at most. Callers that never stop: what is let in is answered within a second.

    In virtual time: what is measured is the queue, not this machine.
    """
    run(far_more())


async def far_more():
    loop, waits, refused = asyncio.get_running_loop(), [], []
    engine = Engine(
        Slow(MemoryStore(1)), partitions=1, settings=Settings(batch_max=7), clock=lambda: int(loop.time() * 1e6) + 1_000_000_000
    )
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
    storm, over = asyncio.Event(), asyncio.Event()

    async def caller(first=None):
        if first is not None:
            await first.wait()
        while not over.is_set():
            began = loop.time()
            answer = await engine.call(c.StartInstance(id="p"))
            if isinstance(answer, Rejected):
                assert answer.code == "RESOURCE_EXHAUSTED" and answer.retry_after_ms
                refused.append(answer)
                await asyncio.sleep(0.2)
            elif storm.is_set():
                waits.append(loop.time() - began)

    callers = [asyncio.create_task(caller()) for _ in range(150)] + [asyncio.create_task(caller(storm)) for _ in range(800)]
    while 0 not in engine.admission or not engine.admission[0][1].known:
        await asyncio.sleep(0.05)
    storm.set()
    await asyncio.sleep(1.5)
    over.set()
    await asyncio.gather(*callers)
    late = sorted(waits)
    assert refused and len(waits) > 900
    assert late[int(len(late) * 0.99)] < 1.0, late[-10:]
    assert engine.admission[0][1].in_hand == 0
    await engine.stop()
