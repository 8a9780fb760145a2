"""Incidents: the model or its data was in the way. Repair, then resolve."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.params import Parameter

from flowledger.api.edge import ApiRequest, key_of, keyed, page, reply
from flowledger.api.lists import Cursor, Limit, WaitFor, listing
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import ResolveIncident


@get("/incidents", summary="List incidents")
async def list_incidents(
    request: ApiRequest,
    status: Literal["open", "resolved"] | None = None,
    instance: str | None = None,
    definition: Annotated[str | None, Parameter(description="Process id or a definition's key")] = None,
    code: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = "",
    wait_for: WaitFor = None,
) -> Response[Any]:
    """Newest first."""
    by_key = definition is not None and definition.isdigit()
    filters = {
        "status": status,
        "instance": key_of(instance, "query instance") if instance else None,
        "definition": key_of(definition, "query definition") if by_key and definition else None,
        "process": None if by_key else definition,
        "code": code,
    }
    rows, following = await listing(request, "incidents", filters, limit, cursor, wait_for)
    return reply(page(rows, following))


@get("/incidents/{key:str}", summary="Get an incident")
async def get_incident(request: ApiRequest, key: str, wait_for: WaitFor = None) -> Response[Any]:
    s = services_of(request)
    tenant = s.identify(request).tenant
    return reply(keyed(await s.find(lambda k: s.reads.get("incidents", k, tenant), key_of(key, "incident"), "incident", wait_for)))


@post("/incidents/{key:str}/resolve", status_code=200, summary="Resolve an incident")
async def resolve(request: ApiRequest, key: str) -> Response[Any]:
    """The element is tried again; when the cause is still there, a new incident follows."""
    return reply(answer_view(await services_of(request).call(ResolveIncident(key=key_of(key, "incident")), request)))


HANDLERS: list[Any] = [list_incidents, get_incident, resolve]
