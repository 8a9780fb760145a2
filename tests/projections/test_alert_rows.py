"""Rules of alerts against the plan of a history: when each would have fired is counted a second time from what was planned, and what is looked at live is
the last step of the same."""

from __future__ import annotations

from datetime import datetime

import pytest
from test_insight_reports import drawn
from test_measure_rows import START_US, at

from flowledger.events import alerts as al
from flowledger.kernel.alerts import rule as ar
from flowledger.projections import alerts as pa
from flowledger.projections.reader import Senseless

pytestmark = pytest.mark.postgres
MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000


def us_of(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1_000_000


def by_hand(rule, steps, value_of):
    """[(fired, over)] of one group: the definition, step by step."""
    read = ar.read("a", rule)
    seen, firing, found = [], False, []
    for us in steps:
        value, cases = value_of(us - us % read.step_us - (read.steps + 1) * read.step_us, us)
        beyond = None if value is None or cases < read.least else (value > read.limit if read.above else value < read.limit)
        seen.append(False if beyond is None else beyond)
        back = -(-(read.keep_us if firing else read.for_us) // read.step_us) + 1
        if len(seen) >= back and all(s is not firing for s in seen[-back:]):
            firing = not firing
            if firing:
                found.append([us, None])
            else:
                found[-1][1] = us
    return found


def within(times, since, until):
    return [t for t in times if since <= t < until]


@pytest.mark.req("APG-MON-005", "APG-MON-006")
@pytest.mark.parametrize(
    "rule",
    [
        {"measure": "started", "above": 12, "window": "PT30M"},
        {"measure": "started", "above": 3, "window": "PT15M", "for": "PT5M", "keep": "PT20M"},
        {"measure": "started", "below": 1, "window": "PT2H"},
        {"measure": "wip", "above": 30, "window": "PT1H", "for": "PT30M"},
        {"measure": "started", "above": 150, "window": "P2D"},
        {"measure": "success_rate", "below": 0.95, "window": "PT6H", "least": 10},
        {"measure": "cycle_time", "figure": "mean", "above": "PT3H", "window": "PT12H", "least": 5},
    ],
    ids=lambda r: f"{r['measure']}-{r['window']}",
)
async def test_a_rule_would_have_fired_when_the_plan_says_so(db, dsn, schema, rule):
    async with drawn(dsn, schema, tenants=("",)) as (reader, truth):
        step = ar.read("a", rule).step_us
        begin, end = START_US, START_US + 6 * DAY
        steps = range(begin // step * step + step, end + 1, step)

        def value_of(since, until):
            if rule["measure"] == "started":
                return len(within([c.started for c in truth], since, until)), 1 << 40
            if rule["measure"] == "wip":
                return sum(c.started < until and not (c.ended and c.ended < until) for c in truth), 1 << 40
            ended = [c for c in truth if c.ended and since <= c.ended < until]
            done = [c for c in ended if c.outcome == "completed"]
            if rule["measure"] == "success_rate":
                return (len(done) / len(ended) if ended else None), len(ended)
            return (sum(c.ended - c.started for c in done) / len(done) / 1000 if done else None), len(done)

        found = await pa.trial(reader, "", {"from": at(begin), "to": at(end)}, "a", {**rule, "process": "order"})
        told = [[us_of(i["fired_at"]), us_of(i["resolved_at"]) if i["resolved_at"] else None] for i in found["items"]]
        planned = by_hand(rule, steps, value_of)
        assert told == planned and found["fired"] == len(planned) > 0
        # live: at any moment it is the same as what a trial says of that step
        for us in (begin + DAY, begin + 3 * DAY + 7 * HOUR, end):
            ((_, points),) = await pa.now(reader, "", "a", {**rule, "process": "order"}, us - step)
            read = ar.read("a", rule)
            assert points[-1].us == us // step * step and len(points) == read.looks
            value, cases = value_of(points[-1].us - (read.steps + 1) * step, points[-1].us)
            assert points[-1].value == (None if value is None else pytest.approx(value, rel=1e-5))
            assert points[-1].cases is None or points[-1].cases == cases


async def test_the_planted_bottleneck_fires_and_nothing_else_does(db, dsn, schema):
    async with drawn(dsn, schema, tenants=("",)) as (reader, _):
        rule = {
            "measure": "waiting_time",
            "figure": "p90",
            "above": "PT2H",
            "window": "PT4H",
            "group": ["element"],
            "process": "order",
            "least": 5,
        }
        asked = {"from": at(START_US), "to": at(START_US + 6 * DAY)}
        found = await pa.trial(reader, "", asked, "a", rule)
        assert {i["group"]["element"] for i in found["items"]} == {"approve"} and found["groups"] == 1
        assert all(i["value"] > 7_200_000 and i["cases"] >= 5 for i in found["items"])
        quiet = await pa.trial(reader, "", asked, "a", {**rule, "maintenance": [{"from": "00:00", "to": "24:00"}]})
        assert quiet["fired"] == 0 and quiet["silent"] > 0
        assert (await pa.trial(reader, "nobody", asked, "a", rule))["fired"] == 0, "another tenant's are not seen"
        with pytest.raises(Senseless, match="31 days"):
            await pa.trial(reader, "", {"from": at(START_US), "to": at(START_US + 40 * DAY)}, "a", {"measure": "failed", "above": 1})


async def test_groups_that_are_too_many_are_refused(db, dsn, schema, monkeypatch):
    monkeypatch.setattr(pa, "GROUPS_MAX", 3)
    async with drawn(dsn, schema, tenants=("",)) as (reader, _):
        with pytest.raises(Senseless, match="3 groups"):
            await pa.trial(
                reader, "", {"from": at(START_US), "to": at(START_US + DAY)}, "a", {"measure": "started", "above": 1, "group": ["element"]}
            )
        monkeypatch.setattr(pa, "ROWS_MAX", 3)
        with pytest.raises(Senseless, match="3 items"):
            await pa.now(reader, "", "a", {"measure": "started", "above": 1, "group": ["element"]}, START_US + DAY)


def test_what_cannot_be_read_is_passed_over():
    assert al.groups(None) == [] and al.groups([1, {"x": 1}, {"key": "a"}]) == [{"key": "a"}]
