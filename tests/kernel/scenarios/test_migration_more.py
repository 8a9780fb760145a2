# ruff: noqa: E501 - models are lines
"""Migration: the cases of the anchors' page that name what other engines got wrong (13, 14, 17, 19, 23 to 25, 27), and joins behind what was dropped or added."""

from __future__ import annotations

from typing import Any

import pytest
from scenario import START_US, Refused, Scenario, asked_first, image, target
from scenario import migrate as move

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected
from flowledger.kernel.decide import decide

pytestmark = pytest.mark.req("D-MOD-005", "APG-ENG-004")
PLAIN = "startEvent s\nserviceTask w\nserviceTask z\nendEvent e\ns > w > z > e"
TIMED = PLAIN + "\nboundaryEvent t on=w : timer PT{0}H\nt > z"


def begun(model: str, crash: bool = False, **variables: Any) -> Scenario:
    return Scenario(model, crash=crash).start("p", **{"k": 7, **variables})


def finish(s: Scenario) -> None:
    while s.p.tasks:
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert s.empty, s.at


def due(s: Scenario) -> list[tuple[str, int]]:
    """Timers and their minutes."""
    return sorted((t.element, round((t.due_us - s.now_us) / 60_000_000)) for t in s.p.timers.values())


# --- 13: a timer that is due already


@pytest.mark.parametrize("timers", ["keep", "recount"])
def test_13_a_timer_that_is_due_fires_after_the_migration_once(timers: str) -> None:
    s = begun(TIMED.format(1))
    s.now_us += 2 * 3_600_000_000
    (timer,) = s.p.timers
    move(s, TIMED.format(1), timers=timers)
    (now,) = s.p.timers
    assert (now == timer) == (timers == "keep") and due(s) == [("t", -60)]
    s.do(c.FireTimers(timers=[now]))
    s.do(c.FireTimers(timers=[timer, now]))  # the owner's loop may have seen both
    assert s.at == "z" and s.words.count("tick t") == 1
    finish(s)


def test_13_a_due_timer_of_a_restart_counts_anew() -> None:
    s = begun(TIMED.format(1))
    s.now_us += 2 * 3_600_000_000
    (timer,) = s.p.timers
    move(s, TIMED.format(1), timers="restart")
    s.do(c.FireTimers(timers=[timer]))  # its firing was on the way
    assert due(s) == [("t", 60)] and s.at == "w"


# --- 14: the third choice


@pytest.mark.parametrize("where", ["boundary", "catch", "gateway", "sub"])
@pytest.mark.parametrize(("hours", "after"), [(3, 150), (1, 30), (0, -30)])
def test_14_a_timer_is_recounted_from_its_beginning(where: str, hours: int, after: int) -> None:
    models = {
        "boundary": PLAIN + "\nboundaryEvent t on=w : timer PT{0}H\nt > z",
        "catch": "startEvent s\nintermediateCatchEvent t : timer PT{0}H\nserviceTask z\ns > t > z",
        "gateway": "startEvent s\neventBasedGateway g\nintermediateCatchEvent t : timer PT{0}H\nintermediateCatchEvent u : signal S\nserviceTask z\ns > g\ng > t > z\ng > u > z",
        "sub": PLAIN + "\nsubProcess h event=true {{\nstartEvent t : timer PT{0}H\nserviceTask k\nt > k\n}}",
    }
    s = begun(models[where].format(1))
    s.now_us += 30 * 60_000_000
    move(s, models[where].format(hours), elements={"t": "t"}, timers="recount")
    assert due(s) == [("t", after)]
    s.move("tick")
    assert "z" in s.at or "k" in s.at


@pytest.mark.parametrize(
    ("old", "new", "after"),
    [
        ("<timeDuration>PT1H</timeDuration>", "<timeDuration>= wait</timeDuration>", 90),
        ("<timeDuration>= wait</timeDuration>", "<timeDuration>PT1H</timeDuration>", 30),
        ("<timeDate>2026-01-01T05:00:00Z</timeDate>", "<timeDuration>PT1H</timeDuration>", 60),  # nothing was counted: from now
        ("<timeDuration>PT1H</timeDuration>", "<timeDate>2026-01-01T05:00:00Z</timeDate>", 270),
    ],
)
def test_14_by_what_is_counted(old: str, new: str, after: int) -> None:
    model = PLAIN + "\nboundaryEvent t on=w\n.<timerEventDefinition>{0}</timerEventDefinition>\nt > z"
    s = begun(model.format(old), wait="PT2H")
    s.now_us = START_US + 30 * 60_000_000
    move(s, model.format(new), elements={"t": "t"}, timers="recount")
    assert due(s) == [("t", after)]


# --- 17: what was refused leaves nothing, nowhere


def test_17_a_refused_migration_leaves_its_subscriptions_open() -> None:
    model = PLAIN + "\nboundaryEvent b on=w : message M = k\nb > z"
    k = next(n for n in range(99) if c.partition_of_text(str(n), 2) == 1)  # its message arrives at the other partition
    s = Scenario(model, partitions=2).start("p", k=k)
    outbox, before = dict(s.p.outbox), image(s.p)
    for into, elements, more in (
        (PLAIN.replace("serviceTask w", "userTask w"), {}, {}),
        (PLAIN.replace("serviceTask w", "serviceTask v").replace("s > w", "s > v"), {}, {}),
        (PLAIN, {"w": ""}, {}),
        (PLAIN, {"nowhere": "w"}, {}),
        (PLAIN, {}, {"timers": "odd"}),
    ):
        key = target(s, into)
        with pytest.raises(Refused):
            s.do(c.MigrateInstance(key=s.key, definition=key, elements=elements, same_ids=True, **more))
        found = image(s.p)
        assert found["subscriptions"] == before["subscriptions"] and found["instances"] == before["instances"]
        assert {k for k in s.p.outbox if k not in outbox} <= {
            k for k in s.p.outbox if b"AwaitMessage" not in s.p.outbox[k] and b"Unawait" not in s.p.outbox[k]
        }
    (sub,) = [x for x in s.p.subscriptions.values() if not x.definition]
    s.do(c.Correlate(message=99, subscription=sub.key, name="M", correlation=str(k), home=1))
    assert s.at == "z"


# --- 19: an element that could not be entered


@pytest.mark.parametrize("crash", [False, True])
def test_19_what_could_not_be_entered_arms_nothing_until_it_is_tried_again(crash: bool) -> None:
    model = 'startEvent s\nserviceTask w\n<zeebe:ioMapping><zeebe:input source="= assert(missing, missing != null)" target="y"/></zeebe:ioMapping>\nserviceTask z\nendEvent e\ns > w > z > e'
    s = begun(model, crash)
    assert len(s.p.incidents) == 1 and not s.p.tasks
    move(s, model + "\nboundaryEvent t on=w : timer PT1H\nt > z\nboundaryEvent b on=w : message M = k\nb > z", force=True)
    assert due(s) == [] and not [x for x in s.p.subscriptions.values() if not x.definition]
    s.moves("set missing=1", "resolve")
    assert s.at == "w" and due(s) == [("t", 60)] and len(s.p.tasks) == 1
    finish(s)


# --- 23: scopes, see `test_scopes_may_change_where_tokens_can_be_carried`; here: the order of ancestors, and what may not be crossed

OUTER = "startEvent s\nsubProcess o {\nstartEvent i\nserviceTask w\nendEvent x\ni > w > x\n}\nserviceTask z\nendEvent e\ns > o > z > e"
BOTH = "startEvent s\nsubProcess o {\nstartEvent i\nsubProcess n {\nstartEvent ni\nserviceTask w\nendEvent nx\nni > w > nx\n}\nboundaryEvent t on=n : timer PT1H\nendEvent x\ni > n > x\nt > x\n}\nserviceTask z\nendEvent e\ns > o > z > e"


def test_23_a_missing_scope_is_opened_within_the_nearest_that_stays() -> None:
    s = begun(OUTER)
    outer = s.token("o")
    move(s, BOTH)
    assert s.token("o") == outer and s.i.tokens[s.token("n")].scope == outer and s.i.tokens[s.token("w")].scope == s.token("n")
    assert due(s) == [("t", 60)]
    move(s, OUTER, elements={"n": ""})
    assert s.at == "o w" and s.i.tokens[s.token("w")].scope == outer and due(s) == []
    finish(s)


def test_23_a_token_does_not_leave_a_scope_that_stays() -> None:
    s = begun(BOTH)
    with pytest.raises(Refused):
        move(
            s,
            "startEvent s\nsubProcess o {\nstartEvent i\nserviceTask v\nendEvent x\ni > v > x\n}\nserviceTask w\nserviceTask z\nendEvent e\ns > o > w > z > e",
            elements={"n": ""},
        )
    assert s.at == "n o w"


# --- 24, 25: multi-instance

LOOP = '.<multiInstanceLoopCharacteristics{0}><extensionElements><zeebe:loopCharacteristics inputCollection="= [1,2,3]" inputElement="item" outputCollection="out" outputElement="= item"/></extensionElements></multiInstanceLoopCharacteristics>'
MANY = "startEvent s\nserviceTask w\n" + LOOP.format("") + "\nserviceTask z\nendEvent e\ns > w > z > e"
MANY_SUB = (
    "startEvent s\nsubProcess sp {\nstartEvent i\nserviceTask w\nserviceTask v\nendEvent x\ni > w > v > x\n}\n"
    + LOOP.format("")
    + "\nserviceTask z\nendEvent e\ns > sp > z > e"
)


@pytest.mark.parametrize(("model", "host"), [(MANY, "w"), (MANY_SUB, "sp")])
@pytest.mark.parametrize("crash", [False, True])
def test_24_a_boundary_of_a_loop_belongs_to_its_body(model: str, host: str, crash: bool) -> None:
    """Kept where both have it, armed once where only the target has, and it ends all runs."""
    bounded = model + f"\nboundaryEvent t on={host} : timer PT1H\nt > z"
    s = begun(bounded, crash)
    (timer,) = s.p.timers
    move(s, bounded)
    assert list(s.p.timers) == [timer], "it isn't detached, nor armed for each run"
    s = begun(model, crash)
    move(s, bounded)
    assert due(s) == [("t", 60)]
    s.move("tick")
    assert s.at == "z" and len(s.p.tasks) == 1
    finish(s)


@pytest.mark.parametrize("crash", [False, True])
def test_25_all_runs_go_along_with_their_counters_and_results(crash: bool) -> None:
    s = begun(MANY_SUB, crash)
    s.move("complete w")
    runs = sorted(t.index for t in s.i.tokens.values() if t.index)
    move(s, MANY_SUB.replace("serviceTask v", "serviceTask q").replace("w > v > x", "w > q > x"), elements={"v": "q"})
    assert sorted(t.index for t in s.i.tokens.values() if t.index) == runs == [1, 2, 3]
    assert sorted((t.element, t.job_type) for t in s.p.tasks.values()) == [("q", "v"), ("w", "w"), ("w", "w")], "a job goes on as it is"
    for _ in range(20):
        if s.at == "z":
            break
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert s.at == "z" and s.vars["out"] == [1, 2, 3]


# --- 27: a job that an element still names


@pytest.mark.parametrize("event", ["start", "end"])
@pytest.mark.parametrize("crash", [False, True])
def test_27_a_finished_listener_blocks_nothing(event: str, crash: bool) -> None:
    """Whatever job an element holds exists, before and after."""
    model = f'startEvent s\nserviceTask w\n<zeebe:executionListeners><zeebe:executionListener eventType="{event}" type="l"/></zeebe:executionListeners>\nserviceTask z\nendEvent e\ns > w > z > e'
    s = begun(model, crash)
    for n in range(3):
        if s.at != "w":
            break
        move(s, model + f"\nserviceTask extra{n}")
        for token in s.i.tokens.values():
            held = [k for k in token.holds or () if k not in s.p.timers and k not in s.p.subscriptions]
            assert held and all(k in s.p.tasks for k in held)
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert s.at == "z"
    finish(s)


# --- joins behind what was dropped, or is new

FORK = "startEvent s\nparallelGateway f\nserviceTask a\nserviceTask b\nparallelGateway j\nserviceTask z\nendEvent e\ns > f\nf > a > j\nf > b > j\nj > z > e"
THREE = FORK.replace("parallelGateway j", "serviceTask d\nparallelGateway j") + "\nf > d > j"


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(
    ("source", "into", "elements"),
    [(FORK, FORK, {"b": ""}), (FORK, THREE, {}), (THREE, FORK, {"d": ""}), (THREE, THREE, {"b": "", "d": ""})],
)
def test_a_join_waits_for_what_can_still_come(source: str, into: str, elements: dict[str, str], crash: bool) -> None:
    """A branch that was dropped, or that only the target has, is waited for by nobody."""
    s = begun(source, crash)
    move(s, into, elements=elements)
    while s.at != "z":
        assert s.p.tasks, s.at
        s.do(c.CompleteTask(task=min(s.p.tasks)))
    assert s.words.count("j>z") == 1
    finish(s)


def test_a_question_is_answered_as_the_act_is_refused() -> None:
    s = begun(PLAIN)
    key = target(s, PLAIN.replace("serviceTask w", "userTask w"))
    command = c.MigrateInstance(key=s.key, definition=key, elements={}, same_ids=True)
    plan: Any = decide(s.p, c.Request(command=command, plan=c.DRY_RUN), s.facts(s.p))
    with pytest.raises(Refused) as refused:
        asked_first(s, command)
    assert isinstance(plan, Rejected) and plan == refused.value.rejected and not [e for e, _ in s.log if isinstance(e, wa.IncidentRaised)]
