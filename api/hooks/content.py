"""The body of a request to a webhook: as many bytes as the trigger takes, and what they mean. The bytes stay as they came for the signature."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from flowledger.api.edge import ApiRequest, decode
from flowledger.api.problems import Problem, malformed

#: fields of a form
FIELDS_MAX = 1_000
_FORM = "application/x-www-form-urlencoded"


def _too_large(most: int) -> Problem:
    return Problem("BODY_TOO_LARGE", f"at most {most} bytes", status=413)


async def read(request: ApiRequest, most: int) -> bytes:
    """Raises: Problem (408, 413, 415, 503)."""
    if coding := request.headers.get("content-encoding", ""):
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"a body without Content-Encoding was expected, found {coding!r}", status=415)
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > most:
        raise _too_large(most)
    found = bytearray()
    async with request.in_time():
        async for part in request.stream():
            found += part
            if len(found) > most:
                raise _too_large(most)
    return bytes(found)


def meant(body: bytes, told: str, kind: str, charset: str) -> Any:
    """The payload. `told`: what the trigger says that it is; `kind`: what the sender says. Raises: Problem (400, 415)."""
    if told == "auto":
        json = kind == "application/json" or kind.endswith("+json") or not kind
        told = "json" if json else "form" if kind == _FORM else "text" if kind.startswith("text/") or kind.endswith("xml") else ""
    if not told:
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"JSON, a form or text was expected, found {kind[:100]}", status=415)
    if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"text in UTF-8 was expected, found the charset {charset[:40]!r}", status=415)
    if told == "json":
        return decode(body) if body else None
    try:
        text = body.decode()
        return text if told == "text" else form(text)
    except UnicodeDecodeError:
        raise malformed("text in UTF-8 was expected", "body") from None


def form(text: str) -> dict[str, Any]:
    """A field that is there several times is a list."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except UnicodeDecodeError:
        raise malformed("text in UTF-8 was expected", "body") from None
    except ValueError:
        raise malformed(f"a form of at most {FIELDS_MAX} fields was expected", "body") from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found
