"""Advice on histories of which the cause is known: what was planted is found, what wasn't isn't, and the gain is the one that the change has."""

from __future__ import annotations

from functools import cache

import pytest

from flowledger.analytics.advise import busy, gains, redraw
from flowledger.analytics.advise import causes as ca
from flowledger.analytics.advise.outline import outline
from flowledger.analytics.advise.seen import Piece, Seen
from flowledger.analytics.simulate import plan as pl
from flowledger.analytics.simulate.run import START_US, Run
from flowledger.bench import advice as bench
from flowledger.bench import planted
from flowledger.kernel.model import read

#: cases that are enough for it, of histories that are lived once
FEW = 1_000
HOUR, DAY = 3_600_000_000, 86_400_000_000
NAME = "claim.bpmn"


@cache
def lived(cases: int, *causes: str) -> Seen:
    seen = Seen()
    for events in planted.lived(3, cases, frozenset(causes)).events.values():
        seen.add(events)
    return seen


def model(*causes: str):
    return outline({NAME: planted.model(frozenset(causes))}, planted.PROCESS)


def found(seen: Seen, *causes: str, limits=None) -> list[ca.Cause]:
    return ca.causes(seen, model(*causes), {planted.BOOK: planted.LIMIT} if limits is None else limits)


# --- what is seen


@pytest.mark.req("D-AI-005", "D-ANA-002")
@pytest.mark.parametrize("planted_", [("check", "limit", "staff"), ("parallel", "retry", "split")], ids=",".join)
def test_each_cause_that_was_planted_is_seen_where_it_is_and_no_other(planted_):
    """Two weeks of claims; what isn't planted is a decoy: steps that need one another, a limit that isn't reached, retries that help ..."""
    seen = lived(FEW, *planted_)
    assert {c.kind: set(c.elements) for c in found(seen, *planted_)} == {k: bench.MEANT[k] for k in planted_}


def test_without_a_limit_nobody_says_that_it_is_too_low():
    seen = lived(FEW, "check", "limit", "staff")
    assert {c.kind for c in found(seen, "check", "limit", "staff", limits={})} == {"check", "staff"}


def test_what_is_found_says_what_speaks_for_it():
    seen = lived(FEW, "check", "limit", "staff")
    by = {c.kind: c for c in found(seen, "check", "limit", "staff")}
    assert by["staff"].says["day"] == "monday" and by["staff"].says["there"] == 1 and by["staff"].says["proposed"] == 2
    assert (
        by["staff"].base["resources"]["boss"]["by_day"] | {"monday": 1, "tuesday": 2, "wednesday": 3}
        == by["staff"].base["resources"]["boss"]["by_day"]
    )
    assert by["limit"].setting == {"registry": "limit", "name": "job:claim.book", "change": {"concurrency": 3}, "was": 2}
    check = by["check"].says
    assert check["found"] / check["passed"] < check["at_most"] <= ca.FINDS and "rule of law" in by["check"].caution


# --- what it gains


@pytest.mark.req("D-AI-005", "WSM-AI-002")
def test_the_gain_that_is_told_is_the_one_that_the_change_has():
    """Learned from the events alone, against the plan by which the history was drawn: steps side by side, and a check left out."""
    planted_ = frozenset({"parallel", "check"})
    items = {
        i["kind"]: i for i in gains.advice(lived(600, "parallel", "check"), {NAME: planted.model(planted_)}, planted.PROCESS, {})["items"]
    }
    assert set(items) == {"parallel", "check"}
    plan = pl.read(planted.plan(planted_, 3, 300))
    before = Run({NAME: planted.model(planted_)}, planted.PROCESS, plan, 5).go()["cycle"]["mean"]
    for kind, item in items.items():
        after = Run({NAME: gains.drawn(planted.model(planted_), planted.PROCESS, item["draft"])}, planted.PROCESS, plan, 5).go()["cycle"][
            "mean"
        ]
        assert item["gain"]["mean_ms"] == pytest.approx(before - after, rel=0.3), kind
        assert item["gain"]["from_ms"] < item["gain"]["mean_ms"] < item["gain"]["to_ms"] and item["gain"]["sure"]


def test_what_there_is_no_time_to_ask_for_is_not_told_and_that_is_said():
    told = gains.advice(
        lived(600, "parallel", "check"),
        {NAME: planted.model(frozenset({"parallel", "check"}))},
        planted.PROCESS,
        {},
        go_on=lambda: False,
    )
    assert told == {"items": [], "looked": 2, "whole": False}


def test_of_a_process_that_is_not_in_the_model_and_of_no_history_there_is_none():
    nothing = {"items": [], "looked": 0, "whole": True}
    assert gains.advice(Seen(), {NAME: planted.model(frozenset())}, planted.PROCESS, {}) == nothing
    assert gains.advice(lived(600, "parallel", "check"), {NAME: planted.model(frozenset())}, "another", {}) == nothing


# --- how full it is


def pieces(*spans: tuple[float, float, float]) -> list[Piece]:
    made = []
    for created, begun, ended in spans:
        p = Piece(1, "e", "j", (), START_US + int(created * HOUR))
        p.hands.append((START_US + int(begun * HOUR), START_US + int(ended * HOUR)))
        p.ended_us = p.hands[0][1]
        made.append(p)
    return made


def test_waiting_counts_as_full_while_as_many_are_in_hand_as_ever():
    """Two at once; a third waits for an hour while both are busy, and another one for an hour while one is free."""
    load = busy.load(pieces((0, 0, 2), (0, 0, 2), (1, 2, 3), (3, 4, 5), (3, 3, 4)))
    assert load.most[0] == load.most[7] == 2 and load.most[1] == 0
    assert (load.waited_us, load.full_us, load.full) == (2 * HOUR, HOUR, 0.5)
    assert busy.load(pieces((0, 0, 2), (0, 1, 2)), limit=1).full == 1.0


def test_a_wait_over_midnight_counts_on_both_days():
    load = busy.load(pieces((20, 20, 30), (22, 26, 27)))
    assert load.most[:2] == (1, 2) and load.waited_us == 4 * HOUR and load.full_us == 2 * HOUR


@pytest.mark.parametrize(("k", "n", "most"), [(0, 200, 0.0134), (4, 200, 0.0438), (0, 134, 0.0198)])
def test_the_bound_of_a_share(k, n, most):
    assert ca.bound(k, n) == pytest.approx(most, abs=0.0002)


# --- how it is drawn


def graph(text: str):
    read_, findings = read(text.encode(), NAME)
    assert read_ is not None and [f for f in findings if f.severity == "error"] == []
    return read_.processes[planted.PROCESS]


@pytest.mark.req("D-AI-001", "D-AI-005")
def test_steps_side_by_side_stand_between_two_gateways():
    p = graph(redraw.parallel(planted.model(frozenset({"parallel"})), planted.PROCESS, ["read", "score"]))
    fork = p.nodes["start"].outgoing[0].target
    assert fork.kind == "parallelGateway" and [f.target.id for f in fork.outgoing] == ["read", "score"]
    joins = {f.target for n in ("read", "score") for f in p.nodes[n].outgoing}
    assert [n.kind for n in joins] == ["parallelGateway"] and [f.target.id for f in joins.pop().outgoing] == ["check"]


def test_a_check_goes_with_its_gateway_and_what_only_it_led_to():
    text = redraw.without(planted.model(frozenset({"check"})), planted.PROCESS, "check", "fine", "fine-book")
    p = graph(text)
    assert {"check", "fine", "mend"} & set(p.nodes) == set() and [f.target.id for f in p.nodes["score"].outgoing] == ["book"]
    assert "BPMNShape" in text and 'bpmnElement="mend"' not in text


def test_a_queue_of_its_own_and_codes_that_are_not_tried_again():
    text = redraw.apart(planted.model(frozenset()), planted.PROCESS, ["small", "book"], "short")
    assert 'candidateGroups="desk-short"' in text and text.count('candidateGroups="desk"') == 1 and 'type="claim.book-short"' in text
    own = '<flowledger:retry xmlns:flowledger="urn:flowledger:bpmn:1" maxAttempts="5" never="OLD"/>'
    with_policy = planted.model(frozenset()).replace(
        '<zeebe:taskDefinition type="claim.mail"/>', f'<zeebe:taskDefinition type="claim.mail"/>{own}'
    )
    again = redraw.never(with_policy, planted.PROCESS, ["mail"], ["NO_ADDRESS", "OLD"])
    assert 'never="OLD,NO_ADDRESS"' in again
    graph(again)


@pytest.mark.parametrize(
    "draw",
    [
        lambda text: redraw.parallel(text, "another", ["read", "score"]),
        lambda text: redraw.parallel(text, planted.PROCESS, ["read", "check"]),
        lambda text: redraw.without(text, planted.PROCESS, "gone", "fine", "fine-book"),
        lambda text: redraw.apart(text, planted.PROCESS, ["fine"], "short"),
        lambda text: redraw.never(text, planted.PROCESS, ["mail"], ["X"]),
    ],
    ids=["no-process", "not-in-a-row", "no-element", "no-queue", "no-policy"],
)
def test_a_model_that_is_another_one_is_not_drawn(draw):
    with pytest.raises(redraw.NotDrawn):
        draw(planted.model(frozenset()))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda text: text.replace('source="=page" target="text"', 'source="=page" target="amount"'),
            "the second needs what the first leaves",
        ),
        (
            lambda text: text.replace('<zeebe:output source="=given" target="score"/>', '<zeebe:output source="=given" target="text"/>'),
            "both leave the same",
        ),
        (lambda text: text.replace('<zeebe:output source="=page" target="text"/>', ""), "what the first leaves isn't said"),
    ],
)
def test_steps_that_may_need_one_another_stay_in_their_order(change, why):
    text = planted.model(frozenset({"parallel"}))
    assert change(text) != text
    seen = lived(600, "parallel", "check")
    kinds = {c.kind for c in ca.causes(seen, outline({NAME: change(text)}, planted.PROCESS), {})}
    assert "parallel" not in kinds, why


def test_a_check_that_others_rely_on_is_not_to_be_left_out():
    """Four eyes: who did it must not do another step."""
    text = planted.model(frozenset({"check"})).replace(
        '<userTask id="sign"><extensionElements>',
        '<userTask id="sign"><extensionElements><flowledger:task xmlns:flowledger="urn:flowledger:bpmn:1" notBy="check"/>',
    )
    kinds = {c.kind for c in ca.causes(lived(600, "parallel", "check"), outline({NAME: text}, planted.PROCESS), {})}
    assert "check" not in kinds


# --- a plan with days


@pytest.mark.parametrize("by_day", [{"someday": 1}, {"monday": 0}, {"monday": "1"}, [1]])
def test_a_plan_s_days_are_checked(by_day):
    plan = {"arrival": {"every": 600}, "resources": {"desk": {"count": 1, "by_day": by_day}}}
    assert "resources.desk.by_day" in pl.problem(plan)


def test_as_many_work_as_are_there_on_that_day():
    plan = {
        "instances": 400, "arrival": {"every": 1_500}, "warmup": 0, "elements": {"small": {"work": 3_000, "resource": "desk"}},
        "branches": {"size-large": 0, "fine-mend": 0}, "resources": {"desk": {"count": 3, "by_day": {"monday": 1}}},
    }  # fmt: skip
    assert pl.problem(plan) == ""
    run = Run({NAME: planted.model(frozenset())}, planted.PROCESS, pl.read(plan), 1)
    most: dict[int, int] = {}
    begin = run._begin

    def seen(task: int) -> None:
        day = busy.weekday(run.facts.now_us)
        most[day] = max(most.get(day, 0), run.pools["desk"].busy)
        begin(task)

    run._begin = seen  # type: ignore[method-assign]
    run.go()
    assert most[0] == 1 and most[1] == 3
