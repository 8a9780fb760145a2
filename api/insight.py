"""Figures and reports from the log (docs/insight.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.lists import Definition, Version, WaitFor, text_of
from flowledger.api.openapi import EXPORTED
from flowledger.api.services import services_of

Window = Literal["minute", "hour", "day", "week", "month", "all"]
Since = Annotated[
    datetime | None, Parameter(query="from", description="At or after this time; it is taken back to the start of its window")
]
Until = Annotated[datetime | None, Parameter(query="to", description="Before this time [default: now]")]
#: one of a list that is separated by commas
_NAMES = r"^[a-z_]+(,[a-z_]+)*$"
ProcessId = Annotated[str, Parameter(min_length=1, description="The id of a process")]
Number = Annotated[int, Parameter(ge=0, le=(1 << 31) - 1, schema_extra={"minimum": 0, "maximum": (1 << 31) - 1})]
Most = Annotated[int, Parameter(ge=1, le=200, description="Variants at most")]
Names = Annotated[str | None, Parameter(pattern=_NAMES)]


@get("/measures", summary="Figures by group and window")
async def list_measures(
    request: ApiRequest,
    measure: Names = None,
    group: Names = None,
    window: Window = "all",
    since: Since = None,
    until: Until = None,
    process: str | None = None,
    definition: Definition = None,
    version: Version = None,
    element: str | None = None,
    job_type: str | None = None,
    wait_for: WaitFor = None,
) -> Response[a.Measures]:
    """`measure`: one or several of started, completed, failed, cancelled, terminated, ended, throughput, wip, success_rate, cycle_time, waiting_time, working_time,
    working_share, attempts, retries, errors, error_rate, recovered_share, incidents, reworked. `group`: process, version, definition, element, job_type.
    Grouped or filtered by element the figures are of its visits, by job type of its jobs, else of instances. Windows are in UTC."""
    given = {
        "measure": measure, "group": group, "window": window, "from": since, "to": until, "process": process, "definition": definition,
        "version": version, "element": element, "job_type": job_type,
    }  # fmt: skip
    return await _told(request, "measures", given, wait_for)


async def _told(request: ApiRequest, name: str, given: dict[str, Any], wait_for: str | None) -> Response[Any]:
    s = services_of(request)
    await s.wait_for(wait_for)
    wanted = {k: text_of(v) for k, v in given.items() if v is not None}
    return reply(await s.reads.insight(name, wanted, s.identify(request).tenant))


@get("/reports/heatmap", summary="Where a process is busy, slow, waiting and failing")
async def heatmap(
    request: ApiRequest, process: ProcessId, version: Version = None, since: Since = None, until: Until = None, wait_for: WaitFor = None
) -> Response[a.Heatmap]:
    """Element by element, of what was done in the time [default: the last 30 days]."""
    return await _told(request, "heatmap", {"process": process, "version": version, "from": since, "to": until}, wait_for)


@get("/reports/bottlenecks", summary="What instances wait for most")
async def bottlenecks(
    request: ApiRequest, process: ProcessId, version: Version = None, since: Since = None, until: Until = None, wait_for: WaitFor = None
) -> Response[a.Bottlenecks]:
    """Elements by their share of all waiting, with what speaks for it; `change`: against as long a time before."""
    return await _told(request, "bottlenecks", {"process": process, "version": version, "from": since, "to": until}, wait_for)


@get("/reports/comparison", summary="Two versions compared")
async def comparison(
    request: ApiRequest,
    process: ProcessId,
    before: Number,
    after: Number,
    since: Since = None,
    until: Until = None,
    wait_for: WaitFor = None,
) -> Response[a.Comparison]:
    """How long they take, as a whole and element by element, and how often they succeed; a difference is told where chance hardly explains it."""
    given = {"process": process, "before": before, "after": after, "from": since, "to": until}
    return await _told(request, "comparison", given, wait_for)


@get("/variants", summary="The ways that instances went")
async def list_variants(
    request: ApiRequest,
    process: ProcessId,
    version: Version = None,
    since: Since = None,
    until: Until = None,
    limit: Most = 20,
    wait_for: WaitFor = None,
) -> Response[a.Variants]:
    """Of those that ended in the time, by whole days; the most frequent first."""
    given = {"process": process, "version": version, "from": since, "to": until, "limit": limit}
    return await _told(request, "variants", given, wait_for)


@get("/exports", summary="Histories for other tools", media_type="application/xml", gives=EXPORTED)
async def export(
    request: ApiRequest,
    process: ProcessId,
    format: Literal["xes", "ocel", "csv", "xlsx", "parquet"] = "xes",
    what: Literal["steps", "instances"] = "steps",
    since: Since = None,
    until: Until = None,
    wait_for: WaitFor = None,
) -> Response[str]:
    """Of the instances that were made in the time, 5,000 at most, the work in them: XES (IEEE 1849), OCEL 2.0 as JSON, CSV, XLSX (instances and steps, two sheets) or
    Parquet. `what` instances: a list of them, as CSV or Parquet. It names no person."""
    s = services_of(request)
    await s.wait_for(wait_for)
    given = {"process": process, "format": format, "what": what, "from": since, "to": until}
    wanted = {k: text_of(v) for k, v in given.items() if v is not None}
    found = await s.reads.insight("export", wanted, s.identify(request).tenant)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in process)[:100]
    headers = {"Content-Disposition": f'attachment; filename="{name}.{"json" if format == "ocel" else format}"'}
    content, media_type = found["content"], found["media_type"]
    if isinstance(content, str):
        content, media_type = content.encode(), f"{media_type}; charset=utf-8"
    told: Response[Any] = Response(content, media_type=media_type, headers=headers)
    return told


HANDLERS: dict[str, list[Any]] = {
    "measures": [list_measures],
    "variants": [list_variants],
    "reports": [heatmap, bottlenecks, comparison],
    "exports": [export],
}
