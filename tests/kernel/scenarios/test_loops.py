# ruff: noqa: E501 - models are lines
"""Standard loops and multi-instance, their events and conditions, and many items (BPMN 13.3.6, 13.3.7)."""

import pytest
from scenario import Scenario, play

from flowledger.events import commands as c
from flowledger.kernel import limits
from tests.counting import calls

FLOW = "startEvent s\nserviceTask a\n{0}\nendEvent e\ns > a > e\n{1}"
MI = '.<multiInstanceLoopCharacteristics isSequential="{0}">{1}</multiInstanceLoopCharacteristics>\n<zeebe:loopCharacteristics inputCollection="= items" inputElement="item" outputCollection="results" outputElement="= r"/>'
ZEEBE = MI.replace("<zeebe:loop", "").split("\n")[0]


def multi(sequential: bool, inner: str = "", attrs: str = "", more: str = "") -> str:
    zeebe = '<zeebe:loopCharacteristics inputCollection="= items" inputElement="item" outputCollection="results" outputElement="= r"/>'
    text = f'.<multiInstanceLoopCharacteristics isSequential="{str(sequential).lower()}"{attrs}><extensionElements>{zeebe}</extensionElements>{inner}</multiInstanceLoopCharacteristics>'
    return FLOW.format(text, more)


@pytest.mark.req("APG-DAG-001")
@pytest.mark.parametrize("sequential", [True, False])
def test_results_in_the_order_of_the_items(sequential):
    s = play(multi(sequential), "complete a r=1; complete a r=2; complete a r=3", "p", items=[7, 8, 9])
    assert s.vars["results"] == [1, 2, 3] and s.empty
    assert s.said("loop", "item") == "loop a 3 item 1 item 2 item 3"


@pytest.mark.parametrize("sequential", [True, False])
@pytest.mark.parametrize(("items", "end"), [([], "done"), (None, "?EXTRACT_VALUE_ERROR"), ({"a": 1}, "?EXTRACT_VALUE_ERROR")])
def test_odd_collections(sequential, items, end):
    assert play(multi(sequential), "", "p", items=items).words[-1] == end


@pytest.mark.parametrize("sequential", [True, False])
def test_completion_condition_withdraws_the_rest(sequential):
    s = play(
        multi(sequential, "<completionCondition>numberOfCompletedInstances = 2</completionCondition>"),
        "complete a r=1; complete a r=2",
        "p",
        items=[7, 8, 9],
    )
    assert s.vars["results"] == [1, 2, None] and s.empty


def test_a_bad_completion_condition_is_an_incident_and_goes_on_after_repair():
    s = play(multi(False, "<completionCondition>enough</completionCondition>"), "complete a r=1", "p", items=[7, 8])
    assert s.words[-1] == "?CONDITION_NOT_BOOLEAN"
    s.moves("set enough=false", "resolve", "complete a r=2")
    assert s.empty


@pytest.mark.parametrize("sequential", [True, False])
def test_interrupted_and_cancelled(sequential):
    model = multi(sequential, more="boundaryEvent b on=a : signal S\nendEvent z\nb > z")
    assert play(model, "complete a; signal S", "p", items=[1, 2, 3]).empty
    assert play(model, "complete a; cancel", "p", items=[1, 2, 3]).empty
    error = multi(sequential, more="boundaryEvent b on=a : error E\nendEvent z\nb > z")
    assert play(error, "error a E", "p", items=[1, 2, 3]).empty


def test_nested_loops():
    model = """
startEvent s
subProcess sp {
startEvent i
serviceTask a
.<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>
endEvent q
i > a > q
}
.<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>
endEvent e
s > sp > e
"""
    s = play(model, "complete a; complete a; complete a; complete a")
    assert s.tasks == "a a a a" and s.empty


@pytest.mark.parametrize(
    ("behavior", "events", "caught"),
    [
        ("All", "", 0),
        ("None", ' noneBehaviorEventRef="es"', 3),
        ("One", ' oneBehaviorEventRef="es"', 1),
        ("Complex", "", 1),
    ],
)
def test_events_of_the_behaviour(behavior, events, caught):
    complex_ = '<complexBehaviorDefinition><condition>numberOfCompletedInstances &gt; 1</condition><event id="ie"><eventDefinitionRef>es</eventDefinitionRef></event></complexBehaviorDefinition>'
    more = '^<escalation id="x1" escalationCode="X"/>\n^<escalationEventDefinition id="es" escalationRef="x1"/>\nboundaryEvent b on=a cancel=false : escalation X\nserviceTask h\nendEvent z\nb > h > z'
    model = multi(False, complex_ if behavior == "Complex" else "", f' behavior="{behavior}"{events}', more)
    third = "" if behavior == "Complex" else "; complete a"  # a true complex condition cancels what still runs
    s = play(model, f"complete a; complete a{third}", "p", items=[1, 2, 3])
    assert s.tasks.split().count("h") == caught and s.said("~") == ("~a" if behavior == "Complex" else "")
    assert "a" not in s.at.split()


def test_a_signal_of_the_behaviour_can_end_the_rest():
    more = (
        '^<signal id="g1" name="G"/>\n^<signalEventDefinition id="es" signalRef="g1"/>\nboundaryEvent b on=a : signal G\nendEvent z\nb > z'
    )
    assert play(multi(False, "", ' behavior="One" oneBehaviorEventRef="es"', more), "complete a", "p", items=[1, 2, 3]).empty


@pytest.mark.parametrize(
    ("loop", "moves", "tasks"),
    [
        ('<standardLoopCharacteristics loopMaximum="2"/>', "complete a; complete a", "a a"),
        (
            "<standardLoopCharacteristics><loopCondition>again</loopCondition></standardLoopCharacteristics>",
            "complete a again=true; complete a again=false",
            "a a",
        ),
        ('<standardLoopCharacteristics testBefore="true"><loopCondition>again</loopCondition></standardLoopCharacteristics>', "", ""),
        (
            '<standardLoopCharacteristics loopMaximum="1"><loopCondition>true</loopCondition></standardLoopCharacteristics>',
            "complete a",
            "a",
        ),
        ('<standardLoopCharacteristics loopMaximum="0"/>', "", ""),
        (
            "<standardLoopCharacteristics><loopCondition>loopCounter &lt; 3</loopCondition></standardLoopCharacteristics>",
            "complete a; complete a; complete a",
            "a a a",
        ),
    ],
)
def test_standard_loops(loop, moves, tasks):
    s = play(FLOW.format("." + loop, ""), moves, "p", again=False)
    assert s.tasks == tasks and s.empty


def test_a_standard_loop_is_interrupted():
    s = play(
        FLOW.format('.<standardLoopCharacteristics loopMaximum="3"/>', "boundaryEvent b on=a : signal S\nendEvent z\nb > z"),
        "complete a; signal S",
    )
    assert s.empty


@pytest.mark.req("APG-DAG-001")
@pytest.mark.parametrize("sequential", [True, False])
def test_many_items_in_bounded_steps(sequential):
    """Cost per item doesn't grow with their number, and no command does more than a bounded part of the work."""
    model = (
        multi(sequential)
        .replace("serviceTask a", "scriptTask a")
        .replace("endEvent e", '<zeebe:script expression="= item * 2" resultVariable="r"/>\nendEvent e')
    )

    def run(count):
        s = Scenario(model)
        s.check = False
        sizes = []
        take = s._take
        s._take = lambda d: (sizes.append(len(d.events)), take(d))
        cost = calls(lambda: s.do(c.StartInstance(id="p", variables={"items": list(range(count))})))
        assert s.empty
        return s, max(sizes), cost / count

    small = run(2_000)[2]
    s, largest, cost = run(20_000)
    assert largest < 5_000 and cost < small * 1.2, (
        f"{cost:.0f} calls an item, {small:.0f} with a tenth of them; {largest} events in one step"
    )
    result = next(e for e, _ in reversed(s.log) if getattr(e, "variables", None) and "results" in e.variables).variables["results"]
    assert len(result) == 20_000 and result[-1] == 39_998


@pytest.mark.parametrize("chunk", [1, 2, 7])
@pytest.mark.parametrize("crash", [False, True])
def test_so_many_runs_at_the_same_time_and_no_more(chunk, crash, monkeypatch):
    """The others follow as these end, in order; whoever ends them."""
    monkeypatch.setattr(limits, "RUNS_MAX", 4)
    monkeypatch.setattr(limits, "SPAWN_MAX", chunk)
    s = Scenario(multi(False), crash=crash)
    s.start(items=list(range(11)))
    most = 0
    for n in range(11):
        at_work = [t for t in s.p.tasks.values() if t.element == "a"]
        most = max(most, len(at_work))
        assert at_work, f"after {n} of 11"
        s.do(c.CompleteTask(task=max(at_work, key=lambda t: t.key).key, variables={"r": n}))
    assert most == 4 and s.empty
    results = next(e.variables["results"] for e, _ in reversed(s.log) if "results" in (getattr(e, "variables", None) or {}))
    assert sorted(results) == list(range(11))


def test_withdrawn_runs_make_room_too(monkeypatch):
    monkeypatch.setattr(limits, "RUNS_MAX", 3)
    s = Scenario(multi(False)).start(items=list(range(5)))
    tokens = [t.token for t in s.p.tasks.values()]
    s.do(c.ModifyInstance(key=s.key, terminate=tokens))
    assert len([t for t in s.p.tasks.values() if t.element == "a"]) == 2
    s.moves("complete a r=1", "complete a r=2")
    assert s.empty
