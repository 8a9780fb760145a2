"""What may be shown of items: the last one of a source, and what is parked."""

from __future__ import annotations

from typing import Any

from flowledger.events import avro

#: words in names of fields whose values are not shown
_HIDDEN = ("password", "passwd", "secret", "token", "authorization", "api_key", "apikey", "cookie")
#: bytes of an item that is shown
BYTES_MAX = 4_096


def masked(value: Any) -> Any:
    """A JSON value without what is named as a secret."""
    if isinstance(value, dict):
        return {k: "***" if any(w in str(k).lower().replace("-", "_") for w in _HIDDEN) else masked(v) for k, v in value.items()}
    return [masked(v) for v in value] if isinstance(value, list) else value


def sample(context: dict[str, Any]) -> dict[str, Any] | None:
    """None: it is too large to be shown."""
    found: dict[str, Any] = masked(context)
    return found if len(avro.encode_json(found)) <= BYTES_MAX else None
