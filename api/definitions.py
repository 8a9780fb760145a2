"""Definitions and their life cycle: draft, validated, published, deprecated, archived."""

from __future__ import annotations

import asyncio
import difflib
from typing import Annotated, Any, Literal

from litestar import Response, delete, get, post, put
from litestar.params import Parameter

from flowledger.api.edge import ApiRequest, Body, key_of, reply
from flowledger.api.lists import Cursor, Limit, WaitFor, listing
from flowledger.api.problems import Problem
from flowledger.api.services import Services, services_of
from flowledger.api.view import answer_view
from flowledger.events.base import RejectionCode
from flowledger.events.commands import ChangeDefinition, Deploy, Resource
from flowledger.kernel.model.encodings import utf8

Status = Literal["draft", "validated", "published", "deprecated", "archived"]
Move = Literal["validate", "publish", "deprecate", "archive", "draft"]


class DefinitionBody(Body):
    """A draft. `name` is the file's name; `content` its text."""

    name: str
    content: str
    metadata: dict[str, Any] | None = None


class ContentBody(Body):
    content: str
    reason: str = ""


class ReasonBody(Body):
    reason: str = ""


async def _find(s: Services, request: ApiRequest, id: str, wait_for: str | None = None) -> dict[str, Any]:
    """By key; or by process id: the newest version."""
    tenant = s.identify(request).tenant
    if id.isdigit():
        return await s.find("definitions", key_of(id, "definition"), tenant, wait_for)
    await s.wait_for(wait_for)
    row = await s.reads.get("definitions", id, tenant)
    if row is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no definition {id}")
    return row


@post("/definitions", summary="Create a draft")
async def create(request: ApiRequest, data: DefinitionBody) -> Response[Any]:
    """A draft can be edited, and is startable once published. Answers with the drafts of this resource."""
    s = services_of(request)
    answer = await s.call(Deploy(resources=[Resource(data.name, data.content)], status="draft", metadata=data.metadata), request)
    s.deployed(answer)
    return reply(answer_view(answer), 201)


@get("/definitions", summary="List definitions")
async def list_definitions(
    request: ApiRequest,
    id: Annotated[str | None, Parameter(description="Process, decision or form id")] = None,
    kind: Literal["process", "decision", "drg", "form"] | None = None,
    version: int | None = None,
    status: Annotated[list[Status] | None, Parameter(description="One or more")] = None,
    name: Annotated[str | None, Parameter(description="Part of the name, or the id")] = None,
    tag: str | None = None,
    category: str | None = None,
    creator: str | None = None,
    latest: Annotated[bool | None, Parameter(description="Of each id the newest version only")] = None,
    limit: Limit = 50,
    cursor: Cursor = "",
    wait_for: WaitFor = None,
) -> Response[Any]:
    """By id, newest version first. `key` is a definition's key, `id` what it is called in the model."""
    filters = {
        "id": id, "kind": kind, "version": version, "status": status, "name": name, "tag": tag, "category": category, "creator": creator,
        "latest": latest,
    }  # fmt: skip
    return reply(await listing(request, "definitions", filters, limit, cursor, wait_for))


@get("/definitions/{id:str}", summary="Get a definition")
async def get_definition(request: ApiRequest, id: str, wait_for: WaitFor = None) -> Response[Any]:
    """By key, or by process id (the newest version), with all its versions."""
    return reply(await _find(services_of(request), request, id, wait_for))


@get("/definitions/{id:str}/source", summary="The model as it was deployed")
async def source(request: ApiRequest, id: str) -> Response[Any]:
    s = services_of(request)
    content, name = await source_of(s, request, id)
    kind = "application/xml" if content.lstrip().startswith("<") else "text/plain"
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name) or "model"
    disposition = f'attachment; filename="{safe}"'
    return Response(utf8(content), media_type=f"{kind}; charset=utf-8", headers={"Content-Disposition": disposition})


async def source_of(s: Services, request: ApiRequest, id: str) -> tuple[str, str]:
    """Content and file name."""
    await _find(s, request, id)
    found = await s.reads.source(id, s.identify(request).tenant)
    if found is None:
        raise Problem(RejectionCode.NOT_FOUND, f"definition {id} has no source")
    return found["content"], found["name"]


@get("/definitions/{id:str}/diff", summary="What changed between two versions")
async def diff(request: ApiRequest, id: str, to: Annotated[str, Parameter(description="key of the other version")]) -> Response[Any]:
    """Elements and flows that were added, removed or changed; `changes` says in which fields, of root elements as well; `text` is the difference of the
    texts (unified)."""
    s = services_of(request)
    (old, old_name), (new, new_name) = await source_of(s, request, id), await source_of(s, request, to)
    found = await asyncio.to_thread(compare, old, old_name, new, new_name)
    return reply({"from": id, "to": to, **found})


def compare(old: str, old_name: str, new: str, new_name: str) -> dict[str, Any]:
    from flowledger.api.models import elements_of
    from flowledger.kernel.model import read
    from flowledger.kernel.model.diff import diff as changes_of

    a, b = read(utf8(old), old_name)[0], read(utf8(new), new_name)[0]
    before, after = elements_of(utf8(old), old_name), elements_of(utf8(new), new_name)
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="", n=2)
    return {
        "added": [after[k] for k in after if k not in before],
        "removed": [before[k] for k in before if k not in after],
        "changed": [{"id": k, "from": before[k], "to": after[k]} for k in after if k in before and before[k] != after[k]],
        "changes": changes_of(a, b) if a is not None and b is not None else [],
        "text": "\n".join(lines),
    }


@put("/definitions/{id:str}", summary="Edit a draft")
async def edit(request: ApiRequest, id: str, data: ContentBody) -> Response[Any]:
    """Drafts only: a published version is frozen; deploy the next one instead."""
    s = services_of(request)
    command = ChangeDefinition(key=key_of(id, "definition"), move="draft", content=data.content, reason=data.reason)
    return reply(answer_view(await s.call(command, request)))


@delete("/definitions/{id:str}", status_code=200, summary="Hide a definition")
async def remove(request: ApiRequest, id: str, reason: str = "") -> Response[Any]:
    """It can't be started any more and is not listed; its events stay. Refused while instances run."""
    command = ChangeDefinition(key=key_of(id, "definition"), move="delete", reason=reason)
    return reply(answer_view(await services_of(request).call(command, request)))


@post("/definitions/{id:str}/{move:str}", status_code=200, summary="Move a definition on")
async def change(request: ApiRequest, id: str, move: Move, data: ReasonBody | None = None) -> Response[Any]:
    """`move`: validate, publish, deprecate, archive or draft."""
    command = ChangeDefinition(key=key_of(id, "definition"), move=move, reason=data.reason if data else "")
    return reply(answer_view(await services_of(request).call(command, request)))


HANDLERS: list[Any] = [create, list_definitions, get_definition, source, diff, edit, remove, change]
