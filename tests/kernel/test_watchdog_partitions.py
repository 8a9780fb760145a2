"""The watchdog over several partitions: nothing is found while sends are under way, and what is planted is found by asking the other side, and repaired."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from notation import bpmn
from scenario import Resources

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import ledger as le
from flowledger.events.base import Rejected
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Decision, Facts
from flowledger.kernel.state import Partition
from flowledger.kernel.watchdog import peers
from flowledger.processors import watchdog as wd

_request = msgspec.json.Decoder(c.Request).decode
N = 3
MODELS = [
    'startEvent s\ncallActivity a\n<zeebe:calledElement processId="q"/>\nboundaryEvent b on=a : signal S\nserviceTask h\nendEvent e\nendEvent e2\ns > a > e\nb > h > e2',
    "process q {\nstartEvent qs\nintermediateCatchEvent m : message M = k\nserviceTask w\nendEvent qe\nqs > m > w > qe\n}",
]


class Watched:
    """Partitions, what is under way between them, and a watchdog on each that is given its turns by the dice."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.library = Resources()
        self.parts = [Partition(k, N) for k in range(N)]
        self.queues: dict[tuple[int, int], list[c.Request]] = {}
        self.now_us = 1_000_000_000
        self.asked = 0
        self.log: list[list[Any]] = [[] for _ in range(N)]
        self.dogs = [wd.Watchdog(p, self.facts(p)) for p in self.parts]
        self.do(0, c.Deploy(resources=[c.Resource(f"m{k}.bpmn", bpmn(m)) for k, m in enumerate(MODELS)]))
        self.settle()

    def facts(self, p: Partition) -> Facts:
        return Facts(self.now_us, self.library.processes(p), self.library.decisions(p), self.library.read, spread=True)

    def decide(self, k: int, request: c.Request) -> Any:
        self.now_us += 1_000
        facts = self.facts(self.parts[k])
        facts.watch = self.dogs[k] if hasattr(self, "dogs") else None
        d = decide(self.parts[k], request, facts)
        if not isinstance(d, Decision):
            return d
        for e in d.events:
            if isinstance(e, le.Outbound):
                self.queues.setdefault((k, e.to), []).append(_request(e.command))
        for later in d.later:
            self.decide(k, c.Request(command=later))
        return d.answer

    def do(self, k: int, command: Any) -> Any:
        answer = self.decide(k, c.Request(command=command))
        assert not isinstance(answer, Rejected), answer
        return answer

    def deliver(self) -> bool:
        """One send arrives; once taken it is confirmed."""
        live = [pair for pair, queue in self.queues.items() if queue]
        if not live:
            return False
        a, b = self.rng.choice(live)
        request = self.queues[a, b].pop(0)
        self.decide(b, request)
        self.decide(a, c.Request(command=c.Confirm(to=b, seq=request.seq)))
        return True

    def settle(self) -> None:
        while self.deliver():
            pass

    def watch(self, k: int) -> None:
        """A slice; then its questions are asked, and answered at once."""
        dog = self.dogs[k]
        dog.look(self.now_us)
        for to, some in dog.questions().items():
            self.asked += len(some)
            sent = self.parts[k].meta.sent.get(to, 0)
            answer = self.do(to, co.AskPeers(partition=k, questions=[[q.kind, *q.of] for q in some]))
            dog.answered(some, sent, answer)

    def rounds(self, n: int = 12) -> None:
        """So much time passes, in which nothing else happens."""
        for _ in range(n):
            self.now_us += 3_000_000
            for k in range(N):
                for _ in range(4):
                    self.watch(k)

    @property
    def found(self) -> set[str]:
        return {s.found.kind for dog in self.dogs for s in dog.findings.values()}

    def work(self) -> None:
        """Somebody does something."""
        rng = self.rng
        dice = rng.random()
        k = rng.randrange(N)
        if dice < 0.3:
            self.do(k, c.StartInstance(id="p", variables={"k": f"k{rng.randrange(5)}"}))
        elif dice < 0.6:
            name = f"k{rng.randrange(5)}"
            self.do(c.partition_of_text(name, N), c.PublishMessage(name="M", correlation_key=name, ttl_ms=rng.choice([0, 10_000_000])))
        elif dice < 0.85:
            tasks = [(n, key) for n, p in enumerate(self.parts) for key in p.tasks]
            if tasks:
                n, key = rng.choice(tasks)
                self.decide(n, c.Request(command=c.CompleteTask(task=key)))
        elif dice < 0.9:
            self.do(k, c.BroadcastSignal(name="S"))
        else:
            some = [(n, i) for n, p in enumerate(self.parts) for i in p.instances.values() if not i.parent]
            if some:
                n, i = rng.choice(some)
                what: Any = rng.choice([c.CancelInstance(key=i.key), c.ControlInstance(key=i.key, move=rng.choice(["suspend", "resume"]))])
                self.decide(n, c.Request(command=what))


@pytest.mark.parametrize("seed", range(int(os.environ.get("WATCHDOG_RUNS", "20"))))
def test_nothing_is_found_while_things_are_under_way(seed: int) -> None:
    x = Watched(seed)
    for _ in range(600):
        dice = x.rng.random()
        if dice < 0.25:
            x.work()
        elif dice < 0.55:
            x.deliver()
        else:
            x.now_us += x.rng.choice([1_000, 500_000, 6_000_000])
            x.watch(x.rng.randrange(N))
        assert x.found <= {"send_unconfirmed"}, [s.found for dog in x.dogs for s in dog.findings.values()]
    x.settle()
    x.rounds()
    assert not x.found and x.asked, [s.found for dog in x.dogs for s in dog.findings.values()]


def _child(x: Watched) -> tuple[Partition, Any]:
    return next((p, i) for p in x.parts for i in p.instances.values() if i.parent)


def _parent(x: Watched) -> tuple[Partition, Any]:
    return next((p, i) for p in x.parts for i in p.instances.values() if not i.parent)


def _lose_child(x: Watched) -> None:
    p, i = _child(x)
    for t in i.tokens.values():
        for key in t.holds or ():
            p.subscriptions.pop(key, None)
    for other in x.parts:
        other.awaited.clear()
        other.by_awaited.clear()
    del p.instances[i.key]


def _lose_parent(x: Watched) -> None:
    p, i = _parent(x)
    for t in i.tokens.values():
        for key in t.holds or ():
            s = p.subscriptions.pop(key)
            p.by_signal["", s.name].pop(key)
    del p.instances[i.key]


def _lose_start(x: Watched) -> None:
    """The call was never heard of."""
    _lose_child(x)
    _, i = _parent(x)
    token = next(t for t in i.tokens.values() if t.element == "a")
    token.data = None


def _lose_awaited(x: Watched) -> None:
    for p in x.parts:
        p.awaited.clear()
        p.by_awaited.clear()


def _lose_subscription(x: Watched) -> None:
    """Its instance waits for nothing by then, too; and it stands on another partition than its key."""
    p, i = _child(x)
    token = next(iter(i.tokens.values()))
    for key in token.holds or ():
        del p.subscriptions[key]
    token.holds = None


LOST: list[tuple[str, Callable[[Watched], None], set[str]]] = [
    ("the called instance", _lose_child, {"call_without_child"}),
    ("the caller", _lose_parent, {"child_without_parent"}),
    ("the start", _lose_start, {"call_without_child"}),
    ("who awaits", _lose_awaited, {"subscription_unheard"}),
    ("the subscription", _lose_subscription, {"awaited_without_subscription", "token_stuck"}),
]


def _repaired(x: Watched) -> None:
    for k, dog in enumerate(x.dogs):
        for row in dog.report(None)["findings"]:
            before = len(x.parts[k].outbox)
            command = co.RepairFinding(id=row["id"])
            plan = decide(x.parts[k], c.Request(command=command, plan=c.DRY_RUN), _with(x, k))
            assert isinstance(plan, Decision) and len(x.parts[k].outbox) == before
            x.do(k, command)
            x.settle()


def _with(x: Watched, k: int) -> Facts:
    facts = x.facts(x.parts[k])
    facts.watch = x.dogs[k]
    return facts


@pytest.mark.parametrize(("cut", "kinds"), [row[1:] for row in LOST], ids=[row[0] for row in LOST])
def test_what_another_partition_has_lost_is_found_and_repaired(cut: Callable[[Watched], None], kinds: set[str]) -> None:
    name = next(f"k{n}" for n in range(99) if c.partition_of_text(f"k{n}", N) == 1)
    x = Watched(1)
    k = next(k for k in range(N) if k != 1)
    for _ in range(50):  # the called instance stands on another partition than its caller and than the key of its message
        x.do(k, c.StartInstance(id="p", variables={"k": name}))
        x.settle()
        p, i = _child(x)
        if p.meta.partition not in (k, 1):
            break
        x.do(k, c.CancelInstance(key=i.parent, force=True))
        for _ in range(x.rng.randrange(3)):  # it goes by the key
            x.do(k, c.PublishMessage(name="X"))
        x.settle()
    x.rounds(4)
    assert not x.found
    cut(x)
    x.rounds()
    assert x.found == kinds
    _repaired(x)
    x.rounds()
    assert not x.found
    x.do(1, c.PublishMessage(name="M", correlation_key=name))
    x.settle()
    for n, part in enumerate(x.parts):
        for key in list(part.tasks):
            x.do(n, c.CompleteTask(task=key))
    x.settle()
    assert not any(part.instances or part.tasks or part.awaited for part in x.parts)


@pytest.mark.parametrize("lost", [False, True])
def test_a_send_that_is_not_confirmed_is_found_and_sent_again(lost: bool) -> None:
    x = Watched(2)
    x.do(0, c.BroadcastSignal(name="S"))
    dropped = x.queues.pop((0, 1))
    x.settle()
    x.rounds(8)
    assert not x.found, "it is sent again by itself for half a minute"
    x.rounds(8)
    assert x.found == {"send_unconfirmed"}
    first = x.parts[0].meta.confirmed.get(1, 0) + 1
    if lost:  # as if a release of before had taken it for arrived
        x.parts[0].outbox.pop((1, first))
        x.rounds(1)
        assert "1 of them are lost" in x.dogs[0].report(None)["findings"][0]["says"]
    sent = x.parts[0].meta.sent[1]
    x.do(0, co.RepairFinding(id="0-send_unconfirmed-1"))
    assert x.parts[0].meta.sent[1] == sent + 1 and (1, first) in x.parts[0].outbox
    x.queues[0, 1] = [_request(x.parts[0].outbox[1, seq]) for seq in range(first, sent + 2)]  # what `processors/sends.py` does then
    x.settle()
    x.rounds(2)
    assert not x.found and x.parts[1].meta.taken[0] == sent + 1 and dropped


def test_commands_of_which_nothing_is_taken_are_found_and_the_owner_is_asked_to_begin_anew() -> None:
    x = Watched(3)
    dog = x.dogs[0]
    for _ in range(9):
        x.now_us += 5_000_000
        dog.look(x.now_us)
        dog.commands(end=10, source=4)
    assert x.found == {"commands_lag"} and not dog.wishes_anew
    x.do(0, co.RepairFinding(id="0-commands_lag-0"))
    assert dog.wishes_anew and not wd.Watchdog(x.parts[0], x.facts(x.parts[0])).wishes_anew, "the next owner doesn't"
    dog.commands(end=10, source=5)
    assert not x.found, "one was taken"


def test_questions_are_answered_as_they_can_be_read() -> None:
    x = Watched(4)
    assert peers.missing(x.parts[0], [["nothing of ours", 1], ["child", 5]]) == [1]
    refused = x.decide(0, c.Request(command=co.AskPeers(partition=1, questions=[["child", 1]] * (peers.ASKED_MAX + 1))))
    assert isinstance(refused, Rejected) and "at most 1000 questions" in refused.message
