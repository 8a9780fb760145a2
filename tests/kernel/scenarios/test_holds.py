# ruff: noqa: E501 - models are lines
"""Holds: each scope, each mode, whatever arrives; live, and with a take-over after every command (replay equals live)."""

from __future__ import annotations

import typing

import pytest
from scenario import Refused, Scenario, image

from flowledger.events import commands as c
from flowledger.events import holds as ho
from flowledger.events import workflow as wf
from flowledger.kernel import checkpoint, holding
from flowledger.kernel.handlers import holds, keeping
from flowledger.kernel.handlers.while_held import KEEP, REFUSE, RUN, START, WHILE_HELD
from flowledger.kernel.state import Partition

CALL = '.<extensionElements><zeebe:calledElement processId="q"/></extensionElements>'
EVENTS = "".join(
    f"boundaryEvent {b} on=w cancel=false : {event}\nserviceTask {b}t\n{b} > {b}t\n"
    for b, event in (("bm", "message M = k"), ("bs", "signal S"), ("bt", "timer PT1H"), ("bc", "conditional x > 1"))
)
MODEL = f"startEvent s\nserviceTask w\nboundaryEvent be on=w : error E\nserviceTask bet\nserviceTask z\n{EVENTS}s > w > z\nbe > bet"
SUBJECTS = {
    "instance": lambda s: str(s.key), "definition": lambda s: "p", "version": lambda s: str(s.i.definition), "element": lambda s: "p/w",
    "job_type": lambda s: "w", "target": lambda s: "job:w", "tenant": lambda s: "",
}  # fmt: skip
CRASH = pytest.mark.parametrize("crash", [False, True], ids=["live", "crash"])
SCOPES = pytest.mark.parametrize("scope", holding.SCOPES)


def hold(s: Scenario, scope: str, subject: str = "", mode: str = "suspend", **more) -> int:
    return s.do(c.PlaceHold(scope=scope, subject=subject or (SUBJECTS[scope](s) if scope != "tenant" else ""), mode=mode, **more))["key"]


def due(s: Scenario) -> None:
    """What is due by now fires, as the owner's shell brings it."""
    while timers := [t.key for t in s.p.timers.values() if t.due_us <= s.now_us]:
        before = s.p.meta.counter, len(s.log)
        s.do(c.FireTimers(timers=timers))
        if (s.p.meta.counter, len(s.log)) == before:
            return


def release(s: Scenario, key: int, **more) -> None:
    s.do(c.ReleaseHold(key=key, **more))
    due(s)
    assert key not in s.p.holds


def lease(s: Scenario, job_type: str = "w") -> dict:
    return s.do(c.ActivateTasks(job_type=job_type, worker="x", max=1, timeout_ms=60_000))["jobs"][0]


def handed_out(s: Scenario, job_type: str = "w") -> int:
    return len(s.do(c.ActivateTasks(job_type=job_type, worker="y", max=9, timeout_ms=60_000))["jobs"])


#: what arrives -> what it comes to
ARRIVALS: dict[str, tuple[typing.Callable[[Scenario, dict], object], str]] = {
    "message": (lambda s, job: s.move("message M 7"), "w bmt"),
    "signal": (lambda s, job: s.move("signal S"), "w bst"),
    "timer": (lambda s, job: s.move("tick bt"), "w btt"),
    "condition": (lambda s, job: s.move("set x=2"), "w bct"),
    "completion": (lambda s, job: s.do(c.CompleteTask(task=job["key"], fence=job["fence"], variables={"y": 1})), "w z"),
    "failure": (lambda s, job: s.do(c.FailTask(task=job["key"], fence=job["fence"], retries=0)), "w"),
    "error": (lambda s, job: s.do(c.ThrowTaskError(task=job["key"], fence=job["fence"], code="E")), "w bet"),
}  # fmt: skip


@pytest.mark.req("D-API-008", "D-API-009")
@CRASH
@SCOPES
@pytest.mark.parametrize("arrival", list(ARRIVALS))
def test_what_arrives_while_suspended_is_applied_at_the_release(scope, arrival, crash):
    s = Scenario(MODEL, crash=crash).start("p", k=7, x=0)
    job = lease(s)
    h = hold(s, scope)
    arrives, comes_to = ARRIVALS[arrival]
    arrives(s, job)
    due(s)
    assert s.at == "w" and s.tasks == "w" and not s.p.incidents, "nothing moves"
    release(s, h)
    assert s.tasks == comes_to and bool(s.p.incidents) == (arrival == "failure")
    assert not s.i.kept and not s.p.holding


@pytest.mark.req("D-API-019")
@CRASH
@SCOPES
@pytest.mark.parametrize("arrival", list(ARRIVALS))
def test_while_paused_all_but_the_hand_out_goes_on(scope, arrival, crash):
    s = Scenario(MODEL, crash=crash).start("p", k=7, x=0)
    job = lease(s)
    h = hold(s, scope, mode="pause")
    arrives, comes_to = ARRIVALS[arrival]
    arrives(s, job)
    assert s.tasks == comes_to
    release(s, h)
    assert s.tasks == comes_to and not s.p.holding


@CRASH
@SCOPES
@pytest.mark.parametrize("mode", holds.MODES)
def test_no_work_is_handed_out(scope, mode, crash):
    s = Scenario(MODEL, crash=crash).start("p", k=7, x=0)
    h = hold(s, scope, mode=mode)
    assert handed_out(s) == 0
    assert not s.do(c.PeekTasks(job_type="w"))["waiting"]
    release(s, h)
    assert handed_out(s) == 1


@CRASH
@SCOPES
@pytest.mark.parametrize("mode", holds.MODES)
def test_what_stands_elsewhere_is_free(scope, mode, crash):
    """Another process with another job type is held by none of them, but for its tenant."""
    other = "process o {\nstartEvent os\nserviceTask ow\nos > ow\n}"
    s = Scenario(MODEL, other, crash=crash).start("p", k=7, x=0)
    free = s.do(c.StartInstance(id="o"))["key"]
    hold(s, scope, mode=mode)
    assert handed_out(s, "ow") == (0 if scope == "tenant" else 1)
    s.do(c.SetVariables(key=free, variables={"a": 1}))


@CRASH
def test_all_that_arrives_keeps_its_order(crash):
    for scope in holding.SCOPES:
        s = Scenario(MODEL, crash=crash).start("p", k=7, x=0)
        job = lease(s)
        h = hold(s, scope)
        s.moves("signal S", "message M 7", "tick bt", "signal S", "message M 7")
        s.do(c.CompleteTask(task=job["key"], fence=job["fence"]))
        s.move("signal S")
        assert s.tasks == "w"
        release(s, h)
        assert s.tasks == "w bst bmt btt bst bmt z", "and the last signal came when nobody waited for it any more"
        refused = [e.refused for e, _ in s.log if isinstance(e, ho.WorkflowApplied)]
        assert len(refused) == 7


@CRASH
def test_much_that_was_kept_is_applied_in_slices_and_what_arrives_meanwhile_goes_behind(crash):
    model = 'startEvent s\nserviceTask w\nboundaryEvent b on=w cancel=false : signal S\nscriptTask r\n<zeebe:script expression="=append(l, n)" resultVariable="l"/>\ns > w\nb > r'
    s = Scenario(model, crash=crash, steps_max=3).start("p", l=[], n=0)
    h = hold(s, "definition")
    for n in range(20):
        s.move(f"signal S n={n}")
    assert len(s.i.kept) == 20
    s.do(c.ReleaseHold(key=h), settle=False)
    if not crash:
        assert s.i.kept, "it is too much for one step"
        s.move("signal S n=99")
    while s.p.unsettled:
        s.do(c.Continue(key=next(iter(s.p.unsettled))), settle=False)
    due(s)
    assert s.i.vars["l"] == [*range(20)] + ([] if crash else [99])
    assert not s.i.kept and not s.p.holding


def test_holds_overlap_and_releasing_one_leaves_the_others():
    scopes = [x for x in holding.SCOPES for _ in (0, 1)]  # each twice
    for mode in holds.MODES:
        s = Scenario(MODEL).start("p", k=7, x=0)
        keys = [hold(s, scope, mode=mode) for scope in scopes]
        for n, key in enumerate(keys):
            assert handed_out(s) == 0, f"{len(keys) - n} are left"
            if mode == "suspend" and n == 0:
                s.move("message M 7")
            release(s, key)
        assert handed_out(s) == 1
        assert s.tasks == ("w bmt" if mode == "suspend" else "w")


def test_a_pause_inside_of_a_suspension_is_a_pause_afterwards():
    s = Scenario(MODEL).start("p", k=7, x=0)
    inner, outer = hold(s, "job_type", mode="pause"), hold(s, "definition")
    s.move("signal S")
    release(s, outer)
    assert s.tasks == "w bst" and handed_out(s) == 0
    release(s, inner)
    assert handed_out(s) == 1


@CRASH
def test_a_token_that_comes_to_a_suspended_element_waits_before_it(crash):
    s = Scenario(
        "startEvent s\nserviceTask a\nserviceTask b\nserviceTask c\nparallelGateway f\nparallelGateway j\ns > f > a > j > c\nf > b > j",
        crash=crash,
    ).start("p")
    key = hold(s, "element", "p/j")
    s.moves("complete a", "complete b")
    assert sorted(s.tasks.split()) == ["a", "b"] and s.at == "j j"
    release(s, key)
    assert sorted(s.tasks.split()) == ["a", "b", "c"]
    key = hold(s, "element", f"{s.i.definition}/c")
    with pytest.raises(Refused, match=r"is held: suspend of element"):
        s.move("complete c")
    release(s, key)
    s.move("complete c")
    assert s.empty


@CRASH
def test_a_suspended_sub_process_holds_what_is_inside(crash):
    s = Scenario(
        "startEvent s\nsubProcess sp {\nstartEvent i\nserviceTask a\nintermediateCatchEvent m : message M = k\nserviceTask b\ni > a > m > b\n}\nserviceTask o\nparallelGateway f\ns > f > sp\nf > o",
        crash=crash,
    ).start("p", k=1)
    s.move("complete a")
    key = hold(s, "element", "p/sp")
    s.moves("message M 1", "complete o")
    assert s.at == "m sp"
    release(s, key)
    assert s.at == "b sp"


@CRASH
@pytest.mark.parametrize("mode", holds.MODES)
@pytest.mark.parametrize("scope", sorted(holding.OF_STARTS))
def test_new_instances_are_pending_until_the_release_or_refused(scope, mode, crash):
    models = [
        "startEvent s\nserviceTask w\ns > w\nstartEvent sm : message N\nsm > w\nstartEvent ss : signal G\nss > w\nstartEvent st : timer R2/PT1H\nst > w"
    ]
    s = Scenario(*models, crash=crash).start("p")
    h = hold(s, scope, mode=mode)
    assert s.do(c.StartInstance(id="p"))["status"] == "pending"
    s.moves("message N", "signal G", "tick st")
    assert [i.status for i in s.p.instances.values()] == ["running"] + ["pending"] * 4
    release(s, h)
    assert [i.status for i in s.p.instances.values()] == ["running"] * 5
    assert handed_out(s) == 5
    h = hold(s, scope, mode=mode, starts="refuse", reason="the bank is down")
    with pytest.raises(Refused, match="new instances of 'p' are refused: .*the bank is down"):
        s.do(c.StartInstance(id="p"))
    s.moves("message N", "signal G")
    assert len(s.p.instances) == 5
    release(s, h)
    assert s.do(c.StartInstance(id="p"))["status"] == "running"


PARENT = f"startEvent s\ncallActivity ca\n{CALL}\nboundaryEvent b on=ca : error E\nserviceTask h\nserviceTask after\ns > ca > after\nb > h"
CHILD = "process q {\nstartEvent qs\nserviceTask w\nendEvent qe\nqs > w > qe\n}"


@pytest.mark.req("D-API-009")
@CRASH
@pytest.mark.parametrize("children", [True, False])
@pytest.mark.parametrize(("scope", "subject"), [("instance", ""), ("definition", "p"), ("version", ""), ("element", "p/ca")])
def test_called_instances_follow_unless_told_otherwise(scope, subject, children, crash):
    s = Scenario(PARENT, CHILD, crash=crash).start("p")
    job = lease(s)
    h = hold(s, scope, subject, children=children)
    s.do(c.CompleteTask(task=job["key"], fence=job["fence"]))
    assert [i.process for i in s.p.instances.values()] == (["p", "q"] if children else ["p"]), "the child's end waits at its caller's door"
    assert s.tasks == "w"
    release(s, h)
    assert s.tasks == "w after" and len(s.p.instances) == 1


@CRASH
def test_a_called_instance_throws_while_its_caller_is_suspended(crash):
    s = Scenario(PARENT, CHILD, crash=crash).start("p")
    h = hold(s, "definition", "p", children=False)
    s.move("error w E")
    assert s.at == "ca" and not s.p.incidents
    release(s, h)
    assert s.at == "h"


@CRASH
def test_a_call_of_what_is_held_waits(crash):
    s = Scenario(PARENT.replace("s > ca", "serviceTask first\ns > first > ca"), CHILD, crash=crash).start("p")
    h = hold(s, "definition", "q", starts="refuse")
    s.move("complete first")
    assert [i.status for i in s.p.instances.values()] == ["running", "pending"] and not s.p.incidents
    release(s, h)
    s.moves("complete w", "complete after")
    assert s.empty


@CRASH
@pytest.mark.parametrize("force", [False, True])
@SCOPES
def test_cancel_passes_and_clears_what_is_kept(scope, force, crash):
    s = Scenario(MODEL, crash=crash).start("p", k=7, x=0)
    job = lease(s)
    hold(s, scope)
    s.moves("signal S", "message M 7")
    s.do(c.CompleteTask(task=job["key"], fence=job["fence"]))
    s.do(c.CancelInstance(key=s.key, force=force))
    assert s.empty and "still" not in s.p.holding and "instance" not in s.p.holding and not s.p.kept_back


@CRASH
@SCOPES
def test_compensation_of_what_is_cancelled_is_held_by_nothing(scope, crash):
    undo = 'serviceTask a\nboundaryEvent ca on=a : compensate\nserviceTask ua comp=true\n~<association id="as" sourceRef="ca" targetRef="ua"/>\n'
    s = Scenario(f"startEvent s\n{undo}serviceTask w\ns > a > w", crash=crash).start("p")
    s.move("complete a")
    hold(s, scope)
    s.do(c.CancelInstance(key=s.key))
    assert handed_out(s, "ua") == 1
    s.move("complete ua")
    assert s.empty


@CRASH
def test_modified_and_migrated_while_suspended(crash):
    again = "startEvent s\nserviceTask w\nboundaryEvent bt on=w cancel=false : timer PT1H\nserviceTask n\nserviceTask z\ns > w > z\nbt > n"
    s = Scenario("startEvent s\nserviceTask w\nserviceTask z\ns > w > z", crash=crash).start("p")
    h = hold(s, "definition", "p")
    new = s.do(c.Deploy(resources=[c.Resource("m0.bpmn", __import__("notation").bpmn(again))]))["definitions"][0]["key"]
    s.do(c.MigrateInstance(key=s.key, definition=new, elements={}, same_ids=True))
    s.do(c.ModifyInstance(key=s.key, activate=[{"element": "z"}]))
    s.move("tick bt")
    assert s.tasks == "w", "a token that was put stands still, and so does a timer that was armed"
    release(s, h)
    assert sorted(s.tasks.split()) == ["n", "w", "z"]


def test_the_end_of_a_hold_comes_by_itself():
    for scope in holding.SCOPES:
        s = Scenario(MODEL, crash=True).start("p", k=7, x=0)
        h = hold(s, scope, until_us=s.now_us + 60_000_000)
        s.move("signal S")
        due(s)
        assert h in s.p.holds and s.tasks == "w"
        s.now_us += 61_000_000
        due(s)
        assert h not in s.p.holds and s.tasks == "w bst"
    with pytest.raises(Refused, match="an end in the future"):
        hold(s, "definition", until_us=s.now_us)


@CRASH
@pytest.mark.parametrize("scope", [x for x in holding.SCOPES if x != "instance"])
def test_a_release_at_a_rate_goes_over_the_instances_in_order(scope, crash):
    s = Scenario(MODEL, crash=crash)
    s.check = not crash  # (a replay of everything after each of many commands)
    s.check = True
    for _ in range(6):
        s.start("p", k=7, x=0)
    h = hold(s, scope)
    s.move("signal S")
    s.do(c.ReleaseHold(key=h, rate=2))
    for n in range(1, 7):
        assert s.tasks == "w " * 6 + " ".join(["bst"] * n)
        assert handed_out(s) == 1, "one more is free"
        if n < 6:
            assert s.p.holds[h].upto
            s.now_us += 250_000
            due(s)
            assert s.tasks.count("bst") == n, "it is not its turn yet"
            s.now_us += 250_000
            due(s)
    assert not s.p.holds and not s.p.holding and not s.p.kept_back


def test_a_second_release_is_another_rate_and_new_instances_are_free_at_once():
    s = Scenario(MODEL)
    for _ in range(40):
        s.start("p", k=7, x=0)
    h = hold(s, "definition")
    s.do(c.ReleaseHold(key=h, rate=1))
    assert s.do(c.StartInstance(id="p", variables={"k": 8, "x": 0}))["status"] == "running"
    assert handed_out(s) == 2
    s.do(c.ReleaseHold(key=h, rate=0))
    s.now_us += 2_000_000
    due(s)
    assert not s.p.holds
    for rate in (-1, holds.RATE_MAX + 1):
        h = hold(s, "definition")
        with pytest.raises(Refused, match="a rate of 0 to"):
            s.do(c.ReleaseHold(key=h, rate=rate))


@CRASH
def test_a_state_loaded_from_a_checkpoint_holds_and_releases_as_before(crash):
    for scope in holding.SCOPES:
        s = Scenario(MODEL, crash=crash)
        for _ in range(4):
            s.start("p", k=7, x=0)
        keys = [i for i in s.p.instances]
        held = [hold(s, scope, str(k)) for k in keys] if scope == "instance" else [hold(s, scope)]
        s.move("signal S")
        if scope != "instance":
            s.do(c.ReleaseHold(key=held[0], rate=1))
        s.p = _loaded(s.p)
        assert handed_out(s) == (0 if scope == "instance" else 1)
        s.now_us += 10_000_000
        for h in held:
            s.do(c.ReleaseHold(key=h))
        for _ in range(4):
            s.now_us += 1_000_000
            due(s)
        assert not s.p.holds and s.tasks == "w w w w bst bst bst bst" and handed_out(s) == (4 if scope == "instance" else 3)


def _loaded(p: Partition) -> Partition:
    live = {k: v for k, v in checkpoint.fingerprint(p, placed=True).items() if v is not None}
    from flowledger.events.group import Place
    from flowledger.kernel.stored import decode_state

    standing = checkpoint.Standing({k: checkpoint.digest_of(k, v) for k, v in live.items()})
    mark = decode_state(checkpoint.mark(p, Place(0, "", b"", 0, 0, 0, 1), standing), checkpoint.Mark)
    out = Partition(p.meta.partition, p.meta.partitions)
    checkpoint.restore(out, live, mark)
    assert image(out)["held"] == image(p)["held"]
    return out


@CRASH
def test_a_kept_message_holds_up_nobody_else(crash):
    """The message of a suspended subscription is safe there: the next ones come, also with no time to live, and other processes get theirs."""
    models = [MODEL, "process o {\nstartEvent os\nintermediateCatchEvent oc : message M = k\nserviceTask ot\nos > oc > ot\n}"]
    s = Scenario(*models, crash=crash).start("p", k=7, x=0)
    h = hold(s, "definition", "p")
    for n in range(3):
        s.move(f"message M 7 n={n}")
    s.do(c.StartInstance(id="o", variables={"k": 7}))
    s.move("message M 7")
    assert "ot" in s.tasks and len(s.i.kept) == 4
    release(s, h)
    assert s.tasks == "w ot bmt bmt bmt bmt"


def test_a_worker_whose_lease_ran_out_meanwhile_is_heard_all_the_same():
    for scope in holding.SCOPES:
        s = Scenario(MODEL).start("p", k=7, x=0)
        job = lease(s)
        h = hold(s, scope)
        s.now_us += 120_000_000
        s.do(c.ExpireLeases(tasks=[job["key"]]))
        assert s.task("w").retries == 3, "it costs no attempt"
        assert s.do(c.CompleteTask(task=job["key"], fence=job["fence"])) == {"kept": True}
        release(s, h)
        assert s.tasks == "w z"


def test_moves_of_people_are_refused_and_say_why():
    for scope in ("instance", "definition", "version", "element", "tenant"):
        s = Scenario("startEvent s\nuserTask w\n<zeebe:userTask/>\ns > w").start("p")
        task = s.task("w").key
        h = hold(s, scope, reason="audit")
        with pytest.raises(Refused, match="suspended" if scope == "instance" else "audit"):
            s.do(c.MoveTask(task=task, move="claim"))
        s.do(c.MoveTask(task=task, move="comment", details={"text": "why?"}))
        release(s, h)
        h = hold(s, scope, mode="pause")
        with pytest.raises(Refused, match="paused" if scope == "instance" else "pause of"):
            s.do(c.MoveTask(task=task, move="claim"))
        release(s, h)


def test_work_without_workflow_is_held_by_what_it_is():
    for scope in ("job_type", "target", "tenant"):
        s = Scenario(MODEL).start("p", k=7, x=0)
        s.do(c.CreateTask(job_type="w"))
        h = hold(s, scope, mode="pause")
        s.do(c.CreateTask(job_type="w"))
        assert handed_out(s) == 0
        release(s, h)
        assert handed_out(s) == 3


def test_thousands_that_are_held_do_not_stand_in_the_way_of_others():
    s = Scenario(MODEL, 'process o {\nstartEvent os\nserviceTask w2\n<zeebe:taskDefinition type="w"/>\nos > w2\n}')
    s.check = False
    for _ in range(300):
        s.do(c.StartInstance(id="p", variables={"k": 7, "x": 0}))
    s.do(c.StartInstance(id="o"))
    hold(s, "definition", "p")
    assert handed_out(s) == 1
    assert len(s.p.kept_back) == 300, "they were put aside, and nobody passes over them again"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (c.PlaceHold(scope="x", subject="p"), "a scope of instance"),
        (c.PlaceHold(scope="definition", subject="p", mode="x"), "the mode pause or suspend"),
        (c.PlaceHold(scope="definition", subject="p", starts="x"), "starts hold or refuse"),
        (c.PlaceHold(scope="job_type", subject="w", starts="refuse"), "starts only with"),
        (c.PlaceHold(scope="definition", subject=""), "a subject of 1 to 512"),
        (c.PlaceHold(scope="job_type", subject="x" * 513), "a subject of 1 to 512"),
        (c.PlaceHold(scope="definition", subject="p", reason="x" * 2_001), "a reason of at most 2000"),
        (c.PlaceHold(scope="definition", subject="nobody"), "a process with id 'nobody', found none"),
        (c.PlaceHold(scope="version", subject="7"), "a version of a process with key 7"),
        (c.PlaceHold(scope="version", subject="p"), "the key of a version"),
        (c.PlaceHold(scope="instance", subject="7"), "a running instance with key 7"),
        (c.PlaceHold(scope="element", subject="p"), "PROCESS/ELEMENT"),
        (c.PlaceHold(scope="element", subject="p/nothing"), "an element 'nothing' in process 'p'"),
        (c.PlaceHold(scope="target", subject="x"), "a target that begins with"),
        (c.ReleaseHold(key=7), "a hold with key 7"),
    ],
)
def test_what_can_not_be_held_is_refused(command, why):
    s = Scenario(MODEL).start("p", k=7, x=0)
    with pytest.raises(Refused, match=why):
        s.do(command)


def test_the_number_of_holds_has_its_limits(monkeypatch):
    monkeypatch.setattr(holds, "HOLDS_MAX", 3)
    monkeypatch.setattr(holds, "HOLDS_ON_ONE_MAX", 2)
    s = Scenario(MODEL).start("p", k=7, x=0)
    for scope, most in (("definition", 3), ("instance", 2)):
        for _ in range(most):
            hold(s, scope)
        with pytest.raises(Refused, match=f"at most {most} holds"):
            hold(s, scope)


def test_what_is_kept_for_one_instance_has_its_limit(monkeypatch):
    monkeypatch.setattr(keeping, "KEPT_MAX", 2)
    s = Scenario(MODEL).start("p", k=7, x=0)
    job = lease(s)
    hold(s, "definition")
    s.moves("signal S", "signal S")
    with pytest.raises(Refused, match="keeps 2 commands"):
        s.do(c.CompleteTask(task=job["key"], fence=job["fence"]))


# --- the table of commands ----------------------------------------------------------------------------------------------------


def test_every_command_says_what_becomes_of_it_while_something_is_held(monkeypatch):
    assert set(WHILE_HELD) == set(typing.get_args(c.AnyCommand)), "kernel/handlers/while_held.py needs a row for each command"
    assert set(WHILE_HELD.values()) == {RUN, KEEP, REFUSE, START}
    s = Scenario(MODEL).start("p", k=7, x=0)
    rows = {k: v for k, v in WHILE_HELD.items() if k is not c.SetVariables}
    monkeypatch.setattr("flowledger.kernel.handlers.WHILE_HELD", rows)
    s.do(c.SetVariables(key=s.key, variables={"a": 1}))
    hold(s, "job_type", "another")
    with pytest.raises(Refused, match="nothing says what becomes of SetVariables"):
        s.do(c.SetVariables(key=s.key, variables={"a": 1}))


def test_what_is_to_be_kept_is_kept_and_nothing_else():
    """Each kind that the table says is kept, for an instance that is suspended."""
    s = Scenario(
        MODEL,
        PARENT.replace("process", "").replace("startEvent s", "startEvent s2").replace("s > ca", "s2 > ca")
        and "process c2 {\nstartEvent cs\ncallActivity cc\n" + CALL + "\ncs > cc\n}",
        CHILD,
    ).start("p", k=7, x=0)
    caller = s.do(c.StartInstance(id="c2"))["key"]
    jobs = [lease(s) for _ in range(1)]
    s.do(c.StartInstance(id="p", variables={"k": 8, "x": 0}))
    s.do(c.StartInstance(id="p", variables={"k": 9, "x": 0}))
    jobs += s.do(c.ActivateTasks(job_type="w", worker="x", max=9, timeout_ms=60_000))["jobs"]
    of = {job["instance"]: job for job in jobs}
    child = next(i.key for i in s.p.instances.values() if i.process == "q")
    mine = [k for k in of if s.p.instances[k].process == "p"]
    hold(s, "definition", "p")
    hold(s, "definition", "c2", children=False)
    s.do(c.CompleteTask(task=of[mine[0]]["key"], fence=1))
    s.do(c.FailTask(task=of[mine[1]]["key"], fence=1))
    s.do(c.ThrowTaskError(task=of[mine[2]]["key"], fence=1, code="E"))
    s.moves("message M 7", "signal S", "tick bt")
    s.do(c.CompleteTask(task=of[child]["key"], fence=1))
    kept = {x["$"] for i in s.p.instances.values() for x in i.kept or ()}
    assert kept == {k.__name__ for k, way in WHILE_HELD.items() if way == KEEP}
    assert s.p.instances[caller].kept


def test_logs_of_before_read_as_they_did():
    """A resumption of an older release took with it what was kept: its events follow it."""
    s = Scenario(MODEL).start("p", k=7, x=0)
    s.do(c.ControlInstance(key=s.key, move="suspend"))
    s.move("signal S")
    from flowledger.events.base import Envelope
    from flowledger.kernel.fold import evolve

    evolve(s.p, wf.WorkflowResumed(key=s.key), Envelope(s.now_us))
    assert not s.i.kept and s.i.status == "running"
