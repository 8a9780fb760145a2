"""Step-up: work of people that is marked is done by who has just shown a passkey, whatever door is taken and whatever rights they have."""

from __future__ import annotations

import msgspec
import pytest
from workbench import SECOND, Bench, bpmn, one, user

from flowledger.events import commands as c
from flowledger.events import operations as op
from flowledger.events import task as ta
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.commands import Origin, Proof
from flowledger.kernel.access.rights import OPERATOR, SIGNED_IN
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Decision
from flowledger.kernel.fold import evolve
from flowledger.kernel.operations import PROOF_MAX, worth_telling
from flowledger.kernel.tasks.step_up import FRESH_US, SKEW_US

pytestmark = pytest.mark.req("APG-DIF-007")
MARKED = '<flowledger:task stepUp="true"/>'


def proof(b: Bench, actor: str = "ann", age_us: int = 0, **more: str) -> Proof:
    return Proof(credential="cred", actor=actor, at_us=b.now_us - age_us, request="ab" * 32, nonce="cd" * 32, **more)


def asked(
    b: Bench, command: c.AnyCommand, actor: str = "ann", shown: Proof | None = None, plan: str = "", **more: object
) -> Decision | Rejected:
    origin = Origin("http", proof=shown)
    made = decide(b.p, c.Request(command=command, actor=actor, origin=origin, plan=plan, **more), b.facts())  # type: ignore[arg-type]
    if isinstance(made, Decision) and not plan:
        b.last = made.events
        for event, envelope in zip(made.events, made.envelopes, strict=True):
            b.log.append((event, envelope))
            evolve(b.folded, event, envelope)
    return made


def begun(model: str = "") -> tuple[Bench, int]:
    b = Bench(model or one(user(MARKED)))
    b.start()
    return b, b.task().key


def ways(key: int) -> dict[str, c.AnyCommand]:
    return {"complete": c.CompleteTask(task=key), "skip": c.MoveTask(task=key, move="skip"), "error": c.ThrowTaskError(task=key, code="E1")}


@pytest.mark.parametrize("way", ["complete", "skip", "error"])
@pytest.mark.parametrize("rights", [None, [SIGNED_IN, OPERATOR]], ids=["without sign-in", "operator"])
def test_without_a_proof_it_is_not_done_by_anybody(way, rights):
    b, key = begun()
    for made in (b.ask(ways(key)[way], "ann", rights=rights), asked(b, ways(key)[way], rights=rights)):
        assert isinstance(made, Rejected) and made.code == RejectionCode.STEP_UP_NEEDED and "found none" in made.message, made
    assert b.task().status == "created"
    assert isinstance(asked(b, ways(key)[way], shown=proof(b), rights=rights), Decision)


def test_the_proof_stands_in_the_event_that_tells_who_asked():
    b, key = begun()
    made = asked(b, c.CompleteTask(task=key, variables={"secret": 1}), shown=proof(b, client="c" * (PROOF_MAX + 5), signature="s"))
    assert isinstance(made, Decision) and any(isinstance(e, ta.TaskCompleted) for e in made.events)
    [told] = [e for e in made.events if isinstance(e, op.OperationAsked)]
    assert told.operation == "complete_task" and told.subject == str(key)
    kept = told.details["proof"]
    assert kept == {
        "credential": "cred", "actor": "ann", "at_us": b.now_us, "request": "ab" * 32, "nonce": "cd" * 32, "client": "c" * PROOF_MAX, "signature": "s",
    }  # fmt: skip


@pytest.mark.parametrize(("age_us", "good"), [(FRESH_US, True), (FRESH_US + 1, False), (-SKEW_US, True), (-SKEW_US - 1, False), (0, True)])
def test_a_proof_is_fresh_for_five_minutes(age_us, good):
    b, key = begun()
    b.now_us += 1000 * SECOND
    made = asked(b, c.CompleteTask(task=key), shown=proof(b, age_us=age_us))
    assert isinstance(made, Decision) is good
    if not good:
        assert "seconds old" in made.message  # type: ignore[union-attr]


def test_the_proof_of_another_is_none():
    b, key = begun()
    for shown in (proof(b, "bob"), msgspec.structs.replace(proof(b), credential="")):
        made = asked(b, c.CompleteTask(task=key), shown=shown)
        assert isinstance(made, Rejected) and made.code == RejectionCode.STEP_UP_NEEDED


def test_what_is_not_marked_needs_none_and_other_moves_neither():
    b, key = begun(one(user('<flowledger:task stepUp="false"/>')))
    b.do(c.CompleteTask(task=key), "ann")
    b, key = begun()
    for move in ("claim", "start", "progress", "draft", "comment", "release"):
        b.do(
            c.MoveTask(task=key, move=move, details={"draft": {}} if move == "draft" else {"text": "t"} if move == "comment" else None),
            "ann",
        )
    b.do(c.FailTask(task=key, message="no", retries=3), "ann")


def test_who_only_looks_needs_none():
    b, key = begun()
    assert isinstance(asked(b, c.CompleteTask(task=key), plan=c.DRY_RUN), Decision)


def test_a_program_with_a_lease_of_the_work_needs_one_too():
    job = f'<zeebe:assignmentDefinition candidateGroups="clerks"/>{MARKED}'
    b, key = begun(one(f'<userTask id="t"><extensionElements>{job}</extensionElements></userTask>'))
    (lease,) = b.lease("io.camunda.zeebe:userTask")
    made = b.ask(c.CompleteTask(task=key, fence=lease["fence"]), "app")
    assert isinstance(made, Rejected) and made.code == RejectionCode.STEP_UP_NEEDED


def test_what_came_with_a_proof_while_it_was_held_is_done_at_its_release():
    job = f'<zeebe:assignmentDefinition candidateGroups="clerks"/>{MARKED}'
    b, key = begun(one(f'<userTask id="t"><extensionElements>{job}</extensionElements></userTask>'))
    (lease,) = b.lease("io.camunda.zeebe:userTask")
    b.do(c.ControlInstance(key=b.key, move="suspend"))
    done = c.CompleteTask(task=key, fence=lease["fence"])
    assert isinstance(asked(b, done, "app"), Rejected), "held or not"
    assert isinstance(asked(b, done, "app", shown=proof(b, "app")), Decision) and b.p.tasks, "it is kept"
    b.now_us += 2 * FRESH_US
    b.do(c.ControlInstance(key=b.key, move="resume"))
    assert not b.p.instances, "it was looked at when it came"


def test_each_of_many_is_asked_for_by_itself():
    body = '<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>' + user(MARKED).replace(
        "</userTask>",
        '<multiInstanceLoopCharacteristics><extensionElements><zeebe:loopCharacteristics inputCollection="=[1,2]" inputElement="x"/>'
        "</extensionElements></multiInstanceLoopCharacteristics></userTask>",
    ) + '<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/>'  # fmt: skip
    b, _ = begun(bpmn(body))
    for key in list(b.p.tasks):
        assert isinstance(b.ask(c.CompleteTask(task=key), "ann"), Rejected)
        assert isinstance(asked(b, c.CompleteTask(task=key), shown=proof(b)), Decision)
    assert not b.p.instances


def test_that_it_was_asked_for_is_no_refusal_to_be_told():
    b, key = begun()
    request = c.Request(command=c.CompleteTask(task=key), actor="ann", origin=Origin("http"))
    assert not worth_telling(request, Rejected(RejectionCode.STEP_UP_NEEDED, ""))


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ('userTask id="t"', ["STEP_UP_INVALID"]), ('serviceTask id="t"', ["STEP_UP_INVALID"]),
    ],
)  # fmt: skip
def test_a_model_says_true_or_false_of_work_of_people(task, found):
    kind = task.partition(" ")[0]
    value = "yes" if kind == "userTask" else "true"
    model = one(
        f'<{task}><extensionElements><zeebe:taskDefinition type="w"/><flowledger:task stepUp="{value}"/></extensionElements></{kind}>'
    )
    b = Bench()
    made = b.ask(c.Deploy(resources=[c.Resource("m.bpmn", model)]))
    assert isinstance(made, Rejected) and [f["code"] for f in msgspec.json.decode(made.message) if f["severity"] == "error"] == found


def test_in_a_trial_nobody_is_there_to_show_one():
    from flowledger.sdk.testing import Engine

    engine = Engine()
    engine.deploy({"p.bpmn": one(user(MARKED))})
    run = engine.start("p")
    run.task("t").complete(by="ann")
    assert run.status == "completed"
