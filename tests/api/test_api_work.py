"""Directory, task definitions, limits and moves over HTTP, with a real engine behind."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from flowledger.api.app import create_app
from flowledger.api.services import Services
from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.settings import Settings
from flowledger.processors.engine import Engine

ANN = {"X-Actor": "ann"}


class Restarting:
    """A client whose engine can be put in another's place, as when partitions move."""

    def __init__(self) -> None:
        self.store = MemoryStore(2)
        self.engine = Engine(MemoryLog(self.store))

    def __getattr__(self, name):
        return getattr(self.engine, name)

    async def restart(self) -> None:
        await self.engine.stop()
        self.engine = Engine(MemoryLog(self.store))
        await self.engine.start()


@pytest.fixture
async def engine():
    made = Restarting()
    await made.engine.start()
    yield made
    await made.engine.stop()


@pytest.fixture
async def web(engine):
    app = create_app(Services(engine, None, Settings()))  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as client:
        yield client


async def test_the_directory_feeds_an_assignment(web):
    assert (await web.put("/v1/directory/users/ann", json={"groups": ["clerks"], "max_concurrent": 1})).status_code == 200
    assert (await web.put("/v1/directory/users/bob", json={"groups": ["clerks"]})).status_code == 200
    assert [i["name"] for i in (await web.get("/v1/directory/users")).json()["items"]] == ["ann", "bob"]
    page = (await web.get("/v1/directory/users?limit=1")).json()
    assert page["cursor"] == "ann" and [i["name"] for i in (await web.get("/v1/directory/users?cursor=ann")).json()["items"]] == ["bob"]
    await asyncio.sleep(0.1)  # the other partition hears of it
    body = {"name": "check", "assignment": {"strategy": "role", "groups": ["clerks"]}, "sla": "PT8H"}
    task = (await web.post("/v1/tasks", json=body)).json()["task"]
    for _ in range(50):  # her home is asked whether she may have one more
        r = await web.post(f"/v1/tasks/{task}/refuse", json={"reason": "no time"}, headers=ANN)
        if r.status_code != 409:
            break
        await asyncio.sleep(0.1)
    assert r.status_code == 200 and r.json()["assignee"] == "bob"
    assert (await web.delete("/v1/directory/users/ann")).status_code == 200
    assert (await web.get("/v1/directory/users/ann")).status_code == 404
    assert (await web.delete("/v1/directory/users/ann")).status_code == 404
    assert (await web.get("/v1/directory/cats")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("directory/users/ann", {"shoe": 1}, 422, "'shoe' is not known"),
        ("directory/calendars/c", {"days": {}}, 422, "at least one day"),
        ("task-definitions/x", {"input_schema": {"type": "texd"}}, 422, "input_schema.type"),
        ("limits?target=everything", {}, 422, "job:TYPE"),
        ("limits?target=job:x", {"rate": {"max": "many"}}, 422, "rate.max"),
        ("task-definitions/x", [], 400, ""),
    ],
)
async def test_a_wrong_entry_is_refused_and_says_why(web, path, body, status, why):
    r = await web.put(f"/v1/{path}", json=body)
    assert r.status_code == status and why in r.json()["detail"], r.text


@pytest.mark.req("TES-TSK-007")
async def test_task_definitions_have_versions(web):
    for retries in (3, 5):
        r = await web.put("/v1/task-definitions/charge", json={"retries": retries, "output_schema": {"required": ["id"]}})
    assert r.json()["version"] == 2
    assert (await web.get("/v1/task-definitions/charge")).json()["retries"] == 5
    assert (await web.get("/v1/task-definitions/charge@1")).json()["retries"] == 3
    await asyncio.sleep(0.1)
    task = (await web.post("/v1/tasks", json={"name": "x", "definition": "charge"})).json()["task"]
    r = await web.post(f"/v1/tasks/{task}/complete", json={"variables": {}})
    assert r.status_code == 422 and "OUTPUT_INVALID" in r.json()["detail"]
    assert (await web.post("/v1/tasks", json={"name": "x", "definition": "none"})).status_code == 404


async def test_tenants_see_their_own_directory_and_set_no_limits(web):
    acme = {"X-Tenant": "acme"}
    await web.put("/v1/directory/users/ann", json={"groups": ["a"]})
    await web.put("/v1/directory/users/eve", json={"groups": ["b"]}, headers=acme)
    assert [i["name"] for i in (await web.get("/v1/directory/users")).json()["items"]] == ["ann"]
    assert [i["name"] for i in (await web.get("/v1/directory/users", headers=acme)).json()["items"]] == ["ann", "eve"]
    assert (await web.put("/v1/limits?target=job:x", json={"concurrency": 1}, headers=acme)).status_code == 403


async def test_limits_and_breakers_can_be_seen(web, engine):
    assert (await web.put("/v1/limits?target=endpoint:https://a/b", json={"circuit_breaker": {"failures": 1}})).status_code == 200
    assert (await web.get("/v1/limits")).json()["items"][0]["name"] == "endpoint:https://a/b"
    await asyncio.sleep(0.1)
    await web.post("/v1/tasks", json={"name": "x", "job_type": "call", "headers": {"endpoint": "https://a/b"}})
    (job,) = await engine.activate("call", "w", 1, 60_000, wait_ms=500)
    assert isinstance(await engine.call(c.FailTask(task=job["key"])), dict)
    (breaker,) = (await web.get("/v1/breakers")).json()["items"]
    assert breaker["target"] == "endpoint:https://a/b" and breaker["state"] == "open"
    assert (await web.delete("/v1/limits?target=endpoint:https://a/b")).status_code == 200


async def test_moves_with_what_they_need(web):
    task = (await web.post("/v1/tasks", json={"name": "x"})).json()["task"]
    for move, body in [
        ("claim", {}), ("draft", {"draft": {"a": 1}}), ("attach", {"name": "a", "uri": "s3://a", "size": 3}), ("comment", {"text": "hm"}),
        ("progress", {"percent": 20}), ("delegate", {"assignee": "bob"}), ("recall", {}), ("transfer", {"candidate_groups": ["clerks"]}),
        ("update", {"follow_up": "2030-01-01T00:00:00Z"}), ("retry", {"retries": 3, "retry": {"strategy": "fibonacci", "initial_ms": 5}}),
        ("attach", {"remove": "a"}), ("skip", {"reason": "no need"}),
    ]:  # fmt: skip
        r = await web.post(f"/v1/tasks/{task}/{move}", json=body, headers=ANN)
        assert r.status_code == 200, (move, r.text)
    assert (await web.post(f"/v1/tasks/{task}/claim", headers=ANN)).status_code == 404


async def test_a_caller_that_waits_is_answered_although_the_owner_changed(web, engine):
    waiting = asyncio.create_task(web.post("/v1/tasks", json={"name": "x", "job_type": "slow", "wait_ms": 8_000}))
    (job,) = await engine.activate("slow", "w", 1, 60_000, wait_ms=2_000)
    await engine.restart()
    assert isinstance(await engine.call(c.CompleteTask(task=job["key"], variables={"n": 1})), dict)
    r = await waiting
    assert r.status_code == 201 and r.json()["status"] == "completed" and r.json()["variables"] == {"n": 1}
    assert r.json()["task"] == str(job["key"]), "one task, however often it was asked"
