"""Ended instances are removed from the views: no row of theirs is left in any table, live and built anew, whatever order partitions are read in."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from projection_story import Log, rich

from flowledger.events import holds as ho
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.commands import PARTITION_BITS
from flowledger.projections import queries as q
from flowledger.projections.reader import Reader
from flowledger.projections.rebuild import rebuild, verify
from flowledger.projections.runner import Runner
from flowledger.projections.views import TABLES, VIEWS

pytestmark = pytest.mark.postgres
#: they tell of an instance, and are not its own: what came in, what was asked for, what a trigger did
NOT_ITS_OWN = {"messages", "dead_letters", "operations", "trigger_runs"}


@asynccontextmanager
async def running(log: Log, dsn: str, schema: str):
    stop = asyncio.Event()
    runner = Runner(log.source, dsn, tuple(log.records), schema=schema, interval_s=0.005, end=log.end)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def caught_up(runner: Runner, log: Log) -> None:
    async with asyncio.timeout(60):
        while any(runner.position.get(p, 0) < len(records) for p, records in log.records.items()):
            await asyncio.sleep(0.005)


def remove(log: Log, key: int, tenant: str = "", reason: str = "the law") -> None:
    log.add(wf.WorkflowRemovedFromViews(key=key, reason=reason), partition=key >> PARTITION_BITS, tenant=tenant, actor="eve")


async def left(db, key: int) -> dict[str, int]:
    """Rows about the instance, table by table; of tables that know tasks alone, all that belong to no task."""
    found: dict[str, int] = {}
    for name, table in TABLES.items():
        column = "workflow_instance_id" if "workflow_instance_id" in table.columns else "id" if name == "workflow_instances" else ""
        if column and name not in NOT_ITS_OWN:
            row = await (await db.execute(f"SELECT count(*) FROM {name} WHERE {column} = %s", (key,))).fetchone()
            found[name] = row[0]
    return {name: n for name, n in found.items() if n}


def ended_with_all(log: Log, names: dict[str, int]) -> list[int]:
    """Instances of `rich` are brought to their end, with a hold, a variable in a scope, and messages on another partition."""
    i, t = names["instance"], names["token"]
    log.add(ho.HoldPlaced(key=i, hold=log.key(), scope="instance", subject=str(i), mode="suspend"))
    log.complete(i, t, names["task"], {"ok": True}, element="approve", result={"metrics": {"tokens": 7}})
    log.add(wf.WorkflowFailed(key=names["failed_instance"], code="E", message="gave up"))
    return [i, names["failed_instance"], names["cancelled"]]


def awaited(log: Log, key: int) -> None:
    """On the other partition, by the key of a correlation."""
    log.add(wa.MessageAwaited(key=key, subscription=7, name="paid", correlation="42", home=0, process="order"), partition=1)


@pytest.mark.req("D-API-019", "D-DAT-001")
async def test_no_row_of_a_removed_instance_is_left_live_and_built_anew(db, dsn, schema):
    log, names = rich(2)
    d = names["definition"]
    other, _ = log.start(d, {"secret": 1}, tenant="b")
    log.add(wf.WorkflowCompleted(key=other, token=0, element="end"), tenant="b")
    keeps, _ = log.one_task_instance(d, 9)
    async with running(log, dsn, schema) as runner:
        ended = ended_with_all(log, names)
        awaited(log, ended[0])
        await caught_up(runner, log)
        tables = set().union(*[set(await left(db, key)) for key in ended])
        assert tables >= {
            "workflow_instances",
            "tasks",
            "variables",
            "incidents",
            "workflow_events",
            "timers",
            "holds",
            "execution_metrics",
        }
        for key in ended[:2]:
            remove(log, key)
        remove(log, other)  # a stranger's word
        remove(log, log.key())  # what never was
        awaited(log, ended[0])  # what the other partition tells of it comes later
        await caught_up(runner, log)
        for key in ended[:2]:
            assert await left(db, key) == {"workflow_events": 1}, "that it was removed, by whom and why"
        told = await (
            await db.execute("SELECT event_type, metadata, data FROM workflow_events WHERE workflow_instance_id = %s", (ended[0],))
        ).fetchall()
        assert told == [("workflow.removed_from_views", {"actor": "eve"}, {"reason": "the law"})]
        assert set(await left(db, ended[2])) >= {"workflow_instances", "tasks", "timers"} and await left(db, keeps), "others stay"
        # one that ends and is removed before anything of it was written
        at_once, task = log.one_task_instance(d, 3)
        remove(log, at_once)
        remove(log, at_once)
        await caught_up(runner, log)
        assert await left(db, at_once) == {"workflow_events": 2}
        async with Reader(dsn, schema) as reader:
            assert {k: v for k, v in (await q.orphans(reader, 100)).items() if v} == {}
            assert await q.get_instance(reader, "b", other), "another tenant's"
            assert await q.get_instance(reader, "", ended[0]) is None and await q.get_task(reader, "", names["task"]) is None
            assert await q.get_instance(reader, "", ended[2])
        for view in VIEWS:  # each by itself, and all at once
            found = await verify(dsn, log.source, log.records, [view], schema=schema)
            assert {t: r for t, r in found.items() if not r["equal"]} == {}, view
        await rebuild(dsn, log.source, log.records, schema=schema)
        assert await left(db, ended[0]) == {"workflow_events": 1}
        await caught_up(runner, log)
    assert {t: r for t, r in (await verify(dsn, log.source, log.records, schema=schema)).items() if not r["equal"]} == {}


@pytest.mark.parametrize("cut", range(1, 9))
async def test_wherever_the_projector_stops_rows_are_those_of_the_fold(db, dsn, schema, cut):
    log, names = rich(2)
    ended = ended_with_all(log, names)
    awaited(log, ended[0])
    remove(log, ended[0])
    awaited(log, ended[0])
    remove(log, ended[1])
    whole = {p: list(records) for p, records in log.records.items()}
    log.batch = 3
    for p, records in whole.items():
        log.records[p] = records[: len(records) - cut] if p == cut % 2 else records
    async with running(log, dsn, schema) as runner:
        await caught_up(runner, log)
    log.records = whole
    async with running(log, dsn, schema) as runner:
        await caught_up(runner, log)
    assert {t: r for t, r in (await verify(dsn, log.source, log.records, schema=schema)).items() if not r["equal"]} == {}
    assert await left(db, ended[0]) == await left(db, ended[1]) == {"workflow_events": 1}
