"""Health and figures of a process without API (owners, projector, gRPC): a small ASGI application at the root, nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from flowledger.infra.telemetry import Telemetry


class Probes:
    """Args:
    client: of the owners; None: this process doesn't talk to them.
    parts: what doesn't work of the rest of this process, name -> why.
    executes: ready means that commands are taken; else that all parts work.
    figures: /metrics is answered. With sign-in it is only where the settings open it: nobody can sign in here.
    """

    def __init__(
        self, client: Any, telemetry: Telemetry, parts: Callable[[], dict[str, str]], executes: bool, figures: bool = True
    ) -> None:
        self.client, self.telemetry, self.parts, self.executes, self.figures = client, telemetry, parts, executes, figures

    def ready(self) -> tuple[int, dict[str, Any]]:
        owner = self.client.health()
        owner["reasons"] = [self.telemetry.hidden(text) for text in owner.get("reasons") or ()]
        parts = {name: self.telemetry.hidden(why) for name, why in self.parts().items()}
        execution = bool(owner.get("ready"))
        ok = execution if self.executes else not parts
        status = "not ready" if not ok else "degraded" if parts else "ready"
        reasons = (list(owner["reasons"]) if self.executes else []) + list(parts.values())
        body: dict[str, Any] = {
            "status": status,
            "parts": {name: {"ok": False, "why": why} for name, why in parts.items()},
            "reasons": reasons,
        }
        if self.executes:
            body["execution"] = execution
            body["parts"]["owners"] = {"ok": execution, "why": "; ".join(owner["reasons"])}
            body["partitions"] = {str(p): v for p, v in (owner.get("partitions") or {}).items()}
        return (200 if ok else 503), body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path, status, kind = scope["path"], 200, "application/json"
        if scope["method"] not in ("GET", "HEAD"):
            status, body = 405, b'{"status":405,"title":"only GET and HEAD"}'
        elif path == "/health/live":
            body = json.dumps({"status": "live", "uptime_s": round(time.monotonic() - self.telemetry.started, 3)}).encode()
        elif path == "/health/ready":
            status, found = self.ready()
            body = json.dumps(found).encode()
        elif path == "/metrics" and not self.figures:
            status, body = (
                403,
                b'{"status":403,"title":"figures of a process without API are shown with FLOWLEDGER_METRICS_OPEN=true only"}',
            )
        elif path == "/metrics":
            accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
            body, kind = await self.telemetry.figures(accept)
        else:
            status, body = 404, b'{"status":404,"title":"this process has no API: /health/live, /health/ready and /metrics are all"}'
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
        if status == 503:
            headers.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
