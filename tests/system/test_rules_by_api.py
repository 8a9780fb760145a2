"""Rule packs over HTTP: deployed, held to at deployment, start and task, seen in history and evidence; what is there already is looked at; protected values stay so."""

from __future__ import annotations

import base64
import csv
import io
import uuid
from typing import Any

import pytest
from asking import Caller

from flowledger.infra import rule_packs

HEAD = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:flowledger="urn:flowledger:bpmn:1"><process id="payment" isExecutable="true">
<extensionElements><flowledger:protect names="iban" subject="=customerId"/></extensionElements><startEvent id="s"/>
<userTask id="enter"><extensionElements><zeebe:userTask/></extensionElements></userTask>{release}<endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="enter"/>{flows}</process></definitions>"""
RELEASE = '<userTask id="release"><extensionElements><zeebe:userTask/></extensionElements></userTask>'
TWO = HEAD.format(
    release=RELEASE,
    flows='<sequenceFlow id="f2" sourceRef="enter" targetRef="release"/><sequenceFlow id="f3" sourceRef="release" targetRef="e"/>',
)
ALONE = HEAD.format(release="", flows='<sequenceFlow id="f2" sourceRef="enter" targetRef="e"/>')
HOUSE = """format: flowledger/rules@1
name: house
title: Rules of the house
rules:
  - {id: small, on: instance, severity: refuse, holds: variables.amount < 100, message: large payments go by post}
  - {id: no-marks, on: instance, severity: warn, holds: 'not(contains(variables.iban, "MARK"))', message: the number is odd}
  - {id: odd, on: instance, severity: info, holds: variables.nothing > 1}
"""


@pytest.mark.req("D-CMP-004", "D-CMP-003")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(240)
async def test_rules_from_their_deployment_to_the_evidence(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"ru-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    if more:  # an embedded log makes a key by itself
        (tmp_path / "protect.keys").write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
        more["protect_key"] = f"file:{tmp_path / 'protect.keys'}"
    async with place.system(data=tmp_path, postgres=database, partitions=3, **more) as (_, http):
        x = Caller(http, place)

        async def deploy(name: str, content: str) -> tuple[int, Any]:
            return await x.ask("POST", "deployments", {"resources": [{"name": name, "content": content}]})

        async def task(instance: str) -> Any:
            async def look() -> Any:
                found = (await x.ok("GET", "tasks", instance=instance))["items"]
                return [t for t in found if t["status"] not in ("completed", "cancelled")]

            return (await place.until(look, 60))[0]

        async def done(instance: str, person: str) -> tuple[int, Any]:
            r = await http.post(f"/v1/tasks/{(await task(instance))['id']}/complete", json={}, headers={"X-Actor": person})
            if r.status_code == 200:
                await x.ok("GET", "tasks", wait_for=r.json()["position"])
            return r.status_code, r.json()

        # before there are rules
        assert (await x.ok("GET", "rules"))["items"] == []
        assert (await deploy("pay.bpmn", TWO))[0] == 201
        [old] = await x.start("payment", 1, variables={"iban": "MARK-1", "customerId": "C-1", "amount": 5})
        for _ in range(2):
            assert (await done(old, "eve"))[0] == 200
        four = rule_packs.text("four-eyes-on-payments")
        tried = await x.ok("POST", "rules/check", {"content": four, "ended": True})
        assert tried["cursor"] == "instances:0" and [i["rule"] for i in tried["items"]] == ["kept-apart"]
        assert (await x.ok("GET", "rules"))["items"] == [], "it was only tried"

        # in force
        for name in rule_packs.names():
            status, told = await deploy(rule_packs.file_name(name), rule_packs.text(name))
            assert status == 201 and told["definitions"][0]["kind"] == "rules", told
        status, told = await deploy("house.rules.yaml", HOUSE)
        await x.ok("GET", "definitions", wait_for=told["position"])
        packs = (await x.ok("GET", "rules"))["items"]
        assert [(p["name"], p["version"]) for p in packs] == [
            ("four-eyes-on-payments", 1),
            ("house", 1),
            ("personal-data-without-retention", 1),
        ]
        assert (await x.ok("GET", "rules/house"))["rules"][0]["holds"] == "variables.amount < 100"
        assert (await x.ask("GET", "rules/none"))[0] == 404

        # a model
        status, told = await deploy("pay.bpmn", ALONE)
        assert (status, told["code"]) == (422, "MODEL_INVALID")
        found = {
            f["message"].partition("(rule '")[2].partition("'")[0]: f["severity"] for f in told["findings"] if f["code"] == "RULE_VIOLATED"
        }
        assert found == {"work-for-two": "error", "kept-apart": "warning", "kept-for-a-time": "warning"}
        await x.ok("PUT", "retention/all", {"after": "P1Y", "reason": "our policy"})
        status, told = await deploy("pay2.bpmn", TWO)
        assert status == 201 and not any("kept-for-a-time" in f["message"] for f in told["findings"])

        # a start
        variables = {"iban": "MARK-1", "customerId": "C-1"}
        status, told = await x.ask("POST", "instances", {"definition": "payment", "variables": {**variables, "amount": 100}})
        assert (status, told["code"]) == (403, "FORBIDDEN")
        assert told["detail"] == "large payments go by post (rule 'small' of rule pack 'house' version 1)"
        made = await x.start("payment", 6, variables={**variables, "amount": 99})
        assert len({key[:3] for key in made}) >= 1
        # tasks, on whatever partition
        for key in made:
            assert (await done(key, "eve"))[0] == 200
            status, told = await done(key, "eve")
            assert status == 403 and "released-by-another" in told["detail"], told
            assert (await done(key, "bob"))[0] == 200

        async def evidence() -> Any:
            found = await x.ok("GET", "evidence/rules")
            return found if sum(r["violated"] for r in found["rules"]) >= 13 else None

        report = await place.until(evidence, 60)
        counted = {r["rule"]: (r["violated"], r["broken"], r["refused"]) for r in report["rules"]}
        assert counted == {"small": (1, 0, 1), "no-marks": (7, 0, 0), "odd": (0, 7, 0), "released-by-another": (6, 0, 6)}
        [refused] = [i for i in report["items"] if i["rule"] == "small"]
        assert refused["instance"] is None and refused["process"] == "payment" and refused["actor"] == "ann" and refused["version"] == 1
        assert {i["instance"] for i in report["items"] if i["rule"] == "released-by-another"} == set(made)
        assert "MARK" not in str(report) and [i["why"] for i in report["items"] if i["rule"] == "odd"][0].endswith("found null")
        rows = list(csv.DictReader(io.StringIO((await http.get("/v1/evidence/rules?format=csv&pack=four-eyes-on-payments")).text)))
        assert len(rows) == 6 and rows[0]["moment"] == "complete"
        assert "Verdicts (21)" in (await http.get("/v1/evidence/rules?format=html")).text
        history = (await x.ok("GET", f"instances/{made[0]}/events"))["items"]
        assert [e["data"]["rule"] for e in history if e["type"] == "rule.judged"] == ["no-marks", "odd", "released-by-another"]
        assert [o["code"] for o in (await x.ok("GET", "operations", operation="complete_task"))["items"] if o["outcome"] == "refused"] == [
            "FORBIDDEN"
        ] * 6

        # what is there already
        async def all_of(**body: Any) -> tuple[list[Any], Any]:
            items, looked, cursor = [], dict.fromkeys(("models", "instances", "tasks", "hidden"), 0), ""
            while True:
                page = await x.ok("POST", "rules/check", {**body, "cursor": cursor, "limit": 3})
                items += page["items"]
                looked = {k: n + page["looked"][k] for k, n in looked.items()}
                if not (cursor := page["cursor"] or ""):
                    return items, looked

        items, looked = await all_of(ended=True)
        assert looked == {"models": 2, "instances": 7, "tasks": 14, "hidden": 21}, (
            "each has a protected variable, which the rules of the house read"
        )
        assert [(i["instance"], i["who"]) for i in items if i["rule"] == "released-by-another"] == [(old, "eve")]
        assert (await all_of())[1]["instances"] == 0, "all have ended"
        assert (await x.ask("POST", "rules/check", {"packs": ["none"]}))[0] == 404
        assert (await x.ask("POST", "rules/check", {"content": TWO}))[0] == 422

        await x.ok("DELETE", "rules/house", reason="not ours any more")
        assert (await x.ask("POST", "instances", {"definition": "payment", "variables": {**variables, "amount": 100}}))[0] == 201
        assert (await x.ask("DELETE", "rules/none"))[0] == 404
