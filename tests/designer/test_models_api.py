"""Models are checked, converted, compared with what runs, and tried; nothing of it is kept."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from flowledger.api import room as rooms
from flowledger.api.problems import Problem
from flowledger.sdk.testing import trial

from .conftest import THREE, model

ROOT = Path(__file__).resolve().parents[2]
BROKEN = model('<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="gone"/>')


@pytest.mark.req("APG-MOD-006")
async def test_findings_stand_at_their_elements(http):
    found = (await http.post("/v1/models/check", json={"name": "p.bpmn", "content": BROKEN})).json()
    assert found["format"] == "bpmn"
    error = next(f for f in found["findings"] if f["severity"] == "error")
    assert error["element"] and error["line"] and error["message"] and "chapter" in error
    good = (await http.post("/v1/models/check", json={"name": "p.bpmn", "content": THREE})).json()
    assert not [f for f in good["findings"] if f["severity"] == "error"]
    assert good["definitions"] == [{"kind": "process", "id": "p", "name": ""}]


async def test_findings_of_connectors_are_told_as_well(http):
    inside = (
        '<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="call"/><serviceTask id="call"><extensionElements>'
        '<zeebe:taskDefinition type="flowledger:http"/></extensionElements></serviceTask>'
    )
    found = (await http.post("/v1/models/check", json={"name": "p.bpmn", "content": model(inside)})).json()["findings"]
    assert [f["element"] for f in found if f["code"].startswith("CONNECTOR")], found


@pytest.mark.parametrize(
    ("name", "format"),
    [("order.bpmn", "bpmn"), ("approval-level.dmn", "dmn"), ("pipeline.yaml", "steps"), ("place-order.bpml", "bpml"), ("employee-onboarding.json", "process-json"),
     ("forms/order-approval.form", "form")],
)  # fmt: skip
async def test_every_format_is_known(http, name, format):
    content = (ROOT / "examples" / name).read_text()
    found = (await http.post("/v1/models/check", json={"name": name, "content": content})).json()
    assert found["format"] == format and found["definitions"]


@pytest.mark.parametrize("content", ["", "  ", "<", "{", "hello", '{"a": 1}', "\u0001", "<definitions/>"])
async def test_what_is_no_model_is_a_finding_not_an_error_of_ours(http, content):
    answer = await http.post("/v1/models/check", json={"name": "x", "content": content})
    assert answer.status_code == 200, answer.text
    assert bool(answer.json()["findings"]) == bool(content.strip())


@pytest.mark.req("APG-MOD-004")
@pytest.mark.parametrize("name", ["order.bpmn", "pipeline.yaml", "nightly-report.yaml", "place-order.bpml", "employee-onboarding.json"])
async def test_all_formats_become_bpmn_with_a_diagram(http, name):
    content = (ROOT / "examples" / name).read_text()
    found = (await http.post("/v1/models/convert", json={"name": name, "content": content})).json()
    assert found["name"] == f"{name.rpartition('.')[0]}.bpmn"
    assert "BPMNPlane" in found["content"]
    if name == "order.bpmn":
        assert found["content"] == content, "ours and drawn: kept as it is"


@pytest.mark.req("APG-MOD-004")
async def test_a_process_is_written_as_json_and_read_again(http):
    content = (ROOT / "examples" / "order.bpmn").read_text()
    found = (await http.post("/v1/models/convert", json={"name": "order.bpmn", "content": content, "to": "process-json"})).json()
    assert (found["name"], found["same"]) == ("order.json", True)
    steps = (await http.post("/v1/models/convert", json={"name": "order.bpmn", "content": content, "to": "steps"})).json()
    assert (steps["name"], steps["same"]) == ("order.steps.json", False) and steps["findings"], "it is none of steps"
    back = (await http.post("/v1/models/convert", json={"name": "order.json", "content": found["content"]})).json()
    assert "BPMNPlane" in back["content"] and back["same"] is None
    for wrong in ("", "hello", "<definitions"):
        answer = await http.post("/v1/models/convert", json={"name": "x.bpmn", "content": wrong, "to": "process-json"})
        assert answer.status_code == 422 if not wrong else answer.json()["content"] is None and answer.json()["findings"], wrong
    assert (await http.post("/v1/models/convert", json={"name": "x", "content": "x", "to": "bpel"})).status_code == 400


@pytest.mark.req("APG-MOD-001", "APG-MOD-004")
async def test_a_process_is_written_as_bpml_and_read_again(http):
    content = (ROOT / "examples" / "place-order.bpml").read_text()
    drawn = (await http.post("/v1/models/convert", json={"name": "place-order.bpml", "content": content})).json()["content"]
    found = (await http.post("/v1/models/convert", json={"name": "orders.bpmn", "content": drawn, "to": "bpml"})).json()
    assert (found["name"], found["same"], found["findings"]) == ("orders.bpml", True, [])
    back = (await http.post("/v1/models/check", json={"name": "orders.bpml", "content": found["content"]})).json()
    assert back["format"] == "bpml" and [d["id"] for d in back["definitions"]] == ["PlaceOrder"]
    order = (ROOT / "examples" / "order.bpmn").read_text()
    lossy = (await http.post("/v1/models/convert", json={"name": "order.bpmn", "content": order, "to": "bpml"})).json()
    assert not lossy["same"] and lossy["content"] and all(f["code"].startswith("WRITE_") and f["element"] for f in lossy["findings"])


@pytest.mark.parametrize(("content", "code"), [("hello", ""), ("<definitions", ""), ('{"id": "f", "components": []}', "NOT_BPMN")])
async def test_what_is_no_process_is_said_when_it_is_converted(http, content, code):
    found = (await http.post("/v1/models/convert", json={"name": "x.txt", "content": content})).json()
    assert found["content"] is None and found["findings"]
    assert code in [f["code"] for f in found["findings"]] or not code


@pytest.mark.req("APG-MOD-007")
async def test_a_draft_beside_what_runs(http, reads):
    body = {
        "name": "p.bpmn",
        "content": THREE.replace('type="check"', 'type="look"').replace('id="task"', 'id="decide"').replace('"task"', '"decide"'),
    }
    first = (await http.post("/v1/models/compare", json=body)).json()["items"]
    assert [(i["id"], i["key"], i["changes"]) for i in first] == [("p", None, [])]
    reads.rows["definitions"].append({"key": "77", "id": "p", "version": 3, "tenant": "", "kind": "process"})
    reads.sources["77"] = {"content": THREE, "name": "p.bpmn"}
    found = (await http.post("/v1/models/compare", json=body)).json()["items"][0]
    assert (found["key"], found["version"]) == ("77", 3)
    changes = {c["id"]: c["change"] for c in found["changes"]}
    assert changes["task"] == "removed" and changes["decide"] == "added" and changes["job"] == "changed"
    assert "-" in found["text"] and "look" in found["text"]


@pytest.mark.req("APG-UI-006")
async def test_a_draft_is_tried_step_by_step(http):
    steps: list[dict] = [{"start": "p", "variables": {"amount": 5}}]

    async def tried() -> dict:
        answer = await http.post("/v1/models/try", json={"models": [{"name": "p.bpmn", "content": THREE}], "steps": steps})
        assert answer.status_code == 200, answer.text
        found: dict = answer.json()
        return found

    found = await tried()
    assert [(w["kind"], w["element"], w["name"], w["instance"]) for w in found["waiting"]] == [("job", "job", "check", "p#1")]
    steps.append({"complete": "job", "variables": {"checked": True}, "instance": "p#1"})
    found = await tried()
    assert [(w["kind"], w["element"]) for w in found["waiting"]] == [("task", "task")]
    assert found["instances"][0]["variables"] == {"amount": 5, "checked": True} and found["instances"][0]["active"] == ["task"]
    steps.append({"complete": "task", "by": "eve"})
    found = await tried()
    assert (found["instances"][0]["status"], found["coverage"][0]["percent"], found["done"], found["failed"]) == ("completed", 100, 3, None)
    steps.append({"complete": "task"})
    found = await tried()
    assert (found["done"], found["failed"]["step"], found["failed"]["what"]) == (3, 4, "complete"), "the rest stands as it was before"
    assert found["instances"][0]["status"] == "completed"


async def test_models_with_errors_are_not_tried(http):
    answer = await http.post("/v1/models/try", json={"models": [{"name": "p.bpmn", "content": BROKEN}]})
    assert (answer.status_code, answer.json()["code"]) == (422, "MODEL_INVALID") and answer.json()["findings"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"models": []}, 400),
        ({"models": [{"name": "p.bpmn", "content": THREE}] * 2}, 422),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"deploy": "/etc/passwd"}]}, 422),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"strat": "p"}]}, 422),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [1]}, 400),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"start": "p"}] * 501}, 400),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"start": "p", "start_at": [5]}]}, 422),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"start": "p", "version": "x"}]}, 422),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "mocks": {"job": {}}}, 422),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "now": "yesterday"}, 422),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"start": "q"}]}, 200),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"advance": "tomorrow"}]}, 200),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"start": 5}]}, 422),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"start": "p"}, {"set": [1]}]}, 422),
        ({"models": [{"name": "p.bpmn", "content": THREE}], "steps": [{"start": "p"}, {"complete": "job", "instance": "p#9"}]}, 200),
    ],
)
async def test_steps_that_are_none_are_told(http, body, status):
    answer = await http.post("/v1/models/try", json=body)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["failed"]["message"]


async def test_a_process_that_goes_round_for_ever_is_stopped(http, monkeypatch):
    monkeypatch.setattr(trial, "DECISIONS_MAX", 50)
    inside = (
        '<startEvent id="s"/><sequenceFlow id="a" sourceRef="s" targetRef="g"/><exclusiveGateway id="g"/>'
        '<sequenceFlow id="b" sourceRef="g" targetRef="t"/><scriptTask id="t"><extensionElements><zeebe:script expression="=1" resultVariable="x"/>'
        '</extensionElements></scriptTask><sequenceFlow id="c" sourceRef="t" targetRef="g"/>'
    )
    body = {"models": [{"name": "p.bpmn", "content": model(inside)}], "steps": [{"start": "p"}]}
    answer = await http.post("/v1/models/try", json=body)
    assert answer.status_code == 422 and "go round" in answer.json()["detail"], answer.text


def test_a_run_that_takes_too_long_is_stopped():
    ticks = iter([0.0, *[trial.SECONDS_MAX + 1] * 10])
    with pytest.raises(trial.TooMuch, match="at most 10 s"):
        trial.run_trial({"p.bpmn": THREE}, [{"start": "p"}], clock=lambda: next(ticks))


async def test_a_caller_and_a_process_have_room_for_so_much():
    room = rooms.Room(at_once=1, waiting=2, of_one=2)
    gate = threading.Event()
    first = [asyncio.create_task(room.work(("", "ann"), gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Problem, match="of one caller") as full:
        await room.work(("", "ann"), int)
    assert full.value.status == 429
    third = asyncio.create_task(room.work(("", "bob"), int))
    await asyncio.sleep(0)
    with pytest.raises(Problem, match="3 models"):
        await room.work(("", "cid"), int)
    gate.set()
    await asyncio.gather(*first, third)
    assert await room.work(("", "ann"), int) == 0, "places are given back"
