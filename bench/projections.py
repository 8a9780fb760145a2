"""How fast the projections are: one-task instances (seven events each) from encoded events to committed rows. One JSON line per figure.

Prints the client's CPU per event (decoding, folding, rendering, psycopg), PostgreSQL's CPU per event, and rows and events a second when
nothing else limits it. Run: `python -m flowledger.bench.projections [--instances 20000] [--spread 1]`; `--spread n`: an instance's
events come in n batches (start, lease, completion), as they do when workers take longer than a batch; `--without-indexes` says what those
of the lists' filters cost; `--kpis n`: so many KPIs of all kinds are in force (`--kpis-elsewhere`: of a process that doesn't run).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from flowledger.events import definition as de
from flowledger.events import flow as fl
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.events.avro import Decoder, encode
from flowledger.events.base import Envelope, Event, Recorded
from flowledger.infra import postgres_server
from flowledger.projections import schema as sc
from flowledger.projections.context import Context
from flowledger.projections.projector import Projector
from flowledger.projections.store import Move
from flowledger.projections.views import VIEWS

START_US = 1_793_000_000_000_000
EVENTS_PER_INSTANCE = 7


#: of each kind, and of each way in which one of a kind can be dear
KPIS: tuple[dict[str, Any], ...] = (
    {"kind": "sla", "within": "PT1S"}, {"kind": "cost", "job_types": {"charge": 40}, "each": {"charge": 0.1}},
    {"kind": "value", "value": "amount * 1.19", "by": "order", "values": ["o-1", "o-2"]}, {"kind": "sla", "within": "PT1S", "element": "charge"},
    {"kind": "time", "element": "charge", "of": "working", "calendar": "office"}, {"kind": "time", "of": "waiting", "when": "amount > 10"},
    {"kind": "value", "value": "amount", "at": "start"}, {"kind": "value", "value": "if ok then 1 else 0", "at": "work", "element": "charge"},
    {"kind": "sla", "within": "PT8H", "calendar": "office"}, {"kind": "cost", "otherwise": 25, "when": "amount > 10", "by": "order", "values": ["o-1"]},
)  # fmt: skip
_OFFICE = {"zone": "Europe/Berlin", "days": {day: ["08:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}}


def records(kpis: int, process: str) -> list[Event]:
    """What brings so many KPIs of a process into force."""
    found: list[Event] = [le.RecordStored(key=0, registry="directory", name="calendar:office", value=_OFFICE)]
    return found + [
        le.RecordStored(key=0, registry="kpi", name=f"k{n}", value={**KPIS[n % len(KPIS)], "process": process}) for n in range(kpis)
    ]


def values(instances: int, spread: int, batch: int, before: Sequence[Event] = ()) -> list[list[bytes]]:
    """Batches of encoded events. Leases come in batches of 32 tasks."""
    phases: list[list[bytes]] = []
    now, key = START_US, 10
    definition = de.DefinitionCreated(key=1, id="order", kind="process", version=1, hash="h", content="<x/>")
    phases.append(list(encode([*before, definition], Envelope(now))))
    group = max(1, batch // EVENTS_PER_INSTANCE)
    done = 0
    while done < instances:
        count = min(group, instances - done)
        first, last, tasks = [], [], []
        for n in range(count):
            now += 100
            i, t, task = key, key + 1, key + 2
            key += 3
            variables = {"order": f"o-{done + n}", "amount": 12.5}
            started: list[Event] = [
                wf.WorkflowStarted(key=i, process="order", definition=1, version=1, variables=variables, token=t, element="start"),
                fl.FlowTaken(key=i, token=t, flow="f1", source="start", target="charge"),
                ta.TaskCreated(key=i, task=task, token=t, element="charge", type="service_task", job_type="charge"),
            ]
            first += encode(started, Envelope(now, "", "api", f"c{key}"))
            tasks.append((i, t, task))
        leases: list[bytes] = []
        for n in range(0, count, 32):
            now += 100
            lease = ta.TaskLeased(worker="w1", tasks=[x[2] for x in tasks[n : n + 32]], deadline_us=now + 60_000_000)
            leases += encode([lease], Envelope(now, "", "w1", "l"))
        for i, t, task in tasks:
            now += 100
            completed: list[Event] = [
                ta.TaskCompleted(key=i, task=task, token=t, element="charge", variables={"ok": True}, merged=i),
                fl.FlowTaken(key=i, token=t, flow="f2", source="charge", target="end"),
                wf.WorkflowCompleted(key=i, token=t, element="end"),
            ]
            last += encode(completed, Envelope(now, "", "w1", f"d{task}"))
        phases += [first + leases + last] if spread == 1 else [first, leases, last] if spread == 3 else [first, leases + last]
        done += count
    return phases


def server_cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds of PostgreSQL's processes (Linux)."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except (OSError, IndexError):
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


#: those that no key needs
_INDEXES = """SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = %s::regnamespace AND NOT i.indisunique AND NOT c.relispartition"""


async def measure(
    dsn: str, instances: int, spread: int, batch: int, without: bool = False, before: Sequence[Event] = ()
) -> dict[str, object]:
    phases = values(instances, spread, batch, before)
    schema = f"bench_{os.getpid()}"
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await sc.migrate(conn, schema)
        await sc.use_schema(conn, schema)
        indexes = await (await conn.execute(_INDEXES, (schema,))).fetchall()
        for (name,) in indexes if without else ():
            await conn.execute(f"DROP INDEX {name}")
        for view in VIEWS:
            await conn.execute("INSERT INTO positions (view, partition, version) VALUES (%s, 0, %s)", (view, VIEWS[view].version))
        projector = Projector(conn, VIEWS.values(), Context())
        decoder = Decoder()
        query = "SELECT pid FROM pg_stat_activity WHERE pid = pg_backend_pid() OR backend_type <> 'client backend'"
        rows = await (await conn.execute(query)).fetchall()
        pids = [pid for (pid,) in rows]
        offset = events = 0
        decoding = 0.0
        server = server_cpu_s(pids)
        usage, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        for phase in phases:
            at = time.process_time()
            records: list[Recorded] = [decoder.recorded(v, 0, offset + n) for n, v in enumerate(phase)]
            decoding += time.process_time() - at
            end = offset + len(records)
            await projector.apply([(0, records, end)], [Move(v, 0, VIEWS[v].version, offset, end, None) for v in VIEWS])
            offset, events = end, events + len(records)
        wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
        server = server_cpu_s(pids) - server
        sizes = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'"
        size = await (await conn.execute(sizes, (schema,))).fetchone()
        await conn.execute(f"DROP SCHEMA {schema} CASCADE")
    return {
        "bench": "projections", "instances": instances, "spread": spread, "batch": batch, "events": events,
        "indexes": 0 if without else len(indexes), "kpis": max(0, len(before) - 1),
        "instances_per_s": round(instances / wall), "events_per_s": round(events / wall),
        "client_us_per_event": round(cpu / events * 1e6, 2),
        "decoding_us_per_event": round(decoding / events * 1e6, 2), "postgres_us_per_event": round(server / events * 1e6, 2),
        "bytes_per_instance": round(int(size[0]) / instances) if size else 0,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=20_000)
    parser.add_argument("--spread", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--batch", type=int, default=1_750)
    parser.add_argument("--postgres", default=os.environ.get("POSTGRES_URL", ""))
    parser.add_argument("--without-indexes", action="store_true")
    parser.add_argument("--kpis", type=int, default=0)
    parser.add_argument("--kpis-elsewhere", action="store_true", help="they are of a process that doesn't run")
    args = parser.parse_args()
    before = records(args.kpis, "elsewhere" if args.kpis_elsewhere else "order") if args.kpis else []
    asked = (args.instances, args.spread, args.batch, args.without_indexes, before)
    if args.postgres:
        print(json.dumps(asyncio.run(measure(args.postgres, *asked))))
        return
    folder = Path(tempfile.mkdtemp(prefix="flowledger-bench-"))
    folder.chmod(0o755)
    try:
        dsn = postgres_server.start(folder / "data")
        print(json.dumps(asyncio.run(measure(dsn, *asked))))
    finally:
        postgres_server.stop(folder / "data")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
