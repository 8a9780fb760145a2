"""Webhooks at their home: records, one sender, what becomes of each event, dead letters, redelivery, limits; whoever takes over at whatever step."""

import random

import pytest
from test_batches import World as Batches

from flowledger.events import commands as c
from flowledger.events import webhooks as wh
from flowledger.events import wire
from flowledger.events.base import Rejected
from flowledger.kernel import limits
from flowledger.kernel.access import ANY_TENANT
from flowledger.kernel.webhooks import record
from flowledger.kernel.webhooks.schedule import ATTEMPTS_MAX, PAUSES_S, due_us

GOOD = {"name": "orders", "url": "https://example.org/in", "secrets": ["HOOK"]}
HOUR_US = 3_600_000_000


class World(Batches):
    """As that of batches, with webhooks."""

    def home(self, name="orders"):
        return self.parts[c.partition_of_text(name, len(self.parts))]

    def to(self, command, **more):
        return self.ask(c.partition_of_text(command.name, len(self.parts)), command, **more)

    def put(self, tenant="", **fields):
        return self.to(wh.PutWebhook(**{**GOOD, **fields}), tenant=tenant)

    def webhook(self, name="orders", tenant=""):
        p = self.home(name)
        return p.webhooks[p.webhook_names[tenant, name]]

    def claim(self, name="orders", node="n1", **more):
        return self.to(wh.ClaimWebhook(name=name, node=node, **more))

    def report(self, *attempts, sender=1, name="orders", **more):
        return self.to(wh.ReportWebhook(name=name, sender=sender, attempts=[wh.Attempt(**a) for a in attempts], **more))

    def settle_(self, move="redeliver", name="orders", **more):
        return self.to(wh.SettleDelivery(name=name, move=move, **more))

    def events(self, kind):
        return [e for log in self.log for e, _ in log if isinstance(e, kind)]

    def fail_for_ever(self, at):
        for n in range(1, ATTEMPTS_MAX + 1):
            answer = self.report({"at": at, "outcome": "failed", "attempt": n, "code": "500", "status": 500})
        return answer


# --- the record -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "a/b", "name"), ("name", "", "name"), ("name", "n" * 201, "name"),
        ("url", "ftp://x", "http"), ("url", "https://", "host"), ("url", "https://u:p@x", "user"), ("url", "https://x/#a", "fragment"),
        ("url", "https://x y", "blanks"), ("url", "https://x/" + "a" * 2_048, "2048"), ("url", "https://x:99999", "URL"),
        ("types", ["workflow.finished"], "workflow.finished"), ("types", ["webhook.progressed"], "webhook.progressed"),
        ("types", ["operation.*"], "operation"), ("types", ["task.created"] * 101, "100"),
        ("definitions", [""], "definitions"), ("filter", "= 1 +", "filter"), ("filter", "a" * 2_049, "filter"),
        ("secrets", [], "secrets"), ("secrets", ["{{secrets.A}}"], "secrets"), ("secrets", ["A"] * 6, "5"),
        ("order", "time", "order"), ("cursors", {"9": 0}, "cursors"), ("cursors", {"0": -1}, "cursors"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_record_is_said(field, value, words):
    w = World(2)
    refused = w.put(**{field: value})
    assert refused.code == "INVALID_ARGUMENT" and words in refused.message
    assert not any(p.webhooks for p in w.parts)


def test_types_are_those_of_the_catalogue_but_for_the_ledgers_own():
    assert record.of_types(["workflow.*", "task_created"]) == {t for t in record.TYPES if t.startswith("workflow.")} | {"task.created"}
    assert record.of_types([]) == record.TYPES
    hidden = set(wire.CURRENT) - record.TYPES
    assert {"webhook.progressed", "operation.asked", "record.stored", "partition.claimed", "ledger.head_signed", "alert.claimed"} <= hidden
    assert all(name.split(".")[0] in ("webhook", "operation", "record", "partition", "ledger") for name in hidden - {"alert.claimed"})


def test_a_webhook_is_put_changed_paused_and_deleted():
    w = World(2)
    made = w.put(cursors={"0": 7})
    assert made["created"] and made["changed"] and w.webhook().cursors == {"0": 7, "1": 0}
    assert w.put() == {**made, "created": False, "changed": False}, "nothing is written where nothing changes"
    assert w.put(types=["task.*"], order="instance")["changed"] and w.webhook().cursors == {"0": 7, "1": 0}, "its place stays"
    assert w.to(wh.ControlWebhook(name="orders", move="pause"))["status"] == "paused"
    assert w.claim().code == "INVALID_STATE" and w.to(wh.TestWebhook(name="orders")).code == "INVALID_STATE"
    assert w.to(wh.ControlWebhook(name="orders", move="pause")).code == "INVALID_STATE"
    assert w.to(wh.ControlWebhook(name="orders", move="resume"))["status"] == "active"
    assert w.to(wh.ControlWebhook(name="orders", move="stop")).code == "INVALID_ARGUMENT"
    assert w.to(wh.DeleteWebhook(name="orders"))["key"] == made["key"]
    assert w.to(wh.DeleteWebhook(name="orders")).code == w.claim().code == "NOT_FOUND"
    assert not w.home().webhooks and not w.home().webhook_names
    assert w.put()["key"] != made["key"], "another one"


def test_webhooks_of_one_tenant_are_not_there_for_another():
    w = World(1)
    w.put(tenant="a")
    for foreign in (
        wh.DeleteWebhook(name="orders"), wh.ControlWebhook(name="orders", move="pause"), wh.ClaimWebhook(name="orders", node="n"),
        wh.ReportWebhook(name="orders", sender=0), wh.SettleDelivery(name="orders", move="redeliver", dead=True), wh.TestWebhook(name="orders"),
    ):  # fmt: skip
        assert w.to(foreign).code == w.to(foreign, tenant="b").code == "NOT_FOUND"
    assert w.put(tenant="b")["created"], "names are each tenant's own"
    assert [r["tenant"] for r in w.ask(0, wh.ListWebhooks(), tenant="b")["items"]] == ["b"]
    assert [r["tenant"] for r in w.ask(0, wh.ListWebhooks(), rights=[ANY_TENANT])["items"]] == ["a", "b"]
    assert [r["tenant"] for r in w.ask(0, wh.ListWebhooks(after=["a", "orders"]), rights=[ANY_TENANT])["items"]] == ["b"]


def test_webhooks_of_a_partition_are_bounded(monkeypatch):
    monkeypatch.setattr(limits, "WEBHOOKS_MAX", 2)
    w = World(1)
    assert all(w.put(name=n)["created"] for n in "ab")
    assert w.put(name="c").code == "RESOURCE_EXHAUSTED" and not w.put(name="b")["created"]


# --- its sender -------------------------------------------------------------------------------------------------------------


def test_one_sends_and_another_takes_over_where_it_was():
    w = World(2)
    w.put(cursors={"0": 5, "1": 5})
    assert w.report(sender=1).code == "STALE", "nobody has it yet"
    first = w.claim()
    assert first["sender"] == 1 and first["secrets"] == ["HOOK"] and w.claim(node="n2").code == "UNAVAILABLE"
    w.report(
        {"at": "0-6", "outcome": "delivered", "attempt": 1},
        {"at": "0-5", "outcome": "failed", "attempt": 1, "code": "500"},
        cursors={"0": 7, "1": 9},
    )
    assert w.claim(sender=1)["sender"] == 1, "it goes on"
    w.now_us += 31_000_000
    second = w.claim(node="n2")
    assert (second["sender"], second["cursors"], [i["at"] for i in second["waiting"]]) == (2, {"0": 7, "1": 9}, ["0-5"])
    assert w.report({"at": "0-7", "outcome": "delivered", "attempt": 1}, sender=1).code == "STALE", "who slept meanwhile"
    assert w.claim(sender=1).code == "STALE"
    w.report(sender=2, cursors={"0": 6, "2": 1})
    assert w.webhook().cursors == {"0": 7, "1": 9}, "cursors don't go back, and partitions don't come to be"
    w.claim(node="n2", sender=2, error="no secret")
    w.claim(node="n2", sender=2, error="no secret")
    assert [e.error for e in w.events(wh.WebhookNoted)] == ["no secret"]
    w.claim(node="n2", sender=2, ttl_ms=0)
    assert w.claim(node="n3")["sender"] == 3, "given back: nobody waits for its end"
    assert w.claim(sender=3, ttl_ms=600_001).code == "INVALID_ARGUMENT"


@pytest.mark.req("APG-EVT-003")
def test_what_isnt_taken_is_sent_again_over_days_and_then_is_a_dead_letter():
    w = World(1)
    w.put()
    w.claim()
    told = 0
    for n, pause_s in enumerate(PAUSES_S, 1):
        answer = w.report({"at": "0-9", "outcome": "failed", "attempt": n, "code": "TIMEOUT", "instance": 4, "type": "task.created"})
        wait = answer["due"]["0-9"] - w.now_us
        assert pause_s * 1_000_000 <= wait <= pause_s * 1_100_001
        told += wait
    assert told > 3 * 24 * HOUR_US, "over days"
    again = w.report({"at": "0-9", "outcome": "failed", "attempt": 3, "code": "TIMEOUT"})
    assert again["due"] == answer["due"], "what was reported before changes nothing"
    assert w.report({"at": "0-9", "outcome": "failed", "attempt": ATTEMPTS_MAX, "code": "TIMEOUT"})["dead"] == 1
    assert not w.webhook().waiting and w.webhook().dead["0-9"].attempt == ATTEMPTS_MAX and w.webhook().count == ATTEMPTS_MAX
    assert w.report({"at": "0-9", "outcome": "failed", "attempt": 1, "code": "TIMEOUT"})["due"] == {}, "and it is only one"


def test_a_receiver_says_when_to_come_again():
    assert due_us(1, "0-1", 1, 0, after_ms=60_000) == 60_000_000
    assert due_us(1, "0-1", 1, 0, after_ms=10**12) == 86_400_000_000, "a day at most"
    assert due_us(1, "0-1", 2, 0, after_ms=1_000) >= PAUSES_S[1] * 1_000_000
    assert due_us(1, "0-1", ATTEMPTS_MAX, 0) == 0 and due_us(1, "0-1", 3, 0) != due_us(1, "0-2", 3, 0)


def test_a_receiver_that_is_gone_is_told_nothing_more():
    w = World(1)
    w.put()
    w.claim()
    answer = w.report({"at": "0-1", "outcome": "gone", "attempt": 1, "code": "410", "status": 410})
    assert answer["status"] == "disabled" and "0-1" in w.webhook().waiting, "and nothing is lost"
    assert w.claim(sender=1).code == "INVALID_STATE"
    assert w.report({"at": "0-2", "outcome": "delivered", "attempt": 1})["status"] == "disabled", "what was under way is told"
    assert [e.by for e in w.events(wh.WebhookPaused)] == ["gone"]
    assert w.to(wh.ControlWebhook(name="orders", move="resume"))["status"] == "active"


def test_dead_letters_are_bounded_and_none_is_lost_for_it(monkeypatch):
    monkeypatch.setattr(limits, "WEBHOOK_DEAD_MAX", 2)
    w = World(1)
    w.put()
    w.claim()
    for k in range(2):
        assert w.fail_for_ever(f"0-{k}")["status"] == "active"
    assert w.fail_for_ever("0-2")["status"] == "full" and w.webhook().waiting["0-2"].attempt == ATTEMPTS_MAX
    assert w.to(wh.ControlWebhook(name="orders", move="resume")).code == "RESOURCE_EXHAUSTED"
    assert w.settle_("discard", ids=["0-1", "0-7"])["outcomes"] == {"0-1": "discarded", "0-7": "not_found"}
    assert w.settle_("discard", ids=["0-1"]).code == "NOT_FOUND"
    assert w.to(wh.ControlWebhook(name="orders", move="resume"))["status"] == "active"


# --- asked for --------------------------------------------------------------------------------------------------------------


@pytest.mark.req("APG-EVT-003")
def test_events_are_sent_again_by_hand_in_bulk_and_from_a_place(monkeypatch):
    w = World(2)
    w.put(cursors={"0": 50, "1": 50})
    w.claim()
    for k in range(3):
        w.fail_for_ever(f"0-{k}")
    assert w.settle_(ids=["0-0", "1-33"])["outcomes"] == {"0-0": "redelivered", "1-33": "redelivered"}
    item = w.webhook().waiting["0-0"]
    assert (item.attempt, item.due_us, item.asked) == (0, 0, True) and set(w.webhook().dead) == {"0-1", "0-2"}
    assert w.settle_(dead=True)["count"] == 2 and not w.webhook().dead
    assert "0-0" in w.report({"at": "0-0", "outcome": "failed", "attempt": 1, "code": "500"})["due"], "from the first attempt on"
    for wrong in ({"ids": ["x"]}, {"ids": ["7-1"]}, {}, {"cursors": {"9": 1}}):
        assert w.settle_(**wrong).code == "INVALID_ARGUMENT"
    assert w.settle_("discard", cursors={"0": 1}).code == w.settle_("burn", ids=["0-1"]).code == "INVALID_ARGUMENT"
    w.settle_(cursors={"0": 10, "1": 90})
    assert w.webhook().cursors == {"0": 10, "1": 50} and w.webhook().rewinds == 1
    w.report(cursors={"0": 60}, rewinds=0)
    assert w.webhook().cursors["0"] == 10, "who has not heard of it doesn't undo it"
    w.report(cursors={"0": 60}, rewinds=1)
    assert w.webhook().cursors["0"] == 60
    monkeypatch.setattr(limits, "WEBHOOK_WAITING_MAX", 5)
    assert w.settle_(ids=["0-40", "0-41"])["outcomes"] == {"0-40": "redelivered", "0-41": "no_room"}
    assert w.settle_(ids=["0-42"]).code == w.to(wh.TestWebhook(name="orders")).code == "RESOURCE_EXHAUSTED"
    assert w.settle_(ids=["0-0"])["outcomes"] == {"0-0": "redelivered"}, "what waits already needs no room"
    assert w.settle_(ids=["0-1"] * 6).code == "INVALID_ARGUMENT"


def test_a_test_is_sent_once():
    w = World(1)
    w.put()
    w.claim()
    at = w.to(wh.TestWebhook(name="orders"))["event"]
    assert w.webhook().waiting[at].asked and w.to(wh.TestWebhook(name="orders"))["event"] != at
    w.report({"at": at, "outcome": "failed", "attempt": 1, "code": "500"})
    assert at not in w.webhook().waiting and not w.webhook().dead


def test_what_waits_for_its_instance_is_no_attempt():
    w = World(1)
    w.put(order="instance")
    w.claim()
    w.report(
        {"at": "0-1", "outcome": "failed", "attempt": 1, "instance": 4}, {"at": "0-2", "outcome": "behind", "instance": 4}, cursors={"0": 3}
    )
    waiting = w.webhook().waiting
    assert (waiting["0-2"].attempt, waiting["0-2"].due_us, waiting["0-2"].instance, w.webhook().count) == (0, 0, 4, 1)
    w.report({"at": "0-2", "outcome": "behind", "instance": 4})
    assert len(w.events(wh.WebhookProgressed)) == 1, "said again it is nothing new"


def test_a_report_is_bounded():
    w = World(1)
    w.put()
    w.claim()
    many = [{"at": f"0-{n}", "outcome": "delivered", "attempt": 1} for n in range(wh.REPORT_MAX + 1)]
    assert w.report(*many).code == "INVALID_ARGUMENT" and w.report(*many[1:])["room"] == limits.WEBHOOK_WAITING_MAX
    for wrong in ({"at": "zero", "outcome": "delivered"}, {"at": "0-1", "outcome": "lost"}):
        assert w.report(wrong).code == "INVALID_ARGUMENT"


# --- whatever happens -------------------------------------------------------------------------------------------------------


@pytest.mark.req("APG-EVT-003")
@pytest.mark.parametrize("seed", range(40))
def test_none_is_lost_whoever_takes_over(seed):
    """A model of senders that die at any step, over a home that is taken over at any step: in the end each event was taken, or is a dead letter."""
    rng = random.Random(seed)
    w = World(3, seed, crashes=0.1)
    total = 40
    w.put(order=rng.choice(["", "instance"]))
    taken: dict[str, int] = {}
    poison = {f"{p}-{n}" for p in range(3) for n in range(total) if rng.random() < 0.05}
    for _ in range(400):
        have = w.claim(node=f"n{rng.random()}")
        if isinstance(have, Rejected):
            assert have.code == "UNAVAILABLE"
            w.now_us += 31_000_000
            continue
        cursors, rewinds, sender = have["cursors"], have["rewinds"], have["sender"]
        waiting = {i["at"]: i for i in have["waiting"]}
        for _ in range(rng.randrange(8)):
            attempts, moved = [], dict(cursors)
            part = str(rng.randrange(3))
            for n in range(cursors[part], min(total, cursors[part] + rng.randrange(6))):
                moved[part] = n + 1
                if f"{part}-{n}" not in waiting:
                    attempts.append((f"{part}-{n}", 1))
            attempts += [(at, i["attempt"] + 1) for at, i in waiting.items() if i["due_us"] <= w.now_us][:5]
            told = []
            for at, n in attempts:
                good = at not in poison and rng.random() < 0.7
                if good:
                    taken[at] = taken.get(at, 0) + 1
                told.append({"at": at, "outcome": "delivered" if good else "failed", "attempt": n, "code": "" if good else "500"})
            if rng.random() < 0.2:
                break  # it dies before it can say so
            answer = w.report(*told, sender=sender, cursors=moved, rewinds=rewinds)
            assert isinstance(answer, dict), answer
            cursors = moved
            for a in told:
                if a["at"] in answer["due"]:
                    waiting[a["at"]] = {"attempt": a["attempt"], "due_us": answer["due"][a["at"]]}
                else:
                    waiting.pop(a["at"], None)
            w.now_us += rng.choice([1, HOUR_US, 30 * HOUR_US])
            if w.webhook().until_us < w.now_us:
                break
        w.now_us += 31_000_000
        if all(n >= total for n in w.webhook().cursors.values()) and not w.webhook().waiting:
            break
    hook = w.webhook()
    assert not hook.waiting and set(hook.cursors.values()) == {total}
    everything = {f"{p}-{n}" for p in range(3) for n in range(total)}
    assert set(taken) | set(hook.dead) == everything and poison <= set(hook.dead)
