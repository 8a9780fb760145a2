"""The first look at each HTTP request, when its head was read and nothing was done for it yet: under overload it is refused there and then.

A refusal costs a twentieth of a request, so that what is let in has the loop to itself. Health and figures are always answered.
What says that it is unimportant: `Priority: u=4` to `u=7` (RFC 9218).
"""

from __future__ import annotations

import json
import socket
from functools import lru_cache
from math import ceil
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flowledger.api.acceptor import Acceptor
from flowledger.api.queue import LoopQueue, retry_ms, told, unimportant
from flowledger.processors.admission import LOW, NEW, RUNNING

NEW_PATHS = frozenset({b"/v1/instances", b"/v1/messages", b"/v1/signals", b"/v1/tasks", b"/v1/deployments", b"/v1/decisions/evaluate"})
ARRIVED = "flowledger_arrived"


def class_of(method: bytes, path: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    if method != b"POST" or path not in NEW_PATHS:
        return RUNNING
    for name, value in headers:
        if name == b"priority":
            return LOW if unimportant(value.decode("latin-1")) else NEW
    return NEW


@lru_cache(maxsize=256)
def refusal(waited: float, kind: int, close: bool) -> bytes:
    """The whole answer; many are alike, when the delay is told in tenths of a second."""
    after_ms = retry_ms(waited)
    body = json.dumps(
        {
            "type": "about:blank", "title": "Too much at once", "status": 429, "code": "RESOURCE_EXHAUSTED",
            "detail": told(waited, kind), "retry_after_ms": after_ms,
        }
    ).encode()  # fmt: skip
    return (
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\ncache-control: no-store\r\n"
        b"retry-after: %d\r\n%s\r\n%s" % (len(body), -(-after_ms // 1000), b"connection: close\r\n" if close else b"", body)
    )


def entrance(queue: LoopQueue, telemetry: Any) -> type[HttpToolsProtocol]:
    """uvicorn's protocol with the look in front. `Entered` is to wrap the application."""
    refusals: dict[bytes, Any] = {}

    def counted(method: bytes) -> None:
        if (found := refusals.get(method)) is None:
            found = refusals[method] = telemetry.metrics.http.labels(method.decode("latin-1"), "refused", "429")
        found.inc()

    class Arrivals(HttpToolsProtocol):
        _refused = False

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._refused = False
            queue.read()

        def on_headers_complete(self) -> None:
            if queue.tight and self._look():
                return
            super().on_headers_complete()

        def _look(self) -> bool:
            """Refused. One that came behind another on this connection (pipelining) waits for that one's answer: it is let in."""
            path = self.url.partition(b"?")[0]
            if not path.startswith(b"/v1/") or self.parser.should_upgrade():
                return False
            if self.pipeline or (self.cycle is not None and not self.cycle.response_complete):
                return False
            method = self.parser.get_method()
            if method == b"OPTIONS":  # what may be asked is told at once
                return False
            kind = class_of(method, path, self.headers)
            waited = queue.refusal(kind)
            if not waited:
                return False
            # who waits for "100 Continue" may now send the body or not: what comes next on this connection nobody can tell
            self._last = self.expect_100_continue or self.parser.get_http_version() == "1.0" or not self.parser.should_keep_alive()
            self._refused = True
            self.transport.write(refusal(ceil(waited * 10) / 10, kind, self._last))
            counted(method)
            if self._last:
                self.transport.close()
            return True

        def on_body(self, body: bytes) -> None:
            if not self._refused:
                super().on_body(body)

        def on_message_complete(self) -> None:
            if not self._refused:
                super().on_message_complete()
            elif not self._last:
                self.on_response_complete()

        def _start_asgi_task(self, cycle: Any, app: Any) -> None:
            cycle.scope[ARRIVED] = True
            queue.waits()
            super()._start_asgi_task(cycle, app)

    return Arrivals


class Entered:
    """Wraps the application: a request's turn has come."""

    def __init__(self, app: Any, queue: LoopQueue) -> None:
        self.app, self._queue = app, queue

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get(ARRIVED):
            self._queue.entered()
        await self.app(scope, receive, send)


class HttpServer(uvicorn.Server):
    """uvicorn on sockets that listen already, by our own acceptor; signals are the process's own affair."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        config = self.config

        def protocol() -> Any:
            return config.http_protocol_class(config=config, server_state=self.server_state, app_state=self.lifespan.state)  # type: ignore[call-arg]

        self.servers = [Acceptor(each, protocol) for each in sockets or ()]  # type: ignore[misc]
