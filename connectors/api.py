"""`GET /v1/connectors`: which connectors there are, and their templates."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.connectors.catalogue import CONFIGS
from flowledger.connectors.templates import template
from flowledger.events.base import RejectionCode
from flowledger.kernel.model.connectors import ALIASES, PREFIX

NamePath = Annotated[str, Parameter(max_length=100, description="Name of a connector, such as http")]


class ConnectorRow(msgspec.Struct, kw_only=True):
    """`aliases`: other job types that mean the same."""

    name: str
    title: str
    description: str
    job_type: str
    aliases: list[str]


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


def _row(name: str) -> dict[str, Any]:
    config = CONFIGS.get(name)
    if config is None:
        raise Problem(RejectionCode.NOT_FOUND, f"expected a connector ({', '.join(CONFIGS)}), found none of the name {name[:100]!r}")
    aliases = [alias for alias, job_type in ALIASES.items() if job_type == PREFIX + name]
    title, text = str(config.model_config.get("title") or name), (config.__doc__ or "").strip()
    return {"name": name, "title": title, "description": text, "job_type": PREFIX + name, "aliases": aliases}


@get("/connectors", summary="List connectors", tags=["connectors"])
async def list_connectors(request: ApiRequest) -> Response[a.Page[ConnectorRow]]:
    """Those that this version has, whether or not a process works on them."""
    services_of(request).identify(request)
    return reply({"items": [_row(name) for name in CONFIGS], "cursor": None})


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


HANDLERS: list[Any] = [list_connectors, get_connector, get_template]
