"""History for people and programs: tables `workflow_events` and `task_events`, append-only.

Each event about an instance is one row of `workflow_events`; each `task.*` event is one row of `task_events` for each of its tasks.
`data` is the event as it stands on the log, without its key. `metadata` holds actor and trace; tenant and position are columns.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.avro import encode_json
from flowledger.events.base import Event
from flowledger.events.commands import PARTITION_BITS
from flowledger.events.wire import NAMES, WIRE
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, json_text, text

#: `data` has each field of an event, also those that it has got since it was written: the rows are others with each version of any event
VERSION = 1 + sum(newest - 1 for _, _, newest in WIRE.values())
WORKFLOW = Table(
    "workflow_events",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "workflow_instance_id": "bigint", "event_type": "varchar(50)",
        "occurred_at": "timestamptz", "source": "varchar(255)", "data": "jsonb", "correlation_id": "varchar(255)",
        "causation_id": "varchar(255)", "metadata": "jsonb",
    },
    ("tenant_id", "workflow_instance_id", "id"),
    "occurred_at",
)  # fmt: skip
TASK = Table(
    "task_events",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "task_id": "bigint", "event_type": "varchar(50)", "occurred_at": "timestamptz",
        "source": "varchar(255)", "data": "jsonb", "metadata": "jsonb",
    },
    ("tenant_id", "task_id", "id"),
    "occurred_at",
)  # fmt: skip

#: where the event happened: its element, for a flow the element that it leaves
SOURCES: dict[type[Event], str] = {cls: "element" if "element" in cls.__struct_fields__ else "" for cls in NAMES} | {fl.FlowTaken: "source"}
OF_TASKS = frozenset(cls for cls in NAMES if "task" in cls.__struct_fields__ and NAMES[cls].startswith(("task.", "sla.")))
#: on the partition of the correlation key, about an instance that may live elsewhere
REMOTE = frozenset((wa.MessageAwaited, wa.MessageAssigned))


def _shared(f: Fold) -> tuple[str, str]:
    """What the rows of all events of one envelope share: (correlation, causation, metadata) and metadata alone, for COPY."""
    env = f.env
    metadata = json_text({k: v for k, v in (("actor", env.actor), ("trace", env.trace)) if v})
    both = (f"{text(env.correlation)}\t{text(env.cause)}\t{metadata}", metadata)
    f.cache["events"] = both
    return both


def every(f: Fold, e: Event) -> None:
    ref = f.ref
    cls = type(e)
    about_task = cls in OF_TASKS
    if cls in REMOTE and e.key and e.key >> PARTITION_BITS != f.partition:
        f.changes.elsewhere.add((f.tenant, e.key))
    elif ref is None and not about_task:
        if cls is wf.WorkflowRemovedFromViews:
            pass
        elif f.each:
            several(f, e)
            return
        else:
            return
    elif cls is wf.WorkflowCommented and ref is not None and f.env.tenant != ref.tenant:
        return  # the owner couldn't tell whose it was, since it has ended
    shared, metadata = f.cache.get("events") or _shared(f)
    data = encode_json(e).decode()
    if data.endswith(key := f',"key":{e.key}}}'):  # a column of its own
        data = data[: -len(key)] + "}"
    if "\\" in data:
        data = data.replace("\\", "\\\\")
    attribute = SOURCES[cls]
    source = text(getattr(e, attribute)) if attribute else ""
    tenant, middle = text(f.env.tenant if cls is wf.WorkflowRemovedFromViews else f.tenant), f"{NAMES[cls]}\t{f.now}\t{source}\t{data}\t"
    changes = f.changes
    if ref is not None or not about_task:
        changes.line("workflow_events", f"{tenant}\t{f.id}\t{e.key}\t{middle}{shared}")
    if about_task:
        task = f.task
        if ref is None and task is not None:
            tenant = text(task.tenant)
        changes.line("task_events", f"{tenant}\t{f.id}\t{e.task}\t{middle}{metadata}")  # type: ignore[attr-defined]


def several(f: Fold, e: Any) -> None:
    """Leases and their time-outs come in batches: one row for each task, and one for each instance with the tasks that are its own."""
    shared, metadata = f.cache.get("events") or _shared(f)
    name, changes = NAMES[type(e)], f.changes
    common = {k: v for k in e.__struct_fields__ if k not in ("tasks", "key") and (v := getattr(e, k)) not in (None, "")}
    rest = json_text(common)[1:]
    rest = "," + rest if common else rest
    mine: dict[Any, list[Any]] = {}
    for task in f.each:
        middle = f"{name}\t{f.now}\t{text(task.element)}\t"
        changes.line("task_events", f'{text(task.tenant)}\t{f.id}\t{task.key}\t{middle}{{"task":{task.key}{rest}\t{metadata}')
        if task.instance is not None:
            mine.setdefault(task.instance, []).append(task)
    for ref, tasks in mine.items():
        element = text(tasks[0].element) if len(tasks) == 1 else ""
        keys = ",".join(str(t.key) for t in tasks)
        line = f'{text(ref.tenant)}\t{f.id}\t{ref.key}\t{name}\t{f.now}\t{element}\t{{"tasks":[{keys}]{rest}\t{shared}'
        changes.line("workflow_events", line)


#: one row stays of an instance that was removed: it says when, by whom and why, and by it those are known that other partitions bring later
REMOVED = (
    "DELETE FROM task_events t USING gone, workflow_events w WHERE w.workflow_instance_id = gone.id AND w.tenant_id = gone.tenant_id "
    "AND w.data ? 'task' AND t.task_id = (w.data ->> 'task')::bigint AND t.tenant_id = w.tenant_id",
    "DELETE FROM workflow_events t USING gone WHERE t.tenant_id = gone.tenant_id AND t.workflow_instance_id = gone.id "
    "AND t.event_type <> 'workflow.removed_from_views'",
)
#: of `gone` only those that were removed before
LATE = (
    "DELETE FROM workflow_events t USING gone, workflow_events r WHERE r.tenant_id = gone.tenant_id AND r.workflow_instance_id = gone.id "
    "AND r.event_type = 'workflow.removed_from_views' AND t.tenant_id = r.tenant_id AND t.workflow_instance_id = r.workflow_instance_id "
    "AND t.event_type <> 'workflow.removed_from_views'"
)
VIEW = View("events", VERSION, "060_events.sql", (WORKFLOW, TASK), {}, all=every, removed=REMOVED, late=LATE)
assert {ta.TaskLeased, ta.TaskTimedOut, ta.TaskReturned}.isdisjoint(OF_TASKS)
