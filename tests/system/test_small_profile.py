"""A server in the profile `small`: each of its limits at its edge (WSM-CFG-002, WSM-CFG-003)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from asking import Caller

from flowledger.infra.settings import SMALL, traced

QUARTER = timedelta(minutes=15)
MODEL = """id: p
states: {initial: OPEN, transitions: {OPEN: [DONE], DONE: {to: [], final: true}}}
steps: [{id: a, type: w}]
"""


#: of the sample that examples/ has
PIPELINE = {"analysis": {}, "codegen": {}, "validation": {"passed": True}, "pull-request": {}}


@pytest.mark.req("WSM-CFG-002", "WSM-CFG-003", "WSM-PER-001", "WSM-PER-002")
@pytest.mark.postgres
async def test_a_server_in_the_small_profile_keeps_to_it(place, database, tmp_path):
    given, where = traced(None, {"FLOWLEDGER_PROFILE": "small"})
    told = {name: getattr(given, name) for name, source in where.items() if source != "default"}
    assert set(told) == {"profile", *SMALL}
    async with place.system(data=tmp_path, postgres=database, **told, history_max=3) as (_, http):
        x = Caller(http, place)
        assert (await x.ok("POST", "deployments", {"resources": [{"name": "p.yaml", "content": MODEL}]}))["definitions"]
        keys = await x.start("p", 51)
        running = (await x.ok("GET", "instances", status="running", limit="100"))["items"]
        waits = (await x.ok("GET", "instances", status="pending", limit="100"))["items"]
        assert len(running) == 50 and [r["id"] for r in waits] == keys[50:], "the limit, and whoever came last waits"

        async def lease() -> dict:
            asked = {"type": "w", "worker": "w", "max": 1, "wait_ms": 20_000, "timeout_ms": 7_200_000}
            [job] = (await x.ok("POST", "jobs/activate", asked))["jobs"]
            return job

        before = datetime.now(UTC)
        job = await lease()
        assert job["retries"] == 3
        assert before + QUARTER <= datetime.fromisoformat(job["deadline"]) <= datetime.now(UTC) + QUARTER, "two hours were asked for"

        status, refused = await x.ask(
            "POST", f"jobs/{job['key']}/complete", {"fence": job["fence"], "variables": {"businessState": "LOST"}}
        )
        assert status == 409 and "expected OPEN or DONE" in refused["detail"], refused
        await x.ok("POST", f"jobs/{job['key']}/complete", {"fence": job["fence"]})

        async def started() -> bool:
            return (await x.ok("GET", f"instances/{keys[50]}"))["status"] == "running"

        await place.until(started)
        shown = await x.ok("GET", f"instances/{job['instance']}", include="events")
        assert len(shown["events"]["items"]) == 3 < shown["events"]["count"], "the list is cut, the log is whole"
        context = await x.ok("GET", f"instances/{job['instance']}/context", limit="100")
        assert len(context["runtime"]["execution_path"]) <= 3

        await x.ok(
            "POST", "deployments", {"resources": [{"name": "pipeline.yaml", "content": (place.examples / "pipeline.yaml").read_text()}]}
        )
        [key] = await x.start("code-pipeline", 1, variables={"task": "t"})
        # it waits for its turn behind the fifty
        for kind, count in (("w", 50), *((name, 1) for name in PIPELINE)):
            left = count
            while left:
                asked = {"type": kind, "worker": "w", "max": left, "wait_ms": 20_000, "timeout_ms": 60_000}
                for job in (await x.ok("POST", "jobs/activate", asked))["jobs"]:
                    result = {"fence": job["fence"], "variables": PIPELINE.get(kind, {})}
                    position, left = (await x.ok("POST", f"jobs/{job['key']}/complete", result))["position"], left - 1
        assert (await x.ok("GET", f"instances/{key}", wait_for=position))["status"] == "completed"
        tasks = (await x.ok("GET", "tasks", instance=key))["items"]
        spans = [datetime.fromisoformat(t["completed_at"]) - datetime.fromisoformat(t["created_at"]) for t in tasks]
        assert len(spans) == len(PIPELINE) and max(spans) < QUARTER / 2, "a typical task stays far below"
