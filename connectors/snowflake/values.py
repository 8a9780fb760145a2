"""Values of Snowflake's SQL API: parameters as bindings, and texts of an answer as JSON has them (documentation, "Handling responses")."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from flowledger.connectors.frame import Failed

_PLACE = re.compile(r"%(?:%|\(([^()]{1,128})\)s|(.?))", re.DOTALL)
#: digits of a NUMBER; what has more, or is smaller than a place of that many, goes as it is written
DIGITS_MAX = 38
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_encode = msgspec.json.Encoder(decimal_format="number").encode


def bound(statement: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, dict[str, str | None]]]:
    """`%(name)s` become `?`, with the values beside. Raises: Failed."""
    bindings: dict[str, dict[str, str | None]] = {}

    def place(found: re.Match[str]) -> str:
        name, wrong = found[1], found[2]
        if name is None and wrong is None:
            return "%"
        if name is None:
            raise Failed("CONFIGURATION", "the statement and its parameters do not fit: expected %(name)s, or %% for a percent sign")
        if name not in parameters:
            raise Failed("CONFIGURATION", f"the statement and its parameters do not fit: there is no parameter {name}")
        bindings[str(len(bindings) + 1)] = _binding(parameters[name])
        return "?"

    return _PLACE.sub(place, statement), bindings


def _binding(value: Any) -> dict[str, str | None]:
    if isinstance(value, bool):
        return {"type": "BOOLEAN", "value": "true" if value else "false"}
    large = abs(value) >= 10**DIGITS_MAX if isinstance(value, int) else isinstance(value, Decimal) and abs(value.adjusted()) >= DIGITS_MAX
    if large:  # 1e999999999 is never written out
        return {"type": "TEXT", "value": str(value)}
    if isinstance(value, int) or (isinstance(value, Decimal) and value == value.to_integral_value()):
        return {"type": "FIXED", "value": str(int(value))}
    if isinstance(value, (Decimal, float)):  # a decimal fraction as a text stays exact where it is compared or stored as NUMBER
        return {"type": "TEXT", "value": format(Decimal(str(value)), "f")}
    if value is None or isinstance(value, str):
        return {"type": "TEXT", "value": value}
    return {"type": "TEXT", "value": _encode(value).decode()}


def plain(text: Any, column: Mapping[str, Any]) -> Any:
    """A value of a column. Raises: Failed."""
    kind, scale = str(column.get("type") or "").lower(), int(column.get("scale") or 0)
    if text is None or not isinstance(text, str):
        return text
    try:
        if kind == "fixed":
            return int(text) if scale == 0 else Decimal(text)
        if kind == "real":
            found = Decimal(text)
            return found if found.is_finite() else text
        if kind == "boolean":
            return text.lower() in ("true", "1")
        if kind == "date":
            return (_EPOCH + datetime.timedelta(days=int(text))).date().isoformat()
        if kind == "time":
            return (_EPOCH + _span(text)).time().isoformat()
        if kind in ("timestamp_ntz", "timestamp_ltz", "timestamp_tz"):
            return _moment(text, kind)
        if kind in ("variant", "object", "array"):
            return msgspec.json.decode(text)
    except (ValueError, InvalidOperation, OverflowError):
        raise Failed("ANSWER_UNREADABLE", f"a value of the column {column.get('name')} is no {kind}") from None
    return text


def _span(seconds: str) -> datetime.timedelta:
    return datetime.timedelta(microseconds=int(Decimal(seconds) * 1_000_000))


def _moment(text: str, kind: str) -> str:
    """Seconds since 1970 with a fraction; with a zone also its minutes east of UTC, and 1440."""
    seconds, _, zone = text.partition(" ")
    at = _EPOCH + _span(seconds)
    if kind == "timestamp_tz":
        at = at.astimezone(datetime.timezone(datetime.timedelta(minutes=int(zone) - 1440)))
    return at.replace(tzinfo=None).isoformat() if kind == "timestamp_ntz" else at.isoformat()
