"""One partition with everything of tenant b, and nothing of a: for tests of the gate."""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import ledger as le
from flowledger.events import requests
from flowledger.events.base import Rejected
from flowledger.kernel.decide import decide, record_unreadable
from flowledger.kernel.decision import Decision, Facts
from flowledger.kernel.library import Library
from flowledger.kernel.state import Partition

NOW = 1_790_000_000_000_000
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 targetNamespace="t"><process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="fork"/>
<parallelGateway id="fork"/><sequenceFlow id="f2" sourceRef="fork" targetRef="job"/><sequenceFlow id="f3" sourceRef="fork" targetRef="bad"/>
<sequenceFlow id="f4" sourceRef="fork" targetRef="wait"/><sequenceFlow id="f5" sourceRef="fork" targetRef="adhoc"/>
<serviceTask id="job"><extensionElements><zeebe:taskDefinition type="work"/></extensionElements></serviceTask>
<serviceTask id="bad"><extensionElements><zeebe:taskDefinition type="=missing + 1"/></extensionElements></serviceTask>
<intermediateCatchEvent id="wait"><timerEventDefinition><timeDuration>PT1H</timeDuration></timerEventDefinition></intermediateCatchEvent>
<adHocSubProcess id="adhoc"><task id="inner"/></adHocSubProcess></process></definitions>"""
DMN = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="n"><decision id="dec" name="dec">
<variable name="dec"/><literalExpression><text>1</text></literalExpression></decision></definitions>"""


class World:
    """One partition with everything of tenant b, and nothing of a."""

    def __init__(self) -> None:
        self.p = Partition(0, 1)
        self.library = Library(lambda hash: None)
        self.now = NOW
        made = self.do(c.Deploy(resources=[c.Resource("p.bpmn", MODEL), c.Resource("d.dmn", DMN)]), "b")
        by_kind = {d["kind"]: d["key"] for d in made["definitions"]}
        self.definition, self.decision = by_kind["process"], by_kind["decision"]
        self.instance = self.do(c.StartInstance(id="p"), "b")["key"]
        self.task = next(k for k, t in self.p.tasks.items() if t.element == "job")
        self.person = self.do(c.CreateTask(name="x"), "b")["task"]
        self.token = next(t.key for t in self.p.instances[self.instance].tokens.values() if t.element == "adhoc")
        self.incident = next(iter(self.p.incidents))
        self.timer = next(iter(self.p.timers))
        raw = b'{"tenant":"b","command":{"$":"CreateTask","name":7}}'
        assert record_unreadable(
            self.p, Facts(self.now), le.DeadLettered(source=5, reason="x", command=raw, size=len(raw)), requests.tenant_of(raw)
        )
        self.letter = c.key_of_letter(0, 5)
        self.batch = self.do(co.CreateBatch(action="cancel", total=2), "b")["key"]
        self.do(c.StoreRecord(registry="directory", name="b/user:ann", value={"groups": ["g"]}), "b")
        self.hold = self.do(c.PlaceHold(scope="job_type", subject="none", mode="pause"), "b")["key"]

        self.do(c.StartInstance(id="p"), "b")
        lost = max(k for k, t in self.p.tasks.items() if t.element == "job")
        for lane in self.p.ready["b", "work"].values():
            lane.pop(lost, None)
        self.finding = f"0-job_not_offered-{lost}"

    def ask(self, command: Any, tenant: str, rights: list[str] | None = None) -> Decision | Rejected:
        facts = Facts(self.now, self.library.processes(self.p), self.library.decisions(self.p), self.library.read)
        return decide(self.p, c.Request(command=command, tenant=tenant, rights=rights), facts)

    def do(self, command: Any, tenant: str, rights: list[str] | None = None) -> dict[str, Any]:
        made = self.ask(command, tenant, rights)
        assert isinstance(made, Decision), made
        return made.answer
