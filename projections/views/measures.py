"""Figures by minute, hour and day, and what is remembered of each instance for them: a shell around `flowledger.analytics`, which says what is measured.

Tables `measures_*`, `spreads_*`, `variants_day`, `variants`, `traces`.

A batch's figures are added to the rows in the transaction that moves the positions, so nothing counts twice.
"""

from __future__ import annotations

from typing import Any

from flowledger.analytics import fold as af
from flowledger.analytics.figures import COUNTED, GRAINS, SPREAD_GRAINS, Numbers, Series, named
from flowledger.analytics.trace import Trace
from flowledger.events import workflow as wf
from flowledger.events.base import Event
from flowledger.projections.context import Instance
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, stamp
from flowledger.projections.words import int4

VERSION = 2
_SERIES = {
    "tenant_id": "varchar(255)", "process_id": "varchar(255)", "at": "timestamptz", "element": "varchar(255)", "job_type": "varchar(255)",
    "definition_id": "bigint",
}  # fmt: skip
MEASURES = {
    grain: Table(
        f"measures_{grain}",
        {**_SERIES, "version": "integer", **dict.fromkeys((*COUNTED, "cycle_min_us", "cycle_max_us"), "bigint")},
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


def started(f: Fold, e: wf.WorkflowStarted) -> None:
    ref = f.ref
    assert ref is not None, "the tracker makes it"
    ref.trace = af.started(e, ref.tenant, f.us, f.figures)
    _touched(f, ref, ref.trace)


def _touched(f: Fold, ref: Instance, t: Trace) -> None:
    if not t.touched:
        t.touched = True
        f.traces[ref.key] = ref


def measured(f: Fold, e: Event) -> None:
    ref = f.ref
    if ref is not None and (t := ref.trace) is not None and af.apply(t, e, f.us, f.figures):
        _touched(f, ref, t)


def of_tasks(f: Fold, e: Event) -> None:
    for task in f.each:
        ref = task.instance
        if ref is not None and (t := ref.trace) is not None and af.apply_task(t, task.key, e, f.us, f.figures):
            _touched(f, ref, t)


def close(f: Fold) -> None:
    for ref in f.traces.values():
        if (t := ref.trace) is not None:
            _write(f, ref, t)
    figures = f.figures
    if not figures:
        return
    tallies = f.changes.tallies
    # in the order of their keys: several projectors add to the same rows, and none may wait for one that waits for it
    for grain, table in MEASURES.items():
        tallies[table.name] = [{**_key(s, at), **dict(named(numbers))} for (s, at), numbers in sorted(figures.rolled(grain).items())]
    for grain, table in SPREADS.items():
        tallies[table.name] = [
            {**_key(s, at), "which": which, "bucket": bucket, "n": n} for (s, at, which, bucket), n in sorted(figures.spread(grain).items())
        ]

    if figures.variants:
        tallies[VARIANTS.name] = [
            _variant(s, at, variant, numbers) for (s, at, variant), numbers in sorted(figures.variants.items(), key=lambda i: i[0])
        ]
        for (tenant, process, variant), (path, more) in sorted(figures.paths.items()):
            row = {"tenant_id": tenant, "process_id": process, "variant": variant, "path": path, "more": more}
            f.changes.ensure(PATHS.name, (tenant, process, variant), row)


def _variant(s: Series, at: int, variant: str, numbers: Numbers) -> dict[str, Any]:
    row = {
        "tenant_id": s.tenant,
        "process_id": s.process,
        "at": stamp(at),
        "variant": variant,
        "definition_id": s.definition,
        "version": int4(s.version),
    }
    return {**row, **{name: n for name, n in named(numbers) if name in VARIANTS.columns}}


def _key(s: Series, at: int) -> dict[str, Any]:
    return {
        "tenant_id": s.tenant, "process_id": s.process, "at": stamp(at), "element": s.element, "job_type": s.job_type,
        "definition_id": s.definition, "version": int4(s.version),
    }  # fmt: skip


def _write(f: Fold, ref: Instance, t: Trace) -> None:
    """As it is now: what follows is folded while this is on its way."""
    t.touched = False
    over = bool(t.outcome)
    row: dict[str, Any] = {
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


ROWS: dict[type[Event], Any] = {wf.WorkflowStarted: started}
ROWS |= dict.fromkeys(af.MEASURED, measured) | dict.fromkeys(af.OF_TASKS, of_tasks)
VIEW = View(
    "measures", VERSION, "091_measures.sql", (*MEASURES.values(), *SPREADS.values(), VARIANTS, PATHS, TRACES), ROWS, close=close,
    removed=("DELETE FROM traces t USING gone WHERE t.tenant_id = gone.tenant_id AND t.id = gone.id",),
)  # fmt: skip
