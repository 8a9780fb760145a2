"""HTTP/2 for gRPC calls, and for nothing else: one request message, one or many replies, trailers.

A general HTTP/2 library spends ten times longer on a small call than the engine does on the command in it. Three things make the
difference: header blocks are read once (a client repeats the same few bytes for each call, and their meaning is kept until its
compression table changes), answer headers are constants, and all that one turn of the event loop has to say goes out in one write.
Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK, read by the library `hpack`), grpc.io "gRPC over HTTP2".

Limits against misuse are constants of `http2_frames`; past them the connection is closed with GOAWAY.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
from collections.abc import Sequence
from typing import Any, cast

from google.protobuf.message import DecodeError
from hpack import Decoder, HPACKError

from flowledger.api.grpc.http2_frames import (
    ACK,
    COMPRESSION_ERROR,
    CONCURRENT_CALLS_MAX,
    CONNECTION_WINDOW,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOOD_MAX,
    FLOOD_S,
    FLOW_CONTROL_ERROR,
    FRAME_BYTES_MAX,
    FRAME_HEAD,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADER_BYTES_MAX,
    HEADERS,
    HEADS_KEPT_MAX,
    MESSAGE_HEAD,
    NO_ERROR,
    PADDED,
    PING,
    PREFACE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    REPLY_HEAD,
    REPLY_PREFIX,
    RST_STREAM,
    SETTING_FRAME,
    SETTING_HEADERS,
    SETTING_STREAMS,
    SETTING_WINDOW,
    SETTINGS,
    SILENCE_S,
    STREAM_CLOSED,
    STREAM_ID,
    STREAM_WINDOW,
    TRAILERS_OK,
    TRAILERS_PREFIX,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Head,
    Violation,
    frame,
    literal,
    message,
    trailers,
    unpadded,
)
from flowledger.api.grpc.service import MESSAGE_BYTES_MAX, Connection, Gateway, Method, Server
from flowledger.api.grpc.status import (
    DEADLINE_EXCEEDED,
    INTERNAL,
    INVALID_ARGUMENT,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    Refused,
)

log = logging.getLogger(__name__)


class Stream:
    """A call under way. `window`: bytes that the client lets us send on it."""

    __slots__ = ("data", "deadline", "ended", "ending", "head", "head_sent", "id", "task", "window")

    def __init__(self, id: int, head: Head, window: int) -> None:
        self.id, self.head, self.window = id, head, window
        self.data: bytes | bytearray = b""
        self.task: asyncio.Task[None] | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self.ended = self.head_sent = False
        #: why we cancelled it, if we did
        self.ending: tuple[int, str] | None = None


class H2(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, gateway: Gateway, open_: set[H2]) -> None:
        self.gateway, self._open = gateway, open_
        self.loop = asyncio.get_running_loop()
        self.streams: dict[int, Stream] = {}
        self.connection = Connection("")
        self._decoder = Decoder()
        self._decoder.max_header_list_size = HEADER_BYTES_MAX
        self._heads: dict[bytes, Head] = {}
        self._rest = PREFACE[:0]
        self._preface = True
        self._block: tuple[int, int, bytearray] | None = None  # (stream, flags, bytes so far) of a header block in pieces
        self._last = 0
        self._window = 65_535
        self._stream_window = 65_535
        self._frame_max = FRAME_BYTES_MAX
        self._taken = 0
        self._out: list[bytes] = []
        self._flushing = False
        self._waiters: list[asyncio.Future[None]] = []
        self._paused = False
        self._heard = True
        self._asked = False
        self._alive: asyncio.TimerHandle | None = None
        self._flood, self._flood_since = 0, self.loop.time()
        self.closing = False

    # --- transport ----------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's isn't a subclass
        peer = transport.get_extra_info("peername")
        self.connection.address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer or "")
        self._open.add(self)
        settings = ((SETTING_STREAMS, CONCURRENT_CALLS_MAX), (SETTING_WINDOW, STREAM_WINDOW), (SETTING_HEADERS, HEADER_BYTES_MAX))
        self._write(frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", k, v) for k, v in settings)))
        self._write(frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", CONNECTION_WINDOW - 65_535)))
        self._alive = self.loop.call_later(SILENCE_S, self._still_there)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        self.closing = True
        if self._alive is not None:
            self._alive.cancel()
        for stream in list(self.streams.values()):
            self._drop(stream)
        self._wake()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()

    def _still_there(self) -> None:
        if self._heard:
            self._asked = False
        elif self._asked:
            self.transport.abort()
            return
        else:
            self._asked = True
            self._write(frame(PING, 0, 0, b"flowledg"))
        self._heard = False
        self._alive = self.loop.call_later(SILENCE_S, self._still_there)

    def _write(self, data: bytes) -> None:
        self._out.append(data)
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        out = self._out
        if out:
            self._out = []
            if not self.transport.is_closing():
                self.transport.write(b"".join(out))

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for w in waiters:
            if not w.done():
                w.set_result(None)

    # --- reading ------------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self._rest:
            data = self._rest + data
        pos, end = 0, len(data)
        try:
            if self._preface:
                if end < 24:
                    if not PREFACE.startswith(data):
                        raise Violation(PROTOCOL_ERROR, "expected an HTTP/2 connection preface")
                    self._rest = data
                    return
                if not data.startswith(PREFACE):
                    raise Violation(PROTOCOL_ERROR, "expected an HTTP/2 connection preface")
                self._preface = False
                pos = 24
            unpack = FRAME_HEAD.unpack_from
            while end - pos >= 9:
                high, low, type_, flags, id_ = unpack(data, pos)
                length = high << 8 | low
                if length > FRAME_BYTES_MAX:
                    raise Violation(FRAME_SIZE_ERROR, f"expected frames up to {FRAME_BYTES_MAX} bytes, found {length}")
                stop = pos + 9 + length
                if stop > end:
                    break
                if self._block is not None and type_ != CONTINUATION:
                    raise Violation(PROTOCOL_ERROR, "expected the rest of the header block")
                if type_ < 10:
                    self._READS[type_](self, flags, id_ & 0x7FFFFFFF, data[pos + 9 : stop])
                pos = stop
            self._rest = data[pos:]
        except Violation as e:
            self._goaway(e.code, str(e))

    def _goaway(self, code: int, why: str) -> None:
        log.info("closing the connection of %s: %s", self.connection.address, why)
        self.closing = True
        self._write(frame(GOAWAY, 0, 0, struct.pack(">LL", self._last, code) + why.encode()[:200]))
        self._flush()
        self.transport.close()

    def _count(self) -> None:
        """Frames that cost us work and the client nothing."""
        self._flood += 1
        if self._flood > FLOOD_MAX:
            now = self.loop.time()
            if now - self._flood_since < FLOOD_S:
                raise Violation(ENHANCE_YOUR_CALM, "too many control frames")
            self._flood, self._flood_since = 0, now

    def _read_headers(self, flags: int, id_: int, payload: bytes) -> None:
        payload = unpadded(flags, payload)
        if flags & WITH_PRIORITY:
            payload = payload[5:]
        if flags & END_HEADERS:
            self._headers(id_, flags, payload)
        else:
            self._block = (id_, flags, bytearray(payload))

    def _read_continuation(self, flags: int, id_: int, payload: bytes) -> None:
        self._count()
        if self._block is None or self._block[0] != id_:
            raise Violation(PROTOCOL_ERROR, "a CONTINUATION frame without its HEADERS")
        _, first, block = self._block
        block += payload
        if len(block) > HEADER_BYTES_MAX:
            raise Violation(ENHANCE_YOUR_CALM, f"expected headers up to {HEADER_BYTES_MAX} bytes")
        if flags & END_HEADERS:
            self._block = None
            self._headers(id_, first, bytes(block))

    def _headers(self, id_: int, flags: int, block: bytes) -> None:
        head = self._heads.get(block)
        if head is None:
            head = self._decode(block)
        if id_ <= self._last:
            stream = self.streams.get(id_)
            if stream is not None and not stream.ended and flags & END_STREAM:  # trailers of the request: nothing in them for us
                self._request_ended(stream)
                return
            raise Violation(STREAM_CLOSED, f"headers on stream {id_}, which was used before")
        if not id_ & 1:
            raise Violation(PROTOCOL_ERROR, f"expected an odd stream number, found {id_}")
        self._last = id_
        if self.closing or len(self.streams) >= CONCURRENT_CALLS_MAX:
            self._count()
            self._write(frame(RST_STREAM, 0, id_, struct.pack(">L", REFUSED_STREAM)))
            return
        stream = self.streams[id_] = Stream(id_, head, self._stream_window)
        if head.http_status != 200:
            self.streams.pop(id_)
            self._write(frame(HEADERS, END_HEADERS | END_STREAM, id_, literal(":status", str(head.http_status))))
            self._write(frame(RST_STREAM, 0, id_, struct.pack(">L", NO_ERROR)))
        elif head.method is None:
            self._refuse(stream, UNIMPLEMENTED, f"Method not found: {head.path}")
        elif flags & END_STREAM:
            self._refuse(stream, INVALID_ARGUMENT, "expected one message, found none")
        elif head.timeout_s >= 0:
            stream.deadline = self.loop.call_later(head.timeout_s, self._too_late, stream)

    def _decode(self, block: bytes) -> Head:
        table = self._decoder.header_table
        before = (len(table.dynamic_entries), table.dynamic_entries[0] if table.dynamic_entries else None)
        try:
            head = Head(self._decoder.decode(block, raw=True))
        except HPACKError as e:
            raise Violation(COMPRESSION_ERROR, f"headers can't be read: {e}") from None
        first = table.dynamic_entries[0] if table.dynamic_entries else None
        same = len(table.dynamic_entries) == before[0] and first is before[1]
        resized = bool(block) and block[0] & 0xE0 == 0x20
        if not same or resized or len(self._heads) >= HEADS_KEPT_MAX:
            # The numbers in a block mean entries of the client's table: once that has moved, no block means what it meant.
            self._heads.clear()
        if same and not resized:
            self._heads[block] = head
        return head

    def _read_data(self, flags: int, id_: int, payload: bytes) -> None:
        n = len(payload)
        self._taken += n
        if self._taken >= CONNECTION_WINDOW // 2:
            self._write(frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", self._taken)))
            self._taken = 0
        stream = self.streams.get(id_)
        if stream is None or stream.ended:
            if id_ > self._last or id_ == 0:
                raise Violation(PROTOCOL_ERROR, f"data on stream {id_}, which isn't open")
            return  # it was on its way when the call ended
        if flags & PADDED:
            payload = unpadded(flags, payload)
        if stream.data:
            if type(stream.data) is bytes:
                stream.data = bytearray(stream.data)
            stream.data += payload
        else:
            stream.data = payload
        if len(stream.data) > MESSAGE_BYTES_MAX + 5:
            self._refuse(stream, RESOURCE_EXHAUSTED, f"gRPC message exceeds maximum size {MESSAGE_BYTES_MAX}: {len(stream.data)}")
            self._write(frame(RST_STREAM, 0, id_, struct.pack(">L", NO_ERROR)))
        elif flags & END_STREAM:
            self._request_ended(stream)
        elif not payload:
            self._count()

    def _request_ended(self, stream: Stream) -> None:
        stream.ended = True
        method = stream.head.method
        assert method is not None
        try:
            request = method.request_type.FromString(message(stream.data, stream.head.encoding))
        except DecodeError:
            self._refuse(stream, INTERNAL, f"expected a {method.request_type.__name__}, found bytes that aren't one")
            return
        except Refused as e:
            self._refuse(stream, e.status, e.message)
            return
        stream.data = b""
        run = self._unary(stream, method, request) if method.unary is not None else self._stream(stream, method, request)
        stream.task = self.loop.create_task(run)

    def _read_priority(self, flags: int, id_: int, payload: bytes) -> None:
        self._count()

    def _read_reset(self, flags: int, id_: int, payload: bytes) -> None:
        self._count()
        stream = self.streams.get(id_)
        if stream is not None:
            self._drop(stream)

    def _read_settings(self, flags: int, id_: int, payload: bytes) -> None:
        if flags & ACK:
            return
        self._count()
        if len(payload) % 6:
            raise Violation(FRAME_SIZE_ERROR, f"expected settings of 6 bytes each, found {len(payload)}")
        for key, value in struct.iter_unpack(">HL", payload):
            if key == SETTING_WINDOW:
                if value > 0x7FFFFFFF:
                    raise Violation(FLOW_CONTROL_ERROR, f"expected a window below 2^31, found {value}")
                for stream in self.streams.values():
                    stream.window += value - self._stream_window
                self._stream_window = value
            elif key == SETTING_FRAME:
                self._frame_max = min(max(value, FRAME_BYTES_MAX), 1 << 20)
        self._write(frame(SETTINGS, ACK, 0))
        self._wake()

    def _read_push(self, flags: int, id_: int, payload: bytes) -> None:
        raise Violation(PROTOCOL_ERROR, "a client can't push")

    def _read_ping(self, flags: int, id_: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise Violation(FRAME_SIZE_ERROR, "expected a PING of 8 bytes")
        if not flags & ACK:
            self._count()
            self._write(frame(PING, ACK, 0, payload))

    def _read_goaway(self, flags: int, id_: int, payload: bytes) -> None:
        self.closing = True
        if not self.streams:
            self.transport.close()

    def _read_window(self, flags: int, id_: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Violation(FRAME_SIZE_ERROR, "expected a WINDOW_UPDATE of 4 bytes")
        more = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if id_ == 0:
            self._window += more
            if not more or self._window > 0x7FFFFFFF:
                raise Violation(FLOW_CONTROL_ERROR, "a window update that makes no window")
        elif (stream := self.streams.get(id_)) is not None:
            stream.window += more
        if self._waiters:
            self._wake()

    _READS = (
        _read_data,
        _read_headers,
        _read_priority,
        _read_reset,
        _read_settings,
        _read_push,
        _read_ping,
        _read_goaway,
        _read_window,
        _read_continuation,
    )

    # --- calls --------------------------------------------------------------------------------------------------------------

    async def _unary(self, stream: Stream, method: Method, request: Any) -> None:
        try:
            reply = await self.gateway.unary(method, request, stream.head.metadata, self.connection)
        except Refused as e:
            self._refuse(stream, e.status, e.message)
            return
        except asyncio.CancelledError:
            if stream.ending is None:
                raise
            self._refuse(stream, *stream.ending)
            return
        body = reply.SerializeToString()
        n = len(body) + 5
        id_ = STREAM_ID(stream.id)
        if n <= stream.window and n <= self._window and n <= self._frame_max:
            self._window -= n
            data = FRAME_HEAD.pack(n >> 8, n & 0xFF, DATA, 0, stream.id) + MESSAGE_HEAD.pack(0, n - 5) + body
            self._write(b"".join((REPLY_PREFIX, id_, REPLY_HEAD, data, TRAILERS_PREFIX, id_, TRAILERS_OK)))
            self._done(stream)
            return
        try:
            self._write(b"".join((REPLY_PREFIX, id_, REPLY_HEAD)))
            stream.head_sent = True
            await self._data(stream, MESSAGE_HEAD.pack(0, len(body)) + body)
        except ConnectionError:
            return
        self._write(b"".join((TRAILERS_PREFIX, id_, TRAILERS_OK)))
        self._done(stream)

    async def _stream(self, stream: Stream, method: Method, request: Any) -> None:
        async def send(messages: Sequence[Any]) -> None:
            parts = []
            if not stream.head_sent:
                stream.head_sent = True
                self._write(b"".join((REPLY_PREFIX, STREAM_ID(stream.id), REPLY_HEAD)))
            for m in messages:
                raw = m.SerializeToString()
                parts.append(MESSAGE_HEAD.pack(0, len(raw)))
                parts.append(raw)
            await self._data(stream, b"".join(parts))

        try:
            await self.gateway.stream(method, request, stream.head.metadata, self.connection, send)
        except Refused as e:
            self._refuse(stream, e.status, e.message)
        except ConnectionError:
            return
        except asyncio.CancelledError:
            if stream.ending is None:
                raise
            self._refuse(stream, *stream.ending)
        else:
            self._refuse(stream, 0, "")

    async def _data(self, stream: Stream, data: bytes) -> None:
        """Within the client's windows. Raises: ConnectionError, when the call is gone."""
        pos, end = 0, len(data)
        while pos < end:
            if self.streams.get(stream.id) is not stream or self.transport.is_closing():
                raise ConnectionResetError("the client has left")
            n = min(end - pos, stream.window, self._window, self._frame_max)
            if n <= 0 or self._paused:
                waiter = self.loop.create_future()
                self._waiters.append(waiter)
                await waiter
                continue
            stream.window -= n
            self._window -= n
            self._write(frame(DATA, 0, stream.id, data[pos : pos + n]))
            pos += n

    def _refuse(self, stream: Stream, status: int, message: str) -> None:
        """End the call with a status (0: well)."""
        if self.streams.get(stream.id) is not stream:
            return
        block = trailers(status, message)
        if not stream.head_sent:
            block = REPLY_HEAD + block
        self._write(frame(HEADERS, END_HEADERS | END_STREAM, stream.id, block))
        if not stream.ended:  # the client needn't send the rest
            self._write(frame(RST_STREAM, 0, stream.id, struct.pack(">L", NO_ERROR)))
        self._done(stream)

    def _done(self, stream: Stream) -> None:
        self.streams.pop(stream.id, None)
        if stream.deadline is not None:
            stream.deadline.cancel()
        if self.closing and not self.streams:
            self._flush()
            self.transport.close()

    def _drop(self, stream: Stream) -> None:
        """The client has left the call."""
        self._done(stream)
        if stream.task is not None:
            stream.task.cancel()
        self._wake()

    def _too_late(self, stream: Stream) -> None:
        self._end(stream, DEADLINE_EXCEEDED, "Deadline exceeded")

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
            self._write(frame(GOAWAY, 0, 0, struct.pack(">LL", self._last, NO_ERROR)))
        for stream in list(self.streams.values()):
            if stream.head.method is not None and stream.head.method.stream is not None:
                self._end(stream, UNAVAILABLE, "the gateway is going down")
        if not self.streams:
            self._flush()
            self.transport.close()


async def serve(gateway: Gateway, host: str, port: int, tls: ssl.SSLContext | None, sock: socket.socket | None = None) -> Server:
    loop = asyncio.get_running_loop()
    open_: set[H2] = set()
    if sock is not None:
        server = await loop.create_server(lambda: H2(gateway, open_), sock=sock, ssl=tls, backlog=1024)
    else:
        server = await loop.create_server(lambda: H2(gateway, open_), host, port, ssl=tls, backlog=1024)
    actual = server.sockets[0].getsockname()[1]

    async def close(grace_s: float) -> None:
        server.close()
        for connection in list(open_):
            connection.shut()
        end = loop.time() + grace_s
        while open_ and loop.time() < end:
            await asyncio.sleep(0.01)
        for connection in list(open_):
            connection.transport.abort()
        await asyncio.sleep(0)

    return Server(actual, close)
