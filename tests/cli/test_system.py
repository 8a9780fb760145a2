"""The real system over HTTP: what the edge promises, kept by the engine and the projections behind it."""

from __future__ import annotations

import json
import threading
import time
import uuid
from pathlib import Path

import httpx2
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ONE_TASK = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t"><process id="one-task" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/>
 <serviceTask id="a"><extensionElements><zeebe:taskDefinition type="one.work" retries="1"/></extensionElements></serviceTask>
 <sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""
WAITING = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t"><process id="waits" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="m"/>
 <intermediateCatchEvent id="m"><messageEventDefinition messageRef="paid"/></intermediateCatchEvent>
 <sequenceFlow id="f2" sourceRef="m" targetRef="e"/><endEvent id="e"/></process>
 <message id="paid" name="paid"><extensionElements><zeebe:subscription correlationKey="= order"/></extensionElements></message>
</definitions>"""


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, timeout=90) as client:
        files = [("f", ("one.bpmn", ONE_TASK)), ("f", ("waits.bpmn", WAITING))]
        r = client.post("/v1/deployments", files=files)
        assert r.status_code == 201, r.text
        yield client


def wait_for(look, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it didn't come in time"
        time.sleep(0.02)
    return found


def start(http, process="one-task", **more):
    r = http.post("/v1/instances", json={"definition": process, **more})
    assert r.status_code == 201, r.text
    return r.json()


def job(http, **more):
    r = http.post("/v1/jobs/activate", json={"type": "one.work", "worker": "w", "max": 1, "timeout_ms": 60_000, "wait_ms": 5_000, **more})
    assert r.status_code == 200, r.text
    return r.json()["jobs"][0]


@pytest.mark.req("D-API-007")
def test_what_was_started_can_be_read_at_once(http):
    for _ in range(10):
        made = start(http, "waits", variables={"order": uuid.uuid4().hex})
        r = http.get(f"/v1/instances/{made['id']}")
        assert r.status_code == 200 and r.json()["status"] == "running" and r.json()["process"] == "waits"
        listed = http.get("/v1/instances", params={"definition": "waits", "limit": 1, "wait_for": made["position"]}).json()
        assert listed["items"][0]["id"] == made["id"] and listed["position"]
        http.post(f"/v1/instances/{made['id']}/cancel")


def test_an_unknown_key_is_refused_quickly(http):
    took = []
    for _ in range(5):
        began = time.perf_counter()
        assert http.get("/v1/instances/1234567").status_code == 404
        took.append(time.perf_counter() - began)
    assert min(took) < 1.5, "it waits for rows that never come"


@pytest.mark.req("D-API-006", "APG-RES-006")
def test_the_same_idempotency_key_starts_once(http):
    key = uuid.uuid4().hex
    answers = [
        http.post("/v1/instances", json={"definition": "waits", "variables": {"order": key}}, headers={"Idempotency-Key": key}).json()["id"]
        for _ in range(5)
    ]
    assert len(set(answers)) == 1
    http.post(f"/v1/instances/{answers[0]}/cancel")


@pytest.mark.req("WOS-ENG-001", "WOS-ENG-011")
def test_a_job_is_done_once_and_its_instance_ends(http):
    made = start(http, variables={"amount": 10.10})
    taken = job(http)
    assert taken["instance"] == made["id"] and taken["variables"] == {"amount": 10.1} and taken["attempt"] == 1
    assert http.post(f"/v1/jobs/{taken['key']}/complete", json={"variables": {"n": 1}, "fence": taken["fence"] + 1}).status_code == 409
    r = http.post(f"/v1/jobs/{taken['key']}/complete", json={"variables": {"n": 1}, "fence": taken["fence"]})
    assert r.status_code == 200
    found = http.get(f"/v1/instances/{made['id']}", params={"wait_for": r.json()["position"]}).json()
    assert found["status"] == "completed" and found["output"] == {"amount": 10.1, "n": 1}
    assert http.post(f"/v1/jobs/{taken['key']}/complete").status_code == 404
    metrics = http.get(f"/v1/instances/{made['id']}/metrics").json()
    assert [e["element"] for e in metrics["elements"]] == ["a"] and metrics["duration_ms"] >= 0
    assert http.get(f"/v1/instances/{made['id']}/status").json()["progress"] == 100
    worker = next(w for w in http.get("/v1/workers").json()["items"] if w["worker"] == "w")
    assert worker["completed"] >= 1


@pytest.mark.req("D-ENG-006")
def test_start_and_wait_for_the_end(http):
    def work():
        taken = job(http)
        http.post(f"/v1/jobs/{taken['key']}/complete", json={"variables": {"answer": 42, "more": 1}})

    worker = threading.Thread(target=work)
    worker.start()
    done = start(http, wait_ms=10_000, fetch=["answer"])
    worker.join()
    assert done["status"] == "completed" and done["variables"] == {"answer": 42}
    r = http.post("/v1/instances", json={"definition": "waits", "variables": {"order": "never"}, "wait_ms": 50})
    assert r.status_code == 504 and r.json()["code"] == "DEADLINE_EXCEEDED"


@pytest.mark.req("WOS-RES-001", "WOS-RES-006")
def test_a_failed_job_is_an_incident_and_can_be_resolved(http):
    made = start(http)
    taken = job(http)
    r = http.post(f"/v1/jobs/{taken['key']}/fail", json={"message": "printer on fire", "retries": 0})
    assert r.status_code == 200
    query = {"instance": made["id"], "wait_for": r.json()["position"]}
    (incident,) = http.get("/v1/incidents", params=query).json()["items"]
    assert incident["status"] == "open" and "printer on fire" in incident["message"]
    listed = http.get("/v1/instances", params={"has_incident": "true", "wait_for": query["wait_for"]}).json()["items"]
    assert made["id"] in [i["id"] for i in listed]
    assert http.post(f"/v1/jobs/{taken['key']}/retries", json={"retries": 1}).status_code == 200
    r = http.post(f"/v1/incidents/{incident['id']}/resolve")
    assert r.status_code == 200
    again = job(http)
    assert again["key"] == taken["key"]
    assert http.post(f"/v1/jobs/{again['key']}/complete").status_code == 200


def test_a_message_finds_its_instance_whatever_the_partition(http):
    for n in range(4):
        order = f"o-{uuid.uuid4().hex}"
        made = start(http, "waits", variables={"order": order})
        assert (
            http.post("/v1/messages", json={"name": "paid", "correlation_key": order, "variables": {"n": n}, "ttl_ms": 5000}).status_code
            == 201
        )
        found = wait_for(lambda id=made["id"]: (f := http.get(f"/v1/instances/{id}").json())["status"] == "completed" and f)
        assert found["output"]["n"] == n


def test_a_message_id_is_taken_once(http):
    body = {
        "name": "paid",
        "correlation_key": uuid.uuid4().hex,
        "message_id": "m",
        "ttl_ms": 600_000,
    }  # it must not expire while others look
    assert [http.post("/v1/messages", json=body).status_code for _ in range(2)] == [201, 409]


@pytest.mark.req("D-API-029", "APG-API-004")
def test_subscribers_see_it_as_it_happens_and_go_on_where_they_were(http, server):
    order = uuid.uuid4().hex
    made = start(http, "waits", variables={"order": order})
    seen: list[dict] = []

    def read(count, **query):
        found = []
        with http.stream("GET", "/v1/events", params={"instance": made["id"], **query}) as r:
            for line in r.iter_lines():
                if line.startswith("data: {") and line != "data: {}":
                    found.append(json.loads(line[6:]))
                    if len(found) == count:
                        return found
        return found

    seen = read(2, position="start")
    assert "workflow.started" in [e["type"] for e in seen], "first in its partition; the message is awaited in another one, maybe"
    http.post("/v1/messages", json={"name": "paid", "correlation_key": order, "ttl_ms": 5000})
    rest = read(1, position=seen[-1]["cursor"], type="workflow.completed")
    assert rest[0]["instance"] == made["id"] and rest[0]["id"] not in {e["id"] for e in seen}


@pytest.mark.req("APG-TEN-002")
def test_tenants_are_apart(http):
    made = start(http, "waits", variables={"order": "t"})
    other = {"X-Tenant": "other"}
    assert http.get(f"/v1/instances/{made['id']}", headers=other).status_code == 404
    assert http.get("/v1/instances", headers=other).json()["items"] == []
    assert http.post("/v1/instances", json={"definition": "waits"}, headers=other).status_code == 404
    http.post(f"/v1/instances/{made['id']}/cancel")


@pytest.mark.req("D-API-011")
def test_pages_of_a_real_list_meet_each_row_once(http):
    made = [start(http, "waits", variables={"order": "p"}, business_key="pages") for _ in range(8)]
    ids = {i["id"] for i in made}
    for i in made:  # each partition has a position of its own
        http.get("/v1/instances", params={"business_key": "pages", "wait_for": i["position"]})
    seen, cursor = [], None
    while True:
        page = http.get("/v1/instances", params={"business_key": "pages", "limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += [i["id"] for i in page["items"]]
        if not (cursor := page["cursor"]):
            break
    assert sorted(seen) == sorted(ids)
    assert (r := http.get("/v1/instances?cursor=zzz")).status_code == 400 and "cursor" in r.text
    assert http.get("/v1/instances?var.a[about]=1").status_code == 400
    for id in ids:
        http.post(f"/v1/instances/{id}/cancel")


@pytest.mark.req("D-SCO-002", "D-STA-001")
def test_definitions_over_their_life(http):
    one = http.get("/v1/definitions/one-task").json()
    assert one["status"] == "published" and http.get(f"/v1/definitions/{one['key']}/source").text == ONE_TASK
    draft = http.post("/v1/definitions", json={"name": "draft.bpmn", "content": ONE_TASK.replace("one-task", "drafted")}).json()
    key = draft["definitions"][0]["key"]
    assert http.post("/v1/instances", json={"definition": "drafted"}).status_code in (404, 409)
    r = http.post(f"/v1/definitions/{key}/publish", json={"reason": "ready"})
    assert r.status_code == 200, r.text
    made = wait_for(lambda: (r := http.post("/v1/instances", json={"definition": "drafted"})).status_code == 201 and r.json())
    http.post(f"/v1/instances/{made['id']}/cancel")


@pytest.mark.req("D-MON-006", "APG-MON-010")
def test_health_and_figures(http):
    made = http.post("/v1/instances", json={"definition": "waits", "variables": {"order": uuid.uuid4().hex}}).json()
    http.post(f"/v1/instances/{made['id']}/cancel")
    ready = wait_for(lambda: (told := http.get("/health/ready").json())["status"] == "ready" and told)
    assert set(ready["partitions"]) == {"0", "1"}
    awaited = 'flowledger_events_total{type="workflow.started"}', 'flowledger_projected_events_total{projection="all"}'

    def look():
        text = http.get("/metrics").text
        found = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and not line.startswith("#")}
        return found if all(found.get(name, 0) >= 1 for name in awaited) else None

    figures = wait_for(look)
    assert figures["flowledger_batch_events_count"] >= 1 and figures['flowledger_takeovers_total{partition="0"}'] == 1
    assert 'flowledger_projection_lag_events{partition="0",projection="all"}' in figures


def test_bad_input_leaves_no_trace_in_the_log(http):
    def positions():
        """Events on the log but for its own signed heads, and that somebody asked in vain."""
        found = []
        with http.stream("GET", "/v1/events?position=start", timeout=3) as stream:
            try:
                for line in stream.iter_lines():
                    if line.startswith("event: ") and not line.startswith(
                        ("event: ledger.", "event: subscribed", "event: operation.refused")
                    ):
                        found.append(line)
            except Exception as over:
                assert "imeout" in type(over).__name__, over
        return len(found)

    before = -1
    while before != (before := positions()):  # what others began comes to rest first
        pass
    for path, body in [
        ("/v1/instances", {"definition": "no-such-process"}),
        ("/v1/instances", {"definition": "waits", "nonsense": 1}),
        ("/v1/jobs/77/complete", {}),
        ("/v1/tasks/77/claim", {}),
        ("/v1/incidents/77/resolve", {}),
        ("/v1/deployments", {"resources": [{"name": "a.bpmn", "content": "<definitions"}]}),
    ]:
        r = http.post(path, json=body)
        assert 400 <= r.status_code < 500 and r.json()["code"] != "INTERNAL", (path, r.text)
    assert positions() == before


def test_websockets_of_the_system(http, server):
    from websockets.sync.client import connect

    address = server.url.replace("http", "ws")
    with connect(f"{address}/v1/events?type=workflow.started") as ws:
        assert json.loads(ws.recv(5))["type"] == "subscribed"
        made = start(http, "waits", variables={"order": "w"})
        got = json.loads(ws.recv(5))
        assert got["instance"] == made["id"] and got["data"]["process"] == "waits"
    (listed, *_) = wait_for(lambda: http.get(f"/v1/instances/{made['id']}/events?type=workflow.started").json().get("items"))
    assert listed["data"] == got["data"] and got["data"]["message"] is None
    http.post(f"/v1/instances/{made['id']}/cancel")
    with connect(f"{address}/v1/jobs/stream") as ws:
        ws.send("no frame")
        with pytest.raises(Exception, match="1007"):
            ws.recv(5)
