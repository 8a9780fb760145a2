"""Sources that are read, on whole systems: each example from its file, with the process of the connectors killed under load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from flowledger.sdk import Flow

EXAMPLES = Path(__file__).parents[2] / "examples/triggers"
ROLES = ("api", "owner", "projector", "connectors")
ENDS = Flow("fulfilment").start().end().xml().decode()
WAITS = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<message id="m" name="payment"><extensionElements><zeebe:subscription correlationKey="=order"/></extensionElements></message>
<process id="waits" isExecutable="true"><startEvent id="s"/><receiveTask id="r" messageRef="m"/><endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="r"/><sequenceFlow id="f2" sourceRef="r" targetRef="e"/></process></definitions>"""
REPORT = Flow("report").start().service("t", job="w").end().xml().decode()


async def deploy(http: Any, *resources: tuple[str, str]) -> None:
    answer = await http.post("/v1/deployments", json={"resources": [{"name": n, "content": content} for n, content in resources]})
    assert answer.status_code == 201, answer.text


async def keys_of(http: Any, definition: str) -> list[str]:
    """Business keys of all instances."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = (
            await http.get("/v1/instances", params={"definition": definition, "limit": 200, **({"cursor": cursor} if cursor else {})})
        ).json()
        found += [row["business_key"] for row in page["items"]]
        if not (cursor := page["cursor"]):
            return found


async def read_by(place: Any, http: Any, name: str) -> dict[str, Any]:
    async def look() -> Any:
        row = (await http.get(f"/v1/triggers/{name}")).json()
        return row if "" in (row.get("places") or {}) else None

    found: dict[str, Any] = await place.until(look, 60)
    return found


async def kill(place: Any, system: Any) -> None:
    """Its process of the connectors; another one is started in its place."""
    before = system.connectors.process.pid
    os.kill(before, signal.SIGKILL)

    async def again() -> bool:
        return system.connectors.process is not None and system.connectors.process.pid != before

    await place.until(again, 60)


@pytest.mark.req("APG-TRG-002", "WOS-TRG-001", "D-TRG-001")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(300)
async def test_a_process_that_ends_starts_another_once_though_its_reader_is_killed(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"so-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    async with place.system(data=tmp_path, postgres=database, partitions=3, roles=ROLES, **more) as (system, http):
        await deploy(http, ("f.bpmn", ENDS), ("r.bpmn", REPORT), ("a.trigger.yaml", (EXAMPLES / "after-orders.trigger.yaml").read_text()))
        await read_by(place, http, "after-orders")
        ended: list[str] = []
        for k in range(3):
            answers = await asyncio.gather(*(http.post("/v1/instances", json={"definition": "fulfilment"}) for _ in range(30)))
            ended += [a.json()["id"] for a in answers]
            if k < 2:
                await kill(place, system)

        async def all_there() -> bool:
            return len(await keys_of(http, "report")) >= len(ended)

        await place.until(all_there, 150)
        await asyncio.sleep(1)
        assert sorted(await keys_of(http, "report")) == sorted(ended)

        async def told() -> Any:  # with the next renewal of the lease
            row = (await http.get("/v1/triggers/after-orders")).json()
            return row if row["lag"] is not None else None

        row = await place.until(told, 60)
        assert row["ran"] == len(ended) and row["node"] and row["reader"] >= 2


@pytest.mark.req("APG-TRG-002", "WOS-TRG-001")
@pytest.mark.kafka
@pytest.mark.timeout(300)
async def test_a_record_of_a_topic_reaches_the_instance_that_waits_for_it(place, database, tmp_path, kafka_bootstrap):
    """And how long it takes from the record to the instance's end."""
    topic = f"shop.{uuid.uuid4().hex[:8]}"
    text = (EXAMPLES / "payments.trigger.yaml").read_text().replace("localhost:9092", kafka_bootstrap).replace("shop.payments", topic)
    settings = dict(data=tmp_path, postgres=database, partitions=3, roles=ROLES, egress_private=("127.0.0.1", "localhost"))
    async with place.system(**settings) as (_, http), AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 2, 1)])
        await admin.close()
        orders = [f"o{n}" for n in range(20)]
        await deploy(http, ("w.bpmn", WAITS))
        instances = {}
        for order in orders:
            made = await http.post("/v1/instances", json={"definition": "waits", "variables": {"order": order}})
            instances[order] = made.json()["id"]
        for order in orders[:10]:
            await producer.send_and_wait(
                topic, json.dumps({"order": order, "status": "settled", "amount": 7}).encode(), headers=[("sender", b"bank")]
            )
        await producer.send_and_wait(topic, json.dumps({"order": orders[10], "status": "open"}).encode())
        await deploy(http, ("p.trigger.yaml", text))

        async def done(order: str) -> Any:
            row = (await http.get(f"/v1/instances/{instances[order]}")).json()
            return row if row["status"] == "completed" else None

        for order in orders[:10]:
            await place.until(lambda order=order: done(order), 60)
        shown = (await http.get(f"/v1/instances/{instances['o3']}/variables")).json()["variables"]
        assert shown["amount"] == 7 and shown["sent_by"] == "bank"
        took = []
        for order in orders[11:]:
            began = time.monotonic()
            await producer.send_and_wait(
                topic, json.dumps({"order": order, "status": "settled", "amount": 1}).encode(), headers=[("sender", b"x")]
            )
            await place.until(lambda order=order: done(order), 60)
            took.append(time.monotonic() - began)
        assert await done(orders[10]) is None
        assert min(took) < 1, f"{took}"


@pytest.mark.req("APG-TRG-007", "APG-TRG-002")
@pytest.mark.timeout(240)
async def test_each_file_that_is_put_into_a_folder_starts_one_though_the_process_that_reads_is_killed(place, database, tmp_path):
    (folder := tmp_path / "in").mkdir()
    text = (EXAMPLES / "invoices.trigger.yaml").read_text().replace("/srv/invoices/in", str(folder))
    process = REPORT.replace('"report"', '"invoice"')
    async with place.system(data=tmp_path / "data", postgres=database, partitions=2, roles=ROLES, trigger_folders=(str(tmp_path),)) as (
        system,
        http,
    ):
        await deploy(http, ("p.bpmn", process), ("i.trigger.yaml", text))
        await read_by(place, http, "invoices")
        for n in range(60):
            near = folder / f".{n}"
            near.write_text(json.dumps({"number": f"R-{n}", "total": 0 if n % 10 == 0 else n}))
            near.rename(folder / f"{n}.json")
            if n in (20, 40):
                await kill(place, system)
            await asyncio.sleep(0.05)
        expected = sorted(f"R-{n}" for n in range(60) if n % 10)

        async def all_there() -> bool:
            return len(await keys_of(http, "invoice")) >= len(expected)

        await place.until(all_there, 120)
        await asyncio.sleep(3)  # one that is doubled would come by now
        assert sorted(await keys_of(http, "invoice")) == expected
