"""Advice over HTTP and by the command line, on a history of real instances: looked for, tried, applied as a setting and as a draft, refused; on the ledger."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from test_outgoing_webhooks_by_api import flowledger

from flowledger.events.base import Rejected
from flowledger.events.commands import StoreRecord
from flowledger.processors.client import Caller

CHECKED = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="checked" isExecutable="true"><startEvent id="start"/>
<serviceTask id="check"><extensionElements><zeebe:taskDefinition type="see"/></extensionElements></serviceTask>
<exclusiveGateway id="fine" default="yes"/><serviceTask id="mend"><extensionElements><zeebe:taskDefinition type="mend"/></extensionElements></serviceTask>
<exclusiveGateway id="meet"/><endEvent id="end"/>
<sequenceFlow id="a" sourceRef="start" targetRef="check"/><sequenceFlow id="b" sourceRef="check" targetRef="fine"/>
<sequenceFlow id="yes" sourceRef="fine" targetRef="meet"/>
<sequenceFlow id="no" sourceRef="fine" targetRef="mend"><conditionExpression>=bad = true</conditionExpression></sequenceFlow>
<sequenceFlow id="c" sourceRef="mend" targetRef="meet"/><sequenceFlow id="d" sourceRef="meet" targetRef="end"/></process></definitions>"""
CASES = 210


@pytest.mark.req("D-AI-001", "D-AI-005", "D-ANA-002", "APG-AI-009", "APG-POS-013")
async def test_advice_is_looked_for_tried_taken_and_refused_and_the_ledger_has_it(place, database, tmp_path):
    async with place.system(data=tmp_path / "data", postgres=database, partitions=2) as (system, http):

        async def ask(method: str, path: str = "", body: Any = None, **more: Any) -> tuple[int, Any]:
            r = await http.request(method, f"/v1/advice{path}", json=body, **more)
            return r.status_code, r.json()

        assert (await http.put("/v1/limits", params={"target": "job:see"}, json={"concurrency": 1, "ageing_ms": 1000})).status_code == 200
        deployed = await http.post("/v1/deployments", json={"resources": [{"name": "c.bpmn", "content": CHECKED}]})
        await http.get("/v1/definitions", params={"wait_for": deployed.json()["position"]})
        status, none = await ask("POST", "", {"process": "checked"})
        assert status == 409 and "no instance of checked" in none["detail"]
        assert (await ask("POST", "", {"process": "unknown"}))[0] == 404
        for _ in range(CASES):
            await http.post("/v1/instances", json={"definition": "checked"})
        done = 0
        while done < CASES:
            jobs = (
                await http.post("/v1/jobs/activate", json={"type": "see", "worker": "w", "max": 5, "timeout_ms": 60_000, "wait_ms": 2_000})
            ).json()["jobs"]
            assert len(jobs) <= 1, "the limit holds"
            for job in jobs:
                await http.post(f"/v1/jobs/{job['key']}/complete", json={"variables": {"bad": False}})
                done += 1

        async def ended() -> bool:
            page = await http.get("/v1/measures", params={"process": "checked", "measure": "completed"})
            return bool(page.json()["items"]) and page.json()["items"][0]["completed"] == CASES

        await place.until(ended)
        status, told = await ask("POST", "", {"process": "checked"})
        assert status == 200 and told["whole"] and told["learned_from"] == CASES
        by = {i["kind"]: i for i in told["items"]}
        assert set(by) == {"limit", "check"}, told
        for i in by.values():
            assert (
                i["state"] == "open"
                and i["gain"]["by"] == "simulation"
                and 0 < i["gain"]["from_ms"] <= i["gain"]["mean_ms"] <= i["gain"]["to_ms"]
            )
        assert by["limit"]["evidence"]["limit"] == 1 and by["limit"]["setting"]["change"] == {"concurrency": 2}
        assert by["check"]["evidence"]["passed"] == CASES and by["check"]["evidence"]["found"] == 0 and by["check"]["caution"]
        listed = (await ask("GET", "", params={"process": "checked", "state": "open"}))[1]["items"]
        assert [i["id"] for i in listed] == [i["id"] for i in sorted(by.values(), key=lambda i: -i["gain"]["mean_ms"])]
        assert [i["kind"] for i in await flowledger(system.url, "advice", "list", "--process", "checked")] == [i["kind"] for i in listed]
        stored = {k: v for k, v in by["check"].items() if k not in ("found", "at", "position")} | {"found_us": 1}
        # tried: nothing is changed by it
        tried = await flowledger(system.url, "advice", "try", by["check"]["id"])
        assert [s["name"] for s in tried["scenarios"]] == ["base", "check"] and tried["scenarios"][1]["against_base_ms"]["mean"]["mean"] < 0
        # a reason that is too long is said before anything is changed, and so is a limit that is another one by now
        status, _ = await ask("POST", f"/{by['limit']['id']}/apply", {"reason": "x" * 2_001})
        assert status == 422
        await http.put("/v1/limits", params={"target": "job:see"}, json={"concurrency": 5, "ageing_ms": 1000})
        status, stale = await ask("POST", f"/{by['limit']['id']}/apply", {"reason": "now"})
        assert status == 409 and "is 5 now" in stale["detail"]
        await http.put("/v1/limits", params={"target": "job:see"}, json={"concurrency": 1, "ageing_ms": 1000})
        # a setting: what else stands there stays
        status, taken = await ask("POST", f"/{by['limit']['id']}/apply", {"reason": "they wait too long"}, headers={"X-Actor": "olga"})
        assert status == 200 and (taken["state"], taken["by"], taken["reason"]) == ("applied", "olga", "they wait too long")
        limits = (await http.get("/v1/limits")).json()["items"]
        assert [{k: i[k] for k in ("name", "concurrency", "ageing_ms")} for i in limits] == [
            {"name": "job:see", "concurrency": 2, "ageing_ms": 1000}
        ]
        status, again = await ask("POST", f"/{by['limit']['id']}/apply", {"reason": "again"})
        assert status == 409 and "applied by olga" in again["detail"]
        # a draft of the model as it would be
        status, drawn = await ask("POST", f"/{by['check']['id']}/apply", {"reason": "never found anything"}, headers={"X-Actor": "olga"})
        assert status == 200, drawn
        draft = (await http.get(f"/v1/drafts/{drawn['result']['draft']}")).json()
        assert 'id="check"' not in draft["content"] and 'id="mend"' not in draft["content"] and by["check"]["id"] in draft["comment"]
        findings = (await http.post("/v1/models/check", json={"name": "d.bpmn", "content": draft["content"]})).json()["findings"]
        assert {f["severity"] for f in findings}.isdisjoint({"error"})
        # what was decided isn't open again, whoever says so; one that was taken away is, as a later look would find it: refused, and looked for anew it stays so
        command = StoreRecord(registry="advice", name=by["check"]["id"], value={**stored, "state": "open"})
        answer = await system.services.client.call(command, Caller("olga", "", "", ""))
        assert isinstance(answer, Rejected) and answer.code == "INVALID_STATE" and "applied by olga" in answer.message
        for value in (None, command.value):
            stored_now = await system.services.client.call(
                StoreRecord(registry="advice", name=by["check"]["id"], value=value), Caller("olga", "", "", "")
            )
            assert not isinstance(stored_now, Rejected)
        # taken five times at once: one draft (that of before, which it makes again), and one who took it
        answers = await asyncio.gather(*(
            ask("POST", f"/{by['check']['id']}/apply", {"reason": f"at once {n}"}, headers={"X-Actor": f"olga-{n}"}) for n in range(5)
        ))  # fmt: skip
        [(status, won)] = [a for a in answers if a[0] == 200]
        assert won["result"]["draft"] == drawn["result"]["draft"] and {s for s, _ in answers} == {200, 409}
        assert len((await http.get("/v1/drafts", params={"limit": 100})).json()["items"]) == 1
        kept = (await ask("GET", f"/{by['check']['id']}"))[1]
        assert (kept["by"], kept["reason"]) == (won["by"], won["reason"]), "who was refused changed nothing"
        for value in (None, command.value):
            await system.services.client.call(
                StoreRecord(registry="advice", name=by["check"]["id"], value=value), Caller("olga", "", "", "")
            )
        refused = await flowledger(system.url, "advice", "refuse", by["check"]["id"], "--reason", "the auditor wants it")
        assert refused["state"] == "refused" and refused["reason"] == "the auditor wants it"
        assert {i["kind"]: i["state"] for i in (await ask("POST", "", {"process": "checked"}))[1]["items"]}["check"] == "refused"

        async def operations() -> Any:
            page = (await http.get("/v1/operations", params={"kind": "advice"})).json()["items"]
            return page if {(i["details"] or {}).get("state") for i in page} >= {"open", "applied", "refused"} else None

        rows = await place.until(operations)
        taken_row = next(i for i in rows if (i["details"] or {}).get("state") == "applied")
        assert (
            taken_row["actor"].startswith("olga")
            and taken_row["details"]["kind"] in ("limit", "check")
            and taken_row["operation"] == "store_advice"
        )
        # of one's tenant, and nobody else's
        acme = {"headers": {"X-Tenant": "acme"}}
        assert (await ask("GET", "", **acme))[1]["items"] == [] and (await ask("GET", f"/{by['check']['id']}", **acme))[0] == 404
        assert (await ask("POST", f"/{by['check']['id']}/refuse", {"reason": "x"}, **acme))[0] == 404
