"""Is it alive, is it ready? At the root, not below /v1, and without sign-in."""

from __future__ import annotations

import time
from typing import Any

from litestar import Response, get

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.services import services_of


@get("/health/live", summary="The process runs", tags=["health"])
async def live(request: ApiRequest) -> Response[a.Live]:
    return reply({"status": "live", "uptime_s": round(time.monotonic() - services_of(request).telemetry.started, 3)})


@get("/health/ready", summary="It can work", tags=["health"])
async def ready(request: ApiRequest) -> Response[a.Health]:
    """200 when the owner has its partitions and the projections answer; else 503 with the reasons.

    With PostgreSQL away, execution goes on, but queries can't be answered: that is not ready, and `execution` stays true.
    """
    s = services_of(request)
    owner = s.client.health()
    reasons = list(owner.get("reasons") or ())
    why = await s.reads.health()
    queries = [why] if why else []
    execution = bool(owner.get("ready")) and not s.closing.is_set()
    if s.closing.is_set():
        reasons.append("the server is going down")
    ok = execution and not queries
    body = {
        "status": "ready" if ok else "not ready",
        "execution": execution,
        "queries": not queries,
        "reasons": [s.telemetry.hidden(text) for text in reasons + queries],
        "warnings": list(owner.get("warnings") or ()),
        "partitions": {str(p): v for p, v in (owner.get("partitions") or {}).items()},
    }
    return reply(body, 200 if ok else 503, **({} if ok else {"Retry_After": "1"}))


HANDLERS: list[Any] = [live, ready]
