"""Questions and their answers; and that the listed ones are answered by the indexes made for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from projection_story import Log, rich
from psycopg import sql

from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.events.avro import decode_json, encode_json
from flowledger.projections import queries as q
from flowledger.projections.context import Context
from flowledger.projections.projector import Projector
from flowledger.projections.reader import BadQuery, Reader, parse_position
from flowledger.projections.views import VIEWS

pytestmark = pytest.mark.postgres


@pytest.fixture
async def reader(db, dsn, schema):
    async with Reader(dsn, schema) as r:
        yield r


async def project(db: psycopg.AsyncConnection, log: Log) -> None:
    projector = Projector(db, VIEWS.values(), Context())
    for partition, records in log.records.items():
        for view in VIEWS.values():
            await db.execute(
                "INSERT INTO positions (view, partition, version, next_offset) VALUES (%s, %s, %s, %s)",
                (view.name, partition, view.version, len(records)),
            )
        await projector.apply([(partition, records, len(records))], ())


async def ids(reader: Reader, given: dict[str, str]) -> set[int]:
    return {int(i["id"]) for i in (await q.list_instances(reader, "", given, 1000))["items"]}


@pytest.mark.req("D-API-011")
async def test_instances_are_found_by_each_filter(db, reader):
    log = Log()
    d1, d2 = log.definition("order"), log.definition("claim", 2)
    done, _ = log.one_task_instance(d1, 7)
    middle_us = log.now_us
    running, token = log.start(d2, {"amount": Decimal("100.0"), "vip": True, "who": "7"}, process="claim", business_key="K1")
    child, _ = log.start(d1, {"amount": 99}, parent=running, parent_token=token, root=running)
    await project(db, log)
    cases: list[tuple[dict[str, str], set[int]]] = [
        ({}, {done, running, child}),
        ({"definition": str(d2)}, {running}),
        ({"definition": "order"}, {done, child}),
        ({"definition": "claim", "version": "1"}, {running}),
        ({"status": "running"}, {running, child}),
        ({"status": "running,completed"}, {done, running, child}),
        ({"business_key": "K1"}, {running}),
        ({"has_incident": "true"}, set()),
        ({"has_incident": "false"}, {done, running, child}),
        ({"parent": str(running)}, {child}),
        ({"started_from": f"{_iso(middle_us)}"}, {running, child}),
        ({"started_to": f"{_iso(middle_us)}"}, {done}),
        ({"var.amount": "100"}, {running}),
        ({"var.amount[gt]": "99"}, {running}),
        ({"var.amount[gte]": "99"}, {running, child}),
        ({"var.amount[lt]": "99.5"}, {child}),
        ({"var.amount[ne]": "99"}, {running}),
        ({"var.vip": "true"}, {running}),
        ({"var.who": "7"}, set()),
        ({"var.who": '"7"'}, {running}),
        ({"var.n": "7"}, {done}),
        ({"var.n[gt]": '"a"'}, set()),
        ({"var.name": "order 7"}, {done}),
        ({"var.name": "x' OR '1'='1"}, set()),
        ({"var.name[gt]": "order 6" + "x" * 70}, {done}),
        ({"var.name[gt]": "order 7" + "x" * 70}, set()),
        ({"var.name[lte]": "order 7"}, {done}),
        ({"var.name[lt]": "order 7"}, set()),
        ({"var.name[lt]": "order 7" + "x" * 70}, {done}),
        ({"business_key": ""}, set()),
    ]
    for given, expected in cases:
        assert await ids(reader, given) == expected, given
    assert (await q.list_instances(reader, "other", {}))["items"] == []


def _iso(us: int) -> str:
    from flowledger.projections.tables import stamp

    return stamp(us + 1).replace(" ", "T")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"colour": "red"}, "filters"), ({"version": "x"}, "version"), ({"parent": "abc"}, "key"), ({"started_from": "soon"}, "time"),
        ({"has_incident": "maybe"}, "true"), ({"var.x[like]": "1"}, "eq"), ({"parent": "9" * 30}, "key"), ({"priority": "odd"}, "low"),
        ({"found.iban": "x"}, "filters"),  # a name of the inside
    ],
)  # fmt: skip
async def test_bad_filters_say_what_was_expected(reader, given, word):
    with pytest.raises(BadQuery, match=word):
        await q.list_instances(reader, "", given)


@pytest.mark.parametrize(("limit", "cursor"), [("0", None), ("x", None), ("99999", None), (None, "%%"), (None, "WzFd")])
async def test_bad_limits_and_cursors(reader, limit, cursor):
    with pytest.raises(BadQuery):
        await q.list_instances(reader, "", {}, limit, cursor)


async def test_pages_cover_all_once(db, reader):
    log = Log(2)
    d = log.definition()
    made = {log.one_task_instance(d, n, partition=n % 2)[0] for n in range(23)}
    await project(db, log)
    for function, expected in ((q.list_instances, made), (q.list_tasks, None)):
        seen: list[str] = []
        cursor = None
        while True:
            page = await function(reader, "", {}, "5", cursor)
            seen += [i["id"] for i in page["items"]]
            assert page["position"] == ",".join(f"{p}-{len(r) - 1}" for p, r in log.records.items())
            if (cursor := page["cursor"]) is None:
                break
        assert len(seen) == len(set(seen)) == 23 and (expected is None or {int(i) for i in seen} == expected)


async def test_one_instance_with_all_that_belongs_to_it(db, reader):
    log, k = rich()
    await project(db, log)
    i = await q.get_instance(reader, "", k["instance"])
    assert i and i["id"] == str(k["instance"]) and i["input"]["amount"] == Decimal("1.10") and i["created_at"].endswith("Z")
    assert b'"amount":1.10' in encode_json(i) and decode_json(encode_json(i)) is not None
    v = await q.instance_variables(reader, "", k["instance"])
    assert v and v["variables"]["amount"] == 2 and {x["scope"] for x in v["items"]} == {"workflow", "local"}
    tasks = await q.instance_tasks(reader, "", k["instance"])
    assert [t["id"] for t in tasks["items"]] == [str(k["task"])]
    for missing in (await q.get_instance(reader, "x", k["instance"]), await q.get_instance(reader, "", 1 << 60)):
        assert missing is None
    assert await q.instance_variables(reader, "", 1 << 60) is None


@pytest.mark.req("D-API-027")
async def test_events_in_order_by_cursor_and_filter(db, reader):
    log, k = rich()
    await project(db, log)
    everything = await q.instance_events(reader, "", k["instance"], limit="1000")
    positions = [parse_position(e["position"])[0] for e in everything["items"]]
    assert positions == sorted(positions) and everything["cursor"] is None
    page = await q.instance_events(reader, "", k["instance"], limit="3")
    rest = await q.instance_events(reader, "", k["instance"], after=page["cursor"], limit="1000")
    assert page["items"] + rest["items"] == everything["items"]
    started = await q.instance_events(reader, "", k["instance"], {"type": "workflow.started"})
    (event,) = started["items"]
    assert event["type"] == "workflow.started" and event["data"]["definition"] == k["definition"]
    assert event["metadata"] == {"actor": "ann", "tenant": "", "position": event["id"]} and event["correlation_id"] == "corr"
    assert (await q.instance_events(reader, "", k["instance"], {"element": "approve"}))["items"]
    assert not (await q.instance_events(reader, "", k["instance"], {"to": "2020-01-01"}))["items"]
    of_task = await q.task_events(reader, "", k["failing"], {"type": "task.failed,task.timed_out"})
    assert [e["type"] for e in of_task["items"]] == ["task.failed", "task.timed_out", "task.failed"]
    assert of_task["items"][1]["data"] == {"task": k["failing"], "retries": []}


@pytest.mark.req("D-API-018")
async def test_tasks_are_found_by_each_filter(db, reader):
    log, k = rich()
    await project(db, log)
    for given, expected in [
        ({"assignee": "cy"}, {"task"}), ({"candidate_group": "cfo"}, {"task"}), ({"status": "failed"}, {"failing"}),
        ({"type": "human_task"}, {"alone"}), ({"instance": str(k["instance"])}, {"task"}), ({"due_before": "2025-01-01"}, {"task"}),

        ({"due_after": "2025-01-01"}, set()), ({"overdue": "true", "assignee": "cy"}, {"task"}),
        ({"overdue": "false", "assignee": "cy"}, set()), ({"element": "inner"}, {"inner_task"}),
        ({"priority": "urgent"}, set()), ({"definition": str(k["definition"]), "status": "cancelled"}, {"inner_task"}),
        ({"definition": "order", "assignee": "cy", "priority": "40"}, {"task"}), ({"category": "manual", "assignee": "dee"}, {"alone"}),
        ({"reference": "Acme Ltd"}, {"alone"}), ({"reference": "Acme"}, set()), ({"reference_starts": "Acme"}, {"alone"}),
        ({"reference_starts": "Acme", "sort": "due"}, {"alone"}), ({"reference_starts": "acme"}, set()), ({"reference_starts": "cme"}, set()),
    ]:  # fmt: skip
        found = {t["id"] for t in (await q.list_tasks(reader, "", given))["items"]}
        assert found == {str(k[name]) for name in expected}, given
    task = await q.get_task(reader, "", k["task"])
    assert task and [a["assignee"] for a in task["assignments"]] == ["bob", "cy"] and task["form"] == {"key": "f"}
    failing = await q.get_task(reader, "", k["failing"])
    assert failing and [x["status"] for x in failing["results"]] == ["failure", "timeout", "failure"]
    metrics = await q.task_metrics(reader, "", k["task"])
    assert metrics and {m["metric_name"] for m in metrics["metrics"]} == {"cpu", "big"}


async def test_tasks_in_other_orders_page_by_page(db, reader):
    """Each order by pages of every size is the whole list, sorted; what is due at no time stands last."""
    log = Log()
    definition = log.definition("order")
    rows: list[tuple[int, int | None, int]] = []
    for n in range(9):
        instance, token = log.start(definition, {})
        due = None if n % 3 == 0 else log.now_us + (n * 7 % 5) * 1_000_000
        details = {"candidate_groups": [f"g{n % 3}"], **({"due_us": due} if due else {})}
        task = log.task(instance, token, type="user_task", details=details, priority=(40, 80)[n % 2])
        rows.append((task, due, (40, 80)[n % 2]))
        log.now_us += 1_000
    await project(db, log)
    by_due = [*sorted((r for r in rows if r[1]), key=lambda r: (r[1], r[0])), *[r for r in reversed(rows) if not r[1]]]
    by_priority = sorted(reversed(rows), key=lambda r: -r[2])
    for order, expected in (("due", by_due), ("priority", by_priority)):
        for size in (1, 2, 4, 9, 10):
            found: list[str] = []
            cursor = None
            while True:
                page = await q.list_tasks(reader, "", {"sort": order, "status": "created,assigned"}, size, cursor)
                found += [t["id"] for t in page["items"]]
                if (cursor := page["cursor"]) is None:
                    break
            assert found == [str(r[0]) for r in expected], (order, size)
    assert len((await q.list_tasks(reader, "", {"any_group": "g0,g1"}))["items"]) == 6
    with pytest.raises(BadQuery, match="sort: expected one of created, due, priority, found 'name'"):
        await q.list_tasks(reader, "", {"sort": "name"})
    with pytest.raises(BadQuery, match="cursor"):
        await q.list_tasks(reader, "", {"sort": "due"}, 1, "bm8")


async def test_definitions(db, reader):
    log = Log(2)
    one, two, other = log.definition("order", 1), log.definition("order", 2), log.definition("claim", 1)
    await project(db, log)
    listed = await q.list_definitions(reader, "", {}, "2")
    assert [(d["id"], d["version"]) for d in listed["items"]] == [("claim", 1), ("order", 2)]
    more = await q.list_definitions(reader, "", {}, "2", listed["cursor"])
    assert [(d["id"], d["version"]) for d in more["items"]] == [("order", 1)]
    latest = await q.list_definitions(reader, "", {"tag": "a"}, latest=True)
    assert {d["key"] for d in latest["items"]} == {str(two), str(other)}
    assert (
        not (await q.list_definitions(reader, "", {"tag": "zz"}))["items"]
        and (await q.list_definitions(reader, "", {"name": "CLAI"}))["items"]
    )
    assert not (await q.list_definitions(reader, "", {"name": "%"}))["items"]
    found = await q.get_definition(reader, "", "order")
    assert found and found["key"] == str(two) and [v["key"] for v in found["versions"]] == [str(two), str(one)]
    source = await q.get_definition_source(reader, "", str(one))
    assert source and source["content"] == "<x/>" and source["format"] == "xml"
    assert await q.get_definition(reader, "", "none") is None and await q.get_definition_source(reader, "t2", str(one)) is None


async def test_the_rest(db, reader):
    log, k = rich()
    await project(db, log)
    incidents = await q.list_incidents(reader, "", {"status": "open"})
    assert [(i["id"], i["code"], i["task"]) for i in incidents["items"]] == [(str(k["incident"]), "JOB_NO_RETRIES", str(k["failing"]))]
    assert (await q.get_incident(reader, "", k["incident"]) or {})["instance"] == str(k["failed_instance"])
    assert await ids(reader, {"has_incident": "true"}) == {k["failed_instance"]}
    (message,) = (await q.list_messages(reader, "", {"name": "paid"}))["items"]
    assert message["status"] == "correlated" and message["instance"] == str(k["instance"]) and message["expired_at"]
    timers = await q.list_timers(reader, "", {"status": "scheduled"})
    assert [t["id"] for t in timers["items"]] == [str(k["start_timer"])]
    assert (await q.counts(reader, ""))["incidents"] == 1
    assert {name for name, found in (await q.orphans(reader)).items() if found} == set()
    await db.execute("DELETE FROM workflow_instances WHERE id = %s", (k["instance"],))
    assert (await q.orphans(reader))["tasks -> workflow_instances"] == [str(k["task"])]


@pytest.mark.req("WSM-MON-001", "D-API-035", "D-API-023")
async def test_progress_grows_and_names_what_is_slow(db, reader):
    log = Log()
    d = log.definition()
    for _ in range(4):  # history: two tasks each
        instance, token = log.start(d)
        for element, last in (("a", False), ("b", True)):
            task = log.task(instance, token, element)
            log.lease(task)
            log.complete(instance, token, task, element=element, end=last)
    instance, token = log.start(d)
    steps = []
    first = log.task(instance, token, "a")
    await project(db, log)
    status = await q.instance_status(reader, "", instance)
    assert status and status["progress"] == 0 and [b["element"] for b in status["bottlenecks"]] == ["a"] and status["estimated_end"]
    steps.append(status["progress"])
    done = len(log.records[0])
    log.complete(instance, token, first, element="a", end=False)
    second = log.task(instance, token, "b")
    projector = Projector(db, VIEWS.values(), Context())
    await projector.apply([(0, log.records[0][done:], 0)], ())
    status = await q.instance_status(reader, "", instance)
    assert status and status["progress"] == 50 and status["completed"] == 1 and status["active_tasks"][0]["id"] == str(second)
    done = len(log.records[0])
    log.complete(instance, token, second, element="b")
    await projector.apply([(0, log.records[0][done:], 0)], ())
    status = await q.instance_status(reader, "", instance)
    assert status and (status["progress"], status["status"], status["bottlenecks"]) == (100, "completed", [])
    metrics = await q.instance_metrics(reader, "", instance)
    assert metrics and [e["element"] for e in metrics["elements"]] == ["a", "b"] and metrics["duration_ms"] > 0


@pytest.mark.req("APG-ENG-009")
async def test_the_tree_of_called_instances(db, reader):
    log = Log(2)
    d = log.definition()
    top, _ = log.start(d)
    kids = [log.start(d, parent=top, root=top, partition=n)[0] for n in (0, 1)]
    grand, _ = log.start(d, parent=kids[1], root=top)
    log.add(wf.WorkflowFailed(key=grand, code="E"))
    await project(db, log)
    tree = await q.instance_tree(reader, "", top)
    assert tree and [c["id"] for c in tree["children"]] == [str(k) for k in kids]
    assert tree["children"][1]["children"][0]["status"] == "failed" and not tree["truncated"]
    assert await q.instance_tree(reader, "", 12345) is None


# --- plans --------------------------------------------------------------------------------------------------------------


#: a filter that few rows pass -> the index that finds them; one that most pass is answered from the order of the list
INSTANCE_FILTERS = [
    ("workflow_instances_by_definition", {"definition": "77"}),
    ("workflow_instances_by_version", {"version": "9"}),
    ("workflow_instances_by_status", {"status": "failed,suspended"}),
    ("workflow_instances_by_priority", {"priority": "80"}),
    ("workflow_instances_by_priority", {"priority": "urgent"}),
    ("workflow_instances_by_initiator", {"initiator": "ann"}),
    ("workflow_instances_by_correlation", {"correlation_id": "c1"}),
    ("workflow_instances_by_project", {"project_id": "p1"}),
    ("workflow_instances_by_environment", {"environment": "test"}),
    ("workflow_instances_by_pause", {"paused": "true"}),
    ("workflow_instances_by_time", {"paused": "false"}),
    ("workflow_instances_by_incident", {"has_incident": "true"}),
    ("workflow_instances_by_time", {"has_incident": "false"}),
    ("workflow_instances_by_time", {"started_from": "2000-01-01T00:00:00Z"}),
    ("workflow_instances_by_time", {"started_to": "2100-01-01T00:00:00Z"}),
    ("variables_by_value", {"var.n": "55"}),
    ("variables_by_number", {"var.n[gt]": "1590"}),
    ("variables_by_number", {"var.n[lt]": "3"}),
    ("variables_by_name", {"var.n[ne]": "3"}),
]
TASK_FILTERS = [
    ("tasks_by_status", {"status": "created,assigned"}),
    ("tasks_by_process", {"definition": "p3"}),
    ("tasks_by_type", {"type": "receive_task"}),
    ("tasks_by_job_type", {"job_type": "none"}),
    ("tasks_by_category", {"category": "integration"}),
    ("tasks_by_element", {"element": "none"}),
    ("tasks_by_priority", {"priority": "high"}),
    ("tasks_by_priority", {"priority": "80"}),
    ("tasks_by_user", {"candidate_user": "ann"}),
    ("tasks_by_group", {"any_group": "g4,g5"}),
    ("tasks_by_priority", {"sort": "priority"}),
    ("tasks_by_due", {"sort": "due"}),
    ("tasks_by_due", {"due_after": "2100-01-01T00:00:00Z"}),
    ("tasks_overdue", {"overdue": "true"}),
    ("tasks_by_time", {"overdue": "false"}),
]
INCIDENT_FILTERS = [
    ("incidents_by_status", {"status": "open"}),
    ("incidents_by_instance", {"instance": "77"}),
    ("incidents_by_definition", {"definition": "77"}),
    ("incidents_by_process", {"definition": "p77"}),
    ("incidents_by_code", {"code": "NONE"}),
    ("incidents_by_element", {"element": "none"}),
]
DEFINITION_FILTERS = [
    ("workflow_definitions_by_id", {"definition_id": "p3"}),
    ("workflow_definitions_pkey", {"id": "77"}),
    ("workflow_definitions_by_status", {"status": "archived"}),
    ("workflow_definitions_by_creator", {"creator": "ann"}),
    ("workflow_definitions_by_category", {"category": "none"}),
    ("workflow_definitions_by_tags", {"tag": "none"}),
    ("workflow_definitions_by_part", {"name": "none"}),
]


class Explainer(Reader):
    """Notes the index names in the plan of each query."""

    used: set[str]
    partitions: set[str]

    async def rows(self, query: Any, values: Any = (), **how: Any) -> list[dict[str, Any]]:
        explain = sql.SQL("EXPLAIN (FORMAT JSON) {}").format(sql.SQL(query) if isinstance(query, str) else query)
        plan = encode_json((await super().rows(explain, values, **how))[0]["QUERY PLAN"]).decode()
        async with self.pool.connection() as conn:
            indexes = (
                "SELECT coalesce(p.relname, c.relname) AS name, c.relname AS own FROM pg_class c "
                "LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent "
                "WHERE c.relkind IN ('i', 'I') AND c.relnamespace = current_schema()::regnamespace"
            )
            for row in await (await conn.execute(indexes)).fetchall():  # type: ignore[arg-type]
                if f'"{row["own"]}"' in plan:
                    self.used.add(row["name"])
            self.partitions |= {
                part for part in plan.split('"') if "_m20" in part and not part.endswith("idx") and not part.endswith("pkey")
            }
        return await super().rows(query, values, **how)


async def _crowd(db: psycopg.AsyncConnection) -> None:
    """So many incidents and definitions that to read all of them would be dear."""
    await db.execute(
        "INSERT INTO incidents (id, workflow_instance_id, definition_id, process_id, element, code, status, created_at) "
        "SELECT n, n, n % 50, 'p' || n % 50, 'e' || n % 50, 'C' || n % 50, 'resolved', now() - n * interval '1 minute' "
        "FROM generate_series(1, 5000) n"
    )
    await db.execute(
        "INSERT INTO workflow_definitions (id, definition_id, kind, name, version, content_hash, status, created_by, metadata) "
        "SELECT n, 'd' || n, 'process', 'd' || n, 1, '', 'published', 'u' || n % 50, "
        """ '{"tags": ["t"], "category": "c"}' FROM generate_series(1000, 6000) n"""
    )


@pytest.mark.req("D-API-005", "D-API-011", "D-API-018")
@pytest.mark.req("TES-DAT-002", "TES-DAT-003", "D-DAT-011", "D-DAT-013", "D-DAT-015")
async def test_the_listed_queries_use_the_indexes_made_for_them(db, dsn, schema):
    log = Log()
    definitions = [log.definition(f"p{n}") for n in range(8)]
    for n in range(1_600):
        d = n % 8
        instance, token = log.start(definitions[d], {"n": n}, process=f"p{d}", business_key=f"K{n}" if n % 50 == 0 else "")
        details = {"assignee": f"u{n % 40}", "candidate_groups": [f"g{n % 40}"], "due_us": log.now_us + n * 10**9} if n % 4 == 0 else None
        task = log.task(instance, token, type="user_task" if details else "service_task", details=details)
        if n % 16:
            log.complete(instance, token, task, result={"metrics": {f"m{n % 40}": n}})
        if n % 100 == 99:
            child, _ = log.start(definitions[d], process=f"p{d}", parent=instance, root=instance)
            log.add(ta.TaskCancelled(key=child, task=1, token=1, element="x"))
        log.now_us += 60_000_000
    await project(db, log)
    await _crowd(db)
    await db.execute("ANALYZE")
    some = [r for r in log.all() if isinstance(r.event, ta.TaskCreated)][777]
    instance, task = some.event.key, some.event.task
    day = _iso(log.now_us - 3_600_000_000)
    cases: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("workflow_events_by_instance", q.instance_events, (instance,)),
        ("task_events_by_task", q.task_events, (task,)),
        ("tasks_by_instance", q.list_tasks, ({"instance": str(instance), "status": "completed"},)),
        ("tasks_by_status", q.list_tasks, ({"status": "created"},)),
        ("tasks_by_definition", q.list_tasks, ({"definition": str(definitions[3])},)),
        ("tasks_by_assignee", q.list_tasks, ({"assignee": "u4"},)),
        ("tasks_by_group", q.list_tasks, ({"candidate_group": "g4"},)),
        ("tasks_by_due", q.list_tasks, ({"due_before": _iso(log.now_us - 1_500 * 60_000_000)},)),
        ("workflow_instances_by_time", q.list_instances, ({},)),
        ("workflow_instances_by_status", q.list_instances, ({"status": "running"},)),
        ("workflow_instances_by_process", q.list_instances, ({"definition": "p3"},)),
        ("workflow_instances_by_definition", q.list_instances, ({"definition": str(definitions[3])},)),
        ("workflow_instances_by_business_key", q.list_instances, ({"business_key": "K100"},)),
        ("workflow_instances_by_parent", q.list_instances, ({"parent": str(instance)},)),
        ("variables_by_value", q.list_instances, ({"var.n": "55"},)),
        *[(index, q.list_instances, (given,)) for index, given in INSTANCE_FILTERS],
        *[(index, q.list_tasks, (given,)) for index, given in TASK_FILTERS],
        *[(index, q.list_incidents, (given,)) for index, given in INCIDENT_FILTERS],
        *[(index, q.list_definitions, (given,)) for index, given in DEFINITION_FILTERS],
        ("workflow_instances_pkey", q.get_instance, (instance,)),
        ("tasks_pkey", q.get_task, (task,)),
    ]
    wrong: list[str] = []
    async with Explainer(dsn, schema) as reader:
        for index, function, args in cases:
            for _ in range(3):
                reader.used, reader.partitions = set(), set()
                await function(reader, "", *args)
                if index in reader.used:
                    break
                await db.execute("ANALYZE")
            else:
                wrong.append(f"{function.__name__}{args}: expected {index}, the plan has {sorted(reader.used)}")
        assert not wrong, "\n".join(wrong)
        for index, query, values in [
            ("workflow_events_by_type", "SELECT 1 FROM workflow_events WHERE tenant_id = '' AND event_type = 'task.cancelled'", ()),
            (
                "workflow_events_by_type",
                "SELECT count(*) FROM workflow_events WHERE tenant_id = '' AND event_type IN ('workflow.completed', 'workflow.started', 'task.failed') "
                "AND occurred_at > %s",
                (day,),
            ),
            ("task_events_by_type", "SELECT 1 FROM task_events WHERE tenant_id = '' AND event_type = 'task.cancelled'", ()),
            ("workflow_events_by_time", "SELECT 1 FROM workflow_events WHERE occurred_at >= %s", (day,)),
            ("task_events_by_time", "SELECT 1 FROM task_events WHERE occurred_at >= %s", (day,)),
            (
                "execution_metrics_by_entity",
                "SELECT 1 FROM execution_metrics WHERE tenant_id = '' AND entity_type = 'task' AND entity_id = 1",
                (),
            ),
            ("execution_metrics_by_time", "SELECT 1 FROM execution_metrics WHERE occurred_at >= %s", (day,)),
            ("execution_metrics_by_name", "SELECT 1 FROM execution_metrics WHERE tenant_id = '' AND metric_name = 'm7'", ()),
        ]:
            for _ in range(3):  # what ANALYZE finds is a sample
                reader.used, reader.partitions = set(), set()
                await reader.rows(query, values)
                if index in reader.used:
                    break
                await db.execute("ANALYZE")
            assert index in reader.used, f"{query}: expected {index}, the plan has {sorted(reader.used)}"
        reader.partitions = set()
        await reader.rows("SELECT count(*) FROM tasks WHERE created_at >= '2024-10-01Z' AND created_at < '2024-11-01Z'")
        assert {p for p in reader.partitions if p.startswith("tasks_")} == {"tasks_m202410"}, "other months are pruned"
