"""Saved reports, run: a table of what they ask for now, and the same as a file (docs/insight.md#saved-reports)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flowledger.analytics.sheets import cell
from flowledger.events.avro import decode_json
from flowledger.kernel.alerts.rule import TIMES
from flowledger.kernel.model.trigger_fields import duration_us
from flowledger.kernel.saved_reports import several
from flowledger.projections import event_files, kpis
from flowledger.projections import measures as me
from flowledger.projections.reader import Reader, Row, Senseless, iso

LAST = "P30D"
MEDIA = {
    "csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "parquet": "application/vnd.apache.parquet",
}  # fmt: skip


async def run(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """`report`: as it is stored, as JSON. Up to now, or `to`, for as long as it says. With a `format` `{content, media_type}`. Raises: Senseless."""
    report: Row = decode_json(given["report"]) or {}
    end = me.span_of({"to": given["to"]} if given.get("to") else {}, datetime.now(UTC))[1]
    start = end - timedelta(microseconds=duration_us(report.get("last", LAST)))
    asked = {"window": report.get("window", "all"), "from": iso(start), "to": iso(end), "group": ",".join(several(report.get("group")))}
    asked |= {k: str(report[k]) for k in ("process", "version", "element", "job_type", "value") if k in report}
    found = await (_kpi if "kpi" in report else _measures)(r, tenant, report, {k: v for k, v in asked.items() if v})
    told = {
        "title": report.get("title") or given.get("name") or "", "chart": report.get("chart", "table"), "window": report.get("window", "all"), **found,
    }  # fmt: skip
    return _file(told, given["format"]) if given.get("format") in MEDIA else told


async def _measures(r: Reader, tenant: str, report: Row, asked: dict[str, str]) -> Row:
    wanted, figure = several(report["measure"]), report.get("figure", "mean")
    found = await me.measures(r, tenant, {**asked, "measure": ",".join(wanted)})
    names = [name for name in found["measures"] if name in wanted]
    items = []
    for item in found["items"]:
        row = {k: item[k] for k in ("from", "to", *found["group"])}
        for name in names:
            row[name] = _seconds(item[name][f"{figure}_ms"]) if name in TIMES else item[name]
        items.append(row)
    units = {name: "s" if name in TIMES else "" for name in names}
    return {"items": items, "group": found["group"], "columns": names, "units": units, **_when(found)}


async def _kpi(r: Reader, tenant: str, report: Row, asked: dict[str, str]) -> Row:
    found = await kpis.figures(r, tenant, {**asked, "name": report["kpi"]})
    figure = report.get("figure") or ("kept_share" if found["kind"] == "sla" else "mean")
    if figure in ("kept_share", "broken") and found["kind"] != "sla":
        raise Senseless(f"figure: {figure} is of promises (kind sla), and {report['kpi']} is of kind {found['kind']}")
    timed = found["unit"] == "ms" and figure in ("mean", "total", "min", "max")
    items = [
        {**{k: item[k] for k in ("from", "to", *found["group"])}, figure: _seconds(item[figure]) if timed else item[figure]}
        for item in found["items"]
    ]
    unit = "s" if timed else found["unit"] if figure in ("mean", "total", "min", "max") else ""
    return {"items": items, "group": found["group"], "columns": [figure], "units": {figure: unit}, **_when(found)}


def _when(found: Row) -> Row:
    return {"from": found["from"], "to": found["to"], "position": found["position"]}


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 6)


def _file(told: Row, form: str) -> Row:
    head = ["from", "to", *told["group"], *told["columns"]]
    rows = [[_cell(name, item[name]) for name in head] for item in told["items"]]
    content: str | bytes
    if form == "csv":
        content = _csv(head, rows)
    elif form == "xlsx":
        content = event_files.workbook([("report", head, iter(map(tuple, rows)))])
    else:
        content = event_files.parquet(head, iter(map(tuple, rows)), numbers=told["columns"])
    return {"content": content, "media_type": MEDIA[form], "rows": len(rows), **{k: told[k] for k in ("title", "from", "to")}}


def _cell(name: str, value: Any) -> Any:
    if name in ("from", "to"):
        return datetime.fromisoformat(value)
    return value if value is None or name == "version" or not isinstance(value, int) else float(value)


def _csv(head: list[str], rows: list[list[Any]]) -> str:
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(head)
    table.writerows([iso(v) if isinstance(v, datetime) else cell(v) for v in row] for row in rows)
    return out.getvalue()
