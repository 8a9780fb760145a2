# ruff: noqa: E501 - models are lines
"""Migration: what waits beside the flow is kept, withdrawn or armed; what has no place in the target is refused."""

from __future__ import annotations

import pytest
from notation import bpmn
from scenario import Refused, Scenario

from flowledger.events import commands as c

PLAIN = "startEvent s\nserviceTask w\nserviceTask z\nendEvent e\ns > w > z > e"
#: kind -> (definition, the move that makes it occur)
KINDS = {
    "timer": ("timer PT1H", "tick"),
    "message": ("message M = k", "message M 7"),
    "signal": ("signal S", "signal S"),
    "conditional": ("conditional x > 1", "set x=2"),
    "escalation": ("escalation X", None),
    "error": ("error E", "error w E"),
}
OTHER = {"timer": "timer PT2H", "message": "message N = k", "signal": "signal T", "conditional": "conditional x > 5"}
PLACES = {
    "boundary": "boundaryEvent b on=w{how} : {event}\nserviceTask h\nb > h",
    "event sub-process": "subProcess sub event=true {{\nstartEvent b{how} : {event}\nserviceTask h\nb > h\n}}",
}


def place(where: str, event: str, how: str = "") -> str:
    words = {"boundary": " cancel=false", "event sub-process": " interrupting=false"}
    return PLAIN + "\n" + PLACES[where].format(event=event, how=words[where] if how else "")


def move(s: Scenario, model: str, **elements: str) -> Scenario:
    definitions = s.do(c.Deploy(resources=[c.Resource("m0.bpmn", bpmn(model))]))["definitions"]
    s.do(c.MigrateInstance(key=s.key, definition=definitions[0]["key"], elements=elements or {"w": "w"}))
    return s


def begun(model: str, crash: bool = False, **variables) -> Scenario:
    return Scenario(model, crash=crash).start("p", **{"k": 7, "x": 0, **variables})


def waits(s: Scenario) -> list[str]:
    """What waits beside the task, as (element, due or name)."""
    return sorted(
        [f"{t.element} {round((t.due_us - s.now_us) / 60_000_000)}" for t in s.p.timers.values()]
        + [f"{x.element} {x.name}" for x in s.p.subscriptions.values() if not x.definition]
    )


@pytest.mark.req("D-ENG-002")
@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.req("APG-ENG-004")
def test_what_only_the_target_has_is_armed(kind, where, crash):
    event, occurs = KINDS[kind]
    s = move(begun(PLAIN, crash), place(where, event))
    if occurs:
        s.move(occurs)
        assert s.at.split()[0] == "h"
    s.do(c.CancelInstance(key=s.key))
    assert s.empty


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_target_does_not_have_is_withdrawn(kind, where, crash):
    event, occurs = KINDS[kind]
    s = move(begun(place(where, event), crash), PLAIN)
    assert waits(s) == [] and not s.p.awaited
    if kind in ("message", "signal", "conditional"):
        s.move(occurs)
    assert s.at == "w"
    s.moves("complete w", "complete z")
    assert s.empty


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kind", OTHER)
@pytest.mark.parametrize("how", ["", "not interrupting"])
def test_what_is_the_same_is_kept_and_what_is_another_is_armed_anew(kind, where, how):
    event, occurs = KINDS[kind]
    s = begun(place(where, event, how))
    s.now_us += 30 * 60_000_000
    before = waits(s)
    move(s, place(where, event, how))
    assert waits(s) == before  # a timer keeps its moment
    move(s, place(where, OTHER[kind], how))
    after = waits(s)
    assert len(after) == 1 and after != before and (kind != "timer" or after[0].startswith("b 1"))
    s.now_us += 60_000_000
    move(s, place(where, event, how), w="w", b="b")  # mapped by name: kept, whatever the target says
    assert waits(s)[0].split()[0] == "b" and (kind == "conditional" or waits(s)[0].split()[1] != before[0].split()[1])


@pytest.mark.parametrize("kind", OTHER)
def test_an_event_is_renamed_with_its_host(kind):
    event, occurs = KINDS[kind]
    target = (
        "startEvent s\nserviceTask v\nserviceTask z\nendEvent e\ns > v > z > e\nboundaryEvent bb on=v : "
        + event
        + "\nserviceTask h\nbb > h"
    )
    s = move(begun(place("boundary", event)), target, w="v", b="bb")
    assert waits(s)[0].startswith("bb ")
    s.move(occurs)
    assert s.at == "h"


def test_a_timer_that_has_fired_does_not_fire_again():
    s = begun(place("boundary", "timer PT1H", "not"))
    s.move("tick")
    move(s, place("boundary", "timer PT1H", "not"), w="w", h="h")
    assert waits(s) == [] and s.at == "h w"


def test_an_interrupted_scope_arms_nothing():
    two = PLAIN + "\n" + PLACES["event sub-process"].format(event="signal S", how="")
    s = begun(two)
    s.move("signal S")
    move(s, two + "\nsubProcess more event=true {\nstartEvent c2 : signal T\nserviceTask k\nc2 > k\n}", sub="sub", h="h")
    assert waits(s) == []


def test_an_event_gateway_follows():
    model = "startEvent s\neventBasedGateway g\nintermediateCatchEvent c1 : signal S\nintermediateCatchEvent c2 : {0}\nserviceTask h\nendEvent e\ns > g\ng > c1 > h\ng > c2 > h\nh > e"
    s = move(begun(model.format("timer PT1H")), model.format("signal T"), g="g")
    assert waits(s) == ["c1 S", "c2 T"]
    s.move("signal T")
    assert s.at == "h" and waits(s) == []


def test_a_condition_that_the_target_has_made_true_occurs_at_once():
    s = begun(place("boundary", "conditional x > 5"), x=3)
    move(s, place("boundary", "conditional x > 2"), w="w", b="b")
    assert s.at == "h"


def test_the_kept_compensation_follows_its_handler():
    model = 'startEvent s\nserviceTask a\nboundaryEvent cb on=a : compensate\nserviceTask {undo} comp=true\nserviceTask w\nendEvent e : compensate\ns > a > w > e\n~<association id="as" sourceRef="cb" targetRef="{undo}"/>'
    s = begun(model.format(undo="undo"))
    s.move("complete a")
    move(s, model.format(undo="undo2"), w="w", undo="undo2")
    s.moves("complete w", "complete undo2")
    assert s.empty
    s = begun(model.format(undo="undo"))
    s.move("complete a")
    move(s, "startEvent s\nserviceTask w\nendEvent e : compensate\ns > w > e", w="w")
    s.move("complete w")
    assert s.empty


MULTI = ".<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"


@pytest.mark.parametrize(
    ("source", "target", "elements", "says"),
    [
        (
            PLAIN.replace("serviceTask w", f"serviceTask w\n{MULTI}"),
            PLAIN,
            {"w": "w"},
            "2 runs of 'w' are active, 'w' is no loop, with room for one",
        ),
        (PLAIN, PLAIN.replace("serviceTask w", "userTask w"), {"w": "w"}, "can't change its kind"),
        (PLAIN, PLAIN, {"z": "z"}, "mapping for the active element 'w'"),
        (PLAIN, PLAIN, {"w": "nothing"}, "found 'nothing'"),
        (PLAIN, PLAIN, {"w": "w", "nothing": "z"}, "found 'nothing'"),
        (
            "startEvent s\nintermediateCatchEvent w : signal S\nendEvent e\ns > w > e",
            "startEvent s\nintermediateCatchEvent w : timer PT1H\nendEvent e\ns > w > e",
            {"w": "w"},
            "waits for signal",
        ),
        (
            "startEvent s\nparallelGateway f\nserviceTask w\nparallelGateway j\nendEvent e\ns > f\nf > w > j\nf > j\nj > e",
            "startEvent s\nserviceTask w\nserviceTask y\nparallelGateway j\nendEvent e\ns > w > j\ns > y > j\nj > e",
            {"w": "w", "j": "j"},
            "on flow 'f-j'",
        ),
    ],
)
def test_what_has_no_place_is_refused(source, target, elements, says):
    s = begun(source)
    before = s.at
    with pytest.raises(Refused, match=says):
        move(s, target, **elements)
    assert s.at == before


@pytest.mark.req("APG-ENG-004")
def test_a_token_that_waits_at_a_join_follows_its_flow():
    source = "startEvent s\nparallelGateway f\nserviceTask w\nparallelGateway j\nserviceTask z\ns > f\nf > w > j\nf > j\nj > z"
    target = "startEvent s\nparallelGateway f\nserviceTask w\nparallelGateway jj\nserviceTask z\ns > f\nf > w > jj\nf > jj\njj > z"
    s = move(begun(source), target, **{"w": "w", "j": "jj", "f-j": "f-jj"})
    s.move("complete w")
    assert s.at == "z"


def test_a_boundary_that_can_not_be_armed_is_an_incident():
    s = move(begun(PLAIN), place("boundary", "message M = missing"))
    assert [x.element for x in s.p.incidents.values()] == ["w"]


BOUNDARY = "\n+boundaryEvent b on={0} cancel=false : signal S\n+serviceTask h\n+b > h"
INSIDE = "+subProcess x event=true {\n+startEvent b interrupting=false : signal S\n+serviceTask h\n+b > h\n+}"
RECEIVES = '^<message id="R" name="R"><extensionElements><zeebe:subscription correlationKey="= k"/></extensionElements></message>'
CHOICES = '<zeebe:adHoc activeElementsCollection="= [&quot;w&quot;, &quot;w&quot;]"/>'
#: place -> (model, in which what stands behind `+` is new; how often the new event occurs)
EVERYWHERE = {
    "a scope": ("startEvent s\nsubProcess o {\nserviceTask w\n}\ns > o" + BOUNDARY.format("o"), 1),
    "a receive task": (f"{RECEIVES}\nstartEvent s\nreceiveTask w messageRef=R\ns > w" + BOUNDARY.format("w"), 1),
    "a loop, once for all its runs": (f"startEvent s\nsubProcess o {{\nserviceTask w\n}}\n{MULTI}\ns > o" + BOUNDARY.format("o"), 1),
    "each run of a loop": (f"startEvent s\nsubProcess o {{\nserviceTask w\n{INSIDE}\n}}\n{MULTI}\ns > o", 2),
    "an ad-hoc sub-process, not its choices": (
        f"startEvent s\nadHocSubProcess o {{\nserviceTask w\n}}\n{CHOICES}\ns > o" + BOUNDARY.format("o"),
        1,
    ),
    "inside of an event sub-process that runs": (
        "startEvent s\nserviceTask go\ns > go\nsubProcess y event=true {\nstartEvent ys interrupting=false : conditional x = 0\nserviceTask w\nys > w"
        + BOUNDARY.format("w")
        + "\n}",
        1,
    ),
}


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_what_is_new_is_armed_wherever_it_stands(name, crash):
    model, times = EVERYWHERE[name]
    s = begun("\n".join(line for line in model.splitlines() if line[0] != "+"), crash)
    definitions = s.do(c.Deploy(resources=[c.Resource("m0.bpmn", bpmn(model.replace("+", "")))]))["definitions"]
    s.do(c.MigrateInstance(key=s.key, definition=definitions[0]["key"], elements={}, same_ids=True))
    s.move("signal S")
    assert s.at.split().count("h") == times
