"""What is put off, one rule at a time: its order, whose turn it is, what becomes of what is refused, breaks or can't be read, what is forged, how much
it may be, whose it is, and what is said of it. Crashes: `test_put_off.py`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from notation import bpmn
from test_put_off import CHILDREN, FILES, MANY, One, Seen, little

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events.base import Broken, Rejected
from flowledger.events.control import RepairFinding
from flowledger.kernel import Facts, Partition, decide, evolve, limits, putoff, record_broken
from flowledger.kernel import checkpoint as images
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import HANDLERS
from flowledger.kernel.library import Library
from flowledger.processors import machine as machines
from flowledger.processors.machine import Defect, Machine
from flowledger.processors.watchdog import SEND_US

__all__ = ["little"]
ITEMS = int(os.environ.get("PUT_OFF_ITEMS", "1500"))


class Pure:
    """One partition without a log. `do` decides, `turn` decides what was put off."""

    def __init__(self, *files: c.Resource) -> None:
        self.p, self.library, self.folded = Partition(0, 1), Library(), Partition(0, 1)
        self.now_us = 1_767_225_600_000_000
        self.do(c.Deploy(resources=list(files or FILES)))

    def facts(self, **more: Any) -> Facts:
        return Facts(self.now_us, self.library.processes(self.p), self.library.decisions(self.p), self.library.read, **more)

    def made(self, request: c.Request) -> Decision | Rejected:
        self.now_us += 1_000
        made = decide(self.p, request, self.facts())
        if isinstance(made, Broken):
            made = record_broken(self.p, request, self.facts(), made)
        if isinstance(made, Decision):
            for event, envelope in zip(made.events, made.envelopes, strict=True):
                evolve(self.folded, event, envelope)
            assert images.fingerprint(self.folded) == images.fingerprint(self.p)
        return made

    def do(self, command: c.AnyCommand, **more: Any) -> Decision:
        made = self.made(c.Request(command=command, **more))  # type: ignore[arg-type]
        assert isinstance(made, Decision), made
        return made

    def turn(self) -> Decision:
        request = putoff.request(self.p)
        assert request is not None
        made = self.made(request)
        assert isinstance(made, Decision)
        return made

    def drain(self) -> None:
        for _ in range(10_000):
            if putoff.waiting(self.p):
                self.turn()
            elif self.p.unsettled:
                self.do(c.Continue(key=next(iter(self.p.unsettled))))
            else:
                return
        raise AssertionError("no rest")


def outbound(d: Decision) -> list[c.Request]:
    return [msgspec.json.decode(e.command, type=c.Request) for e in d.events if isinstance(e, le.Outbound)]


# --- order and turns ----------------------------------------------------------------------------------------------------------


def test_what_is_sent_later_waits_behind_what_was_put_off(monkeypatch):
    """A child whose subscription was put off is withdrawn before that is its turn: what ends the subscription comes after what begins it."""
    w = Pure()
    monkeypatch.setattr(limits, "FOLLOW_UPS_MAX", 0)
    w.do(c.StartInstance(id="p", variables={"order": "o"}))
    assert len(outbound(w.turn())) == 2, "it has begun, and waits for a message"
    monkeypatch.undo()
    [child] = [i for i in w.p.instances.values() if i.process == "q"]
    [waits] = [k for k, s in w.p.subscriptions.items() if s.kind == "message" and s.instance == child.key]
    later = w.do(c.CancelInstance(key=child.key, force=True))
    assert any(isinstance(r.command, c.UnawaitMessage) for r in outbound(later)), "it is put off, though there is room"
    w.drain()
    assert waits not in w.p.awaited and len(w.p.awaited) == CHILDREN - 1


def test_nothing_waits_once_all_is_done_and_what_is_sent_is_done_at_once():
    w = Pure()
    made = w.do(c.StartInstance(id="p", variables={"order": "o"}))
    assert not outbound(made) and not made.later and len(w.p.awaited) == CHILDREN
    assert w.p.meta.sent == w.p.meta.taken == {}


@pytest.mark.parametrize("many", [False, True])
def test_while_something_waits_others_have_their_turns(little, monkeypatch, many):
    """One in eight, when more than a bound wait one in 512 (here: 4 and 6); from where nothing waits, all of them."""
    every = 6 if many else 4
    monkeypatch.setattr(machines, "PUT_OFF_TURNS", 4)
    monkeypatch.setattr(machines, "PUT_OFF_TURNS_MANY", 6)
    monkeypatch.setattr(machines, "PUT_OFF_MANY", 1 if many else 1_000)
    one = One(batch_max=1)
    waiting = _signalled(one)
    one.seat.machine.inbox.clear()
    one.seat.machine._turns = 0
    for _ in range(200):
        one.seat.machine.offer(c.Request(command=c.CreateTask(job_type="w")), lambda a: None)
    taken: list[bool] = []
    while one.state.meta.taken[0] < waiting - many:  # in the end it is not many any more
        before = one.state.meta.taken.get(0, 0)
        one.step()
        taken.append(one.state.meta.taken.get(0, 0) > before)
    assert len(taken) > 3 * every and [n for n, own in enumerate(taken) if not own] == list(range(every - 1, len(taken), every))


def _signalled(one: One) -> int:
    """Each of many children has a send that waits; the number of the last."""
    one.ask("deploy", c.Deploy(resources=FILES))
    for n in range(3):
        one.ask(f"start{n}", c.StartInstance(id="p", variables={"order": f"o{n}"}))
    one.seat.machine.offer(c.Request(command=c.BroadcastSignal(name="S")), lambda a: None)
    facts = one.seat.machine.facts
    with pytest.MonkeyPatch.context() as much:  # all of them take the signal, and then there is no step left
        for thing, name, budget in ((limits, "EVENTS_MAX", 10_000), (limits, "FOLLOW_UPS_MAX", 0), (facts, "steps_max", 0)):
            much.setattr(thing, name, budget)
        one.step()
    assert one.seat.machine._own == 3 * CHILDREN
    return one.state.meta.sent[0]


def test_what_waits_counts_among_what_waits(little):
    for most in (3 * CHILDREN, 10_000):
        one = One(inbox_max=most)
        _signalled(one)
        one.seat.machine.inbox.clear()
        answers: list[Any] = []
        one.seat.machine.offer(c.Request(command=c.CreateTask(job_type="w")), answers.append)
        one.seat.pump()
        assert [a.code for a in answers] == (["RESOURCE_EXHAUSTED"] if most == 3 * CHILDREN else [])


# --- what goes wrong ----------------------------------------------------------------------------------------------------------

#: a process that starts by a message only: nobody can call it
REFUSES = "process q {\nstartEvent qs : message X\nendEvent qe\nqs > qe\n}"


@pytest.mark.parametrize("dies", [False, True])
def test_what_is_refused_when_its_turn_comes_is_an_incident_of_who_sent_it(little, dies):
    one = One()
    one.ask("deploy", c.Deploy(resources=[c.Resource("p.bpmn", bpmn(MANY)), c.Resource("q.bpmn", bpmn(REFUSES))]))
    one.ask("start", c.StartInstance(id="p", variables={"order": "o"})) if not dies else None
    for _ in range(200 if dies else 0):
        one.seat.machine.offer(c.Request(command=c.StartInstance(id="p"), id="start"), lambda a: None)
        one.step()
        one.die()
        if len(one.state.incidents) == CHILDREN:
            break
    for _ in range(50):
        one.step()
    [i] = one.state.instances.values()
    found = list(one.state.incidents.values())
    assert {x.code for x in found} == {"SEND_REJECTED"} and {x.instance for x in found} == {i.key}
    assert {x.token for x in found} == {t.key for t in i.tokens.values() if t.index} and len(found) == CHILDREN
    assert all("INVALID_STATE" in x.message for x in found) and not one.state.outbox
    assert Seen(one.world, 0).refused > 0


def test_what_breaks_when_its_turn_comes_holds_its_own_instance_and_the_rest_goes_on(little, monkeypatch):
    w = Pure()
    real = HANDLERS[c.AwaitMessage]

    def broken(d: Any, e: Any) -> Any:
        done = real(d, e)
        if e.correlation == "o3":
            raise RuntimeError("a defect")
        return done

    monkeypatch.setitem(HANDLERS, c.AwaitMessage, broken)
    w.do(c.StartInstance(id="p", variables={"order": "o"}))
    w.drain()
    held = [i for i in w.p.instances.values() if i.status == "quarantined"]
    assert [i.vars["item"] for i in held] == [3] and len(w.p.awaited) == CHILDREN - 1 and not w.p.outbox


def _one_waits(one: One) -> int:
    """A start whose send waits; its number."""
    one.ask("deploy", c.Deploy(resources=FILES))
    one.seat.machine.offer(c.Request(command=c.StartInstance(id="p", variables={"order": "o"})), lambda a: None)
    one.step()
    assert one.seat.machine._own > 0
    return one.state.meta.taken.get(0, 0) + 1


def test_what_can_not_be_read_any_more_is_taken_and_whoever_sent_it_hears_of_it(little):
    """As after a return to a release that doesn't know the command."""
    one = One()
    seq = _one_waits(one)
    sent = msgspec.json.decode(one.state.outbox[0, seq])
    sent["command"] = {"$": "NoSuchCommand"}
    one.state.outbox[0, seq] = msgspec.json.encode(sent)
    one.step()
    assert one.state.meta.taken[0] >= seq and not one.state.letters
    [x] = one.state.incidents.values()
    assert (x.code, x.instance, x.token) == ("SEND_REJECTED", sent["instance"], sent.get("token", 0)) and "UNREADABLE" in x.message


def test_what_fails_in_the_owner_itself_is_given_up_by_the_next_one(little, monkeypatch):
    """It comes again with the state, so it must not stop every owner for ever."""
    one = One()
    seq = _one_waits(one)
    machine = one.seat.machine
    real = machine.desk.decide
    machine._careful_to = 1 << 62

    def fails(pending: Any, b: Any) -> bool:
        if pending.request.seq == seq:
            raise RuntimeError("a defect of the owner")
        return real(pending, b)

    monkeypatch.setattr(machine.desk, "decide", fails)
    machine.step(one.world.now + 1, one.world.now + 1)
    assert isinstance(machine.stopped, Defect) and machine.stopped.offset == -1 - seq
    one.seat.crash()
    one.seat.take_over()
    m = one.seat.machine
    one.seat.machine = Machine(m.claim, m.state, m.facts, m.clock, m.settings, careful=True, poison={machine.stopped.offset})
    one.step()
    [x] = one.state.incidents.values()
    assert one.state.meta.taken[0] == seq and x.code == "SEND_REJECTED" and "failed in the engine itself" in x.message


@pytest.mark.parametrize("seq", [1, 2])
def test_nobody_else_can_send_for_it(little, seq):
    """What it did not send to itself is not taken, so that no number is used up; and nobody confirms for it."""
    w = Pure()
    forged = c.Request(command=c.PublishMessage(name="D", correlation_key="x"), sender=0, seq=seq)
    found = w.made(forged)
    assert isinstance(found, Rejected) and found.code == "NOT_NEXT" and w.p.meta.taken == {}
    w.do(c.StartInstance(id="p", variables={"order": "o"}))
    before = dict(w.p.outbox)
    assert before and not w.do(c.Confirm(to=0, seq=w.p.meta.sent[0])).events and w.p.outbox == before
    w.drain()
    assert len(w.p.awaited) == CHILDREN


# --- how much, and whose ------------------------------------------------------------------------------------------------------


def test_a_decision_puts_off_no_more_bytes_than_its_budget(monkeypatch):
    """Children with large variables: the caller's tokens wait rather than that all of their sends stand on the log at once."""
    monkeypatch.setattr(limits, "BYTES_MAX", 15_000)
    monkeypatch.setattr(limits, "FOLLOW_UPS_FREE", 1)
    w = Pure()
    large = {"order": "o", "text": "x" * 10_000}
    sizes: list[int] = []
    one = w.do(c.StartInstance(id="p", variables=large))
    sizes.append(one.bytes)
    for _ in range(1_000):
        if putoff.waiting(w.p):
            sizes.append(w.turn().bytes)
        elif w.p.unsettled:
            sizes.append(w.do(c.Continue(key=next(iter(w.p.unsettled)))).bytes)
        else:
            break
    assert len(w.p.awaited) == CHILDREN and max(sizes) < CHILDREN * 10_000 * 3 // 4, sizes


@pytest.mark.parametrize(("scope", "subject"), [("tenant", "*"), ("element", "p/d")])
def test_what_follows_is_of_the_tenant_of_who_sent_it(monkeypatch, scope, subject):
    """One decision may be about several tenants (the end of a hold over all): each message is published under its thrower's, at once or put off."""
    model = 'startEvent s\nserviceTask t\n<zeebe:taskDefinition type="w"/>\nintermediateThrowEvent d : message D = order\nendEvent e\ns > t > d > e'
    for budget in (limits.FOLLOW_UPS_MAX, 0):
        monkeypatch.setattr(limits, "FOLLOW_UPS_MAX", budget)
        w = Pure(c.Resource("p.bpmn", bpmn(model)))
        tenants = ["", "a", "b", "c"]
        for tenant in tenants[1:]:
            w.do(c.Deploy(resources=[c.Resource("p.bpmn", bpmn(model))]), tenant=tenant)
        for tenant in tenants:
            w.do(c.StartInstance(id="p", variables={"order": f"of {tenant}"}), tenant=tenant)
            w.do(c.ActivateTasks(job_type="w", worker="me", max=1), tenant=tenant)
        w.do(c.SetHold(hold=c.START_HOLD, scope=scope, subject=subject, mode="suspend", reason="r"))
        for task in list(w.p.tasks.values()):
            w.do(c.CompleteTask(task=task.key), tenant=w.p.instances[task.instance].tenant)
        assert not w.p.messages
        w.do(c.ReleaseHold(key=c.START_HOLD, reason="r"), rights=None)
        w.drain()
        assert sorted((m.tenant, m.correlation) for m in w.p.messages.values()) == [(t, f"of {t}") for t in tenants]


def test_a_signal_that_is_thrown_first_is_of_its_throwers_tenant():
    model = 'startEvent s\nserviceTask t\n<zeebe:taskDefinition type="w"/>\nintermediateThrowEvent d : signal S\nendEvent e\ns > t > d > e'
    w = Pure(c.Resource("p.bpmn", bpmn(model)))
    for tenant in "ab":
        w.do(c.Deploy(resources=[c.Resource("p.bpmn", bpmn(model))]), tenant=tenant)
        w.do(c.StartInstance(id="p"), tenant=tenant)
    w.do(c.SetHold(hold=c.START_HOLD, scope="element", subject="p/d", mode="suspend", reason="r"))
    for task in list(w.p.tasks.values()):
        w.do(c.CompleteTask(task=task.key), tenant=w.p.instances[task.instance].tenant)
    made = w.do(c.ReleaseHold(key=c.START_HOLD, reason="r"))
    said = [v.tenant for e, v in zip(made.events, made.envelopes, strict=True) if type(e).__name__ == "SignalReceived"]
    assert sorted(said) == ["a", "b"]


# --- what is kept and told ------------------------------------------------------------------------------------------------------


def test_what_waits_is_part_of_a_checkpoint(little):
    w = Pure()
    w.do(c.StartInstance(id="p", variables={"order": "o"}))
    assert w.p.outbox
    live = images.fingerprint(w.p)
    assert sum(k.startswith(b"put_off:") for k in live) == len(w.p.outbox)
    at = images.decode_state(images.mark(w.p, machines.rules.START, images.Standing()), images.Mark)
    assert at.outbox == [], "not in its mark, which is one record"
    back = Partition(0, 1)
    images.restore(back, {k: v for k, v in live.items() if v is not None}, at)
    assert back.outbox == w.p.outbox and images.fingerprint(back) == live
    w.drain()
    assert not any(k.startswith(b"put_off:") for k in images.fingerprint(w.p))


def test_a_plan_says_that_it_goes_on_and_tells_nobody_of_it(little):
    w = Pure()
    w.do(c.StartInstance(id="p", variables={"order": "o"}))
    w.drain()
    [parent] = [k for k, i in w.p.instances.items() if i.process == "p"]
    before = images.fingerprint(w.p)
    made = decide(w.p, c.Request(command=c.CancelInstance(key=parent), plan=c.DRY_RUN), w.facts())
    assert isinstance(made, Decision) and made.answer["continues"] and not made.answer["told"]
    assert images.fingerprint(w.p) == before and not putoff.waiting(w.p)


def test_an_instance_whose_turn_had_come_begins_under_the_next_owner():
    one = One(instances_max=1)
    model = "startEvent s\nserviceTask t\nendEvent e\ns > t > e"
    one.ask("deploy", c.Deploy(resources=[c.Resource("p.bpmn", bpmn(model))]))
    one.seat.machine.facts.instances_max = 1
    for n in range(3):
        one.ask(f"start{n}", c.StartInstance(id="p"))
    assert len(one.state.pending) == 2
    [task] = one.state.tasks
    one.seat.machine.offer(c.Request(command=c.CompleteTask(task=task)), lambda a: None)
    one.step()
    assert not one.state.open and one.seat.machine.inbox, "its turn, which stands in the machine alone"
    one.seat.crash()
    one.seat.take_over()
    m = one.seat.machine
    m.facts.instances_max = 1
    one.seat.machine = Machine(m.claim, m.state, m.facts, m.clock, m.settings)
    one.step()
    assert one.state.open == 1 and len(one.state.pending) == 1


def test_a_number_that_is_lost_is_found_and_filled_and_the_rest_goes_on(little):
    one = One()
    seq = _one_waits(one)
    machine = one.seat.machine
    del one.state.outbox[0, seq]
    for _ in range(3):
        one.step()
    assert one.state.meta.taken.get(0, 0) == seq - 1 and not machine.hungry
    dog = machine.watchdog
    machine.facts.watch = dog
    for _ in range(20):
        one.world.now += SEND_US + 1
        machine.watch(one.world.now, one.world.now)
    assert "send_unconfirmed-0" in dog.findings and "1 of them are lost" in dog.findings["send_unconfirmed-0"].found.says
    one.ask("repair", RepairFinding(id="0-send_unconfirmed-0", reason="r"))
    for _ in range(50):
        one.step()
    assert not one.state.outbox and one.state.meta.taken[0] == one.state.meta.sent[0]


@pytest.mark.req("WOS-ENG-014")
def test_many_that_wait_for_one_signal_by_the_real_budget():
    """Each has a subscription to a message that ends with it: more than one decision may do, and its owner dies before the rest. By hand: PUT_OFF_ITEMS=12000."""
    model = "startEvent s\nserviceTask t\nboundaryEvent b on=t : signal S\nboundaryEvent m on=t : message M = string(n)\nendEvent e\ns > t > e\nb > e\nm > e"
    one = One()
    one.ask("deploy", c.Deploy(resources=[c.Resource("p.bpmn", bpmn(model))]))
    for n in range(ITEMS):
        one.seat.machine.offer(c.Request(command=c.StartInstance(id="p", variables={"n": n})), lambda a: None)
    one.ask("last", c.StartInstance(id="p", variables={"n": ITEMS}))
    assert len(one.state.awaited) == ITEMS + 1
    one.seat.machine.offer(c.Request(command=c.BroadcastSignal(name="S")), lambda a: None)
    one.step()
    assert len(one.state.outbox) > 500 and len(one.state.awaited) > 1_000
    one.die()
    for _ in range(2_000):
        if not one.seat.machine.hungry:
            break
        one.step()
    assert one.state.awaited == one.state.outbox == one.state.instances == {}
