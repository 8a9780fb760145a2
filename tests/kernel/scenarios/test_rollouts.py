"""Versions in service: which version new work is for, by whatever door; live, and with a take-over after every command (replay equals live)."""

from __future__ import annotations

import hashlib
import random

import msgspec
import pytest
from notation import bpmn
from scenario import START_US, Refused, Scenario, image

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import definition as de
from flowledger.events.base import Rejected
from flowledger.kernel import checkpoint, rollouts
from flowledger.kernel.decide import decide
from flowledger.kernel.state import Partition

CRASH = pytest.mark.parametrize("crash", [False, True], ids=["live", "crash"])
CALLED = '<zeebe:calledElement processId="p"{}/>'
DMN = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="n"><decision id="dec" name="dec">
<variable name="dec"/><literalExpression><text>{}</text></literalExpression></decision></definitions>"""
pytestmark = pytest.mark.req("APG-HA-012", "D-MOD-005", "APG-MOD-007")


def text(n: int, more: str = "") -> str:
    return bpmn(f"startEvent s\nserviceTask t{n}\n{more}\ns > t{n}")


def deploy(s: Scenario, content: str, name: str = "m0.bpmn", **more) -> dict:
    return s.do(c.Deploy(resources=[c.Resource(name, content)], **more))["definitions"][0]


def versions(n: int, crash: bool = False, more: str = "", partitions: int = 1) -> Scenario:
    """A process `p` in versions 1 to n."""
    s = Scenario(text(1, more), crash=crash, partitions=partitions)
    for k in range(2, n + 1):
        deploy(s, text(k, more))
    return s


def key(s: Scenario, version: int, id: str = "p") -> int:
    return next(d.key for d in s.p.definitions.values() if (d.id, d.version) == (id, version) and d.kind != "drg")


def roll(s: Scenario, of: int = 1, /, **fields) -> dict:
    return s.do(co.ChangeRollout(key=key(s, of), **fields))


def started(s: Scenario, **fields) -> int:
    return s.do(c.StartInstance(**{"id": "p", **fields}))["version"]


def why(s: Scenario, command) -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        s.do(command)
    return refused.value.rejected.code, refused.value.rejected.message


@CRASH
def test_without_a_rollout_the_newest_published_is_meant(crash):
    s = versions(3, crash)
    assert started(s) == 3
    s.do(c.ChangeDefinition(key=key(s, 3), move="deprecate"))
    assert started(s) == 2


#: (moves, of versions 1 to 3; what a start by id means afterwards, None: refused)
TABLE = [
    ([dict(version=1, default=True)], 1),
    ([dict(version=2, default=True)], 2),
    ([dict(version=1, default=True), dict(default=False)], 3),
    ([dict(version=3, stop_starts=True)], 2),
    ([dict(version=1, stop_starts=True)], 3),
    ([dict(version=3, stop_starts=True), dict(version=3, stop_starts=False)], 3),
    ([dict(stop_starts=True)], None),
    ([dict(stop_starts=True), dict(version=1, stop_starts=False)], 1),
    ([dict(stop_starts=True), dict(stop_starts=False)], 3),
    # what follows from a stopped default is older, never what nobody has chosen
    ([dict(version=2, default=True), dict(version=2, stop_starts=True)], 1),
    ([dict(version=1, default=True), dict(version=1, stop_starts=True)], None),
    ([dict(version=1, default=True), dict(version=3, share=100)], 3),
    ([dict(version=1, default=True), dict(version=3, share=0)], 1),
    ([dict(version=3, share=0)], 2),
    ([dict(version=1, share=0)], 3),
    ([dict(version=3, share=100)], 3),
    ([dict(version=3, share=100), dict(version=3, share=0)], 2),
    ([dict(version=2, share=100)], 2),
    ([dict(version=3, share=100), dict(version=3, stop_starts=True)], 2),
    ([dict(version=3, share=100), dict(version=1, default=True)], 1),
    ([dict(version=3, share=100), dict(version=3, default=True)], 3),
    ([dict(version=3, share=100), dict(version=1, share=100)], 1),
    ([dict(version=-1, default=True)], 1),
    ([dict(version=-1, stop_starts=True), dict(version=3, stop_starts=True), dict(version=2, stop_starts=True)], None),
]


@CRASH
@pytest.mark.parametrize(("moves", "meant"), TABLE)
def test_what_a_start_by_id_means(moves, meant, crash):
    s = versions(3, crash)
    for move in moves:
        answer = roll(s, **move)
        assert answer["changed"] == (answer["before"] != {k: answer[k] for k in answer["before"]}) or move.get("share") == 0
    if meant is None:
        code, text_ = why(s, c.StartInstance(id="p"))
        assert code == "INVALID_STATE" and "stopped by its rollout" in text_ and answer["default"] is None
    else:
        assert started(s) == meant
    again = image(s.p)
    assert roll(s, **moves[-1])["changed"] is False and set(image(s.p)) == set(again), "a second time it says nothing new"


@CRASH
def test_a_new_version_waits_until_it_is_rolled_out(crash):
    s = versions(1, crash)
    roll(s, version=1, default=True)
    deploy(s, text(2))
    assert started(s) == 1
    roll(s, version=2, share=100)
    assert started(s) == 2
    roll(s, version=2, default=True)
    assert started(s) == 2 and s.p.rollouts["", "process", "p"].default == key(s, 2)
    roll(s, version=1, default=True)
    assert started(s) == 1, "the default is rolled back"


def bucket(version: int, who: str) -> int:
    """Once more, by the words of the documentation."""
    return int(hashlib.sha256(f"p\0{version}\0{who}".encode()).hexdigest()[:16], 16) % 10_000


def test_the_share_is_met_and_only_grows():
    s = versions(2)
    s.check = False
    keys = [f"order-{n}" for n in range(2_000)]
    before: set[str] = set()
    for share in (0.01, 5, 20, 50, 100):
        roll(s, version=2, share=share)
        on_new = {k for k in keys if started(s, business_key=k) == 2}
        assert on_new == {k for k in keys if bucket(2, k) < share * 100}, "by the hash of the business key alone"
        assert before <= on_new, "whoever was on the new version stays there"
        assert abs(len(on_new) / len(keys) - share / 100) < 0.03
        before = on_new
    roll(s, version=2, share=20)
    assert {k for k in keys if started(s, business_key=k) == 2} == {k for k in keys if bucket(2, k) < 2_000}


def test_by_what_one_is_on_a_side():
    s = versions(2)
    roll(s, version=2, share=50)
    for n in range(40):
        request = c.Request(command=c.StartInstance(id="p"), id=f"id-{n}")
        made = decide(s.p, request, s.facts(s.p))
        assert made.answer["version"] == (2 if bucket(2, f"id-{n}") < 5_000 else 1), "no business key: the caller's id"
        s._take(made)
        answer = s.do(c.StartInstance(id="p"))
        assert answer["version"] == (2 if bucket(2, str(answer["key"])) < 5_000 else 1), "neither: the instance's own"
        plan = decide(s.p, c.Request(command=c.StartInstance(id="p", business_key=f"k{n}"), plan=c.DRY_RUN), s.facts(s.p))
        assert plan.answer["outcome"]["version"] == started(s, business_key=f"k{n}"), "a dry run says which"


def test_odd_keys_have_a_bucket_and_the_halves_are_even():
    for who in ("", "\0", "ä" * 255, "\ud800", "\U0001f600"):
        assert 0 <= rollouts.bucket("p", 2, who) < rollouts.ALL
    found = [rollouts.bucket("p", 2, str(n)) for n in range(10_000)]
    for part in range(10):
        assert 900 < sum(part * 1_000 <= b < part * 1_000 + 1_000 for b in found) < 1_100
    other = [rollouts.bucket("p", 3, str(n)) for n in range(10_000)]
    assert 4_000 < sum((a < 5_000) == (b < 5_000) for a, b in zip(found, other, strict=True)) < 6_000, "the next version has other guests"


@CRASH
def test_a_version_that_is_named_is_started_unless_it_is_stopped(crash):
    s = versions(3, crash)
    roll(s, version=1, default=True)
    ways = ({"version": 2}, {"id": "", "definition": key(s, 2)})
    assert [started(s, **way) for way in ways] == [2, 2]
    roll(s, version=2, stop_starts=True)
    for way in ways:
        code, told = why(s, c.StartInstance(**{"id": "p", **way}))
        assert code == "INVALID_STATE" and "version 2 are stopped" in told
    assert started(s, version=3) == 3


@CRASH
def test_a_version_tag_names_one(crash):
    tagged = text(1).replace("<process ", '<process xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" ').replace(
        'isExecutable="true">', 'isExecutable="true"><extensionElements><zeebe:versionTag value="one"/></extensionElements>'
    )  # fmt: skip
    s = Scenario(tagged, crash=crash)
    deploy(s, text(2))
    assert started(s, version_tag="one") == 1
    roll(s, version=1, stop_starts=True)
    assert why(s, c.StartInstance(id="p", version_tag="one"))[0] == "INVALID_STATE" and started(s) == 2


EVENTS = {
    "message": ("startEvent e : message M\nserviceTask et\ne > et", "message M"),
    "signal": ("startEvent e : signal S\nserviceTask et\ne > et", "signal S"),
    "timer": ("startEvent e : timer R/PT1H\nserviceTask et\ne > et", "tick e"),
    "conditional": ("startEvent e : conditional x > 1\nserviceTask et\ne > et", "conditions x=2"),
}


@CRASH
@pytest.mark.parametrize("kind", list(EVENTS))
def test_start_events_are_those_of_the_version_in_force(kind, crash):
    more, occurs = EVENTS[kind]
    s = versions(2, crash, more)

    def start() -> list[int]:
        before = set(s.p.instances)
        s.move(occurs) if kind != "timer" or any(t.element == "e" for t in s.p.timers.values()) else None
        return [i.version for k, i in s.p.instances.items() if k not in before]

    def listens() -> set[int]:
        return {x.definition for x in (*s.p.subscriptions.values(), *s.p.timers.values())}

    assert start() == [2]
    roll(s, version=1, default=True)
    assert start() == [1] and listens() == {key(s, 1)}
    roll(s, version=2, share=100)
    assert start() == [1], "a share is of starts by id"
    deploy(s, text(3, more))
    assert start() == [1] and listens() == {key(s, 1)}
    warned = roll(s, default=False)["warnings"]
    assert start() == [3] and any("start events" in w for w in warned)
    roll(s, stop_starts=True)
    assert start() == [] and listens() == set()
    roll(s, version=2, stop_starts=False)
    assert start() == [2]


@CRASH
def test_start_events_follow_the_life_of_versions(crash):
    s = versions(2, crash, EVENTS["message"][0])

    def listens() -> set[int]:
        return {s.p.definitions[x.definition].version for x in s.p.subscriptions.values()}

    for move, version, heard in (
        ("deprecate", 2, {1}),
        ("publish", 2, {2}),
        ("deprecate", 1, {2}),
        ("deprecate", 2, set()),
        ("publish", 1, {1}),
    ):
        s.do(c.ChangeDefinition(key=key(s, version), move=move))
        assert listens() == heard, (move, version)


@CRASH
def test_call_activities_mean_the_version_in_force(crash):
    def caller(binding: str) -> str:
        return bpmn(
            f"process {binding or 'latest'}_ {{\nstartEvent a\ncallActivity b\n{CALLED.format(f' bindingType={chr(34)}{binding}{chr(34)}' if binding else '')}\na > b\n}}"
        )

    s = versions(1, crash)
    both = s.do(c.Deploy(resources=[c.Resource("m0.bpmn", text(2)), c.Resource("d.bpmn", caller("deployment"))]))
    assert len(both["definitions"]) == 2
    deploy(s, caller(""), "l.bpmn")
    deploy(s, text(3))

    def calls(id: str) -> list[int]:
        before = set(s.p.instances)
        s.do(c.StartInstance(id=id))
        return [i.version for k, i in s.p.instances.items() if k not in before and i.process == "p"]

    assert (calls("latest_"), calls("deployment_")) == ([3], [2])
    roll(s, version=1, default=True)
    roll(s, version=3, share=100)
    assert (calls("latest_"), calls("deployment_")) == ([1], [2]), "a share is of root starts"
    roll(s, stop_starts=True)
    assert calls("latest_") == [] and {x.code for x in s.p.incidents.values()} == {"CALLED_ELEMENT_STOPPED"}
    assert calls("deployment_") == [2], "else what runs could not end"
    roll(s, version=1, stop_starts=False)
    s.do(c.ResolveIncident(key=next(iter(s.p.incidents))))
    assert not s.p.incidents


@CRASH
def test_the_default_of_a_decision_is_rolled_back(crash):
    s = Scenario(text(1), crash=crash, resources=[("d.dmn", DMN.format(1))])
    deploy(s, DMN.format(2), "d.dmn")
    assert s.do(c.EvaluateDecision(id="dec"))["output"] == 2
    s.do(co.ChangeRollout(key=key(s, 1, "dec"), version=1, default=True))
    assert s.do(c.EvaluateDecision(id="dec"))["output"] == 1
    assert s.do(c.EvaluateDecision(key=key(s, 2, "dec")))["output"] == 2
    for fields in (dict(version=2, share=5), dict(version=2, stop_starts=True)):
        assert why(s, co.ChangeRollout(key=key(s, 1, "dec"), **fields))[0] == "INVALID_ARGUMENT"
    drg = next(d.key for d in s.p.definitions.values() if d.kind == "drg")
    assert "decisions" in why(s, co.ChangeRollout(key=drg, version=1, default=True))[1]


REFUSED = [
    (dict(), "INVALID_ARGUMENT", "found none"),
    (dict(version=1, share=5, default=True), "INVALID_ARGUMENT", "either"),
    (dict(version=1, share=100.01), "INVALID_ARGUMENT", "0 to 100 %, found 100.01"),
    (dict(version=1, share=-2), "INVALID_ARGUMENT", "found none"),
    (dict(share=5), "INVALID_ARGUMENT", "the version"),
    (dict(default=True), "INVALID_ARGUMENT", "the version"),
    (dict(version=1, default=True, stop_starts=True), "INVALID_ARGUMENT", "open"),
    (dict(version=9, share=5), "NOT_FOUND", "1, 2, 3"),
    (dict(version=-2, default=True), "INVALID_ARGUMENT", "version"),
    (dict(version=3, share=5), "INVALID_STATE", "it is deprecated"),
    (dict(version=3, default=True), "INVALID_STATE", "it is deprecated"),
    (dict(version=2, share=5), "INVALID_STATE", "the default already"),
    (dict(version=2, share=0), "INVALID_STATE", "the default"),
]


@pytest.mark.parametrize(("fields", "code", "told"), REFUSED)
def test_what_is_refused_says_what_was_expected(fields, code, told):
    s = versions(3)
    s.do(c.ChangeDefinition(key=key(s, 3), move="deprecate"))
    roll(s, version=2, default=True)
    found = why(s, co.ChangeRollout(key=key(s, 1), **fields))
    assert found[0] == code and told in found[1]


def test_one_version_alone_has_no_rest():
    s = versions(1)
    assert "for the rest" in why(s, co.ChangeRollout(key=key(s, 1), version=1, share=50))[1]
    assert why(s, co.ChangeRollout(key=7, version=1, default=True))[0] == "NOT_FOUND"
    roll(s, version=1, stop_starts=True)
    assert "stopped" in why(s, co.ChangeRollout(key=key(s, 1), version=1, default=True))[1]
    assert roll(s, version=1, default=True, stop_starts=False)["default"] == 1


@CRASH
def test_what_becomes_of_it_when_versions_go(crash):
    s = versions(3, crash)
    roll(s, version=2, default=True)
    s.do(c.ChangeDefinition(key=key(s, 2), move="deprecate"))
    assert started(s) == 1
    s.do(c.CancelInstance(key=max(s.p.instances)))
    s.do(c.ChangeDefinition(key=key(s, 1), move="delete"))
    assert "version 2, which is deprecated" in why(s, c.StartInstance(id="p"))[1]
    s.do(c.ChangeDefinition(key=key(s, 2), move="delete"))
    assert started(s) == 3, "what is deleted pins nothing when nothing older is left"
    s.do(c.CancelInstance(key=max(s.p.instances)))
    s.do(c.ChangeDefinition(key=key(s, 3), move="delete"))
    assert not s.p.rollouts
    deploy(s, text(4))
    assert started(s) == 4


def test_pending_instances_keep_their_version():
    s = versions(2)
    hold = s.do(c.PlaceHold(scope="definition", subject="p"))["key"]
    made = s.do(c.StartInstance(id="p"))
    assert made["status"] == "pending" and made["version"] == 2
    roll(s, version=2, stop_starts=True)
    s.do(c.ReleaseHold(key=hold))
    for t in [t.key for t in s.p.timers.values()]:
        s.do(c.FireTimers(timers=[t]))
    assert s.p.instances[made["key"]].status == "running", "it was accepted"


def test_a_migration_into_a_version_that_runs_dry_is_warned_of():
    s = versions(2)
    roll(s, version=1, default=True)
    s.start()
    roll(s, version=2, stop_starts=True)
    answer = s.do(c.MigrateInstance(key=s.key, definition=key(s, 2), elements={"t1": "t2"}))
    assert any("stopped" in w for w in answer["warnings"])


def test_a_dry_run_is_the_act_and_a_plan_can_be_stale():
    s = versions(2)
    command = co.ChangeRollout(key=key(s, 1), version=2, share=20, reason="slowly")
    before = image(s.p)
    plan = decide(s.p, c.Request(command=command, plan=c.DRY_RUN), s.facts(s.p)).answer
    assert image(s.p) == before and plan["outcome"]["ramp"] == {"version": 2, "share": 20.0}
    assert any("20 %" in w for w in plan["warnings"]) and plan["events"] == {"definition.rollout_changed": 1}
    other = msgspec.structs.replace(command, share=20.01)
    stale = decide(s.p, c.Request(command=other, plan=plan["plan"]), s.facts(s.p))
    assert isinstance(stale, Rejected) and stale.code == "STALE"
    made = decide(s.p, c.Request(command=command, plan=plan["plan"]), s.facts(s.p))
    assert [e for e in made.events if isinstance(e, de.RolloutChanged)][0].reason == "slowly"


def test_tenants_have_their_own():
    s = versions(2)

    def ask(tenant: str, command):
        made = decide(s.p, c.Request(command=command, tenant=tenant), s.facts(s.p))
        if not isinstance(made, Rejected):
            s._take(made)
        return made

    for n in (1, 2):
        assert not isinstance(ask("b", c.Deploy(resources=[c.Resource("m0.bpmn", text(n))])), Rejected)
    assert ask("b", co.ChangeRollout(key=key(s, 1), version=1, default=True)).code == "NOT_FOUND"
    theirs = next(d.key for d in s.p.definitions.values() if d.tenant == "b")
    assert ask("b", co.ChangeRollout(key=theirs, version=1, default=True)).answer["default"] == 1
    assert ask("b", c.StartInstance(id="p")).answer["version"] == 1 and started(s) == 2


@pytest.mark.parametrize("seed", range(30))
def test_random_rollouts_survive_take_over_and_say_what_they_do(seed):
    """Each is asked first; the image of a checkpoint, folded, is the state; what a start means is what was told."""
    rng = random.Random(seed)
    more = rng.choice(["", EVENTS["message"][0], EVENTS["timer"][0]])
    s = versions(rng.randint(1, 4), crash=rng.random() < 0.5, more=more)
    for _ in range(25):
        n = max(d.version for d in s.p.definitions.values())
        move = rng.random()
        if move < 0.1 and n < 6:
            deploy(s, text(n + 1, more))
            continue
        if move < 0.2:
            found = s.p.definitions[key(s, rng.randint(1, n))]
            s.do(c.ChangeDefinition(key=found.key, move="deprecate" if found.status == "published" else "publish"))
            continue
        fields = {
            "version": rng.choice([0, -1, *range(1, n + 1)]), "share": rng.choice([-1, -1, 0, rng.randint(0, 10_000) / 100]),
            "default": rng.choice([None, None, True, False]), "stop_starts": rng.choice([None, None, True, False]),
        }  # fmt: skip
        command = co.ChangeRollout(key=key(s, rng.randint(1, n)), **fields)
        plan = decide(s.p, c.Request(command=command, plan=c.DRY_RUN), s.facts(s.p))
        try:
            answer = s.do(command)
        except Refused as refused:
            assert plan == refused.rejected
            continue
        assert plan.answer["outcome"] == {k: str(v) if k == "key" else v for k, v in answer.items() if k != "warnings"}
        ramp = answer["ramp"]
        for who in ("a", "b", "c"):
            try:
                found = started(s, business_key=who)
            except Refused:
                found = None
            on_ramp = ramp and ramp["version"] not in answer["stopped"] and s.p.definitions[key(s, ramp["version"])].status == "published"
            assert found == (
                ramp["version"] if on_ramp and bucket(ramp["version"], who) < round(ramp["share"] * 100) else answer["default"]
            )
        live = {x.definition for x in (*s.p.subscriptions.values(), *s.p.timers.values()) if x.definition}
        assert live == ({key(s, answer["default"])} if answer["default"] and more else set())
        fresh = Partition(0, 1)
        records = {k: v for k, v in checkpoint.fingerprint(s.p, placed=True).items() if v is not None}
        mark = checkpoint.Mark(end=0, chain=b"", source=0, live=len(records), meta=s.p.meta)
        checkpoint.restore(fresh, records, mark)
        assert fresh.rollouts == s.p.rollouts and image(fresh) == image(s.p)
    assert s.now_us > START_US
