"""Incidents: the model or its data was in the way. Repair, then resolve."""

from __future__ import annotations

from typing import Any, Literal

from litestar import Response, get, post

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, KeyPath, key_of, reply
from flowledger.api.lists import Cursor, Definition, KeyFilter, Limit, WaitFor, listing
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import ResolveIncident


@get("/incidents", summary="List incidents")
async def list_incidents(
    request: ApiRequest,
    status: Literal["open", "resolved"] | None = None,
    instance: KeyFilter = None,
    definition: Definition = None,
    code: str | None = None,
    element: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.Incident]]:
    """Newest first."""
    filters = {"status": status, "instance": instance, "definition": definition, "code": code, "element": element}
    return reply(await listing(request, "incidents", filters, limit, cursor, wait_for))


@get("/incidents/{key:str}", summary="Get an incident")
async def get_incident(request: ApiRequest, key: KeyPath, wait_for: WaitFor = None) -> Response[a.Incident]:
    s = services_of(request)
    return reply(await s.find("incidents", key_of(key, "incident"), s.identify(request).tenant, wait_for))


@post("/incidents/{key:str}/resolve", status_code=200, previews=True, summary="Resolve an incident")
async def resolve(request: ApiRequest, key: KeyPath) -> Response[a.Done]:
    """The element is tried again; when the cause is still there, a new incident follows."""
    return reply(answer_view(await services_of(request).call(ResolveIncident(key=key_of(key, "incident")), request)))


HANDLERS: list[Any] = [list_incidents, get_incident, resolve]
