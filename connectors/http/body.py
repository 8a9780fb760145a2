"""Bodies: what is sent, by the content type, and what comes back, within bounds."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from decimal import Decimal
from email.message import Message
from typing import Any

import httpx2
import msgspec

from flowledger.connectors.frame import Failed
from flowledger.kernel import limits
from flowledger.sdk.frames import exact

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
#: of an answer that is unpacked, so many bytes are held at once
PIECE_BYTES = 256 * 1024
encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=exact).decode
#: levels of nesting that a JSON answer may have: those of a variable, less what it is put into
DEPTH_MAX = limits.DEPTH_MAX - 10


async def exchanged(client: httpx2.AsyncClient, request: httpx2.Request, most: int, **more: Any) -> tuple[httpx2.Response, bytes]:
    """The answer to a request, and its body of at most `most` bytes. Raises: Failed, and what httpx2 raises."""
    response = await client.send(request, stream=True, **more)
    try:
        return response, await read(response, most)
    finally:
        await response.aclose()


def media_type(value: str) -> tuple[str, str]:
    """(type, charset) of a Content-Type, lower case; UTF-8 where it says nothing."""
    m = Message()
    m["content-type"] = value or "application/octet-stream"
    return m.get_content_type(), (m.get_content_charset() or "utf-8")


def parts_of(body: Any, content_type: str) -> dict[str, Any]:
    """How httpx is told of a body: `content`, `data` or `files`, and whether the type must be added. Raises: Failed."""
    if body is None or body == "":
        return {}
    kind, _ = media_type(content_type) if content_type else ("", "")
    if kind in (FORM, MULTIPART):
        if not isinstance(body, dict):
            raise Failed("CONFIGURATION", f"body: expected a context for {kind}, found {type(body).__name__}")
        fields = {k: _field(v) for k, v in body.items() if v is not None}
        if kind == FORM:
            return {"data": fields}
        return {"files": [(k, _part(v)) for k, values in fields.items() for v in (values if isinstance(values, list) else [values])]}
    if isinstance(body, (str, bytes)):
        return {"content": body if isinstance(body, bytes) else body.encode(), "type": "" if content_type else "text/plain; charset=utf-8"}
    return {"content": encode(body), "type": "" if content_type else "application/json"}


def _field(value: Any) -> Any:
    if isinstance(value, list):
        return [_field(v) for v in value]
    if isinstance(value, dict) and "content" in value:
        return value
    return value if isinstance(value, str) else encode(value).decode()


def _part(value: Any) -> tuple[str | None, bytes, str] | tuple[None, bytes]:
    """A field, or a file: `{content, filename?, contentType?}`."""
    if isinstance(value, dict):
        return (
            str(value.get("filename") or "file"),
            _field(value["content"]).encode() if not isinstance(value["content"], dict) else encode(value["content"]),
            str(value.get("contentType") or "application/octet-stream"),
        )
    return (None, value.encode())


async def read(response: httpx2.Response, most: int) -> bytes:
    """The body, unpacked, of at most `most` bytes: no more than that is ever held. Raises: Failed."""
    out = bytearray()
    async for piece in pieces(response, most, "connector_answer_bytes_max"):
        out += piece
    return bytes(out)


async def pieces(response: httpx2.Response, most: int, setting: str) -> AsyncIterator[bytes]:
    """The body, unpacked, as it comes, up to `most` bytes; `setting` is where that is told. Raises: Failed."""
    told = response.headers.get("content-length", "")
    too_large = Failed("ANSWER_TOO_LARGE", f"expected an answer of at most {most} bytes (setting {setting}), found more")
    if told.isascii() and told.isdigit() and int(told) > most:
        raise too_large
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise Failed("ANSWER_UNREADABLE", f"expected an answer in gzip, deflate or plain, found the encoding '{encoding[:40]}'")
    unpack = zlib.decompressobj(47 if "gzip" in encoding else 15) if encoding not in ("", "identity") else None
    size = 0
    async for raw in response.aiter_raw():
        rest = raw
        while rest:
            try:
                piece = unpack.decompress(rest, min(PIECE_BYTES, most + 1 - size)) if unpack is not None else rest
            except zlib.error:
                raise Failed("ANSWER_UNREADABLE", f"the answer is no {encoding}", again=True) from None
            rest = unpack.unconsumed_tail if unpack is not None else b""
            size += len(piece)
            if size > most:
                raise too_large
            if piece:
                yield piece
    if unpack is not None and (piece := unpack.flush()):
        if size + len(piece) > most:
            raise too_large
        yield piece


def value_of(data: bytes, content_type: str) -> Any:
    """JSON as its value, any other text as text; None: empty. Raises: Failed."""
    if not data:
        return None
    kind, charset = media_type(content_type)
    if kind == "application/json" or kind.endswith("+json") or (not content_type and data[:1] in b'{["'):
        try:
            found = _decode(data)
        except (msgspec.DecodeError, RecursionError, ValueError) as e:
            raise Failed("ANSWER_UNREADABLE", f"the answer is no JSON, though its type says so: {e}") from None
        if _deeper(found, DEPTH_MAX):
            raise Failed("ANSWER_UNREADABLE", f"expected JSON of at most {DEPTH_MAX} levels")
        return found
    try:
        return data.decode(charset)
    except (UnicodeDecodeError, LookupError):
        raise Failed("ANSWER_UNREADABLE", f"the answer is no text ({kind}, {charset[:40]}); storeResponse keeps it as a file") from None


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return isinstance(value, Decimal) and not value.is_finite()
    return levels == 0 or any(_deeper(v, levels - 1) for v in (value.values() if isinstance(value, dict) else value))
