"""What one command gives to many, cut by the budget of its decision: a signal in several decisions, a message and a look at conditions by a bound."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from notation import bpmn
from test_put_off_rules import Pure, outbound

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.kernel import limits, putoff
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import events

pytestmark = pytest.mark.req("D-ENG-002")
CATCH = "startEvent s\nintermediateCatchEvent c : signal S\nserviceTask t\nendEvent e\ns > c > t > e"
STARTS = "process {} {{\nstartEvent {}s : {}\nendEvent {}e\n{}s > {}e\n}}"
MANY = 4


def waiting(many: int = MANY, *more: c.Resource) -> Pure:
    w = Pure(c.Resource("p.bpmn", bpmn(CATCH)), *more)
    for _ in range(many):
        w.do(c.StartInstance(id="p"))
    return w


def throw(w: Pure, **variables: Any) -> Decision:
    return w.do(c.BroadcastSignal(name="S", variables=variables))


@pytest.mark.parametrize("less", [0, 1])
@pytest.mark.parametrize("budget", ["BYTES_MAX", "EVENTS_MAX"])
def test_a_signal_goes_through_those_who_wait_as_far_as_the_budget_goes(monkeypatch, budget, less):
    """At the edge: what is spent before the last one is enough, or one too little."""
    w = waiting()
    last = list(w.p.instances)[-1]
    made = throw(w, x="y" * 100)
    first = next(n for n, e in enumerate(made.events) if e.key == last)
    spent = first if budget == "EVENTS_MAX" else sum(map(len, made.values[:first]))
    w = waiting()
    monkeypatch.setattr(limits, budget, spent - less)
    made = throw(w, x="y" * 100)
    sent = [r.command for r in outbound(made)]
    assert [type(x) for x in sent] == [c.CatchSignal] * less
    assert all(w.p.instances[w.p.subscriptions[x.subscription].instance].key == last and not x.more for x in sent)
    w.drain()
    assert len(w.p.tasks) == MANY and all(i.vars == {"x": "y" * 100} for i in w.p.instances.values())


def test_who_comes_later_is_not_reached_and_who_starts_by_it_is(monkeypatch):
    w = waiting(MANY, *(c.Resource(f"{n}.bpmn", bpmn(STARTS.format(*(n if k != 2 else "signal S" for k in range(6))))) for n in "qr"))
    monkeypatch.setattr(limits, "EVENTS_MAX", 1)
    made = throw(w, x=1)
    [rest] = [r.command for r in outbound(made) if isinstance(r.command, c.CatchSignal)]
    assert isinstance(rest, c.CatchSignal) and len(rest.more) == MANY, "one was done; with those who start there are two more"
    late = w.do(c.StartInstance(id="p")).answer["key"]
    started = 0
    while putoff.waiting(w.p):
        turn = w.turn()
        started += sum(isinstance(e, wf.WorkflowStarted) for e in turn.events)
    w.drain()
    assert len(w.p.tasks) == MANY and started == 1, "q started with the first decision, r in its turn"
    assert [s.instance for s in w.p.subscriptions.values() if s.instance] == [late], "it waits for the next signal"


def test_no_decision_is_much_larger_than_its_budget():
    """30 receivers of 300 kB: 18 MB of events, of which none holds more than the budget and one receiver."""
    w, size = waiting(30), 300_000
    made = throw(w, x="y" * size)
    sizes = [sum(map(len, made.values))]
    while putoff.waiting(w.p):
        sizes.append(sum(map(len, w.turn().values)))
    w.drain()
    assert len(w.p.tasks) == 30
    assert len(sizes) == 3 and max(sizes) < limits.BYTES_MAX + 5 * size, sizes


def test_who_breaks_at_a_signal_suffers_alone(monkeypatch):
    w = waiting()
    broken = list(w.p.instances)[1]
    occurred = events.occurred

    def breaks(d: Any, i: Any, *more: Any) -> Any:
        if i.key == broken:
            raise RuntimeError("a defect")
        return occurred(d, i, *more)

    monkeypatch.setattr(events, "occurred", breaks)
    made = throw(w, x=1)
    assert made.answer["key"], "whoever asked has an answer"
    assert w.p.instances[broken].status == "quarantined" and len(w.p.tasks) == MANY - 1
    assert sum(isinstance(e, wa.SignalReceived) and e.key > 0 for e in made.events) == MANY - 1
    monkeypatch.undo()
    w.do(c.ReleaseInstance(key=broken, reason="mended"))
    assert [s.instance for s in w.p.subscriptions.values() if s.kind == "signal"] == [broken], "it waits as before"


@pytest.mark.parametrize("less", [0, 1])
@pytest.mark.parametrize("kind", ["message M", "conditional x > 0"])
def test_what_one_command_gives_to_many_has_a_bound(monkeypatch, kind, less):
    w = Pure(*(c.Resource(f"{n}.bpmn", bpmn(STARTS.format(n, n, kind, n, n, n))) for n in "qr"))
    monkeypatch.setattr(limits, "FAN_OUT_BYTES_MAX", 2 * len('{"x":10000}') - less)
    command = c.PublishMessage(name="M", variables={"x": 10_000}) if "M" in kind else c.EvaluateConditions(variables={"x": 10_000})
    made = w.made(c.Request(command=command))  # type: ignore[arg-type]
    if less:
        assert isinstance(made, Rejected) and made.code == "INVALID_ARGUMENT"
        assert made.message.endswith("expected at most 10 bytes for 2 receivers, found 11")
    else:
        assert isinstance(made, Decision) and sum(isinstance(e, wf.WorkflowStarted) for e in made.events) == 2
