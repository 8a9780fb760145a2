"""Requirements of those who watch: a task followed as it goes, the history of a variable, of an instance's state."""

from __future__ import annotations

import asyncio
import json
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


async def taken(x: Caller, type: str) -> dict[str, Any]:
    [found] = (await x.ok("POST", "jobs/activate", {"type": type, "worker": "w", "max": 1, "wait_ms": 20_000}))["jobs"]
    return found


@pytest.mark.req("D-API-030")
async def test_who_follows_a_task_hears_of_it_and_of_no_other(x):
    await deploy(x, Flow("p").start().user("ask").end())
    mine, other = await x.start("p", 2)
    keys = {}
    for instance in (mine, other):
        [task] = (await x.ok("GET", "tasks", instance=instance))["items"]
        keys[instance] = task["id"]
    seen: list[dict[str, Any]] = []
    there = asyncio.Event()

    async def listen() -> None:
        async with x.http.stream("GET", "/v1/events", params={"task": keys[mine]}) as r:
            async for line in r.aiter_lines():
                if line == "data: {}":
                    there.set()
                elif line.startswith("data: "):
                    seen.append(json.loads(line[6:]))

    following = asyncio.create_task(listen())
    try:
        await asyncio.wait_for(there.wait(), 30)
        for instance in (other, mine):
            await x.ok("POST", f"tasks/{keys[instance]}/claim", {})
            await x.ok("POST", f"tasks/{keys[instance]}/complete", {"variables": {"yes": True}})

        async def all_there() -> bool:
            return any(e["type"] == "task.completed" for e in seen)

        await x.place.until(all_there)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert [e["type"] for e in seen] == ["task.accepted", "task.completed"] and {e["instance"] for e in seen} == {mine}
    assert {e["actor"] for e in seen} == {"ann"}


@pytest.mark.req("APG-VAR-001")
async def test_each_value_that_a_variable_has_had_is_told_with_who_set_it_and_when(x):
    await deploy(x, Flow("p").start().service("a", job="a").service("b", job="b").end())
    [key] = await x.start("p", 1, variables={"sum": 1, "other": 0})
    job = await taken(x, "a")
    await x.ok("POST", f"jobs/{job['key']}/complete", {"variables": {"sum": 2}})
    said = await x.ok("PATCH", f"instances/{key}/variables", {"variables": {"sum": 3}, "reason": "a typing error"})
    await x.ok("GET", "instances", wait_for=said["position"])
    rows = (await x.ok("GET", f"instances/{key}/events", limit=200))["items"]
    values = [(e["type"], e["data"]["variables"]["sum"], e["actor"]) for e in rows if "sum" in (e["data"].get("variables") or {})]
    assert [(kind, value) for kind, value, _ in values] == [("workflow.started", 1), ("task.completed", 2), ("variable.set", 3)]
    assert [e["time"] for e in rows] == sorted(e["time"] for e in rows) and values[-1][2] == "ann"
    changed = next(e for e in rows if e["type"] == "variable.set")
    for moment, value in ((changed["id"], 3), (rows[rows.index(changed) - 1]["id"], 2)):
        state = await x.ok("GET", f"instances/{key}/state", at=moment)
        assert state["variables"]["sum"] == value and state["variables"]["other"] == 0, "at each moment what it was then"


@pytest.mark.req("WSM-MON-003", "WSM-MON-001")
async def test_each_step_moves_what_the_status_says_and_stands_in_the_history(x):
    await deploy(x, Flow("p").start().service("a", job="a").service("b", job="b").service("c", job="c").end())
    [key] = await x.start("p", 1)
    progress, completed = [], []
    for step in "abc":
        job = await taken(x, step)
        said = await x.ok("POST", f"jobs/{job['key']}/complete", {})
        status = await x.ok("GET", f"instances/{key}/status", wait_for=said["position"])
        progress.append(status["progress"])
        rows = (await x.ok("GET", f"instances/{key}/events", type="task.completed"))["items"]
        completed.append([e["data"]["element"] for e in rows])
    assert progress == sorted(progress) and len(set(progress)) == 3 and progress[-1] == 100
    assert completed == [["a"], ["a", "b"], ["a", "b", "c"]]
