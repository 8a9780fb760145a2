"""Holds over HTTP on both pairs of log and database: placed, seen with what they hold, kept over a take-over, released."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from flowledger.events.commands import partition_of_key
from flowledger.sdk import Flow

PARENT = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="=k"/></extensionElements></message>
<process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="fork"/><parallelGateway id="fork"/>
<sequenceFlow id="f2" sourceRef="fork" targetRef="ca"/><callActivity id="ca"><extensionElements><zeebe:calledElement processId="q"/></extensionElements></callActivity>
<sequenceFlow id="f3" sourceRef="fork" targetRef="w"/><intermediateCatchEvent id="w"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
<sequenceFlow id="f4" sourceRef="w" targetRef="after"/>
<serviceTask id="after"><extensionElements><zeebe:taskDefinition type="after"/></extensionElements></serviceTask></process></definitions>"""
PROBE = Flow("probe").start().service("t", job="probe").end().xml().decode()
CALLED = Flow("q").start().service("t", job="work").end().xml().decode()


@pytest.mark.req("D-API-008", "D-API-009", "D-API-019")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(240)
async def test_holds_are_placed_seen_and_released(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"ho-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    settings = {"data": tmp_path, "postgres": database, "partitions": 2, **more}

    def asks(http: Any) -> Any:
        async def ask(method: str, path: str, body: Any = None, expect: int = 200, **query: Any) -> Any:
            r = await http.request(method, f"/v1/{path}", json=body, params=query, headers={"X-Actor": "ann"})
            assert r.status_code == expect, r.text
            return r.json()

        return ask

    async def leased(ask: Any, job_type: str = "work") -> list[Any]:
        return list((await ask("POST", "jobs/activate", {"type": job_type, "worker": "x", "max": 9, "timeout_ms": 600_000}))["jobs"])

    async with place.system(**settings) as (_, http):
        ask = asks(http)
        files = [{"name": "p.bpmn", "content": PARENT}, {"name": "q.bpmn", "content": CALLED}, {"name": "r.bpmn", "content": PROBE}]
        deployed = await ask("POST", "deployments", {"resources": files}, 201)
        version = next(d["id"] for d in deployed["definitions"] if d["definition_id"] == "p")
        started = [await ask("POST", "instances", {"definition": "p", "variables": {"k": str(n)}}, 201) for n in range(4)]
        seen = ",".join(s["position"] for s in started)

        async def children() -> list[Any]:
            rows = (await ask("GET", "instances", definition="q"))["items"]
            return list(rows) if len(rows) == 4 else []

        await place.until(children)
        found = await ask("GET", "holds/preview", scope="definition", key="p", wait_for=seen)
        assert found["instances"] == 4 and found["tasks"] >= 0
        assert (await ask("GET", "holds/preview", scope="job_type", key="work"))["tasks"] == 4
        assert (await ask("GET", "holds/preview", scope="element", key="p/w"))["instances"] >= 0
        hold = await ask(
            "POST", "holds", {"scope": "definition", "key": "p", "reason": "the bank is down", "until": "2999-01-01T00:00:00Z"}, 201
        )
        assert hold["status"] == "held" and hold["key"] == "p"
        pause = await ask("POST", "holds", {"scope": "job_type", "key": "work", "mode": "pause", "reason": "slowly"}, 201)
        both = f"{hold['position']},{pause['position']}"
        rows = (await ask("GET", "holds", wait_for=both))["items"]
        assert [(r["scope"], r["key"], r["mode"], r["status"], r["reason"]) for r in rows] == [
            ("job_type", "work", "pause", "held", "slowly"), ("definition", "p", "suspend", "held", "the bank is down"),
        ]  # fmt: skip
        assert rows[1]["until"] == "2999-01-01T00:00:00Z" and rows[1]["created_by"] == "ann"
        assert [r["id"] for r in (await ask("GET", "holds", scope="job_type", status="held"))["items"]] == [pause["id"]]
        assert (await ask("GET", f"holds/{hold['id']}"))["key"] == "p"
        await ask("GET", "holds/7", expect=404)

        await ask("POST", "holds", {"scope": "definition", "key": "probe", "reason": "who has heard of it?"}, 201)
        heard: set[int] = set()

        async def told() -> bool:  # the others hear of it by sends, which arrive in order
            one = await ask("POST", "instances", {"definition": "probe"}, 201)
            heard.update({partition_of_key(int(one["id"]))} if one["status"] == "pending" else ())
            return len(heard) == 2

        await place.until(told)
        parent, child = await ask("GET", f"instances/{started[0]['id']}"), await ask("GET", f"instances/{(await children())[0]['id']}")
        assert parent["held"] == "suspend" and [h["id"] for h in parent["holds"]] == [hold["id"]]
        assert child["held"] == "suspend" and [h["id"] for h in child["holds"]] == [hold["id"], pause["id"]]
        tasks = (await ask("GET", "tasks", job_type="work"))["items"]
        assert len(tasks) == 4 and all(t["held"] == "suspend" and len(t["holds"]) == 2 for t in tasks)
        pending = await ask("POST", "instances", {"definition": "p", "variables": {"k": "9"}}, 201)
        assert pending["status"] == "pending"
        await ask("POST", "messages", {"name": "paid", "correlation_key": "0", "ttl_ms": 0}, 201)
        one = await ask("POST", "holds", {"scope": "instance", "key": started[1]["id"], "reason": "look at it"}, 201)
        assert (await ask("GET", f"instances/{started[1]['id']}", wait_for=one["position"]))["status"] == "suspended"
        for body, status in (
            ({"scope": "definition", "key": "nobody", "reason": "x"}, 404), ({"scope": "definition", "key": "p"}, 400),
            ({"scope": "moon", "key": "p", "reason": "x"}, 400), ({"scope": "version", "key": "p", "reason": "x"}, 422),
        ):  # fmt: skip
            await ask("POST", "holds", body, status)
        seven = [("tenant", ""), ("version", version), ("element", "p/ca"), ("target", "job:work")]
        more_holds = [await ask("POST", "holds", {"scope": s, "key": k, "reason": "all of them"}, 201) for s, k in seven]

    async with place.system(**settings) as (_, http):  # it is taken over, and all is held as before
        ask = asks(http)
        assert not await leased(ask) and not await leased(ask, "after")
        parent = await ask("GET", f"instances/{started[0]['id']}", wait_for=more_holds[-1]["position"])
        assert {h["scope"] for h in parent["holds"]} == {"definition", "tenant", "version", "element"}
        for h in more_holds:
            await ask("POST", f"holds/{h['id']}/release")
        assert not await leased(ask) and not await leased(ask, "after")
        released = await ask("POST", f"holds/{hold['id']}/release", {"rate": 1_000, "reason": "it is back"})
        assert released["status"] in ("resuming", "released")

        async def gone() -> bool:
            rows = (await ask("GET", "holds", status=["held", "resuming"]))["items"]
            return [r["id"] for r in rows if r["key"] != "probe" and not r["follows"]] == [one["id"], pause["id"]]

        await place.until(gone)
        row = await ask("GET", f"holds/{hold['id']}")
        assert (row["status"], row["released_by"], row["released_why"]) == ("released", "ann", "it is back")

        async def after() -> bool:
            return bool(await leased(ask, "after"))

        await place.until(after)  # the message that came meanwhile was kept
        assert not await leased(ask), "that is paused by another"
        await ask("POST", f"holds/{pause['id']}/release")

        got: list[Any] = []

        async def work() -> bool:
            got.extend(await leased(ask))
            return len(got) == 4  # of four that were there, one is suspended by itself; one was pending

        await place.until(work)
        assert (await ask("GET", f"instances/{pending['id']}"))["status"] == "running"
        done = await ask("POST", f"instances/{started[1]['id']}/cancel")
        rows = (await ask("GET", "holds", status="held", wait_for=done["position"]))["items"]
        assert [r["key"] for r in rows] == ["probe"], "a hold over one instance ends with it"
