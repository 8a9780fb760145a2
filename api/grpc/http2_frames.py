"""HTTP/2 and gRPC on the level of bytes: frames, header fields, the limits, one message.

Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), grpc.io "gRPC over HTTP2".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from flowledger.api.grpc.service import MESSAGE_BYTES_MAX, METHODS, Method
from flowledger.api.grpc.status import INTERNAL, RESOURCE_EXHAUSTED, UNIMPLEMENTED, Refused

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_BYTES_MAX = 16_384
#: what a client may send on one call before we take it: one message and its frame
STREAM_WINDOW = MESSAGE_BYTES_MAX + 65_536
#: on all calls of a connection together
CONNECTION_WINDOW = 16 * 1024 * 1024
CONCURRENT_CALLS_MAX = 10_000
HEADER_BYTES_MAX = 65_536
#: control frames, resets and empty frames that a connection may send within `FLOOD_S` seconds
FLOOD_MAX, FLOOD_S = 20_000, 10.0
#: a silent connection is asked after so many seconds, and closed after twice as many
SILENCE_S = 30.0
#: of the text of a refusal: clients limit all trailers together to 8 KiB
MESSAGE_CHARS_MAX = 6_000
HEADS_KEPT_MAX = 64

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM = 0, 1, 3, 5, 6, 7
CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 8, 9, 11
SETTING_TABLE, SETTING_STREAMS, SETTING_WINDOW, SETTING_FRAME, SETTING_HEADERS = 1, 3, 4, 5, 6

FRAME_HEAD = struct.Struct(">HBBBL")  # length (24 bits as 16 and 8), type, flags, stream
MESSAGE_HEAD = struct.Struct(">BL")  # compressed?, length


def frame(type_: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    n = len(payload)
    return FRAME_HEAD.pack(n >> 8, n & 0xFF, type_, flags, stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header field, literal without indexing, new name (RFC 7541, 6.2.2)."""
    return b"\x00" + _text(name.encode()) + _text(value.encode())


def _text(raw: bytes) -> bytes:
    n = len(raw)
    if n < 127:
        return bytes((n,)) + raw
    out = bytearray((127,))
    n -= 127
    while n > 127:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out) + raw


REPLY_HEAD = b"\x88" + literal("content-type", "application/grpc")  # 0x88: ":status: 200", entry 8 of the static table
TRAILERS_OK = literal("grpc-status", "0")
_REPLY_LENGTH = struct.pack(">HB", len(REPLY_HEAD) >> 8, len(REPLY_HEAD) & 0xFF)
_TRAILERS_LENGTH = struct.pack(">HB", 0, len(TRAILERS_OK))
REPLY_PREFIX = _REPLY_LENGTH + bytes((HEADERS, END_HEADERS))
TRAILERS_PREFIX = _TRAILERS_LENGTH + bytes((HEADERS, END_HEADERS | END_STREAM))
STREAM_ID = struct.Struct(">L").pack
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def trailers(status: int, message: str) -> bytes:
    text = quote(message[:MESSAGE_CHARS_MAX], safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~")[:MESSAGE_CHARS_MAX]
    return literal("grpc-status", str(status)) + (literal("grpc-message", text) if text else b"")


class Violation(Exception):
    """The peer broke the protocol; the connection ends."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Head:
    """What a header block means; shared by all calls that come with the same bytes."""

    __slots__ = ("encoding", "http_status", "metadata", "method", "path", "timeout_s")

    def __init__(self, fields: Iterable[Any]) -> None:
        plain: dict[str, str] = {k.decode("latin-1"): v.decode("latin-1") for k, v in fields}
        self.metadata = {k: v for k, v in plain.items() if not k.startswith(":") and not k.endswith("-bin")}
        self.path = plain.get(":path", "")
        self.method: Method | None = METHODS.get(self.path)
        self.encoding = plain.get("grpc-encoding", "identity")
        self.http_status = 200
        if plain.get(":method") != "POST":
            self.http_status = 405
        elif not plain.get("content-type", "").startswith("application/grpc"):
            self.http_status = 415
        timeout = plain.get("grpc-timeout", "")
        self.timeout_s = -1.0
        if timeout[:-1].isdigit() and timeout[-1] in _UNITS:
            self.timeout_s = int(timeout[:-1]) * _UNITS[timeout[-1]]


def unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Violation(PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def message(data: bytes | bytearray, encoding: str) -> bytes:
    """The one message of a request. Raises: Refused."""
    if len(data) < 5:
        raise Refused(INTERNAL, f"expected one message, found {len(data)} bytes")
    compressed, length = MESSAGE_HEAD.unpack_from(data)
    if length != len(data) - 5:
        raise Refused(INTERNAL, f"expected one message of {length} bytes, found {len(data) - 5}")
    body = bytes(data[5:])
    if not compressed:
        return body
    if encoding not in ("gzip", "deflate"):
        raise Refused(UNIMPLEMENTED, f"expected the compression gzip or deflate, found {encoding}")
    inflate = zlib.decompressobj(47 if encoding == "gzip" else 15)
    try:
        body = inflate.decompress(body, MESSAGE_BYTES_MAX + 1)
    except zlib.error as e:
        raise Refused(INTERNAL, f"the message can't be decompressed: {e}") from None
    if len(body) > MESSAGE_BYTES_MAX:
        raise Refused(RESOURCE_EXHAUSTED, f"gRPC message exceeds maximum size {MESSAGE_BYTES_MAX}")
    return body
