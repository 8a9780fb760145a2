# ruff: noqa: E501 - models are lines
"""Suspend, pause, resume and cancel of whole families: called instances follow, what arrives is kept, what was done is compensated."""

from __future__ import annotations

import msgspec
import pytest
from scenario import Refused, Scenario

from flowledger.events import commands as c

CALL = '.<extensionElements><zeebe:calledElement processId="q"/></extensionElements>'
PARENT = f"startEvent s\ncallActivity ca\n{CALL}\nserviceTask after\ns > ca > after"
CHILD = "process q {\nstartEvent qs\nserviceTask w\nendEvent qe\nqs > w > qe\n}"
MIDDLE = f"process m {{\nstartEvent ms\ncallActivity mc\n{CALL}\nms > mc\n}}"


def move(s: Scenario, what: str, key: int = 0, **more) -> None:
    s.do(c.ControlInstance(key=key or s.key, move=what, **more))


def lease(s: Scenario, job_type: str = "w") -> dict:
    return s.do(c.ActivateTasks(job_type=job_type, worker="x", max=1, timeout_ms=60_000))["jobs"][0]


def states(s: Scenario) -> list[str]:
    return [("paused " if i.paused else "") + i.status for i in s.p.instances.values()]


@pytest.mark.req("D-API-008", "D-API-009", "D-API-019")
@pytest.mark.parametrize("crash", [False, True])
def test_called_instances_follow(crash):
    s = Scenario(PARENT.replace("ca\n", "ca\n", 1).replace('"q"', '"m"'), MIDDLE, CHILD, crash=crash).start("p")
    for there, back, state in (("suspend", "resume", "suspended"), ("pause", "unpause", "paused running")):
        move(s, there)
        assert states(s) == [state] * 3
        assert not s.do(c.ActivateTasks(job_type="w", worker="x", max=1, timeout_ms=60_000))["jobs"]
        move(s, back)
        assert states(s) == ["running"] * 3
    move(s, "suspend", children=False)
    assert states(s) == ["suspended", "running", "running"]


def test_a_called_instance_that_stood_still_by_itself_stays_so():
    s = Scenario(PARENT, CHILD).start("p")
    child = max(s.p.instances)
    move(s, "suspend", child)
    move(s, "suspend")
    move(s, "resume")
    assert states(s) == ["running", "suspended"]
    move(s, "resume", child)
    move(s, "suspend")
    move(s, "resume", child)  # an operator's own word counts
    assert states(s) == ["suspended", "running"]
    s.move("complete w")
    assert states(s) == ["suspended"] and s.at == "ca"
    move(s, "resume")
    assert s.at == "after"


@pytest.mark.req("D-API-009")
@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(
    ("command", "tasks"),
    [
        (lambda job: c.CompleteTask(task=job["key"], fence=job["fence"], variables={"y": 1}), "w z"),
        (lambda job: c.FailTask(task=job["key"], fence=job["fence"], retries=0), "w"),
        (lambda job: c.ThrowTaskError(task=job["key"], fence=job["fence"], code="E"), "w h"),
    ],
)
def test_work_in_hand_is_kept_and_applied_at_resume(command, tasks, crash):
    s = Scenario(
        "startEvent s\nserviceTask w\nboundaryEvent b on=w : error E\nserviceTask h\nserviceTask z\ns > w > z\nb > h", crash=crash
    ).start("p")
    job = lease(s)
    move(s, "suspend")
    s.do(c.ExtendLease(task=job["key"], fence=job["fence"], timeout_ms=60_000))
    s.do(command(job))
    assert s.tasks == "w" and s.at == "w"
    move(s, "resume")
    assert s.tasks == tasks and bool(s.p.incidents) == (tasks == "w")


def test_a_person_can_not_complete_what_stands_still():
    s = Scenario("startEvent s\nuserTask w\n<zeebe:userTask/>\ns > w").start("p")
    move(s, "suspend")
    with pytest.raises(Refused, match="is suspended"):
        s.move("complete w")


def test_the_lease_that_ran_out_meanwhile_costs_no_attempt_and_its_result_counts():
    s = Scenario("startEvent s\nserviceTask w\nserviceTask z\ns > w > z").start("p")
    job = lease(s)
    move(s, "suspend")
    s.do(c.CompleteTask(task=job["key"], fence=job["fence"]))
    s.now_us += 120_000_000
    s.do(c.ExpireLeases(tasks=[job["key"]]))
    assert s.task("w").retries == 3
    move(s, "resume")
    assert s.at == "z"


@pytest.mark.req("D-API-009")
@pytest.mark.parametrize("crash", [False, True])
def test_what_arrives_is_applied_in_order(crash):
    model = "startEvent s\nserviceTask w\n" + "".join(
        f"boundaryEvent {b} on=w cancel=false : {event}\nserviceTask {b}t\n{b} > {b}t\n"
        for b, event in (("bm", "message M = k"), ("bs", "signal S"), ("bt", "timer PT1H"))
    )
    s = Scenario(model + "s > w", crash=crash).start("p", k=7)
    move(s, "suspend")
    s.moves("signal S", "message M 7", "signal S")
    s.now_us += 3_700_000_000
    s.do(c.FireTimers(timers=list(s.p.timers)))
    assert s.tasks == "w"
    move(s, "resume")
    assert s.tasks == "w bst bmt bst btt"


def test_a_message_that_a_cancelled_instance_had_not_taken_finds_another():
    model = "startEvent s\nintermediateCatchEvent w : message M = k\nserviceTask z\ns > w > z"
    s = Scenario(model).start("p", k=7)
    first = s.key
    move(s, "suspend")
    s.start("p", k=7)
    s.do(c.PublishMessage(name="M", correlation_key="7", ttl_ms=60_000))
    assert s.at == "w w"
    s.do(c.CancelInstance(key=first))
    assert s.at == "z"


def test_a_called_instance_ends_in_an_error_while_its_caller_stands_still():
    s = Scenario(PARENT + "\nboundaryEvent b on=ca : error E\nserviceTask h\nb > h", CHILD).start("p")
    move(s, "suspend", children=False)
    s.move("error w E")
    assert s.at == "ca" and not s.p.incidents
    move(s, "resume")
    assert s.at == "h"


# --- cancel -----------------------------------------------------------------------------------------------------------

UNDO = 'serviceTask {0}\nboundaryEvent c{0} on={0} : compensate\nserviceTask u{0} comp=true\n~<association id="as{0}" sourceRef="c{0}" targetRef="u{0}"/>'
STEPS = "startEvent s\n" + UNDO.format("a") + "\n" + UNDO.format("b") + "\nserviceTask w\ns > a > b > w"


@pytest.mark.req("D-API-010", "D-STA-002")
@pytest.mark.parametrize("crash", [False, True])
def test_cancel_compensates_newest_first(crash):
    s = Scenario(STEPS, crash=crash).start("p")
    s.moves("complete a", "complete b")
    assert s.do(c.CancelInstance(key=s.key, reason="enough"))["status"] == "cancelling"
    assert "w^" in s.words and [t.element for t in s.p.tasks.values()] == ["ub"]
    with pytest.raises(Refused, match="being cancelled"):
        s.do(c.CancelInstance(key=s.key))
    s.move("complete ub")
    assert [t.element for t in s.p.tasks.values()] == ["ua"] and "cancelled" not in s.words
    s.move("complete ua")
    assert s.words[-1] == "cancelled" and s.empty


CALLER = """process p {
startEvent s
serviceTask a
boundaryEvent ca on=a : compensate
serviceTask ua comp=true
~<association id="as1" sourceRef="ca" targetRef="ua"/>
callActivity c
<zeebe:calledElement processId="q"/>
endEvent e
s > a > c > e
}
process q {
startEvent qs
serviceTask b
boundaryEvent cb on=b : compensate
serviceTask ub comp=true
~<association id="as2" sourceRef="cb" targetRef="ub"/>
serviceTask k
endEvent qe
qs > b > k > qe
}"""


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("first", [("ua", "ub"), ("ub", "ua")], ids=["the caller's first", "the called one's first"])
def test_a_family_compensates_each_by_itself(first, crash):
    """Called instances are on other partitions, so none waits for another: see docs/bpmn-coverage.md."""
    s = Scenario(CALLER, crash=crash).start("p").moves("complete a", "complete b", "cancel")
    assert sorted(t.element for t in s.p.tasks.values()) == ["ua", "ub"] and "k^" in s.words and "cancelled" not in s.words
    s.move(f"complete {first[0]}")
    assert s.words.count("cancelled") == 1 and len(s.p.instances) == 1
    s.move(f"complete {first[1]}")
    assert s.words.count("cancelled") == 2 and s.empty


@pytest.mark.req("D-STA-002")
@pytest.mark.parametrize("crash", [False, True])
def test_force_ends_at_once(crash):
    s = Scenario(STEPS, crash=crash).start("p")
    s.move("complete a")
    s.do(c.CancelInstance(key=s.key))
    assert s.do(c.CancelInstance(key=s.key, force=True))["status"] == "terminated"
    assert s.words[-1] == "terminated" and s.empty


@pytest.mark.parametrize(
    ("model", "moves", "undone"),
    [
        ("startEvent s\nserviceTask w\ns > w", "", ""),  # nothing to compensate
        (
            f"startEvent s\nsubProcess sp {{\nstartEvent i\n{UNDO.format('a')}\nserviceTask w\ni > a > w\n}}\ns > sp",
            "complete a",
            "ua",
        ),  # inside of what is active
        (
            f"startEvent s\nsubProcess sp {{\nstartEvent i\n{UNDO.format('a')}\ni > a\n}}\nserviceTask w\ns > sp > w",
            "complete a",
            "ua",
        ),  # inside of what is done
        (
            f"startEvent s\n{UNDO.format('a')}\nsubProcess sp {{\nstartEvent i\n{UNDO.format('b')}\nserviceTask w\ni > b > w\n}}\ns > a > sp",
            "complete a; complete b",
            "ub ua",
        ),
        (f"startEvent s\n{UNDO.format('a')}\nuserTask w\n<zeebe:userTask/>\ns > a > w", "complete a; suspend", "ua"),
    ],
)
@pytest.mark.parametrize("crash", [False, True])
def test_what_cancel_compensates(model, moves, undone, crash):
    s = Scenario(model, crash=crash).start("p")
    for text in filter(None, moves.split("; ")):
        move(s, text) if text == "suspend" else s.move(text)
    s.move("cancel")
    for element in undone.split():
        assert [t.element for t in s.p.tasks.values()] == [element]
        s.move(f"complete {element}")
    assert s.words[-1] == "cancelled" and s.empty


def test_called_instances_are_cancelled_alike():
    child = f"process q {{\nstartEvent qs\n{UNDO.format('a')}\nserviceTask w\nqs > a > w\n}}"
    s = Scenario(PARENT, child).start("p")
    s.moves("complete a", "cancel")
    assert states(s) == ["running"] and [t.element for t in s.p.tasks.values()] == ["ua"]
    s.move("complete ua")
    assert s.said("cancelled") == "cancelled cancelled" and s.empty


# --- attempts by time ---------------------------------------------------------------------------------------------------


@pytest.mark.req("WOS-RES-002", "TES-STA-001")
@pytest.mark.parametrize("crash", [False, True])
def test_a_lease_that_runs_out_ends_an_attempt(crash):
    s = Scenario('startEvent s\nserviceTask w\n<zeebe:taskDefinition type="w" retries="2"/>\ns > w', crash=crash).start("p")
    for left, status in ((1, "created"), (0, "timed_out")):
        job = lease(s)
        s.now_us += 61_000_000
        s.do(c.ExpireLeases(tasks=[job["key"]]))
        assert (s.task("w").retries, s.task("w").status) == (left, status)
    assert [x.code for x in s.p.incidents.values()] == ["JOB_NO_RETRIES"]
    with pytest.raises(Refused, match="timed_out"):  # too late
        s.do(c.CompleteTask(task=job["key"], fence=job["fence"]))
    s.move("resolve")
    assert s.task("w").status == "created" and lease(s)


# --- one instance per correlation key ---------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("ends", ["complete w", "cancel"])
def test_a_buffered_message_starts_the_next_instance(ends, crash):
    s = Scenario("startEvent s : message M\nserviceTask w\nendEvent e\ns > w > e", crash=crash)
    for n in (1, 2, 3):
        s.do(c.PublishMessage(name="M", correlation_key="k", variables={"n": n}, ttl_ms=3_600_000))
    seen = []
    for _ in range(3):
        (i,) = s.p.instances.values()
        seen.append(i.vars["n"])
        s.key = i.key
        s.move(ends)
    assert seen == [1, 2, 3] and s.empty and not any(r == "message_start" for r, _ in s.p.records)


def test_an_id_is_free_again_when_the_time_of_its_message_is_over_though_nobody_has_looked():
    s = Scenario("startEvent s\nserviceTask a\nintermediateCatchEvent m : message M = k\nserviceTask b\ns > a > m > b").start("p", k="7")
    first = c.PublishMessage(name="M", correlation_key="7", ttl_ms=1_000, message_id="i", variables={"x": 1})
    s.do(first)
    with pytest.raises(Refused, match="ALREADY_EXISTS"):
        s.do(first)
    s.now_us += 2_000_000
    s.do(msgspec.structs.replace(first, variables={"x": 2}))
    assert [m.vars for m in s.p.messages.values()] == [{"x": 2}]
    s.move("complete a")
    assert s.at == "b" and s.vars["x"] == 2


def test_a_buffered_message_that_has_expired_starts_nothing():
    s = Scenario("startEvent s : message M\nserviceTask w\nendEvent e\ns > w > e")
    for ttl in (3_600_000, 1_000):
        s.do(c.PublishMessage(name="M", correlation_key="k", ttl_ms=ttl))
    s.now_us += 2_000_000
    s.move("complete w")
    assert not s.p.instances


# --- what handlers see ------------------------------------------------------------------------------------------------


def test_a_compensation_handler_sees_the_locals_of_its_scopes():
    inner = f"startEvent i\n{UNDO.format('a')}\ni > a"
    loop = '.<multiInstanceLoopCharacteristics isSequential="true"><extensionElements><zeebe:loopCharacteristics inputCollection="= list" inputElement="item"/></extensionElements></multiInstanceLoopCharacteristics>'
    s = Scenario(f"startEvent s\nsubProcess sp {{\n{inner}\n}}\n{loop}\nendEvent e : compensate\ns > sp > e").start("p", list=["x", "y"])
    s.moves("complete a", "complete a")
    seen = []
    for _ in range(2):
        job = lease(s, "ua") if s.p.ready.get("ua") else None
        task = s.task("ua")
        seen.append(s.i.tokens[task.token].vars["item"])
        s.do(c.CompleteTask(task=task.key, fence=job["fence"] if job else 0))
    assert seen == ["y", "x"] and s.empty


@pytest.mark.parametrize(
    "command", [c.SetVariables(key=0, variables={"x": 1}), c.ControlInstance(key=0, move="suspend"), c.CancelInstance(key=0)]
)
def test_a_command_on_an_instance_looks_through_no_others(command):
    """Among 100,000 instances it would cost each of them; also when its own has ended thereby."""

    class Many(dict):
        def values(self):
            raise AssertionError("all instances were looked through")

    s = Scenario("startEvent s\nserviceTask a\nendEvent e\ns > a > e").start()
    s.check = False
    s.p.instances = Many(s.p.instances)
    s.do(msgspec.structs.replace(command, key=s.key, row_version=s.i.row_version))
