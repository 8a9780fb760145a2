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


@pytest.fixture
async def topic(engine, monkeypatch):
    """A topic of credit 2 for the jobs `pay`, and what is published: (job, fence)."""
    monkeypatch.setattr(tasks_topic, "LOOK_S", 0.02)
    monkeypatch.setattr(tasks_topic, "AGAIN_S", 0.02)
    records: list[tuple[int, int]] = []
    wrong: list[Exception] = []

    async def publish(key, value):
        if wrong:
            raise wrong.pop()
        job = decode(value)
        records.append((job.key, job.fence))

    topic = tasks_topic.TasksTopic(engine, publish, ["pay", "acme/pay"], credit=2)
    running = asyncio.create_task(topic.run())
    yield topic, records, wrong
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


ENDS = [
    lambda k: ta.TaskCompleted(key=7, task=k, token=9, element="e1"),
    lambda k: ta.TaskFailed(key=7, task=k, token=9, element="e1", retries=0),
    lambda k: ta.TaskCancelled(key=7, task=k, token=9, element="e1"),
    lambda k: ta.TaskSkipped(key=7, task=k, token=9, element="e1"),
    lambda k: ta.TaskTimedOut(tasks=[k], retries=[1]),
    lambda k: ta.TaskReturned(tasks=[k]),
]


@pytest.mark.parametrize("end", ENDS)
async def test_whatever_ends_a_lease_frees_its_place(topic, engine, end):
    _, records, _ = topic
    keys = engine.add(3)
    await asyncio.sleep(0.05)
    assert [k for k, _ in records] == keys[:2]
    engine.log.put_nowait([Recorded(end(keys[0]), None)])
    await asyncio.sleep(0.05)
    assert [k for k, _ in records] == keys


async def test_a_job_that_went_with_its_element_frees_its_place_with_its_lease(topic, engine):
    """No event names it: its token was withdrawn."""
    found, records, _ = topic
    keys = engine.add(3)
    await asyncio.sleep(0.05)
    found.out = {k: (name, 0.0) for k, (name, _) in found.out.items()}
    await asyncio.sleep(0.08)
    assert [k for k, _ in records] == keys


async def test_a_record_that_can_t_be_published_is_an_incident_and_the_rest_goes_on(topic, engine):
    _, records, wrong = topic
    wrong.append(tasks_topic.Unpublishable("17000000 bytes"))
    first, second = engine.add(2)
    await asyncio.sleep(0.05)
    (failed,) = engine.asked(c.FailTask)
    assert (failed.retries, failed.code) == (0, "UNPUBLISHABLE") and "17000000 bytes" in failed.message
    assert [k for k, _ in records] == [k for k in (first, second) if k != failed.task]


async def test_kafka_away_the_job_goes_back_and_comes_again(topic, engine):
    _, records, wrong = topic
    wrong.append(TimeoutError("no broker"))
    (key,) = engine.add(1)
    await asyncio.sleep(0.2)
    assert [k for k, _ in records] == [key] and len(engine.asked(c.ReturnTasks)) == 1


def test_the_topic_is_kafka_s(tmp_path):
    from flowledger.infra.settings import Settings, SettingsError
    from flowledger.system import System

    with pytest.raises(SettingsError, match="tasks_topic names pay, but there is no Kafka"):
        asyncio.run(System(Settings(data=tmp_path, tasks_topic="pay")).__aenter__())


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
