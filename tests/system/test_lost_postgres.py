"""PostgreSQL goes away while instances run: execution goes on, queries say so, and both are whole again when it comes back."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from flowledger.infra.postgres_server import PostgresUnavailable
from flowledger.infra.postgres_server import start as start_postgres
from flowledger.infra.postgres_server import stop as stop_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(120)]
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t"><process id="lost" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/>
 <serviceTask id="a"><extensionElements><zeebe:taskDefinition type="lost.work"/></extensionElements></serviceTask>
 <sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


@pytest.fixture
def own_postgres(tmp_path):
    folder = tmp_path / "postgres"
    try:
        url = start_postgres(folder, long_lived=True)
    except PostgresUnavailable as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))
    yield folder, url
    stop_postgres(folder)


@pytest.mark.req("APG-RES-008")
async def test_execution_goes_on_without_the_database(place, own_postgres, tmp_path):
    folder, url = own_postgres
    async with place.system(data=tmp_path / "data", postgres=url) as (_, http):
        assert (await http.post("/v1/deployments", files=[("f", ("a.bpmn", MODEL))])).status_code == 201
        assert (await http.get("/health/ready")).status_code == 200
        stop_postgres(folder)

        async def unready():
            r = await http.get("/health/ready")
            return r if r.json()["status"] == "degraded" else None

        r = await place.until(unready)
        assert r.status_code == 200 and r.json()["execution"] and not r.json()["queries"] and r.json()["reasons"], r.text
        made = []
        for n in range(20):
            r = await http.post("/v1/instances", json={"definition": "lost", "variables": {"n": n}})
            assert r.status_code == 201, r.text
            made.append(r.json()["id"])
        asked = {"type": "lost.work", "worker": "w", "max": 20, "timeout_ms": 60_000, "wait_ms": 5_000}
        jobs = (await http.post("/v1/jobs/activate", json=asked)).json()["jobs"]
        assert {j["instance"] for j in jobs} <= set(made) and jobs
        for job in jobs:
            assert (await http.post(f"/v1/jobs/{job['key']}/complete", json={"fence": job["fence"]})).status_code == 200
        r = await http.get(f"/v1/instances/{made[0]}")
        assert r.status_code == 503 and r.json()["code"] == "UNAVAILABLE", r.text
        # by another process: the package thinks that what it started in this one runs still
        again = f"from flowledger.infra.postgres_server import start; start({str(folder)!r}, long_lived=True)"
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", again], check=True, timeout=60)

        async def ready():
            return (await http.get("/health/ready")).json()["status"] == "ready"

        await place.until(ready, 40)
        ended = {j["instance"] for j in jobs}

        async def projected():
            found = [await http.get(f"/v1/instances/{id}") for id in made]
            return (
                all(f.status_code == 200 for f in found) and {f.json()["id"] for f in found if f.json()["status"] == "completed"} == ended
            )

        await place.until(projected, 30)
