"""The fold alone, without a database: events in, row changes out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from projection_story import Log, rich

from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.wire import WIRE
from flowledger.projections import careful
from flowledger.projections.changes import Changes
from flowledger.projections.context import Context
from flowledger.projections.fold import Fold
from flowledger.projections.store import Writer
from flowledger.projections.tables import line_of, stamp
from flowledger.projections.tracker import TRACK, Folder
from flowledger.projections.views import TABLES, VIEWS
from flowledger.projections.words import json_type, priority_word, search_text


def fold(log: Log, context: Context | None = None, start: int = 0) -> Changes:
    f = Fold(context or Context())
    Folder(VIEWS.values()).fold([r for r in log.all() if r.offset >= start], f)
    return f.changes


def test_a_task_made_and_done_in_one_batch_is_one_insert():
    log = Log()
    instance, task = log.one_task_instance(log.definition())
    changes = fold(log)
    assert changes.updates == {}
    row = changes.inserts["tasks"][task]
    assert (row["status"], row["worker"], row["fence"], row["attempts"]) == ("completed", "w1", 1, 1)
    assert changes.inserts["workflow_instances"][instance]["variables"] == {"n": 0, "name": "order 0", "total": Decimal("12.50")}
    assert (
        len(changes.inserts["task_results"]) == 1 and len(changes.lines["workflow_events"]) == 7 and len(changes.lines["task_events"]) == 3
    )


def test_a_task_done_in_a_later_batch_is_one_update():
    log = Log()
    d = log.definition()
    instance, token = log.start(d)
    task = log.task(instance, token)
    context = Context()
    fold(log, context)
    split = len(log.records[0])
    log.lease(task)
    log.complete(instance, token, task, {"a": 1})
    changes = fold(log, context, split)
    (ident, columns) = changes.updates["tasks"][task]
    assert ident[1] == task and columns["status"] == "completed" and columns["attempts+"] == 1
    assert changes.updates["workflow_instances"][instance][1]["variables||"] == {"a": 1}
    assert "tasks" not in changes.inserts and len(changes.updates["tasks"]) == 1


def test_a_boundary_timer_ends_when_its_token_leaves():
    log = Log()
    instance, token = log.start(log.definition())
    task = log.task(instance, token)
    timer = log.key()
    log.add(wa.TimerScheduled(key=instance, timer=timer, token=token, element="late", due_us=log.now_us + 10**9))
    log.complete(instance, token, task, end=False)
    assert fold(log).inserts["timers"][timer]["status"] == "cancelled"


def test_ending_a_scope_ends_all_below_it_only():
    log = Log()
    instance, token = log.start(log.definition())
    tokens = [log.key() for _ in range(3)]
    log.add(
        fl.ElementActivated(key=instance, token=tokens[0], scope=token, element="a"),
        fl.ElementActivated(key=instance, token=tokens[1], scope=tokens[0], element="b"),
        fl.ElementActivated(key=instance, token=tokens[2], scope=instance, element="c"),
    )
    tasks = [log.task(instance, t) for t in tokens]
    log.add(fl.ElementTerminated(key=instance, token=tokens[0], element="a"))
    rows = fold(log).inserts["tasks"]
    assert [rows[t]["status"] for t in tasks] == ["cancelled", "cancelled", "created"]


def test_many_runs_of_a_loop_end_in_linear_time():
    log = Log()
    instance, token = log.start(log.definition())
    items = [log.key() for _ in range(20_000)]
    log.add(*(fl.ElementActivated(key=instance, token=t, scope=token, element="x") for t in items))
    log.add(*(fl.LoopItemCompleted(key=instance, token=token, item=t, index=n + 1) for n, t in enumerate(items)))
    context = Context()
    fold(log, context)
    assert context.instances[instance].scopes == {} and context.instances[instance].kids == {token: set()}


def test_a_resolved_or_ended_incident_counts_down_once():
    log = Log()
    instance, token = log.start(log.definition())
    one, two = log.key(), log.key()
    for incident in (one, two):
        log.add(wa.IncidentRaised(key=instance, incident=incident, token=token, element="work", code="X", message="m"))
    log.add(wa.IncidentResolved(key=instance, incident=one, token=token))
    changes = fold(log)
    assert changes.inserts["workflow_instances"][instance]["incidents"] == 1
    log.add(wf.WorkflowTerminated(key=instance))
    changes = fold(log)
    assert changes.inserts["workflow_instances"][instance]["incidents"] == 0
    assert {r["status"] for r in changes.inserts["incidents"].values()} == {"resolved"}


def test_the_owners_own_commands_carry_no_tenant():
    log = Log()
    d = log.definition(tenant="acme")
    instance, token = log.start(d, tenant="acme")
    task = log.task(instance, token, tenant="acme")
    log.lease(task)
    log.add(ta.TaskTimedOut(tasks=[task]))
    log.complete(instance, token, task)
    changes = fold(log)
    for table, rows in changes.inserts.items():
        assert {r["tenant_id"] for r in rows.values()} == {"acme"}, table
    assert all(line.startswith("acme\t") for lines in changes.lines.values() for line in lines)


def test_changes_merge():
    c = Changes()
    c.update("tasks", 1, ("", 1, "t"), {"status": "a"})
    c.add("tasks", 1, ("", 1, "t"), "attempts", 2)
    c.merge("tasks", 1, ("", 1, "t"), "metadata", {"a": 1})
    c.merge("tasks", 1, ("", 1, "t"), "metadata", {"b": 2})
    c.add("tasks", 1, ("", 1, "t"), "attempts", 1)
    assert c.updates["tasks"][1][1] == {"status": "a", "attempts+": 3, "metadata||": {"a": 1, "b": 2}}
    c.update("tasks", 1, ("", 1, "t"), {"attempts": 0, "metadata": None})
    c.add("tasks", 1, ("", 1, "t"), "attempts", 4)
    assert c.updates["tasks"][1][1] == {"status": "a", "attempts": 4, "metadata": None}
    c.ensure("workflow_definitions", 5, {"id": 5, "status": "draft"})
    c.upsert("workflow_definitions", 5, {"id": 5, "status": "published"})
    c.ensure("workflow_definitions", 5, {"id": 5, "status": "draft"})
    assert not c.ensured["workflow_definitions"] and c.upserts["workflow_definitions"][5]["status"] == "published"


def test_lines_for_copy():
    line = line_of(TABLES["tasks"])(
        {"id": 1, "name": "a\tb\\c\n", "input": {"x": 'q"\\'}, "candidate_groups": ['a"b', "c,d"], "tenant_id": ""}
    )
    fields = dict(zip(TABLES["tasks"].columns, line.split("\t"), strict=True))
    assert fields["name"] == "a\\tb\\\\c\\n" and fields["input"] == '{"x":"q\\\\"\\\\\\\\"}' and fields["worker"] == "\\N"
    assert fields["candidate_groups"] == '{"a\\\\"b","c,d"}' and fields["tenant_id"] == ""
    assert careful.unescape(fields["name"]) == "a\tb\\c\n"


@pytest.mark.parametrize(
    ("value", "kind", "search"),
    [
        ("x" * 100, "string", "x" * 64), (1, "number", "1"), (Decimal("1.0"), "number", "1"), (Decimal("1E+2"), "number", "100"),
        (Decimal("-0.00"), "number", "0"), (Decimal("1E+900"), "number", None), (True, "boolean", "true"), (None, "null", None),
        ([1], "list", None), ({"a": 1}, "context", None), (10**400, "number", None), (1.5, "number", "1.5"),
    ],
)  # fmt: skip
def test_types_and_search_texts(value, kind, search):
    assert (json_type(value), search_text(value)) == (kind, search)


def test_stamps_are_exact_and_bounded():
    assert stamp(1_793_000_000_123_456) == "2026-10-26 07:33:20.123456+00:00"
    assert stamp(0) == stamp(-5) == "1970-01-01 00:00:00+00:00" and stamp(2**62).startswith("9999-12-31")


def test_priorities_fall_into_classes():
    assert [priority_word(n) for n in (-1, 20, 40, 50, 60, 80, 81, 10**6)] == [
        "low", "low", "normal", "high", "high", "critical", "urgent", "urgent",
    ]  # fmt: skip


def test_every_event_can_be_folded_with_and_without_context():
    for cls in WIRE:
        log = Log()
        needed = {n: _value(cls, n) for n in cls.__struct_fields__}
        log.add(cls(**needed))
        changes = fold(log)
        Writer(TABLES).render(changes)
        Writer(TABLES).render(changes, carefully=True)


def _value(cls: type, name: str) -> object:
    from flowledger.events.avro import fields_of

    kind = dict(fields_of(cls))[name]
    return {"long": 7, "string": "odd", "boolean": True, "bytes": b"x", "json": {"a": 1}, "longs": [7], "strings": ["a"]}[kind]


def test_no_view_names_an_unknown_event():
    known = set(WIRE)
    assert set(TRACK) <= known
    for view in VIEWS.values():
        assert set(view.rows) <= known


def test_the_same_events_give_the_same_rows():
    log, _ = rich()
    one, two = fold(log), fold(log)
    assert one.lines == two.lines and one.inserts == two.inserts and one.updates == two.updates


def test_a_row_written_anew_forgets_what_was_to_be_changed_in_it():
    c = Changes()
    c.update("dead_letters", 5, (5,), {"status": "replayed", "reason": "mended"})
    c.upsert("dead_letters", 5, {"id": 5, "status": "open"})
    assert c.updates["dead_letters"][5][1] == {"reason": "mended"} and c.upserts["dead_letters"][5]["status"] == "open"
