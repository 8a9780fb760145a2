"""A message of AMQP 1.0 (part 3 of the standard): made of what a task says, and read as what expressions see."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from flowledger.connectors import reach
from flowledger.connectors.amqp10.types import Described, Garbled, Symbol, UByte, UInt, ULong, decode_all, encode
from flowledger.connectors.sources.shared import text, value_of

DEPTH_MAX = 20
_encode = msgspec.json.Encoder(decimal_format="number").encode
#: what an application property may be here; whole numbers go as `long`, others as `double`
Simple = str | bool | int | Decimal | float
LONG_MAX = 2**63 - 1
_HEADER, _ANNOTATIONS, _PROPERTIES, _APPLICATION, _DATA, _SEQUENCE, _VALUE = 0x70, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77
#: properties of a message in their order; expressions see them by these names
_NAMES = (
    "message_id", "user_id", "to", "subject", "reply_to", "correlation_id", "content_type", "content_encoding", "absolute_expiry_time", "creation_time",
    "group_id", "group_sequence", "reply_to_group_id",
)  # fmt: skip


class Header(NamedTuple):
    """0: the broker's own."""

    durable: bool = True
    priority: int | None = None
    ttl_ms: int = 0


def body_of(message: Any) -> bytes:
    return message.encode() if isinstance(message, str) else _encode(message)


def written(body: bytes | str, properties: dict[str, str], application: dict[str, Simple], header: Header = Header()) -> bytes:
    """A `str` goes as a text of AMQP's own (JMS takes it for a TextMessage), bytes as such."""
    told: list[Any] = [properties.get(name) or None for name in _NAMES]
    for name in ("content_type", "content_encoding"):
        at = _NAMES.index(name)
        told[at] = Symbol(told[at]) if told[at] else None
    while told and told[-1] is None:
        told.pop()
    sections: list[tuple[int, Any]] = [
        (_HEADER, [
            header.durable, None if header.priority is None else UByte(header.priority), UInt(header.ttl_ms) if header.ttl_ms else None,
        ]),
        (_PROPERTIES, told),
    ]  # fmt: skip
    if application:
        sections.append((_APPLICATION, {name: _typed(value) for name, value in application.items()}))
    sections.append((_VALUE, body) if isinstance(body, str) else (_DATA, body))
    return b"".join(encode(Described(ULong(code), value)) for code, value in sections)


def _typed(value: Simple) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) <= LONG_MAX else float(value)
    return value


def sections(raw: bytes) -> dict[int, list[Any]]:
    """Code of a section -> those of it. Raises: Garbled."""
    found: dict[int, list[Any]] = {}
    for section in decode_all(raw):
        if not isinstance(section, Described) or not isinstance(section.code, int):
            raise Garbled("it has something that is no section")
        found.setdefault(section.code, []).append(section.value)
    return found


def read(raw: bytes, kind: str) -> tuple[dict[str, Any], str]:
    """What expressions see, and why it can't be used (empty: it can). `kind`: what bytes and texts are read as; other types of AMQP stay as they are."""
    context: dict[str, Any] = {
        "payload": None, "properties": {}, "annotations": {}, "redelivered": False, "deliveries": 0, "priority": None, **dict.fromkeys(_NAMES),
    }  # fmt: skip
    try:
        found = sections(raw)
        context |= dict(zip(_NAMES, map(plain, found.get(_PROPERTIES, [[]])[0]), strict=False))
        context |= {"properties": plain(found.get(_APPLICATION, [{}])[0]), "annotations": plain(found.get(_ANNOTATIONS, [{}])[0])}
        header = [*found.get(_HEADER, [[]])[0], *[None] * 5]
        context |= {"redelivered": bool(header[4]), "deliveries": int(header[4] or 0), "priority": plain(header[1])}
        body: Any = b"".join(found[_DATA]) if _DATA in found else found.get(_VALUE, [None])[0]
    except (ValueError, TypeError, OverflowError) as e:  # garbled, or a field of another type than the standard says
        return {**context, "payload": text(raw[:1000])}, f"it can't be read as a message of AMQP 1.0: {e}"
    if _SEQUENCE in found:
        rows = plain(found[_SEQUENCE])
        context["payload"] = rows[0] if len(rows) == 1 else rows
    elif isinstance(body, (bytes, str)):
        body = body.encode() if isinstance(body, str) else body
        try:
            context["payload"] = value_of(body, kind)
        except (ValueError, RecursionError) as e:  # what it was is kept as text, for a version that takes it so
            return {**context, "payload": text(body)}, f"its body can't be read as {kind}: {str(e)[:200]}"
    else:
        context["payload"] = plain(body)
    return context, ""


def plain(value: Any, depth: int = 0) -> Any:
    """Values of AMQP as JSON has them."""
    if depth > DEPTH_MAX:
        return None
    if isinstance(value, Described):
        return plain(value.value, depth + 1)
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, dict):
        return {str(plain(k, depth + 1)): plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v, depth + 1) for v in value]
    return str(value) if isinstance(value, str) else reach.plain(value)
