"""Triggers, what they did, and what they have parked: tables `triggers`, `trigger_runs`, `trigger_letters`."""

from __future__ import annotations

from typing import Any

from flowledger.events import triggers as tr
from flowledger.events import waiting as wa
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, stamp
from flowledger.projections.words import int4

VERSION = 1
TABLE = Table(
    "triggers",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "name": "varchar(255)", "status": "varchar(20)", "paused": "boolean", "source": "varchar(40)",
        "version_key": "bigint", "ran": "integer", "seen": "integer", "filtered": "integer", "parked": "integer", "places": "jsonb", "next_at": "timestamptz",
        "last_at": "timestamptz", "skipped_from": "timestamptz", "node": "varchar(500)", "reader": "integer", "read_until": "timestamptz",
        "error": "text", "lag": "integer", "sample": "jsonb", "reason": "text", "changed_by": "varchar(255)", "created_at": "timestamptz",
    },
)  # fmt: skip
RUNS = Table(
    "trigger_runs",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "trigger_id": "bigint", "action": "varchar(20)", "subject": "text", "item": "text", "part": "text",
        "place": "bigint", "workflow_instance_id": "bigint", "nominal_at": "timestamptz", "letter": "bigint", "created_at": "timestamptz",
    },
)  # fmt: skip
LETTERS = Table(
    "trigger_letters",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "trigger_id": "bigint", "status": "varchar(20)", "item": "text", "part": "text", "place": "bigint",
        "code": "varchar(255)", "message": "text", "context": "jsonb", "created_at": "timestamptz", "closed_at": "timestamptz",
        "closed_by": "varchar(255)", "reason": "text",
    },
    keep=("created_at",),
)  # fmt: skip
NAME = TABLE.name


def opened(f: Fold, e: tr.TriggerOpened) -> None:
    f.changes.insert(NAME, e.trigger, {
        "tenant_id": f.tenant, "id": e.trigger, "name": e.name, "status": "inactive", "paused": False, "ran": 0, "seen": 0, "filtered": 0, "parked": 0,
        "places": {}, "source": "", "node": "", "reader": 0, "error": "", "reason": "", "created_at": f.now, "changed_by": f.env.actor,
    })  # fmt: skip


def _update(f: Fold, trigger: int, columns: dict[str, Any]) -> None:
    f.changes.update(NAME, trigger, (f.tenant, trigger), columns)


def _add(f: Fold, trigger: int, column: str, amount: int) -> None:
    if amount:
        f.changes.add(NAME, trigger, (f.tenant, trigger), column, amount)


def changed(f: Fold, e: tr.TriggerChanged) -> None:
    status = "active" if e.definition else "inactive"
    columns: dict[str, Any] = {"status": status, "version_key": e.definition or None}
    if e.source:
        columns["source"] = e.source
    _update(f, e.trigger, columns)


def closed(f: Fold, e: tr.TriggerClosed) -> None:
    _update(f, e.trigger, {"status": "deleted", "version_key": None, "changed_by": f.env.actor})


def paused(f: Fold, e: tr.TriggerPaused) -> None:
    _update(f, e.trigger, {"paused": True, "next_at": None, "reason": e.reason, "changed_by": f.env.actor})


def resumed(f: Fold, e: tr.TriggerResumed) -> None:
    _update(f, e.trigger, {"paused": False, "reason": e.reason, "changed_by": f.env.actor})


def timed(f: Fold, e: tr.TriggerTimed) -> None:
    _update(f, e.trigger, {"next_at": stamp(e.next_us) if e.timer else None})


def fired(f: Fold, e: wa.TimerTriggered) -> None:
    if e.element.startswith("trigger:"):
        _update(f, int(e.element[8:]), {"next_at": stamp(e.next_us) if e.next_us else None})


def claimed(f: Fold, e: tr.TriggerClaimed) -> None:
    _update(f, e.trigger, {"reader": e.reader, "node": e.node, "read_until": stamp(e.until_us) if e.until_us else None})


def noted(f: Fold, e: tr.TriggerNoted) -> None:
    _update(f, e.trigger, {"error": e.error, "lag": int4(e.lag) if e.lag >= 0 else None})


def taken(f: Fold, e: tr.TriggerTaken) -> None:
    columns: dict[str, Any] = {"last_at": f.now}
    if e.skipped_us:
        columns["skipped_from"] = stamp(e.skipped_us)
    if e.sample is not None:
        columns["sample"] = e.sample
    _update(f, e.trigger, columns)
    for column in ("ran", "seen", "filtered"):
        _add(f, e.trigger, column, getattr(e, column))
    if e.place >= 0 and not e.part.startswith(tr.FILE):
        f.changes.merge(NAME, e.trigger, (f.tenant, e.trigger), "places", {e.part: e.place})


def parked(f: Fold, e: tr.TriggerParked) -> None:
    f.changes.upsert(LETTERS.name, e.letter, {
        "tenant_id": f.tenant, "id": e.letter, "trigger_id": e.trigger, "status": "open", "item": e.item, "part": e.part,
        "place": e.place if e.place >= 0 else None, "code": e.code, "message": e.reason, "context": e.context, "created_at": f.now, "closed_at": None,
        "closed_by": "", "reason": "",
    })  # fmt: skip
    if not e.again:
        _add(f, e.trigger, "parked", 1)


def settled(f: Fold, e: tr.TriggerSettled) -> None:
    columns = {"status": "replayed" if e.replayed else "discarded", "closed_at": f.now, "closed_by": f.env.actor, "reason": e.reason}
    f.changes.update(LETTERS.name, e.letter, (f.tenant, e.letter), columns)
    _add(f, e.trigger, "parked", -1)


def ran(f: Fold, e: tr.TriggerRan) -> None:
    f.changes.insert(RUNS.name, f.id, {
        "tenant_id": f.tenant, "id": f.id, "trigger_id": e.trigger, "action": e.action, "subject": e.subject, "item": e.item, "part": e.part,
        "place": e.place if e.place >= 0 else None, "workflow_instance_id": e.key or None, "nominal_at": stamp(e.nominal_us) if e.nominal_us else None,
        "letter": e.letter or None, "created_at": f.now,
    })  # fmt: skip


VIEW = View(
    "triggers",
    VERSION,
    "089_triggers.sql",
    (TABLE, RUNS, LETTERS),
    {
        tr.TriggerOpened: opened, tr.TriggerChanged: changed, tr.TriggerClosed: closed, tr.TriggerPaused: paused, tr.TriggerResumed: resumed,
        tr.TriggerTimed: timed, tr.TriggerClaimed: claimed, tr.TriggerNoted: noted, tr.TriggerTaken: taken, tr.TriggerParked: parked,
        tr.TriggerSettled: settled, tr.TriggerRan: ran, wa.TimerTriggered: fired,
    },
)  # fmt: skip
