"""Recorded histories against other models, in memory: against their own they give the same, whatever the model; against another, what the table says.

Each seed is a random model with a random path (`test_random_models.py`). `REPLAY_SEED=<seed> REPLAY_RUNS=1` reproduces one.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
from notation import bpmn
from scenario import Scenario
from test_random_control import drive as operate
from test_random_models import drive

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import workflow as wf
from flowledger.sdk.testing.replay import scenario as tests
from flowledger.sdk.testing.replay.compare import Outcome
from flowledger.sdk.testing.replay.feed import Feed
from flowledger.sdk.testing.replay.record import Moment
from flowledger.sdk.testing.replay.run import Replayer, Source

BASE, RUNS = int(os.environ.get("REPLAY_SEED", "1")), int(os.environ.get("REPLAY_RUNS", "60"))
#: they showed something once
KNOWN = (153, 744, 3391) if BASE == 1 else ()
pytestmark = pytest.mark.req("D-MOD-005")


def histories(s: Scenario, keep: Any = lambda e: True) -> dict[int, list[Moment]]:
    found: dict[int, list[Moment]] = {}
    instances = {e.key for e, _ in s.log if isinstance(e, wf.WorkflowStarted)}
    for n, (e, v) in enumerate(s.log):
        if e.key in instances and keep(e):
            found.setdefault(e.key, []).append(Moment(e, v.time_us, 0, n, v.cause))
    return found


def sources(s: Scenario) -> list[Source]:
    """What was deployed, with its keys."""
    texts: dict[str, str] = {}
    for e, _ in s.log:
        if getattr(e, "content", ""):
            texts.setdefault(getattr(e, "resource", ""), e.content)  # of the first deployment
    return [Source(d["resource"], texts[d["resource"]], d["key"], d["id"], d["kind"]) for d in s.deployed if d["resource"] in texts]


def against(s: Scenario, *models: str | tuple[str, str], process: str = "p", **more: Any) -> tuple[Outcome, Feed | None, Replayer]:
    """Models in the tests' notation or XML; none: its own."""
    given = [
        Source(f"new{n}.bpmn", bpmn(m) if not m.lstrip().startswith("<") else m) if isinstance(m, str) else Source(*m)
        for n, m in enumerate(models)
    ]
    replayer = Replayer(given or [x for x in sources(s) if x.id == process], sources(s), process)
    outcome, feed = replayer.run(s.key, histories(s, **more), seconds=60)
    return outcome, feed, replayer


@pytest.mark.parametrize("seed", [*range(BASE, BASE + RUNS), *KNOWN])
def test_a_history_against_its_own_model_is_the_same_and_becomes_a_test_that_passes(seed: int) -> None:
    s = drive(seed, crashes=False)
    outcome, feed, replayer = against(s)
    assert outcome == Outcome("same"), outcome
    assert feed is not None and not feed.waiting and not feed.refused
    test, why = tests.of(replayer, feed, "it")  # it was run by the kit, and ended as the history did
    assert test is not None, why


@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS // 2))
def test_what_operators_moved_by_hand_is_moved_again(seed: int) -> None:
    """Modifications and re-runs at random (`test_random_control.py`)."""
    s = operate(seed, of=("modify", "rerun"), whole=True).s
    outcome, feed, _ = against(s)
    assert outcome == Outcome("same"), outcome
    assert feed is not None and not feed.waiting and not feed.refused


@pytest.mark.parametrize("seed", range(BASE, BASE + 12))
def test_half_a_history_stands_where_it_stood(seed: int) -> None:
    s = drive(seed, crashes=False)
    moments = histories(s)[s.key]
    # where a long decision's second part follows, there is no rest
    times = [a.time_us for a, b in itertools.pairwise(moments) if a.time_us != b.time_us and not b.cause.startswith("instance:")]
    for until in times[:: max(1, len(times) // 3)]:
        found = {key: [m for m in ms if m.time_us <= until] for key, ms in histories(s).items()}
        replayer = Replayer([x for x in sources(s) if x.id == "p"], sources(s), "p")
        outcome, _ = replayer.run(s.key, found, seconds=60)
        assert outcome.outcome == "same", (until, outcome)


XOR = """startEvent s
exclusiveGateway g
serviceTask a
userTask b
endEvent e
s > g
g > a ? x > 5
g > b !
a > e
b > e"""
TWO = "startEvent s\nserviceTask a\nserviceTask b\nendEvent e\ns > a > b > e"
WAIT = """startEvent s
receiveTask m messageRef=mm
serviceTask a
endEvent e
s > m > a > e"""
KEYED = '^<message id="mm" name="paid"><extensionElements><zeebe:subscription correlationKey="= k"/></extensionElements></message>\n'
TIMED = "startEvent s\nserviceTask a\nboundaryEvent b on=a : timer {0}\nendEvent e\nendEvent late\ns > a > e\nb > late"
THROWN = "startEvent s\nserviceTask a\nserviceTask b\nendEvent e\ns > a > b > e"
CAUGHT = THROWN + "\nboundaryEvent x on=a : error E\nendEvent sorry\nx > sorry"
MANY = """startEvent s
serviceTask a
{0}
endEvent e
s > a > e"""


def many(items: str) -> str:
    loop = f'<zeebe:loopCharacteristics inputCollection="= {items}" inputElement="i"/>'
    return MANY.format(
        f".<multiInstanceLoopCharacteristics><extensionElements>{loop}</extensionElements></multiInstanceLoopCharacteristics>"
    )


SCRIPT = 'startEvent s\nscriptTask f\n<zeebe:script expression="= {0}" resultVariable="y"/>\nendEvent e\ns > f > e'
WRAPPED = "startEvent s\nsubProcess sub {{\nstartEvent i\n{0}\nendEvent j\ni > {1} > j\n}}\nendEvent e\ns > sub > e"
FORK = "startEvent s\nparallelGateway g\nserviceTask a\nserviceTask b\nparallelGateway j\nendEvent e\ns > g\ng > a > j\ng > b > j\nj > e"

BOTH = "complete a; complete b"
#: name: (recorded model, its variables, moves), the other model -> what comes of it
CASES: dict[str, tuple[str, dict[str, Any], str, str, dict[str, Any]]] = {
    "a condition that changed": (XOR, {"x": 7}, "complete a", XOR.replace("x > 5", "x > 9"), {
        "outcome": "other_way", "element": "g", "now": ["g-b -> b"], "recorded": ["g-a -> a"], "values": {"x": [7, 7]}, "then": "waits at b"}),
    "a condition that changed for others": (XOR, {"x": 10}, "complete a", XOR.replace("x > 5", "x > 9"), {"outcome": "same"}),
    "a step more": (TWO, {}, BOTH, TWO.replace("endEvent e", "endEvent e\nuserTask n").replace("a > b", "a > n > b"), {
        "outcome": "waits", "element": "n", "message": "a person's task", "unused": ["complete b"]}),
    "a step less": (TWO, {}, BOTH, "startEvent s\nserviceTask a\nendEvent e\ns > a > e", {"outcome": "same", "unused": ["complete b"]}),
    "a step in between that needs nobody": (TWO, {}, BOTH, TWO.replace("endEvent e", "endEvent e\ntask n").replace("a > b", "a > n > b"), {"outcome": "same"}),
    "steps in another order": (TWO, {}, BOTH, "startEvent s\nserviceTask a\nserviceTask b\nendEvent e\ns > b > a > e", {"outcome": "same"}),
    "a step of another name, with its job": (TWO.replace("serviceTask a", 'serviceTask a\n<zeebe:taskDefinition type="w"/>'), {}, BOTH, TWO.replace(
        "serviceTask a", 'serviceTask renamed\n<zeebe:taskDefinition type="w"/>').replace("s > a", "s > renamed"), {"outcome": "same"}),
    "steps side by side": (FORK, {}, "complete b; complete a", FORK.replace("serviceTask b", "userTask b"), {"outcome": "same"}),
    "a step in a sub-process": (TWO, {}, BOTH, WRAPPED.format("serviceTask a\nserviceTask b", "a > b"), {"outcome": "same"}),
    "a message under another name": (KEYED + WAIT, {"k": "1"}, "message paid 1 x=1; complete a", KEYED.replace('"paid"', '"settled"') + WAIT, {
        "outcome": "waits", "element": "m", "message": "message 'settled'"}),
    "a message under another key": (KEYED + WAIT, {"k": "1", "o": "2"}, "message paid 1; complete a",
        KEYED.replace("= k", "= o") + WAIT, {"outcome": "waits", "element": "m"}),
    "a timer that would have been earlier": (TIMED.format("PT1H"), {}, "signal other; complete a", TIMED.format("PT0.0001S"), {"outcome": "other_way", "element": "b"}),
    "a timer that would have been later": (TIMED.format("PT1H"), {}, "tick b", TIMED.format("PT2H"), {"outcome": "waits", "element": "a", "message": "job 'a'"}),
    "an error that is caught now": (THROWN, {}, "error a E; complete a; complete b", CAUGHT, {"outcome": "other_way", "element": "a", "now": ["x"], "then": "completed"}),
    "more runs": (many("[1,2]"), {}, "complete a; complete a", many("[1,2,3]"), {"outcome": "waits", "element": "a"}),
    "fewer runs": (many("[1,2]"), {}, "complete a; complete a", many("[1]"), {"outcome": "other_way", "element": "a"}),
    "a script that fails": (SCRIPT.format("1"), {}, "", SCRIPT.format("assert(1, false)"), {"outcome": "failed", "element": "f"}),
    "a script that gives something else": (SCRIPT.format("1"), {}, "", SCRIPT.format("2"), {"outcome": "other_values", "values": {"y": [1, 2]}}),
    "a task that was skipped to its end by its operator": (TWO, {}, "cancel", TWO, {"outcome": "same"}),
    "nothing happened yet": (TWO, {}, "", TWO, {"outcome": "same"}),
    "a start that is called otherwise": (TWO, {}, BOTH, TWO.replace("startEvent s", "startEvent begin").replace("s > a", "begin > a"), {"outcome": "same"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_would_have_become_of_it(name: str) -> None:
    model, variables, moves, other, expected = CASES[name]
    s = Scenario(model)
    s.start("p", **variables)
    s.moves(*(m.strip() for m in moves.split(";") if m.strip()))
    assert against(s)[0] == Outcome("same")
    outcome, _, _ = against(s, other)
    assert {k: getattr(outcome, k) for k in expected} == expected, outcome


CALLER = 'startEvent s\ncallActivity call\n<zeebe:calledElement processId="{0}"/>\nserviceTask b\nendEvent e\ns > call > b > e'
CHILD = bpmn("startEvent cs\nserviceTask ca\nendEvent ce\ncs > ca > ce", "child")
STEEP = bpmn("startEvent cs\nserviceTask ca\nuserTask cb\nendEvent ce\ncs > ca > cb > ce", "child")


def called(moves: str = "complete ca y=1; complete b") -> Scenario:
    s = Scenario(CALLER.format("child"), CHILD)
    s.start("p", x=1)
    return s.moves(*(m.strip() for m in moves.split(";")))


def test_called_instances_are_run_by_their_own_histories() -> None:
    s = called()
    assert against(s)[0] == Outcome("same")
    assert against(s, CALLER.format("child").replace("serviceTask b", "userTask b"))[0].outcome == "same"
    outcome = against(s, CALLER.format("child"), ("child.bpmn", STEEP))[0]
    assert (outcome.outcome, outcome.process, outcome.element) == ("waits", "child", "cb")
    outcome = against(s, CALLER.format("nobody"))[0]
    assert (outcome.outcome, outcome.element) == ("failed", "call") and "CALLED_ELEMENT_NOT_FOUND" in outcome.message


def test_a_called_instance_without_a_history_is_said_to_be_missing() -> None:
    s = called()
    child = next(key for key in histories(s) if key != s.key)
    outcome = against(s, keep=lambda e: e.key != child)[0]
    assert (outcome.outcome, outcome.process, outcome.element) == (
        "waits",
        "child",
        "ca",
    ) and f"called instance {child} is missing" in outcome.message


def test_a_called_instance_alone_ends_with_its_error_as_it_did() -> None:
    s = called("error ca E")
    s.key = next(key for key in histories(s) if key != s.key)
    assert against(s, process="child")[0] == Outcome("same")


def test_what_operators_did_is_done_again() -> None:
    s = Scenario(FORK.replace("j > e", "j > e") + "\nserviceTask c\nendEvent d\nc > d")
    s.start("p", x=1)
    s.do(
        co.ModifyInstance(key=s.key, instructions=[{"move": {"from": "a", "to": "c"}, "variables": {"z": 1}}, {"cancel": "b"}], reason="so")
    )
    s.move("set x=2")
    s.do(c.FailTask(task=s.task("c").key, retries=0, message="away"))
    s.do(c.UpdateRetries(task=s.task("c").key, retries=1))
    s.moves("resolve", "complete c")
    assert against(s)[0] == Outcome("same")
    outcome = against(s, FORK)[0]
    assert outcome.outcome == "failed" and outcome.element == "modify"


@pytest.mark.parametrize("sequential", ["", 'ordering="Sequential"'])
def test_what_was_chosen_in_an_ad_hoc_sub_process_is_chosen_again(sequential: str) -> None:
    model = "startEvent s\nadHocSubProcess h {\nserviceTask a\nserviceTask b\n}\nendEvent e\ns > h > e".replace(
        "adHocSubProcess h", f"adHocSubProcess h {sequential}".rstrip()
    )
    model = model.replace("}\n", "}\n.<completionCondition>= done = true</completionCondition>\n")
    s = Scenario(model)
    s.start("p", done=False)
    s.moves("activate h a,b", "complete a", "complete b", "activate h a x=1", "complete a done=true")
    assert s.empty
    assert against(s)[0] == Outcome("same")


def test_a_migration_to_the_same_elements_goes_and_another_is_said() -> None:
    s = Scenario(TWO)
    s.start("p")
    to = s.do(c.Deploy(resources=[c.Resource("m0.bpmn", bpmn(TWO + "\nserviceTask z"))], force=True))["definitions"][0]["key"]
    s.do(co.MigrateInstance(key=s.key, definition=to, elements={}, same_ids=True))
    s.moves("complete a", "complete b")
    assert against(s, TWO)[0].outcome == "same"
    s = Scenario(TWO)
    s.start("p")
    to = s.do(c.Deploy(resources=[c.Resource("m0.bpmn", bpmn(TWO.replace("serviceTask a", "serviceTask q").replace("s > a", "s > q")))]))[
        "definitions"
    ][0]["key"]
    s.do(co.MigrateInstance(key=s.key, definition=to, elements={"a": "q"}, same_ids=True))
    outcome = against(s, TWO)[0]
    assert outcome.outcome == "not_run" and "migrated" in outcome.message


RULE = """startEvent s
businessRuleTask r
<zeebe:calledDecision decisionId="level" resultVariable="level"/>
exclusiveGateway g
serviceTask a
serviceTask b
endEvent e
s > r > g
g > a ? level > 1
g > b !
a > e
b > e"""


def table(limit: int) -> str:
    return f"""<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="n"><decision id="level" name="level"><variable name="level"/>
      <literalExpression><text>if x > {limit} then 2 else 1</text></literalExpression></decision></definitions>"""


def test_a_decision_that_changed_and_one_that_was_recorded() -> None:
    s = Scenario(RULE, resources=[("level.dmn", table(5))])
    s.start("p", x=7)
    s.move("complete a")
    assert against(s)[0] == Outcome("same")
    outcome = against(s, RULE, ("level.dmn", table(9)))[0]
    assert (outcome.outcome, outcome.element, outcome.values, outcome.then) == ("other_way", "g", {"level": [2, 1]}, "waits at b")
    newer = Source("level.dmn", table(9), 1 << 40, "level", "decision")
    replayer = Replayer([x for x in sources(s) if x.id == "p"], [*sources(s), newer], "p")
    key = next(d["key"] for d in s.deployed if d["id"] == "level")
    assert replayer.run(s.key, histories(s), [key])[0] == Outcome("same")
    assert replayer.run(s.key, histories(s))[0].outcome == "other_way"


def test_an_endless_model_is_broken_off() -> None:
    s = Scenario("startEvent s\ntask a\nendEvent e\ns > a > e")
    s.start("p", n=0)
    endless = 'startEvent s\nscriptTask a\n<zeebe:script expression="= n + 1" resultVariable="n"/>\nexclusiveGateway x\nendEvent e\ns > x\nx > a ? n >= 0\na > x\nx > e !'
    outcome = against(s, endless)[0]
    assert outcome.outcome == "broken_off", outcome


def test_time_is_bounded() -> None:
    s = Scenario(TWO)
    s.start("p")
    clock = iter(range(1_000_000))
    own = [x for x in sources(s)]
    outcome, _ = Replayer(own, own, "p", clock=lambda: next(clock)).run(s.key, histories(s), seconds=1)
    assert outcome.outcome == "broken_off" and "time" in outcome.message
