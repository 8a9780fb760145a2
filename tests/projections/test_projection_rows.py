"""Rows in a real PostgreSQL: what a history becomes."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import psycopg
import pytest
from projection_story import Log, rich

from flowledger.api import definitions as api_definitions
from flowledger.api import instances as api_instances
from flowledger.api import tasks as api_tasks
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.projections.context import Context
from flowledger.projections.load import load_pending
from flowledger.projections.projector import Projector
from flowledger.projections.store import Move, Overtaken
from flowledger.projections.views import TABLES, VIEWS

pytestmark = pytest.mark.postgres


async def rows(db: psycopg.AsyncConnection, query: str, *values: object) -> list[dict]:
    cursor = await db.execute(query, values)  # type: ignore[arg-type]
    names = [c.name for c in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def project(db: psycopg.AsyncConnection, log: Log, batch: int = 10_000, restart: bool = False, views=VIEWS) -> None:
    """All of the log in batches; `restart`: with an empty memory before each batch."""
    projector = Projector(db, views.values(), Context())
    for partition, records in log.records.items():
        for start in range(0, len(records), batch):
            part = records[start : start + batch]
            if restart:
                projector = Projector(db, views.values(), Context())
                await load_pending(db, projector.context)
            await projector.apply([(partition, part, start + len(part))], ())


async def snapshot(db: psycopg.AsyncConnection) -> dict[str, list[str]]:
    return {t: sorted(r["t"] for r in await rows(db, f"SELECT t::text FROM {t} t")) for t in TABLES}


async def test_a_history_becomes_rows(db):
    log, k = rich()
    await project(db, log)
    (i,) = await rows(db, "SELECT * FROM workflow_instances WHERE id = %s", k["instance"])
    assert (i["status"], i["paused"], i["priority"], i["name"], i["business_key"]) == ("running", True, "critical", "Purchase", "PO-1")
    assert i["input"]["text"] == 'a\\b"c\td\ne' and i["variables"]["amount"] == 2 and i["variables"]["new"] is None and i["output"] is None
    (exact,) = await rows(db, "SELECT input->>'amount' AS a FROM workflow_instances WHERE id = %s", k["instance"])
    assert exact["a"] == "1.10", "jsonb keeps decimals as they were written"
    (t,) = await rows(db, "SELECT * FROM tasks WHERE id = %s", k["task"])
    assert (t["status"], t["assignee"], t["candidate_groups"], t["progress"]) == ("started", "cy", ["boss", "cfo"], {"percent": 50})
    assert t["metadata"]["color"] == "red" and t["metadata"]["headers"] == {"h": "1"} and t["row_version"] == 5
    hops = await rows(db, "SELECT * FROM task_assignments WHERE task_id = %s ORDER BY id", k["task"])
    assert [h["assignee"] for h in hops] == ["bob", "cy"]
    assert hops[0]["accepted_at"] and hops[0]["started_at"] and hops[0]["ended_at"] and not hops[1]["ended_at"]
    assert hops[1]["delegation_history"][0]["from"] == "bob" and hops[0]["constraints"] == {"why": "least load"}
    results = await rows(db, "SELECT * FROM task_results WHERE task_id = %s ORDER BY id", k["failing"])
    assert [r["status"] for r in results] == ["failure", "timeout", "failure"] and all(r["duration_ms"] is not None for r in results)
    (failing,) = await rows(db, "SELECT * FROM tasks WHERE id = %s", k["failing"])
    assert (failing["status"], failing["attempts"], failing["fence"], failing["incident_id"]) == ("failed", 3, 3, k["incident"])
    (bad,) = await rows(db, "SELECT incidents FROM workflow_instances WHERE id = %s", k["failed_instance"])
    assert bad["incidents"] == 1
    metrics = await rows(db, "SELECT metric_name, value, labels FROM execution_metrics ORDER BY 1")
    assert metrics[0]["value"] is None and metrics[0]["labels"]["value"] == str(10**12) and metrics[1]["value"] == Decimal("1.500000")


async def test_what_a_token_holds_ends_with_it(db):
    log, k = rich()
    await project(db, log)
    (task,) = await rows(db, "SELECT status, cancelled_at FROM tasks WHERE id = %s", k["inner_task"])
    (timer,) = await rows(db, "SELECT status FROM timers WHERE id = %s", k["inner_timer"])
    assert (task["status"], timer["status"]) == ("cancelled", "cancelled") and task["cancelled_at"]
    assert await rows(db, "SELECT 1 FROM instance_scopes WHERE instance_id = %s", k["cancelled"]) == []
    (start,) = await rows(db, "SELECT * FROM timers WHERE id = %s", k["start_timer"])
    assert (start["status"], start["fired"], start["workflow_instance_id"]) == ("scheduled", 1, None)


@pytest.mark.req("D-DAT-010", "D-DAT-012")
async def test_counts_of_events_equal_the_log(db):
    log, _ = rich()
    await project(db, log, batch=7)
    keys = {r["id"] for r in await rows(db, "SELECT id FROM workflow_instances")}
    for key in keys:
        of_log = [r for r in log.all() if r.event.key == key]
        task_ids = {r["id"] for r in await rows(db, "SELECT id FROM tasks WHERE workflow_instance_id = %s", key)}
        of_log += [r for r in log.all() if set(getattr(r.event, "tasks", ())) & task_ids]
        (n,) = await rows(db, "SELECT count(*) AS n FROM workflow_events WHERE workflow_instance_id = %s", key)
        assert n["n"] == len(of_log)
    from flowledger.events.wire import NAMES

    expected = sum(len(getattr(r.event, "tasks", (0,))) for r in log.all() if NAMES[type(r.event)].startswith("task."))
    (n,) = await rows(db, "SELECT count(*) AS n FROM task_events")
    assert n["n"] == expected


@pytest.mark.req("D-ENG-002")
async def test_completed_instances_have_their_output(db):
    log = Log()
    instance, _ = log.one_task_instance(log.definition(), 1)
    await project(db, log)
    (i,) = await rows(db, "SELECT * FROM workflow_instances WHERE id = %s", instance)
    assert i["status"] == "completed" and i["output"]["total"] == 12.5 and i["output"]["n"] == 1 and i["completed_at"]
    variables = await rows(db, "SELECT name, type, search FROM variables WHERE workflow_instance_id = %s ORDER BY name", instance)
    assert [(v["name"], v["type"], v["search"]) for v in variables] == [
        ("n", "number", "1"), ("name", "string", "order 1"), ("total", "number", "12.5"),
    ]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3, 17])
async def test_batches_and_restarts_change_nothing(db, dsn, schema, batch):
    log, _ = rich()
    await project(db, log)
    whole = await snapshot(db)
    for table in TABLES:
        await db.execute(f"TRUNCATE {table}")  # type: ignore[arg-type]
    await project(db, log, batch)
    assert await snapshot(db) == whole
    for table in TABLES:
        await db.execute(f"TRUNCATE {table}")  # type: ignore[arg-type]
    await project(db, log, batch, restart=True)
    restarted = await snapshot(db)
    for table in TABLES:
        assert restarted[table] == whole[table], table


async def test_two_partitions_in_any_order(db):
    log, _ = rich(2)
    await project(db, log)
    whole = await snapshot(db)
    for table in TABLES:
        await db.execute(f"TRUNCATE {table}")  # type: ignore[arg-type]
    log.records = dict(reversed(log.records.items()))
    await project(db, log)
    assert await snapshot(db) == whole


async def test_a_position_that_was_moved_by_another_writes_nothing(db):
    log = Log()
    log.one_task_instance(log.definition())
    await db.execute("INSERT INTO positions (view, partition, version, next_offset) VALUES ('tasks', 0, 1, 5)")
    with pytest.raises(Overtaken):
        await Projector(db, VIEWS.values(), Context()).apply([(0, log.records[0], 9)], [Move("tasks", 0, 1, 0, 9, None)])
    assert await rows(db, "SELECT 1 FROM workflow_events") == []


async def test_values_that_postgresql_refuses_are_made_to_fit(db):
    log = Log()
    d = log.definition("n" * 300)
    hostile = {"nul": "a\0b", "\0": 1, "huge": Decimal("1e200000"), "fine": "\\u0000"}
    instance, token = log.start(d, hostile, process="p\0" + "x" * 300)
    task = log.task(instance, token, "e\t\\" + "é" * 300)
    log.complete(instance, token, task, {"out": "\0"})
    await project(db, log)
    (i,) = await rows(db, "SELECT process_id, variables->>'nul' AS nul, variables->>'fine' AS fine, status FROM workflow_instances")
    assert i["nul"] == "a\ufffdb" and i["fine"] == "\\u0000" and i["status"] == "completed"
    assert i["process_id"].startswith("p\ufffdx") and len(i["process_id"]) == 255
    (t,) = await rows(db, "SELECT definition_key FROM tasks")
    assert t["definition_key"].startswith("e\t\\é") and len(t["definition_key"]) == 255


@pytest.mark.req("D-DAT-003", "D-DAT-005", "D-DAT-007")
@pytest.mark.parametrize(
    ("table", "columns", "values"),
    [
        ("workflow_definitions", "id, definition_id, format", "1, 'a', 'pdf'"),
        ("workflow_definitions", "id, definition_id, status", "1, 'a', 'gone'"),
        ("workflow_instances", "id, definition_id, status", "1, 1, 'odd'"),
        ("workflow_instances", "id, definition_id, priority", "1, 1, 'huge'"),
        ("tasks", "id, type", "1, 'x_task'"),
        ("tasks", "id, type, status", "1, 'user_task', 'odd'"),
        ("task_assignments", "id, task_id, type", "1, 1, 'cat'"),
        ("task_results", "id, task_id, execution_id, status", "1, 1, 'e', 'odd'"),
        ("execution_metrics", "id, entity_type, entity_id, metric_name", "1, 'cat', 1, 'm'"),
    ],
)
async def test_checks_refuse_other_words(db, table, columns, values):
    with pytest.raises(psycopg.errors.CheckViolation):
        async with db.transaction():
            await db.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})")  # type: ignore[arg-type]


@pytest.mark.req("D-DAT-005", "D-TSK-001")
async def test_every_status_that_the_api_names_is_one_that_rows_may_have(db):
    """A word that a row's check refuses would stop the projector for good."""
    for table, words in (
        ("workflow_instances", api_instances.Status),
        ("tasks", api_tasks.Status),
        ("workflow_definitions", api_definitions.Status),
    ):
        query = "SELECT pg_get_constraintdef(oid) AS d FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'"
        checks = [r["d"] for r in await rows(db, query, table) if "status" in r["d"]]
        assert len(checks) == 1 and not [w for w in get_args(words) if f"'{w}'" not in checks[0]], (table, checks)


async def test_what_is_in_quarantine_and_what_ran_out_of_time_stand_in_rows(db):
    log = Log()
    d = log.definition()
    instance, token = log.start(d)
    task = log.task(instance, token)
    log.lease(task)
    log.add(ta.TaskTimedOut(tasks=[task], retries=[0]))
    log.add(wf.WorkflowQuarantined(key=instance, incident=log.key(), defect="KeyError", message="x"))
    await project(db, log)
    assert await rows(db, "SELECT status, reason FROM workflow_instances") == [{"status": "quarantined", "reason": "KeyError: x"}]
    assert await rows(db, "SELECT status, retries, worker FROM tasks") == [{"status": "timed_out", "retries": 0, "worker": None}]
    context = Context()
    await load_pending(db, context)
    done = len(log.records[0])
    log.add(wf.WorkflowReleased(key=instance, status="running"))
    log.complete(instance, token, task, {"a": 1})
    await Projector(db, VIEWS.values(), context).apply([(0, log.records[0][done:], 0)], ())
    assert (await rows(db, "SELECT status FROM workflow_instances"))[0]["status"] == "completed"


@pytest.mark.req("D-DAT-003", "D-DAT-005")
async def test_defaults(db):
    await db.execute("INSERT INTO workflow_definitions (id, definition_id) VALUES (1, 'a')")
    await db.execute("INSERT INTO workflow_instances (id, definition_id) VALUES (1, 1)")
    assert await rows(db, "SELECT format, status FROM workflow_definitions") == [{"format": "xml", "status": "draft"}]
    assert await rows(db, "SELECT status, priority FROM workflow_instances") == [{"status": "pending", "priority": "normal"}]


async def test_tables_in_code_and_in_sql_agree(db):
    for table in TABLES.values():
        found = await rows(
            db,
            "SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attgenerated AS g FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0",
            table.name,
        )
        there = {
            r["name"]: r["type"].replace("character varying", "varchar").replace("timestamp with time zone", "timestamptz")
            for r in found
            if not r["g"]
        }
        assert there == dict(table.columns), table.name
        assert "tenant_id" in table.columns
