# ruff: noqa: E501 - models are lines
"""Every kind of event at every place where it can wait: what a migration arms and disarms is what a fresh instance of the target has at that point.

The table is made of the catalogues: activities (`ELEMENTS`), what can be caught (`triggers`), and where: on an activity, in its event sub-process, in
that of a scope around it, behind an event-based gateway. Each row is tried from nothing to the event, from it to nothing, from another of its kind, from
each other kind under the same id, from one that interrupts to one that does not and back, and by a mapping to another id.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from notation import bpmn
from scenario import Scenario

from flowledger.events import commands as c
from flowledger.kernel.elements import triggers
from flowledger.kernel.model.behaviours import ELEMENTS

pytestmark = pytest.mark.req("D-MOD-005", "APG-ENG-004")
CALLED = "process child {\nstartEvent cs\nserviceTask inner\nendEvent ce\ncs > inner > ce\n}"
MANY = ".<multiInstanceLoopCharacteristics{0}><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"
RUNS = {"": "", " in parallel runs": MANY.format(""), " in runs one by one": MANY.format(' isSequential="true"'), " in a loop": '.<standardLoopCharacteristics loopMaximum="3"/>'}  # fmt: skip
INSIDE = "startEvent {0}s\nserviceTask {0}\n{0}s > {0}\n"
#: activity -> (its lines, to where a token stands in it); None: nothing waits there
ACTIVITIES: dict[str, tuple[str, str] | None] = {
    "task": None, "manualTask": None,
    "serviceTask": ("serviceTask a", ""),
    "sendTask": ('sendTask a\n<zeebe:taskDefinition type="a"/>', ""),
    "scriptTask": ('scriptTask a\n<zeebe:taskDefinition type="a"/>', ""),
    "businessRuleTask": ('businessRuleTask a\n<zeebe:taskDefinition type="a"/>', ""),
    "userTask": ("userTask a\n<zeebe:userTask/>", ""),
    "receiveTask": ('^<message id="rm" name="R"><extensionElements><zeebe:subscription correlationKey="=k"/></extensionElements></message>\nreceiveTask a messageRef=rm', ""),
    "callActivity": ('callActivity a\n<zeebe:calledElement processId="child"/>', ""),
    "subProcess": ("subProcess a {\n" + INSIDE.format("in") + "%s\n}", ""),
    "transaction": ("transaction a {\n" + INSIDE.format("in") + "%s\n}", ""),
    "adHocSubProcess": ('adHocSubProcess a {\nserviceTask in\n%s\n}\n<zeebe:adHoc activeElementsCollection="= [&quot;in&quot;]"/>', ""),
}  # fmt: skip
#: what is around the activity: (before, behind, scope whose event sub-process it can be)
AROUND = {
    "": ("", ""),
    "sub-process": ("subProcess o {\nstartEvent os\nos > a\n", "%s\n}"),
    "runs of a sub-process": ("subProcess o {\nstartEvent os\nos > a\n", "%s\n}\n" + MANY.format("")),
    "transaction": ("transaction o {\nstartEvent os\nos > a\n", "%s\n}"),
    "event sub-process": ("subProcess o event=true {\nstartEvent os interrupting=false : signal BEGIN\nos > a\n", "%s\n}"),
}
#: kind of event -> (as it is, the same kind said otherwise, the move that it waits for)
EVENTS: dict[str, tuple[str, str, str] | None] = {
    "timer": ("timer PT1H", "timer PT2H", "tick ev"),
    "message": ("message M = k", "message N = k", "message M 7"),
    "signal": ("signal S", "signal T", "signal S"),
    "conditional": ("conditional x > 5", "conditional x > 3", "set x=6"),
    "error": ("error E", "error F", ""),
    "escalation": ("escalation X", "escalation Y", ""),
    "compensate": ("compensate", "compensate", ""),
    "cancel": ("cancel", "cancel", ""),
    "link": None, "terminate": None,
}  # fmt: skip
CYCLE, SEVERAL = "timer R3/PT1H", "signal S + timer PT1H"


def test_the_table_has_the_whole_catalogue() -> None:
    """A new activity or event is a row here, or a reason."""
    assert {name for name, behaviour in ELEMENTS.items() if behaviour.activity} == set(ACTIVITIES)
    assert {*triggers.BY_KIND} == set(EVENTS)


class Row(NamedTuple):
    name: str
    source: str
    target: str
    elements: dict[str, str]
    #: what then happens to both
    moves: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def model(host: str, runs: str, around: str, place: str, event: str, stops: bool = True, id: str = "ev") -> str:
    """With `event` (empty: without) at a place."""
    before, behind = AROUND[around]
    lines, _ = ACTIVITIES[host] or ("", "")
    boundary = sub = ""
    if event and place == "boundary":
        word = "" if stops or event.startswith(("error", "compensate", "cancel")) else " cancel=false"
        boundary = f"boundaryEvent {id} on=a{word} : {event}\n"
        boundary += (
            f'serviceTask un comp=true\n~<association id="as" sourceRef="{id}" targetRef="un"/>\n'
            if event == "compensate"
            else f"serviceTask h\n{id} > h\n"
        )
    elif event:
        word = "" if stops else " interrupting=false"
        sub = f"subProcess es event=true {{\nstartEvent {id}{word} : {event}\nserviceTask h\n{id} > h\n}}"
    own = lines.replace("%s", sub if place == "inside" else "", 1)
    inner = f"{own}\n{RUNS[runs]}\nserviceTask z\na > z\n{boundary}"
    whole = before + inner + behind.replace("%s", sub if place == "scope" else "", 1)
    if place == "root":
        whole += "\n" + sub
    if not around:
        return f"startEvent s\ns > a\n{whole}"
    if around == "event sub-process":
        return f"startEvent s\nserviceTask w\ns > w\n{whole}"
    return f"startEvent s\ns > o\n{whole}"


def places() -> Iterator[tuple[str, str, str, str]]:
    """(activity, its runs, what is around, place of the event)."""
    for host, found in ACTIVITIES.items():
        if found is None:
            continue
        for runs in RUNS:
            yield host, runs, "", "boundary"
            if "%s" in found[0]:
                yield host, runs, "", "inside"
        yield host, "", "", "root"
    for around in AROUND:
        if around:
            for host in ("serviceTask", "subProcess", "receiveTask"):
                yield host, "", around, "boundary"
                yield host, "", around, "scope"
                yield host, "", around, "root"


def fits(kind: str, host: str, around: str, place: str) -> bool:
    if kind == "cancel":
        return host == "transaction" and place == "boundary"
    if kind == "compensate":
        return place == "boundary" or (place == "inside" and host == "subProcess")
    return True


def may_go_on(kind: str, place: str) -> bool:
    """Whether it can be one that does not interrupt."""
    return kind not in ("error", "compensate", "cancel")


def rows() -> Iterator[Row]:
    for host, runs, around, place in places():
        where = f"{host}{runs}{' in ' + around if around else ''}, {place}"
        kinds = [kind for kind, row in EVENTS.items() if row is not None and fits(kind, host, around, place)]

        def made(event: str, stops: bool = True, id: str = "ev") -> str:
            return model(host, runs, around, place, event, stops, id)  # noqa: B023 - used in this turn

        bare = made("")
        for kind in kinds:
            one, other, move = EVENTS[kind] or ("", "", "")
            stops = (True, False) if may_go_on(kind, place) else (True,)
            if kind == "compensate" and place == "inside":
                continue  # it waits for nothing while its scope runs
            for stop in stops:
                how = "" if stop else ", not interrupting"
                moves = (move,) if move else ()
                yield Row(f"{where}: {kind}{how} is armed", bare, made(one, stop), {}, moves)
                yield Row(f"{where}: {kind}{how} is disarmed", made(one, stop), bare, {})
                yield Row(f"{where}: {kind}{how} says something else", made(other, stop), made(one, stop), {}, moves)
                yield Row(f"{where}: {kind}{how} is called otherwise", made(one, stop, "old"), made(one, stop), {}, moves)
                yield Row(f"{where}: {kind}{how} is mapped", made(one, stop, "old"), made(one, stop), {"old": "ev"}, moves)
                if len(stops) > 1:
                    yield Row(f"{where}: {kind}{how} did the opposite", made(one, not stop), made(one, stop), {}, moves)
                for former in kinds:
                    if former != kind and not (former == "compensate" and place == "inside"):
                        yield Row(f"{where}: {kind}{how} was {former}", made((EVENTS[former] or ("",))[0]), made(one, stop), {}, moves)
        yield Row(f"{where}: a cycle is armed", bare, made(CYCLE, False), {}, ("tick ev", "tick ev"))
        yield Row(f"{where}: a cycle was once", made("timer PT1H", False), made(CYCLE, False), {}, ("tick ev", "tick ev"))
        yield Row(f"{where}: several are armed", bare, made(SEVERAL, False), {}, ("signal S", "tick ev"))
        yield Row(f"{where}: several were one", made("signal S", False), made(SEVERAL, False), {}, ("signal S", "tick ev"))
        yield Row(f"{where}: one was several", made(SEVERAL, False), made("signal S", False), {}, ("signal S",))


def begun(model: str) -> Scenario:
    """At the place."""
    s = Scenario(bpmn(model), resources=[("child.bpmn", bpmn(CALLED))])
    s.check = s.watched = False
    s.start("p", k=7, x=0)
    if "signal BEGIN" in model:
        s.move("signal BEGIN")
    return s


def image(s: Scenario) -> list[Any]:
    """All that waits, by where it stands."""
    p, i = s.p, s.p.instances.get(s.key)
    if i is None:
        return []

    def way(key: int) -> str:
        names = []
        while (token := i.tokens.get(key)) is not None:
            names.append(f"{token.element}#{token.index}" if token.index else token.element)
            key = token.scope
        return "/".join(reversed(names))

    found: list[Any] = [("token", way(t.key), t.phase, bool(t.incident)) for t in i.tokens.values()]
    found += [
        ("timer", way(t.token), t.element, round((t.due_us - s.now_us) / 60_000_000), t.repeat, t.left, t.which)
        for t in p.timers.values()
        if t.instance == i.key
    ]
    found += [
        ("subscription", way(x.token), x.element, x.kind, x.name, x.correlation, x.interrupting, x.which, x.armed)
        for x in p.subscriptions.values()
        if x.instance == i.key
    ]
    found += [("task", way(t.token), t.element, t.type, t.job_type, t.status) for t in p.tasks.values() if t.instance == i.key]
    found += [("compensable", way(k), len(v)) for k, v in (i.compensable or {}).items() if v]
    found += [("incident", way(x.token), x.element, x.code) for x in p.incidents.values() if x.instance == i.key]
    return sorted(found, key=str)


def tried(row: Row, **more: Any) -> tuple[list[Any], list[Any]]:
    """What waits after the migration, and in a fresh instance; after each move again, to the end."""
    fresh, moved = begun(row.target), begun(row.source)
    key = moved.do(c.Deploy(resources=[c.Resource("target.bpmn", bpmn(row.target))]))["definitions"][0]["key"]
    moved.do(c.MigrateInstance(key=moved.key, definition=key, elements=row.elements, same_ids=True, **more))
    found, wanted = [image(moved)], [image(fresh)]
    for move in row.moves:
        for s, images in ((moved, found), (fresh, wanted)):
            s.move(move)
            images.append(image(s))
    while moved.p.tasks and fresh.p.tasks and len(found) < 12:  # to the end
        for s, images in ((moved, found), (fresh, wanted)):
            s.do(c.CompleteTask(task=min(s.p.tasks.values(), key=lambda t: (t.element, t.key)).key))
            images.append(image(s))
    return found, wanted


ROWS = [*rows()]
#: the whole table takes about six minutes: of it every 19th row is tried, each time another kind at another place; MIGRATION_ROWS=1 tries all
STEP = int(os.environ.get("MIGRATION_ROWS", "19"))


@pytest.mark.parametrize("timers", ["keep", "restart", "recount"])
def test_what_waits_is_what_a_fresh_instance_has(timers: str) -> None:
    wrong = []
    for row in ROWS[("keep", "restart", "recount").index(timers) :: STEP * (1 if timers == "keep" else 3)]:
        found, wanted = tried(row, timers=timers)
        if found != wanted:
            at = next((n for n, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), -1)
            wrong.append(f"{row.name}, after {at} moves:\n  only there: {[x for x in found[at] if x not in wanted[at]]}\n  missing: {[x for x in wanted[at] if x not in found[at]]}")  # fmt: skip
    assert not wrong, "\n".join(wrong[:5])


# --- tokens that wait for something themselves: they go on as they are, or are made anew

CATCHES = {
    "timer": "timer PT1H", "message": "message M = k", "signal": "signal S", "conditional": "conditional x > 5",
}  # fmt: skip
MOVES = {"timer": "tick c", "message": "message M 7", "signal": "signal S", "conditional": "set x=6"}


def waits(kind: str, other: str = "") -> str:
    """A catching event; `other`: a second branch behind an event-based gateway."""
    if kind == "receive":
        own = '^<message id="rm" name="M"><extensionElements><zeebe:subscription correlationKey="=k"/></extensionElements></message>\nreceiveTask c messageRef=rm'
    else:
        own = f"intermediateCatchEvent c : {CATCHES[kind]}"
    return f"startEvent s\n{own}\nserviceTask z\ns > c > z"


def gateway(*kinds: str) -> str:
    lines = ["startEvent s", "eventBasedGateway g", "serviceTask z", "s > g"]
    for n, kind in enumerate(kinds):
        lines += [f"intermediateCatchEvent c{n} : {CATCHES[kind]}", f"g > c{n} > z"]
    return "\n".join(lines)


def caught() -> Iterator[tuple[str, str, str, str]]:
    for kind in (*CATCHES, "receive"):
        for former in (*CATCHES, "receive"):
            yield f"{former} becomes {kind}", waits(former), waits(kind), MOVES.get(kind, "message M 7")
        yield f"a task becomes {kind}", "startEvent s\nserviceTask c\nserviceTask z\ns > c > z", waits(kind), MOVES.get(kind, "message M 7")


CAUGHT = [*caught()]


GATEWAYS = [
    (tuple(a), tuple(b))
    for a in (("timer", "message"), ("signal", "conditional"), ("message", "signal", "timer"))
    for b in [(x, y) for x in CATCHES for y in CATCHES if x != y] + [tuple(CATCHES)]
]


@pytest.mark.parametrize(("name", "source", "goal", "move"), CAUGHT, ids=[row[0] for row in CAUGHT])
@pytest.mark.parametrize("timers", ["keep", "restart", "recount"])
def test_a_token_that_enters_anew_waits_as_a_fresh_one_does(name: str, source: str, goal: str, move: str, timers: str) -> None:
    found, wanted = tried(Row(name, source, goal, {}, (move,)), timers=timers, tasks="renew")
    assert found == wanted


@pytest.mark.parametrize(("before", "after"), GATEWAYS, ids=[f"{'-'.join(a)} to {'-'.join(b)}" for a, b in GATEWAYS])
def test_branches_of_an_event_based_gateway(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    for n, kind in enumerate(after):
        move = MOVES[kind].replace("tick c", f"tick c{n}")
        found, wanted = tried(Row(f"{before} {after}", gateway(*before), gateway(*after), {}, (move,)))
        assert found == wanted, kind


def stood_behind(boundary: str) -> str:
    """`a` is done; then `z` waits, and behind it what was done is compensated."""
    return f"startEvent s\nserviceTask a\n{boundary}serviceTask z\nintermediateThrowEvent t : compensate\nserviceTask y\ns > a > z > t > y"


UNDO = 'boundaryEvent ev on=a : compensate\nserviceTask {0} comp=true\n~<association id="as" sourceRef="ev" targetRef="{0}"/>\n'


@pytest.mark.parametrize(
    ("before", "after", "at"), [(UNDO.format("un"), "", "y"), ("", UNDO.format("un"), "y"), (UNDO.format("un"), UNDO.format("un"), "t un"), (UNDO.format("un"), UNDO.format("other"), "other t")]
)  # fmt: skip
def test_what_was_done_before_is_compensated_by_the_targets_handler_if_it_was_to_be(before: str, after: str, at: str) -> None:
    s = begun(stood_behind(before))
    s.move("complete a")
    key = s.do(c.Deploy(resources=[c.Resource("target.bpmn", bpmn(stood_behind(after)))]))["definitions"][0]["key"]
    told = s.do(c.MigrateInstance(key=s.key, definition=key, elements={}, same_ids=True))
    assert any("can't be compensated any more" in w for w in told.get("warnings", ())) is (bool(before) and not after)
    s.move("complete z")
    assert s.at == at and not s.p.incidents
    while s.p.tasks:
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert s.empty
