# ruff: noqa: E501 - models are lines
"""Joins in every scope: the process, sub-processes of each kind, event sub-processes, loops, compensation; and between the choices of an ad-hoc one."""

from __future__ import annotations

import pytest
from scenario import play

GATEWAYS = ["parallelGateway", "inclusiveGateway", "complexGateway"]
INNER = "{kind} f\nserviceTask a\nserviceTask b\n{kind} j\nserviceTask z\nf > a\nf > b\na > j\nb > j\nj > z"
LOOP = ".<multiInstanceLoopCharacteristics{how}><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"
SCOPES = {
    "process": ("startEvent s\ns > f\n{inner}", ["a", "b", "z"]),
    "sub-process": ("startEvent s\nsubProcess sp {{\nstartEvent i\ni > f\n{inner}\n}}\ns > sp", ["a", "b", "z"]),
    "transaction": ("startEvent s\ntransaction sp {{\nstartEvent i\ni > f\n{inner}\n}}\ns > sp", ["a", "b", "z"]),
    "without start event": ("startEvent s\nsubProcess sp {{\n{inner}\n}}\ns > sp", ["a", "b", "z"]),
    "event sub-process": (
        "startEvent s\nserviceTask w\ns > w\nsubProcess h event=true {{\nstartEvent i : signal S\ni > f\n{inner}\n}}",
        ["signal S", "a", "b", "z"],
    ),
    "event sub-process that does not interrupt": (
        "startEvent s\nserviceTask w\ns > w\nsubProcess h event=true {{\nstartEvent i interrupting=false : signal S\ni > f\n{inner}\n}}",
        ["signal S", "a", "b", "z", "w"],
    ),
    "parallel runs": (
        "startEvent s\nsubProcess sp {{\nstartEvent i\ni > f\n{inner}\n}}\n" + LOOP.format(how="") + "\ns > sp",
        ["a", "a", "b", "b", "z", "z"],
    ),
    "sequential runs": (
        "startEvent s\nsubProcess sp {{\nstartEvent i\ni > f\n{inner}\n}}\n" + LOOP.format(how=' isSequential="true"') + "\ns > sp",
        ["a", "b", "z", "a", "b", "z"],
    ),
    "compensation handler": (
        'startEvent s\ntask c\nboundaryEvent cb on=c : compensate\nsubProcess sp comp=true {{\nstartEvent i\ni > f\n{inner}\n}}\n~<association id="as" sourceRef="cb" targetRef="sp"/>\nendEvent e : compensate\ns > c > e',
        ["a", "b", "z"],
    ),
    "choice": (
        'startEvent s\nadHocSubProcess ah {{\nsubProcess sp {{\nstartEvent i\ni > f\n{inner}\n}}\n}}\n<zeebe:adHoc activeElementsCollection="= [&quot;sp&quot;]"/>\ns > ah',
        ["a", "b", "z"],
    ),
}


@pytest.mark.parametrize("kind", GATEWAYS)
@pytest.mark.parametrize("name", SCOPES)
def test_a_join_fires_in_each_scope(kind, name):
    model, moves = SCOPES[name]
    s = play(model.format(inner=INNER.format(kind=kind)), "; ".join(m if " " in m else f"complete {m}" for m in moves))
    assert s.tasks.split().count("z") == moves.count("z") and s.empty


AD_HOC = "startEvent s\nadHocSubProcess ah {{\nserviceTask a\nserviceTask b\n{kind} j\nserviceTask z\na > j > z\nb > j\n}}\n{choose}\nserviceTask after\ns > ah > after"


@pytest.mark.parametrize("kind", GATEWAYS)
@pytest.mark.parametrize("moves", ["complete a; complete b; complete z", "complete b; complete a; complete z"])
def test_choices_of_an_ad_hoc_sub_process_meet(kind, moves):
    choose = '<zeebe:adHoc activeElementsCollection="= [&quot;a&quot;, &quot;b&quot;]"/>'
    s = play(AD_HOC.format(kind=kind, choose=choose), moves + "; complete after")
    assert s.tasks == "a b z after" and s.empty


def test_a_choice_that_comes_later_is_waited_for():
    s = play(
        AD_HOC.format(kind="parallelGateway", choose=""), "activate ah a; complete a; activate ah b; complete b; complete z; complete after"
    )
    assert s.tasks == "a b z after" and s.empty


@pytest.mark.parametrize("kind", GATEWAYS)
@pytest.mark.parametrize("where", ["plain", "runs"])
def test_a_join_lets_the_next_of_a_sequential_ad_hoc_sub_process_begin(kind, where):
    """A token that waits at a join does not run, so the queue goes on; and what is queued is waited for."""
    choose = '<zeebe:adHoc activeElementsCollection="= [&quot;a&quot;, &quot;b&quot;]"/>'
    model, times = AD_HOC.format(kind=kind, choose=choose).replace("ah {", "ah ordering=Sequential {"), 1
    if where == "runs":
        model, times = model.replace("\nserviceTask after", "\n" + LOOP.format(how="") + "\nserviceTask after"), 2
    s = play(model, "; ".join(f"complete {m}" for m in ("a", "b", "z") for _ in range(times)) + "; complete after")
    assert s.tasks == " ".join(t for m in ("a", "b", "z") for t in [m] * times) + " after" and s.empty


@pytest.mark.parametrize("kind", GATEWAYS)
def test_the_host_of_a_boundary_event_that_does_not_interrupt_is_waited_for(kind):
    s = play(
        f"startEvent s\n{kind} f\nserviceTask a\nserviceTask b\nboundaryEvent bo on=b cancel=false : signal S\n{kind} j\nserviceTask z\n"
        "s > f > a > j > z\nf > b > j\nbo > j",
        "complete a; signal S; complete b; complete z",
    )
    assert s.tasks == "a b z" and s.empty


#: joins that stand in ways of their own: (model, moves, tasks)
WAYS = {
    "a loop back through fork and join": (
        "startEvent s\nexclusiveGateway x\n{kind} f\nserviceTask a\nserviceTask b\n{kind} j\nserviceTask z\nexclusiveGateway y\nendEvent e\ns > x > f > a > j > z > y\nf > b > j\ny > x ? again\ny > e !",
        "complete a; complete b; complete z again=true; complete b; complete a; complete z again=false",
        "a b z a b z",
    ),
    "an event sub-process twice at a time": (
        "startEvent s\nserviceTask w\ns > w\nsubProcess h event=true {{\nstartEvent i interrupting=false : signal S\n{kind} f\nserviceTask a\nserviceTask b\n{kind} j\nserviceTask z\ni > f > a > j > z\nf > b > j\n}}",
        "signal S; signal S; complete a; complete a; complete b; complete b; complete z; complete z; complete w",
        "w a b a b z z",
    ),
    "a branch that a terminate event of a sub-process ends": (
        "startEvent s\n{kind} f\nserviceTask a\nsubProcess sp {{\nserviceTask b\nserviceTask o\nendEvent te : terminate\nb > te\n}}\n{kind} j\nserviceTask z\ns > f > a > j > z\nf > sp > j",
        "complete a; complete b; complete z",
        "a b o z",
    ),
}


@pytest.mark.parametrize("kind", GATEWAYS)
@pytest.mark.parametrize("name", WAYS)
def test_a_join_in_ways_of_its_own(kind, name):
    model, moves, tasks = WAYS[name]
    s = play(model.format(kind=kind), moves)
    assert sorted(s.tasks.split()) == sorted(tasks.split()) and s.empty
