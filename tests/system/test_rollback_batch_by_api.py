"""Many are rolled back over HTTP: doors prepare each item from its history; the batch outlives the door that began it, and the whole server."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from asking import Caller

from flowledger.projections.rebuild import verify
from flowledger.sdk import Flow
from flowledger.stores import make_log, source_of

MODEL = Flow("p").start().service("first", job="one").service("second", job="two").end().xml().decode()


async def gone_on(x: Caller, count: int) -> list[str]:
    """Instances at the second step."""
    keys = await x.start("p", count, business_key="back", variables={"rate": 1})
    done: list[str] = []
    while len(done) < count:
        for job in (await x.ok("POST", "jobs/activate", {"type": "one", "worker": "w", "max": 20, "wait_ms": 5_000}))["jobs"]:
            done.append((await x.ok("POST", f"jobs/{job['key']}/complete", {"variables": {"rate": 2}}))["position"])
    return keys


async def elements(x: Caller, keys: list[str]) -> set[str]:
    found = set()
    for key in keys:
        tasks = (await x.ok("GET", "tasks", instance=key, status="created"))["items"]
        found |= {t["element"] for t in tasks}
    return found


@pytest.mark.req("D-API-009", "D-API-019")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(300)
async def test_many_are_as_they_were_and_each_has_its_result(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"rb-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    settings = {"data": tmp_path, "postgres": database, "partitions": 3, **more}
    async with place.system(**settings) as (system, http):
        x = Caller(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
        keys = await gone_on(x, 14)
        wish = {"action": "roll_back", "params": {"steps": 1}, "filter": {"business_key": "back"}, "reason": "a wrong rate"}
        seen = await x.ok("POST", "batches", {**wish, "dry_run": True})
        assert (seen["count"], seen["filter"]["status"]) == (14, "running,suspended,quarantined"), seen
        begun = await x.ok("POST", "batches", {**wish, "confirm": 14}, key="once")
        row = await x.ended(begun["id"])
        assert (row["status"], row["succeeded"]) == ("completed", 14), (row, await x.items(begun["id"]))
        assert (await x.ok("POST", "batches", {**wish, "confirm": 14}, key="once"))["id"] == begun["id"]
        assert await elements(x, keys) == {"first"}
        for key in keys:
            row = await x.ok("GET", f"instances/{key}")
            assert row["variables"]["rate"] == 1, "variables as they were"
            told = (await x.ok("GET", f"instances/{key}/events", type="workflow.rolled_back"))["items"]
            assert [(e["data"]["reason"], e["actor"], e["cause"]) for e in told] == [("a wrong rate", "ann", f"batch:{begun['id']}")]
            assert any("was completed" in text for text in told[0]["data"]["outside"])

        # undone, all of them; what has ended, isn't there or can't go back says why
        await x.ok("POST", f"instances/{keys[0]}/cancel", {})
        begun = await x.ok("POST", "batches", {"action": "roll_back", "params": {"undo": True}, "ids": [*keys, "77"]})
        row = await x.ended(begun["id"])
        found = {i["id"]: (i["status"], i["code"]) for i in await x.items(begun["id"])}
        assert found == {**{k: ("succeeded", "") for k in keys[1:]}, keys[0]: ("skipped", "NOT_FOUND"), "77": ("skipped", "NOT_FOUND")}, (
            found
        )
        assert await elements(x, keys[1:]) == {"second"}
        begun = await x.ok("POST", "batches", {"action": "roll_back", "params": {"steps": 50}, "ids": keys[1:4]})
        assert (await x.ended(begun["id"]))["status"] == "failed"
        assert all(i["code"] == "INVALID_ARGUMENT" and "50 steps" in i["message"] for i in await x.items(begun["id"]))
        begun = await x.ok("POST", "batches", {"action": "roll_back", "params": {"to": "first"}, "ids": keys[1:4]}, tenant="b")
        assert {i["code"] for i in await _items_of(x, begun["id"], "b")} == {"NOT_FOUND"}, "another tenant's isn't there"
        for params, words in (({}, "one of steps"), ({"steps": 1, "to": "first"}, "one of steps"), ({"steps": "x"}, "a whole number")):
            status, told = await x.ask("POST", "batches", {"action": "roll_back", "params": params, "ids": keys[:1]})
            assert status == 422 and words in str(told), told

        # the door that began it dies at once: the next look of any door finds it
        system.services.preparing.soon = lambda batch: None
        begun = await x.ok("POST", "batches", {"action": "roll_back", "params": {"to": "first"}, "ids": keys[1:6]})
        assert (await x.ended(begun["id"]))["succeeded"] == 5, await x.items(begun["id"])
        assert await elements(x, keys[1:6]) == {"first"}
        # a paced one is paused, resumed, and outlives the server
        begun = await x.ok("POST", "batches", {"action": "roll_back", "params": {"to": "first"}, "ids": keys[6:], "rate": 2})
        await place.until(lambda: _sent(x, begun["id"]))
        assert (await x.ok("POST", f"batches/{begun['id']}/pause"))["status"] == "paused"
        await x.ok("POST", f"batches/{begun['id']}/resume")
    async with place.system(**settings) as (system, http):
        x = Caller(http, place)
        row = await x.ended(begun["id"])
        assert (row["status"], row["succeeded"]) == ("completed", 8), row
        await place.until(lambda: _all_at_first(x, keys[1:]))
        for key in keys[6:]:
            told = (await x.ok("GET", f"instances/{key}/events", type="workflow.rolled_back"))["items"]
            assert len(told) == 3, "each once by each batch"
        log = make_log(system.settings)
        await log.open()
        rows = await verify(database, source_of(log, follow=False), range(3))
        await log.close()
        assert {t: r for t, r in rows.items() if not r["equal"]} == {}


async def _items_of(x: Caller, batch: str, tenant: str) -> Any:
    async def look() -> Any:
        row = await x.ok("GET", f"batches/{batch}", tenant=tenant)
        return row["ended_at"]

    await x.place.until(look, 60)
    return (await x.ok("GET", f"batches/{batch}/items", tenant=tenant))["items"]


async def _sent(x: Caller, batch: str) -> bool:
    return (await x.ok("GET", f"batches/{batch}"))["sent"] >= 2


async def _all_at_first(x: Caller, keys: list[str]) -> bool:
    return await elements(x, keys) == {"first"}
