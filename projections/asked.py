"""The log of operations as a question: rows of `operations`, and what services asked for, read from the history of instances.

Starts, completions, failures and messages leave no row in `operations` (nothing is added to the hot path); their events name the caller. What
stands in the history and came of an operation is not shown twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from flowledger.events.commands import PARTITION_BITS
from flowledger.projections import filters as fi
from flowledger.projections.reader import BadQuery, Reader, Row, plain, position_of

_OFFSET = (1 << PARTITION_BITS) - 1
_COLUMNS = (
    "tenant_id, id, first_id, occurred_at, actor, operation, kind, subject, workflow_instance_id, outcome, code, message, reason, names, details, "
    "door, address, agent, roles, credential, skipped, correlation_id, causation_id, trace, recorded"
)
_OWN = _COLUMNS.replace(", recorded", ", 'operation' AS recorded")
#: event -> operation, kind, subject (SQL over `e`), and when the event is one that somebody asked for
_REQUEST = "e.causation_id LIKE 'request:%%'"
_HISTORY: dict[str, tuple[str, str, str, str]] = {
    "workflow.started": ("start_instance", "instance", "e.workflow_instance_id::text", _REQUEST),
    "workflow.created": ("start_instance", "instance", "e.workflow_instance_id::text", _REQUEST),
    "task.completed": ("complete_task", "task", "e.data ->> 'task'", "TRUE"),
    "task.failed": ("fail_task", "task", "e.data ->> 'task'", "TRUE"),
    "message.correlated": ("publish_message", "message", "e.data ->> 'name'", "TRUE"),
}
#: beside these, what changes variables: by an operation, or in consequence of something
_CHANGES = {"variable.set": ("set_variables", "instance", "e.workflow_instance_id::text", "TRUE")}
_BRANCH = (
    "SELECT e.tenant_id, e.id, e.id AS first_id, e.occurred_at, coalesce(e.metadata ->> 'actor', '') AS actor, '{operation}' AS operation, "
    "'{kind}' AS kind, left({subject}, 255) AS subject, e.workflow_instance_id, 'granted' AS outcome, '' AS code, '' AS message, "
    "coalesce(e.data ->> 'reason', '') AS reason, (SELECT array_agg(n) FROM jsonb_object_keys(CASE jsonb_typeof(e.data -> 'variables') "
    "WHEN 'object' THEN e.data -> 'variables' ELSE jsonb_build_object() END) n) AS names, NULL::jsonb AS details, '' AS door, '' AS address, "
    "'' AS agent, NULL::text[] AS roles, '' AS credential, 0 AS skipped, e.correlation_id, e.causation_id, "
    "coalesce(e.metadata ->> 'trace', '') AS trace, 'history' AS recorded FROM workflow_events e WHERE e.event_type = '{type}' AND {when} AND {{bounds}} "
    "AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.tenant_id = e.tenant_id AND o.occurred_at = e.occurred_at AND o.id >= e.id "
    "AND o.first_id <= e.id)"
)


def _names(w: fi.Where, v: str) -> None:
    w.add("names @> ARRAY[%s]::text[]", v)


FILTERS: dict[str, fi.Apply] = {
    "actor": fi.equal("actor"),
    "operation": fi.one_of("operation", spread=False),
    "kind": fi.equal("kind"),
    "not_kind": lambda w, v: w.add("kind <> %s", v),
    "subject": fi.equal("subject"),
    "instance": fi.key_equal("workflow_instance_id", "instance"),
    "outcome": fi.one_of("outcome", spread=False),
    "code": fi.equal("code"),
    "door": fi.equal("door"),
    "variable": _names,
    "since": fi.time_at("occurred_at", ">=", "since"),
    "until": fi.time_at("occurred_at", "<", "until"),
}


async def list_operations(
    r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None
) -> Row:
    """The newest first. Filters: `FILTERS`, and `services`: what services asked for as well; that needs an instance, or a time since when.
    With `variable` and `instance` it is on, and has every change of the variable. Raises: BadQuery."""
    given = dict(given)
    count = fi.limit_of(limit)
    changes = "variable" in given and "instance" in given
    services = fi.truth("services", given.pop("services")) if "services" in given else changes
    if services and "instance" not in given and "since" not in given:
        raise BadQuery("services: expected an instance, or since when (since), found neither")
    w = fi.where(tenant, given, FILTERS)
    fi.after(w, cursor, "", "occurred_at")
    where, values = w.joined()
    columns, source = _OWN, sql.Composed([sql.SQL("operations")])
    before: Sequence[Any] = ()
    if services:
        columns = _COLUMNS
        source, before = _with_history(tenant, given, {**_HISTORY, **(_CHANGES if changes else {})})
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY occurred_at DESC, id DESC LIMIT %s").format(sql.SQL(columns), source, where)
    position = await r.position()
    rows = await r.rows(query, [*before, *values, count + 1])
    following = fi.next_cursor(rows, count, "occurred_at")
    return {"items": [_plain(row) for row in rows], "cursor": following, "position": position}


def _with_history(
    tenant: str, given: Mapping[str, str], kinds: Mapping[str, tuple[str, str, str, str]]
) -> tuple[sql.Composed, Sequence[Any]]:
    bounds = fi.Where("e.tenant_id = %s", tenant=tenant)
    if "instance" in given:
        bounds.add("e.workflow_instance_id = %s", fi.key("instance", given["instance"]))
    if "since" in given:
        bounds.add("e.occurred_at >= %s", fi.moment("since", given["since"]))
    if "until" in given:
        bounds.add("e.occurred_at < %s", fi.moment("until", given["until"]))
    if "variable" in given:
        bounds.add("e.data -> 'variables' ? %s", given["variable"])
        bounds.add("(e.event_type <> 'task.completed' OR coalesce(e.data ->> 'merged', '0') <> '0')")
    where, values = bounds.joined()
    branches = [
        sql.SQL(_BRANCH.format(type=type, operation=operation, kind=kind, subject=subject, when=when)).format(bounds=where)
        for type, (operation, kind, subject, when) in kinds.items()
    ]
    own = sql.SQL("SELECT {} FROM operations WHERE tenant_id = %s").format(sql.SQL(_OWN))
    return sql.SQL("({}) AS operations").format(sql.SQL(" UNION ALL ").join([own, *branches])), [tenant, *values * len(kinds)]


def _plain(row: Row) -> Row:
    """With the positions: `before` and `after` are where the instance stood, null where nothing came before."""
    out = plain(row)
    first: int = row["first_id"]
    del out["first_id"]
    out["id"] = out["position"] = position_of(row["id"])
    granted = row["outcome"] == "granted"
    out["before"] = position_of(first - 1) if granted and first & _OFFSET else None
    out["after"] = out["position"] if granted else None
    return out
