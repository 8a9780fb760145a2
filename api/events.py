"""Events as they happen: server-sent events and a WebSocket on the same path, with the same filters, resumable.

Each event comes with `cursor`: the place in all partitions up to and including it. Who comes back with `position=<cursor>` (SSE does so
by itself, in `Last-Event-ID`) misses nothing. Delivery is at least once; an event's `id` never changes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from litestar import Response, WebSocket, get, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.params import Parameter
from litestar.response import Stream

from flowledger.api.access.changes import REGISTRY
from flowledger.api.access.door import IDENTITY
from flowledger.api.access.known import Identity
from flowledger.api.closing import first
from flowledger.api.edge import ApiRequest, encode, key_of, position_of, position_text
from flowledger.api.instance_of import Definitions
from flowledger.api.instance_views import Types, types_of
from flowledger.api.lists import POSITION_PATTERN, Definition, KeyFilter
from flowledger.api.problems import Problem
from flowledger.api.services import Services, services_of
from flowledger.api.view import event_view
from flowledger.events import wire
from flowledger.events.base import Recorded, RejectionCode
from flowledger.events.operations import Operation
from flowledger.kernel.tasks.saved_views import REGISTRY as VIEWS

HEARTBEAT_S = 15.0
#: before the owner of a partition is asked again (seconds)
OWNER_S = 0.5

PositionParam = Annotated[
    str | None,
    Parameter(
        schema_extra={"pattern": rf"^(start|{POSITION_PATTERN[1:-1]})$"},
        description="After this position; `start`: from the beginning; none: from now on",
    ),
]


class Filter(msgspec.Struct):
    """Which events a subscriber wants. Empty: all."""

    tenant: str = ""
    instance: int = 0
    definition: int = 0
    process: str = ""
    task: int = 0
    types: frozenset[str] = frozenset()


def filter_of(tenant: str, definition: str | None, instance: str | None, task: str | None, type: str | None) -> Filter:
    definition = definition or ""
    by_key = definition.isascii() and definition.isdigit()
    return Filter(
        tenant=tenant,
        instance=key_of(instance, "query instance") if instance else 0,
        definition=key_of(definition, "query definition") if by_key else 0,
        process="" if by_key else definition,
        task=key_of(task, "query task") if task else 0,
        types=frozenset(types_of(type)),
    )


class Subscription:
    """Batches of matching events, in order per partition; an empty batch is a sign of life."""

    def __init__(self, s: Services, wanted: Filter, position: str, identity: Identity | None = None) -> None:
        """`identity`: behind which it stands; when that ends, so does this."""
        self.s, self.wanted, self.identity = s, wanted, identity
        #: who came in by which key is for those who may see users
        self.accounts = identity is None or "users:read" in identity.rights
        #: what people look for is theirs
        self.views = identity is None or "directory:write" in identity.rights
        #: who asked for what from where is for those who may see operations
        self.operations = identity is None or "operations:read" in identity.rights
        if identity is not None and s.door is not None:
            s.door.known.hold(identity)
        known = {int(p): v.get("position") or 0 for p, v in (s.client.health().get("partitions") or {}).items()}
        #: partition -> next offset
        self.next = {p: known.get(p, 0) for p in range(s.client.partitions)}
        self.exact = len(known) >= s.client.partitions
        self.given = bool(position)
        if position == "start":
            self.next = dict.fromkeys(self.next, 0)
        elif position:
            for partition, offset in position_of(position, "query position").items():
                if partition not in self.next:
                    known_to = f"there are partitions 0 to {s.client.partitions - 1}, found {partition}"
                    raise Problem(RejectionCode.INVALID_ARGUMENT, known_to, where="query position")
                self.next[partition] = offset + 1
        by_definition = wanted.definition or wanted.process
        most = s.settings.subscription_s_max
        self.end = time.monotonic() + most if most else math.inf
        self.definitions = Definitions(s.client, wanted.tenant, self.next) if by_definition else None

    @property
    def cursor(self) -> str:
        return position_text({p: n - 1 for p, n in self.next.items() if n > 0})

    def _matches(self, r: Recorded) -> bool:
        w, e = self.wanted, r.event
        definition, process = self.definitions.of(r) if self.definitions is not None else (0, "")
        if r.envelope.tenant != w.tenant or (w.types and wire.NAMES[type(e)] not in w.types):
            return False
        if not self.accounts and (getattr(e, "registry", "") == REGISTRY or (isinstance(e, Operation) and e.kind == "account")):
            return False
        if not self.operations and isinstance(e, Operation):
            return False
        if not self.views and getattr(e, "registry", "") == VIEWS:
            return False
        if w.instance and e.key != w.instance:
            return False
        if w.task and getattr(e, "task", 0) != w.task and w.task not in (getattr(e, "tasks", None) or ()):
            return False
        return (not w.definition or definition == w.definition) and (not w.process or process == w.process)

    async def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        source = self.s.client.events(dict(self.next) if self.given or self.exact else None)
        stream = source.__aiter__()
        closing = asyncio.ensure_future(first(self.s.closing, self.identity.ended) if self.identity is not None else self.s.closing.wait())
        coming: asyncio.Future[Any] | None = None
        try:
            while not closing.done() and (left := self.end - time.monotonic()) > 0:
                if coming is None:
                    coming = asyncio.ensure_future(anext(stream))
                await asyncio.wait({coming, closing}, timeout=min(HEARTBEAT_S, left), return_when=asyncio.FIRST_COMPLETED)
                if closing.done():
                    return
                if not coming.done():
                    yield []
                    continue
                try:
                    batch = coming.result()
                except StopAsyncIteration:
                    return
                coming = None
                while self.definitions is not None:
                    learning = asyncio.ensure_future(self.definitions.learn(batch))
                    try:  # it may have to look far back: who waits hears that it goes on
                        while not learning.done():
                            await asyncio.wait({learning, closing}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
                            if closing.done():
                                return
                            if not learning.done():
                                yield []
                        learning.result()
                        break
                    except ConnectionError:  # the owner is on its way to another node: nothing is skipped for that
                        yield []
                        await asyncio.sleep(OWNER_S)
                    finally:
                        learning.cancel()
                found = []
                for r in batch:
                    if r.offset < self.next.get(r.partition, 0):
                        continue
                    self.next[r.partition] = r.offset + 1
                    if self._matches(r):
                        found.append({**event_view(r), "cursor": self.cursor})
                if found:
                    yield found
        finally:
            closing.cancel()
            if coming is not None:
                coming.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await coming
            if hasattr(stream, "aclose"):
                await stream.aclose()


class Seat:
    """One of a bounded number of open subscriptions."""

    def __init__(self, s: Services, kind: str) -> None:
        self.s, self.gauge = s, s.telemetry.metrics.subscribers.labels(kind)
        if s.subscribers >= s.settings.subscribers_max:
            raise Problem(
                RejectionCode.RESOURCE_EXHAUSTED, f"{s.subscribers} subscriptions are open, more aren't allowed", retry_after_ms=5000
            )

    def __enter__(self) -> None:
        self.s.subscribers += 1
        self.gauge.inc()

    def __exit__(self, *_: object) -> None:
        self.s.subscribers -= 1
        self.gauge.dec()


@get(
    "/events",
    summary="Events as they happen",
    media_type="text/event-stream",
    gives=("text/event-stream", "application/problem+json"),
    raises=[],
)
async def stream(
    request: ApiRequest,
    position: PositionParam = None,
    definition: Definition = None,
    instance: KeyFilter = None,
    task: KeyFilter = None,
    type: Types = None,
) -> Response[str]:
    """Server-sent events (the header `Last-Event-ID` goes before `position`): `event` is the type, `id` the cursor,
    `data` the event as JSON. A comment every 15 s keeps the line open. Where the operator bounds how long (`subscription_s_max`) it ends,
    and whoever comes back with `Last-Event-ID`, as browsers do, misses nothing."""
    s = services_of(request)
    wanted = filter_of(s.identify(request).tenant, definition, instance, task, type)
    if position == "":
        position_of(position, "query position")
    subscription = Subscription(s, wanted, request.headers.get("last-event-id") or position or "", request.scope.get(IDENTITY))  # type: ignore[arg-type]
    seat = Seat(s, "sse")
    request.scope["flowledger_long"] = True  # type: ignore[typeddict-unknown-key]

    async def lines() -> AsyncIterator[bytes]:
        with seat:
            yield f"retry: 2000\nid: {subscription.cursor}\nevent: subscribed\ndata: {{}}\n\n".encode()
            async for batch in subscription.batches():
                if not batch:
                    yield b": still here\n\n"
                for e in batch:
                    yield b"id: " + e["cursor"].encode() + b"\nevent: " + e["type"].encode() + b"\ndata: " + encode(e) + b"\n\n"

    return Stream(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})  # type: ignore[return-value]


@websocket("/events")
async def socket(
    socket: WebSocket[Any, Any, Any], position: str = "", definition: str = "", instance: str = "", task: str = "", type: str = ""
) -> None:
    """One JSON text per event; `{"type": "subscribed", "cursor": ...}` first. What the client sends is ignored; a close ends it."""
    s = services_of(socket)
    await socket.accept()
    try:
        wanted = filter_of(s.identify(socket).tenant, definition, instance, task, type or None)
        subscription = Subscription(s, wanted, position, socket.scope.get(IDENTITY))  # type: ignore[arg-type]
        seat = Seat(s, "websocket")
    except Problem as p:
        await socket.send_text(encode({"type": "problem", **p.body("/v1/events")}).decode())
        await socket.close(code=4429 if p.status == 429 else 4400, reason=p.detail[:120])
        return
    with seat:
        await socket.send_text(encode({"type": "subscribed", "cursor": subscription.cursor}).decode())
        sending, hearing = asyncio.ensure_future(_send(socket, subscription)), asyncio.ensure_future(_hear(socket))
        done, _ = await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
        for each in (sending, hearing):
            each.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await each
        if sending in done:
            why = "the server is going down" if s.closing.is_set() else "its time is over: come back with the last cursor"
            with suppress(WebSocketDisconnect, RuntimeError):
                await socket.close(code=1001, reason=why)


async def _send(socket: WebSocket[Any, Any, Any], subscription: Subscription) -> None:
    async for batch in subscription.batches():
        for e in batch:
            await socket.send_text(encode(e).decode())


async def _hear(socket: WebSocket[Any, Any, Any]) -> None:
    with suppress(WebSocketDisconnect):
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass


HANDLERS: list[Any] = [stream, socket]
