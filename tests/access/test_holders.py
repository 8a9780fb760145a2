"""Who may move a task, and what the caller saw of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.kernel.access.rights import OPERATOR, SIGNED_IN

sys.path.insert(0, str(Path(__file__).parents[1] / "tasks"))
from workbench import Bench

DETAILS = {"assignee": "eve", "candidate_groups": ["sales"]}
HELD = {
    "release": {}, "start": {}, "progress": {"percent": 1}, "draft": {"draft": {}}, "suspend": {}, "delegate": {"assignee": "zoe"}, "update": {"x": 1},
    "transfer": {"assignee": "zoe"}, "assign": {"assignee": "zoe"}, "skip": {}, "cancel": {}, "refuse": {}, "escalate": {"assignee": "zoe"},
}  # fmt: skip


def bench(**details: object) -> Bench:
    b = Bench(check=False)
    b.store("directory", "group:sales", leads=["boss"])
    for name, groups in (("bob", ["sales"]), ("eve", ["sales"]), ("mallory", ["other"])):
        b.store("directory", f"user:{name}", groups=groups)
    b.task_key = b.create(name="x", details=details or dict(DETAILS))  # type: ignore[attr-defined]
    return b


def commands(key: int) -> dict[str, c.AnyCommand]:
    out: dict[str, c.AnyCommand] = {m: c.MoveTask(task=key, move=m, details=dict(d) or None) for m, d in HELD.items()}
    return {**out, "complete": c.CompleteTask(task=key), "fail": c.FailTask(task=key, retries=1)}


@pytest.mark.req("APG-HUM-008")
@pytest.mark.parametrize("move", [*HELD, "complete", "fail"])
def test_what_another_holds_is_not_moved(move):
    for who in ("bob", "mallory", *(() if move in ("assign", "escalate") else ("stranger",))):
        b = bench()
        made = b.ask(commands(b.task_key)[move], actor=who)
        assert isinstance(made, Rejected) and made.code == "FORBIDDEN" and "eve" in made.message, (who, made)
    for who, rights in (("eve", None), ("boss", None), ("ops", [OPERATOR]), ("", None)):
        b = bench()
        made = b.ask(commands(b.task_key)[move], actor=who, rights=rights)
        assert not (isinstance(made, Rejected) and made.code == "FORBIDDEN") or (who, move) in (("boss", "refuse"), ("ops", "refuse")), (
            who,
            made,
        )


@pytest.mark.parametrize("move", ["comment", "attach"])
def test_anybody_of_the_tenant_may_say_something(move):
    b = bench()
    b.move(b.task_key, move, "bob", **({"text": "hi"} if move == "comment" else {"name": "f", "uri": "s3://f"}))


def test_a_task_that_nobody_holds_is_done_by_its_candidates():
    for who, good in (("bob", True), ("mallory", False), ("boss", True), ("unknown", True), ("", True)):
        b = bench(candidate_groups=["sales"])
        made = b.ask(c.CompleteTask(task=b.task_key), actor=who)
        assert isinstance(made, Rejected) is not good, (who, made)


def test_a_lease_is_shown_instead_of_a_name():
    b = Bench(check=False)
    key = b.create(name="x", job_type="work", details={"assignee": "eve"})
    [job] = b.lease()
    assert isinstance(b.ask(c.CompleteTask(task=key), actor="w2"), Rejected)
    assert not isinstance(b.ask(c.CompleteTask(task=key, fence=job["fence"]), actor="w"), Rejected)


@pytest.mark.req("APG-HUM-003")
def test_the_delegator_may_recall_and_no_more():
    b = bench()
    b.move(b.task_key, "delegate", "eve", assignee="bob")
    assert b.refused(c.CompleteTask(task=b.task_key), "eve").code == "FORBIDDEN"
    b.move(b.task_key, "recall", "eve")
    b.do(c.CompleteTask(task=b.task_key), "eve")


def test_locking_holds_from_the_first_change_on():
    for seen, good in ((None, True), (0, True), (1, False), (7, False)):
        b = bench()
        for command in (c.MoveTask(task=b.task_key, move="start", row_version=seen), c.CompleteTask(task=b.task_key, row_version=seen)):
            b = bench()
            made = b.ask(command, actor="eve")
            assert isinstance(made, Rejected) is not good and (good or made.code == "STALE"), (seen, made)
    b = bench()
    b.move(b.task_key, "start", "eve")
    assert b.refused(c.CompleteTask(task=b.task_key, row_version=0)).code == "STALE", "0 is a version like any other"
    b.do(c.CompleteTask(task=b.task_key, row_version=1))


def test_definitions_are_locked_too():
    b = Bench()
    made = b.do(c.Deploy(resources=[c.Resource("p.bpmn", '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t">'
                                             '<process id="p" isExecutable="true"><startEvent id="s"/></process></definitions>')]))  # fmt: skip
    key = made["definitions"][0]["key"]
    assert b.refused(c.ChangeDefinition(key=key, move="deprecate", row_version=1)).code == "STALE"
    b.do(c.ChangeDefinition(key=key, move="deprecate", row_version=0))
    assert b.refused(c.ChangeDefinition(key=key, move="publish", row_version=0)).code == "STALE"
    b.do(c.ChangeDefinition(key=key, move="publish", row_version=1))


# --- with sign-in: everybody has a name -----------------------------------------------------------------------------------


def may(b: Bench, command: c.AnyCommand, who: str, *more: str) -> bool:
    return not isinstance(b.ask(command, actor=who, rights=[SIGNED_IN, *more]), Rejected)


@pytest.mark.parametrize("move", ["claim", "start"])
def test_who_has_signed_in_claims_for_oneself(move):
    for who, name, rights, good in (
        ("bob", None, (), True), ("bob", "bob", (), True), ("bob", "eve", (), False), ("stranger", "bob", (), False), ("ops", "bob", (OPERATOR,), True),
    ):  # fmt: skip
        b = bench(candidate_groups=["sales"])
        command = c.MoveTask(task=b.task_key, move=move, details=None if name is None else {"assignee": name})
        assert may(b, command, who, *rights) is good, (who, name)
        b = bench(candidate_groups=["sales"])
        assert not isinstance(b.ask(command, actor="bob"), Rejected), "without sign-in as before"


@pytest.mark.parametrize("what", ["claim", "start", "complete", "fail", "progress", "draft"])
def test_who_is_in_no_directory_is_a_candidate_only_where_the_task_names_them(what):
    for who, details, good in (
        ("stranger", {"candidate_groups": ["sales"]}, False), ("mallory", {"candidate_groups": ["sales"]}, False), ("bob", {"candidate_groups": ["sales"]}, True),
        ("stranger", {"candidate_users": ["stranger"]}, True), ("stranger", {"candidate_users": ["bob"]}, False), ("stranger", {"note": "anybody's"}, True),
    ):  # fmt: skip
        b = bench(**details)
        command = commands(b.task_key).get(what) or c.MoveTask(task=b.task_key, move=what)
        assert may(b, command, who) is good, (who, details)


def test_nobody_allots_work_because_they_are_unknown():
    for move in ("assign", "escalate"):
        command = commands(bench().task_key)[move]
        b = bench()
        assert not may(b, command, "stranger") and may(b, command, "ops", OPERATOR)
        assert not isinstance(bench().ask(command, actor="stranger"), Rejected), "without sign-in as before"


def test_a_worker_by_key_answers_the_job_that_it_has():
    b = Bench(check=False)
    key = b.create(name="x", job_type="work", details={"assignee": "eve"})
    [job] = b.lease()
    assert not may(b, c.CompleteTask(task=key), "robot") and may(b, c.CompleteTask(task=key, fence=job["fence"]), "robot")
