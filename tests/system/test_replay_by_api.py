"""Histories against another model, over HTTP on a real server: counts, examples, drafts, decisions, tests that are saved; nothing outside is touched."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from flowledger.api import against
from flowledger.events.alerts import ClaimAlerts
from flowledger.events.control import ListFindings
from flowledger.sdk import Flow
from flowledger.sdk.testing import data as flowtests

pytestmark = pytest.mark.req("D-MOD-005", "D-API-004")
ROOT = Path(__file__).resolve().parents[2]
CHILD = Flow("child").start().service("inside", job="inside").end().xml().decode()


def order(limit: int, name: str = "order", extra: str = "") -> str:
    """Large orders are approved by a person; then a child is called, and a payment awaited."""
    return f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">
    <message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="=number"/></extensionElements></message>
    <process id="{name}" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="check"/>
    <serviceTask id="check"><extensionElements><zeebe:taskDefinition type="check"/></extensionElements></serviceTask>
    <sequenceFlow id="f2" sourceRef="check" targetRef="large"/><exclusiveGateway id="large" default="small"/>
    <sequenceFlow id="big" sourceRef="large" targetRef="approve"><conditionExpression>=amount &gt; {limit}</conditionExpression></sequenceFlow>
    <userTask id="approve"><extensionElements><zeebe:userTask/></extensionElements></userTask><sequenceFlow id="f4" sourceRef="approve" targetRef="join"/>
    <sequenceFlow id="small" sourceRef="large" targetRef="join"/><exclusiveGateway id="join"/><sequenceFlow id="f5" sourceRef="join" targetRef="call"/>
    <callActivity id="call"><extensionElements><zeebe:calledElement processId="child"/></extensionElements></callActivity>
    <sequenceFlow id="f6" sourceRef="call" targetRef="pay"/><receiveTask id="pay" messageRef="m"/><sequenceFlow id="f7" sourceRef="pay" targetRef="e"/>
    <endEvent id="e"/>{extra}</process></definitions>"""


class Caller:
    def __init__(self, http: Any, place: Any) -> None:
        self.http, self.place = http, place

    async def ask(self, path: str, body: Any, tenant: str = "") -> tuple[int, Any]:
        r = await self.http.post(f"/v1/{path}", json=body, headers={"X-Tenant": tenant})
        return r.status_code, r.json()

    async def ok(self, path: str, body: Any) -> Any:
        status, told = await self.ask(path, body)
        assert status in (200, 201), told
        return told

    async def work(self, type: str, count: int, **variables: Any) -> None:
        """All jobs of a type that there are."""
        done = 0
        while done < count:
            for job in (await self.ok("jobs/activate", {"type": type, "worker": "w", "max": 50, "wait_ms": 1000}))["jobs"]:
                await self.ok(f"jobs/{job['key']}/complete", {"variables": variables})
                done += 1

    async def all(self, noun: str, count: int, **query: Any) -> list[dict[str, Any]]:
        async def look() -> Any:
            rows = (await self.http.get(f"/v1/{noun}", params={"limit": 100, **query})).json()["items"]
            return rows if len(rows) >= count else None

        return await self.place.until(look, 60)  # type: ignore[no-any-return]


async def orders(x: Caller, amounts: list[int]) -> list[str]:
    """Recorded to their ends."""
    await x.ok("deployments", {"resources": [{"name": "order.bpmn", "content": order(100)}, {"name": "child.bpmn", "content": CHILD}]})
    made = [await x.ok("instances", {"definition": "order", "variables": {"amount": a, "number": f"n{n}"}}) for n, a in enumerate(amounts)]
    await x.work("check", len(amounts), checked=True)
    large = sum(a > 100 for a in amounts)
    for task in await x.all("tasks", large, definition="order", element="approve", status="created"):
        await x.ok(f"tasks/{task['id']}/complete", {"variables": {"approved": True}})
    await x.work("inside", len(amounts), packed=1)
    for n in range(len(amounts)):
        await x.ok("messages", {"name": "paid", "correlation_key": f"n{n}", "ttl_ms": 60_000, "variables": {"paid": True}})
    await x.all("instances", len(amounts), definition="order", status="completed")
    return [m["id"] for m in made]


async def recorded(http: Any) -> dict[str, int]:
    """Events of each instance."""
    rows = (await http.get("/v1/instances", params={"limit": 100})).json()["items"]
    return {r["id"]: len((await http.get(f"/v1/instances/{r['id']}/events", params={"limit": 1000})).json()["items"]) for r in rows}


@pytest.mark.timeout(300)
async def test_an_example_with_form_and_decision_goes_as_it_went(place, database, tmp_path):
    files = [*ROOT.glob("examples/*.bpmn"), *ROOT.glob("examples/*.dmn"), *ROOT.glob("examples/forms/*.form")]
    async with place.system(data=tmp_path, postgres=database) as (_, http):
        x = Caller(http, place)
        await x.ok("deployments", {"resources": [{"name": f.name, "content": f.read_text()} for f in files]})
        for process in ("document-approval", "purchase-order-approval", "order"):
            made = await x.ok(
                "instances", {"definition": process, "variables": {"amount": 50_000, "vendor": "v", "document": "d", "author": "ann"}}
            )
            seen = {"wait_for": made["position"]}
            assert (await http.get(f"/v1/instances/{made['id']}", params=seen)).status_code == 200
            told = await x.ok(f"definitions/{process}/replay", {"model": {"version": str(made["definition"])}})
            assert told["outcomes"] == {"same": 1}, str(told["examples"])


@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(300)
async def test_histories_against_another_model(on, request, place, database, tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SECRET_BANK", "s3cret")
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"re-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    async with place.system(data=tmp_path / "data", postgres=database, partitions=3, **more) as (system, http):
        x = Caller(http, place)
        amounts = [50, 80, 150, 300, 700]
        keys = await orders(x, amounts)
        path = "definitions/order/replay"
        before, commands = await recorded(http), []
        call = system.services.client.call

        async def counted(command: Any, *more: Any, **named: Any) -> Any:
            if type(command) not in (ListFindings, ClaimAlerts):  # what looks by itself: metrics of the watchdog, alerts
                commands.append(command)
            return await call(command, *more, **named)

        monkeypatch.setattr(system.services.client, "call", counted)

        same = await x.ok(path, {"model": {"content": order(100)}, "tests": 10})
        assert (same["ran"], same["outcomes"], same["complete"], same["examples"]) == (5, {"same": 5}, True, []), same
        assert len(same["tests"]) == 5 and not same["unsaved"]
        for name, content in same["files"].items():
            (tmp_path / name).write_text(content)
        for found in same["tests"]:
            (tmp_path / f"{found['id']}.flowtest.json").write_text(json.dumps(found["test"]))
        cases = [case for file in sorted(tmp_path.glob("*.flowtest.json")) for case in flowtests.load(file)]
        for case in cases:
            flowtests.run(case)
        (tmp_path / "order.bpmn").write_text(order(400))
        (tmp_path / "model.bpmn").write_text(order(400))
        with pytest.raises(flowtests.StepFailed):
            for case in cases:
                flowtests.run(case)

        # fewer are approved: of these two the approval is not asked for; more are: of this one it was never recorded
        fewer = await x.ok(path, {"model": {"content": order(400)}})
        assert fewer["outcomes"] == {"same": 3, "other_way": 2}, fewer
        assert fewer["elements"] == [{"process": "order", "element": "large", "other_way": 2, "waits": 0, "failed": 0, "other_values": 0}]
        assert {e["id"] for e in fewer["examples"]} == {keys[2], keys[3]}
        example = next(e for e in fewer["examples"] if e["id"] == keys[3])
        assert (example["recorded"], example["now"], example["values"], example["then"]) == (
            ["big -> approve"],
            ["small -> join"],
            {"amount": [300, 300]},
            "completed",
        )
        assert example["unused"] == ["complete approve"]
        more_ = await x.ok(path, {"model": {"content": order(60)}, "filter": {"var.amount": 80}, "examples": 1})
        assert (more_["ran"], more_["outcomes"]) == (1, {"other_way": 1}) and more_["examples"][0]["then"] == "waits at approve", more_

        # by keys, by a draft, by a version; the called process in another form; a limit is said
        by_ids = await x.ok(path, {"model": {"content": order(400)}, "ids": [keys[0], keys[4]]})
        assert (by_ids["ran"], by_ids["outcomes"]) == (2, {"same": 2})
        draft = await x.ok("drafts", {"name": "order", "content": order(400)})
        assert (await x.ok(path, {"model": {"draft": draft["id"]}, "ids": [keys[3]]}))["outcomes"] == {"other_way": 1}
        version = (await http.get("/v1/definitions/order")).json()["key"]
        assert (await x.ok(f"definitions/{version}/replay", {"model": {"version": version}, "limit": 2}))["why"] == (
            "more instances fit the filter: the newest 2 were run"
        )
        child = Flow("child").start().service("inside", job="inside").user("seal").end().xml().decode()
        sealed = await x.ok("definitions/child/replay", {"model": {"content": child}})
        assert (sealed["ran"], sealed["outcomes"]) == (5, {"waits": 5}) and sealed["elements"][0]["element"] == "seal", sealed

        # nothing was written, nothing handed out, nobody called
        assert commands == [] and await recorded(http) == before and len(before) == 10
        assert (await x.ok("jobs/activate", {"type": "check", "worker": "w", "max": 50, "wait_ms": 0}))["jobs"] == []
        # of another tenant nothing is seen
        assert (await x.ask(path, {"model": {"content": order(1)}}, tenant="other"))[0] == 404


@pytest.mark.timeout(120)
async def test_what_can_not_be_replayed_is_said(place, database, tmp_path, monkeypatch):
    async with place.system(data=tmp_path, postgres=database, partitions=1) as (system, http):
        x = Caller(http, place)
        await x.ok(
            "deployments", {"resources": [{"name": "p.bpmn", "content": Flow("p").start().service("t", job="w").end().xml().decode()}]}
        )
        made = await x.ok("instances", {"definition": "p"})
        await x.all("instances", 1, definition="p")
        good = {"content": Flow("p").start().service("t", job="w").end().xml().decode()}
        for body, status, words in [
            ({}, 422, "model or decision_overrides was expected"),
            ({"model": {}}, 422, "content, draft or version was expected"),
            ({"model": {**good, "draft": "x"}}, 422, "content, draft or version was expected"),
            ({"model": good, "filter": {}, "ids": [made["id"]]}, 422, "filter or ids was expected"),
            ({"model": good, "filter": {"nonsense": 1}}, 400, "nonsense"),
            ({"model": {"content": "<definitions"}}, 422, ""),
            ({"model": {"content": order(1)}}, 200, ""),
            ({"model": {"content": "{}"}}, 422, ""),
            ({"model": {"draft": "nobody"}}, 404, "no draft"),
            ({"model": {"version": "2251799813685000"}}, 404, "has no source"),
            ({"model": good, "limit": 0}, 400, ""),
            ({"model": good, "seconds": 1_000}, 400, ""),
            ({"model": good, "ids": ["2251799813600000"]}, 200, ""),
        ]:
            found, told = await x.ask("definitions/p/replay", body)
            assert found == status and words in json.dumps(told), (body, told)
        assert (await x.ask("definitions/nobody/replay", {"model": good}))[0] == 404
        unknown = await x.ok("definitions/p/replay", {"model": good, "ids": ["2251799813600000"]})
        assert unknown["outcomes"] == {"not_run": 1}, unknown
        # a process that is gone is an answer, and the next request has its own
        monkeypatch.setattr(against, "_MODULE", "flowledger.sdk.testing.replay.nothing")
        status, told = await x.ask("definitions/p/replay", {"model": good})
        assert status == 503 and "did not begin" in told["detail"], told
        monkeypatch.undo()
        assert (await x.ok("definitions/p/replay", {"model": good}))["outcomes"] == {"same": 1}


def test_the_process_gets_no_setting_and_no_secret(tmp_path):
    """Only where Python finds its modules."""
    import asyncio

    async def seen() -> str:
        os.environ["FLOWLEDGER_SECRET_X"] = "s3cret"
        try:
            async with against._process(30, ("none",)) as process:
                pid = process.process.pid
                deadline = time.monotonic() + 20
                while not (env := Path(f"/proc/{pid}/environ").read_bytes()):
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.01)
                return env.decode()
        finally:
            del os.environ["FLOWLEDGER_SECRET_X"]

    env = asyncio.run(seen())
    assert "PATH=" in env and "s3cret" not in env and "FLOWLEDGER" not in env
