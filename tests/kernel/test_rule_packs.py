"""Rule packs: what they say of models, instances and tasks; a verdict names the version that decided; a broken rule stops nothing but what it says."""

import copy
import sys
from pathlib import Path

import msgspec
import pytest
from notation import bpmn
from protected import MemoryKeys, PlainWrapper

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events import operations as op
from flowledger.events.base import Heavy, Rejected
from flowledger.events.group import Place
from flowledger.events.rules import RuleJudged
from flowledger.infra.protection.vault import Vault
from flowledger.kernel import checkpoint, operations
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Facts
from flowledger.kernel.fold import evolve
from flowledger.kernel.library import Library
from flowledger.kernel.model import read
from flowledger.kernel.packs import gate, judge
from flowledger.kernel.state import Partition
from flowledger.kernel.stored import decode_state

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from counting import calls

SHIPPED = Path(__file__).resolve().parents[2] / "infra" / "rule_packs"
PAYMENT = "process payment {\nstartEvent s\nuserTask enter\nuserTask release\nserviceTask pay\nendEvent e\ns > enter > release > pay > e\n}"
ALONE = "process payment {\nstartEvent s\nuserTask enter\nendEvent e\ns > enter > e\n}"
_request = msgspec.json.Decoder(c.Request)


def pack(*rules, name="house", more=""):
    """A rule as `id on severity: FEEL`, and more of its fields by `; field: value`."""
    text = f"format: flowledger/rules@1\nname: {name}\n{more}rules:\n"
    for rule in rules:
        head, _, rest = rule.partition(": ")
        id, on, severity = head.split()
        holds, *others = rest.split("; ")
        text += f"  - id: {id}\n    on: {on}\n    severity: {severity}\n    holds: {holds}\n    message: not {id}\n"
        text += "".join(f"    {field}\n" for field in others)
    return text


class World:
    def __init__(self, n=1):
        self.library, self.n = Library(), n
        self.parts = [Partition(k, n) for k in range(n)]
        self.log = []
        self.vault = None
        self.now_us = 1_000_000

    def facts(self, p, **more):
        x = self.library
        return Facts(
            self.now_us,
            x.processes(p),
            x.decisions(p),
            x.read,
            forms=x.forms(p),
            triggers=x.triggers(p),
            rules=x.rules(p),
            vault=self.vault,
            **more,
        )

    def ask(self, command, actor="", k=0, tenant="", sender=-1, request=None):
        self.now_us += 10
        p = self.parts[k]
        request = request or c.Request(command=command, actor=actor, tenant=tenant, origin=None)
        made = decide(p, request, self.facts(p))
        if isinstance(made, Rejected):
            if operations.worth_telling(request, made):
                self.took(k, operations.refused(p, request, self.facts(p), made))
            return made
        self.took(k, made)
        for later in made.later:
            self.ask(later, k=k)
        return made.answer

    def took(self, k, made):
        for e, envelope in zip(made.events, made.envelopes, strict=True):
            self.log.append((k, e, envelope))
            if isinstance(e, le.Outbound):
                self.ask(None, k=e.to, request=_request.decode(e.command))

    def deploy(self, *files, **more):
        named = [
            (f"f{n}.rules.yaml" if f.startswith("format") else f"f{n}.bpmn", f if f.startswith("format") else bpmn(f))
            for n, f in enumerate(files)
        ]
        return self.ask(c.Deploy(resources=[c.Resource(n, t) for n, t in named], **more), actor="author")

    def start(self, actor="ada", id="payment", k=0, **variables):
        return self.ask(c.StartInstance(id=id, variables=variables or None), actor, k=k)

    def task(self, element, k=0):
        return next(t for t in self.parts[k].tasks.values() if t.element == element)

    def do(self, element, actor="", k=0, **variables):
        return self.ask(c.CompleteTask(task=self.task(element, k).key, variables=variables or None), actor, k=k)

    def move(self, element, move, actor="", k=0, **details):
        return self.ask(c.MoveTask(task=self.task(element, k).key, move=move, details=details or None), actor, k=k)

    def verdicts(self):
        return [e for _, e, _ in self.log if isinstance(e, RuleJudged)]


def codes(findings):
    return [(f["code"], f["severity"], f["element"]) for f in findings if f["code"].startswith("RULE")]


@pytest.mark.req("D-CMP-004")
@pytest.mark.parametrize("how", ["before", "beside"])
def test_a_model_that_a_rule_refuses_is_not_deployed(how):
    w = World()
    text = (SHIPPED / "four-eyes-on-payments.rules.yaml").read_text()
    if how == "before":
        w.deploy(text)
        refused = w.deploy(ALONE)
    else:
        refused = w.deploy(text, ALONE)
    assert refused.code == "MODEL_INVALID"
    found = [f for f in msgspec.json.decode(refused.message) if f["code"] == "RULE_VIOLATED"]
    assert codes(found) == [("RULE_VIOLATED", "error", "payment"), ("RULE_VIOLATED", "warning", "payment")]
    assert (
        "two tasks for people" in found[0]["message"] and "rule 'work-for-two' of rule pack 'four-eyes-on-payments'" in found[0]["message"]
    )
    assert not any(d.kind == "process" for d in w.parts[0].definitions.values())
    if how == "beside":
        assert not w.parts[0].packs, "all or none"
        w.deploy(text)
    else:
        assert "version 1" in found[0]["message"]
    told = w.deploy(PAYMENT)
    assert codes(told["findings"]) == [("RULE_VIOLATED", "warning", "payment")], "it says nothing of notBy"
    # tagged, whatever it is called
    assert w.deploy(ALONE.replace("process payment", "process other"), metadata={"tags": ["payment"]}).code == "MODEL_INVALID"
    assert isinstance(w.deploy(ALONE.replace("process payment", "process other")), dict)


@pytest.mark.req("D-CMP-004")
def test_a_draft_is_told_and_can_not_be_published():
    w = World()
    w.deploy((SHIPPED / "four-eyes-on-payments.rules.yaml").read_text())
    told = w.deploy(ALONE, status="draft")
    assert codes(told["findings"]) == [("RULE_VIOLATED", "warning", "payment")] * 2
    key = told["definitions"][0]["key"]
    refused = w.ask(c.ChangeDefinition(key=key, move="publish"))
    assert refused.code == "MODEL_INVALID" and "two tasks for people" in refused.message
    assert w.parts[0].definitions[key].status == "draft"
    # an older pack is no way out: what was published, and is put away, comes back only when it fits
    other = World()
    key = other.deploy(ALONE)["definitions"][0]["key"]
    other.deploy((SHIPPED / "four-eyes-on-payments.rules.yaml").read_text())
    assert other.ask(c.ChangeDefinition(key=key, move="deprecate"))["status"] == "deprecated"
    assert other.ask(c.ChangeDefinition(key=key, move="publish")).code == "MODEL_INVALID"


@pytest.mark.req("D-CMP-004", "D-CMP-003")
def test_four_eyes_on_payments():
    w = World()
    w.deploy((SHIPPED / "four-eyes-on-payments.rules.yaml").read_text(), PAYMENT)
    w.start("ada")
    w.do("enter", "ben")
    for actor in ("ada", "ben", ""):
        refused = w.do("release", actor)
        assert (
            refused.code == "FORBIDDEN" and "rule 'released-by-another' of rule pack 'four-eyes-on-payments' version 1" in refused.message
        )
        assert w.move("release", "skip", actor).code == "FORBIDDEN"
    assert w.move("release", "assign", "boss", assignee="ben").code == "FORBIDDEN"
    assert w.move("release", "claim", "ada").code == "FORBIDDEN"
    assert w.move("release", "claim", "cy")["status"] == "assigned"
    assert w.move("release", "delegate", "cy", assignee="ben").code == "FORBIDDEN"
    assert isinstance(w.do("release", "cy"), dict) and w.task("pay")
    said = w.verdicts()
    assert len(said) == 9 and all(v.refused and v.outcome == "violated" and v.version == 1 and v.definition for v in said)
    assert {(v.rule, v.at) for v in said} == {
        ("released-by-another", "complete"), ("released-by-another", "skip"), ("not-handed-to-the-same", "assign")
    }  # fmt: skip
    assert all(v.process == "payment" and v.element == "release" and v.task and v.key for v in said)
    refusals = [e for _, e, _ in w.log if isinstance(e, op.OperationRefused)]
    assert len(refusals) == 9, "each beside the operation that was refused"
    # who released it once may do it again after a rework: it is about other work
    p = w.parts[0]
    assert p.instances[said[0].key].stores["done_by:release"] == ["cy"]


@pytest.mark.req("D-CMP-004")
def test_personal_data_without_retention():
    w = World()
    w.deploy((SHIPPED / "personal-data-without-retention.rules.yaml").read_text())
    process = "process claim {\nstartEvent s\nuserTask t\n%s\nendEvent e\ns > t > e\n}"
    process = process % '<flowledger:protect names="iban" class="personal"/>'
    w.parts[0].registry.setdefault("retention", {})
    look = judge.Look(w.facts(w.parts[0]))
    graph, findings = read(bpmn(process).encode(), "c.bpmn")
    assert graph.processes["claim"].protect, findings

    class D:
        state, facts, envelope = w.parts[0], w.facts(w.parts[0]), type("V", (), {"tenant": ""})

    packs = gate.in_force(D, "")
    found = gate.findings(D, look, packs, graph.processes["claim"], None, "c.bpmn")
    assert [f.message.partition(" (rule '")[2].partition("'")[0] for f in found] == ["kept-for-a-time", "about-somebody"]
    for definition, cls, good in (("claim", "", True), ("", "personal", True), ("other", "", False), ("claim", "health", False)):
        w.parts[0].registry["retention"] = {"r": {"definition": definition, "class": cls, "after": "P1Y"}}
        found = gate.findings(D, look, packs, graph.processes["claim"], None, "c.bpmn")
        assert (len(found) == 1) is good, (definition, cls)
    w.parts[0].registry["retention"] = {"acme/r": {"definition": "", "class": "", "after": "P1Y"}}
    assert len(gate.findings(D, look, packs, graph.processes["claim"], None, "c.bpmn")) == 2, "a stranger's rule"


@pytest.mark.req("D-CMP-003", "D-CMP-004")
def test_a_start_is_refused_or_remarked_upon_and_the_log_has_why():
    w = World()
    w.deploy(
        PAYMENT,
        pack(
            "small instance refuse: variables.amount < 100",
            "named instance warn: business_key != null",
            "known instance info: actor != null",
        ),
    )
    refused = w.start("ada", amount=100)
    assert refused == judge.Refused("FORBIDDEN", refused.message, verdicts=refused.verdicts)
    assert refused.message == "not small (rule 'small' of rule pack 'house' version 1)"
    assert not w.parts[0].instances
    assert [(v.rule, v.severity, v.refused, v.key, v.at) for v in w.verdicts()] == [
        ("small", "refuse", True, 0, "start"),
        ("named", "warn", False, 0, "start"),
    ]
    made = w.start("", amount=99)
    said = w.verdicts()[2:]
    assert [(v.rule, v.severity, v.refused, v.key) for v in said] == [
        ("named", "warn", False, made["key"]),
        ("known", "info", False, made["key"]),
    ]
    # the version that decided is in the event
    w.deploy(pack("small instance refuse: variables.amount < 10"))
    assert "version 2" in w.start("ada", amount=99).message
    assert w.verdicts()[-1].version == 2
    # and it goes with its pack
    for definition in [d for d in w.parts[0].definitions.values() if d.kind == "rules"]:
        w.ask(c.ChangeDefinition(key=definition.key, move="delete"))
    assert not w.parts[0].packs and isinstance(w.start("ada", amount=1_000), dict)


BROKEN = {
    "null": "variables.missing > 1", "a text": '"yes"', "a list": "[true]",
    "steps": "count(for x in 1..100000 return x * x) > 0",
}  # fmt: skip


@pytest.mark.req("D-CMP-004")
@pytest.mark.parametrize("what", sorted(BROKEN))
@pytest.mark.parametrize("refuses", [False, True])
def test_a_broken_rule_harms_nobody_or_refuses_as_it_says(what, refuses):
    w = World()
    error = "on_error: " + ("refuse" if refuses else "allow")
    w.deploy(
        PAYMENT, pack(f"odd instance refuse: '{BROKEN[what]}'; {error}" if what != "a text" else f"odd instance refuse: '\"yes\"'; {error}")
    )
    answer = w.start("ada")
    verdict = w.verdicts()[0]
    assert (
        verdict.outcome == "broken" and verdict.refused is refuses and ("steps" in verdict.why if what == "steps" else what in verdict.why)
    )
    if refuses:
        assert answer.code == "FORBIDDEN" and "can't be evaluated" in answer.message and "refuses what it can't judge" in answer.message
    else:
        assert answer["key"] == verdict.key and w.task("enter")


def test_what_is_heavy_is_decided_beside_the_loop_and_costs_the_model_nothing():
    w = World()
    w.deploy(PAYMENT, pack("odd instance warn: 'count(for x in 1..100000 return x * x) > 0'"))
    p = w.parts[0]
    request = c.Request(command=c.StartInstance(id="payment"))
    before = copy.deepcopy(checkpoint.fingerprint(p))
    with pytest.raises(Heavy):
        decide(p, request, w.facts(p, feel_soft=2_000))
    assert checkpoint.fingerprint(p) == before
    facts = w.facts(p)
    made = decide(p, request, facts)
    assert [e.outcome for e in made.events if isinstance(e, RuleJudged)] == ["broken"]
    assert facts.feel_taken == 0, "rules have steps of their own"


def test_a_rule_sees_what_stands_in_the_table():
    w = World()
    w.deploy(
        PAYMENT,
        pack(
            'a task info: task.element != "enter" or task.kind != "userTask"',
            'b task info: at != "complete" or result.amount != 5 or variables.amount != 5 or variables.old != 1',
            'c task info: process.id != "payment" or process.version != 1 or process.tags != ["x", "y"]',
            'd task info: started_by != "ada" or earlier != ["ada"]',
            "e task info: instance_key = null or actor != \"ben\"",
        ),
        metadata={"tags": "x, y"},
    )  # fmt: skip
    w.start("user:ada", old=1)
    w.do("enter", "ben", amount=5)
    assert [v.rule for v in w.verdicts()] == ["a", "b", "c", "d", "e"]
    w.start("ada")
    w.move("enter", "assign", "boss", assignee="user:cy")
    assert len(w.verdicts()) == 5, "hand-overs are another moment"


def test_packs_limit_themselves_and_rules_do():
    w = World()
    w.deploy(
        PAYMENT, ALONE.replace("payment", "other"),
        pack('a instance info: 1 > 2; applies: {definitions: "pay*"}', "b instance info: 1 > 2; applies: {tags: [vip]}", name="one"),
        pack("c instance info: 1 > 2", name="two", more="applies: {definitions: [other]}\n"),
        pack("d instance info: 2 > 1", "e instance info: 2 > 1; when: 1 > 2", name="three", more="tell: all\n"),
    )  # fmt: skip
    w.start(id="payment")
    assert [(v.pack, v.rule, v.outcome) for v in w.verdicts()] == [("one", "a", "violated"), ("three", "d", "held")]
    w.start(id="other")
    assert [(v.pack, v.rule) for v in w.verdicts()[2:]] == [("three", "d"), ("two", "c")]


@pytest.mark.req("D-CMP-004")
def test_tenants_have_their_own_and_too_many_are_refused():
    w = World()
    w.deploy(PAYMENT, pack("never instance refuse: 1 > 2"))
    w.ask(c.Deploy(resources=[c.Resource("p.bpmn", bpmn(PAYMENT))]), tenant="acme")
    assert isinstance(w.ask(c.StartInstance(id="payment"), tenant="acme"), dict)
    assert w.start().code == "FORBIDDEN"
    for n in range(gate.PACKS_MAX - 1):
        assert isinstance(w.deploy(pack("x instance info: 1 > 2", name=f"more{n}")), dict)
    refused = w.deploy(pack("x instance info: 1 > 2", name="last"))
    assert refused.code == "MODEL_INVALID" and f"at most {gate.PACKS_MAX} rule packs, found {gate.PACKS_MAX + 1}" in refused.message
    assert isinstance(w.deploy(pack("y instance info: 1 > 2", name="more3")), dict), "a further version of one is none more"


def test_other_partitions_judge_by_the_same_version_and_a_take_over_changes_nothing():
    w = World(3)
    w.deploy(PAYMENT, pack("small instance refuse: variables.amount < 100", "other task refuse: not(list contains(earlier, actor))"))
    for k in range(3):
        assert "version 1" in w.start(k=k, amount=100).message
        w.start(k=k, amount=1)
        w.do("enter", "ben", k=k)
        assert w.do("release", "ben", k=k).code == "FORBIDDEN"
        p, fresh = w.parts[k], Partition(k, 3)
        standing = checkpoint.Standing()
        standing.stale = True
        entries = standing.next(p, ())
        standing.take(entries)
        mark = decode_state(checkpoint.mark(p, Place(1, "", b"", 0, 0, 0, 1), standing), checkpoint.Mark)
        checkpoint.restore(fresh, {key: v for key, v in entries if v is not None}, mark)
        folded = Partition(k, 3)
        for at, e, envelope in w.log:
            if at == k:
                evolve(folded, e, envelope)
        assert checkpoint.fingerprint(fresh) == checkpoint.fingerprint(folded) == checkpoint.fingerprint(p)
        assert fresh.packs == folded.packs == p.packs == {"": {"house": None}}
        w.parts[k] = fresh
        assert w.do("release", "ben", k=k).code == "FORBIDDEN" and isinstance(w.do("release", "cy", k=k), dict)


CALLER = 'process main {\nstartEvent s\ncallActivity a\n<zeebe:calledElement processId="payment"/>\nendEvent e\ns > a > e\n}'
BY_MESSAGE = "process heard {\nstartEvent s : message M\nserviceTask t\nendEvent e\ns > t > e\n}"


def test_who_waits_for_a_refused_start_hears_of_it():
    w = World()
    w.deploy(PAYMENT, CALLER, BY_MESSAGE, pack('called instance refuse: not(called) and process.id != "heard"'))
    made = w.start(id="main")
    incident = next(iter(w.parts[0].incidents.values()))
    assert incident.instance == made["key"] and "rule 'called'" in incident.message and incident.code == "CALLED_INSTANCE_ENDED"
    w.ask(c.PublishMessage(name="M", correlation_key="1"))
    assert not any(i.process == "heard" for i in w.parts[0].instances.values())
    assert [(v.process, v.refused, v.key) for v in w.verdicts()] == [("payment", True, 0), ("heard", True, 0)]


def test_without_a_pack_next_to_nothing_is_done():
    """One look at an empty dictionary for each start and each completion: no call of a function."""
    w = World()
    w.deploy(PAYMENT)
    p = w.parts[0]

    def work():
        made = w.start("ada")
        w.do("enter", "ben")
        w.do("release", "cy")
        return made

    # by their file: what counts covered lines puts code objects of its own in the place of ours
    files = {gate.in_force.__code__.co_filename, judge.Look.__init__.__code__.co_filename}

    def entered():
        found = []

        def trace(frame, event, argument):
            if event == "call" and frame.f_code.co_filename in files:
                found.append(frame.f_code.co_name)

        sys.setprofile(trace)
        try:
            work()
        finally:
            sys.setprofile(None)
        return found

    assert entered() == [] and not p.packs
    # and with one that is about other processes, the look at its `applies`
    bare = calls(work)
    w.deploy(pack("a task info: 1 > 2; applies: {definitions: zzz}"))
    assert calls(work) < bare * 2 and entered(), "and that is seen"


WRONG = {
    "format: flowledger/rules@1\nrules: []\n": "expected a name",
    "format: flowledger/rules@1\nname: a/b\nrules: [{id: a, on: model, holds: 'true'}]\n": "without a slash",
    "format: flowledger/rules@1\nname: a\n": "rules: expected a list of 1 to 50, found none",
    "format: flowledger/rules@1\nname: a\nrules: []\n": "found 0",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: moon, holds: 'true'}]\n": "on: expected one of model, instance, task",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model}]\n": "expected holds, found none",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model, holds: '1 +'}]\n": "rule 'a', holds:",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model, holds: 'variables.x = 1'}]\n": "sees element, process, retention, found variables",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model, severity: bad, holds: 'true'}]\n": "severity: expected one of info, warn, refuse",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model, at: start, holds: 'true'}]\n": "at: expected some of deploy",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model, on_error: refuse, holds: 'true'}]\n": "only a rule of severity refuse",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model, holds: 'true', colour: red}]\n": "found 'colour'",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model, holds: 'true'}, {id: a, on: task, holds: 'true'}]\n": "found it twice",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model, holds: 'true', applies: {definitions: []}}]\n": "expected 1 to 50 texts",
    "format: flowledger/rules@1\nname: a\nrules: [{id: a, on: model, holds: true}]\n": "holds: expected FEEL",
}  # fmt: skip


@pytest.mark.parametrize("text", sorted(WRONG))
def test_what_is_wrong_with_a_pack_is_said_with_its_place(text):
    graph, findings = read(text.encode(), "x.rules.yaml")
    assert any(WRONG[text] in f.message and f.line and f.file == "x.rules.yaml" and f.severity == "error" for f in findings), findings
    assert World().deploy(text).code == "MODEL_INVALID"


@pytest.mark.parametrize("n", [50, 51])
def test_rules_of_one_pack(n):
    text = pack(*(f"r{k} instance info: 1 > 2" for k in range(n)))
    assert (World().deploy(text).code if n > 50 else isinstance(World().deploy(text), dict)) == ("MODEL_INVALID" if n > 50 else True)


@pytest.mark.req("D-CMP-004")
def test_protected_values_are_judged_and_never_told():
    w = World()
    w.vault = Vault(MemoryKeys(), PlainWrapper())
    w.deploy(
        PAYMENT.replace("userTask enter", 'userTask enter\n<flowledger:protect names="iban" class="personal"/>', 1),
        pack(
            "a instance info: 'variables.iban = \"other\"'",
            "b task refuse: 'variables.iban != \"MARK\"'",
            "c task info: 'variables.iban + 1 > 2'",
        ),
    )
    w.start("ada", iban="MARK")
    assert str(w.parts[0].instances).count("MARK") == 0, "it is sealed"
    assert w.do("enter", "ben").code == "FORBIDDEN"
    assert [(v.rule, v.outcome) for v in w.verdicts()] == [("a", "violated"), ("b", "violated"), ("c", "broken")]
    assert "MARK" not in str(w.verdicts())
