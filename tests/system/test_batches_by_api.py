"""Batches over HTTP: seen before they are done, confirmed, paced, paused, aborted; each item with its result; on both pairs of log and database."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from asking import Caller

from flowledger.events.commands import partition_of_key
from flowledger.projections.rebuild import verify
from flowledger.sdk import Flow
from flowledger.stores import make_log, source_of

MODEL = Flow("p").start().service("t", job="w").end().xml().decode()
OTHER = Flow("q").start().service("t", job="v").end().xml().decode()
#: keys of what isn't there: at one item a second these take long
GHOSTS = [str((n % 3 << 51) + 900_000 + n) for n in range(500)]
PERSON = Flow("h").start().user("u").end().xml().decode()


@pytest.mark.req("D-API-009", "D-API-019")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(300)
async def test_a_batch_is_seen_before_it_is_done_and_each_item_has_its_result(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"ba-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    async with place.system(data=tmp_path, postgres=database, partitions=3, **more) as (system, http):
        x = Caller(http, place)
        files = [{"name": f"{n}.bpmn", "content": text} for n, text in (("p", MODEL), ("q", OTHER), ("h", PERSON))]
        await x.ok("POST", "deployments", {"resources": files})
        keys, others = await x.start("p", 14), await x.start("q", 3)
        assert len({partition_of_key(int(k)) for k in keys}) > 1, "on several partitions"

        # a preview does nothing, and says how many
        wish = {"action": "suspend", "filter": {"definition": "p"}, "reason": "the target is down"}
        seen = await x.ok("POST", "batches", {**wish, "dry_run": True})
        assert (seen["count"], seen["confirm"], seen["of"], len(seen["examples"])) == (14, 14, "instances", 5), seen
        assert {e["process"] for e in seen["examples"]} == {"p"} and "id" not in {k for k, v in seen.items() if v is not None}
        assert (await x.ok("GET", "batches"))["items"] == []
        # a filter is done when its number is given back, and is what it was
        assert (await x.ask("POST", "batches", wish))[0] == 422
        status, told = await x.ask("POST", "batches", {**wish, "confirm": 13})
        assert status == 409 and told["code"] == "STALE" and told["count"] == 14, told
        assert (await x.ok("GET", "batches"))["items"] == []

        begun = await x.ok("POST", "batches", {**wish, "confirm": 14}, key="once")
        row = await x.ended(begun["id"])
        assert (row["status"], row["succeeded"], row["total"], row["created_by"], row["reason"]) == (
            "completed",
            14,
            14,
            "ann",
            wish["reason"],
        )
        assert row["filter"] == {"definition": "p", "status": "running"} and row["list"] == "instances"
        again = await x.ok("POST", "batches", {**wish, "confirm": 14}, key="once")
        assert again["id"] == begun["id"], "the same wish again is the same batch"
        assert len((await x.ok("GET", "batches"))["items"]) == 1
        items = await x.items(begun["id"], limit=4)
        assert [i["number"] for i in items] == list(range(14)) and {i["id"] for i in items} == {*keys}
        assert {i["status"] for i in items} == {"succeeded"} and all(i["done_at"] for i in items)
        suspended = await x.ok("GET", "instances", status="suspended")
        assert {r["id"] for r in suspended["items"]} <= {*keys}

        # by keys: what is gone, so already, a stranger's or nowhere is skipped, with the reason
        await x.ok("POST", f"instances/{others[0]}/cancel", {})
        ids = [keys[0], keys[0], others[0], others[1], str(77), keys[1]]
        begun = await x.ok("POST", "batches", {"action": "suspend", "ids": ids})
        row = await x.ended(begun["id"])
        assert (row["status"], row["total"], row["succeeded"], row["skipped"]) == ("completed", 5, 1, 4), row
        found = {i["id"]: (i["status"], i["code"]) for i in await x.items(begun["id"])}
        assert found == {
            keys[0]: ("skipped", "ALREADY_EXISTS"), keys[1]: ("skipped", "ALREADY_EXISTS"), others[0]: ("skipped", "NOT_FOUND"),
            others[1]: ("succeeded", ""), "77": ("skipped", "NOT_FOUND"),
        }  # fmt: skip
        assert len(await x.items(begun["id"], status="skipped")) == 4 and await x.items(begun["id"], status="failed") == []
        begun = await x.ok("POST", "batches", {"action": "cancel", "ids": keys}, tenant="b")
        assert (await x.ask("GET", f"batches/{begun['id']}"))[0] == 404, "of another tenant"
        for move in ("pause", "resume", "abort"):
            assert (await x.ask("POST", f"batches/{begun['id']}/{move}", {}))[0] == 404

        # paced, paused, resumed, aborted
        begun = await x.ok("POST", "batches", {"action": "resume", "ids": [*keys, *GHOSTS], "rate": 1})
        paused = await x.ok("POST", f"batches/{begun['id']}/pause", {"reason": "wait"})
        assert paused["status"] == "paused"
        assert (await x.ask("POST", f"batches/{begun['id']}/pause", {}))[0] == 409
        row = await x.ok("GET", f"batches/{begun['id']}", wait_for=paused["position"])
        assert row["status"] == "paused" and row["sent"] < row["total"] and row["note"] == "wait" and row["controlled_by"] == "ann"
        assert (await x.ok("POST", f"batches/{begun['id']}/resume"))["status"] == "running"
        await x.ok("POST", f"batches/{begun['id']}/abort", {"reason": "enough"})
        row = await x.ended(begun["id"])
        assert row["status"] == "aborted" and row["sent"] < row["total"] and row["note"] == "enough"
        undone = len(await x.items(begun["id"], status="aborted", limit=1000))
        assert undone == row["total"] - row["succeeded"] - row["skipped"] > 0 and not await x.items(begun["id"], status="pending")
        assert (await x.ask("POST", f"batches/{begun['id']}/abort"))[0] == 404

        # of the other lists
        people = await x.start("h", 3)
        seen = await x.ok(
            "POST", "batches", {"action": "assign", "params": {"assignee": "eve"}, "filter": {"definition": "h"}, "dry_run": True}
        )
        begun = await x.ok(
            "POST",
            "batches",
            {"action": "assign", "params": {"assignee": "eve"}, "filter": {"definition": "h"}, "confirm": seen["confirm"]},
        )
        assert (await x.ended(begun["id"]))["succeeded"] == len(people) == seen["count"]
        await place.until(lambda: _all_of_eve(x))
        zero = await x.ok("POST", "batches", {"action": "cancel", "filter": {"business_key": "none"}, "confirm": 0})
        assert (await x.ended(zero["id"]))["status"] == "completed" and zero["count"] == 0

        # retry what failed, of instances, with a migration that can't be
        for key in (await x.ok("POST", "jobs/activate", {"type": "v", "worker": "w", "max": 10}))["jobs"]:
            await x.ok("POST", f"jobs/{key['key']}/fail", {"retries": 0, "message": "no"})
        seen = await place.until(lambda: _some(x, {"action": "retry", "filter": {"definition": "q"}, "dry_run": True}))
        begun = await x.ok("POST", "batches", {"action": "retry", "filter": {"definition": "q"}, "confirm": seen["count"]})
        assert (await x.ended(begun["id"]))["status"] == "completed"
        begun = await x.ok("POST", "batches", {"action": "migrate", "params": {"definition": "h"}, "ids": others[1:]})
        row = await x.ended(begun["id"])
        assert row["status"] == "failed" and row["failed"] == 2
        assert all(i["code"] and i["message"] for i in await x.items(begun["id"]))
        listed = await x.ok("GET", "batches", status=["failed", "aborted"])
        assert [r["action"] for r in listed["items"]] == ["migrate", "resume"]
        assert (await x.ok("GET", "batches", action="migrate", limit=1))["cursor"] is None
        log = make_log(system.settings)
        await log.open()
        rows = await verify(database, source_of(log, follow=False), range(3), ["batches"])
        await log.close()
        assert all(r["equal"] for r in rows.values()) and rows["batch_items"]["live"].partition(":")[0] == "553", rows


async def _all_of_eve(x: Caller) -> bool:
    return {t["assignee"] for t in (await x.ok("GET", "tasks", definition="h"))["items"]} == {"eve"}


async def _some(x: Caller, body: dict[str, Any]) -> Any:
    seen = await x.ok("POST", "batches", body)
    return seen if seen["count"] else None


@pytest.mark.timeout(120)
async def test_what_makes_no_sense_is_refused_with_what_was_expected(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database) as (_, http):
        x = Caller(http, place)
        for body, status, words in (
            ({"action": "fly", "ids": []}, 400, "fly"),
            ({"action": "cancel"}, 422, "filter or ids"),
            ({"action": "cancel", "ids": ["1"], "filter": {}}, 422, "filter or ids"),
            ({"action": "cancel", "ids": ["one"]}, 400, "ids"),
            ({"action": "cancel", "filter": {"colour": "red"}, "dry_run": True}, 400, "colour"),
            ({"action": "cancel", "filter": {"version": "x"}, "dry_run": True}, 400, "version"),
            ({"action": "cancel", "filter": {}, "dry_run": False}, 422, "dry run"),
            ({"action": "cancel", "ids": ["1"], "rate": -1}, 400, "rate"),
            ({"action": "cancel", "ids": ["1"], "of": "tasks"}, 422, "instances"),
            ({"action": "assign", "ids": ["1"]}, 422, "assignee"),
            ({"action": "migrate", "ids": ["1"], "params": {"definition": "none"}}, 404, "none"),
            ({"action": "set_variables", "ids": ["1"], "params": {"variables": 7}}, 422, "an object"),
        ):
            found, told = await x.ask("POST", "batches", body)
            assert found == status and words in str(told), (body, found, told)
        assert (await x.ok("GET", "batches"))["items"] == []
        assert (await x.ask("GET", "batches/77"))[0] == 404
        assert (await x.ask("GET", "batches", status="fine"))[0] == 400
