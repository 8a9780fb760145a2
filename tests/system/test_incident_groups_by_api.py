"""Incidents by their cause, over versions; a group is resolved as a batch; the way from a child's incident up to its root."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.sdk import Flow


def model(version: int) -> str:
    flow = Flow("grouped", name=f"Version {version}").start().service("work", job="g.work", retries=1)
    return flow.service("ship", job="g.ship").end().xml().decode()


CALLER = Flow("caller").start().call("calls", "grouped").end().xml().decode()


@pytest.mark.req("D-API-018")
@pytest.mark.timeout(240)
async def test_incidents_are_grouped_and_a_group_is_resolved_with_variables(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):

        async def ask(method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
            r = await http.request(method, f"/v1/{path}", json=body, params=query, headers={"X-Actor": "ann"})
            return r.status_code, r.json()

        async def ok(method: str, path: str, body: Any = None, **query: Any) -> Any:
            status, told = await ask(method, path, body, **query)
            assert status in (200, 201), told
            return told

        for version in (1, 2):
            files = [{"name": "g.bpmn", "content": model(version)}, {"name": "c.bpmn", "content": CALLER}]
            await ok("POST", "deployments", {"resources": files})
            for _ in range(3):
                await ok("POST", "instances", {"definition": "grouped", "variables": {"n": version}})
        root = (await ok("POST", "instances", {"definition": "caller"}))["id"]
        failed = 0

        async def fail_all() -> bool:
            nonlocal failed
            for job in (await ok("POST", "jobs/activate", {"type": "g.work", "worker": "w", "max": 32}))["jobs"]:
                text = f"order {17 + failed} of customer 'c-{failed}' is unknown" if failed % 7 != 6 else "the target is down"
                await ok("POST", f"jobs/{job['key']}/fail", {"message": text, "code": "E", "retries": 0})
                failed += 1
            return failed == 7

        await place.until(fail_all)

        async def both() -> Any:
            found = (await ok("GET", "incidents/groups"))["items"]
            return found if sum(g["count"] for g in found) == 7 else None

        groups = await place.until(both)
        by_cause = {g["cause"]: g for g in groups}
        assert len(groups) == 2 and any("order # of customer '…' is unknown" in c for c in by_cause), by_cause
        [many] = [g for g in groups if g["count"] == 6]
        [one] = [g for g in groups if g["count"] == 1]
        assert (many["process"], many["element"], many["code"], many["open"], many["instances"]) == (
            "grouped",
            "work",
            "JOB_NO_RETRIES",
            6,
            6,
        )
        assert len(many["definitions"]) == 2 and many["first_at"] <= many["last_at"] and len(many["examples"]) == 3
        assert all("customer 'c-" in e["message"] and e["instance"] for e in many["examples"])
        page = await ok("GET", "incidents/groups", limit=1)
        rest = await ok("GET", "incidents/groups", limit=1, cursor=page["cursor"])
        assert [g["id"] for g in page["items"] + rest["items"]] == [g["id"] for g in groups] and rest["cursor"] is None
        assert [g["id"] for g in (await ok("GET", "incidents/groups", group=one["id"]))["items"]] == [one["id"]]
        members = (await ok("GET", "incidents", group=many["id"], status="open"))["items"]
        assert len(members) == 6
        assert (await ask("GET", "incidents/groups", status="fine"))[0] == 400

        # the way up from the incident of the called instance
        chains = [await ok("GET", f"incidents/{i['id']}/chain") for i in (await ok("GET", "incidents"))["items"]]
        [called] = [x for x in chains if len(x["items"]) == 2]
        assert [x["id"] for x in called["items"]][0] == root and [x["element"] for x in called["items"]] == ["calls", "work"]
        assert called["items"][1]["id"] == called["incident"]["instance"] and called["items"][1]["process"] == "grouped"
        assert (await ask("GET", "incidents/77/chain"))[0] == 404

        # a group is resolved: seen, confirmed, a batch over those that are open
        await ok("POST", f"incidents/{members[0]['id']}/resolve")

        async def five() -> Any:
            seen = await ok("POST", f"incidents/groups/{many['id']}/resolve", {"dry_run": True})
            return seen if seen["count"] == 5 else None

        seen = await place.until(five)
        assert seen["of"] == "incidents" and seen["filter"] == {"group": many["id"], "status": "open"}
        status, told = await ask("POST", f"incidents/groups/{many['id']}/resolve", {"confirm": 6})
        assert status == 409 and told["code"] == "STALE"
        wish = {"confirm": 5, "variables": {"mended": True}, "retries": 4, "reason": "the customers are known now"}
        begun = await ok("POST", f"incidents/groups/{many['id']}/resolve", wish)

        async def done() -> Any:
            row = await ok("GET", f"batches/{begun['id']}")
            return row if row["ended_at"] else None

        row = await place.until(done)
        assert (row["status"], row["succeeded"], row["action"], row["reason"]) == ("completed", 5, "resolve", wish["reason"])

        async def only_the_other() -> Any:
            found = (await ok("GET", "incidents/groups"))["items"]
            return [g["id"] for g in found] == [one["id"]]

        await place.until(only_the_other)
        every = {g["id"]: g for g in (await ok("GET", "incidents/groups", status="any"))["items"]}
        assert every[many["id"]]["count"] == 6 and every[many["id"]]["open"] == 0
        jobs = (await ok("POST", "jobs/activate", {"type": "g.work", "worker": "w", "max": 32}))["jobs"]
        assert sorted(j["retries"] for j in jobs) == [1, 4, 4, 4, 4, 4] and sum(bool(j["variables"].get("mended")) for j in jobs) == 5
