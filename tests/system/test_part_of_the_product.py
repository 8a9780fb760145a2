"""What comes with the one server, without another system, an edition or a licence key: people's tasks, and figures of what was done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from asking import Caller

from flowledger.infra.settings import Settings
from flowledger.sdk import Flow
from tests.connections import connected

#: instances of before, of which as many are needed as anomalies ask for
CASES = 240


@pytest.fixture
async def x(place, database, tmp_path) -> AsyncIterator[Caller]:
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):
        yield Caller(http, place)


async def deploy(x: Caller, flow: Flow) -> None:
    told = await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": flow.xml().decode()}]})
    await x.ok("GET", "definitions", wait_for=told["position"])


@pytest.mark.req("D-DAT-018", "D-SCO-008", "APG-SCO-003")
async def test_it_runs_with_no_cache_server_and_no_queue_server(place, database, tmp_path):
    """No setting names one, and neither the doors nor the owners speak with anybody but the database and themselves, while jobs flow and a timer fires."""
    others = ("cache", "redis", "memcache", "celery", "bull", "rabbit", "amqp", "queue")
    assert [name for name in Settings.model_fields if any(word in name for word in others)] == []
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (system, http):
        x = Caller(http, place)
        await deploy(x, Flow("p").start().wait("soon", "PT0.1S").service("a", job="a").end())
        [key] = await x.start("p", 1)
        [job] = (await x.ok("POST", "jobs/activate", {"type": "a", "worker": "w", "max": 1, "wait_ms": 10_000}))["jobs"]
        said = await x.ok("POST", f"jobs/{job['key']}/complete", {"fence": job["fence"]})
        assert (await x.ok("GET", f"instances/{key}", wait_for=said["position"]))["status"] == "completed"
        own = int(system.url.rpartition(":")[2])
        postgres = urlsplit(database).port
        for pid in (os.getpid(), *(o.process.pid for o in system.owners)):
            assert connected(pid) <= {own, postgres}, connected(pid)


def test_nothing_asks_for_a_licence_or_an_edition():
    assert [name for name in Settings.model_fields if any(word in name for word in ("licen", "edition", "subscription_key"))] == []


@pytest.mark.req("APG-POS-004", "APG-POS-010", "APG-POS-029")
async def test_a_person_approves_hands_on_and_takes_back_without_code(x):
    """Approve, transfer, delegate and recall; assign, claim and escalate: moves of the product itself, in its lists and its history. What others need for it
    is noted in docs/tasks.md."""
    noted = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text().partition("## What others need for this")[2].partition("\n## ")[0]
    assert "*Temporal*" in noted and "*Apache Airflow*" in noted
    await deploy(x, Flow("ask").start().user("look", groups=["clerks"]).end())
    for name in ("ann", "bob", "cy", "eve"):
        leads = {"leads": ["eve"]} if name == "eve" else {}
        await x.ok("PUT", f"directory/users/{name}", {"groups": ["clerks"]})
        if leads:
            await x.ok("PUT", "directory/groups/clerks", leads)
    [key] = await x.start("ask", 1)
    [task] = (await x.ok("GET", "tasks", instance=key, candidate_group="clerks"))["items"]

    async def move(word: str, actor: str, **details: Any) -> dict[str, Any]:
        r = await x.http.post(f"/v1/tasks/{task['id']}/{word}", json={"details": details}, headers={"X-Actor": actor})
        assert r.status_code == 200, (word, r.text)
        row: dict[str, Any] = await x.ok("GET", f"tasks/{task['id']}", wait_for=r.json()["position"])
        return row

    course = [
        ("claim", "ann", {}), ("start", "ann", {}), ("delegate", "ann", {"assignee": "bob"}), ("recall", "ann", {}),
        ("transfer", "ann", {"assignee": "cy"}), ("escalate", "eve", {"assignee": "eve"}), ("assign", "eve", {"assignee": "bob"}),
    ]  # fmt: skip
    holders = [(await move(word, actor, **details))["assignee"] for word, actor, details in course]
    assert holders == ["ann", "ann", "bob", "ann", "cy", "eve", "bob"]
    assert [t["id"] for t in (await x.ok("GET", "tasks", assignee="bob", open="true"))["items"]] == [task["id"]]
    r = await x.http.post(f"/v1/tasks/{task['id']}/complete", json={"variables": {"approved": True}}, headers={"X-Actor": "bob"})
    assert (await x.ok("GET", f"instances/{key}", wait_for=r.json()["position"]))["status"] == "completed"
    told = [(e["type"], e["actor"]) for e in (await x.ok("GET", f"tasks/{task['id']}/events", limit=50))["items"]]
    moves = ["accepted", "started", "delegated", "recalled", "transferred", "escalated", "assigned", "completed"]
    assert [(k.removeprefix("task."), who) for k, who in told if k != "task.created"] == [
        *zip(moves, "ann ann ann ann ann eve eve bob".split(), strict=True)
    ]


@pytest.mark.timeout(240)
@pytest.mark.req("APG-POS-016", "APG-POS-021", "APG-POS-031")
async def test_figures_predictions_and_advice_come_of_the_same_history(x):
    """Heatmap, variants, outliers and kept promises; what becomes of an instance; who should have a task. No other process runs, nothing is exported."""
    flow = Flow("sale").start().service("pack", job="pack").exclusive("g").when("=amount > 90").user("look", groups=["clerks"]).end("e1")
    flow.at("g").otherwise().end("e2")
    await deploy(x, flow)
    promise = {"title": "Within a day", "kind": "sla", "process": "sale", "within": "P1D", "goal": 0.9}
    await x.ok("PUT", "kpis/in-a-day", promise)
    for n in range(CASES):
        await x.ok("POST", "instances", {"definition": "sale", "variables": {"amount": 10 + n % 7}})
    [odd] = await x.start("sale", 1, variables={"amount": -4000})
    await asyncio.sleep(1.5)  # what is over within a second is never met at work, and nothing is learned of it
    done = 0
    while done < CASES + 1:
        for job in (await x.ok("POST", "jobs/activate", {"type": "pack", "worker": "w", "max": 100, "wait_ms": 10_000}))["jobs"]:
            await x.ok("POST", f"jobs/{job['key']}/complete", {"fence": job["fence"]})
            done += 1

    async def counted() -> bool:
        rows = (await x.ok("GET", "measures", process="sale", measure="completed"))["items"]
        return bool(rows) and rows[0]["completed"] == CASES + 1

    await x.place.until(counted, 60)
    heat = {row["element"]: row for row in (await x.ok("GET", "reports/heatmap", process="sale"))["items"]}
    assert heat["pack"]["heat"]["waiting"] == 1.0
    [way] = (await x.ok("GET", "variants", process="sale"))["items"]
    assert way["count"] == CASES + 1 and "pack" in way["path"]
    [kept] = (await x.ok("GET", "reports/sla", process="sale"))["items"]
    assert (kept["name"], kept["kept"], kept["broken"], kept["met"]) == ("in-a-day", CASES + 1, 0, True)
    found = await x.ok("GET", "reports/anomalies", process="sale")
    assert [(i["instance"], i["variable"]) for i in found["items"]] == [(odd, "amount")]

    learnt = await x.ok("POST", "predictions", {"process": "sale"})
    assert learnt["card"]["cases"]["learned"] >= 60
    [open_] = await x.start("sale", 1, variables={"amount": 5})

    async def foretold() -> Any:
        status, told = await x.ask("GET", f"instances/{open_}/prediction")
        return told if status == 200 else None

    told = await x.place.until(foretold, 60)
    assert told["process"] == "sale" and told["state"] == "pack" and told["ends"]["at"]
    for name in ("ann", "bob"):
        await x.ok("PUT", f"directory/users/{name}", {"groups": ["clerks"]})
    made = await x.ok("POST", "tasks", {"name": "look", "assignment": {"strategy": "recommended", "groups": ["clerks"]}})
    row = await x.ok("GET", f"tasks/{made['task']}", wait_for=made["position"])
    assert row["assignee"] in ("ann", "bob") and "would be done in" in str(row)
