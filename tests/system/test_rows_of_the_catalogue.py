"""Rows that the catalogue names, column by column: filled by a day's work over HTTP, read in PostgreSQL and by the API, the same after a rebuild."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from asking import Caller
from psycopg.rows import dict_row

from flowledger.projections.rebuild import rebuild
from flowledger.projections.schema import SCHEMA
from flowledger.sdk import Flow
from flowledger.stores import make_log, source_of

#: table -> columns by the catalogue's words (D-DAT-002 and those that follow), as they are called here
COLUMNS = {
    "workflow_definitions": "id name description version content format status created_at updated_at created_by validation_result metadata",
    "workflow_instances": "id definition_id name description status priority initiator created_at started_at completed_at cancelled_at input output "
    "execution_context metadata",
    "tasks": "id workflow_instance_id definition_key name description type status priority created_at started_at completed_at cancelled_at due_at "
    "input output execution_config retry_config dependencies metadata",
    "task_assignments": "id task_id type assignee assigned_at accepted_at started_at completed_at delegation_history required_capabilities constraints",
    "task_results": "id task_id execution_id status started_at ended_at duration_ms output metrics errors logs artifacts",
    "execution_metrics": "id entity_type entity_id metric_name value occurred_at labels",
}
#: columns that this day leaves empty: nothing was cancelled, ends late, or is asked for by capability. What a task depends on and what it saw is found
#: when it is read (in the model, and in the history of variables), and not in its row.
EMPTY = {
    "cancelled_at", "due_at", "execution_context", "required_capabilities", "constraints", "accepted_at", "execution_config", "retry_config",
    "metadata", "dependencies", "input",
}  # fmt: skip
REFUSED = [
    ("task_assignments", "type", "robot"), ("task_results", "status", "great"), ("execution_metrics", "entity_type", "worker"),
    ("workflow_definitions", "format", "yaml"), ("tasks", "type", "dance"), ("workflow_instances", "status", "lost"),
]  # fmt: skip
REPORT = {
    "logs": ["called", "answered"],
    "artifacts": [{"name": "label", "uri": "s3://labels/1"}],
    "metrics": {"calls": 2, "share": 0.123456},
}


async def _day(x: Caller) -> tuple[str, dict[str, Any], str]:
    """A machine's task that fails once, then a person's that is handed on and comes back. -> the instance, the job, the person's task."""
    flow = Flow("order", name="Order").start().service("ship", job="ship").user("check", assignee="ann").end()
    deployed = await x.ok("POST", "deployments", {"resources": [{"name": "order.bpmn", "content": flow.xml().decode()}]})
    await x.ok("GET", "definitions", wait_for=deployed["position"])
    [key] = await x.start("order", 1, variables={"n": 1}, metadata={"project_id": "p1"}, priority="high")
    asked = {"type": "ship", "worker": "w1", "max": 1, "wait_ms": 10_000}
    [job] = (await x.ok("POST", "jobs/activate", asked))["jobs"]
    said = {"message": "no lorry", "code": "LATE", "retries": 1, "backoff_ms": 0, "details": {"lorry": 7}}
    await x.ok("POST", f"jobs/{job['key']}/fail", said)
    [job] = (await x.ok("POST", "jobs/activate", asked | {"worker": "w2"}))["jobs"]
    over = await x.ok("POST", f"jobs/{job['key']}/complete", {"variables": {"label": "L1"}, "result": REPORT})
    [task] = [t for t in (await x.ok("GET", "tasks", instance=key, wait_for=over["position"]))["items"] if t["element"] == "check"]
    for move, actor, details in (
        ("start", "ann", {}), ("delegate", "ann", {"assignee": "bob"}), ("start", "bob", {}), ("recall", "ann", {}), ("start", "ann", {}),
    ):  # fmt: skip
        r = await x.http.post(f"/v1/tasks/{task['id']}/{move}", json={"details": details}, headers={"X-Actor": actor})
        assert r.status_code == 200, (move, r.text)
    over = await x.ok("POST", f"tasks/{task['id']}/complete", {"variables": {"fine": True}})
    assert (await x.ok("GET", f"instances/{key}", wait_for=over["position"]))["status"] == "completed"
    return key, job, task["id"]


async def _rows(database: str) -> dict[str, list[dict[str, Any]]]:
    async with await psycopg.AsyncConnection.connect(database, row_factory=dict_row) as db:
        await db.execute(f"SET search_path TO {SCHEMA}")
        return {t: await (await db.execute(f"SELECT {', '.join(c.split())} FROM {t} ORDER BY id")).fetchall() for t, c in COLUMNS.items()}


@pytest.mark.req(
    "D-SCO-003", "D-DAT-002", "D-DAT-004", "D-DAT-008", "D-DAT-009", "D-DAT-014", "D-TSK-005", "D-ASG-002", "TES-TSK-002", "APG-MON-007"
)
async def test_a_day_fills_the_rows_and_each_leads_to_the_next(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (system, http):
        x = Caller(http, place)
        key, job, person = await _day(x)

        # from the definition to the end, each by its id
        [definition] = [d for d in (await x.ok("GET", "definitions"))["items"] if d["process"] == "order"]
        [instance] = (await x.ok("GET", "instances", definition=definition["id"]))["items"]
        assert instance["id"] == key
        tasks = (await x.ok("GET", "tasks", instance=key))["items"]
        assert {t["id"] for t in tasks} == {job["key"], person} and {t["instance"] for t in tasks} == {key}
        shipped, checked = await x.ok("GET", f"tasks/{job['key']}"), await x.ok("GET", f"tasks/{person}")
        last = (await x.ok("GET", f"instances/{key}/events", type="workflow.completed"))["items"]
        assert len(last) == 1 and last[0]["instance"] == key

        # each attempt has what is its own
        first, second = shipped["results"]
        assert (first["status"], first["worker"], second["status"], second["worker"]) == ("failure", "w1", "success", "w2")
        assert first["errors"] == {"code": "LATE", "message": "no lorry", "details": {"lorry": 7}} and not first["artifacts"]
        assert second["logs"] == REPORT["logs"] and second["artifacts"] == REPORT["artifacts"] and second["output"] == {"label": "L1"}
        assert first["execution_id"] != second["execution_id"] and all(r["started_at"] <= r["ended_at"] for r in (first, second))
        assert checked["dependencies"] == ["ship"] and shipped["input"] == {"n": 1} and shipped["output"] == {"label": "L1"}
        measured = await x.ok("GET", f"tasks/{job['key']}/metrics")
        assert measured["duration_ms"] == pytest.approx(measured["wait_ms"] + measured["work_ms"], abs=1)
        assert {m["metric_name"]: float(m["value"]) for m in measured["metrics"]} == REPORT["metrics"]

        # each hop of the person's task
        hops = checked["assignments"]
        assert [h["assignee"] for h in hops] == ["ann", "bob", "ann"] and [bool(h["ended_at"]) for h in hops[:2]] == [True, True]
        assert all(h["assigned_at"] and h["started_at"] for h in hops) and hops[-1]["completed_at"] and not hops[0]["completed_at"]
        [delegated], [recalled] = hops[1]["delegation_history"], hops[2]["delegation_history"]
        assert (delegated["move"], delegated["from"], delegated["to"], delegated["at"]) == (
            "delegated",
            "ann",
            "bob",
            hops[1]["assigned_at"],
        )
        assert (recalled["move"], recalled["from"], recalled["to"], recalled["at"]) == ("recalled", "bob", "ann", hops[2]["assigned_at"])

        rows = await _rows(database)
        for table, columns in COLUMNS.items():
            assert rows[table], table
            filled = {c for row in rows[table] for c, value in row.items() if value is not None}
            assert filled >= set(columns.split()) - EMPTY, (table, set(columns.split()) - EMPTY - filled)
        assert [t["input"] for t in rows["workflow_instances"]] == [{"n": 1}]

        log = make_log(system.settings)
        await log.open()
        await rebuild(database, source_of(log, follow=False), range(2))
        await log.close()
        assert await _rows(database) == rows

        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as db:
            await db.execute(f"SET search_path TO {SCHEMA}")
            for table, column, wrong in REFUSED:
                with pytest.raises(psycopg.errors.CheckViolation):
                    await db.execute(f"UPDATE {table} SET {column} = '{wrong}'")
