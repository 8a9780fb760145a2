"""KPIs: put, seen, deleted; their figures, and how promises are kept (docs/insight.md#kpis)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Response, delete, get, put
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.directory import After, Page, _delete, _list, _one, _put
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.insight import Since, Until, Window, _told
from flowledger.api.lists import Version, WaitFor
from flowledger.events.avro import encode_json
from flowledger.kernel import kpis

KpiName = Annotated[str, Parameter(schema_extra={"pattern": r"^[^/\x00-\x1f\x7f]+$", "minLength": 1, "maxLength": kpis.NAME_MAX})]
Groups = Annotated[
    str | None, Parameter(pattern=r"^[a-z_]+(,[a-z_]+)*$", description="process, version, element, value; several by commas")
]
Most = Annotated[int, Parameter(ge=1, le=1_000, description="So many at most")]


@get("/kpis", summary="List KPIs")
async def list_kpis(request: ApiRequest, cursor: After = "", limit: Page = 100) -> Response[a.Page[a.Entry]]:
    """One's own, and those that are there for all tenants."""
    return reply(await _list(request, kpis.REGISTRY, "", cursor, limit))


@get("/kpis/{name:str}", summary="Get a KPI")
async def get_kpi(request: ApiRequest, name: KpiName) -> Response[a.Entry]:
    return reply({"name": name, **await _one(request, kpis.REGISTRY, name)})


@put("/kpis/{name:str}", summary="Create or replace a KPI")
async def put_kpi(request: ApiRequest, name: KpiName, data: dict[str, Any]) -> Response[a.Stored]:
    """`kind`: sla (`within`, `of` cycle, waiting or working, `calendar`, `goal`, `at_risk`), time (`of`, `calendar`), cost (what an hour costs by `people`, `groups`,
    `job_types`, `otherwise`; `each` piece of a job type; `unit`), value (`value` in FEEL, `at` start, end or work, `unit`). All: `title`, `process`, `element`,
    `when` in FEEL, `by` a variable of which `values` are told apart, `enabled`. It counts from now on."""
    return await _put(request, kpis.REGISTRY, name, data)


@delete("/kpis/{name:str}", status_code=200, summary="Delete a KPI")
async def delete_kpi(request: ApiRequest, name: KpiName) -> Response[a.Stored]:
    """What it has counted stays in the rows; put again under its name, it goes on."""
    return await _delete(request, kpis.REGISTRY, name)


async def _record(request: ApiRequest, name: str) -> str | None:
    """As it is by now: the rows may not have been told of it yet. Raises: Problem (404)."""
    return None if name == kpis.DUE else encode_json(await _one(request, kpis.REGISTRY, name)).decode()


@get("/kpis/{name:str}/figures", summary="Figures of a KPI by group and window")
async def kpi_figures(
    request: ApiRequest,
    name: KpiName,
    group: Groups = None,
    window: Window = "all",
    since: Since = None,
    until: Until = None,
    process: str | None = None,
    version: Version = None,
    element: str | None = None,
    value: str | None = None,
    wait_for: WaitFor = None,
) -> Response[a.KpiFigures]:
    """Windows in which there is none are left out. `due` is a KPI that is there always: work, by when it is due."""
    given = {
        "name": name, "record": await _record(request, name), "group": group, "window": window,
        "from": since, "to": until, "process": process, "version": version, "element": element, "value": value,
    }  # fmt: skip
    return await _told(request, "kpi_figures", given, wait_for)


@get("/kpis/{name:str}/promised", summary="Instances that broke an SLA, are late or at risk")
async def kpi_promised(
    request: ApiRequest,
    name: KpiName,
    which: Literal["broken", "late", "at_risk"] = "broken",
    since: Since = None,
    until: Until = None,
    process: str | None = None,
    limit: Most = 50,
    wait_for: WaitFor = None,
) -> Response[a.PromisedOnes]:
    """`broken`: of those that ended in the time; `late` and `at_risk`: of those that are open by now. The worst first."""
    given = {
        "name": name,
        "record": await _record(request, name),
        "which": which,
        "from": since,
        "to": until,
        "process": process,
        "limit": limit,
    }
    return await _told(request, "kpi_promised", given, wait_for)


@get("/reports/sla", summary="How promises are kept")
async def sla(
    request: ApiRequest, process: str | None = None, since: Since = None, until: Until = None, wait_for: WaitFor = None
) -> Response[a.Promises]:
    """Each SLA with what ended in the time, and what is open by now."""
    return await _told(request, "sla", {"process": process, "from": since, "to": until}, wait_for)


HANDLERS: list[Any] = [list_kpis, get_kpi, put_kpi, delete_kpi, kpi_figures, kpi_promised]
REPORTS: list[Any] = [sla]
