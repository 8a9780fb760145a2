"""An element that becomes slow is flagged within a minute, by a rule that looks at each element of the process; the others aren't."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any

import pytest
from test_outgoing_webhooks_by_api import hook_server

from flowledger.sdk import Flow

FLOW = Flow("line").start().service("cut", job="cut").service("glue", job="glue").end().xml().decode()
RULE = {"measure": "working_time", "process": "line", "group": ["element"], "above": "PT3S", "window": "PT5M"}
#: how long a piece takes after the drift (seconds), and how many there are before and after
SLOW_S, BEFORE, AFTER = 12.0, 10, 10


@pytest.mark.req("APG-AI-004")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(300)
async def test_a_slow_element_is_flagged_within_a_minute_of_its_drift(on, request, place, database, tmp_path):
    async with place.system(**hook_server(on, request, tmp_path, database)) as (_, http):

        async def worked(kind: str, wanted: int, lasts: float) -> float:
            """When the first of them was done."""
            jobs: list[Any] = []
            while len(jobs) < wanted:
                body = {"type": kind, "worker": "w", "max": wanted - len(jobs), "timeout_ms": 120_000, "wait_ms": 2_000}
                jobs += (await http.post("/v1/jobs/activate", json=body)).json()["jobs"]
            await asyncio.sleep(lasts)
            first = time.time()
            for job in jobs:
                assert (await http.post(f"/v1/jobs/{job['key']}/complete", json={})).status_code == 200
            return first

        deployed = await http.post("/v1/deployments", json={"resources": [{"name": "line.bpmn", "content": FLOW}]})
        assert deployed.status_code in (200, 201), deployed.text
        assert (await http.put("/v1/alerts/slow", json=RULE)).status_code == 200
        for _ in range(BEFORE + AFTER):
            assert (await http.post("/v1/instances", json={"definition": "line"})).status_code == 201
        for kind in ("cut", "glue"):
            await worked(kind, BEFORE, 0)

        async def counted() -> bool:
            page = (await http.get("/v1/measures", params={"process": "line", "measure": "completed"})).json()["items"]
            return bool(page) and page[0]["completed"] == BEFORE

        await place.until(counted, 60)
        assert (await http.get("/v1/alerts/slow")).json()["firing"] == 0, "nothing is flagged before"
        await worked("cut", AFTER, 0)
        drifted = await worked("glue", AFTER, SLOW_S)

        async def flagged() -> Any:
            items = (await http.get("/v1/alerts/slow/firings")).json()["items"]
            return items or None

        [firing] = await place.until(flagged, 90)
        assert firing["group"]["element"] == "glue" and firing["value"] > 3_000
        assert datetime.fromisoformat(firing["created_at"]).timestamp() - drifted < 60
