"""The ten operations of seed 004 as functions of both clients, over a real server with its projections."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asking import Caller
from test_lines_by_api import deploy

from flowledger.sdk import Client, Flow, SyncClient

UNDONE = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="undo" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="book"/>
<serviceTask id="book"><extensionElements><zeebe:taskDefinition type="book"/></extensionElements></serviceTask>
<boundaryEvent id="b" attachedToRef="book"><compensateEventDefinition/></boundaryEvent>
<serviceTask id="unbook" isForCompensation="true"><extensionElements><zeebe:taskDefinition type="unbook"/></extensionElements></serviceTask>
<association id="a" sourceRef="b" targetRef="unbook"/><sequenceFlow id="f2" sourceRef="book" targetRef="pay"/>
<serviceTask id="pay"><extensionElements><zeebe:taskDefinition type="pay"/></extensionElements></serviceTask>
<sequenceFlow id="f3" sourceRef="pay" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Both:
    """One way to call both clients."""

    def __init__(self, client: Client | SyncClient) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.client, name)

        async def call(*args: Any, **more: Any) -> Any:
            found = await asyncio.to_thread(function, *args, **more) if isinstance(self.client, SyncClient) else function(*args, **more)
            return await found if inspect.isawaitable(found) else found

        return call


@pytest.fixture(params=["async", "sync"])
async def both(request, place, database, tmp_path) -> AsyncIterator[tuple[Both, Caller]]:
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):
        x = Caller(http, place)
        if request.param == "sync":
            with SyncClient(str(http.base_url), actor="ann") as client:
                yield Both(client), x
        else:
            async with Client(str(http.base_url), actor="ann") as client:
                yield Both(client), x


async def jobs(x: Caller, type: str, wait_ms: int = 10_000) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await x.ok("POST", "jobs/activate", {"type": type, "worker": "w", "max": 5, "wait_ms": wait_ms}))["jobs"]
    return found


async def done(x: Caller, type: str, **variables: Any) -> None:
    [job] = await jobs(x, type)
    await seen(x, await x.ok("POST", f"jobs/{job['key']}/complete", {"variables": variables}))


async def seen(x: Caller, answer: dict[str, Any]) -> None:
    await x.ok("GET", "instances", wait_for=answer["position"])


@pytest.mark.req("WSM-API-001", "WSM-API-002", "WSM-API-003", "WSM-API-007", "WSM-API-010")
async def test_a_workflow_is_made_and_watched_from_its_first_step_to_its_last(both):
    flows, x = both
    await deploy(x, Flow("p").start().service("a", job="a", retries=3).service("b", job="b").end())
    id = await flows.create_workflow("p", "task-123", priority=80, context={"sum": 1}, metadata={"project_id": "north"})
    assert await flows.workflow_status(id) | {"estimated_end": None} == {
        "state": "running", "progress": 0, "completed_steps": [], "pending_steps": ["a"], "estimated_end": None,
    }  # fmt: skip
    row = await x.ok("GET", f"instances/{id}")
    assert (row["business_key"], row["priority"], row["variables"], row["metadata"]) == (
        "task-123",
        "critical",
        {"sum": 1},
        {"project_id": "north"},
    )
    state = await flows.workflow_state(id)
    assert (state["state"], state["current"], state["context"]) == ("running", ["a"], {"sum": 1})

    [job] = await jobs(x, "a")
    await seen(x, await x.ok("POST", f"jobs/{job['key']}/fail", {"message": "not yet", "retries": 2, "backoff_ms": 0}))
    times = [state["last_updated"], (await flows.workflow_state(id))["last_updated"]]
    await done(x, "a", sum=2)
    half = await flows.workflow_status(id)
    assert (half["completed_steps"], half["pending_steps"], half["progress"]) == (["a"], ["b"], 50)
    later = await flows.workflow_state(id)
    assert (later["current"], later["context"]) == (["b"], {"sum": 2})
    times.append(later["last_updated"])
    await done(x, "b")
    over = await flows.workflow_status(id)
    assert (over["state"], over["progress"], over["completed_steps"], over["pending_steps"]) == ("completed", 100, ["a", "b"], [])
    times.append((await flows.workflow_state(id))["last_updated"])
    assert times == sorted(set(times)), "it moves on with each change"

    events = (await x.ok("GET", f"instances/{id}/events", limit=200))["items"]
    figures = await flows.workflow_metrics(id)
    assert figures.pop("total_duration_ms") > 0
    count = [sum(e["type"] == kind for e in events) for kind in ("task.completed", "task.failed")]
    assert (
        figures
        == {"steps_completed": count[0], "steps_failed": 0, "retry_count": count[1]}
        == {"steps_completed": 2, "steps_failed": 0, "retry_count": 1}
    )
    assert [h["state"] for h in await flows.workflow_history(id)] == ["running", "completed"]


@pytest.mark.req("WSM-API-003")
async def test_a_step_that_is_given_up_counts_as_failed_and_is_still_to_be_done(both):
    flows, x = both
    await deploy(x, Flow("p").start().service("a", job="a", retries=2).end())
    id = await flows.create_workflow("p")
    for left in (1, 0):
        [job] = await jobs(x, "a")
        await seen(x, await x.ok("POST", f"jobs/{job['key']}/fail", {"message": "no", "retries": left, "backoff_ms": 0}))
    figures = await flows.workflow_metrics(id)
    assert (figures["steps_completed"], figures["steps_failed"], figures["retry_count"]) == (0, 1, 1)
    assert (await flows.workflow_status(id))["pending_steps"] == ["a"]


@pytest.mark.req("WSM-API-004", "WSM-API-005", "WSM-API-006", "WSM-API-010", "WSM-API-009")
async def test_pause_resume_cancel_and_what_is_active(both):
    flows, x = both
    await deploy(x, Flow("p").start().service("a", job="a").service("b", job="b").end())
    ids = [await flows.create_workflow("p") for _ in range(3)]
    assert {row["id"] for row in await flows.list_active_workflows()} == set(ids)
    first, second, third = ids
    assert await flows.pause_workflow(first, "a look at the books") is True
    assert (await flows.workflow_status(first))["state"] == "paused"
    handed = await jobs(x, "a")
    assert {job["instance"] for job in handed} == {second, third}, "nothing of the paused one is handed out"
    assert await jobs(x, "a", 200) == []
    assert await flows.resume_workflow(first) is True
    [job] = await jobs(x, "a")
    assert job["instance"] == first
    assert await flows.cancel_workflow(second, "no longer wanted") is True
    assert {row["id"] for row in await flows.list_active_workflows("p")} == {first, third}
    history = await flows.workflow_history(second)
    assert [(h["state"], h["by"], h["reason"]) for h in history] == [("running", "ann", None), ("cancelled", "ann", "no longer wanted")]
    assert [(h["state"], h["reason"]) for h in await flows.workflow_history(first)] == [
        ("running", None), ("paused", "a look at the books"), ("running", None),
    ]  # fmt: skip


@pytest.mark.req("WSM-API-008")
async def test_rolled_back_by_a_step_it_is_as_before_and_what_was_done_is_undone(both):
    flows, x = both
    await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": UNDONE}]})
    id = await flows.create_workflow("undo", context={"seat": 0})
    await done(x, "book", seat=17)
    assert (await flows.workflow_state(id))["current"] == ["pay"]
    assert await flows.rollback_workflow(id, 1, reason="the wrong train") is True
    await done(x, "unbook")

    async def back() -> Any:
        state = await flows.workflow_state(id)
        return state if state["current"] == ["book"] else None

    state = await x.place.until(back)
    assert state["context"] == {"seat": 0}
    assert [(h["state"], h["reason"]) for h in await flows.workflow_history(id)] == [("running", None), ("running", "the wrong train")]
    await done(x, "book", seat=18)
    await done(x, "pay")
    over = await flows.workflow_state(id)
    assert (over["state"], over["context"]) == ("completed", {"seat": 18})


@pytest.mark.req("WSM-EXM-001", "WSM-EXM-002", "WSM-EXM-003", "WSM-EXM-004")
async def test_the_example_shows_what_it_says(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):
        running = await asyncio.create_subprocess_exec(
            sys.executable, str(place.examples / "workflow_manager.py"), str(http.base_url), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(running.communicate(), 120)
    told = out.decode()
    assert running.returncode == 0, told
    first, second, third, fourth = re.split(r"^\d\. .*$", told, flags=re.M)[1:]
    assert re.findall(r"running, (\d+) %", first) and first.strip().endswith("completed, 100 %, open: nothing")
    assert "5 of 5 are active" in second and second.count("completed, 100 %") == 5
    assert "retries: 1, steps done: 2, in" in third
    assert "meanwhile it was paused" in fourth
    assert re.findall(r"^  \S+Z (.+)$", fourth, re.M) == ["running", "paused: the office is closed", "running: and open again", "completed"]
