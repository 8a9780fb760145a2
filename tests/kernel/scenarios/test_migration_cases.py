# ruff: noqa: E501 - models are lines
"""Migration: what may be carried where, timers and tasks by choice, and what is told. Each is asked first and does what that said (docs/control.md)."""

from __future__ import annotations

from typing import Any

import pytest
from notation import bpmn
from scenario import Refused, Scenario
from scenario import migrate as move

from flowledger.events import commands as c
from flowledger.events import workflow as wf

pytestmark = pytest.mark.req("D-MOD-005", "APG-ENG-004")
PLAIN = "startEvent s\nserviceTask w\nserviceTask z\nendEvent e\ns > w > z > e"
INSIDE = "startEvent s\nsubProcess sp {\nstartEvent i\nserviceTask w\nendEvent x\ni > w > x\n}\nserviceTask z\nendEvent e\ns > sp > z > e"
DEEP = "startEvent s\nsubProcess o {\nstartEvent oi\nsubProcess sp {\nstartEvent i\nserviceTask w\nendEvent x\ni > w > x\n}\nendEvent ox\noi > sp > ox\n}\nserviceTask z\nendEvent e\ns > o > z > e"


def begun(model: str, crash: bool = False, **variables: Any) -> Scenario:
    return Scenario(model, crash=crash).start("p", **{"k": 7, **variables})


def finish(s: Scenario) -> None:
    while s.p.tasks:
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert s.empty, s.at


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(
    ("source", "into", "elements", "at"),
    [
        (PLAIN, INSIDE, {}, "sp w"),
        (PLAIN, DEEP, {}, "o sp w"),
        (INSIDE, DEEP, {}, "o sp w"),
        (INSIDE, PLAIN, {"sp": ""}, "w"),
        (DEEP, PLAIN, {"sp": "", "o": ""}, "w"),
        (DEEP, INSIDE, {"o": ""}, "sp w"),
        (DEEP, INSIDE, {"sp": "", "o": "sp"}, "sp w"),
    ],
)
def test_scopes_may_change_where_tokens_can_be_carried(source: str, into: str, elements: dict[str, str], at: str, crash: bool) -> None:
    s = begun(source, crash)
    token, task = s.token("w"), s.task("w").key
    move(s, into, elements=elements)
    assert s.at == at and s.token("w") == token and s.task("w").key == task, "token and job keep their keys"
    s.move("complete w")
    assert s.at == "z"
    finish(s)


def test_two_tokens_share_the_scope_that_is_opened_for_them() -> None:
    source = (
        "startEvent s\nparallelGateway f\nserviceTask a\nserviceTask b\nserviceTask z\nendEvent e\ns > f\nf > a\nf > b\na > z\nb > z\nz > e"
    )
    into = "startEvent s\nsubProcess sp {\nstartEvent i\nparallelGateway f\nserviceTask a\nserviceTask b\ni > f\nf > a\nf > b\n}\nserviceTask z\nendEvent e\ns > sp > z > e\nboundaryEvent b1 on=sp cancel=false : signal S\nserviceTask h\nb1 > h"
    s = begun(source)
    plan = move(s, into)
    assert s.at == "a b sp" and [r["element"] for r in plan["armed"]] == ["b1"]
    s.moves("signal S", "complete a", "complete b")
    assert s.at == "h z"
    finish(s)


def test_the_variables_of_a_scope_that_goes_stay_with_its_tokens() -> None:
    s = begun(INSIDE)
    s.do(c.SetVariables(key=s.token("sp"), variables={"inner": 1}, local=True))
    move(s, PLAIN, elements={"sp": ""})
    assert s.i.tokens[s.token("w")].vars == {"inner": 1}
    finish(s)


@pytest.mark.parametrize(
    ("source", "into", "elements", "says"),
    [
        (INSIDE, PLAIN, {"sp": "z"}, "can't change its kind"),
        (
            PLAIN,
            INSIDE.replace(
                "}\n", "}\n.<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>\n"
            ),
            {},
            "'w' stands in 'sp', which can't be opened",
        ),
        (PLAIN, PLAIN, {"w": ""}, "nothing of instance 3 would be left"),
        (PLAIN, PLAIN.replace("w", "v"), {}, "mapping for the active element 'w'"),
        (INSIDE, INSIDE.replace("sp", "sq").replace("serviceTask w", "serviceTask w"), {}, "mapping for the active element 'sp'"),
    ],
)
def test_what_can_not_be_carried(source: str, into: str, elements: dict[str, str], says: str) -> None:
    with pytest.raises(Refused, match=says):
        move(begun(source), into, elements=elements)


def test_20_an_active_element_that_is_gone_is_dropped_by_name_only() -> None:
    two = "startEvent s\nparallelGateway f\nserviceTask a\nserviceTask b\nparallelGateway j\nserviceTask z\nendEvent e\ns > f\nf > a\nf > b\na > j\nb > j\nj > z > e"
    one = "startEvent s\nserviceTask a\nserviceTask z\nendEvent e\ns > a > z > e"
    with pytest.raises(Refused, match="mapping for the active element 'b'"):
        move(begun(two), one)
    s = begun(two)
    plan = move(s, one, elements={"b": ""})
    assert {(r["kind"], r["element"]) for r in plan["cancelled"]} == {("token", "b"), ("task", "b")}
    s.move("complete a")
    assert s.at == "z"
    finish(s)


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(
    "kind", ["userTask w", "intermediateCatchEvent w : signal S", 'scriptTask w\n<zeebe:script expression="= 1" resultVariable="v"/>']
)
def test_22_another_kind_where_tasks_are_made_anew(kind: str, crash: bool) -> None:
    s = begun(PLAIN, crash)
    s.do(c.FailTask(task=s.task("w").key, retries=0, message="broken"))
    job = s.task("w").key
    into = PLAIN.replace("serviceTask w", kind)
    with pytest.raises(Refused, match="unless tasks are made anew"):
        move(s, into)
    move(s, into, tasks="renew")
    assert job not in s.p.tasks and not s.p.incidents, "the old job is gone, and its incident"
    if kind.startswith("inter"):
        s.move("signal S")
    elif kind.startswith("user"):
        s.move("complete w")
    assert s.at == "z"
    finish(s)


def test_22_there_and_back_again() -> None:
    s = begun(PLAIN)
    for kind in ("userTask w", "serviceTask w", "userTask w"):
        move(s, PLAIN.replace("serviceTask w", kind), tasks="renew")
        assert [t.type for t in s.p.tasks.values()] == ["user_task" if kind.startswith("user") else "service_task"]
    finish(s)


def due(s: Scenario) -> list[tuple[str, int]]:
    return sorted((t.element, round((t.due_us - s.now_us) / 60_000_000)) for t in s.p.timers.values())


@pytest.mark.parametrize("where", ["boundary", "catch", "gateway", "sub"])
def test_14_timers_are_kept_or_restarted(where: str) -> None:
    models = {
        "boundary": PLAIN + "\nboundaryEvent t on=w : timer PT{0}H\nt > z",
        "catch": "startEvent s\nintermediateCatchEvent t : timer PT{0}H\nserviceTask z\ns > t > z",
        "gateway": "startEvent s\neventBasedGateway g\nintermediateCatchEvent t : timer PT{0}H\nintermediateCatchEvent u : signal S\nserviceTask z\ns > g\ng > t > z\ng > u > z",
        "sub": PLAIN + "\nsubProcess h event=true {{\nstartEvent t : timer PT{0}H\nserviceTask k\nt > k\n}}",
    }
    model = models[where]
    for timers, after in (("keep", 30), ("restart", 180)):
        s = begun(model.format(1))
        s.now_us += 30 * 60_000_000
        plan = move(s, model.format(3), elements={"t": "t"}, timers=timers)
        assert due(s) == [("t", after)]
        assert bool(plan["warnings"]) == (timers == "keep") and ("keeps its moment" in "".join(plan["warnings"])) == (timers == "keep")


def test_15_a_timer_that_has_fired_is_not_restarted() -> None:
    model = PLAIN + "\nboundaryEvent t on=w cancel=false : timer PT1H\nserviceTask h\nt > h"
    s = begun(model)
    s.move("tick")
    move(s, model, timers="restart")
    assert due(s) == [] and s.at == "h w"


def test_16_a_kept_message_name_is_told() -> None:
    model = PLAIN + "\nboundaryEvent b on=w : message {0} = k\nb > z"
    s = begun(model.format("M"))
    plan = move(s, model.format("N"), elements={"b": "b"})
    assert plan["warnings"] == ["'b' goes on waiting for message 'M', the target says 'N'"]
    s.move("message M 7")
    assert s.at == "z"


def test_18_the_same_name_on_both_sides_without_a_mapping() -> None:
    model = PLAIN + "\nboundaryEvent {0} on=w : message M = k\n{0} > z"
    s = begun(model.format("b"))
    move(s, model.format("bb"))
    s.move("message M 7")
    assert s.at == "z"


def test_21_a_boundary_on_a_running_call() -> None:
    calls = 'startEvent s\ncallActivity w\n<zeebe:calledElement processId="q"/>\nserviceTask z\ns > w > z'
    s = Scenario(calls, bpmn("startEvent s\nserviceTask kk\ns > kk", "q")).start("p")
    move(s, calls + "\nboundaryEvent b on=w : signal S\nb > z")
    s.move("signal S")
    assert s.at == "z" and len(s.p.instances) == 1


def test_26_a_job_in_hand_is_completed_and_leaves_by_the_new_flows() -> None:
    s = begun(PLAIN)
    job = s.do(c.ActivateTasks(job_type="w", worker="me"))["jobs"][0]
    plan = move(
        s,
        PLAIN.replace("serviceTask z", "serviceTask y")
        .replace("> z >", "> y >")
        .replace("serviceTask w", 'serviceTask w\n<zeebe:taskDefinition type="other"/>'),
    )
    assert any("keeps its job type 'w', the target says 'other'" in w for w in plan["warnings"])
    s.do(c.CompleteTask(task=job["key"], fence=job["fence"]))
    assert s.at == "y"


def test_28_a_suspended_instance_gets_no_timer_before_it_goes_on() -> None:
    s = begun(PLAIN)
    s.do(c.ControlInstance(key=s.key, move="suspend"))
    move(s, PLAIN + "\nboundaryEvent t on=w : timer PT1M\nt > z")
    s.now_us += 3_600_000_000
    s.do(c.FireTimers(timers=list(s.p.timers)))
    assert s.at == "w"
    s.do(c.ControlInstance(key=s.key, move="resume"))
    assert s.at == "z"


def test_29_the_lock_of_a_message_start_goes_to_the_other_process() -> None:
    starts = "startEvent s : message M\nserviceTask w\nendEvent e\ns > w > e"
    s = Scenario(starts)
    s.move("message M 7")
    s.key = next(iter(s.p.instances))
    other = starts.replace("message M", "message N")
    move(s, other, process="q")
    assert [name for registry, name in s.p.records if registry == "message_start"] == ["/q/7"]
    s.move("message M 7")
    assert len(s.p.instances) == 2, "the old process is free for this key"
    s.do(c.PublishMessage(name="N", correlation_key="7", ttl_ms=60_000))
    assert len(s.p.instances) == 2, "the new one isn't"
    s.do(c.CompleteTask(task=s.task("w").key))
    assert len(s.p.instances) == 2, "until it has ended"


def test_30_a_handler_that_came_too_late_is_told() -> None:
    source = "startEvent s\nserviceTask a\nserviceTask w\nendEvent e\ns > a > w > e"
    s = begun(source)
    s.move("complete a")
    plan = move(
        s, source + '\nboundaryEvent cb on=a : compensate\nserviceTask u comp=true\n~<association id="as" sourceRef="cb" targetRef="u"/>'
    )
    assert any("'a' can be compensated by 'u' from now on" in w for w in plan["warnings"])


def test_before_and_after_stand_in_the_event() -> None:
    s = begun(PLAIN)
    was = s.i.definition
    move(s, PLAIN + "\nserviceTask more")
    e = next(e for e, _ in s.log if isinstance(e, wf.WorkflowMigrated))
    assert e.before == {"definition": was, "process": "p", "version": 1} and (e.definition, e.version) == (s.i.definition, 2)


@pytest.mark.parametrize("word", ["timers", "tasks"])
def test_unknown_words(word: str) -> None:
    with pytest.raises(Refused, match=f"{word}: expected keep or"):
        move(begun(PLAIN), PLAIN, **{word: "odd"})
