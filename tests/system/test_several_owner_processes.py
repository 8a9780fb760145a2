"""Owners of one node in several processes: each has its share, a killed one's partitions are served by the others, and nothing is lost."""

import asyncio
import os
import signal
import sys
import time
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_owner_process import deploy

pytestmark = pytest.mark.postgres
PARTITIONS = 4


def shares(system):
    """The partitions of each process, as its door has heard."""
    return [sorted(door.health.get("partitions", ())) if door.up.is_set() else [] for door in system.engine.doors]


async def even(system):
    found = shares(system)
    return sorted(p for each in found for p in each) == list(range(PARTITIONS)) and [len(each) for each in found] == [2, 2]


async def start(http, key):
    """Its instance; how often it had to be said, and for how long."""
    began, said = time.monotonic(), 0
    while True:
        said += 1
        r = await http.post("/v1/instances", json={"definition": "beside"}, headers={"Idempotency-Key": key})
        if r.status_code == 201:
            return r.json()["id"], said, time.monotonic() - began
        assert r.status_code in (429, 503, 504) and time.monotonic() - began < 60, r.text
        await asyncio.sleep(0.1)


async def jobs_of(http, count):
    """They are asked for as one worker asks, whatever process has them: none waits while there are some."""
    got = {}
    while len(got) < count:
        asked = {"type": "beside.work", "worker": "w", "max": 7, "timeout_ms": 600_000, "wait_ms": 20_000}
        began = time.monotonic()
        found = (await http.post("/v1/jobs/activate", json=asked)).json()["jobs"]
        assert found and time.monotonic() - began < 10, f"{len(got)} of {count}"
        assert not {j["key"] for j in found} & got.keys(), "a job is given once"
        got |= {j["key"]: j["instance"] for j in found}
    return got


@pytest.mark.req("D-RES-001")
@pytest.mark.parametrize("log", ["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_each_has_its_share_and_a_killed_one_loses_nothing(place, database, tmp_path, request, log):
    where = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"several-{uuid.uuid4().hex[:8]}"} if log == "kafka" else {}
    async with place.system(data=tmp_path, postgres=database, partitions=PARTITIONS, owner_processes=2, **where) as (system, http):
        await place.until(lambda: even(system), 40)
        await deploy(http)
        calm = await asyncio.gather(*(start(http, f"calm-{n}") for n in range(24)))
        assert {int(key) >> 51 for key, _, _ in calm} == set(range(PARTITIONS)), "all partitions have their part"
        got = await jobs_of(http, 24)
        storm = asyncio.gather(*(start(http, f"storm-{n}") for n in range(24)))
        await asyncio.sleep(0.05)
        victim = system.owners[0].process.pid
        os.kill(victim, signal.SIGKILL)
        more = await storm + await asyncio.gather(*(start(http, f"more-{n}") for n in range(24)))
        again = await asyncio.gather(*(start(http, f"{name}-{n}") for name in ("calm", "storm", "more") for n in range(24)))
        assert [key for key, _, _ in again] == [key for key, _, _ in [*calm, *more]], "the same id, the same instance"
        await place.until(lambda: even(system), 40)
        assert system.owners[0].process.pid != victim and [p.restarts for p in system.owners] == [1, 0]
        got |= await jobs_of(http, 48)
        assert sorted(got.values()) == sorted(key for key, _, _ in again), "each instance has its one job"
        done = await asyncio.gather(*(http.post(f"/v1/jobs/{key}/complete", json={}) for key in got))
        assert {r.status_code for r in done} == {200}
        assert (await http.get("/health/ready")).json()["status"] == "ready"
