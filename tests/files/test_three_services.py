"""A whole system on Kafka, PostgreSQL and a bucket, and on nothing else: whom its processes speak with is read from the system's own table of connections."""

from __future__ import annotations

import os
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from flowledger.sdk import Flow
from tests.connections import connected
from tests.connectors.conftest import boto, moto  # noqa: F401 - fixtures
from tests.files.test_bucket import bucket, keys, secrets  # noqa: F401 - fixtures


@pytest.mark.kafka
@pytest.mark.timeout(240)
@pytest.mark.req("APG-HA-004")
async def test_kafka_postgresql_and_s3_are_all_that_is_needed(place, kafka_bootstrap, database, tmp_path, moto, bucket):  # noqa: F811
    given: dict[str, Any] = {
        "kafka": kafka_bootstrap, "prefix": f"three-{uuid.uuid4().hex[:8]}", "postgres": database, "partitions": 2, "blobs": f"s3:{bucket}",
        "blobs_access_key": "AKID", "secrets": (f"folder:{tmp_path / 'secrets'}",), "egress_private": ("127.0.0.1",),
    }  # fmt: skip
    others = connected(os.getpid())  # of tests before this one, in the same process
    async with place.system(data=tmp_path / "data", **given) as (system, http):
        model = Flow("read").start().user("look", assignee="ann").end().xml().decode()
        told = await http.post("/v1/deployments", json={"resources": [{"name": "read.bpmn", "content": model}]})
        assert told.status_code == 201, told.text
        started = (await http.post("/v1/instances", json={"definition": "read"})).json()
        shown = await http.get("/v1/tasks", params={"instance": started["id"], "wait_for": started["position"]})
        [task] = shown.json()["items"]
        put = await http.put(f"/v1/tasks/{task['id']}/files/letter.txt", content=b"Dear Ann")
        assert put.status_code == 201, put.text
        got = await http.get(f"/v1/tasks/{task['id']}/files/letter.txt", params={"wait_for": put.json()["position"]})
        assert got.content == b"Dear Ann" and any(put.json()["sha256"] in key for key in keys(moto, bucket)), "it is in the bucket"
        done = await http.post(f"/v1/tasks/{task['id']}/complete", json={})
        row = await http.get(f"/v1/instances/{started['id']}", params={"wait_for": done.json()["position"]})
        assert row.json()["status"] == "completed"

        kafka = {int(server.rpartition(":")[2]) for server in kafka_bootstrap.split(",")}
        known = kafka | {moto[1], urlsplit(database).port, int(system.url.rpartition(":")[2])}
        spoken = connected(os.getpid()) - (others - known)
        for owner in system.owners:
            spoken |= connected(owner.process.pid)
        assert kafka <= spoken <= known, (spoken, known)
