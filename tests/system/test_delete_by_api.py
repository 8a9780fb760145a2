"""Ended instances are deleted from the views over HTTP, one and many: they are found nowhere, also not after a rebuild; the ledger has their events."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from asking import Caller

from flowledger.events.commands import partition_of_key
from flowledger.projections.rebuild import rebuild, verify
from flowledger.sdk import Flow
from flowledger.stores import make_log, source_of

MODEL = Flow("p").start().service("t", job="w").end().xml().decode()
PARENT = Flow("parent").start().call("calls", "p").end().xml().decode()


async def finish(x: Caller, count: int) -> str:
    """So many jobs are done; the last position."""
    done, position = 0, ""
    while done < count:
        for job in (await x.ok("POST", "jobs/activate", {"type": "w", "worker": "w", "max": 20, "wait_ms": 5_000}))["jobs"]:
            position = (await x.ok("POST", f"jobs/{job['key']}/complete", {"variables": {"secret": "iban"}}))["position"]
            done += 1
    return position


@pytest.mark.req("D-API-019", "D-DAT-001")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(300)
async def test_what_is_deleted_is_found_nowhere_and_the_ledger_keeps_it(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"de-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    async with place.system(data=tmp_path, postgres=database, partitions=3, **more) as (system, http):
        x = Caller(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}, {"name": "c.bpmn", "content": PARENT}]})
        keys = await x.start("p", 9, variables={"n": 1}, business_key="del")
        [parent] = await x.start("parent", 1)
        first, path = keys[0], f"instances/{keys[0]}"
        status, told = await x.ask("DELETE", path)
        assert status == 409 and "has not ended" in str(told), told
        await finish(x, 10)
        await place.until(lambda: _all_ended(x, 11))
        [child] = (await x.ok("GET", "instances", parent=parent))["items"]

        for tenant, key in (("b", first), ("", "77"), ("", str(5 << 51 | 3))):
            assert (await x.ask("DELETE", f"instances/{key}", tenant=tenant))[0] == 404, key
        assert (await x.ok("DELETE", path, dry_run="true"))["plan"] and (await x.ask("GET", path))[0] == 200
        task = (await x.ok("GET", "tasks", instance=first))["items"][0]["id"]
        gone = await x.ok("DELETE", path, reason="asked by the customer", key="once")
        await x.ok("GET", "instances", wait_for=gone["position"])
        assert (await x.ok("DELETE", path, reason="asked by the customer", key="once"))["position"] == gone["position"], "the same wish"
        for each in ("", "/events", "/state", "/variables", "/context", "/status", "/tree"):
            assert (await x.ask("GET", path + each))[0] == 404, each
        assert (await x.ask("GET", f"tasks/{task}"))[0] == 404 and (await x.ask("DELETE", path))[0] == 404
        assert (await x.ok("GET", "tasks", instance=first))["items"] == []
        assert first not in {r["id"] for r in (await x.ok("GET", "instances", business_key="del"))["items"]}
        [told] = (await x.ok("GET", "operations", operation="remove_from_views", outcome="granted"))["items"]
        assert (told["actor"], told["subject"], told["reason"]) == ("ann", first, "asked by the customer")

        # many: those that have ended, by a filter and by keys
        running = await x.start("p", 2, business_key="del")
        seen = await x.ok("POST", "batches", {"action": "delete", "filter": {"business_key": "del"}, "dry_run": True})
        assert seen["count"] == 8 and seen["filter"]["status"] == "completed,failed,cancelled,terminated", seen
        begun = await x.ok("POST", "batches", {"action": "delete", "filter": {"business_key": "del"}, "confirm": 8, "reason": "old"})
        assert (await x.ended(begun["id"]))["succeeded"] == 8
        begun = await x.ok("POST", "batches", {"action": "delete", "ids": [*running, parent]})
        assert (await x.ended(begun["id"]))["status"] == "partial"
        assert {i["id"]: i["code"] for i in await x.items(begun["id"])} == {
            running[0]: "INVALID_STATE",
            running[1]: "INVALID_STATE",
            parent: "",
        }
        # what isn't there is told of each: deleted already, a stranger's, a key of something else, never given
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]}, tenant="b")
        theirs = (await x.ok("POST", "instances", {"definition": "p"}, tenant="b"))["id"]
        over = await x.ok("POST", f"instances/{theirs}/cancel", {"force": True}, tenant="b")
        assert (await x.ok("GET", f"instances/{theirs}", tenant="b", wait_for=over["position"]))["status"] == "terminated"
        [job] = (await x.ok("GET", "tasks", instance=running[0]))["items"]
        gone = [first, parent, theirs, job["id"], "77", str(3 << 51 | 5)]
        begun = await x.ok("POST", "batches", {"action": "delete", "ids": [*gone, running[0]]})
        ended = await x.ended(begun["id"])
        assert (ended["status"], ended["succeeded"], ended["skipped"], ended["failed"]) == ("failed", 0, 6, 1), ended
        told = {i["id"]: (i["status"], i["code"], i["message"]) for i in await x.items(begun["id"])}
        for key in gone:
            assert told[key] == ("skipped", "NOT_FOUND", f"expected an ended instance with key {key}, found none"), told[key]
        await place.until(lambda: _left(x, {*running, child["id"]}))
        assert (await x.ok("GET", f"instances/{child['id']}"))["parent"] == parent, "what it called is an instance of its own"

        log = make_log(system.settings)
        await log.open()
        source = source_of(log, follow=False)
        for _ in range(2):
            rows = await verify(database, source, range(3))
            assert {t: r for t, r in rows.items() if not r["equal"]} == {}
            await rebuild(database, source, range(3))
        types: list[str] = []
        async for records, _ in source(partition_of_key(int(first)), 0):
            from flowledger.events.wire import NAMES

            types += [NAMES[type(r.event)] for r in records if r.event.key == int(first)]
        await log.close()
        assert types[0] == "workflow.started" and types[-2:] == ["workflow.completed", "workflow.removed_from_views"], types
        assert {r["id"] for r in (await x.ok("GET", "instances"))["items"]} == {*running, child["id"]}


async def _all_ended(x: Caller, count: int) -> Any:
    return len((await x.ok("GET", "instances", status="completed"))["items"]) == count


async def _left(x: Caller, keys: set[str]) -> bool:
    return {r["id"] for r in (await x.ok("GET", "instances"))["items"]} == keys
