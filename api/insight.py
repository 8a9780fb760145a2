"""Figures and reports from the log (docs/insight.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.lists import Definition, Version, WaitFor, text_of
from flowledger.api.services import services_of

Window = Literal["minute", "hour", "day", "week", "month", "all"]
Since = Annotated[
    datetime | None, Parameter(query="from", description="At or after this time; it is taken back to the start of its window")
]
Until = Annotated[datetime | None, Parameter(query="to", description="Before this time [default: now]")]
#: one of a list that is separated by commas
_NAMES = r"^[a-z_]+(,[a-z_]+)*$"
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
    working_share, attempts, retries, errors, error_rate, incidents, reworked. `group`: process, version, definition, element, job_type. Grouped or filtered by
    element the figures are of its visits, by job type of its jobs, else of instances. Windows are in UTC."""
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


HANDLERS: list[Any] = [list_measures]
