"""Sources that are read, on whole systems: each example from its file, with the process of the connectors killed under load."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest

from flowledger.sdk import Flow

EXAMPLES = Path(__file__).parents[2] / "examples/triggers"
ROLES = ("api", "owner", "projector", "connectors")
ENDS = Flow("fulfilment").start().end().xml().decode()
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
        row = (await http.get("/v1/triggers/after-orders")).json()
        assert row["ran"] == len(ended) and row["node"] and row["reader"] >= 2 and row["lag"] is not None
