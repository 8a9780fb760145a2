"""Lines of the catalogue on time limits, on what a list reads and is found by, on notations side by side, and on what an autoscaler follows."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from asking import Caller

from flowledger.sdk import Flow

WORKERS = Path(__file__).parents[2] / "infra" / "deploy" / "autoscaling" / "workers.keda.yaml"


@pytest.fixture
async def x(place, database, tmp_path) -> AsyncIterator[Caller]:
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):
        yield Caller(http, place)


async def deploy(x: Caller, **files: str) -> dict[str, Any]:
    named = [{"name": f"{n}.{'yaml' if 'steps:' in t else 'bpmn'}", "content": t} for n, t in files.items()]
    told = await x.ok("POST", "deployments", {"resources": named})
    await x.ok("GET", "definitions", wait_for=told["position"])
    return dict(told)


async def jobs(x: Caller, type: str, most: int = 1) -> list[dict[str, Any]]:
    asked = {"type": type, "worker": "w", "max": most, "wait_ms": 20_000, "timeout_ms": 60_000}
    found: list[dict[str, Any]] = (await x.ok("POST", "jobs/activate", asked))["jobs"]
    return found


async def done(x: Caller, job: dict[str, Any], **said: Any) -> str:
    return str((await x.ok("POST", f"jobs/{job['key']}/complete", {"fence": job["fence"], **said}))["position"])


@pytest.mark.req("WOS-CFG-003")
async def test_a_step_a_workflow_and_the_api_have_time_limits_of_their_own(x, place, tmp_path):
    await deploy(
        x,
        step="id: step\ntimeout: 1h\nsteps: [{id: a, type: nobody, timeout: 200ms}]",
        whole="id: whole\ntimeout: 200ms\nsteps: [{id: a, type: nobody, timeout: 1h}]",
        none="id: none\ntimeout: 1h\nsteps: [{id: a, type: nobody, timeout: 1h}]",
    )
    [step, whole] = [key for p in ("step", "whole") for key in await x.start(p, 1)]

    async def stopped() -> Any:
        return (await x.ok("GET", "incidents", instance=step))["items"]

    [incident] = await place.until(stopped)
    assert "STEP_TIMEOUT" in incident["message"] and (await x.ok("GET", f"instances/{step}"))["status"] == "running", "the step's alone"

    async def ended() -> Any:
        row = await x.ok("GET", f"instances/{whole}")
        return row if row["status"] == "failed" else None

    await place.until(ended)
    [told] = (await x.ok("GET", f"instances/{whole}/events", type="workflow.failed"))["items"]
    assert told["data"]["code"] == "TIMEOUT"
    status, late = await x.ask("POST", "instances", {"definition": "none", "wait_ms": 200})
    assert status == 504 and late["code"] == "DEADLINE_EXCEEDED", "the caller waits no longer, and it goes on"
    assert (await x.ok("GET", "instances", definition="none", status="running"))["items"]
    async with place.system(data=tmp_path / "door", partitions=1, roles=("api",), command_timeout_ms=200) as (_, http):
        status, late = await Caller(http, place).ask("POST", "instances", {"definition": "none"})
        assert status == 504 and late["code"] == "DEADLINE_EXCEEDED", "where no owner answers, the door says so by its own setting"


@pytest.mark.req("APG-DAT-003", "APG-MON-002")
async def test_ids_are_in_the_order_of_their_making_and_logs_are_found_by_instance_and_element(x):
    made = [await deploy(x, p=Flow("p").start().service("a", job="a").service("b", job=f"b{n}").end().xml().decode()) for n in range(12)]
    ids = [m["definitions"][0]["key"] for m in made]
    rows = {d["key"]: d["created_at"] for d in (await x.ok("GET", "definitions", process="p"))["items"]}
    assert len(ids) == 12 and sorted(rows, key=int) == ids == sorted(rows, key=rows.__getitem__)

    mine, other = await x.start("p", 2)
    for job in await jobs(x, "a", 2):
        await done(x, job, result={"logs": [f"weighed for {job['instance']}"]})
    for job in await jobs(x, "b11", 2):
        position = await done(x, job, result={"logs": [f"packed for {job['instance']}"]})
    await x.ok("GET", "tasks", wait_for=position)
    for instance in (mine, other):
        await x.place.until(lambda of=instance: _ended(x, of))
        for element, word in (("a", "weighed"), ("b", "packed")):
            told = (await x.ok("GET", f"instances/{instance}/events", element=element, limit=100))["items"]
            assert {e["instance"] for e in told} == {instance}
            assert {e["data"].get("element", element) for e in told} == {element}, told
            assert [e["data"]["result"]["logs"] for e in told if e["type"] == "task.completed"] == [[f"{word} for {instance}"]]
            [row] = (await x.ok("GET", "tasks", instance=instance, element=element))["items"]
            assert (row["instance"], row["process"], row["element"]) == (instance, "p", element)
            [attempt] = (await x.ok("GET", f"tasks/{row['id']}"))["results"]
            assert attempt["logs"] == [f"{word} for {instance}"] and attempt["worker"] == "w"


async def _ended(x: Caller, instance: str) -> bool:
    return bool((await x.ok("GET", f"instances/{instance}"))["status"] == "completed")


@pytest.mark.req("APG-POS-012")
async def test_a_graph_of_dependencies_and_a_drawn_process_run_side_by_side(x):
    dag = (x.place.examples / "nightly-report.yaml").read_text()
    drawn = (x.place.examples / "order.bpmn").read_text()
    assert dag.count("dependencies:") >= 3 and "exclusiveGateway" in drawn
    await deploy(x, dag=dag, drawn=drawn)
    [graph] = await x.start("nightly-report", 1)
    [order] = await x.start("order", 1, variables={"order_id": "1", "customer": "c", "amount": 10, "items": []})
    gives: dict[str, dict[str, Any]] = {
        "extract": {"rows": [1], "count": 1}, "weather": {}, "order.check": {"checked": True}, "transform": {}, "stock.reserve": {}, "archive": {},
        "payment.charge": {}, "publish": {}, "order.ship": {},
    }  # fmt: skip
    running = {graph, order}
    assert {i["id"] for i in (await x.ok("GET", "instances", status="running"))["items"]} == running
    for type, variables in gives.items():
        for job in await jobs(x, type, 5):
            await done(x, job, variables=variables)
    for key in running:
        await x.place.until(lambda of=key: _ended(x, of))
    notations = {d["process"]: d["notation"] for d in (await x.ok("GET", "definitions", kind="process"))["items"]}
    assert notations == {"nightly-report": "steps", "order": "bpmn"}


def replicas(said: str, manifest: dict[str, Any], type: str) -> int:
    """What the autoscaler sets: the sum of what the query names over the threshold, rounded up, within its bounds (HorizontalPodAutoscaler)."""
    spec = manifest["spec"]
    [trigger] = spec["triggers"]
    [name, label] = re.fullmatch(r'sum\((\w+)\{type="([^"]+)"\}\)', trigger["metadata"]["query"]).groups()  # type: ignore[union-attr]
    assert label == type
    lines = [line for line in said.splitlines() if line.startswith(f"{name}{{") and f'type="{type}"' in line]
    waiting = sum(float(line.rsplit(" ", 1)[1]) for line in lines)
    wanted = math.ceil(waiting / float(trigger["metadata"]["threshold"]))
    return int(min(max(wanted, spec["minReplicaCount"]), spec["maxReplicaCount"]))


@pytest.mark.req("APG-HA-011")
async def test_the_number_of_workers_follows_the_jobs_that_wait(x):
    """An autoscaler by its formula, with the manifest that ships and the figures of a server; each replica takes and does ten jobs."""
    manifest = yaml.safe_load(WORKERS.read_text())
    await deploy(x, p=Flow("p").start().service("a", job="order.check").end().xml().decode())

    async def wanted() -> int:
        return replicas((await x.http.get("/metrics")).text, manifest, "order.check")

    followed = [await wanted()]
    await x.start("p", 70)
    await x.place.until(lambda: _more(wanted))
    while True:
        pods = await wanted()
        followed.append(pods)
        taken = [job for _ in range(pods) for job in (await jobs_now(x))]
        if not taken:
            break
        for job in taken:
            await done(x, job)
        await x.place.until(lambda before=pods, took=len(taken): _less(wanted, before, took))
    assert followed[0] == 1 and followed[1] == 4 and followed[-1] == 1, followed
    assert followed[1:] == sorted(followed[1:], reverse=True), followed


async def jobs_now(x: Caller) -> list[dict[str, Any]]:
    asked = {"type": "order.check", "worker": "w", "max": 10, "wait_ms": 0, "timeout_ms": 60_000}
    found: list[dict[str, Any]] = (await x.ok("POST", "jobs/activate", asked))["jobs"]
    return found


async def _more(wanted: Any) -> bool:
    return bool(await wanted() == 4)


async def _less(wanted: Any, before: int, took: int) -> bool:
    return bool(await wanted() <= max(1, before - took // 20))
