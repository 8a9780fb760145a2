"""Owner processes on a real Kafka are killed between a decision and what it put off: a signal ends more than one decision can finish with."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kafka_load import NS, Owners, insist

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events.ledger import Inbound, PartitionClaimed
from flowledger.infra.log_kafka import KafkaLog
from flowledger.kernel import Partition, evolve, putoff
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]
#: on partition 0; by the budget 1,400 of these are more than one decision
ITEMS = int(os.environ.get("PUT_OFF_ITEMS", "1500"))
MODEL = f"""<definitions {NS}><signal id="sig" name="S"/>
<message id="msg" name="M"><extensionElements><zeebe:subscription correlationKey="= k"/></extensionElements></message>
<process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="w"/></extensionElements></serviceTask>
<boundaryEvent id="b" attachedToRef="t"><signalEventDefinition signalRef="sig"/></boundaryEvent>
<boundaryEvent id="m" attachedToRef="t"><messageEventDefinition messageRef="msg"/></boundaryEvent>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><sequenceFlow id="f3" sourceRef="b" targetRef="e"/><sequenceFlow id="f4" sourceRef="m" targetRef="e"/>
<endEvent id="e"/></process></definitions>"""


@pytest.mark.req("WOS-ENG-014", "APG-HA-008")
async def test_killed_owners_lose_nothing_that_was_put_off(kafka_bootstrap, tmp_path, monkeypatch):
    monkeypatch.setenv("OWNER_BATCH_MAX", "2")  # small groups, so that it takes a while
    prefix = f"putoff-{uuid.uuid4().hex[:8]}"
    owners = Owners(kafka_bootstrap, prefix, tmp_path)
    client = Engine(KafkaLog(kafka_bootstrap, prefix=prefix, timeout_s=5.0), partitions=3, owns=False)
    await client.start()
    here = next(k for k in (f"k{n}" for n in range(100)) if c.partition_of_text(k, 3) == 0)
    try:
        owners.start()
        await insist(client, c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]), "deploy", 0)

        async def some(lane: int) -> None:
            for n in range(lane, ITEMS, 50):
                await insist(client, c.StartInstance(id="p", variables={"k": here}), f"s{n}", 0)

        await asyncio.gather(*(some(lane) for lane in range(50)))
        await insist(client, c.BroadcastSignal(name="S"), "signal", 0)
        owners.kill(owners.running[0])
        owners.start()
        for _ in range(600):
            state, waited, ended = await fold(client.log)
            if not state.awaited and not state.instances and not putoff.waiting(state):
                break
            await asyncio.sleep(0.5)
        assert not state.awaited and not state.instances and not putoff.waiting(state), "something that was put off is lost"
        assert ended == ITEMS and state.meta.taken[0] == state.meta.sent[0] > 100
        assert waited > 0, "it died too late: all was done already"
    finally:
        owners.stop()
        await client.stop()


async def fold(log: KafkaLog) -> tuple[Partition, int, int]:
    """Partition 0, how much waited when somebody took over, and how many instances have ended."""
    reader, state, decoder, waited, ended = rules.GroupReader(), Partition(0, 3), avro.Decoder(), 0, 0
    async for batch in log.read(EVENTS, 0, 0):
        for record in batch:
            group = reader.feed(record)
            for value in group.values if group else ():
                event, envelope = decoder.decode(value)
                if isinstance(event, Inbound):
                    assert event.seq == state.meta.taken.get(event.sender, 0) + 1, "taken twice or out of turn"
                elif isinstance(event, PartitionClaimed):
                    waited = max(waited, putoff.waiting(state))
                ended += type(event).__name__ == "WorkflowCompleted"
                evolve(state, event, envelope)
    return state, waited, ended
