"""The outermost layer of each request: who may ask from where, correlation, span, metrics, security headers, HEAD.

A server on loopback is still reachable by web pages in the user's browser. So a request from another web origin is refused, and so is
one to a name that isn't ours (DNS rebinding). Probes and figures answer to any name: whoever asks them knows an address only.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from flowledger.api.access.door import CLEAR, IDENTITY, SAFE, Door
from flowledger.api.access.door import HEADERS as READ
from flowledger.api.access.known import Identity
from flowledger.api.problems import MEDIA_TYPE, Problem, encode_problem, malformed
from flowledger.api.rates import Rates
from flowledger.api.refusals import shown_path
from flowledger.api.veil import Veil, why_of
from flowledger.infra.settings import LOOPBACK
from flowledger.processors.client import TRACEPARENT

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
#: from a port that speaks TLS alone: for a year browsers come to this name by nothing else (RFC 6797)
ALWAYS_TLS = (b"strict-transport-security", b"max-age=31536000")
#: for answers of the API itself; pages of the console bring their own
API_POLICY = [(b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"), (b"cache-control", b"no-store")]
CORRELATION = re.compile(r"[\x21-\x7e]{1,200}")
#: probes come to the address of a pod, under a name that no setting knows
ANY_HOST = ("/health/", "/metrics")
#: methods that a span and a figure may be named by; whoever makes up others makes up no figures
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: of which RFC 9110 knows one value
SINGLE = frozenset((b"host", b"content-type", b"content-length", b"authorization", b"idempotency-key", b"origin", b"last-event-id"))
ENDED = "who you were is not known any more: sign in again"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN = re.compile(rb"[A-Za-z0-9/._~=&-]*")


def _bare(host: str) -> str:
    """Without port and brackets."""
    return host.rsplit("]", 1)[0].lstrip("[") if host.startswith("[") else host.rsplit(":", 1)[0]


def _twice(fields: list[tuple[bytes, bytes]]) -> str:
    """The name of a header that has one value and stands twice: which counts, nobody can tell. Empty: none."""
    names = [name for name, _ in fields if name in SINGLE]
    return next((name.decode() for name in names if names.count(name) > 1), "")


def unreadable(scope: Any) -> Problem | None:
    """A path or query that is no text: bytes that aren't UTF-8, or control characters, which no name or value of ours has."""
    for where, raw in (("path", scope.get("raw_path") or b""), ("query", scope.get("query_string") or b"")):
        if not raw or _PLAIN.fullmatch(raw):
            continue
        try:
            text = unquote_to_bytes(raw).decode("utf-8")
        except UnicodeDecodeError as e:
            return malformed(f"text in UTF-8 was expected, found the byte 0x{e.object[e.start]:02x}", where)
        if found := _CONTROL.search(text):
            return malformed(f"text without control characters was expected, found U+{ord(found[0]):04X}", where)
    return None


class Guard:
    """Wraps the application. `services` has the settings and the telemetry."""

    def __init__(self, app: ASGIApp, services: Any) -> None:
        self.app, self.services = app, services
        self.veil = Veil(services)
        #: with sign-in: who comes in
        self.door: Door | None = getattr(services, "door", None)
        rates = getattr(services, "rates", None)
        self.rates: Rates | None = rates if rates is not None and rates.by_caller else None
        settings = services.settings
        self.tls = bool(settings.tls_cert_file)
        self.hosts = frozenset(settings.hosts) or (frozenset((*LOOPBACK, settings.host)) if settings.loopback else None)
        self.origins = frozenset(settings.origins)

    def refused(self, scope: Any, headers: dict[bytes, bytes]) -> Problem | None:
        if len(headers) != len(scope["headers"]) and (twice := _twice(scope["headers"])):
            return malformed("given twice", f"header {twice}")
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self.hosts is not None and host and _bare(host) not in self.hosts and not scope["path"].startswith(ANY_HOST):
            return Problem("WRONG_HOST", f"this server answers to {', '.join(sorted(self.hosts))}, not to {_bare(host)}", status=421)
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin and origin not in self.origins and (origin == "null" or urlsplit(origin).netloc != host):
            return Problem("FORBIDDEN", f"the web origin {origin} isn't allowed to call this server (setting `origins`)")
        return unreadable(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-correlation-id", b"").decode("latin-1")
        correlation = given if given and CORRELATION.fullmatch(given) else os.urandom(16).hex()
        traceparent = headers.get(b"traceparent", b"").decode("latin-1").strip()
        traceparent = traceparent if traceparent and TRACEPARENT.fullmatch(traceparent) else ""
        problem = self.refused(scope, headers)
        if self.door is not None:
            scope[READ] = headers  # type: ignore[literal-required]
        elif problem is None and self.rates is not None and scope["path"].startswith("/v1/"):
            # nobody signs in: a name is what its caller says, so this is for fairness alone
            tenant = headers.get(b"x-tenant", b"")
            if said := headers.get(b"x-actor"):
                problem = self.rates.called((said, tenant), "http")
            problem = problem or self.rates.for_tenant(tenant.decode("latin-1"), "http")
        if scope["type"] == ScopeType.WEBSOCKET:
            scope["flowledger_correlation"], scope["flowledger_trace"] = correlation, traceparent  # type: ignore[typeddict-unknown-key]
            if problem is None and self.door is not None:
                problem = await self.door.socket(scope, headers)
            if problem is not None:
                await _refuse(scope, send, problem)
                return
            identity: Identity | None = scope.get(IDENTITY)  # type: ignore[assignment]
            veiled = self.veil.over(scope, send)
            if identity is None:
                await self.app(scope, receive, veiled)
            else:
                await _while_known(self.app, scope, receive, veiled, identity)
            return
        if (why := headers.get(b"x-clear-text")) is not None and problem is None:
            try:
                scope[CLEAR] = why_of(why.decode("latin-1"))  # type: ignore[literal-required]
            except Problem as p:
                problem = p
        await self._http(scope, receive, self.veil.over(scope, send), problem, correlation, traceparent)

    async def _http(self, scope: Any, receive: Receive, send: Send, problem: Problem | None, correlation: str, traceparent: str) -> None:
        # 499: the caller left before there was an answer
        telemetry, status, began = self.services.telemetry, 499, time.perf_counter()
        scope["flowledger_correlation"] = correlation

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                fields = message["headers"] = list(message.get("headers", ()))
                if status in (204, 405):
                    fields = message["headers"] = [(n, _methods(v) if n.lower() == b"allow" else v) for n, v in fields]
                present = {name.lower() for name, _ in fields}
                more = [*HEADERS, (b"x-correlation-id", correlation.encode("latin-1"))]
                if scope.get("flowledger_trace") and telemetry.tracer.on:
                    more.append((b"traceparent", scope["flowledger_trace"].encode()))
                if self.tls:
                    more.append(ALWAYS_TLS)
                if b"cache-control" not in present:  # pages and files of the console say their own
                    more += API_POLICY
                fields.extend((n, v) for n, v in more if n not in present)
            await send(message)

        method = scope["method"] if scope["method"] in METHODS else "other"
        with telemetry.tracer.span(method, traceparent, method=method) as span:
            scope["flowledger_trace"] = span.traceparent
            if problem is not None:
                body = encode_problem(problem, scope["path"])
                kind = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
                kind += [(k.lower().encode(), v.encode()) for k, v in problem.headers().items()]
                await sent({"type": "http.response.start", "status": problem.status, "headers": kind})
                await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body, "more_body": False})
            elif method == "HEAD":
                await _head(self.app, scope, receive, sent)
            elif method == "OPTIONS" and not any(name == b"access-control-request-method" for name, _ in scope["headers"]):
                await _options(self.app, scope, receive, sent)
            else:
                await self.app(scope, receive, sent)
            route = scope.get("path_template") or "other"
            span.named(f"{method} {route}")  # the template, known only after routing: names must be few
            span.set(**{"http.route": route, "http.response.status_code": status})
        if status >= 403 and problem is None and method not in SAFE:
            self.services.refusals.http(scope, status, self.services.identify if self.door is None else self.services.nobody)
        telemetry.metrics.http.labels(method, route, str(status)).inc()
        client, path = scope.get("client"), shown_path(scope["path"])
        telemetry.access.done(
            status >= 500, began, method=method, path=path[:200], status=status, correlation=correlation, client=client[0] if client else ""
        )
        if not scope.get("flowledger_long"):  # long polls and subscriptions take as long as they take
            telemetry.metrics.http_seconds.labels(method, route).observe(time.perf_counter() - began)


async def _refuse(scope: Any, send: Send, problem: Problem) -> None:
    """A WebSocket that is not opened: as an answer of HTTP where the server can, else by its close code."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        fields = [
            (b"content-type", MEDIA_TYPE.encode()),
            *HEADERS,
            *((k.lower().encode(), v.encode()) for k, v in problem.headers().items()),
        ]
        await send({"type": "websocket.http.response.start", "status": problem.status, "headers": fields})
        await send({"type": "websocket.http.response.body", "body": encode_problem(problem, scope["path"]), "more_body": False})
    else:
        await send({"type": "websocket.close", "code": 4000 + problem.status, "reason": problem.detail[:120]})


async def _while_known(app: ASGIApp, scope: Any, receive: Receive, send: Send, identity: Identity) -> None:
    """A socket, until the identity behind it ends: for the application it is then as if the client had left."""
    ended = asyncio.ensure_future(identity.ended.wait())
    coming: asyncio.Future[Any] | None = None

    async def received() -> Any:
        nonlocal coming
        if coming is None:
            coming = asyncio.ensure_future(receive())
        await asyncio.wait({coming, ended}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return {"type": "websocket.disconnect", "code": 4401, "reason": ENDED}
        found, coming = coming, None
        return found.result()

    try:
        await app(scope, received, send)
        if ended.done():
            with suppress(Exception):  # it may be closed already
                await send({"type": "websocket.close", "code": 4401, "reason": ENDED})
    finally:
        for each in (ended, coming):
            if each is not None:
                each.cancel()


def _methods(allow: bytes) -> bytes:
    """Whoever may GET may HEAD; a socket is no method."""
    found = [m for m in allow.split(b", ") if m.isupper()]
    return b", ".join(found + [b"HEAD"] * (b"GET" in found))


async def _as(method: str, app: ASGIApp, scope: Any, receive: Receive, send: Send) -> None:
    """With another method. The server keeps the scope as it came: by it, it knows that no body follows a HEAD."""
    inner: Any = {**scope, "method": method}
    try:
        await app(inner, receive, send)
    finally:
        scope.update({name: value for name, value in inner.items() if name != "method"})


async def _options(app: ASGIApp, scope: Any, receive: Receive, send: Send) -> None:
    """What may be done here, from the router: it says so to whoever comes with a method that nobody has."""
    if scope["path"] == "*":  # of the server as a whole (RFC 9110, 9.3.7)
        await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", ", ".join(sorted(METHODS)).encode())]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    answered = False

    async def allowed(message: Message) -> None:
        nonlocal answered
        if message["type"] == "http.response.start" and message["status"] == 405:
            answered = True
            fields = [(n, v) for n, v in message["headers"] if n.lower() == b"allow"]
            await send({"type": "http.response.start", "status": 204, "headers": fields})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif not answered:
            await send(message)

    await _as("ANY", app, scope, receive, allowed)


async def _head(app: ASGIApp, scope: Any, receive: Receive, send: Send) -> None:
    """What GET would say, without its body (RFC 9110, 9.3.2). A stream isn't run: its head is all that was asked for."""
    said = asyncio.Event()

    async def start_only(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            said.set()

    work, answered = asyncio.ensure_future(_as("GET", app, scope, receive, start_only)), asyncio.ensure_future(said.wait())
    try:
        await asyncio.wait({work, answered}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
    finally:
        for each in (work, answered):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each
