"""Alerts: what a rule may say, when it fires by what is seen at its steps, and at their home: one who looks, each firing once, silence, maintenance, limits;
whoever takes over at whatever step."""

import random
from datetime import UTC, datetime

import pytest
from test_batches import World as Batches

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.kernel import limits
from flowledger.kernel.access import ANY_TENANT
from flowledger.kernel.alerts import rule as ar

GOOD = {"measure": "failed", "above": 3, "process": "order"}
TIMES = {"measure": "waiting_time", "above": "PT2H"}


class World(Batches):
    """As that of batches, with alerts on two partitions."""

    def to(self, command, **more):
        return self.ask(c.partition_of_text(command.name, len(self.parts)), command, **more)

    def put(self, name="failing", tenant="", **fields):
        return self.to(al.PutAlert(name=name, rule={**GOOD, **fields}), tenant=tenant)

    def home(self, name="failing"):
        return c.partition_of_text(name, len(self.parts))

    def alert(self, name="failing", tenant=""):
        p = self.parts[self.home(name)]
        return p.alerts[p.alert_names[tenant, name]]

    def claim(self, name="failing", node="n1", watch=0, **more):
        return self.ask(self.home(name), al.ClaimAlerts(node=node, watch=watch, **more), rights=[ANY_TENANT])

    def report(self, *seen, name="failing", watch=1, tenant="", **more):
        found = [al.Seen(key=key, firing=firing, group={"element": key}, value=value) for key, firing, value in seen]
        revision = more.pop("revision", self.alert(name, tenant).revision)
        return self.to(al.ReportAlert(name=name, watch=watch, revision=revision, seen=found, at_us=self.now_us, **more), tenant=tenant)

    def events(self, kind):
        return [e for log in self.log for e, _ in log if isinstance(e, kind)]


# --- the rule ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measure": "speed"}, "measure"), ({"above": None}, "above"), ({"below": 3}, "one of them"), ({"above": "PT1H"}, "number"),
        ({"figure": "p95"}, "figure"), ({"measure": "cycle_time", "figure": "p42"}, "figure"), ({"window": "PT1S"}, "window"),
        ({"window": "P32D"}, "window"), ({"for": "P8D"}, "for"), ({"keep": "soon"}, "keep"), ({"least": -1}, "least"),
        ({"no_data": "maybe"}, "no_data"), ({"severity": "bad"}, "severity"), ({"group": ["person"]}, "group"), ({"colour": 1}, "colour"),
        ({"version": 2, "process": None}, "version"), ({"measure": "lag"}, "lag"), ({"measure": "incidents", "job_type": "j"}, "job_type"),
        ({"measure": "reworked", "group": ["job_type"]}, "job_type"), ({"maintenance": []}, "maintenance"),
        ({"maintenance": [{"from": "25:00", "to": "26:00"}]}, "maintenance"), ({"maintenance": [{"from": "10:00", "to": "10:00"}]}, "maintenance"),
        ({"maintenance": [{"from": "10:00", "to": "11:00", "zone": "Nowhere"}]}, "maintenance"),
        ({"maintenance": [{"from": "10:00", "to": "11:00", "days": ["someday"]}]}, "maintenance"),
        ({"maintenance": [{"from": "10:00", "to": "11:00"}] * 21}, "maintenance"), ({"enabled": "yes"}, "enabled"), ({"above": True}, "above"),
        ({"measure": "kpi"}, "kpi"), ({"kpi": "cost"}, "kpi"), ({"measure": "kpi", "kpi": "a/b"}, "kpi"), ({"value": "x"}, "value"),
        ({"measure": "kpi", "kpi": "k", "figure": "p90"}, "kept_share"), ({"figure": "kept_share", "measure": "cycle_time"}, "p95"),
        ({"measure": "kpi", "kpi": "k", "figure": "kept_share", "above": "PT1H"}, "number"), ({"measure": "kpi", "kpi": "k", "job_type": "j"}, "job_type"),
        ({"measure": "anomalies", "process": None}, "process"), ({"measure": "anomalies", "window": "PT59M"}, "an hour or more"),
        ({"measure": "anomalies", "window": "PT30S", "kinds": ["path"]}, "window"),
        ({"measure": "anomalies", "least": 1}, "least"), ({"measure": "anomalies", "kinds": ["colour"]}, "kinds"), ({"kinds": ["volume"]}, "kinds"),
        ({"measure": "anomalies", "group": ["version"]}, "group"), ({"measure": "anomalies", "figure": "mean"}, "figure"),
        ({"above": 1e16}, "above"), ({"title": "t" * 256}, "title"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_rule_is_said(change, words):
    w = World(2)
    rule = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    refused = w.to(al.PutAlert(name="failing", rule=rule))
    assert refused.code == "INVALID_ARGUMENT" and words in refused.message
    assert not any(p.alerts for p in w.parts)


@pytest.mark.parametrize("name", ["", "a/b", "n" * 201, "a\nb"])
def test_what_is_wrong_with_a_name_is_said(name):
    assert "name" in ar.problem(name, GOOD)


def test_limits_are_in_the_measures_own_unit():
    for rule, limit in (
        ({**TIMES}, 7_200_000),
        ({**TIMES, "above": 90}, 90_000),
        ({"measure": "lag", "above": "PT1M"}, 60),
        (GOOD, 3),
        ({"measure": "kpi", "kpi": "k", "above": "PT2H"}, 7_200_000),
        ({"measure": "kpi", "kpi": "k", "figure": "kept_share", "below": 0.9}, 0.9),
    ):
        assert ar.problem("a", rule) == "" and ar.read("a", rule).limit == limit
    assert ar.read("a", {**TIMES, "figure": "p95"}).step_us == ar.HOUR_US and ar.read("a", TIMES).step_us == ar.MINUTE_US
    assert ar.read("a", {**GOOD, "window": "P2D"}).step_us == ar.HOUR_US


def fires(rule, values, firing=False):
    """At each step, whether it fires."""
    read, out = ar.read("a", rule), []
    seen = []
    for value in values:
        seen.append(ar.breach(read, value, None if value is None else 100))
        firing = ar.turn(read, seen[-read.looks :], firing)
        out.append(firing)
    return "".join("x" if f else "." for f in out)


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        (GOOD, [3, 4, 3, 5, 5], ".x.xx"),
        ({**GOOD, "for": "PT2M"}, [4, 4, 3, 4, 4, 4, 4, 3], ".....xx."),
        ({**GOOD, "keep": "PT2M"}, [4, 3, 4, 3, 3, 3, 3], "xxxxx.."),
        ({**GOOD, "for": "PT1M", "keep": "PT1M"}, [4, 4, 3, 4, 3, 3, 4], ".xxxx.."),
        ({**GOOD, "for": "PT90S"}, [4, 4, 4], "..x"),
        ({"measure": "started", "below": 1}, [1, 0, 0, 2], ".xx."),
        ({"measure": "success_rate", "below": 0.9}, [0.95, 0.8, None, 0.8], ".x.x"),
        ({"measure": "success_rate", "below": 0.9, "no_data": "keep"}, [0.95, 0.8, None, 0.95], ".xx."),
        ({"measure": "success_rate", "below": 0.9, "no_data": "fire"}, [0.95, None, 0.95], ".x."),
    ],
)
def test_it_fires_and_is_over_by_what_is_seen(rule, values, expected):
    assert ar.problem("a", rule) == "" and fires(rule, values) == expected


def test_on_few_cases_nothing_is_said():
    read = ar.read("a", {"measure": "success_rate", "below": 0.9, "least": 5})
    assert (ar.breach(read, 0.5, 4), ar.breach(read, 0.5, 5)) == (False, True)


def test_times_of_maintenance_are_those_of_their_zone_and_of_the_day_on_which_they_begin():
    night = {"days": ["saturday"], "from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}
    read = ar.read("a", {**GOOD, "maintenance": [night]})

    def rests(*at):
        return ar.at_rest(read, int(datetime(*at, tzinfo=UTC).timestamp()) * 1_000_000)

    # Saturday 2026-07-04, Berlin is two hours ahead
    assert [rests(2026, 7, 4, h) for h in (19, 20, 23)] == [False, True, True]
    assert [rests(2026, 7, 5, h) for h in (3, 4)] == [True, False], "over midnight it is still Saturday's"
    assert not rests(2026, 7, 4, 3), "Friday has none"
    assert rests(2026, 1, 3, 21), "an hour ahead in winter"
    whole = ar.read("a", {**GOOD, "maintenance": [{"from": "00:00", "to": "24:00"}]})
    assert all(ar.at_rest(whole, h * ar.HOUR_US) for h in range(48))


# --- at home ----------------------------------------------------------------------------------------------------------------


def test_a_rule_is_put_changed_and_deleted():
    w = World(2)
    made = w.put()
    assert (made["created"], made["changed"]) == (True, True)
    assert w.put()["changed"] is False and len(w.events(al.AlertPut)) == 1
    assert w.put(above=4)["changed"] and w.alert().rule["above"] == 4 and w.alert().revision == 2
    assert w.to(al.DeleteAlert(name="failing"))["key"] == made["key"]
    assert w.to(al.DeleteAlert(name="failing")).code == "NOT_FOUND" and not any(p.alert_names for p in w.parts)


@pytest.mark.req("APG-MON-005")
def test_each_group_fires_once_until_it_is_over():
    w = World(2, crashes=0.3)
    w.put(group="element", title="Too many")
    assert w.claim()["watch"] == 1
    assert w.report(("a", True, 4.0), ("b", True, 9.0), ("c", False, 0.0)) == {"fired": 2, "resolved": 0, "silent": 0}
    assert w.report(("a", True, 5.0), ("b", True, 9.0)) == {"fired": 0, "resolved": 0, "silent": 0}, "they fire already"
    assert w.report(("b", False, 1.0), ("c", True, 8.0)) == {"fired": 1, "resolved": 1, "silent": 0}
    first, second = w.events(al.AlertFired)
    assert [(g["key"], g["value"]) for g in first.groups] == [("a", 4.0), ("b", 9.0)], "told together"
    assert (first.title, first.severity, first.process, first.limit, first.first, second.first) == ("Too many", "warning", "order", 3, 1, 3)
    (over,) = w.events(al.AlertResolved)
    assert (over.groups[0]["key"], over.groups[0]["number"], over.why) == ("b", 2, "")
    assert {*w.alert().firing} == {"a", "c"}
    w.to(al.DeleteAlert(name="failing"))
    assert {g["key"] for g in w.events(al.AlertResolved)[-1].groups} == {"a", "c"} and w.events(al.AlertResolved)[-1].why == "deleted"


def test_switched_off_nothing_fires_for_it_any_more():
    w = World(2)
    w.put()
    w.claim()
    w.report(("", True, 4.0))
    w.put(enabled=False)
    assert w.events(al.AlertResolved)[-1].why == "off" and not w.alert().firing


def test_silenced_and_in_maintenance_nothing_fires_anew_but_is_over():
    w = World(2)
    w.put()
    w.claim()
    w.report(("a", True, 4.0))
    for wrong in (1, w.now_us, w.now_us + 367 * ar.DAY_US):
        assert w.to(al.SilenceAlert(name="failing", until_us=wrong)).code == "INVALID_ARGUMENT"
    until = w.now_us + ar.HOUR_US
    w.to(al.SilenceAlert(name="failing", until_us=until, reason="moving"))
    assert w.report(("a", False, 1.0), ("b", True, 9.0)) == {"fired": 0, "resolved": 1, "silent": 1}
    w.now_us = until + 1
    assert w.report(("b", True, 9.0))["fired"] == 1, "it still holds when the silence is over"
    w.report(("b", False, 0.0))
    w.to(al.SilenceAlert(name="failing", until_us=w.now_us + ar.HOUR_US))
    w.to(al.SilenceAlert(name="failing"))
    assert w.report(("b", True, 9.0))["fired"] == 1
    w.put(maintenance=[{"from": "00:00", "to": "24:00"}])
    assert w.report(("b", True, 9.0), ("c", True, 9.0)) == {"fired": 0, "resolved": 0, "silent": 1}


def test_one_looks_at_the_rules_of_a_partition():
    w = World(2)
    assert w.claim() == {"watch": 0, "until_us": 0, "items": [], "more": []} and not w.events(al.AlertsClaimed), "nothing to look at"
    w.put()
    w.put(tenant="acme")
    assert w.ask(w.home(), al.ClaimAlerts(node="x")).code == "FORBIDDEN"
    first = w.claim()
    assert first["watch"] == 1 and [(i["tenant"], i["name"]) for i in first["items"]] == [("", "failing"), ("acme", "failing")]
    assert w.claim(node="n2").code == "UNAVAILABLE" and w.claim(node="n2", watch=7).code == "STALE"
    w.claim(watch=1)
    assert len(w.events(al.AlertsClaimed)) == 1, "extended when half of it is over"
    w.now_us += 31_000_000
    w.claim(watch=1)
    assert len(w.events(al.AlertsClaimed)) == 2
    w.now_us += 61_000_000
    assert w.claim(node="n2")["watch"] == 2
    assert w.report(("", True, 4.0), watch=1).code == "STALE" and w.report(("", True, 4.0), watch=2)["fired"] == 1
    assert w.claim(node="n1", watch=1).code == "STALE"
    w.claim(node="n2", watch=2, ttl_ms=0)
    assert w.claim(node="n1")["watch"] == 3, "given back"
    for ttl in (1, 600_001):
        assert w.claim(watch=3, ttl_ms=ttl).code == "INVALID_ARGUMENT"


def test_what_was_seen_of_another_rule_than_that_of_now_is_not_taken():
    w = World(2)
    w.put()
    w.claim()
    before = w.alert().revision
    w.put(above=9)
    assert w.report(("", True, 4.0), revision=before).code == "STALE" and not w.events(al.AlertFired)


def test_a_foreign_tenants_alert_does_not_exist():
    w = World(2)
    w.put(tenant="b")
    w.claim()
    for stranger in ("a", ""):
        for command in (
            al.DeleteAlert(name="failing"), al.SilenceAlert(name="failing", until_us=w.now_us + ar.HOUR_US), al.ReportAlert(name="failing", watch=1, revision=1),
        ):  # fmt: skip
            assert w.to(command, tenant=stranger).code == "NOT_FOUND"
    assert w.put(tenant="a")["created"] and w.alert(tenant="b").revision == 1, "the same name is another thing with another tenant"


def test_an_error_is_noted_once():
    w = World(2)
    w.put()
    w.claim()
    w.report(error="too many groups")
    w.report(error="too many groups")
    w.report()
    assert [e.error for e in w.events(al.AlertNoted)] == ["too many groups", ""]


def test_limits():
    w = World(1)
    w.put()
    w.claim()
    many = [(str(n), True, 9.0) for n in range(limits.ALERT_FIRING_MAX + 3)]
    assert w.report(*many) == {"fired": limits.ALERT_FIRING_MAX, "resolved": 0, "silent": 3}
    assert w.report(*[(str(n), True, 9.0) for n in range(al.SEEN_MAX + 1)]).code == "INVALID_ARGUMENT"
    assert w.report(("k" * 2_001, True, 9.0)).code == "INVALID_ARGUMENT"
    for n in range(limits.ALERTS_MAX - 1):
        assert not isinstance(w.put(f"a{n}"), Rejected)
    assert w.put("more").code == "RESOURCE_EXHAUSTED"
    pages, after = 0, []
    while pages == 0 or after:
        found = w.claim(watch=1, after=after)
        pages, after = pages + len(found["items"]), found["more"]
    assert pages == limits.ALERTS_MAX


@pytest.mark.parametrize("seed", range(4))
def test_whoever_takes_over_whatever_is_seen_fires_once_and_is_over_once(seed):
    """Against a set of what fires: several who look, in any order, some of them late."""
    rng = random.Random(seed)
    w = World(2, seed, crashes=0.2)
    w.put()
    holder, fires_now = 0, set()
    for _ in range(150):
        w.now_us += rng.choice((1_000_000, 20_000_000, 70_000_000))
        watch = rng.choice((0, holder, max(0, holder - 1)))
        answer = w.claim(node=f"n{rng.randrange(3)}", watch=watch)
        if not isinstance(answer, Rejected):
            holder = answer["watch"]
        key, firing = rng.choice("abc"), rng.random() < 0.5
        by = rng.choice((holder, max(1, holder - 1)))
        told = w.report((key, firing, 5.0), watch=by)
        if by != holder:
            assert told.code == "STALE"
            continue
        assert (told["fired"], told["resolved"]) == (int(firing and key not in fires_now), int(not firing and key in fires_now))
        (fires_now.add if firing else fires_now.discard)(key)
        assert {*w.alert().firing} == fires_now
    fired = [g["key"] for e in w.events(al.AlertFired) for g in e.groups]
    over = [g["number"] for e in w.events(al.AlertResolved) for g in e.groups]
    assert len(over) == len({*over}) == len(fired) - len(fires_now)
