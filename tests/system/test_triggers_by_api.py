"""Triggers over HTTP and by the command line, on both pairs of log and database: put, tried, run, paused, parked, replayed, deleted; a restart between."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from flowledger.infra.cli.main import __name__ as cli
from flowledger.sdk import Flow

EXAMPLE = Path(__file__).parents[2] / "examples/triggers/daily-report.trigger.yaml"
REPORT = Flow("report").start().service("t", job="w").end().xml().decode()
TICK = """format: flowledger/trigger@1
name: tick
source: {schedule: {every: PT1S, catch_up: all}}
start: {process: PROCESS, variables: {at: =scheduled, password: "x"}}
"""


async def flowledger(url: str, *arguments: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"import sys; from {cli} import run; run(sys.argv[1:])", *arguments, "--server", url, "--json",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out
    return json.loads(out)


@pytest.mark.req("WOS-TRG-002", "APG-TRG-002", "APG-TRG-003", "APG-DAT-008")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(240)
async def test_a_schedule_from_its_file_to_its_instances(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"tr-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    settings = dict(data=tmp_path, postgres=database, partitions=3, **more)
    async with place.system(**settings) as (system, http):

        async def ask(method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
            r = await http.request(method, f"/v1/triggers{path}", json=body, params=query)
            return r.status_code, r.json()

        async def rows(path: str) -> list[dict[str, Any]]:
            return (await ask("GET", path))[1].get("items") or []

        wrong = await ask("PUT", "/tick", {"content": TICK.replace("PT1S", "soon")})
        assert wrong[0] == 422 and wrong[1]["findings"][0]["code"] == "TRIGGER_SOURCE" and wrong[1]["findings"][0]["line"] == 3
        assert (await ask("PUT", "/other", {"content": TICK}))[0] == 422
        # by a file
        await flowledger(system.url, "deploy", str(EXAMPLE))
        tried = await flowledger(system.url, "triggers", "test", "daily-report", "--at", "2026-12-01T06:00:00Z")
        assert tried["outcome"] == "wanted" and tried["command"] == {
            "$": "StartInstance",
            "id": "report",
            "variables": {"day": "2026-12-01"},
            "business_key": "2026-12-01",
            "priority": 40,
        }
        assert len(tried["coming"]) == 5 and all(t[11:16] == "07:00" for t in tried["coming"])
        # what can't be started is parked
        status, put = await ask("PUT", "/tick", {"content": TICK.replace("PROCESS", "gone")})
        assert status == 200, put
        assert (await ask("GET", "/tick"))[1]["status"] == "active", "who has put it finds it"
        parked = await place.until(lambda: rows("/tick/dead-letters"))
        assert "gone" in parked[0]["message"] and parked[0]["context"]["scheduled"]
        assert (await http.post("/v1/deployments", json={"resources": [{"name": "r.bpmn", "content": REPORT}]})).status_code == 201
        status, put = await ask("PUT", "/tick", {"content": TICK.replace("PROCESS", "report")})
        assert status == 200 and put["definitions"][0]["version"] == 2
        runs = await place.until(lambda: rows("/tick/runs"))
        assert runs[0]["action"] == "start" and runs[0]["subject"] == "report" and runs[0]["nominal_at"]
        replayed = await flowledger(system.url, "triggers", "replay", "tick", parked[0]["id"])
        assert replayed["outcomes"][parked[0]["id"]]["outcome"] == "started"
        assert (await ask("POST", "/tick/dead-letters/discard", {"ids": [parked[0]["id"]]}))[0] == 404, "it is settled"
        assert (await ask("POST", "/tick/pause", {"reason": "enough"}))[0] == 200
        assert (await ask("POST", "/tick/pause"))[0] == 409

        async def paused() -> Any:
            row = (await ask("GET", "/tick"))[1]
            return row if row["status"] == "paused" else None

        row = await place.until(paused)
        assert row["reason"] == "enough" and row["ran"] > 0 and row["places"][""] > 0 and row["next_at"] is None
    async with place.system(**settings) as (system, http):
        again = await place.until(paused)
        assert again["places"] == row["places"] and again["ran"] == row["ran"]
        await flowledger(system.url, "triggers", "resume", "tick")

        async def caught_up() -> bool:
            return (await ask("GET", "/tick"))[1]["ran"] > again["ran"]

        await place.until(caught_up)
        assert (await ask("DELETE", "/tick"))[0] == 200

        async def gone() -> bool:
            return (await ask("GET", "/tick"))[0] == 404

        await place.until(gone)
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = (
                await http.get("/v1/instances", params={"definition": "report", "limit": 200, **({"cursor": cursor} if cursor else {})})
            ).json()
            found += page["items"]
            if not (cursor := page["cursor"]):
                break
        at = [(await http.get(f"/v1/instances/{i['id']}/variables")).json()["variables"]["at"] for i in found[:30]]
        assert len(set(at)) == len(at), "each time once"
        assert [t["name"] for t in await flowledger(system.url, "triggers", "list")] == ["daily-report"]
