"""KPIs in rows and in answers: over restarts what was planned and what a rebuild finds; promises that are broken, late and at risk."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from test_measure_rows import START_US, Drawn, at, caught_up, equal_to_the_fold, running

from flowledger.bench.histories import HOUR, History
from flowledger.projections import kpis as pk
from flowledger.projections.reader import Reader, Senseless
from flowledger.projections.rebuild import rebuild

sys.path.insert(0, str(Path(__file__).parent.parent / "analytics"))
from test_kpis_of_events import OFFICE, TERMS, office_us, planned

pytestmark = pytest.mark.postgres
DAY = 24 * HOUR
SPAN = {"from": at(START_US), "to": at(START_US + 60 * DAY)}


async def rows_of(db, grain: str) -> dict:
    query = f"SELECT tenant_id, name, element, value, sum(n)::bigint, sum(kept)::bigint, sum(total)::numeric FROM kpis_{grain} GROUP BY 1, 2, 3, 4"
    return {tuple(row[:4]): [int(v) for v in row[4:]] for row in await (await db.execute(query)).fetchall()}


@pytest.mark.req("APG-MON-009")
async def test_over_restarts_rows_of_kpis_are_what_was_planned_and_what_a_rebuild_finds(db, dsn, schema):
    log = Drawn(History(51, 160, 4, partitions=2, terms=TERMS))
    rng, whole = random.Random(51), dict(log.known)
    log.known = dict.fromkeys(whole, 0)
    while log.known != whole:
        for p, end in whole.items():
            log.known[p] = min(end, log.known[p] + rng.randrange(200, 1500))
        async with running(log, dsn, schema, (0, 1)) as runner:
            await caught_up(log, runner)
    truth = planned(log.history.truth)
    for grain in ("minute", "hour", "day"):
        assert await rows_of(db, grain) == truth
    await equal_to_the_fold(dsn, schema, log)
    assert await rebuild(dsn, log.source, log.records, ["measures"], schema=schema) == {"measures": 3}
    assert await rows_of(db, "day") == truth
    await equal_to_the_fold(dsn, schema, log)


def micro(value: float) -> int:
    return round(value * 1_000_000)


@pytest.mark.req("APG-ANA-003")
async def test_answers_are_what_the_plan_says(db, dsn, schema):
    log = Drawn(History(52, 300, 10, terms=TERMS))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    cases = [c for c in log.history.truth if not c.tenant]
    truth = {k[1:]: v for k, v in planned(cases).items()}
    async with Reader(dsn, schema) as reader:

        async def ask(name, **given):
            return await pk.figures(reader, "", {"name": name, **SPAN, **given})

        (item,) = (await ask("promised"))["items"]
        n, kept, total = truth["promised", "", ""]
        assert (item["count"], item["kept"], item["broken"], item["kept_share"]) == (n, kept, n - kept, round(kept / n, 6))
        assert item["total"] == pytest.approx(total / 1000) and item["mean"] == pytest.approx(total / n / 1000)
        done = [c.ended - c.started for c in cases if c.outcome == "completed"]
        assert (item["min"], item["max"]) == (min(done) / 1000, max(done) / 1000)

        by_value = (await ask("success", group="value"))["items"]
        assert {i["value"]: (i["count"], micro(i["total"])) for i in by_value} == {
            k[2]: (v[0], v[2]) for k, v in truth.items() if k[0] == "success"
        }
        for region in ("DE", "AT", "CH", "FR"):
            mine = [c for c in cases if c.outcome and c.region == region]
            (item,) = (await ask("success", value=region))["items"]
            assert item["mean"] == pytest.approx(sum(c.outcome == "completed" for c in mine) / len(mine), abs=1e-6)

        (item,) = (await ask("cost"))["items"]  # of instances that ended, each with all of its work
        assert (item["count"], micro(item["total"])) == tuple(truth["cost", "", ""][::2]) and (await ask("cost"))["unit"] == "EUR"
        by_element = {i["element"]: (i["count"], micro(i["total"])) for i in (await ask("cost", group="element"))["items"]}
        assert by_element == {k[1]: (v[0], v[2]) for k, v in truth.items() if k[0] == "cost" and k[1]}

        by_version = (await ask("asked", group="version", window="day"))["items"]
        for v in (1, 2):
            for n in range(10):
                since = START_US + n * DAY
                mine = [c for c in cases if c.version == v and since <= c.started < since + DAY]
                found = [i for i in by_version if i["version"] == v and i["from"] == at(since)]
                assert [i["count"] for i in found] == ([len(mine)] if mine else [])
        for wrong in ({"name": "nothing"}, {"name": "asked", "group": "colour"}):
            with pytest.raises(Senseless):
                await pk.figures(reader, "", {**SPAN, **wrong})
        assert (await pk.figures(reader, "acme", {"name": "promised", **SPAN}))["items"][0]["count"] == sum(
            c.tenant == "acme" and c.outcome == "completed" for c in log.history.truth
        )

        late = sorted((c for c in cases if c.outcome == "completed" and c.ended - c.started > 3 * HOUR), key=lambda c: c.started - c.ended)
        found = (await pk.promised(reader, "", {"name": "promised", **SPAN, "limit": "5"}))["items"]
        assert [(i["instance"], i["over_ms"], i["ended"]) for i in found] == [
            (str(c.key), (c.ended - c.started - 3 * HOUR) / 1000, at(c.ended)) for c in late[:5]
        ]
        items = {i["name"]: i for i in (await pk.promises(reader, "", {**SPAN, "process": "order"}))["items"]}
        assert {*items} == {"due", "promised", "promised-office", "approved"}
        n, kept, _ = truth["due", "approve", ""]
        assert (items["due"]["count"], items["due"]["kept"]) == (n, kept)
        with pytest.raises(Senseless):
            await pk.promised(reader, "", {"name": "cost"})


@pytest.mark.req("APG-ANA-006")
async def test_what_is_open_is_late_at_risk_or_in_time_by_the_calendar(db, dsn, schema, monkeypatch):
    terms = {
        ("directory", "calendar:office"): OFFICE,
        ("kpi", "whole"): {"kind": "sla", "process": "order", "within": "PT20H", "calendar": "office", "at_risk": 0.5, "goal": 0.9},
        ("kpi", "approved"): {"kind": "sla", "process": "order", "element": "approve", "of": "waiting", "within": "PT30H"},
    }
    log = Drawn(History(53, 300, 10, tenants=("",), open_share=0.4, terms=terms))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    now = START_US + 10 * DAY + 9 * HOUR
    monkeypatch.setattr(pk, "_now_us", lambda: now)
    left = [c for c in log.history.truth if not c.outcome]
    lasted = {c.key: office_us(c.started, now) for c in left}
    late = {k for k, t in lasted.items() if t > 20 * HOUR}
    risk = {k for k, t in lasted.items() if 10 * HOUR <= t <= 20 * HOUR}
    assert late and risk and len(late) + len(risk) < len(left)
    async with Reader(dsn, schema) as reader:
        items = {i["name"]: i for i in (await pk.promises(reader, "", SPAN))["items"]}
        assert (items["whole"]["open"], items["whole"]["late"], items["whole"]["at_risk"]) == (len(left), len(late), len(risk))
        assert items["whole"]["met"] is (items["whole"]["kept_share"] >= 0.9)
        for state, keys in (("late", late), ("at_risk", risk)):
            found = (await pk.promised(reader, "", {"name": "whole", "which": state, "limit": "1000"}))["items"]
            assert {int(i["instance"]) for i in found} == keys
            assert all(i["over_ms"] == pytest.approx((lasted[int(i["instance"])] - 20 * HOUR) / 1000) for i in found)
        waits = [next(v[1] for v in c.visits if v[0] == "approve" and not v[3]) for c in left]
        assert items["approved"]["open"] == len(waits) and items["approved"]["late"] == sum(now - w > 30 * HOUR for w in waits)
