"""Prometheus text. At the root, not below /v1."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from flowledger.api.edge import ApiRequest
from flowledger.api.services import services_of


@get(
    "/metrics",
    summary="Figures for Prometheus",
    tags=["health"],
    media_type="text/plain",
    gives=("text/plain", "application/openmetrics-text"),
)
async def metrics(request: ApiRequest) -> Response[Any]:
    text, kind = await services_of(request).telemetry.figures(request.headers.get("accept", ""))
    # the framework says the charset of every text itself, and scrapers refuse a type that says it twice
    return Response(text, media_type=kind.removesuffix("; charset=utf-8") if kind.startswith("text/") else kind)


HANDLERS: list[Any] = [metrics]
