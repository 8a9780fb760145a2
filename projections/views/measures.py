"""Figures by minute, hour and day, and what is remembered of each instance for them: a shell around `flowledger.analytics`, which says what is measured.

Tables `measures_*`, `spreads_*`, `variants_day`, `variants`, `traces`.

A batch's figures are added to the rows in the transaction that moves the positions, so nothing counts twice.
"""

from __future__ import annotations

from typing import Any

from flowledger.analytics import fold as af
from flowledger.analytics.figures import COUNTED, GRAINS, NAMES, SPREAD_GRAINS, Numbers, Series
from flowledger.analytics.trace import Trace
from flowledger.events import workflow as wf
from flowledger.events.base import Event
from flowledger.projections.changes import Row
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


def seen(f: Fold, e: Event) -> None:
    if f.ref is not None:
        f.seen.append((f.ref, 0, e, f.us))


def seen_of_tasks(f: Fold, e: Event) -> None:
    f.seen += [(ref, task.key, e, f.us) for task in f.each if (ref := task.instance) is not None]


def settle(f: Fold) -> None:
    """Measures what was seen."""
    figures, traces = f.figures, f.traces
    for ref, task, e, us in f.seen:
        t = ref.trace
        if type(e) is wf.WorkflowStarted:
            t = ref.trace = af.started(e, ref.tenant, us, figures)
        elif t is None or not (af.apply_task(t, task, e, us, figures) if task else af.apply(t, e, us, figures)):
            continue
        if not t.touched:
            t.touched = True
            traces[ref.key] = ref
    f.seen.clear()


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


ROWS: dict[type[Event], Any] = {wf.WorkflowStarted: seen}
ROWS |= dict.fromkeys(af.MEASURED, seen) | dict.fromkeys(af.OF_TASKS, seen_of_tasks)
VIEW = View(
    "measures", VERSION, "091_measures.sql", (*MEASURES.values(), *SPREADS.values(), VARIANTS, PATHS, TRACES), ROWS, settle=settle, close=close,
    removed=("DELETE FROM traces t USING gone WHERE t.tenant_id = gone.tenant_id AND t.id = gone.id",),
)  # fmt: skip
