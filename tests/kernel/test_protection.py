"""Protected variables in the kernel: sealed in events and state, opened for expressions and workers, and what they make is protected too."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from protected import MemoryKeys, PlainWrapper, ProtectedScenario
from scenario import Refused, Scenario, image

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Heavy
from flowledger.infra.protection.vault import Vault
from flowledger.kernel.protection import MASKED, PREFIX, Erased, sealed

MARK = "MARKER-4711"
HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" '
    'xmlns:flowledger="urn:flowledger:bpmn:1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
)
PROTECT = '<flowledger:protect names="iban, secret*" class="confidential" subject="=customerId"/>'


def process(*parts: str, id: str = "p", protect: str = PROTECT) -> str:
    return f'<process id="{id}" isExecutable="true"><extensionElements>{protect}</extensionElements>{"".join(parts)}</process>'


def model(*parts: str, protect: str = PROTECT, beside: str = "") -> str:
    return HEAD + beside + process('<startEvent id="s"/>', *parts, '<endEvent id="e"/>', protect=protect) + "</definitions>"


def flows(*ids: str) -> str:
    return "".join(f'<sequenceFlow id="{a}_{b}" sourceRef="{a}" targetRef="{b}"/>' for a, b in pairwise(ids))


def job(id: str, more: str = "") -> str:
    return f'<serviceTask id="{id}"><extensionElements><zeebe:taskDefinition type="{id}"/>{more}</extensionElements></serviceTask>'


def written(s: Scenario) -> bytes:
    """All that the log and a checkpoint have."""
    return b"".join(avro.encode([e], v)[0] for e, v in s.log) + repr(image(s.p)).encode()


def jobs_of(s: Scenario, type: str, fetch: list[str] | None = None) -> list[dict]:
    return s.do(c.ActivateTasks(job_type=type, worker="w", max=5, timeout_ms=1000, fetch=fetch))["jobs"]


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.req("APG-SEC-003")
@pytest.mark.req("WOS-SEC-003")
def test_what_is_protected_is_sealed_in_events_and_state_and_open_for_workers(crash):
    s = ProtectedScenario(model(job("a"), flows("s", "a", "e")), crash=crash)
    s.start("p", iban=MARK, secretNote={"x": [MARK]}, amount=5, customerId="c1")
    i = s.p.instances[s.key]
    assert sealed(i.vars["iban"]).cls == "confidential" and sealed(i.vars["iban"]).origin == s.key and i.vars["amount"] == 5
    assert sealed(i.vars["iban"]).key == sealed(i.vars["secretNote"]).key
    (given,) = jobs_of(s, "a")
    assert given["variables"] == {"iban": MARK, "secretNote": {"x": [MARK]}, "amount": 5, "customerId": "c1"}
    s.do(c.CompleteTask(task=given["key"], variables={"iban": MARK + "2", "free": 1}))
    assert MARK.encode() not in written(s)
    assert s.words[-1] == "done"


@pytest.mark.req("APG-SEC-003")
def test_what_expressions_make_of_it_has_its_class():
    mapping = (
        '<zeebe:ioMapping><zeebe:input source="= upper case(iban)" target="loud"/><zeebe:input source="= amount + 1" target="more"/>'
        '<zeebe:input source="= loud + &quot;!&quot;" target="deep.er"/><zeebe:output source="= &quot;to &quot; + iban" target="letter"/></zeebe:ioMapping>'
    )
    script = '<scriptTask id="t"><extensionElements><zeebe:script expression="= [letter, 1]" resultVariable="list"/></extensionElements></scriptTask>'
    s = ProtectedScenario(model(job("a", mapping), script, job("b"), flows("s", "a", "t", "b", "e")))
    s.start("p", iban=MARK, amount=1)
    (given,) = jobs_of(s, "a")
    assert (
        given["variables"]["loud"] == MARK.upper() and given["variables"]["deep"] == {"er": MARK + "!"} and given["variables"]["more"] == 2
    )
    s.moves("complete a")
    seen = s.p.instances[s.key].vars
    assert s.clear(seen["letter"]) == "to " + MARK and sealed(seen["letter"]).cls == "confidential"
    assert s.clear(seen["list"]) == ["to " + MARK, 1]
    assert MARK.encode() not in written(s)


def test_a_gateway_and_a_loop_see_it_open_and_leave_nothing():
    loop = (
        '<serviceTask id="a"><extensionElements><zeebe:taskDefinition type="a"/></extensionElements><multiInstanceLoopCharacteristics isSequential="true">'
        '<extensionElements><zeebe:loopCharacteristics inputCollection="= secrets" inputElement="one" outputCollection="all" outputElement="= one + x"/>'
        "</extensionElements></multiInstanceLoopCharacteristics></serviceTask>"
    )
    gate = (
        '<exclusiveGateway id="g" default="g_e"/><sequenceFlow id="g_b" sourceRef="g" targetRef="b"><conditionExpression xsi:type="tFormalExpression">'
        '= starts with(iban, "MARKER")</conditionExpression></sequenceFlow><sequenceFlow id="g_e" sourceRef="g" targetRef="e"/>'
    )
    s = ProtectedScenario(model(loop, gate, job("b"), flows("s", "a", "g"), flows("b", "e")))
    s.start("p", iban=MARK, secrets=[MARK + "1", MARK + "2"])
    for n in "12":
        (given,) = jobs_of(s, "a")
        assert given["variables"]["one"] == MARK + n
        s.do(c.CompleteTask(task=given["key"], variables={"x": "+"}))
    (given,) = jobs_of(s, "b")
    assert given["variables"]["all"] == [MARK + "1+", MARK + "2+"]
    assert MARK.encode() not in written(s)


def test_a_called_instance_and_its_answer_keep_it_sealed():
    child = process('<startEvent id="cs"/>', job("c"), '<endEvent id="ce"/>', flows("cs", "c", "ce"), id="child", protect="")
    call = (
        '<callActivity id="a"><extensionElements><zeebe:calledElement processId="child" propagateAllChildVariables="true"/><zeebe:ioMapping>'
        '<zeebe:input source="= iban" target="other"/></zeebe:ioMapping></extensionElements></callActivity>'
    )
    s = ProtectedScenario(model(call, job("b"), flows("s", "a", "b", "e"), beside=child), partitions=1)
    s.start("p", iban=MARK)
    (given,) = jobs_of(s, "c")
    assert given["variables"]["iban"] == given["variables"]["other"] == MARK
    called = s.p.instances[given["instance"]].vars
    assert sealed(called["other"]).cls == "confidential" and sealed(called["other"]).origin == given["instance"]
    s.do(c.CompleteTask(task=given["key"], variables={"made": 1, "iban": MARK + "9"}))
    (given,) = jobs_of(s, "b")
    assert given["variables"] == {"iban": MARK + "9", "made": 1}
    assert MARK.encode() not in written(s)


def test_messages_errors_and_incidents_leave_nothing():
    catch = (
        '<intermediateCatchEvent id="m"><messageEventDefinition messageRef="M"/></intermediateCatchEvent>'
        '<exclusiveGateway id="g"/><sequenceFlow id="g_e" sourceRef="g" targetRef="e"><conditionExpression xsi:type="tFormalExpression">= iban</conditionExpression>'
        '</sequenceFlow><sequenceFlow id="g_b" sourceRef="g" targetRef="b"><conditionExpression xsi:type="tFormalExpression">= true</conditionExpression></sequenceFlow>'
    )
    message = '<message id="M" name="M"><extensionElements><zeebe:subscription correlationKey="= order"/></extensionElements></message>'
    s = ProtectedScenario(model(catch, job("b"), flows("s", "m", "g"), flows("b", "e"), beside=message))
    s.start("p", order="o1")
    s.do(c.PublishMessage(name="M", correlation_key="o1", variables={"iban": MARK, "y": 1}, ttl_ms=60_000))
    (incident,) = [e for e, _ in s.log if isinstance(e, wa.IncidentRaised)]
    assert incident.code == "CONDITION_NOT_BOOLEAN" and MARK in s.clear(incident.message)
    assert MARK.encode() not in written(s)
    s.moves("set iban=false", "resolve")
    (given,) = jobs_of(s, "b")
    s.do(c.FailTask(task=given["key"], message=f"no account {MARK}", retries=1, details={"account": MARK}, variables={"iban": MARK}))
    failed = next(e for e, _ in s.log if isinstance(e, ta.TaskFailed))
    assert s.clear(failed.message) == f"no account {MARK}" and MARK.encode() not in written(s)


def test_what_is_kept_for_a_suspended_instance_and_a_callers_repeat_have_nothing():
    s = ProtectedScenario(model(job("a"), flows("s", "a", "e")))
    s.start("p", iban=MARK)
    (given,) = jobs_of(s, "a")
    s.do(c.ControlInstance(key=s.key, move="suspend"))
    s.do(c.CompleteTask(task=given["key"], variables={"iban": MARK, "z": 1}))
    assert MARK.encode() not in written(s)
    s.do(c.ControlInstance(key=s.key, move="resume"))
    assert s.words[-1] == "done" and MARK.encode() not in written(s)


def test_a_key_is_of_its_subject_and_one_that_is_gone_leaves_nothing_but_null():
    s = ProtectedScenario(model(job("a"), flows("s", "a", "e")))
    keys = []
    for customer in ("c1", "c1", "c2", None):
        s.start("p", iban=MARK, **({"customerId": customer} if customer else {}))
        keys.append(sealed(s.p.instances[s.key].vars["iban"]).key)
    assert keys[0] == keys[1] and len({*keys}) == 3
    before = image(s.p)
    assert s.vault.destroy("", "c1") == [keys[0]]
    assert image(s.p) == before, "the state is what it was, and so is the log"
    found = jobs_of(s, "a")
    assert [j["variables"]["iban"] for j in found] == [None, None, MARK, MARK]


def test_what_comes_for_an_erased_subject_is_under_a_new_key():
    s = ProtectedScenario(model(job("a"), job("b"), flows("s", "a", "b", "e")))
    s.start("p", iban=MARK, customerId="c1")
    old = sealed(s.p.instances[s.key].vars["iban"]).key
    s.vault.destroy("", "c1")
    s.moves(f'complete a iban="{MARK}"')
    new = sealed(s.p.instances[s.key].vars["iban"]).key
    assert new != old and jobs_of(s, "b")[0]["variables"]["iban"] == MARK


def test_keys_that_are_away_are_an_incident_and_no_defect():
    s = ProtectedScenario(
        model(job("a", '<zeebe:ioMapping><zeebe:input source="= iban" target="x"/></zeebe:ioMapping>'), job("b"), flows("s", "b", "a", "e"))
    )
    s.start("p", iban=MARK)
    s.vault._held.clear()
    s.vault._subjects.clear()
    s.vault._opened.clear()
    s.keys.away, s.check = True, False
    with pytest.raises(Refused, match="can't be had") as refused:
        s.start("p", iban=MARK)
    assert str(refused.value).startswith("UNAVAILABLE"), "nothing is wrong with what was asked: it may be asked again"
    (task,) = s.p.tasks.values()
    with pytest.raises(Refused, match="can't be had") as refused:
        s.do(c.SetVariables(key=task.instance, variables={"iban": "another"}))
    assert str(refused.value).startswith("UNAVAILABLE")
    s.do(c.CompleteTask(task=task.key))
    assert s.words[-1] == "?KEYS_AWAY"
    s.keys.away = False
    s.moves("resolve")
    assert jobs_of(s, "a")[0]["variables"]["x"] == MARK


def test_nothing_blocks_in_the_owners_loop():
    s = ProtectedScenario(model(job("a"), flows("s", "a", "e")))
    soft = s.facts(s.p)
    soft.feel_soft = 10_000
    from flowledger.kernel.decide import decide

    with pytest.raises(Heavy):
        decide(s.p, c.Request(command=c.StartInstance(id="p", variables={"iban": MARK})), soft)
    s.start("p", iban=MARK)


def test_a_caller_makes_no_sealed_value_and_what_was_hidden_comes_back_as_it_was():
    s = ProtectedScenario(model(job("a"), job("b"), flows("s", "a", "b", "e")))
    s.start("p", iban=MARK, free=1)
    stolen = s.p.instances[s.key].vars["iban"]
    with pytest.raises(Refused, match="begins with"):
        s.start("p", free=stolen)
    for hidden in (
        c.SetVariables(key=s.key, variables={"free": [stolen]}),
        c.ModifyInstance(key=s.key, instructions=[{"activate": "b", "variables": {"free": stolen}}]),
        c.PublishMessage(name="M", variables={"deep": {"er": stolen}}),
    ):
        with pytest.raises(Refused, match="begins with"):
            s.do(hidden)
    (task,) = s.p.tasks.values()
    s.do(c.CompleteTask(task=task.key, variables={"iban": MASKED, "free": 2}))
    assert jobs_of(s, "b")[0]["variables"] == {"iban": MARK, "free": 2}


def test_a_value_is_bound_to_its_place():
    s = ProtectedScenario(model(job("a"), flows("s", "a", "e")))
    s.start("p", iban=MARK)
    text = s.p.instances[s.key].vars["iban"]
    moved = text.replace(f".{s.key}.", f".{s.key + 1}.")
    assert s.vault.open("", text, False) == MARK
    assert s.vault.open("", moved, False) == moved
    assert s.vault.open("", text.replace("confidential", "personal"), False) != MARK
    with pytest.raises(Erased):
        s.vault.open("other", text, False)
    assert s.vault.open("", PREFIX + "no", False) == PREFIX + "no"


def test_a_model_that_protects_needs_keys():
    with pytest.raises(Refused) as refused:
        Scenario(model(job("a"), flows("s", "a", "e")))
    (finding,) = [f for f in msgspec.json.decode(refused.value.rejected.message) if f["severity"] == "error"]
    assert finding["code"] == "PROTECTION_WITHOUT_KEYS"


def test_form_fields_protect_by_their_key():
    form = msgspec.json.encode({
        "id": "f", "components": [{"type": "group", "components": [{"type": "textfield", "key": "iban", "properties": {"protect": "personal"}}]}],
    }).decode()  # fmt: skip
    s = ProtectedScenario(model(job("a"), flows("s", "a", "e"), protect=""), resources=[("f.form", form)])
    s.start("p", iban=MARK)
    assert sealed(s.p.instances[s.key].vars["iban"]).cls == "personal"


def test_a_task_without_a_process_is_protected_too():
    s = ProtectedScenario(model(job("a"), flows("s", "a", "e")))
    task = s.do(c.CreateTask(type="service_task", job_type="j", variables={"iban": MARK}))["task"]
    assert jobs_of(s, "j")[0]["variables"] == {"iban": MARK}
    s.do(c.CompleteTask(task=task, variables={"iban": MARK}))
    assert MARK.encode() not in written(s)


def test_tenants_that_protect_nothing_are_left_alone():
    s = ProtectedScenario(model(job("a"), flows("s", "a", "e"), protect=""))
    s.start("p", iban=MARK)
    assert not s.p.protection and s.p.instances[s.key].vars == {"iban": MARK}
    assert any(isinstance(e, wf.WorkflowStarted) for e, _ in s.log)


def test_wrapping_is_changed_while_all_goes_on():
    keys, wrapper = MemoryKeys(), PlainWrapper()
    vault = Vault(keys, wrapper)
    text = vault.seal("", vault.key_of("", "c1", "personal", False), "personal", 7, "x", MARK)
    wrapper.newest = "k2"
    assert vault.rotate() == 1 and vault.rotate() == 0
    assert Vault(keys, wrapper).open("", text, False) == MARK


def test_what_is_made_of_several_classes_has_that_of_the_first_by_name_whoever_decides_it():
    """Names are read from sets, whose order is another in each process."""
    names = [f"v{n}" for n in range(9)]
    protect = "".join(f'<flowledger:protect names="{n}" class="c-{n}"/>' for n in names)
    script = f'<scriptTask id="a"><extensionElements><zeebe:script expression="={" + ".join(reversed(names))}" resultVariable="out"/></extensionElements></scriptTask>'
    mapped = job("b", f'<zeebe:ioMapping><zeebe:input source="={" + ".join(reversed(names))}" target="mine"/></zeebe:ioMapping>')
    s = ProtectedScenario(model(script, mapped, flows("s", "a", "b", "e"), protect=protect))
    s.start("p", **{n: n for n in names})
    i = s.p.instances[s.key]
    (token,) = (t for t in i.tokens.values() if t.vars)
    assert sealed(i.vars["out"]).cls == sealed(token.vars["mine"]).cls == "c-v0"
    (given,) = jobs_of(s, "b")
    assert given["variables"]["mine"] == given["variables"]["out"] == "".join(reversed(names))


@pytest.mark.parametrize(
    ("protect", "said"),
    [
        ('names="iban" search="equality"', ""),
        ('names="iban, number" class="health" search="equality"', ""),
        ('names="iban" search="all"', "expected search=\"equality\", or none, found 'all'"),
        ('names="iban*" search="equality"', "what is searched for has a name of its own, found the pattern 'iban*'"),
    ],
)
def test_a_model_says_what_is_found_by_equality(protect: str, said: str):
    text = model(job("a"), flows("s", "a", "e"), protect=f"<flowledger:protect {protect}/>")
    if not said:
        (definition,) = ProtectedScenario(text).p.definitions.values()
        names = definition.protect["names"]
        assert definition.protect["search"] == sorted(names)
        return
    with pytest.raises(Refused) as refused:
        ProtectedScenario(text)
    (finding,) = [f for f in msgspec.json.decode(refused.value.rejected.message) if f["severity"] == "error"]
    assert (finding["code"], finding["message"]) == ("PROTECT_SEARCH", said)


def test_a_digest_is_of_one_tenant_name_and_value():
    keys, wrapper = MemoryKeys(), PlainWrapper()
    vault = Vault(keys, wrapper)
    known = vault.digest("", "x", "a")
    assert known == Vault(keys, wrapper).digest("", "x", "a") and len(known) == 43
    others = [
        vault.digest("t", "x", "a"),
        vault.digest("", "y", "a"),
        vault.digest("", "x", "b"),
        vault.digest("", "x", ""),
        vault.digest("", "xa", ""),
    ]
    assert len({known, *others}) == 6
    assert vault.digest("", "x", 1) == vault.digest("", "x", 1.0) == vault.digest("", "x", Decimal("1.00")) != vault.digest("", "x", "1")
    assert vault.digest("", "x", 10**30) == vault.digest("", "x", Decimal("1e30")) != vault.digest("", "x", 10**30 + 1)
    assert [vault.digest("", "x", v) for v in (True, None, ["a"], {"a": 1})] == ["", "", "", ""]
