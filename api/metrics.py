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
    return Response(text, media_type=kind)


HANDLERS: list[Any] = [metrics]
