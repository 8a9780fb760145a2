"""How state is written: as JSON arrays, so that exact decimals survive in checkpoints and any reader can look at them."""

from __future__ import annotations

from typing import Any

import msgspec


class State(msgspec.Struct, array_like=True, gc=False, kw_only=True):
    """Base of what stands in a checkpoint. Fields are only ever appended, with defaults."""


_encode = msgspec.json.Encoder(decimal_format="number").encode


def _exact(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


def encode_state(value: State) -> bytes:
    return _encode(value)


_DECODERS: dict[Any, Any] = {}


def decode_state(data: bytes, cls: Any) -> Any:
    decoder = _DECODERS.get(cls)
    if decoder is None:
        decoder = _DECODERS[cls] = msgspec.json.Decoder(cls, float_hook=_exact)
    return decoder.decode(data)


def from_json(value: Any, cls: Any) -> Any:
    """Of a value that came as JSON or is about to go so: keys of tables are texts there. Raises: msgspec.ValidationError."""
    return decode_state(_encode(value), cls)
