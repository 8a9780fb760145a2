"""What resources are read from, of a drawn history with a known growth: hours as they were planned, and the day on which a limit is full."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime

import pytest
from test_measure_rows import START_US, Drawn, History, at, caught_up, running

from flowledger.analytics import carries
from flowledger.projections.loads import loads, steps
from flowledger.projections.reader import Reader

pytestmark = pytest.mark.postgres
DAY, HOUR = 86_400_000_000, 3_600_000_000
WEEKS, GROW = 7, 0.2


@pytest.mark.req("D-ANA-001", "D-ANA-007")
async def test_hours_are_those_that_were_planned_and_the_limit_is_full_when_growth_says_so(db, dsn, schema):
    log = Drawn(History(71, 6_000, 100, grow=GROW, alike=True, tenants=("",)))
    cases = log.history.truth
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    until = START_US + WEEKS * 7 * DAY
    assert max(c.started for c in cases) > until, "the plan goes on: it isn't its end that is seen"
    async with Reader(dsn, schema) as reader:
        found = await loads(reader.of(""), "", {"from": at(until)})
        other = await loads(reader.of("acme"), "acme", {"from": at(until)})
        whole = await steps(reader, datetime.fromtimestamp(until / 1e6, UTC))
    assert other["items"] == []
    items = {i["name"]: i for i in found["items"]}
    assert set(items) == {"order.check", "order.mend", "stock.pack", "money.bill", "stock.ship", "approve"}
    assert items["approve"]["kind"] == "people" and items["approve"]["groups"] == ["boss"] and items["approve"]["process"] == "order"
    first = until - 12 * 7 * DAY

    def planned(moments):
        counted = Counter((us - first) // HOUR for us in moments if us < until)
        return [counted[n] for n in range(12 * 168)]

    for kind in ("order.check", "money.bill"):
        hours = items[kind]["hours"]
        assert list(hours.came) == planned(us for c in cases for _, t, us in c.jobs if t == kind)
        assert list(hours.worked) == planned(done for c in cases for _, t, _, done, _, _ in c.work if t == kind)
        assert sum(hours.work_us) == sum(w for c in cases for _, t, _, done, _, w in c.work if t == kind and done < until)
    people = items["approve"]["hours"]
    assert list(people.came) == planned(us for c in cases for e, us, _, _ in c.visits if e == "approve")
    standing = sum(1 for c in cases for e, us, over, _ in c.visits if e == "approve" and us < until and (not over or over >= until))
    assert people.open_at()[-1] == standing
    assert whole["hours"] == planned(us for c in cases for _, us, _, _ in c.visits)
    by_minute = Counter(us // 60_000_000 for c in cases for _, us, _, _ in c.visits if until - 28 * DAY <= us < until)
    hours = Counter({h: sum(n for m, n in by_minute.items() if m // 60 == h) for h in {m // 60 for m in by_minute}})
    assert whole["busiest"]["steps_s"] == max(n for m, n in by_minute.items() if m // 60 in dict(hours.most_common(3))) / 60

    checks = [us for c in cases for _, t, us in c.jobs if t == "order.check"]
    week = sum(until - 7 * DAY <= us < until for us in checks)
    mean_us = sum(w for c in cases for _, t, _, done, _, w in c.work if t == "order.check" and done < until) / len(
        [1 for c in cases for _, t, _, done, _, _ in c.work if t == "order.check" and done < until]
    )
    limit = math.ceil(3 * week * mean_us / (7 * DAY))
    told = carries.resource(items["order.check"]["hours"], True, limit=max(limit, 1))
    assert told["by"] == "limit"
    # so much comes now by the plan: the last week's middle is half a week ago
    truth = math.log(told["carries"].value / (week * (1 + GROW) ** 0.5)) / math.log(1 + GROW)
    assert told["full"]["from"] <= truth <= (told["full"]["to"] or math.inf)
    assert abs(told["growth"]["weekly"] - GROW) < 0.06
