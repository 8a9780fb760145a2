"""What others see on Kafka, with nothing of ours: a consumer that has the schemas of `schemas/` and an Avro library reads how work went that a record of
another topic began."""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path
from typing import Any

import fastavro
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from flowledger.sdk import Flow

SCHEMAS = Path(__file__).parents[2] / "schemas"
TRIGGER = """format: flowledger/trigger@1
name: orders
source:
  kafka: {servers: "%s", topic: "%s", from: start}
start: {process: shop, business_key: "=payload.order", variables: {order: "=payload.order"}}
"""


def reader() -> Any:
    """As docs of the topic say (`schemas/asyncapi.json`): a zero byte, the schema's id in four, Avro binary."""
    ids = {int(n): name for n, name in json.loads((SCHEMAS / "avro" / "ids.json").read_text()).items()}
    parsed = {n: fastavro.parse_schema(json.loads((SCHEMAS / "avro" / f"{name}.avsc").read_text())) for n, name in ids.items()}

    def read(value: bytes) -> tuple[str, dict[str, Any]]:
        assert value[0] == 0
        number = int.from_bytes(value[1:5], "big")
        return ids[number].rpartition(".v")[0], fastavro.schemaless_reader(io.BytesIO(value[5:]), parsed[number])  # type: ignore[return-value]

    return read


@pytest.mark.req("D-EVT-001", "D-EVT-008", "WOS-EVT-002", "WOS-EVT-003", "WSM-EVT-001")
@pytest.mark.kafka
@pytest.mark.timeout(300)
async def test_a_record_starts_work_and_whoever_reads_the_events_sees_it_end(place, database, tmp_path, kafka_bootstrap):
    word = uuid.uuid4().hex[:8]
    topic, prefix = f"orders.{word}", f"ev-{word}"
    told = {
        "data": tmp_path, "postgres": database, "kafka": kafka_bootstrap, "prefix": prefix, "partitions": 2,
        "roles": ("api", "owner", "projector", "connectors"), "egress_private": ("127.0.0.1", "localhost"),
    }  # fmt: skip
    model = Flow("shop").start().service("pay", job="pay").end().xml().decode()
    async with place.system(**told) as (_, http), AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 1, 1)])
        await admin.close()
        resources = [{"name": "s.bpmn", "content": model}, {"name": "o.trigger.yaml", "content": TRIGGER % (kafka_bootstrap, topic)}]
        answer = await http.post("/v1/deployments", json={"resources": resources})
        assert answer.status_code == 201, answer.text
        orders = {f"o-{n}" for n in range(5)}
        for order in sorted(orders):
            await producer.send_and_wait(topic, json.dumps({"order": order}).encode())
        done = 0
        while done < len(orders):
            asked = {"type": "pay", "worker": "w", "max": 5, "timeout_ms": 60_000, "wait_ms": 20_000}
            for job in (await http.post("/v1/jobs/activate", json=asked)).json()["jobs"]:
                answer = await http.post(f"/v1/jobs/{job['key']}/complete", json={"fence": job["fence"]})
                assert answer.status_code == 200, answer.text
                done += 1

        read, seen = reader(), []
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, isolation_level="read_committed", auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([TopicPartition(f"{prefix}.events", p) for p in range(2)])
            await consumer.seek_to_beginning()

            async def ended() -> bool:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    seen.extend((*read(r.value), int.from_bytes(r.key, "big") if r.key else 0) for r in records)
                return sum(name == "workflow.completed" for name, *_ in seen) >= len(orders)

            await place.until(ended, 60)
        finally:
            await consumer.stop()

        async def there() -> Any:
            rows = (await http.get("/v1/instances", params={"definition": "shop"})).json()["items"]
            return {i["id"]: i for i in rows} if len(rows) >= len(orders) else None

        listed = await place.until(there, 60)
        assert {i["business_key"] for i in listed.values()} == orders
        completed = [(e, key) for name, e, key in seen if name == "workflow.completed"]
        assert {str(key) for _, key in completed} == {str(e["key"]) for e, _ in completed} == set(listed), "each once, by its instance"
        started = {str(e["key"]): e for name, e, _ in seen if name == "workflow.started"}
        assert {e["process"] for e in started.values()} == {"shop"} and started.keys() == set(listed)
        for instance in listed:
            story = [name for name, e, _ in seen if str(e.get("key")) == instance]
            assert story[0] == "workflow.started" and story[-1] == "workflow.completed" and "task.completed" in story
