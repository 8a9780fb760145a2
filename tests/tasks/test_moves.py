"""Every move from every status: done, or refused with its reason. After each, live, folded and restored state are the same."""

from xml.sax.saxutils import quoteattr

import pytest
from workbench import MINUTE, START_US, Bench, bpmn, one, service, user

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.kernel.handlers import moves

#: how a task comes into each status
INTO = {
    "created": [],
    "assigned": [("assign", {"assignee": "ann"})],
    "started": [("assign", {"assignee": "ann"}), ("start", {})],
    "in_progress": [("assign", {"assignee": "ann"}), ("progress", {"percent": 10})],
    "suspended": [("assign", {"assignee": "ann"}), ("suspend", {})],
    "failed": None,
}
#: what a move needs
GIVEN = {
    "assign": {"assignee": "bob"}, "claim": {"assignee": "ann"}, "progress": {"percent": 50}, "draft": {"draft": {"a": 1}}, "delegate": {"assignee": "bob"},
    "transfer": {"assignee": "bob"}, "escalate": {"assignee": "boss"}, "comment": {"text": "hm"}, "attach": {"name": "a.pdf", "uri": "s3://b/a.pdf"},
    "update": {"priority": 80},
}  # fmt: skip
AFTER = {"refuse": "created", "resume": "assigned", "transfer": "assigned", "escalate": "assigned"}
SINGLE = [m for m in moves.MOVES if m not in ("complete", "fail", "recall", "retry")]


def in_status(b: Bench, status: str) -> int:
    task = b.create(name="check")
    if status == "failed":
        b.do(c.FailTask(task=task, retries=0, message="no"))
    for move, details in INTO[status] or ():
        b.move(task, move, **details)
    assert b.task(task).status == status
    return task


@pytest.mark.req("APG-STA-001")
def test_from_pending_to_completed():
    """The statuses of a task in their order, those of the way aside among them; each is what the map of moves says."""
    b = Bench()
    task = b.create(name="check")
    course = [
        ("created", "assign", {"assignee": "ann"}), ("assigned", "start", {}), ("started", "progress", {"percent": 50}),
        ("in_progress", "suspend", {}), ("suspended", "resume", {}), ("in_progress", "complete", {}),
    ]  # fmt: skip
    for status, move, details in course:
        assert b.task(task).status == status
        if move == "complete":
            b.do(c.CompleteTask(task=task), "ann")
            break
        _, allowed, after = moves.MOVES[move]
        assert status in allowed
        told = b.move(task, move, "ann", **details)
        assert told["status"] == b.task(task).status and after in (told["status"], "*")
    assert task not in b.p.tasks
    [over] = b.events(ta.TaskCompleted)
    assert over.status == "success"


@pytest.mark.parametrize("status", INTO)
@pytest.mark.parametrize("move", SINGLE)
@pytest.mark.req("D-STA-004")
def test_each_move_from_each_status(move, status):
    b = Bench()
    task = in_status(b, status)
    event, allowed, after = moves.MOVES[move]
    command = c.MoveTask(task=task, move=move, reason="because", details=GIVEN.get(move))
    if status not in allowed:
        refused = b.refused(command, "ann")
        assert refused.code == "INVALID_STATE" and f"can't {move}" in refused.message and f"it is {status}" in refused.message
        return
    before = b.task(task).row_version
    answer = b.do(command, "ann")
    made = next(e for e in b.last if isinstance(e, event))
    assert "because" in made.reason and b.log[-1][1].actor == "ann"
    if move in ("skip", "cancel"):
        assert answer["status"] == {"skip": "skipped", "cancel": "cancelled"}[move] and task not in b.p.tasks
    else:
        assert answer == {**answer, "status": AFTER.get(move) or after or status, "row_version": b.task(task).row_version}
        assert b.task(task).row_version > before


@pytest.mark.parametrize("status", INTO)
def test_a_result_is_taken_from_open_statuses_only(status):
    b = Bench()
    task = in_status(b, status)
    command = c.CompleteTask(task=task, variables={"ok": True})
    if status in moves.MOVES["complete"][1]:
        b.do(command)
        assert task not in b.p.tasks
    else:
        assert "expected assigned or created" in b.refused(command).message


def test_the_table_of_moves_names_real_statuses_and_every_changing_event():
    known = {"created", "assigned", "started", "in_progress", "suspended", "failed", "timed_out"}
    for move, (_, allowed, after) in moves.MOVES.items():
        assert allowed <= known and after in {*known, "", "*"}, move
        assert move in moves.PREPARE or move in moves.MAKE or move in ("complete", "fail"), move
    assert {e for e, _, _ in moves.MOVES.values()} >= set(ta.TaskChanged.__subclasses__()), "every people's event has a move"


@pytest.mark.parametrize(
    ("move", "details", "why"),
    [
        ("dance", {}, "expected one of assign, claim"),
        ("complete", {}, "expected one of assign"),
        ("assign", {}, "expected `assignee` as a text"),
        ("assign", {"assignee": 5}, "found 5"),
        ("assign", {"assignee": "bob", "job_type": "x"}, "without job_type"),
        ("progress", {"percent": 101}, "0 to 100"),
        ("progress", {"percent": True}, "0 to 100"),
        ("progress", {"percent": "x"}, "0 to 100"),
        ("draft", {"draft": "text"}, "`draft` as an object"),
        ("comment", {}, "`text`"),
        ("comment", {"text": "x" * (moves.TEXT_MAX + 1)}, "at most"),
        ("attach", {"name": "a"}, "`uri`"),
        ("attach", {"remove": "nothing"}, "an attachment 'nothing'"),
        ("update", {}, "details to change"),
        ("update", {"priority": 101}, "0 to 100"),
        ("update", {"due_us": "tomorrow"}, "microseconds"),
        ("transfer", {}, "an assignee, or candidate_groups"),
        ("escalate", {}, "no further level"),
        ("retry", {"retries": 0}, "one attempt or more"),
        ("retry", {"retry": {"strategy": "hope"}}, "expected one of fixed"),
        ("retry", {"retry": {"max_attempts": 3, "max_retries": 5}}, "disagree: 3 and 6"),
    ],
)
def test_a_move_that_is_wrong_says_so_and_leaves_no_trace(move, details, why):
    b = Bench()
    task = b.create(name="check")
    assert why in b.refused(c.MoveTask(task=task, move=move, details=details or None)).message


@pytest.mark.req("TES-DAT-001")
def test_two_who_saw_the_same_version_only_one_wins():
    b = Bench()
    task = b.create(name="check")
    seen = b.task(task).row_version
    b.do(c.MoveTask(task=task, move="claim", row_version=seen + 0, details={"assignee": "ann"}))
    seen = b.task(task).row_version
    b.do(c.MoveTask(task=task, move="comment", row_version=seen, details={"text": "mine"}))
    assert b.refused(c.MoveTask(task=task, move="comment", row_version=seen, details={"text": "late"})).code == "STALE"
    assert b.refused(c.CompleteTask(task=task, row_version=seen)).code == "STALE"


def test_a_claim_is_for_candidates_and_for_one():
    b = Bench()
    b.store("directory", "user:ann", groups=["clerks"])
    b.store("directory", "user:eve", groups=["guests"])
    task = b.create(name="check", details={"candidate_groups": ["clerks"]})
    assert b.refused(c.MoveTask(task=task, move="claim"), "eve").code == "FORBIDDEN"
    b.move(task, "claim", "ann")
    assert "held by 'ann'" in b.refused(c.MoveTask(task=task, move="claim"), "bob").message
    assert "held by 'ann'" in b.refused(c.MoveTask(task=task, move="start"), "bob").message
    b.move(task, "start", "ann")
    b.move(task, "release", "ann")
    assert b.task(task).status == "created" and "assignee" not in b.details(task)


@pytest.mark.req("APG-HUM-003", "APG-HUM-007")
def test_the_delegator_keeps_oversight_and_can_recall():
    b = Bench()
    task = b.create(name="check", variables={"in": 1})
    b.move(task, "claim", "ann")
    b.move(task, "draft", "ann", draft={"text": "so far"})
    b.move(task, "delegate", "ann", "busy", assignee="bob")
    b.move(task, "delegate", "bob", assignee="cy")
    assert [(h["from"], h["to"]) for h in b.details(task)["delegations"]] == [("ann", "bob"), ("bob", "cy")]
    assert b.refused(c.MoveTask(task=task, move="recall"), "eve").code == "FORBIDDEN"
    b.move(task, "recall", "ann")
    assert b.details(task)["assignee"] == "ann" and "delegations" not in b.details(task) and b.details(task)["draft"] == {"text": "so far"}
    assert "delegated by nobody" in b.refused(c.MoveTask(task=task, move="recall"), "ann").message
    b.move(task, "transfer", "ann", "for good", assignee="bob")
    assert b.refused(c.MoveTask(task=task, move="recall"), "ann").code == "INVALID_STATE"
    assert b.task(task).vars == {"in": 1}


@pytest.mark.req("D-EVT-007", "WSM-TSK-001")
def test_a_scripted_life_emits_all_eleven_events():
    b = Bench(one(user()))
    b.start()
    task = b.task().key
    for move, actor, details in [
        ("assign", "boss", {"assignee": "ann"}), ("start", "ann", {}), ("progress", "ann", {"percent": 30}), ("suspend", "ann", {}), ("resume", "ann", {}),
        ("delegate", "ann", {"assignee": "bob"}), ("escalate", "bob", {"assignee": "boss"}),
    ]:  # fmt: skip
        b.move(task, move, actor, **details)
    b.do(c.FailTask(task=task, retries=2, message="again"))
    b.move(task, "cancel", reason="not needed")
    incident = next(iter(b.p.incidents))
    assert b.p.incidents[incident].code == "TASK_CANCELLED"
    b.do(c.ResolveIncident(key=incident))
    b.do(c.CompleteTask(task=b.task().key))
    assert not b.p.instances and not b.p.tasks
    assert {"TaskCreated", "TaskAssigned", "TaskStarted", "TaskProgress", "TaskSuspended", "TaskResumed", "TaskCompleted", "TaskFailed", "TaskCancelled",
            "TaskDelegated", "TaskEscalated"} <= set(b.words())  # fmt: skip


def test_a_cancelled_task_goes_to_its_handler():
    boundary = (
        '<boundaryEvent id="b" attachedToRef="t"><errorEventDefinition errorRef="gone"/></boundaryEvent>'
        '<sequenceFlow id="f3" sourceRef="b" targetRef="e2"/><endEvent id="e2"/>'
    )
    b = Bench(one(user(), boundary))
    b.start()
    b.move(b.task().key, "cancel")
    assert not b.p.instances and not b.p.incidents


@pytest.mark.req("D-STA-004")
def test_skipping_lets_the_flow_go_on():
    b = Bench(one(user()))
    b.start()
    b.move(b.task().key, "skip", "op", "not today")
    assert not b.p.instances
    (skipped,) = b.events(ta.TaskSkipped)
    assert skipped.reason == "not today"


@pytest.mark.req("APG-TSK-003")
def test_a_false_condition_skips_the_task():
    b = Bench(
        one(
            '<userTask id="t"><extensionElements><zeebe:userTask/><flowledger:task condition="=amount &gt; 10"/></extensionElements></userTask>'
        )
    )
    b.start(amount=5)
    assert not b.p.instances and len(b.events(ta.TaskSkipped)) == 1
    b.start(amount=50)
    assert b.task().status == "created"


def test_suspending_stops_the_clock_and_a_worker_s_late_result():
    b = Bench(one(service()))
    b.start()
    (job,) = b.lease()
    b.move(job["key"], "suspend")
    assert "it is suspended" in b.refused(c.CompleteTask(task=job["key"])).message
    assert b.lease() == []
    b.move(job["key"], "resume")
    b.do(c.CompleteTask(task=job["key"], fence=job["fence"]))
    assert not b.p.instances


def test_a_suspended_task_is_not_handed_out_and_comes_back():
    b = Bench(one(service()))
    b.start()
    b.move(b.task().key, "suspend")
    assert b.lease() == []
    b.until(MINUTE)
    b.move(b.task().key, "resume")
    assert len(b.lease()) == 1 and b.details()["clock_us"] == MINUTE


@pytest.mark.req("D-STA-007")
def test_streamed_results_are_numbered_events_and_leave_the_lease():
    b = Bench(one(service()))
    b.start()
    (job,) = b.lease()
    for n in range(3):
        b.move(job["key"], "progress", "w", chunk={"row": n})
    assert [(e.details["chunks"], e.details["chunk"]) for e in b.events(ta.TaskProgress)] == [
        (1, {"row": 0}),
        (2, {"row": 1}),
        (3, {"row": 2}),
    ]
    assert b.task().worker == "w"
    b.until(2 * MINUTE)  # the worker is gone: what it streamed stands, the work is handed out again
    assert len(b.lease()) == 1


@pytest.mark.req("D-API-021")
def test_retry_with_another_policy_resolves_the_incident():
    b = Bench(one(service()))
    b.start()
    (job,) = b.lease()
    b.do(c.FailTask(task=job["key"], retries=0, message="broken"))
    assert b.task().status == "failed" and b.p.incidents
    assert "it is failed" in b.refused(c.CompleteTask(task=job["key"])).message
    b.move(job["key"], "retry", "op", retry={"max_attempts": 2, "strategy": "linear", "initial_ms": 5_000})
    assert not b.p.incidents and b.task().retries == 2
    b.lease()
    answer = b.do(c.FailTask(task=job["key"]))
    assert answer["retries"] == 1 and answer["retry_at_us"] == b.now_us + 2 * 5 * 1_000_000, "the second attempt: twice the step"


def test_attachments_are_references_and_can_be_replaced_and_removed():
    b = Bench()
    task = b.create(name="check")
    b.move(task, "attach", "ann", name="a.pdf", uri="s3://b/1", size=10)
    b.move(task, "attach", "bob", name="a.pdf", uri="s3://b/2")
    b.move(task, "attach", "bob", name="b.pdf", uri="s3://b/3", media_type="application/pdf")
    assert [(a["name"], a["uri"], a["by"]) for a in b.details(task)["attachments"]] == [
        ("a.pdf", "s3://b/2", "bob"),
        ("b.pdf", "s3://b/3", "bob"),
    ]
    b.move(task, "attach", "bob", remove="a.pdf")
    b.move(task, "attach", "bob", remove="b.pdf")
    assert "attachments" not in b.details(task)


@pytest.mark.req("TES-TSK-001")
def test_a_task_without_workflow_lives_and_ends():
    b = Bench()
    task = b.create(name="call back", type="human_task", details={"assignee": "ann", "due_us": START_US + MINUTE}, variables={"phone": "1"})
    assert b.task(task).status == "assigned" and len(b.p.timers) == 1
    b.do(
        c.CompleteTask(
            task=task, variables={"done": True}, status="partial_success", result={"artifacts": [{"uri": "s3://x"}], "logs": ["called"]}
        ),
        "ann",
    )
    assert not b.p.tasks and not b.p.timers
    (done,) = b.events(ta.TaskCompleted)
    assert done.status == "partial_success" and done.result["artifacts"] == [{"uri": "s3://x"}]
    assert b.refused(c.CompleteTask(task=task)).code == "NOT_FOUND"


@pytest.mark.req("D-STA-006")
def test_a_hybrid_task_is_drafted_by_an_agent_and_confirmed_by_a_person():
    b = Bench(one(user('<flowledger:task strategy="first" users="agent:writer" assigneeKind="hybrid"/>')))
    b.store("directory", "agent:writer", kind="ai_agent", job_type="write")
    b.start()
    (job,) = b.lease("write")
    b.do(c.CompleteTask(task=job["key"], variables={"text": "dear"}, fence=job["fence"]), "agent:writer")
    task = b.task()
    assert (
        task.status == "created"
        and not task.worker
        and task.details["draft"] == {"text": "dear"}
        and task.details["drafted_by"] == "agent:writer"
    )
    assert b.lease("write") == []
    b.move(task.key, "claim", "ann")
    b.do(c.CompleteTask(task=task.key, variables={"text": "dear all"}), "ann")
    assert not b.p.instances


def test_in_other_hands_the_worker_s_late_answer_is_refused():
    b = Bench(one(service()))
    b.start()
    (job,) = b.lease()
    b.move(job["key"], "assign", "op", assignee="ann")
    assert b.refused(c.CompleteTask(task=job["key"], fence=job["fence"])).code == "STALE" and b.lease() == []
    b.store("directory", "agent:x", kind="ai_agent")
    b.move(job["key"], "assign", "op", assignee="agent:x")
    (again,) = b.lease()
    b.do(c.CompleteTask(task=again["key"], fence=again["fence"]))
    assert not b.p.instances


@pytest.mark.req("D-STA-010")
def test_a_partial_success_takes_its_own_flow():
    model = (
        '<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>{0}<sequenceFlow id="f2" sourceRef="t" targetRef="g"/>'
        '<exclusiveGateway id="g" default="f3"/><sequenceFlow id="f3" sourceRef="g" targetRef="e"/><endEvent id="e"/>'
        '<sequenceFlow id="f4" sourceRef="g" targetRef="rest"><conditionExpression>=how = "partial_success"</conditionExpression></sequenceFlow>'
        '<userTask id="rest"><extensionElements><zeebe:userTask/></extensionElements></userTask>'
    )
    b = Bench(bpmn(model.format(service('<flowledger:task statusVariable="how"/>'))))
    for status, left in (("success", []), ("partial_success", ["rest"])):
        b.start()
        (job,) = b.lease()
        b.do(c.CompleteTask(task=job["key"], variables={"n": 1}, status=status))
        assert [t.element for t in b.p.tasks.values()] == left


@pytest.mark.req("TES-HUM-002")
@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("Acme", "Acme"), ("=customer.name", "Café 🚲"), ('=customer.name + ", " + string(total)', "Café 🚲, 17"), ("=total", "17"),
        ("=late", "false"), ("=[total, total]", "[17,17]"), ("=long", "x" * 254 + "…"), ("=whole", "y" * 255), ("=missing", None), ('=""', None),
    ],
)  # fmt: skip
def test_a_task_says_what_it_is_about(model: str, shown: str | None):
    """A text to show, by an expression on what its token sees; nothing where that is nothing, and cut where it is too long for a row."""
    b = Bench(one(user(f"<flowledger:task reference={quoteattr(model)}/>")))
    b.start(customer={"name": "Café 🚲"}, total=17, late=False, long="x" * 300, whole="y" * 255)
    (task,) = b.p.tasks.values()
    assert (task.details or {}).get("reference") == shown


def test_an_unknown_result_status_is_refused():
    b = Bench()
    task = b.create(name="x")
    assert "success or partial_success" in b.refused(c.CompleteTask(task=task, status="great")).message
