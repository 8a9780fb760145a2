# ruff: noqa: E501 - models are lines
"""Modification by instructions: the edge cases of docs/control.md by their numbers. Each command is asked as a dry run first, and does what that said."""

from __future__ import annotations

from typing import Any

import pytest
from notation import bpmn
from scenario import Refused, Scenario, image

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.kernel.decide import decide
from flowledger.kernel.soundness import problems

pytestmark = pytest.mark.req("WSM-DAG-006", "WSM-RES-005")
BODY = (
    'startEvent s\nserviceTask a\n.<multiInstanceLoopCharacteristics{how}><extensionElements><zeebe:loopCharacteristics inputCollection="= [10,20]" '
    'inputElement="item" outputCollection="out" outputElement="= item"/></extensionElements></multiInstanceLoopCharacteristics>\nserviceTask z\nendEvent e\ns > a > z > e'
)
SEQUENTIAL = ' isSequential="true"'
SUB = "startEvent s\nsubProcess sp {\nstartEvent i\nserviceTask a\nserviceTask b\nendEvent x\ni > a > b > x\n}\nserviceTask z\nendEvent e\ns > sp > z > e"
FORK = "startEvent s\nparallelGateway f\nserviceTask a\nserviceTask b\nparallelGateway j\nserviceTask z\nendEvent e\ns > f\nf > a\nf > b\na > j\nb > j\nj > z > e"


def begun(model: str, crash: bool = False, **variables: Any) -> Scenario:
    return Scenario(model, crash=crash).start("p", **variables)


def change(s: Scenario, *instructions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """First as a question, then as the act by that plan. Returns the plan."""
    command = c.ModifyInstance(key=s.key, instructions=list(instructions), **more)
    before = image(s.p)
    plan = decide(s.p, c.Request(command=command, plan=c.DRY_RUN), s.facts(s.p))
    assert image(s.p) == before
    if isinstance(plan, Rejected):
        raise Refused(plan)
    keys, ids = {k for i in s.p.instances.values() for k in i.tokens}, set(s.p.tasks)
    s.do(command)
    if s.key in s.p.instances and not plan.answer["continues"] and not s.crash:
        now = {k: t for i in s.p.instances.values() for k, t in i.tokens.items()}
        made = {t.element for k, t in now.items() if k not in keys}
        assert made == {r["element"] for r in plan.answer["created"] if r["kind"] == "token"}
        gone = {str(k) for k in keys if k not in now} | {str(k) for k in ids if k not in s.p.tasks}
        assert gone == {r["key"] for name in ("cancelled", "ended") for r in plan.answer[name] if r["kind"] in ("token", "task")}
        assert not problems(decided(s), s.i) or more.get("force")
    return dict(plan.answer)


def decided(s: Scenario) -> Any:
    from flowledger.events.base import Envelope
    from flowledger.kernel.decision import Decision

    return Decision(s.p, s.facts(s.p), Envelope(), None)


def finish(s: Scenario) -> Scenario:
    while s.p.tasks:
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert s.empty, s.at
    return s


def body(s: Scenario, element: str = "a") -> int:
    return next(t.key for t in s.i.tokens.values() if t.element == element and not t.index)


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("how", ["", SEQUENTIAL])
def test_1_a_further_run_of_a_body(how: str, crash: bool) -> None:
    s = begun(BODY.format(how=how), crash)
    change(s, {"activate": "a", "scope": str(body(s)), "variables": {"item": 30}})
    assert s.at.split().count("a") == (2 if how else 4) and s.i.tokens[body(s)].data["total"] == 3
    s.moves("complete a", "complete a")
    if how:
        assert s.at == "a a"
        change(s, {"activate": "a", "scope": body(s), "variables": {"item": 40}})
        s.move("complete a")
    s.move("complete a")
    assert s.at == "z" and s.vars["out"] == ([10, 20, 30, 40] if how else [10, 20, 30])
    finish(s)


def test_1_what_a_further_run_needs() -> None:
    s = begun(BODY.format(how=""))
    for variables, says in (({}, "expected the variable 'item'"), ({"x": 1}, "expected the variable 'item'")):
        with pytest.raises(Refused, match=says):
            change(s, {"activate": "a", "scope": body(s), "variables": variables})
    s = begun(BODY.format(how=SEQUENTIAL))
    with pytest.raises(Refused, match="in its turn, with 'item' alone: found more"):
        change(s, {"activate": "a", "scope": body(s), "variables": {"item": 1, "more": 2}})
    change(s, {"activate": "a"})  # without the body: another one, whose collection is read
    assert s.at.split().count("a") == 4


def test_1_a_run_done_again_keeps_its_item() -> None:
    s = begun(BODY.format(how=""))
    run = min(t.key for t in s.i.tokens.values() if t.index)
    change(s, {"move": {"from": str(run), "to": "a"}})
    assert {t.vars["item"] for t in s.i.tokens.values() if t.index} == {10, 20}
    s.moves("complete a", "complete a")
    assert s.vars["out"] == [None, 20, 10]
    finish(s)


def test_2_a_body_and_one_of_its_runs() -> None:
    s = begun(BODY.format(how=""))
    run = min(t.key for t in s.i.tokens.values() if t.index)
    for order in ([body(s), run], [run, body(s)]):
        t = begun(BODY.format(how=""))
        change(t, {"activate": "z"}, *({"cancel": str(k)} for k in order))
        assert t.at == "z"
    change(s, {"activate": "z"}, {"cancel": "a"})  # by its id: the body, with all in it
    assert s.at == "z"
    finish(s)


def test_3_a_body_alone() -> None:
    s = begun(BODY.format(how=""))
    s.do(c.FailTask(task=s.task("a").key, retries=0, message="stuck"))
    change(s, {"activate": "z"}, {"cancel": str(body(s))})
    assert s.at == "z" and not s.p.incidents
    finish(s)


def test_4_nothing_is_put_into_what_is_withdrawn() -> None:
    s = begun(SUB)
    sp = s.token("sp")
    with pytest.raises(
        Refused, match=rf"'sp' \({sp}\) is to be withdrawn and 'b' to be activated in it: for a new one give the scope above it, {s.key}"
    ):
        change(s, {"activate": "b"}, {"cancel": str(sp)})
    with pytest.raises(Refused, match="to be withdrawn"):
        s.do(c.ModifyInstance(key=s.key, activate=[{"element": "b"}], terminate=[sp]))
    change(s, {"activate": "b", "scope": str(s.key)}, {"cancel": str(sp)})
    assert s.at == "b sp"
    finish(s)


INTERRUPTED = "startEvent s\nserviceTask y\nserviceTask z\nendEvent e\ns > y > z > e\nsubProcess h event=true {\nstartEvent hs : signal S\nserviceTask k\nendEvent x\nhs > k > x\n}\nsubProcess g event=true {\nstartEvent gs cancel=false interrupting=false : signal T\nserviceTask l\ngs > l\n}"


@pytest.mark.parametrize("crash", [False, True])
def test_5_beneath_a_scope_that_was_interrupted(crash: bool) -> None:
    s = begun(INTERRUPTED, crash)
    s.move("signal S")
    assert s.at == "h k" and not [x for x in s.p.subscriptions.values() if not x.definition]
    change(s, {"activate": "y"})
    assert s.at == "h k y"
    s.moves("complete k", "complete y", "complete z")
    assert s.empty
    s = begun(INTERRUPTED, crash)
    s.move("signal S")
    plan = change(s, {"activate": "y"}, {"cancel": "h"})  # what interrupted goes: the scope listens again
    assert {r["element"] for r in plan["armed"]} == {"hs", "gs"}
    s.move("signal T")
    assert s.at == "g l y"
    s.move("signal S")
    assert s.at == "h k"
    finish(s)


def test_6_a_scope_that_cannot_open_refuses_all() -> None:
    s = begun(SUB + "\nboundaryEvent d on=sp : message M = missing\nd > z", missing="7")
    s.moves("complete a", "complete b")
    s.do(c.SetVariables(key=s.key, variables={"missing": None}))
    with pytest.raises(Refused, match="'sp' can't be opened"):
        change(s, {"activate": "b"}, {"activate": "z"})
    assert s.at == "z" and not s.p.incidents
    change(s, {"activate": "b", "scopes": {"": {"missing": "8"}}})  # set before it is entered
    assert s.at == "b sp z"
    finish(s)


def test_7_the_last_token_of_a_called_instance() -> None:
    parent = 'startEvent s\ncallActivity c\n<zeebe:calledElement processId="q"/>\nserviceTask z\nendEvent e\ns > c > z > e'
    s = Scenario(parent, bpmn("startEvent s\nserviceTask k\nendEvent e\ns > k > e", "q")).start("p")
    caller, called = s.key, next(k for k in s.p.instances if k != s.key)
    token = s.token("c")
    s.key = called
    with pytest.raises(Refused, match=f"called by instance {caller} and would be empty: cancel its call activity, token {token}"):
        change(s, {"cancel": "k"})
    s.key = caller
    change(s, {"activate": "z"}, {"cancel": "c"})
    assert called not in s.p.instances and s.at == "z"
    finish(s)


def test_8_a_persons_task_is_cancelled_by_its_own_event() -> None:
    s = begun("startEvent s\nuserTask u\nserviceTask z\ns > u > z")
    task = s.task("u").key
    plan = change(s, {"move": {"from": "u", "to": "z"}})
    assert [r["by"] for r in plan["cancelled"] if r["kind"] == "task"] == ["task.cancelled"]
    assert any(isinstance(e, ta.TaskCancelled) and e.task == task for e, _ in s.log)


def test_9_a_branch_again_before_a_join() -> None:
    s = begun(FORK)
    s.moves("complete a", "complete b")
    plan = change(s, {"move": {"from": "z", "to": "a"}})
    s.move("complete a")
    assert s.at == "z", "the other branch has been there: the join waits for nobody"
    s = begun(FORK)
    s.move("complete b")
    plan = change(s, {"activate": "a"})
    row = next(r for r in plan["left"] if r["element"] == "j")
    assert row["waits"] == ["join"] and len(row["flows"]) == 1, "the join is told, and for which flow it waits"


def test_10_by_an_id_that_matches_several_exactly_the_shown_ones() -> None:
    s = begun("startEvent s\nparallelGateway f\nserviceTask a\nserviceTask z\ns > f\nf > a\nf > a\na > z")
    command = c.ModifyInstance(key=s.key, instructions=[{"move": {"from": "a", "to": "z"}}])
    plan = decide(s.p, c.Request(command=command, plan=c.DRY_RUN), s.facts(s.p)).answer
    assert plan["counts"]["created"] == 4 and len([r for r in plan["cancelled"] if r["kind"] == "token"]) == 2
    s.move("complete a")
    late = decide(s.p, c.Request(command=command, plan=plan["plan"]), s.facts(s.p))
    assert isinstance(late, Rejected) and late.code == "STALE"


def test_11_a_scope_made_by_hand_has_no_inputs_and_that_is_told() -> None:
    model = SUB.replace("subProcess sp {", "subProcess sp {\n").replace(
        "}\nserviceTask z", '}\n<zeebe:ioMapping><zeebe:input source="= 1" target="v"/></zeebe:ioMapping>\nserviceTask z'
    )
    s = begun(model)
    s.moves("complete a", "complete b")
    plan = change(s, {"activate": "b", "scopes": {"sp": {"v": 2}}, "variables": {"own": 3}})
    assert plan["warnings"] == ["'sp' was opened without its input mappings"]
    told = next(e for e, _ in s.log if isinstance(e, wf.WorkflowModified)).instructions
    assert told["without_inputs"] == ["sp"] and told["activate"][0]["variables"] == {"sp": {"v": 2}, "b": {"own": 3}}
    assert next(t.vars for t in s.i.tokens.values() if t.element == "sp") == {"v": 2}
    finish(s)


def test_12_the_same_element_withdrawn_and_activated() -> None:
    s = begun("startEvent s\nserviceTask a\nendEvent e\ns > a > e")
    old = s.token("a")
    change(s, {"cancel": "a"}, {"activate": "a"})
    assert s.at == "a" and s.token("a") != old
    finish(s)


def test_a_move_stays_in_the_scope_that_it_comes_from() -> None:
    loop = ".<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"
    s = begun(SUB.replace("}\n", "}\n" + loop + "\n"))
    token = s.token("a")
    scope = s.i.tokens[token].scope
    change(s, {"move": {"from": str(token), "to": "b"}})
    assert next(t.scope for t in s.i.tokens.values() if t.element == "b") == scope
    change(s, {"move": {"from": "a", "to": "b"}})
    assert sorted(t.element for t in s.i.tokens.values()) == ["b", "b", "sp", "sp", "sp"]
    change(s, {"move": {"from": "b", "to": "z"}})
    assert s.at == "z z"
    finish(s)


@pytest.mark.parametrize(
    ("instruction", "says"),
    [
        ({}, "instruction 1: expected one of activate, cancel, move, found none"),
        ({"activate": "a", "cancel": "a"}, "found activate, cancel"),
        ({"activate": "nobody"}, "expected an element of 'p'"),
        ({"activate": "a", "scope": "x"}, "expected a key"),
        ({"activate": "a", "scope": 5}, "expected the key of a running scope"),
        ({"activate": "a", "variables": 5}, "expected `variables` as an object"),
        ({"activate": "a", "scopes": {"z": {}}}, "found the scope 'z'"),
        ({"activate": "a", "scopes": {"sp": 1}}, "expected `scopes` as"),
        ({"activate": "a", "more": 1}, "found more"),
        ({"cancel": "nobody"}, "expected an element of 'p' or a token's key"),
        ({"cancel": "z"}, "no token stands at 'z'"),
        ({"cancel": 99}, "expected a token of instance"),
        ({"cancel": None}, "expected a key"),
        ({"move": {"from": "a"}}, "expected {"),
        ({"move": {"from": "a", "to": "i"}}, "activate its sub-process"),
    ],
)
def test_what_is_refused(instruction: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says.replace("{", r"\{")):
        change(begun(SUB), instruction)


def test_too_many_instructions() -> None:
    s = begun(SUB)
    with pytest.raises(Refused, match="at most 1000 instructions, found 1001"):
        change(s, *({"activate": "z"} for _ in range(1_001)))


QUANTITY = "startEvent s\nparallelGateway f\nserviceTask a\nserviceTask b\nserviceTask q startQuantity=2\nendEvent e\ns > f\nf > a\nf > b\na > q\nb > q\nq > e"


def test_what_would_never_go_on_is_refused_unless_forced() -> None:
    s = begun(QUANTITY)
    s.move("complete a")
    with pytest.raises(Refused, match="'q', which needs 2 tokens, and no other can come"):
        change(s, {"cancel": "b"})
    assert s.at == "b q"
    s.expected = frozenset({"token_stuck"})
    plan = change(s, {"cancel": "b"}, force=True)
    assert "no other can come" in plan["warnings"][0] and s.at == "q"
    change(s, {"activate": "b"})
    s.move("complete b")
    finish(s)
