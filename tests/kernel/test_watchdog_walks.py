"""How soon the watchdog looks at what, where very many instances are parked: what changed at once, tables within a round, quiet instances when their turn comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scenario import Resources

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Decision, Facts
from flowledger.kernel.state import Instance, Partition
from flowledger.processors import watchdog as wd
from flowledger.sdk import Flow

pytestmark = pytest.mark.req("WSM-ENG-003")
N = 400
PARKED = Flow("parked").start().service("do", job="j").end().xml().decode()
CALLS = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="calls" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="call"/><callActivity id="call"><extensionElements>
<zeebe:calledElement processId="parked"/></extensionElements></callActivity></process></definitions>"""


class Parked:
    """One partition with `N` parked instances and one that has called another, and its watchdog after its first rounds."""

    def __init__(self) -> None:
        self.library, self.p, self.now_us = Resources(), Partition(0, 1), 1_000_000_000
        self.dog = wd.Watchdog(self.p, self.facts())
        self.do(c.Deploy(resources=[c.Resource("parked.bpmn", PARKED), c.Resource("calls.bpmn", CALLS)]))
        for _ in range(N):
            self.do(c.StartInstance(id="parked"))
        self.do(c.StartInstance(id="calls"))
        self.run(4 * wd.ROUND_S)
        assert self.dog.rounds >= 1 and not self.dog.findings

    def facts(self) -> Facts:
        return Facts(self.now_us, self.library.processes(self.p), self.library.decisions(self.p), self.library.read)

    def do(self, command: c.AnyCommand) -> None:
        self.now_us += 1
        d = decide(self.p, c.Request(command=command), self.facts())
        assert isinstance(d, Decision), d
        for later in d.later:
            self.do(later)

    def run(self, seconds: float) -> None:
        """So much time passes, and the watchdog has its turns as its shell gives them."""
        end = self.now_us + int(seconds * 1e6)
        while self.now_us < end:
            self.now_us += int(self.dog.pause_s * 1e6)
            self.dog.look(self.now_us)

    def loses_its_job(self, i: Instance) -> None:
        [token] = i.tokens.values()
        for key in token.holds or ():
            task = self.p.tasks.pop(key)
            self.p.ready[task.tenant, task.job_type][task.priority].pop(key)

    @property
    def found(self) -> set[tuple[str, int]]:
        return {(s.found.kind, s.found.instance) for s in self.dog.findings.values()}


@pytest.fixture
def parked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parked]:
    monkeypatch.setattr(wd, "QUIET_MAX", 1)  # five a second
    yield Parked()


#: from a look to the finding, with its turns
SURE_S = wd.CONFIRM_US / 1e6 + 2


@pytest.mark.parametrize("noted", ["in the state", "before a checkpoint"])
def test_what_has_changed_is_looked_at_soon(parked: Parked, noted: str) -> None:
    i = list(parked.p.instances.values())[N // 2]
    parked.do(c.SetVariables(key=i.key, variables={"x": 1}))
    parked.loses_its_job(i)
    if noted == "before a checkpoint":
        parked.dog.note()
        parked.p.changed.clear()
    parked.run(wd.FRESH_S + SURE_S)
    assert parked.found == {("wait_lost", i.key)}


def test_a_quiet_instance_has_its_turn(parked: Parked) -> None:
    i = list(parked.p.instances.values())[N // 2]
    parked.p.changed.clear()
    parked.loses_its_job(i)
    rounds = parked.dog._instances.rounds
    parked.run(N * wd.TICK_S + SURE_S)
    assert parked.found == {("wait_lost", i.key)}
    assert parked.dog._instances.rounds <= rounds + 2, "one in each slice, however many there are"


def test_what_breaks_elsewhere_is_found_within_a_round(parked: Parked) -> None:
    caller = next(i for i in parked.p.instances.values() if i.process == "calls")
    child = next(i for i in parked.p.instances.values() if i.parent == caller.key)
    parked.loses_its_job(child)
    del parked.p.instances[child.key]
    parked.p.changed.clear()
    parked.run(wd.ROUND_S + 2 * SURE_S)
    assert parked.found == {("call_without_child", caller.key)}


def test_a_lost_job_is_found_within_a_round(parked: Parked) -> None:
    i = list(parked.p.instances.values())[N // 2]
    [token] = i.tokens.values()
    parked.p.changed.clear()
    [key] = token.holds or ()
    [queue] = [q for q in parked.p.ready[i.tenant, "j"].values() if key in q]
    queue.pop(key)
    parked.run(wd.ROUND_S + SURE_S)
    assert parked.found == {("job_not_offered", i.key)}


def test_a_change_of_holds_lets_all_be_looked_at(parked: Parked) -> None:
    parked.do(co.PlaceHold(scope="job_type", subject="other", mode="pause"))
    parked.p.changed.clear()
    parked.run(wd.FRESH_S)
    rounds = parked.dog._instances.rounds
    parked.run(N * wd.TICK_S)
    assert parked.dog._instances.rounds > rounds, "no quiet pace"


def test_more_changes_than_are_remembered_are_the_rounds(parked: Parked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wd, "FRESH_MAX", 3)
    some = list(parked.p.instances.values())[:5]
    for i in some:
        parked.do(c.SetVariables(key=i.key, variables={"x": 1}))
    parked.dog.note()
    assert not parked.dog._noted
    parked.run(wd.FRESH_S + 1)
    assert not parked.dog.findings
