"""What an attempt took: a worker tells it by itself, and it stands with the attempt, of one that succeeded and of one that failed."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from typing import Any

import pytest
from asking import Caller
from test_lines_by_api import deploy

from flowledger.sdk import Client, Flow, JobFailed, Worker

FIGURES = {"latency_ms", "cpu_percent", "memory_mb", "disk_kb", "network_kb", "api_calls", "error_rate", "throughput"}


@pytest.mark.req("D-MON-002", "TES-TSK-005")
@pytest.mark.parametrize("scheme", ["", "poll+"])
async def test_a_worker_tells_what_each_attempt_took(place, database, tmp_path, monkeypatch, scheme):
    monkeypatch.setenv("FLOWLEDGER_IMAGE", "shop/worker:7")
    monkeypatch.setenv("FLOWLEDGER_REGION", "north")
    async with place.system(data=tmp_path, postgres=database, partitions=1) as (_, http):
        x = Caller(http, place)
        await deploy(x, Flow("p").start().service("busy", job="busy", retries=2).service("quick", job="quick").end())
        worker = Worker(f"{scheme}{http.base_url}", name="w")
        tried = 0

        @worker.job("busy")
        async def busy() -> dict[str, Any]:
            nonlocal tried
            tried += 1
            async with Client(str(http.base_url)) as client:
                await client.request("GET", "/definitions")
                await client.request("GET", "/definitions")
            until = time.perf_counter() + 0.25
            while time.perf_counter() < until:
                hashlib.sha256(b"x" * 10_000)
            (tmp_path / "page").write_bytes(b"y" * 200_000)
            if tried == 1:
                raise JobFailed("not yet", retries=1, backoff_s=0.0)
            return {"done": True}

        @worker.job("quick")
        async def quick() -> dict[str, Any]:
            return {"seen": 1}

        [key] = await x.start("p", 1)
        running = asyncio.create_task(worker.run())

        async def over() -> Any:
            row = await x.ok("GET", f"instances/{key}")
            return row if row["status"] == "completed" else None

        row = await place.until(over, 60)
        await worker.stop()
        await running
        assert row["variables"] == {"done": True, "seen": 1}, "figures are no variables"
        tasks = {t["element"]: t["id"] for t in (await x.ok("GET", "tasks", instance=key))["items"] if t["element"] in ("busy", "quick")}
        told = await x.ok("GET", f"tasks/{tasks['busy']}/metrics")
        assert [r["status"] for r in told["results"]] == ["failure", "success"]
        for each in told["results"]:
            figures = each["metrics"]
            assert figures["environment"] == {"node": socket.gethostname(), "image": "shop/worker:7", "region": "north"}
            assert set(figures) == FIGURES | {"environment"}, "all eight, on Linux"
            assert figures["latency_ms"] >= 250 and figures["api_calls"] == 2 and figures["cpu_percent"] > 10
            assert 10 < figures["memory_mb"] < 10_000 and figures["network_kb"] > 0 and 0 < figures["throughput"] < 4
        assert [r["metrics"]["error_rate"] for r in told["results"]] == [1, 0.5]
        assert {m["metric_name"] for m in told["metrics"]} == FIGURES, "and as rows, to be charted"
        assert len(told["metrics"]) == 2 * len(FIGURES) and all(m["labels"]["worker"] == "w" for m in told["metrics"])
        incidents = (await x.ok("GET", f"tasks/{tasks['busy']}"))["results"][0]
        assert incidents["errors"]["message"] == "not yet" and "details" not in incidents["errors"]
        short = await x.ok("GET", f"tasks/{tasks['quick']}/metrics")
        assert short["results"][0]["metrics"] is None, "too short to say anything"


@pytest.mark.parametrize(("from_s", "told"), [(0.0, True), (None, False)])
async def test_all_attempts_or_none_when_a_worker_asks_for_it(place, database, tmp_path, from_s, told):
    async with place.system(data=tmp_path, postgres=database, partitions=1) as (_, http):
        x = Caller(http, place)
        await deploy(x, Flow("p").start().service("quick", job="quick").end())
        worker = Worker(str(http.base_url), name="w", measure_from_s=from_s)

        @worker.job("quick")
        async def quick() -> dict[str, Any]:
            return {"seen": 1}

        [key] = await x.start("p", 1)
        running = asyncio.create_task(worker.run())

        async def over() -> Any:
            return (await x.ok("GET", f"instances/{key}"))["status"] == "completed"

        await place.until(over, 60)
        await worker.stop()
        await running
        [task] = [t["id"] for t in (await x.ok("GET", "tasks", instance=key))["items"] if t["element"] == "quick"]
        [attempt] = (await x.ok("GET", f"tasks/{task}/metrics"))["results"]
        assert (attempt["metrics"] is not None) == told
