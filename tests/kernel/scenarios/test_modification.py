"""Tokens moved by hand: what may go where, whose scope is meant, and that no token is left behind at a join."""

from __future__ import annotations

import pytest
from scenario import Refused, Scenario

from flowledger.events import commands as c

FORK = "startEvent s\n{kind} f\nserviceTask a\nserviceTask b\n{kind} j\nserviceTask z\nendEvent e\ns > f\nf > a\nf > b\na > j\nb > j\nj > z > e"
LOOP = ".<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"
STANDARD = '.<standardLoopCharacteristics loopMaximum="2"/>'
SUB = "startEvent s\nsubProcess sp {{\nstartEvent i\nserviceTask a\nserviceTask b\nendEvent x\ni > a > b > x\n}}\n{loop}\nserviceTask z\nendEvent e\ns > sp > z > e"


def modify(s: Scenario, *activate: str, terminate: str = "", scope: int = 0, **variables) -> Scenario:
    made = [{"element": a, "ancestor": scope, "variables": {a: variables} if variables else {}} for a in activate]
    s.do(c.ModifyInstance(key=s.key, activate=made, terminate=[s.token(t) for t in terminate.split()]))
    return s


def run(model: str, crash: bool = False, **variables) -> Scenario:
    return Scenario(model, crash=crash).start("p", **variables)


@pytest.mark.req("WSM-DAG-006", "WSM-RES-005")
@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("kind", ["parallelGateway", "inclusiveGateway"])
@pytest.mark.parametrize(
    ("before", "change", "after", "at"),
    [
        ("complete a", ("a", ""), "complete a; complete b", "z"),  # again before the join: one token too many on its flow
        ("complete a", ("a", ""), "complete b; complete a", "z"),
        ("complete a; complete b", ("a", "z"), "complete a", "z"),  # again after the join: the other branch is done
        ("complete a; complete b", ("a b", "z"), "complete a; complete b", "z"),
        ("", ("", "b"), "complete a", "z"),  # a branch is withdrawn: the join waits for nobody
        ("complete a", ("", "b"), "", "z"),
        ("", ("j", "a b"), "", "z"),  # put at the join itself: it goes through
        ("complete a", ("j", "b"), "", "z z"),
        ("", ("z", "a b"), "", "z"),
        ("", ("f", "a b"), "complete a; complete b", "z"),
    ],
)
def test_no_token_stays_at_a_join(kind, before, change, after, at, crash):
    s = run(FORK.format(kind=kind), crash)
    for move in filter(None, before.split("; ")):
        s.move(move)
    modify(s, *change[0].split(), terminate=change[1])
    for move in filter(None, after.split("; ")):
        s.move(move)
    assert s.at == at and not s.p.incidents
    for _ in at.split():
        s.move("complete z")
    assert s.empty


@pytest.mark.parametrize(
    ("model", "element", "says"),
    [
        (SUB.format(loop=LOOP), "b", "loop 'sp'"),
        (SUB.format(loop=STANDARD), "b", "loop 'sp'"),
        (SUB.format(loop=""), "i", "activate its sub-process"),
        (SUB.format(loop="") + "\nboundaryEvent bd on=sp : timer PT1H\nbd > z", "bd", "begins by its event"),
        (SUB.format(loop="") + "\nsubProcess h event=true {\nstartEvent hs : signal S\nserviceTask k\nhs > k\n}", "h", "event sub-process"),
        (
            SUB.format(loop="") + "\nsubProcess h event=true {\nstartEvent hs : signal S\nserviceTask k\nhs > k\n}",
            "hs",
            "activate its sub-process",
        ),
        (SUB.format(loop="") + "\nserviceTask u comp=true", "u", "compensation only"),
        (SUB.format(loop=""), "nothing", "expected an element"),
    ],
)
@pytest.mark.req("WOS-ENG-003")
def test_what_is_refused(model, element, says):
    s = Scenario(model)
    for command in (c.StartInstance(id="p", start_at=[element]), None):
        if command is None:
            s.start("p")
            for task in list(s.p.tasks.values()):  # out of the sub-process
                s.do(c.ModifyInstance(key=s.key, activate=[{"element": "z"}], terminate=[s.token("sp")])) if task.element == "a" else None
                break
            command = c.ModifyInstance(key=s.key, activate=[{"element": element}])
        with pytest.raises(Refused, match=says):
            s.do(command)


@pytest.mark.parametrize("start_at", [["b"], ["a", "b"], ["sp"], ["z"]])
@pytest.mark.parametrize("crash", [False, True])
def test_start_inside_of_a_scope(start_at, crash):
    s = Scenario(SUB.format(loop=""), crash=crash)
    s.key = s.do(c.StartInstance(id="p", start_at=start_at))["key"]
    assert s.at.split() == {"b": ["b", "sp"], "a": ["a", "b", "sp"], "sp": ["a", "sp"], "z": ["z"]}[start_at[0]]
    while s.p.tasks:
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert s.empty


@pytest.mark.parametrize("element", ["sp", "a"])
def test_a_loop_is_activated_as_a_whole_and_its_inside_in_its_only_run(element):
    s = run(SUB.format(loop=LOOP.replace(">2<", ">1<")))
    modify(s, element)
    assert s.at.split().count("a") == 2


def test_of_several_scopes_one_is_to_be_named():
    s = run(SUB.format(loop=LOOP))
    runs = sorted(t.key for t in s.i.tokens.values() if t.element == "sp" and t.index)
    with pytest.raises(Refused, match=f"2 times.*choices: {runs[0]}, {runs[1]}"):
        modify(s, "b")
    with pytest.raises(Refused, match="running scope around 'b'"):
        modify(s, "b", scope=s.token("a"))
    body = next(t.key for t in s.i.tokens.values() if t.element == "sp" and not t.index)
    with pytest.raises(Refused, match="running scope around 'b'"):
        modify(s, "b", scope=body)
    modify(s, "b", scope=runs[1], v=1)
    made = next(t for t in s.i.tokens.values() if t.element == "b")
    assert made.scope == runs[1] and made.vars == {"v": 1}
    s.moves("complete a", "complete a", "complete b", "complete b", "complete b", "complete z")
    assert s.empty


def test_a_scope_anew_under_the_instance():
    s = run(SUB.format(loop=""))
    modify(s, "b", scope=s.key)
    assert s.at == "a b sp sp"
    s.moves("complete a", "complete b", "complete b", "complete z", "complete z")
    assert s.empty


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(
    ("model", "terminate", "at", "ends"),
    [
        (SUB.format(loop=""), "a", "", "terminated"),
        ("startEvent s\nserviceTask a\ns > a", "a", "", "terminated"),
        ("startEvent s\nserviceTask y\ns > y\n" + SUB.format(loop="").removeprefix("startEvent s\n"), "a", "y", ""),
        (SUB.format(loop=LOOP), "a", "a sp sp", ""),
        (SUB.format(loop=LOOP), "a a", "", "terminated"),
        (
            "startEvent s\nsubProcess o {\nstartEvent oi\n"
            + "subProcess sp {\nstartEvent i\nserviceTask a\ni > a\n}\noi > sp\n}\nserviceTask z\ns > o > z",
            "a",
            "",
            "terminated",
        ),
    ],
)
def test_a_scope_whose_last_token_is_withdrawn_goes_with_it(model, terminate, at, ends, crash):
    s = run(model, crash)
    for element in terminate.split():
        modify(s, terminate=element)
    assert s.at == at and s.said("terminated") == ends
    assert "z" not in s.tasks.split() and (s.empty or not ends)


def test_a_run_of_a_loop_that_has_results_goes_on_without_it():
    s = run(SUB.format(loop=LOOP))
    s.moves("complete a", "complete b")
    modify(s, terminate="a")
    assert s.at == "z"


def test_inside_of_an_event_sub_process_and_of_an_ad_hoc_sub_process():
    s = run(
        "startEvent s\nserviceTask y\ns > y\nsubProcess h event=true {\nstartEvent hs : signal S\nserviceTask k\nendEvent x\nhs > k > x\n}"
    )
    modify(s, "k")
    assert s.at == "h k y"
    s.moves("complete k", "complete y")
    assert s.empty
    s = run("startEvent s\nserviceTask y\nendEvent e\ns > y > e\nadHocSubProcess ah {\nserviceTask k\nserviceTask l\n}")
    modify(s, "k", terminate="y")
    assert s.at == "ah ah k"
    s.move("complete k")
    assert s.at == "" and s.empty


@pytest.mark.req("APG-ENG-004")
def test_move_a_token_in_one_command():
    s = run(SUB.format(loop=""))
    modify(s, "b", terminate="a")
    assert s.at == "b sp"


@pytest.mark.parametrize(
    "model",
    [
        "boundaryEvent d on=sp : message M = missing\nd > z",
        "subProcess h event=true {\nstartEvent hs : message M = missing\nserviceTask k\nhs > k\n}",
    ],
)
def test_a_scope_that_can_not_arm_its_events_is_an_incident(model):
    s = Scenario(SUB.format(loop="") + "\n" + model)
    if model.startswith("boundary"):
        s.key = s.do(c.StartInstance(id="p", start_at=["b"]))["key"]
        assert s.p.incidents


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(
    ("loop", "before", "withdrawn", "at", "ends"),
    [
        (LOOP, "", 1, "a a", ""),
        (LOOP, "", 2, "", "terminated"),
        (LOOP, "complete a", 1, "z", ""),  # it has a result: it goes on
        (LOOP.replace("<multiInstanceLoopCharacteristics>", '<multiInstanceLoopCharacteristics isSequential="true">'), "", 1, "a a", ""),
    ],
    ids=["one-of-two", "all", "the-last-after-a-result", "sequential: the next run"],
)
def test_the_runs_of_a_task_are_withdrawn_as_those_of_a_sub_process(loop, before, withdrawn, at, ends, crash):
    s = run(f"startEvent s\nserviceTask a\n{loop}\nserviceTask z\nendEvent e\ns > a > z > e", crash)
    if before:
        s.move(before)
    runs = [t.key for t in s.i.tokens.values() if t.element == "a" and t.index]
    s.do(c.ModifyInstance(key=s.key, terminate=runs[:withdrawn]))
    assert s.at == at and s.said("terminated") == ends
