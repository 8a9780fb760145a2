"""Saved reports: put, seen, run, deleted; a table or a file of what they ask for now (docs/insight.md#saved-reports)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.directory import After, Page, _delete, _list, _one, _put
from flowledger.api.edge import ApiRequest, Body, reply
from flowledger.api.insight import Until
from flowledger.api.lists import WaitFor, text_of
from flowledger.api.openapi import EXPORTED
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import services_of
from flowledger.api.triggers import _find as trigger_of
from flowledger.events.avro import encode_json
from flowledger.events.base import RejectionCode
from flowledger.kernel import saved_reports as sr
from flowledger.kernel.report_schedules import TRIGGER

ReportName = Annotated[str, Parameter(schema_extra={"pattern": r"^[^/\x00-\x1f\x7f]+$", "minLength": 1, "maxLength": sr.NAME_MAX})]
FORMATS = Literal["csv", "xlsx", "parquet"]


class TryBody(Body):
    """`report`: one that isn't stored yet."""

    report: dict[str, Any]


class Told(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """A row for each group and window: `from`, `to`, what it is told by (`group`) and a number for each of `columns`; times in seconds (`units`)."""

    title: str
    chart: str
    window: str
    group: list[str]
    columns: list[str]
    units: dict[str, str]
    items: list[dict[str, Any]]
    from_: a.Time
    to: a.Time
    position: str | None = None


@get("/saved-reports", summary="List saved reports")
async def list_saved_reports(request: ApiRequest, cursor: After = "", limit: Page = 100) -> Response[a.Page[a.Entry]]:
    """Those of the tenant, by name: whoever may see figures sees them."""
    return reply(await _list(request, sr.REGISTRY, "", cursor, limit))


@get("/saved-reports/{name:str}", summary="Get a saved report")
async def get_saved_report(request: ApiRequest, name: ReportName) -> Response[a.Entry]:
    return reply({"name": name, **await _one(request, sr.REGISTRY, name)})


@put("/saved-reports/{name:str}", summary="Create or replace a saved report")
async def put_saved_report(request: ApiRequest, name: ReportName, data: dict[str, Any]) -> Response[a.Stored]:
    """`measure` (one or several of `GET /v1/measures`) or `kpi`; `figure`: of times mean, p50, p75, p90, p95, p99, of a KPI mean, total, count, min, max, kept_share,
    broken; `group`, `window` and filters as theirs; `last`: over how long, up to now [P30D]; `chart`: table, line, bar, pie, number; `title`, `description`."""
    there = (await _list(request, sr.REGISTRY, "", "", sr.REPORTS_MAX))["items"]
    if len(there) >= sr.REPORTS_MAX and all(item["name"] != name for item in there):
        raise Problem(RejectionCode.RESOURCE_EXHAUSTED, f"expected at most {sr.REPORTS_MAX} saved reports: delete some")
    return await _put(request, sr.REGISTRY, name, data)


@delete("/saved-reports/{name:str}", status_code=200, summary="Delete a saved report")
async def delete_saved_report(request: ApiRequest, name: ReportName) -> Response[a.Stored]:
    """One that is sent by schedule is kept: delete that first."""
    try:
        await trigger_of(services_of(request), request, f"{TRIGGER}{name}")
    except Problem as p:
        if p.status != 404:
            raise
    else:
        raise Problem(RejectionCode.INVALID_STATE, f"the report {name} is sent by schedule: delete its schedule first")
    return await _delete(request, sr.REGISTRY, name)


@get("/saved-reports/{name:str}/run", summary="Run a saved report")
async def run_saved_report(request: ApiRequest, name: ReportName, until: Until = None, wait_for: WaitFor = None) -> Response[Told]:
    """What it asks for, up to now or `to`."""
    return reply(await _run(request, name, await _one(request, sr.REGISTRY, name), until, wait_for))


@get("/saved-reports/{name:str}/export", summary="A saved report as a file", media_type="text/csv", gives=EXPORTED)
async def export_saved_report(
    request: ApiRequest, name: ReportName, format: FORMATS = "csv", until: Until = None, wait_for: WaitFor = None
) -> Response[str]:
    """The same table as CSV, XLSX or Parquet."""
    found = await _run(request, name, await _one(request, sr.REGISTRY, name), until, wait_for, format)
    content, media_type = found["content"], found["media_type"]
    if isinstance(content, str):
        content, media_type = content.encode(), f"{media_type}; charset=utf-8"
    file = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    told: Response[Any] = Response(
        content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{file}.{format}"'}
    )
    return told


@post("/saved-reports/try", status_code=200, summary="Run a report that isn't saved")
async def try_report(request: ApiRequest, data: TryBody) -> Response[Told]:
    """Nothing is stored."""
    if wrong := sr.problems("try", data.report):
        raise senseless("; ".join(wrong), "body report")
    return reply(await _run(request, "", data.report, None, None))


async def _run(request: ApiRequest, name: str, report: dict[str, Any], until: Any, wait_for: str | None, form: str = "") -> dict[str, Any]:
    s = services_of(request)
    await s.wait_for(wait_for)
    given = {"report": encode_json(report).decode(), "name": name, "to": until, "format": form or None}
    wanted = {k: text_of(v) for k, v in given.items() if v is not None}
    found: dict[str, Any] = await s.reads.insight("saved_report", wanted, s.identify(request).tenant)
    return found


HANDLERS: list[Any] = [
    list_saved_reports, get_saved_report, put_saved_report, delete_saved_report, run_saved_report, export_saved_report, try_report,
]  # fmt: skip
