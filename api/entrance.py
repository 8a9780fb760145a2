"""The first look at each HTTP request, when its head was read and nothing was done for it yet: under overload it is refused there and then.

A refusal costs a twentieth of a request, so that what is let in has the loop to itself. Health and figures are always answered.
What says that it is unimportant: `Priority: u=4` to `u=7` (RFC 9218). A head that is no request, is too large or doesn't come whole is answered
here too, with a problem as all else, and its connection is closed.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import sys
from functools import lru_cache
from http import HTTPStatus
from math import ceil
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flowledger.api.acceptor import Acceptor
from flowledger.api.access.certificates import SHOWN, shown_by
from flowledger.api.problems import MEDIA_TYPE, Problem, encode_problem, malformed
from flowledger.api.queue import LIMITS_S, LoopQueue, retry_ms, told, unimportant
from flowledger.api.rates import Rates
from flowledger.api.slices import PEER
from flowledger.processors.admission import LOW, NEW, RUNNING

NEW_PATHS = frozenset({b"/v1/instances", b"/v1/messages", b"/v1/signals", b"/v1/tasks", b"/v1/deployments", b"/v1/decisions/evaluate"})
ARRIVED = "flowledger_arrived"
#: of a request's line and headers
HEAD_BYTES_MAX = 65_536
HEADERS_MAX = 200
#: they must come whole within this time
HEAD_S = 60.0
#: whoever is refused may read so long why, unheard: closing at once takes it from who is still sending
FAREWELL_S = 1.0


def class_of(method: bytes, path: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    if method != b"POST" or path not in NEW_PATHS:
        return RUNNING
    for name, value in headers:
        if name == b"priority":
            return LOW if unimportant(value.decode("latin-1")) else NEW
    return NEW


@lru_cache(maxsize=256)
def refusal(waited: float, kind: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body; many are alike, when the delay is told in tenths of a second."""
    after_ms = retry_ms(waited)
    body = json.dumps(
        {
            "type": "about:blank", "title": "Too much at once", "status": 429, "code": "RESOURCE_EXHAUSTED",
            "detail": told(waited, kind), "retry_after_ms": after_ms,
        }
    ).encode()  # fmt: skip
    return [
        (b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store"),
        (b"retry-after", b"%d" % -(-after_ms // 1000)),
    ], body  # fmt: skip


@lru_cache(maxsize=256)
def refused(waited: float, kind: int, close: bool) -> bytes:
    """The whole answer, as it goes on the wire."""
    headers, body = refusal(waited, kind)
    lines = [b"%s: %s\r\n" % header for header in (*headers, *([(b"connection", b"close")] if close else ()))]
    return b"".join((b"HTTP/1.1 429 Too Many Requests\r\n", *lines, b"\r\n", body))


def tenths(seconds: float) -> float:
    return ceil(seconds * 10) / 10


_TOO_LARGE = Problem(
    "HEAD_TOO_LARGE",
    f"at most {HEADERS_MAX} headers, and {HEAD_BYTES_MAX} bytes with the request's line, were expected, found more",
    status=431,
)
_HOST = re.compile(rb"(\[[0-9a-f:.%]+\]|[a-z0-9._~%!$&'()*+,;=-]*)(:[0-9]{0,5})?")
#: of a target in absolute form (RFC 9112, 3.2.2)
_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


#: whoever looks after the server is answered always
ANY_TIME = (b"/health/", b"/metrics")


def _lines(problem: Problem) -> bytes:
    return b"".join(b"%s: %s\r\n" % (name.lower().encode(), value.encode()) for name, value in problem.headers().items())


def _whole(problem: Problem, close: bool = False) -> bytes:
    """The answer as it goes on the wire."""
    body = encode_problem(problem, "")
    return b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\ncache-control: no-store\r\n%s%s\r\n%s" % (
        problem.status, HTTPStatus(problem.status).phrase.encode(), MEDIA_TYPE.encode(), len(body), _lines(problem),
        b"connection: close\r\n" if close else b"", body,
    )  # fmt: skip


def _why() -> str:
    """Of the parser's error under way."""
    return str(sys.exc_info()[1] or "")[:200] or "malformed"


def entrance(queue: LoopQueue, telemetry: Any, rates: Rates | None = None, believed: bool = True) -> type[HttpToolsProtocol]:
    """uvicorn's protocol with the look in front. `Entered` is to wrap the application. `rates`: how often one address may ask; `believed`: the
    tenant is whom a caller names, as without sign-in; else the door tells it once it knows (`PEER`)."""
    by_address = rates is not None and rates.addresses is not None
    #: whom a caller names has its limit looked at here: what a flood sends costs the others more the later it is turned away
    by_tenant = believed and rates is not None and rates.tenants is not None
    refusals: dict[tuple[bytes, str], Any] = {}

    def counted(method: bytes, status: str = "429") -> None:
        if (found := refusals.get((method, status))) is None:
            found = refusals[method, status] = telemetry.metrics.http.labels(method.decode("latin-1"), "refused", status)
        found.inc()

    class Arrivals(HttpToolsProtocol):
        _refused = False
        #: bytes since a head began; -1: none is under way
        _head = -1
        _late: asyncio.TimerHandle | None = None
        _deaf = False
        _counted = False
        running = False
        #: for whom the last request was: its tenant, an address until that is known
        whose = ""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.whose = self.client[0] if self.client is not None else ""
            if (shown := shown_by(transport)) is not None:
                self.app_state = {**self.app_state, SHOWN: shown}  # goes along with each request, and with a socket
            if rates is not None and rates.connections_max and self.client is not None:
                if (problem := rates.opened(self.client[0], "http")) is not None:
                    self._answer(problem)
                    return
                self._counted = True
            self._late = self.loop.call_later(HEAD_S, self._too_late)

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            if self._counted and rates is not None and self.client is not None:
                rates.closed(self.client[0])
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if not queue.defer(self, data):
                self.take(data)

        def pause(self) -> None:
            self.transport.pause_reading()

        def resume(self) -> None:
            if not self.flow.read_paused:
                self.transport.resume_reading()

        def take(self, data: bytes) -> None:
            if self._deaf or self.transport.is_closing():
                return
            super().data_received(data)
            if self._head >= 0:
                self._head += len(data)
                if self._head > HEAD_BYTES_MAX + len(data):
                    self._answer(_TOO_LARGE)

        def _in_time(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _too_late(self) -> None:
            """Nobody waits for what never comes; to who has said nothing there is nothing to say."""
            if self._head > 0:
                self._answer(Problem("TIMEOUT", f"the head of a request was expected within {HEAD_S:g} s, found a part of it", status=408))
            else:
                self.transport.close()

        def send_400_response(self, msg: str) -> None:
            self._answer(malformed(f"a request of HTTP/1.1 was expected, found what can't be read as one ({_why()})", "head"))

        def _answer(self, problem: Problem) -> None:
            """The last on this connection. Behind an answer that has begun nothing can be said."""
            cycle = self.cycle
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True  # whoever is at work on it hears that nobody listens
                cycle.message_event.set()
            if cycle is None or cycle.response_complete or not cycle.response_started:
                body = encode_problem(problem, "")
                self.transport.write(
                    b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\ncache-control: no-store\r\n%sconnection: close\r\n\r\n%s"
                    % (problem.status, HTTPStatus(problem.status).phrase.encode(), MEDIA_TYPE.encode(), len(body), _lines(problem), body)
                )
            counted(b"other", str(problem.status))
            self._deaf = True
            self._in_time()
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self.loop.call_later(FAREWELL_S, self.transport.close)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._refused = False
            self._head = 0
            if self._late is None:
                self._late = self.loop.call_later(HEAD_S, self._too_late)
            queue.read()

        def on_headers_complete(self) -> None:
            self._head = -1
            self._in_time()
            if (problem := self._wrong()) is not None:
                self._refused = self._last = True
                self._answer(problem)
                return
            if by_address and self._too_often():
                return
            if by_tenant and self._spent():
                return
            if queue.tight and self._look():
                return
            super().on_headers_complete()

        def _too_often(self) -> bool:
            """Refused. One that came behind another (pipelining) ends the connection: nothing can be said before that one's answer."""
            if rates is None or self.client is None or self.url.startswith(ANY_TIME):
                return False
            forwarded = ", ".join(value.decode("latin-1") for name, value in self.headers if name == b"x-forwarded-for")
            if (problem := rates.arrived(rates.address_of(self.client[0], forwarded), "http")) is None:
                return False
            if self._behind():
                self._refused = self._last = True
                self._answer(problem)
                return True
            self._turned_away(_whole(problem), _whole(problem, close=True))
            counted(self.parser.get_method())
            return True

        def _behind(self) -> bool:
            """Nothing can be said to this one now: it came behind another whose answer is under way, or will be something else than HTTP."""
            return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete) or self.parser.should_upgrade()

        def _spent(self) -> bool:
            """Refused, since its tenant may send no more for now. What this can't tell is told by the guard."""
            if rates is None or not self.url.startswith(b"/v1/") or self._behind():
                return False
            if (problem := rates.spent(self.whose, "http")) is None:
                return False
            self._turned_away(_whole(problem), _whole(problem, close=True))
            counted(self.parser.get_method())
            return True

        def _turned_away(self, answer: bytes, last: bytes) -> None:
            # who waits for "100 Continue" may now send the body or not: what comes next on this connection nobody can tell
            self._last = self.expect_100_continue or self.parser.get_http_version() == "1.0" or not self.parser.should_keep_alive()
            self._refused = True
            self.transport.write(last if self._last else answer)
            if self._last:
                self.transport.close()

        def _wrong(self) -> Problem | None:
            """What RFC 9112 forbids and the parser lets pass."""
            size, hosts, tenant = len(self.url), [], b""
            for name, value in self.headers:
                size += len(name) + len(value) + 4
                if name == b"host":
                    hosts.append(value.lower())
                elif name == b"x-tenant":
                    tenant = value
            if believed:
                self.whose = tenant.decode("latin-1")
            if size > HEAD_BYTES_MAX or len(self.headers) > HEADERS_MAX:
                return _TOO_LARGE
            version = self.parser.get_http_version()
            if version not in ("1.1", "1.0"):
                return malformed(f"HTTP/1.1 was expected, found HTTP/{version}", "head")
            if len(hosts) != 1 and (hosts or version == "1.1"):
                return malformed(f"one Host was expected, found {len(hosts)}", "header Host")
            if hosts and not _HOST.fullmatch(hosts[0]):
                return malformed(f"a name and maybe a port were expected, found {hosts[0].decode('latin-1')[:80]!r}", "header Host")
            if not self.url.startswith((b"/", b"*")) and hosts and (found := _AUTHORITY.match(self.url)) and found[1].lower() != hosts[0]:
                return malformed(f"the Host of the target was expected, found {hosts[0].decode('latin-1')[:80]!r}", "header Host")
            return None

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
            self.running = kind == RUNNING
            waited = queue.refusal(kind, self.whose)
            if not waited:
                return False
            self._turned_away(refused(tenths(waited), kind, False), refused(tenths(waited), kind, True))
            counted(method)
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
            scope = cycle.scope
            scope[ARRIVED], scope[PEER] = queue.waits(), self
            super()._start_asgi_task(cycle, app)

    return Arrivals


class Entered:
    """Wraps the application: a request's turn has come. One that begins something new and waited too long in a crowd is refused now: those
    behind it waited too, and whoever sent it may have given up."""

    def __init__(self, app: Any, queue: LoopQueue, telemetry: Any) -> None:
        self.app, self._queue = app, queue
        self._counted = telemetry.metrics.http.labels("POST", "refused", "429")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if (since := scope.get(ARRIVED)) is not None and (waited := self._queue.entered(since)):
            kind = class_of(scope["method"].encode(), scope["raw_path"], scope["headers"])
            if kind != RUNNING and waited > LIMITS_S[kind]:
                headers, body = refusal(tenths(waited), kind)
                await send({"type": "http.response.start", "status": 429, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                self._counted.inc()
                return
        await self.app(scope, receive, send)


class HttpServer(uvicorn.Server):
    """uvicorn on sockets that listen already, by our own acceptor; signals are the process's own affair."""

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(config)
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        config = self.config

        def protocol() -> Any:
            return config.http_protocol_class(config=config, server_state=self.server_state, app_state=self.lifespan.state)  # type: ignore[call-arg]

        self.servers = [Acceptor(each, protocol, self._tls) for each in sockets or ()]  # type: ignore[misc]
