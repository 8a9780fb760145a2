"""The main job on a real Kafka and a real PostgreSQL: examples deployed and driven by HTTP and the SDK; two nodes, and one of them killed."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import uuid
from contextlib import asynccontextmanager

import httpx2
import pytest

from flowledger.infra.audit import verify
from flowledger.infra.cli.demo import WORK, resources_of_examples
from flowledger.infra.cli.demo import BpmnError as DemoError
from flowledger.sdk import BpmnError, Job, Worker

ITEMS = [{"sku": "desk", "quantity": 2}]


@asynccontextmanager
async def working(url: str):
    """A worker for each of the examples' job types."""
    worker = Worker(url, name="w", lease_s=30)

    def handler(work):
        async def handle(job: Job) -> dict:
            try:
                return work(job.variables)
            except DemoError as e:
                raise BpmnError(e.code, str(e)) from None

        return handle

    for job_type, work in WORK.items():
        worker.job(job_type)(handler(work))
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await worker.stop(5)
        await asyncio.wait([task])


class Events:
    """A subscriber of server-sent events."""

    def __init__(self, http: httpx2.AsyncClient, **query: str) -> None:
        self.seen: list[dict] = []
        self.subscribed = asyncio.Event()
        self.task = asyncio.create_task(self._listen(http, query))

    async def _listen(self, http, query):
        async with http.stream("GET", "/v1/events", params=query) as r:
            async for line in r.aiter_lines():
                if line == "data: {}":
                    self.subscribed.set()
                elif line.startswith("data: "):
                    self.seen.append(json.loads(line[6:]))

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def begin(http, number: int, amount: float, **more):
    values = {"order_id": f"O-{number}", "customer": "Ann", "amount": amount, "items": ITEMS, **more}
    r = await http.post("/v1/instances", json={"definition": "order", "variables": values, "business_key": f"O-{number}"})
    assert r.status_code == 201, r.text
    return r.json()


@pytest.mark.req("D-SCO-001", "WOS-ENG-002", "D-MON-001")
@pytest.mark.alone
async def test_the_order_process_end_to_end(place, kafka_bootstrap, database, tmp_path):
    prefix = f"sys-{uuid.uuid4().hex[:8]}"
    async with place.system(data=tmp_path, kafka=kafka_bootstrap, prefix=prefix, postgres=database, partitions=2) as (system, http):
        deployed = (await http.post("/v1/deployments", json={"resources": resources_of_examples()})).json()["definitions"]
        assert {"order", "purchase-order-approval", "document-approval"} <= {d["definition_id"] for d in deployed}
        events = Events(http, definition="order")
        await events.subscribed.wait()
        async with working(system.url):
            small, large = await begin(http, 1, 120.5), await begin(http, 2, 4200)
            broken = await begin(http, 3, 50, items=[])
            read = await http.get(f"/v1/instances/{large['id']}", params={"wait_for": large["position"]})
            assert read.status_code == 200 and read.json()["business_key"] == "O-2", "who wrote reads it"

            async def waiting():
                return (await http.get("/v1/tasks", params={"open": "true", "type": "user_task", "instance": large["id"]})).json()["items"]

            [task] = await place.until(waiting)
            before = (await http.get(f"/v1/instances/{large['id']}")).json()
            assert before["status"] == "running"
            r = await http.post(f"/v1/tasks/{task['id']}/complete", json={"variables": {"approved": True}}, headers={"X-Actor": "bo"})
            assert r.status_code == 200, r.text
            approved_at = r.json()["position"]

            async def done():
                rows = [(await http.get(f"/v1/instances/{i['id']}")).json() for i in (small, large, broken)]
                return rows if all(row["status"] == "completed" for row in rows) else None

            rows = await place.until(done)
        assert [row["output"].get("tracking") for row in rows] == ["T-O-1", "T-O-2", None] and rows[2]["output"]["refused"] is True

        history = (await http.get(f"/v1/instances/{large['id']}/events", params={"limit": 500})).json()["items"]
        types = [e["type"] for e in history]
        assert types[0] == "workflow.started" and types[-1] == "workflow.completed"
        assert any(e["actor"] == "bo" for e in history), "who decided is on record"
        past = (await http.get(f"/v1/instances/{large['id']}/state", params={"at": large["position"]})).json()
        then = (await http.get(f"/v1/instances/{large['id']}/state", params={"at": approved_at})).json()
        assert past["status"] == then["status"] == "running" and "approved" not in json.dumps(past["variables"]) and past != then
        await place.until(lambda: _true(sum(e["type"] == "workflow.completed" for e in events.seen) == 3))
        seen = [e["id"] for e in events.seen if e["instance"] == large["id"]]
        # leases are logged in batches, for jobs of many instances
        unseen = {e["type"] for e in history if e["id"] not in seen}
        assert len(seen) == len(set(seen)) and unseen <= {"task.leased"}, "subscribers got each event of the process, once"
        await events.leave()

        reports = await verify(system.engine.log)
        assert [(r.broken, r.anchored, r.void) for r in reports] == [("", True, 0)] * 2 and sum(r.events for r in reports) > len(history)
        text = (await http.get("/metrics")).text
        figures = {k: float(v) for k, v in (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))}
        assert figures['flowledger_events_total{type="workflow.completed"}'] == 3
        assert figures['flowledger_commands_total{command="StartInstance",outcome="decided"}'] == 3
        for p in "01":
            assert figures[f'flowledger_takeovers_total{{partition="{p}"}}'] == 1 and f'flowledger_position{{partition="{p}"}}' in figures
            assert figures[f'flowledger_projection_lag_events{{partition="{p}",projection="all"}}'] == 0


async def _true(value: bool) -> bool:
    return value


@pytest.mark.req("WOS-ENG-005", "WOS-ENG-016")
async def test_two_nodes_share_the_work_and_one_takes_over(place, kafka_bootstrap, database, tmp_path):
    prefix = f"sys-{uuid.uuid4().hex[:8]}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"kafka": kafka_bootstrap, "prefix": prefix, "postgres": database, "data": tmp_path, "partitions": 4}
    async with place.system(**settings, node="one") as (one, http):
        told = {
            "FLOWLEDGER_PREFIX": prefix,
            "FLOWLEDGER_NODE": "two",
            "FLOWLEDGER_DATA": str(tmp_path / "two"),
            "FLOWLEDGER_PARTITIONS": "4",
        }
        arguments = ["-m", "flowledger", "serve", "--kafka", kafka_bootstrap, "--postgres", database, "--port", str(port)]
        with (tmp_path / "two.log").open("wb") as said:
            two = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=os.environ | told, stdout=said, stderr=said)
        try:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=90) as other:

                async def shared():
                    assert two.returncode is None, (tmp_path / "two.log").read_text()
                    try:
                        theirs = (await other.get("/health/ready")).json()
                    except httpx2.TransportError:
                        return None
                    mine = one.engine.health()["partitions"]
                    return len(mine) == 2 and len(theirs.get("partitions", {})) == 2 and theirs["status"] == "ready"

                await place.until(shared, 90)
                r = await other.post("/v1/deployments", json={"resources": resources_of_examples()})
                assert r.status_code == 201, r.text

                made = [await begin((http, other)[n % 2], n, 100 + n) for n in range(12)]
                partitions = {int(m["id"]) >> 51 for m in made}
                mine = set(one.engine.health()["partitions"])
                assert partitions & mine and partitions - mine, "both own some of them"
                for n, m in enumerate(made):  # each node answers for each instance
                    r = await (other, http)[n % 2].get(f"/v1/instances/{m['id']}", params={"wait_for": m["position"]})
                    assert r.status_code == 200 and r.json()["status"] == "running", r.text
                theirs = next(m for m in made if int(m["id"]) >> 51 not in mine)
                r = await http.post(f"/v1/instances/{theirs['id']}/suspend")
                assert r.status_code == 200 and (await other.post(f"/v1/instances/{theirs['id']}/resume")).status_code == 200, r.text
                # each door hands out the work of all partitions
                single = []
                for n in range(12):
                    r = await (http, other)[n % 2].post("/v1/tasks", json={"job_type": "both", "name": "x"})
                    assert r.status_code == 201, r.text
                    single.append(r.json()["task"])
                assert {int(key) >> 51 in mine for key in single} == {True, False}
                asked = {"type": "both", "worker": "w", "max": 6, "timeout_ms": 60_000, "wait_ms": 9_000}
                found = [(await door.post("/v1/jobs/activate", json=asked)).json()["jobs"] for door in (other, http)]
                assert [len(jobs) for jobs in found] == [6, 6] and sorted(j["key"] for jobs in found for j in jobs) == sorted(single)
                for n, job in enumerate(found[0] + found[1]):
                    r = await (http, other)[n % 2].post(f"/v1/jobs/{job['key']}/complete", json={"fence": job["fence"]})
                    assert r.status_code == 200, r.text
                two.kill()
                await two.wait()

                async def taken_over():
                    health = one.engine.health()
                    return len(health["partitions"]) == 4 and health["ready"]

                await place.until(taken_over, 30)
        finally:
            if two.returncode is None:
                two.kill()
                await two.wait()
        async with working(one.url):

            async def done():
                rows = [(await http.get(f"/v1/instances/{m['id']}")).json() for m in made]
                return rows if all(row["status"] == "completed" for row in rows) else None

            rows = await place.until(done, 30)
        assert [row["output"]["tracking"] for row in rows] == [f"T-O-{n}" for n in range(12)]
        reports = await verify(one.engine.log)
        assert [r.broken for r in reports] == [""] * 4 and max(r.epoch for r in reports) >= 2
