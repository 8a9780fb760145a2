"""What holds instances and tasks that are read, and how many a hold would be over. A hold is one row: which rows it is about is told here, as
`kernel/holding.py` tells it of the state. While a hold is being released, what it was about still shows it (status resuming)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowledger.projections.reader import Reader, Row, plain

#: holds that are looked through for one page
HOLDS_MAX = 2_000
_OVER = ("completed", "failed", "cancelled", "terminated")
_IN_FORCE = (
    "SELECT * FROM holds WHERE status <> 'released' AND ((scope <> 'instance' AND (tenant_id = %s OR tenant_id = '')) "
    "OR (scope = 'instance' AND tenant_id = %s AND subject = ANY(%s))) ORDER BY id LIMIT %s"
)
_OF_TOKENS = ("element", "job_type", "target")


async def mark(r: Reader, tenant: str, noun: str, rows: list[Row]) -> None:
    """Each row gets `held` (pause, suspend or None) and `holds`, what does it. `noun`: instances or tasks; rows as answers have them."""
    live = [row for row in rows if row.get("status") not in (*_OVER, "skipped", "timed_out")]
    for row in rows:
        row["held"], row["holds"] = None, []
    keys = list(dict.fromkeys(str(row["id"] if noun == "instances" else row.get("instance")) for row in live))
    if not live or not (holds := await r.rows(_IN_FORCE, (tenant, tenant, keys, HOLDS_MAX))):
        return
    lines = (
        await _callers(r, tenant, keys) if any(h["children"] and h["scope"] in ("definition", "version", "element") for h in holds) else {}
    )
    work = await _work(r, tenant, keys) if noun == "instances" and any(h["scope"] in ("job_type", "target") for h in holds) else {}
    for row in live:
        key = str(row["id"] if noun == "instances" else row.get("instance"))
        types = work.get(key, set()) if noun == "instances" else {row.get("job_type") or ""}
        for h in holds:
            if _is_over(h, tenant, key, row, lines.get(key, ()), types, noun):
                row["holds"].append(view(h))
        # of an instance what is about one of its tokens alone holds not the whole
        modes = {h["mode"] for h in row["holds"] if noun == "tasks" or h["scope"] not in _OF_TOKENS}
        row["held"] = "suspend" if "suspend" in modes else "pause" if modes else None


def _is_over(h: Row, tenant: str, key: str, row: Row, line: Iterable[tuple[str, str, str]], types: set[str], noun: str) -> bool:
    scope, subject = h["scope"], h["subject"]
    if scope == "instance":
        return bool(subject == key)
    if scope == "tenant":
        return subject in (tenant, "*")
    if scope == "job_type":
        return subject in types
    if scope == "target":
        return subject in {f"job:{t}" for t in types} | {f"tenant:{tenant}"} | (
            {f"assignee:{row.get('assignee')}"} if row.get("assignee") else set()
        )
    process, version, element = str(row.get("process") or ""), str(row.get("definition") or ""), str(row.get("element") or "")
    if scope == "element":
        places = {f"{p}/{e}" for p, v, e in line for p in (p, v)} if h["children"] else set()
        at, _, of = subject.partition("/")
        return subject in places or (at in (process, version) and (noun == "instances" or of == element))
    mine = {process if scope == "definition" else version} | (
        {p if scope == "definition" else v for p, v, _ in line} if h["children"] else set()
    )
    return subject in mine


async def _callers(r: Reader, tenant: str, keys: list[str]) -> dict[str, list[tuple[str, str, str]]]:
    """Instance -> (process, version, element) of each caller."""
    found = await r.rows(
        "SELECT id, metadata -> '$callers' AS line FROM workflow_instances WHERE tenant_id = %s AND id = ANY(%s) AND metadata ? '$callers'",
        (tenant, [int(k) for k in keys if k.isdecimal()]),
    )
    versions = list({int(v) for row in found for v, _ in row["line"] or ()})
    names = {
        row["id"]: row["definition_id"]
        for row in await r.rows("SELECT id, definition_id FROM workflow_definitions WHERE id = ANY(%s)", (versions,))
    }
    return {str(row["id"]): [(names.get(int(v), ""), str(v), str(e)) for v, e in row["line"] or ()] for row in found}


async def _work(r: Reader, tenant: str, keys: list[str]) -> dict[str, set[str]]:
    """Instance -> job types of its open tasks."""
    found = await r.rows(
        "SELECT DISTINCT workflow_instance_id AS i, job_type FROM tasks WHERE tenant_id = %s AND workflow_instance_id = ANY(%s) AND job_type <> '' "
        "AND completed_at IS NULL AND cancelled_at IS NULL",
        (tenant, [int(k) for k in keys if k.isdecimal()]),
    )
    out: dict[str, set[str]] = {}
    for row in found:
        out.setdefault(str(row["i"]), set()).add(row["job_type"])
    return out


def view(row: Row) -> Row:
    """As answers have it: `key` is what it is over."""
    found = plain(row)
    found["key"], found["until"] = found.pop("subject"), found.pop("until_at")
    return found


#: scope -> which open instances, and which open tasks, it is over
_INSTANCES = {"instance": "id = %s", "definition": "process_id = %s", "version": "definition_id = %s", "tenant": "%s IN (tenant_id, '*')"}
_TASKS = {"job_type": "job_type = %s", "target": "'job:' || job_type = %s"}
_OPEN = "status IN ('pending', 'running', 'suspended', 'quarantined')"
_ACTIVE = "completed_at IS NULL AND cancelled_at IS NULL"


async def belongings(r: Reader, tenant: str) -> Row:
    """What a tenant has that may go on: open `instances`, open `tasks` (those of instances too), `definitions` that are published; and `position`."""
    position = await r.position()
    found = await r.rows(
        f"SELECT (SELECT count(*) FROM workflow_instances WHERE tenant_id = %s AND {_OPEN}) AS instances, "  # noqa: S608
        f"(SELECT count(*) FROM tasks WHERE tenant_id = %s AND {_ACTIVE}) AS tasks, "
        "(SELECT count(*) FROM workflow_definitions WHERE tenant_id = %s AND status = 'published') AS definitions",
        (tenant, tenant, tenant),
    )
    return {**found[0], "position": position}


async def stored(r: Reader, tenant: str) -> int:
    """Bytes of a tenant's rows: its instances, variables, tasks and history. Each row is looked at, so it isn't for every request."""
    tables = ("workflow_instances", "variables", "tasks", "workflow_events")
    sums = " + ".join(f"(SELECT coalesce(sum(pg_column_size(t.*)), 0) FROM {table} t WHERE tenant_id = %s)" for table in tables)  # noqa: S608
    found = await r.rows(f"SELECT ({sums})::bigint AS bytes", (tenant,) * len(tables))
    return int(found[0]["bytes"])


async def count(r: Reader, tenant: str, scope: str, key: str) -> Row:
    """How many a hold would be over now: `{instances, tasks, position}`; called instances beside them are not counted."""
    position = await r.position()
    if scope in _INSTANCES:
        subject: Any = int(key) if scope in ("instance", "version") else key
        of, values = f"tenant_id = %s AND {_OPEN} AND {_INSTANCES[scope]}", (tenant, subject)
        instances = await r.rows(f"SELECT count(*) AS n FROM workflow_instances WHERE {of}", values)  # noqa: S608
        tasks = await r.rows(
            f"SELECT count(*) AS n FROM tasks WHERE tenant_id = %s AND {_ACTIVE} AND workflow_instance_id IN "  # noqa: S608
            f"(SELECT id FROM workflow_instances WHERE {of})",
            (tenant, *values),
        )
        return {"instances": instances[0]["n"], "tasks": tasks[0]["n"], "position": position}
    if scope == "element":
        place, _, element = key.partition("/")
        of = "definition_key = %s AND %s IN (process_id, workflow_definition_id::text)"
        given: tuple[str, ...] = (element, place)
    else:
        of, given = _TASKS[scope], (key,)
    rows = await r.rows(
        f"SELECT count(*) AS n, count(DISTINCT workflow_instance_id) AS i FROM tasks WHERE tenant_id = %s AND {_ACTIVE} AND {of}",  # noqa: S608
        (tenant, *given),
    )
    return {"instances": rows[0]["i"], "tasks": rows[0]["n"], "position": position}
