"""Owners in a process of their own, with real processes: killed, stuck, started twice, on a log that is damaged."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import httpx2
import pytest

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t"><process id="beside" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/>
 <serviceTask id="a"><extensionElements><zeebe:taskDefinition type="beside.work"/></extensionElements></serviceTask>
 <sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


async def deploy(http):
    r = await http.post("/v1/deployments", files=[("f", ("b.bpmn", MODEL))])
    assert r.status_code == 201, r.text


def alive(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@pytest.mark.req("D-RES-001")
@pytest.mark.postgres
async def test_the_process_of_the_owners_is_killed_and_nothing_is_lost(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (system, http):
        await deploy(http)
        first = system.owners[0].process.pid
        started, said = {}, []

        async def caller(n):
            key = f"k{n}"
            for _ in range(200):
                r = await http.post("/v1/instances", json={"definition": "beside"}, headers={"Idempotency-Key": key})
                if r.status_code == 201:
                    started[key] = r.json()["id"]
                    return
                assert r.status_code in (429, 503, 504), r.text
                said.append(r.json()["detail"])
                await asyncio.sleep(0.1)

        callers = asyncio.gather(*(caller(n) for n in range(40)))
        await asyncio.sleep(0.15)
        os.kill(first, signal.SIGKILL)

        async def told():
            r = await http.get("/health/ready")
            return r.status_code == 503 and r.json()["reasons"]

        reasons = await place.until(told)
        more = asyncio.gather(*(caller(n) for n in range(40, 80)))
        await callers
        await more
        assert len(set(started.values())) == 80 and system.owners[0].process.pid != first and system.owners[0].restarts == 1
        assert any("same id" in text for text in said) and any("owners" in r for r in reasons), (said[:3], reasons)
        got = set()
        while len(got) < 80:
            asked = {"type": "beside.work", "worker": "w", "max": 100, "timeout_ms": 600_000, "wait_ms": 2_000}
            jobs = (await http.post("/v1/jobs/activate", json=asked)).json()["jobs"]
            assert jobs, f"{len(got)} of 80"
            got |= {j["instance"] for j in jobs}
        assert got == set(started.values())

        async def ready():
            return (await http.get("/health/ready")).json()["status"] == "ready"

        await place.until(ready)


async def lags(http):
    """Sum and count of the looks at the loop of the doors, and at that of the owners."""
    found = {"main": {}, "owner-0": {}}
    for line in (await http.get("/metrics")).text.splitlines():
        for process, of in found.items():
            for what in ("sum", "count"):
                if line.startswith(f"flowledger_loop_lag_seconds_{what}{{") and f'process="{process}"' in line:
                    of[what] = float(line.rsplit(" ", 1)[1])
    return found["main"], found["owner-0"]


@pytest.mark.postgres
@pytest.mark.req("WOS-PER-002")
async def test_a_door_that_is_stuck_holds_up_no_owner(place, database, tmp_path):
    """A slow handler takes the whole loop of the doors: the owners' own loop goes on, and says so itself."""
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (system, http):
        await deploy(http)
        before = (await http.get("/health/ready")).json()["partitions"]
        _, quiet = await lags(http)
        time.sleep(2.5)  # in the loop of the doors
        await asyncio.sleep(0.2)
        main, owner = await lags(http)
        assert main["sum"] > 2, main
        assert owner["count"] - quiet["count"] >= 10, "the owners' loop went round meanwhile"
        after = (await http.get("/health/ready")).json()
        assert after["status"] == "ready" and {p: v["epoch"] for p, v in after["partitions"].items()} == {
            p: v["epoch"] for p, v in before.items()
        }


@pytest.mark.postgres
async def test_an_owner_that_is_stuck_is_said_and_the_doors_answer(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=1) as (system, http):
        await deploy(http)
        pid = system.owners[0].process.pid
        os.kill(pid, signal.SIGSTOP)
        try:

            async def told():
                r = await http.get("/health/ready")
                return r.status_code == 503 and any("said nothing for" in x for x in r.json()["reasons"])

            assert await place.until(told)
            assert (await http.get("/health/live")).status_code == 200
            assert (await http.get("/v1/definitions")).status_code == 200
        finally:
            os.kill(pid, signal.SIGCONT)

        async def ready():
            return (await http.get("/health/ready")).status_code == 200

        await place.until(ready)
        assert (await http.post("/v1/instances", json={"definition": "beside"})).status_code == 201


@pytest.mark.req("D-MON-005")
async def test_a_damaged_log_opens_health_and_says_what_is_wrong(place, tmp_path):
    (tmp_path / "log.sqlite3").write_bytes(b"this is no log" * 1000)
    async with place.system(data=tmp_path, roles=("owner",)) as (system, http):
        r = await http.get("/health/ready")
        assert r.status_code == 503 and r.json()["status"] == "not ready"
        assert any("log.sqlite3" in reason and "log can't be had" in reason for reason in r.json()["reasons"]), r.text
        assert (await http.get("/health/live")).status_code == 200
        assert "flowledger_loop_lag_seconds" in (await http.get("/metrics")).text
        assert (await http.get("/v1/instances")).status_code == 404


async def test_a_node_without_kafka_waits_and_says_so(place, tmp_path):
    async with place.system(data=tmp_path, kafka="127.0.0.1:9", roles=("owner",)) as (system, http):
        r = await http.get("/health/ready")
        assert r.status_code == 503 and any("127.0.0.1:9" in reason for reason in r.json()["reasons"]), r.text


def _dev(folder, port, *more):
    """What it says goes to `said-PORT` beside its data."""
    with open(folder.parent / f"said-{port}", "ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "flowledger", "dev", "--data", str(folder), "--port", str(port), *more],
            env={**os.environ, "FLOWLEDGER_GRPC_PORT": "0"}, stderr=out, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip


def _ready(url, said, seconds=120.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(httpx2.HTTPError):
            if (r := httpx2.get(f"{url}/health/ready", timeout=5)).status_code == 200 and r.json()["status"] == "ready":
                return
        time.sleep(0.1)
    raise AssertionError(f"it did not become ready: {said.read_text()[-3000:]}")


def _free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def open_folder():
    """Where the user of the embedded PostgreSQL gets in; pytest closes its own folder again and again."""
    with tempfile.TemporaryDirectory(prefix="flowledger-beside-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(400)
def test_kill_9_of_dev_leaves_nobody_behind_and_a_second_one_is_refused(open_folder):
    """The owners and the embedded PostgreSQL end with it; a second one touches nothing; a new one goes on with the data."""
    from flowledger.infra.postgres_server import running

    tmp_path = open_folder
    data, port = tmp_path / "data", _free_port()
    url = f"http://127.0.0.1:{port}"
    first = _dev(data, port)
    try:
        _ready(url, tmp_path / f"said-{port}")
        children = [int(p) for p in open(f"/proc/{first.pid}/task/{first.pid}/children").read().split()]
        owners = [p for p in children if b"flowledger.owners" in open(f"/proc/{p}/cmdline", "rb").read()]
        assert len(owners) == 1 and running(data / "postgres")
        r = httpx2.post(f"{url}/v1/deployments", files=[("f", ("b.bpmn", MODEL))])
        assert r.status_code == 201, r.text
        epochs = httpx2.get(f"{url}/health/ready").json()["partitions"]
        for other in (_free_port(), port):
            second = _dev(data, other)
            second.wait(60)
            text = (tmp_path / f"said-{other}").read_text()
            assert second.returncode != 0 and (str(first.pid) in text if other != port else str(port) in text), text
        now = httpx2.get(f"{url}/health/ready").json()["partitions"]
        assert {p: v["epoch"] for p, v in now.items()} == {p: v["epoch"] for p, v in epochs.items()}, "the second one took nothing over"
        pid = int((data / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGQUIT)  # it dies alone: it is started again
        time.sleep(1)
        _ready(url, tmp_path / f"said-{port}")
        first.send_signal(signal.SIGKILL)
        first.wait()
        end = time.monotonic() + 20
        while (any(map(alive, owners)) or running(data / "postgres")) and time.monotonic() < end:
            time.sleep(0.1)
        assert not any(map(alive, owners)) and not running(data / "postgres")
        first = _dev(data, port)
        _ready(url, tmp_path / f"said-{port}")
        made = httpx2.post(f"{url}/v1/instances", json={"definition": "beside"}, headers={"Idempotency-Key": uuid.uuid4().hex})
        assert made.status_code == 201, made.text
    finally:
        first.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            first.wait(30)
        first.kill()
    assert not running(data / "postgres")
