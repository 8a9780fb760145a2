"""Elements whose work crosses partitions: calls, messages, signals, data stores. Sends are taken in any order that keeps each pair's own order."""

import random

import msgspec
import pytest
from notation import bpmn
from scenario import Resources, image

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events.base import Rejected
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Facts
from flowledger.kernel.fold import evolve
from flowledger.kernel.state import Partition

_request = msgspec.json.Decoder(c.Request)


class Cluster:
    def __init__(self, n, seed, *models, spread=False):
        self.rng = random.Random(seed)
        self.library = Resources()
        self.parts = [Partition(k, n) for k in range(n)]
        self.folded = [Partition(k, n) for k in range(n)]
        self.queues = {}
        self.spread = spread
        self.now_us = 1
        self.do(0, c.Deploy(resources=[c.Resource(f"m{k}.bpmn", bpmn(m)) for k, m in enumerate(models)]))

    def step(self, k, request):
        self.now_us += 1000
        p = self.parts[k]
        facts = Facts(self.now_us, self.library.processes(p), self.library.decisions(p), self.library.read, spread=self.spread)
        d = decide(p, request, facts)
        if isinstance(d, Rejected):
            return d
        for e, envelope in zip(d.events, d.envelopes, strict=True):
            evolve(self.folded[k], e, envelope)
            if isinstance(e, le.Outbound):
                self.queues.setdefault((k, e.to), []).append(_request.decode(e.command))
        assert image(self.folded[k]) == image(p)
        for later in d.later:
            self.step(k, c.Request(command=later))
        return d.answer

    def do(self, k, command):
        answer = self.step(k, c.Request(command=command))
        while live := [q for q in self.queues.values() if q]:
            queue = self.rng.choice(live)
            (_, to), _ = next(item for item in self.queues.items() if item[1] is queue)
            request = queue.pop(0)
            assert not isinstance(self.step(to, request), Rejected)
            if self.rng.random() < 0.2:  # a send that comes twice changes nothing
                assert isinstance(self.step(to, request), Rejected)
        return answer

    def instances(self):
        return sorted(i.process for p in self.parts for i in p.instances.values())

    def complete(self, element, **variables):
        k, task = next((k, t) for k, p in enumerate(self.parts) for t in p.tasks.values() if t.element == element)
        self.do(k, c.CompleteTask(task=task.key, variables=variables or None))

    def message(self, name, key, **variables):
        self.do(c.partition_of_text(key, len(self.parts)), c.PublishMessage(name=name, correlation_key=key, variables=variables or None))

    @property
    def empty(self):
        return not any(
            p.instances or p.tasks or p.awaited or p.timers or any(not s.definition for s in p.subscriptions.values()) for p in self.parts
        )


SEEDS = pytest.mark.parametrize("seed", range(6))


@SEEDS
def test_a_called_instance_on_another_partition(seed):
    main = 'startEvent s\ncallActivity a\n<zeebe:calledElement processId="q"/>\nboundaryEvent b on=a : error E\nserviceTask h\nendEvent e\ns > a > e\nb > h'
    called = "process q {\nstartEvent qs\nserviceTask t\nendEvent qe\nendEvent bad : error E\nexclusiveGateway g\nqs > t > g\ng > bad ? wrong\ng > qe !\n}"
    for wrong in (False, True):
        x = Cluster(3, seed, main, called, spread=True)
        x.do(1, c.StartInstance(id="p", variables={"wrong": wrong}))
        assert x.instances() == ["p", "q"] and not x.parts[1].tasks
        x.complete("t")
        if wrong:
            x.complete("h")
        assert x.empty


@SEEDS
def test_cancelling_the_caller_ends_the_called(seed):
    x = Cluster(3, seed, 'startEvent s\ncallActivity a\n<zeebe:calledElement processId="q"/>\nendEvent e\ns > a > e',
                "process q {\nstartEvent qs\nserviceTask t\nendEvent qe\nqs > t > qe\n}", spread=True)  # fmt: skip
    key = x.do(0, c.StartInstance(id="p"))["key"]
    x.do(0, c.CancelInstance(key=key))
    assert x.empty


@SEEDS
@pytest.mark.parametrize("key", ["a", "b", "c", "17"])
def test_messages_meet_their_instances(seed, key):
    x = Cluster(3, seed, "startEvent s\nintermediateCatchEvent w : message M = k\nserviceTask a\nendEvent e\ns > w > a > e")
    for k in range(3):
        x.do(k, c.StartInstance(id="p", variables={"k": key if k == 2 else f"other{k}"}))
    x.message("M", key, v=1)
    assert [len(p.tasks) for p in x.parts] == [0, 0, 1]
    x.complete("a")
    x.message("M", "other0")
    x.message("M", "other1")
    x.complete("a")
    x.complete("a")
    assert x.empty


@SEEDS
def test_signals_reach_all_partitions_and_interrupted_ones_wait_no_more(seed):
    x = Cluster(
        3,
        seed,
        "startEvent s\nserviceTask a\nboundaryEvent b on=a : signal S\nboundaryEvent m on=a : message M = 1\nendEvent e\ns > a > e\nb > e\nm > e",
    )
    for k in range(3):
        x.do(k, c.StartInstance(id="p"))
    x.do(1, c.BroadcastSignal(name="S"))
    assert x.empty


@SEEDS
def test_a_data_store_is_told_to_all(seed):
    model = (
        'startEvent s\nserviceTask a\n.<ioSpecification><dataOutput id="made" name="made"/><inputSet/><outputSet/></ioSpecification>\n'
        ".<dataOutputAssociation><sourceRef>made</sourceRef><targetRef>dsr</targetRef></dataOutputAssociation>\n"
        '~<dataStoreReference id="dsr" dataStoreRef="ds"/>\n^<dataStore id="ds" name="stock"/>\nendEvent e\ns > a > e'
    )
    x = Cluster(3, seed, model)
    x.do(2, c.StartInstance(id="p"))
    x.complete("a", made=5)
    assert [p.records[("data_store", "/stock")] for p in x.parts] == [{"value": 5}] * 3


DMN = "https://www.omg.org/spec/DMN/20230324/MODEL/"


def dmn(name, text, imports="", needs=""):
    return (
        f'<definitions xmlns="{DMN}" id="{name}" name="{name}" namespace="urn:{name}">{imports}<decision id="{name}-d" name="{name}-d">'
        f'<variable name="{name}-d"/>{needs}<literalExpression><text>{text}</text></literalExpression></decision></definitions>'
    )


@pytest.mark.req("APG-ELM-002")
def test_a_draft_that_is_edited_to_the_same_text_is_bound_anew_everywhere():
    x = Cluster(3, 1, "startEvent s")
    x.do(0, c.Deploy(resources=[c.Resource("low.dmn", dmn("low", "1"))]))
    needs = '<informationRequirement><requiredDecision href="urn:low#low-d"/></informationRequirement>'
    top = dmn("top", "7", f'<import name="l" namespace="urn:low" importType="{DMN}"/>', needs)
    made = x.do(0, c.Deploy(resources=[c.Resource("top.dmn", top)], status="draft"))
    x.do(0, c.Deploy(resources=[c.Resource("low.dmn", dmn("low", "2"))]))
    for one in made["definitions"]:
        x.do(0, c.ChangeDefinition(key=one["key"], move="", content=top))
        x.do(0, c.ChangeDefinition(key=one["key"], move="publish"))
        (bound,) = x.parts[0].definitions[one["key"]].imports.values()
        assert x.parts[0].definitions[bound].version == 2
        assert [p.definitions[one["key"]].imports for p in x.parts] == [{"urn:low": bound}] * 3
        assert [p.definitions[one["key"]].status for p in x.parts] == ["published"] * 3
