"""Forecasts and anomalies from the rows of a drawn history, over the weeks that it has."""

from __future__ import annotations

from collections import Counter

import pytest
from test_measure_rows import START_US, Drawn, History, at, caught_up, running

from flowledger.projections.anomalies import anomalies, coming
from flowledger.projections.reader import Reader, Senseless

pytestmark = pytest.mark.postgres
DAY, HOUR = 86_400_000_000, 3_600_000_000


@pytest.mark.req("APG-AI-011", "APG-AI-007")
async def test_days_are_forecast_and_the_slow_ones_are_found(db, dsn, schema):
    log = Drawn(History(41, 5_000, 42, alike=True, steady=True, tenants=("",), later=0.9))
    cases = log.history.truth
    slow_from = START_US + int(0.9 * 42 * DAY)
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    begun = Counter((c.started - START_US) // DAY for c in cases)
    async with Reader(dsn, schema) as reader:
        given = {"process": "order", "window": "day", "measure": "started", "steps": "7", "from": at(START_US + 35 * DAY)}
        found = await coming(reader.of(""), "", given)
        assert len(found["items"]) == 7 and found["weeks"] == 5
        assert [i["last_week"] for i in found["items"]] == [begun[day] for day in range(28, 35)]
        usual = [sum(begun[day - 7 * n] for n in range(1, 6)) / 5 for day in range(35, 42)]
        assert all(abs(i["expected"] - u) < 0.5 * u + 5 for i, u in zip(found["items"], usual, strict=True))
        early = await coming(reader.of(""), "", {**given, "from": at(START_US + 20 * DAY)})
        assert (early["by"], early["items"], early["weeks"]) == ("nothing", [], 2)

        until = START_US + 40 * DAY
        last = await anomalies(reader.of(""), "", {"process": "order", "from": at(until - 48 * HOUR), "to": at(until)})
        slow = [i for i in last["items"] if i["kind"] == "duration"]
        assert slow and {i["element"] for i in slow} == {"approve"} and all(i["value"] > 1.5 * i["usual"] for i in slow)
        assert last["asked"] > len(last["items"])
        calm = slow_from - 2 * DAY
        before = await anomalies(reader.of(""), "", {"process": "order", "from": at(calm - 72 * HOUR), "to": at(calm)})
        assert len([i for i in before["items"] if i["kind"] == "duration"]) <= 1
        with pytest.raises(Senseless, match="1 to 168 whole hours"):
            await anomalies(reader.of(""), "", {"process": "order", "from": at(calm - 169 * HOUR), "to": at(calm)})
        assert (await anomalies(reader.of("acme"), "acme", {"process": "order"}))["items"] == []
