"""Each activity has a row of `tasks`: jobs and people's work by their own events, what the engine does itself by those of its element (C-44)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flowledger.events import commands as c
from flowledger.events import definition as de
from flowledger.events.base import Recorded
from flowledger.projections.context import ACTIVITY, Context
from flowledger.projections.fold import Fold
from flowledger.projections.tracker import Folder
from flowledger.projections.views import VIEWS

sys.path.insert(0, str(Path(__file__).parent.parent / "kernel"))  # for `scenario`
from scenario import Scenario

pytestmark = pytest.mark.req("D-STA-003", "D-TSK-001", "D-TSK-003")


def rows(s: Scenario) -> list[dict[str, Any]]:
    f, folder = Fold(Context()), Folder(VIEWS.values())
    folder.fold([Recorded(e, v, 0, n) for n, (e, v) in enumerate(s.log)], f)
    return sorted(f.changes.inserts.get("tasks", {}).values(), key=lambda r: (r["workflow_instance_id"], r["sequence_number"]))


def told(s: Scenario) -> str:
    return " ".join(f"{r['definition_key']}:{r['type']}:{r['status']}" for r in rows(s))


LOOP = (
    '.<multiInstanceLoopCharacteristics isSequential="{}"><extensionElements>'
    '<zeebe:loopCharacteristics inputCollection="= [1, 2]" inputElement="item"/></extensionElements></multiInstanceLoopCharacteristics>'
)
PARALLEL, IN_TURN = LOOP.format("false"), LOOP.format("true")
ONE = "startEvent s\n{}\nendEvent e\ns > t > e"
CALLED = "\nprocess q {\nstartEvent qs\nserviceTask w\nendEvent qe\nqs > w > qe\n}"


def one(element: str, more: str = "") -> str:
    return f"process p {{\n{ONE.format(element)}\n{more}\n}}"


RECEIVE = (
    '^<message id="m" name="m"><extensionElements><zeebe:subscription correlationKey="= &quot;k&quot;"/></extensionElements></message>\n'
    + one("receiveTask t messageRef=m")
)

UNDO = (
    "process p {{\nstartEvent s\nserviceTask t\nboundaryEvent ct on=t : compensate\n{0}\n"
    '~<association id="as" sourceRef="ct" targetRef="u"/>\nendEvent e : compensate\ns > t > e\n}}'
)

CASES = {
    "a task": (one("task t"), [], "t:manual_task:completed"),
    "a manual task": (one("manualTask t"), [], "t:manual_task:completed"),
    "a service task": (one("serviceTask t"), ["complete t"], "t:service_task:completed"),
    "a user task": (one("userTask t"), [], "t:user_task:created"),
    "a script": (one('scriptTask t\n<zeebe:script expression="= 1" resultVariable="x"/>'), [], "t:script_task:completed"),
    "a script for a worker": (one('scriptTask t\n<zeebe:taskDefinition type="t"/>'), ["complete t"], "t:script_task:completed"),
    "a script that fails": (one('scriptTask t\n<zeebe:script expression="= assert(1, 2)" resultVariable="x"/>'), [], "t:script_task:started"),
    "a receive task": (RECEIVE, [], "t:receive_task:started"),
    "a receive task that received": (RECEIVE, ["message m k"], "t:receive_task:completed"),
    "a send task": (one("sendTask t"), ["complete t"], "t:send_task:completed"),
    "a sub-process": (
        one("subProcess t {\nstartEvent ts\nserviceTask w\nendEvent te\nts > w > te\n}"), ["complete w"], "t:sub_process:completed w:service_task:completed"
    ),
    "a sub-process that is cancelled": (
        one("subProcess t {\nstartEvent ts\nserviceTask w\nendEvent te\nts > w > te\n}"), ["cancel"], "t:sub_process:cancelled w:service_task:cancelled"
    ),
    "a sub-process that an error ends": (
        one("subProcess t {\nstartEvent ts\nserviceTask w\nendEvent te : error E\nts > w > te\n}", "boundaryEvent b on=t : error E\nendEvent be\nb > be"),
        ["complete w"], "t:sub_process:cancelled w:service_task:completed",
    ),
    "a sub-process that a timer interrupts": (
        one("subProcess t {\nstartEvent ts\nserviceTask w\nendEvent te\nts > w > te\n}", "boundaryEvent b on=t : timer PT1H\nendEvent be\nb > be"),
        ["tick"], "t:sub_process:cancelled w:service_task:cancelled",
    ),
    "a call": (one('callActivity t\n<zeebe:calledElement processId="q"/>') + CALLED, ["complete w"], "t:call_activity:completed w:service_task:completed"),
    "an event sub-process": (
        one("serviceTask t", "subProcess ev event=true {\nstartEvent es interrupting=false : timer PT1H\nserviceTask n\nendEvent ee\nes > n > ee\n}"),
        ["tick", "complete n", "complete t"], "t:service_task:completed ev:sub_process:completed n:service_task:completed",
    ),
    "an ad-hoc sub-process": (
        one("adHocSubProcess t {\nserviceTask a\ntask b\n}\n<zeebe:adHoc activeElementsCollection='= [\"a\", \"b\"]'/>"), ["complete a"],
        "t:sub_process:completed b:manual_task:completed a:service_task:completed",
    ),
    "a parallel loop of jobs": (one("serviceTask t\n" + PARALLEL), ["complete t", "complete t"], "t:sub_process:completed" + 2 * " t:service_task:completed"),
    "a sequential loop of scripts": (
        one('scriptTask t\n<zeebe:script expression="= item" resultVariable="x"/>\n' + IN_TURN), [], "t:sub_process:completed" + 2 * " t:script_task:completed"
    ),
    "a loop of sub-processes": (
        one("subProcess t {\nstartEvent ts\ntask w\nendEvent te\nts > w > te\n}\n" + IN_TURN), [],
        "t:sub_process:completed " + "t:sub_process:completed w:manual_task:completed " * 2,
    ),
    "a business rule for a worker": (one('businessRuleTask t\n<zeebe:taskDefinition type="t"/>'), ["complete t"], "t:business_rule_task:completed"),
    "a transaction that is cancelled": (
        one("transaction t {\nstartEvent ts\nserviceTask w\nendEvent te : cancel\nts > w > te\n}", "boundaryEvent b on=t : cancel\nendEvent be\nb > be"),
        ["complete w"], "t:sub_process:cancelled w:service_task:completed",
    ),
    "a compensation handler": (UNDO.format("task u comp=true"), ["complete t"], "t:service_task:completed u:manual_task:completed"),
    "a compensation handler that is a sub-process": (
        UNDO.format("subProcess u comp=true {\nstartEvent us\ntask ut\nus > ut\n}"), ["complete t"],
        "t:service_task:completed u:sub_process:completed ut:manual_task:completed",
    ),
    "a standard loop": (one('task t\n.<standardLoopCharacteristics loopMaximum="2"/>'), [], "t:sub_process:completed" + 2 * " t:manual_task:completed"),
    "a loop of calls": (
        one('callActivity t\n<zeebe:calledElement processId="q"/>\n' + PARALLEL) + CALLED, ["complete w", "complete w"],
        "t:sub_process:completed" + 2 * " t:call_activity:completed" + 2 * " w:service_task:completed",
    ),
    "a call that an error ends": (
        one('callActivity t\n<zeebe:calledElement processId="q"/>', "boundaryEvent b on=t : error E\nendEvent be\nb > be") + CALLED, ["error w E"],
        "t:call_activity:failed w:service_task:cancelled",
    ),
    "a loop of receive tasks": (
        RECEIVE.replace("messageRef=m", "messageRef=m\n" + IN_TURN), ["message m k", "message m k"], "t:sub_process:completed" + 2 * " t:receive_task:completed"
    ),
    "a thrown message for a worker": (one('intermediateThrowEvent t : message M\n<zeebe:taskDefinition type="t"/>'), ["complete t"], "t:send_task:completed"),
}  # fmt: skip


@pytest.mark.parametrize(("model", "moves", "expected"), CASES.values(), ids=CASES)
def test_each_kind_of_activity(model: str, moves: list[str], expected: str) -> None:
    s = Scenario(model).start().moves(*moves)
    assert told(s) == expected.strip()
    found = rows(s)
    for row in found:
        assert (
            row.get("assignee") is None
            and row["created_at"]
            and row["sequence_number"] == found.index(row) + 1 - sum(r["workflow_instance_id"] < row["workflow_instance_id"] for r in found)
        )
        if row["status"] == "completed":
            assert row["completed_at"] and row["duration_ms"] is not None
        if row["id"] >= ACTIVITY:
            assert row["started_at"]


def test_what_is_inside_names_what_is_around() -> None:
    s = Scenario(CASES["a loop of sub-processes"][0]).start()
    by_id = {r["id"]: r for r in rows(s)}
    tree = [(r["definition_key"], r.get("parent_id") and by_id[r["parent_id"]]["definition_key"]) for r in by_id.values()]
    assert tree == [("t", None), ("t", "t"), ("w", "t"), ("t", "t"), ("w", "t")]


def test_an_incident_and_its_end_stand_in_the_row() -> None:
    s = Scenario(one('scriptTask t\n<zeebe:script expression="= if ok then 1 else assert(1, 2)" resultVariable="x"/>')).start(ok=False)
    (row,) = rows(s)
    assert row["status"] == "started" and row["incident_id"] in s.p.incidents
    s.moves("set ok=true", "resolve")
    (row,) = rows(s)
    assert row["status"] == "completed" and row["incident_id"] is None


@pytest.mark.req("D-MOD-001")
def test_a_definition_is_told_with_its_graph_and_its_findings() -> None:
    s = Scenario(CASES["a call"][0])
    f, folder = Fold(Context()), Folder(VIEWS.values())
    folder.fold([Recorded(e, v, 0, n) for n, (e, v) in enumerate(s.log)], f)
    found = [r for kind in (f.changes.inserts, f.changes.upserts) for r in kind.get("workflow_definitions", {}).values()]
    assert {r["definition_id"] for r in found} == {"p", "q"} and len({r["graph_hash"] for r in found}) == 2
    for row in found:
        assert (
            row["validation_result"]["valid"] is True and row["validation_result"]["errors"] == 0 and "findings" in row["validation_result"]
        )


def _older(s: Scenario, **more: str) -> Scenario:
    """The log as the release wrote it whose events of definitions did not tell of their graph."""
    gone = {"outline": None, "graph_hash": "", "validation": None, **more}
    s.log = [(msgspec.structs.replace(e, **gone) if isinstance(e, de.DefinitionCreated) else e, v) for e, v in s.log]
    return s


def test_the_events_of_an_older_release_make_rows_of_work_alone() -> None:
    """A definition that was deployed before its graph was told: nothing is guessed, and what is deployed anew has all rows."""
    assert told(_older(Scenario(CASES["a sub-process"][0]).start().moves("complete w"))) == "w:service_task:completed"


@pytest.mark.req("D-MOD-001")
@pytest.mark.parametrize("name", ["a call", "a sub-process"])
def test_a_definition_of_an_older_release_has_its_hash_and_its_findings(name: str) -> None:
    def told_of(s: Scenario) -> list[tuple[str, str]]:
        f, folder = Fold(Context()), Folder(VIEWS.values())
        folder.fold([Recorded(e, v, 0, n) for n, (e, v) in enumerate(s.log)], f)
        found = [r for kind in (f.changes.inserts, f.changes.upserts) for r in kind.get("workflow_definitions", {}).values()]
        return [(r["graph_hash"], r["validation_result"]) for r in found]

    new, old = Scenario(CASES[name][0]), _older(Scenario(CASES[name][0]))
    assert told_of(old) == told_of(new) and all(hash and found["valid"] for hash, found in told_of(old))
    (hash, found), *_ = told_of(_older(new, content="no model at all"))
    assert hash == "" and found["valid"] is False


def test_keys_of_activities_are_no_keys_of_tasks() -> None:
    s = Scenario(CASES["a sub-process"][0]).start()
    assert max(s.p.tasks) < ACTIVITY and {r["id"] >= ACTIVITY for r in rows(s)} == {True, False}
    assert c.partition_of_key(min(r["id"] for r in rows(s))) == 0
