"""Workbooks and Parquet files of a drawn history: what they hold is what was planned, read by openpyxl and asked by DuckDB."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from datetime import datetime

import duckdb
import openpyxl
import pytest
from test_event_logs import SPAN, stamp
from test_measure_rows import Drawn, History, caught_up, running, us

from flowledger.projections import event_files, event_logs
from flowledger.projections.reader import Reader, Senseless

pytestmark = pytest.mark.postgres


async def test_workbooks_lists_and_parquet_have_the_planned_work(db, dsn, schema, tmp_path, monkeypatch):
    log = Drawn(History(32, 120, 3))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    cases = [c for c in log.history.truth if c.tenant == "acme"]
    planned = Counter((str(c.key), w[0], stamp(w[3])) for c in cases for w in c.work)
    async with Reader(dsn, schema) as reader:

        async def ask(**given):
            return (await event_logs.export(reader, "acme", {**SPAN, **given}))["content"]

        book = openpyxl.load_workbook(io.BytesIO(await ask(format="xlsx")), read_only=True)
        assert book.sheetnames == ["instances", "steps"]
        head, *rows = book["instances"].iter_rows(values_only=True)
        assert head == event_files.INSTANCES
        assert {(r[0], r[2], r[3]) for r in rows} == {(str(c.key), c.version, c.outcome or "running") for c in cases} and len(rows) == len(
            cases
        )
        lasted = {r[0]: r[6] for r in rows}
        assert all(lasted[str(c.key)] == (pytest.approx((c.ended - c.started) / 1e6) if c.outcome else None) for c in cases)
        _, *steps = book["steps"].iter_rows(values_only=True)
        assert Counter((r[0], r[4]) for r in steps if r[5] == "complete") == Counter((c, e) for c, e, _ in planned.elements())
        assert all(isinstance(r[6], datetime) for r in steps)

        (tmp_path / "steps.parquet").write_bytes(await ask(format="parquet"))
        (tmp_path / "instances.parquet").write_bytes(await ask(format="parquet", what="instances"))
        with duckdb.connect() as duck:
            duck.execute("SET TimeZone = 'UTC'")
            done = duck.execute(
                f"SELECT \"case\", element, epoch_us(time) FROM '{tmp_path}/steps.parquet' WHERE lifecycle = 'complete'"
            ).fetchall()
            assert Counter(done) == Counter((str(c.key), w[0], w[3]) for c in cases for w in c.work)
            query = (
                f"SELECT i.version, count(DISTINCT i.\"case\"), count(*) FILTER (WHERE s.element = 'check' AND s.lifecycle = 'complete') "
                f"FROM '{tmp_path}/instances.parquet' i LEFT JOIN '{tmp_path}/steps.parquet' s USING (\"case\") GROUP BY 1 ORDER BY 1"
            )
            assert duck.execute(query).fetchall() == [
                (v, sum(c.version == v for c in cases), sum(w[0] == "check" for c in cases if c.version == v for w in c.work))
                for v in (1, 2)
            ]
            mean = duck.execute(f"SELECT avg(seconds) FROM '{tmp_path}/instances.parquet' WHERE outcome = 'completed'").fetchall()[0][0]
        finished = [(c.ended - c.started) / 1e6 for c in cases if c.outcome == "completed"]
        assert mean == pytest.approx(sum(finished) / len(finished))

        listed = list(csv.DictReader(io.StringIO(await ask(format="csv", what="instances"))))
        assert {(r["case"], us(datetime.fromisoformat(r["started"]))) for r in listed} == {(str(c.key), c.started) for c in cases}
        empty = await event_logs.export(reader, "acme", {**SPAN, "process": "none", "format": "parquet"})
        (tmp_path / "none.parquet").write_bytes(empty["content"])
        assert duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/none.parquet'").fetchall() == [(0,)]

        with pytest.raises(Senseless, match="expected csv or parquet for a list of instances, found xes"):
            await ask(what="instances")
        monkeypatch.setattr(event_files, "SHEET_MAX", 10)
        with pytest.raises(Senseless, match="expected 10 steps at most"):
            await ask(format="xlsx")
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(Senseless, match=r"flowledger\[parquet\]"):
            await ask(format="parquet")


def test_a_text_stays_a_text_in_a_workbook():
    case = event_logs.Case("1", 1, datetime(2026, 1, 5), None, "")
    odd = event_logs.Step("1", "w", "=1+1", "=cmd|' /C calc'!A0", "complete", datetime(2026, 1, 5))
    sheet = openpyxl.load_workbook(io.BytesIO(event_files.xlsx("=p", [case], [odd])))["steps"]
    assert [(c.value, c.data_type) for c in sheet[2][1:5] if c.column != 3] == [("=p", "s"), ("=cmd|' /C calc'!A0", "s"), ("=1+1", "s")]
