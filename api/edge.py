"""Between the outside and the inside: bodies, keys, positions, times and rows.

Inside, a key is an integer of 64 bits; in JSON it is a text, since JavaScript's numbers end at 53 bits. Numbers stay exact both ways.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.types.empty import Empty

from flowledger.api.problems import Problem, malformed
from flowledger.kernel import times

KEY_MAX = (1 << 63) - 1
#: fields whose integers are keys
KEY_FIELDS = frozenset(
    "key id instance definition deployment parent parent_token root token task message subscription incident timer scope spawned item "
    "handler_of merged process_instance definition_key instance_key task_key activities consumed tasks home_token "
    "parent_instance root_instance element_instance".split()
)
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of what callers send. An unknown name is an error, not a wish that nobody hears."""


def encode(value: Any) -> bytes:
    return _encoder.encode(value)


def reply(value: Any, status: int = 200, **headers: str) -> Response[Any]:
    """JSON with exact numbers. `headers` with `_` for `-`."""
    return Response(
        encode(value), status_code=status, media_type="application/json", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


class ApiRequest(Request[Any, Any, Any]):
    """Decodes a body straight into the handler's type: strict, exact, in one pass, with the place of the error."""

    async def json(self) -> Any:
        if self._json is Empty:
            self._json = await self._decode()
        return self._json

    async def _decode(self) -> Any:
        field = self.route_handler.parsed_data_field  # type: ignore[attr-defined]
        target = field.annotation if field is not None else Any
        kind = self.content_type[0].lower()
        reader = self.route_handler.opt.get("forms")
        if kind == "multipart/form-data" and reader is not None:
            return await reader(self)
        body = await self.body()
        if body and kind != "application/json" and not kind.endswith("+json"):
            wanted = "application/json" + (" or multipart/form-data" if reader else "")
            raise Problem("UNSUPPORTED_MEDIA_TYPE", f"Content-Type must be {wanted}, found {kind or 'none'}", status=415)
        return decode(body or b"{}", target)


def decode(body: bytes, target: Any = Any) -> Any:
    """Raises: Problem (400) that says where, what was expected and what was found."""
    decoder = _decoders.get(target)
    if decoder is None:
        decoder = _decoders[target] = msgspec.json.Decoder(target, float_hook=_exact)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as e:
        text, _, where = str(e).partition(" - at `")
        where = where.rstrip("`").lstrip("$").lstrip(".")
        if "unknown field" in text and hasattr(target, "__struct_encode_fields__") and not where:
            text += f"; known are {', '.join(sorted(target.__struct_encode_fields__))}"
        raise malformed(text, f"body {where}".strip()) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise malformed(f"the body must be JSON: {e}", "body") from None
    except RecursionError:
        raise malformed("the body is nested too deep", "body") from None


def _exact(text: str) -> Decimal:
    return Decimal(text)


# --- keys, positions, times -------------------------------------------------------------------------------------------


def key_of(text: str | int, what: str = "key") -> int:
    """Raises: Problem (400) when it isn't a key."""
    if isinstance(text, int) and not isinstance(text, bool):
        number = text
    elif isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20:
        number = int(text)
    else:
        number = -1
    if not 0 < number <= KEY_MAX:
        raise malformed(f"{what} must be a key (a positive integer, as a text), found {text!r}", what)
    return number


def position_of(text: str, where: str = "position") -> dict[int, int]:
    """`"2-17,0-4"` is `{2: 17, 0: 4}`: offsets by partition."""
    found: dict[int, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})-(\d{1,18})\s*", part)
        if match is None:
            raise malformed(f"a position is `partition-offset`, several separated by commas; found {text!r}", where)
        found[int(match[1])] = int(match[2])
    return found


def position_text(positions: dict[int, int]) -> str:
    return ",".join(f"{p}-{o}" for p, o in sorted(positions.items()))


def time_of(text: str, where: str) -> datetime:
    """RFC 3339 or RFC 9557, with `@Zone` as well; without an offset it is UTC."""
    try:
        found = times.instant(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise malformed(f"a time like 2026-11-21T13:00:00Z was expected, found {text!r}", where) from None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found)


def time_text(microseconds: int) -> str | None:
    """Microseconds since the epoch as RFC 3339; 0 is none."""
    if not microseconds:
        return None
    whole, fraction = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:06d}Z"


# --- rows -------------------------------------------------------------------------------------------------------------

#: fields that hold callers' data, in which nothing is touched
OPAQUE = frozenset(
    "variables metadata headers details result output input inputs trace request value data_store form_data content schema".split()
)


def keyed(value: Any) -> Any:
    """A copy with all keys as texts; callers' own data (`OPAQUE`) stays as it is."""
    if isinstance(value, dict):
        return {k: _field(k, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [keyed(v) for v in value]
    return value


def _field(name: str, value: Any) -> Any:
    if name in OPAQUE:
        return value
    if name in KEY_FIELDS:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value) if value else None
        if isinstance(value, (list, tuple)) and all(isinstance(v, int) for v in value):
            return [str(v) for v in value]
    return keyed(value) if isinstance(value, (dict, list, tuple)) else value
