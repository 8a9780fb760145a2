"""`GET /v1/connectors`: which connectors there are, and their templates."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.lists import DefinitionCursor
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.api.view import definition_view
from flowledger.connectors.catalogue import CONFIGS
from flowledger.connectors.templates import template
from flowledger.connectors.uses import Use, uses
from flowledger.events.base import RejectionCode
from flowledger.kernel.model.connectors import ALIASES, PREFIX
from flowledger.kernel.model.encodings import utf8

Definitions = Annotated[int, Parameter(ge=1, le=200, description="Processes that are looked through")]
Templates = Annotated[bool, Parameter(description="true: each with its element template")]
NamePath = Annotated[str, Parameter(max_length=100, description="Name of a connector, such as http")]


class ElementTemplate(msgspec.Struct, kw_only=True, rename={"schema": "$schema"}):
    """As `@camunda/zeebe-element-templates-json-schema` describes it."""

    schema: str
    name: str
    id: str
    version: int
    description: str
    category: dict[str, str]
    appliesTo: list[str]
    elementType: dict[str, str]
    groups: list[dict[str, str]]
    properties: list[dict[str, Any]]


class ConnectorRow(msgspec.Struct, kw_only=True):
    """`aliases`: other job types that mean the same. `template`: in a list that was asked for them."""

    name: str
    title: str
    description: str
    job_type: str
    aliases: list[str]
    template: ElementTemplate | None = None


def _row(name: str) -> dict[str, Any]:
    config = CONFIGS.get(name)
    if config is None:
        raise Problem(RejectionCode.NOT_FOUND, f"expected a connector ({', '.join(CONFIGS)}), found none of the name {name[:100]!r}")
    aliases = [alias for alias, job_type in ALIASES.items() if job_type == PREFIX + name]
    title, text = str(config.model_config.get("title") or name), (config.__doc__ or "").strip()
    return {"name": name, "title": title, "description": text, "job_type": PREFIX + name, "aliases": aliases}


@get("/connectors", summary="List connectors", tags=["connectors"])
async def list_connectors(request: ApiRequest, templates: Templates = False) -> Response[a.Page[ConnectorRow]]:
    """Those that this version has, whether or not a process works on them."""
    services_of(request).identify(request)
    return reply({"items": [_row(name) | ({"template": template(name)} if templates else {}) for name in CONFIGS], "cursor": None})


@get("/connectors/{name:str}", summary="Get a connector", tags=["connectors"])
async def get_connector(request: ApiRequest, name: NamePath) -> Response[ConnectorRow]:
    services_of(request).identify(request)
    return reply(_row(name))


@get("/connectors/{name:str}/template", summary="Element template of a connector", tags=["connectors"])
async def get_template(request: ApiRequest, name: NamePath) -> Response[ElementTemplate]:
    """For Camunda's modelers, made of the connector's configuration."""
    services_of(request).identify(request)
    _row(name)
    return reply(template(name))


@get("/connectors/{name:str}/uses", summary="Where a connector is used", tags=["connectors"])
async def list_uses(request: ApiRequest, name: NamePath, cursor: DefinitionCursor = None, limit: Definitions = 50) -> Response[a.Page[Use]]:
    """Task by task of the newest versions of the tenant's processes, `limit` processes a page, with the names of the secrets that each refers to."""
    s = services_of(request)
    tenant = s.identify(request).tenant
    _row(name)
    page = await s.reads.list("definitions", {"kind": "process", "latest": "true"}, limit, cursor or "", tenant)
    found: list[dict[str, Any]] = []
    for row in map(definition_view, page["items"]):
        source = await s.reads.source(row["id"], tenant)
        if source is None or row["status"] not in ("published", "deprecated"):
            continue
        for use in await asyncio.to_thread(uses, utf8(source["content"]), source["name"], name):
            if use["process"] == row["definition_id"]:
                found.append(use | {"definition": row["id"], "version": row["version"]})
    return reply({"items": found, "cursor": page["cursor"], "position": page["position"]})


HANDLERS: list[Any] = [list_connectors, get_connector, get_template, list_uses]
