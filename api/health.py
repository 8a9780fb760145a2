"""Is it alive, is it ready, and how is each part? At the root, not below /v1, and without sign-in."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from litestar import Response, get

from flowledger.api import answers as a
from flowledger.api.dependencies import part
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.services import Services, services_of


@get("/health/live", summary="The process runs", tags=["health"])
async def live(request: ApiRequest) -> Response[a.Live]:
    return reply({"status": "live", "uptime_s": round(time.monotonic() - services_of(request).telemetry.started, 3)})


@get("/health/ready", summary="It can work", tags=["health"])
async def ready(request: ApiRequest) -> Response[a.Health]:
    """200 when commands are taken; else 503 with the reasons.

    With PostgreSQL away execution goes on and queries can't be answered: the status is `degraded`, and `parts` says which part it is.
    """
    body = await state(services_of(request))
    return reply(body) if body["execution"] else reply(body, 503, Retry_After="1")


async def state(s: Services) -> dict[str, Any]:
    """How it is: `Health`."""
    owner = s.client.health()
    reasons = [s.telemetry.hidden(text) for text in owner.get("reasons") or ()]
    found = await asyncio.gather(s.reads.health(), s.dependencies.log.why(), s.dependencies.database.why(), s.dependencies.files.why())
    why, log, database, files = (s.telemetry.hidden(text) for text in found)
    execution = bool(owner.get("ready")) and not s.closing.is_set()
    if s.closing.is_set():
        reasons.append("the server is going down")
    return {
        "status": "not ready" if not execution else "degraded" if why or log or files else "ready",
        "execution": execution,
        "queries": not why,
        "parts": {
            "owners": {"ok": not reasons, "why": "; ".join(reasons)},
            "projections": {"ok": not why, "why": why},
            "events": part(log, "kafka" if s.settings.kafka else "embedded"),
            "threads": part("; ".join(filter(None, (log, why))), "ledger"),
            "postgres": part(database, "external" if s.settings.postgres else "embedded"),
            "cache": part("", "none"),
            "files": part(files, "none" if s.blobs is None else s.settings.blobs.partition(":")[0] or "folder"),
        },
        "reasons": [*reasons, *([why] if why else []), *([f"the log: {log}"] if log else []), *([f"files: {files}"] if files else [])],
        "warnings": list(owner.get("warnings") or ()),
        "partitions": {str(p): v for p, v in (owner.get("partitions") or {}).items()},
    }


HANDLERS: list[Any] = [live, ready]
