"""The outermost layer of each request: who may ask from where, correlation, span, metrics, security headers.

A server on loopback is still reachable by web pages in the user's browser. So a request from another web origin is refused, and so is
one to a name that isn't ours (DNS rebinding).
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from flowledger.api.problems import MEDIA_TYPE, Problem, encode_problem
from flowledger.infra.settings import LOOPBACK
from flowledger.processors.client import TRACEPARENT

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
#: for answers of the API itself; pages of the console bring their own
API_POLICY = [(b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"), (b"cache-control", b"no-store")]
CORRELATION = re.compile(r"[\x21-\x7e]{1,200}")


def _bare(host: str) -> str:
    """Without port and brackets."""
    return host.rsplit("]", 1)[0].lstrip("[") if host.startswith("[") else host.rsplit(":", 1)[0]


class Guard:
    def __init__(self, app: ASGIApp, services: Any) -> None:
        self.app, self.services = app, services
        settings = services.settings
        self.hosts = frozenset(settings.hosts) or (frozenset(LOOPBACK) if settings.loopback else None)
        self.origins = frozenset(settings.origins)

    def refused(self, headers: dict[bytes, bytes]) -> Problem | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self.hosts is not None and host and _bare(host) not in self.hosts:
            return Problem("WRONG_HOST", f"this server answers to {', '.join(sorted(self.hosts))}, not to {_bare(host)}", status=421)
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin and origin not in self.origins and (origin == "null" or urlsplit(origin).netloc != host):
            return Problem("FORBIDDEN", f"the web origin {origin} isn't allowed to call this server (setting `origins`)")
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-correlation-id", b"").decode("latin-1")
        correlation = given if CORRELATION.fullmatch(given) else uuid.uuid4().hex
        traceparent = headers.get(b"traceparent", b"").decode("latin-1").strip()
        traceparent = traceparent if TRACEPARENT.fullmatch(traceparent) else ""
        problem = self.refused(headers)
        if scope["type"] == "websocket":
            if problem is not None:
                await send({"type": "websocket.close", "code": 4403, "reason": problem.detail[:120]})
                return
            scope["flowledger_correlation"], scope["flowledger_trace"] = correlation, traceparent  # type: ignore[typeddict-unknown-key]
            await self.app(scope, receive, send)
            return
        await self._http(scope, receive, send, problem, correlation, traceparent)

    async def _http(self, scope: Any, receive: Receive, send: Send, problem: Problem | None, correlation: str, traceparent: str) -> None:
        telemetry, status, began = self.services.telemetry, 500, time.perf_counter()
        scope["flowledger_correlation"] = correlation

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                fields = message["headers"] = list(message.get("headers", ()))
                present = {name.lower() for name, _ in fields}
                more = HEADERS + [(b"x-correlation-id", correlation.encode("latin-1"))]
                if scope.get("flowledger_trace") and telemetry.tracer.on:
                    more.append((b"traceparent", scope["flowledger_trace"].encode()))
                if b"cache-control" not in present:  # pages and files of the console say their own
                    more += API_POLICY
                fields.extend((n, v) for n, v in more if n not in present)
            await send(message)

        method = scope["method"]
        with telemetry.tracer.span(f"{method} {scope['path'].split('/')[2:3] or ['/']}", traceparent, method=method) as span:
            scope["flowledger_trace"] = span.traceparent
            if problem is not None:
                body = encode_problem(problem, scope["path"])
                start = {"type": "http.response.start", "status": problem.status, "headers": [(b"content-type", MEDIA_TYPE.encode())]}
                await sent(start)  # type: ignore[arg-type]
                await send({"type": "http.response.body", "body": body, "more_body": False})
            else:
                await self.app(scope, receive, sent)
            route = scope.get("path_template") or "other"
            span.set(**{"http.route": route, "http.response.status_code": status})
        telemetry.metrics.http.labels(method, route, str(status)).inc()
        if not scope.get("flowledger_long"):  # long polls and subscriptions take as long as they take
            telemetry.metrics.http_seconds.labels(method, route).observe(time.perf_counter() - began)
