"""A mail as expressions see it: who wrote to whom, its texts, what is attached. Broken ones are read as far as they can be."""

from __future__ import annotations

import base64
import email.policy
import email.utils
import hashlib
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any, NamedTuple, TypeVar

from flowledger.connectors.sources.shared import value_of

T = TypeVar("T")
#: what is told of one mail at most
ADDRESSES_MAX, HEADERS_MAX, PARTS_MAX, HEADER_CHARS = 200, 200, 100, 4_000


class Shape(NamedTuple):
    """`value`: what the text is (text, json). `attachments`: none (what they are called is told all the same), base64, or files: their bytes, to be kept."""

    folder: str
    value: str
    attachments: str


def read(raw: bytes, shape: Shape, uid: int, size: int) -> tuple[dict[str, Any], str]:
    """What expressions see, and why the mail can't be used; empty: it can."""
    try:
        return _read(raw, shape, uid, size)
    except Exception as e:  # noqa: BLE001 - parts a thousand deep, and what else a sender may think of, hold no other mail up
        return {"folder": shape.folder, "uid": uid, "size": size}, f"it can't be read: {type(e).__name__}"


def _read(raw: bytes, shape: Shape, uid: int, size: int) -> tuple[dict[str, Any], str]:
    mail = message_from_bytes(raw, policy=email.policy.default)
    plain = _safe(lambda: mail.get_body(("plain",)), None)
    html = _safe(lambda: mail.get_body(("html",)), None)
    context: dict[str, Any] = {
        "payload": text_of(plain), "html": text_of(html) or None, "subject": _header(mail, "subject"), "sender": _first(_addresses(mail, "from")),
        "to": _addresses(mail, "to"), "cc": _addresses(mail, "cc"), "reply_to": _first(_addresses(mail, "reply-to")),
        "message_id": _header(mail, "message-id"), "in_reply_to": _header(mail, "in-reply-to"), "date": _safe(lambda: _date(mail), None),
        "headers": _headers(mail), "attachments": _attachments(mail, shape.attachments), "folder": shape.folder, "uid": uid, "size": size,
    }  # fmt: skip
    if shape.value == "json":
        try:
            context["payload"] = value_of(context["payload"].encode(), "json")
        except (ValueError, RecursionError) as e:
            return context, f"its text can't be read as json: {str(e)[:200]}"
    return context, ""


def _safe(what: Callable[[], T], otherwise: T) -> T:
    """The library stumbles over some headers and parts that are broken, in many ways."""
    try:
        return what()
    except Exception:  # noqa: BLE001 - whatever is odd about one part, the others are still worth having
        return otherwise


def text_of(part: Any) -> str:
    """A part's text; in a charset that nobody knows, or not in what it says, as far as it can be read."""
    if part is None:
        return ""
    found = _safe(part.get_content, None)
    if isinstance(found, str):
        # line ends as texts have them here; what can't be UTF-8 (escapes of bytes that were no text) is shown as such
        return found.replace("\r\n", "\n").encode("utf-8", "replace").decode()
    return (_safe(lambda: part.get_payload(decode=True), b"") or b"").decode("utf-8", "replace")


def _header(mail: EmailMessage, name: str) -> str | None:
    found = _safe(lambda: mail[name], None)
    return None if found is None else _plain(found)


def _plain(value: Any) -> str:
    return " ".join(str(value).split())[:HEADER_CHARS].encode("utf-8", "replace").decode()


def _addresses(mail: EmailMessage, name: str) -> list[dict[str, str]]:
    none: list[tuple[str, str]] = []
    pairs = _safe(lambda: email.utils.getaddresses([str(v) for v in mail.get_all(name, [])]), none)
    return [{"name": _plain(who), "address": _plain(address)} for who, address in pairs[:ADDRESSES_MAX] if address]


def _first(rows: list[dict[str, str]]) -> dict[str, str] | None:
    return rows[0] if rows else None


def _date(mail: EmailMessage) -> str | None:
    found = mail["date"]
    return None if found is None else email.utils.parsedate_to_datetime(str(found)).isoformat()


def _headers(mail: EmailMessage) -> dict[str, str]:
    """By small names; of several with one name the last."""
    none: list[tuple[str, Any]] = []
    return {name.lower(): _plain(value) for name, value in _safe(mail.items, none)[:HEADERS_MAX]}


def _attachments(mail: EmailMessage, contents: str) -> list[dict[str, Any]]:
    none: list[Any] = []
    return [_attached(part, contents) for part in _safe(lambda: list(mail.iter_attachments()), none)[:PARTS_MAX]]


def _attached(part: Any, contents: str) -> dict[str, Any]:
    inner = part.get_payload() if part.is_multipart() else None
    if isinstance(inner, list):  # a mail in a mail
        data = _safe(inner[0].as_bytes, b"") if inner else b""
    else:
        data = _safe(lambda: part.get_payload(decode=True), b"") or b""
    told = {
        "name": _plain(_safe(part.get_filename, None) or ""), "media_type": part.get_content_type(), "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(), "id": _header(part, "content-id"),
    }  # fmt: skip
    if contents == "files":
        return {**told, "bytes": data}
    return {**told, "content": base64.b64encode(data).decode()} if contents == "base64" else told
