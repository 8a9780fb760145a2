"""Reports against the plan of a history: what was planted is found, and each number is counted a second time."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import asynccontextmanager

import pytest
from test_measure_rows import START_US, Drawn, History, at, caught_up, exact, running

from flowledger.projections.insight import bottlenecks, comparison, heatmap, variants
from flowledger.projections.reader import Reader, Senseless

pytestmark = pytest.mark.postgres
DAY = 86_400_000_000
SPAN = {"from": at(START_US), "to": at(START_US + 9 * DAY), "process": "order"}


@asynccontextmanager
async def drawn(dsn, schema, **more):
    log = Drawn(History(21, 600, 5, **more))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    async with Reader(dsn, schema) as reader:
        yield reader, log.history.truth


@pytest.mark.req("D-ANA-006")
async def test_the_planted_bottleneck_is_first_and_the_heatmap_is_what_was_planned(db, dsn, schema):
    async with drawn(dsn, schema) as (reader, truth):
        cases = [c for c in truth if c.tenant == "acme"]
        found = await bottlenecks(reader, "acme", SPAN)
        first = found["items"][0]
        waits = defaultdict(list)
        for c in cases:
            for element, _, _, _, wait, _ in c.work:
                waits[element].append(wait)
            for element, since, until, how in c.visits:
                if element in ("join", "start", "fine", "split", "end") and how == "completed":
                    waits[element].append(until - since)
        whole = sum(map(sum, waits.values()))
        assert (first["element"], first["rank"], first["kind"]) == ("approve", 1, "work")
        for item in found["items"]:
            mine = waits[item["element"]]
            assert item["count"] == len(mine) and item["waited_ms"] == pytest.approx(sum(mine) / 1000, rel=1e-6)
            assert item["share"] == pytest.approx(sum(mine) / whole, abs=1e-5) and item["p95_ms"] == pytest.approx(
                exact(mine, 0.95), rel=1 / 31, abs=1
            )
        assert [i["waited_ms"] for i in found["items"]] == sorted((i["waited_ms"] for i in found["items"]), reverse=True)
        assert first["wip"] == sum(v[0] == "approve" and not v[3] for c in cases for v in c.visits)
        assert "of all waiting" in first["says"] and "h" in first["says"]

        heat = {i["element"]: i for i in (await heatmap(reader, "acme", SPAN))["items"]}
        assert {*heat} == {v[0] for c in cases for v in c.visits}
        assert max(heat, key=lambda e: heat[e]["heat"]["waiting"]) == "approve" and heat["approve"]["heat"]["waiting"] == 1.0
        visits = Counter(v[0] for c in cases for v in c.visits)
        assert {e: i["heat"]["frequency"] for e, i in heat.items()} == {e: round(n / max(visits.values()), 4) for e, n in visits.items()}
        wrong = Counter(a[0] for c in cases for a in c.attempts if a[3]) + Counter(e for c in cases for e, _ in c.incidents)
        wrong += Counter(v[0] for c in cases for v in c.visits if v[3] == "failed")
        assert {e: i["heat"]["errors"] for e, i in heat.items()} == {e: round(wrong[e] / max(wrong.values()), 4) for e in heat}
        assert (await heatmap(reader, "nobody", SPAN))["items"] == [] and (await bottlenecks(reader, "nobody", SPAN))["items"] == []


@pytest.mark.req("APG-AI-010")
async def test_variants_are_the_planned_paths(db, dsn, schema):
    async with drawn(dsn, schema) as (reader, truth):
        for version in (None, 2):
            ended = [c for c in truth if c.tenant == "" and c.outcome and version in (None, c.version)]
            paths = Counter(c.path for c in ended)
            asked = {**SPAN, "limit": "200", **({"version": str(version)} if version else {})}
            found = await variants(reader, "", asked)
            assert (found["variants"], found["instances"]) == (len(paths), len(ended))
            assert {tuple(i["path"]): i["count"] for i in found["items"]} == dict(paths)
            assert [i["count"] for i in found["items"]] == sorted(paths.values(), reverse=True) and found["items"][-1]["cumulated"] == 1.0
            for item in found["items"]:
                mine = [c for c in ended if c.path == tuple(item["path"])]
                times = [c.ended - c.started for c in mine if c.outcome == "completed"]
                assert item["versions"] == sorted({c.version for c in mine}) and item["failed"] == sum(c.outcome == "failed" for c in mine)
                assert item["cycle_time"]["count"] == len(times)
                if times:
                    mean, least, most = (item["cycle_time"][k] for k in ("mean_ms", "min_ms", "max_ms"))
                    assert (mean, least, most) == (round(sum(times) / len(times) / 1000, 3), min(times) / 1000, max(times) / 1000)
        few = await variants(reader, "", {**SPAN, "limit": "2"})
        assert len(few["items"]) == 2 and few["variants"] > 2


@pytest.mark.req("APG-ANA-008")
async def test_the_version_that_checks_twice_as_fast_is_found_and_nothing_else_is(db, dsn, schema):
    async with drawn(dsn, schema, tenants=("",)) as (reader, truth):
        found = await comparison(reader, "", {**SPAN, "before": "1", "after": "2"})
        checks = [[w[5] for c in truth if c.version == v for w in c.work if w[0] == "check"] for v in (1, 2)]
        items = {(i["element"], i["measure"]): i for i in found["items"]}
        check = items["check", "working_time"]
        assert check["verdict"] == "faster" and check["p_value"] < 1e-6 and check == found["items"][0]
        assert check["change"] == pytest.approx(exact(checks[1], 0.5) / exact(checks[0], 0.5) - 1, abs=0.06)
        longer = sum((b > a) + (b == a) / 2 for a in checks[0] for b in checks[1]) / (len(checks[0]) * len(checks[1]))
        assert check["longer"] == pytest.approx(longer, abs=0.01)
        assert {k for k, i in items.items() if i["verdict"] not in ("same", None)} == {("check", "working_time")}
        for side, v in (("before", 1), ("after", 2)):
            mine = [c for c in truth if c.version == v]
            assert found[side]["started"] == len(mine) and found[side]["completed"] == sum(c.outcome == "completed" for c in mine)
        whole = [[c.ended - c.started for c in truth if c.version == v and c.outcome == "completed"] for v in (1, 2)]
        longer = sum((b > a) + (b == a) / 2 for a in whole[0] for b in whole[1]) / (len(whole[0]) * len(whole[1]))
        assert found["cycle_time"]["longer"] == pytest.approx(longer, abs=0.01) and found["success_rate"]["verdict"] == "same"
        nothing = await comparison(reader, "", {**SPAN, "before": "1", "after": "9"})
        assert nothing["cycle_time"]["verdict"] is None and nothing["success_rate"]["p_value"] is None
        with pytest.raises(Senseless):
            await comparison(reader, "", {**SPAN, "before": "1", "after": "1"})


async def test_in_the_same_history_two_halves_of_a_version_do_not_differ(db, dsn, schema):
    """How often chance alone is told as a difference: of all elements of three histories of one version that was given two numbers."""
    told = 0
    for seed in range(3):
        log = Drawn(History(100 + seed, 250, 3, tenants=("",), alike=True))
        name = f"{schema}{seed}"
        async with running(log, dsn, name, (0,)) as runner:
            await caught_up(log, runner)
        async with Reader(dsn, name) as reader:
            found = await comparison(reader, "", {**SPAN, "before": "1", "after": "2"})
            told += sum(i["verdict"] in ("faster", "slower") for i in found["items"])
        await db.execute(f"DROP SCHEMA {name} CASCADE")
    assert told <= 1
