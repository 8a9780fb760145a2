# ruff: noqa: E501 - models are lines
"""Business states: moves along the table, refused ones, loops with a bound, retries of a failed step (WSM-STA-001 to 006, C-06, C-07)."""

import msgspec
import pytest
from scenario import Refused, Scenario

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.kernel.model import bpmn

STATES = """<flowledger:states xmlns:flowledger="urn:flowledger:bpmn:1" initial="OPEN">
<flowledger:state name="OPEN"><flowledger:move to="WORKING"/></flowledger:state>
<flowledger:state name="WORKING"><flowledger:move to="DONE"/><flowledger:move to="BROKEN"/></flowledger:state>
<flowledger:state name="BROKEN"><flowledger:move to="WORKING"/></flowledger:state>
<flowledger:state name="DONE" final="true"/></flowledger:states>"""
HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" '
    'xmlns:flowledger="urn:flowledger:bpmn:1"><process id="p" isExecutable="true"><extensionElements>' + STATES + "</extensionElements>"
)


def of(**moves: str) -> str:
    return f"<flowledger:businessState {' '.join(f'{k}={chr(34)}{v}{chr(34)}' for k, v in moves.items())}/>"


def task(id: str, more: str = "", inner: str = "", **moves: str) -> str:
    kept = f'<extensionElements><zeebe:taskDefinition type="{id}"/>{more}{of(**moves) if moves else ""}</extensionElements>'
    return f'<serviceTask id="{id}">{kept}{inner}</serviceTask>'


def flow(source: str, target: str, **moves: str) -> str:
    kept = f"<extensionElements>{of(**moves)}</extensionElements>" if moves else ""
    return f'<sequenceFlow id="{source}_{target}" sourceRef="{source}" targetRef="{target}">{kept}</sequenceFlow>'


def model(*parts: str) -> str:
    return HEAD + '<startEvent id="s"/>' + "".join(parts) + '<endEvent id="e"/></process></definitions>'


def states_of(s: Scenario) -> list[str]:
    seen = [e.variables["businessState"] for e, _ in s.log if isinstance(e, wf.VariableSet) and "businessState" in e.variables]
    return [name for n, name in enumerate(seen) if not n or seen[n - 1] != name]


def illegal(s: Scenario) -> list[str]:
    return [e.message for e, _ in s.log if isinstance(e, wa.IncidentRaised) and e.code == "ILLEGAL_STATE_MOVE"]


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.req("WSM-STA-002")
def test_steps_move_the_state(crash):
    s = Scenario(model(task("a", enter="WORKING", success="DONE"), flow("s", "a"), flow("a", "e")), crash=crash)
    s.start("p")
    assert s.moves("complete a") and states_of(s) == ["OPEN", "WORKING", "DONE"] and not illegal(s)


@pytest.mark.req("WSM-STA-001")
def test_a_refused_entry_leaves_the_state_and_waits_until_the_operator_has_put_it_right():
    s = Scenario(model(task("a", enter="DONE"), flow("s", "a"), flow("a", "e")))
    s.start("p")
    assert illegal(s) == ["a is entered: expected a move from OPEN to WORKING, found DONE"]
    assert states_of(s) == ["OPEN"] and not s.p.tasks
    s.moves("resolve")
    assert len(illegal(s)) == 2 and not s.p.tasks, "still refused"
    s.moves('set businessState="WORKING"', "resolve")
    assert states_of(s) == ["OPEN", "WORKING", "DONE"] and s.p.tasks


def test_a_refused_end_keeps_the_result_for_the_next_try():
    s = Scenario(model(task("a", success="DONE"), flow("s", "a"), flow("a", "e")))
    s.start("p")
    s.moves("complete a x=1")
    assert illegal(s) == ["a is done: expected a move from OPEN to WORKING, found DONE"] and s.p.instances
    s.moves('set businessState="WORKING"', "resolve")
    assert states_of(s)[-1] == "DONE" and not s.p.instances


def test_a_refused_way_waits_behind_it():
    s = Scenario(model(task("a"), flow("s", "a"), flow("a", "e", enter="BROKEN")))
    s.start("p")
    s.moves("complete a")
    assert illegal(s) == ["the way a_e: expected a move from OPEN to WORKING, found BROKEN"] and states_of(s) == ["OPEN"] and s.p.instances
    s.moves("resolve")
    assert len(illegal(s)) == 2 and s.p.instances
    s.moves('set businessState="WORKING"', "resolve")
    assert states_of(s)[-1] == "BROKEN" and not s.p.instances


@pytest.mark.req("WSM-STA-003")
@pytest.mark.parametrize(
    ("state", "taken"), [("NOWHERE", False), ("DONE", False), ("OPEN", True), ("WORKING", True), (5, False), (None, False)]
)
@pytest.mark.parametrize("way", ["set", "complete", "mapping"])
@pytest.mark.req("WSM-STA-006")
def test_no_way_from_outside_leads_past_the_table(state, taken, way):
    """The table lets OPEN move to WORKING only; a value that stands already is no move."""
    mapped = '<extensionElements><zeebe:taskDefinition type="a"/><zeebe:ioMapping><zeebe:output source="= wanted" target="businessState"/></zeebe:ioMapping></extensionElements>'
    first = f'<serviceTask id="a">{mapped}</serviceTask>' if way == "mapping" else task("a")
    s = Scenario(model(first, task("b"), flow("s", "a"), flow("a", "b"), flow("b", "e")))
    s.start("p")
    value = msgspec.json.encode(state).decode()
    if way == "set":
        refused(s, f"set businessState={value}", taken)
    elif way == "complete":
        refused(s, f"complete a businessState={value}", taken)
    elif way == "mapping":
        s.move(f"complete a wanted={value}")
        assert bool(illegal(s)) is not taken
    assert s.i.vars["businessState"] == (state if taken else "OPEN")


COLLECTED = {
    "loop": '<task id="a"><multiInstanceLoopCharacteristics><extensionElements><zeebe:loopCharacteristics inputCollection="= [1]" outputCollection="businessState" outputElement="= 1"/></extensionElements></multiInstanceLoopCharacteristics></task>',
    "ad-hoc sub-process": '<adHocSubProcess id="a"><extensionElements><zeebe:adHoc activeElementsCollection="= [&quot;x&quot;]" outputCollection="businessState" outputElement="= 1"/></extensionElements><task id="x"/></adHocSubProcess>',
    "script": '<scriptTask id="a"><extensionElements><zeebe:script expression="= 1" resultVariable="businessState"/></extensionElements></scriptTask>',
    "nested output": '<task id="a"><extensionElements><zeebe:ioMapping><zeebe:output source="= 1" target="businessState.x"/></zeebe:ioMapping></extensionElements></task>',
}


@pytest.mark.req("WSM-STA-003")
@pytest.mark.parametrize("name", COLLECTED)
def test_no_way_from_inside_leads_past_the_table_either(name):
    s = Scenario(model(COLLECTED[name], flow("s", "a"), flow("a", "e"))).start("p")
    assert s.i.vars["businessState"] == "OPEN" and len(illegal(s)) == 1 and "expected OPEN or WORKING, found" in illegal(s)[0]


def refused(s, move, taken):
    if taken:
        s.move(move)
    else:
        with pytest.raises(Refused, match="businessState: expected OPEN or WORKING"):
            s.move(move)


def test_no_move_out_of_a_final_state():
    s = Scenario(
        model(task("a", enter="WORKING", success="DONE"), task("b", enter="WORKING"), flow("s", "a"), flow("a", "b"), flow("b", "e"))
    )
    s.start("p")
    s.moves("complete a")
    assert illegal(s) == ["b is entered: expected no move from DONE, found WORKING"]


BOUNDARY = '<boundaryEvent id="b" attachedToRef="a"><errorEventDefinition/></boundaryEvent>'


def test_a_failure_moves_and_a_retry_moves_back():
    parts = task("a", enter="WORKING", success="DONE", failure="BROKEN"), BOUNDARY, flow("s", "a"), flow("b", "a"), flow("a", "e")
    s = Scenario(model(*parts))
    s.start("p")
    s.moves("error a E", "error a E", "complete a")
    assert states_of(s) == ["OPEN", "WORKING", "BROKEN", "WORKING", "BROKEN", "WORKING", "DONE"] and not illegal(s) and not s.p.instances


def test_an_error_that_an_outer_handler_catches_fails_the_step():
    inner = '<startEvent id="t"/>' + task("a", enter="WORKING", failure="BROKEN") + flow("t", "a")
    parts = f'<subProcess id="u">{inner}</subProcess>', BOUNDARY.replace('"a"', '"u"'), flow("s", "u"), flow("b", "e")
    s = Scenario(model(*parts))
    s.start("p")
    s.moves("error a E")
    assert states_of(s) == ["OPEN", "WORKING", "BROKEN"] and not s.p.instances


def test_attempts_used_up_are_a_failure_and_resolving_tries_again():
    s = Scenario(model(task("a", enter="WORKING", success="DONE", failure="BROKEN"), flow("s", "a"), flow("a", "e")))
    s.start("p")
    s.do(c.FailTask(task=s.task("a").key, retries=0, code="E", message="no"))
    assert states_of(s) == ["OPEN", "WORKING", "BROKEN"]
    s.moves("resolve", "complete a")
    assert states_of(s) == ["OPEN", "WORKING", "BROKEN", "WORKING", "DONE"] and not s.p.instances


def test_a_loop_moves_once():
    loop = "<multiInstanceLoopCharacteristics><loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics>"
    s = Scenario(model(task("a", inner=loop, enter="WORKING", success="DONE"), flow("s", "a"), flow("a", "e")))
    s.start("p")
    s.moves("complete a", "complete a")
    assert states_of(s) == ["OPEN", "WORKING"]
    s.moves("complete a")
    assert states_of(s) == ["OPEN", "WORKING", "DONE"] and not illegal(s)


def test_a_name_that_is_not_declared_is_found():
    text = model(task("a", enter="WORKNG"), flow("s", "a"), flow("a", "e"))
    assert [(f.code, f.element) for f in bpmn.read(text.encode())[1] if f.severity == "error"] == [("STATE_UNKNOWN", "a")]
    assert not [f for f in bpmn.read(text.replace("WORKNG", "WORKING").encode())[1] if f.severity == "error"]


def test_models_without_states_record_nothing():
    s = Scenario(model(task("a"), flow("s", "a"), flow("a", "e")).replace(STATES, ""))
    s.start("p")
    s.moves("complete a")
    assert states_of(s) == [] and not s.p.instances


class Unchecked(Scenario):
    """Where the setting `state_validation` is off."""

    def facts(self, p):
        found = super().facts(p)
        found.state_validation = False
        return found


def test_with_the_check_switched_off_states_are_set_as_they_come():
    s = Unchecked(model(task("a", enter="DONE"), task("b"), flow("s", "a"), flow("a", "b"), flow("b", "e")))
    s.start("p")
    s.moves('set businessState="NOWHERE"', 'complete a businessState="BROKEN"')
    (i,) = s.p.instances.values()
    assert states_of(s) == ["OPEN", "DONE", "NOWHERE"] and i.vars["businessState"] == "BROKEN"
    assert not illegal(s) and [t.element for t in s.p.tasks.values()] == ["b"]
