"""The first look at each HTTP request, before anything costs: one that has waited too long for its turn is refused at once.

Under overload the queue is in the event loop itself: requests are read as they come and handled one after the other. `Arrivals` notes when a
request was read, and what it has waited until it is looked at is the measured delay of that queue (CoDel's sojourn time, RFC 8289).
A refusal costs a tenth of a request, so the queue gets shorter. What begins something new goes first, before that what says that it is
unimportant (`Priority: u=4` to `u=7`, RFC 9218); work on what runs goes last. Health and figures are always answered. One slow moment is no
overload: a delay must stand for a whole interval, with no request below the limit, before the first is refused (RFC 8289, 4.2).
"""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flowledger.processors.admission import LOW, NEW, RETRY_MS, RUNNING

#: the longest delay at which each class is let in (seconds)
LIMITS_S = {RUNNING: 1.0, NEW: 0.15, LOW: 0.05}
#: so long every request must have waited too long before one is refused (seconds)
INTERVAL_S = 0.3
NEW_PATHS = frozenset({"/v1/instances", "/v1/messages", "/v1/signals", "/v1/tasks", "/v1/deployments", "/v1/decisions/evaluate"})
ARRIVED = "flowledger_arrived"


class Arrivals(HttpToolsProtocol):
    """uvicorn's protocol that notes when each request was read."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[ARRIVED] = perf_counter()  # type: ignore[literal-required]


def class_of(scope: Any) -> int:
    if scope["method"] != "POST" or scope["path"] not in NEW_PATHS:
        return RUNNING
    for name, value in scope["headers"]:
        if name == b"priority":
            for part in value.split(b","):
                if part.strip()[:2] == b"u=" and part.strip()[2:3] in (b"4", b"5", b"6", b"7"):
                    return LOW
    return NEW


class Entrance:
    """Wraps the application. `refused(status)` counts."""

    def __init__(self, app: Any, telemetry: Any) -> None:
        self.app = app
        self._count = telemetry.metrics.http
        #: class -> since when each of its requests has waited too long
        self._since: dict[int, float] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (arrived := scope.get(ARRIVED)) is not None:
            now = perf_counter()
            waited = now - arrived
            if waited > LIMITS_S[LOW] and scope["path"].startswith("/v1/"):
                kind = class_of(scope)
                limit = LIMITS_S[kind]
                if waited <= limit:
                    self._since.pop(kind, None)
                elif now - self._since.setdefault(kind, now) >= INTERVAL_S:
                    await self._refuse(send, waited, limit)
                    self._count.labels(scope["method"], "refused", "429").inc()
                    return
            elif self._since:
                self._since.clear()
        await self.app(scope, receive, send)

    @staticmethod
    async def _refuse(send: Any, waited: float, limit: float) -> None:
        after_ms = min(RETRY_MS[1], max(1000, int(waited * 2000)))
        body = json.dumps(
            {
                "type": "about:blank", "title": "Too much at once", "status": 429, "code": "RESOURCE_EXHAUSTED",
                "detail": f"the server is busy: the request waited {waited:.2f} s, requests of this kind are taken up to {limit} s",
                "retry_after_ms": after_ms,
            }
        ).encode()  # fmt: skip
        headers = [
            (b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store"),
            (b"retry-after", b"%d" % -(-after_ms // 1000)),
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": body})
