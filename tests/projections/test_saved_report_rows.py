"""Saved reports, run on the rows of a drawn history: each number is counted a second time from the plan, also in files."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import datetime

import duckdb
import openpyxl
import pytest
from test_measure_rows import START_US, Drawn, History, at, caught_up, running, us

from flowledger.projections import saved_reports as ps
from flowledger.projections.reader import Reader, Senseless

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-ANA-008")]
DAY = 86_400_000_000
TERMS = {
    ("kpi", "promised"): {"kind": "sla", "process": "order", "within": "PT3H"},
    ("kpi", "asked"): {"kind": "value", "at": "start", "value": "amount", "unit": "EUR"},
}


async def test_what_a_report_says_is_what_was_planned_also_in_files(db, dsn, schema, tmp_path):
    log = Drawn(History(71, 400, 6, terms=TERMS))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    cases = [c for c in log.history.truth if c.tenant == "acme"]
    async with Reader(dsn, schema) as reader:

        async def run(report, tenant="acme", **more):
            return await ps.run(
                reader, tenant, {"name": "r", "report": json.dumps({"last": "P9D", **report}), "to": at(START_US + 9 * DAY), **more}
            )

        weekly = {
            "measure": ["started", "cycle_time"],
            "group": ["version"],
            "process": "order",
            "window": "day",
            "chart": "line",
            "title": "By day",
        }
        found = await run(weekly)
        assert (found["title"], found["chart"], found["columns"], found["units"]) == (
            "By day",
            "line",
            ["started", "cycle_time"],
            {"started": "", "cycle_time": "s"},
        )
        begun = Counter((c.version, (c.started - START_US) // DAY) for c in cases)
        assert {
            (i["version"], (us(datetime.fromisoformat(i["from"])) - START_US) // DAY): i["started"] for i in found["items"] if i["started"]
        } == begun
        for version in (1, 2):
            whole = (await run({"measure": "cycle_time", "process": "order", "version": version}))["items"]
            times = [(c.ended - c.started) / 1e6 for c in cases if c.version == version and c.outcome == "completed"]
            assert [i["cycle_time"] for i in whole] == [pytest.approx(sum(times) / len(times), abs=1e-3)]
        done = [c.ended - c.started for c in cases if c.outcome == "completed"]
        kept = await run({"kpi": "promised", "chart": "number"})
        assert [i["kept_share"] for i in kept["items"]] == [pytest.approx(sum(t <= 3 * 3_600_000_000 for t in done) / len(done), abs=1e-6)]
        asked = await run({"kpi": "asked", "figure": "total"})
        assert ([i["total"] for i in asked["items"]], asked["units"]) == ([sum(c.amount for c in cases)], {"total": "EUR"})
        assert (await run(weekly, tenant="nobody"))["items"] == []

        listed = list(csv.DictReader(io.StringIO((await run(weekly, format="csv"))["content"])))
        assert [(r["version"], float(r["started"])) for r in listed] == [(str(i["version"]), i["started"]) for i in found["items"]]
        book = openpyxl.load_workbook(io.BytesIO((await run(weekly, format="xlsx"))["content"]), read_only=True)
        head, *rows = book["report"].iter_rows(values_only=True)
        assert head == ("from", "to", "process", "version", "started", "cycle_time") and len(rows) == len(found["items"])
        assert sum(r[4] for r in rows) == len(cases) and all(isinstance(r[0], datetime) for r in rows)
        (tmp_path / "r.parquet").write_bytes((await run(weekly, format="parquet"))["content"])
        told = duckdb.sql(f"SELECT version, sum(started)::int FROM '{tmp_path}/r.parquet' GROUP BY 1 ORDER BY 1").fetchall()
        assert told == sorted(Counter(c.version for c in cases).items())
        for wrong, words in (
            ({"kpi": "nothing"}, "name of a KPI"), ({"kpi": "asked", "figure": "kept_share"}, "kind value"),
            ({"measure": "wip", "group": ["element"], "window": "minute"}, "windows at most"),
        ):  # fmt: skip
            with pytest.raises(Senseless, match=words):
                await run(wrong)


@pytest.mark.req("APG-ANA-004")
async def test_success_by_version_and_week_is_what_was_planned(db, dsn, schema):
    log = Drawn(History(73, 500, 18))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    cases = [c for c in log.history.truth if c.tenant == "acme"]
    async with Reader(dsn, schema) as reader:
        asked = {"measure": "success_rate", "group": ["version"], "process": "order", "window": "week", "chart": "line", "last": "P28D"}
        given = {"name": "r", "report": json.dumps(asked), "to": at(START_US + 28 * DAY)}
        shares = await ps.run(reader, "acme", given)
        over: dict[tuple[int, int], list[bool]] = {}
        for c in cases:
            if c.ended:
                over.setdefault((c.version, (c.ended - START_US) // (7 * DAY)), []).append(c.outcome == "completed")
        assert len(over) >= 5, "both versions over three weeks"
        assert shares["chart"] == "line" and {
            (i["version"], (us(datetime.fromisoformat(i["from"])) - START_US) // (7 * DAY)): i["success_rate"]
            for i in shares["items"]
            if i["success_rate"] is not None
        } == {at_: pytest.approx(sum(how) / len(how), abs=1e-6) for at_, how in over.items()}
