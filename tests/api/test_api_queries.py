"""Reading: keys, pages, filters, one's own writes, progress, state at a moment."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

_spec = spec_from_file_location("api_conftest", Path(__file__).with_name("conftest.py"))
_conf = module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(_conf)  # type: ignore[union-attr]
T0, KEY, instance_row = _conf.T0, _conf.KEY, _conf.instance_row


async def test_rows_have_text_keys_and_callers_data_stays(http, reads):
    reads.rows["instances"].append(instance_row(metadata={"id": 3}))
    r = await http.get(f"/v1/instances/{KEY}")
    assert r.status_code == 200
    assert (r.json()["id"], r.json()["definition"], r.json()["root"], r.json()["parent"]) == (str(KEY), "5", str(KEY), None)
    assert r.json()["started_at"] == "2026-11-21T12:00:00Z" and r.json()["metadata"] == {"id": 3}


async def test_a_list_goes_page_by_page(http, reads):
    reads.rows["instances"] = [instance_row(KEY + n) for n in range(5)]
    seen, cursor = [], ""
    while True:
        page = (await http.get("/v1/instances", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [i["id"] for i in page["items"]]
        if not (cursor := page["next"]):
            break
    assert seen == [str(KEY + n) for n in range(5)]


async def test_filters_reach_the_query_in_their_types(http, reads):
    query = (
        "definition=order&status=running&status=suspended&has_incident=true&started_from=2026-11-21T10:00:00Z&parent=7&limit=3"
        "&var.amount[gt]=10.50&var.city=Bonn&var.kind[in]=a,b&var.flag[ne]=true"
    )
    r = await http.get("/v1/instances?" + query, headers={"X-Tenant": "acme"})
    assert r.status_code == 200, r.text
    noun, filters, limit, cursor, tenant = reads.asked[-1]
    assert (noun, limit, cursor, tenant) == ("instances", 3, "", "acme")
    assert filters["process"] == "order" and "definition" not in filters
    assert filters["status"] == ["running", "suspended"] and filters["has_incident"] is True and filters["parent"] == 7
    assert filters["started_from"] == T0 - timedelta(hours=2)
    assert {(v.name, v.op, str(v.value)) for v in filters["variables"]} == {
        ("amount", "gt", "10.50"), ("city", "eq", "Bonn"), ("kind", "in", "['a', 'b']"), ("flag", "ne", "True"),
    }  # fmt: skip
    await http.get("/v1/instances?definition=17")
    assert reads.asked[-1][1] == {"definition": 17}


async def test_wait_for_waits_for_the_projection(http, reads):
    reads.at[2] = 16
    r = await http.get("/v1/instances?wait_for=2-17")
    assert r.status_code == 503 and r.headers["retry-after"] == "1" and reads.waited == [{2: 17}]
    reads.at[2] = 17
    assert (await http.get("/v1/instances?wait_for=2-17")).status_code == 200


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


async def test_variables_by_scope(http, reads):
    reads.rows["instances"].append(instance_row())
    reads.vars = [
        {"instance": KEY, "scope": KEY, "name": "a", "value": {"id": 1}},
        {"instance": KEY, "scope": KEY + 3, "name": "b", "value": [2]},
    ]
    r = await http.get(f"/v1/instances/{KEY}/variables")
    assert r.json() == {"instance": str(KEY), "variables": {"a": {"id": 1}}, "scopes": {str(KEY + 3): {"b": [2]}}}


MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
<process id="order" isExecutable="true">
<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/><serviceTask id="a" name="Pay"/>
<sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


def history():
    def row(offset, type, seconds, /, **data):
        return {"partition": 2, "offset": offset, "type": type, "time": T0 + timedelta(seconds=seconds), "instance": KEY, "data": data}

    return [
        row(10, "workflow.started", 0, process="order", definition=5, version=1, variables={"n": 1}, token=KEY + 1, element="s"),
        row(11, "flow.taken", 0, token=KEY + 1, flow="f1", source="s", target="a"),
        row(12, "task.created", 0, task=KEY + 2, token=KEY + 1, element="a", type="service_task", job_type="pay"),
        row(20, "task.failed", 5, task=KEY + 2, token=KEY + 1, element="a", retries=2),
        row(30, "task.completed", 9, task=KEY + 2, token=KEY + 1, element="a", variables={"paid": True}, merged=KEY),
        row(31, "flow.taken", 9, token=KEY + 1, flow="f2", source="a", target="e"),
        row(32, "workflow.completed", 9, token=KEY + 1, element="e"),
    ]


async def test_events_of_an_instance(http, reads):
    reads.rows["instances"].append(instance_row())
    reads.history = history()
    page = (await http.get(f"/v1/instances/{KEY}/events?limit=3")).json()
    assert [e["id"] for e in page["items"]] == ["2-10", "2-11", "2-12"] and page["next"] == "2-12"
    assert page["items"][2]["data"]["task"] == str(KEY + 2) and page["items"][0]["data"]["variables"] == {"n": 1}
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
    assert r.status_code == 400 and "partition 2" in r.json()["detail"]


async def test_progress_grows_on_a_linear_process(http, reads):
    reads.rows["instances"].append(instance_row())
    reads.sources[5] = (MODEL, "order.bpmn", "bpmn")
    reads.mean = 60.0
    seen = []
    for n in (1, 3, 6):
        reads.history = history()[:n]
        seen.append((await http.get(f"/v1/instances/{KEY}/status")).json())
    assert [s["progress_percent"] for s in seen] == [0, 33, 66]
    assert seen[1]["active_elements"] == ["a"] and seen[1]["pending_elements"] == ["e"] and seen[1]["active_tasks"][0]["job_type"] == "pay"
    assert seen[1]["estimated_end"] == "2026-11-21T12:01:00Z" and seen[1]["bottlenecks"][0]["element"] == "a"
    reads.rows["instances"] = [instance_row(status="completed")]
    reads.history = history()
    done = (await http.get(f"/v1/instances/{KEY}/status")).json()
    assert done["progress_percent"] == 100 and done["pending_elements"] == [] and done["failed_attempts"] == 1


async def test_metrics_are_counted_from_the_events(http, reads):
    reads.rows["instances"].append(instance_row())
    reads.history = history()
    reads.rows["tasks"].append(
        {"id": 1, "instance": KEY, "created_at": T0, "started_at": T0 + timedelta(seconds=2), "completed_at": T0 + timedelta(seconds=9)}
    )
    m = (await http.get(f"/v1/instances/{KEY}/metrics")).json()
    assert (m["duration_ms"], m["steps_completed"], m["steps_failed"], m["retries"], m["events"]) == (9000, 3, 1, 1, 7)
    assert (m["task_wait_ms"], m["task_work_ms"]) == (2000, 7000)
    assert m["elements"][0] == {"element": "a", "count": 1, "total_ms": 9000.0, "mean_ms": 9000.0}


async def test_the_tree_of_called_instances(http, reads):
    reads.rows["instances"] = [
        instance_row(KEY, status="completed"),
        instance_row(KEY + 10, status="completed", parent=KEY),
        instance_row(KEY + 20, status="completed", parent=KEY + 10),
        instance_row(KEY + 30, status="completed", parent=KEY),
    ]
    tree = (await http.get(f"/v1/instances/{KEY}/tree")).json()
    assert [c["id"] for c in tree["children"]] == [str(KEY + 10), str(KEY + 30)]
    assert tree["children"][0]["children"][0]["id"] == str(KEY + 20) and tree["complete"] is True


async def test_definitions_source_and_difference(http, reads):
    row = {"key": 5, "id": "order", "kind": "process", "version": 1, "status": "published", "resource": "order.bpmn", "tenant": ""}
    reads.rows["definitions"] = [row, {**row, "key": 6, "version": 2}]
    reads.sources = {5: (MODEL, "order.bpmn", "bpmn"), 6: (MODEL.replace('name="Pay"', 'name="Pay now"'), 'or"der.bpmn', "bpmn")}
    d = (await http.get("/v1/definitions/5")).json()
    assert d["id"] == "5" and d["process"] == "order" and [v["id"] for v in d["versions"]] == ["5", "6"]
    listed = (await http.get("/v1/definitions?process=order")).json()
    assert [i["id"] for i in listed["items"]] == ["5", "6"]
    r = await http.get("/v1/definitions/6/source")
    assert r.headers["content-type"].startswith("application/xml") and 'filename="or_der.bpmn"' in r.headers["content-disposition"]
    diff = (await http.get("/v1/definitions/5/diff?to=6")).json()
    assert diff["added"] == diff["removed"] == []
    assert [(c["from"]["name"], c["to"]["name"]) for c in diff["changed"]] == [("Pay", "Pay now")] and "+<startEvent" in diff["text"]


async def test_tasks_and_incidents(http, reads):
    reads.rows["tasks"] = [{"id": 8, "instance": KEY, "element": "a", "status": "created", "input": {"id": 1}}]
    reads.rows["incidents"] = [{"id": 9, "instance": KEY, "task": 8, "code": "NO_FLOW"}]
    assert (await http.get("/v1/tasks/8")).json() == {
        "id": "8",
        "instance": str(KEY),
        "element": "a",
        "status": "created",
        "input": {"id": 1},
    }
    assert (await http.get("/v1/incidents/9")).json()["task"] == "8"
    await http.get("/v1/tasks?assignee=ann&status=created&due_before=2026-12-01T00:00:00Z&open=true")
    assert reads.asked[-1][1]["assignee"] == "ann" and reads.asked[-1][1]["open"] is True
    assert (await http.get("/v1/tasks/77")).status_code == 404
