"""What is looked up often, kept by the fold beside the values: records by registry, open tasks by assignee. Made anew after a checkpoint.

`history`: a record for each assignee, `{done, failed, ms}`, `ms` being a moving mean of the time from creation to completion. Kept by the fold from
the tasks' own events, so that a choice weighted by history needs no query.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowledger.kernel.state import Partition, Task
from flowledger.kernel.undo import drop, drop_sorted, insort, nest, put

#: registries that decisions read, and one that is often listed
REGISTRIES = frozenset(
    {
        "directory",
        "task_definition",
        "limit",
        "capability",
        "profile",
        "saved_view",
        "tenant",
        "erasure",
        "legal_hold",
        "kpi",
        "report",
        "advice",
        "retention",
        "consent",
        "approval",
    }
)
#: of registry `directory`: the records that are a tenant's own
OWNED = "directory/"
#: weight of the newest completion in the mean, in parts of 8
_NEWEST = 2


def assignee_of(task: Task) -> str:
    found = (task.details or {}).get("assignee")
    return found if isinstance(found, str) else ""


def held(p: Partition, task: Task) -> None:
    """`task` is open, and counts for its assignee; or it found nobody, and waits for somebody."""
    if name := assignee_of(task):
        put(p, nest(p, p.by_assignee, name), task.key, None)
    elif isinstance(choice := (task.details or {}).get("assignment"), dict) and choice.get("assignee") == "":
        insort(p, nest(p, p.unassigned, task.priority, list), task.key)


def unheld(p: Partition, task: Task) -> None:
    waiting = p.unassigned.get(task.priority)
    if waiting is not None and drop_sorted(p, waiting, task.key) and not waiting:
        drop(p, p.unassigned, task.priority)
    name = assignee_of(task)
    if name:
        p.freed.add(name)
    tasks = p.by_assignee.get(name) if name else None
    if tasks is not None:
        drop(p, tasks, task.key)
        if not tasks:
            drop(p, p.by_assignee, name)


def unassigned(p: Partition) -> Iterator[Task]:
    """Tasks that found nobody, the most urgent first, then the oldest."""
    return (p.tasks[key] for priority in sorted(p.unassigned, reverse=True) for key in p.unassigned[priority])


def learned(p: Partition, task: Task, now_us: int, ok: bool) -> None:
    """One more for the history of its assignee (or of the worker that holds it, where a type has a definition)."""
    name = assignee_of(task)
    if not name:
        return
    was = p.records.get(("history", name)) or {"done": 0, "failed": 0, "ms": 0}
    ms = max(0, now_us - task.created_us) // 1000
    if ok:
        mean = ms if not was["done"] else (was["ms"] * (8 - _NEWEST) + ms * _NEWEST) // 8
        made = {"done": was["done"] + 1, "failed": was["failed"], "ms": mean}
    else:
        made = {**was, "failed": was["failed"] + 1}
    put(p, p.records, ("history", name), made)
    p.changed.add(("record", ("history", name)))


def stored(p: Partition, registry: str, name: str) -> None:
    """A record of `registry` was put or removed."""
    value = p.records.get((registry, name))
    _file(p, registry, name, value)
    if registry == "directory" and "/" in name:
        _file(p, OWNED, name, value)


def _file(p: Partition, registry: str, name: str, value: Any) -> None:
    table = nest(p, p.registry, registry)
    if value is None:
        drop(p, table, name)
        if not table:
            drop(p, p.registry, registry)
    else:
        put(p, table, name, value)


def rebuild(p: Partition) -> None:
    """After a checkpoint was loaded."""
    for registry, name in list(p.records):
        if registry in REGISTRIES:
            stored(p, registry, name)
    for key in sorted(p.tasks):
        held(p, p.tasks[key])


def own(p: Partition, registry: str, tenant: str, name: str) -> Any:
    """The tenant's own record alone; None when there is none."""
    return (p.registry.get(registry) or {}).get(f"{tenant}/{name}")


def record(p: Partition, registry: str, tenant: str, name: str) -> Any:
    """The tenant's own record, else the one for all; None when there is none."""
    table = p.registry.get(registry)
    if table is None:
        return None
    if tenant and (own := table.get(f"{tenant}/{name}")) is not None:
        return own
    return table.get(name)
