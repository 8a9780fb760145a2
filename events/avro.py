"""Events as Avro, fast: the schema of each event, and an encoder and a decoder made for it once.

A value on the log is one zero byte, the schema id (4 bytes, big-endian), then Avro binary: the envelope's fields, then the
event's, key last. That is the framing of the usual Avro tools. The envelope is the same for all events of one command, so its
bytes are made once; hence the order. JSON values are one `bytes` field of JSON text. Source: Avro 1.11 specification,
"Binary encoding". A general library needs three to five times as long (`bench/codec.py`).
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from flowledger.events.base import Envelope, Event, Json, Recorded
from flowledger.events.wire import BY_NUMBER, CURRENT, PAST_SHAPES, SCHEMA_IDS, UPCASTERS, WIRE

#: field kinds: Python annotation -> kind -> Avro type
KINDS: dict[Any, str] = {
    int: "long",
    str: "string",
    bool: "boolean",
    bytes: "bytes",
    list[int]: "longs",
    list[str]: "strings",
    Json: "json",
}
AVRO_TYPES: dict[str, Any] = {
    "long": "long",
    "string": "string",
    "boolean": "boolean",
    "bytes": "bytes",
    "json": {"type": "bytes", "doc": "JSON text in UTF-8; empty: null"},
    "longs": {"type": "array", "items": "long"},
    "strings": {"type": "array", "items": "string"},
}
ENVELOPE_FIELDS = (
    ("time_us", "long"),
    ("tenant", "string"),
    ("actor", "string"),
    ("cause", "string"),
    ("correlation_id", "string"),
    ("traceparent", "string"),
)


K = TypeVar("K")


class UnknownEvent(Exception):
    """The reader must stop: to skip an event would fold a different history."""


def _exact(text: str) -> int | float | Decimal:
    """A JSON number with a fraction or exponent as an exact decimal."""
    return Decimal(text)


_encode_json = msgspec.json.Encoder(decimal_format="number").encode
_decode_json = msgspec.json.Decoder(float_hook=_exact).decode


def encode_json(value: Any) -> bytes:
    """JSON text; `Decimal` is written as a number with all its digits."""
    return _encode_json(value)


def decode_json(text: bytes | str) -> Any:
    """JSON with exact numbers: integers as `int`, others as `Decimal`."""
    return _decode_json(text)


def fields_of(cls: type[Event]) -> tuple[tuple[str, str], ...]:
    """(name, kind) of each field in wire order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple((name, KINDS[hints[name]]) for name in cls.__struct_fields__)


def schema_of(cls: type[Event]) -> dict[str, Any]:
    """The Avro schema of an event with its envelope."""
    number, name, version = WIRE[cls]
    doc = (cls.__doc__ or "").strip().split("\n")[0]
    fields = [{"name": n, "type": AVRO_TYPES[k]} for n, k in (*ENVELOPE_FIELDS, *fields_of(cls))]
    return {
        "type": "record",
        "name": cls.__name__,
        "namespace": "flowledger.events",
        "doc": doc,
        "wire_name": name,
        "wire_version": version,
        "schema_id": number << 8 | version,
        "fields": fields,
    }


# --- encoding ---------------------------------------------------------------------------------------------------------

_CACHE_MAX = 50_000
#: rows of fields side by side that are kept, for each type of event
_ROWS_MAX = 4_096
#: microseconds UTC: the calendar's ends
TIME_US_MIN, TIME_US_MAX = -62_135_596_800_000_000, 253_402_300_799_999_999


#: codes that were made lately. Plain dicts, read by `get`: a subclass that makes what is missing is slower to read
_LONGS: dict[int, bytes] = {}
_MOMENTS: dict[int, bytes] = {}
_TEXTS: dict[str, bytes] = {}
#: the first two bytes of every code that is longer, and the last ones of the codes of keys, which differ in the first
_FIRST = [bytes((low | 0x80, high | 0x80)) for high in range(0x80) for low in range(0x80)]
_LAST: dict[int, bytes] = {}


def long(n: int) -> bytes:
    """Zigzag variable-length code of a 64-bit integer. Keys recur within a group, so the last ones are kept."""
    if (found := _LONGS.get(n)) is not None:
        return found
    if not -0x8000000000000000 <= n <= 0x7FFFFFFFFFFFFFFF:
        raise OverflowError(f"expected a 64-bit integer, found {n}")
    z = (n << 1) ^ (n >> 63)
    if z > 0x3FFF:
        rest = z >> 14
        code = _FIRST[z & 0x3FFF] + (_LAST.get(rest) or _kept(_LAST, rest, _bytes_of(rest)))
    else:
        code = _bytes_of(z)
    if len(_LONGS) >= _CACHE_MAX:
        _LONGS.clear()
    _LONGS[n] = code
    return code


def _bytes_of(z: int) -> bytes:
    out = bytearray()
    while z > 0x7F:
        out.append((z & 0x7F) | 0x80)
        z >>= 7
    out.append(z)
    return bytes(out)


def _kept(table: dict[K, bytes], value: K, code: bytes) -> bytes:
    if len(table) >= _CACHE_MAX:
        table.clear()
    table[value] = code
    return code


def moment(n: int) -> bytes:
    """Microseconds UTC in an event: they lie within the calendar, the years 1 to 9999."""
    if n and not TIME_US_MIN <= n <= TIME_US_MAX:
        raise OverflowError("lies outside of the years 1 to 9999")
    return _kept(_MOMENTS, n, long(n))


def text(s: str) -> bytes:
    """Length and UTF-8. Element ids, job types and tenants recur, so short ones are kept."""
    if (found := _TEXTS.get(s)) is not None:
        return found
    raw = s.encode()
    code = long(len(raw)) + raw
    return _kept(_TEXTS, s, code) if len(s) <= 40 else code


def _json(value: Any) -> bytes:
    if value is None:
        return b"\x00"
    raw = _encode_json(value)
    return long(len(raw)) + raw


def _bytes(value: bytes) -> bytes:
    return long(len(value)) + value


def _array(code: Callable[[Any], bytes]) -> Callable[[list[Any]], bytes]:
    def encode_array(values: list[Any]) -> bytes:
        if not values:
            return b"\x00"
        return b"".join((long(len(values)), *map(code, values), b"\x00"))

    return encode_array


def _bool(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


CODES: dict[str, Callable[[Any], bytes]] = {
    "long": long,
    "moment": moment,
    "string": text,
    "boolean": _bool,
    "bytes": _bytes,
    "json": _json,
    "longs": _array(long),
    "strings": _array(text),
}


#: source of one field: the usual values stand inline (a code at hand, `None`, an empty list), the rest calls the coder. No code is empty
_CODED = {
    "long": "kept_long(e.{n}) or long(e.{n})",
    "moment": "kept_moment(e.{n}) or moment(e.{n})",
    "string": "kept_text(e.{n}) or string(e.{n})",
    "boolean": "b'\\x01' if e.{n} else b'\\x00'",
    "json": "json(e.{n}) if e.{n} is not None else b'\\x00'",
}
#: fields that come of the model: those that stand side by side are looked up at once
_OF_THE_MODEL = frozenset(
    {"process", "definition", "version", "flow", "source", "target", "element", "type", "job_type", "retries", "priority"}
)


def coded(cls: type[Event]) -> tuple[tuple[str, str], ...]:
    """(name, key in `CODES`) of each field in wire order: a moment is a long that is checked."""
    return tuple((name, "moment" if kind == "long" and name.endswith("_us") else kind) for name, kind in fields_of(cls))


def _row(kinds: list[str]) -> tuple[Callable[[tuple[Any, ...]], bytes | None], Callable[[tuple[Any, ...]], bytes]]:
    """Of several fields side by side: what finds their codes, and what makes and keeps them."""
    table: dict[tuple[Any, ...], bytes] = {}
    coders = [CODES[kind] for kind in kinds]

    def take(values: tuple[Any, ...]) -> bytes:
        if len(table) >= _ROWS_MAX:
            table.clear()
        return table.setdefault(values, b"".join([code(value) for code, value in zip(coders, values, strict=True)]))

    return table.get, take


def _encoder(cls: type[Event]) -> Callable[[Any, bytes], bytes]:
    """A function made for `cls`; its source is built from field names of ours only, never from input."""
    head = b"\x00" + SCHEMA_IDS[cls].to_bytes(4, "big")
    space: dict[str, Any] = {**CODES, "head": head, "join": b"".join}
    space |= {"kept_long": _LONGS.get, "kept_moment": _MOMENTS.get, "kept_text": _TEXTS.get}
    parts: list[str] = []
    for model, some in groupby(coded(cls), key=lambda field: field[0] in _OF_THE_MODEL and field[1] in ("long", "string")):
        fields = list(some)
        if model and len(fields) > 1:
            n = len(parts)
            space[f"kept_{n}"], space[f"take_{n}"] = _row([kind for _, kind in fields])
            space[f"of_{n}"] = attrgetter(*(name for name, _ in fields))
            parts.append(f"kept_{n}(of_{n}(e)) or take_{n}(of_{n}(e))")
            continue
        parts += [_CODED.get(kind, f"{kind}(e.{{n}})").format(n=name) for name, kind in fields]
    source = f"def encode(e, prefix):\n    return join((head, prefix, {', '.join(parts)}))\n"
    exec(compile(source, f"<encoder of {cls.__name__}>", "exec"), space)  # noqa: S102 - source is made of our own field names
    made: Callable[[Any, bytes], bytes] = space["encode"]
    return made


#: event type -> what makes its value from (event, encoded envelope)
ENCODERS: dict[type[Event], Callable[[Any, bytes], bytes]] = {cls: _encoder(cls) for cls in WIRE}


_kept_who, _take_who = _row(["string", "string"])


def encode_envelope(envelope: Envelope) -> bytes:
    """The bytes that all events of one command share. Most causes occur once."""
    v, cause = envelope, envelope.cause.encode()
    about = b"\x00\x00" if not v.correlation and not v.trace else text(v.correlation) + text(v.trace)
    return b"".join((
        _LONGS.get(v.time_us) or long(v.time_us), _kept_who(who := (v.tenant, v.actor)) or _take_who(who),
        _LONGS.get(len(cause)) or long(len(cause)), cause, about,
    ))  # fmt: skip


def encode(events: Iterable[Event], envelope: Envelope) -> list[bytes]:
    """The values of the events that one command caused."""
    prefix = encode_envelope(envelope)
    return [ENCODERS[type(e)](e, prefix) for e in events]


# --- decoding ---------------------------------------------------------------------------------------------------------


def _read_long(b: bytes, i: int) -> tuple[int, int]:
    z = shift = 0
    while True:
        c = b[i]
        i += 1
        z |= (c & 0x7F) << shift
        if c < 0x80:
            return (z >> 1) ^ -(z & 1), i
        shift += 7


def _read_string(b: bytes, i: int) -> tuple[str, int]:
    n = b[i]
    if n < 0x80:
        n >>= 1
        i += 1
    else:
        n, i = _read_long(b, i)
    j = i + n
    return b[i:j].decode(), j


def _read_bytes(b: bytes, i: int) -> tuple[bytes, int]:
    n, i = _read_long(b, i)
    return b[i : i + n], i + n


def _read_json(b: bytes, i: int) -> tuple[Any, int]:
    n, i = _read_long(b, i)
    return (_decode_json(b[i : i + n]) if n else None), i + n


def _read_boolean(b: bytes, i: int) -> tuple[bool, int]:
    return b[i] == 1, i + 1


def _read_array(read: Callable[[bytes, int], tuple[Any, int]]) -> Callable[[bytes, int], tuple[list[Any], int]]:
    def read_array(b: bytes, i: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        while True:
            n, i = _read_long(b, i)
            if n == 0:
                return values, i
            if n < 0:  # a block with its size in bytes, as other writers make it
                _, i = _read_long(b, i)
                n = -n
            for _ in range(n):
                value, i = read(b, i)
                values.append(value)

    return read_array


READS: dict[str, Callable[[bytes, int], tuple[Any, int]]] = {
    "long": _read_long,
    "string": _read_string,
    "boolean": _read_boolean,
    "bytes": _read_bytes,
    "json": _read_json,
    "longs": _read_array(_read_long),
    "strings": _read_array(_read_string),
}

# Source for one field: the short forms (one-byte lengths and integers, empty JSON) stand inline, the rest calls the reader.
_INLINE: dict[str, str] = {
    "long": "    c = b[i]\n    if c < 128: {v} = (c >> 1) ^ -(c & 1); i += 1\n    else: {v}, i = r_long(b, i)\n",
    "string": "    c = b[i]\n    if c == 0: {v} = ''; i += 1\n    elif c < 128: j = i + 1 + (c >> 1); {v} = b[i + 1:j].decode(); i = j\n"
    "    else: {v}, i = r_string(b, i)\n",
    "json": "    if b[i] == 0: {v} = None; i += 1\n    else: {v}, i = r_json(b, i)\n",
}


def _decoder(cls: type[Event]) -> Callable[[bytes, int], Any]:
    fields = fields_of(cls)
    body = "".join(_INLINE.get(kind, f"    {{v}}, i = r_{kind}(b, i)\n").format(v=f"v{n}") for n, (_, kind) in enumerate(fields))
    args = ", ".join(f"{name}=v{n}" for n, (name, _) in enumerate(fields))
    source = f"def decode(b, i):\n{body}    return cls({args})\n"
    space: dict[str, Any] = {"cls": cls, **{f"r_{k}": r for k, r in READS.items()}}
    exec(compile(source, f"<decoder of {cls.__name__}>", "exec"), space)  # noqa: S102 - source is made of our own field names
    made: Callable[[bytes, int], Any] = space["decode"]
    return made


_DECODERS: dict[int, Callable[[bytes, int], Event]] = {SCHEMA_IDS[cls]: _decoder(cls) for cls in WIRE}


def upcast(name: str, version: int, payload: dict[str, Any]) -> Event:
    """Bring a stored payload to the current shape, one version at a time.

    Raises:
        UnknownEvent: the name is unknown, or the version is newer than this release.
    """
    while step := UPCASTERS.get((name, version)):
        payload, version = step(payload), version + 1
    cls, current = CURRENT.get(name, (None, None))
    if cls is None or version != current:
        raise UnknownEvent(f"{name} v{version}: this release reads v{current}")
    return cls(**payload)


def _decode_past(schema_id: int, b: bytes, i: int) -> Event:
    cls = BY_NUMBER.get(schema_id >> 8)
    version = schema_id & 0xFF
    if cls is None:
        raise UnknownEvent(f"no event has schema id {schema_id}")
    name = WIRE[cls][1]
    shape = PAST_SHAPES.get((name, version))
    if shape is None:
        raise UnknownEvent(f"{name} v{version}: this release reads v{WIRE[cls][2]}")
    payload = {}
    for field, kind in shape:
        payload[field], i = READS[kind](b, i)
    return upcast(name, version, payload)


_SHAPES: dict[type[Event], tuple[tuple[str, str], ...]] = {cls: fields_of(cls) for cls in WIRE}


def _skip_bytes(b: bytes, i: int) -> tuple[None, int]:
    n, i = _read_long(b, i)
    if n < 0 or i + n > len(b):
        raise ValueError("a field reaches beyond its end")
    return None, i + n


_SKIPS: dict[str, Callable[[bytes, int], tuple[Any, int]]] = {
    **READS, "string": _skip_bytes, "bytes": _skip_bytes, "json": _skip_bytes, "strings": _read_array(_skip_bytes),
}  # fmt: skip


def skim(b: bytes) -> str:
    """Whether a value has the shape of its schema, to the last byte; JSON and texts are passed over, so that depth and size don't matter.

    Answers its wire name. Raises: UnknownEvent, ValueError.
    """
    if len(b) < 6 or b[0] != 0:
        raise ValueError(f"expected an event (0, schema id, Avro), found {b[:8]!r}")
    schema_id = int.from_bytes(b[1:5], "big")
    cls = BY_NUMBER.get(schema_id >> 8)
    if cls is None:
        raise UnknownEvent(f"no event has schema id {schema_id}")
    name, version = WIRE[cls][1], schema_id & 0xFF
    shape = _SHAPES[cls] if version == WIRE[cls][2] else PAST_SHAPES.get((name, version))
    if shape is None:
        raise UnknownEvent(f"{name} v{version}: this release reads v{WIRE[cls][2]}")
    i = 5
    try:
        for _, kind in (*ENVELOPE_FIELDS, *shape):
            _, i = _SKIPS[kind](b, i)
    except IndexError:
        raise ValueError(f"an event of schema {schema_id} ends early after {len(b)} bytes") from None
    if i != len(b):
        raise ValueError(f"an event of schema {schema_id} has {len(b)} bytes, its fields take {i}")
    return name


class Decoder:
    """Decodes values in log order. Neighbours mostly share their envelope, which is then compared, not read again."""

    __slots__ = ("_bytes", "_end", "_envelope")

    def __init__(self) -> None:
        self._bytes = b"\xff"  # no value starts with it
        self._end = 0
        self._envelope = Envelope()

    def envelope(self, b: bytes) -> tuple[Envelope, int]:
        if b.startswith(self._bytes, 5):
            return self._envelope, self._end
        values: list[Any] = []
        i = 5
        for _, kind in ENVELOPE_FIELDS:
            value, i = READS[kind](b, i)
            values.append(value)
        self._envelope = Envelope(*values)
        self._bytes, self._end = b[5:i], i
        return self._envelope, i

    def decode(self, b: bytes) -> tuple[Event, Envelope]:
        """Raises: UnknownEvent, ValueError (not a value of this log)."""
        if len(b) < 6 or b[0] != 0:
            raise ValueError(f"expected an event (0, schema id, Avro), found {b[:8]!r}")
        schema_id = int.from_bytes(b[1:5], "big")
        envelope, i = self.envelope(b)
        decode = _DECODERS.get(schema_id)
        try:
            return (decode(b, i) if decode else _decode_past(schema_id, b, i)), envelope
        except IndexError:
            raise ValueError(f"an event of schema {schema_id} ends early after {len(b)} bytes") from None

    def recorded(self, b: bytes, partition: int, offset: int) -> Recorded:
        event, envelope = self.decode(b)
        return Recorded(event, envelope, partition, offset)
