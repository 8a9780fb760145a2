"""The `tasks` topic of a whole server: one setting, and a service that knows only Kafka gets its work."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaConsumer

from flowledger.sdk.job_avro import decode

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="p" isExecutable="true"><startEvent id="s"/><serviceTask id="pay"><extensionElements><zeebe:taskDefinition type="pay"/></extensionElements>
</serviceTask><endEvent id="e"/><sequenceFlow id="a" sourceRef="s" targetRef="pay"/><sequenceFlow id="b" sourceRef="pay" targetRef="e"/></process>
</definitions>"""


@pytest.mark.req("WOS-EVT-001")
async def test_a_server_fills_it_for_the_types_of_its_settings(place, kafka_bootstrap, database, tmp_path):
    """A job above the usual size of a producer's record as well."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    async with place.system(
        data=tmp_path, kafka=kafka_bootstrap, postgres=database, prefix=prefix, partitions=2, tasks_topic="pay,other"
    ) as (_, http):  # fmt: skip
        found = await http.post("/v1/deployments", json={"resources": [{"name": "p.bpmn", "content": MODEL}]})
        assert found.status_code < 300, found.text
        bodies = [{"definition": "p", "variables": {"text": "x" * n}} for n in (1, 1_500_000)]
        started = [(await http.post("/v1/instances", json=body)).json()["id"] for body in bodies]
        consumer = AIOKafkaConsumer(
            f"{prefix}.tasks", bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=1 << 24
        )  # fmt: skip
        await consumer.start()
        try:
            jobs = [decode((await asyncio.wait_for(consumer.getone(), 30)).value) for _ in started]
        finally:
            await consumer.stop()
        assert {(str(j.instance), j.type, j.worker) for j in jobs} == {(i, "pay", "tasks-topic") for i in started}
        for job in jobs:
            done = await http.post(f"/v1/jobs/{job.key}/complete", json={"variables": {"paid": True}, "fence": job.fence})
            assert done.status_code == 200, done.text
