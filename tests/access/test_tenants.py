"""Tenants: made and changed by the operator alone; what callers may do for one that is suspended, removed, or that nobody has made."""

from __future__ import annotations

from typing import Any

import pytest
from gate_world import MODEL, World

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import ledger as le
from flowledger.events.base import Rejected
from flowledger.kernel import checkpoint, tenants
from flowledger.kernel.access import ANY_TENANT
from flowledger.kernel.access.subjects import SUBJECTS
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers.tenants import FROM

#: what callers may ask for a tenant, and how
ASKED: dict[type, Any] = {
    c.Deploy: c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]), c.StartInstance: c.StartInstance(id="p"), c.CreateTask: c.CreateTask(name="x"),
    c.PublishMessage: c.PublishMessage(name="m", correlation_key="k"), c.BroadcastSignal: c.BroadcastSignal(name="s"),
    c.EvaluateConditions: c.EvaluateConditions(variables={}),
    c.StoreRecord: c.StoreRecord(registry="directory", name="b/user:eve", value={"groups": []}), co.CreateBatch: co.CreateBatch(action="cancel", total=1),
}  # fmt: skip


def move(name: str, what: str, **more: Any) -> co.ControlTenant:
    return co.ControlTenant(name=name, move=what, reason="because", **more)


def code(made: Any) -> str:
    return made.code if isinstance(made, Rejected) else "ok"


def test_only_the_operator_makes_tenants_and_each_sees_its_own():
    w = World()
    for what in FROM:
        made = w.ask(move("b", what), "b")
        assert isinstance(made, Rejected) and made.code == "FORBIDDEN" and "operator" in made.message
        assert code(w.ask(move("b", what), "a")) == ("FORBIDDEN" if what == "create" else "NOT_FOUND")
    assert code(w.ask(c.StoreRecord(registry="tenant", name="b", value={"status": "active"}), "")) == "INVALID_ARGUMENT"
    assert w.do(move("b", "create"), "")["status"] == "active"
    assert w.do(move("c", "create"), "a", [ANY_TENANT])["status"] == "active"

    def names(tenant: str) -> list[str]:
        return [r["name"] for r in w.do(c.ListRecords(registry="tenant"), tenant)["records"]]

    assert (names(""), names("b"), names("x")) == (["b", "c", "default"], ["b"], [])


MOVES = [
    ("b", "create", "ok"), ("b", "create", "ALREADY_EXISTS"), ("b", "resume", "INVALID_STATE"), ("b", "remove", "INVALID_STATE"),
    ("b", "suspend", "ok"), ("b", "suspend", "INVALID_STATE"), ("b", "change", "ok"), ("b", "resume", "ok"), ("b", "suspend", "ok"),
    ("b", "remove", "ok"), ("b", "change", "NOT_FOUND"), ("b", "resume", "NOT_FOUND"), ("b", "create", "ok"), ("none", "change", "NOT_FOUND"),
    ("default", "change", "ok"), ("default", "create", "INVALID_STATE"), ("default", "suspend", "INVALID_STATE"), ("default", "remove", "INVALID_STATE"),
    ("b/c", "create", "INVALID_ARGUMENT"), ("*", "create", "INVALID_ARGUMENT"), ("", "create", "INVALID_ARGUMENT"), ("x" * 201, "create", "INVALID_ARGUMENT"),
    (" b", "create", "INVALID_ARGUMENT"), ("b", "close", "INVALID_ARGUMENT"),
]  # fmt: skip


def test_a_tenants_life_in_one_table():
    w = World()
    for name, what, expected in MOVES:
        before = checkpoint.fingerprint(w.p)
        made = w.ask(move(name, what), "")
        assert code(made) == expected, (name, what, made)
        assert expected == "ok" or checkpoint.fingerprint(w.p) == before


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"unknown": "refuse"}, "alone"), ({"jobs": {"speed": 1}}, "speed"), ({"jobs": {"concurrency": 0}}, "concurrency"),
     ({"title": "x" * 256}, "255"), ({"metadata": {str(n): n for n in range(51)}}, "50"), ({"leave": True}, "leave")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words(fields, expected):
    made = World().ask(move("b", "create", **fields), "")
    assert isinstance(made, Rejected) and made.code == "INVALID_ARGUMENT" and expected in made.message


def test_of_default_only_what_holds_for_all_can_be_said():
    w = World()
    for fields, expected in (({"unknown": "maybe"}, "accept or refuse"), ({"jobs": {"concurrency": 1}}, "tenants with a name")):
        made = w.ask(move("default", "change", **fields), "")
        assert isinstance(made, Rejected) and expected in made.message
    assert w.do(move("default", "change", unknown="refuse", title="us"), "")["unknown"] == "refuse"


def test_there_are_so_many_at_most(monkeypatch):
    monkeypatch.setattr(tenants, "TENANTS_MAX", 2)
    w = World()
    assert [code(w.ask(move(n, "create"), "")) for n in "cde"] == ["ok", "ok", "RESOURCE_EXHAUSTED"]
    w.do(move("c", "suspend"), ""), w.do(move("c", "remove"), "")
    assert code(w.ask(move("c", "create"), "")) == "ok", "one that was there takes no further place"


@pytest.mark.req("APG-TEN-001")
def test_what_leaves_something_has_a_row_here():
    """A new command that callers give is looked at: does it begin something for a tenant, or leave something of it?"""
    assert tenants.BEGINS < tenants.LEAVES <= set(SUBJECTS)
    assert {k.__name__ for k in tenants.LEAVES - set(ASKED)} == {"TakeItems", "PutWebhook", "PutAlert"}, "by their own tests of doors"


@pytest.mark.parametrize("kind", list(ASKED), ids=lambda k: k.__name__)
def test_who_names_a_tenant_that_nobody_has_made(kind):
    w = World()
    w.do(move("other", "create"), "")
    assert code(w.ask(ASKED[kind], "b")) != "FORBIDDEN", "nothing breaks for those who only name one"
    w.do(move("default", "change", unknown="refuse"), "")
    made = w.ask(ASKED[kind], "b")
    assert isinstance(made, Rejected) and made.code == "FORBIDDEN" and "'b' is not known" in made.message
    assert code(w.ask(ASKED[kind], "")) != "FORBIDDEN" or kind is c.StoreRecord
    w.do(move("b", "create"), "")
    assert code(w.ask(ASKED[kind], "b")) != "FORBIDDEN"


@pytest.mark.parametrize("kind", list(ASKED), ids=lambda k: k.__name__)
def test_for_one_that_is_suspended_nobody_begins_anything_and_what_comes_is_kept(kind):
    w = World()
    w.do(move("b", "create"), "")
    w.do(move("b", "suspend"), "")
    made = w.ask(ASKED[kind], "b")
    if kind in tenants.BEGINS:
        assert isinstance(made, Rejected) and made.code == "INVALID_STATE" and "suspended" in made.message and "because" in made.message
    else:
        assert "suspended" not in getattr(made, "message", "")
    w.do(move("b", "remove", leave=True), "")
    assert "removed" in w.ask(ASKED[kind], "b").message  # type: ignore[union-attr]


@pytest.mark.req("APG-TEN-001")
def test_what_a_suspended_tenant_has_stands_still_and_goes_on_again():
    w = World()
    w.do(move("b", "create"), "")
    w.do(c.StartInstance(id="p"), "b")
    assert [int(j["key"]) for j in w.do(c.ActivateTasks(job_type="work", worker="w", max=1), "b")["jobs"]] == [w.task]
    hold = int(w.do(move("b", "suspend"), "")["hold"])
    assert w.p.holds[hold].subject == "b" and w.p.holds[hold].starts == "hold"
    w.do(c.CompleteTask(task=w.task), "b")
    assert w.task in w.p.tasks and w.p.instances[w.instance].kept, "kept, not lost"
    assert w.do(c.ActivateTasks(job_type="work", worker="w"), "b") == {"jobs": []}
    assert code(w.ask(c.ReleaseHold(key=hold), "b")) == "NOT_FOUND", "it is the operator's hold"
    w.do(move("b", "resume"), "")
    assert w.task not in w.p.tasks and hold not in w.p.holds
    assert len(w.do(c.ActivateTasks(job_type="work", worker="w"), "b")["jobs"]) == 1


def test_a_hold_that_was_released_by_itself_hinders_no_resumption():
    w = World()
    w.do(move("b", "create"), "")
    w.do(c.ReleaseHold(key=int(w.do(move("b", "suspend"), "")["hold"])), "")
    assert code(w.ask(c.StartInstance(id="p"), "b")) == "INVALID_STATE"
    assert "hold" not in w.do(move("b", "resume"), "")
    assert code(w.ask(c.StartInstance(id="p"), "b")) == "ok"


def test_one_that_is_removed_with_its_work_keeps_it_until_it_is_made_again():
    w = World()
    w.do(move("b", "create"), "")
    w.do(move("b", "suspend"), "")
    hold = int(w.do(move("b", "remove", leave=True), "")["hold"])
    assert hold in w.p.holds and w.do(c.ActivateTasks(job_type="work", worker="w"), "b") == {"jobs": []}
    assert w.do(move("b", "create"), "")["status"] == "active" and hold not in w.p.holds
    assert w.do(c.ActivateTasks(job_type="work", worker="w"), "b")["jobs"]


def test_its_share_of_jobs_is_a_limit_as_any_other():
    w = World()
    w.do(c.StoreRecord(registry="limit", name="tenant:b", value={"circuit_breaker": True}), "")
    w.do(c.StartInstance(id="p"), "b")
    w.do(move("b", "create", jobs={"concurrency": 1}), "")
    limit = w.p.records["limit", "tenant:b"]
    assert limit["concurrency"] == 1 and limit["circuit_breaker"], "what else is said of the target stays"
    assert len(w.do(c.ActivateTasks(job_type="work", worker="w", max=9), "b")["jobs"]) == 1
    w.do(move("b", "change", jobs={}), "")
    assert w.p.records["limit", "tenant:b"] == {"circuit_breaker": True}
    assert len(w.do(c.ActivateTasks(job_type="work", worker="w", max=9), "b")["jobs"]) == 1
    w.do(move("b", "suspend"), ""), w.do(move("b", "remove"), "")
    assert w.p.records["limit", "tenant:b"] == {"circuit_breaker": True}


@pytest.mark.req("WOS-CMP-001")
def test_each_change_is_on_the_ledger_and_in_the_log_of_operations():
    w = World()
    made = w.ask(move("b", "create", jobs={"concurrency": 2}), "")
    assert isinstance(made, Decision)
    told = [(e.registry, e.name) for e in made.events if isinstance(e, le.RecordStored)]
    assert told == [("tenant", "b"), ("limit", "tenant:b")]
    assert (made.events[-1].operation, made.events[-1].subject, made.events[-1].reason) == ("create_tenant", "b", "because")  # type: ignore[attr-defined]
