"""Lines of the catalogue about what a start says, how many run at once, and what a task is called, over HTTP as a client sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from asking import Caller

from flowledger.sdk import Flow


@pytest.fixture
async def x(place, database, tmp_path) -> AsyncIterator[Caller]:
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):
        yield Caller(http, place)


async def deploy(x: Caller, flow: Flow) -> None:
    await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": flow.xml().decode()}]})


@pytest.mark.req("D-API-032")
async def test_all_that_a_start_says_is_kept_and_found(x):
    await deploy(x, Flow("p").start().user("u", assignee="ann").end())
    about = {
        "name": "Order of May",
        "description": "by phone",
        "project_id": "apollo",
        "correlation_id": "c-9",
        "environment": "test",
        "own": {"n": 1},
    }
    said = {
        "definition": "p",
        "priority": "high",
        "variables": {"total": 12},
        "business_key": "B-7",
        "metadata": {**about, "options": {"dry": True}},
    }
    [key] = await x.start("p", 1, **{k: v for k, v in said.items() if k != "definition"})
    await x.start("p", 1, business_key="other")
    row = await x.ok("GET", f"instances/{key}")
    assert (row["name"], row["description"], row["business_key"], row["priority"], row["priority_value"]) == (
        "Order of May", "by phone", "B-7", "high", 60,
    )  # fmt: skip
    assert row["input"] == {"total": 12} and row["metadata"]["own"] == {"n": 1} and row["metadata"]["options"] == {"dry": True}
    for asked in (
        {"business_key": "B-7"}, {"project_id": "apollo"}, {"environment": "test"}, {"priority": "high"}, {"var.total": "12"}, {"text": "B-7"},
    ):  # fmt: skip
        assert [r["id"] for r in (await x.ok("GET", "instances", **asked))["items"]] == [key], asked


@pytest.mark.req("WSM-PER-001")
async def test_more_than_fifty_at_the_same_time(x):
    await deploy(x, Flow("p").start().service("w", job="w").end())
    keys = await x.start("p", 60)
    running = (await x.ok("GET", "instances", status="running", limit="100"))["items"]
    assert {r["id"] for r in running} == set(keys)
    done: list[str] = []
    position = ""
    while len(done) < 60:
        for job in (await x.ok("POST", "jobs/activate", {"type": "w", "worker": "w", "max": 60, "wait_ms": 10_000}))["jobs"]:
            position = (await x.ok("POST", f"jobs/{job['key']}/complete", {}))["position"]
            done.append(job["instance"])
    assert sorted(done) == sorted(keys), "each once"

    async def over() -> Any:
        return len((await x.ok("GET", "instances", status="completed", limit="100", wait_for=position))["items"]) == 60

    await x.place.until(over, 60)


@pytest.mark.req("TES-STA-002", "TES-STA-003", "APG-TSK-001")
async def test_tasks_have_a_category_beside_their_type_and_a_priority_of_the_one_scale(x):
    kinds = {"user_task": "manual", "human_task": "manual", "manual_task": "manual", "service_task": "automated", "script_task": "automated",
             "business_rule_task": "automated", "send_task": "integration", "receive_task": "integration"}  # fmt: skip
    for kind, category in kinds.items():
        made = await x.ok("POST", "tasks", {"name": kind, "type": kind})
        task = await x.ok("GET", f"tasks/{made['task']}", wait_for=made["position"])
        assert (task["type"], task["category"]) == (kind, category)
        found = (await x.ok("GET", "tasks", category=category, type=kind))["items"]
        assert [t["id"] for t in found] == [task["id"]]
    for word, (value, shown) in {
        "low": (20, "low"),
        "medium": (40, "normal"),
        "normal": (40, "normal"),
        "high": (60, "high"),
        "critical": (80, "critical"),
        "urgent": (100, "urgent"),
    }.items():
        made = await x.ok("POST", "tasks", {"name": word, "priority": word})
        task = await x.ok("GET", f"tasks/{made['task']}", wait_for=made["position"])
        assert (task["priority_value"], task["priority"]) == (value, shown)
