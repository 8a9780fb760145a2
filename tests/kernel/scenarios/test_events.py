# ruff: noqa: E501 - models are lines
"""Each event in each position that the standard allows (BPMN table 10.93), nested, in loops, in multi-instance, cancelled."""

import msgspec
import pytest
from scenario import Refused, Scenario, play

from flowledger.events import commands as c

#: caught from outside: definition, the move that makes it occur
CAUGHT = {
    "message": ("message M = k", "message M 7"),
    "signal": ("signal S", "signal S"),
    "timer": ("timer PT1H", "tick"),
    "conditional": ("conditional x > 1", "set x=2"),
}
#: thrown inside: definition to catch, element that throws
THROWN = {
    "error": ("error E", "endEvent th : error E"),
    "escalation": ("escalation X", "intermediateThrowEvent th : escalation X"),
}
CATCH = "startEvent s\nintermediateCatchEvent w : {0}\nserviceTask a\nendEvent e\ns > w > a > e"
BOUNDARY = "startEvent s\nserviceTask a\nboundaryEvent b on=a {1} : {0}\nserviceTask h\nendEvent e\nendEvent z\ns > a > e\nb > h > z"
SUB = "startEvent s\nserviceTask a\nendEvent e\ns > a > e\nsubProcess h event=true {{\nstartEvent hs {1} : {0}\nserviceTask ht\nendEvent he\nhs > ht > he\n}}"
GATEWAY = "startEvent s\neventBasedGateway g\nintermediateCatchEvent w : {0}\nintermediateCatchEvent o : signal OTHER\nserviceTask a\nendEvent e\nendEvent z\ns > g\ng > w > a > e\ng > o > z"


def inside(model: str, multi: str = "") -> str:
    return f"startEvent s0\nendEvent e0\ns0 > box > e0\nsubProcess box {{\n{model}\n}}\n{multi}"


TWICE = '.<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>'


@pytest.mark.parametrize("kind", CAUGHT)
@pytest.mark.parametrize(
    ("model", "how", "moves", "tasks"),
    [
        (CATCH, "", "{0}; complete a", "a"),
        (CATCH, "", "cancel", ""),
        (BOUNDARY, "", "{0}; complete h", "a h"),
        (BOUNDARY, "", "complete a", "a"),
        (BOUNDARY, "cancel=false", "{0}; complete h; complete a", "a h"),
        (BOUNDARY, "cancel=false", "{0}; complete a; complete h", "a h"),
        (SUB, "", "{0}; complete ht", "a ht"),
        (SUB, "", "complete a", "a"),
        (SUB, "interrupting=false", "{0}; complete a; complete ht", "a ht"),
        (GATEWAY, "", "{0}; complete a", "a"),
        (GATEWAY, "", "signal OTHER", ""),
    ],
    ids="catch catch-cancelled boundary boundary-unused boundary-non boundary-non-late sub sub-unused sub-non gateway gateway-other".split(),
)
@pytest.mark.req("APG-ELM-005")
def test_caught_from_outside(kind, model, how, moves, tasks):
    definition, occur = CAUGHT[kind]
    text = model.format(definition, how)
    for nested in (text, inside(text)):
        s = play(nested, moves.format(occur), "p", k=7, x=0)
        assert s.tasks == tasks and s.empty


@pytest.mark.parametrize("kind", CAUGHT)
@pytest.mark.parametrize(("model", "tasks"), [(CATCH, "a a"), (BOUNDARY, "a h a h"), (SUB, "a ht a ht")], ids=["catch", "boundary", "sub"])
def test_caught_in_multi_instance(kind, model, tasks):
    definition, occur = CAUGHT[kind]
    last = tasks.split()[-1]
    reset = "; set x=0" if kind == "conditional" else ""
    s = play(inside(model.format(definition, ""), TWICE), f"{occur}{reset}; complete {last}; {occur}; complete {last}", "p", k=7, x=0)
    assert s.tasks == tasks and s.empty


@pytest.mark.parametrize("kind", CAUGHT)
def test_caught_in_a_loop(kind):
    definition, occur = CAUGHT[kind]
    model = (
        CATCH.format(definition).replace("a > e", "a > y\ny > w ? again\ny > e !").replace("endEvent e", "exclusiveGateway y\nendEvent e")
    )
    reset = "; set x=0" if kind == "conditional" else ""
    s = play(model, f"{occur}{reset}; complete a again=true; {occur}; complete a again=false", "p", k=7, x=0)
    assert s.tasks == "a a" and s.empty


@pytest.mark.parametrize("kind", THROWN)
def test_caught_at_the_boundary_of_the_scope(kind):
    definition, thrower = THROWN[kind]
    more = "\nendEvent q\nth > q" if kind == "escalation" else ""
    model = f"startEvent s\nsubProcess sp {{\nstartEvent i\n{thrower}\ni > th{more}\n}}\nboundaryEvent b on=sp : {definition}\nserviceTask h\nendEvent e\nendEvent z\ns > sp > e\nb > h > z"
    assert play(model, "complete h").tasks == "h"
    assert play(inside(model, TWICE), "complete h; complete h").tasks == "h h"
    catch_all = model.replace(f": {definition}\nserviceTask", f": {kind}\nserviceTask")
    assert play(catch_all, "complete h").tasks == "h"


@pytest.mark.parametrize("kind", THROWN)
def test_caught_by_an_event_sub_process(kind):
    definition, thrower = THROWN[kind]
    more = "\nserviceTask q\nth > q" if kind == "escalation" else ""
    model = f"startEvent s\n{thrower}\ns > th{more}\nsubProcess h event=true {{\nstartEvent hs : {definition}\nserviceTask ht\nendEvent he\nhs > ht > he\n}}"
    for nested in (model, inside(model)):
        s = play(nested, "complete ht")
        assert s.tasks == "ht" and s.empty


def test_an_escalation_need_not_interrupt_nor_be_caught():
    model = """
startEvent s
subProcess sp {
startEvent i
intermediateThrowEvent th : escalation X
serviceTask a
endEvent q : escalation Y
i > th > a > q
}
boundaryEvent b on=sp cancel=false : escalation X
serviceTask h
endEvent e
endEvent z
s > sp > e
b > h > z
"""
    s = play(model, "complete h; complete a")
    assert s.tasks == "a h" and "esc Y" in s.line and s.empty


def test_an_error_without_handler_is_an_incident():
    s = play("startEvent s\nendEvent e : error E\ns > e", "")
    assert s.words[-1] == "?UNHANDLED_ERROR_EVENT"


def test_the_handler_with_the_code_wins_and_the_innermost_first():
    model = """
startEvent s
subProcess sp {
serviceTask a
startEvent i
endEvent q
i > a > q
boundaryEvent b1 on=a : error OTHER
endEvent z1
b1 > z1
}
boundaryEvent b2 on=sp : error
boundaryEvent b3 on=sp : error E
serviceTask h2
serviceTask h3
endEvent e
s > sp > e
b2 > h2
b3 > h3
"""
    assert play(model, "error a E").tasks == "a h3"
    assert play(model, "error a X").tasks == "a h2"
    assert play(model, "error a OTHER").line.endswith("done")


def test_terminate_ends_its_scope_only():
    model = """
startEvent s
subProcess sp {
startEvent i
parallelGateway f
serviceTask a
serviceTask b
endEvent t : terminate
endEvent q
i > f
f > a > t
f > b > q
}
serviceTask c
endEvent e
s > sp > c > e
"""
    s = play(model, "complete a; complete c")
    assert s.tasks == "a b c" and "~b" in s.words and s.empty


def test_link_jumps():
    model = (
        "startEvent s\nintermediateThrowEvent t : link L\nintermediateCatchEvent c : link L\nserviceTask a\nendEvent e\ns > t\nc > a > e"
    )
    for nested in (model, inside(model), inside(model, TWICE)):
        s = play(nested, "complete a" + ("; complete a" if TWICE in nested else ""))
        assert s.empty and "t>c" in s.words


@pytest.mark.parametrize("kind", ["message", "signal"])
def test_thrown_and_caught_in_the_same_instance(kind):
    definition = {"message": "message M = k", "signal": "signal S"}[kind]
    model = f"""
startEvent s
parallelGateway f
intermediateCatchEvent w : {definition}
serviceTask a
intermediateThrowEvent t : {definition}
endEvent e1
endEvent e2
s > f
f > w > e1
f > a > t > e2
"""
    assert play(model, "complete a", "p", k="1").empty


def test_a_message_waits_for_its_catcher():
    s = Scenario(CATCH.format("message M = k"))
    s.do(c.PublishMessage(name="M", correlation_key="7", ttl_ms=60_000, variables={"v": 1}))
    s.start("p", k=7)
    assert s.at == "a" and s.vars["v"] == 1


@pytest.mark.parametrize(
    ("definition", "move"),
    [("message M", "message M k x=1"), ("signal S", "signal S x=1"), ("timer R2/PT1H", "tick")],
    ids=["message", "signal", "timer"],
)
@pytest.mark.req("APG-ELM-005", "WOS-TRG-002")
def test_start_events(definition, move):
    for crash in (False, True):
        s = Scenario(f"startEvent s : {definition}\nserviceTask a\nendEvent e\ns > a > e", crash=crash)
        s.move(move)
        assert s.tasks == "a"
        with pytest.raises(Refused, match="none start event"):
            s.start("p")


def test_a_cycle_at_a_boundary_fires_again():
    s = play(BOUNDARY.format("timer R2/PT1H", "cancel=false"), "tick; tick; complete a; complete h; complete h")
    assert s.tasks == "a h h" and s.empty


# --- several definitions in one event ---------------------------------------------------------------------------------

MULTIPLE = "message M = k + signal S + timer PT1H"


@pytest.mark.parametrize("occur", ["message M 7", "signal S", "tick"])
@pytest.mark.parametrize("model", [CATCH, BOUNDARY, SUB, GATEWAY], ids=["catch", "boundary", "sub", "gateway"])
def test_multiple_occurs_by_any(occur, model):
    s = play(model.format(MULTIPLE, ""), occur, "p", k=7)
    task = s.tasks.split()[-1]
    s.move(f"complete {task}")
    assert s.empty


@pytest.mark.parametrize("model", [CATCH.replace("w :", "w parallel=true :"), BOUNDARY, SUB], ids=["catch", "boundary", "sub"])
def test_parallel_multiple_needs_all(model):
    text = model.format(MULTIPLE, "parallel=true")
    s = play(text, "signal S v=1; message M 7 w=2", "p", k=7)
    before = s.tasks
    s.move("tick")
    after = s.tasks.split()
    assert len(after) == len(before.split()) + 1
    s.move(f"complete {after[-1]}")
    assert s.empty


def test_parallel_multiple_that_does_not_interrupt_gathers_anew():
    text = BOUNDARY.format("signal S + signal R", "parallel=true cancel=false")
    s = play(text, "signal S; signal S; signal R; signal R; signal S; complete a; complete h; complete h")
    assert s.tasks == "a h h" and s.empty


def test_multiple_throws_each_in_order():
    model = "startEvent s\nintermediateThrowEvent t : signal S + escalation X + message M\nendEvent e : signal R + escalation Y\ns > t > e"
    s = play(model, "")
    assert s.said("esc") == "esc X esc Y" and s.empty


def test_multiple_start_any_and_parallel_all():
    for parallel, created in (("", "a a"), ("parallel=true", "a")):
        s = Scenario(f"startEvent s {parallel} : signal S + message M\nserviceTask a\nendEvent e\ns > a > e")
        s.moves("signal S x=1", "message M y=2")
        assert s.tasks == created
    (i,) = s.p.instances.values()
    assert i.vars == {"x": 1, "y": 2}


def test_event_definitions_of_the_root_are_shared():
    model = CATCH.format("ref shared") + '\n^<signal id="sg" name="S"/>\n^<signalEventDefinition id="shared" signalRef="sg"/>'
    assert play(model, "signal S; complete a").empty


@pytest.mark.parametrize(
    ("type", "moves", "at"),
    [
        ("Exclusive", ["message M 1"], "a"),
        ("Exclusive", ["signal S"], "b"),
        ("Parallel", ["message M 1"], "a w2"),
        ("Parallel", ["message M 1", "signal S"], "a b"),
    ],
)
def test_event_gateways_that_start_instances(type, moves, at):
    model = f"""
eventBasedGateway g instantiate=true eventGatewayType={type}
intermediateCatchEvent w1 : message M
intermediateCatchEvent w2 : signal S
serviceTask a
serviceTask b
endEvent e
g > w1 > a > e
g > w2 > b > e
"""
    for crash in (False, True):
        s = Scenario(model, crash=crash).moves(*moves[:1])
        if len(moves) > 1:
            (key,) = s.p.instances
            s.moves(*moves[1:])
            assert key in s.p.instances
            assert sorted(t.element for t in s.p.instances[key].tokens.values()) == at.split()
        else:
            assert s.at == at


def test_a_receive_task_that_starts_instances():
    model = '^<message id="mm" name="M"/>\nreceiveTask r instantiate=true messageRef=mm\nserviceTask a\nendEvent e\nr > a > e'
    s = Scenario(model).moves("message M 1 x=1", "message M 2", "complete a", "complete a")
    assert s.tasks == "a a" and s.empty


@pytest.mark.parametrize("begins", ["message M", "signal M"])
@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("waits", ["message N = order", "timer = pause", "conditional order > 3", "signal = called"])
@pytest.mark.parametrize("crash", [False, True])
def test_what_starts_an_instance_is_seen_by_its_event_sub_processes(begins, mapped, waits, crash):
    """Their keys, times and names may come from the payload, as it is or as the start event maps it."""
    own = {"order": 7, "pause": "PT1H", "called": "N"}
    mapping = "".join(f'<zeebe:output source="= p_{name}" target="{name}"/>' for name in own) if mapped else ""
    kind, _, rest = waits.partition(" ")
    event = f": {waits}" if kind in ("message", "conditional") else ""
    raw = {
        "timer": ".<timerEventDefinition><timeDuration>= pause</timeDuration></timerEventDefinition>",
        "signal": '.<signalEventDefinition signalRef="by_name"/>\n^<signal id="by_name" name="= called"/>',
    }.get(kind, "")
    model = (
        f"startEvent s : {begins}\n"
        + (f"<zeebe:ioMapping>{mapping}</zeebe:ioMapping>\n" if mapped else "")
        + f"serviceTask w\ns > w\nsubProcess x event=true {{\nstartEvent b interrupting=false {event}\n{raw}\nserviceTask h\nb > h\n}}"
    )
    s = Scenario(model, crash=crash)
    payload = " ".join(f"{'p_' if mapped else ''}{k}={msgspec.json.encode(v).decode()}" for k, v in own.items())
    s.move(begins.replace("message M", "message M k") + " " + payload)
    s.key = next(iter(s.p.instances))
    assert not s.p.incidents
    s.move({"message": "message N 7", "timer": "tick", "conditional": "set y=1", "signal": "signal N"}[kind])
    assert s.at == "h w x"


@pytest.mark.parametrize(
    ("kind", "value", "fires"),
    [
        ("Cycle", 'cycle(2, duration("PT1H"))', 2),
        ("Cycle", 'cycle(duration("PT1H"))', 3),
        ("Cycle", '"R2/" + string(date and time("2026-03-28T10:00:00@Europe/Berlin")) + "/P1D"', 2),
        ("Cycle", '"R2/" + string(duration("P1M"))', 2),
        ("Date", 'date and time("2026-03-28T10:00:00@Europe/Berlin")', 1),
        ("Date", 'date("2026-03-28")', 1),
        ("Date", 'now() + duration("P1Y")', 1),
        ("Duration", 'date("2026-03-28") - date("2026-03-27")', 1),
        ("Duration", 'duration("P1M")', 1),
    ],
)
def test_a_timer_takes_the_values_of_feel(kind, value, fires):
    s = Scenario(
        f"startEvent s\nserviceTask w\nboundaryEvent b on=w cancel=false\n.<timerEventDefinition><time{kind}>= {value}</time{kind}></timerEventDefinition>\n"
        "s > w\nserviceTask h\nb > h"
    ).start()
    fired = 0
    while s.p.timers and fired < 3:
        s.move("tick")
        fired += 1
    assert fired == fires and not s.p.incidents and s.at.split().count("h") == fires
