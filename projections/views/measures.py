"""Figures by minute, hour and day, and what is remembered of each instance for them: a shell around `flowledger.analytics`, which says what is measured.

Tables `measures_*`, `spreads_*`, `variants_day`, `variants`, `traces`, `kpis_*`, `kpi_terms`.

A batch's figures are added to the rows in the transaction that moves the positions, so nothing counts twice.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flowledger.analytics import fold as af
from flowledger.analytics.figures import COUNTED, GRAINS, NAMES, SPREAD_GRAINS, Named, Numbers, Series, text
from flowledger.analytics.trace import Trace
from flowledger.events import ledger as le
from flowledger.events import workflow as wf
from flowledger.events.base import Event
from flowledger.events.commands import PARTITION_BITS
from flowledger.projections.changes import Row
from flowledger.projections.context import Instance
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, stamp
from flowledger.projections.words import int4

VERSION = 3
_SERIES = {
    "tenant_id": "varchar(255)", "process_id": "varchar(255)", "at": "timestamptz", "element": "varchar(255)", "job_type": "varchar(255)",
    "definition_id": "bigint",
}  # fmt: skip
MEASURES = {
    grain: Table(
        f"measures_{grain}",
        {**_SERIES, "version": "integer", **dict.fromkeys(NAMES, "bigint")},
        tuple(_SERIES),
        "at" if grain == "minute" else "",
        adds=COUNTED,
        least=("cycle_min_us",),
        most=("cycle_max_us",),
    )
    for grain in GRAINS
}
SPREADS = {
    grain: Table(
        f"spreads_{grain}",
        {**_SERIES, "which": "smallint", "bucket": "smallint", "version": "integer", "n": "bigint"},
        (*_SERIES, "which", "bucket"),
        adds=("n",),
    )
    for grain in SPREAD_GRAINS
}
VARIANTS = Table(
    "variants_day",
    {
        "tenant_id": "varchar(255)", "process_id": "varchar(255)", "at": "timestamptz", "variant": "varchar(16)", "definition_id": "bigint",
        "version": "integer",
        **dict.fromkeys(("completed", "failed", "cancelled", "terminated", "cycle_us", "cycle_min_us", "cycle_max_us"), "bigint"),
    },
    ("tenant_id", "process_id", "at", "variant", "definition_id"),
    adds=("completed", "failed", "cancelled", "terminated", "cycle_us"),
    least=("cycle_min_us",),
    most=("cycle_max_us",),
)  # fmt: skip
PATHS = Table(
    "variants",
    {"tenant_id": "varchar(255)", "process_id": "varchar(255)", "variant": "varchar(16)", "path": "jsonb", "more": "integer"},
    ("tenant_id", "process_id", "variant"),
)
TRACES = Table(
    "traces",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "created_at": "timestamptz", "process_id": "varchar(255)", "definition_id": "bigint",
        "version": "integer", "outcome": "varchar(20)", "variant": "varchar(16)", "started_at": "timestamptz", "ended_at": "timestamptz",
        "cycle_us": "bigint", "wait_us": "bigint", "work_us": "bigint",
        **dict.fromkeys(("worked", "attempts", "retries", "errors", "incidents", "reworked", "left_out"), "integer"), "state": "jsonb",
    },
    ("tenant_id", "id", "created_at"),
    "created_at",
)  # fmt: skip
_KPI = {
    "tenant_id": "varchar(255)", "name": "varchar(100)", "at": "timestamptz", "process_id": "varchar(255)", "element": "varchar(255)", "value": "varchar(255)",
    "definition_id": "bigint",
}  # fmt: skip
KPIS = {
    grain: Table(
        f"kpis_{grain}",
        {**_KPI, "version": "integer", "n": "bigint", "kept": "bigint", "total": "numeric", "least": "numeric", "most": "numeric"},
        tuple(_KPI),
        "at" if grain == "minute" else "",
        adds=("n", "kept", "total"),
        least=("least",),
        most=("most",),
    )
    for grain in GRAINS
}
BROKEN = Table(
    "kpis_broken",
    {
        "tenant_id": "varchar(255)", "name": "varchar(100)", "at": "timestamptz", "instance_id": "bigint", "element": "varchar(255)",
        "process_id": "varchar(255)", "definition_id": "bigint", "version": "integer", "over_us": "bigint",
    },
    ("tenant_id", "name", "at", "instance_id", "element"),
)  # fmt: skip
TERMS = Table(
    "kpi_terms",
    {"tenant_id": "varchar(255)", "partition": "integer", "registry": "varchar(40)", "name": "varchar(600)", "record": "jsonb"},
    ("tenant_id", "partition", "registry", "name"),
)


def seen(f: Fold, e: Event) -> None:
    if f.ref is not None:
        f.seen.append((f.ref, 0, e, f.us))


def seen_of_tasks(f: Fold, e: Event) -> None:
    f.seen += [(ref, task.key, e, f.us) for task in f.each if (ref := task.instance) is not None]


def stored(f: Fold, e: le.RecordStored) -> None:
    """What is in force from here on."""
    f.seen.append((None, f.partition, e, f.us))


def settle(f: Fold) -> None:
    """Measures what was seen."""
    figures, traces, book = f.figures, f.traces, f.context.book
    for ref, task, e, us in f.seen:
        if ref is None:
            _term(f, task, e)
            continue
        t = ref.trace
        if type(e) is wf.WorkflowStarted:
            t = ref.trace = af.started(e, ref.tenant, us, figures, book.of(ref.key >> PARTITION_BITS, ref.tenant))
        elif t is None or not (af.apply_task(t, task, e, us, figures) if task else af.apply(t, e, us, figures)):
            continue
        if not t.touched:
            t.touched = True
            traces[ref.key] = ref
    f.seen.clear()


def _term(f: Fold, partition: int, e: Any) -> None:
    if not f.context.book.put(partition, e.registry, e.name, e.value):
        return
    tenant = e.name.rpartition("/")[0]
    row = {"tenant_id": tenant, "partition": partition, "registry": e.registry, "name": e.name, "record": e.value}
    f.changes.upsert(TERMS.name, (tenant, partition, e.registry, e.name), row)


def close(f: Fold) -> None:
    for ref in f.traces.values():
        if (t := ref.trace) is not None:
            _write(f, ref, t)
    figures = f.figures
    if not figures:
        return
    tallies, series = f.changes.tallies, dict[Series, Row]()
    # in the order of their keys: several projectors add to the same rows, and none may wait for one that waits for it
    rolled = None
    for grain, table in MEASURES.items():
        rolled = figures.rolled(grain, rolled)
        tallies[table.name] = [
            {**_of(series, s), "at": stamp(at), **dict(zip(NAMES, numbers, strict=True))} for (s, at), numbers in sorted(rolled.items())
        ]
    for grain, table in SPREADS.items():
        tallies[table.name] = [
            {**_of(series, s), "at": stamp(at), "which": which, "bucket": bucket, "n": n}
            for (s, at, which, bucket), n in sorted(figures.spread(grain).items())
        ]

    if figures.variants:
        tallies[VARIANTS.name] = [
            _variant(s, at, variant, numbers) for (s, at, variant), numbers in sorted(figures.variants.items(), key=lambda i: i[0])
        ]
        for (tenant, process, variant), (path, more) in sorted(figures.paths.items()):
            row = {"tenant_id": tenant, "process_id": process, "variant": variant, "path": path, "more": more}
            f.changes.ensure(PATHS.name, (tenant, process, variant), row)
    if figures.kpis.minutes:
        _kpis(f, figures.kpis, series)


def _kpis(f: Fold, named: Named, series: dict[Series, Row]) -> None:
    about: dict[Series, Row] = {}

    def of(s: Series) -> Row:
        found = about.get(s)
        if found is None:
            found = about[s] = {k: v for k, v in _of(series, s).items() if k != "job_type"}
        return found

    rolled = None
    for grain, table in KPIS.items():
        rolled = named.rolled(grain, rolled)
        f.changes.tallies[table.name] = [
            {
                **of(s), "name": name, "value": text(by), "at": stamp(at), "n": n, "kept": kept, "total": Decimal(total), "least": least, "most": most,
            }
            for (s, name, by, at), (n, kept, total, least, most) in sorted(rolled.items())
        ]  # fmt: skip
    for place, name, instance, at, over_us in named.broken:
        s = place.series
        row = {**of(s), "name": name, "at": stamp(at), "instance_id": instance, "over_us": over_us}
        f.changes.upsert(BROKEN.name, (s.tenant, name, at, instance, s.element), row)


def _of(known: dict[Series, Row], s: Series) -> Row:
    """What all rows of a series have."""
    found = known.get(s)
    if found is None:
        found = known[s] = {
            "tenant_id": s.tenant, "process_id": s.process, "element": s.element, "job_type": s.job_type, "definition_id": s.definition,
            "version": int4(s.version),
        }  # fmt: skip
    return found


def _variant(s: Series, at: int, variant: str, numbers: Numbers) -> Row:
    row = {
        "tenant_id": s.tenant,
        "process_id": s.process,
        "at": stamp(at),
        "variant": variant,
        "definition_id": s.definition,
        "version": int4(s.version),
    }
    return {**row, **{name: n for name, n in zip(NAMES, numbers, strict=True) if name in VARIANTS.columns}}


def _write(f: Fold, ref: Instance, t: Trace) -> None:
    """As it is now: what follows is folded while this is on its way."""
    t.touched = False
    over = bool(t.outcome)
    row: Row = {
        "process_id": t.process, "definition_id": t.definition, "version": int4(t.version), "outcome": t.outcome, "started_at": stamp(t.started_us),
        "ended_at": stamp(t.ended_us) if over else None, "cycle_us": max(0, t.ended_us - t.started_us) if over else None,
        "variant": t.variant if over else "", "wait_us": t.wait_us, "work_us": t.work_us,
        "worked": t.worked, "attempts": t.attempts, "retries": t.retries, "errors": t.errors, "incidents": t.incidents, "reworked": t.reworked,
        "left_out": t.left_out, "state": None if over else t.dump(),
    }  # fmt: skip
    if t.fresh:
        t.fresh = False
        f.changes.insert(TRACES.name, ref.key, {"tenant_id": ref.tenant, "id": ref.key, "created_at": ref.created, **row})
    else:
        f.changes.update(TRACES.name, ref.key, ref.ident, row)
    if over:
        ref.trace = None


ROWS: dict[type[Event], Any] = {wf.WorkflowStarted: seen, le.RecordStored: stored}
ROWS |= dict.fromkeys(af.MEASURED, seen) | dict.fromkeys(af.OF_TASKS, seen_of_tasks)
VIEW = View(
    "measures", VERSION, "091_measures.sql", (*MEASURES.values(), *SPREADS.values(), VARIANTS, PATHS, TRACES, *KPIS.values(), BROKEN, TERMS), ROWS,
    settle=settle, close=close,
    removed=(
        "DELETE FROM traces t USING gone WHERE t.tenant_id = gone.tenant_id AND t.id = gone.id",
        "DELETE FROM kpis_broken t USING gone WHERE t.tenant_id = gone.tenant_id AND t.instance_id = gone.id",
    ),
)  # fmt: skip
