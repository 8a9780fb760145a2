"""Commands on the topic that can't be read, or that break the engine itself: kept with the reason, and the others go on."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.infra.log_kafka import KafkaLog
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import limits
from flowledger.processors import desk as desk_module
from flowledger.processors.engine import Engine
from flowledger.processors.log import COMMANDS, DEAD_LETTER, Group, Log
from flowledger.processors.recovery import counted

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'
MODEL = f"""<definitions {NS}><process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="w"/></extensionElements></serviceTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""
BAD = [b"\xff\x00 no JSON", b"[]", b'{"command": {"type": "no_such_command"}}', b""]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def connect(request):
    if request.param == "memory":
        store = MemoryStore(1)
        return lambda: MemoryLog(store)
    address, prefix = request.getfixturevalue("kafka_bootstrap"), f"dead-{uuid.uuid4().hex[:8]}"
    return lambda: KafkaLog(address, prefix=prefix, session_s=2.0)


async def letters(log: Log) -> list:
    return [record async for batch in log.read(DEAD_LETTER, 0, 0) for record in batch]


async def pair(connect) -> tuple[Engine, Engine]:
    """An owner, and a node that reaches it through the topic only."""
    owner, remote = Engine(connect(), partitions=1), Engine(connect(), partitions=1, owns=False)
    await owner.start()
    await remote.start()
    return owner, remote


@pytest.mark.req("WOS-RES-009")
@pytest.mark.timeout(90)
async def test_what_cannot_be_read_is_kept_with_its_reason_and_the_rest_goes_on(connect):
    owner, remote = await pair(connect)
    await remote.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]), id="deploy")
    bad = [b for b in BAD if b] if isinstance(owner.log, KafkaLog) else BAD
    places = []
    for n, value in enumerate(bad):
        appended = await remote.log.append(COMMANDS, 0, Group([b"k"], [value], (("from-whom", b"%d" % n),)))
        places.append(appended.first)
        answer = await remote.call(c.StartInstance(id="p"), id=f"good-{n}")
        assert isinstance(answer, dict), answer
    found = await letters(owner.log)
    assert [r.value for r in found] == bad and [r.key for r in found] == [b"k"] * len(bad)
    assert [int(r.header("source")) for r in found] == places, "where in `commands` it was"
    assert [r.header("from-whom") for r in found] == [b"%d" % n for n in range(len(bad))], "its own headers too"
    assert all(len(r.header("reason") or b"") > 8 for r in found)
    events = [r.event async for batch in counted(owner.log, 0) for r in batch]
    assert [e.source for e in events if type(e).__name__ == "DeadLettered"] == places, "the ledger tells of it"
    assert owner.owners[0].state.open == len(bad)
    await owner.stop()
    again = Engine(connect(), partitions=1)
    await again.start()
    assert isinstance(await again.call(c.StartInstance(id="p")), dict)
    assert len(await letters(again.log)) == len(bad), "once, also after a new owner"
    await again.stop()
    await remote.stop()


@pytest.mark.timeout(90)
async def test_a_command_that_breaks_the_engine_is_found_and_put_aside(monkeypatch):
    store = MemoryStore(1)
    owner, remote = await pair(lambda: MemoryLog(store))
    await remote.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]), id="deploy")
    real = desk_module.decide

    def decide(state, request, facts):
        if request.id == "poison":
            raise ZeroDivisionError("a defect of ours")
        return real(state, request, facts)

    monkeypatch.setattr(desk_module, "decide", decide)

    async def until_dict(id: str):
        while isinstance(answer := await remote.call(c.StartInstance(id="p"), id=id, timeout_s=2), Rejected):
            assert answer.code in (RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED)
        return answer

    poison = asyncio.create_task(remote.call(c.StartInstance(id="p"), id="poison", timeout_s=5))
    good = await asyncio.gather(*(until_dict(f"good-{n}") for n in range(20)))
    assert len({a["key"] for a in good}) == 20
    assert (await poison).code in (RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED)
    [letter] = await letters(owner.log)
    assert b"poison" in letter.value and b"engine" in (letter.header("reason") or b"")
    assert owner.owners[0].state.open == 20 and owner.health()["ready"]
    await remote.stop()
    await owner.stop()


@pytest.mark.timeout(60)
async def test_an_event_larger_than_the_log_takes_is_refused_and_the_partition_goes_on():
    engine = Engine(MemoryLog(MemoryStore(1), record_bytes_max=20_000), partitions=1)
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
    huge = c.StartInstance(id="p", variables={"text": "x" * 50_000})
    answer = None
    for _ in range(100):
        answer = await engine.call(huge, id="huge")
        if answer.code != RejectionCode.UNAVAILABLE:
            break
        await asyncio.sleep(0.02)
    assert answer.code == RejectionCode.INVALID_ARGUMENT and "too large" in answer.message, answer
    while isinstance(made := await engine.call(c.StartInstance(id="p")), Rejected):
        await asyncio.sleep(0.02)
    assert made["key"] and engine.owners[0].state.open == 1
    await engine.stop()


WAITS = f"""<definitions {NS}><message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="=k"/></extensionElements></message>
<process id="waits" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="c"/>
<intermediateCatchEvent id="c"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
<sequenceFlow id="f2" sourceRef="c" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Spoils(MemoryLog):
    """What is sent of one kind arrives in pieces."""

    kind = b'"AwaitMessage"'

    def submit(self, topic, partition, group, **more):
        if topic == COMMANDS and self.kind:
            values = [v[:-9] if v is not None and self.kind in v else v for v in group.values]
            group = Group(group.keys, values, group.headers, group.last_headers, group.each, group.timestamp_ms)
        return super().submit(topic, partition, group, **more)


@pytest.mark.req("WOS-RES-009")
@pytest.mark.timeout(60)
async def test_a_send_that_nobody_can_read_is_consumed_and_its_sender_has_an_incident(monkeypatch):
    log = Spoils(MemoryStore(2))
    engine = Engine(log, partitions=2)
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("w.bpmn", WAITS), c.Resource("p.bpmn", MODEL)]))
    key = next(k for k in map(str, range(99)) if c.partition_of_text(k, 2) == 1)
    waiting = [await engine.call(c.StartInstance(id="waits", variables={"k": key}), partition=0) for _ in range(3)]
    here, there = engine.owners[0].state, engine.owners[1].state

    async def until(look):
        while not look():
            await asyncio.sleep(0.01)

    await until(lambda: len(here.incidents) == 3)
    assert {x.instance for x in here.incidents.values()} == {i["key"] for i in waiting}
    assert {(x.code, x.element) for x in here.incidents.values()} == {("SEND_REJECTED", "c")}
    assert all("UNREADABLE" in x.message for x in here.incidents.values()) and not there.letters, (
        "told to their sender, so nobody else need look"
    )
    assert there.meta.taken[0] >= 3 and engine.health()["ready"]
    monkeypatch.setattr(Spoils, "kind", b"")
    for incident in list(here.incidents):
        assert isinstance(await engine.call(c.ResolveIncident(key=incident)), dict)
    await until(lambda: len(there.awaited) == 3)
    await engine.call(c.PublishMessage(name="paid", correlation_key=key, ttl_ms=60_000))
    await until(lambda: len(here.instances) < 3)  # one message, one instance of a process
    await engine.stop()


CALLS = f"""<definitions {NS}><process id="calls" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/>
<callActivity id="a"><extensionElements><zeebe:calledElement processId="p"/><zeebe:properties>
<zeebe:property name="flowledger:spread" value="true"/></zeebe:properties></extensionElements></callActivity>
<sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


@pytest.mark.timeout(60)
async def test_a_call_that_nobody_can_read_is_made_again_when_its_incident_is_resolved(monkeypatch):
    engine = Engine(Spoils(MemoryStore(2)), partitions=2)
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("c.bpmn", CALLS), c.Resource("p.bpmn", MODEL)]))
    here, there = engine.owners[0].state, engine.owners[1].state
    monkeypatch.setattr(Spoils, "kind", b'"StartInstance"')
    for _ in range(4):
        await engine.call(c.StartInstance(id="calls"), partition=0)

    def children():
        return [i for p in (here, there) for i in p.instances.values() if i.process == "p"]

    while len(children()) + len(here.incidents) < 4:
        await asyncio.sleep(0.01)
    spoilt = list(here.incidents)
    assert spoilt and not [i for i in there.instances.values()]
    monkeypatch.setattr(Spoils, "kind", b"")
    for incident in spoilt:
        assert isinstance(await engine.call(c.ResolveIncident(key=incident)), dict)
    while len(children()) < 4:
        await asyncio.sleep(0.01)
    assert not here.incidents and len(there.instances) == len(spoilt), "each once"
    await engine.stop()


@pytest.mark.timeout(60)
async def test_no_more_letters_are_open_than_a_partition_may_have(monkeypatch):
    monkeypatch.setattr(limits, "LETTERS_MAX", 5)
    monkeypatch.setattr(limits, "LETTER_BYTES_MAX", 100)
    log = MemoryLog(MemoryStore(1))
    engine = Engine(log, partitions=1)
    await engine.start()
    places = [(await log.append(COMMANDS, 0, Group([b"k"], [b"%d" % n * 60]))).first for n in range(8, 15)]
    while (state := engine.owners[0].state) is None or len(state.letters) < 5 or max(state.letters) < places[-1]:
        await asyncio.sleep(0.01)
    assert sorted(state.letters) == places[2:], "the oldest are given up"
    assert [len(state.letters[p].command) for p in places[2:]] == [100] * 5 and {state.letters[p].size for p in places[2:]} == {120}
    refused = await engine.call(c.ReplayDeadLetter(letter=c.key_of_letter(0, places[-1])))
    assert refused.code == RejectionCode.INVALID_ARGUMENT and "100 of its 120 bytes" in refused.message
    await engine.stop()
    again = Engine(log, partitions=1)
    await again.start()
    assert sorted(again.owners[0].state.letters) == places[2:], "a new owner has them too"
    assert isinstance(await again.call(c.DiscardDeadLetter(letter=c.key_of_letter(0, places[-1]), reason="noise")), dict)
    await again.stop()
