"""`GET /v1/plugins`: which plug-ins this process has, and what can't be taken and why."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get

from flowledger import plugins
from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.services import services_of


class PluginRow(msgspec.Struct, kw_only=True):
    """An entry point of a distribution. `group`: which kind of part; `provides`: their names. `error`: why none of it is used; empty: all of it is."""

    group: str
    name: str
    distribution: str
    version: str
    provides: list[str]
    error: str


@get("/plugins", summary="Plug-ins of this process", tags=["settings"])
async def list_plugins(request: ApiRequest) -> Response[a.Page[PluginRow]]:
    """Those that the setting `plugins` takes, as they were found at the start."""
    services_of(request).identify(request)
    rows = [
        {"group": p.group, "name": p.name, "distribution": p.distribution, "version": p.version, "provides": p.provides, "error": p.error}
        for p in plugins.present()
    ]
    return reply({"items": rows, "cursor": None, "position": None})


HANDLERS: list[Any] = [list_plugins]
