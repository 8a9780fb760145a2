"""The cases of h2spec 2.2 (`generic`, `http2`, `hpack`), by its numbers, for a server of gRPC calls, and their neighbours (`+`): what RFC 9113
and RFC 7541 call an error ends the connection with its code, or its stream and no other; all else changes nothing.

h2spec itself takes any code when the connection closes after it, and asks with GET, which a gRPC server refuses; here the codes are exact.
"""

from __future__ import annotations

import asyncio
import struct

import pytest
from http2_frames import COMPLETE, Raw, h

from flowledger.api.grpc import http2 as wire
from flowledger.api.grpc import protocol
from flowledger.events import commands as c

END = h.END_HEADERS | h.END_STREAM
PING = b"flowledg"
COMMON = "/gateway_protocol.Gateway/CompleteJob"
U32 = struct.Struct(">L").pack
#: from the tables of RFC 7541: `x-test: h2spec`, plain and by Huffman
PLAIN, HUFFMAN = b"\x06x-test\x06h2spec", b"\x85\xf2\xb2\x4a\x84\xff\x84\x9c\x48\xac\xa4"
#: `user-agent` (index 58): `h2spec`
PLAIN_VALUE, HUFFMAN_VALUE = b"\x06h2spec", b"\x84\x9c\x48\xac\xa4"


def call(r, id, flags=h.END_HEADERS, **more):
    """A call but for the end of its message."""
    r.headers(id, flags=flags, **more)


def whole(r, id):
    call(r, id)
    r.message(COMPLETE, id)


def simply(r, id):
    """A call in literals alone, whatever the table holds."""
    r.put(h.HEADERS, h.END_HEADERS, id, SIMPLE)
    r.message(COMPLETE, id)


def with_fields(more):
    """A call whose header block has something before or behind."""
    return lambda r: (r.put(h.HEADERS, h.END_HEADERS, 3, r.block() + more), r.message(COMPLETE, 3))


def priority(depends=0, weight=0, exclusive=False):
    return struct.pack(">LB", depends | (exclusive << 31), weight)


def settings(*pairs):
    return b"".join(struct.pack(">HL", *p) for p in pairs)


def malformed(**fields):
    return lambda r: call(r, 3, END, **fields)


def raw_block(r, fields):
    return r.encoder.encode(list(fields))


FIELDS = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", COMMON),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
)
SIMPLE = b"".join(b"\0" + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in FIELDS)
twice = lambda name: lambda r: r.put(h.HEADERS, END, 3, raw_block(r, [*FIELDS[:4], (name, dict(FIELDS)[name]), *FIELDS[4:]]))  # noqa: E731
#: nothing happens: the call on stream 3, if the case makes one, is answered
FINE = [
    ("generic/1/1 preface", lambda r: None),
    ("generic/2/1 PRIORITY on an idle stream", lambda r: (r.put(h.PRIORITY, 0, 3, priority()), whole(r, 3))),
    ("generic/2/2 WINDOW_UPDATE on a half-closed stream", lambda r: (whole(r, 3), r.put(h.WINDOW_UPDATE, 0, 3, U32(100)))),
    ("generic/2/3 PRIORITY on a half-closed stream", lambda r: (whole(r, 3), r.put(h.PRIORITY, 0, 3, priority()))),
    ("generic/2/4 RST_STREAM on a half-closed stream", lambda r: (whole(r, 3), r.put(h.RST_STREAM, 0, 3, U32(h.CANCEL)))),
    ("generic/3.1/1 DATA", lambda r: whole(r, 3)),
    ("generic/3.1/2 several DATA", lambda r: (call(r, 3), *(r.put(h.DATA, 0, 3, bytes([b])) for b in b"\0\0\0\0" + bytes([len(COMPLETE)])),
                                             r.put(h.DATA, h.END_STREAM, 3, COMPLETE))),
    ("generic/3.1/3 padded DATA", lambda r: (call(r, 3), r.put(h.DATA, h.PADDED | h.END_STREAM, 3, b"\x06" + U32(0) + bytes([len(COMPLETE)]) + COMPLETE
                                                                + b"\0" * 6))),
    ("+ DATA of padding alone", lambda r: (call(r, 3), r.put(h.DATA, h.PADDED, 3, b"\x06" + b"\0" * 6), r.message(COMPLETE, 3))),
    ("+ DATA of nothing", lambda r: (call(r, 3), r.put(h.DATA, 0, 3), r.message(COMPLETE, 3))),
    ("generic/3.2/1 HEADERS", lambda r: whole(r, 3)),
    ("generic/3.2/2 padded HEADERS", lambda r: (r.put(h.HEADERS, h.END_HEADERS | h.PADDED, 3, b"\x06" + r.block() + b"\0" * 6), r.message(COMPLETE, 3))),
    ("generic/3.2/3 HEADERS with priority", lambda r: (r.put(h.HEADERS, h.END_HEADERS | h.WITH_PRIORITY, 3, priority(0, 255) + r.block()),
                                                        r.message(COMPLETE, 3))),
    ("+ HEADERS padded and with priority", lambda r: (r.put(h.HEADERS, h.END_HEADERS | h.WITH_PRIORITY | h.PADDED, 3, b"\x06" + priority(1) + r.block()
                                                      + b"\0" * 6), r.message(COMPLETE, 3))),
    ("generic/3.3/1 PRIORITY 1", lambda r: (r.put(h.PRIORITY, 0, 3, priority(0, 0)), whole(r, 3))),
    ("generic/3.3/2 PRIORITY 256", lambda r: (r.put(h.PRIORITY, 0, 3, priority(0, 255)), whole(r, 3))),
    ("generic/3.3/3 PRIORITY with a dependency", lambda r: (r.put(h.PRIORITY, 0, 3, priority(1)), whole(r, 3))),
    ("generic/3.3/4 PRIORITY exclusive", lambda r: (r.put(h.PRIORITY, 0, 3, priority(1, 0, True)), whole(r, 3))),
    ("generic/3.3/5 PRIORITY of a later stream, then an earlier", lambda r: (r.put(h.PRIORITY, 0, 5, priority()), whole(r, 3))),
    ("generic/3.4/1 RST_STREAM", lambda r: (call(r, 3), r.put(h.RST_STREAM, 0, 3, U32(h.CANCEL)))),
    ("generic/3.5/1 SETTINGS", lambda r: (r.put(h.SETTINGS, 0, 0, settings((h.SETTING_STREAMS, 100))), whole(r, 3))),
    ("generic/3.7/1 PING", lambda r: r.put(h.PING, 0, 0, PING)),
    ("generic/3.9/1 WINDOW_UPDATE of the connection", lambda r: (r.put(h.WINDOW_UPDATE, 0, 0, U32(1)), whole(r, 3))),
    ("generic/3.9/2 WINDOW_UPDATE of a stream", lambda r: (call(r, 3), r.put(h.WINDOW_UPDATE, 0, 3, U32(1)), r.message(COMPLETE, 3))),
    ("generic/3.10/1 CONTINUATION", lambda r: (b := r.block(), r.put(h.HEADERS, 0, 3, b[:9]), r.put(h.CONTINUATION, h.END_HEADERS, 3, b[9:]),
                                               r.message(COMPLETE, 3))),
    ("generic/3.10/2 several CONTINUATION, http2/6.10/1", lambda r: (b := r.block(), r.put(h.HEADERS, 0, 3, b[:1]), r.put(h.CONTINUATION, 0, 3, b[1:9]),
                                                        r.put(h.CONTINUATION, 0, 3), r.put(h.CONTINUATION, h.END_HEADERS, 3, b[9:]), r.message(COMPLETE, 3))),
    ("generic/4/4 POST with trailers", lambda r: (call(r, 3), r.message(COMPLETE, 3, 0), r.put(h.HEADERS, END, 3, raw_block(r, [("x-test", "ok")])))),
    ("generic/5/1 indexed field", with_fields(b"\x90")),
    *((f"generic/5/{first + at} literal, {name} name, {how}", with_fields(head + value))
      for first, how, indexed, new in ((2, "added to the table", b"\x7a", b"\x40"), (6, "not added", b"\x0f\x2b", b"\x00"), (10, "never added", b"\x1f\x2b", b"\x10"))
      for at, (name, head, value) in enumerate((("indexed", indexed, PLAIN_VALUE), ("indexed", indexed, HUFFMAN_VALUE), ("new", new, PLAIN), ("new", new, HUFFMAN)))),
    ("generic/5/14 size of the table", lambda r: (r.put(h.HEADERS, h.END_HEADERS, 3, b"\x20" + SIMPLE), r.message(COMPLETE, 3))),
    ("generic/5/15 several sizes of the table", lambda r: (r.put(h.HEADERS, h.END_HEADERS, 3, b"\x20\x3f\x61" + SIMPLE), r.message(COMPLETE, 3))),
    ("http2/4.1/1 a frame of unknown type", lambda r: (r.put(0xFF, 0, 0, b"12345678"), whole(r, 3))),
    ("http2/4.1/2 an undefined flag", lambda r: (r.put(h.PING, 0x16, 0, PING), whole(r, 3))),
    ("http2/4.1/3 the reserved bit", lambda r: (r.put(h.PING, 0, 1 << 31, PING), whole(r, 3))),
    ("+ the reserved bit of a call", lambda r: (r.put(h.HEADERS, h.END_HEADERS, 3 | 1 << 31, r.block()), r.message(COMPLETE, 3))),
    ("http2/4.2/1 DATA of 16,384 bytes", lambda r: (call(r, 3), r.put(h.DATA, 0, 3, struct.pack(">BL", 0, 20_000) + b"x" * 16_379),
                                                     r.put(h.RST_STREAM, 0, 3, U32(h.CANCEL)))),
    ("http2/5.5/1 an extension's frame", lambda r: (r.put(22, 0, 0, b"12345678"), whole(r, 3))),
    ("+ an extension's frame on a stream", lambda r: (call(r, 3), r.put(22, 0xFF, 3, b"12345678"), r.message(COMPLETE, 3))),
    ("http2/6.5.2/5 an unknown setting", lambda r: (r.put(h.SETTINGS, 0, 0, settings((0xFF, 1))), whole(r, 3))),
    ("+ SETTINGS of nothing", lambda r: (r.put(h.SETTINGS, 0, 0), whole(r, 3))),
    ("+ an acknowledgement that nobody waits for", lambda r: (r.put(h.SETTINGS, h.ACK, 0), r.put(h.SETTINGS, h.ACK, 0), whole(r, 3))),
    ("http2/6.7/2 an acknowledged PING", lambda r: (r.put(h.PING, h.ACK, 0, b"whatever"), whole(r, 3))),
    ("http2/7/2 RST_STREAM with an unknown code", lambda r: (call(r, 3), r.put(h.RST_STREAM, 0, 3, U32(0xFF)))),
    ("+ RST_STREAM twice", lambda r: (call(r, 3), r.put(h.RST_STREAM, 0, 3, U32(h.CANCEL)), r.put(h.RST_STREAM, 0, 3, U32(h.CANCEL)))),
    ("+ a window filled to its end", lambda r: (r.put(h.WINDOW_UPDATE, 0, 0, U32((1 << 31) - 1 - 65_535)), whole(r, 3))),
    ("+ a table of four gigabytes", lambda r: (r.put(h.SETTINGS, 0, 0, settings((h.SETTING_TABLE, (1 << 32) - 1))), whole(r, 3))),
    ("+ no table at all", lambda r: (r.put(h.SETTINGS, 0, 0, settings((h.SETTING_TABLE, 0))), whole(r, 3))),
]  # fmt: skip

P, F, S, Z, C, R, E = (
    h.PROTOCOL_ERROR,
    h.FLOW_CONTROL_ERROR,
    h.STREAM_CLOSED,
    h.FRAME_SIZE_ERROR,
    h.COMPRESSION_ERROR,
    h.REFUSED_STREAM,
    h.ENHANCE_YOUR_CALM,
)
half = lambda *frames: lambda r: (call(r, 3), *(r.put(*f) for f in frames))  # noqa: E731
ended = lambda *frames: lambda r: (whole(r, 3), *(r.put(*f) for f in frames))  # noqa: E731
gone = lambda *frames: lambda r: (call(r, 3), r.put(h.RST_STREAM, 0, 3, U32(h.CANCEL)), *(r.put(*f) for f in frames))  # noqa: E731
#: the stream 3 ends with the code, and no other
STREAM = [
    ("http2/5.1/5 half-closed: DATA", S, ended((h.DATA, h.END_STREAM, 3, b"test"))),
    ("http2/5.1/6 half-closed: HEADERS", S, lambda r: (whole(r, 3), call(r, 3))),
    ("http2/5.1/8 closed by RST_STREAM: DATA", S, gone((h.DATA, h.END_STREAM, 3, b"test"))),
    ("http2/5.1/9 closed by RST_STREAM: HEADERS", S, lambda r: (gone()(r), call(r, 3))),
    ("http2/5.3.1/1 HEADERS that depend on themselves", P, lambda r: r.put(h.HEADERS, END | h.WITH_PRIORITY, 3, priority(3) + r.block())),
    ("http2/5.3.1/2 PRIORITY that depends on itself", P, half((h.PRIORITY, 0, 3, priority(3)))),
    ("http2/6.3/2 PRIORITY of 4 bytes", Z, half((h.PRIORITY, 0, 3, b"\0\0\0\1"))),
    ("+ PRIORITY of 6 bytes", Z, half((h.PRIORITY, 0, 3, b"\0\0\0\1\0\0"))),
    ("http2/6.9/2 WINDOW_UPDATE by 0", P, half((h.WINDOW_UPDATE, 0, 3, U32(0)))),
    ("+ WINDOW_UPDATE by 0 with the reserved bit", P, half((h.WINDOW_UPDATE, 0, 3, U32(1 << 31)))),
    ("http2/6.9.1/3 a stream's window above 2^31-1", F, half((h.WINDOW_UPDATE, 0, 3, U32((1 << 31) - 1)), (h.WINDOW_UPDATE, 0, 3, U32((1 << 31) - 1)))),
    ("http2/8.1/1 second HEADERS without END_STREAM", P, lambda r: (call(r, 3), r.put(h.HEADERS, h.END_HEADERS, 3, raw_block(r, [("x-test", "ok")])))),
    ("http2/8.1.2/1 a name in capitals", P, lambda r: r.put(h.HEADERS, END, 3, raw_block(r, [*FIELDS, ("X-TEST", "ok")]))),
    ("http2/8.1.2.1/1 an unknown pseudo-header", P, lambda r: r.put(h.HEADERS, END, 3, raw_block(r, [(":test", "ok"), *FIELDS]))),
    ("http2/8.1.2.1/2 a pseudo-header of answers", P, lambda r: r.put(h.HEADERS, END, 3, raw_block(r, [(":status", "200"), *FIELDS]))),
    ("+ an informational answer", P, lambda r: r.put(h.HEADERS, END, 3, raw_block(r, [(":status", "100"), *FIELDS]))),
    ("http2/8.1.2.1/3 a pseudo-header in trailers", P, lambda r: (call(r, 3), r.put(h.HEADERS, END, 3, raw_block(r, [(":method", "POST")])))),
    ("http2/8.1.2.1/4 a pseudo-header behind others", P, lambda r: r.put(h.HEADERS, END, 3, raw_block(r, [*FIELDS[1:], FIELDS[0]]))),
    ("http2/8.1.2.2/1 `connection`", P, malformed(connection="keep-alive")),
    ("+ `keep-alive`", P, malformed(**{"keep-alive": "1"})),
    ("+ `proxy-connection`", P, malformed(**{"proxy-connection": "keep-alive"})),
    ("+ `transfer-encoding`", P, malformed(**{"transfer-encoding": "chunked"})),
    ("+ `upgrade`", P, malformed(upgrade="h2c")),
    ("http2/8.1.2.2/2 `te` that isn't `trailers`", P, malformed(te="trailers, deflate")),
    ("http2/8.1.2.3/1 an empty path", P, malformed(path="")),
    ("http2/8.1.2.3/2 no method", P, malformed(**{":method": None})),
    ("http2/8.1.2.3/3 no scheme", P, malformed(**{":scheme": None})),
    ("http2/8.1.2.3/4 no path", P, malformed(path=None)),
    ("http2/8.1.2.3/5 two methods", P, twice(":method")),
    ("http2/8.1.2.3/6 two schemes", P, twice(":scheme")),
    ("http2/8.1.2.3/7 two paths", P, twice(":path")),
    ("+ neither authority nor host", P, malformed(**{":authority": None})),
    ("+ an empty authority", P, malformed(**{":authority": ""})),
    ("+ a name of nothing", P, lambda r: r.put(h.HEADERS, END, 3, raw_block(r, [*FIELDS, ("", "x")]))),
    ("+ a blank in a name", P, lambda r: r.put(h.HEADERS, END, 3, raw_block(r, [*FIELDS, ("x y", "x")]))),
    ("+ a line's end in a value", P, malformed(**{"x-test": "a\r\nb: c"})),
    ("+ a NUL in a value", P, malformed(**{"x-test": "a\0b"})),
    ("+ host against authority", P, malformed(host="elsewhere")),
    ("http2/8.1.2.6/1 content-length against DATA", P, lambda r: (call(r, 3, **{"content-length": "1"}), r.put(h.DATA, h.END_STREAM, 3, b"test"))),
    ("http2/8.1.2.6/2 content-length against all DATA", P, lambda r: (call(r, 3, **{"content-length": "5"}), r.put(h.DATA, 0, 3, b"tes"),
                                                                        r.put(h.DATA, h.END_STREAM, 3, b"tes"))),
    ("+ content-length above DATA", P, lambda r: (call(r, 3, **{"content-length": "5"}), r.put(h.DATA, h.END_STREAM, 3, b"tes"))),
    ("+ content-length that is no number", P, malformed(**{"content-length": "+5"})),
]  # fmt: skip

#: the connection ends with the code
CONNECTION = [
    ("http2/3.5/2 another preface", None, b"INVALID CONNECTION PREFACE\r\n\r\n"),
    ("+ HTTP/1.1", None, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("+ no SETTINGS behind the preface", P, h.PREFACE + h.frame(h.PING, 0, 0, PING)),
    ("+ an acknowledgement in their place", P, h.PREFACE + h.frame(h.SETTINGS, h.ACK, 0)),
    ("http2/4.2/2 DATA above SETTINGS_MAX_FRAME_SIZE", Z, half((h.DATA, 0, 3, b"x" * 16_385))),
    ("http2/4.2/3 HEADERS above it", Z, lambda r: r.put(h.HEADERS, END, 3, b"\0" * 16_385)),
    ("+ the head of a frame of 16 MiB", Z, lambda r: r.writer.write(b"\xff\xff\xff" + h.frame(h.DATA, 0, 1)[3:])),
    ("+ an unknown frame above it", Z, lambda r: r.put(0xFF, 0, 0, b"x" * 16_385)),
    ("http2/4.3/1 a header block that can't be read", C, lambda r: r.put(h.HEADERS, END, 3, b"\x40")),
    ("http2/4.3/2 PRIORITY within a header block, http2/6.2/1", P, lambda r: (r.put(h.HEADERS, 0, 3, r.block()), r.put(h.PRIORITY, 0, 3, priority()))),
    ("http2/4.3/3 HEADERS of another stream within one, http2/6.2/2", P, lambda r: (r.put(h.HEADERS, 0, 3, r.block()), call(r, 5))),
    ("+ CONTINUATION of another stream", P, lambda r: (r.put(h.HEADERS, 0, 3, r.block()), r.put(h.CONTINUATION, h.END_HEADERS, 5))),
    ("http2/5.1/1 idle: DATA", P, lambda r: r.put(h.DATA, h.END_STREAM, 5, b"test")),
    ("http2/5.1/2 idle: RST_STREAM, http2/6.4/2", P, lambda r: r.put(h.RST_STREAM, 0, 5, U32(h.CANCEL))),
    ("http2/5.1/3 idle: WINDOW_UPDATE", P, lambda r: r.put(h.WINDOW_UPDATE, 0, 5, U32(100))),
    ("http2/5.1/4 idle: CONTINUATION", P, lambda r: r.put(h.CONTINUATION, h.END_HEADERS, 5, r.block())),
    ("+ idle: WINDOW_UPDATE by 0", P, lambda r: r.put(h.WINDOW_UPDATE, 0, 5, U32(0))),
    ("+ a stream of ours: RST_STREAM", P, lambda r: r.put(h.RST_STREAM, 0, 2, U32(h.CANCEL))),
    ("http2/5.1/7 half-closed: CONTINUATION, http2/6.10/4", P, lambda r: (call(r, 3, END), r.put(h.CONTINUATION, h.END_HEADERS, 3, r.block()))),
    ("http2/5.1/10 closed by RST_STREAM: CONTINUATION", P, gone((h.CONTINUATION, h.END_HEADERS, 3, b""))),
    ("http2/5.1/12 closed: HEADERS", S, "closed, then HEADERS"),
    ("http2/5.1/13 closed: CONTINUATION", P, "closed, then CONTINUATION"),
    ("http2/5.1.1/1 an even stream", P, lambda r: call(r, 2)),
    ("http2/5.1.1/2 a stream before the last", P, lambda r: (call(r, 7), call(r, 5))),
    ("http2/5.4.1/1 a PING on a stream", P, lambda r: r.put(h.PING, 0, 3, PING)),
    ("http2/5.5/2 an extension's frame within a header block", P, lambda r: (r.put(h.HEADERS, 0, 3, r.block()), r.put(22, 0, 3, b"1"))),
    ("http2/6.1/1 DATA on stream 0", P, lambda r: r.put(h.DATA, 0, 0, b"test")),
    ("http2/6.1/3 more padding than DATA", P, half((h.DATA, h.PADDED | h.END_STREAM, 3, b"\x06test"))),
    ("+ padding as long as its DATA", P, half((h.DATA, h.PADDED | h.END_STREAM, 3, b"\x05test"))),
    ("http2/6.2/3 HEADERS on stream 0", P, lambda r: call(r, 0)),
    ("http2/6.2/4 more padding than HEADERS", P, lambda r: r.put(h.HEADERS, END | h.PADDED, 3, b"\xff" + r.block())),
    ("+ more padding than is left behind the priority", P, lambda r: r.put(h.HEADERS, END | h.PADDED | h.WITH_PRIORITY, 3, b"\x05" + priority() + b"1234")),
    ("+ HEADERS too short for their priority", Z, lambda r: r.put(h.HEADERS, END | h.WITH_PRIORITY, 3, b"1234")),
    ("http2/6.3/1 PRIORITY on stream 0", P, lambda r: r.put(h.PRIORITY, 0, 0, priority())),
    ("http2/6.4/1 RST_STREAM on stream 0", P, lambda r: r.put(h.RST_STREAM, 0, 0, U32(h.CANCEL))),
    ("http2/6.4/3 RST_STREAM of 3 bytes", Z, half((h.RST_STREAM, 0, 3, b"\0\0\0"))),
    ("+ RST_STREAM of 5 bytes", Z, half((h.RST_STREAM, 0, 3, b"\0\0\0\0\0"))),
    ("http2/6.5/1 an acknowledgement with a body", Z, lambda r: r.put(h.SETTINGS, h.ACK, 0, b"\0")),
    ("http2/6.5/2 SETTINGS on a stream", P, lambda r: r.put(h.SETTINGS, 0, 3, settings((h.SETTING_STREAMS, 1)))),
    ("http2/6.5/3 SETTINGS of 3 bytes", Z, lambda r: r.put(h.SETTINGS, 0, 0, b"\0\0\0")),
    ("http2/6.5.2/1 ENABLE_PUSH 2", P, lambda r: r.put(h.SETTINGS, 0, 0, settings((h.SETTING_PUSH, 2)))),
    ("http2/6.5.2/2 INITIAL_WINDOW_SIZE 2^31, http2/6.9.2/3", F, lambda r: r.put(h.SETTINGS, 0, 0, settings((h.SETTING_WINDOW, 1 << 31)))),
    ("http2/6.5.2/3 MAX_FRAME_SIZE 2^14-1", P, lambda r: r.put(h.SETTINGS, 0, 0, settings((h.SETTING_FRAME, (1 << 14) - 1)))),
    ("http2/6.5.2/4 MAX_FRAME_SIZE 2^24", P, lambda r: r.put(h.SETTINGS, 0, 0, settings((h.SETTING_FRAME, 1 << 24)))),
    ("+ SETTINGS that lift an open window above 2^31-1", F, half((h.WINDOW_UPDATE, 0, 3, U32((1 << 31) - 1 - 65_535)),
                                                                 (h.SETTINGS, 0, 0, settings((h.SETTING_WINDOW, 65_536))))),
    ("http2/6.7/3 PING on a stream", P, lambda r: r.put(h.PING, 0, 1, PING)),
    ("http2/6.7/4 PING of 6 bytes", Z, lambda r: r.put(h.PING, 0, 0, b"\0" * 6)),
    ("http2/6.8/1 GOAWAY on a stream", P, lambda r: r.put(h.GOAWAY, 0, 1, U32(0) + U32(0))),
    ("+ GOAWAY of 7 bytes", Z, lambda r: r.put(h.GOAWAY, 0, 0, b"\0" * 7)),
    ("http2/6.9/1 WINDOW_UPDATE of the connection by 0", P, lambda r: r.put(h.WINDOW_UPDATE, 0, 0, U32(0))),
    ("http2/6.9/3 WINDOW_UPDATE of 3 bytes", Z, lambda r: r.put(h.WINDOW_UPDATE, 0, 0, b"\0\0\1")),
    ("+ WINDOW_UPDATE of a stream of 5 bytes", Z, half((h.WINDOW_UPDATE, 0, 3, b"\0\0\0\1\0"))),
    ("http2/6.9.1/2 the connection's window above 2^31-1", F, lambda r: (r.put(h.WINDOW_UPDATE, 0, 0, U32((1 << 31) - 1)),) * 2),
    ("http2/6.10/2 DATA within a header block", P, lambda r: (r.put(h.HEADERS, 0, 3, r.block()), r.put(h.DATA, 0, 3, b"x"))),
    ("http2/6.10/3 CONTINUATION on stream 0", P, lambda r: r.put(h.CONTINUATION, h.END_HEADERS, 0)),
    ("http2/6.10/5 CONTINUATION behind the last", P, lambda r: (r.put(h.HEADERS, 0, 3, r.block()), r.put(h.CONTINUATION, h.END_HEADERS, 3),
                                                               r.put(h.CONTINUATION, h.END_HEADERS, 3))),
    ("http2/6.10/6 CONTINUATION behind DATA", P, half((h.DATA, 0, 3, b"\0"), (h.CONTINUATION, h.END_HEADERS, 3, b""))),
    ("http2/8.2/1 PUSH_PROMISE", P, half((h.PUSH_PROMISE, h.END_HEADERS, 3, U32(2)))),
    ("hpack/2.3.3/1 an indexed field beyond the table", C, with_fields(b"\xc6")),
    ("hpack/2.3.3/2 a literal with a name beyond the table", C, with_fields(b"\x40\xff\x7f")),
    ("hpack/4.2/1 a size of the table behind fields", C, with_fields(b"\x21")),
    ("hpack/5.2/1 Huffman padded by more than 7 bits", C, with_fields(b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff")),
    ("hpack/5.2/2 Huffman padded by zeros", C, with_fields(b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90")),
    ("hpack/5.2/3 Huffman with its end symbol", C, with_fields(b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\xff\xff\xff\xff")),
    ("hpack/6.1/1 index 0", C, with_fields(b"\x80")),
    ("hpack/6.3/1 a table above SETTINGS_HEADER_TABLE_SIZE", C, lambda r: r.put(h.HEADERS, END, 3, b"\x3f\xe2\x1f" + r.block())),
    ("+ a whole number without end", C, lambda r: r.put(h.HEADERS, END, 3, b"\xff" + b"\x80" * 30 + b"\x01")),
    ("+ a text longer than its block", C, with_fields(b"\x00\x7f\xff\x07x")),
]  # fmt: skip


@pytest.fixture(autouse=True)
def short_farewell(monkeypatch):
    monkeypatch.setattr(wire, "FAREWELL_S", 0.1)


async def opened(gateway, engine):
    """With a call half sent on stream 1, which must be none the worse."""
    engine.answers[c.CompleteTask] = {"position": ""}
    r = await Raw.open(gateway)
    call(r, 1)
    return r


async def answered(r, ids):
    """Frames until the calls `ids` have their trailers: those are well."""
    left, found = set(ids), []
    async for frame in r.frames():
        kind, flags, id, payload = frame
        fields = dict(r.decoder.decode(payload)) if kind == h.HEADERS else {}
        found.append((kind, id, payload))
        assert kind != h.GOAWAY, payload
        if flags & h.END_STREAM and kind == h.HEADERS and id in left:
            assert fields["grpc-status"] == "0", fields
            left.discard(id)
            if not left:
                return found
    raise AssertionError(f"no answer on {left}, but {found}")


def resets(found):
    return [(id, *struct.unpack(">L", payload)) for kind, id, payload in found if kind == h.RST_STREAM]


@pytest.mark.parametrize("say", [case[1] for case in FINE], ids=[case[0] for case in FINE])
async def test_what_is_no_error_changes_nothing(gateway, engine, say):
    r = await opened(gateway, engine)
    say(r)
    r.message(COMPLETE, 1)
    simply(r, 9)
    found = await answered(r, {1, 9})
    assert resets(found) == []
    r.writer.close()


@pytest.mark.parametrize(("code", "say"), [case[1:] for case in STREAM], ids=[case[0] for case in STREAM])
async def test_an_error_of_a_stream_ends_it_and_no_other(gateway, engine, code, say):
    r = await opened(gateway, engine)
    say(r)
    r.message(COMPLETE, 1)
    simply(r, 9)
    assert resets(await answered(r, {1, 9})) == [(3, code)]
    r.writer.close()


@pytest.mark.parametrize(("code", "say"), [case[1:] for case in CONNECTION], ids=[case[0] for case in CONNECTION])
async def test_an_error_of_the_connection_ends_it_and_no_other_connection(gateway, engine, code, say):
    other = await opened(gateway, engine)
    if isinstance(say, bytes):
        r = Raw(*await asyncio.open_connection("127.0.0.1", gateway.port))
        r.writer.write(say)
    else:
        r = await opened(gateway, engine)
        if isinstance(say, str):
            whole(r, 3)
            assert (await r.trailers(3))["grpc-status"] == "0"
            call(r, 3) if say.endswith("HEADERS") else r.put(h.CONTINUATION, h.END_HEADERS, 3)
        else:
            say(r)
    assert await r.goaway() == code
    async for frame in r.frames():
        raise AssertionError(f"nothing comes behind GOAWAY, but {frame}")
    r.writer.close()
    other.message(COMPLETE, 1)
    assert (await other.trailers(1))["grpc-status"] == "0"
    other.writer.close()


# --- what has a number, at its edges --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "first"), [((100, 1), 1), ((3,), 3), ((1,), 1)], ids=["http2/6.5.3/1 the last value counts", "3", "http2/6.9.1/1"]
)
async def test_a_window_is_kept_to_when_it_changes_and_below_nothing(gateway, window, first):
    """Also http2/6.9.2/1 and 2: the window shrinks under what was sent, and grows again."""
    r = await Raw.open(gateway)
    r.put(h.SETTINGS, 0, 0, settings(*((h.SETTING_WINDOW, w) for w in window)))
    r.headers(3, "/gateway_protocol.Gateway/Topology")
    r.message(b"", 3)

    async def more():
        async for kind, flags, id, payload in r.frames():
            if kind == h.DATA and id == 3:
                return len(payload)
            assert not (kind == h.HEADERS and flags & h.END_STREAM)

    assert await more() == first
    r.put(h.SETTINGS, 0, 0, settings((h.SETTING_WINDOW, first - 1)))  # one below nothing
    r.put(h.WINDOW_UPDATE, 0, 3, U32(1))  # nothing
    assert [f for f in await r.until_heard() if f[0] == h.DATA] == []
    r.put(h.WINDOW_UPDATE, 0, 3, U32(2))
    assert await more() == 2
    r.put(h.SETTINGS, 0, 0, settings((h.SETTING_WINDOW, first + 4)))
    assert await more() == 5
    r.writer.close()


async def test_settings_and_pings_are_acknowledged(gateway):
    """http2/6.5.3/2, http2/6.7/1; a PING that is an answer gets none."""
    r = await Raw.open(gateway)
    r.put(h.SETTINGS, 0, 0, settings((h.SETTING_PUSH, 0)))
    r.put(h.PING, 0, 0, PING)
    r.put(h.PING, h.ACK, 0, b"12345678")
    found = await r.until_heard()
    assert [f[:3] for f in found if f[0] == h.SETTINGS and f[1] & h.ACK] == [(h.SETTINGS, h.ACK, 0)] * 2
    assert [f for f in found if f[0] == h.PING] == [(h.PING, h.ACK, 0, PING)]
    r.writer.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
async def test_a_request_that_is_no_call_is_answered_as_http(gateway, engine, method):
    """generic/4/1 to 3."""
    r = await opened(gateway, engine)
    call(r, 3, END, **{":method": method})
    assert (await r.trailers(3))[":status"] == "405"
    r.writer.close()


@pytest.mark.parametrize("code", [h.NO_ERROR, h.CANCEL, 0xFF])
async def test_a_client_that_says_farewell_still_gets_the_answers_to_its_calls(gateway, engine, code):
    """generic/3.8/1, http2/7/1: GOAWAY of a client forbids us what we would begin, and nothing else (RFC 9113, 6.8)."""
    gate = asyncio.Event()

    async def slow(command):
        await gate.wait()
        return {"position": ""}

    r = await opened(gateway, engine)
    engine.answers[c.CompleteTask] = slow
    whole(r, 3)
    r.put(h.GOAWAY, 0, 0, U32(0) + U32(code) + b"bye")
    await r.until_heard()
    r.message(COMPLETE, 1)
    call(r, 9)
    found = await r.until_heard()
    assert [(id, *struct.unpack(">L", p)) for kind, _, id, p in found if kind == h.RST_STREAM] == [(9, R)]
    gate.set()
    ends = [id async for kind, flags, id, _ in r.frames() if kind == h.HEADERS and flags & h.END_STREAM]
    assert sorted(ends) == [1, 3], "both are answered, then the connection is closed"
    r.writer.close()


@pytest.mark.parametrize(
    ("name", "weight", "frame"),
    [
        ("PING", 1, lambda n: h.frame(h.PING, 0, 0, PING)),
        ("answers to PING", 1, lambda n: h.frame(h.PING, h.ACK, 0, PING)),
        ("SETTINGS", wire.SETTINGS_WEIGHT, lambda n: h.frame(h.SETTINGS, 0, 0)),
        ("acknowledged SETTINGS", 1, lambda n: h.frame(h.SETTINGS, h.ACK, 0)),
        ("PRIORITY", 1, lambda n: h.frame(h.PRIORITY, 0, 5, priority())),
        ("unknown", 1, lambda n: h.frame(0xFF, 0, 0)),
        ("WINDOW_UPDATE", 1, lambda n: h.frame(h.WINDOW_UPDATE, 0, 1, U32(1))),
        ("DATA of nothing", 1, lambda n: h.frame(h.DATA, 0, 1)),
        (
            "RST_STREAM of a call (CVE-2023-44487)",
            1,
            lambda n: h.frame(h.HEADERS, END, 3 + 2 * n, SIMPLE) + h.frame(h.RST_STREAM, 0, 3 + 2 * n, U32(8)),
        ),
        ("malformed calls", 1, lambda n: h.frame(h.HEADERS, END, 3 + 2 * n, b"\x83")),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
async def test_what_costs_us_and_the_client_nothing_has_a_bound(gateway, engine, monkeypatch, name, weight, frame):
    monkeypatch.setattr(wire, "FLOOD_MAX", 200)
    monkeypatch.setattr(wire, "FLOOD_S", 1e6)
    other, r = await opened(gateway, engine), await opened(gateway, engine)
    most = 200 // weight
    # its own SETTINGS, and the PINGs by which it is seen that all is heard
    for n in range(most - wire.SETTINGS_WEIGHT // weight - 3):
        r.writer.write(frame(n))
    assert all(kind != h.GOAWAY for kind, *_ in await r.until_heard())
    for n in range(most, most + wire.SETTINGS_WEIGHT + 3):
        r.writer.write(frame(n))
    assert await r.goaway() == h.ENHANCE_YOUR_CALM
    other.message(COMPLETE, 1)
    assert (await other.trailers(1))["grpc-status"] == "0"
    other.writer.close()
    r.writer.close()


async def test_a_flood_of_continuation_ends_early(gateway, engine):
    """CVE-2024-27316: a header block has a bound in frames, and in bytes."""
    for piece, code in ((b"", P), (b"\0" * 16_384, E)):
        r = await opened(gateway, engine)
        r.put(h.HEADERS, 0, 3, piece)
        for _ in range(70):
            r.put(h.CONTINUATION, 0, 3, piece)
        assert await r.goaway() == code
        r.writer.close()


async def test_headers_have_a_bound(gateway, engine):
    """At the bound that we tell; above it the call is refused, and above twice that the connection ends (RFC 7541, 7.3: also by few bytes)."""
    r = await opened(gateway, engine)
    size = sum(len(k) + len(v) + 32 for k, v in [*FIELDS, ("x-a", "")])

    def big(id, n):
        fields = SIMPLE + b"\0\x03x-a" + b"\x7f" + varint(n - size - 127) + b"y" * (n - size)
        r.put(h.HEADERS, 0, id, fields[:16_000])
        for at in range(16_000, len(fields), 16_000):
            r.put(h.CONTINUATION, 0, id, fields[at : at + 16_000])
        r.put(h.CONTINUATION, h.END_HEADERS, id)

    big(3, wire.HEADER_BYTES_MAX)
    r.message(COMPLETE, 3)
    assert (await r.trailers(3))["grpc-status"] == "0"
    big(5, wire.HEADER_BYTES_MAX + 1)
    found = await r.trailers(5)
    assert (
        found["grpc-status"] == "8" and f"up to {wire.HEADER_BYTES_MAX} bytes, found {wire.HEADER_BYTES_MAX + 1}" in found["grpc-message"]
    )
    r.message(COMPLETE, 1)
    assert (await r.trailers(1))["grpc-status"] == "0"
    bomb = b"\x40\x01a\x7f" + varint(3_900 - 127) + b"z" * 3_900 + b"\xbe" * 40
    r.put(h.HEADERS, END, 7, SIMPLE + bomb)
    assert await r.goaway() == E
    r.writer.close()


def varint(n):
    out = b""
    while n >= 128:
        out += bytes([n % 128 + 128])
        n //= 128
    return out + bytes([n])


async def test_a_message_above_its_window_ends_its_call_alone(gateway, engine, monkeypatch):
    monkeypatch.setattr(wire, "STREAM_WINDOW", 100)
    r = await opened(gateway, engine)
    call(r, 3)
    r.put(h.DATA, 0, 3, b"\0" * 100)
    call(r, 5)
    r.put(h.DATA, 0, 5, b"\0" * 101)
    r.message(COMPLETE, 1)
    simply(r, 9)
    assert resets(await answered(r, {1, 9})) == [(5, F)]
    r.writer.close()


def test_our_own_table_stays_small_whatever_a_client_allows():
    """Else each refusal with other words would stay with us."""
    for allowed in (0, 100, 4_096, 4_097, (1 << 32) - 1):
        server = protocol.Http2({}, 1000)
        server.initiate_connection()
        server.receive_data(h.PREFACE + h.frame(h.SETTINGS, 0, 0, settings((h.SETTING_TABLE, allowed))))
        assert server.encoder.header_table_size == min(allowed, protocol.TABLE_BYTES_MAX)


async def test_who_does_not_read_is_not_heard(gateway, engine, monkeypatch):
    """Answers to PINGs that nobody takes don't pile up: a client that only sends gets stuck itself."""
    monkeypatch.setattr(wire, "FLOOD_MAX", 1e9)
    r = await opened(gateway, engine)
    r.reader._transport.pause_reading()
    sent = 0
    ping = h.frame(h.PING, 0, 0, PING) * 100
    with pytest.raises(TimeoutError):
        while sent < 50_000_000:
            r.writer.write(ping)
            sent += len(ping)
            await asyncio.wait_for(r.writer.drain(), 2)
    r.writer.transport.abort()
