"""What stands on the log of what was asked for: granted and refused operations, and how many refusals at most."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import operations as op
from flowledger.events.base import Recorded, Rejected, RejectionCode
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel.access.subjects import SUBJECTS
from flowledger.kernel.operations import OPERATIONS, READS, SERVICES, name_of, worth_telling
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.processors.recovery import counted
from flowledger.processors.sparing import ALL_MAX, CALLERS_MAX, EACH_MAX, WINDOW_US, Sparing
from tests.owner.test_engine import model

ANN = Caller("ann", origin=c.Origin("http", "192.0.2.7", "curl/8", ["operator"], "key:k1"))


async def running(partitions: int = 1) -> Engine:
    engine = Engine(MemoryLog(MemoryStore(partitions)), partitions=partitions)
    await engine.start()
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model("job"))]))
    return engine


async def log_of(engine: Engine, partition: int = 0) -> list[Recorded]:
    return [r async for batch in counted(engine.log, partition) for r in batch]


async def told(engine: Engine, *kinds: type) -> list[Any]:
    return [r.event for p in range(engine.partitions) for r in await log_of(engine, p) if isinstance(r.event, kinds or op.Operation)]


def test_every_command_of_callers_is_an_operation_or_is_known_not_to_be():
    aside = {c.NoteRefusal, co.NoteReading, co.NoteRetention, co.AddBatchItems, co.PrepareBatchItems}
    assert OPERATIONS | SERVICES | READS | aside == set(SUBJECTS) and not OPERATIONS & (SERVICES | READS | aside)
    assert {c.CancelInstance, c.ControlInstance, c.SetVariables, c.MoveTask, c.Deploy, c.StoreRecord, c.ResolveIncident} <= OPERATIONS


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (c.CancelInstance(key=7), ("cancel_instance", "instance")),
        (c.ControlInstance(key=7, move="suspend"), ("suspend_instance", "instance")),
        (c.SetVariables(key=7, variables={}), ("set_variables", "instance")),
        (c.MoveTask(task=7, move="claim"), ("claim_task", "task")),
        (c.ChangeDefinition(key=7, move="publish"), ("publish_definition", "definition")),
        (c.ResolveIncident(key=7), ("resolve_incident", "incident")),
        (c.Deploy(resources=[]), ("deploy", "definition")),
        (c.ReplayDeadLetter(letter=7), ("replay_dead_letter", "dead_letter")),
        (c.StoreRecord(registry="limit", name="all", value={"n": 1}), ("store_limit", "limit")),
        (c.StoreRecord(registry="directory", name="ann"), ("remove_directory", "directory")),
        (c.StartInstance(id="p"), ("start_instance", "instance")),
        (c.PublishMessage(name="go"), ("publish_message", "message")),
    ],
    ids=lambda v: v[0] if isinstance(v, tuple) else "",
)
def test_operations_are_named_as_the_api_names_them(command, name):
    assert name_of(command) == name


async def test_what_is_granted_says_all_behind_what_came_of_it():
    engine = await running()
    started = await engine.call(c.StartInstance(id="p", variables={"a": 1}))
    at = engine.owners[0].acked
    command = c.SetVariables(key=started["key"], variables={"a": 2, "b": 3}, reason="because")
    answer = await engine.call(command, ANN, id="once")
    assert (await engine.call(command, ANN, id="once"))["position"] == answer["position"], "the same answer again is no operation more"
    records = [r for r in await log_of(engine) if r.offset >= at]
    assert [type(r.event).__name__ for r in records] == ["VariableSet", "OperationAsked", "Answered"], "once"
    event, envelope = records[1].event, records[1].envelope
    assert event == op.OperationAsked(
        operation="set_variables", kind="instance", subject=str(started["key"]), instance=started["key"], names=["a", "b"], details=None,
        reason="because", door="http", address="192.0.2.7", agent="curl/8", roles=["operator"], credential="key:k1", events=1,
    )  # fmt: skip
    assert (envelope.actor, envelope.cause) == ("ann", "request:once")
    await engine.stop()


async def test_services_leave_nothing_and_people_do():
    engine = await running()
    await engine.call(c.StartInstance(id="p"))
    [job] = await engine.activate("job", "w", 1, 1000, wait_ms=2000)
    await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"]))
    assert [e.operation for e in await told(engine)] == ["deploy"]
    by_hand = await engine.call(c.StartInstance(id="p"), ANN)
    assert [(e.operation, e.instance) for e in await told(engine)][1:] == [("start_instance", by_hand["key"])]
    await engine.call(c.EvaluateDecision(id="none"), ANN)
    await engine.call(c.ListRecords(registry="limit"), ANN)
    await engine.call(c.ActivateTasks(job_type="job", worker="w"), ANN)
    assert len(await told(engine)) == 2, "who looks, and who takes work, asks for no change"
    await engine.stop()


async def test_what_a_partition_asks_of_another_was_told_where_it_was_asked():
    engine = await running(3)
    answer = await engine.call(c.StoreRecord(registry="directory", name="user:ann", value={"groups": ["g"]}), ANN)
    assert not isinstance(answer, Rejected), answer
    async with asyncio.timeout(60):
        while not all(o.state.meta.taken.get(0) for p, o in engine.owners.items() if p):
            await asyncio.sleep(0.01)
    assert [e.operation for e in await told(engine)] == ["deploy", "store_directory"], "once, and not by each that hears of it"
    await engine.stop()


async def test_each_item_of_a_batch_says_who_asked_for_it_and_by_which_batch():
    engine = await running(2)
    keys = [(await engine.call(c.StartInstance(id="p")))["key"] for _ in range(4)]
    bits = (1 << c.PARTITION_BITS) - 1
    keys.sort(key=lambda key: (key & bits, key >> c.PARTITION_BITS))
    made = await engine.call(co.CreateBatch(action="cancel", total=4, reason="over"), ANN)
    assert not isinstance(made, Rejected), made
    assert not isinstance(await engine.call(co.AddBatchItems(batch=made["key"], at=0, items=keys), ANN), Rejected)
    async with asyncio.timeout(60):
        while any(o.state.open for o in engine.owners.values()):
            await asyncio.sleep(0.01)
    rows = [r for p in range(2) for r in await log_of(engine, p) if isinstance(r.event, op.OperationAsked)]
    items = [r for r in rows if r.event.door == "batch"]
    assert sorted(r.event.instance for r in items) == sorted(keys)
    assert {(r.event.operation, r.event.reason, r.envelope.actor, r.envelope.cause) for r in items} == {
        ("cancel_instance", "over", "ann", f"batch:{made['key']}")
    }
    assert [r.event.operation for r in rows if r not in items] == ["deploy", "create_batch"]
    await engine.stop()


REFUSED: list[tuple[Any, str]] = [
    (lambda i: c.CancelInstance(key=404, reason="r"), "NOT_FOUND"),
    (lambda i: c.ControlInstance(key=i, move="resume", reason="r"), "INVALID_STATE"),
    (lambda i: c.SetVariables(key=i, variables={"a": 1}, row_version=99, reason="r"), "STALE"),
    (lambda i: c.Deploy(resources=[c.Resource("x.bpmn", "<no")]), "MODEL_INVALID"),
    (lambda i: c.StoreRecord(registry="limit", name="x", value={"odd": 1}), "INVALID_ARGUMENT"),
    (lambda i: c.ModifyInstance(key=i, activate=[{"element": "nowhere"}], reason="r"), "INVALID_ARGUMENT"),
    (lambda i: c.CancelInstance(key=i, reason="r" * 70_000), "INVALID_ARGUMENT"),
]


@pytest.mark.parametrize(("command", "code"), REFUSED, ids=[code for _, code in REFUSED])
async def test_what_is_refused_says_all_in_a_group_of_its_own(command, code):
    engine = await running()
    i = (await engine.call(c.StartInstance(id="p")))["key"]
    at, asked = engine.owners[0].acked, command(i)
    answer = await engine.call(asked, ANN)
    assert isinstance(answer, Rejected) and answer.code == code
    [record] = [r for r in await log_of(engine) if r.offset >= at]
    e = record.event
    assert isinstance(e, op.OperationRefused) and (e.operation, e.kind) == name_of(asked) and e.code == code and e.message
    assert (e.door, e.address, e.roles, e.credential, record.envelope.actor) == ("http", "192.0.2.7", ["operator"], "key:k1", "ann")
    assert e.reason[:1] == getattr(asked, "reason", "")[:1] and len(e.reason) <= 2_000
    if e.kind == "instance":
        assert e.instance == asked.key
    await engine.stop()


async def test_a_refusal_is_found_by_what_it_was_about():
    engine = await running()
    i = (await engine.call(c.StartInstance(id="p")))["key"]
    assert isinstance(await engine.call(c.RerunElement(key=i, element="nowhere"), ANN), Rejected)
    assert isinstance(await engine.call(c.ChangeDefinition(key=987, move="delete"), ANN), Rejected)
    first, second = await told(engine, op.OperationRefused)
    assert (first.operation, first.kind, first.subject, first.instance) == ("rerun_element", "instance", str(i), i)
    assert (second.operation, second.kind, second.subject) == ("delete_definition", "definition", "987")
    await engine.stop()


async def test_a_stranger_learns_nothing_by_what_is_told_of_a_refusal():
    engine = await running()
    await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model("job"))]), Caller("bob", "b"))
    await engine.call(c.StartInstance(id="p"), Caller("bob", "b"))
    [task] = engine.owners[0].state.tasks
    assert isinstance(await engine.call(c.UpdateRetries(task=task, retries=3), Caller("eve", "a")), Rejected)
    record = (await log_of(engine))[-1]
    assert record.envelope.tenant == "a" and record.event.instance == 0 and record.event.subject == str(task)
    await engine.stop()


@pytest.mark.parametrize("code", [RejectionCode.UNAVAILABLE, RejectionCode.RESOURCE_EXHAUSTED, RejectionCode.DEADLINE_EXCEEDED])
def test_what_may_be_asked_again_as_it_is_is_no_refusal(code):
    assert not worth_telling(c.Request(command=c.CancelInstance(key=1)), Rejected(code, "x"))


def test_of_services_only_what_was_not_allowed():
    complete = c.Request(command=c.CompleteTask(task=1))
    assert not worth_telling(complete, Rejected("STALE", "x")) and worth_telling(complete, Rejected("FORBIDDEN", "x"))


async def test_texts_that_can_not_be_written_are_refused_as_ever():
    engine = await running()
    at = engine.owners[0].acked
    answer = await engine.call(c.CancelInstance(key=404), Caller("\ud800"))
    assert isinstance(answer, Rejected) and engine.owners[0].acked == at
    await engine.stop()


async def test_a_door_s_own_refusal_is_told():
    engine = await running()
    note = c.NoteRefusal(
        operation="cancel_instance", kind="instance", subject="77", code="FORBIDDEN", message="no", details={"path": "/v1"}
    )
    assert not isinstance(await engine.call(note, ANN), Rejected)
    [e] = await told(engine, op.OperationRefused)
    assert (e.operation, e.instance, e.code, e.door, e.details) == ("cancel_instance", 77, "FORBIDDEN", "http", {"path": "/v1"})
    await engine.stop()


async def test_one_caller_can_not_flood_the_log():
    engine = await running()
    for _ in range(EACH_MAX + 7):
        assert isinstance(await engine.call(c.CancelInstance(key=404), ANN), Rejected), "each is answered"
    assert len(await told(engine, op.OperationRefused)) == EACH_MAX
    await engine.call(c.CancelInstance(key=404), Caller("bob"))
    *_, last = await told(engine, op.OperationRefused)
    assert last.skipped == 7, "what was left out is counted"
    await engine.stop()


def test_how_many_are_written_down_at_the_edges():
    s = Sparing()
    assert [s.take("a", 0) for _ in range(EACH_MAX + 1)] == [0] * EACH_MAX + [-1]
    assert s.take("b", WINDOW_US - 1) == 1, "another, with the one that was left out"
    assert s.take("a", WINDOW_US) == 0, "a new window"
    assert s.take("a", 5) == 0, "time that goes back begins a window, and nothing waits for it"
    s = Sparing()
    assert sum(s.take(f"c{n}", 0) >= 0 for n in range(ALL_MAX + 50)) == ALL_MAX, "many callers write no more than all may"
    s = Sparing()
    for n in range(CALLERS_MAX * 3):
        s.take(f"c{n}", 0)
    assert len(s._each) <= CALLERS_MAX + 1
