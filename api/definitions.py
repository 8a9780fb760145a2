"""Definitions and their life cycle: draft, validated, published, deprecated, archived."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any, Literal

from litestar import Response, delete, get, post, put
from litestar.params import Parameter
from msgspec import Meta

from flowledger import __version__
from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, Name, NamePath, Words, reply
from flowledger.api.lists import DefinitionCursor, Limit, Version, WaitFor, listing
from flowledger.api.locking import etag, expected
from flowledger.api.problems import Problem
from flowledger.api.services import Services, definition_key, services_of
from flowledger.api.view import answer_view, definition_view, deployment_view
from flowledger.events.base import RejectionCode
from flowledger.events.commands import ChangeDefinition, Deploy, Resource
from flowledger.kernel.model.diff import compare
from flowledger.kernel.model.drawn import to_show
from flowledger.kernel.model.encodings import utf8

Kind = Literal["process", "decision", "drg", "form", "trigger", "rules"]
Status = Literal["draft", "validated", "published", "deprecated", "archived"]
Move = Literal["validate", "publish", "deprecate", "archive", "draft"]


Whole = Annotated[int | None, Parameter(ge=0, le=10**15 - 1, schema_extra={"minimum": 0, "maximum": 10**15 - 1})]
#: something that isn't a blank
Content = Annotated[str, Meta(min_length=1, pattern=r"\S")]
DefinitionPath = Annotated[NamePath, Parameter(description="Its key, or its id in the model (then the newest version is meant)")]


class DefinitionBody(Body):
    """A draft. `name` is the file's name; `content` its text. `metadata`: `category`, `tags`, `complexity_score` (where none is given the process's own
    holds), `estimated_duration` (ISO 8601, or `estimated_duration_ms`), `dependencies`, and whatever else."""

    name: Name
    content: Content
    metadata: dict[str, Any] | None = None


class ContentBody(Body):
    content: Content
    reason: Words = ""


class ReasonBody(Body):
    reason: Words = ""


async def _find(s: Services, request: ApiRequest, id: str, wait_for: str | None = None) -> dict[str, Any]:
    """By key; or by its id in the model: the newest version."""
    key = await definition_key(s, request, id, "definition", wait_for)
    return definition_view(await s.find("definitions", key, s.identify(request).tenant, wait_for))


@post("/definitions", summary="Create a draft")
async def create(request: ApiRequest, data: DefinitionBody) -> Response[a.Deployment]:
    """A draft can be edited, and is startable once published. Answers with the drafts of this resource."""
    s = services_of(request)
    answer = await s.call(Deploy(resources=[Resource(data.name, data.content)], status="draft", metadata=data.metadata), request)
    s.deployed(answer, s.identify(request).tenant)
    return reply(deployment_view(answer), 201)


@get("/definitions", summary="List definitions")
async def list_definitions(
    request: ApiRequest,
    id: Annotated[str | None, Parameter(description="A key, or an id in the model")] = None,
    definition_id: Annotated[str | None, Parameter(description="Id in the model, of a process, decision or form")] = None,
    process: Annotated[str | None, Parameter(description="Id of a process")] = None,
    kind: Kind | None = None,
    version: Version = None,
    status: Annotated[list[Status] | None, Parameter(description="One or more")] = None,
    name: Annotated[str | None, Parameter(description="Part of the name, or the id")] = None,
    tag: str | None = None,
    category: str | None = None,
    depends_on: Annotated[str | None, Parameter(description="One of the `dependencies` of its metadata")] = None,
    complexity_min: Whole = None,
    complexity_max: Whole = None,
    estimated_ms_min: Whole = None,
    estimated_ms_max: Whole = None,
    creator: str | None = None,
    latest: Annotated[bool | None, Parameter(description="Of each id the newest version only")] = None,
    limit: Limit = 50,
    cursor: DefinitionCursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.DefinitionDetail]]:
    """By id in the model, newest version first. `id` and `key` are a definition's key, `definition_id` is what it is called in the model.
    `complexity_min` and `_max` are of `complexity_score`, `estimated_ms_min` and `_max` of the expected duration of its metadata."""
    if process is not None:
        definition_id, kind = process if definition_id in (None, process) else "", "process"
    filters = {
        "id": id, "definition_id": definition_id, "kind": kind, "version": version, "status": status, "name": name, "tag": tag, "category": category, "creator": creator,
        "depends_on": depends_on, "complexity_min": complexity_min, "complexity_max": complexity_max, "estimated_ms_min": estimated_ms_min,
        "estimated_ms_max": estimated_ms_max, "latest": latest,
    }  # fmt: skip
    page = await listing(request, "definitions", filters, limit, cursor, wait_for)
    return reply({**page, "items": [definition_view(row) for row in page["items"]]})


@get("/definitions/{id:str}", summary="Get a definition")
async def get_definition(request: ApiRequest, id: DefinitionPath, wait_for: WaitFor = None) -> Response[a.DefinitionDetail]:
    """By key, or by its id in the model (the newest version), with all its versions."""
    row = await _find(services_of(request), request, id, wait_for)
    return reply(row, 200, **etag(row))


SOURCE = ("application/xml", "text/plain", "application/problem+json")


@get("/definitions/{id:str}/source", summary="The model as it was deployed", media_type="application/xml", gives=SOURCE)
async def source(request: ApiRequest, id: DefinitionPath) -> Response[str]:
    """XML where it is XML, else text."""
    s = services_of(request)
    content, name = await source_of(s, request, id)
    kind = "application/xml" if content.lstrip().startswith("<") else "text/plain"
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name) or "model"
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return kept(request, content) or Response(utf8(content), media_type=f"{kind}; charset=utf-8", headers=headers | kept_headers(content))


DRAWN = ("application/xml", "application/problem+json")


@get("/definitions/{id:str}/diagram", summary="The process, drawn", media_type="application/xml", gives=DRAWN)
async def diagram(request: ApiRequest, id: DefinitionPath) -> Response[str]:
    """BPMN with a diagram, whatever the process was deployed as: as it is when it has its drawing, laid out when it has none, with the same ids of
    elements. 404 for decisions and forms."""
    s = services_of(request)
    content, name = await source_of(s, request, id)
    if same := kept(request, content):
        return same
    drawn = await asyncio.to_thread(to_show, utf8(content), name)
    if drawn is None:
        raise Problem(RejectionCode.NOT_FOUND, f"definition {id} has no process that could be drawn")
    return Response(drawn, media_type="application/xml; charset=utf-8", headers=kept_headers(content))  # type: ignore[arg-type]


KEPT = {"Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}


def kept_headers(content: str) -> dict[str, str]:
    """A browser may keep it, and asks each time whether it may still have it: the rights are looked at, the bytes needn't go again. How a process is laid
    out may be another thing with the next release."""
    tag = hashlib.sha256(f"{__version__} {content}".encode()).hexdigest()[:32]
    return {"ETag": f'"{tag}"', **KEPT}


def kept(request: ApiRequest, content: str) -> Response[Any] | None:
    """304, where the caller has it already."""
    headers = kept_headers(content)
    known = (each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(","))
    return Response(b"", status_code=304, headers=headers) if headers["ETag"] in known else None


async def source_of(s: Services, request: ApiRequest, id: str) -> tuple[str, str]:
    """Content and file name."""
    row = await _find(s, request, id)
    found = await s.reads.source(row["key"], s.identify(request).tenant)
    if found is None:
        raise Problem(RejectionCode.NOT_FOUND, f"definition {id} has no source")
    return found["content"], found["name"]


@get("/definitions/{id:str}/diff", summary="What changed between two versions")
async def diff(
    request: ApiRequest, id: DefinitionPath, to: Annotated[str, Parameter(min_length=1, description="The other one: a key, or an id")]
) -> Response[a.Diff]:
    """Elements and flows that were added, removed or changed; `changes` says in which fields, of root elements as well; `text` is the difference of the
    texts (unified)."""
    s = services_of(request)
    (old, old_name), (new, new_name) = await source_of(s, request, id), await source_of(s, request, to)
    found = await asyncio.to_thread(compare, old, old_name, new, new_name)
    return reply({"from": id, "to": to, **found})


@put("/definitions/{id:str}", locks=True, previews=True, summary="Edit a draft")
async def edit(request: ApiRequest, id: DefinitionPath, data: ContentBody) -> Response[a.Moved]:
    """Drafts only: a published version is frozen; deploy the next one instead."""
    s = services_of(request)
    key = await definition_key(s, request, id, "definition")
    command = ChangeDefinition(key=key, move="draft", content=data.content, reason=data.reason, row_version=expected(request))
    return reply(answer_view(await s.call(command, request)))


@delete("/definitions/{id:str}", status_code=200, locks=True, previews=True, summary="Hide a definition")
async def remove(request: ApiRequest, id: DefinitionPath, reason: str = "") -> Response[a.Moved]:
    """It can't be started any more and is not listed; its events stay. Refused while instances run."""
    s = services_of(request)
    key = await definition_key(s, request, id, "definition")
    command = ChangeDefinition(key=key, move="delete", reason=reason, row_version=expected(request))
    return reply(answer_view(await s.call(command, request)))


@post("/definitions/{id:str}/{move:str}", status_code=200, locks=True, previews=True, summary="Move a definition on")
async def change(request: ApiRequest, id: DefinitionPath, move: Move, data: ReasonBody | None = None) -> Response[a.Moved]:
    """`move`: validate, publish, deprecate, archive or draft."""
    s = services_of(request)
    key = await definition_key(s, request, id, "definition")
    command = ChangeDefinition(key=key, move=move, reason=data.reason if data else "", row_version=expected(request))
    return reply(answer_view(await s.call(command, request)))


HANDLERS: list[Any] = [create, list_definitions, get_definition, source, diagram, diff, edit, remove, change]
