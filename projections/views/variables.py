"""Variables by scope: table `variables`, one row for each name in each scope of an instance."""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.projections.context import Instance
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table
from flowledger.projections.words import json_type, search_text

VERSION = 2
TABLE = Table(
    "variables",
    {
        "tenant_id": "varchar(255)", "workflow_instance_id": "bigint", "scope_id": "bigint", "name": "varchar(255)", "scope": "varchar(20)",
        "type": "varchar(20)", "value": "jsonb", "search": "varchar(64)", "created_at": "timestamptz", "updated_at": "timestamptz",
        "instance_created_at": "timestamptz",
    },
    ("tenant_id", "workflow_instance_id", "scope_id", "name", "instance_created_at"),
    "instance_created_at",
    ("created_at",),
)  # fmt: skip
NAME = TABLE.name
#: Longer names share a row with those that begin alike; the API refuses them before.
NAME_CHARS = 255


def put(f: Fold, ref: Instance, scope: int, variables: Any, *, new: bool = False) -> None:
    """`new`: the scope has no variables yet, so the rows can be inserted."""
    if not isinstance(variables, dict):
        return
    now, changes, key = f.now, f.changes, ref.key
    word = "workflow" if scope == key else "local"
    for name, value in variables.items():
        name = name[:NAME_CHARS]
        pending = changes.pending(NAME, (scope, name))
        if pending is not None:
            pending["type"], pending["value"], pending["search"], pending["updated_at"] = json_type(value), value, search_text(value), now
            continue
        row = {
            "tenant_id": ref.tenant, "workflow_instance_id": key, "scope_id": scope, "name": name, "scope": word, "type": json_type(value),
            "value": value, "search": search_text(value), "created_at": now, "updated_at": now, "instance_created_at": ref.created,
        }  # fmt: skip
        if new:
            changes.insert(NAME, (scope, name), row)
        else:
            changes.upsert(NAME, (scope, name), row)


def started(f: Fold, e: wf.WorkflowStarted) -> None:
    """A pending instance has no rows before it starts, so they are new in any case."""
    if e.variables and f.ref is not None:
        put(f, f.ref, e.key, e.variables, new=True)


def variable_set(f: Fold, e: wf.VariableSet) -> None:
    if f.ref is not None:
        put(f, f.ref, e.scope, e.variables)


def rolled_back(f: Fold, e: wf.WorkflowRolledBack) -> None:
    """As they were; what was not there then is null."""
    if f.ref is not None:
        if e.variables:
            put(f, f.ref, e.key, e.variables)
        for token in e.tokens or ():
            if len(token) > 6 and token[6]:
                put(f, f.ref, token[0], token[6])


def element_activated(f: Fold, e: fl.ElementActivated) -> None:
    if e.variables and f.ref is not None:
        put(f, f.ref, e.token, e.variables)


def task_created(f: Fold, e: ta.TaskCreated) -> None:
    if e.variables and f.ref is not None:
        put(f, f.ref, e.token, e.variables)


def task_completed(f: Fold, e: ta.TaskCompleted) -> None:
    if e.merged and e.variables and f.ref is not None:
        put(f, f.ref, e.merged, e.variables)


def task_failed(f: Fold, e: ta.TaskFailed) -> None:
    if e.variables and f.ref is not None:
        put(f, f.ref, e.token, e.variables)


VIEW = View(
    "variables",
    VERSION,
    "030_variables.sql",
    (TABLE,),
    {
        wf.WorkflowStarted: started,
        wf.VariableSet: variable_set,
        wf.WorkflowRolledBack: rolled_back,
        fl.ElementActivated: element_activated,
        ta.TaskCreated: task_created,
        ta.TaskCompleted: task_completed,
        ta.TaskFailed: task_failed,
    },
    removed=("DELETE FROM variables t USING gone WHERE t.tenant_id = gone.tenant_id AND t.workflow_instance_id = gone.id",),
)
