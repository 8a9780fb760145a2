"""Protected variables in a whole system: nobody sees them at any door unless they ask with a reason, and no topic, table or file has them."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from asking import Caller

from flowledger.api.access.operations import HTTP
from flowledger.infra.audit import verify
from flowledger.infra.secrets.encrypted import new_key
from flowledger.processors.log import COMMANDS, DEAD_LETTER, EVENTS, STATE

MARK = "MARKER-4711-bis"
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:flowledger="urn:flowledger:bpmn:1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<message id="M" name="M"><extensionElements><zeebe:subscription correlationKey="= order"/></extensionElements></message>
<process id="p" isExecutable="true">
<extensionElements><flowledger:protect names="iban, secret*" class="personal" subject="=customerId"/></extensionElements>
<startEvent id="s"/>
<scriptTask id="t"><extensionElements><zeebe:script expression="= &quot;for &quot; + iban" resultVariable="letter"/></extensionElements></scriptTask>
<userTask id="u"><extensionElements><zeebe:userTask/><zeebe:assignmentDefinition assignee="ann"/></extensionElements></userTask>
<intermediateCatchEvent id="m"><messageEventDefinition messageRef="M"/></intermediateCatchEvent>
<serviceTask id="j"><extensionElements><zeebe:taskDefinition type="j"/></extensionElements></serviceTask>
<exclusiveGateway id="g"/><endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="t"/><sequenceFlow id="f2" sourceRef="t" targetRef="u"/><sequenceFlow id="f3" sourceRef="u" targetRef="m"/>
<sequenceFlow id="f4" sourceRef="m" targetRef="j"/><sequenceFlow id="f5" sourceRef="j" targetRef="g"/>
<sequenceFlow id="f6" sourceRef="g" targetRef="e"><conditionExpression xsi:type="tFormalExpression">= iban</conditionExpression></sequenceFlow>
</process></definitions>"""


async def a_life(x: Caller) -> dict[str, str]:
    """One instance with all that happens to one, and the ids of what came of it."""
    await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
    made = await x.ok(
        "POST", "instances", {"definition": "p", "variables": {"iban": MARK, "order": "o1", "customerId": "c1", "secretList": [MARK]}}
    )
    id = made["id"]

    async def tasks(**query: Any) -> Any:
        return (await x.ok("GET", "tasks", instance=id, **query))["items"]

    [task] = await x.place.until(lambda: tasks(status="assigned"), 60)
    await x.ok("POST", f"tasks/{task['id']}/draft", {"draft": {"iban": MARK, "note": "n"}})
    seen = await x.ok("GET", f"tasks/{task['id']}")
    assert seen["input"]["iban"] == MARK, "who works on it sees its input"
    several = await x.ok("GET", "gathered", get=[f"/tasks/{task['id']}", f"/instances/{id}/variables", f"/tasks/{task['id']}/events"])
    of_task, *others = several["reads"]
    assert of_task["body"]["input"]["iban"] == MARK, "as alone, where it is one of several"
    assert [r["status"] for r in others] == [200, 200] and MARK not in json.dumps(others) and "[protected]" in json.dumps(others[0])
    await x.ok("PATCH", f"instances/{id}/variables", {"variables": {"secretSet": MARK}, "reason": "by hand"})
    done = await x.ok("POST", f"tasks/{task['id']}/complete", {"variables": {"iban": "[protected]", "secretDone": MARK}})
    sent = await x.ok("POST", "messages", {"name": "M", "correlation_key": "o1", "variables": {"secretSent": MARK}})

    async def job() -> Any:
        return (await x.ok("POST", "jobs/activate", {"type": "j", "worker": "w", "max": 1, "timeout_ms": 60_000}))["jobs"]

    [given] = await x.place.until(job, 60)
    for name in ("iban", "secretSet", "secretDone", "secretSent"):
        assert given["variables"][name] == MARK, f"a worker gets {name}"
    assert given["variables"]["letter"] == f"for {MARK}"
    await x.ok("POST", f"jobs/{given['key']}/fail", {"message": f"bad {MARK}", "details": {"x": MARK}, "retries": 1})
    [given] = await x.place.until(job, 60)
    over = await x.ok("POST", f"jobs/{given['key']}/complete", {"variables": {"secretResult": MARK}})

    async def incidents() -> Any:
        return (await x.ok("GET", "incidents", instance=id))["items"]

    [incident] = await x.place.until(incidents, 60)
    held = await x.ok("POST", "batches", {"action": "set_variables", "ids": [id], "params": {"variables": {"secretBatch": MARK}}})
    await x.ended(held["id"])
    await x.ok("GET", "instances", wait_for=over["position"])
    return {
        "instance": id, "task": task["id"], "incident": incident["id"], "batch": held["id"], "definition": task["definition"], "position": over["position"],
        "done": done["position"], "sent": sent["position"],
    }  # fmt: skip


def paths(known: dict[str, str]) -> list[str]:
    """Every GET below /v1 about these things, and lists."""
    found = []
    for operation in HTTP:
        method, _, path = operation.partition(" ")
        if method != "GET" or not path.startswith("/v1/") or path == "/v1/events":
            continue
        noun = path.split("/")[2]
        ids = {
            "instances": known["instance"],
            "tasks": known["task"],
            "batches": known["batch"],
            "definitions": known["definition"],
            "incidents": known["incident"],
        }
        path = (
            path.replace("{id}", ids.get(noun, "1")).replace("{key}", ids.get(noun, "1")).replace("{name}", "x").replace("{kind}", "person")
        )
        found.append(path.removeprefix("/v1/"))
    return found


async def sees_nothing(x: Caller, known: dict[str, str]) -> None:
    shown = 0
    for path in paths(known):
        r = await x.http.get(f"/v1/{path}", headers={"X-Actor": "eve"})
        at = max(r.text.find(MARK), r.text.find("flk1."))
        assert at < 0, f"{path}: {r.text[max(0, at - 300) : at + 60]}"
        assert int(r.headers.get("content-length", len(r.content))) == len(r.content)
        shown += "[protected]" in r.text
    assert shown >= 8, "the routes that give variables gave the mask"


async def clear_for_a_reason(x: Caller, known: dict[str, str]) -> None:
    path = f"/v1/instances/{known['instance']}/variables"
    r = await x.http.get(path, headers={"X-Actor": "eve", "X-Clear-Text": "asked by the customer"})
    assert MARK in r.text and "flk1." not in r.text and r.status_code == 200
    assert (await x.http.get(path, headers={"X-Clear-Text": "%20"})).status_code == 400

    async def told() -> Any:
        rows = (await x.ok("GET", "operations", operation="read_protected", actor="eve"))["items"]
        return rows

    [row] = await x.place.until(told, 60)
    assert (
        row["reason"] == "asked by the customer"
        and row["door"] == "http"
        and "iban" in row["names"]
        and row["instance"] == known["instance"]
    )
    assert row["details"]["classes"] == ["personal"]
    assert (await x.ok("GET", "operations", operation="read_protected", actor="ann"))["items"], "who worked on the task read it, too"


def in_the_database(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as c:
        tables = c.execute(
            "SELECT n.nspname, r.relname FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace WHERE r.relkind IN ('r', 'p')"
            " AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(tables) > 20
        found = []
        for schema, table in tables:
            rows = c.execute(f'SELECT count(*) FROM "{schema}"."{table}" t WHERE t::text LIKE %s', (f"%{MARK}%",)).fetchone()  # type: ignore[arg-type]
            found += [f"{schema}.{table}"] if rows and rows[0] else []
        return found


def in_files(folder: Path) -> list[str]:
    return [str(f) for f in folder.rglob("*") if f.is_file() and MARK.encode() in f.read_bytes()]


async def in_topics(log: Any, partitions: int) -> list[str]:
    found = []
    for topic in (EVENTS, COMMANDS, STATE, DEAD_LETTER):
        for partition in range(partitions):
            async for batch in log.read(topic, partition, await log.begin(topic, partition)):
                found += [f"{topic}-{partition}-{r.offset}" for r in batch if MARK.encode() in (r.value or b"") + (r.key or b"")]
    return found


@pytest.mark.req("D-CMP-006", "D-SEC-005", "D-SEC-007", "APG-SEC-003", "APG-SEC-008", "WOS-SEC-003", "D-CMP-005")
async def test_nobody_sees_it_and_nothing_keeps_it(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (system, http):
        x = Caller(http, place)
        known = await a_life(x)
        await sees_nothing(x, known)
        await clear_for_a_reason(x, known)
        stream = []

        async def listen() -> None:
            async with http.stream("GET", "/v1/events", params={"position": "0-0,1-0"}) as r:
                async for line in r.aiter_lines():
                    stream.append(line)

        listening = asyncio.create_task(listen())
        try:
            await place.until(lambda: asyncio.sleep(0, any("[protected]" in line for line in stream)), 60)
        finally:
            listening.cancel()
        assert MARK not in "".join(stream) and "flk1." not in "".join(stream)
        assert in_the_database(database) == []
        assert await in_topics(system.log, 2) == []
    assert in_files(tmp_path) == [], "the log, its checkpoint and all else that the server has written"
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (system, http):
        x = Caller(http, place)
        await x.ok("PATCH", f"instances/{known['instance']}/variables", {"variables": {"iban": True}})
        await x.ok("POST", f"incidents/{known['incident']}/resolve", {})

        async def over() -> Any:
            return (await x.ok("GET", f"instances/{known['instance']}"))["status"] == "completed"

        assert await place.until(over, 60), "a new owner opens what the one before has sealed"
        await exported_and_erased(x, known)
        assert in_the_database(database) == []
        reports = await verify(system.log)
        assert len(reports) == 2 and not [f for r in reports for f in r.findings], (
            "the chain is over what is sealed: it holds whatever keys are gone"
        )


async def exported_and_erased(x: Caller, known: dict[str, str]) -> None:
    told = await x.ok("POST", "subjects/c1/export", {"reason": "asked for by the customer"})
    assert {v["name"] for v in told["variables"]} >= {"secretList", "letter", "secretSent"} and not told["cut"]
    assert any(v["value"] == [MARK] for v in told["variables"]) and any(MARK in json.dumps(e["data"]) for e in told["events"])
    page = await x.http.post("/v1/subjects/c1/export", json={"reason": "to be read", "format": "html"}, headers={"X-Actor": "ann"})
    assert (
        page.status_code == 200
        and MARK in page.text
        and "<script" not in page.text
        and page.headers["content-type"].startswith("text/html")
    )
    assert "attachment" in page.headers["content-disposition"] and "flk1." not in page.text
    assert (await x.ask("POST", "subjects/nobody/export", {"reason": "x"}))[0] == 404
    assert (await x.ask("POST", "subjects/nobody/erase", {"reason": "x"}))[0] == 404

    await x.ok("PUT", "legal-holds/c1", {"reason": "a court"})
    await x.ok("PUT", "legal-holds/c9", {"reason": "another"})
    first = await x.ok("GET", "legal-holds", limit=1)
    second = await x.ok("GET", "legal-holds", limit=1, cursor=first["cursor"])
    assert sorted(h["reason"] for h in first["items"] + second["items"]) == ["a court", "another"] and second["cursor"] is None
    status, problem = await x.ask("POST", "subjects/c1/erase", {"reason": "x"})
    assert status == 409 and "a court" in problem["detail"]
    assert (await x.ok("GET", "subjects/c1"))["places"] == []
    known_of = await x.ok("GET", "subjects/c1", places="true")
    assert known_of["status"] == "kept" and MARK not in str(known_of)
    [place] = [p for p in known_of["places"] if p["process"] == "p"][:1]
    assert {"iban", "letter"} <= set(place["names"]) and not known_of["more"]
    assert (await x.http.delete("/v1/legal-holds/c1", headers={"X-Actor": "ann"})).status_code == 200
    assert (await x.http.delete("/v1/legal-holds/c1", headers={"X-Actor": "ann"})).status_code == 404

    before = await x.ok("GET", f"instances/{known['instance']}/state")
    asked = {"json": {"reason": "GDPR 17"}, "headers": {"X-Actor": "ann", "Idempotency-Key": uuid.uuid4().hex}}
    certificate = (await x.http.post("/v1/subjects/c1/erase", **asked)).json()
    assert certificate["status"] == "erased" and len(certificate["keys"]) == 1 and certificate["position"]
    again = await x.ok("POST", "subjects/c1/erase", {"reason": "once more"})
    assert {k: v for k, v in again.items() if k != "position"} == {k: v for k, v in certificate.items() if k != "position"}, (
        "the same certificate"
    )
    known_now = await x.ok("GET", "subjects/c1")
    assert known_now["status"] == "erased" and known_now["erasure"]["reason"] == "GDPR 17" and "c1" not in json.dumps(known_now["erasure"])
    after = await x.ok("GET", f"instances/{known['instance']}/state")
    assert {**after, "read_to": before["read_to"]} == before, "folding needs no key"
    r = await x.http.get(f"/v1/instances/{known['instance']}/variables", headers={"X-Actor": "eve", "X-Clear-Text": "looking"})
    assert r.status_code == 200 and "[erased]" in r.text and MARK not in r.text
    assert (await x.ask("POST", "subjects/c1/export", {"reason": "x"}))[0] == 404

    async def told_of() -> Any:
        rows = (await x.ok("GET", "operations", actor="ann", limit=200))["items"]
        return {"store_erasure", "store_legal_hold", "remove_legal_hold", "read_protected"} <= {r["operation"] for r in rows}

    assert await x.place.until(told_of, 60)


@pytest.mark.alone
@pytest.mark.req("D-SEC-005", "WOS-SEC-003")
async def test_no_topic_of_kafka_has_it(place, kafka_bootstrap, database, tmp_path):
    key = tmp_path / "protect.keys"
    key.write_text(new_key() + "\n")
    told = {"kafka": kafka_bootstrap, "prefix": f"hid-{uuid.uuid4().hex[:8]}", "postgres": database, "partitions": 2}
    async with place.system(data=tmp_path, **told) as (system, http):
        await no_keys(Caller(http, place))
    async with place.system(data=tmp_path, protect_key=f"file:{key}", **told) as (system, http):
        x = Caller(http, place)
        known = await a_life(x)
        await sees_nothing(x, known)
        assert in_the_database(database) == [] and await in_topics(system.log, 2) == []
        certificate = await x.ok("POST", "subjects/c1/erase", {"reason": "GDPR 17"})
        assert certificate["status"] == "erased"
        assert not [r.broken for r in await verify(system.log) if r.broken]


async def no_keys(x: Caller) -> None:
    """With Kafka nothing is protected before somebody has said where the key is."""
    status, problem = await x.ask("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
    assert status == 422 and "PROTECTION_WITHOUT_KEYS" in json.dumps(problem)
