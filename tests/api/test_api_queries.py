"""Reading: keys, pages, filters, one's own writes, progress, state at a moment."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

_spec = spec_from_file_location("api_conftest", Path(__file__).with_name("conftest.py"))
_conf = module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(_conf)  # type: ignore[union-attr]
KEY, instance_row = _conf.KEY, _conf.instance_row


async def test_a_list_goes_page_by_page(http, reads):
    reads.rows["instances"] = [instance_row(KEY + n) for n in range(5)]
    seen, cursor = [], ""
    while True:
        page = (await http.get("/v1/instances", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [i["id"] for i in page["items"]]
        if not (cursor := page["cursor"]):
            break
    assert seen == [str(KEY + n) for n in range(5)]


async def test_filters_reach_the_query(http, reads):
    query = (
        "definition=order&status=running&status=suspended&has_incident=true&started_from=2026-11-21T10:00:00Z&parent=7&limit=3"
        "&var.amount[gt]=10.50&var.city=Bonn"
    )
    r = await http.get("/v1/instances?" + query, headers={"X-Tenant": "acme"})
    assert r.status_code == 200, r.text
    expected = {
        "definition": "order", "status": "running,suspended", "has_incident": "true", "started_from": "2026-11-21T10:00:00+00:00",
        "parent": "7", "var.amount[gt]": "10.50", "var.city": "Bonn",
    }  # fmt: skip
    assert reads.asked[-1] == ("instances", expected, 3, "", "acme")
    await http.get("/v1/tasks?assignee=ann&status=created&due_before=2026-12-01T00:00:00Z")
    assert reads.asked[-1][1] == {"assignee": "ann", "status": "created", "due_before": "2026-12-01T00:00:00+00:00"}
    await http.get("/v1/tasks?open=true")
    assert reads.asked[-1][1] == {"status": "created,assigned,started,in_progress,suspended,failed,timed_out"}
    for both, status in (
        ("open=true&status=created&status=completed", "created"),
        ("open=false&status=created", ""),
    ):  # as all filters: both
        assert (await http.get(f"/v1/tasks?{both}")).status_code == 200 and reads.asked[-1][1] == {"status": status}
    await http.get("/v1/incidents?status=open&definition=order")
    assert reads.asked[-1][:2] == ("incidents", {"status": "open", "definition": "order"})
    await http.get("/v1/definitions?latest=true&kind=process")
    assert reads.asked[-1][:2] == ("definitions", {"latest": "true", "kind": "process"})


async def test_wait_for_waits_for_the_projection(http, client, reads):
    reads.at[2] = 16
    client.log[2] = [None] * 18  # type: ignore[list-item]
    r = await http.get("/v1/instances?wait_for=2-17")
    assert r.status_code == 503 and r.headers["retry-after"] == "1" and reads.waited == [{2: 17}]
    reads.at[2] = 17
    assert (await http.get("/v1/instances?wait_for=2-17")).status_code == 200


async def test_a_place_beyond_the_end_of_the_log_is_no_reason_to_wait(http, reads):
    reads.at[2] = -1
    r = await http.get("/v1/instances?wait_for=2-17")
    assert r.status_code == 404 and "2-17" in r.json()["detail"] and "empty" in r.json()["detail"]


async def test_what_was_just_started_can_be_read(http, client, reads):
    client.answers["StartInstance"] = {"key": KEY, "position": "2-17"}
    await http.post("/v1/instances", json={"definition": "order"})
    reads.late = [("instances", instance_row())]
    assert (await http.get(f"/v1/instances/{KEY}")).status_code == 200
    assert reads.waited == [{2: 17}]
    await http.get(f"/v1/instances/{KEY}")
    assert len(reads.waited) == 1, "once it was seen nobody waits again"


async def test_an_unknown_key_is_answered_at_once_when_the_projection_is_up_to_date(http, client, reads):
    r = await http.get(f"/v1/instances/{KEY}")
    assert r.status_code == 404 and r.json()["detail"] == f"no instance {KEY}" and reads.waited == []


async def test_a_key_made_elsewhere_is_waited_for_while_the_projection_is_behind(http, client, reads):
    client.log[2] = [None] * 10  # type: ignore[list-item]
    reads.at[2] = 5
    reads.late = [("instances", instance_row())]
    reads.wait_for_truth = True

    async def soon(positions, timeout_s):
        reads.waited.append(positions)
        reads.rows["instances"].append(instance_row())
        return True

    reads.wait_for = soon
    assert (await http.get(f"/v1/instances/{KEY}")).status_code == 200 and reads.waited == [{2: 9}]


async def test_tenants_see_their_own_only(http, reads):
    reads.rows["instances"].append(instance_row(tenant="a"))
    assert (await http.get(f"/v1/instances/{KEY}", headers={"X-Tenant": "b"})).status_code == 404
    assert (await http.get(f"/v1/instances/{KEY}", headers={"X-Tenant": "a"})).status_code == 200


async def test_variables_and_reports(http, reads):
    reads.rows["instances"].append(instance_row())
    assert (await http.get(f"/v1/instances/{KEY}/variables")).json()["variables"] == {"a": {"id": 1}}
    for name in ("status", "metrics", "tree"):
        assert (await http.get(f"/v1/instances/{KEY}/{name}")).json() == {"report": name, "id": str(KEY)}
        assert (await http.get(f"/v1/instances/{KEY + 1}/{name}")).status_code == 404


MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
<process id="order" isExecutable="true">
<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/><serviceTask id="a" name="Pay"/>
<sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


def history():
    def row(offset, type, seconds, /, **data):
        return {
            "position": f"2-{offset}", "id": f"2-{offset}", "type": type, "time": f"2026-11-21T12:00:0{seconds}Z", "instance": str(KEY),
            "data": {**data, "key": str(KEY)}, "metadata": {"actor": "ann", "tenant": ""}, "correlation_id": "c", "causation_id": "",
        }  # fmt: skip

    token, task = KEY + 1, KEY + 2
    start = {"process": "order", "definition": 5, "version": 1, "message": 0, "variables": {"n": 1}, "token": token, "element": "s"}
    return [
        row(10, "workflow.started", 0, **start),
        row(11, "flow.taken", 0, token=token, flow="f1", source="s", target="a"),
        row(12, "task.created", 0, task=task, token=token, element="a", type="service_task", job_type="pay"),
        row(20, "task.failed", 5, task=task, token=token, element="a", retries=2),
        row(30, "task.completed", 9, task=task, token=token, element="a", variables={"paid": True}, merged=KEY),
        row(31, "flow.taken", 9, token=token, flow="f2", source="a", target="e"),
        row(32, "workflow.completed", 9, token=token, element="e"),
    ]


async def test_events_of_an_instance(http, reads):
    reads.rows["instances"].append(instance_row())
    reads.history = history()
    page = (await http.get(f"/v1/instances/{KEY}/events?limit=3")).json()
    assert [e["id"] for e in page["items"]] == ["2-10", "2-11", "2-12"] and page["cursor"] == "2-12"
    assert page["items"][2]["data"]["task"] == str(KEY + 2) and page["items"][0]["data"]["variables"] == {"n": 1}
    assert page["items"][0]["data"]["message"] is None, "no key is null, as subscribers see it"
    assert page["items"][0]["actor"] == "ann" and page["items"][0]["correlation"] == "c" and "key" not in page["items"][0]["data"]
    r = await http.get(f"/v1/instances/{KEY}/events?type=task.*,workflow_completed&after=2-12")
    assert [e["type"] for e in r.json()["items"]] == ["task.failed", "task.completed", "workflow.completed"]


@pytest.mark.parametrize(
    ("at", "status", "element", "variables", "tasks"),
    [
        ("2-12", "running", "a", {"n": 1}, 1),
        ("12", "running", "a", {"n": 1}, 1),
        ("2026-11-21T12:00:05Z", "running", "a", {"n": 1}, 1),
        ("2-31", "running", "e", {"n": 1, "paid": True}, 0),
        ("", "completed", None, {"n": 1, "paid": True}, 0),
    ],
)
async def test_the_state_at_any_moment_is_a_fold(http, reads, at, status, element, variables, tasks):
    reads.rows["instances"].append(instance_row())
    reads.history = history()
    r = await http.get(f"/v1/instances/{KEY}/state", params={"at": at} if at else {})
    assert r.status_code == 200, r.text
    state = r.json()
    assert (state["status"], state["variables"], len(state["tasks"])) == (status, variables, tasks)
    assert [t["element"] for t in state["tokens"]] == ([element] if element else [])


async def test_a_moment_in_another_partition_is_refused(http, reads):
    reads.rows["instances"].append(instance_row())
    r = await http.get(f"/v1/instances/{KEY}/state?at=1-12")
    assert r.status_code == 422 and "partition 2" in r.json()["detail"]


async def test_definitions_source_and_difference(http, reads):
    row = {"key": "5", "id": "order", "kind": "process", "version": 1, "status": "published", "tenant": ""}
    reads.rows["definitions"] = [row, {**row, "key": "6", "version": 2}]
    reads.sources = {
        "5": {"content": MODEL, "name": "order.bpmn"},
        "6": {"content": MODEL.replace('name="Pay"', 'name="Pay now"'), "name": 'or"der.bpmn'},
    }
    found = (await http.get("/v1/definitions/5")).json()
    assert (found["id"], found["key"], found["definition_id"], found["process"]) == ("5", "5", "order", "order")
    assert (await http.get("/v1/definitions/order")).json()["key"] == "5"
    assert (await http.get("/v1/definitions/unknown")).status_code == 404
    r = await http.get("/v1/definitions/6/source")
    assert r.headers["content-type"].startswith("application/xml") and 'filename="or_der.bpmn"' in r.headers["content-disposition"]
    drawn = await http.get("/v1/definitions/5/diagram")
    assert (
        drawn.headers["content-type"].startswith("application/xml")
        and "BPMNShape" not in MODEL
        and drawn.text.count("<bpmndi:BPMNShape ") >= 3
    )
    diff = (await http.get("/v1/definitions/5/diff?to=6")).json()
    assert diff["added"] == diff["removed"] == []
    assert [(c["from"]["name"], c["to"]["name"]) for c in diff["changed"]] == [("Pay", "Pay now")] and "Pay now" in diff["text"]
    assert [(c["change"], c["fields"]) for c in diff["changes"]] == [("changed", [{"field": "@name", "from": "Pay", "to": "Pay now"}])]


async def test_a_drawing_and_a_source_go_once_and_are_asked_for_each_time(http, reads):
    row = {"key": "5", "id": "order", "kind": "process", "version": 1, "status": "draft", "tenant": ""}
    reads.rows["definitions"], reads.sources = [row], {"5": {"content": MODEL, "name": "order.bpmn"}}
    for path in ("/v1/definitions/5/diagram", "/v1/definitions/5/source"):
        first = await http.get(path)
        assert first.headers["cache-control"] == "private, no-cache" and "default-src 'none'" in first.headers["content-security-policy"]
        known = {"If-None-Match": f'"other", W/{first.headers["etag"]}'}
        again = await http.get(path, headers=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert (await http.get(path, headers={**known, "X-Tenant": "b"})).status_code == 404, "whose it is not hears nothing of it"
        reads.sources = {"5": {"content": MODEL.replace("Pay", "Buy"), "name": "order.bpmn"}}
        assert "Buy" in (await http.get(path, headers=known)).text
        reads.sources = {"5": {"content": MODEL, "name": "order.bpmn"}}


async def test_tasks_and_incidents(http, reads):
    reads.rows["tasks"] = [{"id": "8", "instance": str(KEY)}]
    reads.rows["incidents"] = [{"id": "9", "task": "8"}]
    assert (await http.get("/v1/tasks/8")).json()["id"] == "8" and (await http.get("/v1/tasks/8/metrics")).json()[
        "report"
    ] == "task_metrics"
    assert (await http.get("/v1/incidents/9")).json()["task"] == "8"
    assert (await http.get("/v1/tasks/77")).json()["detail"] == "no task 77"
