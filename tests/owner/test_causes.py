"""Each event has its cause, and from any of them one walks back to the request that it all began with."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import wire
from flowledger.events import workflow as wf
from flowledger.events.base import Recorded
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.why import why
from flowledger.processors.client import Caller
from flowledger.processors.clock import READ_US
from flowledger.processors.engine import Engine
from flowledger.processors.owner import Settings
from flowledger.processors.recovery import counted

pytestmark = pytest.mark.req("D-EVT-002", "APG-CMP-003")
NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'
#: timer, child on another partition, message between them, job, and a task for a person
MODEL = f"""<definitions {NS}><message id="m" name="go"><extensionElements><zeebe:subscription correlationKey="=key"/></extensionElements></message>
<process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f0" sourceRef="s" targetRef="t"/>
<intermediateCatchEvent id="t"><timerEventDefinition><timeDuration>PT0.05S</timeDuration></timerEventDefinition></intermediateCatchEvent>
<sequenceFlow id="f1" sourceRef="t" targetRef="call"/>
<callActivity id="call"><extensionElements><zeebe:calledElement processId="child"/></extensionElements></callActivity>
<sequenceFlow id="f2" sourceRef="call" targetRef="job"/>
<serviceTask id="job"><extensionElements><zeebe:taskDefinition type="w"/></extensionElements></serviceTask>
<sequenceFlow id="f3" sourceRef="job" targetRef="wait"/>
<intermediateCatchEvent id="wait"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
<sequenceFlow id="f4" sourceRef="wait" targetRef="e"/><endEvent id="e"/></process>
<process id="child" isExecutable="true"><startEvent id="cs"/><sequenceFlow id="c1" sourceRef="cs" targetRef="cj"/>
<serviceTask id="cj"><extensionElements><zeebe:taskDefinition type="w"/></extensionElements></serviceTask>
<sequenceFlow id="c2" sourceRef="cj" targetRef="ce"/><endEvent id="ce"/></process></definitions>"""
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-11111111111111111111111111111111-2222222222222222-01"


async def story() -> tuple[MemoryStore, list[Recorded], int]:
    store = MemoryStore(3)
    engine = Engine(MemoryLog(store), partitions=3, settings=Settings(spread=True))
    await engine.start()
    assert isinstance(await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)])), dict)
    ann = Caller("ann", "", "order-7", TRACE)
    key = (await engine.call(c.StartInstance(id="p", variables={"key": "k"}), ann, id="start-1", partition=1))["key"]
    for _ in range(2):  # of the child, then of the parent
        (job,) = await engine.activate("w", "worker-1", 1, 60_000, 5_000)
        assert job["trace"] == TRACE
        answer = await engine.call(
            c.CompleteTask(task=job["key"], fence=job["fence"]), Caller("", "", "another-correlation", OTHER), id=f"done-{job['key']}"
        )
        assert isinstance(answer, dict)
    await asyncio.sleep(0.1)
    await engine.call(c.PublishMessage(name="go", correlation_key="k", ttl_ms=60_000), Caller("bob", "", "message-1"), id="m-1")
    for _ in range(200):
        if not any(o.state.instances for o in engine.owners.values()):
            break
        await asyncio.sleep(0.02)
    await engine.stop()
    events = [r for p in range(3) async for batch in counted(MemoryLog(store), p) for r in batch]
    return store, events, key


@pytest.mark.req("D-EVT-002")
async def test_every_event_has_a_cause_and_leads_back_to_a_request():
    store, events, key = await story()
    assert sum(isinstance(r.event, wf.WorkflowCompleted) for r in events) == 2
    ends: dict[str, list[str]] = {}
    for r in events:
        assert r.envelope.cause, r
        walk = await why(MemoryLog(store), r.partition, r.offset)
        assert walk[0].position == r.id
        ends.setdefault(walk[-1].cause.split(":")[0], []).append(walk[-1].cause)
        assert walk[-1].cause.split(":")[0] in ("request", "owner"), [(s.type, s.cause) for s in walk]
        for later, earlier in itertools.pairwise(walk):
            # each partition has its own time; those of one machine are read from the same clocks, together
            here = later.position.partition("-")[0] == earlier.position.partition("-")[0]
            assert later.time_us >= earlier.time_us - (0 if here else 2 * READ_US)
    last = next(r for r in events if isinstance(r.event, wf.WorkflowCompleted) and r.event.key == key)
    job = next(r for r in events if isinstance(r.event, ta.TaskCompleted) and r.event.key == key)
    for r, root in ((job, "request:start-1"), (last, "request:m-1")):
        walk = await why(MemoryLog(store), r.partition, r.offset)
        assert walk[-1].cause == root, [(s.position, s.type, s.cause) for s in walk]
    types = [s.type for s in await why(MemoryLog(store), job.partition, job.offset)]
    assert types[:2] == ["task.completed", "task.created"] and "partition.outbound" in types and "timer.scheduled" in types, types


async def test_correlation_trace_and_tenant_last_to_the_end_whoever_moves_it_on():
    _, events, key = await story()
    children = [r.event.key for r in events if isinstance(r.event, wf.WorkflowStarted) and r.event.parent]
    assert len(children) == 1
    for r in events:
        if r.event.key in (key, *children):
            assert (r.envelope.correlation, r.envelope.trace) == ("order-7", TRACE), (wire.NAMES[type(r.event)], r.envelope)


async def test_the_worker_stands_on_what_it_did():
    _, events, _ = await story()
    done = [r for r in events if isinstance(r.event, ta.TaskCompleted)]
    assert [(r.event.worker, r.envelope.actor) for r in done] == [("worker-1", "worker-1")] * 2
