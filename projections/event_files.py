"""Histories as workbooks and as Parquet: two tables, of instances and of the steps of the work in them. The libraries are loaded when they are asked for."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flowledger.projections.reader import Senseless

INSTANCES = ("case", "process", "version", "outcome", "started", "ended", "seconds")
STEPS = ("case", "process", "version", "activity", "element", "lifecycle", "time", "work")
#: rows of a sheet below its head, as the format has them
SHEET_MAX = 1_048_575
Table = Iterator[tuple[Any, ...]]


class Case(NamedTuple):
    id: str
    version: int
    started: datetime
    ended: datetime | None
    outcome: str


class Step(NamedTuple):
    case: str
    work: str
    element: str
    name: str
    lifecycle: str
    at: datetime


def instances_of(process: str, cases: Sequence[Case]) -> Table:
    for c in cases:
        seconds = (c.ended - c.started).total_seconds() if c.ended is not None else None
        yield c.id, process, c.version, c.outcome or "running", c.started, c.ended, seconds


def steps_of(process: str, cases: Sequence[Case], steps: Sequence[Step]) -> Table:
    versions = {c.id: c.version for c in cases}
    for s in steps:
        yield s.case, process, versions[s.case], s.name, s.element, s.lifecycle, s.at, s.work


def xlsx(process: str, cases: Sequence[Case], steps: Sequence[Step]) -> bytes:
    """Raises: Senseless."""
    if len(steps) > SHEET_MAX:
        raise Senseless(f"format: expected {SHEET_MAX} steps at most for a sheet, found {len(steps)}: ask for less")
    return workbook([("instances", INSTANCES, instances_of(process, cases)), ("steps", STEPS, steps_of(process, cases, steps))])


def workbook(sheets: Sequence[tuple[str, Sequence[str], Table]]) -> bytes:
    """(name, head, rows) of each. Times are in UTC, since a sheet has no zones. Texts are texts: none is taken for a formula."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        bold, moment = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        for name, head, rows in sheets:
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, len(head) - 1, 22)
            sheet.write_row(0, 0, head, bold)
            for n, row in enumerate(rows, 1):
                for column, value in enumerate(row):
                    if isinstance(value, datetime):
                        sheet.write_datetime(n, column, value.astimezone(UTC).replace(tzinfo=None), moment)
                    elif isinstance(value, str):
                        sheet.write_string(n, column, value)
                    elif value is not None:
                        sheet.write_number(n, column, value)
    return out.getvalue()


def parquet(head: Sequence[str], rows: Table, numbers: Sequence[str] = ()) -> bytes:
    """Times have microseconds and UTC. `numbers`: columns beside the known ones. Raises: Senseless, where the library lacks."""
    try:
        import pyarrow as pa
        from pyarrow import parquet as pq
    except ImportError:
        raise Senseless("format: parquet needs pyarrow at the server (pip install 'flowledger[parquet]')") from None
    kinds = {
        "version": pa.int32(),
        "seconds": pa.float64(),
        **dict.fromkeys(("started", "ended", "time", "from", "to"), pa.timestamp("us", tz="UTC")),
    }
    kinds |= dict.fromkeys(numbers, pa.float64())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in head])
    columns = list(zip(*rows, strict=True)) or [()] * len(head)
    out = io.BytesIO()
    pq.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema), out)
    return out.getvalue()


def parquet_of(what: str) -> Callable[[str, Sequence[Case], Sequence[Step]], bytes]:
    if what == "instances":
        return lambda process, cases, steps: parquet(INSTANCES, instances_of(process, cases))
    return lambda process, cases, steps: parquet(STEPS, steps_of(process, cases, steps))
