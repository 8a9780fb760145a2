"""`flowledger dev` ended by SIGKILL and by SIGTERM under load, and out of disk: what was acknowledged is there, once, and the chain verifies."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(150)]
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t"><process id="killed" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/>
 <serviceTask id="a"><extensionElements><zeebe:taskDefinition type="killed.work"/></extensionElements></serviceTask>
 <sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""
AGAIN = (408, 429, 500, 502, 503, 504)


class Dev:
    """One `flowledger dev` on the embedded log. What it prints goes to a file beside its data."""

    def __init__(self, folder: Path, postgres: str) -> None:
        self.folder, self.postgres = folder, postgres
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "dev.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flowledger", "dev", "--port", str(self.port), "--data", str(self.folder / "data"), "--postgres", self.postgres],
                env={**os.environ, "FLOWLEDGER_GRPC_PORT": "0", "FLOWLEDGER_PARTITIONS": "2"}, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    async def ready(self, http: httpx2.AsyncClient, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if (await http.get("/health/ready")).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            assert self.process is not None and self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            await asyncio.sleep(0.1)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def audit(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flowledger", "audit", "verify", "--data", str(self.folder / "data")]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=self.folder)

    def said(self) -> str:
        return (self.folder / "dev.log").read_text(errors="replace")[-3000:]


async def insist(http: httpx2.AsyncClient, path: str, key: str, **more: Any) -> httpx2.Response:
    """The same request with the same key until there is an answer."""
    while True:
        try:
            r = await http.post(path, headers={"Idempotency-Key": key}, **more)
            if r.status_code not in AGAIN:
                return r
        except httpx2.HTTPError:
            pass
        await asyncio.sleep(0.05)


async def load(http: httpx2.AsyncClient, lane: int, done: asyncio.Event, started: dict[str, str]) -> None:
    n = 0
    while not done.is_set():
        n += 1
        key = f"{lane}-{n}"
        r = await insist(http, "/v1/instances", key, json={"definition": "killed", "variables": {"n": n}})
        assert r.status_code == 201, r.text
        assert started.setdefault(key, r.json()["id"]) == r.json()["id"]


async def work(http: httpx2.AsyncClient) -> None:
    asked = {"type": "killed.work", "worker": "w", "max": 50, "timeout_ms": 2_000, "wait_ms": 300}
    while True:
        try:
            r = await http.post("/v1/jobs/activate", json=asked)
            for job in r.json()["jobs"] if r.status_code == 200 else ():
                done = await insist(http, f"/v1/jobs/{job['key']}/complete", f"d-{job['key']}-{job['fence']}", json={"fence": job["fence"]})
                assert done.status_code in (200, 404, 409), done.text
        except httpx2.HTTPError:
            await asyncio.sleep(0.05)


@pytest.fixture
async def dev(tmp_path, database):
    dev = Dev(tmp_path, database)
    dev.start()
    try:
        async with httpx2.AsyncClient(base_url=dev.url, timeout=60) as http:
            await dev.ready(http)
            r = await insist(http, "/v1/deployments", "deploy", files=[("f", ("a.bpmn", MODEL))])
            assert r.status_code == 201, r.text
            yield dev, http
    finally:
        dev.kill()


@pytest.mark.req("D-RES-001", "APG-HA-007")
async def test_ended_under_load_nothing_acknowledged_is_lost_or_doubled(dev, place):
    dev, http = dev
    started: dict[str, str] = {}
    done = asyncio.Event()
    lanes = [asyncio.create_task(load(http, n, done, started)) for n in range(4)]
    worker = asyncio.create_task(work(http))
    ends = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)
    for end in ends:
        before = len(started)
        while len(started) < before + 40:
            await asyncio.sleep(0.02)
        dev.process.send_signal(end)
        code = await asyncio.to_thread(dev.process.wait, 60)
        assert code == (0 if end == signal.SIGTERM else -end), dev.said()
        dev.start()
        await dev.ready(http)
    done.set()
    await asyncio.gather(*lanes)

    found: list[dict[str, Any]] = []

    async def all_ended() -> bool:
        """Once the rows have all that was acknowledged: they come after the log, and after a start it may be long before the first."""
        if worker.done():
            worker.result()  # what it met, rather than a wait for nothing
        found.clear()
        cursor: dict[str, str] = {}
        while True:
            r = await http.get("/v1/instances", params={"definition": "killed", "limit": 500, **cursor})
            if r.status_code != 200:
                return False
            found.extend(r.json()["items"])
            if r.json()["cursor"] is None:
                break
            cursor = {"cursor": r.json()["cursor"]}
        return {i["id"] for i in found} >= set(started.values()) and "running" not in {i["status"] for i in found}

    await place.until(all_ended, 120)
    assert not worker.done()
    worker.cancel()
    assert len(found) == len({i["id"] for i in found}) == len(started), "each start once: all were repeated until they had an answer"
    assert {i["status"] for i in found} == {"completed"}
    dev.process.send_signal(signal.SIGTERM)
    assert dev.process.wait(30) == 0
    audit = dev.audit()
    assert audit.returncode == 0, audit.stdout + audit.stderr
    print(f"\n{len(started)} instances over {len(ends)} ends; {audit.stdout.strip().splitlines()[-1]}")


async def test_a_full_disk_refuses_clearly_and_it_goes_on_when_there_is_space(dev):
    dev, http = dev
    children = Path(f"/proc/{dev.process.pid}/task/{dev.process.pid}/children").read_text().split()
    [owners] = [int(p) for p in children if b"flowledger.owners" in Path(f"/proc/{p}/cmdline").read_bytes()]  # they write the log
    limit = resource.prlimit(owners, resource.RLIMIT_FSIZE)
    one = {"json": {"definition": "killed", "variables": {"text": "x" * 20_000}}}
    assert (await http.post("/v1/instances", **one)).status_code == 201
    wal = dev.folder / "data" / "log.sqlite3-wal"
    resource.prlimit(owners, resource.RLIMIT_FSIZE, (wal.stat().st_size + 8_192, limit[1]))
    refused = []
    for n in range(12):
        r = await http.post("/v1/instances", headers={"Idempotency-Key": f"full-{n}"}, **one)
        if r.status_code != 201:
            refused.append(r)
            break
    assert refused, "the disk was full"
    body = refused[0].json()
    assert refused[0].status_code == 503 and body["code"] == "UNAVAILABLE" and refused[0].headers["Retry-After"], body
    assert "log.sqlite3" in body["detail"] and "same id" in body["detail"], body
    reasons: list[str] = []
    for _ in range(100):
        r = await http.get("/health/ready")
        if r.status_code == 503 and not r.json()["execution"]:
            reasons = r.json()["reasons"]
            break
        await asyncio.sleep(0.02)
    assert any("log.sqlite3" in text for text in reasons), reasons
    resource.prlimit(owners, resource.RLIMIT_FSIZE, limit)
    await dev.ready(http, 20)
    r = await insist(http, "/v1/instances", f"full-{n}", **one)
    again = await insist(http, "/v1/instances", f"full-{n}", **one)
    assert r.status_code == again.status_code == 201 and r.json()["id"] == again.json()["id"]
    audit = dev.audit()
    assert audit.returncode == 0, audit.stdout + audit.stderr
