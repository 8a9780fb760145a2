"""Strategy `recommended`: who would be done first, with reasons; overrides are recorded; work waits less than by turns."""

from __future__ import annotations

import pytest
from test_assignment import asked, people, waits
from workbench import MINUTE, Bench

from flowledger.events import commands as c
from flowledger.kernel.tasks import assignment

#: minutes that a task takes, and the share that is done badly and again
CREW = {"a": (120, 0.2), "b": (25, 0.05), "c": (150, 0.4), "d": (20, 0.0), "e": (90, 0.3), "f": (30, 0.1)}


@pytest.mark.req("D-ASG-006", "D-AI-003", "D-AI-006", "APG-AI-012")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_work_waits_less_than_by_turns_and_is_done_sooner_than_with_whom_has_the_least(seed):
    by_turns, least, recommended = (waits(s, seed, CREW) for s in ("round_robin", "least_loaded", "recommended"))
    assert recommended[0] < 0.05 * by_turns[0], (recommended, by_turns)
    assert recommended[1] < 0.85 * least[1], (recommended, least)


@pytest.mark.req("APG-AI-003", "APG-AI-012")
def test_all_who_could_have_it_are_told_with_when_they_would_be_done():
    b = people(Bench(), ann={"groups": ["g"]}, bob={"groups": ["g"]}, cy={"groups": ["others"]})
    for name, minutes in (("ann", 10), ("bob", 30)):
        for _ in range(5):
            key = b.create(name="x", details={"settings": {"assignment": {"users": [name], "strategy": "first"}}})
            b.now_us += minutes * MINUTE
            b.do(c.CompleteTask(task=key))
    made = asked(b, strategy="recommended", groups="g")
    # five of their own and three of what is usual (20 min)
    assert made["assignee"] == "ann" and made["why"] == "would be done in 825 s: 0 open tasks, 5 done and 0 failed before"
    assert made["behind"] == {"bob": "would be done in 1575 s: 0 open tasks, 5 done and 0 failed before"}
    again = asked(b, strategy="recommended", groups="g")
    assert again["assignee"] == "bob" and again["behind"]["ann"] == "would be done in 1650 s: 1 open tasks, 5 done and 0 failed before"


def test_of_whom_nothing_is_known_what_is_usual_is_expected_and_the_name_decides():
    b = people(Bench(), bob={"groups": ["g"]}, ann={"groups": ["g"]})
    assert [asked(b, strategy="recommended", groups="g")["assignee"] for _ in range(3)] == ["ann", "bob", "ann"]


@pytest.mark.req("APG-AI-003")
def test_an_override_is_recorded_and_so_is_that_the_recommended_was_taken_after_all():
    b = people(Bench(), ann={"groups": ["g"]}, bob={"groups": ["g"]})
    key = b.create(name="x", details={"settings": {"assignment": {"strategy": "recommended", "groups": "g"}}})
    b.do(c.MoveTask(task=key, move="assign", details={"assignee": "bob"}), actor="boss")
    told = b.details(key)["assignment"]
    assert (told["why"], told["recommended"], told["override"]) == ("assigned by boss", "ann", True)
    b.do(c.MoveTask(task=key, move="assign", details={"assignee": "ann"}), actor="boss")
    assert (b.details(key)["assignment"]["recommended"], b.details(key)["assignment"]["override"]) == ("ann", False)


def test_where_nobody_was_recommended_an_assignment_by_hand_overrides_nothing():
    b = people(Bench(), ann={"groups": ["g"]}, bob={"groups": ["g"]})
    key = b.create(name="x", details={"settings": {"assignment": {"strategy": "least_loaded", "groups": "g"}}})
    b.do(c.MoveTask(task=key, move="assign", details={"assignee": "bob"}))
    assert "override" not in b.details(key)["assignment"]


def test_what_is_usual_is_asked_for_once_however_many_could_have_it(monkeypatch):
    """Else a directory of thousands would hold its partition up."""
    b = people(Bench(check=False), **{f"p{n:02d}": {"groups": ["g"]} for n in range(20)})
    asked_, usual = [], assignment.usual_ms
    monkeypatch.setattr(assignment, "usual_ms", lambda p, among: asked_.append(1) or usual(p, among))
    assert asked(b, strategy="recommended", groups="g")["assignee"] == "p00"
    assert len(asked_) <= 2


@pytest.mark.req("APG-AI-003", "APG-AI-012")
def test_whom_any_open_task_would_best_go_to_is_told_with_reasons_and_who_cannot():
    b = people(Bench(), ann={"groups": ["g"]}, bob={"groups": ["g"]}, cy={"groups": ["g"], "active": False}, dan={"groups": ["others"]})
    for name, minutes in (("ann", 10), ("bob", 30)):
        for _ in range(5):
            key = b.create(name="x", details={"settings": {"assignment": {"users": [name], "strategy": "first"}}})
            b.now_us += minutes * MINUTE
            b.do(c.CompleteTask(task=key))
    key = b.create(name="y", details={"candidate_groups": ["g"]})
    told = b.do(c.ListRecords(registry="recommendation", prefix=str(key)))["records"][0]["value"]
    assert [(r["name"], r["expected_ms"], r["open"], r["done"]) for r in told["ranked"]] == [
        ("ann", 825_000, 0, 5),
        ("bob", 1_575_000, 0, 5),
    ]
    assert {"code": "takes", "n": 600_000} in told["ranked"][0]["reasons"] and {"code": "role", "names": ["g"]} in told["ranked"][0][
        "reasons"
    ]
    assert told["excluded"] == {"cy": "is not active"} and told["considered"] == 3
    gone = b.ask(c.ListRecords(registry="recommendation", prefix=str(key)), tenant="acme")
    assert gone.code == "NOT_FOUND" and b.ask(c.ListRecords(registry="recommendation", prefix="9" * 30)).code == "NOT_FOUND"


@pytest.mark.req("APG-AI-003")
def test_taking_somebody_else_than_was_advised_is_recorded_with_who_and_why():
    b = people(Bench(), ann={"groups": ["g"]}, bob={"groups": ["g"]})
    key = b.create(name="x", details={"candidate_groups": ["g"]})
    b.do(c.MoveTask(task=key, move="assign", reason="knows the customer", details={"assignee": "bob", "advised": "ann"}), actor="boss")
    told = b.details(key)["assignment"]
    assert (told["recommended"], told["override"], told["strategy"]) == ("ann", True, "recommended") and "advised" not in b.details(key)
    b.do(c.MoveTask(task=key, move="assign", details={"assignee": "ann", "advised": "ann"}), actor="boss")
    assert b.details(key)["assignment"]["override"] is False
    refused = b.ask(c.MoveTask(task=key, move="assign", details={"assignee": "ann", "advised": "nobody"}), actor="boss")
    assert refused.code == "INVALID_ARGUMENT" and "directory" in refused.message
