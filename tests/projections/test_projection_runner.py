"""The runner: it keeps up, resumes, stands back, survives the loss of the database; and views are rebuilt beside the live ones."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from msgspec.structs import replace
from projection_story import Log, rich

from flowledger.events import task as ta
from flowledger.projections import indexes, wall
from flowledger.projections import queries as q
from flowledger.projections import schema as sc
from flowledger.projections.reader import NotProjected, Reader
from flowledger.projections.rebuild import Busy, checksums, rebuild, verify
from flowledger.projections.runner import AnotherLog, Runner, run
from flowledger.projections.views import TABLES, VIEWS

pytestmark = pytest.mark.postgres


@asynccontextmanager
async def running(log: Log, dsn: str, schema: str, partitions=(0,), **settings):
    stop = asyncio.Event()
    runner = Runner(log.source, dsn, partitions, schema=schema, interval_s=0.005, end=log.end, **settings)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def caught_up(runner: Runner, log: Log, timeout_s: float = 60) -> None:
    async with asyncio.timeout(timeout_s):
        while any(runner.position.get(p, 0) < len(records) for p, records in log.records.items()):
            await asyncio.sleep(0.005)


async def until(condition, timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def equal_to_the_fold(dsn: str, schema: str, log: Log) -> None:
    result = await verify(dsn, log.source, log.records, schema=schema)
    assert {t: r for t, r in result.items() if not r["equal"]} == {}


@pytest.mark.req("D-DAT-017", "WOS-DAT-001", "APG-DAT-009", "D-DAT-001")
async def test_it_projects_resumes_and_equals_the_fold(db, dsn, schema):
    log, _ = rich(2)
    async with running(log, dsn, schema, (0, 1)) as runner:
        await caught_up(runner, log)
        assert {p: lag["events"] for p, lag in runner.lag().items()} == {0: 0, 1: 0}
        assert runner.connected and runner.error == ""
    d = log.definition("second")
    for n in range(20):
        log.one_task_instance(d, n, partition=n % 2)
    async with running(log, dsn, schema, (0, 1)) as runner:
        await caught_up(runner, log)
    await equal_to_the_fold(dsn, schema, log)
    async with Reader(dsn, schema) as reader:
        assert {k: v for k, v in (await q.orphans(reader)).items() if v} == {}


async def test_a_write_waits_for_more_unless_somebody_waits_for_it(db, dsn, schema):
    log, _ = rich(1)
    stop = asyncio.Event()
    runner = Runner(log.source, dsn, (0,), schema=schema, interval_s=3_600.0)
    task = asyncio.create_task(runner.run(stop))
    try:
        await until(lambda: runner.position.get(0, 0) > 0)
        log.one_task_instance(log.definition("second"), 1)
        async with Reader(dsn, schema) as reader:
            with pytest.raises(NotProjected):
                await reader.wait_for(f"0-{len(log.records[0]) - 1}", 1.0)
            reader.hurry = runner.hurry
            await reader.wait_for(f"0-{len(log.records[0]) - 1}", 60)
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def test_work_in_hand_over_a_restart_equals_the_fold(db, dsn, schema):
    log, k = rich()
    whole = log.records[0]
    for cut in range(0, len(whole), 9):
        log.records[0] = whole[: cut + 9]
        async with running(log, dsn, schema) as runner:
            await caught_up(runner, log)
    await equal_to_the_fold(dsn, schema, log)


@pytest.mark.req("WOS-RES-007")
async def test_a_lost_connection_loses_and_repeats_nothing(db, dsn, schema):
    log = Log()
    log.batch = 10
    d = log.definition()
    async with running(log, dsn, schema) as runner:
        for n in range(60):
            log.one_task_instance(d, n, done=n % 3 != 0)
            if n % 15 == 7:
                await until(lambda: runner.connected)
                sessions = runner.sessions
                await asyncio.sleep(0.02)
                await db.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", (f"projector of {schema}",)
                )
                await until(lambda before=sessions: runner.sessions > before)
        await caught_up(runner, log)
        assert runner.sessions > 1, "the connection was lost at least once"
    await equal_to_the_fold(dsn, schema, log)
    cursor = await db.execute("SELECT count(*) - count(DISTINCT (id, workflow_instance_id)) FROM workflow_events")
    assert await cursor.fetchone() == (0,)


async def test_a_reader_that_does_not_end_holds_nobody_up(db, dsn, schema, monkeypatch):
    """As a consumer whose broker is away: asked to end, it goes on for a while, and reads once more."""
    monkeypatch.setattr("flowledger.projections.runner.ENDING_S", 0.2)
    log = Log()
    log.batch = 10
    d = log.definition()
    log.one_task_instance(d, 0)
    freed = asyncio.Event()
    late: list[int] = []
    source = log.source

    async def stubborn(partition, offset):
        try:
            async for found in source(partition, offset):
                yield found
            await asyncio.sleep(3600 if offset == 0 else 0)
        except asyncio.CancelledError:
            if offset:
                raise
            await freed.wait()
            async for found in source(partition, 0):
                late.append(found[1])
                yield found

    log.source = stubborn
    async with running(log, dsn, schema) as runner:
        await until(lambda: runner.sessions == 1 and runner.position.get(0) == len(log.records[0]))
        await db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", (f"projector of {schema}",))
        log.one_task_instance(d, 1)
        await asyncio.sleep(0.1)
        runner._arrived.set()  # what the silent reader would have told: the session writes, and hears that its connection is gone
        runner._queue.append((0, [], runner.position[0]))
        await until(lambda: runner.sessions > 1)
        await caught_up(runner, log)
        freed.set()
        await until(lambda: late)
        log.one_task_instance(d, 2)
        await caught_up(runner, log)
    await equal_to_the_fold(dsn, schema, log)


async def test_the_database_away_at_first(schema):
    log, _ = rich()
    stop = asyncio.Event()
    runner = Runner(log.source, "host=127.0.0.1 port=1 dbname=none", schema=schema)
    task = asyncio.create_task(runner.run(stop))
    await until(lambda: "Error" in runner.error)
    assert not task.done() and not runner.connected
    stop.set()
    await asyncio.wait_for(task, 5)


async def test_one_projector_at_a_time(db, dsn, schema):
    log, _ = rich()
    async with running(log, dsn, schema) as first:
        await caught_up(first, log)
        async with running(log, dsn, schema) as second:
            await until(lambda: "another projector" in second.error)
            assert not second.connected


async def test_wait_for_a_position(db, dsn, schema):
    log = Log()
    instance, _ = log.start(log.definition(), {"a": 1})
    position = log.records[0][-1].id
    async with Reader(dsn, schema) as reader:
        with pytest.raises(NotProjected) as refused:
            await reader.wait_for(position, 0.05)
        assert refused.value.position == ""
        async with running(log, dsn, schema):
            await reader.wait_for(position, 60)
            found = await q.get_instance(reader, "", instance)
            assert found and found["position"] == position and found["variables"] == {"a": 1}
            log.add(ta.BreakerChanged(target="x", state="open"))
            await reader.wait_for(log.records[0][-1].id, 60)
        status = await reader.status()
        assert {s["view"] for s in status} == set(VIEWS) and all(s["partitions"]["0"]["position"] == 3 for s in status)


@pytest.mark.req("APG-DAT-009", "D-DAT-001", "WSM-RES-007")
async def test_a_rebuild_beside_a_running_projector(db, dsn, schema):
    log, _ = rich(2)
    async with running(log, dsn, schema, (0, 1)) as runner:
        await caught_up(runner, log)
        before = await checksums(db, TABLES, schema)
        await db.execute("UPDATE tasks SET name = 'spoilt'")
        assert not (await verify(dsn, log.source, (0, 1), ["tasks"], schema=schema))["tasks"]["equal"]

        async def traffic() -> None:
            d = log.definition("more")
            for n in range(40):
                log.one_task_instance(d, n, partition=n % 2)
                await asyncio.sleep(0.002)

        busy = asyncio.create_task(traffic())
        assert set(await rebuild(dsn, log.source, (0, 1), ["tasks", "instances", "events"], schema=schema)) == {
            "tasks",
            "instances",
            "events",
        }
        await busy
        await caught_up(runner, log)
    await equal_to_the_fold(dsn, schema, log)
    after = await checksums(db, TABLES, schema)
    assert after["tasks"] != before["tasks"]
    left = await (await db.execute("SELECT count(*) FROM pg_namespace WHERE nspname = %s", (schema + sc.NEXT,))).fetchone()
    assert left == (0,)


async def test_another_version_is_rebuilt_at_the_start_and_a_newer_one_refused(db, dsn, schema):
    log, _ = rich()
    async with running(log, dsn, schema) as runner:
        await caught_up(runner, log)
    newer = {n: v._replace(version=v.version + 1) if n == "timers" else v for n, v in VIEWS.items()}
    await db.execute("UPDATE timers SET element = 'of the old version'")
    async with running(log, dsn, schema, views=newer) as runner:
        log.definition("z")
        await caught_up(runner, log)
    row = await (
        await db.execute("SELECT version, (SELECT count(*) FROM timers WHERE element LIKE 'of the%%') FROM views WHERE name = 'timers'")
    ).fetchone()
    assert row == (2, 0)
    with pytest.raises(sc.NewerSchema):
        await run(log.source, dsn, asyncio.Event(), schema=schema)


@pytest.mark.req("D-DAT-017")
async def test_the_database_of_an_older_release_is_brought_up_at_the_start(db, dsn, schema):
    """Tables without the columns of this release, of definitions whose events told nothing of their graph."""
    log, _ = rich()
    async with running(log, dsn, schema) as runner:
        await caught_up(runner, log)
    before = await checksums(db, TABLES, schema)
    await db.execute(f"DROP SCHEMA {schema}{wall.ROWS} CASCADE")
    old = {"tasks": ("parent_id", "sequence_number", "result_status"), "workflow_definitions": ("graph_hash", "outline")}
    for table, columns in old.items():
        for column in columns:
            await db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    await db.execute("UPDATE views SET version = version - 1 WHERE name IN ('tasks', 'definitions', 'instances')")
    async with running(log, dsn, schema) as runner:
        log.definition("z")
        await caught_up(runner, log)
    assert dict(await (await db.execute("SELECT name, version FROM views")).fetchall()) == {n: v.version for n, v in VIEWS.items()}
    after = await checksums(db, TABLES, schema)
    assert {t for t in TABLES if after[t] != before[t]} == {"workflow_definitions"}
    await equal_to_the_fold(dsn, schema, log)


@pytest.mark.req("D-DAT-011")
async def test_indexes_of_this_release_come_beside_the_projectors_work(db, dsn, schema):
    log, _ = rich()
    async with running(log, dsn, schema) as runner:
        await caught_up(runner, log)
    await db.execute("DROP INDEX incidents_by_code, tasks_by_parent")
    await db.execute("DELETE FROM migrations WHERE name LIKE 'indexes %'")
    async with running(log, dsn, schema) as runner:
        log.definition("z")
        await caught_up(runner, log)
        async with asyncio.timeout(60):
            while not await indexes.fit(db):
                await asyncio.sleep(0.02)
        log.definition("y")
        await caught_up(runner, log)
        assert runner.sessions == 1
    assert {"incidents_by_code", "tasks_by_parent"} <= {n for n, i in (await indexes.found(db, schema)).items() if i.valid}
    await equal_to_the_fold(dsn, schema, log)


async def test_rebuilds_exclude_each_other(db, dsn, schema):
    log, _ = rich()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as other:
        await other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"flowledger.rebuild.{schema}",))
        with pytest.raises(Busy):
            await rebuild(dsn, log.source, (0,), schema=schema)


@pytest.mark.req("TES-DAT-005")
async def test_months_are_made_when_needed_and_leave_when_done(db, dsn, schema):
    log = Log(start_us=1_700_000_000_000_000)  # 2023-11
    d = log.definition()
    log.one_task_instance(d, 1)
    log.now_us += 45 * 86_400_000_000
    old, task = log.one_task_instance(d, 2, done=False)
    log.now_us += 45 * 86_400_000_000
    log.one_task_instance(d, 3)
    async with running(log, dsn, schema) as runner:
        await caught_up(runner, log)
    months = [m for _, m in await sc.partitions_of(db, schema, "tasks")]
    assert {"2023-11", "2023-12", "2024-02"} <= set(months) and set(sc.months_from(datetime.now(UTC).date(), sc.MONTHS_AHEAD)) <= set(
        months
    )
    moved = await sc.detach_before(db, "2024-02", schema)
    assert "tasks_m202311" in moved and "variables_m202311" in moved and "tasks_m202312" not in moved and "variables_m202312" not in moved
    async with Reader(dsn, schema) as reader:
        listed = await q.list_tasks(reader, "", {})
        assert [i["created_at"][:7] for i in listed["items"]] == ["2024-02", "2023-12"]
        archived = await reader.rows("SELECT id FROM " + schema + "_archive.tasks_m202311")
        found = await q.get_task(reader, "", archived[0]["id"])
        assert found and found["archived"] and found["status"] == "completed"
        open_ = await q.get_task(reader, "", task)
        assert open_ and open_["instance"] == str(old)


@pytest.mark.req("D-DAT-016")
async def test_migrations_run_once_and_at_the_same_time(dsn, schema):
    async def start() -> dict[str, int]:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
            return await sc.migrate(conn, schema)

    assert await asyncio.gather(*(start() for _ in range(4))) == [{n: v.version for n, v in VIEWS.items()}] * 4


@pytest.mark.req("APG-DAT-002")
async def test_tenants_are_kept_apart_by_the_database_too(db, dsn, schema):
    log = Log()
    for tenant in ("acme", "umbrella"):
        log.start(log.definition(tenant=tenant), tenant=tenant)
    async with running(log, dsn, schema) as runner:
        await caught_up(runner, log)
    role = f"reader_{schema}"
    await db.execute(f"CREATE ROLE {role}")  # type: ignore[arg-type]
    await db.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")  # type: ignore[arg-type]
    try:
        async with db.transaction():
            await db.execute(f"SET LOCAL ROLE {role}")  # type: ignore[arg-type]
            await db.execute("SET LOCAL flowledger.tenant = 'acme'")
            for table in ("workflow_instances", "workflow_definitions", "workflow_events"):
                cursor = await db.execute(f"SELECT DISTINCT tenant_id FROM {table}")  # type: ignore[arg-type]
                assert await cursor.fetchall() == [("acme",)], table
            assert await (await db.execute("SELECT count(*) FROM workflow_instances_m202410")).fetchone() == (1,)
    finally:
        await db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")  # type: ignore[arg-type]


async def test_rows_of_another_log_are_refused(db, dsn, schema):
    """The log's end is behind what the database has: its rows are of another log, and nothing is read on or written."""
    log, _ = rich(2)
    async with running(log, dsn, schema, (0, 1)) as runner:
        await caught_up(runner, log)
    other = Log()
    d = other.definition()
    other.one_task_instance(d, 1)
    assert len(other.records[0]) < len(log.records[0])
    before = await checksums(db, TABLES, schema)
    wrong = Runner(other.source, dsn, (0,), schema=schema, interval_s=0.005, end=other.end)
    with pytest.raises(AnotherLog, match=f"partition 0 up to {len(log.records[0])}, but the log ends at {len(other.records[0])}"):
        async with asyncio.timeout(20):
            await wrong.run(asyncio.Event())
    assert "another log" in wrong.error and not wrong.connected and wrong.writes == 0
    assert await checksums(db, TABLES, schema) == before


async def test_a_transaction_is_one_span_linked_to_the_traces_of_its_events(db, dsn, schema):
    class Spans:
        on = True

        def __init__(self):
            self.made = []

        def done(self, name, seconds, traces, **attributes):
            self.made.append((name, list(traces), attributes))

    log, spans = Log(), Spans()
    log.one_task_instance(log.definition(), 1)
    log.records[0] = [replace(r, envelope=replace(r.envelope, trace=f"trace-{n // 4}" if n else "")) for n, r in enumerate(log.records[0])]
    async with running(log, dsn, schema, tracer=spans) as runner:
        await caught_up(runner, log)
        await until(lambda: runner.writes == len(spans.made))
    assert [name for name, _, _ in spans.made] == ["project"] * runner.writes and runner.writes < len(log.records[0])
    assert sorted({t for _, traces, _ in spans.made for t in traces}) == sorted({f"trace-{n // 4}" for n in range(1, len(log.records[0]))})
    assert sum(a["events"] for _, _, a in spans.made) == len(log.records[0])
