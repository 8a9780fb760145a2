"""A client's connection: gRPC calls on HTTP/2 (`protocol`, on the library `h2`).

Ours is what a call is: one request message, one or many replies, trailers; deadlines; and the limits against misuse. What a client sends is
given back to its window only when the message is taken, so that half-sent ones hold no more than one window. All that one turn of the event
loop has to say goes out in one write.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Any, cast

from google.protobuf.message import DecodeError
from h2 import events as ev
from h2.errors import ErrorCodes
from h2.exceptions import H2Error, ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from flowledger.api.acceptor import Acceptor
from flowledger.api.access.certificates import shown_by
from flowledger.api.grpc.gateway import MESSAGE_BYTES_MAX, NEW_CALLS, PORT, Connection, Gateway, Method, Server
from flowledger.api.grpc.messages import MESSAGE_HEAD, REPLY_HEAD, Head, message, trailers
from flowledger.api.grpc.protocol import Http2, literals
from flowledger.api.grpc.status import DEADLINE_EXCEEDED, INTERNAL, RESOURCE_EXHAUSTED, UNAVAILABLE, Refused
from flowledger.api.grpc.streams import Stream
from flowledger.api.queue import LIMITS_S, retry_ms, told, unimportant
from flowledger.logs import log
from flowledger.processors.admission import LOW, NEW, RUNNING

log_ = log("grpc")

#: how an answer begins and ends when all is well
REPLY_BLOCK, WELL_BLOCK = literals(*REPLY_HEAD), literals(*trailers(0, ""))
#: what a client may send on one call before we take it: one message and its frame
STREAM_WINDOW = MESSAGE_BYTES_MAX + 65_536
#: on all calls of a connection together: what half-sent messages can hold of our memory
CONNECTION_WINDOW = 16 * 1024 * 1024
CONCURRENT_CALLS_MAX = 1_000
FRAME_BYTES_MAX = 16_384
CONNECTIONS_MAX = 2_000
#: of a call's headers, as HTTP/2 counts them; twice that ends the connection
HEADER_BYTES_MAX = 65_536
#: control frames, resets and empty frames that a connection may send within `FLOOD_S` seconds
FLOOD_MAX, FLOOD_S = 10_000, 10.0
#: SETTINGS are so many: each goes through all calls
SETTINGS_WEIGHT = 10
#: a client that broke the protocol may read so long why, unheard
FAREWELL_S = 1.0
#: a silent connection is asked after so many seconds, and closed after twice as many
SILENCE_S = 30.0
#: a message must come whole within this time
REQUEST_S = 60.0


def class_of(head: Head) -> int:
    if head.method is None or head.method.name not in NEW_CALLS:
        return RUNNING
    return LOW if unimportant(head.metadata.get("priority", "")) else NEW


class Flood(Exception):
    """More of what costs us than a client needs."""


class H2(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, gateway: Gateway, open_: set[H2]) -> None:
        self.gateway, self._open = gateway, open_
        self.loop = asyncio.get_running_loop()
        self.streams: dict[int, Stream] = {}
        self.connection = Connection("")
        self.h2 = Http2({
            SettingCodes.MAX_CONCURRENT_STREAMS: CONCURRENT_CALLS_MAX, SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_BYTES_MAX,
        }, 2 * HEADER_BYTES_MAX)  # fmt: skip
        self._flushing = False
        self._waiters: list[asyncio.Future[None]] = []
        self._paused = False
        self._heard = True
        self._asked = False
        self._alive: asyncio.TimerHandle | None = None
        self._flood, self._flood_since = 0, self.loop.time()
        self.closing = False
        #: it broke the protocol: nothing more is heard
        self._deaf = False
        self.running = False
        self._peer, self._counted = "", False

    # --- transport ----------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's isn't a subclass
        if len(self._open) >= CONNECTIONS_MAX:
            self.closing = True
            self.transport.abort()
            return
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        if (rates := self.gateway.rates) is not None and rates.connections_max and self._peer:
            if rates.opened(self._peer, "grpc") is not None:
                self.closing = True
                self.transport.abort()
                return
            self._counted = True
        self.connection.address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer or "")
        self.connection.whose = self._peer
        self.connection.shown = shown_by(transport)
        self._open.add(self)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        self._write()
        self._alive = self.loop.call_later(SILENCE_S, self._still_there)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        self.closing = True
        if self._counted and self.gateway.rates is not None:
            self._counted = False
            self.gateway.rates.closed(self._peer)
        if self._alive is not None:
            self._alive.cancel()
        for stream in list(self.streams.values()):
            self._drop(stream)
        self._wake()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        """Who doesn't read our answers isn't heard either: what we owe it stays bounded."""
        self._paused = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self.transport.resume_reading()
        self._wake()

    def _still_there(self) -> None:
        if self._heard:
            self._asked = False
        elif self._asked:
            self.transport.abort()
            return
        else:
            self._asked = True
            self.h2.ping(b"flowledg")
            self._write()
        self._heard = False
        self._alive = self.loop.call_later(SILENCE_S, self._still_there)

    def _write(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        data = self.h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for w in waiters:
            if not w.done():
                w.set_result(None)

    def _close(self) -> None:
        self._flush()
        self.transport.close()

    # --- reading ------------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if not self.gateway.queue.defer(self, data):
            self.take(data)

    @property
    def whose(self) -> str:
        return self.connection.whose

    def pause(self) -> None:
        self.transport.pause_reading()

    def resume(self) -> None:
        if not self._paused:
            self.transport.resume_reading()

    def take(self, data: bytes) -> None:
        if self._deaf or self.transport.is_closing():
            return
        self._heard = True
        try:
            for event in self.h2.receive_data(data):
                on = self._ON.get(type(event))
                if on is not None:
                    on(self, event)
        except Flood as e:
            self.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM, str(e).encode())
            self._farewell(str(e))
        except ProtocolError as e:  # the library has said GOAWAY with its code
            self._farewell(str(e))
        else:
            self._write()

    def _farewell(self, why: str) -> None:
        """GOAWAY is said. Closing at once would take it from a client that is still sending: the system answers unread bytes with a reset."""
        log_.info("closing a connection", client=self.connection.address, why=why)
        self.closing = self._deaf = True
        for stream in list(self.streams.values()):
            self._drop(stream)
        self._flush()
        self.loop.call_later(FAREWELL_S, self.transport.close)

    def _count(self, event: Any = None, weight: int = 1) -> None:
        """Frames that cost us work and the client nothing."""
        self._flood += weight
        if self._flood > FLOOD_MAX:
            now = self.loop.time()
            if now - self._flood_since < FLOOD_S:
                raise Flood(f"more than {FLOOD_MAX} control frames in {FLOOD_S:g} s")
            self._flood, self._flood_since = 0, now

    def _on_request(self, event: ev.RequestReceived) -> None:
        id_ = event.stream_id
        head = Head(cast(Any, event.headers))
        if self.closing:
            self._count()
            self.h2.reset_stream(id_, ErrorCodes.REFUSED_STREAM)
            return
        if head.http_status != 200:
            self.h2.send_headers(id_, [(":status", str(head.http_status))], end_stream=True)
            if event.stream_ended is None:
                self.h2.reset_stream(id_, ErrorCodes.NO_ERROR)
            return
        stream = self.streams[id_] = Stream(id_, head)
        if head.size > HEADER_BYTES_MAX:
            self._refuse(stream, RESOURCE_EXHAUSTED, f"expected headers up to {HEADER_BYTES_MAX} bytes, found {head.size}")
            return
        if (refused := head.refusal()) is not None:
            self._refuse(stream, refused.status, refused.message, refused.retry_ms)
            return
        rates = self.gateway.rates
        if rates is not None and rates.addresses is not None:
            address = rates.address_of(self._peer, head.metadata.get("x-forwarded-for", ""))
            if (often := rates.arrived(address, "grpc")) is not None:
                self._refuse(stream, RESOURCE_EXHAUSTED, often.detail, often.retry_after_ms)
                return
        queue = self.gateway.queue
        queue.read()
        if queue.tight:
            kind = class_of(head)
            self.running = kind == RUNNING
            if waited := queue.refusal(kind, self.whose):
                self._refuse(stream, RESOURCE_EXHAUSTED, told(waited, kind), retry_ms(waited))
                return
        stream.late = self.loop.call_later(REQUEST_S, self._stalled, stream)
        if head.timeout_s >= 0:
            stream.deadline = self.loop.call_later(head.timeout_s, self._too_late, stream)

    def _on_data(self, event: ev.DataReceived) -> None:
        stream = self.streams.get(event.stream_id)
        size = event.flow_controlled_length
        if stream is None or stream.ended:  # it was on its way when the call ended
            self._give_back(event.stream_id, size)
            return
        if not event.data:
            self._count()
        stream.held += size
        stream.data += event.data
        if len(stream.data) > MESSAGE_BYTES_MAX + 5:
            self._refuse(stream, RESOURCE_EXHAUSTED, f"gRPC message exceeds maximum size {MESSAGE_BYTES_MAX}: {len(stream.data)}")

    def _give_back(self, id_: int, size: int) -> None:
        if size:
            self.h2.acknowledge_received_data(size, id_)

    def _on_ended(self, event: ev.StreamEnded) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None or stream.ended:
            return
        stream.ended = True
        if stream.late is not None:
            stream.late.cancel()
        self._give_back(stream.id, stream.held)
        stream.held = 0
        method = stream.head.method
        assert method is not None
        try:
            request = method.request_type.FromString(message(stream.data, stream.head.encoding))
        except DecodeError:
            self._refuse(stream, INTERNAL, f"expected a {method.request_type.__name__}, found bytes that aren't one")
            return
        except Refused as e:
            self._refuse(stream, e.status, e.message, e.retry_ms)
            return
        stream.data = bytearray()
        stream.waiting = True
        stream.since = self.gateway.queue.waits()
        run = self._unary(stream, method, request) if method.unary is not None else self._stream(stream, method, request)
        stream.task = self.loop.create_task(run)

    def _on_reset(self, event: ev.StreamReset) -> None:
        self._count()
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            self._drop(stream)

    def _on_window(self, event: ev.WindowUpdated | ev.RemoteSettingsChanged) -> None:
        self._count(event, SETTINGS_WEIGHT if isinstance(event, ev.RemoteSettingsChanged) else 1)
        if self._waiters:
            self._wake()

    def _on_goaway(self, event: ev.ConnectionTerminated) -> None:
        self.closing = True
        if not self.streams:
            self._close()

    _ON: dict[type[ev.Event], Any] = {
        ev.RequestReceived: _on_request,
        ev.DataReceived: _on_data,
        ev.StreamEnded: _on_ended,
        ev.StreamReset: _on_reset,
        ev.WindowUpdated: _on_window,
        ev.RemoteSettingsChanged: _on_window,
        ev.SettingsAcknowledged: _count,
        ev.PingReceived: _count,
        ev.PingAckReceived: _count,
        ev.PriorityUpdated: _count,
        ev.UnknownFrameReceived: _count,
        ev.ConnectionTerminated: _on_goaway,
    }

    # --- calls --------------------------------------------------------------------------------------------------------------

    def _entered(self, stream: Stream) -> float:
        """How long it waited, when that was too long for something; else 0."""
        if not stream.waiting:
            return 0.0
        stream.waiting = False
        return self.gateway.queue.entered(stream.since)

    async def _unary(self, stream: Stream, method: Method, request: Any) -> None:
        if (waited := self._entered(stream)) and (kind := class_of(stream.head)) != RUNNING and waited > LIMITS_S[kind]:
            self._refuse(stream, RESOURCE_EXHAUSTED, told(waited, kind), retry_ms(waited))
            return
        try:
            reply = await self.gateway.unary(method, request, stream.head.metadata, self.connection)
            if self._answer(stream, reply):
                return
            await self._send(stream, [reply])
        except Refused as e:
            self._refuse(stream, e.status, e.message, e.retry_ms)
        except ConnectionError:
            return
        except asyncio.CancelledError:
            if stream.ending is None:
                raise
            self._refuse(stream, *stream.ending)
        else:
            self._refuse(stream, 0, "")

    async def _stream(self, stream: Stream, method: Method, request: Any) -> None:
        self._entered(stream)
        try:
            await self.gateway.stream(method, request, stream.head.metadata, self.connection, lambda messages: self._send(stream, messages))
        except Refused as e:
            self._refuse(stream, e.status, e.message, e.retry_ms)
        except ConnectionError:
            return
        except asyncio.CancelledError:
            if stream.ending is None:
                raise
            self._refuse(stream, *stream.ending)
        else:
            self._refuse(stream, 0, "")

    def _answer(self, stream: Stream, reply: Any) -> bool:
        """The whole answer in one go, where the client's windows have room and nothing was said before. False: nothing is said."""
        if self._paused or not stream.ended or stream.head_sent or self.streams.get(stream.id) is not stream or self.transport.is_closing():
            return False
        raw = reply.SerializeToString()
        if not self.h2.answer(stream.id, REPLY_BLOCK, MESSAGE_HEAD.pack(0, len(raw)) + raw, WELL_BLOCK):
            return False
        stream.head_sent = True
        self._flood = max(0, self._flood - 2)  # it may give back both windows
        self._write()
        self._done(stream)
        return True

    async def _send(self, stream: Stream, messages: Sequence[Any]) -> None:
        """Within the client's windows. Raises: ConnectionError, when the call is gone."""
        parts: list[bytes] = []
        for m in messages:
            raw = m.SerializeToString()
            parts += (MESSAGE_HEAD.pack(0, len(raw)), raw)
        data = b"".join(parts)
        self._here(stream)
        if not stream.head_sent:
            stream.head_sent = True
            self.h2.send_headers(stream.id, REPLY_HEAD)
            self._write()
        pos, end = 0, len(data)
        while pos < end:
            self._here(stream)
            n = 0 if self._paused else min(end - pos, self.h2.local_flow_control_window(stream.id), self.h2.max_outbound_frame_size)
            if n <= 0:
                waiter = self.loop.create_future()
                self._waiters.append(waiter)
                await waiter
                continue
            self.h2.send_data(stream.id, data[pos : pos + n])
            self._flood = max(0, self._flood - 2)  # it may give back both windows
            self._write()
            pos += n

    def _here(self, stream: Stream) -> None:
        if self.streams.get(stream.id) is not stream or self.transport.is_closing():
            raise ConnectionResetError("the client has left")

    def _refuse(self, stream: Stream, status: int, message: str, retry_ms: int = 0) -> None:
        """End the call with a status (0: well)."""
        if self.streams.get(stream.id) is not stream:
            return
        try:
            block = trailers(status, message, retry_ms)
            self.h2.send_headers(stream.id, block if stream.head_sent else REPLY_HEAD + block, end_stream=True)
            if not stream.ended:  # the client needn't send the rest
                self.h2.reset_stream(stream.id, ErrorCodes.NO_ERROR)
        except H2Error as e:  # the connection ended meanwhile: nobody hears it
            log_.debug("a call has nobody to answer", client=self.connection.address, why=str(e))
        self._write()
        self._done(stream)

    def _done(self, stream: Stream) -> None:
        self.streams.pop(stream.id, None)
        self._entered(stream)  # it may have been cancelled before its turn
        for timer in (stream.deadline, stream.late):
            if timer is not None:
                timer.cancel()
        if stream.held and not self.closing:
            # the stream is closed: what it held goes back to the connection's window alone
            self._give_back(stream.id, stream.held)
            stream.held = 0
        if self.closing and not self.streams and not self._deaf:
            self._close()

    def _drop(self, stream: Stream) -> None:
        """The client has left the call."""
        self._done(stream)
        if stream.task is not None:
            stream.task.cancel()
        self._wake()

    def _too_late(self, stream: Stream) -> None:
        self._end(stream, DEADLINE_EXCEEDED, "Deadline exceeded")

    def _stalled(self, stream: Stream) -> None:
        self._end(stream, DEADLINE_EXCEEDED, f"the message did not come within {REQUEST_S:g} s")

    def _end(self, stream: Stream, status: int, message: str) -> None:
        """End a call from our side."""
        stream.ending = (status, message)
        if stream.task is None or stream.task.done():
            self._refuse(stream, status, message)
        else:
            stream.task.cancel()

    def shut(self) -> None:
        """No new calls. Open streams end with UNAVAILABLE, so that their clients go elsewhere; other calls may finish."""
        if not self.closing:
            self.closing = True
            self._flush()
            # the library can say GOAWAY only when nothing may follow; calls in hand still get their answers
            goaway = GoAwayFrame(0, last_stream_id=self.h2.highest_inbound_stream_id)
            if not self.transport.is_closing():
                self.transport.write(goaway.serialize())
        for stream in list(self.streams.values()):
            if stream.head.method is not None and stream.head.method.stream is not None:
                self._end(stream, UNAVAILABLE, "the gateway is going down")
        if not self.streams:
            self._close()


async def listen(
    gateway: Gateway, host: str = "127.0.0.1", port: int = PORT, *, tls: ssl.SSLContext | None = None, sock: socket.socket | None = None
) -> Server:
    """On `sock` if it is given (bound already). `port` 0 takes a free one; `gateway.port` says which. `tls` offers ALPN `h2`.

    Raises: OSError."""
    if tls is not None:
        tls.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    open_: set[H2] = set()
    if sock is None:
        sock = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024)
    gateway.host, gateway.port = host, sock.getsockname()[1]
    server = Acceptor(sock, lambda: H2(gateway, open_), tls)

    async def close(grace_s: float) -> None:
        server.close()
        end = loop.time() + grace_s
        while True:
            for connection in list(open_):  # also one that was just taken: nobody would end it any more
                if not connection.closing:
                    connection.shut()
            if not (open_ or server.taking) or loop.time() >= end:
                break
            await asyncio.sleep(0.01)
        for connection in list(open_):
            connection.transport.abort()
        await asyncio.sleep(0)

    return Server(gateway.port, close)
