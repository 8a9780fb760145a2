"""Measures in rows: over restarts, lost connections and several projectors they are what was planned and what a rebuild finds; and so are the answers."""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from projection_story import START_US as STORY_US
from projection_story import Log

from flowledger.analytics.figures import COUNTED
from flowledger.bench.histories import START_US, Case, History
from flowledger.events import workflow as wf
from flowledger.projections.measures import ITEMS_MAX, MEASURES, measures
from flowledger.projections.reader import BadQuery, Reader
from flowledger.projections.rebuild import rebuild, verify
from flowledger.projections.runner import Runner

sys.path.insert(0, str(Path(__file__).parent.parent / "analytics"))
from truth import counted

pytestmark = pytest.mark.postgres
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = (
    "measures_minute",
    "measures_hour",
    "measures_day",
    "spreads_hour",
    "spreads_day",
    "variants_day",
    "variants",
    "traces",
    "kpis_minute",
    "kpis_hour",
    "kpis_day",
    "kpis_broken",
    "kpi_terms",
)


class Drawn:
    """A history as a log; `known` are the records that are there yet."""

    def __init__(self, history: History) -> None:
        self.history, self.records = history, history.records()
        self.known = {p: len(log) for p, log in self.records.items()}

    async def source(self, partition, offset):
        while True:
            while offset < (end := self.known[partition]):
                part = self.records[partition][offset : min(end, offset + 200)]
                offset += len(part)
                yield part, offset
            await asyncio.sleep(0.005)

    async def end(self, partition):
        return self.known[partition]


@asynccontextmanager
async def running(log, dsn, schema, partitions):
    stop = asyncio.Event()
    runner = Runner(log.source, dsn, partitions, schema=schema, interval_s=0.005, end=log.end)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def caught_up(log: Drawn, *runners: Runner) -> None:
    async with asyncio.timeout(120):
        while any(runner.position.get(p, 0) < log.known[p] for runner in runners for p in runner.partitions):
            await asyncio.sleep(0.005)


def us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


async def rows_of(db, grain: str) -> dict:
    names = ", ".join(COUNTED)
    cursor = await db.execute(f"SELECT tenant_id, definition_id, element, job_type, at, {names} FROM measures_{grain}")
    return {
        (t, d, e, j, us(at)): {n: v for n, v in zip(COUNTED, values, strict=True) if v}
        for t, d, e, j, at, *values in await cursor.fetchall()
    }


async def as_planned(db, log: Drawn) -> None:
    for grain in ("minute", "hour", "day"):
        assert await rows_of(db, grain) == {k: v for k, v in counted(log.history.truth, grain).items() if v}


async def equal_to_the_fold(dsn, schema, log) -> None:
    found = await verify(dsn, log.source, log.records, ["measures"], schema=schema)
    assert {*found} == {*TABLES} and {t: r for t, r in found.items() if not r["equal"]} == {}


@pytest.mark.req("APG-ANA-005", "D-ANA-005")
async def test_over_restarts_and_lost_connections_rows_are_what_was_planned_and_what_a_rebuild_finds(db, dsn, schema):
    log = Drawn(History(11, 220, 3, partitions=2))
    rng = random.Random(11)
    whole = dict(log.known)
    log.known = dict.fromkeys(whole, 0)
    while log.known != whole:
        for p, end in whole.items():
            log.known[p] = min(end, log.known[p] + rng.randrange(1, 900))
        async with running(log, dsn, schema, (0, 1)) as runner:
            if rng.random() < 0.5:  # as a crash: its connection is gone within the batch
                await asyncio.sleep(rng.random() / 10)
                end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
                await db.execute(end, (f"projector of {schema}",))
            else:
                await caught_up(log, runner)
    async with running(log, dsn, schema, (0, 1)) as runner:
        await caught_up(log, runner)
        assert await (await db.execute("SELECT count(*) FROM traces WHERE state IS NOT NULL")).fetchone() == (
            sum(not c.outcome for c in log.history.truth),
        )
        await as_planned(db, log)
        await equal_to_the_fold(dsn, schema, log)
        assert await rebuild(dsn, log.source, log.records, ["measures"], schema=schema) == {"measures": 3}
    await as_planned(db, log)
    await equal_to_the_fold(dsn, schema, log)


async def test_two_projectors_add_to_the_same_rows(db, dsn, schema):
    log = Drawn(History(12, 300, 0.2, partitions=2, tenants=("",)))
    async with running(log, dsn, schema, (0,)) as one, running(log, dsn, schema, (1,)) as other:
        await caught_up(log, one, other)
    await as_planned(db, log)
    await equal_to_the_fold(dsn, schema, log)


async def test_an_instance_that_is_removed_leaves_no_trace_and_stays_in_the_figures(db, dsn, schema):
    log = Log()
    d = log.definition()
    keys = [log.one_task_instance(d, n)[0] for n in range(3)]
    log.add(wf.WorkflowRemovedFromViews(key=keys[1]))
    stop = asyncio.Event()
    runner = Runner(log.source, dsn, (0,), schema=schema, interval_s=0.005, end=log.end)
    task = asyncio.create_task(runner.run(stop))
    async with asyncio.timeout(60):
        while runner.position.get(0, 0) < len(log.records[0]):
            await asyncio.sleep(0.005)
    stop.set()
    await task
    assert [k for (k,) in await (await db.execute("SELECT id FROM traces ORDER BY id")).fetchall()] == [keys[0], keys[2]]
    query = "SELECT sum(completed)::int, min(at) FROM measures_day WHERE element = ''"
    completed, at = await (await db.execute(query)).fetchone()
    assert completed == 3 and at == EPOCH + timedelta(microseconds=STORY_US - STORY_US % 86_400_000_000)
    result = await verify(dsn, log.source, log.records, ["measures"], schema=schema)
    assert all(r["equal"] for r in result.values())


# --- answers


def at(moment_us: int) -> str:
    return (EPOCH + timedelta(microseconds=moment_us)).isoformat().replace("+00:00", "Z")


def exact(times: list[int], share: float) -> float:
    times = sorted(times)
    return times[max(0, -(-int(share * 1000) * len(times) // 1000) - 1)] / 1000


@pytest.mark.req("D-ANA-005")
async def test_each_answer_is_what_the_plan_says(db, dsn, schema):
    log = Drawn(History(13, 400, 4))
    cases = [c for c in log.history.truth if c.tenant == "acme"]
    start, end = START_US, START_US + 8 * 86_400_000_000
    span = {"from": at(start), "to": at(end)}
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    async with Reader(dsn, schema) as reader:

        async def ask(**given):
            return await measures(reader, "acme", {"measure": ",".join(MEASURES), **span, **given})

        whole = await ask()
        (item,) = whole["items"]
        ended = [c for c in cases if c.outcome]
        done = [c for c in cases if c.outcome == "completed"]
        assert whole["position"] == f"0-{log.known[0] - 1}"
        assert {k: item[k] for k in ("started", "completed", "failed", "cancelled", "ended", "wip")} == {
            "started": len(cases), "completed": len(done), "failed": sum(c.outcome == "failed" for c in cases),
            "cancelled": sum(c.outcome == "cancelled" for c in cases), "ended": len(ended), "wip": len(cases) - len(ended),
        }  # fmt: skip
        assert item["success_rate"] == round(len(done) / len(ended), 6) and item["throughput"] == round(len(done) / (8 * 24), 6)
        assert item["attempts"] == sum(len(c.attempts) for c in cases) and item["incidents"] == sum(len(c.incidents) for c in cases)
        assert item["retries"] == sum(a[4] for c in cases for a in c.attempts) and item["reworked"] == sum(len(c.reworked) for c in cases)
        cycle = [c.ended - c.started for c in done]
        self_made = {
            "count": len(cycle),
            "mean_ms": round(sum(cycle) / len(cycle) / 1000, 3),
            "min_ms": min(cycle) / 1000,
            "max_ms": max(cycle) / 1000,
        }
        assert {k: item["cycle_time"][k] for k in self_made} == self_made
        for name, share in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99)):
            assert item["cycle_time"][name] == pytest.approx(exact(cycle, share), rel=1 / 31)
        waits, works = [w[4] for c in cases for w in c.work], [w[5] for c in cases for w in c.work]
        assert item["waiting_time"]["mean_ms"] == round(sum(waits) / len(waits) / 1000, 3)
        assert item["working_time"]["p90_ms"] == pytest.approx(exact(works, 0.9), rel=1 / 31)
        assert item["working_share"] == round(sum(works) / (sum(works) + sum(waits)), 6)

        for window, size in (("hour", 3_600_000_000), ("day", 86_400_000_000)):
            found = (await ask(window=window, measure="started,completed,wip"))["items"]
            assert len(found) == (end - start) // size
            for n, item in enumerate(found):
                since, until = start + n * size, start + (n + 1) * size
                assert item == {
                    "from": at(since), "to": at(until), "started": sum(since <= c.started < until for c in cases),
                    "completed": sum(since <= c.ended < until for c in done),
                    "wip": sum(c.started < until and not (c.outcome and c.ended < until) for c in cases),
                }  # fmt: skip

        # from within a day and an hour on: what was open then counts
        late = start + 2 * 86_400_000_000 + 5 * 3_600_000_000 + 7 * 60_000_000
        (item,) = (await ask(window="minute", **{"from": at(late), "to": at(late + 60_000_000)}, measure="wip"))["items"]
        assert item["wip"] == sum(c.started < late + 60_000_000 and not (c.outcome and c.ended < late + 60_000_000) for c in cases)

        for item in (await ask(group="version,element", measure="started,failed,wip,cycle_time"))["items"]:
            visits = [v for c in cases if c.version == item["version"] for v in c.visits if v[0] == item["element"]]
            times = [until - since for _, since, until, how in visits if how == "completed"]
            assert item["process"] == "order" and item["started"] == len(visits) and item["failed"] == sum(v[3] == "failed" for v in visits)
            assert item["wip"] == sum(not v[3] for v in visits) and item["cycle_time"]["count"] == len(times)
            assert item["cycle_time"]["p95_ms"] == pytest.approx(exact(times, 0.95), rel=1 / 31, abs=1)
        for item in (await ask(group="job_type", measure="started,errors,error_rate"))["items"]:
            tries = [a for c in cases for a in c.attempts if a[1] == item["job_type"]]
            assert item["started"] == sum(j[1] == item["job_type"] for c in cases for j in c.jobs)
            assert item["errors"] == sum(a[3] for a in tries) and item["error_rate"] == round(item["errors"] / len(tries), 6)
        by_definition = (await ask(group="definition", measure="started"))["items"]
        assert {i["definition"]: i["started"] for i in by_definition} == {
            str(d): sum(c.definition == d for c in cases) for d in {c.definition for c in cases}
        }
        assert (await ask(definition=str(cases[0].definition), measure="started"))["items"][0]["started"] == sum(
            c.definition == cases[0].definition for c in cases
        )
        await tenants_apart(reader, log.history.truth, span)


async def tenants_apart(reader: Reader, truth: list[Case], span: dict[str, str]) -> None:
    for tenant in ("", "acme", "nobody"):
        (item,) = (await measures(reader, tenant, {**span, "measure": "started"}))["items"]
        assert item["started"] == sum(c.tenant == tenant for c in truth)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"measure": "speed"}, "measure: expected started"),
        ({"group": "person"}, "group: expected process"),
        ({"window": "year"}, "window: expected minute"),
        ({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from: expected a time before 2026-01-01"),
        ({"from": "soon"}, "from: expected a time like"),
        ({"window": "minute", "from": "2020-01-01T00:00:00Z"}, f"window: expected {ITEMS_MAX} windows at most"),
        ({"to": "1583-01-01T00:00:00Z"}, "to: expected a year from 1900"),
        ({"from": "9998-01-01T00:00:00Z"}, "from: expected a year from 1900 to 9000"),
    ],
)
async def test_what_cannot_be_read_is_said(db, dsn, schema, given, says):
    async with Reader(dsn, schema) as reader:
        with pytest.raises(BadQuery) as refused:
            await measures(reader, "", given)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize("window", ["week", "month"])
async def test_weeks_begin_on_mondays_and_months_on_their_first(db, dsn, schema, window):
    async with Reader(dsn, schema) as reader:
        found = await measures(
            reader, "", {"window": window, "from": "2026-01-15T13:00:00Z", "to": "2026-03-02T00:00:00Z", "measure": "wip"}
        )
    starts = [i["from"][:10] for i in found["items"]]
    assert starts == (
        ["2026-01-01", "2026-02-01", "2026-03-01"]
        if window == "month"
        else [str(datetime(2026, 1, 12).date() + timedelta(weeks=n)) for n in range(7)]
    )
