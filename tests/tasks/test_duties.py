"""Separation of duties: who did one piece of work may not do another, whatever rights they have."""

from __future__ import annotations

import pytest
from workbench import HOUR, Bench, bpmn

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events.base import RejectionCode
from flowledger.kernel.access.rights import OPERATOR, SIGNED_IN

pytestmark = pytest.mark.req("D-SEC-002", "APG-ASG-002")


def payment(check: str = 'notBy="enter"', assign: str = "", more: str = "", names: tuple[str, str] = ("enter", "check")) -> str:
    """Enter, then check."""
    enter, check_ = names
    return bpmn(
        f'<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="{enter}"/>'
        f'<userTask id="{enter}"><extensionElements><zeebe:userTask/></extensionElements></userTask>'
        f'<sequenceFlow id="f2" sourceRef="{enter}" targetRef="{check_}"/>'
        f'<userTask id="{check_}"><extensionElements><zeebe:userTask/>{assign}<flowledger:task {check}/></extensionElements></userTask>'
        f'<sequenceFlow id="f3" sourceRef="{check_}" targetRef="e"/><endEvent id="e"/>{more}'
    )


def entered(by: str = "ann", model: str = "", **people: dict) -> Bench:
    b = Bench(model or payment())
    for name, record in people.items():
        b.store("directory", f"user:{name}", **record)
    b.start()
    b.do(c.CompleteTask(task=b.task().key), by)
    assert b.task().element != "enter"
    return b


OWN = ("claim", "start", "progress", "draft", "skip")
GIVING = {"assign": {}, "transfer": {}, "escalate": {}, "claim": {}, "start": {}}


@pytest.mark.parametrize("move", [*OWN, "complete", "fail"])
@pytest.mark.parametrize("rights", [None, [SIGNED_IN, OPERATOR]], ids=["without sign-in", "operator"])
def test_who_did_it_can_not_do_the_other(move, rights):
    b = entered()
    key = b.task().key
    details = {"draft": {"x": 1}} if move == "draft" else None
    command = {"complete": c.CompleteTask(task=key), "fail": c.FailTask(task=key)}.get(move) or c.MoveTask(
        task=key, move=move, details=details
    )
    made = b.ask(command, "ann", rights=rights)
    assert made.code == RejectionCode.FORBIDDEN and "they did 'enter'" in made.message, made
    assert b.task().status == "created"
    b.do(command, "bob", rights=rights)  # another may


@pytest.mark.parametrize("move", GIVING)
def test_nobody_gives_it_to_them(move):
    b = entered()
    key = b.task().key
    assert "they did 'enter'" in b.refused(c.MoveTask(task=key, move=move, details={"assignee": "ann"}), "boss").message
    assert "they did 'enter'" in b.refused(c.MoveTask(task=key, move=move, details={"assignee": "user:ann"}), "boss").message
    b.move(key, move, "bob", assignee="bob")
    assert b.details(key)["assignee"] == "bob"
    assert "they did 'enter'" in b.refused(c.MoveTask(task=key, move="delegate", details={"assignee": "ann"}), "bob").message


def test_they_may_give_it_to_another_and_leave_it():
    b = entered()
    key = b.task().key
    b.move(key, "assign", "ann", assignee="bob")
    b.move(key, "comment", "ann", text="it is the invoice of May")
    b.do(c.CompleteTask(task=key), "bob")
    assert not b.p.instances


def test_who_held_it_did_it_as_well_as_who_completed_it():
    b = Bench(payment())
    b.start()
    key = b.task().key
    b.move(key, "claim", "ann", assignee="ann")
    assert b.ask(c.CompleteTask(task=key), "boss", rights=[SIGNED_IN, OPERATOR]).answer is not None
    for name in ("ann", "boss"):
        assert "they did 'enter'" in b.refused(c.MoveTask(task=b.task().key, move="claim"), name).message


def test_an_instance_knows_nothing_of_another():
    b = entered()
    first = b.key
    b.start()
    (key,) = [t.key for t in b.p.tasks.values() if t.instance != first]
    b.do(c.CompleteTask(task=key), "bob")
    checks = {t.instance: t.key for t in b.p.tasks.values()}
    assert "they did" in b.refused(c.CompleteTask(task=checks[first]), "ann").message
    b.do(c.CompleteTask(task=checks[b.key]), "ann")
    b.do(c.CompleteTask(task=checks[first]), "bob")


def test_the_completion_needs_a_name_on_both_sides():
    b = Bench(payment())
    b.start()
    refused = b.refused(c.CompleteTask(task=b.task().key))
    assert refused.code == RejectionCode.INVALID_ARGUMENT and "has to say who they are" in refused.message
    b.do(c.CompleteTask(task=b.task().key), "ann")
    assert "has to say who they are" in b.refused(c.CompleteTask(task=b.task().key)).message
    b.move(b.task().key, "assign", assignee="bob")
    b.do(c.CompleteTask(task=b.task().key))  # its holder is known


def test_a_program_that_shows_its_lease_is_known_by_its_name():
    job = payment().replace('<userTask id="check"><extensionElements><zeebe:userTask/>', '<userTask id="check"><extensionElements>')
    b = entered("app", job.replace("<flowledger:task", '<zeebe:assignmentDefinition candidateGroups="clerks"/><flowledger:task'))
    (lease,) = b.lease("io.camunda.zeebe:userTask")
    assert "they did 'enter'" in b.refused(c.CompleteTask(task=int(lease["key"]), fence=lease["fence"]), "app").message
    b.do(c.CompleteTask(task=int(lease["key"]), fence=lease["fence"]), "another-app")


CLERKS = {"groups": ["clerks"]}


def test_the_choice_of_an_assignee_passes_over_them():
    b = entered(model=payment('notBy="enter" groups="clerks" strategy="first"'), ann=CLERKS, zoe=CLERKS)
    assert b.details()["assignee"] == "zoe"
    assert b.details()["assignment"]["excluded"] == {"ann": "did 'enter', and this is for another (four eyes)"}
    b = entered(model=payment('notBy="enter" groups="clerks"'), ann=CLERKS)
    assert b.details().get("assignee") is None, "nobody is better than the same"
    b.store("directory", "user:zoe", **CLERKS)
    assert b.details()["assignee"] == "zoe"


@pytest.mark.parametrize("known", [True, False])
def test_a_fallback_is_passed_over_too(known):
    people = {"ann": {"groups": ["others"]}} if known else {}
    b = entered(model=payment('notBy="enter" groups="clerks" fallback="ann,eve"'), **people)
    assert b.details()["assignee"] == "eve"


def test_whom_the_model_names_is_not_who_did_it():
    b = entered(model=payment(assign='<zeebe:assignmentDefinition assignee="ann"/>'))
    assert b.details().get("assignee") is None and b.task().status == "created"
    assert any(isinstance(e, ta.TaskReleased) and "four eyes" in e.reason for e, _ in b.log)
    b = entered(model=payment(assign='<zeebe:assignmentDefinition assignee="bob"/>'))
    assert b.details()["assignee"] == "bob"


def test_a_wish_for_them_is_ignored():
    b = Bench(payment())
    b.start()
    b.do(c.CompleteTask(task=b.task().key, result={"next_assignee": "ann"}), "ann")
    assert b.details().get("assignee") is None
    assert "four eyes" in b.details()["assignment"]["wish"]["reason"]


def test_an_escalation_passes_over_them():
    level = '<flowledger:escalation after="PT1H" to="ann,eve"/>'
    b = entered(model=payment().replace('<flowledger:task notBy="enter"/>', f'<flowledger:task notBy="enter">{level}</flowledger:task>'))
    b.until(2 * HOUR)
    assert b.details()["assignee"] == "eve"
    assert any(isinstance(e, ta.TaskEscalated) and "passed over" in e.reason and "ann" in e.reason for e, _ in b.log)


def test_each_run_of_a_task_by_another():
    runs = "<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"
    model = bpmn(
        '<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="vote"/><userTask id="vote"><extensionElements><zeebe:userTask/>'
        f'<flowledger:task notBy="vote"/></extensionElements>{runs}</userTask><sequenceFlow id="f2" sourceRef="vote" targetRef="e"/><endEvent id="e"/>'
    )
    b = Bench(model)
    b.start()
    first, second = sorted(b.p.tasks)
    b.do(c.CompleteTask(task=first), "ann")
    assert "they did 'vote'" in b.refused(c.CompleteTask(task=second), "ann").message
    b.do(c.CompleteTask(task=second), "bob")
    assert not b.p.instances


def test_in_a_sub_process_of_the_same_process():
    inner = (
        '<subProcess id="sub"><startEvent id="s2"/><sequenceFlow id="g1" sourceRef="s2" targetRef="check"/><userTask id="check"><extensionElements>'
        '<zeebe:userTask/><flowledger:task notBy="enter"/></extensionElements></userTask></subProcess>'
    )
    model = bpmn(
        '<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="enter"/><userTask id="enter"><extensionElements><zeebe:userTask/>'
        f'</extensionElements></userTask><sequenceFlow id="f2" sourceRef="enter" targetRef="sub"/>{inner}'
    )
    b = entered(model=model)
    assert "they did 'enter'" in b.refused(c.CompleteTask(task=b.task().key), "ann").message


def test_a_migration_carries_who_did_what():
    b = entered()
    b.do(c.Deploy(resources=[c.Resource("m0.bpmn", payment('notBy="type-in"', names=("type-in", "look")))]))
    target = max(d.key for d in b.p.definitions.values())
    answer = b.do(c.MigrateInstance(key=b.key, definition=target, elements={"enter": "type-in", "check": "look"}))
    assert not any("separation" in w for w in answer.get("warnings", ()))
    assert "they did" in b.refused(c.CompleteTask(task=b.task().key), "ann").message
    b.do(c.ModifyInstance(key=b.key, instructions=[{"activate": "look"}]))
    for key in b.p.tasks:
        assert "they did" in b.refused(c.CompleteTask(task=key), "ann").message


def test_a_migration_tells_what_was_not_noted():
    b = Bench(payment('sla="PT8H"'))
    b.start()
    b.do(c.CompleteTask(task=b.task().key), "ann")
    b.do(c.Deploy(resources=[c.Resource("m0.bpmn", payment())]))
    answer = b.do(c.MigrateInstance(key=b.key, definition=max(d.key for d in b.p.definitions.values()), elements={"check": "check"}))
    assert any("who did 'enter' so far isn't known" in w for w in answer["warnings"])


def test_without_the_word_nothing_is_noted():
    b = Bench(payment('sla="PT8H"'))
    b.start()
    b.do(c.CompleteTask(task=b.task().key), "ann")
    assert not b.p.instances[b.key].stores and "TokenNoted" not in {type(e).__name__ for e, _ in b.log}
    b.do(c.CompleteTask(task=b.task().key), "ann")


def test_what_was_said_while_the_instance_stood_still_is_looked_at_when_it_goes_on():
    """Two results of one program were both kept then, since neither had happened yet."""
    runs = "<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"
    model = bpmn(
        '<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="vote"/><userTask id="vote"><extensionElements>'
        '<zeebe:assignmentDefinition candidateGroups="clerks"/><flowledger:task notBy="vote"/></extensionElements>'
        f'{runs}</userTask><sequenceFlow id="f2" sourceRef="vote" targetRef="e"/><endEvent id="e"/>'
    )
    b = Bench(model)
    b.start()
    jobs = b.lease("io.camunda.zeebe:userTask")
    b.do(c.ControlInstance(key=b.key, move="suspend"))
    for job in jobs:
        b.do(c.CompleteTask(task=int(job["key"]), fence=job["fence"]), "app")
    b.do(c.ControlInstance(key=b.key, move="resume"))
    (left,) = b.p.tasks.values()
    assert b.p.instances[b.key].stores["done_by:vote"] == ["app"]
    b.do(c.CompleteTask(task=left.key, fence=left.fence), "another")
    assert not b.p.instances
