"""gRPC on HTTP/2: what stands in headers, trailers and the one message of a request.

Source: grpc.io "gRPC over HTTP2".
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from urllib.parse import quote

from flowledger.api.grpc.gateway import MESSAGE_BYTES_MAX, Method
from flowledger.api.grpc.methods import METHODS
from flowledger.api.grpc.status import INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, Refused

#: of the text of a refusal: clients limit all trailers together to 8 KiB
MESSAGE_CHARS_MAX = 6_000
#: the longest deadline that is kept (a day); a longer one is as good as none
DEADLINE_S_MAX = 86_400.0

MESSAGE_HEAD = struct.Struct(">BL")  # compressed?, length
REPLY_HEAD = [(":status", "200"), ("content-type", "application/grpc")]
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
#: at most eight digits, then the unit
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])", re.ASCII)


def trailers(status: int, message: str, retry_ms: int = 0) -> list[tuple[str, str]]:
    """`retry_ms`: when to come again, as gRPC's retries understand it (gRFC A6, "Pushback")."""
    text = quote(message[:MESSAGE_CHARS_MAX], safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~", errors="replace")[:MESSAGE_CHARS_MAX]
    return [("grpc-status", str(status)), *([("grpc-message", text)] if text else []),
            *([("grpc-retry-pushback-ms", str(retry_ms))] if retry_ms else [])]  # fmt: skip


class Head:
    """What the headers of a call say.

    Attributes:
        http_status: 200, or why it is no gRPC call.
        size: of all names and values, and 32 for each (RFC 9113, 6.5.2).
        timeout_s: what the client waits; -1: for ever.
        wrong: why the call is refused before its message came; empty: it isn't.
    """

    __slots__ = ("encoding", "http_status", "metadata", "method", "path", "size", "timeout_s", "wrong")

    def __init__(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self.size = sum(len(k) + len(v) + 32 for k, v in fields)
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
        self.timeout_s, self.wrong = -1.0, ""
        timeout = plain.get("grpc-timeout")
        if timeout is not None:
            found = _TIMEOUT.fullmatch(timeout)
            if found is None:
                self.wrong = f"expected a grpc-timeout like 10S or 500m, found {timeout[:40]!r}"
            else:
                self.timeout_s = min(int(found[1]) * _UNITS[found[2]], DEADLINE_S_MAX)

    def refusal(self) -> Refused | None:
        """Why the call can't begin."""
        if self.method is None:
            return Refused(UNIMPLEMENTED, f"Method not found: {self.path[:200]}")
        return Refused(INVALID_ARGUMENT, self.wrong) if self.wrong else None


def message(data: bytes | bytearray, encoding: str) -> bytes:
    """The one message of a request. Raises: Refused."""
    if not data:
        raise Refused(INVALID_ARGUMENT, "expected one message, found none")
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
