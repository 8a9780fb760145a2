"""Evidence: who asked for what, who did both halves of a separation of duties, who may do what; from where, also behind a proxy."""

from __future__ import annotations

import csv
import io

import pytest
from asking import Caller

HEAD = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:flowledger="urn:flowledger:bpmn:1"><process id="pay" isExecutable="true">
<extensionElements><flowledger:protect names="iban" subject="=customerId"/></extensionElements><startEvent id="s"/>
<userTask id="enter"><extensionElements><zeebe:userTask/></extensionElements></userTask>
<userTask id="approve"><extensionElements><zeebe:userTask/>{own}</extensionElements></userTask><endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="enter"/><sequenceFlow id="f2" sourceRef="enter" targetRef="approve"/>
<sequenceFlow id="f3" sourceRef="approve" targetRef="e"/></process></definitions>"""


async def done_by(x: Caller, *people: str) -> str:
    made = await x.ok("POST", "instances", {"definition": "pay", "variables": {"iban": "MARK", "customerId": "=2+3"}})
    for person in people:

        async def task() -> object:
            found = (await x.ok("GET", "tasks", instance=made["id"]))["items"]
            return [t for t in found if t["status"] not in ("completed", "cancelled")]

        [open_] = await x.place.until(task, 60)
        r = await x.http.post(f"/v1/tasks/{open_['id']}/complete", json={}, headers={"X-Actor": person})
        assert r.status_code == 200, r.text
        await x.ok("GET", "tasks", wait_for=r.json()["position"])
    return str(made["id"])


@pytest.mark.req("D-CMP-005", "D-CMP-007", "APG-CMP-005")
async def test_evidence_by_period_person_and_definition(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=1, trusted_proxies=("127.0.0.1",)) as (_, http):
        x = Caller(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "pay.bpmn", "content": HEAD.format(own="")}]})
        bad, good = await done_by(x, "eve", "eve"), await done_by(x, "eve", "bob")
        assert (await x.ok("GET", "evidence/duties"))["did"] == [], "no model keeps anything apart"
        asked = await x.ok("GET", "evidence/duties", definition="pay", pair="enter,approve")
        assert [(d["instance"], d["actor"]) for d in asked["did"]] == [(bad, "eve")]
        own = '<flowledger:task notBy="enter"/>'
        await x.ok("POST", "deployments", {"resources": [{"name": "pay.bpmn", "content": HEAD.format(own=own)}]})

        async def known() -> object:
            return (await x.ok("GET", "evidence/duties"))["did"]

        [did] = await place.until(known, 60)
        assert (did["instance"], did["actor"], did["first"], did["second"]) == (bad, "eve", "enter", "approve"), (
            "though that version did not say it yet"
        )
        assert (await x.ok("GET", "evidence/duties", until="2020-01-01T00:00:00Z"))["did"] == []

        forwarded = {"X-Actor": "aud", "X-Clear-Text": "a complaint", "X-Forwarded-For": "203.0.113.9"}
        assert "MARK" in (await http.get(f"/v1/instances/{good}/variables", headers=forwarded)).text

        async def read() -> object:
            return (await x.ok("GET", "evidence/report", actor="aud"))["items"]

        [row] = await place.until(read, 60)
        assert (row["operation"], row["reason"], row["address"], row["names"]) == ("read_protected", "a complaint", "203.0.113.9", ["iban"])
        told = await x.ok("GET", "evidence/report")
        assert {a["actor"]: a["readings"] for a in told["actors"]} == {"ann": 0, "aud": 1, "bob": 0, "eve": 0} and not told["cut"]
        await x.ok("PUT", "legal-holds/c7", {"reason": "a court"})

        async def why() -> object:
            return [i["reason"] for i in (await x.ok("GET", "evidence/report"))["items"] if i["operation"] == "store_legal_hold"]

        assert await place.until(why, 60) == ["a court"], "of a record, too, it is told why"
        assert {"complete_task", "deploy", "read_protected"} <= {o["operation"] for o in told["operations"]}
        assert (await x.ok("GET", "evidence/report", until="2020-01-01T00:00:00Z"))["items"] == []
        of = (await x.ok("GET", "evidence/report", definition="pay"))["items"]
        assert {i["instance"] for i in of} >= {bad, good} and (await x.ok("GET", "evidence/report", definition="other"))["items"] == []
        assert (await x.ask("GET", "evidence/report", since="2030-01-01T00:00:00Z", until="2029-01-01T00:00:00Z"))[0] in (400, 422)
        assert (await x.ask("GET", "evidence/duties", pair="enter"))[0] in (400, 422)

        await http.put("/v1/legal-holds/c1", json={"reason": "t"}, headers={"X-Actor": "=HYPERLINK()<b>"})

        async def written() -> object:
            return "HYPERLINK" in (await http.get("/v1/evidence/report?format=csv", headers={"X-Actor": "ann"})).text

        await place.until(written, 60)
        table = await http.get("/v1/evidence/report", params={"format": "csv"}, headers={"X-Actor": "ann"})
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert table.headers["content-type"].startswith("text/csv") and any(r["actor"] == "'=HYPERLINK()<b>" for r in rows)
        page = await http.get("/v1/evidence/duties", params={"format": "html"}, headers={"X-Actor": "ann"})
        assert (
            "<table>" in page.text
            and bad in page.text
            and "@media print" in page.text
            and "sandbox" in page.headers["content-security-policy"]
        )
        page = await http.get("/v1/evidence/report", params={"format": "html"}, headers={"X-Actor": "ann"})
        assert "&lt;b&gt;" in page.text and "<b>" not in page.text
        assert (await x.ok("GET", "evidence/access"))["items"] == [], "nobody has an account here"
