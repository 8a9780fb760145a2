"""SCIM 2.0 (RFC 7643, 7644) at `/scim/v2`: a directory provisions people and groups. The rules are `api/access/provisioning.py`'s.

Beside the API: paths, bodies and errors are the standard's, so none of it is in the OpenAPI document. Who comes has an API key with the right `scim:provision`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, cast

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.exceptions import HTTPException
from litestar.params import Parameter
from pydantic import ValidationError
from scim2_models import (
    Context,
    Error,
    InvalidFilterException,
    InvalidSyntaxException,
    ListResponse,
    NotFoundException,
    PatchOp,
    PayloadTooLargeException,
    Resource,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)
from scim2_models.path.expressions import CompareOperator, Comparison

from flowledger.api import problems
from flowledger.api.access import scim_bulk as bulk
from flowledger.api.access import scim_models as m
from flowledger.api.access.door import base_of
from flowledger.api.access.provisioning import Provisioning
from flowledger.api.edge import ApiRequest, decode
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.infra.accounts import people as rows

PATH = "/scim/v2"
MEDIA_TYPE = "application/scim+json"
#: characters of a filter, and operations of one PATCH
FILTER_MAX, OPERATIONS_MAX = 1_000, 1_000
_OPT: dict[str, Any] = {"any_query": True, "gives": (MEDIA_TYPE, "application/json"), "locks": True}
_HIDDEN: dict[str, Any] = {"include_in_schema": False, "opt": _OPT}
Id = Annotated[str, Parameter(max_length=200)]


def _provisioning(request: ApiRequest) -> Provisioning:
    accounts = services_of(request).accounts
    if accounts is None:
        raise Problem("NOT_FOUND", "nobody is provisioned here: that is with FLOWLEDGER_AUTH=local or oidc")
    return Provisioning(accounts)


def _base(request: ApiRequest) -> str:
    return base_of(request, services_of(request).settings) + PATH


def _said(value: Any, status: int = 200, **headers: str) -> Response[bytes]:
    return Response(
        msgspec.json.encode(value), status_code=status, media_type=MEDIA_TYPE, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


# --- errors ---------------------------------------------------------------------------------------------------------------------


def _refused(request: Request[Any, Any, Any], error: Error, code: str = "") -> Response[bytes]:
    status = error.status or 400
    request.scope["flowledger_refused"] = (code or error.scim_type or str(status), error.detail or "")  # type: ignore[typeddict-unknown-key]
    return _said(error.model_dump(), status)


def scim_handler(request: Request[Any, Any, Any], error: SCIMException) -> Response[bytes]:
    return _refused(request, error.to_error())


def invalid_handler(request: Request[Any, Any, Any], error: ValidationError) -> Response[bytes]:
    return _refused(request, Error.from_validation_errors(error)[0])


def problem_handler(request: Request[Any, Any, Any], error: Problem) -> Response[bytes]:
    """As the standard words it, with our own code beside."""
    body = Error(status=error.status, detail=error.detail, scim_type="invalidSyntax" if error.code == "MALFORMED" else None).model_dump()
    request.scope["flowledger_refused"] = (error.code, error.detail)  # type: ignore[typeddict-unknown-key]
    return _said({**body, "code": error.code, **({"right": r} if (r := error.extra.get("right")) else {})}, error.status, **error.headers())


def http_handler(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What the framework refuses: below this path in the standard's words, too."""
    answer = problems.http_handler(request, error)
    if not request.url.path.startswith(f"{PATH}/"):
        return answer
    found = msgspec.json.decode(answer.content)
    body = Error(status=answer.status_code, detail=found.get("detail")).model_dump()
    return Response(msgspec.json.encode(body), status_code=answer.status_code, media_type=MEDIA_TYPE, headers=answer.headers)


# --- what comes in ----------------------------------------------------------------------------------------------------------------


async def _body(request: ApiRequest) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (MEDIA_TYPE, "application/json"):
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"Content-Type must be {MEDIA_TYPE}, found {kind[:80] or 'none'}", status=415)
    found = msgspec.json.decode(body) if decode(body := await request.body(), dict[str, Any]) else {}
    return cast("dict[str, Any]", found)


def _wanted(request: ApiRequest, model: type[Any]) -> Any:
    """`attributes` and `excludedAttributes`."""
    given = {k: request.query_params[k] for k in ("attributes", "excludedAttributes") if request.query_params.get(k)}
    parameters: Any = ResponseParameters
    return parameters[model].model_validate(given, scim_policy=m.POLICY)


def _versions(request: ApiRequest, header: str) -> frozenset[str]:
    given = request.headers.get(header, "")
    return frozenset() if given.strip() == "*" else frozenset(v.strip() for v in given.split(",") if v.strip())


def _resource(row: rows.Person | rows.Group, base: str) -> Any:
    return m.user_of(row, base) if isinstance(row, rows.Person) else m.group_of(row, base)


async def _shown(
    request: ApiRequest, kind: str, id: str, status: int = 200, context: Context = Context.RESOURCE_QUERY_RESPONSE
) -> Response[bytes]:
    wanted = _wanted(request, m.TYPES[kind])
    row = await _provisioning(request).get(kind, id)
    if status == 200 and request.method == "GET" and m.etag(row.version) in _versions(request, "if-none-match"):
        return Response(b"", status_code=304, headers={"ETag": m.etag(row.version)})
    found = await asyncio.to_thread(lambda: _resource(row, _base(request)).model_dump(scim_ctx=context, response_parameters=wanted))
    more = {"Location": f"{_base(request)}/{kind}/{id}"} if status == 201 else {}
    return _said(found, status, ETag=m.etag(row.version), **more)


# --- lists ------------------------------------------------------------------------------------------------------------------------


async def _list(request: ApiRequest, kind: str) -> Response[bytes]:
    names = ("filter", "sortBy", "sortOrder", "startIndex", "count", "attributes", "excludedAttributes")
    return await _found(request, kind, {n: request.query_params[n] for n in names if request.query_params.get(n)})


async def _found(request: ApiRequest, kind: str, given: dict[str, Any]) -> Response[bytes]:
    """`kind`: empty: whatever there is."""
    model: Any = m.TYPES[kind] if kind else m.User | m.Group
    if isinstance(given.get("filter"), str) and len(given["filter"]) > FILTER_MAX:
        raise InvalidFilterException(detail=f"filter: {FILTER_MAX} characters at most were expected, found {len(given['filter'])}")
    asked = SearchRequest[model].model_validate(given, scim_policy=m.POLICY)
    start, count = asked.start_index or 1, min(m.PAGE if asked.count is None else asked.count, m.PAGE_MAX)
    p, base = _provisioning(request), _base(request)
    if kind and asked.filter is None and asked.sort_by is None:
        total, page = await p.page(kind, min(start - 1, (1 << 31) - 1), count)
        return await asyncio.to_thread(_listed, model, [_resource(r, base) for r in page], total, start, asked)
    candidates = await _candidates(p, kind, asked)

    def chosen() -> Response[bytes]:
        resources = (_resource(row, base) for row in candidates)
        ordered = asked.sort(r for r in resources if asked.filter is None or asked.filter.match(r))
        return _listed(model, ordered[start - 1 : start - 1 + count], len(ordered), start, asked)

    return await asyncio.to_thread(chosen)


async def _candidates(p: Provisioning, kind: str, asked: Any) -> list[Any]:
    """What may fit: what an index finds, else all."""
    simple = asked.filter.ast if asked.filter is not None else None
    if (
        isinstance(simple, Comparison)
        and simple.op == CompareOperator.eq
        and isinstance(simple.value, str)
        and not simple.attr_path.sub_attr
    ):
        found = await p.by(kind, simple.attr_path.attr, simple.value)
        if found is not None:
            return found
    return [row for k in ([kind] if kind else m.TYPES) for row in await p.all(k)]


def _listed(model: Any, page: list[Any], total: int, start: int, asked: Any) -> Response[bytes]:
    found = [r.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked) for r in page]
    answer = ListResponse[model](total_results=total, start_index=start, items_per_page=len(page)).model_dump()
    return _said({**answer, "Resources": found})


# --- people and groups --------------------------------------------------------------------------------------------------------------


async def _make(request: ApiRequest, kind: str, body: dict[str, Any]) -> str:
    """Answers its id."""
    wanted = m.TYPES[kind].model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=m.POLICY)
    p, by = _provisioning(request), services_of(request).asking(request)
    return await p.make_person(by, wanted) if isinstance(wanted, m.User) else await p.make_group(by, cast("m.Group", wanted))


async def _made(request: ApiRequest, kind: str) -> Response[bytes]:
    id = await _make(request, kind, await _body(request))
    return await _shown(request, kind, id, 201, Context.RESOURCE_CREATION_RESPONSE)


async def _replace(request: ApiRequest, kind: str, id: str, body: dict[str, Any], versions: frozenset[str]) -> None:
    wanted: Any = m.TYPES[kind].model_validate(body, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, scim_policy=m.POLICY)

    def changed(had: Any) -> Any:
        return wanted if wanted.replace(had) else None

    await _changed(request, kind, id, changed, versions)


async def _replaced(request: ApiRequest, kind: str, id: str) -> Response[bytes]:
    await _replace(request, kind, id, await _body(request), _versions(request, "if-match"))
    return await _shown(request, kind, id, context=Context.RESOURCE_REPLACEMENT_RESPONSE)


async def _patch(request: ApiRequest, kind: str, id: str, body: dict[str, Any], versions: frozenset[str]) -> None:
    model: Any = m.TYPES[kind]
    operations = next((v for k, v in body.items() if k.lower() == "operations"), None)
    if isinstance(operations, list) and len(operations) > OPERATIONS_MAX:
        raise InvalidSyntaxException(detail=f"Operations: {OPERATIONS_MAX} at most were expected, found {len(operations)}")
    asked: Any = PatchOp[model].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=m.POLICY)

    def changed(had: Any) -> Any:
        return had if asked.patch(had, scim_policy=m.POLICY) else None

    await _changed(request, kind, id, changed, versions)


async def _patched(request: ApiRequest, kind: str, id: str) -> Response[bytes]:
    await _patch(request, kind, id, await _body(request), _versions(request, "if-match"))
    return await _shown(request, kind, id, context=Context.RESOURCE_PATCH_RESPONSE)


async def _changed(request: ApiRequest, kind: str, id: str, changed: Any, versions: frozenset[str]) -> None:
    p, by = _provisioning(request), services_of(request).asking(request)
    await (p.change_person if kind == "Users" else p.change_group)(by, id, changed, versions)


@post("/.search", status_code=200, **_HIDDEN)
async def search_all(request: ApiRequest) -> Response[bytes]:
    return await _found(request, "", await _body(request))


@get("/Users", **_HIDDEN)
async def list_people(request: ApiRequest) -> Response[bytes]:
    return await _list(request, "Users")


@post("/Users", status_code=201, **_HIDDEN)
async def make_person(request: ApiRequest) -> Response[bytes]:
    return await _made(request, "Users")


@post("/Users/.search", status_code=200, **_HIDDEN)
async def search_people(request: ApiRequest) -> Response[bytes]:
    return await _found(request, "Users", await _body(request))


@get("/Users/{id:str}", **_HIDDEN)
async def get_person(request: ApiRequest, id: Id) -> Response[bytes]:
    return await _shown(request, "Users", id)


@put("/Users/{id:str}", **_HIDDEN)
async def replace_person(request: ApiRequest, id: Id) -> Response[bytes]:
    return await _replaced(request, "Users", id)


@patch("/Users/{id:str}", **_HIDDEN)
async def change_person(request: ApiRequest, id: Id) -> Response[bytes]:
    return await _patched(request, "Users", id)


@delete("/Users/{id:str}", status_code=204, **_HIDDEN)
async def remove_person(request: ApiRequest, id: Id) -> None:
    await _provisioning(request).remove_person(services_of(request).asking(request), id, _versions(request, "if-match"))


@get("/Groups", **_HIDDEN)
async def list_groups(request: ApiRequest) -> Response[bytes]:
    return await _list(request, "Groups")


@post("/Groups", status_code=201, **_HIDDEN)
async def make_group(request: ApiRequest) -> Response[bytes]:
    return await _made(request, "Groups")


@post("/Groups/.search", status_code=200, **_HIDDEN)
async def search_groups(request: ApiRequest) -> Response[bytes]:
    return await _found(request, "Groups", await _body(request))


@get("/Groups/{id:str}", **_HIDDEN)
async def get_group(request: ApiRequest, id: Id) -> Response[bytes]:
    return await _shown(request, "Groups", id)


@put("/Groups/{id:str}", **_HIDDEN)
async def replace_group(request: ApiRequest, id: Id) -> Response[bytes]:
    return await _replaced(request, "Groups", id)


@patch("/Groups/{id:str}", **_HIDDEN)
async def change_group(request: ApiRequest, id: Id) -> Response[bytes]:
    return await _patched(request, "Groups", id)


@delete("/Groups/{id:str}", status_code=204, **_HIDDEN)
async def remove_group(request: ApiRequest, id: Id) -> None:
    await _provisioning(request).remove_group(services_of(request).asking(request), id, _versions(request, "if-match"))


def _told(error: Exception) -> tuple[int, dict[str, Any]] | None:
    """As one of a job says it: the status and the body that it would have alone."""
    if isinstance(error, Problem):
        body = Error(
            status=error.status, detail=error.detail, scim_type="invalidSyntax" if error.code == "MALFORMED" else None
        ).model_dump()
        return error.status, {**body, "code": error.code}
    if isinstance(error, (SCIMException, ValidationError)):
        found = error.to_error() if isinstance(error, SCIMException) else Error.from_validation_errors(error)[0]
        return found.status or 400, found.model_dump()
    return None


@post("/Bulk", status_code=200, **_HIDDEN)
async def do_bulk(request: ApiRequest) -> Response[bytes]:
    """Each by itself: what one is refused for, the others are not."""
    if len(await request.body()) > bulk.PAYLOAD_MAX:
        raise PayloadTooLargeException(detail=f"a job of at most {bulk.PAYLOAD_MAX} bytes was expected")
    operations, fail = bulk.operations_of(await _body(request))
    p = _provisioning(request)

    async def apply(o: bulk.Operation) -> bulk.Done:
        versions, id = frozenset({o.version} if o.version and o.version != "*" else ()), o.id
        if o.method == "POST":
            id = await _make(request, o.kind, o.data)
        elif o.method == "DELETE":
            await (p.remove_person if o.kind == "Users" else p.remove_group)(services_of(request).asking(request), id, versions)
            return bulk.Done(204, id, "")
        else:
            await (_replace if o.method == "PUT" else _patch)(request, o.kind, id, o.data, versions)
        row = await p.get(o.kind, id)
        return bulk.Done(201 if o.method == "POST" else 200, id, m.etag(row.version))

    done = await bulk.Job(operations, fail, tuple(m.TYPES), _base(request), apply, _told).run()
    return _said({"schemas": [bulk.RESPONSE], "Operations": done})


# --- what this service is -----------------------------------------------------------------------------------------------------------


def _described(request: ApiRequest, kind: str, resources: list[Resource[Any]]) -> list[dict[str, Any]]:
    base = f"{_base(request)}/{kind}"
    singular = kind.removesuffix("s")
    return [{**r.model_dump(), "meta": {"resourceType": singular, "location": f"{base}/{r.id}"}} for r in resources]


def _all(request: ApiRequest, kind: str, resources: list[Resource[Any]]) -> Response[bytes]:
    if request.query_params.get("filter"):  # RFC 7644, 4
        raise Problem("FORBIDDEN", "what this service says of itself isn't filtered")
    found = _described(request, kind, resources)
    answer: dict[str, Any] = {
        "schemas": [str(ListResponse.__schema__)],
        "totalResults": len(found),
        "startIndex": 1,
        "itemsPerPage": len(found),
    }
    return _said({**answer, "Resources": found})


def _named(request: ApiRequest, kind: str, resources: list[Resource[Any]], id: str) -> Response[bytes]:
    found = next((d for d in _described(request, kind, resources) if d["id"] == id), None)
    if found is None:
        raise NotFoundException(detail=f"no {kind.removesuffix('s')} {id[:80]}")
    return _said(found)


def _schemas() -> list[Resource[Any]]:
    return [t.to_schema() for t in m.TYPES.values()]


@get("/ServiceProviderConfig", **_HIDDEN)
async def get_provider(request: ApiRequest) -> Response[bytes]:
    meta = {"resourceType": "ServiceProviderConfig", "location": f"{_base(request)}/ServiceProviderConfig"}
    return _said({**m.config().model_dump(), "meta": meta})


@get("/ResourceTypes", **_HIDDEN)
async def list_resource_types(request: ApiRequest) -> Response[bytes]:
    return _all(request, "ResourceTypes", list(m.resource_types()))


@get("/ResourceTypes/{id:str}", **_HIDDEN)
async def get_resource_type(request: ApiRequest, id: Id) -> Response[bytes]:
    return _named(request, "ResourceTypes", list(m.resource_types()), id)


@get("/Schemas", **_HIDDEN)
async def list_schemas(request: ApiRequest) -> Response[bytes]:
    return _all(request, "Schemas", _schemas())


@get("/Schemas/{id:str}", **_HIDDEN)
async def get_schema(request: ApiRequest, id: Id) -> Response[bytes]:
    return _named(request, "Schemas", _schemas(), id)


AT_ROOT: list[Any] = [
    Router(
        PATH,
        route_handlers=[
            search_all, do_bulk, list_people, search_people, make_person, get_person, replace_person, change_person, remove_person, list_groups,
            search_groups, make_group, get_group, replace_group, change_group, remove_group, get_provider,
            list_resource_types, get_resource_type, list_schemas, get_schema,
        ],
        exception_handlers={SCIMException: scim_handler, ValidationError: invalid_handler, Problem: problem_handler},
    )
]  # fmt: skip
