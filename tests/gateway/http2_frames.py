"""A client that speaks HTTP/2 frame by frame."""

from __future__ import annotations

import asyncio
import struct

from hpack import Decoder, Encoder
from pyzeebe.proto import gateway_pb2 as pb


class h:
    """Frames by hand (RFC 9113, chapter 6 and 7)."""

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
    END_STREAM = ACK = 0x1
    END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
    NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM = range(
        8
    )
    CANCEL, COMPRESSION_ERROR, _, ENHANCE_YOUR_CALM = range(8, 12)
    SETTING_TABLE, SETTING_PUSH, SETTING_STREAMS, SETTING_WINDOW, SETTING_FRAME, SETTING_HEADERS = range(1, 7)

    @staticmethod
    def frame(kind, flags, stream, payload=b""):
        n = len(payload)
        return struct.pack(">HBBBL", n >> 8, n & 0xFF, kind, flags, stream) + payload


class Raw:
    """A client that speaks frames."""

    #: a server that says nothing for so long has fallen silent
    patience_s = 30

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.encoder, self.decoder = Encoder(), Decoder()

    @classmethod
    async def open(cls, gateway, settings=()):
        raw = cls(*await asyncio.open_connection("127.0.0.1", gateway.port))
        raw.writer.write(h.PREFACE + h.frame(h.SETTINGS, 0, 0, b"".join(struct.pack(">HL", *s) for s in settings)))
        return raw

    def put(self, kind, flags, stream, payload=b""):
        self.writer.write(h.frame(kind, flags, stream, payload))

    def block(self, path="/gateway_protocol.Gateway/CompleteJob", **more):
        """A header block of a call. `more`: other fields; None leaves one out."""
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "localhost",
            "te": "trailers",
            "content-type": "application/grpc",
            **more,
        }
        return self.encoder.encode([(k, v) for k, v in fields.items() if v is not None])

    def headers(self, stream=1, path="/gateway_protocol.Gateway/CompleteJob", flags=h.END_HEADERS, **more):
        self.put(h.HEADERS, flags, stream, self.block(path, **more))

    def message(self, body, stream=1, flags=h.END_STREAM, compressed=0):
        self.writer.write(h.frame(h.DATA, flags, stream, struct.pack(">BL", compressed, len(body)) + body))

    async def frames(self):
        """(type, flags, stream, payload) until the server closes or falls silent."""
        while True:
            try:
                head = await asyncio.wait_for(self.reader.readexactly(9), self.patience_s)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionResetError):
                return
            high, low, kind, flags, stream = struct.unpack(">HBBBL", head)
            yield kind, flags, stream, await self.reader.readexactly(high << 8 | low)

    async def trailers(self, stream=1):
        found = {}
        async for kind, flags, id, payload in self.frames():
            if kind == h.HEADERS and id == stream:
                found.update(self.decoder.decode(payload))
                if flags & h.END_STREAM:
                    return found
        return found

    async def until_heard(self):
        """All frames until what was sent before has had its effect. The first answer to a PING may come before the effects of what came with it."""
        found = []
        for ping in (b"heard???", b"heard!!!"):
            self.put(h.PING, 0, 0, ping)
            async for frame in self.frames():
                if frame[0] == h.PING and frame[3] == ping:
                    break
                found.append(frame)
            else:
                raise ConnectionError(f"no answer to a PING, but {found}")
        return found

    async def goaway(self):
        async for kind, _, _, payload in self.frames():
            if kind == h.GOAWAY:
                return struct.unpack(">LL", payload[:8])[1]
        return None


COMPLETE = pb.CompleteJobRequest(jobKey=1, variables="{}").SerializeToString()
