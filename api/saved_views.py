"""Views: filters of lists that people keep for themselves or share. Records of the ledger, of a tenant each."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.access.door import IDENTITY
from flowledger.api.edge import ApiRequest, Body, reply
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import request_id, services_of
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.kernel.handlers.records import LIST_MAX
from flowledger.kernel.tasks.saved_views import FILTERS_MAX, GROUPS_MAX, NAME_MAX, REGISTRY, TEXT_MAX, VALUES_MAX

#: views of one person, and of a tenant: more are refused
OWN_MAX, TENANT_MAX = 200, 20_000
ViewPath = Annotated[str, Parameter(max_length=100, description="Id of a view")]
ListPage = Literal["instances", "tasks", "incidents"]
Value = (
    Annotated[str, Meta(max_length=TEXT_MAX)]
    | Annotated[list[Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]], Meta(max_length=VALUES_MAX)]
)
Filter = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
Group = Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]


class ViewBody(Body):
    """`query`: filters as in the list's address. `shared`: no, with `groups`, or with all of the tenant."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=r"\S")]
    page: ListPage
    query: Annotated[dict[Filter, Value], Meta(max_length=FILTERS_MAX)]
    shared: Literal["no", "groups", "all"] = "no"
    groups: Annotated[list[Group], Meta(max_length=GROUPS_MAX)] = []


class SavedView(msgspec.Struct, kw_only=True):
    """`mine`: who asks has made it; `change`: who asks may change and remove it."""

    id: str
    name: str
    page: str
    query: dict[str, Any]
    owner: str
    shared: str
    groups: list[str]
    mine: bool
    change: bool


class SavedViewMade(SavedView, kw_only=True):
    position: str | None = None


async def _all(request: ApiRequest) -> dict[str, dict[str, Any]]:
    """Views of the tenant by id."""
    s, after = services_of(request), ""
    found: dict[str, dict[str, Any]] = {}
    while len(found) < TENANT_MAX:
        page = await s.call(c.ListRecords(registry=REGISTRY, after=after, limit=LIST_MAX), request, partition=0, keyed=False)
        records: list[dict[str, Any]] = list(page.get("records") or ())
        found |= {r["name"]: r["value"] for r in records}
        if not page.get("more"):
            break
        after = records[-1]["name"]
    return found


async def _groups(request: ApiRequest) -> set[str]:
    """Of who asks: by the directory, and as the sign-in said."""
    s = services_of(request)
    caller = s.identify(request)
    found = set(caller.groups or ())
    if caller.actor:
        person = await s.record(request, "directory", f"user:{caller.actor}") or {}
        found |= {g for g in person.get("groups") or () if isinstance(g, str)}
    return found


def _seen(request: ApiRequest, id: str, value: dict[str, Any], groups: set[str]) -> dict[str, Any] | None:
    """As who asks sees it; None when it isn't theirs to see."""
    mine = value["owner"] == services_of(request).identify(request).actor
    if not mine and not (value["shared"] == "all" or (value["shared"] == "groups" and groups.intersection(value["groups"]))):
        return None
    identity = request.scope.get(IDENTITY)
    return {"id": id, **value, "mine": mine, "change": mine or identity is None or "directory:write" in identity.rights}  # type: ignore[attr-defined]


async def _view(request: ApiRequest, id: str) -> dict[str, Any]:
    value = None if "/" in id else await services_of(request).record(request, REGISTRY, id)
    seen = None if value is None else _seen(request, id, value, await _groups(request))
    if seen is None:
        raise Problem(RejectionCode.NOT_FOUND, f"expected a view with id '{id}', found none")
    return seen


def _record(request: ApiRequest, id: str) -> str:
    tenant = services_of(request).identify(request).tenant
    return f"{tenant}/{id}" if tenant else id


async def _changeable(request: ApiRequest, id: str) -> dict[str, Any]:
    seen = await _view(request, id)
    if not seen["change"]:
        raise Problem(RejectionCode.FORBIDDEN, f"it is {seen['owner'] or 'somebody'}'s view: save one of your own", status=403)
    return seen


async def _stored(request: ApiRequest, id: str, data: ViewBody, owner: str) -> dict[str, Any]:
    if data.shared == "groups" and not data.groups:
        raise senseless("groups were expected that it is shared with, found none", "body groups")
    value = {
        "name": data.name.strip(), "page": data.page, "query": data.query, "owner": owner, "shared": data.shared,
        "groups": sorted(set(data.groups)) if data.shared == "groups" else [],
    }  # fmt: skip
    answer = await services_of(request).call(c.StoreRecord(registry=REGISTRY, name=_record(request, id), value=value), request)
    mine = owner == services_of(request).identify(request).actor
    return {"id": id, **value, "mine": mine, "change": True, "position": answer.get("position")}


@get("/saved-views", summary="List views")
async def list_saved_views(
    request: ApiRequest, page: Annotated[ListPage | None, Parameter(description="Of this list alone")] = None
) -> Response[a.Page[SavedView]]:
    """One's own, and those that are shared with one; by name."""
    groups = await _groups(request)
    seen = [_seen(request, id, value, groups) for id, value in (await _all(request)).items() if page in (None, value["page"])]
    return reply({"items": sorted((v for v in seen if v), key=lambda v: (not v["mine"], v["name"].casefold(), v["id"])), "cursor": None})


@post("/saved-views", summary="Save a view")
async def make_saved_view(request: ApiRequest, data: ViewBody) -> Response[SavedViewMade]:
    """It is whoever makes it who owns it."""
    actor, there = services_of(request).identify(request).actor, await _all(request)
    own = sum(v["owner"] == actor for v in there.values())
    if own >= OWN_MAX or len(there) >= TENANT_MAX:
        raise Problem(RejectionCode.RESOURCE_EXHAUSTED, f"at most {OWN_MAX} views of one person and {TENANT_MAX} of a tenant: remove some")
    id = secrets.token_hex(8)
    if key := request_id(request):  # the same request once more is the same view
        id = hashlib.sha256(f"{actor}\n{key}".encode()).hexdigest()[:16]
    return reply(await _stored(request, id, data, actor), 201)


@get("/saved-views/{id:str}", summary="Get a view")
async def get_saved_view(request: ApiRequest, id: ViewPath) -> Response[SavedView]:
    return reply(await _view(request, id))


@put("/saved-views/{id:str}", summary="Change a view")
async def change_saved_view(request: ApiRequest, id: ViewPath, data: ViewBody) -> Response[SavedViewMade]:
    """One's own; those that others share with the right directory:write. The owner stays."""
    seen = await _changeable(request, id)
    return reply(await _stored(request, id, data, seen["owner"]))


@delete("/saved-views/{id:str}", status_code=200, summary="Remove a view")
async def remove_saved_view(request: ApiRequest, id: ViewPath) -> Response[a.Stored]:
    await _changeable(request, id)
    answer = await services_of(request).call(c.StoreRecord(registry=REGISTRY, name=_record(request, id)), request)
    return reply({"registry": REGISTRY, "name": id, "position": answer.get("position")})


HANDLERS: list[Any] = [list_saved_views, make_saved_view, get_saved_view, change_saved_view, remove_saved_view]
