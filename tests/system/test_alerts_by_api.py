"""Alerts over HTTP and by the command line, on both pairs of log and database: a rule from its file to who is told of it, by a webhook and by a process of
one's own that a trigger starts; a restart between, and nothing is told twice."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import psycopg
import pytest
from psycopg import sql
from test_outgoing_webhooks_by_api import Receiver, flowledger, hook_server

from flowledger.api import alerting, lag
from flowledger.sdk import Flow
from tests.connectors.test_mail_connector import Mailbox

WORK = Flow("report").start().service("t", job="w").end().xml().decode()
LOOK = Flow("look").start().service("t", job="look").end().xml().decode()
RULE = {"measure": "started", "process": "report", "above": 2, "window": "PT1H", "title": "Many reports", "severity": "critical"}
TRIGGER = """
format: flowledger/trigger@1
name: on-alert
source:
  events:
    types: [alert.fired, alert.resolved]
    from: start
start:
  process: look
  business_key: =event.data.name
  variables: {what: =event.type, groups: =event.data.groups}
"""


@pytest.mark.req("APG-MON-005", "APG-MON-006")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(400)
async def test_an_alert_from_its_file_to_who_is_told(on, request, place, database, tmp_path, monkeypatch):
    monkeypatch.setattr(alerting, "LOOK_S", 0.5)
    settings = hook_server(on, request, tmp_path, database)
    file = tmp_path / "many.alert.yaml"
    file.write_text("name: many\n" + "\n".join(f"{k}: {json.dumps(v)}" for k, v in RULE.items()) + "\n")

    async def ask(http: Any, method: str, path: str = "", body: Any = None, **query: Any) -> tuple[int, Any]:
        r = await http.request(method, f"/v1/alerts{path}", json=body, params=query)
        return r.status_code, r.json()

    async def firing(http: Any, number: int) -> Any:
        async def look() -> Any:
            found = (await ask(http, "GET", "/many"))[1]
            return found if found.get("firing") == number else None  # the rows may not have it yet

        return await place.until(look, 120)

    async def looked(http: Any) -> list[str]:
        """What the process of one's own was started for."""
        found = (await http.get("/v1/instances", params={"definition": "look", "limit": 100})).json()["items"]
        assert {row["business_key"] for row in found} <= {"many"}
        return sorted([(await http.get(f"/v1/instances/{row['id']}/variables")).json()["variables"]["what"] for row in found])

    async def told(receiver: Receiver, http: Any, expected: list[str]) -> None:
        async def both() -> bool:
            return sorted({b["id"]: b["type"] for b in receiver.bodies}.values()) == expected == await looked(http)

        await place.until(both, 120)

    async with Receiver() as receiver:
        async with place.system(**settings) as (system, http):
            for model, name in ((WORK, "r.bpmn"), (LOOK, "l.bpmn"), (TRIGGER, "on-alert.trigger.yaml")):
                done = await http.post("/v1/deployments", json={"resources": [{"name": name, "content": model}]})
                assert done.status_code == 201, done.text
            hook = {"url": receiver.url, "secrets": ["{{secrets.HOOK}}"], "types": ["alert.fired", "alert.resolved"]}
            assert (await http.put("/v1/webhooks/h", json=hook)).status_code == 200
            for wrong in ({"above": None}, {"below": 1}, {"measure": "speed"}, {"window": "PT1S"}, {"colour": "red"}):
                assert (await ask(http, "PUT", "/many", {k: v for k, v in {**RULE, **wrong}.items() if v is not None}))[0] in (400, 422), (
                    wrong
                )
            for method, path in (
                ("GET", "/many"),
                ("DELETE", "/many"),
                ("POST", "/many/test"),
                ("POST", "/many/unsilence"),
                ("GET", "/many/firings"),
            ):
                assert (await ask(http, method, path))[0] == 404
            # tried on the past before it is switched on
            assert (await flowledger(system.url, "alerts", "test", str(file), "--days", "1"))["fired"] == 0
            for _ in range(3):
                assert (await http.post("/v1/instances", json={"definition": "report"})).status_code == 201

            async def would() -> Any:
                return (await ask(http, "POST", "/many/test", {"days": 1, "rule": RULE}))[1]["items"]

            (tried,) = await place.until(would, 60)
            assert (tried["value"], tried["resolved_at"], tried["group"]) == (3.0, None, {})
            assert (await ask(http, "GET"))[1]["items"] == [] and receiver.got == [], "a trial tells nobody"

            (made,) = await flowledger(system.url, "alerts", "put", str(file))
            assert made == {"name": "many", "created": True, "changed": True}
            row = await firing(http, 1)
            assert (row["status"], row["severity"], row["title"], row["fired"]) == ("active", "critical", "Many reports", 1)
            (one,) = (await ask(http, "GET", "/many/firings"))[1]["items"]
            assert (one["status"], one["value"], one["group"]) == ("firing", 3.0, {})
            await told(receiver, http, ["alert.fired"])
            body = receiver.bodies[0]["data"]
            assert (body["name"], body["title"], body["severity"], body["groups"][0]["value"]) == ("many", "Many reports", "critical", 3.0)
            again = await http.post("/v1/instances", json={"definition": "report"})
            assert again.status_code == 201
        # started anew: what fires goes on to fire, and is told once
        async with place.system(**settings) as (system, http):
            assert (await firing(http, 1))["fired"] == 1
            found = await flowledger(system.url, "deploy", str(file))
            assert found["alerts"] == [{"name": "many", "created": False, "changed": False}]
            assert (await ask(http, "PUT", "/many", {**RULE, "above": 100}))[1]["changed"]
            assert (await firing(http, 0))["fired"] == 1
            await told(receiver, http, ["alert.fired", "alert.resolved"])
            # silenced, it doesn't fire anew; then it does
            assert (await flowledger(system.url, "alerts", "silence", "many", "--minutes", "5", "--reason", "moving"))["id"] == row["id"]

            async def silent() -> Any:
                return (await ask(http, "GET", "/many"))[1].get("silenced_until")

            assert await place.until(silent, 60)
            assert (await ask(http, "PUT", "/many", RULE))[0] == 200
            for wrong in (
                {},
                {"minutes": 1, "until": "2030-01-01T00:00:00Z"},
                {"until": "2020-01-01T00:00:00Z"},
                {"until": "2030-01-01T00:00:00"},
            ):
                assert (await ask(http, "POST", "/many/silence", wrong))[0] in (400, 422), wrong
            watch = next(i for i in (await flowledger(system.url, "alerts", "list")) if i["name"] == "many")
            assert watch["firing"] == 0 and watch["fired"] == 1
            await flowledger(system.url, "alerts", "unsilence", "many")
            assert (await firing(http, 1))["fired"] == 2
            assert [i["name"] for i in (await ask(http, "GET", firing="true"))[1]["items"]] == ["many"]
            assert (await ask(http, "GET", firing="false"))[1]["items"] == []
            rows = await flowledger(system.url, "alerts", "firings", "many")
            assert [(r["status"], r["id"]) for r in rows] == [("firing", "2"), ("resolved", "1")]
            assert (await flowledger(system.url, "alerts", "show", "many"))["rule"]["above"] == 2
            await flowledger(system.url, "alerts", "delete", "many")
            await told(receiver, http, ["alert.fired", "alert.fired", "alert.resolved", "alert.resolved"])
            assert (await ask(http, "GET", "/many"))[0] == 404
            # of a figure of one's own
            own = {"measure": "kpi", "kpi": "asked", "figure": "count", "above": 1, "window": "PT1H"}
            assert (await http.put("/v1/kpis/asked", json={"kind": "value", "at": "start", "value": "1"})).status_code == 200
            assert (await ask(http, "PUT", "/many", {**own, "figure": "kept_share"}))[0] == 200

            async def noted() -> Any:
                return "kind sla" in ((await ask(http, "GET", "/many"))[1].get("error") or "")

            assert await place.until(noted, 60), "what keeps it from being looked at is said"
            assert (await ask(http, "PUT", "/many", own))[0] == 200

            async def counted() -> Any:
                assert (await http.post("/v1/instances", json={"definition": "report"})).status_code == 201
                return (await ask(http, "GET", "/many"))[1].get("firing") == 1

            await place.until(counted, 60)
            row = (await ask(http, "GET", "/many"))[1]
            assert (row["error"], row["rule"]["kpi"]) == ("", "asked")
            # of the server itself: how far the rows are behind
            rule = {"measure": "lag", "above": "PT30S", "for": "PT1M"}
            assert (await ask(http, "PUT", "/lag", rule))[0] == 200
            assert (await ask(http, "POST", "/lag/test", {"rule": rule}))[0] == 422


@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(300)
async def test_an_alert_holds_what_fires_until_it_is_over(on, request, place, database, tmp_path, monkeypatch):
    """Only where it is switched on; once over a restart; undone by hand, and by itself when the figures say so."""
    monkeypatch.setattr(alerting, "LOOK_S", 0.5)
    settings = hook_server(on, request, tmp_path, database)
    action = {"kind": "hold", "scope": "definition", "for": "PT1H", "most_per_hour": 2}

    async def put(http: Any, **change: Any) -> None:
        r = await http.put("/v1/alerts/many", json={**RULE, "action": action, **change})
        assert r.status_code == 200, r.text

    async def holds(http: Any) -> list[Any]:
        return [h for h in (await http.get("/v1/holds")).json()["items"] if h["key"] == "report" and h["status"] == "held"]

    async def acted(http: Any, number: int) -> Any:
        """What the firing shows, once the hold is known."""

        async def look() -> Any:
            rows = (await http.get("/v1/alerts/many/firings")).json().get("items") or []
            found = next((r["action"] for r in rows if r["id"] == str(number)), None)
            return found if found and (found["hold"] or found["refused"]) else None

        return await place.until(look, 120)

    async def firing(http: Any, number: int) -> None:
        async def look() -> bool:
            return (await http.get("/v1/alerts/many")).json().get("firing") == number

        await place.until(look, 120)

    async with place.system(**settings) as (system, http):
        done = await http.post("/v1/deployments", json={"resources": [{"name": "r.bpmn", "content": WORK}]})
        assert done.status_code == 201, done.text
        for wrong in ({"scope": "job_type"}, {"for": "PT1S"}, {"most_per_hour": 13}, {"kind": "delete"}):
            r = await http.put("/v1/alerts/many", json={**RULE, "action": {**action, **wrong}})
            assert r.status_code in (400, 422), wrong
        for _ in range(3):
            assert (await http.post("/v1/instances", json={"definition": "report"})).status_code == 201

        async def tried() -> Any:
            return (await http.post("/v1/alerts/many/test", json={"days": 1, "rule": {**RULE, "action": action}})).json()["items"]

        (would,) = await place.until(tried, 60)
        assert (would["action"]["subject"], would["action"]["refused"], would["action"]["hold"]) == ("report", "", None)
        await put(http)
        await firing(http, 1)
        assert (await http.get("/v1/alerts/many/firings")).json()["items"][0]["action"] is None and await holds(http) == [], "it is off"
        await put(http, above=100)
        await firing(http, 0)
        await put(http, action={**action, "enabled": True})
        first = await acted(http, 2)
        assert (first["kind"], first["scope"], first["subject"], first["refused"]) == ("hold", "definition", "report", "")
        hold = (await http.get(f"/v1/holds/{first['hold']}")).json()
        assert (hold["key"], hold["mode"], hold["reason"]) == ("report", "pause", "alert many, firing 2")
    async with place.system(**settings) as (system, http):
        await firing(http, 1)
        assert [h["id"] for h in await holds(http)] == [first["hold"]], "once"
        r = await http.post(f"/v1/holds/{first['hold']}/release", json={"reason": "it is needed"})
        assert r.status_code == 200, r.text

        async def free() -> bool:
            return await holds(http) == []

        await place.until(free, 60)
        await put(http, above=100, action={**action, "enabled": True})
        await firing(http, 0)
        await put(http, action={**action, "enabled": True})
        second = await acted(http, 3)
        assert second["hold"] and second["hold"] != first["hold"]
        rows = await flowledger(system.url, "alerts", "firings", "many")
        assert [(r["id"], (r["action"] or {}).get("hold")) for r in rows] == [("3", second["hold"]), ("2", first["hold"]), ("1", None)]
        await put(http, above=100, action={**action, "enabled": True})
        await firing(http, 0)
        await place.until(free, 60)
        assert len([h for h in (await http.get("/v1/holds")).json()["items"] if h["status"] == "held"]) == 0
        await put(http, action={**action, "enabled": True})
        assert (await acted(http, 4))["refused"] == "most_per_hour" and await holds(http) == []


@pytest.mark.req("APG-MON-005")
async def test_rows_that_stay_behind_the_log_let_an_alert_fire_meanwhile_and_it_is_over_when_they_are_there(
    place, database, tmp_path, monkeypatch
):
    """The database lets nobody write for a while: the rule is looked at all the same, and says so on the log at once."""
    monkeypatch.setattr(alerting, "LOOK_S", 0.3)
    monkeypatch.setattr(lag, "LOOK_S", 0.2)
    async with place.system(data=tmp_path, postgres=database, partitions=1) as (_, http):

        async def ask(method: str, path: str, body: Any = None) -> Any:
            r = await http.request(method, f"/v1/{path}", json=body)
            assert r.status_code in (200, 201), r.text
            return r.json()

        rule = {"measure": "lag", "above": "PT1S", "for": "PT1S", "severity": "critical"}
        await ask("PUT", "alerts/behind", rule)
        await ask("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": WORK}]})
        told: list[Any] = []

        async def listen() -> None:
            async with http.stream("GET", "/v1/events", params={"type": "alert.fired,alert.resolved"}) as r:
                async for line in r.aiter_lines():
                    if line.startswith("data: ") and line != "data: {}":
                        told.append(json.loads(line[6:]))

        async def fired() -> bool:
            return bool(told)

        async def over() -> bool:
            return len(told) == 2

        async def known() -> Any:
            return (await ask("GET", "alerts"))["items"]

        await place.until(known, 60)
        following = asyncio.create_task(listen())
        try:
            async with await psycopg.AsyncConnection.connect(database) as db:
                [[schema]] = await (await db.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'workflow_instances'")).fetchall()
                await db.execute(sql.SQL("LOCK TABLE {}.workflow_instances IN EXCLUSIVE MODE").format(sql.Identifier(schema)))
                await ask("POST", "instances", {"definition": "report"})
                await place.until(fired, 60)
                assert told[0]["type"] == "alert.fired" and told[0]["data"]["name"] == "behind", "while nothing can be written"
                await db.rollback()
            await place.until(over, 60)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        [firing] = (await ask("GET", f"alerts/behind/firings?wait_for={told[1]['id']}"))["items"]
        assert firing["status"] == "resolved" and firing["value"] > 1 and firing["resolved_value"] <= 1 and firing["severity"] == "critical"


MAIL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="tell" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="mail"/>
<serviceTask id="mail"><extensionElements><zeebe:taskDefinition type="flowledger:email"/><zeebe:ioMapping>
<zeebe:input source="127.0.0.1" target="host"/><zeebe:input source="=port" target="port"/><zeebe:input source="off" target="security"/>
<zeebe:input source="flowledger@example.org" target="from"/><zeebe:input source="on-call@example.org" target="to"/>
<zeebe:input source="={title: alert.title, severity: alert.severity, value: alert.groups[1].value}" target="data"/></zeebe:ioMapping>
<zeebe:taskHeaders><zeebe:header key="subjectTemplate" value="{{ severity }}: {{ title }}"/>
<zeebe:header key="textTemplate" value="It stands at {{ value }}."/></zeebe:taskHeaders></extensionElements></serviceTask>
<sequenceFlow id="f2" sourceRef="mail" targetRef="e"/><endEvent id="e"/></process></definitions>"""
BY_MAIL = """
format: flowledger/trigger@1
name: by-mail
source:
  events: {types: [alert.fired], from: start}
start:
  process: tell
  variables: {alert: =event.data, port: PORT}
"""


@pytest.mark.req("APG-MON-005")
async def test_an_alert_comes_as_a_mail_by_a_process_of_ones_own_once(place, database, tmp_path, monkeypatch):
    monkeypatch.setattr(alerting, "LOOK_S", 0.3)
    mailbox = Mailbox()
    port = await mailbox.start()
    settings = dict(
        data=tmp_path, postgres=database, partitions=2, egress_private=("127.0.0.1",), roles=("api", "owner", "projector", "connectors")
    )
    try:
        async with place.system(**settings) as (_, http):
            for model, name in ((WORK, "r.bpmn"), (MAIL, "m.bpmn"), (BY_MAIL.replace("PORT", str(port)), "by-mail.trigger.yaml")):
                done = await http.post("/v1/deployments", json={"resources": [{"name": name, "content": model}]})
                assert done.status_code == 201, done.text
            assert (await http.put("/v1/alerts/many", json=RULE)).status_code == 200
            for _ in range(3):
                assert (await http.post("/v1/instances", json={"definition": "report"})).status_code == 201

            async def came() -> bool:
                return bool(mailbox.got)

            await place.until(came, 90)

            async def over() -> bool:
                return (await http.get("/v1/instances?definition=tell&status=completed")).json()["items"] != []

            await place.until(over, 60)
            await asyncio.sleep(1)  # some looks more
        [(envelope, message)] = mailbox.got
        assert envelope.rcpt_tos == ["on-call@example.org"] and message["Subject"] == "critical: Many reports"
        assert message.get_content().strip() == "It stands at 3."
    finally:
        mailbox.close()


@pytest.mark.kafka
@pytest.mark.timeout(300)
@pytest.mark.req("APG-MON-005")
async def test_of_several_nodes_that_look_one_tells(place, database, tmp_path, kafka_bootstrap, monkeypatch):
    """Each node with an API looks at each partition's rules; when the one that looked is gone, the other goes on, and nothing is told twice."""
    monkeypatch.setattr(alerting, "LOOK_S", 0.3)
    more = {"kafka": kafka_bootstrap, "prefix": f"al-{uuid.uuid4().hex[:8]}", "postgres": database, "partitions": 2}
    told: dict[str, set[str]] = {}

    async def start(http: Any, count: int) -> None:
        for _ in range(count):
            assert (await http.post("/v1/instances", json={"definition": "report"})).status_code == 201

    async def firings(http: Any, count: int) -> Any:
        async def look() -> Any:
            items = (await http.get("/v1/alerts/many/firings")).json().get("items", [])
            for each in items:
                told.setdefault(each["status"], set()).add(each["id"])
            return items if len(items) == count else None

        return await place.until(look, 90)

    async with place.system(data=tmp_path / "a", node="a", **more) as (_, a):
        done = await a.post("/v1/deployments", json={"resources": [{"name": "r.bpmn", "content": WORK}]})
        assert done.status_code == 201, done.text
        async with place.system(data=tmp_path / "b", node="b", roles=("api",), **more) as (_, b):
            rule = {**RULE, "group": ["process"]}
            assert (await a.put("/v1/alerts/many", json=rule)).status_code == 200
            await start(b, 3)
            await firings(a, 1)
            await asyncio.sleep(3)  # ten looks more of each
            assert len((await b.get("/v1/alerts/many/firings")).json()["items"]) == 1
        assert (await a.put("/v1/alerts/many", json={**rule, "above": 100})).status_code == 200

        async def over() -> bool:
            return (await firings(a, 1))[0]["status"] == "resolved"

        await place.until(over, 60)
        assert (await a.put("/v1/alerts/many", json=rule)).status_code == 200
        await firings(a, 2)
    assert {status: len(ids) for status, ids in told.items()} == {"firing": 2, "resolved": 1}
