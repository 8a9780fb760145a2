"""The engine as its callers see it, on the log in memory."""

import asyncio

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.engine import Engine
from flowledger.processors.owner import Settings
from flowledger.processors.recovery import counted

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'


def model(job: str, id: str = "p") -> str:
    return f"""<definitions {NS}><process id="{id}" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="{job}"/></extensionElements></serviceTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


async def running(partitions: int = 4, **settings: object) -> Engine:
    engine = Engine(MemoryLog(MemoryStore(partitions)), partitions=partitions, settings=Settings(**settings))
    await engine.start()
    return engine


@pytest.mark.req("WOS-MOD-001")
async def test_the_start_after_a_deployment_runs_the_new_version_on_every_partition():
    engine = await running()
    for version in (1, 2, 3):
        await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model(f"job{version}"))]))
        answers = await asyncio.gather(*(engine.call(c.StartInstance(id="p")) for _ in range(8)))
        assert [a["version"] for a in answers] == [version] * 8
    await engine.stop()


@pytest.mark.req("APG-RES-006")
async def test_a_repeated_id_gets_the_first_answer_and_makes_nothing_new():
    engine = await running(1)
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model("job"))]))
    first = await engine.call(c.StartInstance(id="p"), id="once")
    again = await engine.call(c.StartInstance(id="p"), id="once")
    assert again["key"] == first["key"] and engine.owners[0].state.open == 1
    await engine.stop()


async def test_a_waiting_start_is_answered_with_the_result():
    engine = await running(2)
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model("job"))]))
    waiting = asyncio.create_task(engine.call(c.StartInstance(id="p", variables={"a": 1}, wait=True, fetch=["b"])))
    [job] = await engine.activate("job", "w", 1, 1000, wait_ms=2000)
    assert await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"], variables={"b": 2})) is not None
    answer = await waiting
    assert answer["status"] == "completed" and answer["variables"] == {"b": 2}
    await engine.stop()


async def test_stale_and_double_answers_are_refused_and_leave_no_event():
    engine = await running(1)
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model("job"))]))
    await engine.call(c.StartInstance(id="p"))
    [job] = await engine.activate("job", "w", 1, 1, wait_ms=2000)
    await asyncio.sleep(0.05)
    [again] = await engine.activate("job", "w2", 1, 60_000, wait_ms=2000)
    assert again["key"] == job["key"] and again["fence"] == job["fence"] + 1
    end = engine.owners[0].acked
    stale = await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"]))
    assert isinstance(stale, Rejected) and stale.code == "STALE"
    assert await engine.call(c.CompleteTask(task=job["key"], fence=again["fence"]))
    double = await engine.call(c.CompleteTask(task=job["key"], fence=again["fence"]))
    assert isinstance(double, Rejected) and double.code == "NOT_FOUND"
    unknown = await engine.call(c.CompleteTask(task=99 << 51))
    assert isinstance(unknown, Rejected) and unknown.code == "NOT_FOUND"
    assert engine.owners[0].acked == end + 3  # completed, taken, completed: the refused ones left nothing
    await engine.stop()


@pytest.mark.req("WOS-PER-002")
async def test_too_many_commands_are_refused_with_a_hint():
    engine = await running(1, inbox_max=10)
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model("job"))]))
    answers = await asyncio.gather(*(engine.call(c.StartInstance(id="p")) for _ in range(50)))
    refused = [a for a in answers if isinstance(a, Rejected)]
    assert refused and all(a.code == "RESOURCE_EXHAUSTED" and a.retry_after_ms > 0 for a in refused)
    assert len(answers) - len(refused) == engine.owners[0].state.open
    await engine.stop()


@pytest.mark.req("WOS-CFG-001", "WSM-PER-004")
async def test_beyond_the_limit_instances_wait_as_pending_and_start_when_one_ends():
    engine = await running(1, instances_max=2)
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model("job"))]))
    answers = [await engine.call(c.StartInstance(id="p", variables={"n": n})) for n in range(4)]
    assert [a["status"] for a in answers] == ["running", "running", "pending", "pending"]
    done = []
    while len(done) < 4:
        for job in await engine.activate("job", "w", 10, 60_000, wait_ms=2000):
            done.append(job["variables"]["n"])
            await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"]))
    assert done == [0, 1, 2, 3] and engine.owners[0].state.open == 0
    await engine.stop()


@pytest.mark.req("APG-ENG-003", "WOS-ENG-013")
async def test_a_restart_goes_on_from_the_checkpoint():
    store = MemoryStore(2)
    engine = Engine(MemoryLog(store), partitions=2)
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model("job"))]))
    for n in range(6):
        await engine.call(c.StartInstance(id="p", variables={"n": n}))
    await engine.stop()
    engine = Engine(MemoryLog(store), partitions=2)
    await engine.start()
    jobs = []
    while len(jobs) < 6:
        jobs += await engine.activate("job", "w", 10, 60_000, wait_ms=2000)
    assert sorted(j["variables"]["n"] for j in jobs) == list(range(6))
    for job in jobs:
        assert isinstance(await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"])), dict)
    assert sum(o.state.open for o in engine.owners.values()) == 0
    await engine.stop()


async def test_a_bad_model_is_refused_with_all_its_findings_and_leaves_only_word_of_it():
    engine = await running(1)
    end = engine.owners[0].acked
    for name, content in (
        ("bad.bpmn", "<definitions"),
        ("x.bpmn", model("j").replace('targetRef="t"', 'targetRef="gone"')),
        ("n.bin", "\x01\x02"),
    ):
        answer = await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model("job")), c.Resource(name, content)]))
        assert isinstance(answer, Rejected), name
    told = [r.event async for batch in counted(engine.log, 0) for r in batch][-3:]
    assert engine.owners[0].acked == end + 3 and {type(e).__name__ for e in told} == {"OperationRefused"}
    assert [(e.operation, e.code, e.names[1]) for e in told] == [("deploy", "MODEL_INVALID", n) for n in ("bad.bpmn", "x.bpmn", "n.bin")]
    await engine.stop()


async def test_conditions_start_what_begins_by_them_from_any_partition():
    engine = await running(3)
    xml = model("job").replace(
        '<startEvent id="s"/>',
        '<startEvent id="s"><conditionalEventDefinition><condition>= level &gt; 5</condition></conditionalEventDefinition></startEvent>',
    )
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", xml)]))
    assert (await engine.call(c.EvaluateConditions(variables={"level": 5})))["instances"] == []
    answer = await engine.call(c.EvaluateConditions(variables={"level": 6}))
    assert len(answer["instances"]) == 1
    [job] = await engine.activate("job", "w", 1, 1000, wait_ms=2000)
    assert job["variables"] == {"level": 6}
    await engine.stop()


@pytest.mark.req("WOS-ENG-009")
async def test_a_long_loop_lets_others_have_their_turn():
    engine = await running(1)
    loop = f"""<definitions {NS}><process id="loop" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<scriptTask id="t"><extensionElements><zeebe:script expression="= item * 2" resultVariable="r"/></extensionElements>
<multiInstanceLoopCharacteristics isSequential="true"><extensionElements><zeebe:loopCharacteristics inputCollection="= items" inputElement="item"
 outputCollection="out" outputElement="= r"/></extensionElements></multiInstanceLoopCharacteristics></scriptTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""
    await engine.call(c.Deploy(resources=[c.Resource("loop.bpmn", loop), c.Resource("p.bpmn", model("job"))]))
    long = asyncio.create_task(engine.call(c.StartInstance(id="loop", variables={"items": list(range(5_000))}, wait=True, fetch=["out"])))
    between = 0
    while not long.done():
        assert isinstance(await engine.call(c.StartInstance(id="p")), dict)
        between += 1
    assert (await long)["variables"]["out"] == [n * 2 for n in range(5_000)]
    assert between >= 4  # one after the other; before, all waited for the whole loop
    await engine.stop()


async def test_an_engine_that_stops_while_partitions_are_given_and_taken_writes_its_checkpoints(monkeypatch):
    """Another node comes or goes meanwhile: it failed with "dictionary changed size during iteration" now and then."""
    engine, written = await running(3), []
    late = engine.owners.pop(2)

    def checkpoint(p, meanwhile):
        before = engine.owners[p].checkpoint

        async def write():
            meanwhile()
            await before()
            written.append(p)

        return write

    monkeypatch.setattr(engine.owners[0], "checkpoint", checkpoint(0, lambda: engine.owners.update({2: late})))
    monkeypatch.setattr(engine.owners[1], "checkpoint", checkpoint(1, lambda: engine.owners.pop(0, None)))
    await engine.stop()
    assert sorted(written) == [0, 1]


async def test_a_checkpoint_that_does_not_end_keeps_nobody_from_stopping(monkeypatch):
    monkeypatch.setattr("flowledger.processors.engine.GIVE_UP_S", 0.05)
    engine = await running(1)
    monkeypatch.setattr(engine.owners[0], "checkpoint", asyncio.Event().wait)
    async with asyncio.timeout(5):
        await engine.stop()
