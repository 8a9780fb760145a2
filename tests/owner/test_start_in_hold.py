"""A server that starts in hold (`--hold`): everything it takes over is suspended before anything moves, until it is released."""

import asyncio

from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.engine import Engine
from flowledger.processors.owner import Settings

WAITS = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<boundaryEvent id="b" attachedToRef="t" cancelActivity="false"><timerEventDefinition><timeDuration>PT1S</timeDuration></timerEventDefinition></boundaryEvent>
<sequenceFlow id="f3" sourceRef="b" targetRef="late"/>
<serviceTask id="late"><extensionElements><zeebe:taskDefinition type="late"/></extensionElements></serviceTask>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="w"/></extensionElements></serviceTask></process></definitions>"""


class Clock:
    now = 1_790_000_000_000_000

    def __call__(self):
        return self.now


async def test_all_is_suspended_until_the_release_and_only_by_a_start():
    store, clock = MemoryStore(2), Clock()

    async def started(hold: bool) -> Engine:
        engine = Engine(MemoryLog(store), partitions=2, settings=Settings(hold=hold), clock=clock)
        await engine.start()
        return engine

    async def leased(engine: Engine, job_type: str = "w") -> int:
        command = c.ActivateTasks(job_type=job_type, worker="x", max=9, timeout_ms=60_000)
        return sum([len((await engine.call(command, partition=p))["jobs"]) for p in range(2)])

    async def gone(engine: Engine) -> None:
        while any(o.state.holds for o in engine.owners.values()):
            clock.now += 1_000
            for o in engine.owners.values():
                o.wake()
            await asyncio.sleep(0.01)

    engine = await started(False)
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", WAITS)]))
    for p in range(2):
        await engine.call(c.StartInstance(id="p"), partition=p)
    await engine.stop()

    clock.now += 60_000_000  # the timers have come due meanwhile
    engine = await started(True)
    assert await leased(engine) == 0 and await leased(engine, "late") == 0
    assert (await engine.call(c.StartInstance(id="p"), partition=1))["status"] == "pending"
    await engine.stop()

    engine = await started(False)  # it is on the log: who starts next starts so
    assert await leased(engine) == 0
    await engine.call(c.ReleaseHold(key=c.START_HOLD, rate=1))
    await engine.stop()

    engine = await started(True)  # in the middle of a release: all of it again
    assert await leased(engine) <= 1
    assert all(not h.upto for o in engine.owners.values() for h in o.state.holds.values())
    await engine.call(c.ReleaseHold(key=c.START_HOLD))
    await gone(engine)
    assert not engine.settings.hold, "a claim that comes later is no start"
    assert await leased(engine, "late") >= 2
    await engine.stop()

    engine = await started(False)
    assert not any(o.state.holds for o in engine.owners.values())
    await engine.stop()
