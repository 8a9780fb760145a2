"""What an alert does when it fires: off unless it is switched on, once whoever crashes, so often an hour, undone when it is over, at its end, or by hand."""

import pytest
from test_alerts import GOOD
from test_alerts import World as Alerts

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events import holds as ho
from flowledger.kernel.alerts import action as ac
from flowledger.kernel.alerts import rule as ar

ACTION = {"kind": "hold", "scope": "job_type", "for": "PT15M", "enabled": True}
MINUTE = 60_000_000


class World(Alerts):
    """An alert on errors of a job type, by job type; time goes on with what is due."""

    def __init__(self, n=3, seed=0, crashes=0.0, tenant="", **action):
        super().__init__(n, seed, crashes=crashes)
        self.tenant = tenant
        given = {k: v for k, v in {**ACTION, **action}.items() if v is not None}
        self.put(tenant=tenant, group=["job_type"], action=given)
        self.claim()

    def see(self, key, firing, **more):
        seen = [al.Seen(key=key, firing=firing, group={"job_type": key}, value=9.0)]
        command = al.ReportAlert(
            name="failing", watch=1, revision=self.alert("failing", self.tenant).revision, seen=seen, at_us=self.now_us
        )
        found = self.to(command, tenant=self.tenant, actor="alerts", **more)
        self.settle()
        return found

    def wait(self, us):
        self.now_us += us
        while found := [(k, t.key) for k, p in enumerate(self.parts) for t in p.timers.values() if t.due_us <= self.now_us]:
            self.ask(found[0][0], c.FireTimers(timers=[found[0][1]]))
            self.settle()

    def held(self):
        """By all partitions alike."""
        self.wait(0)
        found = [sorted(h.subject for h in p.holds.values()) for p in self.parts]
        assert all(each == found[0] for each in found)
        return found[0]

    def rows(self):
        return [row for e in self.events(al.AlertActed) for row in e.rows]

    def refused(self):
        """Of each firing, what was said last."""
        return {row["number"]: row["refused"] for row in self.rows()}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"action": "hold"}, "action: expected an object"), ({"action": {}}, "in kind"), ({"action": {**ACTION, "kind": "delete"}}, "in kind"),
        ({"action": {**ACTION, "scope": "tenant"}}, "in scope"), ({"action": {**ACTION, "for": "PT59S"}}, "in for"),
        ({"action": {**ACTION, "for": "P1DT1S"}}, "in for"), ({"action": {**ACTION, "most_per_hour": 0}}, "in most_per_hour"),
        ({"action": {**ACTION, "most_per_hour": ac.PER_HOUR_MAX + 1}}, "in most_per_hour"), ({"action": {**ACTION, "mode": "kill"}}, "in mode"),
        ({"action": {**ACTION, "starts": "refuse"}}, "starts only"), ({"action": {**ACTION, "enabled": 1}}, "in enabled"),
        ({"action": {**ACTION, "colour": 1}}, "in colour"), ({"action": ACTION}, "expected job_type, or a group by it"),
        ({"action": {**ACTION, "scope": "element"}}, "expected element"), ({"process": None, "action": {**ACTION, "scope": "definition"}}, "expected process"),
        ({"measure": "lag", "process": None, "action": ACTION}, "expected job_type"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_action_is_said(rule, words):
    found = ar.problem("a", {k: v for k, v in {**GOOD, **rule}.items() if v is not None})
    assert words in found


@pytest.mark.parametrize(
    ("rule", "group", "subject"),
    [
        ({"action": {**ACTION, "scope": "definition"}}, {}, "order"),
        ({"action": {**ACTION, "scope": "definition"}, "process": None, "group": ["process"]}, {"process": "bill"}, "bill"),
        ({"action": {**ACTION, "scope": "element"}, "group": ["element"]}, {"process": "order", "element": "pay"}, "order/pay"),
        ({"action": {**ACTION, "scope": "element"}, "group": ["element"]}, {"process": "order", "element": ""}, ""),
        ({"action": ACTION, "job_type": "charge"}, {}, "charge"),
        ({"action": ACTION, "group": ["job_type"]}, {"job_type": "send"}, "send"),
    ],
)
def test_what_fires_is_what_it_is_over(rule, group, subject):
    whole = {k: v for k, v in {**GOOD, **rule}.items() if v is not None}
    assert ar.problem("a", whole) == "" and ac.subject(ac.read(whole), whole, group) == subject


@pytest.mark.parametrize("enabled", [None, False])
def test_off_unless_it_says_otherwise(enabled):
    w = World(enabled=enabled)
    assert w.see("charge", True)["fired"] == 1
    assert w.held() == [] and not w.rows()


@pytest.mark.parametrize("seed", range(6))
def test_it_is_done_once_whoever_crashes_and_undone_when_it_is_over(seed):
    w = World(3, seed, crashes=0.4)
    w.see("charge", True)
    w.see("charge", True)
    assert w.held() == ["charge"] and w.refused() == {1: ""}
    placed = w.parts[0].holds[w.alert().acts[0].hold]
    assert (placed.mode, placed.by, placed.reason, placed.tenant) == ("pause", "alerts", "alert failing, firing 1", "")
    assert placed.until_us == w.alert().acts[0].until_us
    assert len({e.hold for e in w.events(ho.HoldPlaced)}) == 1
    w.see("charge", False)
    assert w.held() == [] and [act.over for act in w.alert().acts] == [True]
    assert {e.reason for e in w.events(ho.HoldReleasing)} == {"alert failing is over"}


def test_it_is_of_the_alerts_tenant():
    w = World(tenant="acme")
    w.see("charge", True)
    assert w.held() == ["charge"] and {h.tenant for p in w.parts for h in p.holds.values()} == {"acme"}


def test_at_its_end_it_is_over_by_itself_and_a_firing_that_goes_on_does_nothing_more():
    w = World()
    w.see("charge", True)
    w.wait(15 * MINUTE - 1_000_000)
    assert w.held() == ["charge"]
    w.wait(1_000_000)
    w.see("charge", True)
    assert w.held() == []
    releases = len(w.events(ho.HoldReleasing))
    w.see("charge", False)
    assert len(w.events(ho.HoldReleasing)) == releases, "there is nothing to undo"


def test_undone_by_hand_it_is_not_done_again_before_its_time_is_over():
    w = World(most_per_hour=5, enabled=True)
    w.see("charge", True)
    released = w.ask(0, c.ReleaseHold(key=w.alert().acts[0].hold, reason="it is needed"))
    assert released["state"] in ("resuming", "released")
    w.settle()
    assert w.held() == []
    w.put(group=["job_type", "element"], action=ACTION | {"most_per_hour": 5})
    # another group of the same job type fires meanwhile
    for key in ("a", "b"):
        seen = [al.Seen(key=key, firing=True, group={"job_type": "charge", "element": key})]
        w.to(al.ReportAlert(name="failing", watch=1, revision=w.alert().revision, seen=seen, at_us=w.now_us), actor="alerts")
    w.settle()
    assert w.held() == [] and w.refused() == {1: "", 2: ac.STANDS, 3: ac.STANDS}


def test_so_often_an_hour_and_no_more():
    w = World(most_per_hour=2)
    for n in range(3):
        w.see("charge", True)
        assert w.held() == (["charge"] if n < 2 else [])
        w.see("charge", False)
        w.wait(MINUTE)
    assert w.refused() == {1: "", 2: "", 3: ac.OFTEN}
    first = w.alert().acts[0].at_us
    w.wait(first + ac.HOUR_US - w.now_us - 1_000)
    w.see("charge", True)
    assert w.refused()[4] == ac.OFTEN, "the hour isn't over"
    w.see("charge", False)
    w.wait(1_000)
    w.see("charge", True)
    assert w.refused()[5] == "" and w.held() == ["charge"] and len(w.alert().acts) == 2, "what is older is forgotten"


def test_groups_that_fire_together_share_the_hour():
    w = World(most_per_hour=2)
    seen = [al.Seen(key=key, firing=True, group={"job_type": key}) for key in ("x", "y", "z")]
    w.to(al.ReportAlert(name="failing", watch=1, revision=1, seen=seen, at_us=w.now_us), actor="alerts")
    w.settle()
    assert w.held() == ["x", "y"] and w.refused() == {1: "", 2: "", 3: ac.OFTEN}


def test_what_cannot_be_held_says_why_and_counts():
    """The process that it is of isn't there."""
    w = World(scope="definition", most_per_hour=1)
    w.see("charge", True)
    assert "expected a process with id 'order'" in w.refused()[1] and w.held() == []
    w.see("charge", False)
    w.see("charge", True)
    assert w.refused()[2] == ac.OFTEN


@pytest.mark.parametrize("how", ["deleted", "off", "no action", "action off"])
def test_with_its_rule_what_it_did_is_undone(how):
    w = World()
    w.see("charge", True)
    assert w.held() == ["charge"]
    if how == "deleted":
        w.to(al.DeleteAlert(name="failing"))
    else:
        more = {"off": {"enabled": False, "action": ACTION}, "no action": {}, "action off": {"action": ACTION | {"enabled": False}}}[how]
        w.put(group=["job_type"], **more)
    w.settle()
    assert w.held() == []


@pytest.mark.parametrize("deleted", [True, False])
def test_over_before_the_hold_is_known_it_is_undone_as_soon_as_it_is(deleted):
    w = World(7, seed=3)
    assert w.home(), "the first partition is another"
    seen = [al.Seen(key="charge", firing=True, group={"job_type": "charge"})]
    w.to(al.ReportAlert(name="failing", watch=1, revision=1, seen=seen, at_us=w.now_us), actor="alerts")
    if deleted:
        w.to(al.DeleteAlert(name="failing"))
    else:
        over = [al.Seen(key="charge", firing=False)]
        w.to(al.ReportAlert(name="failing", watch=1, revision=1, seen=over, at_us=w.now_us), actor="alerts")
    w.settle()
    assert w.events(ho.HoldPlaced) and w.held() == []
