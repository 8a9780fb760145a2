"""Consents: recorded, asked for by a model, over, withdrawn, exported, and what becomes of them at an erasure; on several partitions and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asking import Caller

from flowledger.infra.audit import verify
from flowledger.kernel.tasks import privacy

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:flowledger="urn:flowledger:bpmn:1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<process id="p" isExecutable="true">
<extensionElements><flowledger:protect names="iban" class="personal" subject="=customerId"/></extensionElements>
<startEvent id="s"/><exclusiveGateway id="g" default="n"/><endEvent id="sent"/><endEvent id="left"/>
<sequenceFlow id="a" sourceRef="s" targetRef="g"/>
<sequenceFlow id="y" sourceRef="g" targetRef="sent"><conditionExpression xsi:type="tFormalExpression">=consented("news", customerId)</conditionExpression></sequenceFlow>
<sequenceFlow id="n" sourceRef="g" targetRef="left"/>
</process></definitions>"""
HOW = "form 7, version 2"


@pytest.mark.req("D-CMP-006")
@pytest.mark.timeout(180)
async def test_a_consent_from_its_giving_to_its_end(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=3) as (system, http):
        x = Caller(http, place)
        for tenant in ("", "acme"):
            await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]}, tenant=tenant)

        async def asked(want: bool, tenant: str = "", subject: str = "c1") -> Any:
            """On all partitions alike."""

            async def look() -> Any:
                body = {"definition": "p", "variables": {"customerId": subject, "iban": "DE1"}}
                made = [await x.ok("POST", "instances", body, tenant=tenant) for _ in range(6)]
                ends = set()
                for m in made:

                    async def path(m=m) -> Any:
                        told = json.dumps(await x.ok("GET", f"instances/{m['id']}/events", tenant=tenant, wait_for=m["position"]))
                        found = {end for end in ("sent", "left") if f'"{end}"' in told}
                        return found or None

                    ends |= await place.until(path)
                return ends == ({"sent"} if want else {"left"})

            return await place.until(look, 60)

        assert (await x.ok("GET", "subjects/c1/consents"))["items"] == []
        await asked(False)
        made = await x.ok("PUT", "subjects/c1/consents/news", {"how": HOW})
        assert made["in_force"] and made["how"] == HOW and made["by"] == "ann" and "until" not in {k for k, v in made.items() if v}
        await asked(True)
        await asked(False, subject="c2")
        assert (await x.ok("GET", "subjects/c1/consents", tenant="acme"))["items"] == [], "a tenant's are its own"
        await asked(False, tenant="acme")
        await x.ok("PUT", "subjects/c1/consents/news", {"how": HOW}, tenant="acme")
        await asked(True, tenant="acme")

        # withdrawn: it stays, and doesn't hold
        gone = await x.ok("DELETE", "subjects/c1/consents/news", reason="by letter")
        assert not gone["in_force"] and gone["withdrawn_at"] and gone["reason"] == "by letter"
        again = await x.ok("DELETE", "subjects/c1/consents/news", reason="another")
        assert (again["withdrawn_at"], again["reason"]) == (gone["withdrawn_at"], "by letter")
        await asked(False)

        # given again, for a while
        until = datetime.now(UTC) + timedelta(seconds=1)
        given = await x.ok("PUT", "subjects/c1/consents/news", {"how": HOW, "until": until.isoformat()})
        assert given["withdrawn_at"] is None and given["until"]
        while (left := (until - datetime.now(UTC)).total_seconds()) >= 0:  # all else of this process goes on meanwhile
            await asyncio.sleep(left)
        await asked(False)
        assert not (await x.ok("GET", "subjects/c1/consents"))["items"][0]["in_force"]
        await x.ok("PUT", "subjects/c1/consents/news", {"how": HOW})
        await x.ok("PUT", "subjects/c1/consents/other.use", {"how": "by phone"})

        # what is wrong is said
        for path, body, status in (
            ("news", {"how": ""}, 400), ("news", {}, 400), ("news", {"how": HOW, "until": "2001-01-01T00:00:00Z"}, 422), ("News", {"how": HOW}, 422),
            ("n" * 101, {"how": HOW}, 422), ("news", {"how": HOW, "until": "soon"}, 400),
        ):  # fmt: skip
            assert (await x.ask("PUT", f"subjects/c1/consents/{path}", body))[0] == status, (path, body)
        assert (await x.ask("DELETE", "subjects/c1/consents/never"))[0] == 404
        for n in range(privacy.PURPOSES_MAX):
            assert (await x.ask("PUT", f"subjects/full/consents/p{n}", {"how": HOW}))[0] == 200
        assert (await x.ask("PUT", "subjects/full/consents/more", {"how": HOW}))[0] == 429
        assert (await x.ask("PUT", "subjects/full/consents/p7", {"how": "anew"}))[0] == 200, "what is there can be changed"

        # an export has them; an erasure withdraws them, and the ledger keeps that they were there
        told = await x.ok("POST", "subjects/c1/export", {"reason": "asked for"})
        assert [(c["purpose"], c["in_force"]) for c in told["consents"]] == [("news", True), ("other.use", True)]
        page = await http.post("/v1/subjects/c1/export", json={"reason": "asked for", "format": "html"})
        assert "<h2>Consents</h2>" in page.text and "other.use" in page.text and HOW in page.text
        await x.ok("POST", "subjects/c1/erase", {"reason": "article 17"})
        rows = (await x.ok("GET", "subjects/c1/consents"))["items"]
        assert [(c["purpose"], c["in_force"], c["reason"]) for c in rows] == [
            ("news", False, "article 17"),
            ("other.use", False, "article 17"),
        ]
        await asked(False)
        await asked(True, tenant="acme")
        reports = await verify(system.log)
        assert not [f for r in reports for f in r.findings]

        async def written() -> Any:
            rows = (await x.ok("GET", "operations", limit=200))["items"]
            mine = [r for r in rows if r["operation"] == "store_consent"]
            return len(mine) > 100 and mine

        assert not any("c1" in str(r.get("subject", "")).split(".")[0] and len(str(r["subject"])) < 60 for r in await place.until(written))


@pytest.mark.parametrize(
    ("value", "now", "holds"),
    [
        (None, 5, False),
        ({"given_us": 5, "until_us": 0, "withdrawn_us": 0}, 4, False),
        ({"given_us": 5, "until_us": 0, "withdrawn_us": 0}, 5, True),
        ({"given_us": 5, "until_us": 9, "withdrawn_us": 0}, 8, True),
        ({"given_us": 5, "until_us": 9, "withdrawn_us": 0}, 9, False),
        ({"given_us": 5, "until_us": 9, "withdrawn_us": 6}, 7, False),
    ],
)
def test_when_a_consent_holds(value, now, holds):
    assert privacy.in_force(value, now) is holds


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({}, ""), ({"how": ""}, "how"), ({"given_us": 0}, "given_us"), ({"given_us": True}, "given_us"), ({"until_us": -1}, "until_us"),
        ({"until_us": 5}, "until_us"), ({"until_us": 6}, ""), ({"until_us": "6"}, "until_us"), ({"x": 1}, "x"), ({"reason": None}, "reason"),
    ],
)  # fmt: skip
def test_a_record_of_a_consent_is_looked_at(more, wrong):
    value = {"given_us": 5, "until_us": 0, "withdrawn_us": 0, "how": "h", "reason": "", "by": "", **more}
    found = privacy.consent_problems("a" * 64 + ".news", value)
    assert (len(found) == 1 and wrong in found[0]) if wrong else not found
    assert privacy.consent_problems("news", value)
