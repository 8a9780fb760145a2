"""Incidents: the model or its data was in the way. Repair, then resolve."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.batches import BatchBody, begin_batch
from flowledger.api.edge import ApiRequest, Body, KeyPath, Variables, Words, key_of, reply
from flowledger.api.lists import Cursor, Definition, KeyFilter, Limit, WaitFor, listing
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import ResolveIncident
from flowledger.kernel import limits

GROUP_PATTERN = "^[0-9a-f]{24}$"
Group = Annotated[str | None, Parameter(pattern=GROUP_PATTERN, description="The id of a group: incidents of one cause")]
GroupPath = Annotated[str, Parameter(schema_extra={"pattern": GROUP_PATTERN})]


class GroupBody(Body):
    """`variables` are set where each incident is, before; `retries`: attempts that a job of theirs gets (none: one)."""

    variables: Variables | None = None
    retries: Annotated[int, Meta(ge=1, le=limits.RETRIES_MAX)] | None = None
    rate: Annotated[int, Meta(ge=0, le=limits.BATCH_RATE_MAX)] = 0
    reason: Words = ""
    dry_run: bool = False
    confirm: Annotated[int, Meta(ge=0, le=limits.BATCH_ITEMS_MAX)] | None = None


@get("/incidents", summary="List incidents")
async def list_incidents(
    request: ApiRequest,
    status: Literal["open", "resolved"] | None = None,
    instance: KeyFilter = None,
    definition: Definition = None,
    code: str | None = None,
    element: str | None = None,
    group: Group = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.Incident]]:
    """Newest first. `group`: those of one cause."""
    filters = {"status": status, "instance": instance, "definition": definition, "code": code, "element": element, "group": group}
    return reply(await listing(request, "incidents", filters, limit, cursor, wait_for))


@get("/incidents/groups", summary="Incidents by their cause")
async def list_incident_groups(
    request: ApiRequest,
    status: Literal["open", "resolved", "any"] = "open",
    definition: Definition = None,
    code: str | None = None,
    element: str | None = None,
    group: Group = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.IncidentGroup]]:
    """The one with the newest incident first; over all versions of a process. `status` any: resolved ones count as well."""
    filters = {
        "status": None if status == "any" else status, "definition": definition, "code": code, "element": element, "group": group,
    }  # fmt: skip
    return reply(await listing(request, "incident_groups", filters, limit, cursor, wait_for))


@post("/incidents/groups/{id:str}/resolve", status_code=200, summary="Resolve all incidents of one cause")
async def resolve_group(request: ApiRequest, id: GroupPath, data: GroupBody, wait_for: WaitFor = None) -> Response[a.BatchBegun]:
    """A batch over those that are open: each element is tried again. `dry_run` says how many there are, `confirm` gives that number back."""
    params: dict[str, Any] = {}
    if data.variables:
        params["variables"] = data.variables
    if data.retries is not None:
        params["retries"] = data.retries
    wish = BatchBody(
        action="resolve", params=params, filter={"group": id, "status": "open"}, rate=data.rate, reason=data.reason, dry_run=data.dry_run,
        confirm=data.confirm,
    )  # fmt: skip
    return await begin_batch(request, wish, wait_for)


@get("/incidents/{key:str}/chain", summary="The way from an incident up to its root instance")
async def incident_chain(request: ApiRequest, key: KeyPath, wait_for: WaitFor = None) -> Response[a.Chain]:
    s = services_of(request)
    number, tenant = key_of(key, "incident"), s.identify(request).tenant
    await s.find("incidents", number, tenant, wait_for)
    return reply(await s.reads.report("incident_chain", number, tenant))


@get("/incidents/{key:str}", summary="Get an incident")
async def get_incident(request: ApiRequest, key: KeyPath, wait_for: WaitFor = None) -> Response[a.Incident]:
    s = services_of(request)
    return reply(await s.find("incidents", key_of(key, "incident"), s.identify(request).tenant, wait_for))


@post("/incidents/{key:str}/resolve", status_code=200, previews=True, summary="Resolve an incident")
async def resolve(request: ApiRequest, key: KeyPath) -> Response[a.Done]:
    """The element is tried again; when the cause is still there, a new incident follows."""
    return reply(answer_view(await services_of(request).call(ResolveIncident(key=key_of(key, "incident")), request)))


HANDLERS: list[Any] = [list_incidents, list_incident_groups, resolve_group, incident_chain, get_incident, resolve]
