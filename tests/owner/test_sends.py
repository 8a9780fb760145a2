"""Sends between partitions: out only when they are on the log, again until their receiver has confirmed, confirmed only when they count."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.kernel import Facts, Partition
from flowledger.kernel.handlers import HANDLERS
from flowledger.processors import effects as do
from flowledger.processors import intake
from flowledger.processors.clock import LogClock
from flowledger.processors.flight import Pending
from flowledger.processors.log import LogError
from flowledger.processors.machine import Claim, Machine
from flowledger.processors.sends import CONFIRM_US, RESEND_US, Sends

S = 1_000_000
STORE = c.StoreRecord(registry="directory", name="eve", value={"name": "Eve"}, relayed=True)


class One:
    """A machine of partition `p` of two, and its time."""

    def __init__(self, p: int) -> None:
        self.now = 1_000 * S
        state = Partition(p, 2)
        self.machine = Machine(Claim(p, 1, "me", 1, rules.Place(1, "me", end=1)), state, Facts(), LogClock(self.now, self.now))
        self.end = 1

    def step(self, later_us: int = 0) -> list[do.Effect]:
        self.now += later_us
        self.machine.step(self.now, self.now)
        return self.taken()

    def taken(self) -> list[do.Effect]:
        out, self.machine.out = self.machine.out, []
        return out

    def acknowledge(self, effects: list[do.Effect]) -> list[do.Effect]:
        for e in effects:
            if isinstance(e, do.Append):
                first, self.end = self.end, self.end + e.flight.count
                self.machine.acknowledged(e.flight, first, self.end)
        return self.taken()

    def receive(self, *requests: c.Request) -> None:
        self.machine.consumed([Pending(r, None, self.machine.source + 1 + n) for n, r in enumerate(requests)])


def sends(effects: list[do.Effect]) -> list[c.Request]:
    return [intake.decode_request(v) for e in effects if isinstance(e, do.Send) for v in e.group.values]


def sent(seq: int) -> c.Request:
    return c.Request(command=STORE, sender=0, seq=seq)


def confirms(effects: list[do.Effect]) -> list[int]:
    return [r.command.seq for r in sends(effects) if isinstance(r.command, c.Confirm)]


def test_a_receiver_confirms_only_what_is_on_the_log():
    one = One(1)
    one.receive(sent(1), sent(2))
    decided = one.step()
    assert confirms(decided) == [] and confirms(one.step(10 * S)) == [], "its group may never count"
    one.acknowledge(decided)
    assert confirms(one.step()) == [2]


def test_confirmations_speak_for_many_and_are_no_more_than_five_a_second():
    one = One(1)
    told = []
    for seq in range(1, 101):
        one.receive(sent(seq))
        effects = one.step(10_000)
        one.acknowledge(effects)
        told += confirms(effects) + confirms(one.step())
    assert 5 <= len(told) <= S // CONFIRM_US + 1 and told == sorted(told)
    assert confirms(one.step(S)) == [100]


@pytest.mark.parametrize("seqs", [[2], [3, 2], [7]])
def test_behind_a_gap_nothing_is_taken_and_the_sender_hears_how_far_the_receiver_is(seqs):
    one = One(1)
    one.receive(*(sent(n) for n in seqs))
    effects = one.step()
    assert not any(isinstance(e, do.Append) for e in effects) and one.machine.state.meta.taken.get(0, 0) == 0
    assert confirms(effects + one.step(S)) == [0]


def test_what_comes_again_is_dropped_and_confirmed_again():
    one = One(1)
    one.receive(sent(1))
    one.acknowledge(one.step())
    one.step(S)
    one.receive(sent(1))
    effects = one.step(S)
    assert not any(isinstance(e, do.Append) for e in effects)
    assert confirms(effects + one.step(S)) == [1]


def test_a_sender_sends_what_is_on_the_log_again_until_it_is_confirmed():
    one = One(0)
    told: list[object] = []
    one.machine.offer(c.Request(command=c.BroadcastSignal(name="go")), told.append)
    decided = one.step()
    assert sends(decided) == [] and sends(one.step(10 * S)) == [], "its group may never count"
    landed = one.acknowledge(decided)
    assert [r.seq for r in sends(landed)] == [1]
    times = []
    for _ in range(400):
        if sends(one.step(S // 10)):
            times.append(one.now)
    waits = [b - a for a, b in itertools.pairwise(times)]
    assert waits[0] >= RESEND_US and waits == sorted(waits) and waits[-1] >= 4 * S, "with longer and longer waits"
    one.receive(c.Request(command=c.Confirm(to=1, seq=1)))
    one.acknowledge(one.step())
    assert one.machine.state.outbox == {} and sends(one.step(100 * S)) == []


def test_a_send_that_was_lost_by_an_older_release_is_filled_in():
    state = Partition(0, 2)
    state.meta.sent[1] = state.meta.confirmed[1] = 9
    found = Sends(state).confirmed(c.Confirm(to=1, seq=6), 9, 0)
    requests = [msgspec.json.decode(v, type=c.Request) for e in found for v in e.group.values]
    assert [(r.sender, r.seq) for r in requests] == [(0, 7), (0, 8), (0, 9)]
    one = One(1)
    one.machine.state.meta.taken[0] = 6
    one.receive(*requests)
    assert any(isinstance(e, do.Append) for e in one.step()) and one.machine.state.meta.taken[0] == 9, "so that the next one is taken"


def test_nobody_is_told_twice_when_an_owner_steps_down():
    one = One(0)
    told: list[object] = []
    for n in range(5):
        one.machine.offer(c.Request(command=c.ListRecords(registry="directory", limit=10), id=f"{n}"), told.append)
    effects = one.step()
    one.machine.failed(LogError("gone"))
    one.machine.failed(LogError("again"))
    for e in effects + one.taken():
        if isinstance(e, do.Answer):
            for reply, answer in e.replies:
                reply(answer)
    assert len(told) == 5


@pytest.mark.parametrize("seq", [2, 1_000, 1 << 62])
def test_what_was_not_sent_can_not_be_confirmed(seq):
    """Whoever may write to the topic: a number that is made up neither loses a send nor keeps the partition busy for ever."""
    one = One(0)
    one.machine.offer(c.Request(command=c.BroadcastSignal(name="go")), lambda answer: None)
    one.acknowledge(one.step())
    one.receive(c.Request(command=c.Confirm(to=1, seq=seq)))
    assert not any(isinstance(e, do.Append) for e in one.step())
    assert len(sends(one.step(RESEND_US))) == 1 and one.machine.state.outbox


def test_a_new_owner_begins_with_what_is_not_confirmed():
    one = One(0)
    one.machine.offer(c.Request(command=c.BroadcastSignal(name="go")), lambda answer: None)
    first = sends(one.acknowledge(one.step()))
    before = one.machine
    one.machine = Machine(Claim(0, 2, "next", 9, rules.Place(2, "next", end=9)), before.state, Facts(), LogClock(one.now, one.now))
    assert sends(one.step()) == first


def test_a_send_that_is_refused_is_consumed_and_its_sender_hears_why():
    one = One(1)
    one.receive(c.Request(command=c.ResolveIncident(key=99), sender=0, seq=1, instance=5, token=6), sent(2))
    effects = one.acknowledge(one.step())
    assert one.machine.state.meta.taken[0] == 2, "what comes behind it is taken"
    [told] = [r.command for r in sends(effects) if isinstance(r.command, c.SendRejected)]
    assert (told.instance, told.token, told.command, told.code) == (5, 6, "ResolveIncident", "NOT_FOUND")


def test_a_send_that_breaks_the_engine_is_consumed(monkeypatch):
    def breaks(d, e):
        raise RuntimeError("a defect")

    monkeypatch.setitem(HANDLERS, c.ResolveIncident, breaks)
    one = One(1)
    one.receive(c.Request(command=c.ResolveIncident(key=99), sender=0, seq=1), sent(2))
    one.acknowledge(one.step())
    assert one.machine.state.meta.taken[0] == 2 and confirms(one.step(S)) == [2]
    assert [i.code for i in one.machine.state.incidents.values()] == ["ENGINE_DEFECT"]
