"""A trial's run is a test: what it writes passes as a file of tests, and fails when the process does something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowledger.sdk.testing import data
from flowledger.sdk.testing.trial import run_trial

from .conftest import THREE, model

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.req("APG-UI-006")
ORDER = (ROOT / "examples" / "order.bpmn").read_text()
LARGE = {"order_id": "1", "customer": "ann", "amount": 2000, "items": []}


def saved(folder: Path, found: dict, **models: str) -> Path:
    for name, text in models.items():
        (folder / f"{name}.bpmn").write_text(text)
    file = folder / "tried.flowtest.json"
    file.write_text(json.dumps(found["test"]))
    return file


def test_a_run_is_a_test(tmp_path):
    steps = [
        {"start": "order", "variables": LARGE}, {"complete": "check", "variables": {"checked": True}, "instance": "order#1"}, {"advance": "PT4H"},
        {"complete": "remind", "instance": "order#1"}, {"complete": "approve", "variables": {"approved": False}, "by": "eve", "instance": "order#1"},
    ]  # fmt: skip
    found = run_trial({"order.bpmn": ORDER}, steps)
    assert found["failed"] is None and found["now"] == "2026-01-05T12:00:00Z"
    (case,) = data.load(saved(tmp_path, found, order=ORDER))
    data.run(case)
    (tmp_path / "order.bpmn").write_text(ORDER.replace("PT4H", "PT9H"))
    with pytest.raises(data.StepFailed):
        data.run(case)


def test_two_instances_have_names_of_their_own(tmp_path):
    steps = [{"start": "p"}, {"start": "p"}, {"complete": "job", "instance": "p#2"}]
    found = run_trial({"p.bpmn": THREE}, steps)
    assert [(w["instance"], w["kind"]) for w in found["waiting"]] == [("p#1", "job"), ("p#2", "task")]
    (case,) = data.load(saved(tmp_path, found, p=THREE))
    data.run(case)


def test_messages_timers_signals_and_incidents_are_told_with_what_they_need():
    wait = (
        '<message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="=order"/></extensionElements></message>'
        '<signal id="g" name="go"/>'
    )
    inside = (
        '<startEvent id="s"/><sequenceFlow id="f0" sourceRef="s" targetRef="fork"/><parallelGateway id="fork"/>'
        '<sequenceFlow id="f1" sourceRef="fork" targetRef="msg"/><sequenceFlow id="f2" sourceRef="fork" targetRef="late"/>'
        '<sequenceFlow id="f3" sourceRef="fork" targetRef="sig"/><sequenceFlow id="f4" sourceRef="fork" targetRef="bad"/>'
        '<intermediateCatchEvent id="msg"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>'
        '<intermediateCatchEvent id="late"><timerEventDefinition><timeDuration>PT2H</timeDuration></timerEventDefinition></intermediateCatchEvent>'
        '<intermediateCatchEvent id="sig"><signalEventDefinition signalRef="g"/></intermediateCatchEvent>'
        '<scriptTask id="bad"><extensionElements><zeebe:script expression="=assert(gone, gone != null)" resultVariable="x"/></extensionElements></scriptTask>'
    )
    text = model(inside).replace("<process", f"{wait}<process", 1)
    steps: list[dict] = [{"start": "p", "variables": {"order": "A"}}]
    found = run_trial({"p.bpmn": text}, steps)
    by = {w["kind"]: w for w in found["waiting"]}
    assert (by["message"]["name"], by["message"]["key"]) == ("paid", "A")
    assert by["timer"]["due"] == "2026-01-05T10:00:00Z" and by["signal"]["name"] == "go"
    assert by["incident"]["element"] == "bad" and by["incident"]["message"]
    steps += [
        {"receive": "paid", "instance": "p#1"},
        {"signal": "go"},
        {"advance_to": by["timer"]["due"]},
        {"set": {"gone": 1}},
        {"resolve": True},
    ]
    found = run_trial({"p.bpmn": text}, steps)
    assert found["failed"] is None and found["instances"][0]["status"] == "completed", found
    assert not found["waiting"]


def test_called_processes_are_told_and_can_be_mocked():
    caller = model(
        '<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="c"/><callActivity id="c"><extensionElements>'
        '<zeebe:calledElement processId="p"/></extensionElements></callActivity>',
        "outer",
    )
    found = run_trial({"p.bpmn": THREE, "outer.bpmn": caller}, [{"start": "outer"}])
    assert [(i["name"], bool(i["parent"])) for i in found["instances"]] == [("outer#1", False), ("p#1", True)]
    found = run_trial({"outer.bpmn": caller}, [{"start": "outer"}], mocks={"processes": {"p": {"complete": {}}}})
    assert found["instances"][0]["status"] == "completed"


def test_nothing_is_kept_from_one_run_to_the_next():
    first = run_trial({"p.bpmn": THREE}, [{"start": "p"}])
    assert run_trial({"p.bpmn": THREE}, [{"start": "p"}]) == first


def test_what_waits_is_called_by_its_element_s_name():
    """People know the name on the drawing; a job's type and a message's name stand beside it."""
    steps = [{"start": "order", "variables": LARGE}]
    told = run_trial({"order.bpmn": ORDER}, steps)["waiting"]
    assert [(w["element"], w["name"], w["title"]) for w in told] == [("check", "order.check", "Check order")]
    told = run_trial({"order.bpmn": ORDER}, [*steps, {"complete": "check", "variables": {"checked": True}}])["waiting"]
    assert {(w["kind"], w["element"], w["title"]) for w in told} == {
        ("task", "approve", "Approve large order"),
        ("timer", "late", "After 4 hours"),
    }
