"""Rules of alerts against the plan of a history: when each would have fired is counted a second time from what was planned, and what is looked at live is
the last step of the same."""

from __future__ import annotations

from datetime import datetime

import pytest
from test_insight_reports import drawn
from test_measure_rows import START_US, Drawn, History, at, caught_up, running

from flowledger.events import alerts as al
from flowledger.kernel.alerts import rule as ar
from flowledger.projections import alert_figures as af
from flowledger.projections import alerts as pa
from flowledger.projections.reader import Reader, Senseless

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


async def test_a_trial_says_what_the_rules_action_would_have_done(db, dsn, schema):
    """Counted a second time from when it fired: an act each hour at most, and none over what stands."""
    async with drawn(dsn, schema, tenants=("",)) as (reader, _):
        asked = {"from": at(START_US), "to": at(START_US + 6 * DAY)}
        rule = {"measure": "started", "above": 3, "window": "PT15M", "process": "order"}
        plain = await pa.trial(reader, "", asked, "a", rule)
        assert plain["acted"] == 0 and not any("action" in i for i in plain["items"])
        for most, long in ((1, "PT1M"), (2, "PT30M"), (12, "PT15M")):
            action = {"kind": "hold", "scope": "definition", "for": long, "most_per_hour": most}
            found = await pa.trial(reader, "", asked, "a", {**rule, "action": action})
            done, said = [], []
            for item in found["items"]:
                us = us_of(item["fired_at"])
                # of one subject the alert is over before it fires again, so what it did is undone
                said.append("" if sum(us - d < HOUR for d in done) < most else "most_per_hour")
                done += [us] if not said[-1] else []
            assert [i["action"]["refused"] for i in found["items"]] == said
            assert {i["action"]["subject"] for i in found["items"]} == {"order"} and found["acted"] == len(done) <= found["fired"]
            assert [i["fired_at"] for i in found["items"]] == [i["fired_at"] for i in plain["items"]], "it is tried on what has been"
            assert "most_per_hour" in said or most == 12, "an hour has more than it may do"


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


PROMISED = {"kind": "sla", "process": "order", "within": "PT3H", "by": "region", "values": ["DE", "AT", "CH", "FR"]}
SUCCESS = {"kind": "value", "value": '= this.outcome = "completed"'}
KPI_RULES = [
    {"kpi": "promised", "figure": "kept_share", "below": 0.8, "window": "PT6H", "least": 5, "for": "PT30M"},
    {"kpi": "promised", "figure": "broken", "above": 4, "window": "PT2H", "group": ["value"]},
    {"kpi": "promised", "figure": "mean", "above": "PT2H30M", "window": "P2D", "value": "DE"},
    {"kpi": "promised", "figure": "count", "below": 2, "window": "PT3H", "keep": "PT10M"},
    {"kpi": "success", "below": 0.9, "window": "PT12H", "least": 10},
    {"kpi": "success", "figure": "total", "above": 12, "window": "PT1H"},
]


@pytest.mark.req("APG-MON-005", "APG-MON-006", "APG-MON-009")
async def test_rules_on_kpis_would_have_fired_when_the_plan_says_so(db, dsn, schema):
    log = Drawn(History(21, 600, 5, tenants=("",), terms={("kpi", "promised"): PROMISED, ("kpi", "success"): SUCCESS}))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    truth = [c for c in log.history.truth if c.outcome]
    begin, end = START_US, START_US + 6 * DAY
    asked = {"from": at(begin), "to": at(end)}

    def value_of(rule, region):
        def of(since, until):
            cases = [c for c in truth if since <= c.ended < until and region in ("", c.region)]
            if rule["kpi"] == "success":
                done = sum(c.outcome == "completed" for c in cases)
                return (done, 1 << 40) if rule.get("figure") == "total" else ((done / len(cases) if cases else None), len(cases))
            took = [c.ended - c.started for c in cases if c.outcome == "completed"]
            kept = sum(t <= 3 * HOUR for t in took)
            if rule["figure"] in ("broken", "count"):
                return len(took) - (kept if rule["figure"] == "broken" else 0), 1 << 40
            return ((kept / len(took) if rule["figure"] == "kept_share" else sum(took) / len(took) / 1000) if took else None), len(took)

        return of

    async with Reader(dsn, schema) as reader:
        for kpi_rule in KPI_RULES:
            rule = {"measure": "kpi", "process": "order", **kpi_rule}
            assert ar.problem("a", rule) == ""
            step = ar.read("a", rule).step_us
            steps = range(begin // step * step + step, end + 1, step)
            found = await pa.trial(reader, "", asked, "a", rule)
            for region in ("DE", "AT", "CH", "FR") if "group" in rule else (rule.get("value", ""),):
                told = [i for i in found["items"] if i["group"] == ({"value": region} if "group" in rule else {})]
                planned = by_hand(rule, steps, value_of(rule, region))
                assert [[us_of(i["fired_at"]), us_of(i["resolved_at"]) if i["resolved_at"] else None] for i in told] == planned, rule
            assert found["fired"] > 0, rule
            # live: the last step of the same
            us = begin + 3 * DAY + 7 * HOUR
            points = {ar.key_of(g): p[-1] for g, p in await pa.now(reader, "", "a", rule, us - step)}
            for key, point in points.items():
                value, _ = value_of(rule, key.partition("=")[2] or rule.get("value", ""))(us - (ar.read("a", rule).steps + 1) * step, us)
                assert point.us == us and point.value == (None if value is None else pytest.approx(value, rel=1e-5)), rule
        for wrong, words in (
            ({"kpi": "nothing", "above": 1}, "name of a KPI"), ({"kpi": "success", "figure": "kept_share", "above": 1}, "kind value"),
            ({"kpi": "promised", "above": 5}, "a duration"), ({"kpi": "success", "above": "PT1H"}, "a number"),
        ):  # fmt: skip
            with pytest.raises(Senseless, match=words):
                await pa.trial(reader, "", asked, "a", {"measure": "kpi", **wrong})
        assert (await pa.trial(reader, "nobody", asked, "a", {"measure": "anomalies", "process": "order", "above": 0}))["fired"] == 0


@pytest.mark.req("APG-MON-005", "APG-AI-007")
async def test_a_rule_on_anomalies_fires_when_approvals_get_slow_and_not_before(db, dsn, schema):
    log = Drawn(History(41, 5_000, 42, alike=True, steady=True, tenants=("",), later=0.9))
    slow_from = START_US + int(0.9 * 42 * DAY)
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    rule = {"measure": "anomalies", "process": "order", "kinds": ["duration"], "group": ["element"], "above": 0, "window": "PT3H"}
    assert ar.problem("a", rule) == ""
    async with Reader(dsn, schema) as reader:
        asked = {"from": at(slow_from - 10 * DAY), "to": at(START_US + 41 * DAY)}
        found = await pa.trial(reader, "", asked, "a", rule)
        fired = [(us_of(i["fired_at"]), i["group"]["element"]) for i in found["items"]]
        after = {e for us, e in fired if us > slow_from}
        assert "approve" in after <= {"approve", "join"}, "the join behind it waits for it"
        assert len([us for us, _ in fired if us < slow_from]) <= 1, "ten days in which nothing was planted"
        assert min(us for us, _ in fired if us > slow_from) < slow_from + DAY
        # live: at the step at which a trial says that it fires
        us = max(us for us, e in fired if e == "approve")
        points = dict((g["element"], p) for g, p in await pa.now(reader, "", "a", rule, us + af.SETTLE_US))
        assert points["approve"][-1].us == us and points["approve"][-1].value > 0
        ((_, early),) = await pa.now(reader, "", "a", {**rule, "group": []}, us + af.SETTLE_US - 1)
        assert early[-1].us == us - HOUR, "an hour is judged when its rows are there"
        with pytest.raises(Senseless, match="31 days"):
            await pa.trial(reader, "", {"from": at(START_US), "to": at(START_US + 40 * DAY)}, "a", rule)
