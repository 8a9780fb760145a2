"""Budgets at their edges: what a decision, and a group of them, may take; the limit passes, one less is a follow-up or a clear error."""

from __future__ import annotations

import asyncio

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Heavy
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import Facts, Partition, decide, limits
from flowledger.kernel.decision import Decision
from flowledger.kernel.library import Library
from flowledger.processors import machine
from flowledger.processors.engine import Engine
from flowledger.processors.settings import Settings

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'
CHAIN = "".join(
    f'<exclusiveGateway id="g{n}"/><sequenceFlow id="f{n + 1}" sourceRef="g{n}" targetRef="{f"g{n + 1}" if n < 9 else "e"}"/>'
    for n in range(10)
)
MODELS = {
    "chain": f'<startEvent id="s"/><sequenceFlow id="f0" sourceRef="s" targetRef="g0"/>{CHAIN}<endEvent id="e"/>',
    "feel": '<startEvent id="s"/><sequenceFlow id="f0" sourceRef="s" targetRef="t"/><scriptTask id="t"><extensionElements>'
    '<zeebe:script expression="= count(for i in 1..200 return i * 2)" resultVariable="r"/></extensionElements></scriptTask>'
    '<sequenceFlow id="f1" sourceRef="t" targetRef="e"/><endEvent id="e"/>',
}


class World:
    def __init__(self, model: str) -> None:
        self.p, self.library = Partition(0, 1), Library()
        text = f'<definitions {NS}><process id="p" isExecutable="true">{MODELS[model]}</process></definitions>'
        assert isinstance(self.do(c.Deploy(resources=[c.Resource("p.bpmn", text)])), Decision)

    def facts(self, **more) -> Facts:
        return Facts(1_767_225_600_000_000, self.library.processes(self.p), self.library.decisions(self.p), self.library.read, **more)

    def do(self, command, **more):
        self.last = self.facts(**more)
        return decide(self.p, c.Request(command=command), self.last)


def _steps(monkeypatch, w, made, less):
    return {"steps_max": 12 - less}  # the start, ten gateways, the end


def _events(monkeypatch, w, made, less):
    monkeypatch.setattr(limits, "EVENTS_MAX", len(made.events) - less)
    return {}


def _bytes(monkeypatch, w, made, less):
    monkeypatch.setattr(limits, "BYTES_MAX", made.bytes - len(made.values[-1]) + 1 - less)
    return {}


@pytest.mark.parametrize("budget", [_steps, _events, _bytes], ids=["steps", "events", "bytes"])
@pytest.mark.parametrize("less", [0, 1])
def test_a_decision_that_spent_its_budget_goes_on_in_a_follow_up(monkeypatch, budget, less):
    """The limit is enough; with one less the last step is a `Continue` of its own, and nothing is lost."""
    made = World("chain").do(c.StartInstance(id="p"))
    w = World("chain")
    more = budget(monkeypatch, w, made, less)
    first = w.do(c.StartInstance(id="p"), **more)
    assert len(first.events) == len(made.events) - less
    assert [type(x) for x in first.later] == [c.Continue] * less
    for command in first.later:
        assert [type(e).__name__ for e in w.do(command, **more).events] == ["WorkflowCompleted"]
    assert not w.p.instances


def _taken() -> int:
    w = World("feel")
    assert not w.do(c.StartInstance(id="p")).later and not w.p.incidents
    return w.last.feel_taken


@pytest.mark.parametrize("less", [0, 1])
def test_the_steps_of_expressions_of_a_decision(monkeypatch, less):
    """The limit is enough; one less is an incident that names it, and with the soft limit of the loop a decision to be made beside it."""
    taken = _taken()
    assert taken > 200
    w = World("feel")
    monkeypatch.setattr(limits, "FEEL_STEPS_MAX", taken - less)
    w.do(c.StartInstance(id="p"))
    assert len(w.p.incidents) == less
    for incident in w.p.incidents.values():
        assert incident.code == "EXPRESSION_LIMIT" and f"more than {taken - 1} steps" in incident.message
    monkeypatch.undo()
    w = World("feel")
    if less:
        with pytest.raises(Heavy):
            w.do(c.StartInstance(id="p"), feel_soft=taken - less)
        assert not w.p.instances
    assert not w.do(c.StartInstance(id="p"), feel_soft=0 if less else taken).later and not w.p.incidents


class Groups(MemoryLog):
    """Notes how many events, and bytes of them, each group holds: an instance of this model leaves as many as another."""

    def __init__(self, store) -> None:
        super().__init__(store)
        self.sizes: list[int] = []
        self.bytes: list[int] = []

    def submit(self, topic, partition, group, *, expected_end=None):
        if topic == "events":
            self.sizes.append(len(group.values))
            self.bytes.append(sum(map(len, group.values)))
        return super().submit(topic, partition, group, expected_end=expected_end)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("budget", ["EVENTS_MAX", "BYTES_MAX", "FEEL_MAX"])
async def test_a_group_closes_when_its_budget_is_spent(monkeypatch, budget, more):
    """Two commands spend it exactly: the third is in the next group. With one more to spend it is in the same."""
    one = World("feel").do(c.StartInstance(id="p"))
    size = {"EVENTS_MAX": len(one.events), "FEEL_MAX": _taken()}
    log = Groups(MemoryStore(1))
    engine = Engine(log, partitions=1, settings=Settings())
    await engine.start()
    text = f'<definitions {NS}><process id="p" isExecutable="true">{MODELS["feel"]}</process></definitions>'
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", text)]))
    await engine.call(c.StartInstance(id="p"))
    if budget == "BYTES_MAX":
        size["BYTES_MAX"] = log.bytes[-1]
    monkeypatch.setattr(machine, budget, 2 * size[budget] + more)
    del log.sizes[:]
    await asyncio.gather(*[engine.submit(c.StartInstance(id="p")) for _ in range(3)])
    await engine.stop()
    each = len(one.events)
    assert log.sizes[:2] == ([3 * each] if more else [2 * each, each])[:2]
