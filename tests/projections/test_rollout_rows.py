"""Rows of rollouts and what is told of versions: the kernel's own rule, counts, where instances wait; a rebuild gives the same."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from projection_story import Log
from test_projection_queries import project

from flowledger.events import definition as de
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.kernel import rollouts
from flowledger.kernel.state import Definition, Partition, Rollout
from flowledger.projections.reader import Reader
from flowledger.projections.rebuild import rebuild, verify
from flowledger.projections.runner import Runner
from flowledger.projections.versions import get_versions

pytestmark = [pytest.mark.postgres, pytest.mark.req("APG-HA-012", "APG-MOD-007")]


@pytest.fixture
async def reader(db, dsn, schema):
    async with Reader(dsn, schema) as r:
        yield r


def told(log: Log, partition: int = 0, **fields) -> None:
    log.add(de.RolloutChanged(kind="process", id="order", **fields), partition=partition, actor="ann")


async def test_counts_shares_and_where_they_wait(db, reader):
    log = Log(2)
    one, two = log.definition("order", 1), log.definition("order", 2)
    told(log, key=two, default_key=one, ramp_key=two, share=2_050, stopped_keys=[], reason="slowly")
    told(log, 1, key=two, default_key=two, reason="what another partition hears is not the last word")
    at_work = [log.start(one) for _ in range(3)]
    for key, token in at_work:
        log.task(key, token)
    waits, _ = log.start(one)
    timed, token = log.start(two)
    log.add(wa.TimerScheduled(key=timed, timer=log.key(), token=token, element="pause", due_us=log.now_us + 9))
    log.add(wf.WorkflowCompleted(key=at_work[0][0]))
    log.add(wa.IncidentRaised(key=waits, incident=log.key(), token=token, element="bad", code="X", message="x"))
    alone, _ = log.start(two)
    await project(db, log)
    found = await get_versions(reader, "", one)
    assert (found["default"], found["pinned"], found["ramp"], found["reason"], found["changed_by"]) == (
        1, 1, {"version": 2, "share": 20.5}, "slowly", "ann",
    )  # fmt: skip
    second, first = found["items"]
    assert (first["share"], second["share"], first["default"], second["default"]) == (79.5, 20.5, True, False)
    assert first["instances"] == {"running": 3, "completed": 1} and first["incidents"] == 1
    assert first["drain"]["waiting"] == [{"element": "work", "instances": 2}, {"element": "bad", "instances": 1}]
    assert second["drain"]["waiting"] == [{"element": "pause", "instances": 1}, {"element": None, "instances": 1}]
    assert first["drain"]["oldest"] < second["drain"]["oldest"] and {first["drain"]["status"], second["drain"]["status"]} == {"in_service"}
    assert await get_versions(reader, "b", one) is None and await get_versions(reader, "", 7) is None and alone


@pytest.mark.parametrize("pinned", [0, 1, 2, 3])
async def test_the_version_in_force_is_the_kernels(db, reader, pinned):
    """Of three versions, whatever is stopped, deprecated or deleted."""
    log, cases = Log(), list(itertools.product((False, True), ("published", "deprecated", "deleted"), repeat=3))[::5]
    keys = {}
    for n, case in enumerate(cases):
        name = f"p{n}"
        keys[n] = mine = [log.definition(name, v) for v in (1, 2, 3)]
        p = Partition(0, 1)
        for v, key in enumerate(mine, 1):
            status = case[v * 2 - 1]
            p.definitions[key] = Definition(
                key=key, id=name, kind="process", version=v, hash="", status="deprecated" if status != "published" else status
            )
            p.definitions[key].deleted = status == "deleted"
            if status == "deprecated":
                log.add(de.DefinitionStatusChanged(key=key, status="deprecated"))
            elif status == "deleted":
                log.add(de.DefinitionDeleted(key=key))
            else:
                continue
        stopped = [key for v, key in enumerate(mine) if case[v * 2]]
        r = Rollout(tenant="", kind="process", id=name, default=mine[pinned - 1] if pinned else 0, stopped=stopped)
        log.add(de.RolloutChanged(key=mine[0], kind="process", id=name, default_key=r.default, stopped_keys=stopped))
        left = {v: key for v, key in enumerate(mine, 1) if not p.definitions[key].deleted}
        meant = rollouts.in_force(p, r, left)
        keys[n] = next(iter(left.values()), 0), meant.version if meant is not None else None
    await project(db, log)
    for key, meant in keys.values():
        if key:
            found = await get_versions(reader, "", key)
            assert found["default"] == meant
            assert [v["share"] for v in found["items"] if v["default"]] == ([100] if meant else [])


async def test_a_rebuild_gives_the_same(db, dsn, schema):
    log = Log()
    one = log.definition("order", 1)
    told(log, key=one, default_key=one, stopped_keys=[one])
    told(log, key=one, default_key=one)
    stop, runner = asyncio.Event(), Runner(log.source, dsn, (0,), schema=schema)
    running = asyncio.create_task(runner.run(stop))
    async with asyncio.timeout(60):
        while runner.position.get(0, 0) < len(log.records[0]):
            await asyncio.sleep(0.01)
    async with Reader(dsn, schema) as r:
        live = await get_versions(r, "", one)
        assert live["items"][0]["stopped"] is False
        assert set(await rebuild(dsn, log.source, (0,), ["rollouts"], schema=schema)) == {"rollouts"}
        assert await get_versions(r, "", one) == live
    stop.set()
    await running
    assert (await verify(dsn, log.source, (0,), ["rollouts"], schema=schema))["rollouts"]["equal"]
