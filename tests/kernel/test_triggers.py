"""Triggers at their home: each item once, whoever takes over at whatever step; versions, pauses, schedules, parked items, limits."""

import random
from datetime import datetime

import msgspec
import pytest
from notation import bpmn
from test_batches import World as Batches

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import triggers as tr
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.kernel import limits
from flowledger.kernel.access import ANY_TENANT
from flowledger.kernel.library import Library
from flowledger.kernel.model.trigger_sources import SOURCES, Source

#: a source as others may add it, which is read
SOURCES["queue"] = Source({})
#: half hours of a night in which an hour comes twice
TWICE = [f"2026-10-25T{t}" for t in ("02:00:00+02:00", "02:30:00+02:00", "02:00:00+01:00", "02:30:00+01:00", "03:00:00+01:00")]
WORK = "process p {\nstartEvent s\nserviceTask t\nendEvent e\ns > t > e\n}"
HOOK = """format: flowledger/trigger@1
name: orders
source: {webhook: {path: orders, authentication: {type: none}}}
filter: =payload.total > 0
key: =payload.id
start: {process: p, business_key: =payload.id, variables: {order: =payload}}
"""
HOUR_US, MINUTE_US = 3_600_000_000, 60_000_000


def us(text):
    return int(datetime.fromisoformat(text).timestamp() * 1_000_000)


class World(Batches):
    """As that of batches; its timers are those of triggers."""

    def __init__(self, n=1, seed=0, *files, crashes=0.0, now="2026-01-01T00:00:00+00:00"):
        super().__init__(n, seed, WORK, crashes=crashes)
        graphs, self.library = self.library.graphs, Library()
        self.library.graphs |= graphs
        self.now_us = us(now)
        for k, text in enumerate(files):
            self.deploy(text, f"{k}.trigger.yaml")

    def deploy(self, text, name="x.trigger.yaml"):
        answer = self.ask(0, c.Deploy(resources=[c.Resource(name, text)]))
        self.settle()
        return answer

    def due(self):
        return None

    def home(self, name="orders"):
        return self.parts[c.partition_of_text(name, len(self.parts))]

    def to(self, command, **more):
        return self.ask(c.partition_of_text(command.name, len(self.parts)), command, **more)

    def take(self, *items, name="orders", **more):
        return self.to(
            tr.TakeItems(
                name=name, items=[i if isinstance(i, tr.TriggerItem) else tr.TriggerItem(context={"payload": i}) for i in items], **more
            )
        )

    def trigger(self, name="orders"):
        p = self.home(name)
        return p.triggers[p.trigger_names["", name]]

    def until(self, text):
        """Time goes on; each timer fires in its turn."""
        end = us(text)
        while True:
            due = min(((t.due_us, k, t.key) for k, p in enumerate(self.parts) for t in p.timers.values()), default=(end + 1, 0, 0))
            if due[0] > end:
                self.now_us = end
                return
            self.now_us = max(self.now_us, due[0])
            self.step(due[1], c.Request(command=c.FireTimers(timers=[due[2]])))
            self.settle()

    def events(self, kind):
        return [e for log in self.log for e, _ in log if isinstance(e, kind)]

    def started(self):
        return [e.variables for e in self.events(wf.WorkflowStarted)]


def schedule(name="nightly", action="start: {process: p, variables: {at: =scheduled}}", **fields):
    return f"format: flowledger/trigger@1\nname: {name}\nsource: {{schedule: {msgspec.json.encode(fields).decode()}}}\n{action}\n"


def read_by(world, name="orders", node="n1", **more):
    return world.to(tr.ClaimTrigger(name=name, node=node, **more))


@pytest.mark.req("APG-TRG-003")
def test_an_item_is_filtered_mapped_and_started_once():
    w = World(1, 0, HOOK)
    answer = w.take({"id": 7, "total": 3}, {"id": 8, "total": 0}, {"id": 7, "total": 3}, {"id": 9}, {"id": "x", "total": "no"})
    assert answer["outcomes"] == ["started", "filtered", "seen", "filtered", "filtered"]
    assert w.started() == [{"order": {"id": 7, "total": 3}}]
    assert w.take({"id": 7, "total": 3})["outcomes"] == ["seen"], "and in another command"
    i = w.parts[0].instances[answer["keys"][0]]
    assert (i.business_key, i.process) == ("7", "p")
    (ran,) = w.events(tr.TriggerRan)
    assert (ran.key, ran.name, ran.action, ran.subject, ran.item) == (i.key, "orders", "start", "p", "7")
    envelope = next(v for e, v in w.log[0] if isinstance(e, wf.WorkflowStarted))
    assert (envelope.actor, envelope.cause) == ("trigger:orders", f"trigger:{w.trigger().key}")


def test_messages_and_signals_go_where_they_belong():
    text = HOOK.replace(
        "start: {process: p, business_key: =payload.id, variables: {order: =payload}}",
        "message: {name: paid, correlation_key: =payload.id, ttl: PT1H, variables: =payload}",
    )
    w = World(
        3,
        0,
        text,
        text.replace("message: {name: paid, correlation_key: =payload.id, ttl: PT1H, variables: =payload}", "signal: {name: rang}").replace(
            "orders", "bell"
        ),
    )
    assert w.take({"id": 1, "total": 1}, {"id": 2, "total": 1}, {"id": 3, "total": 1})["outcomes"] == ["published"] * 3
    assert w.take({"id": 1, "total": 1}, name="bell")["outcomes"] == ["signalled"]
    w.settle()
    assert sorted((e.name, e.correlation) for e in w.events(wa.MessageReceived)) == [("paid", "1"), ("paid", "2"), ("paid", "3")]
    assert len([e for e in w.events(wa.SignalReceived) if e.signal]) == 1


def test_what_cannot_be_used_is_parked_and_replayed_by_a_new_version():
    w = World(2, 0, HOOK.replace("process: p", "process: gone"))
    answer = w.take({"id": 1, "total": 1})
    assert answer["outcomes"] == ["parked"] and w.trigger().parked == 1 and not w.started()
    (letter,) = answer["keys"]
    (said,) = w.events(tr.TriggerParked)
    assert "gone" in said.reason and said.context == {"payload": {"id": 1, "total": 1}} and said.code == "NOT_FOUND"
    again = w.to(tr.SettleParked(name="orders", letters=[letter], move="replay"))
    assert again["outcomes"][str(letter)]["outcome"] == "parked" and w.trigger().parked == 1, "nothing has changed yet"
    w.deploy(HOOK)
    assert w.take({"id": 1, "total": 1})["outcomes"] == ["seen"], "a repeated delivery doesn't do it twice"
    done = w.to(tr.SettleParked(name="orders", letters=[letter, 5], move="replay"))["outcomes"]
    assert done[str(letter)]["outcome"] == "started" and done["5"]["outcome"] == "not_found"
    assert w.started() == [{"order": {"id": 1, "total": 1}}] and w.trigger().parked == 0
    assert isinstance(w.to(tr.SettleParked(name="orders", letters=[letter], move="replay")), Rejected), "once"


@pytest.mark.parametrize(
    ("mapping", "payload", "word"),
    [
        ("=payload.x", {"id": 1, "total": 1}, "object"),
        ("{a: '=assert(payload.x, payload.x > 5)'}", {"id": 1, "total": 1}, "assert"),
        ("=for i in 1..100000 return for j in 1..1000 return i", {"id": 1, "total": 1}, "steps"),
    ],
)
def test_a_mapping_that_fails_says_why_and_the_next_item_passes(mapping, payload, word):
    w = World(1, 0, HOOK.replace("{order: =payload}", mapping).replace("business_key: =payload.id, ", ""))
    answer = w.take(payload)
    assert answer["outcomes"] == ["parked"]
    assert word in w.events(tr.TriggerParked)[0].reason
    w.deploy(HOOK)
    assert w.take({"id": 2, "total": 1})["outcomes"] == ["started"]


def test_hostile_payloads_are_parked_and_harm_nobody():
    deep = {"id": 1, "total": 1}
    for _ in range(limits.DEPTH_MAX + 5):
        deep = {"id": 1, "total": 1, "d": deep}
    w = World(1, 0, HOOK)
    big = {"id": 3, "total": 1, "x": "x" * (limits.TRIGGER_PARKED_BYTES_MAX + 10)}
    answer = w.take(deep, {"id": 2, "total": 1, "s": "\ud800"}, {"id": 4, "total": 1, "n": 10**400}, {"id": 5, "total": 1})
    assert answer["outcomes"][:2] == ["parked", "parked"] and answer["outcomes"][-1] == "started"
    assert w.take(big)["outcomes"] == ["started"], "what is large may pass"
    w.deploy(HOOK.replace("process: p", "process: gone"))
    (letter,) = w.take({**big, "id": 6})["keys"]
    assert w.events(tr.TriggerParked)[-1].context is None
    again = w.to(tr.SettleParked(name="orders", letters=[letter], move="replay"))["outcomes"][str(letter)]
    assert again["outcome"] == "parked" and "too large" in again["reason"]
    assert w.to(tr.SettleParked(name="orders", letters=[letter], move="discard"))["outcomes"][str(letter)]["outcome"] == "discarded"


def test_a_deployment_resets_nothing_and_a_paused_trigger_keeps_its_place():
    w = World(2, 0, HOOK)
    w.take({"id": 1, "total": 1})
    w.deploy(HOOK + "description: changed\n")
    assert w.take({"id": 1, "total": 1})["outcomes"] == ["seen"]
    old = w.trigger().definition
    w.deploy(HOOK + "description: once more\n")
    assert w.take({"id": 9, "total": 1}, definition=old).code == "STALE", "what was read by a version of before is refused"
    assert w.to(tr.ControlTrigger(name="orders", move="pause"))["status"] == "paused"
    assert w.take({"id": 2, "total": 1}).code == "INVALID_STATE"
    assert isinstance(w.to(tr.ControlTrigger(name="orders", move="pause")), Rejected)
    assert w.to(tr.ControlTrigger(name="orders", move="resume"))["status"] == "active"
    assert w.take({"id": 1, "total": 1}, {"id": 2, "total": 1})["outcomes"] == ["seen", "started"]


def test_the_last_version_in_force_counts_and_with_all_of_them_the_trigger_goes():
    w = World(2, 0, HOOK)
    first = w.trigger().definition
    second = w.deploy(HOOK + "description: changed\n")["definitions"][0]["key"]
    w.ask(0, c.ChangeDefinition(key=second, move="delete"))
    w.settle()
    assert w.trigger().definition == first
    w.ask(0, c.ChangeDefinition(key=first, move="deprecate"))
    w.settle()
    assert w.trigger().definition == 0 and w.take({"id": 1, "total": 1}).code == "NOT_FOUND"
    w.ask(0, c.ChangeDefinition(key=first, move="delete"))
    w.settle()
    p = w.home()
    assert not p.triggers and not p.trigger_names and not p.trigger_keys and not p.trigger_letters and not p.trigger_seen


@pytest.mark.req("APG-HA-010")
@pytest.mark.parametrize("name", ["orders", "parcels"])
def test_a_rollout_says_which_version_is_in_force_on_every_partition(name):
    """Pinned, whatever is deployed; free again; its path with it."""
    model = HOOK.replace("name: orders", f"name: {name}")
    w = World(2, 0, model)
    first = w.trigger(name).definition
    second = w.deploy(model.replace("path: orders", "path: newer"))["definitions"][0]["key"]
    assert w.trigger(name).definition == second

    def pin(version, default):
        assert w.ask(0, co.ChangeRollout(key=second, version=version, default=default))["changed"]
        w.settle()

    pin(1, True)
    assert w.trigger(name).definition == first and w.take({"id": 1, "total": 1}, name=name)["outcomes"] == ["started"]
    assert "definitions" in w.deploy(HOOK.replace("name: orders", "name: other").replace("path: orders", "path: newer")), "the path is free"
    w.deploy(model + "description: third\n")
    assert w.trigger(name).definition == first, "what is deployed doesn't come into force"
    pin(0, False)
    assert w.trigger(name).definition not in (first, second) and w.take({"id": 1, "total": 1}, name=name)["outcomes"] == ["seen"]


def test_a_path_is_one_triggers():
    w = World(2, 0, HOOK)
    others = HOOK.replace("name: orders", "name: others")
    refused = w.deploy(others)
    assert refused.code == "MODEL_INVALID" and "TRIGGER_PATH" in refused.message and "'orders'" in refused.message
    foreign = w.ask(0, c.Deploy(resources=[c.Resource("x.trigger.yaml", others)]), tenant="b")
    assert foreign.code == "MODEL_INVALID" and "trigger 'orders'" not in foreign.message, (
        "paths are the server's; whose, is nobody's business"
    )
    both = [c.Resource(f"{n}.trigger.yaml", HOOK.replace("name: orders", f"name: {n}").replace("path: orders", "path: new")) for n in "ab"]
    assert w.ask(0, c.Deploy(resources=both)).code == "MODEL_INVALID"
    w.deploy(HOOK.replace("path: orders", "path: elsewhere"))
    assert "definitions" in w.deploy(HOOK.replace("name: orders", "name: others")), "it is free again"
    key = w.trigger("others").definition
    w.ask(0, c.ChangeDefinition(key=key, move="delete"))
    w.settle()
    assert "definitions" in w.deploy(HOOK.replace("name: orders", "name: third"))


def test_keys_are_forgotten_after_their_time_and_the_oldest_for_want_of_room(monkeypatch):
    w = World(1, 0, HOOK + "key_lifetime: PT1H\n")
    w.take({"id": 1, "total": 1})
    w.now_us += HOUR_US + 1
    w.take({"id": 2, "total": 1})
    assert w.take({"id": 1, "total": 1})["outcomes"] == ["started"] and len(w.home().trigger_keys) == 2
    monkeypatch.setattr(limits, "TRIGGER_KEYS_MAX", 2)
    w.take({"id": 3, "total": 1})
    assert set(w.home().trigger_seen[w.trigger().key]) == {"1", "3"}
    assert w.take({"id": "k" * 3_000, "total": 1})["outcomes"] == ["started"]
    assert w.take({"id": "k" * 3_000, "total": 1})["outcomes"] == ["seen"], "a long key is known by its hash"


def test_parked_items_are_bounded(monkeypatch):
    monkeypatch.setattr(limits, "TRIGGER_PARKED_MAX", 2)
    w = World(1, 0, HOOK.replace("variables: {order: =payload}", "variables: =payload.x"))
    assert w.take(*({"id": n, "total": 1} for n in range(4)))["outcomes"] == ["parked", "parked"], "the others are to be sent again"
    refused = w.take({"id": 3, "total": 1})
    assert refused.code == "RESOURCE_EXHAUSTED" and "discard" in refused.message
    assert w.take({"id": 3, "total": 0})["outcomes"] == ["filtered"]


def test_items_of_one_command_are_bounded():
    w = World(1, 0, HOOK)
    assert w.take(*({"id": n, "total": 1} for n in range(limits.TRIGGER_ITEMS_MAX)))["outcomes"] == ["started"] * limits.TRIGGER_ITEMS_MAX
    assert w.take(*({"id": n, "total": 1} for n in range(limits.TRIGGER_ITEMS_MAX + 1))).code == "INVALID_ARGUMENT"
    assert w.take().code == "INVALID_ARGUMENT"


def test_triggers_of_one_tenant_are_not_there_for_another():
    w = World(1)
    w.ask(0, c.Deploy(resources=[c.Resource("p.bpmn", bpmn(WORK)), c.Resource("t.trigger.yaml", HOOK)]), tenant="a")
    for foreign in (
        tr.ControlTrigger(name="orders", move="pause"), tr.ClaimTrigger(name="orders", node="n"), tr.SettleParked(name="orders", letters=[1], move="discard"),
    ):  # fmt: skip
        assert w.to(foreign).code == w.to(foreign, tenant="b").code == "NOT_FOUND"
    assert w.take({"id": 1, "total": 1}).code == "NOT_FOUND"
    item = tr.TriggerItem(context={"payload": {"id": 1, "total": 1}})
    assert w.to(tr.TakeItems(name="orders", items=[item]), tenant="a")["outcomes"] == ["started"]
    (i,) = w.parts[0].instances.values()
    assert i.tenant == "a"
    listed = tr.ListTriggers(sources=["webhook"])
    assert not w.ask(0, listed)["items"] and not w.ask(0, listed, tenant="b")["items"]
    assert [r["config"]["path"] for r in w.ask(0, listed, rights=[ANY_TENANT])["items"]] == ["orders"]


# --- readers ----------------------------------------------------------------------------------------------------------------


def test_a_source_has_one_reader_and_another_takes_over_where_it_was():
    w = World(
        2, 0, HOOK.replace("{webhook: {path: orders, authentication: {type: none}}}", "{queue: {}}").replace("key: =payload.id\n", "")
    )
    assert w.take({"id": 0, "total": 1}, reader=0).code == "STALE", "nobody has it yet"
    first = read_by(w)
    assert first["reader"] == 1 and read_by(w, node="n2").code == "UNAVAILABLE"
    items = [tr.TriggerItem(context={"payload": {"id": n, "total": 1}}, place=n) for n in range(4)]
    assert w.take(*items[:3], reader=1, part="q/0")["place"] == 2
    w.now_us += 31_000_000
    second = read_by(w, node="n2")
    assert (second["reader"], second["places"]) == (2, {"q/0": 2})
    assert w.take(*items, reader=1, part="q/0").code == "STALE", "who slept meanwhile"
    assert read_by(w, reader=1).code == "STALE"
    assert w.take(*items, reader=2, part="q/0")["outcomes"] == ["seen"] * 3 + ["started"]
    assert w.take(*items[:1], reader=2, part="q/1")["outcomes"] == ["started"], "each part has its own place"
    read_by(w, node="n2", reader=2, error="it is away", lag=7)
    assert [(e.error, e.lag) for e in w.events(tr.TriggerNoted)] == [("it is away", 7)]
    read_by(w, node="n2", reader=2, ttl_ms=0)
    assert read_by(w, node="n3")["reader"] == 3, "given back: nobody waits for its end"
    assert read_by(w, reader=3, ttl_ms=600_001).code == "INVALID_ARGUMENT" and "reader" in read_by(w, reader=3, ttl_ms=600_000)
    w.deploy(HOOK.replace("{webhook: {path: orders, authentication: {type: none}}}", "{queue: {}}"))
    assert w.trigger().places == {"q/0": 3, "q/1": 0} and w.trigger().reader == 3


# --- schedules --------------------------------------------------------------------------------------------------------------


@pytest.mark.req("WOS-TRG-002", "D-TRG-001")
def test_a_schedule_starts_at_its_times():
    w = World(2, 0, schedule(cron="0 2 * * *", zone="Europe/Berlin"))
    w.until("2026-01-03T12:00:00+00:00")
    assert [v["at"] for v in w.started()] == [f"2026-01-0{n}T02:00:00+01:00" for n in (1, 2, 3)]
    assert w.trigger("nightly").places == {"": us("2026-01-03T02:00:00+01:00")}
    assert [e.nominal_us for e in w.events(tr.TriggerRan)] == [us(f"2026-01-0{n}T01:00:00+00:00") for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ({"catch_up": "none"}, []),
        ({"catch_up": "last"}, ["2026-01-03T12:00"]),
        ({}, ["2026-01-03T12:00"]),
        ({"catch_up": "last", "within": "PT30M"}, []),
        ({"catch_up": "all", "most": 3}, ["2026-01-03T10:00", "2026-01-03T11:00", "2026-01-03T12:00"]),
        ({"catch_up": "all", "within": "PT2H"}, ["2026-01-03T11:00", "2026-01-03T12:00"]),
        ({"catch_up": "all"}, None),
    ],
)
def test_what_is_made_up_for_after_three_days(catch_up, expected):
    w = World(1, 0, schedule(cron="0 * * * *", zone="UTC", **catch_up))
    w.now_us = us("2026-01-03T12:45:00+00:00")
    (timer,) = w.parts[0].timers
    w.step(0, c.Request(command=c.FireTimers(timers=[timer])))
    found = [v["at"][:16] for v in w.started()]
    assert found == expected if expected is not None else len(found) == 60
    taken = w.events(tr.TriggerTaken)[-1]
    assert bool(taken.skipped_us) == (expected is not None), "what nobody makes up for is told"
    (timer,) = w.parts[0].timers.values()
    assert timer.due_us == us("2026-01-03T13:00:00+00:00")


@pytest.mark.parametrize(
    ("cron", "since", "until", "expected"),
    [
        ("30 2 * * *", "2026-03-28T12:00:00+01:00", "2026-03-30T00:00:00+02:00", ["2026-03-29T03:30:00+02:00"]),
        ("30 2 * * *", "2026-10-24T12:00:00+02:00", "2026-10-26T00:00:00+01:00", ["2026-10-25T02:30:00+02:00"]),
        ("*/30 * * * *", "2026-10-25T01:45:00+02:00", "2026-10-25T03:10:00+01:00", TWICE),
    ],
)  # fmt: skip
def test_clocks_go_forward_and_back(cron, since, until, expected):
    w = World(1, now=since)
    w.deploy(schedule(cron=cron, zone="Europe/Berlin"))
    w.until(until)
    assert [v["at"] for v in w.started()] == expected


def test_intervals_keep_their_times_over_versions_and_dates_can_be_left_out():
    w = World(1, 0, schedule(every="PT6H", starting="2025-12-31T01:00:00Z", **{"except": ["2026-01-02"]}))
    w.until("2026-01-01T08:00:00+00:00")
    w.deploy(schedule(every="PT6H", starting="2025-12-31T01:00:00Z", catch_up="all", **{"except": ["2026-01-02"]}))
    w.until("2026-01-03T02:00:00+00:00")
    assert [v["at"][:13] for v in w.started()] == ["2026-01-01T01", "2026-01-01T07", "2026-01-01T13", "2026-01-01T19", "2026-01-03T01"]


def test_a_schedule_that_is_paused_makes_up_by_its_policy():
    w = World(1, 0, schedule(cron="0 * * * *", zone="UTC", catch_up="all", most=2))
    w.until("2026-01-01T02:30:00+00:00")
    w.to(tr.ControlTrigger(name="nightly", move="pause"))
    w.until("2026-01-01T09:30:00+00:00")
    assert len(w.started()) == 2 and not w.parts[0].timers
    w.deploy(schedule(cron="0 * * * *", zone="UTC", catch_up="all", most=2) + "description: changed\n")
    assert not w.parts[0].timers, "a new version doesn't wake it"
    w.to(tr.ControlTrigger(name="nightly", move="resume"))
    w.until("2026-01-01T10:30:00+00:00")
    assert [v["at"][11:13] for v in w.started()] == ["01", "02", "08", "09", "10"]


def test_a_schedule_that_never_comes_again_rests():
    w = World(1, 0, schedule(cron="0 0 1 1 * 2026 ".replace("0 0 1 1 *", "0 0 12 1 1 ?"), zone="UTC"))
    w.until("2026-01-02T00:00:00+00:00")
    assert len(w.started()) == 1 and not w.parts[0].timers
    assert w.take({"id": 1}, name="nightly").code == "INVALID_STATE"


# --- crashes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_an_owner_may_die_at_each_step(seed):
    """Items come again until they are answered, in commands of any size; versions, pauses and times come between. Each does what it does once."""
    rng = random.Random(seed)
    text = HOOK.replace(
        "start: {process: p, business_key: =payload.id, variables: {order: =payload}}",
        "message: {name: paid, correlation_key: =string(payload.id), ttl: PT1H, variables: =payload}",
    )
    w = World(3, seed, HOOK, text.replace("orders", "paid"), schedule(every="PT1M", catch_up="all"), crashes=0.4)
    waiting = {name: list(range(30)) for name in ("orders", "paid")}
    while any(waiting.values()):
        name = rng.choice([n for n, left in waiting.items() if left])
        some = waiting[name][: rng.randint(1, 6)]
        again = [rng.randrange(30) for _ in range(rng.randint(0, 2)) if 30 - len(waiting[name])]
        again = [n for n in again if n not in waiting[name]]
        answer = w.take(*({"id": n, "total": 1} for n in (*some, *again)), name=name)
        if isinstance(answer, Rejected):
            assert answer.code == "INVALID_STATE"
            w.to(tr.ControlTrigger(name=name, move="resume"))
            continue
        if rng.random() < 0.7:  # else the answer was lost
            waiting[name] = waiting[name][min(len(some), len(answer["outcomes"])) :]
        if rng.random() < 0.2:
            w.deploy(HOOK + f"description: '{rng.random()}'\n")
        if rng.random() < 0.2:
            w.to(tr.ControlTrigger(name=name, move="pause"))
        w.settle()
    w.until("2026-01-01T00:10:30+00:00")
    w.settle()
    started = w.started()
    assert sorted(v["order"]["id"] for v in started if "order" in v) == list(range(30))
    assert sorted(v["at"][14:16] for v in started if "at" in v) == [f"{n:02}" for n in range(1, 11)]
    assert sorted(e.variables["id"] for e in w.events(wa.MessageReceived)) == list(range(30))


def test_ten_thousand_schedules_are_due_in_the_same_second():
    """Few of them here; `LONG_TRIGGERS` says how many."""
    import os

    count = int(os.environ.get("LONG_TRIGGERS", "300"))
    w = World(2)
    for at in range(0, count, 500):
        files = [c.Resource(f"{n}.trigger.yaml", schedule(f"n{n}", cron="0 3 * * *", zone="UTC")) for n in range(at, min(count, at + 500))]
        w.ask(0, c.Deploy(resources=files))
        w.settle()
    w.now_us = us("2026-01-01T03:00:00+00:00")
    for k, p in enumerate(w.parts):
        keys = sorted(p.timers)
        for at in range(0, len(keys), 100):
            w.step(k, c.Request(command=c.FireTimers(timers=keys[at : at + 100])))
    assert len(w.started()) == count == len({e.name for e in w.events(tr.TriggerRan)})
