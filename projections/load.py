"""Fills the context from rows, for what is open since before this process began. Only what a batch needs, all at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flowledger.analytics.trace import Trace
from flowledger.events import definition as de
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.avro import decode_json, encode_json
from flowledger.events.base import Event, Recorded
from flowledger.events.commands import PARTITION_BITS
from flowledger.events.wire import NAMES
from flowledger.projections.context import ACTIVITY, Context, Incident, Instance, Task, Timer
from flowledger.projections.fold import NOT_ABOUT_INSTANCES
from flowledger.projections.store import Connection
from flowledger.projections.tables import micros, stamp

_PAIRS = 20_000

#: events that make what they are about
MAKES = frozenset((wf.WorkflowCreated, wf.WorkflowStarted))
#: events by which an instance goes on under a definition
UNDER = frozenset((*MAKES, wf.WorkflowMigrated, wf.WorkflowRolledBack))
ASIDE = frozenset((wf.WorkflowRemovedFromViews, *(cls for cls, name in NAMES.items() if name.startswith(NOT_ABOUT_INSTANCES))))
TASKS_NAMED = frozenset((ta.TaskLeased, ta.TaskTimedOut, ta.TaskReturned))
#: events by which something that may belong to no instance is named: type -> (kind, attribute)
NAMED: dict[type[Event], tuple[str, str]] = {
    **{
        cls: ("task", "task")
        for cls, name in NAMES.items()
        if "task" in cls.__struct_fields__ and cls is not ta.TaskCreated and name.startswith("task.")
    },
    wa.TimerTriggered: ("timer", "timer"),
    wa.TimerCancelled: ("timer", "timer"),
    wa.IncidentResolved: ("incident", "incident"),
    wa.MessageAssigned: ("message", "message"),
    wa.MessageExpired: ("message", "message"),
}
MADE: dict[type[Event], tuple[str, str]] = {
    ta.TaskCreated: ("task", "task"),
    wa.TimerScheduled: ("timer", "timer"),
    wa.IncidentRaised: ("incident", "incident"),
    wa.MessageReceived: ("message", "message"),
}

Wanted = dict[str, dict[int, str]]


class Missing:
    """Collects, over the records of a batch, what they are about and the context doesn't know.

    `wanted`: {kind: {key: tenant as the event has it}}. The whole batch is looked at before any of it is folded: rows don't have yet what
    the batch itself changes.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.wanted: Wanted = {}
        self._made: dict[str, set[int]] = {kind: set() for kind in ("definition", "instance", "task", "timer", "incident", "message")}
        self._held: dict[str, Any] = {
            "task": context.tasks, "timer": context.timers, "incident": context.incidents, "message": context.messages,
        }  # fmt: skip

    def scan(self, records: Iterable[Recorded]) -> None:
        known, unknown, wanted, made, held = self.context.instances, self.context.unknown, self.wanted, self._made, self._held
        new, tasks, new_tasks = made["instance"], self.context.tasks, made["task"]
        for r in records:
            e = r.event
            key, cls = e.key, type(e)
            if cls in UNDER:
                definition = e.definition  # type: ignore[attr-defined]
                if definition not in self.context.outlines and definition not in made["definition"]:
                    wanted.setdefault("definition", {})[definition] = r.envelope.tenant
            elif cls is de.DefinitionCreated:
                made["definition"].add(key)
            if key and key not in known:
                if cls in MAKES:
                    new.add(key)
                elif key not in new and key not in unknown and key >> PARTITION_BITS == r.partition and cls not in ASIDE:
                    wanted.setdefault("instance", {})[key] = r.envelope.tenant
            if cls in TASKS_NAMED:
                for task in e.tasks:  # type: ignore[attr-defined]
                    if task not in tasks and task not in new_tasks and task not in unknown:
                        wanted.setdefault("task", {})[task] = r.envelope.tenant
            elif (name := MADE.get(cls)) is not None:
                made[name[0]].add(getattr(e, name[1]))
            elif (name := NAMED.get(cls)) is not None:
                kind, item = name[0], getattr(e, name[1])
                if item in held[kind] or item in made[kind] or item in unknown:
                    continue
                if kind == "message" or (key not in known and key not in new):
                    wanted.setdefault(kind, {})[item] = r.envelope.tenant


async def load(conn: Connection, context: Context, wanted: Wanted) -> None:
    """Look up what is wanted; what there is no row for is remembered as unknown."""
    loader = _Loader(conn, context)
    tasks = await loader.find("task", wanted.get("task", {}))
    instances = dict(wanted.get("instance", {}))
    for row in tasks:
        if row["workflow_instance_id"] is not None and row["workflow_instance_id"] not in context.instances:
            instances[row["workflow_instance_id"]] = row["tenant_id"]
    definitions = dict(wanted.get("definition", {}))
    for ref in await loader.instances(instances):
        if ref.definition not in context.outlines:
            definitions[ref.definition] = ref.tenant
    await loader.definitions(definitions)
    for key in instances:
        if (found := context.instances.get(key)) is not None:
            found.own = context.outlines.get(found.definition)
    for row in tasks:
        if row["id"] not in context.tasks and row["status"] not in ("completed", "cancelled", "skipped"):
            loader.task(row, context.instances.get(row["workflow_instance_id"]))
    for kind in ("timer", "incident"):
        for row in await loader.find(kind, {k: t for k, t in wanted.get(kind, {}).items() if k not in context.table(kind)}):
            loader.held(kind, row, None)
    for row in await loader.find("message", wanted.get("message", {})):
        context.messages[row["id"]] = row["tenant_id"]
    found_: dict[str, Any] = {
        "definition": context.outlines, "instance": context.instances, "task": context.tasks, "timer": context.timers, "incident": context.incidents,
        "message": context.messages,
    }  # fmt: skip
    for kind, keys in wanted.items():
        context.unknown.update(k for k in keys if k not in found_[kind])


async def load_pending(conn: Connection, context: Context) -> None:
    """Instances that wait for a place: their start must find them, so they are always known."""
    loader = _Loader(conn, context)
    query = "SELECT id, tenant_id FROM workflow_instances WHERE tenant_id = ANY(%s) AND status = 'pending'"
    rows = await (await conn.execute(query, (await loader.tenants(),))).fetchall()
    refs = await loader.instances(dict(rows))
    await loader.definitions({ref.definition: ref.tenant for ref in refs})


async def load_terms(conn: Connection, context: Context) -> None:
    """KPIs and calendars that are in force."""
    rows = await (await conn.execute("SELECT partition, registry, name, record::text FROM kpi_terms WHERE record IS NOT NULL")).fetchall()
    for partition, registry, name, record in rows:
        context.book.put(partition, registry, name, decode_json(record))


_ROWS: dict[str, tuple[str, str]] = {
    "instance": (
        "workflow_instances", "t.id, t.tenant_id, t.created_at, t.started_at, t.definition_id, t.process_id, t.version, t.status, t.business_key",
    ),
    "task": (
        "tasks",
        "t.id, t.tenant_id, t.workflow_instance_id, t.token_id, t.created_at, t.definition_key, t.status, t.worker, t.assignee, "
        "t.category, t.fence, t.attempt_at, t.started_at, t.retries",
    ),
    "timer": ("timers", "t.id, t.tenant_id, t.workflow_instance_id, t.token_id, t.created_at"),
    "incident": ("incidents", "t.id, t.tenant_id, t.workflow_instance_id, t.token_id, t.created_at, t.task_id"),
    "message": ("messages", "t.id, t.tenant_id"),
    "definition": ("workflow_definitions", "t.id, t.tenant_id, t.outline, t.name"),
}  # fmt: skip
_OPEN = {
    "task": f"t.status NOT IN ('completed', 'cancelled', 'skipped') AND NOT (t.id >= {ACTIVITY} AND t.status = 'failed')",
    "timer": "t.status = 'scheduled'",
    "incident": "t.status = 'open'",
}


def _find_sql(kind: str, column: str) -> str:
    table, columns = _ROWS[kind]
    keys = "jsonb_to_recordset(%s::jsonb) AS r(tenant_id text, key bigint)"
    keys = f"{keys} JOIN {table} t ON t.tenant_id = r.tenant_id AND t.{column} = r.key"
    where = f" WHERE {_OPEN[kind]}" if column != "id" else ""
    return f"SELECT {columns} FROM {keys}{where} ORDER BY t.id"  # noqa: S608 - made of our own names


_BY_ID = {kind: _find_sql(kind, "id") for kind in _ROWS}
_BY_INSTANCE = {kind: _find_sql(kind, "workflow_instance_id") for kind in _OPEN}
_NAMES = {kind: [c.strip().removeprefix("t.") for c in columns.split(",")] for kind, (_, columns) in _ROWS.items()}
#: the distinct tenants by steps through an index, not by reading the table
_TENANTS = """
WITH RECURSIVE d AS (
  (SELECT tenant_id FROM workflow_instances ORDER BY tenant_id LIMIT 1)
  UNION ALL SELECT (SELECT t.tenant_id FROM workflow_instances t WHERE t.tenant_id > d.tenant_id ORDER BY t.tenant_id LIMIT 1)
  FROM d WHERE d.tenant_id IS NOT NULL
)
SELECT tenant_id FROM d WHERE tenant_id IS NOT NULL
UNION SELECT DISTINCT tenant_id FROM tasks WHERE workflow_instance_id IS NULL AND tenant_id <> ''
UNION SELECT DISTINCT tenant_id FROM messages
UNION SELECT DISTINCT tenant_id FROM workflow_definitions
UNION SELECT DISTINCT tenant_id FROM timers WHERE workflow_instance_id IS NULL
"""


class _Loader:
    def __init__(self, conn: Connection, context: Context) -> None:
        self.conn, self.context = conn, context
        self._tenants: list[str] | None = None

    async def tenants(self) -> list[str]:
        if self._tenants is None:
            self._tenants = [row[0] for row in await (await self.conn.execute(_TENANTS)).fetchall()]
        return self._tenants

    async def _rows(self, query: str, kind: str, pairs: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for n in range(0, len(pairs), _PAIRS):
            keys = encode_json([{"tenant_id": t, "key": k} for t, k in pairs[n : n + _PAIRS]]).decode()
            rows = await (await self.conn.execute(query, (keys,))).fetchall()
            out += [dict(zip(_NAMES[kind], row, strict=True)) for row in rows]
        return out

    async def find(self, kind: str, keys: dict[int, str]) -> list[dict[str, Any]]:
        """By key, first with the tenant that the event has; the owner's own commands have none, so then with all tenants."""
        if not keys:
            return []
        rows = await self._rows(_BY_ID[kind], kind, [(t, k) for k, t in keys.items()])
        left = keys.keys() - {row["id"] for row in rows}
        if left:
            pairs = [(t, k) for k in sorted(left) for t in await self.tenants() if t != keys[k]]
            rows += await self._rows(_BY_ID[kind], kind, pairs)
        return rows

    async def definitions(self, keys: dict[int, str]) -> None:
        """What definitions say of their graphs; one that isn't found says nothing."""
        for row in await self.find("definition", keys):
            self.context.tell(row["id"], row["outline"], row["name"])
        for key in keys:
            self.context.outlines.setdefault(key, None)

    async def instances(self, keys: dict[int, str]) -> list[Instance]:
        """Instances with all that they hold."""
        context = self.context
        loaded: list[tuple[str, int]] = []
        refs: list[Instance] = []
        for row in await self.find("instance", keys):
            if row["id"] in context.instances:
                continue
            us = micros(row["created_at"])
            ref = Instance(row["id"], row["tenant_id"], stamp(us), us, row["definition_id"], row["process_id"], row["version"])
            ref.pending = row["status"] == "pending"
            ref.business_key = row["business_key"]
            if row["started_at"] is not None:
                ref.started_us = micros(row["started_at"])
            context.instances[ref.key] = ref
            refs.append(ref)
            if row["status"] in ("pending", "running", "suspended", "quarantined"):
                loaded.append((ref.tenant, ref.key))
        if not loaded:
            return refs
        for row in await self._rows(_BY_INSTANCE["task"], "task", loaded):
            if row["id"] not in context.tasks:
                self.task(row, context.instances[row["workflow_instance_id"]])
        for kind in ("timer", "incident"):
            for row in await self._rows(_BY_INSTANCE[kind], kind, loaded):
                if row["id"] not in context.table(kind):
                    self.held(kind, row, context.instances[row["workflow_instance_id"]])
        hops = (
            "SELECT DISTINCT ON (a.task_id) a.task_id, a.id FROM task_assignments a WHERE a.tenant_id = ANY(%s) AND a.task_id = ANY(%s) "
            "AND a.ended_at IS NULL ORDER BY a.task_id, a.id DESC"
        )
        tasks = [t.key for _, key in loaded for items in (context.instances[key].held or {}).values() for t in items if isinstance(t, Task)]
        await self._hops(hops, tasks, sorted({t for t, _ in loaded}))
        counts = "SELECT workflow_instance_id, max(sequence_number) FROM tasks WHERE tenant_id = ANY(%s) AND workflow_instance_id = ANY(%s) GROUP BY 1"
        given = (sorted({t for t, _ in loaded}), [k for _, k in loaded])
        for instance, rows in await (await self.conn.execute(counts, given)).fetchall():
            context.instances[instance].rows = rows
        traces = "SELECT id, tenant_id, state FROM traces WHERE tenant_id = ANY(%s) AND id = ANY(%s) AND state IS NOT NULL"
        for instance, tenant, state in await (await self.conn.execute(traces, given)).fetchall():
            t = context.instances[instance].trace = Trace.load(instance, tenant, state)
            t.terms = context.book.of(instance >> PARTITION_BITS, tenant)
        scopes = "SELECT instance_id, token_id, scope_id FROM instance_scopes WHERE instance_id = ANY(%s) ORDER BY token_id"
        for instance, token, scope in await (await self.conn.execute(scopes, ([k for _, k in loaded],))).fetchall():
            context.instances[instance].enclose(token, scope)
        return refs

    async def _hops(self, query: str, tasks: list[int], tenants: list[str]) -> None:
        if tasks:
            for task, hop in await (await self.conn.execute(query, (tenants, tasks))).fetchall():
                self.context.tasks[task].hop = hop

    def task(self, row: dict[str, Any], ref: Instance | None) -> None:
        us = micros(row["created_at"])
        task = Task(row["id"], ref, row["tenant_id"], row["token_id"], stamp(us), us, row["definition_key"])
        task.worker, task.assignee, task.category = row["worker"] or "", row["assignee"] or "", row["category"]
        task.fence, task.retries, task.started = row["fence"], row["retries"], row["started_at"] is not None
        task.attempt_us = micros(row["attempt_at"]) if row["attempt_at"] is not None else 0
        task.status = row["status"]
        if task.status == "failed" or (task.worker and task.status == "started"):  # what the row showed before
            task.status = "assigned" if task.assignee else "created"
        self.context.tasks[task.key] = task
        if ref is not None:
            ref.hold(task)

    def held(self, kind: str, row: dict[str, Any], ref: Instance | None) -> None:
        created = stamp(micros(row["created_at"]))
        ref = ref or self.context.instances.get(row["workflow_instance_id"])
        item: Timer | Incident
        if kind == "timer":
            item = self.context.timers[row["id"]] = Timer(row["id"], ref, row["tenant_id"], row["token_id"], created)
        else:
            item = Incident(row["id"], ref, row["tenant_id"], row["token_id"], created, row["task_id"] or 0)
            self.context.incidents[row["id"]] = item
        if ref is not None:
            ref.hold(item)
