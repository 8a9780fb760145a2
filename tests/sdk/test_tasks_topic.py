"""Jobs by the `tasks` topic: the record's form, the publisher's credit, and the whole way over a real broker."""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from decimal import Decimal

import fastavro
import pytest

from flowledger.api import tasks_topic
from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events.base import Recorded
from flowledger.sdk import Job, Worker
from flowledger.sdk.frames import Job as JobData
from flowledger.sdk.job_avro import FIELDS, decode, encode, schema


def test_a_record_is_avro_that_any_library_reads(engine):
    assert tuple(name for name, _ in FIELDS) == tuple(n for n in sorted(JobData.__struct_fields__, key=[f for f, _ in FIELDS].index))
    engine.add(1, variables={"a": Decimal("1.10"), "b": [1, "ü"]})
    job = engine.waiting["pay"][0]
    data = encode(job)
    assert decode(data).variables == job["variables"] and decode(data).key == job["key"]
    general = fastavro.schemaless_reader(io.BytesIO(data[5:]), fastavro.parse_schema(schema()))
    assert general["type"] == "pay" and general["variables"] == b'{"a":1.10,"b":[1,"\xc3\xbc"]}'
    for wrong in (b"", b"\0\0\0\1\1abc", data[:30]):
        with pytest.raises(ValueError):
            decode(wrong)


async def test_no_more_than_the_credit_is_on_the_topic_and_answers_free_it(engine):
    records = []

    async def publish(key, value):
        records.append((key, decode(value)))

    topic = tasks_topic.TasksTopic(engine, publish, ["pay"], credit=2)
    keys = engine.add(3)
    running = asyncio.create_task(topic.run())
    await asyncio.sleep(0.05)
    assert [j.key for _, j in records] == keys[:2] and records[0][0] == b"pay" and records[0][1].fence == 1
    engine.log.put_nowait([Recorded(ta.TaskCompleted(key=7, task=keys[0], token=9, element="e1"), None)])
    await asyncio.sleep(0.05)
    assert [j.key for _, j in records] == keys
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.req("WOS-EVT-001")
@pytest.mark.kafka
async def test_the_whole_way_over_kafka(engine, kafka_bootstrap):
    import uvicorn
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    from flowledger.api.app import create_app
    from flowledger.api.services import Services
    from flowledger.infra.settings import Settings

    prefix = f"t{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(f"{prefix}.tasks", 2, 1)])
    await admin.close()
    app = create_app(Services(engine, None, Settings()))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    publishing = asyncio.create_task(tasks_topic.publish_to_kafka(engine, kafka_bootstrap, ["pay"], prefix))
    worker, seen = Worker(f"kafka://{kafka_bootstrap}/{prefix}?api=http://127.0.0.1:{port}"), []

    @worker.job("pay")
    async def pay(a: int, job: Job) -> dict:
        seen.append(job.key)
        return {"b": a + 1}

    keys = engine.add(20)
    working = asyncio.create_task(worker.run())
    end = time.monotonic() + 30
    while len(engine.asked(c.CompleteTask)) < 20 and time.monotonic() < end:
        await asyncio.sleep(0.05)
    assert sorted(seen) == sorted(keys) and all(d.fence == 1 and d.variables == {"b": 2} for d in engine.asked(c.CompleteTask))
    await worker.stop(2)
    await working
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    server.should_exit = True
    await serving
