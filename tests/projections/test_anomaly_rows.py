"""Forecasts and anomalies from the rows of a drawn history, over the weeks that it has."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from test_measure_rows import START_US, Drawn, History, at, caught_up, running

from flowledger.kernel.alerts import rule as ar
from flowledger.projections import alert_figures, odd_cases
from flowledger.projections import alerts as pa
from flowledger.projections.anomalies import anomalies, coming
from flowledger.projections.reader import Reader, Senseless

pytestmark = pytest.mark.postgres
DAY, HOUR = 86_400_000_000, 3_600_000_000


@pytest.mark.req("APG-AI-011", "APG-AI-007")
async def test_days_are_forecast_and_the_slow_ones_are_found(db, dsn, schema, monkeypatch):
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

        class Then(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.fromtimestamp((until - 9 * HOUR - 1) / 1e6, tz)

        monkeypatch.setattr("flowledger.projections.anomalies.datetime", Then)
        asked = {"process": "order", "from": at(until - 48 * HOUR), "to": at(until)}
        told = await anomalies(reader.of(""), "", asked)
        assert told["to"] == at(until - 10 * HOUR).replace("+00:00", "Z"), "hours to come, and the one under way, aren't silent"
        with pytest.raises(Senseless, match="that are over, found 0"):
            await anomalies(reader.of(""), "", {**asked, "from": at(until - 9 * HOUR)})


SEALED = "flk1.personal.a2V5.77.mail.Ynl0ZXM"


@pytest.mark.req("APG-AI-007")
async def test_cases_with_odd_ways_and_values_are_told_and_fire(db, dsn, schema, monkeypatch):
    log = Drawn(History(44, 2_400, 10, tenants=("", "acme"), alike=True))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    done = sorted((c for c in log.history.truth if c.outcome == "completed" and not c.tenant), key=lambda c: c.ended)
    until = done[-1].ended
    late = [c for c in done if until - 24 * HOUR < c.ended < until - HOUR and c.version == 2]
    way, value, word, secret = late[0], late[3], late[6], late[9]
    path = [e for e in way.path if e != "approve"]
    await db.execute(
        "INSERT INTO variants (tenant_id, process_id, variant, path) VALUES ('', 'order', 'odd', to_jsonb(%s::text[]))", (path,)
    )
    await db.execute("UPDATE traces SET variant = 'odd' WHERE id = %s", (way.key,))
    change = "UPDATE variables SET value = to_jsonb(%s::{0}), search = %s::text WHERE name = %s AND workflow_instance_id = %s"
    await db.execute(change.format("numeric"), (9e9, "9e9", "amount", value.key))
    await db.execute(change.format("text"), ("XX", "XX", "region", word.key))
    await db.execute(change.format("text"), (SEALED, SEALED[:64], "region", secret.key))
    async with Reader(dsn, schema) as reader:
        asked = {"process": "order", "from": at(until - 24 * HOUR), "to": at(until)}
        found = await anomalies(reader.of(""), "", asked)
        odd = {(i["kind"], int(i["instance"]), i["element"], i["variable"], i["value"]) for i in found["items"] if i["instance"]}
        planted = {
            ("skipped", way.key, "approve", None, None), ("value", value.key, None, "amount", 9e9), ("value", word.key, None, "region", None),
        }  # fmt: skip
        assert planted <= odd and len(odd - planted) <= 2, odd
        assert not any(i["instance"] == str(secret.key) for i in found["items"]), "of what is sealed nothing is told"
        asked_of = [c for c in done if (until - 24 * HOUR) // HOUR * HOUR <= c.ended]
        judged = found["cases"]["judged"]
        assert 0 < judged <= len(asked_of) and judged >= len(asked_of) - 30 and found["cases"]["whole"] and found["cases"]["odd"] >= 3
        assert (await anomalies(reader.of("nobody"), "nobody", asked))["items"] == []

        # the same as a rule of an alert, minute by minute
        rule = {
            "measure": "anomalies",
            "process": "order",
            "kinds": ["skipped", "value"],
            "group": ["element"],
            "above": 0,
            "window": "PT5M",
        }
        told = await pa.trial(reader.of(""), "", {"from": asked["from"], "to": at(until)}, "a", rule)
        fired = {(i["fired_at"], i["group"]["element"]) for i in told["items"]}
        assert told["step_ms"] == 60_000 and (at(way.ended - way.ended % 60_000_000 + 60_000_000), "approve") in fired
        assert (at(value.ended - value.ended % 60_000_000 + 60_000_000), "") in fired
        quiet = await pa.trial(reader.of(""), "", {"from": asked["from"], "to": at(until)}, "a", {**rule, "element": "check"})
        assert quiet["fired"] == 0
        # more than can be judged at once: the newest, and it is said
        start, end = (datetime.fromtimestamp(us / 1e6, UTC) for us in (START_US, until + DAY))
        few, n, whole = await odd_cases.judged(reader.of(""), "", "order", start, end, most=5)
        assert n >= 5 and not whole and all(o.us >= late[0].ended for o in few)
        monkeypatch.setattr("flowledger.projections.alert_figures.CASES_MAX", 5)
        with pytest.raises(Senseless, match="5 cases"):
            await pa.trial(reader.of(""), "", {"from": asked["from"], "to": at(until)}, "a", rule)


async def test_what_takes_seconds_is_asked_beside_the_loop(monkeypatch):
    """Many cases with many variables, a month of hours: whoever else is served meanwhile doesn't wait."""
    threads = []

    class Rows:
        async def rows(self, query, values, **_):
            if query == odd_cases._CASES:
                return [{"id": 1, "definition_id": 1, "ended_at": datetime(2026, 1, 1, tzinfo=UTC), "variant": "v"}]
            return [{"variant": "v", "path": ["a"]}] if "FROM variants" in str(query) else []

    def told(made):
        return lambda *_: threads.append(threading.current_thread()) or made

    monkeypatch.setattr(odd_cases.odd, "judge", told([]))
    monkeypatch.setattr(alert_figures.an, "by_hour", told([]))
    end = datetime(2026, 1, 2, tzinfo=UTC)
    assert await odd_cases.judged(Rows(), "", "p", end - timedelta(days=1), end) == ([], 1, True)
    rule = ar.read("r", {"measure": "anomalies", "kinds": ["volume"], "process": "p", "above": 0})
    us = int(end.timestamp()) * 1_000_000
    assert await alert_figures.of_anomalies(Rows(), "", rule, us - HOUR, us) == [({}, [(us - HOUR, 0.0, None), (us, 0.0, None)])]
    assert len(threads) == 2 and threading.main_thread() not in threads
