"""A real `flowledger dev` whose wall clock steps (libfaketime): timers and leases keep their distance.

Debian: `apt-get install libfaketime`. CLOCK_STEPS: other steps, in seconds. A step of a real clock moves CLOCK_REALTIME alone, so the library is
told to leave the monotonic clocks as they are. (It breaks `time.sleep` in the server's threads: EINVAL. Nothing that is timed here sleeps so.)
"""

from __future__ import annotations

import asyncio
import glob
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")
pytestmark = [
    pytest.mark.postgres, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(400),
    pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed (Debian: apt-get install libfaketime)"),
]  # fmt: skip
STEPS = [int(s) for s in os.environ.get("CLOCK_STEPS", "-60,600,-86400,86400").split(",") if int(s)]
#: how often a step is tried before it counts as late. Other work on this machine only ever adds to a time, so the least of the tries counts
TRIES = 8
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t"><process id="clock" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f0" sourceRef="s" targetRef="fork"/>
 <parallelGateway id="fork"/><sequenceFlow id="f1" sourceRef="fork" targetRef="job"/><sequenceFlow id="f2" sourceRef="fork" targetRef="pause"/>
 <serviceTask id="job"><extensionElements><zeebe:taskDefinition type="leased"/></extensionElements></serviceTask>
 <intermediateCatchEvent id="pause"><timerEventDefinition><timeDuration>PT3S</timeDuration></timerEventDefinition></intermediateCatchEvent>
 <sequenceFlow id="f3" sourceRef="pause" targetRef="told"/>
 <serviceTask id="told"><extensionElements><zeebe:taskDefinition type="fired"/></extensionElements></serviceTask></process></definitions>"""


async def job(http: httpx2.AsyncClient, type: str, lease_ms: int, wait_ms: int) -> dict:
    """The next job of this type, and no later than the wait."""
    deadline = time.monotonic() + wait_ms / 1000
    while time.monotonic() < deadline:
        r = await http.post("/v1/jobs/activate", json={"type": type, "worker": "w", "max": 1, "timeout_ms": lease_ms, "wait_ms": 1000})
        if r.status_code == 200 and r.json()["jobs"]:
            return r.json()["jobs"][0]
    raise AssertionError(f"no job '{type}' within {wait_ms} ms")


async def timed(http: httpx2.AsyncClient, type: str, since: float) -> tuple[dict, float]:
    found = await job(http, type, 60_000, 20_000)
    return found, round(time.monotonic() - since, 2)


def right(tries: list[tuple[float, float]], calm: list[float]) -> bool:
    """Timer and lease each within a second of what this machine makes of it without any step (too early ends the test at once)."""
    return bool(tries) and all(min(found) <= usual + 1 for found, usual in zip(zip(*tries, strict=True), calm, strict=True))


def step(file: Path, seconds: float) -> None:
    """All of the process's clocks but the monotonic one, at once."""
    new = file.with_suffix(".new")
    new.write_text(f"{seconds:+.0f}s\n")
    new.replace(file)


async def test_timers_and_leases_are_right_within_a_second_of_any_step(tmp_path, database):
    fake = tmp_path / "faketime"
    step(fake, 0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ, "LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(fake), "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FLOWLEDGER_GRPC_PORT": "0", "FLOWLEDGER_PARTITIONS": "1",
    }  # fmt: skip
    with (tmp_path / "dev.log").open("wb") as out:
        dev = subprocess.Popen(
            [sys.executable, "-m", "flowledger", "dev", "--port", str(port), "--data", str(tmp_path / "data"), "--postgres", database],
            env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            deadline = time.monotonic() + 90
            while True:
                try:
                    if (await http.get("/health/ready")).status_code == 200:
                        break
                except httpx2.HTTPError:
                    pass
                assert dev.poll() is None and time.monotonic() < deadline, (tmp_path / "dev.log").read_text()[-2000:]
                await asyncio.sleep(0.1)
            deployed = await http.post("/v1/deployments", json={"resources": [{"name": "clock.bpmn", "content": MODEL}]})
            assert deployed.status_code == 201, deployed.text
            at = 0.0

            async def measured(seconds: int) -> tuple[float, float]:
                """Seconds until a timer and a lease of 3 s were over, when the clock steps while they wait."""
                nonlocal at
                began = time.monotonic()
                started = await http.post("/v1/instances", json={"definition": "clock"})
                assert started.status_code == 201, started.text
                leased = time.monotonic()
                first = await job(http, "leased", 3_000, 60_000)
                await asyncio.sleep(1)
                at += seconds
                step(fake, at)
                (again, lease), (fired, timer) = await asyncio.gather(timed(http, "leased", leased), timed(http, "fired", began))
                assert again["key"] == first["key"] and again["fence"] > first["fence"]
                for one in (again, fired):
                    done = await http.post(f"/v1/jobs/{one['key']}/complete", json={"fence": one["fence"]})
                    assert done.status_code == 200, done.text
                assert min(timer, lease) > 2.9, f"too early after a step of {seconds} s: {timer}, {lease}"
                return timer, lease

            calm = [min(times) for times in zip(*[await measured(0) for _ in range(2)], strict=True)]
            found: dict[int, list[tuple[float, float]]] = {}
            for seconds in STEPS:
                tries = found[seconds] = []
                while len(tries) < TRIES and not right(tries, calm):
                    tries.append(await measured(seconds))
            print(f"\nseconds until the timer and the lease of 3 s were over: {calm} without a step, by step: {found}")
            assert all(right(tries, calm) for tries in found.values()), (calm, found)
    finally:
        dev.terminate()
        dev.wait(20)
