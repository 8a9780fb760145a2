"""What is due when: table `timers`."""

from __future__ import annotations

from typing import Any

from flowledger.events import waiting as wa
from flowledger.projections.context import Timer
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, stamp

VERSION = 1
TABLE = Table(
    "timers",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "workflow_instance_id": "bigint", "definition_id": "bigint",
        "process_id": "varchar(255)", "token_id": "bigint", "element": "varchar(255)", "due_at": "timestamptz",
        "repeat": "varchar(255)", "repeats_left": "bigint", "status": "varchar(20)", "fired": "integer",
        "created_at": "timestamptz", "fired_at": "timestamptz", "ended_at": "timestamptz",
    },
)  # fmt: skip
NAME = TABLE.name


def scheduled(f: Fold, e: wa.TimerScheduled) -> None:
    if e.element.startswith("batch:"):  # how a batch goes on, many times a second: no business of anybody
        return
    row: dict[str, Any] = {
        "tenant_id": f.tenant, "id": e.timer, "token_id": e.token, "element": e.element, "due_at": stamp(e.due_us), "repeat": e.repeat,
        "repeats_left": e.left, "status": "scheduled", "fired": 0, "created_at": f.now, "definition_id": e.definition or None,
        "process_id": "",
    }  # fmt: skip
    if (ref := f.ref) is not None:
        row["workflow_instance_id"], row["definition_id"], row["process_id"] = ref.key, ref.definition, ref.process
    f.changes.insert(NAME, e.timer, row)


def _ident(f: Fold, timer: int) -> tuple[str, int]:
    """Timers of all tenants fire by one command, so the tenant is the timer's own."""
    return (f.item.tenant if f.item is not None else f.tenant, timer)


def triggered(f: Fold, e: wa.TimerTriggered) -> None:
    ident = _ident(f, e.timer)
    columns: dict[str, Any] = {"fired_at": f.now}
    if e.next_us:
        columns["due_at"] = stamp(e.next_us)
    else:
        columns["status"], columns["ended_at"] = "triggered", f.now
    f.changes.update(NAME, e.timer, ident, columns)
    f.changes.add(NAME, e.timer, ident, "fired", 1)


def cancelled(f: Fold, e: wa.TimerCancelled) -> None:
    f.changes.update(NAME, e.timer, _ident(f, e.timer), {"status": "cancelled", "ended_at": f.now})


def gone(f: Fold, item: Timer) -> None:
    f.changes.update(NAME, item.key, (item.tenant, item.key), {"status": "cancelled", "ended_at": f.now})


VIEW = View(
    "timers",
    VERSION,
    "070_timers.sql",
    (TABLE,),
    {wa.TimerScheduled: scheduled, wa.TimerTriggered: triggered, wa.TimerCancelled: cancelled},
    {"timer": gone},
    removed=("DELETE FROM timers t USING gone WHERE t.tenant_id = gone.tenant_id AND t.workflow_instance_id = gone.id",),
)
